package ledger

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/sqldb"
)

// A KeyRing answers whose token a request carries, from a snapshot in memory.
// Its own goroutine follows the store, so that keys made or revoked by another
// process count within two seconds. While the store fails the last snapshot
// stands.
type KeyRing struct {
	db   *sqldb.DB
	hash *keyHash
	log  *slog.Logger

	ring atomic.Pointer[map[[32]byte]ringEntry]
	load sync.Mutex // one loads at a time, so that an older snapshot never replaces a newer one

	stop context.CancelFunc
	done chan struct{}
}

type ringEntry struct {
	hash  [32]byte
	key   *Key
	until time.Time // a rotated key's former secret ends then; zero: it does not
}

const (
	keyPoll        = 500 * time.Millisecond
	keyLoadTimeout = 5 * time.Second
)

// OpenKeyRing loads the keys and begins to follow the store. secret is what
// LoadSecret returned.
func OpenKeyRing(ctx context.Context, db *sqldb.DB, secret []byte, log *slog.Logger) (*KeyRing, error) {
	if log == nil {
		log = slog.Default()
	}
	r := &KeyRing{db: db, hash: newKeyHash(secret), log: log, done: make(chan struct{})}
	if err := r.Refresh(ctx); err != nil {
		return nil, err
	}
	ctx, r.stop = context.WithCancel(context.Background())
	go r.follow(ctx)
	return r, nil
}

// Close ends the following of the store, and waits for it.
func (r *KeyRing) Close() {
	r.stop()
	<-r.done
}

// Len is the number of secrets that the ring knows.
func (r *KeyRing) Len() int { return len(*r.ring.Load()) }

// Lookup returns the key of a token, or one of the ErrKey errors. It makes the
// same steps for every token, so that its time tells nothing: a malformed one
// is hashed like a good one, and an unknown one is compared like a known one.
// The key is shared and must not be changed.
func (r *KeyRing) Lookup(token string) (*Key, error) {
	good := wellFormed(token)
	sum := r.hash.sum(token)
	e, found := (*r.ring.Load())[sum]
	same := subtle.ConstantTimeCompare(e.hash[:], sum[:]) == 1
	switch {
	case !good:
		return nil, ErrKeyMalformed
	case !found || !same:
		return nil, ErrKeyUnknown
	}
	now := time.Now()
	if !e.until.IsZero() && !now.Before(e.until) {
		return nil, ErrKeyExpired
	}
	switch e.key.Status(now) {
	case "revoked":
		return nil, ErrKeyRevoked
	case "expired":
		return nil, ErrKeyExpired
	case "paused":
		return nil, ErrKeyPaused
	}
	return e.key, nil
}

// Refresh loads the keys now. Whoever has written a key in this process calls
// it, so that the key counts at once.
func (r *KeyRing) Refresh(ctx context.Context) error {
	r.load.Lock()
	defer r.load.Unlock()
	rows, err := listKeys(ctx, r.db)
	if err != nil {
		return err
	}
	ring := make(map[[32]byte]ringEntry, len(rows))
	foreign := 0
	for _, k := range rows {
		if k.Pepper != r.hash.pepper {
			foreign++
			continue
		}
		ring[k.hash] = ringEntry{hash: k.hash, key: &k.Key}
		if k.oldHash != ([32]byte{}) {
			ring[k.oldHash] = ringEntry{hash: k.oldHash, key: &k.Key, until: k.OldUntil}
		}
	}
	r.ring.Store(&ring)
	if foreign > 0 {
		r.log.Warn("some keys were made under another secret and cannot be used", "keys", foreign)
	}
	return nil
}

func (r *KeyRing) follow(ctx context.Context) {
	defer close(r.done)
	tick := time.NewTicker(keyPoll)
	defer tick.Stop()
	var w keyWatch
	defer w.drop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := r.poll(ctx, &w)
		if err != nil && !failed && ctx.Err() == nil {
			r.log.Error("follow keys; the last ones known stay in force", "err", err)
		}
		failed = err != nil
	}
}

// poll loads the keys where another process, or ours, has written some. Every
// write of a key is audited, so the newest audit row tells.
func (r *KeyRing) poll(ctx context.Context, w *keyWatch) error {
	ctx, cancel := context.WithTimeout(ctx, keyLoadTimeout)
	defer cancel()
	changed, err := w.changed(ctx, r.db)
	if err == nil && changed {
		err = r.Refresh(ctx)
	}
	if err != nil {
		w.drop() // look again from the start: nothing written meanwhile is missed
		return fmt.Errorf("refresh keys: %w", err)
	}
	return nil
}

// A keyWatch sees changes by one connection of its own: a data version means
// something only on the connection that read it. The zero keyWatch has seen
// nothing, so that its first look is a change.
type keyWatch struct {
	conn    *sql.Conn
	looked  bool
	version int64
	audit   int64
}

func (w *keyWatch) changed(ctx context.Context, db *sqldb.DB) (bool, error) {
	if w.conn == nil {
		conn, err := db.Reader().Conn(ctx)
		if err != nil {
			return false, err
		}
		w.conn = conn
	}
	v, err := sqldb.DataVersion(ctx, w.conn)
	if err != nil || w.looked && v == w.version {
		return false, err
	}
	var audit int64
	if err := w.conn.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM audit`).Scan(&audit); err != nil {
		return false, err
	}
	news := !w.looked || audit != w.audit
	w.looked, w.version, w.audit = true, v, audit
	return news, nil
}

func (w *keyWatch) drop() {
	if w.conn != nil {
		_ = w.conn.Close() // gives it back to the pool
	}
	*w = keyWatch{}
}
