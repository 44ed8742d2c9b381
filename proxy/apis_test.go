package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"weir/internal/mockllm"
	"weir/proxy/wire"
	"weir/proxy/wire/neutral"
)

// partly is the strict mock as a server that has not all of its paths: what
// refuse answers for goes no further.
func partly(t *testing.T, refuse func(path, body string) (status int, reply string)) *vendor {
	t.Helper()
	mock := mockllm.New(mockllm.Options{})
	t.Cleanup(mock.Close)
	return newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if status, reply := refuse(r.URL.Path, body); status != 0 {
			says(status, reply)(w, r, body)
			return
		}
		r.Body = http.NoBody
		if body != "" {
			r.Body = readCloser{strings.NewReader(body)}
		}
		mock.ServeHTTP(w, r)
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// paths are the paths of what an upstream was asked, in order.
func (v *vendor) paths() (out []string) {
	for _, r := range v.seen() {
		path, _, _ := strings.Cut(r.uri, "?")
		out = append(out, path)
	}
	return out
}

// TestAPIs: what each kind is asked by, and what a configuration makes of it.
func TestAPIs(t *testing.T) {
	check := func(s ProviderSettings, want string) {
		t.Helper()
		s.Name = "p"
		got, err := APIs(s)
		if err != nil {
			got = []string{err.Error()}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: %q, want %q", s, strings.Join(got, " "), want)
		}
	}
	const rest = " completions embeddings moderations images speech transcriptions rerank"
	check(ProviderSettings{Kind: "openai"}, "chat responses"+rest)
	check(ProviderSettings{Kind: "openai", BaseURL: "https://api.groq.com/openai/v1"}, "chat"+rest+" responses?")
	check(ProviderSettings{Kind: "vllm"}, "chat"+rest+" responses?")
	check(ProviderSettings{Kind: "ollama"}, "chat"+rest+" responses?")
	check(ProviderSettings{Kind: "azure", BaseURL: "https://x.openai.azure.com/openai/v1"}, "chat responses"+rest)
	check(ProviderSettings{Kind: "azure", BaseURL: "https://x.openai.azure.com"}, "chat"+rest+" responses?")
	check(ProviderSettings{Kind: "azure", BaseURL: "https://x.openai.azure.com", APIVersion: "2025-04-01-preview"}, "chat responses"+rest)
	check(ProviderSettings{Kind: "anthropic"}, "messages")
	check(ProviderSettings{Kind: "gemini"}, "generate embeddings")
	check(ProviderSettings{Kind: "mock", BaseURL: "http://127.0.0.1:1"}, "chat responses messages generate"+rest)
	check(ProviderSettings{Kind: "vllm", APIs: []string{"chat", "messages"}}, "chat messages")
	check(ProviderSettings{Kind: "openai", APIs: []string{"responses"}}, "responses")
	check(ProviderSettings{Kind: "gemini", APIs: []string{"chat"}}, "apis: kind gemini is never asked by chat")
	check(ProviderSettings{Kind: "openai", APIs: []string{"chats"}}, `apis: there is no API named "chats"`)
}

// TestAskedBy: the client's own API goes first, then what a model is best
// asked by, then what the provider has.
func TestAskedBy(t *testing.T) {
	endpoints := map[string]wire.Endpoint{
		"chat": {API: wire.Chat, Dialect: wire.OpenAI}, "responses": {API: wire.Responses, Dialect: wire.OpenAI},
		"messages": {API: wire.Messages, Dialect: wire.Anthropic}, "generate": {API: wire.Generate, Dialect: wire.Gemini},
		"stream":     {API: wire.StreamGenerate, Dialect: wire.Gemini, Stream: true},
		"embeddings": {API: wire.Embeddings, Dialect: wire.OpenAI}, "files": {API: wire.Files, Dialect: wire.Anthropic},
	}
	check := func(s ProviderSettings, client, model, want string) {
		t.Helper()
		p, err := newProvider(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := endpoints[client]
		got := "no"
		if api, ok := p.askedBy(&e, model, 0); ok {
			got = api.String()
		}
		if got != want {
			t.Errorf("%s %v: %s for %s: by %s, want %s", s.Kind, s.APIs, client, model, got, want)
		}
	}
	openai := ProviderSettings{Kind: "openai"}
	for _, model := range []string{"gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "gpt-5.2-chat-latest", "chatgpt-4o-latest", "gpt-4o-search-preview"} {
		for client, want := range map[string]string{"chat": "chat", "responses": "responses", "messages": "chat", "generate": "chat", "stream": "chat"} {
			check(openai, client, model, want)
		}
	}
	for _, model := range []string{"o1", "o3-mini", "o4-mini", "gpt-5", "gpt-5.4-mini", "gpt-6-astra"} {
		for client, want := range map[string]string{"chat": "chat", "responses": "responses", "messages": "responses", "generate": "responses", "stream": "responses"} {
			check(openai, client, model, want)
		}
	}
	for _, model := range []string{"o1-pro", "o3-pro-2025-06-10", "o4-mini-deep-research", "gpt-5-pro", "gpt-5.5-pro-2026-04-23", "gpt-5-codex", "gpt-5.1-codex-max", "codex-mini-latest", "computer-use-preview", "gpt-6-cyber"} {
		for client := range map[string]string{"chat": "", "responses": "", "messages": "", "generate": ""} {
			check(openai, client, model, "responses")
		}
	}
	vllm := ProviderSettings{Kind: "vllm"}
	check(vllm, "responses", "qwen", "responses") // it may have it
	check(vllm, "messages", "qwen", "chat")
	check(vllm, "messages", "gpt-5", "chat") // a name that somebody gave it
	vllm.APIs = []string{"chat", "messages"}
	check(vllm, "messages", "qwen", "messages")
	check(vllm, "responses", "qwen", "chat")
	check(vllm, "generate", "qwen", "chat")
	check(vllm, "embeddings", "qwen", "no")
	only := ProviderSettings{Kind: "openai", BaseURL: "https://gw.example/v1", APIs: []string{"responses"}}
	for _, client := range []string{"chat", "responses", "messages", "generate"} {
		check(only, client, "m", "responses")
	}
	claude := ProviderSettings{Kind: "anthropic"}
	check(claude, "chat", "claude-x", "messages")
	check(claude, "files", "", "files")
	check(claude, "embeddings", "claude-x", "no")
	claude.APIs = []string{"messages", "chat"}
	check(claude, "chat", "claude-x", "chat")
	check(claude, "generate", "claude-x", "messages")
	check(ProviderSettings{Kind: "gemini"}, "responses", "gemini-x", "generate")
}

// noResponses are the answers of real servers to a path that they have not.
var noResponses = []struct {
	server string
	status int
	body   string
}{
	{"Ollama, before it had them", 404, "404 page not found"},
	{"vLLM, before it had them", 404, `{"detail":"Not Found"}`},
	{"llama.cpp", 404, `{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}`},
	{"TGI", 404, ""},
	{"Groq", 404, `{"error":{"message":"Unknown request URL: POST /openai/v1/responses. Please check the URL for typos, or see the docs at https://console.groq.com/docs/","type":"invalid_request_error","code":"unknown_url"}}`},
	{"OpenAI's own words", 404, `{"error":{"message":"Invalid URL (POST /v1/responses)","type":"invalid_request_error","param":null,"code":null}}`},
	{"Mistral", 404, `{"message":"no Route matched with those values","request_id":"4e66"}`},
	{"LM Studio", 200, `{"error":"Unexpected endpoint or method. (POST /v1/responses)"}`},
	{"Express", 404, "<!DOCTYPE html><html><body><pre>Cannot POST /v1/responses</pre></body></html>"},
	{"nginx", 405, "<html><head><title>405 Not Allowed</title></head></html>"},
	{"a server that does not yet", 501, `{"error":{"message":"not implemented"}}`},
	{"a gateway of AWS", 403, `{"message":"Missing Authentication Token"}`},
	{"words that nobody knows", 404, `{"error":{"message":"nix"}}`},
}

// A server that turns out not to have the Responses API is asked by chat
// completions at once, and from then on; the client sees nothing of it.
func TestResponsesReachesChatServers(t *testing.T) {
	for _, c := range noResponses {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s stream %v", c.server, stream), func(t *testing.T) {
				v := partly(t, func(path, _ string) (int, string) {
					if path == "/v1/responses" {
						return c.status, c.body
					}
					return 0, ""
				})
				s := Settings{Providers: []ProviderSettings{at("up", "openai", v.url+"/v1")}}
				g := newRig(t, s)
				ask := fmt.Sprintf(`{"model":"llama","input":"hello there","stream":%v}`, stream)
				for i := range 3 {
					if i == 2 { // a reload forgets nothing
						if err := g.proxy.Apply(s); err != nil {
							t.Fatal(err)
						}
					}
					resp, body := g.post("/v1/responses", ask)
					text := ""
					if stream {
						told, err := mockllm.ReadStream(wire.Responses, []byte(body))
						if err != nil {
							t.Errorf("%v\n%s", err, body)
						}
						text = told.Text
					} else if resp.StatusCode == 200 {
						text = said(t, wire.Responses, body).Text
					}
					if resp.StatusCode != 200 || !strings.Contains(text, "hello there") {
						t.Fatalf("%d %s", resp.StatusCode, body)
					}
				}
				want := []string{"/v1/responses", "/v1/chat/completions", "/v1/chat/completions", "/v1/chat/completions"}
				if got := v.paths(); !slices.Equal(got, want) {
					t.Errorf("asked %q, want %q", got, want)
				}
				if p := g.proxy.state.Load().byName["up"]; slices.Contains(p.apis(), "responses?") {
					t.Errorf("apis %q", p.apis())
				}
			})
		}
	}
}

// Replies are kept for the clients of such a server from the first call on.
func TestLearnedServersHaveState(t *testing.T) {
	v := partly(t, func(path, _ string) (int, string) {
		if path == "/v1/responses" {
			return 404, "404 page not found"
		}
		return 0, ""
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "ollama", v.url+"/v1")}}, keeping)
	first := g.respond("llama", false, `,"store":true,"input":"hello there"`)
	second := g.respond("llama", true, fmt.Sprintf(`,"store":true,"input":"and again","previous_response_id":%q`, first.ID))
	if got := v.last().body; !strings.Contains(second.text(), "and again") || !strings.Contains(got, "hello there") {
		t.Errorf("%s\nthe server was told %s", second.raw, got)
	}
	if got, want := v.paths(), []string{"/v1/responses", "/v1/chat/completions", "/v1/chat/completions"}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

// What is not found there need not be the path.
func TestResponsesRefusedForAnotherReason(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
	}{
		{404, "{\"error\":{\"message\":\"The model `llama` does not exist or you do not have access to it.\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"}}"},
		{404, "{\"object\":\"error\",\"message\":\"The model `llama` does not exist.\",\"type\":\"NotFoundError\",\"param\":null,\"code\":404}"},
		{404, `{"error":{"message":"model \"llama\" not found, try pulling it first","type":"api_error","param":null,"code":null}}`},
		{404, `{"error":{"message":"llama is unknown here"}}`},
		{404, `{"error":{"message":"Response with id 'resp_1' not found.","type":"invalid_request_error"}}`},
		{404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`},
		{400, `{"error":{"message":"Invalid URL: the image could not be fetched","type":"invalid_request_error"}}`},
		{403, `{"error":{"message":"Project has no access.","type":"invalid_request_error"}}`},
		{422, `{"detail":[{"type":"missing","loc":["body","input"],"msg":"Field required"}]}`},
		{500, `{"error":{"message":"page not found in cache"}}`},
	} {
		v := newVendor(t, says(c.status, c.body))
		g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "openai", v.url+"/v1")}})
		for range 2 {
			if resp, body := g.post("/v1/responses", `{"model":"llama","input":"x"}`); resp.StatusCode != c.status || body != c.body {
				t.Errorf("%s: became %d %s", c.body, resp.StatusCode, body)
			}
		}
		if got := v.paths(); !slices.Equal(got, []string{"/v1/responses", "/v1/responses"}) {
			t.Errorf("%s: asked %q", c.body, got)
		}
	}
}

// Where it is not sure what a 404 means, it is only remembered once chat
// completions have worked; and a provider that is said to have the Responses
// API is taken at its word.
func TestResponsesNotLearnedInVain(t *testing.T) {
	v := newVendor(t, says(404, `{"error":{"message":"nix"}}`))
	g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "openai", v.url+"/v1")}})
	for range 2 {
		if resp, body := g.post("/v1/responses", `{"model":"llama","input":"x"}`); resp.StatusCode != 404 {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
	if got := v.paths(); !slices.Equal(got, []string{"/v1/responses", "/v1/chat/completions", "/v1/responses", "/v1/chat/completions"}) {
		t.Errorf("asked %q", got)
	}
	v = newVendor(t, says(404, ""))
	said := at("up", "openai", v.url+"/v1")
	said.APIs = []string{"chat", "responses"}
	g = newRig(t, Settings{Providers: []ProviderSettings{said}})
	g.post("/v1/responses", `{"model":"llama","input":"x"}`)
	if got := v.paths(); !slices.Equal(got, []string{"/v1/responses"}) {
		t.Errorf("asked %q", got)
	}
}

// No retry is spent, no breaker counts it, and a fallback is not gone to.
func TestLearningCostsNoRetry(t *testing.T) {
	v := partly(t, func(path, _ string) (int, string) {
		if path == "/v1/responses" {
			return 501, ""
		}
		return 0, ""
	})
	other := newVendor(t, anyReply)
	g := newRig(t, Settings{
		Providers: []ProviderSettings{at("up", "vllm", v.url+"/v1"), at("other", "openai", other.url+"/v1")},
		Routes:    []RouteSettings{route("m", []string{"up"}, []string{"other"})},
	})
	resp, body := g.post("/v1/responses", `{"model":"m","input":"x"}`)
	if resp.StatusCode != 200 || resp.Header.Get("X-Weir-Provider") != "up" || len(other.seen()) != 0 {
		t.Errorf("%d %s from %s", resp.StatusCode, body, resp.Header.Get("X-Weir-Provider"))
	}
	c := g.one()
	if len(c.Attempts) != 2 || c.Attempts[0].Status != 501 || c.Attempts[1].Status != 200 {
		t.Errorf("attempts %+v", c.Attempts)
	}
}

// A model that OpenAI serves by Responses alone is asked by that, whether it
// is known or turns out so.
func TestChatOnResponsesOnlyModels(t *testing.T) {
	refusals := 0
	v := partly(t, func(path, body string) (int, string) {
		if path == "/v1/chat/completions" && strings.Contains(body, "gpt-9-deep") {
			refusals++
			return 404, `{"error":{"message":"This model is only supported in v1/responses and not in v1/chat/completions.","type":"invalid_request_error","param":"model","code":null}}`
		}
		return 0, ""
	})
	up := at("up", "openai", v.url+"/v1")
	up.APIs = []string{"chat", "responses"}
	g := newRig(t, Settings{Providers: []ProviderSettings{up}})
	for _, model := range []string{"gpt-5-codex", "gpt-9-deep", "gpt-9-deep"} {
		resp, body := g.post("/v1/chat/completions", fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hello there"}]}`, model), "Openai-Organization", "org-1")
		if resp.StatusCode != 200 || !strings.Contains(said(t, wire.Chat, body).Text, "hello there") {
			t.Errorf("%s: %d %s", model, resp.StatusCode, body)
		}
		if got := v.last().header.Get("Openai-Organization"); got != "org-1" {
			t.Errorf("the vendor's own header is %q", got)
		}
	}
	if want := []string{"/v1/responses", "/v1/chat/completions", "/v1/responses", "/v1/responses"}; !slices.Equal(v.paths(), want) || refusals != 1 {
		t.Errorf("asked %q", v.paths())
	}
	g.post("/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}`)
	if got := v.last().uri; got != "/v1/chat/completions" {
		t.Errorf("another model is asked by %s", got)
	}
}

// Claude Code's bytes pass to a local server that has the Messages API.
func TestMessagesPassWhereConfigured(t *testing.T) {
	v := partly(t, func(string, string) (int, string) { return 0, "" })
	up := at("gpu", "vllm", v.url+"/v1")
	up.APIs = []string{"chat", "messages"}
	g := newRig(t, Settings{Providers: []ProviderSettings{up}})
	ask := `{"model":"qwen","max_tokens":50,  "messages":[{"role":"user","content":"hello there"}]}`
	resp, body := g.post("/v1/messages", ask, "Anthropic-Version", "2023-06-01", "Anthropic-Beta", "b-1")
	got := v.last()
	if resp.StatusCode != 200 || got.uri != "/v1/messages" || got.body != ask || got.header.Get("Anthropic-Beta") != "b-1" {
		t.Errorf("%d %s\nasked %s %s", resp.StatusCode, body, got.uri, got.body)
	}
	if resp, body = g.post("/v1/messages/count_tokens", `{"model":"qwen","messages":[{"role":"user","content":"x"}]}`, "Anthropic-Version", "2023-06-01"); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body = g.post("/v1/embeddings", `{"model":"qwen","input":"x"}`); resp.StatusCode != 400 || !strings.Contains(body, "asked by chat, messages") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// A carried call is asked again without what the server does not take.
func TestCarriedManners(t *testing.T) {
	v := partly(t, func(_, body string) (int, string) {
		switch {
		case strings.Contains(body, "stream_options"):
			return 422, `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}`
		case strings.Contains(body, "max_completion_tokens"):
			return 400, `{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra inputs are not permitted', 'input': 8192}]","type":"BadRequestError","param":null,"code":400}`
		}
		return 0, ""
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "openai", v.url+"/v1")}})
	ask := `{"model":"gpt-4o","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"hello there"}]}`
	for range 2 {
		resp, body := g.post("/v1/messages", ask, "Anthropic-Version", "2023-06-01")
		told, err := mockllm.ReadStream(wire.Messages, []byte(body))
		if resp.StatusCode != 200 || err != nil || !strings.Contains(told.Text, "hello there") {
			t.Errorf("%d %v %s", resp.StatusCode, err, body)
		}
	}
	if n := len(v.seen()); n != 4 {
		t.Errorf("%d requests, want 3 and then 1", n)
	}
	if got := v.last().body; !strings.Contains(got, `"max_tokens":50`) {
		t.Errorf("the limit is lost: %s", got)
	}
}

// A model that refuses to show its reasoning, or to give it sealed, is asked for
// the answer without; what is not shown is said.
func TestCarriedWithoutReasoning(t *testing.T) {
	v := partly(t, func(_, body string) (int, string) {
		switch {
		case strings.Contains(body, `"summary"`):
			return 400, `{"error":{"message":"Your organization must be verified to generate reasoning summaries. Please go to: https://platform.openai.com/settings/organization/general and click on Verify Organization.","type":"invalid_request_error","param":"reasoning.summary","code":"unsupported_value"}}`
		case strings.Contains(body, "reasoning.encrypted_content"):
			return 400, `{"error":{"message":"Encrypted content is not supported with this model.","type":"invalid_request_error","param":"include","code":null}}`
		}
		return 0, ""
	})
	up := at("up", "openai", v.url+"/v1")
	up.APIs = []string{"chat", "responses"}
	g := newRig(t, Settings{Providers: []ProviderSettings{up}})
	for range 2 {
		resp, body := g.post("/v1/messages", `{"model":"gpt-5-mini","max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"hello there"}]}`, "Anthropic-Version", "2023-06-01")
		if resp.StatusCode != 200 || !strings.Contains(said(t, wire.Messages, body).Text, "hello there") || !strings.Contains(resp.Header.Get("X-Weir-Dropped-Params"), "thinking") {
			t.Errorf("%d %s, dropped %q", resp.StatusCode, body, resp.Header.Get("X-Weir-Dropped-Params"))
		}
	}
	if n := len(v.seen()); n != 4 {
		t.Errorf("%d requests, want 3 and then 1", n)
	}
}

// Reasoning that was sealed for another account is left out, and that is said.
func TestCarriedSealOfAnotherAccount(t *testing.T) {
	v := partly(t, func(_, body string) (int, string) {
		if strings.Contains(body, "of-account-1") {
			return 400, `{"error":{"message":"The encrypted content of-a... could not be verified.","type":"invalid_request_error","param":null,"code":"invalid_encrypted_content"}}`
		}
		return 0, ""
	})
	up := at("up", "openai", v.url+"/v1")
	up.APIs = []string{"chat", "responses"}
	g := newRig(t, Settings{Providers: []ProviderSettings{up}})
	ask := `{"model":"gpt-5-mini","max_tokens":5000,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"redacted_thinking","data":"` +
		neutral.Wrap(neutral.Responses, "sealed:rs_1|of-account-1") + `"},{"type":"text","text":"y"}]},{"role":"user","content":"hello there"}]}`
	resp, body := g.post("/v1/messages", ask, "Anthropic-Version", "2023-06-01")
	if resp.StatusCode != 200 || !strings.Contains(body, "hello there") || !strings.Contains(resp.Header.Get("X-Weir-Dropped-Params"), "thinking") {
		t.Errorf("%d %s, dropped %q", resp.StatusCode, body, resp.Header.Get("X-Weir-Dropped-Params"))
	}
	if n := len(v.seen()); n != 2 || !strings.Contains(v.seen()[0].body, "of-account-1") {
		t.Errorf("%d requests: %+v", n, v.seen())
	}
}

// The name of a carried output limit is the one that a kind of server takes.
func TestCarriedLimitName(t *testing.T) {
	check := func(kind, model, want string) {
		t.Helper()
		v := newVendor(t, says(400, `{"error":{"message":"no"}}`))
		g := newRig(t, Settings{Providers: []ProviderSettings{at("up", kind, v.url)}})
		g.post("/v1/messages", fmt.Sprintf(`{"model":%q,"max_tokens":50,"messages":[{"role":"user","content":"x"}]}`, model), "Anthropic-Version", "2023-06-01")
		if got := v.seen(); len(got) != 1 || !strings.Contains(got[0].body, `"`+want+`":50`) {
			t.Errorf("%s %s: %+v", kind, model, got)
		}
	}
	check("ollama", "gpt-4o", "max_tokens")
	check("vllm", "o3", "max_tokens")
	check("azure", "my-deployment", "max_completion_tokens")
	check("openai", "mistral-large", "max_tokens")
	check("openai", "gpt-5-mini", "max_completion_tokens")
}

// What a model takes goes by its own name, not by that of its deployment.
func TestCarriedToDeployments(t *testing.T) {
	for _, version := range []string{"2025-04-01-preview", "2024-10-21"} {
		v := newVendor(t, says(400, `{"error":{"message":"no"}}`))
		azure := at("azure", "azure", v.url)
		azure.APIVersion, azure.Deployments = version, map[string]string{"o4-mini": "my-own"}
		g := newRig(t, Settings{Providers: []ProviderSettings{azure}})
		resp, _ := g.post("/v1/messages", `{"model":"o4-mini","max_tokens":50,"temperature":0.5,"messages":[{"role":"user","content":"x"}]}`, "Anthropic-Version", "2023-06-01")
		got := v.last()
		if strings.Contains(got.body, "temperature") || !strings.Contains(got.body, `"model":"my-own"`) || resp.Header.Get("X-Weir-Dropped-Params") != "temperature" {
			t.Errorf("%s %s, dropped %q", got.uri, got.body, resp.Header.Get("X-Weir-Dropped-Params"))
		}
		want := "/openai/responses?api-version=" + version
		if version < "2025" {
			want = "/openai/deployments/my-own/chat/completions?api-version=" + version
		}
		if got.uri != want {
			t.Errorf("asked %s, want %s", got.uri, want)
		}
	}
}

// A value that is out of range is no name that is refused.
func TestRefusesMember(t *testing.T) {
	check := func(body, name string, want bool) {
		t.Helper()
		if got := refusesMember([]byte(body), name); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
	check(`Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.`, "max_tokens", true)
	check(`Unrecognized request argument supplied: max_completion_tokens`, "max_completion_tokens", true)
	check(`max_tokens is too large: 100000. This model supports at most 16384 completion tokens`, "max_tokens", false)
	check(`Unsupported parameter: 'seed'`, "max_tokens", false)
}
