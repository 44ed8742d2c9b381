package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// run runs the command line and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(stderr, root.Execute())
}

func newRootCommand() *cobra.Command {
	root := group("weir", "An LLM gateway: one base URL, every call metered, traced and recorded")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(cmd, "%s", err)
	})
	root.PersistentFlags().StringP("config", "c", "", "the configuration `FILE` (default ./weir.yaml, else none)")
	root.AddCommand(
		newServeCommand(), newDemoCommand(), newMockCommand(),
		newCallsCommand(), newKeysCommand(), newCostsCommand(), newPricesCommand(),
		newCheckCommand(), newRoutesCommand(), newProvidersCommand(), newLimitsCommand(), newAlertsCommand(), newConfigCommand(),
		newVersionCommand(),
	)
	for _, verb := range []string{"cache", "prompts", "evals", "drift", "pools", "migrate", "top", "bench"} {
		root.AddCommand(absent(verb))
	}
	return root
}

// group is a command that only has commands below it.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			hint := "see " + cmd.CommandPath() + " --help"
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = "did you mean " + near[0] + "?"
			}
			return &failure{code: 2, err: fmt.Errorf("unknown verb %q", args[0]), hint: hint}
		},
	}
}

// absent is a verb of a later version: refused by name, and not in the help.
func absent(verb string) *cobra.Command {
	return &cobra.Command{
		Use: verb, Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
			return &failure{code: 2, err: fmt.Errorf("%s: not in this version", name)}
		},
	}
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(cmd, "unexpected argument %q", args[0])
	}
	return nil
}
