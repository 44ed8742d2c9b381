package proxy

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"weir/proxy/wire"
)

// spillAt is the size above which a body is kept in a file instead of memory.
const spillAt = 1 << 20

// A Body is a request body that can be read again for every attempt: bytes in
// memory, or above spillAt an unlinked temporary file. One that was carried
// across dialects may have the data of another's file in it.
type Body struct {
	data     []byte
	file     *os.File
	expanded *wire.Expanded
	size     int64
}

// errTooLarge says that a body went over its cap.
var errTooLarge = errors.New("body over the limit")

// collect reads r to its end, at most limit bytes; sizeHint is its length
// where that is known, else negative.
func collect(r io.Reader, sizeHint, limit int64) (*Body, error) {
	if sizeHint > limit {
		return nil, errTooLarge
	}
	b := &Body{}
	room := int64(4 << 10)
	if sizeHint >= 0 {
		room = min(sizeHint, spillAt)
	}
	// Not pooled: the transport may read a request's body after its reply has
	// come. One byte more, so that the end is seen without growing.
	buf := make([]byte, 0, room+1)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return nil, errTooLarge
		}
		if err == io.EOF {
			b.data, b.size = buf, int64(len(buf))
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		if len(buf) > spillAt {
			return b, b.spill(buf, r, limit)
		}
	}
}

func (b *Body) spill(head []byte, r io.Reader, limit int64) error {
	f, err := os.CreateTemp("", "weir-body-*")
	if err != nil {
		return fmt.Errorf("make a file for a large body: %w", err)
	}
	b.file = f
	if err := os.Remove(f.Name()); err != nil { // the open file lives on without its name
		return fmt.Errorf("unlink the file of a large body: %w", err)
	}
	if _, err := f.Write(head); err != nil {
		return fmt.Errorf("write a large body to a file: %w", err)
	}
	b.size = int64(len(head))
	n, err := io.Copy(f, io.LimitReader(r, limit-b.size+1))
	b.size += n
	switch {
	case err != nil:
		return err
	case b.size > limit:
		return errTooLarge
	}
	return nil
}

// close gives back what the body holds. Nothing may read it afterwards.
func (b *Body) close() {
	if b == nil {
		return
	}
	if b.file != nil {
		b.file.Close()
	}
	b.data, b.file = nil, nil
}

// reader returns the body from its start with the edits done, and its length then.
func (b *Body) reader(edits []wire.Edit) (io.Reader, int64) {
	switch {
	case b.file != nil && len(edits) > 0:
		return wire.EditReader(b.file, b.size, edits), wire.EditedSize(b.size, edits)
	case b.expanded != nil: // what is carried takes no edits
		return b.expanded.Reader(), b.size
	case b.file != nil:
		return io.NewSectionReader(b.file, 0, b.size), b.size
	case len(edits) > 0:
		edited := wire.Apply(make([]byte, 0, wire.EditedSize(b.size, edits)), b.data, edits)
		return bytes.NewReader(edited), int64(len(edited))
	}
	return bytes.NewReader(b.data), b.size
}

// head returns up to n bytes of the body's start.
func (b *Body) head(n int) []byte {
	if b.file == nil {
		return b.data[:min(n, len(b.data))]
	}
	buf := make([]byte, min(int64(n), b.size))
	got, err := b.file.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return nil
	}
	return buf[:got]
}

// ReadAt reads from any place of the body.
func (b *Body) ReadAt(p []byte, off int64) (int, error) {
	if b.file != nil {
		return b.file.ReadAt(p, off)
	}
	return bytes.NewReader(b.data).ReadAt(p, off)
}

// readBody takes a request's body under the cap and a read deadline, so that a
// slow client holds no slot.
func readBody(w http.ResponseWriter, r *http.Request, st *State) (*Body, error) {
	if r.ContentLength == 0 || r.Body == nil {
		return &Body{}, nil
	}
	paced := &pacedReader{r: r.Body, rc: http.NewResponseController(w), end: time.Now().Add(st.BodyTimeout)}
	b, err := collect(paced, r.ContentLength, st.MaxBody)
	paced.stop()
	if err == nil {
		return b, nil
	}
	b.close()
	return nil, bodyError(err, st.MaxBody, r)
}

func bodyError(err error, limit int64, r *http.Request) error {
	switch {
	case errors.Is(err, errTooLarge):
		return &Error{
			Code: BodyTooLarge, NoRetry: true, Err: err,
			Msg: fmt.Sprintf("The request body is larger than the limit of %d bytes (max_body in Weir's configuration).", limit),
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Code: SlowBody, Msg: "The request body came too slowly and was given up.", Err: err}
	case isGone(r), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Code: ClientGone, Msg: "The client went away while it was sending its request.", Err: err}
	}
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return &Error{Code: Internal, Msg: "Weir could not keep the request body. Look at the free space of its temporary directory.", Err: err}
	}
	return &Error{Code: BadRequest, Msg: "The request body could not be read.", Err: err}
}

// A pacedReader gives every read 30 s, and all of them an end.
type pacedReader struct {
	r    io.Reader
	rc   *http.ResponseController
	end  time.Time
	next time.Time // when the deadline is to be moved again
}

const readPatience = 30 * time.Second

func (p *pacedReader) Read(buf []byte) (int, error) {
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(readPatience / 6)
		deadline := now.Add(readPatience)
		if p.end.Before(deadline) {
			deadline = p.end
		}
		// A connection that has no deadlines (a test's recorder) is read without.
		_ = p.rc.SetReadDeadline(deadline)
	}
	return p.r.Read(buf)
}

func (p *pacedReader) stop() { _ = p.rc.SetReadDeadline(time.Time{}) }

// decode undoes a content encoding under a cap, for the view of the request.
func decode(b *Body, encoding string, limit int64) (*Body, error) {
	raw, _ := b.reader(nil)
	var r io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(raw)
	case "deflate":
		r, err = zlib.NewReader(raw)
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20)); err == nil {
			defer z.Close()
			r = z
		}
	default:
		return nil, &Error{
			Code: BadMediaType, NoRetry: true,
			Msg: fmt.Sprintf("The content encoding %q cannot be read. Send the body plain, or as gzip, deflate or zstd.", clip(encoding)),
		}
	}
	if err != nil {
		return nil, refuse(BadRequest, "The request body is not valid %s.", clip(encoding))
	}
	plain, err := collect(r, -1, limit)
	if err == nil {
		return plain, nil
	}
	plain.close()
	if errors.Is(err, errTooLarge) {
		return nil, bodyError(err, limit, &http.Request{})
	}
	return nil, refuse(BadRequest, "The request body is not valid %s.", clip(encoding))
}
