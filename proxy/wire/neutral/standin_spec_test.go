package neutral

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"weir/internal/mockllm"
)

// TestOpenAISpecStandIns: what stands in for tools of other kinds, and what
// calls of it become, is what OpenAI says its tools and items are.
func TestOpenAISpecStandIns(t *testing.T) {
	schema := openAISpec(t)
	response, event, create := schema("Response"), schema("ResponseStreamEvent"), schema("CreateResponse")
	ask, chat := schema("CreateChatCompletionRequest"), schema("CreateChatCompletionResponse")
	check := func(s *jsonschema.Schema, text []byte) {
		t.Helper()
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			t.Errorf("%v\nin %s", err, text)
		}
	}
	asked := mustDecodeResponses(t, probe{more: `"tools":[{"type":"local_shell"},{"type":"shell","environment":{"type":"local"}},{"type":"apply_patch"},{"type":"custom","name":"patch"}]`}.body(Responses))
	asked.Stream = true
	calls := []Part{
		{Kind: Call, Call: &ToolCall{ID: "c1", Name: "local_shell", Args: `{"command":["ls"],"timeout_ms":5}`}},
		{Kind: Call, Call: &ToolCall{ID: "c2", Name: "shell", Args: `{"commands":["ls"]}`}},
		{Kind: Call, Call: &ToolCall{ID: "c3", Name: "apply_patch", Args: `{"type":"update_file","path":"a","diff":"@@\n+x"}`}},
		{Kind: Call, Call: &ToolCall{ID: "c4", Name: "patch", Args: customArgs("x")}},
	}
	reply := &Reply{ID: "a", Model: "m", HasUsage: true, Choices: []Candidate{{Stop: StopTools, Parts: calls}}}
	check(response, encodeResponsesReply(reply, asked))
	e := responsesCodec.NewEncoder(asked)
	var stream []byte
	tellAll(func(n int) int { return min(n, 3) }, reply, func(ev *Event) { stream = e.Append(stream, ev) })
	events, err := mockllm.Events(stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range events {
		check(event, []byte(ev.Data))
	}
	check(chat, encodeChatReply(reply, customTalk(t, Chat)))

	told := *asked
	told.Model = "qwen3"
	body, err := encodeChatRequest(&told, &Notes{})
	if err != nil {
		t.Fatal(err)
	}
	check(ask, body)
	claude, err := decodeMessagesRequest(probe{more: `"tools":[{"type":"bash_20250124","name":"bash"},{"type":"memory_20250818","name":"memory"},{"type":"web_search_20250305","name":"web_search","allowed_domains":["a.org"],"user_location":{"type":"approximate","city":"Paris"}}]`}.body(Messages), "", false)
	if err != nil {
		t.Fatal(err)
	}
	claude.Model = "gpt-5"
	if body, err = encodeResponsesRequest(claude, &Notes{}); err != nil {
		t.Fatal(err)
	}
	check(create, body)
}
