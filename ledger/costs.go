package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"weir/costs"
)

const costColumns = `project_id, key_id, customer, feature, provider, model, prompt, tags, source, calls, attempts, input, cache_read,
	cache_write, output, reasoning, cost_nano, cost_atto, list_nano, list_atto, charged_nano, charged_atto, wasted_nano, wasted_atto)
	VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
	attempts = attempts + excluded.attempts, input = input + excluded.input, cache_read = cache_read + excluded.cache_read,
	cache_write = cache_write + excluded.cache_write, output = output + excluded.output, reasoning = reasoning + excluded.reasoning,
	cost_nano = cost_nano + excluded.cost_nano, cost_atto = cost_atto + excluded.cost_atto,
	list_nano = list_nano + excluded.list_nano, list_atto = list_atto + excluded.list_atto,
	charged_nano = charged_nano + excluded.charged_nano, charged_atto = charged_atto + excluded.charged_atto,
	wasted_nano = wasted_nano + excluded.wasted_nano, wasted_atto = wasted_atto + excluded.wasted_atto`

const (
	upsertCostHour = `INSERT INTO costs_hourly (hour, ` + costColumns
	upsertCostDay  = `INSERT INTO costs_daily (day, ` + costColumns
)

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
type costSum struct {
	calls, attempts                                 int64
	input, cacheRead, cacheWrite, output, reasoning int64
	money                                           [4][2]int64 // cost, list, charged, wasted: nano and atto
}

func (s *costSum) add(o *costSum) {
	s.calls += o.calls
	s.attempts += o.attempts
	s.input = addUp(s.input, o.input)
	s.cacheRead = addUp(s.cacheRead, o.cacheRead)
	s.cacheWrite = addUp(s.cacheWrite, o.cacheWrite)
	s.output = addUp(s.output, o.output)
	s.reasoning = addUp(s.reasoning, o.reasoning)
	for i := range s.money {
		for j := range s.money[i] {
			s.money[i][j] += o.money[i][j]
		}
	}
}

func (s *costSum) negate() {
	for _, n := range []*int64{&s.calls, &s.attempts, &s.input, &s.cacheRead, &s.cacheWrite, &s.output, &s.reasoning} {
		*n = -*n
	}
	for i := range s.money {
		s.money[i][0], s.money[i][1] = -s.money[i][0], -s.money[i][1]
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
		s := &costSum{calls: 1}
		if c.Outcome == Interrupted {
			k.source, s.attempts = string(CostUnpriced), 1
		}
		put(s)
		return
	}
	for i := range c.Attempts {
		a := &c.Attempts[i]
		k.provider, k.model, k.source = a.Provider, a.Model, string(a.CostSource)
		s := a.sum(c.wasted(i))
		if i == len(c.Attempts)-1 {
			s.calls = 1
		}
		put(s)
	}
}

// sum is what one attempt adds to the rollups.
func (a *Attempt) sum(wasted bool) *costSum {
	s := &costSum{attempts: 1}
	for m, n := range a.Usage.All {
		switch {
		case m == costs.InputCacheRead, m == costs.InputCacheReadAudio, m == costs.InputCacheReadImage, m == costs.InputCacheReadVideo:
			s.cacheRead = addUp(s.cacheRead, n)
		case m == costs.InputCacheWrite, m == costs.InputCacheWrite5m, m == costs.InputCacheWrite30m, m == costs.InputCacheWrite1h, m == costs.InputCacheWrite12h:
			s.cacheWrite = addUp(s.cacheWrite, n)
		case m.IsInput():
			s.input = addUp(s.input, n)
		case m == costs.OutputReasoning:
			s.reasoning = addUp(s.reasoning, n)
		case m.IsOutput():
			s.output = addUp(s.output, n)
		}
	}
	for i, m := range []Amount{a.Cost, a.List, a.Charged} {
		s.money[i][0], s.money[i][1] = m.Parts()
	}
	if wasted {
		s.money[3] = s.money[0]
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
	m := &s.money
	_, err := stmt.ExecContext(ctx, k.hour, k.project, k.key, k.customer, k.feature, k.provider, k.model, k.prompt, k.tags, k.source,
		s.calls, s.attempts, s.input, s.cacheRead, s.cacheWrite, s.output, s.reasoning,
		m[0][0], m[0][1], m[1][0], m[1][1], m[2][0], m[2][1], m[3][0], m[3][1])
	if err != nil {
		return fmt.Errorf("add to the costs of an hour: %w", err)
	}
	return nil
}
