package proxy

import (
	"sync"
	"time"
)

// The breaker's numbers: it opens after 5 failures in a row, or when at least
// half of 10 or more calls within 30 s failed; it stays open for 30 s times
// the openings in a row, at most 300 s; then one call probes.
const (
	breakConsecutive = 5
	breakMinCalls    = 10
	breakWindow      = 30 * time.Second
	breakBase        = 30 * time.Second
	breakMax         = 300 * time.Second
)

// A breaker keeps calls away from one target while it fails. The zero breaker
// is closed. It counts failures of the target only: refused connections,
// timeouts, 5xx, broken streams. A 429 or another 4xx says that it is alive.
type breaker struct {
	mu          sync.Mutex // guards the following fields
	row         int        // failures in a row
	start       time.Time  // of the window
	calls, bad  int        // in the window
	openings    int        // in a row
	openUntil   time.Time  // zero: closed
	probing     bool       // the one call of half-open is under way
	probeExpiry time.Time  // a probe that never reported is forgotten then
}

// allow reports whether a call may go to the target now. After a true, the
// caller must say done or, where the target was not at fault, undo.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.openUntil.IsZero() {
		return true
	}
	if now.Before(b.openUntil) || b.probing && now.Before(b.probeExpiry) {
		return false
	}
	b.probing, b.probeExpiry = true, now.Add(breakMax)
	return true
}

// undo takes an allow back: the call said nothing about the target.
func (b *breaker) undo() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// done reports how a call went.
func (b *breaker) done(now time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.openUntil.IsZero() && !b.probing {
		return // a call from before the opening, or one sent because all targets were open
	}
	if now.Sub(b.start) > breakWindow {
		b.start, b.calls, b.bad = now, 0, 0
	}
	b.calls++
	if ok {
		b.row = 0
		if b.probing {
			b.reset(now)
		}
		return
	}
	b.bad++
	b.row++
	if b.probing || b.row >= breakConsecutive || b.calls >= breakMinCalls && 2*b.bad >= b.calls {
		b.trip(now)
	}
}

func (b *breaker) reset(now time.Time) {
	b.openUntil, b.openings, b.probing = time.Time{}, 0, false
	b.start, b.calls, b.bad = now, 0, 0
}

func (b *breaker) trip(now time.Time) {
	b.openings++
	b.openUntil = now.Add(min(breakBase*time.Duration(b.openings), breakMax))
	b.probing, b.row, b.calls, b.bad, b.start = false, 0, 0, 0, now
}
