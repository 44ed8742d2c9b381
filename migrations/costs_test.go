package migrations

import (
	"path/filepath"
	"testing"

	"weir/internal/sqldb"
)

// Calls from before there were costs are unpriced, never free, and are in the rollups.
func TestOldCallsAreUnpriced(t *testing.T) {
	db, err := sqldb.Open("sqlite:" + filepath.Join(t.TempDir(), "weir.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		if more, err = step(t.Context(), db, all[:3]); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{
		`INSERT INTO calls (id, start, dialect, api, method, path, status, outcome, total, bytes_in, bytes_out, attempts, usage_source)
			VALUES ('call_1', 7200000005, 'openai', 'chat', 'POST', '/', 200, 'ok', 1, 1, 1, 2, 'provider'),
			('call_2', 7200000006, 'openai', 'chat', 'POST', '/', 404, 'error', 1, 1, 1, 0, ''),
			('call_3', 7200000007, 'openai', 'chat', 'POST', '/', 0, 'interrupted', 1, 1, 1, 0, '')`,
		`INSERT INTO attempts (call_id, n, provider, start, total, usage, usage_source) VALUES ('call_1', 1, 'a', 0, 1, '', ''),
			('call_1', 2, 'b', 0, 1, '{"input":5,"input_cache_read":3,"input_audio":2,"output":4,"output_reasoning":9223372036854775807}', 'provider')`,
	} {
		if err := db.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if err := Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	var calls, attempts, input, unpriced, none, wasted, rows int64
	err = db.Reader().QueryRowContext(t.Context(), `SELECT sum(calls), sum(attempts), sum(input), sum(iif(source = 'unpriced', attempts, 0)),
		sum(iif(source = '', attempts, 0)), sum(wasted_attempts), count(*) FROM costs_daily`).Scan(&calls, &attempts, &input, &unpriced, &none, &wasted, &rows)
	if err != nil || calls != 3 || attempts != 3 || input != 7 || unpriced != 2 || none != 1 || wasted != 2 || rows != 4 {
		t.Errorf("%d calls, %d attempts, %d input, %d unpriced, %d without usage, %d wasted, %d rows: %v", calls, attempts, input, unpriced, none, wasted, rows, err)
	}
	var known int64
	if err := db.Reader().QueryRowContext(t.Context(), `SELECT count(cost_nano) FROM attempts WHERE cost_source = 'unpriced'`).Scan(&known); err != nil || known != 0 {
		t.Errorf("%d old attempts have a cost: %v", known, err)
	}
}
