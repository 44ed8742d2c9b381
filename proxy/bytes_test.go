package proxy

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"

	"weir/ledger"
)

// awkward is a body that a decode and re-encode would change.
const awkward = `{ "zebra":1.0, "model" : "gpt-4o" ,"messages":[{"role":"user","content":"<b>&\u003c\u00e9é\/\ud83d\ude00"}],
	"big":123456789012345678901234567890,"exp":1E+2,"tiny":-0.0,"dup":{"a":1,"a":2},"unknown_field":{"z":null,"a":[ ]},"temperature":0.70 }` + "\n"

func TestSameBodyGivesTheSameBytes(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	mapped := strings.Replace(awkward, `"gpt-4o"`, `"up/gpt-4o"`, 1)
	for range 100 {
		g.post("/v1/chat/completions", awkward)
		g.post("/v1/chat/completions", mapped)
	}
	seen := v.seen()
	if len(seen) != 200 {
		t.Fatalf("%d requests", len(seen))
	}
	for i, r := range seen {
		if r.body != awkward {
			t.Fatalf("request %d: %q", i, r.body)
		}
	}
}

func TestEditsOfABody(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if strings.Contains(body, `"stream":true`) {
			sse(w, chunk("hi"), stopChunk, doneEvent)
			return
		}
		says(200, chatReply)(w, r, body)
	})
	g := newRig(t, Settings{
		Providers: []ProviderSettings{openaiAt(v.url)},
		Routes:    []RouteSettings{{Model: "fast", Targets: []TargetSettings{{Provider: "up", Model: `real "one"`}}}},
	})
	check := func(body, want string) {
		t.Helper()
		if resp, got := g.post("/v1/chat/completions", body); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", body, resp.StatusCode, got)
		}
		if got := v.last().body; got != want {
			t.Errorf("%s\nwent up as %s\nwant       %s", body, got, want)
		}
	}
	check(`{"model":"fast","x":1}`, `{"model":"real \"one\"","x":1}`)
	check(`{"x":1, "model" :"up/m" }`, `{"x":1, "model" :"m" }`)
	check(`{"model":"m","weir":{"vars":{"a":1}},"x":1}`, `{"model":"m","x":1}`)
	check(`{"weir":{},"model":"m"}`, `{"model":"m"}`)
	check(`{"model":"m","weir":{}}`, `{"model":"m"}`)
	check(`{"model":"m","nested":{"weir":1}}`, `{"model":"m","nested":{"weir":1}}`)
	check(`{"stream":true,"model":"m"}`, `{"stream":true,"model":"m","stream_options":{"include_usage":true}}`)
	check(`{"stream":true,"model":"m" } `, `{"stream":true,"model":"m","stream_options":{"include_usage":true} } `)
	check(`{"stream":true,"stream_options":null,"model":"m"}`, `{"stream":true,"stream_options":{"include_usage":true},"model":"m"}`)
	check(`{"stream":true,"stream_options":{},"model":"m"}`, `{"stream":true,"stream_options":{"include_usage":true},"model":"m"}`)
	check(`{"stream":true,"stream_options":{"x":1},"model":"m"}`, `{"stream":true,"stream_options":{"x":1,"include_usage":true},"model":"m"}`)
	check(`{"stream":true,"stream_options":{"include_usage":false},"model":"m"}`, `{"stream":true,"stream_options":{"include_usage":true},"model":"m"}`)
	check(`{"stream":true,"stream_options":{"include_usage":true},"model":"m"}`, `{"stream":true,"stream_options":{"include_usage":true},"model":"m"}`)
	check(`{"stream":true,"weir":1,"model":"fast"}`, `{"stream":true,"model":"real \"one\"","stream_options":{"include_usage":true}}`)
}

// Only chat and completion streams are asked for usage: the others say it anyway.
func TestOtherStreamsAreNotEdited(t *testing.T) {
	for _, name := range []string{"responses", "anthropic", "gemini"} {
		s := speeches[name]
		v := newVendor(t, answers(s.all()...))
		g := newRig(t, Settings{Providers: []ProviderSettings{at("up", s.kind, v.url)}})
		g.post(s.path, s.body)
		if got := v.last().body; got != s.body {
			t.Errorf("%s: went up as %s", name, got)
		}
	}
}

func TestHeadersBothWays(t *testing.T) {
	v := newVendor(t, says(200, chatReply, "X-Unknown", "up", "Anthropic-Ratelimit-Tokens-Remaining", "5", "Openai-Processing-Ms", "12",
		"Set-Cookie", "a=b", "Access-Control-Allow-Origin", "*", "Connection", "X-Hop", "X-Hop", "1", "Alt-Svc", "h3", "X-Weir-Call-Id", "forged"))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	resp, _ := g.post("/v1/chat/completions", chatBody, "OpenAI-Beta", "a=1", "OpenAI-Beta", "b=2", "OpenAI-Organization", "org", "X-Stainless-Retry-Count", "1",
		"X-Unknown", "down", "Idempotency-Key", "k1", "User-Agent", "an SDK/1", "Cookie", "s=1", "X-Forwarded-For", "10.1.1.1", "Forwarded", "for=10.1.1.1",
		"X-Weir-Session", "s", "Connection", "X-Private", "X-Private", "p", "Te", "trailers", "Proxy-Authorization", "Basic x", "Referer", "http://intern/", "Accept-Encoding", "gzip, br")
	up := v.last().header
	if got := up["Openai-Beta"]; fmt.Sprint(got) != "[a=1 b=2]" {
		t.Errorf("betas %v", got)
	}
	for name, want := range map[string]string{"Openai-Organization": "org", "X-Stainless-Retry-Count": "1", "X-Unknown": "down", "Idempotency-Key": "k1", "User-Agent": "an SDK/1", "Accept-Encoding": "identity"} {
		if up.Get(name) != want {
			t.Errorf("upstream saw %s: %q", name, up.Get(name))
		}
	}
	for _, name := range []string{"Cookie", "X-Forwarded-For", "Forwarded", "X-Weir-Session", "X-Private", "Te", "Proxy-Authorization", "Referer", "Connection"} {
		if up.Get(name) != "" {
			t.Errorf("upstream saw %s: %q", name, up.Get(name))
		}
	}
	h := resp.Header
	if h.Get("X-Unknown") != "up" || h.Get("Anthropic-Ratelimit-Tokens-Remaining") != "5" || h.Get("Openai-Processing-Ms") != "12" {
		t.Errorf("headers back %v", h)
	}
	for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "X-Hop", "Alt-Svc"} {
		if h.Get(name) != "" {
			t.Errorf("the client saw %s: %q", name, h.Get(name))
		}
	}
	if len(h["X-Weir-Call-Id"]) != 1 || h.Get("X-Weir-Call-Id") == "forged" {
		t.Errorf("call id %v", h["X-Weir-Call-Id"])
	}
}

// A client without a User-Agent gets none made up on its behalf.
func TestNoHeaderIsMadeUp(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, chatReply)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	resp, _ := g.post("/v1/chat/completions", chatBody, "User-Agent", "")
	if ua, ok := v.last().header["User-Agent"]; ok && ua[0] != "" {
		t.Errorf("User-Agent %q", ua)
	}
	if ct, ok := resp.Header["Content-Type"]; ok {
		t.Errorf("Content-Type %q", ct)
	}
}

func form(t *testing.T, model string, size int) (body, contentType string, file []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	file = make([]byte, size)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range file {
		file[i] = byte(rng.Uint32())
	}
	w.WriteField("response_format", "json")
	w.WriteField("model", model)
	part, err := w.CreateFormFile("file", "speech.mp3")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(file)
	w.WriteField("language", "en")
	w.Close()
	return b.String(), w.FormDataContentType(), file
}

func TestMultipart(t *testing.T) {
	v := newVendor(t, says(200, `{"text":"hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":2,"total_tokens":16}}`))
	g := newRig(t, Settings{
		Providers: []ProviderSettings{openaiAt(v.url)},
		Routes:    []RouteSettings{{Model: "hear", Targets: []TargetSettings{{Provider: "up", Model: "whisper-1"}}}},
	})
	for _, size := range []int{1000, 3 << 20} { // in memory, and in a file
		for _, model := range []string{"whisper-1", "hear", "up/whisper-1"} {
			body, ct, _ := form(t, model, size)
			if resp, got := g.do("POST", "/v1/audio/transcriptions", body, "Content-Type", ct); resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, got)
			}
			up := v.last()
			if want := strings.Replace(body, "\r\n"+model+"\r\n", "\r\nwhisper-1\r\n", 1); up.body != want || up.header.Get("Content-Type") != ct {
				t.Errorf("%s of %d bytes: went up as %d bytes, want %d", model, size, len(up.body), len(want))
			}
		}
	}
	for _, c := range g.calls(6) {
		if out, _ := c.Usage.Output(); out != 2 || c.UsageSource != ledger.FromProvider || c.API != "transcriptions" {
			t.Errorf("call %+v", c)
		}
	}
	// Node's SDK writes the fields as its caller named them, Go's the file first.
	file := "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n" + strings.Repeat("\r\n--xy", 300_000) + "\r\n"
	late := func(model string) string {
		return file + "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n" + model + "\r\n"
	}
	send := func(body string) (*http.Response, string) {
		return g.do("POST", "/v1/audio/transcriptions", body+"--xyz--\r\n", "Content-Type", "multipart/form-data; boundary=xyz")
	}
	if resp, got := send(late("hear")); resp.StatusCode != 200 || v.last().body != late("whisper-1")+"--xyz--\r\n" {
		t.Errorf("a model behind the file: %d %s", resp.StatusCode, got)
	}
	// A key that may use one model must not reach another by naming both.
	early := strings.TrimPrefix(late("hear"), file)
	if resp, got := send(early + late("other")); resp.StatusCode != 400 || !strings.Contains(got, "twice") {
		t.Errorf("two models: %d %s", resp.StatusCode, got)
	}
	// Image edits may leave the model out.
	body, ct, _ := form(t, "", 10)
	if resp, got := g.do("POST", "/v1/images/edits", body, "Content-Type", ct); resp.StatusCode != 200 || v.last().body != body {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

func TestBinaryReply(t *testing.T) {
	sound := make([]byte, 300<<10)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range sound {
		sound[i] = byte(rng.Uint32())
	}
	for _, chunked := range []bool{true, false} {
		v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", "audio/mpeg")
			if !chunked {
				w.Header().Set("Content-Length", fmt.Sprint(len(sound)))
			}
			w.Write(sound)
		})
		g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
		resp, got := g.post("/v1/audio/speech", `{"model":"tts-1","input":"hi","voice":"alloy"}`)
		if got != string(sound) || resp.Header.Get("Content-Type") != "audio/mpeg" {
			t.Errorf("chunked %v: %d bytes, %v", chunked, len(got), resp.Header)
		}
		if !chunked && resp.ContentLength != int64(len(sound)) {
			t.Errorf("length %d", resp.ContentLength)
		}
		if c := g.one(); c.BytesOut != int64(len(sound)) || c.Outcome != ledger.OK || c.API != "speech" {
			t.Errorf("call %+v", c)
		}
	}
}

func packed(t *testing.T, encoding, body string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	io.WriteString(w, body)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressedRequests(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	for _, encoding := range []string{"gzip", "deflate", "zstd"} {
		raw := packed(t, encoding, chatBody)
		if resp, got := g.post("/v1/chat/completions", raw, "Content-Encoding", encoding); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", encoding, resp.StatusCode, got)
		}
		if up := v.last(); up.body != raw || up.header.Get("Content-Encoding") != encoding {
			t.Errorf("%s: not as it came: %v", encoding, up.header)
		}
		g.post("/v1/chat/completions", packed(t, encoding, strings.Replace(chatBody, "gpt-4o", "up/gpt-4o", 1)), "Content-Encoding", encoding)
		if up := v.last(); up.body != chatBody || up.header.Get("Content-Encoding") != "" {
			t.Errorf("%s, edited: %q %v", encoding, up.body, up.header)
		}
	}
	for _, c := range g.calls(6) {
		if in, _ := c.Usage.Input(); in != 9 || !strings.HasSuffix(c.AskedModel, "gpt-4o") {
			t.Errorf("call %+v", c)
		}
	}
	for encoding, want := range map[string]int{"br": 415, "gzip, gzip": 415, "gzip": 400} {
		if resp, got := g.post("/v1/chat/completions", chatBody, "Content-Encoding", encoding); resp.StatusCode != want {
			t.Errorf("%s: %d %s", encoding, resp.StatusCode, got)
		}
	}
}

// What comes compressed though we asked for identity is opened, since it has
// to be read; what we cannot open passes as it is.
func TestCompressedReplies(t *testing.T) {
	for _, encoding := range []string{"gzip", "deflate", "zstd"} {
		for _, reply := range []string{chatReply, strings.Join(speeches["chat"].all(), "")} {
			ct, request, want := "application/json", chatBody, chatReply
			if reply != chatReply {
				ct, request, want = "text/event-stream", streamBody, visible(speeches["chat"].all())
			}
			v := newVendor(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
				w.Header().Set("Content-Type", ct)
				w.Header().Set("Content-Encoding", encoding)
				io.WriteString(w, packed(t, encoding, reply))
			})
			g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
			resp, got := g.post("/v1/chat/completions", request)
			if got != want || resp.Header.Get("Content-Encoding") != "" {
				t.Errorf("%s: %v %q", encoding, resp.Header, got)
			}
			if out, _ := g.one().Usage.Output(); out != 2 {
				t.Errorf("%s: call %+v", encoding, g.one())
			}
		}
	}
	v := newVendor(t, says(200, "\x8b\x02\x80not really brotli\x03", "Content-Encoding", "br"))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "br" || got != "\x8b\x02\x80not really brotli\x03" {
		t.Errorf("%d %v %q", resp.StatusCode, resp.Header, got)
	}
	bad := newVendor(t, says(200, "no gzip", "Content-Encoding", "gzip"))
	g = newRig(t, Settings{Providers: []ProviderSettings{openaiAt(bad.url)}})
	if resp, got := g.post("/v1/chat/completions", chatBody); resp.StatusCode != 502 || !strings.Contains(got, "upstream_invalid") {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

func TestHeadAndNoContent(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if r.Method == "HEAD" {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "4242")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	resp, got := g.do("HEAD", "/v1/files/file-1", "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Length") != "4242" || got != "" {
		t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
	resp, got = g.do("DELETE", "/v1/files/file-1", "")
	if resp.StatusCode != 204 || got != "" {
		t.Errorf("DELETE: %d %q", resp.StatusCode, got)
	}
	if resp, got = g.post("/v1/chat/completions", chatBody); resp.StatusCode != 502 || !strings.Contains(got, "upstream_invalid") {
		t.Errorf("a chat without an answer: %d %s", resp.StatusCode, got)
	}
}

var fillerText = strings.Repeat("abcdefghijklmnopqrstuvw ", 1000)

// A filler reads as letters, n of them.
type filler struct{ left int64 }

func (f *filler) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), f.left))
	for at := copy(p[:n], fillerText); at < n; {
		at += copy(p[at:n], fillerText)
	}
	f.left -= int64(n)
	return n, nil
}

// 50 MB go up and come back without being held.
func TestLargeBodiesTakeNoMemory(t *testing.T) {
	const size = 50 << 20
	var peak atomic.Uint64
	sample := func() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		for old := peak.Load(); m.HeapAlloc > old && !peak.CompareAndSwap(old, m.HeapAlloc); old = peak.Load() {
		}
	}
	var up [32]byte
	var in int64
	url := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		in, _ = io.Copy(sum, r.Body)
		sum.Sum(up[:0])
		sample()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"x","choices":[{"message":{"content":"`)
		reply := &filler{left: size}
		buf := make([]byte, 256<<10)
		for i := 0; ; i++ {
			n, err := reply.Read(buf)
			if err != nil {
				break
			}
			w.Write(buf[:n])
			if i%100 == 0 {
				sample()
			}
		}
		io.WriteString(w, `"}}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}`)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(url)}})
	g.post("/v1/chat/completions", chatBody) // vocabulary, pools and database are loaded
	sample()
	before := peak.Swap(0)

	head, tail := `{"model":"up/gpt-4o","messages":[{"role":"user","content":"`, `"}]}`
	body := func() io.Reader {
		return io.MultiReader(strings.NewReader(head), &filler{left: size}, strings.NewReader(tail))
	}
	req, err := http.NewRequestWithContext(context.Background(), "POST", g.url+"/v1/chat/completions", body())
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != 200 || n < size {
		t.Fatalf("%d, %d bytes, %v", resp.StatusCode, n, err)
	}
	want := sha256.New()
	wantLen, _ := io.Copy(want, io.MultiReader(strings.NewReader(strings.Replace(head, "up/", "", 1)), &filler{left: size}, strings.NewReader(tail)))
	if [32]byte(want.Sum(nil)) != up || in != wantLen {
		t.Errorf("upstream got other bytes: %d of %d", in, wantLen)
	}
	if grown := int64(peak.Load()) - int64(before); grown > 10<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	c := g.calls(2)[1]
	if out, _ := c.Usage.Output(); out != 2 || c.BytesOut != n || c.UsageSource != ledger.FromProvider {
		t.Errorf("call %+v", c)
	}
}
