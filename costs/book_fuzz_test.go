package costs

import (
	"sync"
	"testing"
	"time"
)

// Whatever a price file says, it is a book or a list of problems with lines;
// and no charge by it is negative.
func FuzzOwnPrices(f *testing.F) {
	f.Add("providers: {p: {models: [{id: m, rows: [{prices: {input: 1}, when: {tier: [flex, \"*\"]}}]}]}}")
	f.Add("providers: {p: {windows: {w: {days: mon-fri, hours: [\"22:00-04:00\"], zone: \"+08:00\"}}, multipliers: [{name: n, when: {during: w}, factor: 2}]}}")
	f.Add("providers: {openai: {discounts: [{percent: 100%}], ceilings: [{prices: {output: 0.1/k}}], models: [{id: gpt-*, free: true}]}}")
	f.Add(string(vendoredOverlay))
	at := time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)
	u := used(1000, 1000)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := NewBook(Sources{Base: []byte(`[{"id":"openai","models":[{"id":"gpt-5","match":{"equals":"gpt-5"},"prices":{"input_mtok":1}}]}]`), Own: []byte(text)})
		if err != nil {
			return
		}
		for _, id := range b.Providers() {
			b.Warm(id)
			for _, m := range b.providers[id].models {
				if c := b.Charge(u, Terms{Provider: id, Model: m.id, At: at, Tier: "flex"}); c.List.Sign() < 0 || c.Contracted.Sign() < 0 {
					t.Fatalf("%s/%s costs %s, by contract %s", id, m.id, c.List, c.Contracted)
				}
			}
		}
	})
}

// A data file of genai-prices that is damaged is an error or a fault of a
// model, and never a wrong number.
func FuzzBase(f *testing.F) {
	f.Add([]byte(`[{"id":"a","models":[{"id":"m","match":{"or":[{"equals":"x"},{"regex":"^(?!y).*"}]},"prices":{"input_mtok":{"base":0.1,"tiers":[{"start":10,"price":2e-7}]}},"price_variants":[{"when":{"service_tier":"flex"},"prices":{"input_mtok":1}}]}]}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := NewBook(Sources{Base: text})
		if err != nil {
			return
		}
		_ = b.Check()
		b.Rows(RowQuery{At: someDay}, func(r PriceRow) bool {
			if r.USD.Sign() < 0 {
				t.Fatalf("%s costs %s", r.ID, r.USD)
			}
			return true
		})
	})
}

// A book may be used by many at once, from its first charge on.
func TestBookIsShared(t *testing.T) {
	b, err := NewBook(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	for i := range 8 {
		done.Go(func() {
			for _, model := range []string{"gpt-5", "gpt-5.6-sol-2026-07-01", "nothing", "gpt-4o-audio-preview-x"} {
				b.Charge(used(int64(i), 1), Terms{Provider: "openai", Model: model, At: someDay})
				b.Charge(used(int64(i), 1), Terms{Provider: "azure", Model: model, At: someDay})
			}
		})
	}
	done.Wait()
}
