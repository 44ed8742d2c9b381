package neutral

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/internal/mockllm"
)

// The faults that users of other gateways have met in translated calls, a test
// for each, by its number in our study of them (3a: streaming usage and shape,
// 3b: translation and parameters).

// chatSSE are chunks as an upstream of chat completions sends them.
func chatSSE(chunks ...string) []byte {
	var b []byte
	for _, c := range chunks {
		b = fmt.Appendf(b, "data: %s\n\n", c)
	}
	return append(b, "data: [DONE]\n\n"...)
}

// delta is a chat chunk with a delta, and finish as its reason to stop ("" = null).
func delta(d, finish string) string {
	reason := "null"
	if finish != "" {
		reason = `"` + finish + `"`
	}
	return `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":` + d + `,"finish_reason":` + reason + `}]}`
}

// carried is a stream as a client of another API gets it, checked against that
// API's grammar, and the reply that the client makes of it.
func carried(t *testing.T, upstream, client API, stream []byte) (string, *Reply) {
	t.Helper()
	asked := &Request{Model: "m", From: client, Stream: true, IncludeUsage: true}
	out := through(t, byAPI(upstream), byAPI(client), asked, stream)
	if _, err := mockllm.ReadStream(streams[client], out); err != nil {
		t.Fatalf("%s → %s: grammar: %v\n%s", upstream, client, err, out)
	}
	return string(out), rebuildStream(t, byAPI(client), out)
}

// others are the APIs but for one.
func others(api API) []API {
	return slices.DeleteFunc(slices.Clone(apis), func(a API) bool { return a == api })
}

func textOfReply(r *Reply) (text string) {
	for _, p := range r.Choices[0].Parts {
		if p.Kind == Text {
			text += p.Text
		}
	}
	return text
}

func callsOf(r *Reply) (list []string) {
	for _, p := range r.Choices[0].Parts {
		if p.Kind == Call {
			list = append(list, p.Call.Name+" "+orEmpty(p.Call.Args))
		}
	}
	return list
}

const usage15 = `"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}`

// 2: usage stands on any chunk, also one with choices, and the last counts.
func TestGateway02UsageOnAnyChunk(t *testing.T) {
	early := strings.Replace(delta(`{"content":"a"}`, ""), `"choices"`, `"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11},"choices"`, 1)
	last := strings.Replace(delta(`{}`, "stop"), `"choices"`, usage15+`,"choices"`, 1)
	for _, client := range others(Chat) {
		_, got := carried(t, Chat, client, chatSSE(early, last))
		in, _ := got.Usage.Input()
		out, _ := got.Usage.Output()
		if in != 10 || out != 5 {
			t.Errorf("%s: %d in, %d out", client, in, out)
		}
	}
}

// 3: no cached tokens is not the same as cached tokens that are not told.
func TestGateway03CachedZeroIsNotAbsent(t *testing.T) {
	check := func(details, want string) {
		t.Helper()
		r, err := decodeChatReply([]byte(`{"id":"c1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15` + details + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		_, known := r.Usage.Get(costs.InputCacheRead)
		if out := string(encodeChatReply(r, &Request{From: Chat})); known != (want != "") || strings.Contains(out, `"cached_tokens":0`) != (want != "") {
			t.Errorf("%s: known %v, %s", details, known, out)
		}
	}
	check(`,"prompt_tokens_details":{"cached_tokens":0}`, "0")
	check(``, "")
}

// 4: the usage is told whatever form the input has, in a stream and whole.
func TestGateway04ResponsesUsageOfAnyInput(t *testing.T) {
	for _, input := range []string{`"hi"`, `[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]`} {
		asked := mustDecodeResponses(t, []byte(`{"model":"m","stream":true,"input":`+input+`}`))
		stream := through(t, chatCodec, responsesCodec, asked, chatSSE(delta(`{"content":"a"}`, "stop"), `{"id":"c1","choices":[],`+usage15+`}`))
		served, err := decodeChatReply([]byte(`{"id":"c1","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}],` + usage15 + `}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range [][]byte{stream, encodeResponsesReply(served, asked)} {
			if !bytes.Contains(out, []byte(`"input_tokens":10`)) || !bytes.Contains(out, []byte(`"output_tokens":5`)) {
				t.Errorf("%s: %s", input, out)
			}
		}
	}
}

// 5: the usage is asked for on the client's behalf, and shown where it asked.
func TestGateway05UsageIsAskedFor(t *testing.T) {
	for _, client := range others(Chat) {
		r, err := byAPI(client).DecodeRequest(probe{}.body(client), "m", true)
		if err != nil {
			t.Fatal(err)
		}
		r.Stream = true
		if out, err := encodeChatRequest(r, &Notes{}); err != nil || !bytes.Contains(out, []byte(`"stream_options":{"include_usage":true}`)) {
			t.Errorf("%s: %v: %s", client, err, out)
		}
	}
	reply := &Reply{ID: "a", Choices: []Candidate{{Parts: []Part{{Text: "x"}}, Stop: StopEnd}}}
	reply.Usage.Set(costs.Input, 3)
	for _, wants := range []bool{false, true} {
		e := chatCodec.NewEncoder(&Request{From: Chat, Model: "m", IncludeUsage: wants})
		var out []byte
		tellAll(func(n int) int { return n }, reply, func(ev *Event) { out = e.Append(out, ev) })
		if bytes.Contains(out, []byte("usage")) != wants {
			t.Errorf("wants it: %v: %s", wants, out)
		}
	}
}

// 7: the first words are not lost, with the role or without.
func TestGateway07FirstWords(t *testing.T) {
	for _, first := range []string{`{"role":"assistant","content":"One"}`, `{"content":"One"}`} {
		for _, client := range others(Chat) {
			if _, got := carried(t, Chat, client, chatSSE(delta(first, ""), delta(`{"content":" two"}`, ""), delta(`{"content":"."}`, "stop"))); textOfReply(got) != "One two." {
				t.Errorf("%s: %q", client, textOfReply(got))
			}
		}
	}
}

// 8: arguments come in pieces, in one, only when they are done, or not at all.
func TestGateway08Arguments(t *testing.T) {
	call := func(args string) string {
		return `{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":` + args + `}}]}`
	}
	more := func(args string) string {
		return `{"tool_calls":[{"index":0,"function":{"arguments":` + args + `}}]}`
	}
	done := `event: response.created` + "\n" + `data: {"type":"response.created","response":{"id":"r","model":"m","status":"in_progress","output":[]}}` + "\n\n" +
		`event: response.output_item.done` + "\n" + `data: {"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"fc","call_id":"c","name":"f","arguments":"{\"a\":1}"}}` + "\n\n" +
		`event: response.completed` + "\n" + `data: {"type":"response.completed","response":{"id":"r","model":"m","status":"completed","output":[{"type":"function_call","id":"fc","call_id":"c","name":"f","arguments":"{\"a\":1}"}]}}` + "\n\n"
	start := "event: message_start\n" + `data: {"type":"message_start","message":{"id":"m","model":"m","usage":{"input_tokens":1,"output_tokens":1}}}` + "\n\n" +
		"event: content_block_start\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"c","name":"f","input":{"a":1}}}` + "\n\n" +
		"event: content_block_stop\n" + `data: {"type":"content_block_stop","index":0}` + "\n\n" +
		"event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}` + "\n\n" +
		"event: message_stop\n" + `data: {"type":"message_stop"}` + "\n\n"
	for name, c := range map[string]struct {
		from   API
		stream []byte
		want   string
	}{
		"pieces":   {Chat, chatSSE(delta(call(`""`), ""), delta(more(`"{\"a\""`), ""), delta(more(`":1}"`), "tool_calls")), `f {"a":1}`},
		"one":      {Chat, chatSSE(delta(call(`"{\"a\":1}"`), "tool_calls")), `f {"a":1}`},
		"empty":    {Chat, chatSSE(delta(call(`""`), "tool_calls")), "f {}"},
		"{}":       {Chat, chatSSE(delta(call(`"{}"`), "tool_calls")), "f {}"},
		"object":   {Chat, chatSSE(delta(call(`{"a":1}`), "tool_calls")), `f {"a":1}`},
		"done":     {Responses, []byte(done), `f {"a":1}`},
		"at start": {Messages, []byte(start), `f {"a":1}`},
	} {
		for _, client := range others(c.from) {
			if out, got := carried(t, c.from, client, c.stream); !slices.Equal(callsOf(got), []string{c.want}) {
				t.Errorf("%s, %s: %q, want %q\n%s", client, name, callsOf(got), c.want, out)
			}
		}
	}
}

// 9: an empty list of calls beside words is none.
func TestGateway09NoCalls(t *testing.T) {
	for _, client := range others(Chat) {
		out, got := carried(t, Chat, client, chatSSE(delta(`{"content":"a","tool_calls":[]}`, ""), delta(`{"tool_calls":[]}`, "stop")))
		if len(got.Choices[0].Parts) != 1 || strings.Contains(out, "input_json_delta") || strings.Contains(out, "functionCall") || got.Choices[0].Stop != StopEnd {
			t.Errorf("%s: %s", client, out)
		}
	}
}

// 10: reasoning amid words opens and closes parts of its own, under one start.
func TestGateway10ReasoningAmidWords(t *testing.T) {
	stream := chatSSE(delta(`{"content":"a"}`, ""), delta(`{"reasoning_content":"hm"}`, ""), delta(`{"content":"b","reasoning":"so"}`, ""), delta(`{}`, "stop"))
	for _, client := range others(Chat) {
		out, got := carried(t, Chat, client, stream)
		if textOfReply(got) != "ab" || strings.Count(out, "event: message_start") > 1 || !strings.Contains(out, "hm") {
			t.Errorf("%s: %s", client, out)
		}
	}
}

// 11: parallel calls have an index of their own and their id once, though the
// server gives all of them the index 0.
func TestGateway11ParallelCalls(t *testing.T) {
	call := func(id, name string) string {
		return delta(`{"tool_calls":[{"index":0,"id":"`+id+`","type":"function","function":{"name":"`+name+`","arguments":"{\"a\":1}"}}]}`, "")
	}
	stream := chatSSE(call("c1", "f"), call("c2", "f"), call("c3", "g"), delta(`{}`, "stop"))
	want := []string{`f {"a":1}`, `f {"a":1}`, `g {"a":1}`}
	for _, client := range others(Chat) {
		out, got := carried(t, Chat, client, stream)
		if !slices.Equal(callsOf(got), want) || !slices.Equal(callIDsOf(got.Choices[0].Parts), []string{"c1", "c2", "c3"}) || got.Choices[0].Stop != StopTools {
			t.Errorf("%s: %s", client, out)
		}
	}
}

// 12: a reason to stop is said in the client's words, the same in a stream and
// whole; none, or none yet, is no error.
func TestGateway12StopReasons(t *testing.T) {
	for _, stop := range []StopReason{StopEnd, StopLength, StopTools, StopFilter, StopRefusal, StopPause, StopContext, StopFault, StopSequence} {
		for _, client := range apis {
			reply := &Reply{ID: "a", Model: "m", Choices: []Candidate{{Stop: stop, Parts: []Part{{Text: "x"}}}}}
			if stop == StopTools {
				reply.Choices[0].Parts = append(reply.Choices[0].Parts, Part{Kind: Call, Call: &ToolCall{ID: "c", Name: "f"}})
			}
			asked := &Request{Model: "m", From: client, Stream: true, IncludeUsage: true}
			whole, err := byAPI(client).DecodeReply(byAPI(client).EncodeReply(reply, asked))
			if err != nil {
				t.Fatal(err)
			}
			e := byAPI(client).NewEncoder(asked)
			var out []byte
			tellAll(func(n int) int { return n }, reply, func(ev *Event) { out = e.Append(out, ev) })
			if client == Responses && stop == StopFault { // whose decoder tells it as an error
				continue
			}
			streamed := rebuildStream(t, byAPI(client), out)
			if g, w := streamed.Choices[0].RawStop, whole.Choices[0].RawStop; g != w {
				t.Errorf("%s: %d is %q in the stream and %q whole", client, stop, g, w)
			}
		}
	}
	r, err := decodeChatReply([]byte(`{"id":"c","choices":[{"message":{"content":"x"}}]}`))
	if err != nil || r.Choices[0].Stop != StopUnknown {
		t.Errorf("no finish_reason: %+v, %v", r, err)
	}
}

// 13: Responses clients get every event that Codex counts on.
func TestGateway13ResponsesEvents(t *testing.T) {
	out, _ := carried(t, Chat, Responses, chatSSE(delta(`{"role":"assistant","content":"a"}`, ""), delta(`{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}`, "tool_calls")))
	for _, kind := range []string{
		"created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
		"output_item.done", "function_call_arguments.delta", "function_call_arguments.done", "completed",
	} {
		if !strings.Contains(out, "event: response."+kind+"\ndata: {\"type\":\"response."+kind+`","sequence_number":`) {
			t.Errorf("no %s in %s", kind, out)
		}
	}
}

// 14: members that nobody knows, and usage where others have it, do no harm.
func TestGateway14UnknownMembers(t *testing.T) {
	chunk := strings.Replace(delta(`{"content":"a","p":[1],"x":{"y":null}}`, "stop"), `"choices"`, `"p":"abc","x_groq":{"id":"r",`+usage15+`},"choices"`, 1)
	for _, client := range others(Chat) {
		_, got := carried(t, Chat, client, chatSSE(chunk))
		if n, _ := got.Usage.Output(); n != 5 || textOfReply(got) != "a" {
			t.Errorf("%s: %+v", client, got)
		}
	}
}

// 16: what breaks off never gets a reason to stop. TestPairsCut and FuzzAcross
// hold every pair and every place to it.
func TestGateway16BrokenOff(t *testing.T) {
	stream := bytes.TrimSuffix(chatSSE(delta(`{"content":"a"}`, "")), []byte("data: [DONE]\n\n"))
	for _, client := range others(Chat) {
		out := through(t, chatCodec, byAPI(client), &Request{Model: "m", From: client, Stream: true}, stream)
		if _, err := mockllm.ReadStream(streams[client], out); err == nil {
			t.Errorf("%s: looks whole: %s", client, out)
		}
	}
}

// 17: Azure's chunks without choices, and choices without a delta.
func TestGateway17AzureChunks(t *testing.T) {
	head := `{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}`
	filter := `{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":null,"content_filter_results":{},"content_filter_offsets":{"check_offset":1}}]}`
	for _, client := range others(Chat) {
		out, got := carried(t, Chat, client, chatSSE(head, filter, delta(`{"role":"assistant","content":"a"}`, ""), filter, delta(`{}`, "stop"), filter))
		if textOfReply(got) != "a" || got.Choices[0].Stop != StopEnd {
			t.Errorf("%s: %s", client, out)
		}
	}
}

// 21: an effort is mapped, or said to be dropped, never lost.
func TestGateway21EffortIsNotLost(t *testing.T) {
	for _, model := range []string{"claude-sonnet-4-5", "claude-3-5-haiku", "claude-opus-5", "gemini-2.5-flash", "gemini-3-flash", "gemini-1.5-pro", "gpt-4.1", "gpt-5"} {
		target := map[byte]API{'c': Messages, 'g': Generate}[model[0]]
		if strings.HasPrefix(model, "gpt") {
			target = Responses
		}
		r, err := decodeChatRequest(probe{more: `"reasoning_effort":"high"`}.body(Chat), "", false)
		if err != nil {
			t.Fatal(err)
		}
		r.Model = model
		n := &Notes{}
		out, err := byAPI(target).EncodeRequest(r, n)
		told := strings.Contains(string(out), "thinking") || strings.Contains(string(out), `"effort":"high"`)
		if err != nil || told == slices.Contains(n.Dropped, "reasoning_effort") {
			t.Errorf("%s: told %v, dropped %v, %v: %s", model, told, n.Dropped, err, out)
		}
	}
}

// 22: tools reach Anthropic in the form that it takes.
func TestGateway22AnthropicTools(t *testing.T) {
	r, err := decodeChatRequest(probe{more: chatFuncs}.body(Chat), "", false)
	if err != nil {
		t.Fatal(err)
	}
	r.Model = "claude-sonnet-4-5"
	out, err := encodeMessagesRequest(r, &Notes{})
	if want := `"tools":[{"name":"f","description":"WITNESS","input_schema":{"type":"object","properties":{}}},{"name":"g","input_schema":{"type":"object","properties":{}}}`; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s", err, out)
	}
}

// 23, 24: the same request always makes the same bytes, and schemas and
// arguments keep their members' order and spelling.
func TestGateway23BytesAreStable(t *testing.T) {
	const order = `{"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"number","minimum":1.0},"mid":{"enum":["b","a"]}},"required":["zeta"]}`
	body := probe{
		talk: user + `{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"z\": 1.0, \"a\":\"<&>\"}"}}]},{"role":"tool","tool_call_id":"c1","content":"ok"}`,
		more: `"metadata":{"b":"1","a":"2","user_id":"u"},"tools":[{"type":"function","function":{"name":"f","parameters":` + order + `}}],"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":` + order + `}}`,
	}.body(Chat)
	for _, target := range others(Chat) {
		var first []byte
		for range 100 {
			r, err := decodeChatRequest(body, "", false)
			if err != nil {
				t.Fatal(err)
			}
			r.Model = models[target]
			out, err := byAPI(target).EncodeRequest(r, &Notes{})
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = out
			}
			if !bytes.Equal(out, first) {
				t.Fatalf("%s: %s\n%s", target, out, first)
			}
		}
		if strings.Count(string(first), order) != 2 || !strings.Contains(strings.ReplaceAll(string(first), `\"`, `"`), `{"z": 1.0, "a":"<&>"}`) {
			t.Errorf("%s: %s", target, first)
		}
	}
}

// 25: Gemini's thought signature comes back to it over turns, on the call or
// on a part of its own. TestPairsSeals holds all dialects to it.
func TestGateway25GeminiSignatures(t *testing.T) {
	for _, parts := range []string{
		`{"functionCall":{"name":"f","args":{}},"thoughtSignature":"c2ln"},{"functionCall":{"name":"f","args":{}}}`,
		`{"text":"","thoughtSignature":"c2ln"},{"functionCall":{"name":"f","args":{}}}`,
		`{"text":"so","thoughtSignature":"c2ln"},{"functionCall":{"name":"f","args":{}}}`,
	} {
		served, err := decodeGenerateReply([]byte(`{"candidates":[{"content":{"parts":[` + parts + `]},"finishReason":"STOP"}],"responseId":"r"}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, client := range others(Generate) {
			reply := byAPI(client).EncodeReply(served, &Request{From: client, Reasoning: Reasoning{Show: true, Sealed: true}})
			r, err := byAPI(client).DecodeRequest(nextTurn(t, client, reply), "m", false)
			if err != nil {
				t.Fatal(err)
			}
			r.Model = "gemini-3-flash"
			out, err := encodeGenerate(r, &Notes{})
			if err != nil || !strings.Contains(string(out), `"thoughtSignature":"c2ln"`) {
				t.Errorf("%s: %v: %s\nof %s", client, err, out, reply)
			}
		}
	}
}

// 26: a thinking block goes back as it came, byte for byte, with what a JSON
// writer might escape.
func TestGateway26ThinkingIsByteExact(t *testing.T) {
	const block = `{"type":"thinking","thinking":"a <b> & \"c\" é\u2028 \/","signature":"EqQB+/=="}`
	body := probe{talk: user + `{"role":"assistant","content":[` + block + `,{"type":"tool_use","id":"toolu_1","name":"f","input":{ "x" : 1.50 }}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}]}`, more: messagesFuncs}.body(Messages)
	first, err := decodeMessagesRequest(body, "", false)
	if err != nil {
		t.Fatal(err)
	}
	out, err := encodeMessagesRequest(first, &Notes{})
	if err != nil || !strings.Contains(string(out), `"signature":"EqQB+/=="`) || !strings.Contains(string(out), `{ "x" : 1.50 }`) || !strings.Contains(string(out), `a <b> & \"c\" é`) {
		t.Errorf("%v: %s", err, out)
	}
}

// 27: never more than four cache marks.
func TestGateway27CacheMarks(t *testing.T) {
	part := `{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}`
	r, err := decodeChatRequest(userPart(strings.Repeat(part+",", 6)+part).body(Chat), "", false)
	if err != nil {
		t.Fatal(err)
	}
	r.Model = "claude-sonnet-4-5"
	n := &Notes{}
	out, err := encodeMessagesRequest(r, n)
	if err != nil || strings.Count(string(out), "cache_control") != 4 || !slices.Equal(n.Dropped, []string{memberName(Chat, FeatureCacheMarks)}) {
		t.Errorf("%v, dropped %v: %s", err, n.Dropped, out)
	}
}

// 28: a chat client's cache marks reach Anthropic: on words, on tools, at the root.
func TestGateway28CacheMarksOfChat(t *testing.T) {
	const mark = `"cache_control":{"type":"ephemeral","ttl":"1h"}`
	r, err := decodeChatRequest(probe{
		talk: `{"role":"system","content":[{"type":"text","text":"s",` + mark + `}]},{"role":"user","content":"hi"}`,
		more: `"tools":[{"type":"function","function":{"name":"f"},` + mark + `}],` + mark,
	}.body(Chat), "", false)
	if err != nil {
		t.Fatal(err)
	}
	r.Model = "claude-sonnet-4-5"
	n := &Notes{}
	if out, err := encodeMessagesRequest(r, n); err != nil || len(n.Dropped) > 0 || strings.Count(string(out), mark) != 3 {
		t.Errorf("%v, dropped %v: %s", err, n.Dropped, out)
	}
}

// 30: both names of reasoning are read, whole and in a stream.
func TestGateway30NamesOfReasoning(t *testing.T) {
	for _, name := range []string{"reasoning", "reasoning_content"} {
		whole, err := decodeChatReply([]byte(`{"id":"c","choices":[{"index":0,"message":{"role":"assistant","` + name + `":"hm","content":"a"},"finish_reason":"stop"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, client := range others(Chat) {
			out, _ := carried(t, Chat, client, chatSSE(delta(`{"`+name+`":"hm"}`, ""), delta(`{"content":"a"}`, "stop")))
			answer := string(byAPI(client).EncodeReply(whole, &Request{From: client}))
			if !strings.Contains(out, `"hm"`) || !strings.Contains(answer, `"hm"`) || !jsontext.Value(answer).IsValid() {
				t.Errorf("%s, %s: %s\n%s", client, name, out, answer)
			}
		}
	}
}
