package app

import (
	"context"

	"weir/config"
	"weir/console"
	"weir/limits"
)

// Limits are the ceilings of a configuration, one by one.
func Limits(c *config.Config) (out []*limits.Limit) {
	dimensions := map[string]limits.Dimension{
		"requests": limits.Requests, "tokens": limits.Tokens,
		"input_tokens": limits.InputTokens, "output_tokens": limits.OutputTokens,
	}
	for i := range c.Limits {
		l := &c.Limits[i]
		one := limits.Limit{Scope: limits.Scope(l.Scope), Tag: l.Tag, Action: limits.Action(l.Action)}
		for rate, amount := range l.All {
			r := one
			r.Dimension, r.Window, r.Amount, r.Burst = dimensions[rate.Dimension], rate.Window, amount, l.Burst
			out = append(out, &r)
		}
		if l.Slots > 0 {
			slots := one
			slots.Dimension, slots.Amount = limits.Concurrent, l.Slots
			out = append(out, &slots)
		}
	}
	return out
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
