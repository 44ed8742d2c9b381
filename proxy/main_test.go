package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is a proxy with a real store and spool, behind a real server.
type rig struct {
	t     *testing.T
	proxy *Proxy
	url   string
	db    *sqldb.DB
	rec   *ledger.Recorder
	log   *lockedWriter
	dir   string // of the store and the spool
	spool string
	down  bool       // the recorder has been shut down
	mu    sync.Mutex // guards the following field
	got   []*ledger.Call
}

// newRig starts a proxy with the settings; o's other fields may be left open.
func newRig(t *testing.T, s Settings, more ...func(*Options)) *rig {
	t.Helper()
	dir := t.TempDir()
	db := newStore(t, dir)
	g := &rig{t: t, db: db, log: new(lockedWriter), dir: dir, spool: dir + "/spool"}
	log := slog.New(slog.NewJSONHandler(g.log, nil))
	var err error
	g.rec, err = ledger.OpenRecorder(ledger.RecorderOptions{Dir: dir + "/spool", DB: db, Log: log, OnBatch: func(calls []*ledger.Call) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.got = append(g.got, calls...)
	}})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Settings: s, Recorder: g.rec, Log: log}
	for _, f := range more {
		f(&o)
	}
	if g.proxy, err = New(o); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.proxy)
	g.url = server.URL
	t.Cleanup(func() {
		g.proxy.Drain(5 * time.Second)
		server.CloseClientConnections()
		server.Close()
		g.proxy.Close()
		g.shut()
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return g
}

// emptyStore is the file of a store without rows: to copy it is a good part
// cheaper than to migrate for every test.
var emptyStore = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "weir-proxy-test-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	db, err := sqldb.Open("sqlite:" + dir + "/weir.db")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(migrations.Up(context.Background(), db), db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(dir + "/weir.db")
})

func newStore(t *testing.T, dir string) *sqldb.DB {
	t.Helper()
	file, err := emptyStore()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/weir.db", file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open("sqlite:" + dir + "/weir.db")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// shut ends the recorder: all that it knows is on disk then.
func (g *rig) shut() {
	g.t.Helper()
	if g.down {
		return
	}
	g.down = true
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := g.rec.Shutdown(ctx); err != nil {
		g.t.Errorf("shutdown: %v", err)
	}
}

// upstreamServer starts a server that plays a vendor.
func upstreamServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// openaiAt is a provider of kind openai at a server.
func openaiAt(url string) ProviderSettings {
	return ProviderSettings{Name: "up", Kind: "openai", BaseURL: url + "/v1", APIKey: "sk-upstream-secret", Models: []string{"*"}}
}

// at is a provider that serves every model, under a name and of a kind.
func at(name, kind, url string) ProviderSettings {
	return ProviderSettings{Name: name, Kind: kind, BaseURL: url, APIKey: "sk-upstream-" + name, Models: []string{"*"}}
}

// route sends a model to the named providers, and falls back to further ones.
func route(model string, targets, fallbacks []string) RouteSettings {
	r := RouteSettings{Model: model}
	for _, name := range targets {
		r.Targets = append(r.Targets, TargetSettings{Provider: name})
	}
	for _, name := range fallbacks {
		r.Fallbacks = append(r.Fallbacks, TargetSettings{Provider: name})
	}
	return r
}

// A request is what an upstream got.
type request struct {
	method, uri, host, body string
	header                  http.Header
	at                      time.Time
}

// A vendor is an upstream that keeps what it got and answers by h.
type vendor struct {
	url string
	mu  sync.Mutex // guards the following field
	got []request
}

func newVendor(t *testing.T, h func(w http.ResponseWriter, r *http.Request, body string)) *vendor {
	t.Helper()
	v := new(vendor)
	v.url = upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		v.got = append(v.got, request{r.Method, r.RequestURI, r.Host, string(b), r.Header.Clone(), time.Now()})
		v.mu.Unlock()
		h(w, r, string(b))
	})
	return v
}

// seen returns the requests so far, and last the last of them.
func (v *vendor) seen() []request {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]request(nil), v.got...)
}

func (v *vendor) last() request {
	if all := v.seen(); len(all) > 0 {
		return all[len(all)-1]
	}
	return request{}
}

// says answers with a JSON body.
func says(status int, body string, headers ...string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// answers is an event stream.
func answers(events ...string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) { sse(w, events...) }
}

// post sends a JSON body and returns the whole reply.
func (g *rig) post(path, body string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	return g.do("POST", path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

// do sends a request and returns the whole reply. A reply that breaks off
// ends with "[broken: why]".
func (g *rig) do(method, path, body string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	resp := g.send(context.Background(), method, path, body, headers...)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp, string(b) + "\n[broken: " + err.Error() + "]"
	}
	return resp, string(b)
}

// send sends a request; the caller reads and closes the reply.
func (g *rig) send(ctx context.Context, method, path, body string, headers ...string) *http.Response {
	g.t.Helper()
	resp, err := g.try(ctx, method, path, body, headers...)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp
}

func (g *rig) try(ctx context.Context, method, path, body string, headers ...string) (*http.Response, error) {
	g.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, g.url+path, in)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return client.Do(req)
}

// nextEvent reads one event, its blank line included.
func nextEvent(t *testing.T, in *bufio.Reader) string {
	t.Helper()
	var event string
	for {
		line, err := in.ReadString('\n')
		event += line
		if err != nil {
			t.Fatalf("stream ends in %q: %v", event, err)
		}
		if line == "\n" || line == "\r\n" {
			return event
		}
	}
}

// eventually polls until ok, at most for ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within ten seconds", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// within fails the test where c does not come in time.
func within[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: not within ten seconds", what)
	}
	return v
}

// client keeps no connections, so that none outlives its test.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}

// calls returns what the ledger has taken, oldest first, once there are n of them.
func (g *rig) calls(n int) []*ledger.Call {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		if err := g.rec.Flush(ctx); err != nil {
			g.t.Fatalf("flush: %v (have %d calls, want %d)", err, len(g.stored()), n)
		}
		if got := g.stored(); len(got) >= n {
			if len(got) > n {
				g.t.Fatalf("%d calls in the ledger, want %d", len(got), n)
			}
			return got
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (g *rig) stored() []*ledger.Call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*ledger.Call(nil), g.got...)
}

// one returns the only call.
func (g *rig) one() *ledger.Call { return g.calls(1)[0] }

// A lockedWriter may be written to by several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedWriter) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
