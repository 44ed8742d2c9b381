package ledger

import (
	"context"
	"errors"
	"hash/crc32"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/sqldb"
	"weir/migrations"
)

func openRing(t *testing.T, db *sqldb.DB, secret string) *KeyRing {
	t.Helper()
	ring, err := OpenKeyRing(t.Context(), db, []byte(secret), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ring.Close)
	return ring
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it did not come to be", what)
		}
	}
}

func TestKeyLife(t *testing.T) {
	db := openStore(t, t.TempDir())
	keys, ring := NewKeys(db, []byte("s")), openRing(t, db, "s")
	ctx := t.Context()
	spec := KeySpec{Name: "ci", Project: "web", Models: []string{"gpt-*"}, Customer: "acme", Tags: map[string]string{"a": "b"}}
	k, token, err := keys.Create(ctx, "test", spec)
	if err != nil {
		t.Fatal(err)
	}
	check := func(token string, want error) {
		t.Helper()
		if err := ring.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := ring.Lookup(token)
		if !errors.Is(err, want) || (want == nil) != (got != nil) {
			t.Errorf("lookup = %v, %v; want %v", got, err, want)
		}
	}
	must := func(_ *Key, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(token, nil)
	if got, _ := ring.Lookup(token); !reflect.DeepEqual(got, k) {
		t.Errorf("looked up %+v, created %+v", got, k)
	}
	must(keys.Pause(ctx, "test", "ci"))
	check(token, ErrKeyPaused)
	must(keys.Resume(ctx, "test", k.ID))
	check(token, nil)

	_, second, err := keys.Rotate(ctx, "test", "ci", time.Hour)
	must(nil, err)
	check(token, nil)
	check(second, nil)
	_, third, err := keys.Rotate(ctx, "test", "ci", 0)
	must(nil, err)
	check(token, ErrKeyUnknown)
	check(second, ErrKeyUnknown)
	check(third, nil)

	must(keys.Revoke(ctx, "test", "ci"))
	check(third, ErrKeyRevoked)
	if _, err := keys.Resume(ctx, "test", "ci"); !errors.Is(err, ErrKeyRevoked) {
		t.Errorf("resume of a revoked key: %v", err)
	}
	if _, _, err := keys.Rotate(ctx, "test", "ci", 0); !errors.Is(err, ErrKeyRevoked) {
		t.Errorf("rotate of a revoked key: %v", err)
	}
	if _, err := keys.Pause(ctx, "test", "nobody"); !errors.Is(err, ErrNoSuchKey) {
		t.Errorf("pause of no key: %v", err)
	}
	var rows int
	if err := db.Reader().QueryRow(`SELECT count(*) FROM audit WHERE actor = 'test'`).Scan(&rows); err != nil || rows != 7 {
		t.Errorf("%d audit rows, %v; want 7", rows, err)
	}
}

func TestKeyExpires(t *testing.T) {
	db := openStore(t, t.TempDir())
	keys, ring := NewKeys(db, []byte("s")), openRing(t, db, "s")
	_, token, err := keys.Create(t.Context(), "test", KeySpec{Expires: time.Now().Add(50 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key expires", func() bool {
		_, err := ring.Lookup(token)
		return errors.Is(err, ErrKeyExpired)
	})
	if _, _, err := keys.Create(t.Context(), "test", KeySpec{Expires: time.Now().Add(-time.Second)}); err == nil {
		t.Error("a key that has expired was made")
	}
}

func TestKeyNames(t *testing.T) {
	db := openStore(t, t.TempDir())
	keys := NewKeys(db, []byte("s"))
	first, _, err := keys.Create(t.Context(), "test", KeySpec{Name: "a", Project: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := keys.Create(t.Context(), "test", KeySpec{Name: "a", Project: "q"}); !errors.Is(err, ErrKeyExists) {
		t.Errorf("a second key of a name that lives: %v", err)
	}
	if _, err := keys.Revoke(t.Context(), "test", "a"); err != nil {
		t.Fatal(err)
	}
	second, _, err := keys.Create(t.Context(), "test", KeySpec{Name: "a", Project: "p"})
	if err != nil || second.ProjectID != first.ProjectID {
		t.Fatalf("projects %q and %q, %v", first.ProjectID, second.ProjectID, err)
	}
	k, err := keys.Pause(t.Context(), "test", "a") // only one of them lives
	if err != nil || k.ID != second.ID {
		t.Errorf("paused %v, %v", k, err)
	}
	if _, err := keys.Revoke(t.Context(), "test", second.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Revoke(t.Context(), "test", "a"); !errors.Is(err, ErrKeyAmbiguous) {
		t.Errorf("revoke by the name of two: %v", err)
	}
}

// The time of a lookup must tell nothing: all tokens take the same steps.
func TestLookupTakesTheSameSteps(t *testing.T) {
	db := openStore(t, t.TempDir())
	keys, ring := NewKeys(db, []byte("s")), openRing(t, db, "s")
	_, known, err := keys.Create(t.Context(), "test", KeySpec{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	sums := 0
	ring.hash.onSum = func() { sums++ }
	check := func(token string, want error) {
		t.Helper()
		sums = 0
		if _, err := ring.Lookup(token); !errors.Is(err, want) {
			t.Errorf("lookup: %v, want %v", err, want)
		}
		if sums != 1 {
			t.Errorf("%.60q took %d sums, want 1", token, sums)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = ring.Lookup(token) }); n != 0 && !racing {
			t.Errorf("%.60q took %v allocations, want 0", token, n)
		}
	}
	check(known, nil)
	check(newToken(), ErrKeyUnknown)
	check("", ErrKeyMalformed)
	check("sk-abc", ErrKeyMalformed)
	check(known+"x", ErrKeyMalformed)
	check(known[:len(known)-1], ErrKeyMalformed)
	check(known[:10]+"!"+known[11:], ErrKeyMalformed)
	check(strings.Repeat("k", 1<<20), ErrKeyMalformed)
}

func TestTokenForm(t *testing.T) {
	body := "wk-abc"
	if sum := tokenChecksum(body); base62Value(string(sum[:])) != uint64(crc32.ChecksumIEEE([]byte(body))) {
		t.Errorf("checksum %s", sum)
	}
	seen := map[string]bool{}
	for range 1000 {
		token := newToken()
		if !wellFormed(token) || len(token) != tokenLen || seen[token] {
			t.Fatalf("token %q", token)
		}
		seen[token] = true
		flipped := []byte(token)
		flipped[5+len(seen)%40] ^= 1
		if wellFormed(string(flipped)) {
			t.Fatalf("a changed token passes: %q", flipped)
		}
	}
}

func base62Value(s string) uint64 {
	n, _ := new(big.Int).SetString(s, 62)
	return n.Uint64()
}

// Keys of another process count within two seconds, and a store that fails
// takes none away.
func TestRingFollowsTheStore(t *testing.T) {
	dir := t.TempDir()
	ours, err := sqldb.Open("sqlite:" + filepath.Join(dir, "weir.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	ring := openRing(t, ours, "s")
	theirs := openStore(t, dir)
	keys := NewKeys(theirs, []byte("s"))
	k, token, err := keys.Create(t.Context(), "test", KeySpec{})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	eventually(t, "the new key counts", func() bool { _, err := ring.Lookup(token); return err == nil })
	if _, err := keys.Pause(t.Context(), "test", k.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pause counts", func() bool { _, err := ring.Lookup(token); return errors.Is(err, ErrKeyPaused) })
	if _, err := keys.Resume(t.Context(), "test", k.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the pause counts", func() bool { _, err := ring.Lookup(token); return err == nil })
	t.Logf("three changes took %v", time.Since(begun))

	if err := ours.Close(); err != nil { // the store fails
		t.Fatal(err)
	}
	if err := ring.Refresh(t.Context()); err == nil {
		t.Error("a closed store loads keys")
	}
	time.Sleep(2 * keyPoll)
	if _, err := ring.Lookup(token); err != nil {
		t.Errorf("the key is lost with the store: %v", err)
	}
}

func TestKeysOfAnotherSecret(t *testing.T) {
	db := openStore(t, t.TempDir())
	keys := NewKeys(db, []byte("old"))
	k, token, err := keys.Create(t.Context(), "test", KeySpec{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openRing(t, db, "new").Lookup(token); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("lookup under another secret: %v", err)
	}
	if NewKeys(db, []byte("new")).Usable(k) || !keys.Usable(k) {
		t.Error("Usable does not know the secret")
	}
}

func TestLoadSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var made sync.Map
	var all sync.WaitGroup
	for range 8 { // several processes at their first start
		all.Go(func() {
			s, err := LoadSecret("", dir)
			if err != nil {
				t.Error(err)
			}
			made.Store(string(s), true)
		})
	}
	all.Wait()
	n := 0
	made.Range(func(k, _ any) bool { n++; return len(k.(string)) == 64 })
	if n != 1 {
		t.Errorf("%d secrets, want 1", n)
	}
	info, err := os.Stat(filepath.Join(dir, SecretFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secret file: %v, %v", info, err)
	}
	if s, err := LoadSecret("given", dir); err != nil || string(s) != "given" {
		t.Errorf("configured secret: %q, %v", s, err)
	}
	if err := os.WriteFile(filepath.Join(dir, SecretFile), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSecret("", dir); err == nil {
		t.Error("a damaged secret is taken")
	}
}

func TestObjects(t *testing.T) {
	o := NewObjects(openStore(t, t.TempDir()))
	o.max = 10
	ctx := context.Background()
	check := func(id, want string, known bool) {
		t.Helper()
		got, ok, err := o.Provider(ctx, id)
		if err != nil || got != want || ok != known {
			t.Errorf("provider of %s = %q, %v, %v; want %q, %v", id, got, ok, err, want, known)
		}
	}
	check("file-1", "", false)
	for _, p := range []string{"a", "b"} {
		if err := o.Remember(ctx, "file-1", p); err != nil {
			t.Fatal(err)
		}
		check("file-1", p, true)
	}
	o.writes.Store(pruneObjects - 12)
	for i := range 12 {
		if err := o.Remember(ctx, string(rune('A'+i)), "p"); err != nil {
			t.Fatal(err)
		}
	}
	check("file-1", "", false)
	check("A", "", false)
	check("L", "p", true)
}
