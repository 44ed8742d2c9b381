package proxy

import (
	"net/http"
	"sync"
	"time"
)

// A reply is the way back to the client. The exchange's goroutine and the
// keepalive timer share it; mu keeps their writes apart, each a run of whole events.
type reply struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	mu      sync.Mutex // guards the following fields, and every use of w once a timer runs
	begun   bool       // the status line is out, or on its way
	sse     bool       // the reply is an event stream, so errors can be told in it
	stopped bool       // nothing more is written, but abort's last frame
	quiet   bool       // no more pings
	ping    []byte
	every   time.Duration
	last    time.Time // of the last write
	timer   *time.Timer
	renew   time.Time // when the write deadline is to be moved again; zero: there is none
	written int64
	keep    int64  // bytes of the body to keep for capture; 0: none
	kept    []byte // the captured body so far
	cut     bool   // more came than was kept
}

func (y *reply) init(w http.ResponseWriter) {
	y.w, y.rc = w, http.NewResponseController(w)
}

// startPings sends ping after every silence of the given length. The first one
// sends a stream's 200 with it, if no upstream has answered by then; opening
// prepares its headers.
func (y *reply) startPings(ping []byte, every time.Duration, opening func(http.Header)) {
	if every <= 0 || len(ping) == 0 {
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.ping, y.every, y.last = ping, every, time.Now()
	y.timer = time.AfterFunc(every, func() { y.tick(opening) })
}

func (y *reply) tick(opening func(http.Header)) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.stopped || y.quiet || y.begun && !y.sse {
		return
	}
	if rest := y.every - time.Since(y.last); rest > 0 {
		y.timer.Reset(rest)
		return
	}
	if !y.begun {
		opening(y.w.Header())
		y.start(http.StatusOK, true)
	}
	y.send(y.ping)
	y.timer.Reset(y.every)
}

// begin sends the status line, with the headers that prepare sets. It does
// nothing where a ping has begun the reply already.
func (y *reply) begin(status int, sse bool, prepare func(http.Header)) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.begun {
		return
	}
	prepare(y.w.Header())
	y.start(status, sse)
}

func (y *reply) start(status int, sse bool) {
	y.begun, y.sse = true, sse
	y.w.WriteHeader(status)
}

// hasBegun reports whether the client has been sent a status already.
func (y *reply) hasBegun() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.begun
}

// write sends bytes and flushes them. On a stream they are whole events.
func (y *reply) write(p []byte) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.send(p)
}

func (y *reply) send(p []byte) error {
	y.patience()
	if err := y.put(p); err != nil {
		return err
	}
	if y.timer != nil {
		y.last = time.Now()
	}
	return y.rc.Flush()
}

// put sends bytes without a flush.
func (y *reply) put(p []byte) error {
	y.capture(p)
	n, err := y.w.Write(p)
	y.written += int64(n)
	return err
}

func (y *reply) capture(p []byte) {
	if y.keep == 0 {
		return
	}
	room := y.keep - int64(len(y.kept))
	if int64(len(p)) > room {
		p, y.cut = p[:room], true
	}
	y.kept = append(y.kept, p...)
}

// pass sends bytes of a body that is no stream of events.
func (y *reply) pass(p []byte, flush bool) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.patience()
	if err := y.put(p); err != nil || !flush {
		return err
	}
	return y.rc.Flush()
}

// trail sets a trailer of a stream that has begun. It does nothing to other replies.
func (y *reply) trail(name, value string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.begun && y.sse {
		y.w.Header()[name] = []string{value}
	}
}

// finish sends the last bytes; the server flushes them as the handler returns.
func (y *reply) finish(p []byte) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	switch {
	case len(p) == 0:
		return nil
	case len(p) <= socketRoom:
		return y.put(p)
	}
	// A client that does not read must not hold the handler for ever.
	y.patience()
	if err := y.put(p); err != nil {
		return err
	}
	return y.rc.Flush()
}

// socketRoom is what a connection takes at once, even from a client that does
// not read.
const socketRoom = 64 << 10

// bytes is the number of body bytes sent.
func (y *reply) bytes() int64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.written
}

// A client that takes nothing for so long has gone, as far as we care.
const (
	writePatience = 2 * time.Minute
	writeRenew    = 30 * time.Second
)

// patience moves the write deadline on, seldom enough to cost nothing.
func (y *reply) patience() {
	if now := time.Now(); now.After(y.renew) {
		y.renew = now.Add(writeRenew)
		_ = y.rc.SetWriteDeadline(now.Add(writePatience)) // a test's recorder has none
	}
}

// hush ends the pings: an upstream's own event id must not be followed by one.
func (y *reply) hush() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.quiet = true
}

// stop ends the pings and all writing, and reports whether the reply has begun.
func (y *reply) stop() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.stopped = true
	if !y.renew.IsZero() { // the connection goes on to other requests
		_ = y.rc.SetWriteDeadline(time.Time{})
		y.renew = time.Time{}
	}
	if y.timer != nil {
		y.timer.Stop()
	}
	return y.begun
}

// abort tells the failure in-band, where the reply is an event stream. The
// caller then cuts the connection, so that nothing looks whole.
func (y *reply) abort(frame []byte) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.sse && len(frame) > 0 {
		_ = y.send(frame) // the client may have gone
		return
	}
	_ = y.rc.Flush()
}
