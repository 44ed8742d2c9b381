package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// unshipped returns the calls that are in the spool and perhaps not yet in the
// store, the newest first. With ids, only those are read.
func (q *Calls) unshipped(ctx context.Context, query Query, ids ...string) ([]*Call, error) {
	var out []*Call
	err := q.eachUnshipped(ctx, func(r record) error {
		if c := query.pick(r, ids); c != nil {
			out = append(out, c)
			if query.Limit > 0 && len(out) >= 2*query.Limit+pageSize {
				out = newestFirst(out, query.Limit)
			}
		}
		return ctx.Err()
	})
	return newestFirst(out, query.Limit), err
}

// unshippedBodies returns a call's bodies from the spool, or nil.
func (q *Calls) unshippedBodies(ctx context.Context, call string) (found *Bodies, err error) {
	err = q.eachUnshipped(ctx, func(r record) error {
		if r.kind != recBodies {
			return nil
		}
		if id, err := recordID(r.payload); err != nil || id != call {
			return nil // the shipper says what cannot be read
		}
		found, err = decodeBodies(r.payload)
		return err
	})
	return found, err
}

// eachUnshipped reads the records that are perhaps not in the store yet.
//
// The running server may ship and remove while this reads. Whatever is before
// the position is in the store for every later look at it, and a segment that
// is gone is, too.
func (q *Calls) eachUnshipped(ctx context.Context, f func(record) error) error {
	if q.spool == "" {
		return nil
	}
	id, there, err := listSegments(q.spool)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(there) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	pos, err := readPosition(ctx, q.db, id)
	if err != nil {
		return err
	}
	for _, n := range there {
		if n < pos.segment {
			continue
		}
		var from int64
		if n == pos.segment {
			from = pos.offset
		}
		_, err := eachRecord(id, segmentPath(q.spool, id, n), from, f)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// pick returns the call of a record that the query wants, or nil.
func (query *Query) pick(r record, ids []string) *Call {
	if r.kind != recClosed {
		return nil
	}
	id, err := recordID(r.payload)
	if err != nil || query.Before != "" && id >= query.Before || len(ids) > 0 && !slices.Contains(ids, id) {
		return nil
	}
	c, err := decodeCall(r.payload)
	if err != nil || !query.Match(c) {
		return nil // the shipper says what cannot be read
	}
	c.AttemptCount = len(c.Attempts)
	if !query.Attempts {
		c.Attempts = nil
	}
	return c
}

const (
	followEvery  = 100 * time.Millisecond // how often Follow looks for new records
	followRecent = 4096                   // ids it remembers, so that it shows none twice
	followBack   = 10 * time.Minute       // how old a call may be that is looked for after a gap
)

// Follow hands the newest calls of the query to f, the oldest first, and then
// every further one as the server records it, until ctx ends or f fails. A
// Limit of 0 begins with the next call.
//
// It reads the spool as it grows. Where it was too slow, and the server has
// shipped and removed a whole segment, it looks for its calls in the store.
func (q *Calls) Follow(ctx context.Context, query Query, f func(*Call) error) error {
	missed := func() Query { // what a gap may have hidden
		m := query
		m.Limit, m.Since = followRecent, time.Now().Add(-followBack)
		return m
	}
	earlier, err := q.List(ctx, missed()) // after a gap they are not news
	if err != nil {
		return err
	}
	t := &follower{dir: q.spool, query: query}
	if err := t.begin(); err != nil {
		return err
	}
	defer t.close()
	shown := recentIDs{ids: map[string]bool{}}
	show := func(c *Call) error {
		if !shown.add(c.ID) {
			return nil
		}
		return f(c)
	}
	past := func(query Query) error {
		calls, err := q.List(ctx, query)
		for _, c := range slices.Backward(calls) {
			if err == nil {
				err = show(c)
			}
		}
		return err
	}
	if query.Limit > 0 {
		if err := past(query); err != nil {
			return err
		}
	}
	for _, c := range slices.Backward(earlier) {
		shown.add(c.ID)
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		gap, err := t.read(show)
		if err == nil && gap {
			err = past(missed())
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// recentIDs are the last followRecent ids.
type recentIDs struct {
	ids   map[string]bool
	order []string
}

// add reports whether the id is new.
func (r *recentIDs) add(id string) bool {
	if r.ids[id] {
		return false
	}
	if len(r.order) == followRecent {
		delete(r.ids, r.order[0])
		r.order = r.order[1:]
	}
	r.ids[id], r.order = true, append(r.order, id)
	return true
}

// A follower reads a spool as it grows, whoever ships it.
type follower struct {
	dir    string
	query  Query
	id     spoolID
	number int64 // of the newest segment that is read; 0: none yet
	files  []*followed
}

// A followed is a segment that may still grow. The last writers of one that is
// replaced may be a little late.
type followed struct {
	number   int64
	file     *os.File
	reader   segmentReader
	replaced time.Time // zero: it is the newest
}

// followLate is how long a replaced segment is looked at.
const followLate = 30 * time.Second

// begin goes to the spool's end.
func (t *follower) begin() error {
	id, there, err := listSegments(t.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the server will make it
	}
	for _, n := range there[max(0, len(there)-2):] {
		err = errors.Join(err, t.open(id, n, true))
	}
	if errors.Is(err, os.ErrNotExist) {
		t.close()
		return t.begin() // stored and removed since it was listed
	}
	return err
}

func (t *follower) open(id spoolID, n int64, atEnd bool) error {
	f, err := os.Open(segmentPath(t.dir, id, n))
	if err != nil {
		return fmt.Errorf("open spool segment: %w", err)
	}
	s := &followed{number: n, file: f, reader: segmentReader{id: id, file: f}}
	if atEnd {
		info, err := f.Stat()
		if err != nil {
			return errors.Join(fmt.Errorf("look at spool segment: %w", err), f.Close())
		}
		s.reader.offset = info.Size()
	}
	for _, old := range t.files {
		if old.replaced.IsZero() {
			old.replaced = time.Now()
		}
	}
	t.id, t.number, t.files = id, n, append(t.files, s)
	return nil
}

func (t *follower) close() {
	for _, s := range t.files {
		_ = s.file.Close() // it was only read
	}
	t.files = nil
}

// read hands over what is new. gap says that segments in between were gone
// before they could be read.
func (t *follower) read(f func(*Call) error) (gap bool, err error) {
	for {
		id, there, err := listSegments(t.dir)
		if errors.Is(err, os.ErrNotExist) {
			return gap, nil
		}
		if err != nil {
			return gap, err
		}
		if err := t.drain(id, there, f); err != nil {
			return gap, err
		}
		i := slices.IndexFunc(there, func(n int64) bool { return id != t.id || n > t.number })
		if i < 0 {
			return gap, nil
		}
		gap = gap || t.number > 0 && (id != t.id || there[i] != t.number+1)
		if err := t.open(id, there[i], false); errors.Is(err, os.ErrNotExist) {
			return true, nil // removed since: look again
		} else if err != nil {
			return gap, err
		}
	}
}

// drain reads all segments to their ends, and lets go of those that cannot
// grow: a segment that is removed has been stored whole.
func (t *follower) drain(id spoolID, there []int64, f func(*Call) error) error {
	keep := t.files[:0]
	for _, s := range t.files {
		if err := s.drain(&t.query, f); err != nil {
			return err
		}
		gone := id != t.id || !slices.Contains(there, s.number)
		if !s.replaced.IsZero() && (gone || time.Since(s.replaced) > followLate) {
			_ = s.file.Close() // it was only read
			continue
		}
		keep = append(keep, s)
	}
	t.files = keep
	return nil
}

func (s *followed) drain(query *Query, f func(*Call) error) error {
	for {
		r, err := s.reader.next(1 << 62)
		if err != nil || r.size == 0 {
			return err
		}
		if c := query.pick(r, nil); c != nil {
			if err := f(c); err != nil {
				return err
			}
		}
		s.reader.use(r.size)
	}
}
