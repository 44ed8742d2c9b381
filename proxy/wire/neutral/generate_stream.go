package neutral

import (
	"weir/costs"
	"weir/proxy/wire"
)

// generateDecoder reads Gemini's stream: every event is a reply with the next
// parts, the calls whole.
type generateDecoder struct {
	began   bool
	blocked bool // the prompt was, and so there are no choices
	failed  bool
	reply   string // its id
	ids     *callIDs
	choices []generateChoice
	usage   costs.Usage
}

// A generateChoice is where one candidate's parts have got to.
type generateChoice struct {
	index   int  // of the part that is open, or of the next one
	open    bool // a part of text or thought
	kind    Kind
	calls   bool
	sealed  bool // the open thought has its signature
	stopped bool
}

// Event implements Decoder.
func (d *generateDecoder) Event(_ string, data []byte, emit func(*Event)) error {
	var in geminiReply
	if err := decode(data, &in); err != nil {
		return err
	}
	if given(in.Error) {
		var e struct {
			Code int `json:"code"` // an HTTP status
		}
		_ = decode(in.Error, &e) // what is none tells no status
		f := wire.ReadFailure(e.Code, data)
		d.failed = true
		emit(&Event{Kind: Fault, Failure: &f})
		return nil
	}
	if !d.began {
		d.began = true
		d.reply = in.ResponseID
		emit(&Event{Kind: Begin, ID: in.ResponseID, Model: in.ModelVersion})
	}
	if first := firstCall(&in); d.ids == nil && first != "" {
		d.ids = replyIDs(d.reply, first)
	}
	for i := range in.Candidates {
		d.candidate(&in.Candidates[i], emit)
	}
	if len(in.Candidates) == 0 && in.PromptFeedback != nil && in.PromptFeedback.BlockReason != "" {
		d.blocked = true
		emit(&Event{Kind: Stop, Reason: StopFilter, RawStop: in.PromptFeedback.BlockReason})
	}
	if given(in.UsageMetadata) {
		d.usage = wire.ReadUsage(wire.Generate, in.UsageMetadata)
		emit(&Event{Kind: Count, Usage: d.usage})
	}
	return nil
}

// maxCandidates bounds the candidates of one stream; Gemini's own limit is 8.
const maxCandidates = 64

func (d *generateDecoder) candidate(c *geminiCandidate, emit func(*Event)) {
	if c.Index < 0 || c.Index >= maxCandidates {
		return
	}
	for len(d.choices) <= c.Index {
		d.choices = append(d.choices, generateChoice{})
	}
	ch := &d.choices[c.Index]
	cites := c.cites()
	if cites != nil && ch.open && ch.kind == Text { // what comes with them may close it
		ch.cite(c.Index, cites, emit)
		cites = nil
	}
	for i := range c.Content.Parts {
		d.part(ch, c.Index, &c.Content.Parts[i], emit)
	}
	if cites != nil {
		ch.cite(c.Index, cites, emit)
	}
	if list := c.Logprobs.neutral(); list != nil {
		emit(&Event{Kind: LogprobsDelta, Choice: c.Index, Logprobs: list})
	}
	if c.FinishReason == "" {
		return
	}
	ch.close(c.Index, emit)
	ch.stopped = true
	emit(&Event{Kind: Stop, Choice: c.Index, Reason: geminiStop(c.FinishReason, ch.calls), RawStop: c.FinishReason})
}

// cite tells citations of the text that is open, or of one without words
// after what has come.
func (ch *generateChoice) cite(choice int, cites []Citation, emit func(*Event)) {
	if !ch.open || ch.kind != Text {
		ch.close(choice, emit)
		ch.open, ch.kind = true, Text
		emit(&Event{Kind: Open, Choice: choice, Index: ch.index, Part: &Part{}})
	}
	emit(&Event{Kind: CiteDelta, Choice: choice, Index: ch.index, Part: &Part{Kind: Text, Cites: cites, From: Generate}})
}

func (d *generateDecoder) part(ch *generateChoice, choice int, p *geminiPart, emit func(*Event)) {
	if p.Text != nil && p.FunctionCall == nil && p.FunctionResponse == nil && p.InlineData == nil && p.FileData == nil {
		d.text(ch, choice, p, emit)
		return
	}
	if d.ids == nil {
		d.ids = replyIDs(d.reply, "")
	}
	r := partReader{ids: d.ids}
	r.part(p)
	for i := range r.parts {
		ch.close(choice, emit)
		d.whole(ch, choice, &r.parts[i], emit)
		ch.open = true
		ch.close(choice, emit)
	}
}

// whole tells a part that has come in one piece.
func (d *generateDecoder) whole(ch *generateChoice, choice int, p *Part, emit func(*Event)) {
	open := *p
	switch p.Kind {
	case Call:
		ch.calls = true
		open.Call = &ToolCall{ID: p.Call.ID, Name: p.Call.Name, Signature: p.Call.Signature, From: p.Call.From} // others' ids carry the seal
		emit(&Event{Kind: Open, Choice: choice, Index: ch.index, Part: &open})
		if p.Call.Args != "" {
			emit(&Event{Kind: ArgsDelta, Choice: choice, Index: ch.index, Text: p.Call.Args})
		}
	case Thinking:
		open.Thought = &Thought{From: p.Thought.From}
		emit(&Event{Kind: Open, Choice: choice, Index: ch.index, Part: &open})
		emit(&Event{Kind: SealDelta, Choice: choice, Index: ch.index, Part: p})
	default:
		emit(&Event{Kind: Open, Choice: choice, Index: ch.index, Part: p})
	}
}

// text takes a piece of text or of thought, and the signature that comes with it.
func (d *generateDecoder) text(ch *generateChoice, choice int, p *geminiPart, emit func(*Event)) {
	kind := Text
	if p.Thought {
		kind = Thinking
	}
	if ch.open && (ch.kind != kind || ch.sealed && *p.Text != "") {
		ch.close(choice, emit)
	}
	if !ch.open && (*p.Text != "" || p.Thought && p.ThoughtSignature != "") {
		ch.open, ch.kind, ch.sealed = true, kind, false
		part := &Part{Kind: kind}
		if kind == Thinking {
			part.Thought = &Thought{From: Generate}
		}
		emit(&Event{Kind: Open, Choice: choice, Index: ch.index, Part: part})
	}
	if *p.Text != "" {
		emit(&Event{Kind: TextDelta, Choice: choice, Index: ch.index, Text: *p.Text})
	}
	if p.ThoughtSignature == "" {
		return
	}
	from, seal := signature(p.ThoughtSignature)
	sealed := &Part{Kind: Thinking, Thought: &Thought{Signature: seal, From: from}}
	if kind == Thinking {
		ch.sealed = true
		emit(&Event{Kind: SealDelta, Choice: choice, Index: ch.index, Part: sealed})
		return
	}
	ch.close(choice, emit) // a seal on text is a part of its own right after it
	emit(&Event{Kind: Open, Choice: choice, Index: ch.index, Part: &Part{Kind: Thinking, Thought: &Thought{From: from}}})
	emit(&Event{Kind: SealDelta, Choice: choice, Index: ch.index, Part: sealed})
	ch.open, ch.kind = true, Thinking
	ch.close(choice, emit)
}

func (ch *generateChoice) close(choice int, emit func(*Event)) {
	if ch.open {
		emit(&Event{Kind: Close, Choice: choice, Index: ch.index})
		ch.index++
		ch.open, ch.sealed = false, false
	}
}

// End implements Decoder. Gemini's streams have no terminator: one is whole
// when every candidate has told why it stopped.
func (d *generateDecoder) End(emit func(*Event)) {
	whole := d.blocked || len(d.choices) > 0
	for i := range d.choices {
		d.choices[i].close(i, emit)
		whole = whole && d.choices[i].stopped
	}
	if whole && !d.failed {
		emit(&Event{Kind: End})
	}
}

// generateEncoder writes a stream for Gemini's clients: text as it comes,
// calls when they are whole, the usage with the reason to stop.
type generateEncoder struct {
	asked    *Request
	id       string
	model    string
	parts    map[[2]int]*Part // open parts, by choice and index; calls gather their arguments
	stops    []Event
	cites    map[int][]Citation  // by choice
	logprobs map[int][]openToken // by choice: since the last chunk
	usage    costs.Usage
	hasUsage bool
}

// Append implements Encoder.
func (g *generateEncoder) Append(dst []byte, e *Event) []byte {
	at := [2]int{e.Choice, e.Index}
	switch e.Kind {
	case Begin:
		g.id, g.model = e.ID, modelOr(e.Model, g.asked)
	case Open:
		if g.parts == nil {
			g.parts = make(map[[2]int]*Part)
		}
		g.parts[at] = openPart(e.Part)
	case TextDelta:
		return g.words(dst, e, g.parts[at])
	case ArgsDelta:
		if p := g.parts[at]; p != nil && p.Call != nil {
			p.Call.Args += e.Text
		}
	case CiteDelta:
		if g.cites == nil {
			g.cites = make(map[int][]Citation)
		}
		g.cites[e.Choice] = append(g.cites[e.Choice], e.Part.Cites...)
	case LogprobsDelta:
		if g.logprobs == nil {
			g.logprobs = make(map[int][]openToken)
		}
		g.logprobs[e.Choice] = append(g.logprobs[e.Choice], readLogprobs(e.Logprobs)...)
	case SealDelta:
		g.seal(g.parts[at], e.Part)
	case Close:
		p := g.parts[at]
		delete(g.parts, at)
		return g.whole(dst, e.Choice, p)
	case Count:
		mergeUsage(&g.usage, e.Usage)
		g.hasUsage = true
	case Stop:
		g.stops = append(g.stops, *e)
	case End:
		return g.end(dst)
	}
	return dst
}

// openPart is a copy of a part to gather in.
func openPart(p *Part) *Part {
	c := *p
	if p.Call != nil {
		call := *p.Call
		call.Args = "" // they come as deltas
		c.Call = &call
	}
	if p.Thought != nil {
		t := *p.Thought
		c.Thought = &t
	}
	return &c
}

// mergeUsage replaces meter by meter.
func mergeUsage(u *costs.Usage, later costs.Usage) {
	for _, m := range costs.Meters() {
		if n, ok := later.Get(m); ok {
			u.Set(m, n)
		}
	}
}

// words sends a piece of text or thought at once.
func (g *generateEncoder) words(dst []byte, e *Event, p *Part) []byte {
	if p == nil || e.Text == "" {
		return dst
	}
	return g.chunk(dst, e.Choice, func(w *jsonw) {
		w.obj()
		w.strKey("text", e.Text)
		if p.Kind == Thinking {
			w.boolKey("thought", true)
		}
		w.endObj()
	})
}

func (g *generateEncoder) seal(p, sealed *Part) {
	switch {
	case p == nil || sealed == nil:
	case p.Call != nil && sealed.Call != nil:
		p.Call.Signature, p.Call.From = sealed.Call.Signature, sealed.Call.From
	case p.Thought != nil && sealed.Thought != nil:
		t := sealed.Thought
		p.Thought.From = t.From
		p.Thought.Signature += t.Signature
		p.Thought.Sealed += t.Sealed
		if t.ID != "" {
			p.Thought.ID = t.ID
		}
	}
}

// whole sends what could not be sent piece by piece.
func (g *generateEncoder) whole(dst []byte, choice int, p *Part) []byte {
	switch {
	case p == nil || p.Kind == Text || p.Kind == Refusal:
		return dst
	case p.Kind == Thinking && p.Thought.seal() == "":
		return dst
	case p.Kind == Thinking:
		return g.chunk(dst, choice, func(w *jsonw) { writeThought(w, "", p.Thought.From, p.Thought.seal()) })
	case p.Kind == Opaque && p.From != Generate:
		return dst
	}
	return g.chunk(dst, choice, func(w *jsonw) { writeReplyPart(w, []Part{*p}, 0) })
}

// chunk writes one event with the parts that f writes.
func (g *generateEncoder) chunk(dst []byte, choice int, f func(w *jsonw)) []byte {
	w := jsonw{b: append(dst, "data: "...), line: true}
	w.obj()
	w.arrKey("candidates")
	w.obj()
	w.objKey("content")
	w.arrKey("parts")
	f(&w)
	w.endArr()
	w.strKey("role", "model")
	w.endObj()
	w.intKey("index", int64(choice))
	w.logprobs(g.logprobs[choice])
	delete(g.logprobs, choice)
	w.endObj()
	w.endArr()
	writeTail(&w, costs.Usage{}, false, g.model, g.id)
	w.endObj()
	return append(w.b, "\r\n\r\n"...)
}

// end writes the last event: why each choice has stopped, and the usage.
func (g *generateEncoder) end(dst []byte) []byte {
	if len(g.stops) == 0 && !g.hasUsage {
		return dst
	}
	w := jsonw{b: append(dst, "data: "...), line: true}
	w.obj()
	w.arrKey("candidates")
	for i := range g.stops {
		s := &g.stops[i]
		w.obj()
		w.objKey("content")
		w.arrKey("parts")
		w.obj()
		w.strKey("text", "")
		w.endObj()
		w.endArr()
		w.strKey("role", "model")
		w.endObj()
		w.strKey("finishReason", writeGeminiStop(s.Reason, s.RawStop))
		w.intKey("index", int64(s.Choice))
		w.webCites(g.cites[s.Choice])
		w.logprobs(g.logprobs[s.Choice])
		w.endObj()
	}
	w.endArr()
	writeTail(&w, g.usage, g.hasUsage, g.model, g.id)
	w.endObj()
	return append(w.b, "\r\n\r\n"...)
}
