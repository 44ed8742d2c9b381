package wire

import (
	"bytes"

	"weir/costs"
)

// StreamOptions say how a Stream treats what it reads.
type StreamOptions struct {
	// StripUsage takes out the chunk that holds nothing but usage, since it
	// was asked for on behalf of a client that did not ask.
	StripUsage bool
	// Whole holds events up to MaxWholeEvent, since they are to be understood
	// and written anew.
	Whole bool
}

// maxEvent bounds what is held of an event. A longer one, such as the end of a
// Responses stream with pictures in it, is read as it passes.
const maxEvent = 1 << 20

// MaxWholeEvent bounds, in bytes, what is held of an event that is to be
// understood: one with a picture in it has several MB.
const MaxWholeEvent = 16 << 20

// maxIdle bounds the buffers that a Stream or Reply keeps for its next use.
const maxIdle = 64 << 10

// A Stream reads server-sent events as they pass and lets whole ones go. How
// the bytes are cut into pieces changes nothing of what it says. It holds at
// most maxEvent bytes and a piece, or MaxWholeEvent.
type Stream struct {
	api     API
	opts    StreamOptions
	read    Reading
	facts   facts
	scan    scanner
	pattern pattern

	held   []byte // an event that has begun
	gone   int    // bytes of held that the last Feed let go
	out    []byte // what is let go, where that is not one run of bytes
	began  bool   // a byte order mark can come no more
	events int    // that a user would see
	event  event  // that has begun
	long   longEvent

	content, done, finished, sawID bool
	ending, cutOff                 bool // End is under way; it found an event that is not whole
	overlong                       bool // an event was longer than what is held
}

// An event is what has been read of one. Offsets are from its first byte.
type event struct {
	line    int // where the line being read begins
	look    int // up to where that line has no end
	name    Span
	data    Span
	hasData bool
	joined  bool // data has several lines and is in Stream.joined
	lines   []byte
}

// NewStream returns a Stream for an API's events.
func NewStream(api API, o StreamOptions) *Stream {
	s := &Stream{}
	s.Reset(api, o)
	return s
}

// Reset makes the stream ready for another reply.
func (s *Stream) Reset(api API, o StreamOptions) {
	*s = Stream{
		api: api, opts: o, held: idle(s.held), out: idle(s.out), event: event{lines: idle(s.event.lines)},
		read: Reading{Text: idle(s.read.Text)}, scan: s.scan, facts: s.facts,
		pattern: pattern{text: s.pattern.text[:0], name: s.pattern.name[:0]},
	}
	s.scan.kept = idle(s.scan.kept)
	s.facts.flavour = costs.FlavourOf("", api.String(), nil)
	s.facts.extras.reset()
}

// SetVendor says whose stream it is (a price book's provider id; "": unknown),
// and which model was asked: vendors count in ways of their own. It is called
// before the first Feed.
func (s *Stream) SetVendor(vendor, model string) {
	s.facts.flavour = costs.FlavourOf(vendor, s.api.String(), nil).For(model)
}

// idle empties a buffer, and lets go of a large one.
func idle(p []byte) []byte {
	if cap(p) > maxIdle {
		return nil
	}
	return p[:0]
}

// Content reports whether an event that a user would see has come. Roles,
// message_start, pings and empty choices are none.
func (s *Stream) Content() bool { return s.content }

// Events is the number of such events.
func (s *Stream) Events() int { return s.events }

// Done reports whether the stream's terminator has come.
func (s *Stream) Done() bool { return s.done }

// Finished reports whether a stop reason has come.
func (s *Stream) Finished() bool { return s.finished }

// Failed returns the error that the upstream told in the stream, or nil.
func (s *Stream) Failed() *Failure { return s.read.Err }

// Overlong reports whether an event was longer than what is held of one, so
// that pieces of it went on.
func (s *Stream) Overlong() bool { return s.overlong }

// limit is how many bytes of an event are held.
func (s *Stream) limit() int {
	if s.opts.Whole {
		return MaxWholeEvent
	}
	return maxEvent
}

// SawID reports whether an event had an id: after it, a comment between
// events would be taken for an event by some clients.
func (s *Stream) SawID() bool { return s.sawID }

// Held returns the bytes of the event that has begun and not ended. They have
// not been let go.
func (s *Stream) Held() []byte { return s.held[s.gone:] }

// Reading returns what the stream has said so far. It is valid until the next
// Feed.
func (s *Stream) Reading() Reading {
	r := s.facts.consumed(s.read)
	r.Final = r.HasUsage && (s.done || s.finished && s.api != Messages)
	return r
}

// Feed reads the next piece and returns what may go on: whole events, byte
// for byte. The result is valid until the next Feed.
func (s *Stream) Feed(p []byte) []byte {
	if s.gone > 0 {
		s.held = s.held[:copy(s.held, s.held[s.gone:])]
		s.gone = 0
	}
	passed := 0
	if s.long.open {
		if passed = s.passLong(p); s.long.open {
			return p
		}
	}
	if len(s.held) > 0 {
		s.held = append(s.held, p...)
		end, cut := s.whole(s.held, nil)
		s.gone = end
		return s.bounded(s.held[:end], cut)
	}
	end, cut := s.whole(p[passed:], p[:passed])
	s.held = append(s.held, p[passed+end:]...)
	return s.bounded(p[:passed+end], cut)
}

// bounded returns what goes on: out, or s.out where something was cut from
// it, and with it an event that is too long to be held.
func (s *Stream) bounded(out []byte, cut bool) []byte {
	if cut {
		out = s.out
	}
	if len(s.held)-s.gone <= s.limit() {
		return out
	}
	if !cut {
		s.out = append(s.out[:0], out...)
	}
	s.openLong()
	s.passLong(s.held[s.gone:])
	s.out = append(s.out, s.held[s.gone:]...)
	s.held, s.gone = s.held[:0], 0
	return s.out
}

// End says that the stream has ended. It returns what may still go on: an
// event whose blank line never came, if its data is whole, with the line ends
// that it lacks where a further event may follow. What was cut off stays Held.
func (s *Stream) End() []byte {
	if s.long.open {
		s.closeLong()
		if s.done {
			return nil
		}
		return []byte("\n\n")
	}
	rest := len(s.Held())
	if rest == 0 {
		return nil
	}
	blank := s.event.line == rest-1 && s.held[len(s.held)-1] == '\r'
	s.held = append(s.held[s.gone:], "\n\n"...)
	s.gone, s.ending = 0, true
	_, cut := s.whole(s.held, nil)
	switch {
	case s.cutOff:
		s.held = s.held[:rest]
		return nil
	case cut:
		rest = 0
	case blank || s.done:
	case s.held[rest-1] == '\n':
		rest++
	default:
		rest += 2
	}
	out := s.held[:rest]
	s.gone = len(s.held)
	return out
}

// byteOrderMark may begin a stream, by the HTML standard.
const byteOrderMark = "\xef\xbb\xbf"

// whole reads the whole events at the start of w, and returns the length of
// them. Where some of it does not go on it reports true; what does is then in
// s.out, after head.
func (s *Stream) whole(w, head []byte) (end int, cut bool) {
	if !s.began {
		if len(w) < len(byteOrderMark) && string(w) == byteOrderMark[:len(w)] {
			return 0, false
		}
		s.began = true
		if bytes.HasPrefix(w, []byte(byteOrderMark)) {
			s.event.line, s.event.look = len(byteOrderMark), len(byteOrderMark)
		}
	}
	e := &s.event
	for {
		ev := w[end:]
		to, next := cutLine(ev, e.look)
		if next < 0 {
			e.look = to
			return end, cut
		}
		if to > e.line {
			s.field(ev, e.line, to)
			e.line, e.look = next, next
			continue
		}
		strip := s.dispatch(ev[:next])
		if strip && !cut {
			cut = true
			s.out = append(append(s.out[:0], head...), w[:end]...)
		} else if cut && !strip {
			s.out = append(s.out, ev[:next]...)
		}
		end += next
		*e = event{lines: e.lines[:0]}
	}
}

// cutLine finds the end of the line in w that has none before look, and where
// the next line begins. next is -1 where the line is not whole; to is then the
// new look: a CR at the very end may be half of a CRLF.
func cutLine(w []byte, look int) (to, next int) {
	to = look + lineRun(w[look:])
	switch {
	case to == len(w):
		return to, -1
	case w[to] == '\n':
		return to, to + 1
	case to+1 == len(w):
		return to, -1
	case w[to+1] == '\n':
		return to, to + 2
	}
	return to, to + 1
}

// field reads one line of an event, by the HTML standard's "Server-sent events".
func (s *Stream) field(ev []byte, from, to int) {
	e := &s.event
	name, value, _ := bytes.Cut(ev[from:to], []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	at := Span{int64(to - len(value)), int64(to)}
	switch string(name) {
	case "data":
		if !e.hasData {
			e.data, e.hasData = at, true
			return
		}
		if !e.joined {
			e.joined = true
			e.lines = append(e.lines[:0], ev[e.data.Start:e.data.End]...)
		}
		e.lines = append(append(e.lines, '\n'), value...)
	case "event":
		e.name = at
	case "id":
		s.sawID = true
	}
}

// dispatch reads a whole event and reports whether it is to be taken out.
func (s *Stream) dispatch(ev []byte) (strip bool) {
	e := &s.event
	if len(ev) > s.limit() && !s.ending {
		s.openLong()
		s.passLong(ev)
		s.closeLong()
		return false
	}
	data := ev[e.data.Start:e.data.End]
	if e.joined {
		data = e.lines
	}
	data = trimSpace(data)
	name := ev[e.name.Start:e.name.End]
	switch {
	case len(data) == 0:
		return false
	case bytes.HasPrefix(data, []byte("[DONE]")):
		s.done = true
		return false
	case s.ending && !isJSON(data):
		s.cutOff = true
		return false
	case s.repeat(name, data):
		return false
	}
	return s.readData(name, data)
}

// readData reads an event's data in full.
func (s *Stream) readData(name, data []byte) (strip bool) {
	f := &s.facts
	f.reset(s.api, &s.read)
	s.scan.reset(f)
	if s.scan.feed(data) != nil || s.scan.close() != nil {
		s.see() // not ours to judge: it passes, as something
		return false
	}
	seen := s.events
	s.judge(name)
	s.learn(name, data, s.events > seen)
	usageOnly := f.hasUsage && f.hasChoices && f.choices == 0 && !f.content && f.errRaw == nil
	return s.opts.StripUsage && usageOnly && (s.api == Chat || s.api == Completions)
}

func (s *Stream) see() {
	s.content = true
	s.events++
}

// judge draws the conclusions from one event's facts. Its type is the data's
// own, else that of the event line.
func (s *Stream) judge(name []byte) {
	f := &s.facts
	kind := f.kind
	if len(kind) == 0 {
		kind = name
	}
	if failure := f.failure(string(kind)); failure != nil {
		if s.read.Err == nil {
			s.read.Err = failure
		}
		s.done = s.done || string(kind) == "response.failed"
		return
	}
	s.finished = s.finished || f.finished
	if bytes.HasSuffix(kind, []byte("audio.delta")) {
		f.dropText()
	}
	visible := f.content
	switch s.api {
	case Responses:
		visible = s.judgeResponses(kind)
	case Messages:
		visible = s.judgeMessages(kind)
	case Generate, StreamGenerate:
		s.done = s.done || f.finished
	case Chat, Completions:
	default:
		visible = true
		switch string(kind) {
		case "image_generation.completed", "image_edit.completed":
			s.facts.more().images++
			s.done, s.finished = true, true
		case "transcript.text.done", "speech.audio.done":
			s.done, s.finished = true, true
		}
	}
	if visible {
		s.see()
	}
}

func (s *Stream) judgeResponses(kind []byte) (visible bool) {
	switch string(kind) {
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		s.done, s.finished = true, true
		if string(kind) == "response.failed" && s.read.Err == nil {
			s.read.Err = &Failure{Status: 500, Message: "The upstream's response failed."}
		}
		return true
	case "response.created", "response.queued", "response.in_progress", "response.content_part.added",
		"response.reasoning_summary_part.added", "keepalive", "ping", "":
		return false
	case "response.output_item.done":
		s.facts.itemDone()
	case "response.output_item.added":
		return string(s.facts.itemKind) != "message" && string(s.facts.itemKind) != "reasoning"
	case "response.output_text.delta", "response.refusal.delta", "response.reasoning_text.delta",
		"response.reasoning_summary_text.delta":
		return s.facts.content
	}
	return true
}

func (s *Stream) judgeMessages(kind []byte) (visible bool) {
	item := string(s.facts.itemKind)
	switch string(kind) {
	case "message_start", "ping", "content_block_stop", "":
		return false
	case "message_stop":
		s.done = true
		return false
	case "content_block_start":
		return item != "text" && item != "thinking"
	case "content_block_delta":
		return s.facts.content || item != "text_delta" && item != "thinking_delta"
	}
	return true
}

// trimSpace takes JSON's white space off both ends.
func trimSpace(p []byte) []byte {
	for len(p) > 0 && isSpace(p[0]) {
		p = p[1:]
	}
	for len(p) > 0 && isSpace(p[len(p)-1]) {
		p = p[:len(p)-1]
	}
	return p
}
