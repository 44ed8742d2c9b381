package neutral

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// chatBodies are requests that say all that chat can say.
var chatBodies = []string{
	`{"model":"gpt-5","messages":[{"role":"user","content":"hi"}]}`,
	`{"model":"gpt-4o","messages":[{"role":"developer","content":"be brief"},{"role":"system","name":"s","content":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]},
		{"role":"user","name":"ann","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}},
		{"type":"image_url","image_url":{"url":"https://x.example/a.png"}},{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"mp3"}},
		{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERg=="}},{"type":"file","file":{"file_id":"file-1"}},
		{"type":"video_url","video_url":{"url":"https://x.example/v.mp4"}},{"type":"mystery","deep":{"a":[1, 2.0]}},
		{"type":"text","text":"c","prompt_cache_breakpoint":{"mode":"explicit"}}]}],"max_completion_tokens":7,"temperature":0.70,"top_p":1e-1,"top_k":4,"seed":123456789012345678901,
		"stop":["a","b"],"n":2,"logprobs":true,"top_logprobs":3,"frequency_penalty":-0.5,"presence_penalty":0,"verbosity":"low","user":"u","metadata":{"b":"2","a":"1"},
		"service_tier":"flex","prompt_cache_key":"k","store":true,"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"logit_bias":{"50256":-100},
		"prediction":{"type":"content","content":"x"},"modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"},"web_search_options":{},"safety_identifier":"s","cache_control":{"type":"ephemeral"}}`,
	`{"model":"gpt-4o","messages":[{"role":"user","content":"w?"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\": 1.0 , \"b\":\"\\u00e9\"}"}},
		{"id":"call_2","type":"custom","custom":{"name":"g","input":"free \n text"}}]},{"role":"tool","tool_call_id":"call_1","content":"r1"},{"role":"tool","tool_call_id":"call_2","content":[{"type":"text","text":"r2"},{"type":"text","text":"r3"}]},
		{"role":"user","content":"and?"},{"role":"assistant","content":"no","refusal":"I won't"},{"role":"assistant","content":[{"type":"text","text":"p"},{"type":"refusal","refusal":"q"}]},{"role":"assistant","audio":{"id":"audio_1"}},{"role":"user","content":""}],
		"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"z":{},"a":{"type":"number","minimum":1.50}}},"strict":true,"odd":1},"cache_control":{"type":"ephemeral","ttl":"1h"}},
		{"type":"custom","custom":{"name":"g","description":"e","format":{"type":"grammar","grammar":{"definition":"x","syntax":"lark"}}}},{"type":"web","x":[1]}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"g"}}]}},
		"parallel_tool_calls":false,"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{"type":"object"},"strict":true}},"reasoning_effort":"xhigh"}`,
	`{"model":"x","messages":[{"role":"user","content":"w?"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"r"},{"role":"assistant","content":"done"},{"role":"assistant","content":null,"function_call":{"name":"g","arguments":"{\"q\":1}"}},{"role":"function","name":"g","content":""}],
		"functions":[{"name":"f","parameters":{"type":"object"}},{"name":"g"}],"function_call":{"name":"g"},"max_tokens":5}`,
	`{"model":"deepseek","messages":[{"role":"assistant","content":"a","reasoning_content":"because"},{"role":"assistant","content":"b","prefix":true},
		{"role":"assistant","content":"c","reasoning_details":[{"type":"reasoning.text","text":"t","signature":"` + Wrap(Messages, "sig==") + `","format":"anthropic-claude-v1","index":0},{"type":"reasoning.encrypted","id":"rs_1","data":"` + Wrap(Responses, "enc") + `","format":"openai-responses-v1","index":1},
		{"type":"reasoning.text","signature":"` + Wrap(Generate, "gs") + `","format":"google-gemini-v1","index":2}]},
		{"role":"assistant","tool_calls":[{"id":"c1__seal__` + Wrap(Responses, "zz") + `","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"g=="}}}]}],
		"thinking":{"type":"enabled","budget_tokens":2000},"chat_template_kwargs":{"enable_thinking":false},"response_format":{"type":"grammar","grammar":"root"},"tool_choice":"none"}`,
	`{"model":"m","messages":[],"tool_choice":"required","response_format":{"type":"json_object"},"thinking":{"type":"disabled"}}`,
	`{"model":"m","messages":[],"tool_choice":"auto","tools":[{"type":"function","function":{"name":"a"}}],"response_format":{"type":"text"},"thinking":{"type":"adaptive"}}`,
	`{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":{"type":"function","function":{"name":"a"}},"reasoning":{"max_tokens":9}}`,
	`{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"a"}}]}},"reasoning":{"effort":"high"}}`,
	`{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":{"type":"odd","x":1},"stream_options":null,"stop":null,"temperature":null}`,
}

func mustDecodeChat(t testing.TB, body string) *Request {
	t.Helper()
	r, err := chatCodec.DecodeRequest([]byte(body), "", false)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

// A chat request that goes through the form says the same afterwards.
func TestChatRequestRoundTrip(t *testing.T) {
	for _, body := range chatBodies {
		checkChatRoundTrip(t, mustDecodeChat(t, body))
	}
}

func checkChatRoundTrip(t testing.TB, first *Request) {
	t.Helper()
	var n Notes
	out, err := chatCodec.EncodeRequest(first, &n)
	if err != nil || len(n.Dropped) > 0 {
		t.Fatalf("%+v: %v, dropped %v", first, err, n.Dropped)
	}
	if !json.Valid(out) {
		t.Fatalf("not JSON: %s", out)
	}
	second := mustDecodeChat(t, string(out))
	if !reflect.DeepEqual(first, second) {
		t.Fatalf("through %s\nbefore %+v\nafter  %+v", out, *first, *second)
	}
	again, _ := chatCodec.EncodeRequest(second, &Notes{})
	if string(again) != string(out) {
		t.Fatalf("first  %s\nsecond %s", out, again)
	}
}

func TestChatDecodeRequest(t *testing.T) {
	r := mustDecodeChat(t, chatBodies[1])
	parts := r.Turns[2].Parts
	if got := parts[1].Media; got.MIME != "image/png" || got.Data != "iVBORw0KGgo=" || got.Detail != "low" {
		t.Errorf("image %+v", got)
	}
	if got := parts[3].Media.MIME; got != "audio/mpeg" {
		t.Errorf("audio %q", got)
	}
	if got := parts[4].Media; got.MIME != "application/pdf" || got.Name != "a.pdf" || got.Data != "JVBERg==" {
		t.Errorf("file %+v", got)
	}
	if got := string(parts[8].Cache); got != `{"type":"ephemeral"}` {
		t.Errorf("breakpoint %s", got)
	}
	if string(r.Seed) != "123456789012345678901" || string(r.Temperature) != "0.70" || r.N != 2 || !r.IncludeUsage {
		t.Errorf("numbers %+v", r)
	}
	r = mustDecodeChat(t, chatBodies[2])
	if got := r.Turns[1].Parts[0].Call.Args; got != `{"a": 1.0 , "b":"\u00e9"}` {
		t.Errorf("args %q", got)
	}
	if got := r.Turns[2].Parts; len(got) != 2 || got[0].Result.ID != "call_1" || !got[1].Result.Custom || len(got[1].Result.Parts) != 2 {
		t.Errorf("results %+v", got)
	}
	if c := r.Choice; c.Mode != Only || !slices.Equal(c.Names, []string{"f", "g"}) {
		t.Errorf("choice %+v", c)
	}
	r = mustDecodeChat(t, chatBodies[3])
	if call, result := r.Turns[4].Parts[0].Call, r.Turns[5].Parts[0].Result; call.ID != result.ID || call.ID == r.Turns[1].Parts[0].Call.ID || !r.Legacy {
		t.Errorf("legacy %+v %+v", call, result)
	}
	r = mustDecodeChat(t, chatBodies[4])
	th := r.Turns[2].Parts
	if th[0].Thought.Signature != "sig==" || th[0].Thought.From != Messages || th[1].Thought.Sealed != "enc" || th[2].Kind != Text || th[3].Thought.Signature != "gs" {
		t.Errorf("thoughts %+v %+v %+v", th[0].Thought, th[1].Thought, th[3].Thought)
	}
	calls := r.Turns[3].Parts
	if c := calls[0].Call; c.ID != "c1" || c.From != Responses || c.Signature != "zz" {
		t.Errorf("sealed call %+v", c)
	}
	if c := calls[1].Call; c.From != Generate || c.Signature != "g==" {
		t.Errorf("google's call %+v", c)
	}
	if !slices.ContainsFunc(r.Rest, func(m Member) bool { return m.Name == "messages[1].prefix" }) {
		t.Errorf("rest %+v", r.Rest)
	}
}

func TestChatDecodeRequestErrors(t *testing.T) {
	check := func(body, member string) {
		t.Helper()
		_, err := chatCodec.DecodeRequest([]byte(body), "", false)
		c, ok := errors.AsType[*CannotCarry](err)
		if !ok || c.Member != member {
			t.Errorf("%s: %v, want %s", body, err, member)
		}
	}
	check(`{"model":"m"}`, "messages")
	check(`{"messages":"x"}`, "messages")
	check(`{"messages":[{"role":"robot"}]}`, "messages[0].role")
	check(`{"messages":[{"role":"user","content":1}]}`, "messages[0].content")
	check(`{"messages":[{"role":"user","content":[{"type":"text","text":{}}]}]}`, "messages[0].content[0].text")
	check(`{"messages":[],"max_tokens":"many"}`, "max_tokens")
	check(`{"messages":[],"tool_choice":"maybe"}`, "tool_choice")
	check(`{"messages":[],"tool_choice":{"type":1}}`, "tool_choice.type")
	check(`{"messages":[],"stop":{}}`, "stop")
}

// What is foreign is written for OpenAI's own models and for others as each takes it.
func TestChatEncodeForeign(t *testing.T) {
	check := func(edit func(*Request), want []string, dropped ...string) {
		t.Helper()
		r := &Request{From: Messages, Model: "gpt-4o", Turns: []Turn{{Parts: []Part{{Kind: Text, Text: "hi"}}}}}
		edit(r)
		n := Notes{Lossy: true}
		out, err := chatCodec.EncodeRequest(r, &n)
		if err != nil || !json.Valid(out) {
			t.Fatalf("%s: %v", out, err)
		}
		for _, w := range want {
			if bare, ok := strings.CutPrefix(w, "!"); ok == strings.Contains(string(out), bare) {
				t.Errorf("%s\nwant %s", out, w)
			}
		}
		if len(dropped) != len(n.Dropped) {
			t.Errorf("%s: dropped %v, want %d", out, n.Dropped, len(dropped))
		}
	}
	n := int64(100)
	check(func(r *Request) { r.MaxOutput = &n }, []string{`"max_completion_tokens":100`})
	check(func(r *Request) { r.MaxOutput, r.Model = &n, "gpt-5-mini" }, []string{`"max_completion_tokens":100`})
	check(func(r *Request) { r.MaxOutput, r.Model = &n, "o3" }, []string{`"max_completion_tokens":100`})
	check(func(r *Request) { r.MaxOutput, r.Model = &n, "qwen/qwen3-8b" }, []string{`"max_tokens":100`})
	check(func(r *Request) { r.Stream = true }, []string{`"stream":true,"stream_options":{"include_usage":true}`})
	check(func(r *Request) { r.Reasoning.Budget = &n }, []string{"!reasoning_effort"}, FeatureReasoning)
	check(func(r *Request) { r.Reasoning.Budget, r.Model = &n, "gpt-5" }, []string{`"reasoning_effort":"low"`})
	check(func(r *Request) { r.Reasoning.Off, r.Model = true, "gpt-5" }, []string{`"reasoning_effort":"none"`})
	check(func(r *Request) { r.Temperature, r.Model = []byte("0.2"), "gpt-5" }, []string{"!temperature"}, FeatureTemperature)
	check(func(r *Request) { r.Temperature, r.Model = []byte("1"), "gpt-5" }, []string{`"temperature":1`})
	check(func(r *Request) { r.TopK = []byte("4") }, []string{"!top_k"}, FeatureTopK)
	check(func(r *Request) { r.TopK, r.Model = []byte("4"), "llama" }, []string{`"top_k":4`})
	check(func(r *Request) { r.Format.Kind = JSONObject }, []string{"Answer in JSON."})
	check(func(r *Request) { r.Format = Format{Kind: JSONSchema, Schema: []byte("{}")} }, []string{`"name":"response"`})
	check(func(r *Request) { r.Metadata = map[string]string{"a": "b"} }, []string{"!metadata"}, FeatureMetadata)
	check(func(r *Request) { r.Previous = "resp_1" }, nil, FeaturePrevious)
	check(func(r *Request) { r.ServiceTier = "standard_only" }, []string{`"service_tier":"default"`})
	check(func(r *Request) { r.Rest = []Member{{"mcp_servers", []byte(`[{}]`)}, {"thing", []byte(`1`)}} }, []string{"!thing"}, "mcp_servers", "thing")
	check(func(r *Request) { r.Tools = []Tool{{Name: "web_search", Raw: []byte("{}"), From: Messages}} }, []string{"!tools"}, FeatureVendorTools)
	check(func(r *Request) {
		r.Turns = []Turn{
			{Role: Assistant, Parts: []Part{
				{Kind: Thinking, Thought: &Thought{Text: "t", Signature: "s", From: Messages}},
				{Kind: Call, Call: &ToolCall{ID: strings.Repeat("x", 60), Name: "f"}},
			}},
			{Parts: []Part{{Kind: Result, Result: &ToolResult{ID: strings.Repeat("x", 60), Failed: true, Parts: []Part{
				{Kind: Text, Text: "r"},
				{Kind: Image, Media: &Media{MIME: "image/png", Data: "AAAA"}},
			}}}, {Kind: Text, Text: "so?"}}},
		}
	}, []string{`"arguments":"{}"`, "!xxxxxxxxx", `"content":"r"`, `"type":"image_url"`, "so?", "!reasoning"}, FeatureThoughts, FeatureToolFailed)
}

func TestChatRefusals(t *testing.T) {
	check := func(p Part) {
		t.Helper()
		r := &Request{From: Messages, Model: "gpt-4o", Turns: []Turn{{Parts: []Part{p}}}}
		_, err := chatCodec.EncodeRequest(r, &Notes{})
		if _, ok := errors.AsType[*CannotCarry](err); !ok {
			t.Errorf("%+v: %v", p, err)
		}
	}
	check(Part{Kind: Opaque, Raw: []byte(`{"type":"server_tool_use"}`), From: Messages})
	check(Part{Kind: File, Media: &Media{FileID: "file_1"}})
	check(Part{Kind: File, Media: &Media{URL: "https://x.example/a.pdf"}})
	check(Part{Kind: Audio, Media: &Media{URL: "https://x.example/a.mp3"}})
}
