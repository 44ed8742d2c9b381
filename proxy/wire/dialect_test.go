package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", path, got, want)
	}
}

var dialects = []Dialect{OpenAI, Anthropic, Gemini}

// streamed are the dialects' APIs that stream.
var streamed = map[Dialect][]API{OpenAI: {Chat, Completions, Responses}, Anthropic: {Messages}, Gemini: {StreamGenerate}}

// The golden files hold what each dialect's clients get, in every shape.
func TestDialectErrors(t *testing.T) {
	failures := []Failure{
		{Status: 400, Message: "Say \"what\" you want.\n", Param: "model", Code: "bad_request"},
		{Status: 401, Message: "Who?", Code: "invalid_api_key"},
		{Status: 402, Message: "Pay."},
		{Status: 403, Message: "No."},
		{Status: 404, Message: "No model x.", Code: "model_not_found", Param: "model"},
		{Status: 408, Message: "Too slow."},
		{Status: 409, Message: "Again."},
		{Status: 413, Message: "Too large."},
		{Status: 429, Message: "Slow down.", Code: "rate_limited", RequestID: "req_1"},
		{Status: 499, Message: "Gone."},
		{Status: 500, Message: ""},
		{Status: 501, Message: "Not here."},
		{Status: 502, Message: "Bad upstream.", Code: "upstream_invalid"},
		{Status: 503, Message: "Down."},
		{Status: 504, Message: "Timed out."},
		{Status: 529, Message: "Overloaded."},
		{Status: 400, Type: "own_type", Message: "c\x00\x1f\u007f\u0085\u2028\u2029é😀\xff<&>\\"},
	}
	for _, d := range dialects {
		var b bytes.Buffer
		for _, f := range failures {
			fmt.Fprintf(&b, "%d %s\n", f.Status, d.Error(f))
		}
		f := Failure{Status: 502, Message: "The upstream went away.\r\n", Code: "upstream_truncated", Sequence: 7}
		for _, api := range streamed[d] {
			fmt.Fprintf(&b, "stream of %v: %q\nping: %q\n", api, d.StreamError(api, f), d.Ping(api))
		}
		golden(t, "errors/"+d.Name()+".txt", b.Bytes())
	}
}

// checkFailure: an error of any words is JSON, and its event is one event that
// reads as the failure that it tells.
func checkFailure(t *testing.T, f Failure) {
	t.Helper()
	for _, d := range dialects {
		body := d.Error(f)
		if !json.Valid(body) || !utf8.Valid(body) || !accepts(body) || bytes.ContainsAny(body, "\r\n\u2028\u0085") {
			t.Fatalf("%s: %+v gives %q", d.Name(), f, body)
		}
		message := string([]rune(f.Message))
		if got := ReadFailure(f.Status, body); got.Message != message || got.Status != f.Status {
			t.Fatalf("%s: %+v comes back as %+v", d.Name(), f, got)
		}
		for _, api := range streamed[d] {
			event := d.StreamError(api, f)
			s := NewStream(api, StreamOptions{StripUsage: true})
			if out := s.Feed(event); !bytes.Equal(out, event) || len(s.Held()) > 0 {
				t.Fatalf("%s: %q lets go %q", d.Name(), event, out)
			}
			if message == "" {
				message = "The upstream reported an error without a message."
			}
			if got := s.Failed(); got == nil || got.Message != message {
				t.Fatalf("%s: the event %q fails with %+v", d.Name(), event, got)
			}
			s.Feed(d.Ping(api))
			if s.Content() || len(s.Held()) > 0 {
				t.Fatalf("%s: the ping is an event", d.Name())
			}
		}
	}
}

func FuzzDialectErrors(f *testing.F) {
	f.Add(400, "code", "type", "message", "param", "req", int64(1))
	f.Add(500, "", "", "", "", "", int64(0))
	f.Add(429, "c\n", "t\"", "m\x00\xff\u2028\\", "p\r\n\r\n", "r\xc3", int64(-1))
	f.Add(529, "\x85", "data: x", strings.Repeat("long ", 10_000), "é", "😀", int64(1<<62))
	f.Fuzz(func(t *testing.T, status int, code, typ, message, param, id string, seq int64) {
		if len(message) < maxRaw/8 || len(message) == 50_000 {
			checkFailure(t, Failure{Status: status, Code: code, Type: typ, Message: message, Param: param, RequestID: id, Sequence: seq})
		}
	})
}

// A ping between events is no event to the Python client of Google's, which
// takes each line that is neither blank nor data for JSON.
func TestGeminiPingIsBlank(t *testing.T) {
	if ping := Gemini.Ping(StreamGenerate); len(ping) == 0 || strings.Trim(string(ping), "\r\n") != "" {
		t.Errorf("ping %q", ping)
	}
}

func TestReadFailure(t *testing.T) {
	check := func(body string, want Failure) {
		t.Helper()
		want.Status = 418
		if got := ReadFailure(418, []byte(body)); got != want {
			t.Errorf("%s reads %+v, want %+v", body, got, want)
		}
	}
	check(``, Failure{})
	check(`<html>`, Failure{})
	check(`[]`, Failure{})
	check(`"x"`, Failure{})
	check(`{}`, Failure{})
	check(`{"error":{"message":"m","type":"t","param":"p","code":"c"}}`, Failure{Message: "m", Type: "t", Param: "p", Code: "c"})
	check(`{"error":{"message":"m","type":"t","param":null,"code":null}}`, Failure{Message: "m", Type: "t"})
	check(`{"error":{"message":"m","code":429}}`, Failure{Message: "m"})
	check(`{"error":{"message":5,"type":"t"}}`, Failure{Type: "t"})
	check(`{"error":"m"}`, Failure{Message: "m"})
	check(`{"error":"m\n\u00e9"}`, Failure{Message: "m\né"})
	check("{\"error\":\"\xff\"}", Failure{Message: "\uFFFD"})
	check(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}`, Failure{Message: "Overloaded", Type: "overloaded_error"})
	check(`{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}`, Failure{Message: "m", Type: "RESOURCE_EXHAUSTED"})
	check(` [{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}] `, Failure{Message: "m", Type: "INVALID_ARGUMENT"})
	check(`[{"error":{"message":"m"}},{"error":{"message":"n"}}]`, Failure{Message: "m"})
	check(`{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}`, Failure{Message: "m", Type: "BadRequestError"})
	check(`{"message":"m"}`, Failure{Message: "m"})
	check(`{"detail":"m"}`, Failure{Message: "m"})
	check(`{"detail":[{"loc":["body"],"msg":"m"}]}`, Failure{})
}

func TestStatusOf(t *testing.T) {
	check := func(kind, code string, want int) {
		t.Helper()
		if got := statusOf(kind, code); got != want {
			t.Errorf("statusOf(%q, %q) = %d, want %d", kind, code, got, want)
		}
	}
	check("", "", 500)
	check("server_error", "", 500)
	check("api_error", "", 500)
	check("INTERNAL", "", 500)
	check("overloaded_error", "", 529)
	check("rate_limit_error", "", 429)
	check("requests", "rate_limit_exceeded", 429)
	check("insufficient_quota", "insufficient_quota", 429)
	check("RESOURCE_EXHAUSTED", "", 429)
	check("invalid_request_error", "invalid_api_key", 401)
	check("authentication_error", "", 401)
	check("UNAUTHENTICATED", "", 401)
	check("PERMISSION_DENIED", "", 403)
	check("invalid_request_error", "model_not_found", 404)
	check("NOT_FOUND", "", 404)
	check("billing_error", "", 402)
	check("request_too_large", "", 413)
	check("timeout_error", "", 504)
	check("DEADLINE_EXCEEDED", "", 504)
	check("UNAVAILABLE", "", 503)
	check("invalid_request_error", "", 400)
	check("invalid_request_error", "context_length_exceeded", 400)
	check("INVALID_ARGUMENT", "", 400)
	check("BadRequestError", "", 400)
}
