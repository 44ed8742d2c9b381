package proxy

import (
	"net/http"
	"time"

	"weir/ledger"
	"weir/proxy/wire"
	"weir/proxy/wire/neutral"
)

// A Handler serves one exchange. Only the outermost handler turns a returned
// error into a reply, or cuts the connection if a reply has begun.
type Handler func(w http.ResponseWriter, r *http.Request, x *Exchange) error

// A Middleware does its part of the work, then calls next, or returns without it.
type Middleware func(next Handler) Handler

// chain puts the middlewares around the last handler, the first outermost.
func chain(last Handler, middlewares ...Middleware) Handler {
	for i := len(middlewares) - 1; i >= 0; i-- {
		last = middlewares[i](last)
	}
	return last
}

// An Exchange is one Call on its way through the proxy. The handler's
// goroutine owns it; nothing keeps it afterwards.
type Exchange struct {
	ID    string    // the call id
	Start time.Time // with a monotonic reading

	Endpoint wire.Endpoint
	Path     string // cleaned, without /providers/{name}
	Caller   Caller
	Body     *sent
	View     wire.View
	Model    string // what the client asked for; "" where the request carries no model

	// Pinned is the only provider that may serve: from x-weir-provider, from
	// /providers/{name}, or from the object id that the request names.
	Pinned string
	// Raw: not a byte of the body is edited (/providers/{name}/*).
	Raw bool

	absent   *Error // the path names a provider that is not there: for known callers only
	state    *State // the settings that this exchange began with
	reply    reply
	deadline time.Duration // the client's own limit for the whole call; 0: none
	estimate int64         // our own count of the input tokens
	exact    bool          // whether the estimate is by the model's own encoding
	call     *ledger.Call
	known    bool   // the caller has been let in: the call is worth a row
	opened   bool   // the ledger has the opened record
	answered bool   // the first content has gone out: no other target may be tried
	closed   bool   // the ledger has the closed record
	sequence int64  // of the last event of a Responses stream
	prompt   uint64 // hash of what is asked, where prompts are watched; 0: none
	captured []byte // the request's body, where bodies are kept
	cutBody  bool   // and it was longer than that

	// expectsEvents says that the reply is due as server-sent events.
	expectsEvents bool
	// owner is the provider that made the object that the request names; "" = none is known.
	owner string

	// asked is the request in the neutral form, where it had to be carried across dialects.
	asked *neutral.Request
	// long has the data that asked only has words for; nil: asked is whole.
	long *wire.Shrunk
	// plainly: the whole body is to be read for asked.
	plainly bool

	// marks are what the body holds that Weir has written; looked: they were looked for.
	marks  neutral.Marks
	looked bool

	// earlier are the turns of the kept replies that the request continues.
	earlier   []neutral.Turn
	continues bool
	referred  referred

	ceilings   *ceilings // nil: no limit is the caller's
	detour     *ceilings // of limits of the whole deployment that ask for another model
	spot       *ceilings // of the attempt under way; nil: its target has none
	turnedAway bool      // the call, or a target of it, was refused by a limit
	downgraded bool      // a limit has put another model in Model
	maxCost    int64     // that the client lets the call cost, in billionths of a dollar; 0: anything

	plan    plan // where the call may go, once routed is set
	planErr error
	routed  bool

	trace callTrace
}

// since returns the time from the exchange's start.
func (x *Exchange) since() time.Duration { return time.Since(x.Start) }
