package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/costs"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sum(calls, attempts, unpriced int64, cost string, group ...string) costs.Sum {
	s := costs.Sum{Group: group, Calls: calls, Attempts: attempts, Unpriced: unpriced, Cost: costs.USD(cost), List: costs.USD(cost)}
	s.Usage.Set(costs.Input, 1000*calls)
	s.Usage.Set(costs.Output, 200*calls)
	return s
}

// smallInput is a report's input that has a little of everything.
func smallInput() Input {
	now := time.Date(2026, 11, 21, 12, 30, 0, 0, time.UTC)
	budget := costs.USD("500")
	acme := sum(1200, 1260, 0, "120.004000000000000001", "acme")
	acme.Wasted = costs.USD("6.01")
	globex := sum(40, 40, 10, "0.0000012", "globex & sons")
	in := Input{
		Since: now.AddDate(0, 0, -30).Truncate(time.Hour), Until: now.Add(time.Hour).Truncate(time.Hour), Now: now, Where: map[string]string{}, Limit: 4,
		Breakdowns: []Breakdown{
			{[]string{"customer"}, []costs.Sum{
				acme, sum(300, 300, 0, "45.5", `<script>alert("1")</script>`), sum(10, 10, 0, "3", "=cmd|' /C calc'!A0"),
				sum(5, 5, 0, "0.01", ""), sum(5, 5, 0, "0.004", "last"), globex, sum(7, 7, 7, "0", "dark"),
			}},
			{[]string{"provider", "model"}, []costs.Sum{sum(1560, 1620, 0, "168.518000000000000001", "openai", "gpt-5"), sum(47, 47, 17, "0.0000012", "local", "llama")}},
			{nil, []costs.Sum{sum(1607, 1667, 17, "168.518001200000000001")}},
		},
		Models:   []costs.Sum{sum(47, 47, 17, "0.0000012", "local", "llama")},
		MoversBy: "customer", Budget: &budget,
		Before: []Part{{Group: "dark", Model: "gpt-5", Calls: 9, Tokens: 90, Cost: costs.USD("2")}, {Group: "acme", Model: "gpt-5", Calls: 500, Tokens: 600_000, Cost: costs.USD("50")}, {Group: "left", Model: "gpt-5", Calls: 5, Tokens: 600, Cost: costs.USD("1")}},
		Run:    []Part{{Group: "dark", Model: "m", Calls: 7, Tokens: 70, Unpriced: 7}, {Group: "acme", Model: "gpt-5", Calls: 1200, Tokens: 1_440_000, Cost: costs.USD("120.004000000000000001")}, {Group: `<script>alert("1")</script>`, Model: "gpt-5", Calls: 300, Tokens: 1000, Cost: costs.USD("45.5")}},
		Revenue: Revenue{
			"acme": {costs.USD("100"), 2}, `<script>alert("1")</script>`: {costs.USD("900"), 3}, "quiet": {costs.USD("20"), 4}, "dark": {costs.USD("5"), 5},
		},
	}
	computed, provider, estimated, unpriced := sum(1500, 1550, 0, "150", "computed"), sum(60, 60, 0, "10.518001200000000001", "provider"), sum(40, 40, 0, "8", "estimated"), sum(7, 17, 17, "0", "unpriced")
	computed.Wasted = costs.USD("6.01")
	provider.Charged, provider.List = costs.USD("10.518001200000000001"), costs.USD("10.1")
	estimated.Estimated, estimated.Guessed = estimated.Cost, 40
	in.Sources = []costs.Sum{computed, provider, estimated, unpriced}
	for i := range 50 {
		day := midnight(now).AddDate(0, 0, i-49)
		s := sum(50, 55, 0, fmt.Sprint(2+i%7+i*i%5), day.Format(time.DateOnly))
		s.Start = day
		if i >= 20 {
			in.Daily = append(in.Daily, s)
		}
		in.History = append(in.History, DaySpend{day, s.Cost})
	}
	in.First = midnight(now).AddDate(0, 0, -49)
	return in
}

func machineRows(r *Report) []byte {
	var out strings.Builder
	for _, f := range r.Fields() {
		out.WriteString(f.Name + "|")
	}
	for _, row := range r.Rows() {
		out.WriteString("\n")
		for _, f := range r.Fields() {
			out.WriteString(f.Text(&row) + "|")
		}
	}
	return []byte(out.String() + "\n")
}

// tinyInput is a first hour, of cents and less.
func tinyInput() Input {
	now := time.Date(2026, 11, 21, 12, 30, 0, 0, time.UTC)
	provider, unpriced := sum(2, 2, 0, "0.0178999", "provider"), sum(1, 1, 1, "0", "unpriced")
	provider.Charged, provider.Compared, provider.Drifted = costs.USD("0.0038"), 1, 1
	provider.Drift, provider.DriftOf = costs.USD("-0.0012"), costs.USD("0.005")
	bought := costs.USD("0.004")
	return Input{
		Since: now.AddDate(0, 0, -1).Truncate(time.Hour), Until: now.Add(time.Hour).Truncate(time.Hour), Now: now, Where: map[string]string{}, Limit: 4,
		Sources:    []costs.Sum{provider, unpriced},
		Breakdowns: []Breakdown{{[]string{"customer"}, []costs.Sum{sum(2, 2, 0, "0.0178999", "acme"), sum(1, 1, 1, "0", "dark")}}},
		MoversBy:   "customer",
		Before:     []Part{{Group: "acme", Model: "m", Calls: 2, Tokens: 2000, Cost: costs.USD("0.019")}},
		Run:        []Part{{Group: "acme", Model: "m", Calls: 2, Tokens: 2000, Cost: costs.USD("0.0178999")}},
		Own:        []Own{{Provider: "rack", GPUHour: costs.USD("1.20"), From: now.Add(-time.Hour), Sum: sum(1, 2, 1, "0.0002"), Bought: &bought}},
		Revenue:    Revenue{"acme": {costs.USD("0.0175"), 2}, "dark": {costs.USD("0.004"), 3}},
	}
}

func TestGolden(t *testing.T) {
	r := Build(smallInput())
	var text, tiny bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if err := Build(tinyInput()).WriteText(&tiny); err != nil {
		t.Fatal(err)
	}
	rows, err := json.MarshalIndent(r.Rows(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"small.txt": text.Bytes(), "tiny.txt": tiny.Bytes(), "small.json": append(rows, '\n'), "small.rows": machineRows(r)} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs; see it with go test ./costs/report -update and git diff", name)
		}
	}
}

func TestReportOfNothing(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := Build(Input{Now: now, Since: now.AddDate(0, 0, -30), Until: now, MoversBy: "model", Breakdowns: []Breakdown{{By: []string{"customer"}}}})
	var text, page bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteHTML(&page)); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"text": text.String(), "page": page.String()} {
		if !strings.Contains(got, "There are no calls in this time") || !strings.Contains(got, "nothing has been spent yet") {
			t.Errorf("%s: no word of there being nothing:\n%s", name, got)
		}
	}
	if len(r.Rows()) != 0 {
		t.Errorf("%d rows of nothing", len(r.Rows()))
	}
}

// Unknown is never zero: neither in a picture nor in a file.
func TestUnknownIsNoZero(t *testing.T) {
	in := Input{Now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	sums := []costs.Sum{sum(3, 3, 3, "0", "dark")}
	in.Sources, in.Models = sums, []costs.Sum{sum(3, 3, 3, "0", "p", "m")}
	in.Breakdowns, in.Unpriced = []Breakdown{{[]string{"customer"}, sums}}, 3
	r := Build(in)
	var text, page bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteHTML(&page)); err != nil {
		t.Fatal(err)
	}
	rows, _ := json.Marshal(r.Rows())
	if !strings.Contains(string(rows), `"cost_usd":null`) || !strings.Contains(string(rows), `"unpriced_attempts":3`) {
		t.Errorf("JSON: %s", rows)
	}
	if got := string(machineRows(r)); !strings.Contains(got, "customer|dark|3|3|3000|600|||0|") {
		t.Errorf("CSV: %s", got)
	}
	for name, got := range map[string]string{"text": text.String(), "page": page.String()} {
		if !strings.Contains(got, "unknown") || !strings.Contains(got, "p · m") || !strings.Contains(got, "Not priced") ||
			!strings.Contains(got, "November 2026: what was spent is not known: 3 attempts are without a price.") || strings.Contains(got, "$0.00") {
			t.Errorf("%s does not say what is unknown:\n%s", name, got)
		}
	}
}

func TestLossMakersComeFirst(t *testing.T) {
	r := Build(smallInput())
	var names []string
	for _, row := range r.Tables[0].Rows {
		names = append(names, row.Name())
	}
	if got := strings.Join(names, "|"); got != `acme|<script>alert("1")</script>|dark|quiet|and 4 more` {
		t.Errorf("rows %s", got)
	}
	if r.Tables[0].Losses != 1 {
		t.Errorf("%d losses, want 1", r.Tables[0].Losses)
	}
}

func TestAmountsForPeople(t *testing.T) {
	check := func(usd, cents, one string) {
		t.Helper()
		if got := Cents(costs.USD(usd)); got != cents {
			t.Errorf("Cents(%s) = %s, want %s", usd, got, cents)
		}
		if got := small(costs.USD(usd)); got != one {
			t.Errorf("small(%s) = %s, want %s", usd, got, one)
		}
	}
	check("0", "$0.00", "$0.00")
	check("0.000000000000000001", "<$0.01", "<$0.000000001")
	check("0.0000123", "<$0.01", "$0.000012")
	check("0.004999999999999999", "<$0.01", "$0.0050")
	check("0.005", "$0.01", "$0.0050")
	check("0.999", "$1.00", "$1.00")
	check("12.345", "$12.35", "$12.35")
	check("-0.001", "-$0.0010", "-$0.0010")
	check("1234567.891", "$1,234,567.89", "$1,234,567.89")
	check("9000000000", "$9,000,000,000.00", "$9,000,000,000.00")
}

// A lower bound is never rounded up, an upper one never down.
func TestBoundsForPeople(t *testing.T) {
	check := func(usd, least, most string) {
		t.Helper()
		m := costs.USD(usd)
		if got := atLeast(m); least != "" && got != least {
			t.Errorf("atLeast(%s) = %s, want %s", usd, got, least)
		}
		if got := atMost(m); got != "≤ "+most {
			t.Errorf("atMost(%s) = %s, want ≤ %s", usd, got, most)
		}
	}
	check("0", "$0.00", "$0.00")
	check("0.0178999", "$0.017", "$0.02")
	check("0.0012999", "$0.0012", "$0.01")
	check("0.9999", "$0.99", "$1.00")
	check("12.349", "$12.34", "$12.35")
	check("12.340000000000000001", "$12.34", "$12.35")
	check("-0.004", "", "-$0.0040")
	check("-12.349", "", "-$12.34")
	check("-12.349999999999999999", "", "-$12.34")
	check("-12.34", "", "-$12.34")
	if got := shareAtMost(costs.USD("1.1998"), costs.USD("1.2")); got != "≤ 100%" {
		t.Errorf("nearly all is %s", got)
	}
	if got := shareAtMost(costs.USD("0.5"), costs.USD("1.2")); got != "≤ 42%" {
		t.Errorf("five of twelve are %s", got)
	}
}

func TestCommands(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := &Report{Since: now.AddDate(0, 0, -2), Until: now, Now: now, filter: map[string]string{"feature": "chat"}}
	const list = "weir calls list --since 2026-11-19T12:00:00Z --until 2026-11-21T12:00:00Z "
	check := func(by, group, want string) {
		t.Helper()
		if got := r.command([]string{by}, []string{group}); got != want {
			t.Errorf("%s=%s: %s, want %s", by, group, got, want)
		}
	}
	check("customer", "acme", list+"--customer acme --feature chat")
	check("customer", "it's $HOME", list+`--customer 'it'\''s $HOME' --feature chat`)
	check("tag:env", "prod", list+"--tag env=prod --feature chat")
	check("day", "2026-11-20", "weir calls list --since 2026-11-20T00:00:00Z --until 2026-11-21T00:00:00Z --feature chat")
	check("day", "2026-11-19", "weir calls list --since 2026-11-19T12:00:00Z --until 2026-11-20T00:00:00Z --feature chat")
	check("feature", "chat", list+"--feature chat")
	check("customer", "", list+"--without customer --feature chat")
	check("tag:an env", "", list+"--without 'tag:an env' --feature chat")
	check("source", "", list+"--without source --feature chat")
	check("prompt", "", list+"--feature chat")
	check("prompt", "p", "")
	check("tag:env", "~", list+"--all-tags '~' --feature chat")
	check("tags", `{"env":"prod"}`, list+`--all-tags '{"env":"prod"}' --feature chat`)
}

// Keys and projects are shown by their names, and named to machines by their ids.
func TestNamesOfKeys(t *testing.T) {
	in := smallInput()
	in.Revenue, in.Names = nil, map[string]string{"key_1": "ci", "acme": "no key"}
	in.Breakdowns = []Breakdown{{[]string{"key"}, []costs.Sum{sum(1, 1, 0, "1", "key_1")}}, {[]string{"customer"}, []costs.Sum{sum(1, 1, 0, "1", "acme")}}}
	rows := Build(in).Rows()
	if rows[0].Name() != "ci" || rows[0].ID() != "key=key_1" || rows[0].group() != "key_1" || rows[1].Name() != "acme" {
		t.Errorf("%+v", rows)
	}
}

func TestNothingMovedAgainstNothing(t *testing.T) {
	in := smallInput()
	in.Before = nil
	if r := Build(in); len(r.Movers) > 0 || r.Compared {
		t.Errorf("%+v: all is new, want no movers", r.Movers)
	}
}

// A report of one customer has the revenue of that one alone.
func TestRevenueOfOneCustomer(t *testing.T) {
	in := smallInput()
	in.Where = map[string]string{"customer": "quiet"}
	in.Breakdowns = []Breakdown{{[]string{"customer"}, nil}}
	rows := Build(in).Rows()
	if len(rows) != 1 || rows[0].Group[0] != "quiet" {
		t.Errorf("%+v", rows)
	}
}
