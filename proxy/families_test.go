package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"weir/costs"
	"weir/ledger"
)

// The families of mis-accounting that concern a gateway's streams and rows, a
// row for each case, by the projects' names and issues. Those of usage and
// prices are in costs.

const messageAsk = `{"model":"claude-opus-5","max_tokens":999,"stream":true,"messages":[{"role":"user","content":"hi"}]}`

// claudeSells is a provider of claude-opus-5, at $5 and $25 a million.
func claudeSells(t *testing.T, rule map[string]any) ProviderSettings {
	p := at("up", "anthropic", mockRules(t, rule))
	p.PriceAs = "anthropic"
	return p
}

func TestBugFamilyStreams(t *testing.T) {
	usage := json.RawMessage(solUsage)
	long := strings.Repeat("word ", 60)
	for _, row := range []struct {
		name string
		path string // "" is chat
		ask  string
		rule map[string]any
		want string // the books, where they are exact
	}{
		{"usage comes last, and only to those who ask: litellm#14457", "", solStream, map[string]any{"usage_json": usage}, "ok 0.006: [computed 0.006]"},
		{"usage is on the chunk of the stop reason: litellm#17364", "", solStream, map[string]any{"usage_json": usage, "usage": "finish"}, "ok 0.006: [computed 0.006]"},
		{
			"running usage is added up: litellm#36008", "", solStream,
			map[string]any{"usage": "every", "text": long, "usage_json": []any{json.RawMessage(`{"prompt_tokens":1000,"completion_tokens":1}`), json.RawMessage(`{"prompt_tokens":1000,"completion_tokens":99}`), usage}},
			"ok 0.006: [computed 0.006]",
		},
		{
			"cached tokens of a stream are dropped: langfuse#13811", "", solStream,
			map[string]any{"usage_json": json.RawMessage(`{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":1000}}`)},
			"ok 0.0024: [computed 0.0024]",
		},
		{
			"message_start and message_delta are added up: litellm#30630", "/v1/messages", messageAsk,
			map[string]any{"usage_json": []any{json.RawMessage(`{"input_tokens":1000,"cache_read_input_tokens":1000,"output_tokens":1}`), json.RawMessage(`{"input_tokens":1000,"cache_read_input_tokens":1000,"output_tokens":100}`)}},
			"ok 0.008: [computed 0.008]",
		},
		{
			"what message_start alone says is lost: litellm#33736", "/v1/messages", messageAsk,
			map[string]any{"usage_json": []any{json.RawMessage(`{"input_tokens":0,"cache_creation_input_tokens":1000,"cache_creation":{"ephemeral_1h_input_tokens":1000},"output_tokens":1}`), json.RawMessage(`{"cache_creation_input_tokens":1000,"output_tokens":100}`)}},
			"ok 0.0125: [computed 0.0125]",
		},
		{
			"a zero is taken for nothing: litellm#37992", "", solStream,
			map[string]any{"text": long, "usage_json": json.RawMessage(`{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`)},
			"ok 0: [computed 0]",
		},
		{
			"a prompt without an answer: new-api#4168", "", solStream,
			map[string]any{"silent": true, "usage_json": json.RawMessage(`{"prompt_tokens":1000,"completion_tokens":0}`)},
			"ok 0.004: [computed 0.004]",
		},
		{"words of an error are counted as output: new-api#5288", "", solStream, map[string]any{"status": 500, "error": map[string]any{"message": long}}, "error : [  wasted]"},
		{"words of an error event are counted: new-api#5289", "", solStream, map[string]any{"fail_events": 0, "error": map[string]any{"message": long}, "status": 200}, "error : [  wasted]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := claudeSells(t, row.rule)
			if row.path == "" {
				p = openaiAt(mockRules(t, row.rule))
				p.PriceAs, row.path = "openai", "/v1/chat/completions"
			}
			g := newTill(t, false, Settings{Providers: []ProviderSettings{p}})
			told, text := g.buys("POST", row.path, row.ask, "Anthropic-Version", "2023-06-01")
			if cost := strings.Fields(row.want)[1]; told != strings.TrimSuffix(cost, ":") {
				t.Errorf("told %q: %.600s", told, text)
			}
			g.holds(row.want)
		})
	}
}

// What an upstream had made when a stream broke, or its usage did not come, is
// estimated by the text that passed, and never free.
func TestBugFamilyStreamsCutShort(t *testing.T) {
	long := strings.Repeat("word ", 60)
	started := json.RawMessage(`{"input_tokens":1000,"output_tokens":1}`)
	for _, row := range []struct {
		name   string
		path   string
		ask    string
		rule   map[string]any
		events int   // that the client waits for before it leaves; -1: it stays
		least  int64 // tokens of output
	}{
		{"a cancelled stream has no row: litellm#35958, #37558", "/v1/messages", messageAsk, map[string]any{"text": long, "usage_json": started, "cut_events": 40, "how": "hang"}, 40, 30},
		{"the row has the tokens, the cost is of one: litellm#39893", "/v1/messages", messageAsk, map[string]any{"text": long, "usage_json": started, "cut_events": 60, "how": "hang"}, 60, 50},
		{"an upstream that breaks off", "/v1/messages", messageAsk, map[string]any{"text": long, "usage_json": started, "cut_events": 40}, -1, 30},
		{"a client leaves before a whole reply: litellm#13245", "/v1/chat/completions", solChat, map[string]any{"text": long, "hang": "request"}, 0, 0},
		{"usage that does not come refunds everything: new-api#5235, #5291", "/v1/chat/completions", solStream, map[string]any{"text": long, "usage": "none"}, -1, 50},
		{"nor in a whole reply: new-api#7195", "/v1/chat/completions", solChat, map[string]any{"text": long, "usage": "none"}, -1, 50},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := claudeSells(t, row.rule)
			if row.path != "/v1/messages" {
				p = openaiAt(mockRules(t, row.rule))
				p.PriceAs = "openai"
			}
			g := newTill(t, false, Settings{Providers: []ProviderSettings{p}})
			g.leaves(row.path, row.ask, row.events)
			c := g.one()
			a := &c.Attempts[0]
			out, _ := a.Usage.Output()
			want := costs.Builtin().Charge(a.Usage, costs.Terms{Provider: p.PriceAs, Model: a.Model, At: day923})
			if a.CostSource != ledger.CostEstimated || out < row.least || a.Cost.Money != want.List || want.List.IsZero() || c.Cost != a.Cost {
				t.Errorf("%s of %s, want %s and %d tokens at the least", receipt(c), a.Usage.AppendJSON(nil), want.List, row.least)
			}
			g.holds(receipt(c))
		})
	}
}

// leaves sends a request and goes away after so many events; 0: once the
// upstream has it.
func (g *till) leaves(path, ask string, events int) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if events == 0 {
		go func() {
			eventually(g.t, "the call's beginning", func() bool { return g.rec.Stats().Open > 0 || ctx.Err() != nil })
			cancel()
		}()
	}
	resp, err := g.try(ctx, "POST", path, ask, "Content-Type", "application/json", "Anthropic-Version", "2023-06-01")
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if events < 0 {
		_, _ = io.Copy(io.Discard, resp.Body)
		return
	}
	in := bufio.NewReader(resp.Body)
	for range events {
		nextEvent(g.t, in)
	}
}

func TestBugFamilyRowsDuplicates(t *testing.T) {
	responses := `{"model":"gpt-5.6-sol","input":"hi"}`
	paid := "ok 0.006: [computed 0.006]"
	open := func(t *testing.T, rules ...map[string]any) *till {
		return newTill(t, false, retried(sells(t, `{"input_tokens":1000,"output_tokens":100,"total_tokens":1100}`, rules...)))
	}
	check := func(name string, f func(t *testing.T)) { t.Run(name, f) }

	check("a response is recorded twice: litellm#15740", func(t *testing.T) {
		g := open(t)
		g.buys("POST", "/v1/responses", responses)
		g.buys("POST", "/v1/responses", strings.TrimSuffix(responses, "}")+`,"stream":true}`)
		g.holds(paid, paid)
	})
	check("a look at a response is billed again: litellm#17814", func(t *testing.T) {
		g := open(t)
		_, text := g.buys("POST", "/v1/responses", responses)
		g.buys("GET", "/v1/responses/"+idIn(t, text), "")
		g.holds(paid, "ok : [ ]")
	})
	check("replies without an id are one row: litellm#6633", func(t *testing.T) {
		g := open(t, map[string]any{"usage_json": json.RawMessage(solUsage), "beside_usage": json.RawMessage(`{"id":""}`)})
		g.buys("POST", "/v1/chat/completions", solChat)
		g.buys("POST", "/v1/chat/completions", solChat)
		g.holds(paid, paid)
	})
	check("replies with the same id are one row: CCMeter", func(t *testing.T) {
		g := open(t)
		_, first := g.buys("POST", "/v1/responses", responses)
		_, second := g.buys("POST", "/v1/responses", responses)
		if idIn(t, first) != idIn(t, second) { // the mock's follow from the request
			t.Errorf("%s, %s", first, second)
		}
		g.holds(paid, paid)
	})
	check("rows are dropped where many come at once: litellm#36426", func(t *testing.T) {
		g := open(t)
		var all sync.WaitGroup
		want := make([]string, 40)
		for i := range want {
			want[i] = paid
			all.Go(func() { g.buys("POST", "/v1/responses", responses) })
		}
		all.Wait()
		g.holds(want...)
	})
	check("a tool's second round is not recorded: litellm#37358", func(t *testing.T) {
		g := open(t)
		tools := `,"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}`
		_, text := g.buys("POST", "/v1/responses", strings.TrimSuffix(responses, "}")+tools)
		if !strings.Contains(text, "function_call") {
			t.Errorf("%s", text)
		}
		g.buys("POST", "/v1/responses", `{"model":"gpt-5.6-sol","input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"1"}]`+tools)
		g.holds(paid, paid)
	})
	check("retries are counted as calls: litellm#39455", func(t *testing.T) {
		g := open(t, map[string]any{"times": 1, "status": 500})
		g.buys("POST", "/v1/responses", responses)
		g.holds("ok 0.006: [  wasted] [computed 0.006]")
		sums, err := ledger.NewCalls(g.db, g.spool).Costs(t.Context(), ledger.CostQuery{})
		if err != nil || len(sums) != 1 || sums[0].Calls != 1 || sums[0].Attempts != 2 {
			t.Errorf("%+v %v", sums, err)
		}
	})
	check("a failed call that was billed shows 0: litellm#37365", func(t *testing.T) {
		g := open(t, map[string]any{"fail_events": 3, "text": "a b c d e", "usage": "every", "usage_json": json.RawMessage(solUsage)})
		g.buys("POST", "/v1/chat/completions", solStream)
		g.holds("error 0.006: [estimated 0.006 wasted]")
	})
	check("a batch costs nothing, or again at each look: litellm#35358, #19925, #10011, #9077, #39980", func(t *testing.T) {
		g := open(t)
		line := fmt.Sprintf(`{"custom_id":"1","method":"POST","url":"/v1/responses","body":%s}`, responses)
		form := "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n" +
			"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n" + line + "\n" + line + "\r\n--x--\r\n"
		_, file := g.do("POST", "/v1/files", form, "Content-Type", "multipart/form-data; boundary=x")
		_, batch := g.buys("POST", "/v1/batches", `{"input_file_id":"`+idIn(t, file)+`","endpoint":"/v1/responses","completion_window":"24h"}`)
		for _, want := range []string{"0.006", "", ""} { // two requests by half
			if told, text := g.buys("GET", "/v1/batches/"+idIn(t, batch), ""); told != want {
				t.Errorf("told %q, want %q: %s", told, want, text)
			}
		}
		g.holds("ok 0: [free 0]", "ok : [unpriced ]", paid, "ok : [ ]", "ok : [ ]")
	})
}
