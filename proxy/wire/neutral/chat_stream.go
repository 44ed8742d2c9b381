package neutral

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// A chatDecoder reads the chunks of one stream. Servers of this API part their
// replies in many ways: several deltas in a chunk, none, calls whole or in
// pieces, side by side or one after the other. It makes parts of them that
// open and close in order.
type chatDecoder struct {
	id      string
	begun   bool
	ended   bool
	choices []*chatDecoding
}

// A chatDecoding is one choice on its way.
type chatDecoding struct {
	index   int
	next    int // part index
	open    int // index of the open part that is no call; -1: none
	kind    Kind
	thought string          // which of the details the open part is of
	plain   strings.Builder // the open part's words, if it is reasoning
	calls   []*chatOpenCall
	made    int                       // calls so far
	held    []func(emit func(*Event)) // what came between the pieces of calls
	audio   *chatSound
	refused bool
	stopped bool
}

// chatSound is audio on its way.
type chatSound struct {
	id, transcript string
	expires        jsontext.Value
	data           []byte // decoded
}

// Event reads one chunk.
func (d *chatDecoder) Event(_ string, data []byte, emit func(*Event)) error {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || d.ended {
		return nil
	}
	if bytes.HasPrefix(data, []byte("[DONE]")) {
		d.end(emit)
		return nil
	}
	var c chatReply
	if err := decode(data, &c); err != nil {
		return err
	}
	if given(c.Error) || c.Object == "error" || c.Groq != nil && c.Groq.Error != "" {
		f := wire.ReadFailure(0, data)
		if f.Message == "" && c.Groq != nil {
			f.Message = c.Groq.Error
		}
		emit(&Event{Kind: Fault, Failure: &f})
		return nil
	}
	d.begin(&c, emit)
	for i := range c.Choices {
		d.choice(&c.Choices[i], emit)
	}
	if raw := c.usage(); raw != nil {
		emit(&Event{Kind: Count, Usage: wire.ReadUsage(wire.Chat, raw)})
	}
	return nil
}

// begin tells the start with the first chunk that is of the reply itself:
// Azure sends one before it that has neither id nor choices.
func (d *chatDecoder) begin(c *chatReply, emit func(*Event)) {
	if d.begun {
		return
	}
	if c.ID == "" && len(c.Choices) == 0 && c.usage() == nil {
		emit(&Event{Kind: Keepalive})
		return
	}
	d.begun, d.id = true, string(c.ID)
	emit(&Event{Kind: Begin, ID: d.id, Model: c.Model, Created: c.created(), Tier: c.ServiceTier})
}

func (d *chatDecoder) choice(c *chatChoice, emit func(*Event)) {
	s := d.at(c.Index)
	if s == nil {
		return
	}
	m := c.Delta
	if m == nil {
		m = c.Message // some servers end with the whole message
		if m != nil && s.next > 0 {
			m = nil
		}
	}
	if m != nil && !s.stopped {
		s.delta(m, d.id, emit)
	}
	if given(c.Logprobs) {
		emit(&Event{Kind: LogprobsDelta, Choice: s.index, Logprobs: c.Logprobs})
	}
	if c.FinishReason == "" || s.stopped {
		return
	}
	e := Event{Kind: Stop, Choice: s.index, RawStop: c.FinishReason}
	s.finish(d.id, emit)
	e.Reason = chatStop(c.FinishReason, s.made > 0, s.refused)
	if text, ok := textOf(c.StopReason); ok && text != "" && e.Reason == StopEnd {
		e.Reason, e.StopSeq = StopSequence, text
	}
	emit(&e)
}

// maxChoices bounds what a broken index can make us keep.
const maxChoices = 256

// at is the state of a choice; nil for an index that no server sends.
func (d *chatDecoder) at(index int) *chatDecoding {
	for _, s := range d.choices {
		if s.index == index {
			return s
		}
	}
	if index < 0 || len(d.choices) >= maxChoices {
		return nil
	}
	s := &chatDecoding{index: index, open: -1}
	d.choices = append(d.choices, s)
	return s
}

// End tells the end of a stream whose choices have all finished: many servers
// send no terminator. One that broke off has no end.
func (d *chatDecoder) End(emit func(*Event)) {
	if d.ended || len(d.choices) == 0 {
		return
	}
	for _, s := range d.choices {
		if !s.stopped {
			return
		}
	}
	d.end(emit)
}

// end closes what is open and tells the end.
func (d *chatDecoder) end(emit func(*Event)) {
	for _, s := range d.choices {
		if s.stopped {
			continue
		}
		s.finish(d.id, emit)
		emit(&Event{Kind: Stop, Choice: s.index, Reason: chatStop("", s.made > 0, s.refused)})
	}
	if !d.begun {
		emit(&Event{Kind: Begin})
	}
	d.ended = true
	emit(&Event{Kind: End})
}

// delta reads what one chunk adds to a choice, in the order in which a
// message has it: reasoning, words, calls.
func (s *chatDecoding) delta(m *chatMessage, reply string, emit func(*Event)) {
	worded := s.details(m.ReasoningDetails, emit)
	if text := m.reasoning(); text != "" && !worded {
		s.say(Thinking, text, emit)
	}
	s.content(&m.Content, emit)
	if m.Refusal != "" {
		s.say(Refusal, m.Refusal, emit)
	}
	if cites := chatCites(m.Annotations); cites != nil {
		s.cite(cites, emit)
	}
	for i := range m.Images {
		if p := m.Images[i].shown(); p.Media != nil {
			s.whole(p, emit)
		}
	}
	if m.Audio != nil {
		s.hear(m.Audio)
	}
	for i := range m.ToolCalls {
		s.call(&m.ToolCalls[i], reply, emit)
	}
	if f := m.FunctionCall; f != nil {
		s.call(&chatCall{Index: new(int), Function: f}, reply, emit)
	}
}

func (s *chatDecoding) content(c *chatContent, emit func(*Event)) {
	if c.text != "" {
		s.say(Text, c.text, emit)
	}
	for i := range c.parts {
		switch p := &c.parts[i]; {
		case p.Type == "thinking":
			if text := p.Thinking.joined(); text != "" {
				s.say(Thinking, text, emit)
			}
		case p.Text != "":
			s.say(Text, p.Text, emit)
		case p.Refusal != "":
			s.say(Refusal, p.Refusal, emit)
		case p.ImageURL != nil:
			s.whole(p.shown(), emit)
		}
	}
}

// say adds text to the open part, or opens one.
func (s *chatDecoding) say(kind Kind, text string, emit func(*Event)) {
	if s.waits(emit) {
		s.held = append(s.held, func(emit func(*Event)) { s.say(kind, text, emit) })
		return
	}
	if s.open < 0 || s.kind != kind {
		p := Part{Kind: kind}
		if kind == Thinking {
			p.Thought = &Thought{From: Chat}
		}
		s.begin(&p, emit)
	}
	if kind == Thinking {
		s.plain.WriteString(text)
	}
	s.refused = s.refused || kind == Refusal
	emit(&Event{Kind: TextDelta, Choice: s.index, Index: s.open, Text: text})
}

// begin opens a part that is no call.
func (s *chatDecoding) begin(p *Part, emit func(*Event)) {
	s.shut(emit)
	s.open, s.kind = s.next, p.Kind
	s.next++
	s.plain.Reset()
	emit(&Event{Kind: Open, Choice: s.index, Index: s.open, Part: p})
}

// shut closes the open part that is no call.
func (s *chatDecoding) shut(emit func(*Event)) {
	if s.open >= 0 {
		emit(&Event{Kind: Close, Choice: s.index, Index: s.open})
	}
	s.open, s.thought = -1, ""
}

// whole tells a part that comes at once.
func (s *chatDecoding) whole(p Part, emit func(*Event)) {
	if s.waits(emit) {
		s.held = append(s.held, func(emit func(*Event)) { s.whole(p, emit) })
		return
	}
	s.begin(&p, emit)
	emit(&Event{Kind: Close, Choice: s.index, Index: s.open, Part: &p})
	s.open = -1
}

// cite adds citations to the text that is open, or to one of their own.
func (s *chatDecoding) cite(cites []Citation, emit func(*Event)) {
	if s.waits(emit) {
		s.held = append(s.held, func(emit func(*Event)) { s.cite(cites, emit) })
		return
	}
	if s.open < 0 || s.kind != Text {
		s.begin(&Part{Kind: Text}, emit)
	}
	emit(&Event{Kind: CiteDelta, Choice: s.index, Index: s.open, Part: &Part{Kind: Text, Cites: cites, From: Chat}})
}

// details reads pieces of reasoning with their seals; worded tells that some
// had text, which the plain member then only repeats.
func (s *chatDecoding) details(list []chatDetail, emit func(*Event)) (worded bool) {
	for i := range list {
		t, ok := list[i].thought()
		if !ok {
			continue
		}
		worded = worded || t.Text != ""
		s.detail(t, list[i].Type+"/"+strconv.Itoa(list[i].Index), emit)
	}
	return worded
}

// detail adds a piece of reasoning; key is the same for those of one thought.
// A seal that says again what the plain member has said is that thought's.
func (s *chatDecoding) detail(t Thought, key string, emit func(*Event)) {
	if s.waits(emit) {
		s.held = append(s.held, func(emit func(*Event)) { s.detail(t, key, emit) })
		return
	}
	again := s.open >= 0 && s.kind == Thinking && s.thought == "" && sealed(&t) && t.Text == s.plain.String()
	if !again && (s.open < 0 || s.kind != Thinking || s.thought != key) {
		s.begin(&Part{Kind: Thinking, Thought: &Thought{ID: t.ID, From: t.From, Summary: t.Summary, Format: t.Format}}, emit)
	}
	s.thought = key
	if t.Text != "" && !again {
		emit(&Event{Kind: TextDelta, Choice: s.index, Index: s.open, Text: t.Text})
	}
	if sealed(&t) {
		seal := Thought{ID: t.ID, Signature: t.Signature, Sealed: t.Sealed, From: t.From, Format: t.Format}
		emit(&Event{Kind: SealDelta, Choice: s.index, Index: s.open, Part: &Part{Kind: Thinking, Thought: &seal}})
	}
}

// hear collects audio, which is told as a whole at the end.
func (s *chatDecoding) hear(a *chatAudio) {
	if s.audio == nil {
		s.audio = &chatSound{}
	}
	if a.ID != "" {
		s.audio.id = a.ID
	}
	s.audio.transcript += a.Transcript
	if given(a.ExpiresAt) {
		s.audio.expires = a.ExpiresAt
	}
	piece, _ := base64.StdEncoding.DecodeString(a.Data)
	s.audio.data = append(s.audio.data, piece...)
}

// finish closes all of a choice.
func (s *chatDecoding) finish(reply string, emit func(*Event)) {
	for _, c := range s.calls {
		if !c.opened {
			s.openCall(c, reply, emit)
		}
	}
	for _, c := range s.calls {
		s.closeCall(c, emit)
	}
	s.waits(emit) // tells what waited for them
	if a := s.audio; a != nil {
		m := Media{FileID: a.id, Text: a.transcript, Extra: a.expires, Data: base64.StdEncoding.EncodeToString(a.data)}
		s.whole(Part{Kind: Audio, Media: &m}, emit)
	}
	s.shut(emit)
	s.stopped = true
}
