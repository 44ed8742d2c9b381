// Package migrations brings a store's schema up to date. Files are numbered,
// run once each in order, and never change after a release.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/sqldb"
)

//go:embed sqlite/*.sql
var files embed.FS

// A Migration is one numbered step.
type Migration struct {
	Number int
	Name   string
	sql    string
}

// All returns the migrations in order.
func All() ([]Migration, error) {
	names, err := fs.Glob(files, "sqlite/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(names)
	var out []Migration
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		base := strings.TrimSuffix(strings.TrimPrefix(name, "sqlite/"), ".sql")
		digits, title, _ := strings.Cut(base, "_")
		n, err := strconv.Atoi(digits)
		if err != nil || n != len(out)+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", base, len(out)+1)
		}
		out = append(out, Migration{n, title, string(text)})
	}
	return out, nil
}

// Up runs the migrations that the store has not had, each in a transaction of
// its own that waits for any other process doing the same. A store from a
// newer Weir is refused.
func Up(ctx context.Context, db *sqldb.DB) error {
	all, err := All()
	if err != nil {
		return err
	}
	for {
		more, err := step(ctx, db, all)
		if err != nil || !more {
			return err
		}
	}
}

func step(ctx context.Context, db *sqldb.DB, all []Migration) (more bool, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL)`); err != nil {
			return fmt.Errorf("make schema_migrations: %w", err)
		}
		var at int
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) FROM schema_migrations`).Scan(&at); err != nil {
			return fmt.Errorf("read schema_migrations: %w", err)
		}
		switch {
		case at > len(all):
			return fmt.Errorf("the store has schema %d, this Weir knows up to %d: use the newer Weir", at, len(all))
		case at == len(all):
			return nil
		}
		m := all[at]
		if _, err := tx.ExecContext(ctx, m.sql); err != nil {
			return fmt.Errorf("migration %04d_%s: %w", m.Number, m.Name, err)
		}
		more = at+1 < len(all)
		_, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (number, name, at) VALUES (?, ?, ?)`, m.Number, m.Name, time.Now().UnixMilli())
		return err
	})
	return more, err
}
