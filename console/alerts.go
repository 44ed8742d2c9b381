package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir/alerts"
)

var alertParams = []param{
	{"since", "query", "from then on: RFC 3339, a date, or how long ago (24h, 7d)"},
	{"until", "query", "before then"},
	{"kind", "query", "budget_threshold, key_paused …"},
	{"before", "query", "the next of the page before"},
	{"limit", "query", "rows, 1 to 1000; 100 if not given"},
}

// alertQuery reads the parameters of a list of alerts.
func alertQuery(v url.Values) (q alerts.Query, err error) {
	for name := range v {
		if !slices.ContainsFunc(alertParams, func(p param) bool { return p.name == name }) {
			return q, bad("There is no parameter %q.", name)
		}
	}
	q.Kind, q.Before = alerts.Kind(v.Get("kind")), v.Get("before")
	if q.Kind != "" && !slices.Contains(alerts.Kinds, q.Kind) {
		var kinds []string
		for _, k := range alerts.Kinds {
			kinds = append(kinds, string(k))
		}
		return q, bad("kind wants one of %s.", strings.Join(kinds, ", "))
	}
	now := time.Now()
	var errs [3]error
	q.Limit, errs[0] = number("limit", v.Get("limit"), callsPage, callsMost)
	q.Since, errs[1] = when("since", v.Get("since"), now)
	q.Until, errs[2] = when("until", v.Get("until"), now)
	for _, err := range errs {
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func (c *Console) listAlerts(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	q, err := alertQuery(r.URL.Query())
	var list []alerts.Told
	if err == nil {
		asked := q.Limit
		q.Limit++ // one more tells whether there is a further page
		list, err = alerts.List(ctx, c.o.DB, q)
		q.Limit = asked
	}
	if errors.Is(err, alerts.ErrNoSuchAlert) {
		err = bad("before wants the id of an alert that is there: the next of the page before.")
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	page := Page[alerts.Told]{Data: notNil(list)}
	if len(list) > q.Limit {
		page.Data = list[:q.Limit]
		page.Next = page.Data[q.Limit-1].ID
	}
	send(w, http.StatusOK, page)
}
