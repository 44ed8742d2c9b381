package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
)

// spendingCalls are calls of the last three days, of which each source of a
// cost, every ending and several attempts have some.
func spendingCalls(dice *rand.Rand, n int) (calls []*ledger.Call) {
	for i := range n {
		start := time.Now().Add(-time.Duration(dice.IntN(3*24*60)+1) * time.Minute).UTC().Truncate(time.Microsecond)
		c := &ledger.Call{
			ID: fmt.Sprintf("call_%012x%020x", start.UnixMilli(), i), Start: start, Dialect: "openai", API: "chat", Method: "POST", Path: "/v1/chat/completions",
			Customer: []string{"acme", "<b>globex</b>", "it's", ""}[dice.IntN(4)], Feature: []string{"chat", "search"}[dice.IntN(2)],
			Status: 200, Outcome: ledger.OK,
		}
		c.Tags = []map[string]string{nil, {"env": "prod"}, {"env": "prod", "team": "a b"}, {"team": ""}, {"x": strings.Repeat("y", 600)}}[dice.IntN(5)]
		if dice.IntN(2) == 0 {
			c.KeyID, c.ProjectID = "key_1", "proj_1"
		}
		if dice.IntN(6) == 0 {
			c.Status, c.Outcome = 502, ledger.Failed
		}
		for j := range 1 + dice.IntN(3) {
			a := ledger.Attempt{N: j + 1, Provider: []string{"one", "two"}[dice.IntN(2)], Model: []string{"m", "n", ""}[dice.IntN(3)], UsageSource: ledger.FromProvider}
			m := costs.MoneyOf(dice.Int64N(9e9), dice.Int64N(1e9))
			charge := costs.Charge{Status: costs.Priced, List: m, Contracted: m, Book: "b"}
			switch dice.IntN(5) {
			case 0:
				charge = costs.Charge{Status: costs.Unpriced, Book: "b"}
			case 1:
				a.UsageSource = ledger.Estimated
			}
			a.Charge = ledger.Settle(&charge, ledger.Amount{}, a.UsageSource)
			c.Attempts = append(c.Attempts, a)
			c.Provider, c.Model = a.Provider, a.Model
		}
		if dice.IntN(20) == 0 { // it was refused before it was tried
			c.Attempts, c.Provider, c.Model, c.Outcome = nil, "", "", ledger.Failed
		}
		calls = append(calls, c)
	}
	return calls
}

// runWeir runs a command line that has to go well.
func runWeir(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(args, &out, &errs); code != 0 {
		t.Fatalf("weir %s: exit %d: %s", strings.Join(args, " "), code, &errs)
	}
	return out.String()
}

type reportRow struct {
	ID, By, Command string
	Groups          map[string]string
	Calls, Attempts int64
	Cost            *costs.Money
}

func (r *reportRow) UnmarshalJSON(text []byte) error {
	var row struct {
		ID       string            `json:"id"`
		By       string            `json:"by"`
		Groups   map[string]string `json:"groups"`
		Calls    int64             `json:"calls"`
		Attempts int64             `json:"attempts"`
		Cost     *costs.Money      `json:"cost_usd"`
		Command  string            `json:"calls_command"`
	}
	err := json.Unmarshal(text, &row)
	*r = reportRow{row.ID, row.By, row.Command, row.Groups, row.Calls, row.Attempts, row.Cost}
	return err
}

var (
	pageTable = regexp.MustCompile(`(?s)data-by="([^"]+)">.*?<tbody>(.*?)</tbody>`)
	pageCost  = regexp.MustCompile(`<td class="cost" data-usd="([^"]+)"`)
)

// The ledger's rows, its rollups, a report's rows and its page's tables add up
// to the same, to the digit; and each row's command lists the calls that it sums.
func TestReportAddsUpToTheLedger(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("weir.yaml", []byte("auth: off\ndata: data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
	calls := spendingCalls(rand.New(rand.NewPCG(4, 4)), 500)
	db, err := sqldb.Open("sqlite:data/weir.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := firstError(migrations.Up(t.Context(), db), ledger.Import(t.Context(), db, calls), db.Close()); err != nil {
		t.Fatal(err)
	}
	var want costs.Money
	for _, c := range calls {
		for _, a := range c.Attempts {
			want = want.Add(a.Cost.Money)
		}
	}
	by := "customer,feature,model,provider,source,day,hour,customer+model,prompt,key,project,tag:env,tag:team,tag:x,tags,provider+source"
	var rows []reportRow
	if err := json.Unmarshal([]byte(runWeir(t, "costs", "report", "--since", "7d", "--by", by, "--json")), &rows); err != nil {
		t.Fatal(err)
	}
	sums := map[string]costs.Money{}
	for _, row := range rows {
		if row.Cost != nil {
			sums[row.By] = sums[row.By].Add(*row.Cost)
		}
		checkCommand(t, row)
	}
	for _, limit := range []string{"3", "1000"} {
		runWeir(t, "costs", "report", "--since", "7d", "--by", by, "--limit", limit, "--html", "page.html")
		page, err := os.ReadFile("page.html")
		if err != nil {
			t.Fatal(err)
		}
		tables := pageTable.FindAllStringSubmatch(string(page), -1)
		if len(tables) != len(strings.Split(by, ",")) {
			t.Errorf("the page has %d tables, want one for each of %s", len(tables), by)
		}
		for _, table := range tables {
			name, total := strings.ReplaceAll(table[1], "&#43;", "+"), costs.Money{}
			for _, cell := range pageCost.FindAllStringSubmatch(table[2], -1) {
				total = total.Add(costs.USD(cell[1]))
			}
			if total != want || sums[name] != want {
				t.Errorf("by %s: the page says %v, the rows %v; the ledger has %v", name, total, sums[name], want)
			}
		}
	}
}

// checkCommand runs the command of a row, and counts what it lists as the report does.
func checkCommand(t *testing.T, row reportRow) {
	t.Helper()
	if row.Command == "" {
		t.Errorf("%s names no command", row.ID)
		return
	}
	args := shellWords(t, strings.TrimPrefix(row.Command, "weir calls list "))
	var calls []*ledger.Call
	if err := json.Unmarshal([]byte(runWeir(t, append([]string{"calls", "export", "--json"}, args...)...)), &calls); err != nil {
		t.Fatal(err)
	}
	var attempts int64
	var cost costs.Money
	for _, c := range calls {
		before := attempts
		for _, a := range c.Attempts {
			of := map[string]string{"provider": a.Provider, "model": a.Model, "source": string(a.CostSource)}
			mine := true
			for name, value := range of {
				if want, asked := row.Groups[name]; asked && want != value {
					mine = false
				}
			}
			if mine {
				attempts++
				cost = cost.Add(a.Cost.Money)
			}
		}
		if attempts == before && len(c.Attempts) > 0 {
			t.Errorf("%s: call %s has no part in it", row.ID, c.ID)
		}
	}
	if attempts != row.Attempts || row.Cost != nil && cost != *row.Cost {
		t.Errorf("%s: the report has %d attempts for %v, its command lists %d for %v", row.ID, row.Attempts, row.Cost, attempts, cost)
	}
}

// shellWords splits a command line as a shell does, as far as reports quote.
func shellWords(t *testing.T, line string) (words []string) {
	t.Helper()
	word, quoted, any := "", false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			quoted, any = !quoted, true
		case c == '\\' && !quoted && i+1 < len(line):
			i++
			word += string(line[i])
		case c == ' ' && !quoted:
			words, word, any = append(words, word), "", false
		default:
			word += string(c)
		}
	}
	if quoted {
		t.Fatalf("a quote without an end: %s", line)
	}
	if word != "" || any {
		words = append(words, word)
	}
	return words
}
