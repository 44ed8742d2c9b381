package limits

import (
	"context"
	"sync"
	"time"
)

// A fallback decides in this process's memory while Redis fails, by each
// limit's OnFailure.
type fallback struct {
	memory *Memory

	mu     sync.Mutex // guards the following fields
	shares map[*Limit]*Limit
	of     int // replicas that shares are for
	begun  time.Time
	bases  map[counterKey]int64 // what was known to be spent then
}

// singleTime is how long the exposure of single steps that failed goes on:
// the ledger corrects the sums as often.
const singleTime = time.Minute

// topUp is Limiter's.
func (f *fallback) topUp(ctx context.Context, h Hold, more, most Use) Decision {
	out := f.memory.TopUp(ctx, h, more, most)
	out.restore()
	return out
}

// begin begins an outage: what is known now is what Exposure is on top of.
func (f *fallback) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bases, f.begun = map[counterKey]int64{}, time.Now()
}

// single lets a decision be taken here though there is no outage.
func (f *fallback) single() {
	f.mu.Lock()
	old := time.Since(f.begun) > singleTime
	f.mu.Unlock()
	if old {
		f.begin()
	}
}

// reserve is Limiter's, by the policies.
func (f *fallback) reserve(ctx context.Context, d *Demand, replicas int) (out Decision) {
	local := *d
	local.Rules = make([]Rule, 0, len(d.Rules))
	for _, r := range d.Rules[:min(len(d.Rules), MaxRules)] {
		l := r.Limit
		switch l.OnFailure {
		case Open:
			continue
		case Closed:
			if out.meet(l, failWait, Failing) {
				out.Value, out.Asked = r.Value, l.asked(d)
			}
			continue
		}
		r.Limit = f.share(&r, d.Project, replicas)
		local.Rules = append(local.Rules, r)
	}
	if out.Refused != nil {
		return out
	}
	over := out.Over
	out = f.memory.Reserve(ctx, &local)
	out.restore()
	if over != nil && (out.Over == nil || severity(over.Action) > severity(out.Over.Action)) {
		out.Over = over
	}
	return out
}

// share is what this process may let through of a rule's limit: of a rate its
// share of the replicas, of money what is known and the exposure.
func (f *fallback) share(r *Rule, project string, replicas int) *Limit {
	l := r.Limit
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.Dimension == USD {
		return l.exposed(f.base(r, project), replicas)
	}
	if replicas <= 1 {
		return l
	}
	if f.shares == nil || f.of != replicas || len(f.shares) >= maxPlans {
		f.shares, f.of = map[*Limit]*Limit{}, replicas
	}
	part := f.shares[l]
	if part == nil {
		part = l.sharedBy(replicas)
		f.shares[l] = part
	}
	return part
}

// base is what was known to be spent when the outage began. Where too many
// values are met, the rest is taken to have spent nothing.
func (f *fallback) base(r *Rule, project string) int64 {
	if f.bases == nil {
		f.bases = map[counterKey]int64{}
	}
	m := f.memory
	m.mu.Lock()
	key := m.key(r, project, m.tick())
	known := int64(0)
	if c := m.counters[key]; c != nil {
		known = c.spent
	}
	m.unlock()
	if at, ok := f.bases[key]; ok {
		return at
	}
	if len(f.bases) < maxCounters {
		f.bases[key] = known
	}
	return known
}

// know raises a budget's sum to what Redis says of it, and adds what Redis was
// not told of yet.
func (m *Memory) know(p *heldPart, project string, spent, more int64) {
	m.mu.Lock()
	defer m.unlock()
	now := m.tick()
	key := counterKey{p.plan.name, project, p.value, p.since}
	c := m.counter(&key, p.plan.limit, now)
	c.spent = max(c.spent, spent)
	c.charge(p.plan.limit, more, now)
}
