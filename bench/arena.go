//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A contestant is one way from the load to the mock.
type contestant struct {
	name string
	proc *child
	goes bool // a Go process that tells what it allocates
	addr addresses
	sent int // requests that were answered in full
}

func (c *contestant) pid() int { return c.proc.cmd.Process.Pid }

// An arena holds the mock and the contestants, all running.
type arena struct {
	dir         string
	mock        *child
	contestants []*contestant
	key         string   // what the load shows; Weir alone looks at it
	absent      []string // what is missing, and why
}

func openArena(dir string) (*arena, error) {
	if err := makeCertificate(dir); err != nil {
		return nil, err
	}
	a := &arena{dir: dir}
	var err error
	if a.mock, err = startChild(nil, "mock", dir); err != nil {
		return nil, err
	}
	up := a.mock.addr
	// The direct way has no TLS: it is the floor, not a contestant.
	a.enter("direct", a.mock, false, addresses{Plain: up.Plain, TLS: up.Plain})
	nginx, err := startNginx(dir, up)
	if err != nil {
		a.absent = append(a.absent, "nginx is left out: "+err.Error())
	} else {
		a.enter("nginx", nginx, false, nginx.addr)
	}
	trust := []string{"SSL_CERT_FILE=" + filepath.Join(dir, "cert.pem")}
	rp, err := startChild(trust, "reverseproxy", up.Plain, up.TLS)
	if err != nil {
		return nil, a.giveUp(err)
	}
	a.enter("reverseproxy", rp, true, rp.addr)
	weir, err := startChild(trust, "weir", dir, up.Plain, up.TLS)
	if err != nil {
		return nil, a.giveUp(err)
	}
	a.enter("weir", weir, true, weir.addr)
	a.key = weir.addr.Key
	return a, nil
}

func (a *arena) enter(name string, proc *child, goes bool, addr addresses) {
	a.contestants = append(a.contestants, &contestant{name: name, proc: proc, goes: goes, addr: addr})
}

func (a *arena) giveUp(err error) error {
	a.close()
	return err
}

func (a *arena) close() {
	for _, c := range slices.Backward(a.contestants) {
		c.proc.stop()
	}
}

func (a *arena) find(name string) *contestant {
	for _, c := range a.contestants {
		if c.name == name {
			return c
		}
	}
	return nil
}

// play runs a scenario's rounds: every contestant once a round, in the same
// order. It returns a row of cells for each round.
func (a *arena) play(s scenario, o options) ([][]cell, error) {
	if o.profile != "" {
		if err := a.profile(o.profile, "profile weir-cpu.pprof"); err != nil {
			return nil, err
		}
		defer a.profile(o.profile, "stop weir-allocs.pprof") //nolint:errcheck // seen by the missing file
	}
	var rounds [][]cell
	for range s.rounds {
		var row []cell
		for _, c := range a.contestants {
			result, err := c.run(s, a.key)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			row = append(row, result)
		}
		rounds = append(rounds, row)
	}
	return rounds, nil
}

func (a *arena) profile(dir, order string) error {
	verb, name, _ := strings.Cut(order, " ")
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return err
	}
	var said string
	return a.find("weir").proc.ask(verb+" "+filepath.Join(abs, name), &said)
}

// run measures one cell.
func (c *contestant) run(s scenario, key string) (cell, error) {
	addr := c.addr.Plain
	if s.tls {
		addr = c.addr.TLS
	}
	resetPeak(c.pid())
	before, err := c.read()
	if err != nil {
		return cell{}, err
	}
	memory := make(chan int64, 1)
	timer := time.AfterFunc(s.warm+s.measure/2, func() {
		now, _, _ := rss(c.pid())
		memory <- now
	})
	defer timer.Stop()
	r, err := plan{addr: addr, key: key, shape: s.shape, tls: s.tls, conns: s.conns, rate: s.rate, warm: s.warm, measure: s.measure}.run()
	if err != nil {
		return cell{}, err
	}
	quiet(c.pid(), s.settle)
	after, err := c.read()
	if err != nil {
		return cell{}, err
	}
	c.sent += r.All
	out := newCell(r, before, after)
	select {
	case out.rss = <-memory:
	case <-time.After(time.Second): // the cell ended early
	}
	_, out.peak, err = rss(c.pid())
	return out, err
}

// A reading is what a process has used so far.
type reading struct {
	cpu time.Duration
	mem memory
}

func (c *contestant) read() (r reading, err error) {
	if c.goes {
		if r.mem, err = c.proc.memory(); err != nil {
			return r, err
		}
	}
	r.cpu, err = cpu(c.pid())
	return r, err
}

// audit proves that the ledger was on: it holds every call that was answered,
// with the provider's own count of its tokens.
func (a *arena) audit(w io.Writer) error {
	c := a.find("weir")
	rows, err := countCalls(a.dir, c.sent)
	if err != nil {
		return fmt.Errorf("count the ledger's rows: %w", err)
	}
	fmt.Fprintf(w, "\nledger   %d calls were answered through weir; its store has %d of them with the provider's usage\n", c.sent, rows)
	if rows < c.sent {
		return fmt.Errorf("the ledger has %d rows for %d answered calls", rows, c.sent)
	}
	return nil
}
