package costs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// HasModel reports whether the book knows a model by a name or a glob; of a
// provider (an id or alias), or of any one where that is "".
func (b *Book) HasModel(provider, name string) bool {
	for _, p := range b.named(provider) {
		if len(p.asked(b, name)) > 0 {
			return true
		}
	}
	return false
}

// named are the providers that a name means; "" means all.
func (b *Book) named(provider string) (list []*provider) {
	b.load()
	for _, id := range b.ids {
		p := b.providers[id]
		if provider == "" || b.provider(provider) == p {
			p.once.Do(func() { p.compile() })
			list = append(list, p)
		}
	}
	return list
}

// maxNear is how many models a wrong name brings to mind.
const maxNear = 3

// NearModels are the models, as provider/model, whose names are nearest to one
// that the book does not have; none where it looks like nothing.
func (b *Book) NearModels(provider, name string) (near []string) {
	type candidate struct {
		id   string
		away int
	}
	var list []candidate
	name = lower(name)
	rest := name
	if provider == "" {
		rest = name[strings.LastIndexByte(name, '/')+1:]
	}
	for _, p := range b.named(provider) {
		for _, m := range p.models {
			if away := edits(rest, m.id); away <= max(2, len(rest)/4) && !strings.Contains(m.id, "*") {
				list = append(list, candidate{p.id + "/" + m.id, away})
			}
		}
	}
	whole := func(c candidate) int { return edits(name, c.id) } // who sells it, where that was said
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.away, b.away), cmp.Compare(whole(a), whole(b)))
	})
	for _, c := range list[:min(len(list), maxNear)] {
		near = append(near, c.id)
	}
	return near
}

// Dangling is what the user's file names and the book does not have: models
// that others would be bought as. That is no error, since newer prices may
// bring one, or drop one: what stands beside the cost is unknown until then.
func (b *Book) Dangling() (list Problems) {
	b.load()
	for _, e := range b.equals {
		if e.layer != layerUser || b.HasModel(e.provider, e.model) && b.provider(e.provider) != nil {
			continue
		}
		p := Problem{File: e.file, Line: e.line, What: fmt.Sprintf("equivalents: the price book has no provider %q", clip(e.provider))}
		if b.provider(e.provider) != nil {
			p.What = fmt.Sprintf("equivalents: the price book has no model %q of %s", clip(e.model), e.provider)
			if near := b.NearModels(e.provider, e.model); len(near) > 0 {
				p.Hint = "did you mean " + strings.Join(near, ", ") + "?"
			}
		} else if near := didYouMean(lower(e.provider), b.ids); near != "" {
			p.Hint = strings.Trim(near, " ()")
		}
		list = append(list, p)
	}
	return list
}
