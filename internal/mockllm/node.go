package mockllm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

type kind byte

const (
	absent kind = iota
	null
	boolean
	number
	text
	array
	object
)

// A node is a JSON value. Members keep their order, numbers their spelling.
type node struct {
	kind kind
	key  string // of a member
	raw  string // as it was written
	text string // of a string, decoded
	kids []node
}

var none node

// get returns the member, the last one of that name, or an absent node.
func (n *node) get(key string) *node {
	if n.kind != object {
		return &none
	}
	for i := len(n.kids) - 1; i >= 0; i-- {
		if n.kids[i].key == key {
			return &n.kids[i]
		}
	}
	return &none
}

// in walks down members.
func (n *node) in(keys ...string) *node {
	for _, k := range keys {
		n = n.get(k)
	}
	return n
}

// either returns the first member that is there, of several spellings.
func (n *node) either(keys ...string) *node {
	for _, k := range keys {
		if m := n.get(k); m.kind != absent {
			return m
		}
	}
	return &none
}

func (n *node) has(key string) bool {
	k := n.get(key).kind
	return k != absent && k != null
}

func (n *node) isTrue() bool { return n.kind == boolean && n.raw == "true" }

func (n *node) int(otherwise int) int {
	if n.kind != number {
		return otherwise
	}
	f, err := strconv.ParseFloat(n.raw, 64)
	if err != nil {
		return otherwise
	}
	return int(f)
}

func (n *node) float(otherwise float64) float64 {
	if n.kind != number {
		return otherwise
	}
	f, err := strconv.ParseFloat(n.raw, 64)
	if err != nil {
		return otherwise
	}
	return f
}

func (n *node) isInt() bool {
	return n.kind == number && !strings.ContainsAny(n.raw, ".eE")
}

// items are the elements of an array, or the value itself as the only one.
func (n *node) items() []node {
	switch n.kind {
	case array:
		return n.kids
	case absent, null:
		return nil
	}
	return []node{*n}
}

// maxDepth is how deep a body may nest. Vendors stop earlier or later; none
// takes thousands.
const maxDepth = 500

type parser struct {
	s     string
	at    int
	depth int
}

// parse reads one JSON text.
func parse(s string) (node, error) {
	p := parser{s: s}
	p.space()
	var n node
	if err := p.value(&n); err != nil {
		return node{}, err
	}
	p.space()
	if p.at < len(s) {
		return node{}, p.bad("something follows the value")
	}
	return n, nil
}

func (p *parser) bad(why string) error {
	return fmt.Errorf("%s at byte %d", why, p.at)
}

func (p *parser) space() {
	for p.at < len(p.s) {
		switch p.s[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) value(n *node) error {
	if p.at >= len(p.s) {
		return p.bad("the text ends early")
	}
	start := p.at
	var err error
	switch c := p.s[p.at]; {
	case c == '{':
		err = p.object(n)
	case c == '[':
		err = p.array(n)
	case c == '"':
		n.kind = text
		n.text, err = p.string()
	case c == '-' || c >= '0' && c <= '9':
		n.kind = number
		err = p.number()
	default:
		err = p.word(n)
	}
	n.raw = p.s[start:p.at]
	return err
}

func (p *parser) word(n *node) error {
	rest := p.s[p.at:]
	switch {
	case strings.HasPrefix(rest, "true"):
		n.kind, p.at = boolean, p.at+4
	case strings.HasPrefix(rest, "false"):
		n.kind, p.at = boolean, p.at+5
	case strings.HasPrefix(rest, "null"):
		n.kind, p.at = null, p.at+4
	default:
		return p.bad("an unexpected character")
	}
	return nil
}

func (p *parser) enter() error {
	p.at++
	if p.depth++; p.depth > maxDepth {
		return p.bad("it nests too deep")
	}
	p.space()
	return nil
}

// more steps over a comma, or reports the end of the list.
func (p *parser) more(end byte) (bool, error) {
	p.space()
	if p.at >= len(p.s) {
		return false, p.bad("the text ends early")
	}
	switch p.s[p.at] {
	case end:
		p.at++
		p.depth--
		return false, nil
	case ',':
		p.at++
		p.space()
		return true, nil
	}
	return false, p.bad("a comma is missing")
}

func (p *parser) ends(end byte) bool {
	if p.at < len(p.s) && p.s[p.at] == end {
		p.at++
		p.depth--
		return true
	}
	return false
}

func (p *parser) array(n *node) error {
	n.kind = array
	if err := p.enter(); err != nil || p.ends(']') {
		return err
	}
	for {
		var kid node
		if err := p.value(&kid); err != nil {
			return err
		}
		n.kids = append(n.kids, kid)
		if more, err := p.more(']'); err != nil || !more {
			return err
		}
	}
}

func (p *parser) object(n *node) error {
	n.kind = object
	if err := p.enter(); err != nil || p.ends('}') {
		return err
	}
	for {
		if p.at >= len(p.s) || p.s[p.at] != '"' {
			return p.bad("a member's name is missing")
		}
		var kid node
		key, err := p.string()
		if err != nil {
			return err
		}
		p.space()
		if p.at >= len(p.s) || p.s[p.at] != ':' {
			return p.bad("a colon is missing")
		}
		p.at++
		p.space()
		if err := p.value(&kid); err != nil {
			return err
		}
		kid.key = key
		n.kids = append(n.kids, kid)
		if more, err := p.more('}'); err != nil || !more {
			return err
		}
	}
}

func (p *parser) digits() int {
	from := p.at
	for p.at < len(p.s) && p.s[p.at] >= '0' && p.s[p.at] <= '9' {
		p.at++
	}
	return p.at - from
}

func (p *parser) number() error {
	if p.s[p.at] == '-' {
		p.at++
	}
	zero := p.at < len(p.s) && p.s[p.at] == '0'
	if n := p.digits(); n == 0 || zero && n > 1 {
		return p.bad("a number is malformed")
	}
	if p.at < len(p.s) && p.s[p.at] == '.' {
		p.at++
		if p.digits() == 0 {
			return p.bad("a number is malformed")
		}
	}
	if p.at < len(p.s) && (p.s[p.at] == 'e' || p.s[p.at] == 'E') {
		p.at++
		if p.at < len(p.s) && (p.s[p.at] == '+' || p.s[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			return p.bad("a number is malformed")
		}
	}
	return nil
}

func (p *parser) string() (string, error) {
	p.at++
	start, escaped := p.at, false
	for p.at < len(p.s) {
		switch c := p.s[p.at]; {
		case c == '"':
			body := p.s[start:p.at]
			p.at++
			if !escaped {
				return body, nil
			}
			s, err := unescape(body)
			if err != nil {
				return "", p.bad(err.Error())
			}
			return s, nil
		case c == '\\':
			escaped = true
			p.at += 2
		case c < ' ':
			return "", p.bad("a control character is in a string")
		default:
			p.at++
		}
	}
	p.at = len(p.s)
	return "", p.bad("a string has no end")
}

var errEscape = errors.New("an escape is malformed")

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func unescape(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		if s[i] != 'u' {
			c, ok := escapes[s[i]]
			if !ok {
				return "", errEscape
			}
			b = append(b, c)
			continue
		}
		r, ok := hex4(s, i+1)
		if !ok {
			return "", errEscape
		}
		i += 4
		if utf16.IsSurrogate(r) && strings.HasPrefix(s[i+1:], `\u`) {
			if low, ok := hex4(s, i+3); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					r, i = pair, i+6
				}
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b), nil
}

func hex4(s string, at int) (rune, bool) {
	if at+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[at:at+4], 16, 32)
	return rune(n), err == nil
}
