package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"weir/costs"
	"weir/internal/sqldb"
)

// TestLarge fills a store with WEIR_LARGE_ROWS calls (10000000 take 8 GB and the
// better part of an hour) and prints how long lists and sums take. Nearly every
// call is of another customer, which is the worst that the hourly sums can get.
// By hand only:
//
//	WEIR_LARGE_ROWS=10000000 WEIR_LARGE_DIR=/tmp/large go test -run TestLarge -v -timeout 2h ./ledger
//
// A directory that has the rows already is used again.
func TestLarge(t *testing.T) {
	rows, err := strconv.Atoi(os.Getenv("WEIR_LARGE_ROWS"))
	if err != nil {
		t.Skip("WEIR_LARGE_ROWS is not set")
	}
	dir := os.Getenv("WEIR_LARGE_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	db := openStore(t, dir)
	var there int
	if err := db.Reader().QueryRow(`SELECT count(*) FROM calls`).Scan(&there); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	fill(t, db, there, rows)
	if info, err := os.Stat(filepath.Join(dir, "weir.db")); err == nil && rows > there {
		d := time.Since(begun)
		t.Logf("%d rows in %v: %.0f rows/s, %d B/row", rows-there, d.Round(time.Second), float64(rows-there)/d.Seconds(), info.Size()/int64(rows))
	}
	q := NewCalls(db, "")
	list := func(name string, query Query) {
		begun := time.Now()
		got, err := q.List(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-44s %6d rows %10v", name, len(got), time.Since(begun).Round(10*time.Microsecond))
	}
	middle := largeStart.Add(time.Duration(rows/2) * largeStep)
	list("newest 50", Query{Limit: 50})
	list("50 before the middle", Query{Limit: 50, Before: idAt(middle)})
	list("newest 100000", Query{Limit: 100_000})
	list("one hour in the middle, 50", Query{Limit: 50, Filter: Filter{Since: middle, Until: middle.Add(time.Hour)}})
	list("a customer of one in 100000, 50", Query{Limit: 50, Filter: Filter{Customer: "customer-77777"}})
	list("a key of one in 200, 50", Query{Limit: 50, Filter: Filter{Key: "key_77"}})
	list("the rarest model, 50", Query{Limit: 50, Filter: Filter{Model: "rare"}})
	list("errors 5xx, 50", Query{Limit: 50, Filter: Filter{StatusMin: 500, StatusMax: 599}})
	list("a customer's errors, 50", Query{Limit: 50, Filter: Filter{Customer: "customer-777", Outcome: Failed}})
	list("a tag on one in 1000, 50", Query{Limit: 50, Filter: Filter{Tags: map[string]string{"batch": "7"}}})
	list("a route that nobody uses, last day, 50", Query{Limit: 50, Filter: Filter{Route: "none", Since: largeStart.Add(time.Duration(rows)*largeStep - 24*time.Hour)}})
	sums := func(name string, query SumQuery) {
		begun := time.Now()
		got, err := q.Sums(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-44s %6d rows %10v", name, len(got), time.Since(begun).Round(10*time.Microsecond))
	}
	sums("sums of all by model", SumQuery{By: []string{"model"}})
	sums("sums of a day by hour and model", SumQuery{By: []string{"hour", "model"}, Since: middle, Until: middle.Add(24 * time.Hour)})
}

var largeStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const largeStep = 250 * time.Millisecond // 10 million calls are four weeks

// fill stores the calls from one number to another, as the shipper does.
func fill(t *testing.T, db *sqldb.DB, from, to int) {
	t.Helper()
	var b batch
	store := rowStore{db: db}
	for i := from; i < to; i++ {
		b.calls = append(b.calls, largeCall(i))
		if len(b.calls) < batchCalls && i+1 < to {
			continue
		}
		if _, err := store.write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		b.calls = b.calls[:0]
	}
	if err := store.close(); err != nil {
		t.Fatal(err)
	}
}

func largeCall(i int) *Call {
	start := largeStart.Add(time.Duration(i) * largeStep)
	c := testCall(fmt.Sprintf("call_%012x%020x", start.UnixMilli(), i))
	c.Start = start
	c.KeyID, c.ProjectID = fmt.Sprintf("key_%d", i*7%200), fmt.Sprintf("proj_%d", i%20)
	c.Customer = fmt.Sprintf("customer-%d", i*31%100_000)
	c.Model = fmt.Sprintf("model-%d", i%8)
	c.Session = fmt.Sprintf("session-%d", i/20)
	if i%500_000 == 0 {
		c.Model = "rare"
	}
	if i%1000 == 0 {
		c.Tags = map[string]string{"batch": strconv.Itoa(i / 1000 % 10)}
	}
	if i%200 == 0 {
		c.Outcome, c.Status, c.ErrorClass = Failed, 502, "upstream_error"
	}
	c.Usage.Set(costs.Input, int64(i%5000))
	return c
}
