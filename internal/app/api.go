package app

import "net/http"

// api is the admin API.
func (a *App) api() http.Handler { return http.NotFoundHandler() }
