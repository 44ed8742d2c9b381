package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// The spool is a directory of segments, each a run of records that only ever
// grows. A record is one write(2) on a file opened with O_APPEND, which the
// kernel does as one step, so that any number of calls write at once without a
// lock of ours:
//
//	magic (4) · kind (1) · length (4) · CRC-32C of kind and payload (4) · payload
//
// A write that the disk cut short leaves a torn record; the reader finds the
// next magic behind it.

type recordKind byte

const (
	recOpened recordKind = 1 // a call that is about to be tried
	recClosed recordKind = 2 // a call that has ended
	recBodies recordKind = 3
)

const (
	recordHead  = 13
	maxRecord   = 64 << 20
	segmentSize = 16 << 20
)

var (
	magic      = []byte{0xF5, 'W', 'r', 0xFA} // two bytes that UTF-8 never has
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// beginRecord leaves room for a record's head; sealRecord fills it in.
func beginRecord(dst []byte, kind recordKind) []byte {
	dst = append(dst, magic...)
	dst = append(dst, byte(kind))
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
}

func sealRecord(rec []byte) {
	binary.LittleEndian.PutUint32(rec[5:], uint32(len(rec)-recordHead))
	binary.LittleEndian.PutUint32(rec[9:], recordSum(rec))
}

func recordSum(rec []byte) uint32 {
	return crc32.Update(crc32.Checksum(rec[4:5], castagnoli), castagnoli, rec[recordHead:])
}

// nextRecord finds the first whole record of p. skipped are the bytes before
// it that are none; size is 0 where p ends before a record does, and more
// bytes may follow.
func nextRecord(p []byte) (kind recordKind, payload []byte, skipped, size int) {
	for {
		i := bytes.Index(p[skipped:], magic)
		if i < 0 { // the last bytes may be the beginning of a magic
			return 0, nil, max(skipped, len(p)-len(magic)+1), 0
		}
		skipped += i
		rest := p[skipped:]
		if len(rest) < recordHead {
			return 0, nil, skipped, 0
		}
		n := binary.LittleEndian.Uint32(rest[5:])
		if n > maxRecord {
			skipped++
			continue
		}
		if end := recordHead + int(n); len(rest) >= end {
			rec := rest[:end]
			if recordSum(rec) == binary.LittleEndian.Uint32(rec[9:]) {
				return recordKind(rec[4]), rec[recordHead:], skipped, end
			}
			skipped++
			continue
		}
		// The record goes on behind p, or its length is damage. Where a whole
		// record follows, it is damage.
		if _, _, more, n := nextRecord(rest[1:]); n > 0 {
			skipped += 1 + more
			continue
		}
		return 0, nil, skipped, 0
	}
}

// A segment is one file of the spool.
type segment struct {
	number int64
	file   *os.File
	size   atomic.Int64
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
	lock    *os.File
	current atomic.Pointer[segment]
	total   atomic.Int64 // bytes of all segments
	rotate  sync.Mutex   // held while a new segment takes over
}

func segmentPath(dir string, n int64) string {
	return filepath.Join(dir, fmt.Sprintf("%012d.spool", n))
}

// segments lists the numbers of a directory's segments, in order.
func segments(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list spool: %w", err)
	}
	var out []int64
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".spool")
		if n, err := strconv.ParseInt(base, 10, 64); ok && err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// openSpool locks the directory and begins a new segment behind those there.
func openSpool(dir string) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make spool directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &spool{dir: dir, lock: lock}
	there, err := segments(dir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	next := int64(1)
	for _, n := range there {
		if info, err := os.Stat(segmentPath(dir, n)); err == nil {
			s.total.Add(info.Size())
		}
		next = n + 1
	}
	seg, err := s.create(next)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.current.Store(seg)
	return s, nil
}

func (s *spool) create(n int64) (*segment, error) {
	f, err := os.OpenFile(segmentPath(s.dir, n), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make spool segment: %w", err)
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
	n, err := seg.file.Write(rec)
	seg.size.Add(int64(n))
	s.total.Add(int64(n))
	seg.release()
	if err != nil {
		return fmt.Errorf("write spool: %w", err)
	}
	return nil
}

// turn begins a new segment where the current one is full, or where force is
// set, and returns the one that was replaced, on which no writer is left.
func (s *spool) turn(force bool) (*segment, error) {
	s.rotate.Lock()
	defer s.rotate.Unlock()
	old := s.current.Load()
	if !force && old.size.Load() < segmentSize {
		return nil, nil
	}
	seg, err := s.create(old.number + 1)
	if err != nil {
		return nil, err
	}
	s.current.Store(seg)
	old.release()
	<-old.idle
	return old, nil
}

// remove deletes a segment that is no longer needed.
func (s *spool) remove(n int64) error {
	path := segmentPath(s.dir, n)
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
	return errors.Join(seg.file.Sync(), seg.file.Close(), s.lock.Close())
}
