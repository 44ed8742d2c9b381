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
	marks  [2]mark    // of sent, some time ago
	open   amounts    // of calls that have no answer yet
	quotas [measures]quota
	stop   stop          // of all calls
	large  stop          // of calls that are as large as the one refused
	away   stop          // of all calls, since the upstream is overloaded: it may be well sooner
	steps  time.Time     // until then its amounts are taken to come back all at once
	doubt  time.Time     // until then its quotas are not believed: it took what they would not allow
	kept   time.Time     // when the quotas last kept a call away; zero: others like it went on since
	size   int64         // the fewest tokens of those that were kept away
	probe  time.Time     // when one is let through to see whether the quotas are true
	every  time.Duration // between two such; 0: none has been yet
}

// A quota is one measure's, as the upstream last said, less what was sent
// since. The zero quota is none.
type quota struct {
	limit int64         // 0: not said
	level int64         // what is left; below 0: more was sent than there is
	at    time.Time     // until when the level has been filled
	per   time.Duration // in which one comes back; 0: all do at once
	until time.Time     // when all of it is back, or what was said is forgotten
	trust time.Time     // until when it is filled evenly: past until the limit still holds
	sent  time.Time     // when the call was sent that the word answered: the order of words
	base  int64         // what had been sent in all by then, that call included
	over  bool          // the word counts no more: the level is the limit, less what was sent since
}

// A stop is the pause that a refusal asked for.
type stop struct {
	status int // of the refusal: 429, 503, 529
	until  time.Time
	tokens int64 // of the refused call: smaller ones may pass. 0: of all calls
}

const (
	// limitsLast is how long at most anything said of a limit counts.
	limitsLast = time.Hour
	// trustLasts is how long at least a bucket that fills evenly is reckoned on
	// after a word of it.
	trustLasts = time.Minute
	// doubtAfter is how long quotas alone keep calls away before one is let
	// through: a header may not mean what it says.
	doubtAfter = 10 * time.Second
	// doubtLasts is how long quotas are not believed that were shown to be wrong.
	doubtLasts = 10 * time.Minute
)

// A ticket is one call's room at an upstream. The zero ticket is of an
// upstream of which nothing is known.
type ticket struct {
	of     *allowance
	sent   time.Time
	need   amounts
	upTo   amounts // all that was sent, this call included
	beside amounts // what was sent shortly before and had no answer yet: the upstream may see it later
	shut   bool    // it is answered, or never will be
	away   bool    // take's, where it takes nothing
	probe  bool    // by what is known it will be refused
}

// take takes the room that a call needs. Where the upstream would surely
// refuse it nothing is taken, and wait is how long it would: above 0. t.away
// says that it asked for a pause, and may be well sooner.
func (l *allowance) take(now time.Time, need amounts) (t ticket, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait = max(l.stop.lasts(now, &need), l.large.lasts(now, &need)); wait > 0 {
		return t, wait
	}
	if wait = l.away.lasts(now, &need); wait > 0 {
		return ticket{away: true}, wait
	}
	wait = l.lacks(now, &need)
	switch {
	case wait == 0 && need[ofTokens] >= l.size:
		l.kept = time.Time{}
	case wait > 0 && !l.probes(now, need[ofTokens]):
		return t, wait
	}
	if now.Sub(l.marks[1].at) > overtaking {
		l.marks[0], l.marks[1] = l.marks[1], mark{now, l.sent}
	}
	t = ticket{of: l, sent: now, need: need, probe: wait > 0}
	for i := range t.beside {
		t.beside[i] = min(l.open[i], l.sent[i]-l.marks[0].sent[i])
	}
	l.send(&need, 1)
	t.upTo = l.sent
	return t, 0
}

// A mark is what had been sent at a moment.
type mark struct {
	at   time.Time
	sent amounts
}

// overtaking is by how much calls may overtake one another on their way.
const overtaking = 250 * time.Millisecond

// lacks is how long it takes until there is enough of everything, by what was said.
func (l *allowance) lacks(now time.Time, need *amounts) (wait time.Duration) {
	if now.Before(l.doubt) {
		return 0
	}
	steps := now.Before(l.steps)
	for i := range l.quotas {
		wait = max(wait, l.quotas[i].lacks(now, need[i], steps))
	}
	return wait
}

// probes reports whether the quotas have kept calls away for so long that one
// is to be sent all the same: ten seconds, then twice as long each time.
func (l *allowance) probes(now time.Time, tokens int64) bool {
	if now.Sub(l.kept) > doubtLasts {
		l.every = max(l.every, doubtAfter)
		l.probe, l.size = now.Add(l.every), tokens
	}
	l.kept, l.size = now, min(l.size, tokens)
	if now.Before(l.probe) {
		return false
	}
	l.every = min(2*l.every, doubtLasts)
	l.probe = now.Add(l.every)
	return true
}

// send counts what is sent; sign -1: what was not, after all.
func (l *allowance) send(need *amounts, sign int64) {
	for i, n := range need {
		l.sent[i] += sign * n
		l.open[i] += sign * n
		l.quotas[i].level -= sign * n
	}
}

// lacks is how long it takes until n are there.
func (q *quota) lacks(now time.Time, n int64, steps bool) time.Duration {
	even := q.per > 0 && !steps
	end := q.until
	if even {
		end = q.trust
	}
	if !now.Before(end) { // nothing is known any more
		if !q.over {
			q.over, q.level = true, q.limit
		}
		return 0
	}
	if n == 0 || q.limit > 0 && n > q.limit { // it never fits, and the upstream says why
		return 0
	}
	if even {
		q.fill(now)
	}
	n -= q.level
	if n <= 0 {
		return 0
	}
	rest := end.Sub(now)
	if even && n <= int64(rest/q.per) {
		rest = time.Duration(n)*q.per - now.Sub(q.at)
	}
	return max(rest, minWait)
}

// fill adds what has come back.
func (q *quota) fill(now time.Time) {
	n := now.Sub(q.at) / q.per
	if n <= 0 {
		return
	}
	q.at = q.at.Add(n * q.per)
	if q.level += int64(n); q.level >= q.limit {
		q.level, q.at = q.limit, now
	}
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
func (l *allowance) hear(w *word, t *ticket, status int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.probe && status < 400 {
		l.doubt, l.every = now.Add(doubtLasts), 0
	}
	if status == 429 && t.of == l && !t.shut { // it was not taken; where it counts all the same the next word says so
		l.send(&t.need, -1)
		t.shut = true
	}
	t.close()
	for i := range w {
		q := &l.quotas[i]
		if w[i].known && !t.sent.Before(q.sent) && (t.of != l || t.upTo[i] >= q.base || t.sent.After(q.sent)) {
			q.learn(&w[i], t, l, i, now)
		}
	}
}

// learn takes a word. What was sent after its call counts against it. It
// raises what is left by no more than is sure: a call that was sent later may
// have been seen first, and then what it was told does not know of the others.
func (q *quota) learn(s *saying, t *ticket, l *allowance, i int, now time.Time) {
	old, sent := *q, l.sent[i]
	*q = s.quota(t.sent, now)
	if t.of != l {
		q.level -= sent
		return
	}
	q.base = t.upTo[i]
	q.level -= max(sent-q.base, 0)
	sure := q.level - t.beside[i]
	if old.per > 0 && !old.over {
		old.fill(now)
	}
	if old.limit == q.limit && q.limit > 0 {
		q.level = min(q.level, max(old.level, sure))
		if isAmple(s.left, q.limit) && old.per > 0 { // it fills as it did
			q.per, q.trust = old.per, now.Add(trustLasts)
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
	case s.status != 429:
		l.away = s
	case s.tokens > 0:
		l.large = s
	case s.until.After(l.stop.until):
		l.stop = s
	}
}

// close notes that the call is no longer without an answer. l.mu is held.
func (t *ticket) close() {
	if t.of == nil || t.shut {
		return
	}
	t.shut = true
	for i, n := range t.need {
		t.of.open[i] -= n
	}
}

// end lets go of a call that has had no answer.
func (t *ticket) end() {
	if t.of == nil || t.shut {
		return
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.close()
}

// giveBack takes back what was sent and has not come to be counted.
func (t *ticket) giveBack() {
	if t.of == nil || t.shut {
		return
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.shut = true
	t.of.send(&t.need, -1)
}

// isOver reports whether nothing that was said counts any more.
func (l *allowance) isOver(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	over := !now.Before(l.stop.until) && !now.Before(l.large.until) && !now.Before(l.away.until)
	for i := range l.quotas {
		over = over && !now.Before(l.quotas[i].until) && !now.Before(l.quotas[i].trust)
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
			if share := q.share(now); least[i] < 0 || share < least[i] {
				least[i] = share
			}
		}
		l.mu.Unlock()
	}
	return least
}

// share is how much of the limit is left, 0 to 1.
func (q *quota) share(now time.Time) float64 {
	switch {
	case q.per > 0:
		q.fill(now)
	case !q.until.IsZero() && !now.Before(q.until):
		return 1
	}
	return float64(max(q.level, 0)) / float64(q.limit)
}
