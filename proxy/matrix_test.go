package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"weir/internal/mockllm"
	"weir/ledger"
	"weir/proxy/wire"
)

// pixel is a picture of one pixel, PNG, as base64.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// upstreams are a server for each API, asked by that alone, with its path and
// a model that sees and calls tools.
var upstreams = []struct {
	name, kind, base, model string
	api                     wire.API
	path, streamed          string
	apis                    []string
}{
	{"chat", "openai", "/v1", "gpt-4.1", wire.Chat, "/v1/chat/completions", "/v1/chat/completions", []string{"chat"}},
	{"responses", "openai", "/v1", "o4-mini", wire.Responses, "/v1/responses", "/v1/responses", []string{"responses"}},
	{"messages", "anthropic", "", "claude-haiku-4-5", wire.Messages, "/v1/messages", "/v1/messages", nil},
	{
		"generate", "gemini", "", "gemini-2.5-flash", wire.Generate,
		"/v1beta/models/gemini-2.5-flash:generateContent", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", nil,
	},
}

// withPicture is a client's request that shows a picture and offers a tool; turns
// are further turns, in the client's dialect.
func withPicture(client int, model, turns string, stream bool) string {
	c := clients[client]
	ask := c.body(model, "the weather?", stream)
	picture := map[string]string{
		"chat":      `,{"type":"image_url","image_url":{"url":"data:image/png;base64,` + pixel + `"}}]}`,
		"responses": `,{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,` + pixel + `"}]}`,
		"messages":  `,{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + pixel + `"}}]}`,
		"generate":  `,{"inlineData":{"mimeType":"image/png","data":"` + pixel + `"}}]}`,
	}[c.name]
	text := map[string]string{"chat": "text", "responses": "input_text", "messages": "text"}[c.name]
	if c.name == "generate" {
		ask = strings.Replace(ask, `{"text":"the weather?"}]}`, `{"text":"the weather?"}`+picture, 1)
	} else {
		ask = strings.Replace(ask, `"content":"the weather?"}`, `"content":[{"type":"`+text+`","text":"the weather?"}`+picture, 1)
	}
	at := strings.LastIndex(ask, "]")
	return ask[:at] + turns + ask[at:] + c.tools + "}"
}

// matrixRig is a proxy in front of a server for each API, all of them the
// strict mock.
func matrixRig(t *testing.T) (*rig, *listener) {
	t.Helper()
	l := listen(t)
	var s Settings
	for _, u := range upstreams {
		s.Providers = append(s.Providers, ProviderSettings{
			Name: u.name, Kind: u.kind, BaseURL: l.url + u.base, APIKey: "secret-of-" + u.name, APIs: u.apis, Models: []string{u.model + "*"},
		})
	}
	return newRig(t, s), l
}

// A listener is the strict mock, and keeps what it was asked and has answered.
type listener struct {
	url string
	mu  sync.Mutex // guards the following field
	all []heard
}

type heard struct{ path, request, reply string }

func listen(t *testing.T) *listener {
	t.Helper()
	mock := mockllm.New(mockllm.Options{})
	l := new(listener)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = readCloser{strings.NewReader(string(body))}
		copied := &tee{ResponseWriter: w}
		mock.ServeHTTP(copied, r)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, heard{r.URL.Path, string(body), copied.text.String()})
	}))
	l.url = server.URL
	t.Cleanup(func() { server.CloseClientConnections(); mock.Close(); server.Close() })
	return l
}

// last is the last exchange, once it has ended.
func (l *listener) last(t *testing.T, n int) heard {
	t.Helper()
	eventually(t, "the upstream's exchange", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.all) >= n
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[len(l.all)-1]
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

type tee struct {
	http.ResponseWriter
	text strings.Builder
}

func (w *tee) Write(p []byte) (int, error) {
	w.text.Write(p)
	return w.ResponseWriter.Write(p)
}

func (w *tee) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *tee) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// ask posts a client's request and reads the reply, which must be of its
// dialect's grammar.
func (g *rig) ask(t *testing.T, client int, model, body string, stream bool) mockllm.Told {
	t.Helper()
	c := clients[client]
	resp, reply := g.post(c.path(model, stream), body, c.header...)
	if resp.StatusCode != 200 {
		t.Fatalf("%d %s\nto %s", resp.StatusCode, reply, body)
	}
	if !stream {
		return said(t, c.api, reply)
	}
	told, err := mockllm.ReadStream(c.api, []byte(reply))
	if err != nil {
		t.Fatalf("%v\n%s", err, reply)
	}
	return told
}

// Every client reaches every upstream, whole and streamed: it shows a picture
// and offers a tool, the model calls the tool, the client answers, and the
// model has the last word. The upstream is as strict as its vendor, and is
// asked by its own API; where that is the client's own the bytes pass.
func TestMatrix(t *testing.T) {
	g, l := matrixRig(t)
	calls := 0
	for i, c := range clients {
		for _, u := range upstreams {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s to %s stream %v", c.name, u.name, stream), func(t *testing.T) {
					turns := ""
					for step := range 2 {
						before := l.count()
						body := withPicture(i, u.model, turns, stream)
						calls++
						told := g.ask(t, i, u.model, body, stream)
						got := l.last(t, before+1)
						want := u.path
						if stream {
							want = u.streamed
						}
						if got.path != want {
							t.Errorf("asked by %s, want %s", got.path, want)
						}
						if strings.Count(got.request, pixel) != 1 || !strings.Contains(got.request, `"city"`) || !strings.Contains(got.request, "Be brief.") {
							t.Errorf("the upstream was told %s", got.request)
						}
						if c.name == u.name && strings.ReplaceAll(got.request, `,"stream_options":{"include_usage":true}`, "") != body {
							t.Errorf("the bytes have not passed:\n got %s\nwant %s", got.request, body)
						}
						if step == 1 {
							if !strings.Contains(told.Text, "21 degrees") || strings.Count(got.request, "21 degrees") != 1 {
								t.Errorf("the last word is %+v\nto %s", told, got.request)
							}
							return
						}
						if len(told.Calls) != 1 || told.Calls[0].Name != "weather" || !json.Valid([]byte(told.Calls[0].Arguments)) {
							t.Fatalf("the call is %+v", told)
						}
						turns = strings.TrimSuffix(answered(c.name, "]", told.Calls[0]), "]")
					}
				})
			}
		}
	}
	for _, c := range g.calls(calls) {
		if c.Attempts[0].API != c.Provider { // the providers have their APIs' names
			t.Errorf("%s to %s: asked by %s", c.API, c.Provider, c.Attempts[0].API)
		}
		if in, _ := c.Usage.Input(); c.Outcome != ledger.OK || c.UsageSource != ledger.FromProvider || in == 0 || len(c.Attempts) != 1 || len(c.Dropped) != 0 {
			t.Errorf("%s to %s: %s, usage %s from %s, %d attempts, dropped %q", c.API, c.Provider, c.Outcome, c.Usage.AppendJSON(nil), c.UsageSource, len(c.Attempts), c.Dropped)
		}
	}
}

// thinks asks a model to think, in each client's words.
var thinks = map[string]string{
	"chat":     `,"reasoning_effort":"high"`,
	"messages": `,"thinking":{"type":"enabled","budget_tokens":1024}`,
	"generate": `,"generationConfig":{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":1024}}`,
}

// A model that reasons is asked by Responses, and what it has thought comes
// back to it byte for byte over three turns of a tool loop, whatever dialect
// the client speaks; nothing is stored at the vendor.
func TestReasoningSurvivesByResponses(t *testing.T) {
	for i, c := range clients {
		if c.name == "responses" {
			continue
		}
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s stream %v", c.name, stream), func(t *testing.T) {
				l := listen(t)
				up := at("up", "openai", l.url+"/v1")
				up.APIs = []string{"chat", "responses"}
				if c.name == "chat" { // whose bytes would pass to chat completions
					up.APIs = []string{"responses"}
				}
				g := newRig(t, Settings{Providers: []ProviderSettings{up}})
				turns, sealed := "", []string(nil)
				for step := range 3 {
					body := strings.TrimSuffix(strings.Replace(withPicture(i, "gpt-5-mini", turns, stream), `"max_tokens":500`, `"max_tokens":5000`, 1), "}") + thinks[c.name] + "}"
					resp, reply := g.post(c.path("gpt-5-mini", stream), body, c.header...)
					if resp.StatusCode != 200 {
						t.Fatalf("turn %d: %d %s", step, resp.StatusCode, reply)
					}
					got := l.last(t, step+1)
					if got.path != "/v1/responses" || !strings.Contains(got.request, `"store":false`) || !strings.Contains(got.request, `"reasoning.encrypted_content"`) {
						t.Fatalf("asked by %s: %s", got.path, got.request)
					}
					items := reasoningItems(t, got.request)
					if strings.Join(items, "\n") != strings.Join(sealed, "\n") {
						t.Fatalf("turn %d: reasoning came back as %q, want %q", step, items, sealed)
					}
					sealed = append(sealed, madeReasoning(t, got.reply, stream)...)
					if len(sealed) != step+1 {
						t.Fatalf("turn %d: the model has not thought: %s", step, got.reply)
					}
					turns += echoed(t, c.name, reply, stream)
				}
			})
		}
	}
}

// reasoningItems are the reasoning items of a Responses request: id and seal.
func reasoningItems(t *testing.T, request string) (out []string) {
	t.Helper()
	var r struct{ Input []reasoningItem }
	if err := json.Unmarshal([]byte(request), &r); err != nil {
		t.Fatal(err)
	}
	return seals(r.Input)
}

type reasoningItem struct {
	Type, ID string
	Sealed   string `json:"encrypted_content"`
}

func seals(items []reasoningItem) (out []string) {
	for _, item := range items {
		if item.Type == "reasoning" {
			out = append(out, item.ID+" "+item.Sealed)
		}
	}
	return out
}

// madeReasoning are the reasoning items of a Responses reply.
func madeReasoning(t *testing.T, reply string, stream bool) []string {
	t.Helper()
	if stream {
		for name, data := range wire.Events([]byte(reply)) {
			if name == "response.completed" {
				var last struct{ Response json.RawMessage }
				if err := json.Unmarshal(data, &last); err != nil {
					t.Fatal(err)
				}
				reply = string(last.Response)
			}
		}
	}
	var r struct{ Output []reasoningItem }
	if err := json.Unmarshal([]byte(reply), &r); err != nil {
		t.Fatalf("%v: %s", err, reply)
	}
	return seals(r.Output)
}

// echoed are the turns that a client sends back of a reply: the model's own,
// as its SDK keeps it, and the tool's result or a further word.
func echoed(t *testing.T, client, reply string, stream bool) string {
	t.Helper()
	turn, next := "", ""
	switch client {
	case "chat":
		turn, next = echoedChat(t, reply, stream)
	case "messages":
		turn, next = echoedMessages(t, reply, stream)
	case "generate":
		turn, next = echoedGenerate(t, reply, stream)
	}
	return "," + turn + "," + next
}

// dataOf are the JSON texts of a reply: of each event, or the whole.
func dataOf(reply string, stream bool) (out []json.RawMessage) {
	if !stream {
		return []json.RawMessage{json.RawMessage(reply)}
	}
	for _, data := range wire.Events([]byte(reply)) {
		if json.Valid(data) {
			out = append(out, json.RawMessage(string(data)))
		}
	}
	return out
}

func read(t *testing.T, text []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// echoedChat joins what the deltas of a message say, as OpenAI's SDKs do.
func echoedChat(t *testing.T, reply string, stream bool) (turn, next string) {
	type call struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	}
	type message struct {
		Role    string            `json:"role"`
		Content string            `json:"content"`
		Calls   []call            `json:"tool_calls,omitempty"`
		Details []json.RawMessage `json:"reasoning_details,omitempty"`
	}
	var whole message
	for _, data := range dataOf(reply, stream) {
		var r struct {
			Choices []struct{ Message, Delta message }
		}
		read(t, data, &r)
		for _, c := range r.Choices {
			for _, m := range []message{c.Message, c.Delta} {
				whole.Content += m.Content
				whole.Details = append(whole.Details, m.Details...)
				for _, k := range m.Calls {
					if k.ID != "" {
						whole.Calls = append(whole.Calls, k)
					} else {
						whole.Calls[len(whole.Calls)-1].Function.Arguments += k.Function.Arguments
					}
				}
			}
		}
	}
	whole.Role = "assistant"
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.Calls) == 0 {
		return string(text), `{"role":"user","content":"go on"}`
	}
	return string(text), fmt.Sprintf(`{"role":"tool","tool_call_id":%q,"content":"21 degrees"}`, whole.Calls[0].ID)
}

// echoedMessages joins the blocks of a message, as Anthropic's SDKs do.
func echoedMessages(t *testing.T, reply string, stream bool) (turn, next string) {
	var blocks []map[string]any
	next = `{"role":"user","content":"go on"}`
	for _, data := range dataOf(reply, stream) {
		var r struct {
			Content []map[string]any
			Index   int
			Block   map[string]any `json:"content_block"`
			Delta   map[string]any
		}
		read(t, data, &r)
		blocks = append(blocks, r.Content...)
		if r.Block != nil {
			blocks = append(blocks, r.Block)
		}
		for name, to := range map[string]string{"text": "text", "thinking": "thinking", "signature": "signature", "partial_json": "json"} {
			if piece, ok := r.Delta[name].(string); ok {
				before, _ := blocks[r.Index][to].(string)
				blocks[r.Index][to] = before + piece
			}
		}
	}
	for _, b := range blocks {
		if args, ok := b["json"].(string); ok {
			b["input"] = json.RawMessage(args)
			delete(b, "json")
		}
		if b["type"] == "tool_use" {
			next = fmt.Sprintf(`{"role":"user","content":[{"type":"tool_result","tool_use_id":%q,"content":"21 degrees"}]}`, b["id"])
		}
	}
	text, err := json.Marshal(blocks)
	if err != nil {
		t.Fatal(err)
	}
	return `{"role":"assistant","content":` + string(text) + `}`, next
}

// echoedGenerate joins the parts of all chunks, as Google's SDKs do.
func echoedGenerate(t *testing.T, reply string, stream bool) (turn, next string) {
	var parts []string
	next = `{"role":"user","parts":[{"text":"go on"}]}`
	for _, data := range dataOf(reply, stream) {
		var r struct {
			Candidates []struct {
				Content struct{ Parts []json.RawMessage }
			}
		}
		read(t, data, &r)
		for _, c := range r.Candidates {
			for _, p := range c.Content.Parts {
				parts = append(parts, string(p))
				var one struct{ FunctionCall *struct{ ID, Name string } }
				read(t, p, &one)
				if one.FunctionCall != nil {
					next = fmt.Sprintf(`{"role":"user","parts":[{"functionResponse":{"id":%q,"name":%q,"response":{"output":"21 degrees"}}}]}`, one.FunctionCall.ID, one.FunctionCall.Name)
				}
			}
		}
	}
	return `{"role":"model","parts":[` + strings.Join(parts, ",") + `]}`, next
}

// How a Responses upstream fails, refuses and stops short, in each client's words.
func TestResponsesUpstreamEndings(t *testing.T) {
	g, _ := matrixRig(t)
	words := map[string]struct{ length, refusal, status string }{
		"chat":      {"length", "stop", `"rate_limit_exceeded"`},
		"responses": {"incomplete", "completed", `"rate_limit_exceeded"`},
		"messages":  {"max_tokens", "refusal", `"rate_limit_error"`},
		"generate":  {"MAX_TOKENS", "SAFETY", `"RESOURCE_EXHAUSTED"`},
	}
	limit := map[string]string{"chat": `,"max_completion_tokens":20}`, "responses": `,"max_output_tokens":20}`, "generate": `,"generationConfig":{"maxOutputTokens":20}}`}
	for i, c := range clients {
		w := words[c.name]
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s stream %v", c.name, stream), func(t *testing.T) {
				long := "o4-mini-mock-words-40"
				ask := strings.Replace(c.body(long, "hello", stream), `"max_tokens":500`, `"max_tokens":20`, 1)
				if limit[c.name] == "" {
					ask += "}"
				} else {
					ask += limit[c.name]
				}
				if told := g.ask(t, i, long, ask, stream); told.Stop != w.length || told.Text == "" {
					t.Errorf("stopped short: %+v", told)
				}
				const refuses = "o4-mini-mock-refuse"
				told := g.ask(t, i, refuses, c.body(refuses, "hello", stream)+"}", stream)
				if told.Stop != w.refusal {
					t.Errorf("refused: %+v", told)
				}
				const limited = "o4-mini-mock-error-429"
				resp, reply := g.post(c.path(limited, stream), c.body(limited, "hello", stream)+"}", c.header...)
				if resp.StatusCode != 429 || !strings.Contains(reply, w.status) {
					t.Errorf("limited: %d %s", resp.StatusCode, reply)
				}
				if !stream {
					return
				}
				for _, cut := range []string{"o4-mini-mock-words-40+cut-3000", "o4-mini-mock-words-40+endafter-9"} {
					_, reply = g.post(c.path(cut, true), c.body(cut, "hello", true)+"}", c.header...)
					if !strings.Contains(reply, "[broken:") || !strings.Contains(reply, "error") {
						t.Errorf("cut off, it looks whole: %s", reply)
					}
				}
				const fails = "o4-mini-mock-words-40+failat-20+tps-500"
				_, reply = g.post(c.path(fails, true), c.body(fails, "hello", true)+"}", c.header...)
				if told, err := mockllm.ReadStream(c.api, []byte(strings.Split(reply, "\n[broken:")[0])); err != nil || told.Failure == "" {
					t.Errorf("failed in mid-stream: %v %+v\n%s", err, told, reply)
				}
			})
		}
	}
}
