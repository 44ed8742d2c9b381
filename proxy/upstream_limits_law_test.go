package proxy

import (
	"container/heap"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A bucket is an upstream that counts requests as vendors do.
type bucket struct {
	limit int64
	per   time.Duration
	level float64
	at    time.Time
}

func (b *bucket) fill(now time.Time) {
	b.level = min(b.level+float64(now.Sub(b.at))/float64(b.per), float64(b.limit))
	b.at = now
}

// take is a call's coming; the word is of that moment, as whole numbers.
func (b *bucket) take(now time.Time) (w word, ok bool) {
	b.fill(now)
	if ok = b.level >= 1; ok {
		b.level--
	}
	left := int64(b.level)
	return requestsLeft(left, b.limit, time.Duration(b.limit-left)*b.per), ok
}

// A moment is a part of a simulated run.
type moment struct {
	at time.Time
	do func(now time.Time)
}

type moments []moment

func (e moments) Len() int           { return len(e) }
func (e moments) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e moments) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *moments) Push(x any)        { *e = append(*e, x.(moment)) }
func (e *moments) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// Whatever the calls' pace and however long replies take: no call that the
// upstream would take is kept away for longer than whole numbers round away,
// and few are sent that it refuses.
func TestAllowanceLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &bucket{
			limit: rapid.Int64Range(1, 50).Draw(t, "limit"),
			per:   time.Duration(rapid.IntRange(20, 2000).Draw(t, "per")) * time.Millisecond, at: noon,
		}
		b.level = float64(b.limit)
		var (
			l                                 allowance
			queue                             moments
			underway, phantoms, refused, sent int
		)
		slow := rapid.IntRange(0, 3000).Draw(t, "slow")
		try := func(now time.Time, onWay, works time.Duration) {
			room, wait := l.take(now, oneCall)
			b.fill(now)
			if wait > 0 {
				if b.level-float64(underway) >= 1 && wait > 4*b.per+onTheWay {
					phantoms++
				}
				return
			}
			underway++
			sent++
			told := !l.quotas[ofRequests].sent.IsZero() // before the first word nothing can be known
			heap.Push(&queue, moment{now.Add(onWay), func(now time.Time) {
				underway--
				w, ok := b.take(now)
				status := 200
				if !ok {
					status, works = 429, min(works, 10*time.Millisecond) // refusals come at once
				}
				if !ok && told && !room.probe {
					refused++
				}
				heap.Push(&queue, moment{now.Add(works), func(now time.Time) { l.hear(&w, &room, status, now) }})
			}})
		}
		at := noon
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			at = at.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "gap")) * time.Millisecond)
			onWay := time.Duration(rapid.IntRange(0, 8).Draw(t, "way")) * time.Millisecond
			works := time.Duration(rapid.IntRange(0, slow).Draw(t, "works")) * time.Millisecond
			heap.Push(&queue, moment{at, func(now time.Time) { try(now, onWay, works) }})
		}
		for len(queue) > 0 {
			e := heap.Pop(&queue).(moment)
			e.do(e.at)
		}
		if phantoms > 0 {
			t.Errorf("%d of %d calls were kept away while there was room", phantoms, sent)
		}
		if refused > 2+sent/10 {
			t.Errorf("%d of %d calls were refused", refused, sent)
		}
		if l.open != (amounts{}) {
			t.Errorf("%v are open", l.open)
		}
	})
}
