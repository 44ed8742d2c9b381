package proxy

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/ledger"
)

// What an upstream takes at once is data of its kind; the tokens only of the
// vendor's own host.
func TestEmbedLimits(t *testing.T) {
	check := func(s ProviderSettings, inputs int, tokens int64) {
		t.Helper()
		p, err := newProvider(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		if l := p.embedLimits(); l.Inputs != inputs || l.Tokens != tokens {
			t.Errorf("%+v: %+v", s, l)
		}
	}
	check(ProviderSettings{Kind: "openai"}, 2048, 300_000)
	check(ProviderSettings{Kind: "openai", BaseURL: "http://127.0.0.1:1/v1"}, 2048, 0)
	check(ProviderSettings{Kind: "azure", BaseURL: "https://x.openai.azure.com"}, 2048, 300_000)
	check(ProviderSettings{Kind: "gemini"}, 100, 0)
	check(ProviderSettings{Kind: "vllm"}, 0, 0)
	check(ProviderSettings{Kind: "ollama"}, 0, 0)
}

// Inputs of several sizes are several requests where the API has one size for all.
func TestEmbeddingsOfSeveralSizes(t *testing.T) {
	g, mock := carryRig(t)
	resp, body := g.post(geminiEmbed+"gpt-embed:batchEmbedContents", `{"requests":[
		{"model":"models/gpt-embed","content":{"parts":[{"text":"a"}]},"outputDimensionality":3},
		{"model":"models/gpt-embed","content":{"parts":[{"text":"b"}]},"outputDimensionality":5},
		{"model":"models/gpt-embed","content":{"parts":[{"text":"c"}]},"outputDimensionality":5}]}`)
	got, _ := vectors(t, body)
	if resp.StatusCode != 200 || len(got) != 3 || len(got[0]) != 3 || len(got[1]) != 5 || len(got[2]) != 5 || len(mock.Requests()) != 2 {
		t.Errorf("%d %s, %d requests", resp.StatusCode, body, len(mock.Requests()))
	}
	var sent []string
	for _, r := range mock.Requests() {
		sent = append(sent, string(r.Body))
	}
	slices.Sort(sent)
	if want := []string{`{"model":"gpt-embed","input":["a"],"dimensions":3}`, `{"model":"gpt-embed","input":["b","c"],"dimensions":5}`}; !slices.Equal(sent, want) {
		t.Errorf("%q", sent)
	}
}

// Azure's deployments have embeddings below their own path.
func TestEmbeddingsToAzure(t *testing.T) {
	up := newVendor(t, says(200, `{"data":[{"embedding":[1]}],"usage":{"prompt_tokens":1,"total_tokens":1}}`))
	g := newRig(t, Settings{Providers: []ProviderSettings{{
		Name: "azure", Kind: "azure", BaseURL: up.url, APIKey: "azure-secret-key", APIVersion: "2024-10-21", Deployments: map[string]string{"small": "my-embed"},
	}}})
	resp, body := g.post(geminiEmbed+"small:embedContent", `{"content":{"parts":[{"text":"a"}]}}`)
	if r := up.last(); resp.StatusCode != 200 || r.uri != "/openai/deployments/my-embed/embeddings?api-version=2024-10-21" || r.header.Get("Api-Key") != "azure-secret-key" {
		t.Errorf("%d %s; %s", resp.StatusCode, body, r.uri)
	}
}

// hanging answers all batches but the last, which waits for its caller to leave.
func hanging(t *testing.T, left *atomic.Int32, waits chan<- struct{}) *vendor {
	return newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if strings.Contains(body, "word249 ") {
			waits <- struct{}{}
			<-r.Context().Done()
			left.Add(1)
			return
		}
		v := strings.Repeat(`,{"values":[1]}`, strings.Count(body, `"content"`))[1:]
		says(200, `{"embeddings":[`+v+`],"usageMetadata":{"promptTokenCount":100}}`)(w, r, body)
	})
}

// A client that leaves ends all parts; what they have used counts.
func TestEmbeddingsAbort(t *testing.T) {
	var left atomic.Int32
	waits := make(chan struct{}, 1)
	up := hanging(t, &left, waits)
	g := newRig(t, Settings{Providers: []ProviderSettings{at("gemini", "gemini", up.url)}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := g.try(ctx, "POST", "/v1/embeddings", `{"model":"gemini/e","input":`+jsonText(words(250))+`}`, "Content-Type", "application/json")
		if err == nil {
			resp.Body.Close()
		}
	}()
	within(t, "the last part", waits)
	eventually(t, "the others", func() bool { return len(up.seen()) == 3 })
	time.Sleep(20 * time.Millisecond) // so that their replies have been read
	cancel()
	within(t, "the client's end", done)
	c := g.one()
	if in, _ := c.Usage.Input(); c.Outcome != ledger.Aborted || in != 200 || c.UsageSource != ledger.Partial {
		t.Errorf("%s, %s from %s", c.Outcome, c.Usage.AppendJSON(nil), c.UsageSource)
	}
	eventually(t, "the upstream's seeing it", func() bool { return left.Load() == 1 })
}

// The limits of time hold for the parts.
func TestEmbeddingsTimeouts(t *testing.T) {
	check := func(headers []string, timeouts Timeouts, status int, code string) {
		t.Helper()
		var left atomic.Int32
		up := hanging(t, &left, make(chan struct{}, 9))
		g := newRig(t, Settings{
			Providers: []ProviderSettings{at("gemini", "gemini", up.url)},
			Routes:    []RouteSettings{{Model: "embed", Targets: []TargetSettings{{Provider: "gemini"}}, Timeouts: timeouts}},
		})
		resp, body := g.post("/v1/embeddings", `{"model":"embed","input":`+jsonText(words(250))+`}`, headers...)
		if resp.StatusCode != status || !strings.Contains(body, code) {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
		if in, _ := g.one().Usage.Input(); in != 200 {
			t.Errorf("%d tokens", in)
		}
	}
	check([]string{"X-Weir-Timeout", "500ms"}, Timeouts{}, 504, `"code":"timeout"`)
	check(nil, Timeouts{TTFT: 300 * time.Millisecond}, 504, `"upstream_timeout"`)
}

// Passed as they came: a provider's own raw path, and a list within the limits.
func TestEmbeddingsPass(t *testing.T) {
	g, mock := carryRig(t)
	list := ` { "input" : ` + jsonText(words(2048)) + ` , "model":"gpt-embed","dimensions":2}`
	if resp, body := g.post("/v1/embeddings", list); resp.StatusCode != 200 {
		t.Fatalf("%d %.200s", resp.StatusCode, body)
	}
	long := batchBody("gpt-embed", words(101), "")
	resp, body := g.post("/providers/gemini/v1beta/models/gemini-embedding-001:batchEmbedContents", strings.ReplaceAll(long, "gpt-embed", "gemini-embedding-001"))
	if resp.StatusCode != 400 || !strings.Contains(body, "at most 100") {
		t.Errorf("%d %.200s", resp.StatusCode, body)
	}
	if all := mock.Requests(); len(all) != 2 || string(all[0].Body) != list {
		t.Errorf("%d requests", len(all))
	}
}
