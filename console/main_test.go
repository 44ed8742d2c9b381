package console_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/console"
	"weir/costs"
	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const adminToken = "the-admin-token-of-the-tests"

// A desk is a console on a store of its own, and a browser in front of it.
type desk struct {
	t        *testing.T
	url      string
	db       *sqldb.DB
	recorder *ledger.Recorder
	ring     *ledger.KeyRing
	client   *http.Client
}

func open(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	db, err := sqldb.Open("sqlite:" + filepath.Join(dir, "weir.db"))
	must(err)
	t.Cleanup(func() { must(db.Close()) })
	must(migrations.Up(t.Context(), db))
	recorder, err := ledger.OpenRecorder(ledger.RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db, Log: log})
	must(err)
	t.Cleanup(func() { must(recorder.Shutdown(context.Background())) })
	secret := []byte(strings.Repeat("s", 32))
	ring, err := ledger.OpenKeyRing(t.Context(), db, secret, log)
	must(err)
	t.Cleanup(ring.Close)
	c, err := console.New(console.Options{
		Token: adminToken, DB: db, Keys: ledger.NewKeys(db, secret), Calls: ledger.NewCalls(db, filepath.Join(dir, "spool")),
		KeysChanged: ring.Refresh, Log: log,
		Config: func() any { return map[string]any{"listen": "127.0.0.1:8080", "secret": "(set)"} },
		Routes: func() []console.Route {
			return []console.Route{{Model: "fast", Targets: []console.Target{{Provider: "mock", Model: "m", Weight: 2}}}}
		},
		Providers: func() []console.Provider { return []console.Provider{{Name: "mock", Kind: "mock", HasKey: true}} },
		Limits:    shownLimits,
		Status: func() console.Status {
			return console.Status{Version: "v1", URL: "http://127.0.0.1:8080", Auth: "keys", Ready: true}
		},
	})
	must(err)
	server := httptest.NewServer(c)
	t.Cleanup(func() {
		server.Client().CloseIdleConnections()
		server.Close()
	})
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &desk{t, server.URL, db, recorder, ring, client}
}

type reply struct {
	status int
	header http.Header
	body   string
}

// send makes a request; headers are "name: value".
func (d *desk) send(method, path, body string, headers ...string) reply {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

const withToken = "Authorization: Bearer " + adminToken

// call asks the API and reads its JSON; it wants the status.
func (d *desk) call(method, path, body string, status int) map[string]any {
	d.t.Helper()
	headers := []string{withToken}
	if body != "" {
		headers = append(headers, "Content-Type: application/json")
	}
	r := d.send(method, "/api/v1"+path, body, headers...)
	var v map[string]any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil || r.status != status {
		d.t.Fatalf("%s %s %s: got %d %s, want %d", method, path, body, r.status, r.body, status)
	}
	if r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
		d.t.Errorf("%s %s: headers %v", method, path, r.header)
	}
	return v
}

// refused wants an error of the API.
func (d *desk) refused(method, path, body string, status int, code, sub string) {
	d.t.Helper()
	v := d.call(method, path, body, status)
	e, _ := v["error"].(map[string]any)
	if e["code"] != code || !strings.Contains(e["message"].(string), sub) || len(v) != 1 || len(e) != 2 {
		d.t.Errorf("%s %s %s: got %v, want %s with %q", method, path, body, v, code, sub)
	}
}

func rows(v map[string]any) []map[string]any {
	var out []map[string]any
	for _, row := range v["data"].([]any) {
		out = append(out, row.(map[string]any))
	}
	return out
}

// record records n calls a second apart, the last of them now, and returns
// their ids, oldest first. The first is an error.
func (d *desk) record(n int) []string {
	d.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		at := time.Now().Add(time.Duration(i-n+1) * time.Second).UTC()
		var u costs.Usage
		u.Set(costs.Input, int64(10+i))
		u.Set(costs.Output, 5)
		c := &ledger.Call{
			ID: callID(at, i), Start: at, Customer: "acme", Dialect: "openai", API: "chat", Method: "POST", Path: "/v1/chat/completions",
			AskedModel: "fast", Provider: "mock", Model: "m", ServedModel: "<script>alert(1)</script>", Status: 200, Outcome: ledger.OK, Usage: u,
			UsageSource: ledger.FromProvider, TTFT: 20 * time.Millisecond, Total: 50 * time.Millisecond, Tags: map[string]string{"env": "test"},
			Attempts: []ledger.Attempt{{N: 1, Provider: "mock", Model: "m", Status: 200, Total: 40 * time.Millisecond, Usage: u, RawUsage: []byte(`{"prompt_tokens":10}`)}},
		}
		if i == 0 {
			c.Status, c.Outcome, c.ErrorClass, c.Customer = 429, ledger.Failed, "rate_limited", "other"
		}
		ids[i] = c.ID
		if err := d.recorder.Opened(c); err != nil {
			d.t.Fatal(err)
		}
		if err := d.recorder.Closed(c); err != nil {
			d.t.Fatal(err)
		}
	}
	return ids
}

func (d *desk) flush() {
	d.t.Helper()
	if err := d.recorder.Flush(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// login returns the cookie that the token is good for.
func (d *desk) login() string {
	d.t.Helper()
	r := d.send(http.MethodPost, "/login", url.Values{"token": {adminToken}}.Encode(), "Content-Type: application/x-www-form-urlencoded")
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	if r.status != http.StatusSeeOther || cookie == "" || strings.Contains(cookie, adminToken) {
		d.t.Fatalf("login: %d %v", r.status, r.header)
	}
	return cookie
}
