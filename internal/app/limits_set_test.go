package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/config"
)

// admin asks the admin API.
func (h *house) admin(method, path, body string, want int) string {
	h.t.Helper()
	status, text := h.do(method, h.AdminURL()+"api/v1/"+path, body, "Authorization", "Bearer "+string(h.Token().Value))
	if status != want {
		h.t.Errorf("%s %s %s: %d %s, want %d", method, path, body, status, text, want)
	}
	return text
}

// TestSetLimits: a limit that is set acts at once in its process, within a
// second in another one on the same store, over reloads and restarts, in the
// place of the configuration's, until it is taken back.
func TestSetLimits(t *testing.T) {
	dir := t.TempDir()
	text := basic + "store: sqlite:" + dir + "/weir.db\nlimits: [{scope: customer, requests_per_day: 2}]\n"
	one, two := start(t, text), start(t, text)
	chat := func(h *house, customer string, want int) {
		t.Helper()
		if status, body := h.chat("mock/echo", "X-Weir-Customer", customer); status != want {
			t.Errorf("%s: status %d, want %d: %s", customer, status, want, body)
		}
	}
	within := func(h *house, what string, effect func(listed string) bool) {
		t.Helper()
		began := time.Now()
		h.eventually(what, func() bool { return effect(h.admin("GET", "ceilings", "", 200)) })
		if d := time.Since(began); d > 3*time.Second { // 500 ms and what a busy machine takes
			t.Errorf("%s: it took %s", what, d)
		}
	}
	if got := one.admin("POST", "limits", `{"scope":"customer","requests_per_day":1,"burst":1}`, 201); !strings.Contains(got, `"id":"customer requests_per_day"`) || !strings.Contains(got, `"source":"set"`) || !strings.Contains(got, `"set_by":"admin api"`) {
		t.Error(got)
	}
	chat(one, "a", 200)
	chat(one, "a", 429)
	within(two, "another process's limit", func(s string) bool { return strings.Contains(s, `"limit":1,`) && !strings.Contains(s, `"limit":2,`) })
	chat(two, "a", 200)
	chat(two, "a", 429)

	one.write(text + "keepalive: 20s\n")
	if err := one.Reload(); err != nil {
		t.Fatal(err)
	}
	chat(one, "b", 200)
	chat(one, "b", 429)

	one.admin("POST", "limits", `{"scope":"customer","value":"c","requests_per_day":3}`, 201)
	for range 3 {
		chat(one, "c", 200)
	}
	chat(one, "c", 429)

	one.admin("DELETE", "limits/"+url.PathEscape("customer requests_per_day"), "", 200)
	chat(one, "d", 200)
	chat(one, "d", 200)
	chat(one, "d", 429)
	within(two, "another process's removal", func(s string) bool { return strings.Contains(s, `"limit":2,`) })
	one.admin("DELETE", "limits/"+url.PathEscape("customer requests_per_day"), "", 409)
	one.admin("DELETE", "limits/"+url.PathEscape("customer tokens_per_day"), "", 404)

	one.end()
	if err := one.boot(); err != nil {
		t.Fatal(err)
	}
	if got := one.admin("GET", "ceilings", "", 200); !strings.Contains(got, `"value":"c"`) || !strings.Contains(got, `"source":"config"`) {
		t.Error(got)
	}
	var audited string
	if err := one.DB().Reader().QueryRow(`SELECT group_concat(action || ' ' || object || ' ' || actor, '; ') FROM audit WHERE action LIKE 'limit.%'`).Scan(&audited); err != nil {
		t.Fatal(err)
	}
	if want := "limit.set customer requests_per_day block admin api; limit.set customer requests_per_day block c admin api; limit.unset customer requests_per_day block admin api"; audited != want {
		t.Errorf("audited: %s", audited)
	}
}

// TestSetLimitRefuses: the admin API holds entries to the configuration's rules.
func TestSetLimitRefuses(t *testing.T) {
	text := basic + "limits:\n"
	for i := range 31 {
		text += fmt.Sprintf("  - {scope: tag, tag: t%d, concurrent: 9}\n", i)
	}
	h := start(t, text)
	check := func(entry, want string) {
		t.Helper()
		if got := h.admin("POST", "limits", entry, http.StatusBadRequest); !strings.Contains(got, want) || !strings.Contains(got, `"code":"invalid_request"`) {
			t.Errorf("%s\ngot  %s\nwant %s", entry, got, want)
		}
	}
	check(`{"scope":"key","requests_per_minute":0}`, "requests_per_minute: want a whole number from 1 to")
	check(`{"scope":"key","requests_per_minute":-5}`, "requests_per_minute: want a whole number from 1 to")
	check(`{"scope":"key","usd_per_month":"NaN"}`, "usd_per_month: want dollars like $25")
	check(`{"scope":"key","usd_per_month":"$9000001"}`, "at most $9000000")
	check(`{"scope":"key","usd_per_month":"$1","zone":"Mars/Olympus"}`, "zone: want a time zone")
	check(`{"scope":"key","usd_per_month":"$1","soft":[80,50]}`, "soft: want percents that ascend")
	check(`{"scope":"nobody","concurrent":1}`, "scope: want one of")
	check(`{"concurrent":1}`, "scope is missing")
	check(``, "scope is missing")
	check(`{"scope":"key"}`, "it limits nothing")
	check(`{"scope":"key","concurent":1}`, `unknown key \"concurent\" (did you mean \"concurrent\"?)`)
	check(`["scope"]`, "want one JSON object")
	h.admin("POST", "limits", `{"scope":"key","concurrent":1}`, 201)
	h.admin("POST", "limits", `{"scope":"key","value":"a","concurrent":1}`, 201)
	h.admin("POST", "limits", `{"scope":"key","concurrent":2}`, 201)
	check(`{"scope":"customer","concurrent":1}`, "33 ceilings for one call, with those that were set: want at most 32")

	// Nor does a reload take what would be too many with those that were set.
	h.write(text + "  - {scope: tag, tag: more, concurrent: 9}\n")
	if err := h.Reload(); err == nil || !strings.Contains(err.Error(), "33 ceilings") {
		t.Error(err)
	}
}

// TestBudgetsAPI: budgets with what was spent, in dollars.
func TestBudgetsAPI(t *testing.T) {
	h := start(t, strings.Replace(basic, "{kind: mock}", "{kind: mock, price_as: openai}", 1)+`limits:
  - {scope: global, usd_per_month: $100, zone: Asia/Tokyo}
  - {scope: customer, usd_per_day: $5}
`)
	if got := h.admin("GET", "budgets", "", 200); !strings.Contains(got, `"id":"global usd_per_month Asia/Tokyo "`) || !strings.Contains(got, `"spent_usd":"0","reserved_usd":"0","remaining_usd":"100"`) || strings.Contains(got, "forecast") || strings.Count(got, `"id"`) != 1 {
		t.Error(got)
	}
	if status, body := h.chat("mock/gpt-4o-mini", "X-Weir-Customer", "acme"); status != 200 {
		t.Fatal(body)
	}
	got := h.admin("GET", "budgets", "", 200)
	for _, want := range []string{`"id":"customer usd_per_day acme"`, `"zone":"UTC"`, `"limit_usd":"5"`, `"spent_usd":"0.0000`, `"reserved_usd":"0"`, `"forecast":{"usd_at_end"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if got := h.admin("GET", "limits", "", 200); !strings.Contains(got, `"unit":"usd"`) || !strings.Contains(got, `"used_usd":"0.0000`) || !strings.Contains(got, `"limit":5000000000,`) {
		t.Error(got)
	}
}

// TestStatusOfLimitsInEffect: who has taken a limit back, or put one of another
// zone in its place, does not see it stand.
func TestStatusOfLimitsInEffect(t *testing.T) {
	h := start(t, pricedMock+"limits: [{scope: customer, usd_per_month: $1}]\n")
	stands := func(want ...string) {
		t.Helper()
		if status, body := h.chat("mock/gpt-4o-mini", "X-Weir-Customer", "acme"); status != 200 {
			t.Fatal(body)
		}
		text := h.admin("GET", "limits", "", 200)
		for _, id := range want {
			if !strings.Contains(text, `"id":"`+id+`"`) {
				t.Errorf("no %s in %s", id, text)
			}
		}
		if n := strings.Count(text, `"id":`); n != len(want) {
			t.Errorf("%d limits stand, want %d: %s", n, len(want), text)
		}
	}
	stands("customer usd_per_month acme")
	h.admin("POST", "limits", `{"scope":"customer","requests_per_day":5}`, 201)
	h.admin("POST", "limits", `{"scope":"customer","usd_per_month":1,"zone":"Asia/Tokyo"}`, 201)
	stands("customer requests_per_day acme", "customer usd_per_month Asia/Tokyo acme")
	if text := h.admin("GET", "budgets", "", 200); strings.Count(text, `"id":`) != 1 {
		t.Error(text)
	}
	h.admin("DELETE", "limits/"+url.PathEscape("customer usd_per_month Asia/Tokyo"), "", 200)
	h.admin("DELETE", "limits/"+url.PathEscape("customer requests_per_day"), "", 200)
	stands("customer usd_per_month acme")
}

// TestLimitKeys: the API's description of a limit to set has the configuration's keys.
func TestLimitKeys(t *testing.T) {
	var described struct {
		Components struct {
			Schemas struct {
				NewLimit struct{ Properties map[string]any }
			}
		}
	}
	if err := json.Unmarshal([]byte(start(t, basic).admin("GET", "openapi.json", "", 200)), &described); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, k := range config.LimitKeys() {
		want = append(want, k.Name)
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(described.Components.Schemas.NewLimit.Properties)); !slices.Equal(got, want) {
		t.Errorf("described: %v\nconfigured: %v", got, want)
	}
}
