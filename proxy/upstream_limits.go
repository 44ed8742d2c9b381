package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// What upstreams bound, and say of in their replies' headers.
const (
	ofRequests = iota
	ofTokens
	ofInput
	ofOutput
	measures
)

var measureNames = [measures]string{"requests", "tokens", "input_tokens", "output_tokens"}

// amounts are what a call takes of each measure.
type amounts [measures]int64

// Allowances are what an upstream has said of its own limits, by the model as
// it knows it. They are those of the provider's own key: limits are an
// account's. A State's successor shares them. The zero value knows nothing.
type allowances struct {
	some atomic.Bool // models has entries: most upstreams say nothing, and no call waits for mu then

	mu     sync.Mutex // guards the following field
	models map[string]*allowance
}

// maxModelName bounds, in bytes, the names that anything is learned of.
const maxModelName = 256

// look returns what is known of a model; nil: nothing.
func (s *allowances) look(model string) *allowance {
	if !s.some.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.models[model]
}

// open returns a model's entry, a new one where there is none.
func (s *allowances) open(model string, now time.Time) *allowance {
	s.some.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.models[model]
	if l != nil {
		return l
	}
	if s.models == nil || len(s.models) >= maxModels {
		s.sweep(now)
	}
	l = new(allowance)
	s.models[model] = l
	return l
}

// sweep makes room: what is over is forgotten, else all of it, for names may
// come from clients.
func (s *allowances) sweep(now time.Time) {
	for name, l := range s.models {
		if l.isOver(now) {
			delete(s.models, name)
		}
	}
	if s.models == nil || len(s.models) >= maxModels {
		s.models = make(map[string]*allowance)
	}
}

// An allowance is what an upstream has said of one model's limits, less what
// has been sent since. The zero allowance is without bounds.
type allowance struct {
	mu     sync.Mutex // guards the following fields
	sent   amounts    // in all, as far as it was counted
	quotas [measures]quota
	stop   stop      // of all calls
	large  stop      // of calls that are as large as the one refused
	steps  time.Time // until then its amounts are taken to come back all at once
	doubt  time.Time // until then its quotas are not believed: it took what they would not allow
	probe  time.Time // when a call is let through to see whether the quotas are true
}

// A quota is one measure's, as the upstream last said. The zero quota is none.
type quota struct {
	limit int64         // 0: not said
	left  int64         // when the upstream saw the call that it answered
	base  int64         // what had been sent then, that call included
	sent  time.Time     // when that call was: the order of what is said
	until time.Time     // when all of it is back, or what was said is forgotten
	per   time.Duration // in which one comes back; 0: all do at once
}

// A stop is the pause that a refusal asked for.
type stop struct {
	until  time.Time
	tokens int64 // of the refused call: smaller ones may pass. 0: of all calls
}

const (
	// limitsLast is how long at most anything said of a limit counts.
	limitsLast = time.Hour
	// doubtAfter is how long quotas alone keep calls away before one is let
	// through: a header may not mean what it says.
	doubtAfter = 10 * time.Second
	// doubtLasts is how long quotas are not believed that were shown to be wrong.
	doubtLasts = 10 * time.Minute
)

// A ticket is one call's room at an upstream. The zero ticket is of an
// upstream of which nothing is known.
type ticket struct {
	of    *allowance
	sent  time.Time
	need  amounts
	upTo  amounts // all that was sent, this call included
	probe bool    // by what is known it will be refused
}

// take takes the room that a call needs. Where the upstream would surely
// refuse it nothing is taken, and wait is how long it would: above 0.
func (l *allowance) take(now time.Time, need amounts) (t ticket, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait = max(l.stop.lasts(now, &need), l.large.lasts(now, &need)); wait > 0 {
		return t, wait
	}
	wait = l.lacks(now, &need)
	if wait > 0 && !l.probes(now) {
		return t, wait
	}
	for i, n := range need {
		l.sent[i] += n
	}
	return ticket{of: l, sent: now, need: need, upTo: l.sent, probe: wait > 0}, 0
}

// lacks is how long it takes until there is enough of everything, by what was said.
func (l *allowance) lacks(now time.Time, need *amounts) (wait time.Duration) {
	if now.Before(l.doubt) {
		return 0
	}
	steps := now.Before(l.steps)
	for i := range l.quotas {
		wait = max(wait, l.quotas[i].lacks(now, need[i], l.sent[i], steps))
	}
	return wait
}

// probes reports whether the quotas have kept calls away for long enough.
func (l *allowance) probes(now time.Time) bool {
	late := now.Sub(l.probe)
	if late < 0 {
		return false
	}
	l.probe = now.Add(doubtAfter)
	return late < doubtAfter // else nothing was kept away for a while
}

// lacks is how long it takes until n are there; sent is the allowance's.
func (q *quota) lacks(now time.Time, n, sent int64, steps bool) time.Duration {
	if n == 0 || !now.Before(q.until) || q.limit > 0 && n > q.limit {
		return 0 // nothing is known any more; or it never fits, and the upstream says why
	}
	n -= q.left - max(sent-q.base, 0)
	even := q.per > 0 && !steps
	if even {
		n -= int64(now.Sub(q.sent) / q.per)
	}
	if n <= 0 {
		return 0
	}
	rest := q.until.Sub(now)
	if even && n < int64(rest/q.per) {
		return max(time.Duration(n)*q.per, minWait)
	}
	return max(rest, minWait)
}

// minWait is the shortest pause: shorter ones are not worth telling apart.
const minWait = time.Millisecond

// lasts is how long a call has to wait for the end of a pause.
func (s *stop) lasts(now time.Time, need *amounts) time.Duration {
	if !now.Before(s.until) || need[ofTokens] < s.tokens {
		return 0
	}
	return max(s.until.Sub(now), minWait)
}

// hear takes what a reply says. What answers a call that was sent before the
// one that the last word answered says nothing new: upstreams count calls as
// they come, and replies overtake one another.
func (l *allowance) hear(w *word, t *ticket, accepted bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.probe && accepted {
		l.doubt = now.Add(doubtLasts)
	}
	for i := range w {
		q := &l.quotas[i]
		if !w[i].known || t.sent.Before(q.sent) || t.of == l && t.sent.Equal(q.sent) && t.upTo[i] < q.base {
			continue
		}
		*q = w[i].quota(t.sent, now)
		if t.of == l {
			q.base = t.upTo[i]
		}
	}
}

// refuse takes a refusal's pause; where it asks for none but says what is left,
// it was not true that the amounts come back evenly.
func (l *allowance) refuse(s stop, w *word, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s.until.IsZero():
		if w.isOut() {
			l.steps = now.Add(limitsLast)
		}
	case s.tokens > 0:
		l.large = s
	case s.until.After(l.stop.until):
		l.stop = s
	}
}

// giveBack takes back what was sent and has not come to be counted.
func (t *ticket) giveBack() {
	if t.of == nil {
		return
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	for i, n := range t.need {
		t.of.sent[i] -= n
	}
}

// isOver reports whether nothing that was said counts any more.
func (l *allowance) isOver(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	over := !now.Before(l.stop.until) && !now.Before(l.large.until)
	for i := range l.quotas {
		over = over && !now.Before(l.quotas[i].until)
	}
	return over
}

// left returns, for each measure, the least share that is left over the models,
// 0 to 1; below 0: it is not known.
func (s *allowances) left(now time.Time) (least [measures]float64) {
	for i := range least {
		least[i] = -1
	}
	if !s.some.Load() {
		return least
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.models {
		l.mu.Lock()
		for i := range l.quotas {
			q := &l.quotas[i]
			if q.limit == 0 || now.Sub(q.sent) > limitsLast {
				continue
			}
			if share := q.share(now, l.sent[i]); least[i] < 0 || share < least[i] {
				least[i] = share
			}
		}
		l.mu.Unlock()
	}
	return least
}

// share is how much of the limit is left, 0 to 1.
func (q *quota) share(now time.Time, sent int64) float64 {
	n := q.left - max(sent-q.base, 0)
	switch {
	case !q.until.IsZero() && !now.Before(q.until):
		return 1
	case q.per > 0:
		n += int64(now.Sub(q.sent) / q.per)
	}
	return float64(min(max(n, 0), q.limit)) / float64(q.limit)
}
