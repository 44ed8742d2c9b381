package proxy

import (
	"errors"
	"slices"

	"weir/limits"
)

// ask makes an attempt at a target, as far as the limits of the caller, the
// target, its provider and the whole deployment let it. A refusal by one of
// the latter three means the next target.
func (c *carrier) ask(t Target) *failure {
	if f := c.topUp(); f != nil {
		c.forgo(t)
		return f
	}
	x := c.x
	rules := x.rules(x.state.shared, &t)
	if len(rules) == 0 && !x.countsMoney() {
		return c.try(t)
	}
	var e estimate
	if x.countsMoney() || budgeted(rules) {
		e = c.p.estimateAt(x, t)
		if f := c.affordable(t, &e); f != nil {
			return f
		}
	} else {
		e = c.p.estimateTokens(x)
	}
	spot, err := c.p.hold(c.ctx, x, &limits.Demand{Rules: rules, Use: e.expected, Most: e.most})
	x.spot = spot // of a refusal too: the client hears how it stands
	if err != nil {
		c.forgo(t)
		if refused, ok := errors.AsType[*Error](err); ok {
			x.turnedAway = true
			return &failure{err: refused, elsewhere: true, unsent: true}
		}
		return &failure{err: asError(err), unsent: true}
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

// affordable refuses a target that costs more than the client allows, or whose
// price is not known where the caller has a budget that wants it known.
func (c *carrier) affordable(t Target, e *estimate) *failure {
	x := c.x
	err := x.overCost(e)
	if err == nil && e.expected.Unpriced > 0 {
		rules := x.rules(x.state.callers, nil)
		i := slices.IndexFunc(rules, func(r limits.Rule) bool {
			return r.Limit.Dimension == limits.USD && r.Limit.Blocks() && r.Limit.Ceiling == 0
		})
		if i >= 0 {
			c.p.metrics.limit(rules[i].Limit)
			err = refusal(&limits.Decision{Refused: rules[i].Limit, Why: limits.Unpriced})
		}
	}
	if err == nil {
		return nil
	}
	c.forgo(t)
	x.turnedAway = true
	return &failure{err: err, elsewhere: true, unsent: true}
}
