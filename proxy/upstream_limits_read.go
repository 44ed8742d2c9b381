package proxy

import (
	"bytes"
	"encoding/json"
	"math"
	"math/bits"
	"net/http"
	"strconv"
	"time"

	"weir/proxy/wire"
)

// A word is what one reply says of the upstream's limits, by measure.
type word [measures]saying

// A saying is one measure's.
type saying struct {
	known bool
	limit int64         // 0: not said
	left  int64         //
	reset time.Duration // from when the call was sent until all is back; 0: not said, or now
	at    bool          // reset counts from the reply, not from the call
	steps bool          // all comes back at once
}

// limitHeaders are how vendors name what is left, of how much, and until when.
// steps: the amount is that of a minute or a day by the clock. The others are
// buckets that fill evenly, and their reset is when they are full: OpenAI
// ("resets to its initial state"), Anthropic ("fully replenished"), Groq.
var limitHeaders = [...]struct {
	measure            int
	left, limit, reset string
	steps              bool
}{
	{ofRequests, "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Reset-Requests", false},
	{ofTokens, "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Reset-Tokens", false},
	{ofRequests, "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Reset", false},
	{ofTokens, "Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Limit", "Anthropic-Ratelimit-Tokens-Reset", false},
	{ofInput, "Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Limit", "Anthropic-Ratelimit-Input-Tokens-Reset", false},
	{ofOutput, "Anthropic-Ratelimit-Output-Tokens-Remaining", "Anthropic-Ratelimit-Output-Tokens-Limit", "Anthropic-Ratelimit-Output-Tokens-Reset", false},
	// Mistral, without a reset; Cerebras, with one.
	{ofRequests, "X-Ratelimit-Remaining-Req-Minute", "X-Ratelimit-Limit-Req-Minute", "X-Ratelimit-Reset-Req-Minute", true},
	{ofRequests, "X-Ratelimit-Remaining-Requests-Minute", "X-Ratelimit-Limit-Requests-Minute", "X-Ratelimit-Reset-Requests-Minute", true},
	{ofRequests, "X-Ratelimit-Remaining-Requests-Day", "X-Ratelimit-Limit-Requests-Day", "X-Ratelimit-Reset-Requests-Day", true},
	{ofTokens, "X-Ratelimit-Remaining-Tokens-Minute", "X-Ratelimit-Limit-Tokens-Minute", "X-Ratelimit-Reset-Tokens-Minute", true},
	// OpenRouter, Together.
	{ofRequests, "X-Ratelimit-Remaining", "X-Ratelimit-Limit", "X-Ratelimit-Reset", true},
}

// limitRows is a set of rows of limitHeaders: those that a provider may send.
type limitRows uint16

const (
	openaiRows    limitRows = 0b0000000011
	anthropicRows limitRows = 0b0000111100
	otherRows     limitRows = 0b1111000000
)

// limitRows are those of the provider's replies: each costs a look.
func (p *Provider) limitRows() limitRows {
	switch {
	case p.kind.dialect == wire.Anthropic:
		return anthropicRows
	case p.kind.dialect == wire.Gemini:
		return 0
	case p.kind.dialect == nil:
		return openaiRows | anthropicRows | otherRows
	case p.kind.local || p.kindName == "azure" || p.ownKind():
		return openaiRows
	}
	return openaiRows | otherRows
}

// read reads a reply's headers, and reports whether they say anything. What
// cannot be, or cannot be read, is as if it were not there. Of two that speak
// of one measure the first of the table counts.
func (w *word) read(h http.Header, rows limitRows, now time.Time) (any bool) {
	for ; rows != 0; rows &= rows - 1 {
		names := &limitHeaders[bits.TrailingZeros16(uint16(rows))]
		s := &w[names.measure]
		values := h[names.left]
		if len(values) == 0 || s.known {
			continue
		}
		left, ok := amount(values[0])
		if !ok {
			continue
		}
		limit, written := amount(first(h[names.limit]))
		if written && limit == 0 || limit > 0 && left > limit {
			continue // "none" and "no limit" are both written so
		}
		*s = saying{known: true, limit: limit, left: left, steps: names.steps}
		if reset := first(h[names.reset]); reset != "" && !isAmple(left, limit) {
			s.reset, s.at = untilReset(reset, now)
			if s.at && left <= limit/10 { // it matters soon
				s.reset += skew(h, now)
			}
			s.reset = max(s.reset, 0)
		}
		any = true
	}
	return any
}

// isAmple reports whether so much is left that it does not matter when the rest is back.
func isAmple(left, limit int64) bool { return left >= 1000 && left*10 >= limit*9 && limit > 0 }

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// quota is what is known from now on, by the answer to a call sent then.
func (s *saying) quota(sent, now time.Time) quota {
	q := quota{limit: s.limit, level: s.left, sent: sent, at: earlier(sent.Add(onTheWay), now)}
	if s.reset <= 0 {
		return q
	}
	full := sent.Add(s.reset)
	if s.at {
		full = now.Add(s.reset)
	}
	last := now.Add(limitsLast)
	q.until = earlier(full, last)
	if !s.steps && s.limit > s.left {
		q.per = max(full.Sub(sent)/time.Duration(s.limit-s.left), 1)
		q.trust = q.until
		if least := now.Add(trustLasts); q.trust.Before(least) {
			q.trust = least
		}
	}
	return q
}

// onTheWay is how long at most a call is taken to have been under way to the
// upstream: what it says is as of then, not as of when its reply was ready.
const onTheWay = 10 * time.Millisecond

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// isOut reports whether something is used up until a moment that is known.
func (w *word) isOut() bool {
	for i := range w {
		if s := &w[i]; s.known && s.left == 0 && s.reset > 0 {
			return true
		}
	}
	return false
}

const (
	maxAmount = 1 << 50        // requests or tokens; above it is nonsense
	maxReset  = 25 * time.Hour // a day's limits come back within a day
)

// amount reads a whole number of requests or tokens.
func amount(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxAmount {
		return 0, false
	}
	return n, true
}

// untilReset reads when an amount is back: OpenAI's and Groq's durations ("1s",
// "6m0s", "2m59.56s"), Cerebras's seconds, OpenRouter's Unix milliseconds, Unix
// seconds, Anthropic's RFC 3339. moment says that it was a moment, not a
// duration, and may be past. 0: now, or it cannot be.
func untilReset(s string, now time.Time) (d time.Duration, moment bool) {
	if n := len(s); n == 0 || n > len("2006-01-02T15:04:05.999999999+00:00") {
		return 0, false
	}
	if len(s) >= len("2006-01-02T15:04:05Z") && s[4] == '-' {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return 0, false
		}
		return believable(at.Sub(now)), true
	}
	if c := s[len(s)-1]; c >= 'a' && c <= 'z' {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, false
		}
		return believable(max(d, 0)), false
	}
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || !(n > 0 && n < 1e14): // NaN, too
		return 0, false
	case n >= 1e11:
		return believable(time.UnixMilli(int64(n)).Sub(now)), true
	case n >= 1e8:
		return believable(time.Unix(int64(n), 0).Sub(now)), true
	}
	return believable(time.Duration(math.Min(n, maxReset.Seconds()+1) * float64(time.Second))), false
}

func believable(d time.Duration) time.Duration {
	if d.Abs() > maxReset {
		return 0
	}
	return d
}

// skew is by how much our clock is ahead of the upstream's; what is within two
// seconds is none, since dates are whole seconds and took their time to come.
func skew(h http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(first(h["Date"]))
	if err != nil {
		return 0
	}
	d := now.Sub(date)
	if d.Abs() <= 2*time.Second || d.Abs() > maxReset {
		return 0
	}
	return d
}

// retryDelay reads google.rpc.RetryInfo of an error's body, which is where
// Gemini says how long to wait; 0: nothing is said.
func retryDelay(body []byte) time.Duration {
	type detail struct {
		RetryDelay string `json:"retryDelay"`
	}
	type reply struct {
		Error struct {
			Details []detail `json:"details"`
		} `json:"error"`
	}
	if !bytes.Contains(body, []byte(`"retryDelay"`)) {
		return 0
	}
	var one reply
	if json.Unmarshal(body, &one) != nil {
		var list []reply // as it comes in place of a stream
		if json.Unmarshal(body, &list) != nil || len(list) == 0 {
			return 0
		}
		one = list[0]
	}
	for _, d := range one.Error.Details {
		if wait, err := time.ParseDuration(d.RetryDelay); err == nil && wait > 0 {
			return min(wait, time.Duration(maxAsked)*time.Second)
		}
	}
	return 0
}
