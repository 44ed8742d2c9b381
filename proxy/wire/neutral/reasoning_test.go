package neutral

import "testing"

func TestEffortTokens(t *testing.T) {
	check := func(effort string, want int64, known bool) {
		t.Helper()
		if got, ok := effortTokens(effort); got != want || ok != known {
			t.Errorf("effortTokens(%q) = %d, %v, want %d, %v", effort, got, ok, want, known)
		}
	}
	check("none", 0, true)
	check("minimal", 1024, true)
	check("low", 1024, true)
	check("medium", 8192, true)
	check("high", 24576, true)
	check("xhigh", 32768, true)
	check("max", 32768, true)
	check("", 0, false)
	check("enormous", 0, false)
}

func TestBudgetEffort(t *testing.T) {
	check := func(tokens int64, want string) {
		t.Helper()
		if got := budgetEffort(tokens); got != want {
			t.Errorf("budgetEffort(%d) = %q, want %q", tokens, got, want)
		}
	}
	check(-1, "")
	check(0, "none")
	check(1, "low")
	check(1024, "low")
	check(fromMedium-1, "low")
	check(fromMedium, "medium")
	check(8192, "medium")
	check(fromHigh-1, "medium")
	check(fromHigh, "high")
	check(31999, "high")
	check(1<<40, "high")
	for _, word := range []string{"none", "low", "medium", "high"} {
		n, _ := effortTokens(word)
		check(n, word)
	}
}

func TestNearestEffort(t *testing.T) {
	check := func(effort, want string, has ...string) {
		t.Helper()
		if got := nearestEffort(effort, has...); got != want {
			t.Errorf("nearestEffort(%q, %q) = %q, want %q", effort, has, got, want)
		}
	}
	claude := []string{"low", "medium", "high", "max"}
	check("low", "low", claude...)
	check("minimal", "low", claude...)
	check("xhigh", "high", claude...)
	check("max", "max", claude...)
	check("max", "high", "low", "medium", "high")
	check("medium", "low", "low", "high")
	check("none", "none", "none", "low")
	check("none", "low", "low", "high")
	check("enormous", "enormous", claude...)
	check("", "", claude...)
	check("high", "")
}

func TestReasoning(t *testing.T) {
	budget := func(n int64) *int64 { return &n }
	check := func(r Reasoning, given, off bool, effort string, tokens int64, known bool) {
		t.Helper()
		if got := r.given(); got != given {
			t.Errorf("%+v: given = %v, want %v", r, got, given)
		}
		if got := r.off(); got != off {
			t.Errorf("%+v: off = %v, want %v", r, got, off)
		}
		if got := r.effort(); got != effort {
			t.Errorf("%+v: effort = %q, want %q", r, got, effort)
		}
		if n, ok := r.tokens(); n != tokens || ok != known {
			t.Errorf("%+v: tokens = %d, %v, want %d, %v", r, n, ok, tokens, known)
		}
	}
	check(Reasoning{}, false, false, "", 0, false)
	check(Reasoning{Show: true}, false, false, "", 0, false)
	check(Reasoning{Off: true}, true, true, "none", 0, true)
	check(Reasoning{Effort: "none"}, true, true, "none", 0, true)
	check(Reasoning{Budget: budget(0)}, true, true, "none", 0, true)
	check(Reasoning{Budget: budget(-1)}, true, false, "", -1, false)
	check(Reasoning{Budget: budget(5000)}, true, false, "medium", 5000, true)
	check(Reasoning{Effort: "high"}, true, false, "high", 24576, true)
	check(Reasoning{Effort: "low", Budget: budget(2000)}, true, false, "low", 2000, true)
	check(Reasoning{Adapt: true}, true, false, "", 0, false)
	check(Reasoning{Adapt: true, Effort: "max"}, true, false, "max", 32768, true)
}
