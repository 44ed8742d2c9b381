package neutral

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"weir/internal/mockllm"
)

// streamGemini tells events as Gemini writes them and returns them as a client reads them.
func streamGemini(t *testing.T, client *Codec, asked *Request, chunks ...string) (*Reply, []byte) {
	t.Helper()
	var stream []byte
	for _, c := range chunks {
		stream = fmt.Appendf(stream, "data: %s\r\n\r\n", c)
	}
	asked.Stream, asked.IncludeUsage = true, true
	out := through(t, generateCodec, client, asked, stream)
	if _, err := mockllm.ReadStream(streams[client.API], out); err != nil {
		t.Fatalf("grammar: %v\n%s", err, out)
	}
	return rebuildStream(t, client, out), out
}

func callIDsOf(parts []Part) (ids []string) {
	for i := range parts {
		if parts[i].Kind == Call {
			ids = append(ids, parts[i].Call.ID)
		}
	}
	return ids
}

// TestGenerateMadeIDs: calls that come without an id, as Vertex AI and older
// models have them, get the same ids in a stream and whole, be it that words
// come first or that the two are spaced differently, and others in another reply.
func TestGenerateMadeIDs(t *testing.T) {
	call := func(args string) string { return `{"functionCall":{"name":"f","args":` + args + `}}` }
	for _, reply := range []string{`,"responseId":"r1"`, ``} {
		whole, err := decodeGenerateReply([]byte(`{"candidates":[{"content":{"role":"model","parts":[{"text":"I look"},` + call(`{ "a": 1 }`) + `,` + call(`{"a":2}`) + `]},"finishReason":"STOP"}]` + reply + `}`))
		if err != nil {
			t.Fatal(err)
		}
		want := callIDsOf(whole.Choices[0].Parts)
		for _, client := range []*Codec{chatCodec, responsesCodec, messagesCodec} {
			got, out := streamGemini(t, client, &Request{Model: "m", From: client.API},
				`{"candidates":[{"content":{"role":"model","parts":[{"text":"I look"}]}}]`+reply+`}`,
				`{"candidates":[{"content":{"role":"model","parts":[`+call(`{"a":1}`)+`]}}]`+reply+`}`,
				`{"candidates":[{"content":{"role":"model","parts":[`+call(`{"a":2}`)+`]},"finishReason":"STOP"}]`+reply+`}`)
			if ids := callIDsOf(got.Choices[0].Parts); len(want) != 2 || want[0] == want[1] || !slices.Equal(ids, want) {
				t.Errorf("%s: ids %q in the stream, %q whole\n%s", client.API, ids, want, out)
			}
		}
		other, _ := decodeGenerateReply([]byte(`{"candidates":[{"content":{"parts":[` + call(`{"a":3}`) + `]}}]` + strings.Replace(reply, "r1", "r2", 1) + `}`))
		if ids := callIDsOf(other.Choices[0].Parts); slices.Contains(want, ids[0]) {
			t.Errorf("another reply's call has the same id %s", ids[0])
		}
	}
}

// TestGenerateMadeIDsAnswered: the results of parallel calls of one function
// without ids go to Gemini in the order of the calls, whatever order the client
// has them in, since they are matched by it.
func TestGenerateMadeIDsAnswered(t *testing.T) {
	served, err := decodeGenerateReply([]byte(`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}}},{"functionCall":{"name":"f","args":{"a":2}}},{"functionCall":{"name":"g"}}]},"finishReason":"STOP"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	ids := callIDsOf(served.Choices[0].Parts)
	answer := func(n int) string {
		return fmt.Sprintf(`{"role":"tool","tool_call_id":%q,"content":"answer %d"}`, ids[n], n)
	}
	var message struct {
		Choices []struct {
			Message jsontext.Value `json:"message"`
		} `json:"choices"`
	}
	if err := decode(encodeChatReply(served, &Request{From: Chat}), &message); err != nil {
		t.Fatal(err)
	}
	r, err := decodeChatRequest(probe{talk: user + string(message.Choices[0].Message) + "," + answer(2) + "," + answer(1) + "," + answer(0)}.body(Chat), "", false)
	if err != nil {
		t.Fatal(err)
	}
	r.Model = "gemini-2.5-flash"
	out, err := encodeGenerate(r, &Notes{})
	want := `{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"answer 0"}}},{"functionResponse":{"name":"f","response":{"output":"answer 1"}}},{"functionResponse":{"name":"g","response":{"output":"answer 2"}}}]}`
	if err != nil || !strings.Contains(string(out), want) || strings.Contains(string(out), madeID) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestGenerateValidated: the mode VALIDATED keeps its names, in its own
// dialect and as OpenAI's allowed_tools; where there is no such choice the
// other tools are left out.
func TestGenerateValidated(t *testing.T) {
	body := probe{more: generateFuncs + `,"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["f","g"]}}`}.body(Generate)
	check := func(target API, model, want string) {
		t.Helper()
		r := mustDecodeGenerate(t, body)
		r.Model = model
		out, err := byAPI(target).EncodeRequest(r, &Notes{})
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: no %s in %s", target, err, want, out)
		}
		if whole := strings.Contains(string(out), `"name":"h"`); whole != (target == Generate || model == "gpt-4.1") {
			t.Errorf("%s: the tool h is offered: %v: %s", target, whole, out)
		}
	}
	check(Generate, "gemini-3-flash", `"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["f","g"]}`)
	check(Chat, "gpt-4.1", `"allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]}`)
	check(Chat, "qwen3", `"tool_choice":"auto"`)
	check(Responses, "gpt-4.1", `"type":"allowed_tools","mode":"auto"`)
	check(Messages, "claude-sonnet-4-5", `"tool_choice":{"type":"auto"}`)
}

// TestChoiceOfAuto: a choice among some tools that is no must leaves the others
// out where the target has no such choice: AUTO takes no names at Gemini.
func TestChoiceOfAuto(t *testing.T) {
	body := probe{more: chatFuncs + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}`}.body(Chat)
	for _, target := range []API{Messages, Generate} {
		r, err := decodeChatRequest(body, "", false)
		if err != nil {
			t.Fatal(err)
		}
		r.Model = models[target]
		out, err := byAPI(target).EncodeRequest(r, &Notes{})
		if s := string(out); err != nil || strings.Contains(s, `"name":"g"`) || strings.Contains(s, "allowedFunctionNames") || !strings.Contains(s, `"name":"f"`) {
			t.Errorf("%s: %v: %s", target, err, out)
		}
	}
}

// TestGenerateLateGrounding: sources that come after the text was closed, by
// its signature or by a call, are the client's citations all the same.
func TestGenerateLateGrounding(t *testing.T) {
	const grounding = `"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://x","title":"X"}}]}`
	for name, last := range map[string]string{
		"with the seal":  `{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"c2VhbA=="}]},"finishReason":"STOP",` + grounding + `}]}`,
		"after a call":   `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]}}]}` + "\r\n\r\ndata: " + `{"candidates":[{"content":{"parts":[]},"finishReason":"STOP",` + grounding + `}]}`,
		"with the words": `{"candidates":[{"content":{"parts":[{"text":"."}]},"finishReason":"STOP",` + grounding + `}]}`,
	} {
		for _, client := range apis {
			_, out := streamGemini(t, byAPI(client), &Request{Model: "m", From: client}, `{"candidates":[{"content":{"parts":[{"text":"said"}]}}],"responseId":"r"}`, last)
			if !strings.Contains(string(out), `https://x`) {
				t.Errorf("%s, %s: no citation in %s", client, name, out)
			}
		}
	}
	whole, err := decodeGenerateReply([]byte(`{"candidates":[{"content":{"parts":[{"text":"said"},{"functionCall":{"name":"f"}}]},"finishReason":"STOP",` + grounding + `}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range apis {
		if out := byAPI(client).EncodeReply(whole, &Request{From: client}); !strings.Contains(string(out), `https://x`) {
			t.Errorf("%s, whole: %s", client, out)
		}
	}
}

// TestChatLegacyOneCall: a client of the older functions can be told one call,
// so that the model is asked for no more, where it can be.
func TestChatLegacyOneCall(t *testing.T) {
	body := probe{more: `"functions":[{"name":"f","parameters":{"type":"object","properties":{}}}]`}.body(Chat)
	check := func(target API, want string, dropped ...string) {
		t.Helper()
		r, err := decodeChatRequest(body, "", false)
		if err != nil {
			t.Fatal(err)
		}
		r.Model = models[target]
		n := &Notes{}
		out, err := byAPI(target).EncodeRequest(r, n)
		if err != nil || !strings.Contains(string(out), want) || !slices.Equal(n.Dropped, dropped) {
			t.Errorf("%s: %v, dropped %v: %s", target, err, n.Dropped, out)
		}
	}
	check(Messages, `"disable_parallel_tool_use":true`)
	check(Responses, `"parallel_tool_calls":false`)
	check(Generate, `"functionDeclarations"`, memberName(Chat, FeatureParallel))
}
