package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"weir/costs"
	"weir/internal/sqldb"
)

// TestCostsOfMany measures reports over many calls. WEIR_COSTS_CALLS says how
// many (10000000); the rollups are those that the calls would have made, by
// the same code, but the calls' own rows are not written, which no report reads.
func TestCostsOfMany(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("WEIR_COSTS_CALLS"))
	if n == 0 {
		t.Skip("WEIR_COSTS_CALLS is not set")
	}
	db := openStore(t, t.TempDir())
	rows := rowStore{db: db}
	defer func() { _ = rows.close() }()
	began := time.Now()
	addMany(t, &rows, n)
	t.Logf("%d calls added up in %v", n, time.Since(began).Round(time.Second))
	for _, table := range []string{"costs_hourly", "costs_daily"} {
		t.Logf("%s: %d rows", table, countRows(t, db, table))
	}
	q := NewCalls(db, "")
	for _, query := range []CostQuery{
		{},
		{By: []string{"day"}},
		{By: []string{"customer"}},
		{By: []string{"customer", "feature", "model"}},
		{By: []string{"day", "feature"}},
		{By: []string{"tag:team"}},
		{By: []string{"customer"}, Since: manyStart.Add(5 * time.Hour), Until: manyStart.AddDate(0, 0, 29).Add(7 * time.Hour)},
		{By: []string{"hour"}, Since: manyStart.AddDate(0, 0, 28)},
		{By: []string{"day"}, Zone: zoneNamed(t, "America/New_York")},
		{By: []string{"day"}, Zone: zoneNamed(t, "Asia/Kolkata")},
		{By: []string{"day"}, Zone: zoneNamed(t, "Pacific/Auckland")},
		{By: []string{"day", "customer", "feature", "model"}, Zone: zoneNamed(t, "America/New_York"), Since: manyStart.Add(4 * time.Hour)},
		{By: []string{"day", "customer", "feature", "model"}},
	} {
		began := time.Now()
		sums, err := q.Costs(context.Background(), query)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("by %v, since %v, zone %v: %d groups in %v", query.By, query.Since, query.Zone, len(sums), time.Since(began).Round(time.Millisecond))
	}
	sums, err := q.Costs(context.Background(), CostQuery{})
	if err != nil || sums[0].Calls != int64(n) {
		t.Errorf("%+v, %v; want %d calls", sums, err, n)
	}
}

// TestSpentOfMany measures what a start asks of the ledger for its budgets: a
// day of WEIR_SPENT_CALLS calls (300000), with their rows.
func TestSpentOfMany(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("WEIR_SPENT_CALLS"))
	if n == 0 {
		t.Skip("WEIR_SPENT_CALLS is not set")
	}
	db := openStore(t, t.TempDir())
	price := costs.MoneyOf(1234567, 89)
	charge := Settle(&costs.Charge{Status: costs.Priced, List: price, Contracted: price, Book: "b"}, Amount{}, FromProvider)
	began := time.Now()
	const step = 20_000
	for i := 0; i < n; i += step {
		var calls []*Call
		for j := i; j < min(i+step, n); j++ {
			c := testCall("")
			c.Start = manyStart.Add(time.Duration(j) * (24 * time.Hour / time.Duration(n)))
			c.ID = fmt.Sprintf("call_%012x%020x", c.Start.UnixMilli(), j)
			c.ProjectID, c.Customer, c.User, c.Session = "proj_1", fmt.Sprint("customer-", j%500), fmt.Sprint("user-", j%5000), fmt.Sprint("session-", j/10)
			c.Attempts[0].Charge = charge
			calls = append(calls, c)
		}
		if err := Import(t.Context(), db, calls); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d calls imported in %v", n, time.Since(began).Round(time.Second))
	q := NewCalls(db, "")
	since, until := manyStart.Add(90*time.Minute), manyStart.Add(22*time.Hour+30*time.Minute)
	for _, query := range []SpentQuery{
		{Scope: "global"},
		{Scope: "customer"},
		{Scope: "tag", Tag: "env"},
		{Scope: "target"},
		{Scope: "model"},
		{Scope: "user"},
		{Scope: "session"},
		{Scope: "session", Value: "session-9000"},
	} {
		query.Since, query.Until = since, until
		began := time.Now()
		out, err := q.Spent(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("by %s %s: %d values in %v", query.Scope, query.Value, len(out), time.Since(began).Round(time.Millisecond))
	}
}

func zoneNamed(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

var manyStart = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// addMany adds up a month of 500 customers of very different size, with six
// features, four models and three teams, in order of time as a server would.
func addMany(t *testing.T, rows *rowStore, n int) {
	dice := rand.New(rand.NewPCG(1, 1))
	sizes := rand.NewZipf(dice, 1.2, 2, 499)
	tags := []string{`{"team":"a"}`, `{"team":"b"}`, `{"team":"c"}`}
	price := costs.MoneyOf(1234567, 89)
	charge := Settle(&costs.Charge{Status: costs.Priced, List: price, Contracted: price, Book: "b"}, Amount{}, FromProvider)
	const step = 20_000
	for i := 0; i < n; i += step {
		err := rows.transact(t.Context(), func(w *writer) error {
			for j := i; j < min(i+step, n); j++ {
				customer := int(sizes.Uint64())
				c := &Call{Start: manyStart.Add(time.Duration(j) * (30 * 24 * time.Hour / time.Duration(n))), Outcome: OK, Customer: fmt.Sprint("customer-", customer)}
				c.Feature = []string{"chat", "search", "summary", "agent", "mail", "ocr"}[(customer+dice.IntN(2))%6]
				a := Attempt{N: 1, Provider: "openai", Model: []string{"gpt-5", "gpt-5-mini", "claude-opus-5", "gemini-3"}[(customer+dice.IntN(2))%4], Charge: charge}
				a.Usage.Set(costs.Input, 900)
				a.Usage.Set(costs.Output, 80)
				c.Attempts = []Attempt{a}
				w.costs.add(c, tags[customer%3], 1)
			}
			return w.costs.write(w.ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func countRows(t *testing.T, db *sqldb.DB, table string) (n int64) {
	t.Helper()
	if err := db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
