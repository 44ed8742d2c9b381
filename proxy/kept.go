package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"weir/ledger"
	"weir/proxy/wire"
	"weir/proxy/wire/neutral"
)

// Clients of the Responses API may name an earlier reply in place of sending
// the conversation again. Where the upstream keeps replies, that passes, pinned
// to its account. For other upstreams Weir keeps them, where the client or the
// settings ask for it, under ids of its own.

// ResponsesSettings say what becomes of Responses' state at upstreams that
// have none. The zero value keeps a reply only where its request says store: true.
type ResponsesSettings struct {
	State     bool          // keep what does not say store: false
	Retention time.Duration // how long a reply is kept; default 30 days
}

const (
	keptRetention = 30 * 24 * time.Hour
	// maxKeptBody bounds a request whose reply is to be kept; ledger.MaxResponse
	// leaves as much again for the reply.
	maxKeptBody = 32 << 20
	// maxReferences bounds the items that one request refers to by their ids.
	maxReferences = 4096
)

func isKept(id string) bool { return strings.HasPrefix(id, ledger.ResponsePrefix) }

// scope is whose the responses are that the caller keeps: its key's project's,
// else its key's; where clients have keys of their own, the client's.
func (p *Proxy) scope(x *Exchange) string {
	switch k := x.Caller.Key; {
	case k != nil && k.ProjectID != "":
		return "project:" + k.ProjectID
	case k != nil:
		return "key:" + k.ID
	case x.Caller.credential.token != "":
		return p.kept.ClientScope(x.Caller.credential.token)
	}
	return ""
}

// continues reads the conversation that the request continues, where Weir has kept it.
func (p *Proxy) continues(ctx context.Context, x *Exchange) error {
	if p.kept == nil || x.Raw || x.Endpoint.API != wire.Responses || !isKept(x.View.Previous) {
		return nil
	}
	id := x.View.Previous
	chain, err := p.kept.Chain(ctx, p.scope(x), id)
	if err != nil {
		return previousError(err, id)
	}
	var lists []jsontext.Value
	for _, r := range chain {
		output, err := neutral.OutputItems(r.Body)
		if err != nil {
			return fmt.Errorf("read kept response %s: %w", r.ID, err)
		}
		lists = append(lists, r.Input, output)
	}
	turns, err := neutral.ReadItems(lists...)
	if err == nil {
		turns, err = p.dereference(ctx, x, turns)
	}
	if err != nil {
		return err
	}
	x.earlier, x.continues = turns, true
	return x.weigh(lists)
}

// weigh adds what the earlier items ask of a model, and how long they are, to
// what is known of the request.
func (x *Exchange) weigh(lists []jsontext.Value) error {
	body := []byte(`{"input":[`)
	for _, list := range lists {
		inner := bytes.TrimSpace(list)
		inner = bytes.TrimSpace(inner[1 : len(inner)-1])
		if len(inner) > 0 && body[len(body)-1] != '[' {
			body = append(body, ',')
		}
		body = append(body, inner...)
	}
	v, err := wire.ReadView(wire.Responses, append(body, "]}"...))
	if err != nil {
		return fmt.Errorf("look at the kept conversation: %w", err)
	}
	x.View.Needs |= v.Needs
	x.estimate, x.exact = x.estimate+textSize(&v)/bytesPerToken, false
	return nil
}

// previousError says why a conversation cannot be continued.
func previousError(err error, id string) error {
	const anew = "Send the whole conversation as input, and leave previous_response_id out."
	e := &Error{Code: PreviousNotFound, Param: "previous_response_id", NoRetry: true, Err: err}
	broken, isBroken := errors.AsType[*ledger.BrokenChain](err)
	switch {
	case isBroken:
		e.Msg = fmt.Sprintf("The response %s, which the conversation of %s began with or went through, has been deleted or has expired (responses.retention). %s", broken.ID, clip(id), anew)
	case errors.Is(err, ledger.ErrNoResponse):
		e.Msg = fmt.Sprintf("Previous response with id '%s' not found: Weir never kept it for this caller, or it has been deleted or has expired (responses.retention). %s", clip(id), anew)
	case errors.Is(err, ledger.ErrLongChain):
		e.Msg = fmt.Sprintf("The conversation before %s is longer than Weir follows: %d responses or %d MiB. %s", clip(id), ledger.MaxChain, ledger.MaxChainBytes>>20, anew)
	default:
		return keptError(err, id)
	}
	return e
}

// keptError says why a kept response cannot be had.
func keptError(err error, id string) error {
	switch {
	case errors.Is(err, ledger.ErrNoResponse):
		return &Error{Code: NotFound, NoRetry: true, Msg: fmt.Sprintf("Response with id '%s' not found.", clip(id))}
	case errors.Is(err, ledger.ErrSealed):
		return &Error{
			Code: Internal, NoRetry: true, Err: err,
			Msg: fmt.Sprintf("The response %s cannot be unsealed. Weir's secret is another one than it was kept under: ask who operates Weir.", clip(id)),
		}
	case errors.Is(err, ledger.ErrStoreDown):
		return &Error{
			Code: StoreDown, Err: err, RetryAfter: time.Second,
			Msg: "Weir's store, where kept responses are, does not answer at the moment. Try again.",
		}
	}
	return err
}

// leansOnWeir reports whether not even an upstream of the client's own API can
// take the request as it is: it continues what Weir has kept, or refers to it,
// or holds what Weir has put into a reply.
func (x *Exchange) leansOnWeir() bool {
	const reference = neutral.MarkKept | neutral.MarkReference
	m := x.marked()
	return x.continues || m&neutral.MarkSeal != 0 || x.Endpoint.API == wire.Responses && m&reference == reference
}

// dereference puts kept items in the place of references to them.
func (p *Proxy) dereference(ctx context.Context, x *Exchange, turns []neutral.Turn) ([]neutral.Turn, error) {
	refs := neutral.References(turns)
	if len(refs) > maxReferences {
		return nil, &Error{Code: BadRequest, Param: "input", NoRetry: true, Msg: fmt.Sprintf("The request refers to more than %d items. Send them inline.", maxReferences)}
	}
	size := 0 // each use counts: an item may be referred to many times
	for _, ref := range refs {
		if responseOf(ref) == "" {
			continue
		}
		item, err := p.item(ctx, x, ref)
		if err != nil {
			return nil, err
		}
		if size += len(item); size > ledger.MaxChainBytes {
			return nil, tooMuchReferred()
		}
	}
	if size == 0 {
		return turns, nil
	}
	return neutral.Resolve(turns, x.referred.items)
}

// Referred is what an exchange has read of kept responses for references: once,
// for all of its targets.
type referred struct {
	items   map[string]jsontext.Value // by their ids
	outputs map[string]jsontext.Value // by their responses' ids
	size    int                       // of outputs together, in bytes
}

func tooMuchReferred() error {
	return &Error{
		Code: BadRequest, Param: "input", NoRetry: true,
		Msg: fmt.Sprintf("What the request refers to is larger than %d MiB. Send the items themselves.", ledger.MaxChainBytes>>20),
	}
}

// item is a kept item by its id.
func (p *Proxy) item(ctx context.Context, x *Exchange, ref string) (jsontext.Value, error) {
	known := &x.referred
	if item := known.items[ref]; item != nil {
		return item, nil
	}
	id := responseOf(ref)
	if id == "" {
		return nil, itemNotFound(ref)
	}
	if known.items == nil {
		known.items, known.outputs = make(map[string]jsontext.Value), make(map[string]jsontext.Value)
	}
	if known.size > ledger.MaxChainBytes {
		return nil, tooMuchReferred()
	}
	if known.outputs[id] == nil {
		r, err := p.kept.Get(ctx, p.scope(x), id)
		if errors.Is(err, ledger.ErrNoResponse) {
			return nil, itemNotFound(ref)
		}
		if err != nil {
			return nil, keptError(err, id)
		}
		output, err := neutral.OutputItems(r.Body)
		if err != nil {
			return nil, fmt.Errorf("read kept response %s: %w", id, err)
		}
		if known.size += len(output); known.size > ledger.MaxChainBytes {
			return nil, tooMuchReferred()
		}
		known.outputs[id] = output
	}
	if item := neutral.ItemOf(known.outputs[id], ref); item != nil {
		known.items[ref] = item
		return item, nil
	}
	return nil, itemNotFound(ref)
}

func itemNotFound(ref string) error {
	return &Error{
		Code: BadRequest, Param: "input", NoRetry: true,
		Msg: fmt.Sprintf("Item with id '%s' not found: its response was never kept for this caller, or it has been deleted or has expired (responses.retention). Send the item itself.", clip(ref)),
	}
}

// responseOf is the id of the kept response that an item of this id stands in;
// "" = in none of Weir's.
func responseOf(item string) string {
	const hex = 32
	mark := strings.TrimPrefix(ledger.ResponsePrefix, "resp_")
	at := strings.LastIndex(item, mark)
	if at < 0 || len(item) < at+len(mark)+hex {
		return ""
	}
	digits := item[at+len(mark):][:hex]
	if strings.Trim(digits, "0123456789abcdef") != "" {
		return ""
	}
	return ledger.ResponsePrefix + digits
}

// state settles what becomes of a Responses request's state at an upstream: the
// conversation before it is put into told, and where the upstream has no
// such state, the reply is kept by Weir or said not to be.
func (c *carrier) state(k *carriage, t Target, told *neutral.Request) *failure {
	x := c.x
	if k.from.API != neutral.Responses {
		return nil
	}
	if c.p.kept != nil {
		turns, err := c.p.dereference(c.ctx, x, told.Turns)
		if err != nil {
			return &failure{err: asError(err), unsent: true}
		}
		told.Turns = turns
	}
	if x.continues {
		told.Previous = ""
		told.Continue(x.earlier)
		if k.to.API == neutral.Responses {
			told.Turns = neutral.WithoutForeign(told.Turns, neutral.Responses)
		}
	}
	if k.own {
		return nil
	}
	if told.Previous != "" && !c.plan.lossy {
		return &failure{elsewhere: true, unsent: true, err: unknownPrevious(told.Previous, t)}
	}
	if refs := neutral.References(told.Turns); len(refs) > 0 && k.to.API != neutral.Responses && !c.plan.lossy {
		return &failure{elsewhere: true, unsent: true, err: unknownItem(refs[0], t)}
	}
	if c.p.kept == nil {
		return nil
	}
	keep := x.state.Responses.State
	if told.Store != nil {
		keep = *told.Store
	}
	asked := *k.asked
	asked.Store, told.Store = &keep, nil
	k.asked = &asked
	if !keep {
		return nil
	}
	if err := c.p.mayKeep(x); err != nil {
		return &failure{err: err, elsewhere: true, unsent: true}
	}
	k.keeps = ledger.ResponsePrefix + strings.TrimPrefix(x.ID, "call_")
	told.Metadata = keptMetadata(told.Metadata, k.api)
	return nil
}

// keptMetadata is what an upstream is told of the metadata of a reply that Weir
// keeps: nothing, since it is kept with the reply, but for Anthropic's own name
// for the end user.
func keptMetadata(all map[string]string, api wire.API) map[string]string {
	if id := all["user_id"]; id != "" && api == wire.Messages {
		return map[string]string{"user_id": id}
	}
	return nil
}

func unknownPrevious(id string, t Target) *Error {
	return &Error{
		Code: ForeignDialect, Param: "previous_response_id", NoRetry: true,
		Msg: fmt.Sprintf("previous_response_id: Weir holds no response %s, and provider %s, which serves this model, keeps none. Send the whole conversation as input; or have Weir keep replies, by store: true in each request or responses: {state: on} in its configuration, and name those.",
			clip(id), t.Provider.Name),
	}
}

func unknownItem(id string, t Target) *Error {
	return &Error{
		Code: ForeignDialect, Param: "input", NoRetry: true,
		Msg: fmt.Sprintf("input: the item %s is only named, Weir holds none of that id, and provider %s, which serves this model, keeps none. Send the item itself (SDKs do with store: false); or have Weir keep replies, by store: true in each request or responses: {state: on} in its configuration.",
			clip(id), t.Provider.Name),
	}
}

// mayKeep refuses a request whose reply could not be kept, before it is sent.
func (p *Proxy) mayKeep(x *Exchange) *Error {
	size := x.Body.readable().size
	if size > maxKeptBody {
		return &Error{
			Code: BodyTooLarge, Param: "store", NoRetry: true,
			Msg: fmt.Sprintf("The request has %d bytes; Weir keeps responses to requests of at most %d MiB. Send store: false, or files by their URL.", size, maxKeptBody>>20),
		}
	}
	if err := p.kept.Room(size); err != nil {
		return &Error{
			Code: RecorderFull, Param: "store", Err: err, RetryAfter: 5 * time.Second,
			Msg: "Weir cannot keep responses at the moment: its spool is full. Send store: false, or try again.",
		}
	}
	return nil
}

// keep keeps a carried reply that is whole, before its last bytes leave.
func (a *attempt) keep() error {
	k, x := a.carry, a.x
	if k == nil || k.keeps == "" {
		return nil
	}
	if k.final == nil {
		return errors.New("keep a reply: it has no end")
	}
	r, _ := x.Body.readable().reader(nil)
	body, err := io.ReadAll(r)
	if err != nil {
		return bodyLost(err)
	}
	input, err := neutral.InputItems(body)
	if err != nil {
		return fmt.Errorf("keep a reply: %w", err)
	}
	kept := &ledger.Response{
		ID: k.keeps, Scope: a.c.p.scope(x), Created: x.Start.UTC(), Expires: x.Start.UTC().Add(x.state.Responses.Retention),
		Model: clip(x.Model), Input: input, Body: k.final,
	}
	if x.continues {
		kept.Previous = x.View.Previous
	}
	return a.c.p.kept.Keep(kept)
}

// notKept is a stream whose reply is whole and cannot be kept, as it was said to be.
func (a *attempt) notKept(err error) *failure {
	a.c.p.log.Error("a response could not be kept", "call", a.x.ID, "err", err)
	return &failure{spent: true, err: &Error{
		Code: RecorderFull, Err: err,
		Msg: "The answer is whole, but Weir could not keep it: it cannot be continued by its id. Send store: false, or try again.",
	}}
}

// keepWhole keeps a whole reply. One that cannot be kept says so itself.
func (a *attempt) keepWhole(carried, upstreams []byte) ([]byte, error) {
	k := a.carry
	k.final = carried
	err := a.keep()
	if err == nil {
		return carried, nil
	}
	a.c.p.log.Error("a response could not be kept", "call", a.x.ID, "err", err)
	asked := *k.asked
	asked.Store, k.asked, k.keeps = new(bool), &asked, ""
	a.x.call.Dropped = append(a.x.call.Dropped, "store")
	return k.reply(upstreams)
}

// takeFinal takes the response object out of the events that end a stream.
func (k *carriage) takeFinal(events []byte) {
	for _, data := range wire.Events(events) {
		if r := neutral.FinalResponse(data); r != nil {
			k.final = r
		}
	}
}

// serveKept answers requests about kept responses.
func (p *Proxy) serveKept(r *http.Request, x *Exchange) (handled bool, err error) {
	if p.kept == nil || x.Raw || x.Endpoint.API != wire.StoredResponses || !isKept(x.Endpoint.ID) {
		return false, nil
	}
	id := x.Endpoint.ID
	_, rest, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(x.Path, "/v1/responses/"), "/"), "/")
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case rest == "" && read:
		return true, p.showKept(r, x, id)
	case rest == "" && r.Method == http.MethodDelete:
		return true, p.deleteKept(r, x, id)
	case rest == "input_items" && read:
		return true, p.listKept(r, x, id)
	case rest == "cancel" && r.Method == http.MethodPost:
		if _, err := p.kept.Get(r.Context(), p.scope(x), id); err != nil {
			return true, keptError(err, id)
		}
		return true, &Error{Code: BadRequest, NoRetry: true, Msg: "Cannot cancel a synchronous response: Weir keeps only responses that are whole."}
	case rest == "", rest == "input_items", rest == "cancel":
		return true, refuse(BadMethod, "The method %s is not served here.", r.Method)
	}
	return true, refuse(NotFound, "There is nothing at %s.", clip(x.Path))
}
