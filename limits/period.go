package limits

import "time"

// A Period is a stretch of the calendar that a budget is for.
type Period string

// The periods. A week begins on Monday.
const (
	Day   Period = "day"
	Week  Period = "week"
	Month Period = "month"
)

// Span returns the period that t is in, as [since, until), in the limit's zone.
func (l *Limit) Span(t time.Time) (since, until time.Time) {
	zone := l.Zone
	if zone == nil {
		zone = time.UTC
	}
	t = t.In(zone)
	year, month, day := t.Date()
	at := func(year int, month time.Month, day int) time.Time { return midnight(year, month, day, zone) }
	switch l.Period {
	case Week:
		day -= (int(t.Weekday()) + 6) % 7
		return at(year, month, day), at(year, month, day+7)
	case Month:
		return at(year, month, 1), at(year, month+1, 1)
	}
	return at(year, month, day), at(year, month, day+1)
}

// midnight is the first moment of a date. Where a change of the clocks leaves
// out midnight, the date begins when the clocks go on.
func midnight(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	want := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Day()
	if t.Day() != want { // an hour before it, as time.Date has it in some zones
		_, end := t.ZoneBounds()
		return end
	}
	if start, _ := t.ZoneBounds(); t.Hour() != 0 && !start.IsZero() {
		return start
	}
	if first := t.Add(-time.Hour); first.Day() == want { // the clocks go back over midnight
		return first
	}
	return t
}
