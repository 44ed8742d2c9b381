// Package limits decides whether a call may go on: one atomic decision over
// all limits that are its caller's, a reservation of what it may use, and one
// settlement to what it used.
package limits

import (
	"math"
	"math/bits"
	"strconv"
	"time"
)

// A Scope is what a limit counts by: each value has a count of its own.
type Scope string

// The scopes. A call without a value for a scope is not bound by its limits.
const (
	Global   Scope = "global" // all calls together
	Project  Scope = "project"
	Key      Scope = "key"
	Customer Scope = "customer"
	Feature  Scope = "feature"
	User     Scope = "user"
	Session  Scope = "session"
	Tag      Scope = "tag"
	Model    Scope = "model" // the name that the client asked for
	Provider Scope = "provider"
	Target   Scope = "target" // provider/model
)

// A Dimension is what a limit counts.
type Dimension uint8

// The dimensions.
const (
	Requests Dimension = iota
	Tokens             // input and output, cached ones too
	InputTokens
	OutputTokens
	Concurrent // calls under way
	numDimensions
)

var dimensionNames = [numDimensions]string{"requests", "tokens", "input_tokens", "output_tokens", "concurrent"}

// String returns the dimension's name as configurations write it.
func (d Dimension) String() string { return dimensionNames[d] }

// An Action is what a limit that is reached does.
type Action string

// The actions.
const (
	Block  Action = "block"
	Warn   Action = "warn"   // let the call go on, and say so in the log
	Shadow Action = "shadow" // let the call go on, and count that it would have been refused
)

// MaxAmount bounds a limit's amount and burst: what lies above is a mistake.
const MaxAmount = 1_000_000_000_000_000

// A Limit is a ceiling for every value of one scope. It is read-only once it
// is in use.
type Limit struct {
	Scope     Scope
	Tag       string // the tag's name, for scope Tag
	Dimension Dimension
	Amount    int64         // 1 to MaxAmount
	Window    time.Duration // that Amount is for; 0 for Concurrent
	Burst     int64         // how much may come at once; 0: as much as Amount
	Action    Action        // "": Block
}

// Name identifies a limit among the others, whatever its amount:
// "key requests_per_minute", "tag:team tokens_per_day".
func (l *Limit) Name() string {
	scope := string(l.Scope)
	if l.Scope == Tag {
		scope += ":" + l.Tag
	}
	return scope + " " + l.Measure()
}

// Measure is the dimension with its window: "requests_per_minute".
func (l *Limit) Measure() string {
	if l.Dimension == Concurrent {
		return l.Dimension.String()
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

// blocks reports whether a call is refused where the limit is reached.
func (l *Limit) blocks() bool { return l.Action == Block || l.Action == "" }

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
	Rules  []Rule
	Input  int64 // estimated tokens
	Output int64
}

// A Rule is a limit and the value that is counted: the key's id, the
// customer's name; "" for Global.
type Rule struct {
	Limit *Limit
	Name  string // Limit.Name(), made once
	Value string
}

// An Actual is what a call used. The zero Actual is a call that used nothing.
type Actual struct{ Input, Output int64 }

// of is the part of some tokens that a dimension counts.
func (d Dimension) of(input, output int64) int64 {
	input, output = min(max(0, input), MaxAmount), min(max(0, output), MaxAmount)
	switch d {
	case Tokens:
		return input + output
	case InputTokens:
		return input
	case OutputTokens:
		return output
	}
	return 1
}

// A Standing is how a limit stands for a value.
type Standing struct {
	Limit     *Limit
	Value     string
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

	Over *Limit // a limit of Warn or Shadow that would have refused; nil: none
	Hold Hold   // of what was reserved; zero where the call is refused

	// Requests and the others are the tightest limits that matched, for the
	// client's headers. A nil Limit in them: none did.
	Tightest [numDimensions]Standing
}

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
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	if l.Dimension == Concurrent {
		return "Limit reached" + of + ": " + n(l.Amount) + " calls at once. Try again when one of them has ended."
	}
	wait := d.Wait.Round(time.Millisecond).String()
	return "Limit reached" + of + " on " + l.Measure() + ": limit " + n(l.Amount) + ", used " + n(d.Used) +
		", requested " + n(d.Asked) + ". Try again in " + wait + "."
}
