package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"

	"weir/costs"
	"weir/proxy/wire"
)

// A Provider is one upstream account, compiled.
type Provider struct {
	Name        string
	kindName    string
	kind        kind
	base        *url.URL
	key         string
	version     string
	deployments map[string]string
	models      []string // configured names and globs
	headers     http.Header
	priceAs     string      // price book's id of the vendor; "": nobody's
	terms       costs.Terms // what decides its prices, as far as it is the same for all calls
	gpuHour     costs.Money
	transport   *transport
	facts       *factBook // what its models can do

	asks, perhaps apiSet // the APIs that it is asked by, and those that it may have

	catalog *catalog // what it says it serves, asked lazily
	traits  *traits  // what it has shown of itself

	allowances *allowances // what it has said of its own limits
	headerRows limitRows   // in which of the headers

	mu       *sync.Mutex // guards the following field; a State's successor shares both
	breakers map[string]*breaker
}

func newProvider(s ProviderSettings, t *transport) (*Provider, error) {
	k, ok := kinds[s.Kind]
	if !ok {
		return nil, fmt.Errorf("kind %q: not in this version", s.Kind)
	}
	base := s.BaseURL
	if base == "" {
		base = k.base
	}
	if base == "" {
		return nil, fmt.Errorf("kind %s needs a base_url", s.Kind)
	}
	u, err := parseBase(base)
	if err != nil {
		return nil, err
	}
	p := &Provider{
		Name: s.Name, kindName: s.Kind, kind: k, base: u, key: s.APIKey,
		version: s.APIVersion, deployments: s.Deployments, models: s.Models,
		priceAs: s.PriceAs, terms: s.PriceTerms, gpuHour: s.GPUHour, transport: t, traits: new(traits), allowances: new(allowances),
		mu: new(sync.Mutex), breakers: make(map[string]*breaker),
	}
	p.terms.Place(u.Hostname())
	p.terms.Provider, p.terms.GPUHour = s.PriceAs, s.GPUHour
	for name, value := range s.Headers {
		if p.headers == nil {
			p.headers = make(http.Header, len(s.Headers))
		}
		p.headers.Set(name, value)
	}
	p.catalog, p.headerRows = newCatalog(p), p.limitRows()
	return p, p.setAPIs(s.APIs)
}

// inherit takes over what the same upstream has taught the previous State.
func (p *Provider) inherit(old *Provider) {
	if old == nil || old.kindName != p.kindName || old.base.String() != p.base.String() || old.key != p.key {
		return
	}
	p.mu, p.breakers, p.traits, p.catalog, p.allowances = old.mu, old.breakers, old.traits, old.catalog, old.allowances
}

// Kind returns the provider's kind, as in the configuration.
func (p *Provider) Kind() string { return p.kindName }

// speaks reports whether the provider serves the dialect.
func (p *Provider) speaks(d wire.Dialect) bool {
	return p.kind.dialect == nil || p.kind.dialect == d
}

// usable reports whether a request could be made in its own name.
func (p *Provider) usable() bool { return p.key != "" || p.kind.keyless }

// upstreamModel returns the name that the account knows the model by.
func (p *Provider) upstreamModel(model string) string {
	if d, ok := p.deployments[model]; ok {
		return d
	}
	return model
}

// knows reports whether the provider is known to serve the model: by its
// configuration, its kind's names, or its own list.
func (p *Provider) knows(model string) bool {
	if _, ok := p.deployments[model]; ok {
		return true
	}
	if p.kindName == "mock" && len(p.models) == 0 {
		return strings.HasPrefix(model, "mock")
	}
	return matchAny(p.models, model) || len(p.models) == 0 && p.ownKind() && matchAny(p.kind.models, model) || p.catalog.has(model)
}

// ownKind reports whether the provider is the vendor itself, so that the
// vendor's model names are its own; another host of that kind need not have them.
func (p *Provider) ownKind() bool {
	return p.kind.base != "" && p.base.String() == p.kind.base
}

func (p *Provider) breakerFor(model string) *breaker {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.breakers[model]
	if b == nil {
		if len(p.breakers) >= maxBreakers {
			clear(p.breakers) // names come from clients where a route has a glob
		}
		b = new(breaker)
		p.breakers[model] = b
	}
	return b
}

// maxBreakers bounds the targets remembered per provider.
const maxBreakers = 4096

// matchAny reports whether a name matches one of the globs. A glob's * and ?
// do not stop at a slash, since model names have slashes.
func matchAny(globs []string, name string) bool {
	for _, g := range globs {
		if matchGlob(g, name) {
			return true
		}
	}
	return false
}

// matchGlob is path.Match without the special role of the slash.
func matchGlob(glob, name string) bool {
	if glob == name || glob == "*" {
		return true
	}
	if ok, err := path.Match(unslash(glob), unslash(name)); err == nil && ok {
		return true
	}
	return false
}

func unslash(s string) string {
	var b []byte
	for i := range len(s) {
		if s[i] == '/' {
			if b == nil {
				b = []byte(s)
			}
			b[i] = '\x01'
		}
	}
	if b == nil {
		return s
	}
	return string(b)
}

// What is known of an upstream's answer to stream_options.include_usage.
const (
	usageUnknown int32 = iota
	usageTaken         // a stream with it was answered
	usageRefused       // it was answered 400, and the same request without it was not
)
