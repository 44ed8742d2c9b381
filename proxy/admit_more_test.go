package proxy

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/ledger"
	"weir/limits"
)

// TestQueueEnds: a call that waits for room ends with its client and with its
// own time, and neither is an error of Weir's.
func TestQueueEnds(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	for _, scope := range []limits.Scope{limits.Customer, limits.Global} {
		l := &limits.Limit{Scope: scope, Dimension: limits.Requests, Amount: 1, Window: time.Hour, Action: limits.Queue, Patience: time.Minute}
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{l}})
		const path, body = "/v1/chat/completions", `{"model":"m","messages":[]}`
		g.post(path, body, "X-Weir-Customer", "acme")
		ctx, cancel := context.WithCancel(context.Background())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			req, _ := http.NewRequestWithContext(ctx, "POST", g.url+path, strings.NewReader(body))
			req.Header.Set("X-Weir-Customer", "acme")
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}()
		eventually(t, "the queue", func() bool { return g.proxy.Queued() == 1 })
		cancel()
		<-gone
		if c := g.calls(2)[1]; c.Outcome != ledger.Aborted || c.Status != 499 || c.ErrorClass != string(ClientGone) {
			t.Errorf("%s, the client has gone: outcome %s, status %d, class %s", scope, c.Outcome, c.Status, c.ErrorClass)
		}
		resp, text := g.post(path, body, "X-Weir-Customer", "acme", "X-Weir-Timeout", "100ms")
		if resp.StatusCode != 429 || !strings.Contains(text, "Limit reached") {
			t.Errorf("%s, the call's own time is over: %d %s", scope, resp.StatusCode, text)
		}
		if wait := g.calls(3)[2].Total; wait > 10*time.Second {
			t.Errorf("%s: a call of 100 ms waited %v", scope, wait)
		}
	}
}

// TestAbsurdOutput: what a request allows is no number that runs over.
func TestAbsurdOutput(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	money := budgetOf(limits.Dollar, limits.Customer)
	tokens := &limits.Limit{Scope: limits.Customer, Dimension: limits.OutputTokens, Window: time.Minute, Amount: 1000}
	money.Strict, tokens.Strict = true, true
	for _, l := range []*limits.Limit{money, tokens} {
		g := newRig(t, Settings{Providers: []ProviderSettings{pricedAt("p", v.url)}, Prices: costs.Builtin(), Limits: []*limits.Limit{l}})
		if resp, text := g.post("/v1/chat/completions", gpt4o("10"), "X-Weir-Customer", "acme"); resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", l.Name(), resp.StatusCode, text)
		}
		for _, most := range []string{`9000000000000000000,"n":2`, `9223372036854775807,"n":128`, `4611686018427387904,"n":4`, `1000000,"n":562949953421312`} {
			if resp, text := g.post("/v1/chat/completions", gpt4o(most), "X-Weir-Customer", "acme"); resp.StatusCode != 429 {
				t.Errorf("%s, %s: %d %s", l.Name(), most, resp.StatusCode, text)
			}
		}
	}
}

// TestRawIsNotDowngraded: where no byte is edited no other model is asked, and
// the reply does not say so.
func TestRawIsNotDowngraded(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	l := budgetOf(1, limits.Customer)
	l.Action, l.Instead = limits.Downgrade, "gpt-4o-mini"
	g := newRig(t, Settings{Providers: []ProviderSettings{pricedAt("p", v.url)}, Prices: costs.Builtin(), Limits: []*limits.Limit{l}})
	resp, text := g.post("/providers/p/chat/completions", gpt4o("250"), "X-Weir-Customer", "acme")
	if c := g.calls(1)[0]; resp.StatusCode != 200 || resp.Header.Get("X-Weir-Downgraded") != "" || c.Model != "gpt-4o" || g.inUse(limits.USD) != replyCost {
		t.Errorf("%d %s %v, recorded as %s, %d used", resp.StatusCode, text, resp.Header, c.Model, g.inUse(limits.USD))
	}
}

// TestRefusedCountsNowhere: nor does a call that its caller's limits refuse
// count at those of the whole deployment that were looked at before.
func TestRefusedCountsNowhere(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	whole := &limits.Limit{Scope: limits.Global, Dimension: limits.Requests, Amount: 10, Window: 24 * time.Hour, Action: limits.Downgrade, Instead: "small"}
	own := &limits.Limit{Scope: limits.Customer, Dimension: limits.Requests, Amount: 1, Window: time.Hour}
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Limits: []*limits.Limit{whole, own}})
	for i, want := range []int{200, 429, 429} {
		if resp, _ := g.post("/v1/chat/completions", `{"model":"m","messages":[]}`, "X-Weir-Customer", "acme"); resp.StatusCode != want {
			t.Errorf("call %d: %d, want %d", i, resp.StatusCode, want)
		}
	}
	for _, s := range g.standings() {
		if s.Used != 1 {
			t.Errorf("%s: %d requests are counted, want 1", s.Limit.Name(), s.Used)
		}
	}
}
