package neutral

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"testing"

	"weir/costs"
	"weir/internal/mockllm"
	"weir/proxy/wire"
)

// askChatMock sends a body to a mock that is as strict as OpenAI.
func askChatMock(t *testing.T, b mockllm.Behaviour, body []byte) []byte {
	t.Helper()
	s := mockllm.New(mockllm.Options{Default: b})
	defer s.Close()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/chat/completions", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer sk-x")
	r.Header.Set("Content-Type", "application/json")
	s.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("%d %s\nto %s", w.Code, w.Body, body)
	}
	return w.Body.Bytes()
}

func foreignToChat(tools bool) *Request {
	n := int64(500)
	r := &Request{From: Messages, Model: "gpt-4o", MaxOutput: &n, Temperature: []byte("0.5"), Stop: []string{"END"}, User: "u", Turns: []Turn{
		{Role: System, Parts: []Part{{Kind: Text, Text: "be brief"}}},
		{Parts: []Part{{Kind: Text, Text: "look"}, {Kind: Image, Media: &Media{MIME: "image/png", Data: "iVBORw0KGgo="}}}},
	}}
	if !tools {
		return r
	}
	r.Tools = []Tool{
		{Name: "weather", Description: "d", Schema: []byte(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`)},
		{Name: "time", Schema: []byte(`{"type":"object","properties":{}}`)},
	}
	return r
}

// What is written for OpenAI is what OpenAI takes, and what the many servers
// answer is the same in a stream and whole, with a well-formed stream for the client.
func TestChatMock(t *testing.T) {
	check := func(name string, b mockllm.Behaviour, r *Request) {
		t.Helper()
		client := &Request{From: Chat, IncludeUsage: true}
		whole := askChatMock(t, b, mustEncodeChat(t, r))
		reply, err := chatCodec.DecodeReply(whole)
		if err != nil {
			t.Fatal(err)
		}
		streamed := *r
		streamed.Stream = true
		raw := askChatMock(t, b, mustEncodeChat(t, &streamed))
		events, err := mockllm.Events(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		h := &chatHeard{t: t, open: map[[2]int]*Part{}, stopped: map[int]bool{}}
		enc, dec := chatCodec.NewEncoder(client), chatCodec.NewDecoder()
		var out []byte
		emit := func(e *Event) { h.emit(e); out = enc.Append(out, e) }
		for _, e := range events {
			if err := dec.Event(e.Name, []byte(e.Data), emit); err != nil {
				t.Fatalf("%s: %s: %v", name, e.Data, err)
			}
		}
		dec.End(emit)
		for i := range h.order {
			for _, p := range h.order[i] {
				h.choices[i].Parts = append(h.choices[i].Parts, *p)
			}
		}
		want := sansCallIDs(reply.Choices)
		if got := sansCallIDs(h.choices); !reflect.DeepEqual(got, want) {
			a, _ := json.Marshal(got)
			c, _ := json.Marshal(want)
			t.Errorf("%s\nstream %s\nwhole  %s", name, a, c)
		}
		if _, err := mockllm.ReadStream(wire.Chat, out); err != nil && b.Tools != "bad" {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if in, _ := h.usage.Get(costs.Input); in == 0 && b.Usage != "none" && b.Usage != "null" {
			t.Errorf("%s: no usage", name)
		}
	}
	check("plain", mockllm.Behaviour{}, foreignToChat(false))
	check("tools", mockllm.Behaviour{}, foreignToChat(true))
	check("all tools", mockllm.Behaviour{Tools: "all"}, foreignToChat(true))
	check("bad arguments", mockllm.Behaviour{Tools: "bad"}, foreignToChat(true))
	check("index 0", mockllm.Behaviour{Tools: "all", ToolShape: "zero"}, foreignToChat(true))
	check("whole", mockllm.Behaviour{Tools: "all", ToolShape: "whole"}, foreignToChat(true))
	check("empty lists", mockllm.Behaviour{ToolShape: "empty"}, foreignToChat(false))
	check("reasoning", mockllm.Behaviour{ReasoningField: "reasoning"}, foreignToChat(false))
	check("reasoning_content", mockllm.Behaviour{ReasoningField: "reasoning_content", ReasoningTokens: 5}, foreignToChat(true))
	check("refusal", mockllm.Behaviour{Refuse: true}, foreignToChat(false))
	check("silent", mockllm.Behaviour{Silent: true}, foreignToChat(false))
	check("usage everywhere", mockllm.Behaviour{Usage: "every"}, foreignToChat(false))
	check("usage with the finish", mockllm.Behaviour{Usage: "finish", NoDone: true}, foreignToChat(false))
	check("no usage", mockllm.Behaviour{Usage: "none", TwoDone: true}, foreignToChat(false))
	check("Azure", mockllm.Behaviour{AsyncFilter: true, Strange: true}, foreignToChat(false))
	check("length", mockllm.Behaviour{Stop: "length"}, foreignToChat(false))
	schema := foreignToChat(false)
	schema.Format = Format{Kind: JSONSchema, Schema: []byte(`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`)}
	check("schema", mockllm.Behaviour{}, schema)
	schema.Format = Format{Kind: JSONObject}
	check("JSON", mockllm.Behaviour{}, schema)
	loop := foreignToChat(true)
	loop.Turns = append(loop.Turns, Turn{Role: Assistant, Parts: []Part{
		{Kind: Text, Text: "let me see"},
		{Kind: Call, Call: &ToolCall{ID: "toolu_1", Name: "weather", Args: `{"city":"X"}`}},
		{Kind: Call, Call: &ToolCall{ID: "toolu_2", Name: "time"}},
	}},
		Turn{Parts: []Part{
			{Kind: Result, Result: &ToolResult{ID: "toolu_1", Parts: []Part{{Kind: Image, Media: &Media{MIME: "image/png", Data: "iVBORw0KGgo="}}}}},
			{Kind: Result, Result: &ToolResult{ID: "toolu_2", Parts: []Part{{Kind: Text, Text: "noon"}}}},
			{Kind: Text, Text: "well?"},
		}})
	check("tool loop", mockllm.Behaviour{}, loop)
	apart := foreignToChat(true) // as Responses clients tell it: a turn for each item
	call := func(id string) Turn {
		return Turn{Role: Assistant, Parts: []Part{{Kind: Call, Call: &ToolCall{ID: id, Name: "time"}}}}
	}
	result := func(id string) Turn {
		return Turn{Parts: []Part{{Kind: Result, Result: &ToolResult{ID: id, Parts: []Part{{Kind: Text, Text: "noon"}, {Kind: Image, Media: &Media{URL: "https://x.example/a.png"}}}}}}}
	}
	apart.Turns = append(apart.Turns, Turn{Role: Assistant, Parts: []Part{{Kind: Text, Text: "let me see"}}}, call("a"), call("b"),
		result("a"), Turn{Role: Developer, Parts: []Part{{Kind: Text, Text: "be quick"}}}, result("b"), call("c"), result("c"))
	check("a turn for each item", mockllm.Behaviour{}, apart)
}

// sansCallIDs leaves out the ids of calls: the mock's differ from request to request.
func sansCallIDs(list []Candidate) []Candidate {
	for i := range list {
		if len(list[i].Parts) == 0 {
			list[i].Parts = nil
		}
		for j := range list[i].Parts {
			if c := list[i].Parts[j].Call; c != nil {
				c.ID = ""
			}
		}
	}
	return list
}

func mustEncodeChat(t *testing.T, r *Request) []byte {
	t.Helper()
	out, err := chatCodec.EncodeRequest(r, &Notes{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
