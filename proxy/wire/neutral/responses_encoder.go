package neutral

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"weir/costs"
)

// responsesEncoder writes a client's stream. The items of a response follow
// each other: what an upstream tells of a later part while an earlier one is
// open waits for it. A message stays open until something else begins, as its
// parts are one item's, and an item is done when it is known how it ended.
//
// Calls of stand-ins come out as those of the client's own tools.
type responsesEncoder struct {
	r     *Request
	stand *standIns
	quiet bool // writes no events
	dst   []byte
	seq   int64

	id, model, tier string
	created         int64
	echo            []byte
	begun, over     bool

	parts  []*outPart // that are not written yet, the one being written first
	item   *outItem   // the one that is open; nil: none
	items  int
	output []byte // the items that are done, with commas between
	logs   []byte // log probabilities of the next piece of text

	reason StopReason
	usage  costs.Usage
	counts bool
}

// An outPart is a part of the upstream's answer.
type outPart struct {
	index         int
	part          Part // as it was opened
	call          ToolCall
	thought       Thought
	text          []byte     // all that is known
	sent          int        // how much of it is told
	cites         []Citation // told when the text is whole, as they may be of all of it
	from          API        // of cites
	annotations   []byte     // the cites, as they are written
	logs          []byte
	begun, closed bool
	told          bool // its summary's part is added
}

// An outItem is an item of the output.
type outItem struct {
	id    string
	at    int
	parts []*outPart // of a message; else the one
	kind  Kind
}

func newResponsesEncoder(r *Request) *responsesEncoder {
	if r == nil {
		r = &Request{From: Responses}
	}
	return &responsesEncoder{r: r, stand: newStandIns(r)}
}

// Sequence is the sequence_number of the stream's next event.
func (e *responsesEncoder) Sequence() int64 { return e.seq }

// Append implements Encoder.
func (e *responsesEncoder) Append(dst []byte, ev *Event) []byte {
	e.dst = dst
	e.take(ev)
	if ev.Kind == End && !e.over {
		e.begin(&Event{})
		e.settle()
		status := e.status()
		e.event("response."+status, func(w *jsonw) {
			w.key("response")
			e.response(w, status)
		})
		e.over = true
	}
	dst, e.dst = e.dst, nil
	return dst
}

// take follows an event, and writes what it makes known.
func (e *responsesEncoder) take(ev *Event) { e.stand.turn(ev, e.follow) }

func (e *responsesEncoder) follow(ev *Event) {
	if e.over || ev.Choice != 0 {
		return
	}
	switch ev.Kind {
	case Begin:
		e.begin(ev)
	case Open:
		e.begin(&Event{})
		e.open(ev)
	case TextDelta, ArgsDelta, SealDelta, CiteDelta, Close:
		if p := e.find(ev.Index); p != nil {
			p.take(ev)
		}
		e.advance()
	case LogprobsDelta:
		if e.r.Logprobs || e.r.TopLogprobs != nil {
			e.logs = joinElements(e.logs, logprobElements(ev.Logprobs))
		}
	case Stop:
		e.reason = ev.Reason
	case Count:
		for _, m := range costs.Meters() {
			if n, ok := ev.Usage.Get(m); ok {
				e.usage.Set(m, n)
			}
		}
		e.counts = true
	case Fault:
		e.over = true
	}
}

// begin writes the first two events.
func (e *responsesEncoder) begin(ev *Event) {
	if e.begun {
		return
	}
	e.begun = true
	e.id, e.model, e.created, e.tier = responsesID(ev.ID), ev.Model, ev.Created, ev.Tier
	if e.model == "" {
		e.model = e.r.Model
	}
	e.echo = e.r.echo()
	for _, kind := range []string{"response.created", "response.in_progress"} {
		e.event(kind, func(w *jsonw) {
			w.key("response")
			e.response(w, "in_progress")
		})
	}
}

// event writes one event.
func (e *responsesEncoder) event(kind string, rest func(w *jsonw)) {
	if e.quiet {
		return
	}
	e.dst = append(e.dst, "event: "...)
	e.dst = append(e.dst, kind...)
	e.dst = append(e.dst, "\ndata: "...)
	w := jsonw{b: e.dst, line: true}
	w.obj()
	w.strKey("type", kind)
	w.intKey("sequence_number", e.seq)
	e.seq++
	rest(&w)
	w.endObj()
	e.dst = append(w.b, "\n\n"...)
}

// response writes the response object as it stands.
func (e *responsesEncoder) response(w *jsonw, status string) {
	w.obj()
	w.strKey("id", e.id)
	w.strKey("object", "response")
	w.intKey("created_at", e.created)
	w.strKey("status", status)
	w.key("error")
	if status == "failed" {
		w.obj()
		w.strKey("code", "server_error")
		w.strKey("message", "The model did not finish its answer.")
		w.endObj()
	} else {
		w.null()
	}
	w.key("incomplete_details")
	if status == "incomplete" {
		w.obj()
		w.strKey("reason", e.incomplete())
		w.endObj()
	} else {
		w.null()
	}
	w.strKey("model", e.model)
	w.listKey("output", e.output)
	if e.counts && status != "in_progress" { // else it is not known, and null is not of its type
		w.key("usage")
		w.b = appendResponsesUsage(w.b, e.usage)
	}
	tier := chatTier(e.tier)
	if tier == "" {
		tier = "default"
	}
	w.strKey("service_tier", tier)
	w.lit(string(e.echo))
	w.endObj()
}

// status is how the response ends.
func (e *responsesEncoder) status() string {
	switch {
	case e.reason == StopFault:
		return "failed"
	case e.incomplete() != "":
		return "incomplete"
	}
	return "completed"
}

// incomplete is why an answer is not whole; "": it is. A refusal in the
// model's own words is an answer.
func (e *responsesEncoder) incomplete() string {
	switch e.reason {
	case StopLength, StopContext, StopPause:
		return "max_output_tokens"
	case StopFilter:
		return "content_filter"
	case StopRefusal:
		if !bytes.Contains(e.output, []byte(`{"type":"refusal"`)) {
			return "content_filter"
		}
	}
	return ""
}

// open takes a new part, if it has a place in this API.
func (e *responsesEncoder) open(ev *Event) {
	p := &outPart{index: ev.Index, part: *ev.Part}
	p.part.Raw = ev.Part.Raw.Clone()
	switch ev.Part.Kind {
	case Text, Refusal:
	case Thinking:
		if t := ev.Part.Thought; t != nil {
			p.thought = *t
			p.thought.Text = ""
		}
	case Call:
		if ev.Part.Call == nil {
			return
		}
		p.call = *ev.Part.Call
	case Image:
	case Opaque:
		if ev.Part.From != Responses {
			return
		}
	default:
		return
	}
	e.parts = append(e.parts, p)
	e.advance()
}

// find is the newest part with an index that is not closed.
func (e *responsesEncoder) find(index int) *outPart {
	for i := len(e.parts) - 1; i >= 0; i-- {
		if p := e.parts[i]; p.index == index && !p.closed {
			return p
		}
	}
	return nil
}

// take follows an event of the part.
func (p *outPart) take(ev *Event) {
	switch ev.Kind {
	case TextDelta, ArgsDelta:
		p.text = append(p.text, ev.Text...)
	case SealDelta:
		p.seal(ev.Part)
	case CiteDelta:
		if ev.Part != nil {
			for _, c := range ev.Part.Cites {
				c.Raw = c.Raw.Clone()
				p.cites = append(p.cites, c)
			}
			p.from = ev.Part.From
		}
	case Close:
		p.closed = true
		if ev.Part != nil {
			p.seal(ev.Part)
			if ev.Part.Media != nil || ev.Part.Raw != nil {
				p.part = *ev.Part
				p.part.Raw = ev.Part.Raw.Clone()
			}
		}
	}
}

// seal takes what a seal says of the part.
func (p *outPart) seal(part *Part) {
	if part == nil {
		return
	}
	if t := part.Thought; t != nil && p.part.Kind == Thinking {
		if t.Signature != "" || t.Sealed != "" {
			p.thought.Signature, p.thought.Sealed, p.thought.From = t.Signature, t.Sealed, t.From
		}
		if p.thought.ID == "" {
			p.thought.ID = t.ID
		}
	}
	if c := part.Call; c != nil && c.Signature != "" {
		p.call.Signature, p.call.From = c.Signature, c.From
	}
}

// advance writes what can be written.
func (e *responsesEncoder) advance() {
	for len(e.parts) > 0 {
		p := e.parts[0]
		e.write(p)
		if !p.closed {
			return
		}
		e.parts = e.parts[1:]
	}
}

// settle closes what is open, at the end of the answer.
func (e *responsesEncoder) settle() {
	for _, p := range e.parts {
		p.closed = true
	}
	e.advance()
	status := "completed"
	if e.reason == StopLength || e.reason == StopContext || e.reason == StopPause {
		status = "incomplete"
	}
	e.closeItem(status)
}

func (e *responsesEncoder) write(p *outPart) {
	switch p.part.Kind {
	case Text, Refusal:
		e.writeText(p)
	case Thinking:
		e.writeThinking(p)
	case Call:
		e.writeCall(p)
	default:
		if p.closed {
			e.writeWhole(p)
		}
	}
}

// newItem closes the open item and opens the next one.
func (e *responsesEncoder) newItem(kind Kind, id string, p *outPart) {
	e.closeItem("completed")
	e.item = &outItem{id: id, at: e.items, kind: kind}
	if p != nil {
		e.item.parts = append(e.item.parts, p)
	}
	e.items++
	e.event("response.output_item.added", func(w *jsonw) {
		w.intKey("output_index", int64(e.item.at))
		w.key("item")
		e.item.write(w, "in_progress")
	})
}

// closeItem writes that the open item is done, and keeps it.
func (e *responsesEncoder) closeItem(status string) {
	if e.item == nil {
		return
	}
	one := jsonw{line: true}
	e.item.write(&one, status)
	e.output = joinElements(e.output, one.b)
	e.event("response.output_item.done", func(w *jsonw) {
		w.intKey("output_index", int64(e.item.at))
		w.rawKey("item", one.b)
	})
	e.item = nil
}

// place writes where an event belongs.
func (e *responsesEncoder) place(w *jsonw) {
	w.strKey("item_id", e.item.id)
	w.intKey("output_index", int64(e.item.at))
}

func (e *responsesEncoder) writeText(p *outPart) {
	if !p.begun {
		p.begun = true
		if e.item == nil || e.item.kind != Text {
			e.newItem(Text, itemID("msg_", e.id, e.items), nil)
		}
		e.item.parts = append(e.item.parts, p)
		e.content("response.content_part.added", func(w *jsonw) {
			w.key("part")
			p.writeContent(w, false)
		})
	}
	kind := "response.output_text"
	if p.part.Kind == Refusal {
		kind = "response.refusal"
	}
	if p.sent < len(p.text) {
		p.logs = joinElements(p.logs, e.logs)
		e.content(kind+".delta", func(w *jsonw) {
			w.key("delta")
			w.b = appendQuoted(w.b, p.text[p.sent:])
			if p.part.Kind == Text {
				w.listKey("logprobs", e.logs)
			}
		})
		p.sent, e.logs = len(p.text), nil
	}
	if !p.closed {
		return
	}
	e.annotate(p)
	p.logs, e.logs = joinElements(p.logs, e.logs), nil
	e.content(kind+".done", func(w *jsonw) {
		if p.part.Kind == Refusal {
			w.key("refusal")
		} else {
			w.listKey("logprobs", p.logs)
			w.key("text")
		}
		w.b = appendQuoted(w.b, p.text)
	})
	e.content("response.content_part.done", func(w *jsonw) {
		w.key("part")
		p.writeContent(w, true)
	})
}

// annotate tells the citations of a text that is whole.
func (e *responsesEncoder) annotate(p *outPart) {
	told, characters := int64(0), utf8.RuneCount(p.text)
	for i := range p.cites {
		one := appendAnnotations(nil, p.cites[i:i+1], p.from, characters)
		if len(one) == 0 {
			continue // of no URL
		}
		e.content("response.output_text.annotation.added", func(w *jsonw) {
			w.intKey("annotation_index", told)
			w.rawKey("annotation", one)
		})
		p.annotations = joinElements(p.annotations, one)
		told++
	}
}

// content writes an event of the open message's last part.
func (e *responsesEncoder) content(kind string, rest func(w *jsonw)) {
	e.event(kind, func(w *jsonw) {
		e.place(w)
		w.intKey("content_index", int64(len(e.item.parts)-1))
		rest(w)
	})
}

// writeContent writes a part of a message, with all it has or as it begins.
func (p *outPart) writeContent(w *jsonw, whole bool) {
	var text, cites, logs []byte
	if whole {
		text, cites, logs = p.text, p.annotations, p.logs
	}
	if p.part.Kind == Refusal {
		w.refusal(string(text))
		return
	}
	w.outputText(string(text), cites, logs)
}

func (e *responsesEncoder) writeThinking(p *outPart) {
	if !p.begun {
		p.begun = true
		if p.thought.ID == "" || p.thought.From != Responses {
			p.thought.ID = itemID(madeThought, e.id, e.items)
		}
		e.newItem(Thinking, p.thought.ID, p)
	}
	summary := func(kind string, rest func(w *jsonw)) {
		e.event("response.reasoning_summary_"+kind, func(w *jsonw) {
			e.place(w)
			w.intKey("summary_index", 0)
			rest(w)
		})
	}
	part := func(text string) func(w *jsonw) {
		return func(w *jsonw) {
			w.key("part")
			w.summaryText(text)
		}
	}
	if p.sent < len(p.text) {
		if !p.told {
			p.told = true
			summary("part.added", part(""))
		}
		summary("text.delta", func(w *jsonw) { w.strKey("delta", string(p.text[p.sent:])) })
		p.sent = len(p.text)
	}
	if p.closed && p.told {
		summary("text.done", func(w *jsonw) { w.strKey("text", string(p.text)) })
		summary("part.done", part(string(p.text)))
	}
}

// writeCall begins with the arguments: until then a seal may come, which is in
// the call's id.
func (e *responsesEncoder) writeCall(p *outPart) {
	if len(p.text) == 0 && !p.closed {
		return
	}
	kind, member, prefix := "response.function_call_arguments", "arguments", "fc_"
	if p.call.Custom {
		kind, member, prefix = "response.custom_tool_call_input", "input", "ctc_"
	}
	if !p.begun {
		p.begun = true
		if p.call.Item == "" || len(p.call.Item) > maxResponsesID {
			p.call.Item = itemID(prefix, e.id, e.items)
		}
		e.newItem(Call, p.call.Item, p)
	}
	if len(p.text) == 0 && !p.call.Custom {
		p.text = []byte("{}")
	}
	if p.sent < len(p.text) {
		e.event(kind+".delta", func(w *jsonw) {
			e.place(w)
			w.strKey("delta", string(p.text[p.sent:]))
		})
		p.sent = len(p.text)
	}
	if p.closed {
		e.event(kind+".done", func(w *jsonw) {
			e.place(w)
			if !p.call.Custom {
				w.strKey("name", p.call.Name)
			}
			w.strKey(member, string(p.text))
		})
	}
}

// writeWhole writes an item that has no deltas: a picture, or one of OpenAI's own.
func (e *responsesEncoder) writeWhole(p *outPart) {
	switch {
	case p.part.Kind == Opaque && p.part.Raw != nil:
		e.newItem(Opaque, rawID(p.part.Raw), p)
	case p.part.Kind == Image && p.part.Media != nil && p.part.Media.Data != "":
		e.newItem(Image, itemID("ig_", e.id, e.items), p)
	}
}

// rawID is the id of an item.
func rawID(raw []byte) string {
	var o struct {
		ID string `json:"id"`
	}
	_ = decode(raw, &o) // "" where there is none
	return o.ID
}

// write writes an item as it stands; status is in_progress where it has just begun.
func (o *outItem) write(w *jsonw, status string) {
	begins := status == "in_progress"
	switch o.kind {
	case Text:
		w.obj()
		w.strKey("id", o.id)
		w.strKey("type", "message")
		w.strKey("status", status)
		w.arrKey("content")
		for _, p := range o.parts {
			p.writeContent(w, true)
		}
		w.endArr()
		w.strKey("role", "assistant")
		w.endObj()
	case Call:
		o.parts[0].writeCallItem(w, o.id, status)
	case Thinking:
		p := o.parts[0]
		w.obj()
		w.strKey("id", o.id)
		w.strKey("type", "reasoning")
		w.arrKey("summary")
		if !begins && p.told {
			w.summaryText(string(p.text))
		}
		w.endArr()
		if !begins {
			w.strIf("encrypted_content", responsesSeal(&p.thought))
		}
		w.endObj()
	case Image:
		w.obj()
		w.strKey("id", o.id)
		w.strKey("type", "image_generation_call")
		w.strKey("status", status)
		w.key("result")
		if begins {
			w.null()
		} else {
			w.str(o.parts[0].part.Media.Data)
		}
		if format, ok := strings.CutPrefix(o.parts[0].part.Media.MIME, "image/"); ok {
			w.strKey("output_format", format)
		}
		w.endObj()
	default:
		w.raw(o.parts[0].part.Raw)
	}
}

func (p *outPart) writeCallItem(w *jsonw, id, status string) {
	text := string(p.text)
	if status == "in_progress" {
		text = ""
	}
	kind, member := "function_call", "arguments"
	if p.call.Custom {
		kind, member = "custom_tool_call", "input"
	}
	callID := p.call.ID
	if p.call.Signature != "" && p.call.From != Responses {
		callID = CallWithSeal(callID, p.call.From, p.call.Signature)
	}
	w.obj()
	w.strKey("id", id)
	w.strKey("type", kind)
	w.strKey("status", status)
	w.strKey("call_id", callID)
	w.strKey("name", p.call.Name)
	w.strKey(member, text)
	w.endObj()
}

// joinElements joins two lists' elements.
func joinElements(a, b []byte) []byte {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	return append(append(a, ','), b...)
}
