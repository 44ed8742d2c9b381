package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"weir/ledger"
	"weir/limits"
)

// admit decides on all limits that are the caller's, at once, and holds what
// the call may use. closeCall settles it, on every exit.
func (p *Proxy) admit(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request, x *Exchange) error {
		if r.Method == http.MethodPost {
			if err := p.limit(r, x); err != nil {
				return err
			}
		}
		return next(w, r, x)
	}
}

// limit holds a call to its caller's limits and to what it may cost. Limits
// that ask for another model come first: what the call costs goes by it.
func (p *Proxy) limit(r *http.Request, x *Exchange) error {
	if x.deadline > 0 {
		ctx, cancel := context.WithDeadlineCause(r.Context(), x.Start.Add(x.deadline), errTotal)
		defer cancel()
		r = r.WithContext(ctx)
	}
	if err := p.detour(r, x); err != nil {
		return err
	}
	rules := x.rules(x.state.callers, nil)
	if len(rules) == 0 && x.maxCost == 0 {
		return nil
	}
	e := p.expect(r, x, budgeted(rules) || x.maxCost > 0)
	if err := x.overCost(&e); err != nil {
		return err
	}
	c, err := p.hold(r.Context(), x, &limits.Demand{Project: x.project(), Rules: rules, Use: e.expected, Most: e.most})
	x.ceilings = c
	if err != nil {
		return err
	}
	return p.divert(c, x)
}

// expect is what one attempt of a call may use, and what it may cost, for
// which its targets have to be known.
func (p *Proxy) expect(r *http.Request, x *Exchange, cost bool) estimate {
	if !cost {
		return p.estimateTokens(x)
	}
	pl, err := p.route(r, x)
	if err != nil { // relay says so, unless it needs no target
		return estimate{}
	}
	return p.estimateOver(x, &pl)
}

// detour looks at the limits of the whole deployment that ask for another
// model where they are reached.
func (p *Proxy) detour(r *http.Request, x *Exchange) error {
	rules := x.rules(x.state.detours, nil)
	if len(rules) == 0 {
		return nil
	}
	e := p.expect(r, x, budgeted(rules))
	c, err := p.hold(r.Context(), x, &limits.Demand{Rules: rules, Use: e.expected, Most: e.most})
	x.detour = c
	if err != nil {
		return err
	}
	return p.divert(c, x)
}

// divert makes a call go to the model that a limit asks for that is reached.
func (p *Proxy) divert(c *ceilings, x *Exchange) error {
	l := c.decision.Over
	if l == nil || l.Action != limits.Downgrade || l.Instead == x.Model || x.Model == "" || x.Raw { // whose bytes stay as they are
		return nil
	}
	p.log.Debug("a limit is reached; another model is asked", "call", x.ID, "limit", l.Name(), "model", l.Instead)
	x.Model, x.routed, x.downgraded = l.Instead, false, true
	return nil
}

// project is whose call it is; "" without a key.
func (x *Exchange) project() string {
	if x.Caller.Key == nil {
		return ""
	}
	return x.Caller.Key.ProjectID
}

// hold reserves a demand, and waits for room where its limits say so. The
// result is never nil.
func (p *Proxy) hold(ctx context.Context, x *Exchange, d *limits.Demand) (*ceilings, error) {
	c := &ceilings{one: d.Use, expected: d.Use, most: d.Most, from: len(x.call.Attempts)}
	if len(d.Rules) == 0 {
		return c, nil
	}
	c.reserve(ctx, p, d)
	var err error
	if l := c.decision.Refused; l != nil && l.Action == limits.Queue && c.decision.Why == limits.Reached {
		err = p.queue(ctx, c, d)
	}
	if err == nil {
		err = p.judge(x, c)
	}
	if err != nil {
		x.turnedAway = true
	}
	return c, err
}

func (c *ceilings) reserve(ctx context.Context, p *Proxy, d *limits.Demand) {
	c.decision, c.at = p.limits.Reserve(ctx, d), time.Now()
}

// maxQueued bounds the calls that wait for room, each of which has its request
// in memory.
const maxQueued = 10_000

// queuePause is between two tries of a call that waits: what frees room early
// does not say so.
const queuePause = 50 * time.Millisecond

// queueShare is by how much each call that waits makes that pause longer: all
// of them together ask 4,000 times a second, which a Redis can answer.
const queueShare = 250 * time.Microsecond

// queue tries again until there is room, or the limit's patience ends.
func (p *Proxy) queue(ctx context.Context, c *ceilings, d *limits.Demand) error {
	if p.queued.Add(1) > maxQueued {
		p.queued.Add(-1)
		return nil
	}
	defer p.queued.Add(-1)
	until := time.Now().Add(c.decision.Refused.Patience)
	for {
		l := c.decision.Refused
		if l == nil || l.Action != limits.Queue || c.decision.Why != limits.Reached {
			return nil
		}
		crowd := time.Duration(p.queued.Load()) * queueShare
		pause := min(max(min(c.decision.Wait, queuePause), crowd, time.Millisecond), time.Until(until))
		if pause <= 0 {
			return nil
		}
		if !sleep(ctx, pause) {
			return waitEnded(ctx)
		}
		c.reserve(ctx, p, d)
	}
}

// waitEnded says why a call waits for room no longer; nil: its own time is
// over, and it is told what it waited for.
func waitEnded(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTotal):
		return nil
	case errors.Is(cause, ErrStopped):
		return shuttingDown()
	default:
		return &Error{Code: ClientGone, Msg: "The client went away.", Err: cause}
	}
}

// judge makes a decision into a refusal, or keeps what it holds alive.
func (p *Proxy) judge(x *Exchange, c *ceilings) error {
	d := &c.decision
	if l := d.Refused; l != nil {
		p.metrics.limit(l)
		return refusal(d)
	}
	if l := d.Over; l != nil {
		p.metrics.limit(l)
		if l.Action == limits.Warn {
			p.log.Warn("a limit is reached; the call goes on", "call", x.ID, "limit", l.Name())
		}
	}
	p.keepAlive(c)
	return nil
}

// refusal is what a client is told of a limit. Budgets that are spent and
// prices that are not known do not change by trying again.
func refusal(d *limits.Decision) *Error {
	e := &Error{Code: RateLimited, Msg: d.Reason(), RetryAfter: max(d.Wait, time.Millisecond), NoRetry: d.Wait > maxRetryAfter}
	switch d.Why {
	case limits.Spent:
		e.Code, e.NoRetry = BudgetSpent, true
	case limits.Unpriced:
		e.Code, e.NoRetry, e.RetryAfter = BudgetSpent, true, 0
	case limits.Failing:
		e.Code, e.RetryAfter = StoreDown, max(d.Wait, time.Second)
	}
	return e
}

// maxRetryAfter is the longest wait that the vendors' SDKs keep to. At a longer
// one they would try again after their own short pauses.
const maxRetryAfter = time.Minute

// ceilings are what the limits said to a call.
type ceilings struct {
	decision       limits.Decision
	at             time.Time  // of the decision
	one            limits.Use // that one attempt is expected to use
	expected, most limits.Use // that are held, for all attempts so far
	from           int        // the first of the call's attempts that it is for
	beat           *time.Timer
	settled        bool
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
// A call for which nothing was sent, since a limit of a target or of the whole
// deployment refused it, counts nowhere.
func (p *Proxy) settleLimits(x *Exchange) {
	p.settle(x, x.spot)
	for _, c := range [...]*ceilings{x.ceilings, x.detour} {
		if x.turnedAway && len(x.call.Attempts) == 0 && c != nil && c.beat != nil {
			c.beat.Stop()
			p.limits.Release(c.decision.Hold)
			continue
		}
		p.settle(x, c)
	}
	p.habits.learn(x)
}

// settle settles what was held, once; later calls do nothing.
func (p *Proxy) settle(x *Exchange, c *ceilings) {
	if c == nil || c.beat == nil || c.settled {
		return
	}
	c.settled = true
	c.beat.Stop()
	p.limits.Settle(c.decision.Hold, c.used(x))
}

// used is what all attempts of a call used. An attempt that did work that
// nobody has counted has used what was expected.
func (c *ceilings) used(x *Exchange) (u limits.Use) {
	for i := range x.call.Attempts[c.from:] {
		t := &x.call.Attempts[c.from+i]
		in, knowsIn := t.Usage.Input()
		out, knowsOut := t.Usage.Output()
		if !knowsIn && !knowsOut && t.Status == http.StatusOK && x.Endpoint.Metered {
			in, out = c.one.Input, c.one.Output
		}
		u.Input, u.Output = u.Input+min(in, limits.MaxAmount), u.Output+min(out, limits.MaxAmount)
		switch {
		case t.Cost.Known:
			u.USD += nano(t.Cost.Money)
		case t.CostSource == ledger.CostUnpriced:
			u.Unpriced++
		}
	}
	return u
}

// topUp pays for an attempt out of the caller's limits before it is made, as
// far as what the attempts before it have left of the reservation does not. A
// refusal means no more attempts.
func (c *carrier) topUp(e *estimate) *failure {
	x := c.x
	for _, held := range [...]*ceilings{x.ceilings, x.detour} {
		if held == nil || held.beat == nil {
			continue
		}
		used := held.used(x)
		more, most := lacks(&held.expected, &used, &e.expected), lacks(&held.most, &used, &e.most)
		if more == (limits.Use{}) && most == (limits.Use{}) {
			continue
		}
		d := c.p.limits.TopUp(c.ctx, held.decision.Hold, more, most)
		if d.Refused != nil {
			c.p.metrics.limit(d.Refused)
			return &failure{err: refusal(&d), unsent: true}
		}
		held.expected, held.most = sum(&held.expected, &more), sum(&held.most, &most)
	}
	return nil
}

// lacks is what is to be held beside held, for what was used and what is to come.
func lacks(held, used, next *limits.Use) limits.Use {
	return limits.Use{
		Input:    max(0, used.Input+next.Input-held.Input),
		Output:   max(0, used.Output+next.Output-held.Output),
		USD:      max(0, used.USD+next.USD-held.USD),
		Unpriced: max(0, used.Unpriced+next.Unpriced-held.Unpriced),
	}
}

func sum(a, b *limits.Use) limits.Use {
	return limits.Use{Input: a.Input + b.Input, Output: a.Output + b.Output, USD: a.USD + b.USD, Unpriced: a.Unpriced + b.Unpriced}
}

// Limits returns how the limits stand that are in use, and an error where the
// store of their counts cannot be asked.
func (p *Proxy) Limits(ctx context.Context) ([]limits.Standing, error) { return p.limits.Status(ctx) }

// Queued returns how many calls wait for room at a limit.
func (p *Proxy) Queued() int64 { return p.queued.Load() }

// limit counts a call that met a limit that was reached.
func (m *Metrics) limit(l *limits.Limit) {
	action := l.Action
	if action == "" {
		action = limits.Block
	}
	m.limited.WithLabelValues(string(l.Scope), l.Measure(), string(action)).Inc()
}
