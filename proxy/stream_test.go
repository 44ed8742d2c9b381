package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/ledger"
)

// A speech is one dialect's way to stream: what comes before content, the
// content, the end, and an error in its own words.
type speech struct {
	kind, path, body     string
	opening, text, close []string
	failure              string
}

func event(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }

var speeches = map[string]speech{
	"chat": {
		kind: "openai", path: "/v1/chat/completions", body: streamBody,
		opening: []string{": hello\n\n", roleChunk}, text: []string{chunk("hel"), chunk("lo")}, close: []string{stopChunk, usageChunk, doneEvent},
		failure: `data: {"error":{"message":"overloaded","type":"server_error","code":null,"param":null}}` + "\n\n",
	},
	"responses": {
		kind: "openai", path: "/v1/responses", body: `{"model":"gpt-4o","stream":true,"input":"hi"}`,
		opening: []string{
			event("response.created", `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","model":"gpt-4o"}}`),
			event("response.in_progress", `{"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","status":"in_progress"}}`),
			event("response.output_item.added", `{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}`),
		},
		text: []string{event("response.output_text.delta", `{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"hello"}`)},
		close: []string{
			event("response.completed", `{"type":"response.completed","sequence_number":4,"response":{"id":"resp_1","status":"completed","model":"gpt-4o-2024","output":[],"usage":{"input_tokens":9,"output_tokens":2,"total_tokens":11,"input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":0}}}}`),
		},
		failure: event("error", `{"type":"error","code":"server_error","message":"overloaded","param":null,"sequence_number":3}`),
	},
	"anthropic": {
		kind: "anthropic", path: "/v1/messages", body: `{"model":"claude-x","max_tokens":10,"stream":true,"messages":[{"role":"user","content":"hi"}]}`,
		opening: []string{
			event("message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x-1","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}`),
			event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`),
			event("ping", `{"type": "ping"}`),
		},
		text: []string{event("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}`)},
		close: []string{
			event("content_block_stop", `{"type":"content_block_stop","index":0}`),
			event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`),
			event("message_stop", `{"type":"message_stop"}`),
		},
		failure: event("error", `{"type":"error","error":{"type":"overloaded_error","message":"overloaded"}}`),
	},
	"gemini": {
		kind: "gemini", path: "/v1beta/models/gemini-x:streamGenerateContent?alt=sse", body: `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`,
		text: []string{`data: {"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]},"index":0}],"modelVersion":"gemini-x-1","usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}` + "\r\n\r\n"},
		close: []string{
			`data: {"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP","index":0}],"modelVersion":"gemini-x-1","usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"totalTokenCount":11}}` + "\r\n\r\n",
		},
		failure: `data: {"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}` + "\r\n\r\n",
	},
}

func (s speech) all() []string {
	return append(append(append([]string(nil), s.opening...), s.text...), s.close...)
}

// visible is what the client of a chat stream sees: not the usage that it did not ask for.
func visible(events []string) string {
	return strings.ReplaceAll(strings.Join(events, ""), usageChunk, "")
}

func TestStreamsOfEveryDialectPass(t *testing.T) {
	for name, s := range speeches {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, answers(s.all()...))
			g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
			resp, got := g.post(s.path, s.body)
			if resp.StatusCode != 200 || got != visible(s.all()) {
				t.Errorf("%d %q", resp.StatusCode, got)
			}
			c := g.one()
			in, _ := c.Usage.Input()
			out, _ := c.Usage.Output()
			if c.Outcome != ledger.OK || c.Status != 200 || in != 9 || out != 2 || c.UsageSource != ledger.FromProvider || c.StopReason == "" || c.TTFT <= 0 || !c.Stream {
				t.Errorf("call %+v", c)
			}
			if c.BytesOut != int64(len(got)) {
				t.Errorf("%d bytes recorded, %d sent", c.BytesOut, len(got))
			}
		})
	}
}

// The client has event N before the upstream sends the next one.
func TestEveryEventIsFlushed(t *testing.T) {
	for name, s := range speeches {
		t.Run(name, func(t *testing.T) {
			next := make(chan struct{})
			v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
				sse(w, s.opening...)
				for _, e := range append(append([]string(nil), s.text...), s.close...) {
					sse(w, e)
					select {
					case <-next:
					case <-r.Context().Done():
						return
					}
				}
			})
			g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
			resp := g.send(context.Background(), "POST", s.path, s.body, "Content-Type", "application/json")
			defer resp.Body.Close()
			in := bufio.NewReader(resp.Body)
			for _, want := range s.opening {
				if got := nextEvent(t, in); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			for _, want := range append(append([]string(nil), s.text...), s.close...) {
				if want != usageChunk {
					if got := nextEvent(t, in); got != want {
						t.Fatalf("got %q, want %q", got, want)
					}
				}
				next <- struct{}{}
			}
			if rest, err := io.ReadAll(in); err != nil || len(rest) != 0 {
				t.Errorf("rest %q %v", rest, err)
			}
		})
	}
}

// Until the first content a failure is silent; the second target's stream
// comes as if there had been no other.
func TestFallbackUntilFirstContent(t *testing.T) {
	for name, s := range speeches {
		opening := strings.Join(s.opening, "")
		broken := map[string]func(http.ResponseWriter, *http.Request, string){
			"error event":         answers(opening, s.failure),
			"clean end":           answers(opening),
			"reset":               func(w http.ResponseWriter, r *http.Request, _ string) { sse(w, opening); panic(http.ErrAbortHandler) },
			"cut inside an event": answers(opening, s.text[0][:len(s.text[0])/2]),
			"503":                 says(503, `{"error":{"message":"busy"}}`),
			"429":                 says(429, `{"error":{"message":"slow down"}}`, "Retry-After", "60"),
			"a web page": func(w http.ResponseWriter, _ *http.Request, _ string) {
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, "<html>log in</html>")
			},
			"JSON error": says(200, `{"error":{"message":"no"}}`),
		}
		for what, h := range broken {
			t.Run(name+" "+what, func(t *testing.T) {
				bad, good := newVendor(t, h), newVendor(t, answers(s.all()...))
				g := newRig(t, Settings{
					Providers: []ProviderSettings{at("bad", s.kind, bad.url), at("good", s.kind, good.url)},
					Routes:    []RouteSettings{route("*", []string{"bad"}, []string{"good"})},
				})
				resp, got := g.post(s.path, s.body)
				if got != visible(s.all()) || resp.Header.Get("X-Weir-Provider") != "good" || resp.Header.Get("X-Weir-Attempts") != "2" {
					t.Errorf("%d %v %q", resp.StatusCode, resp.Header, got)
				}
				if c := g.one(); c.Outcome != ledger.OK || len(c.Attempts) != 2 || c.Attempts[0].ErrorClass == "" || c.Provider != "good" {
					t.Errorf("call %+v", c)
				}
			})
		}
	}
}

// After content there is no other target, whatever the route allows: the
// failure is told in-band and the connection is cut.
func TestNoSwitchAfterContent(t *testing.T) {
	for name, s := range speeches {
		t.Run(name, func(t *testing.T) {
			head := append(append([]string(nil), s.opening...), s.text...)
			bad := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) { sse(w, head...); panic(http.ErrAbortHandler) })
			good := newVendor(t, answers(s.all()...))
			ro := route("*", []string{"bad", "good"}, []string{"good"})
			ro.Targets[0].Weight, ro.Retries = 1, 3
			g := newRig(t, Settings{Providers: []ProviderSettings{at("bad", s.kind, bad.url), at("good", s.kind, good.url)}, Routes: []RouteSettings{ro}})
			_, got := g.post(s.path, s.body)
			told, ok := strings.CutPrefix(got, strings.Join(head, ""))
			if !ok || !strings.Contains(told, "upstream_truncated") && !strings.Contains(told, "broke its reply off") || !strings.Contains(told, "[broken: unexpected EOF]") {
				t.Errorf("%q", got)
			}
			if n := len(bad.seen()) + len(good.seen()); n != 1 {
				t.Errorf("%d requests were made", n)
			}
			switch name {
			case "responses":
				if !strings.HasPrefix(told, "event: error\ndata: {\"type\":\"error\"") || !strings.Contains(told, `"sequence_number":4`) {
					t.Errorf("told %q", told)
				}
			case "anthropic":
				if !strings.HasPrefix(told, "event: error\ndata: {\"type\":\"error\",\"error\":{") {
					t.Errorf("told %q", told)
				}
			default:
				if !strings.HasPrefix(told, `data: {"error":{`) {
					t.Errorf("told %q", told)
				}
			}
			c := g.one()
			if c.Outcome != ledger.Failed || c.ErrorClass != "upstream_truncated" || c.Status != 200 || len(c.Attempts) != 1 || c.UsageSource == ledger.FromProvider || c.UsageSource == "" {
				t.Errorf("call %+v", c)
			}
		})
	}
}

// An upstream's own error after content passes as it is, and the call failed.
func TestErrorEventAfterContentPasses(t *testing.T) {
	for name, s := range speeches {
		t.Run(name, func(t *testing.T) {
			events := append(append(append([]string(nil), s.opening...), s.text...), s.failure)
			v := newVendor(t, answers(events...))
			g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
			if _, got := g.post(s.path, s.body); got != strings.Join(events, "") {
				t.Errorf("%q", got)
			}
			if c := g.one(); c.Outcome != ledger.Failed || c.ErrorClass != "upstream_error" || c.Status != 200 || c.Attempts[0].ErrorClass != "upstream_error" {
				t.Errorf("call %+v", c)
			}
		})
	}
}

func TestFailedResponseIsAFailedCall(t *testing.T) {
	s := speeches["responses"]
	failed := event("response.failed", `{"type":"response.failed","sequence_number":4,"response":{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"broke"}}}`)
	events := append(append(append([]string(nil), s.opening...), s.text...), failed)
	v := newVendor(t, answers(events...))
	g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
	if _, got := g.post(s.path, s.body); got != strings.Join(events, "") {
		t.Errorf("%q", got)
	}
	if c := g.one(); c.Outcome != ledger.Failed || c.ErrorClass != "upstream_error" {
		t.Errorf("call %+v", c)
	}
}

func TestTruncationOfEveryDialect(t *testing.T) {
	for name, s := range speeches {
		head := append(append([]string(nil), s.opening...), s.text...)
		end := s.close[0]
		for what, h := range map[string]func(http.ResponseWriter, *http.Request, string){
			"clean end":       answers(head...),
			"inside an event": answers(append(append([]string(nil), head...), end[:len(end)/2])...),
			"reset inside a event": func(w http.ResponseWriter, _ *http.Request, _ string) {
				sse(w, append(append([]string(nil), head...), end[:5])...)
				panic(http.ErrAbortHandler)
			},
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				v := newVendor(t, h)
				g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
				_, got := g.post(s.path, s.body)
				told, ok := strings.CutPrefix(got, strings.Join(head, ""))
				if !ok || !strings.Contains(told, "broke its reply off") || !strings.Contains(told, "[broken: unexpected EOF]") {
					t.Errorf("%q", got)
				}
				if c := g.one(); c.Outcome != ledger.Failed || c.ErrorClass != "upstream_truncated" {
					t.Errorf("call %+v", c)
				}
			})
		}
	}
}

// A chat stream with a stop reason and without [DONE] is whole: some servers
// never send it. One that breaks after it is whole too.
func TestEndsThatAreWhole(t *testing.T) {
	check := func(what, want string, h func(http.ResponseWriter, *http.Request, string)) {
		t.Helper()
		v := newVendor(t, h)
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
		if _, got := g.post("/v1/chat/completions", streamBody); got != want {
			t.Errorf("%s: %q", what, got)
		}
		if c := g.one(); c.Outcome != ledger.OK || c.ErrorClass != "" {
			t.Errorf("%s: call %+v", what, c)
		}
	}
	check("no terminator", chunk("hi")+stopChunk, answers(chunk("hi"), stopChunk))
	check("reset after the terminator", chunk("hi")+stopChunk+doneEvent, func(w http.ResponseWriter, _ *http.Request, _ string) {
		sse(w, chunk("hi"), stopChunk, usageChunk, doneEvent)
		panic(http.ErrAbortHandler)
	})
	check("a terminator alone", doneEvent, answers(doneEvent))
	check("twice done", chunk("hi")+stopChunk+doneEvent+doneEvent, answers(chunk("hi"), stopChunk, doneEvent, doneEvent))
}

// A reset after the stop reason but before the terminator leaves open whether
// more was to come: it is a truncation.
func TestResetBeforeTheTerminator(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		sse(w, chunk("hi"), stopChunk)
		panic(http.ErrAbortHandler)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	if _, got := g.post("/v1/chat/completions", streamBody); !strings.Contains(got, "upstream_truncated") || !strings.Contains(got, "[broken") {
		t.Errorf("%q", got)
	}
}

// Usage may stand on any chunk; the last one counts, and a client that asked
// for it gets it as it came.
func TestUsageOnAnyChunk(t *testing.T) {
	with := func(e string, usage string) string {
		return strings.Replace(e, `"choices"`, `"usage":`+usage+`,"choices"`, 1)
	}
	v := newVendor(t, answers(
		with(chunk("a"), `{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}`), with(chunk("b"), "null"),
		with(stopChunk, `{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}`), doneEvent))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	_, got := g.post("/v1/chat/completions", streamBody)
	if strings.Count(got, "data: ") != 4 {
		t.Errorf("%q", got)
	}
	c := g.one()
	if out, _ := c.Usage.Output(); out != 7 || c.UsageSource != ledger.FromProvider {
		t.Errorf("usage %s from %s", c.Usage.AppendJSON(nil), c.UsageSource)
	}
}

func TestUsageThatTheClientAskedForStays(t *testing.T) {
	v := newVendor(t, answers(speeches["chat"].all()...))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	body := `{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[]}`
	if _, got := g.post("/v1/chat/completions", body); !strings.Contains(got, usageChunk) {
		t.Errorf("%q", got)
	}
	if got := v.last().body; got != body {
		t.Errorf("upstream got %s", got)
	}
}

func TestUnknownEventsPass(t *testing.T) {
	events := []string{
		": a comment\n\n", "event: news\ndata: {\"x\":1}\nid: 7\n\n", "data:\n\n", "retry: 5\n\n", "data: [1,2]\n\n", "data: not json\n\n",
		"error: x\ndata: {\"choices\":[]}\n\n", "data: {\"choices\":[],\ndata: \"a\":1}\n\n", chunk("hi"), stopChunk, doneEvent,
	}
	v := newVendor(t, answers(events...))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	if _, got := g.post("/v1/chat/completions", streamBody); got != strings.Join(events, "") {
		t.Errorf("%q", got)
	}
}

// One byte per packet, and every kind of line end, change nothing.
func TestStreamInSingleBytes(t *testing.T) {
	s := speeches["chat"]
	whole := strings.Join(s.all(), "")
	for _, end := range []string{"\n", "\r\n", "\r"} {
		text := strings.ReplaceAll(whole, "\n", end)
		v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range len(text) {
				io.WriteString(w, text[i:i+1])
				w.(http.Flusher).Flush()
			}
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
		want := strings.ReplaceAll(visible(s.all()), "\n", end)
		if _, got := g.post(s.path, s.body); got != want {
			t.Errorf("%q: got %q, want %q", end, got, want)
		}
		if c := g.one(); c.UsageSource != ledger.FromProvider || c.Outcome != ledger.OK {
			t.Errorf("%q: call %+v", end, c)
		}
	}
}

// A stream that comes under another content type, or none, is one by its looks.
func TestStreamUnderAnotherContentType(t *testing.T) {
	for _, ct := range []string{"text/plain; charset=utf-8", "application/octet-stream"} {
		v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", ct)
			io.WriteString(w, strings.Join(speeches["chat"].all(), ""))
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
		if resp, got := g.post("/v1/chat/completions", streamBody); got != visible(speeches["chat"].all()) || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: %v %q", ct, resp.Header, got)
		}
	}
}

// Gemini streams a JSON array where nobody asked for events; its parts are
// not held until the end.
func TestGeminiArrayStream(t *testing.T) {
	parts := []string{"[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hel\"}]}}]}\n", ",\r\n{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"lo\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":2,\"totalTokenCount\":11}}\n", "]"}
	first := make(chan struct{})
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		io.WriteString(w, parts[0])
		w.(http.Flusher).Flush()
		select {
		case <-first:
		case <-r.Context().Done():
			return
		}
		io.WriteString(w, parts[1]+parts[2])
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{at("up", "gemini", v.url)}})
	resp := g.send(context.Background(), "POST", "/v1beta/models/gemini-x:streamGenerateContent", speeches["gemini"].body, "Content-Type", "application/json")
	defer resp.Body.Close()
	buf := make([]byte, len(parts[0]))
	if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != parts[0] {
		t.Fatalf("%q %v", buf, err)
	}
	close(first)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != parts[1]+parts[2] {
		t.Errorf("%q %v", rest, err)
	}
	c := g.one()
	if out, _ := c.Usage.Output(); out != 2 || c.UsageSource != ledger.FromProvider || c.Outcome != ledger.OK {
		t.Errorf("call %+v", c)
	}
}

// An event of many megabytes passes through a bounded buffer.
func TestHugeEvent(t *testing.T) {
	huge := chunk(strings.Repeat("some words ", 300_000))
	v := newVendor(t, answers(huge, stopChunk, doneEvent))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	if _, got := g.post("/v1/chat/completions", streamBody); got != huge+stopChunk+doneEvent {
		t.Errorf("%d bytes came, want %d: …%.200q", len(got), len(huge+stopChunk+doneEvent), got[max(0, len(got)-200):])
	}
}

// A client that pauses is no reason to blame the upstream: while Weir waits
// for the client, the upstream's idle time does not run.
func TestSlowClientIsNotAnIdleUpstream(t *testing.T) {
	event := chunk(strings.Repeat("some words ", 6000))
	const events = 160
	var sent atomic.Int64
	for _, prefix := range []string{"", "/providers/up"} {
		sent.Store(0)
		v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
			for range events {
				sse(w, event)
				sent.Add(1)
			}
			sse(w, stopChunk, doneEvent)
		})
		s := timed(Timeouts{Idle: 250 * time.Millisecond}, false, openaiAt(v.url))
		g := newRig(t, s)
		resp := g.send(context.Background(), "POST", prefix+"/v1/chat/completions", streamBody, "Content-Type", "application/json")
		for last := int64(-1); last != sent.Load(); time.Sleep(400 * time.Millisecond) { // until all buffers are full, and longer
			last = sent.Load()
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if want := int64(events*len(event) + len(stopChunk) + len(doneEvent)); err != nil || n != want {
			t.Errorf("%s: %d of %d bytes, %v", prefix, n, want, err)
		}
		if c := g.one(); c.Outcome != ledger.OK {
			t.Errorf("%s: call %+v", prefix, c)
		}
	}
}

// Servers without stream_options answer 400 or 422, in their own words.
func TestPlainerIsAskedOnlyWhereItHelps(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		says(400, `{"error":{"message":"context too long"}}`)(w, r, body)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	for i := range 3 {
		if resp, got := g.post("/v1/chat/completions", streamBody); resp.StatusCode != 400 || !strings.Contains(got, "context too long") {
			t.Errorf("%d: %d %s", i, resp.StatusCode, got)
		}
	}
	if p := g.proxy.state.Load().byName["up"]; p.traits.usage.Load() == usageRefused {
		t.Error("a 400 with and without stream_options says nothing about it")
	}
}

func TestStreamsRunSideBySide(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, body string) {
		n := body[strings.Index(body, "n-"):][:5]
		sse(w, chunk(n), chunk(n), stopChunk, usageChunk, doneEvent)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	done := make(chan string)
	const streams = 64
	for i := range streams {
		go func() {
			n := fmt.Sprintf("n-%03d", i)
			_, got := g.post("/v1/chat/completions", `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"`+n+`"}]}`)
			if got != chunk(n)+chunk(n)+stopChunk+doneEvent {
				done <- got
				return
			}
			done <- ""
		}()
	}
	for range streams {
		if wrong := within(t, "a stream", done); wrong != "" {
			t.Errorf("%q", wrong)
		}
	}
	for _, c := range g.calls(streams) {
		if c.Outcome != ledger.OK || c.UsageSource != ledger.FromProvider {
			t.Errorf("call %+v", c)
		}
	}
}
