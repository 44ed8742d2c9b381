package ledger

import (
	"context"
	"errors"
	"fmt"
)

// Names are the names of projects and keys by their id. Keys of one name have
// their ids behind it.
func (q *Calls) Names(ctx context.Context) (names map[string]string, err error) {
	rows, err := q.db.Reader().QueryContext(ctx, `SELECT id, name FROM projects UNION ALL
		SELECT id, CASE count(*) OVER (PARTITION BY name) WHEN 1 THEN name ELSE name || ' ' || id END FROM keys`)
	if err != nil {
		return nil, fmt.Errorf("list names: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	names = map[string]string{}
	for rows.Next() {
		var id, name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, fmt.Errorf("list names: %w", err)
		}
		names[id] = name
	}
	return names, rows.Err()
}
