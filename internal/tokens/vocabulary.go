package tokens

import (
	"sync"
	"sync/atomic"

	"github.com/tiktoken-go/tokenizer/codec"
)

// A vocabulary is an encoding ready to count: an open-addressed table from a
// token's bytes to its rank, over one slab.
type vocabulary struct {
	slab  string
	slots []slot
	mask  uint32
	split func(text string, at int) int
	codec *codec.Codec // for long pieces
}

// A slot holds one token; length 0 marks a free one.
type slot struct {
	start  uint32
	length uint16
	rank   uint32
}

const noRank = ^uint32(0)

var vocabularies = map[Encoding]func() *vocabulary{
	O200k:  sync.OnceValue(func() *vocabulary { return load(codec.NewO200kBase(), 199_998, splitO200k) }),
	Cl100k: sync.OnceValue(func() *vocabulary { return load(codec.NewCl100kBase(), 100_256, splitCl100k) }),
}

// Warm loads an encoding's vocabulary, which takes some tenths of a second
// once. Counting loads what it needs by itself.
func Warm(e Encoding) {
	if get, ok := vocabularies[e]; ok {
		get()
		loaded[e].Store(true)
	}
}

// loaded says, by encoding, that its vocabulary is in memory.
var loaded = map[Encoding]*atomic.Bool{O200k: new(atomic.Bool), Cl100k: new(atomic.Bool)}

// Loaded reports whether counting in an encoding begins at once. Where it does
// not, the first count waits for the loading; Warm does it ahead.
func Loaded(e Encoding) bool {
	l, ok := loaded[e]
	return ok && l.Load()
}

// load derives the table from the library's own: ids are ranks.
func load(c *codec.Codec, size uint, split func(string, int) int) *vocabulary {
	n := uint32(1)
	for n < uint32(2*size) {
		n *= 2
	}
	v := &vocabulary{slots: make([]slot, n), mask: n - 1, split: split, codec: c}
	slab := make([]byte, 0, size*8)
	id := make([]uint, 1)
	for id[0] = range size {
		token, err := c.Decode(id)
		if err != nil || len(token) == 0 || len(token) > 1<<15 {
			continue // a gap in the numbers
		}
		start := uint32(len(slab))
		slab = append(slab, token...)
		i := hash(token) & v.mask
		for v.slots[i].length != 0 {
			i = (i + 1) & v.mask
		}
		v.slots[i] = slot{start, uint16(len(token)), uint32(id[0])}
	}
	v.slab = string(slab)
	return v
}

// rank returns a token's rank, or noRank.
func (v *vocabulary) rank(token string) uint32 {
	for i := hash(token) & v.mask; ; i = (i + 1) & v.mask {
		s := &v.slots[i]
		if s.length == 0 {
			return noRank
		}
		if int(s.length) == len(token) && v.slab[s.start:s.start+uint32(s.length)] == token {
			return s.rank
		}
	}
}

// hash is FNV-1a with a final mix; tokens are short.
func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h ^ h>>15
}
