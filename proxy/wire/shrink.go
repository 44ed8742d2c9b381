package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
)

// The long data of a conversation (pictures, sound, documents) says nothing to
// a codec but its first bytes, and goes from one text to another as it is. So
// it can stay where it lies: the codecs get a short body in which a word that
// nobody could have written stands for the middle of each, and what they make
// of that is read with the middles back in their places.

const (
	minLong   = 4 << 10 // bytes of a string that is worth it
	keptData  = 64      // bytes of its data that stay: they tell the type
	maxPrefix = 256     // bytes of a data: URL before its data
	// MarkSize is the length of the mark that Shrink wants: random hexadecimal
	// digits, so that no client can have written them.
	MarkSize = 32
	wordSize = MarkSize + 8 // of what stands for a cut: the mark and its number
)

// A Shrunk is a body without its long data.
type Shrunk struct {
	Body []byte // valid JSON, with words for what is cut out

	mark []byte
	cuts []Span // in the whole body
	used []bool // cuts that Whole was asked for since the last Expand
	body io.ReaderAt
	err  error
}

// Shrink makes the short form of a body. long are the strings that may be
// data, as View.Long has them; mark is MarkSize random hexadecimal digits. The
// body must stay as it is for as long as the result is used. nil: there is
// nothing to cut out, or the body has the mark in it.
func Shrink(body io.ReaderAt, size int64, long []Span, mark string) (*Shrunk, error) {
	s := &Shrunk{mark: []byte(mark), body: body}
	edits := make([]Edit, 0, len(long))
	buf := make([]byte, 32<<10)
	for _, span := range long {
		cut, err := dataIn(body, span, buf)
		if err != nil {
			return nil, err
		}
		if !cut.Empty() {
			edits = append(edits, Edit{Span: cut, New: s.word(len(s.cuts))})
			s.cuts = append(s.cuts, cut)
		}
	}
	if len(s.cuts) == 0 {
		return nil, nil
	}
	s.used = make([]bool, len(s.cuts))
	s.Body = make([]byte, EditedSize(size, edits))
	if _, err := io.ReadFull(EditReader(body, size, edits), s.Body); err != nil {
		return nil, fmt.Errorf("read a body without its data: %w", err)
	}
	if bytes.Count(s.Body, s.mark) != len(s.cuts) {
		return nil, nil
	}
	return s, nil
}

// word is what stands for a cut. Its length is a multiple of four, as cuts'
// are, so that base64 stays base64.
func (s *Shrunk) word(n int) []byte {
	number := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return hex.AppendEncode(append(make([]byte, 0, wordSize), s.mark...), number)
}

// dataLetters are those of base64, of either alphabet. They stand in JSON
// strings as they are, and in strings within strings, too.
var dataLetters = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_") {
		t[c] = true
	}
	return t
}()

// dataIn finds what can be cut out of a string: the letters of its data but
// the first ones. Empty: too little.
func dataIn(body io.ReaderAt, span Span, buf []byte) (Span, error) {
	head := buf[:min(maxPrefix, span.Len())]
	if _, err := body.ReadAt(head, span.Start); err != nil && err != io.EOF {
		return Span{}, fmt.Errorf("read the data of a body: %w", err)
	}
	cut := Span{Start: span.Start + keptData}
	if bytes.HasPrefix(head, []byte("data:")) {
		cut.Start += int64(bytes.IndexByte(head, ',') + 1)
	}
	for cut.End = cut.Start; cut.End < span.End; {
		piece := buf[:min(int64(len(buf)), span.End-cut.End)]
		if n, err := body.ReadAt(piece, cut.End); n < len(piece) {
			return Span{}, fmt.Errorf("read the data of a body: %w", unexpected(err))
		}
		n := dataRun(piece)
		cut.End += int64(n)
		if n < len(piece) {
			break
		}
	}
	if cut.Len() < minLong/2 {
		return Span{}, nil
	}
	cut.End -= cut.Len() % 4
	return cut, nil
}

func dataRun(p []byte) int {
	for i, c := range p {
		if !dataLetters[c] {
			return i
		}
	}
	return len(p)
}

// unexpected is the error of a read that should have been whole.
func unexpected(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Whole returns a text made of the short body with its data, in memory, for
// what has to look at it. Where the body cannot be read, Err tells why.
func (s *Shrunk) Whole(text string) string {
	e := s.find([]byte(text))
	if len(e.places) == 0 {
		return text
	}
	for _, p := range e.places {
		s.used[p.cut] = true
	}
	whole := make([]byte, e.size)
	if _, err := io.ReadFull(e.Reader(), whole); err != nil {
		s.err = err
	}
	return string(whole)
}

// Err tells of the first Whole that did not succeed.
func (s *Shrunk) Err() error { return s.err }

// Expand returns what a text that was made of the short body stands for. The
// text must not be changed afterwards.
func (s *Shrunk) Expand(text []byte) *Expanded {
	e := s.find(text)
	for _, p := range e.places {
		s.used[p.cut] = true
	}
	e.complete = !slices.Contains(s.used, false)
	clear(s.used)
	return e
}

// find finds the words in a text.
func (s *Shrunk) find(text []byte) *Expanded {
	e := &Expanded{s: s, text: text, size: int64(len(text))}
	for at := 0; ; {
		i := bytes.Index(text[at:], s.mark)
		if i < 0 {
			break
		}
		at += i
		n, ok := s.number(text[at:])
		if !ok {
			at++
			continue
		}
		e.places = append(e.places, place{at, n})
		e.size += s.cuts[n].Len() - wordSize
		at += wordSize
	}
	return e
}

// number reads which cut the word stands for that a text begins with.
func (s *Shrunk) number(text []byte) (int, bool) {
	var b [4]byte
	if len(text) < wordSize {
		return 0, false
	}
	if _, err := hex.Decode(b[:], text[MarkSize:wordSize]); err != nil {
		return 0, false
	}
	n := int64(b[0])<<24 | int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3])
	return int(n), n < int64(len(s.cuts))
}

// An Expanded is a text with the data of a Shrunk back in it.
type Expanded struct {
	s        *Shrunk
	text     []byte
	places   []place
	size     int64
	complete bool
}

// A place is where in a text a cut stands.
type place struct{ at, cut int }

// Size is the length of the whole text.
func (e *Expanded) Size() int64 { return e.size }

// Complete reports whether every cut stands in the text, or was asked for by
// Whole while it was made. Where one is missing it was left out, or something
// was made of the word that stood for it.
func (e *Expanded) Complete() bool { return e.complete }

// Reader reads the whole text from its start. Each call returns another one.
func (e *Expanded) Reader() io.Reader { return &expandReader{e: e} }

type expandReader struct {
	e    *Expanded
	at   int   // in the text
	next int   // place
	off  int64 // in the cut at that place
}

// Read implements io.Reader. It fills p as far as it can, so that many small
// pieces make no small writes.
func (r *expandReader) Read(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		end := len(r.e.text)
		if r.next < len(r.e.places) {
			end = r.e.places[r.next].at
		}
		switch {
		case r.at < end:
			took := copy(p[n:], r.e.text[r.at:end])
			r.at, n = r.at+took, n+took
		case r.next == len(r.e.places):
			err = io.EOF
		default:
			var took int
			took, err = r.readCut(p[n:])
			n += took
		}
	}
	if n > 0 && err == io.EOF {
		return n, nil
	}
	return n, err
}

// readCut reads on in the cut that stands at the next place.
func (r *expandReader) readCut(p []byte) (int, error) {
	cut := r.e.s.cuts[r.e.places[r.next].cut]
	p = p[:min(int64(len(p)), cut.Len()-r.off)]
	n, err := r.e.s.body.ReadAt(p, cut.Start+r.off)
	r.off += int64(n)
	if n < len(p) {
		return n, fmt.Errorf("read the data of a body: %w", unexpected(err))
	}
	if r.off == cut.Len() {
		r.at += wordSize
		r.next, r.off = r.next+1, 0
	}
	return n, nil
}
