package costs

import (
	"bytes"
	"math/bits"
)

// A node is a place in a usage object that some flavour reads: the path of
// member names from the root, as pathNode made it. nodeRoot is the object
// itself; nodeNone is every place that nobody reads.
type node uint8

const (
	nodeNone node = iota
	nodeRoot
)

// maxNodes bounds the places that the flavours name; pathNode checks it.
const maxNodes = 192

// found is what a usage object says, by place. Counts are in the unit of
// their place's kind. It is filled by one walk over the text that allocates
// nothing and checks the structure of what it reads and, of the rest, that
// brackets match and strings end: usage comes out of a reply that was
// validated as it passed. (One struct holds the walk and its result: with two
// of them the compiler would put the result on the heap.)
type found struct {
	has   [maxNodes / 64]uint64 // bit n set: count[n] or text[…] is there
	count [maxNodes]int64
	text  [maxTexts][]byte // words without quotes, decimals as written
	list  []byte           // the iterations, as written
	bad   bool             // some count is no whole number, negative or beyond belief

	unread [maxNodes / 64]uint64 // bit n set: what stands at n is no count

	p  []byte // the text, and the offset of the byte to be read next
	at int

	entry struct { // of a list, being read
		selector []byte
		count    int64
		counted  bool
	}
}

func (f *found) set(n node)     { f.has[n/64] |= 1 << (n % 64) }
func (f *found) clear(n node)   { f.has[n/64] &^= 1 << (n % 64) }
func (f *found) is(n node) bool { return f.has[n/64]&(1<<(n%64)) != 0 }

// first returns the first of some places that is there.
func (f *found) first(places places) (int64, bool) {
	for _, n := range places {
		if n == nodeNone {
			break
		}
		if f.is(n) {
			return f.count[n], true
		}
	}
	return 0, false
}

// garbled reports whether there is something at one of some places that cannot be read.
func (f *found) garbled(places places) bool {
	for _, n := range places {
		if n != nodeNone && f.unread[n/64]&(1<<(n%64)) != 0 {
			return true
		}
	}
	return false
}

func (f *found) garble(n node) { f.unread[n/64] |= 1 << (n % 64) }

// hasAny reports whether one of some places is there.
func (f *found) hasAny(places places) bool {
	_, ok := f.first(places)
	return ok
}

// word returns the text of a place; nil where there is none.
func (f *found) word(n node) []byte {
	if !f.is(n) {
		return nil
	}
	return f.text[nodes[n].text]
}

// maxScanDepth bounds the nesting inside of places that flavours name.
const maxScanDepth = 8

// read fills f from a usage object and reports whether it is one.
func (f *found) read(raw []byte) bool {
	f.p, f.at = raw, 0
	f.space()
	if f.peek() != '{' || !f.object(nodeRoot, 0) {
		return false
	}
	f.space()
	return f.at == len(f.p)
}

func (f *found) peek() byte {
	if f.at < len(f.p) {
		return f.p[f.at]
	}
	return 0
}

func (f *found) space() {
	for f.at < len(f.p) && (f.p[f.at] == ' ' || f.p[f.at] == '\n' || f.p[f.at] == '\t' || f.p[f.at] == '\r') {
		f.at++
	}
}

// byte takes c, with the space before it.
func (f *found) byte(c byte) bool {
	f.space()
	if f.peek() != c {
		return false
	}
	f.at++
	return true
}

// object reads an object at a place that flavours read.
func (f *found) object(at node, depth int) bool {
	f.at++ // the brace
	if f.byte('}') {
		return true
	}
	for {
		f.space()
		name, ok := f.str()
		if !ok || !f.byte(':') {
			return false
		}
		f.space()
		if !f.value(child(at, name), depth+1) {
			return false
		}
		if f.byte('}') {
			return true
		}
		if !f.byte(',') {
			return false
		}
	}
}

// value reads the value of a member.
func (f *found) value(at node, depth int) bool {
	start := f.at
	switch c := f.peek(); {
	case at == nodeNone || depth > maxScanDepth:
		return f.skip()
	case c == '{':
		return f.object(at, depth)
	case c == '[' && nodes[at].list:
		return f.entries(at, depth)
	case c == '"':
		word, ok := f.str()
		if ok && nodes[at].kind == kindWord {
			f.keep(at, word)
		} else {
			f.garble(at)
		}
		return ok
	case !f.skip():
		return false
	case c == '[' && nodes[at].kind == kindIterations:
		f.list = f.p[start:f.at]
		f.set(at)
	case c == '-' || c >= '0' && c <= '9':
		f.number(at, f.p[start:f.at])
	case c == 't' && nodes[at].kind == kindFlag:
		f.set(at)
	case c != 'n': // null says nothing
		f.garble(at)
	}
	return true
}

// entries reads a list of objects that each say what they count and how much.
func (f *found) entries(list node, depth int) bool {
	for _, n := range nodes[list].entries {
		f.clear(n.node)
	}
	f.at++ // the bracket
	if f.byte(']') {
		return true
	}
	for {
		f.entry.selector, f.entry.counted = nil, false
		f.space()
		if f.peek() != '{' {
			if !f.skip() {
				return false
			}
		} else if !f.object(list, depth+1) {
			return false
		}
		f.addEntry(list)
		if f.byte(']') {
			return true
		}
		if !f.byte(',') {
			return false
		}
	}
}

// addEntry adds an entry's count to the place that its selector names.
func (f *found) addEntry(list node) {
	if !f.entry.counted {
		return
	}
	for _, e := range nodes[list].entries {
		if len(e.selector) == len(f.entry.selector) && bytes.EqualFold([]byte(e.selector), f.entry.selector) {
			if !f.is(e.node) {
				f.count[e.node] = 0
			}
			f.count[e.node] = plus(f.count[e.node], f.entry.count)
			f.set(e.node)
			return
		}
	}
}

func (f *found) keep(at node, text []byte) {
	switch n := &nodes[at]; n.role {
	case roleSelector:
		f.entry.selector = text
	default:
		f.text[n.text] = text
		f.set(at)
	}
}

// maxCount is the largest count that is believed; sums of a few such do not overflow.
const maxCount = 1 << 53

// number takes a number as its place's kind wants it. One that is no count
// leaves its place unknown.
func (f *found) number(at node, raw []byte) {
	n := &nodes[at]
	if n.kind == kindDecimal {
		f.text[n.text] = raw
		f.set(at)
		return
	}
	if raw[0] == '-' {
		if c, ok := decimal(raw[1:], 0, true); !ok || c != 0 {
			f.bad = true
			f.garble(at)
			return
		}
		raw = raw[1:]
	}
	c, ok := decimal(raw, int(n.kind.scale()), n.kind.rounds())
	switch {
	case !ok || c > maxCount:
		f.bad = true
		f.garble(at)
	case n.role == roleCount:
		f.entry.count, f.entry.counted = c, true
	default:
		f.count[at] = c
		f.set(at)
	}
}

// str reads a string and returns what is between its quotes, escapes and all.
func (f *found) str() ([]byte, bool) {
	if f.peek() != '"' {
		return nil, false
	}
	start := f.at + 1
	for i := start; i < len(f.p); i++ {
		switch f.p[i] {
		case '"':
			f.at = i + 1
			return f.p[start:i], true
		case '\\':
			i++
		}
	}
	return nil, false
}

// skip passes over one value of any kind.
func (f *found) skip() bool {
	switch c := f.peek(); c {
	case '"':
		_, ok := f.str()
		return ok
	case '{', '[':
		return f.skipNested()
	case 0, '}', ']', ',', ':':
		return false
	}
	for f.at < len(f.p) && !isDelimiter(f.p[f.at]) {
		f.at++
	}
	return true
}

func isDelimiter(c byte) bool {
	switch c {
	case ',', '}', ']', ' ', '\n', '\t', '\r', ':', '"', '{', '[':
		return true
	}
	return false
}

// skipNested passes over an object or array: to the bracket that closes it.
func (f *found) skipNested() bool {
	for depth := 0; f.at < len(f.p); {
		switch f.p[f.at] {
		case '"':
			if _, ok := f.str(); !ok {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				f.at++
				return true
			}
		}
		f.at++
	}
	return false
}

// decimal returns a JSON number that is not negative, times 10^scale, as an
// integer. What is left of it is rounded to the even neighbour, or refused.
func decimal(raw []byte, scale int, round bool) (int64, bool) {
	mantissa, exp, ok := mantissaOf(raw)
	if !ok {
		return 0, false
	}
	return shift(mantissa, exp+scale, round)
}

// shift returns mantissa × 10^exp, as decimal does.
func shift(mantissa uint64, exp int, round bool) (int64, bool) {
	if mantissa == 0 {
		return 0, true
	}
	for ; exp > 0; exp-- {
		hi, lo := bits.Mul64(mantissa, 10)
		if hi != 0 || lo > 1<<62 {
			return 0, false
		}
		mantissa = lo
	}
	if exp < -19 {
		return 0, round
	}
	unit := uint64(1)
	for ; exp < 0; exp++ {
		unit *= 10
	}
	whole, left := mantissa/unit, mantissa%unit
	switch half := unit / 2; {
	case left == 0:
	case !round:
		return 0, false
	case left > half, left == half && whole%2 == 1:
		whole++
	}
	return int64(whole), whole <= 1<<62
}

// mantissaOf splits a JSON number into digits and a power of ten. More digits
// than fit are cut off behind the point, and refused before it.
func mantissaOf(raw []byte) (mantissa uint64, exp int, ok bool) {
	const most = (1<<63 - 10) / 10
	i, digits, point := 0, 0, false
	for ; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '.' && !point && digits > 0:
			point = true
			continue
		case c < '0' || c > '9':
			if digits == 0 || c != 'e' && c != 'E' {
				return 0, 0, false
			}
			e, ok := exponentOf(raw[i+1:])
			return mantissa, exp + e, ok
		}
		digits++
		switch {
		case mantissa <= most:
			mantissa = mantissa*10 + uint64(c-'0')
			if point {
				exp--
			}
		case !point:
			return 0, 0, false
		}
	}
	return mantissa, exp, digits > 0
}

// exponentOf reads what follows the e of a number. Large ones are all alike.
func exponentOf(raw []byte) (exp int, ok bool) {
	negative := false
	if len(raw) > 0 && (raw[0] == '+' || raw[0] == '-') {
		negative, raw = raw[0] == '-', raw[1:]
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		exp = min(exp*10+int(c-'0'), 1000)
	}
	if negative {
		exp = -exp
	}
	return exp, len(raw) > 0
}

// ParseMicros returns a JSON number of seconds in microseconds, rounded to the
// nearest, and false for what is no number, negative or beyond belief.
func ParseMicros(seconds []byte) (int64, bool) { return parseTime(seconds, 6) }

// ParseMillis is ParseMicros of milliseconds.
func ParseMillis(milliseconds []byte) (micros int64, ok bool) { return parseTime(milliseconds, 3) }

func parseTime(raw []byte, digits int) (int64, bool) {
	n, ok := decimal(raw, digits, true)
	return n, ok && n <= maxCount
}
