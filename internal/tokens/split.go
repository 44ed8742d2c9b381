package tokens

import (
	"unicode"
	"unicode/utf8"
)

// The splitters cut a text into the pieces that tokens do not cross. Each is
// the published regular expression of its encoding, written out by hand; the
// expression stands in the comment, and a fuzz test holds the two together.

// A class is what the expressions ask of a rune.
type class uint8

const (
	isUpper   class = 1 << iota // \p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}
	isLower                     // \p{Ll}\p{Lm}\p{Lo}\p{M}
	isLetter                    // \p{L}
	isNumber                    // \p{N}
	isSpace                     // \s
	isNewline                   // \r\n
)

var asciiClass = func() (t [utf8.RuneSelf]class) {
	for c := range t {
		t[c] = classify(rune(c))
	}
	return t
}()

func classify(r rune) class {
	switch {
	case r == '\r' || r == '\n':
		return isNewline | isSpace
	case unicode.IsSpace(r):
		return isSpace
	case unicode.IsNumber(r):
		return isNumber
	case unicode.Is(unicode.M, r):
		return isUpper | isLower
	case !unicode.IsLetter(r):
		return 0
	case unicode.Is(unicode.Ll, r):
		return isLetter | isLower
	case unicode.Is(unicode.Lm, r), unicode.Is(unicode.Lo, r):
		return isLetter | isLower | isUpper
	}
	return isLetter | isUpper
}

// at returns the class and the length of the rune at i; past the end 0, 0.
func at(s string, i int) (class, int) {
	if i >= len(s) {
		return 0, 0
	}
	if c := s[i]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	return classify(r), n
}

// run returns the end of the run of runes from i that have any of the classes.
func run(s string, i int, want class) int {
	for {
		c, n := at(s, i)
		if n == 0 || c&want == 0 {
			return i
		}
		i += n
	}
}

// splitO200k returns the end of the piece that begins at i, by
//
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
func splitO200k(s string, i int) int {
	if end, ok := asciiWord(s, i); ok {
		return end
	}
	c, n := at(s, i)
	starts := [2]int{-1, i} // with the optional first rune, and without
	if c&(isNewline|isLetter|isNumber) == 0 {
		starts[0] = i + n
	}
	for _, j := range starts {
		if j >= 0 {
			if end, ok := wordLower(s, j); ok {
				return contraction(s, end)
			}
		}
	}
	for _, j := range starts {
		if j >= 0 {
			if end := run(s, j, isUpper); end > j {
				return contraction(s, run(s, end, isLower))
			}
		}
	}
	return splitRest(s, i, true)
}

// asciiWord is the first alternative for the bulk of English: at most one sign,
// capitals, then small letters, all ASCII, with nothing behind them that could
// belong to the word and is not.
func asciiWord(s string, i int) (end int, ok bool) {
	if c := s[i]; c < utf8.RuneSelf && asciiClass[c]&(isNewline|isLetter|isNumber) == 0 {
		i++
	}
	for i < len(s) && s[i]-'A' < 26 {
		i++
	}
	end = i
	for end < len(s) && s[end]-'a' < 26 {
		end++
	}
	if end == i || end < len(s) && s[end] >= utf8.RuneSelf {
		return 0, false
	}
	return contraction(s, end), true
}

// wordLower matches upper*lower+ from i as a backtracking engine does: as many
// of the first as leave one for the second.
func wordLower(s string, i int) (end int, ok bool) {
	last, k := -1, i // last: where the last rune of the run that may be lower begins
	for {
		c, n := at(s, k)
		if n == 0 || c&isUpper == 0 {
			if n > 0 && c&isLower != 0 {
				last = k
			}
			break
		}
		if c&isLower != 0 {
			last = k
		}
		k += n
	}
	if last < 0 {
		return 0, false
	}
	return run(s, last, isLower), true
}

// splitCl100k returns the end of the piece that begins at i, by
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}
//	| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func splitCl100k(s string, i int) int {
	if end := contraction(s, i); end > i {
		return end
	}
	c, n := at(s, i)
	if c&(isNewline|isLetter|isNumber) == 0 {
		if end := run(s, i+n, isLetter); end > i+n {
			return end
		}
	}
	if c&isLetter != 0 {
		return run(s, i, isLetter)
	}
	return splitRest(s, i, false)
}

// splitRest matches the alternatives that both encodings share: numbers,
// signs (whose tail may have slashes in o200k), and space.
func splitRest(s string, i int, slashes bool) int {
	c, n := at(s, i)
	if c&isNumber != 0 {
		end := i + n
		for range 2 {
			c, n := at(s, end)
			if c&isNumber == 0 {
				break
			}
			end += n
		}
		return end
	}
	j := i
	if s[i] == ' ' {
		j++
	}
	if end := signs(s, j); end > j {
		for end < len(s) && (s[end] == '\r' || s[end] == '\n' || slashes && s[end] == '/') {
			end++
		}
		return end
	}
	return space(s, i)
}

// signs matches [^\s\p{L}\p{N}]*.
func signs(s string, i int) int {
	for {
		c, n := at(s, i)
		if n == 0 || c&(isSpace|isLetter|isNumber) != 0 {
			return i
		}
		i += n
	}
}

// space matches \s*[\r\n]+, else all of a run but the last rune before
// something else, else the run. The oracle's engine takes the first line end
// that it meets, where one that backtracks would take the last; we do as it does.
func space(s string, i int) int {
	end, lastStart := i, i
	for {
		c, n := at(s, end)
		if n == 0 || c&isSpace == 0 {
			break
		}
		if c&isNewline != 0 {
			return run(s, end, isNewline)
		}
		lastStart = end
		end += n
	}
	if end < len(s) && lastStart > i {
		return lastStart
	}
	return end
}

// contraction returns the end of an English contraction at i, else i. The
// expression ignores case, under which the long s (U+017F) is an s.
func contraction(s string, i int) int {
	if i+1 >= len(s) || s[i] != '\'' {
		return i
	}
	rest := s[i+1:]
	switch rest[0] | 0x20 {
	case 's', 't', 'm', 'd':
		return i + 2
	}
	if len(rest) > 1 {
		switch string([]byte{rest[0] | 0x20, rest[1] | 0x20}) {
		case "re", "ve", "ll":
			return i + 3
		}
	}
	return i
}
