package report

import (
	"encoding/json"
	"io"
	"time"

	"weir/costs"
)

// A CallCost says how much single calls cost: so many percent of those that
// were looked at, P50, P90 and P99, cost at most this.
type CallCost struct {
	Calls  int64       `json:"calls"`  // that were looked at and have a cost; without any there are no figures
	Newest bool        `json:"newest"` // they are the newest ones, not all
	P50    costs.Money `json:"p50_usd"`
	P90    costs.Money `json:"p90_usd"`
	P99    costs.Money `json:"p99_usd"`
}

// A landing is a forecast as machines read it.
type landing struct {
	Month   string       `json:"month"`
	Method  Method       `json:"method"`
	ToDate  costs.Money  `json:"to_date_usd"`
	P10     costs.Money  `json:"p10_usd"`
	P50     costs.Money  `json:"p50_usd"`
	P90     costs.Money  `json:"p90_usd"`
	History int          `json:"history_days"`
	Tests   int          `json:"back_tests"`
	Error   *float64     `json:"back_test_error"` // a part of 1; null: there was no past to try it on
	Unknown int64        `json:"unpriced_attempts"`
	Budget  *costs.Money `json:"budget_usd,omitempty"`
}

type moved struct {
	ID string `json:"id"`
	Mover
	Cause   string `json:"cause"`
	Command string `json:"calls_command"`
}

type idleLine struct {
	ID string `json:"id"`
	Idle
}

type dayCost struct {
	Day      string       `json:"day"`
	Cost     *costs.Money `json:"cost_usd"` // null: not known
	Unpriced int64        `json:"unpriced_attempts"`
}

type object struct {
	Since     time.Time         `json:"since"`
	Until     time.Time         `json:"until"`
	At        time.Time         `json:"at"`
	TimeZone  string            `json:"tz"`
	Where     map[string]string `json:"where,omitempty"`
	Total     Record            `json:"total"`
	CallCost  *CallCost         `json:"call_cost"` // null: no call has a known cost
	Forecast  *landing          `json:"forecast"`  // null: there is nothing to go by
	Days      []dayCost         `json:"days"`
	Compared  *compared         `json:"compared_with"` // null: there were no calls then
	Movers    []moved           `json:"movers"`
	Unpriced  []Record          `json:"unpriced"` // models without a price
	Idle      []idleLine        `json:"idle"`     // one's own GPUs
	Rows      []Row             `json:"rows"`
	WasteList string            `json:"wasted_calls_command"`
}

type compared struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	By    string    `json:"by"`
}

// WriteJSON writes all of the report as one JSON object. Amounts are exact,
// but for the forecast's; what is unknown is null.
func (r *Report) WriteJSON(w io.Writer) error {
	out := object{
		Since: r.Since, Until: r.Until, At: r.Now, TimeZone: r.Now.Location().String(), Where: r.filter, Total: (&Row{Sum: r.Total, Command: r.Command}).Record(),
		Days: []dayCost{}, Movers: []moved{}, Unpriced: []Record{}, Idle: []idleLine{}, Rows: append([]Row{}, r.Rows()...), WasteList: r.WasteCommand(),
	}
	if r.CallCost.Calls > 0 {
		out.CallCost = &r.CallCost
	}
	if f := &r.Forecast; f.Method != NoForecast {
		out.Forecast = &landing{
			r.Now.Format("2006-01"), f.Method, f.ToDate, f.P10, f.P50, f.P90, f.History, f.Tests, nil, r.Unknown, r.Budget,
		}
		if f.Tests > 0 {
			out.Forecast.Error = &f.Error
		}
	}
	for i := range r.daily {
		d := &r.daily[i]
		day := dayCost{d.Start.In(r.Now.Location()).Format(time.DateOnly), nil, d.Unpriced}
		if Known(d) {
			day.Cost = &d.Cost
		}
		out.Days = append(out.Days, day)
	}
	if r.Compared {
		out.Compared = &compared{r.Since.Add(-r.Until.Sub(r.Since)), r.Since, r.MoversBy}
	}
	for _, m := range r.Movers {
		out.Movers = append(out.Movers, moved{r.MoversBy + "=" + m.Group, m, m.Cause(), r.MoverCommand(m)})
	}
	for i := range r.Unpriced {
		out.Unpriced = append(out.Unpriced, r.Unpriced[i].Record())
	}
	for i := range r.Idle {
		out.Idle = append(out.Idle, idleLine{r.Idle[i].ID(), r.Idle[i]})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
