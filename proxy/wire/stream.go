package wire

import "bytes"

// StreamOptions say how a Stream treats what it reads.
type StreamOptions struct {
	// StripUsage takes out the chunk that holds nothing but usage, since it
	// was asked for on behalf of a client that did not ask.
	StripUsage bool
}

// maxEvent bounds one event. A Responses stream ends with an event that holds
// the whole output, pictures included.
const maxEvent = 16 << 20

// A Stream reads server-sent events as they pass and lets whole ones go. How
// the bytes are cut into pieces changes nothing of what it says.
type Stream struct {
	api   API
	opts  StreamOptions
	read  Reading
	facts facts
	scan  scanner

	held   []byte // an event that has begun
	gone   int    // bytes of held that the last Feed let go
	out    []byte // what is let go, where something was stripped
	began  bool   // some bytes have been read
	over   bool   // an event over maxEvent is passing unread
	events int    // that a user would see

	content, done, finished, sawID bool

	// Of the event being read:
	name     []byte
	data     []byte
	hasData  bool
	joined   []byte // data of several lines
	stripped bool
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
		api: api, opts: o, held: s.held[:0], out: s.out[:0], joined: s.joined[:0],
		read: Reading{Text: s.read.Text[:0]}, scan: s.scan,
	}
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

// SawID reports whether an event had an id: after it, a comment between
// events would be taken for an event by some clients.
func (s *Stream) SawID() bool { return s.sawID }

// Held returns the bytes of the event that has begun and not ended.
func (s *Stream) Held() []byte { return s.held[s.gone:] }

// Reading returns what the stream has said so far. It is valid until the next
// Feed.
func (s *Stream) Reading() Reading {
	r := s.read
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
	if s.over {
		return s.passOver(p)
	}
	if len(s.held) == 0 {
		n, out := s.whole(p)
		s.held = append(s.held, p[n:]...)
		return s.bounded(out)
	}
	s.held = append(s.held, p...)
	n, out := s.whole(s.held)
	s.gone = n
	return s.bounded(out)
}

// End says that the stream has ended, which also ends an event whose last
// line end was a bare CR. It returns what may still go on.
func (s *Stream) End() []byte {
	if rest := s.Held(); len(rest) > 0 && rest[len(rest)-1] == '\r' {
		return s.Feed([]byte("\n"))[:len(rest)]
	}
	return nil
}

// bounded lets go of an event that is too long to be held.
func (s *Stream) bounded(out []byte) []byte {
	if len(s.held)-s.gone <= maxEvent {
		return out
	}
	s.over, s.content = true, true
	s.out = append(append(s.out[:0], out...), s.held[s.gone:]...)
	s.held, s.gone = s.held[:0], 0
	return s.out
}

// passOver lets an overlong event pass unread, to its end.
func (s *Stream) passOver(p []byte) []byte {
	// The last three bytes are kept beside, since the blank line may be cut.
	tail := len(s.held)
	s.held = append(s.held, p...)
	end := -1
	for _, mark := range []string{"\n\n", "\n\r\n", "\r\r"} {
		if i := bytes.Index(s.held, []byte(mark)); i >= 0 && (end < 0 || i+len(mark) < end) {
			end = i + len(mark)
		}
	}
	if end < 0 {
		s.held = append(s.held[:0], s.held[max(len(s.held)-3, 0):]...)
		return p
	}
	s.over = false
	head := p[:end-tail]
	rest := append([]byte(nil), p[end-tail:]...)
	s.held = s.held[:0]
	return append(append([]byte(nil), head...), s.Feed(rest)...)
}

// whole reads the whole events at the start of w. It returns the length of
// them and what of them goes on.
func (s *Stream) whole(w []byte) (end int, out []byte) {
	at, cut := 0, false
	if !s.began && len(w) > 0 {
		if len(w) < 3 && bytes.HasPrefix([]byte("\xef\xbb\xbf"), w) {
			return 0, nil // the rest of a byte order mark may follow
		}
		if bytes.HasPrefix(w, []byte("\xef\xbb\xbf")) {
			at = 3
		}
	}
	s.clearEvent()
	for {
		line, next := cutLine(w, at)
		if next < 0 {
			break
		}
		at = next
		if len(line) > 0 {
			s.line(line)
			continue
		}
		s.began = true
		if s.dispatch() {
			if !cut {
				s.out, cut = append(s.out[:0], w[:end]...), true
			}
		} else if cut {
			s.out = append(s.out, w[end:at]...)
		}
		end = at
		s.clearEvent()
	}
	if cut {
		return end, s.out
	}
	return end, w[:end]
}

func (s *Stream) clearEvent() {
	s.name, s.data, s.hasData, s.joined = nil, nil, false, s.joined[:0]
}

// cutLine finds the line that begins at at, and where the next one begins;
// next is -1 where the line is not whole yet. A line ends with LF, CRLF or CR.
func cutLine(w []byte, at int) (line []byte, next int) {
	rest := w[at:]
	lf := bytes.IndexByte(rest, '\n')
	seg := rest
	if lf >= 0 {
		seg = rest[:lf]
	}
	cr := bytes.IndexByte(seg, '\r')
	switch {
	case cr >= 0 && cr == len(seg)-1 && lf >= 0:
		return seg[:cr], at + lf + 1
	case cr >= 0 && cr < len(seg)-1:
		return seg[:cr], at + cr + 1
	case lf >= 0:
		return seg, at + lf + 1
	}
	return nil, -1 // a CR at the very end may be half of a CRLF
}

// line reads one field, by the HTML standard's "Server-sent events".
func (s *Stream) line(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(name) {
	case "data":
		switch {
		case !s.hasData:
			s.data, s.hasData = value, true
		default:
			if len(s.joined) == 0 {
				s.joined = append(s.joined, s.data...)
			}
			s.joined = append(append(s.joined, '\n'), value...)
			s.data = s.joined
		}
	case "event":
		s.name = value
	case "id":
		s.sawID = true
	}
}

// dispatch reads a whole event and reports whether it is to be taken out.
func (s *Stream) dispatch() (strip bool) {
	data := bytes.TrimSpace(s.data)
	if len(data) == 0 {
		return false
	}
	if bytes.HasPrefix(data, []byte("[DONE]")) {
		s.done = true
		return false
	}
	s.facts.reset(s.api, &s.read)
	s.scan.reset(&s.facts)
	if s.scan.feed(data) != nil || s.scan.close() != nil {
		s.see() // not ours to judge: it passes, as something
		return false
	}
	s.judge(s.kindOf())
	usageOnly := s.facts.hasUsage && s.facts.choices == 0 && !s.facts.content && s.read.Err == nil
	return s.opts.StripUsage && usageOnly && (s.api == Chat || s.api == Completions)
}

func (s *Stream) see() {
	s.content = true
	s.events++
}

// kindOf is the event's type: the data's own, else the event line's.
func (s *Stream) kindOf() string {
	if s.facts.kind != "" {
		return s.facts.kind
	}
	return string(s.name)
}

// judge draws the conclusions from one event's facts.
func (s *Stream) judge(kind string) {
	f := &s.facts
	if failure := f.failure(); failure != nil && (kind == "error" || kind == "response.failed" || f.kind == "" || f.errRaw != nil) {
		s.read.Err = failure
		return
	}
	if f.finished {
		s.finished = true
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
	}
	if visible {
		s.see()
	}
}

func (s *Stream) judgeResponses(kind string) (visible bool) {
	switch kind {
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		s.done, s.finished = true, true
		if kind == "response.failed" && s.read.Err == nil {
			s.read.Err = &Failure{Status: 500, Message: "The upstream's response failed."}
		}
		return true
	case "response.created", "response.queued", "response.in_progress", "response.content_part.added",
		"response.reasoning_summary_part.added", "keepalive", "ping", "":
		s.finished = false
		return false
	case "response.output_item.added":
		return s.facts.itemKind != "message" && s.facts.itemKind != "reasoning"
	}
	return true
}

func (s *Stream) judgeMessages(kind string) (visible bool) {
	switch kind {
	case "message_start", "ping", "content_block_stop":
		s.finished = false
		return false
	case "message_stop":
		s.done = true
		return false
	case "content_block_start":
		return s.facts.itemKind != "text" && s.facts.itemKind != "thinking"
	}
	return true
}
