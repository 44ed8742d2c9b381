package proxy

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestFirstRouteWins(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{
		Providers: []ProviderSettings{at("a", "openai", v.url+"/a"), at("b", "openai", v.url+"/b")},
		Routes: []RouteSettings{
			route("exact", []string{"a"}, nil), route("gpt-*", []string{"a"}, nil), route("gpt-4*", []string{"b"}, nil),
			{Model: "org/*", Targets: []TargetSettings{{Provider: "b", Model: "mapped"}}},
			route("?", []string{"b"}, nil),
		},
	})
	check := func(asked, want, model, routed string) {
		t.Helper()
		resp, got := g.post("/v1/chat/completions", fmt.Sprintf(`{"model":%q}`, asked))
		if resp.Header.Get("X-Weir-Provider") != want || resp.Header.Get("X-Weir-Model") != model {
			t.Errorf("%s: %d %v %s", asked, resp.StatusCode, resp.Header, got)
		}
		calls := g.calls(len(v.seen()))
		if c := calls[len(calls)-1]; c.Route != routed || c.AskedModel != asked || c.Model != model {
			t.Errorf("%s: call %+v", asked, c)
		}
	}
	check("exact", "a", "exact", "exact")
	check("gpt-4o", "a", "gpt-4o", "gpt-*")
	check("org/team/model", "b", "mapped", "org/*")
	check("x", "b", "x", "?")
	check("b/gpt-4o", "b", "gpt-4o", "")
	check("b/org/x", "b", "org/x", "")
}

func TestWeights(t *testing.T) {
	a, b := &Provider{Name: "a"}, &Provider{Name: "b"}
	check := func(wa, wb int, want float64) {
		t.Helper()
		const draws = 20_000
		n := 0
		for range draws {
			list := []Target{{Provider: a, Weight: wa}, {Provider: b, Weight: wb}}
			if shuffle(list); list[0].Provider == a {
				n++
			}
			if list[0].Provider == list[1].Provider {
				t.Fatal("a target was lost")
			}
		}
		// Five standard deviations.
		if got := float64(n) / draws; math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/draws) {
			t.Errorf("weights %d and %d: a first in %v, want %v", wa, wb, got, want)
		}
	}
	check(90, 10, .9)
	check(1, 1, .5)
	check(0, 0, .5)
	check(3, 1, .75)
	check(5, 0, 1)
	check(0, 5, 0)
}

func failing(status int, headers ...string) func(http.ResponseWriter, *http.Request, string) {
	return says(status, `{"error":{"message":"no","type":"x","code":null}}`, headers...)
}

// Retries first go to other weighted targets, then wait for one, then the
// fallbacks come in order.
func TestOrderOfAttempts(t *testing.T) {
	a, b := newVendor(t, failing(500)), newVendor(t, failing(502))
	c, d := newVendor(t, failing(503)), newVendor(t, says(200, chatReply))
	ro := route("*", []string{"a", "b"}, []string{"c", "d"})
	ro.Retries = 2
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", a), openaiNamed("b", b), openaiNamed("c", c), openaiNamed("d", d)}, Routes: []RouteSettings{ro}})
	resp, _ := g.post("/v1/chat/completions", chatBody)
	if resp.StatusCode != 200 || resp.Header.Get("X-Weir-Attempts") != "5" || resp.Header.Get("X-Weir-Provider") != "d" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if na, nb := len(a.seen()), len(b.seen()); na+nb != 3 || na == 0 || nb == 0 || len(c.seen()) != 1 {
		t.Errorf("%d, %d and %d tries", na, nb, len(c.seen()))
	}
	call := g.one()
	for i, at := range call.Attempts[:4] {
		if at.N != i+1 || at.ErrorClass != "upstream_error" || at.Status < 500 || at.Total <= 0 {
			t.Errorf("attempt %+v", at)
		}
	}
}

func openaiNamed(name string, v *vendor) ProviderSettings { return at(name, "openai", v.url+"/v1") }

// Which failures are tried again, elsewhere, or at all.
func TestWhatIsTriedAgain(t *testing.T) {
	const quota = `{"error":{"message":"You exceeded your quota","type":"insufficient_quota","code":"insufficient_quota"}}`
	check := func(what string, h func(http.ResponseWriter, *http.Request, string), tries int, fallback bool) {
		t.Helper()
		v, w := newVendor(t, h), newVendor(t, says(200, chatReply))
		ro := route("*", []string{"a"}, []string{"b"})
		ro.Retries = 1
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v), openaiNamed("b", w)}, Routes: []RouteSettings{ro}})
		resp, got := g.post("/v1/chat/completions", chatBody)
		if len(v.seen()) != tries || (len(w.seen()) == 1) != fallback || (resp.StatusCode == 200) != fallback {
			t.Errorf("%s: %d tries, fallback %v: %d %s", what, len(v.seen()), len(w.seen()) == 1, resp.StatusCode, got)
		}
	}
	for _, status := range []int{408, 500, 502, 503, 504, 529} {
		check(fmt.Sprint(status), failing(status), 2, true)
	}
	check("429 with a short wait", failing(429, "Retry-After-Ms", "5"), 2, true)
	check("429 with a long wait", failing(429, "Retry-After", "60"), 1, true)
	check("429 with no end", failing(429, "Retry-After", "1e9"), 1, true)
	check("429 for want of money", says(429, quota), 1, true)
	for _, status := range []int{401, 402, 403, 404} {
		check(fmt.Sprint(status), failing(status), 1, true)
	}
	for _, status := range []int{400, 409, 413, 422, 501} {
		check(fmt.Sprint(status), failing(status), 1, false)
	}
	check("a reset", func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }, 2, true)
	check("a web page", func(w http.ResponseWriter, _ *http.Request, _ string) { fmt.Fprint(w, "<html>") }, 2, true)
}

func TestRefusedConnectionFallsBackAtOnce(t *testing.T) {
	good := newVendor(t, says(200, chatReply))
	g := newRig(t, Settings{Providers: []ProviderSettings{at("dead", "openai", "http://127.0.0.1:1/v1"), openaiNamed("good", good)}, Routes: []RouteSettings{route("*", []string{"dead"}, []string{"good"})}})
	start := time.Now()
	resp, _ := g.post("/v1/chat/completions", chatBody)
	if d := time.Since(start); resp.StatusCode != 200 || d > time.Second {
		t.Errorf("%d after %v", resp.StatusCode, d)
	}
	if c := g.one(); c.Attempts[0].ErrorClass != "upstream_unreachable" || !c.Attempts[0].Usage.IsZero() || c.Attempts[0].Status != 0 {
		t.Errorf("call %+v", c)
	}
}

// The upstream's Retry-After is the least that is waited, up to the cap.
func TestRetryAfterIsObeyed(t *testing.T) {
	var n atomic.Int32
	times := make(chan time.Time, 2)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		times <- time.Now()
		if n.Add(1) == 1 {
			failing(429, "Retry-After", "0.4")(w, r, body)
			return
		}
		says(200, chatReply)(w, r, body)
	})
	ro := route("*", []string{"a"}, nil)
	ro.Retries = 1
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v)}, Routes: []RouteSettings{ro}})
	if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, got)
	}
	if d := -(<-times).Sub(<-times); d < 400*time.Millisecond {
		t.Errorf("waited %v", d)
	}
}

func TestRetryAfterForms(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	check := func(name, value string, want time.Duration) {
		t.Helper()
		h := http.Header{}
		h.Set(name, value)
		if got := retryAfter(h, now); got != want {
			t.Errorf("%s: %s = %v, want %v", name, value, got, want)
		}
	}
	check("Retry-After", "7", 7*time.Second)
	check("Retry-After", "0.5", 500*time.Millisecond)
	check("Retry-After", "Wed, 25 Nov 2026 12:00:09 GMT", 9*time.Second)
	check("Retry-After", "Wed, 25 Nov 2026 11:00:09 GMT", 0)
	check("Retry-After", "-5", 0)
	check("Retry-After", "soon", 0)
	check("Retry-After", "NaN", 0)
	check("Retry-After", "1e300", 1e6*time.Second)
	check("Retry-After", "+Inf", 1e6*time.Second)
	check("Retry-After-Ms", "1500", 1500*time.Millisecond)
	check("Retry-After-Ms", "1e12", 1e6*time.Second)
	check("Retry-After-Ms", "-1", 0)
	check("X-Ms-Retry-After-Ms", "20", 20*time.Millisecond)
}

func TestBackoffIsFullJitterUnderACap(t *testing.T) {
	for n, bound := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second} {
		var low, high time.Duration = bound, 0
		for range 2000 {
			d := backoff(n)
			low, high = min(low, d), max(high, d)
		}
		if low < 0 || high >= bound || low > bound/10 || high < bound*9/10 {
			t.Errorf("retry %d: %v to %v, want 0 to %v", n, low, high, bound)
		}
	}
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker
		call := func(ok bool) bool {
			if !b.allow(time.Now()) {
				return false
			}
			b.done(time.Now(), ok)
			return true
		}
		for i := range breakConsecutive {
			if !call(false) {
				t.Fatalf("open after %d failures", i)
			}
		}
		if b.allow(time.Now()) {
			t.Error("closed after 5 failures in a row")
		}
		time.Sleep(breakBase - time.Nanosecond)
		if b.allow(time.Now()) {
			t.Error("closed too early")
		}
		time.Sleep(time.Nanosecond)
		if !b.allow(time.Now()) || b.allow(time.Now()) {
			t.Error("half-open means one probe")
		}
		b.done(time.Now(), false)
		time.Sleep(2*breakBase - time.Nanosecond)
		if b.allow(time.Now()) {
			t.Error("the second opening is twice as long")
		}
		time.Sleep(time.Nanosecond)
		for range 2 {
			if !call(true) {
				t.Error("a good probe closes it")
			}
		}
		// An undone probe leaves the next one to somebody else.
		for range breakConsecutive {
			call(false)
		}
		time.Sleep(breakBase)
		if !b.allow(time.Now()) {
			t.Fatal("no probe")
		}
		b.undo()
		if !b.allow(time.Now()) {
			t.Error("an undone probe blocks")
		}
		// One that never reports is forgotten.
		time.Sleep(breakMax)
		if !b.allow(time.Now()) {
			t.Error("a lost probe blocks for ever")
		}
		b.done(time.Now(), true)

		// Half of ten within the window opens it, and not half of nine.
		for i := range 9 {
			call(i%2 == 0)
		}
		if !b.allow(time.Now()) {
			t.Fatal("open after nine")
		}
		b.done(time.Now(), false)
		if b.allow(time.Now()) {
			t.Error("closed with half of ten failing")
		}
		time.Sleep(breakMax)
		call(true)
		for i := range 30 { // the same rate, thinly spread
			call(i%2 == 0)
			time.Sleep(breakWindow/4 + 1)
		}
		if !b.allow(time.Now()) {
			t.Error("open at a few calls per window")
		}
		// The longest opening is capped.
		for i := range 20 {
			for range breakConsecutive {
				b.done(time.Now(), false)
			}
			time.Sleep(breakMax)
			if !b.allow(time.Now()) {
				t.Fatalf("opening %d lasts over %v", i, breakMax)
			}
			b.done(time.Now(), false)
		}
	})
}

// A failing target is passed over, its last resort is not, and what is not
// its fault does not open it.
func TestBreakerOfATarget(t *testing.T) {
	var status atomic.Int32
	status.Store(500)
	bad := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) { failing(int(status.Load()))(w, r, body) })
	good := newVendor(t, says(200, chatReply))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("bad", bad), openaiNamed("good", good)}, Routes: []RouteSettings{route("alone", []string{"bad"}, nil), route("both", []string{"bad"}, []string{"good"})}})
	ask := func(model string) int {
		resp, _ := g.post("/v1/chat/completions", `{"model":"`+model+`"}`)
		return resp.StatusCode
	}
	for range 8 {
		if s := ask("both"); s != 200 {
			t.Errorf("%d", s)
		}
	}
	if n := len(bad.seen()); n != breakConsecutive {
		t.Errorf("the failing target was tried %d times", n)
	}
	for range 8 {
		if s := ask("alone"); s != 500 {
			t.Errorf("%d", s)
		}
	}
	if n := len(bad.seen()); n != breakConsecutive+8 {
		t.Errorf("the last resort was tried %d times", n-breakConsecutive)
	}
	status.Store(429)
	g.proxy.Apply(g.proxy.state.Load().Settings) // a reload keeps what is known of a target
	if s := ask("both"); s != 200 || len(bad.seen()) != breakConsecutive+8 {
		t.Errorf("after a reload: %d", s)
	}
	for _, s := range []int32{400, 401, 404, 429} {
		status.Store(s)
		p := openaiNamed("bad", bad)
		b := newRig(t, Settings{Providers: []ProviderSettings{p}})
		for range 2 * breakMinCalls {
			b.post("/v1/chat/completions", `{"model":"m"}`)
		}
		if !b.proxy.state.Load().byName["bad"].breakerFor("m").allow(time.Now()) {
			t.Errorf("a %d opens the breaker", s)
		}
	}
}

// A target that is not asked by the request's API is passed over; where none is
// left the refusal names both.
func TestForeignDialect(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{
		Providers: []ProviderSettings{at("gpt", "openai", v.url+"/v1"), at("claude", "anthropic", v.url)},
		Routes:    []RouteSettings{route("mixed", []string{"claude", "gpt"}, nil), route("foreign", []string{"claude"}, nil)},
	})
	for range 10 {
		if resp, got := g.post("/v1/chat/completions", `{"model":"mixed"}`); resp.StatusCode != 200 || resp.Header.Get("X-Weir-Provider") != "gpt" {
			t.Fatalf("%d %s", resp.StatusCode, got)
		}
	}
	n := len(v.seen())
	resp, got := g.post("/v1/chat/completions", `{"model":"foreign"}`)
	if resp.StatusCode != 400 || !strings.Contains(got, `"param":"messages"`) || len(v.seen()) != n {
		t.Errorf("what not even its own API would take: %d %s", resp.StatusCode, got)
	}
	resp, got = g.post("/v1/moderations", `{"model":"foreign","input":"x"}`) // only conversations and embeddings are carried
	if resp.StatusCode != 400 || !strings.Contains(got, "moderations (openai)") || !strings.Contains(got, "asked by messages") || !strings.Contains(got, "dialect_not_carried") || len(v.seen()) != n {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

func TestPinnedProvider(t *testing.T) {
	a, b := newVendor(t, anyReply), newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", a), openaiNamed("b", b)}, Routes: []RouteSettings{route("*", []string{"a"}, nil)}})
	check := func(want *vendor, path string, headers ...string) {
		t.Helper()
		before := len(want.seen())
		resp, got := g.post(path, `{"model":"m"}`, headers...)
		if resp.StatusCode != 200 || len(want.seen()) != before+1 {
			t.Errorf("%s %v: %d %s", path, headers, resp.StatusCode, got)
		}
	}
	check(a, "/v1/chat/completions")
	check(b, "/v1/chat/completions", "X-Weir-Provider", "b")
	check(b, "/providers/b/v1/chat/completions")
	check(b, "/v1/files", "X-Weir-Provider", "b")
	if b.last().header.Get("X-Weir-Provider") != "" {
		t.Error("the header went up")
	}
	resp, got := g.do("GET", "/v1/files/file-1", "")
	if resp.StatusCode != 400 || !strings.Contains(got, "provider_required") || !strings.Contains(got, "x-weir-provider") || !strings.Contains(got, "a, b") {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

// An object's id leads back to the account that made it.
func TestObjectsAreRememberedByAccount(t *testing.T) {
	made := func(name string) *vendor {
		return newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
			kind := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")[0]
			if strings.Contains(body, `"stream":true`) {
				sse(w, strings.NewReplacer("resp_1", "resp_stream_"+name).Replace(strings.Join(speeches["responses"].all(), "")))
				return
			}
			says(200, fmt.Sprintf(`{"id":"%s-%s","object":"x","status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":1}}`, kind, name))(w, r, body)
		})
	}
	a, b := made("a"), made("b")
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", a), openaiNamed("b", b)}, Routes: []RouteSettings{route("m", []string{"a"}, nil)}})
	check := func(want *vendor, method, path, body string) {
		t.Helper()
		before := len(want.seen())
		resp, got := g.do(method, path, body, "Content-Type", "application/json")
		if resp.StatusCode != 200 || len(want.seen()) != before+1 {
			t.Errorf("%s %s %s: %d %s", method, path, body, resp.StatusCode, got)
		}
	}
	for _, x := range []struct {
		name string
		v    *vendor
	}{{"a", a}, {"b", b}} {
		pin := []string{"X-Weir-Provider", x.name}
		g.post("/v1/files", `{}`, pin...)
		g.post("/v1/batches", `{"input_file_id":"files-`+x.name+`"}`, pin...)
		g.post("/v1/responses", `{"model":"m","input":"x"}`, pin...)
		g.post("/v1/responses", `{"model":"m","input":"x","stream":true}`, pin...)
		check(x.v, "GET", "/v1/files/files-"+x.name, "")
		check(x.v, "GET", "/v1/files/files-"+x.name+"/content", "")
		check(x.v, "GET", "/v1/batches/batches-"+x.name, "")
		check(x.v, "POST", "/v1/batches", `{"input_file_id":"files-`+x.name+`"}`)
		check(x.v, "GET", "/v1/responses/responses-"+x.name, "")
		check(x.v, "POST", "/v1/responses/responses-"+x.name+"/cancel", "")
		check(x.v, "POST", "/v1/responses", `{"model":"m","input":"y","previous_response_id":"responses-`+x.name+`"}`)
		check(x.v, "POST", "/v1/responses", `{"model":"m","input":"y","previous_response_id":"resp_stream_`+x.name+`"}`)
	}
	if resp, _ := g.do("GET", "/v1/files/file-unknown", ""); resp.StatusCode != 400 {
		t.Errorf("an unknown one: %d", resp.StatusCode)
	}
}

// Gemini's objects have names instead of ids, a file's below a member of its own.
func TestGeminiObjectsAreRememberedByAccount(t *testing.T) {
	made := func(name string) *vendor {
		return newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
			if strings.HasPrefix(r.URL.Path, "/upload/") {
				says(200, fmt.Sprintf(`{"file":{"name":"files/f-%s","displayName":"n"}}`, name))(w, r, body)
				return
			}
			says(200, fmt.Sprintf(`{"name":"cachedContents/c-%s","model":"models/m"}`, name))(w, r, body)
		})
	}
	a, b := made("a"), made("b")
	g := newRig(t, Settings{Providers: []ProviderSettings{
		{Name: "a", Kind: "gemini", BaseURL: a.url, APIKey: "AIza-a"}, {Name: "b", Kind: "gemini", BaseURL: b.url, APIKey: "AIza-b"},
	}})
	for name, v := range map[string]*vendor{"a": a, "b": b} {
		g.post("/upload/v1beta/files", `{}`, "X-Weir-Provider", name)
		g.post("/v1beta/cachedContents", `{}`, "X-Weir-Provider", name)
		for _, path := range []string{"/v1beta/files/f-" + name, "/v1beta/cachedContents/c-" + name} {
			before := len(v.seen())
			if resp, got := g.do("GET", path, ""); resp.StatusCode != 200 || len(v.seen()) != before+1 {
				t.Errorf("%s: %d %s", path, resp.StatusCode, got)
			}
		}
	}
}

func TestReload(t *testing.T) {
	v, w := newVendor(t, anyReply), newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", v)}})
	check := func(want *vendor) {
		t.Helper()
		before := len(want.seen())
		if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 200 || len(want.seen()) != before+1 {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
	}
	check(v)
	for _, bad := range []Settings{
		{Providers: []ProviderSettings{{Name: "a", Kind: "nonsense"}}},
		{Providers: []ProviderSettings{openaiNamed("a", w), openaiNamed("a", w)}},
		{Providers: []ProviderSettings{at("a", "openai", "ftp://x")}},
		{Providers: []ProviderSettings{{Name: "a", Kind: "azure"}}},
		{Providers: []ProviderSettings{openaiNamed("a", w)}, Routes: []RouteSettings{route("x", []string{"nobody"}, nil)}},
		{Providers: []ProviderSettings{openaiNamed("a", w)}, Routes: []RouteSettings{{Model: "x"}}},
		{Auth: AuthKeys, Providers: []ProviderSettings{openaiNamed("a", w)}},
	} {
		if err := g.proxy.Apply(bad); err == nil {
			t.Errorf("taken: %+v", bad)
		}
		check(v)
	}
	if err := g.proxy.Apply(Settings{Providers: []ProviderSettings{openaiNamed("a", w)}}); err != nil {
		t.Fatal(err)
	}
	check(w)
}
