package proxy

import (
	"slices"

	"weir/limits"
)

// A ruleSet is the limits as calls look for them.
type ruleSet struct {
	callers []*ruleGroup // decided on once for each call
	shared  []*ruleGroup // and those of the whole deployment, for each attempt
	detours []*ruleGroup // of the shared ones those that ask for another model, which have to be known before a call has a target
	money   bool         // some of them are budgets
}

// A ruleGroup is the limits of one scope, measure and action. What is said of
// one value takes the place of what is said of each, whatever its zone.
type ruleGroup struct {
	each *namedLimit
	of   map[string]*namedLimit
}

// A namedLimit is a limit and its Name(), made once.
type namedLimit struct {
	*limits.Limit
	name string
}

// newRuleSet compiles limits.
func newRuleSet(list []*limits.Limit) (s ruleSet) {
	groups := map[string]*ruleGroup{}
	for _, l := range list {
		s.money = s.money || l.Dimension == limits.USD
		zoneless := *l
		zoneless.Zone = nil
		name := zoneless.Name()
		g := groups[name]
		if g == nil {
			g = &ruleGroup{of: map[string]*namedLimit{}}
			groups[name] = g
			switch {
			case !l.Scope.Shared():
				s.callers = append(s.callers, g)
			case l.Action == limits.Downgrade:
				s.detours = append(s.detours, g)
			default:
				s.shared = append(s.shared, g)
			}
		}
		if l.Value != "" {
			g.of[l.Value] = &namedLimit{l, l.Name()}
			continue
		}
		g.each = &namedLimit{l, l.Name()}
	}
	return s
}

// any is one of the group's limits, for what they have in common.
func (g *ruleGroup) any() *limits.Limit {
	if g.each != nil {
		return g.each.Limit
	}
	for _, l := range g.of {
		return l.Limit
	}
	return nil
}

// limit is the one for a value, or for a thing of that name; nil: none.
func (g *ruleGroup) limit(value, name string) *namedLimit {
	if l := g.of[value]; l != nil {
		return l
	}
	if l := g.of[name]; l != nil && name != "" {
		return l
	}
	return g.each
}

// rules are those of the groups that bind a call, at a target or, where t is
// nil, at none.
func (x *Exchange) rules(groups []*ruleGroup, t *Target) []limits.Rule {
	out := make([]limits.Rule, 0, len(groups))
	for _, g := range groups {
		value, name := x.value(g.any(), t)
		if value == "" && g.any().Scope != limits.Global {
			continue
		}
		if l := g.limit(value, name); l != nil {
			out = append(out, limits.Rule{Limit: l.Limit, Name: l.name, Value: value})
		}
	}
	return out
}

// value is what a limit counts a call under, and its name where it has one
// beside; "": it does not bind the call.
func (x *Exchange) value(l *limits.Limit, t *Target) (value, name string) {
	c := &x.Caller
	switch l.Scope {
	case limits.Key:
		if c.Key != nil {
			return c.Key.ID, c.Key.Name
		}
	case limits.Project:
		if c.Key != nil {
			return c.Key.ProjectID, c.Key.Project
		}
	case limits.Customer:
		return c.Customer, ""
	case limits.Feature:
		return c.Feature, ""
	case limits.User:
		return clip(x.View.User), ""
	case limits.Session:
		return c.Session, ""
	case limits.Tag:
		return c.Tags[l.Tag], ""
	case limits.Model: // as the ledger has it, whatever a limit has put in its place
		return x.call.AskedModel, ""
	case limits.Provider:
		if t != nil {
			return t.Provider.Name, ""
		}
	case limits.Target:
		if t != nil {
			return t.Provider.Name + "/" + clip(t.model(x.Model)), ""
		}
	}
	return "", ""
}

// budgeted reports whether some of the rules are budgets.
func budgeted(rules []limits.Rule) bool {
	return slices.ContainsFunc(rules, func(r limits.Rule) bool { return r.Limit.Dimension == limits.USD })
}

// SetLimits replaces the limits, and nothing else of the settings.
func (p *Proxy) SetLimits(list []*limits.Limit) {
	p.reload.Lock()
	defer p.reload.Unlock()
	st := *p.state.Load()
	st.Limits, st.ruleSet = list, newRuleSet(list)
	p.state.Store(&st)
}
