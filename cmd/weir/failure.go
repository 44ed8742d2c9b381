package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"weir/config"
)

// A failure is an error with an exit code and, where it is known, the cure:
// 1 failure or regression · 2 usage or config · 3 inconclusive.
type failure struct {
	code int
	err  error // nil: all has been said
	hint string
}

func (f *failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// usageError says that the command line is not understood.
func usageError(cmd *cobra.Command, format string, args ...any) error {
	return &failure{code: 2, err: fmt.Errorf(format, args...), hint: "see " + cmd.CommandPath() + " --help"}
}

// withHint adds the cure to an error that ends the command with code 1.
func withHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &failure{code: 1, err: err, hint: hint}
}

// report writes what went wrong and returns the exit code: one line
// "weir: doing what: why", then "hint: …". Problems of a file have a line each.
func report(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	code, hint := 1, ""
	if f, ok := errors.AsType[*failure](err); ok {
		code, hint = f.code, f.hint
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range problems {
			fmt.Fprintf(w, "weir: %s\n", p.Error())
			if p.Hint != "" {
				fmt.Fprintf(w, "hint: %s\n", p.Hint)
			}
		}
		return 2
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintf(w, "weir: %s\n", msg)
	}
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
	return code
}
