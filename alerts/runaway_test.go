package alerts

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRunaway(t *testing.T) {
	w := NewWatch()
	now := w.start
	see := func(key string, prompt uint64, spent string, after time.Duration) string {
		now = now.Add(after)
		if r, runs := w.See(key, prompt, nano(spent), now); runs {
			return fmt.Sprintf("%s %d within %s $%s", r.Key.ID, r.Repeats, r.Within, r.Spent)
		}
		return ""
	}
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for range 100 {
		check(see("a", 1, "1", 0), "") // there is no rule
	}
	w.Apply(Rule{Repeats: 5, Within: 8 * time.Minute, Spend: nano("0.5")})
	for range 4 {
		check(see("a", 1, "0.2", time.Second), "")
		check(see("b", 1, "0.2", 0), "") // another key
		check(see("a", 2, "0.2", 0), "") // another prompt
	}
	check(see("a", 1, "0.2", time.Second), "a 5 within 8m $1")
	check(see("a", 1, "0.2", time.Second), "") // what was told is not told again

	for range 20 {
		check(see("cheap", 1, "0.01", time.Second), "")
		check(see("free", 1, "0", time.Second), "")
		check(see("slow", 1, "1", 2*time.Minute), "") // four within 8 minutes
	}
	check(see("cheap", 1, "0.5", 0), "")
	for range 4 {
		see("cheap", 1, "0.1", time.Second)
	}
	w.Apply(Rule{Repeats: 3, Within: time.Minute})
	see("free", 1, "0", 0)
	see("free", 1, "0", 0)
	check(see("free", 1, "0", 0), "free 3 within 1m $0")

	// Prompts are forgotten beyond the bound, the ones asked last are not.
	see("a", 7, "0", 0)
	see("a", 7, "0", 0)
	for i := range uint64(maxLoops - 1) {
		see("batch", 1000+i, "1", 0)
	}
	check(see("a", 7, "0", 0), "a 3 within 1m $0")
	see("a", 8, "0", 0)
	see("a", 8, "0", 0)
	for i := range uint64(maxLoops) {
		see("batch", 1<<40+i, "1", 0)
	}
	check(see("a", 8, "0", 0), "")
	if len(w.loops) > maxLoops || w.last.Len() != len(w.loops) {
		t.Errorf("%d prompts are known, %d listed", len(w.loops), w.last.Len())
	}
}

// TestRunawayLaw: a key runs away only by calls within the time, and surely by
// those within seven eighths of it.
func TestRunawayLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := NewWatch()
		const within = 80 * time.Second
		rule := Rule{Repeats: rapid.Int64Range(2, 6).Draw(t, "repeats"), Within: within, Spend: rapid.Int64Range(0, 20).Draw(t, "spend")}
		w.Apply(rule)
		type call struct {
			at    time.Time
			spent int64
		}
		var calls []call
		now := w.start
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 50).Draw(t, "pause")) * time.Second)
			c := call{now, rapid.Int64Range(0, 5).Draw(t, "spent")}
			calls = append(calls, c)
			met := func(within time.Duration) bool {
				var n, sum int64
				for _, c := range calls {
					if now.Sub(c.at) < within {
						n, sum = n+1, sum+c.spent
					}
				}
				return n >= rule.Repeats && sum >= rule.Spend
			}
			_, runs := w.See("k", 1, c.spent, now)
			if runs && !met(within) {
				t.Fatalf("runs away by calls that are too far apart: %v", calls)
			}
			if !runs && met(within*7/8) {
				t.Fatalf("does not run away: %v", calls)
			}
			if runs {
				calls = nil
			}
		}
	})
}

func BenchmarkWatch(b *testing.B) {
	w := NewWatch()
	w.Apply(Rule{Repeats: 1 << 40, Within: time.Minute})
	now := w.start
	b.ReportAllocs()
	for i := range b.N {
		w.See("key_0123456789abcdef", uint64(i%(2*maxLoops)), 1000, now)
	}
}
