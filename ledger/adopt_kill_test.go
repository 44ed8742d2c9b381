package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/sqldb"
)

// runSharer records calls into the spool of a number until it is killed, and
// adopts what others leave.
func runSharer(dir string, db *sqldb.DB, n int) error {
	r, err := OpenRecorder(RecorderOptions{
		Dir: sharedSpool(dir, n), DB: db, Log: slog.New(slog.NewTextHandler(os.Stdout, nil)),
		segmentSize: 16 << 10, keepEvery: 3 * time.Millisecond, adoptEvery: 2 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	responses, err := NewResponses(r, []byte(someSecret))
	if err != nil {
		return err
	}
	say("open", "")
	failed := make(chan error)
	for range 2 {
		go func() {
			for {
				c, kept := testCall(callID()), testResponse(responseID(), "", "a")
				err := r.Opened(c)
				say("opened", c.ID)
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				if err = errors.Join(err, responses.Keep(kept)); err == nil {
					say("kept", kept.ID)
				}
				if err = errors.Join(err, r.Closed(c)); err != nil {
					failed <- err
				}
				say("closed", c.ID)
			}
		}()
	}
	return <-failed
}

func sharedSpool(dir string, n int) string { return filepath.Join(dir, fmt.Sprint("spool", n)) }

// What several processes say that was acknowledged.
type acknowledged struct {
	mu                   sync.Mutex
	opened, closed, kept map[string]bool
	adoptions            int
}

// share lets a process work and kills it a while after it has its spool.
func (a *acknowledged) share(dir string, n int, after time.Duration) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir, victimDeed+"="+fmt.Sprint("share ", n))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	for range 2 { // ready, open
		if line, err := lines.ReadString('\n'); err != nil {
			return fmt.Errorf("process %d says %q: %w: %s", n, line, err, said.String())
		}
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	text, err := io.ReadAll(lines)
	_ = cmd.Wait() // it was killed
	a.mu.Lock()
	defer a.mu.Unlock()
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "was adopted") {
			a.adoptions++
		}
		verb, id, _ := strings.Cut(line, " ")
		id, whole := strings.CutSuffix(id, "\n")
		if to := map[string]map[string]bool{"opened": a.opened, "closed": a.closed, "kept": a.kept}[verb]; whole && to != nil {
			to[id] = true
		}
	}
	if said.Len() > 0 {
		return errors.Join(err, fmt.Errorf("process %d says %s", n, said.String()))
	}
	return err
}

// Processes on one store are killed at any moment, also as they adopt others'
// spools, and come back at once, late or never: no row is lost or doubled, and
// in the end a living one has shipped everything.
func TestKilledSharing(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	const processes, kills = 3, 6 // of each
	a := &acknowledged{opened: map[string]bool{}, closed: map[string]bool{}, kept: map[string]bool{}}
	var all sync.WaitGroup
	for n := range processes {
		dice := rand.New(rand.NewPCG(uint64(n), 20))
		all.Go(func() {
			for range kills {
				if err := a.share(dir, n, time.Duration(dice.IntN(2000))*time.Millisecond); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(dice.IntN(2)*dice.IntN(1500)) * time.Millisecond)
			}
		})
	}
	all.Wait()
	r := openRecorder(t, RecorderOptions{Dir: sharedSpool(dir, processes), DB: db, adoptEvery: often})
	for n := range processes {
		eventually(t, fmt.Sprint("the spool of ", n, " is known"), func() bool {
			return countRows(t, db, "spools WHERE dir = '"+sharedSpool(dir, n)+"'") == 1
		})
		emptied(t, sharedSpool(dir, n))
	}
	stored := outcomesByID(t, db)
	for id := range a.opened {
		if o, found := stored[id]; !found || a.closed[id] && o != OK {
			t.Errorf("%s was opened, and closed %v; it is stored %v as %s", id, a.closed[id], found, o)
		}
	}
	checkMoney(t, db)
	checkHours(t, db)
	responses := openResponses(t, r)
	for id := range a.kept {
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
	if len(a.closed) == 0 {
		t.Error("no process was alive for long enough")
	}
	t.Logf("%d kills, %d adoptions; %d calls acknowledged as opened, %d as closed, %d stored, %d responses kept, %d rows adopted at the end",
		processes*kills, a.adoptions, len(a.opened), len(a.closed), len(stored), len(a.kept), r.Stats().Adopted)
}

func outcomesByID(t *testing.T, db *sqldb.DB) map[string]Outcome {
	t.Helper()
	rows, err := db.Reader().QueryContext(t.Context(), `SELECT id, outcome FROM calls`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]Outcome{}
	for rows.Next() {
		var id string
		var o Outcome
		if err := rows.Scan(&id, &o); err != nil {
			t.Fatal(err)
		}
		out[id] = o
	}
	return out
}
