package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
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
