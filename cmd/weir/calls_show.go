package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"weir/costs"
	"weir/ledger"
)

// callColumns are what fits a line.
var callColumns = []column[*ledger.Call]{
	{"TIME", func(c *ledger.Call) string { return c.Start.Format(time.DateTime) }},
	{"ID", func(c *ledger.Call) string { return c.ID }},
	{"STATUS", func(c *ledger.Call) string { return strconv.Itoa(c.Status) }},
	{"OUTCOME", func(c *ledger.Call) string { return string(c.Outcome) }},
	{"PROVIDER", func(c *ledger.Call) string { return orDash(c.Provider) }},
	{"MODEL", func(c *ledger.Call) string { return orDash(firstOf(c.Model, c.AskedModel)) }},
	{"INPUT", func(c *ledger.Call) string { return tokens(c.Usage.Input()) }},
	{"OUTPUT", func(c *ledger.Call) string { return tokens(c.Usage.Output()) }},
	{"COST USD", func(c *ledger.Call) string { return costText(c.Cost, c.CostSource) }},
	{"TTFT", func(c *ledger.Call) string { return span(c.TTFT) }},
	{"TOTAL", func(c *ledger.Call) string { return span(c.Total) }},
	{"CUSTOMER", func(c *ledger.Call) string { return orDash(c.Customer) }},
}

// callFields are the columns of CSV: every field of a call, by its JSON name.
var callFields = func() []column[*ledger.Call] {
	text := func(name string, f func(*ledger.Call) string) column[*ledger.Call] {
		return column[*ledger.Call]{name, f}
	}
	number := func(name string, f func(*ledger.Call) int64) column[*ledger.Call] {
		return column[*ledger.Call]{name, func(c *ledger.Call) string { return strconv.FormatInt(f(c), 10) }}
	}
	fields := []column[*ledger.Call]{
		text("id", func(c *ledger.Call) string { return c.ID }),
		text("start", func(c *ledger.Call) string { return c.Start.Format(time.RFC3339Nano) }),
		text("project_id", func(c *ledger.Call) string { return c.ProjectID }),
		text("key_id", func(c *ledger.Call) string { return c.KeyID }),
		text("customer", func(c *ledger.Call) string { return c.Customer }),
		text("feature", func(c *ledger.Call) string { return c.Feature }),
		text("session", func(c *ledger.Call) string { return c.Session }),
		text("user", func(c *ledger.Call) string { return c.User }),
		text("tags", func(c *ledger.Call) string { return pairs(c.Tags) }),
		text("metadata", func(c *ledger.Call) string { return pairs(c.Metadata) }),
		text("user_agent", func(c *ledger.Call) string { return c.UserAgent }),
		text("trace_id", func(c *ledger.Call) string { return c.TraceID }),
		text("dialect", func(c *ledger.Call) string { return c.Dialect }),
		text("api", func(c *ledger.Call) string { return c.API }),
		text("method", func(c *ledger.Call) string { return c.Method }),
		text("path", func(c *ledger.Call) string { return c.Path }),
		text("asked_model", func(c *ledger.Call) string { return c.AskedModel }),
		text("route", func(c *ledger.Call) string { return c.Route }),
		text("stream", func(c *ledger.Call) string { return strconv.FormatBool(c.Stream) }),
		text("provider", func(c *ledger.Call) string { return c.Provider }),
		text("model", func(c *ledger.Call) string { return c.Model }),
		text("served_model", func(c *ledger.Call) string { return c.ServedModel }),
		number("status", func(c *ledger.Call) int64 { return int64(c.Status) }),
		text("outcome", func(c *ledger.Call) string { return string(c.Outcome) }),
		text("error_class", func(c *ledger.Call) string { return c.ErrorClass }),
		text("stop_reason", func(c *ledger.Call) string { return c.StopReason }),
		text("usage_source", func(c *ledger.Call) string { return string(c.UsageSource) }),
		text("cost_usd", func(c *ledger.Call) string { return c.Cost.String() }), // unknown is not 0
		text("cost_source", func(c *ledger.Call) string { return string(c.CostSource) }),
	}
	for _, m := range costs.Meters() {
		fields = append(fields, text(m.String(), func(c *ledger.Call) string {
			if n, known := c.Usage.Get(m); known {
				return strconv.FormatInt(n, 10)
			}
			return "" // unknown is not 0
		}))
	}
	return append(fields,
		number("queue_ns", func(c *ledger.Call) int64 { return int64(c.Queue) }),
		number("ttft_ns", func(c *ledger.Call) int64 { return int64(c.TTFT) }),
		number("total_ns", func(c *ledger.Call) int64 { return int64(c.Total) }),
		number("bytes_in", func(c *ledger.Call) int64 { return c.BytesIn }),
		number("bytes_out", func(c *ledger.Call) int64 { return c.BytesOut }),
		text("dropped", func(c *ledger.Call) string { return strings.Join(c.Dropped, ",") }),
		number("attempts", func(c *ledger.Call) int64 { return int64(c.AttemptCount) }),
	)
}()

func newCallsShowCommand() *cobra.Command {
	var asJSON, bodies bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show one call with its attempts", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(cmd, "show call: want one id, got %d", len(args))
			}
			return showCall(cmd, args[0], asJSON, bodies)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with the bodies where they are kept")
	cmd.Flags().BoolVar(&bodies, "bodies", false, "print the bodies, too, where capture has kept them")
	return cmd
}

func showCall(cmd *cobra.Command, id string, asJSON, withBodies bool) error {
	calls, db, err := openCalls(cmd)
	if err != nil {
		return err
	}
	defer db.Close() // read only
	c, err := calls.Get(cmd.Context(), id)
	if errors.Is(err, ledger.ErrNoSuchCall) {
		return withHint(fmt.Errorf("show call: %w", err), "see weir calls list; a call that has not ended yet is not there")
	}
	if err != nil {
		return err
	}
	bodies, err := calls.Bodies(cmd.Context(), id)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if asJSON {
		return printJSON(w, struct {
			*ledger.Call
			Bodies *ledger.Bodies `json:"bodies,omitempty"`
		}{c, bodies})
	}
	if err := printCall(w, c); err != nil || !withBodies {
		return err
	}
	return printBodies(w, bodies)
}

// printCall prints what is known of a call, a fact a line, and its attempts.
func printCall(w io.Writer, c *ledger.Call) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fact := func(name, value string) {
		if value != "" && value != "-" {
			fmt.Fprintf(out, "%s\t%s\n", name, plain(value))
		}
	}
	for _, f := range callFields {
		switch value := f.text(c); f.name {
		case "queue_ns", "ttft_ns", "total_ns", "attempts":
		case "start":
			fact("start", c.Start.Format("2006-01-02 15:04:05.000 MST"))
		case "stream":
			if c.Stream {
				fact("stream", "yes")
			}
		default:
			fact(f.name, value)
		}
	}
	fact("queue", span(c.Queue))
	fact("ttft", span(c.TTFT))
	fact("total", span(c.Total))
	for i := range c.Attempts {
		a := &c.Attempts[i]
		fmt.Fprintf(out, "\nattempt %d\t%s\n", a.N, plain(strings.TrimSpace(a.Provider+" "+a.Model)))
		if a.Status > 0 {
			fact("  status", strconv.Itoa(a.Status))
		}
		fact("  api", a.API)
		fact("  error_class", a.ErrorClass)
		fact("  stop_reason", a.StopReason)
		fact("  served_model", a.ServedModel)
		fact("  service_tier", a.ServiceTier)
		fact("  request_id", a.RequestID)
		fact("  start", "+"+a.Start.Round(time.Microsecond).String())
		fact("  ttft", span(a.TTFT))
		fact("  total", span(a.Total))
		if !a.Usage.IsZero() {
			fact("  usage", string(a.Usage.AppendJSON(nil))+" by "+string(a.UsageSource))
		}
		if a.Inconsistent {
			fact("  usage_inconsistent", "it does not add up to the provider's own totals")
		}
		fact("  raw_usage", string(a.RawUsage))
		printCharge(fact, a)
	}
	return out.Flush()
}

// printCharge prints what an attempt cost and what made it.
func printCharge(fact func(name, value string), a *ledger.Attempt) {
	if a.CostSource == "" {
		return
	}
	fact("  cost_usd", a.Cost.String())
	fact("  cost_source", string(a.CostSource))
	fact("  why_unpriced", a.Why)
	if a.Charged.Known || a.List != a.Computed {
		fact("  charged_usd", a.Charged.String())
		fact("  computed_usd", a.Computed.String())
		fact("  list_usd", a.List.String())
	}
	if a.Wasted {
		fact("  wasted", "yes: it reached no client whole")
	}
	fact("  book", a.Book)
	fact("  terms", a.Terms)
	for _, l := range a.Lines {
		fact("  price", priceText(l))
	}
	for i := range a.Adjustments {
		printAdjustment(fact, &a.Adjustments[i])
	}
}

func priceText(l ledger.PriceLine) string {
	return l.Meter.String() + " $" + l.Amount.String() + " by " + l.Row
}

// printAdjustment prints what was known of a cost before, what is known since,
// and by what. The attempt's own lines are those of the last one.
func printAdjustment(fact func(name, value string), d *ledger.Adjustment) {
	fact(fmt.Sprintf("  adjustment %d", d.Seq), fmt.Sprintf("%s: %s to %s, by %s", d.At.UTC().Format("2006-01-02 15:04:05 MST"),
		sourceText(d.From, d.FromSource), sourceText(d.Cost, d.CostSource), firstOf(d.Reason, "nobody said why")))
	if d.Cost.Known {
		fact("    change_usd", d.Cost.Sub(d.From.Money).String())
	}
	fact("    why_unpriced", d.Why)
	if d.List.Known && d.List != d.Cost {
		fact("    list_usd", d.List.String())
	}
	fact("    book", d.Book)
	for _, l := range d.Lines {
		fact("    price", priceText(l))
	}
}

// sourceText is an amount with where it comes from.
func sourceText(a ledger.Amount, source ledger.CostSource) string {
	if !a.Known {
		return firstOf(string(source), "nothing")
	}
	return "$" + a.String() + " (" + string(source) + ")"
}

// costText shows an amount, or that there is one which nobody knows.
func costText(a ledger.Amount, source ledger.CostSource) string {
	switch {
	case source == ledger.CostUnpriced:
		return string(source)
	case source == ledger.CostEstimated:
		return "~" + a.String()
	}
	return orDash(a.String())
}

func printBodies(w io.Writer, b *ledger.Bodies) error {
	if b == nil {
		_, err := fmt.Fprintln(w, "\nno bodies are kept of this call (capture: {bodies: on})")
		return err
	}
	cut := ""
	if b.Truncated {
		cut = " (cut at the capture limit)"
	}
	_, err := fmt.Fprintf(w, "\nrequest%s:\n%s\n\nresponse%s:\n%s\n", cut, harmlessText(b.Request), cut, harmlessText(b.Response))
	return err
}

// harmlessText keeps lines, and takes out what could move a terminal's cursor.
func harmlessText(b []byte) string {
	lines := strings.Split(string(b), "\n")
	for i := range lines {
		lines[i] = plain(strings.ReplaceAll(lines[i], "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// tokens shows a count; one that is unknown is not 0.
func tokens(n int64, known bool) string {
	if !known {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// span shows a duration with what matters of it; "-" for none.
func span(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

func pairs(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ",")
}
