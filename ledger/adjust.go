package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weir/costs"
	"weir/internal/sqldb"
)

// A reader is a store or a transaction in it.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// An Adjustment is later knowledge of what an attempt cost. The last one counts.
type Adjustment struct {
	Seq    int       `json:"seq"` // 1, 2, … of its attempt
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	From   Amount    `json:"from_usd,omitzero"` // unknown: it was unpriced

	FromSource CostSource `json:"from_source"`
	Charge
}

// adjust puts the adjustments of calls over the attempts that are loaded. The
// amounts of calls whose attempts are not loaded are adjusted all the same.
func adjust(ctx context.Context, from reader, calls []*Call) error {
	ids := make([]string, len(calls))
	byID := make(map[string]*Call, len(calls))
	for i, c := range calls {
		ids[i], byID[c.ID] = c.ID, c
	}
	found, err := adjustments(ctx, from, ids)
	if err != nil || len(found) == 0 {
		return err
	}
	var bare []*Call
	for id := range found {
		if c := byID[id]; len(c.Attempts) == 0 {
			bare = append(bare, c)
		}
	}
	if err := addAttempts(ctx, from, bare); err != nil {
		return err
	}
	for id, list := range found {
		c := byID[id]
		for i := range c.Attempts {
			a := &c.Attempts[i]
			if a.Adjustments = list[a.N]; len(a.Adjustments) > 0 {
				a.Charge = a.Adjustments[len(a.Adjustments)-1].Charge
			}
		}
		c.settle()
	}
	for _, c := range bare {
		c.Attempts = nil
	}
	return nil
}

// adjustments are those of calls, by call and attempt, in order.
func adjustments(ctx context.Context, from reader, ids []string) (out map[string]map[int][]Adjustment, err error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("list adjustments: %w", err)
	}
	rows, err := from.QueryContext(ctx, `SELECT call_id, n, seq, at, from_source, from_nano, from_atto, cost_source, cost_nano, cost_atto,
		charge, reason FROM cost_adjustments WHERE call_id IN (SELECT value FROM json_each(?)) ORDER BY call_id, n, seq`, string(list))
	if err != nil {
		return nil, fmt.Errorf("list adjustments: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var d Adjustment
		var id, text string
		var n int
		var at int64
		var source CostSource
		var was, is [2]*int64
		if err := rows.Scan(&id, &n, &d.Seq, &at, &d.FromSource, &was[0], &was[1], &source, &is[0], &is[1], &text, &d.Reason); err != nil {
			return nil, fmt.Errorf("read adjustment: %w", err)
		}
		if d.Charge, err = chargeOf(source, amountOf(is[0], is[1]), text, FromProvider); err != nil {
			return nil, fmt.Errorf("read adjustment of call %s: %w", id, err)
		}
		d.At, d.From = fromMicros(at), amountOf(was[0], was[1])
		if out == nil {
			out = map[string]map[int][]Adjustment{}
		}
		if out[id] == nil {
			out[id] = map[int][]Adjustment{}
		}
		out[id][n] = append(out[id][n], d)
	}
	return out, rows.Err()
}

// A Repricing says what is to be priced anew, and how.
type Repricing struct {
	Since, Until time.Time // of calls' starts; zero: no bound
	All          bool      // what has a price, too; else only what is unpriced
	DryRun       bool      // nothing is written
	Reason       string    // stands in the adjustments
	// Price is what an attempt costs as far as is known now.
	Price    func(c *Call, a *Attempt) Charge
	Progress func(calls int64) // told after each page; may be nil
}

// Repriced says what a repricing did, or would do.
type Repriced struct {
	Calls    int64       `json:"calls"`    // that were looked at
	Adjusted int64       `json:"adjusted"` // attempts
	Unpriced int64       `json:"unpriced"` // attempts that still are
	Delta    costs.Money `json:"delta_usd"`
}

// Reprice prices attempts anew and writes an adjustment for each that turns
// out otherwise, with the rollups, a page of calls in a transaction. What the
// provider charged stays, and so does a known cost for which there is no price
// any more, or only a guess. A second run finds nothing to do.
func Reprice(ctx context.Context, db *sqldb.DB, o Repricing) (out Repriced, err error) {
	rows := rowStore{db: db}
	defer func() { err = errors.Join(err, rows.close()) }()
	for cursor := ""; ; {
		var page Repriced
		next := ""
		work := func(from reader, w *writer) (err error) {
			page = Repriced{}
			next, err = o.page(ctx, from, w, cursor, &page)
			return err
		}
		if o.DryRun {
			err = work(db.Reader(), nil)
		} else {
			err = rows.transact(ctx, func(w *writer) error { return work(w.tx, w) })
		}
		if err != nil {
			return out, fmt.Errorf("reprice: %w", err)
		}
		out.Calls += page.Calls
		out.Adjusted += page.Adjusted
		out.Unpriced += page.Unpriced
		out.Delta = out.Delta.Add(page.Delta)
		if o.Progress != nil {
			o.Progress(out.Calls)
		}
		if next == "" {
			return out, nil
		}
		cursor = next
	}
}

// page reprices the calls behind a cursor; next is empty at the end.
func (o *Repricing) page(ctx context.Context, from reader, w *writer, cursor string, out *Repriced) (next string, err error) {
	where, args := "id > ?", []any{max(cursor, idAt(o.Since))}
	if !o.Until.IsZero() {
		where, args = where+" AND id < ?", append(args, idAt(o.Until))
	}
	if !o.All {
		where += " AND cost_source = 'unpriced'"
	}
	calls, err := callsWhere(ctx, from, where+fmt.Sprintf(" ORDER BY id LIMIT %d", pageSize), args...)
	if err != nil {
		return "", err
	}
	for _, c := range calls {
		out.Calls++
		if err := o.call(ctx, w, c, out); err != nil {
			return "", err
		}
	}
	if w != nil {
		if err := w.costs.replace(ctx, w.tx); err != nil {
			return "", err
		}
	}
	if len(calls) < pageSize {
		return "", nil
	}
	return calls[len(calls)-1].ID, nil
}

// callsWhere reads calls with their attempts as they are adjusted.
func callsWhere(ctx context.Context, from reader, where string, args ...any) ([]*Call, error) {
	rows, err := from.QueryContext(ctx, "SELECT "+callColumns+" FROM calls WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read calls: %w", err)
	}
	calls, err := scanCalls(rows)
	if err != nil {
		return nil, fmt.Errorf("read calls: %w", err)
	}
	if err := addAttempts(ctx, from, calls); err != nil {
		return nil, err
	}
	if err := adjust(ctx, from, calls); err != nil {
		return nil, err
	}
	return calls, nil
}

// call reprices the attempts of one call.
func (o *Repricing) call(ctx context.Context, w *writer, c *Call, out *Repriced) error {
	tags := jsonMap(c.Tags)
	changed := false
	for i := range c.Attempts {
		a := &c.Attempts[i]
		if a.CostSource == "" || a.Charged.Known || !o.All && a.CostSource != CostUnpriced {
			continue
		}
		now := o.Price(c, a)
		if now.CostSource == CostUnpriced && a.CostSource == CostUnpriced {
			out.Unpriced++
			continue
		}
		if now.CostSource == CostUnpriced || now.CostSource == a.CostSource && now.Cost == a.Cost && now.List == a.List {
			continue
		}
		if now.CostSource == CostEstimated && a.CostSource == CostComputed {
			continue // a batch, whose requests were charged one by one
		}
		if !changed && w != nil {
			w.costs.add(c, tags, -1)
		}
		changed = true
		out.Adjusted++
		out.Delta = out.Delta.Add(now.Cost.Sub(a.Cost.Money))
		if w != nil {
			if err := w.adjustment(ctx, c, a, &now, o.Reason); err != nil {
				return err
			}
		}
		a.Charge = now
	}
	if changed && w != nil {
		w.costs.add(c, tags, 1)
	}
	return nil
}

func (w *writer) adjustment(ctx context.Context, c *Call, a *Attempt, now *Charge, reason string) error {
	wasNano, wasAtto := a.Cost.parts()
	nano, atto := now.Cost.parts()
	_, err := w.tx.ExecContext(ctx, `INSERT INTO cost_adjustments (call_id, n, seq, at, from_source, from_nano, from_atto, cost_source,
		cost_nano, cost_atto, charge, reason) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`, c.ID, a.N, len(a.Adjustments)+1, time.Now().UnixMicro(),
		string(a.CostSource), wasNano, wasAtto, string(now.CostSource), nano, atto, now.text(), reason)
	if err != nil {
		return fmt.Errorf("insert adjustment: %w", err)
	}
	return nil
}

// replace stores what was taken out and added, and drops rows in which nothing is left.
func (w *costWriter) replace(ctx context.Context, tx *sql.Tx) error {
	hours, days := map[int64]bool{}, map[int64]bool{}
	for k := range w.sums {
		hours[k.hour], days[k.daily().hour] = true, true
	}
	if err := w.write(ctx); err != nil {
		return err
	}
	for table, starts := range map[string]map[int64]bool{"costs_hourly WHERE hour": hours, "costs_daily WHERE day": days} {
		for start := range starts {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" = ? AND calls = 0 AND attempts = 0", start); err != nil {
				return fmt.Errorf("drop empty costs: %w", err)
			}
		}
	}
	return nil
}

// Import stores calls that no server has recorded, with their attempts, money
// and rollups, as the shipper does: a call whose id is there already is left
// out. It takes them in batches of a transaction each.
func Import(ctx context.Context, db *sqldb.DB, calls []*Call) (err error) {
	rows := rowStore{db: db}
	defer func() { err = errors.Join(err, rows.close()) }()
	for len(calls) > 0 {
		n := min(len(calls), batchCalls)
		err := rows.transact(ctx, func(w *writer) error {
			for _, c := range calls[:n] {
				if err := w.call(c); err != nil {
					return err
				}
			}
			return w.finishHours()
		})
		if err != nil {
			return fmt.Errorf("import calls: %w", err)
		}
		calls = calls[n:]
	}
	return nil
}
