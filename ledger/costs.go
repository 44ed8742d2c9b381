package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"weir/costs"
)

// costKeys and costFigures are the columns of the rollups behind the hour or
// the day: what a row is of, and what it adds up, in the order of costSum.
const (
	costKeys    = "project_id, key_id, customer, feature, provider, model, prompt, tags, source"
	costFigures = `calls, attempts, input, cache_read, cache_write, output, reasoning, wasted_attempts, compared, drifted, cached, cache_known, cost_nano, cost_atto,
	list_nano, list_atto, charged_nano, charged_atto, wasted_nano, wasted_atto, drift_nano, drift_atto, book_nano, book_atto,
	saved_nano, saved_atto`
)

// eachFigure is a list with a part for each figure.
func eachFigure(part func(column string) string) string {
	var list []string
	for column := range strings.FieldsFuncSeq(costFigures, func(r rune) bool { return r == ',' || r <= ' ' }) {
		list = append(list, part(column))
	}
	return strings.Join(list, ", ")
}

var (
	upsertCostHour = upsertCost("costs_hourly (hour, ")
	upsertCostDay  = upsertCost("costs_daily (day, ")
)

func upsertCost(into string) string {
	return "INSERT INTO " + into + costKeys + ", " + costFigures + ") VALUES (?,?,?,?,?,?,?,?,?,?," +
		eachFigure(func(string) string { return "?" }) + ") ON CONFLICT DO UPDATE SET " +
		eachFigure(func(column string) string { return column + " = " + column + " + excluded." + column })
}

// Tags are a dimension as long as they are no longer than this, as JSON. Those
// that are longer are one group.
const (
	maxTagsText = 512 // bytes; migration 0004 says it, too
	longTags    = "~"
)

// A costKey is a row of costs_hourly.
type costKey struct {
	hour                                                                   int64
	project, key, customer, feature, provider, model, prompt, tags, source string
}

// daily is the key of the row of costs_daily that an hour belongs to.
func (k costKey) daily() costKey {
	const day = int64(24 * time.Hour / time.Microsecond)
	k.hour -= k.hour % day
	return k
}

// A costSum is what a row of the rollups adds up. Token counts are disjoint.
type costSum [numFigures]int64

// The figures. Amounts are two of them, nano and atto.
const (
	figCalls = iota
	figAttempts
	figInput
	figCacheRead
	figCacheWrite
	figOutput
	figReasoning
	figWastedAttempts
	figCompared
	figDrifted
	figCached
	figCacheKnown
	figCost
	figList    = figCost + 2
	figCharged = figList + 2
	figWasted  = figCharged + 2
	figDrift   = figWasted + 2
	figBook    = figDrift + 2
	figSaved   = figBook + 2
	numFigures = figSaved + 2
)

func (s *costSum) add(o *costSum) {
	for i, n := range o {
		s[i] = addUp(s[i], n)
	}
}

func (s *costSum) count(figure int, n int64) { s[figure] = addUp(s[figure], n) }

func (s *costSum) setMoney(figure int, m costs.Money) { s[figure], s[figure+1] = m.Parts() }

func (s *costSum) money(figure int) costs.Money { return costs.MoneyOf(s[figure], s[figure+1]) }

func (s *costSum) negate() {
	for i := range s {
		s[i] = -s[i]
	}
}

// A costWriter adds to the rollups, in a transaction.
type costWriter struct {
	hour, day *sql.Stmt
	sums      map[costKey]*costSum
}

// add counts a call and its attempts; with a sign of -1 it takes them out. The
// call is counted once, with its last attempt; one that was tried by a process
// that died counts as one attempt.
func (w *costWriter) add(c *Call, tags string, sign int) {
	if len(tags) > maxTagsText {
		tags = longTags
	}
	k := costKey{
		hour: c.Start.Truncate(time.Hour).UnixMicro(), project: c.ProjectID, key: c.KeyID, customer: c.Customer, feature: c.Feature, tags: tags,
	}
	put := func(s *costSum) {
		if sign < 0 {
			s.negate()
		}
		if have := w.sums[k]; have != nil {
			have.add(s)
			return
		}
		w.sums[k] = s
	}
	if len(c.Attempts) == 0 {
		s := &costSum{figCalls: 1}
		if c.Outcome == Interrupted {
			k.source, s[figAttempts], s[figWastedAttempts] = string(CostUnpriced), 1, 1
		}
		put(s)
		return
	}
	for i := range c.Attempts {
		a := &c.Attempts[i]
		k.provider, k.model, k.source = a.Provider, a.Model, string(a.CostSource)
		s := a.sum(c.wasted(i))
		if i == len(c.Attempts)-1 {
			s[figCalls] = 1
		}
		put(s)
	}
}

// sum is what one attempt adds to the rollups.
func (a *Attempt) sum(wasted bool) *costSum {
	s := &costSum{figAttempts: 1}
	for m, n := range a.Usage.All {
		switch {
		case m == costs.InputCacheRead, m == costs.InputCacheReadAudio, m == costs.InputCacheReadImage, m == costs.InputCacheReadVideo:
			s.count(figCacheRead, n)
		case m == costs.InputCacheWrite, m == costs.InputCacheWrite5m, m == costs.InputCacheWrite30m, m == costs.InputCacheWrite1h, m == costs.InputCacheWrite12h:
			s.count(figCacheWrite, n)
		case m.IsInput():
			s.count(figInput, n)
		case m == costs.OutputReasoning:
			s.count(figReasoning, n)
		case m.IsOutput():
			s.count(figOutput, n)
		}
	}
	s.setMoney(figCost, a.Cost.Money)
	s.setMoney(figList, a.List.Money)
	s.setMoney(figCharged, a.Charged.Money)
	if wasted {
		s[figWastedAttempts] = 1
		s.setMoney(figWasted, a.Cost.Money)
	}
	if saved, cached, known := a.cacheSaving(); cached {
		s[figCached] = 1
		if known {
			s[figCacheKnown] = 1
			s.setMoney(figSaved, saved)
		}
	}
	if a.Charged.Known && a.Computed.Known {
		s[figCompared] = 1
		s.setMoney(figDrift, a.Charged.Sub(a.Computed.Money))
		s.setMoney(figBook, a.Computed.Money)
		if a.Drifts() {
			s[figDrifted] = 1
		}
	}
	return s
}

// write stores what was added and forgets it.
func (w *costWriter) write(ctx context.Context) error {
	days := make(map[costKey]*costSum, len(w.sums))
	for k, s := range w.sums {
		if err := putCosts(ctx, w.hour, k, s); err != nil {
			return err
		}
		if d := days[k.daily()]; d != nil {
			d.add(s)
			continue
		}
		copied := *s
		days[k.daily()] = &copied
	}
	for k, s := range days {
		if err := putCosts(ctx, w.day, k, s); err != nil {
			return err
		}
	}
	clear(w.sums)
	return nil
}

func putCosts(ctx context.Context, stmt *sql.Stmt, k costKey, s *costSum) error {
	args := append(make([]any, 0, 10+numFigures), k.hour, k.project, k.key, k.customer, k.feature, k.provider, k.model, k.prompt, k.tags, k.source)
	for _, n := range s {
		args = append(args, n)
	}
	if _, err := stmt.ExecContext(ctx, args...); err != nil {
		return fmt.Errorf("add to the costs of an hour: %w", err)
	}
	return nil
}
