package neutral

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"weir/costs"
)

// What a foreign client's conversation becomes, for OpenAI's models of either
// kind, another server's, and Mistral's.
func TestChatGoldenRequest(t *testing.T) {
	body, err := os.ReadFile("testdata/chat/agent.json")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, model := range []string{"gpt-4o", "gpt-5", "qwen3-8b", "mistral-large-latest"} {
		r := mustDecodeChat(t, string(body))
		r.From, r.Model = Messages, model
		var n Notes
		out, err := chatCodec.EncodeRequest(r, &n)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%s, dropped: %s\n", model, strings.Join(n.Dropped, ", "))
		if err := json.Indent(&got, out, "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteString("\n\n")
	}
	holdGolden(t, "testdata/chat/agent.golden", got.Bytes())
}

func goldenChatReply() *Reply {
	r := &Reply{ID: "msg_01", Model: "claude-sonnet-4-5", Created: 1764000000, HasUsage: true, ServiceTier: "standard", From: Messages, Choices: []Candidate{{
		Stop: StopTools, Parts: []Part{
			{Kind: Thinking, Thought: &Thought{Text: "A tram.", Signature: "EqQBCg==", From: Messages}},
			{Kind: Text, Text: "Lisbon", Cites: []Citation{{URL: "https://example.com", Title: "Lisbon", Quote: "tram"}}},
			{Kind: Thinking, Thought: &Thought{Sealed: "EmwKAhgB", From: Messages}},
			{Kind: Text, Text: ", I think."},
			{Kind: Call, Call: &ToolCall{ID: "toolu_1", Name: "weather", Args: `{"city": "Lisbon"}`}},
			{Kind: Call, Call: &ToolCall{ID: "fc_1", Name: "clock", Signature: "Z3NpZw==", From: Generate}},
		},
	}}}
	r.Usage.Set(costs.Input, 10)
	r.Usage.Set(costs.InputCacheRead, 90)
	r.Usage.Set(costs.Output, 7)
	r.Usage.Set(costs.OutputReasoning, 3)
	return r
}

func TestChatGoldenReply(t *testing.T) {
	var got bytes.Buffer
	for _, r := range []*Request{{From: Chat}, {From: Chat, Legacy: true}} {
		if err := json.Indent(&got, chatCodec.EncodeReply(goldenChatReply(), r), "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
	}
	holdGolden(t, "testdata/chat/reply.golden", got.Bytes())
}

func TestChatGoldenStream(t *testing.T) {
	var got []byte
	for _, r := range []*Request{{From: Chat, IncludeUsage: true}, {From: Chat, Legacy: true}} {
		enc := chatCodec.NewEncoder(r)
		emit := func(e *Event) { got = enc.Append(got, e) }
		reply := goldenChatReply()
		emit(&Event{Kind: Begin, ID: reply.ID, Model: reply.Model, Created: reply.Created, Tier: reply.ServiceTier})
		emit(&Event{Kind: Keepalive})
		for i, p := range reply.Choices[0].Parts {
			open := Part{Kind: p.Kind, Cites: p.Cites}
			text := p.Text
			if p.Thought != nil {
				open.Thought, text = &Thought{From: p.Thought.From}, p.Thought.Text
			}
			if p.Call != nil {
				open.Call = &ToolCall{ID: p.Call.ID, Name: p.Call.Name, Signature: p.Call.Signature, From: p.Call.From}
			}
			emit(&Event{Kind: Open, Index: i, Part: &open})
			if text != "" {
				emit(&Event{Kind: TextDelta, Index: i, Text: text})
			}
			if p.Thought != nil {
				emit(&Event{Kind: SealDelta, Index: i, Part: &p})
			}
			if p.Call != nil && p.Call.Args != "" {
				emit(&Event{Kind: ArgsDelta, Index: i, Text: p.Call.Args})
			}
			emit(&Event{Kind: Close, Index: i})
		}
		emit(&Event{Kind: Stop, Reason: StopTools})
		emit(&Event{Kind: Count, Usage: reply.Usage})
		emit(&Event{Kind: End})
	}
	holdGolden(t, "testdata/chat/stream.golden", got)
}
