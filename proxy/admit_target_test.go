package proxy

import (
	"testing"
	"time"

	"weir/limits"
)

// TestTargetLimits: a refusal at a provider means the next target, and only
// where none is left the client hears of it.
func TestTargetLimits(t *testing.T) {
	a, b := newVendor(t, says(200, chatReply)), newVendor(t, says(200, chatReply))
	ofProvider := &limits.Limit{Scope: limits.Provider, Dimension: limits.Requests, Amount: 2, Window: time.Minute}
	ofTarget := &limits.Limit{Scope: limits.Target, Dimension: limits.Concurrent, Amount: 1}
	tokens := &limits.Limit{Scope: limits.Target, Dimension: limits.Tokens, Amount: 1e6, Window: 24 * time.Hour}
	g := newRig(t, Settings{
		Providers: []ProviderSettings{at("a", "openai", a.url+"/v1"), at("b", "openai", b.url+"/v1")},
		Routes:    []RouteSettings{route("m", []string{"a"}, []string{"b"})},
		Limits:    []*limits.Limit{ofProvider, ofTarget, tokens},
	})
	post := func(want int) {
		t.Helper()
		resp, text := g.post("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`)
		if resp.StatusCode != want {
			t.Fatalf("%d %s, want %d", resp.StatusCode, text, want)
		}
	}
	for range 4 {
		post(200)
	}
	if na, nb := len(a.seen()), len(b.seen()); na != 2 || nb != 2 {
		t.Errorf("%d calls at a and %d at its fallback, want 2 and 2", na, nb)
	}
	post(429)
	if n := g.inUse(limits.Concurrent); n != 0 {
		t.Errorf("%d slots leak", n)
	}
	if n := g.inUse(limits.Tokens); n != 44 {
		t.Errorf("%d tokens are in use after four calls of 11", n)
	}
	for _, s := range g.standings() {
		if s.Limit == tokens && s.Value != "a/m" && s.Value != "b/m" {
			t.Errorf("a target is counted as %q", s.Value)
		}
	}
}
