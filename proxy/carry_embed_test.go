package proxy

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"weir/costs"
	"weir/ledger"
)

// vectors reads the vectors of a reply of either API, from numbers or base64,
// and the tokens that it says.
func vectors(t *testing.T, body string) (out [][]float32, tokens int64) {
	t.Helper()
	type values struct{ Values []float32 }
	var r struct {
		Data []struct {
			Object    string
			Index     int
			Embedding json.RawMessage
		}
		Usage struct {
			Prompt int64 `json:"prompt_tokens"`
		}
		Embedding  *values
		Embeddings []values
		Metadata   struct {
			Prompt int64 `json:"promptTokenCount"`
		} `json:"usageMetadata"`
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for i, d := range r.Data {
		if d.Index != i || d.Object != "embedding" {
			t.Errorf("element %d is %d, an %q", i, d.Index, d.Object)
		}
		var v []float32
		if d.Embedding[0] == '"' {
			var data []byte
			if err := json.Unmarshal(d.Embedding, &data); err != nil {
				t.Fatal(err)
			}
			for ; len(data) > 0; data = data[4:] {
				v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(data)))
			}
		} else if err := json.Unmarshal(d.Embedding, &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	if r.Embedding != nil {
		out = append(out, r.Embedding.Values)
	}
	for _, e := range r.Embeddings {
		out = append(out, e.Values)
	}
	return out, r.Usage.Prompt + r.Metadata.Prompt
}

// words are n texts that are told apart.
func words(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("word%d of %d", i, i%7)
	}
	return out
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// batchBody is a batchEmbedContents body for texts.
func batchBody(model string, texts []string, more string) string {
	var requests []string
	for _, s := range texts {
		requests = append(requests, fmt.Sprintf(`{"model":"models/%s","content":{"role":"user","parts":[{"text":%q}]},"outputDimensionality":16%s}`, model, s, more))
	}
	return `{"requests":[` + strings.Join(requests, ",") + `]}`
}

const geminiEmbed = "/v1beta/models/"

// The mock makes the same vectors whichever API asks for them, so that every
// way to an upstream has to give the same floats, bit for bit.
func TestEmbeddingsCarried(t *testing.T) {
	g, mock := carryRig(t)
	n := 0
	check := func(path, body string, texts []string, want [][]float32) [][]float32 {
		t.Helper()
		n++
		resp, reply := g.post(path, body)
		if resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, reply)
		}
		got, tokens := vectors(t, reply)
		if len(got) != len(texts) || tokens == 0 || want != nil && !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("%d vectors for %d, of %d tokens, %.300s", len(got), len(texts), tokens, reply)
		}
		return got
	}
	for _, count := range []int{1, 3, 100, 101, 250} {
		texts := words(count)
		list := jsonText(texts)
		want := check("/v1/embeddings", `{"model":"gpt-embed","dimensions":16,"input":`+list+`}`, texts, nil)
		check("/v1/embeddings", `{"model":"gemini-embedding-001","dimensions":16,"input":`+list+`}`, texts, want)
		check("/v1/embeddings", `{"model":"gemini-embedding-001","dimensions":16,"encoding_format":"base64","input":`+list+`}`, texts, want)
		check(geminiEmbed+"gpt-embed:batchEmbedContents", batchBody("gpt-embed", texts, ""), texts, want)
		check(geminiEmbed+"gemini-embedding-001:batchEmbedContents", batchBody("gemini-embedding-001", texts, ""), texts, want)
		check("/v1/models/gpt-embed:batchEmbedContents", batchBody("gpt-embed", texts, ""), texts, want) // as google-genai asks
	}
	one := check("/v1/embeddings", `{"model":"gpt-embed","dimensions":16,"input":"hello there"}`, []string{""}, nil)
	check("/v1/embeddings", `{"model":"gemini-embedding-001","dimensions":16,"input":"hello there"}`, []string{""}, one)
	check(geminiEmbed+"gpt-embed:embedContent", `{"content":{"parts":[{"text":"hello there"}]},"outputDimensionality":16}`, []string{""}, one)
	check("/v1/embeddings", `{"model":"gpt-embed","input":[1,2,3]}`, []string{""}, nil) // token ids pass

	for _, c := range g.calls(n) {
		in, _ := c.Usage.Input()
		if c.Outcome != ledger.OK || c.UsageSource != ledger.FromProvider || in == 0 || len(c.Attempts) != 1 || c.Status != 200 {
			t.Errorf("%s %s: %s %s from %s, %d attempts", c.API, c.Model, c.Outcome, c.Usage.AppendJSON(nil), c.UsageSource, len(c.Attempts))
		}
	}
	for _, r := range mock.Requests() {
		if strings.HasPrefix(r.Path, geminiEmbed) && strings.Count(string(r.Body), `"content"`) > 100 {
			t.Errorf("a batch of over 100: %.200s", r.Body)
		}
	}
}

// A long list goes as several requests of one attempt, whose usage is the sum.
func TestEmbeddingsSplit(t *testing.T) {
	var parts atomic.Int32
	gemini := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		parts.Add(1)
		n := strings.Count(body, `"content"`)
		v := strings.Repeat(`,{"values":[1,2]}`, n)[1:]
		says(200, fmt.Sprintf(`{"embeddings":[%s],"usageMetadata":{"promptTokenCount":%d}}`, v, n), "X-Request-Id", "r-1")(w, r, body)
	})
	g := newRig(t, Settings{
		Providers: []ProviderSettings{at("gemini", "gemini", gemini.url)},
		Routes:    []RouteSettings{{Model: "embed", Targets: []TargetSettings{{Provider: "gemini", Model: "gemini-embedding-001"}}}},
	})
	resp, body := g.post("/v1/embeddings", `{"model":"embed","user":"me","dimensions":2,"input":`+jsonText(words(250))+`}`)
	got, tokens := vectors(t, body)
	if resp.StatusCode != 200 || len(got) != 250 || tokens != 250 || resp.Header.Get("X-Weir-Dropped-Params") != "user" || resp.Header.Get("X-Request-Id") != "r-1" {
		t.Fatalf("%d, %d vectors, %d tokens, %v", resp.StatusCode, len(got), tokens, resp.Header)
	}
	for _, r := range gemini.seen() {
		if r.uri != "/v1beta/models/gemini-embedding-001:batchEmbedContents" || r.header.Get("X-Goog-Api-Key") == "" || strings.Contains(r.body, "models/embed") {
			t.Errorf("%s %.100s", r.uri, r.body)
		}
	}
	c := g.one()
	if a := c.Attempts[0]; parts.Load() != 3 || len(c.Attempts) != 1 || string(a.Usage.AppendJSON(nil)) != `{"input":250}` || a.UsageSource != ledger.FromProvider ||
		string(a.RawUsage) != `[{"promptTokenCount":100},{"promptTokenCount":100},{"promptTokenCount":50}]` || a.RequestID != "r-1" || c.UsageSource != ledger.FromProvider {
		t.Errorf("%d parts, %+v", parts.Load(), c.Attempts)
	}
	// Within one dialect, too, and by the client's own bytes; the nested names are the target's.
	resp, body = g.post(geminiEmbed+"embed:batchEmbedContents", batchBody("embed", words(120), `,"odd":{"a": 1}`))
	if got, tokens = vectors(t, body); resp.StatusCode != 200 || len(got) != 120 || tokens != 120 {
		t.Errorf("%d %.200s", resp.StatusCode, body)
	}
	if last := gemini.last().body; parts.Load() != 5 || !strings.Contains(last, `"odd":{"a": 1}`) || strings.Contains(last, "models/embed") {
		t.Errorf("%d parts, %.300s", parts.Load(), last)
	}
	// A short list's bytes pass, but for the names.
	short := batchBody("embed", words(2), ` , "odd" : 1 `)
	g.post(geminiEmbed+"embed:batchEmbedContents", short)
	if got, want := gemini.last().body, strings.ReplaceAll(short, "models/embed", "models/gemini-embedding-001"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Within OpenAI's dialect a list over 2048 inputs is split, and all else of
// the request stays as it was.
func TestEmbeddingsSplitOwn(t *testing.T) {
	g, mock := carryRig(t)
	texts := words(2500)
	body := ` {"odd":1, "input":` + jsonText(texts) + `,"model" : "gpt-embed","dimensions":4,"weir":{},"encoding_format":"base64"}`
	resp, reply := g.post("/v1/embeddings", strings.Replace(body, `"odd":1, `, ``, 1))
	if got, tokens := vectors(t, reply); resp.StatusCode != 200 || len(got) != 2500 || tokens == 0 || len(got[0]) != 4 {
		t.Fatalf("%d %.300s", resp.StatusCode, reply)
	}
	var total, seen int
	for _, r := range mock.Requests() {
		seen++
		total += strings.Count(string(r.Body), `"word`)
		if !strings.HasSuffix(string(r.Body), `],"model" : "gpt-embed","dimensions":4,"encoding_format":"base64"}`) || !strings.HasPrefix(string(r.Body), ` {"input":["word`) {
			t.Errorf("%.60s … %s", r.Body, r.Body[len(r.Body)-100:])
		}
	}
	if c := g.one(); seen != 2 || total != 2500 || c.UsageSource != ledger.FromProvider || len(c.Attempts) != 1 {
		t.Errorf("%d requests with %d texts, %+v", seen, total, c.Attempts)
	}
}

// One part that fails makes the attempt fail; what the others have used counts.
func TestEmbeddingsPartFails(t *testing.T) {
	good := func(w http.ResponseWriter, r *http.Request, body string) {
		n := strings.Count(body, `"content"`)
		says(200, fmt.Sprintf(`{"embeddings":[%s],"usageMetadata":{"promptTokenCount":%d}}`, strings.Repeat(`,{"values":[1]}`, n)[1:], n))(w, r, body)
	}
	check := func(name string, bad func(http.ResponseWriter, *http.Request, string), status int, used string, source ledger.UsageSource, class string) {
		t.Run(name, func(t *testing.T) {
			first := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
				if strings.Contains(body, "word449 ") {
					bad(w, r, body)
					return
				}
				good(w, r, body)
			})
			other := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
				n := strings.Count(body, `"word`)
				says(200, fmt.Sprintf(`{"object":"list","data":[%s],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}`, strings.Repeat(`,{"embedding":[1]}`, n)[1:]))(w, r, body)
			})
			r := route("embed", []string{"gemini"}, nil)
			if status == 200 {
				r = route("embed", []string{"gemini"}, []string{"other"})
			}
			g := newRig(t, Settings{Providers: []ProviderSettings{at("gemini", "gemini", first.url), at("other", "openai", other.url+"/v1")}, Routes: []RouteSettings{r}})
			resp, body := g.post("/v1/embeddings", `{"model":"embed","input":`+jsonText(words(450))+`}`)
			if resp.StatusCode != status || status != 200 && !strings.Contains(body, `"error"`) {
				t.Fatalf("%d %.200s", resp.StatusCode, body)
			}
			c := g.one()
			a := c.Attempts[0]
			if got := string(a.Usage.AppendJSON(nil)); got != used || a.UsageSource != source || a.ErrorClass != class {
				t.Errorf("used %s from %q, class %q; want %s, %q, %q", got, a.UsageSource, a.ErrorClass, used, source, class)
			}
			if status == 200 && (len(c.Attempts) != 2 || string(c.Attempts[1].Usage.AppendJSON(nil)) != `{"input":7}`) {
				t.Errorf("%+v", c.Attempts)
			}
		})
	}
	check("an error elsewhere", says(500, `{"error":{"code":500,"message":"no","status":"INTERNAL"}}`), 200, `{"input":400}`, ledger.Partial, "upstream_error")
	check("an error", says(400, `{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}`), 400, `{"input":400}`, ledger.Partial, "upstream_rejected")
	check("no JSON", says(200, `<html>`), 502, `{"input":400}`, ledger.Partial, "upstream_invalid")
	check("too few", says(200, `{"embeddings":[{"values":[1]}],"usageMetadata":{"promptTokenCount":3}}`), 502, `{"input":403}`, ledger.Partial, "upstream_invalid")
	check("too few, unsaid", says(200, `{"embeddings":[{"values":[1]}]}`), 502, `{"input":650}`, ledger.Estimated, "upstream_invalid")
	check("broken", func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"embeddings"`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}, 502, `{"input":400}`, ledger.Partial, "upstream_truncated")
}

// What is no vector, or another one than was asked for, reaches nobody.
func TestEmbeddingsBadVectors(t *testing.T) {
	for _, reply := range []string{
		`{"embeddings":[{"values":[1e60,1]}]}`, `{"embeddings":[{"values":["NaN",1]}]}`, `{"embeddings":[{"values":[1]}]}`, `{"embeddings":[{"values":[1,2,3]}]}`, `{"embeddings":[]}`,
	} {
		up := newVendor(t, says(200, reply))
		g := newRig(t, Settings{Providers: []ProviderSettings{at("gemini", "gemini", up.url)}})
		resp, body := g.post("/v1/embeddings", `{"model":"gemini/e","input":"a","dimensions":2,"encoding_format":"base64"}`)
		if resp.StatusCode != 502 || !strings.Contains(body, `"upstream_invalid"`) {
			t.Errorf("%s: %d %s", reply, resp.StatusCode, body)
		}
		if c := g.one(); c.UsageSource != ledger.Estimated { // it has answered, so it has worked
			t.Errorf("%s: %s from %q", reply, c.Usage.AppendJSON(nil), c.UsageSource)
		}
	}
}

// Gemini need not say what it used: then it is our own count, and said so.
func TestEmbeddingsWithoutUsage(t *testing.T) {
	up := newVendor(t, says(200, `{"embeddings":[{"values":[0.5]}]}`))
	g := newRig(t, Settings{Providers: []ProviderSettings{at("gemini", "gemini", up.url)}})
	_, body := g.post("/v1/embeddings", `{"model":"gemini/e","input":"some words that cost"}`)
	_, tokens := vectors(t, body)
	c := g.one()
	if in, _ := c.Usage.Get(costs.Input); tokens == 0 || in != tokens || c.UsageSource != ledger.Estimated || !strings.Contains(body, `"model":"e"`) {
		t.Errorf("%d tokens, %s from %s: %s", tokens, c.Usage.AppendJSON(nil), c.UsageSource, body)
	}
}

// What cannot be carried is refused before it is sent, or goes where it can be.
func TestEmbeddingsRefused(t *testing.T) {
	g, mock := carryRig(t)
	check := func(path, body, param string, words ...string) {
		t.Helper()
		resp, reply := g.post(path, body)
		if resp.StatusCode != 400 || !strings.Contains(reply, "dialect_not_carried") || param != "" && !strings.Contains(reply, `"param":"`+param+`"`) {
			t.Errorf("%d %s", resp.StatusCode, reply)
		}
		for _, w := range words {
			if !strings.Contains(reply, w) {
				t.Errorf("no %q in %s", w, reply)
			}
		}
	}
	check("/v1/embeddings", `{"model":"claude-haiku-4-5","input":"a"}`, "", "request for embeddings", "has none", "asked by messages")
	check(geminiEmbed+"claude-haiku-4-5:embedContent", `{"content":{"parts":[{"text":"a"}]}}`, "", "has none")
	check("/v1/embeddings", `{"model":"gemini-embedding-001","input":[[1,2]]}`, "input", "check_embedding_ctx_length")
	check("/v1/embeddings", `{"model":"gemini-embedding-001","input":"a","output_dtype":"int8"}`, "output_dtype")
	check(geminiEmbed+"gpt-embed:embedContent", `{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}`, "", "content.parts")
	if n := len(mock.Requests()); n != 0 {
		t.Errorf("%d were sent", n)
	}
	// Not even its own API would take it: that is no matter of dialects.
	if resp, reply := g.post("/v1/embeddings", `{"model":"gemini-embedding-001","input":[]}`); resp.StatusCode != 400 || !strings.Contains(reply, `"param":"input"`) || strings.Contains(reply, "dialect_not_carried") {
		t.Errorf("%d %s", resp.StatusCode, reply)
	}
	// A route passes over targets without embeddings.
	up := newVendor(t, says(200, `{"data":[{"embedding":[1]}]}`))
	g = newRig(t, Settings{
		Providers: []ProviderSettings{at("claude", "anthropic", up.url), at("up", "openai", up.url+"/v1")},
		Routes:    []RouteSettings{route("embed", []string{"claude"}, []string{"up"})},
	})
	if resp, reply := g.post("/v1/embeddings", `{"model":"embed","input":"a"}`); resp.StatusCode != 200 || resp.Header.Get("X-Weir-Provider") != "up" || len(up.seen()) != 1 {
		t.Errorf("%d %s", resp.StatusCode, reply)
	}
}

// The upstream's own words come back in the client's dialect.
func TestEmbeddingsErrors(t *testing.T) {
	g, _ := carryRig(t)
	resp, body := g.post("/v1/embeddings", `{"model":"gemini/mock-error-429","input":"a"}`)
	if resp.StatusCode != 429 || !strings.Contains(body, `"type":"rate_limit_error"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp, body = g.post(geminiEmbed+"openai%2Fmock-error-429:embedContent", `{"content":{"parts":[{"text":"a"}]}}`)
	if resp.StatusCode != 429 || !strings.Contains(body, `"status":"RESOURCE_EXHAUSTED"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// A client that asked for base64 gets base64, from a server that knows numbers
// alone; nothing else of the reply is touched, and nothing of any other reply.
func TestEmbeddingsMended(t *testing.T) {
	const numbers = `{ "object":"list","data":[{"object":"embedding","embedding":[0.25, -2],"index":0}],"model":"nomic" , "usage":{"prompt_tokens":3,"total_tokens":3},"x":1}`
	packed := strings.Replace(numbers, "[0.25, -2]", `"`+base64.StdEncoding.EncodeToString([]byte{0, 0, 0x80, 0x3e, 0, 0, 0, 0xc0})+`"`, 1)
	check := func(asked, reply, want string) {
		t.Helper()
		up := newVendor(t, says(200, reply))
		g := newRig(t, Settings{Providers: []ProviderSettings{at("ollama", "ollama", up.url+"/v1")}})
		request := `{"model":"ollama/nomic","input":"a"` + asked + `}`
		resp, body := g.post("/v1/embeddings", request)
		if resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %d\n got %.300s\nwant %.300s", asked, resp.StatusCode, body, want)
		}
		if c := g.one(); c.UsageSource != ledger.FromProvider || string(c.Usage.AppendJSON(nil)) != `{"input":3}` || c.BytesOut != int64(len(want)) {
			t.Errorf("%s from %s, %d bytes", c.Usage.AppendJSON(nil), c.UsageSource, c.BytesOut)
		}
		if sent := up.last().body; sent != strings.Replace(request, "ollama/", "", 1) {
			t.Errorf("sent %s", sent)
		}
	}
	check(`,"encoding_format":"base64"`, numbers, packed)
	check(`,"encoding_format":"base64"`, packed, packed)
	check(`,"encoding_format":"float"`, numbers, numbers)
	check(``, numbers, numbers)
	nested := strings.Replace(numbers, "[0.25, -2]", "[[1],[2]]", 1) // no vector
	check(`,"encoding_format":"base64"`, nested, nested)
	long := strings.Repeat("0.25,", 400_000) + "0.25" // over what is judged before it goes out
	big := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00\x00\x80\x3e", 400_001)))
	check(`,"encoding_format":"base64"`, strings.Replace(numbers, "0.25, -2", long, 1), strings.Replace(numbers, "[0.25, -2]", `"`+big+`"`, 1))
	check(``, strings.Replace(numbers, "0.25, -2", long, 1), strings.Replace(numbers, "0.25, -2", long, 1))
}

// The mock server's own idea of it: floats though base64 was asked.
func TestEmbeddingsMendedMock(t *testing.T) {
	g, _ := carryRig(t)
	_, plain := g.post("/v1/embeddings", `{"model":"openai/mock-floats","input":["a b","c"],"dimensions":12}`)
	_, body := g.post("/v1/embeddings", `{"model":"openai/mock-floats","input":["a b","c"],"dimensions":12,"encoding_format":"base64"}`)
	want, _ := vectors(t, plain)
	if got, _ := vectors(t, body); !slices.EqualFunc(got, want, slices.Equal) || strings.Contains(body, `"embedding":[`) || len(got) != 2 {
		t.Errorf("%s\nfor %s", body, plain)
	}
}
