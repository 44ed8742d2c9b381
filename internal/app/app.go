// Package app wires the parts of Weir together: it turns a configuration into
// a store, a recorder, a proxy and two listeners, starts them in order, swaps
// what a reload may swap, and stops them in the reverse order.
package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"weir/alerts"
	"weir/config"
	"weir/costs"
	"weir/internal/mockllm"
	"weir/internal/sqldb"
	"weir/internal/tokens"
	"weir/ledger"
	"weir/limits"
	"weir/migrations"
	"weir/proxy"
)

// Options are what an App works with. Config is needed.
type Options struct {
	Config  *config.Config
	Read    func() (*config.Config, error) // reads the configuration anew; nil: there are no reloads
	Watch   bool                           // reload when Config.File changes
	Version string
	Mock    mockllm.Options // of the built-in mock provider
	Log     *slog.Logger    // nil: slog.Default()
	Level   *slog.LevelVar  // of Log, set at reloads; may be nil
}

// An App is a running Weir.
type App struct {
	o        Options
	log      *slog.Logger
	config   atomic.Pointer[config.Config]
	book     atomic.Pointer[costs.Book]
	pricesAt [sha256.Size]byte // sum of the price file of one's own at the start
	db       *sqldb.DB
	secret   []byte
	recorder *ledger.Recorder
	keys     *ledger.KeyRing
	desk     *alerts.Desk
	loops    *alerts.Watch
	runaways chan alerts.Runaway // that wait to be stopped
	limiter  *limits.Guard
	redis    *limits.Redis // what it guards, where that is one; else nil
	ceilings ceilingsBook
	keeper   keeper
	proxy    *proxy.Proxy
	tracer   trace.Tracer // nil: off
	registry *prometheus.Registry
	reloads  *reloadMetrics
	started  time.Time
	mockURL  string // of the built-in mock; "" = it isn't needed

	data, admin *listener
	token       Token
	ready       atomic.Bool

	reloading sync.Mutex
	workers   sync.WaitGroup
	stopping  context.Context // ends when Stop begins
	stop      context.CancelFunc
	calls     context.Context // ends when the calls under way are cut
	cut       context.CancelCauseFunc
	stopped   sync.Once
	failed    chan error // a listener's end before Stop
	closers   []closer   // in the order of the start
}

// A closer ends one part.
type closer struct {
	name string
	f    func(ctx context.Context) error
}

// Start starts Weir. On an error nothing is left running.
func Start(o Options) (*App, error) {
	a := &App{o: o, log: o.Log, started: time.Now(), registry: prometheus.NewRegistry(), failed: make(chan error, 4)}
	if a.log == nil {
		a.log = slog.Default()
	}
	a.config.Store(o.Config)
	a.stopping, a.stop = context.WithCancel(context.Background())
	a.calls, a.cut = context.WithCancelCause(context.Background())
	for _, step := range []func(*config.Config) error{
		a.bind, a.openBook, a.openStore, a.openLedger, a.openAlerts, a.openTelemetry, a.openLimiter, a.startMock, a.openProxy, a.openLimits, a.openKeeper, a.serve, a.startChores,
	} {
		if err := step(o.Config); err != nil {
			a.stop()
			ctx, cancel := context.WithTimeout(context.Background(), closeTime)
			defer cancel()
			return nil, errors.Join(err, a.close(ctx))
		}
	}
	a.ready.Store(true)
	a.warmBook(a.book.Load(), o.Config)
	return a, nil
}

// onStop adds a part to those that are closed at the stop, the last one first.
func (a *App) onStop(name string, f func(ctx context.Context) error) {
	a.closers = append(a.closers, closer{name, f})
}

// openBook reads the price file of one's own. The vendored prices are read when
// Weir is up, in the background, before a call needs them where it can be.
func (a *App) openBook(c *config.Config) error {
	a.pricesAt = a.pricesSum()
	b, err := LoadBook(c)
	if err != nil {
		return err
	}
	a.book.Store(b)
	return nil
}

// warmBook reads the prices that the providers of a configuration have.
func (a *App) warmBook(b *costs.Book, c *config.Config) {
	a.workers.Go(func() {
		for i := range c.Providers {
			if id := PricedAs(&c.Providers[i], b); id != "" && a.stopping.Err() == nil {
				b.Warm(id)
			}
		}
		for _, w := range BookWarnings(b) {
			a.log.Warn("price book", "warning", w.Error())
		}
	})
}

// Book is the price book in effect.
func (a *App) Book() *costs.Book { return a.book.Load() }

// openStore opens the store and brings its schema up to date.
func (a *App) openStore(c *config.Config) error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	db, err := sqldb.Open(c.Store)
	if err != nil {
		return err
	}
	a.db = db
	a.onStop("store", func(context.Context) error { return db.Close() })
	if err := migrations.Up(a.stopping, db); err != nil {
		return fmt.Errorf("bring the store up to date: %w", err)
	}
	return nil
}

// openLedger opens the recorder, which replays the spool, and the key ring.
func (a *App) openLedger(c *config.Config) (err error) {
	if a.secret, err = ledger.LoadSecret(string(c.Secret), c.DataDir); err != nil {
		return err
	}
	a.recorder, err = ledger.OpenRecorder(ledger.RecorderOptions{
		Dir: c.Spool.Dir, Max: c.Spool.Max, WhenFull: c.Spool.WhenFull, DB: a.db, Log: a.log,
		Adopted: func() { // budgets learn at once what a dead process had recorded and not settled
			if a.ready.Load() {
				a.keeper.recount()
			}
		},
	})
	if err != nil {
		return err
	}
	a.onStop("recorder", a.recorder.Shutdown)
	a.keys, err = ledger.OpenKeyRing(a.stopping, a.db, a.secret, a.log)
	if err != nil {
		return err
	}
	a.onStop("keys", func(context.Context) error { a.keys.Close(); return nil })
	return nil
}

func (a *App) openProxy(c *config.Config) (err error) {
	kept, err := ledger.NewResponses(a.recorder, a.secret)
	if err != nil {
		return err
	}
	a.proxy, err = proxy.New(proxy.Options{
		Settings: settings(c, a.mockURL, a.book.Load()), Recorder: a.recorder, Keys: a.keys, Objects: ledger.NewObjects(a.db), Kept: kept,
		Limits: a.watched(a.limiter), Closed: a.callEnded,
		Metrics: proxy.NewMetrics(a.registry), Tracer: a.tracer, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.onStop("proxy", func(context.Context) error { a.proxy.Close(); return nil })
	return nil
}

// startMock starts the fake upstream where a provider wants the built-in one.
// It has a listener of its own, on a free port of the loopback interface.
func (a *App) startMock(c *config.Config) error {
	if a.mockURL != "" || !wantsMock(c) {
		return nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the mock provider: %w", err)
	}
	mock := mockllm.New(a.o.Mock)
	server := &http.Server{Handler: mock, ReadHeaderTimeout: headerTime}
	a.workers.Go(func() { a.run("mock", func() error { return server.Serve(ln) }) })
	a.onStop("mock", func(context.Context) error { mock.Close(); return server.Close() })
	a.mockURL = "http://" + ln.Addr().String()
	return nil
}

func wantsMock(c *config.Config) bool {
	for i := range c.Providers {
		if p := &c.Providers[i]; p.Kind == "mock" && p.BaseURL == "" {
			return true
		}
	}
	return false
}

// run runs a server; its end before the stop ends Weir.
func (a *App) run(name string, serve func() error) {
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		select {
		case a.failed <- fmt.Errorf("serve %s: %w", name, err):
		default: // another one has said so already
		}
	}
}

// startChores starts what goes on beside the calls.
func (a *App) startChores(c *config.Config) error {
	a.workers.Go(func() { tokens.Warm(tokens.O200k) }) // some tenths of a second that the first call need not wait
	a.workers.Go(a.prune)
	a.tellRecovered()
	if a.o.Watch && a.o.Read != nil && c.File != "" {
		a.watch(c.File)
	}
	return nil
}

const pruneEvery = time.Hour

// prune deletes captured bodies, kept responses and alerts that have had their time.
func (a *App) prune() {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		now := time.Now()
		bodies, err := ledger.PruneBodies(a.stopping, a.db, now.Add(-a.config.Load().Capture.Retention))
		responses, err2 := ledger.PruneResponses(a.stopping, a.db, now)
		_, err3 := alerts.Prune(a.stopping, a.db, now)
		if a.stopping.Err() != nil {
			return
		}
		if err := errors.Join(err, err2, err3); err != nil {
			a.log.Error("old bodies, responses or alerts stay", "err", err)
		}
		if bodies+responses > 0 {
			a.log.Info("old bodies and responses deleted", "calls", bodies, "responses", responses)
		}
		select {
		case <-a.stopping.Done():
			return
		case <-tick.C:
		}
	}
}

// Failed tells of a listener that ended by itself.
func (a *App) Failed() <-chan error { return a.failed }

// URL is the base URL of the data plane, without /v1.
func (a *App) URL() string { return a.data.url() }

// AdminURL is the address of the admin listener.
func (a *App) AdminURL() string { return a.admin.url() + "/" }

// Token is what the admin API wants.
func (a *App) Token() Token { return a.token }

// Flush returns when all calls that have ended are in the store.
func (a *App) Flush(ctx context.Context) error { return a.recorder.Flush(ctx) }

// DB is the store.
func (a *App) DB() *sqldb.DB { return a.db }

// The times of a stop, after the patience for the calls under way.
const (
	tellTime  = time.Second      // for calls that are cut to be told so
	cutTime   = 5 * time.Second  // for calls that were cut to be recorded
	closeTime = 10 * time.Second // for the parts to close, the spool to be shipped among it
)

// Stop stops Weir: it is no longer ready, takes no new calls, waits for those
// under way for the configuration's patience, cuts the rest, and closes its
// parts, the recorder last but for the store.
func (a *App) Stop() (err error) {
	a.stopped.Do(func() {
		a.reloading.Lock() // a reload under way ends first, a later one is refused
		a.ready.Store(false)
		a.reloading.Unlock()
		patience := a.config.Load().Shutdown
		if !a.proxy.Drain(patience) {
			a.log.Warn("calls under way are cut", "after", patience)
			a.cut(proxy.ErrStopped)
			a.proxy.Drain(tellTime)
			// What they were told lies in the server's buffers until their handlers have returned.
			ctx, cancel := context.WithTimeout(context.Background(), tellTime)
			_ = a.data.server.Shutdown(ctx) // the close after it ends those that are left
			cancel()
			err = a.data.server.Close()
			a.proxy.Drain(cutTime)
		}
		a.stop()
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		err = errors.Join(err, a.close(ctx))
	})
	return err
}

// close closes the parts, the last one first, and waits for the goroutines.
func (a *App) close(ctx context.Context) error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		if a.closers[i].name == "store" {
			a.workers.Wait() // they use it
		}
		if err := a.closers[i].f(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", a.closers[i].name, err))
		}
	}
	a.closers = nil
	a.workers.Wait()
	return errors.Join(errs...)
}
