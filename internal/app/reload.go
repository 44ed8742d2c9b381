package app

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"

	"weir/config"
)

type reloadMetrics struct{ ok, at prometheus.Gauge }

func newReloadMetrics(r prometheus.Registerer) *reloadMetrics {
	m := &reloadMetrics{
		ok: prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_config_reload_success", Help: "1 where the last reading of the configuration was good."}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_config_reload_success_timestamp_seconds", Help: "Unix time of the last good reading of the configuration."}),
	}
	r.MustRegister(m.ok, m.at)
	m.good()
	return m
}

func (m *reloadMetrics) good() {
	m.ok.Set(1)
	m.at.SetToCurrentTime()
}

// errMoving says that the file was written to while it was read.
var errMoving = errors.New("reload: the configuration is being written")

// Reload reads the configuration anew and swaps it in whole, or keeps the old
// one and says why.
func (a *App) Reload() error { return a.reload(nil) }

// reload is Reload, of nothing but a file whose sum is settled, where that is given.
func (a *App) reload(settled *[sha256.Size]byte) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.o.Read == nil || !a.ready.Load() {
		return errors.New("reload: there is no configuration to read, or Weir is stopping")
	}
	c, err := a.o.Read()
	if settled != nil && !a.still(c, *settled) {
		return errMoving
	}
	if err == nil {
		err = a.apply(c)
	}
	if err != nil {
		a.reloads.ok.Set(0)
		var problems config.Problems
		if !errors.As(err, &problems) {
			problems = config.Problems{{What: err.Error()}}
		}
		for _, p := range problems {
			a.log.Error("the configuration is not taken, the old one stays", "problem", p.Error())
		}
		return fmt.Errorf("reload: %w", err)
	}
	a.reloads.good()
	a.log.Info("configuration reloaded", "file", c.File, "providers", len(c.Providers), "routes", len(c.Routes))
	return nil
}

// apply swaps everything that can be swapped in a running Weir.
func (a *App) apply(c *config.Config) error {
	old := a.config.Load()
	book, err := LoadBook(c)
	if err != nil {
		return err
	}
	if err := a.startMock(c); err != nil {
		return err
	}
	if err := a.data.loadCert(c.TLS); err != nil {
		return err
	}
	if err := a.applyLimits(c, settings(c, a.mockURL, book)); err != nil {
		return err
	}
	a.desk.Apply(Webhooks(c))
	a.loops.Apply(runaway(c))
	a.data.names.Store(newNames(old.Listen, c.Hosts))
	a.admin.names.Store(newNames(old.Admin.Listen, c.Admin.Hosts))
	if a.o.Level != nil {
		a.o.Level.Set(c.Log.Level)
	}
	if book.Version() != a.book.Load().Version() {
		a.log.Info("price book", "version", book.Version())
		a.book.Store(book)
		a.warmBook(book, c)
	}
	for _, w := range c.Warnings {
		a.log.Warn("configuration", "warning", w.Error())
	}
	if keys := needRestart(a.o.Config, c); len(keys) > 0 {
		a.log.Warn("a restart is needed for these keys to count", "keys", strings.Join(keys, ", "))
	}
	return nil
}

// needRestart names the keys whose change a running Weir cannot follow.
func needRestart(old, now *config.Config) (keys []string) {
	differ := func(name string, different bool) {
		if different {
			keys = append(keys, name)
		}
	}
	differ("listen", old.Listen != now.Listen)
	differ("admin.listen", old.Admin.Listen != now.Admin.Listen)
	differ("admin.token", old.Admin.Token != now.Admin.Token)
	differ("tls", (old.TLS.Cert == "") != (now.TLS.Cert == ""))
	differ("secret", old.Secret != now.Secret)
	differ("data", old.DataDir != now.DataDir)
	differ("store", old.Store != now.Store)
	differ("redis", old.Redis != now.Redis || old.RedisPrefix != now.RedisPrefix)
	differ("spool", old.Spool != now.Spool)
	differ("telemetry", old.Telemetry != now.Telemetry)
	differ("log.format", old.Log.Format != now.Log.Format)
	return keys
}

// still reports whether the file is what it was when it had settled. What
// could not be read (c is nil) is looked at again.
func (a *App) still(c *config.Config, settled [sha256.Size]byte) bool {
	if c != nil {
		return c.Sum == settled
	}
	text, err := os.ReadFile(a.o.Config.File)
	return err == nil && sha256.Sum256(text) == settled
}

// settleTime is how long a changed file is left alone: editors and
// orchestrators write in several steps, and many empty the file before that.
const settleTime = 200 * time.Millisecond

// watch reloads when the file's content changes. It watches the directory,
// since editors replace the file, and Kubernetes the link that it is behind.
func (a *App) watch(file string) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		err = w.Add(filepath.Dir(file))
	}
	if path := overrides(a.o.Config); err == nil && path != "" && filepath.Dir(path) != filepath.Dir(file) {
		err = w.Add(filepath.Dir(path))
	}
	if err != nil { // out of inotify handles, or a file system without
		a.log.Warn("the configuration is not watched: send SIGHUP to reload", "err", err)
		if w != nil {
			_ = w.Close()
		}
		return
	}
	a.workers.Go(func() { a.watchLoop(w, file) })
}

func (a *App) watchLoop(w *fsnotify.Watcher, file string) {
	defer w.Close()
	seen, seenPrices := a.o.Config.Sum, a.pricesAt
	last, lastPrices := seen, seenPrices // at the last look
	timer := time.NewTimer(settleTime)   // it may have changed since it was read
	defer timer.Stop()
	for {
		select {
		case <-a.stopping.Done():
			return
		case e := <-w.Events:
			name := filepath.Base(e.Name)
			if name == filepath.Base(file) || name == filepath.Base(overrides(a.config.Load())) || strings.HasPrefix(name, "..") {
				timer.Reset(settleTime)
			}
		case err := <-w.Errors:
			a.log.Warn("watching the configuration", "err", err)
			timer.Reset(settleTime) // events may be lost
		case <-timer.C:
			text, err := os.ReadFile(file)
			now, prices := sha256.Sum256(text), a.pricesSum()
			if err != nil || now == seen && prices == seenPrices {
				continue // gone for the moment, or touched without a change
			}
			if now != last || prices != lastPrices { // it may be in the middle of a write, whose end nobody tells
				last, lastPrices = now, prices
				timer.Reset(settleTime)
				continue
			}
			if len(bytes.TrimSpace(text)) == 0 { // a full disk leaves that; it would be a Weir without its routes and keys
				a.log.Warn("the configuration's file is empty and is not taken: send SIGHUP if it is meant to be")
				seen, seenPrices = now, prices
				continue
			}
			if err := a.reload(&now); errors.Is(err, errMoving) { // else it has logged what is wrong
				timer.Reset(settleTime)
				continue
			}
			seen, seenPrices = now, prices
		}
	}
}

// pricesSum is the sum of the price file of one's own; that of nothing where
// there is none.
func (a *App) pricesSum() [sha256.Size]byte {
	path := overrides(a.config.Load())
	if path == "" {
		return [sha256.Size]byte{}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(text)
}
