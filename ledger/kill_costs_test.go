package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/costs"
	"weir/internal/sqldb"
)

// victimDeed says what the process that is killed does, and a number: "ship 3".
const victimDeed = "WEIR_LEDGER_DEED"

// runDeed does what the parent asks for, says a line for each step, and "done".
func runDeed(dir, deed string) {
	verb, number, _ := strings.Cut(deed, " ")
	n, err := strconv.Atoi(number)
	db, failed := sqldb.Open("sqlite:" + filepath.Join(dir, "weir.db"))
	if err = errors.Join(err, failed); err == nil {
		say("ready", "")
		switch verb {
		case "ship":
			err = shipPriced(dir, db, n)
		case "share":
			err = runSharer(dir, db, n)
		case "rebuild":
			_, err = RebuildCosts(context.Background(), db, func(hours int64) { say("hour", fmt.Sprint(hours)) })
		case "reprice":
			o := repricing(n)
			o.Progress = func(calls int64) { say("page", fmt.Sprint(calls)) }
			_, err = Reprice(context.Background(), db, o)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	say("done", "")
}

// shipPriced records priced calls for ever and ships them all the while.
func shipPriced(dir string, db *sqldb.DB, run int) error {
	r, err := OpenRecorder(RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db, Log: silent, segmentSize: 16 << 10, keepEvery: 3 * time.Millisecond})
	if err != nil {
		return err
	}
	go func() {
		for {
			_ = r.Flush(context.Background()) // what fails is shipped by the next one
		}
	}()
	for _, c := range shippedCalls(run) {
		if err := r.Opened(c); err != nil {
			return err
		}
		if err := r.Closed(c); err != nil {
			return err
		}
		say("closed", c.ID)
		time.Sleep(200 * time.Microsecond) // batches are small, and many
	}
	select {}
}

// shippedCalls are those of one run: always the same.
func shippedCalls(run int) []*Call {
	calls := pricedCalls(rand.New(rand.NewPCG(uint64(run), 5)), 500)
	for i, c := range calls {
		c.ID = fmt.Sprintf("call_%012x%08x%012x", c.Start.UnixMilli(), run, i)
	}
	return calls
}

// repricing prices everything anew, at a price of that number's own.
func repricing(n int) Repricing {
	price := costs.MoneyOf(int64(n), 14)
	return Repricing{All: true, Reason: fmt.Sprint("run ", n), Price: func(_ *Call, a *Attempt) Charge {
		return Settle(&costs.Charge{Status: costs.Priced, List: price, Contracted: price, Book: fmt.Sprint("b", n)}, a.Charged, a.UsageSource)
	}}
}

// killDoing lets a process do something and kills it a little after so many
// lines, or when it is done. It returns what was said in whole lines.
func killDoing(t *testing.T, dir, deed string, lines int, later time.Duration) (said []string, killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir, victimDeed+"="+deed)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break
		}
		if said = append(said, strings.TrimSpace(line)); len(said) == lines+1 {
			timer := time.AfterFunc(later, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
		}
	}
	_, _ = io.Copy(io.Discard, in)
	err = cmd.Wait()
	if len(said) == 0 || said[0] != "ready" {
		t.Fatalf("%s: the victim says %q: %v", deed, said, err)
	}
	return said, said[len(said)-1] != "done"
}

// checkMoney checks that the rollups are the sums of the rows, that they are
// what a rebuild makes of them, and returns the calls.
func checkMoney(t *testing.T, db *sqldb.DB) []*Call {
	t.Helper()
	q := NewCalls(db, "")
	calls, err := q.List(t.Context(), Query{Attempts: true})
	if err != nil {
		t.Fatal(err)
	}
	every := func(*Call, *Attempt) bool { return true }
	for _, by := range [][]string{nil, {"hour", "source"}, {"day", "customer"}} {
		checkCosts(t, q, CostQuery{By: by}, calls, every)
	}
	if got, err := RebuildCosts(t.Context(), db, nil); err != nil || got.Wrong != 0 {
		t.Errorf("a rebuild finds %d hours wrong: %v", got.Wrong, err)
	}
	return calls
}

// However often a server is killed while it ships, no call's money is lost and
// none is counted twice.
func TestKilledShippingMoney(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	dice := rand.New(rand.NewPCG(2, 2))
	want := map[string]*Call{}
	runs := 20
	if racing {
		runs = 3 // SQLite is 20 times slower then
	}
	for run := range runs {
		said, _ := killDoing(t, dir, fmt.Sprint("ship ", run), 1+dice.IntN(400), time.Duration(dice.IntN(20))*time.Millisecond)
		calls := map[string]*Call{}
		for _, c := range shippedCalls(run) {
			calls[c.ID] = c
		}
		for _, line := range said {
			if id, ok := strings.CutPrefix(line, "closed "); ok {
				want[id] = calls[id]
			}
		}
	}
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	flush(t, r)
	calls := checkMoney(t, db)
	have := map[string]*Call{}
	for _, c := range calls {
		have[c.ID] = c
	}
	for id, c := range want {
		if got := have[id]; got == nil || got.Outcome != c.Outcome || got.Cost != c.Cost || got.CostSource != c.CostSource {
			t.Errorf("%s was acknowledged as %v %v, and is stored as %+v", id, c.Cost, c.CostSource, got)
		}
	}
	if len(want) == 0 || len(have) != len(calls) || len(calls) > len(want)+2*runs {
		t.Errorf("%d calls in the store, %d were acknowledged", len(calls), len(want))
	}
	t.Logf("%d kills, %d calls acknowledged, %d stored", runs, len(want), len(calls))
}

// A rebuild that is killed anywhere is ended by the next one.
func TestKilledRebuild(t *testing.T) {
	if racing {
		t.Skip("SQLite is 20 times slower under the race detector, and one goroutine does all of this")
	}
	dir := t.TempDir()
	db := openStore(t, dir)
	dice := rand.New(rand.NewPCG(4, 2))
	calls := pricedCalls(dice, 500)
	if err := Import(t.Context(), db, calls); err != nil {
		t.Fatal(err)
	}
	kills := 0
	for range 4 {
		mustExec(t, db, `UPDATE costs_hourly SET cost_atto = cost_atto + 1, drift_nano = 7 WHERE hour % 7 < 4`)
		mustExec(t, db, `DELETE FROM costs_daily WHERE customer = 'a'; UPDATE costs_daily SET calls = calls + 1 WHERE customer = 'b'`)
		for range 2 {
			if _, killed := killDoing(t, dir, "rebuild 0", 1+dice.IntN(80), time.Duration(dice.IntN(3000))*time.Microsecond); killed {
				kills++
			}
		}
		if _, err := RebuildCosts(t.Context(), db, nil); err != nil {
			t.Fatal(err)
		}
		checkMoney(t, db)
	}
	if kills == 0 {
		t.Error("no rebuild was killed before its end")
	}
	checkCosts(t, NewCalls(db, ""), CostQuery{By: []string{"day", "model"}}, calls, func(*Call, *Attempt) bool { return true })
	t.Logf("%d rebuilds killed", kills)
}

// A repricing that is killed anywhere is ended by the next one: each attempt is
// adjusted once a price, and the rollups follow.
func TestKilledReprice(t *testing.T) {
	if racing {
		t.Skip("SQLite is 20 times slower under the race detector, and one goroutine does all of this")
	}
	dir := t.TempDir()
	db := openStore(t, dir)
	dice := rand.New(rand.NewPCG(4, 3))
	calls := pricedCalls(dice, 3*pageSize-100)
	if err := Import(t.Context(), db, calls); err != nil {
		t.Fatal(err)
	}
	kills := 0
	const rounds = 2
	for n := 1; n <= rounds; n++ {
		for range 3 {
			if _, killed := killDoing(t, dir, fmt.Sprint("reprice ", n), dice.IntN(2), time.Duration(dice.IntN(200))*time.Millisecond); killed {
				kills++
			}
			checkMoney(t, db)
		}
		if _, err := Reprice(t.Context(), db, repricing(n)); err != nil {
			t.Fatal(err)
		}
		o := repricing(n)
		for _, c := range calls {
			for i := range c.Attempts {
				if a := &c.Attempts[i]; a.CostSource != "" && !a.Charged.Known {
					a.Charge = o.Price(c, a)
				}
			}
			c.settle()
		}
		checkMoney(t, db)
		checkCosts(t, NewCalls(db, ""), CostQuery{By: []string{"day", "model"}}, calls, func(*Call, *Attempt) bool { return true })
	}
	if kills == 0 {
		t.Error("no repricing was killed before its end")
	}
	var adjusted, most int64
	if err := db.Reader().QueryRowContext(t.Context(), `SELECT count(*), max(seq) FROM cost_adjustments`).Scan(&adjusted, &most); err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	for _, c := range calls {
		for i := range c.Attempts {
			if a := &c.Attempts[i]; a.CostSource != "" && !a.Charged.Known {
				want += rounds
			}
		}
	}
	if adjusted != want || most != rounds {
		t.Errorf("%d adjustments, up to %d of an attempt; want %d, %d", adjusted, most, want, rounds)
	}
	t.Logf("%d repricings killed", kills)
}

// What is imported is there as it was given, with its money and rollups, and
// importing it again, or more with it, adds nothing twice.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	calls := pricedCalls(rand.New(rand.NewPCG(8, 8)), batchCalls+10)
	for _, part := range [][]*Call{nil, calls[:batchCalls/2], calls, calls} {
		if err := Import(t.Context(), db, part); err != nil {
			t.Fatal(err)
		}
	}
	got := checkMoney(t, db)
	slices.SortFunc(calls, func(a, b *Call) int { return strings.Compare(b.ID, a.ID) })
	if !reflect.DeepEqual(got, calls) {
		t.Errorf("%d calls came back otherwise than the %d that were imported", len(got), len(calls))
	}
	checkHours(t, db)
	gone, stop := context.WithCancel(t.Context())
	stop()
	if err := Import(gone, db, calls); !errors.Is(err, context.Canceled) {
		t.Errorf("an import of nobody's says %v", err)
	}
}
