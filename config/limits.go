package config

import (
	"fmt"
	"maps"
	"math/big"
	"strconv"
	"strings"
	"time"

	"weir/costs"
)

// A Limit is one entry of limits: ceilings for each value of one scope. Money
// is in billionths of a dollar.
type Limit struct {
	Scope     string // a name of limitScopes
	Tag       string // the tag's name, for scope tag
	Value     string // the one value that it is for; "": each
	Rates     [len(rates)]int64
	Slots     int64               // calls at once; 0: no limit
	USD       [len(periods)]int64 // budgets; 0: no limit
	Zone      *time.Location      // of the budgets' periods; nil: UTC
	Burst     int64               // of the one rate; 0: the rate's own amount
	Action    string              // block, queue, downgrade, warn, shadow
	Patience  time.Duration       // of queue
	Instead   string              // the model of downgrade
	Strict    bool                // hold the most that a call may use
	Unpriced  int64               // what an attempt of unknown price counts in the budgets; 0: it is refused
	Soft      []int               // percents that are told when they are passed; nil: of budgets 50, 80, 100
	OnFailure string              // local, open, closed; "": local
	Exposure  int64               // what a process lets through of a budget while the store of the counts fails; 0: a default
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

// periods are those of Limit.USD, in order.
var periods = [...]string{"day", "week", "month"}

// Budgets calls yield with every period that has a budget and its amount.
func (l *Limit) Budgets(yield func(period string, nano int64) bool) {
	for i, n := range l.USD {
		if n > 0 && !yield(periods[i], n) {
			return
		}
	}
}

var (
	limitScopes   = []string{"global", "project", "key", "customer", "feature", "user", "session", "tag", "model", "provider", "target"}
	limitActions  = []string{"block", "queue", "downgrade", "warn", "shadow"}
	limitFailures = []string{"local", "open", "closed"}
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

// The scale of budgets.
const (
	dollar = 1_000_000_000
	maxUSD = 9_000_000 * dollar // what limits.MaxUSD is
)

var budget = word("an amount of dollars", `\$?\d+(\.\d+)?`, []any{schema{"type": "number", "exclusiveMinimum": 0, "maximum": 9_000_000}}, parseBudget, showBudget)

// parseBudget reads $25 and $0.50: more than 0, and whole billionths.
func parseBudget(s string) (int64, error) {
	bad := fmt.Errorf("want dollars like $25 or $0.50, more than 0 and at most $9000000, got %q", clip(s))
	if strings.Trim(s, "$.0123456789") != "" {
		return 0, bad
	}
	m, err := costs.ParseUSD(s)
	if err != nil {
		return 0, bad
	}
	nano, atto := m.Parts()
	if m.Sign() <= 0 || nano > maxUSD || nano == maxUSD && atto > 0 {
		return 0, bad
	}
	if atto != 0 {
		return 0, fmt.Errorf("want dollars of at most 9 decimals, got %q", clip(s))
	}
	return nano, nil
}

func showBudget(nano int64) any {
	if nano == 0 {
		return ""
	}
	return "$" + costs.MoneyOf(nano, 0).String()
}

var zone = word("a time zone", `[A-Za-z0-9_+/-]+`, nil, parseZone, func(z *time.Location) any {
	if z == nil {
		return ""
	}
	return z.String()
})

// parseZone reads an IANA name. The zone of the machine is none: two machines
// that share a budget would have two.
func parseZone(s string) (*time.Location, error) {
	z, err := time.LoadLocation(s)
	if err != nil || s == "Local" {
		return nil, fmt.Errorf("want a time zone like UTC or Europe/Berlin, got %q", clip(s))
	}
	return z, nil
}

var percent = word("a percentage", `\d{1,3} ?%?`, []any{schema{"type": "integer", "minimum": 1, "maximum": 100}}, func(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(s, "%")))
	if err != nil || n < 1 || n > 100 || s[0] == '+' {
		return 0, fmt.Errorf("want 1%% to 100%%, got %q", clip(s))
	}
	return n, nil
}, func(n int) any { return strconv.Itoa(n) + "%" })

// limitShape shows only what was written: an entry has many keys, and few of
// them.
var limitShape = func() shape[Limit] {
	s := object(limitProperties()...)
	show := s.show
	s.show = func(l Limit) any {
		all := show(l).(map[string]any)
		maps.DeleteFunc(all, func(name string, v any) bool {
			return name == "soft" && l.Soft == nil || v == "" || v == "0s" || v == int64(0) || v == "off"
		})
		return all
	}
	return s
}()

func limitProperties() []property[Limit] {
	all := []property[Limit]{
		key("scope", "What is counted apart: "+strings.Join(limitScopes, ", ")+".", chosen(limitScopes...), func(l *Limit) *string { return &l.Scope }),
		key("tag", "For scope tag: the name of the tag.", text, func(l *Limit) *string { return &l.Tag }),
		key("value", "The one value that it is for: a key's id or name, a customer … For that it takes the place of the entry without a value. Default: each value.", text, func(l *Limit) *string { return &l.Value }),
		key("concurrent", "Calls at once.", count, func(l *Limit) *int64 { return &l.Slots }),
		key("burst", "How much of the entry's one rate may come at once. Default: its amount.", count, func(l *Limit) *int64 { return &l.Burst }),
		key("action", "What happens when it is reached: block (a 429), queue (the call waits, see queue), downgrade (to the model downgrade_to), warn (the call goes on, the log says so), shadow (it is only counted). Default block.",
			chosen(limitActions...), func(l *Limit) *string { return &l.Action }),
		key("queue", "For action queue: how long a call waits for room. Default 10s.", duration, func(l *Limit) *time.Duration { return &l.Patience }),
		key("downgrade_to", "For action downgrade: the model that the call goes on with.", text, func(l *Limit) *string { return &l.Instead }),
		key("zone", "The time zone of the budgets' days, weeks and months, such as Europe/Berlin. Default UTC.", zone, func(l *Limit) **time.Location { return &l.Zone }),
		key("strict", "Of tokens and dollars: hold the most that a call may use, not what it is expected to. Default off.", onOff, func(l *Limit) *bool { return &l.Strict }),
		key("unpriced", "Of budgets: what an attempt whose price is not known counts. Default: such calls are refused.", budget, func(l *Limit) *int64 { return &l.Unpriced }),
		key("soft", "Percents that are told to alerts.webhooks when they are passed, ascending; [] is none. Default: of budgets 50%, 80%, 100%.", list(percent), func(l *Limit) *[]int { return &l.Soft }),
		key("on_store_failure", "While the store of the counts fails: local (each process counts its share), open (calls go on), closed (they are refused). Default local.",
			chosen(limitFailures...), func(l *Limit) *string { return &l.OnFailure }),
		key("exposure", "Of budgets, with on_store_failure local: what each process lets through on top of what is known while the store of the counts fails. Default: a hundredth of the budget, for all processes together.", budget, func(l *Limit) *int64 { return &l.Exposure }),
	}
	for i, r := range rates {
		doc := strings.ToUpper(r.Dimension[:1]) + strings.ReplaceAll(r.key()[1:], "_", " ") + "."
		all = append(all, key(r.key(), doc, count, func(l *Limit) *int64 { return &l.Rates[i] }))
	}
	for i, p := range periods {
		all = append(all, key("usd_per_"+p, "Dollars a calendar "+p+", such as $25: a budget.", budget, func(l *Limit) *int64 { return &l.USD[i] }))
	}
	return all
}
