package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/internal/sqldb"
	"weir/ledger"
)

func newKeysCommand() *cobra.Command {
	cmd := group("keys", "Virtual keys: who may call, and with what")
	cmd.AddCommand(newKeysCreateCommand(), newKeysListCommand(), newKeysRotateCommand(),
		changeKeyCommand("revoke", "End a key for good", func(k *ledger.Keys) keyChange { return k.Revoke }),
		changeKeyCommand("pause", "Refuse a key until it is resumed", func(k *ledger.Keys) keyChange { return k.Pause }),
		changeKeyCommand("resume", "End a pause", func(k *ledger.Keys) keyChange { return k.Resume }))
	return cmd
}

func newKeysCreateCommand() *cobra.Command {
	var spec ledger.KeySpec
	var expires string
	var tags []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "create [NAME]", Short: "Make a key and print it, this once", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) > 1 || len(args) == 1 && spec.Name != "" {
				return usageError(cmd, "create key: want one name")
			}
			if len(args) == 1 {
				spec.Name = args[0]
			}
			if spec.Expires, err = parseExpiry(expires, time.Now()); err != nil {
				return err
			}
			if spec.Tags, err = parseTags(tags); err != nil {
				return err
			}
			if cmd.Flags().Changed("models") && len(spec.Models) == 0 {
				return &failure{code: 2, err: errors.New("read --models: it is empty; leave it out for a key that may use every model")}
			}
			if slices.Contains(spec.Models, "") {
				return &failure{code: 2, err: errors.New("read --models: a name is empty")}
			}
			return withKeys(cmd, openKeys, func(keys *ledger.Keys) error {
				k, token, err := keys.Create(cmd.Context(), actor(), spec)
				if err != nil {
					return err
				}
				return printToken(cmd, k, token, asJSON)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&spec.Name, "name", "", "what to call the key: `NAME`")
	flags.StringVar(&spec.Project, "project", "", "the `PROJECT` that owns it, made where it is missing")
	flags.StringSliceVar(&spec.Models, "models", nil, "the only `MODELS` it may use: names or globs, by commas")
	flags.StringVar(&spec.Customer, "customer", "", "the `CUSTOMER` of calls that name none")
	flags.StringArrayVar(&tags, "tag", nil, "a tag of its calls, `NAME=VALUE`; may be repeated")
	flags.StringVar(&expires, "expires", "", "`WHEN` it ends: 90d, 12h, 2027-01-31")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// parseExpiry reads a time from now on, or a date.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			if !t.After(now) {
				return t, &failure{code: 2, err: fmt.Errorf("read --expires: %s is past", s)}
			}
			return t, nil
		}
	}
	d, err := config.ParseDuration(s)
	if err != nil || d <= 0 {
		return time.Time{}, &failure{code: 2, err: fmt.Errorf("read --expires: want 90d, 12h or a date like 2027-01-31, got %q", s)}
	}
	return now.Add(d), nil
}

func parseTags(list []string) (map[string]string, error) {
	var tags map[string]string
	for _, pair := range list {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, &failure{code: 2, err: fmt.Errorf("read --tag: want NAME=VALUE, got %q", pair)}
		}
		if tags == nil {
			tags = map[string]string{}
		}
		tags[name] = value
	}
	return tags, nil
}

// withKeys opens the keys for f: by openKeys, or by openMadeKeys where only
// keys that were made before are of use.
func withKeys(cmd *cobra.Command, open func(context.Context, *config.Config) (*ledger.Keys, *sqldb.DB, error), f func(*ledger.Keys) error) error {
	c, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	keys, db, err := open(cmd.Context(), c)
	if err != nil {
		return err
	}
	err = f(keys)
	switch {
	case errors.Is(err, ledger.ErrNoSuchKey):
		err = withHint(err, "see weir keys list")
	case errors.Is(err, ledger.ErrKeyExists):
		err = withHint(err, "rotate it for a new secret, or revoke it first")
	case errors.Is(err, ledger.ErrKeyAmbiguous):
		err = withHint(err, "name it by its id; see weir keys list")
	}
	return firstError(err, db.Close())
}

// printToken prints a new secret: alone on stdout, so that a script can take
// it, and what it belongs to on stderr.
func printToken(cmd *cobra.Command, k *ledger.Key, token string, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), struct {
			*ledger.Key
			Token string `json:"token"`
		}{k, token})
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s (%s). It is shown only now; a running server takes it within 2 seconds.\n", plain(k.Name), k.ID)
	_, err := fmt.Fprintln(cmd.OutOrStdout(), token)
	return err
}

func newKeysRotateCommand() *cobra.Command {
	var grace string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "rotate NAME|ID", Short: "Give a key a new secret and print it, this once", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(cmd, "rotate key: want one name or id, got %d", len(args))
			}
			var old time.Duration
			if grace != "" {
				var err error
				if old, err = config.ParseDuration(grace); err != nil || old < 0 {
					return &failure{code: 2, err: fmt.Errorf("read --grace: want 24h or 7d, got %q", grace)}
				}
			}
			return withKeys(cmd, openMadeKeys, func(keys *ledger.Keys) error {
				k, token, err := keys.Rotate(cmd.Context(), actor(), args[0], old)
				if err != nil {
					return err
				}
				return printToken(cmd, k, token, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&grace, "grace", "", "let the old secret work for this `TIME` longer; default: it ends now")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// A keyChange is a method of ledger.Keys.
type keyChange = func(ctx context.Context, actor, ref string) (*ledger.Key, error)

func changeKeyCommand(verb, short string, change func(*ledger.Keys) keyChange) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME|ID", Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(cmd, "%s key: want one name or id, got %d", verb, len(args))
			}
			return withKeys(cmd, openMadeKeys, func(keys *ledger.Keys) error {
				k, err := change(keys)(cmd.Context(), actor(), args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s (%s) is %s\n", plain(k.Name), k.ID, k.Status(time.Now()))
				return err
			})
		},
	}
}

// A keyRow is a key as it is listed.
type keyRow struct {
	*ledger.Key
	Status string `json:"status"`
}

func newKeysListCommand() *cobra.Command {
	var rows rowFlags
	var project string
	cmd := &cobra.Command{
		Use: "list", Short: "Show the keys, the newest first; never their secrets", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			since, err := rows.from(time.Now())
			if err := firstError(rows.check(), err); err != nil {
				return err
			}
			return withKeys(cmd, openMadeKeys, func(keys *ledger.Keys) error {
				list, err := keys.List(cmd.Context())
				if err != nil {
					return err
				}
				var out []keyRow
				for _, k := range list {
					if len(out) == rows.limit || k.Created.Before(since) {
						break // the newest come first
					}
					if project != "" && project != k.Project && project != k.ProjectID {
						continue
					}
					row := keyRow{k, k.Status(time.Now())}
					if !keys.Usable(k) {
						row.Status = "of another secret"
					}
					out = append(out, row)
				}
				return printRows(cmd.OutOrStdout(), rows, keyColumns, all(out))
			})
		},
	}
	rows.add(cmd, maxLimit)
	cmd.Flags().StringVar(&project, "project", "", "only of the project with this `NAME` or id")
	return cmd
}

var keyColumns = []column[keyRow]{
	{"ID", func(k keyRow) string { return k.ID }},
	{"NAME", func(k keyRow) string { return k.Name }},
	{"KEY", func(k keyRow) string { return k.Prefix + "…" }},
	{"STATUS", func(k keyRow) string { return k.Status }},
	{"PROJECT", func(k keyRow) string { return orDash(k.Project) }},
	{"MODELS", func(k keyRow) string { return orDash(strings.Join(k.Models, ",")) }},
	{"CUSTOMER", func(k keyRow) string { return orDash(k.Customer) }},
	{"TAGS", func(k keyRow) string { return orDash(pairs(k.Tags)) }},
	{"CREATED", func(k keyRow) string { return k.Created.Format(time.DateTime) }},
	{"EXPIRES", func(k keyRow) string {
		if k.Expires.IsZero() {
			return "never"
		}
		return k.Expires.Format(time.DateTime)
	}},
}
