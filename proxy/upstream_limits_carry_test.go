package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/ledger"
)

// leaving answers 200 with what is left of the upstream's requests.
func leaving(left, limit, reset string) func(http.ResponseWriter, *http.Request, string) {
	return says(200, chatReply, "X-Ratelimit-Limit-Requests", limit, "X-Ratelimit-Remaining-Requests", left, "X-Ratelimit-Reset-Requests", reset)
}

func (g *rig) chat() (*http.Response, string) {
	g.t.Helper()
	return g.post("/v1/chat/completions", chatBody)
}

// asked fails the test where a vendor was not asked so many times.
func (v *vendor) asked(t *testing.T, want int) {
	t.Helper()
	if n := len(v.seen()); n != want {
		t.Errorf("the upstream was asked %d times, want %d", n, want)
	}
}

// A target without room is not asked: the next one is, and that is no retry.
func TestFullTargetIsPassedOver(t *testing.T) {
	check := func(what string, ro RouteSettings) {
		t.Helper()
		registry := prometheus.NewRegistry()
		a, b := newVendor(t, leaving("0", "", "1m")), newVendor(t, says(200, chatReply))
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", a), openaiNamed("b", b)}, Routes: []RouteSettings{ro}},
			func(o *Options) { o.Metrics = NewMetrics(registry) })
		for i, want := range []string{"a", "b", "b"} {
			resp, got := g.chat()
			if resp.StatusCode != 200 || resp.Header.Get("X-Weir-Provider") != want || resp.Header.Get("X-Weir-Attempts") != "1" {
				t.Errorf("%s: call %d: %d %v %s", what, i, resp.StatusCode, resp.Header, got)
			}
		}
		a.asked(t, 1)
		if got := figures(t, registry); !strings.Contains(got, `weir_upstream_limit_total{action="avoided",provider="a"} 2`) || strings.Contains(got, "left_ratio") {
			t.Errorf("%s: figures:\n%s", what, got)
		}
	}
	weighted := route("*", []string{"a", "b"}, nil)
	weighted.Targets[0].Weight = 1
	check("weighted", weighted)
	check("fallback", route("*", []string{"a"}, []string{"b"}))
}

// Clients see what the upstream says of its limits.
func TestUpstreamLimitHeadersPass(t *testing.T) {
	registry := prometheus.NewRegistry()
	v := newVendor(t, leaving("45", "60", "15h"))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v)}}, func(o *Options) { o.Metrics = NewMetrics(registry) })
	resp, _ := g.chat()
	if h := resp.Header; h.Get("X-Ratelimit-Remaining-Requests") != "45" || h.Get("X-Ratelimit-Reset-Requests") != "15h" {
		t.Errorf("headers %v", resp.Header)
	}
	if got := figures(t, registry); !strings.Contains(got, `weir_upstream_limit_left_ratio{measure="requests",provider="a"} 0.75`) {
		t.Errorf("figures:\n%s", got)
	}
}

// Where there is no other target the call waits, if that is short, and the
// upstream has nothing to refuse.
func TestWaitsForRoom(t *testing.T) {
	const reset = 300 * time.Millisecond
	var free atomic.Int64
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		now := time.Now()
		if now.UnixNano() < free.Load() {
			failing(429, "Retry-After-Ms", "100")(w, r, body)
			return
		}
		free.Store(now.Add(reset).UnixNano())
		leaving("0", "1", reset.String())(w, r, body)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v)}})
	start := time.Now()
	for range 3 {
		if resp, got := g.chat(); resp.StatusCode != 200 {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
	}
	if took := time.Since(start); took < 2*reset*9/10 {
		t.Errorf("three calls took %v", took)
	}
	for _, c := range g.calls(3) {
		if len(c.Attempts) != 1 || c.Outcome != ledger.OK {
			t.Errorf("call %+v", c)
		}
	}
}

// A longer wait is the client's, who is told so in its own dialect.
func TestFullUpstreamIsNotAsked(t *testing.T) {
	check := func(kind, path, reply, shape string, headers ...string) {
		t.Helper()
		v := newVendor(t, says(200, reply, headers...))
		g := newRig(t, Settings{Providers: []ProviderSettings{at("a", kind, v.url)}})
		body := `{"model":"a/m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`
		if resp, got := g.post(path, body); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, got)
		}
		resp, got := g.post(path, body)
		h := resp.Header
		if resp.StatusCode != 429 || !strings.Contains(got, shape) || !strings.Contains(got, "provider a") || h.Get("Retry-After") != "30" || h.Get("X-Weir-Attempts") != "" || h.Get("X-Should-Retry") != "" {
			t.Errorf("%s: %d %v %s", kind, resp.StatusCode, h, got)
		}
		v.asked(t, 1)
		if c := g.calls(2)[1]; len(c.Attempts) != 0 || c.ErrorClass != string(RateLimited) || c.Status != 429 {
			t.Errorf("call %+v", c)
		}
	}
	check("openai", "/v1/chat/completions", chatReply, `"code":"rate_limit_exceeded"`,
		"X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "30s")
	check("anthropic", "/v1/messages", `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`, `"type":"rate_limit_error"`,
		"Anthropic-Ratelimit-Requests-Remaining", "0", "Anthropic-Ratelimit-Requests-Reset", time.Now().Add(30*time.Second).UTC().Format(time.RFC3339Nano))
}

// After a refusal nobody asks until its pause is over, and no breaker opens.
func TestPauseOfRefusal(t *testing.T) {
	check := func(what string, refuse func(http.ResponseWriter, *http.Request, string)) {
		t.Helper()
		var n atomic.Int32
		a := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
			if n.Add(1) == 1 {
				refuse(w, r, body)
				return
			}
			says(200, chatReply)(w, r, body)
		})
		b := newVendor(t, says(200, chatReply))
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", a), openaiNamed("b", b)}, Routes: []RouteSettings{route("*", []string{"a"}, []string{"b"})}})
		for range 12 {
			if resp, got := g.chat(); resp.StatusCode != 200 || resp.Header.Get("X-Weir-Provider") != "b" {
				t.Errorf("%s: %d %s", what, resp.StatusCode, got)
			}
		}
		a.asked(t, 1)
		time.Sleep(time.Until(a.when(0).Add(1200 * time.Millisecond)))
		if resp, _ := g.chat(); resp.Header.Get("X-Weir-Provider") != "a" {
			t.Errorf("%s: after the pause %v", what, resp.Header)
		}
	}
	check("retry-after", failing(429, "Retry-After", "1"))
	check("retry-after-ms", failing(503, "Retry-After-Ms", "1000"))
	check("overloaded", failing(529, "Retry-After", "1"))
	check("RetryInfo", says(429, `{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}]}}`))
}

// An upstream that is overloaded may be well sooner than it says: where there
// is no other it is asked.
func TestOverloadedIsLastResort(t *testing.T) {
	a, b := newVendor(t, failing(503, "Retry-After", "30")), newVendor(t, failing(529, "Retry-After", "60"))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", a), openaiNamed("b", b)}, Routes: []RouteSettings{route("both", []string{"a"}, []string{"b"}), route("*", []string{"a"}, nil)}})
	check := func(model string, status, ofA, ofB int) {
		t.Helper()
		if resp, got := g.post("/v1/chat/completions", fmt.Sprintf(`{"model":%q}`, model)); resp.StatusCode != status {
			t.Errorf("%s: %d %s", model, resp.StatusCode, got)
		}
		a.asked(t, ofA)
		b.asked(t, ofB)
	}
	check("one", 503, 1, 0)
	check("one", 503, 2, 0)
	check("both", 529, 3, 1)
	check("both", 529, 4, 2)
}

// A refusal for too many tokens keeps no smaller call away, and one for want
// of money nobody.
func TestPauseOfLargeCalls(t *testing.T) {
	check := func(what string, want int, refuse func(http.ResponseWriter, *http.Request, string)) {
		t.Helper()
		v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
			if len(body) > 1000 {
				refuse(w, r, body)
				return
			}
			says(200, chatReply)(w, r, body)
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v)}})
		long := fmt.Sprintf(`{"model":"gpt-4o","messages":[{"role":"user","content":%q}]}`, strings.Repeat("many words ", 500))
		for range 2 {
			if resp, _ := g.post("/v1/chat/completions", long); resp.StatusCode != 429 {
				t.Errorf("%s: %d", what, resp.StatusCode)
			}
		}
		if resp, got := g.chat(); resp.StatusCode != 200 {
			t.Errorf("%s: a small call: %d %s", what, resp.StatusCode, got)
		}
		v.asked(t, want)
	}
	const tokens = `{"error":{"message":"Rate limit reached on tokens per min (TPM)","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`
	check("by the body", 2, says(429, tokens, "Retry-After", "30"))
	check("by the headers", 2, failing(429, "Retry-After", "30", "X-Ratelimit-Remaining-Requests", "12"))
	check("no pause", 3, failing(429))
	check("money", 3, says(429, `{"error":{"message":"You exceeded your quota","type":"insufficient_quota","code":"insufficient_quota"}}`, "Retry-After", "30"))
}

// when is when request n came.
func (v *vendor) when(n int) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.got[n].at
}

// Too few tokens left keep a long call away, unless its input may be read from
// Anthropic's cache, which counts nothing.
func TestTokensLeft(t *testing.T) {
	v := newVendor(t, says(200, `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`,
		"Anthropic-Ratelimit-Input-Tokens-Remaining", "100", "Anthropic-Ratelimit-Input-Tokens-Limit", "40000", "Anthropic-Ratelimit-Input-Tokens-Reset", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	g := newRig(t, Settings{Providers: []ProviderSettings{at("a", "anthropic", v.url)}})
	check := func(what, text, more string, status, asked int) {
		t.Helper()
		body := fmt.Sprintf(`{"model":"a/m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":%q%s}]}]}`, text, more)
		if resp, got := g.post("/v1/messages", body); resp.StatusCode != status {
			t.Errorf("%s: %d %s", what, resp.StatusCode, got)
		}
		v.asked(t, asked)
	}
	long := strings.Repeat("many words ", 1000)
	check("first", "hi", "", 200, 1)
	check("short", "hi", "", 200, 2)
	check("long", long, "", 429, 2)
	check("long, perhaps cached", long, `,"cache_control":{"type":"ephemeral"}`, 200, 3)
	check("longer than the limit", strings.Repeat(long, 50), "", 200, 4)
	if resp, got := g.post("/v1/messages/count_tokens", fmt.Sprintf(`{"model":"a/m","messages":[{"role":"user","content":%q}]}`, long)); resp.StatusCode != 200 {
		t.Errorf("counting: %d %s", resp.StatusCode, got)
	}
}

// What is stale, or cannot be placed, keeps nobody away.
func TestStaleWordAsks(t *testing.T) {
	check := func(left, limit, reset string) {
		t.Helper()
		v := newVendor(t, leaving(left, limit, reset))
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v)}})
		for range 4 {
			if resp, got := g.chat(); resp.StatusCode != 200 {
				t.Errorf("%s of %s until %q: %d %s", left, limit, reset, resp.StatusCode, got)
			}
		}
		v.asked(t, 4)
	}
	check("0", "10", "")
	check("0", "10", "0s")
	check("0", "10", "99h")
	check("0", "0", "1m")
	check("-1", "10", "1m")
	check("1", "2", "1m")
}

// A reload keeps what is known; another key is another account, and a client's
// own key is nobody's but the client's.
func TestWhoseLimits(t *testing.T) {
	v := newVendor(t, leaving("0", "", "1m"))
	p := openaiNamed("a", v)
	s := Settings{Providers: []ProviderSettings{p}}
	g := newRig(t, s)
	check := func(what string, status, asked int, headers ...string) {
		t.Helper()
		if resp, got := g.post("/v1/chat/completions", chatBody, headers...); resp.StatusCode != status {
			t.Errorf("%s: %d %s", what, resp.StatusCode, got)
		}
		v.asked(t, asked)
	}
	apply := func() {
		t.Helper()
		if err := g.proxy.Apply(s); err != nil {
			t.Fatal(err)
		}
	}
	check("first", 200, 1)
	check("second", 429, 1)
	apply()
	check("after a reload", 429, 1)
	if resp, _ := g.post("/v1/chat/completions", `{"model":"other"}`); resp.StatusCode != 200 {
		t.Errorf("another model: %d", resp.StatusCode)
	}
	s.Auth = AuthPassthrough
	apply()
	check("a client's key", 200, 3, "Authorization", "Bearer sk-mine")
	check("and again", 200, 4, "Authorization", "Bearer sk-mine")
	s.Auth = AuthOff
	apply()
	check("Weir's key", 429, 4)
	s.Providers = []ProviderSettings{p}
	s.Providers[0].APIKey = "sk-another"
	apply()
	check("another key", 200, 5)
}

// The client's going, and the time that the call has, end the wait.
func TestWaitEnds(t *testing.T) {
	v := newVendor(t, leaving("0", "", "5s"))
	ro := route("*", []string{"a"}, nil)
	ro.Timeouts.Room = 10 * time.Second
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v)}, Routes: []RouteSettings{ro}, Drain: Drain{Time: time.Minute}})
	g.chat()
	start := time.Now()
	if resp, got := g.post("/v1/chat/completions", chatBody, "X-Weir-Timeout", "2s"); resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "5" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		time.Sleep(100 * time.Millisecond)
		cancel()
	}()
	if _, err := g.try(ctx, "POST", "/v1/chat/completions", `{"model":"gpt-4o","stream":true,"messages":[]}`, "Content-Type", "application/json"); err == nil {
		t.Error("the call was answered")
	}
	for _, c := range g.calls(3)[1:] {
		if len(c.Attempts) != 0 {
			t.Errorf("call %+v", c)
		}
	}
	if last := g.calls(3)[2]; last.Outcome != ledger.Aborted {
		t.Errorf("outcome %s", last.Outcome)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	v.asked(t, 1)
}

// A target that was passed over is come back to where the others fail.
func TestComesBack(t *testing.T) {
	a, b := newVendor(t, leaving("0", "", "400ms")), newVendor(t, failing(500))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", a), openaiNamed("b", b)}, Routes: []RouteSettings{route("*", []string{"a"}, []string{"b"})}})
	g.chat()
	resp, got := g.chat()
	if resp.StatusCode != 200 || resp.Header.Get("X-Weir-Provider") != "a" || resp.Header.Get("X-Weir-Attempts") != "2" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, got)
	}
}

// A crowd at an upstream that fills evenly: all are served, none is refused.
func TestCrowdIsNotRefused(t *testing.T) {
	const (
		limit = 5
		per   = 40 * time.Millisecond
	)
	var mu sync.Mutex
	level, last, refused := float64(limit), time.Now(), 0
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		mu.Lock()
		now := time.Now()
		level = min(level+float64(now.Sub(last))/float64(per), limit)
		last = now
		ok := level >= 1
		if ok {
			level--
		} else {
			refused++
		}
		left := int(level)
		reset := time.Duration(limit-left) * per
		mu.Unlock()
		if !ok {
			failing(429, "Retry-After-Ms", "40")(w, r, body)
			return
		}
		leaving(fmt.Sprint(left), fmt.Sprint(limit), reset.String())(w, r, body)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v)}})
	g.chat()
	var crowd sync.WaitGroup
	var failed atomic.Int32
	for range 25 {
		crowd.Go(func() {
			resp, err := g.try(context.Background(), "POST", "/v1/chat/completions", chatBody, "Content-Type", "application/json")
			if err != nil || resp.StatusCode != 200 {
				failed.Add(1)
			}
			if err == nil {
				resp.Body.Close()
			}
		})
	}
	crowd.Wait()
	mu.Lock()
	defer mu.Unlock()
	// Our clock runs a little before the upstream's, since calls take time to arrive.
	if n := failed.Load(); n > 2 || refused > 2 {
		t.Errorf("%d calls failed, %d were refused by the upstream", n, refused)
	}
}
