package mockllm

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// raw is JSON text that is ready to be sent.
type raw []byte

// omit, as a member's value, leaves the member out.
type omit struct{}

// when returns v, or omit.
func when(ok bool, v any) any {
	if ok {
		return v
	}
	return omit{}
}

// orNull returns v, or null.
func orNull(ok bool, v any) any {
	if ok {
		return v
	}
	return nil
}

// obj writes an object of names and values, in order.
func obj(kv ...any) raw {
	b := append(make(raw, 0, 32*len(kv)), '{')
	for i := 0; i < len(kv); i += 2 {
		if _, out := kv[i+1].(omit); out {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendString(b, kv[i].(string))
		b = append(b, ':')
		b = appendValue(b, kv[i+1])
	}
	return append(b, '}')
}

// list writes an array.
func list[T any](items ...T) raw {
	b := raw{'['}
	for i, v := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, v)
	}
	return append(b, ']')
}

func appendValue(b raw, v any) raw {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case raw:
		if v == nil {
			return append(b, "null"...)
		}
		return append(b, v...)
	case string:
		return appendString(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case bool:
		return strconv.AppendBool(b, v)
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case float32:
		return strconv.AppendFloat(b, float64(v), 'g', -1, 32)
	case []raw: // nil too is a list
		return append(b, list(v...)...)
	case []string:
		return append(b, list(v...)...)
	case *node:
		if v.kind == absent {
			return append(b, "null"...)
		}
		return append(b, v.raw...)
	}
	panic(fmt.Sprintf("mockllm: no JSON for %T", v))
}

const hexDigits = "0123456789abcdef"

// appendString quotes s; bytes that are no UTF-8 become U+FFFD.
func appendString(b raw, s string) raw {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		b = append(b, s[from:i]...)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c >= utf8.RuneSelf:
			b = append(b, `\ufffd`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		}
		i += size
		from = i
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
