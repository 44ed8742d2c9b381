package alerts

import (
	"math"
	"math/bits"
	"time"
)

// A BudgetForecast says when a budget is used up, at a steady rate.
type BudgetForecast struct {
	Exhausted time.Time `json:"exhausted_at,omitzero"` // zero: not before the period ends
	AtEnd     string    `json:"usd_at_end"`            // what will be used then, at that rate
	PerDay    string    `json:"usd_per_day"`           // the rate
	Basis     string    `json:"basis"`                 // whose rate: "this period so far", "the last 7 days"
}

// A Lately is a stretch of time up to now, and what was spent in it.
type Lately struct {
	Span  time.Duration
	Spent int64 // billionths of a dollar

	name   string
	factor int64 // its rate counts where it is above so many times the one before
}

// Windows are the stretches that the forecast of a budget looks at, beside its
// period so far, with nothing spent yet. They may begin before the period does.
func Windows(period string) []Lately {
	const day = 24 * time.Hour
	hour := Lately{Span: time.Hour, name: "the last hour", factor: 4}
	switch period {
	case "day":
		return []Lately{{Span: 6 * time.Hour, name: "the last 6 hours", factor: 1}, hour}
	case "week":
		return []Lately{{Span: 2 * day, name: "the last 2 days", factor: 1}, {Span: 6 * time.Hour, name: "the last 6 hours", factor: 2}, hour}
	}
	return []Lately{{Span: 7 * day, name: "the last 7 days", factor: 1}, {Span: day, name: "the last 24 hours", factor: 2}, hour}
}

// Foresee forecasts a budget's end, by the higher rate of its period so far and
// of the longest window. A surge counts too: a shorter window whose rate is
// above twice that, or four times for the last hour. It returns nil where
// nothing can be said.
func Foresee(e *Event, windows []Lately, now time.Time) *BudgetForecast {
	amount, used := e.Budget()
	l := e.Limit
	if amount == 0 || used <= 0 || used >= amount || !l.Since.Before(now) || !now.Before(l.Until) {
		return nil
	}
	rate := Lately{Span: max(now.Sub(l.Since), time.Second), Spent: used, name: "this period so far"}
	for _, w := range windows {
		if scale(w.Spent, int64(time.Second), int64(w.Span))/w.factor > scale(rate.Spent, int64(time.Second), int64(rate.Span)) {
			rate = w
		}
	}
	spent, span := rate.Spent, int64(rate.Span)
	f := &BudgetForecast{Basis: rate.name, PerDay: Dollars(roundCents(scale(spent, int64(24*time.Hour), span)))}
	left := l.Until.Sub(now)
	f.AtEnd = Dollars(roundCents(add(used, scale(spent, int64(left), span))))
	if wait := scale(amount-used, span, spent); wait < int64(left) {
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

// roundCents rounds to cents, and what is less to two digits: a forecast knows
// no more.
func roundCents(nano int64) int64 {
	unit := int64(nanos / 100)
	for unit > 1 && nano < 10*unit {
		unit /= 10
	}
	if nano > math.MaxInt64-unit {
		return nano
	}
	return (nano + unit/2) / unit * unit
}
