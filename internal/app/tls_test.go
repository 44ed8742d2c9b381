package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTLS: the data listener speaks HTTPS and HTTP/2, and takes a new
// certificate at a reload.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	first := makeCert(t, dir)
	h := start(t, basic+"tls: {cert: "+dir+"/cert.pem, key: "+dir+"/key.pem}\n")
	get := func(pool *x509.CertPool) (*http.Response, error) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		resp, err := client.Get(h.URL() + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	if resp, err := get(first); err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("%v %v", resp, err)
	}
	second := makeCert(t, dir)
	if err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := get(first); err == nil {
		t.Error("the old certificate is still shown")
	}
	if _, err := get(second); err != nil {
		t.Error(err)
	}
}

// makeCert writes a certificate of its own for 127.0.0.1 and returns who trusts it.
func makeCert(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	return pool
}
