package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/costs"
	"weir/ledger"
)

const chatBody = `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"temperature":1.0,"big":12345678901234567890,"esc":"\u003c<"}`

const chatReply = `{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":4}}}`

// sse writes events and flushes each.
func sse(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range events {
		io.WriteString(w, e)
		w.(http.Flusher).Flush()
	}
}

func chunk(content string) string {
	return fmt.Sprintf(`data: {"id":"c1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`+"\n\n", content)
}

const (
	roleChunk  = `data: {"id":"c1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n"
	stopChunk  = `data: {"id":"c1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	usageChunk = `data: {"id":"c1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}` + "\n\n"
	doneEvent  = "data: [DONE]\n\n"
)

const streamBody = `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}`

func TestPlainCall(t *testing.T) {
	var got string
	var header http.Header
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, header = string(b), r.Header
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "req_up")
		w.Header().Set("X-Ratelimit-Remaining-Requests", "7")
		w.Header().Set("Set-Cookie", "a=b")
		io.WriteString(w, chatReply)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
	resp, body := g.post("/v1/chat/completions", chatBody, "Authorization", "Bearer sk-client", "X-Weir-Customer", "acme", "X-Weir-Tags", "a=b,c", "OpenAI-Beta", "x=1")
	if resp.StatusCode != 200 || body != chatReply {
		t.Fatalf("reply %d %s", resp.StatusCode, body)
	}
	if got != chatBody {
		t.Errorf("upstream got %s", got)
	}
	if a := header.Get("Authorization"); a != "Bearer sk-upstream-secret" {
		t.Errorf("upstream saw the credential %q", a)
	}
	if header.Get("Openai-Beta") != "x=1" || header.Get("X-Weir-Customer") != "" {
		t.Errorf("upstream headers %v", header)
	}
	h := resp.Header
	if h.Get("X-Request-Id") != "req_up" || h.Get("X-Ratelimit-Remaining-Requests") != "7" || h.Get("Set-Cookie") != "" ||
		!strings.HasPrefix(h.Get("X-Weir-Call-Id"), "call_") || h.Get("X-Weir-Provider") != "up" || h.Get("X-Weir-Model") != "gpt-4o" || h.Get("X-Weir-Attempts") != "1" {
		t.Errorf("reply headers %v", h)
	}
	c := g.one()
	if c.ID != h.Get("X-Weir-Call-Id") || c.Outcome != ledger.OK || c.Status != 200 || c.Customer != "acme" || c.Tags["a"] != "b" ||
		c.AskedModel != "gpt-4o" || c.ServedModel != "gpt-4o-2024-08-06" || c.StopReason != "stop" || c.UsageSource != ledger.FromProvider {
		t.Errorf("call %+v", c)
	}
	cached, _ := c.Usage.Get(costs.InputCacheRead)
	in, _ := c.Usage.Input()
	out, _ := c.Usage.Output()
	if cached != 4 || in != 9 || out != 2 {
		t.Errorf("usage %s", c.Usage.AppendJSON(nil))
	}
	if c.BytesIn != int64(len(chatBody)) || c.BytesOut != int64(len(chatReply)) || len(c.Attempts) != 1 || c.Attempts[0].RequestID != "req_up" {
		t.Errorf("call %+v", c)
	}
}

func TestStreamStripsTheUsageItAskedFor(t *testing.T) {
	var got string
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = string(b)
		sse(w, roleChunk, chunk("hel"), chunk("lo"), stopChunk, usageChunk, doneEvent)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
	resp, body := g.post("/v1/chat/completions", streamBody)
	if want := roleChunk + chunk("hel") + chunk("lo") + stopChunk + doneEvent; body != want {
		t.Errorf("stream %q", body)
	}
	if resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("headers %v", resp.Header)
	}
	if want := strings.TrimSuffix(streamBody, "}") + `,"stream_options":{"include_usage":true}}`; got != want {
		t.Errorf("upstream got %s", got)
	}
	c := g.one()
	out, _ := c.Usage.Output()
	if c.Outcome != ledger.OK || c.UsageSource != ledger.FromProvider || out != 2 || !c.Stream || c.TTFT == 0 {
		t.Errorf("call %+v", c)
	}
}

func TestServerWithoutStreamOptionsIsAskedOnceMore(t *testing.T) {
	var asked atomic.Int32
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked.Add(1)
		if strings.Contains(string(b), "stream_options") {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`)
			return
		}
		sse(w, chunk("hello"), stopChunk, doneEvent)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
	for range 2 {
		if resp, body := g.post("/v1/chat/completions", streamBody); resp.StatusCode != 200 || !strings.Contains(body, "[DONE]") {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("the upstream was asked %d times, want 3: twice, then once", n)
	}
	c := g.calls(2)[1]
	if out, _ := c.Usage.Output(); c.UsageSource != ledger.Estimated || out != 1 {
		t.Errorf("usage %s from %s", c.Usage.AppendJSON(nil), c.UsageSource)
	}
}

func TestFallbackBeforeContentIsSilent(t *testing.T) {
	bad := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		sse(w, roleChunk, `data: {"error":{"message":"overloaded","type":"server_error"}}`+"\n\n")
	})
	good := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) { sse(w, chunk("hello"), stopChunk, doneEvent) })
	one, two := openaiAt(bad), openaiAt(good)
	one.Name, two.Name = "one", "two"
	g := newRig(t, Settings{Providers: []ProviderSettings{one, two}, Routes: []RouteSettings{{
		Model: "gpt-4o", Targets: []TargetSettings{{Provider: "one"}}, Fallbacks: []TargetSettings{{Provider: "two", Model: "other"}},
	}}})
	resp, body := g.post("/v1/chat/completions", streamBody)
	if body != chunk("hello")+stopChunk+doneEvent || resp.Header.Get("X-Weir-Provider") != "two" || resp.Header.Get("X-Weir-Attempts") != "2" {
		t.Errorf("%v %q", resp.Header, body)
	}
	c := g.one()
	if c.Outcome != ledger.OK || len(c.Attempts) != 2 || c.Attempts[0].ErrorClass == "" || c.Model != "other" {
		t.Errorf("call %+v", c)
	}
}

func TestTruncatedStreamNeverLooksWhole(t *testing.T) {
	for _, clean := range []bool{true, false} {
		up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
			sse(w, chunk("hel"), `data: {"id":"c1","choi`)
			if !clean {
				panic(http.ErrAbortHandler)
			}
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
		_, body := g.post("/v1/chat/completions", streamBody)
		if !strings.HasPrefix(body, chunk("hel")+`data: {"error":{`) || !strings.Contains(body, "upstream_truncated") || !strings.Contains(body, "[broken:") {
			t.Errorf("clean %v: %q", clean, body)
		}
		c := g.one()
		if out, _ := c.Usage.Output(); c.Outcome != ledger.Failed || c.ErrorClass != "upstream_truncated" || out == 0 || c.UsageSource != ledger.Estimated {
			t.Errorf("call %+v", c)
		}
	}
}

func TestDisconnectCancelsTheUpstream(t *testing.T) {
	cancelled := make(chan time.Time, 1)
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		sse(w, chunk("hello"))
		<-r.Context().Done()
		cancelled <- time.Now()
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "POST", g.url+"/v1/chat/completions", strings.NewReader(streamBody))
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cancel()
	left := time.Now()
	select {
	case at := <-cancelled:
		t.Logf("cancelled after %v", at.Sub(left))
	case <-time.After(5 * time.Second):
		t.Fatal("the upstream is not cancelled")
	}
	c := g.one()
	in, _ := c.Usage.Input()
	out, _ := c.Usage.Output()
	if c.Outcome != ledger.Aborted || c.Status != 200 || c.UsageSource != ledger.Estimated || in == 0 || out != 1 {
		t.Errorf("call %+v", c)
	}
}

func TestUpstreamErrorsPass(t *testing.T) {
	const body = `{"error":{"message":"slow down","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(429)
		io.WriteString(w, body)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
	resp, got := g.post("/v1/chat/completions", chatBody)
	if resp.StatusCode != 429 || got != body || resp.Header.Get("Retry-After") != "7" || resp.Header.Get("X-Should-Retry") != "" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, got)
	}
	if c := g.one(); c.ErrorClass != "rate_limited" || c.Outcome != ledger.Failed || c.Status != 429 {
		t.Errorf("call %+v", c)
	}
}

func TestInvalidReplies(t *testing.T) {
	check := func(contentType, body string) {
		t.Helper()
		up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			io.WriteString(w, body)
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
		for _, request := range []string{chatBody, streamBody} {
			resp, got := g.post("/v1/chat/completions", request)
			if resp.StatusCode != 502 || !strings.Contains(got, `"code":"upstream_invalid"`) {
				t.Errorf("%q for %.30s: %d %s", body, request, resp.StatusCode, got)
			}
		}
	}
	check("text/html", "<html>captcha</html>")
	check("application/json", "")
	check("application/json", `{"error":{"message":"no"}}`)
	check("application/json", `{"half":`)
}

func TestPingsWhileNothingComes(t *testing.T) {
	release := make(chan struct{})
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		sse(w, chunk("hello"), stopChunk, doneEvent)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}, Keepalive: 20 * time.Millisecond})
	req, _ := http.NewRequest("POST", g.url+"/v1/chat/completions", strings.NewReader(streamBody))
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for range 3 {
		if line, err := in.ReadString('\n'); err != nil || line != ": ping\n" {
			t.Fatalf("%q %v", line, err)
		}
		in.ReadString('\n')
	}
	close(release)
	rest, err := io.ReadAll(in)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if got := strings.ReplaceAll(string(rest), ": ping\n\n", ""); got != chunk("hello")+stopChunk+doneEvent {
		t.Errorf("%q", got)
	}
	if c := g.one(); c.Outcome != ledger.OK || c.Status != 200 {
		t.Errorf("call %+v", c)
	}
}
