package limits

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A clock that tests set; it may run back.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newTest() (*Memory, *clock) {
	c := &clock{t: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	return NewMemory(c.now), c
}

func rule(l *Limit, value string) Rule { return Rule{Limit: l, Name: l.Name(), Value: value} }

func ask(m *Memory, in, out int64, rules ...Rule) Decision {
	return m.Reserve(&Demand{Rules: rules, Input: in, Output: out})
}

func TestRequests(t *testing.T) {
	m, c := newTest()
	l := &Limit{Scope: Key, Dimension: Requests, Amount: 60, Window: time.Minute, Burst: 2}
	check := func(what string, refused bool, wait time.Duration) {
		t.Helper()
		d := ask(m, 0, 0, rule(l, "a"))
		if (d.Refused != nil) != refused || d.Wait != wait {
			t.Errorf("%s: refused %v, wait %v; want %v, %v", what, d.Refused != nil, d.Wait, refused, wait)
		}
		m.Settle(d.Hold, Actual{})
	}
	check("first", false, 0)
	check("second", false, 0)
	check("third", true, time.Second)
	c.t = c.t.Add(999 * time.Millisecond)
	check("just before", true, time.Millisecond)
	c.t = c.t.Add(time.Millisecond)
	check("as it said", false, 0)
	c.t = c.t.Add(-time.Hour)
	check("the clock ran back", true, time.Second)
	if d := ask(m, 0, 0, rule(l, "b")); d.Refused != nil {
		t.Error("another key is refused")
	}
}

func TestAllOrNothing(t *testing.T) {
	m, _ := newTest()
	wide := &Limit{Scope: Key, Dimension: Requests, Amount: 10, Window: time.Minute}
	narrow := &Limit{Scope: Customer, Dimension: Tokens, Amount: 100, Window: time.Minute}
	slots := &Limit{Scope: Global, Dimension: Concurrent, Amount: 5}
	rules := []Rule{rule(slots, ""), rule(wide, "k"), rule(narrow, "c")}
	first := ask(m, 60, 20, rules...)
	for range 20 {
		d := ask(m, 60, 20, rules...)
		if d.Refused != narrow || d.Value != "c" || d.Used != 80 || d.Asked != 80 {
			t.Fatalf("refused by %+v, used %d, asked %d", d.Refused, d.Used, d.Asked)
		}
	}
	for _, s := range m.Status() {
		want := map[Dimension]int64{Concurrent: 1, Requests: 1, Tokens: 80}[s.Limit.Dimension]
		if s.Used != want {
			t.Errorf("%s: used %d, want %d", s.Limit.Name(), s.Used, want)
		}
	}
	m.Settle(first.Hold, Actual{Input: 10})
	m.Settle(first.Hold, Actual{Input: 1000})
	if d := ask(m, 60, 20, rules...); d.Refused != nil {
		t.Errorf("after the settlement: refused by %s", d.Refused.Name())
	}
}

func TestDebtAndEstimatesAboveTheBurst(t *testing.T) {
	m, c := newTest()
	l := &Limit{Scope: Key, Dimension: Tokens, Amount: 60, Window: time.Minute}
	big := ask(m, 500, 0, rule(l, "a"))
	if big.Refused != nil {
		t.Fatal("an estimate above the burst is refused on a full bucket")
	}
	m.Settle(big.Hold, Actual{Input: 120})
	d := ask(m, 1, 0, rule(l, "a"))
	if d.Refused == nil || d.Wait != 61*time.Second {
		t.Errorf("in debt by 60: wait %v, want 61s", d.Wait)
	}
	c.t = c.t.Add(61 * time.Second)
	if d := ask(m, 1, 0, rule(l, "a")); d.Refused != nil {
		t.Error("the debt has flowed off and it is still refused")
	}
}

func TestLeases(t *testing.T) {
	m, c := newTest()
	slots := &Limit{Scope: Key, Dimension: Concurrent, Amount: 1}
	tokens := &Limit{Scope: Key, Dimension: Tokens, Amount: 100_000, Window: 24 * time.Hour}
	rules := []Rule{rule(slots, "a"), rule(tokens, "a")}
	lost := ask(m, 40, 0, rules...)
	c.t = c.t.Add(LeaseTime / 2)
	if !m.Heartbeat(lost.Hold) {
		t.Fatal("a living lease gets no heartbeat")
	}
	c.t = c.t.Add(LeaseTime - 1)
	if d := ask(m, 1, 0, rules...); d.Refused != slots {
		t.Fatal("a lease with a heartbeat has expired")
	}
	c.t = c.t.Add(1)
	next := ask(m, 1, 0, rules...)
	if next.Refused != nil {
		t.Fatal("a lease without a heartbeat has not expired")
	}
	if m.Heartbeat(lost.Hold) {
		t.Error("an expired lease lives on")
	}
	if used := next.Tightest[Tokens].Used; used != 41 {
		t.Errorf("an expired estimate of 40 and one of 1: used %d", used)
	}
	m.Settle(lost.Hold, Actual{Input: 100})
	m.Settle(lost.Hold, Actual{Input: 100})
	m.Settle(next.Hold, Actual{Input: 1})
	if left := m.Status(); len(left) != 1 || left[0].Limit != tokens || left[0].Used != 101 {
		t.Errorf("after settlements of 100 and 1: %+v", left)
	}
}

func TestLongCallsAreCharged(t *testing.T) {
	m, c := newTest()
	l := &Limit{Scope: Key, Dimension: Tokens, Amount: 60, Window: time.Minute}
	long := ask(m, 60, 0, rule(l, "a"))
	for range 3 {
		c.t = c.t.Add(40 * time.Second)
		m.Heartbeat(long.Hold)
	}
	if d := ask(m, 50, 0, rule(l, "a")); d.Refused == nil {
		t.Error("what was charged 40 s ago has flowed off too early")
	}
	c.t = c.t.Add(20 * time.Second)
	m.Heartbeat(long.Hold)
	if d := ask(m, 60, 0, rule(l, "a")); d.Refused != nil {
		t.Error("a long stream holds its estimate for ever")
	}
	for i := range 5000 { // the sweep must not forget whom the stream belongs to
		d := ask(m, 0, 0, rule(&Limit{Scope: User, Dimension: Requests, Amount: 1e6, Window: time.Minute}, fmt.Sprint(i)))
		m.Settle(d.Hold, Actual{})
	}
	m.Settle(long.Hold, Actual{Input: 600})
	if d := ask(m, 1, 0, rule(l, "a")); d.Refused == nil {
		t.Error("what a long stream used beyond its estimate is forgotten")
	}
}

func TestShadow(t *testing.T) {
	m, _ := newTest()
	l := &Limit{Scope: Key, Dimension: Requests, Amount: 1, Window: time.Minute, Action: Shadow}
	if d := ask(m, 0, 0, rule(l, "a")); d.Over != nil || d.Refused != nil {
		t.Error("the first call is over")
	}
	if d := ask(m, 0, 0, rule(l, "a")); d.Over != l || d.Refused != nil {
		t.Error("the second call is refused, or not said to be over")
	}
	if used := m.Status()[0].Used; used != 1 {
		t.Errorf("a call that would have been refused is charged: used %d, want 1", used)
	}
}

func TestBoundedCounters(t *testing.T) {
	m, c := newTest()
	m.max = 100
	l := &Limit{Scope: User, Dimension: Requests, Amount: 5, Window: 24 * time.Hour}
	for i := range 10_000 {
		ask(m, 0, 0, rule(l, fmt.Sprint(i)))
	}
	if n := len(m.counters); n > 101 {
		t.Errorf("%d counters are kept, want at most 101", n)
	}
	if d := ask(m, 0, 0, rule(l, "one more")); d.Refused != l {
		t.Error("values beyond the bound do not share a count")
	}
	c.t = c.t.Add(48 * time.Hour)
	for i := range 50 {
		if d := ask(m, 0, 0, rule(l, fmt.Sprint("later ", i))); d.Refused != nil {
			t.Fatalf("value %d is refused when all others are long gone", i)
		}
	}
	m.max = 1e9 // no counts are forgotten at once where they are in use
	for i := range 5000 {
		ask(m, 0, 0, rule(l, fmt.Sprint("in use ", i)))
	}
	if n := len(m.Status()); n != 5050 {
		t.Errorf("%d counts in use, want 5050", n)
	}
}

// TestLaws drives a Memory and a slow, plain model of what may come.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := newTest()
		l := &Limit{
			Scope: Key, Dimension: Tokens, Window: time.Minute,
			Amount: rapid.Int64Range(1, 1000).Draw(t, "amount"), Burst: rapid.Int64Range(0, 2000).Draw(t, "burst"),
		}
		slots := &Limit{Scope: Key, Dimension: Concurrent, Amount: rapid.Int64Range(1, 5).Draw(t, "slots")}
		rules := []Rule{rule(l, "a"), rule(slots, "a")}
		type open struct {
			hold     Hold
			estimate int64
		}
		type charge struct {
			at     time.Duration
			amount int64
		}
		var holds []open
		var ended []Hold
		var charges []charge
		var now, latest time.Duration
		begin := c.t
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				n := rapid.Int64Range(0, l.burst()).Draw(t, "tokens")
				d := ask(m, n, 0, rules...)
				if d.Refused != nil {
					if len(holds) == 0 && len(charges) == 0 {
						t.Fatalf("refused by %s with nothing in use", d.Refused.Name())
					}
					return
				}
				holds = append(holds, open{d.Hold, n})
				if int64(len(holds)) > slots.Amount {
					t.Fatalf("%d calls at once, want at most %d", len(holds), slots.Amount)
				}
			},
			"settle": func(t *rapid.T) {
				if len(holds) == 0 {
					t.Skip("nothing is open")
				}
				i := rapid.IntRange(0, len(holds)-1).Draw(t, "which")
				used := rapid.Int64Range(0, holds[i].estimate).Draw(t, "used")
				m.Settle(holds[i].hold, Actual{Input: used})
				charges = append(charges, charge{latest, used})
				ended = append(ended, holds[i].hold)
				holds = append(holds[:i], holds[i+1:]...)
			},
			"settle again": func(t *rapid.T) {
				if len(ended) > 0 {
					m.Settle(rapid.SampledFrom(ended).Draw(t, "which"), Actual{Input: 1 << 40})
				}
			},
			"time": func(t *rapid.T) {
				now += time.Duration(rapid.Int64Range(-int64(time.Minute), int64(20*time.Second)).Draw(t, "by"))
				latest = max(latest, now)
				c.t = begin.Add(now)
				for _, h := range holds {
					m.Heartbeat(h.hold)
				}
			},
			"": func(t *rapid.T) {
				var held int64
				for _, h := range holds {
					held += h.estimate
				}
				for i := range charges { // nothing above burst + rate × time, from any charge on
					var sum int64
					for _, o := range charges[i:] {
						sum += o.amount
					}
					room := float64(l.burst()) + float64(l.Amount)*(latest-charges[i].at).Minutes()
					if float64(sum) > room+1e-6 {
						t.Fatalf("%d tokens were settled where %.3f fit", sum, room)
					}
				}
				for _, s := range m.Status() {
					if s.Limit == slots && s.Used != int64(len(holds)) {
						t.Fatalf("%d slots are taken by %d calls", s.Used, len(holds))
					}
					if s.Limit == l && s.Reserved > held {
						t.Fatalf("%d tokens are reserved by estimates of %d", s.Reserved, held)
					}
				}
			},
		})
		for _, h := range holds {
			m.Settle(h.hold, Actual{})
		}
		c.t = begin.Add(latest + 100*365*24*time.Hour)
		if left := m.Status(); len(left) != 0 {
			t.Fatalf("%+v is left when all calls have ended", left)
		}
	})
}

func TestRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(nil)
		l := &Limit{Scope: Global, Dimension: Requests, Amount: 5, Window: time.Second}
		for i := range 30 {
			want := i%6 == 5
			d := ask(m, 0, 0, rule(l, ""))
			if (d.Refused != nil) != want {
				t.Fatalf("request %d: refused %v", i, d.Refused != nil)
			}
			m.Settle(d.Hold, Actual{})
			if want {
				time.Sleep(time.Second)
			}
		}
	})
}

func TestDecisionAllocatesNothing(t *testing.T) {
	m, d := benchDemand()
	if n := testing.AllocsPerRun(1000, func() { m.Settle(m.Reserve(d).Hold, Actual{Input: 10, Output: 5}) }); n != 0 {
		t.Errorf("a decision and its settlement allocate %v times", n)
	}
}

func benchDemand() (*Memory, *Demand) {
	m := NewMemory(nil)
	d := &Demand{Input: 1000, Output: 250}
	for _, l := range []*Limit{
		{Scope: Key, Dimension: Requests, Amount: 1e12, Window: time.Minute},
		{Scope: Key, Dimension: Tokens, Amount: 1e14, Window: time.Minute},
		{Scope: Key, Dimension: Concurrent, Amount: 50},
		{Scope: Customer, Dimension: Requests, Amount: 1e12, Window: time.Hour},
		{Scope: Global, Dimension: OutputTokens, Amount: 1e14, Window: time.Minute},
	} {
		d.Rules = append(d.Rules, rule(l, "a-value-as-long-as-a-key-id"))
	}
	return m, d
}

// BenchmarkDecision is one decision over five limits, and its settlement.
func BenchmarkDecision(b *testing.B) {
	m, d := benchDemand()
	b.ReportAllocs()
	for b.Loop() {
		m.Settle(m.Reserve(d).Hold, Actual{Input: 900, Output: 200})
	}
}

func TestLateSettlement(t *testing.T) {
	m, c := newTest()
	l := &Limit{Scope: Key, Dimension: Tokens, Amount: 60, Window: time.Minute}
	late := ask(m, 10, 0, rule(l, "a"))
	c.t = c.t.Add(time.Hour)
	if left := m.Status(); len(left) != 0 {
		t.Fatalf("%+v is left an hour after an expired call", left)
	}
	m.Settle(late.Hold, Actual{Input: 50})
	m.Settle(late.Hold, Actual{Input: 50})
	if left := m.Status(); len(left) != 1 || left[0].Used != 40 {
		t.Errorf("%+v after a call that used 40 more than it was charged for when it expired", left)
	}
}

// BenchmarkDecisionParallel is the same by all processors at once, on one value.
func BenchmarkDecisionParallel(b *testing.B) {
	m, d := benchDemand()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		own := *d
		for pb.Next() {
			m.Settle(m.Reserve(&own).Hold, Actual{Input: 900, Output: 200})
		}
	})
}
