package neutral

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// speedRequest is a request of about 1.5 KB: instructions, a tool loop and two
// tools.
func speedRequest(b *testing.B, api API) []byte {
	b.Helper()
	text := func(s string) []Part { return []Part{{Text: s}} }
	schema := jsontext.Value(`{"type":"object","properties":{"city":{"type":"string","description":"A city"},"unit":{"type":"string","enum":["c","f"]}},"required":["city"]}`)
	r := &Request{
		Model: models[api], From: api, MaxOutput: new(int64(500)), Temperature: jsontext.Value("0.2"),
		Turns: []Turn{
			{Role: System, Parts: text(strings.Repeat("Be brief and kind. ", 12))},
			{Parts: text(strings.Repeat("What is the weather? ", 10))},
			{Role: Assistant, Parts: []Part{{Text: "Let me see."}, {Kind: Call, Call: &ToolCall{ID: "call_1", Name: "get_weather", Args: `{"city":"Paris","unit":"c"}`}}}},
			{Parts: []Part{{Kind: Result, Result: &ToolResult{ID: "call_1", Parts: text(`{"temperature":18,"sky":"clear"}`)}}}},
			{Parts: text("And tomorrow?")},
		},
		Tools: []Tool{{Name: "get_weather", Description: "The weather of a city", Schema: schema}, {Name: "get_time", Description: "The time in a city", Schema: schema}},
	}
	body, err := byAPI(api).EncodeRequest(r, &Notes{})
	if err != nil {
		b.Fatal(err)
	}
	return body
}

// benchPairs runs f for every two dialects.
func benchPairs(b *testing.B, f func(b *testing.B, from, to *Codec)) {
	for _, from := range apis {
		for _, to := range apis {
			if from != to {
				b.Run(string(from)+"-"+string(to), func(b *testing.B) { f(b, byAPI(from), byAPI(to)) })
			}
		}
	}
}

// BenchmarkRequest carries a request of about 1.5 KB: at most 50 µs.
func BenchmarkRequest(b *testing.B) {
	benchPairs(b, func(b *testing.B, from, to *Codec) {
		body := speedRequest(b, from.API)
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			r, err := from.DecodeRequest(body, "m", false)
			if err != nil {
				b.Fatal(err)
			}
			r.Model = models[to.API]
			if _, err := to.EncodeRequest(r, &Notes{Lossy: true}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// deltas are a piece of text as each upstream streams it, after what opens it.
var deltas = map[API]struct{ opens, delta []string }{
	Chat: {nil, []string{"", `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" hello"},"logprobs":null,"finish_reason":null}],"usage":null}`}},
	Responses: {
		[]string{
			"response.created", `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"m","output":[]}}`,
			"response.output_item.added", `{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}`,
			"response.content_part.added", `{"type":"response.content_part.added","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}`,
		},
		[]string{"response.output_text.delta", `{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":" hello","logprobs":[]}`},
	},
	Messages: {
		[]string{
			"message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}`,
			"content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		},
		[]string{"content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" hello"}}`},
	},
	Generate: {nil, []string{"", `{"candidates":[{"content":{"parts":[{"text":" hello"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"m","responseId":"r"}`}},
}

// BenchmarkStreamEvent carries one piece of text: at most 10 µs. What an
// encoder keeps of a reply until its end is kept small by a new one for every
// 1000 pieces.
func BenchmarkStreamEvent(b *testing.B) {
	benchPairs(b, func(b *testing.B, from, to *Codec) {
		var d Decoder
		var e Encoder
		var out []byte
		emit := func(ev *Event) { out = e.Append(out, ev) }
		tell := func(events []string) {
			for i := 0; i < len(events); i += 2 {
				if err := d.Event(events[i], []byte(events[i+1]), emit); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if n%1000 == 0 {
				d, e = from.NewDecoder(), to.NewEncoder(&Request{From: to.API, Stream: true})
				tell(deltas[from.API].opens)
			}
			out = out[:0]
			tell(deltas[from.API].delta)
		}
		if !strings.Contains(string(out), "hello") {
			b.Fatalf("not carried: %s", out)
		}
	})
}
