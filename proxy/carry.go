package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"weir/proxy/wire"
	"weir/proxy/wire/neutral"
)

// A carriage takes a call across dialects: the client's request to what the
// upstream speaks, and the reply back. An attempt at a target of the client's
// own dialect has none; its bytes pass.
type carriage struct {
	from, to *neutral.Codec
	api      wire.API // that the upstream is asked by
	asked    *neutral.Request
	dropped  []string        // members of the request that the upstream can't be told
	left     neutral.LeftOut // what of the reply the client isn't told
	body     *Body           // what goes upstream

	decoder neutral.Decoder
	encoder neutral.Encoder
	out     []byte     // events for the client, of one read
	array   bool       // the client wants a JSON array of replies in place of events (Gemini without alt=sse)
	began   bool       // of the array
	own     bool       // the request alone is written anew, without what Weir has put into it; the reply passes
	kin     bool       // the upstream's API is another one of the client's own dialect
	embed   *embedding // of a request for embeddings: what there is in place of the codecs
	// asksUsage: stream_options stands in the request. limit is the name that
	// its output limit has there; "" = there is none.
	asksUsage bool
	limit     string
	start     int64        // Unix seconds: when a reply was made whose upstream does not say
	used      wire.Reading // what the meter has read: it knows whose upstream it is
	ended     bool         // the upstream's terminator has been carried

	keeps string // the id that the reply is kept under; "" = it is not
	final []byte // the reply to be kept, once it is whole
}

// reaches reports whether a request can be taken to a provider: by its own
// API, or by being carried to one that the provider has.
func (x *Exchange) reaches(p *Provider) bool {
	if x.Raw {
		return true
	}
	_, ok := p.askedBy(&x.Endpoint, x.Model, 0)
	return ok
}

// carriage prepares a request for a target that is asked by another API; nil
// where that is the client's own. A request that cannot be said there is a
// failure that names the member at fault.
func (c *carrier) carriage(t Target, model string) (*carriage, *failure) {
	x, p := c.x, t.Provider
	if x.Raw {
		return nil, nil
	}
	api, ok := p.askedBy(&x.Endpoint, t.model(x.Model), c.manner(p).without())
	own := api == x.Endpoint.API
	switch {
	case !ok:
		return nil, &failure{err: foreign(x, p), elsewhere: true, unsent: true}
	case neutral.ForEmbed(api) != nil:
		return c.embedCarriage(t, model, api)
	case own && (neutral.For(api) == nil || !x.leansOnWeir()):
		return nil, nil
	}
	k := &carriage{
		from: neutral.For(x.Endpoint.API), to: neutral.For(api), api: api, start: x.Start.Unix(),
		own: own, kin: dialectOf(api) == x.Endpoint.Dialect,
	}
	asked, err := x.meaning(k.from)
	if err != nil {
		e := carryError(err)
		if e.Code == ForeignDialect { // not even its own API would take it
			e.Code = BadRequest
		}
		return nil, &failure{err: e, elsewhere: true, unsent: true}
	}
	told := *asked
	told.Model = model
	if own {
		told.IncludeUsage = told.IncludeUsage || c.wantsUsage(p)
	} else {
		c.suit(k, t, &told)
	}
	k.asked = asked
	if f := c.state(k, t, &told); f != nil {
		return nil, f
	}
	notes := neutral.Notes{Lossy: c.plan.lossy}
	body, err := k.encode(&told, &notes)
	whole := true
	if err == nil {
		k.body, whole, err = x.carried(body)
	}
	switch {
	case err != nil:
		return nil, &failure{err: carryError(err), elsewhere: true, unsent: true}
	case !whole:
		x.readPlainly()
		return c.carriage(t, model)
	}
	k.dropped = notes.Dropped
	k.array = x.Endpoint.API == wire.StreamGenerate && !x.expectsEvents
	return k, nil
}

// encode writes the request for the upstream.
func (k *carriage) encode(told *neutral.Request, notes *neutral.Notes) ([]byte, error) {
	if k.own {
		neutral.Homeward(told, notes)
	}
	body, err := k.to.EncodeRequest(told, notes)
	if err == nil {
		err = notes.Err()
	}
	return body, err
}

// marked is what the request holds that Weir itself has put into an earlier
// reply: other vendors' seals, which not even an upstream of the client's own
// dialect would take, and the ids of what it has kept. It is looked for once.
func (x *Exchange) marked() neutral.Marks {
	if b := x.Body.readable(); !x.looked && b.file == nil {
		x.marks, x.looked = neutral.MarksIn(b.data), true
	}
	return x.marks
}

// A markReader looks for marks in what is read through it.
type markReader struct {
	r     io.Reader
	marks neutral.Marks
	tail  []byte // the last bytes before those to come
}

func (m *markReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.tail = append(m.tail, p[:min(n, neutral.MaxMark)]...) // what lies across the border
	m.marks |= neutral.MarksIn(p[:n]) | neutral.MarksIn(m.tail)
	if n > neutral.MaxMark {
		m.tail = append(m.tail, p[n-neutral.MaxMark:n]...)
	}
	m.tail = append(m.tail[:0], m.tail[max(0, len(m.tail)-neutral.MaxMark):]...)
	return n, err
}

// meaning reads the request into the neutral form, once for all targets.
func (x *Exchange) meaning(codec *neutral.Codec) (*neutral.Request, error) {
	if x.asked == nil {
		body, long, err := x.shortBody()
		if err != nil {
			return nil, err
		}
		if x.asked, err = codec.DecodeRequest(body, x.Model, x.Endpoint.Stream); err != nil {
			return nil, err
		}
		if x.long = long; long != nil {
			x.asked.Whole = long.Whole
		}
	}
	return x.asked, nil
}

// carryError is the refusal of a request that cannot be carried.
func carryError(err error) *Error {
	if cannot, ok := errors.AsType[*neutral.CannotCarry](err); ok {
		return &Error{Code: ForeignDialect, Param: cannot.Member, NoRetry: true, Msg: cannot.Error()}
	}
	if syntax, ok := errors.AsType[*wire.SyntaxError](err); ok {
		return &Error{Code: BadRequest, NoRetry: true, Msg: "The request body is not what this API takes: " + syntax.Error() + "."}
	}
	return asError(err)
}

// suit fits a carried request to what is known of the target beyond its API.
func (c *carrier) suit(k *carriage, t Target, told *neutral.Request) {
	model := t.model(c.x.Model)
	if told.Model != model {
		told.Target.Model = model
	}
	switch k.api {
	case wire.Chat:
		told.Target.NoStreamOptions = !c.takesUsage(t.Provider)
		told.Target.Limit = c.limitName(t, model)
		k.asksUsage = told.Stream && !told.Target.NoStreamOptions
		if told.MaxOutput != nil {
			k.limit = told.Target.Limit
		}
	case wire.Responses: // by the name that is known, which a deployment's need not be
		now, known := c.manner(t.Provider), t.Provider.traits.model(model)
		told.Target.NoThoughts = now.noThoughts
		told.Target.NoSummary, told.Target.NoSeals = now.noSummary || known.noSummary, now.noSeals || known.noSeals
		told.Reasoning.Sealed = told.Reasoning.Sealed || ruleFor(c.x.Endpoint.API, model).api == wire.Responses
	}
}

// limitName is what the output limit is called in a chat request to a target.
func (c *carrier) limitName(t Target, model string) string {
	p := t.Provider
	if name := c.manner(p).limit; name != "" {
		return name
	}
	if name := p.traits.model(model).limit; name != "" {
		return name
	}
	switch {
	case p.kind.limit != "":
		return p.kind.limit
	case p.kindName == "openai" && p.ownKind():
		return "max_completion_tokens"
	}
	return neutral.ChatLimit(model)
}

// vendorHeaders begin the names of headers that only their own vendor's API knows.
var vendorHeaders = []string{"Anthropic-", "Openai-", "X-Goog-", "X-Stainless-", "Content-"}

// request turns a client's headers and address into those of the upstream's API.
func (k *carriage) request(a *attempt, header http.Header) *http.Request {
	ctx := withConnectTimeout(a.ctx, a.c.plan.timeouts.Connect)
	for name := range header {
		for _, prefix := range vendorHeaders {
			if strings.HasPrefix(name, prefix) && a.target.Provider.headers[name] == nil && (!k.kin || prefix == "Content-") {
				delete(header, name)
			}
		}
	}
	header["Content-Type"] = []string{"application/json"}
	header["Accept"] = []string{"application/json"}
	if a.x.Endpoint.Stream {
		header["Accept"] = eventStream
	}
	if k.api == wire.Messages {
		header["Anthropic-Version"] = []string{"2023-06-01"}
	}
	a.authorize(header)
	a.c.p.injectTrace(a, header)
	path, query := k.address(a.model)
	p := a.target.Provider
	u := p.kind.url(p, wire.Match(http.MethodPost, path, header), path, a.model)
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+query, "&")
	u.RawQuery = strings.TrimSuffix(u.RawQuery, "&")
	open := func() (io.ReadCloser, error) {
		reader, _ := k.body.reader(nil)
		return io.NopCloser(reader), nil
	}
	body, _ := open()
	return (&http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: body, GetBody: open, ContentLength: k.body.size,
	}).WithContext(ctx)
}

// address is the upstream API's path at Weir's own front door, and its query.
func (k *carriage) address(model string) (path, query string) {
	switch k.api {
	case wire.Messages:
		return "/v1/messages", ""
	case wire.Responses:
		return "/v1/responses", ""
	case wire.Embeddings:
		return "/v1/embeddings", ""
	case wire.BatchEmbed:
		return "/v1beta/models/" + url.PathEscape(model) + ":batchEmbedContents", ""
	case wire.Generate:
		return "/v1beta/models/" + url.PathEscape(model) + ":generateContent", ""
	case wire.StreamGenerate:
		return "/v1beta/models/" + url.PathEscape(model) + ":streamGenerateContent", "alt=sse"
	}
	return "/v1/chat/completions", ""
}

// events carries whole events of the upstream's stream to the client's
// dialect. The result is valid until the next call.
func (k *carriage) events(whole []byte) ([]byte, error) {
	k.begin()
	k.out = k.out[:0]
	for name, data := range wire.Events(whole) {
		if err := k.decoder.Event(name, data, k.emit); err != nil {
			return k.out, err
		}
	}
	return k.out, nil
}

// end says that the upstream's stream has ended, and returns what the client's
// dialect ends with.
func (k *carriage) end() []byte {
	k.begin()
	k.out = k.out[:0]
	k.decoder.End(k.emit)
	if k.array && k.began {
		k.out = append(k.out, ']')
	}
	return k.out
}

func (k *carriage) begin() {
	if k.decoder == nil {
		k.decoder, k.encoder = k.to.NewDecoder(), k.from.NewEncoder(k.asked)
	}
}

func (k *carriage) emit(e *neutral.Event) {
	if e.Kind == neutral.End {
		if k.ended {
			return
		}
		k.ended = true
	}
	if e.Kind == neutral.Begin && (e.Created == 0 || k.keeps != "") {
		begin := *e
		if begin.Created == 0 {
			begin.Created = k.start
		}
		if k.keeps != "" {
			begin.ID = k.keeps
		}
		e = &begin
	}
	if e.Kind == neutral.Count && k.used.HasUsage {
		count := *e
		count.Usage = k.used.Usage
		e = &count
	}
	k.left.Event(e, k.asked)
	at := len(k.out)
	k.out = k.encoder.Append(k.out, e)
	if k.keeps != "" && e.Kind == neutral.End {
		k.takeFinal(k.out[at:])
	}
	if !k.array || len(k.out) == at {
		return
	}
	events := append([]byte(nil), k.out[at:]...)
	k.out = k.out[:at]
	for _, data := range wire.Events(events) {
		mark := ",\r\n"
		if !k.began {
			mark, k.began = "[", true
		}
		k.out = append(append(k.out, mark...), data...)
	}
}

// reply carries a whole reply.
func (k *carriage) reply(body []byte) ([]byte, error) {
	r, err := k.to.DecodeReply(body)
	if err != nil {
		return nil, err
	}
	if k.used.HasUsage {
		r.Usage = k.used.Usage
	}
	k.left.Reply(r, k.asked)
	if r.Created == 0 {
		r.Created = k.start
	}
	if k.keeps != "" {
		r.ID = k.keeps
	}
	return k.from.EncodeReply(r, k.asked), nil
}

// sequence is the number of a Responses stream's next event.
func (k *carriage) sequence() int64 {
	if s, ok := k.encoder.(interface{ Sequence() int64 }); ok {
		return s.Sequence()
	}
	return 0
}

// failure says an upstream's error reply in the client's dialect: the status
// and the words stay, the shape and the class are the client's own API's.
func (k *carriage) failure(x *Exchange, f *failure) {
	if k.kin { // it is the client's shape already
		return
	}
	told := *f.err.Upstream
	told.Type, told.RequestID = "", x.ID
	if f.err.Upstream.IsWindowFull() {
		told = told.InWindowWords(x.Endpoint.Dialect)
	}
	f.resp.body = x.Endpoint.Dialect.Error(told)
	f.resp.header = k.header(x, f.resp.header)
	f.resp.header["Content-Type"] = []string{"application/json"}
}

// header is what a client is told of a foreign upstream's headers: the id of
// the request under its own API's name, and how long to wait. The rest speaks
// of another API's account and limits.
func (k *carriage) header(x *Exchange, in http.Header) http.Header {
	if k.kin {
		return in
	}
	out := make(http.Header, 4)
	for _, name := range [...]string{"Content-Type", "Retry-After", "Retry-After-Ms", "X-Should-Retry"} {
		if v := in[name]; v != nil {
			out[name] = v
		}
	}
	if id := requestID(in); id != "" {
		setIDHeader(out, x, id)
	}
	return out
}

// droppedParams are the members that the target was not told; nil carriage: none.
func (k *carriage) droppedParams() []string {
	if k == nil {
		return nil
	}
	return k.dropped
}

// maxCarried bounds a whole reply that is carried: it has to be read to be
// written anew.
const maxCarried = 64 << 20

// relayCarried carries a whole reply across dialects.
func (a *attempt) relayCarried(body io.Reader) *failure {
	a.readWhole()
	buf, whole, err := readUpTo(body, a.resp.ContentLength, maxCarried)
	if err != nil {
		return a.cut(err)
	}
	a.whole.Feed(buf)
	if bad := wire.CheckReply(a.api, a.resp.Header.Get("Content-Type"), buf, whole, a.whole); bad != nil {
		return a.invalid(bad.Error())
	}
	a.carry.used = a.whole.Reading()
	carried, err := a.carry.reply(buf)
	if err == nil && whole {
		carried, err = a.keepWhole(carried, buf)
	}
	if err != nil || !whole {
		return a.invalid("a reply that could not be read")
	}
	a.x.call.Dropped = append(a.x.call.Dropped, a.carry.left.Names...)
	a.resp.Header = a.carry.header(a.x, a.resp.Header)
	a.resp.Header["Content-Type"] = []string{"application/json"}
	a.resp.StatusCode = http.StatusOK
	return a.answer(carried)
}
