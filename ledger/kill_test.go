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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/sqldb"
	"weir/migrations"
)

// victimDir makes the test binary the process that is killed, in that directory.
const victimDir = "WEIR_LEDGER_VICTIM"

// Nothing that was acknowledged is lost by a kill at any moment, nothing is
// stored twice, and what was under way is recorded as interrupted. Set
// WEIR_KILLS for more kills than the 200 of every run.
func TestKilled(t *testing.T) {
	kills := 200
	if n, err := strconv.Atoi(os.Getenv("WEIR_KILLS")); err == nil {
		kills = n
	}
	const lanes = 4 // directories that are used at once, each again and again
	var all sync.WaitGroup
	for lane := range lanes {
		all.Go(func() { killLane(t, t.TempDir(), kills/lanes, rand.New(rand.NewPCG(uint64(lane), 1))) })
	}
	all.Wait()
}

func killLane(t *testing.T, dir string, kills int, dice *rand.Rand) {
	opened, closed, kept := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for range kills {
		if err := killOnce(dir, time.Duration(dice.IntN(60))*time.Millisecond, opened, closed, kept); err != nil {
			t.Error(err)
			return
		}
	}
	db := openStore(t, dir)
	r := openRecorder(t, RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	flush(t, r)
	stored := map[string]Outcome{}
	rows, err := db.Reader().Query(`SELECT id, outcome FROM calls`)
	if err != nil {
		t.Error(err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var o Outcome
		if err := rows.Scan(&id, &o); err != nil {
			t.Error(err)
		}
		stored[id] = o
	}
	for id := range opened {
		switch o, found := stored[id]; {
		case !found:
			t.Errorf("%s was opened, and is lost", id)
		case closed[id] && o != OK:
			t.Errorf("%s was closed, and is stored as %s", id, o)
		}
	}
	checkHours(t, db)
	responses := openResponses(t, r)
	for id := range kept {
		_, err := responses.Get(t.Context(), "key:1", id)
		for range 50 { // a busy machine may take longer than a caller is let wait
			if !errors.Is(err, ErrStoreDown) {
				break
			}
			_, err = responses.Get(t.Context(), "key:1", id)
		}
		if err != nil {
			t.Errorf("%s was kept, and is lost: %v", id, err)
		}
	}
	t.Logf("%d kills, %d calls acknowledged as opened, %d as closed, %d stored, %d responses kept", kills, len(opened), len(closed), len(stored), len(kept))
}

// killOnce lets a process record calls, kills it after a while, and notes what
// it had acknowledged.
func killOnce(dir string, after time.Duration, opened, closed, kept map[string]bool) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	ready, err := lines.ReadString('\n') // the recorder is open
	if err != nil || ready != "ready\n" {
		return fmt.Errorf("the victim says %q: %w", ready, err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	text, err := io.ReadAll(lines)
	_ = cmd.Wait() // it was killed
	for line := range strings.Lines(string(text)) {
		verb, id, _ := strings.Cut(line, " ")
		if id, whole := strings.CutSuffix(id, "\n"); whole {
			switch verb {
			case "opened":
				opened[id] = true
			case "closed":
				closed[id] = true
			case "kept":
				kept[id] = true
			}
		}
	}
	return err
}

// runVictim records calls until it is killed, and says so after each step.
func runVictim(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	db, err := sqldb.Open("sqlite:" + filepath.Join(dir, "weir.db"))
	fail(err)
	fail(migrations.Up(context.Background(), db))
	r, err := OpenRecorder(RecorderOptions{
		Dir: filepath.Join(dir, "spool"), DB: db, Log: silent,
		segmentSize: 16 << 10, keepEvery: 3 * time.Millisecond,
	})
	fail(err)
	responses, err := NewResponses(r, []byte(someSecret))
	fail(err)
	fmt.Println("ready")
	for range 6 {
		go func() {
			for {
				c := testCall(callID())
				fail(r.Opened(c))
				say("opened", c.ID)
				time.Sleep(time.Duration(rand.IntN(6)) * time.Millisecond)
				kept := testResponse(responseID(), "", "a")
				fail(responses.Keep(kept))
				say("kept", kept.ID)
				fail(r.Closed(c))
				say("closed", c.ID)
			}
		}()
	}
	select {}
}

// say writes a line by one write of its own.
func say(verb, id string) { _, _ = os.Stdout.WriteString(verb + " " + id + "\n") }
