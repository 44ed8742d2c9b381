package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/costs"
)

// costGroups are what costs can be grouped and filtered by, beside day, hour
// and tag:NAME.
var costGroups = map[string]string{
	"project": "project_id", "key": "key_id", "customer": "customer", "feature": "feature", "provider": "provider", "model": "model",
	"prompt": "prompt", "tags": "tags", "source": "source",
}

// A CostQuery asks what attempts cost.
type CostQuery struct {
	Since, Until time.Time         // the hours that touch [Since, Until), by their call's start; zero: no bound
	By           []string          // project, key, customer, feature, provider, model, prompt, tags, source, tag:NAME, day, hour
	Where        map[string]string // the same names, without day and hour
	Zone         *time.Location    // of days and hours; nil is UTC. It is exact for zones that differ by whole hours.
}

// LongTags is the group of tags that are too long to group by: by tags, and by
// each single tag.
const LongTags = longTags

// ErrCostQuery says that a query asks for what there is not.
var ErrCostQuery = errors.New("ask for costs")

// Costs sums what attempts cost, by the rollups: what is shipped, so that the
// last moments of a running server may be missing. Groups come the most
// expensive first, and the newest day or hour before others.
func (q *Calls) Costs(ctx context.Context, query CostQuery) ([]costs.Sum, error) {
	if query.Zone == nil {
		query.Zone = time.UTC
	}
	g := &costSums{query: &query, at: map[string]int{}}
	for _, part := range query.parts() {
		text, args, err := query.statement(part)
		if err != nil {
			return nil, err
		}
		if err := g.read(ctx, q, part, text, args); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(g.sums, func(a, b costs.Sum) int {
		if c := b.Start.Compare(a.Start); c != 0 {
			return c
		}
		if c := b.Cost.Cmp(a.Cost); c != 0 {
			return c
		}
		if a.Calls != b.Calls {
			return int(min(max(b.Calls-a.Calls, -1), 1))
		}
		return slices.Compare(a.Group, b.Group)
	})
	return g.sums, nil
}

// A costPart is a stretch of time that is read from one rollup. Microseconds;
// until is exclusive.
type costPart struct {
	table, column string
	since, until  int64
}

const (
	hourMicros = int64(time.Hour / time.Microsecond)
	dayMicros  = 24 * hourMicros
	maxMicros  = int64(1) << 62
)

// parts reads whole days of UTC from the daily rollup, where that is fine
// enough, and what is left at both ends by the hour.
func (query *CostQuery) parts() []costPart {
	since, until := -maxMicros, maxMicros
	if !query.Since.IsZero() {
		since = query.Since.Truncate(time.Hour).UnixMicro()
	}
	if !query.Until.IsZero() {
		until = query.Until.Add(time.Hour - 1).Truncate(time.Hour).UnixMicro()
	}
	hours := func(from, to int64) costPart { return costPart{"costs_hourly", "hour", from, to} }
	if slices.Contains(query.By, "hour") || slices.Contains(query.By, "day") && query.Zone != time.UTC {
		return []costPart{hours(since, until)}
	}
	return rollupParts(since, until)
}

var costSumsText = eachFigure(func(column string) string { return "coalesce(sum(" + column + "), 0)" })

// statement is the SQL of a part: its sums by the groups, the time where that
// is one, and the source.
func (query *CostQuery) statement(p costPart) (string, []any, error) {
	columns := []string{"source"}
	if query.byTime() {
		columns = append(columns, p.column)
	}
	var args []any
	for _, name := range query.By {
		switch column, tag, err := costColumn(name); {
		case name == "day" || name == "hour":
		case err != nil:
			return "", nil, err
		case tag != "":
			columns, args = append(columns, column), append(args, tag)
		default:
			columns = append(columns, column)
		}
	}
	where := []string{p.column + " >= ?", p.column + " < ?"}
	args = append(args, p.since, p.until)
	for _, name := range slices.Sorted(maps.Keys(query.Where)) {
		column, tag, err := costColumn(name)
		if err != nil {
			return "", nil, err
		}
		if tag != "" {
			args = append(args, tag)
		}
		where, args = append(where, column+" = ?"), append(args, query.Where[name])
	}
	text := "SELECT " + strings.Join(columns, ", ") + ", " + costSumsText + " FROM " + p.table + " WHERE " + strings.Join(where, " AND ") + " GROUP BY "
	for i := range columns {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(i + 1)
	}
	return text, args, nil
}

func (query *CostQuery) byTime() bool {
	return slices.Contains(query.By, "day") || slices.Contains(query.By, "hour")
}

// costColumn is the SQL of a group. That of a tag takes its name as an argument.
func costColumn(name string) (column, tag string, err error) {
	if tag, ok := strings.CutPrefix(name, "tag:"); ok && tag != "" {
		return `CASE tags WHEN '' THEN '' WHEN '` + longTags + `' THEN '` + longTags + `' ELSE
			coalesce((SELECT value FROM json_each(tags) WHERE key = ?), '') END`, tag, nil
	}
	if column, ok := costGroups[name]; ok {
		return column, "", nil
	}
	known := append(slices.Sorted(maps.Keys(costGroups)), "tag:NAME", "day", "hour")
	return "", "", fmt.Errorf("%w by %q: want one of %s", ErrCostQuery, name, strings.Join(known, ", "))
}

// costSums gathers the groups of several parts.
type costSums struct {
	query *CostQuery
	sums  []costs.Sum
	at    map[string]int // by group
}

func (g *costSums) read(ctx context.Context, q *Calls, p costPart, text string, args []any) (err error) {
	rows, err := q.db.Reader().QueryContext(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("sum costs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	byTime := g.query.byTime()
	names := make([]string, 0, len(g.query.By))
	for _, name := range g.query.By {
		if name != "day" && name != "hour" {
			names = append(names, name)
		}
	}
	var source string
	var at int64
	var n costSum
	groups := make([]string, len(names))
	into := []any{&source}
	if byTime {
		into = append(into, &at)
	}
	for i := range groups {
		into = append(into, &groups[i])
	}
	for i := range n {
		into = append(into, &n[i])
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read sum of costs: %w", err)
		}
		var start time.Time
		if byTime {
			start = g.query.startOf(at)
		}
		g.add(start, groups, sumOf(CostSource(source), &n))
	}
	return rows.Err()
}

// startOf is the start of the day, or the hour, that an instant is in.
func (query *CostQuery) startOf(at int64) time.Time {
	t := time.UnixMicro(at).In(query.Zone)
	if slices.Contains(query.By, "hour") {
		return t
	}
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, query.Zone)
}

// add counts a row in its group. What is day or hour among the groups is text, too.
func (g *costSums) add(start time.Time, values []string, s costs.Sum) {
	key := start.Format(time.RFC3339) + "\x00" + strings.Join(values, "\x00")
	if i, ok := g.at[key]; ok {
		g.sums[i].Add(&s)
		return
	}
	s.Start = start
	next := 0
	for _, name := range g.query.By {
		switch name {
		case "day":
			s.Group = append(s.Group, start.Format(time.DateOnly))
		case "hour":
			s.Group = append(s.Group, start.Format(time.RFC3339))
		default:
			s.Group = append(s.Group, values[next])
			next++
		}
	}
	g.at[key] = len(g.sums)
	g.sums = append(g.sums, s)
}

// sumOf makes a sum of a row's figures.
func sumOf(source CostSource, n *costSum) costs.Sum {
	s := costs.Sum{
		Calls: n[figCalls], Attempts: n[figAttempts], WastedAttempts: n[figWastedAttempts], Compared: n[figCompared], Drifted: n[figDrifted],
		Cost: n.money(figCost), List: n.money(figList), Charged: n.money(figCharged), Wasted: n.money(figWasted),
		Drift: n.money(figDrift), DriftOf: n.money(figBook),
	}
	for i, m := range []costs.Meter{costs.Input, costs.InputCacheRead, costs.InputCacheWrite, costs.Output, costs.OutputReasoning} {
		s.Usage.Set(m, n[figInput+i])
	}
	switch source {
	case CostUnpriced:
		s.Unpriced = s.Attempts
	case CostEstimated:
		s.Estimated, s.Guessed = s.Cost, s.Attempts
	}
	return s
}
