package proxy

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"weir/ledger"
	"weir/proxy/wire"
)

// maxWhole is the size up to which a JSON reply is judged before a byte of it
// goes out.
const maxWhole = 1 << 20

// decoded is the reply's body without an encoding that we did not ask for,
// where we have to read it; the header that named the encoding goes with it.
func (a *attempt) decoded() (io.Reader, error) {
	if a.x.Raw || !a.x.Endpoint.JSON && !a.x.Endpoint.Metered {
		return a.resp.Body, nil
	}
	return plainBody(a.resp)
}

// plainBody undoes a reply's content encoding. One that we cannot read stays,
// with the header that names it, and passes as it is.
func plainBody(resp *http.Response) (body io.Reader, err error) {
	switch strings.ToLower(resp.Header.Get("Content-Encoding")) {
	case "identity":
		body = resp.Body
	case "gzip", "x-gzip":
		body, err = gzip.NewReader(resp.Body)
	case "deflate":
		body, err = zlib.NewReader(resp.Body)
	case "zstd":
		body, err = zstd.NewReader(resp.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	default:
		return resp.Body, nil
	}
	if err == nil {
		resp.Header.Del("Content-Encoding")
		resp.ContentLength = -1
	}
	return body, err
}

// relayWhole passes a reply that is no stream. A JSON reply is read whole, as
// far as it is small, and judged before it goes out.
func (a *attempt) relayWhole(body io.Reader) *failure {
	if a.x.Endpoint.JSON || a.x.Endpoint.Metered || a.makesObject() || a.runsOn() && a.c.p.background.awaits(a.c.r.Context(), a.x.Endpoint.ID) {
		a.readWhole()
	}
	if a.readsResults() {
		a.readResults()
	}
	if a.c.r.Method == http.MethodHead || a.resp.StatusCode == http.StatusNotModified {
		return a.answer(nil)
	}
	packed, body := a.asNumbers(body)
	if packed {
		return a.relayPacked(body)
	}
	size := a.resp.ContentLength
	if !a.isJSON() || size > maxWhole || a.resp.Header.Get("Content-Encoding") != "" {
		return a.copyOn(nil, body)
	}
	buf, whole, err := readUpTo(body, size, maxWhole)
	if err != nil {
		return a.cut(err)
	}
	a.meter(buf)
	if bad := wire.CheckReply(a.api, a.resp.Header.Get("Content-Type"), buf, whole, a.whole); bad != nil {
		f := a.invalid(bad.Error())
		f.otherwise = a.otherwise(a.resp.StatusCode, buf)
		return f
	}
	if whole {
		return a.answer(buf)
	}
	return a.copyOn(buf, body)
}

// isJSON reports whether the reply is JSON: by its API, or, where what was
// asked decides (a transcription may be text), by what it says of itself.
func (a *attempt) isJSON() bool {
	return a.results != nil || a.x.Endpoint.JSON || (a.x.Endpoint.Metered || a.whole != nil && a.runsOn()) && strings.HasPrefix(a.resp.Header.Get("Content-Type"), "application/json")
}

// believed is how large a reply may claim to be, in bytes, to be given the
// memory for it before it has come.
const believed = 1 << 20

// readUpTo reads r, which claims size bytes (negative: nothing), to its end or
// up to limit bytes; whole says which.
func readUpTo(r io.Reader, size int64, limit int) (buf []byte, whole bool, err error) {
	room := 4 << 10
	if size >= 0 {
		room = int(min(size, believed)) + 1
	}
	buf = make([]byte, 0, room)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			return buf, true, nil
		case err != nil:
			return buf, false, err
		case len(buf) > limit:
			return buf, false, nil
		case len(buf) == cap(buf):
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// answer sends a whole reply, once its record is written.
func (a *attempt) answer(body []byte) *failure {
	a.firstContent()
	a.finish(len(body))
	a.beginWhole(int64(len(body)))
	_ = a.x.reply.finish(body) // a client that has gone now has gone with everything
	return nil
}

// finish writes the record of a reply that is whole but for its last n bytes,
// which go out after it.
func (a *attempt) finish(n int) {
	if a.x.closed {
		return
	}
	c := a.x.call
	switch {
	case a.toldFailure(): // the upstream's own last word passes
		a.record.ErrorClass = string(UpstreamError)
		c.Outcome, c.ErrorClass = ledger.Failed, a.record.ErrorClass
	case isGone(a.c.r): // what was drained has reached nobody
		c.Outcome, c.ErrorClass = ledger.Aborted, string(ClientGone)
	}
	c.BytesOut = a.x.reply.bytes() + int64(n)
	if a.results != nil {
		a.results.end()
	}
	a.settle()
	a.c.p.closeCall(a.x)
	a.x.tellCost()
}

// beginWhole sends the upstream's status and headers. size < 0: unknown.
func (a *attempt) beginWhole(size int64) {
	a.x.reply.begin(a.resp.StatusCode, false, func(h http.Header) {
		copyReplyHeader(h, a.resp.Header)
		a.x.ourHeaders(h)
		if a.c.r.Method == http.MethodHead {
			size = a.resp.ContentLength
		}
		if size >= 0 && a.resp.StatusCode != http.StatusNoContent {
			setLength(h, size)
		}
	})
}

// copyOn passes head and then body. The last piece is held until the body's
// end is known, so that the record is written before it leaves.
func (a *attempt) copyOn(head []byte, body io.Reader) *failure {
	a.firstContent()
	a.beginWhole(a.resp.ContentLength)
	flush := a.resp.ContentLength < 0
	one, two := buffers.Get().(*[]byte), buffers.Get().(*[]byte)
	defer func() { buffers.Put(one); buffers.Put(two) }()
	held := head
	for {
		n, err := body.Read(*one)
		piece := (*one)[:n]
		a.meter(piece)
		if n > 0 {
			if werr := a.x.reply.pass(held, flush); werr != nil {
				return a.clientGone()
			}
			held, one, two = piece, two, one
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			a.finish(len(held))
			_ = a.x.reply.finish(held) // a client that has gone now has gone with everything
			return nil
		default:
			return a.cut(err)
		}
	}
}

// copyLive passes head and then body with a flush for each read. Where the
// reply's own text tells its end, the record is written before that leaves.
func (a *attempt) copyLive(head []byte, body io.Reader) *failure {
	a.firstContent()
	a.x.reply.begin(a.resp.StatusCode, false, func(h http.Header) {
		copyReplyHeader(h, a.resp.Header)
		a.x.ourHeaders(h)
	})
	a.watch.set(a.c.plan.timeouts.Idle, errIdle)
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	piece := head
	for {
		var n int
		var err error
		if len(piece) == 0 {
			n, err = body.Read(*buf)
			piece = (*buf)[:n]
		}
		if len(piece) > 0 {
			a.watch.pause()
			a.meter(piece)
			if a.ended() {
				a.finish(len(piece))
			}
			if werr := a.x.reply.pass(piece, true); werr != nil && !a.x.closed {
				return a.clientGone()
			}
			a.watch.resume(true)
			piece = nil
		}
		switch {
		case err == nil:
		case a.x.closed, errors.Is(err, io.EOF):
			a.finish(0)
			return nil
		default:
			return a.cut(err)
		}
	}
}

// ended reports whether what has passed is whole by its own grammar.
func (a *attempt) ended() bool {
	return a.stream != nil && a.stream.Done() || a.whole != nil && a.whole.Whole()
}

// meter shows a piece to whoever reads this reply's usage.
func (a *attempt) meter(piece []byte) {
	switch {
	case len(piece) == 0:
	case a.results != nil:
		a.results.lines.Feed(piece)
	case a.stream != nil:
		a.stream.Feed(piece)
	case a.whole != nil:
		a.whole.Feed(piece)
	}
}

func setLength(h http.Header, n int64) { h["Content-Length"] = []string{strconv.FormatInt(n, 10)} }
