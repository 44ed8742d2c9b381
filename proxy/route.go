package proxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"weir/proxy/wire/neutral"
)

// A Route is a compiled RouteSettings.
type Route struct {
	Model     string
	targets   []Target
	fallbacks []Target
	retries   int
	timeouts  Timeouts
	lossy     bool
}

// A Target is a provider and the model asked of it.
type Target struct {
	Provider *Provider
	Model    string // "" = the asked name
	Weight   int
}

func newRoute(s RouteSettings, providers map[string]*Provider) (*Route, error) {
	r := &Route{Model: s.Model, retries: s.Retries, timeouts: s.Timeouts.withDefaults(), lossy: s.Lossy}
	if len(s.Targets) == 0 {
		return nil, errors.New("no targets")
	}
	compile := func(list []TargetSettings) ([]Target, error) {
		var out []Target
		for _, t := range list {
			p := providers[t.Provider]
			if p == nil {
				return nil, fmt.Errorf("unknown provider %q", t.Provider)
			}
			out = append(out, Target{Provider: p, Model: t.Model, Weight: max(t.Weight, 0)})
		}
		return out, nil
	}
	var err error
	if r.targets, err = compile(s.Targets); err != nil {
		return nil, err
	}
	r.fallbacks, err = compile(s.Fallbacks)
	return r, err
}

// A plan is where one call may go, in order of preference.
type plan struct {
	route     string    // the route's pattern; "" = found without one
	first     *Provider // of the route's first target as written: the one that a client's own key may go to
	targets   []Target
	fallbacks []Target
	retries   int
	timeouts  Timeouts
	lossy     bool // a request may change its meaning on its way across dialects
}

// plan finds the targets for an exchange, or the refusal that says why there are none.
func (st *State) plan(ctx context.Context, x *Exchange) (plan, error) {
	p, err := st.candidates(ctx, x)
	if err != nil {
		return plan{}, err
	}
	targets, fallbacks := p.targets, p.fallbacks
	p.first = targets[0].Provider
	keep := func(list []Target) []Target {
		return slices.DeleteFunc(slices.Clone(list), func(t Target) bool {
			return !x.reaches(t.Provider) || !x.Caller.mayUse(st.Auth, t, p)
		})
	}
	p.targets, p.fallbacks = keep(targets), keep(fallbacks)
	if len(p.targets)+len(p.fallbacks) > 0 {
		if err := st.narrow(x, &p); err != nil {
			return plan{}, err
		}
		shuffle(p.targets)
		return p, nil
	}
	return plan{}, explainNone(st.Auth, x, append(slices.Clone(targets), fallbacks...))
}

// explainNone says why none of the targets can take the call.
func explainNone(auth Auth, x *Exchange, targets []Target) error {
	for _, t := range targets {
		if !x.reaches(t.Provider) {
			continue
		}
		if auth == AuthPassthrough {
			return refuse(NoProviderKey, "This request carries no API key that provider %q could use. Send the provider's own key, or configure one for it in Weir.", t.Provider.Name)
		}
		return refuse(NoProviderKey, "Provider %q has no API key configured in Weir, so the request was not sent.", t.Provider.Name)
	}
	return foreign(x, targets[0].Provider)
}

// foreign is the refusal of a request that a provider is not asked by and that
// cannot be carried to another API.
func foreign(x *Exchange, p *Provider) *Error {
	if neutral.ForEmbed(x.Endpoint.API) != nil {
		return refuse(ForeignDialect, "This is a request for embeddings, and %s is served by provider %q, which has none: it is asked by %s. Name a model of a provider that has embeddings, or add such a target to the route.",
			subject(x), p.Name, strings.Join(p.apis(), ", "))
	}
	return refuse(ForeignDialect, "This is a request by %s (%s), and %s is served by provider %q, which is asked by %s. Weir carries conversations from one API to another (chat completions, responses, messages, generateContent), embeddings between OpenAI's and Gemini's, and nothing else: use an API that the provider has.",
		x.Endpoint.API, x.Endpoint.Dialect.Name(), subject(x), p.Name, strings.Join(p.apis(), ", "))
}

func subject(x *Exchange) string {
	if x.Model == "" {
		return "this path"
	}
	return fmt.Sprintf("model %q", x.Model)
}

func (st *State) candidates(ctx context.Context, x *Exchange) (plan, error) {
	if x.Pinned != "" {
		return st.pinned(x)
	}
	if x.owner != "" {
		return st.owned(ctx, x)
	}
	return st.named(ctx, x)
}

// owned serves a request that names an object: at the account that made it,
// by the route's own target there where the model's route has one.
func (st *State) owned(ctx context.Context, x *Exchange) (plan, error) {
	owner := st.byName[x.owner]
	if x.Model == "" {
		return single(owner, ""), nil
	}
	p, err := st.named(ctx, x)
	if err != nil {
		return p, err
	}
	for _, t := range append(slices.Clone(p.targets), p.fallbacks...) {
		if t.Provider == owner {
			p.targets, p.fallbacks = []Target{t}, nil
			return p, nil
		}
	}
	return single(owner, strings.TrimPrefix(x.Model, owner.Name+"/")), nil
}

// named finds the targets by the model's name.
func (st *State) named(ctx context.Context, x *Exchange) (plan, error) {
	if x.Model == "" {
		return st.only(x)
	}
	for _, r := range st.routes {
		if matchGlob(r.Model, x.Model) {
			return plan{route: r.Model, targets: r.targets, fallbacks: r.fallbacks, retries: r.retries, timeouts: r.timeouts, lossy: r.lossy}, nil
		}
	}
	if name, model, ok := strings.Cut(x.Model, "/"); ok {
		if p := st.byName[name]; p != nil {
			return single(p, model), nil
		}
	}
	return st.server(ctx, x)
}

// pinned serves a request that names its provider.
func (st *State) pinned(x *Exchange) (plan, error) {
	p := st.byName[x.Pinned]
	if p == nil {
		return plan{}, refuse(NoProvider, "There is no provider named %q. Configured are: %s.", clip(x.Pinned), names(st.providers))
	}
	return single(p, strings.TrimPrefix(x.Model, p.Name+"/")), nil
}

// only finds the one provider that is asked by a request's own API, for
// requests that carry no model.
func (st *State) only(x *Exchange) (plan, error) {
	d := x.Endpoint.Dialect
	found := slices.DeleteFunc(slices.Clone(st.providers), func(p *Provider) bool { return !p.takes(x) })
	// The mock speaks every dialect, so it never stands in a real one's way.
	found = prefer(found, func(p *Provider) bool { return p.kind.dialect != nil })
	switch usable := slices.DeleteFunc(slices.Clone(found), func(p *Provider) bool { return !p.usable() }); {
	case len(found) == 0:
		return plan{}, refuse(NoProvider, "No provider that speaks the %s API is configured.", d.Name())
	case len(found) == 1:
		return single(found[0], ""), nil
	case len(usable) == 1:
		return single(usable[0], ""), nil
	}
	return plan{}, refuse(AmbiguousProvider, "This request names no model and several providers could take it. Say which with the header x-weir-provider: one of %s.", names(found))
}

// server finds the one provider that is known to serve the model.
func (st *State) server(ctx context.Context, x *Exchange) (plan, error) {
	found := st.knowing(x.Model)
	if len(found) == 0 { // perhaps a model that an upstream has had since we asked
		st.refreshCatalogs(ctx, func(p *Provider) bool { return len(p.models) == 0 })
		found = st.knowing(x.Model)
	}
	// Of several, those that can take this very request, as it is where that can be.
	found = prefer(found, x.reaches)
	found = prefer(found, func(p *Provider) bool { return p.takes(x) })
	found = prefer(found, func(p *Provider) bool { return p.usable() || st.Auth == AuthPassthrough })
	switch len(found) {
	case 0:
		return plan{}, &Error{
			Code: ModelNotFound, Param: "model", NoRetry: true,
			Msg: fmt.Sprintf("The model %q is served by no provider that Weir knows. Write it as provider/model, or add a route for it.", clip(x.Model)),
		}
	case 1:
		return single(found[0], x.Model), nil
	}
	return plan{}, &Error{
		Code: ModelNotFound, Param: "model", NoRetry: true,
		Msg: fmt.Sprintf("The model %q is served by several providers (%s). Write it as provider/model, or add a route for it.", clip(x.Model), names(found)),
	}
}

// prefer returns those of the list that are good, or the list where none is.
func prefer(list []*Provider, good func(*Provider) bool) []*Provider {
	if some := slices.DeleteFunc(slices.Clone(list), func(p *Provider) bool { return !good(p) }); len(some) > 0 {
		return some
	}
	return list
}

// single is a plan of one target. Without a route there are no retries: the
// client's SDK has its own, and two sets would multiply.
func single(p *Provider, model string) plan {
	return plan{targets: []Target{{Provider: p, Model: model}}, timeouts: Timeouts{}.withDefaults()}
}

// knowing lists the providers that are known to serve the model.
func (st *State) knowing(model string) []*Provider {
	var found []*Provider
	for _, p := range st.providers {
		if p.knows(model) {
			found = append(found, p)
		}
	}
	return found
}

// names lists providers.
func names(list []*Provider) string {
	var out []string
	for _, p := range list {
		out = append(out, p.Name)
	}
	return strings.Join(out, ", ")
}

// takes reports whether a provider is asked by a request's own API, so that
// the bytes pass.
func (p *Provider) takes(x *Exchange) bool {
	api, ok := p.askedBy(&x.Endpoint, x.Model, 0)
	return ok && api == x.Endpoint.API
}

// shuffle orders targets by a weighted draw without replacement. Where no
// target has a weight all weigh the same.
func shuffle(targets []Target) {
	if len(targets) < 2 {
		return
	}
	total := 0
	for _, t := range targets {
		total += t.Weight
	}
	equal := total == 0
	for i := range targets {
		if equal {
			total = len(targets) - i
		}
		n := 0
		if total > 0 {
			n = rand.IntN(total)
		}
		j := i
		for ; j < len(targets)-1; j++ {
			w := targets[j].Weight
			if equal {
				w = 1
			}
			if n < w {
				break
			}
			n -= w
		}
		total -= targets[j].Weight
		targets[i], targets[j] = targets[j], targets[i]
	}
}

// pick takes the first target whose breaker lets it through; where all are
// open the first one all the same, since the last resort is never taken away.
func pick(list []Target, asked string, now time.Time) (i int, allowed bool) {
	for i, t := range list {
		if t.Provider.breakerFor(t.model(asked)).allow(now) {
			return i, true
		}
	}
	return 0, false
}

func (t Target) model(asked string) string {
	if t.Model != "" {
		return t.Model
	}
	return asked
}

// clip shortens what a client or an upstream wrote before it is kept or shown
// back, and mends its UTF-8: records, labels and spans must be text.
func clip(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

const maxShown = 120 // bytes
