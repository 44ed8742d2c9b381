// Package proxy is the data plane: it takes a client's request, finds out who
// asks and for what, sends it to an upstream and relays the reply, byte for
// byte, while it meters and records. Read observe, identify, read and relay in
// that order: it is the way of a request.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"weir/internal/tokens"
	"weir/ledger"
	"weir/limits"
)

// Options are what a Proxy works with. Settings and Recorder are needed.
type Options struct {
	Settings Settings
	Recorder *ledger.Recorder
	Keys     *ledger.KeyRing   // needed for AuthKeys
	Objects  Objects           // who made which id; nil: remembered in memory only
	Kept     *ledger.Responses // replies that Weir keeps itself; nil: none are
	Tokens   *tokens.Counter   // nil: a counter of its own
	Limits   limits.Limiter    // keeps the counts of limits; nil: this process's memory
	Metrics  *Metrics          // nil: metrics that nobody reads
	Tracer   trace.Tracer      // nil: no tracing, at no cost
	Log      *slog.Logger      // nil: slog.Default()
	// Closed is told of each call that ends, with a hash of what it asked, which
	// is the same for calls that ask the same of this process. It must neither
	// block nor keep the call. nil: nobody is.
	Closed func(c *ledger.Call, prompt uint64)
	// PricedAt is when the prices of an attempt are looked up at, by when it
	// began; nil: at that time itself. Tests price at the dates of known charges.
	PricedAt func(began time.Time) time.Time
}

// A Proxy serves the LLM APIs. It is an http.Handler.
type Proxy struct {
	state      atomic.Pointer[State]
	reload     sync.Mutex // held while a new State is made
	recorder   *ledger.Recorder
	keys       *ledger.KeyRing
	objects    *objects
	background background
	kept       *ledger.Responses // nil: none are kept
	tokens     *counter
	limits     limits.Limiter
	habits     habits
	queued     atomic.Int64 // calls that wait for room at a limit
	metrics    *Metrics
	tracer     trace.Tracer
	log        *slog.Logger
	pricedAt   func(began time.Time) time.Time
	closed     func(c *ledger.Call, prompt uint64) // may be nil
	transport  *transport
	handler    Handler
	gate       gate
}

// New returns a Proxy that serves with the options' settings.
func New(o Options) (*Proxy, error) {
	if o.Recorder == nil {
		return nil, errors.New("proxy: no recorder")
	}
	if o.Settings.Auth == AuthKeys && o.Keys == nil {
		return nil, errors.New("proxy: auth: keys needs a key ring")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	p := &Proxy{
		recorder: o.Recorder, keys: o.Keys, kept: o.Kept, objects: newObjects(o.Objects, o.Log),
		tokens: newCounter(o.Tokens), limits: o.Limits, metrics: o.Metrics, tracer: o.Tracer, log: o.Log,
		pricedAt: o.PricedAt, closed: o.Closed, transport: newTransport(),
	}
	p.background.objects = p.objects
	if p.pricedAt == nil {
		p.pricedAt = func(began time.Time) time.Time { return began }
	}
	if p.limits == nil {
		p.limits = limits.NewMemory(limits.Options{})
	}
	if p.metrics == nil {
		p.metrics = NewMetrics(nil)
	}
	p.metrics.watch(p.recorder)
	p.metrics.watchUpstreams(p)
	p.tokens.load(tokens.O200k)
	p.handler = chain(p.relay, p.identify, p.read, p.admit)
	return p, p.Apply(o.Settings)
}

// Apply swaps the settings. Exchanges under way end with those that they
// began with. On an error the old settings stay.
func (p *Proxy) Apply(s Settings) error {
	p.reload.Lock()
	defer p.reload.Unlock()
	if s.Auth == "" {
		s.Auth = AuthOff
	}
	if s.Auth == AuthKeys && p.keys == nil {
		return errors.New("auth: keys needs a restart: this process was started without virtual keys")
	}
	st, err := newState(s, p.state.Load(), p.transport)
	if err != nil {
		return err
	}
	p.state.Store(st)
	return nil
}

// ServeHTTP serves one call.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.gate.enter()
	defer p.gate.leave()
	p.observe(w, r)
}

// Drain refuses new calls from now on and waits for those under way, at most
// for the given time. It reports whether all of them ended.
func (p *Proxy) Drain(patience time.Duration) bool {
	empty := p.gate.close()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-empty:
		return true
	case <-timer.C:
		return false
	}
}

// ErrStopped is the cause with which a server that stops ends the contexts of
// the calls that have outlasted its patience. They are told so; their clients
// are still there.
var ErrStopped = errors.New("weir is stopping")

func isStopped(r *http.Request) bool { return errors.Is(context.Cause(r.Context()), ErrStopped) }

// isGone reports whether the client has gone.
func isGone(r *http.Request) bool { return r.Context().Err() != nil && !isStopped(r) }

// shuttingDown is what calls are told that are not taken any more, or cut.
func shuttingDown() *Error {
	return &Error{Code: ShuttingDown, Msg: "Weir is shutting down. Try again.", RetryAfter: time.Second}
}

// A gate counts the calls under way. Once closed it still lets calls in, which
// are refused, but no longer waits for them.
type gate struct {
	closed atomic.Bool

	mu     sync.Mutex // guards the following fields
	inside int
	empty  chan struct{} // closed when nobody is inside after close; nil before
}

func (g *gate) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside++
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.tell()
}

// close returns a channel that is closed once the last call has left.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed.Store(true)
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	g.tell()
	return g.empty
}

func (g *gate) tell() {
	if g.empty == nil || g.inside > 0 {
		return
	}
	select {
	case <-g.empty:
	default:
		close(g.empty)
	}
}

// Close ends what the proxy does in the background, and the idle connections
// to the upstreams. No call may be under way.
func (p *Proxy) Close() {
	p.objects.close()
	p.tokens.workers.Wait()
	p.transport.close()
}
