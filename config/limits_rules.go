package config

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// validateLimits checks what one value alone cannot show.
func (c *Config) validateLimits(d *decoder) {
	seen := map[string]int{}
	for i := range c.Limits {
		l := &c.Limits[i]
		where := "limits[" + strconv.Itoa(i) + "]"
		if !l.validate(d, where) {
			continue
		}
		for _, w := range c.LimitWarnings(l) {
			d.warn(l, w.Hint, "%s: %s", where, w.What)
		}
		for _, m := range l.measures() {
			id := l.identity(m)
			if before, twice := seen[id]; twice {
				d.at(l, "one ceiling for each scope, value, dimension and action", "%s: %s %s is limited in line %d already", where, l.subject(), m, before)
			}
			seen[id] = d.lines[l]
		}
	}
	if n := c.countLimits(); n > MaxLimits {
		d.at(&c.Limits, "", "limits: %d ceilings for one call: want at most %d", n, MaxLimits)
	}
}

// MaxLimits is how many ceilings one call can have: those of one scope and
// dimension with several values count once.
const MaxLimits = 32

func (c *Config) countLimits() int {
	groups := map[string]bool{}
	for i := range c.Limits {
		l := c.Limits[i]
		l.Value = ""
		for _, m := range l.measures() {
			groups[l.identity(m)] = true
		}
	}
	return len(groups)
}

// identity is what no two ceilings have in common.
func (l *Limit) identity(measure string) string {
	return strings.Join([]string{l.Scope, l.Tag, measure, l.Action, l.Value}, "\x00")
}

// subject is whose an entry's ceilings are, for messages.
func (l *Limit) subject() string {
	s := l.Scope
	if l.Tag != "" {
		s += " " + clip(l.Tag)
	}
	if l.Value != "" {
		s += " " + strconv.Quote(clip(l.Value))
	}
	return s
}

// measures are the dimensions that an entry limits.
func (l *Limit) measures() (names []string) {
	for r := range l.All {
		names = append(names, r.key())
	}
	if l.Slots > 0 {
		names = append(names, "concurrent")
	}
	for p := range l.Budgets {
		names = append(names, "usd_per_"+p)
	}
	return names
}

// The bounds of an entry's texts and times.
const (
	maxLimitText = 120 // bytes: what is kept of a header or a name that a client sends
	maxPatience  = 10 * time.Minute
)

// validate checks an entry and fills in its defaults. where is its path, "" of
// one that stands alone.
func (l *Limit) validate(d *decoder, where string) bool {
	before := len(d.problems)
	said := func(field any) bool { _, yes := d.lines[field]; return yes }
	at := func(from any, key, hint, what string) { d.at(from, hint, "%s%s", prefix(where, key), what) }
	if l.Action == "" {
		l.Action = "block"
	}
	switch {
	case l.Scope == "":
		if !said(&l.Scope) { // else its word was refused
			at(l, "", "scopes: "+strings.Join(limitScopes, ", "), "scope is missing")
		}
		return false
	case l.Scope == "tag" && l.Tag == "":
		at(l, "", "write tag: NAME", "scope tag needs the name of the tag")
	case l.Scope != "tag" && l.Tag != "":
		at(&l.Tag, "tag", "", "it is for scope tag")
	case l.Scope == "global" && l.Value != "":
		at(&l.Value, "value", "", "global has no values: it is all calls together")
	}
	for _, t := range []struct {
		key  string
		text *string
	}{{"tag", &l.Tag}, {"value", &l.Value}, {"downgrade_to", &l.Instead}} {
		if len(*t.text) > maxLimitText || !utf8.ValidString(*t.text) || strings.ContainsFunc(*t.text, unicode.IsControl) {
			at(t.text, t.key, "", "want a text of up to "+strconv.Itoa(maxLimitText)+" bytes without control characters")
		}
	}
	if !refusedAmount(d, l) {
		if len(l.measures()) == 0 && len(d.problems) == before {
			at(l, "", "requests_per_minute, tokens_per_minute, concurrent, usd_per_month and the like", "it limits nothing")
		}
		l.validateDimensions(at)
	}
	l.validateAction(said, at)
	return len(d.problems) == before
}

// refusedAmount reports whether the entry has an amount that was refused: what
// it limits is not known.
func refusedAmount(d *decoder, l *Limit) bool {
	refused := func(n *int64) bool {
		_, said := d.lines[n]
		return said && *n == 0
	}
	for i := range l.Rates {
		if refused(&l.Rates[i]) {
			return true
		}
	}
	for i := range l.USD {
		if refused(&l.USD[i]) {
			return true
		}
	}
	return refused(&l.Slots)
}

// prefix is the path of an entry's key, for a message.
func prefix(where, key string) string {
	switch {
	case where == "" && key == "":
		return ""
	case where == "" || key == "":
		return where + key + ": "
	}
	return where + "." + key + ": "
}

// validateDimensions checks the keys that are for some dimensions only.
func (l *Limit) validateDimensions(at func(from any, key, hint, what string)) {
	rates, money := 0, false
	tokens := false
	for r := range l.All {
		rates++
		tokens = tokens || r.Dimension != "requests"
	}
	for range l.Budgets {
		money = true
	}
	if l.Burst > 0 && rates != 1 {
		at(&l.Burst, "burst", "give each rate an entry of its own", "it belongs to one rate, and the entry has "+strconv.Itoa(rates))
	}
	if l.Strict && !tokens && !money {
		at(&l.Strict, "strict", "", "it is for limits of tokens and dollars: of others nothing is estimated")
	}
	if !money {
		for _, k := range []struct {
			key   string
			field any
			set   bool
		}{
			{"zone", &l.Zone, l.Zone != nil},
			{"unpriced", &l.Unpriced, l.Unpriced > 0},
			{"exposure", &l.Exposure, l.Exposure > 0},
		} {
			if k.set {
				at(k.field, k.key, "usd_per_month and the like are budgets", "it is for budgets, and the entry has none")
			}
		}
	}
	if l.Exposure > 0 && l.OnFailure != "" && l.OnFailure != "local" {
		at(&l.Exposure, "exposure", "", "it is for on_store_failure: local")
	}
	for i := 1; i < len(l.Soft); i++ {
		if l.Soft[i-1] > 0 && l.Soft[i] > 0 && l.Soft[i] <= l.Soft[i-1] {
			at(&l.Soft[i], "soft", "", "want percents that ascend, got "+strconv.Itoa(l.Soft[i])+"% after "+strconv.Itoa(l.Soft[i-1])+"%")
		}
	}
}

// validateAction checks an entry's action and what belongs to it.
func (l *Limit) validateAction(said func(any) bool, at func(from any, key, hint, what string)) {
	switch {
	case l.Action != "queue" && said(&l.Patience):
		at(&l.Patience, "queue", "write action: queue", "it is for action queue")
	case l.Action == "queue" && !said(&l.Patience):
		l.Patience = 10 * time.Second
	case l.Action == "queue" && (l.Patience < time.Millisecond || l.Patience > maxPatience):
		at(&l.Patience, "queue", "", "want 1ms to 10m")
	}
	switch {
	case l.Action != "downgrade" && l.Instead != "":
		at(&l.Instead, "downgrade_to", "write action: downgrade", "it is for action downgrade")
	case l.Action == "downgrade" && l.Instead == "":
		at(l, "", "write downgrade_to: MODEL", "action downgrade needs downgrade_to")
	case l.Action == "downgrade" && slices.Contains([]string{"provider", "target"}, l.Scope):
		at(&l.Action, "action", "a route's fallbacks are where such calls go next", "downgrade is decided before a provider is chosen: scope "+l.Scope+" cannot have it")
	case l.Action == "downgrade" && l.Scope == "model" && l.Value == l.Instead:
		at(&l.Instead, "downgrade_to", "", "it is the model that is limited")
	}
}

// LimitWarnings says what an entry does that one may not think of.
func (c *Config) LimitWarnings(l *Limit) (out []Problem) {
	warn := func(hint, what string) { out = append(out, Problem{What: what, Hint: hint}) }
	money := false
	for range l.Budgets {
		money = true
	}
	switch {
	case money && l.Action == "queue":
		warn("", "calls wait only while others hold money: where it is spent they are refused, since only the next period brings some")
	case money && (l.Scope == "session" || l.Scope == "user"):
		warn("", "the "+l.Scope+" is what the client says it is: who names another one has another budget")
	case l.Scope == "provider" && l.Value != "" && c.Provider(l.Value) == nil:
		warn("see weir providers list", "there is no provider "+strconv.Quote(clip(l.Value)))
	case l.Scope == "target" && l.Value != "" && !strings.Contains(l.Value, "/"):
		warn("write provider/model", strconv.Quote(clip(l.Value))+" is no target")
	}
	if c.Auth == AuthOff && (l.Scope == "key" || l.Scope == "project") {
		warn("with auth: keys callers have keys and projects", "with auth: off no call has a "+l.Scope+": it bounds nothing")
	}
	return out
}
