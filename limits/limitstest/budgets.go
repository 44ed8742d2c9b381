package limitstest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/limits"
)

func daily(amount int64) *limits.Limit {
	return &limits.Limit{Scope: limits.Key, Dimension: limits.USD, Period: limits.Day, Amount: amount}
}

// budget: what is spent and what calls hold are within the amount, and a
// refusal says which of them stands in the way.
func (s suite) budget(t *testing.T) {
	m, c := s.open(t)
	l := daily(limits.Dollar)
	c.Add(20 * time.Hour)
	first := spend(m, 600_000_000, rule(l, "a"))
	d := spend(m, 400_000_001, rule(l, "a"))
	if d.Refused != l || d.Why != limits.Reached || d.Wait != time.Second || d.Used != 600_000_000 || d.Asked != 400_000_001 {
		t.Errorf("beside a reservation: refused by %v for %v, wait %v, used %d, asked %d", d.Refused, d.Why, d.Wait, d.Used, d.Asked)
	}
	second := spend(m, 400_000_000, rule(l, "a"))
	if second.Refused != nil {
		t.Error("the rest of a budget is refused")
	}
	m.Settle(first.Hold, limits.Use{USD: 700_000_000}) // more than it held
	m.Settle(second.Hold, limits.Use{USD: 299_999_999})
	m.Settle(second.Hold, limits.Use{USD: 5})
	if d := spend(m, 2, rule(l, "a")); d.Refused != l || d.Why != limits.Spent || d.Wait != 4*time.Hour {
		t.Errorf("a budget that is spent: refused by %v for %v, wait %v", d.Refused, d.Why, d.Wait)
	}
	if d := spend(m, 0, rule(l, "a")); d.Refused != nil {
		t.Error("what is free is refused where the budget is spent")
	}
	last := spend(m, 1, rule(l, "a"))
	if last.Refused != nil {
		t.Error("the last billionth is refused")
	}
	m.Settle(last.Hold, limits.Use{USD: 1})
	list := status(t, m)
	if len(list) != 1 || list[0].Used != limits.Dollar || list[0].Reserved != 0 || list[0].Remaining != 0 || list[0].Reset != 4*time.Hour {
		t.Errorf("status: %+v", list)
	}
	if d := spend(m, 1, rule(l, "b")); d.Refused != nil {
		t.Error("another key is refused")
	}
}

// periods: a call is charged to the period that it began in, and a clock that
// jumps finds the counts as they were.
func (s suite) periods(t *testing.T) {
	m, c := s.open(t)
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	l := daily(100)
	l.Zone = zone
	c.Set(time.Date(2026, 11, 1, 23, 59, 0, 0, zone)) // a day of 25 hours
	over := spend(m, 60, rule(l, "a"))
	c.Add(2 * time.Minute)
	next := spend(m, 70, rule(l, "a"))
	if next.Refused != nil {
		t.Fatal("a call of yesterday's takes today's money")
	}
	m.Settle(over.Hold, limits.Use{USD: 90})
	m.Settle(next.Hold, limits.Use{USD: 10})
	if d := spend(m, 91, rule(l, "a")); d.Refused == nil {
		t.Error("today's money is forgotten")
	}
	c.Add(-3 * time.Minute)
	if d := spend(m, 11, rule(l, "a")); d.Refused == nil {
		t.Error("the clock ran back into yesterday, and yesterday's money is forgotten")
	}
	c.Add(3 * time.Minute)
	if d := spend(m, 91, rule(l, "a")); d.Refused == nil {
		t.Error("the clock ran back and forth, and today's money is forgotten")
	}
	c.Add(24 * time.Hour)
	if d := spend(m, 100, rule(l, "a")); d.Refused != nil {
		t.Error("a new day has no money")
	}
}

// projects: the customers of two projects are two.
func (s suite) projects(t *testing.T) {
	m, _ := s.open(t)
	l := &limits.Limit{Scope: limits.Customer, Dimension: limits.Concurrent, Amount: 1}
	shared := &limits.Limit{Scope: limits.Model, Dimension: limits.Concurrent, Amount: 1}
	at := func(project string, r limits.Rule) bool {
		d := m.Reserve(context.Background(), &limits.Demand{Project: project, Rules: []limits.Rule{r}})
		return d.Refused == nil
	}
	if !at("one", rule(l, "acme")) || !at("two", rule(l, "acme")) || at("one", rule(l, "acme")) {
		t.Error("the customers of two projects are counted as one, or one as two")
	}
	if !at("one", rule(shared, "m")) || at("two", rule(shared, "m")) {
		t.Error("a model is counted by project")
	}
}

func (s suite) unpriced(t *testing.T) {
	m, _ := s.open(t)
	l := daily(100)
	unknown := &limits.Demand{Project: project, Rules: []limits.Rule{rule(l, "a")}, Use: limits.Use{Unpriced: 1}}
	if d := m.Reserve(context.Background(), unknown); d.Refused != l || d.Why != limits.Unpriced {
		t.Errorf("a call of unknown price: refused by %v for %v", d.Refused, d.Why)
	}
	held := spend(m, 30, rule(l, "a"))
	m.Settle(held.Hold, limits.Use{USD: 5, Unpriced: 1}) // unknown is never nothing
	if used := status(t, m)[0].Used; used != 30 {
		t.Errorf("a call of 30 that turned out to be of unknown cost: used %d", used)
	}
	ceiling := daily(100)
	ceiling.Ceiling = 40
	unknown.Rules = []limits.Rule{rule(ceiling, "b")}
	d := m.Reserve(context.Background(), unknown)
	if d.Refused != nil || d.Tightest[limits.USD].Used != 40 {
		t.Errorf("with a ceiling of 40: refused by %v, used %d", d.Refused, d.Tightest[limits.USD].Used)
	}
	m.Settle(d.Hold, limits.Use{USD: 7, Unpriced: 2})
	unknown.Unpriced = 1
	if d := m.Reserve(context.Background(), unknown); d.Refused != ceiling || d.Used != 87 {
		t.Errorf("after two attempts at 40 and one at 7: refused by %v, used %d", d.Refused, d.Used)
	}
}

// overBudget: what a budget lets pass over it was spent all the same.
func (s suite) overBudget(t *testing.T) {
	m, _ := s.open(t)
	l := daily(100)
	l.Action = limits.Downgrade
	for range 3 {
		d := spend(m, 60, rule(l, "a"))
		if d.Refused != nil {
			t.Fatal("refused by a budget that downgrades")
		}
		m.Settle(d.Hold, limits.Use{USD: 60})
	}
	warn := daily(1)
	warn.Action = limits.Warn
	m.Settle(spend(m, 1, rule(warn, "a")).Hold, limits.Use{USD: 1})
	d := spend(m, 1, rule(warn, "a"), rule(l, "a"))
	if d.Over != l {
		t.Errorf("over %v, want the one that downgrades", d.Over)
	}
	for _, st := range status(t, m) {
		if st.Limit == l && st.Used != 181 {
			t.Errorf("used %d of a budget that was passed, want 181", st.Used)
		}
	}
}

// correct: the ledger raises a sum and never lowers it.
func (s suite) correct(t *testing.T) {
	m, c := s.open(t)
	l := daily(100)
	since, _ := l.Span(c.Now())
	fix := func(usd int64) {
		t.Helper()
		if err := m.Correct(context.Background(), l, since, []limits.Sum{{Project: project, Value: "a", USD: usd}}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want int64) {
		t.Helper()
		if used := status(t, m)[0].Used; used != want {
			t.Errorf("used %d, want %d", used, want)
		}
	}
	fix(30)
	check(30)
	d := spend(m, 20, rule(l, "a"))
	check(50)
	m.Settle(d.Hold, limits.Use{USD: 15})
	fix(30) // the row has not been shipped
	check(45)
	fix(45)
	fix(45)
	check(45)
	d = spend(m, 20, rule(l, "a"))
	fix(65) // the ledger has the call, which has not been settled
	check(65)
	m.Settle(d.Hold, limits.Use{USD: 20})
	check(65)
	fix(99)
	if d := spend(m, 2, rule(l, "a")); d.Refused != l {
		t.Error("what the ledger knows is not counted")
	}
	dear := daily(limits.MaxUSD)
	dear.Ceiling = 7
	for _, sum := range []limits.Sum{
		{Project: project, Value: "b", USD: 5, Unpriced: 1_000_000}, // of a whole month
		{Project: project, Value: "c", USD: limits.MaxUSD, Unpriced: math.MaxInt64},
	} {
		if err := m.Correct(context.Background(), dear, since, []limits.Sum{sum}); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int64{7_000_005, limits.MaxUSD} {
		if used := status(t, m)[1+i].Used; used != want {
			t.Errorf("attempts of unknown cost: used %d, want %d", used, want)
		}
	}
}

func (s suite) crossings(t *testing.T) {
	c := newClock()
	var mu sync.Mutex
	var told []string
	m := s.make(t, limits.Options{Now: c.Now, Crossed: func(x limits.Crossing) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprintf("%s %s %d%% %d", x.Limit.Name(), x.Value, x.Percent, x.Used))
	}})
	l := daily(1000)
	l.Soft = []int{50, 80, 100}
	for _, usd := range []int64{499, 1, 100, 250, 150} {
		m.Settle(spend(m, usd, rule(l, "a")).Hold, limits.Use{USD: usd})
	}
	rate := &limits.Limit{Scope: limits.Key, Dimension: limits.Requests, Window: time.Minute, Amount: 2, Soft: []int{100}}
	ask(m, 0, 0, rule(rate, "a"))
	ask(m, 0, 0, rule(rate, "a"))
	mu.Lock()
	defer mu.Unlock()
	want := []string{"key usd_per_day a 50% 500", "key usd_per_day a 80% 850", "key usd_per_day a 100% 1000", "key requests_per_minute a 100% 2"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func (s suite) topUp(t *testing.T) {
	m, _ := s.open(t)
	l := daily(100)
	tokens := &limits.Limit{Scope: limits.Key, Dimension: limits.Tokens, Window: time.Minute, Amount: 1000}
	requests := &limits.Limit{Scope: limits.Key, Dimension: limits.Requests, Window: time.Minute, Amount: 1}
	slots := &limits.Limit{Scope: limits.Key, Dimension: limits.Concurrent, Amount: 1}
	d := m.Reserve(context.Background(), &limits.Demand{
		Project: project, Use: limits.Use{Input: 10, USD: 40},
		Rules: []limits.Rule{rule(l, "a"), rule(tokens, "a"), rule(requests, "a"), rule(slots, "a")},
	})
	more := limits.Use{Input: 20, USD: 50}
	if up := m.TopUp(context.Background(), d.Hold, more, more); up.Refused != nil {
		t.Fatalf("a second attempt is refused by %s", up.Refused.Name())
	}
	if up := m.TopUp(context.Background(), d.Hold, more, more); up.Refused != l || up.Used != 90 || up.Asked != 50 {
		t.Fatalf("a third attempt: refused by %v, used %d, asked %d", up.Refused, up.Used, up.Asked)
	}
	for _, st := range status(t, m) {
		want := map[limits.Dimension]int64{limits.USD: 90, limits.Tokens: 30, limits.Requests: 1, limits.Concurrent: 1}[st.Limit.Dimension]
		if st.Used != want {
			t.Errorf("%s: used %d, want %d", st.Limit.Name(), st.Used, want)
		}
	}
	m.Settle(d.Hold, limits.Use{Input: 25, USD: 70})
	m.TopUp(context.Background(), d.Hold, more, more) // it has ended
	for _, st := range status(t, m) {
		want := map[limits.Dimension]int64{limits.USD: 70, limits.Tokens: 25, limits.Requests: 1}[st.Limit.Dimension]
		if st.Used != want {
			t.Errorf("in the end, %s: used %d, want %d", st.Limit.Name(), st.Used, want)
		}
	}
}

func (s suite) strict(t *testing.T) {
	m, _ := s.open(t)
	l := daily(100)
	l.Strict = true
	d := m.Reserve(context.Background(), &limits.Demand{
		Project: project, Rules: []limits.Rule{rule(l, "a")}, Use: limits.Use{USD: 10}, Most: limits.Use{USD: 90},
	})
	if used := d.Tightest[limits.USD].Used; used != 90 {
		t.Errorf("a strict limit holds %d of a call that may cost 90", used)
	}
}

// expiredBudget: a reservation without a heartbeat is spent, and what is
// settled later replaces it, in the period that it was made in.
func (s suite) expiredBudget(t *testing.T) {
	m, c := s.open(t)
	l := daily(100)
	d := spend(m, 40, rule(l, "a"))
	c.Add(limits.LeaseTime)
	check := func(used, reserved int64) {
		t.Helper()
		if st := status(t, m); len(st) != 1 || st[0].Used != used || st[0].Reserved != reserved {
			t.Errorf("%+v; want %d used, %d reserved", st, used, reserved)
		}
	}
	check(40, 0)
	m.Settle(d.Hold, limits.Use{USD: 25})
	m.Settle(d.Hold, limits.Use{USD: 25})
	check(25, 0)
	late := spend(m, 10, rule(l, "a"))
	c.Add(24 * time.Hour)
	m.Settle(late.Hold, limits.Use{USD: 10})
	if d := spend(m, 100, rule(l, "a")); d.Refused != nil {
		t.Error("yesterday's call takes today's money")
	}
}

// atOnce: many callers never pass an amount by what they hold.
func (s suite) atOnce(t *testing.T) {
	m, _ := s.open(t)
	l := daily(1000)
	slots := &limits.Limit{Scope: limits.Key, Dimension: limits.Concurrent, Amount: 7}
	var admitted, most sync.Map
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 40 {
				d := spend(m, 10, rule(l, "a"), rule(slots, "a"))
				if d.Refused != nil {
					continue
				}
				admitted.Store([2]int{w, i}, true)
				if used := d.Tightest[limits.Concurrent].Used; used > slots.Amount {
					most.Store(used, true)
				}
				m.Settle(d.Hold, limits.Use{USD: 10})
			}
		})
	}
	wg.Wait()
	most.Range(func(used, _ any) bool {
		t.Errorf("%d calls at once, want at most %d", used, slots.Amount)
		return true
	})
	n := int64(0)
	admitted.Range(func(any, any) bool { n++; return true })
	st := status(t, m)
	if n == 0 || n > 100 || len(st) != 1 || st[0].Used != 10*n || st[0].Reserved != 0 {
		t.Errorf("%d calls of 10 were admitted to a budget of 1000; status %+v", n, st)
	}
}

// budgets drives a limiter and a plain model: a list of what is held and a sum
// of what is spent, for each period and value. It is long because each step of
// the model is a function in it.
func (s suite) budgets(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		m, c := s.open(outer)
		l := daily(rapid.Int64Range(1, 1000).Draw(t, "amount"))
		l.Period = rapid.SampledFrom([]limits.Period{limits.Day, limits.Week, limits.Month}).Draw(t, "period")
		type open struct {
			hold   limits.Hold
			value  string
			since  time.Time
			amount int64
		}
		type sum struct {
			value string
			since time.Time
		}
		var holds []open
		spent := map[sum]int64{}
		held := func(k sum) (n int64) {
			for _, h := range holds {
				if h.value == k.value && h.since.Equal(k.since) {
					n += h.amount
				}
			}
			return n
		}
		here := func(value string) sum {
			since, _ := l.Span(c.Now())
			return sum{value, since}
		}
		value := rapid.SampledFrom([]string{"a", "b"})
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				k, n := here(value.Draw(t, "value")), rapid.Int64Range(0, 400).Draw(t, "usd")
				d := spend(m, n, rule(l, k.value))
				fits := n == 0 || spent[k]+held(k)+n <= l.Amount
				if fits != (d.Refused == nil) {
					t.Fatalf("%d beside %d spent and %d held of %d: refused %v", n, spent[k], held(k), l.Amount, d.Refused != nil)
				}
				if fits {
					holds = append(holds, open{d.Hold, k.value, k.since, n})
				}
			},
			"top up": func(t *rapid.T) {
				if len(holds) == 0 {
					t.Skip("nothing is open")
				}
				h := &holds[rapid.IntRange(0, len(holds)-1).Draw(t, "which")]
				more := limits.Use{USD: rapid.Int64Range(1, 200).Draw(t, "usd")}
				k := sum{h.value, h.since}
				fits := spent[k]+held(k)+more.USD <= l.Amount
				if d := m.TopUp(context.Background(), h.hold, more, more); fits != (d.Refused == nil) {
					t.Fatalf("%d on top: refused %v, want %v", more.USD, d.Refused != nil, !fits)
				}
				if fits {
					h.amount += more.USD
				}
			},
			"settle": func(t *rapid.T) {
				if len(holds) == 0 {
					t.Skip("nothing is open")
				}
				i := rapid.IntRange(0, len(holds)-1).Draw(t, "which")
				used := rapid.Int64Range(0, 500).Draw(t, "used")
				h := holds[i]
				for range rapid.IntRange(1, 2).Draw(t, "times") {
					m.Settle(h.hold, limits.Use{USD: used})
				}
				spent[sum{h.value, h.since}] += used
				holds = slices.Delete(holds, i, i+1)
			},
			"ledger": func(t *rapid.T) {
				k := here(value.Draw(t, "value"))
				usd := rapid.Int64Range(0, 1200).Draw(t, "usd")
				if err := m.Correct(context.Background(), l, k.since, []limits.Sum{{Project: project, Value: k.value, USD: usd}}); err != nil {
					t.Fatal(err)
				}
				spent[k] = max(spent[k], usd-held(k))
			},
			"time": func(t *rapid.T) {
				c.Add(time.Duration(rapid.Int64Range(-int64(20*time.Hour), int64(20*time.Hour)).Draw(t, "by")))
				for _, h := range holds { // those whose lease the jump has ended are settled by their estimate
					if !m.Heartbeat(h.hold) {
						spent[sum{h.value, h.since}] += h.amount
					}
				}
				holds = slices.DeleteFunc(holds, func(h open) bool { return !m.Heartbeat(h.hold) })
			},
			"": func(t *rapid.T) {
				for _, st := range status(t, m) {
					k := sum{st.Value, st.Since.UTC()}
					if want := spent[k] + held(k); st.Used != want || st.Reserved != held(k) {
						t.Fatalf("%s of %v: %d used, %d reserved; want %d, %d", st.Value, st.Since, st.Used, st.Reserved, want, held(k))
					}
				}
			},
		})
	})
}
