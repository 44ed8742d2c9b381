package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/sqldb"
)

// Calls reads calls back: from the store and, newer than that, from the part
// of the spool that is not shipped yet. It works beside a running server and
// without one.
type Calls struct {
	db    *sqldb.DB
	spool string
}

// NewCalls returns the calls of a store. spoolDir may be empty or missing:
// then only the store is read.
func NewCalls(db *sqldb.DB, spoolDir string) *Calls { return &Calls{db, spoolDir} }

// A Filter says which calls are meant. Zero fields do not restrict.
type Filter struct {
	Since, Until time.Time // of a call's start, by the millisecond; Until is exclusive
	Project      string    // id, or name (see Resolve)
	Key          string    // id, or name (see Resolve)
	Customer     string
	Feature      string
	Session      string
	Provider     string
	Model        string // as asked of the provider
	Route        string
	API          string
	Outcome      Outcome
	TriedAt      string            // the provider of any of its attempts
	TriedModel   string            // the model of any of its attempts, of the same one where TriedAt is given, too
	CostSource   CostSource        // of any of its attempts, of the same one where TriedAt or TriedModel are given
	Wasted       bool              // only those with an attempt whose output reached no client whole
	Cached       bool              // only those with an attempt of which input was read from a vendor's cache, or written to it
	StatusMin    int               // HTTP status, inclusive
	StatusMax    int               // HTTP status, inclusive; 0: none
	Tags         map[string]string // an empty value: the tag is there, whatever it is
	AllTags      string            // just these, as the tags of Costs are written; LongTags: those that are too long to group by
	Without      []string          // names of what it has none of: customer, feature, project, key, session, tags, tag:NAME; provider, model and source: of one attempt
}

// A Query is a filter and how much of what it finds is wanted. Rows come the
// newest first.
type Query struct {
	Filter
	Before   string // only calls older than this id: the last one of the page before
	Limit    int    // 0: all
	Attempts bool   // fill in the attempts
}

// ErrNoSuchCall says that neither store nor spool has a call of that id.
var ErrNoSuchCall = errors.New("no such call")

// ErrNoSuchProject says that no project has the name.
var ErrNoSuchProject = errors.New("no such project")

// pageSize is how many rows one statement reads, so that none runs long.
const pageSize = 1000

// List returns the calls of a query. Give it a limit; Each is for all of them.
func (q *Calls) List(ctx context.Context, query Query) ([]*Call, error) {
	var out []*Call
	err := q.Each(ctx, query, func(c *Call) error {
		out = append(out, c)
		return nil
	})
	return out, err
}

// Each hands the calls of a query to f, page by page. An error of f ends it.
func (q *Calls) Each(ctx context.Context, query Query, f func(*Call) error) error {
	// The spool first: what is shipped between the two readings is seen by both.
	tail, err := q.unshipped(ctx, query)
	if err != nil {
		return err
	}
	left := query.Limit
	send := func(c *Call) (done bool, err error) {
		if err := f(c); err != nil {
			return true, err
		}
		left--
		return left == 0, nil // a limit of 0 has gone below
	}
	for cursor := query.Before; ; {
		page, err := q.page(ctx, query, cursor, left)
		if err != nil {
			return err
		}
		for _, c := range page {
			for len(tail) > 0 && tail[0].ID >= c.ID {
				if tail[0].ID > c.ID {
					if done, err := send(tail[0]); done || err != nil {
						return err
					}
				}
				tail = tail[1:]
			}
			if done, err := send(c); done || err != nil {
				return err
			}
			cursor = c.ID
		}
		if len(page) > 0 {
			continue
		}
		for _, c := range tail {
			if done, err := send(c); done || err != nil {
				return err
			}
		}
		return nil
	}
}

// page reads the next rows of the store behind a cursor.
func (q *Calls) page(ctx context.Context, query Query, cursor string, left int) ([]*Call, error) {
	n := pageSize
	if left > 0 {
		n = min(n, left)
	}
	text, args := query.statement(cursor, n)
	rows, err := q.db.Reader().QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("list calls: %w", err)
	}
	page, err := scanCalls(rows)
	if err != nil {
		return nil, fmt.Errorf("list calls: %w", err)
	}
	if query.Attempts {
		err = addAttempts(ctx, q.db.Reader(), page)
	}
	if err == nil {
		err = adjust(ctx, q.db.Reader(), page)
	}
	return page, err
}

// Get returns a call with its attempts.
func (q *Calls) Get(ctx context.Context, id string) (*Call, error) {
	tail, err := q.unshipped(ctx, Query{Attempts: true}, id)
	if err != nil {
		return nil, err
	}
	rows, err := q.db.Reader().QueryContext(ctx, `SELECT `+callColumns+` FROM calls WHERE id = ?`, id)
	if err != nil {
		return nil, fmt.Errorf("read call: %w", err)
	}
	found, err := scanCalls(rows)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read call: %w", err)
	case len(found) == 1:
		err := addAttempts(ctx, q.db.Reader(), found)
		if err == nil {
			err = adjust(ctx, q.db.Reader(), found)
		}
		return found[0], err
	case len(tail) > 0:
		return tail[0], nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNoSuchCall, id)
}

// Bodies returns what a call carried, or nil where that was not kept.
func (q *Calls) Bodies(ctx context.Context, id string) (*Bodies, error) {
	tail, err := q.unshippedBodies(ctx, id)
	if err != nil || tail != nil {
		return tail, err
	}
	b := &Bodies{CallID: id}
	var at int64
	err = q.db.Reader().QueryRowContext(ctx, `SELECT at, request, response, truncated FROM bodies WHERE call_id = ?`, id).
		Scan(&at, &b.Request, &b.Response, &b.Truncated)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read bodies: %w", err)
	}
	b.At = fromMicros(at)
	return b, nil
}

// Resolve replaces the names of a key and a project by their ids.
func (q *Calls) Resolve(ctx context.Context, f Filter) (Filter, error) {
	if f.Key != "" && !strings.HasPrefix(f.Key, "key_") {
		ids, err := q.ids(ctx, `SELECT id FROM keys WHERE name = ?`, f.Key)
		switch {
		case err != nil:
			return f, fmt.Errorf("find key: %w", err)
		case len(ids) == 0:
			return f, fmt.Errorf("%w: %s", ErrNoSuchKey, f.Key)
		case len(ids) > 1:
			return f, fmt.Errorf("%w: %s; their ids are %s", ErrKeyAmbiguous, f.Key, strings.Join(ids, ", "))
		}
		f.Key = ids[0]
	}
	if f.Project != "" && !strings.HasPrefix(f.Project, "proj_") {
		ids, err := q.ids(ctx, `SELECT id FROM projects WHERE name = ?`, f.Project)
		switch {
		case err != nil:
			return f, fmt.Errorf("find project: %w", err)
		case len(ids) == 0:
			return f, fmt.Errorf("%w: %s", ErrNoSuchProject, f.Project)
		}
		f.Project = ids[0]
	}
	return f, nil
}

func (q *Calls) ids(ctx context.Context, text, name string) (out []string, err error) {
	rows, err := q.db.Reader().QueryContext(ctx, text, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

const callColumns = `id, start, project_id, key_id, customer, feature, session, user, tags, metadata, user_agent, trace_id, dialect, api,
	method, path, asked_model, route, stream, provider, model, served_model, status, outcome, error_class, stop_reason, usage,
	usage_source, queue, ttft, total, bytes_in, bytes_out, dropped, attempts, cost_source, cost_nano, cost_atto`

// idAt is below the id of every call that began at that millisecond or later,
// and above all earlier ones.
func idAt(t time.Time) string { return fmt.Sprintf("call_%012x", max(t.UnixMilli(), 0)) }

// statement is the SQL of a page. Conditions on partial indexes say that the
// column is not empty, or SQLite could not use them.
func (query *Query) statement(cursor string, n int) (string, []any) {
	var where []string
	var args []any
	and := func(cond string, values ...any) {
		where, args = append(where, cond), append(args, values...)
	}
	if cursor != "" {
		and("id < ?", cursor)
	}
	if !query.Since.IsZero() {
		and("id >= ?", idAt(query.Since))
	}
	if !query.Until.IsZero() {
		and("id < ?", idAt(query.Until))
	}
	equal := func(column, value string) {
		if value != "" {
			and(column+" = ? AND "+column+" <> ''", value)
		}
	}
	equal("project_id", query.Project)
	equal("key_id", query.Key)
	equal("customer", query.Customer)
	equal("feature", query.Feature)
	equal("session", query.Session)
	equal("provider", query.Provider)
	equal("model", query.Model)
	equal("route", query.Route)
	equal("api", query.API)
	query.without(and)
	if cond, values := query.tried(); cond != "" {
		and(cond, values...)
	}
	if query.Wasted {
		and("(attempts > 1 OR attempts = 1 AND outcome <> 'ok' OR outcome = 'interrupted')")
	}
	if query.Cached {
		and(`EXISTS (SELECT 1 FROM attempts AS a, json_each(iif(a.usage = '', '{}', a.usage)) AS u
			WHERE a.call_id = calls.id AND u.key LIKE 'input_cache%' AND u.value > 0)`)
	}
	query.ended(and)
	for name, value := range query.Tags {
		and("tags <> '' AND EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND (? = '' OR value = ?))", name, value, value)
	}
	text := "SELECT " + callColumns + " FROM calls"
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	return text + " ORDER BY id DESC LIMIT ?", append(args, n)
}

// ended adds the conditions on how calls ended.
func (f *Filter) ended(and func(cond string, values ...any)) {
	if f.Outcome != "" {
		and("outcome = ?", string(f.Outcome))
	}
	if f.Outcome != "" && f.Outcome != OK || f.StatusMin >= 400 {
		and("outcome <> 'ok'") // a reply below 400 that is whole is always ok
	}
	if f.StatusMin > 0 {
		and("status >= ?", f.StatusMin)
	}
	if f.StatusMax > 0 {
		and("status <= ?", f.StatusMax)
	}
}

// isCached reports whether a vendor's cache had a part in an attempt.
func isCached(a Attempt) bool {
	_, cached, _ := a.cacheSaving()
	return cached
}

// Match reports whether a call passes a filter whose names are resolved.
func (f *Filter) Match(c *Call) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	if !is(f.Project, c.ProjectID) || !is(f.Key, c.KeyID) || !is(f.Customer, c.Customer) || !is(f.Feature, c.Feature) ||
		!is(f.Session, c.Session) || !is(f.Provider, c.Provider) || !is(f.Model, c.Model) || !is(f.Route, c.Route) ||
		!is(f.API, c.API) || !is(string(f.Outcome), string(c.Outcome)) {
		return false
	}
	if !f.matchTried(c) || !f.matchWithout(c) || f.Cached && !slices.ContainsFunc(c.Attempts, isCached) || f.Wasted && c.Outcome != Interrupted && (len(c.Attempts) == 0 || !c.wasted(0)) {
		return false
	}
	if !f.Since.IsZero() && c.ID < idAt(f.Since) || !f.Until.IsZero() && c.ID >= idAt(f.Until) {
		return false
	}
	if c.Status < f.StatusMin || f.StatusMax > 0 && c.Status > f.StatusMax || f.StatusMin >= 400 && c.Outcome == OK {
		return false
	}
	for name, want := range f.Tags {
		if got, there := c.Tags[name]; !there || !is(want, got) {
			return false
		}
	}
	return true
}

func scanCalls(rows *sql.Rows) (out []*Call, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c := &Call{}
		var start int64
		var tags, metadata, usage, dropped string
		var nano, atto *int64
		err := rows.Scan(&c.ID, &start, &c.ProjectID, &c.KeyID, &c.Customer, &c.Feature, &c.Session, &c.User, &tags, &metadata,
			&c.UserAgent, &c.TraceID, &c.Dialect, &c.API, &c.Method, &c.Path, &c.AskedModel, &c.Route, &c.Stream, &c.Provider, &c.Model,
			&c.ServedModel, &c.Status, &c.Outcome, &c.ErrorClass, &c.StopReason, &usage, &c.UsageSource, &c.Queue, &c.TTFT, &c.Total,
			&c.BytesIn, &c.BytesOut, &dropped, &c.AttemptCount, &c.CostSource, &nano, &atto)
		if err != nil {
			return nil, err
		}
		c.Start = time.UnixMicro(start).UTC()
		c.Cost = amountOf(nano, atto)
		if c.CostSource == CostUnpriced && c.UsageSource == "" && c.Outcome != Interrupted {
			c.CostSource = "" // a row from before there were costs
		}
		if dropped != "" {
			c.Dropped = strings.Split(dropped, ",")
		}
		if err := errors.Join(readJSON(tags, &c.Tags), readJSON(metadata, &c.Metadata), readJSON(usage, &c.Usage)); err != nil {
			return nil, fmt.Errorf("call %s: %w", c.ID, err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// addAttempts fills in the attempts of calls that were read from the store.
func addAttempts(ctx context.Context, from reader, calls []*Call) (err error) {
	byID := make(map[string]*Call, len(calls))
	ids := make([]string, len(calls))
	for i, c := range calls {
		byID[c.ID], ids[i] = c, c.ID
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return fmt.Errorf("list attempts: %w", err)
	}
	rows, err := from.QueryContext(ctx, `SELECT call_id, n, provider, model, start, ttft, total, status, error_class, stop_reason,
		served_model, service_tier, request_id, usage, usage_source, raw_usage, api, cost_source, cost_nano, cost_atto, charge, inconsistent FROM attempts
		WHERE call_id IN (SELECT value FROM json_each(?)) ORDER BY call_id, n`, string(list))
	if err != nil {
		return fmt.Errorf("list attempts: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var a Attempt
		var id, usage, raw, charge string
		var nano, atto *int64
		err := rows.Scan(&id, &a.N, &a.Provider, &a.Model, &a.Start, &a.TTFT, &a.Total, &a.Status, &a.ErrorClass, &a.StopReason,
			&a.ServedModel, &a.ServiceTier, &a.RequestID, &usage, &a.UsageSource, &raw, &a.API, &a.CostSource, &nano, &atto, &charge, &a.Inconsistent)
		if err != nil {
			return fmt.Errorf("read attempt: %w", err)
		}
		if err := readJSON(usage, &a.Usage); err != nil {
			return fmt.Errorf("read attempt of call %s: %w", id, err)
		}
		if a.Charge, err = chargeOf(a.CostSource, amountOf(nano, atto), charge, a.UsageSource); err != nil {
			return fmt.Errorf("read attempt of call %s: %w", id, err)
		}
		if raw != "" {
			a.RawUsage = RawJSON(raw)
		}
		c := byID[id]
		a.Wasted = a.N < c.AttemptCount || c.Outcome != OK
		c.Attempts = append(c.Attempts, a)
	}
	return rows.Err()
}

// newestFirst sorts calls and leaves out all but the first of an id, which is
// the one that stands. limit 0 keeps all.
func newestFirst(calls []*Call, limit int) []*Call {
	slices.SortStableFunc(calls, func(a, b *Call) int { return cmp.Compare(b.ID, a.ID) })
	calls = slices.CompactFunc(calls, func(a, b *Call) bool { return a.ID == b.ID })
	if limit > 0 && len(calls) > limit {
		clear(calls[limit:])
		calls = calls[:limit]
	}
	return calls
}
