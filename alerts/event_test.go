package alerts

import (
	"strings"
	"testing"
	"time"
)

// budget is an event of a monthly budget of a customer, in New York.
func budget(percent int, used string, action string) *Event {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err)
	}
	p := Passing{
		Limit: PassedLimit{
			Name: "customer usd_per_month", Scope: "customer", Value: "acme", Measure: "usd_per_month", Action: action, Unit: USD, Percent: percent,
			Since: time.Date(2026, 11, 1, 0, 0, 0, 0, zone), Until: time.Date(2026, 12, 1, 0, 0, 0, 0, zone), Zone: zone.String(), Period: "month",
		},
		Project: "proj_1", Amount: 25 * nanos, Used: nano(used),
	}
	if action == "downgrade" {
		p.Limit.Instead = "small"
	}
	e := NewPassing(&p, time.Date(2026, 11, 16, 0, 0, 0, 0, zone))
	e.Project.Name = "shop"
	return &e
}

func nano(dollars string) (n int64) {
	whole, rest, _ := strings.Cut(dollars, ".")
	for _, c := range whole + (rest + "000000000")[:9] {
		n = n*10 + int64(c-'0')
	}
	return n
}

func TestTexts(t *testing.T) {
	check := func(e *Event, want string) {
		t.Helper()
		if got := e.Say(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	e := budget(80, "20.13", "block")
	e.Forecast = Foresee(e, lately("month", "14"), e.At) // 2 a day, the month's 1.34
	check(e, "Customer acme of project shop has used $20.13 of $25 (80%) of its budget for November 2026 (America/New_York). At the rate of the last 7 days ($2 a day) it is used up on 18 November 2026 10:26 (America/New_York).")
	e = budget(50, "12.5", "block")
	e.Forecast = Foresee(e, nil, e.At)
	check(e, "Customer acme of project shop has used $12.5 of $25 (50%) of its budget for November 2026 (America/New_York). At the rate of this period so far ($0.83 a day) it is not used up before the period ends on 1 December 2026 00:00 (America/New_York), with $24.97 then.")
	check(budget(100, "25.000000001", "block"), "Customer acme of project shop has used all of its budget for November 2026 (America/New_York): $25.000000001 of $25 (100%). Calls that would pass it are refused until 1 December 2026 00:00 (America/New_York).")
	check(budget(100, "25", "downgrade"), "Customer acme of project shop has used all of its budget for November 2026 (America/New_York): $25 of $25 (100%). Calls beyond it are answered by small until 1 December 2026 00:00 (America/New_York).")
	refused := budget(0, "24.996", "block")
	refused.Kind, refused.Limit.Asked = BudgetRefused, "0.05"
	check(refused, "A call that may cost $0.05 does not fit into the budget of customer acme of project shop for November 2026 (America/New_York): $24.996 of $25 (99%) are used or reserved. Calls that would pass it are refused until 1 December 2026 00:00 (America/New_York).")
	check(budget(100, "25", "warn"), "Customer acme of project shop has used all of its budget for November 2026 (America/New_York): $25 of $25 (100%). Calls go on.")

	rate := NewPassing(&Passing{
		Limit:  PassedLimit{Name: "key requests_per_minute", Scope: "key", Value: "key_1", Named: "ci\u202e<!channel>\n", Measure: "requests_per_minute", Action: "block", Unit: "requests", Percent: 80},
		Amount: 600, Used: 480, Window: time.Minute,
	}, time.Date(2026, 11, 16, 12, 34, 0, 0, time.UTC))
	check(&rate, "Key ci\ufffd<!channel>\ufffd (key_1) has 480 of 600 in use (requests_per_minute, 80% was passed). Calls beyond it are refused.")

	rate.Limit.Action = "queue"
	check(&rate, "Key ci\ufffd<!channel>\ufffd (key_1) has 480 of 600 in use (requests_per_minute, 80% was passed). Calls beyond it wait for room, and are refused where none comes.")
	check(budget(100, "25", "queue"), "Customer acme of project shop has used all of its budget for November 2026 (America/New_York): $25 of $25 (100%). Calls that would pass it are refused until 1 December 2026 00:00 (America/New_York).")

	r := Runaway{Key: Named{"key_1", "ci"}, Repeats: 57, Within: "10m", Spent: "5.12"}
	pause := NewPause(r, time.UnixMicro(1))
	check(&pause, "Key ci (key_1) was paused: it asked the same 57 times within 10m, for $5.12. Its calls are refused until weir keys resume key_1.")
	drift := NewDrift(Drift{Provider: "router", Attempts: 60, Off: 57}, nano("12.4"), nano("12"), time.UnixMicro(1))
	check(drift, "Provider router charged $12.4 in the last 24 hours for what the price book puts at $12: 3.3% more. 57 of 60 calls to it are off by more than 1%. Its charges are what counts; budgets reserve by the price book.")
	loop := NewRunaway(r, time.UnixMicro(1))
	check(&loop, "Key ci (key_1) asked the same 57 times within 10m, for $5.12. It may be in a loop; weir keys pause key_1 would stop it.")
}

// TestIDs: an event has one id in every process, and another one for another
// period, threshold, value or amount.
func TestIDs(t *testing.T) {
	same := budget(80, "21", "block")
	same.At = same.At.Add(time.Hour)
	if a, b := budget(80, "20.13", "block").ID, same.ID; a != b || len(a) != len("alert_")+32 {
		t.Errorf("ids of one threshold: %s and %s", a, b)
	}
	seen := map[string]string{}
	add := func(what string, change func(*Passing)) {
		p := Passing{Limit: PassedLimit{Name: "customer usd_per_month", Value: "acme", Unit: USD, Percent: 80, Since: time.Unix(0, 0)}, Amount: 1, Project: "p"}
		change(&p)
		e := NewPassing(&p, time.Unix(5, 0))
		if before := seen[e.ID]; before != "" {
			t.Errorf("%s and %s have one id", before, what)
		}
		seen[e.ID] = what
	}
	add("the first", func(*Passing) {})
	add("another percent", func(p *Passing) { p.Limit.Percent = 90 })
	add("reached", func(p *Passing) { p.Limit.Percent = 100 })
	add("refused", func(p *Passing) { p.Limit.Percent, p.Refused = 0, true })
	add("refused at the end", func(p *Passing) { p.Limit.Percent, p.Refused, p.Used, p.Amount = 0, true, 95, 100 })
	add("refused at the begin", func(p *Passing) { p.Limit.Percent, p.Refused, p.Used, p.Amount = 0, true, 89, 100 })
	add("another period", func(p *Passing) { p.Limit.Since = time.Unix(1, 0) })
	add("another value", func(p *Passing) { p.Limit.Value = "beta" })
	add("another project", func(p *Passing) { p.Project = "q" })
	add("another amount", func(p *Passing) { p.Amount = 2 })
	add("another limit", func(p *Passing) { p.Limit.Name = "customer usd_per_day" })

	rate := func(at time.Time, window time.Duration) string {
		p := Passing{Limit: PassedLimit{Name: "key requests_per_minute", Unit: "requests", Percent: 80}, Window: window}
		e := NewPassing(&p, at)
		return e.ID
	}
	noon := time.Date(2026, 11, 16, 12, 0, 0, 0, time.UTC)
	if rate(noon, time.Minute) != rate(noon.Add(59*time.Minute), time.Minute) || rate(noon, time.Minute) == rate(noon.Add(time.Hour), time.Minute) {
		t.Error("a minute's rate is not told once an hour")
	}
	if rate(noon, 24*time.Hour) != rate(noon.Add(11*time.Hour), 24*time.Hour) {
		t.Error("a day's rate is told twice a day")
	}
}

// lately are the windows of a period, with what was spent in them.
func lately(period string, spent ...string) []Lately {
	list := Windows(period)
	for i, s := range spent {
		list[i].Spent = nano(s)
	}
	return list
}

func TestForecast(t *testing.T) {
	since := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	check := func(used, recent string, days int, want string) {
		t.Helper()
		p := Passing{Limit: PassedLimit{Unit: USD, Period: "month", Since: since, Until: since.AddDate(0, 1, 0)}, Amount: 30 * nanos, Used: nano(used)}
		now := since.AddDate(0, 0, days)
		e := NewPassing(&p, now)
		got := "none"
		if f := Foresee(&e, lately("month", strings.Fields(recent)...), now); f != nil {
			got = f.PerDay + " " + f.AtEnd + " " + strings.ReplaceAll(f.Basis, " ", "-")
			if !f.Exhausted.IsZero() {
				got += " " + f.Exhausted.Format("01-02 15:04")
			}
		}
		if got != want {
			t.Errorf("used %s, recent %s, day %d: %s, want %s", used, recent, days, got, want)
		}
	}
	check("15", "0", 10, "1.5 45 this-period-so-far 11-21 00:00")
	check("15", "21", 10, "3 75 the-last-7-days 11-16 00:00")
	check("15", "21 6", 10, "3 75 the-last-7-days 11-16 00:00") // no more than twice
	check("15", "21 7.2", 10, "7.2 159 the-last-24-hours 11-13 02:00")
	check("15", "21 7.2 1", 10, "7.2 159 the-last-24-hours 11-13 02:00")
	check("15", "21 7.2 3", 10, "72 1455 the-last-hour 11-11 05:00")
	check("15", "21 3 3", 10, "72 1455 the-last-hour 11-11 05:00")
	check("5", "3.5", 10, "0.5 15 this-period-so-far")
	check("10", "7", 10, "1 30 this-period-so-far") // as the period ends: not before it
	check("30", "7", 10, "none")
	check("31", "7", 10, "none")
	check("0", "7", 10, "none")
	check("5", "0", 30, "none") // the period is over
	check("0.00123456", "0", 1, "0.0012 0.037 this-period-so-far")

	if got := scale(1<<62, 1<<62, 3); got != 1<<63-1 {
		t.Errorf("scale of what is too large: %d", got)
	}
}

func TestDrift(t *testing.T) {
	check := func(attempts, off int64, charged, book string, want bool) {
		t.Helper()
		e := NewDrift(Drift{Provider: "p", Attempts: attempts, Off: off}, nano(charged), nano(book), time.Unix(1e9, 0))
		if (e != nil) != want {
			t.Errorf("%d of %d off, $%s for $%s: %v", off, attempts, charged, book, e)
		}
	}
	check(20, 2, "1.01", "1", true)
	check(20, 20, "0.5", "1", true)
	check(20, 20, "1", "0", true) // the book has it for free
	check(19, 19, "2", "1", false)
	check(20, 1, "2", "1", false) // a few odd ones
	check(20, 20, "1.009", "1", false)
	check(20, 20, "1", "1", false) // they make up for each other
}
