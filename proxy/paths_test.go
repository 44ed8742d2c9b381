package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// reply is a success of the API at a path.
func anyReply(w http.ResponseWriter, r *http.Request, body string) {
	reply := chatReply
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1beta"):
		reply = `{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2},"embedding":{"values":[1]},"totalTokens":3}`
	case strings.HasSuffix(r.URL.Path, "/messages"):
		reply = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`
	}
	says(200, reply)(w, r, body)
}

// Every row of the data plane's table reaches the right place, with the right
// credential.
func TestPathsReachTheirUpstream(t *testing.T) {
	check := func(kind, base, method, path, body, want, wantAPI string, headers ...string) {
		t.Helper()
		v := newVendor(t, anyReply)
		g := newRig(t, Settings{Providers: []ProviderSettings{{Name: "up", Kind: kind, BaseURL: v.url + base, APIKey: "sk-upstream", Models: []string{"*"}, Deployments: map[string]string{"gpt-4o": "my dep"}}}})
		resp, got := g.do(method, path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
		if resp.StatusCode != 200 {
			t.Errorf("%s %s: %d %s", method, path, resp.StatusCode, got)
			return
		}
		up := v.last()
		if up.uri != want || up.method != method {
			t.Errorf("%s %s at a %s with %q went to %s %s, want %s", method, path, kind, base, up.method, up.uri, want)
		}
		header := map[string]string{"anthropic": "X-Api-Key", "gemini": "X-Goog-Api-Key", "azure": "Api-Key"}[kind]
		secret := up.header.Get(header)
		if header == "" {
			secret = strings.TrimPrefix(up.header.Get("Authorization"), "Bearer ")
		}
		if secret != "sk-upstream" || strings.Contains(up.uri, "sk-client") {
			t.Errorf("%s %s at a %s: headers %v", method, path, kind, up.header)
		}
		if c := g.one(); c.API != wantAPI || c.Path == "" || c.Method != method {
			t.Errorf("%s %s: call %+v", method, path, c)
		}
	}
	const m = `{"model":"m","input":"x","messages":[]}`
	for path, api := range map[string]string{
		"chat/completions": "chat", "responses": "responses", "completions": "completions", "embeddings": "embeddings", "moderations": "moderations",
		"images/generations": "images", "audio/speech": "speech", "rerank": "rerank", "batches": "batches",
		"conversations": "raw", "fine_tuning/jobs": "raw", "vector_stores/vs_1/files": "raw", "videos": "raw",
	} {
		check("openai", "/v1", "POST", "/v1/"+path, m, "/v1/"+path, api)
	}
	for path, api := range map[string]string{"files": "files", "files/file-1/content": "files", "batches/b_1": "batches", "responses/resp_1": "responses_stored", "responses/resp_1/input_items?limit=2&after=x": "responses_stored", "chat/completions?limit=1": "raw"} {
		check("openai", "/v1", "GET", "/v1/"+path, "", "/v1/"+path, api)
	}
	check("openai", "/openai/v1/", "POST", "/v1/chat/completions", m, "/openai/v1/chat/completions", "chat")
	check("openai", "", "POST", "/v1/chat/completions", m, "/chat/completions", "chat")
	check("openai", "/v1", "GET", "/v1/files/a%2Fb%20c?x=a%2Fb&y=%C3%A9", "", "/v1/files/a%2Fb%20c?x=a%2Fb&y=%C3%A9", "files")
	check("openai", "/v1", "DELETE", "/v1/responses/resp_1", "", "/v1/responses/resp_1", "responses_stored")
	check("vllm", "/v1", "POST", "/v1/chat/completions", m, "/v1/chat/completions", "chat")
	check("ollama", "/v1", "POST", "/v1/embeddings", m, "/v1/embeddings", "embeddings")

	v := []string{"Anthropic-Version", "2023-06-01"}
	for _, base := range []string{"", "/v1", "/"} {
		check("anthropic", base, "POST", "/v1/messages?beta=true", m, "/v1/messages?beta=true", "messages", v...)
	}
	check("anthropic", "/prefix", "POST", "/v1/messages", m, "/prefix/v1/messages", "messages", v...)
	check("anthropic", "", "POST", "/v1/messages/count_tokens", m, "/v1/messages/count_tokens", "count_tokens", v...)
	check("anthropic", "", "POST", "/v1/messages/batches", m, "/v1/messages/batches", "batches", v...)
	check("anthropic", "", "GET", "/v1/messages/batches/b_1/results", "", "/v1/messages/batches/b_1/results", "batches", v...)
	check("anthropic", "", "GET", "/v1/files/file_1", "", "/v1/files/file_1", "files", v...)

	const q = `{"contents":[]}`
	for _, base := range []string{"", "/v1beta"} {
		for verb, api := range map[string]string{"generateContent": "generate", "embedContent": "embeddings", "batchEmbedContents": "embeddings", "countTokens": "count_tokens"} {
			check("gemini", base, "POST", "/v1beta/models/gemini-x:"+verb+"?key=sk-client", q, "/v1beta/models/gemini-x:"+verb, api)
		}
	}
	check("gemini", "", "GET", "/v1beta/files/abc?k%65y=sk-client&pageSize=2", "", "/v1beta/files/abc?pageSize=2", "files")
	check("gemini", "", "GET", "/v1beta/cachedContents/abc", "", "/v1beta/cachedContents/abc", "cached_contents")
	check("gemini", "", "POST", "/upload/v1beta/files?uploadType=resumable", q, "/upload/v1beta/files?uploadType=resumable", "files")
	check("gemini", "", "POST", "/v1beta/models/up/gemini-x:generateContent", q, "/v1beta/models/gemini-x:generateContent", "generate")

	// Azure: deployments stand for models, in the older form of its URLs.
	const d = `{"model":"gpt-4o","messages":[]}`
	const version = "?api-version=2024-10-21"
	check("azure", "", "POST", "/v1/chat/completions", d, "/openai/deployments/my%20dep/chat/completions"+version, "chat")
	check("azure", "", "POST", "/v1/chat/completions?api-version=1&x=2", d, "/openai/deployments/my%20dep/chat/completions"+version+"&x=2", "chat")
	check("azure", "", "POST", "/v1/responses", d, "/openai/responses"+version, "responses")
	check("azure", "", "GET", "/v1/files", "", "/openai/files"+version, "files")
	check("azure", "/openai/v1", "POST", "/v1/chat/completions", d, "/openai/v1/chat/completions", "chat")
	check("azure", "", "POST", "/providers/up/openai/deployments/x/chat/completions?api-version=9", d, "/openai/deployments/x/chat/completions?api-version=9", "raw")
	check("azure", "/openai/v1", "POST", "/providers/up/openai/v1/videos", d, "/openai/v1/videos", "raw")

	// Raw: /providers/{name} stands for the provider's base URL.
	check("openai", "/v1", "POST", "/providers/up/chat/completions", m, "/v1/chat/completions", "chat")
	check("openai", "/v1", "POST", "/providers/up/v1/chat/completions", m, "/v1/chat/completions", "chat")
	check("anthropic", "", "POST", "/providers/up/v1/messages", m, "/v1/messages", "messages")
	check("gemini", "", "POST", "/providers/up/v1beta/models/g:generateContent", q, "/v1beta/models/g:generateContent", "generate")
	for _, path := range []string{"/v1/chat/completions", "/v1/messages", "/v1beta/models/mock-x:generateContent"} {
		check("mock", "", "POST", path, m, path, map[string]string{"/v1/chat/completions": "chat", "/v1/messages": "messages"}[path]+strings.Repeat("generate", strings.Count(path, "v1beta")))
	}
}

func TestRouteMapsTheModelOfAPath(t *testing.T) {
	for _, kind := range []string{"gemini", "mock"} {
		v := newVendor(t, anyReply)
		g := newRig(t, Settings{Providers: []ProviderSettings{at("up", kind, v.url)}, Routes: []RouteSettings{{Model: "fast", Targets: []TargetSettings{{Provider: "up", Model: "gemini-2.5-flash"}}}}})
		resp, got := g.post("/v1beta/models/fast:generateContent", `{"contents":[]}`)
		if up := v.last(); resp.StatusCode != 200 || up.uri != "/v1beta/models/gemini-2.5-flash:generateContent" {
			t.Errorf("%s: %d %s: %s", kind, resp.StatusCode, got, up.uri)
		}
		if c := g.one(); c.AskedModel != "fast" || c.Model != "gemini-2.5-flash" || c.Route != "fast" {
			t.Errorf("call %+v", c)
		}
	}
}

// Google's SDKs repeat the path's model in the body of embeddings.
func TestModelOfAPathRepeatedInTheBody(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "gemini", v.url)}, Routes: []RouteSettings{{Model: "fast", Targets: []TargetSettings{{Provider: "up", Model: "e-2"}}}}})
	check := func(model, body, want string) {
		t.Helper()
		resp, got := g.post("/v1beta/models/"+model+":embedContent", body)
		if up := v.last(); resp.StatusCode != 200 || up.body != want {
			t.Errorf("%s %s: %d %s; went up as %s", model, body, resp.StatusCode, got, up.body)
		}
	}
	check("e-1", `{"model":"models/e-1","content":{}}`, `{"model":"models/e-1","content":{}}`)
	check("fast", `{"model":"models/fast","content":{}}`, `{"model":"models/e-2","content":{}}`)
	check("up/e-1", `{"model":"models/up/e-1","content":{}}`, `{"model":"models/e-1","content":{}}`)
	if c := g.calls(3)[0]; c.AskedModel != "e-1" {
		t.Errorf("call %+v", c)
	}
}

func TestAzureMapsDeploymentsInTheBody(t *testing.T) {
	v := newVendor(t, anyReply)
	p := at("az", "azure", v.url+"/openai/v1")
	p.Deployments = map[string]string{"gpt-4o": "mine"}
	g := newRig(t, Settings{Providers: []ProviderSettings{p}})
	g.post("/v1/chat/completions", `{"model":"gpt-4o"}`)
	if got := v.last().body; got != `{"model":"mine"}` {
		t.Errorf("went up as %s", got)
	}
}

func TestPathsThatAreNotServed(t *testing.T) {
	v := newVendor(t, anyReply)
	p, q := at("gpu", "vllm", v.url+"/v1"), at("lap", "ollama", v.url)
	g := newRig(t, Settings{Providers: []ProviderSettings{p, q}})
	check := func(method, path string, want int) {
		t.Helper()
		resp, got := g.do(method, path, `{"model":"gpu/m"}`, "Content-Type", "application/json")
		if resp.StatusCode != want || !json.Valid([]byte(got)) && method != "HEAD" {
			t.Errorf("%s %s: %d %s", method, path, resp.StatusCode, got)
		}
	}
	for _, path := range []string{"/", "/admin", "/v1", "/v1/../admin", "/v1/%2e%2e/admin", "//admin", "/v1//../../admin", "/metrics", "/api/v1/keys", "/v2/chat", "/providers", "/providers/", "/providers/nobody/v1/models"} {
		check("POST", path, 404)
	}
	for _, path := range []string{"/v1/..%2fadmin", "/v1/%2e%2e%2fadmin", "/v1/..%5cadmin", "/v1/a%0d%0ab", "/v1/%00"} {
		check("POST", path, 400)
	}
	for _, name := range []string{"gpu", "lap"} {
		for _, path := range []string{"/api/pull", "/api/create", "/sleep", "/wake_up", "/load_lora_adapter", "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/slots", "/slots/1", "/metrics", "/v1/api/pull", "//api/pull", "/./api/pull", "/v1/%2e%2e/api/pull", "/reset_prefix_cache", "/api%2fpull"} {
			check("POST", "/providers/"+name+path, 403)
		}
		resp, got := g.post("/v1/load_lora_adapter", `{"lora_name":"x"}`, "X-Weir-Provider", name)
		if resp.StatusCode != 403 {
			t.Errorf("%s: %d %s", name, resp.StatusCode, got)
		}
	}
	check("TRACE", "/v1/models", 405)
	check("PROPFIND", "/v1/models", 405)
	if n := len(v.seen()); n != 0 {
		t.Errorf("%d requests went up, the last %s", n, v.last().uri)
	}
	check("POST", "/v1/./chat//completions", 200)
	if got := v.last().uri; got != "/v1/chat/completions" {
		t.Errorf("went to %s", got)
	}
}

func TestWebSocketsAreRefusedByName(t *testing.T) {
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt("http://127.0.0.1:1")}})
	resp, got := g.do("GET", "/v1/realtime?model=gpt-4o", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	if resp.StatusCode != 501 || !strings.Contains(got, "not_in_this_version") || resp.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

func TestHeadersOfLaterVersionsAreRefusedByName(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	for _, h := range []string{"X-Weir-Prompt", "X-Weir-Vars", "X-Weir-Dry-Run", "X-Weir-Cache"} {
		if resp, got := g.post("/v1/chat/completions", chatBody, h, "on"); resp.StatusCode != 501 || !strings.Contains(got, strings.ToLower(h)) {
			t.Errorf("%s: %d %s", h, resp.StatusCode, got)
		}
	}
	if resp, got := g.post("/v1/chat/completions", chatBody, "X-Weir-Cache", "off"); resp.StatusCode != 200 {
		t.Errorf("off: %d %s", resp.StatusCode, got)
	}
}

func TestModels(t *testing.T) {
	list := func(ids ...string) string {
		return fmt.Sprintf(`{"object":"list","data":[{"id":"%s"}]}`, strings.Join(ids, `"},{"id":"`))
	}
	one := newVendor(t, says(200, list("a", "b")))
	two := newVendor(t, says(200, list("b", "c")))
	claude := newVendor(t, says(200, `{"data":[{"id":"claude-9"}]}`))
	gem := newVendor(t, says(200, `{"models":[{"name":"models/gemini-9"}]}`))
	dead := at("dead", "openai", "http://127.0.0.1:1/v1")
	p1, p2, p3, p4 := at("one", "openai", one.url+"/v1"), at("two", "openai", two.url+"/v1"), at("claude", "anthropic", claude.url), at("gem", "gemini", gem.url)
	for _, p := range []*ProviderSettings{&p1, &p2, &p3, &p4, &dead} {
		p.Models = nil
	}
	g := newRig(t, Settings{Providers: []ProviderSettings{p1, p2, p3, p4, dead}, Routes: []RouteSettings{route("fast", []string{"one"}, nil), route("gpt-*", []string{"one"}, nil)}})
	check := func(path, want string, headers ...string) {
		t.Helper()
		resp, got := g.do("GET", path, "", headers...)
		var l struct {
			Data   []struct{ ID string }
			Models []struct{ Name string }
		}
		if err := json.Unmarshal([]byte(got), &l); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", path, resp.StatusCode, got)
		}
		var names []string
		for _, m := range l.Data {
			names = append(names, m.ID)
		}
		for _, m := range l.Models {
			names = append(names, m.Name)
		}
		if s := strings.Join(names, " "); s != want {
			t.Errorf("%s: %s, want %s", path, s, want)
		}
	}
	check("/v1/models", "fast a one/b two/b c claude-9 gemini-9")
	check("/v1/models", "fast claude-9 a one/b two/b c gemini-9", "Anthropic-Version", "2023-06-01")
	check("/v1beta/models", "models/fast models/gemini-9 models/a models/one/b models/two/b models/c models/claude-9")
	for path, want := range map[string]int{"/v1/models/a": 200, "/v1/models/fast": 200, "/v1/models/one%2Fb": 200, "/v1/models/one/b": 200, "/v1/models/gpt-5": 200, "/v1/models/zzz": 404} {
		if resp, got := g.do("GET", path, ""); resp.StatusCode != want {
			t.Errorf("%s: %d %s", path, resp.StatusCode, got)
		}
	}
	// A model that only one upstream lists is found there; one that several list is not guessed.
	if resp, _ := g.post("/v1/chat/completions", `{"model":"c"}`); resp.Header.Get("X-Weir-Provider") != "two" && !strings.HasSuffix(two.last().uri, "/chat/completions") {
		t.Errorf("c went elsewhere: %v", resp.Header)
	}
	if resp, got := g.post("/v1/chat/completions", `{"model":"b"}`); resp.StatusCode != 404 || !strings.Contains(got, "one, two") {
		t.Errorf("b: %d %s", resp.StatusCode, got)
	}
	if resp, got := g.do("HEAD", "/v1/models", ""); resp.StatusCode != 200 || got != "" || resp.ContentLength <= 0 {
		t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
}
