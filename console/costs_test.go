package console_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/ledger"
)

// spend stores calls of some customers over three days, and returns what they cost in all.
func (d *desk) spend(n int) (all costs.Money) {
	d.t.Helper()
	end := time.Now().UTC().Truncate(time.Hour)
	var calls []*ledger.Call
	for i := range n {
		c := &ledger.Call{Start: end.Add(time.Duration(i-n) * 72 * time.Hour / time.Duration(n)), Outcome: ledger.OK, AttemptCount: 1}
		c.ID = callID(c.Start, i)
		c.Customer = []string{"", "acme", "globex", "<b>"}[i%4]
		c.Tags = map[string]string{"env": []string{"prod", "test"}[i%2]}
		amount := costs.MoneyOf(int64(1_000_003*(1+i%7)), int64(i))
		charge := costs.Charge{Status: costs.Priced, List: amount, Contracted: amount, Book: "b"}
		if i%10 == 9 {
			charge = costs.Charge{Status: costs.Unpriced, Why: "nobody knows", Book: "b"}
		} else {
			all = all.Add(amount)
		}
		a := ledger.Attempt{N: 1, Provider: "mock", Model: "m", Charge: ledger.Settle(&charge, ledger.Amount{}, ledger.FromProvider)}
		a.Usage.Set(costs.Input, 10)
		c.Attempts = []ledger.Attempt{a}
		calls = append(calls, c)
	}
	if err := ledger.Import(d.t.Context(), d.db, calls); err != nil {
		d.t.Fatal(err)
	}
	return all
}

func sumOf(t *testing.T, list []map[string]any) (usd costs.Money, calls float64) {
	t.Helper()
	for _, row := range list {
		calls += row["calls"].(float64)
		text, known := row["cost_usd"].(string)
		if !known {
			continue
		}
		usd = usd.Add(costs.USD(text))
	}
	return usd, calls
}

// Whatever costs are grouped by, by pages or at once, in any zone, they add up
// to the calls, and to the total beside them.
func TestCosts(t *testing.T) {
	d := open(t)
	all := d.spend(60)
	check := func(query string, pages bool) []map[string]any {
		t.Helper()
		var list []map[string]any
		ids := map[any]bool{}
		for path := "/costs?" + query; ; {
			v := d.call("GET", path, "", 200)
			for _, row := range rows(v) {
				if ids[row["id"]] {
					t.Fatalf("%s: %v is there twice", query, row["id"])
				}
				ids[row["id"]] = true
				list = append(list, row)
			}
			if total := v["total"].(map[string]any); total["cost_usd"] != all.String() || total["calls"] != 60.0 || total["unpriced_attempts"] != 6.0 {
				t.Errorf("%s: the total is %v, want %v", query, total, all)
			}
			next, more := v["next"].(string)
			if !more {
				break
			}
			if !pages {
				t.Fatalf("%s: there is a next page", query)
			}
			path = "/costs?" + query + "&before=" + url.QueryEscape(next)
		}
		if usd, calls := sumOf(t, list); usd != all || calls != 60 {
			t.Errorf("%s: the rows add up to %v of %v calls, want %v of 60", query, usd, calls, all)
		}
		return list
	}
	if list := check("", false); len(list) != 1 || list[0]["id"] != "total" {
		t.Errorf("without groups: %v", list)
	}
	list := check("by=customer", false)
	if len(list) != 4 || list[0]["groups"] == nil || !strings.HasPrefix(list[0]["calls_command"].(string), "weir calls list --since ") {
		t.Errorf("by customer: %v", list)
	}
	for _, by := range []string{"customer", "day", "hour", "day,customer", "tag:env", "tags", "provider,model,source", "key,project,prompt,feature"} {
		check("limit=1000&by="+url.QueryEscape(by), false)
		check("limit=2&since=7d&by="+url.QueryEscape(by), true)
		check("limit=3&tz=Asia/Tokyo&by="+url.QueryEscape(by), true)
	}
	for _, row := range check("by=day&tz=America/New_York", false) {
		start, err := time.Parse(time.RFC3339, row["start"].(string))
		if err != nil || start.Format(time.DateOnly) != row["group"] || start.Hour() != 0 {
			t.Errorf("a day: %v", row)
		}
	}
}

// A filter, also for those that name none, takes only its own; a name of a
// project means its id.
func TestCostsFilters(t *testing.T) {
	d := open(t)
	d.spend(60)
	check := func(query string, calls float64) {
		t.Helper()
		v := d.call("GET", "/costs?"+query, "", 200)
		if _, n := sumOf(t, rows(v)); n != calls {
			t.Errorf("%s: %v calls, want %v", query, n, calls)
		}
	}
	check("customer=acme", 15)
	check("customer=", 15)
	check("customer=acme&by=hour", 15)
	check("tag=env%3Dprod", 30)
	check("tag=env%3Dprod&customer=globex", 15)
	check("source=unpriced&by=customer", 6)
	check("model=other", 0)
	check("until="+time.Now().UTC().Truncate(time.Hour).Add(-24*time.Hour).Format(time.RFC3339), 40)
	check("since=2020-01-01&until=2020-02-01", 0)
	d.call("POST", "/projects", `{"name":"web"}`, 201)
	check("project=web", 0)
	check("project=", 60)
}

// What a query says wrong is a 400 that names it.
func TestCostsRefused(t *testing.T) {
	d := open(t)
	for query, want := range map[string]string{
		"by=colour":                "by wants",
		"by=customer,customer":     "each once",
		"by=tag:":                  "by wants",
		"by=customer,,model":       "by wants",
		"by=hour&since=2020-01-01": "up to 100 days",
		"since=soon":               "since wants",
		"until=soon":               "until wants",
		"since=24h&until=48h":      "until has to be after since",
		"tz=Mars":                  "tz wants",
		"tz=Local":                 "tz wants",
		"limit=0":                  "limit wants a number from 1 to 1000",
		"limit=1001":               "limit wants",
		"before=next":              "before wants",
		"colour=red":               "colour",
		"customer=a&customer=b":    "twice",
		"tag=env":                  "tag wants",
		"tag=env%3Da&tag=env%3Db":  "tag wants",
		"by=customer,model,feature,key,project,prompt,day": "at most 6",
	} {
		d.refused("GET", "/costs?"+query, "", 400, "invalid_request", want)
	}
	d.refused("GET", "/costs?project=none", "", 404, "not_found", "none")
	d.refused("GET", "/calls?project=none", "", 404, "not_found", "none")
	d.refused("GET", "/costs?key=none", "", 404, "not_found", "none")
	d.refused("POST", "/costs", "{}", 405, "method_not_allowed", "GET")
	if r := d.send("GET", fmt.Sprintf("/api/v1/costs?before=%s", strings.Repeat("A", 5000)), "", withToken); r.status != 400 {
		t.Errorf("a long cursor: %d", r.status)
	}
}
