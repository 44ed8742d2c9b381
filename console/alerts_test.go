package console_test

import (
	"fmt"
	"testing"
	"time"

	"weir/alerts"
)

func TestListAlerts(t *testing.T) {
	d := open(t)
	if got := rows(d.call("GET", "/alerts", "", 200)); len(got) != 0 {
		t.Fatalf("alerts at first: %v", got)
	}
	desk := alerts.Open(alerts.Options{DB: d.db}, nil)
	begin := time.Now().Add(-time.Hour)
	for n := range 5 {
		r := alerts.Runaway{Key: alerts.Named{ID: fmt.Sprintf("key_%d", n), Name: "ci"}, Repeats: 50, Within: "10m", Spent: "5"}
		desk.Tell(alerts.NewPause(r, begin.Add(time.Duration(n)*time.Minute)))
	}
	if err := desk.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := desk.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for path := "/alerts?limit=2"; path != ""; {
		page := d.call("GET", path, "", 200)
		for _, row := range rows(page) {
			got = append(got, row["runaway"].(map[string]any)["key"].(map[string]any)["id"].(string))
			if row["kind"] != "key_paused" || row["text"] == "" || row["deliveries"] == nil {
				t.Errorf("row %v", row)
			}
		}
		path = ""
		if next, more := page["next"]; more {
			path = "/alerts?limit=2&before=" + next.(string)
		}
	}
	if fmt.Sprint(got) != "[key_4 key_3 key_2 key_1 key_0]" {
		t.Errorf("paged: %v", got)
	}
	if n := len(rows(d.call("GET", "/alerts?kind=budget_reached", "", 200))); n != 0 {
		t.Errorf("%d of another kind", n)
	}
	if n := len(rows(d.call("GET", "/alerts?since=58m", "", 200))); n != 3 && n != 2 {
		t.Errorf("%d since 58 minutes ago", n)
	}
	d.refused("GET", "/alerts?kind=x", "", 400, "invalid_request", "kind wants one of budget_threshold")
	d.refused("GET", "/alerts?before=x", "", 400, "invalid_request", "before wants the id")
	d.refused("GET", "/alerts?limit=0", "", 400, "invalid_request", "limit wants")
	d.refused("GET", "/alerts?page=2", "", 400, "invalid_request", "page")
}
