//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
)

const (
	token  = "overshoot-overshoot-overshoot"
	secret = "overshoot-overshoot-overshoot-overshoot"
)

// weirYAML is one of the processes.
const weirYAML = `listen: %[1]s
admin: {listen: %[2]s, token: ` + token + `}
auth: keys
secret: ` + secret + `
data: %[3]s
store: sqlite:%[4]s/weir.db
spool: {dir: %[3]s/spool}
redis: %[5]s
redis_prefix: "overshoot-%[6]s:"
discover: off
log: {level: info}
shutdown: 5s
providers:
  up: {kind: openai, base_url: "http://%[7]s/v1", api_key: sk-overshoot, price_as: openai}
routes:
  - {model: gpt-4o, targets: [{provider: up}], retries: 2}
limits:
  - {scope: %[8]s, usd_per_day: "$%[9]s", strict: %[10]t}
`

func buildWeir(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "weir")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "weir/cmd/weir")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build weir: %w: %s", err, bytes.TrimSpace(out))
	}
	return path, nil
}

// freeAddr finds an address of a loopback host that nobody listens on.
func freeAddr(host string) (string, error) {
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}

// A redisServer keeps nothing on disk.
type redisServer struct {
	url string
	cmd *exec.Cmd // nil: it is somebody else's
}

// startRedis takes the Redis at a URL, or starts one where that is empty.
func startRedis(url, dir string) (*redisServer, error) {
	if url != "" {
		return &redisServer{url: url}, nil
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("there is no redis-server: apt-get install redis-server, or say -redis URL")
	}
	addr, err := freeAddr("127.0.0.1")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	r := &redisServer{url: "redis://" + addr, cmd: cmd}
	for range 500 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return r, conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.end()
	return nil, errors.New("no answer from Redis")
}

func (r *redisServer) end() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait() // it was killed
	}
}

// A server is one weir serve.
type server struct {
	file, url, admin, dir string
	cmd                   *exec.Cmd // nil: it is dead
	log                   *os.File
}

// start starts the process and returns when it answers.
func (s *server) start(ctx context.Context, weir string) error {
	cmd := exec.Command(weir, "serve", "--config", s.file)
	cmd.Stderr = s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start weir: %w", err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get(s.url + "/healthz"); err == nil {
			_ = resp.Body.Close()
			s.cmd = cmd
			return nil
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	return fmt.Errorf("start weir: no answer at %s; see %s", s.url, s.log.Name())
}

// kill is kill -9.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // it was killed
		s.cmd = nil
	}
}

// stop lets the process end as an operator does.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	if failed := s.cmd.Wait(); failed != nil {
		err = errors.Join(err, fmt.Errorf("stop weir: %w; see %s", failed, s.log.Name()))
	}
	s.cmd = nil
	return err
}

// A cluster is the processes of a run, their store and their upstream.
type cluster struct {
	dir     string
	servers []*server
	up      *upstream
	key     string // the virtual key's token
	client  *http.Client
}

func startCluster(ctx context.Context, r *run) (c *cluster, err error) {
	c = &cluster{dir: r.dir, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: r.o.clients}}}
	defer func() {
		if err != nil {
			c.end()
		}
	}()
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, err
	}
	if c.up, err = startUpstream(r.dice.Uint64()); err != nil {
		return nil, err
	}
	if err := c.makeKey(ctx); err != nil {
		return nil, err
	}
	for i := range 3 {
		s, err := c.configure(r, i)
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, s)
		if err := s.start(ctx, r.o.weir); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cluster) configure(r *run, i int) (*server, error) {
	// Each run has a host of its own: what a killed process listened on must not
	// become another run's while its clients still ask there.
	host := fmt.Sprintf("127.0.1.%d", r.n%250+1)
	data, err := freeAddr(host)
	if err != nil {
		return nil, err
	}
	admin, err := freeAddr(host)
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + data, admin: "http://" + admin, dir: filepath.Join(c.dir, fmt.Sprint("p", i+1))}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	s.file = filepath.Join(s.dir, "weir.yaml")
	text := fmt.Sprintf(weirYAML, data, admin, s.dir, c.dir, r.redis.url, filepath.Base(filepath.Dir(c.dir))+fmt.Sprint(r.n+1), c.up.addr, r.scope, dollars(r.o.budget), r.strict)
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s.log, err = os.Create(filepath.Join(s.dir, "log"))
	return s, err
}

// makeKey makes the store and one virtual key in it.
func (c *cluster) makeKey(ctx context.Context) (err error) {
	db, err := sqldb.Open("sqlite:" + filepath.Join(c.dir, "weir.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrations.Up(ctx, db); err != nil {
		return err
	}
	_, c.key, err = ledger.NewKeys(db, []byte(secret)).Create(ctx, "overshoot", ledger.KeySpec{Name: "overshoot", Project: "overshoot"})
	return err
}

// A standing is how the budget stands, as the admin API says it.
type standing struct{ Limit, Used, Reserved int64 }

// status asks a living process how the budget stands. Where Redis was too slow
// it asks again.
func (c *cluster) status(ctx context.Context) (out standing, err error) {
	for range 100 {
		if out, err = c.standing(ctx); err == nil || ctx.Err() != nil {
			break
		}
		sleep(ctx, 200*time.Millisecond)
	}
	return out, err
}

func (c *cluster) standing(ctx context.Context) (out standing, err error) {
	for _, s := range c.servers {
		if s.cmd == nil {
			continue
		}
		var list struct{ Data []standing }
		if err := c.askAdmin(ctx, s, "/api/v1/limits", &list); err != nil {
			return out, err
		}
		if len(list.Data) != 1 {
			return out, fmt.Errorf("%d budgets are in use, want one", len(list.Data))
		}
		return list.Data[0], nil
	}
	return out, errors.New("no process lives")
}

// apart asks the living processes how many decisions they took without Redis.
func (c *cluster) apart(ctx context.Context) (n int64, err error) {
	for _, s := range c.servers {
		if s.cmd == nil {
			continue
		}
		var store struct {
			Local int64 `json:"local_decisions"`
		}
		if err := c.askAdmin(ctx, s, "/api/v1/limit-store", &store); err != nil {
			return n, err
		}
		n += store.Local
	}
	return n, nil
}

// askAdmin reads an answer of a process's admin API.
func (c *cluster) askAdmin(ctx context.Context, s *server, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.admin+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", path, err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err = errors.Join(err, json.Unmarshal(text, into)); err != nil || resp.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("ask for %s: %s %s", path, resp.Status, text), err)
	}
	return nil
}

// settled waits until no call holds anything, the dead ones' leases have
// expired, and the dead process's spool was adopted.
func (c *cluster) settled(ctx context.Context) (standing, error) {
	for {
		st, err := c.status(ctx)
		if err != nil {
			return st, err
		}
		left := c.left()
		if st.Reserved == 0 && left == "" {
			return st, nil
		}
		select {
		case <-ctx.Done():
			return st, fmt.Errorf("$%s are still held, the spool %q is not adopted: %w", dollars(st.Reserved), left, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// spent is what the ledger knows of the budget, and of how many calls.
func (c *cluster) spent(ctx context.Context, scope string) (nano, calls int64, err error) {
	db, err := sqldb.Open("sqlite:" + filepath.Join(c.dir, "weir.db"))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	list, err := ledger.NewCalls(db, "").Spent(ctx, ledger.SpentQuery{Scope: scope})
	for i := range list {
		nano, calls = nano+list[i].Cost.NanoUp(), calls+list[i].Calls
	}
	return nano, calls, err
}

// left is the spool of a dead process that holds something; "": none.
func (c *cluster) left() string {
	for _, s := range c.servers {
		if s.cmd != nil {
			continue
		}
		segments, _ := filepath.Glob(filepath.Join(s.dir, "spool", "*.spool"))
		for _, path := range segments {
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				return path
			}
		}
	}
	return ""
}

// stop ends the living processes: what they know is in the store then.
func (c *cluster) stop() (err error) {
	c.client.CloseIdleConnections()
	for _, s := range c.servers {
		err = errors.Join(err, s.stop())
	}
	return err
}

// end ends everything at once.
func (c *cluster) end() {
	for _, s := range c.servers {
		s.kill()
		_ = s.log.Close() // nothing is written to it any more
	}
	c.client.CloseIdleConnections()
	if c.up != nil {
		c.up.end()
	}
}

// said counts the lines of the processes' logs with a text in them.
func (c *cluster) said(text string) (n int) {
	for _, s := range c.servers {
		b, _ := os.ReadFile(s.log.Name())
		n += strings.Count(string(b), text)
	}
	return n
}
