package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/internal/app"
	"weir/internal/sqldb"
	"weir/ledger"
)

func newCostsCommand() *cobra.Command {
	cmd := group("costs", "What calls cost")
	cmd.AddCommand(newCostsReportCommand(), newCostsRepriceCommand(), newCostsRebuildCommand())
	for _, verb := range []string{"forecast", "anomalies", "customers", "bridge", "whatif", "reconcile", "export"} {
		cmd.AddCommand(absent(verb))
	}
	return cmd
}

// openCosts opens the store of the configured server, which may be running, to
// change what stands in it of costs.
func openCosts(ctx context.Context, c *config.Config) (*sqldb.DB, error) {
	return openMadeStore(ctx, c, "nothing has been recorded there: start weir serve, or name its configuration with --config")
}

func newCostsRepriceCommand() *cobra.Command {
	var since, until rowFlags
	var all, dry, asJSON bool
	cmd := &cobra.Command{
		Use: "reprice", Short: "Price past calls by the price book as it is now",
		Long: "Price past calls by the price book as it is now: those without a price, or with --all every one that\n" +
			"its provider has not charged itself. Rows stay as they were; adjustments say what is known now.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			from, err := since.from(now)
			if err != nil {
				return err
			}
			to, err := until.from(now)
			if err != nil {
				return err
			}
			return repriceCosts(cmd, ledger.Repricing{Since: from, Until: to, All: all, DryRun: dry}, asJSON)
		},
	}
	cmd.Flags().StringVar(&since.since, "since", "", "only calls since `WHEN`: 24h, 7d, 2026-11-25, 2026-11-25T10:00:00Z")
	cmd.Flags().StringVar(&until.since, "until", "", "only calls before `WHEN`")
	cmd.Flags().BoolVar(&all, "all", false, "calls that have a price, too")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would change, and change nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func repriceCosts(cmd *cobra.Command, o ledger.Repricing, asJSON bool) error {
	book, c, err := openBook(cmd)
	if err != nil {
		return err
	}
	db, err := openCosts(cmd.Context(), c)
	if err != nil {
		return err
	}
	defer db.Close() // what was written is committed
	p := startProgress(cmd.ErrOrStderr(), "costs reprice")
	o.Price, o.Reason, o.Progress = app.Repricer(c, book), "weir costs reprice", p.rows.Store
	out, err := ledger.Reprice(cmd.Context(), db, o)
	p.end()
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), out)
	}
	did := "adjusted"
	if o.DryRun {
		did = "would be adjusted"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d calls looked at, %d attempts %s by $%s in all, %d still unpriced\n",
		out.Calls, out.Adjusted, did, out.Delta, out.Unpriced)
	return err
}

func newCostsRebuildCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "rebuild", Short: "Make the rollups that reports read anew, from calls, attempts and adjustments", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			db, err := openCosts(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer db.Close() // what was written is committed
			p := startProgress(cmd.ErrOrStderr(), "costs rebuild, by the hour")
			out, err := ledger.RebuildCosts(cmd.Context(), db, p.rows.Store)
			p.end()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), out)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d hours looked at, %d were wrong and are made anew\n", out.Hours, out.Wrong)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
