package mockllm_test

import (
	"net/http"
	"strings"
	"testing"

	"weir/internal/mockllm"
)

const hi = `"messages":[{"role":"user","content":"Hi"}]`

// What the vendors refuse is refused with their words.
func TestStrictChat(t *testing.T) {
	m := start(t, mockllm.Options{})
	check := func(body, want string, headers ...string) {
		t.Helper()
		r := m.post("/v1/chat/completions", body, headers...)
		if r.status != 400 || !strings.Contains(r.body, want) || !strings.HasPrefix(r.body, `{"error":{"message":"`) {
			t.Errorf("%s: got %d %s, want 400 with %s", body, r.status, r.body, want)
		}
	}
	check(`{`+hi+`}`, "you must provide a model parameter")
	check(`{"model":"",`+hi+`}`, "you must provide a model parameter")
	check(`{"model":"m"}`, `Missing required parameter: 'messages'.`)
	check(`{"model":"m","messages":[]}`, `"code":"empty_array"`)
	check(`{"model":"m","messages":"Hi"}`, `Invalid type for 'messages': expected an array, but got a string instead.`)
	check(`{"model":"m","messages":["Hi"]}`, `Invalid type for 'messages[0]'`)
	check(`{"model":7,`+hi+`}`, `"code":"invalid_type"`)
	check(`{"model":"m",`+hi+`,"weir":{"vars":{}}}`, `Unrecognized request argument supplied: weir`)
	check(`{"model":"m",`+hi+`,"max_tokens":"5"}`, `expected an integer, but got a string`)
	check(`{"model":"m",`+hi+`,"max_tokens":0}`, `integer_below_min_value`)
	check(`{"model":"m",`+hi+`,"temperature":3}`, `decimal_above_max_value`)
	check(`{"model":"m",`+hi+`,"stream_options":{"include_usage":true}}`, `only allowed when 'stream' is enabled`)
	check(`{"model":"m",`+hi+`,"stream":true,"stream_options":{"foo":1}}`, `stream_options.foo`)
	check(`{"model":"mock-nostreamoptions",`+hi+`,"stream":true,"stream_options":{"include_usage":true}}`, `Unrecognized request argument supplied: stream_options`)
	check(`{"model":"m","messages":[{"content":"Hi"}]}`, `messages[0].role`)
	check(`{"model":"m","messages":[{"role":"human","content":"Hi"}]}`, `Invalid value: 'human'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.`)
	check(`{"model":"m","messages":[{"role":"user"}]}`, `messages[0].content`)
	check(`{"model":"m","messages":[{"role":"user","content":null}]}`, `messages[0].content`)
	check(`{"model":"m","messages":[{"role":"tool","tool_call_id":"x","content":"Hi"}]}`, `must be a response to a preceeding message with 'tool_calls'`)
	check(`{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"user","content":"Hi"}]}`, `did not have response messages: x`)
	check(`{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]}]}`, `did not have response messages: x`)
	check(`{"model":"m",`+hi+`,"tools":[{"type":"function","function":{"name":"a b"}}]}`, `does not match pattern`)
	check(`{"model":"m",`+hi+`,"tools":[{"function":{"name":"a"}}]}`, `tools[0].type`)
	check(`{"model":"m",`+hi+`,"tools":[{"type":"function","function":{"name":"a","parameters":{"type":"array"}}}]}`, `invalid_function_parameters`)
	check(`{"model":"m",`+hi+`,"tool_choice":"auto"}`, `only allowed when 'tools' are specified`)
	check(`{"model":"m",`+hi+`,"top_logprobs":1}`, `only allowed when 'logprobs' is enabled`)
	check(`{"model":"m",`+hi+`,"response_format":{"type":"yaml"}}`, `'json_object', 'json_schema', and 'text'`)
	check(`{"model":"m",`+hi+`,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object"}}}}`, `additionalProperties`)
	check(`{"model":"m",`+hi, `could not parse the JSON body`)
	check(`{"model":"m",`+hi+`}}`, `could not parse the JSON body`)
	check(`{"model":"m","messages":`+strings.Repeat("[", 100000), `could not parse the JSON body`)
	check(`{"model":"m",`+hi+`}`, `unsupported_content_type`, "Content-Type: text/plain")
	check(`{"model":"m",`+hi+`}`, `unsupported_content_type`, "Content-Type: ")
}

func TestStrictResponses(t *testing.T) {
	m := start(t, mockllm.Options{})
	check := func(body, want string) {
		t.Helper()
		if r := m.post("/v1/responses", body); r.status != 400 || !strings.Contains(r.body, want) {
			t.Errorf("%s: got %d %s, want 400 with %s", body, r.status, r.body, want)
		}
	}
	check(`{"model":"m"}`, `must be provided`)
	check(`{"model":"m","messages":[]}`, `Unrecognized request argument supplied: messages`)
	check(`{"model":"m","input":7}`, `Invalid type for 'input'`)
	check(`{"model":"m","input":"a","max_output_tokens":1}`, `integer_below_min_value`)
	check(`{"model":"m","input":"a","stream_options":{}}`, `only allowed when 'stream' is enabled`)
	check(`{"model":"m","input":[{"type":"function_call_output","call_id":"x","output":"a"}]}`, `No tool call found for function call output with call_id x.`)
	check(`{"model":"m","input":[{"type":"function_call","call_id":"x","name":"f","arguments":"{}"}]}`, `No tool output found for function call x.`)
	check(`{"model":"m","input":[{"role":"user","content":"a"},{"type":"reasoning","id":"rs_1","summary":[]}]}`, `without its required following item`)
	check(`{"model":"m","input":[{"role":"tool","content":"a"}]}`, `invalid_value`)
	check(`{"model":"m","input":"a","previous_response_id":"resp_x"}`, `previous_response_not_found`)
	check(`{"model":"m","input":"a","tools":[{"type":"function","function":{"name":"f"}}]}`, `tools[0].name`)
	check(`{"model":"m","input":"a","text":{"format":{"type":"json_schema","schema":{}}}}`, `text.format.name`)
}

func TestStrictMessages(t *testing.T) {
	m := start(t, mockllm.Options{})
	check := func(body, want string, headers ...string) {
		t.Helper()
		r := m.post("/v1/messages", body, headers...)
		if r.status != 400 || !strings.Contains(r.body, want) || !strings.HasPrefix(r.body, `{"type":"error","error":{"type":"invalid_request_error"`) {
			t.Errorf("%s: got %d %s, want 400 with %s", body, r.status, r.body, want)
		}
	}
	with := func(more string) string { return `{"model":"m","max_tokens":2000,` + hi + more + `}` }
	turns := func(more string) string {
		return `{"model":"m","max_tokens":2000,"messages":[{"role":"user","content":"Hi"}` + more + `]}`
	}
	check(with(""), "anthropic-version: header is required", "Anthropic-Version: ")
	check(with(""), "content-type", "Content-Type: text/plain")
	check(`{"model":"m",`+hi+`}`, "max_tokens: Field required")
	check(`{"max_tokens":5,`+hi+`}`, "model: Field required")
	check(`{"model":"m","max_tokens":5}`, "messages: Field required")
	check(`{"model":"m","max_tokens":0,`+hi+`}`, "greater than or equal to 1")
	check(`{"model":"m","max_tokens":"5",`+hi+`}`, "max_tokens: Input should be a valid integer")
	check(`{"model":"m","max_tokens":5,"messages":[]}`, "at least one message is required")
	check(with(`,"stream_options":{}`), "stream_options: Extra inputs are not permitted")
	check(with(`,"temperature":1.5`), "temperature: range: 0..1")
	check(turns(`,{"role":"system","content":"x"}`), `Unexpected role \"system\"`)
	if r := m.post("/v1/messages", `{"model":"m","max_tokens":5,"messages":[{"role":"assistant","content":"x"},{"role":"assistant","content":"y"},`+hi[len(`"messages":[`):]+`}`); r.status != 200 {
		t.Errorf("a conversation that the model begins: %d %s", r.status, r.body)
	}
	check(turns(`,{"role":"assistant","content":"x "}`), "cannot end with trailing whitespace")
	check(turns(`,{"role":"assistant","content":""},{"role":"user","content":"x"}`), "non-empty content")
	check(turns(`,{"role":"user","content":"x","name":"n"}`), "messages.1.name: Extra inputs are not permitted")
	check(turns(`,{"role":"user","content":[{"type":"text","text":"x","id":"n"}]}`), "messages.1.content.0.text.id: Extra inputs are not permitted")
	check(turns(`,{"role":"user","content":[{"type":"text"}]}`), "messages.1.content.0.text.text: Field required")
	check(turns(`,{"role":"user","content":[{"text":"x"}]}`), "messages.1.content.0.type: Field required")
	check(turns(`,{"role":"user","content":[{"type":"text","text":" "}]}`), "non-whitespace")
	check(turns(`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"}]}`), "unexpected `tool_use_id` found in `tool_result` blocks: t.")
	use := `,{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]}`
	check(turns(use), "`tool_use` ids were found without `tool_result` blocks immediately after: t.")
	check(turns(use+`,{"role":"user","content":"x"}`), "messages.1: `tool_use` ids were found without")
	check(turns(`,{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":"{}"}]}`), "tool_use.input: Input should be a valid dictionary")
	check(turns(`,{"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"forged"}]},{"role":"user","content":"x"}`), "Invalid `signature` in `thinking` block")
	mark := `{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}`
	check(turns(`,{"role":"user","content":[`+strings.Repeat(mark+",", 4)+mark+`]}`), "A maximum of 4 blocks with cache_control may be provided. Found 5.")
	check(with(`,"thinking":{"type":"enabled"}`), "budget_tokens: Field required")
	check(with(`,"thinking":{"type":"enabled","budget_tokens":10}`), "greater than or equal to 1024")
	check(with(`,"thinking":{"type":"enabled","budget_tokens":2000}`), "must be greater than `thinking.budget_tokens`")
	check(with(`,"thinking":{"type":"enabled","budget_tokens":1024},"temperature":0`), "`temperature` may only be set to 1")
	check(with(`,"tools":[{"name":"f"}]`), "tools.0.custom.input_schema: Field required")
	check(with(`,"tools":[{"name":"a b","input_schema":{"type":"object"}}]`), "should match pattern")
	check(with(`,"tool_choice":{"type":"auto"}`), "only be specified while providing tools")
	check(with(`,"tools":[`+claudeTool+`],"tool_choice":{"type":"required"}`), "'required' found")
	check(with(`,"tools":[`+claudeTool+`],"tool_choice":{"type":"tool","name":"other"}`), "Tool 'other' not found")
	check(`{"model":"m"`, "not valid JSON")
}

func TestStrictGenerate(t *testing.T) {
	m := start(t, mockllm.Options{})
	check := func(body, want string) {
		t.Helper()
		r := m.post("/v1beta/models/m:generateContent", body)
		if r.status != 400 || !strings.Contains(r.body, want) || !strings.Contains(r.body, `"status":"INVALID_ARGUMENT"`) {
			t.Errorf("%s: got %d %s, want 400 with %s", body, r.status, r.body, want)
		}
	}
	check(`{}`, "contents is not specified")
	check(`{"contents":[{"parts":[{"text":"a"}]}],"messages":[]}`, `Unknown name \"messages\"`)
	check(`{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"max_tokens":5}}`, `Unknown name \"max_tokens\" at 'generation_config'`)
	check(`{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"temperature":"hot"}}`, `Invalid value at 'generation_config.temperature'`)
	check(`{"contents":[{"parts":[{"text":7}]}]}`, `Invalid value at 'contents[0].parts[0].text'`)
	check(`{"contents":[{"role":"assistant","parts":[{"text":"a"}]}]}`, "Please use a valid role: user, model.")
	check(`{"contents":[{"role":"user","parts":[]}]}`, "must not be empty")
	check(`{"contents":[{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}]}`, "number of function response parts")
	check(`{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"Zm9yZ2Vk"}]},{"parts":[{"functionResponse":{"name":"f","response":{}}}]}]}`, "Thought signature is not valid")
	check(`{"contents":`, "Invalid JSON payload received")
}

func TestLax(t *testing.T) {
	m := start(t, mockllm.Options{Lax: true})
	if r := m.post("/v1/chat/completions", `{"model":"m",`+hi+`,"top_k":5}`); r.status != http.StatusOK {
		t.Errorf("top_k: %d %s", r.status, r.body)
	}
}

// Signatures that the mock made are taken back, as they were.
func TestSignatures(t *testing.T) {
	m := start(t, mockllm.Options{})
	first := m.post("/v1/messages", `{"model":"m","max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024},`+hi+`}`)
	_, rest, _ := strings.Cut(first.body, `"content":`)
	content, _, _ := strings.Cut(rest, `,"stop_reason"`)
	again := func(content string) int {
		return m.post("/v1/messages", `{"model":"m","max_tokens":2000,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":`+content+`},{"role":"user","content":"Go on"}]}`).status
	}
	if got := again(content); got != 200 {
		t.Errorf("its own thinking block: %d %s", got, content)
	}
	if got := again(strings.Replace(content, "An echo", "An  echo", 1)); got != 400 {
		t.Errorf("a thinking block with another space: %d", got)
	}
}

func TestKeys(t *testing.T) {
	m := start(t, mockllm.Options{Keys: []string{"sk-good"}})
	check := func(path, body, header string, want int) {
		t.Helper()
		if r := m.post(path, body, header); r.status != want {
			t.Errorf("%s with %s: got %d %s, want %d", path, header, r.status, r.body, want)
		}
	}
	chat := `{"model":"m",` + hi + `}`
	check("/v1/chat/completions", chat, "Authorization: Bearer sk-good", 200)
	check("/v1/chat/completions", chat, "Authorization: Bearer sk-bad", 401)
	check("/v1/chat/completions", chat, "X-Api-Key: sk-good", 401)
	check("/v1/chat/completions", chat, "X: y", 401)
	check("/openai/v1/chat/completions", chat, "Api-Key: sk-good", 200)
	check("/openai/deployments/d/chat/completions", chat, "Api-Key: sk-good", 404) // without api-version
	check("/v1/messages", `{"model":"m","max_tokens":5,`+hi+`}`, "X-Api-Key: sk-good", 200)
	check("/v1/messages", `{"model":"m","max_tokens":5,`+hi+`}`, "X-Api-Key: sk-bad", 401)
	gemini := `{"contents":[{"parts":[{"text":"a"}]}]}`
	check("/v1beta/models/m:generateContent", gemini, "X-Goog-Api-Key: sk-good", 200)
	check("/v1beta/models/m:generateContent?key=sk-good", gemini, "X: y", 200)
	check("/v1beta/models/m:generateContent", gemini, "X-Goog-Api-Key: sk-bad", 400)
}
