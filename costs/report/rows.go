package report

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"weir/costs"
)

// Rows are all rows of all tables, one after the other, for machines.
func (r *Report) Rows() []Row {
	var rows []Row
	for _, t := range r.Tables {
		rows = append(rows, t.Rows...)
	}
	return rows
}

// A Field is a column of rows for machines. What is unknown is empty.
type Field struct {
	Name string
	Text func(*Row) string
}

// Fields are the columns of rows for machines. Amounts are exact.
func (r *Report) Fields() []Field {
	amount := func(of func(*costs.Sum) costs.Money) func(*Row) string {
		return func(row *Row) string { return of(&row.Sum).String() }
	}
	count := func(of func(*costs.Sum) int64) func(*Row) string {
		return func(row *Row) string { return strconv.FormatInt(of(&row.Sum), 10) }
	}
	fields := []Field{
		{"by", func(row *Row) string { return row.by() }},
		{"group", func(row *Row) string { return row.group() }},
		{"calls", count(func(s *costs.Sum) int64 { return s.Calls })},
		{"attempts", count(func(s *costs.Sum) int64 { return s.Attempts })},
		{"input_tokens", count(inputTokens)},
		{"output_tokens", count(outputTokens)},
		{"cost_usd", func(row *Row) string { return optional(row.cost()) }},
		{"cost_per_call_usd", func(row *Row) string { return optional(row.perCall()) }},
		{"list_usd", amount(func(s *costs.Sum) costs.Money { return s.List })},
		{"wasted_usd", amount(func(s *costs.Sum) costs.Money { return s.Wasted })},
		{"estimated_usd", amount(func(s *costs.Sum) costs.Money { return s.Estimated })},
		{"unpriced_attempts", count(func(s *costs.Sum) int64 { return s.Unpriced })},
		{"wasted_attempts", count(func(s *costs.Sum) int64 { return s.WastedAttempts })},
		{"cache_saved_usd", func(row *Row) string { return optional(row.saved()) }},
		{"drift_usd", amount(func(s *costs.Sum) costs.Money { return s.Drift })},
	}
	if r.hasRevenue() {
		fields = append(fields,
			Field{"revenue_usd", func(row *Row) string { return optional(row.Income) }},
			Field{"margin_usd", func(row *Row) string { return optional(row.margin()) }})
	}
	return append(fields, Field{"calls_command", func(row *Row) string { return row.Command }})
}

func (r *Report) hasRevenue() bool {
	for _, t := range r.Tables {
		if t.HasRevenue {
			return true
		}
	}
	return false
}

func optional(m *costs.Money) string {
	if m == nil {
		return ""
	}
	return m.String()
}

func inputTokens(s *costs.Sum) int64 {
	n, _ := s.Usage.Input()
	return n
}

func outputTokens(s *costs.Sum) int64 {
	n, _ := s.Usage.Output()
	return n
}

func (r *Row) by() string {
	if len(r.By) == 0 {
		return "total"
	}
	return strings.Join(r.By, "+")
}

// group is the row's values, as they are; of several, with " + " between them.
func (r *Row) group() string {
	if r.More > 0 {
		return r.Name()
	}
	return strings.Join(r.Group, " + ")
}

func (r *Row) cost() *costs.Money {
	if !Known(&r.Sum) {
		return nil
	}
	return &r.Sum.Cost
}

// saved is what caches saved; nil: there were some, and it is of none known.
func (r *Row) saved() *costs.Money {
	if r.Sum.Cached > 0 && r.Sum.CacheKnown == 0 {
		return nil
	}
	return &r.Sum.Saved
}

func (r *Row) perCall() *costs.Money {
	if m, ok := PerCall(&r.Sum); ok {
		return &m
	}
	return nil
}

func (r *Row) margin() *costs.Money {
	if m, ok := r.Margin(); ok {
		return &m
	}
	return nil
}

// A Record is a row as machines read it. Amounts are exact; what is unknown is null.
type Record struct {
	ID             string            `json:"id"`
	Start          time.Time         `json:"start,omitzero"` // of its day or its hour
	By             string            `json:"by"`
	Group          string            `json:"group"`
	Groups         map[string]string `json:"groups,omitempty"`
	More           int64             `json:"groups_folded,omitempty"`
	Calls          int64             `json:"calls"` // each once, at its last attempt
	Attempts       int64             `json:"attempts"`
	Usage          costs.Usage       `json:"usage"`
	Cost           *costs.Money      `json:"cost_usd"`
	PerCall        *costs.Money      `json:"cost_per_call_usd"`
	List           costs.Money       `json:"list_usd"`
	Charged        costs.Money       `json:"charged_usd"`
	Wasted         costs.Money       `json:"wasted_usd"`
	WastedAttempts int64             `json:"wasted_attempts"`
	Estimated      costs.Money       `json:"estimated_usd"`
	Guessed        int64             `json:"estimated_attempts"`
	Unpriced       int64             `json:"unpriced_attempts"`
	DriftUSD       costs.Money       `json:"drift_usd"` // providers' own figures less the book's
	Compared       int64             `json:"compared_attempts"`
	Drifted        int64             `json:"drifted_attempts"`
	Cached         int64             `json:"cached_attempts"` // with input that was read from a vendor's cache, or written to it
	CacheKnown     int64             `json:"cached_known_attempts"`
	Saved          *costs.Money      `json:"cache_saved_usd"` // over those that it is known of
	Revenue        *costs.Money      `json:"revenue_usd,omitempty"`
	Margin         *costs.Money      `json:"margin_usd,omitempty"`
	Command        string            `json:"calls_command,omitempty"`
}

// Record is the row with its id.
func (r *Row) Record() Record {
	s := &r.Sum
	out := Record{
		ID: r.ID(), By: r.by(), Group: r.group(), More: int64(r.More), Calls: s.Calls, Attempts: s.Attempts, Usage: s.Usage,
		Cost: r.cost(), PerCall: r.perCall(), List: s.List, Charged: s.Charged, Wasted: s.Wasted, WastedAttempts: s.WastedAttempts,
		Estimated: s.Estimated, Guessed: s.Guessed, Unpriced: s.Unpriced, DriftUSD: s.Drift, Compared: s.Compared, Drifted: s.Drifted,
		Cached: s.Cached, CacheKnown: s.CacheKnown, Saved: r.saved(), Revenue: r.Income, Margin: r.margin(), Command: r.Command,
	}
	if r.More > 0 || len(r.By) == 0 {
		return out
	}
	out.Start, out.Groups = s.Start, make(map[string]string, len(r.By))
	for i, by := range r.By {
		out.Groups[by] = r.Group[i]
	}
	return out
}

// MarshalJSON writes the row's Record.
func (r Row) MarshalJSON() ([]byte, error) { return json.Marshal(r.Record()) }
