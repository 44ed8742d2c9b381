package ledger

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir/costs"
)

// Percentiles are those of the calls' own amounts, also after a repricing, and
// say when not all calls were looked at.
func TestCallCost(t *testing.T) {
	db := openStore(t, t.TempDir())
	calls := pricedCalls(rand.New(rand.NewPCG(6, 1)), 300)
	for i, c := range calls {
		if i%3 == 0 {
			c.Customer = "acme"
		}
	}
	if err := Import(t.Context(), db, calls); err != nil {
		t.Fatal(err)
	}
	q := NewCalls(db, "")
	check := func(query CostQuery, in func(*Call) bool) {
		t.Helper()
		got, err := q.CallCost(t.Context(), query)
		var amounts []costs.Money
		for _, c := range calls {
			if c.Cost.Known && in(c) {
				amounts = append(amounts, c.Cost.Money)
			}
		}
		slices.SortFunc(amounts, costs.Money.Cmp)
		n := len(amounts)
		at := func(percent int) costs.Money { // so many percent cost at most this
			for i, m := range amounts {
				if (i+1)*100 >= percent*n {
					return m
				}
			}
			return costs.Money{}
		}
		if want := (CallCost{int64(n), false, at(50), at(90), at(99)}); err != nil || got != want || n < 10 {
			t.Errorf("%+v: got %+v, %v, want %+v", query, got, err, want)
		}
	}
	all := func() {
		t.Helper()
		check(CostQuery{}, func(*Call) bool { return true })
		check(CostQuery{Where: map[string]string{"customer": "acme", "prompt": ""}}, func(c *Call) bool { return c.Customer == "acme" })
		check(CostQuery{Where: map[string]string{"tag:team": "a"}}, func(c *Call) bool { return c.Tags["team"] == "a" })
		check(CostQuery{Where: map[string]string{"provider": "one"}}, func(c *Call) bool {
			return slices.ContainsFunc(c.Attempts, func(a Attempt) bool { return a.Provider == "one" })
		})
	}
	all()
	repriceUnpriced(t, db, calls, costs.USD("7"))
	all()
	if got, err := q.callCost(t.Context(), Filter{}, time.Nanosecond); err != nil || !got.Newest || got.Calls > 0 {
		t.Errorf("without time: %+v, %v", got, err)
	}
	if got, err := q.CallCost(t.Context(), CostQuery{Where: map[string]string{"prompt": "p"}}); err != nil || got.Calls > 0 {
		t.Errorf("of a prompt: %+v, %v", got, err)
	}
	if _, err := q.CallCost(t.Context(), CostQuery{Where: map[string]string{"colour": "red"}}); err == nil {
		t.Error("by colour: no error")
	}
}
