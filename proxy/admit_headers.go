package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir/limits"
	"weir/proxy/wire"
)

// tellLimits writes how the tightest limits stand as the client's dialect has
// it, in place of what the upstream said of its own.
func (x *Exchange) tellLimits(h http.Header) {
	t, matched := x.tightest()
	if !matched {
		return
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Anthropic-Ratelimit-") {
			delete(h, name)
		}
	}
	if s := &t.of[limits.USD]; s.Limit != nil {
		h["X-Weir-Budget-Remaining-Usd"] = []string{limits.Dollars(s.Remaining)}
	}
	switch x.Endpoint.Dialect {
	case wire.OpenAI:
		t.tellOpenAI(h)
	case wire.Anthropic:
		t.tellAnthropic(h)
	}
}

// standings are the tightest limits of a call, by dimension, and when they stood so.
type standings struct {
	of [limits.NumDimensions]limits.Standing
	at time.Time
}

// tightest joins what the decisions on a call say.
func (x *Exchange) tightest() (t standings, matched bool) {
	for _, c := range [...]*ceilings{x.ceilings, x.detour, x.spot} {
		if c == nil {
			continue
		}
		for i := range c.decision.Tightest {
			s := &c.decision.Tightest[i]
			if s.Limit == nil {
				continue
			}
			matched = true
			if old := &t.of[i]; old.Limit == nil || s.Remaining < old.Remaining {
				*old = *s
			}
			t.at = c.at
		}
	}
	return t, matched
}

func (t *standings) tellOpenAI(h http.Header) {
	say := func(what string, s *limits.Standing) {
		if s.Limit == nil {
			return
		}
		h["X-Ratelimit-Limit-"+what] = []string{strconv.FormatInt(s.Limit.Amount, 10)}
		h["X-Ratelimit-Remaining-"+what] = []string{strconv.FormatInt(min(s.Remaining, s.Limit.Amount), 10)}
		h["X-Ratelimit-Reset-"+what] = []string{s.Reset.Round(time.Millisecond).String()}
	}
	say("Requests", &t.of[limits.Requests])
	say("Tokens", &t.of[limits.Tokens])
}

func (t *standings) tellAnthropic(h http.Header) {
	say := func(what string, s *limits.Standing) {
		if s.Limit == nil {
			return
		}
		prefix := "Anthropic-Ratelimit-" + what
		h[prefix+"-Limit"] = []string{strconv.FormatInt(s.Limit.Amount, 10)}
		h[prefix+"-Remaining"] = []string{strconv.FormatInt(min(s.Remaining, s.Limit.Amount), 10)}
		h[prefix+"-Reset"] = []string{t.at.Add(s.Reset).UTC().Format(time.RFC3339)}
	}
	say("Requests", &t.of[limits.Requests])
	say("Tokens", &t.of[limits.Tokens])
	say("Input-Tokens", &t.of[limits.InputTokens])
	say("Output-Tokens", &t.of[limits.OutputTokens])
}
