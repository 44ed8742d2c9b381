package neutral

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/internal/mockllm"
)

// codexOnClaude is what a Claude answers to the request of codex.json: custom
// tools come as functions, thoughts with their signature, and the second
// call's pieces between those of the first.
func codexOnClaude() []Event {
	usage := costs.Usage{}
	usage.Set(costs.Input, 20)
	usage.Set(costs.InputCacheRead, 100)
	usage.Set(costs.Output, 30)
	call := func(id, name string) *Part { return &Part{Kind: Call, Call: &ToolCall{ID: id, Name: name}} }
	return []Event{
		{Kind: Begin, ID: "msg_01", Model: "claude-opus-4-5", Created: 1700000000, Tier: "standard"},
		{Kind: Open, Index: 0, Part: &Part{Kind: Thinking, Thought: &Thought{From: Messages}}},
		{Kind: TextDelta, Index: 0, Text: "I should "},
		{Kind: TextDelta, Index: 0, Text: "patch it."},
		{Kind: SealDelta, Index: 0, Part: &Part{Kind: Thinking, Thought: &Thought{Signature: "c2lnbmVk", From: Messages}}},
		{Kind: Close, Index: 0},
		{Kind: Open, Index: 1, Part: &Part{Kind: Text}},
		{Kind: TextDelta, Index: 1, Text: "Patching"},
		{Kind: CiteDelta, Index: 1, Part: &Part{From: Messages, Cites: []Citation{{URL: "https://x", Title: "X", Raw: jsontext.Value(`{"type":"web"}`)}, {Title: "no URL"}}}},
		{Kind: Close, Index: 1},
		{Kind: Open, Index: 2, Part: call("toolu_1", "apply_patch")},
		{Kind: ArgsDelta, Index: 2, Text: `{"input":"*** Begin`},
		{Kind: Open, Index: 3, Part: call("toolu_2", "shell")},
		{Kind: ArgsDelta, Index: 3, Text: `{"command":`},
		{Kind: ArgsDelta, Index: 2, Text: ` Patch\n"}`},
		{Kind: ArgsDelta, Index: 3, Text: `["ls"]}`},
		{Kind: Close, Index: 3},
		{Kind: Close, Index: 2},
		{Kind: Stop, Reason: StopTools},
		{Kind: Count, Usage: usage},
		{Kind: End},
	}
}

func TestResponsesGolden(t *testing.T) {
	r := mustDecodeResponses(t, responsesShapes(t)[1])
	stream := tell(t, r, codexOnClaude())
	holdGolden(t, "testdata/responses/codex-on-claude.sse", stream)
	told, err := mockllm.Events(stream)
	if err != nil {
		t.Fatal(err)
	}
	got := hearEvents(t, told)
	if calls := got.Choices[0].Parts; len(calls) != 4 || calls[2].Call.Args != "*** Begin Patch\n" || !calls[2].Call.Custom || calls[3].Call.Args != `{"command":["ls"]}` {
		t.Errorf("%s", show(got.Reply))
	}
	body, err := os.ReadFile("testdata/messages/claude-code.json")
	if err != nil {
		t.Fatal(err)
	}
	ask, err := messagesCodec.DecodeRequest(body, "", false)
	if err != nil {
		t.Fatal(err)
	}
	ask.Model = "gpt-5.2"
	n := Notes{Lossy: true}
	out, err := encodeResponsesRequest(ask, &n)
	if err != nil {
		t.Fatal(err)
	}
	indented := jsontext.Value(out)
	if err := indented.Indent(); err != nil {
		t.Fatal(err)
	}
	holdGolden(t, "testdata/responses/claude-code-on-gpt.golden", fmt.Appendf(nil, "dropped: %s\n%s\n", strings.Join(n.Dropped, ", "), indented))
}

// After a failure nothing is written: a stream with it has no good end.
func TestResponsesEncoderAfterFault(t *testing.T) {
	enc := newResponsesEncoder(nil)
	out := enc.Append(nil, &Event{Kind: Begin, ID: "a"})
	if n := enc.Sequence(); n != 2 {
		t.Errorf("the next sequence_number is %d", n)
	}
	if more := enc.Append(nil, &Event{Kind: Fault}); len(more) > 0 {
		t.Errorf("%s", more)
	}
	if more := enc.Append(nil, &Event{Kind: End}); len(more) > 0 || bytes.Contains(out, []byte("completed\"")) {
		t.Errorf("%s%s", out, more)
	}
}

// A stream of nothing, and one without its beginning, are whole ones.
func TestResponsesEncoderOfLittle(t *testing.T) {
	asked := &Request{Model: "m", From: Responses}
	tell(t, asked, []Event{{Kind: End}})
	tell(t, asked, []Event{{Kind: Open, Part: &Part{Kind: Text}}, {Kind: End}})
	tell(t, asked, []Event{{Kind: Open, Part: &Part{Kind: Call, Call: &ToolCall{ID: "c", Name: "f"}}}, {Kind: Stop, Reason: StopLength}, {Kind: End}})
	stream := tell(t, asked, []Event{
		{Kind: Open, Part: &Part{Kind: Image, Media: &Media{MIME: "image/png", Data: "aGk="}}},
		{Kind: Close},
		{Kind: Open, Index: 1, Part: &Part{Kind: Opaque, Raw: jsontext.Value(`{"type":"server_tool_use"}`), From: Messages}},
		{Kind: Close, Index: 1},
		{Kind: TextDelta, Index: 7, Text: "of no part"},
		{Kind: End},
	})
	if !strings.Contains(string(stream), `"type":"image_generation_call","status":"completed","result":"aGk=","output_format":"png"`) {
		t.Errorf("%s", stream)
	}
}

func TestResponsesLogprobs(t *testing.T) {
	form := jsontext.Value(`{"content":[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[]}],"refusal":null}`)
	events := []Event{
		{Kind: Open, Part: &Part{Kind: Text}},
		{Kind: LogprobsDelta, Logprobs: form},
		{Kind: TextDelta, Text: "a"},
		{Kind: LogprobsDelta, Logprobs: form},
		{Kind: TextDelta, Text: "a"},
		{Kind: Close},
		{Kind: Stop, Reason: StopEnd},
		{Kind: End},
	}
	stream := tell(t, &Request{Model: "m", Logprobs: true, From: Responses}, events)
	one := `{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[]}`
	for want, n := range map[string]int{`"delta":"a","logprobs":[` + one + `]`: 2, `"logprobs":[` + one + "," + one + "]": 4} {
		if got := strings.Count(string(stream), want); got != n {
			t.Errorf("%d times %s, want %d: %s", got, want, n, stream)
		}
	}
	if got := string(final(t, tell(t, &Request{Model: "m"}, events))); strings.Contains(got, "logprob\"") {
		t.Errorf("not asked for: %s", got)
	}
	reply, err := decodeResponsesReply([]byte(final(t, stream)))
	if err != nil || string(reply.Choices[0].Logprobs) != `{"content":[`+one+","+one+`],"refusal":null}` {
		t.Errorf("%v: %s", err, reply.Choices[0].Logprobs)
	}
}

func TestResponsesFaults(t *testing.T) {
	check := func(event string, status int, code, message string) {
		t.Helper()
		got := hear(t, []byte("data: "+event+"\n\n"))
		if f := got.failure; f == nil || f.Status != status || f.Code != code || f.Message != message || got.ended {
			t.Errorf("%s: %+v", event, f)
		}
	}
	check(`{"type":"error","code":"rate_limit_exceeded","message":"slow","param":null,"sequence_number":3}`, 429, "rate_limit_exceeded", "slow")
	check(`{"type":"error","error":{"type":"server_error","code":"server_error","message":"oh"}}`, 500, "server_error", "oh")
	check(`{"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"invalid_prompt","message":"bad"},"output":[]}}`, 400, "invalid_prompt", "bad")
	d := responsesCodec.NewDecoder()
	if err := d.Event("", []byte("{"), func(*Event) {}); err == nil {
		t.Error("half an event is read")
	}
	ended := false
	d.End(func(e *Event) { ended = true })
	if ended {
		t.Error("a stream that was cut off has an end")
	}
}

func FuzzResponsesStream(f *testing.F) {
	f.Add(tell(f, nil, codexOnClaude()))
	f.Add([]byte("data: {\"type\":\"response.output_text.delta\",\"output_index\":9,\"content_index\":9,\"delta\":\"x\"}\n\n"))
	f.Add([]byte("data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"role\":\"user\",\"content\":\"x\"}}\n\n"))
	f.Add([]byte("event: response.completed\ndata: {\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\"reasoning\"}]}}\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		events, _ := mockllm.Events(stream)
		d, enc := responsesCodec.NewDecoder(), newResponsesEncoder(nil)
		open := map[int]bool{}
		var out []byte
		take := func(e *Event) {
			switch e.Kind {
			case Open:
				open[e.Index] = true
			case TextDelta, ArgsDelta, SealDelta, CiteDelta, Close:
				if !open[e.Index] {
					t.Fatalf("event %d of part %d, which is not open", e.Kind, e.Index)
				}
				open[e.Index] = e.Kind != Close
			case End:
				for i := range open {
					if open[i] {
						t.Fatalf("part %d is never closed", i)
					}
				}
			}
			out = enc.Append(out, e)
		}
		for _, e := range events {
			if d.Event(e.Name, []byte(e.Data), take) != nil {
				return
			}
		}
		d.End(take)
		for _, e := range strings.SplitAfter(string(out), "\n\n") {
			if _, data, ok := strings.Cut(e, "\ndata: "); ok && !jsontext.Value(data).IsValid(lenient) {
				t.Fatalf("no JSON: %s", data)
			}
		}
	})
}

func FuzzResponsesReply(f *testing.F) {
	f.Add([]byte(`{"id":"resp_1","status":"completed","created_at":1.5,"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x"}]}],"usage":{"input_tokens":1}}`))
	f.Add([]byte(`{"status":"incomplete","incomplete_details":null,"output":[{"type":"function_call","arguments":{"a":1}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		reply, err := decodeResponsesReply(body)
		if err != nil {
			return
		}
		out := encodeResponsesReply(reply, nil)
		if !jsontext.Value(out).IsValid(lenient) {
			t.Fatalf("%s becomes %s", body, out)
		}
		for _, c := range codecs {
			c.EncodeReply(reply, &Request{From: c.API})
		}
	})
}

// Large pictures are held once as they are read, and once as they are written.
func TestResponsesLargeImages(t *testing.T) {
	data := strings.Repeat("iVBORw0K", 1<<17)
	body := []byte(`{"model":"gpt-4o","input":[{"role":"user","content":[`)
	for i := range 4 {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"type":"input_image","image_url":"data:image/png;base64,`+data+`"}`...)
	}
	body = append(body, `]}]}`...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, err := encodeResponsesRequest(mustDecodeResponses(t, body), &Notes{})
	runtime.ReadMemStats(&after)
	if err != nil || len(out) < len(body) || !bytes.Contains(out, []byte(`"image_url":"data:image/png;base64,iVBO`)) {
		t.Fatal(err)
	}
	if most, got := uint64(len(body))*5/2, after.TotalAlloc-before.TotalAlloc; got > most {
		t.Errorf("%d bytes for a body of %d", got, len(body))
	}
}

func BenchmarkResponsesRequest(b *testing.B) {
	body := responsesShapes(b)[1]
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r, err := decodeResponsesRequest(body, "", false)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := encodeResponsesRequest(r, &Notes{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResponsesStreamEvent(b *testing.B) {
	data := []byte(`{"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_1","output_index":0,"content_index":0,"delta":" word","logprobs":[],"obfuscation":"abcdef"}`)
	d, enc := responsesCodec.NewDecoder(), newResponsesEncoder(nil)
	var dst []byte
	take := func(e *Event) { dst = enc.Append(dst[:0], e) }
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Event("", data, take); err != nil {
			b.Fatal(err)
		}
	}
}
