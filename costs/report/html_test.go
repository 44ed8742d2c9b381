package report

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/costs"
)

var (
	updatePages = flag.Bool("update-pages", false, "write the golden page anew")
	keepPages   = flag.String("pages", "", "write the pages of the tests to this directory, to be looked at")
)

var pageNow = time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)

func sumOf(group string, calls int64, usd string) costs.Sum {
	s := costs.Sum{Group: []string{group}, Calls: calls, Attempts: calls + calls/50, Cost: costs.USD(usd), List: costs.USD(usd)}
	s.Usage.Set(costs.Input, calls*900)
	s.Usage.Set(costs.Output, calls*250)
	return s
}

// inputOf is a month whose customers cost so much; days and the rest follow.
func inputOf(customers ...costs.Sum) Input {
	in := Input{
		Since: pageNow.AddDate(0, 0, -30).Truncate(time.Hour), Until: pageNow.Truncate(time.Hour).Add(time.Hour), Now: pageNow,
		MoversBy: "customer", Limit: 25, Breakdowns: []Breakdown{{By: []string{"customer"}, Sums: customers}},
	}
	var all costs.Sum
	for i := range customers {
		s := &customers[i]
		all.Add(s)
		in.Run = append(in.Run, Part{Group: s.Group[0], Model: "gpt-4o-mini", Calls: s.Calls, Tokens: s.Calls * 1150, Cost: s.Cost})
	}
	if len(customers) == 0 {
		return in
	}
	all.Group = []string{"computed"}
	in.Sources = []costs.Sum{all}
	for i := range 60 {
		day := midnight(pageNow).AddDate(0, 0, i-59)
		weight := int64(10 + i/6)
		if d := day.Weekday(); d == time.Saturday || d == time.Sunday {
			weight /= 3
		}
		cost := perOne(all.Cost, 400)
		spend := costs.Money{}
		for range weight {
			spend = spend.Add(cost)
		}
		in.History = append(in.History, DaySpend{day, spend})
		if i >= 29 {
			in.Daily = append(in.Daily, costs.Sum{Start: day, Calls: weight, Attempts: weight, Cost: spend})
		}
	}
	return in
}

func pageOf(t interface {
	Helper()
	Fatal(...any)
}, in Input,
) string {
	t.Helper()
	var b bytes.Buffer
	if err := Build(in).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func keepPage(t *testing.T, name, text string) {
	t.Helper()
	if *keepPages == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*keepPages, name+".html"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fixedInput has one of everything: a loss, a customer without revenue and one
// without calls, what has no price, waste, a mover up and one down, a budget.
func fixedInput() Input {
	acme, globex, free := sumOf("acme", 41_200, "812.3379055"), sumOf("globex", 9_300, "64.5"), sumOf("initech", 310, "0.0000001")
	acme.Wasted = costs.USD("31.25")
	globex.Estimated, globex.Guessed = costs.USD("2.5"), 44
	dark := sumOf("umbrella", 55, "0")
	dark.Unpriced = dark.Attempts
	in := inputOf(acme, globex, free, dark)
	in.Before = []Part{{Group: "acme", Model: "gpt-4o-mini", Calls: 30_000, Tokens: 34_500_000, Cost: costs.USD("520.1")}, {Group: "globex", Model: "gpt-4o-mini", Calls: 12_000, Tokens: 13_800_000, Cost: costs.USD("80")}}
	in.Revenue = Revenue{"acme": {costs.USD("790"), 2}, "globex": {costs.USD("400"), 3}, "hooli": {costs.USD("49"), 4}}
	budget := costs.USD("900")
	in.Budget = &budget
	dark.Group = []string{"mine", "llama-9"}
	in.Models = []costs.Sum{dark}
	in.Breakdowns = append(in.Breakdowns, Breakdown{By: []string{"feature"}, Sums: []costs.Sum{sumOf("support-chat", 40_000, "800"), sumOf("search", 10_810, "76.8379056"), {Group: []string{""}, Calls: 55, Attempts: 56, Unpriced: 56}}})
	return in
}

func TestHTMLGolden(t *testing.T) {
	got := pageOf(t, fixedInput())
	keepPage(t, "fixed", got)
	path := filepath.Join("testdata", "page.html")
	if *updatePages {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the page is another one than %s: look at it, then run with -update-pages", path)
	}
}

var (
	tableText = regexp.MustCompile(`(?s)<table id="([^"]*)" class="breakdown"[^>]*>.*?<tbody>(.*?)</tbody>\s*<tfoot>(.*?)</tfoot>`)
	costText  = regexp.MustCompile(`<td class="cost" data-usd="[^"]*"><data value="([^"]*)"`)
)

// bodySums adds up the costs of each table of a page, and returns what its foot says.
func bodySums(page string) (sums, feet map[string]costs.Money) {
	sums, feet = map[string]costs.Money{}, map[string]costs.Money{}
	for _, t := range tableText.FindAllStringSubmatch(page, -1) {
		total := costs.Money{}
		for _, m := range costText.FindAllStringSubmatch(t[2], -1) {
			total = total.Add(costs.USD(m[1]))
		}
		sums[t[1]] = total
		if m := costText.FindStringSubmatch(t[3]); m != nil {
			feet[t[1]] = costs.USD(m[1])
		}
	}
	return sums, feet
}

// The rows of a page's table add up to its foot and to the ledger's sums, to
// the digit, however many rows are folded into one.
func TestHTMLAddsUp(t *testing.T) {
	row := rapid.Custom(func(t *rapid.T) costs.Sum {
		s := costs.Sum{Calls: rapid.Int64Range(1, 1e9).Draw(t, "calls"), Attempts: rapid.Int64Range(1, 1e9).Draw(t, "attempts")}
		s.Cost = costs.MoneyOf(rapid.Int64Range(0, 1e15).Draw(t, "nano"), rapid.Int64Range(0, 1e9-1).Draw(t, "atto"))
		s.Unpriced = rapid.Int64Range(0, 2).Draw(t, "unpriced")
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(row, 1, 40).Draw(t, "rows")
		want, known := costs.Money{}, false
		for i := range rows {
			rows[i].Group = []string{fmt.Sprint("c", i)}
			want, known = want.Add(rows[i].Cost), known || Known(&rows[i])
		}
		in := inputOf(rows...)
		in.Limit = rapid.IntRange(0, 20).Draw(t, "limit")
		if rapid.Bool().Draw(t, "revenue") {
			in.Revenue = Revenue{"c0": {costs.USD("5"), 2}, "who": {costs.USD("1"), 3}}
		}
		sums, feet := bodySums(pageOf(t, in))
		if len(sums) != 1 || sums["by-customer"] != want {
			t.Fatalf("the table says %v, the rows %v", sums, want)
		}
		if foot, ok := feet["by-customer"]; known && (!ok || foot != want) {
			t.Fatalf("the foot says %v, the rows %v", foot, want)
		}
	})
}

// What clients send is text, and never a tag, an attribute, a style or a link.
func TestHTMLEscapes(t *testing.T) {
	evil := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style><style>*{display:none}`, `javascript:alert(1)`, `=cmd|'/c calc'!A0`,
		"\u202egnp.exe", "\u05d0\u05d1\u05d2 \u0627\u0644\u0639\u0631\u0628\u064a\u0629", "{{.Now}}", `'; rm -rf / #`, "a\x00b\nc", strings.Repeat("long-", 800),
	}
	var rows []costs.Sum
	for i, name := range evil {
		rows = append(rows, sumOf(name, int64(100+i), "1.5"))
	}
	in := inputOf(rows...)
	in.Before = []Part{{Group: evil[0], Model: "m", Calls: 1, Tokens: 1, Cost: costs.USD("9")}}
	in.Where = map[string]string{"feature": evil[1]}
	page := pageOf(t, in)
	keepPage(t, "names", page)
	tags := regexp.MustCompile(`<([a-z0-9]+)`).FindAllStringSubmatch(page, -1)
	for _, tag := range tags {
		switch tag[1] {
		case "script", "img", "iframe", "link", "a", "object", "form", "input":
			t.Errorf("there is a <%s> in the page", tag[1])
		}
	}
	if n := strings.Count(page, "<style"); n != 1 {
		t.Errorf("there are %d styles, want one", n)
	}
	if strings.ContainsAny(page, "\u202e\x00") {
		t.Error("what turns the text around it has got through")
	}
	if text := html.UnescapeString(page); !strings.Contains(text, evil[0]) || !strings.Contains(text, evil[6]) {
		t.Error("the names are not there as they were sent")
	}
	for _, out := range []string{"http:", "https:", "src=", "href=", "url(", "@import"} {
		if strings.Contains(strings.ReplaceAll(page, html.EscapeString(evil[1]), ""), out) && !strings.Contains(strings.Join(evil, ""), out) {
			t.Errorf("the page asks for something: %s", out)
		}
	}
}

// Five thousand customers make a page that can be mailed, and none is lost.
func TestPageOfFiveThousandCustomers(t *testing.T) {
	var rows []costs.Sum
	want := costs.Money{}
	for i := range 5000 {
		s := sumOf(fmt.Sprintf("customer-%04d", i), int64(5000-i), fmt.Sprintf("%d.%09d", (5000-i)/40, i*7919+1))
		rows, want = append(rows, s), want.Add(s.Cost)
	}
	page := pageOf(t, inputOf(rows...))
	keepPage(t, "many", page)
	if len(page) > 1_000_000 {
		t.Errorf("the page has %d bytes, want less than 1 MB", len(page))
	}
	if !strings.Contains(page, "and 4,975 more") {
		t.Error("the page does not say that there are 4,975 more customers")
	}
	if sums, _ := bodySums(page); sums["by-customer"] != want {
		t.Errorf("the table says %v, the rows %v", sums["by-customer"], want)
	}
}

func TestPageOfNothing(t *testing.T) {
	page := pageOf(t, inputOf())
	keepPage(t, "nothing", page)
	if !strings.Contains(page, "There are no calls in this time") || strings.Contains(page, "<table") || strings.Contains(page, "$0.00") {
		t.Error("a month without calls does not say so, or says more")
	}
}

func TestPageOfOneCustomer(t *testing.T) {
	page := pageOf(t, inputOf(sumOf("acme", 12, "0.0000001")))
	keepPage(t, "one", page)
	if !strings.Contains(page, `<data value="0.0000001" title="$0.0000001">&lt;$0.01</data>`) {
		t.Error("a tiny cost is not shown as less than a cent")
	}
}

// Where nothing has a price no cost is said, least of all $0.
func TestPageOfUnpricedCalls(t *testing.T) {
	dark := sumOf("acme", 70, "0")
	dark.Unpriced = dark.Attempts
	in := inputOf(dark)
	in.History, in.Daily = nil, nil
	in.Sources[0].Group = []string{"unpriced"}
	page := pageOf(t, in)
	keepPage(t, "unpriced", page)
	if strings.Contains(page, `<data value="0"`) || strings.Contains(page, "$0.00") {
		t.Error("an unknown amount is shown as zero")
	}
	for _, table := range tableText.FindAllStringSubmatch(page, -1) {
		if strings.Contains(table[2]+table[3], `data-usd`) || !strings.Contains(table[2], `<td class="cost">unknown</td>`) {
			t.Errorf("an unknown cost is shown as known: %s", table[0])
		}
	}
}

func TestPageOfLargeAndSmall(t *testing.T) {
	page := pageOf(t, inputOf(sumOf("whale", 3_000_000, "1000000"), sumOf("plankton", 1, "0.0000001")))
	keepPage(t, "range", page)
	if !strings.Contains(page, `title="$1000000">$1,000,000.00`) {
		t.Error("a million dollars is not there")
	}
	if sums, _ := bodySums(page); sums["by-customer"] != costs.USD("1000000.0000001") {
		t.Errorf("the table says %v", sums)
	}
}
