package config

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Limit is one entry of limits: ceilings for each value of one scope.
type Limit struct {
	Scope  string // a name of limitScopes
	Tag    string // the tag's name, for scope tag
	Rates  [len(rates)]int64
	Slots  int64  // calls at once; 0: no limit
	Burst  int64  // of the one rate; 0: the rate's own amount
	Action string // block, warn, shadow
}

// A Rate is one dimension of a Limit in a window.
type Rate struct {
	Dimension string // requests, tokens, input_tokens, output_tokens
	Window    time.Duration
}

// rates are the dimensions in the order of Limit.Rates.
var rates = [...]Rate{
	{"requests", time.Minute},
	{"requests", time.Hour},
	{"requests", 24 * time.Hour},
	{"tokens", time.Minute},
	{"tokens", time.Hour},
	{"tokens", 24 * time.Hour},
	{"input_tokens", time.Minute},
	{"input_tokens", time.Hour},
	{"input_tokens", 24 * time.Hour},
	{"output_tokens", time.Minute},
	{"output_tokens", time.Hour},
	{"output_tokens", 24 * time.Hour},
}

func (r Rate) key() string {
	return r.Dimension + map[time.Duration]string{time.Minute: "_per_minute", time.Hour: "_per_hour", 24 * time.Hour: "_per_day"}[r.Window]
}

// All calls yield with every rate that is set and its amount.
func (l *Limit) All(yield func(Rate, int64) bool) {
	for i, n := range l.Rates {
		if n > 0 && !yield(rates[i], n) {
			return
		}
	}
}

var (
	limitScopes  = []string{"global", "project", "key", "customer", "feature", "user", "session", "tag", "model", "provider", "target"}
	limitActions = []string{"block", "warn", "shadow"}
)

// maxCount is what limits.MaxAmount is.
const maxCount = 1_000_000_000_000_000

var count = word("a number", `\d+(\.\d+)? ?[kKMGB]?`, []any{schema{"type": "integer", "minimum": 1}}, parseCount, func(v int64) any { return v })

// parseCount reads 600, 50k, 1M and 1.5M: more than 0, and whole.
func parseCount(s string) (int64, error) {
	bad := fmt.Errorf("want a whole number from 1 to %d, like 600, 50k or 1M, got %q", int64(maxCount), clip(s))
	digits, power := s, int64(1)
	if i := strings.IndexAny(s, "kKMGB"); i >= 0 && i == len(s)-1 {
		digits = strings.TrimRight(s[:i], " ")
		power = map[byte]int64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'G': 1e9, 'B': 1e9}[s[i]]
	}
	if digits == "" || len(digits) > 24 || strings.Trim(digits, "0123456789.") != "" {
		return 0, bad
	}
	v, ok := new(big.Rat).SetString(digits)
	if !ok {
		return 0, bad
	}
	v.Mul(v, new(big.Rat).SetInt64(power))
	if !v.IsInt() || v.Sign() <= 0 || v.Cmp(new(big.Rat).SetInt64(maxCount)) > 0 {
		return 0, bad
	}
	return v.Num().Int64(), nil
}

// chosen is one of the words of this version; those of later ones are refused by name.
func chosen(now, later []string) shape[string] {
	return word("one of "+strings.Join(now, ", "), strings.Join(now, "|"), nil, func(s string) (string, error) {
		switch {
		case slices.Contains(now, s):
			return s, nil
		case slices.Contains(later, s):
			return "", fmt.Errorf("%s: not in this version", s)
		}
		return "", fmt.Errorf("want one of %s, got %q%s", strings.Join(now, ", "), clip(s), meant(s, now))
	}, func(s string) any { return s })
}

var limitShape = object(limitProperties()...)

func limitProperties() []property[Limit] {
	all := []property[Limit]{
		key("scope", "What is counted apart: "+strings.Join(limitScopes, ", ")+".", chosen(limitScopes, nil), func(l *Limit) *string { return &l.Scope }),
		key("tag", "For scope tag: the name of the tag.", text, func(l *Limit) *string { return &l.Tag }),
		key("concurrent", "Calls at once.", count, func(l *Limit) *int64 { return &l.Slots }),
		key("burst", "How much of the entry's one rate may come at once. Default: its amount.", count, func(l *Limit) *int64 { return &l.Burst }),
		key("action", "What happens when it is reached: block (a 429), warn (the call goes on, the log says so), shadow (it is only counted). Default block.", chosen(limitActions, []string{"queue", "downgrade"}), func(l *Limit) *string { return &l.Action }),
	}
	for i, r := range rates {
		doc := strings.ToUpper(r.Dimension[:1]) + strings.ReplaceAll(r.key()[1:], "_", " ") + "."
		all = append(all, key(r.key(), doc, count, func(l *Limit) *int64 { return &l.Rates[i] }))
	}
	for _, later := range []string{"usd_per_day", "usd_per_week", "usd_per_month", "zone", "soft", "on_store_failure"} {
		all = append(all, absent[Limit](later))
	}
	return all
}

// validateLimits checks what one value alone cannot show.
func (c *Config) validateLimits(d *decoder) {
	seen := map[string]int{}
	for i := range c.Limits {
		l := &c.Limits[i]
		where := "limits[" + strconv.Itoa(i) + "]"
		if l.Action == "" {
			l.Action = "block"
		}
		switch {
		case l.Scope == "":
			if _, said := d.lines[&l.Scope]; !said {
				d.at(l, "scopes: "+strings.Join(limitScopes, ", "), "%s: scope is missing", where)
			}
			continue
		case l.Scope == "tag" && l.Tag == "":
			d.at(l, "write tag: NAME", "%s: scope tag needs the name of the tag", where)
		case l.Scope != "tag" && l.Tag != "":
			d.at(&l.Tag, "", "%s.tag: it is for scope tag", where)
		}
		names := c.limitNames(d, where, l)
		for _, name := range names {
			full := l.Scope + " " + l.Tag + " " + name
			if before, twice := seen[full]; twice {
				d.at(l, "one ceiling for each scope and dimension", "%s: %s %s is limited in line %d already", where, l.Scope, name, before)
			}
			seen[full] = d.lines[l]
		}
	}
	if len(c.Limits) > 0 && c.countLimits() > maxLimits {
		d.at(&c.Limits, "", "limits: %d ceilings: want at most %d", c.countLimits(), maxLimits)
	}
}

// maxLimits is how many ceilings one call can have.
const maxLimits = 32

func (c *Config) countLimits() (n int) {
	for i := range c.Limits {
		for range c.Limits[i].All {
			n++
		}
		n += int(min(c.Limits[i].Slots, 1))
	}
	return n
}

// limitNames are the dimensions that an entry limits.
func (c *Config) limitNames(d *decoder, where string, l *Limit) (names []string) {
	for r := range l.All {
		names = append(names, r.key())
	}
	n := len(names)
	if l.Slots > 0 {
		names = append(names, "concurrent")
	}
	if len(names) == 0 && len(d.problems) == 0 {
		d.at(l, "requests_per_minute, tokens_per_minute, concurrent and the like", "%s: it limits nothing", where)
	}
	if l.Burst > 0 && n != 1 {
		d.at(&l.Burst, "give each rate an entry of its own", "%s.burst: it belongs to one rate, and the entry has %d", where, n)
	}
	return names
}
