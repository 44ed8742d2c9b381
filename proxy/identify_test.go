package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/ledger"
)

// A keyring gives a rig virtual keys.
type keyring struct {
	keys *ledger.Keys
	ring *ledger.KeyRing
}

func (k *keyring) option(t *testing.T) func(*Options) {
	return func(o *Options) {
		secret := []byte("0123456789abcdef0123456789abcdef")
		db := newStore(t, t.TempDir())
		t.Cleanup(func() { db.Close() })
		k.keys = ledger.NewKeys(db, secret)
		ring, err := ledger.OpenKeyRing(context.Background(), db, secret, o.Log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(ring.Close)
		k.ring, o.Keys = ring, ring
	}
}

func (k *keyring) make(t *testing.T, spec ledger.KeySpec) string {
	t.Helper()
	_, token, err := k.keys.Create(context.Background(), "test", spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.ring.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVirtualKeys(t *testing.T) {
	v := newVendor(t, anyReply)
	var k keyring
	g := newRig(t, Settings{Auth: AuthKeys, Providers: []ProviderSettings{openaiAt(v.url)}}, k.option(t))
	token := k.make(t, ledger.KeySpec{Name: "one", Project: "shop", Customer: "acme", Tags: map[string]string{"team": "a", "env": "prod"}})
	other := k.make(t, ledger.KeySpec{Name: "two"})
	calls := 0
	check := func(what string, want int, code, path string, headers ...string) {
		t.Helper()
		before := len(v.seen())
		resp, got := g.post(path, chatBody, headers...)
		if resp.StatusCode != want || !strings.Contains(got, code) {
			t.Errorf("%s: %d %s", what, resp.StatusCode, got)
		}
		if sent := len(v.seen()) > before; sent != (want == 200) {
			t.Errorf("%s: sent upstream: %v", what, sent)
		}
		if want == 200 {
			calls++
			up := v.last()
			if all := fmt.Sprint(up.header, up.uri); strings.Contains(all, "wk-") || up.header.Get("Authorization") != "Bearer sk-upstream-secret" {
				t.Errorf("%s: upstream saw %s", what, all)
			}
		} else if strings.Contains(got, token) || strings.Contains(got, "wk-0") {
			t.Errorf("%s: the reply shows the key: %s", what, got)
		}
	}
	const path = "/v1/chat/completions"
	check("bearer", 200, "", path, "Authorization", "Bearer "+token)
	check("bearer in lower case", 200, "", path, "Authorization", "bearer  "+token)
	check("bare", 200, "", path, "Authorization", token)
	check("x-api-key", 200, "", path, "X-Api-Key", token)
	check("x-goog-api-key", 200, "", path, "X-Goog-Api-Key", token)
	check("api-key", 200, "", path, "Api-Key", token)
	check("query", 200, "", path+"?key="+token)
	check("escaped query", 200, "", path+"?a=1&%6bey="+token)
	check("x-weir-key", 200, "", path, "X-Weir-Key", token)
	check("the same twice", 200, "", path, "Authorization", "Bearer "+token, "X-Api-Key", token)
	check("two different", 401, "conflicting_credentials", path, "Authorization", "Bearer "+token, "X-Api-Key", other)
	check("two different, one in the query", 401, "conflicting_credentials", path+"?key="+other, "Authorization", "Bearer "+token)
	check("two Authorizations", 401, "conflicting_credentials", path, "Authorization", "Bearer "+token, "Authorization", "Bearer "+other)
	check("two different, one ours", 401, "conflicting_credentials", path, "X-Weir-Key", other, "Authorization", "Bearer "+token)
	check("none", 401, "invalid_api_key", path)
	check("none, to ask which providers there are", 401, "invalid_api_key", "/providers/nobody/v1/chat/completions")
	check("a cookie", 401, "invalid_api_key", path, "Cookie", "key="+token)
	check("empty", 401, "invalid_api_key", path, "Authorization", "Bearer ")
	check("a vendor's", 401, "invalid_api_key", path, "Authorization", "Bearer sk-proj-123")
	check("malformed", 401, "invalid_api_key", path, "Authorization", "Bearer "+token[:len(token)-1]+"!")
	check("long", 401, "invalid_api_key", path, "Authorization", "Bearer "+strings.Repeat(token, 100))
	check("SQL", 401, "invalid_api_key", path, "Authorization", "Bearer wk-' OR 1=1 --")
	for _, c := range g.calls(calls) { // refused callers leave no rows
		if c.KeyID == "" || c.ProjectID == "" || c.Customer != "acme" || c.Tags["team"] != "a" {
			t.Errorf("call %+v", c)
		}
	}
}

func TestKeysThatAreNoLongerGood(t *testing.T) {
	v := newVendor(t, anyReply)
	var k keyring
	g := newRig(t, Settings{Auth: AuthKeys, Providers: []ProviderSettings{openaiAt(v.url)}}, k.option(t))
	ctx := context.Background()
	check := func(what, token string, want int, words string) {
		t.Helper()
		if err := k.ring.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		resp, got := g.post("/v1/chat/completions", chatBody, "Authorization", "Bearer "+token)
		if resp.StatusCode != want || !strings.Contains(got, words) || resp.Header.Get("X-Should-Retry") != "false" {
			t.Errorf("%s: %d %v %s", what, resp.StatusCode, resp.Header, got)
		}
	}
	revoked, paused := k.make(t, ledger.KeySpec{Name: "revoked"}), k.make(t, ledger.KeySpec{Name: "paused"})
	brief := k.make(t, ledger.KeySpec{Name: "brief", Expires: time.Now().Add(150 * time.Millisecond)})
	if _, err := k.keys.Revoke(ctx, "test", "revoked"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.keys.Pause(ctx, "test", "paused"); err != nil {
		t.Fatal(err)
	}
	check("revoked", revoked, 401, "revoked")
	check("paused", paused, 403, "paused")
	time.Sleep(200 * time.Millisecond) // the key's own time
	check("expired", brief, 401, "expired")
}

func TestModelsOfAKey(t *testing.T) {
	v := newVendor(t, anyReply)
	var k keyring
	p, w := openaiAt(v.url), at("claude", "anthropic", v.url)
	p.Models = []string{"gpt-4o", "gpt-4o-mini", "o1"}
	w.Models = []string{"claude-x"}
	g := newRig(t, Settings{Auth: AuthKeys, Providers: []ProviderSettings{p, w}, Routes: []RouteSettings{route("fast", []string{"up"}, nil)}}, k.option(t))
	token := k.make(t, ledger.KeySpec{Models: []string{"gpt-4o*", "fast"}, Customer: "acme"})
	check := func(method, path, body string, want int, words string) {
		t.Helper()
		resp, got := g.do(method, path, body, "Content-Type", "application/json", "Authorization", "Bearer "+token)
		if resp.StatusCode != want || !strings.Contains(got, words) {
			t.Errorf("%s %s %s: %d %s", method, path, body, resp.StatusCode, got)
		}
	}
	check("POST", "/v1/chat/completions", `{"model":"gpt-4o"}`, 200, "")
	check("POST", "/v1/chat/completions", `{"model":"gpt-4o-mini"}`, 200, "")
	check("POST", "/v1/chat/completions", `{"model":"fast"}`, 200, "")
	check("POST", "/v1/chat/completions", `{"model":"o1"}`, 403, "model_not_allowed")
	check("POST", "/v1/chat/completions", `{"model":"up/gpt-4o"}`, 403, "model_not_allowed")
	check("POST", "/v1/chat/completions", `{"model":"gpt-4o","model":"o1"}`, 400, "twice")
	check("POST", "/v1/messages", `{"model":"claude-x"}`, 403, "permission_error")
	check("POST", "/providers/up/v1/chat/completions", `{"model":"o1"}`, 403, "model_not_allowed")
	check("POST", "/providers/up/v1/chat/completions", `{"model":"gpt-4o"}`, 200, "")
	// What could run any model without naming it to us is closed.
	check("POST", "/v1/videos", `{"model":"sora"}`, 403, "model_not_allowed")
	check("POST", "/v1/batches", `{"input_file_id":"file-1"}`, 403, "model_not_allowed")
	check("POST", "/v1/responses", `{"prompt":{"id":"p"}}`, 403, "model_not_allowed")
	check("POST", "/v1/files", `{}`, 200, "")
	check("GET", "/v1/models", "", 200, `"gpt-4o"`)
	check("GET", "/v1/models/gpt-4o", "", 200, `"gpt-4o"`)
	check("GET", "/v1/models/o1", "", 403, "model_not_allowed")
	if _, got := g.do("GET", "/v1/models", "", "Authorization", "Bearer "+token); strings.Contains(got, `"o1"`) || !strings.Contains(got, `"fast"`) {
		t.Errorf("models %s", got)
	}
	for _, c := range g.calls(17) {
		if c.KeyID == "" || c.Customer != "acme" {
			t.Errorf("call %+v", c)
		}
	}
}

// What the request says of who asks lands in the call.
func TestWhoAsks(t *testing.T) {
	v := newVendor(t, anyReply)
	var k keyring
	g := newRig(t, Settings{Auth: AuthKeys, Providers: []ProviderSettings{openaiAt(v.url), at("claude", "anthropic", v.url)}, Routes: []RouteSettings{route("m", []string{"up"}, nil), route("c", []string{"claude"}, nil)}}, k.option(t))
	token := k.make(t, ledger.KeySpec{Customer: "default", Tags: map[string]string{"team": "a", "env": "prod"}})
	auth := []string{"Authorization", "Bearer " + token}
	g.post("/v1/chat/completions", `{"model":"m","user":"u1","metadata":{"order":"7","n":5}}`, append(auth, "X-Weir-Customer", "acme", "X-Weir-Feature", "search", "X-Weir-Session", "s1",
		"X-Weir-Tags", "env=test, x , =y", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")...)
	g.post("/v1/messages", `{"model":"c","metadata":{"user_id":"u2"}}`, auth...)
	g.post("/v1/chat/completions", `{"model":"m","safety_identifier":"u3"}`, append(auth, "X-Weir-Customer", "bad\xff", "X-Weir-Feature", strings.Repeat("é", 500))...)
	g.post("/v1/chat/completions", `{"model":`, append(auth, "X-Weir-Customer", "acme")...)
	calls := g.calls(4)
	c := calls[0]
	if c.Customer != "acme" || c.Feature != "search" || c.Session != "s1" || c.User != "u1" || c.Metadata["order"] != "7" || c.TraceID != "0af7651916cd43dd8448eb211c80319c" ||
		fmt.Sprint(c.Tags) != "map[env:test team:a x:]" {
		t.Errorf("call %+v", c)
	}
	if c := calls[1]; c.User != "u2" || c.Customer != "default" {
		t.Errorf("call %+v", c)
	}
	if c := calls[2]; c.User != "u3" || c.Customer != "bad\uFFFD" || len(c.Feature) > 130 {
		t.Errorf("call %+v", c)
	}
	if c := calls[3]; c.Customer != "acme" || c.KeyID == "" || c.ErrorClass != "invalid_request" || c.Status != 400 {
		t.Errorf("a call refused in its body: %+v", c)
	}
	for i, up := range v.seen() {
		for name := range up.header {
			if strings.HasPrefix(name, "X-Weir") {
				t.Errorf("request %d: %s went up", i, name)
			}
		}
	}
}

func TestPassthrough(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if r.Header.Get("Authorization") == "Bearer sk-bad" {
			says(401, `{"error":{"message":"no"}}`)(w, r, body)
			return
		}
		anyReply(w, r, body)
	})
	keyless := at("open", "openai", v.url+"/v1")
	keyless.APIKey = ""
	var k keyring
	g := newRig(t, Settings{
		Auth:      AuthPassthrough,
		Providers: []ProviderSettings{at("own", "openai", v.url+"/v1"), keyless, at("claude", "anthropic", v.url), at("gem", "gemini", v.url), at("gpu", "vllm", v.url+"/v1")},
		Routes: []RouteSettings{
			route("m", []string{"open"}, []string{"own"}), route("second", []string{"claude"}, []string{"open", "own"}), route("c", []string{"claude"}, nil),
			route("g", []string{"gem"}, nil), route("l", []string{"gpu"}, nil), route("only", []string{"open"}, nil),
		},
	}, k.option(t))
	token := k.make(t, ledger.KeySpec{Customer: "acme"})
	check := func(what, path, model, wantHeader, wantValue string, headers ...string) {
		t.Helper()
		before := len(v.seen())
		resp, got := g.post(path, `{"model":"`+model+`"}`, headers...)
		if wantHeader == "" {
			if resp.StatusCode != 401 || len(v.seen()) != before {
				t.Errorf("%s: %d %s", what, resp.StatusCode, got)
			}
			return
		}
		up := v.last().header
		if resp.StatusCode != 200 || up.Get(wantHeader) != wantValue {
			t.Errorf("%s: %d %s, upstream saw %v", what, resp.StatusCode, got, up)
		}
		for _, h := range credentialHeaders {
			if h != wantHeader && up.Get(h) != "" || strings.Contains(fmt.Sprint(up), "wk-") {
				t.Errorf("%s: upstream saw %v", what, up)
			}
		}
	}
	const chat, messages = "/v1/chat/completions", "/v1/messages"
	check("own kind", chat, "m", "Authorization", "Bearer sk-client", "Authorization", "Bearer sk-client")
	check("in another header", chat, "m", "Authorization", "Bearer sk-client", "X-Api-Key", "sk-client")
	check("anthropic", messages, "c", "X-Api-Key", "sk-ant-1", "X-Api-Key", "sk-ant-1")
	check("anthropic, an OAuth token", messages, "c", "Authorization", "Bearer sk-ant-oat-1", "Authorization", "Bearer sk-ant-oat-1")
	check("gemini in the query", "/v1beta/models/g:generateContent?key=AIza1", "g", "X-Goog-Api-Key", "AIza1")
	check("an OpenAI key at an engine", chat, "l", "Authorization", "Bearer sk-upstream-gpu", "Authorization", "Bearer sk-proj-1")
	check("another kind's key where none is configured", chat, "only", "", "", "Authorization", "Bearer sk-ant-1")
	check("another kind's key falls to a configured one", chat, "m", "Authorization", "Bearer sk-upstream-own", "Authorization", "Bearer sk-ant-1")
	check("no key where none is configured", chat, "only", "", "")
	check("no key where one is", chat, "m", "", "")
	check("not at the route's first target", chat, "second", "Authorization", "Bearer sk-upstream-own", "Authorization", "Bearer sk-client")
	check("two different", chat, "m", "", "", "Authorization", "Bearer sk-client", "X-Api-Key", "sk-other")
	check("attribution", chat, "m", "Authorization", "Bearer sk-client", "Authorization", "Bearer sk-client", "X-Weir-Key", token)
	check("one of ours in a vendor's place", chat, "m", "Authorization", "Bearer sk-upstream-own", "Authorization", "Bearer "+token)
	check("ours in both places", chat, "m", "Authorization", "Bearer sk-upstream-own", "Authorization", "Bearer "+token, "X-Weir-Key", token)
	check("two of ours", chat, "m", "", "", "Authorization", "Bearer "+token, "X-Weir-Key", k.make(t, ledger.KeySpec{}))
	check("an unknown one of ours", chat, "m", "", "", "Authorization", "Bearer sk-client", "X-Weir-Key", "wk-nobody")
	// A refused credential is the client's own: it is not tried elsewhere on our account.
	resp, _ := g.post(chat, `{"model":"m"}`, "Authorization", "Bearer sk-bad")
	if resp.StatusCode != 401 || resp.Header.Get("X-Weir-Attempts") != "1" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestAuthOffDropsCredentials(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	resp, _ := g.post("/v1/chat/completions?key=sk-a", chatBody, "Authorization", "Bearer sk-b", "X-Api-Key", "sk-c", "X-Weir-Key", "wk-x", "Cookie", "c=sk-d")
	up := v.last()
	if all := fmt.Sprint(up.uri, up.header); resp.StatusCode != 200 || strings.Contains(strings.ReplaceAll(all, "sk-upstream-secret", ""), "sk-") || strings.Contains(all, "wk-") {
		t.Errorf("%d, upstream saw %s", resp.StatusCode, all)
	}
}
