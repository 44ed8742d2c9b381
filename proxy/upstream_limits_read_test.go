package proxy

import (
	"net/http"
	"testing"
	"time"
)

// headerOf makes a header of names and values.
func headerOf(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// What each vendor says, and what must not be believed.
func TestLimitHeaders(t *testing.T) {
	check := func(what string, h http.Header, want word) {
		t.Helper()
		var got word
		if known := got.read(h, ^limitRows(0)>>(16-len(limitHeaders)), noon); got != want || known != (want != word{}) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", what, known, got, want)
		}
	}
	check("nothing", headerOf("Content-Type", "application/json"), word{})
	check("OpenAI", headerOf(
		"x-ratelimit-limit-requests", "60", "x-ratelimit-limit-tokens", "150000",
		"x-ratelimit-remaining-requests", "59", "x-ratelimit-remaining-tokens", "12984",
		"x-ratelimit-reset-requests", "1s", "x-ratelimit-reset-tokens", "6m0s",
	), word{
		ofRequests: {known: true, limit: 60, left: 59, reset: time.Second},
		ofTokens:   {known: true, limit: 150000, left: 12984, reset: 6 * time.Minute},
	})
	check("Groq", headerOf(
		"x-ratelimit-limit-requests", "14400", "x-ratelimit-limit-tokens", "18000",
		"x-ratelimit-remaining-requests", "370", "x-ratelimit-remaining-tokens", "997",
		"x-ratelimit-reset-requests", "2m59.56s", "x-ratelimit-reset-tokens", "7.66s",
	), word{
		ofRequests: {known: true, limit: 14400, left: 370, reset: 179560 * time.Millisecond},
		ofTokens:   {known: true, limit: 18000, left: 997, reset: 7660 * time.Millisecond},
	})
	check("Azure", headerOf("x-ratelimit-remaining-requests", "0", "x-ratelimit-remaining-tokens", "880"),
		word{ofRequests: {known: true}, ofTokens: {known: true, left: 880}})
	check("Azure, seconds", headerOf("x-ratelimit-remaining-requests", "0", "x-ratelimit-limit-requests", "10", "x-ratelimit-reset-requests", "10"),
		word{ofRequests: {known: true, limit: 10, reset: 10 * time.Second}})
	check("Mistral", headerOf(
		"x-ratelimit-limit-req-minute", "60", "x-ratelimit-remaining-req-minute", "59",
		"x-ratelimit-limit-tokens-minute", "50000", "x-ratelimit-remaining-tokens-minute", "47196",
		"x-ratelimit-limit-tokens-month", "4000000", "x-ratelimit-remaining-tokens-month", "0",
	), word{
		ofRequests: {known: true, limit: 60, left: 59, steps: true},
		ofTokens:   {known: true, limit: 50000, left: 47196, steps: true},
	})
	check("Cerebras", headerOf(
		"x-ratelimit-limit-requests-day", "14400", "x-ratelimit-remaining-requests-day", "0", "x-ratelimit-reset-requests-day", "11726.25",
		"x-ratelimit-limit-tokens-minute", "60000", "x-ratelimit-remaining-tokens-minute", "60000", "x-ratelimit-reset-tokens-minute", "26.25",
	), word{
		ofRequests: {known: true, limit: 14400, reset: 11726250 * time.Millisecond, steps: true},
		ofTokens:   {known: true, limit: 60000, left: 60000, steps: true},
	})
	check("OpenRouter", headerOf("X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1795694430500"),
		word{ofRequests: {known: true, limit: 20, reset: time.UnixMilli(1795694430500).Sub(noon), at: true, steps: true}})
	check("Unix seconds", headerOf("X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1795694430"),
		word{ofRequests: {known: true, limit: 20, reset: time.Unix(1795694430, 0).Sub(noon), at: true, steps: true}})
	check("Anthropic", headerOf(
		"anthropic-ratelimit-requests-limit", "4000", "anthropic-ratelimit-requests-remaining", "39", "anthropic-ratelimit-requests-reset", "2026-11-26T12:00:01Z",
		"anthropic-ratelimit-tokens-limit", "480000", "anthropic-ratelimit-tokens-remaining", "480000", "anthropic-ratelimit-tokens-reset", "2026-11-26T12:00:00Z",
		"anthropic-ratelimit-input-tokens-limit", "400000", "anthropic-ratelimit-input-tokens-remaining", "2000", "anthropic-ratelimit-input-tokens-reset", "2026-11-26T12:00:59Z",
		"anthropic-ratelimit-output-tokens-limit", "80000", "anthropic-ratelimit-output-tokens-remaining", "0", "anthropic-ratelimit-output-tokens-reset", "2026-11-26T14:01:00+02:00",
	), word{
		ofRequests: {known: true, limit: 4000, left: 39, reset: time.Second, at: true},
		ofTokens:   {known: true, limit: 480000, left: 480000},
		ofInput:    {known: true, limit: 400000, left: 2000, reset: 59 * time.Second, at: true},
		ofOutput:   {known: true, limit: 80000, reset: time.Minute, at: true},
	})
	check("clocks that differ", headerOf("Date", "Thu, 26 Nov 2026 11:58:00 GMT",
		"anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "0", "anthropic-ratelimit-requests-reset", "2026-11-26T11:58:30Z",
	), word{ofRequests: {known: true, limit: 50, reset: 30 * time.Second, at: true}})

	zero := func(left, limit, reset string, want time.Duration) {
		t.Helper()
		n, _ := amount(limit)
		check("remaining "+left+" of "+limit+" until "+reset, headerOf("x-ratelimit-remaining-requests", left, "x-ratelimit-limit-requests", limit, "x-ratelimit-reset-requests", reset),
			word{ofRequests: {known: true, limit: n, reset: want}})
	}
	zero("0", "10", "12ms", 12*time.Millisecond)
	zero("0", "10", "1h2m3.5s", time.Hour+2*time.Minute+3500*time.Millisecond)
	zero("0", "10", "0.5", 500*time.Millisecond)
	for _, s := range []string{"", "0s", "0", "-5s", "-5", "26h", "1e300", "NaN", "Inf", "soon", "1d", "s", "9999999999999999999", "2026-13-99T00:00:00Z"} {
		zero("0", "10", s, 0)
	}
	zero("0", "-1", "1s", time.Second)
	zero("0", "many", "1s", time.Second)
	nothing := func(left, limit string) {
		t.Helper()
		check("remaining "+left+" of "+limit, headerOf("x-ratelimit-remaining-tokens", left, "x-ratelimit-limit-tokens", limit, "x-ratelimit-reset-tokens", "1m"), word{})
	}
	for _, s := range []string{"", "-1", "1.5", "none", "99999999999999999999", "4503599627370496000", " 1"} {
		nothing(s, "1000")
	}
	nothing("0", "0") // Mistral's key without an allowance, and others' "no limit"
	nothing("11", "10")
}

// The delay in Gemini's error body.
func TestRetryDelay(t *testing.T) {
	check := func(body string, want time.Duration) {
		t.Helper()
		if got := retryDelay([]byte(body)); got != want {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
	const gemini = `{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}`
	check(gemini, 34500*time.Millisecond)
	check("["+gemini+"]", 34500*time.Millisecond)
	for _, bad := range []string{``, `[]`, `x "retryDelay"`, `{"error":{"details":[{"retryDelay":"-3s"}]}}`, `{"error":{"details":[{"retryDelay":"soon"}]}}`, `{"error":{"details":[{"retryDelay":3}]}}`, `{"error":{"details":{"retryDelay":"3s"}}}`} {
		check(bad, 0)
	}
	check(`{"error":{"details":[{"retryDelay":"99999999s"}]}}`, time.Duration(maxAsked)*time.Second)
}

// Whatever a header holds: amounts stay within bounds, and nothing keeps calls
// away for longer than it is believed.
func FuzzLimitHeaders(f *testing.F) {
	for _, seed := range []string{"1s", "6m0s", "2m59.56s", "12ms", "10", "11726.28", "1795694430500", "1795694430", "2026-11-26T12:00:59Z", "-1", "NaN", "1e308", "2026-11-26T12:00:59.999999999+00:00", "9223372036854775807ns", "300000000h"} {
		f.Add("0", "10", seed, int64(1))
		f.Add("7", "150000", seed, int64(50))
	}
	f.Fuzz(func(t *testing.T, left, limit, reset string, need int64) {
		if need < 1 || need > maxAmount {
			need = 1
		}
		for i := range limitHeaders {
			names := &limitHeaders[i]
			h := http.Header{names.left: {left}, names.limit: {limit}, names.reset: {reset}}
			var w word
			if !w.read(h, 1<<i, noon) {
				continue
			}
			s := &w[names.measure]
			if s.left < 0 || s.limit < 0 || s.limit > 0 && s.left > s.limit || s.reset < 0 || s.reset > 2*maxReset {
				t.Fatalf("%+v", s)
			}
			l := new(allowance)
			l.hear(&w, &ticket{sent: noon.Add(-time.Second)}, 200, noon)
			if _, wait := l.take(noon, amounts{need, need, need, need}); wait < 0 || wait > limitsLast {
				t.Fatalf("%+v: wait %v", s, wait)
			}
			if _, wait := l.take(noon.Add(limitsLast+time.Second), amounts{need, need, need, need}); wait != 0 {
				t.Fatalf("%+v: %v after it was forgotten", s, wait)
			}
			if share := l.quotas[names.measure].share(noon); s.limit > 0 && !(share >= 0 && share <= 1) {
				t.Fatalf("%+v: share %v", s, share)
			}
		}
	})
}
