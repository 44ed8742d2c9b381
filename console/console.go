package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"weir/internal/sqldb"
	"weir/ledger"
)

// Options are what a Console works with. All but KeysChanged and Log are needed.
type Options struct {
	Token string // the admin token; a Console never has an empty one
	DB    *sqldb.DB
	Keys  *ledger.Keys
	Calls *ledger.Calls
	// KeysChanged is called after keys were changed, so that the data plane
	// sees it at once; nil = it finds out by itself.
	KeysChanged func(ctx context.Context) error
	Config      func() any // the configuration in effect, ready for JSON, its secrets left out
	Routes      func() []Route
	Providers   func() []Provider
	Limits      Limits
	Status      func() Status
	Log         *slog.Logger // nil: slog.Default()
}

// A Route is how a name that clients ask for is answered.
type Route struct {
	Model     string   `json:"model"` // name or glob
	Targets   []Target `json:"targets"`
	Fallbacks []Target `json:"fallbacks,omitzero"`
	Retries   int      `json:"retries"`
}

// A Target is a provider and the model asked of it.
type Target struct {
	Provider string `json:"provider"`
	Model    string `json:"model,omitzero"`  // empty: the asked name
	Weight   int    `json:"weight,omitzero"` // of fallbacks: 0
}

// A Provider is an upstream account.
type Provider struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	BaseURL string   `json:"base_url,omitzero"` // empty: the kind's own
	HasKey  bool     `json:"has_key"`
	Models  []string `json:"models,omitzero"` // that it is configured to serve
	APIs    []string `json:"apis,omitzero"`   // that it is asked by, as is known now; "?": yet to be found out
	From    string   `json:"from,omitzero"`   // the environment variable that it was found by
}

// Status is how the running server does.
type Status struct {
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	URL      string    `json:"url"`  // base URL of the data plane, without /v1
	Auth     string    `json:"auth"` // keys, passthrough, off
	Ready    bool      `json:"ready"`
	InFlight int64     `json:"in_flight"` // calls
	Spool    Spool     `json:"spool"`
}

// A Spool is the queue between the calls and the store.
type Spool struct {
	Bytes    int64     `json:"bytes"`
	Backlog  int64     `json:"backlog"`          // bytes that are not in the store yet
	Rejected int64     `json:"rejected"`         // rows that the store would not take
	Shipped  time.Time `json:"shipped,omitzero"` // when the last rows were stored; zero: none yet
	Error    string    `json:"error,omitzero"`   // why the last did not get there; empty: they did
}

// A Console is an http.Handler for /, /login, /logout, /calls/ and /api/v1/.
// Host names are to be checked before it.
type Console struct {
	o       Options
	log     *slog.Logger
	gate    gate
	mux     *http.ServeMux
	openAPI []byte
}

// New returns a Console.
func New(o Options) (*Console, error) {
	if o.Token == "" {
		return nil, errors.New("open console: the admin token is empty")
	}
	c := &Console{o: o, log: o.Log, gate: newGate(o.Token), mux: http.NewServeMux()}
	if c.log == nil {
		c.log = slog.Default()
	}
	routes := c.routes()
	c.openAPI = describe(routes)
	for _, r := range routes {
		c.mux.Handle(r.method+" "+base+r.path, c.guard(r.serve))
	}
	c.mux.Handle(base+"/", c.guard(c.nothing))
	c.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "not_found", "There is no such page; the admin API is below "+base+".")
	})
	c.mux.HandleFunc("GET /{$}", c.servePage)
	c.mux.HandleFunc("GET /calls/{id}", c.serveCallPage)
	c.mux.HandleFunc("POST /login", c.login)
	c.mux.HandleFunc("POST /logout", c.logout)
	return c, nil
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-store")
	c.mux.ServeHTTP(w, r)
}
