package proxy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"weir/costs"
	"weir/proxy/wire"
	"weir/proxy/wire/neutral"
)

// An embedding is a request for embeddings that is not passed as it came: it
// is carried to another API, or its list is too long for one request to the
// upstream. Its parts are one attempt.
type embedding struct {
	from, to *neutral.EmbedCodec
	asked    *neutral.EmbedRequest
	model    string // as the upstream knows it
	parts    []embedPart
	own      bool  // within one API: the parts are cut from the client's bytes
	weight   int64 // of all parts
	room     atomic.Int64

	reading wire.Reading // of the parts that have been answered
	done    int64        // their weight
	unsaid  int64        // that of those which have not said what they used
}

// An embedPart is one request of an attempt, and then its reply.
type embedPart struct {
	body   *Body
	inputs []neutral.Input
	weight int64 // tokens by our own rough count: how much of the whole it is

	resp    *http.Response
	reply   *neutral.EmbedReply
	reading wire.Reading
	err     error  // the connection broke, or the reply is unreadable by its own encoding
	bad     string // what the upstream answered with in place of a reply
	refused bool   // resp is an error that has yet to be read
}

const (
	// maxVectors bounds the replies of one attempt for embeddings together:
	// 2048 vectors of 3072 numbers are 80 MB.
	maxVectors = 256 << 20
	// embedParallel is how many parts are asked for at once.
	embedParallel = 4
)

// embedLimits are what a request to a kind's API may hold. The tokens are
// OpenAI's own rule (API reference, embeddings), and Azure's; the inputs are
// what compatible servers have taken over, or are served well by.
var embedLimits = map[string]neutral.EmbedLimits{
	"openai": {Inputs: 2048, Tokens: 300_000},
	"azure":  {Inputs: 2048, Tokens: 300_000},
	"gemini": {Inputs: 100}, // "at most 100 requests can be in one batch"
}

// embedLimits are those of a request to the provider.
func (p *Provider) embedLimits() neutral.EmbedLimits {
	l := embedLimits[p.kindName]
	if p.kindName == "openai" && !p.ownKind() {
		l.Tokens = 0
	}
	return l
}

// embedsBy is the API by which embeddings are had from a provider that has not
// the client's own.
func (p *Provider) embedsBy(own wire.API, model string, without apiSet) (wire.API, bool) {
	if neutral.ForEmbed(own) == nil {
		return own, false
	}
	for _, api := range [...]wire.API{wire.Embeddings, wire.BatchEmbed} {
		if p.has(api, model, without) {
			return api, true
		}
	}
	return own, false
}

// embedCarriage prepares a request for embeddings; nil where it passes as it came.
func (c *carrier) embedCarriage(t Target, model string, api wire.API) (*carriage, *failure) {
	x, p := c.x, t.Provider
	e := &embedding{from: neutral.ForEmbed(x.Endpoint.API), to: neutral.ForEmbed(api), model: model}
	if e.own = e.from == e.to; e.own && !x.isLongList(p.embedLimits()) {
		return nil, nil
	}
	body, err := x.plainBytes()
	if err == nil {
		e.asked, err = e.from.DecodeRequest(body, x.Model)
	}
	k := &carriage{api: api, own: e.own, kin: dialectOf(api) == x.Endpoint.Dialect, start: x.Start.Unix(), embed: e}
	switch {
	case err != nil && e.own:
		return nil, nil // the upstream says what is wrong with it
	case err != nil:
		e := carryError(err)
		if e.Code == ForeignDialect { // not even its own API would take it
			e.Code = BadRequest
		}
		return nil, &failure{err: e, elsewhere: true, unsent: true}
	case e.own:
		return k, nil
	}
	told := *e.asked
	told.Model = model
	notes := neutral.Notes{Lossy: c.plan.lossy}
	e.cut(p.embedLimits(), nil)
	for i := range e.parts {
		body := e.to.EncodeRequest(&told, e.parts[i].inputs, &notes)
		e.parts[i].body = &Body{data: body, size: int64(len(body))}
	}
	if err := notes.Err(); err != nil {
		return nil, &failure{err: carryError(err), elsewhere: true, unsent: true}
	}
	k.dropped = notes.Dropped
	return k, nil
}

// isLongList reports whether a request may have more inputs, or more tokens,
// than an upstream takes at once: by what the view tells, a little too often.
func (x *Exchange) isLongList(l neutral.EmbedLimits) bool {
	v := &x.View
	inputs := max(int64(len(v.Texts)), v.TokenIDs, int64(v.Messages))
	return x.Endpoint.API != wire.Embed &&
		(l.Inputs > 0 && inputs > int64(l.Inputs) || l.Tokens > 0 && textSize(v)/neutral.WeighBytes+v.TokenIDs > l.Tokens)
}

// plainBytes is the whole request without its content encoding.
func (x *Exchange) plainBytes() ([]byte, error) {
	b := x.Body.readable()
	if b.file == nil {
		return b.data, nil
	}
	data := make([]byte, b.size)
	if n, err := b.ReadAt(data, 0); n < len(data) {
		return nil, bodyLost(err)
	}
	return data, nil
}

// cut parts the inputs by the limits. items are the inputs as the client wrote
// them, where the parts are to be made of those; nil: they are written anew.
func (e *embedding) cut(l neutral.EmbedLimits, items [][]byte) {
	weigh := func(i int) int64 { return e.asked.Inputs[i].Weigh() }
	joins := e.asked.Joins
	if items != nil {
		weigh = func(i int) int64 { return neutral.WeighText(items[i]) }
		joins = nil // the client has put them into one request
	} else if e.to.API == neutral.EmbedContent {
		joins = nil // each has dimensions of its own
	}
	at := 0
	for _, end := range l.Split(len(e.asked.Inputs), weigh, joins) {
		part := embedPart{inputs: e.asked.Inputs[at:end]}
		for i := at; i < end; i++ {
			part.weight += weigh(i)
		}
		e.weight += part.weight
		e.parts = append(e.parts, part)
		at = end
	}
}

// cutBytes makes the parts of the client's own body: each is that body, with a
// part of its list. ok is false where it is short enough after all.
func (a *attempt) cutBytes() (ok bool, err error) {
	e := a.batch
	whole, err := a.x.plainBytes()
	if err != nil {
		return false, err
	}
	whole = wire.Apply(nil, whole, a.edits())
	name := "input"
	if a.api == wire.BatchEmbed {
		name = "requests"
	}
	list, found := neutral.ListIn(whole, name)
	if !found || len(list.Items) != len(e.asked.Inputs) {
		return false, nil
	}
	items := make([][]byte, len(list.Items))
	for i, s := range list.Items {
		items[i] = whole[s.Start:s.End]
	}
	if e.cut(a.target.Provider.embedLimits(), items); len(e.parts) < 2 {
		return false, nil
	}
	at := 0
	for i := range e.parts {
		n := len(e.parts[i].inputs)
		some := append([]byte{'['}, bytes.Join(items[at:at+n], []byte{','})...)
		data := wire.Apply(nil, whole, []wire.Edit{{Span: list.List, New: append(some, ']')}})
		e.parts[i].body = &Body{data: data, size: int64(len(data))}
		at += n
	}
	return true, nil
}

// relayEmbedding asks for all parts, a few at a time, and answers with their
// vectors in one reply.
func (a *attempt) relayEmbedding() *failure {
	e := a.batch
	if e.own {
		if ok, err := a.cutBytes(); err != nil {
			return &failure{err: asError(err)}
		} else if !ok {
			a.batch = nil
			if f := a.roundTrip(); f != nil {
				return f
			}
			return a.relay()
		}
	}
	reqs := make([]*http.Request, len(e.parts))
	for i := range e.parts {
		var err error
		if reqs[i], err = a.partRequest(e.parts[i].body); err != nil {
			return &failure{err: asError(err)}
		}
	}
	a.askParts(reqs)
	f := a.gather()
	if f != nil {
		f.spent = f.spent || e.done > 0
		return f
	}
	body, err := e.merge(a)
	if err != nil {
		f := a.invalid(err.Error())
		f.spent = true
		return f
	}
	if a.carry != nil {
		a.resp.Header = a.carry.header(a.x, a.resp.Header)
	}
	a.resp.Header["Content-Type"] = []string{"application/json"}
	a.resp.StatusCode = http.StatusOK
	return a.answer(body)
}

// partRequest builds the request for one part.
func (a *attempt) partRequest(body *Body) (*http.Request, error) {
	if a.batch.own {
		a.anew = body
		return a.request()
	}
	k := *a.carry // the request reads its body from it
	k.body = body
	whole := a.carry
	a.carry = &k
	defer func() { a.carry = whole }()
	return a.request()
}

// askParts sends the requests, embedParallel at a time. After one has failed
// no further one is sent; those under way are waited for, since they are paid.
func (a *attempt) askParts(reqs []*http.Request) {
	e := a.batch
	e.room.Store(maxVectors)
	var failed atomic.Bool
	var workers sync.WaitGroup
	next := make(chan int)
	for range min(embedParallel, len(reqs)) {
		workers.Go(func() {
			for i := range next {
				if e.parts[i].askSafely(a, reqs[i]); e.parts[i].failed() {
					failed.Store(true)
				}
			}
		})
	}
	for i := range reqs {
		if failed.Load() || a.ctx.Err() != nil {
			break
		}
		select {
		case next <- i:
		case <-a.ctx.Done():
		}
	}
	close(next)
	workers.Wait()
}

func (p *embedPart) failed() bool { return p.err != nil || p.bad != "" || p.refused }

// askSafely is ask on a goroutine of its own, where nobody else would recover.
func (p *embedPart) askSafely(a *attempt, req *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			p.err = a.c.p.recovered(a.x, v)
		}
	}()
	p.ask(a, req)
}

// ask makes one request and reads its reply. An error reply is left for the
// attempt to read.
func (p *embedPart) ask(a *attempt, req *http.Request) {
	patience := watchdog{cancel: a.cancel}
	if t := a.c.plan.timeouts; t.ttftSet {
		patience.set(t.TTFT, errTTFT)
	}
	p.resp, p.err = a.target.Provider.transport.http.RoundTrip(req)
	patience.stop()
	if p.err != nil {
		return
	}
	a.hear(p.resp)
	if s := p.resp.StatusCode; s >= 400 {
		p.refused = true
		return
	} else if s >= 300 {
		p.bad = "a redirect"
	}
	defer p.resp.Body.Close()
	if p.bad == "" {
		p.read(a)
	}
}

func (p *embedPart) read(a *attempt) {
	body, err := plainBody(p.resp)
	if err != nil {
		p.bad = "a body that does not match its content encoding"
		return
	}
	limited := &budgetReader{r: body, room: &a.batch.room}
	buf, _, err := readUpTo(limited, p.resp.ContentLength, maxVectors)
	switch {
	case limited.over:
		p.bad = "a reply that is too large to be put together"
		return
	case err != nil:
		p.err = err
		return
	}
	whole := wire.NewReply(a.api)
	whole.SetVendor(a.target.Provider.priceAs, a.model)
	whole.Feed(buf)
	p.reading = whole.Reading()
	if bad := wire.CheckReply(a.api, p.resp.Header.Get("Content-Type"), buf, true, whole); bad != nil {
		p.bad = bad.Error()
		return
	}
	p.reply, err = a.batch.to.DecodeReply(buf)
	switch {
	case err != nil:
		p.bad = "a reply that could not be read"
	case len(p.reply.Vectors) != len(p.inputs):
		p.bad = "another number of vectors than was asked for"
	}
	if p.bad != "" || a.batch.own {
		return
	}
	for i, v := range p.reply.Vectors {
		if want := p.inputs[i].Dimensions; want != nil && int64(v.Len()) != *want {
			p.bad = "vectors of another number of dimensions than was asked for"
			return
		}
	}
}

// A budgetReader reads as long as there is room for all who share it.
type budgetReader struct {
	r    io.Reader
	room *atomic.Int64
	over bool
}

func (b *budgetReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.room.Add(-int64(n)) < 0 {
		b.over = true
		return n, io.ErrShortBuffer
	}
	return n, err
}

// gather sums up what the answered parts have used, and returns how the
// attempt failed, if one of them did.
func (a *attempt) gather() *failure {
	e := a.batch
	var failed *embedPart
	answered, said := 0, 0
	raw := []byte{'['}
	for i := range e.parts {
		p := &e.parts[i]
		if p.reply != nil { // good or bad: the upstream has worked
			answered++
			e.done += p.weight
			if !p.reading.HasUsage {
				e.unsaid += p.weight
			} else {
				e.add(&p.reading, said == 0)
				said++
				raw = append(append(raw, p.reading.RawUsage...), ',')
			}
		}
		switch {
		case p.failed():
			if failed == nil || !isOurs(failed.err) && (isOurs(p.err) || failed.err != nil && p.err == nil) { // a word is better than a broken connection
				failed, p = p, failed
			}
			p.drop()
		case p.reply != nil && a.resp == nil:
			a.resp, e.reading.ServedModel = p.resp, p.reading.ServedModel
		}
	}
	if said > 0 {
		raw[len(raw)-1] = ']'
		e.reading.HasUsage, e.reading.RawUsage = said == answered, raw
		if len(e.parts) == 1 {
			e.reading.RawUsage = e.parts[0].reading.RawUsage
		}
	}
	if failed != nil || answered < len(e.parts) {
		return a.partFailed(failed)
	}
	e.reading.Final = e.reading.HasUsage
	a.noteReply()
	return nil
}

// add adds what a part has said that it used.
func (e *embedding) add(r *wire.Reading, first bool) {
	sum := &e.reading
	if first {
		sum.Reading, sum.ServiceTier = r.Reading, r.ServiceTier
		return
	}
	sum.Usage.Add(r.Usage)
	sum.Inconsistent = sum.Inconsistent || r.Inconsistent
	if sum.HasCharge = sum.HasCharge && r.HasCharge; sum.HasCharge {
		sum.Charged = sum.Charged.Add(r.Charged)
	}
	sum.Totals = costs.Totals{} // they are those of one request
}

// noteReply notes what the attempt's reply says of itself.
func (a *attempt) noteReply() {
	a.record.Status = a.resp.StatusCode
	a.record.RequestID = clip(requestID(a.resp.Header))
}

// partFailed says what a part's failure means; nil: none was sent any more.
func (a *attempt) partFailed(p *embedPart) *failure {
	switch {
	case p != nil && isOurs(p.err):
		return &failure{err: asError(p.err), spent: true}
	case p == nil, p.err != nil && p.resp == nil:
		if a.resp != nil {
			a.noteReply()
		}
		err := context.Cause(a.ctx)
		if p != nil {
			err = p.err
		}
		return a.broken(err)
	}
	a.resp = p.resp
	a.noteReply()
	switch {
	case p.err != nil:
		return a.cut(p.err)
	case p.bad != "":
		return a.invalid(p.bad)
	}
	return a.refused()
}

// isOurs reports whether a part failed by an error of Weir's own.
func isOurs(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == Internal
}

// drop lets go of an error reply that is not going to be told; nil: there is none.
func (p *embedPart) drop() {
	if p != nil && p.resp != nil {
		p.resp.Body.Close()
	}
}

// merge writes the parts' vectors as one reply to the client.
func (e *embedding) merge(a *attempt) ([]byte, error) {
	all := &neutral.EmbedReply{Model: e.model, Usage: e.reading.Usage, HasUsage: e.reading.HasUsage}
	if !all.HasUsage {
		all.Usage.Set(costs.Input, a.inputTokens())
	}
	for i := range e.parts {
		p := &e.parts[i]
		if p.reply.Model != "" {
			all.Model = p.reply.Model
		}
		all.Vectors = append(all.Vectors, p.reply.Vectors...)
	}
	return e.from.EncodeReply(all, e.asked)
}

// inputTokens is our own count of the input. Of an attempt in parts it is what
// some have said they used, and the share of those that have not.
func (a *attempt) inputTokens() int64 {
	n := a.c.p.inputTokens(a.x)
	e := a.batch
	if e == nil || e.weight == 0 {
		return n
	}
	said, _ := e.reading.Usage.Input()
	return said + n*e.unsaid/e.weight
}

// nestedModels adds the edits that a batch of Gemini's needs where the target's
// model is not the asked one: each of its requests repeats the name.
func (a *attempt) nestedModels(edits []wire.Edit) []wire.Edit {
	if a.api != wire.BatchEmbed || a.model == a.x.Endpoint.Model {
		return edits
	}
	body, err := a.x.plainBytes()
	if err != nil {
		return edits // it shows as the body is sent
	}
	edits = append(edits, neutral.BatchModels(body, a.model)...)
	slices.SortFunc(edits, func(a, b wire.Edit) int { return cmp.Compare(a.Span.Start, b.Span.Start) })
	return edits
}

// asNumbers reports whether a reply has its vectors as numbers although the
// client has asked for base64, and returns the whole body.
func (a *attempt) asNumbers(body io.Reader) (bool, io.Reader) {
	if a.api != wire.Embeddings || a.x.Raw || a.resp.Header.Get("Content-Encoding") != "" {
		return false, body
	}
	if b := a.x.Body.readable(); b.file == nil && !bytes.Contains(b.data, []byte(`"base64"`)) {
		return false, body
	}
	r := bufio.NewReaderSize(body, 4<<10)
	head, _ := r.Peek(4 << 10) // what is wrong with it shows again
	if floats, _ := neutral.HasFloats(head); !floats {
		return false, r
	}
	request, err := a.x.plainBytes()
	return err == nil && neutral.WantsBase64(request), r
}

// relayPacked passes a reply with base64 in the place of its numbers.
func (a *attempt) relayPacked(body io.Reader) *failure {
	buf, whole, err := readUpTo(body, min(a.resp.ContentLength, maxVectors), maxVectors)
	if err != nil {
		return a.cut(err)
	}
	a.whole.Feed(buf)
	if bad := wire.CheckReply(a.api, a.resp.Header.Get("Content-Type"), buf, whole, a.whole); bad != nil {
		return a.invalid(bad.Error())
	}
	if !whole {
		return a.copyOn(buf, body)
	}
	buf, _ = neutral.PackEmbeddings(buf)
	return a.answer(buf)
}
