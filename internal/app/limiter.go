package app

import (
	"context"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/alerts"
	"weir/config"
	"weir/console"
	"weir/limits"
)

// openLimiter opens what keeps the counts of limits: this process's memory, or
// a Redis that several processes share.
func (a *App) openLimiter(c *config.Config) error {
	o := limits.Options{Crossed: a.crossed}
	a.keeper.wake = make(chan struct{}, 1)
	if c.Redis == "" {
		a.limiter = limits.NewGuard(limits.NewMemory(o))
		return nil
	}
	r, err := limits.OpenRedis(limits.RedisOptions{
		Options: o, URL: string(c.Redis), Prefix: c.RedisPrefix, Log: a.log, Changed: a.limiterChanged(), Recovered: a.keeper.recovered,
	})
	if err != nil {
		return err
	}
	a.redis, a.limiter = r, limits.NewGuard(r)
	a.onStop("limits", func(context.Context) error { return r.Close() })
	a.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_limiter_degraded",
			Help: "1 while limits are decided on in this process, since Redis fails; 0.5 while budgets alone are, until the ledger has corrected their sums there.",
		}, func() float64 { return degraded(r.State()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_limiter_replicas",
			Help: "Processes that count limits on the same Redis, as far as is known.",
		}, func() float64 { return float64(r.State().Replicas) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_limiter_waiting",
			Help: "Ends of calls that Redis is still to be told of.",
		}, func() float64 { return float64(r.State().Waiting) }),
	)
	return nil
}

// limiterChanged tells operators that Redis fails, and that it answers again.
func (a *App) limiterChanged() func(limits.RedisState) {
	host, err := os.Hostname()
	if err != nil {
		host = "weir"
	}
	process := host + ":" + strconv.Itoa(os.Getpid())
	var failing atomic.Bool
	return func(s limits.RedisState) {
		if failing.Swap(s.Failing) != s.Failing {
			a.desk.Tell(alerts.NewLimiter(s.Failing, s.Why, process, time.Now()))
		}
	}
}

// limitStore is how the limiter works, for the console.
func (a *App) limitStore() console.LimitStore {
	if a.redis == nil {
		return console.LimitStore{Kind: "memory", State: "ok", Since: a.started}
	}
	s := a.redis.State()
	out := console.LimitStore{
		Kind: "redis", State: "ok", Since: s.Since, Why: s.Why, Replicas: s.Replicas,
		Decisions: s.Local, Waiting: s.Waiting, Dropped: s.Dropped,
	}
	switch {
	case s.Failing:
		out.State = "failing"
	case s.Repairing:
		out.State = "repairing"
	}
	if l := s.Last; !l.To.IsZero() {
		out.Last = &console.LimitOutage{From: l.From, To: l.To, Why: l.Why, Decisions: l.Local}
	}
	return out
}

func degraded(s limits.RedisState) float64 {
	switch {
	case s.Failing:
		return 1
	case s.Repairing:
		return 0.5
	}
	return 0
}
