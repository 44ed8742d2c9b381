package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"weir/ledger"
)

// A sink is an upstream of any dialect that keeps nothing of what it is sent
// but the sums of its long data.
type sink struct {
	mu     sync.Mutex
	sums   [][32]byte
	length int64
	said   int64  // Content-Length
	stop   func() // is called in the middle of a body; nil: it is read
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.stop != nil {
		io.CopyN(io.Discard, r.Body, 1<<20) //nolint:errcheck // it is given up anyhow
		s.stop()
		io.Copy(io.Discard, r.Body) //nolint:errcheck // until it breaks off
		return
	}
	sums, n := dataSums(r.Body)
	s.mu.Lock()
	s.sums, s.length, s.said = sums, n, r.ContentLength
	s.mu.Unlock()
	stream := strings.Contains(r.Header.Get("Accept"), "event-stream")
	reply := ""
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/messages") && stream:
		reply = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n" +
			"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"seen\"}}\n\n" +
			"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n" +
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	case strings.HasSuffix(path, "/messages"):
		reply = `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"seen"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`
	case strings.Contains(path, "enerateContent"):
		reply = `{"candidates":[{"content":{"role":"model","parts":[{"text":"seen"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3}}`
		if stream {
			reply = "data: " + reply + "\n\n"
		}
	case stream:
		reply = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"seen\"},\"finish_reason\":null}]}\n\n" +
			"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\ndata: [DONE]\n\n"
	default:
		reply = `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"seen"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`
	}
	if w.Header().Set("Content-Type", "application/json"); stream {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	io.WriteString(w, reply) //nolint:errcheck // the test sees what is missing
}

// dataSums reads a body, and sums up each run of base64 that is long.
func dataSums(r io.Reader) (sums [][32]byte, size int64) {
	buf := make([]byte, 64<<10)
	sum, run := sha256.New(), 0
	for {
		n, err := r.Read(buf)
		size += int64(n)
		for start := 0; start < n; {
			end := start
			for end < n && isData(buf[end]) {
				end++
			}
			sum.Write(buf[start:end])
			run += end - start
			if end < n {
				if run > 1000 {
					sums = append(sums, [32]byte(sum.Sum(nil)))
				}
				sum.Reset()
				run = 0
				end++
			}
			start = end
		}
		if err != nil {
			return sums, size
		}
	}
}

func isData(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

// sinkRig is a proxy whose providers are one sink.
func sinkRig(t *testing.T) (*rig, *sink) {
	t.Helper()
	s := &sink{}
	url := upstreamServer(t, s.ServeHTTP)
	return newRig(t, Settings{Providers: []ProviderSettings{
		{Name: "openai", Kind: "openai", BaseURL: url + "/v1", APIKey: "sk-openai-secret", Models: []string{"gpt-*"}},
		{Name: "anthropic", Kind: "anthropic", BaseURL: url, APIKey: "sk-ant-secret", Models: []string{"claude-*"}},
		{Name: "gemini", Kind: "gemini", BaseURL: url, APIKey: "AIza-secret-key", Models: []string{"gemini-*"}},
	}}), s
}

// picture is base64 of about that many letters, which begins as PNG does.
func picture(letters int) string {
	raw := make([]byte, letters/4*3)
	rand.NewChaCha8([32]byte{1}).Read(raw) //nolint:errcheck // it never fails
	copy(raw, "\x89PNG\r\n\x1a\n")
	return base64.StdEncoding.EncodeToString(raw)
}

// A large body without a copy of it: the client's text around pictures.
type album struct {
	head, tail string
	open, shut string // around each picture
	data       string
	n          int
}

func (a album) size() (n int64) {
	return int64(len(a.head) + len(a.tail) + a.n*(len(a.open)+len(a.data)+len(a.shut)))
}

func (a album) reader() io.Reader {
	parts := []io.Reader{strings.NewReader(a.head)}
	for range a.n {
		parts = append(parts, strings.NewReader(a.open), strings.NewReader(a.data), strings.NewReader(a.shut))
	}
	return io.MultiReader(append(parts, strings.NewReader(a.tail))...)
}

// albumOf is a request of a client's dialect with n pictures.
func albumOf(client, model string, stream bool, n int, data string) album {
	a := album{n: n, data: data, tail: `]}]}`}
	switch client {
	case "chat":
		a.head = fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":[{"type":"text","text":"look"}`, model, stream)
		a.open, a.shut = `,{"type":"image_url","image_url":{"url":"data:image/png;base64,`, `"}}`
	case "responses":
		a.head = fmt.Sprintf(`{"model":%q,"stream":%v,"input":[{"role":"user","content":[{"type":"input_text","text":"look"}`, model, stream)
		a.open, a.shut = `,{"type":"input_image","image_url":"data:image/png;base64,`, `"}`
	case "messages":
		a.head = fmt.Sprintf(`{"model":%q,"stream":%v,"max_tokens":50,"messages":[{"role":"user","content":[{"type":"text","text":"look"}`, model, stream)
		a.open, a.shut = `,{"type":"image","source":{"type":"base64","media_type":"image/png","data":"`, `"}}`
	case "generate":
		a.head = `{"contents":[{"role":"user","parts":[{"text":"look"}`
		a.open, a.shut = `,{"inlineData":{"mimeType":"image/png","data":"`, `"}}`
	}
	return a
}

// sendAlbum posts an album, and returns the reply.
func (g *rig) sendAlbum(t *testing.T, ctx context.Context, url string, a album, header []string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+url, a.reader())
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = a.size()
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// maxCarriedHeap bounds all that is allocated, in bytes, to carry a body of any
// size whose bulk is data: what is allocated in all is more than what is ever
// held. The client and the upstream of the test are in it.
const maxCarriedHeap = 6 << 20

// 50 MB of pictures go across each pair, streamed or not, whole and with next
// to no memory.
func TestCarriedLargeBody(t *testing.T) {
	g, up := sinkRig(t)
	g.sendAlbum(t, t.Context(), "/v1/chat/completions", albumOf("chat", "claude-haiku-4-5", false, 1, picture(2<<20)), nil) // what is made once
	large, many := picture(5<<20), picture(10<<10)
	count := 10
	if testing.Short() {
		count = 2
	}
	for _, shape := range []struct {
		data string
		n    int
	}{{large, count}, {many, 512}} {
		want := sha256.Sum256([]byte(strings.TrimRight(shape.data, "=")))
		eachPair(t, func(t *testing.T, i int, model string) {
			for _, stream := range []bool{false, true} {
				n := shape.n
				if stream { // the same way up
					n = 2
				}
				a := albumOf(clients[i].name, model, stream, n, shape.data)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				resp, body := g.sendAlbum(t, t.Context(), clients[i].path(model, stream), a, clients[i].header)
				runtime.ReadMemStats(&after)
				if resp == nil || resp.StatusCode != 200 || !strings.Contains(body, "seen") {
					t.Fatalf("stream %v: %+v %.500s", stream, resp, body)
				}
				if heap := after.TotalAlloc - before.TotalAlloc; heap > maxCarriedHeap {
					t.Errorf("stream %v, %d pictures: %d KiB were allocated to carry %d KiB", stream, n, heap>>10, a.size()>>10)
				}
				if up.length != up.said || len(up.sums) != n {
					t.Fatalf("stream %v: the upstream got %d bytes of %d, %d pictures", stream, up.length, up.said, len(up.sums))
				}
				for _, sum := range up.sums {
					if sum != want {
						t.Fatalf("stream %v: a picture has changed", stream)
					}
				}
			}
		})
	}
}

// What is looked into, left out or given with escapes is as right as it is in
// a small body.
func TestCarriedLargeBodyThatIsLookedInto(t *testing.T) {
	g, up := sinkRig(t)
	data := picture(2 << 20)
	sum := func(s string) [32]byte { return sha256.Sum256([]byte(strings.TrimRight(s, "="))) }
	check := func(what, path, body string, status int, want ...[32]byte) {
		t.Helper()
		up.sums = nil
		resp, got := g.post(path, body, "Anthropic-Version", "2023-06-01")
		if resp.StatusCode != status {
			t.Errorf("%s: %d %.300s", what, resp.StatusCode, got)
			return
		}
		if fmt.Sprint(up.sums) != fmt.Sprint(want) || up.length != up.said {
			t.Errorf("%s: the upstream got %d runs of data in %d of %d bytes, want %d", what, len(up.sums), up.length, up.said, len(want))
		}
	}
	chat := func(model, parts string) string {
		return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":[%s]}]}`, model, parts)
	}
	file := func(mime, data string) string {
		return `{"type":"file","file":{"filename":"a","file_data":"data:` + mime + `;base64,` + data + `"}}`
	}
	image := `{"type":"image_url","image_url":{"url":"data:image/png;base64,` + data + `"}}`
	text := base64.StdEncoding.EncodeToString([]byte(data))
	check("a text in base64", "/v1/chat/completions", chat("claude-haiku-4-5", file("text/plain", text)), 200, sum(data))
	check("beside a picture", "/v1/chat/completions", chat("claude-haiku-4-5", image+","+file("text/plain", text)+","+image), 200, sum(data), sum(data), sum(data))
	check("a text", "/v1/messages", `{"model":"gemini-2.5-flash","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"`+data+`"}}]}]}`, 200, sum(text))
	check("no base64", "/v1/chat/completions", chat("claude-haiku-4-5", file("text/plain", data+"=!")), 400)
	check("what Anthropic does not read", "/v1/chat/completions", chat("claude-haiku-4-5", file("application/zip", data)), 400)
	check("what is given twice", "/v1/chat/completions", chat("claude-haiku-4-5", `{"type":"image_url","image_url":{"url":"data:image/png;base64,`+data+`","url":"data:image/png;base64,`+data[4:]+`"}}`), 200, sum(data[4:]))
	check("escapes", "/v1/chat/completions", chat("claude-haiku-4-5", strings.ReplaceAll(image, "/", `\/`)), 200, sum(data))
	check("a tool's input", "/v1/messages", `{"model":"gpt-4o-mini","max_tokens":9,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{"data":"`+data+`","n":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"ok"}]}]}`, 200, sum(data))
	check("unfinished", "/v1/chat/completions", `{"model":"claude-haiku-4-5","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,`+data, 400)
	sealed := `{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"weir-seal-1.responses.b3BlbmFp"},{"type":"text","text":"y"}]},{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + data + `"}}]}]}`
	check("one that comes home", "/v1/messages", sealed, 200, sum(data))
}

// A body that cannot be kept is refused with the cure, and no file is left.
func TestCarriedLargeBodyWithoutDisk(t *testing.T) {
	g, up := sinkRig(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir+"/gone")
	a := albumOf("chat", "claude-haiku-4-5", false, 1, picture(1100<<10)) // little of it is unread as it is refused
	resp, body := g.sendAlbum(t, t.Context(), "/v1/chat/completions", a, nil)
	if resp == nil || resp.StatusCode != 500 || !strings.Contains(body, "temporary directory") || up.said != 0 {
		t.Errorf("%+v %s", resp, body)
	}
	t.Setenv("TMPDIR", dir)
	if resp, body = g.sendAlbum(t, t.Context(), "/v1/chat/completions", a, nil); resp == nil || resp.StatusCode != 200 {
		t.Errorf("afterwards: %+v %s", resp, body)
	}
	if left, err := filepath.Glob(dir + "/*"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// The client goes away while its pictures are on their way to the upstream.
func TestCarriedLargeBodyClientGone(t *testing.T) {
	g, up := sinkRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	up.stop = cancel
	a := albumOf("chat", "gemini-2.5-flash", true, 2, picture(8<<20))
	if resp, body := g.sendAlbum(t, ctx, "/v1/chat/completions", a, nil); resp != nil || !strings.Contains(body, context.Canceled.Error()) {
		t.Errorf("%+v %s", resp, body)
	}
	if c := g.calls(1)[0]; c.Outcome != ledger.Aborted {
		t.Errorf("the call: %+v", c)
	}
	eventually(t, "the body's file is closed", func() bool {
		fds, _ := os.ReadDir("/proc/self/fd") // none where there is no /proc
		for _, fd := range fds {
			if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.Contains(name, "weir-body-") {
				return false
			}
		}
		return true
	})
}
