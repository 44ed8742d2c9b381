package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/app"
)

func newDemoCommand() *cobra.Command {
	var lasts time.Duration
	cmd := &cobra.Command{
		Use: "demo", Short: "Run Weir with fake upstreams and synthetic traffic, without a network", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd, lasts) },
	}
	cmd.Flags().DurationVar(&lasts, "for", 0, "end after so long (default: at Ctrl-C)")
	return cmd
}

func demo(cmd *cobra.Command, lasts time.Duration) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
	slog.SetDefault(log)
	d, err := app.StartDemo(versionText(), log)
	if err != nil {
		return fmt.Errorf("start the demo: %w", err)
	}
	out := cmd.OutOrStdout()
	demoBanner(out, d)
	err = watchDemo(out, d, signals, lasts)
	signal.Reset(syscall.SIGINT, syscall.SIGTERM) // a second one kills
	c := d.Counts()
	fmt.Fprintf(out, "\nstopping: %d calls, %d ok, %d errors, %d cut streams, %d left by their caller\n", c.Calls, c.OK, c.Errors, c.Cut, c.Aborted)
	return errors.Join(err, d.Stop())
}

func demoBanner(w io.Writer, d *app.Demo) {
	fmt.Fprintf(w, "A demo of Weir: three fake vendors, a company with a past of two months and a GPU of its own, no network.\n\n")
	fmt.Fprintf(w, "  admin page    %s#token=%s\n", d.AdminURL(), string(d.Token().Value))
	fmt.Fprintf(w, "  metrics       %smetrics\n", d.AdminURL())
	fmt.Fprintf(w, "  the calls     weir calls tail --config %s\n", d.File)
	fmt.Fprintf(w, "  one of them   weir calls show ID --config %s\n", d.File)
	fmt.Fprintf(w, "  its routes    weir routes --config %s\n", d.File)
	fmt.Fprintf(w, "  the costs     weir costs report --config %s --revenue %s --budget '$300' --html report.html\n", d.File, d.Revenue)
	fmt.Fprintf(w, "  call it       curl %s/v1/chat/completions -H 'content-type: application/json' -d '{\"model\": \"assistant\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'\n\n", d.URL())
}

// watchDemo shows the figures until a signal or the time ends it: in place on
// a terminal, else a line every five seconds.
func watchDemo(w io.Writer, d *app.Demo, signals <-chan os.Signal, lasts time.Duration) error {
	every, begin, end := 5*time.Second, "", "\n"
	if isTerminal(w) {
		every, begin, end = time.Second, "\r", ""
	}
	var over <-chan time.Time
	if lasts > 0 {
		over = time.After(lasts)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	start, past := time.Now(), d.Past()
	for {
		select {
		case err := <-past:
			if past = nil; err != nil {
				return fmt.Errorf("make the demo's past: %w", err)
			}
			fmt.Fprintln(w, "its past is in the store")
		case err := <-d.Failed():
			return err
		case <-signals:
			return nil
		case <-over:
			return nil
		case <-tick.C:
			c := d.Counts()
			fmt.Fprintf(w, "%s%4ds  calls %d  ok %d  errors %d  cut %d  aborted %d  under way %d  %s", begin,
				int(time.Since(start).Seconds()), c.Calls, c.OK, c.Errors, c.Cut, c.Aborted, c.Calls-c.OK-c.Errors-c.Cut-c.Aborted, end)
		}
	}
}
