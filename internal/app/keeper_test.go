package app

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/limits"
)

// pricedMock is basic with calls that cost something.
var pricedMock = strings.Replace(basic, "{kind: mock}", "{kind: mock, price_as: openai}", 1)

// spent is what the budgets of an id say was spent.
func (h *house) spent(id string) string {
	h.t.Helper()
	var list struct {
		Data []struct {
			ID    string `json:"id"`
			Spent string `json:"spent_usd"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(h.admin("GET", "budgets", "", 200)), &list); err != nil {
		h.t.Fatal(err)
	}
	for _, b := range list.Data {
		if b.ID == id {
			return b.Spent
		}
	}
	return "nothing"
}

// keep has the keeper make a round, and waits for it.
func (h *house) keep() {
	done := make(chan struct{})
	h.keeper.recovered(func() { close(done) })
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		h.t.Fatal("the keeper makes no round")
	}
}

// TestBudgetsOutlive: a restart forgets nothing of what was spent, a budget
// that is set knows what was spent before it, and one that is reached stays so.
func TestBudgetsOutlive(t *testing.T) {
	h := start(t, pricedMock+`limits:
  - {scope: customer, usd_per_month: $1, zone: Europe/Berlin}
  - {scope: customer, value: small, usd_per_month: $0.5}
  - {scope: global, usd_per_day: $5}
`)
	ask := func(customer string, want int) {
		t.Helper()
		if status, body := h.chat("mock/gpt-4o-mini", "X-Weir-Customer", customer); status != want {
			t.Errorf("%s: %d %s, want %d", customer, status, body, want)
		}
	}
	ask("acme", 200)
	ask("small", 200)
	acme, small, all := h.spent("customer usd_per_month Europe/Berlin acme"), h.spent("customer usd_per_month small"), h.spent("global usd_per_day ")
	if acme != small || acme == "nothing" || acme == "0" {
		t.Fatalf("spent %s, %s, %s", acme, small, all)
	}
	h.end()
	if err := h.boot(); err != nil {
		t.Fatal(err)
	}
	same := func() {
		t.Helper()
		for id, want := range map[string]string{"customer usd_per_month Europe/Berlin acme": acme, "customer usd_per_month small": small, "global usd_per_day ": all} {
			if got := h.spent(id); got != want {
				t.Errorf("%s: %s spent, want %s", id, got, want)
			}
		}
	}
	same()
	if got := h.spent("customer usd_per_month Europe/Berlin small"); got != "nothing" {
		t.Errorf("small is counted in the budget that does not bind it, too: %s", got)
	}

	// Of one that is set now the ledger knows what was spent: the call that it
	// has room for is the first.
	h.admin("POST", "limits", `{"scope":"customer","usd_per_week":"$0.000156"}`, 201)
	h.eventually("the new budget is what the ledger knows", func() bool { return h.spent("customer usd_per_week acme") == acme })
	ask("acme", 429)
	ask("other", 200)
	h.admin("DELETE", "limits/"+url.PathEscape("customer usd_per_week"), "", 200)
	ask("acme", 200)
}

// TestTwoMemories: two processes that count apart on one store agree when the
// keeper has been there.
func TestTwoMemories(t *testing.T) {
	dir := t.TempDir()
	text := pricedMock + "store: sqlite:" + dir + "/weir.db\nlimits: [{scope: global, usd_per_month: $1}]\n"
	one, two := start(t, text), start(t, text)
	for range 3 {
		one.chat("mock/gpt-4o-mini")
		two.chat("mock/gpt-4o-mini")
	}
	mine := one.spent("global usd_per_month ")
	if err := one.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := two.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	one.keep()
	two.keep()
	if a, b := one.spent("global usd_per_month "), two.spent("global usd_per_month "); a != b || a == mine {
		t.Errorf("one says %s was spent, the other %s, and of the first it was %s", a, b, mine)
	}
}

// TestUnknownBudgets: where the ledger cannot be read at the start, Weir starts
// nevertheless, and budgets are under their policy until it can.
func TestUnknownBudgets(t *testing.T) {
	h := start(t, pricedMock+"limits: [{scope: customer, usd_per_month: $1, on_store_failure: closed}, {scope: feature, usd_per_month: $1, on_store_failure: open}]\n")
	for _, c := range *h.ceilings.list.Load() {
		if u := h.limiter.Unknown(); u != nil {
			t.Fatalf("%s is unknown after the start: %v", c.Name(), u)
		}
	}
	// A store without its ledger.
	rename := func(from, to string) {
		t.Helper()
		if err := h.DB().Exec(t.Context(), fmt.Sprintf("ALTER TABLE %s RENAME TO %s", from, to)); err != nil {
			t.Fatal(err)
		}
	}
	rename("costs_daily", "away")
	h.write(pricedMock + "limits: [{scope: customer, usd_per_day: $1, on_store_failure: closed}, {scope: feature, usd_per_day: $1, on_store_failure: open}]\n")
	if err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	if status, body := h.chat("mock/gpt-4o-mini", "X-Weir-Customer", "acme"); status != 503 || !strings.Contains(body, "is not known at the moment") {
		t.Errorf("closed: %d %s", status, body)
	}
	if status, body := h.chat("mock/gpt-4o-mini", "X-Weir-Feature", "search"); status != 200 {
		t.Errorf("open: %d %s", status, body)
	}
	rename("away", "costs_daily")
	h.eventually("the ledger is read again", func() bool {
		status, _ := h.chat("mock/gpt-4o-mini", "X-Weir-Customer", "acme")
		return status == 200
	})
	if log := h.log.String(); strings.Count(log, "budgets are not brought to what the ledger knows") != 1 || strings.Count(log, "budgets are what the ledger knows") != 1 {
		t.Errorf("the log: %s", log)
	}
}

// TestKeeperPause: a minute, or to the next period's begin, and never more than
// a 20th of the time in rounds.
func TestKeeperPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{}
		a.ceilings.list.Store(&[]Ceiling{{Limit: &limits.Limit{Dimension: limits.USD, Period: limits.Day, Amount: 1}}})
		k := keeper{app: a}
		check := func(took, want time.Duration) {
			t.Helper()
			if got := k.pause(took); got != want {
				t.Errorf("after %s: %s, want %s", took, got, want)
			}
		}
		check(0, time.Minute)
		check(3*time.Second, time.Minute)
		check(6*time.Second, 2*time.Minute)
		time.Sleep(24*time.Hour - 10*time.Second)
		check(0, 11*time.Second)
		check(time.Second, 20*time.Second)
	})
}

// TestUnknownAtStart: a ledger that cannot be read at the start does not hold
// it up, and is told of.
func TestUnknownAtStart(t *testing.T) {
	h := start(t, pricedMock+"limits: [{scope: global, usd_per_month: $1, on_store_failure: closed}]\n")
	if status, body := h.chat("mock/gpt-4o-mini"); status != 200 {
		t.Fatal(body)
	}
	spent := h.spent("global usd_per_month ")
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rename := func(from, to string) {
		t.Helper()
		if err := h.DB().Exec(t.Context(), fmt.Sprintf("ALTER TABLE %s RENAME TO %s", from, to)); err != nil {
			t.Fatal(err)
		}
	}
	rename("costs_daily", "away")
	h.end()
	began := time.Now()
	if err := h.boot(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("the start took %s", d)
	}
	if status, body := h.chat("mock/gpt-4o-mini"); status != 503 {
		t.Errorf("%d %s", status, body)
	}
	unknown := func() float64 { return h.gauge("weir_budgets_unknown") }
	if unknown() != 1 || !strings.Contains(h.log.String(), "what was spent of budgets is not known yet") {
		t.Errorf("%v budgets are unknown; the log: %s", unknown(), h.log)
	}
	rename("away", "costs_daily")
	h.eventually("the budget is known", func() bool { return unknown() == 0 })
	if got := h.spent("global usd_per_month "); got != spent {
		t.Errorf("%s spent, want %s", got, spent)
	}
	if status, body := h.chat("mock/gpt-4o-mini"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

// TestShips: a store that takes no calls knows less than was spent, so that no
// sum on Redis is lowered by it.
func TestShips(t *testing.T) {
	h := start(t, pricedMock+"limits: [{scope: global, usd_per_month: $1}]\n")
	chat := func() {
		t.Helper()
		if status, body := h.chat("mock/gpt-4o-mini"); status != 200 {
			t.Fatal(body)
		}
	}
	chat()
	if !h.ships(t.Context()) {
		t.Error("the store takes calls, and is not up to date within a second")
	}
	err := h.DB().Write(t.Context(), func(*sql.Tx) error {
		chat()
		if h.ships(t.Context()) {
			t.Error("the store is locked, and is said to be up to date")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.eventually("the store is up to date again", func() bool { return h.ships(t.Context()) })
}
