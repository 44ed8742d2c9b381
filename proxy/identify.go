package proxy

import (
	"crypto/subtle"
	"errors"
	"maps"
	"net/http"
	"strings"

	"weir/ledger"
)

// A Caller is who asks: the virtual key, and what the request says of itself.
type Caller struct {
	Key        *ledger.Key // nil: none was needed
	credential credential  // the client's own, kept for passthrough only

	Customer, Feature, Session string
	Tags                       map[string]string
}

// A credential is a secret as the client sent it.
type credential struct {
	header string // canonical name; "" = it came as ?key=
	value  string // the header's whole value
	token  string // without "Bearer "
}

// identify finds out who asks and takes the client's credential off the request.
func (p *Proxy) identify(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request, x *Exchange) error {
		found, err := credentials(r)
		if err != nil && x.state.Auth != AuthOff {
			return err
		}
		if err := p.admitCaller(r, x, found); err != nil {
			return err
		}
		x.known = true
		x.Caller.describe(x.call)
		if x.absent != nil {
			return x.absent
		}
		return next(w, r, x)
	}
}

// credentials is the one place where a request's secret is read: every header
// form, and ?key=. Two different ones are refused, since it would be unclear
// whose call it is.
func credentials(r *http.Request) (credential, error) {
	var found credential
	conflict := false
	take := func(header, value string) {
		token := value
		if header == "Authorization" {
			scheme, rest, ok := strings.Cut(value, " ")
			if !ok || !strings.EqualFold(scheme, "bearer") {
				rest = value
			}
			token = strings.TrimSpace(rest)
		}
		if token == "" {
			return
		}
		if found.token != "" && subtle.ConstantTimeCompare([]byte(found.token), []byte(token)) == 0 {
			conflict = true
			return
		}
		if found.token == "" {
			found = credential{header: header, value: value, token: token}
		}
	}
	for _, header := range credentialHeaders {
		for _, value := range r.Header[header] {
			take(header, value)
		}
	}
	if mayHoldKey(r.URL.RawQuery) {
		for _, value := range r.URL.Query()["key"] {
			take("", value)
		}
	}
	if conflict {
		return credential{}, refuse(ConflictingKeys, "The request carries two different API keys. Send one.")
	}
	return found, nil
}

func (p *Proxy) admitCaller(r *http.Request, x *Exchange, found credential) error {
	h := r.Header
	x.Caller = Caller{
		Customer: clip(h.Get("X-Weir-Customer")), Feature: clip(h.Get("X-Weir-Feature")),
		Session: clip(h.Get("X-Weir-Session")), Tags: parseTags(h.Get("X-Weir-Tags")),
	}
	token := h.Get("X-Weir-Key")
	switch x.state.Auth {
	case AuthKeys:
		if token != "" && found.token != "" && token != found.token {
			return refuse(ConflictingKeys, "The request carries two different API keys. Send one.")
		}
		if token == "" {
			token = found.token
		}
		if token == "" {
			return refuse(Unauthorized, "No API key was sent. Send a Weir key (wk-…) as Authorization: Bearer, x-api-key or x-goog-api-key.")
		}
	case AuthPassthrough:
		if strings.HasPrefix(found.token, "wk-") { // one of ours never goes upstream
			if token != "" && token != found.token {
				return refuse(ConflictingKeys, "The request carries two different Weir keys. Send one.")
			}
			token, found = found.token, credential{}
		}
		if token == "" && found.token == "" { // our own keys are not for whoever comes by
			return refuse(Unauthorized, "No API key was sent. Send the provider's own key, as its SDK does.")
		}
		x.Caller.credential = found
	default:
		token = "" // nobody is asked who they are
	}
	if token == "" || p.keys == nil {
		return nil
	}
	key, err := p.keys.Lookup(token)
	if err != nil {
		return keyError(err)
	}
	x.Caller.Key = key
	x.Caller.fillFrom(key)
	return nil
}

// keyError tells the client what is wrong with its key, as far as that helps
// only who holds it: an unknown key and a malformed one read the same.
func keyError(err error) error {
	msg := "Incorrect API key provided. Make one with: weir keys create."
	switch {
	case errors.Is(err, ledger.ErrKeyRevoked):
		msg = "This API key has been revoked."
	case errors.Is(err, ledger.ErrKeyExpired):
		msg = "This API key has expired."
	case errors.Is(err, ledger.ErrKeyPaused):
		return &Error{Code: Forbidden, Msg: "This API key is paused.", NoRetry: true, Err: err}
	case !errors.Is(err, ledger.ErrKeyUnknown) && !errors.Is(err, ledger.ErrKeyMalformed):
		// The store's fault is never the client's: not a 401.
		return &Error{Code: Internal, Msg: "Weir cannot look up API keys at the moment. Try again.", Err: err}
	}
	return &Error{Code: Unauthorized, Msg: msg, NoRetry: true, Err: err}
}

// fillFrom takes the key's defaults for what the request left open.
func (c *Caller) fillFrom(k *ledger.Key) {
	if c.Customer == "" {
		c.Customer = k.Customer
	}
	if len(k.Tags) > 0 {
		tags := maps.Clone(k.Tags)
		maps.Copy(tags, c.Tags)
		c.Tags = tags
	}
}

// allows refuses a model that the key may not use, and for a key of certain
// models also a request that could use any model without naming it to us.
func (c *Caller) allows(x *Exchange) error {
	switch {
	case c.Key == nil, len(c.Key.Models) == 0, matchAny(c.Key.Models, x.Model):
		return nil
	case x.Model == "" && !x.mayRun():
		return nil
	case x.Model == "":
		return &Error{
			Code: KeyNotForThisModel, NoRetry: true,
			Msg: "This API key may use certain models only, and this request names none that Weir can read. It may use: " + strings.Join(c.Key.Models, ", ") + ".",
		}
	}
	return &Error{
		Code: KeyNotForThisModel, Param: "model", NoRetry: true,
		Msg: "This API key may not use the model " + clip(x.Model) + ". It may use: " + strings.Join(c.Key.Models, ", ") + ".",
	}
}

// mayUse reports whether the caller's request can be made at a target: with
// the provider's own key, or with the client's where it is of that kind and
// the target is the route's first.
func (c *Caller) mayUse(auth Auth, t Target, p plan) bool {
	if auth != AuthPassthrough || c.credential.token == "" {
		return t.Provider.usable()
	}
	return c.passes(t, p) || t.Provider.usable()
}

// passes reports whether the client's own credential goes to the target.
func (c *Caller) passes(t Target, p plan) bool {
	return c.credential.token != "" && p.first == t.Provider && ownCredential(c.credential.token, t.Provider)
}

// ownCredential reports whether a token may be shown to a provider. A key
// whose form says that it is another vendor's is not.
func ownCredential(token string, p *Provider) bool {
	anthropic := strings.HasPrefix(token, "sk-ant-")
	google := strings.HasPrefix(token, "AIza") || strings.HasPrefix(token, "ya29.")
	switch p.kindName {
	case "anthropic":
		return !google && (anthropic || !strings.HasPrefix(token, "sk-proj-"))
	case "gemini":
		return !anthropic && !strings.HasPrefix(token, "sk-")
	case "mock":
		return true
	case "openai":
		return !anthropic && !google
	}
	return !anthropic && !google && !strings.HasPrefix(token, "sk-proj-") && !strings.HasPrefix(token, "sk-svcacct-")
}

const maxTags = 32

// parseTags reads "a=b,c=d". What has no "=" is a tag with an empty value.
func parseTags(s string) map[string]string {
	if s == "" {
		return nil
	}
	tags := make(map[string]string)
	for pair := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if name = strings.TrimSpace(name); name != "" && len(tags) < maxTags {
			tags[clip(name)] = clip(strings.TrimSpace(value))
		}
	}
	return tags
}

// credentialHeaders are all the headers that may carry a secret of the client.
var credentialHeaders = []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key", "Api-Key"}
