package app

import (
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/config"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// adminHandler is the admin listener: a page for people, the admin API behind
// the token, and what machines ask for.
func (a *App) adminHandler(c *config.Config) (http.Handler, error) {
	var err error
	if a.token, err = loadToken(c.Admin.Token, c.DataDir); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.servePage)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", a.serveReady)
	mux.Handle("/api/v1/", a.token.guard(a.api()))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		adminError(w, http.StatusNotFound, "not_found", "There is nothing at "+quote(r.URL.Path)+" on the admin listener. The LLM APIs are at "+a.URL()+".")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := a.admin.names.Load().foreign(r, true); why != "" {
			adminError(w, http.StatusForbidden, "foreign_host", "Weir does not answer requests from "+why+". If it should, add the name to admin.hosts in its configuration.")
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		mux.ServeHTTP(w, r)
	}), nil
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

// servePage serves the one page. The token never reaches it by the server: it
// is behind the # of the login link, which browsers keep to themselves.
func (a *App) servePage(w http.ResponseWriter, _ *http.Request) {
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+nonce+"'; style-src 'nonce-"+nonce+"'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	err := page.Execute(w, map[string]any{"Nonce": nonce, "URL": a.URL(), "Version": a.o.Version, "Auth": string(a.config.Load().Auth)})
	if err != nil {
		a.log.Debug("the page was not taken", "err", err)
	}
}

// adminError answers as the admin API does.
func adminError(w http.ResponseWriter, status int, code, message string) {
	body, err := json.Marshal(map[string]any{"error": map[string]any{"code": code, "message": strings.ToValidUTF8(message, "?")}})
	if err != nil { // it is made of texts
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
