package limits

import (
	"cmp"
	"time"
)

// A part is a limit that stands in for another one while less is known than
// that wants: a process's share of a rate, or what a budget has spent and its
// exposure. Decisions on parts name the limits themselves (restore).

// failWait is what a client is told to wait while a limit is closed.
const failWait = time.Second

// exposed is what of a budget may be spent where so much of it is known to be.
func (l *Limit) exposed(spent int64, replicas int) *Limit {
	part := *l
	part.Soft, part.whole = nil, l
	part.Amount = max(1, min(l.Amount, spent+l.exposure(replicas)))
	return &part
}

// exposure is what a process lets through of a budget while the store fails:
// where it is not stated, a hundredth of the amount, for all replicas.
func (l *Limit) exposure(replicas int) int64 {
	return max(1, cmp.Or(l.Exposure, l.Amount/100/int64(max(1, replicas))))
}

// sharedBy is a process's share of a rate, or of slots.
func (l *Limit) sharedBy(replicas int) *Limit {
	n, part := int64(replicas), *l
	part.Soft, part.whole = nil, l
	part.Amount, part.Burst = max(1, l.Amount/n), max(1, l.burst()/n)
	if l.Dimension == Concurrent {
		part.Burst = 0
	}
	return &part
}

// restore names the limits themselves in a decision on parts of them. A budget
// that its exposure closes is not spent: nobody knows.
func (d *Decision) restore() {
	if l := d.Refused; l != nil && l.whole != nil {
		d.Refused = l.whole
		d.failing()
	}
	if l := d.Over; l != nil && l.whole != nil {
		d.Over = l.whole
	}
	for i := range d.Tightest {
		if s := &d.Tightest[i]; s.Limit != nil && s.Limit.whole != nil {
			s.Limit = s.Limit.whole
		}
	}
}

// failing says of a refusal by a part of a limit that the limit itself would
// not have refused that it is due to the failure.
func (d *Decision) failing() {
	if l := d.Refused; l.Dimension == USD && d.Why != Unpriced && d.Used+d.Asked <= l.Amount {
		d.Why, d.Wait = Failing, failWait
	}
}
