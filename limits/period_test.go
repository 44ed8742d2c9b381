package limits

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSpan(t *testing.T) {
	check := func(period Period, zone, at, since, until string) {
		t.Helper()
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		l := &Limit{Period: period, Zone: loc}
		from, to := l.Span(when)
		if got := from.Format(time.RFC3339); got != since {
			t.Errorf("%s of %s in %s begins at %s, want %s", period, at, zone, got, since)
		}
		if got := to.Format(time.RFC3339); got != until {
			t.Errorf("%s of %s in %s ends at %s, want %s", period, at, zone, got, until)
		}
	}
	check(Day, "UTC", "2026-11-26T13:00:00Z", "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z")
	check(Week, "UTC", "2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z")
	check(Week, "UTC", "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z")
	check(Month, "UTC", "2026-12-31T23:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
	check(Month, "Asia/Kolkata", "2026-10-31T18:30:00Z", "2026-11-01T00:00:00+05:30", "2026-12-01T00:00:00+05:30")
	check(Day, "America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00")  // 25 hours
	check(Day, "America/New_York", "2026-03-08T12:00:00Z", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00")  // 23 hours
	check(Day, "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00") // without midnight
	check(Day, "America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00")    // with two
	check(Day, "America/Havana", "2026-11-01T05:30:00Z", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00")
}

// TestSpansPartitionTime: each moment is in one period, and the next one
// begins where it ends.
func TestSpansPartitionTime(t *testing.T) {
	zones := []string{"UTC", "Asia/Kolkata", "America/New_York", "America/Sao_Paulo", "America/Havana", "Africa/Cairo", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		l := &Limit{Zone: loc, Period: rapid.SampledFrom([]Period{Day, Week, Month}).Draw(t, "period")}
		at := time.Unix(rapid.Int64Range(1.3e9, 2e9).Draw(t, "at"), 0)
		since, until := l.Span(at)
		if at.Before(since) || !at.Before(until) {
			t.Fatalf("%v is not in [%v, %v)", at, since, until)
		}
		if again, _ := l.Span(until.Add(-1)); !again.Equal(since) {
			t.Fatalf("the end of [%v, %v) is in a period that begins at %v", since, until, again)
		}
		if next, _ := l.Span(until); !next.Equal(until) {
			t.Fatalf("[%v, %v) is followed by a period that begins at %v", since, until, next)
		}
	})
}
