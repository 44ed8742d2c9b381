package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A program drives one SDK through its cases.
type program struct {
	name   string // language and package
	vendor string // whose models it asks for
	argv   []string
	env    []string

	targets []string // vendors whose models it asks for one after the other; none: its own vendor's only
}

// programs lists those whose names contain only.
func (k kits) programs(only string) []program {
	all := []program{
		k.py("langchain-openai", "openai", "use_langchain.py"), // the slow starters first
		k.py("google-genai", "gemini", "use_genai.py"),
		k.py("openai", "openai", "use_openai.py"),
		k.py("anthropic", "anthropic", "use_anthropic.py"),
		k.js("ai", "openai", "use_ai.mjs"),
		k.js("openai", "openai", "use_openai.mjs"),
		k.js("anthropic", "anthropic", "use_anthropic.mjs"),
		k.js("google-genai", "gemini", "use_genai.mjs"),
		{name: "go/sashabaranov", vendor: "openai", argv: []string{k.golang, "sashabaranov"}},
		{name: "go/openai", vendor: "openai", argv: []string{k.golang, "openai"}},
		{name: "go/anthropic", vendor: "anthropic", argv: []string{k.golang, "anthropic"}},
	}
	var some []program
	for _, p := range all {
		if strings.Contains(p.name, only) {
			some = append(some, p)
		}
	}
	return some
}

func (k kits) py(name, vendor, script string) program {
	return program{
		name: "python/" + name, vendor: vendor, argv: []string{k.python, filepath.Join(k.scripts, script)},
		env: []string{"PYTHONPYCACHEPREFIX=" + k.pycache},
	}
}

func (k kits) js(name, vendor, script string) program {
	return program{name: "node/" + name, vendor: vendor, argv: []string{"node", filepath.Join(k.node, script)}}
}

// models names the model of each purpose by the mock's magic words. A name
// with a count is the program's own, so that no other one uses the count up.
func (p program) models() map[string]any {
	m := models(p.vendor, p.name)
	if p.name == "node/ai" {
		m["anthropic"] = models("anthropic", p.name)
	}
	return m
}

// unserved is a model that Weir has no route for. The mock itself takes any name.
const unserved = "nobody-serves-this"

func models(vendor, program string) map[string]any {
	chat := map[string]string{"openai": "gpt-4o-mini", "anthropic": "claude-haiku-5-5", "gemini": "gemini-2.5-flash", "responses": "gpt-4.1-mini"}[vendor]
	own := "-for-" + strings.ReplaceAll(program, "/", "-")
	m := map[string]any{
		"chat": chat, "tools": chat, "unknown": unserved,
		"embed":     map[string]string{"openai": "text-embedding-3-small", "gemini": "gemini-embedding-001"}[vendor],
		"slow":      chat + "-mock-words-300-tps-30",
		"late":      chat + "-mock-slow-10s",
		"truncated": chat + "-mock-words-50-endafter-8",
		"429":       chat + "-mock-error-429-retryafter-1s",
		"retry_429": chat + "-mock-error-429x1-retryafter-1sx1" + own,
		"retry_500": chat + "-mock-error-500x2" + own,
		"absorbed":  chat + "-mock-error-500x2" + own + "-absorbed",
		"exhausted": chat + "-mock-error-500" + own + "-exhausted",
	}
	for _, status := range []string{"400", "401", "404", "500", "529"} {
		m[status] = chat + "-mock-error-" + status
	}
	return m
}

// A line is what a program prints for a case.
type line struct {
	Case  string         `json:"case"`
	Seen  any            `json:"seen"`
	HTTP  []exchange     `json:"http"`
	Usage []reportedCall `json:"usage"`
	Gaps  []int          `json:"gaps"` // whole seconds between the exchanges
}

// An exchange is one HTTP request of the SDK and its answer.
type exchange struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers"` // lower-case names
}

// header returns the first header of that name.
func (e exchange) header(name string) string {
	for _, h := range e.Headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

// A reportedCall is what the SDK said of one answered call; nil: it does not say.
type reportedCall struct {
	Model string `json:"model"`
	In    *int64 `json:"in"`
	Out   *int64 `json:"out"`
}

// A server is where programs are sent to.
type server struct{ base, key string }

// run runs the program against a server. Only a program that does not end
// well is an error.
func (p program) run(ctx context.Context, s server, onlyCase string) ([]line, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	names, err := json.Marshal(p.models())
	if err != nil {
		return nil, err
	}
	targets, err := json.Marshal(p.targetModels())
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	// Nothing of the user's own settings: SDKs read keys, URLs and proxies.
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8", "NO_PROXY=*",
		"SDK_BASE=" + s.base, "SDK_KEY=" + s.key, "SDK_BAD_KEY=" + badKey,
		"SDK_MODELS=" + string(names), "SDK_TARGETS=" + string(targets), "SDK_NAME=" + p.name, "SDK_ONLY=" + onlyCase,
	}, p.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", p.name, err, stderr.Bytes())
	}
	// An SDK that shows its base URL shows another one through Weir.
	out := bytes.ReplaceAll(stdout.Bytes(), []byte(s.base), []byte("BASE"))
	var lines []line
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var l line
		dec.UseNumber()
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("%s: read its output: %w", p.name, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// runAll runs programs side by side and returns their lines by name.
func runAll(ctx context.Context, programs []program, s server, onlyCase string) (map[string][]line, error) {
	type result struct {
		name  string
		lines []line
		err   error
	}
	results := make(chan result, len(programs))
	for _, p := range programs {
		go func() {
			lines, err := p.run(ctx, s, onlyCase)
			results <- result{p.name, lines, err}
		}()
	}
	all := map[string][]line{}
	var failed error
	for range programs {
		r := <-results
		if r.err != nil && failed == nil {
			failed = r.err
		}
		maps.Copy(all, map[string][]line{r.name: r.lines})
	}
	return all, failed
}
