package ledger

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/internal/sqldb"
)

// Responses keeps replies of the Responses API, sealed. What Keep and Delete
// have returned from survives the death of the process: they write to the
// recorder's spool, and the shipper brings it into the store.
type Responses struct {
	db     *sqldb.DB
	rec    *Recorder
	sealer sealer
	now    func() time.Time
}

// The errors of looking for kept responses.
var (
	// ErrNoResponse says that there is no such response for the one who asks:
	// never kept, expired, deleted, or somebody else's.
	ErrNoResponse = errors.New("there is no such kept response")
	// ErrStoreDown says that the store has not answered in time.
	ErrStoreDown = errors.New("the store does not answer")
	// ErrLongChain says that a conversation is longer than can be followed.
	ErrLongChain = errors.New("the conversation is longer than Weir follows")

	errDeleted = fmt.Errorf("%w: deleted", ErrNoResponse)
)

// A BrokenChain says that a conversation cannot be followed to its beginning.
type BrokenChain struct{ ID string } // the response that is not there any more

// Error names the response that is missing.
func (b *BrokenChain) Error() string { return "the kept response " + b.ID + " is not there any more" }

const (
	lookTime  = 100 * time.Millisecond // for one look into the store
	chainTime = 2 * time.Second        // for all of a conversation
	waitTime  = time.Second            // for a response that is on its way into the store
	waitStep  = 50 * time.Millisecond
	freshTime = 5 * time.Minute // how old a response may be that another process may not have shipped yet

	// MaxChain is how many responses a conversation may have that is continued.
	MaxChain = 1000
	// MaxChainBytes is how many bytes they may have together.
	MaxChainBytes = 64 << 20
)

// NewResponses returns the kept responses of a recorder's store. They are
// sealed with a key that is derived from the secret.
func NewResponses(rec *Recorder, secret []byte) (*Responses, error) {
	s, err := newSealer(secret)
	if err != nil {
		return nil, err
	}
	return &Responses{db: rec.o.DB, rec: rec, sealer: s, now: time.Now}, nil
}

// ClientScope is the scope of a client that is known by its own credential
// alone. It tells nothing of it.
func (s *Responses) ClientScope(credential string) string { return s.sealer.scope(credential) }

// Room reports whether a response of so many bytes could be kept now: nil,
// or ErrSpoolFull.
func (s *Responses) Room(size int64) error {
	if s.rec.spool.cramped() || s.rec.spool.total.Load()+size > s.rec.o.Max {
		return ErrSpoolFull
	}
	return nil
}

// Keep keeps a response. It returns when the kernel has its record; from then
// on this process finds it, and every other one as soon as it is shipped.
func (s *Responses) Keep(r *Response) error {
	size := int64(len(r.Input) + len(r.Body))
	if size > MaxResponse {
		return fmt.Errorf("keep a response of %d bytes: at most %d can be kept", size, MaxResponse)
	}
	if err := s.Room(size); err != nil {
		return err
	}
	return s.write(keptStep{r: s.sealer.seal(r)})
}

func (s *Responses) write(step keptStep) error {
	kind := recKept
	if step.forget {
		kind = recForgotten
	}
	s.rec.kept.add(step) // before it can be shipped
	if err := put(s.rec, kind, step.r, appendKept, (*Recorder).write); err != nil {
		s.rec.kept.done(step)
		return fmt.Errorf("keep response: %w", err)
	}
	return nil
}

// Get returns a response; ErrNoResponse, ErrStoreDown or ErrSealed say why not.
func (s *Responses) Get(ctx context.Context, scope, id string) (*Response, error) {
	r, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.scope != scope || !r.expires.After(s.now()) {
		return nil, ErrNoResponse
	}
	return s.sealer.open(r)
}

// Chain returns a response and those that it continues, the oldest first. A
// missing one in between is a *BrokenChain.
func (s *Responses) Chain(ctx context.Context, scope, id string) ([]*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, chainTime)
	defer cancel()
	var chain []*Response
	size := 0
	for next := id; next != ""; {
		r, err := s.Get(ctx, scope, next)
		switch {
		case errors.Is(err, ErrNoResponse) && len(chain) > 0:
			return nil, &BrokenChain{next}
		case err != nil:
			return nil, err
		}
		if size += len(r.Input) + len(r.Body); len(chain) == MaxChain || size > MaxChainBytes {
			return nil, ErrLongChain
		}
		chain, next = append(chain, r), r.Previous
	}
	for i, j := 0, len(chain)-1; i < j; i, j = i+1, j-1 {
		chain[i], chain[j] = chain[j], chain[i]
	}
	return chain, nil
}

// Delete deletes a response. Those that continue it stay, and can be read, but
// no longer continued.
func (s *Responses) Delete(ctx context.Context, scope, id string) error {
	r, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	if r.scope != scope || !r.expires.After(s.now()) {
		return ErrNoResponse
	}
	return s.write(keptStep{forget: true, r: &sealedResponse{id: id}})
}

// find looks for a response: in what is not shipped yet, then in the store.
// One that is on its way there, from this process's spool or another's, is
// waited for.
func (s *Responses) find(ctx context.Context, id string) (*sealedResponse, error) {
	r, err := s.look(ctx, id)
	behind := s.rec.Stats().Backlog > 0
	if !errors.Is(err, ErrNoResponse) || errors.Is(err, errDeleted) || !behind && !s.isFresh(id) {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	if behind {
		if r, err := s.inSpool(ctx, id); r != nil || err != nil {
			return r, err
		}
	}
	if !s.isFresh(id) {
		return nil, ErrNoResponse
	}
	tick := time.NewTicker(waitStep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ErrNoResponse
		case <-tick.C:
		}
		if r, err := s.look(ctx, id); !errors.Is(err, ErrNoResponse) || errors.Is(err, errDeleted) {
			if ctx.Err() != nil {
				return nil, ErrNoResponse
			}
			return r, err
		}
	}
}

// isFresh reports whether a response was made so lately that another process
// may have it in its spool still. An id that is none of ours is not waited for.
func (s *Responses) isFresh(id string) bool {
	raw, err := hex.DecodeString(strings.TrimPrefix(id, ResponsePrefix))
	if err != nil || len(raw) != 16 {
		return false
	}
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(raw) >> 16)) // UUIDv7
	return s.now().Sub(made).Abs() < freshTime
}

// look looks into memory and into the store, once.
func (s *Responses) look(ctx context.Context, id string) (*sealedResponse, error) {
	r, deleted := s.rec.kept.get(id)
	switch {
	case deleted:
		return nil, errDeleted
	case r != nil:
		return r, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	r = &sealedResponse{id: id}
	var created, expires int64
	err := s.db.Reader().QueryRowContext(ctx, `SELECT scope, previous, model, created, expires, sealed FROM responses WHERE id = ?`, id).
		Scan(&r.scope, &r.previous, &r.model, &created, &expires, &r.sealed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNoResponse
	case err != nil:
		return nil, fmt.Errorf("look up response: %w: %w", ErrStoreDown, err)
	case r.sealed == nil:
		return nil, errDeleted
	}
	r.created, r.expires = fromMicros(created), fromMicros(expires)
	return r, nil
}

// inSpool looks for a response in this process's own spool: an earlier one may
// have left it there, or memory has had no room for it. nil: it is not there.
func (s *Responses) inSpool(ctx context.Context, id string) (found *sealedResponse, err error) {
	err = NewCalls(s.db, s.rec.o.Dir).eachUnshipped(ctx, func(r record) error {
		if r.kind != recKept && r.kind != recForgotten {
			return ctx.Err()
		}
		if have, err := recordID(r.payload); err != nil || have != id {
			return ctx.Err() // the shipper says what cannot be read
		}
		step, err := decodeKept(r.kind, r.payload)
		if found = step.r; step.forget {
			found = nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up response in the spool: %w: %w", ErrStoreDown, err)
	}
	return found, nil
}

// PruneResponses deletes the responses that have had their time, in steps that
// leave the store to others in between, and returns how many.
func PruneResponses(ctx context.Context, db *sqldb.DB, now time.Time) (int64, error) {
	var total int64
	for {
		var n int64
		err := db.Write(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM responses WHERE id IN (SELECT id FROM responses WHERE expires <= ? ORDER BY expires LIMIT 500)`, now.UnixMicro())
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return total, fmt.Errorf("prune responses: %w", err)
		}
		if total += n; n == 0 {
			return total, nil
		}
	}
}

// kept stores one step. What is there stays, so that a spool may be shipped twice.
func (w *writer) kept(k keptStep) error {
	if k.forget {
		if _, err := w.tx.ExecContext(w.ctx, `UPDATE responses SET sealed = NULL WHERE id = ?`, k.r.id); err != nil {
			return fmt.Errorf("delete response: %w", err)
		}
		return nil
	}
	_, err := w.tx.ExecContext(w.ctx, `INSERT INTO responses (id, scope, created, expires, previous, model, sealed) VALUES (?,?,?,?,?,?,?)
		ON CONFLICT (id) DO NOTHING`, k.r.id, k.r.scope, micros(k.r.created), micros(k.r.expires), k.r.previous, k.r.model, k.r.sealed)
	if err != nil {
		return fmt.Errorf("insert response: %w", err)
	}
	return nil
}
