package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/alerts"
	"weir/config"
	"weir/internal/app"
	"weir/internal/sqldb"
)

func newAlertsCommand() *cobra.Command {
	cmd := group("alerts", "What operators are told at once, and whether it reaches them")
	cmd.AddCommand(newAlertsTestCommand(), newAlertsListCommand())
	return cmd
}

// A testRow is how a webhook took a test.
type testRow struct {
	ID     string  `json:"id"` // the webhook's name
	Format string  `json:"format"`
	OK     bool    `json:"ok"`
	Answer string  `json:"answer"`         // "200 OK", or why there was none
	Said   string  `json:"said,omitempty"` // the begin of its body
	Took   float64 `json:"seconds"`
}

var testColumns = []column[testRow]{
	{"WEBHOOK", func(r testRow) string { return r.ID }},
	{"FORMAT", func(r testRow) string { return r.Format }},
	{"RESULT", func(r testRow) string {
		if r.OK {
			return "ok"
		}
		return "failed"
	}},
	{"ANSWER", func(r testRow) string { return r.Answer }},
	{"SAID", func(r testRow) string { return orDash(r.Said) }},
	{"SECONDS", func(r testRow) string { return strconv.FormatFloat(r.Took, 'f', 3, 64) }},
}

func newAlertsTestCommand() *cobra.Command {
	var f rowFlags
	cmd := &cobra.Command{
		Use: "test [WEBHOOK]...", Short: "Send a test to each webhook and show what comes back", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := f.from(time.Now()); firstError(f.check(), err) != nil {
				return firstError(f.check(), err)
			}
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			hooks, err := chosenWebhooks(c, args)
			if err != nil {
				return err
			}
			rows := testWebhooks(cmd.Context(), hooks)
			if err := printRows(cmd.OutOrStdout(), f, testColumns, all(rows[:min(len(rows), f.limit)])); err != nil {
				return err
			}
			var failed []string
			for _, r := range rows {
				if !r.OK {
					failed = append(failed, r.ID)
				}
			}
			if len(failed) > 0 {
				return withHint(fmt.Errorf("test alerts: not taken by %s", strings.Join(failed, ", ")), "its url, headers and secret are in alerts.webhooks of the configuration")
			}
			return nil
		},
	}
	f.add(cmd, maxLimit)
	return cmd
}

// chosenWebhooks are the configured webhooks, or those of the given names.
func chosenWebhooks(c *config.Config, names []string) ([]alerts.Webhook, error) {
	hooks := app.Webhooks(c)
	if len(hooks) == 0 {
		return nil, &failure{code: 2, err: errors.New("test alerts: no webhook is configured"), hint: "alerts: {webhooks: [{url: https://…}]} in the configuration"}
	}
	var have []string
	for _, h := range hooks {
		have = append(have, h.Name)
	}
	for _, name := range names {
		if !slices.Contains(have, name) {
			return nil, &failure{code: 2, err: fmt.Errorf("test alerts: there is no webhook %q", name), hint: "there are " + strings.Join(have, ", ")}
		}
	}
	if len(names) > 0 {
		hooks = slices.DeleteFunc(hooks, func(h alerts.Webhook) bool { return !slices.Contains(names, h.Name) })
	}
	return hooks, nil
}

// testWebhooks sends a test to each webhook, one after the other.
func testWebhooks(ctx context.Context, hooks []alerts.Webhook) (rows []testRow) {
	e := alerts.NewTest(time.Now())
	for i := range hooks {
		a := hooks[i].Post(ctx, &e)
		rows = append(rows, testRow{
			ID: hooks[i].Name, Format: hooks[i].Format, OK: a.Err == nil, Answer: a.Summary(), Said: a.Said, Took: a.Took.Round(time.Millisecond).Seconds(),
		})
	}
	return rows
}

var alertColumns = []column[alerts.Told]{
	{"TIME", func(a alerts.Told) string { return a.At.Format(time.DateTime) }},
	{"ID", func(a alerts.Told) string { return a.ID }},
	{"KIND", func(a alerts.Told) string { return string(a.Kind) }},
	{"TOLD", func(a alerts.Told) string {
		var list []string
		for _, d := range a.Deliveries {
			list = append(list, d.Webhook+": "+d.State)
		}
		return orDash(strings.Join(list, ", "))
	}},
	{"TEXT", func(a alerts.Told) string { return a.Text }},
}

func newAlertsListCommand() *cobra.Command {
	var f rowFlags
	var kind string
	cmd := &cobra.Command{
		Use: "list", Short: "Show what was told, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			since, err := f.from(time.Now())
			if err := firstError(f.check(), err); err != nil {
				return err
			}
			if kind != "" && !slices.Contains(alerts.Kinds, alerts.Kind(kind)) {
				return &failure{code: 2, err: fmt.Errorf("read --kind: want one of %s, got %q", strings.Join(config.AlertKinds(), ", "), kind)}
			}
			db, err := openAlerts(cmd)
			if err != nil {
				return err
			}
			rows := eachAlert(cmd.Context(), db, alerts.Query{Since: since, Kind: alerts.Kind(kind)}, f.limit)
			return firstError(printRows(cmd.OutOrStdout(), f, alertColumns, rows), db.Close())
		},
	}
	f.add(cmd, maxLimit)
	cmd.Flags().StringVar(&kind, "kind", "", "only alerts of this `KIND`")
	return cmd
}

// openAlerts opens the store of the configured server.
func openAlerts(cmd *cobra.Command) (*sqldb.DB, error) {
	c, err := loadConfig(cmd)
	if err != nil {
		return nil, err
	}
	return openMadeStore(cmd.Context(), c, "nothing has been told there: start weir serve, or name its configuration with --config")
}

// alertsPage is how many alerts are read at once.
const alertsPage = 500

// eachAlert reads what was told page by page, up to a limit.
func eachAlert(ctx context.Context, db *sqldb.DB, q alerts.Query, limit int) iter.Seq2[alerts.Told, error] {
	return func(yield func(alerts.Told, error) bool) {
		for limit > 0 {
			q.Limit = min(limit, alertsPage)
			page, err := alerts.List(ctx, db, q)
			if err != nil {
				yield(alerts.Told{}, err)
				return
			}
			for _, a := range page {
				if !yield(a, nil) {
					return
				}
			}
			if len(page) < q.Limit {
				return
			}
			limit -= len(page)
			q.Before = page[len(page)-1].ID
		}
	}
}
