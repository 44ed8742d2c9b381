package ledger

import (
	"fmt"
	"slices"
	"strings"
)

// withoutColumns are what Filter.Without can name, beside provider and model,
// of an attempt, source, and tag:NAME.
var withoutColumns = map[string]struct {
	column string
	of     func(*Call) string
}{
	"project":  {"project_id", func(c *Call) string { return c.ProjectID }},
	"key":      {"key_id", func(c *Call) string { return c.KeyID }},
	"customer": {"customer", func(c *Call) string { return c.Customer }},
	"feature":  {"feature", func(c *Call) string { return c.Feature }},
	"session":  {"session", func(c *Call) string { return c.Session }},
	"tags":     {"tags", func(c *Call) string { return jsonMap(c.Tags) }},
}

// CheckWithout says what is wrong with a name for Filter.Without.
func CheckWithout(name string) error {
	_, ok := withoutColumns[name]
	if tag, isTag := strings.CutPrefix(name, "tag:"); ok || isTag && tag != "" || ofAttempt(name) {
		return nil
	}
	return fmt.Errorf("want customer, feature, project, key, session, tags, tag:NAME, provider, model or source, got %q", name)
}

// ofAttempt says that a name is of an attempt, not of its call.
func ofAttempt(name string) bool { return name == "provider" || name == "model" || name == "source" }

// without adds the SQL for calls that have none of what Without names. What is
// of an attempt is with tried.
func (f *Filter) without(and func(cond string, args ...any)) {
	for _, name := range f.Without {
		if tag, isTag := strings.CutPrefix(name, "tag:"); isTag {
			and(fmt.Sprintf("length(CAST(tags AS BLOB)) <= %d AND NOT (tags <> '' AND EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value <> ''))", maxTagsText), tag)
			continue
		}
		if of, ok := withoutColumns[name]; ok {
			and(of.column + " = ''")
		}
	}
	switch f.AllTags {
	case "":
	case longTags:
		and(fmt.Sprintf("length(CAST(tags AS BLOB)) > %d", maxTagsText))
	default:
		and("tags = ?", f.AllTags)
	}
}

// matchWithout is without for a call.
func (f *Filter) matchWithout(c *Call) bool {
	for _, name := range f.Without {
		if tag, isTag := strings.CutPrefix(name, "tag:"); isTag && (c.Tags[tag] != "" || len(jsonMap(c.Tags)) > maxTagsText) {
			return false
		}
		if of, ok := withoutColumns[name]; ok && of.of(c) != "" {
			return false
		}
	}
	switch tags := jsonMap(c.Tags); f.AllTags {
	case "":
		return true
	case longTags:
		return len(tags) > maxTagsText
	default:
		return tags == f.AllTags
	}
}

// byAttempt says that the filter looks at single attempts.
func (f *Filter) byAttempt() bool {
	return f.TriedAt != "" || f.TriedModel != "" || f.CostSource != "" || slices.ContainsFunc(f.Without, ofAttempt)
}

func (f *Filter) lacks(name string) bool { return slices.Contains(f.Without, name) }

// costSourceNow is the SQL of an attempt's cost source as it is known by now,
// as the rollups have it.
const costSourceNow = `coalesce((SELECT d.cost_source FROM cost_adjustments AS d WHERE d.call_id = a.call_id AND d.n = a.n ORDER BY d.seq DESC LIMIT 1),
		iif(a.cost_source = 'unpriced' AND a.charge = '' AND a.usage_source = '', '', a.cost_source))`

// tried is the SQL for calls that have an attempt as the filter wants it, by
// what is known of its cost by now. It is how reports count: they sum attempts,
// and a call without any is one of no provider and no model.
func (f *Filter) tried() (cond string, args []any) {
	if !f.byAttempt() {
		return "", nil
	}
	cond = "EXISTS (SELECT 1 FROM attempts AS a WHERE a.call_id = calls.id"
	equal := func(name, column, value string) {
		if value != "" || f.lacks(name) {
			cond, args = cond+" AND "+column+" = ?", append(args, value)
		}
	}
	equal("provider", "a.provider", f.TriedAt)
	equal("model", "a.model", f.TriedModel)
	equal("source", costSourceNow, string(f.CostSource))
	cond += ")"
	if f.TriedAt != "" || f.TriedModel != "" {
		return cond, args
	}
	switch f.CostSource {
	case "":
		if f.lacks("source") {
			return "(" + cond + " OR attempts = 0 AND outcome <> 'interrupted')", args
		}
		return "(" + cond + " OR attempts = 0)", args
	case CostUnpriced: // its attempts died with their process
		return "(" + cond + " OR attempts = 0 AND outcome = 'interrupted')", args
	}
	return cond, args
}

// matchTried is tried for a call that has its attempts.
func (f *Filter) matchTried(c *Call) bool {
	if !f.byAttempt() {
		return true
	}
	is := func(name, want, got string) bool { return want == "" && !f.lacks(name) || want == got }
	attempt := func(provider, model string, source CostSource) bool {
		return is("provider", f.TriedAt, provider) && is("model", f.TriedModel, model) && is("source", string(f.CostSource), string(source))
	}
	for i := range c.Attempts {
		if a := &c.Attempts[i]; attempt(a.Provider, a.Model, a.CostSource) {
			return true
		}
	}
	none := CostSource("")
	if c.Outcome == Interrupted {
		none = CostUnpriced
	}
	return len(c.Attempts) == 0 && attempt("", "", none)
}
