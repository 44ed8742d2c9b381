package neutral

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/costs"
	"weir/internal/mockllm"
	"weir/proxy/wire"
)

// A toldReply is a reply put together from a stream's events.
type toldReply struct {
	Reply
	parts   map[int]int // by the events' index
	ended   bool
	failure *wire.Failure
}

func (t *toldReply) take(e *Event) {
	if len(t.Choices) == 0 {
		t.Choices = []Candidate{{}}
	}
	c := &t.Choices[0]
	var p *Part
	if at, ok := t.parts[e.Index]; ok && e.Kind != Open {
		p = &c.Parts[at]
	}
	switch e.Kind {
	case Begin:
		t.ID, t.Model, t.ServiceTier = e.ID, e.Model, e.Tier
	case Open:
		t.parts[e.Index] = len(c.Parts)
		c.Parts = append(c.Parts, clonePart(e.Part))
	case TextDelta:
		if p.Kind == Thinking {
			p.Thought.Text += e.Text
		} else {
			p.Text += e.Text
		}
	case ArgsDelta:
		p.Call.Args += e.Text
	case SealDelta:
		text := p.Thought.Text
		*p.Thought = *e.Part.Thought
		p.Thought.Text, p.Thought.Summary = text, p.Thought.From == Responses && text != ""
	case CiteDelta:
		p.Cites, p.From = append(p.Cites, e.Part.Cites...), e.Part.From
	case Close:
		if e.Part != nil {
			*p = clonePart(e.Part)
		}
		delete(t.parts, e.Index)
	case Stop:
		c.Stop, c.StopSequence, c.RawStop = e.Reason, e.StopSeq, e.RawStop
	case Count:
		t.Usage, t.HasUsage = e.Usage, true
	case Fault:
		t.failure = e.Failure
	case End:
		t.ended = true
	}
}

func clonePart(p *Part) Part {
	k := *p
	if p.Call != nil {
		c := *p.Call
		k.Call = &c
	}
	if p.Thought != nil {
		c := *p.Thought
		k.Thought = &c
	}
	k.Raw = p.Raw.Clone()
	return k
}

// A fataler is a test, rapid's or the standard one.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// listen reads a Messages stream.
func listen(t fataler, stream []byte) *toldReply {
	t.Helper()
	got := &toldReply{parts: map[int]int{}}
	got.From = Messages
	d := messagesCodec.NewDecoder()
	events, err := mockllm.Events(stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := d.Event(e.Name, []byte(e.Data), got.take); err != nil {
			t.Fatalf("%s: %v", e.Data, err)
		}
	}
	d.End(got.take)
	return got
}

// speak writes events as a Messages stream, and holds it against the grammar.
func speak(t fataler, events []Event) []byte {
	t.Helper()
	enc := messagesCodec.NewEncoder(&Request{From: Messages, Model: "m"})
	var stream []byte
	for i := range events {
		stream = enc.Append(stream, &events[i])
	}
	if _, err := mockllm.ReadStream(wire.Messages, stream); err != nil {
		t.Fatalf("%v in\n%s", err, stream)
	}
	return stream
}

// bare is a reply without what streams do not say: what a block has beyond the form.
func bare(r Reply) Reply {
	for i := range r.Choices {
		for j := range r.Choices[i].Parts {
			if p := &r.Choices[i].Parts[j]; p.Kind != Opaque {
				p.Raw = nil
			}
		}
	}
	return r
}

func drawText(t *rapid.T, label string) string {
	return rapid.OneOf(rapid.StringN(1, 20, 40), rapid.SampledFrom([]string{"a", "\n\n", "é\u2028", `"}{`, "data: x"})).Draw(t, label)
}

func drawReplyPart(t *rapid.T, i int, from API) Part {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		th := &Thought{From: from}
		switch {
		case from == Responses:
			th.ID, th.Sealed = fmt.Sprintf("rs_%d", i), rapid.StringMatching("[A-Za-z0-9+/]{1,30}=").Draw(t, "seal")
			th.Text = rapid.SampledFrom([]string{"", "sum\n\nmary"}).Draw(t, "summary")
			th.Summary = th.Text != ""
		case from == Messages && rapid.Bool().Draw(t, "dark"):
			th.Sealed = rapid.StringMatching("[A-Za-z0-9+/]{1,30}=").Draw(t, "data")
		default:
			th.Text, th.Signature = drawText(t, "thought"), rapid.StringMatching("[A-Za-z0-9+/]{1,30}=").Draw(t, "signature")
		}
		return Part{Kind: Thinking, Thought: th}
	case 1, 2:
		c := &ToolCall{ID: fmt.Sprintf("call_%d", i), Name: "f"}
		c.Args = rapid.SampledFrom([]string{`{}`, `{"a":1.0,"b":"\u00e9\n"}`, `{"deep":{"x":[1,{"y":null}]}}`}).Draw(t, "args")
		if from == Generate {
			c.Signature, c.From = "c2ln", Generate
		}
		return Part{Kind: Call, Call: c}
	case 3:
		p := Part{Kind: Text, Text: drawText(t, "cited"), From: Messages}
		raw := jsontext.Value(`{"type":"web_search_result_location","url":"https://x","title":"t","cited_text":"q","encrypted_index":"e"}`)
		p.Cites = []Citation{{URL: "https://x", Title: "t", Quote: "q", Raw: raw}}
		return p
	}
	return Part{Kind: Text, Text: drawText(t, "text")}
}

func drawReply(t *rapid.T) Reply {
	from := rapid.SampledFrom([]API{Messages, Responses, Generate}).Draw(t, "from")
	var c Candidate
	calls := false
	for i := range rapid.IntRange(1, 5).Draw(t, "parts") {
		c.Parts = append(c.Parts, drawReplyPart(t, i, from))
		calls = calls || c.Parts[i].Kind == Call
	}
	c.Stop = rapid.SampledFrom([]StopReason{StopLength, StopSequence, StopTools, StopPause, StopRefusal, StopContext}).Draw(t, "stop")
	if c.Stop == StopSequence {
		c.StopSequence = "\n\nHuman:"
	}
	c.RawStop = stopWord(c.Stop, calls)
	r := Reply{ID: "msg_1", Model: "claude", ServiceTier: "default", From: Messages, Choices: []Candidate{c}, HasUsage: true}
	r.Usage.Set(costs.Input, rapid.Int64Range(0, 1000).Draw(t, "in"))
	r.Usage.Set(costs.InputCacheRead, 5)
	r.Usage.Set(costs.InputCacheWrite5m, 3)
	r.Usage.Set(costs.InputCacheWrite1h, 0)
	r.Usage.Set(costs.OutputReasoning, 7)
	r.Usage.Set(costs.Output, rapid.Int64Range(0, 1000).Draw(t, "out"))
	return r
}

// cutEvents tells a reply as events, its texts cut anywhere, and its parts at
// once where they may be told so.
func cutEvents(t *rapid.T, r Reply) []Event {
	events := []Event{{Kind: Begin, ID: r.ID, Model: r.Model, Tier: r.ServiceTier}, {Kind: Keepalive}}
	c := r.Choices[0]
	steps := make([][]Event, len(c.Parts))
	for i := range c.Parts {
		steps[i] = partEvents(t, i, &c.Parts[i])
	}
	for i := 0; i < len(steps); {
		j := i + 1
		for c.Parts[i].Kind == Call && j < len(steps) && c.Parts[j].Kind == Call {
			j++
		}
		events = append(events, interleaved(t, steps[i:j])...)
		i = j
	}
	stop := Event{Kind: Stop, Reason: c.Stop, StopSeq: c.StopSequence}
	count := Event{Kind: Count, Usage: r.Usage}
	if rapid.Bool().Draw(t, "usage first") {
		stop, count = count, stop
	}
	return append(events, stop, count, Event{Kind: End})
}

func partEvents(t *rapid.T, i int, p *Part) []Event {
	open := Part{Kind: p.Kind}
	kind, text := TextDelta, p.Text
	switch p.Kind {
	case Call:
		head := *p.Call
		kind, text, head.Args = ArgsDelta, head.Args, ""
		open.Call = &head
	case Thinking:
		text = p.Thought.Text
		open.Thought = &Thought{From: p.Thought.From}
	}
	events := []Event{{Kind: Open, Index: i, Part: &open}}
	for len(text) > 0 {
		n := rapid.IntRange(1, len(text)).Draw(t, "cut")
		for n < len(text) && text[n]&0xc0 == 0x80 {
			n++
		}
		events = append(events, Event{Kind: kind, Index: i, Text: text[:n]})
		text = text[n:]
	}
	if p.Kind == Thinking {
		seal := *p.Thought
		seal.Text = ""
		events = append(events, Event{Kind: SealDelta, Index: i, Part: &Part{Kind: Thinking, Thought: &seal}})
	}
	if len(p.Cites) > 0 {
		events = append(events, Event{Kind: CiteDelta, Index: i, Part: &Part{Kind: Text, Cites: p.Cites, From: p.From}})
	}
	return append(events, Event{Kind: Close, Index: i})
}

// interleaved mixes the events of parts; each part begins after those before it.
func interleaved(t *rapid.T, parts [][]Event) []Event {
	var out []Event
	begun := 0
	left := len(parts)
	for left > 0 {
		at := rapid.IntRange(0, min(begun, len(parts)-1)).Draw(t, "next")
		if len(parts[at]) == 0 {
			if begun >= len(parts) || len(parts[min(begun, len(parts)-1)]) == 0 {
				for at = range parts {
					if len(parts[at]) > 0 {
						break
					}
				}
			} else {
				at = begun
			}
		}
		if at == begun {
			begun++
		}
		out = append(out, parts[at][0])
		if parts[at] = parts[at][1:]; len(parts[at]) == 0 {
			left--
		}
	}
	return out
}

// A reply that is streamed in any pieces, its calls mixed or not, is the reply
// that is told whole; and both are the one that was to be told.
func TestMessagesStreamLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawReply(t)
		whole, err := decodeMessagesReply(encodeMessagesReply(&want, nil))
		if err != nil {
			t.Fatal(err)
		}
		stream := speak(t, cutEvents(t, want))
		got := listen(t, stream)
		if !got.ended {
			t.Fatalf("no end: %s", stream)
		}
		if a, b := bare(*whole), bare(want); !reflect.DeepEqual(a, b) {
			t.Fatalf("whole:\ngot  %s\nwant %s", show(a), show(b))
		}
		if a, b := bare(got.Reply), bare(want); !reflect.DeepEqual(a, b) {
			t.Fatalf("streamed:\ngot  %s\nwant %s\n%s", show(a), show(b), stream)
		}
	})
}

// show prints a reply with what its pointers point to.
func show(r Reply) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v", r)
	for _, c := range r.Choices {
		for _, p := range c.Parts {
			fmt.Fprintf(&b, "\n  %d %q %+v %+v %s", p.Kind, p.Text, p.Call, p.Thought, p.Raw)
		}
	}
	return b.String()
}
