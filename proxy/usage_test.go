package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"weir/costs"
	"weir/ledger"
)

// A provider's vendor says how its usage counts: the same object, without a
// total, is read by each vendor's own rule.
func TestUsageIsReadAsTheVendorCounts(t *testing.T) {
	check := func(priceAs, usage, want string) {
		t.Helper()
		for _, stream := range []bool{false, true} {
			up := upstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
				if stream {
					sse(w, roleChunk, chunk("hi"), stopChunk, `data: {"id":"c","choices":[],"usage":`+usage+"}\n\n", doneEvent)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"id":"c","model":"m","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":`+usage+`}`)
			})
			p := openaiAt(up)
			p.PriceAs = priceAs
			g := newRig(t, Settings{Providers: []ProviderSettings{p}})
			body := chatBody
			if stream {
				body = streamBody
			}
			if resp, text := g.post("/v1/chat/completions", body); resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, text)
			}
			c := g.one()
			if got := string(c.Usage.AppendJSON(nil)); got != want || c.UsageSource != ledger.FromProvider {
				t.Errorf("%s as %s (stream: %v): %s from %s, want %s", usage, priceAs, stream, got, c.UsageSource, want)
			}
		}
	}
	const reasoning = `{"prompt_tokens":10,"completion_tokens":60,"completion_tokens_details":{"reasoning_tokens":40}}`
	check("", reasoning, `{"input":10,"output":20,"output_reasoning":40}`)
	check("openai", reasoning, `{"input":10,"output":20,"output_reasoning":40}`)
	check("x-ai", reasoning, `{"input":10,"output":60,"output_reasoning":40}`)
	check("perplexity", `{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"citation_tokens":5,"num_search_queries":4}`,
		`{"input":1,"output":2,"output_citation":5,"requests":1,"web_searches":4}`)
}

// A GET of a stored response tells the usage of the response, which was
// counted when it was made; so do a replay of its stream and its deletion.
func TestBugGetOfAResponseBilledAgain_litellm17814(t *testing.T) {
	stored := `{"id":"resp_1","object":"response","status":"completed","model":"m","output":[],"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12}}`
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("stream") != "" {
			sse(w, "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"+stored+"}\n\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, stored)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
	n := 0
	check := func(method, path string, want string, source ledger.UsageSource) {
		t.Helper()
		n++
		body := ""
		if method == "POST" {
			body = `{"model":"m","input":"hi"}`
		}
		resp, text := g.do(method, path, body)
		if resp.StatusCode != 200 {
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
		}
		c := g.calls(n)[n-1]
		if got := string(c.Usage.AppendJSON(nil)); got != want || c.UsageSource != source {
			t.Errorf("%s %s: %s from %q, want %s from %q", method, path, got, c.UsageSource, want, source)
		}
	}
	check("POST", "/v1/responses", `{"input":9,"output":3}`, ledger.FromProvider)
	check("GET", "/v1/responses/resp_1", `{}`, "")
	check("GET", "/v1/responses/resp_1?stream=true", `{}`, "")
	check("DELETE", "/v1/responses/resp_1", `{}`, "")
}

// Speech is billed by the character of its input, which no reply tells.
func TestSpeechCountsCharacters(t *testing.T) {
	up := upstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
	if resp, text := g.post("/v1/audio/speech", `{"model":"tts-1","voice":"alloy","input":"Grüße, \u4e16\u754c!"}`); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
	c := g.one()
	if n, _ := c.Usage.Get(costs.Characters); n != 10 || c.Usage.Len() != 1 || c.UsageSource != ledger.Estimated {
		t.Errorf("%s from %s", c.Usage.AppendJSON(nil), c.UsageSource)
	}
}

// A response that runs in the background bills nothing when it is begun, and
// once when it has ended, at whatever look comes first.
func TestBackgroundResponseBillsOnce(t *testing.T) {
	state := `"status":"queued","usage":null`
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		stored := `{"id":"resp_bg","object":"response","model":"m","output":[],` + state + `}`
		if r.URL.Query().Get("stream") != "" {
			sse(w, "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"+stored+"}\n\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, stored)
	})
	for _, first := range []string{"/v1/responses/resp_bg", "/v1/responses/resp_bg?stream=true"} {
		state = `"status":"queued","usage":null`
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
		n := 0
		check := func(method, path, want string, source ledger.UsageSource) {
			t.Helper()
			n++
			body := ""
			if method == "POST" {
				body = `{"model":"m","input":"hi","background":true}`
			}
			if resp, text := g.do(method, path, body); resp.StatusCode != 200 {
				t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
			}
			c := g.calls(n)[n-1]
			if got := string(c.Usage.AppendJSON(nil)); got != want || c.UsageSource != source {
				t.Errorf("%s %s: %s from %q, want %s from %q", method, path, got, c.UsageSource, want, source)
			}
		}
		check("POST", "/v1/responses", `{}`, ledger.Unmetered)
		state = `"status":"in_progress","usage":null`
		check("GET", "/v1/responses/resp_bg", `{}`, "")
		state = `"status":"completed","usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12}`
		check("GET", first, `{"input":9,"output":3}`, ledger.FromProvider)
		check("GET", "/v1/responses/resp_bg", `{}`, "")
		check("GET", "/v1/responses/resp_bg?stream=true", `{}`, "")
	}
}

// A client of another dialect is told the usage that the ledger holds.
func TestCarriedUsageIsTheLedgers(t *testing.T) {
	const usage = `{"prompt_tokens":10,"completion_tokens":60,"completion_tokens_details":{"reasoning_tokens":40}}`
	for _, stream := range []bool{false, true} {
		up := upstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
			if stream {
				sse(w, roleChunk, chunk("hi"), stopChunk, `data: {"id":"c","choices":[],"usage":`+usage+"}\n\n", doneEvent)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":"c","model":"m","choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":`+usage+`}`)
		})
		p := openaiAt(up)
		p.PriceAs = "x-ai"
		g := newRig(t, Settings{Providers: []ProviderSettings{p}})
		body := `{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}`
		if stream {
			body = strings.TrimSuffix(body, "}") + `,"stream":true}`
		}
		resp, text := g.post("/v1/messages", body)
		if resp.StatusCode != 200 || !strings.Contains(text, `"output_tokens":100`) {
			t.Errorf("stream: %v: %d %s", stream, resp.StatusCode, text)
		}
		if got := string(g.one().Usage.AppendJSON(nil)); got != `{"input":10,"output":60,"output_reasoning":40}` {
			t.Errorf("stream: %v: the ledger holds %s", stream, got)
		}
	}
}
