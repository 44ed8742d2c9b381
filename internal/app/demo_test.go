package app

import (
	"log/slog"
	"os"
	"testing"
	"time"
)

// TestDemo: calls of every ending come and the rest go well, and nothing is left behind.
func TestDemo(t *testing.T) {
	d, err := StartDemo("test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var c Counts
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if c = d.Counts(); c.OK >= 20 {
			break
		}
	}
	if c.OK < 20 || c.Errors+c.Cut+c.Aborted > c.Calls/2 {
		t.Errorf("after 20 s: %+v", c)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.dir); !os.IsNotExist(err) {
		t.Errorf("the directory stays: %v", err)
	}
}
