package proxy

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

// deafPort listens and never accepts: once its queue is full, further SYNs
// are dropped.
func deafPort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for {
		conn, err := net.DialTimeout("tcp", addr, 50*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { conn.Close() })
	}
}

func TestConnectTimeout(t *testing.T) {
	good := newVendor(t, says(200, chatReply))
	g := newRig(t, timed(Timeouts{Connect: 100 * time.Millisecond}, true, at("bad", "openai", "http://"+deafPort(t)+"/v1"), at("good", "openai", good.url+"/v1")))
	start := time.Now()
	if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 200 || time.Since(start) > 900*time.Millisecond {
		t.Errorf("%d %s after %v", resp.StatusCode, got, time.Since(start))
	}
	if c := g.one(); c.Attempts[0].ErrorClass != "upstream_unreachable" || !c.Attempts[0].Usage.IsZero() {
		t.Errorf("call %+v", c)
	}
}
