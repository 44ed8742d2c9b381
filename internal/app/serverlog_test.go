package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A server out of file descriptors says so; what strangers send does not fill the log.
func TestServerLog(t *testing.T) {
	var out bytes.Buffer
	l := serverLog{slog.New(slog.NewTextHandler(&out, nil))}
	l.Write([]byte("http: TLS handshake error from 10.0.0.1:1: EOF\n"))
	l.Write([]byte("http: Accept error: accept tcp 127.0.0.1:8080: accept4: too many open files; retrying in 5ms\n"))
	if got := out.String(); strings.Contains(got, "TLS") || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "too many open files") {
		t.Errorf("logged %s", got)
	}
}
