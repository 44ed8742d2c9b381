package limits

import (
	"context"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/internal/redistest"
)

// used is how much of a limit is used and reserved, of the one value there is.
func used(t *testing.T, r *Redis, l *Limit) (used, reserved int64) {
	t.Helper()
	list, err := r.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Limit == l {
			return s.Used, s.Reserved
		}
	}
	return 0, 0
}

// TestRedisTakenBack: a reservation that comes after it was taken back leaves
// nothing, and one that came before is undone.
func TestRedisTakenBack(t *testing.T) {
	r := openFaulty(t, redistest.Start(t).URL, RedisOptions{Deadline: 5 * time.Second})
	budget := &Limit{Scope: Key, Dimension: USD, Amount: 1000, Period: Month}
	requests := &Limit{Scope: Key, Dimension: Requests, Amount: 1000, Window: time.Hour}
	d := &Demand{Project: "p", Rules: []Rule{rule(budget, "a"), rule(requests, "a")}, Use: Use{USD: 100}}
	next := r.store.leases.Load() + 1
	lost := &share{id: r.store.id + "." + string(rune('0'+next)), project: "p"}
	for range 2 {
		if err := r.store.end(context.Background(), lost, "cancel", &Use{}); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := r.store.reserve(context.Background(), d); err == nil {
		t.Errorf("a reservation that was taken back before it came: %+v", out)
	}
	if n, held := used(t, r, budget); n != 0 || held != 0 {
		t.Errorf("it left %d, %d", n, held)
	}
	out := r.Reserve(context.Background(), d)
	if n, _ := used(t, r, requests); n != 1 {
		t.Errorf("%d requests after one", n)
	}
	for range 2 {
		if err := r.store.end(context.Background(), out.Hold.far, "cancel", &Use{}); err != nil {
			t.Fatal(err)
		}
	}
	r.Settle(out.Hold, Use{USD: 70})
	for _, l := range []*Limit{budget, requests} {
		if n, held := used(t, r, l); n != 0 || held != 0 {
			t.Errorf("%s: one that was taken back left %d, %d", l.Name(), n, held)
		}
	}
}

// TestRedisLate: a call that Redis has admitted goes on while Redis fails, and
// counts once when it answers again, whatever was tried meanwhile.
func TestRedisLate(t *testing.T) {
	server := redistest.Start(t)
	w := newWire(t, server.Addr)
	r := openFaulty(t, "redis://"+w.ln.Addr().String(), RedisOptions{})
	budget := &Limit{Scope: Key, Dimension: USD, Amount: 100_000, Period: Month}
	slots := &Limit{Scope: Key, Dimension: Concurrent, Amount: 2}
	d := &Demand{Project: "p", Rules: []Rule{rule(budget, "a"), rule(slots, "a")}, Use: Use{USD: 300}}
	var far [2]Decision
	until(t, "two decisions by Redis", func() bool {
		for i := range far {
			if far[i].Hold.far == nil {
				r.Release(far[i].Hold)
				far[i] = r.Reserve(context.Background(), d)
			}
		}
		return far[0].Hold.far != nil && far[1].Hold.far != nil
	})
	w.set("refused")
	w.cut()
	until(t, "the failure", func() bool { r.Release(r.Reserve(context.Background(), d).Hold); return r.State().Failing })
	if !r.Heartbeat(far[0].Hold) {
		t.Error("a call is told that its reservation has ended, and nobody knows")
	}
	more := Use{USD: 400}
	if up := r.TopUp(context.Background(), far[0].Hold, more, more); up.Refused != nil {
		t.Errorf("a further attempt within the exposure is refused by %s", up.Refused.Name())
	}
	if up := r.TopUp(context.Background(), far[0].Hold, Use{USD: 700}, more); up.Refused != budget || up.Why != Failing {
		t.Errorf("one beyond the exposure of 1000: %v, %v", up.Refused, up.Why)
	}
	for range 2 {
		r.Settle(far[0].Hold, Use{USD: 600})
	}
	r.Release(far[1].Hold)
	r.Settle(far[1].Hold, Use{USD: 9000})
	if s := r.State(); s.Waiting < 2 {
		t.Errorf("%d ends wait, want at least 2", s.Waiting)
	}
	for _, s := range localStandings(r) {
		if s.Limit.Dimension == USD && (s.Used != 600 || s.Reserved != 0) {
			t.Errorf("known here: %d used, %d reserved; want the 600 that Redis was not told of", s.Used, s.Reserved)
		}
	}
	w.set("")
	until(t, "the recovery", func() bool { s := r.State(); return !s.Failing && s.Waiting == 0 })
	if n, held := used(t, r, budget); n != 600 || held != 0 {
		t.Errorf("on Redis: %d used, %d reserved; want 600, 0", n, held)
	}
	if n, _ := used(t, r, slots); n != 0 {
		t.Errorf("%d slots are taken by calls that have ended", n)
	}
	if r.Heartbeat(far[0].Hold) {
		t.Error("a call that has ended lives")
	}
}

func localStandings(r *Redis) []Standing {
	list, _ := r.local.memory.Status(context.Background())
	return list
}

// TestRedisApart: while sums are to be corrected, budgets are decided on here
// and the rest by Redis, all or nothing.
func TestRedisApart(t *testing.T) {
	repairs := make(chan func(), 1)
	r := openFaulty(t, redistest.Start(t).URL, RedisOptions{Deadline: 5 * time.Second, Recovered: func(done func()) { repairs <- done }})
	budget := &Limit{Scope: Key, Dimension: USD, Amount: 100_000, Period: Month}
	slots := &Limit{Scope: Key, Dimension: Concurrent, Amount: 1}
	d := &Demand{Project: "p", Rules: []Rule{rule(budget, "a"), rule(slots, "a")}, Use: Use{USD: 400}}
	if !r.State().Repairing {
		t.Fatal("a new server is trusted")
	}
	first := r.Reserve(context.Background(), d)
	if first.Hold.far == nil || first.Hold.lease == nil {
		t.Fatalf("not held in both: %+v", first.Hold)
	}
	if out := r.Reserve(context.Background(), d); out.Refused != slots || out.Tightest[USD].Limit != budget {
		t.Errorf("refused by %v", out.Refused)
	}
	if up := r.TopUp(context.Background(), first.Hold, Use{USD: 600}, Use{}); up.Refused != nil || !r.Heartbeat(first.Hold) {
		t.Errorf("a further attempt: refused by %v", up.Refused)
	}
	if up := r.TopUp(context.Background(), first.Hold, Use{USD: 1}, Use{}); up.Refused == nil || up.Why != Failing {
		t.Errorf("one beyond the exposure of 1000 passes, or not for that: %+v", up)
	}
	(<-repairs)()
	if r.State().Repairing {
		t.Error("it is repaired, and still not trusted")
	}
	r.Settle(first.Hold, Use{USD: 500})
	r.Settle(first.Hold, Use{USD: 500})
	next := r.Reserve(context.Background(), d)
	if next.Refused != nil || next.Hold.lease != nil {
		t.Errorf("after the repair: refused by %v, held here: %v", next.Refused, next.Hold.lease != nil)
	}
	for _, s := range localStandings(r) {
		if s.Used != 500 || s.Reserved != 0 {
			t.Errorf("known here: %+v, want 500 used", s)
		}
	}
}

// TestRedisLong: how long n units take to flow off is exact in a script's
// doubles, rounded up, also where the product is beyond 2^53.
func TestRedisLong(t *testing.T) {
	_, rest, found := strings.Cut(redisLua, "local function long(")
	body, _, ended := strings.Cut(rest, "\nend\n")
	if !found || !ended {
		t.Fatal("redis.lua has no function long")
	}
	script := "local floor, ceil, min, MOST = math.floor, math.ceil, math.min, 9e15\nlocal function long(" + body + `
end
local out = {}
for i = 1, #ARGV, 3 do out[#out + 1] = string.format('%.0f', long(tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]))) end
return out`
	r := openFaulty(t, redistest.URL(t), RedisOptions{Deadline: 5 * time.Second})
	rapid.Check(t, func(t *rapid.T) {
		var args []any
		var want []string
		for range 50 {
			amount := rapid.Int64Range(1, MaxAmount).Draw(t, "amount")
			if rapid.Bool().Draw(t, "small") {
				amount = amount%100_000 + 1
			}
			n := rapid.Int64Range(0, 3*MaxAmount).Draw(t, "n")
			if rapid.Bool().Draw(t, "few") {
				n %= 2 * amount
			}
			window := rapid.SampledFrom([]int64{1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000, 86_399_999_999}).Draw(t, "window")
			if rapid.Bool().Draw(t, "close to a whole number") {
				m := rapid.Int64Range(1, MaxAmount/window).Draw(t, "m")
				amount = window * m
				n = max(0, m*rapid.Int64Range(0, window).Draw(t, "whole")+rapid.Int64Range(-1, 1).Draw(t, "off"))
			}
			args = append(args, n, amount, window)
			x := new(big.Int).Mul(big.NewInt(n), big.NewInt(window))
			x.Add(x, big.NewInt(amount-1)).Div(x, big.NewInt(amount))
			if most := big.NewInt(9e15); x.Cmp(most) > 0 {
				x = most
			}
			want = append(want, x.String())
		}
		got, err := r.store.client.Eval(context.Background(), script, nil, args...).StringSlice()
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%v units of %v in %v µs: %s, want %s", args[3*i], args[3*i+1], args[3*i+2], got[i], want[i])
			}
		}
	})
}

// TestRedisExposureAnew: what is known after a repair is what the next
// exposure is on top of, be the repair a moment ago.
func TestRedisExposureAnew(t *testing.T) {
	server := redistest.Start(t)
	repairs := make(chan func(), 16)
	r := openFaulty(t, server.URL, RedisOptions{Recovered: func(done func()) { repairs <- done }})
	(<-repairs)() // a new server
	budget := &Limit{Scope: Key, Dimension: USD, Amount: 100 * Dollar, Period: Month, Exposure: Dollar}
	spend := func(usd int64) Decision {
		d := r.Reserve(context.Background(), &Demand{Project: "p", Rules: []Rule{rule(budget, "a")}, Use: Use{USD: usd}})
		r.Settle(d.Hold, Use{USD: usd})
		return d
	}
	since, _ := budget.Span(time.Now())
	server.Kill()
	server.Restart()
	if d := spend(Dollar); d.Refused != nil || d.Hold.far != nil {
		t.Fatalf("the whole exposure: refused by %v, decided by Redis: %v", d.Refused, d.Hold.far != nil)
	}
	if d := spend(1); d.Refused != budget || d.Why != Failing {
		t.Fatalf("beyond the exposure: refused by %v, why %v", d.Refused, d.Why)
	}
	done := <-repairs
	if err := r.Correct(context.Background(), budget, since, []Sum{{Project: "p", Value: "a", USD: Dollar}}); err != nil {
		t.Fatal(err)
	}
	done()
	if d := spend(1); d.Refused != nil || d.Hold.far == nil {
		t.Fatalf("after the repair: refused by %v, decided by Redis: %v", d.Refused, d.Hold.far != nil)
	}
	server.Pause()
	defer server.Resume()
	if d := spend(Dollar / 2); d.Refused != nil || d.Hold.far != nil {
		t.Errorf("a step that failed after the repair: refused by %v, decided by Redis: %v", d.Refused, d.Hold.far != nil)
	}
}
