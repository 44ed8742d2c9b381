package limits

import (
	"math"
	"time"
)

// A counterKey names a count. Budgets have a count for each period, so that
// none is ever reset.
type counterKey struct {
	name, project, value string
	since                int64 // Unix seconds of the period's begin; 0: it has none
}

// A counter is one limit's count for one value.
type counter struct {
	limit *Limit // as it was last decided by
	held  int64  // by leases
	until int64  // of a rate: when all that ended calls used has flowed off
	spent int64  // of USD: by ended calls
	end   int64  // of USD: of the period, on the wall clock, Unix nanoseconds
	users int    // leases that name it: they may have more to charge
}

// full reports whether n more do not fit, how long it takes until they do, and
// whether only the end of the period can help.
func (c *counter) full(l *Limit, n int64, now tick) (wait time.Duration, full bool, why Why) {
	switch l.Dimension {
	case Concurrent:
		return time.Second, c.held+n > l.Amount, Reached
	case USD:
		switch { // what is free passes a budget that is spent
		case n == 0 || c.spent+c.held+n <= l.Amount:
			return 0, false, Reached
		case c.spent+n <= l.Amount: // calls under way hold it, and may give it back
			return time.Second, true, Reached
		}
		return time.Duration(c.end - now.wall), true, Spent
	}
	backlog := max(0, c.until-now.elapsed)
	n = min(n, l.burst()) // more is admitted where nothing else is there
	over := backlog + l.long(c.held+n) - l.long(l.burst())
	return time.Duration(max(0, over)), over > 0, Reached
}

// used is what is in use, of both kinds.
func (c *counter) used(l *Limit, now tick) int64 {
	switch l.Dimension {
	case Concurrent:
		return c.held
	case USD:
		return c.held + c.spent
	}
	backlog := max(0, c.until-now.elapsed)
	used := l.units(backlog)
	if l.long(used) < backlog {
		used++
	}
	return c.held + used
}

func (c *counter) standing(k *counterKey, l *Limit, now tick) Standing {
	used := c.used(l, now)
	s := Standing{Limit: l, Project: k.project, Value: k.value, Used: used, Reserved: c.held, Remaining: max(0, l.Amount-used)}
	switch l.Dimension {
	case Concurrent:
	case USD:
		s.Since, s.Reset = time.Unix(k.since, 0), time.Duration(max(0, c.end-now.wall))
	default:
		s.Remaining = max(0, l.burst()-used)
		s.Reset = time.Duration(max(0, c.until-now.elapsed) + l.long(c.held))
	}
	return s
}

// charge adds to what ended calls used.
func (c *counter) charge(l *Limit, n int64, now tick) {
	if l.Dimension == USD {
		c.spent = min(max(0, c.spent+n), math.MaxInt64/4)
		return
	}
	c.until = min(max(c.until, now.elapsed)+l.long(n), math.MaxInt64/2)
}

// idle reports whether a count is as good as a new one. Those of a budget are
// kept for a while after their period, for what settles late.
func (c *counter) idle(now tick) bool {
	return c.users == 0 && c.until <= now.elapsed && (c.end == 0 || c.spent == 0 || c.end+int64(keepPeriod) <= now.wall)
}

const keepPeriod = 48 * time.Hour
