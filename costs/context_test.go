package costs

import (
	"testing"
	"time"
)

// What decides a price beside the usage is said in words that are read back.
func TestTermsContext(t *testing.T) {
	check := func(terms Terms, want string) {
		t.Helper()
		if got := terms.Context(); got != want {
			t.Errorf("%+v: %q, want %q", terms, got, want)
		}
		var back Terms
		back.ReadContext(want)
		if got := back.Context(); got != want {
			t.Errorf("%q is read as %q", want, got)
		}
	}
	check(Terms{Provider: "openai", Model: "m", Served: "s"}, "")
	check(Terms{Tier: "provisioned", GPUs: 4}, "tier=provisioned,gpus=4")
	check(Terms{Batch: true}, "batch=true")
	check(Terms{Speed: "fast", Residency: "us", Region: "us-east-1", SearchContextSize: "high", SearchType: "pro", Endpoint: "vertex", Resolution: "720p"},
		"speed=fast,residency=us,region=us-east-1,search_context_size=high,search_type=pro,endpoint=vertex,resolution=720p")
	odd := Terms{Speed: "a,b=c", Region: "x"}
	if got := odd.Context(); got != "region=x" {
		t.Errorf("%q", got)
	}
	var terms Terms
	if terms.ReadContext("batch=maybe,,x,unknown=1,speed"); terms != (Terms{}) {
		t.Errorf("%+v", terms)
	}
}

// Thresholds are of one request: a sum of several goes by their mean, and says
// where that is a guess.
func TestThresholdsOfASumOfRequests(t *testing.T) {
	check := func(model string, input, requests int64, want string, mean bool) {
		t.Helper()
		var u Usage
		u.Set(Input, input)
		u.Set(Requests, requests)
		c := Builtin().Charge(u, Terms{Provider: "openai", Model: model, At: time.Date(2026, 9, 23, 0, 0, 0, 0, time.UTC), Batch: true})
		if c.Status != Priced || c.List != USD(want) || c.Mean != mean {
			t.Errorf("%d tokens of %d requests of %s: %s %s (%s), a guess: %v", input, requests, model, c.Status, c.List, c.Why, c.Mean)
		}
	}
	check("gpt-5.6-sol", 200_000, 2, "0.4", false) // as long as both at once is not long
	check("gpt-5.6-sol", 272_000, 1, "1.088", false)
	check("gpt-5.6-sol", 400_000, 2, "0.8", true)
	check("gpt-5.6-sol", 600_000, 2, "2.4", true)
	check("gpt-5", 600_000, 2, "0.375", false) // has no threshold
}
