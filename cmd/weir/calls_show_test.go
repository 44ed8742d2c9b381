package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/ledger"
)

// Each adjustment of an attempt is told: what was known, what is known since,
// by whom and by which price rows. The attempt itself shows what counts.
func TestShowAdjustments(t *testing.T) {
	usd := func(s string) ledger.Amount { return ledger.Known(costs.USD(s)) }
	line := func(row, amount string) []ledger.PriceLine {
		return []ledger.PriceLine{{Meter: costs.Input, Row: row, Amount: costs.USD(amount)}}
	}
	last := ledger.Charge{Cost: usd("0.0015"), CostSource: ledger.CostComputed, Computed: usd("0.0015"), List: usd("0.002"), Book: "two", Lines: line("own:b", "0.0015")}
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	c := &ledger.Call{ID: "call_1", Start: at, Attempts: []ledger.Attempt{{N: 1, Provider: "ours", Model: "m", Charge: last, Adjustments: []ledger.Adjustment{
		{
			Seq: 1, At: at, Reason: "weir costs reprice", FromSource: ledger.CostUnpriced,
			Charge: ledger.Charge{Cost: usd("0.002"), CostSource: ledger.CostComputed, Computed: usd("0.002"), List: usd("0.002"), Book: "one", Lines: line("own:a", "0.002")},
		},
		{Seq: 2, At: at.Add(time.Hour), Reason: "a \x1b[2J rise", From: usd("0.002"), FromSource: ledger.CostComputed, Charge: last},
	}}}}
	var out bytes.Buffer
	if err := printCall(&out, c); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	want := "cost_usd 0.0015 cost_source computed charged_usd" // no charge of the provider's: not shown
	if strings.Contains(text, want) {
		t.Errorf("it shows what is not known:\n%s", out.String())
	}
	for _, want := range []string{
		"price input $0.0015 by own:b adjustment 1 2026-11-25 10:00:00 UTC: unpriced to $0.002 (computed), by weir costs reprice change_usd 0.002 book one price input $0.002 by own:a",
		"adjustment 2 2026-11-25 11:00:00 UTC: $0.002 (computed) to $0.0015 (computed), by a [2J rise change_usd -0.0005 list_usd 0.002 book two price input $0.0015 by own:b",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in:\n%s", want, out.String())
		}
	}
}
