package proxy

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir/limits"
	"weir/proxy/wire"
)

// admit decides on all limits that are the caller's, at once, and holds what
// the call may use. closeCall settles it, on every exit.
func (p *Proxy) admit(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request, x *Exchange) error {
		if len(x.state.rules) == 0 || r.Method != http.MethodPost {
			return next(w, r, x)
		}
		d := callerDemand(x)
		if len(d.Rules) == 0 {
			return next(w, r, x)
		}
		c := &ceilings{decision: p.limits.Reserve(r.Context(), &d), at: time.Now(), expected: d.Use}
		x.ceilings = c
		if err := p.judge(x, c); err != nil {
			return err
		}
		return next(w, r, x)
	}
}

// judge makes a decision into a refusal, or keeps what it holds alive.
func (p *Proxy) judge(x *Exchange, c *ceilings) *Error {
	if l := c.decision.Refused; l != nil {
		p.metrics.limit(l)
		return &Error{Code: RateLimited, Msg: c.decision.Reason(), RetryAfter: max(c.decision.Wait, time.Millisecond), NoRetry: c.decision.Wait > maxRetryAfter}
	}
	if l := c.decision.Over; l != nil {
		p.metrics.limit(l)
		if l.Action == limits.Warn {
			p.log.Warn("a limit is reached; the call goes on", "call", x.ID, "limit", l.Name())
		}
	}
	p.keepAlive(c)
	return nil
}

// maxRetryAfter is the longest wait that the vendors' SDKs keep to. At a longer
// one they would try again after their own short pauses.
const maxRetryAfter = time.Minute

// ceilings are what the limits said to a call.
type ceilings struct {
	decision limits.Decision
	at       time.Time  // of the decision
	expected limits.Use // of one attempt
	from     int        // the first of the call's attempts that it is for
	beat     *time.Timer
}

// heartbeat is how often a call says that it is still under way.
const heartbeat = limits.LeaseTime / 3

func (p *Proxy) keepAlive(c *ceilings) {
	hold, m := c.decision.Hold, p.limits
	armed := make(chan struct{})
	c.beat = time.AfterFunc(heartbeat, func() {
		<-armed
		if m.Heartbeat(hold) {
			c.beat.Reset(heartbeat)
		}
	})
	close(armed)
}

// settleLimits replaces what was held by what was used. The last bytes of the
// reply have not gone out yet: who reads them finds the room that was freed.
func (p *Proxy) settleLimits(x *Exchange) {
	p.settle(x, x.spot)
	p.settle(x, x.ceilings)
}

// settle settles what was held, once; later calls do nothing.
func (p *Proxy) settle(x *Exchange, c *ceilings) {
	if c == nil || c.beat == nil {
		return
	}
	c.beat.Stop()
	p.limits.Settle(c.decision.Hold, c.used(x))
}

// used is what all attempts of a call used. An attempt that did work that
// nobody has counted has used what was estimated.
func (c *ceilings) used(x *Exchange) (a limits.Use) {
	for _, t := range x.call.Attempts[c.from:] {
		in, knowsIn := t.Usage.Input()
		out, knowsOut := t.Usage.Output()
		if !knowsIn && !knowsOut && t.Status == http.StatusOK && x.Endpoint.Metered {
			in, out = c.expected.Input, c.expected.Output
		}
		a.Input, a.Output = a.Input+min(in, limits.MaxAmount), a.Output+min(out, limits.MaxAmount)
	}
	return a
}

// callerDemand is what a call asks of the limits that are its caller's.
func callerDemand(x *Exchange) limits.Demand {
	d := estimated(x)
	if k := x.Caller.Key; k != nil {
		d.Project = k.ProjectID
	}
	d.Rules = make([]limits.Rule, 0, len(x.state.rules))
	for _, r := range x.state.rules {
		value, ok := x.value(r.Limit)
		if ok {
			r.Value = value
			d.Rules = append(d.Rules, r)
		}
	}
	return d
}

// estimated is what one attempt of a call may use.
func estimated(x *Exchange) limits.Demand {
	if !x.Endpoint.Metered {
		return limits.Demand{}
	}
	return limits.Demand{Use: limits.Use{Input: x.estimate, Output: expectedOutput(&x.View)}}
}

// What a reply is expected to have, in tokens, where the request does not
// bound it, and at most: a request often allows far more than it gets.
const (
	outputFloor = 256
	outputCap   = 4096
)

func expectedOutput(v *wire.View) int64 {
	if v.MaxOutput > 0 {
		return min(v.MaxOutput, outputCap)
	}
	return outputFloor
}

// value is what a limit counts a call under; false: it is not the call's.
func (x *Exchange) value(l *limits.Limit) (string, bool) {
	c := &x.Caller
	v := ""
	switch l.Scope {
	case limits.Global:
		return "", true
	case limits.Key:
		if c.Key != nil {
			v = c.Key.ID
		}
	case limits.Project:
		if c.Key != nil {
			v = c.Key.ProjectID
		}
	case limits.Customer:
		v = c.Customer
	case limits.Feature:
		v = c.Feature
	case limits.User:
		v = clip(x.View.User)
	case limits.Session:
		v = c.Session
	case limits.Tag:
		v = c.Tags[l.Tag]
	case limits.Model:
		v = clip(x.Model)
	}
	return v, v != ""
}

// limitRules names limits once, not for every call.
func limitRules(list []*limits.Limit) (callers, targets []limits.Rule) {
	for _, l := range list {
		r := limits.Rule{Limit: l, Name: l.Name()}
		if l.Scope == limits.Provider || l.Scope == limits.Target {
			targets = append(targets, r)
			continue
		}
		callers = append(callers, r)
	}
	return callers, targets
}

// Limits returns how the limits stand that are in use, and an error where the
// store of their counts cannot be asked.
func (p *Proxy) Limits(ctx context.Context) ([]limits.Standing, error) { return p.limits.Status(ctx) }

// limit counts a call that met a limit that was reached.
func (m *Metrics) limit(l *limits.Limit) {
	action := l.Action
	if action == "" {
		action = limits.Block
	}
	m.limited.WithLabelValues(string(l.Scope), l.Measure(), string(action)).Inc()
}

// tell writes how the tightest limits stand as the client's dialect has it, in
// place of what the upstream said of its own.
func (c *ceilings) tell(h http.Header, dialect wire.Dialect) {
	if c == nil || !c.matched() {
		return
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Anthropic-Ratelimit-") {
			delete(h, name)
		}
	}
	switch dialect {
	case wire.OpenAI:
		c.tellOpenAI(h)
	case wire.Anthropic:
		c.tellAnthropic(h)
	}
}

func (c *ceilings) matched() bool {
	for _, s := range c.decision.Tightest {
		if s.Limit != nil {
			return true
		}
	}
	return false
}

func (c *ceilings) tellOpenAI(h http.Header) {
	say := func(what string, s *limits.Standing) {
		if s.Limit == nil {
			return
		}
		h["X-Ratelimit-Limit-"+what] = []string{strconv.FormatInt(s.Limit.Amount, 10)}
		h["X-Ratelimit-Remaining-"+what] = []string{strconv.FormatInt(min(s.Remaining, s.Limit.Amount), 10)}
		h["X-Ratelimit-Reset-"+what] = []string{s.Reset.Round(time.Millisecond).String()}
	}
	say("Requests", &c.decision.Tightest[limits.Requests])
	say("Tokens", &c.decision.Tightest[limits.Tokens])
}

func (c *ceilings) tellAnthropic(h http.Header) {
	say := func(what string, s *limits.Standing) {
		if s.Limit == nil {
			return
		}
		prefix := "Anthropic-Ratelimit-" + what
		h[prefix+"-Limit"] = []string{strconv.FormatInt(s.Limit.Amount, 10)}
		h[prefix+"-Remaining"] = []string{strconv.FormatInt(min(s.Remaining, s.Limit.Amount), 10)}
		h[prefix+"-Reset"] = []string{c.at.Add(s.Reset).UTC().Format(time.RFC3339)}
	}
	say("Requests", &c.decision.Tightest[limits.Requests])
	say("Tokens", &c.decision.Tightest[limits.Tokens])
	say("Input-Tokens", &c.decision.Tightest[limits.InputTokens])
	say("Output-Tokens", &c.decision.Tightest[limits.OutputTokens])
}
