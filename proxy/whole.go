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

	"weir/proxy/wire"
)

// maxWhole is the size up to which a JSON reply is judged before a byte of it
// goes out.
const maxWhole = 1 << 20

// decoded is the reply's body without an encoding that we did not ask for,
// where we have to read it; the header that named the encoding goes with it.
func (a *attempt) decoded() (io.Reader, error) {
	body := io.Reader(a.resp.Body)
	enc := a.resp.Header.Get("Content-Encoding")
	if enc == "" || a.x.Raw || !a.x.Endpoint.JSON && !a.x.Endpoint.Metered {
		return body, nil
	}
	var err error
	switch strings.ToLower(enc) {
	case "identity":
	case "gzip", "x-gzip":
		body, err = gzip.NewReader(body)
	case "deflate":
		body, err = zlib.NewReader(body)
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20)); err == nil {
			body = z.IOReadCloser()
		}
	default:
		return body, nil // it passes as it is, unread
	}
	if err == nil {
		delete(a.resp.Header, "Content-Encoding")
		a.resp.ContentLength = -1
	}
	return body, err
}

// relayWhole passes a reply that is no stream. A JSON reply is read whole, as
// far as it is small, and judged before it goes out.
func (a *attempt) relayWhole(body io.Reader) *failure {
	if a.x.Endpoint.JSON || a.x.Endpoint.Metered {
		a.whole = wholes.Get().(*wire.Reply)
		a.whole.Reset(a.api)
	}
	if a.c.r.Method == http.MethodHead || a.resp.StatusCode == http.StatusNoContent || a.resp.StatusCode == http.StatusNotModified {
		return a.answer(nil)
	}
	size := a.resp.ContentLength
	if !a.x.Endpoint.JSON || size > maxWhole {
		return a.copyOn(nil, body, false)
	}
	buf, whole, err := readUpTo(body, size, maxWhole)
	if err != nil {
		return a.cut(err)
	}
	a.whole.Feed(buf)
	if bad := wire.CheckReply(a.api, a.resp.Header.Get("Content-Type"), buf, whole, a.whole); bad != nil {
		return a.invalid(bad.Error())
	}
	a.watch.stop()
	if whole {
		return a.answer(buf)
	}
	return a.copyOn(buf, body, false)
}

// readUpTo reads r to its end or up to limit bytes; whole says which.
func readUpTo(r io.Reader, size int64, limit int) (buf []byte, whole bool, err error) {
	room := 4 << 10
	if size >= 0 {
		room = int(size) + 1
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
	a.x.call.BytesOut = int64(len(body))
	a.settle()
	a.c.p.remember(a)
	a.c.p.closeCall(a.c.r, a.x)
	a.beginWhole(int64(len(body)))
	if err := a.x.reply.finish(body); err != nil {
		return a.clientGone()
	}
	return nil
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

// copyOn passes head and then body as they come. The last piece is held until
// the body's end is known, so that the record is written before it leaves;
// live pieces go at once.
func (a *attempt) copyOn(head []byte, body io.Reader, live bool) *failure {
	a.firstContent()
	if live {
		a.x.reply.begin(a.resp.StatusCode, false, func(h http.Header) {
			copyReplyHeader(h, a.resp.Header)
			a.x.ourHeaders(h)
		})
	} else {
		a.beginWhole(a.resp.ContentLength)
	}
	flush := live || a.resp.ContentLength < 0
	one, two := buffers.Get().(*[]byte), buffers.Get().(*[]byte)
	defer func() { buffers.Put(one); buffers.Put(two) }()
	held := head
	for {
		n, err := body.Read(*one)
		piece := (*one)[:n]
		a.meter(piece)
		if n > 0 {
			a.watch.feed()
			if live {
				held, piece = piece, nil
			}
			if werr := a.x.reply.pass(held, flush); werr != nil {
				return a.clientGone()
			}
			held, one, two = piece, two, one
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return a.lastPiece(held)
		default:
			return a.cut(err)
		}
	}
}

// meter shows a piece to whoever reads this reply's usage.
func (a *attempt) meter(piece []byte) {
	switch {
	case len(piece) == 0:
	case a.stream != nil:
		a.stream.Feed(piece)
	case a.whole != nil:
		a.whole.Feed(piece)
	}
}

func (a *attempt) lastPiece(held []byte) *failure {
	a.x.call.BytesOut = a.x.reply.bytes() + int64(len(held))
	a.settle()
	a.c.p.remember(a)
	a.c.p.closeCall(a.c.r, a.x)
	if err := a.x.reply.finish(held); err != nil {
		return a.clientGone()
	}
	return nil
}

func setLength(h http.Header, n int64) { h["Content-Length"] = []string{strconv.FormatInt(n, 10)} }
