package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"weir/config"
	"weir/proxy/wire"
)

// The servers' bounds. There is no write timeout: streams last as long as
// they last, and the data plane has its own for bodies and upstreams.
const (
	headerTime = 10 * time.Second
	idleTime   = 3 * time.Minute        // longer than SDKs keep an unused connection
	maxHeader  = 256 << 10              // bytes; above it the answer is 431
	lastTime   = 300 * time.Millisecond // at a stop, for answers that are no calls
)

// A listener is one of the two addresses that Weir serves at.
type listener struct {
	ln     net.Listener
	server *http.Server
	tls    bool
	names  atomic.Pointer[names]
	cert   atomic.Pointer[tls.Certificate]
}

// bind takes both addresses before anything else is opened, so that a second
// Weir on the same ones touches nothing.
func (a *App) bind(c *config.Config) (err error) {
	if a.data, err = listen(c.Listen, c.Hosts); err != nil {
		return err
	}
	a.onStop("listener", func(context.Context) error { return ignoreClosed(a.data.ln.Close()) })
	if a.admin, err = listen(c.Admin.Listen, c.Admin.Hosts); err != nil {
		return err
	}
	a.onStop("admin listener", func(context.Context) error { return ignoreClosed(a.admin.ln.Close()) })
	a.data.tls = c.TLS.Cert != ""
	return a.data.loadCert(c.TLS)
}

func listen(addr string, hosts []string) (*listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", addr, err)
	}
	l := &listener{ln: ln}
	l.names.Store(newNames(addr, hosts))
	return l, nil
}

// loadCert reads the certificate anew.
func (l *listener) loadCert(t config.TLS) error {
	if t.Cert == "" || !l.tls {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	l.cert.Store(&cert)
	return nil
}

// url is the address as a client on this machine would write it.
func (l *listener) url() string {
	addr, ok := l.ln.Addr().(*net.TCPAddr)
	if !ok {
		return "http://" + l.ln.Addr().String()
	}
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if l.tls {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

// serve starts both servers.
func (a *App) serve(c *config.Config) error {
	handler, err := a.adminHandler(c)
	if err != nil {
		return err
	}
	a.start("admin", a.admin, handler)
	a.start("data", a.data, http.HandlerFunc(a.serveData))
	return nil
}

// A serverLog takes net/http's own log. Most of it is what strangers do to a
// port; that no connection can be taken is for the operator (file descriptors).
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(p []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(p, []byte("Accept error")) {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "listener", "said", string(bytes.TrimSpace(p)))
	return len(p), nil
}

func (a *App) start(name string, l *listener, h http.Handler) {
	l.server = &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog:    log.New(serverLog{a.log.With("listener", name)}, "", 0),
		BaseContext: func(net.Listener) context.Context { return a.calls },
	}
	serve := func() error { return l.server.Serve(l.ln) }
	if l.tls {
		l.server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return l.cert.Load(), nil },
		}
		serve = func() error { return l.server.ServeTLS(l.ln, "", "") }
	}
	a.workers.Go(func() { a.run(name, serve) })
	a.onStop(name+" server", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, lastTime)
		defer cancel()
		if err := l.server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return l.server.Close()
	})
}

// serveData is the data listener: the LLM APIs and /healthz.
func (a *App) serveData(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 {
		// A Content-Length beside it, which net/http takes away, makes what
		// follows a smuggler's: RFC 9112 §6.1 wants the connection closed.
		w.Header().Set("Connection", "close")
	}
	if why := a.data.names.Load().foreign(r, false); why != "" {
		a.refuseForeign(w, r, why)
		return
	}
	if r.URL.Path == "/healthz" {
		alive(w, r)
		return
	}
	a.proxy.ServeHTTP(w, r)
}

// refuseForeign answers in the caller's dialect.
func (a *App) refuseForeign(w http.ResponseWriter, r *http.Request, why string) {
	body := wire.Match(r.Method, r.URL.EscapedPath(), r.Header).Dialect.Error(wire.Failure{
		Status: http.StatusForbidden, Code: "foreign_host",
		Message: "Weir does not answer requests from " + why + ". If it should, add the name to hosts in its configuration.",
	})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Should-Retry", "false")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(body)
}

func alive(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		plainText(w, http.StatusMethodNotAllowed, "This path takes GET and HEAD.")
		return
	}
	plainText(w, http.StatusOK, "ok")
}

func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
