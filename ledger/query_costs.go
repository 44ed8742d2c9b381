package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	parts, err := q.costParts(ctx, &query)
	if err != nil {
		return nil, err
	}
	g := &costSums{query: &query, parts: parts, at: map[string]int{}}
	if err := g.read(ctx, q); err != nil {
		return nil, err
	}
	sums := g.sums()
	slices.SortStableFunc(sums, func(a, b costs.Sum) int {
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
	return sums, nil
}

// ResolveCosts is Resolve for what costs are restricted to, in place.
func (q *Calls) ResolveCosts(ctx context.Context, where map[string]string) error {
	f, err := q.Resolve(ctx, Filter{Key: where["key"], Project: where["project"]})
	for name, id := range map[string]string{"key": f.Key, "project": f.Project} {
		if id != "" {
			where[name] = id
		}
	}
	return err
}

// A costPart is what is read from one rollup: a stretch of time, or some hours.
type costPart struct {
	table, column string
	since, until  int64   // microseconds; until is exclusive
	hours         []int64 // only these, summed by the UTC day that they are in; nil: all

	// counts says where a row of a day or an hour counts; nil: once, at its own
	// time. What counts for nothing is read by another part.
	counts func(at int64) []costShare
}

// A costShare is a start that a row counts for. less takes it out again.
type costShare struct {
	start time.Time
	less  bool
}

const (
	hourMicros = int64(time.Hour / time.Microsecond)
	dayMicros  = 24 * hourMicros
	maxMicros  = int64(1) << 62
)

// costParts says how a query's hours are read.
func (q *Calls) costParts(ctx context.Context, query *CostQuery) ([]costPart, error) {
	since, until := -maxMicros, maxMicros
	if !query.Since.IsZero() {
		since = query.Since.Truncate(time.Hour).UnixMicro()
	}
	if !query.Until.IsZero() {
		until = query.Until.Add(time.Hour - 1).Truncate(time.Hour).UnixMicro()
	}
	switch {
	case slices.Contains(query.By, "hour"):
		return []costPart{{table: "costs_hourly", column: "hour", since: since, until: until}}, nil
	case !slices.Contains(query.By, "day"):
		return rollupParts(since, until), nil
	}
	var first, last *int64
	err := q.db.Reader().QueryRowContext(ctx, `SELECT (SELECT min(day) FROM costs_daily), (SELECT max(day) FROM costs_daily)`).Scan(&first, &last)
	if err != nil {
		return nil, fmt.Errorf("sum costs: %w", err)
	}
	if first == nil || last == nil {
		return nil, nil
	}
	return query.dayParts(max(since, *first), min(until, *last+dayMicros)), nil
}

// dayParts reads days of a zone. Each day of UTC has two of them as a rule: it
// counts for the one that has more of its hours, from which those of the other
// are taken out again. That is at most half of the hours, and for UTC none.
func (query *CostQuery) dayParts(since, until int64) []costPart {
	shares := map[int64][]costShare{} // of the days of UTC
	var fewer []int64
	moved := map[int64][]costShare{} // of the hours in fewer, by their day of UTC
	parts := rollupParts(since, until)
	for i := range parts {
		p := &parts[i]
		if p.table == "costs_hourly" {
			p.counts = func(at int64) []costShare { return []costShare{{start: query.startOf(at)}} }
			continue
		}
		p.counts = func(at int64) []costShare { return shares[at] }
		for day := p.since; day < p.until; day += dayMicros {
			starts, at := query.daysOf(day)
			switch {
			case len(starts) == 1:
				shares[day] = []costShare{{start: starts[0]}}
				continue
			case len(starts) > 2: // a day of less than 24 hours lies in it: all hours are read
				parts = append(parts, costPart{
					table: "costs_hourly", column: "hour", since: day, until: day + dayMicros,
					counts: func(at int64) []costShare { return []costShare{{start: query.startOf(at)}} },
				})
				continue
			}
			most, other, from, to := starts[1], starts[0], day, at
			if at-day > dayMicros/2 {
				most, other, from, to = starts[0], starts[1], at, day+dayMicros
			}
			shares[day] = []costShare{{start: most}}
			moved[day] = []costShare{{start: other}, {start: most, less: true}}
			for h := from; h < to; h += hourMicros {
				fewer = append(fewer, h)
			}
		}
	}
	if len(fewer) > 0 {
		parts = append(parts, costPart{
			table: "costs_hourly", column: "hour", hours: fewer,
			counts: func(at int64) []costShare { return moved[at] },
		})
	}
	return parts
}

// daysOf are the days of the query's zone that the hours of a day of UTC are
// in, and the hour that begins the last of them.
func (query *CostQuery) daysOf(day int64) (starts []time.Time, at int64) {
	for h := day; h < day+dayMicros; h += hourMicros {
		start := query.startOf(h)
		if n := len(starts); n == 0 || !starts[n-1].Equal(start) {
			starts, at = append(starts, start), h
		}
	}
	return starts, at
}

var costSumsText = eachFigure(func(column string) string { return "coalesce(sum(" + column + "), 0)" })

// statement is the SQL of all parts, so that they are read at one moment: the
// part, its time or 0, the source, the groups, and the sums.
func (query *CostQuery) statement(parts []costPart) (text string, args []any, err error) {
	for i, p := range parts {
		if i > 0 {
			text += "\nUNION ALL "
		}
		if text, args, err = query.appendPart(text, args, i, &p); err != nil {
			return "", nil, err
		}
	}
	return text, args, nil
}

func (query *CostQuery) appendPart(text string, args []any, i int, p *costPart) (string, []any, error) {
	at := "0"
	switch {
	case p.hours != nil:
		at = fmt.Sprintf("hour - hour %% %d", dayMicros)
	case query.byTime():
		at = p.column
	}
	columns := []string{fmt.Sprint(i), at, "source"}
	for _, name := range query.groups() {
		column, tag, err := costColumn(name)
		if err != nil {
			return "", nil, err
		}
		if tag != "" {
			args = append(args, tag)
		}
		columns = append(columns, column)
	}
	var where []string
	if p.hours == nil {
		where, args = append(where, p.column+" >= ?", p.column+" < ?"), append(args, p.since, p.until)
	} else {
		list, err := json.Marshal(p.hours)
		if err != nil {
			return "", nil, fmt.Errorf("list hours: %w", err)
		}
		where, args = append(where, "hour IN (SELECT value FROM json_each(?))"), append(args, string(list))
	}
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
	text += "SELECT " + strings.Join(columns, ", ") + ", " + costSumsText + " FROM " + p.table + " WHERE " + strings.Join(where, " AND ") + " GROUP BY 2"
	for i := range columns[2:] {
		text += fmt.Sprint(", ", i+3)
	}
	return text, args, nil
}

func (query *CostQuery) byTime() bool {
	return slices.Contains(query.By, "day") || slices.Contains(query.By, "hour")
}

// groups are what a query is by, without day and hour.
func (query *CostQuery) groups() (out []string) {
	for _, name := range query.By {
		if name != "day" && name != "hour" {
			out = append(out, name)
		}
	}
	return out
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
	query  *CostQuery
	parts  []costPart
	groups []costGroup
	at     map[string]int // by time and values
	key    []byte         // of at, for use again
}

// A costGroup has its figures by source.
type costGroup struct {
	start   time.Time
	values  []string
	sources []CostSource
	figures []costSum // one for each of sources
}

func (g *costSums) read(ctx context.Context, q *Calls) (err error) {
	text, args, err := g.query.statement(g.parts)
	if err != nil || text == "" {
		return err
	}
	rows, err := q.db.Reader().QueryContext(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("sum costs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var part, at int64
	var source CostSource
	var sum costSum
	values := make([]string, len(g.query.groups()))
	into := []any{&part, &at, &source}
	for i := range values {
		into = append(into, &values[i])
	}
	for i := range sum {
		into = append(into, &sum[i])
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read sum of costs: %w", err)
		}
		for _, share := range g.shares(int(part), at) {
			figures := sum
			if share.less {
				figures.negate()
			}
			g.add(share.start, values, source, &figures)
		}
	}
	return rows.Err()
}

// shares says where a row counts.
func (g *costSums) shares(part int, at int64) []costShare {
	switch counts := g.parts[part].counts; {
	case counts != nil:
		return counts(at)
	case g.query.byTime():
		return []costShare{{start: g.query.startOf(at)}}
	}
	return []costShare{{}}
}

// add counts figures in their group.
func (g *costSums) add(start time.Time, values []string, source CostSource, figures *costSum) {
	g.key = strconv.AppendInt(g.key[:0], start.UnixMicro(), 36)
	for _, v := range values {
		g.key = append(append(g.key, 0), v...)
	}
	i, ok := g.at[string(g.key)]
	if !ok {
		i = len(g.groups)
		g.at[string(g.key)] = i
		g.groups = append(g.groups, costGroup{start: start, values: slices.Clone(values)})
	}
	group := &g.groups[i]
	if j := slices.Index(group.sources, source); j >= 0 {
		group.figures[j].add(figures)
		return
	}
	group.sources, group.figures = append(group.sources, source), append(group.figures, *figures)
}

// sums are the groups with all their sources. What was taken out whole is none.
func (g *costSums) sums() (out []costs.Sum) {
	for i := range g.groups {
		group := &g.groups[i]
		var sum costs.Sum
		for j, figures := range group.figures {
			if figures != (costSum{}) {
				s := sumOf(group.sources[j], &figures)
				sum.Add(&s)
			}
		}
		if sum.Calls == 0 && sum.Attempts == 0 {
			continue
		}
		sum.Start, sum.Group = group.start, g.query.group(group.start, group.values)
		out = append(out, sum)
	}
	return out
}

// group is what a sum is of. A day or an hour in it is text, too.
func (query *CostQuery) group(start time.Time, values []string) (out []string) {
	for _, name := range query.By {
		switch name {
		case "day":
			out = append(out, start.Format(time.DateOnly))
		case "hour":
			out = append(out, start.Format(time.RFC3339))
		default:
			out, values = append(out, values[0]), values[1:]
		}
	}
	return out
}

// startOf is the start of the day, or the hour, that an instant is in.
func (query *CostQuery) startOf(at int64) time.Time {
	t := time.UnixMicro(at).In(query.Zone)
	if slices.Contains(query.By, "hour") {
		return t
	}
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, query.Zone)
}

// sumOf makes a sum of a row's figures.
func sumOf(source CostSource, n *costSum) costs.Sum {
	s := costs.Sum{
		Calls: n[figCalls], Attempts: n[figAttempts], WastedAttempts: n[figWastedAttempts], Compared: n[figCompared], Drifted: n[figDrifted],
		Cost: n.money(figCost), List: n.money(figList), Charged: n.money(figCharged), Wasted: n.money(figWasted),
		Drift: n.money(figDrift), DriftOf: n.money(figBook), Cached: n[figCached], CacheKnown: n[figCacheKnown], Saved: n.money(figSaved),
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
