package alerts

import (
	"container/list"
	"strings"
	"sync"
	"time"
)

// A Rule says when a key runs away: so many calls with one prompt, and so much
// spent by them. The zero Rule never.
type Rule struct {
	Repeats int64
	Within  time.Duration
	Spend   int64 // billionths of a dollar; 0: whatever it costs
	Pause   bool  // the key is to be paused
}

// A Watch looks for keys that ask the same again and again. A call costs it a
// look-up in a map, and it keeps a few numbers for each prompt: of the
// maxLoops that were asked last, no more.
//
// Time is counted in steps of an eighth of Rule.Within: what it counts came
// within that time, and what came within seven eighths of it is counted.
type Watch struct {
	start time.Time

	mu    sync.Mutex // guards the following fields
	rule  Rule
	loops map[loopKey]*list.Element
	last  *list.List // of *loop, the one that was asked last in front
}

type loopKey struct {
	key    string
	prompt uint64
}

// A loop is what is known of a prompt of a key.
type loop struct {
	loopKey
	step   int64 // of the last call
	counts [loopSteps]int32
	spent  [loopSteps]int64
}

const (
	maxLoops  = 1 << 16
	loopSteps = 8
)

// NewWatch returns a Watch without a rule.
func NewWatch() *Watch {
	return &Watch{start: time.Now(), loops: map[loopKey]*list.Element{}, last: list.New()}
}

// Apply swaps the rule. With another one the counting begins anew.
func (w *Watch) Apply(r Rule) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r == w.rule {
		return
	}
	w.rule = r
	clear(w.loops)
	w.last.Init()
}

// Rule is the rule in effect.
func (w *Watch) Rule() Rule {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rule
}

// See notes a call of a key, which spent so many billionths of a dollar as far
// as is known. It reports true where the key runs away by it, with what its
// calls come to; they are forgotten then.
func (w *Watch) See(key string, prompt uint64, spent int64, now time.Time) (r Runaway, runs bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rule.Repeats == 0 {
		return r, false
	}
	l := w.find(loopKey{key, prompt})
	step := int64(max(0, now.Sub(w.start)) / max(1, w.rule.Within/loopSteps))
	l.forget(step)
	at := l.step % loopSteps
	l.counts[at]++
	l.spent[at] = add(l.spent[at], max(0, spent))
	var n, sum int64
	for i := range l.counts {
		n, sum = n+int64(l.counts[i]), add(sum, l.spent[i])
	}
	if n < w.rule.Repeats || sum < w.rule.Spend {
		return r, false
	}
	w.last.Remove(w.loops[l.loopKey])
	delete(w.loops, l.loopKey)
	return Runaway{Key: Named{ID: key}, Repeats: n, Within: short(w.rule.Within), Spent: Dollars(sum)}, true
}

// find returns what is known of a prompt, and makes room for a new one.
func (w *Watch) find(k loopKey) *loop {
	if e := w.loops[k]; e != nil {
		w.last.MoveToFront(e)
		return e.Value.(*loop)
	}
	if len(w.loops) < maxLoops {
		l := &loop{loopKey: k}
		w.loops[k] = w.last.PushFront(l)
		return l
	}
	e := w.last.Back()
	l := e.Value.(*loop)
	delete(w.loops, l.loopKey)
	*l = loop{loopKey: k}
	w.loops[k] = e
	w.last.MoveToFront(e)
	return l
}

// forget empties the steps since the last call. Where clocks run back the last
// step goes on.
func (l *loop) forget(step int64) {
	for i := l.step + 1; i <= step && i <= l.step+loopSteps; i++ {
		l.counts[i%loopSteps], l.spent[i%loopSteps] = 0, 0
	}
	l.step = max(l.step, step)
}

// short writes a duration without the units that are 0.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
