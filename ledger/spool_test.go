package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sealed is a whole record.
func sealed(id spoolID, kind recordKind, payload []byte) []byte {
	rec := append(id.begin(nil, kind), payload...)
	seal(rec)
	return rec
}

// readAll returns the payloads of a segment's whole records.
func readAll(t testing.TB, id spoolID, segment []byte) (out []string) {
	t.Helper()
	_, err := readRecords(&segmentReader{id: id, file: bytes.NewReader(segment)}, func(r record) error {
		out = append(out, fmt.Sprint(r.kind, string(r.payload)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecordsOfAllSizes(t *testing.T) {
	id := newSpoolID()
	var file []byte
	var want []string
	for _, n := range []int{0, 1, readChunk - recordHead - 1, readChunk - recordHead, readChunk, 3*readChunk + 5, 20 << 20, 2} {
		payload := bytes.Repeat([]byte{byte(n)}, n)
		file = append(file, sealed(id, recClosed, payload)...)
		want = append(want, fmt.Sprint(recClosed, string(payload)))
	}
	got := readAll(t, id, file)
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("record %d has %d bytes, want %d", i, len(got[i]), len(want[i]))
		}
	}
}

// What a client sends can't be made to read as a record of its own, not even
// where the record that carries it is damaged.
func TestClientsCannotForgeRecords(t *testing.T) {
	id := newSpoolID()
	forged := sealed(newSpoolID(), recClosed, []byte("forged"))
	outer := sealed(id, recBodies, append([]byte("body "), forged...))
	outer[recordHead] ^= 1
	file := append(outer, sealed(id, recClosed, []byte("next"))...)
	if got := readAll(t, id, file); len(got) != 1 || !strings.HasSuffix(got[0], "next") {
		t.Errorf("read %q", got)
	}
}

// However the bytes of a spool are cut, flipped or added to, every record
// that is still whole is found, once and in order, and no other one.
func FuzzSpoolReplay(f *testing.F) {
	f.Add([]byte{}, 0, 0, []byte{}, 0)
	f.Add([]byte("abc\x00defghi"), 0, 20, []byte{0xff}, 0)
	f.Add(bytes.Repeat([]byte("payload\x00"), 40), 0, 333, []byte{1, 2, 3}, 100)
	f.Add([]byte("a\x00b\x00c"), readChunk-recordHead-1, readChunk-1, []byte("x"), 1) // at the edges of what is read at once
	f.Add([]byte("a\x00b\x00c"), readChunk, readChunk+5, []byte("xy"), 40)
	f.Add([]byte("a\x00b\x00c"), 2*readChunk+1, 9, []byte{0, 0, 0, 4}, 3) // a length of 64 MiB
	f.Add(bytes.Repeat([]byte{0}, 3000), 0, 1500, bytes.Repeat([]byte{0xA7}, recordHead), 1<<30)
	id := spoolID{0xA7, 1, 2, 3, 4, 5, 6, 7}
	f.Fuzz(func(t *testing.T, data []byte, pad, at int, insert []byte, cut int) {
		if bytes.Contains(insert, id[:]) {
			return // as good as writing records
		}
		file, spans := writeSpans(id, data, int(uint(pad)%(3*readChunk)))
		from := int(uint(at) % uint(len(file)+1))
		if at%2 == 0 {
			overwrite(file, spans, from, insert)
		} else {
			file = insertAt(file, spans, from, insert)
		}
		file = file[:len(file)-int(uint(cut)%uint(len(file)+1))]
		checkSpans(t, readAll(t, id, file), spans, len(file))
	})
}

// A span is where a record lies.
type span struct {
	from, to int
	text     string
	hit      bool // by damage: it may be read or not
}

// writeSpans writes a record for each run of data up to a zero. The first one
// is padded.
func writeSpans(id spoolID, data []byte, pad int) (file []byte, spans []span) {
	for i, payload := range bytes.Split(data, []byte{0}) {
		if i == 0 {
			payload = append(bytes.Repeat([]byte{'.'}, pad), payload...)
		}
		kind := recordKind(1 + i%4)
		rec := sealed(id, kind, payload)
		spans = append(spans, span{from: len(file), to: len(file) + len(rec), text: fmt.Sprint(kind, string(payload))})
		file = append(file, rec...)
	}
	return file, spans
}

func overwrite(file []byte, spans []span, from int, with []byte) {
	n := copy(file[from:], with)
	for i := range spans {
		s := &spans[i]
		s.hit = s.hit || s.from < from+n && from < s.to
	}
}

func insertAt(file []byte, spans []span, from int, what []byte) []byte {
	for i := range spans {
		switch s := &spans[i]; {
		case s.from >= from:
			s.from, s.to = s.from+len(what), s.to+len(what)
		case s.to > from && len(what) > 0:
			s.hit = true
		}
	}
	return append(file[:from:from], append(append([]byte(nil), what...), file[from:]...)...)
}

// checkSpans wants what was read to be what was written, in order: all that
// the damage has not hit and that is before the file's end, and else only
// what damage changed into itself.
func checkSpans(t *testing.T, got []string, spans []span, end int) {
	t.Helper()
	for _, s := range spans {
		switch {
		case len(got) > 0 && got[0] == s.text:
			got = got[1:]
		case !s.hit && s.to <= end:
			t.Fatalf("the record %.60q is not found", s.text)
		}
	}
	if len(got) > 0 {
		t.Fatalf("the record %.60q was never written, or is found twice", got[0])
	}
}

// A disk that is full in the middle of a record harms no other: new calls are
// refused, and calls that are under way can end, thanks to the reserve.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, "12m")
	db := openStore(t, t.TempDir()) // on another disk
	mustExec(t, db, `ALTER TABLE calls RENAME TO calls_away`)
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	if !r.spool.reserve.Load() {
		t.Fatal("the spool has no reserve")
	}
	var under []*Call
	for range 200 {
		c := testCall(callID())
		if err := r.Opened(c); err != nil {
			t.Fatal(err)
		}
		under = append(under, c)
	}
	n, err := 0, error(nil)
	for ; err == nil && n < 100_000; n++ {
		c := testCall(callID())
		c.Path = strings.Repeat("x", 5000+n) // so that the disk is full at any place of a record
		if err = r.Opened(c); err == nil {
			err = r.Closed(c)
		}
	}
	if !errors.Is(err, ErrSpoolFull) {
		t.Fatalf("after %d calls: %v", n, err)
	}
	for _, c := range under[:100] {
		if err := r.Closed(c); err != nil {
			t.Fatalf("the end of a call: %v", err)
		}
	}
	if r.Stats().Held > 0 {
		t.Errorf("stats %+v: the reserve was not used", r.Stats())
	}
	mustExec(t, db, `ALTER TABLE calls_away RENAME TO calls`)
	last := testCall(callID())
	eventually(t, "there is room again", func() bool {
		flush(t, r)
		return r.Opened(last) == nil
	})
	crash(t, r)
	r = openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	flush(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 100 + n - 1, Interrupted: 101})
}

// With when_full serve, and without a reserve, rows wait in memory for room.
func TestDiskFullServes(t *testing.T) {
	dir := smallDisk(t, "1m")
	db := openStore(t, t.TempDir())
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db, WhenFull: "serve"})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk is too large")
	}
	for range 100 {
		recordAll(t, r, testCall(callID()))
	}
	if r.Stats().Held == 0 {
		t.Errorf("stats %+v: nothing is held", r.Stats())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was held is written", func() bool { return r.Stats().Held == 0 })
	flush(t, r)
	checkOutcomes(t, db, map[Outcome]int{OK: 100})
	if n := r.Stats().Open; n != 0 {
		t.Errorf("%d calls are open, want 0", n)
	}
}

// A small disk has a small reserve, and takes calls. One that is full at the
// start says so in the log, and takes calls once there is room.
func TestReserveOfSmallDisk(t *testing.T) {
	dir := smallDisk(t, "6m")
	db := openStore(t, t.TempDir())
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	recordAll(t, r, testCall(callID()))
	shutdown(t, r)

	ballast := filepath.Join(dir, "ballast")
	if err := errors.Join(os.Remove(filepath.Join(dir, "spool", "reserve")), os.WriteFile(ballast, make([]byte, 5900<<10), 0o600)); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	r = openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db, Log: slog.New(slog.NewTextHandler(&log, nil)), keepEvery: 10 * time.Millisecond})
	c := testCall(callID())
	if err := r.Opened(c); !errors.Is(err, ErrSpoolFull) {
		t.Errorf("a call with a full disk: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "calls are taken", func() bool { return r.Opened(c) == nil })
	recordAll(t, r, c)
	shutdown(t, r)
	for _, want := range []string{"level=WARN", "the spool's disk is full", "when_full=refuse", "has its reserve again"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, &log)
		}
	}
}

// smallDisk mounts a file system of that size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// What is written is found by a power cut within a second.
func TestSyncWithinASecond(t *testing.T) {
	dir := t.TempDir()
	r := openRecorder(t, RecorderOptions{Dir: dir, DB: openStore(t, t.TempDir())})
	recordAll(t, r, testCall(callID()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for r.dirty.Load() {
		if ctx.Err() != nil {
			t.Fatal("not synced after a second")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSegmentsOfTwoSpools(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []spoolID{{1}, {2}} {
		if err := os.WriteFile(segmentPath(dir, id, 1), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openSpool(dir, segmentSize); err == nil || !strings.Contains(err.Error(), "two spools") {
		t.Errorf("open a mixed spool: %v", err)
	}
}
