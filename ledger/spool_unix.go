//go:build unix

package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Two locks are in a spool's directory. Whoever holds "lock" writes the spool:
// its owner, or a process that adopts it while the owner is dead. "owner" is
// held by its owner alone, so that an adopter knows when to let go. Both end
// with the process.
const (
	writerLock = "lock"
	ownerLock  = "owner"
)

// errLocked says that another process holds a lock.
var errLocked = errors.New("another process holds it")

// lockFile takes a lock, or errLocked; how is unix.LOCK_EX or LOCK_SH.
func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open spool lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// The owner looks for a lock this often. Adopters hold the owner's for a
// moment only, as they look whether it is held, and the writer's until their
// batch is stored.
const (
	lockPause  = 20 * time.Millisecond
	ownerTries = 5
	writerWait = 30 * time.Second
)

// ownDir takes both locks of a directory for its owner. It waits for who
// adopts it.
func ownDir(dir string) (locks []*os.File, err error) {
	owner, err := lockInTime(filepath.Join(dir, ownerLock), ownerTries*lockPause)
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("lock spool %s: another weir serve is using it; give each its own spool.dir", dir)
	}
	if err != nil {
		return nil, err
	}
	lock, err := lockInTime(filepath.Join(dir, writerLock), writerWait)
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("lock spool %s: another weir serve, which adopts it, has not let go of it in %v; try again", dir, writerWait)
	}
	if err != nil {
		return nil, errors.Join(err, owner.Close())
	}
	return []*os.File{owner, lock}, nil
}

func lockInTime(path string, patience time.Duration) (f *os.File, err error) {
	for until := time.Now().Add(patience); ; time.Sleep(lockPause) {
		if f, err = lockFile(path, unix.LOCK_EX); !errors.Is(err, errLocked) || time.Now().After(until) {
			return f, err
		}
	}
}

// adoptDir takes the writer's lock of a directory without an owner, or errLocked.
func adoptDir(dir string) (locks []*os.File, err error) {
	lock, err := lockFile(filepath.Join(dir, writerLock), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	if owned(dir) {
		return nil, errors.Join(errLocked, lock.Close())
	}
	return []*os.File{lock}, nil
}

// owned reports whether the owner of a directory is there, or waits for it.
func owned(dir string) bool {
	f, err := lockFile(filepath.Join(dir, ownerLock), unix.LOCK_SH)
	if err == nil {
		_ = f.Close() // it was only looked at
	}
	return errors.Is(err, errLocked)
}

// syncDir makes new and removed names of a directory survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// diskBytes is the room that is left on a directory's disk, and the whole of
// it; 0 where that is not known.
func diskBytes(dir string) (free, whole int64) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0, 0
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize)
}
