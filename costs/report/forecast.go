package report

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"weir/costs"
)

// A DaySpend is what one day cost.
type DaySpend struct {
	Day  time.Time // its midnight, in the report's time zone
	Cost costs.Money
}

// A Forecast says where a month's costs will land. It is an estimate, made in
// floating point, and rounded to cents; what was spent is exact.
type Forecast struct {
	ToDate  costs.Money // spent this month, the day under way included
	P10     costs.Money
	P50     costs.Money
	P90     costs.Money
	Method  Method
	History int // whole days of history that it rests on
	// Error is the back-tested error of P50: the median, over Tests days of the
	// past, of |forecast - actual| / actual, for as many days ahead as the month
	// has left. It counts only where Tests > 0.
	Error float64
	Tests int
}

// A Method is how a forecast was made.
type Method string

// The methods.
const (
	NoForecast     Method = ""                // nothing is known to go by
	RunRate        Method = "run rate"        // the mean of the days so far; a wide band
	WeekdayMedians Method = "weekday medians" // of the last eight weeks, times the trend
)

// HistoryDays are how many days before today a forecast goes by.
const HistoryDays = 8 * 7

const (
	enoughDays  = 14   // of history, below which weekdays say nothing
	draws       = 2000 // of the bootstrap
	maxTrend    = 1.5  // a week over the one before: growth is damped
	runRateLow  = 0.5  // of the run rate's rest: P10
	runRateHigh = 2.0  // of the run rate's rest: P90
	maxTests    = 28   // days of the past that a method is tried on
	seed        = 0x77656972
)

// Land forecasts the month that now is in. days are whole days and the one
// under way, in any order; days without a row cost nothing, from the first row on.
func Land(days []DaySpend, now time.Time) (f Forecast) {
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())
	end := first.AddDate(0, 1, 0)
	today := midnight(now)
	s := newSeries(days, today)
	f = Forecast{ToDate: spent(days, first, end), History: len(s.cost)}
	left := s.calendar(today, end)
	if len(s.cost) == 0 && f.ToDate.IsZero() {
		return f
	}
	running := 0.0 // of the day under way
	for _, d := range days {
		if midnight(d.Day).Equal(today) {
			running += dollars(d.Cost)
		}
	}
	before := dollars(f.ToDate) - running
	defer f.clamp()
	if len(s.cost) < enoughDays {
		f.Method = RunRate
		f.runRate(s, now, left, before, running)
		return f
	}
	f.Method = WeekdayMedians
	f.weekdays(s, left, before, running)
	errors := s.backTest(len(left))
	if f.Tests = len(errors); f.Tests > 0 {
		f.Error = median(errors)
		f.widen(before, running, errors[(len(errors)-1)*8/10])
	}
	return f
}

// widen makes the band hold four fifths of the back-test's errors at the least:
// days of one week are wrong together, which drawing them singly does not show.
func (f *Forecast) widen(before, running, off float64) {
	rest := dollars(f.P50) - before
	low, high := money(before+max(rest*(1-off), running)), money(before+rest*(1+off))
	if low.Cmp(f.P10) < 0 {
		f.P10 = low
	}
	if high.Cmp(f.P90) > 0 {
		f.P90 = high
	}
}

// clamp keeps figures in cents from falling below what was spent in fact.
func (f *Forecast) clamp() {
	for _, p := range []*costs.Money{&f.P10, &f.P50, &f.P90} {
		if p.Cmp(f.ToDate) < 0 {
			*p = f.ToDate
		}
	}
}

func spent(days []DaySpend, from, until time.Time) (sum costs.Money) {
	for _, d := range days {
		if !d.Day.Before(from) && d.Day.Before(until) {
			sum = sum.Add(d.Cost)
		}
	}
	return sum
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

// A series is the whole days before today, without gaps, the oldest first.
type series struct {
	start time.Time
	cost  []float64
}

func newSeries(days []DaySpend, today time.Time) series {
	var s series
	for _, d := range days {
		if day := midnight(d.Day); day.Before(today) && (s.start.IsZero() || day.Before(s.start)) {
			s.start = day
		}
	}
	if s.start.IsZero() {
		return s
	}
	if oldest := today.AddDate(0, 0, -HistoryDays); s.start.Before(oldest) {
		s.start = oldest
	}
	index := map[time.Time]int{}
	for day := s.start; day.Before(today); day = day.AddDate(0, 0, 1) {
		index[day] = len(s.cost)
		s.cost = append(s.cost, 0)
	}
	for _, d := range days {
		if i, ok := index[midnight(d.Day)]; ok {
			s.cost[i] += dollars(d.Cost)
		}
	}
	return s
}

// calendar lists the weekdays from today to a month's end.
func (s series) calendar(today, end time.Time) (left []time.Weekday) {
	for day := today; day.Before(end); day = day.AddDate(0, 0, 1) {
		left = append(left, day.Weekday())
	}
	return left
}

// runRate goes by the mean of all days, the part of today that is over among
// them. Its band is wide on purpose: a few days say little.
func (f *Forecast) runRate(s series, now time.Time, left []time.Weekday, before, running float64) {
	total, length := running, now.Sub(midnight(now)).Hours()/24
	for _, c := range s.cost {
		total, length = total+c, length+1
	}
	if length < 1.0/24 {
		length = 1.0 / 24
	}
	rest := total / length * float64(len(left))
	low := before + max(running, rest*runRateLow)
	f.P10, f.P50, f.P90 = money(low), money(before+max(running, rest)), money(before+max(running, rest*runRateHigh))
}

// weekdays sums the medians of the days that are left, times the trend, and
// draws the days' deviations from their own past for the band.
func (f *Forecast) weekdays(s series, left []time.Weekday, before, running float64) {
	m := s.model()
	rng := rand.New(rand.NewPCG(seed, uint64(len(s.cost))))
	totals := make([]float64, draws)
	for i := range totals {
		for n, day := range left {
			spend := max(m.day(day, n)+m.residuals[rng.IntN(len(m.residuals))]*m.scale(n), 0)
			if n == 0 { // today has at least what it has already
				spend = max(spend, running)
			}
			totals[i] += spend
		}
	}
	slices.Sort(totals)
	at := func(q float64) costs.Money { return money(before + totals[int(q*float64(len(totals)-1))]) }
	f.P10, f.P50, f.P90 = at(0.10), at(0.50), at(0.90)
}

// A model is what a series says of the days to come.
type model struct {
	median    [7]float64 // of the last weeks, by weekday, on the last day's level
	growth    float64    // a day's factor
	residuals []float64  // of days against it, in dollars
}

// day is the spend of a weekday n days ahead.
func (m *model) day(d time.Weekday, n int) float64 { return m.median[d] * m.scale(n) }

// scale is the growth over n days; what lies far ahead grows no more.
func (m *model) scale(n int) float64 { return math.Pow(m.growth, float64(min(n, 14))) }

func (s series) model() model {
	var m model
	m.growth = s.growth()
	var by [7][]float64
	level := func(i int) float64 { return math.Pow(m.growth, float64(min(len(s.cost)-1-i, 28))) }
	for i, c := range s.cost {
		d := s.start.AddDate(0, 0, i).Weekday()
		by[d] = append(by[d], c*level(i))
	}
	for d, costs := range by {
		m.median[d] = median(costs)
	}
	for i, c := range s.cost {
		d := s.start.AddDate(0, 0, i).Weekday()
		m.residuals = append(m.residuals, c*level(i)-m.median[d])
	}
	return m
}

// growth is a day's factor by the last two weeks against the two before, both
// by their medians, so that one wild day makes no trend.
func (s series) growth() float64 {
	n := len(s.cost)
	if n < 28 {
		return 1
	}
	now, before := median(s.cost[n-14:]), median(s.cost[n-28:n-14])
	if now <= 0 || before <= 0 {
		return 1
	}
	fortnight := min(max(now/before, 1/(maxTrend*maxTrend)), maxTrend*maxTrend)
	return math.Pow(fortnight, 1.0/14)
}

// backTest forecasts sums of so many days from days of the past, and returns
// how far off, as parts of the actual sums, the smallest first.
func (s series) backTest(ahead int) (errors []float64) {
	for cut := enoughDays; cut+ahead <= len(s.cost); cut++ {
		past := series{start: s.start, cost: s.cost[:cut]}
		m := past.model()
		var forecast, actual float64
		for n := range ahead {
			forecast += m.day(s.start.AddDate(0, 0, cut+n).Weekday(), n)
			actual += s.cost[cut+n]
		}
		if actual > 0 {
			errors = append(errors, math.Abs(forecast-actual)/actual)
		}
	}
	if len(errors) > maxTests {
		errors = errors[len(errors)-maxTests:]
	}
	slices.Sort(errors)
	return errors
}

// median returns the middle of the values, 0 where there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// dollars is an amount for estimates alone.
func dollars(m costs.Money) float64 {
	nano, atto := m.Parts()
	return float64(nano)/1e9 + float64(atto)/1e18
}

// money rounds an estimate to cents.
func money(dollars float64) costs.Money {
	return costs.MoneyOf(int64(math.Round(dollars*100))*1e7, 0)
}
