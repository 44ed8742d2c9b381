package report

import (
	"fmt"
	"time"

	"weir/costs"
)

// An Own is a provider whose GPUs are one's own, paid by the hour.
type Own struct {
	Provider string
	GPUHour  costs.Money // of one GPU
	GPUs     int64       // that it has; 0 is 1
	From     time.Time   // its first call, or the start of the report's time where that is later; zero: it had none
	Sum      costs.Sum   // of its attempts; the cost is the time that its GPUs were busy
	// Bought is what its tokens would have cost where the price book says that
	// its models can be bought; nil: it says so of none of them. Missing counts
	// the attempts that are not in it.
	Bought  *costs.Money
	Missing int64
}

// An Idle is what one's own GPUs cost, and what of it served nobody.
type Idle struct {
	Provider string       `json:"provider"`
	GPUHour  costs.Money  `json:"gpu_hour_usd"`
	GPUs     int64        `json:"gpus"`
	From     time.Time    `json:"from"`
	Until    time.Time    `json:"until"`
	Paid     costs.Money  `json:"paid_usd"` // the hours between, at the price of an hour
	Busy     costs.Money  `json:"busy_usd"` // what its attempts cost
	Idle     costs.Money  `json:"idle_usd"` // what is left
	Unpriced int64        `json:"unpriced_attempts"`
	Bought   *costs.Money `json:"api_equivalent_usd"` // what its tokens would have cost to buy; null: not known
	Missing  int64        `json:"api_equivalent_missing_attempts"`
	Command  string       `json:"calls_command"`
}

// ID names the line among those of a report.
func (i *Idle) ID() string { return "idle=" + i.Provider }

// idle makes the line of a provider, and false where it had no call.
func (r *Report) idle(o *Own) (Idle, bool) {
	until := earlier(r.Until, r.Now)
	if o.From.IsZero() || !o.From.Before(until) {
		return Idle{}, false
	}
	gpus := max(o.GPUs, 1)
	out := Idle{
		Provider: o.Provider, GPUHour: o.GPUHour, GPUs: gpus, From: o.From, Until: until, Busy: o.Sum.Cost, Unpriced: o.Sum.Unpriced,
		Bought: o.Bought, Missing: o.Missing, Command: r.command([]string{"provider"}, []string{o.Provider}),
		Paid: costs.GPUIdle(o.GPUHour, gpus, until.Sub(o.From).Microseconds(), 0).Amount,
	}
	if out.Idle = out.Paid.Sub(out.Busy); out.Idle.Sign() < 0 { // by clocks that differ, or calls side by side
		out.Idle = costs.Money{}
	}
	return out, true
}

// idleText is the idle part; where the time of some attempts is not known, at most that.
func (i *Idle) idleText() string {
	if i.Unpriced > 0 {
		return atMost(i.Idle)
	}
	return Cents(i.Idle)
}

// share is the idle part in percent.
func (i *Idle) share() string {
	if i.Unpriced > 0 {
		return shareAtMost(i.Idle, i.Paid)
	}
	return share(i.Idle, i.Paid)
}

// busyText is what the attempts cost.
func (i *Idle) busyText() string {
	return Cost(&costs.Sum{Cost: i.Busy, Unpriced: i.Unpriced})
}

// bought is what the tokens would have cost to buy.
func (i *Idle) bought() string {
	switch {
	case i.Bought == nil:
		return "unknown"
	case i.Missing > 0:
		return "≥ " + atLeast(*i.Bought)
	}
	return Cents(*i.Bought)
}

// verdict says what one's own GPUs are worth.
func (i *Idle) verdict() string {
	switch {
	case i.Bought == nil:
		return "what its tokens would cost to buy is not known: name it under equivalents in the price file"
	case i.Missing > 0:
		return fmt.Sprintf("not all of its tokens have a price to buy them at: %s left out", plural(i.Missing, "attempt is", "attempts are"))
	case i.Bought.Cmp(i.Paid) < 0:
		return "buying its tokens would have saved " + Cents(i.Paid.Sub(*i.Bought))
	}
	return "buying its tokens would have cost " + Cents(i.Bought.Sub(i.Paid)) + " more"
}
