package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/internal/app"
)

// A routeRow is one target of one route.
type routeRow struct {
	ID       string   `json:"id"` // route number, what, target number: 0/target/1
	Route    string   `json:"route"`
	As       string   `json:"as"` // target or fallback
	Provider string   `json:"provider"`
	Kind     string   `json:"kind"`
	Dialect  string   `json:"dialect"`       // "any" for mocks
	APIs     []string `json:"apis"`          // that the provider is asked by; "?": to be found out
	Model    string   `json:"model"`         // "" = the asked name
	Weight   int      `json:"weight"`        // 0 for fallbacks
	Can      *canRow  `json:"can,omitempty"` // what is known of the model
	Note     string   `json:"note,omitempty"`
}

func newRoutesCommand() *cobra.Command {
	var f rowFlags
	cmd := &cobra.Command{
		Use: "routes", Short: "Show the routes and where each goes", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			rows, err := timeless(f, routeRows(c))
			if err != nil {
				return err
			}
			return printRows(cmd.OutOrStdout(), f, routeColumns, rows)
		},
	}
	f.add(cmd, maxLimit)
	return cmd
}

var routeColumns = []column[routeRow]{
	{"ROUTE", func(r routeRow) string { return r.Route }},
	{"AS", func(r routeRow) string { return r.As }},
	{"PROVIDER", func(r routeRow) string { return r.Provider }},
	{"APIS", func(r routeRow) string { return strings.Join(conversations(r.APIs), " ") }},
	{"MODEL", func(r routeRow) string {
		if r.Model == "" {
			return "(as asked)"
		}
		return r.Model
	}},
	{"WEIGHT", func(r routeRow) string {
		if r.As == "fallback" {
			return ""
		}
		return strconv.Itoa(r.Weight)
	}},
	{"NOTE", func(r routeRow) string { return r.Note }},
}

func routeRows(c *config.Config) []routeRow {
	var rows []routeRow
	for i, r := range c.Routes {
		add := func(list []config.Target, as string) {
			for j, t := range list {
				rows = append(rows, newRouteRow(c, strconv.Itoa(i)+"/"+as+"/"+strconv.Itoa(j), r, t, as))
			}
		}
		add(r.Targets, "target")
		add(r.Fallbacks, "fallback")
	}
	return rows
}

func newRouteRow(c *config.Config, id string, r config.Route, t config.Target, as string) routeRow {
	p := c.Provider(t.Provider) // a valid configuration has it
	row := routeRow{ID: id, Route: r.Model, As: as, Provider: t.Provider, Kind: p.Kind, Dialect: dialectText(p.Kind), APIs: app.ProviderAPIs(p), Model: t.Model, Can: newCanRow(factsOf(c, r, t))}
	if as == "target" {
		row.Weight = t.Weight
	}
	carried := lacking(app.ProviderAPIs(c.Provider(r.Targets[0].Provider)), row.APIs)
	var notes []string
	if len(carried) > 0 {
		notes = append(notes, "carried for callers of "+strings.Join(carried, ", "))
	}
	if over := passedOver(c, r, t); over != "" {
		notes = append(notes, over)
	}
	if !p.HasKey() && c.Auth != config.AuthPassthrough {
		notes = []string{"no api_key: passed over"}
	}
	row.Note = strings.Join(notes, "; ")
	return row
}

// lacking are the APIs that callers of the first provider surely have for their
// conversations and that another one has not.
func lacking(first, other []string) (out []string) {
	for _, name := range conversations(first) {
		if !strings.HasSuffix(name, "?") && !slices.Contains(other, name) && !slices.Contains(other, name+"?") {
			out = append(out, name)
		}
	}
	return out
}

func dialectText(kind string) string {
	if d := config.Dialect(kind); d != "" {
		return d
	}
	return "any"
}
