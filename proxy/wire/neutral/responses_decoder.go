package neutral

import (
	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/proxy/wire"
)

// responsesDecoder reads an upstream's stream. What the deltas have not said
// is taken from the events that say a part or an item again, so a server that
// sends only some of the events is read as well.
type responsesDecoder struct {
	begun, over bool
	next        int // the index of the next part
	items       []*inItem
	calls       bool
	refused     bool
}

// An inItem is an item of the output, by its output_index.
type inItem struct {
	at      int
	done    bool
	parts   []*inPart // of a message, by content_index; of others the one
	raw     bool      // its reasoning is told by reasoning_text events
	summary bool      // its reasoning is told by summary events
}

// An inPart is a part of an item and what has been told of it.
type inPart struct {
	index        int // in the neutral stream
	at           int // content_index
	sent         int // bytes of its text
	cites        int
	open, closed bool
}

// responsesEvent is any event.
type responsesEvent struct {
	Type         string   `json:"type"`
	Response     rawValue `json:"response"`
	OutputIndex  int      `json:"output_index"`
	ContentIndex int      `json:"content_index"`
	SummaryIndex int      `json:"summary_index"`
	Delta        rawValue `json:"delta"`
	Text         rawValue `json:"text"`
	Refusal      rawValue `json:"refusal"`
	Arguments    rawValue `json:"arguments"`
	Input        rawValue `json:"input"`
	Item         rawValue `json:"item"`
	Part         rawValue `json:"part"`
	Annotation   rawValue `json:"annotation"`
	Logprobs     rawValue `json:"logprobs"`
}

// Event implements Decoder.
func (d *responsesDecoder) Event(name string, data []byte, emit func(*Event)) error {
	if d.over || string(data) == "[DONE]" {
		return nil
	}
	var ev responsesEvent
	if err := decode(data, &ev); err != nil {
		return err
	}
	if ev.Type == "" {
		ev.Type = name
	}
	switch ev.Type {
	case "error":
		d.fault(data, emit)
		return nil
	case "response.created", "response.queued", "response.in_progress":
		return d.begin(ev.Response, emit)
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		return d.finish(ev.Response, emit)
	case "response.output_item.added":
		return d.added(&ev, emit)
	case "response.output_item.done":
		return d.itemDone(ev.OutputIndex, jsontext.Value(ev.Item), emit)
	}
	d.within(&ev, emit)
	return nil
}

// End implements Decoder. Without its last event a stream was cut off, and
// has no End.
func (d *responsesDecoder) End(func(*Event)) {}

// within reads the events of an open item.
func (d *responsesDecoder) within(ev *responsesEvent, emit func(*Event)) {
	delta, _ := textOf(jsontext.Value(ev.Delta))
	whole := func(v rawValue) string { text, _ := textOf(jsontext.Value(v)); return text }
	switch ev.Type {
	case "response.content_part.added":
		d.contentAdded(ev, emit)
	case "response.output_text.delta":
		d.logprobs(ev, emit)
		d.say(d.content(ev, Text, emit), delta, emit)
	case "response.output_text.done":
		d.saidAll(d.content(ev, Text, emit), whole(ev.Text), emit)
	case "response.output_text.annotation.added":
		d.cite(d.content(ev, Text, emit), ev.Annotation, emit)
	case "response.refusal.delta":
		d.say(d.content(ev, Refusal, emit), delta, emit)
	case "response.refusal.done":
		d.saidAll(d.content(ev, Refusal, emit), whole(ev.Refusal), emit)
	case "response.content_part.done":
		d.contentDone(ev, emit)
	case "response.reasoning_summary_part.added":
		if it := d.item(ev.OutputIndex); ev.SummaryIndex > 0 && !it.raw {
			d.say(d.only(it, Part{Kind: Thinking, Thought: &Thought{From: Responses, Summary: true}}, emit), "\n\n", emit)
		}
	case "response.reasoning_summary_text.delta":
		if it := d.item(ev.OutputIndex); !it.raw {
			it.summary = true
			d.say(d.only(it, Part{Kind: Thinking, Thought: &Thought{From: Responses, Summary: true}}, emit), delta, emit)
		}
	case "response.reasoning_text.delta":
		if it := d.item(ev.OutputIndex); !it.summary {
			it.raw = true
			d.say(d.only(it, Part{Kind: Thinking, Thought: &Thought{From: Responses}}, emit), delta, emit)
		}
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		d.args(ev, delta, emit)
	case "response.function_call_arguments.done":
		d.allArgs(ev, whole(ev.Arguments), emit)
	case "response.custom_tool_call_input.done":
		d.allArgs(ev, whole(ev.Input), emit)
	}
}

func (d *responsesDecoder) begin(response rawValue, emit func(*Event)) error {
	if d.begun {
		return nil
	}
	var m responsesReply
	if given(jsontext.Value(response)) {
		if err := decode(response, &m); err != nil {
			return err
		}
	}
	d.begun = true
	emit(&Event{Kind: Begin, ID: m.ID, Model: m.Model, Created: m.created(), Tier: m.Tier})
	return nil
}

// item is the item with an output_index; nothing need be known of it yet.
func (d *responsesDecoder) item(at int) *inItem {
	for _, it := range d.items {
		if it.at == at {
			return it
		}
	}
	it := &inItem{at: at}
	d.items = append(d.items, it)
	return it
}

func (it *inItem) find(at int) *inPart {
	for _, p := range it.parts {
		if p.at == at {
			return p
		}
	}
	return nil
}

// part is a part of an item, opened if it is new.
func (d *responsesDecoder) part(it *inItem, at int, part Part, emit func(*Event)) *inPart {
	p := it.find(at)
	if p == nil {
		p = &inPart{at: at}
		it.parts = append(it.parts, p)
	}
	if !p.open {
		if !d.begun {
			d.begun = true
			emit(&Event{Kind: Begin})
		}
		p.open, p.index = true, d.next
		d.next++
		d.calls = d.calls || part.Kind == Call
		d.refused = d.refused || part.Kind == Refusal
		emit(&Event{Kind: Open, Index: p.index, Part: &part})
	}
	return p
}

// only is the one part of an item that is no message.
func (d *responsesDecoder) only(it *inItem, part Part, emit func(*Event)) *inPart {
	return d.part(it, 0, part, emit)
}

func (d *responsesDecoder) content(ev *responsesEvent, kind Kind, emit func(*Event)) *inPart {
	return d.part(d.item(ev.OutputIndex), ev.ContentIndex, Part{Kind: kind}, emit)
}

// say tells a piece of a part's text.
func (d *responsesDecoder) say(p *inPart, text string, emit func(*Event)) {
	if text == "" || p.closed {
		return
	}
	p.sent += len(text)
	emit(&Event{Kind: TextDelta, Index: p.index, Text: text})
}

// saidAll tells what is left of a part's text.
func (d *responsesDecoder) saidAll(p *inPart, text string, emit func(*Event)) {
	if p.sent < len(text) {
		d.say(p, text[p.sent:], emit)
	}
}

func (d *responsesDecoder) cite(p *inPart, annotation rawValue, emit func(*Event)) {
	if !given(jsontext.Value(annotation)) || p.closed {
		return
	}
	p.cites++
	emit(&Event{Kind: CiteDelta, Index: p.index, Part: &Part{Cites: []Citation{readAnnotation(annotation)}, From: Responses}})
}

func (d *responsesDecoder) logprobs(ev *responsesEvent, emit func(*Event)) {
	if list := jsontext.Value(ev.Logprobs); list.Kind() == '[' && len(list) > len("[]") {
		emit(&Event{Kind: LogprobsDelta, Logprobs: responsesLogprobs(list)})
	}
}

// close ends a part; whole is what its item says of it, or nil.
func (d *responsesDecoder) close(p *inPart, whole *Part, emit func(*Event)) {
	if p.open && !p.closed {
		p.closed = true
		emit(&Event{Kind: Close, Index: p.index, Part: whole})
	}
}

func (d *responsesDecoder) contentAdded(ev *responsesEvent, emit func(*Event)) {
	switch itemKind(jsontext.Value(ev.Part)) {
	case "output_text":
		d.content(ev, Text, emit)
	case "refusal":
		d.content(ev, Refusal, emit)
	}
}

// contentDone closes a part of a message, with what has not been told of it.
func (d *responsesDecoder) contentDone(ev *responsesEvent, emit func(*Event)) {
	p := d.item(ev.OutputIndex).find(ev.ContentIndex)
	if kind := itemKind(jsontext.Value(ev.Part)); p == nil || kind != "output_text" && kind != "refusal" {
		return
	}
	var c responsesContent
	if c.part(ev.ContentIndex, jsontext.Value(ev.Part)) != nil {
		return // the item will say it again
	}
	d.contentWhole(p, &c.parts[0], emit)
	d.close(p, nil, emit)
}

// contentWhole tells what has not been told of a message's part.
func (d *responsesDecoder) contentWhole(p *inPart, part *Part, emit func(*Event)) {
	d.saidAll(p, part.Text, emit)
	if p.cites < len(part.Cites) && !p.closed {
		emit(&Event{Kind: CiteDelta, Index: p.index, Part: &Part{Cites: part.Cites[p.cites:], From: Responses}})
		p.cites = len(part.Cites)
	}
}

// added opens a call or reasoning; a message's parts open by themselves.
func (d *responsesDecoder) added(ev *responsesEvent, emit func(*Event)) error {
	it := d.item(ev.OutputIndex)
	var in responsesInput
	switch itemKind(jsontext.Value(ev.Item)) {
	case "function_call", "custom_tool_call", "reasoning":
		if err := in.read(jsontext.Value(ev.Item)); err != nil {
			return err
		}
		p := in.turns[0].Parts[0]
		p.Raw = nil
		if p.Kind == Call {
			p.Call.Args = "" // comes by itself
		} else {
			p.Thought = &Thought{ID: p.Thought.ID, From: Responses, Summary: true}
		}
		d.only(it, p, emit)
	}
	return nil
}

// args tells a piece of a call's arguments. A call that was not added has no
// name yet: its item will say all of it.
func (d *responsesDecoder) args(ev *responsesEvent, text string, emit func(*Event)) {
	p := d.item(ev.OutputIndex).find(0)
	if p == nil || p.closed || text == "" {
		return
	}
	p.sent += len(text)
	emit(&Event{Kind: ArgsDelta, Index: p.index, Text: text})
}

func (d *responsesDecoder) allArgs(ev *responsesEvent, text string, emit func(*Event)) {
	if p := d.item(ev.OutputIndex).find(0); p != nil && p.sent < len(text) {
		d.args(ev, text[p.sent:], emit)
	}
}

// itemDone tells what the events of an item have not, and closes its parts.
func (d *responsesDecoder) itemDone(at int, raw jsontext.Value, emit func(*Event)) error {
	it := d.item(at)
	if it.done {
		return nil
	}
	it.done = true
	var in responsesInput
	if err := in.read(raw); err != nil {
		return err
	}
	i := 0
	for t := range in.turns {
		for j := range in.turns[t].Parts {
			d.partDone(it, i, &in.turns[t].Parts[j], emit)
			i++
		}
	}
	for _, p := range it.parts { // that the item does not have
		d.close(p, nil, emit)
	}
	return nil
}

func (d *responsesDecoder) partDone(it *inItem, at int, part *Part, emit func(*Event)) {
	opened := *part
	switch part.Kind {
	case Text, Refusal:
		p := d.part(it, at, Part{Kind: part.Kind}, emit)
		d.contentWhole(p, part, emit)
		d.close(p, part, emit)
	case Call:
		call := *part.Call
		call.Args = ""
		opened.Call, opened.Raw = &call, nil
		p := d.only(it, opened, emit)
		if args := part.Call.Args; p.sent < len(args) && !p.closed {
			emit(&Event{Kind: ArgsDelta, Index: p.index, Text: args[p.sent:]})
		}
		d.close(p, part, emit)
	case Thinking:
		t := *part.Thought
		t.Text, t.Sealed, t.Signature = "", "", ""
		opened.Thought = &t
		p := d.only(it, opened, emit)
		if !it.raw || !part.Thought.Summary {
			d.saidAll(p, part.Thought.Text, emit)
		}
		if part.Thought.Sealed != "" && !p.closed {
			emit(&Event{Kind: SealDelta, Index: p.index, Part: &Part{Kind: Thinking, Thought: part.Thought}})
		}
		d.close(p, part, emit)
	default:
		d.close(d.only(it, opened, emit), part, emit)
	}
}

// finish reads the last event, which holds the whole response.
func (d *responsesDecoder) finish(response rawValue, emit func(*Event)) error {
	var m responsesReply
	if err := decode(response, &m); err != nil {
		return err
	}
	if err := d.begin(response, emit); err != nil {
		return err
	}
	for i, item := range m.Output {
		if err := d.itemDone(i, jsontext.Value(item), emit); err != nil {
			return within(err, indexed("output", i))
		}
	}
	for _, it := range d.items {
		for _, p := range it.parts {
			d.close(p, nil, emit)
		}
	}
	usage := m.Usage.kept()
	if m.Status == "failed" && given(jsontext.Value(m.Error)) {
		if usage != nil {
			emit(&Event{Kind: Count, Usage: readResponsesUsage(usage)})
		}
		d.fault(response, emit)
		return nil
	}
	emit(&Event{Kind: Stop, Reason: m.stop(d.calls, d.refused), RawStop: m.rawStop()})
	if usage != nil {
		emit(&Event{Kind: Count, Usage: readResponsesUsage(usage)})
	}
	d.over = true
	emit(&Event{Kind: End})
	return nil
}

func readResponsesUsage(raw jsontext.Value) costs.Usage { return wire.ReadUsage(wire.Responses, raw) }

// fault tells an error of the upstream, after which nothing comes.
func (d *responsesDecoder) fault(body []byte, emit func(*Event)) {
	f := wire.ReadFailure(500, body)
	switch f.Code {
	case "rate_limit_exceeded", "insufficient_quota":
		f.Status = 429
	case "invalid_prompt", "context_length_exceeded", "content_filter":
		f.Status = 400
	case "server_is_overloaded", "slow_down":
		f.Status = 503
	}
	if f.Type == "error" { // the event's own
		f.Type = ""
	}
	d.over = true
	emit(&Event{Kind: Fault, Failure: &f})
}
