package proxy

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/ledger"
)

// day923 is the day of prices.
var day923 = time.Date(2026, 9, 23, 0, 0, 0, 0, time.UTC)

// A till is a rig whose calls are paid for, before clients of HTTP/1.1 and of
// HTTP/2.
type till struct {
	*rig
	http2 bool
	h2url string
	h2    *http.Client
}

// overBoth runs a test over either protocol of the client's.
func overBoth(t *testing.T, settings func(t *testing.T) Settings, test func(t *testing.T, g *till)) {
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[http2], func(t *testing.T) {
			test(t, newTill(t, http2, settings(t)))
		})
	}
}

func newTill(t *testing.T, http2 bool, s Settings) *till {
	t.Helper()
	s.Prices = costs.Builtin()
	g := &till{http2: http2, rig: newRig(t, s, func(o *Options) {
		o.PricedAt = func(time.Time) time.Time { return day923 }
	})}
	if http2 {
		server := httptest.NewUnstartedServer(g.proxy)
		server.EnableHTTP2 = true
		server.StartTLS()
		g.h2url, g.h2 = server.URL, server.Client()
		t.Cleanup(func() { g.h2.CloseIdleConnections(); server.CloseClientConnections(); server.Close() })
	}
	return g
}

// call sends a request over the till's protocol; the caller reads and closes the reply.
func (g *till) call(ctx context.Context, method, path, body string, headers ...string) *http.Response {
	g.t.Helper()
	if !g.http2 {
		return g.send(ctx, method, path, body, append(headers, "Content-Type", "application/json")...)
	}
	req, err := http.NewRequestWithContext(ctx, method, g.h2url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := g.h2.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	if resp.ProtoMajor != 2 {
		g.t.Fatalf("%s", resp.Proto)
	}
	return resp
}

// buys sends a request and says what its client is told that it cost: in the
// header, or in the trailer, which is announced.
func (g *till) buys(method, path, body string, headers ...string) (told, text string) {
	g.t.Helper()
	resp := g.call(context.Background(), method, path, body, headers...)
	defer resp.Body.Close()
	_, announced := resp.Trailer[costHeader]
	b, err := io.ReadAll(resp.Body)
	text = string(b)
	if err != nil {
		text += "\n[broken: " + err.Error() + "]"
	}
	head, trail := resp.Header.Get(costHeader), resp.Trailer.Get(costHeader)
	if head != "" && trail != "" || trail != "" && !announced {
		g.t.Errorf("told %q and %q, announced: %v", head, trail, announced)
	}
	return head + trail, text
}

// holds checks the books: a line for each call, with what it cost, and for
// each of its attempts where the amount comes from, the amount, and whether it
// was wasted; that the store has the same; and that its rollups are the rows' sum.
func (g *till) holds(want ...string) {
	g.t.Helper()
	ctx := context.Background()
	rows := costs.Sum{}
	var got []string
	books := ledger.NewCalls(g.db, g.spool)
	for _, c := range g.calls(len(want)) {
		kept, err := books.Get(ctx, c.ID)
		if err != nil {
			g.t.Fatal(err)
		}
		line := receipt(kept)
		if passed := receipt(c); passed != line {
			g.t.Errorf("recorded %q, stored %q", passed, line)
		}
		got = append(got, line)
		addRows(&rows, kept)
	}
	slices.Sort(got) // calls of one moment are recorded in any order
	slices.Sort(want)
	if !slices.Equal(got, want) {
		g.t.Errorf("the books have\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	sums, err := books.Costs(ctx, ledger.CostQuery{})
	if err != nil || len(sums) != 1 {
		g.t.Fatalf("%d sums: %v", len(sums), err)
	}
	s := sums[0]
	if s.Cost != rows.Cost || s.Wasted != rows.Wasted || s.Estimated != rows.Estimated || s.Unpriced != rows.Unpriced || s.Guessed != rows.Guessed || s.Attempts != rows.Attempts {
		g.t.Errorf("rollups %+v\nrows    %+v", s, rows)
	}
}

func receipt(c *ledger.Call) string {
	line := fmt.Sprintf("%s %s:", c.Outcome, c.Cost)
	for i := range c.Attempts {
		a := &c.Attempts[i]
		line += fmt.Sprintf(" [%s %s%s]", a.CostSource, a.Cost, map[bool]string{true: " wasted"}[a.Wasted])
	}
	return line
}

func addRows(s *costs.Sum, c *ledger.Call) {
	for i := range c.Attempts {
		a := &c.Attempts[i]
		s.Attempts++
		if a.Wasted {
			s.Wasted = s.Wasted.Add(a.Cost.Money)
		}
		s.Cost = s.Cost.Add(a.Cost.Money)
		switch a.CostSource {
		case ledger.CostEstimated:
			s.Estimated = s.Estimated.Add(a.Cost.Money)
			s.Guessed++
		case ledger.CostUnpriced:
			s.Unpriced++
		}
	}
}

// sells is a provider that replays a usage for gpt-5.6-sol ($4 and $20 a
// million then), after the rules that go before.
func sells(t *testing.T, usage string, before ...map[string]any) ProviderSettings {
	t.Helper()
	p := at("up", "openai", mockRules(t, append(before, map[string]any{"usage_json": json.RawMessage(usage)})...)+"/v1")
	p.PriceAs = "openai"
	return p
}

const (
	solChat   = `{"model":"gpt-5.6-sol","messages":[{"role":"user","content":"hi"}]}`
	solStream = `{"model":"gpt-5.6-sol","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	solUsage  = `{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}` // $0.006
)

// retried has a provider asked once more.
func retried(p ProviderSettings) Settings {
	r := route("*", []string{p.Name}, nil)
	r.Retries = 1
	return Settings{Providers: []ProviderSettings{p}, Routes: []RouteSettings{r}}
}

// A retry that succeeds costs what it used; what was refused costs nothing.
func TestMoneyOfARetry(t *testing.T) {
	overBoth(t, func(t *testing.T) Settings {
		return retried(sells(t, solUsage, map[string]any{"times": 1, "status": 500}, map[string]any{"skip": 1, "times": 1, "status": 503}))
	}, func(t *testing.T, g *till) {
		for _, body := range []string{solChat, solStream} {
			if told, text := g.buys("POST", "/v1/chat/completions", body); told != "0.006" {
				t.Errorf("told %q: %s", told, text)
			}
		}
		g.holds("ok 0.006: [  wasted] [computed 0.006]", "ok 0.006: [  wasted] [computed 0.006]")
	})
}

// What a target has made before another one took over was paid for, too.
func TestMoneyOfAFallback(t *testing.T) {
	overBoth(t, func(t *testing.T) Settings {
		broken := at("broken", "anthropic", mockRules(t, map[string]any{
			"usage_json": json.RawMessage(`[{"input_tokens":1000,"output_tokens":1},{"output_tokens":100}]`), "cut_events": 1,
		}))
		broken.PriceAs = "anthropic"
		whole := at("whole", "anthropic", mockRules(t, map[string]any{"usage_json": json.RawMessage(`{"input_tokens":1000,"output_tokens":100}`)}))
		whole.PriceAs = "anthropic"
		return Settings{
			Providers: []ProviderSettings{broken, whole},
			Routes:    []RouteSettings{route("claude-opus-5", []string{"broken"}, []string{"whole"})},
		}
	}, func(t *testing.T, g *till) {
		told, text := g.buys("POST", "/v1/messages", `{"model":"claude-opus-5","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}`,
			"Anthropic-Version", "2023-06-01")
		if told != "0.012525" { // 1000 × $5 + 1 × $25 were begun in vain
			t.Errorf("told %q: %s", told, text)
		}
		g.holds("ok 0.012525: [estimated 0.005025 wasted] [computed 0.0075]")
	})
}

// A stream that fails after it has said something was paid for and reached
// nobody whole: its client is told so where it can still be.
func TestMoneyOfAFailureAfterOutput(t *testing.T) {
	overBoth(t, func(t *testing.T) Settings {
		return Settings{Providers: []ProviderSettings{sells(t, solUsage, map[string]any{"fail_events": 4, "text": "one two three four", "usage": "every", "usage_json": json.RawMessage(solUsage)})}}
	}, func(t *testing.T, g *till) {
		told, text := g.buys("POST", "/v1/chat/completions", solStream)
		if told != "0.006" || !strings.Contains(text, "server had an error") {
			t.Errorf("told %q: %s", told, text)
		}
		g.holds("error 0.006: [estimated 0.006 wasted]")
	})
}

// A client that goes away in mid-stream pays for what was made by then.
func TestMoneyOfAnAbort(t *testing.T) {
	overBoth(t, func(t *testing.T) Settings {
		return Settings{Providers: []ProviderSettings{sells(t, solUsage, map[string]any{
			"cut_events": 4, "how": "hang", "text": "one two three four five", "usage": "every", "service_tier": "flex",
			"usage_json": []any{json.RawMessage(`{"prompt_tokens":1000,"completion_tokens":0}`), json.RawMessage(`{"prompt_tokens":1000,"completion_tokens":10}`)},
		})}}
	}, func(t *testing.T, g *till) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		resp := g.call(ctx, "POST", "/v1/chat/completions", solStream)
		in := bufio.NewReader(resp.Body)
		for range 4 {
			nextEvent(t, in)
		}
		cancel()
		resp.Body.Close()
		g.holds("aborted 0.0021: [estimated 0.0021 wasted]") // 1000 × $4 + 10 × $20, by half
	})
}

// An Embeddings request that is carried in parts costs the sum of them.
func TestMoneyOfEmbeddingsInParts(t *testing.T) {
	overBoth(t, func(t *testing.T) Settings {
		p := at("up", "gemini", mockRules(t, map[string]any{"usage_json": json.RawMessage(`{"promptTokenCount":1000}`)}))
		p.PriceAs = "google"
		return Settings{Providers: []ProviderSettings{p}}
	}, func(t *testing.T, g *till) {
		told, text := g.buys("POST", "/v1/embeddings", `{"model":"gemini-embedding-001","input":`+jsonText(words(250))+`}`)
		if told != "0.00045" { // three parts at $0.15
			t.Errorf("told %q: %.300s", told, text)
		}
		g.holds("ok 0.00045: [computed 0.00045]")
	})
}

// Where a part is refused and the whole is asked once more, the parts that
// were answered the first time were paid for in vain.
func TestMoneyOfEmbeddingsRetried(t *testing.T) {
	overBoth(t, func(t *testing.T) Settings {
		usage := json.RawMessage(`{"promptTokenCount":1000}`)
		p := at("up", "gemini", mockRules(t, map[string]any{"times": 2, "usage_json": usage}, map[string]any{"times": 1, "status": 500}, map[string]any{"usage_json": usage}))
		p.PriceAs = "google"
		return retried(p)
	}, func(t *testing.T, g *till) {
		told, text := g.buys("POST", "/v1/embeddings", `{"model":"gemini-embedding-001","input":`+jsonText(words(250))+`}`)
		if told != "0.00075" {
			t.Errorf("told %q: %.300s", told, text)
		}
		g.holds("ok 0.00075: [estimated 0.0003 wasted] [computed 0.00045]")
	})
}

// A stream that breaks off before it says which tier serves it is priced by
// the one that was asked for.
func TestMoneyOfABrokenPriorityStream(t *testing.T) {
	overBoth(t, func(t *testing.T) Settings {
		p := openaiAt(upstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
			sse(w, chunk("some words that were made"))
			panic(http.ErrAbortHandler)
		}))
		p.PriceAs = "openai"
		return Settings{Providers: []ProviderSettings{p}}
	}, func(t *testing.T, g *till) {
		g.buys("POST", "/v1/chat/completions", solStream)
		g.buys("POST", "/v1/chat/completions", strings.TrimSuffix(solStream, "}")+`,"service_tier":"priority"}`)
		for i, c := range g.calls(2) {
			a := &c.Attempts[0]
			want := costs.Builtin().Charge(a.Usage, costs.Terms{Provider: "openai", Model: a.Model, Served: a.ServedModel, At: day923, Tier: [...]string{"", "priority"}[i]})
			if c.CostSource != ledger.CostEstimated || !a.Wasted || want.List.IsZero() || c.Cost.Money != want.List {
				t.Errorf("%s, want %s", receipt(c), want.List)
			}
		}
	})
}

// A response that runs in the background is paid for once, at the first look
// that finds it ended; a stored one has been paid for.
func TestMoneyOfStoredResponses(t *testing.T) {
	overBoth(t, func(t *testing.T) Settings {
		return Settings{Providers: []ProviderSettings{sells(t, `{"input_tokens":1000,"output_tokens":100,"total_tokens":1100}`)}}
	}, func(t *testing.T, g *till) {
		told, text := g.buys("POST", "/v1/responses", `{"model":"gpt-5.6-sol","input":"later","background":true}`)
		if told != "" {
			t.Errorf("begun for %q: %s", told, text)
		}
		later := "/v1/responses/" + idIn(t, text)
		for _, want := range []string{"0.006", "", ""} {
			if told, text := g.buys("GET", later, ""); told != want || !strings.Contains(text, `"output_tokens":100`) {
				t.Errorf("told %q, want %q: %s", told, want, text)
			}
		}
		told, text = g.buys("POST", "/v1/responses", `{"model":"gpt-5.6-sol","input":"now"}`)
		if told != "0.006" {
			t.Errorf("told %q: %s", told, text)
		}
		now := "/v1/responses/" + idIn(t, text)
		for _, method := range []string{"GET", "GET", "DELETE"} {
			if told, text := g.buys(method, now, ""); told != "" {
				t.Errorf("%s told %q: %s", method, told, text)
			}
		}
		g.holds("ok : [unpriced ]", "ok 0.006: [computed 0.006]", "ok : [ ]", "ok : [ ]",
			"ok 0.006: [computed 0.006]", "ok : [ ]", "ok : [ ]", "ok : [ ]")
	})
}

// A spool that is read a second time, as after a crash between the store's
// commit and the spool's, adds nothing to rows or rollups.
func TestMoneyOfAReplayedSpool(t *testing.T) {
	g := newTill(t, false, retried(sells(t, solUsage, map[string]any{"times": 1, "status": 500})))
	crashed := t.TempDir() + "/spool"
	err := g.db.Write(t.Context(), func(*sql.Tx) error { // so that nothing ships
		for range 3 {
			g.buys("POST", "/v1/chat/completions", solChat)
		}
		return os.CopyFS(crashed, os.DirFS(g.spool))
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ok 0.006: [  wasted] [computed 0.006]", "ok 0.006: [computed 0.006]", "ok 0.006: [computed 0.006]"}
	g.holds(want...)
	g.shut()
	for range 2 {
		again, err := ledger.OpenRecorder(ledger.RecorderOptions{Dir: crashed, DB: g.db})
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := again.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := ledger.NewCalls(g.db, g.spool).Costs(t.Context(), ledger.CostQuery{})
	if err != nil || len(sums) != 1 || sums[0].Cost != costs.USD("0.018") || sums[0].Calls != 3 || sums[0].Attempts != 4 {
		t.Errorf("%+v %v", sums, err)
	}
	rebuilt, err := ledger.RebuildCosts(t.Context(), g.db, nil)
	if err != nil || rebuilt.Wrong != 0 {
		t.Errorf("rebuilt: %+v %v", rebuilt, err)
	}
}
