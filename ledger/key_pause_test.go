package ledger

import (
	"errors"
	"strings"
	"testing"
)

// TestPauseFor: a pause with a reason is made once and audited with it.
func TestPauseFor(t *testing.T) {
	db := openStore(t, t.TempDir())
	keys := NewKeys(db, []byte("secret"))
	k, _, err := keys.Create(t.Context(), "test", KeySpec{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	paused, err := keys.PauseFor(t.Context(), "runaway rule", k.ID, "57 times the same")
	if err != nil || paused == nil || paused.Paused.IsZero() {
		t.Fatalf("paused %+v, %v", paused, err)
	}
	if again, err := keys.PauseFor(t.Context(), "runaway rule", k.ID, "58 times the same"); again != nil || err != nil {
		t.Errorf("paused twice: %+v, %v", again, err)
	}
	var n int
	var actor, detail string
	err = db.Reader().QueryRow(`SELECT count(*), max(actor), max(detail) FROM audit WHERE action = 'key.pause'`).Scan(&n, &actor, &detail)
	if err != nil || n != 1 || actor != "runaway rule" || !strings.Contains(detail, `"reason":"57 times the same"`) || !strings.Contains(detail, `"id":"`+k.ID+`"`) {
		t.Errorf("%d audited, by %s: %s, %v", n, actor, detail, err)
	}
	if _, err := keys.Revoke(t.Context(), "test", k.ID); err != nil {
		t.Fatal(err)
	}
	if again, err := keys.PauseFor(t.Context(), "runaway rule", k.ID, "x"); again != nil || err != nil {
		t.Errorf("a revoked key: %+v, %v", again, err)
	}
	if _, err := keys.PauseFor(t.Context(), "runaway rule", "nobody", "x"); !errors.Is(err, ErrNoSuchKey) {
		t.Errorf("no key: %v", err)
	}
}
