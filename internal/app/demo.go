package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"weir/config"
	"weir/internal/mockllm"
	"weir/ledger"
)

// A Demo is Weir with fake upstreams behind it and synthetic traffic in front
// of it, all on the loopback interface, in a directory that Stop removes.
type Demo struct {
	*App
	File    string // its configuration, for the other verbs
	Revenue string // a CSV file of what the customers of its past paid
	dir     string
	mock    *mockllm.Server
	server  *http.Server
	traffic *traffic
	cancel  context.CancelFunc
	workers sync.WaitGroup
	past    chan error
}

// demoConfig has DIR and MOCK for what is known at the start.
const demoConfig = `# What weir demo runs with. It is removed when the demo ends.
listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0}
auth: off
data: DIR
shutdown: 2s
capture: {bodies: on}
prices: {overrides: prices.yaml}
log: {level: warn}
providers:
  openai: {kind: openai, base_url: "MOCK/v1", api_key: demo, price_as: openai}
  backup: {kind: openai, base_url: "MOCK/v1", api_key: demo, price_as: openai}
  claude: {kind: anthropic, base_url: "MOCK", api_key: demo, price_as: anthropic}
  gemini: {kind: gemini, base_url: "MOCK", api_key: demo, price_as: google}
  rack: {kind: openai, base_url: "MOCK/v1", api_key: demo, gpu_hour: "$RACK", models: [qwen3-8b]}
routes:
  - model: assistant
    targets: [{provider: openai, model: gpt-4o-mini, weight: 80}, {provider: openai, model: gpt-4o, weight: 20}]
    fallbacks: [{provider: backup, model: gpt-4o-mini}]
    retries: 1
  - model: text-embedding-*
    targets: {provider: openai}
  - model: claude-*
    targets: {provider: claude}
  - model: gemini-*
    targets: {provider: gemini}
`

// demoRules make the upstreams as slow and as faulty as those of the vendors;
// the faults are asked for by a header of the traffic, which passes through.
const demoRules = `rules:
  - match: {header: {x-demo: limited}}
    status: 429
    headers: {retry-after: "1"}
  - match: {header: {x-demo: broken}, model: gpt-*}
    status: 500
    times: 20
  - match: {header: {x-demo: refused}}
    status: 400
  - match: {header: {x-demo: cut}, stream: true}
    ttft: 120ms
    tokens_per_second: 60
    words: 40
    cut_events: 9
  - match: {path: /v1/embeddings}
    latency: 30ms
  - match: {model: claude-opus-*}
    ttft: 600ms
    tokens_per_second: 35
    words: 120
  - match: {model: claude-*}
    ttft: 250ms
    tokens_per_second: 70
    words: 60
    cached_tokens: 20
  - match: {model: gemini-*}
    ttft: 180ms
    tokens_per_second: 150
    words: 80
    reasoning_tokens: 40
  - match: {}
    ttft: 150ms
    tokens_per_second: 90
    words: 50
`

// StartDemo starts a demo.
func StartDemo(version string, log *slog.Logger) (_ *Demo, err error) {
	d := &Demo{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Stop())
		}
	}()
	if d.dir, err = os.MkdirTemp("", "weir-demo-"); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	upstream, err := d.startUpstreams()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := os.WriteFile(filepath.Join(d.dir, "prices.yaml"), []byte(pastPrices(now)), 0o600); err != nil {
		return nil, fmt.Errorf("write its prices: %w", err)
	}
	text := strings.NewReplacer("DIR", d.dir, "MOCK", upstream, "RACK", rackHour).Replace(demoConfig)
	d.File = filepath.Join(d.dir, "weir.yaml")
	if err := os.WriteFile(d.File, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write its configuration: %w", err)
	}
	c, err := config.Load(d.File, nil)
	if err != nil {
		return nil, err
	}
	if d.App, err = Start(Options{Config: c, Version: version, Log: log}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel, d.traffic = cancel, newTraffic(d.URL())
	d.Revenue, d.past = filepath.Join(d.dir, "revenue.csv"), make(chan error, 1)
	d.workers.Go(func() { d.past <- d.remember(ctx, now) })
	for range demoUsers {
		d.workers.Go(func() { d.traffic.user(ctx) })
	}
	return d, nil
}

// remember writes the demo's past into its store, beside the traffic.
func (d *Demo) remember(ctx context.Context, now time.Time) error {
	calls := makePast(now, d.Book())
	owners, err := d.owners(ctx)
	if err != nil {
		return err
	}
	own(calls, owners)
	if err := os.WriteFile(d.Revenue, []byte(pastRevenue(now, calls)), 0o600); err != nil {
		return fmt.Errorf("write the revenue: %w", err)
	}
	return ledger.Import(ctx, d.DB(), calls)
}

// owners makes the projects of the demo's past, with a key each.
func (d *Demo) owners(ctx context.Context) (map[string]pastOwner, error) {
	owners := map[string]pastOwner{}
	for _, name := range pastOwners {
		if _, there := owners[name]; there {
			continue
		}
		k, _, err := ledger.NewKeys(d.DB(), d.secret).Create(ctx, "demo", ledger.KeySpec{Name: name + "-server", Project: name})
		if err != nil {
			return nil, fmt.Errorf("make a key of the demo's past: %w", err)
		}
		owners[name] = pastOwner{k.ProjectID, k.ID}
	}
	return owners, nil
}

// Past says once, by its error or nil, that the demo's past is in the store.
func (d *Demo) Past() <-chan error { return d.past }

func (d *Demo) startUpstreams() (string, error) {
	rules, err := mockllm.ParseRules([]byte(demoRules))
	if err != nil {
		return "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("start the upstreams: %w", err)
	}
	d.mock = mockllm.New(mockllm.Options{Rules: rules, Clock: time.Now})
	d.server = &http.Server{Handler: d.mock, ReadHeaderTimeout: headerTime}
	d.workers.Go(func() { _ = d.server.Serve(ln) }) // it ends at Close
	return "http://" + ln.Addr().String(), nil
}

// Counts are the traffic's own figures.
func (d *Demo) Counts() Counts { return d.traffic.counts() }

// Stop ends the traffic, then Weir, then the upstreams, and removes what they left.
func (d *Demo) Stop() error {
	var errs []error
	if d.cancel != nil {
		d.cancel()
	}
	if d.App != nil {
		errs = append(errs, d.App.Stop())
	}
	if d.server != nil {
		d.mock.Close()
		errs = append(errs, d.server.Close())
	}
	d.workers.Wait()
	if d.traffic != nil {
		d.traffic.client.CloseIdleConnections()
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}
