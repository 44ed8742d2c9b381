package alerts

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

// The states of a delivery.
const (
	Pending   = "pending"
	Delivered = "delivered"
	GivenUp   = "given_up"
)

// A Told is an event and how it goes with telling it.
type Told struct {
	Event
	Deliveries []Delivery `json:"deliveries"`
}

// A Delivery is the telling of an event to one webhook.
type Delivery struct {
	Webhook string    `json:"webhook"` // its name
	State   string    `json:"state"`   // pending, delivered, given_up
	Tries   int       `json:"tries"`
	At      time.Time `json:"at,omitzero"`     // of the last try; zero: none yet
	Answer  string    `json:"answer,omitzero"` // to it: "200 OK", "no such host"
}

// A Query asks for events.
type Query struct {
	Since, Until time.Time // [Since, Until); zero: no bound
	Kind         Kind      // empty: all
	Before       string    // the id of an event: only those that List returns after it; empty: from the newest on
	Limit        int       // 0: none
}

// ErrNoSuchAlert says that an id names no event.
var ErrNoSuchAlert = errors.New("no such alert")

// List returns what was told, the newest first.
func List(ctx context.Context, db *sqldb.DB, q Query) (out []Told, err error) {
	where, args, err := q.where(ctx, db)
	if err != nil {
		return nil, err
	}
	rows, err := db.Reader().QueryContext(ctx, `SELECT a.event, d.webhook, d.state, d.tries, d.at, d.answer FROM
		(SELECT * FROM alerts`+where+` ORDER BY at DESC, id DESC LIMIT ?) a LEFT JOIN alert_deliveries d ON d.alert_id = a.id
		ORDER BY a.at DESC, a.id DESC, d.webhook`, append(args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var event string
		var webhook, state, answer sql.NullString
		var tries, at sql.NullInt64
		if err := rows.Scan(&event, &webhook, &state, &tries, &at, &answer); err != nil {
			return nil, fmt.Errorf("read alert: %w", err)
		}
		t := Told{Deliveries: []Delivery{}}
		if err := json.Unmarshal([]byte(event), &t.Event); err != nil {
			return nil, fmt.Errorf("read alert: %w", err)
		}
		if len(out) == 0 || out[len(out)-1].ID != t.ID {
			out = append(out, t)
		}
		if last := &out[len(out)-1]; webhook.Valid {
			d := Delivery{Webhook: webhook.String, State: state.String, Tries: int(tries.Int64), Answer: answer.String}
			if at.Int64 != 0 {
				d.At = time.UnixMicro(at.Int64).UTC()
			}
			last.Deliveries = append(last.Deliveries, d)
		}
	}
	return out, rows.Err()
}

func (q *Query) where(ctx context.Context, db *sqldb.DB) (string, []any, error) {
	var parts []string
	var args []any
	add := func(part string, values ...any) { parts, args = append(parts, part), append(args, values...) }
	if !q.Since.IsZero() {
		add("at >= ?", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		add("at < ?", q.Until.UnixMicro())
	}
	if q.Kind != "" {
		add("kind = ?", string(q.Kind))
	}
	if q.Before != "" {
		var at int64
		switch err := db.Reader().QueryRowContext(ctx, `SELECT at FROM alerts WHERE id = ?`, q.Before).Scan(&at); {
		case errors.Is(err, sql.ErrNoRows):
			return "", nil, fmt.Errorf("%w: %s", ErrNoSuchAlert, q.Before)
		case err != nil:
			return "", nil, fmt.Errorf("list alerts: %w", err)
		}
		add("(at < ? OR at = ? AND id < ?)", at, at, q.Before)
	}
	if len(parts) == 0 {
		return "", nil, nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args, nil
}

// known reports whether an event was told.
func known(ctx context.Context, db *sqldb.DB, id string) (bool, error) {
	var n int
	if err := db.Reader().QueryRowContext(ctx, `SELECT count(*) FROM alerts WHERE id = ?`, id).Scan(&n); err != nil {
		return false, fmt.Errorf("look for alert: %w", err)
	}
	return n > 0, nil
}

// lastIDs are those of the events that were told last.
func lastIDs(ctx context.Context, db *sqldb.DB, limit int) (ids []string, err error) {
	rows, err := db.Reader().QueryContext(ctx, `SELECT id FROM alerts ORDER BY at DESC LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read alert: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// stateTime is how long a state that was told stands for later ones.
const stateTime = time.Hour

// maxPending bounds the deliveries that wait for one webhook.
const maxPending = 10_000

// insert keeps an event with a delivery for each webhook. It reports false
// where another process has told it already, or its state.
func insert(ctx context.Context, db *sqldb.DB, e *Event, webhooks []string) (told bool, err error) {
	text, err := json.Marshal(e)
	if err != nil {
		return false, fmt.Errorf("keep alert: %w", err)
	}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		if same, err := sameState(ctx, tx, e); err != nil || same {
			return err
		}
		done, err := tx.ExecContext(ctx, `INSERT INTO alerts (id, at, kind, subject, event) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING`,
			e.ID, e.At.UnixMicro(), string(e.Kind), e.Subject, string(text))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		told = true
		for _, name := range webhooks {
			_, err := tx.ExecContext(ctx, `INSERT INTO alert_deliveries (alert_id, webhook, state, tries, due, at, answer)
				SELECT ?1, ?2, iif(count(*) < ?3, 'pending', 'given_up'), 0, ?4, 0, iif(count(*) < ?3, '', 'too many wait before it')
				FROM alert_deliveries WHERE webhook = ?2 AND state = 'pending'`, e.ID, name, maxPending, e.At.UnixMicro())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("keep alert: %w", err)
	}
	return told, nil
}

// sameState reports whether the state that an event tells is the one that was
// told last.
func sameState(ctx context.Context, tx *sql.Tx, e *Event) (bool, error) {
	if e.Subject == "" {
		return false, nil
	}
	var last string
	var at int64
	err := tx.QueryRowContext(ctx, `SELECT kind, at FROM alerts WHERE subject = ? ORDER BY at DESC LIMIT 1`, e.Subject).Scan(&last, &at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return e.Kind == LimiterRecovered, nil // nobody heard that it failed
	case e.Kind == LimiterRecovered:
		return last == string(e.Kind), err
	}
	return last == string(e.Kind) && at > e.At.Add(-stateTime).UnixMicro(), err
}

// A claim is a delivery that this process tries.
type claim struct {
	event *Event
	tries int // before this one
}

// next claims the first delivery to a webhook that is due: until the lease
// ends no other process tries it. Where there is none it returns when the
// first will be due; zero: none waits.
func next(ctx context.Context, db *sqldb.DB, webhook string, now time.Time, lease time.Duration) (c *claim, wake time.Time, err error) {
	var due sql.NullInt64
	if err := db.Reader().QueryRowContext(ctx, `SELECT min(due) FROM alert_deliveries WHERE webhook = ? AND state = 'pending'`, webhook).Scan(&due); err != nil {
		return nil, wake, fmt.Errorf("look for deliveries: %w", err)
	}
	if !due.Valid {
		return nil, wake, nil
	}
	if due.Int64 > now.UnixMicro() {
		return nil, time.UnixMicro(due.Int64), nil
	}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		var event string
		one := &claim{event: &Event{}}
		err := tx.QueryRowContext(ctx, `SELECT a.event, d.tries FROM alert_deliveries d JOIN alerts a ON a.id = d.alert_id
			WHERE d.webhook = ? AND d.state = 'pending' AND d.due <= ? ORDER BY d.due, a.at LIMIT 1`, webhook, now.UnixMicro()).Scan(&event, &one.tries)
		if errors.Is(err, sql.ErrNoRows) { // another process has it
			return nil
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(event), one.event); err != nil {
			return err
		}
		c = one
		_, err = tx.ExecContext(ctx, `UPDATE alert_deliveries SET due = ? WHERE alert_id = ? AND webhook = ?`, now.Add(lease).UnixMicro(), c.event.ID, webhook)
		return err
	})
	if err != nil {
		return nil, wake, fmt.Errorf("claim a delivery: %w", err)
	}
	return c, now, nil
}

// note keeps how a try went. A delivery that another process has ended
// meanwhile stays as it is.
func note(ctx context.Context, db *sqldb.DB, id string, d *Delivery, due time.Time) error {
	err := db.Exec(ctx, `UPDATE alert_deliveries SET state = ?, tries = ?, at = ?, answer = ?, due = ? WHERE alert_id = ? AND webhook = ? AND state = 'pending'`,
		d.State, d.Tries, d.At.UnixMicro(), d.Answer, due.UnixMicro(), id, d.Webhook)
	if err != nil {
		return fmt.Errorf("note a delivery: %w", err)
	}
	return nil
}

// waiting is how many deliveries wait for a webhook.
func waiting(ctx context.Context, db *sqldb.DB, webhook string) (n int64, err error) {
	err = db.Reader().QueryRowContext(ctx, `SELECT count(*) FROM alert_deliveries WHERE webhook = ? AND state = 'pending'`, webhook).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count deliveries: %w", err)
	}
	return n, nil
}

// KeepTime is how long it is known what was told: longer than any budget's
// period, so that nothing is told twice.
const KeepTime = 90 * 24 * time.Hour

// Prune deletes what was told longer than KeepTime ago, and returns how many. It
// gives up what waits for webhooks that nobody has any more.
func Prune(ctx context.Context, db *sqldb.DB, now time.Time) (n int64, err error) {
	before := now.Add(-KeepTime)
	err = db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE alert_deliveries SET state = 'given_up', answer = 'the webhook is gone'
			WHERE state = 'pending' AND alert_id IN (SELECT id FROM alerts WHERE at < ?)`, now.Add(-tellTime-time.Hour).UnixMicro())
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM alert_deliveries WHERE alert_id IN (SELECT id FROM alerts WHERE at < ?)`, before.UnixMicro()); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, `DELETE FROM alerts WHERE at < ?`, before.UnixMicro())
		if err == nil {
			n, err = done.RowsAffected()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("delete old alerts: %w", err)
	}
	return n, nil
}
