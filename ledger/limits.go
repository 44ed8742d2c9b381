package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"weir/internal/sqldb"
)

// Limits are those that were set by the command line or the admin API, as
// texts: what they mean its callers know. Every change is audited.
type Limits struct{ db *sqldb.DB }

// NewLimits returns the limits of a store.
func NewLimits(db *sqldb.DB) *Limits { return &Limits{db} }

// A LimitID is what no two limits have in common.
type LimitID struct {
	Scope   string `json:"scope"`
	Tag     string `json:"tag,omitzero"`   // empty: Scope is not tag
	Value   string `json:"value,omitzero"` // empty: each
	Measure string `json:"measure"`        // requests_per_minute, concurrent, usd_per_month …
	Action  string `json:"action"`
}

// String names it for people and for the audit: "customer usd_per_month block acme".
func (id LimitID) String() string {
	scope := id.Scope
	if id.Tag != "" {
		scope += ":" + id.Tag
	}
	return strings.TrimSpace(scope + " " + id.Measure + " " + id.Action + " " + id.Value)
}

// A SetLimit is a limit that was set.
type SetLimit struct {
	LimitID
	Entry json.RawMessage `json:"entry"` // an entry of the configuration's limits
	At    time.Time       `json:"at"`
	Actor string          `json:"-"` // who set it
}

// MaxSetLimits bounds how many limits can be set.
const MaxSetLimits = 10_000

// ErrTooManyLimits says that there are MaxSetLimits already.
var ErrTooManyLimits = fmt.Errorf("there may be %d limits beside the configuration's", MaxSetLimits)

// ErrNoSuchLimit says that no such limit was set.
var ErrNoSuchLimit = errors.New("no such limit was set")

// List returns all limits that were set, by their ids.
func (s *Limits) List(ctx context.Context) ([]SetLimit, error) {
	return listLimits(ctx, s.db.Reader().QueryContext)
}

func listLimits(ctx context.Context, query func(context.Context, string, ...any) (*sql.Rows, error)) (out []SetLimit, err error) {
	rows, err := query(ctx, `SELECT scope, tag, value, measure, action, entry, at, actor FROM limits ORDER BY scope, tag, measure, action, value`)
	if err != nil {
		return nil, fmt.Errorf("list limits: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var l SetLimit
		var entry string
		var at int64
		if err := rows.Scan(&l.Scope, &l.Tag, &l.Value, &l.Measure, &l.Action, &entry, &at, &l.Actor); err != nil {
			return nil, fmt.Errorf("read limit: %w", err)
		}
		l.Entry, l.At = json.RawMessage(entry), fromMicros(at)
		out = append(out, l)
	}
	return out, rows.Err()
}

// Set sets limits, each in the place of the one with its id: all of them or
// none. check is asked about all the limits that will be set then, in the
// transaction; its error ends the change.
func (s *Limits) Set(ctx context.Context, actor string, list []SetLimit, check func(all []SetLimit) error) error {
	err := s.write(ctx, func(tx *sql.Tx, now time.Time) error {
		for _, l := range list {
			_, err := tx.ExecContext(ctx, `INSERT INTO limits (scope, tag, value, measure, action, entry, at, actor) VALUES (?,?,?,?,?,?,?,?)
				ON CONFLICT DO UPDATE SET entry = excluded.entry, at = excluded.at, actor = excluded.actor`,
				l.Scope, l.Tag, l.Value, l.Measure, l.Action, string(l.Entry), micros(now), actor)
			if err != nil {
				return err
			}
			l.At = now
			if err := audit(ctx, tx, now, actor, "limit.set", l.String(), l); err != nil {
				return err
			}
		}
		all, err := listLimits(ctx, tx.QueryContext)
		if err == nil && len(all) > MaxSetLimits {
			err = ErrTooManyLimits
		}
		if err == nil {
			err = check(all)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set limit: %w", err)
	}
	return nil
}

// Unset takes a limit back, so that what the configuration says counts again.
// It returns what was set, or ErrNoSuchLimit.
func (s *Limits) Unset(ctx context.Context, actor string, id LimitID) (was SetLimit, err error) {
	err = s.write(ctx, func(tx *sql.Tx, now time.Time) error {
		var entry string
		var at int64
		was.LimitID = id
		err := tx.QueryRowContext(ctx, `DELETE FROM limits WHERE scope = ? AND tag = ? AND value = ? AND measure = ? AND action = ? RETURNING entry, at, actor`,
			id.Scope, id.Tag, id.Value, id.Measure, id.Action).Scan(&entry, &at, &was.Actor)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoSuchLimit
		}
		if err != nil {
			return err
		}
		was.Entry, was.At = json.RawMessage(entry), fromMicros(at)
		return audit(ctx, tx, now, actor, "limit.unset", id.String(), was)
	})
	if err != nil {
		return was, fmt.Errorf("unset limit %q: %w", id.String(), err)
	}
	return was, nil
}

// write is a transaction that a power cut does not undo.
func (s *Limits) write(ctx context.Context, f func(tx *sql.Tx, now time.Time) error) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	if err := s.db.Write(ctx, func(tx *sql.Tx) error { return f(tx, now) }); err != nil {
		return err
	}
	return s.db.Sync()
}

// Follow calls changed whenever this or another process may have set limits,
// within keyPoll, until ctx ends. Where the store or changed fails it is tried
// again, and said once.
func (s *Limits) Follow(ctx context.Context, log *slog.Logger, changed func(ctx context.Context) error) {
	tick := time.NewTicker(keyPoll)
	defer tick.Stop()
	seen, failed := int64(-1), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.poll(ctx, &seen, changed)
		if err != nil && !failed && ctx.Err() == nil {
			log.Error("follow the limits that are set; the last ones known stay in force", "err", err)
		}
		failed = err != nil
	}
}

// poll looks for changes. Every one is audited, so the newest audit row tells.
func (s *Limits) poll(ctx context.Context, seen *int64, changed func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, keyLoadTimeout)
	defer cancel()
	var newest int64
	err := s.db.Reader().QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM audit`).Scan(&newest)
	if err != nil || newest == *seen {
		return err
	}
	if err := changed(ctx); err != nil {
		return err
	}
	*seen = newest
	return nil
}
