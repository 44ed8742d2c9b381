package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/ledger"
)

// A golden is a charge whose every digit is known.
type golden struct {
	ID, Provider, Model string
	At                  time.Time
	Context             map[string]string
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

// A goldenAPI is how an API is asked and answers, with the model and the usage,
// and what else its reply says, to be filled in.
type goldenAPI struct {
	kind, path, ask, answer string
	stream                  string // "": the API has none
}

var goldenAPIs = map[string]goldenAPI{
	"chat": {
		"openai", "/v1/chat/completions", `{"model":%q,"messages":[{"role":"user","content":"hi"}]%s}`,
		`{"id":"c","model":%q,"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":%s%s}`,
		"data: {\"id\":\"c\",\"model\":%[1]q,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n" +
			"data: {\"id\":\"c\",\"model\":%[1]q,\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" +
			"data: {\"id\":\"c\",\"model\":%[1]q,\"choices\":[],\"usage\":%[2]s%[3]s}\n\ndata: [DONE]\n\n",
	},
	"responses": {
		"openai", "/v1/responses", `{"model":%q,"input":"hi"%s}`,
		`{"id":"r","object":"response","status":"completed","model":%q,"output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}],"usage":%s%s}`,
		"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"x\"}\n\n" +
			"event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"r\",\"status\":\"completed\",\"model\":%q,\"output\":[],\"usage\":%s%s}}\n\n",
	},
	"messages": {
		"anthropic", "/v1/messages", `{"model":%q,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]%s}`,
		`{"id":"m","type":"message","role":"assistant","model":%q,"content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":%s%s}`, "",
	},
	"generate": {
		"gemini", "/v1beta/models/%s:generateContent", `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]%s}`,
		`{"modelVersion":%q,"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":%s%s}`, "",
	},
	"embeddings": {
		"openai", "/v1/embeddings", `{"model":%q,"input":"hi"%s}`,
		`{"object":"list","model":%q,"data":[{"object":"embedding","index":0,"embedding":[1]}],"usage":%s%s}`, "",
	},
	"images": {
		"openai", "/v1/images/generations", `{"model":%q,"prompt":"hi"%s}`,
		`{"created":1,"model":%q,"data":[{"b64_json":"eA=="}],"usage":%s%s}`, "",
	},
	"transcription": {
		"openai", "/v1/audio/transcriptions", "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%s%s\r\n" +
			"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--x--\r\n",
		`{"text":"x","model":%q,"usage":%s%s}`, "",
	},
}

// Golden charges come out of the running proxy, at the prices of their day: as
// a header, as a stream's trailer, and in the ledger. Left out are G08 (a
// request of the batch API, which answers in a file), G29 (its fee goes by what
// the request asked, which its usage does not say) and G30 (no engine says its
// GPU's time in the usage of an API that Weir serves).
func TestGoldenCostsThroughTheProxy(t *testing.T) {
	all := goldens(t)
	for id, api := range map[string]string{
		"G01": "chat", "G02": "responses", "G03": "responses", "G04": "responses", "G05": "responses", "G07": "responses",
		"G10": "messages", "G11": "messages", "G14": "messages", "G16": "generate", "G17": "generate", "G19": "chat",
		"G20": "chat", "G22": "chat", "G24": "images", "G27": "transcription", "G28": "embeddings",
	} {
		t.Run(id, func(t *testing.T) { all[id].throughTheProxy(t, goldenAPIs[api]) })
	}
}

func (want golden) throughTheProxy(t *testing.T, api goldenAPI) {
	also := ""
	if tier := want.Context["tier"]; tier != "" {
		also = fmt.Sprintf(`,"service_tier":%q`, tier)
	}
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if text, _ := io.ReadAll(r.Body); isStreamed(text) {
			sse(w, fmt.Sprintf(api.stream, want.Model, want.Usage, also))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, api.answer, want.Model, want.Usage, also)
	})
	p := at("up", api.kind, up)
	if api.kind == "openai" {
		p = openaiAt(up)
	}
	p.PriceAs, _ = costs.Builtin().ProviderID(want.Provider)
	g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()}, func(o *Options) {
		o.PricedAt = func(time.Time) time.Time { return want.At }
	})
	path, named := api.path, "up/"+want.Model
	if strings.Contains(path, "%s") {
		path = fmt.Sprintf(path, url.PathEscape(named))
	}
	kind, ask := "application/json", func(more string) string { return fmt.Sprintf(api.ask, named, more) }
	switch {
	case strings.HasPrefix(api.ask, "--x"):
		kind = "multipart/form-data; boundary=x"
	case path != api.path:
		ask = func(more string) string { return fmt.Sprintf(api.ask, more) }
	}
	resp, text := g.do("POST", path, ask(""), "Content-Type", kind)
	if got := resp.Header.Get("X-Weir-Cost-Usd"); resp.StatusCode != 200 || got != want.Expected {
		t.Errorf("%d, header %q, want %s (%s)", resp.StatusCode, got, want.Expected, text)
	}
	n := 1
	if api.stream != "" {
		n = 2
		resp, _ = g.do("POST", path, ask(`,"stream":true`), "Content-Type", kind)
		if got := resp.Trailer.Get("X-Weir-Cost-Usd"); got != want.Expected || resp.Header.Get("X-Weir-Cost-Usd") != "" {
			t.Errorf("trailer %q, want %s", got, want.Expected)
		}
	}
	for _, c := range g.calls(n) {
		if a := c.Attempts[0]; c.Cost.String() != want.Expected || a.Cost != c.Cost || a.Book == "" || len(a.Lines) == 0 || a.Wasted {
			t.Errorf("the ledger has %+v", a.Charge)
		}
	}
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
