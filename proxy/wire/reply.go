package wire

import (
	"bytes"
	"errors"
	"strings"

	"weir/costs"
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
	r.read = Reading{Text: idle(r.read.Text)}
	r.broken, r.any = false, false
	r.scan.kept = idle(r.scan.kept)
	r.facts.flavour = costs.FlavourOf("", api.String(), nil)
	r.facts.extras.reset()
	r.facts.reset(api, &r.read)
	r.scan.reset(&r.facts)
}

// SetVendor says whose reply it is (a price book's provider id; "": unknown),
// and which model was asked: vendors count in ways of their own. It is called
// before the first Feed.
func (r *Reply) SetVendor(vendor, model string) {
	r.facts.flavour = costs.FlavourOf(vendor, r.facts.api.String(), nil).For(model)
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
	out := r.facts.consumed(r.read)
	out.Final = out.HasUsage && r.Whole()
	out.Err = r.facts.failure(string(r.facts.kind))
	return out
}

// Whole reports whether a whole JSON text has been read.
func (r *Reply) Whole() bool {
	number := isNumberEnd(r.scan.state) && r.scan.depth() == 0 // a number has no end of its own
	return r.any && !r.broken && (number || r.scan.state == scanDone)
}

var (
	errEmpty   = errors.New("an empty body")
	errNotJSON = errors.New("a body that is not JSON")
	errHTML    = errors.New("a web page")
	errBare    = errors.New("an error under a success status")
	errShape   = errors.New("JSON that is not an object")
)

// CheckReply says what is wrong with a success reply that is not the
// dialect's: nil where nothing is. head is the body's start, whole says that
// it is all of it, and r has read it. APIs with other bodies than JSON pass.
func CheckReply(api API, contentType string, head []byte, whole bool, r *Reply) error {
	switch api {
	case Raw, Speech, Transcriptions, Files, Images, StoredResponses, Batches, CachedContents:
		return nil
	}
	body := bytes.TrimSpace(bytes.TrimPrefix(head, []byte(byteOrderMark)))
	switch {
	case len(body) == 0 && whole:
		return errEmpty
	case len(body) == 0:
		return nil
	case body[0] == '<', body[0] != '{' && body[0] != '[' && isHTML(contentType):
		return errHTML
	case body[0] != '{' && body[0] != '[':
		return errNotJSON
	case body[0] == '[' && !mayBeArray(api):
		return errShape
	}
	if r == nil || !whole {
		return nil
	}
	if !r.Whole() {
		return errNotJSON
	}
	if r.facts.isError() && !r.read.HasUsage && !r.facts.content && r.read.ID == "" {
		return errBare
	}
	return nil
}

func isHTML(contentType string) bool {
	return len(contentType) >= 9 && strings.EqualFold(contentType[:9], "text/html")
}

// mayBeArray reports whether a success of the API can be a JSON array: Gemini
// streams without alt=sse, and some servers' embeddings and rankings.
func mayBeArray(api API) bool {
	return api == StreamGenerate || api == Embeddings || api == Rerank
}
