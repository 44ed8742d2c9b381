package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"weir/internal/mockllm"
)

// Two coding tools that nobody can install here are known by the requests that
// they make (shape_*.go). Those go to a recording mock, directly and through a
// Weir with auth: passthrough, and must arrive byte for byte.

var shapeRows = []string{"claude-code", "codex"}

// changed are the request headers that may differ at the upstream: those of
// the hop, and what Weir asks for itself.
var changed = []string{"Accept-Encoding", "Connection", "Content-Length", "Host"}

// A shape is one request of a tool.
type shape struct {
	tool, name string
	path       string
	header     http.Header
	body       []byte
	metered    bool
	abortAt    int // leave after so many bytes of the reply; 0: read it all
}

// A reply is what came back for a shape.
type reply struct {
	status int
	header http.Header
	body   []byte
	sent   mockllm.Request // as the upstream got it
}

// recorder is a mock in this process that keeps what it gets.
type recorder struct {
	*mockllm.Server
	base string
	http *http.Server
	done chan error
}

// newRecorder starts one that keeps the newest n requests.
func newRecorder(n int) (*recorder, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &recorder{Server: mockllm.New(mockllm.Options{Record: n}), base: "http://" + ln.Addr().String(), done: make(chan error, 1)}
	r.http = &http.Server{Handler: r.Server, ReadHeaderTimeout: 10 * time.Second}
	go func() { r.done <- r.http.Serve(ln) }()
	return r, nil
}

func (r *recorder) close() {
	r.Server.Close()
	_ = r.http.Close()
	<-r.done
}

// shapes runs the tools' requests.
func (s *suite) shapes(ctx context.Context) error {
	const phase = "passthrough"
	var shapes []shape
	for _, sh := range append(claudeCode(), codex()...) {
		if strings.Contains(sh.tool, s.only) && (s.cases == "" || sh.name == s.cases) {
			shapes = append(shapes, sh)
		}
	}
	if len(shapes) == 0 {
		return nil
	}
	s.columns = append(s.columns, phase)
	upstream, err := newRecorder(1000)
	if err != nil {
		return err
	}
	defer upstream.close()
	weir, config, err := s.gateway(ctx, phase, phase, upstream.base, "")
	if err != nil {
		return err
	}
	defer weir.stop()
	key, err := s.newKey(ctx, config, weir.base)
	if err != nil {
		return err
	}
	for _, sh := range shapes {
		direct, err := sh.send(ctx, upstream.base, "", upstream)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", sh.tool, sh.name, err)
		}
		through, err := sh.send(ctx, weir.base, key, upstream)
		if err != nil {
			s.check(phase, sh.tool, sh.name, err.Error())
			continue
		}
		s.check(phase, sh.tool, sh.name, sh.compare(direct, through)...)
		s.check(phase, sh.tool, sh.name+" in the ledger", s.shapeRow(sh, config, through)...)
	}
	return nil
}

// send makes the request and returns the reply and what the upstream got. The
// user's own credential goes upstream; key, which says whose call it is, must not.
func (sh shape) send(ctx context.Context, base, key string, upstream *recorder) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	upstream.Reset()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+sh.path, bytes.NewReader(sh.body))
	if err != nil {
		return reply{}, err
	}
	req.Header = sh.header.Clone()
	req.Header.Set("X-Weir-Session", sh.tool+"/"+sh.name)
	if key != "" {
		req.Header.Set("X-Weir-Key", key)
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	r := reply{status: res.StatusCode, header: res.Header}
	if sh.abortAt > 0 {
		r.body = make([]byte, sh.abortAt)
		if _, err := io.ReadFull(res.Body, r.body); err != nil {
			return reply{}, err
		}
		_ = res.Body.Close()
		if err := upstream.left(time.Second); err != nil {
			return reply{}, err
		}
	} else if r.body, err = io.ReadAll(res.Body); err != nil {
		return reply{}, err
	}
	got := upstream.Requests()
	if len(got) != 1 {
		return reply{}, fmt.Errorf("the upstream got %d requests", len(got))
	}
	r.sent = got[0]
	return r, nil
}

// left waits until the upstream has noticed that its client is gone.
func (r *recorder) left(within time.Duration) error {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if len(r.Aborted()) > 0 {
			return nil
		}
	}
	return errors.New("the upstream was not cancelled")
}

// compare holds what arrived and what came back through Weir to the direct way.
func (sh shape) compare(direct, through reply) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if direct.status != http.StatusOK {
		say("the mock does not take the request: %s", direct.body)
	}
	if !bytes.Equal(through.sent.Body, sh.body) {
		say("the body upstream is another one: %d bytes of %d, the first difference at byte %d",
			len(through.sent.Body), len(sh.body), firstDifference(through.sent.Body, sh.body))
	}
	if through.sent.Path != sh.path {
		say("path upstream %q, want %q", through.sent.Path, sh.path)
	}
	diff(&wrong, "request header", fold(direct.sent.Header, "x-weir-session"), fold(through.sent.Header, ""))
	if through.status != direct.status {
		say("status %d, directly %d: %s", through.status, direct.status, through.body)
	}
	diff(&wrong, "reply header", foldReply(direct.header), foldReply(through.header))
	if !bytes.Equal(through.body, direct.body) {
		say("another reply: the first difference at byte %d", firstDifference(through.body, direct.body))
	}
	return wrong
}

// fold makes request headers comparable, without skip and what may change.
func fold(h http.Header, skip string) any {
	m := map[string]any{}
	for name, values := range h {
		if !slices.Contains(changed, name) && !strings.EqualFold(name, skip) {
			m[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return m
}

func foldReply(h http.Header) any {
	var e exchange
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			e.Headers = append(e.Headers, [2]string{strings.ToLower(name), v})
		}
	}
	return headers("", e)
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// shapeRow checks the call's row in the ledger.
func (s *suite) shapeRow(sh shape, config string, through reply) (wrong []string) {
	id := through.header.Get("X-Weir-Call-Id")
	var rows []row
	for deadline := time.Now().Add(5 * time.Second); len(rows) == 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		books, err := readLedger(s.weir, config)
		if err != nil {
			return []string{err.Error()}
		}
		rows = books.byID[id]
	}
	if len(rows) != 1 {
		return []string{fmt.Sprintf("call %q has %d rows", id, len(rows))}
	}
	want, sources := "ok", []string{"provider"}
	if sh.abortAt > 0 {
		want, sources = "aborted", []string{"partial", "estimated"}
	}
	if rows[0].Outcome != want {
		wrong = append(wrong, fmt.Sprintf("outcome %q, want %q", rows[0].Outcome, want))
	}
	if rows[0].KeyID == "" {
		wrong = append(wrong, "the call is nobody's")
	}
	if sh.metered && !slices.Contains(sources, rows[0].UsageSource) {
		wrong = append(wrong, fmt.Sprintf("usage source %q, want one of %q", rows[0].UsageSource, sources))
	}
	return wrong
}
