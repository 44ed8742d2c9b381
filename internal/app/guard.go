package app

import (
	"context"
	"sync/atomic"
	"time"

	"weir/limits"
)

// A guard is a Limiter that holds budgets to their OnFailure as long as what
// was spent of them before is not known: after a start, and when they are new.
type guard struct {
	limits.Limiter
	unknown atomic.Pointer[map[*limits.Limit]*limits.Limit] // what each is until then; nil: all are known
}

// guardWait is what a client is told to wait while a budget is closed.
const guardWait = time.Second

// expect says which limits are not known. It is told before they are used.
func (g *guard) expect(unknown []*limits.Limit) {
	if len(unknown) == 0 {
		g.unknown.Store(nil)
		return
	}
	old, parts := g.unknown.Load(), make(map[*limits.Limit]*limits.Limit, len(unknown))
	for _, l := range unknown {
		if old != nil && (*old)[l] != nil {
			parts[l] = (*old)[l]
			continue
		}
		part := *l
		part.Amount, part.Soft = max(1, min(l.Amount, l.Exposure)), nil
		if l.Exposure == 0 {
			part.Amount = max(1, l.Amount/100)
		}
		parts[l] = &part
	}
	g.unknown.Store(&parts)
}

// Reserve is Limiter's.
func (g *guard) Reserve(ctx context.Context, d *limits.Demand) limits.Decision {
	unknown := g.unknown.Load()
	if unknown == nil {
		return g.Limiter.Reserve(ctx, d)
	}
	partial := *d
	partial.Rules = make([]limits.Rule, len(d.Rules))
	whole := map[*limits.Limit]*limits.Limit{}
	for i, r := range d.Rules {
		if part := (*unknown)[r.Limit]; part != nil && r.Limit.Blocks() {
			switch r.Limit.OnFailure {
			case limits.Closed:
				return limits.Decision{Refused: r.Limit, Value: r.Value, Asked: d.USD, Wait: guardWait, Why: limits.Failing}
			case limits.Open: // what is counted so far is not known to be all
			default:
				whole[part] = r.Limit
				r.Limit = part
			}
		}
		partial.Rules[i] = r
	}
	out := g.Limiter.Reserve(ctx, &partial)
	restore(&out, whole)
	return out
}

// restore names the limits themselves in a decision on parts of them.
func restore(d *limits.Decision, whole map[*limits.Limit]*limits.Limit) {
	if l := whole[d.Refused]; l != nil {
		d.Refused = l
		if d.Why != limits.Unpriced && d.Used+d.Asked <= l.Amount {
			d.Why, d.Wait = limits.Failing, guardWait
		}
	}
	if l := whole[d.Over]; l != nil {
		d.Over = l
	}
	for i := range d.Tightest {
		if l := whole[d.Tightest[i].Limit]; l != nil {
			d.Tightest[i].Limit = l
		}
	}
}
