package mockllm_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/mockllm"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	weatherTool = `{"type":"function","function":{"name":"get_weather","description":"The weather.","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":2}},"required":["city"]}}}`
	flatTool    = `{"type":"function","name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}`
	claudeTool  = `{"name":"get_weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}`
	geminiTool  = `{"functionDeclarations":[{"name":"get_weather","parameters":{"type":"OBJECT","properties":{"city":{"type":"STRING"}},"required":["city"]}}]}`
	person      = `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}`
)

// goldens are requests whose replies are kept whole in testdata/golden.
var goldens = []struct{ name, method, path, body string }{
	{"chat", "POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"Hello <you> & \"me\""}]}`},
	{"chat-stream-usage", "POST", "/v1/chat/completions", `{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hello"}]}`},
	{"chat-tool-stream", "POST", "/v1/chat/completions", `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hello"}],"tools":[` + weatherTool + `]}`},
	{"chat-n-logprobs", "POST", "/v1/chat/completions", `{"model":"gpt-4o","n":2,"logprobs":true,"top_logprobs":2,"messages":[{"role":"user","content":"é"}]}`},
	{"azure-stream", "POST", "/openai/deployments/mine/chat/completions?api-version=2024-10-21", `{"stream":true,"messages":[{"role":"user","content":"Hello"}]}`},
	{"completions-stream", "POST", "/v1/completions", `{"model":"gpt-3.5-turbo-instruct","stream":true,"prompt":"Once"}`},
	{"responses", "POST", "/v1/responses", `{"model":"gpt-5","input":"Hello"}`},
	{"responses-stream", "POST", "/v1/responses", `{"model":"gpt-5","stream":true,"input":"Hello","reasoning":{"effort":"low","summary":"auto"}}`},
	{"responses-tool-stream", "POST", "/v1/responses", `{"model":"gpt-5","stream":true,"input":"Hello","tools":[` + flatTool + `]}`},
	{"embeddings", "POST", "/v1/embeddings", `{"model":"text-embedding-3-small","input":["a","b"],"dimensions":4}`},
	{"embeddings-base64", "POST", "/v1/embeddings", `{"model":"text-embedding-3-small","input":"a","dimensions":4,"encoding_format":"base64"}`},
	{"moderations", "POST", "/v1/moderations", `{"input":"no violence here"}`},
	{"rerank", "POST", "/v1/rerank", `{"model":"rerank-v3.5","query":"a red car","documents":["a blue sea","the red car"],"top_n":2}`},
	{"image", "POST", "/v1/images/generations", `{"model":"gpt-image-1","prompt":"A cat"}`},
	{"messages", "POST", "/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}`},
	{"messages-thinking-stream", "POST", "/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":2000,"stream":true,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"Hello"}]}`},
	{"messages-tool-stream", "POST", "/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Hello"}],"tools":[` + claudeTool + `]}`},
	{"messages-cached", "POST", "/v1/messages", `{"model":"claude-mock-cached-100","max_tokens":100,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":"Hello"}]}`},
	{"count-tokens", "POST", "/v1/messages/count_tokens", `{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hello"}]}`},
	{"generate", "POST", "/v1beta/models/gemini-2.5-flash:generateContent", `{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}`},
	{"generate-tool", "POST", "/v1beta/models/gemini-2.5-flash:generateContent", `{"contents":[{"role":"user","parts":[{"text":"Hello"}]}],"tools":[` + geminiTool + `]}`},
	{"generate-sse", "POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", `{"contents":[{"role":"user","parts":[{"text":"Hello"}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}`},
	{"generate-array", "POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", `{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}`},
	{"embed", "POST", "/v1beta/models/gemini-embedding-001:embedContent", `{"content":{"parts":[{"text":"a"}]},"outputDimensionality":4}`},
	{"models-openai", "GET", "/v1/models", ""},
	{"error-openai", "POST", "/v1/chat/completions", `{"model":"mock-error-429","messages":[{"role":"user","content":"Hello"}]}`},
	{"error-anthropic", "POST", "/v1/messages", `{"model":"mock-error-529","max_tokens":1,"messages":[{"role":"user","content":"Hello"}]}`},
	{"error-gemini", "POST", "/v1beta/models/mock-error-503:generateContent", `{"contents":[{"parts":[{"text":"Hello"}]}]}`},
	{"echo", "POST", "/v1/conversations?x=1", `{"items":[]}`},
}

// The same request has the same reply, down to the byte, in every run.
func TestGolden(t *testing.T) {
	m := start(t, mockllm.Options{})
	for _, g := range goldens {
		r := m.send(g.method, g.path, g.body, "User-Agent: test")
		if again := m.send(g.method, g.path, g.body, "User-Agent: test"); again.body != r.body {
			t.Errorf("%s: a second reply differs", g.name)
		}
		got := fmt.Sprintf("%s %s\n%s\n\n%d %s\n%s", g.method, g.path, g.body, r.status, r.header.Get("Content-Type"), strings.ReplaceAll(r.body, "\r\n", "\\r\n"))
		file := filepath.Join("testdata", "golden", g.name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", g.name, got, want)
		}
	}
}

// The goldens hold one file per case, and no case is left without.
func TestGoldenFiles(t *testing.T) {
	files, err := os.ReadDir("testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(goldens) {
		t.Errorf("%d files for %d cases", len(files), len(goldens))
	}
}

func TestHeaders(t *testing.T) {
	m := start(t, mockllm.Options{})
	check := func(path, body string, names ...string) {
		t.Helper()
		r := m.post(path, body)
		if r.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, r.status, r.body)
		}
		for _, name := range names {
			if r.header.Get(name) == "" {
				t.Errorf("%s: no %s", path, name)
			}
		}
	}
	check("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"a"}]}`,
		"X-Request-Id", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Tokens", "Openai-Processing-Ms")
	check("/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}`,
		"Request-Id", "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Input-Tokens-Reset")
	check("/openai/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"a"}]}`, "Apim-Request-Id", "X-Ms-Region")
}
