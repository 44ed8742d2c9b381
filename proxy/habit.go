package proxy

import (
	"slices"
	"sync"

	"weir/costs"
	"weir/ledger"
	"weir/limits"
)

// habits remember what replies were like of late, by key and asked model, so
// that what the next one may use can be told. They are forgotten with the process.
type habits struct {
	mu sync.Mutex // guards the following field
	of map[habitKey]*habit
}

type habitKey struct{ key, model string }

// A habit is the last replies' output tokens and costs.
type habit struct {
	output, cost         [habitLength]int64 // cost in billionths of a dollar
	n                    int                // replies, all in all
	highOutput, highCost int64              // that 95 of 100 of them stay below
}

const (
	habitLength = 32   // replies that are remembered
	habitLeast  = 5    // replies from which something is told
	maxHabits   = 8192 // keys come from the store, models from clients
)

// learn adds the replies of a call.
func (h *habits) learn(x *Exchange) {
	if st := x.state; len(st.callers)+len(st.shared)+len(st.detours) == 0 {
		return // nobody asks
	}
	if !x.Endpoint.Metered || x.call.Outcome != ledger.OK && x.call.Outcome != "" { // the call is about to be closed
		return
	}
	for i := range x.call.Attempts {
		t := &x.call.Attempts[i]
		if t.UsageSource != ledger.FromProvider {
			continue
		}
		output, _ := t.Usage.Output()
		h.add(x.habitKey(), output, nano(t.Cost.Money))
	}
}

func (x *Exchange) habitKey() habitKey {
	k := habitKey{model: clip(x.Model)}
	if x.Caller.Key != nil {
		k.key = x.Caller.Key.ID
	}
	return k
}

func (h *habits) add(k habitKey, output, cost int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.of[k]
	if one == nil {
		if len(h.of) >= maxHabits {
			clear(h.of)
		}
		if h.of == nil {
			h.of = map[habitKey]*habit{}
		}
		one = new(habit)
		h.of[k] = one
	}
	one.output[one.n%habitLength], one.cost[one.n%habitLength] = output, cost
	one.n++
	one.highOutput, one.highCost = high(one.output, one.n), high(one.cost, one.n)
}

// high is what 95 of 100 of the last n values stay below, or are.
func high(values [habitLength]int64, n int) int64 {
	n = min(n, habitLength)
	slices.Sort(values[:n])
	return values[(n*95+99)/100-1]
}

// high are the output tokens and the cost that 95 of 100 replies stay below;
// false: too few are known.
func (h *habits) high(k habitKey) (output, cost int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.of[k]
	if one == nil || one.n < habitLeast {
		return 0, 0, false
	}
	return one.highOutput, one.highCost, true
}

// nano is an amount in billionths of a dollar, rounded up. What is beyond
// limits.MaxUSD is that.
func nano(m costs.Money) int64 { return min(max(0, m.NanoUp()), limits.MaxUSD) }
