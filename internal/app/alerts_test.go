package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/alerts"
	"weir/config"
	"weir/ledger"
)

// priced is a configuration whose mock costs what OpenAI does.
const priced = "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\nauth: keys\nsecret: s3cret\ndata: DIR/NAME\nstore: sqlite:DIR/shared.db\n" +
	"providers: {mock: {kind: mock, price_as: openai}}\n"

// A channel is a webhook's other end.
type channel struct {
	*httptest.Server
	mu  sync.Mutex
	got []alerts.Event
}

func newChannel(t *testing.T) *channel {
	t.Helper()
	c := &channel{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e alerts.Event
		if err := json.Unmarshal(body, &e); err != nil || strings.Contains(string(body), "wk-") {
			t.Errorf("body %s: %v", body, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, e)
	}))
	t.Cleanup(c.Close)
	return c
}

// of returns what came of a kind.
func (c *channel) of(k alerts.Kind) (out []alerts.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.got {
		if e.Kind == k {
			out = append(out, e)
		}
	}
	return out
}

// key makes a key and returns its secret.
func (h *house) key(spec ledger.KeySpec) (*ledger.Key, string) {
	h.t.Helper()
	k, secret, err := ledger.NewKeys(h.db, h.secret).Create(h.t.Context(), "test", spec)
	if err == nil {
		err = h.keys.Refresh(h.t.Context())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return k, secret
}

// say sends messages as a key.
func (h *house) say(secret, messages string) (int, string) {
	h.t.Helper()
	return h.do("POST", h.URL()+"/v1/chat/completions", `{"model":"gpt-4o-mini","max_tokens":50,"messages":[`+messages+`]}`,
		"Authorization", "Bearer "+secret, "x-weir-customer", "acme", "x-weir-provider", "mock")
}

const hi = `{"role":"user","content":"hi"}`

// TestBudgetAlerts: a budget's thresholds and its first refusal are told, once
// each, with names and a forecast.
func TestBudgetAlerts(t *testing.T) {
	c := newChannel(t)
	text := strings.Replace(priced, "NAME", "a", 1) + "alerts: {webhooks: [{url: " + c.URL + "}]}\n"
	h := start(t, text)
	_, secret := h.key(ledger.KeySpec{Name: "ci", Project: "shop"})
	if status, text := h.say(secret, hi); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spent, err := ledger.NewCalls(h.db, h.dir+"/a/spool").Spent(t.Context(), ledger.SpentQuery{Scope: "customer"})
	if err != nil || len(spent) != 1 || spent[0].Cost.IsZero() {
		t.Fatalf("spent %+v, %v", spent, err)
	}
	one := spent[0].Cost.NanoUp()
	h.write(text + "limits: [{scope: customer, usd_per_month: $" + alerts.Dollars(200*one) + ", soft: [1%, 100%]}]\n")
	if err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range 400 {
		status, text := h.say(secret, hi)
		if status != 200 {
			refused++
		}
		if refused == 1 && !strings.Contains(text, "Budget reached") {
			t.Fatalf("%d %s", status, text)
		}
	}
	if refused < 100 {
		t.Fatalf("%d calls refused", refused)
	}
	h.eventually("the first refusal is told", func() bool { return len(c.of(alerts.BudgetRefused)) > 0 })
	h.eventually("the threshold is told", func() bool { return len(c.of(alerts.BudgetThreshold)) > 0 })
	time.Sleep(100 * time.Millisecond) // for what should not come
	passed, first := c.of(alerts.BudgetThreshold), c.of(alerts.BudgetRefused)
	if len(passed) != 1 || len(first) != 1 {
		t.Fatalf("told %d thresholds, %d refusals", len(passed), len(first))
	}
	e := passed[0]
	if !strings.HasPrefix(e.Text, "Customer acme of project shop has used $0.00") || !strings.Contains(e.Text, "(1%) of its budget for "+time.Now().UTC().Format("January 2006")+" (UTC). At the rate of ") ||
		e.Forecast == nil || e.Limit.Percent != 1 || e.Limit.Value != "acme" || e.Project.Name != "shop" || e.Limit.Amount != alerts.Dollars(200*one) {
		t.Errorf("told %+v of %+v: %s", e, e.Limit, e.Text)
	}
	if text := first[0].Text; !strings.HasPrefix(text, "A call that may cost $0.0") || !strings.Contains(text, "Calls that would pass it are refused until ") {
		t.Errorf("told %s", text)
	}
	if _, text := h.do("GET", h.AdminURL()+"metrics", ""); !strings.Contains(text, `weir_alerts_total{kind="budget_refused"} 1`) || !strings.Contains(text, `weir_alert_deliveries_total{state="delivered",webhook="127.0.0.1"} 2`) {
		t.Error("the metrics do not tell of it")
	}
	if text := h.log.String(); strings.Contains(text, c.URL) {
		t.Error("the log has the webhook's URL")
	}
}

// TestRunawayKey: a key that asks the same again and again is paused in all
// processes, once, and it is told and audited. A conversation that grows and a
// batch with one system prompt go on.
func TestRunawayKey(t *testing.T) {
	c := newChannel(t)
	text := priced + "alerts: {webhooks: [{url: " + c.URL + "}], runaway: {repeats: 20, within: 5m, spend: $0.000001, action: pause}}\n"
	h := start(t, strings.Replace(text, "NAME", "a", 1))
	other := &house{t: t, dir: h.dir, file: h.dir + "/b.yaml", log: &logBuffer{}, http: h.http}
	other.write(strings.Replace(text, "NAME", "b", 1))
	if err := other.boot(); err != nil {
		t.Fatal(err)
	}
	defer other.end()

	_, batch := h.key(ledger.KeySpec{Name: "batch", Project: "shop"})
	_, chat := h.key(ledger.KeySpec{Name: "chat", Project: "shop"})
	k, loop := h.key(ledger.KeySpec{Name: "loop", Project: "shop"})
	grown := hi
	for i := range 40 {
		if status, text := h.say(batch, fmt.Sprintf(`{"role":"system","content":"Translate into French."},{"role":"user","content":"sentence %d"}`, i)); status != 200 {
			t.Fatalf("the batch's call %d: %d %s", i, status, text)
		}
		grown += `,{"role":"assistant","content":"yes"},` + hi
		if status, text := h.say(chat, grown); status != 200 {
			t.Fatalf("the chat's turn %d: %d %s", i, status, text)
		}
	}
	calls := 0
	h.eventually("the loop is stopped", func() bool {
		status, text := h.say(loop, hi)
		if calls++; status != 200 && !strings.Contains(text, "paused") {
			t.Fatalf("%d %s", status, text)
		}
		return status != 200
	})
	stopped := time.Now()
	if calls < 20 {
		t.Errorf("stopped after %d calls", calls)
	}
	other.eventually("the other process refuses it", func() bool { status, _ := other.say(loop, hi); return status == 403 })
	if took := time.Since(stopped); took > 3*time.Second { // it is within 1 s where the machine is not busy
		t.Errorf("the pause took %s to reach the other process", took)
	}
	h.eventually("the pause is told", func() bool { return len(c.of(alerts.KeyPaused)) == 1 })
	if e := c.of(alerts.KeyPaused)[0]; e.Runaway.Key.ID != k.ID || e.Project.Name != "shop" || !strings.HasPrefix(e.Text, "Key loop ("+k.ID+") of project shop was paused: it asked the same 20 times within 5m, for $0.0") {
		t.Errorf("told %s", e.Text)
	}
	var n int
	var actor, detail string
	err := h.db.Reader().QueryRow(`SELECT count(*), max(actor), max(detail) FROM audit WHERE action = 'key.pause'`).Scan(&n, &actor, &detail)
	if err != nil || n != 1 || actor != "runaway rule" || !strings.Contains(detail, `"reason":"the same prompt 20 times within 5m, for $0.0`) {
		t.Errorf("%d audited, by %s: %s, %v", n, actor, detail, err)
	}
	// Resumed, it has to run as often again.
	if _, err := ledger.NewKeys(h.db, h.secret).Resume(t.Context(), "test", k.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.keys.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 15 {
		if status, text := h.say(loop, hi); status != 200 {
			t.Fatalf("call %d after the pause: %d %s", i, status, text)
		}
	}
}

// TestAlertsReload: webhooks and the rule are swapped by a reload.
func TestAlertsReload(t *testing.T) {
	one, two := newChannel(t), newChannel(t)
	text := func(url, more string) string {
		return strings.Replace(priced, "NAME", "a", 1) + "alerts: {webhooks: [{name: ops, url: " + url + "}]" + more + "}\n"
	}
	h := start(t, text(one.URL, ""))
	_, secret := h.key(ledger.KeySpec{Name: "k"})
	for range 5 {
		h.say(secret, hi)
	}
	h.write(text(two.URL, ", runaway: {repeats: 3, spend: $0}"))
	if err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		h.say(secret, hi)
	}
	h.eventually("the loop is told", func() bool { return len(two.of(alerts.RunawayLoop)) == 1 })
	if status, text := h.say(secret, hi); status != 200 {
		t.Errorf("the rule only tells: %d %s", status, text)
	}
	if len(one.got) > 0 {
		t.Errorf("the old webhook got %v", one.got)
	}
}

// TestAlertKinds: what a configuration may name is what there is.
func TestAlertKinds(t *testing.T) {
	var have []string
	for _, k := range alerts.Kinds {
		have = append(have, string(k))
	}
	if !slices.Equal(have, config.AlertKinds()) {
		t.Errorf("config knows %v, alerts %v", config.AlertKinds(), have)
	}
}

// TestPriceDrift: a provider that charges other prices than the book has is
// told of once.
func TestPriceDrift(t *testing.T) {
	c := newChannel(t)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"x","object":"chat.completion","created":1,"model":"openai/gpt-4o-mini","choices":[{"index":0,"finish_reason":"stop",`+
			`"message":{"role":"assistant","content":"yes"}}],"usage":{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000,"cost":0.01}}`)
	}))
	defer up.Close()
	h := start(t, "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\ndata: DIR/data\nproviders: {router: {kind: openai, base_url: "+up.URL+"/v1, price_as: openrouter, api_key: x, models: ['*']}}\n"+
		"alerts: {webhooks: [{url: "+c.URL+"}]}\n")
	for range 20 {
		if status, text := h.chat("openai/gpt-4o-mini"); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.tellDrift(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	h.eventually("the drift is told", func() bool { return len(c.of(alerts.PriceDrift)) == 1 })
	if text := c.of(alerts.PriceDrift)[0].Text; !strings.HasPrefix(text, "Provider router charged $0.2 in the last 24 hours for what the price book puts at $0.015: 1233.3% more. 20 of 20 calls") {
		t.Errorf("told %s", text)
	}
}
