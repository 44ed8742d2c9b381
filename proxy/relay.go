package proxy

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"weir/costs"
	"weir/ledger"
	"weir/proxy/wire"
)

// relay is the last handler: it takes the call to an upstream and its reply
// back. Until the first content has gone out, a failure may be tried again
// here or elsewhere without the client's knowing.
func (p *Proxy) relay(_ http.ResponseWriter, r *http.Request, x *Exchange) error {
	if handled, err := p.listModels(r, x); handled {
		return err
	}
	if handled, err := p.serveKept(r, x); handled {
		return err
	}
	pl, err := p.route(r, x)
	if err != nil {
		return err
	}
	x.call.Route = pl.route
	ctx, cancel := p.callContext(r, x, pl.timeouts.Total)
	defer cancel()
	if err := p.open(x, &pl); err != nil {
		return err
	}
	x.startPings()
	c := &carrier{p: p, r: r, x: x, plan: pl, ctx: ctx, left: pl.retries}
	return c.carry()
}

// route finds out where a call may go, once; after a change of its model once more.
func (p *Proxy) route(r *http.Request, x *Exchange) (plan, error) {
	if x.routed {
		return x.plan, x.planErr
	}
	x.routed, x.planErr = true, nil
	if !x.continues { // else it is known from before the model changed
		x.planErr = p.continues(r.Context(), x)
	}
	if x.planErr == nil {
		p.pinByObject(r, x)
		x.plan, x.planErr = x.state.plan(r.Context(), x)
	}
	return x.plan, x.planErr
}

// callContext bounds the whole call. The client's going away ends it, at once
// or after the drain that the settings allow.
func (p *Proxy) callContext(r *http.Request, x *Exchange, total time.Duration) (context.Context, func()) {
	if x.deadline > 0 {
		total = min(total, x.deadline)
	}
	base := r.Context()
	if x.drains() {
		base = context.WithoutCancel(base)
	}
	ctx, cancel := context.WithDeadlineCause(base, x.Start.Add(total), errTotal)
	if !x.drains() {
		return ctx, cancel
	}
	stop := context.AfterFunc(r.Context(), func() {
		if isStopped(r) {
			cancel()
			return
		}
		time.AfterFunc(x.state.Drain.Time, cancel)
	})
	return ctx, func() { stop(); cancel() }
}

// drains reports whether the reply is read on after the client has gone.
func (x *Exchange) drains() bool { return x.state.Drain.Time > 0 && x.Endpoint.Stream }

// open writes the opened record: from here on the call cannot be lost. It says
// what the ledger is to have of the call where the process dies under it.
func (p *Proxy) open(x *Exchange, pl *plan) error {
	c := x.call
	c.Queue = x.since()
	if x.estimate > 0 {
		c.Usage.Set(costs.Input, x.estimate)
		c.UsageSource = ledger.Estimated
	}
	c.Attempts = p.foreseen(x, pl)
	err := p.recorder.Opened(c)
	c.Usage, c.UsageSource, c.Attempts = costs.Usage{}, "", nil
	if err != nil {
		return &Error{
			Code: RecorderFull, Err: err, RetryAfter: 5 * time.Second,
			Msg: "Weir cannot record calls at the moment, so it takes none. Look at the free space of its spool directory.",
		}
	}
	x.opened = true
	return nil
}

// startPings keeps a stream's client from giving up while nothing comes.
func (x *Exchange) startPings() {
	if !x.Endpoint.Stream || x.Raw || !x.expectsEvents {
		return
	}
	x.reply.startPings(x.Endpoint.Dialect.Ping(x.Endpoint.API), x.state.Keepalive, func(h http.Header) {
		h["Content-Type"] = eventStream
		h["Cache-Control"] = noCache
		h["X-Accel-Buffering"] = noWord
		h["X-Weir-Call-Id"] = []string{x.ID}
		announceCost(h)
	})
}

var (
	eventStream = []string{"text/event-stream"}
	noCache     = []string{"no-cache"}
	noWord      = []string{"no"}
)

// A carrier takes one call through its attempts.
type carrier struct {
	p    *Proxy
	r    *http.Request
	x    *Exchange
	plan plan
	ctx  context.Context

	left     int // retries left over the weighted targets
	fellBack int // fallbacks used
	tried    []bool
	last     int // index of the weighted target tried last
	manners  map[*Provider]manner

	room     ticket    // taken at an upstream for the attempt to come
	detours  []detour  // targets passed over for want of room
	patience time.Time // until then room is waited for; zero: it has not been yet
	insist   bool      // the next target is asked though it wants a pause
}

// A failure is how an attempt ended without a reply for the client.
type failure struct {
	err *Error
	// again: the same target may do better later; elsewhere: another one may.
	again, elsewhere bool
	after            time.Duration // what the upstream asked us to wait
	spent            bool          // the upstream had begun to work: tokens are counted
	unsent           bool          // nothing was sent, so that going elsewhere is no retry
	full             bool          // nor would it have been taken: the upstream's own limit is reached
	otherwise        manner        // in which the target is to be asked again at once; zero: in none
	outgrown         bool          // the request is too long for this target, and going to a larger one is no retry
	resp             *upstream     // the upstream's own error reply, to be passed if nothing better comes
}

// carry runs attempts until one answers or none is left.
func (c *carrier) carry() error {
	target, ok := c.first()
	for ok {
		f := c.askWithin(target)
		if f == nil {
			return nil
		}
		if c.adapt(target.Provider, f.otherwise) {
			f.discard()
			continue
		}
		if c.x.answered { // the client has content: nothing else may follow it
			f.discard()
			return f.err
		}
		if !c.hasTime(0) {
			return c.giveUp(f)
		}
		next, wait, more := c.next(f)
		if !more {
			next, more = c.awaitRoom(f)
		}
		if !more || !c.hasTime(wait) {
			return c.giveUp(f)
		}
		if !sleep(c.ctx, wait) {
			return c.giveUp(f)
		}
		f.discard()
		target = next
	}
	return refuse(Internal, "Weir found no target to try.")
}

// hasTime reports whether the call lasts longer than a wait.
func (c *carrier) hasTime(wait time.Duration) bool {
	end, bounded := c.ctx.Deadline()
	return c.ctx.Err() == nil && (!bounded || time.Until(end) > wait)
}

// first picks the target to begin with.
func (c *carrier) first() (Target, bool) {
	if len(c.plan.targets) == 0 {
		return c.fallback()
	}
	c.tried = make([]bool, len(c.plan.targets))
	i, allowed := pick(c.plan.targets, c.x.Model, time.Now())
	if !allowed && len(c.plan.fallbacks) > 0 {
		return c.fallback() // all the weighted targets are known to fail
	}
	c.last, c.tried[i] = i, true
	return c.plan.targets[i], true
}

func (c *carrier) fallback() (Target, bool) {
	for c.fellBack < len(c.plan.fallbacks) {
		t := c.plan.fallbacks[c.fellBack]
		c.fellBack++
		last := c.fellBack == len(c.plan.fallbacks)
		if last || t.Provider.breakerFor(t.model(c.x.Model)).allow(time.Now()) {
			return t, true
		}
	}
	return Target{}, false
}

// next picks where to go after a failure: an untried weighted target at once,
// the same one again after a pause, then the fallbacks.
func (c *carrier) next(f *failure) (t Target, wait time.Duration, ok bool) {
	if (c.left > 0 || f.unsent || f.outgrown) && c.fellBack == 0 && f.elsewhere {
		for i, t := range c.plan.targets {
			if !c.tried[i] && t.Provider.breakerFor(t.model(c.x.Model)).allow(time.Now()) {
				if !f.unsent && !f.outgrown {
					c.left--
				}
				c.tried[i], c.last = true, i
				return t, 0, true
			}
		}
	}
	if c.left > 0 && c.fellBack == 0 && f.again && f.after <= maxWait {
		n := c.plan.retries - c.left
		c.left--
		return c.plan.targets[c.last], max(backoff(n), f.after), true
	}
	if f.elsewhere {
		t, ok = c.fallback()
	}
	return t, 0, ok
}

// giveUp answers with the last failure: the upstream's own words where it had any.
func (c *carrier) giveUp(f *failure) error {
	if f.resp == nil {
		return f.err
	}
	if c.x.reply.hasBegun() {
		f.discard()
		return f.err
	}
	return c.passError(f)
}

// discard lets go of an error reply that is not going to be passed.
func (f *failure) discard() {
	if f.resp != nil {
		f.resp.close()
		f.resp = nil
	}
}

// The pauses between tries at one target: full jitter under a bound that
// doubles from retryBase to retryCap. An upstream that asks for more than
// maxWait is not waited for.
const (
	retryBase = 250 * time.Millisecond
	retryCap  = 8 * time.Second
	maxWait   = 15 * time.Second
)

// backoff draws the pause before retry n, counted from 0.
func backoff(n int) time.Duration {
	bound := retryCap
	if n < 5 {
		bound = retryBase << n
	}
	return rand.N(bound)
}

// sleep waits, and reports false where the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// maxAsked is the longest wait, in seconds, that is told apart from longer ones.
const maxAsked = 1e6

// retryAfter reads the wait that an upstream asks for, as SDKs do:
// retry-after-ms, else retry-after in seconds or as a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range [...]string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if ms, err := strconv.ParseFloat(h.Get(name), 64); err == nil && ms > 0 {
			return time.Duration(min(ms, maxAsked*1e3) * float64(time.Millisecond))
		}
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 {
		return time.Duration(min(s, maxAsked) * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// wantsUsage reports whether usage is to be asked for on the client's behalf:
// only chat and completion streams have to be asked. What is carried asks by itself.
func (c *carrier) wantsUsage(p *Provider) bool {
	x := c.x
	if x.Raw || !x.Endpoint.Stream || x.View.IncludeUsage || !c.takesUsage(p) {
		return false
	}
	return x.Endpoint.API == wire.Chat || x.Endpoint.API == wire.Completions
}

// takesUsage reports whether the provider is not known to refuse stream_options.
func (c *carrier) takesUsage(p *Provider) bool {
	return !c.manner(p).noUsage && !p.traits.refusesUsage()
}
