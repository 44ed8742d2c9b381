package costs

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Book holds prices: whose, of what, from when, under which conditions. It
// doesn't change once it is built. A provider's rows are read when the first
// charge asks for them, which takes some milliseconds; Warm reads them before.
type Book struct {
	version   string
	load      func() // builds the rest, once
	providers map[string]*provider
	aliases   map[string]string // other names of providers
	endpoints map[string]string // of aliases that mean one endpoint of a provider
	hosts     []hostRule
	ownHosts  []hostRule // of the user's file alone
	ids       []string   // of the providers, in their order
	equals    []equivalent
}

// Version names the files that the book was made of. It is kept with every charge.
func (b *Book) Version() string { return b.version }

// A layer is a source of rows. A higher one is believed before a lower one.
type layer uint8

const (
	layerBase    layer = iota // the vendored file
	layerOverlay              // Weir's own
	layerUser                 // prices.yaml
	numLayers
)

var layerNames = [numLayers]string{"base", "weir", "own"}

// A dim is a dimension that a price may depend on.
type dim uint8

const (
	dimTier dim = iota
	dimBatch
	dimSpeed
	dimResidency
	dimRegion
	dimSearchContextSize
	dimSearchType
	dimEndpoint
	dimResolution
	numDims
)

var dimNames = [numDims]string{"tier", "batch", "speed", "residency", "region", "search_context_size", "search_type", "endpoint", "resolution"}

// A condition holds where each of its dimensions has one of its values.
type condition []requirement

type requirement struct {
	dim    dim
	values []string // "" is standard, or not said
}

func (c condition) dims() (set uint32) {
	for i := range c {
		set |= 1 << c[i].dim
	}
	return set
}

func (c condition) holds(dims *[numDims]string) bool {
	for i := range c {
		if !c[i].holds(dims[c[i].dim]) {
			return false
		}
	}
	return true
}

// holds reports whether a value is one of those asked for. "*" is any that is
// said, and "!x" takes one out of them.
func (r *requirement) holds(value string) bool {
	any := false
	for _, v := range r.values {
		switch {
		case v == value:
			return true
		case v == "*":
			any = value != ""
		case v != "" && v[0] == '!' && v[1:] == value:
			return false
		}
	}
	return any
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// A span is when something is in force: from <= t < to, in Unix nanoseconds.
type span struct{ from, to int64 }

var always = span{-1 << 63, 1<<63 - 1}

func (s span) holds(at int64) bool { return at >= s.from && at < s.to }

// A row is a set of prices with the same conditions.
type row struct {
	layer    layer
	sheet    int  // of the vendored file: rows of one sheet replace those of earlier ones; 0 is none
	order    int  // among equals, the lower first
	contract bool // agreed with the vendor: for the contracted amount only
	flat     bool // no multiplier applies
	span     span
	during   *window
	cond     condition
	dims     uint32 // of cond
	above    int64  // holds where the input has more tokens; -1 is always
	prices   []priced
	minimums []minimum
	listed   string // why it is never charged: announced, cancelled; "" is in force
	source   string
	checked  string
	note     string
}

// priced is the price of one meter in a row.
type priced struct {
	meter Meter
	rate  rate
	id    string // of the price row, for ledgers and people
	unit  string
}

type minimum struct {
	meter Meter
	n     int64
}

func (r *row) applies(e *evaluation) bool {
	return r.listed == "" && r.span.holds(e.at) && (r.above < 0 || e.input > r.above) &&
		(r.during == nil || r.during.holds(e.at)) && (r.cond == nil || r.cond.holds(&e.dims))
}

func (r *row) price(m Meter) *priced {
	for i := range r.prices {
		if r.prices[i].meter == m {
			return &r.prices[i]
		}
	}
	return nil
}

func (r *row) minimum(m Meter) int64 {
	for _, least := range r.minimums {
		if least.meter == m {
			return least.n
		}
	}
	return 0
}

// A multiplier changes the prices of a provider's models under a condition.
type multiplier struct {
	scope
	cond    condition
	during  *window
	factor  factor
	applied Applied
}

// A scope is what a multiplier or a deal is about.
type scope struct {
	models []string // globs of ids; nil is all
	except []string
	meters uint64 // a bit each
	span   span
}

func (s *scope) covers(id string) bool {
	return (s.models == nil || anyGlob(s.models, id)) && !anyGlob(s.except, id)
}

func anyGlob(patterns []string, name string) bool {
	for _, p := range patterns {
		if glob(p, name) {
			return true
		}
	}
	return false
}

func (x *multiplier) applies(e *evaluation) bool {
	return x.span.holds(e.at) && x.cond.holds(&e.dims) && (x.during == nil || x.during.holds(e.at)) && x.covers(e.model.id)
}

// A deal was agreed with a vendor: a percentage off, or a ceiling.
type deal struct {
	scope
	factor    factor
	isCeiling bool
	ceiling   rate
	applied   Applied
}

func (d *deal) applies(e *evaluation) bool { return d.span.holds(e.at) && d.covers(e.model.id) }

// A window is a set of hours of a week.
type window struct {
	name   string
	days   [7]bool // by time.Weekday
	hours  []hours
	except map[string]bool // dates, in the window's zone
	zone   *time.Location
}

type hours struct{ from, to int } // seconds since midnight, from <= s < to

func (w *window) holds(at int64) bool {
	t := time.Unix(0, at).In(w.zone)
	if !w.days[t.Weekday()] || len(w.except) > 0 && w.except[t.Format(time.DateOnly)] {
		return false
	}
	s := t.Hour()*3600 + t.Minute()*60 + t.Second()
	for _, h := range w.hours {
		if s >= h.from && s < h.to || h.from > h.to && (s >= h.from || s < h.to) {
			return true
		}
	}
	return false
}

// A provider is one that bills.
type provider struct {
	id        string
	fallback  []string          // whose models it serves, too, at their list prices
	tiers     map[string]string // words of its own for tiers; "" is standard
	uncounted uint64            // input meters that thresholds don't count
	prefixes  []string          // that its names of models may have
	pages     []string          // where the vendor lists its prices

	multipliers []multiplier
	deals       []deal

	base   baseProvider
	layers []*layerProvider // in rising order

	once   sync.Once
	models []*model
	exact  map[string]*model
	fuzzy  []*model
	seen   sync.Map // name → *model, of names that took a search
	count  atomic.Int64
	faults []string // of the base's rows, for tests
}

// A model is what a provider sells under some names.
type model struct {
	id    string
	match matcher
	rows  []row // the most specific first
}

// standardTiers are the words for no special tier.
var standardTiers = map[string]string{"standard": "", "default": "", "auto": "", "on_demand": "", "ondemand": "", "on-demand": ""}

func (p *provider) tierName(tier string) string {
	if tier == "" {
		return ""
	}
	if name, ok := p.tiers[tier]; ok {
		return name
	}
	if name, ok := standardTiers[tier]; ok {
		return name
	}
	return tier
}

// provider finds a provider by its id or another name.
func (b *Book) provider(name string) *provider {
	b.load()
	if p := b.providers[name]; p != nil {
		return p
	}
	name = lower(name)
	if id, ok := b.aliases[name]; ok {
		name = id
	}
	return b.providers[name]
}

// ProviderID returns the book's id for a provider's name or alias; false if
// the book has none.
func (b *Book) ProviderID(name string) (string, bool) {
	if p := b.provider(name); p != nil {
		return p.id, true
	}
	return "", false
}

// model finds the model that the terms mean: the one served, where that is a
// name of the book, else the one asked for. A tuned model that was asked for
// stays one, whatever the reply calls it.
func (p *provider) model(b *Book, t Terms) *model {
	if t.Served != "" && !isTuned(lower(t.Model)) {
		if m := p.find(b, t.Served); m != nil {
			return m
		}
	}
	return p.find(b, t.Model)
}

// maxSeen bounds the names of models that a provider remembers.
const maxSeen = 4096

// find finds a model by name.
func (p *provider) find(b *Book, name string) *model {
	p.once.Do(func() { p.compile() })
	if m := p.exact[name]; m != nil {
		return m
	}
	if m, ok := p.seen.Load(name); ok {
		return m.(*model)
	}
	m := p.search(b, lower(name))
	if p.count.Add(1) <= maxSeen {
		p.seen.Store(strings.Clone(name), m)
	}
	return m
}

func (p *provider) search(b *Book, name string) *model {
	if m := p.match(name); m != nil {
		return m
	}
	for _, prefix := range p.prefixes {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			if m := p.match(rest); m != nil {
				return m
			}
		}
	}
	for _, id := range p.fallback {
		if other := b.providers[id]; other != nil {
			other.once.Do(func() { other.compile() })
			if m := other.match(name); m != nil {
				return m
			}
		}
	}
	return nil
}

// match finds the model whose matcher is the most specific; of equals, the first.
func (p *provider) match(name string) *model {
	if m := p.exact[name]; m != nil {
		return m
	}
	var found *model
	best := 0
	for _, m := range p.fuzzy {
		if rank := m.match.rank(name); rank > best {
			best, found = rank, m
		}
	}
	return found
}

// Warm reads the rows of the providers that are named, or of all of them.
func (b *Book) Warm(providers ...string) {
	b.load()
	if len(providers) == 0 {
		providers = b.ids
	}
	for _, name := range providers {
		if p := b.provider(name); p != nil {
			p.once.Do(func() { p.compile() })
		}
	}
}
