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

// TestHomewardKeepsOwn: reasoning that a server of the client's own dialect has
// given in another vendor's form (OpenRouter) goes back as it came; Weir's own
// seals beside it are taken out.
func TestHomewardKeepsOwn(t *testing.T) {
	kept := []string{
		`{"type":"reasoning.text","text":"hm","signature":"c2ln","format":"anthropic-claude-v1","index":0}`,
		`{"type":"reasoning.summary","summary":"so","format":"openai-responses-v1","index":1}`,
		`{"type":"reasoning.encrypted","id":"rs_1","data":"eGFp","format":"xai-responses-v1","index":2}`,
		`{"type":"reasoning.encrypted","id":"tool_1","data":"ZGF0YQ==","format":"google-gemini-v1","index":3}`,
	}
	ours := `{"type":"reasoning.text","text":"ours","signature":"` + Wrap(Messages, "zzzz") + `","format":"anthropic-claude-v1","index":4}`
	body := `{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_details":[` + strings.Join(kept, ",") + "," + ours + `]},{"role":"user","content":"c"}]}`
	r, err := byAPI(Chat).DecodeRequest([]byte(body), "m", false)
	if err != nil {
		t.Fatal(err)
	}
	n := Notes{}
	Homeward(r, &n)
	out, err := byAPI(Chat).EncodeRequest(r, &n)
	if err != nil || HoldsSeals(out) || bytes.Contains(out, []byte("ours")) || strings.Join(n.Dropped, " ") != memberName(Chat, FeatureThoughts) {
		t.Errorf("%v, %q: %s", err, n.Dropped, out)
	}
	if want := `"reasoning_details":[` + strings.Join(kept, ",") + "]"; !bytes.Contains(out, []byte(want)) {
		t.Errorf("%s\nnot in %s", want, out)
	}
}

// TestOwnDetailsInReplies: such reasoning in a reply that Weir writes anew for a
// client of the server's own dialect is not sealed, a stream or not.
func TestOwnDetailsInReplies(t *testing.T) {
	detail := `{"type":"reasoning.text","text":"hm","signature":"c2ln","format":"anthropic-claude-v1","index":0}`
	r := &Request{From: Chat}
	reply, err := chatCodec.DecodeReply([]byte(`{"id":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"b","reasoning_details":[` + detail + `]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	whole := chatCodec.EncodeReply(reply, r)
	dec, enc := chatCodec.NewDecoder(), chatCodec.NewEncoder(r)
	var stream []byte
	for _, data := range []string{
		`{"id":"x","choices":[{"index":0,"delta":{"role":"assistant","reasoning_details":[{"type":"reasoning.text","text":"hm","format":"anthropic-claude-v1","index":0}]}}]}`,
		`{"id":"x","choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.text","signature":"c2ln","format":"anthropic-claude-v1","index":0}]}}]}`,
		`{"id":"x","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}`, `[DONE]`,
	} {
		if err := dec.Event("", []byte(data), func(e *Event) { stream = enc.Append(stream, e) }); err != nil {
			t.Fatal(err)
		}
	}
	for _, out := range [][]byte{whole, stream} {
		if HoldsSeals(out) || !bytes.Contains(out, []byte(`"reasoning_details":[`+detail+"]")) {
			t.Errorf("not as it came: %s", out)
		}
	}
}
