package neutral

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/proxy/wire"
)

// messagesDecoder reads an Anthropic stream. Its blocks never overlap; each
// has a place of its own in the events, which is its number.
type messagesDecoder struct {
	block messagesOpen
	usage []byte // the figures of message_start
	done  bool   // message_stop or a stop reason has come
	ended bool   // End has been emitted
	ev    Event
	part  Part
	call  ToolCall
	think Thought
}

// messagesOpen is the block that is open.
type messagesOpen struct {
	open  bool
	index int
	kind  Kind
	raw   jsontext.Value // of an opaque block, and the whole input of a call that comes at once
	input []byte         // an opaque block's, in pieces
	fed   bool           // a call's arguments have come in pieces
}

// messagesEvent is any event of the stream.
type messagesEvent struct {
	Type         string         `json:"type"`
	Index        int            `json:"index"`
	Message      *messagesReply `json:"message"`
	ContentBlock jsontext.Value `json:"content_block"`
	Delta        *messagesDelta `json:"delta"`
	Usage        jsontext.Value `json:"usage"`
	Error        jsontext.Value `json:"error"`
}

// messagesDelta is any delta, of a block or of the message.
type messagesDelta struct {
	Type         string         `json:"type"`
	Text         string         `json:"text"`
	PartialJSON  string         `json:"partial_json"`
	Thinking     string         `json:"thinking"`
	Signature    string         `json:"signature"`
	Citation     jsontext.Value `json:"citation"`
	StopReason   string         `json:"stop_reason"`
	StopSequence string         `json:"stop_sequence"`
}

// Event implements Decoder.
func (d *messagesDecoder) Event(_ string, data []byte, emit func(*Event)) error {
	var e messagesEvent
	if err := decode(data, &e); err != nil {
		return err
	}
	switch e.Type {
	case "message_start":
		d.start(e.Message, emit)
	case "content_block_start":
		return d.open(e.Index, e.ContentBlock, emit)
	case "content_block_delta":
		return d.delta(e.Index, e.Delta, emit)
	case "content_block_stop":
		d.close(emit)
	case "message_delta":
		d.stop(e.Delta, emit)
		d.count(e.Usage, emit)
	case "message_stop":
		d.close(emit)
		d.end(emit)
	case "ping":
		d.emit(emit, Event{Kind: Keepalive})
	case "error":
		d.ended = true
		d.emit(emit, Event{Kind: Fault, Failure: toldFailure(data)})
	}
	return nil
}

// toldFailure reads an error event, its status by its type.
func toldFailure(data []byte) *wire.Failure {
	r := wire.NewReply(wire.Messages)
	r.Feed(data)
	if f := r.Reading().Err; f != nil {
		return f
	}
	f := wire.ReadFailure(http.StatusBadGateway, data)
	return &f
}

// End implements Decoder. A stream that has told why it stopped is whole.
func (d *messagesDecoder) End(emit func(*Event)) {
	if d.done {
		d.close(emit)
		d.end(emit)
	}
}

func (d *messagesDecoder) end(emit func(*Event)) {
	if !d.ended {
		d.ended = true
		d.emit(emit, Event{Kind: End})
	}
}

func (d *messagesDecoder) emit(emit func(*Event), e Event) {
	d.ev = e
	emit(&d.ev)
}

func (d *messagesDecoder) start(m *messagesReply, emit func(*Event)) {
	if m == nil {
		return
	}
	d.emit(emit, Event{Kind: Begin, ID: m.ID, Model: m.Model, Tier: m.tier()})
	if given(m.Usage) {
		d.usage = m.Usage
		d.emit(emit, Event{Kind: Count, Usage: wire.ReadUsage(wire.Messages, m.Usage)})
	}
}

// count reads the figures at the end. They are of the whole message, and stand
// over those of its start member by member: those that are not said again hold.
func (d *messagesDecoder) count(usage jsontext.Value, emit func(*Event)) {
	if usage.Kind() != '{' {
		return
	}
	d.emit(emit, Event{Kind: Count, Usage: d.merged(usage)})
}

func (d *messagesDecoder) merged(usage jsontext.Value) costs.Usage {
	later := members(usage)
	var w jsonw
	w.obj()
	for _, m := range members(d.usage) {
		if !hasMember(later, m.Name) {
			w.member(m)
		}
	}
	for _, m := range later {
		if given(m.Value) {
			w.member(m)
		}
	}
	w.endObj()
	d.usage = w.b
	return wire.ReadUsage(wire.Messages, w.b)
}

func hasMember(list []Member, name string) bool {
	for i := range list {
		if list[i].Name == name && given(list[i].Value) {
			return true
		}
	}
	return false
}

func (d *messagesDecoder) stop(delta *messagesDelta, emit func(*Event)) {
	if delta == nil || delta.StopReason == "" {
		return
	}
	d.close(emit)
	d.done = true
	d.emit(emit, Event{
		Kind: Stop, Reason: messagesStop(delta.StopReason), RawStop: delta.StopReason, StopSeq: delta.StopSequence,
	})
}

func (d *messagesDecoder) open(index int, raw jsontext.Value, emit func(*Event)) error {
	d.close(emit)
	p, _, err := readBlock(raw)
	if err != nil {
		return within(err, "content_block")
	}
	d.block = messagesOpen{open: true, index: index, kind: p.Kind}
	whole := p
	switch p.Kind {
	case Call:
		d.call = ToolCall{ID: p.Call.ID, Name: p.Call.Name, Signature: p.Call.Signature, From: p.Call.From}
		if args := strings.TrimSpace(p.Call.Args); args != "" {
			d.block.raw = jsontext.Value(args)
		}
		p = Part{Kind: Call, Call: &d.call}
	case Thinking:
		d.think = Thought{From: Messages}
		p = Part{Kind: Thinking, Thought: &d.think}
	case Opaque:
		d.block.raw = p.Raw
	case Text:
		p = Part{Kind: Text}
	}
	d.part = p
	d.emit(emit, Event{Kind: Open, Index: index, Part: &d.part})
	switch p.Kind {
	case Text:
		d.words(whole.Text, emit)
		if len(whole.Cites) > 0 {
			d.part = Part{Kind: Text, Cites: whole.Cites, From: Messages}
			d.emit(emit, Event{Kind: CiteDelta, Index: index, Part: &d.part})
		}
	case Thinking:
		d.words(whole.Thought.Text, emit)
		d.seal(*whole.Thought, emit)
	}
	return nil
}

func (d *messagesDecoder) words(text string, emit func(*Event)) {
	if text != "" {
		d.emit(emit, Event{Kind: TextDelta, Index: d.block.index, Text: text})
	}
}

// seal tells a signature or a sealed form.
func (d *messagesDecoder) seal(t Thought, emit func(*Event)) {
	if t.Signature == "" && t.Sealed == "" && t.From == Messages {
		return
	}
	t.Text = ""
	d.think = t
	d.part = Part{Kind: Thinking, Thought: &d.think}
	d.emit(emit, Event{Kind: SealDelta, Index: d.block.index, Part: &d.part})
}

func (d *messagesDecoder) delta(index int, delta *messagesDelta, emit func(*Event)) error {
	b := &d.block
	if delta == nil || !b.open || index != b.index {
		return nil
	}
	switch delta.Type {
	case "text_delta":
		d.words(delta.Text, emit)
	case "thinking_delta":
		d.words(delta.Thinking, emit)
	case "signature_delta":
		var t Thought
		t.unseal(delta.Signature, false)
		d.seal(t, emit)
	case "input_json_delta":
		switch {
		case delta.PartialJSON == "":
		case b.kind == Opaque:
			b.input = append(b.input, delta.PartialJSON...)
		case b.kind == Call:
			b.fed = true
			d.emit(emit, Event{Kind: ArgsDelta, Index: b.index, Text: delta.PartialJSON})
		}
	case "citations_delta":
		cite, err := readCitation(delta.Citation)
		if err != nil {
			return within(err, "delta.citation")
		}
		d.part = Part{Kind: Text, Cites: []Citation{cite}, From: Messages}
		d.emit(emit, Event{Kind: CiteDelta, Index: b.index, Part: &d.part})
	}
	return nil
}

// close ends the open block. A call whose arguments came at once, or which has
// none, tells them now.
func (d *messagesDecoder) close(emit func(*Event)) {
	b := &d.block
	if !b.open {
		return
	}
	b.open = false
	if b.kind == Call && !b.fed {
		args := "{}"
		if len(b.raw) > 0 {
			args = string(b.raw)
		}
		d.emit(emit, Event{Kind: ArgsDelta, Index: b.index, Text: args})
	}
	e := Event{Kind: Close, Index: b.index}
	if b.kind == Opaque {
		d.part = Part{Kind: Opaque, Raw: withInput(b.raw, b.input), From: Messages}
		e.Part = &d.part
	}
	d.emit(emit, e)
}

// withInput puts the input that came in pieces into a block.
func withInput(block jsontext.Value, input []byte) jsontext.Value {
	if len(input) == 0 || !jsontext.Value(input).IsValid(lenient) {
		return block
	}
	var w jsonw
	w.obj()
	for _, m := range members(block) {
		if m.Name == "input" {
			m.Value = input
		}
		w.member(m)
	}
	w.endObj()
	return w.b
}
