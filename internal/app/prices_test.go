package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/config"
	"weir/costs"
)

func writePrices(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// price is what a million input tokens cost by a book.
func price(b *costs.Book, provider, model string) string {
	var u costs.Usage
	u.Set(costs.Input, 1_000_000)
	c := b.Charge(u, costs.Terms{Provider: provider, Model: model, At: time.Now()})
	if c.Status == costs.Unpriced {
		return "unpriced"
	}
	return c.List.String()
}

func TestLoadBook(t *testing.T) {
	dir := t.TempDir()
	prices := filepath.Join(dir, "own.yaml")
	load := func(text string) (*costs.Book, error) {
		t.Helper()
		c, err := config.Parse(filepath.Join(dir, "weir.yaml"), []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.DataDir = dir
		return LoadBook(c)
	}
	writePrices(t, prices, "providers: {mine: {models: [{id: m, rows: [{prices: {input: 7}}]}]}}")
	b, err := load("prices: {overrides: ./own.yaml}\nproviders: {a: {kind: openai, price_as: mine}}")
	if err != nil {
		t.Fatal(err)
	}
	if got := price(b, "mine", "m"); got != "7" {
		t.Errorf("an own price is %s, want 7", got)
	}
	refused := func(text, want string) {
		t.Helper()
		if _, err := load(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("LoadBook(%q) = %v, want %q", text, err, want)
		}
	}
	refused("providers: {a: {kind: openai, price_as: opnai}}", `providers.a.price_as: the price book has no provider "opnai"`)
	refused("prices: {overrides: ./none.yaml}", "none.yaml")
	writePrices(t, prices, "providers:\n  mine:\n    models: [{id: m, rows: [{prices: {input: -7}}]}]")
	refused("prices: {overrides: ./own.yaml}", "own.yaml:3: price of input: a price cannot be negative: -7")
}

// A changed price file is taken; a bad one leaves the last good book.
func TestReloadOfPrices(t *testing.T) {
	dir := t.TempDir()
	prices := filepath.Join(dir, "prices.yaml")
	writePrices(t, prices, "providers: {mine: {models: [{id: m, rows: [{prices: {input: 7}}]}]}}")
	h := start(t, basic+"prices: {overrides: "+prices+"}\n")
	if got := price(h.Book(), "mine", "m"); got != "7" {
		t.Fatalf("an own price is %s, want 7", got)
	}
	writePrices(t, prices, "providers: {mine: {models: [{id: m, rows: [{prices: {input: 7, outptu: 1}}]}]}}")
	if err := h.Reload(); err == nil || !strings.Contains(err.Error(), `unknown meter "outptu" (did you mean "output"?)`) {
		t.Errorf("Reload = %v, want the file's problem", err)
	}
	if got := price(h.Book(), "mine", "m"); got != "7" {
		t.Errorf("after a bad file the price is %s, want 7", got)
	}
	writePrices(t, prices, "providers: {mine: {models: [{id: m, rows: [{prices: {input: 8}}]}]}}")
	h.eventually("the new price", func() bool { return price(h.Book(), "mine", "m") == "8" })
}

// A private server's calls are nobody's; an alias is the book's id.
func TestPricedAs(t *testing.T) {
	b, err := costs.NewBook(costs.Sources{Own: []byte("providers: {ours: {hosts: ['10.0.0.*'], models: [{id: m, free: true}]}}")})
	if err != nil {
		t.Fatal(err)
	}
	check := func(p config.Provider, want string) {
		t.Helper()
		if got := PricedAs(&p, b); got != want {
			t.Errorf("%s %q %q is priced as %q, want %q", p.Kind, p.BaseURL, p.PriceAs, got, want)
		}
	}
	check(config.Provider{Kind: "openai"}, "openai")
	check(config.Provider{Kind: "mock"}, "free")
	check(config.Provider{Kind: "openai", BaseURL: "https://api.x.ai/v1"}, "x-ai")
	check(config.Provider{Kind: "openai", BaseURL: "http://127.0.0.1:9000/v1"}, "")
	check(config.Provider{Kind: "openai", BaseURL: "http://127.0.0.1:9000/v1", PriceAs: "xai"}, "x-ai")
	check(config.Provider{Kind: "openai", PriceAs: "none"}, "")
	check(config.Provider{Kind: "openai", PriceAs: "free"}, "free")
	check(config.Provider{Kind: "vllm", BaseURL: "http://10.0.0.7:8000/v1"}, "ours")
	check(config.Provider{Kind: "vllm", BaseURL: "http://gpu/v1"}, "")
}
