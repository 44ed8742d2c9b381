package proxy

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"weir/proxy/wire"
)

// A detour is a target that was passed over since its upstream has no room.
type detour struct {
	target Target
	until  time.Time // when it has, as far as is known
	away   bool      // it is overloaded: asked all the same where nobody else is left
}

// askWithin asks a target, unless its upstream has said that it would refuse.
func (c *carrier) askWithin(t Target) *failure {
	if f := c.takeRoom(t); f != nil {
		return f
	}
	defer func() { // where nothing came to be sent
		c.room.giveBack()
		c.room = ticket{}
	}()
	return c.ask(t)
}

// takeRoom takes an attempt's room at a target, where anything is known of it.
// Where there is none nothing is sent, and the next target is tried.
func (c *carrier) takeRoom(t Target) *failure {
	model := t.Provider.upstreamModel(t.model(c.x.Model))
	l := t.Provider.allowances.look(model)
	insist := c.insist
	if c.insist = false; insist || l == nil || !c.countsAt(t, model) {
		return nil
	}
	now := time.Now()
	room, wait := l.take(now, c.needs())
	if wait > 0 && c.x.mayReadCache(t.Provider) {
		// What is read from Anthropic's cache does not count, and we cannot know how much that is.
		room, wait = l.take(now, amounts{1, 1, 1, 1})
	}
	if wait == 0 {
		c.room = room
		return nil
	}
	c.forgo(t)
	c.x.turnedAway = true
	c.p.metrics.heldBack(t.Provider.Name, "avoided")
	tracePassed(c.x, t.Provider.Name, wait)
	c.detours = append(c.detours, detour{t, now.Add(wait), room.away})
	return &failure{err: noRoom(t, model, wait), elsewhere: true, unsent: true, full: true}
}

// countsAt reports whether a call counts against the limits of the provider's
// own key that are known by the model's name.
func (c *carrier) countsAt(t Target, model string) bool {
	x := c.x
	return x.Endpoint.Metered && c.r.Method == http.MethodPost && model != "" && len(model) <= maxModelName &&
		(x.state.Auth != AuthPassthrough || !x.Caller.passes(t, c.plan))
}

// needs is what the call takes of an upstream's limits, at the least: what
// vendors count beside the input differs, and a call that might pass is sent.
func (c *carrier) needs() amounts {
	tokens := c.x.estimate
	if !c.x.exact { // another vendor's vocabulary, or a guess by bytes
		tokens = tokens * 2 / 3
	}
	tokens = max(tokens, 1)
	return amounts{ofRequests: 1, ofTokens: tokens, ofInput: tokens, ofOutput: 1}
}

// mayReadCache reports whether a part of the input may not count.
func (x *Exchange) mayReadCache(p *Provider) bool {
	if !p.speaks(wire.Anthropic) || x.Body == nil {
		return false
	}
	body := x.Body.readable()
	return body.file != nil || bytes.Contains(body.data, []byte("cache_control"))
}

// noRoom is the refusal where no target has room.
func noRoom(t Target, model string, wait time.Duration) *Error {
	return &Error{
		Code: RateLimited, RetryAfter: wait, NoRetry: wait > maxRetryAfter,
		Msg: fmt.Sprintf("The rate limit that the provider %s has for %s is reached, by its own word. Try again in %s.",
			t.Provider.Name, clip(model), wait.Round(time.Millisecond)),
	}
}

// awaitRoom waits for the target that has room first, where no other is left
// and it is worth it. Targets that were passed over have not been tried: to
// come back to one is no retry.
func (c *carrier) awaitRoom(f *failure) (Target, bool) {
	if !f.elsewhere || len(c.detours) == 0 {
		return Target{}, false
	}
	i, now := 0, time.Now()
	for j := range c.detours {
		if c.detours[j].until.Before(c.detours[i].until) {
			i = j
		}
	}
	if c.patience.IsZero() {
		c.patience = now.Add(c.plan.timeouts.Room)
	}
	d := c.detours[i]
	if wait := d.until.Sub(now); !d.until.After(c.patience) && c.hasTime(wait) {
		c.p.metrics.heldBack(d.target.Provider.Name, "waited")
		return d.target, c.pause(wait) && c.comeBack(i)
	}
	if i := slices.IndexFunc(c.detours, func(d detour) bool { return d.away }); i >= 0 {
		c.insist, d = true, c.detours[i]
		return d.target, c.comeBack(i)
	}
	if f.full {
		f.err = noRoom(d.target, d.target.Provider.upstreamModel(d.target.model(c.x.Model)), max(d.until.Sub(now), minWait))
		c.p.metrics.heldBack(d.target.Provider.Name, "refused")
	}
	return Target{}, false
}

// comeBack takes a target off the detours, to be asked whatever its breaker
// says: the last resort is never taken away.
func (c *carrier) comeBack(i int) bool {
	t := c.detours[i].target
	c.detours = slices.Delete(c.detours, i, i+1)
	t.Provider.breakerFor(t.model(c.x.Model)).allow(time.Now())
	if at := slices.Index(c.plan.targets, t); at >= 0 && c.fellBack == 0 {
		c.last = at
	}
	return true
}

// pause waits, and reports false where the call ended first, or its client
// went: nobody waits for an upstream that has nothing to do yet.
func (c *carrier) pause(d time.Duration) bool {
	defer c.p.queued.Add(-1)
	if c.p.queued.Add(1) > maxQueued {
		return false
	}
	ctx, cancel := c.attended()
	defer cancel()
	return sleep(ctx, d)
}

// attended is the call's context, which its client's going ends at once.
func (c *carrier) attended() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(c.ctx)
	stop := context.AfterFunc(c.r.Context(), func() { cancel(context.Cause(c.r.Context())) })
	return ctx, func() { stop(); cancel(nil) }
}

// hear takes what a reply's headers say of the upstream's limits.
func (a *attempt) hear(resp *http.Response) {
	if !a.c.countsAt(a.target, a.model) {
		return
	}
	var w word
	now := time.Now()
	known := w.read(resp.Header, a.target.Provider.headerRows, now)
	if t := &a.room; t.of != nil {
		t.of.hear(&w, t, resp.StatusCode, now)
	} else if known {
		a.allowance(now).hear(&w, &ticket{sent: a.start}, resp.StatusCode, now)
	}
}

// allowance is what the attempt counts against.
func (a *attempt) allowance(now time.Time) *allowance {
	if a.room.of != nil {
		return a.room.of
	}
	return a.target.Provider.allowances.open(a.model, now)
}

// hearRefusal takes the pause that a refusal asks for. It is that of all
// calls, unless the refusal says that there were too many tokens in this one.
func (a *attempt) hearRefusal(status int, f *failure, told *wire.Failure) {
	switch {
	case status != 429 && status != 503 && status != 529, isSpent(told), !a.c.countsAt(a.target, a.model):
		return
	}
	var w word
	now := time.Now()
	known := w.read(a.resp.Header, a.target.Provider.headerRows, now)
	s := stop{status: status}
	if f.after > 0 {
		s.until = now.Add(min(f.after, limitsLast))
	}
	if requests := &w[ofRequests]; status == 429 && (told.Type == "tokens" || requests.known && requests.left > 0) {
		s.tokens = a.c.needs()[ofTokens]
	}
	if f.after <= 0 && (status != 429 || !known) {
		return
	}
	a.allowance(now).refuse(s, &w, now)
}
