package costs

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the vendored prices
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed data/genai-prices.json
var vendoredBase []byte

//go:embed data/VERSION
var vendoredVersion string

//go:embed data/overlay.yaml
var vendoredOverlay []byte

// Sources are the files that a book is made of. The zero Sources are those
// that Weir brings along.
type Sources struct {
	Base        []byte // a genai-prices data file; nil is the vendored one
	BaseVersion string // its name in the book's version
	OwnName     string // of the user's own file, for messages
	Own         []byte // the user's own file, YAML; nil is none
}

// NewBook makes a book. What is wrong with the user's file is returned as
// Problems. The vendored file is only read when the book is first used.
func NewBook(src Sources) (*Book, error) {
	b := &Book{version: "genai-prices-" + strings.TrimSpace(vendoredVersion)}
	base := func() ([]baseProvider, error) { return parseBase(vendoredBase) }
	if src.Base != nil {
		list, err := parseBase(src.Base)
		if err != nil {
			return nil, err
		}
		base = func() ([]baseProvider, error) { return list, nil }
		b.version = "genai-prices-" + cmp.Or(src.BaseVersion, shortSum(src.Base))
	}
	var own *layerFile
	if src.Own != nil {
		var err error
		if own, err = parseLayer(cmp.Or(src.OwnName, "prices.yaml"), src.Own, layerUser); err != nil {
			return nil, err
		}
	}
	b.version += "+weir-" + overlayVersion()
	if own != nil {
		b.version += "+own-" + shortSum(src.Own)
		for _, p := range own.providers {
			b.ownHosts = append(b.ownHosts, p.hosts...)
		}
	}
	b.load = sync.OnceFunc(func() {
		list, err := base()
		if err != nil {
			panic(err) // the vendored file: a test reads it
		}
		overlay, err := parseLayer("overlay.yaml", vendoredOverlay, layerOverlay)
		if err != nil {
			panic(err)
		}
		b.build(list, overlay, own)
	})
	return b, nil
}

// Builtin is the book of the files that Weir brings along.
var Builtin = sync.OnceValue(func() *Book {
	b, err := NewBook(Sources{})
	if err != nil {
		panic(err)
	}
	return b
})

// overlayVersion reads the overlay's date without reading all of it.
func overlayVersion() string {
	_, rest, _ := strings.Cut(string(vendoredOverlay[:min(len(vendoredOverlay), 4096)]), "\nversion: ")
	version, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(version, `"' `)
}

func shortSum(text []byte) string {
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:4])
}

// build puts the layers together. Models are read when they are needed.
func (b *Book) build(base []baseProvider, layers ...*layerFile) {
	b.providers, b.aliases, b.endpoints = map[string]*provider{}, map[string]string{}, map[string]string{}
	for _, in := range base {
		p := b.add(in.ID)
		p.base, p.fallback, p.pages = in, in.Fallback, in.Pages
		if re, err := regexp.Compile("^(?:" + in.APIPattern + ")"); err == nil && in.APIPattern != "" {
			b.hosts = append(b.hosts, hostRule{id: in.ID, re: re, open: strings.HasSuffix(in.APIPattern, ".")})
		}
	}
	for _, f := range layers {
		if f == nil {
			continue
		}
		b.equals = append(slices.Clone(f.equals), b.equals...)
		for _, in := range f.providers {
			p := b.add(b.canonical(in.id))
			for alias, endpoint := range in.aliases {
				b.aliases[alias] = p.id
				if endpoint != "" {
					b.endpoints[alias] = endpoint
				}
			}
			p.take(in)
			b.hosts = append(slices.Clone(in.hosts), b.hosts...)
		}
	}
}

// canonical is the id that a name of a provider stands for.
func (b *Book) canonical(name string) string {
	if id, ok := b.aliases[name]; ok && b.providers[name] == nil {
		return id
	}
	return name
}

func (b *Book) add(id string) *provider {
	p := b.providers[id]
	if p == nil {
		p = &provider{id: id, tiers: map[string]string{}}
		b.providers[id] = p
		b.ids = append(b.ids, id)
	}
	return p
}

// take adds a layer to a provider.
func (p *provider) take(in *layerProvider) {
	for k, v := range in.tiers {
		p.tiers[k] = v
	}
	p.uncounted |= in.uncounted
	p.prefixes = append(p.prefixes, in.prefixes...)
	p.fallback = append(p.fallback, in.fallback...)
	p.multipliers = append(p.multipliers, in.multiplied...)
	p.deals = append(p.deals, in.deals...)
	p.layers = append(p.layers, in)
}

// compile reads a provider's models and makes its indexes.
func (p *provider) compile() {
	p.models = p.baseModels()
	p.index()
	for _, l := range p.layers {
		for _, b := range l.boundaries {
			p.move(b)
		}
		p.backdate(l.backdate)
		for _, in := range l.models {
			p.merge(in)
			p.index()
		}
	}
	for _, m := range p.models {
		slices.SortStableFunc(m.rows, bySpecificity)
		for i := range m.rows {
			p.name(m, &m.rows[i])
		}
	}
	p.base.Models = nil
}

func (p *provider) index() {
	p.exact, p.fuzzy = make(map[string]*model, 2*len(p.models)), p.fuzzy[:0]
	for _, m := range p.models {
		m.match.exacts(func(name string) {
			if p.exact[name] == nil {
				p.exact[name] = m
			}
		})
		if m.match.fuzzy() {
			p.fuzzy = append(p.fuzzy, m)
		}
	}
}

// backdate lets the vendored file's variants of some models hold from the
// beginning: it begins them on the day on which it first read them.
func (p *provider) backdate(models []string) {
	for _, m := range p.models {
		for i := range m.rows {
			if r := &m.rows[i]; r.layer == layerBase && len(r.cond) > 0 && anyGlob(models, m.id) {
				r.span.from = always.from
			}
		}
	}
}

// move sets on which side of a threshold its own number is.
func (p *provider) move(b boundary) {
	want := b.at
	if b.inclusive {
		want--
	}
	for _, m := range p.models {
		if !anyGlob(b.models, m.id) {
			continue
		}
		for i := range m.rows {
			if r := &m.rows[i]; r.above == b.at || r.above == b.at-1 {
				r.above = want
			}
		}
	}
}

// merge adds a layer's model, or its rows to those that it stands for.
func (p *provider) merge(in *layerModel) {
	if strings.Contains(in.id, "*") {
		for _, m := range p.models {
			if glob(in.id, m.id) {
				m.add(in)
			}
		}
		return
	}
	for _, m := range p.models {
		if m.id != in.id {
			continue
		}
		if in.replace {
			m.rows = nil
		}
		if in.match != nil {
			m.match = matcher{op: matchAny, list: []matcher{m.match, *in.match}}
		}
		m.add(in)
		return
	}
	m := &model{id: in.id, match: matcher{op: matchExact, text: in.id}}
	if in.match != nil {
		m.match = *in.match
	}
	if known := p.match(in.id); known != nil && !in.replace {
		m.rows = slices.Clone(known.rows) // a name of a model that has rows already
	}
	m.add(in)
	p.models = append([]*model{m}, p.models...) // its exact names come first
}

func (m *model) add(in *layerModel) {
	for _, r := range in.rows {
		r.prices = slices.Clone(r.prices)
		r.source, r.checked = cmp.Or(r.source, in.source), cmp.Or(r.checked, in.checked)
		m.rows = append(m.rows, r)
	}
}

// bySpecificity orders a model's rows: what comes first is believed.
func bySpecificity(a, b row) int {
	if c := cmp.Compare(b.layer, a.layer); c != 0 {
		return c
	}
	if a.layer == layerBase { // the file's own order, see addRows
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(b.above, a.above))
	}
	return cmp.Or(
		cmp.Compare(b.conditions(), a.conditions()), cmp.Compare(b.above, a.above),
		cmp.Compare(b.span.from, a.span.from), cmp.Compare(a.order, b.order),
	)
}

func (r *row) conditions() int {
	n := len(r.cond)
	if r.during != nil {
		n++
	}
	return n
}

// name gives a row's prices their ids. Ids say all that a price depends on,
// so that they stay what they are when a file is put into another order.
func (p *provider) name(m *model, r *row) {
	when := r.when()
	for i := range r.prices {
		x := &r.prices[i]
		x.unit = x.rate.unitName(x.meter)
		x.id = layerNames[r.layer] + ":" + p.id + "/" + m.id + "/" + x.meter.String() + when
	}
}

// when is a row's conditions in one line: "@2026-08-21,tier=flex,>272000".
func (r *row) when() string {
	var s strings.Builder
	if r.span.from != always.from {
		s.WriteString("@" + instantText(r.span.from))
	}
	for _, c := range r.cond {
		values := slices.Clone(c.values)
		for i, v := range values {
			values[i] = cmp.Or(v, "standard")
		}
		fmt.Fprintf(&s, ",%s=%s", dimNames[c.dim], strings.Join(values, "|"))
	}
	if r.during != nil {
		s.WriteString(",during=" + r.during.name)
	}
	if r.above >= 0 {
		fmt.Fprintf(&s, ",>%d", r.above)
	}
	if r.contract {
		s.WriteString(",contract")
	}
	return s.String()
}

func instantText(at int64) string {
	t := time.Unix(0, at).UTC()
	if t.Truncate(24 * time.Hour).Equal(t) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// finish checks a model's rows against each other: two that could both be
// meant are a mistake. A row without an end ends where the next one begins.
func (r *layerReader) finish(m *layerModel) {
	for i := range m.rows {
		for j := range i {
			a, b := &m.rows[j], &m.rows[i]
			if a.listed != "" || b.listed != "" || a.key() != b.key() {
				continue
			}
			meter, both := a.shares(b)
			if !both || !a.collides(b) {
				continue
			}
			r.bad(&yaml.Node{Line: m.lines[i]}, "the price of %s overlaps with the one of line %d", meter, m.lines[j])
		}
	}
}

// key is what a row's meaning depends on beside its time.
func (r *row) key() string {
	c := *r
	c.span = always
	return c.when()
}

func (r *row) shares(o *row) (Meter, bool) {
	for _, p := range r.prices {
		if o.price(p.meter) != nil {
			return p.meter, true
		}
	}
	return 0, false
}

func (r *row) collides(o *row) bool {
	first, second := r, o
	if second.span.from < first.span.from {
		first, second = second, first
	}
	return first.span.from == second.span.from || first.span.to != always.to && first.span.to > second.span.from
}
