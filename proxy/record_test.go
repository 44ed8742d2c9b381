package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/ledger"
)

// spoolHolds reports whether the call's closed record is in the spool's files:
// a kill at this moment would lose nothing.
func (g *rig) spoolHolds(id string) bool {
	g.t.Helper()
	files, err := filepath.Glob(filepath.Join(g.spool, "*"))
	if err != nil {
		g.t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil && !os.IsNotExist(err) { // a shipped segment goes away
			g.t.Fatal(err)
		}
		n += bytes.Count(b, []byte(id))
	}
	return n >= 2 // opened and closed
}

// The record is in the kernel's hands when the client has the last byte: for
// small and large bodies, of known length and not, and for every stream.
func TestRecordComesBeforeTheLastByte(t *testing.T) {
	large := `{"id":"x","choices":[{"message":{"content":"` + strings.Repeat("x", 3<<20) + `"}}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}`
	check := func(what, kind, path, body string, h func(http.ResponseWriter, *http.Request, string)) {
		t.Helper()
		var want string
		more := make(chan struct{})
		v := newVendor(t, func(w http.ResponseWriter, r *http.Request, b string) {
			h(w, r, b)
			w.(http.Flusher).Flush()
			if strings.HasPrefix(what, "stream") { // the terminator has passed, the body's end has not
				select {
				case <-more:
				case <-r.Context().Done():
				}
			}
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{at("up", kind, v.url)}})
		if strings.HasPrefix(what, "stream") {
			for _, s := range speeches {
				if s.path == path {
					want = visible(s.all())
				}
			}
			if want == "" {
				want = strings.Join(speeches["chat"].all(), "")
			}
		}
		resp := g.send(context.Background(), "POST", path, body, "Content-Type", "application/json")
		defer resp.Body.Close()
		var err error
		if want != "" {
			_, err = io.ReadFull(resp.Body, make([]byte, len(want)))
		} else {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %v", what, resp.StatusCode, err)
		}
		id := resp.Header.Get("X-Weir-Call-Id")
		if !g.spoolHolds(id) && len(g.stored()) == 0 {
			t.Errorf("%s: the record was not there", what)
		}
		close(more)
		if c := g.one(); c.ID != id || c.Outcome != ledger.OK || c.UsageSource != ledger.FromProvider {
			t.Errorf("%s: call %+v", what, c)
		}
	}
	check("small", "openai", "/v1/chat/completions", chatBody, says(200, chatReply))
	check("large", "openai", "/v1/chat/completions", chatBody, says(200, large))
	check("large of known length", "openai", "/v1/chat/completions", chatBody, says(200, large, "Content-Length", fmt.Sprint(len(large))))
	check("raw", "openai", "/providers/up/v1/chat/completions", chatBody, says(200, chatReply))
	check("stream, raw", "openai", "/providers/up/v1/chat/completions", streamBody, answers(speeches["chat"].all()...))
	for _, s := range speeches {
		check("stream", s.kind, s.path, s.body, answers(s.all()...))
	}
}

// The opened record is there before the upstream hears of the call.
func TestOpenedComesBeforeTheAttempt(t *testing.T) {
	var g *rig
	found := make(chan int, 1)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		files, _ := filepath.Glob(filepath.Join(g.spool, "*"))
		n := 0
		for _, f := range files {
			b, _ := os.ReadFile(f)
			n += bytes.Count(b, []byte("call_"))
		}
		found <- n
		anyReply(w, r, body)
	})
	g = newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	g.post("/v1/chat/completions", chatBody)
	if n := within(t, "the upstream", found); n == 0 {
		t.Error("no opened record")
	}
}

// Where the spool takes nothing, nothing is sent: it could be lost.
func TestFullSpoolRefuses(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := g.rec.Shutdown(ctx); err != nil { // a spool that is closed takes nothing either
		t.Fatal(err)
	}
	g.down = true
	resp, got := g.post("/v1/chat/completions", chatBody)
	if resp.StatusCode != 503 || !strings.Contains(got, "recorder_full") || resp.Header.Get("Retry-After") != "5" || len(v.seen()) != 0 {
		t.Errorf("%d %v %s, %d requests up", resp.StatusCode, resp.Header, got, len(v.seen()))
	}
}

// Bodies are kept only where asked, up to a length, pings and all.
func TestCapture(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if strings.Contains(body, `"stream":true`) {
			sse(w, chunk("hello"), stopChunk, doneEvent)
			return
		}
		says(200, chatReply)(w, r, body)
	})
	for _, on := range []bool{true, false} {
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Capture: Capture{Bodies: on, MaxBytes: 60}})
		g.post("/v1/chat/completions", chatBody)
		g.post("/v1/chat/completions", streamBody)
		g.calls(2)
		g.shut()
		held := g.everythingKept()
		if got := strings.Contains(held, chatBody[:60]) && strings.Contains(held, chatReply[:60]) && strings.Contains(held, chunk("hello")[:60]); got != on {
			t.Errorf("capture %v: bodies kept: %v", on, got)
		}
		if strings.Contains(held, chatBody[:61]) || strings.Contains(held, chatReply[:61]) {
			t.Error("more is kept than may be")
		}
	}
}

// everythingKept is all that the spool and the database hold, as bytes.
func (g *rig) everythingKept() string {
	g.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(g.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return all.String()
}

// What a refused or failed call is recorded as.
func TestOutcomes(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	g.post("/v1/chat/completions", `{`)
	g.post("/v1/chat/completions", `{"model":"m","user":"u"}`, "X-Weir-Provider", "nobody")
	g.do("GET", "/v1/models", "")
	g.do("GET", "/nowhere", "") // not of any API: no row
	calls := g.calls(3)
	if c := calls[0]; c.Status != 400 || c.Outcome != ledger.Failed || c.ErrorClass != "invalid_request" || c.BytesIn != 1 || len(c.Attempts) != 0 || c.Total <= 0 {
		t.Errorf("call %+v", c)
	}
	if c := calls[1]; c.Status != 400 || c.ErrorClass != "no_provider" || c.AskedModel != "m" || c.User != "u" {
		t.Errorf("call %+v", c)
	}
	if c := calls[2]; c.Status != 200 || c.Outcome != ledger.OK || c.API != "models" || c.UsageSource != "" {
		t.Errorf("call %+v", c)
	}
}
