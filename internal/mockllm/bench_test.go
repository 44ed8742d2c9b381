package mockllm

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// sink is a ResponseWriter that keeps nothing.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}
func (s *sink) FlushError() error           { return nil }

// BenchmarkServe is the mock alone, without a connection: what it takes from
// a measurement that it is part of.
func BenchmarkServe(b *testing.B) {
	run := func(name, path, body string) {
		b.Run(name, func(b *testing.B) {
			s := New(Options{})
			r := httptest.NewRequest(http.MethodPost, path, nil)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Anthropic-Version", "2023-06-01")
			r.ContentLength = int64(len(body))
			in, out := bytes.NewReader(nil), &sink{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				in.Reset([]byte(body))
				r.Body = io.NopCloser(in)
				clear(out.h)
				s.ServeHTTP(out, r)
			}
		})
	}
	long := string(bytes.Repeat([]byte("word "), 250))
	run("chat", "/v1/chat/completions", `{"model":"mock-words-200","messages":[{"role":"user","content":"`+long+`"}]}`)
	run("chat-stream-50", "/v1/chat/completions", `{"model":"mock-words-48","stream":true,"messages":[{"role":"user","content":"`+long+`"}]}`)
	run("messages-stream-50", "/v1/messages", `{"model":"mock-words-48","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"`+long+`"}]}`)
}
