package limits

import (
	"context"
	"testing"

	"weir/internal/redistest"
)

func benchRedis(b *testing.B) (*Redis, *Demand) {
	b.Helper()
	r, err := OpenRedis(RedisOptions{URL: redistest.Start(b).URL})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	_, d := benchDemand()
	r.Release(r.Reserve(context.Background(), d).Hold) // it writes down the project
	return r, d
}

// BenchmarkRedisReserve is one decision over five limits on a Redis of the same
// machine: one round trip. Its end is not counted.
func BenchmarkRedisReserve(b *testing.B) {
	r, d := benchRedis(b)
	b.ReportAllocs()
	for b.Loop() {
		h := r.Reserve(context.Background(), d).Hold
		b.StopTimer()
		r.Settle(h, Use{Input: 900, Output: 200, USD: 900})
		b.StartTimer()
	}
	b.ReportMetric(float64(r.State().Local), "local")
}

// BenchmarkRedisDecision is a decision and its settlement, two round trips.
func BenchmarkRedisDecision(b *testing.B) {
	r, d := benchRedis(b)
	b.ReportAllocs()
	for b.Loop() {
		r.Settle(r.Reserve(context.Background(), d).Hold, Use{Input: 900, Output: 200, USD: 900})
	}
	b.ReportMetric(float64(r.State().Local), "local")
}

// BenchmarkRedisDecisionParallel is the same by 32 callers at once.
func BenchmarkRedisDecisionParallel(b *testing.B) {
	r, d := benchRedis(b)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		own := *d
		for pb.Next() {
			r.Settle(r.Reserve(context.Background(), &own).Hold, Use{Input: 900, Output: 200, USD: 900})
		}
	})
	b.ReportMetric(float64(r.State().Local), "local")
}
