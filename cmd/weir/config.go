package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/internal/app"
)

// defaultConfig is read where no --config is given and it is there.
const defaultConfig = "weir.yaml"

// configPath returns the configuration file that the command line means; ""
// is none.
func configPath(cmd *cobra.Command) (string, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil || path != "" {
		return path, err
	}
	if _, err := os.Stat(defaultConfig); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return defaultConfig, nil // any other error is told by who reads it
}

// loadConfig reads the configuration that the command line means.
func loadConfig(cmd *cobra.Command) (*config.Config, error) {
	path, err := configPath(cmd)
	if err != nil {
		return nil, err
	}
	c, err := config.Load(path, os.LookupEnv)
	if err != nil {
		return nil, &failure{code: 2, err: err}
	}
	return c, nil
}

func newConfigCommand() *cobra.Command {
	cmd := group("config", "The configuration file's form")
	cmd.AddCommand(&cobra.Command{
		Use: "schema", Short: "Print the JSON schema of the configuration file, for editors", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema())
			return err
		},
	}, &cobra.Command{
		Use: "show", Short: "Print the configuration in effect, its defaults filled in and its secrets left out", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), c.Redacted())
		},
	})
	return cmd
}

func newCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Check the configuration: exit 2 with file:line: what", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return check(cmd) },
	}
}

// check prints problems without the "weir:" of other errors, so that editors
// and CI find the place.
func check(cmd *cobra.Command) error {
	c, err := loadConfig(cmd)
	if err == nil {
		err = checkBook(c)
	}
	out, errOut := cmd.OutOrStdout(), cmd.ErrOrStderr()
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range problems {
			printProblem(errOut, p, "")
		}
		return &failure{code: 2}
	}
	if err != nil {
		return err
	}
	for _, p := range c.Warnings {
		printProblem(errOut, p, "warning: ")
	}
	name := c.File
	if name == "" {
		name = "no file"
	}
	_, err = fmt.Fprintf(out, "%s: ok: %s, %s, %s\n", name, counted(len(c.Providers), "provider"), counted(len(c.Routes), "route"), counted(len(c.Warnings), "warning"))
	return err
}

// checkBook adds what the price book says of the price file to the warnings.
func checkBook(c *config.Config) error {
	b, err := app.LoadBook(c)
	if err == nil {
		c.Warnings = append(c.Warnings, app.BookWarnings(b)...)
	}
	return err
}

// counted is a number of things.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
