//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// judge holds a run to the laws.
func (r *run) judge() {
	b, l, budget := r.books, r.load, r.o.budget
	if over := b.spent - budget; over > b.bound {
		r.fail("the budget is passed by $%s, and may be by $%s", dollars(over), dollars(b.bound))
	}
	b.smallest = budget
	for i := range l.refusals {
		f := &l.refusals[i]
		switch {
		case f.unintelligible || f.limit != budget:
			r.fail("a refusal says %s", f.text)
		case f.used+f.asked <= f.limit:
			r.fail("refused while there was room: %s", f.text)
		case f.spent && b.spent+f.asked+r.phantom(i) <= budget:
			r.fail("said to be spent, and in the end $%s of it are: %s", dollars(b.spent), f.text)
		}
		if f.small && f.asked > 0 {
			b.smallest = min(b.smallest, f.asked)
		}
		if len(r.broken) > 5 {
			break
		}
	}
	if left := budget - b.spent; left >= b.smallest {
		r.fail("$%s are left, and the smallest request was held at $%s", dollars(left), dollars(b.smallest))
	}
	if off := b.limiter.Used - b.spent; max(off, -off) > b.attempts {
		r.fail("the limiter counts $%s, the ledger $%s: more than a billionth for each of %d attempts", dollars(b.limiter.Used), dollars(b.spent), b.attempts)
	}
	if b.limiter.Reserved != 0 {
		r.fail("$%s are held for ever", dollars(b.limiter.Reserved))
	}
	if b.unknown > 0 {
		r.fail("%d attempts are of unknown cost", b.unknown)
	}
	if len(b.missing) > 0 {
		r.fail("%d calls were answered whole, and in the ledger %s", len(b.missing), strings.Join(b.missing[:min(3, len(b.missing))], ", "))
	}
	if b.adopted == 0 && !r.restart && b.interrupted > 0 {
		r.fail("nobody adopted the dead process's spool")
	}
	if n := l.odd.Load(); n > 0 {
		r.fail("%d answers that nobody expects, like %s", n, l.oddText)
	}
}

// phantom is what the limiter counted and the ledger did not know of, as long
// as that was not mended.
func (r *run) phantom(refusal int) int64 {
	if refusal >= r.load.early {
		return 0
	}
	return max(0, r.gap)
}

const tableHead = "run  budget of        calls attempts refused  gone failed  killed   spent        passed by    bound        limiter-ledger  mended            back  apart outages    s\n"

// line is the run's row of the table.
func (r *run) line() string {
	kind := r.scope
	if r.strict {
		kind += ", strict"
	}
	if r.books == nil {
		return fmt.Sprintf("%3d  %-16s (no result)\n", r.n+1, kind)
	}
	b, l := r.books, r.load
	back := "no"
	if r.restart {
		back = "yes"
	}
	mended := ""
	if r.gap != 0 {
		mended = fmt.Sprintf("%s in %.0fs", dollars(r.gap), r.repair.Seconds())
	}
	return fmt.Sprintf("%3d  %-16s %5d %8d %7d %5d %6d %7d  %11s  %11s  %11s  %14d  %-16s  %-4s  %5d %7d  %3.0f\n",
		r.n+1, kind, b.calls, b.attempts, len(l.refusals), l.aborted.Load(), l.failed.Load(), b.interrupted,
		dollars(b.spent), dollars(b.spent-r.o.budget), dollars(b.bound), b.limiter.Used-b.spent, mended, back, r.apart, b.outages, time.Since(r.began).Seconds())
}

// dollars writes billionths of a dollar.
func dollars(nano int64) string {
	sign := ""
	if nano < 0 {
		sign, nano = "-", -nano
	}
	text := fmt.Sprintf("%s%d.%09d", sign, nano/1e9, nano%1e9)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// describe names the machine.
func describe() string {
	cpu := runtime.GOARCH
	info, _ := os.ReadFile("/proc/cpuinfo") // without it the architecture has to do
	for line := range strings.Lines(string(info)) {
		if rest, ok := strings.CutPrefix(line, "model name"); ok {
			cpu = strings.TrimSpace(strings.TrimLeft(rest, " \t:"))
			break
		}
	}
	return fmt.Sprintf("The overshoot proof, %s, %s, %d cores, %s", time.Now().UTC().Format("2006-01-02 15:04 MST"), cpu, runtime.NumCPU(), runtime.Version())
}
