package proxy

import (
	"strings"
	"testing"

	"weir/ledger"
	"weir/proxy/wire"
)

// A carried stream has room for a picture in one event; one that is larger than
// what is held is told with the limit, and not as a stream that broke off.
func TestCarriedLongEvent(t *testing.T) {
	event := func(data string) string {
		return `data: {"responseId":"r","candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"see"},{"inlineData":{"mimeType":"image/png","data":"` + data + `"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3}}` + "\n\n"
	}
	const ask = `{"model":"gemini-x","stream":true,"messages":[{"role":"user","content":"draw"}]}`
	for _, size := range []int{3 << 20, wire.MaxWholeEvent} {
		data := "iVBORw0KGgo" + strings.Repeat("A", size)
		v := newVendor(t, answers(event(data)))
		g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "gemini", v.url)}})
		resp, got := g.post("/v1/chat/completions", ask)
		c := g.one()
		if size < wire.MaxWholeEvent {
			if !strings.Contains(got, data) || !strings.Contains(got, "[DONE]") || c.Outcome == ledger.Failed {
				t.Errorf("%d bytes: %d %.300s, %+v", size, resp.StatusCode, got, c)
			}
			continue
		}
		if !strings.Contains(got, "over 16 MiB") || c.Outcome != ledger.Failed || c.ErrorClass != "upstream_invalid" {
			t.Errorf("%d bytes: %d %.300s, %+v", size, resp.StatusCode, got, c)
		}
	}
}
