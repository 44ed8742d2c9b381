package neutral

import (
	"reflect"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/internal/mockllm"
	"weir/proxy/wire"
)

// A conversation of a Messages client that another dialect tells comes back
// as it was: texts, calls, ids, pictures, and their order.
func TestMessagesRequestAcross(t *testing.T) {
	for _, api := range []API{Chat, Responses, Generate} {
		c := byAPI(api)
		t.Run(string(api), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				drawn := drawConversation(rt)
				drawn.From = Messages
				body, err := encodeMessagesRequest(drawn, &Notes{})
				if err != nil {
					rt.Fatal(err)
				}
				first, err := decodeMessagesRequest(body, "", false)
				if err != nil {
					rt.Fatalf("%v: %s", err, body)
				}
				notes := &Notes{}
				there, err := c.EncodeRequest(first, notes)
				if err != nil || len(notes.Dropped) > 0 {
					rt.Fatalf("%v, %q: %s", err, notes.Dropped, there)
				}
				second, err := c.DecodeRequest(there, first.Model, false)
				if err != nil {
					rt.Fatalf("%v: %s", err, there)
				}
				back, err := encodeMessagesRequest(second, &Notes{})
				if err != nil {
					rt.Fatalf("%v: %s", err, there)
				}
				third, err := decodeMessagesRequest(back, "", false)
				if err != nil {
					rt.Fatalf("%v: %s", err, back)
				}
				if got, want := saidBy(third.Turns), saidBy(first.Turns); !reflect.DeepEqual(got, want) {
					rt.Fatalf("%s\ngot  %q\nwant %q", there, got, want)
				}
			})
		})
	}
}

// A turn of a model that thinks and calls tools goes to a Messages client and
// back to the model's own vendor, and its seals are what they were.
func TestMessagesToolLoopOfOthers(t *testing.T) {
	call := func(id, seal string) Part {
		c := &ToolCall{ID: id, Name: "f", Args: `{"a":1}`, Signature: seal}
		if seal != "" {
			c.From = Generate
		}
		return Part{Kind: Call, Call: c}
	}
	check := func(api API, model string, parts ...Part) {
		t.Helper()
		whole := encodeMessagesReply(&Reply{ID: "x", Model: model, Choices: []Candidate{{Parts: parts, Stop: StopTools}}, From: api}, nil)
		var message struct {
			Content jsontext.Value `json:"content"`
		}
		if err := decode(whole, &message); err != nil {
			t.Fatal(err)
		}
		body := `{"model":"m","max_tokens":100,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"go"},` +
			`{"role":"assistant","content":` + string(message.Content) + `},{"role":"user","content":[`
		sep := ""
		r := decodeMessages(t, []byte(`{"messages":[{"role":"assistant","content":`+string(message.Content)+`}]}`))
		for _, p := range r.Turns[0].Parts {
			if p.Kind == Call {
				id := CallWithSeal(p.Call.ID, p.Call.From, p.Call.Signature) // as the client has it
				body += sep + `{"type":"tool_result","tool_use_id":"` + id + `","content":"ok"}`
				sep = ","
			}
		}
		r = decodeMessages(t, []byte(body+`]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}`))
		r.Model = model
		there, err := byAPI(api).EncodeRequest(r, &Notes{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := byAPI(api).DecodeRequest(there, model, false)
		if err != nil {
			t.Fatal(err)
		}
		var seals, want []string
		for _, turn := range again.Turns {
			if turn.Role == Assistant {
				seals = append(seals, sealsOf(turn.Parts)...)
			}
		}
		if want = sealsOf(parts); !slices.Equal(seals, want) {
			t.Errorf("%s: seals %q, want %q, in\n%s", api, seals, want, there)
		}
	}
	check(Responses, "gpt-5.2",
		Part{Kind: Thinking, Thought: &Thought{ID: "rs_1", Sealed: "gAAA+/=", From: Responses}}, call("call_1", ""), call("call_2", ""))
	check(Responses, "gpt-5.2",
		Part{Kind: Thinking, Thought: &Thought{ID: "rs_2", Text: "sum", Summary: true, Sealed: "gAAA+/=", From: Responses}}, Part{Text: "hm"}, call("call_1", ""))
	check(Generate, "gemini-3-pro", call("call_1", "CiQ+/=="), call("call_2", ""))
}

// sealsOf lists the seals of parts, with what they are on.
func sealsOf(parts []Part) []string {
	var list []string
	for i := range parts {
		switch p := &parts[i]; p.Kind {
		case Thinking:
			list = append(list, p.Thought.ID+" "+p.Thought.Signature+p.Thought.Sealed)
		case Call:
			list = append(list, p.Call.ID+" "+p.Call.Signature)
		}
	}
	return list
}

// What the other vendors stream comes out as a Messages stream of good
// grammar that says what the whole reply says.
func TestMessagesStreamsOfOthers(t *testing.T) {
	check := func(api API, of wire.API, golden string) {
		t.Helper()
		stream := goldenStream(t, golden)
		want, err := mockllm.ReadStream(of, stream)
		if err != nil {
			t.Fatal(err)
		}
		d := byAPI(api).NewDecoder()
		enc := messagesCodec.NewEncoder(&Request{From: Messages})
		var out []byte
		emit := func(e *Event) { out = enc.Append(out, e) }
		events, _ := mockllm.Events(stream)
		for _, e := range events {
			if err := d.Event(e.Name, []byte(e.Data), emit); err != nil {
				t.Fatalf("%s: %v", e.Data, err)
			}
		}
		d.End(emit)
		got, err := mockllm.ReadStream(wire.Messages, out)
		if err != nil {
			t.Fatalf("%s: %v\n%s", golden, err, out)
		}
		if got.Text != want.Text || got.Reasoning != want.Reasoning || !slices.Equal(got.Calls, want.Calls) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", golden, got, want)
		}
	}
	check(Chat, wire.Chat, "chat-stream-usage")
	check(Chat, wire.Chat, "chat-tool-stream")
	check(Responses, wire.Responses, "responses-stream")
	check(Responses, wire.Responses, "responses-tool-stream")
	check(Generate, wire.StreamGenerate, "generate-sse")
}
