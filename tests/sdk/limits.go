package main

import (
	"context"
	"fmt"
	"strings"
)

// spentConfig is a gateway's budget that no call fits into.
const spentConfig = `
limits:
  - {scope: global, usd_per_day: $0.000000001, unpriced: $1}
`

// spent runs the case of an error that is not to be tried again against a Weir
// whose budget is spent: an SDK's user gets the vendor's class of error for a
// rate limit, at once, since x-should-retry keeps the SDK from its own retries.
func (s *suite) spent(ctx context.Context) error {
	var programs []program
	for _, p := range s.programs {
		if _, has := s.direct[p.name]["exhausted"]; has {
			programs = append(programs, p)
		}
	}
	if len(programs) == 0 {
		return nil
	}
	mock, err := s.mock(ctx, "mock-spent", "--key", providerKey)
	if err != nil {
		return err
	}
	defer mock.stop()
	weir, _, err := s.gateway(ctx, "spent", "off", mock.base, providerKey, spentConfig)
	if err != nil {
		return err
	}
	defer weir.stop()
	s.columns = append(s.columns, "spent")
	lines, err := runAll(ctx, programs, server{weir.base, clientKey}, "exhausted")
	if err != nil {
		return err
	}
	for _, p := range programs {
		var wrong []string
		if got := lines[p.name]; len(got) != 1 {
			wrong = append(wrong, fmt.Sprintf("it has %d lines, want 1", len(got)))
		} else {
			wrong = budgetRefused(s.direct[p.name]["error_429"], got[0])
		}
		s.check("spent", p.name, "exhausted", wrong...)
	}
	return nil
}

// budgetRefused checks the refusal of a spent budget against the vendor's 429.
func budgetRefused(vendors, ours line) (wrong []string) {
	class := func(l line) string {
		m, _ := l.Seen.(map[string]any)
		e, _ := m["error"].(map[string]any)
		return fmt.Sprint(e["class"], " ", e["status"], " ", e["status_code"])
	}
	if class(vendors) != class(ours) {
		wrong = append(wrong, fmt.Sprintf("Weir's own error is %s, the vendor's is %s", class(ours), class(vendors)))
	}
	if len(ours.HTTP) != 1 {
		return append(wrong, fmt.Sprintf("it was tried %d times", len(ours.HTTP)))
	}
	if said := fmt.Sprint(ours.Seen); !strings.Contains(said, "Budget reached") {
		wrong = append(wrong, "the user is not told that a budget is reached: "+said)
	}
	if ours.HTTP[0].header("x-should-retry") != "false" {
		wrong = append(wrong, "no x-should-retry: false")
	}
	return wrong
}
