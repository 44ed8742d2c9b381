package limits_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
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

// TestRedisCluster runs the suite on a cluster, if of one node: a script that
// touches two slots is refused there.
func TestRedisCluster(t *testing.T) {
	bus, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(bus.Addr().String())
	bus.Close()
	server := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", port)
	server.Do("CLUSTER ADDSLOTSRANGE 0 16383")
	for end := time.Now().Add(10 * time.Second); !strings.Contains(server.Do("CLUSTER INFO"), "cluster_state:ok"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the cluster does not come up")
		}
	}
	url := server.URL + "?addr=" + server.Addr
	limitstest.Run(t, func(t *testing.T, o limits.Options) limits.Limiter {
		return openRedis(t, limits.RedisOptions{Options: o, URL: url})
	})
}

// TestRedisMany: processes on one Redis never let more through together than
// one would, and what one of them held that is gone comes free.
func TestRedisMany(t *testing.T) {
	url, prefix := redistest.URL(t), fmt.Sprintf("weir-test-many-%d:", time.Now().UnixNano())
	c := &limitstest.Clock{}
	c.Set(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	var processes [3]*limits.Redis
	for i := range processes {
		processes[i] = openRedis(t, limits.RedisOptions{Options: limits.Options{Now: c.Now}, URL: url, Prefix: prefix})
	}
	budget := &limits.Limit{Scope: limits.Project, Dimension: limits.USD, Period: limits.Day, Amount: 10_000}
	slots := &limits.Limit{Scope: limits.Project, Dimension: limits.Concurrent, Amount: 20}
	d := limits.Demand{Project: "p", Use: limits.Use{USD: 10}, Rules: []limits.Rule{
		{Limit: budget, Name: budget.Name(), Value: "p"}, {Limit: slots, Name: slots.Name(), Value: "p"},
	}}
	var spent, under, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			r := processes[i%3]
			for range 60 {
				out := r.Reserve(t.Context(), &d)
				if out.Refused != nil {
					continue
				}
				if n := under.Add(1); n > most.Load() {
					most.Store(n)
				}
				used := int64(i % 11)
				under.Add(-1)
				r.Settle(out.Hold, limits.Use{USD: used})
				r.Settle(out.Hold, limits.Use{USD: 1e6})
				spent.Add(used)
			}
		})
	}
	wg.Wait()
	if most.Load() > slots.Amount {
		t.Errorf("%d calls at once, want at most %d", most.Load(), slots.Amount)
	}
	list, err := processes[1].Status(t.Context())
	if err != nil || len(list) != 1 || list[0].Used != spent.Load() || spent.Load() > budget.Amount {
		t.Errorf("%d were spent; the third process sees %+v, %v", spent.Load(), list, err)
	}
	for range 20 {
		processes[0].Reserve(t.Context(), &d)
	}
	if out := processes[1].Reserve(t.Context(), &d); out.Refused != slots {
		t.Error("the slots of another process are not counted")
	}
	c.Add(limits.LeaseTime)
	if out := processes[1].Reserve(t.Context(), &d); out.Refused != nil {
		t.Errorf("what a process held that is gone stays: %+v", out.Refused)
	}
}

// TestRedisBounds: values beyond the bound share a count, counts end by
// themselves, and no key is as long as what a client sends.
func TestRedisBounds(t *testing.T) {
	server := redistest.Start(t)
	r := openRedis(t, limits.RedisOptions{URL: server.URL, MaxValues: 50})
	l := &limits.Limit{Scope: limits.User, Dimension: limits.Requests, Amount: 5, Window: 24 * time.Hour}
	refused := 0
	for i := range 100 {
		d := r.Reserve(t.Context(), &limits.Demand{Project: "p", Rules: []limits.Rule{{Limit: l, Name: l.Name(), Value: fmt.Sprint(i, strings.Repeat("x", 100_000))}}})
		if d.Refused != nil {
			refused++
		}
	}
	list, err := r.Status(t.Context())
	if err != nil || len(list) != 51 || refused != 45 {
		t.Errorf("%d values stand, %d were refused, %v; want 51, one of them for all others, and 45", len(list), refused, err)
	}
	for _, s := range list {
		if len(s.Value) > 256 {
			t.Errorf("a value of %d bytes is kept", len(s.Value))
		}
	}
	for _, key := range strings.Fields(server.Do("KEYS *")) {
		if !strings.HasPrefix(key, "weir-test") {
			continue
		}
		if len(key) > 200 {
			t.Errorf("a key of %d bytes", len(key))
		}
		if ttl := strings.TrimSpace(server.Do("TTL " + key)); strings.HasPrefix(ttl, ":-") {
			t.Errorf("%s stays for ever: %s", key, ttl)
		}
	}
}
