package alerts

import (
	"math"
	"math/bits"
	"time"
)

// A BudgetForecast says when a budget is used up, at a steady rate: the higher one of
// this period's so far and the last days'.
type BudgetForecast struct {
	Exhausted time.Time `json:"exhausted_at,omitzero"` // zero: not before the period ends
	AtEnd     string    `json:"usd_at_end"`            // what will be used then, at that rate
	PerDay    string    `json:"usd_per_day"`           // the rate
	Basis     Basis     `json:"basis"`                 // whose rate
}

// A Basis says whose rate a forecast goes by.
type Basis string

// The bases.
const (
	ThisPeriod Basis = "this period so far"
	LastDays   Basis = "the last 7 days"
	LastTwo    Basis = "the last 2 days"
	LastHours  Basis = "the last 6 hours"
)

// Recent is how far back the rate of the last days goes, for a period: 6
// hours for a day, 2 days for a week, 7 for a month. It may begin before the
// period does.
func Recent(period string) (time.Duration, Basis) {
	const day = 24 * time.Hour
	switch period {
	case "day":
		return 6 * time.Hour, LastHours
	case "week":
		return 2 * day, LastTwo
	}
	return 7 * day, LastDays
}

// Foresee forecasts a budget's end. recent is what was spent in the time that
// Recent says, in billionths of a dollar; 0 where it is not known. It returns
// nil where nothing can be said.
func Foresee(e *Event, recent int64, now time.Time) *BudgetForecast {
	amount, used := e.Budget()
	l := e.Limit
	if amount == 0 || used <= 0 || used >= amount || !l.Since.Before(now) || !now.Before(l.Until) {
		return nil
	}
	spent, span, basis := used, max(now.Sub(l.Since), time.Second), ThisPeriod
	if back, named := Recent(l.Period); scale(recent, int64(time.Second), int64(back)) > scale(used, int64(time.Second), int64(span)) {
		spent, span, basis = recent, back, named
	}
	f := &BudgetForecast{Basis: basis, PerDay: Dollars(roundCents(scale(spent, int64(24*time.Hour), int64(span))))}
	left := l.Until.Sub(now)
	f.AtEnd = Dollars(roundCents(add(used, scale(spent, int64(left), int64(span)))))
	if wait := scale(amount-used, int64(span), spent); wait < int64(left) {
		f.Exhausted = now.Add(time.Duration(wait)).Truncate(time.Minute).UTC()
	}
	return f
}

// scale is a×b/c of numbers that are not negative, rounded down; what is
// beyond an int64 is its largest.
func scale(a, b, c int64) int64 {
	if a <= 0 || b <= 0 || c <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, math.MaxInt64))
}

func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// roundCents rounds what is a cent or more to cents: a forecast knows no more.
func roundCents(nano int64) int64 {
	const cent = nanos / 100
	if nano < cent || nano > math.MaxInt64-cent {
		return nano
	}
	return (nano + cent/2) / cent * cent
}
