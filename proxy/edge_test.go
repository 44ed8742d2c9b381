package proxy

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/ledger"
)

// A compressed reply that breaks off is as truncated as any other.
func TestTruncatedCompression(t *testing.T) {
	for request, reply := range map[string]string{chatBody: chatReply, streamBody: chunk("hello") + stopChunk + usageChunk + doneEvent} {
		ct := "application/json"
		if request == streamBody {
			ct = "text/event-stream"
		}
		v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", ct)
			w.Header().Set("Content-Encoding", "gzip")
			whole := packed(t, "gzip", reply)
			io.WriteString(w, whole[:len(whole)/2])
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
		resp, got := g.post("/v1/chat/completions", request)
		if !strings.Contains(got, "upstream_truncated") && !strings.Contains(got, "upstream_invalid") || strings.Contains(got, "[DONE]") {
			t.Errorf("%d %q", resp.StatusCode, got)
		}
		if c := g.one(); c.Outcome != ledger.Failed {
			t.Errorf("call %+v", c)
		}
	}
}

// Reasoning alone, a refusal, a filter, tools, nothing at all: no failures.
func TestRepliesWithoutText(t *testing.T) {
	data := func(delta, finish string) string {
		return `data: {"id":"c1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}` + "\n\n"
	}
	filter := `data: {"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}` + "\n\n"
	for _, events := range [][]string{
		{data(`{"reasoning_content":"hm"}`, "null"), data("{}", `"stop"`), doneEvent},
		{data(`{"reasoning":"hm"}`, "null"), data("{}", `"length"`), doneEvent},
		{data(`{"refusal":"no"}`, "null"), data("{}", `"stop"`), doneEvent},
		{data(`{"role":"assistant","content":""}`, "null"), data("{}", `"content_filter"`), doneEvent},
		{filter, roleChunk, data(`{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":""}}]}`, "null"), data(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"a"}}]}`, "null"), data("{}", `"tool_calls"`), doneEvent},
		{roleChunk, stopChunk, doneEvent},
	} {
		v := newVendor(t, answers(events...))
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
		if resp, got := g.post("/v1/chat/completions", streamBody); resp.StatusCode != 200 || got != strings.Join(events, "") {
			t.Errorf("%d %q", resp.StatusCode, got)
		}
		if c := g.one(); c.Outcome != ledger.OK || c.StopReason == "" {
			t.Errorf("call %+v", c)
		}
	}
}

// Counting a large prompt holds nothing up: text that byte pairs hardly shorten
// takes a second for a megabyte, so it is counted only where the upstream
// does not say what it used.
func TestLargePromptIsNotCountedFirst(t *testing.T) {
	letters := make([]byte, 100<<10)
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range letters {
		letters[i] = byte('a' + rng.IntN(26))
	}
	asked := make(chan time.Time, 1)
	v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, body string) {
		asked <- time.Now()
		sse(w, chunk("hi"), stopChunk, doneEvent)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	g.proxy.tokens.workers.Wait()
	begin := time.Now()
	want, _ := g.proxy.tokens.c.CountBytes("gpt-4o", letters)
	counting := time.Since(begin)
	begin = time.Now()
	g.post("/v1/chat/completions", `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"`+string(letters)+`"}]}`)
	if d := (<-asked).Sub(begin); d > counting/2 {
		t.Errorf("the upstream is asked after %v, where counting takes %v", d, counting)
	}
	if in, _ := g.one().Usage.Input(); in != want+perMessage+perReply+1 && in != want+perMessage+perReply {
		t.Errorf("%d tokens recorded, %d counted", in, want)
	}
}

// A reload lets calls under way end as they began.
func TestReloadUnderAStream(t *testing.T) {
	next := make(chan struct{})
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		sse(w, chunk("a"))
		select {
		case <-next:
			sse(w, chunk("b"), stopChunk, doneEvent)
		case <-r.Context().Done():
		}
	})
	w := newVendor(t, says(200, chatReply))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("old", v)}})
	resp := g.send(context.Background(), "POST", "/v1/chat/completions", streamBody, "Content-Type", "application/json")
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	nextEvent(t, in)
	if err := g.proxy.Apply(Settings{Providers: []ProviderSettings{openaiNamed("new", w)}}); err != nil {
		t.Fatal(err)
	}
	if resp, _ := g.post("/v1/chat/completions", chatBody); resp.Header.Get("X-Weir-Provider") != "new" {
		t.Errorf("after the reload: %v", resp.Header)
	}
	close(next)
	if rest, err := io.ReadAll(in); err != nil || string(rest) != chunk("b")+stopChunk+doneEvent {
		t.Errorf("%q %v", rest, err)
	}
	for _, c := range g.calls(2) {
		if c.Outcome != ledger.OK {
			t.Errorf("call %+v", c)
		}
	}
}

// A client can neither choose the upstream's address nor see to it that the
// provider's key is taken off, or goes elsewhere.
func TestCallersDoNotSteerTheUpstream(t *testing.T) {
	evil := newVendor(t, anyReply)
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	body := `{"model":"m","api_base":"` + evil.url + `","base_url":"` + evil.url + `","api_key":"x","extra_headers":{"Host":"evil"}}`
	resp, got := g.post("/v1/chat/completions", body, "Connection", "authorization, accept-encoding, content-type", "X-Forwarded-Host", "evil", "X-Original-Url", evil.url, "Proxy-Connection", "x")
	up := v.last()
	if resp.StatusCode != 200 || up.body != body || up.header.Get("Authorization") != "Bearer sk-upstream-secret" || "http://"+up.host != v.url || up.header.Get("X-Forwarded-Host") != "" {
		t.Errorf("%d %s, up went %+v", resp.StatusCode, got, up)
	}
	g.do("POST", "/v1/chat/completions", body, "Content-Type", "application/json", "Host", "evil")
	if n := len(evil.seen()); n != 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}

// Whatever an upstream calls its model, stop reason or tier, the row is kept.
func TestOddNamesAreStored(t *testing.T) {
	reply := `{"id":"x\u0000","model":"m\ud800\u0000` + strings.Repeat("y", 3000) + `","choices":[{"index":0,"message":{"role":"assistant","content":"\ud83d"},"finish_reason":"st\u0000op"}],"service_tier":"\udfff","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
	v := newVendor(t, says(200, reply, "X-Request-Id", strings.Repeat("r", 5000)))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	resp, got := g.post("/v1/chat/completions", `{"model":"m","user":"u\u0000\ud800","metadata":{"a\ud800":"\u0000"}}`, "X-Weir-Tags", "'; DROP TABLE calls;--=%%%%")
	if resp.StatusCode != 200 || got != reply {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	if c := g.one(); len(c.ServedModel) > 200 || len(c.Attempts[0].RequestID) > 200 || len(c.Tags) != 1 || c.Outcome != ledger.OK {
		t.Errorf("call %+v", c)
	}
}
