package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/internal/app"
)

func newServeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run Weir", Args: noArgs,
		Long: "Run Weir: the LLM APIs on one listener, the admin page, admin API and metrics on another.\n" +
			"SIGHUP or a changed file reloads the configuration. SIGTERM and SIGINT stop it: calls under way\n" +
			"have the configuration's shutdown time to end; a second signal ends it at once.",
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd) },
	}
}

func serve(cmd *cobra.Command) error {
	c, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	log, level := app.NewLog(cmd.ErrOrStderr(), c.Log)
	slog.SetDefault(log)
	for _, w := range c.Warnings {
		log.Warn("configuration", "warning", w.Error())
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	a, err := app.Start(app.Options{
		Config: c, Read: func() (*config.Config, error) { return config.Load(c.File, os.LookupEnv) }, Watch: true,
		Version: versionText(), Log: log, Level: level,
	})
	if err != nil {
		return startError(err, c)
	}
	banner(cmd.OutOrStdout(), a, c)
	log.Info("serving", "url", a.URL(), "admin", a.AdminURL(), "version", versionText(), "config", c.File)
	return attend(a, signals, log)
}

// attend serves until a signal or a listener ends it.
func attend(a *app.App, signals <-chan os.Signal, log *slog.Logger) error {
	for {
		select {
		case err := <-a.Failed():
			return errors.Join(err, a.Stop())
		case s := <-signals:
			if s == syscall.SIGHUP {
				_ = a.Reload() // it has logged what is wrong
				continue
			}
			signal.Reset(syscall.SIGINT, syscall.SIGTERM) // a second one kills
			log.Info("stopping", "signal", s.String())
			err := a.Stop()
			log.Info("stopped")
			return err
		}
	}
}

// startError adds the cure to what commonly keeps Weir from starting.
func startError(err error, c *config.Config) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return withHint(err, "another process listens there; set listen and admin.listen in the configuration")
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
		return withHint(err, "the user must be able to write "+c.DataDir+"; set data, store and spool.dir in the configuration")
	}
	return err
}

// banner says what to do next. The curl stands on a line of its own, to be
// copied, or cut out by a script.
func banner(w io.Writer, a *app.App, c *config.Config) {
	fmt.Fprintf(w, "Weir %s\n\n", versionText())
	fmt.Fprintf(w, "  base URL   %s/v1  (OpenAI SDKs; Anthropic and Gemini SDKs: %s)\n", a.URL(), a.URL())
	fmt.Fprintf(w, "  admin      %s\n", adminLink(w, a))
	fmt.Fprintf(w, "  providers  %s\n", providerNames(c))
	fmt.Fprintf(w, "  store      %s\n", c.Store)
	if len(c.Providers) == 0 {
		fmt.Fprintf(w, "\nThere is no provider yet. To look around without any key: weir demo\n")
	}
	if c.Auth == config.AuthKeys {
		fmt.Fprintf(w, "\nMake a key: weir keys create%s\n", configFlag(c))
	}
	if line := curlLine(a.URL(), c); line != "" {
		fmt.Fprintf(w, "\nTry it:\n\n%s\n", line)
	}
	fmt.Fprintln(w)
}

// configFlag is what other verbs need to mean the same Weir.
func configFlag(c *config.Config) string {
	if c.File == "" || c.File == defaultConfig {
		return ""
	}
	return " --config " + c.File
}

// adminLink logs in by itself where the token is new or a person reads along;
// else it says where the token is, since a service's output is kept.
func adminLink(w io.Writer, a *app.App) string {
	t := a.Token()
	switch {
	case t.File == "":
		return a.AdminURL() + "  (the configured token)"
	case t.Made || isTerminal(w):
		return a.AdminURL() + "#token=" + string(t.Value)
	}
	return a.AdminURL() + "  (token: " + t.File + ")"
}

func providerNames(c *config.Config) string {
	var names []string
	for i := range c.Providers {
		p := &c.Providers[i]
		switch {
		case p.From != "":
			names = append(names, p.Name+" ("+p.From+")")
		case !p.HasKey() && c.Auth != config.AuthPassthrough:
			names = append(names, p.Name+" (no key)")
		default:
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return "none: set " + strings.Join(config.Variables()[:3], ", ") + " …"
	}
	return strings.Join(names, ", ")
}

// curlLine is a call that works at once; "" where none surely would.
func curlLine(base string, c *config.Config) string {
	model := ""
	for i := range c.Providers {
		switch p := &c.Providers[i]; {
		case p.Kind == "mock" && p.BaseURL == "":
			model = p.Name + "/gpt-4o-mini"
		case model == "" && p.Kind == "openai" && p.BaseURL == "" && p.APIKey != "":
			model = p.Name + "/gpt-4o-mini"
		}
	}
	if model == "" {
		return ""
	}
	auth := ""
	if c.Auth != config.AuthOff {
		auth = " -H 'authorization: Bearer KEY'"
	}
	return "curl " + base + "/v1/chat/completions" + auth + ` -H 'content-type: application/json' -d '{"model": "` + model + `", "messages": [{"role": "user", "content": "Hello"}]}'`
}
