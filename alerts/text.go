package alerts

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Say makes the text of an event, out of all else in it.
func (e *Event) Say() string {
	switch e.Kind {
	case BudgetThreshold, BudgetReached, BudgetRefused:
		return e.sayBudget()
	case LimitThreshold:
		l := e.Limit
		return fmt.Sprintf("%s has %s of %s in use (%s, %d%% was passed). %s", e.whose(), l.Used, l.Amount, l.Measure, l.Percent, l.then())
	case RunawayLoop, KeyPaused:
		return e.sayRunaway()
	case PriceDrift:
		return e.Drift.say()
	case LimiterDegraded:
		return "The store of the limits' counts fails" + because(e.Why) + ". Each limit does now what its on_store_failure says; weir limits status shows it."
	case LimiterRecovered:
		return "The store of the limits' counts is back" + because(e.Why) + ". The sums of budgets are brought to what the ledger knows."
	}
	return "This is a test of Weir's alerts. Nothing has happened."
}

func (d *Drift) say() string {
	more, gap := "more", d.charged-d.book
	if gap < 0 {
		more, gap = "less", -gap
	}
	tenths := strconv.FormatInt(scale(gap, 1000, max(d.book, 1)), 10)
	if len(tenths) == 1 {
		tenths = "0" + tenths
	}
	return fmt.Sprintf("Provider %s charged $%s in the last 24 hours for what the price book puts at $%s: %s.%s%% %s. %d of %d calls to it are off by more than 1%%. Its charges are what counts; budgets reserve by the price book.",
		plain(d.Provider), d.Charged, d.Book, tenths[:len(tenths)-1], tenths[len(tenths)-1:], more, d.Off, d.Attempts)
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + plain(why)
}

func (e *Event) sayBudget() string {
	l := e.Limit
	of := fmt.Sprintf("$%s of $%s (%s)", l.Used, l.Amount, l.share())
	switch e.Kind {
	case BudgetReached:
		return fmt.Sprintf("%s has used all of its budget for %s: %s. %s", e.whose(), l.period(), of, l.then())
	case BudgetRefused:
		return fmt.Sprintf("A call that may cost $%s does not fit into the budget of %s for %s: %s are used or reserved. %s", l.Asked, lower(e.whose()), l.period(), of, l.then())
	}
	return strings.TrimSpace(fmt.Sprintf("%s has used %s of its budget for %s. %s", e.whose(), of, l.period(), e.Forecast.say(l)))
}

// share is how much of a budget is used, in whole percents, rounded down.
func (l *PassedLimit) share() string {
	return strconv.FormatInt(scale(l.used, 100, l.amount), 10) + "%"
}

// say says when a budget is used up.
func (f *BudgetForecast) say(l *PassedLimit) string {
	switch {
	case f == nil:
		return ""
	case f.Exhausted.IsZero():
		return fmt.Sprintf("At the rate of %s ($%s a day) it is not used up before the period ends on %s, with $%s then.", f.Basis, f.PerDay, moment(l.Until, l.Zone), f.AtEnd)
	}
	return fmt.Sprintf("At the rate of %s ($%s a day) it is used up on %s.", f.Basis, f.PerDay, moment(f.Exhausted, l.Zone))
}

// then is what happens to further calls.
func (l *PassedLimit) then() string {
	until := ""
	if !l.Until.IsZero() {
		until = " until " + moment(l.Until, l.Zone)
	}
	switch {
	case l.Unit == USD && (l.Action == "block" || l.Action == "queue"): // only another period brings money
		return "Calls that would pass it are refused" + until + "."
	case l.Action == "block":
		return "Calls beyond it are refused."
	case l.Action == "queue":
		return "Calls beyond it wait for room, and are refused where none comes."
	case l.Action == "downgrade":
		return "Calls beyond it are answered by " + plain(l.Instead) + until + "."
	case l.Action == "shadow":
		return "It is only counted: calls go on."
	}
	return "Calls go on."
}

// whose is who a limit is for: "Customer acme of project shop".
func (e *Event) whose() string {
	l := e.Limit
	name := plain(l.Value)
	if l.Named != "" {
		name = plain(l.Named)
		if l.Scope == "key" {
			name += " (" + plain(l.Value) + ")"
		}
	}
	of := ""
	if e.Project != nil && l.Scope != "project" {
		of = " of project " + e.Project.shown()
	}
	switch l.Scope {
	case "global":
		return "This Weir"
	case "tag":
		return "Tag " + plain(l.Tag) + "=" + name + of
	case "project":
		if e.Project != nil {
			name = e.Project.shown()
		}
	}
	return strings.ToUpper(l.Scope[:1]) + l.Scope[1:] + " " + name + of
}

func (n *Named) shown() string {
	if n.Name != "" {
		return plain(n.Name)
	}
	return plain(n.ID)
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func (e *Event) sayRunaway() string {
	r := e.Runaway
	did := fmt.Sprintf("asked the same %d times within %s, for $%s", r.Repeats, r.Within, r.Spent)
	key := r.Key.shown()
	if r.Key.Name != "" {
		key += " (" + plain(r.Key.ID) + ")"
	}
	if e.Project != nil {
		key += " of project " + e.Project.shown()
	}
	if e.Kind == KeyPaused {
		return fmt.Sprintf("Key %s was paused: it %s. Its calls are refused until weir keys resume %s.", key, did, r.Key.ID)
	}
	return fmt.Sprintf("Key %s %s. It may be in a loop; weir keys pause %s would stop it.", key, did, r.Key.ID)
}

// period names a budget's period: "November 2026 (UTC)".
func (l *PassedLimit) period() string {
	zone := zoneOf(l.Zone)
	t := l.Since.In(zone)
	name := t.Format("2 January 2006")
	switch l.Period {
	case "month":
		name = t.Format("January 2006")
	case "week":
		name = "the week from " + name
	}
	return name + " (" + zone.String() + ")"
}

// moment writes a time in a budget's zone.
func moment(t time.Time, zone string) string {
	at := zoneOf(zone)
	return t.In(at).Format("2 January 2006 15:04") + " (" + at.String() + ")"
}

func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil { // it was read before
		return time.UTC
	}
	return zone
}

// maxName bounds what is told of a name that clients make up, in characters.
const maxName = 120

// plain makes one line of a name, without what could move or hide text.
func plain(s string) string {
	out := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, s))
	if len(out) > maxName {
		return string(out[:maxName]) + "…"
	}
	return string(out)
}
