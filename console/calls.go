package console

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/ledger"
)

const (
	callsPage = 100
	callsMost = 1000
)

var callParams = []param{
	{"since", "query", "from then on: RFC 3339, a date, or how long ago (24h, 7d)"},
	{"until", "query", "before then"},
	{"project", "query", "id or name"},
	{"key", "query", "id or name"},
	{"customer", "query", ""},
	{"feature", "query", ""},
	{"session", "query", ""},
	{"provider", "query", "that answered"},
	{"model", "query", "as the provider was asked for it"},
	{"route", "query", "the route's model"},
	{"api", "query", "chat, responses, messages …"},
	{"outcome", "query", "ok, error, aborted, interrupted"},
	{"status", "query", "429, or 5xx for all of them"},
	{"tag", "query", "name or name=value; may be repeated"},
	{"attempts", "query", "true: with the attempts"},
	{"before", "query", "the next of the page before"},
	{"limit", "query", "rows, 1 to 1000; 100 if not given"},
}

// callQuery reads the parameters of a list of calls.
func (c *Console) callQuery(ctx context.Context, v url.Values) (ledger.Query, error) {
	q := ledger.Query{Before: v.Get("before"), Attempts: v.Get("attempts") == "true", Filter: ledger.Filter{
		Project: v.Get("project"), Key: v.Get("key"), Customer: v.Get("customer"), Feature: v.Get("feature"),
		Session: v.Get("session"), Provider: v.Get("provider"), Model: v.Get("model"), Route: v.Get("route"), API: v.Get("api"),
		Outcome: ledger.Outcome(v.Get("outcome")),
	}}
	for name := range v {
		if !slices.ContainsFunc(callParams, func(p param) bool { return p.name == name }) {
			return q, bad("There is no parameter %q.", name)
		}
	}
	if q.Before != "" && !ledger.IsCallID(q.Before) {
		return q, bad("before wants the id of a call: the next of the page before.")
	}
	now := time.Now()
	var errs [4]error
	q.Limit, errs[0] = number("limit", v.Get("limit"), callsPage, callsMost)
	q.Since, errs[1] = when("since", v.Get("since"), now)
	q.Until, errs[2] = when("until", v.Get("until"), now)
	q.StatusMin, q.StatusMax, errs[3] = statuses(v.Get("status"))
	for _, err := range errs {
		if err != nil {
			return q, err
		}
	}
	switch q.Outcome {
	case "", ledger.OK, ledger.Failed, ledger.Aborted, ledger.Interrupted:
	default:
		return q, bad("outcome wants ok, error, aborted or interrupted.")
	}
	for _, tag := range v["tag"] {
		name, value, _ := strings.Cut(tag, "=")
		if q.Tags == nil {
			q.Tags = map[string]string{}
		}
		q.Tags[name] = value
	}
	var err error
	q.Filter, err = c.o.Calls.Resolve(ctx, q.Filter)
	return q, err
}

func statuses(s string) (low, high int, err error) {
	if s == "" {
		return 0, 0, nil
	}
	if digit, ok := strings.CutSuffix(strings.ToLower(s), "xx"); ok && len(digit) == 1 && digit >= "1" && digit <= "5" {
		low = int(digit[0]-'0') * 100
		return low, low + 99, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 599 {
		return 0, 0, bad("status wants a status such as 429 or 5xx.")
	}
	return n, n, nil
}

func (c *Console) listCalls(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	q, err := c.callQuery(ctx, r.URL.Query())
	var calls []*ledger.Call
	if err == nil {
		calls, err = c.o.Calls.List(ctx, q)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	page := Page[*ledger.Call]{Data: notNil(calls)}
	if len(calls) == q.Limit {
		page.Next = calls[len(calls)-1].ID
	}
	send(w, http.StatusOK, page)
}

// A shownCall is a call with what was kept of its bodies.
type shownCall struct {
	*ledger.Call
	Bodies *ledger.Bodies `json:"bodies,omitzero"`
}

func (c *Console) showCall(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	id := r.PathValue("id")
	call, err := c.o.Calls.Get(ctx, id)
	var bodies *ledger.Bodies
	if err == nil && r.URL.Query().Get("bodies") != "false" {
		bodies, err = c.o.Calls.Bodies(ctx, id)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	send(w, http.StatusOK, shownCall{call, bodies})
}

// usageGroups are what sums can be grouped and filtered by.
var usageGroups = []string{"hour", "project", "key", "customer", "feature", "provider", "model", "route", "api", "outcome", "usage_source"}

var usageParams = func() []param {
	params := []param{
		{"since", "query", "the hours from then on; 24h ago if not given"},
		{"until", "query", "before then"},
		{"by", "query", strings.Join(usageGroups, ", ") + "; several by commas"},
		{"limit", "query", "rows, 1 to 10000; 1000 if not given"},
	}
	for _, name := range usageGroups[1:] {
		params = append(params, param{name, "query", "only of this one"})
	}
	return params
}()

func (c *Console) serveUsage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	q, err := c.sumQuery(ctx, r.URL.Query())
	var sums []ledger.Sum
	if err == nil {
		sums, err = c.o.Calls.Sums(ctx, q)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	send(w, http.StatusOK, Page[ledger.Sum]{Data: notNil(sums)})
}

func (c *Console) sumQuery(ctx context.Context, v url.Values) (ledger.SumQuery, error) {
	now := time.Now()
	q := ledger.SumQuery{Since: now.Add(-24 * time.Hour), Where: map[string]string{}}
	var err1, err2, err3 error
	if v.Has("since") {
		q.Since, err1 = when("since", v.Get("since"), now)
	}
	q.Until, err2 = when("until", v.Get("until"), now)
	q.Limit, err3 = number("limit", v.Get("limit"), 1000, 10000)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return q, err
		}
	}
	if by := v.Get("by"); by != "" {
		q.By = strings.Split(by, ",")
	}
	for i, name := range q.By {
		if !slices.Contains(usageGroups, name) || slices.Contains(q.By[:i], name) {
			return q, bad("by wants some of %s, each once.", strings.Join(usageGroups, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		switch {
		case slices.Contains([]string{"since", "until", "limit", "by"}, name):
		case slices.Contains(usageGroups[1:], name):
			q.Where[name] = v.Get(name)
		default:
			return q, bad("There is no parameter %q.", name)
		}
	}
	resolved, err := c.o.Calls.Resolve(ctx, ledger.Filter{Project: q.Where["project"], Key: q.Where["key"]})
	for name, id := range map[string]string{"project": resolved.Project, "key": resolved.Key} {
		if _, asked := q.Where[name]; asked {
			q.Where[name] = id
		}
	}
	return q, err
}

// The data plane.

func (c *Console) serveStatus(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, c.o.Status())
}

func (c *Console) listRoutes(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, Page[Route]{Data: notNil(c.o.Routes())})
}

func (c *Console) listProviders(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, Page[Provider]{Data: notNil(c.o.Providers())})
}

func (c *Console) showConfig(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, c.o.Config())
}
