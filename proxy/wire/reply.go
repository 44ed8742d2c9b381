package wire

import (
	"bytes"
	"errors"
	"strings"
)

// A Reply reads a JSON reply as it passes, in pieces of any size, and holds
// no more of it than its Reading.
type Reply struct {
	read   Reading
	facts  facts
	scan   scanner
	broken bool
	any    bool
}

// NewReply returns a Reply for an API.
func NewReply(api API) *Reply {
	r := &Reply{}
	r.Reset(api)
	return r
}

// Reset makes the reply ready for another one.
func (r *Reply) Reset(api API) {
	r.read = Reading{Text: r.read.Text[:0]}
	r.broken, r.any = false, false
	r.facts.reset(api, &r.read)
	r.scan.reset(&r.facts)
}

// Feed reads the next piece. What is not JSON is ignored.
func (r *Reply) Feed(p []byte) {
	if r.broken || len(p) == 0 {
		return
	}
	r.any = true
	r.broken = r.scan.feed(p) != nil
}

// Reading returns what the reply has said. Usage is final once the text is whole.
func (r *Reply) Reading() Reading {
	out := r.read
	out.Final = out.HasUsage && r.Whole()
	out.Err = r.facts.failure()
	return out
}

// Whole reports whether a whole JSON text has been read.
func (r *Reply) Whole() bool { return r.any && !r.broken && r.scan.state == scanDone }

var (
	errEmpty   = errors.New("an empty body")
	errNotJSON = errors.New("a body that is not JSON")
	errHTML    = errors.New("a web page")
	errBare    = errors.New("an error under a success status")
)

// CheckReply says what is wrong with a success reply that is not the
// dialect's: nil where nothing is. head is the body's start, whole says that
// it is all of it, and r has read it. APIs with other bodies than JSON pass.
func CheckReply(api API, contentType string, head []byte, whole bool, r *Reply) error {
	switch api {
	case Raw, Speech, Transcriptions, Files, Images, StoredResponses, Batches, CachedContents:
		return nil
	}
	body := bytes.TrimSpace(head)
	switch {
	case len(body) == 0 && whole:
		return errEmpty
	case strings.HasPrefix(contentType, "text/html") || len(body) > 0 && body[0] == '<':
		return errHTML
	case len(body) > 0 && body[0] != '{' && body[0] != '[':
		return errNotJSON
	}
	if r == nil || !whole {
		return nil
	}
	if !r.Whole() {
		return errNotJSON
	}
	if r.facts.errRaw != nil && !r.read.HasUsage && !r.facts.content && r.read.ID == "" {
		return errBare
	}
	return nil
}
