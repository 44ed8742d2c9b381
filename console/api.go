package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"weir/alerts"
	"weir/ledger"
	"weir/limits"
)

const (
	base    = "/api/v1"
	maxBody = 64 << 10
	// storeTime bounds what a request asks of the store.
	storeTime = 30 * time.Second
)

// A route is one operation of the API. From the table of them come both the
// mux and the description.
type route struct {
	method, path string
	id           string // operationId
	summary      string
	params       []param
	body         any // an example of the request's Go type; nil = none
	status       int // of success
	reply        any // an example of the reply's Go type
	serve        http.HandlerFunc
}

type param struct{ name, in, about string }

// A Page is one page of a list.
type Page[T any] struct {
	Data []T `json:"data"`
	// Next is the cursor of the next page: pass it as before. Empty: there is none.
	Next string `json:"next,omitzero"`
}

// absent are the parts that come with later versions.
var absent = []string{"cache", "prompts", "evals", "drift", "pools", "prices", "feedback"}

func (c *Console) routes() []route {
	key := param{"key", "path", "id or name of a key"}
	keyAction := func(action, summary string, do http.HandlerFunc, body any) route {
		return route{http.MethodPost, "/keys/{key}/" + action, action + "Key", summary, []param{key}, body, http.StatusOK, ledgerKey{}, do}
	}
	rotate := keyAction("rotate", "Give a key a new secret", c.rotateKey, rotation{})
	rotate.reply = madeKey{}
	return append([]route{
		{http.MethodGet, "/openapi.json", "describe", "This description", nil, nil, 200, map[string]any{}, c.serveOpenAPI},
		{http.MethodGet, "/status", "status", "How the running server does", nil, nil, 200, Status{}, c.serveStatus},
		{http.MethodGet, "/keys", "listKeys", "All keys, the newest first", nil, nil, 200, Page[ledgerKey]{}, c.listKeys},
		{http.MethodPost, "/keys", "createKey", "Make a key; its secret is shown this once", nil, newKey{}, 201, madeKey{}, c.createKey},
		{http.MethodGet, "/keys/{key}", "showKey", "One key", []param{key}, nil, 200, ledgerKey{}, c.showKey},
		{http.MethodDelete, "/keys/{key}", "deleteKey", "End a key for good, as revoke does", []param{key}, nil, 200, ledgerKey{}, c.keyChange(c.o.Keys.Revoke)},
		keyAction("revoke", "End a key for good", c.keyChange(c.o.Keys.Revoke), nil),
		keyAction("pause", "Refuse a key until it is resumed", c.keyChange(c.o.Keys.Pause), nil),
		keyAction("resume", "Take a paused key again", c.keyChange(c.o.Keys.Resume), nil),
		rotate,
		{http.MethodGet, "/projects", "listProjects", "All projects, the newest first", nil, nil, 200, Page[ledger.Project]{}, c.listProjects},
		{http.MethodPost, "/projects", "createProject", "Make a project", nil, newProject{}, 201, ledger.Project{}, c.createProject},
		{http.MethodGet, "/calls", "listCalls", "Calls, the newest first, without their bodies", callParams, nil, 200, Page[*ledger.Call]{}, c.listCalls},
		{
			http.MethodGet, "/calls/{id}", "showCall", "One call with its attempts, and its bodies where they were kept",
			[]param{{"id", "path", "id of a call"}, {"bodies", "query", "false: without the bodies"}},
			nil, 200,
			shownCall{},
			c.showCall,
		},
		{http.MethodGet, "/usage", "usage", "Calls and tokens, summed by hours", usageParams, nil, 200, Page[ledger.Sum]{}, c.serveUsage},
		{http.MethodGet, "/costs", "costs", "What calls cost, summed by groups and by days or hours", costParams, nil, 200, Costs{}, c.serveCosts},
		{http.MethodGet, "/routes", "listRoutes", "The routes in effect, in the order they are tried", nil, nil, 200, Page[Route]{}, c.listRoutes},
		{http.MethodGet, "/providers", "listProviders", "The providers in effect", nil, nil, 200, Page[Provider]{}, c.listProviders},
		{http.MethodGet, "/alerts", "listAlerts", "What operators were told, the newest first, and whether it reached them", alertParams, nil, 200, Page[alerts.Told]{}, c.listAlerts},
		{http.MethodGet, "/config", "showConfig", "The configuration in effect, its secrets left out", nil, nil, 200, map[string]any{}, c.showConfig},
	}, c.limitRoutes()...)
}

// nothing answers what no route is for.
func (c *Console) nothing(w http.ResponseWriter, r *http.Request) {
	rest := strings.TrimPrefix(r.URL.Path, base+"/")
	part, _, _ := strings.Cut(rest, "/")
	for _, name := range absent {
		if part == name {
			fail(w, http.StatusNotImplemented, "not_in_this_version", name+": not in this version")
			return
		}
	}
	probe := *r
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		probe.Method = method
		if _, pattern := c.mux.Handler(&probe); pattern != base+"/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if allowed != nil {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		fail(w, http.StatusMethodNotAllowed, "method_not_allowed", "This path takes "+strings.Join(allowed, " and ")+".")
		return
	}
	fail(w, http.StatusNotFound, "not_found", "There is no such path; see "+base+"/openapi.json.")
}

func (c *Console) serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(c.openAPI)
}

// Errors.

type errorBody struct {
	Error struct {
		Code    string `json:"code"` // a stable word
		Message string `json:"message"`
	} `json:"error"`
}

func fail(w http.ResponseWriter, status int, code, message string) {
	var body errorBody
	body.Error.Code, body.Error.Message = code, strings.ToValidUTF8(message, "\ufffd")
	send(w, status, body)
}

// badRequest is a request that cannot be read.
type badRequest struct{ message string }

func (e *badRequest) Error() string { return e.message }

func bad(format string, args ...any) error { return &badRequest{fmt.Sprintf(format, args...)} }

// refuse tells an error. What is no fault of the client's is only logged.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var b *badRequest
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(w, http.StatusRequestEntityTooLarge, "request_too_large", fmt.Sprintf("The body is over %d bytes.", large.Limit))
	case errors.As(err, &b):
		fail(w, http.StatusBadRequest, "invalid_request", b.message)
	case errors.Is(err, ledger.ErrNoSuchKey), errors.Is(err, ledger.ErrNoSuchCall), errors.Is(err, ledger.ErrNoSuchProject), errors.Is(err, ledger.ErrNoSuchLimit):
		fail(w, http.StatusNotFound, "not_found", sentence(err))
	case errors.Is(err, ledger.ErrKeyAmbiguous), errors.Is(err, ledger.ErrKeyRevoked), errors.Is(err, ledger.ErrProjectExists), errors.Is(err, ledger.ErrKeyExists),
		errors.Is(err, ErrConfigured), errors.Is(err, ledger.ErrTooManyLimits):
		fail(w, http.StatusConflict, "conflict", sentence(err))
	case errors.Is(err, limits.ErrFailing):
		fail(w, http.StatusServiceUnavailable, "limits_unavailable", "Redis, which has the counts of limits, does not answer; GET /api/v1/limit-store says since when.")
	case r.Context().Err() != nil:
		// nobody is there to read it
	case errors.Is(err, context.DeadlineExceeded):
		c.log.Warn("the store is slow", "path", r.URL.Path, "err", err)
		fail(w, http.StatusServiceUnavailable, "store_slow", "The store took too long; ask for less.")
	default:
		c.log.Error("admin request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		fail(w, http.StatusInternalServerError, "internal_error", "Weir could not do that; its log says why.")
	}
}

func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

// send writes a value as JSON.
func send(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":{"code":"internal_error","message":"The reply cannot be written as JSON."}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// receive reads a JSON body into v. An empty body leaves v as it is.
func receive(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil && len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err == nil {
		err = d.Decode(v)
	}
	// A form could be sent by any page of any site.
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return bad("The body has to be application/json.")
	}
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return bad("Something follows the body's JSON.")
		}
		return givenOnce(body)
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return bad("The body cannot be read: %s.", strings.TrimPrefix(err.Error(), "json: "))
}

// givenOnce refuses a body that has a member twice: which one is meant?
func givenOnce(body []byte) error {
	_, err := jsontext.NewDecoder(bytes.NewReader(body)).ReadValue()
	if at, ok := errors.AsType[*jsontext.SyntacticError](err); ok && errors.Is(err, jsontext.ErrDuplicateName) {
		return bad("The body cannot be read: %q is given twice.", at.JSONPointer.LastToken())
	}
	return nil
}

// deadline bounds what the store may take.
func deadline(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), storeTime)
}

// when reads a point in time: RFC 3339, a date, or how long ago.
func when(name, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if d, err := span(s); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, bad("%s wants a time such as 2026-11-25T10:00:00Z, a date, or how long ago, such as 24h or 7d.", name)
}

// span reads a duration, with days.
func span(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return 0, errors.New("no number of days")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = errors.New("it is negative")
	}
	return d, err
}

// number reads a number in bounds.
func number(name, s string, otherwise, most int) (int, error) {
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, bad("%s wants a number from 1 to %d.", name, most)
	}
	return n, nil
}
