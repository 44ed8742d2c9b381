package proxy

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/ledger"
)

// timed is a route over providers with the given timeouts.
func timed(to Timeouts, fallback bool, providers ...ProviderSettings) Settings {
	ro := route("*", []string{providers[0].Name}, nil)
	if fallback {
		ro.Fallbacks = []TargetSettings{{Provider: providers[1].Name}}
	}
	ro.Timeouts = to
	return Settings{Providers: providers, Routes: []RouteSettings{ro}}
}

// silent sends events and then nothing, until the proxy goes away.
func silent(events ...string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, r *http.Request, _ string) {
		if len(events) > 0 {
			sse(w, events...)
		}
		<-r.Context().Done()
	}
}

// dripping sends an event for ever.
func dripping(event string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, r *http.Request, _ string) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			sse(w, event)
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	}
}

// No content in time is a failure, whatever else comes: headers, roles, pings.
func TestTTFT(t *testing.T) {
	for name, s := range speeches {
		bad := map[string]func(http.ResponseWriter, *http.Request, string){
			"nothing": silent(), "headers alone": silent(""), "comments": dripping(": wait\n\n"), "an opening": silent(strings.Join(s.opening, "")),
		}
		if len(s.opening) > 0 {
			bad["openings for ever"] = dripping(s.opening[len(s.opening)-1])
		}
		for what, h := range bad {
			t.Run(name+" "+what, func(t *testing.T) {
				v, good := newVendor(t, h), newVendor(t, answers(s.all()...))
				g := newRig(t, timed(Timeouts{TTFT: 150 * time.Millisecond}, true, at("bad", s.kind, v.url), at("good", s.kind, good.url)))
				resp, got := g.post(s.path, s.body)
				if got != visible(s.all()) || resp.Header.Get("X-Weir-Provider") != "good" {
					t.Errorf("%d %q", resp.StatusCode, got)
				}
				if c := g.one(); c.Outcome != ledger.OK || c.Attempts[0].ErrorClass != "upstream_timeout" {
					t.Errorf("call %+v", c)
				}
			})
		}
	}
}

func TestTTFTWithoutAFallbackIsAGatewayTimeout(t *testing.T) {
	for _, body := range []string{streamBody, chatBody} {
		v := newVendor(t, silent())
		g := newRig(t, timed(Timeouts{TTFT: 50 * time.Millisecond}, false, openaiAt(v.url)))
		resp, got := g.post("/v1/chat/completions", body)
		if resp.StatusCode != 504 || !strings.Contains(got, "upstream_timeout") {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
	}
}

// On a plain call the limit is to the headers; the body may take its time.
func TestTTFTOfAPlainCallEndsWithTheHeaders(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "application/json")
		w.(http.Flusher).Flush()
		time.Sleep(500 * time.Millisecond)
		io.WriteString(w, chatReply)
	})
	g := newRig(t, timed(Timeouts{TTFT: 250 * time.Millisecond}, false, openaiAt(v.url)))
	if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 200 || got != chatReply {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

// A stream that stands still after content is ended, told and cut; comments
// don't keep it alive, but slow content and Anthropic's own pings do.
func TestIdle(t *testing.T) {
	check := func(what string, alive bool, h func(http.ResponseWriter, *http.Request, string)) {
		t.Helper()
		v := newVendor(t, h)
		g := newRig(t, timed(Timeouts{Idle: 250 * time.Millisecond}, false, openaiAt(v.url)))
		_, got := g.post("/v1/chat/completions", streamBody)
		if told := strings.Contains(got, "upstream_timeout") && strings.Contains(got, "[broken"); told == alive {
			t.Errorf("%s: %q", what, got)
		}
		if c := g.one(); (c.Outcome == ledger.OK) != alive || !alive && c.ErrorClass != "upstream_timeout" {
			t.Errorf("%s: call %+v", what, c)
		}
	}
	check("silence", false, silent(chunk("hi")))
	check("comments", false, func(w http.ResponseWriter, r *http.Request, body string) {
		sse(w, chunk("hi"))
		dripping(": data: wait\n\n")(w, r, body)
	})
	check("slow content", true, func(w http.ResponseWriter, _ *http.Request, _ string) {
		for range 8 {
			sse(w, chunk("hi"))
			time.Sleep(40 * time.Millisecond)
		}
		sse(w, stopChunk, doneEvent)
	})
	check("a long event in pieces", true, func(w http.ResponseWriter, _ *http.Request, _ string) {
		sse(w, chunk("hi"))
		for part := range strings.SplitSeq(chunk("a b c d e f g"), " ") {
			sse(w, part)
			time.Sleep(40 * time.Millisecond)
		}
		sse(w, stopChunk, doneEvent)
	})
}

func TestTotal(t *testing.T) {
	check := func(what string, to Timeouts, body, header string, want int, h func(http.ResponseWriter, *http.Request, string)) {
		t.Helper()
		v := newVendor(t, h)
		g := newRig(t, timed(to, false, openaiAt(v.url)))
		resp, got := g.post("/v1/chat/completions", body, "X-Weir-Timeout", header)
		if resp.StatusCode != want || !strings.Contains(got, `"code":"timeout"`) || want == 200 && !strings.Contains(got, "[broken") {
			t.Errorf("%s: %d %s", what, resp.StatusCode, got)
		}
		if v.last().header.Get("X-Weir-Timeout") != "" {
			t.Errorf("%s: the header went up", what)
		}
		if c := g.one(); c.ErrorClass != "timeout" || c.Outcome != ledger.Failed {
			t.Errorf("%s: call %+v", what, c)
		}
	}
	check("route, plain", Timeouts{Total: 80 * time.Millisecond}, chatBody, "1h", 504, silent())
	check("client, plain", Timeouts{}, chatBody, "80ms", 504, silent())
	check("client, stream", Timeouts{}, streamBody, "80ms", 504, silent(roleChunk))
	check("client, in mid-stream", Timeouts{}, streamBody, "500ms", 200, dripping(chunk("x")))
}

// A wait longer than what is left of the call is not begun.
func TestNoWaitBeyondTheDeadline(t *testing.T) {
	v := newVendor(t, says(429, `{"error":{"message":"slow down"}}`, "Retry-After", "10"))
	s := timed(Timeouts{}, false, openaiAt(v.url))
	s.Routes[0].Retries = 2
	g := newRig(t, s)
	start := time.Now()
	resp, _ := g.post("/v1/chat/completions", chatBody, "X-Weir-Timeout", "3s")
	if resp.StatusCode != 429 || time.Since(start) > 2*time.Second || len(v.seen()) != 1 || resp.Header.Get("Retry-After") != "10" {
		t.Errorf("%d after %v, %d tries", resp.StatusCode, time.Since(start), len(v.seen()))
	}
}

// Pings come in each dialect's form, before content and between events.
func TestPingsOfEveryDialect(t *testing.T) {
	for name, s := range speeches {
		t.Run(name, func(t *testing.T) {
			ping := ": ping\n\n"
			switch name {
			case "anthropic":
				ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n"
			case "gemini": // google-genai for Python takes a comment for JSON
				ping = "\r\n"
			}
			next := make(chan struct{})
			v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
				select {
				case <-next:
				case <-r.Context().Done():
					return
				}
				for _, e := range s.all() {
					half := len(e) / 2
					sse(w, e[:half])
					time.Sleep(20 * time.Millisecond) // a ping is due inside of the event
					sse(w, e[half:])
				}
			})
			g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}, Keepalive: 10 * time.Millisecond})
			resp := g.send(context.Background(), "POST", s.path, s.body, "Content-Type", "application/json")
			defer resp.Body.Close()
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("X-Weir-Call-Id") == "" {
				t.Errorf("%d %v", resp.StatusCode, resp.Header)
			}
			in := bufio.NewReader(resp.Body)
			for range 3 {
				if got := nextEvent(t, in); got != ping {
					t.Fatalf("%q", got)
				}
			}
			close(next)
			rest, err := io.ReadAll(in)
			// Anthropic's own ping in the opening reads like ours.
			if got, want := strings.ReplaceAll(string(rest), ping, ""), strings.ReplaceAll(visible(s.all()), ping, ""); err != nil || got != want {
				t.Errorf("%v %q", err, got)
			}
			if c := g.one(); c.Outcome != ledger.OK || c.UsageSource != ledger.FromProvider {
				t.Errorf("call %+v", c)
			}
		})
	}
}

// After an upstream's own id: a comment would be taken for an event by some clients.
func TestNoPingAfterAnID(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		sse(w, "id: 1\n"+chunk("hi"))
		time.Sleep(100 * time.Millisecond)
		sse(w, stopChunk, doneEvent)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Keepalive: 10 * time.Millisecond})
	_, got := g.post("/v1/chat/completions", streamBody)
	if got = got[strings.Index(got, "id: 1"):]; got != "id: 1\n"+chunk("hi")+stopChunk+doneEvent {
		t.Errorf("%q", got)
	}
}

// A ping has sent the 200: fallback stays open, and a final failure is told
// in-band and the connection cut.
func TestFailureAfterPings(t *testing.T) {
	for name, s := range speeches {
		t.Run(name, func(t *testing.T) {
			slow := func(w http.ResponseWriter, r *http.Request, body string) {
				time.Sleep(50 * time.Millisecond)
				says(503, `{"error":{"message":"the engine is loading"}}`)(w, r, body)
			}
			one, two := newVendor(t, slow), newVendor(t, slow)
			set := timed(Timeouts{}, true, at("one", s.kind, one.url), at("two", s.kind, two.url))
			set.Keepalive = 10 * time.Millisecond
			g := newRig(t, set)
			resp, got := g.post(s.path, s.body)
			if resp.StatusCode != 200 || !strings.Contains(got, "the engine is loading") || !strings.Contains(got, "[broken") {
				t.Errorf("%d %q", resp.StatusCode, got)
			}
			if len(one.seen()) != 1 || len(two.seen()) != 1 {
				t.Errorf("%d and %d tries", len(one.seen()), len(two.seen()))
			}
			if c := g.one(); c.Status != 200 || c.Outcome != ledger.Failed || c.ErrorClass != "upstream_error" || len(c.Attempts) != 2 {
				t.Errorf("call %+v", c)
			}
		})
	}
}

func TestFallbackAfterPings(t *testing.T) {
	s := speeches["chat"]
	one := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		time.Sleep(50 * time.Millisecond)
		says(500, `{}`)(w, r, body)
	})
	two := newVendor(t, answers(s.all()...))
	set := timed(Timeouts{}, true, at("one", "openai", one.url), at("two", "openai", two.url))
	set.Keepalive = 10 * time.Millisecond
	g := newRig(t, set)
	resp, got := g.post(s.path, s.body)
	if resp.StatusCode != 200 || strings.ReplaceAll(got, ": ping\n\n", "") != visible(s.all()) {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
}

// Where nobody expects events there are no pings, however slow the reply.
func TestNoPingsOutsideOfStreams(t *testing.T) {
	var n atomic.Int32
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		time.Sleep(60 * time.Millisecond)
		if n.Add(1) > 1 {
			says(400, `{"error":{"message":"no"}}`)(w, r, body)
			return
		}
		anyReply(w, r, body)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Keepalive: 10 * time.Millisecond})
	if _, got := g.post("/v1/chat/completions", chatBody); got != chatReply {
		t.Errorf("%q", got)
	}
	if resp, got := g.post("/providers/up/v1/chat/completions", streamBody); resp.StatusCode != 400 || strings.Contains(got, "ping") {
		t.Errorf("raw: %d %q", resp.StatusCode, got)
	}
}
