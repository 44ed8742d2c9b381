package mockllm_test

import (
	"fmt"
	"strings"
	"testing"

	"weir/internal/mockllm"
)

func parseRules(t *testing.T, doc string) []mockllm.Rule {
	t.Helper()
	rules, err := mockllm.ParseRules([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// A usage object is sent byte for byte, where each API has it.
func TestReplaysUsage(t *testing.T) {
	m := start(t, mockllm.Options{Rules: parseRules(t, `
rules:
  - usage_json: '{"any":  [1, 2.50], "x_vendor": {"n": 1e3}}'
    served_model: real-1
    service_tier: flex
`)})
	const usage = `"usage":{"any":  [1, 2.50], "x_vendor": {"n": 1e3}}`
	gemini := strings.Replace(usage, "usage", "usageMetadata", 1)
	chat, gen := `{"model":"m",`+hi, `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`
	for _, c := range []struct{ name, path, body, usage, more string }{
		{"chat", "/v1/chat/completions", chat + `}`, usage, `"model":"real-1"`},
		{"chat's tier", "/v1/chat/completions", chat + `}`, usage, `"service_tier":"flex"`},
		{"chat's stream", "/v1/chat/completions", chat + `,"stream":true,"stream_options":{"include_usage":true}}`, usage, `"model":"real-1"`},
		{"completions", "/v1/completions", `{"model":"m","prompt":"hi"}`, usage, `"model":"real-1"`},
		{"responses", "/v1/responses", `{"model":"m","input":"hi"}`, usage, `"model":"real-1"`},
		{"responses' stream", "/v1/responses", `{"model":"m","input":"hi","stream":true}`, usage, `"service_tier":"flex"`},
		{"messages", "/v1/messages", `{"max_tokens":9,` + chat[1:] + `}`, usage, `"model":"real-1"`},
		{"messages' stream", "/v1/messages", `{"max_tokens":9,"stream":true,` + chat[1:] + `}`, usage, `"model":"real-1"`},
		{"generate", "/v1beta/models/m:generateContent", gen, gemini, `"modelVersion":"real-1"`},
		{"generate's stream", "/v1beta/models/m:streamGenerateContent?alt=sse", gen, gemini, `"modelVersion":"real-1"`},
		{"generate's array", "/v1beta/models/m:streamGenerateContent", gen, gemini, `"modelVersion":"real-1"`},
		{"embeddings", "/v1/embeddings", `{"model":"m","input":"hi"}`, usage, `"model":"real-1"`},
		{"embedContent", "/v1beta/models/m:embedContent", `{"content":{"parts":[{"text":"hi"}]}}`, gemini, ""},
		{"images", "/v1/images/generations", `{"model":"m","prompt":"hi"}`, usage, ""},
		{"images' stream", "/v1/images/generations", `{"model":"m","prompt":"hi","stream":true}`, usage, ""},
		{"rerank", "/v1/rerank", `{"model":"m","query":"q","documents":["d"]}`, usage, `"model":"real-1"`},
	} {
		if r := m.post(c.path, c.body); r.status != 200 || !strings.Contains(r.body, c.usage) || !strings.Contains(r.body, c.more) {
			t.Errorf("%s: %d %s", c.name, r.status, r.body)
		}
	}
	form := "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--x--\r\n"
	r := m.post("/v1/audio/transcriptions", form, "Content-Type: multipart/form-data; boundary=x")
	if !strings.Contains(r.body, usage) {
		t.Errorf("transcription: %d %s", r.status, r.body)
	}
}

// YAML keeps the order of members and the spelling of numbers; of a list, each
// place of a stream has the next.
func TestReplaysUsageOverAStream(t *testing.T) {
	m := start(t, mockllm.Options{Rules: parseRules(t, `
rules:
  - match: {model: one}
    usage_json: {input_tokens: 3, cache_read_input_tokens: 1.50, output_tokens: 7, service_tier: batch, server_tool_use: {web_search_requests: 2}}
  - match: {model: two}
    usage_json: [{input_tokens: 3, output_tokens: 1}, {output_tokens: 7, "n": null, b: yes, s: "1"}]
  - match: {model: every}
    usage: every
    text: a b c d
    usage_json: [{n: 1}, {n: 2}, {n: 3}]
  - match: {model: beside}
    beside_usage: {timings: {prompt_ms: 200.5}, model: other}
`)})
	count := func(body, sub string, want int) {
		t.Helper()
		if got := strings.Count(body, sub); got != want {
			t.Errorf("%s comes %d times, want %d: %s", sub, got, want, body)
		}
	}
	messages := func(model string) string {
		return m.post("/v1/messages", `{"model":"`+model+`","max_tokens":99,"stream":true,`+hi+`}`).body
	}
	b := messages("one")
	count(b, `"usage":{"input_tokens":3,"cache_read_input_tokens":1.50,"output_tokens":1,"service_tier":"batch"}`, 1)
	count(b, `"usage":{"input_tokens":3,"cache_read_input_tokens":1.50,"output_tokens":7,"service_tier":"batch","server_tool_use":{"web_search_requests":2}}`, 1)
	b = messages("two")
	count(b, `"usage":{"input_tokens":3,"output_tokens":1}`, 1)
	count(b, `"usage":{"output_tokens":7,"n":null,"b":"yes","s":"1"}`, 1)
	b = m.post("/v1/chat/completions", `{"model":"every","stream":true,`+hi+`}`).body
	count(b, `"usage":{"n":1}`, 1)
	count(b, `"usage":{"n":2}`, 1)
	count(b, `"usage":{"n":3}`, 4) // text's last two pieces, the end of the choice and the last of all
	b = m.post("/v1/chat/completions", `{"model":"beside",`+hi+`}`).body
	count(b, `"timings":{"prompt_ms":200.5}`, 1)
	count(b, `"model":"other"`, 1)
	count(b, `"model":"beside"`, 0)
	b = m.post("/v1/chat/completions", `{"model":"beside","stream":true,"stream_options":{"include_usage":true},`+hi+`}`).body
	count(b, `"timings":{"prompt_ms":200.5}`, 1)
}

func TestBadReplays(t *testing.T) {
	bomb := "rules:\n  - usage_json:\n      a0: &a0 [1, 2]\n"
	for i := range 90 {
		bomb += fmt.Sprintf("      a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	for doc, want := range map[string]string{
		bomb:                                                      "it is over 1048576 bytes with its aliases",
		"rules:\n  - usage_json: '{\"a\":'":                       "line 2: ",
		"rules:\n  - usage_json: hello":                           `"hello" is no JSON`,
		"rules:\n  - usage_json: '[1]'":                           "is no object",
		"rules:\n  - usage_json: []":                              "an empty list",
		"rules:\n  - usage_json: 12":                              `"12" is no object`,
		"rules:\n  - usage_json: {a: 0x10}":                       "0x10 is no number of JSON's",
		"rules:\n  - usage_json: {a: .inf}":                       ".inf is no number of JSON's",
		"rules:\n  - usage: none\n    usage_json: {a: 1}":         "usage is none, so that usage_json is never sent",
		"rules:\n  - beside_usage: [{a: 1}, {b: 1}]":              "want one object",
		"rules:\n  - {text: x}\n  - {\n    beside_usage: ''\n  }": "line 4: ",
	} {
		if _, err := mockllm.ParseRules([]byte(doc)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", doc, err, want)
		}
	}
}

// A response of the background and a batch tell their usage once they have ended.
func TestReplaysUsageLater(t *testing.T) {
	m := start(t, mockllm.Options{Rules: parseRules(t, `
rules:
  - usage_json: {input_tokens: 5, input_tokens_details: {cached_tokens: 2}, output_tokens: 7}
`)})
	r := m.post("/v1/responses", `{"model":"m","input":"hi","background":true}`)
	if !strings.Contains(r.body, `"status":"queued"`) || !strings.Contains(r.body, `"usage":null`) {
		t.Errorf("begun: %s", r.body)
	}
	id := r.body[strings.Index(r.body, "resp_"):][:len("resp_")+24]
	if r = m.get("/v1/responses/" + id); !strings.Contains(r.body, `"status":"completed"`) || !strings.Contains(r.body, `"output_tokens":7`) {
		t.Errorf("ended: %s", r.body)
	}
	line := `{"custom_id":"1","method":"POST","url":"/v1/responses","body":{"model":"m","input":"hi"}}` + "\n"
	form := "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n" + line + line + "\r\n--x--\r\n"
	r = m.post("/v1/files", form, "Content-Type: multipart/form-data; boundary=x")
	file := r.body[strings.Index(r.body, "file-"):][:len("file-")+24]
	r = m.post("/v1/batches", `{"input_file_id":"`+file+`","endpoint":"/v1/responses","completion_window":"24h"}`)
	if strings.Contains(r.body, `"usage"`) {
		t.Errorf("begun: %s", r.body)
	}
	id = r.body[strings.Index(r.body, "batch_"):][:len("batch_")+24]
	want := `"model":"m","usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":14,`
	if r = m.get("/v1/batches/" + id); !strings.Contains(r.body, want) {
		t.Errorf("ended: %s", r.body)
	}
}
