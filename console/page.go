package console

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/ledger"
)

//go:embed *.html
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"ms": milliseconds, "clock": clock, "short": short, "ago": ago, "tokens": tokenCount, "pretty": pretty,
	"join": func(list []string) string { return strings.Join(list, ", ") },
}).ParseFS(files, "*.html"))

var outcomes = []string{"ok", "error", "aborted", "interrupted"}

const (
	pageRows = 50
	recent   = 5 * time.Minute
	// recentMost is how many calls the figures of the page look at.
	recentMost = 1000
)

// render writes a page. No page loads anything, and scripts run only where
// they have the nonce.
func (c *Console) render(w http.ResponseWriter, status int, name string, data map[string]any) {
	nonce := rand.Text()
	data["Nonce"], data["Status"] = nonce, c.o.Status()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+nonce+"'; style-src 'nonce-"+nonce+"'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		c.log.Debug("a page was not taken", "page", name, "err", err)
	}
}

func (c *Console) serveLogin(w http.ResponseWriter, status int, message string) {
	c.render(w, status, "login.html", map[string]any{"Message": message})
}

// enter lets the bearer of the cookie in, and of a link with the token, which
// is traded for the cookie at once so that it stays in no address bar.
func (c *Console) enter(w http.ResponseWriter, r *http.Request) bool {
	if token := r.URL.Query().Get("token"); token != "" {
		if !c.gate.is(token) {
			c.serveLogin(w, http.StatusUnauthorized, "This is not the admin token.")
			return false
		}
		http.SetCookie(w, c.gate.cookie(r, time.Now()))
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		return false
	}
	if !c.gate.holds(r, time.Now()) {
		c.serveLogin(w, http.StatusOK, "")
		return false
	}
	return true
}

// figures sum up the latest calls.
type figures struct {
	Calls, Failed int
	More          bool // there are more calls than were looked at
	TTFT, Total   time.Duration
	Input, Output int64
}

func (c *Console) servePage(w http.ResponseWriter, r *http.Request) {
	if !c.enter(w, r) {
		return
	}
	ctx, cancel := deadline(r)
	defer cancel()
	data := map[string]any{"Routes": c.o.Routes(), "Providers": c.o.Providers(), "Absent": strings.Join(absent, ", "), "Outcomes": outcomes}
	v := r.URL.Query()
	for name := range v {
		if v.Get(name) == "" {
			v.Del(name) // an empty field of the form
		}
	}
	data["Query"] = map[string]string{
		"outcome": v.Get("outcome"), "model": v.Get("model"), "provider": v.Get("provider"), "customer": v.Get("customer"), "key": v.Get("key"),
	}
	data["Filtered"] = len(v) > 0
	if err := c.fillPage(ctx, v, data); err != nil {
		data["Message"] = sentence(err)
		c.log.Warn("the page lacks its calls", "err", err)
	}
	c.render(w, http.StatusOK, "page.html", data)
}

func (c *Console) fillPage(ctx context.Context, v url.Values, data map[string]any) error {
	latest, err := c.o.Calls.List(ctx, ledger.Query{Filter: ledger.Filter{Since: time.Now().Add(-recent)}, Limit: recentMost})
	if err != nil {
		return err
	}
	data["Figures"] = sum(latest)
	q, err := c.callQuery(ctx, v)
	if err != nil {
		return err
	}
	q.Limit = pageRows
	calls, err := c.o.Calls.List(ctx, q)
	if err != nil {
		return err
	}
	data["Calls"] = calls
	if len(calls) == pageRows {
		v.Set("before", calls[pageRows-1].ID)
		data["Next"] = template.URL(v.Encode()) // url.Values escapes all that an URL must not have
	}
	return nil
}

func sum(calls []*ledger.Call) figures {
	f := figures{Calls: len(calls), More: len(calls) == recentMost}
	var ttft, total []time.Duration
	for _, call := range calls {
		if call.Outcome != ledger.OK {
			f.Failed++
		}
		if call.TTFT > 0 {
			ttft = append(ttft, call.TTFT)
		}
		total = append(total, call.Total)
		in, out := tokensOf(call)
		f.Input += in
		f.Output += out
	}
	f.TTFT, f.Total = median(ttft), median(total)
	return f
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}

func (c *Console) serveCallPage(w http.ResponseWriter, r *http.Request) {
	if !c.enter(w, r) {
		return
	}
	ctx, cancel := deadline(r)
	defer cancel()
	call, err := c.o.Calls.Get(ctx, r.PathValue("id"))
	var kept *ledger.Bodies
	if err == nil {
		kept, err = c.o.Calls.Bodies(ctx, call.ID)
	}
	if err != nil {
		c.render(w, http.StatusNotFound, "call.html", map[string]any{"Message": sentence(err)})
		return
	}
	c.render(w, http.StatusOK, "call.html", map[string]any{"Call": call, "Bodies": kept})
}

func tokensOf(call *ledger.Call) (in, out int64) {
	in, _ = call.Usage.Input()
	out, _ = call.Usage.Output()
	return in, out
}

// What templates write.

// A count is the tokens of a call as a list shows them: "" where they are not
// known, with a ~ where they are our own estimate.
type count struct{ In, Out string }

func tokenCount(call *ledger.Call) (t count) {
	about := ""
	if call.UsageSource == ledger.Estimated {
		about = "~"
	}
	if n, ok := call.Usage.Input(); ok {
		t.In = about + strconv.FormatInt(n, 10)
	}
	if n, ok := call.Usage.Output(); ok {
		t.Out = about + strconv.FormatInt(n, 10)
	}
	return t
}

func milliseconds(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%d", d.Milliseconds())
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return time.Since(t).Truncate(time.Second).String()
}

func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// pretty shows a body, indented where it is JSON.
func pretty(b []byte) string {
	var v json.RawMessage
	if json.Unmarshal(b, &v) == nil {
		if out, err := json.MarshalIndent(v, "", "  "); err == nil {
			return string(out)
		}
	}
	return strings.ToValidUTF8(string(b), "\ufffd")
}
