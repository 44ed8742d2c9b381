// Package costs holds what a call consumed and what it cost. It is pure: no
// I/O, no clock, no goroutine.
package costs

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Usage is what one attempt consumed, by leaf meter. A meter that was never
// set is unknown, which is not zero. The zero Usage knows nothing.
// Usage is a value: copying it copies the counts.
type Usage struct {
	n     [numMeters]int64
	known uint64 // bit i set: n[i] is known
}

// Set records a count, replacing an earlier one. A negative count is refused
// by leaving the meter unknown: a vendor that sends one says nothing usable.
func (u *Usage) Set(m Meter, n int64) {
	if n < 0 {
		u.n[m], u.known = 0, u.known&^(1<<m)
		return
	}
	u.n[m], u.known = n, u.known|1<<m
}

// Get returns a meter's count, and false where it is unknown.
func (u Usage) Get(m Meter) (int64, bool) { return u.n[m], u.known&(1<<m) != 0 }

// IsZero reports whether nothing at all is known.
func (u Usage) IsZero() bool { return u.known == 0 }

// Len returns how many meters are known.
func (u Usage) Len() int { return bits.OnesCount64(u.known) }

// Input returns the sum of the known input token meters, and false where none is known.
func (u Usage) Input() (int64, bool) { return u.sum(inputMeters) }

// Output returns the sum of the known output token meters, and false where none is known.
func (u Usage) Output() (int64, bool) { return u.sum(outputMeters) }

// sum adds up the known ones of a set of meters.
func (u *Usage) sum(set uint64) (total int64, known bool) {
	set &= u.known
	for left := set; left != 0; left &= left - 1 {
		total = plus(total, u.n[bits.TrailingZeros64(left)])
	}
	return total, set != 0
}

// plus adds counts, which are not negative. A sum that is too large is the
// largest count: a nonsensical figure must not turn into a credit.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Add adds the other's known counts to u's. What neither knows stays unknown.
func (u *Usage) Add(other Usage) {
	for left := other.known; left != 0; left &= left - 1 {
		m := Meter(bits.TrailingZeros64(left))
		u.Set(m, plus(u.n[m], other.n[m]))
	}
}

// All calls yield with every known meter and its count, in the meters' fixed
// order, until yield returns false.
func (u *Usage) All(yield func(Meter, int64) bool) {
	for left := u.known; left != 0; left &= left - 1 {
		m := bits.TrailingZeros64(left)
		if !yield(Meter(m), u.n[m]) {
			return
		}
	}
}

// MarshalJSONTo writes the known meters as one object in their fixed order:
// {"input":12,"output":3}; {} where nothing is known.
func (u Usage) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for m, n := range u.All {
		if err := enc.WriteToken(jsontext.String(m.String())); err != nil {
			return err
		}
		if err := enc.WriteToken(jsontext.Int(n)); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// MarshalJSON is MarshalJSONTo for encoding/json.
func (u Usage) MarshalJSON() ([]byte, error) { return u.AppendJSON(nil), nil }

// AppendJSON appends what MarshalJSON returns, without allocating where dst has room.
func (u Usage) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for left := u.known; left != 0; left &= left - 1 {
		if left != u.known {
			dst = append(dst, ',')
		}
		m := bits.TrailingZeros64(left)
		dst = append(dst, '"')
		dst = append(dst, meterTable[m].name...)
		dst = append(dst, '"', ':')
		dst = strconv.AppendInt(dst, u.n[m], 10)
	}
	return append(dst, '}')
}

// UnmarshalJSON reads what MarshalJSON wrote. A meter that this version does
// not know is an error, and so is a negative count: dropping it would lose tokens.
func (u *Usage) UnmarshalJSON(data []byte) error {
	var counts map[string]int64
	if err := json.Unmarshal(data, &counts); err != nil {
		return fmt.Errorf("read usage: %w", err)
	}
	*u = Usage{}
	for name, n := range counts {
		m, err := ParseMeter(name)
		if err != nil {
			return fmt.Errorf("read usage: %w", err)
		}
		if n < 0 {
			return fmt.Errorf("read usage: %s is %d", name, n)
		}
		u.Set(m, n)
	}
	return nil
}
