package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"weir/internal/sqldb"
	"weir/migrations"
)

// racing is set under the race detector.
var racing bool

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" { // this process is the one that gets killed
		if deed := os.Getenv(victimDeed); deed != "" {
			runDeed(dir, deed)
			return
		}
		runVictim(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

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
