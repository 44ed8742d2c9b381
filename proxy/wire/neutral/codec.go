package neutral

import (
	"fmt"
	"slices"
	"strings"

	"weir/proxy/wire"
)

// A Codec is one API's way of writing what the neutral form means. All of its
// functions are pure and may be called concurrently; none keeps its input.
type Codec struct {
	API API
	// DecodeRequest reads a client's body. model and stream come from the path
	// where the API has them there (Gemini). Its error is a *wire.SyntaxError
	// or a *CannotCarry that names the member at fault.
	DecodeRequest func(body []byte, model string, stream bool) (*Request, error)
	// EncodeRequest writes a body for an upstream that speaks this API, and
	// notes on n what it could not say. It refuses with n for a change of meaning.
	EncodeRequest func(r *Request, n *Notes) ([]byte, error)
	// DecodeReply reads an upstream's whole reply.
	DecodeReply func(body []byte) (*Reply, error)
	// EncodeReply writes a reply for a client of this API that asked r.
	EncodeReply func(reply *Reply, r *Request) []byte
	// NewDecoder reads an upstream's stream, NewEncoder writes a client's.
	NewDecoder func() Decoder
	NewEncoder func(r *Request) Encoder
	// Fields declare what becomes of each request member and feature; the
	// tables of docs/dialects.md are made from them, and a test tries each.
	Fields []Field
}

// A Decoder turns the events of one upstream stream into neutral ones. name is
// the SSE event line ("" = none), data its data. What it hands to emit is
// valid during the call.
type Decoder interface {
	Event(name string, data []byte, emit func(*Event)) error
	// End is called at the end of the stream, whether the terminator came or not.
	End(emit func(*Event))
}

// An Encoder appends a client's stream events, each a whole one with its blank
// line, to dst.
type Encoder interface {
	Append(dst []byte, e *Event) []byte
}

// codecs are the codecs by the API of wire that they serve.
var codecs = map[wire.API]*Codec{}

// register adds a codec to the table; each codec's file does so for itself.
func register(c *Codec, apis ...wire.API) *Codec {
	for _, api := range apis {
		codecs[api] = c
	}
	return c
}

// For returns the codec of one of wire's APIs; nil where it carries no conversation.
func For(api wire.API) *Codec { return codecs[api] }

// Notes collect what a translation could not say.
type Notes struct {
	Lossy   bool // the route takes a change of meaning
	Dropped []string
	refusal *CannotCarry
}

// Drop notes that a member, named as the client wrote it, is not carried. It
// changes how the answer is made, not what was asked.
func (n *Notes) Drop(member string) {
	switch {
	case len(n.Dropped) > maxDropped || slices.Contains(n.Dropped, member):
	case len(n.Dropped) == maxDropped:
		n.Dropped = append(n.Dropped, "and more")
	default:
		n.Dropped = append(n.Dropped, member)
	}
}

// maxDropped bounds what is noted of one request: it goes into a header.
const maxDropped = 64

// Refuse says that leaving a member out would change the meaning. Where the
// route takes that it is noted like any other.
func (n *Notes) Refuse(member, why string, args ...any) {
	if n.Lossy {
		n.Drop(member)
		return
	}
	if n.refusal == nil {
		n.refusal = &CannotCarry{Member: member, Msg: fmt.Sprintf(why, args...)}
	}
}

// Err returns the first refusal, or nil.
func (n *Notes) Err() error {
	if n.refusal == nil {
		return nil
	}
	return n.refusal
}

// CannotCarry says that a request cannot be carried, and which member of it is
// why. Its message is safe to show and says what to do.
type CannotCarry struct{ Member, Msg string }

// Error names the member and the reason.
func (c *CannotCarry) Error() string { return strings.TrimPrefix(c.Member+": ", ": ") + c.Msg }

// A Fate is what becomes of something on its way into a dialect.
type Fate uint8

// The fates.
const (
	Carried Fate = iota // the same thing there
	Mapped              // the nearest thing there; Note says what
	Dropped             // left out, and said so
	Refused             // a 400, unless the route says lossy: allow
)

// A Field declares one feature of the neutral form in one dialect.
type Field struct {
	Feature string // one name for all dialects, from Features
	Member  string // how this dialect's clients write it; "" = they cannot
	Fate    Fate   // what becomes of it when this dialect is the target's
	Note    string // of a mapping, or why it is dropped
}
