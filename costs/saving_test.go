package costs

import "testing"

func TestCacheSaving(t *testing.T) {
	check := func(u map[Meter]int64, paid map[Meter]string, want string, wantCached bool) {
		t.Helper()
		var usage Usage
		for m, n := range u {
			usage.Set(m, n)
		}
		saved, cached, known := CacheSaving(usage, func(m Meter) (Money, bool) {
			s, ok := paid[m]
			if !ok {
				return Money{}, false
			}
			return USD(s), true
		})
		if cached != wantCached || known != (want != "") || known && saved != USD(want) {
			t.Errorf("%v at %v: got %v, %v, %v, want %q", u, paid, saved, cached, known, want)
		}
	}
	// 3 $/M plain, a tenth for reads, a quarter more for writes.
	check(map[Meter]int64{Input: 1000, InputCacheRead: 9000}, map[Meter]string{Input: "0.003", InputCacheRead: "0.0027"}, "0.0243", true)
	check(map[Meter]int64{Input: 1000, InputCacheWrite5m: 8000}, map[Meter]string{Input: "0.003", InputCacheWrite5m: "0.03"}, "-0.006", true)
	check(map[Meter]int64{Input: 1000, InputCacheRead: 9000, InputCacheWrite1h: 1000}, map[Meter]string{Input: "0.003", InputCacheRead: "0.0027", InputCacheWrite1h: "0.006"}, "0.0213", true)
	check(map[Meter]int64{Input: 3, InputCacheRead: 1}, map[Meter]string{Input: "0.000001", InputCacheRead: "0"}, "0.000000333333", true)
	check(map[Meter]int64{Input: 10, InputAudio: 5, InputCacheReadAudio: 10}, map[Meter]string{Input: "1", InputAudio: "2", InputCacheReadAudio: "1"}, "3", true)
	// What is not known is not 0.
	check(map[Meter]int64{InputCacheRead: 9000}, map[Meter]string{InputCacheRead: "0.0027"}, "", true)
	check(map[Meter]int64{Input: 1, InputCacheRead: 9000}, nil, "", true)
	check(map[Meter]int64{Input: 10, InputCacheRead: 5, InputCacheReadAudio: 5}, map[Meter]string{Input: "1", InputCacheRead: "0.1", InputCacheReadAudio: "0.1"}, "", true)
	// There is no cache in it.
	check(map[Meter]int64{Input: 10, InputCacheRead: 0}, map[Meter]string{Input: "1"}, "", false)
	check(nil, nil, "", false)
}
