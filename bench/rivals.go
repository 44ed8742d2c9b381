//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// makeCertificate writes cert.pem and key.pem for the mock's TLS.
func makeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir bench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the key: %w", err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return errors.Join(os.WriteFile(filepath.Join(dir, "cert.pem"), certPEM, 0o600), os.WriteFile(filepath.Join(dir, "key.pem"), keyPEM, 0o600))
}

// nginxConf is nginx as its own advice for a fast proxy has it. It has no
// HTTP/2 towards upstreams, so its TLS is HTTP/1.1 with kept connections.
const nginxConf = `%[6]s
worker_processes auto;
worker_rlimit_nofile 16384;
daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx.log error;
events { worker_connections 8192; }
http {
	access_log off;
	default_type application/json;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/temp;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_body_buffer_size 64k;
	keepalive_requests 1000000000;
	tcp_nodelay on;
	upstream plain { server %[2]s; keepalive 1024; keepalive_requests 1000000000; }
	upstream secure { server %[3]s; keepalive 1024; keepalive_requests 1000000000; }
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_set_header Host $host;
	proxy_buffering off;
	proxy_read_timeout 60s;
	proxy_ssl_trusted_certificate %[1]s/cert.pem;
	proxy_ssl_verify on;
	proxy_ssl_name localhost;
	proxy_ssl_session_reuse on;
	server { listen %[4]s; location / { proxy_pass http://plain; } }
	server { listen %[5]s; location / { proxy_pass https://secure; } }
}
`

var errNoNginx = errors.New("nginx isn't installed: on Debian, apt-get install nginx-light")

// startNginx runs the nginx of the system between the load and the mock.
func startNginx(dir string, up addresses) (*child, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, errNoNginx
		}
	}
	addr := addresses{Plain: freeAddr(), TLS: freeAddr()}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // its workers read the certificate in our directory
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConf, dir, up.Plain, up.TLS, addr.Plain, addr.TLS, user)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "nginx.log"))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	c := &child{cmd: cmd, addr: addr}
	if err := reachable(addr.Plain); err != nil {
		c.stop()
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	return c, nil
}

// freeAddr finds a loopback port that nobody listens on.
func freeAddr() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer ln.Close()
	return ln.Addr().String()
}

// reachable waits until somebody listens.
func reachable(addr string) error {
	var err error
	for range 500 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// buffers is the pool that ReverseProxy copies with.
type buffers chan []byte

// Get takes a buffer from the pool, or makes one.
func (b buffers) Get() []byte {
	select {
	case p := <-b:
		return p
	default:
		return make([]byte, 32<<10)
	}
}

// Put gives a buffer back, unless the pool is full.
func (b buffers) Put(p []byte) {
	select {
	case b <- p:
	default:
	}
}

// tunedProxy is httputil.ReverseProxy as one would use it in earnest: kept
// connections, a buffer pool, no compression, and the request's body read
// first, without which it breaks some of the fastest streams.
func tunedProxy(target string) (http.Handler, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	rp := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 1024, IdleConnTimeout: 90 * time.Second,
			DisableCompression: true, ForceAttemptHTTP2: true,
		},
		BufferPool: make(buffers, 256),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rp.ServeHTTP(w, r)
	}), nil
}

func runReverseProxy(plain, secure string) error {
	var addr addresses
	for _, side := range []struct {
		target string
		addr   *string
	}{{"http://" + plain, &addr.Plain}, {"https://" + secure, &addr.TLS}} {
		h, err := tunedProxy(side.target)
		if err != nil {
			return err
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*side.addr = ln.Addr().String()
		go (&http.Server{Handler: h}).Serve(ln) //nolint:errcheck // the load sees it fail
	}
	announce(addr)
	<-context.Background().Done()
	return nil
}
