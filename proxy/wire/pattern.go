package wire

import (
	"bytes"
	"unicode/utf8"
)

// A pattern is the last event that brought text, with holes where the next
// one of its kind will differ. Most events of a stream are alike but for
// their text; one that fits the pattern says what the last one said, with the
// text that is in the holes, and need not be parsed.
type pattern struct {
	text    []byte // the data; empty: no pattern
	name    []byte // value of the event line
	holes   [maxHoles]hole
	n       int
	visible bool
}

type hole struct {
	kind     holeKind
	from, to int
}

type holeKind uint8

const (
	holeText     holeKind = iota // a string that is output of the model
	holeString                   // a string without meaning
	holeSequence                 // a sequence_number
)

const (
	maxHoles   = 4
	maxPattern = 4 << 10
)

// addHole notes a place of the text being read for the pattern.
func (f *facts) addHole(kind holeKind, span Span) {
	if f.nHoles < maxHoles {
		f.holes[f.nHoles] = hole{kind, int(span.Start), int(span.End)}
	}
	f.nHoles++
}

// learn makes an event the pattern, if to repeat it with another text would
// change nothing but the text, the sequence number and the count of events.
func (s *Stream) learn(name, data []byte, visible bool) {
	f := &s.facts
	if !f.hasText || f.nHoles > maxHoles || len(data) > maxPattern || f.hasUsage || f.finished || f.isError() || f.base != 0 || f.dropped {
		return
	}
	p := &s.pattern
	p.text, p.name = append(p.text[:0], data...), append(p.name[:0], name...)
	p.holes, p.n, p.visible = f.holes, f.nHoles, visible
}

// repeat reads an event that fits the pattern, and reports whether it does.
func (s *Stream) repeat(name, data []byte) bool {
	p := &s.pattern
	if len(p.text) == 0 || !bytes.Equal(name, p.name) {
		return false
	}
	var values [maxHoles][]byte
	at, from := 0, 0
	for i, h := range p.holes[:p.n] {
		if !bytes.HasPrefix(data[at:], p.text[from:h.from]) {
			return false
		}
		at, from = at+h.from-from, h.to
		n := h.kind.match(data[at:])
		if n == 0 {
			return false
		}
		values[i] = data[at : at+n]
		at += n
	}
	if !bytes.Equal(data[at:], p.text[from:]) {
		return false
	}
	for i, h := range p.holes[:p.n] {
		switch h.kind {
		case holeText:
			s.facts.output(values[i])
		case holeSequence:
			s.read.Sequence = integer(values[i])
		}
	}
	if p.visible {
		s.see()
	}
	return true
}

// match returns the length of the value at the start of p that fills the
// hole; 0 where none does. An empty text is no text, so it does not fit.
func (k holeKind) match(p []byte) int {
	if k == holeSequence {
		n := digits(p)
		if n == 0 || n > 15 || n > 1 && p[0] == '0' {
			return 0
		}
		return n
	}
	n := stringLen(p)
	if k == holeText && n == 2 {
		return 0
	}
	return n
}

// stringLen returns the length of the JSON string at the start of p, quotes
// included; 0 where there is none.
func stringLen(p []byte) int {
	if len(p) < 2 || p[0] != '"' {
		return 0
	}
	for i := 1; i < len(p); {
		i += asciiRun(p[i:])
		if i >= len(p) {
			return 0
		}
		switch c := p[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			n := escapeLen(p[i:])
			if n == 0 {
				return 0
			}
			i += n
		case c < utf8.RuneSelf:
			return 0
		default:
			r, n := utf8.DecodeRune(p[i:])
			if r == utf8.RuneError && n == 1 {
				return 0
			}
			i += n
		}
	}
	return 0
}

// escapeLen returns the length of the escape at the start of p, or 0.
func escapeLen(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	switch p[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(p[2:]); ok {
			return 6
		}
	}
	return 0
}
