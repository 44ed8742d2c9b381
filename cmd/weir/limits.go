package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/console"
	"weir/internal/app"
)

func newLimitsCommand() *cobra.Command {
	cmd := group("limits", "What callers may ask for, and how it stands")
	cmd.AddCommand(newLimitsListCommand(), newLimitsStatusCommand(), newLimitsSetCommand(), newLimitsUnsetCommand())
	return cmd
}

var limitColumns = []column[console.Ceiling]{
	{"LIMIT", func(r console.Ceiling) string { return r.ID }},
	{"AMOUNT", ceilingAmount},
	{"BURST", func(r console.Ceiling) string {
		if r.Burst == 0 {
			return "-"
		}
		return strconv.FormatInt(r.Burst, 10)
	}},
	{"ACTION", func(r console.Ceiling) string { return r.Action }},
	{"SOURCE", func(r console.Ceiling) string { return r.Source }},
}

// ceilingAmount is a limit's amount: dollars of budgets, else a number.
func ceilingAmount(r console.Ceiling) string { return amount(r.Limit, r.LimitUSD) }

func amount(n int64, usd string) string {
	if usd != "" {
		return "$" + usd
	}
	return strconv.FormatInt(n, 10)
}

func newLimitsListCommand() *cobra.Command {
	var f rowFlags
	cmd := &cobra.Command{
		Use: "list", Short: "Show the limits, of the configuration and set", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			list, err := ceilings(cmd.Context(), c)
			if err != nil {
				return err
			}
			rows, err := timeless(f, shownCeilings(list))
			if err != nil {
				return err
			}
			return printRows(cmd.OutOrStdout(), f, limitColumns, rows)
		},
	}
	f.add(cmd, maxLimit)
	return cmd
}

var standingColumns = []column[console.Limit]{
	{"SCOPE", func(r console.Limit) string {
		if r.Tag != "" {
			return r.Scope + ":" + r.Tag
		}
		return r.Scope
	}},
	{"VALUE", func(r console.Limit) string { return cmp.Or(r.Value, "-") }},
	{"MEASURE", func(r console.Limit) string { return r.Measure }},
	{"LIMIT", func(r console.Limit) string { return amount(r.Limit, r.LimitUSD) }},
	{"USED", func(r console.Limit) string { return amount(r.Used, r.UsedUSD) }},
	{"RESERVED", func(r console.Limit) string { return amount(r.Reserved, r.ReservedUSD) }},
	{"REMAINING", func(r console.Limit) string { return amount(r.Remaining, r.RemainingUSD) }},
	{"RESET", func(r console.Limit) string {
		if r.LimitUSD != "" {
			return r.Reset.Round(time.Second).String()
		}
		return r.Reset.Round(time.Millisecond).String()
	}},
	{"ACTION", func(r console.Limit) string { return r.Action }},
	{"PROJECT", func(r console.Limit) string { return cmp.Or(r.Project, "-") }},
	{"SINCE", func(r console.Limit) string {
		if r.Since.IsZero() {
			return "-"
		}
		return inZone(r.Since, r.Zone).Format(time.RFC3339)
	}},
}

// inZone is a time in the zone of that name; in UTC where it is not known here.
func inZone(t time.Time, name string) time.Time {
	z, err := time.LoadLocation(name)
	if err != nil {
		return t.UTC()
	}
	return t.In(z)
}

func newLimitsStatusCommand() *cobra.Command {
	var f rowFlags
	cmd := &cobra.Command{
		Use: "status", Short: "Show how the limits of the running Weir stand, as far as they are in use", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			tellStore(cmd.Context(), cmd.ErrOrStderr(), c)
			list, err := standings(cmd.Context(), c)
			if err != nil {
				if answer, ok := errors.AsType[*answerError](err); ok && answer.status != http.StatusUnauthorized {
					return fmt.Errorf("ask the running Weir at %s: %w", c.Admin.Listen, err)
				}
				if errors.Is(err, syscall.ECONNREFUSED) {
					err = errors.New("none answers there")
				}
				return withHint(fmt.Errorf("ask the running Weir at %s: %w", c.Admin.Listen, err), "the counts are in its memory: is weir serve running, with this configuration?")
			}
			rows, err := timeless(f, list)
			if err != nil {
				return err
			}
			return printRows(cmd.OutOrStdout(), f, standingColumns, rows)
		},
	}
	f.add(cmd, maxLimit)
	return cmd
}

// standings asks the running Weir how its limits stand.
func standings(ctx context.Context, c *config.Config) ([]console.Limit, error) {
	var page struct {
		Data []console.Limit `json:"data"`
	}
	err := askRunning(ctx, c, "limits", &page)
	return page.Data, err
}

// maxAnswer bounds what is read of the running Weir's answer.
const maxAnswer = 256 << 20

// askRunning asks the admin API of the running Weir.
func askRunning(ctx context.Context, c *config.Config, path string, into any) error {
	token, err := app.AdminToken(c)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(c.Admin.Listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/api/v1/"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+string(token.Value))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return newAnswerError(resp)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read its answer: %w", err)
	}
	return nil
}

// An answerError is what the running Weir says in place of what it was asked for.
type answerError struct {
	status int
	text   string
}

func newAnswerError(resp *http.Response) *answerError {
	var body struct{ Error struct{ Message string } }
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&body) // what is not a Weir's says its status alone
	e := &answerError{resp.StatusCode, "it answers " + resp.Status}
	if body.Error.Message != "" {
		e.text += ": " + body.Error.Message
	}
	return e
}

func (e *answerError) Error() string { return e.text }
