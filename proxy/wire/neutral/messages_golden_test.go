package neutral

import (
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
)

// goldenReply has a part of every kind that another vendor's model may say.
func goldenReply() *Reply {
	r := &Reply{
		ID: "resp_1", Model: "gpt-5.2", ServiceTier: "default", From: Responses, HasUsage: true,
		Choices: []Candidate{{Stop: StopTools, Parts: []Part{
			{Kind: Thinking, Thought: &Thought{ID: "rs_1", Text: "First\n\nthen", Summary: true, Sealed: "gAAA+/=", From: Responses}},
			{Text: "As <b>said</b> \u2028 é", Cites: []Citation{{URL: "https://example.com", Title: "T", Start: 3, End: 7}}, From: Responses},
			{Kind: Thinking, Thought: &Thought{ID: "rs_2", Sealed: "gBBB", From: Responses}},
			{Kind: Call, Call: &ToolCall{ID: "call_1", Name: "f", Args: `{"a": 1.0, "b": "\u00e9"}`}},
			{Kind: Call, Call: &ToolCall{ID: "call_2", Name: "g", Signature: "CiQ=", From: Generate}},
			{Kind: Image, Media: &Media{MIME: "image/png", Data: "iVBORw0KGgo="}},
			{Kind: Refusal, Text: "I won't."},
		}}},
	}
	for i, m := range costs.Meters() {
		r.Usage.Set(m, int64(i+1))
	}
	return r
}

// goldenEvents tells the same in a stream, its two calls interleaved.
func goldenEvents() []Event {
	r := goldenReply()
	p := r.Choices[0].Parts
	head := func(i int) *Part {
		switch k := p[i]; k.Kind {
		case Call:
			c := *k.Call
			c.Args = ""
			return &Part{Kind: Call, Call: &c}
		case Thinking:
			return &Part{Kind: Thinking, Thought: &Thought{ID: k.Thought.ID, From: k.Thought.From}}
		case Image:
			return &k
		}
		return &Part{Kind: p[i].Kind}
	}
	return []Event{
		{Kind: Begin, ID: r.ID, Model: r.Model, Tier: r.ServiceTier},
		{Kind: Keepalive},
		{Kind: Open, Index: 0, Part: head(0)},
		{Kind: TextDelta, Index: 0, Text: "First\n\n"},
		{Kind: TextDelta, Index: 0, Text: "then"},
		{Kind: SealDelta, Index: 0, Part: &p[0]},
		{Kind: Close, Index: 0},
		{Kind: Open, Index: 1, Part: head(1)},
		{Kind: TextDelta, Index: 1, Text: p[1].Text},
		{Kind: CiteDelta, Index: 1, Part: &p[1]},
		{Kind: Close, Index: 1},
		{Kind: Open, Index: 2, Part: head(2)},
		{Kind: SealDelta, Index: 2, Part: &p[2]},
		{Kind: Close, Index: 2},
		{Kind: Open, Index: 3, Part: head(3)},
		{Kind: Open, Index: 4, Part: head(4)},
		{Kind: ArgsDelta, Index: 3, Text: `{"a": 1.`},
		{Kind: ArgsDelta, Index: 4, Text: "{"},
		{Kind: ArgsDelta, Index: 3, Text: `0, "b": "\u00e9"}`},
		{Kind: ArgsDelta, Index: 4, Text: "}"},
		{Kind: Close, Index: 3},
		{Kind: Close, Index: 4},
		{Kind: Open, Index: 5, Part: head(5)},
		{Kind: Close, Index: 5},
		{Kind: Open, Index: 6, Part: head(6)},
		{Kind: Close, Index: 6, Part: &p[6]},
		{Kind: Stop, Reason: StopTools},
		{Kind: Count, Usage: r.Usage},
		{Kind: End},
	}
}

// goldenRequest is another dialect's request with most of what can be asked.
func goldenRequest() *Request {
	yes, limit := true, int64(700)
	return &Request{
		From: Chat, Model: "claude-opus-4-8", Stream: true, MaxOutput: &limit, User: "u-1", ServiceTier: "auto", Stop: []string{"END"},
		Choice: Choice{Mode: Only, Names: []string{"f", "g"}}, Parallel: new(bool),
		Format: Format{Kind: JSONSchema, Name: "s", Schema: jsontext.Value(`{"type":"object","properties":{"z":{},"a":{}}}`)},
		Tools: []Tool{
			{Name: "f", Description: "d", Schema: jsontext.Value(`{"type":"object"}`), Strict: &yes},
			{Name: "g"},
			{Name: "h", Schema: jsontext.Value(`{"type":"object"}`)},
		},
		Turns: []Turn{
			{Role: System, Parts: []Part{{Text: "Be brief.", Cache: jsontext.Value(`{"type":"ephemeral"}`)}}},
			{Parts: []Part{{Text: "Look"}, {Kind: Image, Media: &Media{MIME: "image/png", Data: "iVBORw0KGgo="}}, {Kind: File, Media: &Media{MIME: "application/pdf", Data: "JVBERi0=", Name: "a.pdf"}}}},
			{Role: Assistant, Parts: []Part{{Text: "I do"}, {Kind: Call, Call: &ToolCall{ID: "call_1", Name: "f", Args: `{"a": 1.0}`}}}},
			{Parts: []Part{{Kind: Result, Result: &ToolResult{ID: "call_1", Failed: true, Parts: []Part{{Text: "no <such> file"}}}}}},
			{Parts: []Part{{Text: "Again"}}},
		},
	}
}

// What is written is the same down to the byte, and as it was looked at.
func TestMessagesGolden(t *testing.T) {
	file := func(name string) string { return filepath.Join("testdata", "messages", name+".golden") }
	holdGolden(t, file("reply"), append(encodeMessagesReply(goldenReply(), nil), '\n'))
	holdGolden(t, file("stream"), speak(t, goldenEvents()))
	body, _ := encodeMessages(t, goldenRequest())
	holdGolden(t, file("request"), append(body, '\n'))
}
