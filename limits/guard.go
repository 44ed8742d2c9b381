package limits

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
)

// A Guard is a Limiter that holds budgets to their OnFailure as long as what
// was spent of them before is not known: after a start, and when they are new.
type Guard struct {
	Limiter
	unknown atomic.Pointer[map[*Limit]*Limit] // what each is until then; nil: all are known

	mu  sync.Mutex // guards the following field
	met map[metKey]*Limit
}

// A metKey is a value that was met while its budget is not known. What the
// Limiter had counted of it by then, Redis has from before or from other
// processes: the exposure is on top of that.
type metKey struct {
	limit          *Limit
	project, value string
}

// maxMet bounds the values that are met; of others the exposure is all that
// they may spend.
const maxMet = 1 << 14

// NewGuard returns a Guard to whom all budgets are known.
func NewGuard(l Limiter) *Guard { return &Guard{Limiter: l} }

// Expect says which budgets are not known. It is told before they are used.
func (g *Guard) Expect(unknown []*Limit) {
	parts := make(map[*Limit]*Limit, len(unknown))
	old := g.Unknown()
	for _, l := range unknown {
		if parts[l] = old[l]; parts[l] == nil {
			parts[l] = l.exposed(0, 1)
		}
	}
	if len(parts) == 0 {
		g.unknown.Store(nil)
	} else {
		g.unknown.Store(&parts)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.met, func(k metKey, _ *Limit) bool { return parts[k.limit] == nil })
}

// Unknown are the budgets that are not known, and what each is until then. It
// is not to be changed.
func (g *Guard) Unknown() map[*Limit]*Limit {
	if unknown := g.unknown.Load(); unknown != nil {
		return *unknown
	}
	return nil
}

// part is what a budget is for a value until it is known.
func (g *Guard) part(part *Limit, k metKey) *Limit {
	g.mu.Lock()
	defer g.mu.Unlock()
	if met := g.met[k]; met != nil {
		return met
	}
	return part
}

// meet notes what a decision says of the values that it met for the first
// time. It reports whether one of them is to be decided on again, by more.
func (g *Guard) meet(d, partial *Demand, out *Decision) (again bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.met == nil {
		g.met = map[metKey]*Limit{}
	}
	for i := range d.Rules {
		r, part := &d.Rules[i], partial.Rules[i].Limit
		k := keyOfRule(d, r)
		refuses := out.Refused == part
		if part == r.Limit || g.met[k] != nil || len(g.met) >= maxMet || out.Refused != nil && !refuses {
			continue
		}
		if refuses && out.Used > 0 {
			part, again = r.Limit.exposed(out.Used, 1), true
		}
		g.met[k] = part
	}
	return again
}

func keyOfRule(d *Demand, r *Rule) metKey {
	if r.Limit.Scope.Shared() {
		return metKey{r.Limit, "", r.Value}
	}
	return metKey{r.Limit, d.Project, r.Value}
}

// Reserve is Limiter's.
func (g *Guard) Reserve(ctx context.Context, d *Demand) Decision {
	unknown := g.Unknown()
	if unknown == nil {
		return g.Limiter.Reserve(ctx, d)
	}
	for range MaxRules {
		partial, closed := g.partial(unknown, d)
		if closed != nil {
			return *closed
		}
		out := g.Limiter.Reserve(ctx, partial)
		if !g.meet(d, partial, &out) {
			out.restore()
			return out
		}
	}
	return g.Limiter.Reserve(ctx, d) // all of its budgets have grown, each once
}

// partial is a demand on what budgets are until they are known; closed is the
// refusal by one that lets nothing through then.
func (g *Guard) partial(unknown map[*Limit]*Limit, d *Demand) (partial *Demand, closed *Decision) {
	p := *d
	p.Rules = make([]Rule, len(d.Rules))
	for i, r := range d.Rules {
		if part := unknown[r.Limit]; part != nil && r.Limit.Blocks() {
			switch r.Limit.OnFailure {
			case Closed:
				return nil, &Decision{Refused: r.Limit, Value: r.Value, Asked: r.Limit.asked(d), Wait: failWait, Why: Failing}
			case Open: // what is counted so far is not known to be all
			default:
				r.Limit = g.part(part, keyOfRule(d, &r))
			}
		}
		p.Rules[i] = r
	}
	return &p, nil
}

// TopUp is Limiter's.
func (g *Guard) TopUp(ctx context.Context, h Hold, more, most Use) Decision {
	out := g.Limiter.TopUp(ctx, h, more, most)
	out.restore()
	return out
}

// Status is Limiter's.
func (g *Guard) Status(ctx context.Context) ([]Standing, error) {
	list, err := g.Limiter.Status(ctx)
	for i := range list {
		if s := &list[i]; s.Limit.whole != nil {
			s.Limit = s.Limit.whole
			s.Remaining = max(0, s.Limit.Amount-s.Used)
		}
	}
	return list, err
}
