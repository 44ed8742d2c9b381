package alerts

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/sqldb"
)

// fast are options under which nothing waits for long.
func fast(db *sqldb.DB) Options {
	return Options{
		DB: db, Log: slog.New(slog.DiscardHandler), pace: time.Millisecond, lease: time.Minute, look: 10 * time.Millisecond,
		again: func(int) time.Duration { return 5 * time.Millisecond },
	}
}

func open(t *testing.T, o Options, hooks ...Webhook) *Desk {
	t.Helper()
	d := Open(o, hooks)
	t.Cleanup(func() { shut(t, d) })
	return d
}

func shut(t *testing.T, d *Desk) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		t.Error(err)
	}
}

// A receiver is a webhook's other end.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies [][]byte
	answer func(n int) int // the status of the nth post, from 1
}

func receive(t *testing.T, answer func(n int) int) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.got, r.bodies = append(r.got, req), append(r.bodies, body)
		n := len(r.got)
		r.mu.Unlock()
		status := http.StatusOK
		if r.answer != nil {
			status = r.answer(n)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "noted "+req.URL.Path)
	}))
	t.Cleanup(r.Close)
	return r
}

// ids are those of the events that came, in order.
func (r *receiver) ids() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, req := range r.got {
		out = append(out, req.Header.Get("Webhook-Id"))
	}
	return out
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 10 s: " + what)
		}
	}
}

func listAll(t *testing.T, db *sqldb.DB) []Told {
	t.Helper()
	out, err := List(t.Context(), db, Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// settled reports whether all deliveries of n events have ended.
func settled(t *testing.T, db *sqldb.DB, n int) func() bool {
	return func() bool {
		told := listAll(t, db)
		for i := range told {
			for _, d := range told[i].Deliveries {
				if d.State == Pending {
					return false
				}
			}
		}
		return len(told) == n
	}
}

// event is a test's event, of now.
func event(n int) Event {
	e := budget(n, "20", "block")
	e.At = time.Now().UTC()
	return *e
}

// TestToldOnce: two processes and a restart tell each event once.
func TestToldOnce(t *testing.T) {
	dir := t.TempDir()
	r := receive(t, nil)
	hook := Webhook{Name: "ops", URL: r.URL, Format: JSON}
	one, two := openStore(t, dir), openStore(t, dir)
	a, b := open(t, fast(one), hook), open(t, fast(two), hook)
	for n := range 20 {
		a.Tell(event(n))
		b.Tell(event(n))
		b.Tell(event(n))
	}
	eventually(t, "all are told", settled(t, one, 20))
	shut(t, a)
	c := open(t, fast(one), hook)
	for n := range 20 {
		c.Tell(event(n))
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are told", settled(t, one, 20))
	seen := map[string]int{}
	for _, id := range r.ids() {
		seen[id]++
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was told %d times", id, n)
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d events were told, want 20", len(seen))
	}
}

// TestTriedAgain: a webhook that fails is tried again, also by the next
// process, with the same id; another one is not kept waiting by it.
func TestTriedAgain(t *testing.T) {
	db := openStore(t, t.TempDir())
	healthy := make(chan struct{})
	bad := receive(t, func(int) int {
		select {
		case <-healthy:
			return http.StatusNoContent
		default:
			return http.StatusInternalServerError
		}
	})
	good := receive(t, nil)
	hooks := []Webhook{{Name: "bad", URL: bad.URL, Format: Slack}, {Name: "good", URL: good.URL, Format: Slack}}
	a := open(t, fast(db), hooks...)
	a.Tell(event(80))
	eventually(t, "it is tried several times", func() bool { return len(bad.ids()) > 2 })
	eventually(t, "the good one has it", func() bool { return len(good.ids()) == 1 })
	shut(t, a)
	told := listAll(t, db)
	if d := told[0].Deliveries; len(d) != 2 || d[0].State != Pending || d[0].Answer != "500 Internal Server Error" || d[0].Tries < 3 || d[1].State != Delivered || d[1].Tries != 1 {
		t.Errorf("deliveries: %+v", d)
	}
	close(healthy)
	open(t, fast(db), hooks...)
	eventually(t, "it is told after the restart", settled(t, db, 1))
	ids := bad.ids()
	for _, id := range ids {
		if id != told[0].ID {
			t.Errorf("tried with the id %s, want %s", id, told[0].ID)
		}
	}
	if n := len(good.ids()); n != 1 {
		t.Errorf("the good one was told %d times", n)
	}
	if d := listAll(t, db)[0].Deliveries[0]; d.State != Delivered || d.Tries != len(ids) {
		t.Errorf("%d tries: %+v", len(ids), d)
	}
}

// TestClaim: what a process was telling as it died is told by another one, when
// the claim has ended, and not before.
func TestClaim(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	e := event(80)
	if told, err := insert(t.Context(), db, &e, []string{"ops"}); !told || err != nil {
		t.Fatal(told, err)
	}
	claimed := time.Now()
	const lease = 300 * time.Millisecond
	if c, _, err := next(t.Context(), db, "ops", claimed, lease); c == nil || err != nil {
		t.Fatalf("claim %v, %v", c, err)
	}
	if c, due, err := next(t.Context(), openStore(t, dir), "ops", claimed, lease); c != nil || err != nil || due.Sub(claimed) > lease {
		t.Fatalf("claimed twice: %v, due %v, %v", c, due, err)
	}
	r := receive(t, nil)
	open(t, fast(openStore(t, dir)), Webhook{Name: "ops", URL: r.URL})
	eventually(t, "it is told", settled(t, db, 1))
	if took := time.Since(claimed); took < lease || len(r.ids()) != 1 {
		t.Errorf("told %d times after %s", len(r.ids()), took)
	}
}

// TestGivenUp: what could not be told within a day is given up, and what has
// no webhook is kept.
func TestGivenUp(t *testing.T) {
	db := openStore(t, t.TempDir())
	r := receive(t, nil)
	d := open(t, fast(db), Webhook{Name: "ops", URL: r.URL, Format: JSON})
	old := event(50)
	old.At = time.Now().Add(-tellTime - time.Minute)
	d.Tell(old)
	eventually(t, "it is given up", settled(t, db, 1))
	if got := listAll(t, db)[0].Deliveries[0]; got.State != GivenUp || len(r.ids()) != 0 {
		t.Errorf("%+v, told %v", got, r.ids())
	}
	d.Apply([]Webhook{{Name: "ops", URL: r.URL, Kinds: []Kind{KeyPaused}}})
	d.Tell(event(80))
	eventually(t, "the second is kept", settled(t, db, 2))
	if got := listAll(t, db)[0]; len(got.Deliveries) != 0 || got.Limit.Percent != 80 {
		t.Errorf("without a webhook: %+v", got)
	}
}

// TestNeverBlocks: a desk whose webhook hangs and whose store is locked takes
// events without waiting, up to its bound, and counts what it drops.
func TestNeverBlocks(t *testing.T) {
	db := openStore(t, t.TempDir())
	stuck := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer hung.Close()
	defer close(stuck)
	o, registry := fast(db), prometheus.NewRegistry()
	o.Metrics = NewMetrics(registry)
	d := Open(o, []Webhook{{Name: "hung", URL: hung.URL, Format: JSON}})
	d.Tell(event(1))
	eventually(t, "the first is kept", func() bool { return len(listAll(t, db)) == 1 })
	err := db.Write(t.Context(), func(*sql.Tx) error {
		e, began := event(80), time.Now()
		for n := range 3 * maxQueue {
			e.ID = NewID(Test, strconv.Itoa(n))
			d.Tell(e)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("telling took %s", took)
		}
		if n := dropped(t, registry); n < 2*maxQueue-1 || n > 2*maxQueue { // one may be with who waits for the store
			t.Errorf("%v of %d are counted as dropped", n, 3*maxQueue)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := d.Close(ctx); err == nil {
		t.Error("a hung webhook was not cut")
	}
	told := listAll(t, db)
	if first := told[len(told)-1]; first.Deliveries[0].State != Pending {
		t.Errorf("what was cut: %+v", first.Deliveries)
	}
}

// dropped is what weir_alerts_dropped_total says.
func dropped(t *testing.T, r *prometheus.Registry) float64 {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range all {
		if family.GetName() == "weir_alerts_dropped_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("there is no weir_alerts_dropped_total")
	return 0
}

// TestPost: what a webhook gets, and that no secret is in what is said of it.
func TestPost(t *testing.T) {
	e := budget(80, "20.13", "block")
	e.Text = "a <b> & c"
	e.Limit.Used = "20.13"
	r := receive(t, nil)
	secret, err := ReadSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := Webhook{Name: "ops", URL: r.URL + "/T0/xoxb-hidden", Format: JSON, Secret: secret, Headers: map[string]string{"X-Team": "a"}}
	if a := h.Post(t.Context(), e); a.Err != nil || a.Status != "200 OK" || a.Said != "noted /T0/xoxb-hidden" {
		t.Errorf("answer %+v", a)
	}
	req, body := r.got[0], r.bodies[0]
	if got, want := req.Header.Get("Webhook-Signature"), sign(secret, e.ID, req.Header.Get("Webhook-Timestamp"), body); got != want || req.Header.Get("X-Team") != "a" || req.Header.Get("Content-Type") != "application/json" {
		t.Errorf("signature %s, want %s; headers %v", got, want, req.Header)
	}
	var got Event
	if err := json.Unmarshal(body, &got); err != nil || got.ID != e.ID || got.Limit.Used != "20.13" || got.Limit.Percent != 80 || got.Project.ID != "proj_1" {
		t.Errorf("body %s: %v", body, err)
	}
	h.Format = Slack
	h.Post(t.Context(), e)
	var slack map[string]string
	if err := json.Unmarshal(r.bodies[1], &slack); err != nil || len(slack) != 1 || slack["text"] != "a &lt;b&gt; &amp; c" {
		t.Errorf("body %s: %v", r.bodies[1], err)
	}

	// The example of the Standard Webhooks specification.
	if got := sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("signature %s", got)
	}
	if _, err := ReadSecret("whsec_!"); err == nil {
		t.Error("a secret that is no base64 is taken")
	}
}

func TestPostFails(t *testing.T) {
	e := budget(80, "20.13", "block")
	gone := receive(t, nil)
	h := Webhook{Name: "ops", URL: gone.URL + "/T0/xoxb-hidden", Format: JSON}
	gone.Close()
	if a := h.Post(t.Context(), e); a.Err == nil || strings.Contains(a.Summary(), "hidden") || !strings.Contains(a.Summary(), "refused") {
		t.Errorf("gone: %+v", a)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/" {
			t.Error("a redirect was followed")
		}
		w.Header().Set("Location", "/else")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer elsewhere.Close()
	h.URL = elsewhere.URL
	if a := h.Post(t.Context(), e); a.Err == nil || a.Summary() != "307 Temporary Redirect" || a.After != 7*time.Second {
		t.Errorf("redirect: %+v", a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := h.Post(ctx, e); !errors.Is(a.Err, context.Canceled) {
		t.Errorf("cancelled: %+v", a)
	}
}

// TestNoSecretsInLog: what a desk logs and keeps has nothing of a URL.
func TestNoSecretsInLog(t *testing.T) {
	db := openStore(t, t.TempDir())
	var log bytes.Buffer
	o := fast(db)
	o.Log = slog.New(slog.NewJSONHandler(&log, nil))
	gone := receive(t, nil)
	gone.Close()
	d := Open(o, []Webhook{{Name: "ops", URL: gone.URL + "/T0/xoxb-hidden?token=hidden", Format: Slack, Secret: []byte("hidden"), Headers: map[string]string{"A": "hidden"}}})
	d.Tell(event(80))
	eventually(t, "it is tried", func() bool { l := listAll(t, db); return len(l) == 1 && l[0].Deliveries[0].Tries > 1 })
	shut(t, d)
	if text := log.String(); strings.Contains(text, "hidden") || !strings.Contains(text, "an alert is told later") {
		t.Errorf("log: %s", text)
	}
	kept, err := json.Marshal(listAll(t, db))
	if err != nil || strings.Contains(string(kept), "hidden") {
		t.Errorf("kept %s, %v", kept, err)
	}
}

// TestStates: a state is told when it changes, by whoever sees it first.
func TestStates(t *testing.T) {
	db := openStore(t, t.TempDir())
	d := open(t, fast(db))
	at := time.Now().UTC()
	kinds := func() (out string) {
		if err := d.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, a := range listAll(t, db) {
			out = strings.TrimPrefix(string(a.Kind), "limiter_") + " " + out
		}
		return out
	}
	tell := func(failing bool, process string, after time.Duration) {
		d.Tell(NewLimiter(failing, "the breaker is open", process, at.Add(after)))
	}
	tell(false, "a", 0) // nobody heard that it failed
	tell(true, "a", 1*time.Second)
	tell(true, "b", 2*time.Second)
	tell(false, "b", 3*time.Second)
	tell(false, "a", 4*time.Second)
	tell(true, "a", 5*time.Second)
	if got := kinds(); got != "degraded recovered degraded " {
		t.Errorf("told: %s", got)
	}
	tell(true, "a", 5*time.Second+stateTime+time.Second) // the process died meanwhile
	if got := kinds(); got != "degraded recovered degraded degraded " {
		t.Errorf("told: %s", got)
	}
	tell(false, "b", 9*stateTime) // started anew
	tell(false, "a", 10*stateTime)
	if got := kinds(); got != "degraded recovered degraded degraded recovered " {
		t.Errorf("told: %s", got)
	}
}

// TestList: pages, filters, and what is pruned.
func TestList(t *testing.T) {
	db := openStore(t, t.TempDir())
	d := open(t, fast(db), Webhook{Name: "a", URL: "http://127.0.0.1:1"}, Webhook{Name: "b", URL: "http://127.0.0.1:1"})
	base := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	for n := range 10 {
		e := event(n)
		e.At = base.Add(time.Duration(n/2) * time.Second) // two at a time
		d.Tell(e)
	}
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := listAll(t, db)
	var paged []string
	for q := (Query{Limit: 3}); ; {
		page, err := List(t.Context(), db, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			if len(a.Deliveries) != 2 {
				t.Errorf("deliveries %+v", a.Deliveries)
			}
			paged = append(paged, a.ID)
		}
		q.Before = page[len(page)-1].ID
	}
	for i, a := range all {
		if i >= len(paged) || paged[i] != a.ID || i > 0 && a.At.After(all[i-1].At) {
			t.Fatalf("pages %v of %d", paged, len(all))
		}
	}
	if _, err := List(t.Context(), db, Query{Before: "alert_none", Limit: 1}); !errors.Is(err, ErrNoSuchAlert) {
		t.Errorf("before nothing: %v", err)
	}
	count := func(q Query, want int) {
		t.Helper()
		q.Limit = 100
		if got, err := List(t.Context(), db, q); err != nil || len(got) != want {
			t.Errorf("%+v: %d, %v; want %d", q, len(got), err, want)
		}
	}
	count(Query{Kind: BudgetThreshold}, 10)
	count(Query{Kind: KeyPaused}, 0)
	count(Query{Since: base.Add(3 * time.Second)}, 4)
	count(Query{Since: base.Add(time.Second), Until: base.Add(3 * time.Second)}, 4)
	if n, err := Prune(t.Context(), db, base.Add(2*time.Second).Add(KeepTime)); n != 4 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	for _, a := range listAll(t, db) {
		if a.Deliveries[0].State != GivenUp {
			t.Errorf("after %s: %+v", KeepTime, a.Deliveries)
		}
	}
	count(Query{}, 6)
	var left int
	if err := db.Reader().QueryRow(`SELECT count(*) FROM alert_deliveries`).Scan(&left); err != nil || left != 12 {
		t.Errorf("%d deliveries left, %v", left, err)
	}
}
