package neutral

import "strings"

// Tool calls of a stream. OpenAI gives each call an index, and its id and name
// with the first piece only. Others give all of them the index 0 and whole
// calls (Ollama), or repeat the id (Mistral) or the name, or have no index, or no id.

// A chatOpenCall is a call whose arguments come.
type chatOpenCall struct {
	key    int // the server's index
	part   int
	id     string
	opened bool
	closed bool
	call   ToolCall
	args   strings.Builder // before it is open
	got    bool            // some arguments have come
	object objectEnd
}

// call reads one piece of a call.
func (s *chatDecoding) call(x *chatCall, reply string, emit func(*Event)) {
	piece := x.call()
	if x.Index != nil && *x.Index < 0 {
		return
	}
	c := s.callOf(x, piece)
	if c == nil {
		c = &chatOpenCall{key: s.made}
		if x.Index != nil {
			c.key = *x.Index
		}
		c.call.Custom = piece.Custom
		s.calls = append(s.calls, c)
		s.made++
	}
	c.learn(piece)
	c.object.feed(piece.Args)
	if !c.opened {
		c.args.WriteString(piece.Args)
		if c.call.Name != "" {
			s.openCall(c, reply, emit)
		}
	} else {
		s.args(c, piece, emit)
	}
	if x.Function != nil && x.Function.Arguments.whole && c.opened {
		s.closeCall(c, emit)
	}
}

// callOf is the call that a piece belongs to; nil: a new one.
func (s *chatDecoding) callOf(x *chatCall, piece *ToolCall) *chatOpenCall {
	for i := len(s.calls) - 1; i >= 0; i-- {
		c := s.calls[i]
		if x.Index != nil && c.key != *x.Index {
			continue
		}
		switch {
		case c.closed && piece.Name != "": // whole calls, one after the other
			return nil
		case piece.ID != "" && c.id != "" && piece.ID != c.id:
			if piece.Name != "" {
				return nil
			}
			if x.Index == nil {
				continue
			}
		case piece.ID == "" && c.id == "" && piece.Name != "" && c.got && piece.Name != c.call.Name:
			return nil
		case piece.ID != "" && c.id == "" && c.got && piece.Name != "":
			return nil
		}
		return c
	}
	return nil
}

// learn takes what a piece says of the call.
func (c *chatOpenCall) learn(piece *ToolCall) {
	if c.id == "" {
		c.id = piece.ID
	}
	if c.call.Name == "" {
		c.call.Name = piece.Name
	}
	if !c.opened && piece.Signature != "" {
		c.call.Signature, c.call.From = piece.Signature, piece.From
	}
	c.got = c.got || piece.Args != ""
}

// openCall tells a call's start, and the arguments that have come before its name.
func (s *chatDecoding) openCall(c *chatOpenCall, reply string, emit func(*Event)) {
	s.shut(emit)
	s.waits(emit) // closes those that are complete
	c.opened, c.part = true, s.next
	s.next++
	call := c.call
	call.ID = c.id
	if call.ID == "" {
		call.ID = madeCallID(reply, s.index, s.ordinal(c))
	}
	emit(&Event{Kind: Open, Choice: s.index, Index: c.part, Part: &Part{Kind: Call, Call: &call}})
	if c.args.Len() > 0 {
		emit(&Event{Kind: ArgsDelta, Choice: s.index, Index: c.part, Text: c.args.String()})
	}
}

// ordinal is a call's place among those of its choice.
func (s *chatDecoding) ordinal(c *chatOpenCall) int {
	for i := range s.calls {
		if s.calls[i] == c {
			return i
		}
	}
	return 0
}

func (s *chatDecoding) args(c *chatOpenCall, piece *ToolCall, emit func(*Event)) {
	if c.closed {
		return
	}
	if piece.Args != "" {
		emit(&Event{Kind: ArgsDelta, Choice: s.index, Index: c.part, Text: piece.Args})
	}
	if piece.Signature != "" {
		seal := ToolCall{Signature: piece.Signature, From: piece.From}
		emit(&Event{Kind: SealDelta, Choice: s.index, Index: c.part, Part: &Part{Kind: Call, Call: &seal}})
	}
}

func (s *chatDecoding) closeCall(c *chatOpenCall, emit func(*Event)) {
	if c.opened && !c.closed {
		emit(&Event{Kind: Close, Choice: s.index, Index: c.part})
	}
	c.closed = true
}

// waits closes the calls whose arguments are complete, and reports whether one
// is still open: what else is said waits for it then, as parts don't overlap.
func (s *chatDecoding) waits(emit func(*Event)) bool {
	open := false
	for _, c := range s.calls {
		if c.opened && (c.object.done || c.call.Custom && c.got) {
			s.closeCall(c, emit)
		}
		open = open || !c.closed
	}
	if !open && len(s.held) > 0 {
		held := s.held
		s.held = nil
		for _, tell := range held {
			tell(emit)
		}
	}
	return open
}

// An objectEnd finds the end of a JSON object in pieces of its text.
type objectEnd struct {
	depth                int
	inString, esc, begun bool
	done                 bool
}

func (o *objectEnd) feed(text string) {
	for i := 0; i < len(text) && !o.done; i++ {
		switch c := text[i]; {
		case o.esc:
			o.esc = false
		case o.inString:
			o.esc, o.inString = c == '\\', c != '"'
		case c == '"':
			o.inString = true
		case c == '{':
			o.depth++
			o.begun = true
		case c == '}':
			o.depth--
			o.done = o.begun && o.depth <= 0
		}
	}
}
