package ledger

import "testing"

// Of two keys of a name, one has been revoked: both have made calls.
func TestNamesTellKeysApart(t *testing.T) {
	db := openStore(t, t.TempDir())
	keys := NewKeys(db, []byte("s"))
	want := map[string]string{}
	for _, name := range []string{"a", "a", "b"} {
		key, _, err := keys.Create(t.Context(), "test", KeySpec{Name: name, Project: "p"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Revoke(t.Context(), "test", name); err != nil {
			t.Fatal(err)
		}
		want[key.ID] = name + " " + key.ID
		if name == "b" {
			want[key.ID], want[key.ProjectID] = "b", "p"
		}
	}
	got, err := NewCalls(db, "").Names(t.Context())
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v; want %v", got, err, want)
	}
	for id, name := range want {
		if got[id] != name {
			t.Errorf("%s is %q, want %q", id, got[id], name)
		}
	}
}
