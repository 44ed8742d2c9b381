//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"
)

// A client is one connection of the load. It sends one request at a time and
// checks every answer to the byte count.
type client struct {
	sock
	load   *load
	live   bool
	busy   bool
	wanted int64 // when the request was due: latencies count from here

	in      []byte // what came and isn't parsed yet
	part    part
	left    int // bytes of the body or chunk still to come
	chunked bool
	decoded []byte // of a stream: the bytes since the last whole event
	size    int    // bytes of the decoded body so far
	events  int
	first   int64 // when the first event came
	last    int64 // when the latest event came
}

// part is where in a response the parser stands.
type part uint8

const (
	inHead part = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	isDone
)

var errAnswer = errors.New("wrong answer")

func (c *client) dial(addr string) error {
	ta, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	sa := &syscall.SockaddrInet4{Port: ta.Port, Addr: [4]byte(ta.IP.To4())}
	if err := syscall.Connect(fd, sa); err != nil { // blocking: the other side is on this machine
		syscall.Close(fd) //nolint:errcheck // the first error counts
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	syscall.SetNonblock(fd, true)                                          //nolint:errcheck // rawRead doesn't block anyway
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) //nolint:errcheck // only slower without it
	c.sock = sock{l: c.load.l, fd: fd, rest: c.rest[:0]}
	c.in, c.live = c.in[:0], true
	return c.l.add(fd, c)
}

func (c *client) close() {
	if c.live {
		c.live = false
		c.l.remove(c.fd)
	}
}

// send asks; wanted is when it should have been sent.
func (c *client) send(request []byte, wanted int64) {
	c.busy, c.wanted = true, wanted
	c.part, c.size, c.events, c.first, c.chunked = inHead, 0, 0, 0, false
	c.decoded = c.decoded[:0]
	if !c.live {
		if err := c.dial(c.load.addr); err != nil {
			c.fail(err)
			return
		}
	}
	if err := c.write(request); err != nil {
		c.fail(err)
	}
}

// fail ends a request that went wrong.
func (c *client) fail(err error) {
	c.close()
	c.busy = false
	c.load.failed(c, err)
}

func (c *client) ready() {
	if err := c.flush(); err != nil {
		c.fail(err)
		return
	}
	if cap(c.in)-len(c.in) < 4<<10 {
		c.in = append(make([]byte, 0, 2*cap(c.in)+32<<10), c.in...)
	}
	n, done, err := rawRead(c.fd, c.in[len(c.in):cap(c.in)])
	switch {
	case err != nil || done && c.busy:
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		c.fail(err)
		return
	case done:
		c.close()
		return
	case n > 0 && !c.busy:
		c.fail(fmt.Errorf("%w: bytes after its end", errAnswer))
		return
	}
	c.in = c.in[:len(c.in)+n]
	if err := c.parse(c.l.now()); err != nil {
		c.fail(err)
		return
	}
	if c.part == isDone {
		c.finish()
	}
}

// due is never called: a client sets no alarm.
func (c *client) due(int64) {}

func (c *client) finish() {
	now := c.l.now()
	if err := c.verify(); err != nil {
		c.fail(err)
		return
	}
	c.busy = false
	c.load.answered(c, now)
}

// verify checks the whole answer against what the mock sends.
func (c *client) verify() error {
	s := c.load.shape
	switch {
	case len(c.in) > 0:
		return fmt.Errorf("%w: bytes after its end", errAnswer)
	case !s.stream && c.size != replySize:
		return fmt.Errorf("%w: %d bytes, want %d", errAnswer, c.size, replySize)
	case s.stream && (c.size != streamSize || c.events != events || len(c.decoded) > 0):
		return fmt.Errorf("%w: %d bytes in %d events, want %d in %d", errAnswer, c.size, c.events, streamSize, events)
	}
	return nil
}

// parse takes what it can from the buffer.
func (c *client) parse(now int64) error {
	p := c.in
	for len(p) > 0 && c.part != isDone {
		n, err := c.step(p, now)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		p = p[n:]
	}
	c.in = c.in[:copy(c.in, p)]
	return nil
}

// step takes one piece of the response and returns its length; 0: more is needed.
func (c *client) step(p []byte, now int64) (int, error) {
	switch c.part {
	case inHead:
		end := bytes.Index(p, []byte("\r\n\r\n"))
		if end < 0 {
			return 0, nil
		}
		return end + 4, c.head(p[:end+2])
	case inBody, inChunk:
		n := min(c.left, len(p))
		c.left -= n
		if c.left == 0 {
			c.part = inChunkEnd
			if !c.chunked {
				c.part = isDone
			}
		}
		return n, c.body(p[:n], now)
	}
	end := bytes.Index(p, []byte("\r\n"))
	if end < 0 {
		return 0, nil
	}
	switch c.part {
	case inChunkSize:
		digits, _, _ := bytes.Cut(p[:end], []byte(";"))
		n, err := strconv.ParseUint(string(digits), 16, 31)
		if err != nil {
			return 0, fmt.Errorf("%w: chunk size %q", errAnswer, digits)
		}
		c.left, c.part = int(n), inChunk
		if n == 0 {
			c.part = inTrailer
		}
	case inChunkEnd:
		if end != 0 {
			return 0, fmt.Errorf("%w: no line end behind a chunk", errAnswer)
		}
		c.part = inChunkSize
	case inTrailer:
		if end == 0 {
			c.part = isDone
		}
	}
	return end + 2, nil
}

var (
	statusOK      = []byte("HTTP/1.1 200")
	lengthHeader  = []byte("\r\ncontent-length: ")
	chunkedHeader = []byte("\r\ntransfer-encoding: chunked\r\n")
)

func (c *client) head(head []byte) error {
	if !bytes.HasPrefix(head, statusOK) {
		line, _, _ := bytes.Cut(head, []byte("\r\n"))
		return fmt.Errorf("%w: %s", errAnswer, line)
	}
	lower(head)
	if i := bytes.Index(head, lengthHeader); i >= 0 {
		digits, _, _ := bytes.Cut(head[i+len(lengthHeader):], []byte("\r\n"))
		n, err := strconv.Atoi(string(digits))
		if err != nil || n <= 0 {
			return fmt.Errorf("%w: content-length %q", errAnswer, digits)
		}
		c.left, c.part = n, inBody
		return nil
	}
	if !bytes.Contains(head, chunkedHeader) {
		return fmt.Errorf("%w: neither a length nor chunks", errAnswer)
	}
	c.chunked, c.part = true, inChunkSize
	return nil
}

func lower(p []byte) {
	for i, b := range p {
		if 'A' <= b && b <= 'Z' {
			p[i] = b + 'a' - 'A'
		}
	}
}

// body takes decoded bytes; of a plain reply all must be the mock's.
func (c *client) body(p []byte, now int64) error {
	at := c.size
	c.size += len(p)
	if !c.load.shape.stream {
		if c.size > replySize || !bytes.Equal(p, jsonBody[at:c.size]) {
			return fmt.Errorf("%w: other bytes than the upstream's", errAnswer)
		}
		return nil
	}
	rest := p
	if len(c.decoded) > 0 {
		c.decoded = append(c.decoded, p...)
		rest = c.decoded
	}
	for {
		end := bytes.Index(rest, []byte("\n\n"))
		if end < 0 {
			break
		}
		if err := c.event(rest[:end+2], now); err != nil {
			return err
		}
		rest = rest[end+2:]
	}
	c.decoded = append(c.decoded[:0], rest...)
	return nil
}

// event notes the arrival of one event of a stream.
func (c *client) event(e []byte, now int64) error {
	if !bytes.HasPrefix(e, []byte(`data: `)) {
		return fmt.Errorf("%w: event %q", errAnswer, e)
	}
	c.events++
	if c.events == 1 {
		c.first = now
	} else if c.load.shape.pauseUS > 0 && c.events <= chunks {
		c.load.gap(now - c.last)
	}
	if c.load.shape.pauseUS > 0 {
		if sent := readStamp(e); sent > 0 {
			c.load.delay(time.Now().UnixNano() - sent)
		}
	}
	c.last = now
	return nil
}
