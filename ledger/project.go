package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"weir/internal/sqldb"
)

// ErrProjectExists says that a project has the name already.
var ErrProjectExists = errors.New("a project has this name already")

// CreateProject makes a project. actor says who asks, for the audit.
func CreateProject(ctx context.Context, db *sqldb.DB, actor, name string) (p Project, err error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	err = db.Write(ctx, func(tx *sql.Tx) error {
		var there int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM projects WHERE name = ?`, name).Scan(&there)
		if err != nil {
			return err
		}
		if there > 0 {
			return fmt.Errorf("%w: %s", ErrProjectExists, name)
		}
		id, err := ensureProject(ctx, tx, actor, name, now)
		p = Project{ID: id, Name: name, Created: now}
		return err
	})
	if err != nil {
		return Project{}, fmt.Errorf("create project: %w", err)
	}
	return p, nil
}
