package neutral

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/internal/mockllm"
)

// saidBy lists what a conversation says, part by part: what must survive any dialect.
func saidBy(turns []Turn) []string {
	var list []string
	add := func(who Role, p *Part) {
		switch p.Kind {
		case Text:
			list = append(list, fmt.Sprintf("%d says %q", who, p.Text))
		case Image:
			list = append(list, fmt.Sprintf("%d shows %s %q %q", who, p.Media.MIME, p.Media.Data, p.Media.URL))
		case Call:
			list = append(list, fmt.Sprintf("call %s %s %s", p.Call.ID, p.Call.Name, p.Call.Args))
		case Thinking:
			list = append(list, fmt.Sprintf("thought %q %q %q of %s", p.Thought.Text, p.Thought.Signature, p.Thought.Sealed, p.Thought.From))
		}
	}
	for i := range turns {
		who := turns[i].Role
		for j := range turns[i].Parts {
			p := &turns[i].Parts[j]
			if p.Kind != Result {
				add(who, p)
				continue
			}
			list = append(list, "result of "+p.Result.ID)
			for k := range p.Result.Parts {
				add(User, &p.Result.Parts[k])
			}
		}
	}
	return list
}

// drawWords draws texts that are not blank: Anthropic takes no others.
func drawWords() *rapid.Generator[string] {
	return rapid.StringN(1, 12, -1).Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
}

// drawConversation draws what every dialect can say.
func drawConversation(t *rapid.T) *Request {
	text := func(label string) []Part {
		return []Part{{Kind: Text, Text: drawWords().Draw(t, label)}}
	}
	n := int64(9000)
	r := &Request{From: Chat, Model: "m", MaxOutput: &n, Turns: []Turn{{Role: System, Parts: text("system")}, {Parts: text("first")}}}
	r.Tools = []Tool{{Name: "f", Description: "d", Schema: []byte(`{"type":"object","properties":{"a":{"type":"string"}}}`), From: Chat}}
	for i := range rapid.IntRange(0, 3).Draw(t, "rounds") {
		answer := Turn{Role: Assistant}
		if rapid.Bool().Draw(t, "words") {
			answer.Parts = text("answer")
		}
		results := Turn{}
		for j := range rapid.IntRange(0, 3).Draw(t, "calls") {
			id := fmt.Sprintf("call_%d_%d", i, j)
			args := rapid.SampledFrom([]string{"{}", `{"a":"x\u00e9"}`, `{"a": 1.0}`, `{"b":[{"c":null}]}`}).Draw(t, "args")
			answer.Parts = append(answer.Parts, Part{Kind: Call, Call: &ToolCall{ID: id, Name: "f", Args: args}})
			results.Parts = append(results.Parts, Part{Kind: Result, Result: &ToolResult{ID: id, Parts: text("result")}})
		}
		if answer.Parts == nil {
			answer.Parts = text("answer")
		}
		r.Turns = append(r.Turns, answer)
		if results.Parts != nil {
			r.Turns = append(r.Turns, results)
		}
		next := Turn{Parts: text("next")}
		if rapid.Bool().Draw(t, "picture") {
			next.Parts = append(next.Parts, Part{Kind: Image, Media: &Media{MIME: "image/png", Data: "iVBORw0KGgo="}})
		}
		r.Turns = append(r.Turns, next)
	}
	return r
}

var chatOthers = []API{Responses, Messages, Generate}

// A conversation of a chat client that another dialect tells comes back as it was.
func TestChatRequestAcross(t *testing.T) {
	for _, api := range chatOthers {
		c := byAPI(api)
		t.Run(string(api), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				first := drawConversation(rt)
				there, err := c.EncodeRequest(first, &Notes{})
				if err != nil || !json.Valid(there) {
					rt.Fatalf("%v: %s", err, there)
				}
				second, err := c.DecodeRequest(there, first.Model, false)
				if err != nil {
					rt.Fatalf("%v: %s", err, there)
				}
				back, err := chatCodec.EncodeRequest(second, &Notes{})
				if err != nil {
					rt.Fatalf("%v: %s", err, there)
				}
				askChatMock(t, mockllm.Behaviour{}, back)
				third, err := chatCodec.DecodeRequest(back, "", false)
				if err != nil {
					rt.Fatalf("%v: %s", err, back)
				}
				if got, want := saidBy(third.Turns), saidBy(first.Turns); !reflect.DeepEqual(got, want) {
					rt.Fatalf("%s\ngot  %q\nwant %q", there, got, want)
				}
				if got := third.Tools; len(got) != 1 || got[0].Name != "f" || got[0].Description != "d" || len(got[0].Schema) == 0 {
					rt.Fatalf("tools %+v of %s", got, there)
				}
			})
		})
	}
}

// drawChatAnswer draws what a model of any vendor can say, with its vendor's seals.
func drawChatAnswer(t *rapid.T, from API) *Reply {
	r := &Reply{ID: "id1", Model: "m", Created: 7, From: from}
	c := Candidate{Stop: rapid.SampledFrom([]StopReason{StopEnd, StopLength, StopFilter}).Draw(t, "stop")}
	word := drawWords()
	if rapid.Bool().Draw(t, "thought") {
		th := &Thought{Text: word.Draw(t, "thoughts"), From: from, Signature: "c2lnbmF0dXJl"}
		if from == Responses {
			*th = Thought{ID: "rs_1", Text: th.Text, Summary: true, Sealed: "c2VhbA==", From: from}
		}
		if from == Generate { // its seals are on texts and calls
			th.Signature = ""
		}
		c.Parts = append(c.Parts, Part{Kind: Thinking, Thought: th})
	}
	if rapid.Bool().Draw(t, "words") {
		c.Parts = append(c.Parts, Part{Kind: Text, Text: word.Draw(t, "text")})
		if from == Generate && rapid.Bool().Draw(t, "sealed text") {
			c.Parts = append(c.Parts, Part{Kind: Thinking, Thought: &Thought{Signature: "dGV4dA==", From: from}})
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "calls") {
		args := rapid.SampledFrom([]string{"{}", `{"a":"x\u00e9"}`, `{"a":1.0}`}).Draw(t, "args")
		call := &ToolCall{ID: fmt.Sprintf("call_%d", i), Name: "f", Args: args}
		if from == Generate && i == 0 {
			call.Signature, call.From = "Z3NpZw==", Generate
		}
		c.Parts = append(c.Parts, Part{Kind: Call, Call: call})
		c.Stop = StopTools
	}
	if c.Parts == nil {
		c.Parts = []Part{{Kind: Text, Text: "x"}}
	}
	r.Choices = []Candidate{c}
	return r
}

// An upstream's answer is told to a chat client the same in a stream and
// whole, and the client's next request brings the vendor its seals back.
func TestChatAnswerAcross(t *testing.T) {
	for _, api := range chatOthers {
		c := byAPI(api)
		t.Run(string(api), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				client := &Request{From: Chat, Model: "m"}
				own := &Request{From: api, Model: "m"}
				reply := drawChatAnswer(rt, api)
				body := c.EncodeReply(reply, own)
				decoded, err := c.DecodeReply(body)
				if err != nil {
					rt.Fatalf("%v: %s", err, body)
				}
				whole := chatCodec.EncodeReply(decoded, client)

				var there, sse []byte
				enc := c.NewEncoder(own)
				tellChat(rt, reply, func(e *Event) { there = enc.Append(there, e) })
				events, err := mockllm.Events(there)
				if err != nil {
					rt.Fatalf("%v: %s", err, there)
				}
				dec, out := c.NewDecoder(), chatCodec.NewEncoder(client)
				for _, e := range events {
					if err := dec.Event(e.Name, []byte(e.Data), func(e *Event) { sse = out.Append(sse, e) }); err != nil {
						rt.Fatalf("%v: %s", err, e.Data)
					}
				}
				dec.End(func(e *Event) { sse = out.Append(sse, e) })
				sameChatAnswer(rt, whole, sse, there)
				chatSealsReturn(rt, c, reply, whole)
			})
		})
	}
}

func sameChatAnswer(t *rapid.T, whole, sse, there []byte) {
	var want struct {
		Choices []struct {
			Message map[string]any
			Finish  string `json:"finish_reason"`
		}
	}
	if err := json.Unmarshal(whole, &want); err != nil {
		t.Fatalf("%v: %s", err, whole)
	}
	messages, finish, _ := accumulateChat(t, sse)
	if len(messages) != 1 {
		t.Fatalf("%d messages of %s", len(messages), there)
	}
	if calls, ok := messages[0]["tool_calls"].([]any); ok {
		for _, x := range calls {
			delete(x.(map[string]any), "index")
		}
	}
	if !reflect.DeepEqual(messages[0], want.Choices[0].Message) || finish[0] != want.Choices[0].Finish {
		t.Fatalf("stream %v %s\nwhole  %v %s\nof %s", messages[0], finish[0], want.Choices[0].Message, want.Choices[0].Finish, there)
	}
}

// chatSealsReturn sends a whole chat message back in a request, as clients do, and
// compares what the vendor reads there with what it had said.
func chatSealsReturn(t *rapid.T, c *Codec, reply *Reply, whole []byte) {
	var answer struct {
		Choices []struct{ Message json.RawMessage }
	}
	if err := json.Unmarshal(whole, &answer); err != nil {
		t.Fatal(err)
	}
	body := fmt.Appendf(nil, `{"model":"m","messages":[{"role":"user","content":"q"},%s`, answer.Choices[0].Message)
	for _, p := range reply.Choices[0].Parts {
		if p.Kind == Call {
			body = fmt.Appendf(body, `,{"role":"tool","tool_call_id":%q,"content":"r"}`, CallWithSeal(p.Call.ID, p.Call.From, p.Call.Signature))
		}
	}
	body = append(body, `,{"role":"user","content":"go on"}],"tools":[{"type":"function","function":{"name":"f"}}],"max_tokens":9000,"reasoning_effort":"low"}`...)
	r, err := chatCodec.DecodeRequest(body, "", false)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	out, err := c.EncodeRequest(r, &Notes{})
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	seen, err := c.DecodeRequest(out, "m", false)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	parts := slices.DeleteFunc(slices.Clone(reply.Choices[0].Parts), func(p Part) bool { return p.Thought != nil && !sealed(p.Thought) })
	want := saidBy([]Turn{{Role: Assistant, Parts: parts}})
	var got []string
	for _, turn := range seen.Turns {
		if turn.Role == Assistant {
			got = append(got, saidBy([]Turn{turn})...)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("the vendor reads %q\nand had said    %q\nin %s\nfrom %s", got, want, out, body)
	}
}
