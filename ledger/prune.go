package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"weir/internal/sqldb"
)

// PruneBodies deletes the bodies kept before a time, in steps that leave the
// store to others in between, and returns how many.
func PruneBodies(ctx context.Context, db *sqldb.DB, before time.Time) (int64, error) {
	var total int64
	for {
		var n int64
		err := db.Write(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM bodies WHERE call_id IN (SELECT call_id FROM bodies WHERE at < ? ORDER BY at LIMIT 500)`, before.UnixMicro())
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return total, fmt.Errorf("prune bodies: %w", err)
		}
		if total += n; n == 0 {
			return total, nil
		}
	}
}

// A Pruner deletes bodies that are older than the retention, once an hour.
type Pruner struct {
	db     *sqldb.DB
	log    *slog.Logger
	retain atomic.Int64
	stop   context.CancelFunc
	done   chan struct{}
}

const pruneEvery = time.Hour

// StartPruner begins to prune, at once and then hourly. A retention of 0 keeps
// bodies for ever.
func StartPruner(db *sqldb.DB, retention time.Duration, log *slog.Logger) *Pruner {
	if log == nil {
		log = slog.Default()
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Pruner{db: db, log: log, stop: stop, done: make(chan struct{})}
	p.SetRetention(retention)
	go p.loop(ctx)
	return p
}

// SetRetention changes the retention from the next hour on.
func (p *Pruner) SetRetention(d time.Duration) { p.retain.Store(int64(d)) }

// Close ends the pruning, and waits for it.
func (p *Pruner) Close() {
	p.stop()
	<-p.done
}

func (p *Pruner) loop(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if d := time.Duration(p.retain.Load()); d > 0 {
			n, err := PruneBodies(ctx, p.db, time.Now().Add(-d))
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				p.log.Error("prune bodies", "err", err)
			case n > 0:
				p.log.Info("bodies pruned", "calls", n, "older_than", d)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
