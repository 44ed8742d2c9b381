package proxy

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"weir/internal/mockllm"
	"weir/ledger"
	"weir/proxy/wire"
	"weir/proxy/wire/neutral"
)

// Four dialects of clients, and how each asks.
var clients = []struct {
	name   string
	api    wire.API
	path   func(model string, stream bool) string
	header []string
	body   func(model, text string, stream bool) string
	tools  string // members that offer a tool
}{
	{
		"chat", wire.Chat, func(string, bool) string { return "/v1/chat/completions" }, nil,
		func(model, text string, stream bool) string {
			return fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":%q}]`, model, stream, text)
		},
		`,"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]`,
	},
	{
		"responses", wire.Responses, func(string, bool) string { return "/v1/responses" }, nil,
		func(model, text string, stream bool) string {
			return fmt.Sprintf(`{"model":%q,"stream":%v,"instructions":"Be brief.","input":[{"role":"user","content":%q}]`, model, stream, text)
		},
		`,"tools":[{"type":"function","name":"weather","strict":false,"parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]`,
	},
	{
		"messages", wire.Messages, func(string, bool) string { return "/v1/messages" },
		[]string{"Anthropic-Version", "2023-06-01", "Anthropic-Beta", "some-beta"},
		func(model, text string, stream bool) string {
			return fmt.Sprintf(`{"model":%q,"stream":%v,"max_tokens":500,"system":"Be brief.","messages":[{"role":"user","content":%q}]`, model, stream, text)
		},
		`,"tools":[{"name":"weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]`,
	},
	{
		"generate", wire.Generate, func(model string, stream bool) string {
			if stream {
				return "/v1beta/models/" + model + ":streamGenerateContent?alt=sse"
			}
			return "/v1beta/models/" + model + ":generateContent"
		}, nil,
		func(_, text string, _ bool) string {
			return fmt.Sprintf(`{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":%q}]}]`, text)
		},
		`,"tools":[{"functionDeclarations":[{"name":"weather","parametersJsonSchema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]}]`,
	},
}

// carryRig is a proxy whose providers each speak one dialect alone, all of them
// the strict mock.
func carryRig(t *testing.T) (*rig, *mockllm.Server) {
	t.Helper()
	mock := mockllm.New(mockllm.Options{Record: 64})
	server := httptest.NewServer(mock)
	t.Cleanup(func() { server.CloseClientConnections(); mock.Close(); server.Close() })
	return newRig(t, Settings{Providers: []ProviderSettings{
		{Name: "openai", Kind: "openai", BaseURL: server.URL + "/v1", APIKey: "sk-openai-secret", Models: []string{"gpt-*"}},
		{Name: "anthropic", Kind: "anthropic", BaseURL: server.URL, APIKey: "sk-ant-secret", Models: []string{"claude-*"}},
		{Name: "gemini", Kind: "gemini", BaseURL: server.URL, APIKey: "AIza-secret-key", Models: []string{"gemini-*"}},
	}}), mock
}

var carriedModels = map[string]string{"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}

// eachPair runs f for every client and every upstream of another dialect.
func eachPair(t *testing.T, f func(t *testing.T, client int, model string)) {
	for i, c := range clients {
		for provider, model := range carriedModels {
			if provider == "openai" && i < 2 || provider == "anthropic" && c.name == "messages" || provider == "gemini" && c.name == "generate" {
				continue
			}
			t.Run(c.name+" to "+provider, func(t *testing.T) { f(t, i, model) })
		}
	}
}

// said reads the text and the calls of a whole reply of any dialect.
func said(t *testing.T, api wire.API, body string) mockllm.Told {
	t.Helper()
	var r struct {
		Choices []struct {
			Message struct {
				Content   string
				ToolCalls []struct {
					ID       string
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			}
			FinishReason string `json:"finish_reason"`
		}
		Output []struct {
			Type, Name, Arguments string
			CallID                string `json:"call_id"`
			Content               []struct{ Text string }
		}
		Status  string
		Content []struct {
			Type, Text, ID, Name string
			Input                json.RawMessage
		}
		StopReason string `json:"stop_reason"`
		Candidates []struct {
			Content struct {
				Parts []struct {
					Text         string
					FunctionCall *struct {
						ID, Name string
						Args     json.RawMessage
					}
				}
			}
			FinishReason string
		}
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var told mockllm.Told
	for _, c := range r.Choices {
		told.Text, told.Stop = c.Message.Content, c.FinishReason
		for _, k := range c.Message.ToolCalls {
			told.Calls = append(told.Calls, mockllm.ToldCall{ID: k.ID, Name: k.Function.Name, Arguments: k.Function.Arguments})
		}
	}
	for _, o := range r.Output {
		for _, c := range o.Content {
			told.Text += c.Text
		}
		if o.Type == "function_call" {
			told.Calls = append(told.Calls, mockllm.ToldCall{ID: o.CallID, Name: o.Name, Arguments: o.Arguments})
		}
		told.Stop = r.Status
	}
	for _, c := range r.Content {
		told.Text, told.Stop = told.Text+c.Text, r.StopReason
		if c.Type == "tool_use" {
			told.Calls = append(told.Calls, mockllm.ToldCall{ID: c.ID, Name: c.Name, Arguments: string(c.Input)})
		}
	}
	for _, c := range r.Candidates {
		told.Stop = c.FinishReason
		for _, p := range c.Content.Parts {
			told.Text += p.Text
			if p.FunctionCall != nil {
				told.Calls = append(told.Calls, mockllm.ToldCall{ID: p.FunctionCall.ID, Name: p.FunctionCall.Name, Arguments: string(p.FunctionCall.Args)})
			}
		}
	}
	return told
}

func TestCarriedAcrossDialects(t *testing.T) {
	g, _ := carryRig(t)
	calls := 0
	eachPair(t, func(t *testing.T, i int, model string) {
		c := clients[i]
		calls++
		resp, body := g.post(c.path(model, false), c.body(model, "hello there", false)+"}", c.header...)
		if resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		whole := said(t, c.api, body)
		if !strings.Contains(whole.Text, "hello there") || whole.Stop == "" {
			t.Errorf("whole: %+v of %s", whole, body)
		}
		calls++
		resp, body = g.post(c.path(model, true), c.body(model, "hello there", true)+"}", c.header...)
		told, err := mockllm.ReadStream(c.api, []byte(body))
		if resp.StatusCode != 200 || err != nil {
			t.Fatalf("%d %v\n%s", resp.StatusCode, err, body)
		}
		if strings.Contains(body, `"created":0`) {
			t.Errorf("a reply without a time: %s", body)
		}
		if told.Text != whole.Text || told.Stop != whole.Stop {
			t.Errorf("streamed %+v, whole %+v", told, whole)
		}
	})
	for _, c := range g.calls(calls) {
		if in, _ := c.Usage.Input(); c.Outcome != ledger.OK || c.UsageSource != ledger.FromProvider || in == 0 || c.StopReason == "" {
			t.Errorf("call %s %s: %s from %s, stop %q", c.API, c.Model, c.Usage.AppendJSON(nil), c.UsageSource, c.StopReason)
		}
	}
}

// A tool is called and answered across each pair, and the mock, which is
// strict about ids and order, takes the whole conversation.
func TestCarriedToolLoop(t *testing.T) {
	g, _ := carryRig(t)
	eachPair(t, func(t *testing.T, i int, model string) {
		c := clients[i]
		for _, stream := range []bool{false, true} {
			ask := c.body(model, "the weather?", stream)
			resp, body := g.post(c.path(model, stream), ask+c.tools+"}", c.header...)
			if resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
			told, err := mockllm.Told{}, error(nil)
			if stream {
				told, err = mockllm.ReadStream(c.api, []byte(body))
			} else {
				told = said(t, c.api, body)
			}
			if err != nil || len(told.Calls) != 1 || told.Calls[0].Name != "weather" || !json.Valid([]byte(told.Calls[0].Arguments)) {
				t.Fatalf("stream %v: %v %+v\n%s", stream, err, told, body)
			}
			resp, body = g.post(c.path(model, false), answered(c.name, strings.Replace(ask, `"stream":true`, `"stream":false`, 1), told.Calls[0])+c.tools+"}", c.header...)
			if resp.StatusCode != 200 || !strings.Contains(said(t, c.api, body).Text, "21 degrees") {
				t.Errorf("stream %v: after the result: %d %s", stream, resp.StatusCode, body)
			}
		}
	})
}

// answered adds the model's call and the tool's result to a request.
func answered(client, ask string, k mockllm.ToldCall) string {
	add := map[string]string{
		"chat": fmt.Sprintf(`,{"role":"assistant","content":null,"tool_calls":[{"id":%q,"type":"function","function":{"name":%q,"arguments":%q}}]},{"role":"tool","tool_call_id":%q,"content":"21 degrees"}]`,
			k.ID, k.Name, k.Arguments, k.ID),
		"responses": fmt.Sprintf(`,{"type":"function_call","call_id":%q,"name":%q,"arguments":%q},{"type":"function_call_output","call_id":%q,"output":"21 degrees"}]`,
			k.ID, k.Name, k.Arguments, k.ID),
		"messages": fmt.Sprintf(`,{"role":"assistant","content":[{"type":"tool_use","id":%q,"name":%q,"input":%s}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":%q,"content":"21 degrees"}]}]`,
			k.ID, k.Name, k.Arguments, k.ID),
		"generate": fmt.Sprintf(`,{"role":"model","parts":[{"functionCall":{"id":%q,"name":%q,"args":%s}}]},{"role":"user","parts":[{"functionResponse":{"id":%q,"name":%q,"response":{"output":"21 degrees"}}}]}]`,
			k.ID, k.Name, k.Arguments, k.ID, k.Name),
	}[client]
	at := strings.LastIndex(ask, "]") // the end of the turns
	return ask[:at] + add + ask[at+1:]
}

func TestCarriedErrorsSpeakTheClientsDialect(t *testing.T) {
	g, _ := carryRig(t)
	for i, want := range []string{`"type":"rate_limit_error"`, `"type":"rate_limit_error"`} {
		_ = i
		resp, body := g.post("/v1/messages", `{"model":"openai/mock-error-429","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`, "Anthropic-Version", "2023-06-01")
		if resp.StatusCode != 429 || !strings.HasPrefix(body, `{"type":"error"`) || !strings.Contains(body, want) {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
	resp, body := g.post("/v1/chat/completions", `{"model":"anthropic/mock-error-529","messages":[{"role":"user","content":"x"}]}`)
	if resp.StatusCode != 529 || !strings.HasPrefix(body, `{"error":{"message"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// What would change the meaning is refused before anything is sent, by the client's own name for it.
	resp, body = g.post("/v1/chat/completions", `{"model":"claude-haiku-4-5","n":3,"messages":[{"role":"user","content":"x"}]}`)
	if resp.StatusCode != 400 || !strings.Contains(body, `"param":"n"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// What is only left out is said.
	resp, body = g.post("/v1/chat/completions", `{"model":"claude-haiku-4-5","seed":7,"messages":[{"role":"user","content":"x"}]}`)
	if resp.StatusCode != 200 || resp.Header.Get("X-Weir-Dropped-Params") != "seed" {
		t.Errorf("%d %q %s", resp.StatusCode, resp.Header.Get("X-Weir-Dropped-Params"), body)
	}
}

// A carried stream that breaks off never looks whole in the client's dialect.
func TestCarriedStreamCutOff(t *testing.T) {
	g, _ := carryRig(t)
	eachPair(t, func(t *testing.T, i int, model string) {
		c := clients[i]
		provider := map[string]string{"gpt-4o-mini": "openai", "claude-haiku-4-5": "anthropic", "gemini-2.5-flash": "gemini"}[model]
		if c.name == "generate" {
			t.Skip("a provider's prefix does not stand in a Gemini path")
		}
		cut := provider + "/mock-words-40+cut-1500"
		_, body := g.post(c.path(cut, true), c.body(cut, "hello", true)+"}", c.header...)
		if !strings.Contains(body, "[broken:") || !strings.Contains(body, "error") {
			t.Errorf("%s", body)
		}
	})
}

// A conversation that was carried and then comes to its own dialect's vendor
// goes there without the other vendor's seals; one without any passes as it is.
func TestCarriedConversationComesHome(t *testing.T) {
	g, mock := carryRig(t)
	sealed := neutral.CallWithSeal("call_1", neutral.Generate, "google's own")
	const tail = `"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]}`
	ask := func(id string) string {
		return fmt.Sprintf(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":%q,"type":"function","function":{"name":"weather","arguments":"{}"}}]},{"role":"tool","tool_call_id":%q,"content":"21"}],`, id, id) + tail
	}
	resp, body := g.post("/v1/chat/completions", ask(sealed))
	seen := mock.Requests()
	if got := string(seen[len(seen)-1].Body); resp.StatusCode != 200 || strings.Contains(got, "seal") || strings.Count(got, `"call_1"`) != 2 {
		t.Errorf("%d %s\nupstream got %s", resp.StatusCode, body, got)
	}
	plain := ask("call_1")
	g.post("/v1/chat/completions", plain)
	seen = mock.Requests()
	if got := string(seen[len(seen)-1].Body); got != plain {
		t.Errorf("without a seal the bytes pass, got %s", got)
	}
	items := fmt.Sprintf(`{"model":"gpt-4o-mini","store":false,"input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_weir_1","summary":[],"encrypted_content":%q},`+
		`{"type":"function_call","call_id":%q,"name":"weather","arguments":"{}"},{"type":"function_call_output","call_id":%q,"output":"21"}],`+
		`"tools":[{"type":"function","name":"weather","parameters":{"type":"object"},"strict":false}]}`, neutral.Wrap(neutral.Messages, "claude's"), sealed, sealed)
	resp, body = g.post("/v1/responses", items)
	seen = mock.Requests()
	if got := string(seen[len(seen)-1].Body); resp.StatusCode != 200 || strings.Contains(got, "seal") || strings.Count(got, `"call_1"`) != 2 || resp.Header.Get("X-Weir-Dropped-Params") != "input.encrypted_content" {
		t.Errorf("%d %s\nupstream got %s", resp.StatusCode, body, got)
	}
	thinking := `{"model":"claude-haiku-4-5","max_tokens":50,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"` +
		neutral.Wrap(neutral.Responses, "openai's") + `"},{"type":"text","text":"y"}]},{"role":"user","content":"z"}]}`
	resp, body = g.post("/v1/messages", thinking, "Anthropic-Version", "2023-06-01")
	seen = mock.Requests()
	if got := string(seen[len(seen)-1].Body); resp.StatusCode != 200 || strings.Contains(got, "seal") || !strings.Contains(got, `"y"`) || resp.Header.Get("X-Weir-Dropped-Params") == "" {
		t.Errorf("%d %s\nupstream got %s", resp.StatusCode, body, got)
	}
}
