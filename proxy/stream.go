package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"weir/proxy/wire"
)

var (
	streams = sync.Pool{New: func() any { return new(wire.Stream) }}
	wholes  = sync.Pool{New: func() any { return new(wire.Reply) }}
	buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
	// An event stream holds its buffer for minutes, and a read gives no more of
	// it than the connection's own buffer holds.
	eventBuffers = sync.Pool{New: func() any { b := make([]byte, 4<<10); return &b }}
)

// maxPending bounds what is held back before the first content event.
const maxPending = 1 << 20

// relay takes a success reply to the client.
func (a *attempt) relay() *failure {
	body, err := a.decoded()
	if err != nil {
		return a.invalid("a body that does not match its content encoding")
	}
	events := isEventStream(a.resp.Header)
	if !events && (a.x.expectsEvents || a.carry != nil && a.x.Endpoint.Stream) {
		body, events = sniff(body)
	}
	switch {
	case a.x.Raw, a.api == wire.Raw:
		return a.relayRaw(body, events)
	case a.carry != nil && !a.x.Endpoint.Stream:
		return a.relayCarried(body)
	case events && !a.x.Endpoint.Stream && a.x.Endpoint.JSON && a.api != wire.Speech && a.api != wire.Images:
		return a.invalid("an event stream that was not asked for")
	case events:
		return a.relayEvents(body)
	case a.x.expectsEvents, a.carry != nil:
		return a.noStream(body)
	case a.api == wire.StreamGenerate:
		return a.relayArray(body)
	}
	return a.relayWhole(body)
}

func isEventStream(h http.Header) bool {
	const events = "text/event-stream"
	ct := h.Get("Content-Type")
	return len(ct) >= len(events) && strings.EqualFold(ct[:len(events)], events)
}

// sniff looks whether a body reads like events, whatever it calls itself.
func sniff(body io.Reader) (io.Reader, bool) {
	b := bufio.NewReaderSize(body, 32<<10)
	if _, err := b.Peek(1); err != nil {
		return b, false
	}
	head, _ := b.Peek(min(b.Buffered(), len("event:"))) // what has come already
	for _, field := range [...]string{"data:", "event:", ":", "id:", "retry:"} {
		if n := min(len(field), len(head)); field[:n] == string(head[:n]) {
			return b, true
		}
	}
	return b, false
}

// relayArray passes a stream that is one JSON array, as Gemini writes it
// where events were not asked for: every element as it comes.
func (a *attempt) relayArray(body io.Reader) *failure {
	a.readWhole()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	n, err := io.ReadAtLeast(body, *buf, 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return a.cut(err)
	}
	head := (*buf)[:n]
	if bad := wire.CheckReply(a.api, a.resp.Header.Get("Content-Type"), head, err != nil, a.whole); bad != nil {
		return a.invalid(bad.Error())
	}
	return a.copyLive(head, body)
}

// noStream is a JSON reply where a stream was due: an error in disguise, or
// an upstream that does not stream.
func (a *attempt) noStream(body io.Reader) *failure {
	head, err := io.ReadAll(io.LimitReader(body, 64<<10))
	if err != nil {
		return a.cut(err)
	}
	told := wire.ReadFailure(http.StatusBadGateway, head)
	f := a.invalid("something that is not an event stream")
	f.otherwise = a.otherwise(a.resp.StatusCode, head)
	if told.Message != "" {
		f.err.Msg += " It says: " + clip(a.target.Provider.redact(told.Message))
	}
	return f
}

// A relay of events goes through here. pending is what came before the first
// content: until that is there, the attempt can still fail in silence.
type eventRelay struct {
	a       *attempt
	pending []byte
	closed  bool // the call's record is written
	drained int64
}

// relayEvents copies an event stream, whole events at a time, with a flush
// for each read.
func (a *attempt) relayEvents(body io.Reader) *failure {
	a.readStream(wire.StreamOptions{StripUsage: a.asked && a.carry == nil, Whole: a.carry != nil})
	e := &eventRelay{a: a}
	buf := eventBuffers.Get().(*[]byte)
	defer eventBuffers.Put(buf)
	for {
		n, err := body.Read(*buf)
		if n > 0 {
			out := a.stream.Feed((*buf)[:n])
			progress := !a.x.answered || !idle(out, a.stream.Held())
			if a.x.answered {
				a.watch.pause()
			}
			if f := e.forward(out); f != nil {
				return f
			}
			if a.x.answered {
				a.watch.resume(progress)
			}
		}
		if err != nil {
			return e.ended(err)
		}
	}
}

// idle reports whether a read brought nothing but comments, which don't keep a
// stream alive: whole events, and the start of the next one.
func idle(events, held []byte) bool {
	for line := range bytes.Lines(events) {
		if line[0] != ':' && line[0] != '\n' && line[0] != '\r' {
			return false
		}
	}
	return len(held) == 0 || held[0] == ':'
}

// forward sends whole events on, or holds them back before the first content.
func (e *eventRelay) forward(out []byte) *failure {
	a, s := e.a, e.a.stream
	if a.carry != nil {
		if s.Failed() != nil {
			return a.told(s.Failed()) // in another dialect's words it cannot pass
		}
		if s.Overlong() {
			return a.overlong()
		}
		var err error
		a.carry.used = a.stream.Reading()
		if out, err = a.carry.events(out); err != nil {
			return a.cut(err)
		}
	}
	if !a.x.answered {
		if s.Failed() != nil && !s.Content() {
			return a.told(s.Failed())
		}
		if !s.Content() && !s.Done() && len(e.pending)+len(out) < maxPending {
			e.pending = append(e.pending, out...)
			return nil
		}
		e.begin()
		if len(e.pending) > 0 {
			out = append(e.pending, out...)
			e.pending = nil
		}
	}
	if len(out) == 0 {
		return nil
	}
	if !e.closed && e.whole() {
		if err := a.keep(); err != nil {
			return a.notKept(err)
		}
		e.closed = true
		a.finish(len(out))
	}
	return e.send(out)
}

// whole reports whether the events at hand end the stream, so that its record
// must be written before they go.
func (e *eventRelay) whole() bool {
	s := e.a.stream
	if e.a.carry != nil {
		return s.Done() && e.a.carry.ended
	}
	if e.a.api == wire.Generate || e.a.api == wire.StreamGenerate {
		// Gemini has no terminator, and each of several candidates has its own end.
		return s.Done() && s.Reading().HasUsage && e.a.x.View.N < 2
	}
	return s.Done()
}

// begin answers the client: from here on there is no other target.
func (e *eventRelay) begin() {
	a := e.a
	a.firstContent()
	a.x.reply.begin(http.StatusOK, true, func(h http.Header) {
		if a.carry != nil {
			a.resp.Header = a.carry.header(a.x, a.resp.Header)
		}
		copyReplyHeader(h, a.resp.Header)
		a.x.ourHeaders(h)
		if !isEventStream(h) { // it calls itself something else
			h["Content-Type"] = eventStream
		}
		if a.carry != nil && a.carry.array {
			h["Content-Type"] = []string{"application/json"}
		}
		h["Cache-Control"] = noCache
		h["X-Accel-Buffering"] = noWord
		announceCost(h)
		delete(h, "Content-Encoding")
	})
	a.watch.set(a.c.plan.timeouts.Idle, errIdle)
	a.watch.pause() // until the client has taken this
}

// send writes to the client. Once the client has gone, the stream is read on
// only as far as the settings allow.
func (e *eventRelay) send(out []byte) *failure {
	a := e.a
	if a.carry == nil && (a.stream.SawID() || !endsEvent(out)) {
		a.x.reply.hush()
	}
	if !a.gone {
		if err := a.x.reply.write(out); err == nil || e.closed {
			return nil // after the record is written a client that has gone has gone with everything
		}
		a.gone = true
	}
	e.drained += int64(len(out))
	if !a.x.drains() || e.drained > a.x.state.Drain.Bytes {
		return a.clientGone()
	}
	return nil
}

func endsEvent(p []byte) bool {
	return bytes.HasSuffix(p, []byte("\n\n")) || bytes.HasSuffix(p, []byte("\n\r\n")) || bytes.HasSuffix(p, []byte("\r\r"))
}

func (a *attempt) clientGone() *failure {
	return &failure{spent: true, err: &Error{Code: ClientGone, Msg: "The client went away."}}
}

// ended says what the end of the upstream's stream means.
func (e *eventRelay) ended(err error) *failure {
	a, s := e.a, e.a.stream
	if rest := s.End(); len(rest) > 0 {
		if f := e.forward(rest); f != nil {
			return f
		}
	}
	switch {
	case e.closed || s.Done():
		// whatever the connection does now, the client has everything
	case a.toldFailure():
		// the upstream's own last word has been passed, and clients leave on it
	case !errors.Is(err, io.EOF):
		return a.cut(err)
	case e.unfinished():
		return a.cut(io.ErrUnexpectedEOF)
	}
	if !a.x.answered { // a terminator alone
		e.begin()
		if f := e.send(e.pending); f != nil {
			return f
		}
	}
	if a.gone || isGone(a.c.r) && !e.closed && !a.toldFailure() {
		return a.clientGone()
	}
	if a.carry != nil && !e.closed {
		return e.endCarried()
	}
	a.finish(0)
	return nil
}

// toldFailure reports whether the client has been passed the upstream's own
// error event: what it does afterwards is no abort.
func (a *attempt) toldFailure() bool {
	return a.x.answered && !a.gone && a.stream != nil && a.stream.Failed() != nil
}

// endCarried sends what a carried stream ends with, once its record is written.
func (e *eventRelay) endCarried() *failure {
	last := e.a.carry.end()
	e.a.x.call.Dropped = append(e.a.x.call.Dropped, e.a.carry.left.Names...)
	if err := e.a.keep(); err != nil {
		return e.a.notKept(err)
	}
	e.a.finish(len(last))
	e.closed = true
	if len(last) == 0 {
		return nil
	}
	return e.send(last)
}

// unfinished reports whether a stream that ended in good order lacks what
// its API ends with.
func (e *eventRelay) unfinished() bool {
	s := e.a.stream
	if len(s.Held()) > 0 {
		return true
	}
	switch e.a.api {
	case wire.Chat, wire.Completions, wire.Generate, wire.StreamGenerate:
		return !s.Finished()
	case wire.Messages, wire.Responses:
		return true // they have a terminator
	}
	return false
}

// cut is a stream, or a body, that broke off.
func (a *attempt) cut(err error) *failure {
	if f := a.interrupted(err); f != nil {
		return f
	}
	msg := "The provider " + a.target.Provider.Name + " broke its reply off before the end."
	return &failure{spent: true, again: true, elsewhere: true, err: &Error{Code: UpstreamTruncated, Msg: msg, Err: err}}
}

// overlong is a carried stream with an event that is too long to be read.
func (a *attempt) overlong() *failure {
	msg := fmt.Sprintf("The provider %s sent an event of over %d MiB, which is the most that is held of one to write it anew for this API; ask without stream, or by the provider's own API.",
		a.target.Provider.Name, wire.MaxWholeEvent>>20)
	return &failure{spent: true, elsewhere: true, err: &Error{Code: UpstreamInvalid, Msg: msg}}
}

// told is an error that the upstream sent inside a stream before any content.
func (a *attempt) told(t *wire.Failure) *failure {
	t.Message = a.target.Provider.redact(t.Message)
	e := &Error{Code: UpstreamError, Msg: t.Message, Param: t.Param, Upstream: t}
	again := t.Status >= 500 || t.Status == 429 || t.Status == 408
	return &failure{err: e, again: again, elsewhere: again || t.Status == 401 || t.Status == 403 || t.Status == 404}
}

// relayRaw passes a reply that is not ours to judge: its bytes go as they
// come, and a meter looks on where the API is known.
func (a *attempt) relayRaw(body io.Reader, events bool) *failure {
	switch {
	case a.api == wire.Raw:
	case events:
		a.readStream(wire.StreamOptions{})
	default:
		a.readWhole()
	}
	if events {
		return a.copyLive(nil, body)
	}
	a.watch.stop()
	return a.copyOn(nil, body)
}
