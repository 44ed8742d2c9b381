package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"weir/internal/sqldb"
)

// A position is a place in the spool: everything before it is in the store.
type position struct{ segment, offset int64 }

// An openCall is an opened record without its closed one.
type openCall struct {
	segment int64 // where the record is
	payload []byte
}

// A shipper takes records from the spool into the store, in order. One
// goroutine uses it; only stats is asked by others.
type shipper struct {
	spool   *spool
	db      *sqldb.DB
	rows    rowStore
	log     *slog.Logger
	onBatch func([]*Call)
	kept    *unshipped // told of what is in the store
	again   nag        // about what tidy could not do

	replayed bool              // what an earlier process left is known
	left     map[string][]byte // its calls without an end; nil once they are stored
	tidied   int64             // segments before this one are removed
	open     map[string]openCall
	at       int64 // the segment that is read
	file     *os.File
	reader   segmentReader // of file

	mu   sync.Mutex // guards what follows
	last SpoolStats
	done position
}

// A batch is what one transaction stores.
type batch struct {
	calls  []*Call
	bodies []*Bodies
	kept   []keptStep // in order
	size   int        // of their payloads
	spool  spoolID
	end    position
}

// A batch is at most this many calls, and about this many bytes.
const (
	batchCalls = 512
	batchBytes = 8 << 20
)

func newShipper(sp *spool, o RecorderOptions) *shipper {
	return &shipper{spool: sp, db: o.DB, rows: rowStore{db: o.DB}, log: o.Log, onBatch: o.OnBatch, open: map[string]openCall{}}
}

// all ships until nothing is left, or stop is closed, or the store fails.
func (s *shipper) all(ctx context.Context, stop <-chan struct{}) error {
	for more := true; more; {
		select {
		case <-stop:
			return nil
		default:
		}
		var err error
		if more, err = s.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step ships a batch, and first finds out what an earlier process left. more
// says that another one may follow at once.
func (s *shipper) step(ctx context.Context) (more bool, err error) {
	if err := s.replay(ctx); err != nil {
		s.note(err)
		return false, fmt.Errorf("replay spool: %w", err)
	}
	b, more, err := s.next()
	if err == nil {
		err = s.db.InPlace()
	}
	if err == nil && b.end != s.done {
		err = s.store(ctx, b)
	}
	if err == nil {
		err = s.interrupt(ctx)
	}
	s.note(err)
	if err != nil {
		s.rewind()
		return false, err
	}
	if err := s.tidy(); err != nil && s.again.due() {
		s.log.Error("tidy spool", "err", err)
	}
	return more, nil
}

func (s *shipper) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.Err = err
	s.last.Open = len(s.open)
	if err == nil {
		s.last.Shipped = time.Now()
	}
}

func (s *shipper) stats() SpoolStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.last
	out.Backlog = max(s.spool.total.Load()-s.done.offset, 0) // earlier segments are gone
	return out
}

// next reads a batch. more says that another one may follow at once.
func (s *shipper) next() (b batch, more bool, err error) {
	b.spool = s.spool.id
	for len(b.calls) < batchCalls && b.size < batchBytes {
		limit, final := s.spool.readable(s.at)
		r, err := s.read(limit)
		if err != nil {
			return b, false, err
		}
		if r.size > 0 {
			s.take(&b, r)
			s.reader.use(r.size)
			continue
		}
		if !final {
			b.end = position{s.at, s.reader.offset}
			return b, false, nil
		}
		s.goTo(position{s.at + 1, 0})
	}
	b.end = position{s.at, s.reader.offset}
	return b, true, nil
}

func (s *shipper) read(limit int64) (record, error) {
	if s.file == nil {
		f, err := os.Open(segmentPath(s.spool.dir, s.spool.id, s.at))
		if errors.Is(err, os.ErrNotExist) && s.at < s.spool.own {
			return record{}, nil // a gap in what was left: somebody removed it
		}
		if err != nil {
			return record{}, fmt.Errorf("open spool segment: %w", err)
		}
		s.file, s.reader.file = f, f
	}
	return s.reader.next(limit)
}

// goTo continues to read at a position.
func (s *shipper) goTo(p position) {
	if s.file != nil && s.at != p.segment {
		_ = s.file.Close() // it was only read
		s.file = nil
	}
	s.at = p.segment
	var file io.ReaderAt
	if s.file != nil {
		file = s.file
	}
	s.reader = segmentReader{id: s.spool.id, file: file, offset: p.offset, store: s.reader.store}
}

// rewind goes back to what the store has.
func (s *shipper) rewind() { s.goTo(s.done) }

func (s *shipper) close() {
	if s.file != nil {
		_ = s.file.Close() // it was only read
	}
	_ = s.rows.close() // nothing of them is left to write
}

// take sorts one record into the batch.
func (s *shipper) take(b *batch, r record) {
	var err error
	switch r.kind {
	case recOpened, recCarried:
		err = s.takeOpen(r)
	case recClosed:
		var c *Call
		if c, err = decodeCall(r.payload); err == nil {
			delete(s.open, c.ID)
			b.calls = append(b.calls, c)
			b.size += r.size
		}
	case recBodies:
		var bodies *Bodies
		if bodies, err = decodeBodies(r.payload); err == nil {
			b.bodies = append(b.bodies, bodies)
			b.size += r.size
		}
	case recKept, recForgotten:
		var step keptStep
		if step, err = decodeKept(r.kind, r.payload); err == nil {
			b.kept = append(b.kept, step)
			b.size += r.size
		}
	}
	if err != nil {
		s.log.Error("a record of the spool cannot be read", "segment", s.at, "offset", s.reader.offset, "kind", int(r.kind), "err", err)
	}
}

// takeOpen notes a call that has begun. A carried record may stand behind the
// end of its call, which ended as it was carried: then it is not open.
func (s *shipper) takeOpen(r record) error {
	id, err := recordID(r.payload)
	if err != nil {
		return err
	}
	if _, known := s.open[id]; known || r.kind == recOpened {
		s.open[id] = openCall{s.at, append([]byte(nil), r.payload...)}
	}
	return nil
}

// recordID reads no more of a record than its id, which stands first.
func recordID(payload []byte) (id string, err error) {
	found := errors.New("found")
	err = eachField(payload, func(tag field, _ int64, b []byte) error {
		if tag == fID {
			id = string(b)
			return found
		}
		return nil
	})
	if errors.Is(err, found) && id != "" {
		return id, nil
	}
	return "", errors.Join(errMalformed, err)
}

// tidy removes the segments that are in the store, once their open calls are
// written anew and all that stands for them would survive a power cut. Those
// without open calls go first: that may make the room to write.
func (s *shipper) tidy() error {
	if s.tidied >= s.done.segment || s.left != nil {
		return nil
	}
	_, there, err := listSegments(s.spool.dir)
	if err != nil {
		return err
	}
	busy := map[int64]bool{}
	for _, o := range s.open {
		busy[o.segment] = true
	}
	if err := s.remove(there, func(n int64) bool { return !busy[n] }); err != nil {
		return err
	}
	if err := errors.Join(s.carryForward(s.done.segment), s.spool.sync()); err != nil {
		return err
	}
	if err := s.remove(there, func(n int64) bool { return busy[n] }); err != nil {
		return err
	}
	s.tidied = s.done.segment
	return nil
}

func (s *shipper) remove(there []int64, which func(n int64) bool) error {
	if err := s.db.Sync(); err != nil {
		return err
	}
	for _, n := range there {
		if n >= s.done.segment || !which(n) {
			continue
		}
		if err := s.spool.remove(n); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// carryForward writes the open calls of the segments before a limit into the
// current one.
func (s *shipper) carryForward(limit int64) error {
	for id, o := range s.open {
		if o.segment >= limit {
			continue
		}
		rec := append(s.spool.id.begin(nil, recCarried), o.payload...)
		seal(rec)
		to := s.spool.current.Load().number // or a later one: then it is carried once more
		if err := s.spool.appendLast(rec); err != nil {
			return fmt.Errorf("carry an open call: %w", err)
		}
		s.open[id] = openCall{to, o.payload}
	}
	return nil
}

// store writes a batch. Where a row is refused for what it is, the batch is
// stored row by row, and that one kept aside.
func (s *shipper) store(ctx context.Context, b batch) error {
	fresh, err := s.rows.write(ctx, b)
	if err != nil && sqldb.IsRowFault(err) {
		fresh, err = s.storeApart(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("store %d calls: %w", len(b.calls), err)
	}
	s.mu.Lock()
	s.done = b.end
	s.mu.Unlock()
	for _, step := range b.kept {
		s.kept.done(step)
	}
	if s.onBatch != nil && len(fresh) > 0 {
		s.onBatch(fresh)
	}
	return nil
}

func (s *shipper) storeApart(ctx context.Context, b batch) (fresh []*Call, err error) {
	fresh, rejected, err := s.rows.writeApart(ctx, b, s.keepAside)
	if err != nil {
		return nil, err
	}
	s.log.Error("the store refuses rows; they are kept in rejected.log beside the spool", "rows", rejected)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.Rejected += int64(rejected)
	return fresh, nil
}

// setAside keeps a record that cannot be stored, and says so in the figures.
func (s *shipper) setAside(kind recordKind, payload []byte) error {
	rec := append(s.spool.id.begin(nil, kind), payload...)
	seal(rec)
	s.mu.Lock()
	s.last.Rejected++
	s.mu.Unlock()
	return s.keepAside(rec)
}

// keepAside appends a record to a file and syncs it: the spool's own copy is
// about to go.
func (s *shipper) keepAside(rec []byte) error {
	f, err := os.OpenFile(filepath.Join(s.spool.dir, "rejected.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("keep a refused row: %w", err)
	}
	_, err = f.Write(rec)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep a refused row: %w", err)
	}
	return nil
}

// replay finds out what an earlier process left: where the store is, and
// which calls never ended. It writes nothing, since the disk may be full; where
// the store fails it is begun anew.
func (s *shipper) replay(ctx context.Context) error {
	if s.replayed {
		return nil
	}
	done, err := readPosition(ctx, s.db, s.spool.id)
	if err != nil {
		return err
	}
	_, there, err := listSegments(s.spool.dir)
	if err != nil {
		return err
	}
	first := s.spool.own
	left := map[string][]byte{}
	for _, n := range there {
		if n >= s.spool.own {
			break
		}
		first = min(first, n)
		if err := s.collectOpen(n, left); err != nil {
			return err
		}
	}
	if done.segment < first || done.segment >= s.spool.own { // a new store, or a spool from a backup
		done = position{first, 0}
	}
	s.mu.Lock()
	s.done = done
	s.mu.Unlock()
	s.goTo(done)
	s.replayed, s.left = true, left
	return nil
}

// collectOpen notes the calls of a segment that have no end in it.
func (s *shipper) collectOpen(n int64, left map[string][]byte) error {
	_, err := eachRecord(s.spool.id, segmentPath(s.spool.dir, s.spool.id, n), 0, func(r record) error {
		if r.kind != recOpened && r.kind != recCarried && r.kind != recClosed {
			return nil
		}
		id, err := recordID(r.payload)
		switch {
		case err != nil: // said when it is shipped
		case r.kind == recClosed:
			delete(left, id)
		default:
			left[id] = append([]byte(nil), r.payload...)
		}
		return nil
	})
	return err
}

// interrupt ends the calls that an earlier process left open, once all the ends
// that it wrote are in the store: a call that has one keeps it. Until this is
// done no segment is removed, so that a death on the way changes nothing.
func (s *shipper) interrupt(ctx context.Context) error {
	if s.left == nil || s.done.segment < s.spool.own {
		return nil
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(s.left)), batchCalls) {
		b := batch{spool: s.spool.id, end: s.done}
		for _, id := range ids {
			c, err := decodeCall(s.left[id])
			if err != nil {
				s.log.Error("an open call cannot be read; it is kept in rejected.log beside the spool", "call", id, "err", err)
				if err := s.setAside(recOpened, s.left[id]); err != nil {
					return err
				}
				delete(s.open, id)
				continue
			}
			c.Outcome, c.Status, c.ErrorClass = Interrupted, 0, "interrupted"
			b.calls = append(b.calls, c)
			delete(s.open, id)
		}
		if err := s.store(ctx, b); err != nil {
			return err
		}
	}
	s.left = nil
	return nil
}
