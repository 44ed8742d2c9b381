package proxy

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/costs"
	"weir/ledger"
	"weir/limits"
	"weir/proxy/wire"
)

func budgetOf(usd int64, scope limits.Scope) *limits.Limit {
	return &limits.Limit{Scope: scope, Dimension: limits.USD, Period: limits.Day, Amount: usd}
}

// pricedAt is a provider whose prices are openai's.
func pricedAt(name, url string) ProviderSettings {
	p := at(name, "openai", url+"/v1")
	p.PriceAs = "openai"
	return p
}

const replyCost = 37_500 // billionths of a dollar: chatReply at gpt-4o's prices

// gpt4o is a request of a few tokens that may have as many tokens of output.
func gpt4o(output string) string {
	return `{"model":"gpt-4o","max_tokens":` + output + `,"messages":[{"role":"user","content":"hi"}]}`
}

func TestBudgets(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	l := budgetOf(2_540_000, limits.Customer)
	g := newRig(t, Settings{Providers: []ProviderSettings{pricedAt("p", v.url)}, Prices: costs.Builtin(), Limits: []*limits.Limit{l}})
	resp, text := g.post("/v1/chat/completions", gpt4o("250"), "X-Weir-Customer", "acme") // may cost 2.5 thousandths
	if resp.StatusCode != 200 || resp.Header.Get("X-Weir-Budget-Remaining-Usd") == "" {
		t.Fatalf("%d %s %v", resp.StatusCode, text, resp.Header)
	}
	if used := g.inUse(limits.USD); used != replyCost {
		t.Errorf("%d is used of the budget, want %d", used, replyCost)
	}
	for _, api := range []struct{ path, body, word string }{
		{"/v1/chat/completions", gpt4o("250"), `"code":"insufficient_quota"`},
		{"/v1/messages", `{"model":"gpt-4o","max_tokens":250,"messages":[{"role":"user","content":"hi"}]}`, `"type":"rate_limit_error"`},
		{"/v1beta/models/gpt-4o:generateContent", `{"generationConfig":{"maxOutputTokens":250},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`, `"status":"RESOURCE_EXHAUSTED"`},
	} {
		resp, text = g.post(api.path, api.body, "X-Weir-Customer", "acme")
		if resp.StatusCode != 429 || resp.Header.Get("X-Should-Retry") != "false" || !strings.Contains(text, api.word) || !strings.Contains(text, "limit $0.00254, used $0.0000375, this call may cost $0.002") {
			t.Errorf("%s over the budget: %d %s %v", api.path, resp.StatusCode, text, resp.Header)
		}
	}
	if resp, _ := g.post("/v1/chat/completions", gpt4o("10"), "X-Weir-Customer", "acme"); resp.StatusCode != 200 {
		t.Errorf("a cheaper call is refused: %d", resp.StatusCode)
	}
	if resp, _ := g.post("/v1/chat/completions", gpt4o("250"), "X-Weir-Customer", "other"); resp.StatusCode != 200 {
		t.Errorf("another customer is refused: %d", resp.StatusCode)
	}
}

// TestUnpricedUnderABudget: what a call of unknown price costs is never 0.
func TestUnpricedUnderABudget(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	unpriced, priced := openaiAt(v.url), pricedAt("p", v.url)
	body := `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
	rig := func(l *limits.Limit) *rig {
		return newRig(t, Settings{
			Providers: []ProviderSettings{unpriced, priced}, Prices: costs.Builtin(), Limits: []*limits.Limit{l},
			Routes: []RouteSettings{route("m", []string{unpriced.Name}, nil), route("gpt-4o", []string{unpriced.Name}, []string{"p"})},
		})
	}
	for _, scope := range []limits.Scope{limits.Customer, limits.Global} {
		g := rig(budgetOf(limits.Dollar, scope))
		resp, text := g.post("/v1/chat/completions", body, "X-Weir-Customer", "acme")
		if resp.StatusCode != 429 || resp.Header.Get("X-Should-Retry") != "false" || !strings.Contains(text, "The price of this call is not known") {
			t.Errorf("%s: %d %s", scope, resp.StatusCode, text)
		}
		if resp, text := g.post("/v1/chat/completions", gpt4o("10"), "X-Weir-Customer", "acme"); resp.StatusCode != 200 || resp.Header.Get("X-Weir-Provider") != "p" {
			t.Errorf("%s: the target whose price is known is not asked: %d %s", scope, resp.StatusCode, text)
		}
		if resp, text := g.post("/v1/vector_stores", `{}`, "X-Weir-Customer", "acme", "X-Weir-Provider", "p"); resp.StatusCode != 429 {
			t.Errorf("%s: a raw path passes: %d %s", scope, resp.StatusCode, text)
		}
		if used := g.inUse(limits.USD); used != replyCost {
			t.Errorf("%s: %d is used, want %d", scope, used, replyCost)
		}
	}
	ceiling := budgetOf(limits.Dollar, limits.Customer)
	ceiling.Ceiling = 400_000_000
	g := rig(ceiling)
	for i, want := range []int{200, 200, 429} {
		if resp, text := g.post("/v1/chat/completions", body, "X-Weir-Customer", "acme"); resp.StatusCode != want {
			t.Errorf("call %d at a ceiling of $0.40: %d %s", i, resp.StatusCode, text)
		}
	}
	if used := g.inUse(limits.USD); used != 800_000_000 {
		t.Errorf("%d is used by two calls at a ceiling of $0.40", used)
	}
}

func TestMaxCost(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url), pricedAt("p", v.url)}, Prices: costs.Builtin(), Routes: []RouteSettings{route("gpt-4o", []string{"p"}, nil), route("m", []string{"up"}, nil)}})
	check := func(path, body, most string, want int, words ...string) {
		t.Helper()
		resp, text := g.post(path, body, "X-Weir-Max-Cost-Usd", most)
		if resp.StatusCode != want {
			t.Errorf("at most %s: %d %s", most, resp.StatusCode, text)
		}
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("at most %s: no %q in %s", most, w, text)
			}
		}
	}
	chat := "/v1/chat/completions"
	check(chat, gpt4o("100"), "0.01", 200)
	check(chat, gpt4o("100"), "$0.01", 200)
	check(chat, gpt4o("100"), "0.001", 400, "max_cost_exceeded", "may cost $0.001", "allows $0.001")
	check(chat, gpt4o("100000"), "0.01", 400, "max_cost_exceeded") // by what is allowed, not by what is expected
	check(chat, `{"model":"m","messages":[]}`, "1", 400, "is not known")
	for _, bad := range []string{"0", "-1", "NaN", "much", "1e999999999"} {
		check(chat, gpt4o("1"), bad, 400, "x-weir-max-cost-usd")
	}
	if n := len(v.seen()); n != 2 {
		t.Errorf("the upstream got %d requests, want 2", n)
	}
	for _, r := range v.seen() {
		if r.header.Get("X-Weir-Max-Cost-Usd") != "" {
			t.Error("the header goes upstream")
		}
	}
}

// TestFurtherAttemptsAreToppedUp: a budget pays for a retry before it is made.
func TestFurtherAttemptsAreToppedUp(t *testing.T) {
	var asked atomic.Int64
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		asked.Add(1)
		sse(w, roleChunk) // it has begun to work, and breaks off before the client has seen anything
		panic(http.ErrAbortHandler)
	})
	run := func(amount int64) (int64, string) {
		l := budgetOf(amount, limits.Customer)
		r := route("gpt-4o", []string{"p"}, nil)
		r.Retries = 2
		g := newRig(t, Settings{Providers: []ProviderSettings{pricedAt("p", v.url)}, Prices: costs.Builtin(), Limits: []*limits.Limit{l}, Routes: []RouteSettings{r}})
		asked.Store(0)
		_, text := g.post("/v1/chat/completions", strings.Replace(gpt4o("250"), "{", `{"stream":true,`, 1), "X-Weir-Customer", "acme")
		return asked.Load(), text
	}
	if n, text := run(limits.Dollar); n != 3 {
		t.Errorf("%d attempts with money for all of them, want 3: %s", n, text)
	}
	if n, text := run(2_530_000); n != 1 || !strings.Contains(text, "Budget reached") {
		t.Errorf("%d attempts with money for one and not for what it used, want 1: %s", n, text)
	}
}

// TestFallbacksAreToppedUp: what a dearer fallback costs is paid for before it
// is asked, and not before it comes to that.
func TestFallbacksAreToppedUp(t *testing.T) {
	broken, v := newVendor(t, says(500, `{}`)), newVendor(t, says(200, chatReply))
	run := func(amount int64) (int, string) {
		r := RouteSettings{
			Model: "m", Targets: []TargetSettings{{Provider: "broken", Model: "gpt-4o-mini"}},
			Fallbacks: []TargetSettings{{Provider: "p", Model: "gpt-4o"}},
		}
		g := newRig(t, Settings{
			Providers: []ProviderSettings{pricedAt("broken", broken.url), pricedAt("p", v.url)}, Prices: costs.Builtin(),
			Limits: []*limits.Limit{budgetOf(amount, limits.Customer)}, Routes: []RouteSettings{r},
		})
		resp, text := g.post("/v1/chat/completions", strings.Replace(gpt4o("250"), "gpt-4o", "m", 1), "X-Weir-Customer", "acme")
		if used := g.inUse(limits.USD); used > replyCost {
			t.Errorf("%d is used of the budget, want at most %d", used, replyCost)
		}
		return resp.StatusCode, text
	}
	if status, text := run(2_600_000); status != 200 {
		t.Errorf("with money for the fallback: %d %s", status, text)
	}
	if status, text := run(1_000_000); status != 429 || !strings.Contains(text, "Budget reached") {
		t.Errorf("with money for the first target alone: %d %s", status, text)
	}
}

// TestRefusedElsewhereCountsNowhere: a call that is refused by a limit of the
// whole deployment takes nothing of its caller's.
func TestRefusedElsewhereCountsNowhere(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	own := &limits.Limit{Scope: limits.Customer, Dimension: limits.Requests, Amount: 10, Window: 24 * time.Hour}
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{own, perMinute(limits.Requests, 1)}})
	for i, want := range []int{200, 429, 429} {
		if resp, _ := g.post("/v1/chat/completions", `{"model":"m","messages":[]}`, "X-Weir-Customer", "acme"); resp.StatusCode != want {
			t.Errorf("call %d: %d, want %d", i, resp.StatusCode, want)
		}
	}
	for _, s := range g.standings() {
		if s.Limit == own && s.Used != 1 {
			t.Errorf("%d requests are counted, want 1", s.Used)
		}
	}
}

func TestDowngrade(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	for _, scope := range []limits.Scope{limits.Customer, limits.Global} {
		l := budgetOf(2_540_000, scope)
		l.Action, l.Instead = limits.Downgrade, "small"
		g := newRig(t, Settings{
			Providers: []ProviderSettings{pricedAt("p", v.url)}, Prices: costs.Builtin(), Limits: []*limits.Limit{l},
			Routes: []RouteSettings{
				{Model: "gpt-4o", Targets: []TargetSettings{{Provider: "p"}}},
				{Model: "small", Targets: []TargetSettings{{Provider: "p", Model: "gpt-4o-mini"}}},
			},
		})
		before := len(v.seen())
		for i, want := range []string{"gpt-4o", "gpt-4o-mini"} {
			resp, text := g.post("/v1/chat/completions", gpt4o("250"), "X-Weir-Customer", "acme")
			if resp.StatusCode != 200 || resp.Header.Get("X-Weir-Model") != want || (resp.Header.Get("X-Weir-Downgraded") == "gpt-4o") != (i == 1) {
				t.Errorf("%s, call %d: %d %s %v", scope, i, resp.StatusCode, text, resp.Header)
			}
			if sent := v.seen()[before+i].body; !strings.Contains(sent, `"model":"`+want+`"`) {
				t.Errorf("%s, call %d: sent %s", scope, i, sent)
			}
		}
		if call := g.calls(2)[1]; call.AskedModel != "gpt-4o" || call.Model != "gpt-4o-mini" || call.Route != "small" {
			t.Errorf("%s: recorded as asked %s, model %s, route %s", scope, call.AskedModel, call.Model, call.Route)
		}
	}
}

func TestQueue(t *testing.T) {
	release := make(chan struct{})
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if strings.Contains(body, "slow") {
			<-release
		}
		says(200, chatReply)(w, r, body)
	})
	l := slotsOf(1)
	l.Action, l.Patience = limits.Queue, 20*time.Second
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{l}})
	post := func(word string, headers ...string) int {
		resp, _ := g.post("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"`+word+`"}]}`, append(headers, "X-Weir-Customer", "acme")...)
		return resp.StatusCode
	}
	slow, waits := make(chan int, 1), make(chan int, 1)
	go func() { slow <- post("slow") }()
	eventually(t, "the queue", func() bool { return g.inUse(limits.Concurrent) == 1 })
	go func() { waits <- post("fast") }()
	eventually(t, "the queue", func() bool { return g.proxy.Queued() == 1 })
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		req, _ := http.NewRequestWithContext(ctx, "POST", g.url+"/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[]}`))
		req.Header.Set("X-Weir-Customer", "acme")
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	eventually(t, "the queue", func() bool { return g.proxy.Queued() == 2 })
	cancel()
	<-gone
	eventually(t, "the queue", func() bool { return g.proxy.Queued() == 1 }) // whose client has gone does not wait on
	close(release)
	if a, b := <-slow, <-waits; a != 200 || b != 200 {
		t.Errorf("%d, and %d for the one that waited", a, b)
	}
	if n := len(v.seen()); n != 2 {
		t.Errorf("%d requests went upstream, want 2", n)
	}
	l2 := *l
	l2.Patience = 30 * time.Millisecond
	g.proxy.SetLimits([]*limits.Limit{&l2})
	held := g.proxy.limits.Reserve(context.Background(), &limits.Demand{Rules: []limits.Rule{{Limit: &l2, Name: l2.Name(), Value: "acme"}}})
	if status := post("fast"); status != 429 {
		t.Errorf("after its patience: %d, want 429", status)
	}
	g.proxy.limits.Settle(held.Hold, limits.Use{})
}

// TestHabits: what replies had of late says what the next one is held at.
func TestHabits(t *testing.T) {
	var h habits
	k := habitKey{"key_1", "m"}
	for i := range 4 {
		h.add(k, int64(i), 1)
	}
	if _, _, ok := h.high(k); ok {
		t.Error("four replies tell what the fifth is like")
	}
	for i := range 100 {
		h.add(k, int64(100+i), int64(1000+i))
	}
	output, cost, ok := h.high(k)
	if !ok || output != 198 || cost != 1098 { // the 31st of 168 to 199
		t.Errorf("%d tokens, %d, %v", output, cost, ok)
	}
	for i := range 3 * maxHabits {
		h.add(habitKey{"key_1", string(rune('a'+i%26)) + strings.Repeat("x", i%97) + strings.Repeat("y", i%89)}, 1, 1)
	}
	if n := len(h.of); n > maxHabits {
		t.Errorf("%d habits are kept, want at most %d", n, maxHabits)
	}
}

func TestEstimatesLearn(t *testing.T) {
	v := newVendor(t, says(200, strings.Replace(chatReply, `"completion_tokens":2`, `"completion_tokens":900`, 1)))
	day := &limits.Limit{Scope: limits.Customer, Dimension: limits.OutputTokens, Amount: 1e9, Window: 24 * time.Hour}
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{day}})
	held := func(allowed int64) int64 {
		x := &Exchange{state: g.proxy.state.Load(), Model: "m", Endpoint: wire.Endpoint{API: wire.Chat, Metered: true}}
		x.View.MaxOutput = allowed
		return g.proxy.estimateTokens(x).expected.Output
	}
	if n := held(0); n != outputFloor {
		t.Errorf("nothing is known: %d, want %d", n, outputFloor)
	}
	for range habitLeast {
		g.post("/v1/chat/completions", `{"model":"m","messages":[]}`, "X-Weir-Customer", "acme")
	}
	if n := held(0); n != 900 {
		t.Errorf("after replies of 900: %d", n)
	}
	if n := held(100); n != 100 {
		t.Errorf("after replies of 900, where 100 are allowed: %d", n)
	}
}

// TestEstimatesAtTheHighestPrice: what may apply of a price does.
func TestEstimatesAtTheHighestPrice(t *testing.T) {
	p := &Proxy{pricedAt: func(time.Time) time.Time { return time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC) }}
	check := func(vendor, model string, in int64, tier, expected string) {
		t.Helper()
		at := &Provider{priceAs: vendor, terms: costs.Terms{Provider: vendor}, traits: new(traits)}
		x := &Exchange{state: &State{Settings: Settings{Prices: costs.Builtin()}}, Model: model, estimate: in, exact: true, Endpoint: wire.Endpoint{API: wire.Chat, Metered: true}}
		x.View.MaxOutput, x.View.ServiceTier = 1000, tier
		e := p.estimateAt(x, Target{Provider: at})
		if got := limits.Dollars(e.expected.USD); got != expected || e.most.USD < e.expected.USD {
			t.Errorf("%s of %s, %d tokens, tier %q: held at $%s, at most $%s; want $%s", model, vendor, in, tier, got, limits.Dollars(e.most.USD), expected)
		}
	}
	check("openai", "gpt-4o", 1000, "", "0.0125")              // 1000 × $2.50 + 1000 × $10 a million
	check("openai", "gpt-4o", 1000, "priority", "0.02125")     // × 1.7
	check("openai", "gpt-4o", 1000, "flex", "0.0125")          // which it may be refused
	check("anthropic", "claude-opus-4-5", 1000, "", "0.03125") // all of the input written to the cache: × 1.25
}

// BenchmarkAdmit is what limits of four dimensions, a budget among them, cost a
// call: the search for its target, its estimate, the decision, the settlement.
func BenchmarkAdmit(b *testing.B) {
	for _, c := range []struct {
		name string
		list []*limits.Limit
	}{
		{"none", nil},
		{"rates", []*limits.Limit{perMinute(limits.Requests, 1e12), perMinute(limits.Tokens, 1e15), slotsOf(1e6)}},
		{"rates and a budget", []*limits.Limit{
			{Scope: limits.Customer, Dimension: limits.Requests, Amount: 1e12, Window: time.Minute},
			{Scope: limits.Customer, Dimension: limits.Tokens, Amount: 1e15, Window: time.Minute},
			slotsOf(1e6), budgetOf(limits.MaxUSD, limits.Customer),
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			st, err := newState(Settings{Providers: []ProviderSettings{pricedAt("p", "http://127.0.0.1:1")}, Prices: costs.Builtin(), Limits: c.list}, nil, nil)
			if err != nil {
				b.Fatal(err)
			}
			p := &Proxy{limits: limits.NewMemory(limits.Options{}), metrics: NewMetrics(nil), pricedAt: func(t time.Time) time.Time { return t }}
			p.state.Store(st)
			r, _ := http.NewRequest("POST", "/v1/chat/completions", nil)
			b.ReportAllocs()
			for b.Loop() {
				x := &Exchange{
					ID: "call_1", state: st, Model: "p/gpt-4o", estimate: 1000, exact: true, Caller: Caller{Customer: "acme"},
					call: &ledger.Call{Outcome: ledger.OK}, Endpoint: wire.Endpoint{API: wire.Chat, Dialect: wire.OpenAI, Metered: true},
				}
				if err := p.limit(r, x); err != nil {
					b.Fatal(err)
				}
				p.settleLimits(x)
			}
		})
	}
}
