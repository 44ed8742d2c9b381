package app

import (
	"testing"
	"time"

	"weir/config"
	"weir/costs"
	"weir/ledger"
)

// What decided a price beside the usage decides it again: a batch stays one,
// and a search as large as it was asked for.
func TestRepricesByTheSameTerms(t *testing.T) {
	at := time.Date(2026, 9, 23, 0, 0, 0, 0, time.UTC)
	price := Repricer(&config.Config{Providers: []config.Provider{
		{Name: "up", Kind: "openai", PriceAs: "openai"}, {Name: "pplx", Kind: "openai", PriceAs: "perplexity"},
	}}, costs.Builtin())
	check := func(provider, model, terms, want string) {
		t.Helper()
		a := &ledger.Attempt{Provider: provider, Model: model, API: "chat", UsageSource: ledger.FromProvider}
		a.Usage.Set(costs.Input, 1000)
		a.Usage.Set(costs.Output, 500)
		if provider == "pplx" {
			a.Usage.Set(costs.Requests, 1)
		}
		a.Terms = terms
		if got := price(&ledger.Call{Start: at}, a); got.Cost.String() != want || got.Terms != terms {
			t.Errorf("%s by %q: %s (%s) by %q, want %s", model, terms, got.Cost, got.Why, got.Terms, want)
		}
	}
	check("up", "gpt-5.6-sol", "", "0.014")
	check("up", "gpt-5.6-sol", "batch=true", "0.007")
	check("pplx", "sonar", "", "0.0065")
	check("pplx", "sonar", "search_context_size=high", "0.0135")
}
