// Package limitstest tells whether a limits.Limiter keeps the laws.
package limitstest

import (
	"context"
	"sync"
	"testing"
	"time"

	"weir/limits"
)

// Run runs the conformance suite. open returns a limiter without counts that
// goes by the options' clock, to the microsecond; it ends with the test.
func Run(t *testing.T, open func(*testing.T, limits.Options) limits.Limiter) {
	s := suite{make: open}
	for name, test := range map[string]func(*testing.T){
		"requests": s.requests, "all or nothing": s.allOrNothing, "debt": s.debtAndEstimatesAboveTheBurst,
		"leases": s.leases, "long calls": s.longCallsAreCharged, "shadow": s.shadow, "late": s.lateSettlement, "release": s.release,
		"rates": s.rates, "budgets": s.budgets, "a budget": s.budget, "periods": s.periods, "projects": s.projects,
		"unpriced": s.unpriced, "over a budget": s.overBudget, "correct": s.correct, "crossings": s.crossings,
		"top up": s.topUp, "strict": s.strict, "expired budget": s.expiredBudget, "at once": s.atOnce,
	} {
		t.Run(name, test)
	}
}

type suite struct {
	make func(*testing.T, limits.Options) limits.Limiter
}

// A Clock is one that tests set; it may run back.
type Clock struct {
	mu sync.Mutex // guards the following field
	t  time.Time
}

// Now returns the time that was set.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Set sets the time.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// Add moves the time.
func (c *Clock) Add(d time.Duration) { c.Set(c.Now().Add(d)) }

func newClock() *Clock { return &Clock{t: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)} }

func (s suite) open(t *testing.T) (limits.Limiter, *Clock) {
	c := newClock()
	return s.make(t, limits.Options{Now: c.Now}), c
}

func rule(l *limits.Limit, value string) limits.Rule {
	return limits.Rule{Limit: l, Name: l.Name(), Value: value}
}

// project is whose calls the tests make.
const project = "proj_1"

func ask(m limits.Limiter, in, out int64, rules ...limits.Rule) limits.Decision {
	return m.Reserve(context.Background(), &limits.Demand{Project: project, Rules: rules, Use: limits.Use{Input: in, Output: out}})
}

func spend(m limits.Limiter, usd int64, rules ...limits.Rule) limits.Decision {
	return m.Reserve(context.Background(), &limits.Demand{Project: project, Rules: rules, Use: limits.Use{USD: usd}})
}

// A fataler is a testing.T or a rapid.T.
type fataler interface {
	Helper()
	Fatal(...any)
}

func status(t fataler, m limits.Limiter) []limits.Standing {
	t.Helper()
	list, err := m.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func burst(l *limits.Limit) int64 {
	if l.Burst > 0 {
		return l.Burst
	}
	return l.Amount
}
