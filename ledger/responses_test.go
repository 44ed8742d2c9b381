package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/sqldb"
)

const someSecret = "a secret of at least thirty-two characters"

// responseID is a fresh id of a kept response.
func responseID() string { return ResponsePrefix + strings.TrimPrefix(callID(), "call_") }

func testResponse(id, previous, text string) *Response {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return &Response{
		ID: id, Scope: "key:1", Created: now, Expires: now.Add(time.Hour), Previous: previous, Model: "claude",
		Input: fmt.Appendf(nil, `[{"role":"user","content":"%s?"}]`, text), Body: fmt.Appendf(nil, `{"id":"%s","output":"%s!"}`, id, text),
	}
}

func openResponses(t *testing.T, r *Recorder) *Responses {
	t.Helper()
	s, err := NewResponses(r, []byte(someSecret))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newResponses are those of a new store.
func newResponses(t *testing.T) (*Responses, *Recorder, string) {
	t.Helper()
	dir := t.TempDir()
	db := openStore(t, dir)
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	return openResponses(t, r), r, dir
}

func keep(t *testing.T, s *Responses, list ...*Response) {
	t.Helper()
	for _, r := range list {
		if err := s.Keep(r); err != nil {
			t.Fatal(err)
		}
	}
}

// texts are the words of a chain, oldest first, or why there is none.
func texts(list []*Response, err error) string {
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, r := range list {
		_, rest, _ := strings.Cut(string(r.Body), `"output":"`)
		out = append(out, strings.TrimSuffix(rest, `"}`))
	}
	return strings.Join(out, " ")
}

func TestKeptResponse(t *testing.T) {
	s, rec, _ := newResponses(t)
	want := testResponse(responseID(), "", "hello")
	keep(t, s, want)
	check := func(when string) {
		t.Helper()
		got, err := s.Get(t.Context(), "key:1", want.ID)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
		for _, scope := range []string{"", "key:2", "project:1"} {
			if got, err := s.Get(t.Context(), scope, want.ID); !errors.Is(err, ErrNoResponse) || got != nil {
				t.Errorf("%s: scope %q gets %v, %v", when, scope, got, err)
			}
			if err := s.Delete(t.Context(), scope, want.ID); !errors.Is(err, ErrNoResponse) {
				t.Errorf("%s: scope %q deletes it: %v", when, scope, err)
			}
		}
	}
	check("at once")
	flush(t, rec)
	if r, deleted := rec.kept.get(want.ID); r != nil || deleted || rec.kept.bytes != 0 || len(rec.kept.order) != 0 {
		t.Errorf("what is shipped stays in memory: %v, %d bytes, %v", r, rec.kept.bytes, rec.kept.order)
	}
	check("shipped")
	s.now = func() time.Time { return want.Expires }
	if _, err := s.Get(t.Context(), "key:1", want.ID); !errors.Is(err, ErrNoResponse) {
		t.Errorf("expired: %v", err)
	}
	if n, err := PruneResponses(t.Context(), s.db, want.Expires); n != 1 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
}

// A conversation branches, and a deleted response breaks what went on from it.
func TestResponseChain(t *testing.T) {
	for _, shipped := range []bool{false, true} {
		s, rec, _ := newResponses(t)
		a, b, c, d := responseID(), responseID(), responseID(), responseID()
		keep(t, s, testResponse(a, "", "a"), testResponse(b, a, "b"), testResponse(c, b, "c"), testResponse(d, b, "d"))
		settle := func() {
			if shipped {
				flush(t, rec)
			}
		}
		settle()
		check := func(id, want string) {
			t.Helper()
			if got := texts(s.Chain(t.Context(), "key:1", id)); got != want {
				t.Errorf("shipped %v: chain %q, want %q", shipped, got, want)
			}
		}
		check(c, "a! b! c!")
		check(d, "a! b! d!")
		check(a, "a!")
		if err := s.Delete(t.Context(), "key:1", b); err != nil {
			t.Fatal(err)
		}
		settle()
		check(c, (&BrokenChain{b}).Error())
		check(b, errDeleted.Error())
		check(a, "a!")
		if got := texts(one(s.Get(t.Context(), "key:1", c))); got != "c!" {
			t.Errorf("alone: %s", got)
		}
		if err := s.Delete(t.Context(), "key:1", b); !errors.Is(err, ErrNoResponse) {
			t.Errorf("deleted twice: %v", err)
		}
	}
}

func one(r *Response, err error) ([]*Response, error) { return []*Response{r}, err }

func TestLongChain(t *testing.T) {
	s, rec, _ := newResponses(t)
	last := ""
	for range MaxChain + 1 {
		id := responseID()
		keep(t, s, testResponse(id, last, "x"))
		last = id
	}
	flush(t, rec)
	if _, err := s.Chain(t.Context(), "key:1", last); !errors.Is(err, ErrLongChain) {
		t.Errorf("a chain of %d: %v", MaxChain+1, err)
	}
}

// A spool that is shipped once more changes nothing, and brings back nothing
// that is deleted.
func TestShippedTwice(t *testing.T) {
	s, rec, dir := newResponses(t)
	a, b := responseID(), responseID()
	keep(t, s, testResponse(a, "", "a"), testResponse(b, a, "b"))
	flush(t, rec)
	if err := s.Delete(t.Context(), "key:1", a); err != nil {
		t.Fatal(err)
	}
	flush(t, rec)
	spool := map[string][]byte{}
	files, _ := filepath.Glob(filepath.Join(dir, "spool", "*.spool"))
	for _, name := range files {
		spool[name], _ = os.ReadFile(name)
	}
	if err := rec.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, content := range spool {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Exec(t.Context(), `DELETE FROM spool_position`); err != nil {
		t.Fatal(err)
	}
	again := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: s.db})
	flush(t, again)
	s = openResponses(t, again)
	if got := texts(one(s.Get(t.Context(), "key:1", b))); got != "b!" {
		t.Errorf("the kept one: %s", got)
	}
	if _, err := s.Get(t.Context(), "key:1", a); !errors.Is(err, ErrNoResponse) {
		t.Errorf("the deleted one: %v", err)
	}
}

// What was said can be read neither in the store's files nor in the spool, nor
// with another secret, nor in another row's place.
func TestResponsesAreSealed(t *testing.T) {
	s, rec, dir := newResponses(t)
	a, b := responseID(), responseID()
	keep(t, s, testResponse(a, "", "CANARY-of-a-conversation"))
	canary := func(when string) {
		t.Helper()
		looked := 0
		_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() && e.Name() != "reserve" {
				content, _ := os.ReadFile(path)
				looked += len(content)
				if bytes.Contains(content, []byte("CANARY")) {
					t.Errorf("%s: %s shows what was said", when, path)
				}
			}
			return nil
		})
		if looked == 0 {
			t.Errorf("%s: nothing to look at", when)
		}
	}
	canary("in the spool")
	flush(t, rec)
	canary("in the store")
	other, err := NewResponses(rec, []byte("another secret of at least thirty-two bytes"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Get(t.Context(), "key:1", a); !errors.Is(err, ErrSealed) {
		t.Errorf("with another secret: %v", err)
	}
	if err := s.db.Exec(t.Context(), `UPDATE responses SET id = '`+b+`', scope = 'key:2'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "key:2", b); !errors.Is(err, ErrSealed) {
		t.Errorf("in another place: %v", err)
	}
	if x, y := s.ClientScope("sk-1"), s.ClientScope("sk-2"); x == y || strings.Contains(x, "sk-1") || x == other.ClientScope("sk-1") {
		t.Errorf("scopes of clients: %s %s", x, y)
	}
}

// Two processes on one store: the second waits for what the first is shipping,
// and not for ever.
func TestTwoProcesses(t *testing.T) {
	s, _, dir := newResponses(t)
	db := openStore(t, dir)
	theirs := openResponses(t, openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "other"), DB: db}))
	release := lockStore(t, s.db)
	r := testResponse(responseID(), "", "a")
	keep(t, s, r)
	time.AfterFunc(150*time.Millisecond, release)
	if got := texts(one(theirs.Get(t.Context(), "key:1", r.ID))); got != "a!" {
		t.Errorf("another process gets %s", got)
	}
	if err := theirs.Delete(t.Context(), "key:1", r.ID); err != nil {
		t.Fatal(err)
	}
	flush(t, theirs.rec)
	if _, err := s.Get(t.Context(), "key:1", r.ID); !errors.Is(err, ErrNoResponse) {
		t.Errorf("deleted by another process: %v", err)
	}
	begun := time.Now()
	if _, err := theirs.Get(t.Context(), "key:1", responseID()); !errors.Is(err, ErrNoResponse) {
		t.Errorf("unknown: %v", err)
	}
	if d := time.Since(begun); d < waitTime/2 || d > 3*waitTime {
		t.Errorf("an unknown fresh one is waited for %v", d)
	}
	begun = time.Now()
	old := ResponsePrefix + "0190a000" + strings.Repeat("0", 24)
	if _, err := theirs.Get(t.Context(), "key:1", old); !errors.Is(err, ErrNoResponse) || time.Since(begun) > waitTime/2 {
		t.Errorf("an old unknown one: %v after %v", err, time.Since(begun))
	}
}

// lockStore holds the store's write lock until release is called.
func lockStore(t *testing.T, db *sqldb.DB) (release func()) {
	t.Helper()
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = db.Write(context.Background(), func(*sql.Tx) error { close(held); <-free; return nil })
	}()
	<-held
	var once bool
	release = func() {
		if !once {
			once = true
			close(free)
		}
		<-done
	}
	t.Cleanup(release)
	return release
}

// While the store cannot be written to, what memory has no room for is read
// from the spool, a deletion too.
func TestUnshippedBeyondMemory(t *testing.T) {
	s, rec, _ := newResponses(t)
	release := lockStore(t, s.db)
	defer release()
	rec.kept.max = 64 << 10
	a, b := responseID(), responseID()
	keep(t, s, testResponse(a, "", "a"))
	filler := testResponse(responseID(), "", "x")
	filler.Body = bytes.Repeat([]byte("x"), 30<<10)
	keep(t, s, filler)
	filler.ID = responseID()
	keep(t, s, filler, testResponse(b, a, "b"))
	filler.ID = responseID()
	keep(t, s, filler)
	if rec.kept.bytes > rec.kept.max {
		t.Errorf("%d bytes in memory", rec.kept.bytes)
	}
	if r, _ := rec.kept.get(a); r != nil {
		t.Error("the oldest is in memory still")
	}
	if got := texts(s.Chain(t.Context(), "key:1", b)); got != "a! b!" {
		t.Errorf("from the spool: %s", got)
	}
	if err := s.Delete(t.Context(), "key:1", a); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "key:1", a); !errors.Is(err, ErrNoResponse) {
		t.Errorf("deleted: %v", err)
	}
}

// A store that does not answer is no 404: what is not in memory is not known.
func TestStoreDown(t *testing.T) {
	s, rec, _ := newResponses(t)
	a, b := responseID(), responseID()
	keep(t, s, testResponse(a, "", "a"))
	flush(t, rec)
	if err := s.db.Exec(t.Context(), `ALTER TABLE responses RENAME TO gone`); err != nil {
		t.Fatal(err)
	}
	keep(t, s, testResponse(b, "", "b"))
	if _, err := s.Get(t.Context(), "key:1", a); !errors.Is(err, ErrStoreDown) || errors.Is(err, ErrNoResponse) {
		t.Errorf("a dead store: %v", err)
	}
	if got := texts(one(s.Get(t.Context(), "key:1", b))); got != "b!" {
		t.Errorf("what is in memory: %s", got)
	}
	if err := s.db.Exec(t.Context(), `ALTER TABLE gone RENAME TO responses`); err != nil {
		t.Fatal(err)
	}
}

func TestResponseBounds(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	s := openResponses(t, openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db, Max: 1 << 20}))
	r := testResponse(responseID(), "", "a")
	r.Body = make([]byte, 2<<20)
	if err := s.Keep(r); !errors.Is(err, ErrSpoolFull) {
		t.Errorf("more than the spool may take: %v", err)
	}
	r.Body = make([]byte, MaxResponse)
	if err := s.Keep(r); err == nil {
		t.Error("more than a record may take is kept")
	}
}

func FuzzKept(f *testing.F) {
	s, err := newSealer([]byte(someSecret))
	if err != nil {
		f.Fatal(err)
	}
	whole := s.seal(testResponse(responseID(), "resp_weir_1", "a"))
	f.Add(appendKept(nil, whole))
	f.Fuzz(func(t *testing.T, p []byte) {
		step, err := decodeKept(recKept, p)
		if err != nil {
			return
		}
		again, err := decodeKept(recKept, appendKept(nil, step.r))
		if err != nil || fmt.Sprint(again.r) != fmt.Sprint(step.r) {
			t.Errorf("%v, %v, want %v", again.r, err, step.r)
		}
		_, _ = s.open(step.r)
	})
}
