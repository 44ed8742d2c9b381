package mockllm_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"weir/internal/mockllm"
)

// form makes a multipart body of fields, and of one file.
func form(t *testing.T, field, name, content string, fields ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.CreateFormFile(field, name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), "Content-Type: " + w.FormDataContentType()
}

func (m *mock) object(r reply) map[string]any {
	m.t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil || r.status != 200 {
		m.t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return v
}

func TestOpenAIFilesAndBatches(t *testing.T) {
	m := start(t, mockllm.Options{})
	lines := `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m",` + hi + `}}
{"custom_id":"b","method":"POST","url":"/v1/chat/completions","body":{"model":"mock-error-500",` + hi + `}}
`
	body, kind := form(t, "file", "in.jsonl", lines, "purpose", "batch")
	file := m.object(m.post("/v1/files", body, kind))
	fileID := file["id"].(string)
	if file["bytes"] != float64(len(lines)) || file["filename"] != "in.jsonl" || file["purpose"] != "batch" {
		t.Errorf("the file: %v", file)
	}
	if r := m.get("/v1/files/" + fileID + "/content"); r.body != lines {
		t.Errorf("its content: %s", r.body)
	}
	if list := m.object(m.get("/v1/files")); len(list["data"].([]any)) != 1 {
		t.Errorf("the list: %v", list)
	}
	batch := m.object(m.post("/v1/batches", `{"input_file_id":"`+fileID+`","endpoint":"/v1/chat/completions","completion_window":"24h"}`))
	if batch["status"] != "validating" || batch["output_file_id"] != nil {
		t.Errorf("the batch at first: %v", batch)
	}
	batch = m.object(m.get("/v1/batches/" + batch["id"].(string)))
	if batch["status"] != "completed" || fmt.Sprint(batch["request_counts"]) != "map[completed:1 failed:1 total:2]" {
		t.Errorf("the batch: %v", batch)
	}
	out := m.get("/v1/files/" + batch["output_file_id"].(string) + "/content").body
	if !strings.Contains(out, `"custom_id":"a","response":{"status_code":200`) || !strings.Contains(out, `"custom_id":"b","response":{"status_code":500`) {
		t.Errorf("the results: %s", out)
	}
	if d := m.object(m.send(http.MethodDelete, "/v1/files/"+fileID, "")); d["deleted"] != true {
		t.Errorf("deleted: %v", d)
	}
	if r := m.get("/v1/files/" + fileID); r.status != 404 || !strings.Contains(r.body, "No such File object") {
		t.Errorf("after that: %d %s", r.status, r.body)
	}
	if r := m.post("/v1/batches", `{"input_file_id":"file-x","endpoint":"/v1/chat/completions","completion_window":"24h"}`); r.status != 400 {
		t.Errorf("a batch of no file: %d %s", r.status, r.body)
	}
}

func TestBatchCancel(t *testing.T) {
	m := start(t, mockllm.Options{})
	body, kind := form(t, "file", "in.jsonl", "", "purpose", "batch")
	fileID := m.object(m.post("/v1/files", body, kind))["id"].(string)
	batch := m.object(m.post("/v1/batches", `{"input_file_id":"`+fileID+`","endpoint":"/v1/chat/completions","completion_window":"24h"}`))
	if b := m.object(m.post("/v1/batches/"+batch["id"].(string)+"/cancel", "")); b["status"] != "cancelled" {
		t.Errorf("cancelled: %v", b)
	}
	if b := m.object(m.get("/v1/batches/" + batch["id"].(string))); b["status"] != "cancelled" {
		t.Errorf("after that: %v", b)
	}
}

func TestMessageBatches(t *testing.T) {
	m := start(t, mockllm.Options{})
	b := m.object(m.post("/v1/messages/batches", `{"requests":[{"custom_id":"a","params":{"model":"m","max_tokens":50,`+hi+`}},{"custom_id":"b","params":{"model":"m",`+hi+`}}]}`))
	path := "/v1/messages/batches/" + b["id"].(string)
	if b["processing_status"] != "in_progress" {
		t.Errorf("at first: %v", b)
	}
	b = m.object(m.get(path))
	if b["processing_status"] != "ended" || b["results_url"] != m.url+path+"/results" {
		t.Errorf("then: %v", b)
	}
	r := m.get(path + "/results")
	if !strings.Contains(r.body, `{"custom_id":"a","result":{"type":"succeeded","message":{"id":"msg_`) || !strings.Contains(r.body, `{"custom_id":"b","result":{"type":"errored"`) {
		t.Errorf("the results: %s", r.body)
	}
	if r := m.send(http.MethodDelete, path, ""); !strings.Contains(r.body, "message_batch_deleted") {
		t.Errorf("deleted: %s", r.body)
	}
}

func TestStoredResponses(t *testing.T) {
	m := start(t, mockllm.Options{})
	first := m.post("/v1/responses", `{"model":"m","input":"a","tools":[`+flatTool+`]}`)
	id := m.object(first)["id"].(string)
	if r := m.get("/v1/responses/" + id); r.body != first.body {
		t.Errorf("stored: %s, want %s", r.body, first.body)
	}
	_, rest, _ := strings.Cut(first.body, `"call_id":"`)
	callID, _, _ := strings.Cut(rest, `"`)
	next := m.post("/v1/responses", `{"model":"m","previous_response_id":"`+id+`","input":[{"type":"function_call_output","call_id":"`+callID+`","output":"21 degrees"}]}`)
	if next.status != 200 || !strings.Contains(next.body, "The tool said: 21 degrees") {
		t.Errorf("next: %d %s", next.status, next.body)
	}
	if r := m.post("/v1/responses", `{"model":"m","previous_response_id":"`+id+`","input":"b"}`); r.status != 400 || !strings.Contains(r.body, "No tool output found") {
		t.Errorf("next without the result: %d %s", r.status, r.body)
	}
	if r := m.get("/v1/responses/" + id + "/input_items"); !strings.Contains(r.body, `"text":"a"`) || !strings.Contains(r.body, id+"_in0") {
		t.Errorf("input items: %s", r.body)
	}
	if r := m.get("/v1/responses/" + m.object(next)["id"].(string) + "/input_items?order=asc"); !strings.Contains(r.body, "21 degrees") {
		t.Errorf("input items: %s", r.body)
	}
	if r := m.send(http.MethodDelete, "/v1/responses/"+id, ""); !strings.Contains(r.body, `"deleted":true`) {
		t.Errorf("deleted: %s", r.body)
	}
	if r := m.get("/v1/responses/" + id); r.status != 404 {
		t.Errorf("after that: %d %s", r.status, r.body)
	}
	gone := m.object(m.post("/v1/responses", `{"model":"m","input":"b","store":false}`))["id"].(string)
	if r := m.get("/v1/responses/" + gone); r.status != 404 {
		t.Errorf("not to be stored: %d", r.status)
	}
}

func TestGeminiFilesAndCaches(t *testing.T) {
	m := start(t, mockllm.Options{})
	begun := m.post("/upload/v1beta/files", `{"file":{"displayName":"notes"}}`, "X-Goog-Upload-Command: start", "X-Goog-Upload-Header-Content-Type: text/plain")
	up := strings.TrimPrefix(begun.header.Get("X-Goog-Upload-Url"), m.url)
	done := m.object(m.post(up, "the bytes", "Content-Type: application/json", "X-Goog-Upload-Command: upload, finalize"))
	file := done["file"].(map[string]any)
	if file["displayName"] != "notes" || file["mimeType"] != "text/plain" || file["sizeBytes"] != "9" || file["state"] != "ACTIVE" {
		t.Errorf("the file: %v", file)
	}
	if r := m.object(m.get("/v1beta/" + file["name"].(string))); r["uri"] != file["uri"] {
		t.Errorf("the file again: %v", r)
	}
	cache := m.object(m.post("/v1beta/cachedContents", `{"model":"models/g","contents":[{"parts":[{"text":"`+strings.Repeat("a", 400)+`"}]}],"ttl":"60s"}`))
	name := cache["name"].(string)
	r := m.post("/v1beta/models/g:generateContent", `{"cachedContent":"`+name+`","contents":[{"parts":[{"text":"a"}]}]}`)
	if !strings.Contains(r.body, `"promptTokenCount":104,"cachedContentTokenCount":100`) {
		t.Errorf("with a cache: %s", r.body)
	}
	if r := m.send(http.MethodDelete, "/v1beta/"+name, ""); r.status != 200 {
		t.Errorf("deleted: %d", r.status)
	}
	if r := m.post("/v1beta/models/g:generateContent", `{"cachedContent":"`+name+`","contents":[{"parts":[{"text":"a"}]}]}`); r.status != 403 {
		t.Errorf("with a lost cache: %d %s", r.status, r.body)
	}
}

func TestAnthropicFiles(t *testing.T) {
	m := start(t, mockllm.Options{})
	const version = "Anthropic-Version: 2023-06-01"
	body, kind := form(t, "file", "a.txt", "text")
	id := m.object(m.post("/v1/files", body, kind, version))["id"].(string)
	if r := m.get("/v1/files/"+id+"/content", version); r.body != "text" {
		t.Errorf("content: %s", r.body)
	}
	if r := m.get("/v1/files/" + id); r.status != 404 {
		t.Errorf("for OpenAI: %d", r.status)
	}
}

func TestMedia(t *testing.T) {
	m := start(t, mockllm.Options{})
	audio, kind := form(t, "file", "a.wav", strings.Repeat("x", 32000), "model", "gpt-4o-transcribe")
	r := m.post("/v1/audio/transcriptions", audio, kind)
	if !strings.Contains(r.body, `{"text":"You sent 32000 bytes of audio named a.wav.","usage":{"type":"tokens"`) {
		t.Errorf("transcription: %s", r.body)
	}
	audio, kind = form(t, "file", "a.wav", "x", "model", "whisper-1", "response_format", "text")
	if r := m.post("/v1/audio/transcriptions", audio, kind); r.body != "You sent 1 bytes of audio named a.wav.\n" {
		t.Errorf("as text: %q", r.body)
	}
	image, kind := form(t, "image", "a.png", "x", "model", "gpt-image-1", "prompt", "p", "n", "2")
	if r := m.post("/v1/images/edits", image, kind); strings.Count(r.body, `"b64_json"`) != 2 {
		t.Errorf("images: %s", r.body)
	}
	speech := m.post("/v1/audio/speech", `{"model":"tts-1","voice":"alloy","input":"Hello there"}`)
	if len(speech.body) != 3*2400 || speech.header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("speech: %d bytes, %v", len(speech.body), speech.header)
	}
	if r := m.post("/v1/audio/transcriptions", `{"model":"m"}`); r.status != 400 {
		t.Errorf("JSON where a form is due: %d %s", r.status, r.body)
	}
}

// Large bodies are read with flat memory.
func TestLargeBodies(t *testing.T) {
	m := start(t, mockllm.Options{})
	const size = 50 << 20
	check := func(what, path, contentType, head, tail string) {
		t.Helper()
		body := io.MultiReader(strings.NewReader(head), io.LimitReader(endless{}, size), strings.NewReader(tail))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := m.do(r)
		runtime.ReadMemStats(&after)
		if got.status != 200 {
			t.Errorf("%s: %d %.300s", what, got.status, got.body)
		}
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 24<<20 {
			t.Errorf("%s: %d bytes were allocated", what, spent)
		}
	}
	check("a picture in a chat", "/v1/chat/completions", "application/json",
		`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,`, `"}},{"type":"text","text":"What is it?"}]}]}`)
	check("a file", "/v1/files", "multipart/form-data; boundary=b",
		"--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n", "\r\n--b--\r\n")
	check("raw bytes", "/v1/uploads", "application/octet-stream", "", "")
}

// endless reads as the letter A.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}

func TestSocket(t *testing.T) {
	m := start(t, mockllm.Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(m.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET /v1/realtime?model=m HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: realtime, x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	// The accept value is RFC 6455's own example.
	if res.StatusCode != 101 || res.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || res.Header.Get("Sec-Websocket-Protocol") != "realtime" {
		t.Fatalf("handshake: %+v", res)
	}
	long := strings.Repeat("x", 300)
	if _, err := io.WriteString(conn, "\x81\x85\x00\x00\x00\x00hello"+"\x82\xFE\x01\x2C\x00\x00\x00\x00"+long+"\x88\x80\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if want := "\x81\x05hello\x82\x7E\x01\x2C" + long + "\x88\x00"; err != nil || string(got) != want {
		t.Errorf("echo: %q, %v", got, err)
	}
}
