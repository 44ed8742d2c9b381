package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
)

// codex are requests in the shape of Codex's: Responses streams that are not
// stored, so that the reasoning comes back encrypted and is sent again, with
// function, free-text and hosted tools, a cache key, and compressed on request.
func codex() []shape {
	turn := codexBody("gpt-5.1-codex", `"tool_choice":"auto"`)
	slow := codexBody("gpt-5.1-codex-mock-words-400-tps-40", `"tool_choice":"none"`)
	shapes := []shape{
		{name: "turn", path: "/v1/responses", body: turn, metered: true},
		{name: "compressed turn", path: "/v1/responses", body: zipped(turn), metered: true},
		{name: "abort 1", path: "/v1/responses", body: slow, metered: true, abortAt: 9000},
		{name: "abort 2", path: "/v1/responses", body: slow, metered: true, abortAt: 12000},
	}
	for i := range shapes {
		shapes[i].tool, shapes[i].header = "codex", codexHeader()
		if strings.HasPrefix(shapes[i].name, "compressed") {
			shapes[i].header.Set("Content-Encoding", "gzip")
		}
	}
	return shapes
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b) // to memory
	_ = z.Close()
	return out.Bytes()
}

func codexHeader() http.Header {
	h := http.Header{}
	for name, value := range map[string]string{
		"Accept":             "text/event-stream",
		"Authorization":      "Bearer sk-proj-of-the-user",
		"Content-Type":       "application/json",
		"Openai-Beta":        "responses=experimental",
		"Originator":         "codex_cli_rs",
		"User-Agent":         "codex_cli_rs/0.98.0 (Debian 13.0.0; x86_64) xterm-256color",
		"Version":            "0.98.0",
		"Chatgpt-Account-Id": "0d6f8a52-77aa-4c1d-9a10-9b6c3f4f0001",
		"Session_id":         "019a0d52-0b0e-7d0e-8a43-3f2d2f6f1b6e", "Conversation_id": "019a0d52-0b0e-7d0e-8a43-3f2d2f6f1b6e",
		"X-Codex-Turn-Metadata": `{"turn_id":"1","sandbox":"none"}`,
		"X-Client-Request-Id":   "019a0d52-0b0e-7d0e-8a43-3f2d2f6f1b6e",
	} {
		h[name] = []string{value}
	}
	return h
}

const codexInput = `[{"type":"message","role":"developer","content":[{"type":"input_text","text":"<permissions instructions>sandbox_mode is \u003cnone\u003e & a\/b</permissions instructions>"}]},` +
	`{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>\n  <cwd>/src</cwd>\n</environment_context> \ud83d\ude00 été"}]},` +
	`{"type":"reasoning","summary":[{"type":"summary_text","text":"**Looking**"}],"content":null,"encrypted_content":"gAAAAABpXyZ+/abc\/def=="},` +
	`{"type":"function_call","name":"shell_command","arguments":"{\"command\":\"ls -la\",\"timeout_ms\":1e4}","call_id":"call_1"},` +
	`{"type":"function_call_output","call_id":"call_1","output":"Exit code: 0\nOutput:\n\u003ca\u003e & b"},` +
	`{"type":"custom_tool_call","status":"completed","call_id":"call_2","name":"apply_patch","input":"*** Begin Patch\n*** End Patch"},` +
	`{"type":"custom_tool_call_output","call_id":"call_2","output":"done"},` +
	`{"type":"message","role":"user","content":[{"type":"input_text","text":"Go on."}]}]`

const codexTools = `[{"type":"function","name":"shell_command","description":"Runs a command.","strict":false,"parameters":{"type":"object","properties":{"command":{"type":"string"},"timeout_ms":{"type":"number"}},"required":["command"],"additionalProperties":false}},` +
	`{"type":"custom","name":"apply_patch","description":"Edits files.","format":{"type":"grammar","syntax":"lark","definition":"start: begin_patch hunk+ end_patch\nbegin_patch: \"*** Begin Patch\" LF\n%import common.LF\n"}},` +
	`{"type":"web_search","external_web_access":false}]`

func codexBody(model, more string) []byte {
	return fmt.Appendf(nil, `{"model":"%s","instructions":"You are a coding agent. %s","input":%s,"tools":%s,%s,"parallel_tool_calls":false,"reasoning":{"effort":"medium","summary":"auto"},"store":false,"stream":true,"include":["reasoning.encrypted_content"],"prompt_cache_key":"019a0d52-0b0e-7d0e-8a43-3f2d2f6f1b6e","text":{"verbosity":"low"}}`,
		model, strings.Repeat("Be precise. ", 400), codexInput, codexTools, more)
}
