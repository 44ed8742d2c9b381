package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What is no request of the API gets an error in its dialect, sends nothing
// upstream, and takes no time.
func TestBadBodies(t *testing.T) {
	v := newVendor(t, anyReply)
	one, two := at("up", "openai", v.url+"/v1"), at("claude", "anthropic", v.url)
	one.Models, two.Models = []string{"m"}, []string{"m"}
	g := newRig(t, Settings{Providers: []ProviderSettings{one, two}, MaxBody: 1 << 20})
	check := func(what, body string, want int, words string, headers ...string) {
		t.Helper()
		for _, path := range []string{"/v1/chat/completions", "/v1/messages"} {
			before, start := len(v.seen()), time.Now()
			if len(headers) == 0 || headers[0] != "Content-Type" {
				headers = append(headers, "Content-Type", "application/json")
			}
			resp, got := g.do("POST", path, body, headers...)
			if resp.StatusCode != want || !strings.Contains(got, words) || !json.Valid([]byte(got)) || strings.HasSuffix(path, "messages") != strings.HasPrefix(got, `{"type":"error"`) {
				t.Errorf("%s: %d %.300s", what, resp.StatusCode, got)
			}
			if words == "twice" && strings.Contains(got, "not valid JSON") {
				t.Errorf("%s: called invalid JSON: %s", what, got)
			}
			if len(v.seen()) != before {
				t.Errorf("%s: sent upstream", what)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("%s: took %v", what, d)
			}
		}
	}
	deep := strings.Repeat("[", 100_000)
	check("empty", "", 400, "")
	check("space", " \n", 400, "")
	check("cut", `{"model":"m","messages":[`, 400, "not valid JSON")
	check("trailing", `{"model":"m"} x`, 400, "not valid JSON")
	check("two", `{"model":"m"}{"model":"n"}`, 400, "not valid JSON")
	check("no object", `["m"]`, 400, "")
	check("a string", `"m"`, 400, "")
	check("single quotes", `{'model':'m'}`, 400, "not valid JSON")
	check("a comment", `{"model":"m"/*x*/}`, 400, "not valid JSON")
	check("NaN", `{"model":"m","temperature":NaN}`, 400, "not valid JSON")
	check("a bare control character", "{\"model\":\"m\n\"}", 400, "not valid JSON")
	check("a lone escape", `{"model":"m\q"}`, 400, "not valid JSON")
	check("bad UTF-8", "{\"model\":\"m\",\"x\":\"\xff\xfe\"}", 400, "not valid JSON")
	check("deep and cut", `{"model":"m","x":`+deep, 400, "not valid JSON")
	check("model twice", `{"model":"m","model":"n"}`, 400, "twice")
	check("model twice, once escaped", `{"model":"m","mod\u0065l":"n"}`, 400, "twice")
	check("stream twice", `{"model":"m","stream":true,"stream":false}`, 400, "twice")
	check("no model", `{"messages":[]}`, 400, "names no model")
	check("an empty model", `{"model":""}`, 400, "names no model")
	check("a model that is no string", `{"model":5}`, 400, "names no model")
	check("a huge model", `{"model":"`+strings.Repeat("x", 100<<10)+`"}`, 400, "body cannot be used: the model's name is too long")
	check("an unknown model", `{"model":"nobody"}`, 404, "served by no provider")
	check("CR and LF in a model", `{"model":"a\r\nX-Evil: 1"}`, 404, "")
	check("another type", `{"model":"m"}`, 415, "text/xml", "Content-Type", "text/xml")
	check("gzip that is none", `{"model":"m"}`, 400, "gzip", "Content-Encoding", "gzip")
	check("too large", `{"model":"m","x":"`+strings.Repeat("x", 1<<20)+`"}`, 413, "1048576")
	check("a bomb", bomb(t, 40<<20), 413, "1048576", "Content-Encoding", "gzip")
}

func bomb(t *testing.T, size int) string {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, `{"model":"m","x":"`)
	zeros := bytes.Repeat([]byte("0"), 1<<20)
	for range size >> 20 {
		w.Write(zeros)
	}
	w.Close()
	return b.String()
}

// What is odd but JSON is the upstream's to judge.
func TestOddBodiesPass(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	for _, body := range []string{
		`{"model":"m","messages":` + deep + `}`, `{"model":"m","n":128,"max_tokens":1e9}`, `{"model":"m","n":-1,"max_tokens":"many"}`, `{"model":"m","max_tokens":99999999999999999999999}`,
		`{"model":"m","stream":"yes"}`, `{"model":"m","stream":null}`, `{"model":"m","messages":{}}`, `{"model":"m","x":1,"x":2}`, `{"model":"m","metadata":{"a":{"b":[]}}}`,
		"\ufeff" + `{"model":"m"}`, `{"model":"m","messages":[{"content":"\ud800"}]}`, `{"model":"m","` + strings.Repeat("k", 10000) + `":1}`,
	} {
		resp, got := g.post("/v1/chat/completions", body)
		switch {
		case strings.HasPrefix(body, "\ufeff"): // RFC 8259 §8.1: implementations may refuse a byte order mark
			if resp.StatusCode != 200 && resp.StatusCode != 400 {
				t.Errorf("%.80s: %d %s", body, resp.StatusCode, got)
			}
		case resp.StatusCode != 200 || v.last().body != body:
			t.Errorf("%.80s: %d %s", body, resp.StatusCode, got)
		}
	}
	var many strings.Builder
	many.WriteString(`{"model":"m"`)
	for i := range 200_000 {
		fmt.Fprintf(&many, `,"k%d":%d`, i, i)
	}
	many.WriteString("}")
	if resp, got := g.post("/v1/chat/completions", many.String()); resp.StatusCode != 200 || v.last().body != many.String() {
		t.Errorf("many members: %d %.200s", resp.StatusCode, got)
	}
}

// Deep JSON of any form never takes the process down.
func TestDeepBodies(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	for _, half := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
		body := `{"model":"m","x":` + strings.Repeat(half[0], 100_000) + "1" + strings.Repeat(half[1], 100_000) + "}"
		start := time.Now()
		resp, got := g.post("/v1/chat/completions", body)
		if resp.StatusCode != 400 && (resp.StatusCode != 200 || v.last().body != body) || time.Since(start) > 5*time.Second {
			t.Errorf("%d after %v: %.200s", resp.StatusCode, time.Since(start), got)
		}
	}
}

// Nothing that a client wrote is reflected into a header.
func TestNothingIsReflectedRaw(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	for _, model := range []string{`up/a\r\nX-Evil: 1`, `up/a\u0000b`, `up/é`, `up/` + strings.Repeat("y", 3000)} {
		resp, got := g.post("/v1/chat/completions", `{"model":"`+model+`","metadata":{"a\r\nb":"c\r\nd"}}`)
		if resp.Header.Get("X-Evil") != "" || strings.ContainsAny(resp.Header.Get("X-Weir-Model"), "\r\n\x00") || resp.StatusCode != 200 || len(resp.Header.Get("X-Weir-Model")) > 200 {
			t.Errorf("%.40s: %d %v %s", model, resp.StatusCode, resp.Header, got)
		}
	}
	for _, c := range g.calls(4) {
		if len(c.Model) > 200 || len(c.AskedModel) > 200 {
			t.Errorf("call of %d and %d bytes of model", len(c.Model), len(c.AskedModel))
		}
	}
	if resp, _ := g.do("GET", "/v1/files/"+strings.Repeat("z", 20_000), ""); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
	if c := g.calls(5)[4]; len(c.Path) > 2000 {
		t.Errorf("a path of %d bytes is recorded", len(c.Path))
	}
}

// A body that comes too slowly is given up with its dialect's 408; other
// callers don't wait for it.
func TestSlowBody(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}, BodyTimeout: 150 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"model\":")
	if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 200 {
		t.Errorf("another caller: %d %s", resp.StatusCode, got)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 408 || !strings.HasPrefix(string(body), `{"type":"error"`) || !resp.Close {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	if c := g.calls(2)[1]; c.ErrorClass != "request_timeout" || c.Status != 408 {
		t.Errorf("call %+v", c)
	}
}

// A client that is still sending hears why its body is refused, and not only
// that the connection is gone.
func TestTooLargeIsHeardWhileSending(t *testing.T) {
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt("http://127.0.0.1:1")}, MaxBody: 1000})
	for _, framing := range []string{"Content-Length: 16000000", "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s\r\n\r\n", framing)
		piece := "fff0\r\n" + strings.Repeat(" ", 0xfff0) + "\r\n"
		for range 7 { // longer than the server waits for by itself
			if _, err := io.WriteString(conn, piece); err != nil {
				t.Fatalf("%s: %v", framing, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", framing, err)
		}
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 413 || !resp.Close || !strings.Contains(string(body), "request_too_large") {
			t.Errorf("%s: %d %s", framing, resp.StatusCode, body)
		}
		conn.Close()
	}
}

// A client that leaves while it sends is recorded as gone.
func TestClientGoneInItsBody(t *testing.T) {
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt("http://127.0.0.1:1")}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"model\":")
	conn.Close()
	if c := g.one(); c.ErrorClass != "client_gone" || c.Status != 499 || c.Outcome != "aborted" {
		t.Errorf("call %+v", c)
	}
}

// Framing that two parsers could read differently is refused, and the
// connection closed.
func TestSmuggling(t *testing.T) {
	v := newVendor(t, anyReply)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	const start = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for what, raw := range map[string]string{
		"two lengths":           start + "Content-Length: 13\r\nContent-Length: 14\r\n\r\n{\"model\":\"m\"}",
		"a length with a sign":  start + "Content-Length: +13\r\n\r\n{\"model\":\"m\"}",
		"a space before colon":  start + "Content-Length : 13\r\n\r\n{\"model\":\"m\"}",
		"an unknown coding":     start + "Transfer-Encoding: xchunked\r\n\r\n{\"model\":\"m\"}",
		"two codings":           start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"a NUL in a header":     start + "X-A: a\x00b\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}",
		"a bad chunk size":      start + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"no Host":               "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}",
		"a header without name": start + ": x\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(conn, raw)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if resp.StatusCode != 400 && resp.StatusCode != 501 {
			t.Errorf("%s: %d", what, resp.StatusCode)
		}
		conn.Close()
	}
	if n := len(v.seen()); n != 0 {
		t.Errorf("%d requests went up", n)
	}
	// CL with TE: the chunked framing counts, and the length does not go up.
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, start+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{\"model\":\"m\"}\r\n0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if up := v.last(); resp.StatusCode == 200 && (up.body != `{"model":"m"}` || up.header.Get("Content-Length") != "13") {
		t.Errorf("%d, up went %+v", resp.StatusCode, up)
	}
}
