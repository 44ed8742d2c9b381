package mockllm_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/mockllm"
)

// A cut at any byte leaves the bytes before it as they would have been, and
// an end that no client can take for a whole one.
func TestCutAtEveryByte(t *testing.T) {
	for _, w := range ways {
		rules := []mockllm.Rule{{}}
		m := start(t, mockllm.Options{})
		whole := m.ask(w, "m", "").body
		for n := 0; n < len(whole); n += 1 + len(whole)/200 {
			rules[0].CutBytes = &n
			m.SetRules(rules)
			r := m.ask(w, "m", "")
			if r.body != whole[:n] {
				t.Fatalf("%s cut at %d: got %d bytes, %q", w.name, n, len(r.body), r.body)
			}
			if r.err == nil {
				t.Fatalf("%s cut at %d: a clean end", w.name, n)
			}
		}
	}
}

func TestCuts(t *testing.T) {
	m := start(t, mockllm.Options{})
	chat := wayOf("chat")
	check := func(model string, events int, bad error) {
		t.Helper()
		r := m.ask(chat, model, "")
		if got := strings.Count(r.body, "data: "); got != events {
			t.Errorf("%s: %d events, want %d: %s", model, got, events, r.body)
		}
		if bad == nil && r.err != nil || bad != nil && !errors.Is(r.err, bad) {
			t.Errorf("%s: ended by %v, want %v", model, r.err, bad)
		}
	}
	check("mock-cutafter-3", 3, io.ErrUnexpectedEOF)
	check("mock-endafter-3", 3, nil)
	check("mock-endafter-0", 0, nil)
	check("mock-nodone", 6, nil)
	check("mock-twodone", 8, nil)
	check("mock-reset-3-ttft-1ms", 3, syscall.ECONNRESET)
	check("mock-drop", 0, io.EOF)
	check("mock-dropreset", 0, syscall.ECONNRESET)
	if r := m.post("/v1/chat/completions", `{"model":"mock-cut-100",`+hi+`}`); len(r.body) != 100 || !errors.Is(r.err, io.ErrUnexpectedEOF) {
		t.Errorf("a plain reply cut: %d bytes, %v", len(r.body), r.err)
	}
}

// An error inside a stream has the API's own shape and ends it.
func TestFailInStream(t *testing.T) {
	m := start(t, mockllm.Options{})
	for _, w := range ways {
		for _, model := range []string{"mock-failat-0", "mock-failat-3"} {
			r := m.ask(w, model, "")
			told, err := mockllm.ReadStream(w.api, []byte(r.body))
			if w.name == "responses" && model == "mock-failat-0" || w.name == "messages" && model == "mock-failat-0" {
				continue // nothing has begun: the grammar wants a beginning
			}
			if err != nil || told.Failure == "" || r.status != 200 {
				t.Errorf("%s %s: %v, %+v\n%s", w.name, model, err, told, r.body)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	m := start(t, mockllm.Options{})
	check := func(model string, status int, sub string) {
		t.Helper()
		if r := m.ask(wayOf("chat"), model, ""); r.status != status || !strings.Contains(r.body, sub) {
			t.Errorf("%s: got %d %s, want %d with %s", model, r.status, r.body, status, sub)
		}
	}
	check("mock-error-401", 401, "invalid_api_key")
	check("mock-error-404", 404, "model_not_found")
	check("mock-error-500", 500, "server_error")
	check("mock-error-503", 503, "overloaded")
	check("mock-bare", 200, `{"error":{`)
	check("mock-html", 200, "<!DOCTYPE html>")
	check("mock-error-400-flaterrors", 400, `{"object":"error","message":"The request is invalid.","type":"BadRequestError","param":null,"code":400}`)
	check("mock-empty", 200, "")
	check("gpt-4o-mock-error-418", 418, "teapot")
	check("mockery-error-500", 200, "chat.completion.chunk") // not the word mock
	check("hammock-error-500", 200, "chat.completion.chunk")
	check("mock-error-none", 200, "chat.completion.chunk") // no number: a name
	if r := m.ask(wayOf("chat"), "mock-error-429-retryafter-1500ms", ""); r.header.Get("Retry-After") != "1.5" {
		t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
	}
	if r := m.ask(wayOf("chat"), "mock-html", ""); r.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("the page's type is %q", r.header.Get("Content-Type"))
	}
}

// What other servers and rare moods of the vendors look like.
func TestShapes(t *testing.T) {
	m := start(t, mockllm.Options{})
	told := func(name, model, more string) mockllm.Told {
		t.Helper()
		w := wayOf(name)
		r := m.ask(w, model, more)
		got, err := mockllm.ReadStream(w.api, []byte(r.body))
		if err != nil {
			t.Errorf("%s %s: %v\n%s", name, model, err, r.body)
		}
		return got
	}
	for _, w := range ways {
		if got := told(w.name, "mock-silent", ""); got.Text != "" || got.Stop == "" {
			t.Errorf("%s silent: %+v", w.name, got)
		}
		if got := told(w.name, "mock-refuse", ""); got.Text != "" || got.Stop == "" {
			t.Errorf("%s refuse: %+v", w.name, got)
		}
		if got := told(w.name, "mock-piece-200000", ""); len(got.Text) != 200000 {
			t.Errorf("%s piece: %d bytes", w.name, len(got.Text))
		}
		if r := m.ask(w, "mock-nodetails-alwaysusage", ""); strings.Contains(r.body, "etails\":{") || strings.Contains(r.body, "ached") {
			t.Errorf("%s nodetails: %s", w.name, r.body)
		}
		if r := m.ask(w, "mock-strange", ""); strings.Count(r.body, "mystery: yes") != 1 || strings.Count(r.body, `"clue":[1]`) != 1 {
			t.Errorf("%s strange: %s", w.name, r.body)
		}
	}
	tools := `,"tools":[` + weatherTool + `]`
	if got := told("chat", "mock-wholetools", tools); len(got.Calls) != 1 || got.Calls[0].Arguments != `{"city":"city","days":2}` {
		t.Errorf("wholetools: %+v", got)
	}
	if got := told("chat", "mock-piece-100000", tools); len(got.Calls) != 1 || len(got.Calls[0].Arguments) != 100011 {
		t.Errorf("a long piece of arguments: %d", len(got.Calls[0].Arguments))
	}
	check := func(path, body, sub string) {
		t.Helper()
		if r := m.post(path, body); r.status != 200 || !strings.Contains(r.body, sub) {
			t.Errorf("%s %s: %d %s, want %s", path, body, r.status, r.body, sub)
		}
	}
	check("/v1/chat/completions", `{"model":"mock-emptytools",`+hi+`}`, `"tool_calls":[]`)
	check("/v1/chat/completions", `{"model":"mock-refuse",`+hi+`}`, `"content":null,"refusal":"I can't help with that."`)
	check("/v1/embeddings", `{"model":"mock-floats","input":"a","dimensions":2,"encoding_format":"base64"}`, `"embedding":[`)
	check("/openai/deployments/mock-asyncfilter/chat/completions?api-version=1", `{"stream":true,`+hi+`}`, `"choices":[{"index":0,"finish_reason":null,"content_filter_results"`)
	check("/v1beta/models/mock-refuse:streamGenerateContent", `{"contents":[{"parts":[{"text":"a"}]}]}`, `[{"promptFeedback":`)
	check("/v1/responses", `{"model":"mock-refuse","input":"a"}`, `"content":[{"type":"refusal"`)
	check("/v1/messages", `{"model":"mock-refuse","max_tokens":9,`+hi+`}`, `"content":[],"stop_reason":"refusal"`)
}

// Words with a count hold for the first requests of that name.
func TestTimes(t *testing.T) {
	m := start(t, mockllm.Options{})
	check := func(model string, want ...int) {
		t.Helper()
		for i, status := range want {
			if r := m.ask(wayOf("chat"), model, ""); r.status != status {
				t.Errorf("%s, request %d: got %d, want %d", model, i+1, r.status, status)
			}
		}
	}
	check("mock-error-500x2", 500, 500, 200, 200)
	check("mock-error-429x1-b", 429, 200)
	check("mock-error-429x1-c", 429, 200)
	m.Reset()
	check("mock-error-500x2", 500, 500, 200)
}

func TestModes(t *testing.T) {
	m := start(t, mockllm.Options{})
	if r := m.ask(wayOf("chat"), "mock-buffered", ""); !strings.HasPrefix(r.body, `{"id":`) || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("buffered: %s", r.body)
	}
	if r := m.post("/v1/chat/completions", `{"model":"mock-streamed",`+hi+`}`); !strings.HasPrefix(r.body, "data: ") {
		t.Errorf("streamed: %s", r.body)
	}
	if r := m.ask(wayOf("chat"), "mock-wrongtype", ""); !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
		t.Errorf("wrongtype: %s", r.header.Get("Content-Type"))
	}
}

// The bytes may come in any form; what they say stays.
func TestFraming(t *testing.T) {
	m := start(t, mockllm.Options{})
	for _, w := range ways {
		for _, model := range []string{"mock-chunk-1", "mock-crlf", "mock-comments", "mock-ids", "mock-bom", "mock-gzip", "mock-cr", "mock-twolines", "mock-crlf-comments-ids-bom-twolines-chunk-7"} {
			r := m.ask(w, model, "")
			told, err := mockllm.ReadStream(w.api, []byte(r.body))
			if err != nil || told.Text != "You said: Hello there" {
				t.Errorf("%s %s: %v, %+v", w.name, model, err, told)
			}
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.url+"/v1/chat/completions", strings.NewReader(`{"model":"mock-gzip",`+hi+`}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	r := m.do(req)
	if r.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("no gzip: %v", r.header)
	}
	z, err := gzip.NewReader(strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || !strings.Contains(string(plain), "You said: Hi") {
		t.Errorf("gzip: %v %s", err, plain)
	}
}

// open begins a request and returns its body, read up to its first line.
func (m *mock) open(ctx context.Context, w way, model string) (*http.Response, *bufio.Reader) {
	m.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+w.path(model), strings.NewReader(w.body(model, "")))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := m.client.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = res.Body.Close() })
	b := bufio.NewReader(res.Body)
	if _, err := b.ReadString('\n'); err != nil {
		m.t.Fatal(err)
	}
	return res, b
}

// eventually waits for what another goroutine is to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s: it did not happen in 5 s", what)
}

// A client that leaves is noticed at once, wherever it leaves.
func TestAborts(t *testing.T) {
	m := start(t, mockllm.Options{})
	check := func(model string) {
		t.Helper()
		before := len(m.Aborted())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m.open(ctx, wayOf("chat"), model)
		cancel()
		left := time.Now()
		eventually(t, model, func() bool { return len(m.Aborted()) > before })
		a := m.Aborted()[before]
		if a.Model != model || a.Events == 0 || a.Bytes == 0 {
			t.Errorf("%s: %+v", model, a)
		}
		if late := a.Time.Sub(left); late > 100*time.Millisecond {
			t.Errorf("%s: noticed after %v", model, late)
		}
	}
	check("mock-tps-2")
	check("mock-stall-2")
	check("mock-pings-2")
	check("mock-words-2000000")

	before := len(m.Aborted())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, model := range []string{"mock-hang", "mock-slow-1m", "mock-hanghead", "mock-ttft-1m"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/v1/chat/completions", strings.NewReader(`{"model":"`+model+`",`+hi+`}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		go func() { m.do(req) }()
	}
	eventually(t, "hanging requests", func() bool { return len(m.Aborted()) == before+4 })
}

// Close lets hanging requests go.
func TestClose(t *testing.T) {
	m := start(t, mockllm.Options{})
	done := make(chan reply)
	go func() { done <- m.ask(wayOf("chat"), "mock-hang", "") }()
	eventually(t, "the request", func() bool { return m.Total() == 1 })
	m.Close()
	if r := <-done; r.err == nil {
		t.Errorf("a hanging request was answered: %+v", r)
	}
}

func TestPace(t *testing.T) {
	m := start(t, mockllm.Options{})
	took := func(model string) time.Duration {
		began := time.Now()
		if r := m.ask(wayOf("chat"), model, ""); r.status != 200 {
			t.Errorf("%s: %d", model, r.status)
		}
		return time.Since(began)
	}
	least := func(model string, d time.Duration) {
		t.Helper()
		if got := took(model); got < d {
			t.Errorf("%s took %v, want at least %v", model, got, d)
		}
	}
	least("mock-slow-60ms", 60*time.Millisecond)
	least("mock-ttft-60ms", 60*time.Millisecond)
	least("mock-tps-50-words-5", 80*time.Millisecond)
	least("mock-slow-30ms+ttft-30ms+tps-50+words-3", 100*time.Millisecond)
}

// A client that does not read holds the mock back, and nothing grows.
func TestBackpressure(t *testing.T) {
	m := start(t, mockllm.Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(m.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	body := wayOf("chat").body("mock-words-2000000", "")
	if _, err := io.WriteString(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "+itoa(len(body))+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request", func() bool { return m.Total() == 1 })
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the abort", func() bool { return len(m.Aborted()) == 1 })
}
