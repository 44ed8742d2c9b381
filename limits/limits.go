// Package limits decides whether a call may go on: one atomic decision over
// all limits that are its caller's, a reservation of what it may use, and one
// settlement to what it used.
//
// A Limiter keeps the counts: Memory for one process, Redis for many. What was
// spent is in the ledger; a Limiter's sums of money are corrected by it.
package limits

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// A Scope is what a limit counts by: each value has a count of its own.
type Scope string

// The scopes. A call without a value for a scope is not bound by its limits.
// Those of a caller are counted within the caller's project: the customers of
// two projects are two, though they have one name.
const (
	Project  Scope = "project"
	Key      Scope = "key"
	Customer Scope = "customer"
	Feature  Scope = "feature"
	User     Scope = "user"
	Session  Scope = "session"
	Tag      Scope = "tag"

	Global   Scope = "global" // all calls together
	Model    Scope = "model"  // the name that the client asked for
	Provider Scope = "provider"
	Target   Scope = "target" // provider/model
)

// Shared reports whether a scope's counts are those of the whole deployment,
// which are decided on for each attempt, and not of one project.
func (s Scope) Shared() bool {
	switch s {
	case Global, Model, Provider, Target:
		return true
	}
	return false
}

// A Dimension is what a limit counts.
type Dimension uint8

// The dimensions.
const (
	Requests Dimension = iota
	Tokens             // input and output, cached ones too
	InputTokens
	OutputTokens
	Concurrent // calls under way
	USD        // billionths of a dollar, in a period of the calendar: a budget
	NumDimensions
)

var dimensionNames = [NumDimensions]string{"requests", "tokens", "input_tokens", "output_tokens", "concurrent", "usd"}

// String returns the dimension's name as configurations write it.
func (d Dimension) String() string { return dimensionNames[d] }

// An Action is what a limit that is reached does.
type Action string

// The actions.
const (
	Block     Action = "block"
	Queue     Action = "queue"     // let the call wait for room, up to Limit.Patience
	Downgrade Action = "downgrade" // let the call go on with another model, Limit.Instead
	Warn      Action = "warn"      // let the call go on, and say so in the log
	Shadow    Action = "shadow"    // let the call go on, and count that it would have been refused
)

// MaxAmount bounds a limit's amount and burst: what lies above is a mistake.
// MaxUSD does so for money; such sums are exact in the numbers of a Redis script.
const (
	MaxAmount = 1_000_000_000_000_000
	MaxUSD    = 9_000_000 * Dollar
	Dollar    = 1_000_000_000
)

// An OnFailure says what a limit does while the store of the counts fails.
type OnFailure string

// The policies of a store's failure.
const (
	Local  OnFailure = "local"  // count in this process: a rate by its share of the replicas, money by Limit.Exposure
	Open   OnFailure = "open"   // let calls go on
	Closed OnFailure = "closed" // refuse them
)

// A Limit is a ceiling for every value of one scope. It is read-only once it
// is in use.
type Limit struct {
	Scope     Scope
	Tag       string // the tag's name, for scope Tag
	Value     string // the one value that it is for; "": each value
	Dimension Dimension
	Amount    int64          // 1 to MaxAmount, of USD to MaxUSD
	Window    time.Duration  // that Amount is for; 0 for Concurrent and USD
	Period    Period         // that Amount is for, of USD
	Zone      *time.Location // that the period begins in; nil: UTC
	Burst     int64          // how much may come at once; 0: as much as Amount; not for Concurrent and USD
	Action    Action         // "": Block
	Patience  time.Duration  // of Queue
	Instead   string         // the model of Downgrade
	Strict    bool           // hold the most that a call may use, not what it is expected to
	Ceiling   int64          // of USD: what an attempt of unknown cost counts; 0: calls of unknown price are refused
	Soft      []int          // percents of Amount that are told when they are passed, ascending
	OnFailure OnFailure      // "": Local
	Exposure  int64          // of USD: what this process may let through on top of what is known, while the store fails

	whole *Limit // of a part of a limit: the limit
}

// Name identifies a limit's counts among the others, whatever its amount:
// "key requests_per_minute", "tag:team tokens_per_day shadow".
func (l *Limit) Name() string {
	scope := string(l.Scope)
	if l.Scope == Tag {
		scope += ":" + l.Tag
	}
	name := scope + " " + l.Measure()
	if l.Dimension == USD && l.Zone != nil && l.Zone != time.UTC {
		name += " " + l.Zone.String()
	}
	if l.Action != Block && l.Action != "" {
		name += " " + string(l.Action)
	}
	return name
}

// Measure is the dimension with its window: "requests_per_minute", "usd_per_month".
func (l *Limit) Measure() string {
	switch l.Dimension {
	case Concurrent:
		return l.Dimension.String()
	case USD:
		return l.Dimension.String() + "_per_" + string(l.Period)
	}
	return l.Dimension.String() + "_per_" + WindowName(l.Window)
}

// WindowName is the word for a window: minute, hour, day, or its duration.
func WindowName(d time.Duration) string {
	switch d {
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	case 24 * time.Hour:
		return "day"
	}
	return d.String()
}

// Blocks reports whether a call is refused where the limit is reached, be it
// at once or after a while.
func (l *Limit) Blocks() bool { return l.Action == Block || l.Action == "" || l.Action == Queue }

// leaves reports whether a call that the limit lets pass over it is left out
// of its count, so that the count is the one of a limit that blocks. Money is
// always counted: it was spent.
func (l *Limit) leaves() bool { return !l.Blocks() && l.Dimension != USD }

// burst is how much may come at once.
func (l *Limit) burst() int64 {
	if l.Burst > 0 {
		return l.Burst
	}
	return l.Amount
}

// long is the time in which n units flow off, rounded up, so that no rounding
// lets more through. What is beyond 292 years is that.
func (l *Limit) long(n int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(l.Window))
	lo, carry := bits.Add64(lo, uint64(l.Amount)-1, 0)
	hi += carry
	if hi >= uint64(l.Amount) {
		return math.MaxInt64 / 4
	}
	q, _ := bits.Div64(hi, lo, uint64(l.Amount))
	return int64(min(q, math.MaxInt64/4))
}

// units is how much flows off in a time, rounded down.
func (l *Limit) units(d int64) int64 {
	if d <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(d), uint64(l.Amount))
	if hi >= uint64(l.Window) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(l.Window))
	return int64(min(q, math.MaxInt64))
}

// A Demand is what a call asks for. Its slices may be used again afterwards.
type Demand struct {
	Project string // whose the values of the rules are; "": of calls without a key
	Rules   []Rule
	Use         // expected
	Most    Use // at most, for limits that are Strict
}

// A Use is what a call, or an attempt, uses. The zero Use is nothing.
type Use struct {
	Input, Output int64 // tokens
	USD           int64 // billionths of a dollar, rounded up
	Unpriced      int64 // attempts whose cost is not known; their cost is not in USD
}

// A Rule is a limit and the value that is counted: the key's id, the
// customer's name; "" for Global.
type Rule struct {
	Limit *Limit
	Name  string // Limit.Name(), made once
	Value string
}

// of is what a limit counts of a use: of a call's, and of all that a budget's
// period has seen. An attempt of unknown cost counts the limit's ceiling. What
// is beyond MaxUSD is that, so that no sum overflows.
func (l *Limit) of(u *Use) int64 {
	input, output := min(max(0, u.Input), MaxAmount), min(max(0, u.Output), MaxAmount)
	switch l.Dimension {
	case Tokens:
		return input + output
	case InputTokens:
		return input
	case OutputTokens:
		return output
	case USD:
		hi, lo := bits.Mul64(uint64(max(0, u.Unpriced)), uint64(l.Ceiling))
		if hi > 0 || lo > MaxUSD {
			return MaxUSD
		}
		return min(min(max(0, u.USD), MaxUSD)+int64(lo), MaxUSD)
	}
	return 1
}

// asked is what a limit holds for a demand.
func (l *Limit) asked(d *Demand) int64 {
	if l.Strict {
		return l.of(&d.Most)
	}
	return l.of(&d.Use)
}

// unpriced reports whether a limit in money cannot tell what a demand costs.
func (l *Limit) unpriced(d *Demand) bool {
	return l.Dimension == USD && d.Unpriced > 0 && l.Ceiling == 0
}

// A Standing is how a limit stands for a value.
type Standing struct {
	Limit     *Limit
	Project   string // whose the value is; "" for scopes that are Shared
	Value     string
	Since     time.Time     // the begin of the period, of USD; else zero
	Used      int64         // of the burst, reservations included; above it: in debt
	Reserved  int64         // the part of Used that calls under way hold
	Remaining int64         // at least 0
	Reset     time.Duration // until nothing is used any more, if nothing comes
}

// A Decision is the answer to a Demand.
type Decision struct {
	// Refused is the tightest limit that refuses the call; nil: it may go on.
	Refused *Limit
	Value   string        // whose limit it is
	Used    int64         // of it
	Asked   int64         // by the call
	Wait    time.Duration // until there is room again, as far as is known
	Why     Why           // of the refusal

	Over *Limit // a limit that does not block and would have refused, Downgrade before Warn before Shadow; nil: none
	Hold Hold   // of what was reserved; zero where the call is refused

	// Tightest are the limits with the least left, by Dimension, for the
	// client's headers. A nil Limit in them: none matched.
	Tightest [NumDimensions]Standing
}

// A Why tells refusals apart.
type Why uint8

// The reasons of a refusal.
const (
	Reached  Why = iota // the limit is reached
	Spent               // of USD: it is reached, and only the next period frees it
	Unpriced            // of USD: what the call costs is not known, and the limit has no ceiling for that
	Failing             // the store of the counts fails, and the limit is Closed then
)

// Reason says what is reached, for the client.
func (d *Decision) Reason() string {
	l := d.Refused
	of := " of this " + string(l.Scope)
	switch l.Scope {
	case Global:
		of = " of this Weir"
	case Tag:
		of = " of this value of the tag " + l.Tag
	}
	wait := d.Wait.Round(time.Millisecond).String()
	switch {
	case d.Why == Unpriced:
		return "The price of this call is not known, and the budget" + of + " (" + l.Measure() + ") admits only calls whose price is known. " +
			"Who runs this Weir can tell it the price (docs/prices.md), or what such a call counts (unpriced: of the budget)."
	case d.Why == Failing:
		return "What is left of the limit" + of + " on " + l.Measure() + " is not known at the moment. Try again in " + wait + "."
	case l.Dimension == Concurrent:
		return "Limit reached" + of + ": " + count(l.Amount) + " calls at once. Try again when one of them has ended."
	case l.Dimension == USD:
		return "Budget reached" + of + " on " + l.Measure() + ": limit $" + Dollars(l.Amount) + ", used $" + Dollars(d.Used) +
			", this call may cost $" + Dollars(d.Asked) + ". It frees in " + wait + "."
	}
	return "Limit reached" + of + " on " + l.Measure() + ": limit " + count(l.Amount) + ", used " + count(d.Used) +
		", requested " + count(d.Asked) + ". Try again in " + wait + "."
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

// Dollars writes billionths of a dollar as dollars: "0.25".
func Dollars(nano int64) string {
	sign := ""
	if nano < 0 {
		sign, nano = "-", -nano
	}
	text := sign + strconv.FormatInt(nano/Dollar, 10)
	if rest := nano % Dollar; rest != 0 {
		digits := strconv.FormatInt(Dollar+rest, 10)[1:]
		text += "." + strings.TrimRight(digits, "0")
	}
	return text
}

// A Crossing is a soft threshold that was passed.
type Crossing struct {
	Limit   *Limit
	Project string
	Value   string
	Since   time.Time // the begin of the period of USD, or of the window of a rate
	Percent int       // the highest one that was passed
	Used    int64
}

// Crossed is the highest soft threshold that a change of the used amount
// passed; 0: none.
func (l *Limit) Crossed(before, after int64) (percent int) {
	for _, p := range l.Soft {
		hi, lo := bits.Mul64(uint64(l.Amount), uint64(p))
		mark, _ := bits.Div64(hi, lo, 100)
		if before < int64(mark) && after >= int64(mark) {
			percent = p
		}
	}
	return percent
}
