package app

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/redistest"
)

// TestSharedLimits: two processes on one Redis count together, and each by
// itself when it is gone; its password shows nowhere.
func TestSharedLimits(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "CANARY")
	url := "redis://:CANARY@" + server.Addr
	text := basic + fmt.Sprintf("redis: %s\nredis_prefix: 'test:'\n", url) +
		"limits: [{scope: global, requests_per_day: 3}, {scope: customer, requests_per_day: 1}]\n"
	one, two := start(t, text), start(t, text)
	chat := func(h *house, want int, header ...string) {
		t.Helper()
		if status, body := h.chat("mock/echo", header...); status != want {
			t.Errorf("status %d, want %d: %s", status, want, body)
		}
	}
	chat(one, http.StatusOK, "X-Weir-Customer", "acme")
	chat(two, http.StatusTooManyRequests, "X-Weir-Customer", "acme")
	chat(two, http.StatusOK, "X-Weir-Customer", "other")
	chat(two, http.StatusOK)
	chat(one, http.StatusTooManyRequests)
	admin := func(h *house, path string) string {
		t.Helper()
		status, body := h.do("GET", h.AdminURL()+path, "", "Authorization", "Bearer "+string(h.Token().Value))
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, status, body)
		}
		return body
	}
	var list struct{ Data []struct{ Used int64 } }
	if err := json.Unmarshal([]byte(admin(one, "api/v1/limits")), &list); err != nil || len(list.Data) != 3 {
		t.Errorf("the limits in use: %v, %v", list, err)
	}
	if m := admin(one, "metrics"); !strings.Contains(m, "weir_limiter_degraded 0\n") || !strings.Contains(m, "weir_limiter_replicas 2\n") {
		one.eventually("both processes are known", func() bool {
			return strings.Contains(admin(one, "metrics"), "weir_limiter_replicas 2\n")
		})
	}
	server.Kill()
	for began := time.Now(); one.redis.State().Failing == false; {
		one.chat("mock/echo")
		if time.Since(began) > 10*time.Second {
			t.Fatal("a Redis that is gone is not noticed")
		}
	}
	if m := admin(one, "metrics"); !strings.Contains(m, "weir_limiter_degraded 1\n") {
		t.Error("weir_limiter_degraded is not 1")
	}
	if s := admin(one, "api/v1/limit-store"); !strings.Contains(s, `"kind":"redis","state":"failing"`) || !strings.Contains(s, `"why":"`) {
		t.Errorf("the store of the limits: %s", s)
	}
	if c := admin(one, "api/v1/config"); strings.Contains(c, "CANARY") || !strings.Contains(c, `"redis":"(set)"`) {
		t.Errorf("the configuration shows: %s", c)
	}
	if log := one.log.String(); strings.Contains(log, "CANARY") || strings.Count(log, "Redis fails") != 1 {
		t.Errorf("the log: %s", log)
	}
}

// TestEmptiedRedis: a Redis that restarts without its data is brought to what
// the ledger knows, and what was decided without it is counted, too.
func TestEmptiedRedis(t *testing.T) {
	server := redistest.Start(t)
	h := start(t, pricedMock+"redis: "+server.URL+"\nlimits: [{scope: global, usd_per_month: $1}, {scope: customer, requests_per_day: 1000}]\n")
	h.eventually("a new Redis is brought up to date", func() bool { s := h.redis.State(); return !s.Failing && !s.Repairing })
	ask := func(n int) {
		t.Helper()
		for range n {
			if status, body := h.chat("mock/gpt-4o-mini", "X-Weir-Customer", "acme"); status != http.StatusOK {
				t.Fatalf("%d %s", status, body)
			}
		}
	}
	const budget = "global usd_per_month "
	ask(1)
	one, err := strconv.ParseFloat(h.spent(budget), 64)
	if err != nil || one == 0 {
		t.Fatalf("one call cost %v, %v", one, err)
	}
	ask(2)
	server.Kill()
	ask(3) // until it is noticed each waits for a moment
	server.Restart()
	ask(1)
	h.eventually("Redis is trusted again", func() bool { s := h.redis.State(); return !s.Failing && !s.Repairing && !s.Last.To.IsZero() })
	h.eventually("what was spent is counted", func() bool {
		all, err := strconv.ParseFloat(h.spent(budget), 64)
		return err == nil && math.Abs(all-7*one) < one/1000
	})
	ask(1)
	h.eventually("Redis counts", func() bool {
		all, err := strconv.ParseFloat(h.spent(budget), 64)
		return err == nil && math.Abs(all-8*one) < one/1000
	})
	if log := h.log.String(); strings.Count(log, "Redis answers again") != 1 {
		t.Errorf("the log: %s", log)
	}
}

// TestPausedRedis: a Redis that stops in its tracks holds up no call that no
// limit binds, and those that one binds for moments, at first; none hangs.
func TestPausedRedis(t *testing.T) {
	server := redistest.Start(t)
	h := start(t, basic+"redis: "+server.URL+"\nlimits: [{scope: customer, requests_per_day: 100000, concurrent: 1000}]\n")
	load := func(header ...string) (p99, most time.Duration) {
		t.Helper()
		const callers, calls = 4, 75
		took := make([]time.Duration, callers*calls)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for k := range calls {
					began := time.Now()
					status, body := h.chat("mock/echo", header...)
					if took[i*calls+k] = time.Since(began); status != http.StatusOK {
						t.Errorf("%d %s", status, body)
					}
				}
			})
		}
		wg.Wait()
		slices.Sort(took)
		return took[len(took)*99/100], took[len(took)-1]
	}
	before, _ := load("X-Weir-Customer", "acme")
	server.Pause()
	bound, most := load("X-Weir-Customer", "acme")
	free, _ := load()
	server.Resume()
	t.Logf("p99 before %v; paused: bound %v (at most %v), free %v", before, bound, most, free)
	if slack := 50*time.Millisecond + 2*before; bound > 2*slack || free > slack || most > 2*time.Second {
		t.Errorf("p99 before %v; paused: bound %v (at most %v), free %v", before, bound, most, free)
	}
	h.eventually("Redis is back", func() bool { s := h.redis.State(); return !s.Failing && s.Waiting == 0 })
}
