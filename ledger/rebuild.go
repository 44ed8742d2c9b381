package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"weir/internal/sqldb"
)

// Rebuilt says what a rebuild of the rollups found.
type Rebuilt struct {
	Hours int64 `json:"hours"` // that were looked at
	Wrong int64 `json:"wrong"` // hours, and days, that were not what the rows say, and are now
}

// RebuildCosts makes costs_hourly and costs_daily anew from calls, attempts
// and adjustments, an hour in a transaction: it can be stopped anywhere, and
// changes nothing where all is right. progress is told after each hour; may be nil.
func RebuildCosts(ctx context.Context, db *sqldb.DB, progress func(hours int64)) (out Rebuilt, err error) {
	rows := rowStore{db: db}
	defer func() { err = errors.Join(err, rows.close()) }()
	hours, err := costHours(ctx, db.Reader())
	if err != nil {
		return out, fmt.Errorf("rebuild costs: %w", err)
	}
	for _, h := range hours {
		wrong := false
		err := rows.transact(ctx, func(w *writer) (err error) {
			wrong, err = w.rebuildHour(h)
			return err
		})
		if err != nil {
			return out, fmt.Errorf("rebuild costs of %s: %w", fromMicros(h).Format(time.RFC3339), err)
		}
		out.Hours++
		if wrong {
			out.Wrong++
		}
		if progress != nil {
			progress(out.Hours)
		}
	}
	return out, nil
}

// costHours are the hours of which there is anything, in order.
func costHours(ctx context.Context, from reader) (out []int64, err error) {
	rows, err := from.QueryContext(ctx, `SELECT DISTINCT start - start % 3600000000 FROM calls UNION SELECT DISTINCT hour FROM costs_hourly
		UNION SELECT DISTINCT day FROM costs_daily ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var h int64
		if err := rows.Scan(&h); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

// idSlack is how far a call's id may be from its start, which are taken one
// after the other.
const idSlack = 10 * time.Minute

// rebuildHour makes the rows of one hour and of its day, if they are wrong.
func (w *writer) rebuildHour(h int64) (wrong bool, err error) {
	start := fromMicros(h)
	cursor, end := idAt(start.Add(-idSlack)), idAt(start.Add(time.Hour+idSlack))
	for {
		calls, err := callsWhere(w.ctx, w.tx, fmt.Sprintf("id > ? AND id < ? AND start >= ? AND start < ? ORDER BY id LIMIT %d", pageSize),
			cursor, end, h, h+hourMicros)
		if err != nil {
			return false, err
		}
		for _, c := range calls {
			w.costs.add(c, jsonMap(c.Tags), 1)
			cursor = c.ID
		}
		if len(calls) < pageSize {
			break
		}
	}
	have, err := costRows(w.ctx, w.tx, "hour", "costs_hourly WHERE hour = ?", h)
	if err != nil {
		return false, err
	}
	if !sameSums(have, w.costs.sums) {
		wrong = true
		if _, err := w.tx.ExecContext(w.ctx, `DELETE FROM costs_hourly WHERE hour = ?`, h); err != nil {
			return false, err
		}
		for k, s := range w.costs.sums {
			if err := putCosts(w.ctx, w.costs.hour, k, s); err != nil {
				return false, err
			}
		}
	}
	clear(w.costs.sums)
	moved, err := w.rebuildDay(h - h%dayMicros)
	return wrong || moved, err
}

// rebuildDay makes a day's rows of its hours', if they are wrong.
func (w *writer) rebuildDay(d int64) (wrong bool, err error) {
	hours, err := costRows(w.ctx, w.tx, "hour", "costs_hourly WHERE hour >= ? AND hour < ?", d, d+dayMicros)
	if err != nil {
		return false, err
	}
	want := make(map[costKey]*costSum, len(hours))
	for k, s := range hours {
		if have := want[k.daily()]; have != nil {
			have.add(s)
			continue
		}
		want[k.daily()] = s
	}
	have, err := costRows(w.ctx, w.tx, "day", "costs_daily WHERE day = ?", d)
	if err != nil || sameSums(have, want) {
		return false, err
	}
	if _, err := w.tx.ExecContext(w.ctx, `DELETE FROM costs_daily WHERE day = ?`, d); err != nil {
		return false, err
	}
	for k, s := range want {
		if err := putCosts(w.ctx, w.costs.day, k, s); err != nil {
			return false, err
		}
	}
	return true, nil
}

func sameSums(a, b map[costKey]*costSum) bool {
	if len(a) != len(b) {
		return false
	}
	for k, s := range a {
		if o := b[k]; o == nil || *o != *s {
			return false
		}
	}
	return true
}

// costRows reads rows of a rollup; hour is the day in the daily one.
func costRows(ctx context.Context, tx *sql.Tx, column, from string, args ...any) (out map[costKey]*costSum, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT "+column+", "+costKeys+", "+costFigures+" FROM "+from, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out = map[costKey]*costSum{}
	for rows.Next() {
		var k costKey
		s := &costSum{}
		into := []any{&k.hour, &k.project, &k.key, &k.customer, &k.feature, &k.provider, &k.model, &k.prompt, &k.tags, &k.source}
		for i := range s {
			into = append(into, &s[i])
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		out[k] = s
	}
	return out, rows.Err()
}
