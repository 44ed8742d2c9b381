// Package costs holds what a call consumed and, from the pricing rooms on, what
// it cost. It is pure: no I/O, no clock, no goroutine.
package costs

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Meter names one leaf of a Usage. Leaves are disjoint: no meter counts
// what another one counts, so their sum is the vendor's total.
type Meter uint8

// The leaf meters. All of them count tokens.
const (
	// Input is text input read at the full rate: neither from a cache nor written to one.
	Input Meter = iota
	// InputCacheRead is input served from the vendor's prompt cache.
	InputCacheRead
	// InputCacheWrite is input written to the vendor's cache where the vendor names no lifetime.
	InputCacheWrite
	// InputCacheWrite5m is input written to a cache for five minutes (Anthropic ephemeral_5m).
	InputCacheWrite5m
	// InputCacheWrite1h is input written to a cache for one hour (Anthropic ephemeral_1h).
	InputCacheWrite1h
	// InputAudio is uncached audio input.
	InputAudio
	// InputImage is uncached image input.
	InputImage
	// InputVideo is uncached video input.
	InputVideo
	// InputCacheReadAudio is audio input served from the vendor's cache.
	InputCacheReadAudio
	// InputCacheReadImage is image input served from the vendor's cache.
	InputCacheReadImage
	// InputCacheReadVideo is video input served from the vendor's cache.
	InputCacheReadVideo
	// InputTool is input that the vendor's own tools put into the prompt (Gemini toolUsePromptTokenCount).
	InputTool
	// Output is visible text output.
	Output
	// OutputReasoning is output spent on reasoning or thinking.
	OutputReasoning
	// OutputAudio is audio output.
	OutputAudio
	// OutputImage is image output.
	OutputImage
	numMeters
)

var meterNames = [numMeters]string{
	"input", "input_cache_read", "input_cache_write", "input_cache_write_5m", "input_cache_write_1h",
	"input_audio", "input_image", "input_video",
	"input_cache_read_audio", "input_cache_read_image", "input_cache_read_video", "input_tool",
	"output", "output_reasoning", "output_audio", "output_image",
}

var meterByName = func() map[string]Meter {
	m := make(map[string]Meter, numMeters)
	for i, name := range meterNames {
		m[name] = Meter(i)
	}
	return m
}()

// Meters returns every meter in its fixed order, the order of columns and reports.
func Meters() []Meter {
	all := make([]Meter, numMeters)
	for i := range all {
		all[i] = Meter(i)
	}
	return all
}

// String returns the meter's name as it stands in JSON, columns and metrics.
func (m Meter) String() string {
	if m < numMeters {
		return meterNames[m]
	}
	return "meter(" + strconv.Itoa(int(m)) + ")"
}

// IsInput reports whether the meter counts what went into the model.
func (m Meter) IsInput() bool { return m < Output }

// ParseMeter is the inverse of Meter.String.
func ParseMeter(name string) (Meter, error) {
	if m, ok := meterByName[name]; ok {
		return m, nil
	}
	return 0, fmt.Errorf("unknown meter %q", name)
}

// Usage is what one attempt consumed, by leaf meter. A meter that was never
// set is unknown, which is not zero. The zero Usage knows nothing.
// Usage is a value: copying it copies the counts.
type Usage struct {
	n     [numMeters]int64
	known uint32 // bit i set: n[i] is known
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
func (u Usage) Len() int { return bits.OnesCount32(u.known) }

// Input returns the sum of the known input meters, and false where none is known.
func (u Usage) Input() (int64, bool) { return u.sum(0, Output) }

// Output returns the sum of the known output meters, and false where none is known.
func (u Usage) Output() (int64, bool) { return u.sum(Output, numMeters) }

func (u Usage) sum(from, to Meter) (total int64, known bool) {
	for m := from; m < to; m++ {
		if n, ok := u.Get(m); ok {
			total, known = plus(total, n), true
		}
	}
	return total, known
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
	for m := range numMeters {
		if n, ok := other.Get(m); ok {
			u.Set(m, plus(u.n[m], n))
		}
	}
}

// MarshalJSONTo writes the known meters as one object in their fixed order:
// {"input":12,"output":3}; {} where nothing is known.
func (u Usage) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for m := range numMeters {
		n, ok := u.Get(m)
		if !ok {
			continue
		}
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
	for m, first := Meter(0), true; m < numMeters; m++ {
		n, ok := u.Get(m)
		if !ok {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(dst, meterNames[m]...)
		dst = append(dst, '"', ':')
		dst = strconv.AppendInt(dst, n, 10)
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
