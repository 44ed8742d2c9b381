package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/config"
	"weir/console"
	"weir/internal/sqldb"
	"weir/ledger"
	"weir/limits"
	"weir/proxy"
)

// A Ceiling is a limit in effect and where it comes from.
type Ceiling struct {
	*limits.Limit
	Set   time.Time // when it was set by command line or admin API; zero: it is the configuration's
	Actor string    // who set it
}

// ID names a ceiling among those in effect: "customer usd_per_month warn acme".
func (c *Ceiling) ID() string {
	if c.Value == "" {
		return c.Name()
	}
	return c.Name() + " " + c.Value
}

// Source is where a ceiling comes from: config or set.
func (c *Ceiling) Source() string {
	if c.Set.IsZero() {
		return "config"
	}
	return "set"
}

func (c *Ceiling) key() ledger.LimitID {
	return ledger.LimitID{Scope: string(c.Scope), Tag: c.Tag, Value: c.Value, Measure: c.Measure(), Action: string(c.Action)}
}

// Ceilings are a configuration's limits with those that were set, which take
// the place of the ones with the same scope, tag, value, measure and action.
func Ceilings(c *config.Config, set []ledger.SetLimit) ([]Ceiling, error) {
	at, out := map[ledger.LimitID]int{}, []Ceiling{}
	for _, l := range Limits(c) {
		one := Ceiling{Limit: l}
		at[one.key()] = len(out)
		out = append(out, one)
	}
	for i := range set {
		one, err := ceilingSet(&set[i])
		if err != nil {
			return nil, fmt.Errorf("read the limit %q that was set: %w", set[i].String(), err)
		}
		if old, there := at[set[i].LimitID]; there {
			out[old] = one
			continue
		}
		out = append(out, one)
	}
	groups := map[ledger.LimitID]bool{}
	for i := range out {
		id := out[i].key()
		id.Value = ""
		groups[id] = true
	}
	if len(groups) > config.MaxLimits {
		return nil, config.Problems{{
			What: fmt.Sprintf("limits: %d ceilings for one call, with those that were set: want at most %d", len(groups), config.MaxLimits),
			Hint: "weir limits list shows them, weir limits unset takes back one that was set",
		}}
	}
	return out, nil
}

func ceilingSet(s *ledger.SetLimit) (Ceiling, error) {
	entry, err := config.ParseLimit(s.Entry)
	if err != nil {
		return Ceiling{}, err
	}
	all := entry.Ceilings()
	if len(all) != 1 {
		return Ceiling{}, fmt.Errorf("it has %d ceilings", len(all))
	}
	return Ceiling{ceiling(&all[0]), s.At, s.Actor}, nil
}

// SetLimit keeps an entry of limits, as JSON, in the store, beside those of a
// configuration. It returns its ceilings. An error that comes from what the
// entry says is config.Problems.
func SetLimit(ctx context.Context, db *sqldb.DB, c *config.Config, actor string, entry []byte) (out []Ceiling, err error) {
	l, err := config.ParseLimit(entry)
	if err != nil {
		return nil, err
	}
	var list []ledger.SetLimit
	for _, one := range l.Ceilings() {
		text, err := one.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("write limit: %w", err)
		}
		list = append(list, ledger.SetLimit{
			LimitID: ledger.LimitID{Scope: one.Scope, Tag: one.Tag, Value: one.Value, Measure: one.Measure, Action: one.Action}, Entry: text,
		})
	}
	return out, ledger.NewLimits(db).Set(ctx, actor, list, func(all []ledger.SetLimit) error {
		merged, err := Ceilings(c, all)
		for i := range merged {
			if slices.ContainsFunc(list, func(s ledger.SetLimit) bool { return s.LimitID == merged[i].key() }) {
				out = append(out, merged[i])
			}
		}
		return err
	})
}

// UnsetLimit takes back a limit that was set, by its id. It returns
// ledger.ErrNoSuchLimit, or console.ErrConfigured of one that is the
// configuration's alone.
func UnsetLimit(ctx context.Context, db *sqldb.DB, c *config.Config, actor, id string) (was Ceiling, err error) {
	store := ledger.NewLimits(db)
	set, err := store.List(ctx)
	if err != nil {
		return was, err
	}
	var found []int
	for i := range set {
		if one, err := ceilingSet(&set[i]); err == nil && one.ID() == id || set[i].String() == id {
			found, was = append(found, i), one
		}
	}
	switch {
	case len(found) == 1:
		_, err = store.Unset(ctx, actor, set[found[0]].LimitID)
		return was, err
	case len(found) > 1:
		return was, fmt.Errorf("unset limit: %q is the name of %d", id, len(found))
	}
	for _, l := range Limits(c) {
		if one := (&Ceiling{Limit: l}); one.ID() == id {
			return was, fmt.Errorf("unset limit %q: %w", id, console.ErrConfigured)
		}
	}
	return was, fmt.Errorf("unset limit %q: %w", id, ledger.ErrNoSuchLimit)
}

// A ceilingsBook is the limits in effect.
type ceilingsBook struct {
	store *ledger.Limits
	list  atomic.Pointer[[]Ceiling]

	mu  sync.Mutex // guards the following field, and is held while limits are swapped
	set []ledger.SetLimit
}

// openLimits reads the limits that were set and follows what others set.
func (a *App) openLimits(c *config.Config) error {
	b := &a.ceilings
	b.store = ledger.NewLimits(a.db)
	if err := a.refreshLimits(a.stopping); err != nil {
		return err
	}
	a.workers.Go(func() { b.store.Follow(a.stopping, a.log, a.refreshLimits) })
	return nil
}

// refreshLimits takes what the store says was set.
func (a *App) refreshLimits(ctx context.Context) error {
	b := &a.ceilings
	b.mu.Lock()
	defer b.mu.Unlock()
	set, err := b.store.List(ctx)
	if err != nil {
		return err
	}
	if b.list.Load() != nil && slices.EqualFunc(set, b.set, sameLimit) {
		return nil // it was a key that changed
	}
	list, err := Ceilings(a.config.Load(), set)
	if err != nil {
		return err
	}
	b.set = set
	a.expect(list)
	a.proxy.SetLimits(bare(list))
	a.keeper.now()
	return nil
}

func sameLimit(a, b ledger.SetLimit) bool {
	return a.LimitID == b.LimitID && a.At.Equal(b.At) && bytes.Equal(a.Entry, b.Entry)
}

// applyLimits swaps a configuration in, with the limits that were set.
func (a *App) applyLimits(c *config.Config, s proxy.Settings) error {
	b := &a.ceilings
	b.mu.Lock()
	defer b.mu.Unlock()
	list, err := Ceilings(c, b.set)
	if err != nil {
		return err
	}
	s.Limits = bare(list)
	before := *b.list.Load()
	a.expect(list)
	if err := a.proxy.Apply(s); err != nil {
		a.expect(before)
		return err
	}
	a.config.Store(c)
	a.keeper.now()
	return nil
}

// expect notes the limits that are about to be in effect. Budgets that were
// not are held to their on_store_failure until the keeper knows them.
func (a *App) expect(list []Ceiling) {
	b := &a.ceilings
	known := map[budgetKey]bool{}
	if before := b.list.Load(); before != nil {
		unknown := a.limiter.Unknown()
		for _, c := range *before {
			if unknown[c.Limit] == nil {
				known[keyOf(c.Limit)] = true
			}
		}
	}
	var unknown []*limits.Limit
	for _, c := range list {
		if c.Dimension == limits.USD && !known[keyOf(c.Limit)] && !known[budgetKey{c.Name(), ""}] {
			unknown = append(unknown, c.Limit)
		}
	}
	a.limiter.Expect(unknown)
	b.list.Store(&list)
}

func bare(list []Ceiling) []*limits.Limit {
	out := make([]*limits.Limit, len(list))
	for i := range list {
		out[i] = list[i].Limit
	}
	return out
}

// setLimit and unsetLimit are the admin API's.
func (a *App) setLimit(ctx context.Context, actor string, entry []byte) ([]console.Ceiling, error) {
	list, err := SetLimit(ctx, a.db, a.config.Load(), actor, entry)
	if err != nil {
		return nil, invalid(err)
	}
	a.limitsChanged(ctx)
	return shownCeilings(list), nil
}

func (a *App) unsetLimit(ctx context.Context, actor, id string) (console.Ceiling, error) {
	was, err := UnsetLimit(ctx, a.db, a.config.Load(), actor, id)
	if err != nil {
		return console.Ceiling{}, invalid(err)
	}
	a.limitsChanged(ctx)
	return was.Shown(), nil
}

// invalid makes the client's fault of what an entry has wrong.
func invalid(err error) error {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		return console.Invalid(problems.Error())
	}
	return err
}

// limitsChanged lets the data plane know at once. It would find out by itself
// within a second, so that a failure of it is no failure of the change.
func (a *App) limitsChanged(ctx context.Context) {
	if err := a.refreshLimits(ctx); err != nil {
		a.log.Warn("the change of a limit is seen late", "err", err)
	}
}

// ceilingsInEffect are the limits in effect, for the admin API.
func (a *App) ceilingsInEffect() []console.Ceiling { return shownCeilings(*a.ceilings.list.Load()) }

func shownCeilings(list []Ceiling) []console.Ceiling {
	out := make([]console.Ceiling, len(list))
	for i := range list {
		out[i] = list[i].Shown()
	}
	return out
}

// Shown is a ceiling as the admin API and the command line show it.
func (c *Ceiling) Shown() console.Ceiling {
	l := c.Limit
	out := console.Ceiling{
		ID: c.ID(), Scope: string(l.Scope), Tag: l.Tag, Value: l.Value, Measure: l.Measure(), Limit: l.Amount, Burst: l.Burst,
		Action: string(l.Action), Strict: l.Strict, Soft: l.Soft, OnStoreFailure: string(l.OnFailure),
		Source: c.Source(), SetAt: c.Set, SetBy: c.Actor,
	}
	switch l.Action {
	case limits.Queue:
		out.Queue = l.Patience
	case limits.Downgrade:
		out.DowngradeTo = l.Instead
	}
	if l.Dimension != limits.USD {
		return out
	}
	out.LimitUSD, out.Zone = limits.Dollars(l.Amount), zoneName(l.Zone)
	if l.Ceiling > 0 {
		out.UnpricedUSD = limits.Dollars(l.Ceiling)
	}
	if l.Exposure > 0 {
		out.ExposureUSD = limits.Dollars(l.Exposure)
	}
	return out
}

func zoneName(z *time.Location) string {
	if z == nil {
		return "UTC"
	}
	return z.String()
}
