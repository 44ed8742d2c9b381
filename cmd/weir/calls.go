package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/ledger"
)

func newCallsCommand() *cobra.Command {
	cmd := group("calls", "What was asked, tried and used")
	cmd.AddCommand(newCallsListCommand(), newCallsShowCommand(), newCallsTailCommand(), newCallsExportCommand())
	return cmd
}

// A callFlags is which calls are meant.
type callFlags struct {
	filter ledger.Filter
	until  string
	status string
	tags   []string
}

func (f *callFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.filter.Project, "project", "", "only of the project with this `NAME` or id")
	flags.StringVar(&f.filter.Key, "key", "", "only by the key with this `NAME` or id")
	flags.StringVar(&f.filter.Customer, "customer", "", "only for this `CUSTOMER`")
	flags.StringVar(&f.filter.Feature, "feature", "", "only for this `FEATURE`")
	flags.StringVar(&f.filter.Session, "session", "", "only of this `SESSION`")
	flags.StringVar(&f.filter.Provider, "provider", "", "only answered by this `PROVIDER`")
	flags.StringVar(&f.filter.Model, "model", "", "only of this `MODEL`, as the provider was asked for it")
	flags.StringVar(&f.filter.Route, "route", "", "only by the route for this `MODEL`")
	flags.StringVar(&f.filter.API, "api", "", "only of this `API`: chat, responses, messages …")
	flags.StringVar((*string)(&f.filter.Outcome), "outcome", "", "only with this `OUTCOME`: ok, error, aborted, interrupted")
	flags.StringVar(&f.filter.TriedAt, "tried-provider", "", "only with an attempt at this `PROVIDER`")
	flags.StringVar(&f.filter.TriedModel, "tried-model", "", "only with an attempt at this `MODEL`")
	flags.StringVar((*string)(&f.filter.CostSource), "cost-source", "", "only with an attempt whose cost comes from this `SOURCE`: provider, computed, estimated, free, unpriced")
	flags.BoolVar(&f.filter.Wasted, "wasted", false, "only with an attempt whose output reached no client whole: retried, fallen back from, left, broken")
	flags.StringVar(&f.status, "status", "", "only with this HTTP `STATUS`: 429, or 5xx for all of them")
	flags.BoolVar(&f.filter.Cached, "cached", false, "only with an attempt whose input was read from a vendor's cache, or written to it")
	flags.StringArrayVar(&f.filter.Without, "without", nil, "only without this `NAME`: customer, feature, project, key, session, tags, tag:NAME, provider, model, or source of a cost; may be repeated")
	flags.StringVar(&f.filter.AllTags, "all-tags", "", "only with just these tags, as `JSON` in the report's form, or ~ for those too long for it")
	flags.StringArrayVar(&f.tags, "tag", nil, "only with this tag, `NAME[=VALUE]`; may be repeated")
}

// addUntil adds the flag that makes sense only for what is past.
func (f *callFlags) addUntil(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.until, "until", "", "only rows before `WHEN`")
}

// query reads the flags and finds the ids of names.
func (f *callFlags) query(ctx context.Context, calls *ledger.Calls, rows *rowFlags) (ledger.Query, error) {
	q := ledger.Query{Filter: f.filter, Limit: rows.limit}
	if err := rows.check(); err != nil {
		return q, err
	}
	now := time.Now()
	var err error
	if q.Since, err = rows.from(now); err != nil {
		return q, err
	}
	if q.Until, err = (&rowFlags{since: f.until}).from(now); err != nil {
		return q, &failure{code: 2, err: fmt.Errorf("read --until: want 24h, 7d or a date like 2026-11-25, got %q", f.until)}
	}
	if q.StatusMin, q.StatusMax, err = parseStatus(f.status); err != nil {
		return q, err
	}
	for _, tag := range f.tags {
		name, value, _ := strings.Cut(tag, "=")
		if q.Tags == nil {
			q.Tags = map[string]string{}
		}
		q.Tags[name] = value
	}
	switch q.Outcome {
	case "", ledger.OK, ledger.Failed, ledger.Aborted, ledger.Interrupted:
	default:
		return q, &failure{code: 2, err: fmt.Errorf("read --outcome: want ok, error, aborted or interrupted, got %q", q.Outcome)}
	}
	switch q.CostSource {
	case "", ledger.CostByProvider, ledger.CostComputed, ledger.CostEstimated, ledger.CostFree, ledger.CostUnpriced:
	default:
		return q, &failure{code: 2, err: fmt.Errorf("read --cost-source: want provider, computed, estimated, free or unpriced, got %q", q.CostSource)}
	}
	for _, name := range q.Without {
		if err := ledger.CheckWithout(name); err != nil {
			return q, &failure{code: 2, err: fmt.Errorf("read --without: %w", err)}
		}
	}
	q.Filter, err = calls.Resolve(ctx, q.Filter)
	if hint := unknownHint(err); hint != "" {
		err = &failure{code: 2, err: err, hint: hint}
	}
	return q, err
}

// unknownHint says where the keys and projects are that a name could mean.
func unknownHint(err error) string {
	if errors.Is(err, ledger.ErrNoSuchKey) || errors.Is(err, ledger.ErrNoSuchProject) || errors.Is(err, ledger.ErrKeyAmbiguous) {
		return "see weir keys list, which names the projects, too"
	}
	return ""
}

func parseStatus(s string) (low, high int, err error) {
	if s == "" {
		return 0, 0, nil
	}
	if digit, ok := strings.CutSuffix(strings.ToLower(s), "xx"); ok && len(digit) == 1 && digit >= "1" && digit <= "5" {
		low = int(digit[0]-'0') * 100
		return low, low + 99, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 599 {
		return 0, 0, &failure{code: 2, err: fmt.Errorf("read --status: want a status like 429 or 5xx, got %q", s)}
	}
	return n, n, nil
}

func newCallsListCommand() *cobra.Command {
	var rows rowFlags
	var which callFlags
	var before string
	cmd := &cobra.Command{
		Use: "list", Short: "Show calls, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if before != "" && !ledger.IsCallID(before) {
				return &failure{code: 2, err: fmt.Errorf("read --before: want the id of a call, got %q", before)}
			}
			if rows.limit == 0 {
				return printRows(cmd.OutOrStdout(), rows, callColumns, all([]*ledger.Call(nil)))
			}
			return withCalls(cmd, &which, &rows, func(calls *ledger.Calls, q ledger.Query) error {
				q.Before = before
				columns := callColumns
				if rows.csv {
					columns = callFields
				}
				p := startProgress(cmd.ErrOrStderr(), "list calls")
				defer p.end()
				return buffered(cmd.OutOrStdout(), func(w io.Writer) error {
					return printRows(w, rows, columns, rowsOf(cmd.Context(), calls, q, p))
				})
			})
		},
	}
	rows.add(cmd, 50)
	which.add(cmd)
	which.addUntil(cmd)
	cmd.Flags().StringVar(&before, "before", "", "only calls older than the one with this `ID`: the next page")
	return cmd
}

// withCalls opens the ledger and reads the flags for f.
func withCalls(cmd *cobra.Command, which *callFlags, rows *rowFlags, f func(*ledger.Calls, ledger.Query) error) error {
	calls, db, err := openCalls(cmd)
	if err != nil {
		return err
	}
	q, err := which.query(cmd.Context(), calls, rows)
	if err == nil {
		err = f(calls, q)
	}
	return firstError(err, db.Close())
}

// buffered writes in large steps where a terminal does not want lines at once.
// printRows still has to see the terminal.
func buffered(w io.Writer, f func(io.Writer) error) error {
	if isTerminal(w) {
		return f(w)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	return firstError(f(out), out.Flush())
}

// errEnough ends a listing whose reader wants no more.
var errEnough = errors.New("enough")

// rowsOf are the calls of a query as they are read.
func rowsOf(ctx context.Context, calls *ledger.Calls, q ledger.Query, p *progress) iter.Seq2[*ledger.Call, error] {
	return func(yield func(*ledger.Call, error) bool) {
		err := calls.Each(ctx, q, func(c *ledger.Call) error {
			p.rows.Add(1)
			if !yield(c, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

func newCallsExportCommand() *cobra.Command {
	var rows rowFlags
	var which callFlags
	var path string
	cmd := &cobra.Command{
		Use: "export", Short: "Write calls with their attempts, one JSON object a line, the newest first", Args: noArgs,
		Long: "Write calls with their attempts, one JSON object a line, the newest first.\n--csv writes the calls alone, --json one array.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withCalls(cmd, &which, &rows, func(calls *ledger.Calls, q ledger.Query) error {
				q.Attempts = !rows.csv
				p := startProgress(cmd.ErrOrStderr(), "export calls")
				defer p.end()
				return toFile(cmd.OutOrStdout(), path, func(w io.Writer) error {
					found := rowsOf(cmd.Context(), calls, q, p)
					if rows.json || rows.csv {
						return printRows(w, rows, callFields, found)
					}
					return printLines(w, found)
				})
			})
		},
	}
	rows.add(cmd, maxLimit)
	which.add(cmd)
	which.addUntil(cmd)
	cmd.Flags().StringVarP(&path, "output", "o", "", "write to this `FILE`, which appears when it is whole")
	return cmd
}

// toFile writes to a file that takes its name once it is whole, or to w where
// there is no path.
func toFile(w io.Writer, path string, f func(io.Writer) error) error {
	if path == "" {
		out := bufio.NewWriterSize(w, 64<<10)
		return firstError(f(out), out.Flush())
	}
	file, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	out := bufio.NewWriterSize(file, 64<<10)
	if err := firstError(f(out), out.Flush(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func printLines(w io.Writer, rows iter.Seq2[*ledger.Call, error]) error {
	enc := json.NewEncoder(w)
	for c, err := range rows {
		if err != nil {
			return err
		}
		if err := enc.Encode(c); err != nil {
			return err
		}
	}
	return nil
}

func newCallsTailCommand() *cobra.Command {
	var which callFlags
	var rows rowFlags
	cmd := &cobra.Command{
		Use: "tail", Short: "Show the newest calls, and every further one as it ends", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return withCalls(cmd, &which, &rows, func(calls *ledger.Calls, q ledger.Query) error {
				return follow(ctx, cmd.OutOrStdout(), calls, q, rows.json)
			})
		},
	}
	cmd.Flags().BoolVar(&rows.json, "json", false, "print one JSON object a line")
	cmd.Flags().IntVarP(&rows.limit, "limit", "n", 10, "begin with the last `N` calls")
	cmd.Flags().StringVar(&rows.since, "since", "", "begin with calls since `WHEN` at the earliest")
	which.add(cmd)
	return cmd
}

func follow(ctx context.Context, w io.Writer, calls *ledger.Calls, q ledger.Query, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		return calls.Follow(ctx, q, func(c *ledger.Call) error { return enc.Encode(c) })
	}
	line := func(cells []string) error { return writeTabbed(w, cells) }
	if isTerminal(w) {
		line = func(cells []string) error { return writeAligned(w, cells) }
	}
	none := func(func(*ledger.Call, error) bool) {}
	if err := eachRow(callColumns, none, line); err != nil { // the header
		return err
	}
	return calls.Follow(ctx, q, func(c *ledger.Call) error {
		cells := make([]string, len(callColumns))
		for i, col := range callColumns {
			cells[i] = plain(col.text(c))
		}
		return line(cells)
	})
}

// tailWidths are the columns' widths on a terminal, where lines come one by
// one and cannot be fitted to each other. They go with callColumns.
var tailWidths = []int{19, 37, 6, 11, 12, 28, 7, 7, 7, 7, 1}

func writeAligned(w io.Writer, cells []string) error {
	var b strings.Builder
	for i, cell := range cells {
		fmt.Fprintf(&b, "%-*s  ", tailWidths[i], cell)
	}
	_, err := io.WriteString(w, strings.TrimRight(b.String(), " ")+"\n")
	return err
}
