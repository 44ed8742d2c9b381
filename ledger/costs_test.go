package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/internal/sqldb"
)

// pricedCalls are calls of a few days, of every source of a charge.
func pricedCalls(dice *rand.Rand, n int) []*Call {
	start := time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)
	var out []*Call
	for i := range n {
		c := variedCall(dice)
		c.Start = start.Add(time.Duration(dice.IntN(4*24*60)) * time.Minute)
		c.ID = fmt.Sprintf("call_%012x%020x", c.Start.UnixMilli(), i)
		if dice.IntN(3) == 0 {
			c.Tags = map[string]string{"team": []string{"a", "b"}[dice.IntN(2)]}
		}
		if dice.IntN(20) == 0 {
			c.Tags = map[string]string{"team": strings.Repeat("x", maxTagsText)}
		}
		for j := range c.Attempts {
			a := &c.Attempts[j]
			a.N, a.Provider, a.Model = j+1, []string{"one", "two"}[dice.IntN(2)], []string{"m", "n"}[dice.IntN(2)]
			a.Charge = variedCharge(dice)
			if len(a.Lines) > 0 && dice.IntN(2) == 0 {
				a.Usage.Set(costs.Input, 1+dice.Int64N(1e4))
				a.Usage.Set(costs.InputCacheRead, 1+dice.Int64N(1e5))
				a.Lines = append(a.Lines, PriceLine{costs.InputCacheRead, "base:x/y/input_cache_read", costs.MoneyOf(dice.Int64N(5e9), 0)})
			}
		}
		c.settle()
		c.AttemptCount = len(c.Attempts)
		out = append(out, c)
	}
	return out
}

func variedCharge(dice *rand.Rand) Charge {
	m := costs.MoneyOf(dice.Int64N(5e9), dice.Int64N(1e9))
	c := costs.Charge{Status: costs.Priced, List: m, Contracted: m, Book: "b1"}
	switch dice.IntN(6) {
	case 0:
		return Charge{}
	case 1:
		return Settle(&costs.Charge{Status: costs.Unpriced, Why: "no row", Book: "b1"}, Amount{}, FromProvider)
	case 2:
		charged := costs.MoneyOf(dice.Int64N(5e9), dice.Int64N(1e9))
		switch dice.IntN(4) {
		case 0:
			charged = m.Add(costs.MoneyOf(0, dice.Int64N(1e9)-5e8)) // within 1 %
		case 1:
			c.Status, c.Why = costs.Unpriced, "no row"
		}
		return Settle(&c, Known(charged), FromProvider)
	case 3:
		return Settle(&costs.Charge{Status: costs.Free, Book: "b1"}, Amount{}, FromProvider)
	case 4:
		return Settle(&c, Amount{}, Estimated)
	}
	c.List = m.Add(m)
	c.Lines = []costs.Line{{Meter: costs.Input, Row: "base:x/y/input", Contracted: m}}
	return Settle(&c, Amount{}, FromProvider)
}

// rowSums adds calls up without SQL.
func rowSums(calls []*Call, in func(*Call, *Attempt) bool) (s costs.Sum) {
	for _, c := range calls {
		if len(c.Attempts) == 0 && in(c, &Attempt{}) {
			s.Calls++
			if c.Outcome == Interrupted {
				s.Attempts++
				s.Unpriced++
				s.WastedAttempts++
			}
		}
		for i := range c.Attempts {
			a := &c.Attempts[i]
			if !in(c, a) {
				continue
			}
			s.Attempts++
			if i == len(c.Attempts)-1 {
				s.Calls++
			}
			s.Cost, s.List, s.Charged = s.Cost.Add(a.Cost.Money), s.List.Add(a.List.Money), s.Charged.Add(a.Charged.Money)
			if c.wasted(i) {
				s.Wasted = s.Wasted.Add(a.Cost.Money)
				s.WastedAttempts++
			}
			if saved, cached, known := a.cacheSaving(); cached {
				s.Cached++
				if known {
					s.CacheKnown++
					s.Saved = s.Saved.Add(saved)
				}
			}
			if a.Charged.Known && a.Computed.Known {
				s.Compared++
				s.Drift, s.DriftOf = s.Drift.Add(a.Charged.Sub(a.Computed.Money)), s.DriftOf.Add(a.Computed.Money)
				if a.Drifts() {
					s.Drifted++
				}
			}
			switch a.CostSource {
			case CostEstimated:
				s.Guessed++
				s.Estimated = s.Estimated.Add(a.Cost.Money)
			case CostUnpriced:
				s.Unpriced++
			}
		}
	}
	return s
}

func checkCosts(t *testing.T, q *Calls, query CostQuery, calls []*Call, in func(*Call, *Attempt) bool) {
	t.Helper()
	want := rowSums(calls, in)
	sums, err := q.Costs(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	var got costs.Sum
	for i := range sums {
		got.Add(&sums[i])
	}
	got.Usage, got.Group, got.Start = costs.Usage{}, nil, time.Time{}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v:\ngot  %+v\nwant %+v", query, got, want)
	}
}

// What the rollups say is what the rows say, to the last digit, however it is
// grouped and wherever it is cut; and reading a spool again changes nothing.
func TestRollupsEqualRows(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	dice := rand.New(rand.NewPCG(7, 7))
	calls := pricedCalls(dice, 400)
	for _, c := range calls {
		recordAll(t, r, c)
	}
	flush(t, r)
	q := NewCalls(db, "")
	check := func() {
		t.Helper()
		every := func(*Call, *Attempt) bool { return true }
		plus := time.FixedZone("", 2*3600)
		for _, by := range [][]string{nil, {"day"}, {"hour"}, {"provider", "model"}, {"tag:team", "customer"}, {"tags"}, {"source", "day"}} {
			checkCosts(t, q, CostQuery{By: by}, calls, every)
			checkCosts(t, q, CostQuery{By: by, Zone: plus}, calls, every)
		}
		checkCosts(t, q, CostQuery{Where: map[string]string{"provider": "one"}}, calls, func(_ *Call, a *Attempt) bool { return a.Provider == "one" })
		checkCosts(t, q, CostQuery{Where: map[string]string{"tag:team": "a"}}, calls, func(c *Call, _ *Attempt) bool { return c.Tags["team"] == "a" })
		since, until := calls[0].Start.Truncate(time.Hour), calls[1].Start.Truncate(time.Hour)
		if until.Before(since) {
			since, until = until, since
		}
		checkCosts(t, q, CostQuery{Since: since, Until: until, By: []string{"day"}}, calls, func(c *Call, _ *Attempt) bool {
			return !c.Start.Before(since) && c.Start.Before(until)
		})
	}
	check()
	mustExec(t, db, `DELETE FROM spool_position`)
	for _, c := range calls[:100] {
		recordAll(t, r, c)
	}
	flush(t, r)
	check()
	if _, err := q.Costs(context.Background(), CostQuery{By: []string{"colour"}}); err == nil {
		t.Error("a group that there is not was taken")
	}
	for _, want := range calls[:50] {
		got, err := q.Get(t.Context(), want.ID)
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
}

// Days of a zone are made of days of UTC and of the hours by which they differ:
// they are what its hours, read one by one, add up to.
func TestDaysOfZones(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	dice := rand.New(rand.NewPCG(5, 7))
	starts := []time.Time{
		time.Date(2026, 3, 7, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC),
		time.Date(2011, 12, 29, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC),
	}
	n := 1500
	if racing {
		n = 150 // SQLite is 20 times slower then
	}
	calls := spentCalls(dice, n)
	for i, c := range calls {
		c.Start = starts[i%len(starts)].Add(time.Duration(dice.Int64N(3*24*3600*1e6)) * time.Microsecond)
		c.ID = fmt.Sprintf("call_%012x%020x", c.Start.UnixMilli(), i)
	}
	if err := Import(t.Context(), db, calls); err != nil {
		t.Fatal(err)
	}
	q := NewCalls(db, "")
	for _, name := range []string{
		"UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Auckland", "Pacific/Apia", "America/St_Johns",
		"Africa/Cairo", "Australia/Lord_Howe", "Asia/Beirut",
	} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			query := CostQuery{By: []string{"day", "customer"}, Zone: zone}
			if i > 0 {
				query.Since = starts[i].Add(time.Duration(dice.IntN(40)) * time.Hour)
				query.Until = query.Since.Add(time.Duration(dice.IntN(60)) * time.Hour)
			}
			byHour := query
			byHour.By = []string{"hour", "customer"}
			got, err := q.Costs(t.Context(), query)
			if err != nil {
				t.Fatal(err)
			}
			hours, err := q.Costs(t.Context(), byHour)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]*costs.Sum{}
			for _, h := range hours {
				day := h.Start.In(zone).Format(time.DateOnly)
				if want[day+h.Group[1]] == nil {
					want[day+h.Group[1]] = &costs.Sum{Group: []string{day, h.Group[1]}, Start: query.startOf(h.Start.UnixMicro())}
				}
				want[day+h.Group[1]].Add(&h)
			}
			for i := range got {
				s := &got[i]
				if w := want[s.Group[0]+s.Group[1]]; w == nil || fmt.Sprintf("%+v", *w) != fmt.Sprintf("%+v", *s) {
					t.Errorf("%s since %v:\ngot  %+v\nwant %+v", name, query.Since, *s, w)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s since %v: %d groups, want %d", name, query.Since, len(got), len(want))
			}
		}
	}
}

// What is repriced is adjusted once; rows stay, the rollups follow, and a
// rebuild finds nothing to do until somebody spoils them.
// repriceUnpriced prices what has no price, in the store and in the calls.
func repriceUnpriced(t *testing.T, db *sqldb.DB, calls []*Call, price costs.Money) {
	t.Helper()
	o := Repricing{Reason: "test", Price: func(_ *Call, a *Attempt) Charge {
		return Settle(&costs.Charge{Status: costs.Priced, List: price, Contracted: price, Book: "b2"}, Amount{}, a.UsageSource)
	}}
	if _, err := Reprice(t.Context(), db, o); err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		for i := range c.Attempts {
			if a := &c.Attempts[i]; a.CostSource == CostUnpriced {
				a.Charge = o.Price(c, a)
			}
		}
		c.settle()
	}
}

// A batch was charged request by request. Its sum alone is left, of which a
// book with thresholds can only guess.
func TestRepriceKeepsWhatWasExact(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	priced := func(a *Attempt, usd string, mean bool) Charge {
		m := costs.USD(usd)
		return Settle(&costs.Charge{Status: costs.Priced, List: m, Contracted: m, Book: "b", Mean: mean}, Amount{}, a.UsageSource)
	}
	c := testCall(callID())
	a := &c.Attempts[0]
	a.UsageSource = FromProvider
	a.Charge = priced(a, "1.5", false)
	c.settle()
	if err := Import(t.Context(), db, []*Call{c}); err != nil {
		t.Fatal(err)
	}
	check := func(usd string, mean bool, want string) {
		t.Helper()
		o := Repricing{All: true, Reason: "test", Price: func(_ *Call, a *Attempt) Charge { return priced(a, usd, mean) }}
		_, err := Reprice(t.Context(), db, o)
		got, failed := NewCalls(db, "").Get(t.Context(), c.ID)
		if err != nil || failed != nil || got.Attempts[0].Cost.String() != want || got.Attempts[0].CostSource != CostComputed {
			t.Errorf("at %s (mean: %v): %v %v, %v, %v; want %s", usd, mean, got.Attempts[0].Cost, got.Attempts[0].CostSource, err, failed, want)
		}
	}
	check("1.2", true, "1.5")
	check("1.2", false, "1.2")
	check("1.5", true, "1.2")
}

func TestRepriceAndRebuild(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	calls := pricedCalls(rand.New(rand.NewPCG(3, 9)), 300)
	for _, c := range calls {
		recordAll(t, r, c)
	}
	flush(t, r)
	q := NewCalls(db, "")
	every := func(*Call, *Attempt) bool { return true }
	rebuild := func(wrong bool) {
		t.Helper()
		got, err := RebuildCosts(t.Context(), db, nil)
		if err != nil || got.Wrong > 0 != wrong {
			t.Errorf("rebuild: %+v, %v; want wrong: %v", got, err, wrong)
		}
		checkCosts(t, q, CostQuery{}, calls, every)
		checkCosts(t, q, CostQuery{By: []string{"hour", "source"}}, calls, every)
	}
	rebuild(false)
	price := costs.MoneyOf(3, 14)
	o := Repricing{Reason: "test", Price: func(_ *Call, a *Attempt) Charge {
		return Settle(&costs.Charge{Status: costs.Priced, List: price, Contracted: price, Book: "b2"}, Amount{}, a.UsageSource)
	}}
	unpriced := int64(0)
	for _, c := range calls {
		for i := range c.Attempts {
			if a := &c.Attempts[i]; a.CostSource == CostUnpriced {
				unpriced++
				a.Charge = o.Price(c, a)
			}
		}
		c.settle()
	}
	for _, dry := range []bool{true, false} {
		o.DryRun = dry
		got, err := Reprice(t.Context(), db, o)
		if err != nil || got.Adjusted != unpriced || unpriced == 0 || got.Unpriced != 0 {
			t.Fatalf("reprice (dry: %v): %+v, %v; want %d adjusted", dry, got, err, unpriced)
		}
	}
	checkCosts(t, q, CostQuery{By: []string{"day", "source"}}, calls, every)
	if got, err := Reprice(t.Context(), db, o); err != nil || got.Adjusted != 0 {
		t.Errorf("a second run: %+v, %v", got, err)
	}
	rebuild(false)
	for _, c := range calls {
		got, err := q.Get(t.Context(), c.ID)
		if err != nil || got.Cost != c.Cost || got.CostSource != c.CostSource {
			t.Fatalf("call %s: %v %v, %v; want %v %v", c.ID, got.Cost, got.CostSource, err, c.Cost, c.CostSource)
		}
		for i, a := range got.Attempts {
			if repriced := c.Attempts[i].Book == "b2"; repriced != (len(a.Adjustments) == 1) {
				t.Fatalf("call %s, attempt %d of book %s: %d adjustments", c.ID, a.N, a.Book, len(a.Adjustments))
			} else if repriced {
				d := a.Adjustments[0]
				if d.Seq != 1 || d.At.IsZero() || d.Reason != "test" || d.From.Known || d.FromSource != CostUnpriced || d.Cost != Known(price) || d.Book != "b2" {
					t.Errorf("call %s: adjustment %+v", c.ID, d)
				}
			}
		}
	}
	for _, spoil := range []string{
		`UPDATE costs_hourly SET cost_atto = cost_atto + 1`,
		`DELETE FROM costs_daily`, `DELETE FROM costs_hourly`, `UPDATE costs_daily SET calls = calls + 1`,
		`UPDATE costs_hourly SET drift_atto = drift_atto - 1`, `UPDATE costs_daily SET wasted_attempts = wasted_attempts + 1`,
		`CREATE TEMP TABLE away AS SELECT * FROM costs_daily; UPDATE away SET day = day - 86400000000 * 30;
			INSERT INTO costs_daily SELECT * FROM away; DROP TABLE away`,
	} {
		mustExec(t, db, spoil)
		rebuild(true)
		rebuild(false)
	}
}
