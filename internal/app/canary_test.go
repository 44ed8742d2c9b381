package app

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/ledger"
)

// A witness is an upstream, and a stranger that it redirects to; it notes what
// either gets beside the provider's own key.
type witness struct {
	upstream *httptest.Server
	mu       sync.Mutex
	sent     []string
}

func newWitness(t *testing.T) *witness {
	w := &witness{}
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { w.note(r) }))
	t.Cleanup(stranger.Close)
	w.upstream = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer CANARY-provider" {
			t.Errorf("the upstream got %q", got)
		}
		r.Header.Del("Authorization")
		w.note(r)
		if strings.Contains(r.URL.Path, "/moderations") {
			http.Redirect(out, r, stranger.URL, http.StatusTemporaryRedirect)
			return
		}
		out.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(w.upstream.Close)
	return w
}

func (w *witness) note(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, fmt.Sprint(r.Header, r.URL))
}

// TestSecretsNeverLeave plants secrets wherever there is a place for one and
// looks for them in all that Weir writes, sends and says.
func TestSecretsNeverLeave(t *testing.T) {
	w := newWitness(t)
	const secret = "secret: CANARY-secret-with-32-characters-or-more\n"
	h := start(t, basic+secret)
	h.write(strings.Replace(basic, "providers: {mock: {kind: mock}}", secret+`
auth: keys
providers:
  mock: {kind: mock, api_key: CANARY-mock}
  up: {kind: openai, base_url: '`+w.upstream.URL+`/v1', api_key: CANARY-provider}
  dead: {kind: openai, base_url: 'http://127.0.0.1:1/v1', api_key: CANARY-provider, headers: {x-more: CANARY-header}}
`, 1))
	if err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	_, token, err := ledger.NewKeys(h.App.db, h.secret).Create(t.Context(), "test", ledger.KeySpec{Name: "k", Project: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.keys.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	said := h.tempt(token)
	admin := "Bearer " + string(h.Token().Value)
	for _, path := range []string{"metrics", "api/v1/config", "api/v1/providers", "api/v1/keys", "api/v1/calls", "api/v1/status"} {
		_, text := h.do("GET", h.AdminURL()+path, "", "Authorization", admin)
		said[path] = text
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := h.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	h.end()
	said["the log"] = h.log.String()
	w.mu.Lock()
	said["requests to upstreams"] = strings.Join(w.sent, "\n")
	if len(w.sent) < 5 {
		t.Errorf("the upstream was asked %d times", len(w.sent))
	}
	w.mu.Unlock()
	h.readData(said)
	for where, text := range said {
		for _, secret := range []string{"CANARY", token, string(h.Token().Value)} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s: %.20q…: …%s…", where, secret, text[max(0, i-200):min(len(text), i+60)])
			}
		}
	}
}

// tempt makes calls that carry secrets in every place that a call has, good
// and bad ones, and returns what was answered.
func (h *house) tempt(token string) map[string]string {
	said := map[string]string{}
	ask := func(path, model string, header ...string) {
		h.t.Helper()
		_, body := h.do("POST", h.URL()+path, `{"model":"`+model+`","messages":[{"role":"user","content":"CANARY-content"}],"input":"CANARY-content"}`, header...)
		if model != "mock/x" { // which repeats what it is told
			said["an answer of "+model] += body
		}
	}
	for _, model := range []string{"mock/x", "up/x", "dead/x", "nobody"} {
		ask("/v1/chat/completions", model, "Authorization", "Bearer "+token)
		ask("/v1/chat/completions", model, "X-Api-Key", token)
		ask("/v1/chat/completions?key="+token, model)
		ask("/v1/chat/completions", model, "Authorization", "Bearer CANARY-client")
		ask("/v1/chat/completions", model, "Authorization", "Bearer CANARY-client", "Api-Key", token)
		ask("/v1/chat/completions", model, "Authorization", "Bearer "+token, "Cookie", "a=CANARY-cookie")
		ask("/v1/moderations", model, "Authorization", "Bearer "+token)
	}
	return said
}

// readData adds the files of the data directory, but for the token's own.
func (h *house) readData(said map[string]string) {
	h.t.Helper()
	err := filepath.WalkDir(filepath.Join(h.dir, "data"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == tokenFile {
			return err
		}
		b, err := os.ReadFile(path)
		said[e.Name()] = string(b)
		return err
	})
	if err != nil {
		h.t.Error(err)
	}
}
