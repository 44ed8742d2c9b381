//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"weir/config"
	"weir/internal/app"
	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
)

// weirYAML is Weir with everything on but tracing. Each family of models is
// led to its side of the mock.
const weirYAML = `listen: %[1]s
admin: {listen: "127.0.0.1:0"}
auth: %[2]s
secret: bench-bench-bench-bench-bench-bench
data: %[3]s
store: sqlite:%[3]s/weir.db
spool: {dir: %[3]s/spool}
discover: off
providers:
  plain: {kind: openai, base_url: "http://%[4]s/v1", api_key: sk-bench-0123456789}
  tls: {kind: openai, base_url: "https://%[5]s/v1", api_key: sk-bench-0123456789}
routes:
  - {model: "` + modelStem + `plain-*", targets: [{provider: plain}]}
  - {model: "` + modelStem + `tls-*", targets: [{provider: tls}]}
`

// writeWeirYAML makes a configuration whose data is below dir.
func writeWeirYAML(dir, listen, auth string, up addresses) (path string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "weir.yaml")
	return path, os.WriteFile(path, fmt.Appendf(nil, weirYAML, listen, auth, dir, up.Plain, up.TLS), 0o600)
}

// runWeir is Weir as weir serve starts it, in a child that can be asked what
// it allocates.
func runWeir(dir string, up addresses) error {
	path, err := writeWeirYAML(dir, "127.0.0.1:0", "keys", up)
	if err != nil {
		return err
	}
	return runWeirOf(path)
}

// runWeirOf is Weir with a configuration.
func runWeirOf(path string) error {
	c, err := config.Load(path, os.LookupEnv)
	if err != nil {
		return err
	}
	key, err := makeKey(c)
	if err != nil {
		return err
	}
	a, err := app.Start(app.Options{Config: c, Version: "bench", Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	addr := strings.TrimPrefix(a.URL(), "http://")
	announce(addresses{Plain: addr, TLS: addr, Key: key})
	return <-a.Failed()
}

// makeKey puts a virtual key into the store before Weir opens it.
func makeKey(c *config.Config) (token string, err error) {
	ctx := context.Background()
	db, err := sqldb.Open(c.Store)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if err := migrations.Up(ctx, db); err != nil {
		return "", err
	}
	secret, err := ledger.LoadSecret(string(c.Secret), c.DataDir)
	if err != nil {
		return "", err
	}
	_, token, err = ledger.NewKeys(db, secret).Create(ctx, "bench", ledger.KeySpec{Name: "bench", Project: "bench"})
	return token, err
}

// countCalls reads how many calls the ledger has, and waits a while for them
// to reach the store.
func countCalls(dir string, want int) (n int, err error) {
	db, err := sqldb.Open("sqlite:" + filepath.Join(dir, "weir.db"))
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

// starts measures from the start of weir serve, the program itself, to its
// first answer: with nothing there yet, and again over the same data.
func (a *arena) starts(w io.Writer, o options) error {
	program := filepath.Join(a.dir, "weir")
	build := exec.Command("go", "build", "-o", program, "./cmd/weir")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build weir: %w: %s", err, bytes.TrimSpace(out))
	}
	times := 7
	if o.quick {
		times = 1
	}
	var fresh, again []float64
	for i := range times {
		dir := filepath.Join(a.dir, fmt.Sprintf("start%d", i))
		for _, list := range []*[]float64{&fresh, &again} {
			took, err := a.start(program, dir)
			if err != nil {
				return fmt.Errorf("start weir: %w", err)
			}
			*list = append(*list, float64(took.Microseconds())/1000)
		}
	}
	fmt.Fprintf(w, "\nstart    weir serve to its first answer: %.0f ms with no data, %.0f ms over its own (medians of %d)\n", median(fresh), median(again), times)
	return nil
}

// start runs the program until it has answered once.
func (a *arena) start(program, dir string) (time.Duration, error) {
	listen := freeAddr()
	path, err := writeWeirYAML(dir, listen, "off", a.mock.addr)
	if err != nil {
		return 0, err
	}
	s, _ := shapeByName("json")
	request := requests(plan{addr: listen, shape: s})[0]
	cmd := exec.Command(program, "serve", "--config", path)
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	c := &child{cmd: cmd}
	defer c.stop()
	for time.Since(begun) < 10*time.Second {
		if answered(listen, request) {
			return time.Since(begun), nil
		}
		time.Sleep(500 * time.Microsecond)
	}
	return 0, fmt.Errorf("no answer at %s within 10 s", listen)
}

// answered reports whether a request gets the mock's reply.
func answered(addr string, request []byte) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second)) //nolint:errcheck // only the wait would be longer
	if _, err := conn.Write(request); err != nil {
		return false
	}
	buf := make([]byte, 0, 8<<10)
	for !bytes.Contains(buf, jsonBody) {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return false
		}
		buf = buf[:len(buf)+n]
	}
	return bytes.HasPrefix(buf, statusOK)
}
