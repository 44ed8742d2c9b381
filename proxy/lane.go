package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Lanes carry small requests to plain-HTTP upstreams: engines on this machine
// or in this rack, which answer so soon that http.Transport's two goroutines
// per connection are a good part of the time. A lane is one kept connection
// that the attempt's own goroutine writes to and reads from. Everything else
// goes by http.Transport, whose rules of keeping and retrying hold here too.
type lanes struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex // guards the following fields
	idle   map[string][]*lane
	timer  *time.Timer // of the next sweep; nil: nothing is idle
	closed bool
}

// A lane is one connection. Who has taken it from lanes owns it.
type lane struct {
	all   *lanes
	addr  string
	conn  net.Conn
	raw   syscall.RawConn // to look whether the upstream has closed; nil: it can't be
	in    *bufio.Reader
	since time.Time // idle since
	head  int64     // bytes that the reply's headers may still have; < 0: no limit
}

const (
	laneBody  = 32 << 10         // bytes of a request's body, which must fit the kernel's buffers
	laneSweep = 15 * time.Second // how often idle lanes are looked at
)

func newLanes(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *lanes {
	return &lanes{dial: dial, idle: make(map[string][]*lane)}
}

// takes reports whether a request is one for the lanes: a small POST to plain
// HTTP whose header fields need no more care than they had when they came in.
func (ls *lanes) takes(req *http.Request) bool {
	if req.URL.Scheme != "http" || req.Method != http.MethodPost || req.ContentLength <= 0 || req.ContentLength > laneBody || req.GetBody == nil {
		return false
	}
	for name, values := range req.Header {
		for _, v := range values {
			if !isFieldValue(v) || !isToken(name) {
				return false
			}
		}
	}
	return isPlain(req.URL.Host) && isPlain(req.Host) && isPlain(req.URL.RawQuery)
}

// isPlain reports whether s is visible ASCII, fit for a request's first lines.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}

// isFieldValue reports whether v may be a header's value as it stands.
func isFieldValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isToken(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

// roundTrip sends a request that takes has let through. Its context ends the
// reading of the reply's body too.
func (ls *lanes) roundTrip(req *http.Request) (*http.Response, error) {
	body := req.Body
	defer func() { body.Close() }()
	for {
		l, kept, err := ls.take(req)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(req.Context(), l.interrupt)
		resp, fresh, err := l.exchange(req, body)
		if err == nil {
			resp.Body = &laneReply{ReadCloser: resp.Body, l: l, stop: stop, keep: !resp.Close}
			return resp, nil
		}
		stop()
		l.conn.Close()
		// A kept connection that took nothing had been closed before the request.
		if ctxErr := context.Cause(req.Context()); ctxErr != nil {
			return nil, ctxErr
		}
		if !kept || !fresh {
			return nil, err
		}
		again, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		body.Close()
		body = again
	}
}

// interrupt makes whatever the connection is doing fail now.
func (l *lane) interrupt() { _ = l.conn.SetDeadline(time.Unix(1, 0)) }

// take returns a kept connection that is still alive, else a new one.
func (ls *lanes) take(req *http.Request) (l *lane, kept bool, err error) {
	addr := req.URL.Host
	if req.URL.Port() == "" {
		addr = net.JoinHostPort(req.URL.Hostname(), "80")
	}
	for {
		l := ls.pop(addr)
		if l == nil {
			break
		}
		if time.Since(l.since) < idleFor && l.alive() {
			return l, true, nil
		}
		l.conn.Close()
	}
	conn, err := ls.dial(req.Context(), "tcp", addr)
	if err != nil {
		return nil, false, err
	}
	l = &lane{all: ls, addr: addr, conn: conn}
	if sc, ok := conn.(syscall.Conn); ok {
		l.raw, _ = sc.SyscallConn()
	}
	l.in = bufio.NewReader(l)
	return l, false, nil
}

func (ls *lanes) pop(addr string) *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	list := ls.idle[addr]
	if len(list) == 0 {
		return nil
	}
	l := list[len(list)-1]
	list[len(list)-1] = nil
	ls.idle[addr] = list[:len(list)-1]
	return l
}

// put keeps a connection for the next request.
func (ls *lanes) put(l *lane) {
	l.since = time.Now()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed || len(ls.idle[l.addr]) >= idlePerHost {
		l.conn.Close()
		return
	}
	ls.idle[l.addr] = append(ls.idle[l.addr], l)
	if ls.timer == nil {
		ls.timer = time.AfterFunc(laneSweep, ls.sweep)
	}
}

// sweep closes idle connections that are old, or closed at the other end.
func (ls *lanes) sweep() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for addr, list := range ls.idle {
		list = slices.DeleteFunc(list, func(l *lane) bool {
			if time.Since(l.since) < idleFor && l.alive() {
				return false
			}
			l.conn.Close()
			return true
		})
		if ls.idle[addr] = list; len(list) == 0 {
			delete(ls.idle, addr)
		}
	}
	ls.timer = nil
	if len(ls.idle) > 0 && !ls.closed {
		ls.timer = time.AfterFunc(laneSweep, ls.sweep)
	}
}

// close ends the idle connections, and each of the others after its reply.
func (ls *lanes) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	if ls.timer != nil {
		ls.timer.Stop()
	}
	for _, list := range ls.idle {
		for _, l := range list {
			l.conn.Close()
		}
	}
	clear(ls.idle)
}

// alive reports whether an idle connection has neither been closed nor been
// sent anything, which nobody had asked for.
func (l *lane) alive() bool {
	if l.raw == nil || l.in.Buffered() > 0 {
		return false
	}
	quiet := false
	err := l.raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && quiet
}

// exchange writes the request and reads the reply's headers. fresh says of an
// error that the upstream cannot have seen the request.
func (l *lane) exchange(req *http.Request, body io.Reader) (resp *http.Response, fresh bool, err error) {
	n, werr, err := l.send(req, body)
	if err != nil {
		return nil, false, err
	}
	if werr != nil && n == 0 {
		return nil, true, werr
	}
	if werr != nil { // it may have answered, and closed without reading on
		_ = l.conn.SetReadDeadline(time.Now().Add(lateAnswer))
	}
	l.head = maxHeaderBack
	resp, err = http.ReadResponse(l.in, req)
	for err == nil && isInform(resp.StatusCode) {
		resp, err = http.ReadResponse(l.in, req) // the limit for headers holds for all of them
	}
	switch {
	case err != nil && werr != nil:
		return nil, false, werr
	case err != nil:
		return nil, false, fmt.Errorf("read the reply's head: %w", err)
	case resp.StatusCode < 200:
		return nil, false, fmt.Errorf("a reply of status %03d", resp.StatusCode)
	}
	l.head = -1
	resp.Close = resp.Close || werr != nil
	return resp, false, nil
}

// requests are buffers in which a request is put together.
var requests = sync.Pool{New: func() any { return new([]byte) }}

// send writes the request in one go. werr is the connection's error, after n bytes.
func (l *lane) send(req *http.Request, body io.Reader) (n int, werr, err error) {
	buf := requests.Get().(*[]byte)
	defer requests.Put(buf)
	if *buf, err = appendRequest((*buf)[:0], req, body); err != nil {
		return 0, nil, err
	}
	n, werr = l.conn.Write(*buf)
	return n, werr, nil
}

// isInform reports whether a reply only announces another one.
func isInform(status int) bool {
	return 100 <= status && status < 200 && status != http.StatusSwitchingProtocols
}

// lateAnswer is the time for a reply whose request couldn't be written whole.
const lateAnswer = 100 * time.Millisecond

// appendRequest writes a request that takes has let through.
func appendRequest(dst []byte, req *http.Request, body io.Reader) ([]byte, error) {
	dst = append(dst, "POST "...)
	dst = append(dst, req.URL.RequestURI()...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, req.Host...)
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, req.ContentLength, 10)
	for name, values := range req.Header {
		for _, v := range values {
			if v == "" && name == "User-Agent" {
				continue // as http.Transport has it: none is sent
			}
			dst = append(dst, "\r\n"...)
			dst = append(append(append(dst, name...), ": "...), v...)
		}
	}
	dst = append(dst, "\r\n\r\n"...)
	at, n := len(dst), int(req.ContentLength)
	dst = slices.Grow(dst, n)[:at+n]
	if _, err := io.ReadFull(body, dst[at:]); err != nil {
		return dst, fmt.Errorf("read the request's body: %w", err)
	}
	return dst, nil
}

var errHeadTooLarge = errors.New("the reply's headers are too large")

// Read reads from the connection, under the limit for headers while it holds.
func (l *lane) Read(p []byte) (int, error) {
	if l.head < 0 {
		return l.conn.Read(p)
	}
	if l.head == 0 {
		return 0, errHeadTooLarge
	}
	n, err := l.conn.Read(p[:min(int64(len(p)), l.head)])
	l.head -= int64(n)
	return n, err
}

// A laneReply is a reply's body. Read to its end, it gives the connection back.
type laneReply struct {
	io.ReadCloser
	l    *lane
	stop func() bool // ends the watch on the context
	keep bool
	done bool
}

func (b *laneReply) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(err == io.EOF)
	}
	return n, err
}

// Close cuts a reply off that hasn't been read to its end.
func (b *laneReply) Close() error {
	b.end(b.ReadCloser == http.NoBody)
	return nil
}

func (b *laneReply) end(whole bool) {
	if b.done {
		return
	}
	b.done = true
	if b.stop() && whole && b.keep && b.l.in.Buffered() == 0 {
		b.l.all.put(b.l)
		return
	}
	b.l.conn.Close()
}
