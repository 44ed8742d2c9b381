package ledger

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A record of the spool is
//
//	the spool's id (8) · kind (1) · length (4) · CRC-32C of kind, length and payload (4) · payload
//
// The id is random and is the mark by which a reader finds the next record
// behind a damaged one. Payloads carry what clients send; since no client can
// know the id, none can send bytes that read as a record.

type recordKind byte

const (
	recOpened  recordKind = 1 // a call that is about to be tried
	recClosed  recordKind = 2 // a call that has ended
	recBodies  recordKind = 3
	recCarried recordKind = 4 // an opened record, written anew before its segment is removed

	recKept      recordKind = 5 // a kept response
	recForgotten recordKind = 6 // one that is deleted
)

const (
	recordHead = 17
	maxRecord  = 64 << 20 // bytes of a payload
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A spoolID names a spool and marks its records.
type spoolID [8]byte

func newSpoolID() (id spoolID) {
	_, _ = rand.Read(id[:])
	return id
}

func (id spoolID) String() string { return hex.EncodeToString(id[:]) }

// begin appends a record's head, which seal fills in.
func (id spoolID) begin(dst []byte, kind recordKind) []byte {
	dst = append(dst, id[:]...)
	return append(dst, byte(kind), 0, 0, 0, 0, 0, 0, 0, 0)
}

// seal completes a record that begin began and whose payload was appended.
func seal(rec []byte) {
	binary.LittleEndian.PutUint32(rec[9:], uint32(len(rec)-recordHead))
	binary.LittleEndian.PutUint32(rec[13:], recordSum(rec))
}

func recordSum(rec []byte) uint32 {
	return crc32.Update(crc32.Checksum(rec[8:13], castagnoli), castagnoli, rec[recordHead:])
}

// A record as it was read. The payload lies in the reader's buffer.
type record struct {
	kind    recordKind
	payload []byte
	size    int // of the whole record; 0: there is none
}

// next finds the first whole record of p. skipped are the bytes before it,
// which belong to none. Without a whole record it skips to where one may
// begin that goes on behind p.
//
// Damage may make a record look as if it went on behind p: where a whole one
// follows, it did not.
func (id spoolID) next(p []byte) (r record, skipped int) {
	unfinished := -1
	for at := 0; ; at++ {
		i := bytes.Index(p[at:], id[:])
		if i < 0 {
			break
		}
		at += i
		r, whole := parseRecord(p[at:])
		if r.size > 0 {
			return r, at
		}
		if !whole && unfinished < 0 {
			unfinished = at
		}
	}
	if unfinished >= 0 {
		return record{}, unfinished
	}
	return record{}, max(0, len(p)-len(id)+1) // the last bytes may be the beginning of an id
}

// parseRecord reads a record that begins with an id. whole is false where it
// may go on behind p.
func parseRecord(p []byte) (r record, whole bool) {
	if len(p) < recordHead {
		return r, false
	}
	n := binary.LittleEndian.Uint32(p[9:])
	if n > maxRecord {
		return r, true
	}
	end := recordHead + int(n)
	if len(p) < end {
		return r, false
	}
	if recordSum(p[:end]) != binary.LittleEndian.Uint32(p[13:]) {
		return r, true
	}
	return record{recordKind(p[8]), p[recordHead:end], end}, true
}

// A segmentReader reads the records of one segment, whose file may still grow.
type segmentReader struct {
	id     spoolID
	file   io.ReaderAt
	offset int64 // of buf
	buf    []byte
	store  []byte // what buf lies in
}

const readChunk = 256 << 10

// next returns the next whole record below limit; its size is 0 where there
// is none yet. The payload is good until the following call.
func (s *segmentReader) next(limit int64) (record, error) {
	for {
		r, skipped := s.id.next(s.buf)
		if skipped > 0 {
			s.use(skipped)
		}
		if r.size > 0 {
			return r, nil
		}
		n, err := s.fill(limit)
		if n == 0 || err != nil {
			return record{}, err
		}
	}
}

// use passes over bytes that were looked at.
func (s *segmentReader) use(n int) {
	s.buf = s.buf[n:]
	s.offset += int64(n)
}

// fill reads on behind buf. It doubles what it reads for a record that is
// larger, so that each byte of it is looked at only a few times.
func (s *segmentReader) fill(limit int64) (int, error) {
	have := len(s.buf)
	want := int(min(int64(max(readChunk, have)), limit-s.offset-int64(have)))
	if want <= 0 {
		return 0, nil
	}
	if cap(s.store) < have+want || cap(s.store) > 8*readChunk && have+want <= readChunk {
		s.store = make([]byte, have+want)
	}
	copy(s.store[:have+want], s.buf)
	n, err := s.file.ReadAt(s.store[have:have+want], s.offset+int64(have))
	s.buf = s.store[:have+n]
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("read spool: %w", err)
	}
	return n, nil
}

// eachRecord reads the whole records of a segment's file from an offset on,
// as far as they are written, and returns where it ended.
func eachRecord(id spoolID, path string, from int64, f func(record) error) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return from, fmt.Errorf("open spool segment: %w", err)
	}
	defer file.Close() // read only
	return readRecords(&segmentReader{id: id, file: file, offset: from}, f)
}

func readRecords(s *segmentReader, f func(record) error) (int64, error) {
	for {
		r, err := s.next(1 << 62)
		if err != nil || r.size == 0 {
			return s.offset, err
		}
		if err := f(r); err != nil {
			return s.offset, err
		}
		s.use(r.size)
	}
}
