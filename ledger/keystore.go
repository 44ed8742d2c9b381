package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/internal/sqldb"
)

// Keys makes and changes virtual keys. Every change is audited. A running
// KeyRing sees it within two seconds, or at once after its Refresh.
type Keys struct {
	db   *sqldb.DB
	hash *keyHash
}

// NewKeys returns the keys of a store. secret is what LoadSecret returned.
func NewKeys(db *sqldb.DB, secret []byte) *Keys { return &Keys{db, newKeyHash(secret)} }

// A KeySpec is what a new key is to be. All of it may be left out.
type KeySpec struct {
	Name     string
	Project  string // by name, made where it is missing; empty: of no project
	Models   []string
	Customer string
	Tags     map[string]string
	Expires  time.Time // zero: never
}

// ErrNoSuchKey says that a name or id names no key.
var ErrNoSuchKey = errors.New("no such key")

// ErrKeyExists says that a key that is not revoked has the name already.
var ErrKeyExists = errors.New("a key has this name already")

// ErrKeyAmbiguous says that a name is that of several keys.
var ErrKeyAmbiguous = errors.New("several keys have this name")

// Create makes a key. The token is returned here once and can't be had again.
// actor says who asks, for the audit.
func (s *Keys) Create(ctx context.Context, actor string, spec KeySpec) (*Key, string, error) {
	token := newToken()
	now := time.Now().UTC().Truncate(time.Microsecond)
	k := &Key{
		ID: newID("key_"), Name: spec.Name, Project: spec.Project, Prefix: token[:shownLen], Models: spec.Models,
		Customer: spec.Customer, Tags: spec.Tags, Created: now, Expires: spec.Expires.UTC().Truncate(time.Microsecond),
		Pepper: s.hash.pepper,
	}
	if k.Name == "" {
		k.Name = k.ID
	}
	if !k.Expires.IsZero() && !k.Expires.After(now) {
		return nil, "", errors.New("create key: it would have expired already")
	}
	sum := s.hash.sum(token)
	err := s.write(ctx, func(tx *sql.Tx) (err error) {
		if err := nameIsFree(ctx, tx, k.Name); err != nil {
			return err
		}
		if k.ProjectID, err = ensureProject(ctx, tx, actor, spec.Project, now); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO keys (id, name, project_id, prefix, hash, pepper, models, customer, tags, created, expires)
			VALUES (?,?,?,?,?,?,?,?,?,?,?)`, k.ID, k.Name, orNull(k.ProjectID), k.Prefix, sum[:], k.Pepper, jsonList(k.Models),
			k.Customer, jsonMap(k.Tags), micros(now), micros(k.Expires))
		if err != nil {
			return err
		}
		return audit(ctx, tx, now, actor, "key.create", k.ID, k)
	})
	if err != nil {
		return nil, "", fmt.Errorf("create key: %w", err)
	}
	return k, token, nil
}

// nameIsFree refuses a name that a key has which is not revoked: it would stand
// for neither.
func nameIsFree(ctx context.Context, tx *sql.Tx, name string) error {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM keys WHERE name = ? AND revoked = 0`, name).Scan(&n)
	if err == nil && n > 0 {
		return fmt.Errorf("%w: %s", ErrKeyExists, name)
	}
	return err
}

// Revoke ends a key for good. ref is its id, or its name where only one has it.
// A key that is revoked already stays as it is.
func (s *Keys) Revoke(ctx context.Context, actor, ref string) (*Key, error) {
	return s.change(ctx, actor, ref, "key.revoke", func(k *keyRow, now time.Time) error {
		if k.Revoked.IsZero() {
			k.Revoked = now
		}
		return nil
	})
}

// Pause makes a key answer ErrKeyPaused until Resume.
func (s *Keys) Pause(ctx context.Context, actor, ref string) (*Key, error) {
	return s.change(ctx, actor, ref, "key.pause", func(k *keyRow, now time.Time) error {
		if k.Paused.IsZero() {
			k.Paused = now
		}
		return k.unrevoked()
	})
}

// PauseFor pauses a key, and audits why. It returns nil where the key is paused
// or revoked already: it stays as it is.
func (s *Keys) PauseFor(ctx context.Context, actor, ref, reason string) (*Key, error) {
	k, err := s.changeFor(ctx, actor, ref, "key.pause", reason, func(k *keyRow, now time.Time) error {
		if !k.Paused.IsZero() || !k.Revoked.IsZero() {
			return errNoChange
		}
		k.Paused = now
		return nil
	})
	if errors.Is(err, errNoChange) {
		return nil, nil
	}
	return k, err
}

// errNoChange ends a change that is none.
var errNoChange = errors.New("nothing to change")

// Resume ends a pause.
func (s *Keys) Resume(ctx context.Context, actor, ref string) (*Key, error) {
	return s.change(ctx, actor, ref, "key.resume", func(k *keyRow, _ time.Time) error {
		k.Paused = time.Time{}
		return k.unrevoked()
	})
}

// Rotate gives a key a new secret, returned once. The old one works for the
// grace longer; 0 ends it now.
func (s *Keys) Rotate(ctx context.Context, actor, ref string, grace time.Duration) (*Key, string, error) {
	token := newToken()
	k, err := s.change(ctx, actor, ref, "key.rotate", func(k *keyRow, now time.Time) error {
		k.oldHash, k.OldUntil = [32]byte{}, time.Time{}
		if grace > 0 && k.Pepper == s.hash.pepper {
			k.oldHash, k.OldUntil = k.hash, now.Add(grace)
		}
		k.hash, k.Prefix, k.Pepper = s.hash.sum(token), token[:shownLen], s.hash.pepper
		return k.unrevoked()
	})
	return k, token, err
}

// List returns all keys, the newest first.
func (s *Keys) List(ctx context.Context) ([]*Key, error) {
	rows, err := listKeys(ctx, s.db)
	if err != nil {
		return nil, err
	}
	out := make([]*Key, len(rows))
	for i, k := range rows {
		out[i] = &k.Key
	}
	return out, nil
}

// Usable reports whether the key was made under this secret.
func (s *Keys) Usable(k *Key) bool { return k.Pepper == s.hash.pepper }

// A keyRow is a key with what is never shown of it.
type keyRow struct {
	Key
	hash, oldHash [32]byte
}

func (k *keyRow) unrevoked() error {
	if !k.Revoked.IsZero() {
		return fmt.Errorf("%w since %s", ErrKeyRevoked, k.Revoked.Format(time.DateTime))
	}
	return nil
}

// write is a transaction that a power cut does not undo: a key that was shown
// is there, and one that was revoked stays so.
func (s *Keys) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	if err := s.db.Write(ctx, f); err != nil {
		return err
	}
	return s.db.Sync()
}

// change reads a key, lets f change it, writes it and audits that, in one transaction.
func (s *Keys) change(ctx context.Context, actor, ref, action string, f func(k *keyRow, now time.Time) error) (*Key, error) {
	return s.changeFor(ctx, actor, ref, action, "", f)
}

// changeFor is change with a reason, for the audit.
func (s *Keys) changeFor(ctx context.Context, actor, ref, action, reason string, f func(k *keyRow, now time.Time) error) (*Key, error) {
	var k *keyRow
	now := time.Now().UTC().Truncate(time.Microsecond)
	err := s.write(ctx, func(tx *sql.Tx) (err error) {
		if k, err = findKey(ctx, tx, ref); err != nil {
			return err
		}
		if err := f(k, now); err != nil {
			return err
		}
		var old []byte
		if k.oldHash != ([32]byte{}) {
			old = k.oldHash[:]
		}
		_, err = tx.ExecContext(ctx, `UPDATE keys SET prefix = ?, hash = ?, pepper = ?, old_hash = ?, old_until = ?, paused = ?, revoked = ? WHERE id = ?`,
			k.Prefix, k.hash[:], k.Pepper, old, micros(k.OldUntil), micros(k.Paused), micros(k.Revoked), k.ID)
		if err != nil {
			return err
		}
		return audit(ctx, tx, now, actor, action, k.ID, auditedKey{&k.Key, reason})
	})
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", strings.TrimPrefix(action, "key."), ref, err)
	}
	return &k.Key, nil
}

// An auditedKey is a key as a change left it, and why it was made.
type auditedKey struct {
	*Key
	Reason string `json:"reason,omitzero"`
}

const selectKeys = `SELECT k.id, k.name, coalesce(k.project_id, ''), coalesce(p.name, ''), k.prefix, k.hash, k.pepper, k.old_hash, k.old_until,
	k.models, k.customer, k.tags, k.created, k.expires, k.paused, k.revoked FROM keys k LEFT JOIN projects p ON p.id = k.project_id`

func listKeys(ctx context.Context, db *sqldb.DB) ([]*keyRow, error) {
	rows, err := db.Reader().QueryContext(ctx, selectKeys+` ORDER BY k.created DESC, k.id`)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return scanKeys(rows)
}

// findKey finds a key by its id, or by its name. Where a live key and revoked
// ones share the name, the live one is meant.
func findKey(ctx context.Context, tx *sql.Tx, ref string) (*keyRow, error) {
	rows, err := tx.QueryContext(ctx, selectKeys+` WHERE k.id = ?1 OR k.name = ?1 ORDER BY k.id = ?1 DESC, k.revoked > 0, k.created DESC LIMIT 3`, ref)
	if err != nil {
		return nil, err
	}
	found, err := scanKeys(rows)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, ErrNoSuchKey
	case found[0].ID == ref || len(found) == 1 || found[0].Revoked.IsZero() && !found[1].Revoked.IsZero():
		return found[0], nil
	}
	return nil, ErrKeyAmbiguous
}

func scanKeys(rows *sql.Rows) (out []*keyRow, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		k := &keyRow{}
		var hash, oldHash []byte
		var models, tags string
		var oldUntil, created, expires, paused, revoked int64
		err := rows.Scan(&k.ID, &k.Name, &k.ProjectID, &k.Project, &k.Prefix, &hash, &k.Pepper, &oldHash, &oldUntil,
			&models, &k.Customer, &tags, &created, &expires, &paused, &revoked)
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		copy(k.hash[:], hash)
		copy(k.oldHash[:], oldHash)
		k.Created, k.Expires, k.Paused, k.Revoked, k.OldUntil = fromMicros(created), fromMicros(expires), fromMicros(paused), fromMicros(revoked), fromMicros(oldUntil)
		if err := errors.Join(readJSON(models, &k.Models), readJSON(tags, &k.Tags)); err != nil {
			return nil, fmt.Errorf("read key %s: %w", k.ID, err)
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

// ensureProject returns the id of the project of that name, made where it is missing.
func ensureProject(ctx context.Context, tx *sql.Tx, actor, name string, now time.Time) (string, error) {
	if name == "" {
		return "", nil
	}
	var id string
	err := tx.QueryRowContext(ctx, `SELECT id FROM projects WHERE name = ?`, name).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	p := Project{ID: newID("proj_"), Name: name, Created: now}
	if _, err := tx.ExecContext(ctx, `INSERT INTO projects (id, name, created) VALUES (?,?,?)`, p.ID, p.Name, micros(now)); err != nil {
		return "", err
	}
	return p.ID, audit(ctx, tx, now, actor, "project.create", p.ID, p)
}

// A Project owns keys.
type Project struct {
	ID      string    `json:"id"` // "proj_" and 16 hex digits
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
}

// Projects returns all projects, the newest first.
func Projects(ctx context.Context, db *sqldb.DB) (out []Project, err error) {
	rows, err := db.Reader().QueryContext(ctx, `SELECT id, name, created FROM projects ORDER BY created DESC, id`)
	if err != nil {
		return nil, fmt.Errorf("list projects: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var p Project
		var created int64
		if err := rows.Scan(&p.ID, &p.Name, &created); err != nil {
			return nil, fmt.Errorf("read project: %w", err)
		}
		p.Created = fromMicros(created)
		out = append(out, p)
	}
	return out, rows.Err()
}

// audit notes who did what, in the transaction that does it.
func audit(ctx context.Context, tx *sql.Tx, now time.Time, actor, action, object string, detail any) error {
	text, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO audit (at, actor, action, object, detail) VALUES (?,?,?,?,?)`, micros(now), actor, action, object, string(text))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// micros is a time as the store has it: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func jsonList(list []string) string {
	if len(list) == 0 {
		return ""
	}
	b, _ := json.Marshal(list) // strings always can be
	return string(b)
}

func readJSON(text string, to any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), to)
}
