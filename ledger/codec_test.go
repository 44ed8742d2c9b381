package ledger

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/costs"
)

func drawUsage(t *rapid.T) (u costs.Usage) {
	for _, m := range costs.Meters() {
		if rapid.Bool().Draw(t, "known") {
			u.Set(m, rapid.Int64Min(0).Draw(t, "count"))
		}
	}
	return u
}

func drawAttempt(t *rapid.T) Attempt {
	text := rapid.String()
	span := rapid.Map(rapid.Int64(), func(n int64) time.Duration { return time.Duration(n) })
	a := Attempt{
		N: rapid.Int().Draw(t, "n"), Provider: text.Draw(t, "provider"), API: text.Draw(t, "api"), Model: text.Draw(t, "model"),
		Start: span.Draw(t, "start"), TTFT: span.Draw(t, "ttft"), Total: span.Draw(t, "total"), Status: rapid.Int().Draw(t, "status"),
		ErrorClass: text.Draw(t, "class"), StopReason: text.Draw(t, "stop"), ServedModel: text.Draw(t, "served"),
		ServiceTier: text.Draw(t, "tier"), RequestID: text.Draw(t, "request"), Usage: drawUsage(t),
		UsageSource: UsageSource(text.Draw(t, "source")),
	}
	if raw := rapid.SliceOf(rapid.Byte()).Draw(t, "raw"); len(raw) > 0 {
		a.RawUsage = raw
	}
	a.Inconsistent, a.Charge = rapid.Bool().Draw(t, "inconsistent"), drawCharge(t)
	return a
}

func drawMoney(t *rapid.T) costs.Money {
	return costs.MoneyOf(rapid.Int64Range(-1e15, 1e15).Draw(t, "nano"), rapid.Int64Range(0, 1e9-1).Draw(t, "atto"))
}

func drawCharge(t *rapid.T) Charge {
	amount := func() Amount {
		if rapid.Bool().Draw(t, "unknown") {
			return Amount{}
		}
		return Known(drawMoney(t))
	}
	c := Charge{
		Cost: amount(), Computed: amount(), List: amount(), Charged: amount(), Book: rapid.String().Draw(t, "book"),
		CostSource: CostSource(rapid.SampledFrom([]string{"", "provider", "computed", "unpriced"}).Draw(t, "cost source")),
		Why:        rapid.String().Draw(t, "why"),
		Terms:      rapid.String().Draw(t, "terms"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "lines") {
		m := costs.Meters()[rapid.IntRange(0, len(costs.Meters())-1).Draw(t, "meter")]
		c.Lines = append(c.Lines, PriceLine{m, rapid.String().Draw(t, "row"), drawMoney(t)})
	}
	return c
}

func drawPairs(t *rapid.T, label string) map[string]string {
	m := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, label)
	if len(m) == 0 {
		return nil
	}
	return m
}

func drawCall(t *rapid.T) *Call {
	text := rapid.String()
	span := rapid.Map(rapid.Int64(), func(n int64) time.Duration { return time.Duration(n) })
	c := &Call{
		ID: rapid.StringN(1, 60, -1).Draw(t, "id"), Start: time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(t, "start")).UTC(),
		ProjectID: text.Draw(t, "project"), KeyID: text.Draw(t, "key"), Customer: text.Draw(t, "customer"), Feature: text.Draw(t, "feature"),
		Session: text.Draw(t, "session"), User: text.Draw(t, "user"), Tags: drawPairs(t, "tags"), Metadata: drawPairs(t, "metadata"),
		UserAgent: text.Draw(t, "agent"), TraceID: text.Draw(t, "trace"), Dialect: text.Draw(t, "dialect"), API: text.Draw(t, "api"),
		Method: text.Draw(t, "method"), Path: text.Draw(t, "path"), AskedModel: text.Draw(t, "asked"), Route: text.Draw(t, "route"),
		Stream: rapid.Bool().Draw(t, "stream"), Provider: text.Draw(t, "provider"), Model: text.Draw(t, "model"),
		ServedModel: text.Draw(t, "served"), Status: rapid.Int().Draw(t, "status"), Outcome: Outcome(text.Draw(t, "outcome")),
		ErrorClass: text.Draw(t, "class"), StopReason: text.Draw(t, "stop"), Usage: drawUsage(t), UsageSource: UsageSource(text.Draw(t, "source")),
		Queue: span.Draw(t, "queue"), TTFT: span.Draw(t, "ttft"), Total: span.Draw(t, "total"),
		BytesIn: rapid.Int64().Draw(t, "in"), BytesOut: rapid.Int64().Draw(t, "out"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "dropped") {
		c.Dropped = append(c.Dropped, rapid.StringN(1, 20, -1).Draw(t, "member"))
	}
	for range rapid.IntRange(0, 3).Draw(t, "attempts") {
		c.Attempts = append(c.Attempts, drawAttempt(t))
	}
	c.settle()
	return c
}

func TestCallRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCall(t)
		b := appendCall(nil, c)
		got, err := decodeCall(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, c) {
			t.Fatalf("read  %+v\nwrote %+v", got, c)
		}
		if id, err := recordID(b); err != nil || id != c.ID {
			t.Fatalf("record id %q, %v", id, err)
		}
		// A field of a newer Weir is passed over.
		later := encoder{append([]byte(nil), b...)}
		later.str(900, "new")
		later.num(901, 7)
		if got, err := decodeCall(later.b); err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("with newer fields: %+v, %v", got, err)
		}
	})
}

func TestBodiesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &Bodies{
			CallID: rapid.StringN(1, 40, -1).Draw(t, "id"), At: time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(t, "at")).UTC(),
			Request:   rapid.SliceOfN(rapid.Byte(), 1, -1).Draw(t, "request"),
			Response:  rapid.SliceOfN(rapid.Byte(), 1, -1).Draw(t, "response"),
			Truncated: rapid.Bool().Draw(t, "truncated"),
		}
		got, err := decodeBodies(appendBodies(nil, b))
		if err != nil || !reflect.DeepEqual(got, b) {
			t.Fatalf("read %+v, %v; wrote %+v", got, err, b)
		}
	})
}

// What cannot be stored whole is stored without its free-form parts.
func TestBoundedCall(t *testing.T) {
	c := testCall("call_1")
	c.Metadata = map[string]string{"a": strings.Repeat("x", 2*maxCall)}
	got, err := decodeCall(appendBounded(nil, c))
	if err != nil || got.Metadata != nil || got.Usage != c.Usage || len(got.Attempts) != len(c.Attempts) {
		t.Errorf("read %+v, %v", got, err)
	}
}

func FuzzDecodeCall(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendCall(nil, testCall("call_1")))
	f.Add(appendBodies(nil, &Bodies{CallID: "call_1", Request: []byte("{}")}))
	f.Add([]byte{3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}) // the largest length there is
	big := testCall("call_2")
	big.UserAgent = strings.Repeat("x", maxCall)
	f.Add(appendCall(nil, big))
	f.Fuzz(func(t *testing.T, p []byte) {
		_, _ = decodeBodies(p)
		_, _ = recordID(p)
		c, err := decodeCall(p)
		if err != nil {
			return
		}
		// What was read and is written again reads the same.
		again, err := decodeCall(appendCall(nil, c))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("read %+v, %v; before %+v", again, err, c)
		}
	})
}
