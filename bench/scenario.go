//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A scenario is one table: a kind of load that every contestant gets.
type scenario struct {
	name    string
	shape   shape
	tls     bool
	conns   int
	rate    int // requests/s; 0: as many as are answered
	rounds  int
	warm    time.Duration
	measure time.Duration
	settle  time.Duration // the longest wait for what requests leave behind
}

// scenarios are all the tables of a run.
func scenarios(o options) []scenario {
	var list []scenario
	add := func(kind string, tls bool, rate, rounds int, measure time.Duration, conns ...int) {
		for _, n := range conns {
			s, _ := shapeByName(kind)
			sc := scenario{shape: s, tls: tls, conns: n, rate: rate, rounds: rounds, warm: 100 * time.Millisecond, measure: measure, settle: 2 * time.Second}
			sc.name = sc.title()
			list = append(list, sc)
		}
	}
	const ms = time.Millisecond
	add("json", false, 0, 5, 600*ms, 1, 16, 64, 256)
	add("json", true, 0, 3, 600*ms, 1, 16, 64, 256)
	add("json", false, 1000, 5, 2000*ms, 16)
	add("json", true, 1000, 3, 1000*ms, 16)
	add("json", false, 5000, 3, 1000*ms, 64, 256)
	add("json", false, 10000, 3, 1000*ms, 64)
	add("burst", false, 0, 3, 600*ms, 1, 16, 64, 256)
	add("burst", true, 0, 3, 600*ms, 64)
	add("pace2", false, 0, 3, 1000*ms, 1, 16, 64)
	add("pace20", false, 0, 3, 1500*ms, 16, 64, 256) // two streams each: the second ends after the time
	add("slow", false, 0, 1, 4000*ms, 1000)          // one stream each
	if o.quick {
		list = quicker(list)
	}
	list = slices.DeleteFunc(list, func(s scenario) bool { return !strings.Contains(s.name, o.only) })
	for i := range list {
		if o.rounds > 0 {
			list[i].rounds = o.rounds
		}
	}
	return list
}

// quicker shortens every scenario as far as it still does all it does.
func quicker(list []scenario) []scenario {
	var out []scenario
	for _, s := range list {
		s.rounds, s.warm, s.settle = 1, 10*time.Millisecond, 50*time.Millisecond
		s.measure = 60 * time.Millisecond
		switch s.shape.name {
		case "pace2":
			s.measure = 150 * time.Millisecond
		case "pace20":
			if s.conns != 256 {
				continue
			}
			s.measure = 1100 * time.Millisecond
		case "slow":
			continue
		}
		out = append(out, s)
	}
	return out
}

func (s scenario) title() string {
	way, load, what := "plain HTTP", "closed loop", "JSON"
	if s.tls {
		way = "TLS upstream"
	}
	if s.rate > 0 {
		load = fmt.Sprintf("open loop %d/s", s.rate)
	}
	if s.shape.stream {
		what = fmt.Sprintf("stream of %d events", events)
		if s.shape.pauseUS > 0 {
			what += fmt.Sprintf(" every %d ms", s.shape.pauseUS/1000)
		}
	}
	return fmt.Sprintf("%s, %s, %s, %d connections", what, way, load, s.conns)
}

// A cell is what one contestant did in one round. Times are in µs.
type cell struct {
	rate, p50, p99   float64
	first50, first99 float64 // streams: to the first event
	gap99            float64 // paced streams: between two events
	delay50, delay99 float64 // paced streams: from an event's sending to its arrival
	cpu              float64 // of the contestant's processes, per answer
	allocs, kib      float64 // per answer
	rss, peak        int64   // bytes, in the middle and at most
	errors           int
	why              string
}

func newCell(r *result, before, after reading) cell {
	c := cell{errors: r.Errors, why: r.Why, rate: float64(r.Done) / r.Elapsed.Seconds()}
	c.p50, c.p99 = percentiles(r.Lat)
	c.first50, c.first99 = percentiles(r.First)
	_, c.gap99 = percentiles(r.Gaps)
	c.delay50, c.delay99 = percentiles(r.Delays)
	if n := float64(r.All); n > 0 {
		c.cpu = float64((after.cpu - before.cpu).Microseconds()) / n
		c.allocs = float64(after.mem.Mallocs-before.mem.Mallocs) / n
		c.kib = float64(after.mem.Bytes-before.mem.Bytes) / 1024 / n
	}
	return c
}

// percentiles returns the median and the 99th percentile in µs; 0 for none.
func percentiles(ns []int64) (p50, p99 float64) {
	if len(ns) == 0 {
		return 0, 0
	}
	slices.Sort(ns)
	at := func(q float64) float64 { return float64(ns[min(int(q*float64(len(ns))), len(ns)-1)]) / 1000 }
	return at(0.50), at(0.99)
}

// A column is one figure of a table: f of a cell, of a cell and the direct one,
// or of a cell and a rival's, always within one round. The median over the
// rounds is shown.
type column struct {
	head  string
	form  string
	f     func(c cell) float64
	rival string // what f2 compares with
	f2    func(c, other cell) float64
}

func (s scenario) columns() []column {
	one := func(head, form string, f func(c cell) float64) column { return column{head: head, form: form, f: f} }
	two := func(head, form, rival string, f func(c, o cell) float64) column {
		return column{head: head, form: form, rival: rival, f2: f}
	}
	times := func(c, o cell) float64 { return c.rate / o.rate }
	what := "req"
	if s.shape.stream {
		what = "stream"
	}
	var cols []column
	if s.shape.pauseUS == 0 {
		cols = append(cols,
			one(what+"s/s", "%.0f", func(c cell) float64 { return c.rate }),
			one("p50 µs", "%.0f", func(c cell) float64 { return c.p50 }),
			one("p99 µs", "%.0f", func(c cell) float64 { return c.p99 }),
			two("added p50", "%+.0f", "direct", func(c, o cell) float64 { return c.p50 - o.p50 }),
			two("added p99", "%+.0f", "direct", func(c, o cell) float64 { return c.p99 - o.p99 }))
	} else {
		cols = append(cols,
			one("first p50 µs", "%.0f", func(c cell) float64 { return c.first50 }),
			one("first p99 µs", "%.0f", func(c cell) float64 { return c.first99 }),
			one("gap p99 µs", "%.0f", func(c cell) float64 { return c.gap99 }),
			two("added gap p99", "%+.0f", "direct", func(c, o cell) float64 { return c.gap99 - o.gap99 }),
			one("delay p50 µs", "%.0f", func(c cell) float64 { return c.delay50 }),
			one("delay p99 µs", "%.0f", func(c cell) float64 { return c.delay99 }))
	}
	cols = append(cols, one("CPU µs/"+what, "%.0f", func(c cell) float64 { return c.cpu }),
		one("allocs", "%.0f", func(c cell) float64 { return c.allocs }),
		one("KiB", "%.1f", func(c cell) float64 { return c.kib }),
		one("RSS MiB", "%.0f", func(c cell) float64 { return float64(c.rss) / (1 << 20) }),
		one("peak MiB", "%.0f", func(c cell) float64 { return float64(c.peak) / (1 << 20) }))
	if s.rate == 0 && s.shape.pauseUS == 0 {
		cols = append(cols, two("× nginx", "%.2f", "nginx", times), two("× ReverseProxy", "%.2f", "reverseproxy", times))
	}
	return cols
}

// table renders a scenario's rounds.
func (s scenario) table(cs []*contestant, rounds [][]cell) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s (%d × %s)\n", s.name, len(rounds), s.measure)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	cols := s.columns()
	fmt.Fprint(w, "\t")
	for _, col := range cols {
		fmt.Fprint(w, col.head, "\t")
	}
	fmt.Fprintln(w, "errors\t")
	for i, c := range cs {
		fmt.Fprint(w, c.name, "\t")
		for _, col := range cols {
			fmt.Fprint(w, col.value(i, cs, rounds), "\t")
		}
		fmt.Fprintln(w, failures(i, rounds), "\t")
	}
	w.Flush() //nolint:errcheck // a Builder takes everything
	return b.String()
}

// value is the median over the rounds, "-" where there is nothing to tell.
func (col column) value(i int, cs []*contestant, rounds [][]cell) string {
	j := slices.IndexFunc(cs, func(c *contestant) bool { return c.name == col.rival })
	if col.f2 != nil && (j < 0 || i == j) {
		return "-"
	}
	var values []float64
	for _, row := range rounds {
		if col.f2 != nil {
			values = append(values, col.f2(row[i], row[j]))
		} else {
			values = append(values, col.f(row[i]))
		}
	}
	m := median(values)
	if m == 0 || math.IsNaN(m) || math.IsInf(m, 0) {
		return "-"
	}
	return fmt.Sprintf(col.form, m)
}

func failures(i int, rounds [][]cell) string {
	n, why := 0, ""
	for _, row := range rounds {
		n += row[i].errors
		if why == "" {
			why = row[i].why
		}
	}
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", n, why)
}

// median of values, which it sorts.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 1 {
		return values[mid]
	}
	return (values[mid-1] + values[mid]) / 2
}
