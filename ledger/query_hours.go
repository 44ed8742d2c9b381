package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// hourColumns are what sums can be grouped by.
var hourColumns = map[string]string{
	"hour": "hour", "project": "project_id", "key": "key_id", "customer": "customer", "feature": "feature", "provider": "provider",
	"model": "model", "route": "route", "api": "api", "outcome": "outcome", "usage_source": "usage_source",
}

// A Sum is what the calls of a group and an hour add up to.
type Sum struct {
	Hour      time.Time         `json:"hour,omitzero"`  // its start; zero where sums are not by hour
	Group     map[string]string `json:"group,omitzero"` // by the names of SumQuery.By
	Calls     int64             `json:"calls"`
	Attempts  int64             `json:"attempts"`
	Input     int64             `json:"input"`      // tokens of all input meters
	CacheRead int64             `json:"cache_read"` // of them read from the vendor's text cache
	Output    int64             `json:"output"`     // tokens of all output meters
	Reasoning int64             `json:"reasoning"`  // of them spent on reasoning
	Total     time.Duration     `json:"total_ns"`   // summed duration
}

// A SumQuery asks for sums of whole hours.
type SumQuery struct {
	Since, Until time.Time         // the hours that touch [Since, Until); zero: no bound
	By           []string          // hour, project, key, customer, feature, provider, model, route, api, outcome, usage_source
	Where        map[string]string // the same names, without hour
	Limit        int               // rows; 0: all
}

// Sums reads the hourly rollup, the newest hour and the most calls first. It
// has what is shipped: the last moments of a running server may be missing.
func (q *Calls) Sums(ctx context.Context, query SumQuery) (out []Sum, err error) {
	text, args, err := query.statement()
	if err != nil {
		return nil, err
	}
	rows, err := q.db.Reader().QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("sum calls: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s Sum
		var hour int64
		groups := make([]string, len(query.By))
		into := make([]any, 0, len(query.By)+7)
		for i, name := range query.By {
			if name == "hour" {
				into = append(into, &hour)
			} else {
				into = append(into, &groups[i])
			}
		}
		into = append(into, &s.Calls, &s.Attempts, &s.Input, &s.CacheRead, &s.Output, &s.Reasoning, &s.Total)
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read sum: %w", err)
		}
		s.Hour = fromMicros(hour)
		for i, name := range query.By {
			if name != "hour" {
				if s.Group == nil {
					s.Group = map[string]string{}
				}
				s.Group[name] = groups[i]
			}
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func (query *SumQuery) statement() (string, []any, error) {
	var columns, where []string
	var args []any
	for _, name := range query.By {
		column, ok := hourColumns[name]
		if !ok {
			return "", nil, fmt.Errorf("sum calls: there is no group %q", name)
		}
		columns = append(columns, column)
	}
	for name, value := range query.Where {
		column, ok := hourColumns[name]
		if !ok || name == "hour" {
			return "", nil, fmt.Errorf("sum calls: there is no filter %q", name)
		}
		where, args = append(where, column+" = ?"), append(args, value)
	}
	if !query.Since.IsZero() {
		where, args = append(where, "hour >= ?"), append(args, query.Since.Truncate(time.Hour).UnixMicro())
	}
	if !query.Until.IsZero() {
		where, args = append(where, "hour < ?"), append(args, query.Until.UnixMicro())
	}
	text := "SELECT " + strings.Join(append(columns, `coalesce(sum(calls), 0) AS n, coalesce(sum(attempts), 0), coalesce(sum(input), 0),
		coalesce(sum(cache_read), 0), coalesce(sum(output), 0), coalesce(sum(reasoning), 0), coalesce(sum(total), 0)`), ", ") + " FROM calls_hourly"
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	order := "n DESC"
	if len(columns) > 0 {
		text += " GROUP BY " + strings.Join(columns, ", ")
		order += ", " + strings.Join(columns, ", ")
	}
	for _, name := range query.By {
		if name == "hour" {
			order = "hour DESC, " + order
		}
	}
	text += " ORDER BY " + order
	if query.Limit > 0 {
		text, args = text+" LIMIT ?", append(args, query.Limit)
	}
	return text, args, nil
}
