package neutral

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// A Vector is one embedding as the upstream wrote it: a JSON list of numbers,
// or a JSON string with the base64 of little-endian float32.
type Vector jsontext.Value

// errNoFloats says that what stands in an embedding's place is none.
var errNoFloats = errors.New("an embedding that is neither a list of numbers nor base64 of float32")

// isPacked reports whether a vector came as base64.
func (v Vector) isPacked() bool { return len(v) > 0 && v[0] == '"' }

// Len is the number of a vector's dimensions; 0 where it is no vector.
func (v Vector) Len() int {
	if v.isPacked() {
		data, err := unpack(v)
		if err != nil {
			return 0
		}
		return len(data) / 4
	}
	n := 0
	if eachNumber(v, func([]byte) error { n++; return nil }) != nil {
		return 0
	}
	return n
}

// appendPacked appends a vector as base64 in quotes. A number that is no
// float32 becomes the nearest one; one that is too large for it is an error.
func (v Vector) appendPacked(dst []byte) ([]byte, error) {
	if v.isPacked() {
		if _, err := unpack(v); err != nil {
			return dst, err
		}
		return append(dst, v...), nil
	}
	data := make([]byte, 0, len(v)/2)
	err := eachNumber(v, func(number []byte) error {
		f, err := strconv.ParseFloat(string(number), 32)
		if err != nil {
			return fmt.Errorf("an embedding with the number %.32s, which is no float32", number)
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(f)))
		return nil
	})
	if err != nil {
		return dst, err
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, '"'), nil
}

// appendNumbers appends a vector as a list of numbers: the upstream's own
// digits, or of base64 the shortest ones that mean the same float32.
func (v Vector) appendNumbers(dst []byte) ([]byte, error) {
	if !v.isPacked() {
		if err := eachNumber(v, func([]byte) error { return nil }); err != nil {
			return dst, err
		}
		return append(dst, v...), nil
	}
	data, err := unpack(v)
	if err != nil {
		return dst, err
	}
	dst = append(dst, '[')
	for i := 0; i < len(data); i += 4 {
		if i > 0 {
			dst = append(dst, ',')
		}
		f := math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))
		dst = strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
	}
	return append(dst, ']'), nil
}

// unpack is the bytes of a base64 vector, whole float32 that are all finite.
func unpack(v Vector) ([]byte, error) {
	if len(v) < 2 {
		return nil, errNoFloats
	}
	data, err := base64.StdEncoding.AppendDecode(nil, v[1:len(v)-1])
	if err != nil { // some JSON writers escape the slash
		text, ok := textOf(jsontext.Value(v))
		if !ok {
			return nil, errNoFloats
		}
		if data, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, errNoFloats
		}
	}
	if len(data) == 0 || len(data)%4 != 0 {
		return nil, errNoFloats
	}
	for i := 0; i < len(data); i += 4 {
		if binary.LittleEndian.Uint32(data[i:])&0x7f800000 == 0x7f800000 {
			return nil, errors.New("an embedding with a value that is no number")
		}
	}
	return data, nil
}

// eachNumber calls f with each number of a JSON list of them. The list is
// JSON already, so that a comma is enough to part by.
func eachNumber(list []byte, f func(number []byte) error) error {
	if len(list) < 3 || list[0] != '[' || list[len(list)-1] != ']' {
		return errNoFloats
	}
	for at := 1; at < len(list); {
		for isSpace(list[at]) {
			at++
		}
		end := at
		for c := list[end]; c != ',' && c != ']' && !isSpace(c); c = list[end] {
			if c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' && (c < '0' || c > '9') {
				return errNoFloats
			}
			end++
		}
		if end == at {
			return errNoFloats
		}
		if err := f(list[at:end]); err != nil {
			return err
		}
		for isSpace(list[end]) {
			end++
		}
		at = end + 1 // past the comma or the end
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
