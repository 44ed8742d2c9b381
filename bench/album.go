//go:build linux

package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"weir/proxy/wire/neutral"
)

// albumYAML is Weir with an upstream for each dialect, all of them one sink.
const albumYAML = `listen: "127.0.0.1:0"
admin: {listen: "127.0.0.1:0"}
auth: off
secret: bench-bench-bench-bench-bench-bench
data: %[1]s
store: sqlite:%[1]s/weir.db
spool: {dir: %[1]s/spool}
discover: off
providers:
  chat: {kind: openai, base_url: "http://%[2]s/v1", api_key: sk-bench-0123456789, apis: [chat]}
  responses: {kind: openai, base_url: "http://%[2]s/v1", api_key: sk-bench-0123456789, apis: [responses]}
  messages: {kind: anthropic, base_url: "http://%[2]s", api_key: sk-bench-0123456789}
  generate: {kind: gemini, base_url: "http://%[2]s", api_key: sk-bench-0123456789}
routes:
  - {model: "chat-model", targets: [{provider: chat, model: gpt-4o}]}
  - {model: "responses-model", targets: [{provider: responses, model: gpt-4o}]}
  - {model: "messages-model", targets: [{provider: messages, model: claude-sonnet-4-5}]}
  - {model: "generate-model", targets: [{provider: generate, model: gemini-2.5-flash}]}
`

// albumHeads begin a request with pictures in each dialect; albumPictures are
// what stands around each picture.
var (
	albumPaths = map[string]string{
		"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages",
		"generate": "/v1beta/models/%s:generateContent",
	}
	albumHeads = map[string]string{
		"chat":      `{"model":%q,"messages":[{"role":"user","content":[{"type":"text","text":"look"}`,
		"responses": `{"model":%q,"input":[{"role":"user","content":[{"type":"input_text","text":"look"}`,
		"messages":  `{"model":%q,"max_tokens":50,"messages":[{"role":"user","content":[{"type":"text","text":"look"}`,
		"generate":  `{"labels":{"model":%q},"contents":[{"role":"user","parts":[{"text":"look"}`,
	}
	albumPictures = map[string][2]string{
		"chat":      {`,{"type":"image_url","image_url":{"url":"data:image/png;base64,`, `"}}`},
		"responses": {`,{"type":"input_image","image_url":"data:image/png;base64,`, `"}`},
		"messages":  {`,{"type":"image","source":{"type":"base64","media_type":"image/png","data":"`, `"}}`},
		"generate":  {`,{"inlineData":{"mimeType":"image/png","data":"`, `"}}`},
	}
)

const (
	pictures   = 10
	pictureLen = 5 << 20 // letters of base64
	// maxAlbum is the aim: how much more memory a large request may take.
	maxAlbum = 16 << 20
)

// sinkReplies are the shortest of each API, by the end of its path.
var sinkReplies = map[string]string{
	"/completions":     `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"seen"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`,
	"/responses":       `{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"seen","annotations":[]}]}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}`,
	"/messages":        `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"seen"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`,
	":generateContent": `{"candidates":[{"content":{"role":"model","parts":[{"text":"seen"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3}}`,
}

// sink is an upstream that reads a body to its end, keeps nothing of it, and
// tells its length.
func sink(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil || n != r.ContentLength {
		http.Error(w, "a body that is not whole", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", fmt.Sprint(n))
	for end, reply := range sinkReplies {
		if strings.HasSuffix(r.URL.Path, end) {
			io.WriteString(w, reply) //nolint:errcheck // the load sees what is missing
		}
	}
}

// albums measures what a running Weir takes to carry 50 MB of pictures.
func albums(w io.Writer, dir string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(sink), ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) //nolint:errcheck // it ends by Close
	defer server.Close()
	dir = filepath.Join(dir, "album")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, albumYAML, dir, listener.Addr()), 0o600); err != nil {
		return err
	}
	weir, err := startChild(nil, "weir-of", path)
	if err != nil {
		return err
	}
	defer weir.stop()
	raw := make([]byte, pictureLen/4*3)
	rand.NewChaCha8([32]byte{1}).Read(raw) //nolint:errcheck // it never fails
	picture := base64.StdEncoding.EncodeToString(raw)
	fmt.Fprintf(w, "\n%d pictures of %d MiB in one request, through a running Weir\n", pictures, pictureLen>>20)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "client to upstream\tms\tRSS before MiB\tpeak MiB\tallocated MiB\t")
	worst := int64(0)
	for _, client := range dialects {
		for _, up := range dialects {
			from, to := string(neutral.For(client.api).API), string(neutral.For(up.api).API)
			more, err := album(tw, weir, from, to, picture)
			if err != nil {
				return fmt.Errorf("pictures, %s to %s: %w", from, to, err)
			}
			worst = max(worst, more)
		}
	}
	tw.Flush() //nolint:errcheck // w keeps its own errors
	verdict := "met"
	if worst > maxAlbum {
		verdict = "missed"
	}
	_, err = fmt.Fprintf(w, "at most %.1f MiB above what it took before; aim %d MiB: %s\n", mib(worst), maxAlbum>>20, verdict)
	return err
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// album carries one, and returns by how much the memory grew.
func album(w io.Writer, weir *child, client, up, picture string) (int64, error) {
	model := up + "-model"
	path := albumPaths[client]
	if client == "generate" {
		path = fmt.Sprintf(path, model)
	}
	around := albumPictures[client]
	body := []io.Reader{strings.NewReader(fmt.Sprintf(albumHeads[client], model))}
	size := len(fmt.Sprintf(albumHeads[client], model)) + pictures*(len(around[0])+len(picture)+len(around[1])) + len("]}]}")
	for range pictures {
		body = append(body, strings.NewReader(around[0]), strings.NewReader(picture), strings.NewReader(around[1]))
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+weir.addr.Plain+path, io.MultiReader(append(body, strings.NewReader("]}]}"))...))
	if err != nil {
		return 0, err
	}
	req.ContentLength = int64(size)
	req.Header.Set("Content-Type", "application/json")
	pid := weir.cmd.Process.Pid
	quiet(pid, 2*time.Second)
	resetPeak(pid)
	before, _, err := rss(pid)
	if err != nil {
		return 0, err
	}
	had, err := weir.memory()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	reply, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(reply), "seen") {
		return 0, fmt.Errorf("%s: %.300s", resp.Status, reply)
	}
	took := time.Since(start)
	_, peak, err := rss(pid)
	if err != nil {
		return 0, err
	}
	has, err := weir.memory()
	fmt.Fprintf(w, "%s to %s\t%d\t%.1f\t%.1f\t%.1f\t\n", client, up, took.Milliseconds(), mib(before), mib(peak), mib(int64(has.Bytes-had.Bytes)))
	return peak - before, err
}
