package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/config"
	"weir/ledger"
	"weir/limits"
)

// A keeper brings what is counted of budgets to what the ledger knows was
// spent: before the first call, when budgets change, when Redis is back or new,
// when a period begins, and every minute. So a restart forgets nothing, and
// processes that count apart on one store agree within a minute.
type keeper struct {
	app    *App
	calls  *ledger.Calls
	repair atomic.Pointer[func()] // to be told after a round that was good
	wake   chan struct{}          // a round is wanted now
	all    atomic.Bool            // one over all budgets
	known  map[budgetKey]bool     // budgets of which the ledger's sum has been counted; of the keeper's goroutine
}

// A budgetKey is a budget's count: its name, and its value where it has one.
type budgetKey struct{ name, value string }

func keyOf(l *limits.Limit) budgetKey { return budgetKey{l.Name(), l.Value} }

// The times of a keeper.
const (
	keepFirst = time.Second // that a start waits for what was spent
	keepEvery = time.Minute
	keepSoon  = time.Second     // from a change of the limits to a round over all
	keepShare = 20              // a round takes at most a 20th of the time
	keepTime  = 5 * time.Minute // bounds a round
	keepRetry = 100 * time.Millisecond
	keepLate  = 30 * time.Second // the longest pause before another try
	keepBatch = 500              // sums that are corrected at once: calls wait for that
)

// recovered is told by Redis that it has to be brought up to date; done says
// that it was.
func (k *keeper) recovered(done func()) {
	k.repair.Store(&done)
	k.recount()
}

// recount asks for a round over all budgets.
func (k *keeper) recount() {
	k.all.Store(true)
	k.now()
}

// now asks for a round.
func (k *keeper) now() {
	select {
	case k.wake <- struct{}{}:
	default: // one is asked for
	}
}

// openKeeper counts what was spent before the first call comes. Where that
// takes too long budgets are under their on_store_failure until it is done.
func (a *App) openKeeper(c *config.Config) error {
	k := &a.keeper
	a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_budgets_unknown",
		Help: "Budgets of which it is not known yet what was spent before: they are under their on_store_failure.",
	}, func() float64 { return float64(len(a.limiter.Unknown())) }))
	k.app, k.calls, k.known = a, ledger.NewCalls(a.db, c.Spool.Dir), map[budgetKey]bool{}
	ctx, cancel := context.WithTimeout(a.stopping, keepFirst)
	defer cancel()
	if !k.replayed(ctx) {
		a.workers.Go(func() {
			if a.Flush(a.stopping) == nil {
				k.all.Store(true)
				k.now()
			}
		})
	}
	took, err := k.round(ctx, true)
	if err != nil && a.stopping.Err() == nil {
		a.log.Warn("what was spent of budgets is not known yet: they are under their on_store_failure", "err", err)
	}
	a.workers.Go(func() { k.run(took, err) })
	return nil
}

// replayed waits until the calls that an earlier process left are in the
// ledger, those that its death cut among them.
func (k *keeper) replayed(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, keepFirst/2)
	defer cancel()
	return k.app.Flush(ctx) == nil
}

// run makes rounds until the stop.
func (k *keeper) run(took time.Duration, err error) {
	stopping := k.app.stopping
	full, pause, late := took, k.pause(took), err != nil
	retry := keepRetry
	for stopping.Err() == nil {
		if err != nil {
			pause, retry = retry, min(2*retry, keepLate)
		}
		all := k.wait(pause)
		ctx, cancel := context.WithTimeout(stopping, keepTime)
		took, err = k.round(ctx, all)
		cancel()
		if all {
			full = took
		}
		switch {
		case stopping.Err() != nil:
		case err != nil && !late:
			k.app.log.Warn("budgets are not brought to what the ledger knows; it is tried again", "err", err)
		case err == nil && late:
			k.app.log.Info("budgets are what the ledger knows")
		}
		if late = err != nil; !late {
			pause, retry = k.pause(full), keepRetry
			if !all { // what a value was counted under may be another limit now
				pause = min(pause, max(keepSoon, keepShare*full))
			}
		}
	}
}

// wait waits for a time, or until a round is wanted. It reports whether that is
// one over all budgets.
func (k *keeper) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-k.app.stopping.Done():
	case <-k.wake:
	case <-timer.C:
		k.all.Store(true)
	}
	return k.all.Swap(false)
}

// pause is the time to the next round: a minute, or longer where rounds are
// long, and no longer than to the next period's begin.
func (k *keeper) pause(took time.Duration) time.Duration {
	pause, now := max(keepEvery, keepShare*took), time.Now()
	for _, l := range k.budgets() {
		_, until := l.Span(now)
		pause = min(pause, max(until.Sub(now), 0)+time.Second)
	}
	return max(pause, keepShare*took)
}

// budgets are those in effect.
func (k *keeper) budgets() (out []*limits.Limit) {
	for _, c := range *k.app.ceilings.list.Load() {
		if c.Dimension == limits.USD {
			out = append(out, c.Limit)
		}
	}
	return out
}

// unknown are the budgets among some of which the sum was never counted.
func (k *keeper) unknown(list []*limits.Limit) (out []*limits.Limit) {
	for _, l := range list {
		if !k.known[keyOf(l)] && !k.known[budgetKey{l.Name(), ""}] {
			out = append(out, l)
		}
	}
	return out
}

// round corrects all budgets, or those that are not known yet.
func (k *keeper) round(ctx context.Context, all bool) (took time.Duration, err error) {
	began := time.Now()
	done := k.repair.Swap(nil)
	list := k.budgets()
	k.forget(list)
	wanted := map[*limits.Limit]bool{}
	for _, l := range k.unknown(list) {
		wanted[l] = true
	}
	var errs []error
	sums := spentSums{calls: k.calls, known: map[ledger.SpentQuery][]limits.Sum{}, late: len(k.known) == 0} // a start does not wait for that
	for _, g := range grouped(list) {
		mine := map[*limits.Limit]bool{}
		for _, l := range g {
			if all || wanted[l] {
				mine[l] = true
			}
		}
		if len(mine) == 0 {
			continue
		}
		if err := k.correct(ctx, g, mine, &sums, began); err != nil {
			errs = append(errs, fmt.Errorf("bring the budget %s to what the ledger knows: %w", g[0].Name(), err))
		}
	}
	k.tell()
	err = errors.Join(errs...)
	if done != nil {
		if err == nil {
			(*done)()
		} else {
			k.repair.CompareAndSwap(nil, done)
			k.all.Store(true)
		}
	}
	return time.Since(began), err
}

// forget takes out what is no budget any more: if it comes again, calls in
// between were not counted.
func (k *keeper) forget(list []*limits.Limit) {
	there := map[budgetKey]bool{}
	for _, l := range list {
		there[keyOf(l)] = true
	}
	for key := range k.known {
		if !there[key] {
			delete(k.known, key)
		}
	}
}

// tell lets the guard know what is known now. The limits may have changed
// since the round began.
func (k *keeper) tell() {
	b := &k.app.ceilings
	b.mu.Lock()
	defer b.mu.Unlock()
	k.app.limiter.Expect(k.unknown(k.budgets()))
}

// grouped are budgets by what their values share: where one value has a limit
// of its own, the general one does not bind it, whatever the zones. Those whose
// sums the ledger reads call by call are last: the others need not wait.
func grouped(list []*limits.Limit) (out [][]*limits.Limit) {
	at := map[string]int{}
	for _, l := range list {
		zoneless := *l
		zoneless.Zone = nil
		i, there := at[zoneless.Name()]
		if !there {
			i = len(out)
			at[zoneless.Name()], out = i, append(out, nil)
		}
		out[i] = append(out[i], l)
	}
	slow := func(group []*limits.Limit) int {
		switch group[0].Scope {
		case limits.User, limits.Session, limits.Model:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b []*limits.Limit) int { return slow(a) - slow(b) })
	return out
}

// fewValues is up to how many values are asked for one by one.
const fewValues = 16

// correct brings the counts of a group to what the ledger knows: those of the
// limits that are wanted.
func (k *keeper) correct(ctx context.Context, group []*limits.Limit, wanted map[*limits.Limit]bool, sums *spentSums, now time.Time) error {
	scope := group[0].Scope
	named := scope == limits.Key || scope == limits.Project // which are limited by their names, too
	general := slices.ContainsFunc(group, func(l *limits.Limit) bool { return wanted[l] && l.Value == "" })
	if !general && !named && len(wanted) <= fewValues && k.app.redis == nil {
		for _, l := range group {
			if !wanted[l] {
				continue
			}
			q := asks(l, now)
			q.Value = l.Value
			list, err := sums.of(ctx, q)
			if err != nil {
				return err
			}
			if err := k.apply(ctx, l, q.Since, list); err != nil {
				return err
			}
		}
		return nil
	}
	for _, zone := range byName(group) {
		if !slices.ContainsFunc(zone, func(l *limits.Limit) bool { return wanted[l] }) {
			continue
		}
		q := asks(zone[0], now)
		list, err := sums.of(ctx, q)
		if err != nil {
			return err
		}
		parts, err := k.divide(ctx, group, list)
		if err != nil {
			return err
		}
		for _, l := range zone {
			if err := k.apply(ctx, l, q.Since, parts[l]); err != nil {
				return err
			}
		}
		if err := k.lower(ctx, zone, q.Since, list, sums); err != nil {
			return err
		}
	}
	return nil
}

// asks is what the ledger is asked for a limit.
func asks(l *limits.Limit, now time.Time) ledger.SpentQuery {
	since, until := l.Span(now)
	return ledger.SpentQuery{Since: since, Until: until, Scope: string(l.Scope), Tag: l.Tag}
}

// byName divides a group by its counts: one for each zone.
func byName(group []*limits.Limit) map[string][]*limits.Limit {
	out := map[string][]*limits.Limit{}
	for _, l := range group {
		out[l.Name()] = append(out[l.Name()], l)
	}
	return out
}

// apply corrects a budget's counts, in batches. It is known then.
func (k *keeper) apply(ctx context.Context, l *limits.Limit, since time.Time, list []limits.Sum) error {
	for part := range slices.Chunk(list, keepBatch) {
		if err := k.app.limiter.Correct(ctx, l, since, part); err != nil {
			return err
		}
	}
	k.known[keyOf(l)] = true
	return nil
}

// lower brings down what calls have left on a shared Redis that were never
// settled: their processes died.
func (k *keeper) lower(ctx context.Context, group []*limits.Limit, since time.Time, list []limits.Sum, sums *spentSums) error {
	same := func(l *limits.Limit) bool { return l.Ceiling == group[0].Ceiling }
	if k.app.redis == nil || len(list) >= ledger.MaxSpent || slices.IndexFunc(group, func(l *limits.Limit) bool { return !same(l) }) >= 0 {
		return nil
	}
	if !sums.late && !sums.shipped {
		sums.shipped = k.app.ships(ctx)
		sums.late = !sums.shipped
	}
	if sums.late {
		return nil
	}
	_, err := k.app.redis.Lower(ctx, group[0], since, list)
	return err
}

// divide says which of a group's limits each value's sum belongs to. Sums of
// values that have none are left out.
func (k *keeper) divide(ctx context.Context, group []*limits.Limit, list []limits.Sum) (map[*limits.Limit][]limits.Sum, error) {
	of := map[string]*limits.Limit{}
	for _, l := range group {
		of[l.Value] = l
	}
	out := map[*limits.Limit][]limits.Sum{}
	if len(of) == 1 && of[""] != nil {
		out[of[""]] = list
		return out, nil
	}
	names, err := k.names(ctx, group[0].Scope)
	if err != nil {
		return nil, err
	}
	for i := range list {
		l := of[list[i].Value]
		if name := names[list[i].Value]; l == nil && name != "" {
			l = of[name]
		}
		if l == nil {
			l = of[""]
		}
		if l != nil {
			out[l] = append(out[l], list[i])
		}
	}
	return out, nil
}

// names are those of a scope's ids.
func (k *keeper) names(ctx context.Context, scope limits.Scope) (map[string]string, error) {
	out := map[string]string{}
	switch scope {
	case limits.Key:
		list, err := ledger.NewKeys(k.app.db, k.app.secret).List(ctx)
		for _, key := range list {
			out[key.ID] = key.Name
		}
		return out, err
	case limits.Project:
		list, err := ledger.Projects(ctx, k.app.db)
		for _, p := range list {
			out[p.ID] = p.Name
		}
		return out, err
	}
	return out, nil
}

// spentSums are the ledger's, each asked for once in a round.
type spentSums struct {
	calls         *ledger.Calls
	known         map[ledger.SpentQuery][]limits.Sum
	shipped, late bool // whether the store takes calls at the moment; neither: it was not asked
}

// shipPatience is how long what was recorded may take into the store where it
// is said that the store is up to date.
const shipPatience = time.Second

// ships reports whether the store takes calls: where it does not, other
// processes have spent what it does not know either, and no sum is lowered by it.
func (a *App) ships(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, shipPatience)
	defer cancel()
	return a.Flush(ctx) == nil
}

func (s *spentSums) of(ctx context.Context, q ledger.SpentQuery) ([]limits.Sum, error) {
	if list, there := s.known[q]; there {
		return list, nil
	}
	spent, err := s.calls.Spent(ctx, q)
	if err != nil {
		return nil, err
	}
	list := make([]limits.Sum, len(spent))
	for i := range spent {
		p := &spent[i]
		list[i] = limits.Sum{Project: p.Project, Value: p.Value, USD: p.Cost.NanoUp(), Unpriced: p.Unpriced}
	}
	s.known[q] = list
	return list, nil
}
