package wire

import (
	"encoding/binary"
	"math/bits"
)

// A longEvent is an event beyond maxEvent, which is read as it passes: its
// data goes to the scanner piece by piece and is not held.
type longEvent struct {
	open    bool
	part    linePart
	field   []byte // the line's field name, up to its colon
	name    []byte // value of the event line
	filled  bool   // the line has bytes
	afterCR bool   // the last byte was a CR: an LF belongs to it
	hasData bool
	broken  bool // the data is not JSON
	started bool // the first byte has been read
}

// A linePart is where in a line the next byte is.
type linePart uint8

const (
	inFieldName linePart = iota
	inDataValue
	inNameValue
	inOtherValue
)

// maxField bounds the field names and event types that are looked at.
const maxField = 64

// openLong begins to read an event as it passes. Since its bytes go on before
// it is understood, it is taken for content, and for one that may have an id.
func (s *Stream) openLong() {
	s.long = longEvent{open: true, field: s.long.field[:0], name: s.long.name[:0]}
	s.content, s.sawID, s.overlong = true, true, true
	s.event = event{lines: idle(s.event.lines)}
	s.facts.reset(s.api, &s.read)
	s.scan.reset(&s.facts)
}

// passLong reads p up to the end of the long event, which it closes, and
// returns how many bytes belong to it.
func (s *Stream) passLong(p []byte) int {
	l := &s.long
	i := 0
	if !l.started && len(p) >= len(byteOrderMark) && string(p[:len(byteOrderMark)]) == byteOrderMark {
		i = len(byteOrderMark)
	}
	l.started = true
	for i < len(p) {
		if l.afterCR {
			l.afterCR = false
			if p[i] == '\n' {
				i++
				continue
			}
		}
		n := lineRun(p[i:])
		if n > 0 {
			l.filled = true
			s.linePart(p[i : i+n])
		}
		if i += n; i == len(p) {
			break
		}
		l.afterCR = p[i] == '\r'
		i++
		if !l.filled {
			s.closeLong()
			return i
		}
		s.endLine()
	}
	return i
}

// linePart reads some bytes of a line.
func (s *Stream) linePart(p []byte) {
	l := &s.long
	for l.part == inFieldName && len(p) > 0 {
		c := p[0]
		p = p[1:]
		if c == ':' {
			s.beginValue()
		} else if len(l.field) < maxField {
			l.field = append(l.field, c)
		}
	}
	switch l.part {
	case inDataValue:
		l.broken = l.broken || s.scan.feed(p) != nil
	case inNameValue:
		l.name = append(l.name, p[:min(len(p), maxField-len(l.name))]...)
	}
}

// beginValue is at the colon after a field's name.
func (s *Stream) beginValue() {
	l := &s.long
	switch string(l.field) {
	case "data":
		l.part = inDataValue
		if l.hasData {
			l.broken = l.broken || s.scan.feed([]byte("\n")) != nil
		}
		l.hasData = true
	case "event":
		l.part, l.name = inNameValue, l.name[:0]
	default:
		l.part = inOtherValue
	}
}

func (s *Stream) endLine() {
	l := &s.long
	if l.part == inFieldName {
		s.beginValue() // a name without a colon has an empty value
	}
	l.part, l.field, l.filled = inFieldName, l.field[:0], false
}

// closeLong is at the end of the long event.
func (s *Stream) closeLong() {
	l := &s.long
	if !l.open {
		return
	}
	l.open = false
	if !l.hasData {
		return
	}
	if l.broken || s.scan.close() != nil {
		s.see()
		return
	}
	name := l.name
	if len(name) > 0 && name[0] == ' ' {
		name = name[1:]
	}
	s.judge(name)
}

// lineRun returns the length of p's prefix without line ends, eight bytes at a
// time; see asciiRun.
func lineRun(p []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		lf, cr := w^(ones*'\n'), w^(ones*'\r')
		if stop := ((lf-ones)&^lf | (cr-ones)&^cr) & highs; stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	for ; i < len(p) && p[i] != '\n' && p[i] != '\r'; i++ {
	}
	return i
}
