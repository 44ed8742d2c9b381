package neutral

import (
	"strconv"

	"weir/costs"
)

// messagesEncoder writes an Anthropic stream. Its blocks don't overlap: of
// parts that do, the later ones wait until the first is closed. A block begins
// with its first delta, so that there are none without content, and that what
// stands in its beginning (a call's seal, a sealed thought) is known.
type messagesEncoder struct {
	r       *Request
	began   bool
	ended   bool
	next    int // the number of the next block
	open    []*messagesBlock
	calls   bool
	stopped bool
	stop    Event
	usage   costs.Usage
	tier    string
	w       jsonw
}

// A messagesBlock is a part that has been opened. The first of those that are
// open is written as it comes.
type messagesBlock struct {
	index  int
	part   Part // kind and head; of thoughts and calls also the seal so far
	number int  // in the stream, once it is begun
	begun  bool
	fed    bool     // it has had text, or arguments
	closed bool     // while it waits
	deltas [][]byte // what came while it waited
}

func newMessagesEncoder(r *Request) *messagesEncoder {
	return &messagesEncoder{r: r, w: jsonw{line: true}}
}

// Append implements Encoder. Choices beyond the first are not shown: this
// dialect's clients can't ask for them.
func (e *messagesEncoder) Append(dst []byte, ev *Event) []byte {
	if e.ended || ev.Choice != 0 {
		return dst
	}
	e.w.b = dst
	switch ev.Kind {
	case Begin:
		e.begin(ev)
	case Open:
		e.begin(ev)
		e.openBlock(ev)
	case TextDelta, ArgsDelta, SealDelta, CiteDelta:
		if b := e.find(ev.Index); b != nil {
			e.delta(b, ev)
		}
	case Close:
		if b := e.find(ev.Index); b != nil {
			e.whole(b, ev.Part)
			b.closed = true
			e.drain()
		}
	case Stop:
		e.stopped, e.stop = true, *ev
	case Count:
		e.usage = mergedUsage(e.usage, ev.Usage)
	case Keepalive:
		e.w.b = append(e.w.b, "event: ping\ndata: {\"type\": \"ping\"}\n\n"...)
	case End:
		e.end(ev)
	}
	dst, e.w.b = e.w.b, nil
	return dst
}

// mergedUsage is earlier with what later knows, meter by meter.
func mergedUsage(earlier, later costs.Usage) costs.Usage {
	for _, m := range costs.Meters() {
		if n, ok := later.Get(m); ok {
			earlier.Set(m, n)
		}
	}
	return earlier
}

// event begins an event of a type, up to its type member.
func (e *messagesEncoder) event(kind string) {
	w := &e.w
	w.b = append(w.b, "event: "...)
	w.b = append(w.b, kind...)
	w.b = append(w.b, "\ndata: {\"type\":\""...)
	w.b = append(w.b, kind...)
	w.b = append(w.b, '"')
}

func (e *messagesEncoder) endEvent() { e.w.b = append(e.w.b, "}\n\n"...) }

func (e *messagesEncoder) begin(ev *Event) {
	if e.began {
		return
	}
	e.began, e.tier = true, ev.Tier
	model := ev.Model
	if model == "" && e.r != nil {
		model = e.r.Model
	}
	e.event("message_start")
	w := &e.w
	w.objKey("message")
	w.strKey("id", messagesReplyID(ev.ID))
	w.strKey("type", "message")
	w.strKey("role", "assistant")
	w.strKey("model", model)
	w.arrKey("content")
	w.endArr()
	w.nullKey("stop_reason")
	w.nullKey("stop_sequence")
	w.key("usage")
	w.b = appendMessagesUsage(w.b, e.usage)
	w.tierIn(e.tier)
	w.endObj()
	e.endEvent()
}

func (e *messagesEncoder) openBlock(ev *Event) {
	b := &messagesBlock{index: ev.Index}
	if ev.Part != nil {
		b.part = *ev.Part
	}
	switch b.part.Kind {
	case Thinking:
		t := Thought{}
		if b.part.Thought != nil {
			t = *b.part.Thought
		}
		t.Text = ""
		b.part.Thought = &t
	case Call:
		c := ToolCall{}
		if b.part.Call != nil {
			c = *b.part.Call
		}
		c.Args, e.calls = "", true
		b.part.Call = &c
	default:
		b.part = b.part.kept()
	}
	e.open = append(e.open, b)
}

// find is the open block of a part; nil where there is none.
func (e *messagesEncoder) find(index int) *messagesBlock {
	for _, b := range e.open {
		if b.index == index && !b.closed {
			return b
		}
	}
	return nil
}

// delta takes one step of a block.
func (e *messagesEncoder) delta(b *messagesBlock, ev *Event) {
	kind := b.part.Kind
	switch {
	case ev.Kind == SealDelta:
		b.seal(ev.Part)
	case ev.Kind == CiteDelta && ev.Part != nil && kind == Text:
		for i := range ev.Part.Cites {
			var w jsonw
			w.obj()
			w.strKey("type", "citations_delta")
			w.key("citation")
			w.line = true
			w.messagesCitation(ev.Part, &ev.Part.Cites[i])
			w.endObj()
			e.send(b, w.b)
		}
	case ev.Text == "":
	case ev.Kind == TextDelta && (kind == Text || kind == Refusal):
		e.words(b, "text_delta", "text", ev.Text)
	case ev.Kind == TextDelta && kind == Thinking:
		e.words(b, "thinking_delta", "thinking", ev.Text)
	case ev.Kind == ArgsDelta && kind == Call:
		e.words(b, "input_json_delta", "partial_json", ev.Text)
	}
}

// seal keeps a seal, or one more piece of it, until the block is closed.
func (b *messagesBlock) seal(p *Part) {
	switch {
	case p == nil:
	case b.part.Kind == Thinking && p.Thought != nil:
		t := b.part.Thought
		t.Signature += p.Thought.Signature
		t.Sealed += p.Thought.Sealed
		if p.Thought.ID != "" {
			t.ID = p.Thought.ID
		}
		if p.Thought.From != "" {
			t.From = p.Thought.From
		}
	case b.part.Kind == Call && p.Call != nil && !b.begun:
		b.part.Call.Signature += p.Call.Signature
		b.part.Call.From = p.Call.From
	}
}

// words writes a text delta; it is what most events are.
func (e *messagesEncoder) words(b *messagesBlock, kind, member, text string) {
	b.fed = true
	if b != e.open[0] {
		var w jsonw
		w.obj()
		w.strKey("type", kind)
		w.strKey(member, text)
		w.endObj()
		b.deltas = append(b.deltas, w.b)
		return
	}
	e.start(b)
	e.event("content_block_delta")
	w := &e.w
	w.intKey("index", int64(b.number))
	w.objKey("delta")
	w.strKey("type", kind)
	w.strKey(member, text)
	w.endObj()
	e.endEvent()
}

// send writes a delta, or keeps it while another block is open.
func (e *messagesEncoder) send(b *messagesBlock, delta []byte) {
	if b != e.open[0] {
		b.deltas = append(b.deltas, delta)
		return
	}
	e.start(b)
	e.event("content_block_delta")
	e.w.intKey("index", int64(b.number))
	e.w.rawKey("delta", delta)
	e.endEvent()
}

// start writes content_block_start, once.
func (e *messagesEncoder) start(b *messagesBlock) {
	if b.begun {
		return
	}
	b.begun, b.number = true, e.next
	e.next++
	e.event("content_block_start")
	w := &e.w
	w.intKey("index", int64(b.number))
	w.key("content_block")
	switch p := &b.part; p.Kind {
	case Thinking:
		if p.Thought.Sealed != "" && !b.fed {
			w.thinkingBlock(p.Thought)
		} else {
			w.lit(`{"type":"thinking","thinking":"","signature":""}`)
		}
	case Call:
		w.obj()
		w.strKey("type", "tool_use")
		w.strKey("id", clientCallID(p.Call))
		w.strKey("name", p.Call.Name)
		w.key("input")
		w.empty()
		w.endObj()
	case Opaque:
		w.raw(p.Raw)
	default:
		w.lit(`{"type":"text","text":""}`)
	}
	e.endEvent()
}

// whole takes what a part says again at its close and has not said before.
func (e *messagesEncoder) whole(b *messagesBlock, p *Part) {
	if p == nil || p.Kind != b.part.Kind {
		return
	}
	switch p.Kind {
	case Text, Refusal:
		if !b.fed && p.Text != "" {
			e.words(b, "text_delta", "text", p.Text)
		}
	case Call:
		if p.Call != nil && !b.fed && p.Call.Args != "" {
			e.words(b, "input_json_delta", "partial_json", p.Call.Args)
		}
	case Thinking:
		t := p.Thought
		if t == nil {
			return
		}
		if !b.fed && t.Text != "" {
			e.words(b, "thinking_delta", "thinking", t.Text)
		}
		if had := b.part.Thought; had.Signature == "" && had.Sealed == "" {
			b.seal(p)
		}
	case Opaque:
		b.part = p.kept()
	}
}

// kept is a copy that outlives the event that p came with.
func (p *Part) kept() Part {
	k := *p
	if p.Media != nil {
		m := *p.Media
		k.Media = &m
	}
	k.Raw = p.Raw.Clone()
	return k
}

// drain writes the blocks that are closed, in their order, and what has come
// of the first that is not.
func (e *messagesEncoder) drain() {
	for len(e.open) > 0 {
		b := e.open[0]
		for _, delta := range b.deltas {
			e.send(b, delta)
		}
		b.deltas = nil
		if !b.closed {
			return
		}
		e.close(b)
		e.open = e.open[1:]
	}
}

func (e *messagesEncoder) close(b *messagesBlock) {
	switch p := &b.part; p.Kind {
	case Thinking:
		t := p.Thought
		if !b.fed && t.Signature == "" && t.Sealed == "" {
			return
		}
		if b.fed || t.Sealed == "" {
			e.words(b, "signature_delta", "signature", messagesSeal(t))
		}
	case Call:
	case Opaque:
		if p.From != Messages || len(p.Raw) == 0 {
			return
		}
	case Text, Refusal:
		if !b.begun {
			return
		}
	default:
		return
	}
	e.start(b)
	e.w.b = append(e.w.b, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"...)
	e.w.b = strconv.AppendInt(e.w.b, int64(b.number), 10)
	e.endEvent()
}

// end closes what is open and writes why the model stopped, with the figures
// that are known now.
func (e *messagesEncoder) end(ev *Event) {
	e.begin(ev)
	for _, b := range e.open {
		b.closed = true
	}
	e.drain()
	e.ended = true
	w := &e.w
	e.event("message_delta")
	w.objKey("delta")
	w.strKey("stop_reason", stopWord(e.stop.Reason, e.calls))
	w.strNull("stop_sequence", e.stop.StopSeq)
	w.endObj()
	w.key("usage")
	w.b = appendMessagesUsage(w.b, e.usage)
	e.endEvent()
	e.event("message_stop")
	e.endEvent()
}
