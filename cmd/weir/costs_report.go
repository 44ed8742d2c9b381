package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // --tz works on a machine without zone files

	"github.com/spf13/cobra"

	"weir/costs"
	costreport "weir/costs/report"
	"weir/ledger"
)

// A reportFlags is what a report is asked for.
type reportFlags struct {
	rowFlags
	until, html, revenue, budget, zone string
	by, where                          []string
	text, object                       bool
}

// The rows of a breakdown that a person is shown.
const (
	terminalRows = 20
	htmlRows     = 100
)

func newCostsReportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use: "report", Short: "Show what was spent, on whom and what, and where the month will land",
		Long: "Show what was spent, on whom and what, and where the month will land: a report on a terminal, rows in a pipe\n" +
			"or with --json and --csv, or one HTML file to mail. Groups of --by are a table each; a+b are the groups of both.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.add(cmd, maxLimit)
	flags := cmd.Flags()
	flags.Lookup("since").DefValue, f.since = "30d", "30d"
	flags.Lookup("limit").DefValue = "0" // not shown
	flags.Lookup("limit").Usage = fmt.Sprintf("show at most `N` groups of each table, and the others as one (%d on a terminal, %d in HTML)", terminalRows, htmlRows)
	flags.StringVar(&f.until, "until", "", "only calls before `WHEN`. Default now")
	flags.BoolVar(&f.text, "text", false, "print the report of a terminal, into a pipe or a file, too")
	flags.BoolVar(&f.object, "json-report", false, "print all of the report as one JSON object, the forecast and what moved among it")
	flags.StringVar(&f.html, "html", "", "write one HTML `FILE`, which needs nothing else")
	flags.StringSliceVar(&f.by, "by", []string{"customer", "feature", "model", "provider"}, "the tables: `GROUPS` among customer, feature, model, provider, project, key, prompt, tag:NAME, source, day, hour")
	flags.StringArrayVar(&f.where, "where", nil, "only of this `GROUP=VALUE`; may be repeated")
	flags.StringVar(&f.revenue, "revenue", "", "what customers paid in that time: a CSV `FILE` with the columns customer and revenue")
	flags.StringVar(&f.budget, "budget", "", "what the month may cost: `USD`, like 500")
	flags.StringVar(&f.zone, "tz", "UTC", "days and months of this time `ZONE`, like Europe/Berlin")
	return cmd
}

func (f *reportFlags) run(cmd *cobra.Command) error {
	in, err := f.input(time.Now())
	if err != nil {
		return err
	}
	paid, err := f.readRevenue()
	if err != nil {
		return err
	}
	in.Revenue = paid
	in.Limit = f.limit
	if !cmd.Flags().Changed("limit") {
		switch {
		case f.html != "":
			in.Limit = htmlRows
		case f.asText(cmd.OutOrStdout()):
			in.Limit = terminalRows
		}
	}
	c, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	db, err := openCosts(cmd.Context(), c)
	if err != nil {
		return err
	}
	defer db.Close() // nothing is written
	g := &gathering{ctx: cmd.Context(), calls: ledger.NewCalls(db, c.Spool.Dir), in: in, by: f.by, rows: f.html == "" && !f.object && !f.asText(cmd.OutOrStdout())}
	p := startProgress(cmd.ErrOrStderr(), "costs report, by the query")
	g.count = func() { p.rows.Add(1) }
	if err = g.gather(f.revenue); err == nil && !g.rows {
		err = firstError(g.callCost(), g.own(c))
	}
	p.end()
	if err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), costreport.Build(*in))
}

// checkBy refuses a table that is asked for twice, and one by a group twice.
func (f *reportFlags) checkBy() error {
	for i, by := range f.by {
		if slices.Contains(f.by[:i], by) {
			return &failure{code: 2, err: fmt.Errorf("read --by: %s is there twice", by)}
		}
		groups := strings.Split(by, "+")
		for j, name := range groups {
			if slices.Contains(groups[:j], name) {
				return &failure{code: 2, err: fmt.Errorf("read --by: %s is there twice in %s", name, by)}
			}
		}
	}
	return nil
}

// input reads the flags.
func (f *reportFlags) input(now time.Time) (*costreport.Input, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	forms := 0
	for _, asked := range []bool{f.html != "", f.json, f.csv, f.text, f.object} {
		if asked {
			forms++
		}
	}
	if forms > 1 {
		return nil, &failure{code: 2, err: errors.New("want --html, --json, --json-report, --csv or --text, only one of them")}
	}
	if f.limit < 1 {
		return nil, &failure{code: 2, err: fmt.Errorf("read --limit: want 1 or more, got %d", f.limit)}
	}
	zone, err := time.LoadLocation(f.zone)
	if err != nil || f.zone == "" || f.zone == "Local" {
		return nil, &failure{code: 2, err: fmt.Errorf("read --tz: want a zone like Europe/Berlin, got %q", f.zone)}
	}
	in := &costreport.Input{Now: now.In(zone), Where: map[string]string{}}
	if in.Since, err = f.instant("--since", f.since, in.Now); err != nil {
		return nil, err
	}
	if in.Until, err = f.instant("--until", f.until, in.Now); err != nil {
		return nil, err
	}
	in.Since, in.Until = in.Since.Truncate(time.Hour), in.Until.Add(time.Hour-1).Truncate(time.Hour)
	if !in.Since.Before(in.Until) {
		return nil, &failure{code: 2, err: fmt.Errorf("read --until: %s is not after --since, %s", in.Until.Format(time.RFC3339), in.Since.Format(time.RFC3339))}
	}
	for _, w := range f.where {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" || value == "" {
			return nil, &failure{code: 2, err: fmt.Errorf("read --where: want GROUP=VALUE, got %q", w)}
		}
		if other, twice := in.Where[name]; twice && other != value {
			return nil, &failure{code: 2, err: fmt.Errorf("read --where: no call has both %s=%s and %s=%s", name, other, name, value)}
		}
		in.Where[name] = value
	}
	if err := f.checkBy(); err != nil {
		return nil, err
	}
	if f.budget != "" {
		budget, err := costs.ParseUSD(f.budget)
		if err != nil || budget.Sign() <= 0 {
			return nil, &failure{code: 2, err: fmt.Errorf("read --budget: want dollars above 0, like 500, got %q", f.budget)}
		}
		in.Budget = &budget
	}
	if f.revenue != "" && !slices.Contains(f.by, "customer") {
		f.by = append([]string{"customer"}, f.by...)
	}
	return in, nil
}

// instant reads a time; a date is its midnight in the report's zone.
func (f *reportFlags) instant(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return now, nil
	}
	for _, layout := range []string{time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	t, err := (&rowFlags{since: s}).from(now)
	if err != nil {
		return t, &failure{code: 2, err: fmt.Errorf("read %s: want 24h, 7d or a date like 2026-11-25, got %q", flag, s)}
	}
	return t.In(now.Location()), nil
}

func (f *reportFlags) readRevenue() (costreport.Revenue, error) {
	if f.revenue == "" {
		return nil, nil
	}
	file, err := os.Open(f.revenue)
	if err != nil {
		return nil, &failure{code: 2, err: fmt.Errorf("read --revenue: %w", err)}
	}
	defer file.Close()
	paid, err := costreport.ReadRevenue(f.revenue, file)
	if err != nil {
		return nil, &failure{code: 2, err: err}
	}
	return paid, nil
}

func (f *reportFlags) asText(w io.Writer) bool {
	return f.text || !f.json && !f.csv && !f.object && isTerminal(w)
}

func (f *reportFlags) print(w io.Writer, r *costreport.Report) error {
	switch {
	case f.html != "":
		if err := toFile(w, f.html, r.WriteHTML); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, filepath.Clean(f.html))
		return err
	case f.object:
		return buffered(w, r.WriteJSON)
	case f.asText(w):
		return r.WriteText(w)
	}
	var columns []column[costreport.Row]
	for _, field := range r.Fields() {
		name := field.Name
		if !f.csv {
			name = strings.ToUpper(strings.ReplaceAll(name, "_", " "))
		}
		columns = append(columns, column[costreport.Row]{name, func(row costreport.Row) string {
			if text := field.Text(&row); text != "" || f.csv {
				return text
			}
			return "-"
		}})
	}
	return buffered(w, func(w io.Writer) error { return printRows(w, f.rowFlags, columns, all(r.Rows())) })
}

// A gathering asks the ledger for what a report is made of.
type gathering struct {
	ctx   context.Context
	calls *ledger.Calls
	in    *costreport.Input
	by    []string
	rows  bool // of the breakdowns alone are wanted
	count func()
}

func (g *gathering) sums(since, until time.Time, by ...string) ([]costs.Sum, error) {
	defer g.count()
	sums, err := g.calls.Costs(g.ctx, ledger.CostQuery{Since: since, Until: until, By: by, Where: g.in.Where, Zone: g.in.Now.Location()})
	if errors.Is(err, ledger.ErrCostQuery) {
		err = &failure{code: 2, err: err}
	}
	return sums, err
}

func (g *gathering) gather(revenueFile string) (err error) {
	in := g.in
	if err := g.calls.ResolveCosts(g.ctx, in.Where); err != nil {
		return &failure{code: 2, err: fmt.Errorf("read --where: %w", err), hint: unknownHint(err)}
	}
	if in.Revenue != nil {
		if err := g.checkCustomers(revenueFile); err != nil {
			return err
		}
	}
	for _, by := range g.by {
		groups := strings.Split(by, "+")
		if by == "total" {
			groups = nil
		}
		sums, err := g.sums(in.Since, in.Until, groups...)
		if err != nil {
			return err
		}
		in.Breakdowns = append(in.Breakdowns, costreport.Breakdown{By: groups, Sums: sums})
	}
	if g.rows {
		return nil
	}
	if in.Names, err = g.calls.Names(g.ctx); err != nil {
		return err
	}
	for _, q := range []struct {
		into *[]costs.Sum
		by   []string
	}{{&in.Sources, []string{"source"}}, {&in.Models, []string{"provider", "model"}}} {
		if *q.into, err = g.sums(in.Since, in.Until, q.by...); err != nil {
			return err
		}
	}
	return firstError(g.days(), g.movers())
}

// checkCustomers refuses revenue of customers that no call has ever named.
func (g *gathering) checkCustomers(file string) error {
	defer g.count()
	sums, err := g.calls.Costs(g.ctx, ledger.CostQuery{By: []string{"customer"}})
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(sums))
	for _, s := range sums {
		known[s.Group[0]] = true
	}
	if err := g.in.Revenue.Unknown(file, func(customer string) bool { return known[customer] }); err != nil {
		return &failure{code: 2, err: err, hint: "a customer is named as the calls name it (x-weir-customer): see weir costs report --by customer --since 3650d"}
	}
	return nil
}

// days are those of the report's time, and what the forecast goes by: this
// month, and the weeks before today.
func (g *gathering) days() (err error) {
	in, now := g.in, g.in.Now
	if in.Daily, err = g.sums(in.Since, in.Until, "day"); err != nil {
		return err
	}
	start := time.Date(now.Year(), now.Month(), now.Day()-costreport.HistoryDays, 0, 0, 0, 0, now.Location())
	start = start.Add(time.Hour - 1).Truncate(time.Hour) // where days begin at half past, none of the day before
	history, err := g.sums(start, now.Add(time.Hour), "day")
	g.spent(history)
	return err
}

// spent takes the days that the forecast goes by.
func (g *gathering) spent(days []costs.Sum) {
	in := g.in
	for i := range days {
		day := days[i].Start
		in.History = append(in.History, costreport.DaySpend{Day: day, Cost: days[i].Cost})
		if day.Month() == in.Now.Month() && day.Year() == in.Now.Year() {
			in.Unpriced += days[i].Unpriced
		}
	}
}

// movers compares with as long a time before, by customer where calls name
// one, else by feature, else by model alone.
func (g *gathering) movers() error {
	in := g.in
	before := in.Since.Add(-in.Until.Sub(in.Since))
	for _, by := range []string{"customer", "feature", "model"} {
		groups := slices.Compact([]string{by, "model"})
		now, err := g.sums(in.Since, in.Until, groups...)
		if err != nil {
			return err
		}
		named := func(s costs.Sum) bool { return s.Group[0] != "" }
		if by != "model" && !slices.ContainsFunc(now, named) {
			continue
		}
		was, err := g.sums(before, in.Since, groups...)
		in.MoversBy, in.Before, in.Run = by, partsOf(was), partsOf(now)
		return firstError(err, g.first(before))
	}
	return nil
}

// first finds where the ledger begins, if that is within the time before.
func (g *gathering) first(before time.Time) error {
	defer g.count()
	days, err := g.calls.Costs(g.ctx, ledger.CostQuery{Until: g.in.Since, By: []string{"day"}})
	if len(days) > 0 && days[len(days)-1].Start.After(before) {
		g.in.First = days[len(days)-1].Start
	}
	return err
}

func partsOf(sums []costs.Sum) []costreport.Part {
	parts := make([]costreport.Part, len(sums))
	for i, s := range sums {
		input, _ := s.Usage.Input()
		output, _ := s.Usage.Output()
		parts[i] = costreport.Part{Group: s.Group[0], Model: s.Group[len(s.Group)-1], Calls: s.Calls, Tokens: input + output, Cost: s.Cost, Unpriced: s.Unpriced}
	}
	return parts
}
