package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"weir/alerts"
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

// limitsFace is what the console asks of the limits.
func (a *App) limitsFace() console.Limits {
	return console.Limits{Status: a.limits, InEffect: a.ceilingsInEffect, Budgets: a.budgets, Store: a.limitStore, Set: a.setLimit, Unset: a.unsetLimit}
}

// limits are how the limits stand that are in use, for the console.
func (a *App) limits(ctx context.Context) (out []console.Limit, err error) {
	list, err := a.standings(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		out = append(out, standing(&list[i]))
	}
	return out, nil
}

// standings are how the limits stand that are in effect, and those that are not
// any more as long as calls under way hold something of them: counts outlive
// their limits.
func (a *App) standings(ctx context.Context) ([]limits.Standing, error) {
	list, err := a.proxy.Limits(ctx)
	general, own := map[string]bool{}, map[budgetKey]bool{}
	for _, c := range *a.ceilings.list.Load() {
		own[keyOf(c.Limit)] = true
		if c.Value == "" || c.Scope == limits.Key || c.Scope == limits.Project { // which may be named
			general[c.Name()] = true
		}
	}
	return slices.DeleteFunc(list, func(s limits.Standing) bool {
		name := s.Limit.Name()
		return s.Reserved == 0 && !general[name] && !own[budgetKey{name, s.Value}]
	}), err
}

func standing(s *limits.Standing) console.Limit {
	l := s.Limit
	out := console.Limit{
		ID: l.Name() + " " + s.Value, Scope: string(l.Scope), Tag: l.Tag, Project: s.Project, Value: s.Value,
		Measure: l.Measure(), Unit: l.Dimension.String(), Limit: l.Amount,
		Used: s.Used, Reserved: s.Reserved, Remaining: s.Remaining, Reset: s.Reset, Action: string(l.Action),
	}
	if s.Project != "" {
		out.ID += " " + s.Project
	}
	if l.Dimension != limits.USD {
		return out
	}
	since, until := l.Span(s.Since)
	out.Since, out.Until, out.Zone = since.UTC(), until.UTC(), zoneName(l.Zone)
	out.LimitUSD, out.UsedUSD = limits.Dollars(l.Amount), limits.Dollars(s.Used)
	out.ReservedUSD, out.RemainingUSD = limits.Dollars(s.Reserved), limits.Dollars(s.Remaining)
	return out
}

// budgets are how the budgets stand in their periods: those that are in use,
// and those of one value or of all calls that are not yet.
func (a *App) budgets(ctx context.Context) (out []console.Budget, err error) {
	list, err := a.standings(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	shown := map[string]bool{}
	for i := range list {
		if s := &list[i]; s.Limit.Dimension == limits.USD {
			one := budget(s, now)
			shown[one.ID] = true
			out = append(out, one)
		}
	}
	for _, c := range *a.ceilings.list.Load() {
		l := c.Limit
		if l.Dimension != limits.USD || l.Value == "" && l.Scope != limits.Global {
			continue
		}
		since, until := l.Span(now)
		one := budget(&limits.Standing{Limit: l, Value: l.Value, Since: since, Remaining: l.Amount, Reset: until.Sub(now)}, now)
		if !shown[one.ID] {
			out = append(out, one)
		}
	}
	return out, nil
}

func budget(s *limits.Standing, now time.Time) console.Budget {
	l, shown := s.Limit, standing(s)
	out := console.Budget{
		ID: shown.ID, Scope: shown.Scope, Tag: l.Tag, Project: s.Project, Value: s.Value, Measure: shown.Measure, Action: shown.Action,
		Period: string(l.Period), Zone: shown.Zone, Since: shown.Since, Until: shown.Until,
		LimitUSD: shown.LimitUSD, SpentUSD: limits.Dollars(s.Used - s.Reserved), ReservedUSD: shown.ReservedUSD, RemainingUSD: shown.RemainingUSD,
	}
	e := passing(l, s.Project, s.Value, s.Since, used{of: s.Used - s.Reserved}, 1, now)
	out.Forecast = alerts.Foresee(&e, nil, now)
	return out
}
