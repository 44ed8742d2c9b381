package limits

import (
	"context"
	"sync"
	"time"
)

// maxLate bounds the ends of calls that wait for Redis. Those beyond it are
// dropped: their leases expire, and count by their estimates.
const maxLate = 1 << 14

// A lateEnd is the end of what a call holds on Redis, to be told later.
type lateEnd struct {
	share *share
	how   string
	used  Use
}

// A lateQueue has the ends that Redis did not take. The zero queue is empty.
type lateQueue struct {
	mu      sync.Mutex // guards the following fields
	ends    []lateEnd
	taken   int // that are being told
	dropped int64
}

func (q *lateQueue) push(e lateEnd) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ends) >= maxLate {
		q.dropped++
		return
	}
	q.ends = append(q.ends, e)
}

// take takes all ends out, to be told one by one.
func (q *lateQueue) take() []lateEnd {
	q.mu.Lock()
	defer q.mu.Unlock()
	ends := q.ends
	q.ends, q.taken = nil, len(ends)
	return ends
}

// told notes that one of those that were taken was told.
func (q *lateQueue) told() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken--
}

// putBack puts ends before those that came since.
func (q *lateQueue) putBack(ends []lateEnd) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ends, q.taken = append(ends, q.ends...), 0
	if over := len(q.ends) - maxLate; over > 0 {
		q.dropped += int64(over)
		q.ends = q.ends[:maxLate]
	}
}

func (q *lateQueue) counts() (waiting int, dropped int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ends) + q.taken, q.dropped
}

// later keeps the end of a call for Redis. What was spent is known here at once.
func (r *Redis) later(sh *share, how string, used Use) {
	r.late.push(lateEnd{sh, how, used})
	if how != "settle" {
		return
	}
	for i := range sh.parts {
		if p := &sh.parts[i]; p.plan.limit.Dimension == USD {
			r.local.memory.know(p, sh.project, 0, p.plan.limit.of(&used))
		}
	}
}

// known keeps a sum of money that Redis has said.
func (r *Redis) known(p *heldPart, project string, spent int64) {
	r.local.memory.know(p, project, spent, 0)
}

// flush tells Redis the ends that it was not told of, as far as it goes in a
// time; telling it twice does no harm. False: it did not answer.
func (r *Redis) flush(patience time.Duration) bool {
	until := time.Now().Add(patience)
	ends := r.late.take()
	for i := range ends {
		e := &ends[i]
		if time.Now().After(until) {
			r.late.putBack(ends[i:])
			return true
		}
		if err := r.store.end(context.Background(), e.share, e.how, &e.used); err != nil {
			r.late.putBack(ends[i:])
			return false
		}
		r.late.told()
	}
	return true
}
