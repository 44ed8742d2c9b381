package proxy

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A catalog is what an upstream says it serves: its own list of models. It is
// asked when somebody needs to know, never in the background, and not more
// often than catalogRest.
type catalog struct {
	ask func(ctx context.Context) ([]string, error)

	mu     sync.Mutex // guards the following fields
	models map[string]bool
	names  []string // in the upstream's order
	asked  time.Time
	flight chan struct{} // closed when the question under way is answered; nil: none is
}

const (
	catalogFresh = 5 * time.Minute  // a list is good for this long
	catalogRest  = 15 * time.Second // between two questions
	catalogWait  = 2 * time.Second  // for an answer
	catalogMax   = 4 << 20          // bytes of a list
)

// has reports whether the last list holds the model.
func (c *catalog) has(model string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.models[model]
}

// stale reports whether the last question is older than maxAge.
func (c *catalog) stale(maxAge time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.asked) > maxAge
}

// refresh asks the upstream, unless that was done within maxAge; callers at
// the same time share one question.
func (c *catalog) refresh(ctx context.Context, maxAge time.Duration) {
	c.mu.Lock()
	if time.Since(c.asked) < maxAge {
		c.mu.Unlock()
		return
	}
	flight := c.flight
	if flight != nil {
		c.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
		}
		return
	}
	flight = make(chan struct{})
	c.flight = flight
	c.mu.Unlock()
	defer close(flight)

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), catalogWait)
	defer cancel()
	names, err := c.ask(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight, c.asked = nil, time.Now()
	if err != nil {
		return // the last list stays
	}
	c.names, c.models = names, make(map[string]bool, len(names))
	for _, name := range names {
		c.models[name] = true
	}
}

// newCatalog asks with the provider's own key.
func newCatalog(p *Provider) *catalog {
	return &catalog{ask: p.askModels}
}

// askModels fetches the upstream's list: OpenAI's and Anthropic's {"data":[{"id"}]},
// Gemini's {"models":[{"name":"models/…"}]}.
func (p *Provider) askModels(ctx context.Context) ([]string, error) {
	if !p.usable() || p.kind.modelsPath == "" {
		return nil, nil
	}
	u := p.kind.url(p, modelsEndpoint(p), p.kind.modelsPath, "")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range p.headers {
		req.Header[name] = values
	}
	if p.key != "" {
		p.kind.authorize(req.Header, p.key)
	}
	for name, value := range p.kind.modelsHeader {
		req.Header.Set(name, value)
	}
	resp, err := p.transport.http.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, catalogMax))
	if err != nil {
		return nil, err
	}
	return parseModels(resp.StatusCode, body)
}

func parseModels(status int, body []byte) ([]string, error) {
	var list struct {
		Data   []struct{ ID string }
		Models []struct{ Name string }
	}
	if status != http.StatusOK {
		return nil, &Error{Code: UpstreamError, Msg: "the list of models was refused"}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	for _, m := range list.Models {
		names = append(names, strings.TrimPrefix(m.Name, "models/"))
	}
	return names, nil
}
