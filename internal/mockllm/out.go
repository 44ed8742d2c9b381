package mockllm

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An out writes one reply the way its Behaviour says.
type out struct {
	c      *call
	w      http.ResponseWriter
	rc     *http.ResponseController
	gz     *gzip.Writer
	b      *Behaviour
	buf    []byte // the event being written
	head   bool   // the head has gone
	stream bool
	sent   int // bytes of body, before any compression
	events int
	gone   bool // the client left
	due    time.Time
}

// wait passes time, or notices that the client has left.
func (o *out) wait(d time.Duration) {
	if d <= 0 || o.gone {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-o.c.r.Context().Done():
		o.left()
	}
}

// left records that the client has gone.
func (o *out) left() {
	if !o.gone {
		o.gone = true
		o.c.s.aborted(o)
	}
}

// forever waits until the client leaves.
func (o *out) forever() {
	select {
	case <-o.c.r.Context().Done():
		o.left()
	case <-o.c.s.closed:
	}
	panic(http.ErrAbortHandler)
}

// begin sends the head. size is the body's, or -1.
func (o *out) begin(status int, contentType string, size int) {
	if o.head || o.gone {
		return
	}
	o.head = true
	h := o.w.Header()
	if o.b.ContentType != "" {
		contentType = o.b.ContentType
	}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	for name, value := range o.b.Headers {
		h.Set(name, value)
	}
	if o.b.Gzip {
		h.Set("Content-Encoding", "gzip")
		o.gz = gzip.NewWriter(writer{o})
	} else if size >= 0 {
		h.Set("Content-Length", strconv.Itoa(size))
	}
	o.w.WriteHeader(status)
	if o.b.TTFT > 0 || o.b.Hang != "" {
		o.flush()
	}
	if o.b.Hang == "head" {
		o.forever()
	}
	o.wait(o.b.TTFT)
	if o.b.BOM && o.stream {
		o.write([]byte("\xef\xbb\xbf"))
	}
}

// writer is the connection as an io.Writer for gzip.
type writer struct{ o *out }

func (w writer) Write(p []byte) (int, error) {
	w.o.pieces(p)
	return len(p), nil
}

// write sends bytes of the body, up to where it is to be cut.
func (o *out) write(p []byte) {
	if o.gone {
		return
	}
	cut := o.b.CutBytes
	ends := cut != nil && o.sent+len(p) > *cut
	if ends {
		p = p[:max(*cut-o.sent, 0)]
	}
	o.sent += len(p)
	if o.gz != nil {
		_, _ = o.gz.Write(p)
		if o.stream {
			_ = o.gz.Flush()
		}
	} else {
		o.pieces(p)
	}
	if ends {
		o.stop()
	}
}

// pieces writes as many bytes at once as the behaviour says.
func (o *out) pieces(p []byte) {
	size := len(p)
	if o.b.Chunk > 0 {
		size = o.b.Chunk
	}
	for len(p) > 0 && !o.gone {
		n := min(size, len(p))
		if _, err := o.w.Write(p[:n]); err != nil {
			o.left()
			return
		}
		p = p[n:]
		if o.stream || o.b.Chunk > 0 {
			o.flush()
		}
	}
}

func (o *out) flush() {
	if err := o.rc.Flush(); err != nil {
		o.left()
	}
}

// stop ends the body early.
func (o *out) stop() {
	if o.gz != nil {
		_ = o.gz.Flush()
	}
	o.flush()
	switch o.b.How {
	case "end":
		panic(errEnd)
	case "hang":
		o.forever()
	case "pings":
		o.pings()
	case "reset":
		o.reset()
	}
	panic(http.ErrAbortHandler)
}

// pingEvery is how often a stream that has nothing else sends a ping.
const pingEvery = 100 * time.Millisecond

// pings sends nothing else until the client leaves.
func (o *out) pings() {
	ping := []byte(": ping\n\n")
	if o.c.vendor == anthropic {
		ping = []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n")
	}
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for !o.gone {
		select {
		case <-tick.C:
			o.pieces(ping)
		case <-o.c.r.Context().Done():
			o.left()
		case <-o.c.s.closed:
			panic(http.ErrAbortHandler)
		}
	}
	panic(http.ErrAbortHandler)
}

// drop ends the connection before a reply.
func (o *out) drop() {
	if o.b.Drop == "reset" {
		o.reset()
	}
	panic(http.ErrAbortHandler)
}

// reset closes the connection by RST, where it is TCP and HTTP/1.
func (o *out) reset() {
	conn, _, err := o.rc.Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// body is a whole reply.
func (o *out) body(status int, contentType string, p []byte) {
	size := len(p)
	if o.b.Chunk > 0 {
		size = -1
	}
	o.begin(status, contentType, size)
	o.write(p)
	o.finish()
}

// copy is a whole reply of a known size from a reader.
func (o *out) copy(contentType string, size int, r io.Reader) {
	o.begin(http.StatusOK, contentType, size)
	buf := make([]byte, 32<<10)
	for !o.gone {
		n, err := r.Read(buf)
		o.write(buf[:n])
		if err != nil {
			break
		}
	}
	o.finish()
}

func (o *out) finish() {
	if o.gz != nil && !o.gone {
		_ = o.gz.Close()
	}
}

// pace waits until the next token is due.
func (o *out) pace(tokens int) {
	if o.b.TokensPerSecond <= 0 || tokens == 0 {
		return
	}
	if o.due.IsZero() {
		o.due = time.Now()
	}
	o.wait(time.Until(o.due))
	o.due = o.due.Add(time.Duration(float64(tokens) * float64(time.Second) / o.b.TokensPerSecond))
}

// event sends one server-sent event. name is its event line, "" for none;
// tokens is how many tokens of output it holds, for the pace.
func (o *out) event(name string, data []byte, tokens int) {
	if o.gone {
		panic(errEnd)
	}
	o.stream = true
	if cut := o.b.CutEvents; cut != nil && o.events >= *cut {
		o.begin(http.StatusOK, eventStream, -1)
		o.stop()
	}
	o.begin(http.StatusOK, eventStream, -1)
	if at := o.b.FailEvents; at != nil && o.events >= *at {
		o.b.FailEvents = nil
		o.c.failStream()
		panic(errEnd)
	}
	o.pace(tokens)
	o.events++
	end := o.lineEnd()
	b := o.buf[:0]
	if o.b.Strange && o.events == 2 {
		b = append(b, strings.ReplaceAll(o.c.strange(), "\n", end)...)
	}
	if o.b.Comments {
		b = append(append(b, ": a comment"...), end...)
		b = append(b, end...)
	}
	if o.b.IDs {
		b = append(b, "id: "...)
		b = strconv.AppendInt(b, int64(o.events), 10)
		b = append(b, end...)
	}
	if name != "" {
		b = append(append(append(b, "event: "...), name...), end...)
	}
	b = append(b, "data: "...)
	if o.b.TwoLines && len(data) > 1 && data[0] == '{' {
		b = append(append(append(b, '{'), end...), "data: "...)
		data = data[1:]
	}
	b = append(append(b, data...), end...)
	o.buf = append(b, end...)
	o.write(o.buf)
}

func (o *out) lineEnd() string {
	switch {
	case o.b.CR:
		return "\r"
	case o.b.CRLF || o.c.vendor == gemini:
		return "\r\n"
	}
	return "\n"
}

// strange is an event that no client knows, with a field that none does.
func (c *call) strange() string {
	switch {
	case c.vendor == anthropic:
		return "mystery: yes\nevent: mystery\ndata: {\"type\":\"mystery\",\"clue\":[1]}\n\n"
	case c.vendor == gemini:
		return "mystery: yes\ndata: {\"mystery\":{\"clue\":[1]}}\n\n"
	case c.rest == "responses":
		return "mystery: yes\nevent: response.mystery\ndata: {\"type\":\"response.mystery\",\"clue\":[1]}\n\n"
	}
	return "mystery: yes\ndata: {\"object\":\"mystery\",\"choices\":[],\"clue\":[1]}\n\n"
}

const eventStream = "text/event-stream; charset=utf-8"

// errEnd, as a panic, ends a handler whose reply is over.
var errEnd = context.Canceled
