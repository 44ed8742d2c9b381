package console

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir/costs"
	"weir/costs/report"
	"weir/ledger"
)

const (
	costsPage = 100
	costsMost = 1000
	costsDays = 30
	// hourDays bounds how long a series by hours may be.
	hourDays = 100
	// costGroupsMost bounds what one query may be grouped by.
	costGroupsMost = 6
)

// costFilters are what costs can be grouped and filtered by, beside tags and time.
var costFilters = []string{"customer", "feature", "model", "provider", "project", "key", "prompt", "source", "tags"}

var costParams = func() []param {
	params := []param{
		{"since", "query", "the hours from then on: RFC 3339, a date in the zone, or how long ago; 30d ago if not given"},
		{"until", "query", "before then; now if not given"},
		{"tz", "query", "the zone of days and dates, such as Europe/Berlin; UTC if not given"},
		{"by", "query", strings.Join(costFilters, ", ") + ", tag:NAME, and day or hour for a series; several by commas; all in one row if not given"},
		{"limit", "query", "rows, 1 to 1000; 100 if not given"},
		{"before", "query", "the next of the page before"},
	}
	for _, name := range costFilters {
		params = append(params, param{name, "query", "only of this one; empty: of none"})
	}
	return append(params, param{"tag", "query", "only with this tag, name=value; may be repeated"})
}()

// Costs are the groups of a query, the newest day or hour first and the
// dearest before others.
type Costs struct {
	Data []report.Record `json:"data"`
	Next string          `json:"next,omitzero"`
	// Total is all groups of the query together, those of other pages, too.
	Total report.Record `json:"total"`
}

func (c *Console) serveCosts(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	page, err := c.costs(ctx, r.URL.Query())
	if errors.Is(err, ledger.ErrCostQuery) {
		err = bad("%s", sentence(err))
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	send(w, http.StatusOK, page)
}

func (c *Console) costs(ctx context.Context, v url.Values) (*Costs, error) {
	q, err := c.costQuery(ctx, v)
	if err != nil {
		return nil, err
	}
	limit, err := number("limit", v.Get("limit"), costsPage, costsMost)
	if err != nil {
		return nil, err
	}
	var after *costCursor
	if v.Get("before") != "" {
		if after, err = readCursor(v.Get("before")); err != nil {
			return nil, err
		}
	}
	sums, err := c.o.Calls.Costs(ctx, q.CostQuery)
	if err != nil {
		return nil, err
	}
	in := report.Input{Since: q.Since, Until: q.Until, Now: q.now, Where: q.Where, Sources: sums}
	from := 0
	if after != nil {
		from, _ = slices.BinarySearchFunc(sums, after, func(s costs.Sum, at *costCursor) int { return at.before(&s) })
	}
	to := min(from+limit, len(sums))
	in.Breakdowns = []report.Breakdown{{By: q.By, Sums: sums[from:to]}}
	made := report.Build(in)
	out := &Costs{Data: []report.Record{}, Total: (&report.Row{Sum: made.Total, Command: made.Command}).Record()}
	for _, row := range made.Rows() {
		out.Data = append(out.Data, row.Record())
	}
	if to < len(sums) {
		out.Next = cursorOf(&sums[to-1])
	}
	return out, nil
}

// A costQuery is a query, and the moment it is asked at, in its zone.
type costQuery struct {
	ledger.CostQuery
	now time.Time
}

// costQuery reads the parameters. What they say wrong is a badRequest.
func (c *Console) costQuery(ctx context.Context, v url.Values) (q costQuery, err error) {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		switch {
		case !slices.ContainsFunc(costParams, func(p param) bool { return p.name == name }):
			return q, bad("There is no parameter %q.", name)
		case name != "tag" && len(v[name]) > 1:
			return q, bad("%s is given twice.", name)
		}
	}
	if err := q.span(v); err != nil {
		return q, err
	}
	if err := q.groups(v.Get("by")); err != nil {
		return q, err
	}
	q.Where = map[string]string{}
	for _, name := range costFilters {
		if v.Has(name) {
			q.Where[name] = v.Get(name)
		}
	}
	for _, tag := range v["tag"] {
		name, value, ok := strings.Cut(tag, "=")
		if _, twice := q.Where["tag:"+name]; !ok || name == "" || twice {
			return q, bad("tag wants name=value, each name once, not %q.", tag)
		}
		q.Where["tag:"+name] = value
	}
	return q, c.o.Calls.ResolveCosts(ctx, q.Where)
}

// span reads the time: whole hours, as reports have it.
func (q *costQuery) span(v url.Values) error {
	zone, err := time.LoadLocation(v.Get("tz"))
	if err != nil || v.Get("tz") == "Local" {
		return bad("tz wants a zone such as Europe/Berlin.")
	}
	q.Zone, q.now = zone, time.Now().In(zone)
	q.Since, q.Until = q.now.AddDate(0, 0, -costsDays), q.now
	for _, at := range []struct {
		name string
		to   *time.Time
	}{{"since", &q.Since}, {"until", &q.Until}} {
		s := v.Get(at.name)
		if s == "" {
			continue
		}
		if *at.to, err = time.ParseInLocation(time.DateOnly, s, zone); err == nil {
			continue
		}
		if *at.to, err = when(at.name, s, q.now); err != nil {
			return err
		}
	}
	q.Since, q.Until = q.Since.In(zone).Truncate(time.Hour), q.Until.In(zone).Add(time.Hour-1).Truncate(time.Hour)
	if !q.Since.Before(q.Until) {
		return bad("until has to be after since.")
	}
	return nil
}

// groups reads what it is by.
func (q *costQuery) groups(by string) error {
	if by == "" || by == "total" {
		return nil
	}
	q.By = strings.Split(by, ",")
	if len(q.By) > costGroupsMost {
		return bad("by wants at most %d groups.", costGroupsMost)
	}
	for i, name := range q.By {
		tag, isTag := strings.CutPrefix(name, "tag:")
		if known := isTag && tag != "" || name == "day" || name == "hour" || slices.Contains(costFilters, name); !known || slices.Contains(q.By[:i], name) {
			return bad("by wants some of %s, tag:NAME, day and hour, each once.", strings.Join(costFilters, ", "))
		}
	}
	if slices.Contains(q.By, "hour") && q.Until.Sub(q.Since) > hourDays*24*time.Hour {
		return bad("by=hour is for up to %d days; ask for less time, or by=day.", hourDays)
	}
	return nil
}

// A costCursor is the place of a group in the order of a query's groups. It
// stays where it is when groups before it become others.
type costCursor struct {
	Start time.Time   `json:"t,omitzero"`
	Cost  costs.Money `json:"c"`
	Calls int64       `json:"n"`
	Group []string    `json:"g"`
}

func cursorOf(s *costs.Sum) string {
	text, err := json.Marshal(costCursor{s.Start, s.Cost, s.Calls, s.Group})
	if err != nil { // texts and numbers always can be
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func readCursor(s string) (*costCursor, error) {
	var at costCursor
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(text, &at)
	}
	if err != nil {
		return nil, bad("before wants the next of the page before, as it is.")
	}
	return &at, nil
}

// before is below 0 where a group stands at the cursor or before it: the order
// is that of ledger.Calls.Costs.
func (at *costCursor) before(s *costs.Sum) int {
	order := cmp.Or(at.Start.Compare(s.Start), at.Cost.Cmp(s.Cost), cmp.Compare(at.Calls, s.Calls), slices.Compare(s.Group, at.Group))
	if order <= 0 {
		return -1
	}
	return 1
}
