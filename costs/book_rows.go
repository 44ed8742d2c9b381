package costs

import (
	"cmp"
	"strings"
	"time"
)

// A PriceRow is one price of the book, for people and for lists.
type PriceRow struct {
	ID       string    `json:"id"`
	Provider string    `json:"provider"`
	Model    string    `json:"model"`
	Meter    Meter     `json:"meter"`
	USD      Money     `json:"usd"` // of a unit
	Unit     string    `json:"unit"`
	When     string    `json:"when,omitzero"`   // its conditions: "tier=flex,>272000"
	From     time.Time `json:"from,omitzero"`   // zero: from the beginning
	To       time.Time `json:"to,omitzero"`     // zero: without an end
	Status   string    `json:"status"`          // active, scheduled, superseded; announced and cancelled are never charged
	Source   string    `json:"source,omitzero"` // a page of the vendor's, or the vendored file
	Checked  string    `json:"checked,omitzero"`
	Note     string    `json:"note,omitzero"`
}

// A RowQuery says which rows are meant. The zero RowQuery means all.
type RowQuery struct {
	Provider string    // an id or alias
	Model    string    // a name that the book would match, or a glob of ids
	At       time.Time // what Status is judged at
	Active   bool      // only rows in force at At
}

// Rows calls yield with the rows of a query: by provider, model and
// specificity, until yield returns false.
func (b *Book) Rows(q RowQuery, yield func(PriceRow) bool) {
	b.load()
	for _, id := range b.ids {
		p := b.providers[id]
		if q.Provider != "" && b.provider(q.Provider) != p {
			continue
		}
		p.once.Do(func() { p.compile() })
		for _, m := range p.asked(b, q.Model) {
			for i := range m.rows {
				if !p.yieldRow(m, i, q, yield) {
					return
				}
			}
		}
	}
}

// asked are the models that a query's name or glob means.
func (p *provider) asked(b *Book, name string) (models []*model) {
	switch {
	case name == "":
		return p.models
	case strings.Contains(name, "*"):
		for _, m := range p.models {
			if glob(lower(name), m.id) {
				models = append(models, m)
			}
		}
		return models
	}
	if m := p.find(b, name); m != nil {
		return []*model{m}
	}
	return nil
}

func (p *provider) yieldRow(m *model, i int, q RowQuery, yield func(PriceRow) bool) bool {
	r := &m.rows[i]
	status := r.status(m.rows[:i], q.At.UnixNano())
	if q.Active && status != "active" {
		return true
	}
	for _, x := range r.prices {
		row := PriceRow{
			ID: x.id, Provider: p.id, Model: m.id, Meter: x.meter, USD: x.rate.usd, Unit: x.unit,
			When: r.whenAlone(), Status: status, Source: r.source, Checked: r.checked, Note: r.note,
		}
		if r.layer == layerBase && len(p.pages) > 0 {
			row.Source = cmp.Or(row.Source, p.pages[0])
		}
		if r.span.from != always.from {
			row.From = time.Unix(0, r.span.from).UTC()
		}
		if r.span.to != always.to {
			row.To = time.Unix(0, r.span.to).UTC()
		}
		if !yield(row) {
			return false
		}
	}
	return true
}

// status says what a row is worth at a time. before are the rows that are
// believed before it: one of them with the same conditions supersedes it.
func (r *row) status(before []row, at int64) string {
	switch {
	case r.listed != "":
		return r.listed
	case at < r.span.from:
		return "scheduled"
	case at >= r.span.to:
		return "superseded"
	}
	for i := range before {
		o := &before[i]
		if o.listed == "" && o.layer == r.layer && o.span.holds(at) && o.key() == r.key() && o.coversAll(r) {
			return "superseded"
		}
	}
	return "active"
}

func (r *row) coversAll(o *row) bool {
	for _, p := range o.prices {
		if r.price(p.meter) == nil {
			return r.sheet > 0 // a later price list replaces all of an earlier one
		}
	}
	return true
}

// whenAlone is when without the date.
func (r *row) whenAlone() string {
	c := *r
	c.span = always
	return strings.TrimPrefix(c.when(), ",")
}

// Providers are the ids of the book's providers, in its order.
func (b *Book) Providers() []string {
	b.load()
	return append([]string(nil), b.ids...)
}

// Equivalent prices a self-hosted model's usage by what the book says that it
// would be bought as; false where the book says nothing.
func (b *Book) Equivalent(u Usage, t Terms) (Charge, bool) {
	b.load()
	name := lower(t.Model)
	for _, e := range b.equals {
		if glob(e.local, name) {
			return b.Charge(u, Terms{Provider: e.provider, Model: e.model, At: t.At}), true
		}
	}
	return Charge{}, false
}

// MarshalText is the meter's name.
func (m Meter) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is ParseMeter.
func (m *Meter) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMeter(string(text))
	return err
}
