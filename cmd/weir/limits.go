package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/internal/app"
	"weir/limits"
)

func newLimitsCommand() *cobra.Command {
	cmd := group("limits", "What callers may ask for, and how it stands")
	cmd.AddCommand(newLimitsListCommand(), newLimitsStatusCommand(), absent("set"))
	return cmd
}

// A limitRow is one configured ceiling.
type limitRow struct {
	ID      string `json:"id"`
	Scope   string `json:"scope"`
	Tag     string `json:"tag,omitempty"`
	Measure string `json:"measure"`
	Limit   int64  `json:"limit"`
	Burst   int64  `json:"burst,omitempty"` // 0: as much as the limit
	Action  string `json:"action"`
}

var limitColumns = []column[limitRow]{
	{"LIMIT", func(r limitRow) string { return r.ID }},
	{"AMOUNT", func(r limitRow) string { return strconv.FormatInt(r.Limit, 10) }},
	{"BURST", func(r limitRow) string {
		if r.Burst == 0 {
			return "-"
		}
		return strconv.FormatInt(r.Burst, 10)
	}},
	{"ACTION", func(r limitRow) string { return r.Action }},
}

func newLimitsListCommand() *cobra.Command {
	var f rowFlags
	cmd := &cobra.Command{
		Use: "list", Short: "Show the configured limits", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			var list []limitRow
			for _, l := range app.Limits(c) {
				list = append(list, newLimitRow(l))
			}
			rows, err := timeless(f, list)
			if err != nil {
				return err
			}
			return printRows(cmd.OutOrStdout(), f, limitColumns, rows)
		},
	}
	f.add(cmd, maxLimit)
	return cmd
}

func newLimitRow(l *limits.Limit) limitRow {
	return limitRow{ID: l.Name(), Scope: string(l.Scope), Tag: l.Tag, Measure: l.Measure(), Limit: l.Amount, Burst: l.Burst, Action: string(l.Action)}
}

// A standingRow is how a limit stands, as the admin API says it.
type standingRow struct {
	ID        string `json:"id"`
	Scope     string `json:"scope"`
	Value     string `json:"value,omitempty"`
	Measure   string `json:"measure"`
	Limit     int64  `json:"limit"`
	Used      int64  `json:"used"`
	Reserved  int64  `json:"reserved"`
	Remaining int64  `json:"remaining"`
	Reset     int64  `json:"reset"` // nanoseconds
	Action    string `json:"action"`
}

var standingColumns = []column[standingRow]{
	{"SCOPE", func(r standingRow) string { return r.Scope }},
	{"VALUE", func(r standingRow) string {
		if r.Value == "" {
			return "-"
		}
		return r.Value
	}},
	{"MEASURE", func(r standingRow) string { return r.Measure }},
	{"LIMIT", func(r standingRow) string { return strconv.FormatInt(r.Limit, 10) }},
	{"USED", func(r standingRow) string { return strconv.FormatInt(r.Used, 10) }},
	{"RESERVED", func(r standingRow) string { return strconv.FormatInt(r.Reserved, 10) }},
	{"REMAINING", func(r standingRow) string { return strconv.FormatInt(r.Remaining, 10) }},
	{"RESET", func(r standingRow) string { return time.Duration(r.Reset).Round(time.Millisecond).String() }},
	{"ACTION", func(r standingRow) string { return r.Action }},
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
func standings(ctx context.Context, c *config.Config) ([]standingRow, error) {
	var page struct {
		Data []standingRow `json:"data"`
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
		return fmt.Errorf("it answers %s", resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read its answer: %w", err)
	}
	return nil
}
