package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/costs"
)

// An Input is what a report is made of: sums of the ledger, all by the same filter.
type Input struct {
	Since, Until time.Time // the report's time: [Since, Until), whole hours
	Now          time.Time // in the zone whose days and month are meant
	Where        map[string]string

	Sources    []costs.Sum // of the report's time, by cost source: what all of it adds up to
	Breakdowns []Breakdown
	Models     []costs.Sum // by provider and model: those without a price are named
	Daily      []costs.Sum // by day, of the report's time
	History    []DaySpend  // of this month and the weeks before, for the forecast
	Unpriced   int64       // attempts of this month, which are in no amount of History

	MoversBy    string    // customer, feature or model
	Before, Run []Part    // by MoversBy and model: the time before, as long, and the report's time
	First       time.Time // the first day of the time before that anything is recorded of; zero: none

	CallCost CallCost // of single calls
	Own      []Own    // providers on one's own GPUs

	Revenue Revenue           // nil: not given
	Budget  *costs.Money      // of a month; nil: not given
	Limit   int               // rows of a breakdown; what is more is one row
	Names   map[string]string // of projects and keys, by id, for people
}

// A Breakdown is the report's time by some groups, the most expensive first.
type Breakdown struct {
	By   []string // customer, feature, model, …
	Sums []costs.Sum
}

// A Report is what a founder reads. Amounts are exact but for the forecast.
type Report struct {
	Since, Until, Now time.Time
	Where             []string
	Total             costs.Sum
	Command           string // lists all its calls
	Unpriced          []Row  // models without a price
	Tables            []Table
	Daily             []DaySpend
	CallCost          CallCost
	Idle              []Idle // one's own GPUs: what they cost beside their calls

	Forecast Forecast
	Unknown  int64 // attempts of this month that the forecast knows nothing of
	Budget   *costs.Money
	Movers   []Mover
	MoversBy string
	Compared bool // there are calls in the time before
	First    time.Time

	filter map[string]string
	names  map[string]string
	daily  []costs.Sum
}

// A Table is a breakdown as it is shown.
type Table struct {
	By         []string
	Rows       []Row
	Total      costs.Sum // of all rows, folded ones included
	HasRevenue bool
	Revenue    costs.Money // of all rows where it is known
	Margin     costs.Money
	Losses     int // customers that cost more than they paid
}

// A Row is one group, or what the groups above the limit add up to.
type Row struct {
	By     []string
	Group  []string
	More   int // above 0: so many groups in one row
	Sum    costs.Sum
	Income *costs.Money // nil: unknown
	// Command lists the row's calls; empty for what several groups add up to.
	Command string

	names map[string]string
}

const maxMovers = 10

// Build makes a report.
func Build(in Input) *Report {
	r := &Report{
		Since: in.Since, Until: in.Until, Now: in.Now, Budget: in.Budget, MoversBy: in.MoversBy, filter: in.Where, names: in.Names,
		Forecast: Land(in.History, in.Now), Movers: Movers(in.Before, in.Run, maxMovers), Compared: len(in.Before) > 0, First: in.First, Unknown: in.Unpriced, CallCost: in.CallCost,
	}
	if !r.Compared {
		r.Movers = nil // that all is new is no news
	}
	for _, k := range slices.Sorted(maps.Keys(in.Where)) {
		r.Where = append(r.Where, k+"="+in.Where[k])
	}
	for i := range in.Sources {
		r.Total.Add(&in.Sources[i])
	}
	r.Command, r.daily = r.command(nil, nil), in.Daily
	for i := range in.Daily {
		r.Daily = append(r.Daily, DaySpend{in.Daily[i].Start, in.Daily[i].Cost})
	}
	slices.SortFunc(r.Daily, func(a, b DaySpend) int { return a.Day.Compare(b.Day) })
	for _, s := range in.Models {
		if s.Unpriced > 0 {
			row := Row{By: []string{"provider", "model"}, Group: s.Group, Sum: s}
			row.Command = r.command(append(slices.Clone(row.By), "source"), append(slices.Clone(s.Group), "unpriced"))
			r.Unpriced = append(r.Unpriced, row)
		}
	}
	slices.SortStableFunc(r.Unpriced, func(a, b Row) int { return cmp.Compare(b.Sum.Unpriced, a.Sum.Unpriced) })
	for i := range in.Own {
		if idle, ok := r.idle(&in.Own[i]); ok {
			r.Idle = append(r.Idle, idle)
		}
	}
	for _, b := range in.Breakdowns {
		r.Tables = append(r.Tables, r.table(b, in.Revenue, in.Limit))
	}
	return r
}

// MoverCommand lists the calls of a mover in the report's time.
func (r *Report) MoverCommand(m Mover) string {
	return r.command([]string{r.MoversBy}, []string{m.Group})
}

// WasteCommand lists the calls of what was wasted.
func (r *Report) WasteCommand() string { return r.Command + " --wasted" }

func (r *Report) table(b Breakdown, revenue Revenue, limit int) Table {
	t := Table{By: b.By, HasRevenue: revenue != nil && slices.Equal(b.By, []string{"customer"})}
	rows := make([]Row, 0, len(b.Sums))
	seen := map[string]bool{}
	for i, s := range b.Sums {
		t.Total.Add(&b.Sums[i])
		row := Row{By: b.By, Group: s.Group, Sum: s, Command: r.command(b.By, s.Group), names: r.names}
		if t.HasRevenue {
			seen[s.Group[0]] = true
			row.Income = revenue.of(s.Group[0])
		}
		rows = append(rows, row)
	}
	if t.HasRevenue {
		only, filtered := r.filter["customer"]
		for _, customer := range slices.Sorted(maps.Keys(revenue)) {
			if !seen[customer] && (!filtered || customer == only) {
				group := []string{customer}
				rows = append(rows, Row{By: b.By, Group: group, Sum: costs.Sum{Group: group}, Income: revenue.of(customer), Command: r.command(b.By, group)})
			}
		}
		slices.SortStableFunc(rows, byMargin)
		for _, row := range rows {
			t.earn(row)
		}
	}
	t.Rows = fold(rows, b.By, limit)
	return t
}

func (t *Table) earn(row Row) {
	margin, known := row.Margin()
	if !known {
		return
	}
	t.Revenue, t.Margin = t.Revenue.Add(*row.Income), t.Margin.Add(margin)
	if margin.Sign() < 0 {
		t.Losses++
	}
}

// byMargin has those who cost more than they pay first, the largest loss at
// the top, then those who pay by what they cost; those that nothing is known
// of are behind all others.
func byMargin(a, b Row) int {
	rank := func(r Row) (class int, loss costs.Money) {
		switch margin, known := r.Margin(); {
		case !known:
			return 2, loss
		case margin.Sign() < 0:
			return 0, margin
		}
		return 1, loss
	}
	classA, lossA := rank(a)
	classB, lossB := rank(b)
	return cmp.Or(classA-classB, lossA.Cmp(lossB), b.Sum.Cost.Cmp(a.Sum.Cost))
}

// fold makes one row of all that are above the limit.
func fold(rows []Row, by []string, limit int) []Row {
	if limit <= 0 || len(rows) <= limit {
		return rows
	}
	more := Row{By: by, More: len(rows) - limit}
	income := &costs.Money{}
	for i := range rows[limit:] {
		row := &rows[limit+i]
		more.Sum.Add(&row.Sum)
		if row.Income == nil {
			income = nil
		} else if income != nil {
			*income = income.Add(*row.Income)
		}
	}
	more.Income = income
	return append(slices.Clip(rows[:limit]), more)
}

// Margin is the income less the cost, and false where the income is unknown.
// What is unpriced is not in it: it is at most that.
func (r *Row) Margin() (costs.Money, bool) {
	if r.Income == nil {
		return costs.Money{}, false
	}
	return r.Income.Sub(r.Sum.Cost), true
}

// Known reports whether anything is known of what the row cost. A cost of
// which a part is unpriced is a lower bound.
func Known(s *costs.Sum) bool { return s.Unpriced == 0 || !s.Cost.IsZero() }

// PerCall is a call's share of the cost, rounded half to even at 12 digits;
// false where there is no call, or the cost is unknown.
func PerCall(s *costs.Sum) (costs.Money, bool) {
	return perOne(s.Cost, s.Calls), s.Calls > 0 && Known(s)
}

// ID names the row among all rows of a report.
func (r *Row) ID() string {
	if r.More > 0 {
		return strings.Join(r.By, "+") + "/more"
	}
	if len(r.By) == 0 {
		return "total"
	}
	parts := make([]string, len(r.By))
	for i, by := range r.By {
		parts[i] = by + "=" + r.Group[i]
	}
	return strings.Join(parts, ",")
}

// Name is the row's group for people.
func (r *Row) Name() string {
	if r.More > 0 {
		return fmt.Sprintf("and %s more", Count(int64(r.More)))
	}
	if len(r.By) == 0 {
		return "all"
	}
	names := make([]string, len(r.Group))
	for i, g := range r.Group {
		names[i] = groupName(g)
		if name, ok := r.names[g]; ok && (r.By[i] == "key" || r.By[i] == "project") {
			names[i] = name
		}
	}
	return strings.Join(names, " · ")
}

func groupName(g string) string {
	switch g {
	case "":
		return "(none)"
	case longTags:
		return "(too many tags)"
	}
	return g
}
