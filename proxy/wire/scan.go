package wire

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// A SyntaxError says where a text stops being JSON that we accept. Its
// message names no content and is safe to show.
type SyntaxError struct {
	Offset int64 // bytes before the fault
	Msg    string
	Unfit  bool // it is JSON, but not what a request may say
}

// Error returns the message and the place.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Msg, e.Offset) }

// maxDepth is how deep arrays and objects may nest, as in encoding/json.
const maxDepth = 10_000

// A valueKind is the sort of a JSON value, by its first byte.
type valueKind byte

const (
	kindObject valueKind = '{'
	kindArray  valueKind = '['
	kindString valueKind = '"'
	kindNumber valueKind = '0'
	kindTrue   valueKind = 't'
	kindFalse  valueKind = 'f'
	kindNull   valueKind = 'n'
)

// A visitor is told of every value of a text, containers included.
type visitor interface {
	// begin is called at a value's first byte and returns how many of its
	// bytes it wants to have at its end; 0: none. Inside a value that is
	// being kept already, the answer is ignored.
	begin(s *scanner, kind valueKind) (keep int)
	// end is called after a value's last byte. raw is the value as written,
	// nil where it was not kept or was longer than asked for. An error stops
	// the scan.
	end(s *scanner, kind valueKind, span Span, raw []byte) error
}

// A frame is one open object or array.
type frame struct {
	kind  valueKind
	key   key   // of the member being read; an array has that of the member it is the value of
	start int64 // offset of the bracket
}

// A scanner reads one JSON text in pieces of any size, validates it as
// encoding/json does (and bad UTF-8 besides), and tells a visitor of every
// value. It keeps nothing of the text but what the visitor asks for. Its zero
// value with a visitor is ready.
type scanner struct {
	v     visitor
	state scanState
	stack []frame
	off   int64 // offset of the next byte
	err   error

	start    int64  // of the scalar or key being read
	isKey    bool   // the string being read is a member's name
	escaped  bool   // the string being read has an escape
	name     []byte // the last member's name, without escapes, up to maxName bytes
	nameCut  bool   // and that is not all of it
	keyStart int64  // offset of the last member's name
	hex      int    // hex digits of \uXXXX still to come
	literal  string // rest of true, false or null
	litKind  valueKind
	rune     [utf8.UTFMax]byte // a rune cut by the end of a piece
	runeLen  int
	runeAt   int64 // its offset

	piece     []byte // the piece being read
	base      int64  // its offset
	keepDepth int    // len(stack) at the value being kept, plus one; 0: none
	keepStart int64
	keepMax   int
	kept      []byte // what earlier pieces held of it
}

// maxName bounds the member names that are told apart.
const maxName = 64

type scanState uint8

const (
	wantValue    scanState = iota
	wantFirst              // a value or ]
	wantFirstKey           // a name or }
	wantKey                // a name
	wantColon              // :
	wantNext               // , or the closing bracket
	inString               // between the quotes
	inEscape               // after a backslash
	inHex                  // \uXXXX
	inLiteral              // true, false, null
	afterMinus             // -
	afterZero              // 0
	inInteger              // digits
	afterDot               // .
	inFraction             // digits after the dot
	afterE                 // e
	afterESign             // e+
	inExponent             // digits after e
	scanDone               // the text is whole; only space may follow
)

// reset makes the scanner ready for another text.
func (s *scanner) reset(v visitor) {
	*s = scanner{v: v, stack: s.stack[:0], name: s.name[:0], kept: s.kept[:0]}
}

// depth is the number of open objects and arrays.
func (s *scanner) depth() int { return len(s.stack) }

// key is the name of the innermost member being read.
func (s *scanner) key() key {
	if len(s.stack) == 0 {
		return keyNone
	}
	return s.stack[len(s.stack)-1].key
}

func (s *scanner) fail(at int64, msg string) error {
	s.err = &SyntaxError{Offset: at, Msg: msg}
	return s.err
}

// feed reads the next piece. The scanner does not hold on to it.
func (s *scanner) feed(p []byte) error {
	if s.err != nil {
		return s.err
	}
	s.piece, s.base = p, s.off
	for i := 0; i < len(p); {
		n, err := s.take(p[i:], s.base+int64(i))
		if err != nil {
			return err
		}
		i += n
	}
	s.off = s.base + int64(len(p))
	if s.keepDepth > 0 && len(s.kept) <= s.keepMax {
		part := s.since(s.off)
		s.kept = append(s.kept, part[:min(len(part), s.keepMax+1-len(s.kept))]...) // one more byte says that it is too long
	}
	s.piece, s.base = nil, s.off
	return nil
}

// since returns the part of the kept value that is in this piece, up to end.
func (s *scanner) since(end int64) []byte {
	return s.piece[max(s.keepStart, s.base)-s.base : end-s.base]
}

// keptUpTo returns the kept value, which ends at end; nil where it is longer
// than asked for.
func (s *scanner) keptUpTo(end int64) []byte {
	if end-s.keepStart > int64(s.keepMax) {
		return nil
	}
	raw := s.since(end)
	if s.keepStart < s.base {
		s.kept = append(s.kept, raw...)
		raw = s.kept
	}
	return raw
}

// take reads the start of p, which is not empty, and returns how many bytes it
// took: none where the first one ended a number and is to be read once more.
// What lies whole in the piece is read at once; the rest goes byte by byte.
func (s *scanner) take(p []byte, at int64) (int, error) {
	switch s.state {
	case inString:
		return s.inside(p, at)
	case wantColon:
		if p[0] == ':' {
			s.state = wantValue
			return 1, nil
		}
	case wantValue:
		switch p[0] {
		case '"':
			return s.wholeString(p, at)
		case 't', 'f', 'n':
			return s.wholeLiteral(p, at)
		}
	case wantFirstKey, wantKey:
		if p[0] == '"' {
			return s.wholeName(p, at)
		}
	case inInteger:
		if n := digits(p); n > 0 {
			return n, nil
		}
	}
	took, err := s.step(p[0], at)
	if took {
		return 1, err
	}
	return 0, err
}

// wholeName reads a member's name, and the colon that follows, at once where
// it is short, plain, and in one piece.
func (s *scanner) wholeName(p []byte, at int64) (int, error) {
	n := 1 + asciiRun(p[1:])
	if n > maxName || n >= len(p) || p[n] != '"' {
		return 1, s.memberName('"', at)
	}
	s.keyStart, s.nameCut = at, false
	s.name = append(s.name[:0], p[1:n]...)
	s.stack[len(s.stack)-1].key = lookupKey(p[1:n])
	s.state = wantColon
	if n+1 < len(p) && p[n+1] == ':' {
		s.state = wantValue
		return n + 2, nil
	}
	return n + 1, nil
}

// wholeString reads a string value at once where it is plain and in one piece.
func (s *scanner) wholeString(p []byte, at int64) (int, error) {
	if err := s.value('"', at); err != nil {
		return 1, err
	}
	n := 1 + asciiRun(p[1:])
	if n < len(p) && p[n] == '"' {
		return n + 1, s.endValue(kindString, at, at+int64(n)+1)
	}
	return n, nil
}

// wholeLiteral reads true, false or null at once where it is in one piece.
func (s *scanner) wholeLiteral(p []byte, at int64) (int, error) {
	if err := s.value(p[0], at); err != nil {
		return 1, err
	}
	if n := len(s.literal); len(p) > n && string(p[1:1+n]) == s.literal {
		return 1 + n, s.endValue(s.litKind, at, at+int64(n)+1)
	}
	return 1, nil
}

func digits(p []byte) int {
	for i, c := range p {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(p)
}

// close says that the text has ended.
func (s *scanner) close() error {
	if s.err != nil {
		return s.err
	}
	if isNumberEnd(s.state) && len(s.stack) == 0 {
		return s.endValue(kindNumber, s.start, s.off)
	}
	if s.state != scanDone {
		return s.fail(s.off, "the text ends too early")
	}
	return nil
}

func isNumberEnd(state scanState) bool {
	return state == afterZero || state == inInteger || state == inFraction || state == inExponent
}

// step reads one byte outside of a string's plain text. It reports false
// where the byte ended a number and is to be read once more.
func (s *scanner) step(c byte, at int64) (took bool, err error) {
	switch s.state {
	case inEscape:
		return true, s.escape(c, at)
	case inHex:
		return true, s.hexDigit(c, at)
	case inLiteral:
		return true, s.literalByte(c, at)
	case afterMinus, afterZero, inInteger, afterDot, inFraction, afterE, afterESign, inExponent:
		return s.number(c, at)
	}
	if isSpace(c) {
		return true, nil
	}
	switch s.state {
	case wantFirst:
		if c == ']' {
			return true, s.pop(kindArray, at)
		}
		return true, s.value(c, at)
	case wantValue:
		return true, s.value(c, at)
	case wantFirstKey, wantKey:
		return true, s.memberName(c, at)
	case wantColon:
		if c != ':' {
			return true, s.fail(at, "expected a colon after a member's name")
		}
		s.state = wantValue
		return true, nil
	case wantNext:
		return true, s.next(c, at)
	}
	return true, s.fail(at, "expected nothing more after the value")
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func (s *scanner) memberName(c byte, at int64) error {
	switch {
	case c == '"':
		s.isKey, s.escaped, s.keyStart, s.name, s.nameCut = true, false, at, s.name[:0], false
		s.state = inString
		return nil
	case c == '}' && s.state == wantFirstKey:
		return s.pop(kindObject, at)
	}
	return s.fail(at, "expected a member's name")
}

func (s *scanner) next(c byte, at int64) error {
	top := s.stack[len(s.stack)-1].kind
	switch {
	case c == ',' && top == kindObject:
		s.state = wantKey
	case c == ',':
		s.state = wantValue
	case c == '}' && top == kindObject, c == ']' && top == kindArray:
		return s.pop(top, at)
	case top == kindObject:
		return s.fail(at, "expected a comma or a closing brace")
	default:
		return s.fail(at, "expected a comma or a closing bracket")
	}
	return nil
}

// value reads a value's first byte.
func (s *scanner) value(c byte, at int64) error {
	kind := valueKind(c)
	switch c {
	case '{', '[', '"':
	case 't':
		s.literal = "rue"
	case 'f':
		s.literal = "alse"
	case 'n':
		s.literal = "ull"
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		kind = kindNumber
	default:
		return s.fail(at, "expected a value")
	}
	if keep := s.v.begin(s, kind); keep > 0 && s.keepDepth == 0 {
		s.keepDepth, s.keepStart, s.keepMax, s.kept = len(s.stack)+1, at, keep, s.kept[:0]
	}
	switch kind {
	case kindObject, kindArray:
		return s.push(kind, at)
	case kindString:
		s.isKey, s.escaped, s.state = false, false, inString
	case kindNumber:
		s.state = numberStart(c)
	default:
		s.litKind, s.state = kind, inLiteral
	}
	s.start = at
	return nil
}

func (s *scanner) push(kind valueKind, at int64) error {
	if len(s.stack) >= maxDepth {
		return s.fail(at, "arrays and objects are nested too deep")
	}
	f := frame{kind: kind, start: at}
	if kind == kindArray {
		f.key, s.state = s.key(), wantFirst
	} else {
		s.state = wantFirstKey
	}
	s.stack = append(s.stack, f)
	return nil
}

func (s *scanner) pop(kind valueKind, at int64) error {
	start := s.stack[len(s.stack)-1].start
	s.stack = s.stack[:len(s.stack)-1]
	return s.endValue(kind, start, at+1)
}

// endValue tells the visitor of a whole value.
func (s *scanner) endValue(kind valueKind, start, end int64) error {
	s.state = wantNext
	if len(s.stack) == 0 {
		s.state = scanDone
	}
	var raw []byte
	if s.keepDepth == len(s.stack)+1 {
		raw = s.keptUpTo(end)
		s.keepDepth = 0
	}
	if err := s.v.end(s, kind, Span{start, end}, raw); err != nil {
		s.err = err
		return err
	}
	return nil
}

func (s *scanner) literalByte(c byte, at int64) error {
	if c != s.literal[0] {
		return s.fail(at, "expected true, false or null")
	}
	if s.literal = s.literal[1:]; s.literal != "" {
		return nil
	}
	return s.endValue(s.litKind, s.start, at+1)
}

func numberStart(c byte) scanState {
	switch c {
	case '-':
		return afterMinus
	case '0':
		return afterZero
	}
	return inInteger
}

// number reads a number's second and further bytes, by RFC 8259 §6.
func (s *scanner) number(c byte, at int64) (took bool, err error) {
	digit := c >= '0' && c <= '9'
	switch {
	case digit && (s.state == inInteger || s.state == inFraction || s.state == inExponent):
	case digit && s.state == afterMinus:
		s.state = numberStart(c)
	case digit && s.state == afterDot:
		s.state = inFraction
	case digit && (s.state == afterE || s.state == afterESign):
		s.state = inExponent
	case c == '.' && (s.state == afterZero || s.state == inInteger):
		s.state = afterDot
	case (c == 'e' || c == 'E') && (s.state == afterZero || s.state == inInteger || s.state == inFraction):
		s.state = afterE
	case (c == '+' || c == '-') && s.state == afterE:
		s.state = afterESign
	case isNumberEnd(s.state):
		return false, s.endValue(kindNumber, s.start, at)
	default:
		return true, s.fail(at, "expected a digit")
	}
	return true, nil
}

func (s *scanner) escape(c byte, at int64) error {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.state = inString
		if s.isKey {
			s.addName(c)
		}
		return nil
	case 'u':
		s.state, s.hex = inHex, 4
		if s.isKey {
			s.addName('u')
		}
		return nil
	}
	return s.fail(at, "unknown escape in a string")
}

func (s *scanner) hexDigit(c byte, at int64) error {
	if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
		return s.fail(at, "expected four hex digits after \\u")
	}
	if s.isKey {
		s.addName(c)
	}
	if s.hex--; s.hex == 0 {
		s.state = inString
	}
	return nil
}

// addName collects a member's name as it is written, escapes included.
func (s *scanner) addName(p ...byte) {
	if room := 6*maxName - len(s.name); len(p) > room {
		p, s.nameCut = p[:room], true
	}
	s.name = append(s.name, p...)
}

// inside reads a string's plain text up to its end or its next escape, and
// returns how many bytes it took.
func (s *scanner) inside(p []byte, at int64) (int, error) {
	n, err := s.plain(p, at)
	if s.isKey && n > 0 {
		s.addName(p[:n]...)
	}
	if err != nil || n == len(p) {
		return n, err
	}
	if s.runeLen > 0 {
		return n, s.fail(s.runeAt, "a string holds bytes that are not UTF-8")
	}
	switch c := p[n]; {
	case c == '\\':
		s.escaped, s.state = true, inEscape
		if s.isKey {
			s.addName('\\')
		}
		return n + 1, nil
	case c == '"':
		return n + 1, s.endString(at + int64(n) + 1)
	}
	return n, s.fail(at+int64(n), "a string holds a control character that is not escaped")
}

func (s *scanner) endString(end int64) error {
	if !s.isKey {
		return s.endValue(kindString, s.start, end)
	}
	if s.escaped {
		s.name = unquote(s.name[:0:0], s.name)
	}
	s.stack[len(s.stack)-1].key = lookupKey(s.name)
	s.state = wantColon
	return nil
}

// plain returns the length of p's prefix that is text of a string: valid
// UTF-8 without quotes, backslashes and control characters.
func (s *scanner) plain(p []byte, at int64) (int, error) {
	i := 0
	for i < len(p) {
		if s.runeLen > 0 {
			n, err := s.joinRune(p[i:])
			if i += n; err != nil || s.runeLen > 0 {
				return i, err
			}
			continue
		}
		i += asciiRun(p[i:])
		if i == len(p) || p[i] < utf8.RuneSelf {
			return i, nil
		}
		r, size := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && size == 1 {
			if utf8.FullRune(p[i:]) {
				return i, s.fail(at+int64(i), "a string holds bytes that are not UTF-8")
			}
			s.runeLen, s.runeAt = copy(s.rune[:], p[i:]), at+int64(i)
			return len(p), nil
		}
		i += size
	}
	return i, nil
}

// joinRune completes a rune that the end of the last piece has cut.
func (s *scanner) joinRune(p []byte) (int, error) {
	for n, c := range p {
		s.rune[s.runeLen] = c
		s.runeLen++
		if !utf8.FullRune(s.rune[:s.runeLen]) {
			continue
		}
		r, size := utf8.DecodeRune(s.rune[:s.runeLen])
		if r == utf8.RuneError && size == 1 || size != s.runeLen {
			return n, s.fail(s.runeAt, "a string holds bytes that are not UTF-8")
		}
		s.runeLen = 0
		return n + 1, nil
	}
	return len(p), nil
}

// asciiRun returns the length of p's prefix of plain ASCII string text, eight
// bytes at a time. Of the bytes that stop it the lowest in a word is marked
// truly; a borrow may mark others above it.
func asciiRun(p []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		if stop := ((w - ones*0x20) | (quote-ones)&^quote | (slash-ones)&^slash | w) & highs; stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	for ; i < len(p); i++ {
		if c := p[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// isJSON reports whether a text is JSON that the scanner accepts.
func isJSON(p []byte) bool {
	s := scanner{v: nobody{}}
	return s.feed(p) == nil && s.close() == nil
}

// nobody is a visitor that wants nothing.
type nobody struct{}

func (nobody) begin(*scanner, valueKind) int               { return 0 }
func (nobody) end(*scanner, valueKind, Span, []byte) error { return nil }
