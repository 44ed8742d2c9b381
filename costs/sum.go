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

	WastedAttempts int64 // attempts whose output reached no client whole, whatever they cost

	// How far the providers' own figures are from the price book's, over the
	// attempts of which both are known.
	Compared int64 // those attempts
	Drifted  int64 // of them: where the provider's figure is more than 1 % off the book's
	Drift    Money // the providers' figures less the book's: below 0 where the book says more
	DriftOf  Money // the book's figures

	// What the vendors' prompt caches saved, by the price book, over the
	// attempts of which that is known: see CacheSaving.
	Cached     int64 // attempts with cached input
	CacheKnown int64 // of them: where it is known
	Saved      Money // below 0 where writes cost more than reads saved
}

// Add adds another sum's figures to s's.
func (s *Sum) Add(o *Sum) {
	s.Calls += o.Calls
	s.Attempts += o.Attempts
	s.Usage.Add(o.Usage)
	for _, m := range []struct {
		to *Money
		of Money
	}{
		{&s.Cost, o.Cost},
		{&s.List, o.List},
		{&s.Charged, o.Charged},
		{&s.Wasted, o.Wasted},
		{&s.Estimated, o.Estimated},
		{&s.Drift, o.Drift},
		{&s.DriftOf, o.DriftOf},
		{&s.Saved, o.Saved},
	} {
		*m.to = m.to.Add(m.of)
	}
	s.Unpriced += o.Unpriced
	s.Guessed += o.Guessed
	s.WastedAttempts += o.WastedAttempts
	s.Compared += o.Compared
	s.Drifted += o.Drifted
	s.Cached += o.Cached
	s.CacheKnown += o.CacheKnown
}
