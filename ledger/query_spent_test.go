package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"weir/costs"
)

// spentCalls are priced calls of ten days about the change of New York's
// clocks, by the microsecond, many of them at the edges of hours.
func spentCalls(dice *rand.Rand, n int) []*Call {
	start := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	calls := pricedCalls(dice, n)
	for i, c := range calls {
		c.Start = start.Add(time.Duration(dice.Int64N(10*24*3600*1e6)) * time.Microsecond)
		if dice.IntN(3) == 0 {
			c.Start = c.Start.Truncate(30 * time.Minute).Add(time.Duration(dice.IntN(3)-1) * time.Microsecond)
		}
		c.ID = fmt.Sprintf("call_%012x%020x", c.Start.UnixMilli()+dice.Int64N(2000)-1000, i)
		c.User, c.AskedModel = []string{"", "u1", "u2 ü\"<"}[dice.IntN(3)], []string{"", "fast", "slow"}[dice.IntN(3)]
		if dice.IntN(12) == 0 {
			c.Attempts, c.Outcome = nil, []Outcome{Interrupted, Failed}[dice.IntN(2)]
		}
		if len(c.Attempts) > 0 && dice.IntN(3) == 0 {
			a := c.Attempts[0]
			a.N, a.Provider, a.Charge = len(c.Attempts)+1, "three", variedCharge(dice)
			c.Attempts = append(c.Attempts, a)
		}
		c.settle()
		c.AttemptCount = len(c.Attempts)
	}
	return calls
}

// spentOf is what Spent says, without SQL.
func spentOf(calls []*Call, query SpentQuery) []Spent {
	type key struct{ project, value string }
	sums := map[key]*Spent{}
	shared := slices.Contains([]string{"global", "model", "provider", "target"}, query.Scope)
	for _, c := range calls {
		if c.Start.Before(query.Since) || !query.Until.IsZero() && !c.Start.Before(query.Until) || query.Project != nil && *query.Project != c.ProjectID {
			continue
		}
		attempts := c.Attempts
		if len(attempts) == 0 {
			attempts = []Attempt{{}}
			if c.Outcome == Interrupted {
				attempts[0].CostSource = CostUnpriced
			}
		}
		for i, a := range attempts {
			target := ""
			if a.Provider != "" {
				target = a.Provider + "/" + a.Model
			}
			k := key{c.ProjectID, map[string]string{
				"project": c.ProjectID, "key": c.KeyID, "customer": c.Customer, "feature": c.Feature, "user": c.User, "session": c.Session,
				"tag": c.Tags[query.Tag], "model": c.AskedModel, "provider": a.Provider, "target": target,
			}[query.Scope]}
			if k.value == "" && query.Scope != "global" || query.Value != "" && query.Value != k.value {
				continue
			}
			if shared {
				k.project = ""
			}
			s := sums[k]
			if s == nil {
				s = &Spent{Project: k.project, Value: k.value}
				sums[k] = s
			}
			s.Cost = s.Cost.Add(a.Cost.Money)
			if a.CostSource == CostUnpriced {
				s.Unpriced++
			}
			if i == len(attempts)-1 {
				s.Calls++
			}
		}
	}
	var out []Spent
	for _, s := range sums {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Spent) int {
		return cmp.Or(b.Cost.Cmp(a.Cost), cmp.Compare(b.Unpriced, a.Unpriced), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Value, b.Value))
	})
	if query.Limit > 0 && len(out) > query.Limit {
		out = out[:query.Limit]
	}
	return out
}

// periods are days, weeks and months of a zone, and stretches that are cut
// anywhere.
func periods(dice *rand.Rand, zone *time.Location) (out [][2]time.Time) {
	for day := 2; day < 14; day += 2 {
		d := time.Date(2026, 3, day, 0, 0, 0, 0, zone)
		out = append(out, [2]time.Time{d, d.AddDate(0, 0, 1)}, [2]time.Time{d, d.AddDate(0, 0, 7)})
	}
	month := time.Date(2026, 3, 1, 0, 0, 0, 0, zone)
	at := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC).Add(time.Duration(dice.Int64N(1e14)))
	return append(out, [2]time.Time{month, month.AddDate(0, 1, 0)}, [2]time.Time{}, [2]time.Time{at}, [2]time.Time{{}, at},
		[2]time.Time{at, at.Add(20 * time.Minute)}, [2]time.Time{at, at.Add(70 * time.Minute)}, [2]time.Time{at, at})
}

// What a scope has spent in a period is what its calls say, to the digit and
// the microsecond: by rollups and rows, with adjustments, and with what is in
// the spool alone, or in both.
func TestSpentEqualsCalls(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	spool := filepath.Join(dir, "spool")
	r := openRecorder(t, RecorderOptions{Dir: spool, DB: db})
	dice := rand.New(rand.NewPCG(11, 4))
	n := 300
	if racing {
		n = 50 // SQLite is 20 times slower then
	}
	calls := spentCalls(dice, 3*n)
	for _, c := range calls[:2*n] {
		recordAll(t, r, c)
	}
	flush(t, r)
	repriceUnpriced(t, db, calls[:2*n], costs.MoneyOf(3, 14))
	mustExec(t, db, `ALTER TABLE calls_hourly RENAME TO calls_hourly_away`) // the store takes no more
	for _, c := range calls[2*n-30:] {
		recordAll(t, r, c)
	}
	q := NewCalls(db, spool)
	check := func(query SpentQuery) {
		t.Helper()
		got, err := q.Spent(t.Context(), query)
		if want := spentOf(calls, query); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %v\ngot  %+v\nwant %+v", query, err, got, want)
		}
	}
	project := "proj_1"
	for scope := range spentScopes {
		for _, name := range []string{"UTC", "Asia/Kolkata", "America/New_York"} {
			zone, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range periods(dice, zone) {
				query := SpentQuery{Scope: scope, Since: p[0], Until: p[1]}
				if scope == "tag" {
					query.Tag = "team"
				}
				check(query)
			}
		}
		query := SpentQuery{Scope: scope, Project: &project, Limit: 2, Since: calls[0].Start, Until: calls[0].Start.AddDate(0, 0, 3)}
		if scope == "tag" {
			query.Tag = "team"
		}
		check(query)
		query.Value = map[string]string{
			"project": "proj_1", "key": "key_2", "customer": "a", "feature": "chat", "user": "u2 ü\"<", "session": "s1", "tag": "b", "model": "fast",
			"provider": "three", "target": "one/n",
		}[scope]
		query.Limit = 0
		check(query)
	}
	mustExec(t, db, `ALTER TABLE calls_hourly_away RENAME TO calls_hourly`)
	flush(t, r)
	check(SpentQuery{Scope: "customer"})
	check(SpentQuery{Scope: "tag", Tag: "team"})
}

func TestSpentRefuses(t *testing.T) {
	q := NewCalls(openStore(t, t.TempDir()), "")
	for _, query := range []SpentQuery{{}, {Scope: "colour"}, {Scope: "tag"}, {Scope: "key", Tag: "team"}} {
		_, err := q.Spent(t.Context(), query)
		if !errors.Is(err, ErrSpentQuery) || !strings.Contains(err.Error(), "scope") {
			t.Errorf("%+v: %v", query, err)
		}
	}
}
