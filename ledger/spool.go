package ledger

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// The spool is a directory of segments, each a run of records that only ever
// grows. A record is one write on a file opened with O_APPEND. A write that
// the disk cut short leaves a torn record; the reader finds the next one
// behind it.

const segmentSize = 16 << 20 // a segment is replaced once it is this long

// The reserve is given up when the disk is full, so that open calls can end.
// On a small disk it is a sixteenth of it.
const (
	maxReserve = 4 << 20
	minReserve = 64 << 10
)

// A segment is one file of the spool.
type segment struct {
	number int64
	file   *os.File
	size   atomic.Int64 // bytes that are written whole: all of them may be read
	users  atomic.Int64 // writers that hold the file; plus one while it is current
	idle   chan struct{}
}

// release lets go of the file, and tells who waits for the last writer.
func (s *segment) release() {
	if s.users.Add(-1) == 0 {
		close(s.idle)
	}
}

// acquire takes the file for a write, unless it is no longer current.
func (s *segment) acquire() bool {
	for {
		n := s.users.Load()
		if n == 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// A spool is the writing side.
type spool struct {
	dir     string
	id      spoolID
	full    int64 // a segment of this size is replaced
	locks   []*os.File
	own     int64 // the first segment of this process
	current atomic.Pointer[segment]
	sealed  atomic.Int64 // no segment up to this number grows any more
	total   atomic.Int64 // bytes of all segments
	spare   int64        // bytes of the reserve
	reserve atomic.Bool  // there is a reserve to give up
	pressed atomic.Bool  // a write was refused for want of room
}

func segmentPath(dir string, id spoolID, n int64) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%012d.spool", id, n))
}

// listSegments returns the numbers of a spool's segments, in order, and the
// id of the spool; the zero id where there are none.
func listSegments(dir string) (id spoolID, numbers []int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return id, nil, fmt.Errorf("list spool: %w", err)
	}
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".spool")
		name, digits, _ := strings.Cut(base, "-")
		raw, err := hex.DecodeString(name)
		n, err2 := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil || err2 != nil || len(raw) != len(id) {
			continue
		}
		if len(numbers) > 0 && spoolID(raw) != id {
			return id, nil, fmt.Errorf("spool %s holds segments of two spools, %s and %s", dir, id, spoolID(raw))
		}
		id, numbers = spoolID(raw), append(numbers, n)
	}
	slices.Sort(numbers)
	return id, numbers, nil
}

// openSpool locks the directory and begins a new segment behind those there.
// A process that adopts what an earlier one left is waited for.
func openSpool(dir string, full int64) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make spool directory: %w", err)
	}
	locks, err := ownDir(dir)
	if err != nil {
		return nil, err
	}
	s := &spool{dir: dir, full: full, locks: locks, spare: reserveFor(dir)}
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	s.restore()
	return s, nil
}

func (s *spool) begin() error {
	id, there, err := listSegments(s.dir)
	if err != nil {
		return err
	}
	s.id, s.own = id, 1
	if len(there) == 0 {
		s.id = newSpoolID()
	}
	for _, n := range there {
		if info, err := os.Stat(segmentPath(s.dir, id, n)); err == nil {
			s.total.Add(info.Size())
		}
		s.own = n + 1
	}
	seg, err := s.create(s.own)
	if err != nil {
		return err
	}
	s.sealed.Store(s.own - 1)
	s.current.Store(seg)
	return nil
}

func (s *spool) create(n int64) (*segment, error) {
	f, err := os.OpenFile(segmentPath(s.dir, s.id, n), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make spool segment: %w", err)
	}
	if err := syncDir(s.dir); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	seg := &segment{number: n, file: f, idle: make(chan struct{})}
	seg.users.Store(1)
	return seg, nil
}

// append writes one sealed record.
func (s *spool) append(rec []byte) error {
	var seg *segment
	for {
		if seg = s.current.Load(); seg.acquire() {
			break
		}
	}
	// os.File does one write after the other, so that what a short write left
	// out is never followed by another's record, and the sum of sizes is
	// never ahead of what can be read.
	n, err := seg.file.Write(rec)
	seg.size.Add(int64(n))
	s.total.Add(int64(n))
	seg.release()
	if err != nil {
		if diskFull(err) {
			s.pressed.Store(true)
		}
		return fmt.Errorf("write spool: %w", err)
	}
	return nil
}

// appendLast writes a record that must not be lost: where the disk is full
// the reserve makes room for it.
func (s *spool) appendLast(rec []byte) error {
	err := s.append(rec)
	if err != nil && diskFull(err) && s.reserve.Swap(false) {
		if err := os.Remove(s.reservePath()); err != nil {
			return fmt.Errorf("give up the spool's reserve: %w", err)
		}
		return s.append(rec)
	}
	return err
}

// diskFull reports whether a write failed for want of room.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// cramped reports whether the reserve has been given up, or was never to be
// had: what room there is belongs to the ends of calls.
func (s *spool) cramped() bool { return s.full >= segmentSize && !s.reserve.Load() }

func (s *spool) reservePath() string { return filepath.Join(s.dir, "reserve") }

// reserveFor is how large a reserve the disk of a directory can bear.
func reserveFor(dir string) int64 {
	_, whole := diskBytes(dir)
	return max(min(maxReserve, whole/16), minReserve)
}

// restore makes the reserve where it is missing and there is room for it. It
// is of random bytes, since zeros may take no room. In a spool of less than a
// few reserves there is none.
func (s *spool) restore() {
	if s.reserve.Load() || s.full < segmentSize {
		return
	}
	path := s.reservePath()
	if info, err := os.Stat(path); err == nil && info.Size() >= s.spare {
		s.reserve.Store(true)
		return
	}
	if free, _ := diskBytes(s.dir); free < 2*s.spare {
		return // what little there is, calls need now
	}
	block := make([]byte, s.spare)
	_, _ = rand.Read(block)
	if err := os.WriteFile(path, block, 0o600); err != nil {
		_ = os.Remove(path) // no room after all; the next call tries again
		return
	}
	s.reserve.Store(true)
}

// turn begins a new segment where the current one is full, and syncs and
// closes the one that was replaced. Where there is want of room it does so
// early: a segment makes room only once it is replaced. One goroutine calls it.
func (s *spool) turn(early bool) error {
	old := s.current.Load()
	if size := old.size.Load(); size == 0 || !early && size < s.full {
		return nil
	}
	seg, err := s.create(old.number + 1)
	if err != nil {
		return err
	}
	s.current.Store(seg)
	old.release()
	<-old.idle
	s.sealed.Store(old.number)
	if err := errors.Join(old.file.Sync(), old.file.Close()); err != nil {
		return fmt.Errorf("close spool segment: %w", err)
	}
	return nil
}

// readable says how far a segment may be read, and whether it grows no more.
func (s *spool) readable(n int64) (limit int64, final bool) {
	if n <= s.sealed.Load() {
		return 1 << 62, true
	}
	if seg := s.current.Load(); seg.number == n {
		return seg.size.Load(), false
	}
	return 0, false // its last writers are still at it
}

// sync makes what is written survive a power cut.
func (s *spool) sync() error {
	seg := s.current.Load()
	if !seg.acquire() {
		return nil // synced as it was replaced
	}
	defer seg.release()
	if err := seg.file.Sync(); err != nil {
		return fmt.Errorf("sync spool: %w", err)
	}
	return nil
}

// remove deletes a segment that is no longer needed.
func (s *spool) remove(n int64) error {
	path := segmentPath(s.dir, s.id, n)
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at spool segment: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove spool segment: %w", err)
	}
	s.total.Add(-info.Size())
	return nil
}

func (s *spool) close() error {
	seg := s.current.Load()
	return errors.Join(seg.file.Sync(), seg.file.Close(), s.unlock())
}

// unlock lets go of the directory, the writer's lock first: a new owner does
// not have to wait for it.
func (s *spool) unlock() (err error) {
	for _, lock := range slices.Backward(s.locks) {
		err = errors.Join(err, lock.Close())
	}
	return err
}
