package neutral

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"weir/internal/mockllm"
	"weir/proxy/wire"
)

// Whatever is taken goes out as JSON and comes back as it was.
func FuzzMessagesRequest(f *testing.F) {
	for _, body := range shapes(f) {
		f.Add(body)
	}
	for _, body := range []string{
		`{}`, `{"messages":null,"tools":null,"system":null}`, `{"system":""}`, `{"messages":[{"role":"user","content":""}]}`,
		`{"messages":[{"role":"user","content":null}]}`, `{"messages":[{"role":"system","content":"a"},{"role":"system","content":"b"}]}`,
		`{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a__seal__weir-seal-1.generate.c2ln","input":{}}]}]}`,
		`{"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"weir-seal-1.responses.cnNfMXxnQQ"}]}]}`,
		`{"thinking":{"type":"novel"},"output_config":{"x":1},"metadata":{"y":null}}`, `{"a":1,"a":2,"model":"x","model":"y"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decodeMessagesRequest(body, "", false)
		if err != nil {
			return
		}
		again, err := encodeMessagesRequest(r, &Notes{})
		if err != nil {
			t.Fatal(err)
		}
		if !jsontext.Value(again).IsValid(lenient) {
			t.Fatalf("no JSON: %s", again)
		}
		second, err := decodeMessagesRequest(again, "", false)
		if err != nil {
			t.Fatalf("%v: %s", err, again)
		}
		if utf8.Valid(body) && !HoldsSeals(body) && !bytes.Contains(body, []byte(callSeal)) && !reflect.DeepEqual(r, second) {
			t.Fatalf("%s\nread as  %+v\nthen as %+v", again, r, second)
		}
		third, err := encodeMessagesRequest(second, &Notes{})
		if err != nil || string(third) != string(again) {
			t.Fatalf("%v\nfirst  %s\nsecond %s", err, again, third)
		}
		r.From = Chat
		if out, err := encodeMessagesRequest(r, &Notes{Lossy: true}); err != nil || !jsontext.Value(out).IsValid(lenient) {
			t.Fatalf("as another's: %v: %s", err, out)
		}
	})
}

// goldenStream is the stream that the mock answers a golden request with.
func goldenStream(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "internal", "mockllm", "testdata", "golden", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, stream, ok := bytes.Cut(text, []byte("event-stream; charset=utf-8\n"))
	if !ok {
		t.Fatalf("%s is no stream", name)
	}
	return bytes.ReplaceAll(stream, []byte("\\r\n"), []byte("\r\n")) // the files have plain line ends
}

func FuzzMessagesReply(f *testing.F) {
	f.Add([]byte(`{"id":"msg_1","model":"m","content":[{"type":"text","text":"a","citations":[{"type":"char_location"}]},{"type":"tool_use","id":"a","name":"f","input":{"x":1},"caller":{}},{"type":"thinking","thinking":"","signature":"s"},{"type":"redacted_thinking","data":"d"},{"type":"novel"}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2,"service_tier":"batch"}}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"content":"a","stop_reason":null,"usage":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		reply, err := decodeMessagesReply(body)
		if err != nil {
			return
		}
		out := encodeMessagesReply(reply, nil)
		second, err := decodeMessagesReply(out)
		if err != nil || !jsontext.Value(out).IsValid(lenient) {
			t.Fatalf("%v: %s", err, out)
		}
		if third := encodeMessagesReply(second, nil); string(third) != string(out) {
			t.Fatalf("first  %s\nsecond %s", out, third)
		}
	})
}

// Whatever an upstream streams, the events that come of it make a stream of
// good grammar, if it is whole.
func FuzzMessagesStream(f *testing.F) {
	golden, err := filepath.Glob(filepath.Join("..", "..", "..", "internal", "mockllm", "testdata", "golden", "messages-*stream.txt"))
	if err != nil || len(golden) == 0 {
		f.Fatalf("no streams: %v", err)
	}
	for _, file := range golden {
		f.Add(goldenStream(f, strings.TrimSuffix(filepath.Base(file), ".txt")))
	}
	f.Add(sse(startEvent, `content_block_start ,"index":0,"content_block":{"type":"redacted_thinking","data":"d"}`, "message_stop"))
	f.Add(sse(`message_delta ,"delta":{"stop_reason":"x"}`, startEvent, `content_block_start ,"index":7,"content_block":{"type":"tool_use","input":{}}`))
	f.Fuzz(func(t *testing.T, stream []byte) {
		events, _ := mockllm.Events(stream)
		d := messagesCodec.NewDecoder()
		enc := messagesCodec.NewEncoder(&Request{Model: "m"})
		var out []byte
		ended := false
		emit := func(e *Event) {
			ended = ended || e.Kind == End
			out = enc.Append(out, e)
		}
		for _, e := range events {
			if d.Event(e.Name, []byte(e.Data), emit) != nil {
				return
			}
		}
		d.End(emit)
		if !ended {
			return
		}
		_, err := mockllm.ReadStream(wire.Messages, out)
		if err != nil && !strings.Contains(err.Error(), "without id") && !strings.Contains(err.Error(), "is no object") {
			t.Fatalf("%v\n%s\nfrom\n%s", err, out, stream)
		}
	})
}

// Cutting a stream's bytes in other places is no matter of the codec: it gets
// whole events. What it makes of them is the same each time.
func TestMessagesStreamGolden(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "internal", "mockllm", "testdata", "golden", "messages-*stream.txt"))
	for _, file := range files {
		stream := goldenStream(t, strings.TrimSuffix(filepath.Base(file), ".txt"))
		want, err := mockllm.ReadStream(wire.Messages, stream)
		if err != nil {
			t.Fatal(err)
		}
		enc := messagesCodec.NewEncoder(&Request{})
		d := messagesCodec.NewDecoder()
		var out []byte
		emit := func(e *Event) { out = enc.Append(out, e) }
		events, _ := mockllm.Events(stream)
		for _, e := range events {
			if err := d.Event(e.Name, []byte(e.Data), emit); err != nil {
				t.Fatal(err)
			}
		}
		d.End(emit)
		got, err := mockllm.ReadStream(wire.Messages, out)
		got.Usage, want.Usage = "", ""
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", filepath.Base(file), err, got, want)
		}
	}
}

func BenchmarkMessagesRequest(b *testing.B) {
	body := shapes(b)["claude-code.json"]
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := decodeMessagesRequest(body, "", false)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := encodeMessagesRequest(r, &Notes{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMessagesStreamEvent(b *testing.B) {
	data := []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello, world"}}`)
	d := &messagesDecoder{}
	enc := messagesCodec.NewEncoder(&Request{})
	var out []byte
	emit := func(e *Event) { out = enc.Append(out[:0], e) }
	if err := d.Event("", []byte(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`), emit); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Event("content_block_delta", data, emit); err != nil {
			b.Fatal(err)
		}
	}
}

// Whatever events come, in whatever order, the client gets a stream of good
// grammar, if an end comes; and nothing behind it.
func FuzzMessagesEncoder(f *testing.F) {
	f.Add([]byte{1, 0, 2, 0, 1, 1, 2, 1, 6, 0, 6, 1, 7, 0, 12, 0})
	f.Add([]byte{0, 0, 17, 1, 33, 2, 3, 2, 3, 1, 4, 1, 6, 1, 6, 2, 12, 0, 12, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		enc := messagesCodec.NewEncoder(&Request{Model: "m"})
		var out []byte
		ended := false
		for i := 0; i+1 < len(script); i += 2 {
			e := scriptedEvent(script[i], script[i+1])
			before := len(out)
			out = enc.Append(out, &e)
			if ended && len(out) > before {
				t.Fatalf("an event of kind %d behind the end wrote %s", e.Kind, out[before:])
			}
			ended = ended || e.Kind == End
		}
		if !ended {
			end := Event{Kind: End}
			out = enc.Append(out, &end)
		}
		if _, err := mockllm.ReadStream(wire.Messages, out); err != nil && !strings.Contains(err.Error(), "is no object") {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}

// scriptedEvent is an event by two numbers: its kind and what it carries.
func scriptedEvent(what, index byte) Event {
	e := Event{Kind: EventKind(what % 13), Index: int(index % 4), Text: "x\n", ID: "id", Reason: StopTools}
	p := Part{Kind: Kind(what / 16 % 10), From: Messages}
	switch p.Kind {
	case Call:
		p.Call = &ToolCall{ID: "call", Name: "f", Args: `{"a":1}`, Signature: "s", From: Generate}
	case Thinking:
		p.Thought = &Thought{Text: "t", Signature: "s", From: Generate}
		if index&16 != 0 {
			p.Thought = &Thought{Sealed: "dark", From: Messages}
		}
	case Image:
		p.Media = &Media{Data: "iVBORw0KGgo="}
	case Opaque:
		p.Raw = jsontext.Value(`{"type":"server_tool_use","id":"s","name":"n","input":{}}`)
	case Text:
		p.Text, p.Cites = "w", []Citation{{URL: "https://x"}}
		p.From = Responses
	}
	if index&32 == 0 {
		e.Part = &p
	}
	return e
}
