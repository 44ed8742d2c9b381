//go:build linux

package main

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"weir/internal/redistest"
	"weir/internal/tokens"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The proof in its short form: one run, with fewer clients and a smaller
// budget. It takes as long as the leases of the killed process live, or until
// the limiter was mended; make proof-limits is the long form.
func TestOvershoot(t *testing.T) {
	o := options{runs: 1, clients: 60, budget: 400_000_000, seed: 3, redis: redistest.URL(t)}
	text, err := prove(t.Context(), o)
	http.DefaultClient.CloseIdleConnections()
	t.Log("\n" + text)
	if err != nil {
		t.Error(err)
	}
}

// The prompt is counted by Weir at no less than the upstream bills for it:
// else a strict budget could be passed by its input.
func TestPrompt(t *testing.T) {
	e, percent, exact := tokens.For(model)
	if !exact || percent != 100 || e.Count(prompt) < 100 {
		t.Errorf("the prompt has %d tokens, exact %v at %d%%", e.Count(prompt), exact, percent)
	}
}

func TestNano(t *testing.T) {
	check := func(text string, want int64) {
		t.Helper()
		if got := nano(text); got != want {
			t.Errorf("nano(%q) = %d, want %d", text, got, want)
		}
		if back := dollars(want); back != text {
			t.Errorf("dollars(%d) = %q, want %q", want, back, text)
		}
	}
	check("1", 1_000_000_000)
	check("0.0038175", 3_817_500)
	check("12.000000001", 12_000_000_001)
	check("0", 0)
}
