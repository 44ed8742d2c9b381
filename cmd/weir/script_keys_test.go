package main

import (
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// readenv sets a variable to what a file has.
func readenv(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// settle waits as long as a running server takes to see what another process
// has written.
func settle(*testscript.TestScript, bool, []string) { time.Sleep(1500 * time.Millisecond) }
