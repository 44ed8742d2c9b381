package wire

import "io"

// A Span is a run of bytes: from Start up to, but not including, End.
type Span struct{ Start, End int64 }

// Empty reports whether the span holds nothing. The zero Span is empty.
func (s Span) Empty() bool { return s.End <= s.Start }

// Len is the number of bytes.
func (s Span) Len() int64 { return s.End - s.Start }

// An Edit puts New in the place of a span. An empty span is an insertion.
type Edit struct {
	Span Span
	New  []byte
}

// EditedSize is the length of a body after the edits.
func EditedSize(size int64, edits []Edit) int64 {
	for _, e := range edits {
		size += int64(len(e.New)) - e.Span.Len()
	}
	return size
}

// Apply appends body with the edits done to dst. The edits are in order and
// do not overlap; every other byte stays.
func Apply(dst, body []byte, edits []Edit) []byte {
	var at int64
	for _, e := range edits {
		dst = append(dst, body[at:e.Span.Start]...)
		dst = append(dst, e.New...)
		at = e.Span.End
	}
	return append(dst, body[at:]...)
}

// EditReader reads a body with the edits done, without holding it.
func EditReader(r io.ReaderAt, size int64, edits []Edit) io.Reader {
	parts := make([]io.Reader, 0, 2*len(edits)+1)
	var at int64
	for _, e := range edits {
		parts = append(parts, io.NewSectionReader(r, at, e.Span.Start-at), &bytesReader{e.New})
		at = e.Span.End
	}
	return io.MultiReader(append(parts, io.NewSectionReader(r, at, size-at))...)
}

// bytesReader is the least of a bytes.Reader: io.MultiReader needs no more.
type bytesReader struct{ p []byte }

func (b *bytesReader) Read(p []byte) (int, error) {
	if len(b.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.p)
	b.p = b.p[n:]
	return n, nil
}
