package neutral

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"weir/internal/mockllm"
)

var update = flag.Bool("update", false, "write the golden files and docs/dialects.md anew")

// holdGolden compares with a golden file, or writes it.
func holdGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what is made now (%v); run with -update, and look at the difference\n%s", file, err, got)
	}
}

// A failer is a test, or one of rapid's.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// rebuilder puts a reply together from the events of a stream, strict about
// their order.
type rebuilder struct {
	t     failer
	reply Reply
	open  map[[2]int]*Part
	parts map[[2]int]int // events' index to place among the parts
	ended bool
}

func (b *rebuilder) choice(n int) *Candidate {
	for len(b.reply.Choices) <= n {
		b.reply.Choices = append(b.reply.Choices, Candidate{})
	}
	return &b.reply.Choices[n]
}

func (b *rebuilder) take(e *Event) {
	b.t.Helper()
	at := [2]int{e.Choice, e.Index}
	p := b.open[at]
	switch e.Kind {
	case TextDelta, ArgsDelta, SealDelta, CiteDelta, Close:
		if p == nil {
			b.t.Fatalf("event %d of a part that is not open: %+v", e.Kind, e)
		}
	}
	switch e.Kind {
	case Begin:
		b.reply.ID, b.reply.Model, b.reply.Created = e.ID, e.Model, e.Created
	case Open:
		if p != nil {
			b.t.Fatalf("part %v opened twice", at)
		}
		c := b.choice(e.Choice)
		b.open[at] = openPart(e.Part)
		b.parts[at] = len(c.Parts)
		c.Parts = append(c.Parts, Part{})
	case TextDelta:
		if p.Kind == Thinking {
			p.Thought.Text += e.Text
		} else {
			p.Text += e.Text
		}
	case ArgsDelta:
		p.Call.Args += e.Text
	case SealDelta:
		(&generateEncoder{}).seal(p, e.Part)
	case CiteDelta:
		p.Cites, p.From = append(p.Cites, e.Part.Cites...), e.Part.From
	case Close:
		b.choice(e.Choice).Parts[b.parts[at]] = *p
		delete(b.open, at)
	case Stop:
		c := b.choice(e.Choice)
		c.Stop, c.StopSequence, c.RawStop = e.Reason, e.StopSeq, e.RawStop
	case Count:
		mergeUsage(&b.reply.Usage, e.Usage)
		b.reply.HasUsage = true
	case End:
		b.ended = true
	}
}

// rebuildStream decodes a stream and puts it together.
func rebuildStream(t failer, c *Codec, stream []byte) *Reply {
	t.Helper()
	events, err := mockllm.Events(stream)
	if err != nil {
		t.Fatalf("%v: %q", err, stream)
	}
	b := &rebuilder{t: t, open: map[[2]int]*Part{}, parts: map[[2]int]int{}}
	d := c.NewDecoder()
	for _, e := range events {
		if err := d.Event(e.Name, []byte(e.Data), b.take); err != nil {
			t.Fatalf("%v: %s", err, e.Data)
		}
	}
	d.End(b.take)
	if !b.ended || len(b.open) > 0 {
		t.Fatalf("ended %v, %d parts open: %q", b.ended, len(b.open), stream)
	}
	b.reply.From = c.API
	return &b.reply
}

// plain is what every dialect can say of a reply.
type plain struct {
	Text, Thought string
	Calls         []ToolCall
	Stop          StopReason
	In, Out       int64
}

func plainly(r *Reply) []plain {
	var list []plain
	for i := range r.Choices {
		c := &r.Choices[i]
		out := plain{Stop: c.Stop}
		out.In, _ = r.Usage.Input()
		out.Out, _ = r.Usage.Output()
		for _, p := range c.Parts {
			switch p.Kind {
			case Text, Refusal:
				out.Text += p.Text
			case Thinking:
				out.Thought += p.Thought.Text
			case Call:
				call := ToolCall{ID: p.Call.ID, Name: p.Call.Name, Args: p.Call.Args}
				if strings.TrimSpace(call.Args) == "" {
					call.Args = "{}"
				}
				out.Calls = append(out.Calls, call)
			}
		}
		list = append(list, out)
	}
	return list
}

func sameReply(t testing.TB, name string, got, want *Reply) {
	t.Helper()
	if g, w := plainly(got), plainly(want); !reflect.DeepEqual(g, w) {
		t.Errorf("%s:\n got %+v\nwant %+v", name, g, w)
	}
}
