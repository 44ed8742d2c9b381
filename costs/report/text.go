package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"weir/costs"
)

// WriteText writes the report for a terminal. Amounts are rounded to cents.
func (r *Report) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "Costs, %s\n\n", plain(r.Span()))
	for _, line := range r.Landing() {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out)
	aligned(out, func(t io.Writer) {
		for _, f := range r.Facts() {
			fmt.Fprintf(t, "%s\t%s\t%s\n", f.Name, f.Figure, f.Words)
		}
	})
	if r.Total.Attempts == 0 {
		fmt.Fprintln(out, "\nThere are no calls in this time.")
		return out.Flush()
	}
	r.writeUnpriced(out)
	r.writeIdle(out)
	for i := range r.Tables {
		r.Tables[i].writeText(out)
	}
	r.writeMovers(out)
	fmt.Fprintf(out, "\nIts calls: %s (+ --customer, --feature, --model …)\n", plain(r.Command))
	return out.Flush()
}

func aligned(w io.Writer, f func(io.Writer)) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	f(t)
	_ = t.Flush() // w keeps its error
}

func (r *Report) writeUnpriced(w io.Writer) {
	if len(r.Unpriced) == 0 {
		return
	}
	fmt.Fprintf(w, "\nWithout a price\n")
	aligned(w, func(t io.Writer) {
		for _, row := range r.Unpriced {
			fmt.Fprintf(t, "%s\t%s\n", plain(row.Name()), plural(row.Sum.Unpriced, "attempt", "attempts"))
		}
	})
}

func (r *Report) writeIdle(w io.Writer) {
	if len(r.Idle) == 0 {
		return
	}
	fmt.Fprintf(w, "\nOwn GPUs\n")
	aligned(w, func(t io.Writer) {
		fmt.Fprintln(t, "PROVIDER\tPAID\tBUSY\tIDLE\tIDLE %\tTO BUY")
		for i := range r.Idle {
			d := &r.Idle[i]
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", plain(d.Provider), Cents(d.Paid), d.busyText(), d.idleText(), d.share(), d.bought(), d.verdict())
		}
	})
}

func (t *Table) writeText(w io.Writer) {
	fmt.Fprintf(w, "\nCosts %s\n", plain(t.title()))
	head := []string{strings.ToUpper(strings.Join(t.By, " · ")), "COST", "SHARE", "CALLS", "A CALL", "WASTED", "UNPRICED"}
	if t.HasRevenue {
		head = append(head, "REVENUE", "MARGIN", "%")
	}
	aligned(w, func(out io.Writer) {
		fmt.Fprintln(out, tabbed(head))
		for i := range t.Rows {
			fmt.Fprintln(out, tabbed(t.cells(&t.Rows[i])))
		}
	})
	if t.Losses > 0 {
		fmt.Fprintf(w, "%s more than they pay.\n", plural(int64(t.Losses), "customer costs", "customers cost"))
	}
}

func (t *Table) cells(row *Row) []string {
	s := &row.Sum
	cells := []string{row.Name(), Cost(s), t.share(row), Count(s.Calls), perCall(s), wasted(s), Count(s.Unpriced)}
	if t.HasRevenue {
		cells = append(cells, income(row), margin(row), marginShare(row))
	}
	return cells
}

func (t *Table) share(row *Row) string {
	if !Known(&row.Sum) {
		return "–"
	}
	return share(row.Sum.Cost, t.Total.Cost)
}

func perCall(s *costs.Sum) string {
	m, ok := PerCall(s)
	switch {
	case !ok:
		return "–"
	case s.Unpriced > 0:
		return "≥ " + small(m)
	}
	return small(m)
}

func wasted(s *costs.Sum) string {
	if !Known(s) {
		return "unknown"
	}
	return Cents(s.Wasted)
}

func income(row *Row) string {
	if row.Income == nil {
		return "unknown"
	}
	return Cents(*row.Income)
}

// margin is an upper bound where a part of the cost is unpriced.
func margin(row *Row) string {
	m, ok := row.Margin()
	switch {
	case !ok:
		return "unknown"
	case row.Sum.Unpriced > 0:
		return atMost(m)
	}
	return Cents(m)
}

func marginShare(row *Row) string {
	m, ok := row.Margin()
	if !ok {
		return "–"
	}
	return share(m, *row.Income)
}

func (r *Report) writeMovers(w io.Writer) {
	fmt.Fprintf(w, "\nWhat moved by %s, against %s\n", r.MoversBy, r.before())
	if !r.Compared {
		fmt.Fprintln(w, "There were no calls then to compare with.")
		return
	}
	aligned(w, func(t io.Writer) {
		for i := range r.Movers {
			m := &r.Movers[i]
			before, now := m.sums()
			fmt.Fprintf(t, "%s\t%s\t%s → %s\t%s\n", plain(groupName(m.Group)), signed(m.Change), Cost(before), Cost(now), m.why())
		}
	})
}

func tabbed(cells []string) string {
	for i, cell := range cells {
		cells[i] = plain(cell)
	}
	return strings.Join(cells, "\t")
}

// plain keeps what clients have sent from moving the cursor or a column.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}
