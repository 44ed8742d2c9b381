package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/sqldb"
)

// often is how often tests look at the spools of others.
const often = 5 * time.Millisecond

// leave records calls in a spool of a store as a process that dies before it
// has shipped any: some ended, one open, one with bodies and one kept response.
func leave(t *testing.T, db *sqldb.DB, dir string, ended int) (open, withBodies *Call, kept *Response) {
	t.Helper()
	r := openRecorder(t, RecorderOptions{Dir: dir, DB: db, adoptEvery: time.Hour})
	eventually(t, "the spool is known", func() bool { return countRows(t, db, "spools WHERE dir = '"+dir+"'") == 1 })
	r.stopOnce.Do(func() {
		close(r.stop)
		r.workers.Wait()
	})
	for range ended {
		recordAll(t, r, testCall(callID()))
	}
	open, withBodies, kept = testCall(callID()), testCall(callID()), testResponse(responseID(), "", "a")
	recordAll(t, r, withBodies)
	r.Bodies(&Bodies{CallID: withBodies.ID, At: time.Now(), Request: []byte("asked"), Response: []byte("said")})
	if err := errors.Join(openResponses(t, r).Keep(kept), r.Opened(open), r.spool.close()); err != nil {
		t.Fatal(err)
	}
	return open, withBodies, kept
}

func emptied(t *testing.T, dir string) {
	t.Helper()
	eventually(t, "the spool "+dir+" is empty", func() bool {
		_, there, err := listSegments(dir)
		return err == nil && len(there) == 0 && !locked(dir)
	})
}

func locked(dir string) bool {
	locks, err := adoptDir(dir)
	for _, l := range locks {
		_ = l.Close()
	}
	return err != nil
}

// What a dead process left is shipped by a living one as its own next start
// would have: calls, the ends of those that have none, bodies, kept responses.
func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	dead := filepath.Join(dir, "dead")
	open, withBodies, kept := leave(t, db, dead, 2*batchCalls)
	var log bytes.Buffer
	fresh, told := 0, 0
	r := openRecorder(t, RecorderOptions{
		Dir: filepath.Join(dir, "spool"), DB: db, adoptEvery: often,
		Log: slog.New(slog.NewTextHandler(&log, nil)), OnBatch: func(calls []*Call) { fresh += len(calls) }, Adopted: func() { told++ },
	})
	emptied(t, dead)
	checkOutcomes(t, db, map[Outcome]int{OK: 2*batchCalls + 1, Interrupted: 1})
	q := NewCalls(db, "")
	got, err := q.Get(t.Context(), open.ID)
	if err != nil || got.Outcome != Interrupted || got.ErrorClass != "interrupted" {
		t.Errorf("the open call: %+v, %v", got, err)
	}
	if b, err := q.Bodies(t.Context(), withBodies.ID); err != nil || string(b.Request) != "asked" || string(b.Response) != "said" {
		t.Errorf("its bodies: %+v, %v", b, err)
	}
	if back, err := openResponses(t, r).Get(t.Context(), kept.Scope, kept.ID); err != nil || string(back.Body) != string(kept.Body) {
		t.Errorf("what was kept: %v, %v", back, err)
	}
	if n := countRows(t, db, "spool_position"); n > 1 {
		t.Errorf("%d positions are kept, want our own at most", n)
	}
	if n := r.Stats().Adopted; n != 2*batchCalls+2 {
		t.Errorf("%d rows adopted", n)
	}
	shutdown(t, r)
	if fresh != 2*batchCalls+2 || told != 1 {
		t.Errorf("OnBatch was told of %d calls, Adopted %d times", fresh, told)
	}
	if text := log.String(); strings.Count(text, "adopted") != 1 || !strings.Contains(text, "interrupted=1") {
		t.Errorf("the log: %s", text)
	}
	again := openRecorder(t, RecorderOptions{Dir: dead, DB: db})
	recordAll(t, again, testCall(callID()))
	shutdown(t, again)
	checkOutcomes(t, db, map[Outcome]int{OK: 2*batchCalls + 2, Interrupted: 1})
}

// A spool of a living process, of another store, of a copied store or of a
// newer Weir is left alone.
func TestAdoptNot(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	names := map[string]string{}
	for _, name := range []string{"living", "moved", "newer", "dead"} {
		names[name] = filepath.Join(dir, name)
		leave(t, db, names[name], 3)
	}
	living := openRecorder(t, RecorderOptions{Dir: names["living"], DB: db, adoptEvery: time.Hour})
	recordAll(t, living, testCall(callID()))
	other := openStore(t, t.TempDir())
	leave(t, other, names["moved"], 3)
	mustExec(t, db, `UPDATE spools SET form = 99 WHERE dir = '`+names["newer"]+`'`)

	copied := filepath.Join(t.TempDir(), "weir.db")
	if _, err := db.Reader().ExecContext(t.Context(), `VACUUM INTO ?`, copied); err != nil {
		t.Fatal(err)
	}
	copyDB := openStore(t, filepath.Dir(copied))
	had := countRows(t, copyDB, "calls")
	a := newAdopter(RecorderOptions{DB: copyDB, Dir: filepath.Join(t.TempDir(), "spool"), Log: silent})
	rounds(t, a, 2)
	if n := countRows(t, copyDB, "calls"); n != had {
		t.Errorf("a copy of the store adopted %d calls", n-had)
	}
	for name, d := range names {
		if !holdsRecords(d) {
			t.Errorf("a copy of the store emptied the spool %s", name)
		}
	}

	a = newAdopter(RecorderOptions{DB: db, Dir: filepath.Join(t.TempDir(), "spool"), Log: silent})
	rounds(t, a, 2)
	for name, d := range names {
		if holdsRecords(d) == (name == "dead") {
			t.Errorf("the spool %s: holds records %v", name, holdsRecords(d))
		}
	}
	if n := countRows(t, db, "spools WHERE dir = '"+names["moved"]+"'"); n != 0 {
		t.Error("a spool that is another store's now is still known")
	}
}

// rounds lets an adopter look around.
func rounds(t *testing.T, a *adopter, n int) {
	t.Helper()
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := a.round(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestForgetSpools(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	gone := filepath.Join(dir, "gone")
	leave(t, db, gone, 1)
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	add := func(mark, host string, seen time.Time) {
		t.Helper()
		err := db.Exec(t.Context(), `INSERT INTO spools VALUES (?, ?, ?, 1, ?)`, mark, host, filepath.Join(dir, mark), seen.UnixMicro())
		if err != nil {
			t.Fatal(err)
		}
	}
	add("far", "elsewhere", time.Now().Add(-forgetAfter+time.Hour))
	add("long ago", "elsewhere", time.Now().Add(-forgetAfter-time.Hour))
	rounds(t, newAdopter(RecorderOptions{DB: db, Dir: filepath.Join(dir, "spool"), Log: silent}), 2)
	if n := countRows(t, db, "spools"); n != 2 || countRows(t, db, "spools WHERE mark = 'far'") != 1 {
		t.Errorf("%d spools are known, want our own and the one that is far", n)
	}
}

// An owner that comes back in mid-adoption gets its spool after the batch, and
// ships the rest.
func TestOwnerComesBack(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	dead := filepath.Join(dir, "dead")
	leave(t, db, dead, 5*batchCalls)
	opened := make(chan *Recorder, 1)
	o := RecorderOptions{DB: db, Dir: filepath.Join(dir, "spool"), Log: silent}
	batches := 0
	o.OnBatch = func([]*Call) {
		if batches++; batches > 1 {
			return
		}
		go func() {
			r, err := OpenRecorder(RecorderOptions{Dir: dead, DB: db, Log: silent, adoptEvery: time.Hour})
			if err != nil {
				t.Error(err)
			}
			opened <- r
		}()
		for !owned(dead) {
			time.Sleep(time.Millisecond)
		}
	}
	rounds(t, newAdopter(o), 1)
	r := <-opened
	if r == nil {
		return
	}
	if batches != 1 {
		t.Errorf("the adopter went on for %d batches", batches)
	}
	flush(t, r)
	shutdown(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 5*batchCalls + 1, Interrupted: 1})
}

// Of two that see a dead process's spool one adopts it.
func TestTwoAdopt(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	const each = 100
	var dirs []string
	for i := range 4 {
		dirs = append(dirs, filepath.Join(dir, fmt.Sprint("dead", i)))
		leave(t, db, dirs[i], each)
	}
	var rs []*Recorder
	for i := range 3 {
		rs = append(rs, openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, fmt.Sprint(i)), DB: openStore(t, dir), adoptEvery: often}))
	}
	for _, d := range dirs {
		emptied(t, d)
	}
	total := int64(0)
	for _, r := range rs {
		shutdown(t, r)
		total += r.Stats().Adopted
	}
	if total != 4*(each+2) {
		t.Errorf("%d rows adopted, want %d", total, 4*(each+2))
	}
	checkOutcomes(t, db, map[Outcome]int{OK: 4 * (each + 1), Interrupted: 4})
}

// A store that fails in mid-adoption changes nothing: it is tried again.
func TestAdoptWhenTheStoreFails(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	dead := filepath.Join(dir, "dead")
	leave(t, db, dead, 2*batchCalls)
	o := RecorderOptions{DB: db, Dir: filepath.Join(dir, "spool"), Log: silent}
	batches := 0
	o.OnBatch = func([]*Call) {
		if batches++; batches == 1 {
			if err := db.Exec(context.Background(), `CREATE TRIGGER broken BEFORE INSERT ON calls BEGIN SELECT RAISE(ROLLBACK, 'no'); END`); err != nil {
				t.Error(err)
			}
		}
	}
	a := newAdopter(o)
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := a.round(t.Context(), nil); err == nil {
		t.Error("the store takes nothing, and the adoption says nothing")
	}
	mustExec(t, db, `DROP TRIGGER broken`)
	if err := a.round(t.Context(), nil); err != nil {
		t.Error(err)
	}
	emptied(t, dead)
	checkOutcomes(t, db, map[Outcome]int{OK: 2*batchCalls + 1, Interrupted: 1})
	if n := countRows(t, db, "spool_position"); n != 0 {
		t.Errorf("%d positions are kept", n)
	}
}
