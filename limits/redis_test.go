package limits_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/redistest"
	"weir/limits"
	"weir/limits/limitstest"
)

// prefixes are those of limiters that share a server.
var prefixes atomic.Int64

func openRedis(t *testing.T, o limits.RedisOptions) *limits.Redis {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = fmt.Sprintf("weir-test-%d-%d:", time.Now().UnixNano(), prefixes.Add(1))
	}
	if o.Deadline == 0 {
		o.Deadline = 10 * time.Second // slow machines are no fault
	}
	r, err := limits.OpenRedis(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s := r.State(); s.Local != 0 {
			t.Errorf("%d decisions were not taken by Redis: %+v", s.Local, s)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestRedis(t *testing.T) {
	url := redistest.URL(t)
	limitstest.Run(t, func(t *testing.T, o limits.Options) limits.Limiter {
		return openRedis(t, limits.RedisOptions{Options: o, URL: url})
	})
}

// TestRedisLower: what was held by calls that nobody settled comes off a
// budget when the ledger has had its time, and what was spent never does.
func TestRedisLower(t *testing.T) {
	c := &limitstest.Clock{}
	c.Set(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	r := openRedis(t, limits.RedisOptions{Options: limits.Options{Now: c.Now}, URL: redistest.URL(t)})
	l := &limits.Limit{Scope: limits.Customer, Dimension: limits.USD, Period: limits.Month, Amount: 1000}
	since, _ := l.Span(c.Now())
	spend := func(value string, usd int64) limits.Decision {
		t.Helper()
		d := r.Reserve(t.Context(), &limits.Demand{Project: "p", Use: limits.Use{USD: usd}, Rules: []limits.Rule{{Limit: l, Name: l.Name(), Value: value}}})
		if d.Refused != nil {
			t.Fatal("refused")
		}
		return d
	}
	ledger := func(spent ...limits.Sum) {
		t.Helper()
		if err := r.Correct(t.Context(), l, since, spent); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Lower(t.Context(), l, since, spent); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, want ...int64) {
		t.Helper()
		list, err := r.Status(t.Context())
		if err != nil || len(list) != len(want) {
			t.Fatalf("%s: %+v, %v; want %d", what, list, err, want)
		}
		for i, w := range want {
			if list[i].Used != w {
				t.Errorf("%s: %s has used %d, want %d", what, list[i].Value, list[i].Used, w)
			}
		}
	}
	r.Settle(spend("a", 50).Hold, limits.Use{USD: 40})
	spend("a", 100) // a process that died
	spend("b", 30)
	c.Add(limits.LeaseTime)
	ledger(limits.Sum{Project: "p", Value: "a", USD: 40})
	check("when they have expired", 140, 30)
	c.Add(2 * time.Minute)
	r.Settle(spend("a", 7).Hold, limits.Use{USD: 7}) // its row is still to come
	ledger(limits.Sum{Project: "p", Value: "a", USD: 55})
	check("too early", 147, 30)
	c.Add(time.Minute)
	ledger(limits.Sum{Project: "p", Value: "a", USD: 55}) // the dead one's row has come, with 15
	check("in time", 62)
	c.Add(10 * time.Minute)
	ledger(limits.Sum{Project: "p", Value: "a", USD: 62})
	ledger(limits.Sum{Project: "p", Value: "a", USD: 62})
	check("the sums agree", 62)
	c.Add(10 * time.Minute)
	ledger(limits.Sum{Project: "p", Value: "a", USD: 50, Unpriced: 1})
	c.Add(10 * time.Minute)
	ledger(limits.Sum{Project: "p", Value: "a", USD: 50, Unpriced: 1})
	check("an unknown cost", 62)
}
