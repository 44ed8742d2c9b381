package proxy

import (
	"net/http"
	"strconv"
	"testing"
)

// TestCarriedReplyThatClaimsToBeHuge: what an upstream says of a reply's length
// must not decide how much memory is taken for it.
func TestCarriedReplyThatClaimsToBeHuge(t *testing.T) {
	url := upstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(1<<62))
		_, _ = w.Write([]byte(`{`)) // and the connection is cut
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{at("claude", "anthropic", url)}})
	resp, body := g.post("/v1/chat/completions", `{"model":"claude/claude-haiku-4-5","messages":[{"role":"user","content":"hi"}]}`)
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("a carried reply of 4 EiB, cut short: %d %s, want 502", resp.StatusCode, body)
	}
}
