package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/costs"
	"weir/costs/vendors"
	"weir/internal/app"
	"weir/internal/sqldb"
	"weir/ledger"
)

// defaultWindow is how far back the effect of new prices is looked at.
const defaultWindow = "30d"

func newPricesDiffCommand() *cobra.Command {
	var f rowFlags
	var rows bool
	cmd := &cobra.Command{
		Use: "diff [FILE|URL|-]", Short: "Show what other prices would have changed in the last 30 days",
		Long: "Show what other prices would have changed in the last 30 days (or --since): recorded usage, charged by both books.\n" +
			"FILE is a genai-prices data file, or a price file of one's own (.yaml). Without one the newest is fetched.\n" +
			"--rows shows the price rows that differ.",
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			x, err := openComparison(cmd, args)
			if err != nil {
				return err
			}
			if rows {
				return x.printRows(cmd.OutOrStdout(), f)
			}
			return x.printEffect(cmd, f, nil)
		},
	}
	f.add(cmd, maxLimit)
	cmd.Flags().BoolVar(&rows, "rows", false, "the price rows that differ, not their effect")
	return cmd
}

func newPricesUpdateCommand() *cobra.Command {
	var f rowFlags
	var from string
	var drop bool
	cmd := &cobra.Command{
		Use: "update", Short: "Take newer prices, and show what they would have changed", Args: noArgs,
		Long: "Take newer prices into the data directory, and show what they would have changed (as weir prices diff does).\n" +
			"A running Weir takes them at its next reload. --vendored goes back to those that Weir brings along.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if drop {
				return dropPrices(cmd)
			}
			x, err := openComparison(cmd, []string{from})
			if err != nil {
				return err
			}
			if x.base == nil {
				return &failure{code: 2, err: errors.New("a file of one's own is not taken: name it in the configuration, prices: {overrides: …}")}
			}
			return x.printEffect(cmd, f, x.take) // the prices are taken, whatever reads of the rows
		},
	}
	f.add(cmd, maxLimit)
	cmd.Flags().StringVar(&from, "from", "", "a genai-prices data file: `FILE|URL`, or - for stdin. Default: the newest that its project publishes")
	cmd.Flags().BoolVar(&drop, "vendored", false, "drop what was taken: back to the prices that Weir brings along")
	return cmd
}

func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError(cmd, "unexpected argument %q", args[1])
	}
	return nil
}

// A comparison is two price books: the one in effect, and one that might be.
type comparison struct {
	config   *config.Config
	old, now *costs.Book
	base     []byte // of the new one; nil: only the file of one's own is new
}

func openComparison(cmd *cobra.Command, args []string) (*comparison, error) {
	old, c, err := openBook(cmd)
	if err != nil {
		return nil, err
	}
	from := vendors.PricesURL
	if len(args) > 0 && args[0] != "" {
		from = args[0]
	}
	text, err := readPriceFile(cmd, from)
	if err != nil {
		return nil, err
	}
	x := &comparison{config: c, old: old}
	if ext := filepath.Ext(from); ext == ".yaml" || ext == ".yml" {
		x.now, err = app.LoadBookWith(c, nil, text, from)
	} else {
		x.base = text
		x.now, err = app.LoadBookWith(c, text, nil, "")
	}
	if err == nil && x.base != nil {
		err = x.now.Check()
	}
	if err != nil {
		return nil, &failure{code: 2, err: err}
	}
	return x, nil
}

// maxPriceFile bounds a price file that comes by stdin.
const maxPriceFile = 16 << 20

func readPriceFile(cmd *cobra.Command, from string) (text []byte, err error) {
	switch {
	case strings.Contains(from, "://"):
		return vendors.FetchPrices(cmd.Context(), from)
	case from == "-":
		if text, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxPriceFile+1)); len(text) > maxPriceFile {
			err = fmt.Errorf("stdin has more than %d bytes", maxPriceFile)
		}
	default:
		text, err = os.ReadFile(from)
	}
	if err != nil {
		return nil, &failure{code: 2, err: fmt.Errorf("read prices: %w", err)}
	}
	return text, nil
}

var changeColumns = []column[costs.RowChange]{
	{"KIND", func(r costs.RowChange) string { return r.Kind }},
	{"PROVIDER", func(r costs.RowChange) string { return r.Provider }},
	{"MODEL", func(r costs.RowChange) string { return r.Model }},
	{"METER", func(r costs.RowChange) string { return r.Meter.String() }},
	{"OLD", func(r costs.RowChange) string { return moneyOrDash(r.Old) }},
	{"NEW", func(r costs.RowChange) string { return moneyOrDash(r.New) }},
	{"PER", func(r costs.RowChange) string { return r.Unit }},
	{"WHEN", func(r costs.RowChange) string { return orDash(r.When) }},
	{"ID", func(r costs.RowChange) string { return r.ID }},
}

func moneyOrDash(m *costs.Money) string {
	if m == nil {
		return "-"
	}
	return m.String()
}

func (x *comparison) printRows(w io.Writer, f rowFlags) error {
	left := f.limit
	return buffered(w, func(w io.Writer) error {
		return printRows(w, f, changeColumns, func(yield func(costs.RowChange, error) bool) {
			costs.Changes(x.old, x.now, func(r costs.RowChange) bool {
				left--
				return left >= 0 && yield(r, nil)
			})
		})
	})
}

// An effect is what the new prices would have made of one model's calls.
type effect struct {
	ID          string      `json:"id"` // provider/model
	Provider    string      `json:"provider"`
	Model       string      `json:"model"`
	Attempts    int64       `json:"attempts"`
	Old         costs.Money `json:"old_usd"` // of the attempts that were priced by the old book
	New         costs.Money `json:"new_usd"`
	Difference  costs.Money `json:"difference_usd"`
	OldUnpriced int64       `json:"old_unpriced"` // attempts without a price
	NewUnpriced int64       `json:"new_unpriced"`
}

var effectColumns = []column[effect]{
	{"PROVIDER", func(e effect) string { return e.Provider }},
	{"MODEL", func(e effect) string { return e.Model }},
	{"ATTEMPTS", func(e effect) string { return fmt.Sprint(e.Attempts) }},
	{"OLD_USD", func(e effect) string { return e.Old.String() }},
	{"NEW_USD", func(e effect) string { return e.New.String() }},
	{"DIFFERENCE_USD", func(e effect) string { return e.Difference.String() }},
	{"OLD_UNPRICED", func(e effect) string { return fmt.Sprint(e.OldUnpriced) }},
	{"NEW_UNPRICED", func(e effect) string { return fmt.Sprint(e.NewUnpriced) }},
}

// printEffect charges what was recorded by both books, does then, if any, and
// prints. The summary goes to stderr: rows are what a pipe wants.
func (x *comparison) printEffect(cmd *cobra.Command, f rowFlags, then func(*cobra.Command) error) error {
	f.since = cmp.Or(f.since, defaultWindow)
	since, err := f.from(time.Now())
	if err := firstError(f.check(), err); err != nil {
		return err
	}
	list, err := x.effects(cmd, since)
	if err != nil {
		return err
	}
	var total costs.Money
	for _, e := range list {
		total = total.Add(e.Difference)
	}
	rows := 0
	costs.Changes(x.old, x.now, func(costs.RowChange) bool { rows++; return true })
	differs := "differ"
	if rows == 1 {
		differs = "differs"
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s -> %s: %s %s, effect since %s: $%s\n",
		x.old.Version(), x.now.Version(), counted(rows, "row"), differs, since.UTC().Format(time.DateOnly), total)
	if then != nil {
		if err := then(cmd); err != nil {
			return err
		}
	}
	return printRows(cmd.OutOrStdout(), f, effectColumns, all(list[:min(len(list), f.limit)]))
}

// effects are by model, the largest difference first.
func (x *comparison) effects(cmd *cobra.Command, since time.Time) ([]effect, error) {
	db, err := sqldb.OpenExisting(x.config.Store)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing has been recorded yet
	}
	if err != nil {
		return nil, err
	}
	p := startProgress(cmd.ErrOrStderr(), "charge calls")
	defer p.end()
	byModel := map[string]*effect{}
	old, now := app.Repricer(x.config, x.old), app.Repricer(x.config, x.now)
	q := ledger.Query{Attempts: true}
	q.Since = since
	err = ledger.NewCalls(db, x.config.Spool.Dir).Each(cmd.Context(), q, func(c *ledger.Call) error {
		p.rows.Add(1)
		for i := range c.Attempts {
			x.add(byModel, old, now, c, &c.Attempts[i])
		}
		return nil
	})
	if err = firstError(err, db.Close()); err != nil {
		return nil, err
	}
	var list []effect
	for _, e := range byModel {
		e.Difference = e.New.Sub(e.Old)
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b effect) int {
		return cmp.Or(size(b.Difference).Cmp(size(a.Difference)), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func size(m costs.Money) costs.Money {
	if m.Sign() < 0 {
		return m.Neg()
	}
	return m
}

// A repricer charges an attempt by one book.
type repricer func(*ledger.Call, *ledger.Attempt) ledger.Charge

// add charges one attempt by both books.
func (x *comparison) add(to map[string]*effect, old, now repricer, c *ledger.Call, a *ledger.Attempt) {
	if a.Usage.IsZero() {
		return
	}
	model := cmp.Or(a.ServedModel, a.Model)
	id := a.Provider + "/" + model
	e := to[id]
	if e == nil {
		e = &effect{ID: id, Provider: a.Provider, Model: model}
		to[id] = e
	}
	e.Attempts++
	was, is := old(c, a).Computed, now(c, a).Computed
	e.Old, e.New = e.Old.Add(was.Money), e.New.Add(is.Money)
	if !was.Known {
		e.OldUnpriced++
	}
	if !is.Known {
		e.NewUnpriced++
	}
}

// take keeps the new prices in the data directory.
func (x *comparison) take(cmd *cobra.Command) error {
	path := app.BasePrices(x.config)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep prices: %w", err)
	}
	part := path + ".part"
	if err := os.WriteFile(part, x.base, 0o600); err != nil {
		return fmt.Errorf("keep prices: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("keep prices: %w", err)
	}
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), "taken: %s. A running Weir takes it when it reloads (SIGHUP)\n", path)
	return err
}

func dropPrices(cmd *cobra.Command) error {
	c, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	path := app.BasePrices(c)
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = fmt.Fprintln(cmd.ErrOrStderr(), "nothing to drop: the vendored prices are those in use")
		return err
	}
	if err != nil {
		return fmt.Errorf("drop prices: %w", err)
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "dropped: %s. A running Weir goes back when it reloads (SIGHUP)\n", path)
	return err
}
