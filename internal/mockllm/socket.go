package mockllm

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// maxFrame is how long a message of a WebSocket may be.
const maxFrame = 16 << 20

// serveSocket echoes the messages of a WebSocket (RFC 6455), so that
// pass-through can be looked at.
func serveSocket(c *call) *fault {
	key := c.r.Header.Get("Sec-Websocket-Key")
	if key == "" || c.r.Header.Get("Sec-Websocket-Version") != "13" {
		return refuse("", "", "The WebSocket handshake is not valid.")
	}
	conn, rw, err := c.o.rc.Hijack()
	if err != nil {
		return refuse("", "", "This connection cannot become a WebSocket.")
	}
	if !c.s.hold(conn) {
		return nil
	}
	defer c.s.release(conn)
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n")
	if p := c.r.Header.Get("Sec-Websocket-Protocol"); p != "" {
		_, _ = rw.WriteString("Sec-WebSocket-Protocol: " + firstOf(p) + "\r\n")
	}
	_, _ = rw.WriteString("\r\n")
	for rw.Flush() == nil {
		first, payload, err := readFrame(rw.Reader)
		if err != nil {
			break
		}
		const pong, ping, end = 0xA, 0x9, 0x8
		switch first & 0xF {
		case ping:
			first = first&0xF0 | pong
		case pong:
			continue
		}
		writeFrame(rw.Writer, first, payload)
		if first&0xF == end {
			_ = rw.Flush()
			break
		}
	}
	return nil
}

func firstOf(s string) string {
	for i := range len(s) {
		if s[i] == ',' {
			return s[:i]
		}
	}
	return s
}

// hold keeps a connection for Close, unless that has been.
func (s *Server) hold(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		_ = conn.Close()
		return false
	default:
	}
	s.sockets[conn] = true
	return true
}

func (s *Server) release(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sockets, conn)
	_ = conn.Close()
}

func readFrame(r *bufio.Reader) (first byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := uint64(head[1] & 0x7F)
	if size >= 126 {
		long := make([]byte, 2+6*(size-126))
		if _, err := io.ReadFull(r, long); err != nil {
			return 0, nil, err
		}
		size = uint64(binary.BigEndian.Uint16(long))
		if len(long) == 8 {
			size = binary.BigEndian.Uint64(long)
		}
	}
	if size > maxFrame || head[1]&0x80 == 0 {
		return 0, nil, errors.New("a frame that is too long, or not masked")
	}
	var mask [4]byte
	if _, err := io.ReadFull(r, mask[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0], payload, nil
}

func writeFrame(w *bufio.Writer, first byte, payload []byte) {
	_ = w.WriteByte(first)
	switch n := len(payload); {
	case n < 126:
		_ = w.WriteByte(byte(n))
	case n < 1<<16:
		_, _ = w.Write(binary.BigEndian.AppendUint16([]byte{126}, uint16(n)))
	default:
		_, _ = w.Write(binary.BigEndian.AppendUint64([]byte{127}, uint64(n)))
	}
	_, _ = w.Write(payload)
}
