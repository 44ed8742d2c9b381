package costs

import "time"

// A Sum is what the attempts of one group and one stretch of time add up to,
// as the ledger's rollup has them. Money is exact.
type Sum struct {
	Day   time.Time // start of the day or hour, in the query's zone; zero where sums are not by time
	Group []string  // values, in the order of the query's By, day and hour left out; "" where a call names none

	Calls    int64 // each once, at its last attempt
	Attempts int64
	Usage    Usage // of all attempts

	Cost      Money // what was spent, as far as it is known: unpriced attempts are not in it
	List      Money // the same by list prices
	Wasted    Money // of Cost: attempts whose output did not reach a client whole
	Estimated Money // of Cost: attempts whose tokens are our own count

	// Told is what providers charged by their own word, for attempts that the
	// price book prices too; Computed is those attempts by the price book.
	Told, Computed Money

	Unpriced          int64 // attempts whose cost is unknown
	EstimatedAttempts int64
	WastedAttempts    int64
}

// Add adds the other's figures. Time and group stay.
func (s *Sum) Add(o *Sum) {
	s.Calls += o.Calls
	s.Attempts += o.Attempts
	s.Usage.Add(o.Usage)
	s.Cost = s.Cost.Add(o.Cost)
	s.List = s.List.Add(o.List)
	s.Wasted = s.Wasted.Add(o.Wasted)
	s.Estimated = s.Estimated.Add(o.Estimated)
	s.Told = s.Told.Add(o.Told)
	s.Computed = s.Computed.Add(o.Computed)
	s.Unpriced += o.Unpriced
	s.EstimatedAttempts += o.EstimatedAttempts
	s.WastedAttempts += o.WastedAttempts
}
