package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
)

// openCalls opens the ledger of the configured server, which may be running
// or not.
func openCalls(cmd *cobra.Command) (*ledger.Calls, *sqldb.DB, error) {
	c, err := loadConfig(cmd)
	if err != nil {
		return nil, nil, err
	}
	db, err := sqldb.OpenExisting(c.Store)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, withHint(err, "nothing has been recorded there: start weir serve, or name its configuration with --config")
	}
	if err != nil {
		return nil, nil, err
	}
	return ledger.NewCalls(db, c.Spool.Dir), db, nil
}

// openStore opens the store of the configured server, which need not have been
// started yet, and brings its schema up to date.
func openStore(ctx context.Context, c *config.Config) (*sqldb.DB, error) {
	db, err := sqldb.Open(c.Store)
	if err != nil {
		return nil, err
	}
	return upToDate(ctx, db)
}

// openMadeStore is openStore where it makes no store; hint is what helps where
// there is none.
func openMadeStore(ctx context.Context, c *config.Config, hint string) (*sqldb.DB, error) {
	db, err := sqldb.OpenExisting(c.Store)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(err, hint)
	}
	if err != nil {
		return nil, err
	}
	return upToDate(ctx, db)
}

func upToDate(ctx context.Context, db *sqldb.DB) (*sqldb.DB, error) {
	if err := migrations.Up(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the store up to date: %w", err), db.Close())
	}
	return db, nil
}

// openKeys opens the keys of the configured server, which need not have been
// started yet.
func openKeys(ctx context.Context, c *config.Config) (*ledger.Keys, *sqldb.DB, error) {
	db, err := openStore(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	return keysOf(c, db)
}

// openMadeKeys opens keys that are there already: it makes no store.
func openMadeKeys(ctx context.Context, c *config.Config) (*ledger.Keys, *sqldb.DB, error) {
	db, err := openMadeStore(ctx, c, "no key has been made there: weir keys create, or name its configuration with --config")
	if err != nil {
		return nil, nil, err
	}
	return keysOf(c, db)
}

func keysOf(c *config.Config, db *sqldb.DB) (*ledger.Keys, *sqldb.DB, error) {
	secret, err := ledger.LoadSecret(string(c.Secret), c.DataDir)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return ledger.NewKeys(db, secret), db, nil
}

// actor names who uses the command line, for the audit.
func actor() string {
	if u, err := user.Current(); err == nil {
		return "cli:" + u.Username
	}
	return fmt.Sprintf("cli:uid %d", os.Getuid())
}

// A progress tells on stderr how far a long command is, from its second
// second on.
type progress struct {
	rows atomic.Int64
	stop chan struct{}
	done sync.WaitGroup
}

func startProgress(w io.Writer, what string) *progress {
	p := &progress{stop: make(chan struct{})}
	begin, end := "", "\n"
	every := 5 * time.Second
	if isTerminal(w) {
		begin, end, every = "\r", "", time.Second // one line that is written over
	}
	p.done.Go(func() {
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		for shown := false; ; shown = true {
			select {
			case <-p.stop:
				if shown && end == "" {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			case <-timer.C:
				fmt.Fprintf(w, "%s%s: %d rows so far …%s", begin, what, p.rows.Load(), end)
				timer.Reset(every)
			}
		}
	})
	return p
}

// end stops the telling, and waits for it.
func (p *progress) end() {
	close(p.stop)
	p.done.Wait()
}
