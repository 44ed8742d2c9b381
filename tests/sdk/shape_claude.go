package main

import (
	"fmt"
	"net/http"
	"strings"
)

// claudeCode are requests in the shape of Claude Code's: an OAuth token, a
// long list of betas, known to no one and to all, a system prompt of several
// cached blocks behind a line that changes with each request, dozens of tools,
// thinking blocks with signatures that must come back as they were, token
// counts beforehand, and streams that are begun on speculation and left.
func claudeCode() []shape {
	messages := claudeBody("claude-haiku-5-5", claudeTurns, `"stream":true`)
	slow := claudeBody("claude-haiku-5-5-mock-words-400-tps-40", claudeQuestion, `"stream":true,"tool_choice":{"type":"none"}`)
	shapes := []shape{
		{name: "messages", path: "/v1/messages?beta=true", body: messages, metered: true},
		{name: "count_tokens", path: "/v1/messages/count_tokens?beta=true", body: claudeCount()},
		{
			name: "title, not streamed", path: "/v1/messages?beta=true", metered: true,
			body: []byte(`{"model":"claude-haiku-5-5","max_tokens":32,"messages":[{"role":"user","content":"quota"}],"metadata":{"user_id":"user_0123_account__session_4567"}}`),
		},
	}
	for i := range 4 {
		shapes = append(shapes, shape{name: fmt.Sprint("speculative abort ", i+1), path: "/v1/messages?beta=true", body: slow, metered: true, abortAt: 1500 + 400*i})
	}
	for i := range shapes {
		shapes[i].tool, shapes[i].header = "claude-code", claudeHeader(shapes[i])
	}
	return shapes
}

func claudeHeader(sh shape) http.Header {
	h := http.Header{}
	betas := []string{
		"claude-code-20250219", "oauth-2025-04-20", "interleaved-thinking-2025-05-14", "context-management-2025-06-27",
		"fine-grained-tool-streaming-2025-05-14", "prompt-caching-scope-2026-01-05", "effort-2025-11-24", "not-invented-yet-2031-01-01",
	}
	if strings.Contains(sh.path, "count_tokens") {
		betas = append(betas, "token-counting-2024-11-01")
	}
	for name, value := range map[string]string{
		"Accept":         "application/json",
		"Authorization":  "Bearer sk-ant-oat01-of-the-user",
		"Content-Type":   "application/json",
		"User-Agent":     "claude-cli/2.4.1 (external, cli)",
		"X-App":          "cli",
		"Anthropic-Beta": strings.Join(betas, ","), "Anthropic-Version": "2023-06-01",
		"Anthropic-Dangerous-Direct-Browser-Access": "true",
		"X-Claude-Code-Session-Id":                  "5f0c9d52-0b0e-4d0e-8a43-3f2d2f6f1b6e",
		"X-Stainless-Arch":                          "x64", "X-Stainless-Lang": "js", "X-Stainless-Os": "Linux", "X-Stainless-Runtime": "node",
		"X-Stainless-Runtime-Version": "v24.3.0", "X-Stainless-Package-Version": "0.74.0",
		"X-Stainless-Retry-Count": "0", "X-Stainless-Timeout": "600", "X-Stainless-Helper-Method": "stream",
		"Accept-Encoding": "gzip, deflate, br, zstd",
		"Accept-Language": "*", "Sec-Fetch-Mode": "cors",
	} {
		h.Set(name, value)
	}
	return h
}

// The text has what a careless re-encoder would change: escapes that are not
// needed, a slash escaped and not, < and &, a lone surrogate's escape, numbers
// with zeros and exponents, an empty object. The signature is one of the mock's.
const (
	claudeQuestion = `[{"role":"user","content":[{"type":"text","text":"<system-reminder>\nAs you answer, use \u003ccontext\u003e & rules of CLAUDE.md: a\/b, c/d, \u00e9t\u00e9, \ud83d\ude00.\n</system-reminder>"},{"type":"text","text":"Where is the door?","cache_control":{"type":"ephemeral"}}]}]`
	claudeTurns    = `[{"role":"user","content":[{"type":"text","text":"<system-reminder>\n\u003cenv\u003e a\/b & \"quotes\" \u2028 \ud83d\ude00 été \t</system-reminder>"},{"type":"text","text":"Read the file."}]},` +
		`{"role":"assistant","content":[{"type":"thinking","thinking":"The user says: Read the file.. An echo will do.","signature":"bW9jay1zaWduYXR1cmUtN1AzVjJmRkgwQWt2aG9ibjFzcnRHMFBTSHI1bTQ3NzFzak1LMFhLb1EyOGk5UUNj"},{"type":"text","text":"I will."},{"type":"tool_use","id":"toolu_01AbC","name":"Tool7","input":{"path":"/tmp/x","limit":1e2,"ratio":1.0,"big":12345678901234567890,"empty":{},"none":null}}]},` +
		`{"role":"user","content":[{"tool_use_id":"toolu_01AbC","type":"tool_result","content":[{"type":"text","text":"1\tpackage main\n2\t// \u003c&\u003e"}],"is_error":false,"cache_control":{"type":"ephemeral","ttl":"1h"}}]}]`
	claudeSystem = `[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.4.1.a1b; cc_entrypoint=cli; cch=5f3e1;"},{"type":"text","text":"You are a command line tool.","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":"\nYou help with software.\n","cache_control":{"type":"ephemeral"}}]`
)

// claudeTools are forty tools, of schemas as large as real ones'.
func claudeTools() string {
	var b strings.Builder
	for i := range 40 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"Tool%d","description":"Does %d. %s","input_schema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"path":{"description":"An absolute path \u003cnot relative\u003e","type":"string"},"limit":{"type":"integer","exclusiveMinimum":0,"maximum":9007199254740991},"ratio":{"type":"number","default":1.0}},"required":["path"],"additionalProperties":false}}`,
			i, i, strings.Repeat("Use it with care; it has an effect. ", 20))
	}
	return b.String()
}

func claudeBody(model, messages, more string) []byte {
	return fmt.Appendf(nil, `{"model":"%s","messages":%s,"system":%s,"tools":[%s],"metadata":{"user_id":"{\"device_id\":\"d0\",\"account_uuid\":\"\",\"session_id\":\"5f0c9d52\"}"},"max_tokens":32000,"thinking":{"budget_tokens":31999,"type":"enabled"},"context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},"output_config":{"effort":"high"},%s}`,
		model, messages, claudeSystem, claudeTools(), more)
}

func claudeCount() []byte {
	return fmt.Appendf(nil, `{"model":"claude-haiku-5-5","messages":%s,"tools":[%s]}`, claudeQuestion, claudeTools())
}
