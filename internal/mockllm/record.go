package mockllm

import (
	"bytes"
	"net/http"
	"slices"
	"time"
)

// A Request is what the server got, as it got it.
type Request struct {
	Time   time.Time
	Method string
	Path   string // with its query
	Host   string
	Header http.Header
	Body   []byte // up to Options.RecordBody; as sent, before any decoding
	Size   int    // of the body, decoded
	Model  string
}

// An Abort is a client that left before its reply was over.
type Abort struct {
	Time   time.Time // when it was noticed
	Path   string
	Model  string
	Events int // sent until then
	Bytes  int
}

// maxAborts is how many are kept, the newest.
const maxAborts = 1000

// Requests returns the requests of the last Options.Record, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept)
}

// Aborted returns the clients that left, oldest first.
func (s *Server) Aborted() []Abort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.aborts)
}

// Total is how many requests have come.
func (s *Server) Total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Reset forgets requests, aborts, stored objects and the counts of rules and
// magic words.
func (s *Server) Reset() {
	s.mu.Lock()
	s.kept, s.aborts, s.total = nil, nil, 0
	clear(s.seen)
	s.mu.Unlock()
	s.objects.reset()
	s.book.rewind()
}

// A tape keeps the first bytes of what is written to it.
type tape struct {
	bytes.Buffer
	left int
}

// Write never fails.
func (t *tape) Write(p []byte) (int, error) {
	n := min(len(p), t.left)
	t.left -= n
	_, _ = t.Buffer.Write(p[:n])
	return len(p), nil
}

// record keeps what has come, the body read.
func (s *Server) record(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.quiet {
		return
	}
	s.total++
	if c.tape == nil {
		return
	}
	if len(s.kept) >= s.opts.Record {
		s.kept = slices.Delete(s.kept, 0, len(s.kept)-s.opts.Record+1)
	}
	s.kept = append(s.kept, Request{
		Time: time.Now(), Method: c.r.Method, Path: c.r.URL.RequestURI(), Host: c.r.Host,
		Header: c.r.Header.Clone(), Body: c.tape.Bytes(), Size: c.size, Model: c.model,
	})
}

// aborted notes that the client has left.
func (s *Server) aborted(o *out) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.aborts) >= maxAborts {
		s.aborts = slices.Delete(s.aborts, 0, 1)
	}
	s.aborts = append(s.aborts, Abort{
		Time: time.Now(), Path: o.c.r.URL.Path, Model: o.c.model, Events: o.events, Bytes: o.sent,
	})
}
