package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/costs"
)

// A SpentQuery asks what was spent in a period by each value of a scope.
type SpentQuery struct {
	Since, Until time.Time // [Since, Until) of calls' starts, exact to the microsecond; zero: no bound

	Scope   string  // global, project, key, customer, feature, user, session, tag, model, provider, target
	Tag     string  // the tag's name, for the scope tag
	Project *string // only calls of the project of this id, "" being those without one; nil: all
	Value   string  // only this value; empty: all
	Limit   int     // values, the dearest first; 0: MaxSpent, which also bounds larger ones
}

// MaxSpent bounds how many values Spent returns: cheaper ones are left out.
const MaxSpent = 100_000

// Spent is what was spent by one value of a scope.
type Spent struct {
	Project  string // the id of whose the value is; empty: of none, or of all (global, model, provider, target)
	Value    string // empty for the scope global
	Cost     costs.Money
	Unpriced int64 // attempts of unknown cost, which Cost is without
	Calls    int64 // each once, at its last attempt
}

// ErrSpentQuery says that a query asks for a scope that there is not.
var ErrSpentQuery = errors.New("ask what was spent")

// A spentScope is the SQL of a scope's values and whose they are.
type spentScope struct {
	project, value string // of a row of calls c and attempts a
	rollup         string // value, of a row of a rollup; empty: the rollups do not have it
	of             func(c *Call, a *Attempt) string
}

const projectID = "project_id"

var spentScopes = map[string]spentScope{
	"global":   {"''", "''", "''", func(*Call, *Attempt) string { return "" }},
	"project":  {projectID, projectID, projectID, func(c *Call, _ *Attempt) string { return c.ProjectID }},
	"key":      {projectID, "key_id", "key_id", func(c *Call, _ *Attempt) string { return c.KeyID }},
	"customer": {projectID, "customer", "customer", func(c *Call, _ *Attempt) string { return c.Customer }},
	"feature":  {projectID, "feature", "feature", func(c *Call, _ *Attempt) string { return c.Feature }},
	"user":     {projectID, "user", "", func(c *Call, _ *Attempt) string { return c.User }},
	"session":  {projectID, "session", "", func(c *Call, _ *Attempt) string { return c.Session }},
	"model":    {"''", "asked_model", "", func(c *Call, _ *Attempt) string { return c.AskedModel }},
	"provider": {"''", "a.provider", "provider", func(_ *Call, a *Attempt) string { return a.Provider }},
	"target":   {"''", "a.provider || '/' || a.model", "iif(provider = '', '', provider || '/' || model)", targetOf},
	"tag": {project: projectID, value: "CASE tags WHEN '' THEN '' WHEN '" + longTags +
		"' THEN '' ELSE coalesce((SELECT value FROM json_each(tags) WHERE key = ?), '') END"},
}

func targetOf(_ *Call, a *Attempt) string {
	if a.Provider == "" {
		return ""
	}
	return a.Provider + "/" + a.Model
}

// scope looks the query's scope up.
func (query *SpentQuery) scope() (spentScope, error) {
	s, ok := spentScopes[query.Scope]
	switch {
	case !ok:
		return s, fmt.Errorf("%w by the scope %q: want one of global, project, key, customer, feature, user, session, tag, model, provider, target", ErrSpentQuery, query.Scope)
	case (query.Scope == "tag") != (query.Tag != ""):
		return s, fmt.Errorf("%w: the scope tag, and no other, goes with a tag's name", ErrSpentQuery)
	case query.Scope == "tag":
		s.rollup = s.value
		s.of = func(c *Call, _ *Attempt) string { return c.Tags[query.Tag] }
	}
	return s, nil
}

// Spent sums what the attempts of a period cost, as is known by now: with
// adjustments, and with what is in the spool and not yet in the store. Calls
// without a value for the scope are left out. Values come the dearest first.
// Calls that have begun and not ended are not in it.
//
// Whole hours are read from the rollups, and what is left at both ends from
// the rows. Users, sessions and asked models are in no rollup: they take a
// look at each call of the period, about 3 µs each. The memory it takes grows
// with what is in the spool, about 200 bytes an attempt.
func (q *Calls) Spent(ctx context.Context, query SpentQuery) (out []Spent, err error) {
	b, err := newSpentSQL(&query)
	if err != nil {
		return nil, err
	}
	// The spool first: what is shipped before the store is read is in both, and
	// the statement, which is one look at the store, leaves it out.
	if err := b.spool(ctx, q); err != nil {
		return nil, fmt.Errorf("sum what was spent: %w", err)
	}
	if err := b.store(ctx, q); err != nil {
		return nil, fmt.Errorf("sum what was spent: %w", err)
	}
	if len(b.parts) == 0 {
		return nil, nil // the period has no length
	}
	rows, err := q.db.Reader().QueryContext(ctx, b.text(), b.args...)
	if err != nil {
		return nil, fmt.Errorf("sum what was spent: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s Spent
		var nano, atto int64
		if err := rows.Scan(&s.Project, &s.Value, &nano, &atto, &s.Unpriced, &s.Calls); err != nil {
			return nil, fmt.Errorf("read what was spent: %w", err)
		}
		s.Cost = costs.MoneyOf(nano, atto)
		out = append(out, s)
	}
	return out, rows.Err()
}

// A spentSQL gathers the parts of the one statement.
type spentSQL struct {
	query *SpentQuery
	scope spentScope
	since int64 // microseconds
	until int64 // exclusive
	parts []string
	args  []any

	longDays map[int64]bool // that have calls whose tags are too long for the rollups
}

func newSpentSQL(query *SpentQuery) (*spentSQL, error) {
	scope, err := query.scope()
	b := &spentSQL{query: query, scope: scope, since: -maxMicros, until: maxMicros, longDays: map[int64]bool{}}
	if !query.Since.IsZero() {
		b.since = ceilMicros(query.Since)
	}
	if !query.Until.IsZero() {
		b.until = ceilMicros(query.Until)
	}
	return b, err
}

// ceilMicros is the first microsecond that is not before a time.
func ceilMicros(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }

// store adds the parts that are read from the store.
func (b *spentSQL) store(ctx context.Context, q *Calls) error {
	if b.scope.rollup == "" {
		b.rows(b.since, b.until, "")
		return nil
	}
	since, until := b.since, b.until
	if since != -maxMicros {
		since = ceilTo(since, hourMicros)
	}
	if until != maxMicros {
		until -= until % hourMicros
	}
	if since >= until {
		b.rows(b.since, b.until, "")
		return nil
	}
	b.rows(b.since, since, "")
	b.rows(until, b.until, "")
	for _, p := range rollupParts(since, until) {
		b.rollup(p)
	}
	if b.query.Scope != "tag" {
		return nil
	}
	return b.longTags(ctx, q, since, until)
}

// rollup adds whole hours or days of a rollup.
func (b *spentSQL) rollup(p costPart) {
	text := "SELECT " + b.scope.project + " AS project, " + b.scope.rollup + ` AS value, cost_nano AS nano, cost_atto AS atto,
		iif(source = 'unpriced', attempts, 0) AS unpriced, calls FROM ` + p.table + " WHERE " + p.column + " >= ? AND " + p.column + " < ?"
	if b.query.Scope == "tag" {
		b.args = append(b.args, b.query.Tag)
	}
	b.args = append(b.args, p.since, p.until)
	b.add(b.filtered(text, b.scope.rollup))
}

// filtered restricts a part by what makes it faster, where its columns allow.
func (b *spentSQL) filtered(text, value string) string {
	if p := b.query.Project; p != nil {
		text, b.args = text+" AND project_id = ?", append(b.args, *p)
	}
	if v := b.query.Value; v != "" && b.query.Scope != "tag" && b.query.Scope != "target" {
		text, b.args = text+" AND "+value+" = ? AND "+value+" <> ''", append(b.args, v)
	}
	return text
}

// rows adds a stretch of time by the calls and attempts themselves. Where the
// scope is not the attempts', only those of calls are read whose own sum is not
// known, or not what it was.
func (b *spentSQL) rows(since, until int64, and string) {
	if since >= until {
		return
	}
	const asRecorded = " AND c.cost_source <> 'unpriced' AND NOT EXISTS (SELECT 1 FROM cost_adjustments WHERE call_id = c.id)"
	const otherwise = " AND (c.cost_source = 'unpriced' OR EXISTS (SELECT 1 FROM cost_adjustments WHERE call_id = c.id))"
	if strings.HasPrefix(b.scope.value, "a.") {
		b.someRows(since, until, spentByAttempts, and)
		return
	}
	b.someRows(since, until, spentByCalls, and+asRecorded)
	b.someRows(since, until, spentByAttempts, and+otherwise)
}

// What calls and attempts spent. A call that has no attempt was tried if it
// was interrupted, and rows from before there were costs count as what they are
// in the rollups.
const (
	spentByCalls    = "coalesce(c.cost_nano, 0) AS nano, coalesce(c.cost_atto, 0) AS atto, 0 AS unpriced, 1 AS calls FROM calls c"
	spentByAttempts = `coalesce(iif(d.seq IS NULL, a.cost_nano, d.cost_nano), 0) AS nano,
		coalesce(iif(d.seq IS NULL, a.cost_atto, d.cost_atto), 0) AS atto,
		CASE WHEN a.n IS NULL THEN c.outcome = 'interrupted' WHEN d.seq IS NOT NULL THEN d.cost_source = 'unpriced'
			ELSE a.cost_source = 'unpriced' AND (a.charge <> '' OR a.usage_source <> '') END AS unpriced,
		a.n IS NULL OR a.n = c.attempts AS calls
		FROM calls c LEFT JOIN attempts a ON a.call_id = c.id LEFT JOIN cost_adjustments d ON d.call_id = c.id AND d.n = a.n
			AND d.seq = (SELECT max(seq) FROM cost_adjustments AS l WHERE l.call_id = c.id AND l.n = a.n)`
)

// someRows adds calls of a stretch of time. A call's id is made with its start,
// so that it finds the call without an index.
func (b *spentSQL) someRows(since, until int64, what, and string) {
	text := "SELECT " + b.scope.project + " AS project, coalesce(" + b.scope.value + ", '') AS value, " + what + " WHERE c.start >= ? AND c.start < ?" + and
	if b.query.Scope == "tag" {
		b.args = append(b.args, b.query.Tag)
	}
	b.args = append(b.args, since, until)
	if since > -maxMicros {
		text, b.args = text+" AND c.id >= ?", append(b.args, idAt(fromMicros(since).Add(-idSlack)))
	}
	if until < maxMicros {
		text, b.args = text+" AND c.id < ?", append(b.args, idAt(fromMicros(until).Add(idSlack)))
	}
	b.add(b.filtered(text, b.scope.value))
}

// longTags adds the calls of whole hours whose tags are too long for the
// rollups: the days that have such are read by their rows.
func (b *spentSQL) longTags(ctx context.Context, q *Calls, since, until int64) (err error) {
	rows, err := q.db.Reader().QueryContext(ctx, `SELECT DISTINCT day FROM costs_daily WHERE tags = '`+longTags+`' AND day > ? AND day < ?`,
		since-dayMicros, until)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var d int64
		if err := rows.Scan(&d); err != nil {
			return err
		}
		b.longDays[d] = true
	}
	for d := range b.longDays {
		b.rows(max(d, since), min(d+dayMicros, until), fmt.Sprintf(" AND length(CAST(tags AS BLOB)) > %d", maxTagsText))
	}
	return rows.Err()
}

// spool adds what is not in the store yet.
func (b *spentSQL) spool(ctx context.Context, q *Calls) error {
	seen := map[string]bool{}
	list := []byte{'['}
	var failed error
	err := q.eachUnshipped(ctx, func(r record) error {
		if r.kind != recClosed {
			return ctx.Err()
		}
		c, err := decodeCall(r.payload)
		if err != nil || seen[c.ID] || !b.wants(c) {
			return ctx.Err() // the shipper says what cannot be read
		}
		seen[c.ID] = true
		if len(c.Tags) > 0 && len(jsonMap(c.Tags)) > maxTagsText {
			at := c.Start.UnixMicro()
			b.longDays[at-at%dayMicros] = true // it may be in the store in a moment
		}
		list, failed = b.appendCall(list, c)
		return errors.Join(failed, ctx.Err())
	})
	if err != nil || len(list) == 1 {
		return err
	}
	list[len(list)-1] = ']'
	b.args = append(b.args, string(list))
	b.add(`SELECT json_each.value ->> 1 AS project, json_each.value ->> 2 AS value, json_each.value ->> 3 AS nano, json_each.value ->> 4 AS atto, json_each.value ->> 5 AS unpriced,
		json_each.value ->> 6 AS calls FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM calls WHERE id = json_each.value ->> 0)`)
	return nil
}

func (b *spentSQL) wants(c *Call) bool {
	at := c.Start.UnixMicro()
	return at >= b.since && at < b.until && (b.query.Project == nil || *b.query.Project == c.ProjectID)
}

// appendCall appends what a call spent, as JSON: a list for each attempt.
func (b *spentSQL) appendCall(list []byte, c *Call) ([]byte, error) {
	put := func(a *Attempt, unpriced, last bool) error {
		project := c.ProjectID
		if b.scope.project != projectID {
			project = ""
		}
		value := b.scope.of(c, a)
		if value == "" && b.query.Scope != "global" {
			return nil
		}
		nano, atto := a.Cost.Parts()
		row, err := json.Marshal([]any{c.ID, project, value, nano, atto, unpriced, last})
		list = append(append(list, row...), ',')
		return err
	}
	if len(c.Attempts) == 0 {
		return list, put(&Attempt{}, c.Outcome == Interrupted, true)
	}
	for i := range c.Attempts {
		a := &c.Attempts[i]
		if err := put(a, a.CostSource == CostUnpriced, i == len(c.Attempts)-1); err != nil {
			return list, err
		}
	}
	return list, nil
}

func (b *spentSQL) add(part string) { b.parts = append(b.parts, part) }

// text is the whole statement.
func (b *spentSQL) text() string {
	text := `SELECT project, value, sum(nano) AS n, sum(atto) AS rest, sum(unpriced), sum(calls) FROM (` + strings.Join(b.parts, "\nUNION ALL ") + ")"
	var where []string
	if b.query.Scope != "global" {
		where = append(where, "value <> ''")
	}
	if b.query.Value != "" {
		where, b.args = append(where, "value = ?"), append(b.args, b.query.Value)
	}
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	limit := b.query.Limit
	if limit <= 0 {
		limit = MaxSpent
	}
	b.args = append(b.args, min(limit, MaxSpent))
	return text + ` GROUP BY 1, 2 ORDER BY n + rest / 1000000000 DESC, rest % 1000000000 DESC, 5 DESC, 1, 2 LIMIT ?`
}

// rollupParts reads whole days of UTC from the daily rollup, and what is left
// at both ends by the hour. Both bounds are whole hours.
func rollupParts(since, until int64) []costPart {
	hours := func(from, to int64) costPart {
		return costPart{table: "costs_hourly", column: "hour", since: from, until: to}
	}
	first, last := since, until
	if since != -maxMicros {
		first = ceilTo(since, dayMicros)
	}
	if until != maxMicros {
		last = until - until%dayMicros
	}
	if first >= last {
		return []costPart{hours(since, until)}
	}
	parts := []costPart{{table: "costs_daily", column: "day", since: first, until: last}}
	if since < first {
		parts = append(parts, hours(since, first))
	}
	if last < until {
		parts = append(parts, hours(last, until))
	}
	return parts
}

// ceilTo is the first multiple of a step that is not before a time.
func ceilTo(t, step int64) int64 {
	if rest := t % step; rest > 0 {
		return t - rest + step
	}
	return t
}
