package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
	OnBatch  func([]*Call) // told of every row that is new in the store, once; may be nil. It must not block for long.
	Adopted  func()        // told when the store has all of a dead process's spool; may be nil. It must not block.

	keepEvery   time.Duration // tests make these small
	adoptEvery  time.Duration
	segmentSize int64
}

// ErrSpoolFull says that the spool has reached its maximum or that its disk is
// full, and the call could not be recorded.
var ErrSpoolFull = errors.New("the spool is full")

// A Recorder takes calls into the store by way of a durable spool. What
// Opened and Closed have returned from survives the death of the process.
//
// There is one exception, which Stats shows as Held: where the disk takes
// nothing more, ends of calls (and with WhenFull serve their beginnings) wait
// in memory for room, up to 64 MiB of them.
type Recorder struct {
	o        RecorderOptions
	spool    *spool
	ship     *shipper
	adopter  *adopter
	buffers  sync.Pool
	held     heldRecords
	kept     unshipped
	noRoom   nag // of sayRoom
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
	Held          int64     // bytes that wait in memory since the disk takes none
	Open          int       // calls that have begun and not ended, as far as the shipper has read
	DroppedBodies int64     // since the start
	Adopted       int64     // rows of dead processes' spools that were shipped since the start
	Rejected      int64     // rows that the store would not take, kept in rejected.log
	Shipped       time.Time // of the last batch; zero: none yet
	Err           error     // why the last batch failed; nil: it did not
}

// OpenRecorder opens the spool and begins to ship. What an earlier process
// left is shipped first; calls that were under way then are recorded as
// interrupted. The store may be down: rows wait in the spool. A process that
// ships it at the moment, as nobody owned it, is waited for.
func OpenRecorder(o RecorderOptions) (*Recorder, error) {
	if o.Max <= 0 {
		o.Max = 4 << 30
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.WhenFull == "" {
		o.WhenFull = "refuse"
	}
	if o.WhenFull != "refuse" && o.WhenFull != "serve" {
		return nil, fmt.Errorf("open recorder: when_full is %q, want refuse or serve", o.WhenFull)
	}
	if o.keepEvery == 0 {
		o.keepEvery = syncEvery
	}
	if o.segmentSize == 0 {
		o.segmentSize = max(min(segmentSize, o.Max/16), 64<<10)
	}
	if o.adoptEvery == 0 {
		o.adoptEvery = adoptEvery
	}
	sp, err := openSpool(o.Dir, o.segmentSize)
	if err != nil {
		return nil, err
	}
	r := &Recorder{o: o, spool: sp, adopter: newAdopter(o), stop: make(chan struct{}), flushes: make(chan chan error)}
	if r.adopter.mark, err = moveIn(r.adopter.dir, o.DB); err != nil && !diskFull(err) {
		return nil, errors.Join(err, sp.close())
	}
	r.buffers.New = func() any { b := make([]byte, 0, 2<<10); return &b }
	r.ship = newShipper(sp, o)
	r.ship.kept = &r.kept
	r.sayRoom()
	r.workers.Add(3)
	go r.shipLoop()
	go r.syncLoop()
	go r.adoptLoop()
	return r, nil
}

// Opened records that a call is about to be tried. After an error the call
// must not be made: it could be lost.
func (r *Recorder) Opened(c *Call) error {
	cramped := r.spool.cramped()
	switch {
	case r.o.WhenFull == "serve" && cramped:
		return put(r, recOpened, c, appendBounded, (*Recorder).hold)
	case r.o.WhenFull == "serve":
		return put(r, recOpened, c, appendBounded, (*Recorder).writeOrHold)
	case cramped || r.spool.total.Load() >= r.o.Max:
		r.spool.pressed.Store(true)
		return ErrSpoolFull
	}
	err := put(r, recOpened, c, appendBounded, (*Recorder).write)
	if err != nil && diskFull(err) {
		return fmt.Errorf("%w: %w", ErrSpoolFull, err)
	}
	return err
}

// Closed records how a call ended. It returns when the kernel has the record.
func (r *Recorder) Closed(c *Call) error {
	return put(r, recClosed, c, appendBounded, (*Recorder).writeLast)
}

// Bodies records what a call carried. They are dropped, and counted, where
// the spool is three quarters full.
func (r *Recorder) Bodies(b *Bodies) {
	if r.spool.total.Load() >= r.o.Max/4*3 || r.spool.cramped() || len(b.Request)+len(b.Response) > maxRecord/2 {
		r.dropped.Add(1)
		return
	}
	if put(r, recBodies, b, appendBodies, (*Recorder).write) != nil {
		r.dropped.Add(1)
	}
}

func (r *Recorder) write(rec []byte) error { return r.spool.append(rec) }

func (r *Recorder) hold(rec []byte) error { return r.held.add(rec) }

func (r *Recorder) writeOrHold(rec []byte) error { return r.orHold(rec, r.spool.append) }

func (r *Recorder) writeLast(rec []byte) error { return r.orHold(rec, r.spool.appendLast) }

// orHold writes a record, or holds it in memory until there is room. While
// others are held it goes behind them: an end never stands before its beginning.
func (r *Recorder) orHold(rec []byte, write func([]byte) error) error {
	var err error
	if r.held.bytes.Load() == 0 {
		if err = write(rec); err == nil || errors.Is(err, os.ErrClosed) {
			return err
		}
	}
	if full := r.held.add(rec); full != nil {
		return errors.Join(full, err)
	}
	return nil
}

// put makes a record of v and writes it. It takes functions rather than
// closures, so that a record costs no allocation.
func put[T any](r *Recorder, kind recordKind, v *T, payload func([]byte, *T) []byte, write func(*Recorder, []byte) error) error {
	buf := r.buffers.Get().(*[]byte)
	rec := payload(r.spool.id.begin((*buf)[:0], kind), v)
	if len(rec) > maxRecord {
		return fmt.Errorf("record of %d bytes is too large", len(rec))
	}
	seal(rec)
	err := write(r, rec)
	if cap(rec) <= 64<<10 {
		*buf = rec
		r.buffers.Put(buf)
	}
	r.dirty.Store(true)
	return err
}

// maxCall bounds what a call's row may take. It is far above what is sensible.
const maxCall = 1 << 20

// appendBounded appends a call, without its largest free-form parts where it
// would be too large to store: the row of what was spent is never lost to them.
func appendBounded(dst []byte, c *Call) []byte {
	out := appendCall(dst, c)
	if len(out)-len(dst) <= maxCall {
		return out
	}
	small := *c
	small.Metadata, small.Tags, small.UserAgent = nil, nil, ""
	small.Attempts = append([]Attempt(nil), c.Attempts...)
	for i := range small.Attempts {
		small.Attempts[i].RawUsage = nil
	}
	return appendCall(dst, &small)
}

// heldRecords wait in memory while the disk takes none.
type heldRecords struct {
	mu    sync.Mutex
	recs  [][]byte
	bytes atomic.Int64
}

const maxHeld = 64 << 20

func (h *heldRecords) add(rec []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bytes.Load()+int64(len(rec)) > maxHeld {
		return ErrSpoolFull
	}
	h.bytes.Add(int64(len(rec)))
	h.recs = append(h.recs, append([]byte(nil), rec...))
	return nil
}

// left is an error that says how much is held; nil: nothing.
func (h *heldRecords) left() error {
	if n := h.bytes.Load(); n > 0 {
		return fmt.Errorf("%d bytes of records are in memory only: %w", n, ErrSpoolFull)
	}
	return nil
}

// flush writes what waits, in order, as far as there is room. One goroutine calls it.
func (h *heldRecords) flush(write func([]byte) error) error {
	for {
		h.mu.Lock()
		if len(h.recs) == 0 {
			h.recs = nil
			h.mu.Unlock()
			return nil
		}
		rec := h.recs[0]
		h.mu.Unlock()
		if err := write(rec); err != nil {
			return err
		}
		h.mu.Lock()
		h.recs = h.recs[1:]
		h.bytes.Add(-int64(len(rec)))
		h.mu.Unlock()
	}
}

// Stats returns the current figures.
func (r *Recorder) Stats() SpoolStats {
	s := r.ship.stats()
	s.Bytes = r.spool.total.Load()
	s.Held = r.held.bytes.Load()
	s.DroppedBodies = r.dropped.Load()
	s.Adopted = r.adopter.rows.Load()
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
// left waits in the spool for the next start. Only the first call counts.
func (r *Recorder) Shutdown(ctx context.Context) (err error) {
	r.stopOnce.Do(func() {
		err = r.Flush(ctx)
		close(r.stop)
		r.workers.Wait()
		err = errors.Join(err, r.held.left(), r.spool.close())
	})
	return err
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
	defer r.ship.close()
	wait := shipEvery
	timer := time.NewTimer(0)
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
			asked <- errors.Join(err, r.held.left())
		}
		if err == nil {
			wait = shipEvery
		} else {
			wait = min(2*wait, shipMaxWait)
			r.o.Log.Error("calls wait in the spool", "err", err, "retry_in", wait)
		}
		timer.Reset(wait)
	}
}

// syncLoop gives a power cut at most a second of rows, writes what was held in
// memory, and begins new segments. It needs no store.
func (r *Recorder) syncLoop() {
	defer r.workers.Done()
	tick := time.NewTicker(r.o.keepEvery)
	defer tick.Stop()
	var again nag
	for stopped := false; !stopped; {
		select {
		case <-r.stop:
			stopped = true // one last time
		case <-tick.C:
		}
		if err := r.keep(); err != nil && again.due() {
			r.o.Log.Error("keep spool", "err", err)
		}
	}
}

func (r *Recorder) keep() error {
	err := errors.Join(r.held.flush(r.spool.append), r.spool.turn(r.spool.pressed.Swap(false)))
	r.spool.restore()
	r.sayRoom()
	if !r.dirty.Swap(false) {
		return err
	}
	if failed := r.spool.sync(); failed != nil {
		r.dirty.Store(true)
		err = errors.Join(err, failed)
	}
	return err
}

// sayRoom logs that the spool's disk is full, now and then while it is, and
// when it no longer is. One goroutine calls it.
func (r *Recorder) sayRoom() {
	cramped := r.spool.cramped()
	switch {
	case cramped && r.noRoom.due():
		free, _ := diskBytes(r.o.Dir)
		r.o.Log.Warn("the spool's disk is full: there is no room for its reserve",
			"dir", r.o.Dir, "when_full", r.o.WhenFull, "free_bytes", free, "needed_bytes", 2*r.spool.spare)
	case !cramped && !r.noRoom.said.IsZero():
		r.noRoom = nag{}
		r.o.Log.Info("the spool has its reserve again", "dir", r.o.Dir)
	}
}

// A nag says whether it is time to say something again.
type nag struct{ said time.Time }

const nagEvery = 30 * time.Second

func (n *nag) due() bool {
	if time.Since(n.said) < nagEvery {
		return false
	}
	n.said = time.Now()
	return true
}
