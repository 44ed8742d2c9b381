package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/costs"
	"weir/ledger"
)

// Anthropic tells what a batch has used in its results alone. They are paid
// for at the first time that they are read to their end, each request by
// itself: what all of them have together crosses no threshold.
func TestResultsOfAMessageBatch(t *testing.T) {
	day := time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC)
	p := at("up", "anthropic", mockRules(t, map[string]any{"usage_json": json.RawMessage(`{"input_tokens":60000,"output_tokens":1000,"service_tier":"batch"}`)}))
	p.PriceAs = "anthropic"
	g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()}, func(o *Options) {
		o.PricedAt = func(time.Time) time.Time { return day }
	})
	request := func(id string) string {
		return `{"custom_id":"` + id + `","params":{"model":"claude-haiku-5-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}}`
	}
	ask := func(method, path, body, want string) string {
		t.Helper()
		resp, text := g.do(method, path, body, "Content-Type", "application/json", "Anthropic-Version", "2023-06-01")
		if got := resp.Header.Get(costHeader); resp.StatusCode != 200 || got != want {
			t.Errorf("%s %s: %d, told %q, want %q: %s", method, path, resp.StatusCode, got, want, text)
		}
		return text
	}
	batch := "/v1/messages/batches/" + idIn(t, ask("POST", "/v1/messages/batches", `{"requests":[`+request("1")+`,`+request("2")+`]}`, ""))
	ask("GET", batch, "", "")
	ask("GET", batch+"/results", "", "0.0065")
	ask("GET", batch+"/results", "", "")
	got := make([]string, 0, 4)
	for _, c := range g.calls(4) {
		a := &c.Attempts[0]
		got = append(got, receipt(c)+" "+string(a.Usage.AppendJSON(nil))+" "+a.Terms)
	}
	want := []string{
		`ok : [unpriced ] {} batch=true`, `ok : [ ] {} `,
		`ok 0.0065: [computed 0.0065] {"input":120000,"output":2000,"requests":2} batch=true`, `ok : [ ] {} `,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the books have\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Results that break off have not been read: the next time counts. Those that
// are too large to be held are counted as they pass.
func TestResultsThatBreakOff(t *testing.T) {
	line := `{"custom_id":"1","result":{"type":"succeeded","message":{"id":"m","type":"message","model":"claude-opus-5","content":[],"usage":{"input_tokens":1000,"output_tokens":100}}}}` + "\n"
	var cut atomic.Bool // the first reading
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"id":"msgbatch_1","type":"message_batch","processing_status":"in_progress"}`))
		case !cut.Swap(true):
			_, _ = w.Write([]byte(line + line))
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", "application/x-jsonl")
			_, _ = w.Write([]byte(line + strings.Repeat(" ", 2*maxWhole) + "\n" + line))
		}
	})
	p := at("up", "anthropic", up)
	p.PriceAs = "anthropic"
	g := newRig(t, Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()}, pricedOn923)
	version := []string{"Content-Type", "application/json", "Anthropic-Version", "2023-06-01"}
	g.do("POST", "/v1/messages/batches", `{"requests":[]}`, version...)
	for range 3 {
		resp, err := g.try(t.Context(), "GET", "/v1/messages/batches/msgbatch_1/results", "", version...)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	var sum costs.Money
	paid := 0
	for _, c := range g.calls(4) {
		if c.CostSource == ledger.CostComputed {
			sum, paid = sum.Add(c.Cost.Money), paid+1
		}
	}
	if paid != 1 || sum != costs.USD("0.0075") { // two by half
		t.Errorf("%s in %d calls", sum, paid)
	}
}
