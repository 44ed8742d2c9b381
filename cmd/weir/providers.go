package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/internal/app"
)

// A providerRow shows one provider, without its secrets.
type providerRow struct {
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	Dialect string   `json:"dialect"`
	APIs    []string `json:"apis"`               // that it is asked by; "?": to be found out
	BaseURL string   `json:"base_url,omitempty"` // "" = the kind's own
	Key     string   `json:"key"`                // set, not needed, missing
	From    string   `json:"from"`               // the file, or the environment's variable
	Models  []string `json:"models,omitempty"`
}

func newProvidersCommand() *cobra.Command {
	var f rowFlags
	cmd := group("providers", "The upstream accounts")
	list := &cobra.Command{
		Use: "list", Short: "Show the providers, those of the environment included", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			rows, err := timeless(f, providerRows(c))
			if err != nil {
				return err
			}
			return printRows(cmd.OutOrStdout(), f, providerColumns, rows)
		},
	}
	f.add(list, maxLimit)
	cmd.AddCommand(list, absent("report"))
	return cmd
}

var providerColumns = []column[providerRow]{
	{"NAME", func(r providerRow) string { return r.ID }},
	{"KIND", func(r providerRow) string { return r.Kind }},
	{"APIS", func(r providerRow) string { return strings.Join(conversations(r.APIs), " ") }},
	{"BASE_URL", func(r providerRow) string {
		if r.BaseURL == "" {
			return "(the vendor's)"
		}
		return r.BaseURL
	}},
	{"KEY", func(r providerRow) string { return r.Key }},
	{"FROM", func(r providerRow) string { return r.From }},
}

// conversations are those of the APIs that conversations go by.
func conversations(apis []string) (out []string) {
	for _, name := range apis {
		if slices.Contains([]string{"chat", "responses", "messages", "generate"}, strings.TrimSuffix(name, "?")) {
			out = append(out, name)
		}
	}
	return out
}

func providerRows(c *config.Config) []providerRow {
	var rows []providerRow
	for i := range c.Providers {
		p := &c.Providers[i]
		row := providerRow{ID: p.Name, Kind: p.Kind, Dialect: dialectText(p.Kind), APIs: app.ProviderAPIs(p), BaseURL: p.BaseURL, Key: "missing", From: p.From, Models: p.Models}
		switch {
		case p.Kind == "mock" && p.BaseURL == "":
			row.BaseURL, row.Key = "(inside Weir)", "not needed"
		case p.APIKey != "" || len(p.Headers) > 0:
			row.Key = "set"
		case p.HasKey():
			row.Key = "not needed"
		}
		if row.From == "" {
			row.From = c.File
		}
		rows = append(rows, row)
	}
	return rows
}
