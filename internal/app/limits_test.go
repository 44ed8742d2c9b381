package app

import (
	"reflect"
	"testing"
	"time"

	"weir/config"
	"weir/limits"
)

func TestCeilingsOfConfig(t *testing.T) {
	c, err := config.Parse("f", []byte(`auth: keys
limits:
  - {scope: key, usd_per_month: $25, zone: Asia/Tokyo, unpriced: $0.10, strict: on, exposure: $1, requests_per_day: 9, burst: 3, concurrent: 2}
  - {scope: tag, tag: team, value: a, output_tokens_per_hour: 5k, action: queue, queue: 3s, on_store_failure: open, soft: 90%}
  - {scope: model, usd_per_week: 7, action: downgrade, downgrade_to: small}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := Limits(c)
	tokyo := got[2].Zone
	want := []limits.Limit{
		{Scope: "key", Dimension: limits.Requests, Amount: 9, Window: 24 * time.Hour, Burst: 3, Action: "block", OnFailure: "local"},
		{Scope: "key", Dimension: limits.Concurrent, Amount: 2, Action: "block", OnFailure: "local"},
		{
			Scope: "key", Dimension: limits.USD, Amount: 25 * limits.Dollar, Period: "month", Zone: tokyo, Action: "block",
			Strict: true, Ceiling: limits.Dollar / 10, Soft: []int{50, 80, 100}, OnFailure: "local", Exposure: limits.Dollar,
		},
		{
			Scope: "tag", Tag: "team", Value: "a", Dimension: limits.OutputTokens, Amount: 5000, Window: time.Hour, Action: "queue",
			Patience: 3 * time.Second, Soft: []int{90}, OnFailure: "open",
		},
		{Scope: "model", Dimension: limits.USD, Amount: 7 * limits.Dollar, Period: "week", Action: "downgrade", Instead: "small", Soft: []int{50, 80, 100}, OnFailure: "local"},
	}
	if len(got) != len(want) || tokyo == nil || tokyo.String() != "Asia/Tokyo" {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if !reflect.DeepEqual(*got[i], want[i]) {
			t.Errorf("limit %d:\ngot  %+v\nwant %+v", i, *got[i], want[i])
		}
	}
}

// TestBoundsOfConfig: what the configuration takes limiters can count.
func TestBoundsOfConfig(t *testing.T) {
	c, err := config.Parse("f", []byte("limits: {scope: key, usd_per_day: 9000000, requests_per_day: 1000000000000000}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if l := Limits(c); l[0].Amount != limits.MaxAmount || l[1].Amount != limits.MaxUSD || config.MaxLimits != limits.MaxRules {
		t.Errorf("%+v", l)
	}
}
