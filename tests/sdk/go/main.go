// Command sdkgo runs the Go SDKs through the cases of tests/sdk: its argument
// names the SDK. See python/harness.py for the shape of the lines it prints.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sort"
	"strings"
	"time"
)

const (
	prompt = "Say something about the weather in Paris."
	system = "You are terse."
)

var (
	base, key, badKey = os.Getenv("SDK_BASE"), os.Getenv("SDK_KEY"), os.Getenv("SDK_BAD_KEY")
	models            map[string]string // purpose → model name
)

// citySchema describes {"city":string,"days":integer}.
var citySchema = map[string]any{
	"type": "object",
	"properties": map[string]any{
		"city": map[string]any{"type": "string"},
		"days": map[string]any{"type": "integer"},
	},
	"required":             []string{"city", "days"},
	"additionalProperties": false,
}

// A Case is one scenario and the record of it.
type Case struct {
	name string
	run  func(c *Case) (any, error)

	http  []exchange
	usage []usage
	began []time.Time
}

type exchange struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers"`
}

type usage struct {
	Model string `json:"model"`
	In    *int64 `json:"in"` // nil: the SDK does not tell
	Out   *int64 `json:"out"`
}

// used notes the tokens of one answered call: all input, all output.
func (c *Case) used(model string, in, out int64) {
	c.usage = append(c.usage, usage{model, &in, &out})
}

// A watcher marks each request with its case and logs each response, whatever the SDK.
type watcher struct{ now *Case }

// RoundTrip implements http.RoundTripper.
func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("x-weir-session", os.Getenv("SDK_NAME")+"/"+w.now.name)
	began := time.Now()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	e := exchange{Status: res.StatusCode}
	for name, values := range res.Header {
		for _, v := range values {
			e.Headers = append(e.Headers, [2]string{strings.ToLower(name), v})
		}
	}
	sort.Slice(e.Headers, func(i, j int) bool { return e.Headers[i][0] < e.Headers[j][0] })
	w.now.http = append(w.now.http, e)
	w.now.began = append(w.now.began, began)
	return res, nil
}

var (
	watch  = &watcher{}
	client = &http.Client{Transport: watch}
	ctx    = context.Background()
)

// wrong is what a program that gets err can act on.
func wrong(err error, fields map[string]any) map[string]any {
	if err == nil {
		return map[string]any{"error": nil}
	}
	fields["message"] = err.Error()
	return map[string]any{"error": fields}
}

// broken is a stream's text and the error that it ended with, if it did.
func broken(text []string, err error) map[string]any {
	seen := map[string]any{"text": strings.Join(text, ""), "failed": nil}
	if err != nil {
		seen["failed"] = fmt.Sprintf("%T", err)
	}
	return seen
}

// decoded is JSON as any reader sees it, for arguments that a model wrote.
func decoded(s string) any {
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		return "not JSON: " + s
	}
	return v
}

func runCase(c *Case) {
	watch.now = c
	seen, err := c.run(c)
	if err != nil {
		seen = map[string]any{"raised": fmt.Sprintf("%T: %v", err, err)}
	}
	gaps := []int{} // whole seconds waited before each retry are the SDK's answer to retry-after
	for i := 1; i < len(c.began); i++ {
		gaps = append(gaps, int(c.began[i].Sub(c.began[i-1]).Seconds()))
	}
	line, err := json.Marshal(map[string]any{"case": c.name, "seen": seen, "http": c.http, "usage": c.usage, "gaps": gaps})
	if err != nil {
		line = fmt.Appendf(nil, `{"case":%q,"seen":{"raised":%q}}`, c.name, err.Error())
	}
	os.Stdout.Write(append(line, '\n'))
}

func run() error {
	if err := json.Unmarshal([]byte(os.Getenv("SDK_MODELS")), &models); err != nil {
		return fmt.Errorf("read SDK_MODELS: %w", err)
	}
	suites := map[string]func() ([]*Case, error){
		"sashabaranov":     func() ([]*Case, error) { return sashabaranov(), nil },
		"openai":           func() ([]*Case, error) { return openaiGo(), nil },
		"anthropic":        func() ([]*Case, error) { return anthropicGo(), nil },
		"across-openai":    acrossOpenAICases,
		"across-anthropic": func() ([]*Case, error) { return across(acrossAnthropic) },
	}
	if len(os.Args) != 2 || suites[os.Args[1]] == nil {
		return errors.New("usage: sdkgo " + strings.Join(slices.Sorted(maps.Keys(suites)), "|"))
	}
	cases, err := suites[os.Args[1]]()
	if err != nil {
		return err
	}
	for _, c := range cases {
		if only := os.Getenv("SDK_ONLY"); only == "" || strings.HasSuffix(":"+c.name, ":"+only) {
			runCase(c)
		}
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sdkgo:", err)
		os.Exit(2)
	}
}
