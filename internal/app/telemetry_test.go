package app

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTraces: spans of a call reach the collector at a stop at the latest,
// under the caller's trace, without content.
func TestTraces(t *testing.T) {
	bodies := make(chan []byte, 16)
	otlp := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if r.URL.Path == "/v1/traces" && err == nil {
			bodies <- b
		}
	}))
	defer otlp.Close()
	h := start(t, basic+"telemetry: {otlp: '"+otlp.URL+"'}\n")
	const trace = "0af7651916cd43dd8448eb211c80319c"
	status, body := h.do("POST", h.URL()+"/v1/chat/completions", `{"model":"mock/gpt-4o-mini","messages":[{"role":"user","content":"CANARY"}]}`,
		"traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	if status != 200 {
		t.Fatal(status, body)
	}
	h.end()
	close(bodies)
	id, err := hex.DecodeString(trace)
	if err != nil {
		t.Fatal(err)
	}
	spans := 0
	for b := range bodies {
		if strings.Contains(string(b), "CANARY") {
			t.Error("a span holds content")
		}
		spans += bytes.Count(b, id) // each span names its trace once
	}
	if spans != 2 {
		t.Errorf("want a span of the call and one of the attempt, got %d", spans)
	}
}

// TestNoCollector: a collector that isn't there costs nobody a call or a stop.
func TestNoCollector(t *testing.T) {
	h := start(t, basic+"telemetry: {otlp: 'http://127.0.0.1:1'}\n")
	if status, body := h.chat("mock/x"); status != 200 {
		t.Error(status, body)
	}
	h.end()
}

func TestTraceEndpoint(t *testing.T) {
	check := func(in, want string) {
		t.Helper()
		if got, err := traceEndpoint(in); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
	check("http://h:4318", "http://h:4318/v1/traces")
	check("http://h:4318/", "http://h:4318/v1/traces")
	check("https://h/otlp", "https://h/otlp/v1/traces")
	check("https://h/v1/traces", "https://h/v1/traces")
}
