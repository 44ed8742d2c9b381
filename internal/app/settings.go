package app

import (
	"maps"
	"slices"

	"weir/config"
	"weir/costs"
	"weir/proxy"
)

// settings turns the configuration into what the data plane takes. mockURL is
// the base URL of mock providers that have none; the book knows whose prices
// the providers have.
func settings(c *config.Config, mockURL string, b *costs.Book) proxy.Settings {
	s := proxy.Settings{
		Auth: proxy.Auth(c.Auth), Keepalive: c.Keepalive, MaxBody: c.MaxBody, BodyTimeout: c.BodyTimeout,
		Capture:   proxy.Capture{Bodies: c.Capture.Bodies, MaxBytes: c.Capture.MaxBytes},
		Drain:     proxy.Drain{Time: c.Drain.Time, Bytes: c.Drain.Bytes},
		Responses: proxy.ResponsesSettings{State: c.Responses.State, Retention: c.Responses.Retention},
	}
	s.Models, s.Prices, s.Limits = slices.Clone(c.Models), b, Limits(c)
	s.WatchPrompts = c.Alerts.Runaway.Repeats > 0
	for i := range c.Providers {
		p := provider(&c.Providers[i], mockURL)
		t := PriceTerms(&c.Providers[i], b)
		p.PriceAs, p.GPUHour, p.PriceTerms = t.Provider, t.GPUHour, t
		s.Providers = append(s.Providers, p)
	}
	for _, r := range c.Routes {
		s.Routes = append(s.Routes, proxy.RouteSettings{
			Model: r.Model, Targets: targets(r.Targets), Fallbacks: targets(r.Fallbacks), Retries: r.Retries, Lossy: r.Lossy,
			Timeouts: proxy.Timeouts{Connect: r.Timeouts.Connect, TTFT: r.Timeouts.TTFT, Idle: r.Timeouts.Idle, Total: r.Timeouts.Total, Room: r.Timeouts.Room},
		})
	}
	return s
}

func provider(p *config.Provider, mockURL string) proxy.ProviderSettings {
	s := proxy.ProviderSettings{
		Name: p.Name, Kind: p.Kind, BaseURL: p.BaseURL, APIKey: string(p.APIKey), APIVersion: p.APIVersion,
		Deployments: maps.Clone(p.Deployments), Models: slices.Clone(p.Models), Can: slices.Clone(p.Can),
		APIs: slices.Clone(p.APIs),
	}
	if p.Kind == "mock" && p.BaseURL == "" {
		s.BaseURL = mockURL
	}
	for name, value := range p.Headers {
		if s.Headers == nil {
			s.Headers = make(map[string]string, len(p.Headers))
		}
		s.Headers[name] = string(value)
	}
	return s
}

// ProviderAPIs names the APIs by which a provider is asked, before it has been
// asked by any: one that ends in "?" is yet to be found out.
func ProviderAPIs(p *config.Provider) []string {
	names, err := proxy.APIs(provider(p, "http://127.0.0.1"))
	if err != nil { // a valid configuration has none
		return nil
	}
	return names
}

func targets(list []config.Target) (out []proxy.TargetSettings) {
	for _, t := range list {
		out = append(out, proxy.TargetSettings{Provider: t.Provider, Model: t.Model, Weight: t.Weight})
	}
	return out
}
