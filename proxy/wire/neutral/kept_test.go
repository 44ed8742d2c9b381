package neutral

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// A kept conversation is what a client without state would have sent back:
// the input, the output as it was written, and what comes next.
func TestKeptConversation(t *testing.T) {
	shapes := responsesShapes(t)
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SampledFrom(shapes).Draw(t, "request")
		r := mustDecodeResponses(t, body)
		drawn := drawResponsesReply(t)
		reply := encodeResponsesReply(&drawn, r)
		input, err := InputItems(body)
		if err != nil {
			t.Fatal(err)
		}
		output, err := OutputItems(reply)
		if err != nil {
			t.Fatal(err)
		}
		earlier, err := ReadItems(input, output)
		if err != nil {
			t.Fatal(err)
		}
		next := mustDecodeResponses(t, []byte(`{"model":"m","instructions":"Other ones.","input":"And then?"}`))
		next.Continue(earlier)

		w := jsonw{}
		w.arr()
		for _, list := range []jsontext.Value{input, output, jsontext.Value(`[{"role":"user","content":"And then?"}]`)} {
			_ = eachElement(list, func(_ int, v jsontext.Value) error { w.raw(v); return nil })
		}
		w.endArr()
		stateless := mustDecodeResponses(t, fmt.Appendf(nil, `{"model":"m","instructions":"Other ones.","input":%s}`, w.b))
		for i := range stateless.Turns[1:] {
			turn := &stateless.Turns[i+1]
			turn.ID = ""
			for j := range turn.Parts {
				if c := turn.Parts[j].Call; c != nil {
					c.Item = ""
				}
			}
		}
		if !reflect.DeepEqual(next.Turns, stateless.Turns) {
			t.Fatalf("kept %+v\nsent %+v", next.Turns, stateless.Turns)
		}
	})
}

func TestKeptInput(t *testing.T) {
	check := func(body, want string) {
		t.Helper()
		got, err := InputItems([]byte(body))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", body, got, err)
		}
	}
	check(`{"input":"a \"text\""}`, `[{"type":"message","role":"user","content":"a \"text\""}]`)
	check(`{"input":[ {"role":"user","content":"a"} ]}`, `[ {"role":"user","content":"a"} ]`)
	check(`{"input":null}`, `[]`)
	check(`{"model":"m"}`, `[]`)
	if _, err := InputItems([]byte(`{"input":`)); err == nil {
		t.Error("half a body is read")
	}
}

// What the API shows of an input's items is what OpenAI says that it is.
func TestListedItems(t *testing.T) {
	item := openAISpec(t)("ItemResource")
	for _, body := range responsesShapes(t) {
		input, err := InputItems(body)
		if err != nil {
			t.Fatal(err)
		}
		list, err := ListItems(input, "weir_1")
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			if itemKind(one.JSON) == referenceMark || bytes.Contains(one.JSON, []byte(`"`+referenceMark+`"`)) {
				continue // not kept by us: there is nothing to show
			}
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(one.JSON))
			if err != nil {
				t.Fatalf("%v: %s", err, one.JSON)
			}
			if err := item.Validate(v); err != nil {
				t.Errorf("%v\nin %s", err, one.JSON)
			}
			if rawID(one.JSON) != one.ID || one.ID == "" {
				t.Errorf("id %q of %s", one.ID, one.JSON)
			}
		}
	}
}

func TestListedShapes(t *testing.T) {
	check := func(item, want string) {
		t.Helper()
		list, err := ListItems(jsontext.Value("["+item+"]"), "weir_1")
		if err != nil || len(list) != 1 || string(list[0].JSON) != want {
			t.Errorf("%s: %s, %v\nwant %s", item, list[0].JSON, err, want)
		}
	}
	check(`{"role":"user","content":"a"}`, `{"id":"msg_weir_1_in0","type":"message","role":"user","content":[{"type":"input_text","text":"a"}],"status":"completed"}`)
	check(`{"role":"assistant","content":"a"}`, `{"id":"msg_weir_1_in0","type":"message","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"a"}],"status":"completed"}`)
	check(`{"type":"message","id":"msg_1","status":"incomplete","role":"user","content":[{"type":"input_image","image_url":"http://a/b"}]}`,
		`{"id":"msg_1","type":"message","status":"incomplete","role":"user","content":[{"type":"input_image","image_url":"http://a/b","detail":"auto"}]}`)
	check(`{"role":"assistant","content":[{"type":"output_text","text":"a","annotations":null}],"phase":null}`,
		`{"id":"msg_weir_1_in0","type":"message","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[]}],"status":"completed"}`)
	check(`{"type":"function_call_output","call_id":"c","output":"x"}`, `{"id":"fc_weir_1_in0","type":"function_call_output","call_id":"c","output":"x","status":"completed"}`)
	check(`{"type":"reasoning","id":"rs_1","summary":[]}`, `{"id":"rs_1","type":"reasoning","summary":[]}`)
}

func TestReferences(t *testing.T) {
	r := mustDecodeResponses(t, []byte(`{"model":"m","input":[{"role":"user","content":"a"},{"type":"item_reference","id":"msg_weir_1_0"},{"id":"fc_weir_1_1","type":"item_reference"},{"role":"user","content":"b"}]}`))
	if got := fmt.Sprint(References(r.Turns)); got != "[msg_weir_1_0 fc_weir_1_1]" {
		t.Fatalf("references %s", got)
	}
	output := jsontext.Value(`[{"type":"message","id":"msg_weir_1_0","role":"assistant","content":[{"type":"output_text","text":"yes"}]},{"type":"function_call","id":"fc_weir_1_1","call_id":"c","name":"f","arguments":"{}"}]`)
	list, err := ResolveItems(jsontext.Value(`[{"type":"item_reference","id":"fc_weir_1_1"},{"type":"item_reference","id":"x"}]`),
		func(id string) jsontext.Value { return ItemOf(output, id) })
	if want := `[{"type":"function_call","id":"fc_weir_1_1","call_id":"c","name":"f","arguments":"{}"},{"type":"item_reference","id":"x"}]`; string(list) != want || err != nil {
		t.Errorf("resolved items: %s, %v", list, err)
	}
	if ItemOf(output, "msg_weir_1_9") != nil {
		t.Error("an item that is not there is found")
	}
	turns, err := Resolve(r.Turns, map[string]jsontext.Value{
		"msg_weir_1_0": ItemOf(output, "msg_weir_1_0"), "fc_weir_1_1": ItemOf(output, "fc_weir_1_1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(turns) != 3 || len(References(turns)) != 0 || turns[1].Parts[0].Text != "yes" || turns[1].Parts[1].Call.ID != "c" {
		t.Errorf("resolved: %+v", turns)
	}
	if len(References(r.Turns)) != 2 {
		t.Error("the request itself has changed, which another target still needs")
	}
}

func TestWithoutForeign(t *testing.T) {
	turns := []Turn{{Role: Assistant, Parts: []Part{
		{Kind: Thinking, Thought: &Thought{Text: "theirs", Signature: "s", From: Messages}},
		{Kind: Thinking, Thought: &Thought{ID: "rs_1", Sealed: "s", From: Responses}},
		{Kind: Call, Call: &ToolCall{ID: "c", Signature: "s", From: Generate}},
	}}, {Role: Assistant, Parts: []Part{{Kind: Thinking, Thought: &Thought{From: Generate}}}}}
	got := WithoutForeign(turns, Responses)
	if len(got) != 1 || len(got[0].Parts) != 2 || got[0].Parts[0].Thought.ID != "rs_1" || got[0].Parts[1].Call.Signature != "" {
		t.Errorf("%+v", got)
	}
	if turns[0].Parts[2].Call.Signature == "" || len(turns[0].Parts) != 3 {
		t.Error("the turns themselves have changed, which another target still needs")
	}
}

// Whatever input a request has had that was taken, it can be listed and read again.
func FuzzKeptItems(f *testing.F) {
	for _, body := range responsesShapes(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"input":[{"role":"user","content":null},{"type":"x_output","content":[1]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decodeResponsesRequest(body, "", false); err != nil {
			return
		}
		input, err := InputItems(body)
		if err != nil {
			t.Fatalf("a body that was taken has no input: %v", err)
		}
		turns, err := ReadItems(input)
		if err != nil {
			t.Fatalf("kept items cannot be read: %v", err)
		}
		References(turns)
		list, err := ListItems(input, "weir_1")
		if err != nil {
			t.Fatalf("kept items cannot be listed: %v", err)
		}
		for _, one := range list {
			if !one.JSON.IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
				t.Errorf("listed as %s", one.JSON)
			}
		}
	})
}
