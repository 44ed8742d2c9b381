package limits

import (
	"testing"
	"time"
)

// TestGuard: while it is not known what was spent of a budget, its policy holds.
func TestGuard(t *testing.T) {
	const cent = Dollar / 100
	now := time.Unix(1_790_000_000, 0)
	check := func(l Limit, calls []int64, admitted int, why Why) {
		t.Helper()
		l.Scope, l.Dimension, l.Period, l.Amount = Global, USD, Month, Dollar
		g := NewGuard(NewMemory(Options{Now: func() time.Time { return now }}))
		reserve := func(cost int64) Decision {
			return g.Reserve(t.Context(), &Demand{Rules: []Rule{{Limit: &l, Name: l.Name()}}, Use: Use{USD: cost}})
		}
		g.Expect([]*Limit{&l})
		n := 0
		for _, cost := range calls {
			d := reserve(cost)
			if d.Refused == nil {
				n++
				g.Settle(d.Hold, Use{USD: cost})
				continue
			}
			if d.Refused != &l || d.Why != why || why == Failing && d.Wait != failWait {
				t.Errorf("%s %+v: refused by %p, why %d, wait %s", l.OnFailure, l, d.Refused, d.Why, d.Wait)
			}
		}
		if n != admitted {
			t.Errorf("%s: %d calls admitted, want %d", l.OnFailure, n, admitted)
		}
		g.Expect([]*Limit{&l}) // a second time changes nothing
		if d := reserve(1); d.Refused == nil {
			if d := g.TopUp(t.Context(), d.Hold, Use{USD: 99 * Dollar}, Use{}); d.Refused != nil && d.Refused != &l {
				t.Errorf("%s: a further attempt is refused by %+v", l.OnFailure, d.Refused)
			}
			g.Settle(d.Hold, Use{})
		}
		if list, err := g.Status(t.Context()); err != nil || len(list) > 0 && (list[0].Limit != &l || list[0].Remaining != l.Amount-list[0].Used) {
			t.Errorf("%s: it stands as %+v, %v", l.OnFailure, list, err)
		}
		if err := g.Correct(t.Context(), &l, now.Add(-time.Hour), nil); err != nil {
			t.Fatal(err)
		}
		g.Expect(nil)
		if d := reserve(5 * cent); d.Refused != nil && why != Spent {
			t.Errorf("%s: once it is known, refused: %d", l.OnFailure, d.Why)
		}
	}
	three := []int64{2 * cent, 2 * cent, 2 * cent}
	check(Limit{OnFailure: Local, Exposure: 4 * cent}, three, 2, Failing)
	check(Limit{Exposure: 4 * cent}, three, 2, Failing)
	check(Limit{}, []int64{cent / 2, cent / 2, cent / 2}, 2, Failing) // a hundredth
	check(Limit{OnFailure: Closed}, three, 0, Failing)
	check(Limit{OnFailure: Open}, three, 3, Failing)
	check(Limit{OnFailure: Closed, Action: Warn}, three, 3, Failing)
	check(Limit{Exposure: 4 * cent}, []int64{2 * Dollar}, 0, Spent) // it would be refused anyway
}

// TestGuardOnRedis: what is counted already, by other processes or before this
// one was there, is no reason to refuse: the exposure is on top of it.
func TestGuardOnRedis(t *testing.T) {
	const cent = Dollar / 100
	now := time.Unix(1_790_000_000, 0)
	l := &Limit{Scope: Customer, Dimension: USD, Period: Month, Amount: Dollar, Exposure: 4 * cent}
	day := &Limit{Scope: Global, Dimension: USD, Period: Day, Amount: Dollar, Exposure: 8 * cent}
	g := NewGuard(NewMemory(Options{Now: func() time.Time { return now }}))
	spend := func(value string, usd int64) Decision {
		d := g.Reserve(t.Context(), &Demand{Project: "p", Use: Use{USD: usd}, Rules: []Rule{
			{Limit: l, Name: l.Name(), Value: value}, {Limit: day, Name: day.Name()},
		}})
		g.Settle(d.Hold, Use{USD: usd})
		return d
	}
	spend("acme", 50*cent)
	g.Expect([]*Limit{l, day})
	for i, admitted := range []bool{true, true, false} {
		d := spend("acme", 2*cent)
		if (d.Refused == nil) != admitted || !admitted && (d.Refused != l || d.Why != Failing || d.Used != 54*cent) {
			t.Errorf("call %d: %+v", i, d)
		}
		if s := d.Tightest[USD]; s.Limit != l && s.Limit != day {
			t.Errorf("call %d: the tightest is %+v", i, s.Limit)
		}
	}
	for i, admitted := range []bool{true, true, false} {
		if d := spend("hooli", 2*cent); (d.Refused == nil) != admitted {
			t.Errorf("of another value, call %d: %+v", i, d)
		}
	}
	list, err := g.Status(t.Context())
	for _, s := range list {
		if s.Limit != l && s.Limit != day {
			t.Errorf("it stands as %+v", s.Limit)
		}
	}
	if g.Expect(nil); err != nil || spend("acme", 40*cent).Refused != nil || len(g.met) > 0 {
		t.Errorf("once it is known: refused, or %d values are remembered (%v)", len(g.met), err)
	}
}
