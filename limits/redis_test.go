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
