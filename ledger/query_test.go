package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/sqldb"
)

// variedCall differs from others in what filters look at.
func variedCall(dice *rand.Rand) *Call {
	c := testCall(callID())
	pick := func(from ...string) string { return from[dice.IntN(len(from))] }
	c.KeyID, c.ProjectID, c.Customer = pick("", "key_1", "key_2"), pick("", "proj_1", "proj_2"), pick("", "a", "b")
	c.Feature, c.Session, c.Provider = pick("", "chat"), pick("", "s1", "s2"), pick("mock", "openai")
	c.Model, c.Route, c.API = pick("m1", "m2"), pick("", "fast"), pick("chat", "embeddings")
	c.Tags = map[string]string{"env": pick("prod", "test")}
	if dice.IntN(4) == 0 {
		c.Outcome, c.Status, c.ErrorClass = Failed, 500+dice.IntN(4), "upstream_error"
	}
	return c
}

func variedFilter(dice *rand.Rand, calls []*Call) (f Filter) {
	pick := func(from ...string) string { return from[dice.IntN(len(from))] }
	switch dice.IntN(10) {
	case 0:
		f.Key = pick("key_1", "key_3")
	case 1:
		f.Project, f.Customer = "proj_1", pick("a", "c")
	case 2:
		f.Feature, f.Session = "chat", "s1"
	case 3:
		f.Provider, f.Model = pick("mock", "nobody"), "m1"
	case 4:
		f.Route, f.API = "fast", "chat"
	case 5:
		f.Outcome = Outcome(pick("ok", "error", "aborted"))
	case 6:
		f.StatusMin, f.StatusMax = 500, 501
	case 7:
		f.Tags = map[string]string{"env": pick("prod", "", "none")}
	case 8:
		f.Since = calls[dice.IntN(len(calls))].Start
	case 9:
		f.Until = calls[dice.IntN(len(calls))].Start
	}
	return f
}

// However calls are spread over store and spool, every filter and page size
// shows the same as a look at all of them.
func TestListEqualsFiltering(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	spool := filepath.Join(dir, "spool")
	r := openRecorder(t, RecorderOptions{Dir: spool, DB: db, segmentSize: 8 << 10, keepEvery: 5 * time.Millisecond})
	dice := rand.New(rand.NewPCG(1, 2))
	var calls []*Call
	add := func() {
		for range 60 {
			c := variedCall(dice)
			recordAll(t, r, c)
			c.AttemptCount = len(c.Attempts)
			c.settle()
			calls = append(calls, c)
			time.Sleep(time.Millisecond / 2)
		}
	}
	add()
	flush(t, r)
	mustExec(t, db, `ALTER TABLE attempts RENAME TO attempts_away`) // the store takes no more
	add()
	q := NewCalls(db, spool)
	slices.SortFunc(calls, func(a, b *Call) int { return strings.Compare(b.ID, a.ID) })
	for range 80 {
		f := variedFilter(dice, calls)
		var want []*Call
		for _, c := range calls {
			if f.Match(c) {
				short := *c
				short.Attempts = nil
				want = append(want, &short)
			}
		}
		var got []*Call
		query := Query{Filter: f, Limit: 1 + dice.IntN(40)}
		for {
			page, err := q.List(t.Context(), query)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
			if len(page) < query.Limit {
				break
			}
			query.Before = page[len(page)-1].ID
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("filter %+v: %d calls, want %d", f, len(got), len(want))
		}
	}
	mustExec(t, db, `ALTER TABLE attempts_away RENAME TO attempts`)
	flush(t, r)
	query := Query{Attempts: true}
	got, err := q.List(t.Context(), query)
	if err != nil || !reflect.DeepEqual(got, calls) {
		t.Errorf("all calls with attempts: %d, %v; want %d", len(got), err, len(calls))
	}
	checkSums(t, q, calls)
}

func checkSums(t *testing.T, q *Calls, calls []*Call) {
	t.Helper()
	want := map[string]int64{}
	for _, c := range calls {
		if c.KeyID == "key_1" {
			want[c.Model+"/"+string(c.Outcome)]++
		}
	}
	sums, err := q.Sums(t.Context(), SumQuery{By: []string{"hour", "model", "outcome"}, Where: map[string]string{"key": "key_1"}, Since: calls[len(calls)-1].Start})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, s := range sums {
		if s.Hour.IsZero() || s.Input != 10*s.Calls || s.Output != 5*s.Calls {
			t.Errorf("sum %+v", s)
		}
		got[s.Group["model"]+"/"+s.Group["outcome"]] += s.Calls
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sums %v, want %v", got, want)
	}
	if _, err := q.Sums(t.Context(), SumQuery{By: []string{"x; DROP TABLE calls"}}); err == nil {
		t.Error("an unknown group is taken")
	}
	if all, err := q.Sums(t.Context(), SumQuery{}); err != nil || len(all) != 1 || all[0].Calls != int64(len(calls)) {
		t.Errorf("the sum of all is %+v, %v", all, err)
	}
}

func TestGetCall(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	spool := filepath.Join(dir, "spool")
	r := openRecorder(t, RecorderOptions{Dir: spool, DB: db})
	q := NewCalls(db, spool)
	c := testCall(callID())
	c.Attempts[0].Inconsistent = true
	recordAll(t, r, c)
	r.Bodies(&Bodies{CallID: c.ID, At: time.Now(), Request: []byte("in"), Response: []byte("out"), Truncated: true})
	c.AttemptCount = 1
	for _, where := range []string{"spool or store", "store"} {
		got, err := q.Get(t.Context(), c.ID)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: got %+v, %v", where, got, err)
		}
		b, err := q.Bodies(t.Context(), c.ID)
		if err != nil || b == nil || string(b.Request) != "in" || string(b.Response) != "out" || !b.Truncated {
			t.Errorf("%s: bodies %+v, %v", where, b, err)
		}
		flush(t, r)
	}
	if _, err := q.Get(t.Context(), "call_0"); !errors.Is(err, ErrNoSuchCall) {
		t.Errorf("get of no call: %v", err)
	}
	if b, err := q.Bodies(t.Context(), "call_0"); err != nil || b != nil {
		t.Errorf("bodies of no call: %+v, %v", b, err)
	}
}

// Follow shows every call once, through new segments, a restart, and where
// segments are gone before it could read them.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	spool := filepath.Join(dir, "spool")
	o := RecorderOptions{Dir: spool, DB: db, segmentSize: 2 << 10, keepEvery: 20 * time.Millisecond}
	r := openRecorder(t, o)
	var want []string
	add := func(n int) {
		for range n {
			c := testCall(callID())
			recordAll(t, r, c)
			want = append(want, c.ID)
		}
	}
	add(5)
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan string, 1000)
	done := make(chan error, 1)
	go func() {
		done <- NewCalls(db, spool).Follow(ctx, Query{Limit: 3, Filter: Filter{Customer: "acme"}}, func(c *Call) error {
			seen <- c.ID
			return nil
		})
	}()
	eventually(t, "the past is shown", func() bool { return len(seen) == 3 })
	for range 5 {
		add(10)
		flush(t, r)
		time.Sleep(100 * time.Millisecond)
	}
	shutdown(t, r)
	r = openRecorder(t, o)
	add(10)
	eventually(t, "all are shown", func() bool { return len(seen) >= 63 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(seen)
	var got []string
	for id := range seen {
		got = append(got, id)
	}
	if !slices.Equal(got[:3], want[2:5]) {
		t.Errorf("it begins with %v, want %v", got[:3], want[2:5])
	}
	slices.Sort(got) // after a gap the order is that of their beginning
	slices.Sort(want)
	if !slices.Equal(got, want[2:]) {
		t.Errorf("%d calls, want %d", len(got), len(want)-2)
	}
}

// No list reads the whole table: each uses the primary key or an index that
// gives the order, so that it ends with its page.
func TestListsUseIndexes(t *testing.T) {
	db := openStore(t, t.TempDir())
	check := func(f Filter, want string) {
		t.Helper()
		for _, before := range []string{"", idAt(time.Now())} {
			query := Query{Filter: f}
			text, args := query.statement(before, 50)
			plan := explain(t, db, text, args)
			if strings.Contains(plan, "TEMP B-TREE") || !strings.Contains(plan, want) {
				t.Errorf("%+v:\n%s\nwant %s, no sorting", f, plan, want)
			}
		}
	}
	week := time.Now().Add(-7 * 24 * time.Hour)
	check(Filter{Since: week}, "SEARCH calls USING PRIMARY KEY")
	check(Filter{Key: "k"}, "SEARCH calls USING INDEX calls_by_key")
	check(Filter{Project: "p"}, "SEARCH calls USING INDEX calls_by_project")
	check(Filter{Customer: "c"}, "SEARCH calls USING INDEX calls_by_customer")
	check(Filter{Customer: "c", Since: week}, "SEARCH calls USING INDEX calls_by_customer (customer=? AND id>")
	check(Filter{Customer: "c", Outcome: OK}, "SEARCH calls USING INDEX calls_by_customer")
	check(Filter{Feature: "f"}, "SEARCH calls USING INDEX calls_by_feature")
	check(Filter{Session: "s"}, "SEARCH calls USING INDEX calls_by_session")
	check(Filter{Provider: "p"}, "SEARCH calls USING INDEX calls_by_provider")
	check(Filter{Model: "m"}, "SEARCH calls USING INDEX calls_by_model")
	check(Filter{Model: "m", Tags: map[string]string{"a": "b"}}, "SEARCH calls USING INDEX calls_by_model")
	check(Filter{Outcome: Failed}, "USING INDEX calls_in_trouble")
	check(Filter{StatusMin: 500, StatusMax: 599}, "USING INDEX calls_in_trouble")
	// Neither of these has an index. They walk the primary key backwards and
	// stop at the end of the page or of the time that is asked for.
	check(Filter{Route: "r", Since: week}, "SEARCH calls USING PRIMARY KEY (id>")
	check(Filter{Tags: map[string]string{"a": "b"}, Since: week}, "SEARCH calls USING PRIMARY KEY (id>")
}

func explain(t *testing.T, db *sqldb.DB, text string, args []any) string {
	t.Helper()
	rows, err := db.Reader().Query("EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}

func TestResolve(t *testing.T) {
	db := openStore(t, t.TempDir())
	k, _, err := NewKeys(db, []byte("s")).Create(t.Context(), "test", KeySpec{Name: "ci", Project: "web"})
	if err != nil {
		t.Fatal(err)
	}
	q := NewCalls(db, "")
	f, err := q.Resolve(t.Context(), Filter{Key: "ci", Project: "web"})
	if err != nil || f.Key != k.ID || f.Project != k.ProjectID {
		t.Errorf("resolved %+v, %v", f, err)
	}
	if _, err := q.Resolve(t.Context(), Filter{Key: "nobody"}); !errors.Is(err, ErrNoSuchKey) {
		t.Errorf("resolve no key: %v", err)
	}
	if _, err := q.Resolve(t.Context(), Filter{Project: "nobody"}); err == nil {
		t.Error("no project resolves")
	}
}

func TestPrune(t *testing.T) {
	db := openStore(t, t.TempDir())
	rows := rowStore{db: db}
	now := time.Now()
	for i := range 1200 {
		at := now.Add(-2 * time.Hour)
		if i%2 == 0 {
			at = now
		}
		_, err := rows.write(t.Context(), batch{bodies: []*Bodies{{CallID: fmt.Sprint(i), At: at, Request: []byte("x")}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.close(); err != nil {
		t.Fatal(err)
	}
	n, err := PruneBodies(t.Context(), db, now.Add(-time.Hour))
	if err != nil || n != 600 {
		t.Errorf("pruned %d, %v; want 600", n, err)
	}
	var left int
	if err := db.Reader().QueryRow(`SELECT count(*) FROM bodies`).Scan(&left); err != nil || left != 600 {
		t.Errorf("%d bodies are left, %v; want 600", left, err)
	}
}
