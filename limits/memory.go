package limits

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// Memory keeps the counts of one process. Create it with NewMemory.
//
// A count has two parts: what calls under way hold, which stays until they
// end, and what ended calls used, which flows off at the limit's rate. A call
// is admitted where both and its own estimate fit into the burst, so that what
// is settled in any time t is at most burst + rate × t, however the estimates
// were. One lock guards all counts: a decision is a few map look-ups.
type Memory struct {
	now func() time.Time
	ttl time.Duration
	max int // counters

	mu       sync.Mutex // guards the following fields
	start    time.Time
	last     int64 // the latest time seen: the clock never runs back for us
	counters map[counterKey]*counter
	sweepAt  int    // counters
	swept    int64  // when the last sweep was
	oldest   *lease // of the leases under way, by when they expire
	newest   *lease
	free     *lease
}

type counterKey struct{ name, value string }

// A counter is one limit's count for one value.
type counter struct {
	limit *Limit // as it was last decided by
	held  int64  // by leases
	until int64  // when all that ended calls used has flowed off
	users int    // leases that name it: they may have more to charge
}

// maxRules bounds the limits of one call.
const maxRules = 32

// A lease is what one call holds.
type lease struct {
	gen        uint64 // counts the lease's uses, so that an old Hold is known
	parts      [maxRules]part
	n          int
	began      int64
	expires    int64
	expired    bool // its holds have been settled by the estimate
	prev, next *lease
}

type part struct {
	c       *counter
	rule    Rule
	amount  int64 // held, or charged by estimate
	charged bool
}

// A Hold names a reservation. The zero Hold holds nothing.
type Hold struct {
	lease *lease
	gen   uint64
}

// LeaseTime is how long a reservation stands without a heartbeat.
const LeaseTime = 90 * time.Second

// maxCounters bounds the counts that are kept: values come from clients.
const maxCounters = 1 << 18

// sweepPause is between two sweeps: where all counts are in use, each new value
// would else go through all of them in vain.
const sweepPause = time.Second

// NewMemory returns a Memory without counts. now is the clock; nil: time.Now.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, ttl: LeaseTime, max: maxCounters, start: now(), counters: map[counterKey]*counter{}, sweepAt: 1024}
}

// tick returns the time since the start, which never runs back.
func (m *Memory) tick() int64 {
	m.last = max(m.last, int64(m.now().Sub(m.start)))
	m.reap()
	return m.last
}

// Reserve decides on a demand: all of its limits admit it and hold what it
// asks for, or nothing is held. Rules beyond the 32nd are an error of the caller.
func (m *Memory) Reserve(d *Demand) (out Decision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.tick()
	rules := d.Rules[:min(len(d.Rules), maxRules)]
	var found [maxRules]*counter
	var over uint64
	for i := range rules {
		c := m.counter(&rules[i], now)
		found[i] = c
		l := rules[i].Limit
		asked := l.Dimension.of(d.Input, d.Output)
		wait, full := c.full(l, asked, now)
		switch {
		case !full:
		case !l.blocks():
			over |= 1 << i
			out.Over = l
		case out.Refused == nil || wait > out.Wait:
			out.Refused, out.Value, out.Asked, out.Wait = l, rules[i].Value, asked, wait
			out.Used = c.used(l, now)
		}
	}
	if out.Refused == nil {
		out.Hold = m.hold(d, rules, &found, over, now)
	}
	for i := range rules {
		out.note(found[i].standing(rules[i].Limit, rules[i].Value, now))
	}
	return out
}

// hold puts a demand on its counters. Those that it would have passed are left
// as they are: a refused call counts nowhere.
func (m *Memory) hold(d *Demand, rules []Rule, found *[maxRules]*counter, over uint64, now int64) Hold {
	if len(rules) == 0 {
		return Hold{}
	}
	s := m.lease()
	s.began = now
	for i := range rules {
		if over&(1<<i) != 0 {
			continue
		}
		l := rules[i].Limit
		p := part{c: found[i], rule: rules[i], amount: l.Dimension.of(d.Input, d.Output)}
		if l.Dimension == Requests {
			p.c.charge(l, p.amount, now)
			p.charged = true
		} else {
			p.c.held += p.amount
		}
		p.c.users++
		s.parts[s.n] = p
		s.n++
	}
	m.push(s, now)
	return Hold{lease: s, gen: s.gen}
}

// Settle ends a reservation: what it held is let go, and what the call used is
// charged. It counts once; later calls do nothing.
func (m *Memory) Settle(h Hold, a Actual) {
	if h.lease == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.tick()
	s := h.lease
	if s.gen != h.gen {
		return
	}
	for i := range s.parts[:s.n] {
		p := &s.parts[i]
		if s.expired { // the count may have been forgotten since
			p.c = m.counter(&p.rule, now)
			p.c.users++
		}
		p.settle(a, now)
	}
	if !s.expired {
		m.unlink(s)
	}
	clear(s.parts[:s.n])
	s.gen++
	s.next, m.free = m.free, s
}

// settle replaces the estimate by what was used. Of an estimate that was
// charged already only what goes beyond it is still to be charged.
func (p *part) settle(a Actual, now int64) {
	p.c.users--
	if !p.charged {
		p.c.held -= p.amount
		p.amount = 0
	}
	if p.rule.Limit.Dimension == Concurrent || p.rule.Limit.Dimension == Requests {
		return
	}
	if used := p.rule.Limit.Dimension.of(a.Input, a.Output); used > p.amount {
		p.c.charge(p.rule.Limit, used-p.amount, now)
	}
}

// Heartbeat says that the call is still under way. It reports false where the
// reservation has ended. What a call holds for longer than the limit's window
// is charged as used, so that long streams do not stand in the way of others.
func (m *Memory) Heartbeat(h Hold) bool {
	if h.lease == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.tick()
	s := h.lease
	if s.gen != h.gen || s.expired {
		return false
	}
	for i := range s.parts[:s.n] {
		p := &s.parts[i]
		if !p.charged && p.rule.Limit.Dimension != Concurrent && now-s.began >= int64(p.rule.Limit.Window) {
			p.convert(now)
		}
	}
	m.unlink(s)
	m.push(s, now)
	return true
}

// convert charges a held estimate as if it had been used.
func (p *part) convert(now int64) {
	p.c.held -= p.amount
	if p.rule.Limit.Dimension != Concurrent {
		p.c.charge(p.rule.Limit, p.amount, now)
	}
	p.charged = true
}

// reap ends the leases that got no heartbeat: by their estimates, not by 0.
func (m *Memory) reap() {
	for s := m.oldest; s != nil && s.expires <= m.last; s = m.oldest {
		for i := range s.parts[:s.n] {
			if !s.parts[i].charged {
				s.parts[i].convert(s.expires)
			}
			s.parts[i].c.users--
		}
		s.expired = true
		m.unlink(s)
	}
}

// Status returns how all limits stand that are in use, by name and value.
func (m *Memory) Status() []Standing {
	m.mu.Lock()
	now := m.tick()
	m.sweep(now)
	out := make([]Standing, 0, len(m.counters))
	for k, c := range m.counters {
		out = append(out, c.standing(c.limit, k.value, now))
	}
	m.mu.Unlock()
	slices.SortFunc(out, func(a, b Standing) int {
		return cmp.Or(cmp.Compare(a.Limit.Name(), b.Limit.Name()), cmp.Compare(a.Value, b.Value))
	})
	return out
}

// counter finds or makes a rule's count. Values beyond the bound share one.
func (m *Memory) counter(r *Rule, now int64) *counter {
	key := counterKey{r.Name, r.Value}
	c := m.counters[key]
	if c == nil {
		if len(m.counters) >= min(m.sweepAt, m.max) && now-m.swept >= int64(sweepPause) {
			m.sweep(now)
		}
		if len(m.counters) >= m.max {
			key.value = "(all others)"
			c = m.counters[key]
		}
		if c == nil {
			c = &counter{}
			m.counters[key] = c
		}
	}
	c.limit = r.Limit
	return c
}

// sweep forgets the counts at zero: they are as good as new ones.
func (m *Memory) sweep(now int64) {
	for k, c := range m.counters {
		if c.users == 0 && c.until <= now {
			delete(m.counters, k)
		}
	}
	m.swept = now
	m.sweepAt = max(1024, min(m.max, 2*len(m.counters)))
}

// full reports whether n more do not fit, and how long it takes until they do.
// More than the burst is admitted where nothing else is there.
func (c *counter) full(l *Limit, n, now int64) (time.Duration, bool) {
	if l.Dimension == Concurrent {
		return time.Second, c.held+n > l.Amount
	}
	backlog := max(0, c.until-now)
	n = min(n, l.burst())
	wait := backlog + l.long(c.held+n) - l.long(l.burst())
	return time.Duration(max(0, wait)), wait > 0
}

// used is what is in use, of both kinds.
func (c *counter) used(l *Limit, now int64) int64 {
	if l.Dimension == Concurrent {
		return c.held
	}
	used := l.units(max(0, c.until-now))
	if l.long(used) < c.until-now {
		used++
	}
	return c.held + used
}

func (c *counter) standing(l *Limit, value string, now int64) Standing {
	used := c.used(l, now)
	s := Standing{Limit: l, Value: value, Used: used, Reserved: c.held}
	if l.Dimension == Concurrent {
		s.Remaining = max(0, l.Amount-used)
		return s
	}
	s.Remaining = max(0, l.burst()-used)
	s.Reset = time.Duration(max(0, c.until-now) + l.long(c.held))
	return s
}

// charge adds to what flows off.
func (c *counter) charge(l *Limit, n, now int64) {
	c.until = min(max(c.until, now)+l.long(n), math.MaxInt64/2)
}

// note keeps the standing with the least left.
func (d *Decision) note(s Standing) {
	if !s.Limit.blocks() {
		return
	}
	if t := &d.Tightest[s.Limit.Dimension]; t.Limit == nil || s.Remaining < t.Remaining {
		*t = s
	}
}

// lease takes one that is free, or makes one.
func (m *Memory) lease() *lease {
	s := m.free
	if s == nil {
		return &lease{gen: 1}
	}
	m.free = s.next
	s.next, s.n, s.expired = nil, 0, false
	return s
}

func (m *Memory) push(s *lease, now int64) {
	s.expires = now + int64(m.ttl)
	s.prev, s.next = m.newest, nil
	if m.newest != nil {
		m.newest.next = s
	} else {
		m.oldest = s
	}
	m.newest = s
}

func (m *Memory) unlink(s *lease) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		m.oldest = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		m.newest = s.prev
	}
	s.prev, s.next = nil, nil
}
