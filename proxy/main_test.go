package proxy

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	mu    sync.Mutex // guards the following field
	got   []*ledger.Call
}

// newRig starts a proxy with the settings; o's other fields may be left open.
func newRig(t *testing.T, s Settings, more ...func(*Options)) *rig {
	t.Helper()
	dir := t.TempDir()
	db, err := sqldb.Open("sqlite:" + dir + "/weir.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	g := &rig{t: t, db: db, log: new(lockedWriter)}
	log := slog.New(slog.NewJSONHandler(g.log, nil))
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
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.rec.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return g
}

// upstream starts a server that plays a vendor.
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

// post sends a JSON body and returns the whole reply.
func (g *rig) post(path, body string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	req, err := http.NewRequest("POST", g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp, string(b) + "\n[broken: " + err.Error() + "]"
	}
	return resp, string(b)
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
