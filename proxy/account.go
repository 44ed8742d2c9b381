package proxy

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir/costs"
	"weir/ledger"
	"weir/proxy/wire"
)

// firstContent notes that the client is about to see something.
func (a *attempt) firstContent() {
	if a.x.answered {
		return
	}
	x := a.x
	x.answered = true
	a.record.TTFT = time.Since(a.start)
	x.call.TTFT = x.since()
	x.call.Status = a.resp.StatusCode
}

// ourHeaders are what Weir adds to a reply.
func (x *Exchange) ourHeaders(h http.Header) {
	c := x.call
	values := make([]string, 0, 5) // one array for all of them
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	set("X-Weir-Call-Id", x.ID)
	if c.Provider != "" {
		set("X-Weir-Provider", c.Provider)
	}
	if c.Model != "" && isHeaderText(c.Model) {
		set("X-Weir-Model", c.Model)
	}
	if n := len(c.Attempts); n > 0 {
		set("X-Weir-Attempts", strconv.Itoa(n))
	}
	if x.closed && c.Cost.Known { // what is yet to come is not known
		set(costHeader, c.Cost.String())
	}
	if x.downgraded && isHeaderText(c.AskedModel) {
		h["X-Weir-Downgraded"] = []string{c.AskedModel}
	}
	x.tellLimits(h)
	if len(c.Dropped) > 0 {
		h["X-Weir-Dropped-Params"] = []string{strings.Join(c.Dropped, ", ")}
	}
}

const costHeader = "X-Weir-Cost-Usd"

// announceCost says that a stream's cost comes behind it, and tellCost tells
// it, where it is known.
func announceCost(h http.Header) { h["Trailer"] = costTrailer }

var costTrailer = []string{costHeader}

func (x *Exchange) tellCost() {
	if x.call.Cost.Known {
		x.reply.trail(costHeader, x.call.Cost.String())
	}
}

// isHeaderText reports whether a name that a client wrote may stand in a header.
func isHeaderText(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// readWhole begins to read a JSON reply.
func (a *attempt) readWhole() {
	a.whole = wholes.Get().(*wire.Reply)
	a.whole.Reset(a.api)
	a.whole.SetVendor(a.target.Provider.priceAs, a.model)
}

// readStream begins to read an event stream.
func (a *attempt) readStream(o wire.StreamOptions) {
	a.stream = streams.Get().(*wire.Stream)
	a.stream.Reset(a.api, o)
	a.stream.SetVendor(a.target.Provider.priceAs, a.model)
}

// reading is what the reply has said so far.
func (a *attempt) reading() wire.Reading {
	switch {
	case a.results != nil:
		return a.results.reading()
	case a.batch != nil:
		return a.batch.reading
	case a.stream != nil:
		return a.stream.Reading()
	case a.whole != nil:
		return a.whole.Reading()
	}
	return wire.Reading{}
}

// settle puts what the reply said and used into the records. It counts once;
// later calls do nothing.
func (a *attempt) settle() {
	if a.settled {
		return
	}
	a.settled = true
	r := a.reading()
	if r.ServiceTier == "" {
		r.ServiceTier = a.headerTier()
	}
	rec, c := a.record, a.x.call
	rec.Total = time.Since(a.start) // the call may be recorded before judge has its say
	rec.ServedModel, rec.StopReason, rec.ServiceTier = clip(r.ServedModel), clip(r.StopReason), clip(r.ServiceTier)
	rec.RawUsage = append([]byte(nil), r.RawUsage...)
	rec.Usage, rec.UsageSource = a.usage(&r)
	rec.Inconsistent = r.Inconsistent
	rec.Charge = a.charge(&r)
	if a.x.sequence = r.Sequence; a.carry != nil {
		a.x.sequence = a.carry.sequence()
	}
	c.ServedModel, c.StopReason = rec.ServedModel, rec.StopReason
	a.c.p.remember(a)
	c.Usage, c.UsageSource = rec.Usage, rec.UsageSource
}

// usage is the attempt's consumption and where the figure comes from: the
// provider's last word, its last word before a break, or our own count.
func (a *attempt) usage(r *wire.Reading) (costs.Usage, ledger.UsageSource) {
	switch {
	case a.onlyLooks():
		return a.looked(r)
	case r.Pending && (a.whole != nil || r.Background): // a stream of such a response may end before it does
		a.c.p.background.add(r.ID, a.target.Provider.Name)
		return costs.Usage{}, ledger.Unmetered
	case r.HasUsage && r.Final:
		return r.Usage, ledger.FromProvider
	case a.api == wire.Speech && a.resp != nil && a.resp.StatusCode == http.StatusOK:
		var u costs.Usage
		u.Set(costs.Characters, a.c.p.inputCharacters(a.x))
		return u, ledger.Estimated
	case !a.x.Endpoint.Metered:
		if a.resp == nil {
			return costs.Usage{}, ""
		}
		return costs.Usage{}, ledger.Unmetered
	}
	u := r.Usage
	source := ledger.Partial
	if !r.HasUsage {
		source = ledger.Estimated
		if n := a.inputTokens(); n > 0 {
			u.Set(costs.Input, n)
		}
	}
	// A running figure lags behind the text, or stands for it (Anthropic's
	// message_start says 1): the text that has passed is the lower bound.
	if n := a.c.p.tokens.countOutput(a.model, r); n > 0 {
		if said, _ := u.Output(); n > said {
			reasoning, _ := u.Get(costs.OutputReasoning)
			u.Set(costs.Output, n-min(reasoning, n))
		}
	}
	if u.IsZero() {
		return u, ""
	}
	return u, source
}

// charge is what the attempt cost: what was used, at the prices that were in
// force as it began, unless the provider says what it charges.
func (a *attempt) charge(r *wire.Reading) ledger.Charge {
	rec, s := a.record, a.x.state
	if rec.UsageSource == "" { // nothing was made
		return ledger.Charge{}
	}
	used := r.Reading
	used.Usage = rec.Usage
	charge, terms := costs.Charge{Status: costs.Unpriced, Why: "there is no price book"}, a.terms(r)
	switch {
	case a.api == wire.CountTokens || a.api == wire.MessagesCount || a.api == wire.Files: // which no vendor bills
		charge = costs.Charge{Status: costs.Free}
	case a.results != nil:
		charge = a.results.bill.Charge()
	case s.Prices != nil:
		charge = s.Prices.ChargeReading(&used, terms)
	}
	var charged ledger.Amount
	if r.HasCharge && rec.UsageSource == ledger.FromProvider {
		charged = ledger.Known(r.Charged)
	}
	out := ledger.Settle(&charge, charged, rec.UsageSource)
	if terms.Tier == r.ServiceTier { // which the record has
		terms.Tier = ""
	}
	out.Terms = terms.Context()
	a.c.p.metrics.charged(a.target.Provider.Name, &out)
	return out
}

// terms are what decides the attempt's price beside its usage: what the reply
// says, else what was asked and what is so of the provider. A tier that was asked
// for is not always the one that serves: it counts only where the reply broke
// off before it could say. To an API of another dialect most words don't pass.
func (a *attempt) terms(r *wire.Reading) costs.Terms {
	t, asked := a.target.Provider.terms, &a.x.View.Priced
	t.Model, t.Served, t.At = a.model, r.ServedModel, a.c.p.pricedAt(a.start).UTC()
	t.SearchContextSize, t.SearchType, t.Batch = asked.SearchContextSize, asked.SearchType, a.api == wire.Batches
	if a.carry == nil {
		t.Speed, t.Residency = asked.Speed, cmp.Or(asked.Residency, t.Residency)
		if !r.Final && r.ServiceTier == "" {
			t.Serve(a.x.View.ServiceTier)
		}
	}
	t.Serve(r.ServiceTier)
	if t.Tier == tierPrepaid && a.header("X-Ms-Spillover-From-Deployment") != "" {
		t.Tier = "standard" // Azure had no room on the prepaid units
	}
	return t
}

// tierPrepaid is the price book's word for units that are bought by the month.
const tierPrepaid = "provisioned"

// headerTier is the tier that a reply's headers say: Google's and Bedrock's,
// which tell there that they served another one than was asked for.
func (a *attempt) headerTier() string {
	return strings.ToLower(clip(cmp.Or(a.header("X-Gemini-Service-Tier"), a.header("X-Amzn-Bedrock-Service-Tier"))))
}

// header is one of the upstream's reply; "" where there is none.
func (a *attempt) header(name string) string {
	if a.resp == nil {
		return ""
	}
	return a.resp.Header.Get(name)
}

// onlyLooks reports whether the request makes nothing: a reply to it may tell
// the usage of a stored response, which was counted when it was made.
func (a *attempt) onlyLooks() bool {
	switch a.c.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete:
		return true
	}
	return false
}

// closeCall hands the call to the recorder, once, before the reply's last
// bytes leave. Calls of callers that were not let in leave no row: anyone
// could fill the store with them.
func (p *Proxy) closeCall(x *Exchange) {
	if x.closed {
		return
	}
	x.closed = true
	// Behind the record: where the process dies in between, the ledger has what
	// was used, and the limits charge the estimate until they are corrected.
	defer p.settleLimits(x)
	c := x.call
	c.Total = x.since()
	if c.Outcome == "" {
		c.Outcome = ledger.OK
	}
	c.SumCosts()
	if x.prompt != 0 && p.closed != nil {
		p.closed(c, x.prompt)
	}
	if begun := x.reply.hasBegun(); c.Outcome == ledger.Aborted && !begun {
		c.Status = ClientGone.Status()
	} else if c.Status == 0 && begun { // by a ping
		c.Status = http.StatusOK
	}
	if c.BytesOut == 0 {
		c.BytesOut = x.reply.bytes()
	}
	if !x.known || c.ErrorClass == string(RecorderFull) {
		return
	}
	if err := p.recorder.Closed(c); err != nil {
		p.metrics.unrecorded.Inc()
		p.log.Error("a call could not be recorded", "call", x.ID, "err", err)
	}
}

// keepBodies hands captured bodies to the recorder after the reply is out.
func (p *Proxy) keepBodies(x *Exchange) {
	if x.reply.keep == 0 || !x.opened {
		return
	}
	p.recorder.Bodies(&ledger.Bodies{
		CallID: x.ID, At: x.Start.UTC(), Request: x.captured, Response: x.reply.kept,
		Truncated: x.cutBody || x.reply.cut,
	})
}

// streamFailure is an error as it is told inside a stream that has begun.
func (x *Exchange) streamFailure(e *Error) wire.Failure {
	f := e.failure(x.ID)
	f.Sequence = x.sequence + 1
	return f
}
