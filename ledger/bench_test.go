package ledger

import (
	"context"
	"path/filepath"
	"testing"
)

// BenchmarkRecord is what a call costs the request path: its beginning and its
// end, written to the spool.
func BenchmarkRecord(b *testing.B) {
	dir := b.TempDir()
	r, err := OpenRecorder(RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: openStore(b, dir), Log: silent, WhenFull: "serve"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Shutdown(b.Context()) }()
	c := testCall(callID())
	b.ReportAllocs()
	for b.Loop() {
		if r.Opened(c) != nil || r.Closed(c) != nil {
			b.Fatal("not recorded")
		}
	}
}

// BenchmarkEncode is the same without the writes.
func BenchmarkEncode(b *testing.B) {
	c := testCall(callID())
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendCall(buf[:0], c)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkLookup(b *testing.B) {
	ring := &KeyRing{hash: newKeyHash([]byte("s"))}
	token := newToken()
	sum := ring.hash.sum(token)
	ring.ring.Store(&map[[32]byte]ringEntry{sum: {hash: sum, key: &Key{}}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Lookup(token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStore is what a call costs the shipper: its rows, its share of an
// hour and of a commit.
func BenchmarkStore(b *testing.B) {
	rows := rowStore{db: openStore(b, b.TempDir())}
	defer func() { _ = rows.close() }()
	var group batch
	b.ReportAllocs()
	for b.Loop() {
		c := testCall(callID())
		c.Customer, c.Tags = "", nil
		group.calls = append(group.calls, c)
		if len(group.calls) < batchCalls {
			continue
		}
		if _, err := rows.write(context.Background(), group); err != nil {
			b.Fatal(err)
		}
		group.calls = group.calls[:0]
	}
}
