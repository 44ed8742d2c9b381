package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/mockllm"
	"weir/ledger"
	"weir/proxy/wire"
)

// keeping gives a rig's proxy a place to keep replies.
func keeping(o *Options) {
	var err error
	if o.Kept, err = ledger.NewResponses(o.Recorder, []byte("a secret of at least thirty-two characters")); err != nil {
		panic(err)
	}
}

// keptModels are those of upstreams without Responses' state.
var keptModels = map[string]string{"anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash", "chat": "chatty-1"}

// keptRig is a proxy in front of the strict mock, which plays OpenAI, Anthropic,
// Gemini, and a server that has chat completions alone.
func keptRig(t *testing.T, change func(*Settings)) (*rig, *mockllm.Server) {
	t.Helper()
	mock := mockllm.New(mockllm.Options{Record: 256})
	server := httptest.NewServer(mock)
	t.Cleanup(func() { server.CloseClientConnections(); mock.Close(); server.Close() })
	s := Settings{Providers: []ProviderSettings{
		{Name: "openai", Kind: "openai", BaseURL: server.URL + "/v1", APIKey: "sk-openai-secret", Models: []string{"gpt-*"}},
		{Name: "anthropic", Kind: "anthropic", BaseURL: server.URL, APIKey: "sk-ant-secret", Models: []string{"claude-*"}},
		{Name: "gemini", Kind: "gemini", BaseURL: server.URL, APIKey: "AIza-secret-key", Models: []string{"gemini-*"}},
		{Name: "chat", Kind: "openai", BaseURL: server.URL + "/v1", APIKey: "sk-chat-secret", Models: []string{"chatty-*"}, APIs: []string{"chat"}},
	}}
	if change != nil {
		change(&s)
	}
	return newRig(t, s, keeping), mock
}

// A response as a client reads it.
type response struct {
	ID       string
	Status   string
	Store    bool
	Previous string            `json:"previous_response_id"`
	Output   []json.RawMessage `json:"output"`
	raw      string
}

func (r response) text() (out string) {
	for _, item := range r.Output {
		var o struct{ Content []struct{ Text string } }
		_ = json.Unmarshal(item, &o)
		for _, c := range o.Content {
			out += c.Text
		}
	}
	return out
}

// callIDs are those of the calls of functions in the output.
func (r response) callIDs() (ids []string) {
	for _, item := range r.Output {
		var o struct {
			Type   string
			CallID string `json:"call_id"`
		}
		if _ = json.Unmarshal(item, &o); o.Type == "function_call" {
			ids = append(ids, o.CallID)
		}
	}
	return ids
}

const keptTools = `,"tools":[{"type":"function","name":"weather","strict":false,"parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]`

// respond asks by Responses, whole or as a stream; members follow the model and begin with a comma.
func (g *rig) respond(model string, stream bool, members string, headers ...string) response {
	g.t.Helper()
	resp, body := g.post("/v1/responses", fmt.Sprintf(`{"model":%q,"stream":%v%s}`, model, stream, members), headers...)
	if resp.StatusCode != 200 {
		g.t.Fatalf("%s %s: %d %s", model, members, resp.StatusCode, body)
	}
	if stream {
		if _, err := mockllm.ReadStream(wire.Responses, []byte(body)); err != nil {
			g.t.Fatalf("%v\n%s", err, body)
		}
		ids := map[string]bool{}
		for _, data := range wire.Events([]byte(body)) {
			var e struct{ Response *json.RawMessage }
			if err := json.Unmarshal(data, &e); err != nil {
				g.t.Fatal(err)
			}
			if e.Response != nil {
				body = string(*e.Response)
				ids[g.read(body).ID] = true
			}
		}
		if len(ids) != 1 {
			g.t.Errorf("ids of one stream: %v", ids)
		}
	}
	return g.read(body)
}

func (g *rig) read(body string) (r response) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		g.t.Fatalf("%v: %s", err, body)
	}
	r.raw = body
	return r
}

func eachKept(t *testing.T, f func(t *testing.T, model string, stream bool)) {
	for name, model := range keptModels {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s stream %v", name, stream), func(t *testing.T) { f(t, model, stream) })
		}
	}
}

// A loop of tools over three turns, each of which names the one before: the
// strict mock takes the whole conversation, whoever it is told by.
func TestKeptToolLoop(t *testing.T) {
	g, mock := keptRig(t, nil)
	eachKept(t, func(t *testing.T, model string, stream bool) {
		one := g.respond(model, stream, `,"store":true,"instructions":"Be brief.","metadata":{"k":"v"},"input":"Use weather in Paris."`+keptTools)
		if !isKept(one.ID) || !one.Store || len(one.callIDs()) != 1 {
			t.Fatalf("first turn: %s", one.raw)
		}
		result := fmt.Sprintf(`,"input":[{"type":"function_call_output","call_id":%q,"output":"sky-blue"}]`, one.callIDs()[0])
		two := g.respond(model, stream, `,"store":true,"previous_response_id":"`+one.ID+`"`+result+keptTools)
		if !strings.Contains(one.raw, `"metadata":{"k":"v"}`) {
			t.Errorf("metadata: %s", one.raw)
		}
		if two.Previous != one.ID || two.ID == one.ID || !strings.Contains(two.text(), "sky-blue") {
			t.Fatalf("second turn: %s", two.raw)
		}
		three := g.respond(model, stream, `,"previous_response_id":"`+two.ID+`","input":"And hello again"`)
		if isKept(three.ID) || three.Store || !strings.Contains(three.text(), "hello again") {
			t.Fatalf("third turn, which is not kept: %s", three.raw)
		}
		sent := mock.Requests()
		last := string(sent[len(sent)-1].Body)
		for _, want := range []string{"Use weather in Paris.", "sky-blue", "And hello again"} {
			if !strings.Contains(last, want) {
				t.Errorf("%q did not go upstream: %s", want, last)
			}
		}
		if strings.Contains(last, "Be brief.") || strings.Contains(last, "resp_weir") || strings.Contains(last, `"store"`) {
			t.Errorf("what is not inherited went upstream: %s", last)
		}
		if resp, body := g.do("GET", "/v1/responses/"+two.ID, ""); resp.StatusCode != 200 || body != two.raw {
			t.Errorf("retrieved %d %s\nwant %s", resp.StatusCode, body, two.raw)
		}
	})
}

// A branch goes on from the middle, at another vendor's model, and at OpenAI's own.
func TestKeptBranches(t *testing.T) {
	g, mock := keptRig(t, nil)
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":"Use weather in Paris."`+keptTools)
	result := fmt.Sprintf(`,"input":[{"type":"function_call_output","call_id":%q,"output":"sky-blue"}]`, one.callIDs()[0])
	two := g.respond("gemini-2.5-flash", true, `,"store":true,"previous_response_id":"`+one.ID+`"`+result+keptTools)
	for _, model := range []string{"gpt-4o-mini", "chatty-1", "claude-haiku-4-5", "gemini-2.5-flash"} {
		for _, stream := range []bool{false, true} {
			r := g.respond(model, stream, `,"previous_response_id":"`+two.ID+`","instructions":"Be quick.","input":"branch of `+model+`"`)
			if !strings.Contains(r.text(), "branch of "+model) {
				t.Errorf("%s: %s", model, r.raw)
			}
			sent := mock.Requests()
			last := sent[len(sent)-1]
			if !strings.Contains(string(last.Body), "sky-blue") || strings.Contains(string(last.Body), "resp_weir") {
				t.Errorf("%s: upstream got %s", model, last.Body)
			}
			if model == "gpt-4o-mini" && (last.Path != "/v1/responses" || isKept(r.ID)) {
				t.Errorf("OpenAI's own was asked by %s and answers %s", last.Path, r.ID)
			}
		}
	}
	// An id of OpenAI's own goes on to its account as ever.
	own := g.respond("gpt-4o-mini", false, `,"input":"hello"`)
	if r := g.respond("gpt-4o-mini", false, `,"previous_response_id":"`+own.ID+`","input":"again"`); r.Previous != own.ID {
		t.Errorf("an upstream's own id: %s", r.raw)
	}
}

// Thinking comes home sealed as it went out: the mock checks its signatures.
func TestKeptThinking(t *testing.T) {
	g, mock := keptRig(t, nil)
	for _, model := range []string{"claude-sonnet-4-5", "gemini-2.5-flash"} {
		for _, stream := range []bool{false, true} {
			think := `,"store":true,"reasoning":{"effort":"medium","summary":"auto"}` + keptTools
			one := g.respond(model, stream, think+`,"input":"Use weather in Paris."`)
			result := fmt.Sprintf(`,"input":[{"type":"function_call_output","call_id":%q,"output":"sky-blue"}]`, one.callIDs()[0])
			two := g.respond(model, stream, think+`,"previous_response_id":"`+one.ID+`"`+result)
			sent := mock.Requests()
			last := string(sent[len(sent)-1].Body)
			if !strings.Contains(last, `"signature":"`) && !strings.Contains(last, `"thoughtSignature":"`) || !strings.Contains(two.text(), "sky-blue") {
				t.Errorf("%s: upstream got %s\nand says %s", model, last, two.raw)
			}
		}
	}
}

// What decides whether a reply is kept.
func TestWhatIsKept(t *testing.T) {
	for _, state := range []bool{false, true} {
		g, _ := keptRig(t, func(s *Settings) { s.Responses.State = state })
		check := func(members string, want bool) {
			t.Helper()
			for _, stream := range []bool{false, true} {
				r := g.respond("claude-haiku-4-5", stream, members+`,"input":"hello"`)
				resp, _ := g.do("GET", "/v1/responses/"+r.ID, "")
				if isKept(r.ID) != want || r.Store != want || want != (resp.StatusCode == 200) {
					t.Errorf("state %v, %s: kept as %s, store %v, retrieved with %d; want %v", state, members, r.ID, r.Store, resp.StatusCode, want)
				}
			}
		}
		check(``, state)
		check(`,"store":null`, state)
		check(`,"store":true`, true)
		check(`,"store":false`, false)
	}
}

func TestKeptRefusals(t *testing.T) {
	input := func(members string) string {
		if strings.Contains(members, `"input"`) {
			return ""
		}
		return `,"input":"hi"`
	}
	g, _ := keptRig(t, nil)
	check := func(members string, status int, code, param string, words ...string) {
		t.Helper()
		for _, stream := range []bool{false, true} {
			resp, body := g.post("/v1/responses", fmt.Sprintf(`{"model":"claude-haiku-4-5","stream":%v%s}`, stream, input(members)+members))
			var told struct {
				Error struct{ Code, Param, Message string }
			}
			if err := json.Unmarshal([]byte(body), &told); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if e := told.Error; resp.StatusCode != status || e.Code != code || e.Param != param {
				t.Errorf("%s: %d %s", members, resp.StatusCode, body)
			}
			for _, w := range words {
				if !strings.Contains(told.Error.Message, w) {
					t.Errorf("%s: %q lacks %q", members, told.Error.Message, w)
				}
			}
		}
	}
	check(`,"previous_response_id":"resp_of_nobody"`, 400, "dialect_not_carried", "previous_response_id", "store: true", "whole conversation")
	check(`,"previous_response_id":"resp_weir_0190a0000000700080000000000000ab"`, 400, "previous_response_not_found", "previous_response_id", "not found", "whole conversation")
	check(`,"input":[{"role":"user","content":"hi"},{"type":"item_reference","id":"msg_of_nobody"}]`, 400, "dialect_not_carried", "input", "store: true", "Send the item itself")
	check(`,"background":true`, 400, "dialect_not_carried", "background", "leave it out")
	check(`,"conversation":"conv_1"`, 400, "dialect_not_carried", "conversation", "leave it out")
}

// Nobody but its owner sees a kept response, or goes on from it.
func TestKeptScopes(t *testing.T) {
	g, keys := keyedKeptRig(t)
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":"CANARY"`, keys["a"]...)
	check := func(who string, want int) {
		t.Helper()
		for _, path := range []string{"", "/input_items"} {
			resp, body := g.do("GET", "/v1/responses/"+one.ID+path, "", keys[who]...)
			if resp.StatusCode != want || want != 200 && strings.Contains(body, "CANARY") {
				t.Errorf("%s gets %d %s", who, resp.StatusCode, body)
			}
		}
		wantNext := want
		if want == 404 {
			wantNext = 400
		}
		resp, body := g.post("/v1/responses", `{"model":"claude-haiku-4-5","input":"repeat","previous_response_id":"`+one.ID+`"}`, keys[who]...)
		if resp.StatusCode != wantNext || want != 200 && strings.Contains(body, "CANARY") {
			t.Errorf("%s goes on with %d %s", who, resp.StatusCode, body)
		}
	}
	check("a", 200)
	check("a2", 200) // of the same project
	check("b", 404)
	check("alone", 404)
	for who, want := range map[string]int{"b": 404, "alone": 404, "a2": 200} {
		if resp, body := g.do("DELETE", "/v1/responses/"+one.ID, "", keys[who]...); resp.StatusCode != want {
			t.Errorf("%s deletes: %d %s", who, resp.StatusCode, body)
		}
	}
	check("a", 404)
}

// keyedKeptRig has keys a and a2 of one project, b of another, and one of none.
func keyedKeptRig(t *testing.T) (*rig, map[string][]string) {
	t.Helper()
	mock := mockllm.New(mockllm.Options{})
	server := httptest.NewServer(mock)
	t.Cleanup(func() { server.CloseClientConnections(); mock.Close(); server.Close() })
	s := Settings{Auth: AuthKeys, Providers: []ProviderSettings{at("anthropic", "anthropic", server.URL)}}
	k := &keyring{}
	g := newRig(t, s, keeping, k.option(t))
	headers := map[string][]string{}
	for who, project := range map[string]string{"a": "first", "a2": "first", "b": "second", "alone": ""} {
		headers[who] = []string{"Authorization", "Bearer " + k.make(t, ledger.KeySpec{Name: who, Project: project})}
	}
	return g, headers
}

// A client that is known by its own credential alone has responses of its own.
func TestKeptPassthrough(t *testing.T) {
	g, _ := keptRig(t, func(s *Settings) { s.Auth = AuthPassthrough })
	mine, theirs := []string{"Authorization", "Bearer key-one"}, []string{"Authorization", "Bearer key-two"}
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":"hello"`, mine...)
	for want, headers := range map[int][]string{200: mine, 404: theirs} {
		if resp, body := g.do("GET", "/v1/responses/"+one.ID, "", headers...); resp.StatusCode != want {
			t.Errorf("%v: %d %s", headers, resp.StatusCode, body)
		}
	}
}

func TestKeptInputItems(t *testing.T) {
	g, _ := keptRig(t, nil)
	var items []string
	for i := range 5 {
		items = append(items, fmt.Sprintf(`{"role":"user","content":"word %d"}`, i))
	}
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":[`+strings.Join(items, ",")+`]`)
	type list struct {
		Object string
		Data   []struct {
			ID, Type, Role, Status string
			Content                []struct{ Type, Text string }
		}
		First string `json:"first_id"`
		Last  string `json:"last_id"`
		More  bool   `json:"has_more"`
	}
	page := func(query string) (l list) {
		t.Helper()
		resp, body := g.do("GET", "/v1/responses/"+one.ID+"/input_items"+query, "")
		if err := json.Unmarshal([]byte(body), &l); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %v %s", query, resp.StatusCode, err, body)
		}
		if l.Object != "list" || len(l.Data) > 0 && (l.First != l.Data[0].ID || l.Last != l.Data[len(l.Data)-1].ID) {
			t.Errorf("%s: %s", query, body)
		}
		return l
	}
	words := func(l list) (out []string) {
		for _, d := range l.Data {
			if d.ID == "" || d.Type != "message" || d.Role != "user" || d.Status != "completed" || d.Content[0].Type != "input_text" {
				t.Errorf("item %+v", d)
			}
			out = append(out, strings.TrimPrefix(d.Content[0].Text, "word "))
		}
		return out
	}
	if l := page(""); !slices.Equal(words(l), []string{"4", "3", "2", "1", "0"}) || l.More {
		t.Errorf("by default %+v", l)
	}
	var all []string
	after := ""
	for {
		l := page("?order=asc&limit=2" + after)
		all = append(all, words(l)...)
		if !l.More {
			break
		}
		after = "&after=" + l.Last
	}
	if strings.Join(all, "") != "01234" {
		t.Errorf("pages: %v", all)
	}
	for _, bad := range []string{"?limit=0", "?limit=101", "?limit=x", "?order=up", "?after=msg_none"} {
		if resp, body := g.do("GET", "/v1/responses/"+one.ID+"/input_items"+bad, ""); resp.StatusCode != 400 {
			t.Errorf("%s: %d %s", bad, resp.StatusCode, body)
		}
	}
}

// The rest of what can be done with a kept response, and what it costs.
func TestKeptObject(t *testing.T) {
	g, mock := keptRig(t, nil)
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":"hello"`)
	path := "/v1/responses/" + one.ID
	check := func(method, path string, status int, words string) {
		t.Helper()
		if resp, body := g.do(method, path, ""); resp.StatusCode != status || !strings.Contains(body, words) {
			t.Errorf("%s %s: %d %s", method, path, resp.StatusCode, body)
		}
	}
	check("GET", path, 200, one.ID)
	check("GET", path+"?stream=true", 400, `"param":"stream"`)
	check("GET", path+"?stream=false", 200, one.ID)
	check("POST", path+"/cancel", 400, "Cannot cancel")
	check("PUT", path, 405, "PUT")
	check("GET", path+"/nothing", 404, "nothing")
	check("DELETE", path, 200, `{"id":"`+one.ID+`","object":"response","deleted":true}`)
	check("GET", path, 404, "not found")
	check("DELETE", path, 404, "not found")
	check("POST", path+"/cancel", 404, "not found")
	if n := len(mock.Requests()); n != 1 {
		t.Errorf("%d requests went upstream", n)
	}
	for _, c := range g.calls(11)[1:] {
		if !c.Usage.IsZero() || len(c.Attempts) > 0 || c.API != "responses_stored" {
			t.Errorf("%s %s is billed: %+v", c.Method, c.Path, c)
		}
	}
}

// A conversation whose middle is deleted cannot be continued, and says which.
func TestKeptBrokenChain(t *testing.T) {
	g, _ := keptRig(t, func(s *Settings) { s.Responses.State = true })
	one := g.respond("chatty-1", false, `,"input":"one"`)
	two := g.respond("chatty-1", true, `,"input":"two","previous_response_id":"`+one.ID+`"`)
	three := g.respond("chatty-1", false, `,"input":"three","previous_response_id":"`+two.ID+`"`)
	g.do("DELETE", "/v1/responses/"+two.ID, "")
	for _, id := range []string{two.ID, three.ID} {
		resp, body := g.post("/v1/responses", `{"model":"chatty-1","input":"four","previous_response_id":"`+id+`"}`)
		if resp.StatusCode != 400 || !strings.Contains(body, "previous_response_not_found") || !strings.Contains(body, two.ID) {
			t.Errorf("after %s: %d %s", id, resp.StatusCode, body)
		}
	}
	if resp, _ := g.do("GET", "/v1/responses/"+three.ID, ""); resp.StatusCode != 200 {
		t.Errorf("the last one alone: %d", resp.StatusCode)
	}
}

func TestKeptExpires(t *testing.T) {
	g, _ := keptRig(t, func(s *Settings) { s.Responses.Retention = time.Nanosecond })
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":"hello"`)
	if resp, body := g.do("GET", "/v1/responses/"+one.ID, ""); resp.StatusCode != 404 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	g.calls(2)
	if n, err := ledger.PruneResponses(t.Context(), g.db, time.Now()); n != 1 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
}

// A dead store is a 503 for what is only there, and nothing else.
func TestKeptStoreDead(t *testing.T) {
	g, _ := keptRig(t, nil)
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":"hello"`)
	g.calls(1)
	if err := g.db.Exec(t.Context(), `ALTER TABLE responses RENAME TO gone`); err != nil {
		t.Fatal(err)
	}
	next := `{"model":"claude-haiku-4-5","input":"hi","previous_response_id":"` + one.ID + `"}`
	for name, f := range map[string]func() (*http.Response, string){
		"GET":    func() (*http.Response, string) { return g.do("GET", "/v1/responses/"+one.ID, "") },
		"items":  func() (*http.Response, string) { return g.do("GET", "/v1/responses/"+one.ID+"/input_items", "") },
		"DELETE": func() (*http.Response, string) { return g.do("DELETE", "/v1/responses/"+one.ID, "") },
		"next":   func() (*http.Response, string) { return g.post("/v1/responses", next) },
	} {
		begun := time.Now()
		resp, body := f()
		if resp.StatusCode != 503 || !strings.Contains(body, "store_unavailable") || resp.Header.Get("Retry-After") == "" || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: %d %s after %v", name, resp.StatusCode, body, time.Since(begun))
		}
	}
	two := g.respond("claude-haiku-4-5", true, `,"store":true,"input":"hello"`)
	if r := g.respond("claude-haiku-4-5", false, `,"input":"hi","previous_response_id":"`+two.ID+`"`); r.Previous != two.ID {
		t.Errorf("what memory has: %s", r.raw)
	}
	if err := g.db.Exec(t.Context(), `ALTER TABLE gone RENAME TO responses`); err != nil {
		t.Fatal(err)
	}
}

// Pictures in a conversation are kept, and what is too large is refused before
// the upstream is asked.
func TestKeptLarge(t *testing.T) {
	g, mock := keptRig(t, nil)
	picture := "iVBORw0KGgo" + strings.Repeat("A", 3<<20) + "=="
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":[{"role":"user","content":[{"type":"input_text","text":"look"},{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,`+picture+`"}]}]`)
	g.respond("gemini-2.5-flash", false, `,"previous_response_id":"`+one.ID+`","input":"What was in it?"`)
	sent := mock.Requests()
	if last := string(sent[len(sent)-1].Body); !strings.Contains(last, picture) {
		t.Errorf("the picture did not come home: %d bytes", len(last))
	}
	for _, stream := range []bool{false, true} { // a model that cannot see is not asked, though this turn has no picture
		resp, body := g.post("/v1/responses", fmt.Sprintf(`{"model":"gpt-3.5-turbo","stream":%v,"previous_response_id":%q,"input":"And now?"}`, stream, one.ID))
		if resp.StatusCode != 400 || !strings.Contains(body, "model_not_capable") {
			t.Errorf("a model without vision: %d %s", resp.StatusCode, body)
		}
	}
	sent = mock.Requests()
	huge := strings.Repeat("A", maxKeptBody)
	resp, body := g.post("/v1/responses", `{"model":"claude-haiku-4-5","store":true,"input":[{"role":"user","content":[{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,`+huge+`"}]}]}`)
	if resp.StatusCode != 413 || !strings.Contains(body, `"param":"store"`) || len(mock.Requests()) != len(sent) {
		t.Errorf("too large: %d %.300s", resp.StatusCode, body)
	}
}

// What broke off is not there; what its limit has ended is.
func TestKeptOnlyWhole(t *testing.T) {
	g, _ := keptRig(t, nil)
	id := func(body string) string {
		_, rest, _ := strings.Cut(body, `"id":"resp_weir_`)
		digits, _, _ := strings.Cut(rest, `"`)
		return ledger.ResponsePrefix + digits
	}
	for _, failing := range []string{"claude-haiku-4-5-mock-words-50-tps-500-failat-12", "chatty-1-mock-words-50-endafter-9", "gemini-2.5-flash-mock-words-50-cut-3000"} {
		_, body := g.post("/v1/responses", `{"model":"`+failing+`","store":true,"stream":true,"input":"hello"}`)
		if !strings.Contains(body, "response.created") || strings.Contains(body, "response.completed") {
			t.Fatalf("%s: %s", failing, body)
		}
		if resp, text := g.do("GET", "/v1/responses/"+id(body), ""); resp.StatusCode != 404 {
			t.Errorf("%s: %d %s", failing, resp.StatusCode, text)
		}
	}
	for _, stream := range []bool{false, true} {
		short := g.respond("claude-haiku-4-5-mock-words-50", stream, `,"store":true,"max_output_tokens":16,"input":"hello"`)
		resp, text := g.do("GET", "/v1/responses/"+short.ID, "")
		if resp.StatusCode != 200 || short.Status != "incomplete" || text != short.raw {
			t.Errorf("one that is too long: %d %s, want %s", resp.StatusCode, text, short.raw)
		}
	}
}

// Items of kept replies may be referred to by their ids, as the AI SDK does.
func TestKeptReferences(t *testing.T) {
	g, mock := keptRig(t, nil)
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":"Use weather in Paris."`+keptTools)
	var call struct{ ID string }
	if err := json.Unmarshal(one.Output[len(one.Output)-1], &call); err != nil {
		t.Fatal(err)
	}
	input := fmt.Sprintf(`,"input":[{"role":"user","content":"Use weather in Paris."},{"type":"item_reference","id":%q},{"type":"function_call_output","call_id":%q,"output":"sky-blue"}]`, call.ID, one.callIDs()[0])
	for _, model := range []string{"claude-haiku-4-5", "gemini-2.5-flash", "chatty-1", "gpt-4o-mini"} {
		two := g.respond(model, false, `,"store":true`+input+keptTools)
		if !strings.Contains(two.text(), "sky-blue") {
			t.Errorf("%s: %s", model, two.raw)
		}
		if model != "gpt-4o-mini" {
			if _, list := g.do("GET", "/v1/responses/"+two.ID+"/input_items", ""); strings.Contains(list, "item_reference") || !strings.Contains(list, `"function_call"`) {
				t.Errorf("%s: listed as %s", model, list)
			}
			g.respond(model, true, `,"previous_response_id":"`+two.ID+`","input":"hello"`)
		}
		sent := mock.Requests()
		if last := string(sent[len(sent)-1].Body); strings.Contains(last, "item_reference") || !strings.Contains(last, "sky-blue") {
			t.Errorf("%s: upstream got %s", model, last)
		}
	}
	resp, body := g.post("/v1/responses", `{"model":"claude-haiku-4-5","input":[{"type":"item_reference","id":"msg_weir_0190a0000000700080000000000000ab_0"}]}`)
	if resp.StatusCode != 400 || !strings.Contains(body, "not found") {
		t.Errorf("an unknown item: %d %s", resp.StatusCode, body)
	}
}

// A reply that turns out not to fit says so, whole, or is told so in its stream.
func TestKeptNoRoom(t *testing.T) {
	g, _ := keptRig(t, nil)
	small, err := ledger.OpenRecorder(ledger.RecorderOptions{Dir: t.TempDir(), DB: g.db, Max: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := small.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if g.proxy.kept, err = ledger.NewResponses(small, []byte("a secret of at least thirty-two characters")); err != nil {
		t.Fatal(err)
	}
	const members = `,"store":true,"input":"hello"}`
	resp, body := g.post("/v1/responses", `{"model":"claude-haiku-4-5-mock-words-3000"`+members)
	if r := g.read(body); resp.StatusCode != 200 || r.Store || isKept(r.ID) || resp.Header.Get("X-Weir-Dropped-Params") != "store" {
		t.Errorf("whole: %d %v %.200s", resp.StatusCode, resp.Header, body)
	}
	_, body = g.post("/v1/responses", `{"model":"claude-haiku-4-5-mock-words-3000","stream":true`+members)
	if !strings.Contains(body, "recorder_full") || !strings.Contains(body, "[broken") || strings.Contains(body, "response.completed") {
		t.Errorf("stream: %s", body[max(0, len(body)-1000):])
	}
	resp, body = g.post("/v1/responses", `{"model":"claude-haiku-4-5","store":true,"input":"`+strings.Repeat("x", 10<<10)+`"}`)
	if resp.StatusCode != 503 || !strings.Contains(body, "recorder_full") || !strings.Contains(body, `"param":"store"`) {
		t.Errorf("no room for the request: %d %s", resp.StatusCode, body)
	}
}

// Two processes on one store: the second goes on from what the first has just kept.
func TestKeptTwoProcesses(t *testing.T) {
	g, _ := keptRig(t, nil)
	rec, err := ledger.OpenRecorder(ledger.RecorderOptions{Dir: t.TempDir(), DB: g.db})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Settings: g.proxy.state.Load().Settings, Recorder: rec}
	keeping(&o)
	other, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(other)
	first := g.url
	t.Cleanup(func() {
		other.Drain(5 * time.Second)
		server.Close()
		other.Close()
		if err := rec.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	last := ""
	for i := range 6 {
		g.url = first
		if i%2 == 1 {
			g.url = server.URL
		}
		r := g.respond("claude-haiku-4-5", i%3 == 0, fmt.Sprintf(`,"store":true,"input":"turn %d"%s`, i, last))
		if !strings.Contains(r.text(), fmt.Sprintf("turn %d", i)) {
			t.Errorf("turn %d: %s", i, r.raw)
		}
		last = `,"previous_response_id":"` + r.ID + `"`
	}
	g.url = first
}

// Nothing of what was said can be read on the disk.
func TestKeptIsSealed(t *testing.T) {
	g, _ := keptRig(t, nil)
	g.respond("claude-haiku-4-5", true, `,"store":true,"input":"CANARY of a conversation"`)
	g.calls(1)
	_ = filepath.WalkDir(g.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if content, _ := os.ReadFile(path); strings.Contains(string(content), "CANARY") {
			t.Errorf("%s shows what was said", path)
		}
		return nil
	})
	if strings.Contains(g.log.String(), "CANARY") {
		t.Error("the log shows what was said")
	}
}
