package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"weir/config"
	"weir/internal/mockllm"
)

type mockFlags struct {
	listen, rules string
	keys, models  []string
	lax, quiet    bool
	fixed         bool
}

func newMockCommand() *cobra.Command {
	var f mockFlags
	cmd := &cobra.Command{
		Use: "mock", Short: "Run the scriptable fake upstream, for tests of your own", Args: noArgs,
		Long: "Run a fake upstream that speaks the APIs of OpenAI, Anthropic and Gemini and is as strict as they are.\n" +
			"How it answers is said by rules in a YAML file, or by magic words in the model's name, such as\n" +
			"mock-slow-2s or mock-error-429x2. A rule's usage_json replays a usage object in the vendor's form.\n" +
			"docs/mock.md describes them.",
		RunE: func(cmd *cobra.Command, _ []string) error { return mock(cmd, f) },
	}
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8090", "`ADDRESS` to listen at")
	cmd.Flags().StringVar(&f.rules, "rules", "", "`FILE` with rules; SIGHUP reads it anew")
	cmd.Flags().StringSliceVar(&f.keys, "key", nil, "a `KEY` that is taken (default: any)")
	cmd.Flags().StringSliceVar(&f.models, "model", nil, "a further `MODEL` for the lists of models")
	cmd.Flags().BoolVar(&f.lax, "lax", false, "take members of a body that the vendors do not know")
	cmd.Flags().BoolVar(&f.fixed, "fixed-time", false, "take times in replies from the request, so that equal requests get equal replies")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "no log line per request")
	return cmd
}

func mock(cmd *cobra.Command, f mockFlags) error {
	rules, err := readRules(f.rules)
	if err != nil {
		return &failure{code: 2, err: err, hint: "docs/mock.md has every member with an example"}
	}
	o := mockllm.Options{Rules: rules, Keys: f.keys, Models: f.models, Lax: f.lax}
	if !f.fixed {
		o.Clock = time.Now
	}
	if !f.quiet {
		o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	ln, err := net.Listen("tcp", f.listen)
	if err != nil {
		return withHint(fmt.Errorf("listen at %s: %w", f.listen, err), "choose another address with --listen")
	}
	upstream := mockllm.New(o)
	server := &http.Server{Handler: upstream, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	fmt.Fprintf(cmd.OutOrStdout(), "mock upstream at http://%s/v1  (Anthropic, Gemini: http://%s)\n", ln.Addr(), ln.Addr())
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("serve: %w", err)
		case s := <-signals:
			if s == syscall.SIGHUP {
				reloadRules(cmd, upstream, f.rules)
				continue
			}
			upstream.Close()
			return stopMock(server, ended)
		}
	}
}

func stopMock(server *http.Server, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-ended
	return err
}

func reloadRules(cmd *cobra.Command, upstream *mockllm.Server, file string) {
	rules, err := readRules(file)
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "weir: %s; the old rules stay\n", err)
		return
	}
	upstream.SetRules(rules)
}

// readRules reads a file of rules; "" has none.
func readRules(file string) ([]mockllm.Rule, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	rules, err := mockllm.ParseRules(text)
	if err != nil {
		return nil, placed(file, err)
	}
	return rules, nil
}

var ruleLine = regexp.MustCompile(`^line (\d+): (.*?)(?: in type \S+)?$`)

// placed says what is wrong with rules as file:line: what, as for a configuration.
func placed(file string, err error) error {
	unknown, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return fmt.Errorf("read %s: %w", file, err)
	}
	var problems config.Problems
	for _, e := range unknown.Errors {
		p := config.Problem{File: file, What: e}
		if m := ruleLine.FindStringSubmatch(e); m != nil {
			p.Line, _ = strconv.Atoi(m[1]) // the expression wants digits
			p.What = m[2]
		}
		problems = append(problems, p)
	}
	return problems
}
