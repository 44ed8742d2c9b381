package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/console"
	"weir/internal/app"
	"weir/internal/sqldb"
	"weir/ledger"
)

func newLimitsSetCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "set", Args: noArgs,
		Short: "Set a limit, in the place of the one with the same scope, tag, value, dimension and action",
		Long: `Set a limit, in the place of the one with the same scope, tag, value, dimension and action. It is kept in the store; every
running Weir that shares it takes it within a second, and it goes before the configuration's until weir limits unset.`,
		Example: `  weir limits set --scope customer --value acme --usd-per-month 400 --zone Europe/Berlin
  weir limits set --scope key --requests-per-minute 600 --tokens-per-minute 1M --concurrent 50
  weir limits set --scope feature --value summaries --usd-per-day 20 --action downgrade --downgrade-to gpt-4o-mini`,
	}
	entry := addLimitFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		text, err := entry()
		if err != nil {
			return err
		}
		return withLimits(cmd, func(c *config.Config, db *sqldb.DB) error {
			list, err := app.SetLimit(cmd.Context(), db, c, actor(), text)
			if err != nil {
				return limitProblem(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), shownCeilings(list))
			}
			for i := range list {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is %s, %s\n", plain(list[i].ID()), ceilingAmount(list[i].Shown()), list[i].Action); err != nil {
					return err
				}
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "A running server takes it within a second.")
			warnLimit(cmd.ErrOrStderr(), c, text)
			return tellOthers(cmd.Context(), cmd.ErrOrStderr(), c, db, list)
		})
	}
	return cmd
}

// A limitFlag is the flag of a key of an entry of limits: a text of a kind.
type limitFlag struct{ text, kind string }

// String, Set and Type are pflag's.
func (f *limitFlag) String() string     { return f.text }
func (f *limitFlag) Set(s string) error { f.text = s; return nil }
func (f *limitFlag) Type() string       { return f.kind }

// addLimitFlags adds a flag for each key of an entry of limits; entry is what
// was given, as JSON.
func addLimitFlags(cmd *cobra.Command) (entry func() ([]byte, error)) {
	flags, all := cmd.Flags(), map[string]*limitFlag{}
	for _, k := range config.LimitKeys() {
		f := &limitFlag{kind: limitWord(k.Name)}
		doc := strings.ToLower(k.Doc[:1]) + strings.TrimSuffix(k.Doc[1:], ".")
		if k.Name == "soft" {
			doc = strings.Replace(doc, "ascending; [] is none", "by commas; empty: none", 1)
		}
		name := strings.ReplaceAll(k.Name, "_", "-")
		flags.Var(f, name, doc)
		if k.Name == "strict" {
			flags.Lookup(name).NoOptDefVal = "on"
		}
		all[k.Name] = f
	}
	flags.SortFlags = false
	return func() ([]byte, error) {
		given := map[string]any{}
		for key, f := range all {
			name := strings.ReplaceAll(key, "_", "-")
			switch {
			case !flags.Changed(name):
			case key == "soft" && f.text == "":
				given[key] = []string{}
			case key == "soft":
				given[key] = strings.Split(f.text, ",")
			case strings.TrimSpace(f.text) == "": // a variable of the shell's without a value: --value would be for everybody
				return nil, &failure{code: 2, err: fmt.Errorf("read --%s: it is empty", name)}
			default:
				given[key] = f.text
			}
		}
		return json.Marshal(given)
	}
}

// limitWord stands for a flag's value in the help.
func limitWord(key string) string {
	switch {
	case strings.HasPrefix(key, "usd_"), key == "unpriced", key == "exposure":
		return "DOLLARS"
	case strings.Contains(key, "_per_"), key == "concurrent", key == "burst":
		return "N"
	case key == "downgrade_to":
		return "MODEL"
	case key == "queue":
		return "TIME"
	case key == "on_store_failure":
		return "POLICY"
	case key == "soft":
		return "PERCENTS"
	case key == "strict":
		return "on|off"
	}
	return strings.ToUpper(key)
}

// limitProblem makes a usage error of what an entry has wrong.
func limitProblem(err error) error {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		return err
	}
	for i := range problems {
		if problems[i].Hint == "" && strings.Contains(problems[i].What, "want dollars") {
			problems[i].Hint = "a shell reads $25 as its own: write 25, or '$25'"
		}
		problems[i].What = "set limit: " + problems[i].What
	}
	return problems
}

// warnLimit says what an entry does that one may not think of.
func warnLimit(w io.Writer, c *config.Config, entry []byte) {
	l, err := config.ParseLimit(entry)
	if err != nil { // it was read before
		return
	}
	for _, p := range c.LimitWarnings(l) {
		fmt.Fprintf(w, "warning: %s\n", p.What)
		if p.Hint != "" {
			fmt.Fprintf(w, "hint: %s\n", p.Hint)
		}
	}
}

// tellOthers says which limits of other actions stand beside the ones that
// were set: who meant to replace them would not know.
func tellOthers(ctx context.Context, w io.Writer, c *config.Config, db *sqldb.DB, list []app.Ceiling) error {
	set, err := ledger.NewLimits(db).List(ctx)
	if err != nil {
		return err
	}
	all, err := app.Ceilings(c, set)
	for i := range all {
		for k := range list {
			a, b := &all[i], &list[k]
			if a.Scope == b.Scope && a.Tag == b.Tag && a.Value == b.Value && a.Measure() == b.Measure() && a.Action != b.Action {
				fmt.Fprintf(w, "%s stands beside it: %s, %s.\n", plain(a.ID()), ceilingAmount(a.Shown()), a.Action)
			}
		}
	}
	return err
}

func newLimitsUnsetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "unset LIMIT", Args: cobra.ArbitraryArgs,
		Short:   "Take back a limit that was set, by its name in weir limits list",
		Example: "  weir limits unset customer usd_per_month acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			id := strings.Join(args, " ") // the words of a name need no quotes
			if id == "" {
				return usageError(cmd, "unset limit: want the name of one")
			}
			return withLimits(cmd, func(c *config.Config, db *sqldb.DB) error {
				was, err := app.UnsetLimit(cmd.Context(), db, c, actor(), id)
				switch {
				case errors.Is(err, ledger.ErrNoSuchLimit):
					return withHint(err, "see weir limits list")
				case errors.Is(err, console.ErrConfigured):
					return withHint(err, "weir limits set changes its amount")
				case err != nil:
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is no longer set\n", plain(was.ID()))
				for _, l := range app.Limits(c) {
					if one := (&app.Ceiling{Limit: l}); err == nil && one.ID() == was.ID() {
						_, err = fmt.Fprintf(cmd.ErrOrStderr(), "The configuration's holds again: %s, %s.\n", ceilingAmount(one.Shown()), one.Action)
					}
				}
				return err
			})
		},
	}
}

func shownCeilings(list []app.Ceiling) []console.Ceiling {
	out := make([]console.Ceiling, len(list))
	for i := range list {
		out[i] = list[i].Shown()
	}
	return out
}

// withLimits opens the store of the configured server, which need not have been
// started yet.
func withLimits(cmd *cobra.Command, f func(*config.Config, *sqldb.DB) error) error {
	c, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	db, err := openStore(cmd.Context(), c)
	if err != nil {
		return err
	}
	return firstError(f(c, db), db.Close())
}

// ceilings are the limits of a configuration and those that were set. Where
// there is no store yet none was.
func ceilings(ctx context.Context, c *config.Config) ([]app.Ceiling, error) {
	db, err := openMadeStore(ctx, c, "")
	if errors.Is(err, fs.ErrNotExist) {
		return app.Ceilings(c, nil)
	}
	if err != nil {
		return nil, err
	}
	set, err := ledger.NewLimits(db).List(ctx)
	if err := firstError(err, db.Close()); err != nil {
		return nil, err
	}
	return app.Ceilings(c, set)
}
