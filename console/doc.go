// Package console is the face of a running Weir for those who run it: the
// admin API below /api/v1, described by /api/v1/openapi.json, and a page.
// It reads and writes by way of the ledger; what it shows of the data plane
// it is handed as functions.
package console
