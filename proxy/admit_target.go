package proxy

import (
	"time"

	"weir/limits"
)

// ask makes an attempt at a target, as far as the limits of the target and of
// its provider let it. A refusal there means the next target.
func (c *carrier) ask(t Target) *failure {
	x := c.x
	rules := x.state.targetRules
	if len(rules) == 0 {
		return c.try(t)
	}
	d := estimated(x)
	d.Rules = make([]limits.Rule, 0, len(rules))
	for _, r := range rules {
		r.Value = t.Provider.Name
		if r.Limit.Scope == limits.Target {
			r.Value += "/" + clip(t.model(x.Model))
		}
		d.Rules = append(d.Rules, r)
	}
	spot := &ceilings{decision: c.p.limits.Reserve(c.ctx, &d), at: time.Now(), expected: d.Use, from: len(x.call.Attempts)}
	if err := c.p.judge(x, spot); err != nil {
		t.Provider.breakerFor(t.model(x.Model)).undo() // nothing was sent
		return &failure{err: err, elsewhere: true, unsent: true}
	}
	x.spot = spot
	defer func() { c.p.settle(x, spot) }() // where the reply's end has not done so
	return c.try(t)
}
