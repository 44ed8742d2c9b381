package migrations

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"weir/internal/sqldb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openDB(t *testing.T, path string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open("sqlite:" + path)
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

// Several processes may bring a new store up to date at once.
func TestUpAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var group sync.WaitGroup
	for range 4 {
		db := openDB(t, path)
		group.Go(func() {
			for range 2 {
				if err := Up(t.Context(), db); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	var n, top int
	err = openDB(t, path).Reader().QueryRow(`SELECT count(*), max(number) FROM schema_migrations`).Scan(&n, &top)
	if err != nil || n != len(all) || top != len(all) {
		t.Errorf("%d migrations up to %d, %v; want %d", n, top, err, len(all))
	}
}

func TestNewerStore(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "x.db"))
	if err := Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if err := db.Exec(t.Context(), `INSERT INTO schema_migrations VALUES (99, 'later', 0)`); err != nil {
		t.Fatal(err)
	}
	if err := Up(t.Context(), db); err == nil || !strings.Contains(err.Error(), "use the newer Weir") {
		t.Errorf("up on a newer store: %v", err)
	}
}

// Tables are strict: a value of the wrong type is an error, not a surprise.
func TestTablesAreStrict(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "x.db"))
	if err := Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Reader().Query(`SELECT name FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%' AND name <> 'schema_migrations'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		t.Errorf("table %s is not strict", name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
