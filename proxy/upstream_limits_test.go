package proxy

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// requestsLeft makes a word about requests.
func requestsLeft(left, limit int64, reset time.Duration) word {
	return word{ofRequests: {known: true, limit: limit, left: left, reset: reset}}
}

var oneCall = amounts{1, 1, 1, 1}

// took fails the test where a call is not let through, or is where it must not be.
func took(t *testing.T, l *allowance, need amounts, want time.Duration) ticket {
	t.Helper()
	got, wait := l.take(time.Now(), need)
	if wait != want {
		t.Errorf("wait %v, want %v", wait, want)
	}
	return got
}

func tell(l *allowance, w word, sent ticket) { l.hear(&w, &sent, 200, time.Now()) }

// What is under way counts, and what was said comes back evenly until the reset.
func TestAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l allowance
		first := took(t, &l, oneCall, 0)
		tell(&l, requestsLeft(2, 10, 8*time.Second), first)
		took(t, &l, oneCall, 0)
		last := took(t, &l, oneCall, 0)
		took(t, &l, oneCall, time.Second) // two of two are under way
		time.Sleep(time.Second)
		took(t, &l, oneCall, 0)
		took(t, &l, oneCall, time.Second)

		// The word of a call that was sent later wins, though one of before comes after it.
		tell(&l, requestsLeft(0, 10, 10*time.Second), last)
		tell(&l, requestsLeft(9, 10, time.Second), first)
		took(t, &l, oneCall, time.Second+onTheWay)

		time.Sleep(30 * time.Second)
		for range 10 { // no more than it has said to hold
			took(t, &l, oneCall, 0)
		}
		took(t, &l, oneCall, time.Second)
		time.Sleep(30 * time.Second)
		for range 20 { // what was said is stale: the upstream is asked
			took(t, &l, oneCall, 0)
		}
	})
}

func TestAllowanceOfTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l allowance
		first := took(t, &l, oneCall, 0)
		tell(&l, word{ofTokens: {known: true, limit: 6000, left: 1000, reset: 50 * time.Second}}, first)
		took(t, &l, amounts{1, 900, 900, 1}, 0)
		took(t, &l, amounts{1, 200, 200, 1}, time.Second)
		took(t, &l, amounts{1, 100, 100, 1}, 0) // a smaller call passes
		took(t, &l, amounts{1, 6001, 6001, 1}, 0)
		took(t, &l, amounts{1, 6000, 6000, 1}, time.Minute) // 1000 are under way
	})
}

// A vendor whose minute ends at once, without a limit or with one.
func TestAllowanceInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l allowance
		tell(&l, requestsLeft(0, 0, 5*time.Second), ticket{sent: time.Now()})
		took(t, &l, oneCall, 5*time.Second)
		time.Sleep(5 * time.Second)
		room := took(t, &l, oneCall, 0)

		w := requestsLeft(0, 10, 10*time.Second)
		now := time.Now()
		tell(&l, w, room)
		took(t, &l, oneCall, time.Second)
		l.refuse(stop{}, &w, now) // it was asked after that second, and refused
		took(t, &l, oneCall, 10*time.Second)
	})
}

func TestStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l allowance
		now := time.Now()
		l.refuse(stop{status: 429, until: now.Add(3 * time.Second)}, new(word), now)
		l.refuse(stop{status: 429, until: now.Add(time.Second)}, new(word), now)
		took(t, &l, oneCall, 3*time.Second)
		time.Sleep(3 * time.Second)
		took(t, &l, oneCall, 0)

		now = time.Now()
		l.refuse(stop{status: 429, until: now.Add(time.Minute), tokens: 5000}, new(word), now)
		took(t, &l, amounts{1, 5000, 5000, 1}, time.Minute)
		took(t, &l, amounts{1, 4999, 4999, 1}, 0)
	})
}

// A header that does not mean what it says keeps calls away for ten seconds,
// not for ever.
func TestDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l allowance
		out := requestsLeft(0, 0, time.Minute)
		tell(&l, out, ticket{sent: time.Now()})
		took(t, &l, oneCall, time.Minute)
		time.Sleep(doubtAfter - time.Second)
		took(t, &l, oneCall, time.Minute-doubtAfter+time.Second)
		time.Sleep(time.Second)
		probe := took(t, &l, oneCall, 0)
		took(t, &l, oneCall, time.Minute-doubtAfter) // one, not all
		tell(&l, out, probe)
		for range 5 {
			took(t, &l, oneCall, 0)
		}
		time.Sleep(doubtLasts)
		tell(&l, out, took(t, &l, oneCall, 0))
		took(t, &l, oneCall, time.Minute)
		time.Sleep(doubtAfter)
		probe = took(t, &l, oneCall, 0)
		l.hear(&out, &probe, 429, time.Now()) // it was refused: the header is true
		took(t, &l, oneCall, time.Minute)
		time.Sleep(2*doubtAfter - time.Second)
		took(t, &l, oneCall, time.Minute-2*doubtAfter+time.Second)
		time.Sleep(time.Second)
		took(t, &l, oneCall, 0)
	})
}

// What never reached the upstream does not count.
func TestGiveBack(t *testing.T) {
	var l allowance
	tell(&l, requestsLeft(1, 10, time.Hour), ticket{sent: time.Now()})
	room, wait := l.take(time.Now(), oneCall)
	if _, full := l.take(time.Now(), oneCall); wait != 0 || full == 0 {
		t.Fatalf("waits %v and %v", wait, full)
	}
	room.giveBack()
	if _, wait := l.take(time.Now(), oneCall); wait != 0 {
		t.Errorf("wait %v after it was given back", wait)
	}
}

// Names come from clients: what is remembered is bounded, and what is over goes first.
func TestAllowancesAreBounded(t *testing.T) {
	var s allowances
	now := time.Now()
	w := requestsLeft(0, 10, time.Minute)
	s.open("live", now).hear(&w, &ticket{sent: now}, 200, now)
	for i := range 3 * maxModels {
		s.open(fmt.Sprint("m", i), now)
	}
	if n := len(s.models); n > maxModels {
		t.Errorf("%d models are remembered", n)
	}
	if s.look("live") == nil {
		t.Error("what counts was forgotten")
	}
	if got := s.left(now); got[ofRequests] != 0 || got[ofTokens] >= 0 {
		t.Errorf("left: %v", got)
	}
}

// No more calls pass than there is room for, whoever else asks.
func TestAllowanceUnderRace(t *testing.T) {
	var l allowance
	now := time.Now()
	tell(&l, requestsLeft(50, 100, time.Hour), ticket{sent: now})
	var passed sync.Map
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 100 {
				room, wait := l.take(now, oneCall)
				if wait == 0 {
					passed.Store([2]int{i, j}, true)
				}
				if j%10 == 0 {
					w := word{ofTokens: {known: true, left: 1 << 40}}
					l.hear(&w, &room, 200, now)
				}
			}
		})
	}
	all.Wait()
	n := 0
	passed.Range(func(any, any) bool { n++; return true })
	if n != 50 {
		t.Errorf("%d calls passed, want 50", n)
	}
}

var openaiSays = http.Header{
	"Content-Type": {"application/json"}, "Date": {"Thu, 26 Nov 2026 12:00:00 GMT"},
	"X-Ratelimit-Limit-Requests": {"5000"}, "X-Ratelimit-Remaining-Requests": {"4999"}, "X-Ratelimit-Reset-Requests": {"12ms"},
	"X-Ratelimit-Limit-Tokens": {"800000"}, "X-Ratelimit-Remaining-Tokens": {"799984"}, "X-Ratelimit-Reset-Tokens": {"1ms"},
}

// The cost of a call where the upstream speaks of its limits, and where it does not.
func BenchmarkUpstreamLimits(b *testing.B) {
	b.Run("look and note", func(b *testing.B) {
		b.ReportAllocs()
		var s allowances
		s.open("gpt-4o", time.Now())
		for b.Loop() {
			now := time.Now()
			t, _ := s.look("gpt-4o").take(now, oneCall)
			var w word
			w.read(openaiSays, openaiRows, now)
			t.of.hear(&w, &t, 200, now)
		}
	})
	b.Run("look", func(b *testing.B) {
		b.ReportAllocs()
		var s allowances
		s.open("gpt-4o", time.Now())
		for b.Loop() {
			s.look("gpt-4o").take(time.Now(), oneCall)
		}
	})
	b.Run("nothing is said", func(b *testing.B) {
		b.ReportAllocs()
		var s allowances
		h := http.Header{"Content-Type": {"application/json"}}
		for b.Loop() {
			if s.look("gpt-4o") != nil {
				b.Fatal("known")
			}
			var w word
			w.read(h, openaiRows|otherRows, noon)
		}
	})
}
