// Command bench measures Weir beside what it stands in for: nothing at all,
// nginx, and httputil.ReverseProxy, all in one run on one machine.
//
// Absolute times move between minutes by a factor of two, so every round visits
// every contestant once, and what counts are the ratios within a round.
//
// It starts itself again for each contestant (bench child …), so that each has
// a process of its own whose CPU and memory can be read.
package main
