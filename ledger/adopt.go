package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"weir/internal/sqldb"
)

// Several processes may share a store, each with a spool of its own. Each says
// in the store where its spool is. A process that finds another's without an
// owner ships what is in it, as the owner's next start would, and leaves it
// empty.
//
// Which store a spool is for stands in its directory, so that a copy of a
// store, which knows the same directories, adopts none of them.

const (
	adoptEvery  = 3 * time.Second
	sayEvery    = 24 * time.Hour     // that a spool is where it is
	forgetAfter = 7 * sayEvery       // of another host's, who has not said so since
	spoolForm   = 1                  // of the records: raised where an older Weir would lose what is in new ones
	homeFile    = "store"            // in a spool's directory: its mark, and the path of its store
	maxHome     = 2*markSize + 4<<10 // bytes of that file
	markSize    = 26
)

// A home is what a spool's directory says of itself.
type home struct{ mark, store string }

// readHome reads what a directory says; fs.ErrNotExist: nothing, or there is none.
func readHome(dir string) (h home, err error) {
	f, err := os.Open(filepath.Join(dir, homeFile))
	if err != nil {
		return h, fmt.Errorf("look whose spool it is: %w", err)
	}
	defer f.Close() // read only
	text := make([]byte, maxHome)
	n, _ := f.Read(text) // what cannot be read is nobody's
	h.mark, h.store, _ = strings.Cut(strings.TrimSuffix(string(text[:n]), "\n"), "\n")
	return h, nil
}

// moveIn writes into the directory of a spool, which is locked, that it is for
// a store. It keeps the mark where that was so before.
func moveIn(dir string, db *sqldb.DB) (mark string, err error) {
	h, err := readHome(dir)
	if err == nil && len(h.mark) == markSize && h.store == db.Path() {
		return h.mark, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	path := filepath.Join(dir, homeFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("take a spool from its last store: %w", err)
	}
	mark = rand.Text()
	next := path + ".new"
	if err := os.WriteFile(next, []byte(mark+"\n"+db.Path()+"\n"), 0o600); err != nil {
		return "", errors.Join(fmt.Errorf("say whose spool it is: %w", err), os.Remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return "", fmt.Errorf("say whose spool it is: %w", err)
	}
	return mark, syncDir(dir)
}

// An adopter looks after the spools of dead processes. One goroutine uses it;
// only rows is asked by others.
type adopter struct {
	o    RecorderOptions
	dir  string // of our own spool, absolute
	mark string
	host string
	said time.Time    // when the store was told of our own spool
	rows atomic.Int64 // that were shipped for others
	log  *slog.Logger
}

func newAdopter(o RecorderOptions) *adopter {
	a := &adopter{o: o, dir: o.Dir, log: o.Log}
	if dir, err := filepath.Abs(o.Dir); err == nil {
		a.dir = dir
	}
	a.host, _ = os.Hostname() // of two hosts without a name each forgets the other's spools
	return a
}

// A neighbour is a spool that the store knows.
type neighbour struct {
	mark, host, dir string
	form            int
	seen            time.Time
}

// round tells the store of our own spool, and looks at all others once.
func (a *adopter) round(ctx context.Context, stop <-chan struct{}) error {
	if err := a.say(ctx); err != nil {
		return err
	}
	list, err := a.neighbours(ctx)
	for i := range list {
		select {
		case <-stop:
			return err
		default:
		}
		if failed := a.look(ctx, &list[i], stop); failed != nil {
			err = errors.Join(err, fmt.Errorf("adopt spool %s: %w", list[i].dir, failed))
		}
	}
	return err
}

func (a *adopter) say(ctx context.Context) (err error) {
	if time.Since(a.said) < sayEvery {
		return nil
	}
	if a.mark == "" { // the disk was full
		if a.mark, err = moveIn(a.dir, a.o.DB); err != nil {
			return err
		}
	}
	err = a.o.DB.Exec(ctx, `INSERT INTO spools (mark, host, dir, form, seen) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (mark) DO UPDATE SET host = excluded.host, dir = excluded.dir, form = excluded.form, seen = excluded.seen`,
		a.mark, a.host, a.dir, spoolForm, time.Now().UnixMicro())
	if err != nil {
		return fmt.Errorf("tell the store of the spool: %w", err)
	}
	a.said = time.Now()
	return nil
}

func (a *adopter) neighbours(ctx context.Context) (list []neighbour, err error) {
	rows, err := a.o.DB.Reader().QueryContext(ctx, `SELECT mark, host, dir, form, seen FROM spools WHERE mark <> ?`, a.mark)
	if err != nil {
		return nil, fmt.Errorf("list spools: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n neighbour
		var seen int64
		if err := rows.Scan(&n.mark, &n.host, &n.dir, &n.form, &seen); err != nil {
			return nil, fmt.Errorf("list spools: %w", err)
		}
		n.seen = fromMicros(seen)
		list = append(list, n)
	}
	return list, rows.Err()
}

// look adopts a spool that holds something and has no owner.
func (a *adopter) look(ctx context.Context, n *neighbour, stop <-chan struct{}) error {
	h, err := readHome(n.dir)
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && h.mark != n.mark:
		return a.forget(ctx, n)
	case err != nil:
		return err
	case n.form > spoolForm || !holdsRecords(n.dir) || !a.o.DB.IsAt(h.store):
		return nil
	}
	sp, err := takeSpool(n.dir)
	if errors.Is(err, errLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	if now, failed := readHome(n.dir); failed == nil && now == h { // still, now that nobody else can change it
		err = a.adopt(ctx, sp, stop)
	}
	return errors.Join(err, sp.close())
}

// forget takes a spool that is gone, or another store's now, off the list. Of
// another host's directories nothing is known but how long ago it named them.
func (a *adopter) forget(ctx context.Context, n *neighbour) error {
	if n.host != a.host && time.Since(n.seen) < forgetAfter {
		return nil
	}
	if err := a.o.DB.Exec(ctx, `DELETE FROM spools WHERE mark = ?`, n.mark); err != nil {
		return fmt.Errorf("forget it: %w", err)
	}
	a.log.Info("a spool is gone, and forgotten", "dir", n.dir, "host", n.host)
	return nil
}

// holdsRecords reports whether a segment of a directory is not empty.
func holdsRecords(dir string) bool {
	id, there, err := listSegments(dir)
	for _, n := range there {
		if info, err := os.Stat(segmentPath(dir, id, n)); err == nil && info.Size() > 0 {
			return true
		}
	}
	return err != nil // which is said when it is opened
}

// takeSpool is openSpool for who is not the owner, or errLocked.
func takeSpool(dir string) (*spool, error) {
	locks, err := adoptDir(dir)
	if err != nil {
		return nil, err
	}
	s := &spool{dir: dir, full: segmentSize, locks: locks}
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	return s, nil
}

// adopt ships a spool that is ours for the moment, until its owner comes back,
// and removes its segments.
func (a *adopter) adopt(ctx context.Context, sp *spool, stop <-chan struct{}) error {
	begun, calls, interrupted := time.Now(), 0, 0
	o := a.o
	o.OnBatch = func(fresh []*Call) {
		for _, c := range fresh {
			if c.Outcome == Interrupted {
				interrupted++
			}
		}
		calls += len(fresh)
		a.rows.Add(int64(len(fresh)))
		if a.o.OnBatch != nil {
			a.o.OnBatch(fresh)
		}
	}
	ship := newShipper(sp, o)
	ship.kept = &unshipped{} // nobody asks for them here
	defer ship.close()
	for more := true; more; {
		select {
		case <-stop:
			return nil
		default:
		}
		if owned(sp.dir) {
			return nil // who waits for it goes on with what is left
		}
		var err error
		if more, err = ship.step(ctx); err != nil {
			return err
		}
	}
	if ship.tidied < sp.own {
		return nil // it was said why; the next round tries again
	}
	if err := a.leaveEmpty(ctx, sp); err != nil {
		return err
	}
	if a.o.Adopted != nil {
		a.o.Adopted()
	}
	a.log.Info("the spool of a dead process was adopted", "dir", sp.dir, "calls", calls, "interrupted", interrupted, "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// leaveEmpty removes the segment that was begun for the adoption, in which
// nothing was written, and the store's note of how far the spool was read: the
// owner begins another one.
func (a *adopter) leaveEmpty(ctx context.Context, sp *spool) error {
	if sp.current.Load().size.Load() > 0 {
		return nil
	}
	if err := errors.Join(sp.remove(sp.own), syncDir(sp.dir)); err != nil {
		return err
	}
	if err := a.o.DB.Exec(ctx, `DELETE FROM spool_position WHERE spool = ?`, sp.id.String()); err != nil {
		return fmt.Errorf("forget where it was read to: %w", err)
	}
	return nil
}

// adoptLoop is the adopter's goroutine.
func (r *Recorder) adoptLoop() {
	defer r.workers.Done()
	var again nag
	timer := time.NewTimer(r.o.adoptEvery)
	defer timer.Stop()
	err := r.adopter.say(context.Background())
	for {
		if err != nil && again.due() {
			r.o.Log.Error("spools of other processes wait", "err", err)
		}
		select {
		case <-r.stop:
			return
		case <-timer.C:
		}
		err = r.adopter.round(context.Background(), r.stop)
		timer.Reset(r.o.adoptEvery)
	}
}
