package limits

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/redistest"
)

// A wire stands between a limiter and Redis, and breaks.
type wire struct {
	ln     net.Listener
	target string
	wg     sync.WaitGroup

	mu    sync.Mutex // guards the following fields
	fault string
	conns map[net.Conn]bool
	told  chan struct{} // closed when fault changes
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{ln: ln, target: target, conns: map[net.Conn]bool{}, told: make(chan struct{})}
	w.wg.Go(w.accept)
	t.Cleanup(func() {
		ln.Close()
		w.set("closed")
		w.cut()
		w.wg.Wait()
	})
	return w
}

func (w *wire) set(fault string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
	close(w.told)
	w.told = make(chan struct{})
}

func (w *wire) state() (string, chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fault, w.told
}

// cut resets all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		c.Close()
	}
	clear(w.conns)
}

func (w *wire) accept() {
	for {
		c, err := w.ln.Accept()
		if err != nil {
			return
		}
		if fault, _ := w.state(); fault == "refused" {
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
			continue
		}
		up, err := net.Dial("tcp", w.target)
		if err != nil {
			c.Close()
			continue
		}
		w.mu.Lock()
		w.conns[c], w.conns[up] = true, true
		w.mu.Unlock()
		w.wg.Go(func() { w.copy(up, c, c) })
		w.wg.Go(func() { w.copy(c, up, nil) })
	}
}

// copy copies, or does to the bytes what the fault is. client: where replies to
// them go that are not the server's.
func (w *wire) copy(to, from, client net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		fault, told := w.state()
		kind, text, _ := strings.Cut(fault, " ")
		switch kind {
		case "slow": // until it is over
			select {
			case <-told:
			case <-time.After(30 * time.Second):
			}
		case "lost":
			continue
		case "reset", "closed":
			return
		case "says":
			if client != nil {
				reply := strings.Repeat("-"+text+"\r\n", max(1, bytes.Count(buf[:n], []byte("\r\n*"))+1))
				if _, err := client.Write([]byte(reply)); err != nil {
					return
				}
			}
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// faultRules are what a call of the fault tests is bound by.
func faultRules() []Rule {
	return []Rule{
		rule(&Limit{Scope: Key, Dimension: Requests, Amount: 1e6, Window: time.Minute}, "a"),
		rule(&Limit{Scope: Key, Dimension: Concurrent, Amount: 1000}, "a"),
		rule(&Limit{Scope: Key, Dimension: Tokens, Amount: 1e9, Window: time.Minute}, "a"),
		rule(&Limit{Scope: Key, Dimension: USD, Amount: 1000 * Dollar, Period: Month}, "a"),
	}
}

func openFaulty(t *testing.T, url string, o RedisOptions) *Redis {
	t.Helper()
	o.URL = url
	if o.Prefix == "" {
		o.Prefix = "weir-test:" + fmt.Sprint(time.Now().UnixNano()) + ":"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r, err := OpenRedis(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// until waits for something that is to come about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come about in 20 s", what)
		}
	}
}

// load makes calls that are decided on and settled, and returns how long
// decisions and ends took, and how much of the money Redis was to be told of.
func load(r *Redis, callers, calls int) (took []time.Duration, far int64) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	rules := faultRules()
	timed := func(f func()) {
		began := time.Now()
		f()
		mu.Lock()
		defer mu.Unlock()
		took = append(took, time.Since(began))
	}
	for range callers {
		wg.Go(func() {
			for range calls {
				var d Decision
				timed(func() {
					d = r.Reserve(context.Background(), &Demand{Project: "p", Rules: rules, Use: Use{Input: 10, USD: 100}})
				})
				if d.Refused != nil {
					continue
				}
				if d.Hold.far != nil {
					mu.Lock()
					far += 70
					mu.Unlock()
				}
				timed(func() { r.Settle(d.Hold, Use{Input: 5, USD: 70}) })
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took, far
}

// TestRedisFaults: whatever the connection does, decisions take less than
// 50 ms, none hangs, and when it is over Redis has what it was told, once.
func TestRedisFaults(t *testing.T) {
	server := redistest.Start(t)
	faults := map[string]func(*wire){
		"latency of 30 s":      func(w *wire) { w.set("slow") },
		"half-open":            func(w *wire) { w.set("lost") },
		"resets":               func(w *wire) { w.set("reset"); w.cut() },
		"refused":              func(w *wire) { w.set("refused"); w.cut() },
		"one reset":            func(w *wire) { w.cut() },
		"paused":               func(*wire) { server.Pause() },
		"read-only":            func(w *wire) { w.set("says READONLY You can't write against a read only replica.") },
		"loading":              func(w *wire) { w.set("says LOADING Redis is loading the dataset in memory") },
		"moved":                func(w *wire) { w.set("says MOVED 3999 127.0.0.1:1") },
		"out of memory":        func(w *wire) { w.set("says OOM command not allowed when used memory > 'maxmemory'.") },
		"flapping every 50 ms": nil,
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, server.Addr)
			var logs lines
			r := openFaulty(t, "redis://"+w.ln.Addr().String(), RedisOptions{Log: slog.New(slog.NewTextHandler(&logs, nil))})
			_, before := load(r, 2, 50)
			if s := r.State(); s.Failing || before == 0 {
				t.Fatalf("before the fault: %+v, %d", s, before)
			}
			over := make(chan struct{})
			flaps := make(chan struct{})
			go func() {
				defer close(flaps)
				for fault == nil {
					select {
					case <-over:
						return
					case <-time.After(50 * time.Millisecond):
						w.set("reset")
						w.cut()
					}
					time.Sleep(50 * time.Millisecond)
					w.set("")
				}
			}()
			if fault != nil {
				fault(w)
			}
			took, during := load(r, 4, 500)
			for end := time.Now().Add(500 * time.Millisecond); fault == nil && time.Now().Before(end); {
				more, far := load(r, 4, 50)
				took, during = append(took, more...), during+far
			}
			slices.Sort(took)
			close(over)
			<-flaps
			server.Resume()
			w.set("")
			if p99 := took[len(took)*99/100]; p99 >= 50*time.Millisecond {
				t.Errorf("p99 of %d decisions and ends: %v, want less than 50ms", len(took), p99)
			}
			if most := took[len(took)-1]; most > time.Second {
				t.Errorf("one took %v", most)
			}
			until(t, "the end of the outage", func() bool { s := r.State(); return !s.Failing && s.Waiting == 0 })
			_, after := load(r, 2, 50)
			if after < 50*70 {
				t.Errorf("after the fault: %d of %d were decided by Redis", after/70, 2*50)
			}
			until(t, "the end of all calls", func() bool { return r.State().Waiting == 0 })
			left, err := r.Status(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range left {
				if s.Reserved != 0 || s.Limit.Dimension == USD && s.Used != before+during+after {
					t.Errorf("%s: %d used, %d reserved; want %d of money, and nothing reserved", s.Limit.Name(), s.Used, s.Reserved, before+during+after)
				}
			}
			if n := strings.Count(logs.String(), "Redis fails"); n > 1 && fault != nil {
				t.Errorf("the failure was said %d times:\n%s", n, logs.String())
			}
		})
	}
}

// lines is what a logger wrote.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestRedisEmptied: what a server that restarted empty says of budgets is not
// believed until they are corrected, and no decision is taken by it before.
func TestRedisEmptied(t *testing.T) {
	server := redistest.Start(t)
	repairs := make(chan func(), 16)
	var changes atomic.Int64
	r := openFaulty(t, server.URL, RedisOptions{
		Recovered: func(done func()) { repairs <- done },
		Changed:   func(RedisState) { changes.Add(1) },
	})
	(<-repairs)() // a new server
	budget := &Limit{Scope: Key, Dimension: USD, Amount: 100 * Dollar, Period: Month, Exposure: Dollar}
	spend := func(usd int64) Decision {
		return r.Reserve(context.Background(), &Demand{Project: "p", Rules: []Rule{rule(budget, "a")}, Use: Use{USD: usd}})
	}
	since, _ := budget.Span(time.Now())
	known := func(usd int64) {
		t.Helper()
		if err := r.Correct(context.Background(), budget, since, []Sum{{Project: "p", Value: "a", USD: usd}}); err != nil {
			t.Fatal(err)
		}
	}
	d := spend(90 * Dollar)
	r.Settle(d.Hold, Use{USD: 90 * Dollar})
	if d.Hold.far == nil || spend(11*Dollar).Refused == nil {
		t.Fatal("Redis does not count")
	}
	server.Kill()
	server.Restart()
	held := spend(Dollar / 2)
	if held.Refused != nil || held.Hold.far != nil {
		t.Errorf("after the restart half of the exposure: refused by %v, decided by Redis: %v", held.Refused, held.Hold.far != nil)
	}
	if d := spend(Dollar); d.Refused != budget || d.Why != Failing {
		t.Errorf("beyond the exposure: refused by %v, why %v", d.Refused, d.Why)
	}
	until(t, "the recovery", func() bool { s := r.State(); return !s.Failing && s.Repairing })
	if d := spend(Dollar); d.Refused != budget || d.Why != Failing {
		t.Errorf("while the sums are not corrected: refused by %v, why %v", d.Refused, d.Why)
	}
	r.Settle(held.Hold, Use{USD: Dollar / 2})
	stale := <-repairs
	known(90*Dollar + Dollar/2)
	server.Kill()
	server.Restart()
	until(t, "the second failure", func() bool { spend(0); return r.State().Failing || len(repairs) > 0 })
	until(t, "the second recovery", func() bool { return len(repairs) > 0 })
	stale() // of a server that is no more
	if s := r.State(); !s.Repairing {
		t.Errorf("a repair of the server before is taken for one of this: %+v", s)
	}
	known(90*Dollar + Dollar/2)
	(<-repairs)()
	until(t, "the repair", func() bool { return !r.State().Repairing })
	d = spend(9 * Dollar)
	if d.Refused != nil || d.Hold.far == nil {
		t.Errorf("after the repair: refused by %v, decided by Redis: %v", d.Refused, d.Hold.far != nil)
	}
	if d := spend(Dollar); d.Refused != budget || d.Why == Failing {
		t.Errorf("beyond the budget after the repair: refused by %v, why %v", d.Refused, d.Why)
	}
	if s := r.State(); s.Last.To.IsZero() || s.Last.Why == "" || changes.Load() < 4 {
		t.Errorf("state %+v after %d changes", s, changes.Load())
	}
}

// TestRedisDown: what each policy does while Redis fails, and how rates are
// shared.
func TestRedisDown(t *testing.T) {
	r := openFaulty(t, "redis://127.0.0.1:1", RedisOptions{})
	if !r.State().Failing {
		t.Fatal("nobody listens there")
	}
	r.replicas.Store(3)
	ask := func(l *Limit) Decision {
		return r.Reserve(context.Background(), &Demand{Project: "p", Rules: []Rule{rule(l, "a")}, Use: Use{USD: 40}})
	}
	count := func(l *Limit) (n int) {
		for d := ask(l); d.Refused == nil && n < 100; d = ask(l) {
			n++
		}
		return n
	}
	check := func(l *Limit, want int) {
		t.Helper()
		if n := count(l); n != want {
			t.Errorf("%s %s: %d passed, want %d", l.Name(), l.OnFailure, n, want)
		}
		if d := ask(l); want < 100 && d.Refused != l {
			t.Errorf("%s: refused by another limit than the one that was given: %+v", l.Name(), d.Refused)
		}
	}
	check(&Limit{Scope: Key, Dimension: Requests, Amount: 10, Window: time.Hour}, 3)
	check(&Limit{Scope: User, Dimension: Requests, Amount: 2, Window: time.Hour}, 1)
	check(&Limit{Scope: User, Dimension: Concurrent, Amount: 30}, 10)
	check(&Limit{Scope: Session, Dimension: Requests, Amount: 1, Window: time.Hour, OnFailure: Open}, 100)
	check(&Limit{Scope: Feature, Dimension: Requests, Amount: 1000, Window: time.Hour, OnFailure: Closed}, 0)
	check(&Limit{Scope: Customer, Dimension: USD, Amount: 30_000, Period: Day}, 2) // 100 for each of three
	check(&Limit{Scope: Project, Dimension: USD, Amount: 30_000, Period: Day, Exposure: 200}, 5)
	closed := &Limit{Scope: Feature, Dimension: Requests, Amount: 1000, Window: time.Hour, OnFailure: Closed, Action: Shadow}
	if d := ask(closed); d.Refused != nil || d.Over != closed {
		t.Errorf("a limit that does not block: refused %v, over %v", d.Refused, d.Over)
	}
	if s := r.State(); s.Local == 0 || s.Why == "" || s.Replicas != 3 {
		t.Errorf("state %+v", s)
	}
}
