package proxy

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/ledger"
	"weir/limits"
)

func perMinute(d limits.Dimension, amount int64) *limits.Limit {
	return &limits.Limit{Scope: limits.Global, Dimension: d, Amount: amount, Window: time.Minute}
}

func slotsOf(n int64) *limits.Limit {
	return &limits.Limit{Scope: limits.Customer, Dimension: limits.Concurrent, Amount: n}
}

func (g *rig) standings() []limits.Standing {
	list, err := g.proxy.Limits(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	return list
}

// inUse is how much of a dimension is in use, over all values.
func (g *rig) inUse(d limits.Dimension) (n int64) {
	for _, s := range g.standings() {
		if s.Limit.Dimension == d {
			n += s.Used
		}
	}
	return n
}

func TestRefusalsByDialect(t *testing.T) {
	v := newVendor(t, says(200, chatReply, "X-Ratelimit-Remaining-Requests", "9999", "X-Ratelimit-Limit-Project", "1"))
	check := func(path, body, remaining string, words ...string) {
		t.Helper()
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{perMinute(limits.Requests, 1)}})
		first, text := g.post(path, body)
		if first.StatusCode != 200 {
			t.Fatalf("%s: %d %s", path, first.StatusCode, text)
		}
		if first.Header.Get("X-Ratelimit-Remaining-Requests") == "9999" || first.Header.Get("X-Ratelimit-Limit-Project") != "" {
			t.Errorf("%s: the upstream's limits pass beside Weir's", path)
		}
		resp, text := g.post(path, body)
		h := resp.Header
		if resp.StatusCode != 429 {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, text)
		}
		if ms, err := strconv.Atoi(h.Get("Retry-After-Ms")); err != nil || ms < 50_000 || ms > 60_000 || h.Get("Retry-After") == "" || h.Get("X-Should-Retry") == "false" {
			t.Errorf("%s: %v", path, h)
		}
		if remaining != "" && h.Get(remaining) != "0" {
			t.Errorf("%s: %s is %q", path, remaining, h.Get(remaining))
		}
		for _, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("%s: no %s in %s", path, word, text)
			}
		}
		if n := len(g.calls(2)); n != 2 || g.calls(2)[1].ErrorClass != "rate_limit_exceeded" {
			t.Errorf("%s: recorded as %q", path, g.calls(2)[1].ErrorClass)
		}
	}
	check("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`,
		"X-Ratelimit-Remaining-Requests", `"code":"rate_limit_exceeded"`, "requests_per_minute: limit 1, used 1, requested 1")
	check("/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`,
		"Anthropic-Ratelimit-Requests-Remaining", `{"type":"error","error":{"type":"rate_limit_error"`)
	check("/v1beta/models/m:generateContent", `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`,
		"", `"status":"RESOURCE_EXHAUSTED"`, `"code":429`)
}

func TestTokensAreSettled(t *testing.T) {
	v := newVendor(t, says(200, chatReply)) // says that it used 8 tokens
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{perMinute(limits.Tokens, 1000)}})
	body := `{"model":"m","max_tokens":700,"messages":[{"role":"user","content":"hi"}]}`
	for range 5 {
		if resp, text := g.post("/v1/chat/completions", body); resp.StatusCode != 200 || resp.Header.Get("X-Ratelimit-Limit-Tokens") != "1000" {
			t.Fatalf("%d %s %v", resp.StatusCode, text, resp.Header)
		}
	}
	call := g.calls(5)[0]
	in, _ := call.Usage.Input()
	out, _ := call.Usage.Output()
	if used, want := g.inUse(limits.Tokens), 5*(in+out); used > want || used < want-2 {
		t.Errorf("%d tokens are in use after five calls of %d", used, in+out)
	}
}

func TestStreamsAreSettled(t *testing.T) {
	usage := "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n"
	v := newVendor(t, answers(chunk("hello"), usage, "data: [DONE]\n\n"))
	day := perMinute(limits.OutputTokens, 1000)
	day.Window = 24 * time.Hour
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{day, slotsOf(1)}})
	for range 5 { // each would reserve 700 of 1000
		resp, text := g.post("/v1/chat/completions", `{"model":"m","max_tokens":700,"stream":true,"messages":[{"role":"user","content":"hi"}]}`, "X-Weir-Customer", "acme")
		if resp.StatusCode != 200 || !strings.Contains(text, "[DONE]") {
			t.Fatalf("%d %s", resp.StatusCode, text)
		}
	}
	if used := g.inUse(limits.OutputTokens); used != 10 {
		t.Errorf("%d output tokens are in use after five streams of 2", used)
	}
}

func TestLongWaitsAreNotTriedAgain(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	day := perMinute(limits.Requests, 1)
	day.Window = 24 * time.Hour
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{day}})
	g.post("/v1/chat/completions", `{"model":"m","messages":[]}`)
	resp, _ := g.post("/v1/chat/completions", `{"model":"m","messages":[]}`)
	if resp.StatusCode != 429 || resp.Header.Get("X-Should-Retry") != "false" || resp.Header.Get("Retry-After") != "86400" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Proxy{limits: limits.NewMemory(limits.Options{})}
		slots := slotsOf(1)
		reserve := func() limits.Decision {
			return p.limits.Reserve(context.Background(), &limits.Demand{Rules: []limits.Rule{{Limit: slots, Name: slots.Name(), Value: "acme"}}})
		}
		c := &ceilings{decision: reserve()}
		p.keepAlive(c)
		time.Sleep(time.Hour)
		if d := reserve(); d.Refused == nil {
			t.Error("a call of an hour has lost its slot")
		}
		p.settleLimits(&Exchange{ceilings: c, call: new(ledger.Call), state: new(State)})
		if d := reserve(); d.Refused != nil {
			t.Error("the slot is not free after the call")
		}
		time.Sleep(limits.LeaseTime)
		if d := reserve(); d.Refused != nil {
			t.Error("a slot without heartbeats does not expire")
		}
	})
}

func TestNoSlotLeaks(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	open := func() { once.Do(func() { close(release) }) }
	defer open()
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case strings.Contains(body, "broken"):
			panic(http.ErrAbortHandler)
		case strings.Contains(body, "wrong"):
			says(400, `{"error":{"message":"no"}}`)(w, r, body)
		case strings.Contains(body, "stream"):
			sse(w, chunk("a"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case strings.Contains(body, "hangs"):
			select {
			case <-release:
			case <-r.Context().Done():
			}
		default:
			says(200, chatReply)(w, r, body)
		}
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{slotsOf(1), perMinute(limits.Tokens, 1e9)}})
	body := func(text string) string {
		return `{"model":"m","messages":[{"role":"user","content":"` + text + `"}]}`
	}
	acme := []string{"X-Weir-Customer", "acme", "Content-Type", "application/json"}
	post := func(text string) int {
		resp, _ := g.post("/v1/chat/completions", body(text), "X-Weir-Customer", "acme")
		return resp.StatusCode
	}
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := g.try(ctx, "POST", "/v1/chat/completions", body("hangs"), acme...); err == nil {
			resp.Body.Close()
		}
	}()
	eventually(t, "the slot is taken", func() bool { return g.inUse(limits.Concurrent) == 1 })
	if status := post("fine"); status != 429 {
		t.Errorf("a second call at once: %d", status)
	}
	if resp, _ := g.post("/v1/chat/completions", body("fine"), "X-Weir-Customer", "other"); resp.StatusCode != 200 {
		t.Errorf("another customer's call: %d", resp.StatusCode)
	}
	cancel()
	within(t, "the abort", gone)
	free := func(what string) {
		t.Helper()
		eventually(t, "the slot is free after "+what, func() bool { return g.inUse(limits.Concurrent) == 0 })
	}
	free("an abort before the reply")
	post("broken")
	free("a broken upstream")
	post("wrong")
	free("an upstream's error")
	resp := g.send(context.Background(), "POST", "/v1/chat/completions", `{"model":"m","stream":true,"messages":[{"role":"user","content":"stream"}]}`, acme...)
	_, _ = io.ReadFull(resp.Body, make([]byte, 10))
	if n := g.inUse(limits.Concurrent); n != 1 {
		t.Errorf("%d slots are taken by a stream", n)
	}
	resp.Body.Close()
	free("an abort in mid-stream")
	for i := range 20 { // whoever has read a reply finds its slot free
		if status := post("fine"); status != 200 {
			t.Fatalf("call %d in a row: %d", i, status)
		}
	}
	if held := g.standings(); len(held) > 0 && held[0].Reserved != 0 {
		t.Errorf("%d tokens are held when all calls have ended", held[0].Reserved)
	}
}

func TestAPanicLeaksNoSlot(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{slotsOf(1)}})
	whole := g.proxy.handler
	g.proxy.handler = chain(func(http.ResponseWriter, *http.Request, *Exchange) error { panic("on purpose") }, g.proxy.identify, g.proxy.read, g.proxy.admit)
	body := `{"model":"m","messages":[]}`
	for range 3 {
		if resp, _ := g.post("/v1/chat/completions", body, "X-Weir-Customer", "acme"); resp.StatusCode != 500 {
			t.Fatalf("a panic: %d", resp.StatusCode)
		}
	}
	g.proxy.handler = whole
	if resp, text := g.post("/v1/chat/completions", body, "X-Weir-Customer", "acme"); resp.StatusCode != 200 {
		t.Errorf("after the panics: %d %s", resp.StatusCode, text)
	}
}

func TestAReloadKeepsCounts(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	s := Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{perMinute(limits.Requests, 2)}}
	g := newRig(t, s)
	post := func(want int) {
		t.Helper()
		if resp, text := g.post("/v1/chat/completions", `{"model":"m","messages":[]}`); resp.StatusCode != want {
			t.Fatalf("%d %s, want %d", resp.StatusCode, text, want)
		}
	}
	post(200)
	post(200)
	s.Limits = []*limits.Limit{slotsOf(5), perMinute(limits.Requests, 2)}
	if err := g.proxy.Apply(s); err != nil {
		t.Fatal(err)
	}
	post(429)
	s.Limits = nil
	if err := g.proxy.Apply(s); err != nil {
		t.Fatal(err)
	}
	post(200)
}

func TestShadowAndWarn(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	for _, action := range []limits.Action{limits.Shadow, limits.Warn} {
		l := perMinute(limits.Requests, 1)
		l.Action = action
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{l}})
		for range 3 {
			if resp, _ := g.post("/v1/chat/completions", `{"model":"m","messages":[]}`); resp.StatusCode != 200 || resp.Header.Get("X-Ratelimit-Limit-Requests") != "" {
				t.Errorf("%s: %d %v", action, resp.StatusCode, resp.Header)
			}
		}
		if said := strings.Contains(g.log.String(), "a limit is reached"); said != (action == limits.Warn) {
			t.Errorf("%s: said in the log: %v", action, said)
		}
	}
}

func TestWhoseLimit(t *testing.T) {
	x := &Exchange{call: &ledger.Call{AskedModel: "m"}, Caller: Caller{Customer: "c", Feature: "f", Session: "s", Tags: map[string]string{"team": "x"}}}
	x.View.User = "u"
	check := func(l limits.Limit, want string, has bool) {
		t.Helper()
		l.Amount = 1
		set := newRuleSet([]*limits.Limit{&l})
		rules := x.rules(append(set.callers, set.shared...), nil)
		if len(rules) > 0 != has || has && rules[0].Value != want {
			t.Errorf("%s: %+v", l.Scope, rules)
		}
	}
	check(limits.Limit{Scope: limits.Global}, "", true)
	check(limits.Limit{Scope: limits.Customer}, "c", true)
	check(limits.Limit{Scope: limits.Feature}, "f", true)
	check(limits.Limit{Scope: limits.Session}, "s", true)
	check(limits.Limit{Scope: limits.User}, "u", true)
	check(limits.Limit{Scope: limits.Model}, "m", true)
	check(limits.Limit{Scope: limits.Tag, Tag: "team"}, "x", true)
	check(limits.Limit{Scope: limits.Tag, Tag: "none"}, "", false)
	check(limits.Limit{Scope: limits.Key}, "", false)
	check(limits.Limit{Scope: limits.Project}, "", false)
	check(limits.Limit{Scope: limits.Customer, Value: "c"}, "c", true)
	check(limits.Limit{Scope: limits.Customer, Value: "d"}, "", false)
	x.Caller.Key = &ledger.Key{ID: "key_1", Name: "web", ProjectID: "proj_1"}
	check(limits.Limit{Scope: limits.Key}, "key_1", true)
	check(limits.Limit{Scope: limits.Key, Value: "web"}, "key_1", true)
	check(limits.Limit{Scope: limits.Key, Value: "key_1"}, "key_1", true)
	check(limits.Limit{Scope: limits.Project}, "proj_1", true)
}

// TestOneValueOfItsOwn: what is said of one value takes the place of what is
// said of each.
func TestOneValueOfItsOwn(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	each := &limits.Limit{Scope: limits.Customer, Dimension: limits.Requests, Amount: 1, Window: time.Minute}
	big := *each
	big.Value, big.Amount = "big", 3
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{each, &big}})
	check := func(customer string, admitted int) {
		t.Helper()
		for i := range admitted + 1 {
			want := 200
			if i == admitted {
				want = 429
			}
			if resp, _ := g.post("/v1/chat/completions", `{"model":"m","messages":[]}`, "X-Weir-Customer", customer); resp.StatusCode != want {
				t.Errorf("call %d of %s: %d, want %d", i, customer, resp.StatusCode, want)
			}
		}
	}
	check("small", 1)
	check("big", 3)
}
