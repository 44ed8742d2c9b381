package neutral

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/internal/mockllm"
	"weir/proxy/wire"
)

// sse writes events, each a type and the members behind it.
func sse(events ...string) []byte {
	var b bytes.Buffer
	for _, e := range events {
		kind, rest, _ := strings.Cut(e, " ")
		b.WriteString("event: " + kind + "\ndata: {\"type\":\"" + kind + "\"" + rest + "}\n\n")
	}
	return b.Bytes()
}

const startEvent = `message_start ,"message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},"output_tokens":1,"service_tier":"standard"}}`

// Figures at the end stand over those of the start, member by member; what
// was split at the start is not counted again as a whole.
func TestMessagesStreamUsage(t *testing.T) {
	check := func(usage string, want map[costs.Meter]int64) {
		t.Helper()
		got := listen(t, sse(startEvent, `message_delta ,"delta":{"stop_reason":"end_turn"},"usage":`+usage, "message_stop"))
		var u costs.Usage
		for m, n := range want {
			u.Set(m, n)
		}
		if got.Usage != u {
			t.Errorf("%s: got %v, want %v", usage, got.Usage, u)
		}
		if got.ServiceTier != "default" {
			t.Errorf("tier %q", got.ServiceTier)
		}
	}
	base := map[costs.Meter]int64{
		costs.Input: 10, costs.InputCacheRead: 5, costs.InputCacheWrite5m: 20, costs.InputCacheWrite1h: 10, costs.Output: 7,
	}
	check(`{"output_tokens":7}`, base)
	check(`{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":5,"output_tokens":7}`, base)
	check(`{"input_tokens":null,"cache_read_input_tokens":null,"output_tokens":7}`, base)
	check(`{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}`, map[costs.Meter]int64{
		costs.Input: 0, costs.InputCacheRead: 0, costs.InputCacheWrite5m: 20, costs.InputCacheWrite1h: 10, costs.Output: 5, costs.OutputReasoning: 4,
	})
	check(`null`, map[costs.Meter]int64{
		costs.Input: 10, costs.InputCacheRead: 5, costs.InputCacheWrite5m: 20, costs.InputCacheWrite1h: 10, costs.Output: 1,
	})
}

func TestMessagesStreamShapes(t *testing.T) {
	check := func(want []Part, events ...string) {
		t.Helper()
		all := append([]string{startEvent}, events...)
		all = append(all, `message_delta ,"delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":1}`, "message_stop")
		got := listen(t, sse(all...))
		if !got.ended || got.Choices[0].Stop != StopTools || !reflect.DeepEqual(got.Choices[0].Parts, want) {
			t.Errorf("got %s", show(got.Reply))
		}
	}
	call := func(args string) []Part {
		return []Part{{Kind: Call, Call: &ToolCall{ID: "toolu_1", Name: "f", Args: args}}}
	}
	const begin = `content_block_start ,"index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":`
	const stop = `content_block_stop ,"index":0`
	piece := func(s string) string {
		return string(appendQuoted([]byte(`content_block_delta ,"index":0,"delta":{"type":"input_json_delta","partial_json":`), s)) + "}"
	}
	check(call(`{"a":1}`), begin+`{}}`, piece(""), piece(`{"a"`), piece(`:1}`), stop)
	check(call(`{}`), begin+`{}}`, stop)
	check(call(`{}`), begin+`{}}`, piece(""), stop)
	check(call(`{"a":1}`), begin+`{"a":1}}`, stop)
	check(call(`{"a":1}`), begin+`{"a":1}}`) // not closed
	check([]Part{{Text: "ab"}}, `content_block_start ,"index":0,"content_block":{"type":"text","text":"a"}`, "ping",
		`content_block_delta ,"index":0,"delta":{"type":"text_delta","text":"b"}`,
		`content_block_delta ,"index":9,"delta":{"type":"text_delta","text":"of no block"}`,
		`content_block_delta ,"index":0,"delta":{"type":"novel_delta","text":"unknown"}`, stop, `novel_event ,"x":1`)
	check([]Part{{Kind: Thinking, Thought: &Thought{Sealed: "dark", From: Messages}}},
		`content_block_start ,"index":0,"content_block":{"type":"redacted_thinking","data":"dark"}`, stop)
	check([]Part{{Kind: Opaque, From: Messages, Raw: jsontext.Value(`{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}}`)}},
		`content_block_start ,"index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}`,
		piece(`{"query":`), piece(`"q"}`), stop)
	cite := jsontext.Value(`{"type":"char_location","cited_text":"c","document_index":0,"document_title":"d","start_char_index":0,"end_char_index":1}`)
	check([]Part{{Text: "x", From: Messages, Cites: []Citation{{Title: "d", Quote: "c", Raw: cite}}}},
		`content_block_start ,"index":0,"content_block":{"type":"text","text":"","citations":[]}`,
		`content_block_delta ,"index":0,"delta":{"type":"text_delta","text":"x"}`,
		`content_block_delta ,"index":0,"delta":{"type":"citations_delta","citation":`+string(cite)+`}`, stop)
}

// A stream that was cut does not look whole, and an error in it is told.
func TestMessagesStreamEnds(t *testing.T) {
	if got := listen(t, sse(startEvent)); got.ended {
		t.Error("a stream without an end has ended")
	}
	if got := listen(t, sse(startEvent, `message_delta ,"delta":{"stop_reason":"end_turn"}`)); !got.ended {
		t.Error("a stream that lacks message_stop alone has not ended")
	}
	got := listen(t, sse(startEvent, `error ,"error":{"type":"overloaded_error","message":"Overloaded"}`))
	if got.ended || got.failure == nil || got.failure.Status != 529 || got.failure.Message != "Overloaded" {
		t.Errorf("got %+v", got.failure)
	}
}

func TestMessagesStops(t *testing.T) {
	check := func(reason StopReason, calls bool, want string) {
		t.Helper()
		c := Candidate{Stop: reason}
		if calls {
			c.Parts = []Part{{Kind: Call, Call: &ToolCall{ID: "a", Name: "f"}}}
		}
		whole := encodeMessagesReply(&Reply{ID: "x", Choices: []Candidate{c}}, nil)
		if got := member(t, whole, "stop_reason"); got != `"`+want+`"` {
			t.Errorf("%d: %s, want %s", reason, got, want)
		}
		events := []Event{{Kind: Begin, ID: "x"}}
		if calls {
			events = append(events, Event{Kind: Open, Part: &c.Parts[0]}, Event{Kind: Close})
		}
		stream := speak(t, append(events, Event{Kind: Stop, Reason: reason}, Event{Kind: End}))
		if told, _ := mockllm.ReadStream(wire.Messages, stream); told.Stop != want {
			t.Errorf("%d: streamed %s, want %s", reason, told.Stop, want)
		}
	}
	check(StopUnknown, false, "end_turn")
	check(StopUnknown, true, "tool_use")
	check(StopEnd, false, "end_turn")
	check(StopEnd, true, "tool_use")
	check(StopSequence, false, "stop_sequence")
	check(StopLength, true, "max_tokens")
	check(StopTools, true, "tool_use")
	check(StopFilter, false, "refusal")
	check(StopRefusal, false, "refusal")
	check(StopPause, false, "pause_turn")
	check(StopContext, false, "model_context_window_exceeded")
	check(StopFault, false, "refusal")
}

// Calls that a chat upstream opens at once and closes at the end come out one
// after the other, and what is empty is no block.
func TestMessagesStreamOrder(t *testing.T) {
	head := func(id string) *Part { return &Part{Kind: Call, Call: &ToolCall{ID: id, Name: "f"}} }
	stream := speak(t, []Event{
		{Kind: Begin, ID: "chatcmpl-1", Model: "gpt"},
		{Kind: Open, Index: 0, Part: &Part{}},
		{Kind: TextDelta, Index: 0},
		{Kind: Close, Index: 0},
		{Kind: Open, Index: 1, Part: head("a")},
		{Kind: Open, Index: 2, Part: head("b")},
		{Kind: ArgsDelta, Index: 2, Text: `{"b":`},
		{Kind: ArgsDelta, Index: 1, Text: `{"a":`},
		{Kind: ArgsDelta, Index: 2, Text: `2}`},
		{Kind: ArgsDelta, Index: 1, Text: `1}`},
		{Kind: Close, Index: 2},
		{Kind: Close, Index: 1},
		{Kind: Open, Index: 3, Part: head("c")},
		{Kind: Close, Index: 3, Part: &Part{Kind: Call, Call: &ToolCall{ID: "c", Name: "f", Args: `{"c":3}`}}},
		{Kind: Open, Index: 4, Part: head("d")}, // never closed
		{Kind: Stop, Reason: StopTools},
		{Kind: End},
	})
	told, err := mockllm.ReadStream(wire.Messages, stream)
	want := []mockllm.ToldCall{{ID: "a", Name: "f", Arguments: `{"a":1}`}, {ID: "b", Name: "f", Arguments: `{"b":2}`}, {ID: "c", Name: "f", Arguments: `{"c":3}`}, {ID: "d", Name: "f"}}
	if err != nil || !slices.Equal(told.Calls, want) || told.Stop != "tool_use" || told.Text != "" {
		t.Errorf("%v: %+v", err, told)
	}
	if !bytes.Contains(stream, []byte(`"id":"msg_chatcmpl-1"`)) {
		t.Errorf("no id in %s", stream)
	}
}

// A client keeps another vendor's seals for it, and they come back.
func TestMessagesSealsOfOthers(t *testing.T) {
	check := func(p Part) {
		t.Helper()
		var message struct {
			Content jsontext.Value `json:"content"`
		}
		body := encodeMessagesReply(&Reply{ID: "x", Choices: []Candidate{{Parts: []Part{p}}}}, nil)
		if err := decode(body, &message); err != nil {
			t.Fatal(err)
		}
		r := decodeMessages(t, []byte(`{"messages":[{"role":"assistant","content":`+string(message.Content)+`}]}`))
		if got := r.Turns[0].Parts; len(got) != 1 || !reflect.DeepEqual(got[0], p) {
			t.Errorf("got %+v %+v, want %+v %+v", got[0].Thought, got[0].Call, p.Thought, p.Call)
		}
	}
	check(Part{Kind: Thinking, Thought: &Thought{ID: "rs_1", Text: "sum", Summary: true, Sealed: "gAAA+/=", From: Responses}})
	check(Part{Kind: Thinking, Thought: &Thought{ID: "rs_1", Sealed: "gAAA+/=", From: Responses}})
	check(Part{Kind: Thinking, Thought: &Thought{Sealed: "gAAA+/=", From: Responses}})
	check(Part{Kind: Thinking, Thought: &Thought{Text: "t", Signature: "CiQ+/==", From: Generate}})
	check(Part{Kind: Thinking, Thought: &Thought{Signature: "CiQ+/==", From: Generate}})
	check(Part{Kind: Thinking, Thought: &Thought{Text: "t", From: Chat}})
	check(Part{Kind: Thinking, Thought: &Thought{Text: "t", Signature: "EqQ+/==", From: Messages}})
	check(Part{Kind: Call, Call: &ToolCall{ID: "call_1", Name: "f", Args: "{}", Signature: "CiQ+/==", From: Generate}})
}

// What is written for an Anthropic upstream is what the strict mock takes.
func TestMessagesStrict(t *testing.T) {
	server := httptest.NewServer(mockllm.New(mockllm.Options{}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	check := func(r *Request) {
		t.Helper()
		body, _ := encodeMessages(t, r)
		req, err := http.NewRequestWithContext(context.Background(), "POST", server.URL+"/v1/messages", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"X-Api-Key": {"k"}, "Anthropic-Version": {"2023-06-01"}, "Content-Type": {"application/json"}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%d %s to %s", resp.StatusCode, answer, body)
			return
		}
		if !r.Stream {
			if reply, err := decodeMessagesReply(answer); err != nil || len(reply.Choices[0].Parts) == 0 || !reply.HasUsage {
				t.Errorf("%v: %+v", err, reply)
			}
		} else if got := listen(t, answer); !got.ended || len(got.Choices[0].Parts) == 0 {
			t.Errorf("got %s", show(got.Reply))
		}
	}
	tool := []Tool{{Name: "f", Description: "d"}}
	check(foreign(func(r *Request) {}))
	check(foreign(func(r *Request) { r.Stream = true; r.Reasoning.Effort = "medium" }))
	check(foreign(func(r *Request) { r.Tools, r.Choice.Mode, r.Reasoning.Effort = tool, Required, "high" }))
	check(foreign(func(r *Request) {
		r.Tools, r.Reasoning.Effort, r.Stream = tool, "low", true
		r.Turns = []Turn{
			{Role: Developer, Parts: []Part{{Text: "be"}}},
			{Parts: []Part{{Text: "a"}}},
			{Role: Assistant, Parts: []Part{{Text: ""}, {Kind: Call, Call: &ToolCall{ID: "x.1", Name: "f"}}, {Kind: Call, Call: &ToolCall{ID: "x.2", Name: "f", Args: "{}"}}}},
			{Parts: []Part{{Kind: Result, Result: &ToolResult{ID: "x.1", Parts: []Part{{Text: ""}}}}}},
			{Parts: []Part{{Kind: Result, Result: &ToolResult{ID: "x.2", Failed: true, Parts: []Part{{Text: "no"}}}}}},
			{Role: System, Parts: []Part{{Text: "now"}}},
			{Parts: []Part{{Text: "go"}}},
		}
		for range 6 {
			r.Turns[1].Parts = append(r.Turns[1].Parts, Part{Text: "x", Cache: jsontext.Value(`{"type":"ephemeral"}`)})
		}
	}))
	check(foreign(func(r *Request) {
		r.Format = Format{Kind: JSONSchema, Schema: jsontext.Value(`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`)}
		r.User, r.Stop, r.ServiceTier = "u", []string{"STOP"}, "auto"
		r.Turns[0].Parts = append(r.Turns[0].Parts, Part{Kind: File, Media: &Media{Text: "words", Title: "t"}},
			Part{Kind: Image, Media: &Media{MIME: "image/png", Data: "iVBORw0KGgo="}})
	}))
}
