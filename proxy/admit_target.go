package proxy

import (
	"slices"

	"weir/limits"
)

// ask makes an attempt at a target, as far as the limits of the caller, the
// target, its provider and the whole deployment let it. A refusal by one of
// the latter three means the next target.
func (c *carrier) ask(t Target) *failure {
	x := c.x
	rules := x.rules(x.state.shared, &t)
	if len(rules) == 0 && x.ceilings == nil && x.detour == nil && x.maxCost == 0 {
		return c.try(t)
	}
	e, f := c.afford(t, budgeted(rules))
	if f == nil {
		f = c.topUp(&e)
	}
	if f != nil {
		c.forgo(t)
		x.turnedAway = true
		return f
	}
	if len(rules) == 0 {
		return c.try(t)
	}
	ctx, cancel := c.attended()
	spot, err := c.p.hold(ctx, x, &limits.Demand{Rules: rules, Use: e.expected, Most: e.most})
	cancel()
	x.spot = spot // of a refusal too: the client hears how it stands
	if err != nil {
		c.forgo(t)
		refused := asError(err)
		return &failure{err: refused, elsewhere: refused.Code != ClientGone && refused.Code != ShuttingDown, unsent: true}
	}
	defer func() { c.p.settle(x, spot) }() // where the reply's end has not done so
	return c.try(t)
}

// forgo lets go of a target to which nothing is sent.
func (c *carrier) forgo(t Target) { t.Provider.breakerFor(t.model(c.x.Model)).undo() }

// countsMoney reports whether what the call costs is bounded by its caller.
func (x *Exchange) countsMoney() bool {
	return x.maxCost > 0 || x.state.money && x.ceilings != nil && x.ceilings.decision.Tightest[limits.USD].Limit != nil
}

// afford is what an attempt at a target may use. A target is passed over that
// costs more than the client allows, or whose price is not known where the
// caller has a budget that wants it known.
func (c *carrier) afford(t Target, shared bool) (estimate, *failure) {
	x := c.x
	if !x.countsMoney() && !shared {
		return c.p.estimateTokens(x), nil
	}
	e := c.p.estimateAt(x, t)
	err := x.overCost(&e)
	if err == nil && e.expected.Unpriced > 0 {
		err = c.unpriced()
	}
	if err == nil {
		return e, nil
	}
	return e, &failure{err: err, elsewhere: true, unsent: true}
}

// unpriced is the refusal of a target of unknown price; nil: no budget of the
// caller's stands against it.
func (c *carrier) unpriced() *Error {
	rules := c.x.rules(c.x.state.callers, nil)
	i := slices.IndexFunc(rules, func(r limits.Rule) bool {
		return r.Limit.Dimension == limits.USD && r.Limit.Blocks() && r.Limit.Ceiling == 0
	})
	if i < 0 {
		return nil
	}
	c.p.metrics.limit(rules[i].Limit)
	return refusal(&limits.Decision{Refused: rules[i].Limit, Why: limits.Unpriced})
}
