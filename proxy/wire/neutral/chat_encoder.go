package neutral

import (
	"strings"
	"unicode/utf8"

	"weir/costs"
)

// A chatEncoder writes the chunks of one stream for a chat client: for each
// choice the role first and the finish_reason last, then the usage where the
// client wants it, then [DONE]. Deltas joined make what encodeChatReply writes.
type chatEncoder struct {
	r       *Request
	stand   *standIns
	w       jsonw
	prefix  []byte // of each chunk, up to its choices
	choices []*chatOut
	usage   costs.Usage
	counted bool
	id      string
	model   string
	created int64
	tier    string
}

// A chatOut is one choice on its way out.
type chatOut struct {
	index    int
	parts    []*chatOutPart
	calls    int
	runes    int64 // of text so far
	cites    []Citation
	thoughts int  // with a seal, so far
	thought  bool // some reasoning has been shown
	refused  bool
	images   int
	said     bool // some text has been told
}

// A chatOutPart is an open part.
type chatOutPart struct {
	index   int
	kind    Kind
	ordinal int   // of a call
	from    int64 // where its text starts
	cites   []Citation
	thought Thought
	words   strings.Builder // of reasoning, for its seal
	media   *Media
	custom  bool
	got     bool // some arguments, or words of reasoning
}

func newChatEncoder(r *Request) *chatEncoder {
	return &chatEncoder{r: r, stand: newStandIns(r), w: jsonw{line: true}}
}

// Append writes what an event means for the client.
func (e *chatEncoder) Append(dst []byte, ev *Event) []byte {
	e.w.b = dst
	e.stand.turn(ev, e.follow)
	dst, e.w.b = e.w.b, nil
	return dst
}

func (e *chatEncoder) follow(ev *Event) {
	switch ev.Kind {
	case Begin:
		e.id, e.model, e.created, e.tier = ev.ID, ev.Model, ev.Created, ev.Tier
		e.choice(0)
	case Open:
		e.openPart(e.choice(ev.Choice), ev)
	case TextDelta:
		c := e.choice(ev.Choice)
		e.text(c, c.part(ev.Index), ev.Text)
	case ArgsDelta:
		c := e.choice(ev.Choice)
		e.args(c, c.part(ev.Index), ev.Text)
	case SealDelta:
		c := e.choice(ev.Choice)
		e.seal(c, c.part(ev.Index), ev.Part)
	case CiteDelta:
		if p := e.choice(ev.Choice).part(ev.Index); p != nil && ev.Part != nil {
			p.cites = append(p.cites, ev.Part.Cites...)
		}
	case Close:
		c := e.choice(ev.Choice)
		e.closePart(c, c.part(ev.Index), ev.Part)
	case LogprobsDelta:
		e.start(e.choice(ev.Choice))
		e.finish("", ev.Logprobs)
	case Stop:
		e.stop(e.choice(ev.Choice), ev.Reason)
	case Count:
		e.counted = true
		for _, m := range costs.Meters() {
			if n, ok := ev.Usage.Get(m); ok {
				e.usage.Set(m, n)
			}
		}
	case End:
		e.end()
	}
}

// choice is the state of a choice, which begins with its role.
func (e *chatEncoder) choice(index int) *chatOut {
	for _, c := range e.choices {
		if c.index == index {
			return c
		}
	}
	c := &chatOut{index: index}
	e.choices = append(e.choices, c)
	e.start(c)
	e.w.strKey("role", "assistant")
	e.w.nullKey("content")
	e.w.nullKey("refusal")
	e.finish("", nil)
	return c
}

// part is an open part; nil for one that never opened.
func (c *chatOut) part(index int) *chatOutPart {
	for i := len(c.parts) - 1; i >= 0; i-- {
		if c.parts[i].index == index {
			return c.parts[i]
		}
	}
	return nil
}

// head writes a chunk up to its choices.
func (e *chatEncoder) head() {
	if e.prefix == nil {
		w := jsonw{b: append(make([]byte, 0, 256), "data: "...)}
		w.obj()
		w.strKey("id", chatReplyID(e.id))
		w.strKey("object", "chat.completion.chunk")
		w.intKey("created", e.created)
		w.strKey("model", e.model)
		w.strIf("service_tier", chatTier(e.tier))
		w.arrKey("choices")
		e.prefix = w.b
	}
	e.w.b = append(e.w.b, e.prefix...)
}

// start begins a chunk with a delta of a choice; finish ends it.
func (e *chatEncoder) start(c *chatOut) {
	e.head()
	e.w.obj()
	e.w.intKey("index", int64(c.index))
	e.w.objKey("delta")
}

func (e *chatEncoder) finish(reason string, logprobs []byte) {
	w := &e.w
	w.endObj()
	w.rawKey("logprobs", logprobs)
	w.strNull("finish_reason", reason)
	w.endObj()
	w.endArr()
	if e.r.IncludeUsage {
		w.nullKey("usage")
	}
	w.endObj()
	w.b = append(w.b, "\n\n"...)
}

func (e *chatEncoder) openPart(c *chatOut, ev *Event) {
	if ev.Part == nil {
		return
	}
	p := &chatOutPart{index: ev.Index, kind: ev.Part.Kind, from: c.runes, media: ev.Part.Media}
	c.parts = append(c.parts, p)
	switch p.kind {
	case Call:
		if ev.Part.Call != nil {
			e.openCall(c, p, ev.Part.Call)
		}
	case Thinking:
		if t := ev.Part.Thought; t != nil {
			p.thought = *t
			e.text(c, p, t.Text)
		}
	case Text, Refusal:
		p.cites = append(p.cites, ev.Part.Cites...)
		e.text(c, p, ev.Part.Text)
	}
}

// text adds words to a text, a refusal or reasoning.
func (e *chatEncoder) text(c *chatOut, p *chatOutPart, text string) {
	if p == nil || text == "" {
		return
	}
	member := "content"
	switch p.kind {
	case Text:
		c.runes += int64(utf8.RuneCountInString(text))
		c.said = true
	case Refusal:
		member, c.refused = "refusal", true
	case Thinking:
		member = "reasoning_content"
		p.words.WriteString(text)
		if !p.got && c.thought {
			text = thoughtGap + text
		}
		p.got, c.thought = true, true
	default:
		return
	}
	e.start(c)
	e.w.strKey(member, text)
	e.finish("", nil)
}

// openCall tells a call's id and name.
func (e *chatEncoder) openCall(c *chatOut, p *chatOutPart, call *ToolCall) {
	p.ordinal, p.custom = c.calls, call.Custom
	c.calls++
	w := &e.w
	if e.r.Legacy {
		if p.ordinal > 0 {
			return // function_call has room for one
		}
		e.start(c)
		w.objKey("function_call")
		w.strKey("name", call.Name)
		w.strKey("arguments", call.Args)
		w.endObj()
		e.finish("", nil)
		p.got = call.Args != ""
		return
	}
	e.startCall(c, p)
	w.strKey("id", CallWithSeal(call.ID, call.From, call.Signature))
	kind, member := "function", "arguments"
	if call.Custom {
		kind, member = "custom", "input"
	}
	w.strKey("type", kind)
	w.objKey(kind)
	w.strKey("name", call.Name)
	w.strKey(member, call.Args)
	w.endObj()
	if call.Signature != "" && call.From == Generate {
		w.googleSeal(call.Signature)
	}
	e.finishCall()
	p.got = call.Args != ""
}

// startCall begins a chunk with a piece of a call; finishCall ends it.
func (e *chatEncoder) startCall(c *chatOut, p *chatOutPart) {
	e.start(c)
	e.w.arrKey("tool_calls")
	e.w.obj()
	e.w.intKey("index", int64(p.ordinal))
}

func (e *chatEncoder) finishCall() {
	e.w.endObj()
	e.w.endArr()
	e.finish("", nil)
}

func (e *chatEncoder) args(c *chatOut, p *chatOutPart, text string) {
	if p == nil || text == "" || p.kind != Call {
		return
	}
	p.got = true
	w := &e.w
	if e.r.Legacy {
		if p.ordinal > 0 {
			return
		}
		e.start(c)
		w.objKey("function_call")
		w.strKey("arguments", text)
		w.endObj()
		e.finish("", nil)
		return
	}
	e.startCall(c, p)
	if p.custom {
		w.objKey("custom")
		w.strKey("input", text)
	} else {
		w.objKey("function")
		w.strKey("arguments", text)
	}
	w.endObj()
	e.finishCall()
}

// seal keeps a thought's seal until it closes. A call's goes out at once, in
// the form of Google's own endpoint: its id is already out.
func (e *chatEncoder) seal(c *chatOut, p *chatOutPart, seal *Part) {
	if p == nil || seal == nil {
		return
	}
	if t := seal.Thought; t != nil && p.kind == Thinking {
		p.thought.merge(t)
	}
	if call := seal.Call; call != nil && p.kind == Call && call.Signature != "" && call.From == Generate && !e.r.Legacy {
		e.startCall(c, p)
		e.w.googleSeal(call.Signature)
		e.finishCall()
	}
}

// merge adds a piece of a seal.
func (t *Thought) merge(s *Thought) {
	t.Signature += s.Signature
	t.Sealed += s.Sealed
	if s.ID != "" {
		t.ID = s.ID
	}
	if sealed(s) && s.From != "" {
		t.From, t.Format = s.From, s.Format
	}
}

// closePart tells what is only known with a part's end. whole is the part as
// the upstream said it again, or nil.
func (e *chatEncoder) closePart(c *chatOut, p *chatOutPart, whole *Part) {
	if p == nil {
		return
	}
	switch p.kind {
	case Text:
		if whole != nil && c.runes == p.from {
			e.text(c, p, whole.Text)
		}
		c.cites = appendCites(c.cites, p.cites, p.from, c.runes)
	case Thinking:
		e.closeThought(c, p, whole)
	case Call:
		e.closeCall(c, p, whole)
	case Image, Audio:
		e.media(c, p, whole)
	}
	p.index = -1 // closed
}

func (e *chatEncoder) closeThought(c *chatOut, p *chatOutPart, whole *Part) {
	if whole != nil && whole.Thought != nil {
		if !p.got {
			e.text(c, p, whole.Thought.Text)
		}
		if !sealed(&p.thought) {
			p.thought.merge(whole.Thought)
		}
	}
	if !sealed(&p.thought) {
		return
	}
	p.thought.Text = p.words.String()
	e.start(c)
	e.w.arrKey("reasoning_details")
	e.w.detail(&p.thought, c.thoughts)
	e.w.endArr()
	e.finish("", nil)
	c.thoughts++
}

// closeCall completes arguments that never came: they are an empty object.
func (e *chatEncoder) closeCall(c *chatOut, p *chatOutPart, whole *Part) {
	if p.got {
		return
	}
	args := ""
	if whole != nil && whole.Call != nil {
		args = whole.Call.Args
	}
	if args == "" && !p.custom {
		args = "{}"
	}
	e.args(c, p, args)
}

func (e *chatEncoder) media(c *chatOut, p *chatOutPart, whole *Part) {
	m := p.media
	if whole != nil && whole.Media != nil {
		m = whole.Media
	}
	if m == nil {
		return
	}
	e.start(c)
	w := &e.w
	if p.kind == Audio {
		w.audio(m)
	} else {
		w.arrKey("images")
		w.image(m, c.images)
		w.endArr()
		c.images++
	}
	e.finish("", nil)
}

func (e *chatEncoder) stop(c *chatOut, reason StopReason) {
	if len(c.cites) > 0 { // in one delta: SDKs can't join lists of them
		e.start(c)
		e.w.annotations(c.cites)
		e.finish("", nil)
	}
	e.start(c)
	e.finish(chatFinish(reason, c.calls > 0, c.refused, e.r.Legacy), nil)
}

func (e *chatEncoder) end() {
	w := &e.w
	if e.r.IncludeUsage && e.counted {
		e.head()
		w.endArr()
		w.key("usage")
		w.b = appendChatUsage(w.b, e.usage)
		w.endObj()
		w.b = append(w.b, "\n\n"...)
	}
	w.b = append(w.b, "data: [DONE]\n\n"...)
}
