package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/ledger"
)

// Every code has a body in each dialect's own shape, and the headers that its
// SDKs act on.
func TestErrorShapes(t *testing.T) {
	check := func(want int, code string, change func(*Settings, *ProviderSettings), body string, headers ...string) {
		t.Helper()
		const nowhere = "http://127.0.0.1:1"
		s := Settings{Providers: []ProviderSettings{at("o", "openai", nowhere), at("a", "anthropic", nowhere), at("g", "gemini", nowhere)}}
		if change != nil {
			for i := range s.Providers {
				change(&s, &s.Providers[i])
			}
		}
		g := newRig(t, s)
		for dialect, path := range map[string]string{"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "gemini": "/v1beta/models/m:generateContent"} {
			resp, got := g.post(path, body, headers...)
			if resp.StatusCode != want {
				t.Errorf("%s %s: %d %s", dialect, code, resp.StatusCode, got)
			}
			if resp.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(resp.Header.Get("X-Weir-Call-Id"), "call_") || fmt.Sprint(resp.ContentLength) != fmt.Sprint(len(got)) {
				t.Errorf("%s %s: headers %v", dialect, code, resp.Header)
			}
			checkErrorShape(t, dialect, code, want, resp, got)
		}
	}
	const ok = `{"model":"m","messages":[],"contents":[]}`
	check(400, "invalid_request", nil, `{"model":`)
	check(400, "invalid_request", nil, ok, "X-Weir-Timeout", "soon")
	check(400, "no_provider", nil, ok, "X-Weir-Provider", "nobody")
	check(404, "model_not_found", func(_ *Settings, p *ProviderSettings) { p.Models = []string{"other"} }, ok)
	check(413, "request_too_large", func(s *Settings, _ *ProviderSettings) { s.MaxBody = 10 }, ok)
	check(415, "unsupported_media_type", nil, ok, "Content-Encoding", "br")
	check(501, "not_in_this_version", nil, ok, "X-Weir-Dry-Run", "true")
	check(502, "upstream_unreachable", nil, ok)
	check(401, "provider_key_missing", func(_ *Settings, p *ProviderSettings) { p.APIKey = "" }, ok)
}

func checkErrorShape(t *testing.T, dialect, code string, status int, resp *http.Response, got string) {
	t.Helper()
	switch dialect {
	case "openai":
		var e struct {
			Error struct {
				Message, Type string
				Param, Code   *string
			}
		}
		if err := json.Unmarshal([]byte(got), &e); err != nil || e.Error.Message == "" || e.Error.Type == "" || e.Error.Code == nil || *e.Error.Code != code || !strings.Contains(got, `"param":`) {
			t.Errorf("%s: %s", code, got)
		}
		if resp.Header.Get("X-Request-Id") != resp.Header.Get("X-Weir-Call-Id") {
			t.Errorf("%s: %v", code, resp.Header)
		}
	case "anthropic":
		var e struct {
			Type      string
			Error     struct{ Type, Message string }
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(got), &e); err != nil || e.Type != "error" || e.Error.Type == "" || e.Error.Message == "" || e.RequestID != resp.Header.Get("Request-Id") {
			t.Errorf("%s: %s", code, got)
		}
	case "gemini":
		var e struct {
			Error struct {
				Code            int
				Message, Status string
			}
		}
		if err := json.Unmarshal([]byte(got), &e); err != nil || e.Error.Code != status || e.Error.Message == "" || e.Error.Status == "" {
			t.Errorf("%s: %s", code, got)
		}
	}
}

// An upstream's errors pass with their bodies, headers and status, whatever
// they are.
func TestEveryUpstreamErrorPasses(t *testing.T) {
	for _, status := range []int{400, 401, 402, 403, 404, 409, 413, 418, 422, 429, 500, 501, 503, 529} {
		body := fmt.Sprintf(`{"type":"error","error":{"type":"x","message":"status %d"},"extra":[1.0]}`, status)
		v := newVendor(t, says(status, body, "Retry-After", "3", "Retry-After-Ms", "2500", "X-Should-Retry", "true", "Request-Id", "req_1", "Anthropic-Ratelimit-Unified-Status", "rejected"))
		g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "anthropic", v.url)}})
		resp, got := g.post("/v1/messages", `{"model":"m","max_tokens":1,"messages":[]}`)
		h := resp.Header
		if resp.StatusCode != status || got != body || h.Get("Retry-After") != "3" || h.Get("Retry-After-Ms") != "2500" || h.Get("X-Should-Retry") != "true" || h.Get("Request-Id") != "req_1" || h.Get("Anthropic-Ratelimit-Unified-Status") != "rejected" || h.Get("X-Weir-Provider") != "up" {
			t.Errorf("%d: %d %v %s", status, resp.StatusCode, h, got)
		}
		c := g.one()
		if c.Outcome != ledger.Failed || c.Status != status || c.ErrorClass == "" || c.Attempts[0].RequestID != "req_1" || !c.Usage.IsZero() {
			t.Errorf("%d: call %+v", status, c)
		}
	}
}

// What Weir retried itself must not be retried again on top.
func TestShouldRetryAfterOwnRetries(t *testing.T) {
	v := newVendor(t, says(503, `{"error":{"message":"busy"}}`, "Retry-After-Ms", "1", "X-Should-Retry", "true"))
	ro := route("*", []string{"up"}, nil)
	ro.Retries = 1
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Routes: []RouteSettings{ro}})
	resp, _ := g.post("/v1/chat/completions", chatBody)
	if resp.StatusCode != 503 || resp.Header.Get("X-Should-Retry") != "false" || resp.Header.Get("X-Weir-Attempts") != "2" || len(v.seen()) != 2 {
		t.Errorf("%d %v, %d tries", resp.StatusCode, resp.Header, len(v.seen()))
	}
}

// An upstream that echoes its key, plain or compressed, in a body, a header or
// an event, must not show it to the client.
func TestEchoedKeyIsRedacted(t *testing.T) {
	const echo = `{"error":{"message":"Incorrect API key provided: sk-upstream-secret."}}`
	check := func(what string, request string, h func(http.ResponseWriter, *http.Request, string)) {
		t.Helper()
		v := newVendor(t, h)
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Keepalive: time.Hour})
		resp, got := g.post("/v1/chat/completions", request)
		if all := fmt.Sprint(resp.Header, got, g.log); strings.Contains(all, "sk-upstream-secret") {
			t.Errorf("%s: %s", what, all)
		}
		if !strings.Contains(got, "redacted") {
			t.Errorf("%s: %s", what, got)
		}
	}
	for _, status := range []int{400, 401, 403, 500} {
		check("a body", chatBody, says(status, echo, "X-Echo", "key sk-upstream-secret"))
		check("a gzip body", chatBody, says(status, packed(t, "gzip", echo), "Content-Encoding", "gzip"))
	}
	check("an event", streamBody, answers("data: "+echo+"\n\n"))
	check("a bare error", streamBody, says(200, echo))
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	other := newVendor(t, says(200, chatReply))
	for _, status := range []int{301, 302, 307, 308} {
		v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) { http.Redirect(w, r, other.url+"/v1/x", status) })
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
		if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 502 || !strings.Contains(got, "upstream_invalid") || resp.Header.Get("Location") != "" {
			t.Errorf("%d: %d %v %s", status, resp.StatusCode, resp.Header, got)
		}
	}
	if n := len(other.seen()); n != 0 {
		t.Errorf("%d requests at the other host", n)
	}
}

// A success that is not the dialect's is no success.
func TestInvalidRepliesOfEveryDialect(t *testing.T) {
	for name, s := range speeches {
		path := strings.Replace(strings.TrimSuffix(s.path, "?alt=sse"), "streamGenerate", "generate", 1)
		for _, reply := range []string{"", " ", "<html>", "plain", `{"error":{"message":"x"}}`, `{"half":`, "data: {}\n\n"} {
			v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
				if strings.HasPrefix(reply, "data") {
					w.Header().Set("Content-Type", "text/event-stream")
				}
				io.WriteString(w, reply)
			})
			g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
			resp, got := g.post(path, strings.Replace(s.body, `"stream":true,`, "", 1))
			if resp.StatusCode != 502 {
				t.Errorf("%s, %q: %d %s", name, reply, resp.StatusCode, got)
			}
			if c := g.one(); c.ErrorClass != "upstream_invalid" || c.Outcome != ledger.Failed {
				t.Errorf("%s, %q: call %+v", name, reply, c)
			}
			// Raw pass-through is exempt.
			if resp, got := g.post("/providers/up"+path, s.body); resp.StatusCode != 200 || got != reply {
				t.Errorf("%s, %q, raw: %d %q", name, reply, resp.StatusCode, got)
			}
		}
	}
}

func TestBodyCutOff(t *testing.T) {
	for _, length := range []string{"", "99999"} {
		v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", "application/json")
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			io.WriteString(w, chatReply[:50])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
		resp, got := g.post("/v1/chat/completions", chatBody)
		if resp.StatusCode != 502 || !strings.Contains(got, "upstream_truncated") {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
		if c := g.one(); c.ErrorClass != "upstream_truncated" || c.Status != 502 {
			t.Errorf("call %+v", c)
		}
	}
}

// A panic becomes the dialect's 500, and the next call is served.
func TestPanicsAreContained(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	sound := g.proxy.handler
	g.proxy.handler = chain(func(http.ResponseWriter, *http.Request, *Exchange) error { panic("secret words of a body") }, g.proxy.identify, g.proxy.read)
	for path, dialect := range map[string]string{"/v1/chat/completions": "openai", "/v1/messages": "anthropic", "/v1beta/models/m:generateContent": "gemini"} {
		resp, got := g.post(path, `{"model":"m"}`)
		if resp.StatusCode != 500 || strings.Contains(got, "secret words") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, got)
		}
		checkErrorShape(t, dialect, "internal_error", 500, resp, got)
	}
	g.proxy.handler = sound
	if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 200 {
		t.Errorf("afterwards: %d %s", resp.StatusCode, got)
	}
	for _, c := range g.calls(4)[:3] {
		if c.ErrorClass != "internal_error" || c.Outcome != ledger.Failed || c.Status != 500 || c.AskedModel != "m" {
			t.Errorf("call %+v", c)
		}
	}
	// After the reply has begun the connection is cut.
	g.proxy.handler = func(_ http.ResponseWriter, _ *http.Request, x *Exchange) error {
		x.reply.begin(200, false, func(http.Header) {})
		x.reply.write([]byte("half"))
		panic("late")
	}
	if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 200 || !strings.HasPrefix(got, "half\n[broken") {
		t.Errorf("late: %d %q", resp.StatusCode, got)
	}
}

func TestDrainRefusesAndWaits(t *testing.T) {
	release := make(chan struct{})
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		says(200, chatReply)(w, r, body)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	status := make(chan int, 1)
	go func() { resp, _ := g.post("/v1/chat/completions", chatBody); status <- resp.StatusCode }()
	eventually(t, "the call is under way", func() bool { return len(v.seen()) == 1 })
	if g.proxy.Drain(time.Millisecond) {
		t.Error("drained with a call under way")
	}
	resp, got := g.post("/v1/chat/completions", chatBody)
	if resp.StatusCode != 503 || !strings.Contains(got, "shutting_down") || resp.Header.Get("Retry-After") != "1" || resp.Header.Get("Retry-After-Ms") != "1000" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, got)
	}
	close(release)
	if s := within(t, "the call under way", status); s != 200 {
		t.Errorf("the call under way: %d", s)
	}
	if !g.proxy.Drain(10 * time.Second) {
		t.Error("not drained")
	}
}
