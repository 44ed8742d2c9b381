package costs

import "time"

// A Sum is what a group of attempts adds up to. Of its usage, five meters are
// set, which hold all tokens: input, input_cache_read, input_cache_write,
// output and output_reasoning, each with what is a kind of it.
type Sum struct {
	Start    time.Time // of the day or the hour, where the sum is by one of them; else zero
	Group    []string  // the group's values, in the order of what was asked for
	Calls    int64     // each call once, at its last attempt
	Attempts int64
	Usage    Usage

	Cost      Money // of the attempts whose cost is known
	List      Money // by list prices, as far as the price book knows them
	Charged   Money // by the providers' own figures, which are a part of Cost
	Wasted    Money // of Cost: what reached no client whole
	Estimated Money // of Cost: by our own or an incomplete count
	Unpriced  int64 // attempts whose cost is not known
	Guessed   int64 // attempts whose cost is estimated
}

// Add adds another sum's figures to s's.
func (s *Sum) Add(o *Sum) {
	s.Calls += o.Calls
	s.Attempts += o.Attempts
	s.Usage.Add(o.Usage)
	for _, m := range []struct {
		to *Money
		of Money
	}{{&s.Cost, o.Cost}, {&s.List, o.List}, {&s.Charged, o.Charged}, {&s.Wasted, o.Wasted}, {&s.Estimated, o.Estimated}} {
		*m.to = m.to.Add(m.of)
	}
	s.Unpriced += o.Unpriced
	s.Guessed += o.Guessed
}
