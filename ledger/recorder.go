package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/sqldb"
)

// RecorderOptions are what a Recorder works with. Dir and DB are needed.
type RecorderOptions struct {
	Dir      string // of the spool; one process at a time
	Max      int64  // bytes of the spool; default 4 GiB
	WhenFull string // refuse (default): Opened says ErrSpoolFull · serve: rows go on past Max, bodies are dropped
	DB       *sqldb.DB
	Log      *slog.Logger
	OnBatch  func([]*Call) // told of every batch after it is stored; may be nil. It must not block for long.
}

// ErrSpoolFull says that the spool has reached its maximum and the store does
// not take rows from it.
var ErrSpoolFull = errors.New("the spool is full")

// A Recorder takes calls into the store by way of a durable spool. What
// Opened and Closed have returned from survives the death of the process.
type Recorder struct {
	o        RecorderOptions
	spool    *spool
	ship     *shipper
	buffers  sync.Pool
	dropped  atomic.Int64
	dirty    atomic.Bool
	stop     chan struct{}
	flushes  chan chan error
	workers  sync.WaitGroup
	stopOnce sync.Once
}

// SpoolStats are a Recorder's figures for metrics and readiness.
type SpoolStats struct {
	Bytes         int64     // of all segments
	Backlog       int64     // bytes that are not in the store yet
	DroppedBodies int64     // since the start
	Rejected      int64     // rows that the store would not take, kept in rejected.spool
	Shipped       time.Time // of the last batch; zero: none yet
	Err           error     // why the last batch failed; nil: it did not
}

// OpenRecorder opens the spool, replays what an earlier process left in it,
// and begins to ship. Calls that were under way then are recorded as
// interrupted.
func OpenRecorder(o RecorderOptions) (*Recorder, error) {
	if o.Max <= 0 {
		o.Max = 4 << 30
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	sp, err := openSpool(o.Dir)
	if err != nil {
		return nil, err
	}
	r := &Recorder{o: o, spool: sp, stop: make(chan struct{}), flushes: make(chan chan error)}
	r.buffers.New = func() any { b := make([]byte, 0, 2<<10); return &b }
	r.ship = &shipper{spool: sp, db: o.DB, log: o.Log, onBatch: o.OnBatch, open: map[string]openCall{}}
	if err := r.ship.replay(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("replay spool %s: %w", o.Dir, err), sp.close())
	}
	r.workers.Add(2)
	go r.shipLoop()
	go r.syncLoop()
	return r, nil
}

// Opened records that a call is about to be tried. After an error the call
// must not be made: it could be lost.
func (r *Recorder) Opened(c *Call) error {
	if r.o.WhenFull != "serve" && r.spool.total.Load() >= r.o.Max {
		return ErrSpoolFull
	}
	return r.put(recOpened, func(b []byte) []byte { return appendCall(b, c) })
}

// Closed records how a call ended. It returns when the kernel has the record.
func (r *Recorder) Closed(c *Call) error {
	return r.put(recClosed, func(b []byte) []byte { return appendCall(b, c) })
}

// Bodies records what a call carried. They are dropped, and counted, where
// the spool is three quarters full.
func (r *Recorder) Bodies(b *Bodies) {
	if r.spool.total.Load() >= r.o.Max/4*3 || len(b.Request)+len(b.Response) > maxRecord/2 {
		r.dropped.Add(1)
		return
	}
	if r.put(recBodies, func(dst []byte) []byte { return appendBodies(dst, b) }) != nil {
		r.dropped.Add(1)
	}
}

func (r *Recorder) put(kind recordKind, payload func([]byte) []byte) error {
	buf := r.buffers.Get().(*[]byte)
	rec := payload(beginRecord((*buf)[:0], kind))
	sealRecord(rec)
	err := r.spool.append(rec)
	if cap(rec) <= 64<<10 {
		*buf = rec
		r.buffers.Put(buf)
	}
	r.dirty.Store(true)
	return err
}

// Stats returns the current figures.
func (r *Recorder) Stats() SpoolStats {
	s := r.ship.stats()
	s.Bytes = r.spool.total.Load()
	s.DroppedBodies = r.dropped.Load()
	return s
}

// Flush returns when all that was recorded before is in the store.
func (r *Recorder) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case r.flushes <- done:
	case <-r.stop:
		return errors.New("flush: the recorder is shut down")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown ships what it can until ctx ends, and closes the spool. What is
// left waits in the spool for the next start.
func (r *Recorder) Shutdown(ctx context.Context) error {
	err := r.Flush(ctx)
	r.stopOnce.Do(func() { close(r.stop) })
	r.workers.Wait()
	return errors.Join(err, r.spool.close())
}

// The shipper looks for new records this often, and after a failure waits up
// to shipMaxWait.
const (
	shipEvery   = 200 * time.Millisecond
	shipMaxWait = 30 * time.Second
	syncEvery   = 500 * time.Millisecond
)

func (r *Recorder) shipLoop() {
	defer r.workers.Done()
	wait := shipEvery
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		var asked chan error
		select {
		case <-r.stop:
			return
		case asked = <-r.flushes:
		case <-timer.C:
		}
		err := r.ship.all(context.Background(), r.stop)
		if asked != nil {
			asked <- err
		}
		wait = min(max(2*wait, shipEvery), shipMaxWait)
		if err == nil {
			wait = shipEvery
		} else {
			r.o.Log.Error("calls wait in the spool", "err", err, "retry_in", wait)
		}
		timer.Reset(wait)
	}
}

// syncLoop gives a power cut at most a second of rows.
func (r *Recorder) syncLoop() {
	defer r.workers.Done()
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
		}
		if !r.dirty.Swap(false) {
			continue
		}
		seg := r.spool.current.Load()
		if !seg.acquire() {
			continue // the shipper has synced it as it was replaced
		}
		err := seg.file.Sync()
		seg.release()
		if err != nil {
			r.o.Log.Error("sync spool", "err", err)
		}
	}
}
