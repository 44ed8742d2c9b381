package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/ledger"
)

// The client's going away reaches the upstream within 100 ms, whatever the
// call is doing, and the call is recorded with what is known by then.
func TestDisconnectBeforeTheReply(t *testing.T) {
	for name, s := range speeches {
		for _, headers := range []bool{false, true} {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s headers=%v stream=%v", name, headers, stream), func(t *testing.T) {
					arrived, cancelled := make(chan struct{}, 1), make(chan time.Time, 1)
					v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
						if headers {
							w.Header().Set("Content-Type", map[bool]string{true: "text/event-stream", false: "application/json"}[stream])
							w.(http.Flusher).Flush()
						}
						arrived <- struct{}{}
						<-r.Context().Done()
						cancelled <- time.Now()
					})
					g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
					path, body := s.path, s.body
					if !stream {
						path, body = strings.Replace(path, "streamGenerate", "generate", 1), strings.Replace(body, `"stream":true,`, "", 1)
					}
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					gone := make(chan time.Time, 1)
					go func() {
						<-arrived
						gone <- time.Now()
						cancel()
					}()
					if resp, err := g.try(ctx, "POST", path, body, "Content-Type", "application/json"); err == nil {
						resp.Body.Close()
						t.Fatalf("answered %d", resp.StatusCode)
					}
					if d := within(t, "the upstream's end", cancelled).Sub(<-gone); d > 500*time.Millisecond {
						t.Errorf("cancelled after %v", d) // 100 ms on a machine that is not busy with other tests
					}
					c := g.one()
					if in, _ := c.Usage.Input(); c.Outcome != ledger.Aborted || c.Status != 499 || c.ErrorClass != "client_gone" || in == 0 || c.UsageSource != ledger.Estimated || len(c.Attempts) != 1 {
						t.Errorf("call %+v", c)
					}
				})
			}
		}
	}
}

// In mid-stream the tokens so far are kept, and where the figure is from.
func TestDisconnectInMidStream(t *testing.T) {
	want := map[string]ledger.UsageSource{"chat": ledger.Estimated, "responses": ledger.Estimated, "anthropic": ledger.Partial, "gemini": ledger.Partial}
	for name, s := range speeches {
		t.Run(name, func(t *testing.T) {
			cancelled := make(chan struct{})
			v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
				sse(w, append(append([]string(nil), s.opening...), s.text...)...)
				<-r.Context().Done()
				close(cancelled)
			})
			g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			resp := g.send(ctx, "POST", s.path, s.body, "Content-Type", "application/json")
			defer resp.Body.Close()
			in := bufio.NewReader(resp.Body)
			for range len(s.opening) + len(s.text) {
				nextEvent(t, in)
			}
			cancel()
			within(t, "the upstream's end", cancelled)
			c := g.one()
			input, _ := c.Usage.Input()
			output, _ := c.Usage.Output()
			if c.Outcome != ledger.Aborted || c.Status != 200 || c.UsageSource != want[name] || input == 0 || output == 0 || c.TTFT == 0 || c.BytesOut == 0 {
				t.Errorf("call %+v", c)
			}
		})
	}
}

// A client that leaves once it has the last event got everything.
func TestDisconnectAfterTheLastEvent(t *testing.T) {
	for name, s := range speeches {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
				sse(w, s.all()...)
				<-r.Context().Done() // and never ends
			})
			g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			resp := g.send(ctx, "POST", s.path, s.body, "Content-Type", "application/json")
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, len(visible(s.all())))); err != nil {
				t.Fatal(err)
			}
			cancel()
			if c := g.one(); c.Outcome != ledger.OK || c.Status != 200 || c.UsageSource != ledger.FromProvider || c.ErrorClass != "" {
				t.Errorf("call %+v", c)
			}
		})
	}
}

// Where the settings say so, the rest is read for its usage.
func TestDrainAfterDisconnect(t *testing.T) {
	s := speeches["chat"]
	left := make(chan struct{})
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		sse(w, s.opening...)
		sse(w, s.text...)
		select {
		case <-left:
		case <-r.Context().Done():
			return
		}
		sse(w, s.close...)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Drain: Drain{Time: 10 * time.Second}})
	gone, serve := make(chan context.Context, 1), g.proxy.handler
	g.proxy.handler = func(w http.ResponseWriter, r *http.Request, x *Exchange) error {
		gone <- r.Context()
		return serve(w, r, x)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resp := g.send(ctx, "POST", s.path, s.body, "Content-Type", "application/json")
	defer resp.Body.Close()
	nextEvent(t, bufio.NewReader(resp.Body))
	cancel()
	within(t, "the proxy's notice", (<-gone).Done())
	close(left)
	c := g.one()
	if out, _ := c.Usage.Output(); c.Outcome != ledger.Aborted || out != 2 || c.UsageSource != ledger.FromProvider || c.ErrorClass != "client_gone" {
		t.Errorf("call %+v", c)
	}
}

// A drain ends at its caps, of time and of bytes.
func TestDrainIsCapped(t *testing.T) {
	for _, d := range []Drain{{Time: 50 * time.Millisecond}, {Time: time.Hour, Bytes: 10_000}} {
		cancelled := make(chan struct{})
		v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			defer close(cancelled)
			for r.Context().Err() == nil {
				sse(w, chunk("x"))
				if d.Bytes == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, Drain: d})
		ctx, cancel := context.WithCancel(context.Background())
		resp := g.send(ctx, "POST", "/v1/chat/completions", streamBody, "Content-Type", "application/json")
		nextEvent(t, bufio.NewReader(resp.Body))
		cancel()
		resp.Body.Close()
		within(t, "the end of the drain", cancelled)
		if c := g.one(); c.Outcome != ledger.Aborted || c.UsageSource != ledger.Estimated {
			t.Errorf("%+v: call %+v", d, c)
		}
	}
}

// A client that does not read stops the upstream: nothing piles up.
func TestBackpressure(t *testing.T) {
	var sent atomic.Int64
	event := chunk(strings.Repeat("some words ", 750))
	stopped := make(chan struct{})
	url := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(stopped)
		w.Header().Set("Content-Type", "text/event-stream")
		for range 64 << 10 { // 512 MiB, if it were let
			if n, err := io.WriteString(w, event); err != nil {
				return
			} else {
				sent.Add(int64(n))
			}
		}
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(url)}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var before, after runtime.MemStats
	g.proxy.tokens.workers.Wait() // the vocabulary is loaded
	runtime.GC()
	runtime.ReadMemStats(&before)
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(streamBody), streamBody)
	if _, err := bufio.NewReaderSize(conn, 16).ReadByte(); err != nil {
		t.Fatal(err)
	}
	// It stands still once the kernel's buffers are full.
	for last := int64(-1); last != sent.Load(); time.Sleep(200 * time.Millisecond) {
		last = sent.Load()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("the upstream could send %d MiB", n>>20)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	conn.Close()
	within(t, "the upstream's end", stopped)
	if c := g.one(); c.Outcome != ledger.Aborted {
		t.Errorf("call %+v", c)
	}
}

// A kept connection carries no deadline of one call into the next.
func TestDeadlinesEndWithTheirCall(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if strings.Contains(body, `"stream":true`) {
			sse(w, chunk("hi"), stopChunk, doneEvent)
			return
		}
		anyReply(w, r, body)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, BodyTimeout: 300 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, body := range []string{streamBody, chatBody, streamBody} {
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %v", resp.StatusCode, err)
		}
		time.Sleep(400 * time.Millisecond) // longer than a body may take
	}
}

// A client that leaves on an error it was told has not aborted: the call failed.
func TestLeavingOnAToldErrorIsNoAbort(t *testing.T) {
	gone := make(chan struct{})
	up := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		sse(w, chunk("hel"), `data: {"error":{"message":"the model broke","type":"server_error"}}`+"\n\n")
		<-r.Context().Done() // it says nothing more and does not hang up either
		close(gone)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(up)}})
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, "POST", g.url+"/v1/chat/completions", strings.NewReader(streamBody))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for in := bufio.NewScanner(resp.Body); in.Scan() && !strings.Contains(in.Text(), "broke"); {
	}
	leave()
	<-gone
	if c := g.one(); c.Outcome != ledger.Failed || c.ErrorClass != string(UpstreamError) || c.Status != 200 {
		t.Errorf("%s %s %d", c.Outcome, c.ErrorClass, c.Status)
	}
}
