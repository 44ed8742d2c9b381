// Package report makes of the ledger's sums what a founder reads: where the
// month will land, who and what costs how much and why that moved, and renders
// it as text, CSV, JSON and one HTML file. It is pure: no I/O, no clock.
package report
