package console

import (
	"net/http"
	"time"
)

// A LimitStore is what keeps the counts of limits, and how it works.
type LimitStore struct {
	Kind  string `json:"kind"`  // memory or redis
	State string `json:"state"` // ok; failing: limits are decided on in this process; repairing: budgets are, until their sums are corrected
	// Since is when this state began, Why the reason of one that is not ok.
	Since time.Time `json:"since,omitzero"`
	Why   string    `json:"why,omitzero"`
	// Replicas is how many processes count there, as far as is known.
	Replicas int `json:"replicas,omitzero"`
	// Decisions is how many were taken in this process, in this outage or the last one.
	Decisions int64 `json:"local_decisions,omitzero"`
	// Waiting is how many ends of calls Redis is still to be told of, Dropped
	// how many it never will be: it counts their estimates.
	Waiting int   `json:"waiting,omitzero"`
	Dropped int64 `json:"dropped,omitzero"`
	// Last is the outage that ended last.
	Last *LimitOutage `json:"last_outage,omitzero"`
}

// A LimitOutage is a time in which the store of the counts failed.
type LimitOutage struct {
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Why       string    `json:"why"`
	Decisions int64     `json:"local_decisions"`
}

func (c *Console) showLimitStore(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, c.o.Limits.Store())
}
