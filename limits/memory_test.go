package limits

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func rule(l *Limit, value string) Rule { return Rule{Limit: l, Name: l.Name(), Value: value} }

func ask(m *Memory, rules ...Rule) Decision {
	return m.Reserve(context.Background(), &Demand{Rules: rules})
}

func inUse(m *Memory) []Standing {
	list, _ := m.Status(context.Background())
	return list
}

func TestBoundedCounters(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	m := NewMemory(Options{Now: func() time.Time { return now }})
	m.max = 100
	l := &Limit{Scope: User, Dimension: Requests, Amount: 5, Window: 24 * time.Hour}
	for i := range 10_000 {
		ask(m, rule(l, fmt.Sprint(i)))
	}
	if n := len(m.counters); n > 101 {
		t.Errorf("%d counters are kept, want at most 101", n)
	}
	if d := ask(m, rule(l, "one more")); d.Refused != l {
		t.Error("values beyond the bound do not share a count")
	}
	now = now.Add(48 * time.Hour)
	for i := range 50 {
		if d := ask(m, rule(l, fmt.Sprint("later ", i))); d.Refused != nil {
			t.Fatalf("value %d is refused when all others are long gone", i)
		}
	}
	m.max = 1e9 // no counts are forgotten at once where they are in use
	for i := range 5000 {
		ask(m, rule(l, fmt.Sprint("in use ", i)))
	}
	if n := len(inUse(m)); n != 5050 {
		t.Errorf("%d counts in use, want 5050", n)
	}
}

func TestRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(Options{})
		l := &Limit{Scope: Global, Dimension: Requests, Amount: 5, Window: time.Second}
		for i := range 30 {
			want := i%6 == 5
			d := ask(m, rule(l, ""))
			if (d.Refused != nil) != want {
				t.Fatalf("request %d: refused %v", i, d.Refused != nil)
			}
			m.Settle(d.Hold, Use{})
			if want {
				time.Sleep(time.Second)
			}
		}
	})
}

func TestDecisionAllocatesNothing(t *testing.T) {
	m, d := benchDemand()
	if n := testing.AllocsPerRun(1000, func() { m.Settle(m.Reserve(context.Background(), d).Hold, Use{Input: 10, Output: 5}) }); n != 0 {
		t.Errorf("a decision and its settlement allocate %v times", n)
	}
}

func benchDemand() (*Memory, *Demand) {
	m := NewMemory(Options{})
	d := &Demand{Project: "proj_1", Use: Use{Input: 1000, Output: 250, USD: 1_000_000}}
	for _, l := range []*Limit{
		{Scope: Key, Dimension: Requests, Amount: 1e12, Window: time.Minute},
		{Scope: Key, Dimension: Tokens, Amount: 1e14, Window: time.Minute},
		{Scope: Key, Dimension: Concurrent, Amount: 50},
		{Scope: Customer, Dimension: Requests, Amount: 1e12, Window: time.Hour},
		{Scope: Project, Dimension: USD, Amount: MaxUSD, Period: Month},
	} {
		d.Rules = append(d.Rules, rule(l, "a-value-as-long-as-a-key-id"))
	}
	return m, d
}

// BenchmarkDecision is one decision over five limits, and its settlement.
func BenchmarkDecision(b *testing.B) {
	m, d := benchDemand()
	b.ReportAllocs()
	for b.Loop() {
		m.Settle(m.Reserve(context.Background(), d).Hold, Use{Input: 900, Output: 200, USD: 900})
	}
}

// BenchmarkDecisionParallel is the same by all processors at once, on one value.
func BenchmarkDecisionParallel(b *testing.B) {
	m, d := benchDemand()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		own := *d
		for pb.Next() {
			m.Settle(m.Reserve(context.Background(), &own).Hold, Use{Input: 900, Output: 200, USD: 900})
		}
	})
}
