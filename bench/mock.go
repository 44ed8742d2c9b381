//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// A mock is the upstream: a server that does as little as can be done, so that
// the two cores are left to what stands in front of it. It is no judge of
// requests; internal/mockllm is that.
type mock struct {
	l        *loop
	listener int
	answers  *answers
}

// answers are the replies, made ready for the wire.
type answers struct {
	plain, models      []byte
	head               []byte
	event              []byte // one chunk with its event; the stamp is written over
	burst, burstUsage  []byte // a whole stream at once
	closing, closingUs []byte // the chunks behind the last event of a paced stream
}

func newAnswers() *answers {
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	plain := func(body []byte) []byte {
		return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: req_bench\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	a := &answers{
		plain:  plain(plainReply()),
		models: plain([]byte(`{"object":"list","data":[]}`)),
		head:   []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nX-Request-Id: req_bench\r\nTransfer-Encoding: chunked\r\n\r\n"),
		event:  []byte(chunk(eventHead + "0000000000000000" + eventTail)),
	}
	a.closing = []byte(chunk(lastEvent) + chunk(doneEvent) + "0\r\n\r\n")
	a.closingUs = []byte(chunk(lastEvent) + chunk(useEvent) + chunk(doneEvent) + "0\r\n\r\n")
	all := append(bytes.Clone(a.head), bytes.Repeat(a.event, chunks)...)
	a.burst = append(bytes.Clone(all), a.closing...)
	a.burstUsage = append(bytes.Clone(all), a.closingUs...)
	return a
}

// eventNow is the event's chunk with the time in it; valid until the next call.
func (a *answers) eventNow() []byte {
	i := bytes.IndexByte(a.event, '\n') + 1 + len(eventHead)
	putStamp(a.event[i:i+stampDigit], time.Now().UnixNano())
	return a.event
}

// ready takes a new connection.
func (m *mock) ready() {
	fd, _, err := syscall.Accept4(m.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	if err != nil {
		return
	}
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) //nolint:errcheck // only slower without it
	c := &mockConn{sock: sock{l: m.l, fd: fd}, a: m.answers, in: make([]byte, 0, 8<<10)}
	if m.l.add(fd, c) != nil {
		syscall.Close(fd) //nolint:errcheck // nothing else can be done
	}
}

func (m *mock) due(int64) {}

type mockConn struct {
	sock
	a      *answers
	in     []byte // what came and was not answered yet
	sent   int    // events of the stream under way
	pause  int64  // between them, ns
	next   int64  // when the next one is due
	usage  bool
	closed bool
}

func (c *mockConn) ready() {
	if c.flush() != nil {
		c.close()
		return
	}
	if len(c.in) == cap(c.in) {
		c.in = append(c.in, 0)[:len(c.in)]
	}
	n, done, err := rawRead(c.fd, c.in[len(c.in):cap(c.in)])
	if done || err != nil {
		c.close()
		return
	}
	c.in = c.in[:len(c.in)+n]
	for !c.closed && c.pause == 0 {
		size := requestSize(c.in)
		if size == 0 || size > len(c.in) {
			return
		}
		c.answer(c.in[:size])
		c.in = c.in[:copy(c.in, c.in[size:])]
	}
}

func (c *mockConn) close() {
	if !c.closed {
		c.closed = true
		c.l.remove(c.fd)
	}
}

// requestSize is the length of the first request in p; 0: its head isn't whole yet.
func requestSize(p []byte) int {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		return 0
	}
	head := p[:end]
	i := bytes.Index(head, []byte("\r\nContent-Length: "))
	if i < 0 {
		if i = bytes.Index(bytes.ToLower(head), []byte("\r\ncontent-length: ")); i < 0 {
			return end + 4
		}
	}
	digits := head[i+len("\r\nContent-Length: "):]
	if e := bytes.IndexByte(digits, '\r'); e >= 0 {
		digits = digits[:e]
	}
	n, err := strconv.Atoi(string(digits))
	if err != nil {
		return end + 4
	}
	return end + 4 + n
}

func (c *mockConn) answer(req []byte) {
	var err error
	if !bytes.HasPrefix(req, []byte("POST ")) {
		err = c.write(c.a.models)
	} else {
		s, ok := shapeOf(string(req))
		c.usage = bytes.Contains(req, []byte(`"include_usage":true`))
		switch {
		case !ok:
			err = c.write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
		case !s.stream:
			err = c.write(c.a.plain)
		case s.pauseUS == 0 && c.usage:
			err = c.write(c.a.burstUsage)
		case s.pauseUS == 0:
			err = c.write(c.a.burst)
		default:
			c.sent, c.pause, c.next = 0, s.pauseUS*1000, c.l.now()
			if err = c.write(c.a.head); err == nil {
				c.due(c.next)
				return
			}
		}
	}
	if err != nil {
		c.close()
	}
}

// due sends the next event of a paced stream. Events keep to the schedule that
// began with the stream: a late one doesn't delay the others.
func (c *mockConn) due(int64) {
	if c.closed {
		return
	}
	err := c.write(c.a.eventNow())
	c.sent++
	if err == nil && c.sent < chunks {
		c.next += c.pause
		c.l.after(c.next, c)
		return
	}
	if err == nil && c.usage {
		err = c.write(c.a.closingUs)
	} else if err == nil {
		err = c.write(c.a.closing)
	}
	if err != nil {
		c.close()
	}
	c.pause = 0
}

// listenRaw opens a loopback listener for the loop, and tells its address.
func listenRaw() (fd int, addr string, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, "", fmt.Errorf("make a socket: %w", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, "", fmt.Errorf("bind: %w", err)
	}
	if err := syscall.Listen(fd, 4096); err != nil {
		return 0, "", fmt.Errorf("listen: %w", err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, "", fmt.Errorf("read the socket's address: %w", err)
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port), nil
}

// runMock serves plain HTTP/1.1 from a loop, and TLS with HTTP/2 or 1.1 from net/http.
func runMock(dir string) error {
	l, err := newLoop()
	if err != nil {
		return err
	}
	fd, addr, err := listenRaw()
	if err != nil {
		return err
	}
	m := &mock{l: l, listener: fd, answers: newAnswers()}
	if err := l.add(fd, m); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(serveTLSMock)}
	go srv.ServeTLS(ln, dir+"/cert.pem", dir+"/key.pem") //nolint:errcheck // the parent sees its requests fail
	announce(addresses{Plain: addr, TLS: ln.Addr().String()})
	return l.run()
}

var (
	jsonBody  = plainReply()
	burstBody = bytes.Join([][]byte{bytes.Repeat([]byte(eventHead+"0000000000000000"+eventTail), chunks), []byte(lastEvent), []byte(doneEvent)}, nil)
	usageBody = bytes.Join([][]byte{burstBody[:len(burstBody)-len(doneEvent)], []byte(useEvent), []byte(doneEvent)}, nil)
)

// serveTLSMock answers without pauses: the plain reply, or a stream in one go.
func serveTLSMock(w http.ResponseWriter, r *http.Request) {
	var buf [4 << 10]byte
	n, err := io.ReadFull(r.Body, buf[:])
	if err != io.ErrUnexpectedEOF && err != io.EOF {
		http.Error(w, "the body is too large for the bench", http.StatusBadRequest)
		return
	}
	s, _ := shapeOf(string(buf[:n]))
	h := w.Header()
	h["X-Request-Id"] = []string{"req_bench"}
	body := jsonBody
	if s.stream {
		h["Content-Type"] = []string{"text/event-stream; charset=utf-8"}
		body = burstBody
		if bytes.Contains(buf[:n], []byte(`"include_usage":true`)) {
			body = usageBody
		}
		w.WriteHeader(http.StatusOK)
		w.Write(body)                         //nolint:errcheck // the client may have gone
		http.NewResponseController(w).Flush() //nolint:errcheck // as before
		return
	}
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.Write(body) //nolint:errcheck // the client may have gone
}
