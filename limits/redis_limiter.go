package limits

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Reserve is Limiter's.
func (r *Redis) Reserve(ctx context.Context, d *Demand) Decision {
	switch {
	case r.failing.Load():
		return r.reserveLocally(ctx, d)
	case r.repairing.Load() && budgeted(d.Rules):
		return r.reserveApart(ctx, d)
	}
	return r.reserveFar(ctx, d)
}

func budgeted(rules []Rule) bool {
	for i := range rules {
		if rules[i].Limit.Dimension == USD {
			return true
		}
	}
	return false
}

func (r *Redis) reserveLocally(ctx context.Context, d *Demand) Decision {
	r.decided.Add(1)
	return r.local.reserve(ctx, d, int(r.replicas.Load()))
}

// reserveFar lets Redis decide. What nobody knows whether it did it takes back
// later, and the decision is taken here.
func (r *Redis) reserveFar(ctx context.Context, d *Demand) Decision {
	out, err := r.store.reserve(ctx, d)
	if err == nil {
		r.worked()
		return out
	}
	for sh := out.Hold.far; sh != nil; {
		next := sh.next
		sh.next = nil
		r.later(sh, "cancel", Use{})
		sh = next
	}
	r.failed(err)
	if !r.failing.Load() && !r.repairing.Load() {
		r.local.single()
	}
	return r.reserveLocally(ctx, d)
}

// reserveApart decides on budgets here, since Redis may not know what was
// spent, and lets it decide on the rest.
func (r *Redis) reserveApart(ctx context.Context, d *Demand) Decision {
	money, rest := *d, *d
	money.Rules, rest.Rules = nil, nil
	for _, rule := range d.Rules[:min(len(d.Rules), MaxRules)] {
		if rule.Limit.Dimension == USD {
			money.Rules = append(money.Rules, rule)
		} else {
			rest.Rules = append(rest.Rules, rule)
		}
	}
	first := r.reserveLocally(ctx, &money)
	if first.Refused != nil || len(rest.Rules) == 0 {
		return first
	}
	second := r.reserveFar(ctx, &rest)
	switch {
	case second.Refused != nil:
		r.local.memory.Release(first.Hold)
	case second.Hold.lease == nil:
		second.Hold.lease, second.Hold.gen = first.Hold.lease, first.Hold.gen
	default: // Redis has begun to fail: there are two holds here
		second.Hold.far = &share{extra: []Hold{first.Hold}}
	}
	second.join(&first)
	return second
}

// TopUp is Limiter's.
func (r *Redis) TopUp(ctx context.Context, h Hold, more, most Use) Decision {
	var out Decision
	if h.lease != nil {
		if out = r.local.topUp(ctx, h, more, most); out.Refused != nil {
			return out
		}
	}
	for sh := h.far; sh != nil; sh = sh.next {
		if out = r.topUpShare(ctx, sh, more, most); out.Refused != nil {
			return out
		}
	}
	out.Hold = h
	return out
}

func (r *Redis) topUpShare(ctx context.Context, sh *share, more, most Use) Decision {
	if sh.id == "" { // of this process alone
		return r.local.topUp(ctx, sh.extra[0], more, most)
	}
	if !r.failing.Load() {
		out, err := r.store.topUp(ctx, sh, more, most)
		if err == nil {
			r.worked()
			return out
		}
		r.failed(err)
	}
	d := &Demand{Project: sh.project, Use: more, Most: most}
	for i := range sh.parts {
		if p := &sh.parts[i]; !p.plan.limit.perCall() {
			d.Rules = append(d.Rules, Rule{Limit: p.plan.limit, Name: p.plan.name, Value: p.value})
		}
	}
	out := r.reserveLocally(ctx, d)
	if out.Hold.lease != nil {
		sh.mu.Lock()
		sh.extra = append(sh.extra, out.Hold)
		sh.mu.Unlock()
	}
	return out
}

// Heartbeat is Limiter's. While Redis fails it is believed that the
// reservation lives.
func (r *Redis) Heartbeat(h Hold) bool {
	lives := true
	if h.lease != nil {
		lives = r.local.memory.Heartbeat(h)
	}
	for sh := h.far; sh != nil; sh = sh.next {
		for _, extra := range sh.extras() {
			lives = r.local.memory.Heartbeat(extra) && lives
		}
		if sh.id == "" || r.failing.Load() {
			continue
		}
		ok, err := r.store.heartbeat(context.Background(), sh)
		if err != nil {
			r.failed(err)
			continue
		}
		lives = lives && ok
	}
	return lives && h != Hold{}
}

func (sh *share) extras() []Hold {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.extra
}

// end reports whether a share has not ended before.
func (sh *share) end() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	first := !sh.ended
	sh.ended = true
	return first
}

// Settle is Limiter's.
func (r *Redis) Settle(h Hold, used Use) { r.end(h, "settle", used) }

// Release is Limiter's.
func (r *Redis) Release(h Hold) { r.end(h, "release", Use{}) }

func (r *Redis) end(h Hold, how string, used Use) {
	if h.lease != nil {
		r.local.memory.end(h, &used, how == "release")
	}
	for sh := h.far; sh != nil; sh = sh.next {
		if !sh.end() {
			continue
		}
		if sh.id == "" {
			r.local.memory.end(sh.extra[0], &used, how == "release")
			continue
		}
		for _, extra := range sh.extras() {
			r.local.memory.Release(extra)
		}
		if r.failing.Load() {
			r.later(sh, how, used)
			continue
		}
		if err := r.store.end(context.Background(), sh, how, &used); err != nil {
			r.failed(err)
			r.later(sh, how, used)
		}
	}
}

// ErrFailing says that the store of the counts cannot be asked.
var ErrFailing = errors.New("Redis, which has the counts of limits, does not answer")

// Correct is Limiter's. While Redis fails it corrects what this process knows;
// Redis's own sums are corrected when it answers again.
func (r *Redis) Correct(ctx context.Context, l *Limit, since time.Time, spent []Sum) error {
	if err := r.local.memory.Correct(ctx, l, since, spent); err != nil || r.failing.Load() {
		return err
	}
	err := r.store.correct(ctx, l, since, spent)
	if err != nil {
		r.failed(err)
	}
	return err
}

// Lower brings down the sums of a budget's period that have stood above what
// the ledger knows for longer than it takes to get there: estimates of calls
// that were never settled. spent is all that the ledger knows of the period;
// what it does not have there was not spent. Call it after Correct, as often: a
// sum is lowered at the second look, three minutes after the first. It returns
// by how much, and does nothing while Redis is not trusted.
func (r *Redis) Lower(ctx context.Context, l *Limit, since time.Time, spent []Sum) ([]Sum, error) {
	if r.failing.Load() || r.repairing.Load() {
		return nil, nil
	}
	lowered, err := r.store.lower(ctx, l, since, spent)
	for i := range lowered {
		level := slog.LevelWarn
		if lowered[i].USD < l.Amount/1000 { // each call is rounded up, their sum in the ledger once
			level = slog.LevelDebug
		}
		r.log.Log(ctx, level, "a budget's sum on Redis was above the ledger's, and is lowered",
			"limit", l.Name(), "project", lowered[i].Project, "value", lowered[i].Value, "by", Dollars(lowered[i].USD))
	}
	return lowered, err
}

// Status is Limiter's.
func (r *Redis) Status(ctx context.Context) ([]Standing, error) {
	if r.failing.Load() {
		return nil, ErrFailing
	}
	list, err := r.store.status(ctx)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrFailing, err)
	}
	return list, err
}
