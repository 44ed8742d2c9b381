package mockllm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"
)

// A Rule is a Behaviour for the requests that match. The first rule that
// matches and is not used up lies over what the model's name says.
type Rule struct {
	Match Match `yaml:"match"`
	// Skip passes over the first so many requests that match.
	Skip int `yaml:"skip"`
	// Times is for how many requests the rule holds; 0 = all.
	Times     int `yaml:"times"`
	Behaviour `yaml:",inline"`
}

// A Match says which requests a rule is for. Its zero members match all.
// Globs are path.Match's, where * stops at a slash; a model's * does not.
type Match struct {
	Model   string            `yaml:"model"`
	Path    string            `yaml:"path"`
	Method  string            `yaml:"method"`
	Dialect string            `yaml:"dialect"` // openai, anthropic, gemini
	Header  map[string]string `yaml:"header"`  // name: glob
	Stream  *bool             `yaml:"stream"`
}

// ParseRules reads a YAML document with a list named rules. Members that it
// does not know are errors, with their line.
func ParseRules(doc []byte) ([]Rule, error) {
	var file struct {
		Rules []Rule `yaml:"rules"`
	}
	d := yaml.NewDecoder(bytes.NewReader(doc))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read mock rules: %w", err)
	}
	for i := range file.Rules {
		if err := file.Rules[i].check(); err != nil {
			return nil, fmt.Errorf("read mock rules: rule %d: %w", i+1, err)
		}
	}
	return file.Rules, nil
}

func (r *Rule) check() error {
	for _, glob := range []string{r.Match.Model, r.Match.Path} {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("glob %q: %w", glob, err)
		}
	}
	oneOf := func(name, value string, allowed ...string) error {
		if value == "" || slices.Contains(allowed, value) {
			return nil
		}
		return fmt.Errorf("%s is %q, not one of %q", name, value, allowed)
	}
	if r.Status != 0 && (r.Status < 200 || r.Status > 599) {
		return fmt.Errorf("status %d is not from 200 to 599", r.Status)
	}
	if r.Latency < 0 || r.TTFT < 0 || r.TokensPerSecond < 0 || r.Times < 0 || r.Skip < 0 || r.Chunk < 0 || r.Words < 0 {
		return errors.New("a number is negative")
	}
	if len(r.UsageJSON) > 0 && (r.Usage == "none" || r.Usage == "null") {
		return fmt.Errorf("usage is %s, so that usage_json is never sent: take one of them out", r.Usage)
	}
	if len(r.BesideUsage) > 1 {
		return errors.New("beside_usage is a list: want one object")
	}
	return errors.Join(
		oneOf("dialect", r.Match.Dialect, "openai", "anthropic", "gemini"),
		oneOf("usage", r.Usage, "none", "null", "finish", "every", "always"),
		oneOf("how", r.How, "close", "reset", "end", "hang", "pings"),
		oneOf("drop", r.Drop, "close", "reset"),
		oneOf("tool_shape", r.ToolShape, "whole", "zero", "empty"),
		oneOf("hang", r.Hang, "request", "head"),
		oneOf("tools", r.Tools, "none", "all", "bad"),
		oneOf("mode", r.Mode, "buffered", "stream"),
	)
}

// rulebook counts what its rules have matched.
type rulebook struct {
	rules []Rule
	mu    sync.Mutex
	used  []int
}

func (b *rulebook) set(rules []Rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules, b.used = slices.Clone(rules), make([]int, len(rules))
}

// rewind begins the counts anew.
func (b *rulebook) rewind() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.used)
}

// find returns the rule for a request, or nil.
func (b *rulebook) find(c *call, stream bool) *Behaviour {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.rules {
		r := &b.rules[i]
		if !r.Match.matches(c, stream) {
			continue
		}
		b.used[i]++
		n := b.used[i] - r.Skip
		if n > 0 && (r.Times == 0 || n <= r.Times) {
			return &r.Behaviour
		}
	}
	return nil
}

func (m *Match) matches(c *call, stream bool) bool {
	switch {
	case m.Method != "" && m.Method != c.r.Method,
		m.Dialect != "" && m.Dialect != c.vendor.name,
		m.Path != "" && !glob(m.Path, c.r.URL.Path),
		m.Model != "" && !glob(flat(m.Model), flat(c.model)),
		m.Stream != nil && *m.Stream != stream:
		return false
	}
	for name, want := range m.Header {
		got := c.r.Header.Get(name)
		if http.CanonicalHeaderKey(name) == "Host" {
			got = c.r.Host
		}
		if !glob(flat(want), flat(got)) {
			return false
		}
	}
	return true
}

// flat takes the slashes out, at which path.Match's * would stop.
func flat(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '/' {
			b[i] = 0
		}
	}
	return string(b)
}

func glob(pattern, s string) bool {
	ok, err := path.Match(pattern, s)
	return ok && err == nil
}
