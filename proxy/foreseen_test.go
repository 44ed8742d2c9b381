package proxy

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"weir/costs"
	"weir/ledger"
	"weir/limits"
)

// Where the process dies under a call, the ledger has what the limits charge
// for it: what was reserved.
func TestDeathUnderABudget(t *testing.T) {
	for _, scope := range []limits.Scope{limits.Customer, limits.Global} {
		came, leave := make(chan struct{}, 1), make(chan struct{})
		v := newVendor(t, func(_ http.ResponseWriter, _ *http.Request, _ string) {
			came <- struct{}{}
			<-leave
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{pricedAt("p", v.url)}, Prices: costs.Builtin(), Limits: []*limits.Limit{budgetOf(limits.Dollar, scope)}})
		ctx, hangUp := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := g.try(ctx, "POST", "/v1/chat/completions", gpt4o("250"), "X-Weir-Customer", "acme"); err == nil {
				_ = resp.Body.Close()
			}
		}()
		within(t, "the request at the upstream", came)
		held := g.inUse(limits.USD)
		c := replayed(t, g.spool)
		hangUp()
		close(leave)
		within(t, "the client's end", done)
		if c.Outcome != ledger.Interrupted || c.CostSource != ledger.CostEstimated || len(c.Attempts) != 1 {
			t.Fatalf("%s: the call is stored as %+v", scope, c)
		}
		if n, atto := c.Cost.Parts(); held == 0 || n != held || atto != 0 {
			t.Errorf("%s: it costs %v, and %d was held", scope, c.Cost, held)
		}
		if a := c.Attempts[0]; a.Provider != "p" || a.Model != "gpt-4o" || a.UsageSource != ledger.Estimated {
			t.Errorf("%s: its attempt is %+v", scope, a)
		}
	}
}

// replayed is the one call of a copy of a spool, after its replay into a store
// of its own.
func replayed(t *testing.T, spool string) *ledger.Call {
	t.Helper()
	dir := t.TempDir()
	db := newStore(t, dir)
	defer db.Close()
	segments, err := filepath.Glob(filepath.Join(spool, "*.spool"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range segments {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := ledger.OpenRecorder(ledger.RecorderOptions{Dir: dir, DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := ledger.NewCalls(db, "").List(t.Context(), ledger.Query{Attempts: true})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d calls, %v", len(list), err)
	}
	return list[0]
}
