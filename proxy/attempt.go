package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"weir/ledger"
	"weir/proxy/wire"
)

// An attempt is one try at one target. The carrier's goroutine owns it.
type attempt struct {
	c      *carrier
	x      *Exchange
	target Target
	model  string // as the upstream knows it
	asked  bool   // include_usage was set on the client's behalf
	limit  string // the name that a carried output limit has; "" = there is none
	start  time.Time
	ctx    context.Context
	cancel context.CancelCauseFunc
	watch  watchdog
	resp   *http.Response
	record *ledger.Attempt
	room   ticket // what it takes of the upstream's own limits
	span   attemptSpan

	api     wire.API
	stream  *wire.Stream // reads an event stream; nil: the reply is none
	whole   *wire.Reply  // reads a JSON reply; nil: the reply is none
	gone    bool         // the client has gone; the rest is read for its usage
	settled bool
	carry   *carriage  // across dialects; nil: the bytes pass
	results *results   // reads a batch's results; nil: the reply is none
	batch   *embedding // a request for embeddings that is not passed as it came; else nil
	anew    *Body      // the request's body, where it goes without what Weir has put into it
}

// The reasons for which an attempt or a call is given up, as context causes.
var (
	errTotal = errors.New("the time for the whole call is over")
	errTTFT  = errors.New("no first token in time")
	errIdle  = errors.New("the stream stood still")
	errDone  = errors.New("the attempt is over")
)

// A watchdog cancels an attempt that makes no progress.
type watchdog struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
	until  time.Time
}

// set gives the attempt d from now on, then cancels it with the cause. d <= 0: for ever.
func (w *watchdog) set(d time.Duration, cause error) {
	w.stop()
	if w.limit = d; d > 0 {
		w.until = time.Now().Add(d)
		w.timer = time.AfterFunc(d, func() { w.cancel(cause) })
	}
}

// pause stops the clock while it is the client that is waited for.
func (w *watchdog) pause() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// resume lets the clock run again, anew where there was progress.
func (w *watchdog) resume(progress bool) {
	if w.timer == nil {
		return
	}
	if progress {
		w.until = time.Now().Add(w.limit)
	}
	w.timer.Reset(time.Until(w.until))
}

func (w *watchdog) stop() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// try makes one attempt at a target. It returns nil where the client has its
// reply, and else why not; after a reply has begun nothing else may be tried.
func (c *carrier) try(t Target) *failure {
	model := t.Provider.upstreamModel(t.model(c.x.Model))
	carry, f := c.carriage(t, model)
	if f != nil {
		t.Provider.breakerFor(t.model(c.x.Model)).undo()
		return f
	}
	a := c.newAttempt(t, model, carry)
	c.x.call.Dropped = carry.droppedParams()
	defer a.end()
	f = a.carryOut()
	if f != nil && f.spent {
		a.hangUp() // before the counting: the upstream works until then
		a.settle()
	}
	a.judge(f)
	return f
}

// carryOut asks the upstream, and answers the client if it has answered.
func (a *attempt) carryOut() *failure {
	if a.batch != nil {
		return a.relayEmbedding()
	}
	if f := a.roundTrip(); f != nil {
		return f
	}
	return a.relay()
}

func (c *carrier) newAttempt(t Target, model string, carry *carriage) *attempt {
	x := c.x
	a := &attempt{c: c, x: x, target: t, model: model, start: time.Now(), api: x.Endpoint.API}
	if carry != nil {
		a.batch = carry.embed
	}
	switch {
	case carry == nil:
	case carry.own: // only the request is written anew
		a.anew, a.asked = carry.body, c.wantsUsage(t.Provider)
	default:
		a.carry, a.api, a.asked, a.limit = carry, carry.api, carry.asksUsage, carry.limit
	}
	a.ctx, a.cancel = context.WithCancelCause(c.ctx)
	a.watch.cancel = a.cancel
	a.room, c.room = c.room, ticket{}
	x.call.Attempts = append(x.call.Attempts, ledger.Attempt{
		N: len(x.call.Attempts) + 1, Provider: t.Provider.Name, Model: clip(a.model), API: a.api.String(), Start: a.start.Sub(x.Start),
	})
	a.record = &x.call.Attempts[len(x.call.Attempts)-1]
	x.call.Provider, x.call.Model = t.Provider.Name, clip(a.model)
	c.p.startAttemptTrace(a)
	return a
}

// end lets go of what the attempt holds.
func (a *attempt) end() {
	a.hangUp()
	a.room.end()
	if a.stream != nil {
		streams.Put(a.stream)
	}
	if a.whole != nil {
		wholes.Put(a.whole)
	}
	a.c.p.endAttemptTrace(a)
}

// hangUp ends the exchange with the upstream.
func (a *attempt) hangUp() {
	a.watch.stop()
	a.cancel(errDone)
	if a.resp != nil {
		a.resp.Body.Close()
	}
}

// roundTrip sends the request and waits for the reply's headers. A reply with
// an error status is a failure that holds the reply.
func (a *attempt) roundTrip() *failure {
	req, err := a.request()
	if err != nil {
		return &failure{err: asError(err)}
	}
	timeouts := a.c.plan.timeouts
	if a.x.Endpoint.Stream || timeouts.ttftSet {
		a.watch.set(timeouts.TTFT, errTTFT)
	}
	a.resp, err = a.target.Provider.transport.http.RoundTrip(req)
	if err != nil {
		a.room.giveBack()
		return a.broken(err)
	}
	a.hear(a.resp)
	if !a.x.Endpoint.Stream {
		a.watch.stop() // a plain call's limit is to the headers
	}
	a.record.Status = a.resp.StatusCode
	a.record.RequestID = clip(requestID(a.resp.Header))
	switch s := a.resp.StatusCode; {
	case s >= 400:
		return a.refused()
	case s >= 300 && s != http.StatusNotModified && a.x.Endpoint.JSON && !a.x.Raw:
		return a.invalid("a redirect")
	}
	return nil
}

func requestID(h http.Header) string {
	for _, name := range [...]string{"X-Request-Id", "Request-Id", "Apim-Request-Id"} {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// request builds the upstream's request: the client's own bytes and headers,
// with point edits and the credential exchanged.
func (a *attempt) request() (*http.Request, error) {
	x, p, r := a.x, a.target.Provider, a.c.r
	header := requestHeader(r.Header)
	for name, values := range p.headers {
		header[name] = values
	}
	if a.carry != nil {
		return a.carry.request(a, header), nil
	}
	a.authorize(header)
	a.c.p.injectTrace(a, header)
	u := p.kind.url(p, x.Endpoint, x.Path, a.model)
	u.RawQuery = query(r.URL.RawQuery, u.RawQuery)
	if p.kind.local && (isManagement(u.Path) || isManagement(strings.TrimPrefix(u.Path, strings.TrimSuffix(p.base.Path, "/")))) {
		return nil, refuse(Forbidden, "This path manages the inference engine and is not open to callers.")
	}
	ctx := withConnectTimeout(a.ctx, a.c.plan.timeouts.Connect)
	req := (&http.Request{
		Method: r.Method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	body, edits := a.body(header)
	if body.size == 0 {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			req.Body = http.NoBody
		}
		return req, nil
	}
	open := func() (io.ReadCloser, error) {
		reader, _ := body.reader(edits)
		return io.NopCloser(reader), nil
	}
	// The transport may ask for the body again where a kept connection turns
	// out to be closed before anything was sent on it.
	req.GetBody = open
	req.ContentLength = wire.EditedSize(body.size, edits)
	req.Body, _ = open()
	return req, nil
}

// body chooses the bytes that go upstream, and the edits in them.
func (a *attempt) body(header http.Header) (*Body, []wire.Edit) {
	if a.anew != nil {
		delete(header, "Content-Encoding")
		return a.anew, nil
	}
	edits := a.edits()
	sent := a.x.Body
	if len(edits) == 0 || sent.plain == nil {
		return sent.raw, edits
	}
	delete(header, "Content-Encoding") // an edited body goes as it reads
	return sent.plain, edits
}

// edits are the changes that this upstream needs in the client's body.
func (a *attempt) edits() []wire.Edit {
	x := a.x
	if x.Raw {
		return nil
	}
	if x.Endpoint.Multipart {
		if a.model == x.View.Model || x.View.ModelSpan.Empty() || strings.ContainsAny(a.model, "\r\n") {
			return nil
		}
		return []wire.Edit{{Span: x.View.ModelSpan, New: []byte(a.model)}}
	}
	a.asked = a.c.wantsUsage(a.target.Provider)
	return a.nestedModels(x.View.Edits(wire.Want{Model: a.bodyModel(), IncludeUsage: a.asked, DropWeir: true}))
}

// bodyModel is the name that the body's own member is to have. Where the path
// names the model (Gemini) the body may repeat it as a resource name.
func (a *attempt) bodyModel() string {
	x := a.x
	switch {
	case x.Endpoint.Model == "":
		return a.model
	case x.View.Model == "" || a.model == x.Endpoint.Model:
		return x.View.Model
	case strings.HasPrefix(x.View.Model, "models/"):
		return "models/" + a.model
	}
	return a.model
}

// authorize puts the credential on that this target may see: the client's own
// where it is let through, else the provider's.
func (a *attempt) authorize(h http.Header) {
	p, caller := a.target.Provider, &a.x.Caller
	switch {
	case a.x.state.Auth == AuthPassthrough && caller.passes(a.target, a.c.plan):
		if caller.credential.header == "Authorization" { // perhaps no key but an OAuth token
			h["Authorization"] = []string{caller.credential.value}
		} else {
			p.kind.authorize(h, caller.credential.token)
		}
	case p.key != "":
		p.kind.authorize(h, p.key)
	}
}

// managementPaths belong to an engine's operator (Ollama's /api, vLLM's and
// llama.cpp's own).
var managementPaths = []string{
	"/api/", "/sleep", "/wake_up", "/is_sleeping", "/load_lora_adapter", "/unload_lora_adapter", "/v1/load_lora_adapter", "/v1/unload_lora_adapter",
	"/slots", "/metrics", "/reset_prefix_cache", "/collective_rpc", "/update_weights", "/start_profile", "/stop_profile", "/props",
}

func isManagement(p string) bool {
	p = path.Clean(p)
	for _, m := range managementPaths {
		if p == m || strings.HasPrefix(p, strings.TrimSuffix(m, "/")+"/") {
			return true
		}
	}
	return false
}

// broken says what an error of the connection means.
func (a *attempt) broken(err error) *failure {
	if e := a.interrupted(err); e != nil {
		return e
	}
	return &failure{
		err: &Error{
			Code: UpstreamFailed, Err: err,
			Msg: "The provider " + a.target.Provider.Name + " could not be reached, or broke the connection off.",
		},
		again: !isBadCertificate(err), elsewhere: true,
	}
}

// isBadCertificate reports whether the upstream is not who it should be, which
// trying again does not mend.
func isBadCertificate(err error) bool {
	_, bad := errors.AsType[*tls.CertificateVerificationError](err)
	return bad
}

// interrupted says which of our own limits, or the client, ended the attempt;
// nil: none of them did.
func (a *attempt) interrupted(err error) *failure {
	name := a.target.Provider.Name
	switch cause := context.Cause(a.ctx); {
	case cause == nil:
		return nil
	case isStopped(a.c.r):
		return &failure{spent: true, err: shuttingDown()}
	case errors.Is(cause, errTTFT):
		return &failure{spent: true, elsewhere: true, err: &Error{
			Code: UpstreamTimeout, Err: cause,
			Msg: "The provider " + name + " did not begin to answer in time (timeouts.ttft).",
		}}
	case errors.Is(cause, errIdle):
		return &failure{spent: true, elsewhere: true, err: &Error{
			Code: UpstreamTimeout, Err: cause,
			Msg: "The provider " + name + " sent nothing for too long in mid-stream (timeouts.idle).",
		}}
	case errors.Is(cause, errTotal):
		return &failure{spent: true, err: &Error{
			Code: CallTimeout, Err: cause,
			Msg: "The call took longer than it may (timeouts.total or x-weir-timeout).",
		}}
	}
	return a.clientGone()
}

// invalid is a success reply that is not the dialect's.
func (a *attempt) invalid(what string) *failure {
	return &failure{again: true, elsewhere: true, err: &Error{
		Code: UpstreamInvalid,
		Msg:  "The provider " + a.target.Provider.Name + " answered with " + what + " where a reply of its API was due.",
	}}
}

// An upstream is an error reply, read to its end and ready to be passed on.
type upstream struct {
	status int
	header http.Header
	body   []byte
}

func (*upstream) close() {}

// maxErrorBody bounds an upstream's error body; vendors' are a few hundred bytes.
const maxErrorBody = 1 << 20

// refused reads an error reply and decides what it calls for.
func (a *attempt) refused() *failure {
	a.watch.set(errorPatience, errTTFT)
	var body []byte
	plain, err := plainBody(a.resp) // what is compressed could hide a secret
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(plain, maxErrorBody))
	}
	if err != nil {
		if f := a.interrupted(err); f != nil && f.err.Code == ClientGone {
			return f
		}
	}
	up := &upstream{status: a.resp.StatusCode, header: a.resp.Header, body: body}
	up.redact(a.target.Provider.key)
	told := wire.ReadFailure(up.status, body)
	f := &failure{
		resp:  up,
		after: max(retryAfter(a.resp.Header, time.Now()), retryDelay(body)),
		err:   &Error{Code: UpstreamError, Msg: told.Message, Param: told.Param, Upstream: &told},
	}
	if told.Message == "" {
		told.Message = "The provider " + a.target.Provider.Name + " answered with an error."
		f.err.Msg = told.Message
	}
	f.otherwise = a.otherwise(up.status, body)
	a.hearRefusal(up.status, f, &told)
	if a.carry != nil {
		a.carry.failure(a.x, f)
	}
	switch s := up.status; {
	case s == 429 && isSpent(&told):
		f.elsewhere = true // waiting does not refill an account
	case s == 408, s == 429, s >= 500 && s != 501:
		f.again, f.elsewhere = true, true
	case s == 401, s == 403:
		f.elsewhere = !a.x.Caller.passes(a.target, a.c.plan)
	case s == 402, s == 404:
		f.elsewhere = true
	default:
		a.tooLong(f, &told)
	}
	return f
}

// isSpent reports whether a 429 says that the account's money is spent:
// OpenAI's insufficient_quota, Anthropic's enforced_spend_limit_reached.
func isSpent(f *wire.Failure) bool {
	for _, word := range [...]string{f.Code, f.Type} {
		switch word {
		case "insufficient_quota", "billing_hard_limit_reached", "enforced_spend_limit_reached", "billing_error":
			return true
		}
	}
	return false
}

// errorPatience is the time for an error's body, once its status is here.
const errorPatience = 10 * time.Second

const (
	minSecret = 8 // bytes; a shorter key is none, and would blank out words
	redacted  = "[redacted]"
)

// redact takes the provider's key out of a text that the upstream wrote.
func (p *Provider) redact(s string) string {
	if len(p.key) < minSecret {
		return s
	}
	return strings.ReplaceAll(s, p.key, redacted)
}

// redact takes a secret of ours out of what an upstream echoes.
func (u *upstream) redact(key string) {
	if len(key) < minSecret {
		return
	}
	u.body = bytes.ReplaceAll(u.body, []byte(key), []byte(redacted))
	for name, values := range u.header {
		for _, v := range values {
			if strings.Contains(v, key) {
				delete(u.header, name)
			}
		}
	}
}

// passError answers the client with an upstream's own error reply.
func (c *carrier) passError(f *failure) error {
	x, up := c.x, f.resp
	x.call.Status, x.call.Outcome, x.call.ErrorClass = up.status, ledger.Failed, statusClass(up.status)
	x.call.BytesOut = int64(len(up.body))
	c.p.closeCall(x)
	x.reply.begin(up.status, false, func(h http.Header) {
		copyReplyHeader(h, up.header)
		x.ourHeaders(h)
		setLength(h, int64(len(up.body)))
		if len(x.call.Attempts) > 1 { // what was retried here must not be retried again on top
			h["X-Should-Retry"] = []string{"false"}
		}
	})
	_ = x.reply.finish(up.body) // the client may have gone; the call is recorded already
	return nil
}

// statusClass is the stable word for an upstream's error status.
func statusClass(status int) string {
	switch {
	case status == 429:
		return "rate_limited"
	case status == 401, status == 403:
		return string(ProviderRefusedKey)
	case status == 404:
		return "upstream_not_found"
	case status == 408, status == 504:
		return string(UpstreamTimeout)
	case status >= 500:
		return string(UpstreamError)
	}
	return "upstream_rejected"
}

// judge tells the breaker how the target did and completes the record.
func (a *attempt) judge(f *failure) {
	p, rec := a.target.Provider, a.record
	rec.Total = time.Since(a.start)
	if f == nil {
		a.learn()
	} else if rec.ErrorClass == "" {
		rec.ErrorClass = f.err.class()
	}
	b := p.breakerFor(a.target.model(a.x.Model))
	switch a.verdict(f) {
	case atFault:
		b.done(time.Now(), false)
	case alive:
		b.done(time.Now(), true)
	case unknown:
		b.undo()
	}
	result := rec.ErrorClass
	if result == "" {
		result = "ok"
	}
	a.c.p.metrics.attempt(p.Name, result)
}

// A verdict is what an attempt says of its target's health.
type verdict int

const (
	unknown verdict = iota // the client or we ended it
	alive                  // it answers, whatever it says
	atFault
)

func (a *attempt) verdict(f *failure) verdict {
	var told *wire.Failure // what the upstream said itself
	switch {
	case f != nil && (f.err.Code == ClientGone || f.err.Code == CallTimeout || f.err.Code == ShuttingDown || f.err.Code == Forbidden || f.err.Code == Internal):
		return unknown
	case f != nil && f.otherwise.lacks != 0:
		return alive // whatever the status that it says so with
	case f != nil:
		told = f.err.Upstream
	case a.stream != nil:
		told = a.stream.Failed()
	}
	switch {
	case f == nil && told == nil, told != nil && told.Status < 500:
		return alive
	}
	return atFault
}

// learn remembers what the upstream takes, by its having answered.
func (a *attempt) learn() {
	p := a.target.Provider
	m := a.c.manner(p)
	p.traits.remember(a.target.model(a.x.Model), m)
	switch known := &p.traits.usage; {
	case a.asked && known.Load() == usageUnknown:
		known.Store(usageTaken)
	case m.saysUsage:
		p.traits.refuseUsage()
	}
}
