//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"weir/costs"
	"weir/internal/sqldb"
	"weir/internal/tokens"
	"weir/ledger"
)

// books are what the ledger has of a run, beside what the limiter counts.
type books struct {
	calls       int   // that were admitted: the upstream was asked, or about to be
	attempts    int64 // of them
	refused     int   // rows of refusals
	interrupted int
	spent       int64 // each attempt rounded up, as the limits count
	unknown     int64 // attempts of unknown cost
	limiter     standing
	bound       int64 // how far the budget may be passed
	smallest    int64 // what the smallest request was held at
	missing     []string
	adopted     int // adoptions in the logs
	outages     int // times that Redis was said to fail
}

// readBooks reads the ledger when all processes have ended.
func readBooks(ctx context.Context, r *run, limiter standing) (b *books, err error) {
	db, err := sqldb.Open("sqlite:" + filepath.Join(r.dir, "weir.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	b = &books{limiter: limiter, adopted: r.c.said("was adopted"), outages: r.c.said("Redis fails")}
	var admitted []*ledger.Call
	seen := map[string]ledger.Outcome{}
	err = ledger.NewCalls(db, "").Each(ctx, ledger.Query{Attempts: true}, func(c *ledger.Call) error {
		if _, twice := seen[c.ID]; twice {
			r.fail("the call %s is in the ledger twice", c.ID)
		}
		seen[c.ID] = c.Outcome
		if len(c.Attempts) == 0 && c.Outcome != ledger.Interrupted {
			b.refused++
			return nil
		}
		admitted = append(admitted, c)
		b.add(c)
		return nil
	})
	for id := range r.load.whole {
		if seen[id] != ledger.OK {
			b.missing = append(b.missing, fmt.Sprintf("%s is %q", id, seen[id]))
		}
	}
	b.bound = r.bound(admitted)
	if r.apart > 0 || b.outages > 0 {
		b.bound += r.o.budget / 100 * max(1, int64(b.outages)) // the default exposure, of all processes together
	}
	return b, err
}

func (b *books) add(c *ledger.Call) {
	b.calls++
	if c.Outcome == ledger.Interrupted {
		b.interrupted++
		if len(c.Attempts) == 0 {
			b.unknown++
		}
	}
	for i := range c.Attempts {
		a := &c.Attempts[i]
		b.attempts++
		switch {
		case a.Cost.Known:
			b.spent += a.Cost.NanoUp()
		case a.CostSource == ledger.CostUnpriced:
			b.unknown++
		}
	}
}

// untold is how long before its death the killed process may have recorded
// calls whose settlement it had not told yet: a step on Redis, with a margin.
const untold = 200 * time.Millisecond

// bound is how far the budget may be passed, by docs/limits.md: by what the
// calls that were under way as the last one was admitted cost beyond their
// estimates, and so those whose settlement died with their process. Nobody
// outside knows an estimate exactly: it is at least our count of the prompt and
// the output that is expected of an unknown key (256 tokens, or the request's
// own limit where that is lower) or, where the budget is strict, the request's
// limit. So the bound is rather too large.
func (r *run) bound(calls []*ledger.Call) (nano int64) {
	var last time.Time
	for _, c := range calls {
		if c.Start.After(last) {
			last = c.Start
		}
	}
	victim := fmt.Sprint(r.victim)
	for _, c := range calls {
		ended := c.Start.Add(c.Total)
		cut := c.Tags["process"] == victim && ended.After(r.killed.Add(-untold)) && c.Start.Before(r.killed)
		if c.Outcome == ledger.Interrupted || ended.Before(last) && !cut {
			continue // at its estimate, or settled by then
		}
		if beyond := c.Cost.NanoUp() - leastEstimate(c, r.strict); beyond > 0 {
			nano += beyond
		}
	}
	return nano
}

// leastEstimate is the least that a call was held at.
func leastEstimate(c *ledger.Call, strict bool) int64 {
	const floor = 256
	allowed := int64(0)
	for _, a := range append(append([]ask{}, openAsks...), strictAsks...) {
		if a.name == c.Tags["ask"] {
			allowed = a.allowed
		}
	}
	output := allowed
	switch {
	case allowed == 0:
		output = floor
	case !strict:
		output = min(floor, allowed)
	}
	e, _, _ := tokens.For(model)
	var u costs.Usage
	u.Set(costs.Input, e.Count(prompt))
	u.Set(costs.Output, output)
	return costs.Builtin().Charge(u, costs.Terms{Provider: "openai", Model: model, At: c.Start}).Contracted.NanoUp()
}
