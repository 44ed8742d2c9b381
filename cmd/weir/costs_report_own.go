package main

import (
	"time"

	"weir/config"
	"weir/costs"
	costreport "weir/costs/report"
	"weir/internal/app"
	"weir/ledger"
)

// callCost says how much single calls cost.
func (g *gathering) callCost() error {
	defer g.count()
	c, err := g.calls.CallCost(g.ctx, ledger.CostQuery{Since: g.in.Since, Until: g.in.Until, Where: g.in.Where})
	g.in.CallCost = costreport.CallCost(c)
	return err
}

// own gathers the providers whose GPUs are paid by the hour. What they cost is
// of all calls, so a report of some of them does not say it.
func (g *gathering) own(c *config.Config) error {
	if len(g.in.Where) > 0 {
		return nil
	}
	var book *costs.Book
	for i := range c.Providers {
		p := &c.Providers[i]
		if p.GPUHour.IsZero() {
			continue
		}
		if book == nil {
			var err error
			if book, err = app.LoadBook(c); err != nil {
				return err
			}
		}
		o := costreport.Own{Provider: p.Name, GPUHour: p.GPUHour, GPUs: app.PriceTerms(p, book).GPUs}
		for j := range g.in.Models {
			s := &g.in.Models[j]
			if s.Group[0] != p.Name {
				continue
			}
			o.Sum.Add(s)
			if s.Usage.IsZero() || s.Attempts == 0 {
				continue
			}
			usage := s.Usage
			usage.Set(costs.Requests, s.Attempts) // thresholds go by the mean request
			bought, ok := book.Equivalent(usage, costs.Terms{Model: s.Group[1], At: g.in.Now})
			if !ok || bought.Status == costs.Unpriced {
				o.Missing += s.Attempts
				continue
			}
			if o.Bought == nil {
				o.Bought = &costs.Money{}
			}
			*o.Bought = o.Bought.Add(bought.Contracted)
		}
		var err error
		if o.From, err = g.firstAt(p.Name); err != nil {
			return err
		}
		g.in.Own = append(g.in.Own, o)
	}
	return nil
}

// firstAt is the hour of a provider's first call, or the report's start where
// it had some before; zero: it had none.
func (g *gathering) firstAt(provider string) (time.Time, error) {
	q := ledger.CostQuery{Until: g.in.Until, By: []string{"day"}, Where: map[string]string{"provider": provider}}
	defer g.count()
	days, err := g.calls.Costs(g.ctx, q)
	if err != nil || len(days) == 0 {
		return time.Time{}, err
	}
	first := days[len(days)-1].Start
	if first.Before(g.in.Since.Add(-24 * time.Hour)) {
		return g.in.Since, nil
	}
	q.Since, q.Until, q.By = first, first.Add(24*time.Hour), []string{"hour"}
	hours, err := g.calls.Costs(g.ctx, q)
	if err != nil || len(hours) == 0 {
		return time.Time{}, err
	}
	if first = hours[len(hours)-1].Start; first.Before(g.in.Since) {
		first = g.in.Since
	}
	return first, nil
}
