package app

import (
	"context"
	"maps"
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
}

// maxWholes bounds the parts that are remembered.
const maxWholes = 4096

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
	wholes := map[*limits.Limit]*limits.Limit{}
	if old := g.wholes.Load(); old != nil && len(*old) < maxWholes {
		maps.Copy(wholes, *old)
	}
	for l, part := range parts {
		wholes[part] = l
	}
	g.wholes.Store(&wholes)
	g.unknown.Store(&parts)
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
	partial := *d
	partial.Rules = make([]limits.Rule, len(d.Rules))
	for i, r := range d.Rules {
		if part := (*unknown)[r.Limit]; part != nil && r.Limit.Blocks() {
			switch r.Limit.OnFailure {
			case limits.Closed:
				return limits.Decision{Refused: r.Limit, Value: r.Value, Asked: d.USD, Wait: guardWait, Why: limits.Failing}
			case limits.Open: // what is counted so far is not known to be all
			default:
				r.Limit = part
			}
		}
		partial.Rules[i] = r
	}
	out := g.Limiter.Reserve(ctx, &partial)
	g.restore(&out)
	return out
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
	if wholes := g.wholes.Load(); wholes != nil {
		for i := range list {
			if l := (*wholes)[list[i].Limit]; l != nil {
				list[i].Limit, list[i].Remaining = l, max(0, l.Amount-list[i].Used)
			}
		}
	}
	return list, err
}

// restore names the limits themselves in a decision on parts of them.
func (g *guard) restore(d *limits.Decision) {
	wholes := g.wholes.Load()
	if wholes == nil {
		return
	}
	whole := *wholes
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
