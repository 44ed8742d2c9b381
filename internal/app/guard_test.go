package app

import (
	"testing"
	"time"

	"weir/limits"
)

// TestGuard: while it is not known what was spent of a budget, its policy holds.
func TestGuard(t *testing.T) {
	const cent = limits.Dollar / 100
	now := time.Unix(1_790_000_000, 0)
	check := func(l limits.Limit, calls []int64, admitted int, why limits.Why) {
		t.Helper()
		l.Scope, l.Dimension, l.Period, l.Amount = limits.Global, limits.USD, limits.Month, limits.Dollar
		g := &guard{Limiter: limits.NewMemory(limits.Options{Now: func() time.Time { return now }})}
		reserve := func(cost int64) limits.Decision {
			return g.Reserve(t.Context(), &limits.Demand{Rules: []limits.Rule{{Limit: &l, Name: l.Name()}}, Use: limits.Use{USD: cost}})
		}
		g.expect([]*limits.Limit{&l})
		n := 0
		for _, cost := range calls {
			d := reserve(cost)
			if d.Refused == nil {
				n++
				g.Settle(d.Hold, limits.Use{USD: cost})
				continue
			}
			if d.Refused != &l || d.Why != why || why == limits.Failing && d.Wait != guardWait {
				t.Errorf("%s %+v: refused by %p, why %d, wait %s", l.OnFailure, l, d.Refused, d.Why, d.Wait)
			}
		}
		if n != admitted {
			t.Errorf("%s: %d calls admitted, want %d", l.OnFailure, n, admitted)
		}
		g.expect([]*limits.Limit{&l}) // a second time changes nothing
		if d := reserve(1); d.Refused == nil {
			if d := g.TopUp(t.Context(), d.Hold, limits.Use{USD: 99 * limits.Dollar}, limits.Use{}); d.Refused != nil && d.Refused != &l {
				t.Errorf("%s: a further attempt is refused by %+v", l.OnFailure, d.Refused)
			}
			g.Settle(d.Hold, limits.Use{})
		}
		if list, err := g.Status(t.Context()); err != nil || len(list) > 0 && (list[0].Limit != &l || list[0].Remaining != l.Amount-list[0].Used) {
			t.Errorf("%s: it stands as %+v, %v", l.OnFailure, list, err)
		}
		if err := g.Correct(t.Context(), &l, now.Add(-time.Hour), nil); err != nil {
			t.Fatal(err)
		}
		g.expect(nil)
		if d := reserve(5 * cent); d.Refused != nil && why != limits.Spent {
			t.Errorf("%s: once it is known, refused: %d", l.OnFailure, d.Why)
		}
	}
	three := []int64{2 * cent, 2 * cent, 2 * cent}
	check(limits.Limit{OnFailure: limits.Local, Exposure: 4 * cent}, three, 2, limits.Failing)
	check(limits.Limit{Exposure: 4 * cent}, three, 2, limits.Failing)
	check(limits.Limit{}, []int64{cent / 2, cent / 2, cent / 2}, 2, limits.Failing) // a hundredth
	check(limits.Limit{OnFailure: limits.Closed}, three, 0, limits.Failing)
	check(limits.Limit{OnFailure: limits.Open}, three, 3, limits.Failing)
	check(limits.Limit{OnFailure: limits.Closed, Action: limits.Warn}, three, 3, limits.Failing)
	check(limits.Limit{Exposure: 4 * cent}, []int64{2 * limits.Dollar}, 0, limits.Spent) // it would be refused anyway
}
