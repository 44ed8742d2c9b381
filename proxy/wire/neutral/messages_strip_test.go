package neutral

import (
	"slices"
	"testing"
)

// A conversation that other vendors' models have had a part in goes to
// Anthropic's own without their seals.
func TestMessagesStrip(t *testing.T) {
	check := func(parts []Part, after string, thinking string, dropped ...string) {
		t.Helper()
		whole := encodeMessagesReply(&Reply{ID: "x", Choices: []Candidate{{Parts: parts}}}, nil)
		content := member(t, whole, "content")
		id := ""
		for _, p := range parts {
			if p.Kind == Call {
				id = clientCallID(p.Call)
			}
		}
		body := []byte(`{"model":"claude-sonnet-4-5","max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[` +
			`{"role":"user","content":"go"},{"role":"assistant","content":` + content + `},` +
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"` + id + `","content":"ok"}]}]}`)
		if !HoldsSeals(body) {
			t.Errorf("no seals in %s", body)
		}
		again, n := encodeMessages(t, decodeMessages(t, body))
		want := `[{"role":"user","content":"go"},{"role":"assistant","content":` + after + `},` +
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"ok"}]}]`
		if got := member(t, again, "messages"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got := member(t, again, "thinking"); got != thinking {
			t.Errorf("thinking %s, want %s", got, thinking)
		}
		if !slices.Equal(n.Dropped, dropped) || HoldsSeals(again) {
			t.Errorf("dropped %q, want %q", n.Dropped, dropped)
		}
	}
	const use = `{"type":"tool_use","id":"c1","name":"f","input":{}}`
	call := Part{Kind: Call, Call: &ToolCall{ID: "c1", Name: "f", Args: "{}"}}
	sealed := Part{Kind: Call, Call: &ToolCall{ID: "c1", Name: "f", Args: "{}", Signature: "s", From: Generate}}
	cited := Part{Text: "x", Cites: []Citation{{URL: "https://x"}}, From: Responses}
	const on = `{"type":"enabled","budget_tokens":1024}`
	check([]Part{{Kind: Thinking, Thought: &Thought{Text: "t", ID: "rs", Sealed: "s", From: Responses}}, cited, call},
		`[{"type":"text","text":"x"},`+use+`]`, "", "messages.content.thinking", "thinking")
	check([]Part{{Kind: Thinking, Thought: &Thought{Text: "t", Signature: "s", From: Messages}}, sealed},
		`[{"type":"thinking","thinking":"t","signature":"s"},`+use+`]`, on)
	check([]Part{sealed}, `[`+use+`]`, "", "thinking")
	if HoldsSeals(shapes(t)["claude-code.json"]) {
		t.Error("seals where there are none")
	}
}
