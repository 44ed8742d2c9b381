package proxy

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
	"testing"

	"weir/ledger"
)

// TestPrompts: calls that ask the same are told as the same, all others apart,
// however they come.
func TestPrompts(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	var mu sync.Mutex
	var got []uint64
	settings := Settings{Providers: []ProviderSettings{openaiAt(v.url)}, WatchPrompts: true}
	g := newRig(t, settings, func(o *Options) {
		o.Closed = func(c *ledger.Call, prompt uint64) {
			mu.Lock()
			defer mu.Unlock()
			if len(c.Attempts) != 1 {
				t.Errorf("%d attempts", len(c.Attempts))
			}
			got = append(got, prompt)
		}
	})
	hash := func(path, body string, headers ...string) uint64 {
		t.Helper()
		resp, text := g.post(path, body, headers...)
		if resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, text)
		}
		mu.Lock()
		defer mu.Unlock()
		last := got[len(got)-1]
		return last
	}
	const chat = "/v1/chat/completions"
	ask := func(text string) string {
		return `{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"` + text + `"}]}`
	}
	first := hash(chat, ask("a"))
	same := func(what string, h uint64) {
		t.Helper()
		if h != first {
			t.Errorf("%s: asks another thing", what)
		}
	}
	seen := map[uint64]string{0: "nothing", first: "the first"}
	other := func(what string, h uint64) {
		t.Helper()
		if before, twice := seen[h]; twice {
			t.Errorf("%s asks the same as %s", what, before)
		}
		seen[h] = what
	}
	same("the same", hash(chat, ask("a")))
	same("for another user", hash(chat, strings.Replace(ask("a"), `{"model":"m",`, `{"model":"n", "user":"u", "temperature":1,`, 1)))
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(ask("a")))
	_ = z.Close()
	same("compressed", hash(chat, zipped.String(), "Content-Encoding", "gzip"))
	other("another input below the same system prompt", hash(chat, ask("b")))
	other("a conversation that has grown", hash(chat, strings.Replace(ask("a"), `]}`, `,{"role":"assistant","content":"x"},{"role":"user","content":"a"}]}`, 1)))
	other("texts that are cut elsewhere", hash(chat, strings.NewReplacer("be brief", "be brief a", `"a"`, `""`).Replace(ask("a"))))
	const responses = "/v1/responses"
	turn := func(previous string) string {
		return `{"model":"m","store":false,"previous_response_id":"` + previous + `","input":"go on"}`
	}
	other("a turn of a conversation that the vendor keeps", hash(responses, turn("resp_1")))
	other("its next turn", hash(responses, turn("resp_2")))
	image := func(data string) string {
		return `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,` + data + `"}}]}]}`
	}
	other("an image", hash(chat, image("AAAA")))
	other("another image", hash(chat, image("AAAB")))
	long := strings.Repeat("x", 3<<20)
	other("a long one", hash(chat, ask(long)))
	other("another begin", hash(chat, ask("y"+long[1:])))
	other("a longer one", hash(chat, ask(long+"x")))
	before := len(got)
	if err := g.proxy.Apply(Settings{Providers: settings.Providers}); err != nil {
		t.Fatal(err)
	}
	if resp, _ := g.post(chat, ask("a")); resp.StatusCode != http.StatusOK || len(got) != before {
		t.Error("a call is told of where nobody watches prompts")
	}
}
