package report

import (
	"fmt"
	"strings"
	"time"

	"weir/costs"
)

// A Fact is one line of the summary: a figure, what it means, and the command
// that lists its calls.
type Fact struct {
	Name, Figure, Exact, Words, Command string
	Warn                                bool
}

// Facts are the totals of the report's time.
func (r *Report) Facts() []Fact {
	t := &r.Total
	words := fmt.Sprintf("%s in %s; %s tokens in, %s out", plural(t.Calls, "call", "calls"), plural(t.Attempts, "attempt", "attempts"),
		short(inputTokens(t)), short(outputTokens(t)))
	if !t.List.IsZero() && t.List != t.Cost {
		words += "; list prices say " + Cents(t.List)
	}
	facts := []Fact{{Name: "Spent", Figure: Cost(t), Exact: t.Cost.String(), Words: words, Command: r.Command}}
	if perCall, ok := PerCall(t); ok {
		facts = append(facts, Fact{Name: "A call", Figure: small(perCall), Exact: perCall.String(), Words: r.spread(), Command: r.Command})
	}
	if wasted, ok := r.waste(); ok {
		facts = append(facts, wasted)
	}
	if Known(t) {
		facts = append(facts, Fact{
			Name: "Estimated", Figure: Cents(t.Estimated), Exact: t.Estimated.String(), Command: r.sourceCommand("estimated"),
			Words: fmt.Sprintf("%s of it, %s: the provider told no whole usage", share(t.Estimated, t.Cost), plural(t.Guessed, "attempt", "attempts")),
		})
	}
	if t.Unpriced > 0 {
		facts = append(facts, Fact{
			Name: "Not priced", Figure: plural(t.Unpriced, "attempt", "attempts"), Command: r.sourceCommand("unpriced"), Warn: true,
			Words: "cost what is not known and are in no amount here; give their price, then weir costs reprice",
		})
	}
	if t.Cached > 0 {
		facts = append(facts, r.saved())
	}
	if t.Compared > 0 {
		facts = append(facts, r.drift())
	}
	return facts
}

// spread says what single calls cost.
func (r *Report) spread() string {
	c := &r.CallCost
	if c.Calls == 0 {
		return "on average"
	}
	of := ""
	if c.Newest {
		of = fmt.Sprintf(" (of the newest %s calls)", Count(c.Calls))
	}
	return fmt.Sprintf("on average; half cost up to %s, 90%% up to %s, 99%% up to %s%s", small(c.P50), small(c.P90), small(c.P99), of)
}

// waste is what reached no client whole.
func (r *Report) waste() (Fact, bool) {
	t := &r.Total
	f := Fact{Name: "Wasted", Figure: "unknown", Command: r.WasteCommand()}
	var words []string
	if Known(t) {
		f.Figure, f.Exact, f.Warn = Cents(t.Wasted), t.Wasted.String(), dollars(t.Wasted) > 0.05*dollars(t.Cost)
		words = append(words, share(t.Wasted, t.Cost)+" of it")
	}
	if t.WastedAttempts > 0 {
		words = append(words, plural(t.WastedAttempts, "attempt", "attempts"))
	}
	f.Words = strings.Join(words, ", ") + ": retries, fallbacks, aborted and broken replies"
	return f, len(words) > 0
}

// saved is what the vendors' prompt caches saved, or cost.
func (r *Report) saved() Fact {
	t := &r.Total
	f := Fact{Name: "Saved by caches", Figure: "unknown", Command: r.Command + " --cached", Words: plural(t.Cached, "attempt", "attempts") + " with cached input"}
	if t.CacheKnown > 0 {
		f.Figure, f.Exact = Cents(t.Saved), t.Saved.String()
		f.Words += ", against its price as plain input"
		f.Warn = t.Saved.Sign() < 0
	}
	if f.Warn {
		f.Words += ": writing the caches cost more than reading them saved"
	}
	if unknown := t.Cached - t.CacheKnown; unknown > 0 {
		f.Words += fmt.Sprintf("; of %s it is not known", Count(unknown))
	}
	return f
}

// drift is how far the providers' own figures are from the price book's.
func (r *Report) drift() Fact {
	t := &r.Total
	charged := t.DriftOf.Add(t.Drift)
	f := Fact{
		Name: "By the providers", Figure: small(charged), Exact: charged.String(), Command: r.sourceCommand("provider"), Warn: t.Drifted > 0,
		Words: fmt.Sprintf("charged by themselves for %s; the price book says %s, the difference is %s (%s)", plural(t.Compared, "attempt", "attempts"),
			small(t.DriftOf), signed(t.Drift), share(t.Drift, t.DriftOf)),
	}
	if t.Drifted > 0 {
		f.Words += "; " + plural(t.Drifted, "of them differs", "of them differ") + " by more than 1%"
	}
	return f
}

func (r *Report) sourceCommand(source string) string {
	return r.command([]string{"source"}, []string{source})
}

// Span is the report's time in words.
func (r *Report) Span() string {
	zone := r.Now.Location()
	layout := "2006-01-02 15:04"
	text := r.Since.In(zone).Format(layout) + " to " + r.Until.In(zone).Format(layout) + " " + zone.String()
	if len(r.Where) > 0 {
		text += ", " + strings.Join(r.Where, ", ")
	}
	return text
}

// Landing says where the month will land, a sentence a line.
func (r *Report) Landing() []string {
	f := &r.Forecast
	month := r.Now.Format("January 2006")
	if f.Method == NoForecast {
		if r.Unknown > 0 {
			return []string{fmt.Sprintf("%s: what was spent is not known: %s without a price.", month, plural(r.Unknown, "attempt is", "attempts are"))}
		}
		return []string{month + ": nothing has been spent yet, and nothing is known to go by."}
	}
	lines := []string{
		fmt.Sprintf("%s: %s to date; lands at %s, with 80%% likelihood between %s and %s.", month, Cents(f.ToDate), Cents(f.P50), Cents(f.P10), Cents(f.P90)),
		f.method(),
	}
	if r.Unknown > 0 {
		lines[1] += fmt.Sprintf(" %s of this month without a price, and not in it.", plural(r.Unknown, "attempt is", "attempts are"))
	}
	if r.Budget != nil {
		lines = append(lines, f.against(*r.Budget))
	}
	return lines
}

func (f *Forecast) method() string {
	if f.Method == RunRate {
		return fmt.Sprintf("By the run rate of %s: too few for more, so the band is wide (P10 half, P90 twice the rest).", plural(int64(f.History), "whole day", "whole days"))
	}
	text := fmt.Sprintf("By the weekdays' medians of the last %d days and their trend (P10, P50, P90).", f.History)
	if f.Tests > 0 {
		text += fmt.Sprintf(" Tried from %s of the past, as far ahead: half of them were off by at most %s.", plural(int64(f.Tests), "day", "days"), percent(f.Error))
	} else {
		text += " There is not enough history to try it on the past."
	}
	return text
}

// against says how the month stands to a budget.
func (f *Forecast) against(budget costs.Money) string {
	used := share(f.ToDate, budget)
	switch {
	case f.ToDate.Cmp(budget) > 0:
		return fmt.Sprintf("The budget of %s is spent: %s of it.", Cents(budget), used)
	case f.P50.Cmp(budget) > 0:
		return fmt.Sprintf("The budget of %s, %s used, will be missed by %s (P50).", Cents(budget), used, Cents(f.P50.Sub(budget)))
	case f.P90.Cmp(budget) > 0:
		return fmt.Sprintf("The budget of %s, %s used, will likely hold, but not if it gets as dear as %s (P90).", Cents(budget), used, Cents(f.P90))
	}
	return fmt.Sprintf("The budget of %s, %s used, will hold, even at P90.", Cents(budget), used)
}

// overBudget reports whether the month is likely to end above its budget.
func (r *Report) overBudget() bool { return r.Budget != nil && r.Forecast.P50.Cmp(*r.Budget) > 0 }

// before is the time that movers are compared with, in words.
func (r *Report) before() string {
	length := r.Until.Sub(r.Since)
	text := r.Since.Add(-length).In(r.Now.Location()).Format(time.DateOnly) + " to " + r.Since.In(r.Now.Location()).Format(time.DateOnly)
	if start := r.Since.Add(-length); !r.First.IsZero() && r.First.Sub(start) > 24*time.Hour {
		text += ", of which nothing is recorded before " + r.First.Format(time.DateOnly)
	}
	return text
}

// sums are what it cost before and now, as far as that is known.
func (m *Mover) sums() (before, now *costs.Sum) {
	return &costs.Sum{Cost: m.Before, Unpriced: m.Unpriced[0]}, &costs.Sum{Cost: m.Now, Unpriced: m.Unpriced[1]}
}

// why is the parts of a mover's change: those that are a cent at least, so
// that what is shown adds up to it, and of a small change those that matter.
func (m *Mover) why() string {
	if m.New || m.Gone || m.Unpriced != [2]int64{} {
		return m.Cause()
	}
	parts := []string{}
	for _, p := range []struct {
		amount costs.Money
		name   string
	}{{m.Volume, "calls"}, {m.TokensPerCall, "tokens a call"}, {m.Mix, "models"}, {m.Price, "price of a token"}} {
		if d := dollars(size(p.amount)); d >= 0.005 || d >= 0.05*dollars(size(m.Change)) {
			parts = append(parts, signed(p.amount)+" "+p.name)
		}
	}
	return m.Cause() + ": " + strings.Join(parts, ", ")
}
