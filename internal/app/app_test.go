package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/config"
)

// A house is a running App and what is known of it.
type house struct {
	*App
	t    *testing.T
	dir  string
	file string
	log  *logBuffer
	http *http.Client
}

// A logBuffer keeps the log.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// basic is a configuration on free ports; DIR stands for the test's directory.
const basic = "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\ndata: DIR/data\nproviders: {mock: {kind: mock}}\n"

// start starts an App from the text of a file, with a temporary directory for DIR.
func start(t *testing.T, text string) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), log: &logBuffer{}, http: &http.Client{Transport: &http.Transport{}}}
	h.file = filepath.Join(h.dir, "weir.yaml")
	h.write(text)
	if err := h.boot(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.end() })
	return h
}

func (h *house) write(text string) {
	h.t.Helper()
	if err := os.WriteFile(h.file, []byte(strings.ReplaceAll(text, "DIR", h.dir)), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) boot() error {
	read := func() (*config.Config, error) { return config.Load(h.file, nil) }
	c, err := read()
	if err != nil {
		return err
	}
	h.App, err = Start(Options{
		Config: c, Read: read, Watch: true, Version: "test",
		Log: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	return err
}

func (h *house) end() {
	h.http.CloseIdleConnections()
	if err := h.Stop(); err != nil {
		h.t.Errorf("Stop: %v", err)
	}
}

// do sends a request and returns the status and the body.
func (h *house) do(method, url, body string, header ...string) (int, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := h.http.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (h *house) chat(model string, header ...string) (int, string) {
	h.t.Helper()
	return h.do("POST", h.URL()+"/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"hi"}]}`, header...)
}

// eventually waits for something that another goroutine does.
func (h *house) eventually(what string, ok func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	h.t.Fatalf("%s: not within 20 s; the log:\n%s", what, h.log)
}

func TestServe(t *testing.T) {
	h := start(t, basic)
	admin := strings.TrimSuffix(h.AdminURL(), "/")
	check := func(method, url, body string, status int, part string, header ...string) {
		t.Helper()
		got, text := h.do(method, url, body, header...)
		if got != status || !strings.Contains(text, part) {
			t.Errorf("%s %s = %d %s\nwant %d with %q", method, url, got, text, status, part)
		}
	}
	msg := `"messages":[{"role":"user","content":"hi"}]`
	check("POST", h.URL()+"/v1/chat/completions", `{"model":"mock/gpt-4o-mini",`+msg+`}`, 200, `"object":"chat.completion"`)
	check("POST", h.URL()+"/v1/messages", `{"model":"mock/claude-haiku-4-5","max_tokens":9,`+msg+`}`, 200, `"type":"message"`, "anthropic-version", "2023-06-01")
	check("POST", h.URL()+"/v1beta/models/gemini-2.5-flash:generateContent", `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`, 200, `"candidates"`, "x-weir-provider", "mock")
	check("GET", h.URL()+"/healthz", "", 200, "ok")
	check("POST", h.URL()+"/healthz", "{}", 405, "GET")
	check("GET", h.URL()+"/metrics", "", 404, "nothing at /metrics")
	check("GET", h.URL()+"/api/v1/calls", "", 404, "nothing at")
	check("GET", admin+"/healthz", "", 200, "ok")
	check("GET", admin+"/readyz", "", 200, "ready")
	check("GET", admin+"/metrics", "", 200, `weir_requests_total{`)
	check("GET", admin+"/metrics", "", 200, `weir_spool_held_bytes 0`)
	check("GET", admin+"/metrics", "", 200, `weir_config_reload_success 1`)
	check("GET", admin+"/v1/models", "", 404, "nothing at")
	check("GET", admin+"/api/v1/calls", "", 401, "admin token")
	check("GET", admin+"/api/v1/calls", "", 401, "admin token", "Authorization", "Bearer wrong")
	check("GET", admin+"/api/v1/calls", "", 401, "admin token", "Authorization", "Bearer ")
	check("GET", admin+"/", "", 200, "Admin token")
	check("POST", admin+"/login", "token=wrong", 401, "not the admin token", "Origin", "null", "Content-Type", "application/x-www-form-urlencoded")
	check("POST", admin+"/api/v1/keys", "{}", 403, "foreign_host", "Origin", "null")
	check("POST", admin+"/login", "", 403, "foreign_host", "Origin", "https://evil.example.com")
	check("POST", admin+"/login", "", 403, "foreign_host", "Host", "evil.example.com", "Origin", "null")
	check("GET", h.URL()+"/v1/models", "", 431, "", "X-Long", strings.Repeat("x", 300<<10))
	check("GET", h.URL()+"/v1/models", "", 403, "foreign_host", "Host", "evil.example.com")
	check("GET", h.URL()+"/v1/models", "", 403, `"type":"error"`, "Host", "evil.example.com", "anthropic-version", "2023-06-01")
	check("GET", admin+"/metrics", "", 403, "foreign_host", "Host", "evil.example.com")
}

// TestConsole: the admin API sees what the data plane did, and keys made
// through it count at once.
func TestConsole(t *testing.T) {
	h := start(t, strings.Replace(basic, "providers", "auth: keys\nproviders", 1)+"routes: [{model: fast, targets: [{provider: mock, model: gpt-4o-mini}]}]\n")
	api := func(method, path, body string, status int) string {
		t.Helper()
		got, text := h.do(method, h.AdminURL()+"api/v1/"+path, body, "Authorization", "Bearer "+string(h.Token().Value))
		if got != status {
			t.Errorf("%s %s = %d %s, want %d", method, path, got, text, status)
		}
		return text
	}
	if status, body := h.chat("fast"); status != 401 {
		t.Errorf("without a key: %d %s", status, body)
	}
	var made struct {
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal([]byte(api("POST", "keys", `{"name":"k","project":"p"}`, 201)), &made); err != nil || made.Secret == "" {
		t.Fatal(err, made)
	}
	if status, body := h.chat("fast", "Authorization", "Bearer "+made.Secret); status != 200 {
		t.Errorf("with the key: %d %s", status, body)
	}
	contains := func(text, part string) {
		t.Helper()
		if !strings.Contains(text, part) {
			t.Errorf("%s\nlacks %s", text, part)
		}
	}
	contains(api("GET", "calls", "", 200), `"asked_model":"fast"`)
	contains(api("GET", "routes", "", 200), `"fast"`)
	contains(api("GET", "config", "", 200), `"keepalive":"15s"`)
	contains(api("GET", "openapi.json", "", 200), `"openapi"`)
	if status, page := h.do("GET", h.AdminURL(), ""); status != 200 || strings.Contains(page, string(h.Token().Value)) {
		t.Errorf("the page: %d, or it holds the admin token", status)
	}
}

func TestForeign(t *testing.T) {
	check := func(n *names, host, origin string, own, want bool) {
		t.Helper()
		r := &http.Request{Host: host, Header: http.Header{}}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if got := n.foreign(r, own) != ""; got != want {
			t.Errorf("Host %q, Origin %q, own %v: foreign = %v, want %v", host, origin, own, got, want)
		}
	}
	loop := newNames("127.0.0.1:8080", nil)
	for _, host := range []string{"127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "::1", "localhost."} {
		check(loop, host, "", false, false)
	}
	for _, host := range []string{"", "evil.com", "127.0.0.1.evil.com", "localhost.evil.com:8080", "10.0.0.1", "0.0.0.0:8080", "[::2]:1", "a]b"} {
		check(loop, host, "", false, true)
	}
	check(loop, "localhost:8080", "http://localhost:3000", false, false)
	check(loop, "localhost:8080", "http://localhost:3000", true, true) // a page on another port is no page of ours
	check(loop, "localhost:8080", "http://localhost:8080", true, false)
	check(loop, "localhost:8080", "https://evil.com", false, true)
	check(loop, "localhost:8080", "null", false, true)
	check(loop, "localhost:8080", "http://", false, true)
	check(loop, "localhost:8080", "http://127.0.0.1.evil.com", false, true)

	named := newNames("127.0.0.1:8080", []string{"weir.example.com", "*.corp"})
	check(named, "weir.example.com", "https://weir.example.com", false, false)
	check(named, "a.corp:80", "", false, false)
	check(named, "corp", "", false, true)
	check(newNames("127.0.0.1:8080", []string{"*"}), "any.thing", "null", true, false)
	wide := newNames("0.0.0.0:8080", nil)
	check(wide, "10.1.2.3:8080", "", false, false)
	check(wide, "[fd00::1]:8080", "", false, false)
	check(wide, "evil.com", "", false, true)
	check(newNames("10.1.2.3:80", nil), "10.1.2.3", "", false, false)
	check(newNames("10.1.2.3:80", nil), "10.1.2.4", "", false, true)

	r := &http.Request{Host: "localhost", Header: http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}}}
	if loop.foreign(r, false) == "" {
		t.Error("an image of another site is taken")
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if why := loop.foreign(r, true); why != "" {
		t.Errorf("a followed link is refused: %s", why)
	}
	r.Header = http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"null"}} // a form of a page with no-referrer
	if why := loop.foreign(r, true); why != "" {
		t.Errorf("a form of our own is refused: %s", why)
	}
}

// TestFirstStart: what is made once stays, and only its owner can read it.
func TestFirstStart(t *testing.T) {
	h := start(t, basic)
	first := h.Token()
	if !first.Made || first.File == "" {
		t.Errorf("token: %+v", first)
	}
	for _, name := range []string{"admin-token", "secret", "weir.db"} {
		st, err := os.Stat(filepath.Join(h.dir, "data", name))
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, st.Mode(), err)
		}
	}
	if st, err := os.Stat(filepath.Join(h.dir, "data")); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v %v", st.Mode(), err)
	}
	h.end()
	if err := h.boot(); err != nil {
		t.Fatal(err)
	}
	if again := h.Token(); again.Made || again.Value != first.Value {
		t.Error("the token changed at the second start")
	}
}

// TestFailedStart: what can't start leaves nothing running; the goroutines are
// counted by goleak.
func TestFailedStart(t *testing.T) {
	h := start(t, basic)
	check := func(text, want string) {
		t.Helper()
		c, err := config.Parse("f", []byte(strings.ReplaceAll(text, "DIR", h.dir)), nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Start(Options{Config: c})
		if err == nil {
			t.Errorf("%s: started; Stop: %v", text, a.Stop())
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	check(basic, "another weir serve") // has the spool
	check(strings.Replace(basic, "listen: 127.0.0.1:0", "listen: "+strings.TrimPrefix(h.URL(), "http://"), 1), "address already in use")
	check("listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\ndata: DIR/weir.yaml/x", "not a directory")
	if status, body := h.chat("mock/x"); status != 200 {
		t.Errorf("the first one suffered: %d %s", status, body)
	}
}

// slowUpstream sends the first event of a stream, and the others when finish is closed.
func slowUpstream(t *testing.T, finish <-chan struct{}) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		const chunk = `data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]}` + "\n\n"
		_, _ = io.WriteString(w, chunk)
		_ = http.NewResponseController(w).Flush()
		<-finish
		_, _ = io.WriteString(w, chunk+"data: [DONE]\n\n")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestStop: at a stop Weir is not ready, streams under way end whole, new
// calls are told to come again.
func TestStop(t *testing.T) {
	finish := make(chan struct{})
	end := sync.OnceFunc(func() { close(finish) })
	upstream := slowUpstream(t, finish)
	t.Cleanup(end)
	h := start(t, strings.Replace(basic, "mock: {kind: mock}", "up: {kind: openai, base_url: '"+upstream+"/v1', api_key: k}", 1))
	resp, err := h.http.Post(h.URL()+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"up/m","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stopped := make(chan error, 1)
	go func() { stopped <- h.Stop() }()
	h.eventually("not ready", func() bool {
		status, _ := h.do("GET", h.AdminURL()+"readyz", "")
		return status == http.StatusServiceUnavailable
	})
	h.eventually("new calls refused", func() bool {
		status, body := h.do("POST", h.URL()+"/v1/chat/completions", `{"model":"nobody","messages":[]}`)
		return status == http.StatusServiceUnavailable && strings.Contains(body, "shutting down")
	})
	end()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("the stream did not end whole: %v\n%s", err, body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// TestStopCuts: what doesn't end in time is cut, and recorded all the same.
func TestStopCuts(t *testing.T) {
	h := start(t, basic+"shutdown: 100ms\n")
	ask := func(body string) <-chan string {
		done := make(chan string, 1)
		go func() {
			resp, err := h.http.Post(h.URL()+"/v1/chat/completions", "application/json", strings.NewReader(body))
			if err != nil {
				done <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			done <- fmt.Sprint(resp.StatusCode, " ", err, " ", string(b))
		}()
		return done
	}
	stream := ask(`{"model":"mock/mock-stall-5","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
	plain := ask(`{"model":"mock/mock-hang","messages":[{"role":"user","content":"hi"}]}`)
	h.eventually("under way", func() bool {
		_, body := h.do("GET", h.AdminURL()+"metrics", "")
		return strings.Contains(body, "weir_requests_in_flight 2")
	})
	begin := time.Now()
	if err := h.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if got := <-stream; !strings.HasPrefix(got, "200 unexpected EOF ") || strings.Contains(got, "[DONE]") || !strings.Contains(got, `"code":"shutting_down"`) {
		t.Errorf("the cut stream looks whole, or does not say why it ends: %s", got)
	}
	if got := <-plain; !strings.HasPrefix(got, "503 ") || !strings.Contains(got, `"code":"shutting_down"`) {
		t.Errorf("a call that had no answer yet was told %s", got)
	}
}

func TestReload(t *testing.T) {
	h := start(t, basic)
	if status, _ := h.chat("fast"); status != 404 {
		t.Fatalf("fast: %d", status)
	}
	withRoute := basic + "routes: [{model: fast, targets: [{provider: mock, model: gpt-4o-mini}]}]\n"
	h.write(withRoute)
	h.eventually("the route", func() bool { status, _ := h.chat("fast"); return status == 200 })

	h.write(basic + "rotues: []\n")
	h.eventually("the refusal", func() bool {
		return strings.Contains(h.log.String(), `unknown key \"rotues\" (did you mean \"routes\"?)`)
	})
	if status, _ := h.chat("fast"); status != 200 {
		t.Errorf("a bad file took the route away: %d", status)
	}
	if _, body := h.do("GET", h.AdminURL()+"metrics", ""); !strings.Contains(body, "weir_config_reload_success 0") {
		t.Error("the metric does not tell")
	}
	h.write(strings.Replace(withRoute, "data: DIR/data", "data: DIR/other", 1))
	h.eventually("the restart", func() bool { return strings.Contains(h.log.String(), "data, store, spool") })
	if _, body := h.do("GET", h.AdminURL()+"metrics", ""); !strings.Contains(body, "weir_config_reload_success 1") {
		t.Error("the metric does not tell of the cure")
	}
	if h.config.Load().DataDir != filepath.Join(h.dir, "other") {
		t.Error("the new configuration is not in effect")
	}
	if err := os.Remove(h.file); err != nil {
		t.Fatal(err)
	}
	if err := h.Reload(); err == nil {
		t.Error("a missing file is taken")
	}
	if status, _ := h.chat("fast"); status != 200 {
		t.Errorf("a missing file took the route away: %d", status)
	}
}

// TestReloadOfHalfAFile: what an editor has written half, or a full disk has
// emptied, is not taken; calls go by the old configuration.
func TestReloadOfHalfAFile(t *testing.T) {
	whole := basic + "routes: [{model: fast, targets: [{provider: mock, model: gpt-4o-mini}]}]\n"
	h := start(t, whole)
	over := time.Now().Add(5 * settleTime)
	for i := 0; time.Now().Before(over); i++ { // always in the middle of a save, as seen at any moment
		h.write([]string{"", basic, whole + "# " + strconv.Itoa(i) + "\n"}[i%3])
		if status, body := h.chat("fast"); status != 200 {
			t.Fatalf("half a file is taken: %d %s", status, body)
		}
		time.Sleep(settleTime * 2 / 3)
	}
	h.write("")
	h.eventually("the warning", func() bool { return strings.Contains(h.log.String(), "file is empty") })
	if status, _ := h.chat("fast"); status != 200 {
		t.Errorf("an empty file took the route away: %d", status)
	}
	h.write(basic)
	h.eventually("the next file", func() bool { status, _ := h.chat("fast"); return status == 404 })
}

// TestReloadOfLinks: Kubernetes swaps a link to a directory.
func TestReloadOfLinks(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "weir.yaml"), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, filepath.Join(dir, "..next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	put("..one", basic)
	if err := os.Symlink("..data/weir.yaml", filepath.Join(dir, "weir.yaml")); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: dir, file: filepath.Join(dir, "weir.yaml"), log: &logBuffer{}, http: &http.Client{Transport: &http.Transport{}}}
	if err := h.boot(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.end)
	put("..two", basic+"routes: [{model: fast, targets: [{provider: mock, model: gpt-4o-mini}]}]\n")
	h.eventually("the route", func() bool { status, _ := h.chat("fast"); return status == 200 })
}

// TestKinds: each kind that the configuration knows the data plane knows, and
// both agree on its dialect. What is asked is no conversation, since those are
// carried across dialects.
func TestKinds(t *testing.T) {
	for _, kind := range config.Kinds() {
		text := "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\ndata: DIR/data\nproviders: {p: {kind: " + kind + ", base_url: 'http://127.0.0.1:1', api_key: k}}\n"
		h := start(t, text)
		ask := map[string]func() (int, string){
			"openai": func() (int, string) {
				return h.do("POST", h.URL()+"/v1/completions", `{"model":"p/m","prompt":"hi"}`)
			},
			"anthropic": func() (int, string) {
				return h.do("POST", h.URL()+"/v1/messages/count_tokens", `{"model":"p/m","messages":[{"role":"user","content":"hi"}]}`)
			},
			"gemini": func() (int, string) {
				return h.do("POST", h.URL()+"/v1beta/models/m:countTokens", `{"contents":[{"parts":[{"text":"hi"}]}]}`, "x-weir-provider", "p")
			},
		}
		for dialect, f := range ask {
			status, body := f()
			reached := status >= 500 // the upstream isn't there
			if want := config.Dialect(kind) == "" || config.Dialect(kind) == dialect; reached != want {
				t.Errorf("kind %s asked in %s: %d %s", kind, dialect, status, body)
			}
		}
	}
}

// TestUsageIsRecorded: what was answered is in the store after a flush.
func TestUsageIsRecorded(t *testing.T) {
	h := start(t, basic)
	if status, body := h.chat("mock/gpt-4o-mini", "x-weir-customer", "acme"); status != 200 {
		t.Fatal(status, body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := h.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := h.DB().Reader().QueryRowContext(ctx, `SELECT count(*) FROM calls WHERE customer = 'acme'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestReloadUnderLoad: calls of all the while that reloads go on end well.
func TestReloadUnderLoad(t *testing.T) {
	routes := func(model string) string {
		return basic + "routes: [{model: fast, targets: [{provider: mock, model: " + model + "}]}]\n"
	}
	h := start(t, routes("mock-words-20"))
	var callers sync.WaitGroup
	over := make(chan struct{})
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				status, body := h.do("POST", h.URL()+"/v1/chat/completions", `{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
				if status != 200 || !strings.HasSuffix(body, "data: [DONE]\n\n") {
					t.Errorf("%d %s", status, body)
					return
				}
			}
		})
	}
	for i := range 40 {
		h.write(routes([]string{"mock-words-20", "mock-words-30"}[i%2]))
		if err := h.Reload(); err != nil {
			t.Error(err)
		}
	}
	close(over)
	callers.Wait()
}
