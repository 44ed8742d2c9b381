package neutral

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/internal/mockllm"
)

// A conversation of a Responses client that another dialect tells comes back
// as it was: texts, calls, ids, pictures, and their order.
func TestResponsesRequestAcross(t *testing.T) {
	for _, api := range []API{Chat, Messages, Generate} {
		c := byAPI(api)
		t.Run(string(api), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				drawn := drawConversation(rt)
				drawn.From = Responses
				body, err := encodeResponsesRequest(drawn, &Notes{})
				if err != nil {
					rt.Fatal(err)
				}
				first := mustDecodeResponses(rt, body)
				there, err := c.EncodeRequest(first, &Notes{})
				if err != nil {
					rt.Fatalf("%v: %s", err, body)
				}
				second, err := c.DecodeRequest(there, first.Model, false)
				if err != nil {
					rt.Fatalf("%v: %s", err, there)
				}
				back, err := encodeResponsesRequest(second, &Notes{})
				if err != nil {
					rt.Fatalf("%v: %s", err, there)
				}
				third := mustDecodeResponses(rt, back)
				if got, want := saidBy(third.Turns), saidBy(first.Turns); !reflect.DeepEqual(got, want) {
					rt.Fatalf("%s\nbecomes %s\nthen %s\ngot  %q\nwant %q", body, there, back, got, want)
				}
			})
		})
	}
}

// An upstream's answer is told to a Responses client the same in a stream and
// whole, and the client's next request brings the vendor its seals back.
func TestResponsesAnswerAcross(t *testing.T) {
	for _, api := range []API{Chat, Messages, Generate} {
		c := byAPI(api)
		t.Run(string(api), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				client, own := &Request{From: Responses, Model: "m"}, &Request{From: api, Model: "m"}
				reply := drawChatAnswer(rt, api)
				reply.ID = map[API]string{Chat: "chatcmpl-1", Messages: "msg_1", Generate: "g1"}[api]
				decoded, err := c.DecodeReply(c.EncodeReply(reply, own))
				if err != nil {
					rt.Fatal(err)
				}
				whole := encodeResponsesReply(decoded, client)

				var there []byte
				enc := c.NewEncoder(own)
				tellChat(rt, reply, func(e *Event) { there = enc.Append(there, e) })
				upstream, err := mockllm.Events(there)
				if err != nil {
					rt.Fatalf("%v: %s", err, there)
				}
				var events []Event
				dec := c.NewDecoder()
				keep := func(e *Event) { events = append(events, keptEvent(e)) }
				for _, e := range upstream {
					if err := dec.Event(e.Name, []byte(e.Data), keep); err != nil {
						rt.Fatalf("%v: %s", err, e.Data)
					}
				}
				dec.End(keep)
				stream := tell(rt, client, events)
				if got := final(rt, stream); !sameResponse(rt, got, string(whole)) {
					rt.Fatalf("stream ends with\n%s\nwhole is\n%s\nof %s", got, whole, there)
				}
				if api != Chat { // which has no seals of its own
					responsesSealsReturn(rt, c, reply, whole)
				}
			})
		})
	}
}

// What leans on OpenAI's own state is refused by every other target, by name.
func TestResponsesStateIsOpenAIs(t *testing.T) {
	check := func(member, value string) {
		t.Helper()
		for _, api := range []API{Chat, Messages, Generate} {
			r := mustDecodeResponses(t, fmt.Appendf(nil, `{"model":"m","input":"hi",%q:%s}`, member, value))
			_, err := byAPI(api).EncodeRequest(r, &Notes{})
			if c, ok := err.(*CannotCarry); !ok || c.Member != member {
				t.Errorf("%s to %s: %v", member, api, err)
			}
		}
	}
	check("previous_response_id", `"resp_1"`)
	check("conversation", `"conv_1"`)
	check("conversation", `{"id":"conv_1"}`)
	check("background", "true")
	check("prompt", `{"id":"pmpt_1"}`)
	for _, harmless := range []string{`"background":false`, `"conversation":null`, `"prompt":null`, `"store":false`, `"truncation":"disabled"`} {
		r := mustDecodeResponses(t, []byte(`{"model":"m","input":"hi",`+harmless+`}`))
		for _, api := range []API{Chat, Messages, Generate} {
			var n Notes
			if _, err := byAPI(api).EncodeRequest(r, &n); err != nil || len(n.Dropped) > 0 {
				t.Errorf("%s to %s: %v, dropped %q", harmless, api, err, n.Dropped)
			}
		}
	}
}

// keptEvent is an event that may be kept after the call that told it.
func keptEvent(e *Event) Event {
	k := *e
	if e.Part != nil {
		p := clonePart(e.Part)
		k.Part = &p
	}
	k.Logprobs = e.Logprobs.Clone()
	return k
}

// sameResponse compares responses but for usage and time, which not every
// stream tells as the whole does.
func sameResponse(t fataler, a, b string) bool {
	t.Helper()
	strip := func(s string) []Member {
		return slices.DeleteFunc(members(jsontext.Value(s)), func(m Member) bool {
			return m.Name == "usage" || m.Name == "created_at" || m.Name == "service_tier"
		})
	}
	return reflect.DeepEqual(strip(a), strip(b))
}

// responsesSealsReturn sends a reply's output back as input, as clients do,
// and compares what the vendor reads there with what it had said.
func responsesSealsReturn(t *rapid.T, c *Codec, reply *Reply, whole []byte) {
	var answer struct {
		Output []jsontext.Value `json:"output"`
	}
	if err := decode(whole, &answer); err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"model":"m","max_output_tokens":9000,"reasoning":{"effort":"low"},"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],"input":[{"role":"user","content":"q"}`)
	for _, item := range answer.Output {
		body = append(append(body, ','), item...)
	}
	for _, p := range reply.Choices[0].Parts {
		if p.Kind == Call {
			body = fmt.Appendf(body, `,{"type":"function_call_output","call_id":%q,"output":"r"}`, CallWithSeal(p.Call.ID, p.Call.From, p.Call.Signature))
		}
	}
	body = append(body, `,{"role":"user","content":"go on"}]}`...)
	out, err := c.EncodeRequest(mustDecodeResponses(t, body), &Notes{})
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
