package mockllm_test

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/mockllm"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestRules(t *testing.T) {
	rules, err := mockllm.ParseRules([]byte(`
rules:
  - match: {model: "gpt-*", header: {x-test: "a*"}}
    status: 429
    headers: {retry-after: "7", x-should-retry: "false"}
    error: {code: insufficient_quota, message: You ran out.}
  - match: {dialect: anthropic, stream: true}
    times: 1
    status: 529
  - match: {path: /v1/embeddings, method: POST}
    skip: 1
    times: 1
    status: 500
    body: '{"broken":'
    content_type: text/html
  - match: {model: "vendor/*/x"}
    latency: 5ms
    ttft: 5ms
    text: Fixed words.
    stop: content_filter
`))
	if err != nil {
		t.Fatal(err)
	}
	m := start(t, mockllm.Options{Rules: rules})
	check := func(r reply, status int, sub string) {
		t.Helper()
		if r.status != status || !strings.Contains(r.body, sub) {
			t.Errorf("got %d %s, want %d with %s", r.status, r.body, status, sub)
		}
	}
	chat := func(model string, headers ...string) reply {
		return m.post("/v1/chat/completions", `{"model":"`+model+`",`+hi+`}`, headers...)
	}
	r := chat("gpt-4o", "X-Test: abc")
	check(r, 429, `{"error":{"message":"You ran out.","type":"requests","param":null,"code":"insufficient_quota"}}`)
	if r.header.Get("Retry-After") != "7" || r.header.Get("X-Should-Retry") != "false" {
		t.Errorf("headers: %v", r.header)
	}
	check(chat("gpt-4o"), 200, "You said")
	check(chat("o3", "X-Test: abc"), 200, "You said")
	check(chat("vendor/a/b/x"), 200, `"content":"Fixed words."`)
	check(chat("vendor/a/x"), 200, `"finish_reason":"content_filter"`)
	check(m.ask(wayOf("messages"), "m", ""), 529, "overloaded_error")
	check(m.ask(wayOf("messages"), "m", ""), 200, "message_stop")
	embed := func() reply { return m.post("/v1/embeddings", `{"model":"m","input":"a"}`) }
	check(embed(), 200, "embedding")
	r = embed()
	check(r, 500, `{"broken":`)
	if r.header.Get("Content-Type") != "text/html" {
		t.Errorf("content type: %v", r.header)
	}
	check(embed(), 200, "embedding")
	m.SetRules(nil)
	check(chat("gpt-4o", "X-Test: abc"), 200, "You said")
}

func TestBadRules(t *testing.T) {
	check := func(doc, want string) {
		t.Helper()
		if _, err := mockllm.ParseRules([]byte(doc)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", doc, err, want)
		}
	}
	check("rules:\n  - latencey: 5s\n", "line 2: field latencey not found")
	check("rules:\n  - latency: soon\n", "line 2")
	check("rules:\n  - match: {model: '['}\n", "rule 1: glob")
	check("rules:\n  - status: 99\n", "status 99")
	check("rules:\n  - how: gently\n", `how is "gently"`)
	check("rules:\n  - {}\n  - latency: -5s\n", "rule 2: a number is negative")
	check("rules: 5\n", "line 1")
	if rules, err := mockllm.ParseRules(nil); err != nil || rules != nil {
		t.Errorf("no document: %v %v", rules, err)
	}
}

// The rules lie over the default, and the words of the model under the rules.
func TestLayers(t *testing.T) {
	m := start(t, mockllm.Options{Default: mockllm.Behaviour{Text: "Default.", Words: 0}, Rules: []mockllm.Rule{
		{Match: mockllm.Match{Model: "*over*"}, Behaviour: mockllm.Behaviour{Text: "Over."}},
	}})
	check := func(model, want string) {
		t.Helper()
		if r := m.post("/v1/chat/completions", `{"model":"`+model+`",`+hi+`}`); !strings.Contains(r.body, want) {
			t.Errorf("%s: %s, want %s", model, r.body, want)
		}
	}
	check("m", `"Default."`)
	check("mock-over-nousage", `"Over."},"logprobs"`[:6])
	if r := m.post("/v1/chat/completions", `{"model":"mock-over-nousage",`+hi+`}`); strings.Contains(r.body, `"usage"`) {
		t.Errorf("the word beside the rule is lost: %s", r.body)
	}
}

// What was sent is kept to the byte, the newest requests only.
func TestRecord(t *testing.T) {
	m := start(t, mockllm.Options{Record: 2})
	odd := `{ "model" : "m","messages":[ {"role":"user","content":"é\u00e9 <&> 1"} ] , "temperature":1.0}`
	m.get("/v1/models")
	m.post("/v1/chat/completions", odd, "X-Weir-Customer: acme")
	m.post("/v1/unknown?q=1", "plain", "Content-Type: text/plain")
	kept := m.Requests()
	if len(kept) != 2 || m.Total() != 3 {
		t.Fatalf("%d kept of %d", len(kept), m.Total())
	}
	if string(kept[0].Body) != odd || kept[0].Model != "m" || kept[0].Method != http.MethodPost || kept[0].Header.Get("X-Weir-Customer") != "acme" {
		t.Errorf("kept: %+v", kept[0])
	}
	if kept[1].Path != "/v1/unknown?q=1" || string(kept[1].Body) != "plain" || time.Since(kept[1].Time) > time.Minute {
		t.Errorf("kept: %+v", kept[1])
	}
	m.Reset()
	if len(m.Requests()) != 0 || m.Total() != 0 {
		t.Error("Reset keeps requests")
	}
}

// The manual names every word and every member of a rule.
func TestManual(t *testing.T) {
	doc, err := os.ReadFile("../../docs/mock.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("behaviour.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(source), "var spells =")
	names := regexp.MustCompile(`(?m)^\t"(\w+)":`).FindAllStringSubmatch(table, -1)
	names = append(names, regexp.MustCompile("yaml:\"(\\w+)\"").FindAllStringSubmatch(string(source), -1)...)
	if len(names) < 50 {
		t.Fatalf("only %d names found", len(names))
	}
	for _, name := range names {
		if !regexp.MustCompile("`" + name[1] + "[`:-]").Match(doc) {
			t.Errorf("docs/mock.md does not name %s", name[1])
		}
	}
}
