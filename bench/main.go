//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const usage = `Measures Weir beside no proxy, nginx and httputil.ReverseProxy.

	go run ./bench            all of it, in up to 8 minutes; writes bench/results/
	go run ./bench -quick     every cell once and briefly, to see that it works
`

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		exit(runChild(os.Args[2:]))
		return
	}
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage+"\n")
		flag.PrintDefaults()
	}
	o := options{}
	flag.BoolVar(&o.quick, "quick", false, "each cell once and briefly; writes no file unless -out says so")
	flag.StringVar(&o.only, "only", "", "only the scenarios with this in their name; translation: only what it costs to carry a conversation across dialects")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds of every scenario; 0: each its own")
	flag.StringVar(&o.out, "out", "", "where to write the tables; default bench/results/<date>-<machine>.txt after a whole run")
	flag.StringVar(&o.profile, "profile", "", "a directory for Weir's CPU and allocation profiles; one scenario at a time, by -only")
	flag.Parse()
	exit(bench(o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// runChild is this program as one of the contestants or the mock.
func runChild(words []string) error {
	go obey()
	switch {
	case len(words) == 2 && words[0] == "mock":
		return runMock(words[1])
	case len(words) == 3 && words[0] == "reverseproxy":
		return runReverseProxy(words[1], words[2])
	case len(words) == 4 && words[0] == "weir":
		return runWeir(words[1], addresses{Plain: words[2], TLS: words[3]})
	case len(words) == 2 && words[0] == "weir-of":
		return runWeirOf(words[1])
	}
	return fmt.Errorf("no such child: %s", strings.Join(words, " "))
}

type options struct {
	quick   bool
	only    string
	rounds  int
	out     string
	profile string
}

// bench runs everything and writes the tables.
func bench(o options) (err error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := &strings.Builder{}
	w := io.MultiWriter(os.Stdout, out)
	begun := time.Now()
	m := readMachine()
	fmt.Fprint(w, m.describe(o))
	if strings.Contains("translation", o.only) { // first, as nothing else runs yet
		if err := errors.Join(translate(w, o), albums(w, dir)); err != nil {
			return err
		}
	}
	list := scenarios(o)
	if len(list) == 0 {
		return save(o, m, out.String())
	}
	a, err := openArena(dir)
	if err != nil {
		return err
	}
	defer a.close()
	for _, name := range a.absent {
		fmt.Fprintf(w, "\n!!! %s\n", name)
	}
	for _, s := range list {
		rounds, err := a.play(s, o)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprint(w, s.table(a.contestants, rounds))
	}
	if err := a.audit(w); err != nil {
		return err
	}
	if err := a.starts(w, o); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s in all; load average at the end %s\n", time.Since(begun).Round(time.Second), loadAverage())
	return save(o, m, out.String())
}

// save keeps the tables of a whole run.
func save(o options, m machine, text string) error {
	path := o.out
	if path == "" {
		if o.quick || o.only != "" || o.profile != "" {
			return nil
		}
		path = filepath.Join("bench", "results", time.Now().Format("2006-01-02")+"-"+m.slug()+".txt")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("keep the tables: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("keep the tables: %w", err)
	}
	fmt.Fprintln(os.Stderr, "bench: wrote", path)
	return nil
}
