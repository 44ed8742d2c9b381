package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"weir/internal/sqldb"
)

// Objects remembers which provider account made an object (a file, a batch, a
// stored response) that later requests name by its id. It holds the newest
// million.
type Objects struct {
	db     *sqldb.DB
	max    int64
	writes atomic.Int64
}

const (
	maxObjects   = 1_000_000
	pruneObjects = 1000 // look at their number once in so many writes
)

// NewObjects returns the objects of a store.
func NewObjects(db *sqldb.DB) *Objects { return &Objects{db: db, max: maxObjects} }

// Provider returns the account that made an object; false where it is not known.
func (o *Objects) Provider(ctx context.Context, id string) (provider string, ok bool, err error) {
	err = o.db.Reader().QueryRowContext(ctx, `SELECT provider FROM objects WHERE id = ?`, id).Scan(&provider)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("look up object: %w", err)
	}
	return provider, true, nil
}

// Remember notes the account that made an object. The last word counts.
func (o *Objects) Remember(ctx context.Context, id, provider string) error {
	prune := o.writes.Add(1)%pruneObjects == 0
	err := o.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO objects (id, provider, at) VALUES (?,?,?)
			ON CONFLICT (id) DO UPDATE SET provider = excluded.provider, at = excluded.at`, id, provider, time.Now().UnixMicro())
		if err != nil || !prune {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM objects WHERE id IN
			(SELECT id FROM objects ORDER BY at LIMIT max(0, (SELECT count(*) FROM objects) - ?))`, o.max)
		return err
	})
	if err != nil {
		return fmt.Errorf("remember object: %w", err)
	}
	return nil
}
