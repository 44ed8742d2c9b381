package tokens

import (
	"strings"
	"unicode/utf8"
	"unsafe"
)

// A Counter counts tokens. The zero Counter is ready, and safe for concurrent use.
type Counter struct{}

// Count returns the number of tokens that a text is for a model, and whether
// that is exact or an estimate. Special tokens are counted as plain text.
// Invalid UTF-8 counts as the replacement character, one per byte.
func (c *Counter) Count(model, text string) (n int64, exact bool) {
	e, percent, exact := For(model)
	n = e.Count(text)
	if percent != 100 {
		n = (n*percent + 99) / 100
	}
	return n, exact
}

// CountBytes is Count for bytes, which are not kept.
func (c *Counter) CountBytes(model string, text []byte) (n int64, exact bool) {
	return c.Count(model, unsafe.String(unsafe.SliceData(text), len(text)))
}

// Count returns the number of tokens of a text in the encoding.
func (e Encoding) Count(text string) int64 {
	get, ok := vocabularies[e]
	if !ok {
		get = vocabularies[O200k]
	}
	v := get()
	if strings.IndexByte(text, del) >= 0 {
		// The oracle's engine drops DEL in some places; only it knows where.
		if n, err := v.codec.Count(text); err == nil {
			return int64(n)
		}
	}
	if !utf8.ValidString(text) {
		text = string([]rune(text))
	}
	var n int64
	for at := 0; at < len(text); {
		end := v.split(text, at)
		n += v.piece(text[at:end])
		at = end
	}
	return n
}

const del = 0x7f

// longPiece is the length from which the library's heap merges a piece.
const longPiece = 96

// piece counts the tokens of one piece.
func (v *vocabulary) piece(p string) int64 {
	if v.rank(p) != noRank {
		return 1
	}
	if len(p) >= longPiece {
		n, err := v.codec.Count(p)
		if err != nil { // the expression has no time limit, so it cannot fail
			return int64(len(p))
		}
		return int64(n)
	}
	return v.merge(p)
}

// merge joins the neighbours with the lowest rank, leftmost first, until none
// can be joined: byte-pair encoding as published with GPT-2.
func (v *vocabulary) merge(p string) int64 {
	var offsets [longPiece + 1]uint8
	var ranks [longPiece + 1]uint32
	n := len(p)
	for i := range n + 1 {
		offsets[i], ranks[i] = uint8(i), noRank
	}
	pair := func(i, parts int) uint32 {
		if i+2 > parts {
			return noRank
		}
		return v.rank(p[offsets[i]:offsets[i+2]])
	}
	for i := range n - 1 {
		ranks[i] = pair(i, n)
	}
	for n > 1 {
		best, at := noRank, 0
		for i, r := range ranks[:n-1] {
			if r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			break
		}
		copy(offsets[at+1:n], offsets[at+2:n+1])
		copy(ranks[at+1:n-1], ranks[at+2:n])
		n--
		ranks[at] = pair(at, n)
		if at > 0 {
			ranks[at-1] = pair(at-1, n)
		}
	}
	return int64(n)
}
