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

// A slot holds one token: its first eight bytes, and packed into one word its
// rank, length and place in the slab. Most tokens are told by the first word
// alone, so that a look costs one cache line. Length 0 marks a free slot.
type slot struct {
	head uint64
	rest uint64 // start<<32 | length<<20 | rank
}

const (
	rankBits   = 20
	lengthBits = 12
	maxToken   = 1<<lengthBits - 1
)

func newSlot(token string, start, rank uint32) slot {
	return slot{head(token), uint64(start)<<32 | uint64(len(token))<<rankBits | uint64(rank)}
}

func (s slot) length() int   { return int(s.rest >> rankBits & maxToken) }
func (s slot) rank() uint32  { return uint32(s.rest & (1<<rankBits - 1)) }
func (s slot) start() uint32 { return uint32(s.rest >> 32) }

const noRank = ^uint32(0)

var vocabularies = map[Encoding]func() *vocabulary{
	O200k:  sync.OnceValue(func() *vocabulary { return load(codec.NewO200kBase, 199_998, splitO200k) }),
	Cl100k: sync.OnceValue(func() *vocabulary { return load(codec.NewCl100kBase, 100_256, splitCl100k) }),
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

// load derives the table from the library's own: ids are ranks. The codec that
// it decodes them with goes, and with it the 3 MB that the library makes for
// decoding; the one that is kept only counts.
func load(open func() *codec.Codec, size uint, split func(string, int) int) *vocabulary {
	c := open()
	n := uint32(1)
	for n < uint32(2*size) {
		n *= 2
	}
	v := &vocabulary{slots: make([]slot, n), mask: n - 1, split: split, codec: open()}
	slab := make([]byte, 0, size*8)
	id := make([]uint, 1)
	for id[0] = range size {
		token, err := c.Decode(id)
		if err != nil || len(token) == 0 || len(token) > maxToken {
			continue // a gap in the numbers
		}
		start := uint32(len(slab))
		slab = append(slab, token...)
		i := hash(token) & v.mask
		for v.slots[i].length() != 0 {
			i = (i + 1) & v.mask
		}
		v.slots[i] = newSlot(token, start, uint32(id[0]))
	}
	v.slab = string(slab)
	return v
}

// rank returns a token's rank, or noRank.
func (v *vocabulary) rank(token string) uint32 {
	h := head(token)
	for i := hashFrom(h, token) & v.mask; ; i = (i + 1) & v.mask {
		s := v.slots[i]
		n := s.length()
		if n == 0 {
			return noRank
		}
		if s.head == h && n == len(token) && (n <= 8 || v.slab[s.start()+8:s.start()+uint32(n)] == token[8:]) {
			return s.rank()
		}
	}
}

// head is the first eight bytes of a string, the missing ones zero.
func head(s string) uint64 {
	switch n := len(s); {
	case n >= 8:
		return uint64(word(s)) | uint64(word(s[4:]))<<32
	case n >= 4:
		return uint64(word(s)) | uint64(word(s[n-4:]))<<(8*(n-4))
	case n > 0:
		return uint64(s[0]) | uint64(s[n/2])<<(8*(n/2)) | uint64(s[n-1])<<(8*(n-1))
	}
	return 0
}

// word reads four bytes, which the compiler makes one load.
func word(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func hash(s string) uint32 { return hashFrom(head(s), s) }

// hashFrom mixes a string whose head is known. Every step is a multiplication
// by an odd constant, whose high bits depend on all the low ones.
func hashFrom(h uint64, s string) uint32 {
	const odd = 0x9E3779B97F4A7C15
	h = (h ^ uint64(len(s))) * odd
	for i := 8; i < len(s); i += 8 {
		h = (h ^ h>>32 ^ head(s[i:])) * odd
	}
	return uint32(h >> 32)
}
