package neutral

import (
	"bytes"
	"strings"
	"testing"
)

// TestHomeward: a conversation that every other vendor's models have had a part
// in goes to the client's own without their seals, each result still with its call.
func TestHomeward(t *testing.T) {
	for _, from := range apis {
		codec := byAPI(from)
		for _, vendor := range apis {
			if vendor == from || vendor == Chat {
				continue
			}
			r := Request{Model: "gpt-5", From: from, Turns: []Turn{
				{Role: User, Parts: []Part{{Kind: Text, Text: "go"}}},
				{Role: Assistant, Parts: []Part{
					{Kind: Thinking, Thought: &Thought{ID: "rs_weir_1", Text: "hm", Sealed: "zzzz", From: vendor}},
					{Kind: Call, Call: &ToolCall{ID: "c1", Name: "f", Args: "{}", Signature: "zzzz", From: vendor}},
				}},
				{Role: User, Parts: []Part{{Kind: Result, Result: &ToolResult{ID: "c1", Name: "f", Parts: []Part{{Kind: Text, Text: "ok"}}}}}},
			}}
			n := Notes{}
			Homeward(&r, &n)
			body, err := codec.EncodeRequest(&r, &n)
			if err != nil {
				t.Fatal(err)
			}
			if HoldsSeals(body) || bytes.Contains(body, []byte("zzzz")) || bytes.Contains(body, []byte("rs_weir_")) {
				t.Errorf("%s, after %s: seals in %s", from, vendor, body)
			}
			if from != Generate && strings.Count(string(body), `"c1"`) != 2 {
				t.Errorf("%s, after %s: the call and its result: %s", from, vendor, body)
			}
			if strings.Join(n.Dropped, " ") != memberName(from, FeatureThoughts) {
				t.Errorf("%s, after %s: dropped %q", from, vendor, n.Dropped)
			}
		}
	}
}

// TestHomewardForged: a seal on a call that nobody made leaves the call and its
// result together.
func TestHomewardForged(t *testing.T) {
	for _, id := range []string{"x__seal__weir-seal-1.generate.!!!", "x__seal__weir-seal-1.chat.AAAA", "x__seal__weir-seal-1.", "x__seal__"} {
		body := `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"` + id + `","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"` + id + `","content":"r"}]}`
		r, err := byAPI(Chat).DecodeRequest([]byte(body), "m", false)
		if err != nil {
			t.Fatal(err)
		}
		n := Notes{}
		Homeward(r, &n)
		out, err := byAPI(Chat).EncodeRequest(r, &n)
		if err != nil {
			t.Fatal(err)
		}
		call := r.Turns[0].Parts[len(r.Turns[0].Parts)-1].Call
		if strings.Count(string(out), `"`+chatCallID("m", call.ID)+`"`) != 2 {
			t.Errorf("%s: %s", id, out)
		}
	}
}
