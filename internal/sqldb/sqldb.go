// Package sqldb opens the store: a *sql.DB with its dialect, one connection
// for writing and several for reading.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite" // a pure Go SQLite: one static binary without a C compiler
	sqlite3 "modernc.org/sqlite/lib"
)

// A DB is an open store. Its methods may be used concurrently.
type DB struct {
	write *sql.DB
	read  *sql.DB
	path  string
	file  os.FileInfo // of path, as it was opened
}

// readers is the number of connections that read at once.
const readers = 4

// Open opens the store at a DSN: sqlite:PATH. The file and its directory are
// made where they are missing.
func Open(dsn string) (*DB, error) {
	path, ok := strings.CutPrefix(dsn, "sqlite:")
	if !ok {
		if strings.HasPrefix(dsn, "postgres:") || strings.HasPrefix(dsn, "postgresql:") {
			return nil, errors.New("store: postgres: not in this version")
		}
		return nil, fmt.Errorf("store %q: want sqlite:PATH", scheme(dsn))
	}
	if path == "" {
		return nil, errors.New("store: sqlite: no path given")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the store's directory: %w", err)
	}
	if err := protect(path); err != nil {
		return nil, err
	}
	write, err := open(path, "rwc", 1)
	if err != nil {
		return nil, err
	}
	read, err := open(path, "ro", readers)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	file, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), read.Close(), write.Close())
	}
	return &DB{write: write, read: read, path: path, file: file}, nil
}

// protect makes the file readable by its owner only before SQLite sees it: the
// files that SQLite puts beside it get the same mode.
func protect(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return fmt.Errorf("protect store %s: %w", path, err)
	}
	return nil
}

// OpenExisting is Open for who only reads what another process keeps: a
// missing store is an error that is fs.ErrNotExist.
func OpenExisting(dsn string) (*DB, error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok && path != "" {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	return Open(dsn)
}

// scheme is what may be shown of a DSN: the rest can hold a password.
func scheme(dsn string) string {
	s, _, _ := strings.Cut(dsn, ":")
	return s + ":…"
}

func open(path, mode string, conns int) (*sql.DB, error) {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	for _, p := range []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(ON)", "temp_store(MEMORY)", "cache_size(-16000)"} {
		if mode == "ro" && strings.HasPrefix(p, "journal_mode") {
			continue
		}
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.Ping(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), db.Close())
	}
	return db, nil
}

// Reader is the pool for queries.
func (db *DB) Reader() *sql.DB { return db.read }

// Write runs f in a transaction that holds the write lock from its start, and
// commits it if f returns nil.
func (db *DB) Write(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := f(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Prepare prepares a statement for use in Write, by tx.StmtContext: it stays
// with the one connection that writes.
func (db *DB) Prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	stmt, err := db.write.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	return stmt, nil
}

// Exec does one statement in a transaction of its own.
func (db *DB) Exec(ctx context.Context, query string, args ...any) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// ErrMoved says that the store's file was deleted or replaced while it is
// open: what is written goes where nobody will find it.
var ErrMoved = errors.New("its file was deleted or replaced")

// InPlace returns ErrMoved unless the file at the store's path is the one that
// is open. SQLite does not look. It costs one stat.
func (db *DB) InPlace() error {
	now, err := os.Stat(db.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look for store: %w", err)
	}
	if err != nil || !os.SameFile(now, db.file) {
		return fmt.Errorf("store %s: %w; put it back, or restart", db.path, ErrMoved)
	}
	return nil
}

// Path is where the store's file is: absolute.
func (db *DB) Path() string {
	path, err := filepath.Abs(db.path)
	if err != nil { // there is no working directory: nobody else finds it by this either
		return db.path
	}
	return path
}

// IsAt reports whether the file at a path is the one that is open: a copy of
// it is not.
func (db *DB) IsAt(path string) bool {
	there, err := os.Stat(path)
	return err == nil && os.SameFile(there, db.file)
}

// Sync makes what is committed survive a power cut. SQLite itself syncs its
// log only when it moves it into the database file. Where the store is not in
// place nothing would survive, which is an error.
func (db *DB) Sync() error {
	if err := db.InPlace(); err != nil {
		return err
	}
	f, err := os.OpenFile(db.path+"-wal", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sync store: %w", err)
	}
	// SQLite holds its file locks on other files, so closing this one ends none.
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync store: %w", err)
	}
	return nil
}

// DataVersion changes whenever another connection than this one has written to
// the store. It costs no disk access. Versions of different connections have
// nothing to do with each other.
func DataVersion(ctx context.Context, conn *sql.Conn) (int64, error) {
	var v int64
	err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&v)
	return v, err
}

// Close ends all connections.
func (db *DB) Close() error { return errors.Join(db.read.Close(), db.write.Close()) }

// IsRowFault reports whether the store refused a row for what it holds, so
// that trying again is of no use.
func IsRowFault(err error) bool {
	se, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
		return true
	}
	return false
}
