package proxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/internal/mockllm"
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

// A goldenAPI is how an API is asked; what is asked for further is put at %s.
type goldenAPI struct {
	kind, path, ask string
	stream          string // what asks for a stream; "": the API has none
	streamPath      string // "": as path
}

const (
	formHead = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%s\r\n%s"
	formFile = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--x--\r\n"
)

var goldenAPIs = map[string]goldenAPI{
	"chat":       {kind: "openai", path: "/v1/chat/completions", ask: `{"model":%q,"messages":[{"role":"user","content":"hi"}]%s}`, stream: `,"stream":true`},
	"engine":     {kind: "vllm", path: "/v1/chat/completions", ask: `{"model":%q,"messages":[{"role":"user","content":"hi"}]%s}`, stream: `,"stream":true`},
	"responses":  {kind: "openai", path: "/v1/responses", ask: `{"model":%q,"input":"hi"%s}`, stream: `,"stream":true`},
	"messages":   {kind: "anthropic", path: "/v1/messages", ask: `{"model":%q,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]%s}`, stream: `,"stream":true`},
	"embeddings": {kind: "openai", path: "/v1/embeddings", ask: `{"model":%q,"input":"hi"%s}`},
	"images":     {kind: "openai", path: "/v1/images/generations", ask: `{"model":%q,"prompt":"hi"%s}`, stream: `,"stream":true`},
	"generate": {
		kind: "gemini", path: "/v1beta/models/%s:generateContent", ask: `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]%s}`,
		stream: " ", streamPath: "/v1beta/models/%s:streamGenerateContent?alt=sse",
	},
	"transcription": {
		kind: "openai", path: "/v1/audio/transcriptions", ask: formHead + formFile,
		stream: "--x\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n",
	},
}

// goldenRoutes are all golden cases, by the API that they come through.
var goldenRoutes = map[string]string{
	"G01": "chat", "G02": "responses", "G03": "responses", "G04": "responses", "G05": "responses", "G07": "responses",
	"G08": "batch", "G10": "messages", "G11": "messages", "G14": "messages", "G16": "generate", "G17": "generate", "G19": "chat",
	"G20": "chat", "G22": "chat", "G24": "images", "G27": "transcription", "G28": "embeddings", "G29": "chat", "G30": "engine",
}

// Golden charges come out of the running proxy in front of the mock, at the
// prices of their day: as a header, as a stream's trailer, and in the ledger.
func TestGoldenCostsThroughTheProxy(t *testing.T) {
	all := goldens(t)
	for id, want := range all {
		t.Run(id, func(t *testing.T) {
			switch api, ok := goldenAPIs[goldenRoutes[id]]; {
			case goldenRoutes[id] == "batch":
				want.asABatch(t)
			case !ok:
				t.Errorf("no API for it")
			default:
				want.throughTheProxy(t, api)
			}
		})
	}
	if len(all) != len(goldenRoutes) {
		t.Errorf("%d golden cases, want %d", len(all), len(goldenRoutes))
	}
}

// mockRules starts the mock with rules, as `weir mock --rules` takes them.
func mockRules(t *testing.T, rules ...map[string]any) string {
	t.Helper()
	doc, err := json.Marshal(map[string]any{"rules": rules}) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := mockllm.ParseRules(doc)
	if err != nil {
		t.Fatal(err)
	}
	mock := mockllm.New(mockllm.Options{Rules: parsed})
	s := httptest.NewServer(mock)
	t.Cleanup(func() { mock.Close(); s.CloseClientConnections(); s.Close() })
	return s.URL
}

// rig starts a proxy at the prices of the case's day in front of the mock,
// which replays its usage. In its API's context the engine says how long it
// worked, which stands beside the usage.
func (want golden) rig(t *testing.T, kind string, more ...func(*ProviderSettings)) *rig {
	rule := map[string]any{"usage_json": want.Usage, "served_model": want.Model}
	if tier := want.Context["tier"]; tier != "" {
		rule["service_tier"] = tier
	}
	if want.Context["gpu_seconds"] == "1.2" {
		rule["beside_usage"] = json.RawMessage(`{"timings":{"prompt_n":1000,"prompt_ms":199.7504,"predicted_n":500,"predicted_ms":1000.2496}}`)
	}
	p := at("up", kind, mockRules(t, rule))
	if kind == "openai" || kind == "vllm" {
		p.BaseURL += "/v1"
	}
	if hour := want.Context["gpu_hour"]; hour != "" {
		p.GPUHour = costs.USD(hour)
	}
	p.PriceAs, _ = costs.Builtin().ProviderID(want.Provider)
	for _, f := range more {
		f(&p)
	}
	return newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()}, func(o *Options) {
		o.PricedAt = func(time.Time) time.Time { return want.At }
	})
}

func (want golden) throughTheProxy(t *testing.T, api goldenAPI) {
	g := want.rig(t, api.kind)
	named, kind := "up/"+want.Model, "application/json"
	also := ""
	if size := want.Context["search_context_size"]; size != "" {
		also = fmt.Sprintf(`,"web_search_options":{"search_context_size":%q}`, size)
	}
	if strings.HasPrefix(api.ask, "--x") {
		kind = "multipart/form-data; boundary=x"
	}
	send := func(path, more string) (*http.Response, string) {
		ask := fmt.Sprintf(api.ask, named, more)
		if strings.Contains(path, "%s") {
			path, ask = fmt.Sprintf(path, url.PathEscape(named)), fmt.Sprintf(api.ask, more)
		}
		headers := []string{"Content-Type", kind}
		if api.kind == "anthropic" {
			headers = append(headers, "Anthropic-Version", "2023-06-01")
		}
		return g.do("POST", path, ask, headers...)
	}
	resp, text := send(api.path, also)
	if got := resp.Header.Get("X-Weir-Cost-Usd"); resp.StatusCode != 200 || got != want.Expected {
		t.Errorf("%d, header %q, want %s (%s)", resp.StatusCode, got, want.Expected, text)
	}
	n := 1
	if api.stream != "" {
		n = 2
		resp, text = send(cmp.Or(api.streamPath, api.path), also+api.stream)
		if got := resp.Trailer.Get("X-Weir-Cost-Usd"); got != want.Expected || resp.Header.Get("X-Weir-Cost-Usd") != "" {
			t.Errorf("%d, trailer %q, want %s (%s)", resp.StatusCode, got, want.Expected, text)
		}
	}
	for _, c := range g.calls(n) {
		if a := c.Attempts[0]; c.Cost.String() != want.Expected || a.Cost != c.Cost || a.Book == "" || len(a.Lines) == 0 || a.Wasted {
			t.Errorf("the ledger has %+v", a.Charge)
		}
	}
}

// asABatch has the request in a batch's file. A batch is paid for once, at the
// first look that finds it done.
func (want golden) asABatch(t *testing.T) {
	g := want.rig(t, "openai")
	line := fmt.Sprintf(`{"custom_id":"1","method":"POST","url":"/v1/responses","body":{"model":%q,"input":"hi"}}`, want.Model)
	form := "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n" + line + "\r\n--x--\r\n"
	_, file := g.do("POST", "/v1/files", form, "Content-Type", "multipart/form-data; boundary=x")
	resp, batch := g.post("/v1/batches", `{"input_file_id":"`+idIn(t, file)+`","endpoint":"/v1/responses","completion_window":"24h"}`)
	if got := resp.Header.Get("X-Weir-Cost-Usd"); got != "" {
		t.Errorf("begun for %q", got)
	}
	for _, want := range []string{want.Expected, ""} {
		resp, text := g.do("GET", "/v1/batches/"+idIn(t, batch), "")
		if got := resp.Header.Get("X-Weir-Cost-Usd"); got != want || !strings.Contains(text, `"status":"completed"`) {
			t.Errorf("%q, want %q: %s", got, want, text)
		}
	}
	got := []string{}
	for _, c := range g.calls(4) {
		got = append(got, string(c.CostSource)+c.Cost.String()+c.Attempts[0].Terms)
	}
	if all := strings.Join(got, " "); all != "free0 unpricedbatch=true computed"+want.Expected+"batch=true " {
		t.Errorf("the ledger has %q", all)
	}
}

// idIn is the id of a JSON object.
func idIn(t *testing.T, text string) string {
	t.Helper()
	var v struct{ ID string }
	if err := json.Unmarshal([]byte(text), &v); err != nil || v.ID == "" {
		t.Fatalf("no id in %s", text)
	}
	return v.ID
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

// What a request asked decides the price where the reply does not say; what
// the reply says goes first.
func TestTermsOfTheRequest(t *testing.T) {
	check := func(name, ask string, rule map[string]any, headers []string, want, terms string) {
		t.Helper()
		p := at("up", "anthropic", mockRules(t, rule))
		p.PriceAs = "anthropic"
		g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()}, func(o *Options) {
			o.PricedAt = func(time.Time) time.Time { return time.Date(2026, 9, 23, 0, 0, 0, 0, time.UTC) }
		})
		body := `{"model":"claude-opus-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}]` + ask + `}`
		headers = append(headers, "Anthropic-Version", "2023-06-01")
		resp, text := g.post("/v1/messages", body, headers...)
		c := g.one()
		if got := resp.Header.Get("X-Weir-Cost-Usd"); got != want || c.Attempts[0].Terms != terms {
			t.Errorf("%s: %d, %q by %q, want %s by %q (%s)", name, resp.StatusCode, got, c.Attempts[0].Terms, want, terms, text)
		}
	}
	usage := func(more string) map[string]any {
		return map[string]any{"usage_json": json.RawMessage(`{"input_tokens":1000,"output_tokens":100` + more + `}`)}
	}
	check("nothing", "", usage(""), nil, "0.0075", "")
	check("fast, and the reply is silent", `,"speed":"fast"`, usage(""), []string{"Anthropic-Beta", "fast-mode-2026-02-01"}, "0.015", "speed=fast")
	check("fast, and the reply says standard", `,"speed":"fast"`, usage(`,"speed":"standard"`), nil, "0.0075", "speed=fast")
	check("in the US", `,"inference_geo":"us"`, usage(""), nil, "0.00825", "residency=us")
	check("not in the US", `,"inference_geo":"us"`, usage(`,"inference_geo":"global"`), nil, "0.0075", "residency=us")
	check("a tier that did not serve", `,"service_tier":"auto"`, usage(`,"service_tier":"standard"`), nil, "0.0075", "")
}

// A stream that breaks off before it says which tier serves it is priced by
// the one that was asked for; one that ends is not.
func TestBugRequestedTierBeatsServed_litellm31837(t *testing.T) {
	check := func(name string, rule map[string]any, want string) {
		t.Helper()
		p := at("up", "openai", mockRules(t, rule)+"/v1")
		p.PriceAs = "openai"
		g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()}, func(o *Options) {
			o.PricedAt = func(time.Time) time.Time { return time.Date(2026, 9, 23, 0, 0, 0, 0, time.UTC) }
		})
		_, text := g.post("/v1/responses", `{"model":"gpt-5.6-sol","input":"hi","service_tier":"priority"}`)
		if c := g.one(); c.Cost.String() != want {
			t.Errorf("%s: %s by %+v (%s)", name, c.Cost, c.Attempts[0].Charge, text)
		}
	}
	usage := json.RawMessage(`{"input_tokens":1000,"output_tokens":100}`)
	check("as asked", map[string]any{"usage_json": usage}, "0.012")
	check("served otherwise", map[string]any{"usage_json": usage, "service_tier": "default"}, "0.006")
	check("served by flex", map[string]any{"usage_json": usage, "service_tier": "flex"}, "0.003")
}

// What neither a host nor a reply says of a price is in the provider's settings.
func TestTermsOfTheProvider(t *testing.T) {
	check := func(name string, p ProviderSettings, tier, want, terms string, headers ...string) {
		t.Helper()
		rule := map[string]any{"usage_json": json.RawMessage(`{"prompt_tokens":1000,"completion_tokens":100}`)}
		if headers != nil {
			rule["headers"] = map[string]string{headers[0]: headers[1]}
		}
		if tier != "" {
			rule["service_tier"] = tier
		}
		p.Name, p.Kind, p.BaseURL, p.APIKey = "up", "openai", mockRules(t, rule)+"/v1", "k"
		g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()}, func(o *Options) {
			o.PricedAt = func(time.Time) time.Time { return day923 }
		})
		resp, text := g.post("/v1/chat/completions", `{"model":"up/gpt-4o","messages":[{"role":"user","content":"hi"}]}`)
		c := g.one()
		if got := resp.Header.Get("X-Weir-Cost-Usd"); got != want || c.Attempts[0].Terms != terms {
			t.Errorf("%s: %q by %q, want %q by %q (%s) %s", name, got, c.Attempts[0].Terms, want, terms, c.Attempts[0].Why, text)
		}
	}
	azure := func(more costs.Terms) ProviderSettings { return ProviderSettings{PriceAs: "azure", PriceTerms: more} }
	check("global", azure(costs.Terms{}), "", "0.0035", "")
	check("a data zone", azure(costs.Terms{Region: "datazone"}), "", "0.00385", "region=datazone")
	check("prepaid units", azure(costs.Terms{Tier: "provisioned"}), "", "0", "tier=provisioned")
	check("prepaid units whose reply names a tier", azure(costs.Terms{Tier: "provisioned"}), "priority", "0.00595", "")
	check("prepaid units without room", azure(costs.Terms{Tier: "provisioned"}), "default", "0.0035", "tier=standard", "X-Ms-Spillover-From-Deployment", "ptu")
	check("OpenAI in Europe, by a proxy", ProviderSettings{PriceAs: "openai", PriceTerms: costs.Terms{Residency: "eu"}}, "", "0.0035", "residency=eu")
	check("GPUs without a word of their time", ProviderSettings{GPUHour: costs.USD("2"), PriceTerms: costs.Terms{GPUs: 4}}, "", "", "gpus=4")
}

// A carried call costs what its upstream's usage says, whatever its client
// speaks: golden charges asked for in another dialect than the upstream's.
func TestGoldenCostsAcrossDialects(t *testing.T) {
	all := goldens(t)
	ask := map[string]string{
		"chat":     `{"model":%q,"messages":[{"role":"user","content":"hi"}]%s}`,
		"messages": `{"model":%q,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]%s}`,
	}
	path := map[string]string{"chat": "/v1/chat/completions", "messages": "/v1/messages"}
	for id, as := range map[string]string{
		"G01": "messages", "G19": "messages", "G20": "messages", "G22": "messages", "G30": "messages",
		"G10": "chat", "G11": "chat", "G14": "chat", "G16": "chat", "G17": "chat",
	} {
		t.Run(id, func(t *testing.T) {
			want, api := all[id], goldenAPIs[goldenRoutes[id]]
			g := want.rig(t, api.kind, func(p *ProviderSettings) {
				if api.kind == "openai" || api.kind == "vllm" {
					p.APIs = []string{"chat"} // whose form the usage has
				}
			})
			for _, stream := range []string{"", `,"stream":true`} {
				resp, text := g.post(path[as], fmt.Sprintf(ask[as], "up/"+want.Model, stream), "Anthropic-Version", "2023-06-01")
				if got := resp.Header.Get(costHeader) + resp.Trailer.Get(costHeader); got != want.Expected {
					t.Errorf("stream %q: %d, told %q, want %s: %s", stream, resp.StatusCode, got, want.Expected, text)
				}
			}
			for _, c := range g.calls(2) {
				if a := &c.Attempts[0]; c.Cost.String() != want.Expected || a.Cost != c.Cost || a.API == as {
					t.Errorf("by %s: %+v", a.API, a.Charge)
				}
			}
		})
	}
}

// Google says in a header by which tier it served, whatever was asked for.
func TestTierOfAHeader(t *testing.T) {
	for served, want := range map[string]string{"priority": "0.0039375", "standard": "0.00225", "flex": "0.001125", "": "0.00225"} {
		rule := map[string]any{"usage_json": json.RawMessage(`{"promptTokenCount":1000,"candidatesTokenCount":100}`)}
		if served != "" {
			rule["headers"] = map[string]string{"x-gemini-service-tier": served}
		}
		p := at("up", "gemini", mockRules(t, rule))
		p.PriceAs = "google"
		g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()}, pricedOn923)
		resp, text := g.post("/v1beta/models/gemini-2.5-pro:generateContent", `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`)
		c := g.one()
		if got := resp.Header.Get(costHeader); got != want || c.Attempts[0].ServiceTier != served {
			t.Errorf("served by %q: %q (%q), want %q: %s", served, got, c.Attempts[0].ServiceTier, want, text)
		}
	}
}

// What no vendor bills is free, and not unknown: counts of tokens, files,
// OpenAI's moderations.
func TestBugWhatIsFreeIsUnpriced(t *testing.T) {
	up := mockRules(t, map[string]any{})
	anthropic, openai := at("anthropic", "anthropic", up), at("openai", "openai", up+"/v1")
	anthropic.PriceAs, openai.PriceAs = "anthropic", "openai"
	g := newRig(t, Settings{Providers: []ProviderSettings{anthropic, openai}, Prices: costs.Builtin()}, pricedOn923)
	g.post("/v1/messages/count_tokens", `{"model":"anthropic/claude-opus-5","messages":[{"role":"user","content":"hi"}]}`, "Anthropic-Version", "2023-06-01")
	g.post("/v1/moderations", `{"model":"openai/omni-moderation-latest","input":"hi"}`)
	g.do("POST", "/v1/files", "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"+formFile, "Content-Type", "multipart/form-data; boundary=x", "X-Weir-Provider", "openai")
	for _, c := range g.calls(3) {
		if got := receipt(c); got != "ok 0: [free 0]" {
			t.Errorf("%s: %s (%s)", c.Path, got, c.Attempts[0].Why)
		}
	}
}
