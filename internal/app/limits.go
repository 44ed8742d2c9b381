package app

import (
	"cmp"
	"context"

	"weir/config"
	"weir/console"
	"weir/limits"
)

// Limits are the ceilings of a configuration, one by one.
func Limits(c *config.Config) (out []*limits.Limit) {
	for i := range c.Limits {
		for _, one := range c.Limits[i].Ceilings() {
			out = append(out, ceiling(&one))
		}
	}
	return out
}

var dimensions = map[string]limits.Dimension{
	"requests": limits.Requests, "tokens": limits.Tokens,
	"input_tokens": limits.InputTokens, "output_tokens": limits.OutputTokens,
}

// ceiling is one of a configuration's as limiters know it.
func ceiling(c *config.Ceiling) *limits.Limit {
	l := &limits.Limit{
		Scope: limits.Scope(c.Scope), Tag: c.Tag, Value: c.Value,
		Action: limits.Action(c.Action), Patience: c.Patience, Instead: c.Instead,
		Zone: c.Zone, Strict: c.Strict, Ceiling: c.Unpriced, Soft: c.Soft,
		OnFailure: limits.OnFailure(cmp.Or(c.OnFailure, string(limits.Local))), Exposure: c.Exposure,
	}
	for rate, amount := range c.All {
		l.Dimension, l.Window, l.Amount, l.Burst = dimensions[rate.Dimension], rate.Window, amount, c.Burst
	}
	for period, nano := range c.Budgets {
		l.Dimension, l.Period, l.Amount = limits.USD, limits.Period(period), nano
	}
	if c.Slots > 0 {
		l.Dimension, l.Amount = limits.Concurrent, c.Slots
	}
	return l
}

// limits are how the limits stand that are in use, for the console.
func (a *App) limits(ctx context.Context) (out []console.Limit, err error) {
	list, err := a.proxy.Limits(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		l := s.Limit
		out = append(out, console.Limit{
			ID: l.Name() + " " + s.Value, Scope: string(l.Scope), Value: s.Value, Measure: l.Measure(), Limit: l.Amount,
			Used: s.Used, Reserved: s.Reserved, Remaining: s.Remaining, Reset: s.Reset, Action: string(l.Action),
		})
	}
	return out, nil
}
