package costs

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
)

// full is a usage that knows every meter, each with another count.
func full() Usage {
	var u Usage
	for i, m := range Meters() {
		u.Set(m, int64(i)*1000)
	}
	return u
}

func TestMeters(t *testing.T) {
	seen := map[string]bool{}
	for i, m := range Meters() {
		if int(m) != i || m.String() == "" || seen[m.String()] {
			t.Errorf("meter %d is %q", i, m)
		}
		seen[m.String()] = true
		if back, err := ParseMeter(m.String()); err != nil || back != m {
			t.Errorf("ParseMeter(%q) = %v, %v", m, back, err)
		}
		if m.IsInput() != strings.HasPrefix(m.String(), "input") || m.IsOutput() != strings.HasPrefix(m.String(), "output") {
			t.Errorf("%v is input: %v, output: %v", m, m.IsInput(), m.IsOutput())
		}
		if (m.Unit() == Tokens) != (m.IsInput() || m.IsOutput()) || (m.Unit() == Micros) != strings.HasSuffix(m.String(), "_us") {
			t.Errorf("%v counts in unit %d", m, m.Unit())
		}
	}
	if _, err := ParseMeter("total"); err == nil {
		t.Error("a total is a meter")
	}
	if got := Meter(200).String(); got != "meter(200)" {
		t.Errorf("Meter(200) = %s", got)
	}
}

// Spools hold the numbers and stores the names: neither may ever change.
func TestMetersAreForGood(t *testing.T) {
	for i, name := range []string{
		"input", "input_cache_read", "input_cache_write", "input_cache_write_5m", "input_cache_write_1h",
		"input_audio", "input_image", "input_video",
		"input_cache_read_audio", "input_cache_read_image", "input_cache_read_video", "input_tool",
		"output", "output_reasoning", "output_audio", "output_image",
	} {
		if got := Meter(i).String(); got != name {
			t.Errorf("meter %d is %s, and was %s", i, got, name)
		}
	}
	if numMeters > 64 {
		t.Errorf("%d meters do not fit Usage's bits", numMeters)
	}
}

// Unknown is a state and not zero, in every method.
func TestUnknownIsNotZero(t *testing.T) {
	var u Usage
	if !u.IsZero() || u.Len() != 0 {
		t.Errorf("the zero Usage knows %d meters", u.Len())
	}
	if _, ok := u.Get(Input); ok {
		t.Error("input is known")
	}
	if _, ok := u.Input(); ok {
		t.Error("the sum of no input is known")
	}
	u.Set(Input, 0)
	if n, ok := u.Get(Input); !ok || n != 0 || u.IsZero() || u.Len() != 1 {
		t.Errorf("a zero that was set: %d, %v", n, ok)
	}
	if n, ok := u.Input(); !ok || n != 0 {
		t.Errorf("sum %d, %v", n, ok)
	}
	if _, ok := u.Output(); ok {
		t.Error("the sum of no output is known")
	}
	u.Set(Input, -1)
	if n, ok := u.Get(Input); ok || n != 0 || u != (Usage{}) {
		t.Errorf("a negative count leaves %d, %v", n, ok)
	}
}

func TestSums(t *testing.T) {
	u := full()
	in, out := int64(0), int64(0)
	for _, m := range Meters() {
		n, _ := u.Get(m)
		switch {
		case m.IsInput():
			in += n
		case m.IsOutput():
			out += n
		}
	}
	if got, ok := u.Input(); !ok || got != in {
		t.Errorf("input %d, want %d", got, in)
	}
	if got, ok := u.Output(); !ok || got != out {
		t.Errorf("output %d, want %d", got, out)
	}
}

// Sums that are too large stay at the largest count and never turn negative.
func TestSumsDoNotOverflow(t *testing.T) {
	var u Usage
	u.Set(Input, math.MaxInt64)
	u.Set(InputAudio, 1)
	if n, ok := u.Input(); !ok || n != math.MaxInt64 {
		t.Errorf("input %d", n)
	}
	u.Add(u)
	if n, _ := u.Get(Input); n != math.MaxInt64 {
		t.Errorf("sum %d", n)
	}
	if n, _ := u.Get(InputAudio); n != 2 {
		t.Errorf("sum %d", n)
	}
}

func TestAdd(t *testing.T) {
	var a, b Usage
	a.Set(Input, 3)
	a.Set(Output, 1)
	b.Set(Input, 4)
	b.Set(InputCacheRead, 0)
	a.Add(b)
	if got := string(a.AppendJSON(nil)); got != `{"input":7,"input_cache_read":0,"output":1}` {
		t.Errorf("sum %s", got)
	}
	before := a
	a.Add(Usage{})
	if a != before {
		t.Error("adding nothing changes something")
	}
}

// A usage is a value: changing a copy leaves the first.
func TestUsageIsAValue(t *testing.T) {
	a := full()
	b := a
	b.Set(Input, 99)
	if n, _ := a.Get(Input); n != 0 {
		t.Errorf("the first one has %d", n)
	}
}

// What is written reads back as it was, by every way of writing.
func TestUsageRoundTrip(t *testing.T) {
	var some Usage
	some.Set(OutputReasoning, math.MaxInt64)
	some.Set(InputCacheWrite1h, 0)
	for _, u := range []Usage{{}, full(), some} {
		v1, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		v2, err := jsonv2.Marshal(u)
		if err != nil || string(v2) != string(v1) || string(u.AppendJSON([]byte("x"))) != "x"+string(v1) {
			t.Errorf("%s and %s, %v", v1, v2, err)
		}
		for _, read := range []func([]byte, any) error{json.Unmarshal, func(p []byte, to any) error { return jsonv2.Unmarshal(p, to) }} {
			back := full() // what was there before goes
			if err := read(v1, &back); err != nil || back != u {
				t.Errorf("%s read back as %s, %v", v1, back.AppendJSON(nil), err)
			}
		}
	}
}

func TestUsageReadRefuses(t *testing.T) {
	check := func(text string) {
		t.Helper()
		var u Usage
		if err := u.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s reads as %s", text, u.AppendJSON(nil))
		}
	}
	check(`{"total":5}`)
	check(`{"input":1.5}`)
	check(`{"input":"1"}`)
	check(`{"input":9223372036854775808}`)
	check(`[]`)
	check(`{"input":1`)
	check(``)
	check(`{"input":1,"input":2}`)
	check(`{"input":-1}`)
}

func FuzzUsage(f *testing.F) {
	f.Add([]byte(`{"input":1,"output":0}`))
	f.Add([]byte(`{"input_cache_write_1h":9223372036854775807,"output_image":5}`))
	f.Add([]byte(`{"input":-1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var u, back Usage
		if u.UnmarshalJSON(text) != nil {
			return
		}
		if err := back.UnmarshalJSON(u.AppendJSON(nil)); err != nil || back != u {
			t.Fatalf("%s reads as %s, then %s, %v", text, u.AppendJSON(nil), back.AppendJSON(nil), err)
		}
		if in, _ := u.Input(); in < 0 {
			t.Fatalf("%s sums to %d", text, in)
		}
	})
}

func TestAppendJSONAllocatesNothing(t *testing.T) {
	u := full()
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(50, func() { buf = u.AppendJSON(buf[:0]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
