package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/proxy/wire"
)

// What a server lacks is asked about anew after a while: servers are updated.
func TestLackedAPIsAreAskedAnew(t *testing.T) {
	var known traits
	known.remember("m", manner{lacks: of(wire.Responses)})
	if !known.lacks().has(wire.Responses) {
		t.Fatal("it was forgotten at once")
	}
	known.until.Store(time.Now().Add(-time.Second).UnixNano())
	if known.lacks().has(wire.Responses) {
		t.Error("it is known for good")
	}
	known.remember("m", manner{lacks: of(wire.Responses)})
	if !known.lacks().has(wire.Responses) {
		t.Error("it cannot be learned again")
	}
}

// A page of an ingress, while the server behind it is away, is no word of the
// server's: nothing is learned where the other API has not worked either.
func TestAnIngressTeachesNothing(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
	}{{404, ""}, {404, "<html><body>404 page</body></html>"}, {405, ""}, {501, ""}} {
		v := newVendor(t, says(c.status, c.body))
		g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "openai", v.url+"/v1")}})
		for range 2 {
			g.post("/v1/responses", `{"model":"llama","input":"x"}`)
		}
		asked := slices.DeleteFunc(v.paths(), func(path string) bool { return path != "/v1/responses" })
		if len(asked) != 2 {
			t.Errorf("%d %q: asked for Responses %d times in 2 calls", c.status, c.body, len(asked))
		}
	}
}

// One 400 that passes does not cost the usage of all later streams.
func TestAPassing400IsNoRefusalOfUsage(t *testing.T) {
	first := true
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if first {
			first = false
			says(400, `{"error":{"message":"try again"}}`)(w, r, body)
			return
		}
		sse(w, chunk("hi"), stopChunk, usageChunk, doneEvent)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	for range 2 {
		if resp, got := g.post("/v1/chat/completions", streamBody); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, got)
		}
	}
	if !strings.Contains(v.last().body, "include_usage") {
		t.Error("the second call is not asked for its usage")
	}
}

// What was learned of a model is asked about anew after a while, too.
func TestTraitsOfModelsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var known traits
		known.remember("m", manner{modelLacks: of(wire.Chat), limit: "max_completion_tokens", noSeals: true})
		known.refuseUsage()
		time.Sleep(traitsLast - time.Second)
		if m := known.model("m"); !m.lacks.has(wire.Chat) || m.limit == "" || !m.noSeals || !known.refusesUsage() {
			t.Fatalf("forgotten early: %+v", m)
		}
		time.Sleep(2 * time.Second)
		if m := known.model("m"); m != (modelTraits{}) {
			t.Errorf("known for good: %+v", m)
		}
		if known.refusesUsage() {
			t.Error("usage is refused for good")
		}
	})
}

// A page that names the path may be an ingress's (Apache's, Traefik's) as well.
func TestAPageThatNamesThePathIsUnsure(t *testing.T) {
	for _, body := range []string{
		"<html><p>The requested URL /v1/responses was not found on this server.</p></html>",
		"\n <!DOCTYPE html><pre>Cannot POST /v1/responses</pre>", "404 page not found\n",
	} {
		if none, sure := unknownPath(404, []byte(body), "/v1/responses"); !none || sure {
			t.Errorf("%q: none %t, sure %t", body, none, sure)
		}
	}
}

// A panic in a part is our own error: told as such, not tried again, and no
// fault of the provider's.
func TestAPanicInAPartIsInternal(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "openai", v.url+"/v1")}})
	up := g.proxy.state.Load().byName["up"]
	whole := up.transport
	up.transport = &transport{}
	resp, got := g.post("/v1/embeddings", fmt.Sprintf(`{"model":"up/m","input":%s}`, jsonText(words(3000))))
	if c := g.one(); resp.StatusCode != 500 || !strings.Contains(got, `"internal_error"`) || len(c.Attempts) != 1 {
		t.Errorf("%d %.200s; %d attempts", resp.StatusCode, got, len(c.Attempts))
	}
	up.transport = whole
	if resp, got := g.post("/v1/chat/completions", `{"model":"up/m","messages":[]}`); resp.StatusCode != 200 {
		t.Errorf("the next call: %d %s", resp.StatusCode, got)
	}
}
