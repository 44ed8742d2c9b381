//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"
)

// A plan says what one cell of the table does.
type plan struct {
	addr    string
	key     string // what the requests carry as their credential
	shape   shape
	tls     bool // asks for the model that lies behind TLS
	conns   int
	rate    int // requests/s of an open loop; 0: closed, each connection asks again at once
	warm    time.Duration
	measure time.Duration
}

// A result is what one cell found. Times are in ns.
type result struct {
	Done    int           // answers that came within the measured time
	All     int           // answers with the warm-up's and the last ones
	Errors  int           // requests that went wrong, in all
	Why     string        // the first error
	Elapsed time.Duration // the measured time
	Lat     []int64       // from when a request was due to its answer's last byte
	First   []int64       // from when a request was due to its stream's first event
	Gaps    []int64       // between the arrivals of two events
	Delays  []int64       // from an event's being sent to its arrival
}

// A load runs a plan in a loop of its own.
type load struct {
	plan
	l        *loop
	requests [][]byte
	next     int // the request to send next
	clients  []*client
	idle     []*client
	from, to int64 // the measured time
	issued   int64 // open loop: requests that were due so far
	begun    int64 // open loop: when the first one was due
	late     []int64
	busy     int
	r        result
}

// drainTime is how long the last answers are waited for.
const drainTime = 5 * time.Second

// maxErrors end a cell early: nothing is to be learnt from it.
const maxErrors = 100

// run carries out a plan and returns when every answer is in.
func (p plan) run() (*result, error) {
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	ld := &load{plan: p, l: l, requests: requests(p)}
	defer ld.close()
	for range p.conns {
		c := &client{load: ld, in: make([]byte, 0, 32<<10)}
		if err := c.dial(p.addr); err != nil {
			return nil, err
		}
		ld.clients = append(ld.clients, c)
	}
	ld.from = l.now() + int64(p.warm)
	ld.to = ld.from + int64(p.measure)
	ld.r.Elapsed = p.measure
	ld.begin()
	if err := l.run(); err != nil {
		return nil, err
	}
	return &ld.r, nil
}

func (ld *load) close() {
	for _, c := range ld.clients {
		c.close()
	}
	closeFD(ld.l.epoll)
}

// requests are the plan's requests as they go over the wire.
func requests(p plan) [][]byte {
	var out [][]byte
	for _, body := range requestBodies(p.tls, p.shape) {
		out = append(out, fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
			"User-Agent: OpenAI/Python 2.8.1\r\nAccept: application/json\r\nContent-Type: application/json\r\n"+
			"X-Stainless-Lang: python\r\nX-Stainless-Package-Version: 2.8.1\r\nContent-Length: %d\r\n\r\n%s", p.addr, p.key, len(body), body))
	}
	return out
}

func (ld *load) request() []byte {
	ld.next++
	return ld.requests[ld.next%len(ld.requests)]
}

// begin sends the first requests and sets the alarm that ends the cell.
func (ld *load) begin() {
	ld.l.after(ld.to, (*ending)(ld))
	now := ld.l.now()
	if ld.rate == 0 {
		for _, c := range ld.clients {
			ld.ask(c, now)
		}
		return
	}
	ld.idle = slices.Clone(ld.clients)
	ld.begun = now
	ld.due(now)
}

func (ld *load) ask(c *client, wanted int64) {
	ld.busy++
	c.send(ld.request(), wanted)
}

// ready is never called: the load owns no socket.
func (ld *load) ready() {}

// due issues the requests of an open loop whose time has come. Those that find
// no free connection wait, and their waiting counts.
func (ld *load) due(now int64) {
	gap := int64(time.Second) / int64(ld.rate)
	at := ld.begun + ld.issued*gap
	for ; at <= now; at += gap {
		if at >= ld.to {
			return
		}
		ld.issued++
		if n := len(ld.idle); n > 0 {
			c := ld.idle[n-1]
			ld.idle = ld.idle[:n-1]
			ld.ask(c, at)
		} else {
			ld.late = append(ld.late, at)
		}
	}
	ld.l.after(at, ld)
}

// again gives a free connection its next request.
func (ld *load) again(c *client, now int64) {
	ld.busy--
	switch {
	case ld.rate == 0 && now < ld.to:
		ld.ask(c, now)
	case ld.rate > 0 && len(ld.late) > 0:
		at := ld.late[0]
		ld.late = ld.late[1:]
		ld.ask(c, at)
	case ld.rate > 0:
		ld.idle = append(ld.idle, c)
	}
	if now >= ld.to && ld.busy == 0 {
		ld.l.stop = true
	}
}

func (ld *load) answered(c *client, now int64) {
	ld.r.All++
	open := ld.rate > 0 && c.wanted >= ld.from && c.wanted < ld.to // an open loop answers for all that was due
	if open || ld.rate == 0 && now >= ld.from && now < ld.to {
		ld.r.Done++
		ld.r.Lat = append(ld.r.Lat, now-c.wanted)
	}
	if c.first > 0 { // a paced stream may end after the time
		ld.r.First = append(ld.r.First, c.first-c.wanted)
	}
	ld.again(c, now)
}

func (ld *load) failed(c *client, err error) {
	if ld.r.Errors++; ld.r.Errors == 1 {
		ld.r.Why = err.Error()
	}
	if ld.r.Errors >= maxErrors {
		ld.l.stop = true
		return
	}
	ld.again(c, ld.l.now())
}

func (ld *load) gap(d int64) {
	if ld.l.now() >= ld.from {
		ld.r.Gaps = append(ld.r.Gaps, d)
	}
}

func (ld *load) delay(d int64) {
	if ld.l.now() >= ld.from {
		ld.r.Delays = append(ld.r.Delays, d)
	}
}

// ending stops a cell: at its end where nothing is under way, else when the
// last answer is in, or when that takes too long.
type ending load

func (e *ending) ready() {}

func (e *ending) due(now int64) {
	ld := (*load)(e)
	switch {
	case ld.busy == 0 && len(ld.late) == 0:
		ld.l.stop = true
	case now < ld.to+int64(drainTime):
		ld.l.after(ld.to+int64(drainTime), e)
	default:
		ld.r.Errors += ld.busy + len(ld.late)
		if ld.r.Why == "" {
			ld.r.Why = "no answer within " + drainTime.String()
		}
		ld.l.stop = true
	}
}
