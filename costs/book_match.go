package costs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A matcher says which names mean a model.
type matcher struct {
	op   matchOp
	text string
	re   *regexp.Regexp
	not  *regexp.Regexp // of a regex: what the name must not match
	list []matcher
}

type matchOp uint8

const (
	matchExact matchOp = iota + 1
	matchPrefix
	matchSuffix
	matchContains
	matchRegex
	matchAny
	matchAll
)

// rank is how specifically a matcher matches a lower-case name; 0 is not at
// all. An exact name is worth more than a pattern, a pattern more than a part
// of the name, a longer part more than a shorter one.
func (m *matcher) rank(name string) int {
	switch m.op {
	case matchExact:
		if name == m.text {
			return 3_000
		}
	case matchRegex:
		if m.re.MatchString(name) && (m.not == nil || !m.not.MatchString(name)) && sameTuning(name, m.text) {
			return 2_000
		}
	case matchPrefix:
		if rest, ok := strings.CutPrefix(name, m.text); ok && sameModel(name, m.text, rest) {
			return 1_000 + len(m.text)
		}
	case matchSuffix:
		if strings.HasSuffix(name, m.text) && sameTuning(name, m.text) {
			return 1_000 + len(m.text)
		}
	case matchContains:
		if _, rest, ok := strings.Cut(name, m.text); ok && sameModel(name, m.text, rest) {
			return 500 + len(m.text)
		}
	case matchAny:
		best := 0
		for i := range m.list {
			best = max(best, m.list[i].rank(name))
		}
		return best
	case matchAll:
		best := 0
		for i := range m.list {
			r := m.list[i].rank(name)
			if r == 0 {
				return 0
			}
			best = max(best, min(r, 1_999)) // a pattern that only excludes is not worth more than its prefix
		}
		return best
	}
	return 0
}

// exacts calls yield with the names that a matcher takes as they are.
func (m *matcher) exacts(yield func(string)) {
	switch m.op {
	case matchExact:
		yield(m.text)
	case matchAny:
		for i := range m.list {
			m.list[i].exacts(yield)
		}
	}
}

// fuzzy reports whether a matcher takes more than exact names.
func (m *matcher) fuzzy() bool {
	if m.op != matchAny {
		return m.op != matchExact
	}
	for i := range m.list {
		if m.list[i].fuzzy() {
			return true
		}
	}
	return false
}

// isTuned reports whether a name is that of a model which somebody has tuned:
// those cost more than the one that they were made of.
func isTuned(name string) bool {
	return strings.HasPrefix(name, "ft:") || strings.Contains(name, "/ft:") || strings.Contains(name, ":ft-") || strings.Contains(name, ".ft-")
}

func sameTuning(name, pattern string) bool { return !isTuned(name) || strings.Contains(pattern, "ft") }

// otherModels are the words that make another model of a name, at another price.
var otherModels = map[string]bool{
	"mini": true, "nano": true, "micro": true, "lite": true, "small": true, "medium": true, "large": true, "pro": true, "ultra": true, "max": true,
	"flash": true, "fast": true, "turbo": true, "image": true, "audio": true, "tts": true, "realtime": true, "live": true, "codex": true,
	"search": true, "vision": true, "transcribe": true, "diarize": true, "embedding": true, "embed": true, "research": true, "cyber": true,
	"extended": true, "sunburst": true, "flare": true, "native": true,
}

// sameModel reports whether a name that holds a family's part means that
// family: what follows the part may be a date or a word like preview, but not
// a further version number, a size, or a word that makes another model of it.
func sameModel(name, part, rest string) bool {
	if !sameTuning(name, part) {
		return false
	}
	if rest == "" {
		return true
	}
	if furtherNumber(part, rest) {
		return false
	}
	words := strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("-_@:/", r) })
	for i, w := range words {
		if otherModels[w] || isSize(w) {
			return false
		}
		if i == 0 && rest[0] == '-' && isVersion(words) {
			return false
		}
	}
	return true
}

// isVersion reports whether words after a family's part begin with a further
// version number, like the 5 after claude-opus-4, and not with a date: 06-17, 09-2025.
func isVersion(words []string) bool {
	if len(words[0]) > 2 || !allDigits(words[0]) {
		return false
	}
	isDate := len(words[0]) == 2 && len(words) > 1 && allDigits(words[1]) && (len(words[1]) == 2 || len(words[1]) == 4)
	return !isDate
}

// furtherNumber reports whether what follows a part goes on with its last
// number, so that it is another one: 4.10 is not 4.1. A year goes on with its
// month and day, and 0 with the digits of a revision: 001.
func furtherNumber(part, rest string) bool {
	n := 0
	for n < len(part) && isDigit(part[len(part)-1-n]) {
		n++
	}
	switch {
	case n == 0:
		return false
	case rest[0] == '.':
		return len(rest) > 1 && isDigit(rest[1])
	}
	return isDigit(rest[0]) && n < 4 && part[len(part)-n] != '0'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// isSize reports whether a word is a number of parameters: 8b, 1.5b.
func isSize(w string) bool {
	n, ok := strings.CutSuffix(w, "b")
	return ok && allDigits(strings.Replace(n, ".", "", 1))
}

// maxPattern bounds a regular expression in a price file.
const maxPattern = 500

// newRegex compiles a pattern of a price file. Go's expressions know no
// look-ahead; the one form that price files use, ^(?!…) at the beginning, is
// taken apart.
func newRegex(pattern string) (matcher, error) {
	m := matcher{op: matchRegex, text: pattern}
	if len(pattern) > maxPattern {
		return m, fmt.Errorf("a pattern of %d characters", len(pattern))
	}
	var err error
	if rest, ok := strings.CutPrefix(pattern, "^(?!"); ok {
		end := closing(rest)
		if end < 0 {
			return m, errors.New("a bracket that isn't closed")
		}
		if m.not, err = regexp.Compile("^(?:" + rest[:end] + ")"); err != nil {
			return m, err
		}
		pattern = "^" + rest[end+1:]
	}
	m.re, err = regexp.Compile(pattern)
	return m, err
}

// closing finds the bracket that closes one which was opened before s.
func closing(s string) int {
	depth := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// glob reports whether a name matches a pattern in which * stands for any text.
func glob(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for i := 0; i <= len(name); i++ {
		if glob(rest, name[i:]) {
			return true
		}
	}
	return false
}
