package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"weir/config"
	"weir/console"
)

// recentOutage is how long an outage that is over is told of.
const recentOutage = 24 * time.Hour

// tellStore says on stderr where the counts of limits were not kept as they
// should be, if the running Weir can be asked.
func tellStore(ctx context.Context, w io.Writer, c *config.Config) {
	var s console.LimitStore
	if err := askRunning(ctx, c, "limit-store", &s); err != nil {
		return // the limits themselves could not be asked for either, or will be
	}
	switch s.State {
	case "failing":
		fmt.Fprintf(w, "weir: Redis has failed since %s (%s): limits are counted in each process; %d decisions here\n", s.Since.UTC().Format(time.RFC3339), s.Why, s.Decisions)
	case "repairing":
		fmt.Fprintf(w, "weir: budgets are decided on in each process since %s, until their sums on Redis are corrected\n", s.Since.UTC().Format(time.RFC3339))
	}
	if l := s.Last; l != nil && time.Since(l.To) < recentOutage {
		fmt.Fprintf(w, "weir: Redis failed from %s for %s (%s): %d decisions were taken in this process\n",
			l.From.UTC().Format(time.RFC3339), l.To.Sub(l.From).Round(time.Millisecond), l.Why, l.Decisions)
	}
	if s.Dropped > 0 {
		fmt.Fprintf(w, "weir: %d ends of calls were dropped while Redis failed; they count by their estimates\n", s.Dropped)
	}
}
