package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/costs"
)

// A CallCost says how much single calls cost: a mean hides the dear ones.
type CallCost struct {
	Calls         int64       // of which it is known what they cost; without any there are no figures
	Newest        bool        // they are the newest ones of the query; not all were looked at
	P50, P90, P99 costs.Money // of the calls, so many percent cost at most this
}

const (
	// maxCallCosts and callCostTime bound what is looked at for CallCost.
	maxCallCosts = 100_000
	callCostTime = time.Second / 2
	// maxAdjusted bounds how many of them are summed from their attempts.
	maxAdjusted = 5000
)

// CallCost looks at the calls of a query, the newest first, for up to
// half a second. What it says is exact for the calls that it counts.
func (q *Calls) CallCost(ctx context.Context, query CostQuery) (CallCost, error) {
	f, ok, err := query.filter()
	if err != nil || !ok {
		return CallCost{}, err
	}
	return q.callCost(ctx, f, callCostTime)
}

func (q *Calls) callCost(ctx context.Context, f Filter, most time.Duration) (out CallCost, err error) {
	short, stop := context.WithTimeout(ctx, most)
	defer stop()
	amounts, adjusted, cut, err := q.callCosts(short, f)
	if err == nil && len(adjusted) > 0 {
		var more []costs.Money
		more, err = q.adjustedCosts(ctx, adjusted)
		amounts = append(amounts, more...)
	}
	if err != nil {
		return out, fmt.Errorf("read what calls cost: %w", err)
	}
	out.Calls, out.Newest = int64(len(amounts)), cut
	if len(amounts) == 0 {
		return out, nil
	}
	slices.SortFunc(amounts, costs.Money.Cmp)
	rank := func(percent int) costs.Money { return amounts[(len(amounts)*percent+99)/100-1] }
	out.P50, out.P90, out.P99 = rank(50), rank(90), rank(99)
	return out, nil
}

// callCosts reads what calls cost that have no adjustments, and the ids of those
// that have some. cut: the time, or the count, was not enough for all.
func (q *Calls) callCosts(ctx context.Context, f Filter) (amounts []costs.Money, adjusted []string, cut bool, err error) {
	text, args := (&Query{Filter: f}).statement("", maxCallCosts+1)
	text = "SELECT id, cost_nano, cost_atto, EXISTS (SELECT 1 FROM cost_adjustments AS d WHERE d.call_id = calls.id)" +
		strings.TrimPrefix(text, "SELECT "+callColumns)
	late := func(err error) bool { return err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) }
	rows, err := q.db.Reader().QueryContext(ctx, text, args...)
	if err != nil {
		if late(err) {
			return nil, nil, true, nil
		}
		return nil, nil, false, err
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	for n := 0; rows.Next(); n++ {
		if n == maxCallCosts || len(adjusted) == maxAdjusted {
			return amounts, adjusted, true, nil
		}
		var id string
		var nano, atto *int64
		var changed bool
		if err := rows.Scan(&id, &nano, &atto, &changed); err != nil {
			return nil, nil, false, err
		}
		switch amount := amountOf(nano, atto); {
		case changed:
			adjusted = append(adjusted, id)
		case amount.Known:
			amounts = append(amounts, amount.Money)
		}
	}
	if err := rows.Err(); err != nil && !late(err) {
		return nil, nil, false, err
	}
	return amounts, adjusted, ctx.Err() != nil, nil
}

// adjustedCosts are those of calls as they are known by now.
func (q *Calls) adjustedCosts(ctx context.Context, ids []string) (amounts []costs.Money, err error) {
	for page := range slices.Chunk(ids, pageSize) {
		list, err := json.Marshal(page)
		if err != nil {
			return nil, err
		}
		calls, err := callsWhere(ctx, q.db.Reader(), "id IN (SELECT value FROM json_each(?))", string(list))
		if err != nil {
			return nil, err
		}
		for _, c := range calls {
			if c.Cost.Known {
				amounts = append(amounts, c.Cost.Money)
			}
		}
	}
	return amounts, nil
}

// filter is the calls that a query sums; false: there are none.
func (query *CostQuery) filter() (f Filter, ok bool, err error) {
	f.Since, f.Until = query.Since, query.Until
	for name, value := range query.Where {
		if _, _, err := costColumn(name); err != nil {
			return f, false, err
		}
		tag, isTag := strings.CutPrefix(name, "tag:")
		to := map[string]*string{
			"project": &f.Project, "key": &f.Key, "customer": &f.Customer, "feature": &f.Feature, "provider": &f.TriedAt, "model": &f.TriedModel,
			"source": (*string)(&f.CostSource), "tags": &f.AllTags,
		}[name]
		switch {
		case name == "prompt" && value == "": // which no call has so far
		case name == "prompt":
			return f, false, nil
		case value == "":
			f.Without = append(f.Without, name)
		case isTag && value == longTags:
			f.AllTags = longTags
		case isTag:
			if f.Tags == nil {
				f.Tags = map[string]string{}
			}
			f.Tags[tag] = value
		default:
			*to = value
		}
	}
	return f, true, nil
}
