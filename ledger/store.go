package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"weir/costs"
	"weir/internal/sqldb"
)

const insertCall = `INSERT INTO calls (id, start, project_id, key_id, customer, feature, session, user, tags, metadata,
	user_agent, trace_id, dialect, api, method, path, asked_model, route, stream, provider, model, served_model, status, outcome,
	error_class, stop_reason, usage, usage_source, queue, ttft, total, bytes_in, bytes_out, dropped, attempts,
	cost_source, cost_nano, cost_atto) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
	ON CONFLICT (id) DO NOTHING`

const insertAttempt = `INSERT INTO attempts (call_id, n, provider, model, start, ttft, total, status, error_class, stop_reason,
	served_model, service_tier, request_id, usage, usage_source, raw_usage, api,
	cost_source, cost_nano, cost_atto, charge, inconsistent) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`

const upsertHour = `INSERT INTO calls_hourly (hour, project_id, key_id, customer, feature, provider, model, route, api, outcome, usage_source,
	calls, attempts, input, cache_read, output, reasoning, total) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
	ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, attempts = attempts + excluded.attempts, input = input + excluded.input,
	cache_read = cache_read + excluded.cache_read, output = output + excluded.output, reasoning = reasoning + excluded.reasoning,
	total = total + excluded.total`

// A rowStore writes batches, by statements that are prepared once. The zero
// statements are prepared at first use.
type rowStore struct {
	db                  *sqldb.DB
	call, attempt, hour *sql.Stmt
	costHour, costDay   *sql.Stmt
}

func (s *rowStore) prepare(ctx context.Context) error {
	for _, p := range []struct {
		to   **sql.Stmt
		text string
	}{{&s.call, insertCall}, {&s.attempt, insertAttempt}, {&s.hour, upsertHour}, {&s.costHour, upsertCostHour}, {&s.costDay, upsertCostDay}} {
		if *p.to != nil {
			continue
		}
		stmt, err := s.db.Prepare(ctx, p.text)
		if err != nil {
			return err
		}
		*p.to = stmt
	}
	return nil
}

func (s *rowStore) close() error {
	var err error
	for _, stmt := range []*sql.Stmt{s.call, s.attempt, s.hour, s.costHour, s.costDay} {
		if stmt != nil {
			err = errors.Join(err, stmt.Close())
		}
	}
	return err
}

// write stores rows, their hours and the new position in one transaction, so
// that no death in between can count a row twice. It returns the calls that
// were not in the store yet.
func (s *rowStore) write(ctx context.Context, b batch) (fresh []*Call, err error) {
	err = s.transact(ctx, func(w *writer) error {
		for _, c := range b.calls {
			if err := w.call(c); err != nil {
				return err
			}
		}
		for _, bodies := range b.bodies {
			if err := w.bodies(bodies); err != nil {
				return err
			}
		}
		for _, step := range b.kept {
			if err := w.kept(step); err != nil {
				return err
			}
		}
		fresh = w.fresh
		return w.finish(b)
	})
	return fresh, err
}

// writeApart stores a batch in one transaction, each row behind a savepoint,
// and hands those that the store refuses to aside, as records, before it commits.
func (s *rowStore) writeApart(ctx context.Context, b batch, aside func(rec []byte) error) (fresh []*Call, rejected int, err error) {
	err = s.transact(ctx, func(w *writer) error {
		rejected = 0
		refuse := func(kind recordKind, payload []byte) error {
			rejected++
			rec := append(b.spool.begin(nil, kind), payload...)
			seal(rec)
			return aside(rec)
		}
		for _, c := range b.calls {
			refused, err := w.apart(func() error { return errors.Join(w.call(c), w.finishHours()) })
			if refused {
				err = refuse(recClosed, appendCall(nil, c))
			}
			if err != nil {
				return err
			}
		}
		for _, bodies := range b.bodies {
			refused, err := w.apart(func() error { return w.bodies(bodies) })
			if refused {
				err = refuse(recBodies, appendBodies(nil, bodies))
			}
			if err != nil {
				return err
			}
		}
		for _, step := range b.kept {
			refused, err := w.apart(func() error { return w.kept(step) })
			if refused {
				err = refuse(recKept, appendKept(nil, step.r))
			}
			if err != nil {
				return err
			}
		}
		fresh = w.fresh
		return w.finish(b)
	})
	return fresh, rejected, err
}

func (s *rowStore) transact(ctx context.Context, f func(w *writer) error) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		return f(&writer{
			ctx: ctx, tx: tx, hours: map[hourKey]*hour{},
			calls: tx.StmtContext(ctx, s.call), trials: tx.StmtContext(ctx, s.attempt), byHour: tx.StmtContext(ctx, s.hour),
			costs: costWriter{hour: tx.StmtContext(ctx, s.costHour), day: tx.StmtContext(ctx, s.costDay), sums: map[costKey]*costSum{}},
		})
	})
}

// A writer stores rows in one transaction.
type writer struct {
	ctx                   context.Context
	tx                    *sql.Tx
	calls, trials, byHour *sql.Stmt
	fresh                 []*Call // that the store did not have
	hours                 map[hourKey]*hour
	costs                 costWriter
}

// apart does f behind a savepoint. refused says that the store would not take
// the row for what it holds; then nothing of it is left.
func (w *writer) apart(f func() error) (refused bool, err error) {
	if _, err := w.tx.ExecContext(w.ctx, "SAVEPOINT one"); err != nil {
		return false, err
	}
	n := len(w.fresh)
	if err = f(); err == nil {
		_, err = w.tx.ExecContext(w.ctx, "RELEASE one")
		return false, err
	}
	if !sqldb.IsRowFault(err) {
		return false, err
	}
	w.fresh = w.fresh[:n]
	clear(w.hours)
	clear(w.costs.sums)
	_, err = w.tx.ExecContext(w.ctx, "ROLLBACK TO one; RELEASE one")
	return err == nil, err
}

type hourKey struct {
	hour                                                                          int64
	project, key, customer, feature, provider, model, route, api, outcome, source string
}

type hour struct{ calls, attempts, input, cacheRead, output, reasoning, total int64 }

// call stores a call, unless it is there already.
func (w *writer) call(c *Call) error {
	c.settle()
	nano, atto := c.Cost.parts()
	tags := jsonMap(c.Tags)
	res, err := w.calls.ExecContext(w.ctx, c.ID, c.Start.UnixMicro(), c.ProjectID, c.KeyID, c.Customer, c.Feature, c.Session,
		c.User, tags, jsonMap(c.Metadata), c.UserAgent, c.TraceID, c.Dialect, c.API, c.Method, c.Path, c.AskedModel,
		c.Route, c.Stream, c.Provider, c.Model, c.ServedModel, c.Status, string(c.Outcome), c.ErrorClass, c.StopReason,
		usageText(c.Usage), string(c.UsageSource), int64(c.Queue), int64(c.TTFT), int64(c.Total), c.BytesIn, c.BytesOut,
		strings.Join(c.Dropped, ","), len(c.Attempts), string(c.CostSource), nano, atto)
	if err != nil {
		return fmt.Errorf("insert call: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	for i := range c.Attempts {
		a := &c.Attempts[i]
		nano, atto := a.Cost.parts()
		_, err := w.trials.ExecContext(w.ctx, c.ID, a.N, a.Provider, a.Model, int64(a.Start), int64(a.TTFT), int64(a.Total), a.Status,
			a.ErrorClass, a.StopReason, a.ServedModel, a.ServiceTier, a.RequestID, usageText(a.Usage), string(a.UsageSource), string(a.RawUsage), a.API,
			string(a.CostSource), nano, atto, a.text(), a.Inconsistent)
		if err != nil {
			return fmt.Errorf("insert attempt: %w", err)
		}
	}
	w.fresh = append(w.fresh, c)
	w.addHour(c)
	w.costs.add(c, tags, 1)
	return nil
}

func (w *writer) addHour(c *Call) {
	k := hourKey{
		c.Start.Truncate(time.Hour).UnixMicro(), c.ProjectID, c.KeyID, c.Customer, c.Feature, c.Provider, c.Model, c.Route, c.API,
		string(c.Outcome), string(c.UsageSource),
	}
	h := w.hours[k]
	if h == nil {
		h = &hour{}
		w.hours[k] = h
	}
	in, _ := c.Usage.Input()
	out, _ := c.Usage.Output()
	read, _ := c.Usage.Get(costs.InputCacheRead)
	thought, _ := c.Usage.Get(costs.OutputReasoning)
	h.calls++
	h.attempts += int64(len(c.Attempts))
	h.input = addUp(h.input, in)
	h.cacheRead = addUp(h.cacheRead, read)
	h.output = addUp(h.output, out)
	h.reasoning = addUp(h.reasoning, thought)
	h.total = addUp(h.total, int64(c.Total))
}

// addUp adds without wrapping around: what an upstream says is not to be
// trusted. SQLite refuses a sum that is too large, so that the row shows up
// among the rejected.
func addUp(a, b int64) int64 {
	if sum := a + b; b <= 0 || sum > a {
		return sum
	}
	return math.MaxInt64
}

func (w *writer) bodies(b *Bodies) error {
	_, err := w.tx.ExecContext(w.ctx, `INSERT OR REPLACE INTO bodies (call_id, at, request, response, truncated) VALUES (?,?,?,?,?)`,
		b.CallID, b.At.UnixMicro(), b.Request, b.Response, b.Truncated)
	if err != nil {
		return fmt.Errorf("insert bodies: %w", err)
	}
	return nil
}

// finish stores the hours and the position.
func (w *writer) finish(b batch) error {
	if err := w.finishHours(); err != nil {
		return err
	}
	_, err := w.tx.ExecContext(w.ctx, `INSERT INTO spool_position (spool, segment, offset) VALUES (?, ?, ?)
		ON CONFLICT (spool) DO UPDATE SET segment = excluded.segment, offset = excluded.offset`, b.spool.String(), b.end.segment, b.end.offset)
	if err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	return nil
}

func (w *writer) finishHours() error {
	for k, h := range w.hours {
		_, err := w.byHour.ExecContext(w.ctx, k.hour, k.project, k.key, k.customer, k.feature, k.provider, k.model, k.route, k.api,
			k.outcome, k.source, h.calls, h.attempts, h.input, h.cacheRead, h.output, h.reasoning, h.total)
		if err != nil {
			return fmt.Errorf("add to an hour: %w", err)
		}
	}
	clear(w.hours)
	return w.costs.write(w.ctx)
}

func readPosition(ctx context.Context, db *sqldb.DB, id spoolID) (p position, err error) {
	err = db.Reader().QueryRowContext(ctx, `SELECT segment, offset FROM spool_position WHERE spool = ?`, id.String()).Scan(&p.segment, &p.offset)
	if errors.Is(err, sql.ErrNoRows) {
		return position{}, nil
	}
	if err != nil {
		return p, fmt.Errorf("read position: %w", err)
	}
	return p, nil
}

func jsonMap(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	b, err := json.Marshal(m)
	if err != nil { // a map of strings always can be
		return ""
	}
	return string(b)
}

func usageText(u costs.Usage) string {
	if u.IsZero() {
		return ""
	}
	return string(u.AppendJSON(nil))
}
