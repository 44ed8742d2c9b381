package proxy

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"weir/proxy/wire"
)

func modelsEndpoint(p *Provider) wire.Endpoint {
	return wire.Endpoint{API: wire.Models, Dialect: p.kind.dialect}
}

// refreshCatalogs asks providers for their models, all at once.
func (st *State) refreshCatalogs(ctx context.Context, wanted func(*Provider) bool) {
	var wg sync.WaitGroup
	for _, p := range st.providers {
		if wanted(p) {
			wg.Go(func() { p.catalog.refresh(ctx, catalogRest) })
		}
	}
	wg.Wait()
}

// listModels answers GET /v1/models with the models that this caller may use.
// It leaves a request alone that names a provider, or whose caller brings the
// vendor's own key: those want that vendor's list.
func (p *Proxy) listModels(r *http.Request, x *Exchange) (handled bool, err error) {
	if x.Endpoint.API != wire.Models || x.Pinned != "" || x.Raw {
		return false, nil
	}
	if x.state.Auth == AuthPassthrough && x.Caller.credential.token != "" {
		return false, nil
	}
	names := x.state.models(r.Context(), x)
	if x.Model == "" {
		return true, p.answerOwn(r, x, wire.ModelList(x.Endpoint.Dialect, names))
	}
	if !slices.Contains(names, x.Model) && !x.state.serves(r.Context(), x) {
		return true, &Error{
			Code: ModelNotFound, Param: "model", NoRetry: true,
			Msg: "The model " + clip(x.Model) + " does not exist here or this key may not use it. GET the list without a name to see what there is.",
		}
	}
	return true, p.answerOwn(r, x, wire.ModelObject(x.Endpoint.Dialect, x.Model))
}

// answerOwn answers with an object of our own. It costs nothing.
func (p *Proxy) answerOwn(r *http.Request, x *Exchange, body []byte) error {
	x.answered = true
	x.call.Status, x.call.BytesOut = http.StatusOK, int64(len(body))
	p.closeCall(x)
	x.reply.begin(http.StatusOK, false, func(h http.Header) {
		h.Set("Content-Type", "application/json")
		x.ourHeaders(h)
		idHeader(h, x)
		setLength(h, int64(len(body)))
	})
	if r.Method == http.MethodHead {
		return nil
	}
	_ = x.reply.finish(body) // the client may have gone; the call is recorded already
	return nil
}

// models lists the names that a conversation of this caller could use, which is
// carried to providers of other dialects: routes by name, then what the
// providers are known to serve, those of the caller's own dialect first; a name
// that alone would not lead to its provider stands as provider/model.
func (st *State) models(ctx context.Context, x *Exchange) []string {
	d := x.Endpoint.Dialect
	var out []string
	add := func(name string) {
		if name == "" || strings.ContainsAny(name, "*?[") || slices.Contains(out, name) {
			return
		}
		if k := x.Caller.Key; k == nil || len(k.Models) == 0 || matchAny(k.Models, name) {
			out = append(out, name)
		}
	}
	for _, r := range st.routes {
		add(r.Model)
	}
	st.refreshCatalogs(ctx, func(p *Provider) bool {
		return p.usable() && len(p.models) == 0 && p.catalog.stale(catalogFresh)
	})
	var own, others []*Provider
	served := make(map[string]int)
	for _, p := range st.providers {
		switch {
		case !p.usable():
			continue
		case p.speaks(d):
			own = append(own, p)
		default:
			others = append(others, p)
		}
		for _, m := range p.served() {
			served[m]++
		}
	}
	for _, p := range append(own, others...) {
		for _, m := range p.served() {
			if served[m] > 1 || !p.knows(m) {
				m = p.Name + "/" + m
			}
			add(m)
		}
	}
	return out
}

// served lists the models that the provider is known to have, by name.
func (p *Provider) served() []string {
	var out []string
	for m := range p.deployments {
		out = append(out, m)
	}
	slices.Sort(out)
	if len(p.models) > 0 {
		return append(out, p.models...)
	}
	p.catalog.mu.Lock()
	defer p.catalog.mu.Unlock()
	return append(out, p.catalog.names...)
}

// serves reports whether a request for the model would find a target.
func (st *State) serves(ctx context.Context, x *Exchange) bool {
	if x.Caller.allows(x) != nil {
		return false
	}
	_, err := st.plan(ctx, x)
	return err == nil
}
