package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Credentials. None of them is real; where which one arrives is a check.
const (
	providerKey = "sk-configured-in-weir"
	clientKey   = "sk-of-the-client"
	badKey      = "wk-not-a-key-of-this-weir"
)

// A process is a running weir mock or weir serve.
type process struct {
	cmd  *exec.Cmd
	base string
	logs string // a file
	done chan error
}

// freeAddr returns a loopback address that nobody listens on now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// start runs weir and waits until its /healthz answers.
func (s *suite) start(ctx context.Context, name, addr string, args ...string) (*process, error) {
	p := &process{base: "http://" + addr, logs: filepath.Join(s.dir, name+".log"), done: make(chan error, 1)}
	log, err := os.Create(p.logs)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(s.weir, args...)
	p.cmd.Dir = s.dir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir} // no provider's key is found in the environment
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.done <- p.cmd.Wait() }()
	if err := p.healthy(ctx); err != nil {
		p.stop()
		text, _ := os.ReadFile(p.logs)
		return nil, fmt.Errorf("start %s: %w\n%s", name, err, text)
	}
	return p, nil
}

func (p *process) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/healthz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode < http.StatusInternalServerError { // a mock with a key answers 401
				return nil
			}
		}
		select {
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("it ended: %v", err)
		case <-ctx.Done():
			return errors.New("it does not answer on /healthz")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the process the way a service manager does.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// mock starts weir mock, with all its counts at zero.
func (s *suite) mock(ctx context.Context, name string, flags ...string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return s.start(ctx, name, addr, append([]string{"mock", "--listen", addr, "--fixed-time"}, flags...)...)
}

// gateway starts weir serve in front of an upstream and returns it with its
// configuration's file. apiKey is what its providers have configured, more is
// added to the configuration.
func (s *suite) gateway(ctx context.Context, name, auth, upstream, apiKey string, more ...string) (*process, string, error) {
	data, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	file := filepath.Join(s.dir, name+".yaml")
	text := fmt.Sprintf(gatewayConfig, data, admin, auth, filepath.Join(s.dir, name), upstream, apiKey)
	if err := os.WriteFile(file, []byte(text+strings.Join(more, "")), 0o600); err != nil {
		return nil, "", err
	}
	p, err := s.start(ctx, "weir-"+name, data, "serve", "--config", file)
	return p, file, err
}

// The routes do not retry, since the SDKs' own retries are what is looked at,
// but for the two cases that are about both.
const gatewayConfig = `
listen: %[1]s
admin: {listen: %[2]s}
auth: %[3]s
data: %[4]s
providers:
  openai: {kind: openai, base_url: %[5]s/v1, api_key: "%[6]s"}
  claude: {kind: anthropic, base_url: %[5]s, api_key: "%[6]s"}
  google: {kind: gemini, base_url: %[5]s, api_key: "%[6]s"}
  reasoner: {kind: openai, base_url: %[5]s/v1, api_key: "%[6]s", apis: [responses]}
routes:
  - {model: "claude-*-absorbed", targets: [{provider: claude}], retries: 2}
  - {model: "claude-*-exhausted", targets: [{provider: claude}], retries: 1}
  - {model: "gpt-4.1*", targets: [{provider: reasoner}], retries: 0}
  - {model: "o4-*", targets: [{provider: reasoner}], retries: 0}
  - {model: "gpt-*-absorbed", targets: [{provider: openai}], retries: 2}
  - {model: "gpt-*-exhausted", targets: [{provider: openai}], retries: 1}
  - {model: "claude-*", targets: [{provider: claude}], retries: 0}
  - {model: "gemini-*", targets: [{provider: google}], retries: 0}
  - {model: "gpt-*", targets: [{provider: openai}], retries: 0}
  - {model: "text-embedding-*", targets: [{provider: openai}], retries: 0}
`
