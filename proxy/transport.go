package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// A transport carries attempts to every upstream: one pool of connections per
// host, HTTP/2 where TLS negotiates it. It follows no redirects, decodes
// nothing and retries nothing that could be charged twice.
type transport struct{ http *roads }

// roads are the ways to upstreams: lanes for small requests to plain HTTP,
// http.Transport for all others.
type roads struct {
	*http.Transport
	lanes *lanes
}

const (
	idlePerHost   = 1024             // kept connections to one host
	idleFor       = 90 * time.Second // how long an unused one is kept
	maxHeaderBack = 1 << 20          // bytes of a reply's headers
)

func newTransport() *transport {
	dialer := &net.Dialer{KeepAlive: 15 * time.Second} // TCP_NODELAY is Go's default
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout(ctx))
		defer cancel()
		return dialer.DialContext(ctx, network, addr)
	}
	return &transport{&roads{lanes: newLanes(dial), Transport: &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		MaxIdleConns:           0, // no limit over all hosts
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleFor,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBack,
		Proxy:                  http.ProxyFromEnvironment,
	}}}
}

// RoundTrip sends a request the shortest way there is.
func (r *roads) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.lanes.takes(req) {
		if through, err := r.Proxy(req); err == nil && through == nil {
			return r.lanes.roundTrip(req)
		}
	}
	return r.Transport.RoundTrip(req)
}

func (t *transport) close() {
	t.http.CloseIdleConnections()
	t.http.lanes.close()
}

type connectKey struct{}

// withConnectTimeout says how long a new connection for this attempt may take.
func withConnectTimeout(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, connectKey{}, d)
}

func connectTimeout(ctx context.Context) time.Duration {
	if d, ok := ctx.Value(connectKey{}).(time.Duration); ok && d > 0 {
		return d
	}
	return 3 * time.Second
}
