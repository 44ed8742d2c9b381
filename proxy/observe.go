package proxy

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"weir/ledger"
	"weir/proxy/wire"
)

func init() { uuid.EnableRandPool() } // ids are made for every call; the pool saves a system call each

// observe is the outermost handler: it names the call, and on every exit, the
// client's abort included, answers errors and hands the call to the recorder.
func (p *Proxy) observe(w http.ResponseWriter, r *http.Request) {
	x := p.begin(w, r)
	defer p.end(r, x)
	if err := p.enter(w, r, x); err != nil {
		p.fail(w, r, x, asError(err))
	}
}

// begin makes the exchange for a request.
func (p *Proxy) begin(w http.ResponseWriter, r *http.Request) *Exchange {
	x := &Exchange{Start: time.Now(), ID: newCallID(), state: p.state.Load()}
	x.Path = cleanPath(r.URL.EscapedPath())
	x.Endpoint = wire.Match(r.Method, x.Path, r.Header)
	x.call = &ledger.Call{
		ID: x.ID, Start: x.Start.UTC(), Method: r.Method, Path: x.Path,
		UserAgent: clip(r.UserAgent()),
	}
	if len(x.Path) > maxPath {
		x.call.Path = strings.ToValidUTF8(x.Path[:maxPath], "") + "…"
	}
	x.reply.init(w)
	if x.state.Capture.Bodies {
		x.reply.keep = x.state.Capture.MaxBytes
	}
	p.metrics.inFlight.Inc()
	p.startTrace(r, x)
	return x
}

// maxPath bounds a recorded path; the ids in it are recorded whole elsewhere.
const maxPath = 1 << 10

// checkRequest refuses what no API has: methods that echo or tunnel, and paths
// that could mean another place to whoever unescapes them.
func checkRequest(r *http.Request, escaped string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default: // TRACE would send the provider's key back
		return refuse(BadMethod, "The method %s is not served here.", clip(r.Method))
	}
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return refuse(BadRequest, "The path could not be read.")
	}
	for part := range strings.FieldsFuncSeq(plain, func(c rune) bool { return c == '/' || c == '\\' }) {
		if part == ".." || strings.ContainsAny(part, "\x00\r\n") {
			return refuse(BadRequest, "The path holds an escaped dot segment or control character.")
		}
	}
	return nil
}

// enter checks what needs no caller and goes down the chain.
func (p *Proxy) enter(w http.ResponseWriter, r *http.Request, x *Exchange) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = p.recovered(x, v)
		}
	}()
	if p.gate.closed.Load() {
		return shuttingDown()
	}
	if err := checkRequest(r, x.Path); err != nil {
		return err
	}
	if err := x.address(r); err != nil {
		return err
	}
	if isUpgrade(r) {
		return &Error{Code: NotInThisVersion, NoRetry: true, Msg: "Realtime WebSockets are not in this version of Weir."}
	}
	return p.handler(w, r, x)
}

// address settles which API is meant and reads the headers that steer the call.
func (x *Exchange) address(r *http.Request) error {
	if rest, ok := strings.CutPrefix(x.Path, "/providers/"); ok {
		name, below, _ := strings.Cut(rest, "/")
		if x.state.byName[name] == nil {
			x.absent = refuse(NotFound, "There is no provider named %q.", clip(name))
			return nil
		}
		x.Pinned, x.Raw = name, true
		x.Path = rawPath(x.state.byName[name], "/"+below)
		x.Endpoint = wire.Match(r.Method, x.Path, r.Header)
	} else if !isDataPath(x.Path) {
		return refuse(NotFound, "There is nothing at %s. Weir serves the APIs of OpenAI and Anthropic below /v1 and of Gemini below /v1beta.", clip(x.Path))
	}
	x.call.Dialect, x.call.API = x.Endpoint.Dialect.Name(), x.Endpoint.API.String()
	if name := r.Header.Get("X-Weir-Provider"); name != "" && !x.Raw {
		x.Pinned = name
	}
	if v := r.Header.Get("X-Weir-Timeout"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return refuse(BadRequest, "The header x-weir-timeout must be a duration like 30s.")
		}
		x.deadline = d
	}
	var err error
	if x.maxCost, err = maxCost(r.Header.Get("X-Weir-Max-Cost-Usd")); err != nil {
		return err
	}
	return refuseAbsent(r.Header)
}

// isDataPath reports whether a path is one of the APIs'. Google's SDKs upload
// files to a path of their own.
func isDataPath(p string) bool {
	return strings.HasPrefix(p, "/v1/") || strings.HasPrefix(p, "/v1beta/") || strings.HasPrefix(p, "/upload/v1beta/") || strings.HasPrefix(p, "/upload/v1/")
}

// refuseAbsent names the contract's headers that this version does not act
// on: to ignore them in silence would change what the caller asked for.
func refuseAbsent(h http.Header) error {
	for _, name := range []string{"X-Weir-Prompt", "X-Weir-Vars", "X-Weir-Dry-Run"} {
		if h.Get(name) != "" {
			return &Error{Code: NotInThisVersion, NoRetry: true, Msg: "The header " + strings.ToLower(name) + " is not in this version of Weir."}
		}
	}
	if v := h.Get("X-Weir-Cache"); v != "" && v != "off" {
		return &Error{Code: NotInThisVersion, NoRetry: true, Msg: "The header x-weir-cache is not in this version of Weir."}
	}
	return nil
}

// describe puts what is known of the request into the call.
func (x *Exchange) describe() {
	c := x.call
	c.AskedModel, c.Stream = clip(x.Model), x.Endpoint.Stream
	c.User, c.Metadata = clip(x.View.User), x.View.Metadata
}

// describe puts who asks into the call.
func (c *Caller) describe(call *ledger.Call) {
	call.Customer, call.Feature, call.Session, call.Tags = c.Customer, c.Feature, c.Session, c.Tags
	if c.Key != nil {
		call.KeyID, call.ProjectID = c.Key.ID, c.Key.ProjectID
	}
}

// fail turns an error into the reply, or cuts the connection if a reply has begun.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, x *Exchange, e *Error) {
	switch {
	case e.Code == Internal, e.Code == SlowBody: // the server ends the context of a request whose body was not read in time
	case isGone(r):
		e = &Error{Code: ClientGone, Msg: "The client went away.", Err: e}
	case isStopped(r):
		e = shuttingDown()
	}
	if !x.closed {
		x.call.ErrorClass, x.call.Outcome = e.class(), ledger.Failed
		if e.Code == ClientGone {
			x.call.Outcome = ledger.Aborted
		}
	}
	if e.Code == Internal {
		p.log.Error("call failed", "call", x.ID, "err", e.Err)
	}
	if x.reply.stop() { // a reply has begun
		frame := x.Endpoint.Dialect.StreamError(x.Endpoint.API, x.streamFailure(e))
		p.closeCall(x)
		x.reply.abort(frame)
		panic(http.ErrAbortHandler)
	}
	x.call.Status = e.status()
	body := x.Endpoint.Dialect.Error(e.failure(x.ID))
	if e.Code != ClientGone {
		x.call.BytesOut = int64(len(body))
	}
	p.closeCall(x)
	writeError(w, r, x, e, body)
}

func writeError(w http.ResponseWriter, r *http.Request, x *Exchange, e *Error, body []byte) {
	if e.Code == ClientGone {
		panic(http.ErrAbortHandler) // nobody is there to read it
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Weir-Call-Id", x.ID)
	if n := len(x.call.Attempts); n > 0 {
		h.Set("X-Weir-Attempts", strconv.Itoa(n))
	}
	idHeader(h, x)
	x.tellLimits(h)
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
		h.Set("Retry-After-Ms", strconv.FormatInt(e.RetryAfter.Milliseconds(), 10))
	}
	if e.NoRetry || len(x.call.Attempts) > 1 { // what was retried here must not be retried again on top
		h.Set("X-Should-Retry", "false")
	}
	if e.Code == BodyTooLarge || e.Code == SlowBody {
		h.Set("Connection", "close")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.status())
	w.Write(body) //nolint:errcheck // the client may have gone; the call is recorded already
	if e.Code == BodyTooLarge {
		linger(w, r)
	}
}

// What a client sends on after its body was refused is read for so long, that
// it may read our answer: a connection closed on unread bytes is reset.
const (
	lingerTime  = 5 * time.Second
	lingerBytes = 64 << 20
)

func linger(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	if rc.Flush() != nil || rc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, lingerBytes)) // however it ends
}

// idHeader gives a reply of our own the id that SDKs show.
func idHeader(h http.Header, x *Exchange) { setIDHeader(h, x, x.ID) }

// setIDHeader writes a request's id under the name that the client's API has for it.
func setIDHeader(h http.Header, x *Exchange, id string) {
	if x.Endpoint.Dialect == wire.Anthropic {
		h["Request-Id"] = []string{id}
		return
	}
	h["X-Request-Id"] = []string{id}
}

// end closes what the exchange holds, the call's record included.
func (p *Proxy) end(r *http.Request, x *Exchange) {
	x.reply.stop()
	p.closeCall(x)
	p.keepBodies(x)
	p.metrics.inFlight.Dec()
	p.metrics.observe(x.call)
	p.endTrace(x)
}

func (p *Proxy) recovered(x *Exchange, v any) error {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	p.log.Error("panic in a call", "call", x.ID, "panic", v, "stack", string(debug.Stack()))
	return &Error{Code: Internal, Msg: "Weir met an internal error. The call id names it in Weir's log."}
}

// newCallID returns "call_" and the 32 hex digits of a UUIDv7, which sorts by time.
func newCallID() string {
	id, err := uuid.NewV7()
	if err != nil { // the system's random source is gone
		panic(err)
	}
	var buf [5 + 32]byte
	copy(buf[:], "call_")
	hex.Encode(buf[5:], id[:])
	return string(buf[:])
}

// cleanPath resolves dots and double slashes before any decision is made on
// a path, so that what is decided on is what is sent.
func cleanPath(p string) string {
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	lower := strings.ToLower(p)
	if strings.Contains(lower, "%2e") {
		p = strings.NewReplacer("%2e", ".", "%2E", ".").Replace(p)
	}
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// rawPath turns what follows /providers/{name} into the path that the same
// request has at Weir's own front door: with the version in front.
func rawPath(p *Provider, below string) string {
	if p.kind.dialect == nil || strings.HasPrefix(below, "/v1/") || strings.HasPrefix(below, "/v1beta/") || strings.HasPrefix(below, "/openai/") {
		return below
	}
	if p.kind.dialect == wire.Gemini {
		return "/v1beta" + below
	}
	return "/v1" + below
}
