package wire

import (
	"bytes"
	"errors"
	"mime"
	"strings"
)

// MultipartModel finds the form field "model" in the first bytes of a
// multipart body, and the place of its value for an edit. A body without the
// field within head is no error: the model is then "".
func MultipartModel(contentType string, head []byte) (model string, span Span, err error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", Span{}, errors.New("the content type cannot be parsed")
	}
	boundary := params["boundary"]
	if boundary == "" || len(boundary) > 70 { // RFC 2046 §5.1.1
		return "", Span{}, errors.New("the content type names no valid boundary")
	}
	mark := []byte("--" + boundary)
	at := 0
	for {
		i := bytes.Index(head[at:], mark)
		if i < 0 {
			return "", Span{}, nil
		}
		at += i + len(mark)
		lines := bytes.Index(head[at:], []byte("\r\n\r\n"))
		if lines < 0 {
			return "", Span{}, nil
		}
		header, value := head[at:at+lines], at+lines+4
		end := bytes.Index(head[value:], append([]byte("\r\n"), mark...))
		if end < 0 {
			return "", Span{}, nil
		}
		if partName(string(header)) == "model" {
			raw := head[value : value+end]
			if len(raw) > maxModelLen {
				return "", Span{}, errors.New("the model's name is too long")
			}
			return string(raw), Span{int64(value), int64(value + end)}, nil
		}
		at = value + end
	}
}

// partName reads the name of a part from its headers.
func partName(header string) string {
	for line := range strings.SplitSeq(header, "\r\n") {
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
