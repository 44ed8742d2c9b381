package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openDB(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open("sqlite:" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain.db", "with space.db", "what?mode=ro&x#y.db", "per%20cent.db", "deep/er/x.db"} {
		path := filepath.Join(dir, name)
		db := openDB(t, path)
		if err := db.Exec(t.Context(), `CREATE TABLE t (a INTEGER) STRICT`); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if info, err := os.Stat(path + suffix); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s%s: %v, %v; want a file of mode 0600", name, suffix, info, err)
			}
		}
		if err := db.Sync(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	check := func(dsn, want string) {
		t.Helper()
		db, err := Open(dsn)
		if err == nil {
			_ = db.Close()
			t.Fatalf("open %q succeeds", dsn)
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("open %q: %v, want %q and no password", dsn, err, want)
		}
	}
	check("postgres://u:hunter2@host/db", "postgres: not in this version")
	check("mysql://u:hunter2@host/db", "want sqlite:PATH")
	check("sqlite:", "no path")
	check("", "want sqlite:PATH")
	dir := t.TempDir()
	check("sqlite:"+dir, "open store") // a directory is none
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	check("sqlite:"+text, "not a database")
	if _, err := OpenExisting("sqlite:" + filepath.Join(dir, "none.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open a missing store: %v", err)
	}
}

func TestWrite(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "x.db"))
	ctx := t.Context()
	if err := db.Exec(ctx, `CREATE TABLE t (a INTEGER NOT NULL UNIQUE) STRICT`); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	err := db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO t VALUES (1)`); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("write: %v", err)
	}
	var n int
	if err := db.Reader().QueryRowContext(ctx, `SELECT count(*) FROM t`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v; want none after a failure", n, err)
	}
	if _, err := db.Reader().ExecContext(ctx, `INSERT INTO t VALUES (1)`); err == nil {
		t.Error("the reader writes")
	}
}

func TestIsRowFault(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "x.db"))
	check := func(q string, want bool) {
		t.Helper()
		err := db.Exec(t.Context(), q)
		if err == nil {
			t.Fatalf("%s succeeds", q)
		}
		if got := IsRowFault(err); got != want {
			t.Errorf("%s: IsRowFault(%v) = %v", q, err, got)
		}
	}
	if err := db.Exec(t.Context(), `CREATE TABLE t (a INTEGER NOT NULL UNIQUE CHECK (a < 10)) STRICT; INSERT INTO t VALUES (1)`); err != nil {
		t.Fatal(err)
	}
	check(`INSERT INTO t VALUES (1)`, true)
	check(`INSERT INTO t VALUES (NULL)`, true)
	check(`INSERT INTO t VALUES (11)`, true)
	check(`INSERT INTO t VALUES ('text')`, true)
	check(`INSERT INTO t VALUES (9223372036854775807 + 9223372036854775807)`, true)
	check(`INSERT INTO nothing VALUES (1)`, false)
	check(`nonsense`, false)
	if IsRowFault(nil) || IsRowFault(context.Canceled) {
		t.Error("what is no error of SQLite is a row fault")
	}
}

// Another process that holds the write lock makes a writer wait, and then
// fail; it is never a row's fault. Readers do not wait.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	ours, theirs := openDB(t, path), openDB(t, path)
	if err := ours.Exec(t.Context(), `CREATE TABLE t (a INTEGER) STRICT`); err != nil {
		t.Fatal(err)
	}
	release, held := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- theirs.Write(context.Background(), func(*sql.Tx) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	err := ours.Exec(ctx, `INSERT INTO t VALUES (1)`)
	if err == nil || IsRowFault(err) {
		t.Errorf("write into a locked store: %v", err)
	}
	if d := time.Since(begun); d > 3*time.Second {
		t.Errorf("the deadline of 100 ms took %v", d)
	}
	var n int
	if err := ours.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM t`).Scan(&n); err != nil {
		t.Errorf("read a locked store: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := ours.Exec(t.Context(), `INSERT INTO t VALUES (1)`); err != nil {
		t.Errorf("write after the lock: %v", err)
	}
}

func TestDataVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	ours, theirs := openDB(t, path), openDB(t, path)
	conn, err := ours.Reader().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	version := func() int64 {
		t.Helper()
		v, err := DataVersion(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := version()
	if version() != before {
		t.Error("the version changes by itself")
	}
	if err := theirs.Exec(t.Context(), `CREATE TABLE t (a INTEGER) STRICT`); err != nil {
		t.Fatal(err)
	}
	if version() == before {
		t.Error("another process's write does not change the version")
	}
}
