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

// TestSecretsNeverLeave plants secrets wherever there is a place for one and
// looks for them in all that Weir writes, sends and says.
func TestSecretsNeverLeave(t *testing.T) {
	var mu sync.Mutex
	var sent []string // to hosts that have no business with it
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, fmt.Sprint(r.Header, r.URL))
	}))
	defer stranger.Close()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if got := r.Header.Get("Authorization"); got != "Bearer CANARY-provider" {
			t.Errorf("the upstream got %q", got)
		}
		h := r.Header.Clone()
		h.Del("Authorization")
		sent = append(sent, fmt.Sprint(h, r.URL))
		if strings.Contains(r.URL.Path, "/moderations") {
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer upstream.Close()

	h := start(t, basic+`
secret: CANARY-secret-with-32-characters-or-more
log: {level: debug}
`)
	h.write(strings.Replace(basic, "providers: {mock: {kind: mock}}", `
secret: CANARY-secret-with-32-characters-or-more
auth: keys
providers:
  mock: {kind: mock, api_key: CANARY-mock}
  up: {kind: openai, base_url: '`+upstream.URL+`/v1', api_key: CANARY-provider}
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

	var said []string
	ask := func(path, model string, header ...string) {
		t.Helper()
		_, body := h.do("POST", h.URL()+path, `{"model":"`+model+`","messages":[{"role":"user","content":"CANARY-content"}],"input":"CANARY-content"}`, header...)
		if model != "mock/x" { // which repeats what it is told
			said = append(said, body)
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
	_, metrics := h.do("GET", h.AdminURL()+"metrics", "")
	_, shown := h.do("GET", h.AdminURL()+"api/v1/config", "", "Authorization", "Bearer "+string(h.Token().Value))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := h.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	h.end()

	search := func(where, text string) {
		t.Helper()
		for _, secret := range []string{"CANARY", token, string(h.Token().Value)} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s holds %.20q…: …%s…", where, secret, text[max(0, i-200):min(len(text), i+60)])
			}
		}
	}
	search("the log", h.log.String())
	search("the metrics", metrics)
	search("the admin API", shown)
	search("an answer", strings.Join(said, "\n"))
	mu.Lock()
	if len(sent) < 5 {
		t.Errorf("the upstream was asked %d times", len(sent))
	}
	search("a request to an upstream", strings.Join(sent, "\n"))
	mu.Unlock()
	err = filepath.WalkDir(filepath.Join(h.dir, "data"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == tokenFile {
			return err
		}
		b, err := os.ReadFile(path)
		search(e.Name(), string(b))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
