package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"weir/console"
	"weir/ledger"
)

// shownLimits has one limit, and takes back what has the id "a b/c".
var shownLimits = console.Limits{
	Status: func(context.Context) ([]console.Limit, error) {
		return []console.Limit{{ID: "global concurrent ", Scope: "global", Measure: "concurrent", Unit: "concurrent", Limit: 5, Used: 1, Remaining: 4, Action: "block"}}, nil
	},
	InEffect: func() []console.Ceiling { return nil },
	Store:    func() console.LimitStore { return console.LimitStore{Kind: "memory", State: "ok"} },
	Budgets:  func(context.Context) ([]console.Budget, error) { return nil, nil },
	Set: func(_ context.Context, actor string, entry []byte) ([]console.Ceiling, error) {
		if !strings.Contains(string(entry), "scope") {
			return nil, console.Invalid("scope is missing")
		}
		return []console.Ceiling{{ID: "a b/c", SetBy: actor, Scope: string(entry)}}, nil
	},
	Unset: func(_ context.Context, actor, id string) (console.Ceiling, error) {
		switch id {
		case "a b/c":
			return console.Ceiling{ID: id, SetBy: actor}, nil
		case "configured":
			return console.Ceiling{}, fmt.Errorf("unset limit: %w", console.ErrConfigured)
		}
		return console.Ceiling{}, fmt.Errorf("unset limit %q: %w", id, ledger.ErrNoSuchLimit)
	},
}

func TestLimitsAPI(t *testing.T) {
	d := open(t)
	check := func(method, path, body string, status int, has string) http.Header {
		t.Helper()
		r := d.send(method, path, body, withToken, "Content-Type: application/json")
		if r.status != status || !strings.Contains(r.body, has) {
			t.Errorf("%s %s %s: %d %s; want %d with %s", method, path, body, r.status, r.body, status, has)
		}
		return r.header
	}
	check("GET", "/api/v1/limits", "", 200, `"id":"global concurrent "`)
	check("GET", "/api/v1/ceilings", "", 200, `{"data":[]}`)
	check("GET", "/api/v1/budgets", "", 200, `{"data":[]}`)
	h := check("POST", "/api/v1/limits", `{"scope": 1}`, 201, `"set_by":"admin api"`)
	at := h.Get("Location")
	if at != "/api/v1/limits/"+url.PathEscape("a b/c") {
		t.Errorf("Location %q", at)
	}
	check("DELETE", at, "", 200, `"id":"a b/c"`)
	check("DELETE", "/api/v1/limits/other", "", 404, `"code":"not_found"`)
	check("DELETE", "/api/v1/limits/configured", "", 409, `"code":"conflict"`)
	check("DELETE", "/api/v1/limits", "", 405, "GET and POST")
	check("POST", "/api/v1/limits", `{}`, 400, `"message":"scope is missing"`)
	check("POST", "/api/v1/limits", `{"scope": 1, "scope": 2}`, 400, "is given twice")
	check("POST", "/api/v1/limits", `{"scope": 1} x`, 400, "invalid_request")
}
