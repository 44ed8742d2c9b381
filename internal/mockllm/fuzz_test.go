package mockllm

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever comes, there is an answer: no panic but the one that cuts a
// connection, JSON where JSON is said, and the same answer the next time.
func FuzzServe(f *testing.F) {
	paths := []string{
		"/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/moderations", "/v1/images/generations",
		"/v1/audio/speech", "/v1/rerank", "/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches", "/v1/files", "/v1/batches",
		"/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent?alt=sse", "/v1beta/models/m:embedContent",
		"/v1beta/models/m:batchEmbedContents", "/v1beta/models/m:countTokens", "/v1beta/cachedContents", "/v1beta/files", "/v1/other",
		"/openai/deployments/d/chat/completions?api-version=1",
	}
	bodies := []string{
		`{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":5}`,
		`{"model":"m","stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024}}`,
		`{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"array","items":{"$ref":"#"}}}}}}]}`,
		`{"model":"m","input":[{"role":"user","content":"a"}],"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"string","pattern":"[^a]+(b|c){2}"}}}}`,
		`{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"candidateCount":2,"responseSchema":{"type":"NUMBER","multipleOf":0}}}`,
		`{"requests":[{"custom_id":"a","params":{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"}]}}]}`,
		`{"model":"mock-n","n":128,"prompt":["a",[1,2]],"input":[[1],"b"],"dimensions":-1,"query":"a","documents":[{"text":"b"},7]}`,
		`[]`, `null`, `7`, `{"model":null}`, ``, "\xff",
	}
	for i := range paths {
		for _, b := range bodies {
			f.Add(i, b)
		}
	}
	s := New(Options{Lax: true})
	f.Fuzz(func(t *testing.T, i int, body string) {
		if i < 0 || strings.Contains(body, "mock-") && !strings.Contains(body, "mock-n") {
			return // words that hang or cut do as they say
		}
		path := paths[i%len(paths)]
		ask := func() (int, string, string) {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Anthropic-Version", "2023-06-01")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w.Code, w.Header().Get("Content-Type"), w.Body.String()
		}
		status, kind, said := ask()
		if status < 200 || status >= 500 && status != http.StatusNotImplemented {
			t.Fatalf("%s %q: %d %s", path, body, status, said)
		}
		if strings.HasPrefix(kind, "application/json") && !json.Valid([]byte(said)) {
			t.Fatalf("%s %q: no JSON: %s", path, body, said)
		}
		if _, _, again := ask(); again != said && !strings.Contains(path, "atches") && !strings.Contains(path, "files") {
			t.Fatalf("%s %q: two answers:\n%s\n%s", path, body, said, again)
		}
	})
}
