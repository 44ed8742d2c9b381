package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/costs"
	"weir/internal/app"
)

func newPricesCommand() *cobra.Command {
	cmd := group("prices", "What calls cost: the price book")
	cmd.AddCommand(newPricesListCommand(), newPricesShowCommand(), newPricesExplainCommand(), newPricesUpdateCommand(), newPricesDiffCommand(), newPricesSchemaCommand())
	return cmd
}

// openBook makes the price book of the configuration that the command line means.
func openBook(cmd *cobra.Command) (*costs.Book, *config.Config, error) {
	c, err := loadConfig(cmd)
	if err != nil {
		return nil, nil, err
	}
	b, err := app.LoadBook(c)
	if err != nil {
		return nil, nil, &failure{code: 2, err: err}
	}
	return b, c, nil
}

// bookFor makes the price book, and finds whose prices a provider's name
// means: a provider of the configuration has those that its calls have, any
// other name is one of the price book's own.
func bookFor(cmd *cobra.Command, name string) (b *costs.Book, t costs.Terms, err error) {
	b, c, err := openBook(cmd)
	if err != nil {
		return nil, t, err
	}
	if p := c.Provider(name); p != nil && c.File != "" {
		t = app.PriceTerms(p, b)
		t.Provider = cmp.Or(p.PricedAs(b.ProviderAt), "none")
		if _, ok := b.ProviderID(name); !ok || t.Provider != "none" || !p.GPUHour.IsZero() {
			return b, t, nil
		}
	}
	return b, costs.Terms{Provider: name}, nil
}

// A priceFlags is which prices are meant.
type priceFlags struct {
	provider, model, at string
	all                 bool
}

func (f *priceFlags) query() (q costs.RowQuery, err error) {
	q = costs.RowQuery{Provider: f.provider, Model: f.model, At: time.Now().UTC(), Active: !f.all}
	if f.at != "" {
		if q.At, err = parseInstant(f.at); err != nil {
			err = &failure{code: 2, err: fmt.Errorf("read --at: %w", err)}
		}
	}
	return q, err
}

var priceColumns = []column[costs.PriceRow]{
	{"PROVIDER", func(r costs.PriceRow) string { return r.Provider }},
	{"MODEL", func(r costs.PriceRow) string { return r.Model }},
	{"METER", func(r costs.PriceRow) string { return r.Meter.String() }},
	{"USD", func(r costs.PriceRow) string { return r.USD.String() }},
	{"PER", func(r costs.PriceRow) string { return r.Unit }},
	{"WHEN", func(r costs.PriceRow) string { return orDash(r.When) }},
	{"FROM", func(r costs.PriceRow) string { return dateOf(r.From) }},
	{"TO", func(r costs.PriceRow) string { return dateOf(r.To) }},
	{"STATUS", func(r costs.PriceRow) string { return r.Status }},
	{"ID", func(r costs.PriceRow) string { return r.ID }},
}

func dateOf(t time.Time) string {
	switch {
	case t.IsZero():
		return "-"
	case t.Equal(t.Truncate(24 * time.Hour)):
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

func newPricesListCommand() *cobra.Command {
	var f rowFlags
	var which priceFlags
	cmd := &cobra.Command{
		Use: "list", Short: "Show price rows in force", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listPrices(cmd, &f, &which) },
	}
	f.add(cmd, maxLimit)
	which.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&which.model, "model", "", "only of this `MODEL`, a name or a glob like gpt-5*")
	flags.BoolVar(&which.all, "all", false, "past, scheduled, announced and cancelled rows, too")
	return cmd
}

func (f *priceFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.provider, "provider", "", "only of this `PROVIDER`")
	flags.StringVar(&f.at, "at", "", "the rows in force at this `TIME`. Default now")
}

func listPrices(cmd *cobra.Command, f *rowFlags, which *priceFlags) error {
	q, err := which.query()
	if err != nil {
		return err
	}
	since, err := f.from(time.Now())
	if err := firstError(f.check(), err); err != nil {
		return err
	}
	b, _, err := openBook(cmd)
	if err != nil {
		return err
	}
	if q.Provider != "" {
		if _, ok := b.ProviderID(q.Provider); !ok {
			return &failure{code: 2, err: fmt.Errorf("the price book has no provider %q", q.Provider), hint: "it has " + strings.Join(b.Providers(), ", ")}
		}
	}
	left := f.limit
	return buffered(cmd.OutOrStdout(), func(w io.Writer) error {
		return printRows(w, *f, priceColumns, func(yield func(costs.PriceRow, error) bool) {
			b.Rows(q, func(r costs.PriceRow) bool {
				if r.From.Before(since) && !since.IsZero() {
					return true
				}
				left--
				return left >= 0 && yield(r, nil)
			})
		})
	})
}

func newPricesShowCommand() *cobra.Command {
	var f rowFlags
	var which priceFlags
	cmd := &cobra.Command{
		Use: "show MODEL", Short: "Show all price rows of a model, past and scheduled ones included",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(cmd, "want one model: NAME or PROVIDER/NAME")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			b, _, err := openBook(cmd)
			if err != nil {
				return err
			}
			which.model, which.all = args[0], true
			if name, model, ok := strings.Cut(args[0], "/"); ok && which.provider == "" {
				if _, known := b.ProviderID(name); known {
					which.provider, which.model = name, model
				}
			}
			if err := missingModel(b, &which); err != nil {
				return err
			}
			return listPrices(cmd, &f, &which)
		},
	}
	f.add(cmd, maxLimit)
	which.add(cmd)
	return cmd
}

// missingModel is the error of a model that the book does not have.
func missingModel(b *costs.Book, which *priceFlags) error {
	if _, known := b.ProviderID(which.provider); which.provider != "" && !known || b.HasModel(which.provider, which.model) {
		return nil // an unknown provider is told of by who lists
	}
	err := fmt.Errorf("the price book has no model %q", which.model)
	if which.provider != "" {
		err = fmt.Errorf("%w of %s", err, which.provider)
	}
	return &failure{code: 1, err: err, hint: nearHint(b.NearModels(which.provider, which.model))}
}

func nearHint(near []string) string {
	if len(near) == 0 {
		return "see weir prices list"
	}
	return "did you mean " + strings.Join(near, ", ") + "?"
}

func newPricesSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of a price file, for editors", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(costs.PricesSchema())
			return err
		},
	}
}
