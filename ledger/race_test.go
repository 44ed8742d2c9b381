//go:build race

package ledger

func init() { racing = true } // pools forget at random then
