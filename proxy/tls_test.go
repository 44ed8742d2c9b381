package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"weir/ledger"
)

// Plain-HTTP upstreams go by lanes; what is behind TLS goes by http.Transport,
// over HTTP/1.1 or HTTP/2. The rules are the same.
func overTLS(t *testing.T, http2 bool, s Settings, h http.HandlerFunc) *rig {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = http2
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are meant
	server.StartTLS()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	s.Providers[0].BaseURL = server.URL
	g := newRig(t, s)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	g.proxy.transport.http.TLSClientConfig.RootCAs = roots
	return g
}

func TestOverTLS(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for name, s := range speeches {
			var proto atomic.Int32
			left := make(chan struct{}, 1)
			g := overTLS(t, http2, Settings{Providers: []ProviderSettings{at("up", s.kind, "")}}, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				proto.Store(int32(r.ProtoMajor))
				switch {
				case strings.Contains(string(b), "case-cut"):
					sse(w, s.opening...)
					sse(w, s.text...)
					panic(http.ErrAbortHandler)
				case strings.Contains(string(b), "case-hang"):
					<-r.Context().Done()
					left <- struct{}{}
				default:
					sse(w, s.all()...)
				}
			})
			if _, got := g.post(s.path, s.body); got != visible(s.all()) {
				t.Errorf("%s, HTTP/2 %v: %q", name, http2, got)
			}
			if _, got := g.post(s.path, strings.Replace(s.body, `"hi"`, `"case-cut"`, 1)); !strings.HasPrefix(got, strings.Join(s.opening, "")+strings.Join(s.text, "")) || !strings.Contains(got, "broke its reply off") || !strings.Contains(got, "[broken") {
				t.Errorf("%s, HTTP/2 %v, cut: %q", name, http2, got)
			}
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				eventually(t, "the third call", func() bool { return len(g.stored()) == 2 || ctx.Err() != nil })
				cancel()
			}()
			if _, err := g.try(ctx, "POST", s.path, strings.Replace(s.body, `"hi"`, `"case-hang"`, 1), "Content-Type", "application/json"); err == nil {
				t.Errorf("%s, HTTP/2 %v: answered", name, http2)
			}
			calls := g.calls(3)
			if calls[0].Outcome != ledger.OK || calls[1].ErrorClass != "upstream_truncated" || calls[2].Outcome != ledger.Aborted {
				t.Errorf("%s, HTTP/2 %v: %s, %s, %s", name, http2, calls[0].Outcome, calls[1].ErrorClass, calls[2].Outcome)
			}
			if want := map[bool]int32{false: 1, true: 2}[http2]; proto.Load() != want {
				t.Errorf("HTTP/%d", proto.Load())
			}
		}
	}
}

// An upstream that is not who it should be never sees a key, and is not asked twice.
func TestBadCertificate(t *testing.T) {
	var asked atomic.Int32
	ro := route("*", []string{"up"}, nil)
	ro.Retries = 2
	g := overTLS(t, true, Settings{Providers: []ProviderSettings{at("up", "openai", "")}, Routes: []RouteSettings{ro}}, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	g.proxy.transport.http.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
	resp, got := g.post("/v1/chat/completions", chatBody)
	if resp.StatusCode != 502 || !strings.Contains(got, "upstream_unreachable") || asked.Load() != 0 || resp.Header.Get("X-Weir-Attempts") != "1" {
		t.Errorf("%d %v %s, asked %d times", resp.StatusCode, resp.Header, got, asked.Load())
	}
}

// A kept connection that the upstream closes may be found out only after a
// request was written to it. Then nobody knows whether it was read, and it is
// not sent again: it could be charged twice.
func TestUpstreamClosesKeptConnections(t *testing.T) {
	for _, secure := range []bool{false, true} {
		var asked atomic.Int32
		h := func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			io.Copy(io.Discard, r.Body)
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil { // closes without a word
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "+fmt.Sprint(len(chatReply))+"\r\n\r\n"+chatReply)
				c.Close()
			}
		}
		s := Settings{Providers: []ProviderSettings{openaiAt("")}}
		var g *rig
		if secure {
			g = overTLS(t, false, s, h)
		} else {
			s.Providers[0].BaseURL = upstreamServer(t, h)
			g = newRig(t, s)
		}
		const calls = 20
		good := 0
		for i := range calls {
			switch resp, got := g.post("/v1/chat/completions", chatBody); {
			case resp.StatusCode == 200 && got == chatReply:
				good++
			case resp.StatusCode != 502 || !strings.Contains(got, "upstream_unreachable"):
				t.Errorf("secure %v, call %d: %d %s", secure, i, resp.StatusCode, got)
			}
		}
		if n := int(asked.Load()); n > calls || n < good || good < calls/4 {
			t.Errorf("secure %v: %d of %d calls were answered, the upstream was asked %d times", secure, good, calls, n)
		}
	}
}
