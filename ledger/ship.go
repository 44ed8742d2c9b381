package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
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
	log     *slog.Logger
	onBatch func([]*Call)

	at   position
	open map[string]openCall
	file *os.File // of at.segment
	buf  []byte   // read and not yet used; buf[0] is at at.offset

	mu   sync.Mutex // guards what follows
	last SpoolStats
	done position
}

// A batch is what one transaction stores.
type batch struct {
	calls  []*Call
	bodies []*Bodies
	end    position
}

const (
	batchCalls = 512
	readChunk  = 1 << 20
)

// all ships until nothing is left, or stop is closed, or the store fails.
func (s *shipper) all(ctx context.Context, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		b, more, err := s.next()
		if err == nil && b.end != s.done {
			err = s.store(ctx, b)
		}
		if err != nil {
			s.rewind()
			s.note(err)
			return err
		}
		if err := s.tidy(); err != nil {
			s.log.Error("tidy spool", "err", err)
		}
		s.note(nil)
		if !more {
			return nil
		}
	}
}

func (s *shipper) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.Err = err
	if err == nil {
		s.last.Shipped = time.Now()
	}
}

func (s *shipper) stats() SpoolStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.last
	if seg := s.spool.current.Load(); seg.number == s.done.segment {
		out.Backlog = max(seg.size.Load()-s.done.offset, 0)
	} else {
		out.Backlog = s.spool.total.Load()
	}
	return out
}

// next reads a batch. more says that another one may follow at once.
func (s *shipper) next() (b batch, more bool, err error) {
	for len(b.calls) < batchCalls && len(b.bodies) < batchCalls/8 {
		kind, payload, skipped, size := nextRecord(s.buf)
		if skipped > 0 {
			s.use(skipped)
			continue
		}
		if size == 0 {
			ok, err := s.fill()
			if err != nil || !ok {
				b.end = s.at
				return b, false, err
			}
			continue
		}
		s.take(&b, kind, payload)
		s.use(size)
	}
	b.end = s.at
	return b, true, nil
}

func (s *shipper) use(n int) {
	s.buf = s.buf[n:]
	s.at.offset += int64(n)
}

// take sorts one record into the batch.
func (s *shipper) take(b *batch, kind recordKind, payload []byte) {
	switch kind {
	case recOpened:
		if id, ok := recordID(payload); ok {
			s.open[id] = openCall{s.at.segment, append([]byte(nil), payload...)}
		}
	case recClosed:
		c, err := decodeCall(payload)
		if err != nil {
			s.log.Error("a record of the spool cannot be read", "segment", s.at.segment, "offset", s.at.offset, "err", err)
			return
		}
		delete(s.open, c.ID)
		b.calls = append(b.calls, c)
	case recBodies:
		if bodies, err := decodeBodies(payload); err == nil {
			b.bodies = append(b.bodies, bodies)
		}
	}
}

func recordID(payload []byte) (id string, ok bool) {
	stop := errors.New("found")
	err := eachField(payload, func(tag field, _ int64, b []byte) error {
		if tag == fID {
			id = string(b)
			return stop
		}
		return nil
	})
	return id, errors.Is(err, stop)
}

// fill reads on. It reports false at the end of what is written.
func (s *shipper) fill() (bool, error) {
	if s.file == nil {
		f, err := os.Open(segmentPath(s.spool.dir, s.at.segment))
		if err != nil {
			return false, fmt.Errorf("open spool segment: %w", err)
		}
		s.file = f
	}
	have := len(s.buf)
	buf := make([]byte, have+readChunk)
	copy(buf, s.buf)
	n, err := s.file.ReadAt(buf[have:], s.at.offset+int64(have))
	s.buf = buf[:have+n]
	switch {
	case n > 0:
		return true, nil
	case err != nil && err != io.EOF:
		return false, fmt.Errorf("read spool: %w", err)
	}
	return s.advance()
}

// advance goes on to the next segment, once this one is read to its end and
// no writer holds it.
func (s *shipper) advance() (bool, error) {
	current := s.spool.current.Load()
	if s.at.segment >= current.number {
		return false, nil
	}
	// The segment was replaced after all its writers had gone, but perhaps
	// after our last look at its end.
	info, err := s.file.Stat()
	if err != nil {
		return false, fmt.Errorf("look at spool segment: %w", err)
	}
	if info.Size() > s.at.offset+int64(len(s.buf)) {
		return true, nil
	}
	if err := s.file.Close(); err != nil {
		return false, fmt.Errorf("close spool segment: %w", err)
	}
	s.file, s.buf = nil, nil
	s.at = position{s.at.segment + 1, 0}
	return true, nil
}

// rewind goes back to what the store has.
func (s *shipper) rewind() {
	if s.file != nil && s.at.segment != s.done.segment {
		_ = s.file.Close() // it was read from only
		s.file = nil
	}
	s.at, s.buf = s.done, nil
}

// tidy begins a new segment where the current one is full, and removes those
// that are in the store, once their open calls are written anew.
func (s *shipper) tidy() error {
	old, err := s.spool.turn(false)
	if err != nil {
		return err
	}
	if old != nil {
		if err := errors.Join(old.file.Sync(), old.file.Close()); err != nil {
			return fmt.Errorf("close spool segment: %w", err)
		}
	}
	there, err := segments(s.spool.dir)
	if err != nil {
		return err
	}
	for _, n := range there {
		if n >= s.done.segment {
			return nil
		}
		if err := s.carryForward(n); err != nil {
			return err
		}
		if err := s.spool.remove(n); err != nil {
			return err
		}
	}
	return nil
}

// carryForward writes the open calls of a segment into the current one. A
// call that is closed meanwhile is then opened again behind its end: replay
// knows that by the store.
func (s *shipper) carryForward(n int64) error {
	for id, o := range s.open {
		if o.segment != n {
			continue
		}
		rec := append(beginRecord(nil, recOpened), o.payload...)
		sealRecord(rec)
		to := s.spool.current.Load().number
		if err := s.spool.append(rec); err != nil {
			return err
		}
		s.open[id] = openCall{to, o.payload}
	}
	return nil
}

// store writes a batch. Where a row is refused for what it is, the batch is
// halved until the row stands alone, and then kept aside.
func (s *shipper) store(ctx context.Context, b batch) error {
	err := s.db.Write(ctx, writeBatch(ctx, b))
	if err != nil && sqldb.IsRowFault(err) {
		err = s.storeApart(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("store %d calls: %w", len(b.calls), err)
	}
	s.mu.Lock()
	s.done = b.end
	s.mu.Unlock()
	if s.onBatch != nil && len(b.calls) > 0 {
		s.onBatch(b.calls)
	}
	return nil
}

// storeApart stores a batch row by row, in one transaction with savepoints.
func (s *shipper) storeApart(ctx context.Context, b batch) error {
	rejected, err := writeApart(ctx, s.db, b)
	if err != nil {
		return err
	}
	for _, c := range rejected {
		s.log.Error("the store refuses a call; it is kept in rejected.spool", "call", c.ID)
		if err := s.keepAside(c); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.Rejected += int64(len(rejected))
	return nil
}

func (s *shipper) keepAside(c *Call) error {
	f, err := os.OpenFile(filepath.Join(s.spool.dir, "rejected.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("keep a refused call: %w", err)
	}
	rec := appendCall(beginRecord(nil, recClosed), c)
	sealRecord(rec)
	_, err = f.Write(rec)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep a refused call: %w", err)
	}
	return nil
}

// replay reads what an earlier process left: it finds the calls that never
// ended and records them as interrupted, through the spool like any other.
func (s *shipper) replay(ctx context.Context) error {
	done, err := readPosition(ctx, s.db)
	if err != nil {
		return err
	}
	there, err := segments(s.spool.dir)
	if err != nil {
		return err
	}
	current := s.spool.current.Load().number
	first := current
	for _, n := range there {
		if n >= current {
			break
		}
		first = min(first, n)
		if err := s.collectOpen(n); err != nil {
			return err
		}
	}
	if done.segment < first || done.segment > current { // a new store, or a new spool
		done = position{first, 0}
	}
	if err := s.interrupt(ctx); err != nil {
		return err
	}
	s.at, s.done = done, done
	return nil
}

// collectOpen notes the calls of a segment that have no end in it.
func (s *shipper) collectOpen(n int64) error {
	return eachRecord(segmentPath(s.spool.dir, n), 0, func(kind recordKind, payload []byte) {
		id, ok := recordID(payload)
		switch {
		case ok && kind == recOpened:
			s.open[id] = openCall{n, append([]byte(nil), payload...)}
		case ok && kind == recClosed:
			delete(s.open, id)
		}
	})
}

// interrupt closes the open calls that the store has no end of.
func (s *shipper) interrupt(ctx context.Context) error {
	for id, o := range s.open {
		known, err := hasCall(ctx, s.db, id)
		if err != nil {
			return err
		}
		if c, err := decodeCall(o.payload); err == nil && !known {
			c.Outcome, c.Status, c.ErrorClass = Interrupted, 0, "interrupted"
			rec := appendCall(beginRecord(nil, recClosed), c)
			sealRecord(rec)
			if err := s.spool.append(rec); err != nil {
				return err
			}
		}
		delete(s.open, id)
	}
	return nil
}

// eachRecord reads the whole records of a segment from an offset on.
func eachRecord(path string, from int64, f func(recordKind, []byte)) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open spool segment: %w", err)
	}
	defer file.Close()
	var buf []byte
	for {
		kind, payload, skipped, size := nextRecord(buf)
		if skipped > 0 {
			buf, from = buf[skipped:], from+int64(skipped)
			continue
		}
		if size > 0 {
			f(kind, payload)
			buf, from = buf[size:], from+int64(size)
			continue
		}
		more := make([]byte, len(buf)+readChunk)
		have := copy(more, buf)
		n, err := file.ReadAt(more[have:], from+int64(have))
		buf = more[:have+n]
		if n == 0 {
			if err != nil && err != io.EOF {
				return fmt.Errorf("read spool: %w", err)
			}
			return nil
		}
	}
}
