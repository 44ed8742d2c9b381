package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"weir/costs"
)

// What one's own GPUs cost is the hours since the first call; what no call took
// of them is idle; what the tokens would have cost to buy stands beside it.
func TestIdle(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	usd := func(s string) *costs.Money { m := costs.USD(s); return &m }
	check := func(o Own, want bool, paid, busy, idle, bought, verdict string) {
		t.Helper()
		o.Provider, o.GPUHour = "rack", costs.USD("2.50")
		r := Build(Input{Since: now.AddDate(0, 0, -30), Until: now.Add(time.Hour), Now: now, Own: []Own{o}})
		if len(r.Idle) != 1 {
			if want {
				t.Errorf("%+v: no line", o)
			}
			return
		}
		d := &r.Idle[0]
		if !want || d.Paid != costs.USD(paid) || d.busyText() != busy || d.idleText() != idle || d.bought() != bought || !strings.Contains(d.verdict(), verdict) {
			t.Errorf("%+v: paid %v, busy %s, idle %s, bought %s, %s", o, d.Paid, d.busyText(), d.idleText(), d.bought(), d.verdict())
		}
		if !strings.HasSuffix(d.Command, "--tried-provider rack") {
			t.Errorf("its calls: %s", d.Command)
		}
	}
	day := now.Add(-24 * time.Hour)
	check(Own{From: day, Sum: sum(9, 9, 0, "15"), Bought: usd("70")}, true, "60", "$15.00", "$45.00", "$70.00", "cost $10.00 more")
	check(Own{From: day, GPUs: 2, Sum: sum(9, 9, 0, "15"), Bought: usd("70")}, true, "120", "$15.00", "$105.00", "$70.00", "saved $50.00")
	check(Own{From: day, Sum: sum(9, 9, 4, "15")}, true, "60", "≥ $15.00", "≤ $45.00", "unknown", "equivalents")
	check(Own{From: day, Sum: sum(9, 9, 9, "0"), Bought: usd("1"), Missing: 3}, true, "60", "unknown", "≤ $60.00", "≥ $1.00", "3 attempts are left out")
	check(Own{From: day, Sum: sum(9, 9, 0, "99"), Bought: usd("1")}, true, "60", "$99.00", "$0.00", "$1.00", "saved $59.00")
	check(Own{}, false, "0", "", "", "", "")
	check(Own{From: now.Add(time.Minute)}, false, "0", "", "", "", "")
}

// The facts of caches, providers and single calls say what is known, and of how much.
func TestFactsOfParts(t *testing.T) {
	in := smallInput()
	s := &in.Sources[0]
	s.WastedAttempts = 7
	s.Cached, s.CacheKnown, s.Saved = 100, 90, costs.USD("12.34")
	s.Compared, s.Drifted, s.Drift, s.DriftOf = 60, 3, costs.USD("-0.4"), costs.USD("10")
	in.CallCost = CallCost{Calls: 1500, Newest: true, P50: costs.USD("0.01"), P90: costs.USD("0.2"), P99: costs.USD("3")}
	check := func(name, figure, exact, words string, warn bool) {
		t.Helper()
		for _, f := range Build(in).Facts() {
			if f.Name != name {
				continue
			}
			if f.Figure != figure || f.Exact != exact || !strings.Contains(f.Words, words) || f.Warn != warn || f.Command == "" {
				t.Errorf("%+v", f)
			}
			return
		}
		t.Errorf("no fact %s", name)
	}
	check("Wasted", "$6.01", "6.01", "3.6% of it, 7 attempts: retries", false)
	check("Saved by caches", "$12.34", "12.34", "100 attempts with cached input, against its price as plain input; of 10 it is not known", false)
	check("By the providers", "$9.60", "9.6", "the price book says $10.00, the difference is -$0.40 (-4.0%); 3 of them differ by more than 1%", true)
	check("A call", "$0.10", "0.104864966521", "half cost up to $0.010, 90% up to $0.20, 99% up to $3.00 (of the newest 1,500 calls)", false)
	s.Saved = costs.USD("-1")
	check("Saved by caches", "-$1.00", "-1", "cost more than reading them saved", true)
	s.CacheKnown, s.Saved = 0, costs.Money{}
	check("Saved by caches", "unknown", "", "of 100 it is not known", false)
}

// The whole report as JSON has the page's figures, exactly.
func TestWholeJSON(t *testing.T) {
	in := smallInput()
	in.Own = []Own{{Provider: "rack", GPUHour: costs.USD("2"), From: in.Now.Add(-time.Hour), Sum: sum(1, 1, 0, "0.5")}}
	r := Build(in)
	var out bytes.Buffer
	if err := r.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var v struct {
		Total    Record
		CallCost *CallCost `json:"call_cost"`
		Forecast map[string]any
		Rows     []map[string]any
		Idle     []map[string]any
		Movers   []map[string]any
		Days     []map[string]any
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	if v.Total.Cost == nil || *v.Total.Cost != r.Total.Cost || v.CallCost != nil || len(v.Rows) != len(r.Rows()) || len(v.Days) != len(r.Daily) {
		t.Errorf("%s", out.String())
	}
	if v.Forecast["p50_usd"] != r.Forecast.P50.String() || v.Forecast["budget_usd"] != "500" || v.Forecast["back_test_error"] != r.Forecast.Error {
		t.Errorf("the forecast: %v", v.Forecast)
	}
	if len(v.Movers) != len(r.Movers) || v.Movers[0]["change_usd"] != r.Movers[0].Change.String() || v.Movers[0]["cause"] == "" || v.Movers[0]["id"] != "customer=acme" {
		t.Errorf("movers: %v", v.Movers)
	}
	if len(v.Idle) != 1 || v.Idle[0]["idle_usd"] != "1.5" || v.Idle[0]["id"] != "idle=rack" || v.Idle[0]["api_equivalent_usd"] != nil {
		t.Errorf("idle: %v", v.Idle)
	}
}
