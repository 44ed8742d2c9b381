package app

import (
	"encoding/json"
	"time"

	"weir/config"
	"weir/costs"
	"weir/ledger"
)

// Repricer prices attempts of the ledger by a configuration's providers and a
// price book, as the data plane would if they began now as they did then. A
// provider that the configuration no longer has is nobody's.
func Repricer(c *config.Config, b *costs.Book) func(*ledger.Call, *ledger.Attempt) ledger.Charge {
	terms := map[string]costs.Terms{}
	for i := range c.Providers {
		p := &c.Providers[i]
		terms[p.Name] = PriceTerms(p, b)
	}
	return func(call *ledger.Call, a *ledger.Attempt) ledger.Charge {
		return reprice(b, terms[a.Provider], call.Start, a)
	}
}

func reprice(b *costs.Book, t costs.Terms, start time.Time, a *ledger.Attempt) ledger.Charge {
	var charge costs.Charge
	if a.API == "count_tokens" || a.API == "files" { // which no vendor bills
		charge = costs.Charge{Status: costs.Free, Book: b.Version()}
	} else {
		r := readAgain(t.Provider, a)
		t.Model, t.Served, t.At = a.Model, a.ServedModel, start.Add(a.Start)
		t.Serve(a.ServiceTier)
		t.ReadContext(a.Terms)
		charge = b.ChargeReading(&r, t)
	}
	out := ledger.Settle(&charge, a.Charged, a.UsageSource)
	out.Terms = a.Terms
	return out
}

// readAgain takes from the raw usage what the row's columns do not have: speed
// and place, and runs of other models. The counts are the row's.
func readAgain(vendor string, a *ledger.Attempt) (r costs.Reading) {
	raw := []byte(a.RawUsage)
	if len(raw) > 0 {
		parts := []json.RawMessage{raw}
		if raw[0] == '[' && (json.Unmarshal(raw, &parts) != nil || len(parts) == 0) {
			parts = []json.RawMessage{raw} // it was never a list
		}
		f := costs.FlavourOf(vendor, a.API, parts[len(parts)-1]).For(a.Model)
		for _, p := range parts {
			f.Update(&r, p)
		}
	}
	r.Usage = a.Usage
	return r
}
