package app

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"weir/limits"
)

// A guard is a Limiter that holds budgets to their OnFailure as long as what
// was spent of them before is not known: after a start, and when they are new.
type guard struct {
	limits.Limiter
	unknown atomic.Pointer[map[*limits.Limit]*limits.Limit] // what each is until then; nil: all are known
	wholes  atomic.Pointer[map[*limits.Limit]*limits.Limit] // whose parts they are: calls hold them for longer

	mu    sync.Mutex // guards the following fields
	met   map[metKey]*limits.Limit
	grown map[*limits.Limit]*limits.Limit // whose parts those of met are that grew
}

// A metKey is a value that was met while its budget is not known. What the
// Limiter had counted of it by then, Redis has from before or from other
// processes: the exposure is on top of that.
type metKey struct {
	limit          *limits.Limit
	project, value string
}

// maxWholes bounds the parts that are remembered, and maxMet the values that
// are met; of others the exposure is all that they may spend.
const (
	maxWholes = 4096
	maxMet    = 1 << 14
)

// guardWait is what a client is told to wait while a budget is closed.
const guardWait = time.Second

// expect says which limits are not known. It is told before they are used.
func (g *guard) expect(unknown []*limits.Limit) {
	if len(unknown) == 0 {
		g.unknown.Store(nil)
		g.forget(nil)
		return
	}
	old, parts := g.unknown.Load(), make(map[*limits.Limit]*limits.Limit, len(unknown))
	for _, l := range unknown {
		if old != nil && (*old)[l] != nil {
			parts[l] = (*old)[l]
			continue
		}
		parts[l] = partOf(l, 0)
	}
	wholes := map[*limits.Limit]*limits.Limit{}
	if old := g.wholes.Load(); old != nil && len(*old) < maxWholes {
		maps.Copy(wholes, *old)
	}
	for l, part := range parts {
		wholes[part] = l
	}
	g.wholes.Store(&wholes)
	g.unknown.Store(&parts)
	g.forget(parts)
}

// partOf is what of a budget may be spent where so much of it is known to be.
func partOf(l *limits.Limit, spent int64) *limits.Limit {
	part := *l
	part.Amount, part.Soft = min(l.Amount, spent+max(1, cmp.Or(l.Exposure, l.Amount/100))), nil
	return &part
}

// forget forgets the values of budgets that are known now.
func (g *guard) forget(unknown map[*limits.Limit]*limits.Limit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.met, func(k metKey, _ *limits.Limit) bool { return unknown[k.limit] == nil })
	if len(g.grown) >= maxMet {
		clear(g.grown)
	}
}

// part is what a budget is for a value until it is known.
func (g *guard) part(part *limits.Limit, k metKey) *limits.Limit {
	g.mu.Lock()
	defer g.mu.Unlock()
	return cmp.Or(g.met[k], part)
}

// meet notes what a decision says of the values that it met for the first
// time. It reports whether one of them is to be decided on again, by more.
func (g *guard) meet(d *limits.Demand, partial *limits.Demand, out *limits.Decision) (again bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.met == nil {
		g.met, g.grown = map[metKey]*limits.Limit{}, map[*limits.Limit]*limits.Limit{}
	}
	for i, r := range d.Rules {
		part := partial.Rules[i].Limit
		k := keyOfRule(d, &r)
		if part == r.Limit || g.met[k] != nil || len(g.met) >= maxMet || out.Refused != nil && out.Refused != part {
			continue
		}
		if out.Refused == part && out.Used > 0 {
			part, again = partOf(r.Limit, out.Used), true
			g.grown[part] = r.Limit
		}
		g.met[k] = part
	}
	return again
}

func keyOfRule(d *limits.Demand, r *limits.Rule) metKey {
	if r.Limit.Scope.Shared() {
		return metKey{r.Limit, "", r.Value}
	}
	return metKey{r.Limit, d.Project, r.Value}
}

// count is how many are not known.
func (g *guard) count() int {
	if unknown := g.unknown.Load(); unknown != nil {
		return len(*unknown)
	}
	return 0
}

// Reserve is Limiter's.
func (g *guard) Reserve(ctx context.Context, d *limits.Demand) limits.Decision {
	unknown := g.unknown.Load()
	if unknown == nil {
		return g.Limiter.Reserve(ctx, d)
	}
	for range limits.MaxRules {
		partial, closed := g.partial(*unknown, d)
		if closed != nil {
			return *closed
		}
		out := g.Limiter.Reserve(ctx, partial)
		if !g.meet(d, partial, &out) {
			g.restore(&out)
			return out
		}
	}
	return g.Limiter.Reserve(ctx, d) // all of its budgets have grown, each once
}

// partial is a demand on what budgets are until they are known; closed is the
// refusal by one that lets nothing through then.
func (g *guard) partial(unknown map[*limits.Limit]*limits.Limit, d *limits.Demand) (partial *limits.Demand, closed *limits.Decision) {
	p := *d
	p.Rules = make([]limits.Rule, len(d.Rules))
	for i, r := range d.Rules {
		if part := unknown[r.Limit]; part != nil && r.Limit.Blocks() {
			switch r.Limit.OnFailure {
			case limits.Closed:
				return nil, &limits.Decision{Refused: r.Limit, Value: r.Value, Asked: d.USD, Wait: guardWait, Why: limits.Failing}
			case limits.Open: // what is counted so far is not known to be all
			default:
				r.Limit = g.part(part, keyOfRule(d, &r))
			}
		}
		p.Rules[i] = r
	}
	return &p, nil
}

// TopUp is Limiter's.
func (g *guard) TopUp(ctx context.Context, h limits.Hold, more, most limits.Use) limits.Decision {
	out := g.Limiter.TopUp(ctx, h, more, most)
	g.restore(&out)
	return out
}

// Status is Limiter's.
func (g *guard) Status(ctx context.Context) ([]limits.Standing, error) {
	list, err := g.Limiter.Status(ctx)
	for i := range list {
		if l := g.whole(list[i].Limit); l != nil {
			list[i].Limit, list[i].Remaining = l, max(0, l.Amount-list[i].Used)
		}
	}
	return list, err
}

// restore names the limits themselves in a decision on parts of them.
func (g *guard) restore(d *limits.Decision) {
	if g.wholes.Load() == nil {
		return
	}
	if l := g.whole(d.Refused); l != nil {
		d.Refused = l
		if d.Why != limits.Unpriced && d.Used+d.Asked <= l.Amount {
			d.Why, d.Wait = limits.Failing, guardWait
		}
	}
	if l := g.whole(d.Over); l != nil {
		d.Over = l
	}
	for i := range d.Tightest {
		if l := g.whole(d.Tightest[i].Limit); l != nil {
			d.Tightest[i].Limit = l
		}
	}
}

// whole is the limit that a part is of; nil: it is none.
func (g *guard) whole(part *limits.Limit) *limits.Limit {
	wholes := g.wholes.Load()
	if part == nil || wholes == nil {
		return nil
	}
	if l := (*wholes)[part]; l != nil {
		return l
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.grown[part]
}
