package proxy

import (
	"testing"
	"time"

	"weir/ledger"
	"weir/limits"
)

// TestRulesOfValues: what is said of one value takes the place of what is said
// of each, by id or name, in whatever zone; what has another action does not.
func TestRulesOfValues(t *testing.T) {
	tokyo := time.FixedZone("Tokyo", 9*3600)
	usd := func(scope limits.Scope, value string, amount int64, zone *time.Location, action limits.Action) *limits.Limit {
		return &limits.Limit{Scope: scope, Value: value, Dimension: limits.USD, Period: limits.Month, Amount: amount, Zone: zone, Action: action}
	}
	set := newRuleSet([]*limits.Limit{
		usd(limits.Key, "", 1, nil, limits.Block), usd(limits.Key, "ci", 2, tokyo, limits.Block), usd(limits.Key, "", 3, nil, limits.Warn),
		usd(limits.Project, "web", 4, nil, limits.Block), usd(limits.Project, "proj_9", 5, nil, limits.Block),
	})
	check := func(k ledger.Key, want ...int64) {
		t.Helper()
		x := &Exchange{Caller: Caller{Key: &k}}
		rules := x.rules(set.callers, nil)
		for i, r := range rules {
			if i >= len(want) || r.Limit.Amount != want[i] || r.Name != r.Limit.Name() {
				t.Errorf("%s: %+v %q, want %v", k.ID, r.Limit, r.Name, want)
			}
		}
		if len(rules) != len(want) {
			t.Errorf("%s: %d rules, want %v", k.ID, len(rules), want)
		}
	}
	check(ledger.Key{ID: "key_1", Name: "a"}, 1, 3)
	check(ledger.Key{ID: "key_2", Name: "ci", ProjectID: "proj_1", Project: "web"}, 2, 3, 4)
	check(ledger.Key{ID: "key_2", Name: "b", ProjectID: "proj_9", Project: "x"}, 1, 3, 5)
}
