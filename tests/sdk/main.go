// Command sdk runs real SDKs against weir mock, directly and through a running
// weir serve, and holds the two to the same results; then it reads the ledger
// and holds that to what the SDKs reported. README.md says more.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// options are the command's flags.
type options struct {
	only  string // programs whose name contains it
	cases string // one case
	phase string // same, across or shapes; "" = all
	weir  string // a weir binary; "" = build one
	keep  bool   // the directory with the logs
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "run only programs whose name contains `TEXT`")
	flag.StringVar(&o.cases, "case", "", "run only the case `NAME`")
	flag.StringVar(&o.phase, "phase", "", "run only `NAME`: same (dialect), across (dialects) or shapes")
	flag.StringVar(&o.weir, "weir", "", "use this weir `BINARY` instead of building one")
	flag.BoolVar(&o.keep, "keep", false, "keep the directory with configurations and logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	passed, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests/sdk:", err)
		os.Exit(2)
	}
	if !passed {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (passed bool, err error) {
	began := time.Now()
	root, err := moduleRoot()
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "weir-sdk-")
	if err != nil {
		return false, err
	}
	if o.keep {
		fmt.Println("logs are kept in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	kits, err := install(ctx, root)
	if err != nil {
		return false, err
	}
	if o.weir == "" {
		o.weir = filepath.Join(dir, "weir")
		if err := command(ctx, root, "go", "build", "-o", o.weir, "./cmd/weir"); err != nil {
			return false, err
		}
	}
	fmt.Printf("installed and built in %.1fs\n\n", time.Since(began).Seconds())

	s := &suite{options: o, dir: dir, programs: kits.programs(o.only), cells: map[[2]string]*cell{}}
	phases := []struct {
		name string
		run  func(context.Context) error
	}{
		{"same", s.run},
		{"across", func(ctx context.Context) error { return s.across(ctx, kits.acrossPrograms(o.only)) }},
		{"shapes", s.shapes},
	}
	for _, p := range phases {
		if o.phase != "" && o.phase != p.name {
			continue
		}
		if err := p.run(ctx); err != nil {
			return false, err
		}
	}
	s.print(os.Stdout)
	fmt.Printf("\n%.1fs\n%d passed, %d failed\n", time.Since(began).Seconds(), s.passed, len(s.failures))
	return len(s.failures) == 0 && s.passed > 0, nil
}

// moduleRoot finds Weir's checkout from the working directory.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	if _, err := os.Stat(filepath.Join(root, "tests/sdk/python")); err != nil {
		return "", fmt.Errorf("find the module: run this inside Weir's checkout: %w", err)
	}
	return root, nil
}

// command runs a program to its end; its output is in the error.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
