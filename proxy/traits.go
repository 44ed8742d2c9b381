package proxy

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/proxy/wire"
)

// Traits are what an upstream has shown of itself: what it has not, and what
// it calls things. A State's successor shares them.
type traits struct {
	// usage is what the upstream does when stream_options.include_usage is asked of it.
	usage      atomic.Int32
	usageUntil atomic.Int64  // Unix nanoseconds: when a refusal of it is forgotten
	none       atomic.Uint32 // an apiSet: the APIs that it has answered for that it does not know their path
	until      atomic.Int64  // Unix nanoseconds: when none is asked about anew, since servers are updated
	some       atomic.Bool   // models has entries: most upstreams have none, and no request waits for mu then

	mu     sync.Mutex // guards the following field
	models map[string]modelTraits
}

// modelTraits are what differs between the models of one upstream.
type modelTraits struct {
	lacks apiSet // APIs that it has refused for this model
	limit string // the name of the output limit that it takes; "" = not known
	// noSummary, noSeals: it refuses to show its reasoning, to give it sealed.
	noSummary, noSeals bool
	until              time.Time // when all of it is forgotten
}

// maxModels bounds the models remembered per provider: names come from clients
// where a route has a glob.
const maxModels = 1024

// traitsLast is how long what was learned counts: servers are updated, and what
// was taken for a refusal may have been a fault that has passed.
const traitsLast = time.Hour

// refuseUsage remembers that stream_options are refused.
func (t *traits) refuseUsage() {
	t.usageUntil.Store(time.Now().Add(traitsLast).UnixNano())
	t.usage.Store(usageRefused)
}

func (t *traits) refusesUsage() bool {
	if t.usage.Load() != usageRefused {
		return false
	}
	if time.Now().UnixNano() <= t.usageUntil.Load() {
		return true
	}
	t.usage.CompareAndSwap(usageRefused, usageUnknown)
	return false
}

func (t *traits) lacks() apiSet {
	none := t.none.Load()
	if none != 0 && time.Now().UnixNano() > t.until.Load() {
		t.none.Store(0)
		return 0
	}
	return apiSet(none)
}

func (t *traits) model(name string) modelTraits {
	if !t.some.Load() {
		return modelTraits{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.models[name]
	if time.Now().After(known.until) {
		return modelTraits{}
	}
	return known
}

func (t *traits) modelLacks(name string) apiSet { return t.model(name).lacks }

// remember keeps what a manner of asking has shown to be needed.
func (t *traits) remember(model string, m manner) {
	if m == (manner{}) {
		return
	}
	if more := uint32(m.lacks); more&^uint32(t.lacks()) != 0 {
		t.until.Store(time.Now().Add(traitsLast).UnixNano())
		t.none.Or(more)
	}
	if m == (manner{lacks: m.lacks, noUsage: m.noUsage, saysUsage: m.saysUsage, noThoughts: m.noThoughts}) {
		return
	}
	t.some.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.models[model]; t.models == nil || !known && len(t.models) >= maxModels {
		t.models = make(map[string]modelTraits)
	}
	now := time.Now()
	known := t.models[model]
	if now.After(known.until) {
		known = modelTraits{}
	}
	known.until = now.Add(traitsLast)
	known.lacks |= m.modelLacks
	if m.limit != "" {
		known.limit = m.limit
	}
	known.noSummary, known.noSeals = known.noSummary || m.noSummary, known.noSeals || m.noSeals
	t.models[model] = known
}

// A manner is what one call has learned, by refusals, of how a provider is to
// be asked: the same target is asked again at once, and no retry is spent.
type manner struct {
	lacks      apiSet // APIs that the server does not have
	modelLacks apiSet // APIs that the model is not served by
	noUsage    bool   // stream_options is refused, perhaps
	saysUsage  bool   // by its name: so it will be the next time
	limit      string // the output limit's name that is taken
	// Responses: summaries of the reasoning are refused, its sealed form is.
	noSummary, noSeals bool
	noThoughts         bool // of this call alone: earlier reasoning is not taken back
}

// without are the APIs not to ask by.
func (m manner) without() apiSet { return m.lacks | m.modelLacks }

// manner is what this call has learned of a provider.
func (c *carrier) manner(p *Provider) manner { return c.manners[p] }

// adapt adds to it, and reports whether there was anything new in it.
func (c *carrier) adapt(p *Provider, more manner) bool {
	known := c.manners[p]
	now := manner{
		lacks: known.lacks | more.lacks, modelLacks: known.modelLacks | more.modelLacks,
		noUsage: known.noUsage || more.noUsage, saysUsage: known.saysUsage || more.saysUsage, limit: known.limit,
		noSummary: known.noSummary || more.noSummary, noSeals: known.noSeals || more.noSeals,
		noThoughts: known.noThoughts || more.noThoughts,
	}
	if known.limit == "" { // it is changed once
		now.limit = more.limit
	}
	if now == known {
		return false
	}
	if c.manners == nil {
		c.manners = make(map[*Provider]manner)
	}
	c.manners[p] = now
	return true
}

// otherwise is in which other manner a refused request is to be asked again at
// once; the zero manner: in none. body is the refusal's.
func (a *attempt) otherwise(status int, body []byte) (m manner) {
	if a.x.Raw {
		return m
	}
	if m = a.lacking(status, body); m != (manner{}) || status != 400 && status != 422 {
		return m
	}
	p := a.target.Provider
	if a.carry != nil && a.api == wire.Responses {
		return unreasoned(body)
	}
	if name, other := a.limit, "max_tokens"; name != "" && refusesMember(body, name) {
		if name == other {
			other = "max_completion_tokens"
		}
		return manner{limit: other}
	}
	m.saysUsage = a.asked && bytes.Contains(body, []byte("stream_options"))
	m.noUsage = m.saysUsage || a.asked && p.traits.usage.Load() == usageUnknown
	return m
}

// unreasoned reads what of its reasoning a model refuses to give by Responses:
// summaries, which OpenAI gives to verified organisations alone, or the sealed
// form; or that what comes back was sealed for another account.
func unreasoned(body []byte) manner {
	if bytes.Contains(body, []byte("invalid_encrypted_content")) {
		return manner{noThoughts: true}
	}
	return manner{
		noSummary: bytes.Contains(body, []byte("reasoning.summary")) || bytes.Contains(body, []byte("reasoning summar")),
		noSeals:   bytes.Contains(body, []byte("encrypted_content")) || bytes.Contains(body, []byte("ncrypted content is not supported")),
	}
}

// refusesMember reports whether a refusal says of a member that it is not
// taken at all, as OpenAI, Azure, vLLM and Mistral word it; not that its value
// is out of range.
func refusesMember(body []byte, name string) bool {
	if !bytes.Contains(body, []byte(name)) {
		return false
	}
	lower := bytes.ToLower(body)
	for _, word := range [...]string{"unsupported", "not supported", "unrecognized", "unknown", "extra_forbidden", "extra inputs", "not permitted", "not allowed", "unexpected"} {
		if bytes.Contains(lower, []byte(word)) {
			return true
		}
	}
	return false
}

// lacking reads whether a reply means that the upstream, or this model there,
// has not the API that it was asked by, where another one would do. What is
// sure is remembered here, what is likely only once the other one has worked.
func (a *attempt) lacking(status int, body []byte) manner {
	p, x := a.target.Provider, a.x
	if a.carry != nil || a.c.r.Method != http.MethodPost {
		return manner{}
	}
	var m manner
	sure := true
	switch model := a.target.model(x.Model); {
	case a.api == wire.Chat && status == http.StatusNotFound && onlyInResponses(body):
		m.modelLacks = of(wire.Chat)
	case !p.perhaps.has(a.api):
		return manner{}
	default:
		var none bool
		if none, sure = unknownPath(status, body, x.Path, model, a.model); !none {
			return manner{}
		}
		m.lacks = of(a.api)
	}
	model := a.target.model(x.Model)
	if _, ok := p.askedBy(&x.Endpoint, model, m.without()|a.c.manner(p).without()); !ok {
		return manner{}
	}
	if sure {
		p.traits.remember(model, m)
	}
	return m
}

// onlyInResponses reads OpenAI's refusals of a model that chat completions
// have not: "This model is only supported in v1/responses and not in
// v1/chat/completions.", "This is not a chat model and thus not supported in
// the v1/chat/completions endpoint. …" (which base models get too).
func onlyInResponses(body []byte) bool {
	return bytes.Contains(body, []byte("only supported in v1/responses"))
}

// pathWords are, in small letters, how servers say that they have no such path:
// OpenAI, Groq, Mistral (by Kong), LM Studio (under a 200). The second list
// says so under a 404: several gateways. The third does, too, but an ingress
// such as Traefik says the same while the server is away: Go servers, Express.
var (
	pathWords    = []string{"invalid url (", "unknown request url", "unknown_url", "no route matched", "unexpected endpoint"}
	pathWords404 = []string{"route not found", "no such route", "endpoint not found", "path not found", "url not found"}
	pageWords    = []string{"page not found", "cannot post"}
)

func containsAny(s string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

// unknownPath reads whether a reply says that the server has not the path that
// it was asked by; sure, that it can mean nothing else. A model, a file or an
// earlier response that is not found is no unknown path.
func unknownPath(status int, body []byte, path string, models ...string) (none, sure bool) {
	lower := strings.ToLower(string(body[:min(len(body), 4<<10)]))
	switch {
	case containsAny(lower, pathWords):
		return true, true
	case status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented: // perhaps of something on the way
		return true, false
	case status == http.StatusForbidden: // as gateways of AWS say it
		return strings.Contains(lower, "missing authentication token"), true
	case status != http.StatusNotFound:
		return false, false
	}
	if strings.HasPrefix(strings.TrimSpace(lower), "<") || containsAny(lower, pageWords) {
		return true, false // a page may be an ingress's, while the server is away, even one that names the path
	}
	told := wire.ReadFailure(status, body)
	what := strings.ToLower(told.Message + " " + told.Code + " " + told.Type + " " + told.Param)
	switch message := strings.ToLower(strings.Trim(told.Message, " .")); {
	case strings.Contains(lower, strings.ToLower(path)), containsAny(lower, pathWords404):
		return true, true
	case message == "", message == "not found", message == "file not found":
		// nothing is said (TGI), FastAPI's {"detail":"Not Found"}, llama.cpp
		return true, message != "" && !strings.Contains(what, "model")
	case strings.Contains(what, "model"), strings.Contains(what, "deployment"), strings.Contains(what, "response"):
		return false, false
	}
	for _, model := range models {
		if model != "" && strings.Contains(lower, strings.ToLower(model)) {
			return false, false
		}
	}
	return true, false
}
