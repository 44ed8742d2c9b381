// Package redistest gives tests a real Redis: the one of WEIR_TEST_REDIS, or
// throw-away ones that it starts in a container or as a process, and which it
// can pause, kill and start again, empty.
package redistest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Env names a Redis for the tests that only need one.
const Env = "WEIR_TEST_REDIS"

const hint = "hint: apt-get install redis-server, or set " + Env + "; go test -short (make test-quick) leaves these tests out"

// startTime bounds a server's start; a container's image may have to be loaded.
const startTime = 2 * time.Minute

// A Server is a throw-away Redis that keeps nothing on disk. Its methods fail
// the test where they cannot do it.
type Server struct {
	URL  string
	Addr string // host:port
	t    testing.TB
	args []string
	cmd  *exec.Cmd // nil: it is a container
	name string    // of the container
}

// URL returns the Redis of WEIR_TEST_REDIS, or the one of a server that lives
// as long as the test. Tests share it: they use prefixes of their own.
func URL(t testing.TB) string {
	t.Helper()
	if url := os.Getenv(Env); url != "" && !testing.Short() {
		return url
	}
	return Start(t).URL
}

// Start starts a server of the test's own, which ends with it. args are
// further ones of redis-server. Short runs skip the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Redis")
	}
	addr := freeAddr(t)
	s := &Server{Addr: addr, URL: "redis://" + addr, t: t, args: args}
	s.start()
	t.Cleanup(s.end)
	return s
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// engine tells once whether Docker answers.
var engine = sync.OnceValue(func() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Run() == nil
})

// binary is the server that is installed; "": none.
func binary() string {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func (s *Server) start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.Addr)
	if engine() {
		err := s.startContainer(port)
		if err == nil {
			return
		}
		s.t.Logf("docker answers and does not run Redis: %v", err)
	}
	path := binary()
	switch {
	case path != "":
	case os.Getenv(Env) != "":
		s.t.Skip("needs a Redis of its own, and none is installed")
	default:
		s.t.Fatalf("no Redis for the tests.\n%s", hint)
	}
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.t.TempDir(), "--save", "", "--appendonly", "no"}, s.args...)
	s.cmd = exec.Command(path, args...)
	var out bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("start %s: %v", path, err)
	}
	if err := s.wait(10 * time.Second); err != nil {
		s.end()
		s.t.Fatalf("start %s: %v\n%s", path, err, &out)
	}
}

func (s *Server) startContainer(port string) error {
	s.name = "weir-test-redis-" + port + "-" + strconv.Itoa(os.Getpid())
	args := append([]string{
		"run", "--rm", "-d", "--name", s.name, "-p", "127.0.0.1:" + port + ":6379", "redis:7-alpine",
		"redis-server", "--save", "", "--appendonly", "no",
	}, s.args...)
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput(); err != nil {
		s.name = ""
		return fmt.Errorf("docker run: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return s.wait(30 * time.Second)
}

// wait returns when the server answers.
func (s *Server) wait(patience time.Duration) (err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = s.ping(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no answer: %w", err)
}

func (s *Server) ping() error {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return err
	}
	reply := make([]byte, 5)
	if _, err := io.ReadFull(c, reply); err != nil {
		return err
	}
	if got := string(reply); got != "+PONG" && got != "-NOAU" { // it wants a password first
		return errors.New("it says " + strconv.Quote(string(reply)))
	}
	return nil
}

// Do sends a command whose words have no spaces in them, and returns the texts
// of the reply as lines; numbers and errors keep their sign, : and -.
func (s *Server) Do(command string) string {
	s.t.Helper()
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		s.t.Fatalf("redis %s: %v", command, err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(c, command+"\r\n"); err != nil {
		s.t.Fatalf("redis %s: %v", command, err)
	}
	var out strings.Builder
	if err := reply(bufio.NewReader(c), &out); err != nil {
		s.t.Fatalf("redis %s: %v", command, err)
	}
	return out.String()
}

// reply reads one reply.
func reply(r *bufio.Reader, out *strings.Builder) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	line = strings.TrimRight(line, "\r\n")
	n, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '$':
		text := make([]byte, max(0, n)+2)
		if n < 0 {
			return nil
		}
		if _, err := io.ReadFull(r, text); err != nil {
			return err
		}
		line = string(text[:n])
	case '*':
		for range n {
			if err := reply(r, out); err != nil {
				return err
			}
		}
		return nil
	case '+':
		line = line[1:]
	}
	out.WriteString(line + "\n")
	return nil
}

// Pause stops the server in its tracks: its connections stay and nothing
// answers. Resume lets it go on.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP, "pause") }

// Resume ends a pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT, "unpause") }

// Kill ends the server at once, and with it all that it knows.
func (s *Server) Kill() {
	s.t.Helper()
	s.end()
}

// Restart starts a server that was killed, empty, at the same address.
func (s *Server) Restart() {
	s.t.Helper()
	s.start()
}

func (s *Server) signal(sig syscall.Signal, verb string) {
	s.t.Helper()
	var err error
	if s.name != "" {
		err = exec.Command("docker", verb, s.name).Run()
	} else {
		err = s.cmd.Process.Signal(sig)
	}
	if err != nil {
		s.t.Fatalf("%s redis: %v", verb, err)
	}
}

func (s *Server) end() {
	if s.name != "" {
		_ = exec.Command("docker", "rm", "-f", s.name).Run() // it may be gone
		s.name = ""
	}
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // it was killed
		s.cmd = nil
	}
}
