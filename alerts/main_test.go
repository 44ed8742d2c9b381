package alerts

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"weir/internal/sqldb"
	"weir/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openStore opens the store of a directory, made where it is missing.
func openStore(t testing.TB, dir string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open("sqlite:" + filepath.Join(dir, "weir.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}
