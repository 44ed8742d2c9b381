package ledger

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"weir/costs"
)

// Calls by what was tried are those that a report's sums are of: from the store
// and the spool, and by what a new price has made of them.
func TestListByWhatWasTried(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	calls := pricedCalls(rand.New(rand.NewPCG(5, 1)), 200)
	for _, c := range calls {
		recordAll(t, r, c)
	}
	flush(t, r)
	q := NewCalls(db, "")
	check := func(f Filter) {
		t.Helper()
		got, err := q.List(t.Context(), Query{Filter: f})
		if err != nil {
			t.Fatal(err)
		}
		var ids, want []string
		for _, c := range got {
			ids = append(ids, c.ID)
		}
		for _, c := range calls {
			if f.Match(c) {
				want = append(want, c.ID)
			}
		}
		slices.Sort(ids)
		slices.Sort(want)
		if !slices.Equal(ids, want) || len(want) == 0 || len(want) == len(calls) {
			t.Errorf("%+v: %d calls are listed, want %d of %d", f, len(ids), len(want), len(calls))
		}
		where := map[string]string{}
		for name, value := range map[string]string{"provider": f.TriedAt, "model": f.TriedModel, "source": string(f.CostSource)} {
			if value != "" {
				where[name] = value
			}
		}
		var listed costs.Sum
		for _, c := range calls {
			for i := range c.Attempts {
				if one := (&Call{Attempts: c.Attempts[i : i+1]}); f.Match(one) {
					listed.Attempts++
					listed.Cost = listed.Cost.Add(c.Attempts[i].Cost.Money)
				}
			}
			if len(c.Attempts) == 0 && f.Match(c) {
				listed.Attempts++
			}
		}
		sums, err := q.Costs(t.Context(), CostQuery{Where: where})
		if err != nil || len(sums) != 1 || sums[0].Attempts != listed.Attempts || sums[0].Cost != listed.Cost {
			t.Errorf("%+v: the report says %+v, %v; the calls %d attempts for %v", f, sums, err, listed.Attempts, listed.Cost)
		}
	}
	all := func() {
		t.Helper()
		for _, f := range []Filter{
			{TriedAt: "one"},
			{TriedModel: "n"},
			{TriedAt: "two", TriedModel: "m"},
			{CostSource: CostEstimated},
			{TriedAt: "one", CostSource: CostByProvider},
			{TriedAt: "two", TriedModel: "n", CostSource: CostFree},
		} {
			check(f)
		}
	}
	all()
	check(Filter{CostSource: CostUnpriced})
	wasted, err := q.List(t.Context(), Query{Filter: Filter{Wasted: true}, Attempts: true})
	if err != nil {
		t.Fatal(err)
	}
	var waste costs.Money
	for _, c := range wasted {
		if !c.Attempts[0].Wasted {
			t.Errorf("call %s wasted nothing", c.ID)
		}
		for i := range c.Attempts {
			if c.Attempts[i].Wasted {
				waste = waste.Add(c.Attempts[i].Cost.Money)
			}
		}
	}
	if sums, err := q.Costs(t.Context(), CostQuery{}); err != nil || sums[0].Wasted != waste || waste.IsZero() {
		t.Errorf("the report says %+v, %v; the calls wasted %v", sums, err, waste)
	}
	price := Repricing{Reason: "test", Price: func(_ *Call, a *Attempt) Charge {
		m := costs.MoneyOf(1, 2)
		return Settle(&costs.Charge{Status: costs.Priced, List: m, Contracted: m, Book: "b2"}, Amount{}, a.UsageSource)
	}}
	if _, err := Reprice(t.Context(), db, price); err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		for i := range c.Attempts {
			if a := &c.Attempts[i]; a.CostSource == CostUnpriced {
				a.Charge = price.Price(c, a)
			}
		}
		c.settle()
	}
	all()
}
