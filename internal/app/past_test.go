package app

import (
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
)

var pastEnd = time.Date(2026, 11, 26, 15, 0, 0, 0, time.UTC)

func pastBook(t *testing.T) *costs.Book {
	t.Helper()
	b, err := costs.NewBook(costs.Sources{Own: []byte(pastPrices(pastEnd)), OwnName: "prices.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The same end has the same past, to the last id and digit.
func TestPastIsDetermined(t *testing.T) {
	b := pastBook(t)
	one, two := makePast(pastEnd, b), makePast(pastEnd, b)
	if len(one) != len(two) || len(one) < 20_000 {
		t.Fatalf("%d and %d calls", len(one), len(two))
	}
	for i := range one {
		if one[i].ID != two[i].ID || one[i].Cost != two[i].Cost || i > 0 && one[i].ID <= one[i-1].ID {
			t.Fatalf("call %d: %+v and %+v", i, one[i], two[i])
		}
	}
	if pastRevenue(pastEnd, one) != pastRevenue(pastEnd, two) {
		t.Error("the revenue differs")
	}
}

// The past has what a report can tell: a whale and a tail, waste, estimates,
// calls without a price, a discount, and what moved; its rollups are its rows.
func TestPastHasSomethingToSay(t *testing.T) {
	calls := makePast(pastEnd, pastBook(t))
	db, err := sqldb.Open("sqlite:" + t.TempDir() + "/weir.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Import(t.Context(), db, calls); err != nil {
		t.Fatal(err)
	}
	var total, wasted, estimated costs.Money
	var discounted, unpriced int64
	for _, c := range calls {
		for i := range c.Attempts {
			a := &c.Attempts[i]
			total = total.Add(a.Cost.Money)
			if a.Wasted {
				wasted = wasted.Add(a.Cost.Money)
			}
			switch a.CostSource {
			case ledger.CostEstimated:
				estimated = estimated.Add(a.Cost.Money)
			case ledger.CostUnpriced:
				unpriced++
			}
			if a.List.Known && a.List.Cmp(a.Cost.Money) > 0 {
				discounted++
			}
		}
	}
	sums, err := ledger.NewCalls(db, "").Costs(t.Context(), ledger.CostQuery{By: []string{"customer"}})
	if err != nil {
		t.Fatal(err)
	}
	var rolled costs.Money
	byCustomer := map[string]costs.Money{}
	for _, s := range sums {
		rolled = rolled.Add(s.Cost)
		byCustomer[s.Group[0]] = s.Cost
	}
	if rolled != total {
		t.Errorf("the rollups say %v, the rows %v", rolled, total)
	}
	part, _ := wasted.Parts()
	whole, _ := total.Parts()
	if percent := 100 * float64(part) / float64(whole); percent < 2 || percent > 8 {
		t.Errorf("%.1f %% of it is wasted", percent)
	}
	if wasted.Sign() <= 0 || estimated.Sign() <= 0 || unpriced == 0 || discounted == 0 {
		t.Errorf("wasted %v, estimated %v, %d unpriced, %d discounted", wasted, estimated, unpriced, discounted)
	}
	if len(byCustomer) < 30 || byCustomer["northwind"].Cmp(byCustomer["globex"]) <= 0 {
		t.Errorf("%d customers, the whale at %v", len(byCustomer), byCustomer["northwind"])
	}
}

// The bad afternoon, the runaway, the move and the discount are each to be seen in sums.
func TestPastHasItsEvents(t *testing.T) {
	today := pastEnd.Truncate(24 * time.Hour)
	ago := func(c *ledger.Call) int { return int(today.Sub(c.Start.Truncate(24*time.Hour)) / (24 * time.Hour)) }
	retried, dearest, loop := map[int]int{}, map[int]costs.Money{}, [2]costs.Money{}
	for _, c := range makePast(pastEnd, pastBook(t)) {
		day := ago(c)
		for i := range c.Attempts {
			if c.Attempts[i].ErrorClass == "upstream_error" {
				retried[day]++
			}
			if a := &c.Attempts[i]; a.Provider == "rack" && (day >= pastRack || a.CostSource != ledger.CostComputed && c.Outcome == ledger.OK) {
				t.Fatalf("%d days ago the GPU: %+v", day, a)
			}
		}
		if a := &c.Attempts[0]; c.Feature == "reports" && strings.HasPrefix(a.Lines[0].Row, "own:") != (day <= pastDearer) {
			t.Fatalf("%d days ago a report went by %s", day, a.Lines[0].Row)
		}
		dearest[day] = dearest[day].Add(c.Cost.Money)
		if c.Session != "" {
			half := min(1, int(c.Start.Sub(today.AddDate(0, 0, -pastRunaway).Add(2*time.Hour))/(73*time.Minute)))
			loop[half] = loop[half].Add(c.Cost.Money)
		}
		if late := day < pastCheaper; c.Feature == "summaries" && (c.Model == "claude-haiku-4-5") != late {
			t.Fatalf("%d days ago summaries were made by %s", day, c.Model)
		}
		if a := &c.Attempts[0]; a.Provider == "claude" && a.Cost.Sign() > 0 && (a.List.Cmp(a.Cost.Money) > 0) != (day <= pastCheaper) {
			t.Fatalf("%d days ago %s cost %v of %v", day, c.Model, a.Cost, a.List)
		}
	}
	for day, n := range retried {
		if day != pastIncident && n > 0 || day == pastIncident && n < 20 {
			t.Errorf("%d days ago: %d retries", day, n)
		}
	}
	for day, spent := range dearest {
		if day != pastRunaway && spent.Cmp(dearest[pastRunaway]) >= 0 {
			t.Errorf("%d days ago %v were spent, in the night of the loop %v", day, spent, dearest[pastRunaway])
		}
	}
	if loop[1].Cmp(loop[0].Add(loop[0])) < 0 {
		t.Errorf("the loop spent %v, then %v: it does not rise", loop[0], loop[1])
	}
}
