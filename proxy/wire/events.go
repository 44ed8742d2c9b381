package wire

import (
	"bytes"
	"iter"
)

// Events goes through the events of a stream's bytes, as Stream.Feed returns
// them: the event line's name ("" = none) and the data, several data lines
// joined by line feeds. Events without data are passed over. Both are valid
// until the next one.
func Events(p []byte) iter.Seq2[string, []byte] {
	return func(yield func(name string, data []byte) bool) {
		p := bytes.TrimPrefix(p, []byte(byteOrderMark)) // before a stream's first event; no field's name begins so
		var name string
		var data, joined []byte
		lines := 0
		for len(p) > 0 {
			line := p
			if to, next := lineEnd(p); next > 0 {
				line, p = p[:to], p[next:]
			} else {
				p = nil
			}
			if len(line) == 0 {
				if lines > 0 && !yield(name, data) {
					return
				}
				name, data, lines = "", nil, 0
				continue
			}
			field, value, _ := bytes.Cut(line, []byte(":"))
			value = bytes.TrimPrefix(value, []byte(" "))
			switch string(field) {
			case "event":
				name = string(value)
			case "data":
				if lines++; lines == 1 {
					data = value
				} else {
					if lines == 2 {
						joined = append(joined[:0], data...)
					}
					joined = append(append(joined, '\n'), value...)
					data = joined
				}
			}
		}
		if lines > 0 {
			yield(name, data)
		}
	}
}

// lineEnd finds where p's first line ends and the next one begins; next is 0
// where the line has no end. A line ends with LF, CRLF or CR.
func lineEnd(p []byte) (to, next int) {
	i := bytes.IndexAny(p, "\r\n")
	switch {
	case i < 0:
		return 0, 0
	case p[i] == '\r' && i+1 < len(p) && p[i+1] == '\n':
		return i, i + 2
	}
	return i, i + 1
}
