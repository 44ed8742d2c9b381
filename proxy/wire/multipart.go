package wire

import (
	"bytes"
	"errors"
	"mime"
	"strings"
)

// MultipartModel finds the form field "model" in the first bytes of a
// multipart body, and the place of its value for an edit. A body without the
// field within head is no error: the model is then "". One that names two
// models is: it would leave open which one counts.
func MultipartModel(contentType string, head []byte) (model string, span Span, err error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", Span{}, errors.New("the content type cannot be parsed")
	}
	boundary := params["boundary"]
	if boundary == "" || len(boundary) > 70 { // RFC 2046 §5.1.1
		return "", Span{}, errors.New("the content type names no valid boundary")
	}
	f := form{body: head, mark: []byte("\r\n--" + boundary)}
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
		model, span, found = string(head[f.value.Start:f.value.End]), f.value, true
	}
	return model, span, nil
}

// A form walks over the parts that lie whole in the start of a multipart body.
type form struct {
	body   []byte
	mark   []byte // what ends a part: a line end, two hyphens and the boundary
	at     int    // after the last delimiter
	begun  bool
	header []byte // of the part
	value  Span   // of the part
}

// next finds the next part, and reports whether there is one.
func (f *form) next() bool {
	if !f.begun && !f.first() {
		return false
	}
	rest := f.body[f.at:]
	if bytes.HasPrefix(rest, []byte("--")) {
		return false // the last delimiter
	}
	lines := bytes.Index(rest, []byte("\r\n\r\n"))
	if lines < 0 {
		return false
	}
	f.header = rest[:lines]
	start := f.at + lines + 4
	end := f.delimiter(start - 2) // an empty value shares its line end with the header
	if end < 0 {
		return false
	}
	f.value = Span{int64(start), int64(max(end, start))}
	return true
}

// first goes past what stands before the first part.
func (f *form) first() bool {
	f.begun = true
	if line := f.mark[2:]; bytes.HasPrefix(f.body, line) && endsDelimiter(f.body[len(line):]) {
		f.at = len(line)
		return true
	}
	return f.delimiter(0) >= 0
}

// delimiter finds the next delimiter from a place, goes past it, and returns
// where it begins; -1 where there is none.
func (f *form) delimiter(from int) int {
	for {
		i := bytes.Index(f.body[from:], f.mark)
		if i < 0 {
			return -1
		}
		i += from
		from = i + len(f.mark)
		if endsDelimiter(f.body[from:]) {
			f.at = from
			return i
		}
	}
}

// endsDelimiter reports whether a boundary ends before rest, and is not the
// beginning of a longer line.
func endsDelimiter(rest []byte) bool {
	if bytes.HasPrefix(rest, []byte("--")) {
		return true
	}
	rest = bytes.TrimLeft(rest, " \t")
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
