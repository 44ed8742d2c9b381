package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"weir/costs"
	"weir/ledger"
)

// A golden is a charge whose every digit is known.
type golden struct {
	ID, Provider, Model string
	Usage               json.RawMessage
	Expected            string `json:"expected_usd"`
}

func goldens(t *testing.T) map[string]golden {
	t.Helper()
	text, err := os.ReadFile("../costs/testdata/golden_costs.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []golden
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]golden{}
	for _, g := range list {
		var line bytes.Buffer
		if err := json.Compact(&line, g.Usage); err != nil {
			t.Fatal(err)
		}
		g.Usage = line.Bytes()
		out[g.ID] = g
	}
	return out
}

// Golden charges whose prices are still in force come out of the running
// proxy: as a header, as a stream's trailer, and in the ledger.
func TestGoldenCostsThroughTheProxy(t *testing.T) {
	all := goldens(t)
	check := func(id, kind, path, asked, reply, stream string) {
		t.Helper()
		want := all[id]
		up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
			if text, _ := io.ReadAll(r.Body); json.Valid(text) && stream != "" && isStreamed(text) {
				sse(w, fmt.Sprintf(stream, want.Model, want.Usage))
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, reply, want.Model, want.Usage)
		})
		p := at("up", kind, up)
		if kind == "openai" {
			p = openaiAt(up)
		}
		p.PriceAs, _ = costs.Builtin().ProviderID(want.Provider)
		g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()})
		resp, text := g.post(path, fmt.Sprintf(asked, want.Model, ""))
		if got := resp.Header.Get("X-Weir-Cost-Usd"); resp.StatusCode != 200 || got != want.Expected {
			t.Errorf("%s: %d, header %q, want %s (%s)", id, resp.StatusCode, got, want.Expected, text)
		}
		n := 1
		if stream != "" {
			n = 2
			resp, _ = g.post(path, fmt.Sprintf(asked, want.Model, `,"stream":true`))
			if got := resp.Trailer.Get("X-Weir-Cost-Usd"); got != want.Expected || resp.Header.Get("X-Weir-Cost-Usd") != "" {
				t.Errorf("%s: trailer %q, want %s", id, got, want.Expected)
			}
		}
		for _, c := range g.calls(n) {
			if a := c.Attempts[0]; c.Cost.String() != want.Expected || a.Cost != c.Cost || a.Book == "" || len(a.Lines) == 0 || a.Wasted {
				t.Errorf("%s: the ledger has %+v", id, a.Charge)
			}
		}
	}
	const (
		chat     = `{"model":%q,"messages":[{"role":"user","content":"hi"}]%s}`
		chatted  = `{"id":"c","model":%q,"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":%s}`
		chatting = "data: {\"id\":\"c\",\"model\":%[1]q,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n" +
			"data: {\"id\":\"c\",\"model\":%[1]q,\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" +
			"data: {\"id\":\"c\",\"model\":%[1]q,\"choices\":[],\"usage\":%[2]s}\n\ndata: [DONE]\n\n"
		respond   = `{"model":%q,"input":"hi"%s}`
		responded = `{"id":"r","object":"response","status":"completed","model":%q,"output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}],"usage":%s}`
		message   = `{"model":%q,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]%s}`
		messaged  = `{"id":"m","type":"message","role":"assistant","model":%q,"content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":%s}`
	)
	check("G01", "openai", "/v1/chat/completions", chat, chatted, chatting)
	check("G04", "openai", "/v1/responses", respond, responded, "")
	check("G05", "openai", "/v1/responses", respond, responded, "")
	check("G11", "anthropic", "/v1/messages", message, messaged, "")
	check("G14", "anthropic", "/v1/messages", message, messaged, "")
	check("G20", "openai", "/v1/chat/completions", chat, chatted, chatting)
	check("G28", "openai", "/v1/embeddings", respond, `{"object":"list","model":%q,"data":[{"object":"embedding","index":0,"embedding":[1]}],"usage":%s}`, "")
}

func isStreamed(body []byte) bool {
	var v struct{ Stream bool }
	return json.Unmarshal(body, &v) == nil && v.Stream
}

// A model without a price has no cost, which is not 0: in no header, no
// trailer and no row.
func TestBugUnknownPriceIsZero(t *testing.T) {
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, chatReply)
	})
	p := openaiAt(up)
	g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()})
	resp, _ := g.post("/v1/chat/completions", chatBody)
	if got, there := resp.Header["X-Weir-Cost-Usd"]; there {
		t.Errorf("header %q", got)
	}
	if c := g.one(); c.Cost.Known || c.CostSource != ledger.CostUnpriced || c.Attempts[0].Why == "" {
		t.Errorf("%+v", c.Attempts[0].Charge)
	}
}

// What a stream that broke has used was paid for and reached nobody whole.
func TestBugBrokenStreamIsFree(t *testing.T) {
	up := upstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		sse(w, chunk("some words that were made"))
		panic(http.ErrAbortHandler)
	})
	p := openaiAt(up)
	p.PriceAs = "openai"
	g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()})
	if resp, err := g.try(t.Context(), "POST", "/v1/chat/completions", streamBody, "Content-Type", "application/json"); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	c := g.one()
	if a := c.Attempts[len(c.Attempts)-1]; a.CostSource != ledger.CostEstimated || a.Cost.Sign() <= 0 || !a.Wasted {
		t.Errorf("%s: %+v, wasted: %v", c.Outcome, a.Charge, a.Wasted)
	}
}
