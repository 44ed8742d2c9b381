package limits

// A lease is what one call holds of a Memory.
type lease struct {
	gen        uint64 // counts the lease's uses, so that an old Hold is known
	parts      [MaxRules]part
	n          int
	began      int64 // as tick.elapsed
	expires    int64
	expired    bool // its holds have been settled by the estimate
	prev, next *lease
}

// A part is what a lease holds of one count.
type part struct {
	c       *counter
	limit   *Limit
	key     counterKey
	amount  int64 // held, or charged by estimate
	charged bool
	until   int64 // of Requests: when this one will have flowed off
}

// add holds more. Of what was charged already, it is charged too.
func (p *part) add(n int64, now tick) {
	p.amount += n
	if p.charged {
		p.c.charge(p.limit, n, now)
		return
	}
	p.c.held += n
}

// convert charges a held estimate as if it had been used.
func (p *part) convert(now tick) {
	p.c.held -= p.amount
	if p.limit.Dimension != Concurrent {
		p.c.charge(p.limit, p.amount, now)
	}
	p.charged = true
}

// reap ends the leases that got no heartbeat: by their estimates, not by 0.
func (m *Memory) reap(now tick) {
	for s := m.oldest; s != nil && s.expires <= now.elapsed; s = m.oldest {
		for i := range s.parts[:s.n] {
			p := &s.parts[i]
			if !p.charged {
				before := p.c.spent
				p.convert(tick{s.expires, now.wall})
				if p.limit.Dimension == USD {
					m.passed(p, before, now)
				}
			}
			p.c.users--
		}
		s.expired = true
		m.unlink(s)
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

func (m *Memory) push(s *lease, now tick) {
	s.expires = now.elapsed + int64(m.ttl)
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
