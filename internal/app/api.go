package app

import (
	"weir/config"
	"weir/console"
)

// What the console shows of the configuration and of the data plane. It may
// read neither itself.

func (a *App) routes() []console.Route {
	out := []console.Route{}
	for _, r := range a.config.Load().Routes {
		out = append(out, console.Route{Model: r.Model, Targets: shownTargets(r.Targets, true), Fallbacks: shownTargets(r.Fallbacks, false), Retries: r.Retries})
	}
	return out
}

func shownTargets(list []config.Target, weighted bool) (out []console.Target) {
	for _, t := range list {
		shown := console.Target{Provider: t.Provider, Model: t.Model}
		if weighted {
			shown.Weight = t.Weight
		}
		out = append(out, shown)
	}
	return out
}

func (a *App) providers() []console.Provider {
	out := []console.Provider{}
	c, apis := a.config.Load(), a.proxy.APIs()
	for i := range c.Providers {
		p := &c.Providers[i]
		out = append(out, console.Provider{
			Name: p.Name, Kind: p.Kind, BaseURL: p.BaseURL, HasKey: p.HasKey(), Models: p.Models, APIs: apis[p.Name], From: p.From,
		})
	}
	return out
}

func (a *App) status() console.Status {
	s := a.recorder.Stats()
	spool := console.Spool{Bytes: s.Bytes, Backlog: s.Backlog, Rejected: s.Rejected, Shipped: s.Shipped}
	if s.Err != nil {
		spool.Error = s.Err.Error()
	}
	return console.Status{
		Version: a.o.Version, Started: a.started, URL: a.URL(), Auth: string(a.config.Load().Auth),
		Ready: a.ready.Load(), InFlight: int64(a.gauge("weir_requests_in_flight")), Spool: spool,
	}
}

// gauge reads one of our own figures; 0 where it isn't there.
func (a *App) gauge(name string) float64 {
	families, err := a.registry.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) == 1 {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}
