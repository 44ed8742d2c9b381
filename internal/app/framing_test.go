package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFraming sends what no client library would: malformed heads and bodies
// of unclear length. None may reach an upstream as a request of its own.
func TestFraming(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		mu.Lock()
		seen = append(seen, r.Method+" "+r.URL.Path+" "+string(b))
		mu.Unlock()
		if err == nil {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`)
		}
	}))
	defer upstream.Close()
	h := start(t, strings.Replace(basic, "mock: {kind: mock}", "up: {kind: openai, base_url: '"+upstream.URL+"/v1', api_key: k}", 1))
	addr := strings.TrimPrefix(h.URL(), "http://")
	const body = `{"model":"up/x","messages":[]}`

	check := func(raw string, status int) {
		t.Helper()
		if got, err := firstStatus(t, addr, raw); got != status {
			t.Errorf("%q is answered %d (%v), want %d", raw, got, err, status)
		}
	}
	post := "POST /v1/chat/completions HTTP/1.1\nHost: " + addr + "\nContent-Type: application/json\n"
	smuggled := "GET /v1/smuggled HTTP/1.1\nHost: " + addr + "\n\n"
	check(post+"Content-Length: 31\n\n"+body[:30]+"\n", 200) // the check itself works
	check(post+"Content-Length: 30\nContent-Length: 31\n\n"+body, 400)
	check(post+"Content-Length: -1\n\n", 400)
	check(post+"Content-Length: +30\n\n"+body, 400)
	check(post+"Transfer-Encoding: chunked\nTransfer-Encoding: identity\n\n0\n\n"+smuggled, 501)
	check(post+"Transfer-Encoding: xchunked\n\n0\n\n", 501)
	check(post+"Transfer-Encoding: chunked\n\nZZ\n", 400)
	check(post+"X-A : b\n\n", 400)
	check(post+"X-A: b\x00c\n\n", 400)
	check(post+" folded: b\n\n", 400)
	check(post+"Host: "+addr+"\n\n", 400)
	check("GET /v1/models HTTP/1.1\n\n", 400)
	check("GET http://evil.example.com/v1/models HTTP/1.1\nHost: "+addr+"\n\n", 403)
	check("GET /v1/models HTTP/3.0\nHost: x\n\n", 505)
	check("NONSENSE\n\n", 400)
	check("PRI * HTTP/2.0\n\nSM\n\n", 403) // HTTP/2 without TLS: it has no Host
	// A length beside chunks: the chunks count, and what follows the last one
	// is no part of the call.
	check(post+"Content-Length: 3\nTransfer-Encoding: chunked\n\n1e\n"+body+"\n0\n\n"+smuggled, 200)

	mu.Lock()
	defer mu.Unlock()
	for _, s := range seen {
		if strings.Contains(s, "smuggled") || !strings.HasPrefix(s, "POST /v1/chat/completions {") && !strings.HasPrefix(s, "GET /v1/models") {
			t.Errorf("the upstream was asked %q", s)
		}
	}
}

// firstStatus sends bytes, \n standing for CR LF, and returns the status of
// the first answer.
func firstStatus(t *testing.T, addr, raw string) (int, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.ReplaceAll(raw, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

// A connection with chunks and a length is closed after the reply (RFC 9112
// §6.1): what follows is not answered. net/http does not show the length, so
// chunks alone close it, too.
func TestChunksCloseTheConnection(t *testing.T) {
	h := start(t, basic)
	addr := strings.TrimPrefix(h.URL(), "http://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"model":"mock/m","messages":[{"role":"user","content":"hi"}]}`
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"%x\r\n%s\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: %[1]s\r\n\r\n", addr, len(body), body)
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	got, _ := io.ReadAll(conn)
	if s := string(got); !strings.HasPrefix(s, "HTTP/1.1 200 ") || strings.Count(s, "HTTP/1.1 ") != 1 {
		t.Errorf("answered %s", s)
	}
}
