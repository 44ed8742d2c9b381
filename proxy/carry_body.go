package proxy

import (
	"crypto/rand"
	"encoding/hex"

	"weir/proxy/wire"
)

// A body that lies in a file is carried across dialects without ever being in
// memory whole: the codecs see it without its long data (wire.Shrink), and the
// data is read from the file as the carried body is sent.

// shortBody is what the codecs are to read: the body, or where it is large its
// short form, which long then belongs to. It must not be changed.
func (x *Exchange) shortBody() (body []byte, long *wire.Shrunk, err error) {
	b := x.Body.readable()
	if b.file == nil {
		return b.data, nil, nil
	}
	if !x.plainly {
		var mark [wire.MarkSize / 2]byte
		rand.Read(mark[:]) //nolint:errcheck // it never fails
		long, err = wire.Shrink(b, b.size, x.View.Long, hex.EncodeToString(mark[:]))
		if err != nil {
			return nil, nil, bodyLost(err)
		}
		if long != nil {
			return long.Body, long, nil
		}
	}
	body = make([]byte, b.size)
	if n, err := b.ReadAt(body, 0); n < len(body) {
		return nil, nil, bodyLost(err)
	}
	return body, nil, nil
}

func bodyLost(err error) *Error {
	return &Error{Code: Internal, Msg: "Weir could not read the request body again.", Err: err}
}

// carried is the body that goes upstream. ok is false where a codec has left
// data out, or made something of it, that it has only seen a word of: then the
// request has to be read whole.
func (x *Exchange) carried(body []byte) (b *Body, ok bool, err error) {
	if x.long == nil {
		return &Body{data: body, size: int64(len(body))}, true, nil
	}
	if err := x.long.Err(); err != nil {
		return nil, false, bodyLost(err)
	}
	e := x.long.Expand(body)
	return &Body{expanded: e, size: e.Size()}, e.Complete(), nil
}

// readPlainly has the request read whole from now on.
func (x *Exchange) readPlainly() { x.asked, x.long, x.plainly = nil, nil, true }
