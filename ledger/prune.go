package ledger

import (
	"context"
	"database/sql"
	"fmt"
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
