package limitstest

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/limits"
)

func (s suite) requests(t *testing.T) {
	m, c := s.open(t)
	l := &limits.Limit{Scope: limits.Key, Dimension: limits.Requests, Amount: 60, Window: time.Minute, Burst: 2}
	check := func(what string, refused bool, wait time.Duration) {
		t.Helper()
		d := ask(m, 0, 0, rule(l, "a"))
		if (d.Refused != nil) != refused || d.Wait != wait {
			t.Errorf("%s: refused %v, wait %v; want %v, %v", what, d.Refused != nil, d.Wait, refused, wait)
		}
		m.Settle(d.Hold, limits.Use{})
	}
	check("first", false, 0)
	check("second", false, 0)
	check("third", true, time.Second)
	c.Add(999 * time.Millisecond)
	check("just before", true, time.Millisecond)
	c.Add(time.Millisecond)
	check("as it said", false, 0)
	c.Add(-time.Hour)
	check("the clock ran back", true, time.Second)
	if d := ask(m, 0, 0, rule(l, "b")); d.Refused != nil {
		t.Error("another key is refused")
	}
}

func (s suite) allOrNothing(t *testing.T) {
	m, _ := s.open(t)
	wide := &limits.Limit{Scope: limits.Key, Dimension: limits.Requests, Amount: 10, Window: time.Minute}
	narrow := &limits.Limit{Scope: limits.Customer, Dimension: limits.Tokens, Amount: 100, Window: time.Minute}
	slots := &limits.Limit{Scope: limits.Global, Dimension: limits.Concurrent, Amount: 5}
	rules := []limits.Rule{rule(slots, ""), rule(wide, "k"), rule(narrow, "c")}
	first := ask(m, 60, 20, rules...)
	for range 20 {
		d := ask(m, 60, 20, rules...)
		if d.Refused != narrow || d.Value != "c" || d.Used != 80 || d.Asked != 80 {
			t.Fatalf("refused by %+v, used %d, asked %d", d.Refused, d.Used, d.Asked)
		}
	}
	for _, s := range status(t, m) {
		want := map[limits.Dimension]int64{limits.Concurrent: 1, limits.Requests: 1, limits.Tokens: 80}[s.Limit.Dimension]
		if s.Used != want {
			t.Errorf("%s: used %d, want %d", s.Limit.Name(), s.Used, want)
		}
	}
	m.Settle(first.Hold, limits.Use{Input: 10})
	m.Settle(first.Hold, limits.Use{Input: 1000})
	if d := ask(m, 60, 20, rules...); d.Refused != nil {
		t.Errorf("after the settlement: refused by %s", d.Refused.Name())
	}
}

// release: a call that is refused elsewhere counts nowhere, and gives back no
// more than what it took.
func (s suite) release(t *testing.T) {
	m, c := s.open(t)
	l := &limits.Limit{Scope: limits.Key, Dimension: limits.Requests, Amount: 60, Window: time.Minute, Burst: 2}
	first, second := ask(m, 0, 0, rule(l, "a")), ask(m, 0, 0, rule(l, "a"))
	m.Release(second.Hold)
	m.Release(second.Hold)
	m.Settle(second.Hold, limits.Use{})
	if used := status(t, m)[0].Used; used != 1 {
		t.Errorf("%d requests are counted after two, one of them released; want 1", used)
	}
	c.Add(1500 * time.Millisecond)
	m.Release(first.Hold) // it has flowed off
	for i, want := range []bool{true, true, false} {
		if d := ask(m, 0, 0, rule(l, "a")); (d.Refused == nil) != want {
			t.Errorf("request %d after the release of one that had flowed off: admitted %v, want %v", i, !want, want)
		}
	}
}

func (s suite) debtAndEstimatesAboveTheBurst(t *testing.T) {
	m, c := s.open(t)
	l := &limits.Limit{Scope: limits.Key, Dimension: limits.Tokens, Amount: 60, Window: time.Minute}
	big := ask(m, 500, 0, rule(l, "a"))
	if big.Refused != nil {
		t.Fatal("an estimate above the burst is refused on a full bucket")
	}
	m.Settle(big.Hold, limits.Use{Input: 120})
	d := ask(m, 1, 0, rule(l, "a"))
	if d.Refused == nil || d.Wait != 61*time.Second {
		t.Errorf("in debt by 60: wait %v, want 61s", d.Wait)
	}
	c.Add(61 * time.Second)
	if d := ask(m, 1, 0, rule(l, "a")); d.Refused != nil {
		t.Error("the debt has flowed off and it is still refused")
	}
}

func (s suite) leases(t *testing.T) {
	m, c := s.open(t)
	slots := &limits.Limit{Scope: limits.Key, Dimension: limits.Concurrent, Amount: 1}
	tokens := &limits.Limit{Scope: limits.Key, Dimension: limits.Tokens, Amount: 100_000, Window: 24 * time.Hour}
	rules := []limits.Rule{rule(slots, "a"), rule(tokens, "a")}
	lost := ask(m, 40, 0, rules...)
	c.Add(limits.LeaseTime / 2)
	if !m.Heartbeat(lost.Hold) {
		t.Fatal("a living lease gets no heartbeat")
	}
	c.Add(limits.LeaseTime - time.Millisecond)
	if d := ask(m, 1, 0, rules...); d.Refused != slots {
		t.Fatal("a lease with a heartbeat has expired")
	}
	c.Add(time.Millisecond)
	next := ask(m, 1, 0, rules...)
	if next.Refused != nil {
		t.Fatal("a lease without a heartbeat has not expired")
	}
	if m.Heartbeat(lost.Hold) {
		t.Error("an expired lease lives on")
	}
	if used := next.Tightest[limits.Tokens].Used; used != 41 {
		t.Errorf("an expired estimate of 40 and one of 1: used %d", used)
	}
	m.Settle(lost.Hold, limits.Use{Input: 100})
	m.Settle(lost.Hold, limits.Use{Input: 100})
	m.Settle(next.Hold, limits.Use{Input: 1})
	if left := status(t, m); len(left) != 1 || left[0].Limit != tokens || left[0].Used != 101 {
		t.Errorf("after settlements of 100 and 1: %+v", left)
	}
}

func (s suite) longCallsAreCharged(t *testing.T) {
	m, c := s.open(t)
	l := &limits.Limit{Scope: limits.Key, Dimension: limits.Tokens, Amount: 60, Window: time.Minute}
	long := ask(m, 60, 0, rule(l, "a"))
	for range 3 {
		c.Add(40 * time.Second)
		m.Heartbeat(long.Hold)
	}
	if d := ask(m, 50, 0, rule(l, "a")); d.Refused == nil {
		t.Error("what was charged 40 s ago has flowed off too early")
	}
	c.Add(20 * time.Second)
	m.Heartbeat(long.Hold)
	if d := ask(m, 60, 0, rule(l, "a")); d.Refused != nil {
		t.Error("a long stream holds its estimate for ever")
	}
	for i := range 5000 { // the sweep must not forget whom the stream belongs to
		d := ask(m, 0, 0, rule(&limits.Limit{Scope: limits.User, Dimension: limits.Requests, Amount: 1e6, Window: time.Minute}, fmt.Sprint(i)))
		m.Settle(d.Hold, limits.Use{})
	}
	m.Settle(long.Hold, limits.Use{Input: 600})
	if d := ask(m, 1, 0, rule(l, "a")); d.Refused == nil {
		t.Error("what a long stream used beyond its estimate is forgotten")
	}
}

func (s suite) shadow(t *testing.T) {
	m, _ := s.open(t)
	l := &limits.Limit{Scope: limits.Key, Dimension: limits.Requests, Amount: 1, Window: time.Minute, Action: limits.Shadow}
	if d := ask(m, 0, 0, rule(l, "a")); d.Over != nil || d.Refused != nil {
		t.Error("the first call is over")
	}
	if d := ask(m, 0, 0, rule(l, "a")); d.Over != l || d.Refused != nil {
		t.Error("the second call is refused, or not said to be over")
	}
	if used := status(t, m)[0].Used; used != 1 {
		t.Errorf("a call that would have been refused is charged: used %d, want 1", used)
	}
}

func (s suite) lateSettlement(t *testing.T) {
	m, c := s.open(t)
	l := &limits.Limit{Scope: limits.Key, Dimension: limits.Tokens, Amount: 60, Window: time.Minute}
	late := ask(m, 10, 0, rule(l, "a"))
	c.Add(time.Hour)
	if left := status(t, m); len(left) != 0 {
		t.Fatalf("%+v is left an hour after an expired call", left)
	}
	m.Settle(late.Hold, limits.Use{Input: 50})
	m.Settle(late.Hold, limits.Use{Input: 50})
	if left := status(t, m); len(left) != 1 || left[0].Used != 40 {
		t.Errorf("%+v after a call that used 40 more than it was charged for when it expired", left)
	}
}

// rates drives a limiter and a slow, plain model of what may come. It is long
// because each step of the model is a function in it.
func (s suite) rates(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		m, c := s.open(outer)
		l := &limits.Limit{
			Scope: limits.Key, Dimension: limits.Tokens, Window: time.Minute,
			Amount: rapid.Int64Range(1, 1000).Draw(t, "amount"), Burst: rapid.Int64Range(0, 2000).Draw(t, "burst"),
		}
		slots := &limits.Limit{Scope: limits.Key, Dimension: limits.Concurrent, Amount: rapid.Int64Range(1, 5).Draw(t, "slots")}
		rules := []limits.Rule{rule(l, "a"), rule(slots, "a")}
		type open struct {
			hold     limits.Hold
			estimate int64
		}
		type charge struct {
			at     time.Duration
			amount int64
		}
		var holds []open
		var ended []limits.Hold
		var charges []charge
		var now, latest time.Duration
		begin := c.Now()
		m.Settle(ask(m, 0, 0, rules...).Hold, limits.Use{}) // it has seen this time
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				n := rapid.Int64Range(0, burst(l)).Draw(t, "tokens")
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
				m.Settle(holds[i].hold, limits.Use{Input: used})
				charges = append(charges, charge{latest, used})
				ended = append(ended, holds[i].hold)
				holds = append(holds[:i], holds[i+1:]...)
			},
			"settle again": func(t *rapid.T) {
				if len(ended) > 0 {
					m.Settle(rapid.SampledFrom(ended).Draw(t, "which"), limits.Use{Input: 1 << 40})
				}
			},
			"time": func(t *rapid.T) {
				now += time.Microsecond * time.Duration(rapid.Int64Range(-time.Minute.Microseconds(), (20*time.Second).Microseconds()).Draw(t, "by"))
				latest = max(latest, now)
				c.Set(begin.Add(now))
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
					room := float64(burst(l)) + float64(l.Amount)*(latest-charges[i].at).Minutes()
					if float64(sum) > room+1e-6 {
						t.Fatalf("%d tokens were settled where %.3f fit", sum, room)
					}
				}
				for _, s := range status(t, m) {
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
			m.Settle(h.hold, limits.Use{})
		}
		c.Set(begin.Add(latest + 100*365*24*time.Hour))
		if left := status(t, m); len(left) != 0 {
			t.Fatalf("%+v is left when all calls have ended", left)
		}
	})
}
