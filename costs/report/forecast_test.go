package report

import (
	"fmt"
	"testing"
	"time"

	"weir/costs"
)

// daily makes a series of days up to the day before now, the oldest first.
func daily(now time.Time, n int, cost func(day time.Time, i int) float64) (days []DaySpend) {
	for i := range n {
		day := midnight(now).AddDate(0, 0, i-n)
		days = append(days, DaySpend{day, costs.USD(fmt.Sprintf("%.2f", cost(day, i)))})
	}
	return days
}

func TestLandOfSteadyDays(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f := Land(daily(now, 56, func(time.Time, int) float64 { return 10 }), now)
	if f.Method != WeekdayMedians || f.ToDate != costs.USD("200") || f.P50 != costs.USD("300") || f.P90 != costs.USD("300") {
		t.Errorf("56 days of $10: %+v, want $200 so far and $300 at the end", f)
	}
	if f.Tests == 0 || f.Error != 0 {
		t.Errorf("back-test: %d tests, error %v, want some without error", f.Tests, f.Error)
	}
}

func TestLandKnowsWeekends(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) // a Saturday; 4 weekend days and 6 others are left
	cost := func(day time.Time, _ int) float64 {
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			return 1
		}
		return 20
	}
	f := Land(daily(now, 56, cost), now)
	if want := f.ToDate.Add(costs.USD("124")); f.P50 != want {
		t.Errorf("P50 = %v, want %v", f.P50, want)
	}
}

// Growth is followed, and a single wild day is not.
func TestLandTrend(t *testing.T) {
	now := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
	growing := Land(daily(now, 56, func(_ time.Time, i int) float64 { return 10 + float64(i)/4 }), now)
	flat := Land(daily(now, 56, func(time.Time, int) float64 { return 23 }), now)
	if rest := growing.P50.Sub(growing.ToDate); rest.Cmp(flat.P50.Sub(flat.ToDate)) <= 0 {
		t.Errorf("the rest of a growing month is %v, want more than that of a flat one, %v", rest, flat.P50.Sub(flat.ToDate))
	}
	wild := Land(daily(now, 56, func(_ time.Time, i int) float64 {
		if i == 50 {
			return 5000
		}
		return 23
	}), now)
	if got := wild.P50.Sub(wild.ToDate); got.Cmp(costs.USD("700")) > 0 {
		t.Errorf("after one wild day the rest of the month is %v, want about 460", got)
	}
	if wild.P90.Cmp(wild.P50) <= 0 {
		t.Errorf("P90 = %v is not above P50 = %v though days differ", wild.P90, wild.P50)
	}
}

// Below fourteen days there is a run rate with a wide band.
func TestLandRunRate(t *testing.T) {
	now := time.Date(2026, 11, 6, 12, 0, 0, 0, time.UTC)
	days := append(daily(now, 5, func(time.Time, int) float64 { return 10 }), DaySpend{midnight(now), costs.USD("5")})
	f := Land(days, now)
	if f.Method != RunRate || f.ToDate != costs.USD("55") || f.P50 != costs.USD("300") {
		t.Errorf("%+v, want a run rate of $10 a day", f)
	}
	if f.P10 != costs.USD("175") || f.P90 != costs.USD("550") || f.Tests != 0 {
		t.Errorf("%+v, want a wide band without a back-test", f)
	}
}

// What was spent is a lower bound of every figure.
func TestLandNeverBelowSpent(t *testing.T) {
	now := time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)
	for _, n := range []int{0, 3, 20, 56} {
		days := append(daily(now, n, func(time.Time, int) float64 { return 1 }), DaySpend{midnight(now), costs.USD("400.0049")})
		f := Land(days, now)
		if f.P10.Cmp(f.ToDate) < 0 || f.P50.Cmp(f.P10) < 0 || f.P90.Cmp(f.P50) < 0 {
			t.Errorf("%d days: %+v, want to date <= P10 <= P50 <= P90", n, f)
		}
	}
}

func TestLandOfNothing(t *testing.T) {
	f := Land(nil, time.Date(2026, 11, 6, 12, 0, 0, 0, time.UTC))
	if f != (Forecast{}) {
		t.Errorf("no days: %+v, want no forecast", f)
	}
}

// The order of rows and several rows for a day change nothing.
func TestLandOfUnsortedRows(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	days := daily(now, 40, func(_ time.Time, i int) float64 { return float64(2 * (i%9 + 1)) })
	var halves []DaySpend
	for i := len(days) - 1; i >= 0; i-- {
		nano, _ := days[i].Cost.Parts()
		half := costs.MoneyOf(nano/2, 0)
		halves = append(halves, DaySpend{days[i].Day, half}, DaySpend{days[i].Day.Add(5 * time.Hour), half})
	}
	if a, b := Land(days, now), Land(halves, now); a != b {
		t.Errorf("whole days say %+v, halves in reverse %+v", a, b)
	}
}

// The band holds what forecasts of the past were off by, even where single days
// say little: here each week is as dear as it likes.
func TestLandBandHoldsTheBackTest(t *testing.T) {
	now := time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC)
	f := Land(daily(now, 56, func(_ time.Time, i int) float64 { return []float64{10, 30, 12, 28, 9, 31, 11, 30}[i/7] }), now)
	if f.Error < 0.2 {
		t.Fatalf("the back-test is off by %v: these weeks cannot be forecast", f.Error)
	}
	rest := dollars(f.P50) - dollars(f.ToDate)
	if got := (dollars(f.P90) - dollars(f.P50)) / rest; got < f.Error {
		t.Errorf("P90 is %v above P50, the past was off by %v: %+v", got, f.Error, f)
	}
}
