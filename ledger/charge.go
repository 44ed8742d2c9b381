package ledger

import (
	"encoding/json"
	"fmt"
	"strings"

	"weir/costs"
)

// An Amount is money that may be unknown, which is not 0. The zero Amount is unknown.
type Amount struct {
	costs.Money
	Known bool
}

// Known is an amount that is known.
func Known(m costs.Money) Amount { return Amount{m, true} }

// IsZero reports whether the amount is unknown: JSON then leaves it out.
func (a Amount) IsZero() bool { return !a.Known }

// String is the amount in dollars, or empty where it is unknown.
func (a Amount) String() string {
	if !a.Known {
		return ""
	}
	return a.Money.String()
}

// UnmarshalText reads what MarshalText wrote.
func (a *Amount) UnmarshalText(text []byte) error {
	a.Known = true
	return a.Money.UnmarshalText(text)
}

// parts are the amount's columns.
func (a Amount) parts() (nano, atto any) {
	if !a.Known {
		return nil, nil
	}
	n, rest := a.Parts()
	return n, rest
}

// amountOf is the amount of two columns.
func amountOf(nano, atto *int64) Amount {
	if nano == nil || atto == nil {
		return Amount{}
	}
	return Known(costs.MoneyOf(*nano, *atto))
}

// CostSource says where an amount comes from. Empty: there was nothing to pay
// for; nothing was used, as far as anybody knows.
type CostSource string

// The sources of an amount, best first.
const (
	CostByProvider CostSource = "provider"  // the provider's own charge
	CostComputed   CostSource = "computed"  // the provider's usage at the book's prices
	CostEstimated  CostSource = "estimated" // our own or an incomplete count at the book's prices
	CostFree       CostSource = "free"      // known to cost nothing
	CostUnpriced   CostSource = "unpriced"  // not known
)

// A Charge is what an attempt cost and why.
type Charge struct {
	Cost       Amount      `json:"cost_usd,omitzero"`     // what counts
	CostSource CostSource  `json:"cost_source,omitzero"`  // where Cost comes from
	Computed   Amount      `json:"computed_usd,omitzero"` // by the price book, with what was agreed
	List       Amount      `json:"list_usd,omitzero"`     // by the price book's list prices
	Charged    Amount      `json:"charged_usd,omitzero"`  // the provider's own figure
	Book       string      `json:"book,omitzero"`         // version of the price book
	Lines      []PriceLine `json:"price_lines,omitzero"`  // what Computed is made of
	Why        string      `json:"why_unpriced,omitzero"`
	Terms      string      `json:"terms,omitzero"` // what decided the price beside the usage and its tier, as costs.Terms.Context says it
}

// Drifts reports whether the provider charges more than 1 % more or less than
// the price book says.
func (c *Charge) Drifts() bool {
	if !c.Charged.Known || !c.Computed.Known {
		return false
	}
	off := c.Charged.Sub(c.Computed.Money)
	if off.Sign() < 0 {
		off = off.Neg()
	}
	var hundred costs.Money
	for range 100 {
		hundred = hundred.Add(off)
	}
	return hundred.Cmp(c.Computed.Money) > 0
}

// cacheSaving is what the vendor's prompt cache saved on an attempt, by the
// price book: see costs.CacheSaving.
func (a *Attempt) cacheSaving() (saved costs.Money, cached, known bool) {
	return costs.CacheSaving(a.Usage, func(m costs.Meter) (costs.Money, bool) {
		for i := range a.Lines {
			if a.Lines[i].Meter == m {
				return a.Lines[i].Amount, true
			}
		}
		return costs.Money{}, false
	})
}

// A PriceLine is one meter's part of a charge.
type PriceLine struct {
	Meter  costs.Meter `json:"meter"`
	Row    string      `json:"row"` // id of the price row
	Amount costs.Money `json:"usd"` // with what was agreed
}

// maxCharge bounds what a provider can say that one request has cost. What is
// more, or less than nothing, is no charge but a fault.
var maxCharge = costs.USD("1000000")

// Settle makes the charge of an attempt, by the authority of its sources: the
// provider's own figure, the book's. source says whose count the usage is.
func Settle(c *costs.Charge, charged Amount, source UsageSource) Charge {
	if charged.Sign() < 0 || charged.Cmp(maxCharge) > 0 {
		charged = Amount{}
	}
	out := Charge{Charged: charged, Book: c.Book, Why: c.Why}
	if c.Status != costs.Unpriced {
		out.Computed, out.List = Known(c.Contracted), Known(c.List)
	}
	if len(c.Lines) > 0 {
		out.Lines = make([]PriceLine, len(c.Lines))
		for i := range c.Lines {
			l := &c.Lines[i]
			row := l.Row
			if l.Contract != "" {
				row = l.Contract
			}
			out.Lines[i] = PriceLine{l.Meter, row, l.Contracted}
		}
	}
	switch {
	case charged.Known:
		out.Cost, out.CostSource, out.Why = charged, CostByProvider, ""
	case c.Status == costs.Free:
		out.Cost, out.CostSource = out.Computed, CostFree
	case c.Status == costs.Unpriced:
		out.CostSource = CostUnpriced
	case source == FromProvider && !c.Mean:
		out.Cost, out.CostSource = out.Computed, CostComputed
	default:
		out.Cost, out.CostSource = out.Computed, CostEstimated
	}
	return out
}

// settle sums the attempts' charges up: the call's is known where all of
// them are, and as good as the worst.
func (c *Call) settle() {
	worst := map[CostSource]int{CostFree: 1, CostByProvider: 2, CostComputed: 3, CostEstimated: 4, CostUnpriced: 5}
	c.Cost, c.CostSource = Amount{}, ""
	for i := range c.Attempts {
		a := &c.Attempts[i]
		a.Wasted = c.wasted(i)
		if a.CostSource == "" {
			continue
		}
		c.Cost = Known(c.Cost.Add(a.Cost.Money))
		if worst[a.CostSource] > worst[c.CostSource] {
			c.CostSource = a.CostSource
		}
	}
	if c.Outcome == Interrupted && len(c.Attempts) == 0 {
		c.CostSource = CostUnpriced // it was tried, and nobody knows how far it got
	}
	if c.CostSource == CostUnpriced {
		c.Cost = Amount{}
	}
}

// SumCosts fills in the call's own amount from its attempts'.
func (c *Call) SumCosts() Amount {
	c.settle()
	return c.Cost
}

// wasted reports whether what attempt i made reached no client whole.
func (c *Call) wasted(i int) bool { return i < len(c.Attempts)-1 || c.Outcome != OK }

// text is the charge as it stands in its column, without the amount and source that
// have columns of their own.
func (c *Charge) text() string {
	if c.Book == "" && !c.Charged.Known && c.Terms == "" {
		return ""
	}
	b := make([]byte, 0, 256)
	amount := func(name string, a Amount) {
		if a.Known {
			b = append(append(append(b, `,"`...), name...), `":"`...)
			b = append(a.Append(b), '"')
		}
	}
	text := func(name, s string) {
		if s != "" {
			b = append(append(append(b, `,"`...), name...), `":`...)
			b = appendQuoted(b, s)
		}
	}
	if c.Charged.Known || c.Computed != c.Cost {
		amount("computed_usd", c.Computed)
	}
	if c.List != c.Computed {
		amount("list_usd", c.List)
	}
	amount("charged_usd", c.Charged)
	text("book", c.Book)
	text("why_unpriced", c.Why)
	text("terms", c.Terms)
	if len(c.Lines) > 0 {
		b = append(b, `,"price_lines":[`...)
		for i := range c.Lines {
			l := &c.Lines[i]
			b = append(append(append(b, `{"meter":"`...), l.Meter.String()...), `","row":`...)
			b = append(appendQuoted(b, l.Row), `,"usd":"`...)
			b = append(l.Amount.Append(b), `"},`...)
		}
		b[len(b)-1] = ']'
	}
	b[0] = '{'
	return string(append(b, '}'))
}

func appendQuoted(dst []byte, s string) []byte {
	q, err := json.Marshal(strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil { // a string always can be
		return append(dst, `""`...)
	}
	return append(dst, q...)
}

// chargeOf reads a charge back from its columns.
func chargeOf(source CostSource, cost Amount, text string, used UsageSource) (Charge, error) {
	var c Charge
	if err := readJSON(text, &c); err != nil {
		return c, fmt.Errorf("read charge: %w", err)
	}
	c.Cost, c.CostSource = cost, source
	if text == "" && source == CostUnpriced && used == "" {
		c.CostSource = "" // a row from before there were costs
	}
	if text != "" && c.CostSource != CostUnpriced && !c.Charged.Known {
		c.Computed = cost
	}
	if c.Computed.Known && !c.List.Known {
		c.List = c.Computed
	}
	return c, nil
}
