package app

import (
	"context"
	"fmt"
	"time"

	"weir/alerts"
	"weir/config"
	"weir/ledger"
	"weir/limits"
)

// Webhooks are those of a configuration that are on.
func Webhooks(c *config.Config) (out []alerts.Webhook) {
	for i := range c.Alerts.Webhooks {
		w := &c.Alerts.Webhooks[i]
		secret, err := alerts.ReadSecret(string(w.Secret))
		if err != nil { // a valid configuration has none
			continue
		}
		h := alerts.Webhook{Name: w.Name, URL: string(w.URL), Format: w.Format, Secret: secret, Headers: map[string]string{}}
		for name, value := range w.Headers {
			h.Headers[name] = string(value)
		}
		for _, k := range w.Kinds {
			h.Kinds = append(h.Kinds, alerts.Kind(k))
		}
		out = append(out, h)
	}
	return out
}

// runaway is a configuration's rule for keys that run away.
func runaway(c *config.Config) alerts.Rule {
	r := &c.Alerts.Runaway
	if r.Repeats == 0 {
		return alerts.Rule{}
	}
	return alerts.Rule{Repeats: int64(r.Repeats), Within: r.Within, Spend: r.Spend.NanoUp(), Pause: r.Action == "pause"}
}

// The bounds of what alerts do.
const (
	maxRunaways = 64              // keys that run away and wait to be stopped
	pauseTime   = 5 * time.Second // for the store, to pause one
	alertsTime  = 2 * time.Second // for the tries under way at a stop
)

// openAlerts opens what tells operators. Nothing of a call waits for it.
func (a *App) openAlerts(c *config.Config) error {
	a.loops, a.runaways = alerts.NewWatch(), make(chan alerts.Runaway, maxRunaways)
	a.loops.Apply(runaway(c))
	a.desk = alerts.Open(alerts.Options{DB: a.db, Fill: a.fillAlert, Metrics: alerts.NewMetrics(a.registry), Log: a.log}, Webhooks(c))
	a.onStop("alerts", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, alertsTime)
		defer cancel()
		if err := a.desk.Close(ctx); err != nil {
			a.log.Warn("a webhook did not answer in time; its alert is told after the next start")
		}
		return nil
	})
	a.workers.Go(a.stopRunaways)
	a.workers.Go(a.watchPrices)
	return nil
}

// crossed tells of a soft threshold that was passed.
func (a *App) crossed(c limits.Crossing) {
	a.desk.Tell(passing(c.Limit, c.Project, c.Value, c.Since, used{of: c.Used}, c.Percent, time.Now()))
}

// used is what is used of a limit, and what a call asks for that does not fit.
type used struct{ of, asked int64 }

// passing is the event of a limit that was passed; percent 0: a call does not
// fit into it.
func passing(l *limits.Limit, project, value string, since time.Time, u used, percent int, now time.Time) alerts.Event {
	p := alerts.Passing{
		Limit: alerts.PassedLimit{
			Name: l.Name(), Scope: string(l.Scope), Tag: l.Tag, Value: value, Measure: l.Measure(), Action: string(l.Action), Instead: l.Instead,
			Unit: l.Dimension.String(), Percent: percent, Since: since.UTC(),
		},
		Project: project, Amount: l.Amount, Used: u.of, Asked: u.asked, Window: l.Window, Refused: percent == 0,
	}
	if p.Limit.Action == "" {
		p.Limit.Action = string(limits.Block)
	}
	if l.Dimension == limits.USD {
		_, until := l.Span(since)
		p.Limit.Until, p.Limit.Period, p.Limit.Zone = until.UTC(), string(l.Period), "UTC"
		if l.Zone != nil {
			p.Limit.Zone = l.Zone.String()
		}
	}
	return alerts.NewPassing(&p, now)
}

// watched is a Limiter that tells of budgets that refuse calls.
func (a *App) watched(l limits.Limiter) limits.Limiter { return &refusals{l, a} }

type refusals struct {
	limits.Limiter
	app *App
}

// Reserve is Limiter's.
func (r *refusals) Reserve(ctx context.Context, d *limits.Demand) limits.Decision {
	out := r.Limiter.Reserve(ctx, d)
	if l := out.Refused; l != nil && out.Why == limits.Spent {
		project, now := d.Project, time.Now()
		if l.Scope.Shared() {
			project = ""
		}
		since, _ := l.Span(now)
		r.app.desk.Tell(passing(l, project, out.Value, since, used{out.Used, out.Asked}, 0, now))
	}
	return out
}

// fillAlert adds what an alert's text needs of the store: names, and what was
// spent lately. What cannot be read is left out.
func (a *App) fillAlert(ctx context.Context, e *alerts.Event) {
	if err := a.nameAlert(ctx, e); err != nil {
		a.log.Warn("an alert goes without names", "alert", e.ID, "err", err)
	}
	if e.Kind != alerts.BudgetThreshold {
		return
	}
	now := time.Now()
	windows, err := a.spentLately(ctx, e, now)
	if err != nil {
		a.log.Warn("an alert's forecast does not know all that was spent lately", "alert", e.ID, "err", err)
	}
	e.Forecast = alerts.Foresee(e, windows, now)
}

// nameAlert adds the names of the key and the project.
func (a *App) nameAlert(ctx context.Context, e *alerts.Event) error {
	var key *alerts.Named
	switch {
	case e.Runaway != nil:
		key = &e.Runaway.Key
	case e.Limit != nil && e.Limit.Scope == string(limits.Key):
		key = &alerts.Named{ID: e.Limit.Value}
	}
	if key != nil {
		list, err := ledger.NewKeys(a.db, a.secret).List(ctx)
		if err != nil {
			return err
		}
		for _, k := range list {
			if k.ID != key.ID {
				continue
			}
			key.Name = k.Name
			if e.Limit != nil {
				e.Limit.Named = k.Name
			}
			if k.ProjectID != "" {
				e.Project = &alerts.Named{ID: k.ProjectID, Name: k.Project}
			}
		}
	}
	if e.Project == nil || e.Project.Name != "" {
		return nil
	}
	projects, err := ledger.Projects(ctx, a.db)
	if err != nil {
		return err
	}
	for _, p := range projects {
		if p.ID == e.Project.ID {
			e.Project.Name = p.Name
		}
	}
	return nil
}

// spentLately reads what was spent of a budget in the times that its forecast
// looks at.
func (a *App) spentLately(ctx context.Context, e *alerts.Event, now time.Time) ([]alerts.Lately, error) {
	windows := alerts.Windows(e.Limit.Period)
	calls := ledger.NewCalls(a.db, a.config.Load().Spool.Dir)
	for i := range windows {
		w := &windows[i]
		if w.Span > time.Hour && !summed(e.Limit.Scope) {
			continue
		}
		q := ledger.SpentQuery{Since: now.Add(-w.Span), Until: now, Scope: e.Limit.Scope, Tag: e.Limit.Tag, Value: e.Limit.Value, Limit: 1}
		if !limits.Scope(e.Limit.Scope).Shared() {
			project := ""
			if e.Project != nil {
				project = e.Project.ID
			}
			q.Project = &project
		}
		list, err := calls.Spent(ctx, q)
		if err != nil {
			return windows, err
		}
		if len(list) > 0 {
			w.Spent = list[0].Cost.NanoUp()
		}
	}
	return windows, nil
}

// summed reports whether the ledger has sums by a scope's values: of the others
// each call has to be looked at.
func summed(scope string) bool {
	switch limits.Scope(scope) {
	case limits.User, limits.Session, limits.Model:
		return false
	}
	return true
}

// callEnded looks whether a key runs away by a call. It does not wait.
func (a *App) callEnded(c *ledger.Call, prompt uint64) {
	if c.KeyID == "" || len(c.Attempts) == 0 { // nobody's, or nobody was asked
		return
	}
	if r, runs := a.loops.See(c.KeyID, prompt, c.Cost.NanoUp(), time.Now()); runs {
		select {
		case a.runaways <- r:
		default: // it runs on, and is seen again
		}
	}
}

// stopRunaways tells of keys that run away, and pauses them where the rule
// says so.
func (a *App) stopRunaways() {
	for {
		select {
		case <-a.stopping.Done():
			return
		case r := <-a.runaways:
			if e := a.stopRunaway(r); e != nil {
				a.desk.Tell(*e)
			}
		}
	}
}

// stopRunaway pauses a key, where that is the rule, and returns what is to be
// told of it: nil where the key is paused already, which has been told.
func (a *App) stopRunaway(r alerts.Runaway) *alerts.Event {
	loop := alerts.NewRunaway(r, time.Now())
	if !a.loops.Rule().Pause {
		return &loop
	}
	ctx, cancel := context.WithTimeout(a.stopping, pauseTime)
	defer cancel()
	why := fmt.Sprintf("the same prompt %d times within %s, for $%s", r.Repeats, r.Within, r.Spent)
	k, err := ledger.NewKeys(a.db, a.secret).PauseFor(ctx, "runaway rule", r.Key.ID, why)
	if err != nil {
		a.log.Error("a key that runs away could not be paused", "key", r.Key.ID, "err", err)
		return &loop
	}
	if k == nil {
		return nil
	}
	if err := a.keys.Refresh(ctx); err != nil { // the ring finds out by itself
		a.log.Warn("the pause of a key is seen late", "key", k.ID, "err", err)
	}
	pause := alerts.NewPause(r, k.Paused)
	return &pause
}

// driftTime is how far back prices are looked at, and driftEvery how often.
const (
	driftTime  = 24 * time.Hour
	driftEvery = time.Hour
)

// watchPrices tells of providers that charge other prices than the price book has.
func (a *App) watchPrices() {
	tick := time.NewTicker(driftEvery)
	defer tick.Stop()
	for {
		if err := a.tellDrift(a.stopping, time.Now()); err != nil && a.stopping.Err() == nil {
			a.log.Warn("the providers' own charges could not be looked at", "err", err)
		}
		select {
		case <-a.stopping.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *App) tellDrift(ctx context.Context, now time.Time) error {
	sums, err := ledger.NewCalls(a.db, a.config.Load().Spool.Dir).Costs(ctx, ledger.CostQuery{Since: now.Add(-driftTime), By: []string{"provider"}})
	if err != nil {
		return err
	}
	for i := range sums {
		s := &sums[i]
		d := alerts.Drift{Provider: s.Group[0], Attempts: s.Compared, Off: s.Drifted}
		if e := alerts.NewDrift(d, s.DriftOf.Add(s.Drift).NanoUp(), s.DriftOf.NanoUp(), now); e != nil {
			a.desk.Tell(*e)
		}
	}
	return nil
}

// tellRecovered tells that the store of the limits' counts is there, where the
// last that was told is that it fails: the process that saw that may be gone.
func (a *App) tellRecovered() {
	if a.redis == nil || !a.redis.State().Failing {
		a.desk.Tell(alerts.NewLimiter(false, "seen at a start", a.started.String(), time.Now()))
	}
}
