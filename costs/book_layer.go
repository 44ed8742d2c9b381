package costs

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A layerFile is a price file in YAML: Weir's own overlay or the user's.
type layerFile struct {
	layer     layer
	version   string
	providers []*layerProvider
	equals    []equivalent
}

// An equivalent is what a self-hosted model would be bought as.
type equivalent struct {
	local    string // glob
	provider string
	model    string
	layer    layer
	file     string // with the line, for messages
	line     int
}

type layerProvider struct {
	id, name   string
	line       int
	aliases    map[string]string // name → the endpoint that it means, if any
	backdate   []string          // models whose vendored variants hold from the beginning
	hosts      []hostRule
	prefixes   []string
	fallback   []string
	tiers      map[string]string
	uncounted  uint64
	models     []*layerModel
	multiplied []multiplier
	deals      []deal
	boundaries []boundary
	windows    map[string]*window
}

// A boundary says of a threshold whether it is part of the higher band.
type boundary struct {
	models    []string
	at        int64
	inclusive bool
}

type layerModel struct {
	id      string // or a glob: rows of all models that match
	line    int
	match   *matcher // nil: the vendored file's, else the id itself
	replace bool     // the lower layers' rows are not used
	free    bool
	rows    []row
	lines   []int // of the rows
	source  string
	checked string
}

// layerReader reads a layerFile.
type layerReader struct {
	yamlReader
	out *layerFile
	p   *layerProvider
	m   *layerModel
}

// parseLayer reads a price file in YAML. All its problems come at once.
func parseLayer(name string, text []byte, l layer) (*layerFile, error) {
	r := &layerReader{yamlReader: yamlReader{file: name}, out: &layerFile{layer: l}}
	if root := r.document(text); root != nil {
		r.fields(root, "the file", []field{
			{"version", func(n *yaml.Node) { r.out.version = r.text(n) }},
			{"currency", r.currency},
			{"providers", r.providers},
			{"equivalents", r.equivalents},
		})
	}
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, r.problems
	}
	return r.out, nil
}

func (r *layerReader) currency(n *yaml.Node) {
	if !strings.EqualFold(n.Value, "USD") {
		r.bad(n, "unknown currency %q: prices are in USD", clip(n.Value))
	}
}

func (r *layerReader) equivalents(n *yaml.Node) {
	r.each(n, "equivalents", func(k, v *yaml.Node) {
		provider, model, ok := strings.Cut(r.text(v), "/")
		if !ok {
			r.bad(v, "want provider/model, got %q", clip(v.Value))
			return
		}
		r.out.equals = append(r.out.equals, equivalent{strings.ToLower(k.Value), provider, model, r.out.layer, r.file, v.Line})
	})
}

func (r *layerReader) providers(n *yaml.Node) {
	seen := map[string]bool{}
	r.each(n, "providers", func(k, v *yaml.Node) {
		id := strings.ToLower(k.Value)
		if noProvider(id) || id == "free" || seen[id] {
			r.bad(k, "a provider cannot be called %q, or is there twice", clip(k.Value))
			return
		}
		seen[id] = true
		p := &layerProvider{id: id, line: k.Line, tiers: map[string]string{}, windows: map[string]*window{}}
		r.p = p
		r.out.providers = append(r.out.providers, p)
		r.window(v) // rows name them
		r.fields(v, "provider "+id, []field{
			{"name", func(n *yaml.Node) { p.name = r.text(n) }},
			{"aliases", r.aliases},
			{"hosts", r.hostRules},
			{"prefixes", func(n *yaml.Node) { p.prefixes = r.texts(n) }},
			{"also_sells", func(n *yaml.Node) { p.fallback = r.texts(n) }},
			{"tiers", r.tierNames},
			{"thresholds_leave_out", func(n *yaml.Node) { p.uncounted = r.meters(n) }},
			{"backdate", func(n *yaml.Node) { p.backdate = r.globs(n) }},
			{"boundaries", r.boundaries},
			{"windows", func(*yaml.Node) {}},
			{"models", r.models},
			{"multipliers", r.multipliers},
			{"discounts", r.discounts},
			{"ceilings", r.ceilings},
		})
	})
}

func (r *layerReader) hostRules(n *yaml.Node) {
	r.items(n, func(v *yaml.Node) {
		host := strings.ToLower(r.text(v))
		pattern := `^https?://` + strings.ReplaceAll(regexp.QuoteMeta(host), `\*`, `[^/:]*`)
		r.p.hosts = append(r.p.hosts, hostRule{id: r.p.id, re: regexp.MustCompile(pattern)})
	})
}

// aliases reads a list of names, or names with the endpoint that they mean.
func (r *layerReader) aliases(n *yaml.Node) {
	r.p.aliases = map[string]string{}
	if n.Kind != yaml.MappingNode {
		r.items(n, func(v *yaml.Node) { r.p.aliases[lower(r.text(v))] = "" })
		return
	}
	r.each(n, "aliases", func(k, v *yaml.Node) { r.p.aliases[lower(k.Value)] = lower(r.text(v)) })
}

func (r *layerReader) tierNames(n *yaml.Node) {
	r.each(n, "tiers", func(k, v *yaml.Node) {
		name := strings.ToLower(r.text(v))
		if name == "standard" {
			name = ""
		}
		r.p.tiers[strings.ToLower(k.Value)] = name
	})
}

func (r *layerReader) boundaries(n *yaml.Node) {
	r.items(n, func(v *yaml.Node) {
		var b boundary
		r.fields(v, "a boundary", []field{
			{"models", func(n *yaml.Node) { b.models = r.globs(n) }},
			{"at", func(n *yaml.Node) { b.at = r.whole(n) }},
			{"inclusive", func(n *yaml.Node) { b.inclusive = r.flag(n) }},
		})
		r.p.boundaries = append(r.p.boundaries, b)
	})
}

func (r *layerReader) whole(n *yaml.Node) int64 {
	i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, 64)
	if err != nil || i < 0 {
		r.bad(n, "want a whole number, got %q", clip(n.Value))
	}
	return i
}

// window reads a provider's windows before anything that names them.
func (r *layerReader) window(provider *yaml.Node) {
	if provider.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(provider.Content); i += 2 {
		if provider.Content[i].Value != "windows" {
			continue
		}
		r.each(provider.Content[i+1], "windows", func(k, v *yaml.Node) {
			w := &window{name: k.Value, zone: time.UTC, days: [7]bool{true, true, true, true, true, true, true}, except: map[string]bool{}}
			r.fields(v, "window "+k.Value, []field{
				{"days", func(n *yaml.Node) { r.days(n, w) }},
				{"hours", func(n *yaml.Node) { r.hours(n, w) }},
				{"zone", func(n *yaml.Node) { r.zone(n, w) }},
				{"except", func(n *yaml.Node) { r.except(n, w) }},
			})
			if w.hours == nil {
				w.hours = []hours{{0, 86400}}
			}
			r.p.windows[k.Value] = w
		})
	}
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (r *layerReader) days(n *yaml.Node, w *window) {
	w.days = [7]bool{}
	r.items(n, func(v *yaml.Node) {
		first, last, isRange := strings.Cut(strings.ToLower(v.Value), "-")
		if !isRange {
			last = first
		}
		from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
		if from < 0 || to < 0 {
			r.bad(v, "want days like mon-fri or sat, got %q", clip(v.Value))
			return
		}
		for d := from; ; d = (d + 1) % 7 {
			w.days[d] = true
			if d == to {
				break
			}
		}
	})
}

func (r *layerReader) hours(n *yaml.Node, w *window) {
	r.items(n, func(v *yaml.Node) {
		first, last, _ := strings.Cut(v.Value, "-")
		from, ok := minuteOfDay(first)
		to, ok2 := minuteOfDay(last)
		if !ok || !ok2 || from == to {
			r.bad(v, "want hours like 01:00-04:00, got %q", clip(v.Value))
			return
		}
		w.hours = append(w.hours, hours{from, to})
	})
}

// minuteOfDay reads 01:30 as seconds since midnight; 24:00 is a day's end.
func minuteOfDay(s string) (int, bool) {
	if s == "24:00" {
		return 86400, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*3600 + t.Minute()*60, err == nil
}

func (r *layerReader) zone(n *yaml.Node, w *window) {
	if n.Value == "UTC" || n.Value == "Z" {
		return
	}
	t, err := time.Parse("-07:00", n.Value)
	if err != nil {
		r.bad(n, "want UTC or an offset like +08:00, got %q", clip(n.Value))
		return
	}
	_, offset := t.Zone()
	w.zone = time.FixedZone(n.Value, offset)
}

func (r *layerReader) except(n *yaml.Node, w *window) {
	r.items(n, func(v *yaml.Node) {
		if _, err := time.Parse(time.DateOnly, v.Value); err != nil {
			r.bad(v, "want a date like 2026-10-01, got %q", clip(v.Value))
		}
		w.except[v.Value] = true
	})
}

func (r *layerReader) models(n *yaml.Node) {
	r.items(n, func(v *yaml.Node) {
		m := &layerModel{line: v.Line}
		r.m = m
		var names []matcher
		take := func(op matchOp) func(*yaml.Node) {
			return func(n *yaml.Node) {
				r.items(n, func(v *yaml.Node) { names = append(names, r.matcher(v, op)) })
			}
		}
		r.fields(v, "a model", []field{
			{"id", func(n *yaml.Node) { m.id = strings.ToLower(r.text(n)) }},
			{"exact", take(matchExact)},
			{"prefix", take(matchPrefix)},
			{"regex", take(matchRegex)},
			{"replace", func(n *yaml.Node) { m.replace = r.flag(n) }},
			{"free", func(n *yaml.Node) { m.free = r.flag(n) }},
			{"source", func(n *yaml.Node) { m.source = r.text(n) }},
			{"checked", func(n *yaml.Node) { r.instant(n); m.checked = n.Value }},
			{"rows", r.rows},
		})
		switch {
		case m.id == "":
			r.bad(v, "a model without an id")
		case strings.Count(m.id, "*") > 4:
			r.bad(v, "more than four * in %q", clip(m.id))
		case len(names) > 0 && strings.Contains(m.id, "*"):
			r.bad(v, "%s stands for several models: it cannot have names of its own", m.id)
		}
		if len(names) > 0 {
			m.match = &matcher{op: matchAny, list: append(names, matcher{op: matchExact, text: m.id})}
		}
		if m.free {
			m.rows = append(m.rows, freeRow(r.out.layer))
			m.lines = append(m.lines, v.Line)
		}
		if i := slices.IndexFunc(r.p.models, func(o *layerModel) bool { return o.id == m.id }); i >= 0 && m.id != "" {
			r.bad(v, "%s is there twice: line %d has it, too", clip(m.id), r.p.models[i].line)
		}
		r.finish(m)
		r.p.models = append(r.p.models, m)
	})
}

// freeRow is that of a model that is known to cost nothing.
func freeRow(l layer) row {
	row := row{layer: l, span: always, above: -1}
	for _, m := range Meters() {
		if m.Unit() == Tokens {
			row.prices = append(row.prices, priced{meter: m, rate: rate{per: 1e6}})
		}
	}
	return row
}

func (r *layerReader) matcher(n *yaml.Node, op matchOp) matcher {
	text := r.text(n)
	if op == matchRegex {
		m, err := newRegex(text)
		if err != nil {
			r.bad(n, "a pattern that cannot be read: %s", err)
		}
		return m
	}
	if text == "" {
		r.bad(n, "an empty name")
	}
	return matcher{op: op, text: strings.ToLower(text)}
}

func (r *layerReader) rows(n *yaml.Node) {
	r.items(n, func(v *yaml.Node) {
		row := row{layer: r.out.layer, span: always, above: -1, order: len(r.m.rows)}
		r.fields(v, "a row", []field{
			{"from", func(n *yaml.Node) { row.span.from = r.instant(n) }},
			{"to", func(n *yaml.Node) { row.span.to = r.instant(n) }},
			{"status", func(n *yaml.Node) { row.listed = r.status(n) }},
			{"when", func(n *yaml.Node) { row.cond, row.during = r.condition(n) }},
			{"above", func(n *yaml.Node) { row.above = r.whole(n) }},
			{"at_least", func(n *yaml.Node) { row.above = r.whole(n) - 1 }},
			{"prices", func(n *yaml.Node) { r.prices(n, &row) }},
			{"minimum", func(n *yaml.Node) { r.minimums(n, &row) }},
			{"contract", func(n *yaml.Node) { row.contract = r.flag(n) }},
			{"flat", func(n *yaml.Node) { row.flat = r.flag(n) }},
			{"source", func(n *yaml.Node) { row.source = r.text(n) }},
			{"checked", func(n *yaml.Node) { r.instant(n); row.checked = n.Value }},
			{"note", func(n *yaml.Node) { row.note = r.text(n) }},
		})
		row.dims = row.cond.dims()
		if row.span.to <= row.span.from {
			r.bad(v, "a row that ends before it begins")
		}
		if len(row.prices) == 0 {
			r.bad(v, "a row without prices")
		}
		r.m.rows, r.m.lines = append(r.m.rows, row), append(r.m.lines, v.Line)
	})
}

// status returns why a row is never charged; "" where it is.
func (r *layerReader) status(n *yaml.Node) string {
	switch n.Value {
	case "active", "superseded":
		return ""
	case "announced", "cancelled":
		return n.Value
	}
	r.bad(n, "want active, superseded, announced or cancelled, got %q", clip(n.Value))
	return ""
}

func (r *layerReader) condition(n *yaml.Node) (c condition, w *window) {
	r.each(n, "when", func(k, v *yaml.Node) {
		if k.Value == "during" {
			if w = r.p.windows[v.Value]; w == nil {
				r.bad(v, "no window %q of provider %s", clip(v.Value), r.p.id)
			}
			return
		}
		d := slices.Index(dimNames[:], k.Value)
		if d < 0 {
			r.bad(k, "unknown condition %q%s", clip(k.Value), didYouMean(k.Value, append(dimNames[:], "during")))
			return
		}
		req := requirement{dim: dim(d)}
		for _, s := range r.texts(v) {
			if s = strings.ToLower(s); s == "standard" || s == "false" {
				s = ""
			}
			req.values = append(req.values, s)
		}
		c = append(c, req)
	})
	slices.SortFunc(c, func(a, b requirement) int { return cmp.Compare(a.dim, b.dim) })
	return c, w
}

func (r *layerReader) prices(n *yaml.Node, row *row) {
	r.each(n, "prices", func(k, v *yaml.Node) {
		m, ok := r.meter(k)
		if !ok {
			return
		}
		if row.price(m) != nil {
			r.bad(k, "%s is there twice", m)
			return
		}
		price, err := parseRate(m, r.text(v))
		if err != nil {
			r.bad(v, "price of %s: %s", m, err)
		}
		row.prices = append(row.prices, priced{meter: m, rate: price})
	})
}

func (r *layerReader) minimums(n *yaml.Node, row *row) {
	r.each(n, "minimum", func(k, v *yaml.Node) {
		m, ok := r.meter(k)
		if !ok {
			return
		}
		least := minimum{meter: m}
		if m.Unit() == Micros {
			d, err := time.ParseDuration(v.Value)
			if err != nil || d < 0 {
				r.bad(v, "want a time like 10s, got %q", clip(v.Value))
			}
			least.n = d.Microseconds()
		} else {
			least.n = r.whole(v)
		}
		row.minimums = append(row.minimums, least)
	})
}

// scoped reads what multipliers and deals have in common.
func (r *layerReader) scoped(s *scope) []field {
	s.span = always
	return []field{
		{"models", func(n *yaml.Node) { s.models = r.globs(n) }},
		{"except", func(n *yaml.Node) { s.except = r.globs(n) }},
		{"meters", func(n *yaml.Node) { s.meters = r.meters(n) }},
		{"from", func(n *yaml.Node) { s.span.from = r.instant(n) }},
		{"to", func(n *yaml.Node) { s.span.to = r.instant(n) }},
		{"source", func(n *yaml.Node) { r.text(n) }},
		{"checked", func(n *yaml.Node) { r.instant(n) }},
		{"note", func(n *yaml.Node) { r.text(n) }},
	}
}

func (r *layerReader) multipliers(n *yaml.Node) {
	r.items(n, func(v *yaml.Node) {
		x := multiplier{factor: factor{-1, 1}}
		except := uint64(0)
		r.fields(v, "a multiplier", append(r.scoped(&x.scope),
			field{"name", func(n *yaml.Node) { x.applied.Name = r.text(n) }},
			field{"when", func(n *yaml.Node) { x.cond, x.during = r.condition(n) }},
			field{"not_meters", func(n *yaml.Node) { except = r.meters(n) }},
			field{"factor", func(n *yaml.Node) { x.factor = r.factor(n) }},
		))
		if x.applied.Name == "" || x.factor.num < 0 || len(x.cond) == 0 && x.during == nil {
			r.bad(v, "a multiplier wants a name, a factor and a when")
		}
		if x.meters == 0 {
			x.meters = metersIn(meterSets["tokens"])
		}
		x.meters &^= except
		x.applied.Factor = x.factor.String()
		r.p.multiplied = append(r.p.multiplied, x)
	})
}

func (r *layerReader) discounts(n *yaml.Node) {
	r.items(n, func(v *yaml.Node) {
		d := deal{factor: factor{-1, 1}, applied: Applied{Name: "discount", Contracted: true}}
		r.fields(v, "a discount", append(r.scoped(&d.scope),
			field{"name", func(n *yaml.Node) { d.applied.Name = r.text(n) }},
			field{"percent", func(n *yaml.Node) {
				d.factor = r.factor(&yaml.Node{Kind: yaml.ScalarNode, Value: strings.TrimSuffix(n.Value, "%") + "%", Line: n.Line})
			}},
		))
		if d.factor.num < 0 {
			r.bad(v, "a discount wants a percent")
		}
		if d.meters == 0 {
			d.meters = metersIn(meterSets["all"])
		}
		d.applied.Factor = d.factor.String()
		r.p.deals = append(r.p.deals, d)
	})
}

func (r *layerReader) ceilings(n *yaml.Node) {
	r.items(n, func(v *yaml.Node) {
		base := deal{isCeiling: true, factor: one, applied: Applied{Name: "ceiling", Contracted: true}}
		var row row
		r.fields(v, "a ceiling", append(r.scoped(&base.scope),
			field{"name", func(n *yaml.Node) { base.applied.Name = r.text(n) }},
			field{"prices", func(n *yaml.Node) { r.prices(n, &row) }},
		))
		if len(row.prices) == 0 {
			r.bad(v, "a ceiling wants prices")
		}
		for _, p := range row.prices {
			d := base
			d.meters, d.ceiling = 1<<p.meter, p.rate
			d.applied.Factor = "$" + p.rate.usd.String() + " per " + p.rate.unitName(p.meter)
			r.p.deals = append(r.p.deals, d)
		}
	})
}
