package mockllm

import (
	"bytes"
	"strings"
)

// keepString is how many bytes of a JSON string are kept of a body that is
// large, so that a request of 50 MB costs no 50 MB.
const keepString = 64 << 10

// A shrinker takes JSON text in pieces and keeps it with its long strings cut.
type shrinker struct {
	strings.Builder
	inside  bool // a string
	cutting bool // the rest of that string
	slash   bool // the byte before was a backslash
	digits  int  // hex digits of an escape still to come
	length  int  // of the string so far, in bytes
	cut     int  // bytes left out of the whole text
}

// Write never fails.
func (s *shrinker) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 {
		if s.inside {
			p = p[s.within(p):]
			continue
		}
		i := bytes.IndexByte(p, '"')
		if i < 0 {
			s.Builder.Write(p)
			break
		}
		s.Builder.Write(p[:i+1])
		p = p[i+1:]
		s.inside, s.cutting, s.length = true, false, 0
	}
	return size, nil
}

// within reads the part of p that belongs to a string, its end included, and
// returns how long that part is.
func (s *shrinker) within(p []byte) int {
	from := 0
	for i := 0; i < len(p); i++ {
		if s.cutting && !s.slash && s.digits == 0 { // to what may matter
			n := bytes.IndexByte(p[i:], '"')
			if n < 0 {
				n = len(p) - i
			}
			if back := bytes.IndexByte(p[i:i+n], '\\'); back >= 0 {
				n = back
			}
			if i += n; i == len(p) {
				break
			}
		}
		c := p[i]
		switch {
		case s.slash:
			s.slash = false
			if c == 'u' {
				s.digits = 4
			}
		case s.digits > 0:
			s.digits--
		case c == '"':
			s.keep(p[from:i])
			s.WriteByte('"')
			s.inside = false
			return i + 1
		default:
			if !s.cutting && s.length >= keepString && c&0xC0 != 0x80 {
				s.keep(p[from:i])
				from, s.cutting = i, true
			}
			s.slash = c == '\\'
		}
		s.length++
	}
	s.keep(p[from:])
	return len(p)
}

func (s *shrinker) keep(p []byte) {
	if s.cutting {
		s.cut += len(p)
		return
	}
	s.Builder.Write(p)
}
