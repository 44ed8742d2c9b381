package neutral

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/costs"
	"weir/internal/mockllm"
	"weir/proxy/wire"
)

func drawResponsesPart(t *rapid.T, i int) Part {
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		th := &Thought{ID: fmt.Sprintf("rs_%d", i), From: Responses, Text: rapid.SampledFrom([]string{"", "one\n\ntwo", "é"}).Draw(t, "summary")}
		th.Summary = th.Text != ""
		th.Sealed = rapid.StringMatching("([A-Za-z0-9+/]{1,30}=)?").Draw(t, "sealed")
		return Part{Kind: Thinking, Thought: th}
	case 1, 2:
		args := rapid.SampledFrom([]string{`{}`, `{"a":1.0,"b":"\u00e9\n"}`, `not JSON`, " "}).Draw(t, "args")
		return Part{Kind: Call, Call: &ToolCall{ID: fmt.Sprintf("call_%d", i), Item: fmt.Sprintf("fc_%d", i), Name: "f", Args: args}}
	case 3:
		return Part{Kind: Call, Call: &ToolCall{ID: fmt.Sprintf("call_%d", i), Item: fmt.Sprintf("ctc_%d", i), Name: "patch", Args: drawText(t, "input"), Custom: true}}
	case 4:
		return Part{Kind: Refusal, Text: drawText(t, "refusal")}
	case 5:
		raw := jsontext.Value(`{"type":"url_citation","url":"https://x","title":"t","start_index":0,"end_index":1}`)
		return Part{Kind: Text, Text: drawText(t, "cited"), Cites: []Citation{{URL: "https://x", Title: "t", End: 1, Raw: raw}}, From: Responses}
	}
	return Part{Kind: Text, Text: drawText(t, "text")}
}

func drawResponsesReply(t *rapid.T) Reply {
	var c Candidate
	for i := range rapid.IntRange(0, 5).Draw(t, "parts") {
		c.Parts = append(c.Parts, drawResponsesPart(t, i))
	}
	m := responsesReply{Status: rapid.SampledFrom([]string{"completed", "incomplete", "failed"}).Draw(t, "status")}
	if m.Status == "incomplete" {
		m.Detail.Reason = rapid.SampledFrom([]string{"max_output_tokens", "content_filter"}).Draw(t, "reason")
	}
	c.Stop, c.RawStop = m.stop(told(c.Parts)), m.rawStop()
	r := Reply{ID: "resp_1", Model: "gpt-5", Created: 1700000000, ServiceTier: "default", From: Responses, Choices: []Candidate{c}, HasUsage: true}
	r.Usage.Set(costs.Input, rapid.Int64Range(0, 1000).Draw(t, "in"))
	r.Usage.Set(costs.InputCacheRead, 5)
	r.Usage.Set(costs.InputCacheWrite, 0)
	r.Usage.Set(costs.OutputReasoning, 7)
	r.Usage.Set(costs.Output, rapid.Int64Range(0, 1000).Draw(t, "out"))
	return r
}

// hear reads a Responses stream.
func hear(t fataler, stream []byte) *toldReply {
	t.Helper()
	events, err := mockllm.Events(stream)
	if err != nil {
		t.Fatal(err)
	}
	return hearEvents(t, events)
}

func hearEvents(t fataler, events []mockllm.Event) *toldReply {
	t.Helper()
	got := &toldReply{parts: map[int]int{}}
	got.From = Responses
	d := responsesCodec.NewDecoder()
	take := func(e *Event) {
		got.take(e)
		if e.Kind == Begin {
			got.Created = e.Created
		}
	}
	for _, e := range events {
		if err := d.Event(e.Name, []byte(e.Data), take); err != nil {
			t.Fatalf("%s: %v", e.Data, err)
		}
	}
	d.End(take)
	return got
}

// tell writes events as a Responses stream, and holds it against the grammar.
func tell(t fataler, r *Request, events []Event) []byte {
	t.Helper()
	enc := responsesCodec.NewEncoder(r)
	var stream []byte
	for i := range events {
		stream = enc.Append(stream, &events[i])
	}
	if _, err := mockllm.ReadStream(wire.Responses, stream); err != nil {
		t.Fatalf("%v in\n%s", err, stream)
	}
	return stream
}

// final is the response object in a stream's last event.
func final(t fataler, stream []byte) string {
	t.Helper()
	events, err := mockllm.Events(stream)
	if err != nil || len(events) == 0 {
		t.Fatal("no events")
	}
	var last struct {
		Response jsontext.Value `json:"response"`
	}
	if err := decode([]byte(events[len(events)-1].Data), &last); err != nil {
		t.Fatal(err)
	}
	return string(last.Response)
}

// inParts is a reply as events with the calls' items and thoughts' ids said when they open.
func inParts(t *rapid.T, r Reply) []Event {
	events := cutEvents(t, r)
	for i := range events {
		e := &events[i]
		if e.Kind == Begin {
			e.Created = r.Created
		}
		if e.Kind == Open && e.Part.Kind == Thinking {
			e.Part.Thought.ID = r.Choices[0].Parts[e.Index].Thought.ID
		}
	}
	return events
}

// A reply that is streamed in any pieces, its parts mixed or not, ends with
// the reply that is told whole, and both are the one that was to be told.
func TestResponsesStreamLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawResponsesReply(t)
		body := encodeResponsesReply(&want, nil)
		whole, err := decodeResponsesReply(body)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*whole, want) {
			t.Fatalf("whole:\ngot  %s\nwant %s\n%s", show(*whole), show(want), body)
		}
		stream := tell(t, nil, inParts(t, want))
		if got := final(t, stream); got != string(body) {
			t.Fatalf("the stream ends with\n%s\nthe whole is\n%s", got, body)
		}
		got := hear(t, stream)
		if want.Choices[0].RawStop == "failed" {
			if got.failure == nil || got.ended {
				t.Fatalf("no failure: %s", stream)
			}
			return
		}
		if !got.ended || !reflect.DeepEqual(got.Reply, want) {
			t.Fatalf("streamed:\ngot  %s\nwant %s\n%s", show(got.Reply), show(want), stream)
		}
	})
}

// Events that say again what deltas have said may say it alone, and deltas may
// be all there is.
func TestResponsesStreamWithGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawResponsesReply(t)
		if want.Choices[0].RawStop == "failed" {
			return
		}
		events, err := mockllm.Events(tell(t, nil, inParts(t, want)))
		if err != nil {
			t.Fatal(err)
		}
		silent := rapid.SampledFrom([]string{".delta", ".added", "_text.done", "arguments.done", "part.done", "item.done", "response.in_progress", "response."}).Draw(t, "silent")
		kept := events[:0:0]
		for i, e := range events {
			last := i == len(events)-1
			if last || !strings.Contains(e.Name, silent) || silent == ".delta" && strings.Contains(e.Name, "annotation") {
				kept = append(kept, e)
			}
		}
		got := hearEvents(t, kept)
		if !got.ended || !reflect.DeepEqual(got.Reply, want) {
			t.Fatalf("without %s:\ngot  %s\nwant %s", silent, show(got.Reply), show(want))
		}
	})
}

// What another vendor has sealed comes back byte for byte when the client
// sends the output of its reply as input.
func TestResponsesSealsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawReply(t)
		c := &want.Choices[0]
		c.Stop = StopEnd
		stream := tell(t, nil, inParts(t, want))
		if got, body := final(t, stream), encodeResponsesReply(&want, nil); got != string(body) {
			t.Fatalf("the stream ends with\n%s\nthe whole is\n%s", got, body)
		}
		var reply struct {
			Output jsontext.Value `json:"output"`
		}
		if err := decode([]byte(final(t, stream)), &reply); err != nil {
			t.Fatal(err)
		}
		r, err := decodeResponsesRequest(append(append([]byte(`{"model":"m","input":`), reply.Output...), '}'), "", false)
		if err != nil {
			t.Fatal(err)
		}
		var got []Part
		for _, turn := range r.Turns {
			got = append(got, turn.Parts...)
		}
		if len(got) != len(c.Parts) {
			t.Fatalf("%d parts of %d: %s", len(got), len(c.Parts), reply.Output)
		}
		for i := range got {
			a, b := got[i], c.Parts[i]
			same := a.Kind == b.Kind && a.Text == b.Text
			switch b.Kind {
			case Thinking:
				same = same && a.Thought.Text == b.Thought.Text && a.Thought.Signature == b.Thought.Signature && a.Thought.Sealed == b.Thought.Sealed && a.Thought.From == b.Thought.From
			case Call:
				same = same && a.Call.ID == b.Call.ID && a.Call.Args == b.Call.Args && a.Call.Signature == b.Call.Signature && a.Call.From == b.Call.From
			}
			if !same {
				t.Fatalf("part %d:\ngot  %+v\nwant %+v\n%s", i, show(Reply{Choices: []Candidate{{Parts: got[i : i+1]}}}), show(Reply{Choices: []Candidate{{Parts: c.Parts[i : i+1]}}}), reply.Output)
			}
		}
	})
}

// The mock's own streams, cut into events, read as its replies do and are
// written again with the same meaning.
func TestResponsesOfTheMock(t *testing.T) {
	for _, name := range []string{"responses-stream", "responses-tool-stream"} {
		text, err := os.ReadFile(filepath.Join("../../../internal/mockllm/testdata/golden", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		_, stream, _ := bytes.Cut(text, []byte("event: response.created"))
		stream = append([]byte("event: response.created"), stream...)
		if end := bytes.LastIndex(stream, []byte("\n\n")); end > 0 {
			stream = stream[:end+2]
		} else {
			stream = append(stream, '\n')
		}
		told := hear(t, stream)
		if !told.ended || len(told.Choices[0].Parts) == 0 {
			t.Fatalf("%s reads as %s", name, show(told.Reply))
		}
		again := hear(t, tell(t, nil, plainEvents(told.Reply)))
		if !reflect.DeepEqual(again.Choices, told.Choices) || again.Usage != told.Usage {
			t.Errorf("%s: %s\nagain %s", name, show(told.Reply), show(again.Reply))
		}
	}
}

// plainEvents is a reply as events, each part at once.
func plainEvents(r Reply) []Event {
	events := []Event{{Kind: Begin, ID: r.ID, Model: r.Model, Created: r.Created, Tier: r.ServiceTier}}
	c := &r.Choices[0]
	for i := range c.Parts {
		p := &c.Parts[i]
		kind, text := TextDelta, p.Text
		open := *p
		switch p.Kind {
		case Call:
			head := *p.Call
			head.Args = ""
			kind, text, open.Call = ArgsDelta, p.Call.Args, &head
		case Thinking:
			text = p.Thought.Text
		}
		events = append(events, Event{Kind: Open, Index: i, Part: &open}, Event{Kind: kind, Index: i, Text: text}, Event{Kind: Close, Index: i, Part: p})
	}
	return append(events, Event{Kind: Stop, Reason: c.Stop}, Event{Kind: Count, Usage: r.Usage}, Event{Kind: End})
}
