package wire

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"
)

// MultipartModel finds the form field "model" in a multipart body of the given
// size, and the place of its value for an edit. Clients write it before the
// file or after it. A body without the field is no error: the model is then
// "". One that names two models is: it would leave open which one counts.
func MultipartModel(contentType string, body io.ReaderAt, size int64) (model string, span Span, err error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", Span{}, errors.New("the content type cannot be parsed")
	}
	boundary := params["boundary"]
	if boundary == "" || len(boundary) > 70 { // RFC 2046 §5.1.1
		return "", Span{}, errors.New("the content type names no valid boundary")
	}
	f := form{body: body, size: size, mark: []byte("\r\n--" + boundary), buf: make([]byte, min(size, formWindow))}
	found := false
	for f.next() {
		if partName(f.header) != "model" {
			continue
		}
		if found {
			return "", Span{}, errors.New("the model is named twice")
		}
		if f.value.Len() > maxModelLen {
			return "", Span{}, errors.New("the model's name is too long")
		}
		model, span, found = string(f.peek(f.value.Start, int(f.value.Len()))), f.value, true
	}
	return model, span, f.err
}

const (
	formWindow    = 64 << 10 // what is looked at in one piece
	maxPartHeader = 16 << 10
	maxPadding    = 1 << 10 // blanks behind a boundary
)

// A form walks over the whole parts of a multipart body.
type form struct {
	body   io.ReaderAt
	size   int64
	mark   []byte // what ends a part: a line end, two hyphens and the boundary
	buf    []byte
	at     int64 // after the last delimiter
	begun  bool
	header []byte // of the part, until the next one
	value  Span   // of the part
	err    error
}

// peek returns up to n bytes from a place, good until the next look.
func (f *form) peek(from int64, n int) []byte {
	if from >= f.size || f.err != nil {
		return nil
	}
	n = min(n, len(f.buf))
	got, err := f.body.ReadAt(f.buf[:n], from)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = errors.New("it could not be read again")
		return nil
	}
	return f.buf[:got]
}

// find returns the place of the next mark from a place; -1 where there is none.
func (f *form) find(from int64) int64 {
	for {
		window := f.peek(from, formWindow)
		if i := bytes.Index(window, f.mark); i >= 0 {
			return from + int64(i)
		}
		if len(window) < len(f.mark) || from+int64(len(window)) >= f.size {
			return -1
		}
		from += int64(len(window) - len(f.mark) + 1)
	}
}

// next finds the next part, and reports whether there is one.
func (f *form) next() bool {
	if !f.begun && !f.first() {
		return false
	}
	rest := f.peek(f.at, maxPartHeader)
	if bytes.HasPrefix(rest, []byte("--")) {
		return false // the last delimiter
	}
	lines := bytes.Index(rest, []byte("\r\n\r\n"))
	if lines < 0 {
		if len(rest) == maxPartHeader {
			f.err = errors.New("the header of a part is too long")
		}
		return false
	}
	f.header = bytes.Clone(rest[:lines])
	start := f.at + int64(lines) + 4
	end := f.delimiter(start - 2) // an empty value shares its line end with the header
	if end < 0 {
		return false
	}
	f.value = Span{start, max(end, start)}
	return true
}

// first goes past what stands before the first part.
func (f *form) first() bool {
	f.begun = true
	line := f.mark[2:]
	if bytes.HasPrefix(f.peek(0, len(line)), line) && f.endsDelimiter(int64(len(line))) {
		f.at = int64(len(line))
		return true
	}
	return f.delimiter(0) >= 0
}

// delimiter finds the next delimiter from a place, goes past it, and returns
// where it begins; -1 where there is none.
func (f *form) delimiter(from int64) int64 {
	for {
		i := f.find(from)
		if i < 0 {
			return -1
		}
		from = i + int64(len(f.mark))
		if f.endsDelimiter(from) {
			f.at = from
			return i
		}
		if f.err != nil {
			return -1
		}
	}
}

// endsDelimiter reports whether a boundary ends at a place, and is not the
// beginning of a longer line.
func (f *form) endsDelimiter(at int64) bool {
	rest := f.peek(at, maxPadding)
	if bytes.HasPrefix(rest, []byte("--")) {
		return true
	}
	full := len(rest) == maxPadding
	rest = bytes.TrimLeft(rest, " \t")
	if len(rest) == 0 && full {
		f.err = errors.New("a boundary is followed by too many blanks")
		return false
	}
	return len(rest) == 0 || rest[0] == '\r'
}

// partName reads the name of a part from its headers.
func partName(header []byte) string {
	for line := range strings.SplitSeq(string(header), "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "Content-Disposition") {
			continue
		}
		if _, params, err := mime.ParseMediaType(value); err == nil {
			return params["name"]
		}
	}
	return ""
}
