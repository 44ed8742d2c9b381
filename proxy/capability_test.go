package proxy

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"weir/internal/capability"
	"weir/proxy/wire"
)

// A body of the API that asks for something beside text.
func asking(model, what string) (path, body string) {
	chat := func(rest string) (string, string) {
		return "/v1/chat/completions", fmt.Sprintf(`{"model":%q,%s}`, model, rest)
	}
	responses := func(rest string) (string, string) {
		return "/v1/responses", fmt.Sprintf(`{"model":%q,%s}`, model, rest)
	}
	messages := func(rest string) (string, string) {
		return "/v1/messages", fmt.Sprintf(`{"model":%q,"max_tokens":9,%s}`, model, rest)
	}
	generate := func(rest string) (string, string) {
		return "/v1beta/models/" + model + ":generateContent", "{" + rest + "}"
	}
	switch what {
	case "chat text":
		return chat(`"messages":[{"role":"user","content":"hi"}]`)
	case "chat vision":
		return chat(`"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]`)
	case "chat tools":
		return chat(`"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f"}}]`)
	case "chat schema":
		return chat(`"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}}`)
	case "chat audio_output":
		return chat(`"messages":[{"role":"user","content":"hi"}],"modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}`)
	case "chat streaming":
		return chat(`"stream":true,"messages":[{"role":"user","content":"hi"}]`)
	case "chat max_output":
		return chat(`"messages":[{"role":"user","content":"hi"}],"max_tokens":100000`)
	case "chat context":
		return chat(`"messages":[{"role":"user","content":"` + strings.Repeat("word ", 400) + `"}]`)
	case "responses vision":
		return responses(`"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://example.com/a.png"}]}]`)
	case "responses schema":
		return responses(`"input":"hi","text":{"format":{"type":"json_schema","name":"s","schema":{"type":"object"}}}`)
	case "responses context":
		return responses(`"input":"` + strings.Repeat("word ", 400) + `"`)
	case "responses truncation":
		return responses(`"truncation":"auto","input":"` + strings.Repeat("word ", 400) + `"`)
	case "messages vision":
		return messages(`"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}]}]`)
	case "messages tools":
		return messages(`"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]`)
	case "messages context":
		return messages(`"messages":[{"role":"user","content":"` + strings.Repeat("word ", 400) + `"}]`)
	case "generate vision":
		return generate(`"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"` + pixel + `"}}]}]`)
	case "generate audio":
		return generate(`"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"audio/wav","data":"UklGRg=="}}]}]`)
	case "generate image_output":
		return generate(`"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"responseModalities":["IMAGE"]}`)
	case "generate context":
		return generate(`"contents":[{"role":"user","parts":[{"text":"` + strings.Repeat("word ", 400) + `"}]}]`)
	case "embeddings text":
		return "/v1/embeddings", fmt.Sprintf(`{"model":%q,"input":"hi"}`, model)
	case "completions text":
		return "/v1/completions", fmt.Sprintf(`{"model":%q,"prompt":"hi"}`, model)
	}
	panic(what)
}

// What a model surely cannot do is refused in the client's own words before
// anything is sent, by each API; the same request of a model that can, or of
// which nothing is known, is sent.
func TestRefusedBeforeItIsSent(t *testing.T) {
	v := newVendor(t, anyReply)
	s := Settings{
		Providers: []ProviderSettings{at("o", "openai", v.url+"/v1"), at("a", "anthropic", v.url), at("g", "gemini", v.url)},
		Models:    []capability.Said{{Glob: "small", Context: 100, MaxOutput: 50, Lacks: capability.Tools | capability.Vision | capability.Audio | capability.Streaming | capability.Schema | capability.ImageOutput | capability.AudioOutput}},
	}
	g := newRig(t, s)
	check := func(provider, model, what, code, param, says string) {
		t.Helper()
		before := len(v.seen())
		path, body := asking(model, what)
		resp, got := g.post(path, body, "X-Weir-Provider", provider)
		if sent := len(v.seen()) - before; code == "" {
			if resp.StatusCode != 200 || sent != 1 {
				t.Errorf("%s of %s: %d, sent %d: %s", what, model, resp.StatusCode, sent, got)
			}
			return
		} else if resp.StatusCode != 400 || sent != 0 || !strings.Contains(got, says) || !strings.Contains(got, "models: {") {
			t.Errorf("%s of %s: %d, sent %d: %s", what, model, resp.StatusCode, sent, got)
		}
		checkShape(t, what, got, code, param)
	}
	const no, full = "model_not_capable", "context_length_exceeded"
	check("o", "gpt-3.5-turbo", "chat vision", no, "messages", `does not take images`)
	check("o", "gpt-3.5-turbo", "chat schema", no, "response_format", `does not keep to a JSON schema`)
	check("o", "o1-mini", "chat tools", no, "tools", `does not call tools`)
	check("o", "gpt-4o", "chat audio_output", no, "modalities", `does not make audio`)
	check("o", "small", "chat streaming", no, "stream", `does not stream`)
	check("o", "small", "chat max_output", no, "max_tokens", `gives at most 50 tokens`)
	check("o", "gpt-3.5-turbo", "responses vision", no, "input", `does not take images`)
	check("o", "gpt-3.5-turbo", "responses schema", no, "text.format", `JSON schema`)
	check("o", "text-embedding-3-small", "chat text", no, "model", `does not hold conversations`)
	check("o", "gpt-4o", "embeddings text", no, "model", `does not make embeddings`)
	check("o", "gpt-3.5-turbo-instruct", "chat text", no, "model", `does not hold conversations`)
	check("a", "small", "messages vision", no, "", `does not take images`)
	check("a", "small", "messages tools", no, "", `does not call tools`)
	check("g", "small", "generate vision", no, "", `does not take images`)
	check("g", "small", "generate audio", no, "", `does not take audio`)
	check("g", "gemini-2.5-pro", "generate image_output", no, "", `does not make images`)

	check("o", "small", "chat context", full, "messages", `maximum context length is 100 tokens`)
	check("o", "small", "responses context", full, "input", `exceeds the context window`)
	check("a", "small", "messages context", full, "", `prompt is too long: 125 tokens > 100 maximum`)
	check("g", "small", "generate context", full, "", `The input token count (125) exceeds the maximum number of tokens allowed (100)`)

	for _, good := range []string{"chat text", "chat vision", "chat tools", "chat schema", "chat context"} {
		check("o", "gpt-4o", good, "", "", "")
		check("o", "nobody-knows", good, "", "", "")
	}
	check("o", "gpt-4o", "chat max_output", "", "", "") // a vendor may lower it by itself
	check("o", "small", "responses truncation", "", "", "")
	check("o", "text-embedding-3-small", "embeddings text", "", "", "")
	check("o", "grok-code-fast-1", "chat vision", "", "", "") // its vendor is to say so itself
	check("a", "claude-haiku-4-5", "messages vision", "", "", "")
	check("a", "claude-3-5-haiku-latest", "chat schema", "", "", "") // is told by an instruction
	check("g", "gemini-2.5-pro", "generate audio", "", "", "")
	check("a", "grok-code-fast-1", "chat vision", no, "messages", "does not take images") // it would come to it in other words
}

// checkShape holds an error to its dialect's shape. Anthropic's has no room for
// a code, Google's none for the member.
func checkShape(t *testing.T, what, body, code, param string) {
	t.Helper()
	var got struct {
		Type  string
		Error struct {
			Type, Status, Param string
			Code                any
			Details             []struct{ Reason string }
		}
	}
	err := json.Unmarshal([]byte(body), &got)
	ok := false
	switch api, _, _ := strings.Cut(what, " "); api {
	case "messages":
		ok = got.Type == "error" && got.Error.Type == "invalid_request_error"
	case "generate":
		ok = got.Error.Status == "INVALID_ARGUMENT" && got.Error.Code == 400.0 && got.Error.Details[0].Reason == code
	default:
		ok = got.Error.Type == "invalid_request_error" && got.Error.Code == code && got.Error.Param == param
	}
	if err != nil || !ok {
		t.Errorf("%s: the error is %s", what, body)
	}
}

// A window that is known by a public vocabulary is full by an exact count. By
// bytes alone the vendor is to say so, and a route goes elsewhere.
func TestFullWindow(t *testing.T) {
	v := newVendor(t, anyReply)
	ro := route("r", []string{"a", "b"}, nil)
	ro.Targets[0].Model, ro.Targets[1].Model = "claude-haiku-4-5", "gpt-4.1"
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v), openaiNamed("b", v)}, Routes: []RouteSettings{ro}})
	ask := func(model string, n int) (int, string) {
		resp, got := g.post("/v1/chat/completions", fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}]}`, model, strings.Repeat("word ", n)))
		if resp.StatusCode == 200 {
			return 200, resp.Header.Get("X-Weir-Model")
		}
		return resp.StatusCode, got
	}
	if status, got := ask("a/gpt-4", 8100); status != 200 {
		t.Errorf("what fits: %d %s", status, got)
	}
	if status, got := ask("a/gpt-4", 8300); status != 400 || !strings.Contains(got, `"context_length_exceeded"`) || !strings.Contains(got, "is 8192 tokens") {
		t.Errorf("what does not fit: %d %s", status, got)
	}
	long := strings.Repeat("word ", 8300)
	if resp, got := g.post("/v1/embeddings", fmt.Sprintf(`{"model":"a/text-embedding-3-small","input":%q}`, long)); resp.StatusCode != 400 || !strings.Contains(got, `"param":"input"`) {
		t.Errorf("one long input: %d %s", resp.StatusCode, got)
	}
	if resp, got := g.post("/v1/embeddings", fmt.Sprintf(`{"model":"a/text-embedding-3-small","input":[%q,%[1]q]}`, long[:30_000])); resp.StatusCode != 200 {
		t.Errorf("two inputs, each of which fits: %d %s", resp.StatusCode, got)
	}
	for range 10 {
		if status, got := ask("r", 700_000); status != 200 || got != "gpt-4.1" {
			t.Errorf("3.5 MB for 200k tokens: %d %s", status, got)
		}
	}
	if status, got := ask("a/claude-haiku-4-5", 700_000); status != 200 {
		t.Errorf("the vendor was not asked: %d %s", status, got)
	}
}

// Targets that cannot serve are passed over, and the others keep their weights.
func TestPassedOver(t *testing.T) {
	v := newVendor(t, anyReply)
	r := RouteSettings{
		Model: "r",
		Targets: []TargetSettings{
			{Provider: "p", Model: "gpt-3.5-turbo", Weight: 80}, {Provider: "p", Model: "gpt-4o", Weight: 15}, {Provider: "p", Model: "gpt-4.1", Weight: 5},
		},
		Fallbacks: []TargetSettings{{Provider: "p", Model: "gpt-4"}, {Provider: "p", Model: "gpt-4o-audio-preview"}},
	}
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("p", v)}, Routes: []RouteSettings{r}})
	served := func(what string, n int) map[string]int {
		t.Helper()
		out := map[string]int{}
		for range n {
			path, body := asking("r", what)
			resp, got := g.post(path, body)
			if resp.StatusCode != 200 {
				t.Fatalf("%s: %d %s", what, resp.StatusCode, got)
			}
			out[resp.Header.Get("X-Weir-Model")]++
		}
		return out
	}
	const n = 200
	got := served("chat vision", n)
	if share := float64(got["gpt-4o"]) / n; got["gpt-4o"]+got["gpt-4.1"] != n || math.Abs(share-.75) > 5*math.Sqrt(.75*.25/n) {
		t.Errorf("pictures: %v", got)
	}
	if got = served("chat text", n); got["gpt-3.5-turbo"] < n/2 {
		t.Errorf("text: %v", got)
	}
	if got = served("chat audio_output", 3); got["gpt-4o-audio-preview"] != 3 {
		t.Errorf("sound: %v", got)
	}
	if all := v.seen(); len(all) != 2*n+3 {
		t.Errorf("%d requests", len(all))
	}
}

// The configuration says otherwise, for one provider or for all, and a reload
// changes it.
func TestSaidOtherwise(t *testing.T) {
	v := newVendor(t, anyReply)
	s := Settings{Providers: []ProviderSettings{openaiNamed("a", v), openaiNamed("b", v)}}
	g := newRig(t, s)
	check := func(model string, want int) {
		t.Helper()
		path, body := asking(model, "chat vision")
		if resp, got := g.post(path, body); resp.StatusCode != want {
			t.Errorf("%s: %d %s", model, resp.StatusCode, got)
		}
	}
	apply := func(s Settings) {
		t.Helper()
		if err := g.proxy.Apply(s); err != nil {
			t.Fatal(err)
		}
	}
	check("a/gpt-4", 400)
	check("a/mine", 200)
	s.Models = []capability.Said{{Glob: "gpt-4", Has: capability.Vision}, {Glob: "mine", Lacks: capability.Vision}}
	apply(s)
	check("a/gpt-4", 200)
	check("a/mine", 400)
	s.Providers[0].Can = []capability.Said{{Glob: "m*", Has: capability.Vision}, {Glob: "gpt-4", Lacks: capability.Vision}}
	apply(s)
	check("a/mine", 200)
	check("b/mine", 400)
	check("a/gpt-4", 400)
	check("b/gpt-4", 200)
	s.Models, s.Providers[0].Can = nil, nil
	apply(s)
	check("a/gpt-4", 400)
}

// A raw path is nobody's business.
func TestRawIsNotJudged(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v)}})
	_, body := asking("gpt-4", "chat vision")
	if resp, got := g.post("/providers/a/chat/completions", body); resp.StatusCode != 200 || v.last().body != body {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

// An upstream that says that its model's window is full is followed by those
// whose window is known to be larger, and by no other.
func TestLargerWindow(t *testing.T) {
	const full = `{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`
	const anthropicFull = `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}`
	small := newVendor(t, says(400, full))
	same, large, claude := newVendor(t, says(200, chatReply)), newVendor(t, says(200, chatReply)), newVendor(t, says(400, anthropicFull))
	r := RouteSettings{Model: "r", Targets: []TargetSettings{{Provider: "small", Model: "gpt-4"}}, Fallbacks: []TargetSettings{{Provider: "same", Model: "gpt-4-0613"}, {Provider: "same", Model: "unknown"}, {Provider: "large", Model: "gpt-4.1"}}}
	weighted := RouteSettings{Model: "w", Targets: []TargetSettings{{Provider: "small", Model: "gpt-4", Weight: 1}, {Provider: "same", Model: "unknown"}, {Provider: "large", Model: "gpt-4.1"}}}
	none := RouteSettings{Model: "n", Targets: []TargetSettings{{Provider: "small", Model: "gpt-4"}}, Fallbacks: []TargetSettings{{Provider: "same", Model: "gpt-4-0613"}}}
	g := newRig(t, Settings{
		Providers: []ProviderSettings{openaiNamed("small", small), openaiNamed("same", same), openaiNamed("large", large), at("claude", "anthropic", claude.url)},
		Routes:    []RouteSettings{r, weighted, none},
	})
	for _, model := range []string{"r", "w"} {
		path, body := asking(model, "chat text")
		if resp, got := g.post(path, body); resp.StatusCode != 200 || resp.Header.Get("X-Weir-Model") != "gpt-4.1" || resp.Header.Get("X-Weir-Attempts") != "2" {
			t.Errorf("%s: %d %v %s", model, resp.StatusCode, resp.Header, got)
		}
	}
	path, body := asking("n", "chat text")
	if resp, got := g.post(path, body); resp.StatusCode != 400 || got != full {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	if len(same.seen()) != 0 || len(large.seen()) != 2 || len(small.seen()) != 3 {
		t.Errorf("%d, %d and %d requests", len(same.seen()), len(large.seen()), len(small.seen()))
	}
	// Across dialects it comes in the words that the client looks for.
	path, body = asking("claude/claude-haiku-4-5", "chat text")
	resp, got := g.post(path, body)
	if resp.StatusCode != 400 || !strings.Contains(got, `"code":"context_length_exceeded"`) {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	path, body = asking("small/gpt-4", "messages tools")
	if resp, got = g.post(strings.Replace(path, "?", "", 1), strings.Replace(body, `,"tools":[{"name":"f","input_schema":{"type":"object"}}]`, "", 1)); resp.StatusCode != http.StatusBadRequest || !strings.Contains(got, "prompt is too long") {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

// To look costs nothing where nothing is in the way.
func TestNarrowTakesNothing(t *testing.T) {
	st, x, p := narrowRig(t)
	if n := testing.AllocsPerRun(100, func() {
		if err := st.narrow(x, &p); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func narrowRig(t testing.TB) (*State, *Exchange, plan) {
	ro := route("r", []string{"a", "b"}, []string{"b"})
	ro.Targets[0].Model, ro.Targets[1].Model, ro.Fallbacks[0].Model = "gpt-4o", "claude-haiku-4-5", "mine"
	st, err := newState(Settings{Providers: []ProviderSettings{at("a", "openai", "http://127.0.0.1:1/v1"), at("b", "anthropic", "http://127.0.0.1:1")}, Routes: []RouteSettings{ro}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	path, body := asking("r", "chat vision")
	x := &Exchange{Model: "r", Endpoint: wire.Match("POST", path, nil)}
	if x.View, err = wire.ReadView(wire.Chat, []byte(body)); err != nil || x.View.Needs == 0 {
		t.Fatal(err, x.View.Needs)
	}
	return st, x, plan{targets: st.routes[0].targets, fallbacks: st.routes[0].fallbacks}
}

func BenchmarkNarrow(b *testing.B) {
	st, x, p := narrowRig(b)
	for b.Loop() {
		if err := st.narrow(x, &p); err != nil {
			b.Fatal(err)
		}
	}
}
