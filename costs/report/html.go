package report

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"weir/costs"
)

//go:embed report.html
var reportPage string

var page = template.Must(template.New("report").Parse(reportPage))

// WriteHTML writes the report as one page that needs nothing else: no script,
// no font, no request. People see cents; each amount has its exact value in a
// data element and as its title.
func (r *Report) WriteHTML(w io.Writer) error {
	v := &htmlPage{
		Title: "Costs, " + shown(r.Span()), Span: shown(r.Span()), Made: r.Now.Format("2006-01-02 15:04 MST"), Command: shown(r.Command),
		Landing: r.Landing(), Over: r.overBudget(), Empty: r.Total.Attempts == 0 && r.Total.Calls == 0,
		MoversBy: shown(r.MoversBy), Before: r.before(), Compared: r.Compared,
	}
	if r.Forecast.Method != NoForecast {
		v.Month, v.MonthCommand = r.Now.Format("January 2006"), shown(r.monthCommand())
		v.Lands, v.Band = moneyOf(r.Forecast.P50), r.band()
	}
	for _, f := range r.Facts() {
		if !Known(&r.Total) {
			f.Exact = "" // there is no amount that would be exact
		}
		v.Facts = append(v.Facts, htmlFact{f.Name, f.Figure, f.Exact, f.Words, shown(f.Command), f.Warn})
	}
	if !v.Empty {
		v.Days = r.days()
	}
	for i := range r.Movers {
		v.Movers = append(v.Movers, r.htmlMover(&r.Movers[i]))
	}
	for i := range r.Unpriced {
		row := &r.Unpriced[i]
		v.Unpriced = append(v.Unpriced, htmlRow{Name: htmlName(row), Calls: Count(row.Sum.Calls), Unpriced: Count(row.Sum.Unpriced), Command: shown(row.Command)})
	}
	for i := range r.Idle {
		d := &r.Idle[i]
		v.Idle = append(v.Idle, htmlIdle{
			Name: cut(shown(d.Provider)), Paid: moneyOf(d.Paid), Busy: htmlMoney{d.busyText(), d.Busy.String()}, Idle: htmlMoney{d.idleText(), d.Idle.String()},
			Share: d.share(), Bought: htmlMoney{Text: d.bought()}, Why: d.verdict(), Command: shown(d.Command),
		})
		if d.Bought != nil {
			v.Idle[i].Bought.Exact = d.Bought.String()
		}
	}
	for i := range r.Tables {
		if len(r.Tables[i].Rows) > 0 {
			v.Tables = append(v.Tables, r.Tables[i].html())
		}
	}
	out := bufio.NewWriter(w)
	if err := page.Execute(out, v); err != nil {
		return fmt.Errorf("write the report's page: %w", err)
	}
	return out.Flush()
}

// monthCommand lists the calls of the month to date, which need not be the report's time.
func (r *Report) monthCommand() string {
	month := *r
	month.Since = time.Date(r.Now.Year(), r.Now.Month(), 1, 0, 0, 0, 0, r.Now.Location())
	month.Until = r.Now.Add(time.Hour).Truncate(time.Hour)
	return month.command(nil, nil)
}

// An htmlPage is what the page is made of.
type htmlPage struct {
	Title, Span, Made, Command string
	Month, MonthCommand        string // empty: there is no forecast
	Lands                      htmlMoney
	Band                       htmlBand
	Landing                    []string
	Over, Empty                bool
	Facts                      []htmlFact
	Days                       htmlDays
	MoversBy, Before           string
	Compared                   bool
	Movers                     []htmlMover
	Unpriced                   []htmlRow
	Idle                       []htmlIdle
	Tables                     []htmlTable
}

// An htmlMoney is an amount for people, and exactly. Exact is empty where the
// amount is unknown.
type htmlMoney struct{ Text, Exact string }

func moneyOf(m costs.Money) htmlMoney { return htmlMoney{Cents(m), m.String()} }

// costOf is what a sum cost, as far as that is known.
func costOf(s *costs.Sum) htmlMoney {
	if !Known(s) {
		return htmlMoney{Text: Cost(s)}
	}
	return htmlMoney{Cost(s), s.Cost.String()}
}

func signedOf(m costs.Money) htmlMoney { return htmlMoney{signed(m), m.String()} }

type htmlFact struct {
	Name, Figure, Exact, Words, Command string
	Warn                                bool
}

// An htmlIdle is what one's own GPUs of a provider cost.
type htmlIdle struct {
	Name                     string
	Paid, Busy, Idle, Bought htmlMoney
	Share, Why, Command      string
}

type htmlMover struct {
	Name                string
	Change, Before, Now htmlMoney
	Why, Command        string
	Up                  bool
}

func (r *Report) htmlMover(m *Mover) htmlMover {
	before, now := m.sums()
	return htmlMover{
		Name: cut(shown(groupName(m.Group))), Change: signedOf(m.Change), Before: costOf(before), Now: costOf(now), Why: m.why(),
		Command: shown(r.MoverCommand(*m)), Up: m.Change.Sign() > 0,
	}
}

// An htmlTable is a breakdown. Columns that would be empty are left out.
type htmlTable struct {
	ID, By, Title, Head               string
	Rows                              []htmlRow
	Foot                              htmlRow
	HasRevenue, HasWaste, HasUnpriced bool
	Note                              string
}

type htmlRow struct {
	Name                          string
	Folded, Loss                  bool
	Cost, Wasted, Revenue, Margin htmlMoney
	Share, MarginShare            string
	Width                         float64 // of its bar, in percent
	Calls, Unpriced               string
	PerCall                       htmlMoney
	Command                       string
}

func (t *Table) html() htmlTable {
	v := htmlTable{
		ID: "by-" + strings.Join(t.By, "-"), By: strings.Join(t.By, "+"), Title: "Costs " + shown(t.title()), Head: shown(strings.Join(t.By, " · ")), HasRevenue: t.HasRevenue,
		HasWaste: !t.Total.Wasted.IsZero(), HasUnpriced: t.Total.Unpriced > 0,
	}
	if len(t.By) == 0 {
		v.Title, v.Head = "All costs", "all"
	}
	most := costs.Money{}
	for i := range t.Rows {
		if s := &t.Rows[i].Sum; t.Rows[i].More == 0 && s.Cost.Cmp(most) > 0 {
			most = s.Cost
		}
	}
	for i := range t.Rows {
		v.Rows = append(v.Rows, t.htmlRow(&t.Rows[i], most))
	}
	v.Foot = t.htmlRow(&Row{Sum: t.Total}, most)
	v.Foot.Name = "all"
	if t.HasRevenue {
		v.Foot.Revenue, v.Foot.Margin, v.Foot.MarginShare = moneyOf(t.Revenue), moneyOf(t.Margin), share(t.Margin, t.Revenue)
		v.Note = t.revenueNote()
	}
	return v
}

// revenueNote says what the sums of revenue and margin leave out.
func (t *Table) revenueNote() string {
	var notes []string
	if t.Losses > 0 {
		notes = append(notes, plural(int64(t.Losses), "customer costs", "customers cost")+" more than they pay.")
	}
	unknown := int64(0)
	for i := range t.Rows {
		if t.Rows[i].Income == nil {
			unknown++
		}
	}
	if unknown > 0 {
		notes = append(notes, "Where the revenue is unknown so is the margin; the sums of both are of the others.")
	}
	if t.Total.Unpriced > 0 {
		notes = append(notes, "What has no price is not in a cost, so a margin is at most (≤) what it says.")
	}
	return strings.Join(notes, " ")
}

func (t *Table) htmlRow(row *Row, most costs.Money) htmlRow {
	s := &row.Sum
	v := htmlRow{
		Name: htmlName(row), Folded: row.More > 0, Cost: costOf(s), Wasted: moneyOf(s.Wasted), Share: t.share(row),
		Calls: Count(s.Calls), Unpriced: Count(s.Unpriced), PerCall: htmlMoney{Text: perCall(s)}, Command: shown(row.Command),
	}
	if !Known(s) {
		v.Wasted = htmlMoney{Text: "–"}
	}
	if m, ok := PerCall(s); ok {
		v.PerCall.Exact = m.String()
	}
	if row.More == 0 && most.Sign() > 0 && s.Cost.Sign() > 0 {
		v.Width = part(s.Cost, most)
	}
	if !t.HasRevenue {
		return v
	}
	v.Revenue, v.Margin, v.MarginShare = htmlMoney{Text: income(row)}, htmlMoney{Text: margin(row)}, marginShare(row)
	if m, ok := row.Margin(); ok {
		v.Revenue.Exact, v.Margin.Exact, v.Loss = row.Income.String(), m.String(), m.Sign() < 0
	}
	return v
}

// maxShown is how long a name may be on the page, in letters. The command has
// longer ones whole.
const maxShown = 120

// htmlName is a row's name for the page.
func htmlName(row *Row) string {
	if row.More > 0 {
		return "and " + Count(int64(row.More)) + " more"
	}
	return cut(shown(row.Name()))
}

func cut(s string) string {
	if letters := []rune(s); len(letters) > maxShown {
		return string(letters[:maxShown-1]) + "…"
	}
	return s
}

// shown is what clients have sent without what would move a reader's eye: no
// control characters, and none that turn the direction of the text around them.
func shown(s string) string { return plain(s) }

// part is a share in percent, with one digit.
func part(m, whole costs.Money) float64 {
	if whole.Sign() <= 0 {
		return 0
	}
	return float64(int64(min(max(dollars(m)/dollars(whole), 0), 1)*1000+0.5)) / 10
}

// An htmlBand is where the month stands and will land, in percent of the
// widest figure.
type htmlBand struct {
	ToDate, Low, Wide, Mid, Budget float64
	HasBudget                      bool
	Label                          string // all of it in words
	Legend                         []htmlLegend
}

type htmlLegend struct {
	Class, Name string
	Amount      htmlMoney
}

func (r *Report) band() htmlBand {
	f := &r.Forecast
	most := f.P90
	if r.Budget != nil && r.Budget.Cmp(most) > 0 {
		most = *r.Budget
	}
	if f.ToDate.Cmp(most) > 0 {
		most = f.ToDate
	}
	of := func(m costs.Money) float64 { return part(m, most) * 0.97 } // the last mark needs room
	b := htmlBand{
		ToDate: of(f.ToDate), Low: of(f.P10), Wide: of(f.P90) - of(f.P10), Mid: of(f.P50),
		Legend: []htmlLegend{
			{"spent", "to date", moneyOf(f.ToDate)},
			{"p10", "P10", moneyOf(f.P10)},
			{"p50", "P50", moneyOf(f.P50)},
			{"p90", "P90", moneyOf(f.P90)},
		},
		Label: fmt.Sprintf("%s to date; lands between %s and %s, at %s in the middle", Cents(f.ToDate), Cents(f.P10), Cents(f.P90), Cents(f.P50)),
	}
	if r.Budget != nil {
		b.HasBudget, b.Budget = true, of(*r.Budget)
		b.Legend = append(b.Legend, htmlLegend{"budget", "budget", moneyOf(*r.Budget)})
		b.Label += "; the budget is " + Cents(*r.Budget)
	}
	return b
}

// htmlDays is the chart of days: bars, 100 high.
type htmlDays struct {
	Bars             []htmlDay
	Width            int
	Most             htmlMoney
	First, Mid, Last string
	Label            string
	Unpriced         bool      // some of them have calls without a price
	Table            []htmlDay // those that cost something, the newest first
}

type htmlDay struct {
	X, Wide, Y, High float64
	Day              string
	Cost             htmlMoney
	Weekend, Running bool
	Command          string // lists its calls; empty where it has none
}

const (
	maxDays  = 3660 // that are drawn
	dayWidth = 10   // of a bar and its gap
)

// days draws all days of the report, those without calls among them.
func (r *Report) days() (v htmlDays) {
	spent := map[time.Time]costs.Sum{}
	most, dearest := costs.Money{}, time.Time{}
	for i := range r.daily {
		day := midnight(r.daily[i].Start.In(r.Now.Location()))
		s := spent[day]
		s.Add(&r.daily[i])
		if spent[day] = s; s.Cost.Cmp(most) > 0 {
			most, dearest = s.Cost, day
		}
	}
	if most.IsZero() {
		return v // there is nothing to draw
	}
	today := midnight(r.Now)
	for day := midnight(r.Since.In(r.Now.Location())); day.Before(r.Until) && len(v.Bars) < maxDays; day = day.AddDate(0, 0, 1) {
		if day.After(today) {
			break
		}
		s := spent[day]
		bar := htmlDay{X: float64(len(v.Bars)*dayWidth) + 1, Wide: dayWidth - 2, High: part(s.Cost, most), Day: day.Format("Mon 2006-01-02"), Cost: costOf(&s)}
		if s.Cost.Sign() > 0 && bar.High < 0.7 {
			bar.High = 0.7 // it is there
		}
		bar.Y = 100 - bar.High
		if s.Calls > 0 || s.Attempts > 0 {
			bar.Command = shown(r.command([]string{"day"}, []string{day.Format(time.DateOnly)}))
		}
		bar.Weekend = day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
		bar.Running = day.Equal(today)
		v.Bars = append(v.Bars, bar)
	}
	n := len(v.Bars)
	if n == 0 {
		return v
	}
	v.Width, v.Most, v.Unpriced = n*dayWidth, moneyOf(most), r.Total.Unpriced > 0
	v.First, v.Mid, v.Last = v.Bars[0].Day, v.Bars[n/2].Day, v.Bars[n-1].Day
	for i := n - 1; i >= 0; i-- {
		v.Table = append(v.Table, v.Bars[i])
	}
	v.Label = fmt.Sprintf("%s, %s to %s; the dearest is %s with %s", plural(int64(n), "day", "days"), v.First, v.Last, dearest.Format(time.DateOnly), Cents(most))
	return v
}
