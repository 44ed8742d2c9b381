//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
	"weir/proxy"
)

// runWeir is Weir with everything on but tracing: virtual keys, exact counts,
// metering, metrics and the ledger in SQLite below dir.
func runWeir(dir string, up addresses) error {
	ctx := context.Background()
	db, err := sqldb.Open(storeDSN(dir))
	if err != nil {
		return err
	}
	if err := migrations.Up(ctx, db); err != nil {
		return err
	}
	secret, err := ledger.LoadSecret("", dir)
	if err != nil {
		return err
	}
	_, token, err := ledger.NewKeys(db, secret).Create(ctx, "bench", ledger.KeySpec{Name: "bench", Project: "bench"})
	if err != nil {
		return err
	}
	ring, err := ledger.OpenKeyRing(ctx, db, secret, nil)
	if err != nil {
		return err
	}
	recorder, err := ledger.OpenRecorder(ledger.RecorderOptions{Dir: filepath.Join(dir, "spool"), DB: db})
	if err != nil {
		return err
	}
	p, err := proxy.New(proxy.Options{
		Settings: weirSettings(up), Recorder: recorder, Keys: ring, Metrics: proxy.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := ln.Addr().String()
	announce(addresses{Plain: addr, TLS: addr, Key: token})
	return http.Serve(ln, p)
}

func storeDSN(dir string) string { return "sqlite:" + filepath.Join(dir, "weir.db") }

// weirSettings lead each family of models to its side of the mock.
func weirSettings(up addresses) proxy.Settings {
	target := func(name string) []proxy.TargetSettings { return []proxy.TargetSettings{{Provider: name}} }
	return proxy.Settings{
		Auth: proxy.AuthKeys,
		Providers: []proxy.ProviderSettings{
			{Name: "plain", Kind: "openai", BaseURL: "http://" + up.Plain + "/v1", APIKey: "sk-bench-0123456789"},
			{Name: "tls", Kind: "openai", BaseURL: "https://" + up.TLS + "/v1", APIKey: "sk-bench-0123456789"},
		},
		Routes: []proxy.RouteSettings{
			{Model: modelStem + "plain-*", Targets: target("plain")},
			{Model: modelStem + "tls-*", Targets: target("tls")},
		},
	}
}

// countCalls reads how many calls the ledger has, and waits a while for them
// to reach the store.
func countCalls(dir string, want int) (n int, err error) {
	db, err := sqldb.Open(storeDSN(dir))
	if err != nil {
		return 0, err
	}
	for range 50 {
		row := db.Reader().QueryRow(`SELECT count(*) FROM calls WHERE outcome = 'ok' AND usage_source = 'provider'`)
		if err := row.Scan(&n); err != nil {
			return 0, fmt.Errorf("count calls: %w", err)
		}
		if n >= want {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	return n, db.Close()
}
