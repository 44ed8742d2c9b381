package proxy

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"weir/costs"
	"weir/internal/capability"
	"weir/limits"
)

// Settings say how a Proxy serves. They are compiled into a State, which is
// swapped whole on reload. Zero fields take the stated defaults.
type Settings struct {
	Auth      Auth // default AuthOff
	Providers []ProviderSettings
	Routes    []RouteSettings   // the first that matches wins
	Models    []capability.Said // what models can do, against what is known of their names

	Keepalive   time.Duration // silence before a stream gets a ping; 0: never
	MaxBody     int64         // bytes of one request body; default 256 MiB
	BodyTimeout time.Duration // for the whole request body, and 30 s without a byte; default 5 min
	Capture     Capture
	Drain       Drain
	Responses   ResponsesSettings
	Prices      *costs.Book // nil: nothing has a price
	Limits      []*limits.Limit

	WatchPrompts bool // tell Options.Closed of calls
}

// Auth is who may call.
type Auth string

// The authentication modes.
const (
	AuthOff         Auth = "off"         // anyone; the client's credential is dropped
	AuthKeys        Auth = "keys"        // a virtual key is needed
	AuthPassthrough Auth = "passthrough" // the client's own provider key goes upstream
)

// Capture keeps bodies. The zero Capture keeps none.
type Capture struct {
	Bodies   bool
	MaxBytes int64 // of each body; default 256 KiB
}

// Drain reads a reply on to its usage after the client has gone, so that the
// tokens are exact. The zero Drain cancels the upstream at once.
type Drain struct {
	Time  time.Duration // at most
	Bytes int64         // at most; 0: 1 MiB
}

// ProviderSettings describe one upstream account.
type ProviderSettings struct {
	Name        string
	Kind        string            // a row of the kind table
	BaseURL     string            // "" = the kind's own
	APIKey      string            // "" = none
	APIVersion  string            // azure
	Deployments map[string]string // azure: model → deployment
	Models      []string          // names and globs that it is known to serve
	Headers     map[string]string // sent with every request
	Can         []capability.Said // what its models can do; goes before Settings.Models
	APIs        []string          // that it is asked by; nil = those that its kind has
	GPUHour     costs.Money       // self-hosted: what an hour of one of its GPUs costs; 0: not said
	PriceTerms  costs.Terms       // what else decides its prices: Region, Residency, Endpoint, Tier, GPUs
	PriceAs     string            // price book's id of the vendor, which says how its usage counts; "" = nobody's
}

// RouteSettings map the names that clients ask for onto targets.
type RouteSettings struct {
	Model     string // a name or a glob
	Targets   []TargetSettings
	Fallbacks []TargetSettings
	Retries   int // further tries after the first, over all targets
	Timeouts  Timeouts
	Lossy     bool // what would change the meaning of a carried request is dropped and said, not refused
}

// TargetSettings name a provider and the model asked of it.
type TargetSettings struct {
	Provider string
	Model    string // "" = the asked name
	Weight   int    // only the ratio counts
}

// Timeouts bound one attempt, Total the whole call.
type Timeouts struct {
	Connect time.Duration // TCP and TLS; default 3 s
	TTFT    time.Duration // streams: to the first content event, default 60 s; plain calls: to the headers, only where set
	Idle    time.Duration // between two reads of a begun stream; default 30 s
	Total   time.Duration // default 30 min
	Room    time.Duration // for an upstream whose own limit is reached, where no other target is left; default 2 s
	ttftSet bool
}

func (t Timeouts) withDefaults() Timeouts {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	t.ttftSet = t.TTFT != 0
	def(&t.Connect, 3*time.Second)
	def(&t.TTFT, time.Minute)
	def(&t.Idle, 30*time.Second)
	def(&t.Total, 30*time.Minute)
	def(&t.Room, 2*time.Second)
	return t
}

// State is compiled Settings: read-only once built, but for the breakers,
// which live on from one State to the next under their target's name.
type State struct {
	Settings
	providers []*Provider
	byName    map[string]*Provider
	routes    []*Route

	ruleSet // of Limits
}

// newState compiles settings. Breakers and catalogs of the old state (nil at
// first) are kept for targets that did not change.
func newState(s Settings, old *State, transport *transport) (*State, error) {
	if s.MaxBody == 0 {
		s.MaxBody = 256 << 20
	}
	if s.BodyTimeout == 0 {
		s.BodyTimeout = 5 * time.Minute
	}
	if s.Capture.MaxBytes == 0 {
		s.Capture.MaxBytes = 256 << 10
	}
	if s.Responses.Retention == 0 {
		s.Responses.Retention = keptRetention
	}
	if s.Drain.Time > 0 && s.Drain.Bytes == 0 {
		s.Drain.Bytes = 1 << 20
	}
	st := &State{Settings: s, byName: make(map[string]*Provider, len(s.Providers))}
	for _, ps := range s.Providers {
		p, err := newProvider(ps, transport)
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", ps.Name, err)
		}
		p.facts = newFactBook(ps.Can, s.Models)
		if old != nil {
			p.inherit(old.byName[ps.Name])
		}
		if st.byName[ps.Name] != nil {
			return nil, fmt.Errorf("provider %s: named twice", ps.Name)
		}
		st.providers = append(st.providers, p)
		st.byName[ps.Name] = p
	}
	st.ruleSet = newRuleSet(s.Limits)
	for _, rs := range s.Routes {
		r, err := newRoute(rs, st.byName)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", rs.Model, err)
		}
		st.routes = append(st.routes, r)
	}
	return st, nil
}

func parseBase(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(raw, "/"))
	if err != nil {
		return nil, fmt.Errorf("read base_url: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("base_url %q: want http://… or https://…", raw)
	}
	return u, nil
}
