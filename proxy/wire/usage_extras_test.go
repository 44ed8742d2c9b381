package wire

import (
	"strings"
	"testing"

	"weir/costs"
)

const responsesItems = `[{"type":"reasoning","id":"rs"},{"type":"web_search_call","id":"ws1","status":"completed","action":{"type":"search","query":"type"}},` +
	`{"type":"web_search_call","id":"ws2","action":{"type":"open_page","url":"u"}},{"type":"web_search_call","id":"ws3"},` +
	`{"type":"file_search_call","id":"fs","queries":["a","b"]},{"type":"function_call","name":"web_search_call","arguments":"{\"type\":\"file_search_call\"}"},` +
	`{"type":"code_interpreter_call","container_id":"c1"},{"type":"code_interpreter_call","container_id":"c1"},{"type":"code_interpreter_call","container_id":"c2"},` +
	`{"type":"message","content":[{"type":"output_text","text":"hi","annotations":[{"type":"web_search_call"}]}]}]`

// Hosted tools are counted once, whether a reply lists them, a stream tells
// them one by one, or both; tool_usage knows what is billed.
func TestHostedTools(t *testing.T) {
	const usage = `"usage":{"input_tokens":5,"output_tokens":6,"total_tokens":11}`
	check := func(name, want string, read func() Reading) {
		t.Helper()
		if r := read(); string(r.Usage.AppendJSON(nil)) != want || !r.Final || !r.HasUsage {
			t.Errorf("%s: %s, final: %v, want %s", name, r.Usage.AppendJSON(nil), r.Final, want)
		}
	}
	reply := func(text string) func() Reading {
		return func() Reading {
			r := NewReply(Responses)
			for i := range len(text) { // cut at every byte
				r.Feed([]byte(text[i : i+1]))
			}
			return r.Reading()
		}
	}
	stream := func(events ...string) func() Reading {
		return func() Reading {
			s := NewStream(Responses, StreamOptions{})
			s.Feed([]byte(strings.Join(events, "")))
			return s.Reading()
		}
	}
	done := func(item string) string {
		return responsesEvent("response.output_item.done", `"output_index":0,"item":`+item)
	}
	completed := func(more string) string {
		return responsesEvent("response.completed", `"response":{"id":"r","status":"completed","model":"m",`+more+usage+`}`)
	}
	const counted = `{"input":5,"output":6,"web_searches":2,"file_searches":1,"code_sessions":2}`
	items := strings.Split(strings.Trim(responsesItems, "[]"), `},{"type"`)
	var dones []string
	for i, item := range items {
		if i > 0 {
			item = `{"type"` + item
		}
		if i < len(items)-1 {
			item += "}"
		}
		if strings.Contains(item, "annotations") || !isJSON([]byte(item)) {
			continue
		}
		dones = append(dones, done(item))
	}
	check("reply", counted, reply(`{"id":"r","object":"response","status":"completed","output":`+responsesItems+`,`+usage+`}`))
	check("stream that lists them", counted, stream(completed(`"output":`+responsesItems+`,`)))
	check("stream that tells them", counted, stream(append(dones, completed(`"output":[],`))...))
	check("stream that does both", counted, stream(append(dones, completed(`"output":`+responsesItems+`,`))...))
	check("what is billed is said", `{"input":5,"output":6,"web_searches":1,"file_searches":1,"code_sessions":2}`,
		reply(`{"id":"r","status":"completed","output":`+responsesItems+`,"tool_usage":{"image_gen":{"input_tokens":0},"web_search":{"num_requests":1}},`+usage+`}`))
	check("in a stream, too", `{"input":5,"output":6,"web_searches":1,"file_searches":1,"code_sessions":2}`,
		stream(completed(`"output":`+responsesItems+`,"tool_usage":{"web_search":{"num_requests":1}},`)))
	check("none", `{"input":5,"output":6}`, reply(`{"id":"r","status":"completed","output":[{"type":"message","content":[]}],`+usage+`}`))
}

// Google's grounding is billed by the prompt up to Gemini 2.5 and by the query
// from 3 on. Each chunk may repeat the queries.
func TestGrounding(t *testing.T) {
	event := func(model, queries string) string {
		return `data: {"candidates":[{"content":{"parts":[{"text":"a"}]},"groundingMetadata":{"webSearchQueries":` + queries + `,"groundingChunks":[{"web":{"uri":"webSearchQueries"}}]}}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"totalTokenCount":6},"modelVersion":"` + model + `"}` + "\n\n"
	}
	check := func(want string, events ...string) {
		t.Helper()
		s := NewStream(StreamGenerate, StreamOptions{})
		s.Feed([]byte(strings.Join(events, "")))
		if r := s.Reading(); string(r.Usage.AppendJSON(nil)) != want {
			t.Errorf("%s, want %s", r.Usage.AppendJSON(nil), want)
		}
	}
	check(`{"input":4,"output":2,"grounded_prompts":1}`, event("gemini-2.5-pro", `["a","b"]`))
	check(`{"input":4,"output":2,"search_queries":2}`, event("gemini-3-flash-preview", `["a","b"]`))
	check(`{"input":4,"output":2,"search_queries":3}`, event("gemini-3-pro", `["a"]`), event("gemini-3-pro", `["a","b","c"]`), event("gemini-3-pro", `["a","b"]`))
	check(`{"input":4,"output":2}`, event("gemini-3-pro", `[]`))
	check(`{"input":4,"output":2}`, event("gemini-3-pro", `[""]`))
}

// Pictures and audio are counted where no usage object says what they were.
func TestPicturesAndAudio(t *testing.T) {
	check := func(api API, text, want string, has bool) {
		t.Helper()
		r := NewReply(api)
		r.Feed([]byte(text))
		if got := r.Reading(); string(got.Usage.AppendJSON(nil)) != want || got.HasUsage != has || got.Final != has {
			t.Errorf("%s: %s, has: %v, final: %v", text, got.Usage.AppendJSON(nil), got.HasUsage, got.Final)
		}
	}
	check(Images, `{"created":1,"data":[{"url":"u","revised_prompt":"p"},{"b64_json":"QUJD"}]}`, `{"images":2}`, true)
	check(Images, `{"created":1,"data":[{"b64_json":"QUJD"}],"usage":{"input_tokens":5,"output_tokens":9}}`, `{"input":5,"output":0,"output_image":9}`, true)
	check(Images, `{"created":1,"data":[{"b64_json":"QUJD"}],"usage":{"cost_in_usd_ticks":200000000}}`, `{"images":1}`, true)
	check(Images, `{"created":1,"data":[]}`, `{}`, false)
	check(Transcriptions, `{"task":"transcribe","duration":8.470000267028809,"text":"t","segments":[{"duration":3}]}`, `{"audio_us":8470000}`, true)
	check(Transcriptions, `{"text":"t","usage":{"type":"duration","seconds":9},"duration":8.47}`, `{"audio_us":9000000}`, true)
	check(Transcriptions, `{"text":"t"}`, `{}`, false)
	check(Chat, `{"duration":8,"data":[{}]}`, `{}`, false)
	check(Rerank, `{"results":[],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}`, `{"rerank_units":2}`, true)
}

// What was counted for one reply is not told of the next one.
func TestExtrasAreOfOneReply(t *testing.T) {
	r := NewReply(Images)
	r.Feed([]byte(`{"data":[{}]}`))
	r.Reset(Images)
	r.Feed([]byte(`{"data":[]}`))
	if got := r.Reading(); got.HasUsage || !got.Usage.IsZero() {
		t.Errorf("%s", got.Usage.AppendJSON(nil))
	}
	s := NewStream(Responses, StreamOptions{})
	s.Feed([]byte(responsesEvent("response.output_item.done", `"item":{"type":"file_search_call"}`)))
	if n, _ := s.Reading().Usage.Get(costs.FileSearches); n != 1 {
		t.Errorf("%d searches", n)
	}
	s.Reset(Responses, StreamOptions{})
	s.SetVendor("x-ai", "grok")
	s.Feed([]byte(responsesEvent("response.completed", `"response":{"status":"completed","usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3,"cost_in_usd_ticks":10}}`)))
	if got := s.Reading(); string(got.Usage.AppendJSON(nil)) != `{"input":1,"output":2}` || got.Charged.String() != "0.000000001" || !got.HasCharge {
		t.Errorf("%s, charged %v", got.Usage.AppendJSON(nil), got.Charged)
	}
}

// The raw usage that is kept says all that was read: of an Anthropic stream it
// is a list of the first object and the last.
func TestRawUsageIsWhole(t *testing.T) {
	event := func(kind, usage string) string {
		if kind == "message_start" {
			usage = `"message":{"id":"m","usage":` + usage + `}`
		} else {
			usage = `"delta":{},"usage":` + usage
		}
		return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\"," + usage + "}\n\n"
	}
	const first = `{"input_tokens":5,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},"output_tokens":1}`
	check := func(want string, events ...string) {
		t.Helper()
		s := NewStream(Messages, StreamOptions{})
		for _, e := range events {
			s.Feed([]byte(e))
		}
		r := s.Reading()
		if string(r.RawUsage) != want {
			t.Errorf("%s, want %s", r.RawUsage, want)
		}
		if again := costs.FlavourOf("anthropic", "messages", nil).Read(r.RawUsage, costs.Usage{}); again.Usage != r.Usage {
			t.Errorf("%s reads as %s, was %s", want, again.Usage.AppendJSON(nil), r.Usage.AppendJSON(nil))
		}
	}
	check(first, event("message_start", first))
	check(`[`+first+`,{"output_tokens":9}]`, event("message_start", first), event("message_delta", `{"output_tokens":9}`))
	check(`[`+first+`,{"output_tokens":12,"input_tokens":5}]`, event("message_start", first), event("message_delta", `{"output_tokens":9}`), event("message_delta", `{"output_tokens":12,"input_tokens":5}`))
}
