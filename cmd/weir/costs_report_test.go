package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"weir/costs"
	costreport "weir/costs/report"
	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
)

// importCalls stores calls of random customers and amounts, and returns what
// they cost by customer, and in all.
func importCalls(t *testing.T, db *sqldb.DB, n int, from time.Time) (by map[string]costs.Money, all costs.Money) {
	t.Helper()
	dice := rand.New(rand.NewPCG(1, 2))
	by = map[string]costs.Money{}
	var calls []*ledger.Call
	for range n {
		c := &ledger.Call{Start: from.Add(time.Duration(dice.Int64N(int64(40 * 24 * time.Hour)))), Outcome: ledger.OK}
		c.ID = fmt.Sprintf("call_%012x7%03x8%015x", c.Start.UnixMilli(), dice.IntN(0xfff), dice.Int64N(0xfffffffffffffff))
		c.Customer = []string{"", "acme", "<b>globex</b>", "=1+1"}[dice.IntN(4)]
		c.Feature, c.AttemptCount = []string{"", "chat"}[dice.IntN(2)], 1+dice.IntN(2)
		for i := range c.AttemptCount {
			m := costs.MoneyOf(dice.Int64N(1e12), dice.Int64N(1e9))
			charge := costs.Charge{Status: costs.Priced, List: m, Contracted: m, Book: "b"}
			a := ledger.Attempt{N: i + 1, Provider: "p", Model: fmt.Sprint("m", i), Charge: ledger.Settle(&charge, ledger.Amount{}, ledger.FromProvider)}
			a.Usage.Set(costs.Input, 10)
			c.Attempts = append(c.Attempts, a)
			by[c.Customer], all = by[c.Customer].Add(m), all.Add(m)
		}
		calls = append(calls, c)
	}
	if err := ledger.Import(t.Context(), db, calls); err != nil {
		t.Fatal(err)
	}
	return by, all
}

var tableCosts = regexp.MustCompile(`(?s)<table id="by-([a-z]+)".*?</tbody>`)

var costCell = regexp.MustCompile(`data-usd="([^"]*)"`)

// What calls cost, what the rollups say and what stands in the page's tables
// is the same, to the digit, in any zone, and folded rows change nothing.
func TestReportAddsUpToTheCalls(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 20, 0, 0, time.UTC)
	db, err := sqldb.Open("sqlite:" + filepath.Join(t.TempDir(), "weir.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	by, all := importCalls(t, db, 500, now.AddDate(0, 0, -40))
	check := func(zone string, limit int) {
		t.Helper()
		f := reportFlags{zone: zone, by: []string{"customer", "feature", "model", "day"}}
		f.since, f.limit = "41d", limit
		in, err := f.input(now)
		if err != nil {
			t.Fatal(err)
		}
		in.Limit = limit
		g := &gathering{ctx: t.Context(), calls: ledger.NewCalls(db, ""), in: in, by: f.by, count: func() {}}
		if err := g.gather(""); err != nil {
			t.Fatal(err)
		}
		r := costreport.Build(*in)
		var page bytes.Buffer
		if err := r.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		tables := tableCosts.FindAllStringSubmatch(page.String(), -1)
		if len(tables) != 4 || r.Total.Cost != all || r.Total.Calls != 500 {
			t.Fatalf("%s: %d tables, %v for %d calls; want 4, %v for 500", zone, len(tables), r.Total.Cost, r.Total.Calls, all)
		}
		for _, table := range tables {
			var sum costs.Money
			for _, m := range costCell.FindAllStringSubmatch(table[0], -1) {
				sum = sum.Add(costs.USD(m[1]))
			}
			if sum != all {
				t.Errorf("%s, limit %d: the page's table by %s adds up to %v, the calls to %v", zone, limit, table[1], sum, all)
			}
		}
		for _, row := range r.Tables[0].Rows {
			if row.More == 0 && row.Sum.Cost != by[row.Group[0]] {
				t.Errorf("%s: %s cost %v, want %v", zone, row.Name(), row.Sum.Cost, by[row.Group[0]])
			}
		}
		var days costs.Money
		for _, d := range r.Daily {
			days = days.Add(d.Cost)
		}
		if days != all {
			t.Errorf("%s: the days add up to %v, the calls to %v", zone, days, all)
		}
	}
	for _, zone := range []string{"UTC", "America/New_York", "Asia/Tokyo"} {
		check(zone, 100)
		check(zone, 1)
	}
}
