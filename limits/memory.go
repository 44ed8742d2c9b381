package limits

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Memory keeps the counts of one process. Create it with NewMemory.
//
// The count of a rate has two parts: what calls under way hold, which stays
// until they end, and what ended calls used, which flows off at the limit's
// rate. A call is admitted where both and its own estimate fit into the burst,
// so that what is settled in any time t is at most burst + rate × t, however
// the estimates were. A budget's second part stays until its period ends. One
// lock guards all counts: a decision is a few map look-ups.
type Memory struct {
	now   func() time.Time
	cross func(Crossing)
	ttl   time.Duration
	max   int // counters

	mu       sync.Mutex // guards the following fields
	start    time.Time
	last     int64 // the latest time seen: rates never run back
	counters map[counterKey]*counter
	spans    map[*Limit]period
	crossed  []Crossing // to be told
	sweepAt  int        // counters
	swept    int64      // when the last sweep was
	oldest   *lease     // of the leases under way, by when they expire
	newest   *lease
	free     *lease
}

// A tick is a moment: since the start, which never runs back, and on the wall
// clock, in Unix nanoseconds.
type tick struct{ elapsed, wall int64 }

// A period is that of a budget at some time, in Unix nanoseconds.
type period struct{ since, until int64 }

// maxCounters bounds the counts that are kept: values come from clients.
const maxCounters = 1 << 18

// sweepPause is between two sweeps: where all counts are in use, each new value
// would else go through all of them in vain.
const sweepPause = time.Second

// NewMemory returns a Memory without counts.
func NewMemory(o Options) *Memory {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Memory{
		now: o.Now, cross: o.Crossed, ttl: LeaseTime, max: maxCounters, start: o.Now(),
		counters: map[counterKey]*counter{}, spans: map[*Limit]period{}, sweepAt: 1024,
	}
}

// tick returns the time, and ends what has expired.
func (m *Memory) tick() tick {
	t := m.now()
	m.last = max(m.last, int64(t.Sub(m.start)))
	now := tick{m.last, t.UnixNano()}
	m.reap(now)
	return now
}

// unlock ends what mu guards, and tells of the thresholds that were passed.
func (m *Memory) unlock() {
	told := m.crossed
	m.crossed = nil
	m.mu.Unlock()
	for i := range told {
		m.cross(told[i])
	}
}

// Reserve is Limiter's.
func (m *Memory) Reserve(_ context.Context, d *Demand) (out Decision) {
	m.mu.Lock()
	defer m.unlock()
	now := m.tick()
	rules := d.Rules[:min(len(d.Rules), MaxRules)]
	var found [MaxRules]*counter
	var keys [MaxRules]counterKey
	var left uint64 // rules that are left out of their counts
	for i := range rules {
		l := rules[i].Limit
		keys[i] = m.key(&rules[i], d.Project, now)
		found[i] = m.counter(&keys[i], l, now)
		asked := l.asked(d)
		wait, full, why := found[i].full(l, asked, now)
		if l.unpriced(d) {
			wait, full, why = 0, true, Unpriced
		}
		if !full {
			continue
		}
		if l.leaves() {
			left |= 1 << i
		}
		if out.meet(l, wait, why) {
			out.Value, out.Asked, out.Used = rules[i].Value, asked, found[i].used(l, now)
		}
	}
	if out.Refused == nil {
		out.Hold = m.hold(d, found[:len(rules)], keys[:len(rules)], left, now)
	}
	for i := range rules {
		out.Note(found[i].standing(&keys[i], rules[i].Limit, now))
	}
	return out
}

// meet notes a limit that is full; true: it is now the one that refuses.
func (d *Decision) meet(l *Limit, wait time.Duration, why Why) bool {
	switch {
	case !l.Blocks():
		if d.Over == nil || severity(l.Action) > severity(d.Over.Action) {
			d.Over = l
		}
		return false
	case d.Refused != nil && (d.Why == Unpriced || why != Unpriced && wait <= d.Wait):
		return false
	}
	d.Refused, d.Wait, d.Why = l, wait, why
	return true
}

func severity(a Action) int {
	switch a {
	case Downgrade:
		return 2
	case Warn:
		return 1
	}
	return 0
}

// Note keeps the standing with the least left. Of providers and targets the
// client hears nothing: another one may serve its next call.
func (d *Decision) Note(s Standing) {
	if !s.Limit.Blocks() || s.Limit.Scope == Provider || s.Limit.Scope == Target {
		return
	}
	if t := &d.Tightest[s.Limit.Dimension]; t.Limit == nil || s.Remaining < t.Remaining {
		*t = s
	}
}

// hold puts a demand on its counters.
func (m *Memory) hold(d *Demand, found []*counter, keys []counterKey, left uint64, now tick) Hold {
	if len(found) == 0 {
		return Hold{}
	}
	s := m.lease()
	s.began = now.elapsed
	for i, c := range found {
		if left&(1<<i) != 0 {
			continue
		}
		l := d.Rules[i].Limit
		p := part{c: c, limit: l, key: keys[i], amount: l.asked(d)}
		before := c.used(l, now)
		if l.Dimension == Requests {
			c.charge(l, p.amount, now)
			p.charged, p.until = true, c.until
		} else {
			c.held += p.amount
		}
		if l.Dimension != USD {
			m.passed(&p, before, now)
		}
		c.users++
		s.parts[s.n] = p
		s.n++
	}
	m.push(s, now)
	return Hold{lease: s, gen: s.gen}
}

// passed notes a soft threshold that was passed since a count stood at before.
func (m *Memory) passed(p *part, before int64, now tick) {
	if len(p.limit.Soft) == 0 || m.cross == nil {
		return
	}
	after := p.c.used(p.limit, now)
	if p.limit.Dimension == USD {
		after = p.c.spent
	}
	percent := p.limit.Crossed(before, after)
	if percent == 0 {
		return
	}
	since := time.Unix(p.key.since, 0)
	if w := p.limit.Window; w > 0 {
		since = time.Unix(0, now.wall-now.wall%int64(w))
	}
	m.crossed = append(m.crossed, Crossing{Limit: p.limit, Project: p.key.project, Value: p.key.value, Since: since.UTC(), Percent: percent, Used: after})
}

// TopUp is Limiter's.
func (m *Memory) TopUp(_ context.Context, h Hold, more, most Use) (out Decision) {
	m.mu.Lock()
	defer m.unlock()
	now := m.tick()
	s := h.lease
	if s == nil || s.gen != h.gen || s.expired {
		return Decision{}
	}
	d := Demand{Use: more, Most: most}
	for i := range s.parts[:s.n] {
		p := &s.parts[i]
		l := p.limit
		if l.perCall() {
			continue
		}
		asked := l.asked(&d)
		wait, full, why := p.c.full(l, asked, now)
		if l.unpriced(&d) {
			wait, full, why = 0, true, Unpriced
		}
		if full && out.meet(l, wait, why) {
			out.Value, out.Asked, out.Used = p.key.value, asked, p.c.used(l, now)
		}
	}
	if out.Refused != nil {
		return out
	}
	for i := range s.parts[:s.n] {
		if p := &s.parts[i]; !p.limit.perCall() {
			p.add(p.limit.asked(&d), now)
		}
	}
	out.Hold = h
	return out
}

// perCall reports whether a call counts once, however many attempts it takes.
func (l *Limit) perCall() bool { return l.Dimension == Requests || l.Dimension == Concurrent }

// Release is Limiter's.
func (m *Memory) Release(h Hold) { m.end(h, &Use{}, true) }

// Settle is Limiter's.
func (m *Memory) Settle(h Hold, used Use) { m.end(h, &used, false) }

// end ends a reservation.
func (m *Memory) end(h Hold, used *Use, released bool) {
	if h.lease == nil {
		return
	}
	m.mu.Lock()
	defer m.unlock()
	now := m.tick()
	s := h.lease
	if s.gen != h.gen {
		return
	}
	for i := range s.parts[:s.n] {
		p := &s.parts[i]
		if s.expired { // the count may have been forgotten since
			p.c = m.counter(&p.key, p.limit, now)
			p.c.users++
		}
		m.settle(p, used, now)
		if released && p.limit.Dimension == Requests { // as far as it has not flowed off
			p.c.until -= max(0, min(p.limit.long(1), p.until-now.elapsed))
		}
	}
	if !s.expired {
		m.unlink(s)
	}
	clear(s.parts[:s.n])
	s.gen++
	s.next, m.free = m.free, s
}

// settle replaces the estimate by what was used. Of a rate's estimate that was
// charged already only what goes beyond it is still to be charged: the rest
// may have flowed off.
func (m *Memory) settle(p *part, used *Use, now tick) {
	p.c.users--
	if !p.charged {
		p.c.held -= p.amount
	}
	if p.limit.perCall() {
		return
	}
	n := p.limit.of(used)
	if p.limit.Dimension == USD && used.Unpriced > 0 && p.limit.Ceiling == 0 {
		n = max(n, p.amount) // unknown is never nothing
	}
	before := p.c.spent
	switch {
	case !p.charged:
		p.c.charge(p.limit, n, now)
	case p.limit.Dimension == USD || n > p.amount:
		p.c.charge(p.limit, n-p.amount, now)
	}
	if p.limit.Dimension == USD {
		m.passed(p, before, now)
	}
}

// Heartbeat is Limiter's.
func (m *Memory) Heartbeat(h Hold) bool {
	if h.lease == nil {
		return false
	}
	m.mu.Lock()
	defer m.unlock()
	now := m.tick()
	s := h.lease
	if s.gen != h.gen || s.expired {
		return false
	}
	for i := range s.parts[:s.n] {
		p := &s.parts[i]
		if w := p.limit.Window; !p.charged && w > 0 && now.elapsed-s.began >= int64(w) {
			p.convert(now)
		}
	}
	m.unlink(s)
	m.push(s, now)
	return true
}

// Correct is Limiter's. It never fails.
func (m *Memory) Correct(_ context.Context, l *Limit, since time.Time, spent []Sum) error {
	m.mu.Lock()
	defer m.unlock()
	now := m.tick()
	name := l.Name()
	for i := range spent {
		key := counterKey{name, spent[i].Project, spent[i].Value, since.Unix()}
		c := m.counter(&key, l, now)
		before := c.spent
		c.spent = max(before, l.of(&Use{USD: spent[i].USD, Unpriced: spent[i].Unpriced})-c.held)
		m.passed(&part{c: c, limit: l, key: key}, before, now)
	}
	return nil
}

// Status is Limiter's. It never fails.
func (m *Memory) Status(context.Context) ([]Standing, error) {
	m.mu.Lock()
	now := m.tick()
	m.sweep(now)
	out := make([]Standing, 0, len(m.counters))
	for k, c := range m.counters {
		if c.end == 0 || c.end > now.wall || c.held > 0 {
			out = append(out, c.standing(&k, c.limit, now))
		}
	}
	m.unlock()
	sortStandings(out)
	return out, nil
}

func sortStandings(list []Standing) {
	slices.SortFunc(list, func(a, b Standing) int {
		return cmp.Or(cmp.Compare(a.Limit.Name(), b.Limit.Name()), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Value, b.Value), a.Since.Compare(b.Since))
	})
}

// key is the name of a rule's count.
func (m *Memory) key(r *Rule, project string, now tick) counterKey {
	k := counterKey{name: r.Name, value: r.Value}
	if !r.Limit.Scope.Shared() {
		k.project = project
	}
	if r.Limit.Dimension == USD {
		k.since = m.span(r.Limit, now).since / int64(time.Second)
	}
	return k
}

// span is a budget's period at a time, which is looked up once for each.
func (m *Memory) span(l *Limit, now tick) period {
	if p, ok := m.spans[l]; ok && now.wall >= p.since && now.wall < p.until {
		return p
	}
	if len(m.spans) > 4*MaxRules { // of limits that reloads have taken away
		clear(m.spans)
	}
	since, until := l.Span(time.Unix(0, now.wall))
	p := period{since.UnixNano(), until.UnixNano()}
	m.spans[l] = p
	return p
}

// counter finds or makes a count. Values beyond the bound share one.
func (m *Memory) counter(k *counterKey, l *Limit, now tick) *counter {
	c := m.counters[*k]
	if c == nil {
		if len(m.counters) >= min(m.sweepAt, m.max) && now.elapsed-m.swept >= int64(sweepPause) {
			m.sweep(now)
		}
		if len(m.counters) >= m.max {
			k.project, k.value = "", "(all others)"
			c = m.counters[*k]
		}
		if c == nil {
			c = &counter{}
			if l.Dimension == USD {
				_, until := l.Span(time.Unix(k.since, 0))
				c.end = until.UnixNano()
			}
			m.counters[*k] = c
		}
	}
	c.limit = l
	return c
}

// sweep forgets the counts that are as good as new ones.
func (m *Memory) sweep(now tick) {
	for k, c := range m.counters {
		if c.idle(now) {
			delete(m.counters, k)
		}
	}
	m.swept = now.elapsed
	m.sweepAt = max(1024, min(m.max, 2*len(m.counters)))
}
