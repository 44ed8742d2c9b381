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
		for _, name := range f.Without {
			where[name] = ""
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
			{Without: []string{"source"}},
			{TriedAt: "one", Without: []string{"source"}},
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
	repriceUnpriced(t, db, calls, costs.MoneyOf(1, 2))
	all()
}

// What a report has under (none) are the calls without it, from the store and
// from the spool; so are those under tags, and under tags that are too long.
func TestListWithout(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	dice := rand.New(rand.NewPCG(5, 3))
	calls := pricedCalls(dice, 200)
	for i, c := range calls {
		if dice.IntN(2) == 0 {
			c.Customer, c.Feature, c.KeyID, c.ProjectID, c.Session = "", "", "", "", ""
		} else {
			c.Customer, c.Feature, c.KeyID, c.ProjectID, c.Session = "c", "f", "key_1", "proj_1", "s"
		}
		switch i % 9 {
		case 0:
			c.Tags = map[string]string{"team": "", "env": "prod"}
		case 1:
			c.Attempts, c.AttemptCount, c.Outcome = nil, 0, Failed
			c.settle()
		case 2:
			c.Attempts[0].Model = ""
		case 3:
			c.Tags = nil
		}
		recordAll(t, r, c)
	}
	check := func(f Filter, where map[string]string) {
		t.Helper()
		q := NewCalls(db, "")
		got, err := q.List(t.Context(), Query{Filter: f})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range calls {
			if f.Match(c) {
				n++
			}
		}
		if len(got) != n || n == 0 || n == len(calls) {
			t.Errorf("%+v: %d calls are listed, %d match of %d", f, len(got), n, len(calls))
		}
		if where == nil {
			return
		}
		sums, err := q.Costs(t.Context(), CostQuery{Where: where})
		if err != nil || len(sums) != 1 || sums[0].Calls != int64(n) {
			t.Errorf("%v: the report says %+v, %v; want %d calls", where, sums, err, n)
		}
	}
	flush(t, r)
	for _, name := range []string{"customer", "feature", "key", "project", "tags", "tag:team", "tag:nothing"} {
		check(Filter{Without: []string{name}}, map[string]string{name: ""})
	}
	check(Filter{Without: []string{"session"}}, nil)
	check(Filter{Without: []string{"provider"}}, map[string]string{"provider": ""})
	check(Filter{Without: []string{"provider", "model"}}, map[string]string{"provider": "", "model": ""})
	check(Filter{Without: []string{"model"}}, nil) // a call that it is not the last attempt of is there, too
	check(Filter{TriedAt: "one", Without: []string{"model"}}, nil)
	check(Filter{AllTags: `{"env":"prod","team":""}`}, map[string]string{"tags": `{"env":"prod","team":""}`})
	check(Filter{Cached: true}, nil)
	check(Filter{AllTags: LongTags}, map[string]string{"tags": LongTags})
	for _, name := range []string{"customer", "tag:x", "model", "source"} {
		if err := CheckWithout(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "tag:", "colour", "day"} {
		if CheckWithout(name) == nil {
			t.Errorf("%q passes", name)
		}
	}
}
