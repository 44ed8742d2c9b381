package limits

import (
	"context"
	"time"
)

// A Limiter keeps the counts of limits. All of its methods may be called at
// once. It never fails: where its store does, each limit's OnFailure says what
// that means.
type Limiter interface {
	// Reserve decides on a demand: all of its limits admit it and hold what it
	// asks for, or nothing is held. It looks at the first MaxRules rules.
	Reserve(ctx context.Context, d *Demand) Decision

	// TopUp adds a further attempt's use to what a reservation holds: to all
	// of its limits or to none. Requests and slots stay as they are. A Hold
	// that has ended is refused nothing and holds nothing.
	TopUp(ctx context.Context, h Hold, more, most Use) Decision

	// Heartbeat says that the call is still under way. It reports false where
	// the reservation has ended. What a call holds for longer than a rate's
	// window is charged as used.
	Heartbeat(h Hold) bool

	// Settle ends a reservation: what it held is let go, and what the call used
	// is charged. It counts once; later calls do nothing. Where the reservation
	// has expired and was charged by its estimate, the difference is applied.
	Settle(h Hold, used Use)

	// Release ends a reservation as if it had not been made: the call was refused
	// elsewhere, so that it counts nowhere, not even as a request.
	Release(h Hold)

	// Correct brings the sums of a budget's period to what the ledger knows.
	// What a Limiter counts is never above the truth, nor is the ledger's sum,
	// since rows reach it late: the higher of the two is right. A call may be in
	// the ledger while it still holds: one whose process was killed, until its
	// lease expires. So what is spent and held together is at least the ledger's.
	Correct(ctx context.Context, l *Limit, since time.Time, spent []Sum) error

	// Status returns how all limits stand that are in use, by name, project
	// and value, and ErrFailing where the store of the counts cannot be asked.
	Status(ctx context.Context) ([]Standing, error)
}

// Options are those of every Limiter. The zero value works.
type Options struct {
	Now     func() time.Time // nil: the store's time, of a Memory time.Now
	Crossed func(Crossing)   // told of soft thresholds; it must not block; nil: nobody is
}

// A Sum is what the ledger knows of one value of a budget's scope in a period.
type Sum struct {
	Project, Value string
	USD            int64 // rounded up
	Unpriced       int64 // attempts of unknown cost
}

// MaxRules bounds the limits of one call.
const MaxRules = 32

// LeaseTime is how long a reservation stands without a heartbeat.
const LeaseTime = 90 * time.Second

// A Hold names a reservation. The zero Hold holds nothing.
type Hold struct {
	lease *lease // of a Memory
	gen   uint64
	far   *share // of a Redis
}
