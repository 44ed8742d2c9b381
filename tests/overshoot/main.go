//go:build linux

// Command overshoot proves what docs/limits.md says of budgets, with real
// processes: three weir serve on one Redis and one store, each with its own
// spool, an upstream that charges as a vendor does, and many clients that
// stream, go away and try again. One process is killed in mid-load. Then the
// ledger is held against the budget and against the limiter, call by call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"
)

// options are the command's flags.
type options struct {
	runs     int
	parallel int
	clients  int
	budget   int64 // billionths of a dollar
	seed     uint64
	keep     bool
	out      string
	weir     string // a binary; "" = one is built
	redis    string // its URL; "" = one is started
}

func main() {
	var o options
	usd := flag.Float64("budget", 1, "the budget of a day, in dollars")
	flag.IntVar(&o.runs, "runs", 20, "how often")
	flag.IntVar(&o.parallel, "parallel", 1, "runs at once: most of a run waits for the leases of the killed process")
	flag.IntVar(&o.clients, "clients", 200, "clients at once")
	flag.Uint64Var(&o.seed, "seed", 1, "of the runs' dice")
	flag.BoolVar(&o.keep, "keep", false, "keep the directory with stores, spools and logs")
	flag.StringVar(&o.out, "out", "", "write the table to a `FILE` too")
	flag.StringVar(&o.redis, "redis", "", "use the Redis at a `URL` instead of starting one")
	flag.StringVar(&o.weir, "weir", "", "use this weir `BINARY` instead of building one")
	flag.Parse()
	o.budget = int64(*usd*1e6+0.5) * 1000
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	text, err := prove(ctx, o)
	stop()
	if o.out != "" && text != "" {
		err = errors.Join(err, os.WriteFile(o.out, []byte(text), 0o644))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests/overshoot:", err)
		os.Exit(1)
	}
}

// prove does the runs and returns their table. An error says which of the laws
// were broken, or what could not be started.
func prove(ctx context.Context, o options) (text string, err error) {
	dir, err := os.MkdirTemp("", "weir-overshoot-")
	if err != nil {
		return "", err
	}
	if o.keep {
		fmt.Println("everything is kept in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	if o.weir == "" {
		if o.weir, err = buildWeir(ctx, dir); err != nil {
			return "", err
		}
	}
	redis, err := startRedis(o.redis, dir)
	if err != nil {
		return "", err
	}
	defer redis.end()
	head := fmt.Sprintf("%s\n%d clients on three processes, a budget of $%s a day\n\n", describe(), o.clients, dollars(o.budget))
	fmt.Print(head, tableHead)
	lines, errs := make([]string, o.runs), make([]error, o.runs)
	var all sync.WaitGroup
	turns := make(chan struct{}, max(1, o.parallel))
	for n := range o.runs {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			r := newRun(o, n, dir, redis)
			if errs[n] = r.do(ctx); errs[n] != nil {
				errs[n] = fmt.Errorf("run %d: %w", n+1, errs[n])
			}
			lines[n] = r.line()
			fmt.Print(lines[n])
			for _, broken := range r.broken {
				errs[n] = errors.Join(errs[n], fmt.Errorf("run %d: %s", n+1, broken))
			}
		})
	}
	all.Wait()
	return head + tableHead + strings.Join(lines, ""), errors.Join(errs...)
}

// A run is one day's budget, spent.
type run struct {
	o       options
	n       int
	dir     string
	redis   *redisServer
	strict  bool   // the budget holds the most that a call may use
	scope   string // key or customer
	restart bool   // the killed process is started again
	dice    *rand.Rand
	began   time.Time

	victim int
	killed time.Time

	c      *cluster
	load   *load
	books  *books
	gap    int64         // by which the limiter stood above the ledger at first
	repair time.Duration // how long that took to be mended
	apart  int64         // decisions that the living processes took without Redis
	broken []string      // laws that did not hold
}

// newRun draws what a run is like: budgets of keys and of customers by turns,
// every second pair strict, the killed process back in every third one.
func newRun(o options, n int, dir string, redis *redisServer) *run {
	return &run{
		o: o, n: n, dir: fmt.Sprintf("%s/run%d", dir, n+1), redis: redis,
		strict: n%4 >= 2, scope: [...]string{"customer", "key"}[n%2], restart: n%3 == 2,
		dice: rand.New(rand.NewPCG(o.seed, uint64(n))), began: time.Now(),
	}
}

func (r *run) fail(format string, args ...any) {
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
}

// do goes through one run. An error says that it could not be done; what it
// found is in broken.
func (r *run) do(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	if err := notAtMidnight(ctx); err != nil {
		return err
	}
	stage.Lock() // one run at a time is in its load; what others do is wait for leases
	leave := sync.OnceFunc(stage.Unlock)
	defer leave()
	if r.c, err = startCluster(ctx, r); err != nil {
		return err
	}
	defer r.c.end()
	r.load = newLoad(r)
	r.victim = r.dice.IntN(len(r.c.servers))
	after := int64(r.o.clients/2 + r.dice.IntN(max(1, r.o.clients/2)))
	killed := make(chan error, 1)
	go func() {
		killed <- r.kill(ctx, after)
		sleep(ctx, loadTime)
		leave()
	}()
	r.load.run(ctx)
	if err := errors.Join(<-killed, ctx.Err()); err != nil {
		return err
	}
	standing, err := r.c.settled(ctx)
	if err != nil {
		return err
	}
	if standing, err = r.mend(ctx, standing); err != nil {
		return err
	}
	if r.apart, err = r.c.apart(ctx); err != nil {
		return err
	}
	if err := r.c.stop(); err != nil {
		return err
	}
	if r.books, err = readBooks(ctx, r, standing); err != nil {
		return err
	}
	r.judge()
	return nil
}

// stage is taken by the run whose clients are at it.
var stage sync.Mutex

// loadTime is how long the rest of a run's load has the machine for itself.
const loadTime = 10 * time.Second

// mendTime is how long a limiter may stand above the ledger, by what a killed
// process had reserved and told nobody of, and then some.
const mendTime = 8 * time.Minute

// mend waits until the limiter counts what the ledger knows. Where it stood
// above it the clients come again for what that leaves of the budget.
func (r *run) mend(ctx context.Context, st standing) (standing, error) {
	began := time.Now()
	st, gap, err := r.agree(ctx, st)
	if err != nil || gap == 0 {
		return st, err
	}
	r.gap, r.repair = gap, time.Since(began)
	if gap < 0 {
		return st, nil
	}
	r.load.again(ctx)
	if st, err = r.c.settled(ctx); err == nil {
		st, _, err = r.agree(ctx, st)
	}
	return st, err
}

// agree waits until the limiter and the ledger agree but for roundings, or for
// mendTime. gap is what the limiter counted more at first.
func (r *run) agree(ctx context.Context, st standing) (_ standing, gap int64, err error) {
	for end, first := time.Now().Add(mendTime), true; time.Now().Before(end); first = false {
		spent, calls, err := r.c.spent(ctx, r.scope)
		if err != nil {
			return st, gap, err
		}
		off := st.Used - spent
		if first {
			gap = off
		}
		if max(off, -off) <= 4*calls { // each attempt is rounded up
			if first {
				gap = 0
			}
			break
		}
		if sleep(ctx, time.Second); ctx.Err() != nil {
			return st, gap, ctx.Err()
		}
		if st, err = r.c.status(ctx); err != nil {
			return st, gap, err
		}
	}
	return st, gap, nil
}

// kill ends a process once so many calls have been answered, and starts it
// again a little later where the run says so.
func (r *run) kill(ctx context.Context, after int64) error {
	for r.load.answered.Load() < after {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.load.done:
			return fmt.Errorf("only %d calls were answered before the budget was spent, too few for the kill at %d", r.load.answered.Load(), after)
		case <-time.After(5 * time.Millisecond):
		}
	}
	r.killed = time.Now()
	r.c.servers[r.victim].kill()
	if !r.restart {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(r.dice.IntN(5000)) * time.Millisecond):
	}
	return r.c.servers[r.victim].start(ctx, r.o.weir)
}

// notAtMidnight waits where the day, and with it the budget, is about to begin
// anew.
func notAtMidnight(ctx context.Context) error {
	now := time.Now().UTC()
	left := time.Until(now.Truncate(24 * time.Hour).Add(24 * time.Hour))
	if left > 16*time.Minute {
		return nil
	}
	fmt.Println("waiting for the next day, in", left.Round(time.Second))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(left + time.Second):
		return nil
	}
}
