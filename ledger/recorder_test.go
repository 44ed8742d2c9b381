package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"weir/costs"
	"weir/internal/sqldb"
)

func callID() string {
	id := uuid.Must(uuid.NewV7())
	return fmt.Sprintf("call_%x", id[:])
}

// testCall is a call of one attempt that used 10 input and 5 output tokens.
func testCall(id string) *Call {
	var u costs.Usage
	u.Set(costs.Input, 10)
	u.Set(costs.Output, 5)
	return &Call{
		ID: id, Start: time.Now().UTC().Truncate(time.Microsecond), KeyID: "key_1", Customer: "acme", Tags: map[string]string{"env": "test"},
		Dialect: "openai", API: "chat", Method: "POST", Path: "/v1/chat/completions", AskedModel: "fast", Provider: "mock", Model: "m",
		Status: 200, Outcome: OK, Usage: u, UsageSource: FromProvider, Total: time.Second, BytesIn: 100, BytesOut: 200,
		Attempts: []Attempt{{N: 1, Provider: "mock", Model: "m", API: "chat", Total: time.Second, Status: 200, Usage: u, UsageSource: FromProvider, RawUsage: []byte(`{"x":1}`)}},
	}
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

func openRecorder(t *testing.T, o RecorderOptions) *Recorder {
	t.Helper()
	if o.Log == nil {
		o.Log = silent
	}
	r, err := OpenRecorder(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.Shutdown(ctx) // tests that care have done it
	})
	return r
}

func flush(t *testing.T, r *Recorder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func shutdown(t *testing.T, r *Recorder) {
	t.Helper()
	if err := r.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func recordAll(t *testing.T, r *Recorder, calls ...*Call) {
	t.Helper()
	for _, c := range calls {
		if err := errors.Join(r.Opened(c), r.Closed(c)); err != nil {
			t.Fatal(err)
		}
	}
}

// outcomes counts the calls of a store by how they ended, and checks that the
// hours add up to the same.
func outcomes(t *testing.T, db *sqldb.DB) map[Outcome]int {
	t.Helper()
	out := map[Outcome]int{}
	rows, err := db.Reader().Query(`SELECT outcome, count(*) FROM calls GROUP BY outcome`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var o Outcome
		var n int
		if err := rows.Scan(&o, &n); err != nil {
			t.Fatal(err)
		}
		out[o] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	checkHours(t, db)
	return out
}

// checkHours compares the hourly sums with the rows they were made of.
func checkHours(t *testing.T, db *sqldb.DB) {
	t.Helper()
	dump := func(query string) (text string) {
		t.Helper()
		err := db.Reader().QueryRow(`SELECT json_group_array(json_array(a, b, c, d, e, f, g, h)) FROM (` + query + ` ORDER BY 1, 2, 3)`).Scan(&text)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	hours := dump(`SELECT hour a, customer b, outcome c, sum(calls) d, sum(attempts) e, sum(input) f, sum(output) g, sum(total) h
		FROM calls_hourly GROUP BY 1, 2, 3`)
	calls := dump(`SELECT start - start % 3600000000 a, customer b, outcome c, count(*) d, sum(attempts) e,
		sum(coalesce(nullif(usage, '') ->> '$.input', 0)) f, sum(coalesce(nullif(usage, '') ->> '$.output', 0)) g, sum(total) h
		FROM calls GROUP BY 1, 2, 3`)
	if hours != calls {
		t.Errorf("the hours say  %s\nthe calls say %s", hours, calls)
	}
}

func checkOutcomes(t *testing.T, db *sqldb.DB, want map[Outcome]int) {
	t.Helper()
	got := outcomes(t, db)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the store has %v, want %v", got, want)
	}
}

func TestRecorderStores(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	var mu sync.Mutex
	told := 0
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db, OnBatch: func(b []*Call) {
		mu.Lock()
		defer mu.Unlock()
		told += len(b)
	}})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				c := testCall(callID())
				if err := errors.Join(r.Opened(c), r.Closed(c)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	flush(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 800})
	mu.Lock()
	if told != 800 {
		t.Errorf("told of %d calls, want 800", told)
	}
	mu.Unlock()
	if s := r.Stats(); s.Backlog != 0 || s.Open != 0 || s.Err != nil || s.Rejected != 0 {
		t.Errorf("stats %+v", s)
	}
	shutdown(t, r)
	if err := r.Closed(testCall(callID())); err == nil {
		t.Error("a closed recorder takes rows")
	}
}

// crash is what a kill does to a recorder: nothing more is written or shipped.
func crash(t *testing.T, r *Recorder) {
	t.Helper()
	r.stopOnce.Do(func() {
		close(r.stop)
		r.workers.Wait()
		if err := r.spool.close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestReplayEndsOpenCalls(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	o := RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db}
	r := openRecorder(t, o)
	recordAll(t, r, testCall(callID()), testCall(callID()))
	open := testCall(callID())
	if err := r.Opened(open); err != nil {
		t.Fatal(err)
	}
	crash(t, r)
	for range 3 { // the same whether it is replayed once or more often
		r = openRecorder(t, o)
		flush(t, r)
		crash(t, r)
		checkOutcomes(t, db, map[Outcome]int{OK: 2, Interrupted: 1})
	}
	r = openRecorder(t, o)
	recordAll(t, r, testCall(callID()))
	shutdown(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 3, Interrupted: 1})
}

// The store and the spool may each be lost without the other.
func TestStoreOrSpoolLost(t *testing.T) {
	dir := t.TempDir()
	spool := filepath.Join(dir, "spool")
	db := openStore(t, filepath.Join(dir, "a"))
	r := openRecorder(t, RecorderOptions{Dir: spool, DB: db})
	recordAll(t, r, testCall(callID()), testCall(callID()))
	shutdown(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 2})

	// A new store gets what the spool still has.
	other := openStore(t, filepath.Join(dir, "b"))
	r = openRecorder(t, RecorderOptions{Dir: spool, DB: other})
	recordAll(t, r, testCall(callID()))
	shutdown(t, r)
	checkOutcomes(t, other, map[Outcome]int{OK: 3})

	// The old store comes back: it gets what it missed, and nothing twice.
	r = openRecorder(t, RecorderOptions{Dir: spool, DB: db})
	shutdown(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 3})

	// A new spool begins at its first byte, whatever the store knows of the old one.
	if err := os.RemoveAll(spool); err != nil {
		t.Fatal(err)
	}
	r = openRecorder(t, RecorderOptions{Dir: spool, DB: db})
	recordAll(t, r, testCall(callID()))
	shutdown(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 4})
}

// A store whose file is deleted or replaced under the server is a failed one:
// nothing leaves the spool, so that the file's return or a restart loses no row.
func TestStoreMoved(t *testing.T) {
	dir := t.TempDir()
	spool, path := filepath.Join(dir, "spool"), filepath.Join(dir, "weir.db")
	db := openStore(t, dir)
	o := RecorderOptions{Dir: spool, DB: db, segmentSize: 2000, keepEvery: time.Millisecond}
	r := openRecorder(t, o)
	recordAll(t, r, testCall(callID()))
	flush(t, r)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	for range 20 { // several segments
		recordAll(t, r, testCall(callID()))
		time.Sleep(2 * time.Millisecond)
	}
	if err := r.Flush(t.Context()); !errors.Is(err, sqldb.ErrMoved) {
		t.Errorf("flush into a deleted store: %v", err)
	}
	if s := r.Stats(); !errors.Is(s.Err, sqldb.ErrMoved) || s.Backlog == 0 {
		t.Errorf("stats %+v: the failure does not show", s)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	flush(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 21})
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	recordAll(t, r, testCall(callID()))
	if err := r.Shutdown(t.Context()); !errors.Is(err, sqldb.ErrMoved) {
		t.Errorf("shut down without the store: %v", err)
	}
	again := openStore(t, t.TempDir()) // a new one
	o.DB = again
	r = openRecorder(t, o)
	flush(t, r)
	if n := outcomes(t, again)[OK]; n < 1 {
		t.Errorf("the new store has %d calls; want the one that the old one missed", n)
	}
}

// Two spools may ship into one store.
func TestTwoSpoolsOneStore(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	a := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "a"), DB: db})
	b := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "b"), DB: db})
	for range 10 {
		recordAll(t, a, testCall(callID()))
		recordAll(t, b, testCall(callID()), testCall(callID()))
		flush(t, a)
		flush(t, b)
	}
	checkOutcomes(t, db, map[Outcome]int{OK: 30})
}

func TestOneProcessPerSpool(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	o := RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db, Log: silent}
	openRecorder(t, o)
	_, err := OpenRecorder(o)
	if err == nil || !strings.Contains(err.Error(), "another weir serve is using it") {
		t.Errorf("a second recorder on a spool: %v", err)
	}
	o.WhenFull = "maybe"
	if _, err := OpenRecorder(o); err == nil {
		t.Error("an unknown when_full is taken")
	}
}

// A call that stays open outlives the segment it began in, and one that ends
// while it is carried over is not carried for ever.
func TestOpenCallsAreCarried(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	o := RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db}
	r := openRecorder(t, o)
	long, left := testCall(callID()), testCall(callID())
	if err := errors.Join(r.Opened(long), r.Opened(left)); err != nil {
		t.Fatal(err)
	}
	turn := func() {
		t.Helper()
		recordAll(t, r, testCall(callID()))
		flush(t, r)
		if err := r.spool.turn(true); err != nil {
			t.Fatal(err)
		}
		flush(t, r)
		flush(t, r)
		if _, there, err := listSegments(o.Dir); err != nil || len(there) != 1 {
			t.Errorf("segments %v, %v; want one", there, err)
		}
	}
	turn()
	turn()
	if n := r.Stats().Open; n != 2 {
		t.Errorf("%d calls are open, want 2", n)
	}
	if err := r.Closed(long); err != nil {
		t.Fatal(err)
	}
	// As if the end had been written while the call was carried.
	rec := append(r.spool.id.begin(nil, recCarried), appendCall(nil, long)...)
	seal(rec)
	if err := r.spool.append(rec); err != nil {
		t.Fatal(err)
	}
	turn()
	if n := r.Stats().Open; n != 1 {
		t.Errorf("%d calls are open, want 1", n)
	}
	crash(t, r)
	r = openRecorder(t, o)
	flush(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 4, Interrupted: 1})
}

// A row that the store refuses is kept aside; its neighbours are stored.
func TestRowFault(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	ctx := t.Context()
	mustExec(t, db, `CREATE TRIGGER no_poison BEFORE INSERT ON calls WHEN new.customer = 'poison' BEGIN SELECT RAISE(ABORT, 'no'); END`)
	mustExec(t, db, `CREATE TRIGGER no_body BEFORE INSERT ON bodies WHEN CAST(new.request AS TEXT) = 'poison' BEGIN SELECT RAISE(ABORT, 'no'); END`)
	o := RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db}
	r := openRecorder(t, o)
	bad := testCall(callID())
	bad.Customer = "poison"
	huge := testCall(callID()) // its tokens overflow the hour
	huge.Usage.Set(costs.Input, 1<<62)
	huge2 := testCall(callID())
	huge2.Usage.Set(costs.Input, 1<<62)
	good := testCall(callID())
	recordAll(t, r, testCall(callID()), bad, good, huge, huge2, testCall(callID()))
	r.Bodies(&Bodies{CallID: bad.ID, At: time.Now(), Request: []byte("poison")})
	r.Bodies(&Bodies{CallID: good.ID, At: time.Now(), Request: []byte("fine")})
	flush(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 4})
	if n := r.Stats().Rejected; n != 3 {
		t.Errorf("%d rows rejected, want 3", n)
	}
	var bodies int
	if err := db.Reader().QueryRowContext(ctx, `SELECT count(*) FROM bodies`).Scan(&bodies); err != nil || bodies != 1 {
		t.Errorf("%d bodies, %v; want 1", bodies, err)
	}
	var kept []string
	_, err := eachRecord(r.spool.id, filepath.Join(o.Dir, "rejected.log"), 0, func(rec record) error {
		id, err := recordID(rec.payload)
		kept = append(kept, id)
		return err
	})
	if err != nil || len(kept) != 3 || kept[0] != bad.ID {
		t.Errorf("kept aside %v, %v", kept, err)
	}
	recordAll(t, r, testCall(callID()))
	flush(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 5})
}

func mustExec(t *testing.T, db *sqldb.DB, q string) {
	t.Helper()
	if err := db.Exec(t.Context(), q); err != nil {
		t.Fatal(err)
	}
}

// While the store fails rows wait, and calls go on.
func TestStoreFailsAndRecovers(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	mustExec(t, db, `ALTER TABLE calls RENAME TO calls_away`)
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	for range 50 {
		recordAll(t, r, testCall(callID()))
	}
	if err := r.Flush(t.Context()); err == nil {
		t.Error("a flush into a broken store succeeds")
	}
	if s := r.Stats(); s.Err == nil || s.Backlog == 0 {
		t.Errorf("stats %+v", s)
	}
	mustExec(t, db, `ALTER TABLE calls_away RENAME TO calls`)
	flush(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 50})
	if s := r.Stats(); s.Err != nil || s.Backlog != 0 {
		t.Errorf("stats %+v", s)
	}
}

// A spool that has reached its maximum refuses new calls, or goes on; the
// ends of calls are always taken.
func TestSpoolFull(t *testing.T) {
	check := func(whenFull string, want error) {
		t.Helper()
		dir := t.TempDir()
		db := openStore(t, dir)
		mustExec(t, db, `ALTER TABLE calls RENAME TO calls_away`)
		r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db, Max: 256 << 10, WhenFull: whenFull})
		n := 0
		var err error
		for ; n < 1000 && err == nil; n++ {
			c := testCall(callID())
			if err = r.Opened(c); err != nil {
				break
			}
			if err := r.Closed(c); err != nil {
				t.Fatalf("%s: the end of a call: %v", whenFull, err)
			}
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: after %d calls: %v, want %v", whenFull, n, err, want)
		}
		r.Bodies(&Bodies{CallID: "x", Request: []byte("x")})
		if r.Stats().DroppedBodies != 1 {
			t.Errorf("%s: stats %+v, want a dropped body", whenFull, r.Stats())
		}
		mustExec(t, db, `ALTER TABLE calls_away RENAME TO calls`)
		flush(t, r)
		checkOutcomes(t, db, map[Outcome]int{OK: n})
		c := testCall(callID())
		eventually(t, "there is room again", func() bool { return r.Opened(c) == nil })
	}
	check("refuse", ErrSpoolFull)
	check("serve", nil)
}

func TestCallJSON(t *testing.T) {
	c := testCall("call_1")
	c.Attempts[0].RawUsage = []byte(`{"a": 1}`)
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"id":"call_1"`, `"usage":{"input":10,"output":5}`, `"raw_usage":{"a":1}`, `"total_ns":1000000000`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %s", b, want)
		}
	}
	c.Attempts[0].RawUsage = []byte(`not json`)
	if b, err := json.Marshal(c); err != nil || !strings.Contains(string(b), `"raw_usage":"not json"`) {
		t.Errorf("%s, %v", b, err)
	}
}
