package app

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/config"
	"weir/console"
	"weir/ledger"
)

// adminHandler is the admin listener: the console with the admin API, and
// what machines ask for.
func (a *App) adminHandler(c *config.Config) (http.Handler, error) {
	var err error
	if a.token, err = loadToken(c.Admin.Token, c.DataDir); err != nil {
		return nil, err
	}
	face, err := console.New(console.Options{
		Token: string(a.token.Value), DB: a.db, Keys: ledger.NewKeys(a.db, a.secret), KeysChanged: a.keys.Refresh,
		Calls:  ledger.NewCalls(a.db, c.Spool.Dir),
		Config: func() any { return a.config.Load().Redacted() },
		Routes: a.routes, Providers: a.providers, Limits: a.limitsFace(), Status: a.status, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", face)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", a.serveReady)
	mux.HandleFunc("/v1/", a.elsewhere)
	mux.HandleFunc("/v1beta/", a.elsewhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := a.admin.names.Load()
		if why := own.foreign(r, true); why != "" && !(own.has(r.Host) && namelessLogin(r)) {
			adminError(w, http.StatusForbidden, "foreign_host", "Weir does not answer requests from "+why+". If it should, add the name to admin.hosts in its configuration.")
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// namelessLogin reports whether a browser hides where its login form came
// from, as it does for pages without a referrer, over plain HTTP without
// saying that it was a page of our own. To log in takes the token, and to log
// out does no harm.
func namelessLogin(r *http.Request) bool {
	return r.Header.Get("Origin") == "null" && r.Header.Get("Sec-Fetch-Site") == "" && (r.URL.Path == "/login" || r.URL.Path == "/logout")
}

// elsewhere helps who took the one listener for the other.
func (a *App) elsewhere(w http.ResponseWriter, r *http.Request) {
	adminError(w, http.StatusNotFound, "not_found", "There is nothing at "+quote(r.URL.Path)+" on the admin listener. The LLM APIs are at "+a.URL()+".")
}

// serveReady says whether Weir takes traffic. The stores have no part in it:
// calls go on without them.
func (a *App) serveReady(w http.ResponseWriter, _ *http.Request) {
	if !a.ready.Load() {
		plainText(w, http.StatusServiceUnavailable, "stopping")
		return
	}
	plainText(w, http.StatusOK, "ready")
}

// adminError answers as the admin API does.
func adminError(w http.ResponseWriter, status int, code, message string) {
	body, err := json.Marshal(map[string]any{"error": map[string]any{"code": code, "message": strings.ToValidUTF8(message, "?")}})
	if err != nil { // it is made of texts
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
