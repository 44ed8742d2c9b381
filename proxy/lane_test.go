package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A wireServer answers every connection with a script of its own.
type wireServer struct {
	addr  string
	conns atomic.Int64
}

// serveWire hands each connection to script, with its number from 0.
func serveWire(t *testing.T, script func(n int64, conn net.Conn, in *bufio.Reader)) *wireServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &wireServer{addr: ln.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n := s.conns.Add(1) - 1
			go func() {
				defer conn.Close()
				script(n, conn, bufio.NewReader(conn))
			}()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return s
}

// request reads one request and returns its body; false: the client has gone.
func readWire(in *bufio.Reader) (string, bool) {
	req, err := http.ReadRequest(in)
	if err != nil {
		return "", false
	}
	body, err := io.ReadAll(req.Body)
	return string(body), err == nil
}

func openLanes(t *testing.T) *lanes {
	t.Helper()
	ls := newLanes((&net.Dialer{}).DialContext)
	t.Cleanup(ls.close)
	return ls
}

func laneRequest(ctx context.Context, addr, body string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/chat/completions?a=b", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header["X-Odd"] = []string{"one", "two"}
	req.Header["User-Agent"] = []string{""}
	return req
}

// ask makes a round trip and reads the reply.
func ask(t *testing.T, ls *lanes, addr, body string) (string, error) {
	t.Helper()
	req := laneRequest(t.Context(), addr, body)
	if !ls.takes(req) {
		t.Fatal("not a request for the lanes")
	}
	resp, err := ls.roundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return string(got), err
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestLaneBytes(t *testing.T) {
	seen := make(chan string, 1)
	s := serveWire(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		buf := make([]byte, 4096)
		n, _ := in.Read(buf)
		seen <- string(buf[:n])
		io.WriteString(conn, okReply)
	})
	if got, err := ask(t, openLanes(t), s.addr, `{"a":1}`); got != "ok" || err != nil {
		t.Fatalf("reply %q, %v", got, err)
	}
	want := "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: " + s.addr + "\r\nContent-Length: 7\r\nX-Odd: one\r\nX-Odd: two\r\n\r\n{\"a\":1}"
	if got := <-seen; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// Which replies leave a connection that is used again.
func TestLaneKeeps(t *testing.T) {
	check := func(name, reply, want string, kept bool) {
		t.Helper()
		s := serveWire(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
			for {
				if _, ok := readWire(in); !ok {
					return
				}
				io.WriteString(conn, reply)
				if !kept && !strings.Contains(reply, "close") {
					return
				}
			}
		})
		ls := openLanes(t)
		for range 3 {
			if got, err := ask(t, ls, s.addr, "{}"); got != want || err != nil {
				t.Errorf("%s: reply %q, %v; want %q", name, got, err, want)
			}
		}
		conns := int64(3)
		if kept {
			conns = 1
		}
		if n := s.conns.Load(); n != conns {
			t.Errorf("%s: %d connections, want %d", name, n, conns)
		}
	}
	check("length", okReply, "ok", true)
	check("no content", "HTTP/1.1 204 No Content\r\n\r\n", "", true)
	check("empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true)
	check("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", true)
	check("trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n2\r\nok\r\n0\r\nX-A: b\r\n\r\n", "ok", true)
	check("early hints", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+okReply, "ok", true)
	check("close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", false)
	check("to the end", "HTTP/1.1 200 OK\r\n\r\nok", "ok", false)
	check("old", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false)
	check("more than it says, and close", okReply+"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "ok", false)
}

// A connection that the upstream closed while it was idle costs nobody a call;
// one that breaks under a request is not tried again, since that may have cost money.
func TestLaneRetries(t *testing.T) {
	closed := make(chan struct{}, 1)
	s := serveWire(t, func(n int64, conn net.Conn, in *bufio.Reader) {
		readWire(in)
		io.WriteString(conn, okReply)
		if n == 0 { // closes while idle
			conn.Close()
			closed <- struct{}{}
			return
		}
		readWire(in) // takes the request and dies
	})
	ls := openLanes(t)
	if _, err := ask(t, ls, s.addr, "{}"); err != nil {
		t.Fatal(err)
	}
	<-closed
	if _, err := ask(t, ls, s.addr, "{}"); err != nil {
		t.Errorf("after an idle close: %v", err)
	}
	if _, err := ask(t, ls, s.addr, "{}"); err == nil {
		t.Error("a connection that died with the request on it gave no error")
	}
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestLaneRefusesLargeHeads(t *testing.T) {
	s := serveWire(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		readWire(in)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Long: "+strings.Repeat("a", maxHeaderBack)+"\r\n\r\n")
	})
	if _, err := ask(t, openLanes(t), s.addr, "{}"); !errors.Is(err, errHeadTooLarge) {
		t.Errorf("error %v, want %v", err, errHeadTooLarge)
	}
}

// The context ends the wait for the headers, and the reading of the body; the
// upstream sees its connection go.
func TestLaneCancel(t *testing.T) {
	check := func(name, begin string) {
		t.Helper()
		begun, gone := make(chan struct{}), make(chan struct{})
		s := serveWire(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
			readWire(in)
			io.WriteString(conn, begin)
			close(begun)
			io.Copy(io.Discard, in)
			close(gone)
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { <-begun; cancel(errIdle) }()
		resp, err := openLanes(t).roundTrip(laneRequest(ctx, s.addr, "{}"))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		} else if !errors.Is(err, errIdle) {
			t.Errorf("%s: error %v, want the cause", name, err)
		}
		if err == nil {
			t.Errorf("%s: no error after the cancel", name)
		}
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the upstream's connection is still open", name)
		}
	}
	check("before the headers", "")
	check("in the body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
}

// An upstream that answers without reading the request is heard.
func TestLaneEarlyAnswer(t *testing.T) {
	s := serveWire(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
		io.Copy(io.Discard, in)
	})
	if got, err := ask(t, openLanes(t), s.addr, strings.Repeat("x", laneBody)); got != "no" || err != nil {
		t.Errorf("reply %q, %v", got, err)
	}
}

func TestLaneClose(t *testing.T) {
	s := serveWire(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		for {
			if _, ok := readWire(in); !ok {
				return
			}
			io.WriteString(conn, okReply)
		}
	})
	ls := openLanes(t)
	for range 2 {
		if _, err := ask(t, ls, s.addr, "{}"); err != nil {
			t.Fatal(err)
		}
		ls.close() // what comes back afterwards isn't kept
	}
	if n := len(ls.idle); n != 0 {
		t.Errorf("%d addresses with idle connections after close", n)
	}
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestLaneSweep(t *testing.T) {
	s := serveWire(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		readWire(in)
		io.WriteString(conn, okReply)
		io.Copy(io.Discard, in)
	})
	ls := openLanes(t)
	if _, err := ask(t, ls, s.addr, "{}"); err != nil {
		t.Fatal(err)
	}
	ls.sweep()
	if len(ls.idle[s.addr]) != 1 {
		t.Fatal("a live connection was swept away")
	}
	ls.idle[s.addr][0].since = time.Now().Add(-idleFor)
	ls.sweep()
	if len(ls.idle) != 0 {
		t.Error("an old connection is still there")
	}
}

func TestLaneTakes(t *testing.T) {
	check := func(name string, want bool, change func(*http.Request)) {
		t.Helper()
		req := laneRequest(t.Context(), "h:1", "{}")
		change(req)
		if got := new(lanes).takes(req); got != want {
			t.Errorf("%s: takes = %v, want %v", name, got, want)
		}
	}
	check("small POST", true, func(*http.Request) {})
	check("TLS", false, func(r *http.Request) { r.URL.Scheme = "https" })
	check("GET", false, func(r *http.Request) { r.Method = http.MethodGet })
	check("no body", false, func(r *http.Request) { r.ContentLength = 0 })
	check("unknown length", false, func(r *http.Request) { r.ContentLength = -1 })
	check("large", false, func(r *http.Request) { r.ContentLength = laneBody + 1 })
	check("UTF-8 in a value", true, func(r *http.Request) { r.Header["X-A"] = []string{"é"} })
	check("a line end in a value", false, func(r *http.Request) { r.Header["X-A"] = []string{"a\r\nX-B: c"} })
	check("a line end in a name", false, func(r *http.Request) { r.Header["X-A\r\nX-B"] = []string{"a"} })
	check("a space in the query", false, func(r *http.Request) { r.URL.RawQuery = "a=b HTTP/1.1" })
	check("a host beyond ASCII", false, func(r *http.Request) { r.Host = "ü" })
}

// FuzzLaneReply holds the lanes to http.Transport: whatever an upstream sends,
// both read the same, or both fail.
func FuzzLaneReply(f *testing.F) {
	for _, reply := range []string{
		okReply, "", "HTTP/1.1 200 OK\r\n\r\nto the end", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n2\r\nok\r\n0\r\nX-T: a\r\n\r\n", "HTTP/1.1 103 Early\r\n\r\n" + okReply,
		"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nold", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
		strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 7) + okReply, "<html>",
	} {
		f.Add([]byte(reply))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		ls := newLanes(pipeTo(reply))
		defer ls.close()
		tr := &http.Transport{DialContext: pipeTo(reply), DisableCompression: true, MaxResponseHeaderBytes: maxHeaderBack}
		defer tr.CloseIdleConnections()
		got, want := readReply(t, ls.roundTrip), readReply(t, tr.RoundTrip)
		if want.Status <= 101 {
			want = replyRead{Failed: true} // nobody asks for an upgrade, and the rest is no status
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: the lanes read %+v, http.Transport %+v", reply, got, want)
		}
	})
}

// pipeTo dials a server that takes a request, answers with the reply and closes.
func pipeTo(reply []byte) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			if _, ok := readWire(bufio.NewReader(far)); ok {
				far.Write(reply)
			}
		}()
		return near, nil
	}
}

type replyRead struct {
	Failed bool
	Status int
	Header http.Header
	Body   string
}

func readReply(t *testing.T, roundTrip func(*http.Request) (*http.Response, error)) replyRead {
	resp, err := roundTrip(laneRequest(t.Context(), "h:1", "{}"))
	if err != nil {
		return replyRead{Failed: true}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return replyRead{err != nil, resp.StatusCode, resp.Header, string(body)}
}
