package neutral

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/costs"
	"weir/internal/mockllm"
	"weir/proxy/wire"
)

// A chatHeard rebuilds candidates from neutral events, and holds the events
// against their grammar.
type chatHeard struct {
	t       testing.TB
	begun   bool
	ended   bool
	id      string
	choices []Candidate
	open    map[[2]int]*Part
	order   [][]*Part
	stopped map[int]bool
	usage   costs.Usage
	fault   bool
}

func (h *chatHeard) emit(e *Event) {
	h.t.Helper()
	if h.ended {
		h.t.Fatalf("event %d after the end", e.Kind)
	}
	if !h.begun && e.Kind != Begin && e.Kind != Keepalive && e.Kind != Fault {
		h.t.Fatalf("event %d before the beginning", e.Kind)
	}
	key := [2]int{e.Choice, e.Index}
	p := h.open[key]
	for len(h.choices) <= e.Choice {
		h.choices, h.order = append(h.choices, Candidate{}), append(h.order, nil)
	}
	switch e.Kind {
	case Begin:
		if h.begun {
			h.t.Fatal("two beginnings")
		}
		h.begun, h.id = true, e.ID
	case Open:
		for k, other := range h.open {
			if k[0] == e.Choice && other.Kind != Call {
				h.t.Fatalf("part %d opens within %d", e.Index, k[1])
			}
		}
		if e.Index != len(h.order[e.Choice]) || h.stopped[e.Choice] {
			h.t.Fatalf("part %d opens as number %d", e.Index, len(h.order[e.Choice]))
		}
		c := *e.Part
		if c.Call != nil {
			call := *c.Call
			c.Call = &call
		}
		if c.Thought != nil {
			th := *c.Thought
			c.Thought = &th
		}
		h.open[key] = &c
		h.order[e.Choice] = append(h.order[e.Choice], &c)
	case TextDelta:
		if p.Kind == Thinking {
			p.Thought.Text += e.Text
		} else {
			p.Text += e.Text
		}
	case ArgsDelta:
		p.Call.Args += e.Text
	case SealDelta:
		if e.Part.Call != nil {
			p.Call.Signature, p.Call.From = e.Part.Call.Signature, e.Part.Call.From
		} else {
			p.Thought.merge(e.Part.Thought)
		}
	case CiteDelta:
		p.Cites, p.From = append(p.Cites, e.Part.Cites...), e.Part.From
	case Close:
		if p == nil {
			h.t.Fatalf("part %d closes that is not open", e.Index)
		}
		if e.Part != nil {
			*p = *e.Part
		}
		delete(h.open, key)
	case Stop:
		if h.stopped[e.Choice] {
			h.t.Fatal("two stops")
		}
		h.stopped[e.Choice] = true
		c := &h.choices[e.Choice]
		c.Stop, c.RawStop, c.StopSequence = e.Reason, e.RawStop, e.StopSeq
	case Count:
		h.usage = e.Usage
	case Fault:
		h.fault = true
	case End:
		h.ended = true
		if len(h.open) > 0 {
			h.t.Fatalf("the end with open parts %v", h.open)
		}
	}
}

// hearChat reads a stream's data lines.
func hearChat(t testing.TB, data ...string) *chatHeard {
	t.Helper()
	h := &chatHeard{t: t, open: map[[2]int]*Part{}, stopped: map[int]bool{}}
	d := chatCodec.NewDecoder()
	for _, line := range data {
		if err := d.Event("", []byte(line), h.emit); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	d.End(h.emit)
	for i := range h.choices {
		for _, p := range h.order[i] {
			h.choices[i].Parts = append(h.choices[i].Parts, *p)
		}
	}
	return h
}

func chatDelta(delta string) string {
	return `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":` + delta + `,"finish_reason":null}]}`
}

func chatFinished(reason string) string {
	return `{"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}`
}

// Streams as the many servers have them say what the whole reply says.
func TestChatStreamIsWhole(t *testing.T) {
	check := func(name, message, finish string, data ...string) {
		t.Helper()
		whole, err := chatCodec.DecodeReply([]byte(`{"id":"chatcmpl-1","choices":[{"index":0,"message":` + message + `,"finish_reason":"` + finish + `"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		h := hearChat(t, data...)
		if !h.ended {
			t.Errorf("%s: no end", name)
		}
		if !reflect.DeepEqual(h.choices, whole.Choices) {
			a, _ := json.Marshal(h.choices)
			b, _ := json.Marshal(whole.Choices)
			t.Errorf("%s\nstream %s\nwhole  %s", name, a, b)
		}
	}
	check("OpenAI", `{"role":"assistant","content":"Hello, you"}`, "stop",
		chatDelta(`{"role":"assistant","content":"","refusal":null}`), chatDelta(`{"content":"Hello"}`), chatDelta(`{"content":", you"}`), chatFinished("stop"),
		`{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`, "[DONE]")
	check("parallel calls", `{"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":\"}\"}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}`, "tool_calls",
		chatDelta(`{"role":"assistant","content":null}`), chatDelta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}`),
		chatDelta(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}`), chatDelta(`{"tool_calls":[{"index":0,"function":{"arguments":"\"}\"}"}}]}`),
		chatDelta(`{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}`), chatFinished("tool_calls"), "[DONE]", "[DONE]")
	check("interleaved calls", `{"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{\"y\":2}"}}]}`, "tool_calls",
		chatDelta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}},{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}]}`),
		chatDelta(`{"tool_calls":[{"index":1,"function":{"arguments":":2}"}},{"index":0,"function":{"arguments":":1}"}}]}`), chatFinished("tool_calls"))
	check("vLLM", `{"content":"so","reasoning":"hm, yes"}`, "stop",
		chatDelta(`{"role":"assistant","content":""}`), chatDelta(`{"reasoning":"hm, ","tool_calls":[]}`), chatDelta(`{"reasoning_content":"yes","tool_calls":[]}`),
		chatDelta(`{"content":"so","tool_calls":[]}`), chatFinished("stop"), "[DONE]")
	check("Ollama", `{"content":"","tool_calls":[{"id":"c1","function":{"name":"f","arguments":{"a":1}}},{"id":"c2","function":{"name":"f","arguments":{"a":2}}}]}`, "stop",
		chatDelta(`{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":{"a":1}}}]}`),
		chatDelta(`{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"c2","type":"function","function":{"name":"f","arguments":{"a":2}}}]}`), chatFinished("stop"), "[DONE]")
	check("calls without ids", `{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"f","arguments":"{}"}}]}`, "tool_calls",
		chatDelta(`{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}},{"index":1,"function":{"name":"f","arguments":"{}"}}]}`), chatFinished("tool_calls"))
	check("calls without index", `{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"{\"q\":[]}"}}]}`, "tool_calls",
		chatDelta(`{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]}`), chatDelta(`{"tool_calls":[{"id":"b","function":{"name":"g","arguments":"{\"q\""}}]}`),
		chatDelta(`{"tool_calls":[{"function":{"arguments":":[]}"}}]}`), chatFinished("tool_calls"))
	check("Mistral", `{"content":"ab","tool_calls":[{"id":"D681PevKs","function":{"name":"f","arguments":"{\"a\":1}"}}]}`, "tool_calls",
		chatDelta(`{"role":"assistant","content":"ab"}`), chatDelta(`{"tool_calls":[{"id":"D681PevKs","index":0,"function":{"name":"f","arguments":"{\"a\""}}]}`),
		chatDelta(`{"tool_calls":[{"id":"D681PevKs","index":0,"function":{"name":"","arguments":":1}"}}]}`), chatFinished("tool_calls"))
	check("parts with more in them", `{"content":[{"type":"text","text":"ok","annotations":[]}]}`, "stop", chatDelta(`{"content":[{"type":"text","text":"ok","annotations":[]}]}`), chatFinished("stop"))
	check("Magistral", `{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"ok"}]}`, "stop",
		chatDelta(`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"h"}]}]}`), chatDelta(`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"m"}]}]}`),
		chatDelta(`{"content":[{"type":"text","text":"o"}]}`), chatDelta(`{"content":"k"}`), chatFinished("stop"))
	check("arguments without a call's name first", `{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"a\":1}"}}]}`, "tool_calls",
		chatDelta(`{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{\"a\""}}]}`), chatDelta(`{"tool_calls":[{"index":0,"function":{"name":"f","arguments":":1}"}}]}`), chatFinished("tool_calls"))
	check("refusal", `{"refusal":"I can't"}`, "stop", chatDelta(`{"refusal":"I "}`), chatDelta(`{"refusal":"can't"}`), chatFinished("stop"))
	check("function_call", `{"function_call":{"name":"f","arguments":"{\"a\":1}"}}`, "function_call",
		chatDelta(`{"function_call":{"name":"f","arguments":""}}`), chatDelta(`{"function_call":{"arguments":"{\"a\":1}"}}`), chatFinished("function_call"))
	check("custom", `{"tool_calls":[{"id":"a","type":"custom","custom":{"name":"g","input":"x = }{"}}]}`, "tool_calls",
		chatDelta(`{"tool_calls":[{"index":0,"id":"a","type":"custom","custom":{"name":"g","input":""}}]}`), chatDelta(`{"tool_calls":[{"index":0,"custom":{"input":"x = "}}]}`),
		chatDelta(`{"tool_calls":[{"index":0,"custom":{"input":"}{"}}]}`), chatFinished("tool_calls"))
	check("OpenRouter", `{"content":"c","reasoning":"hmm","reasoning_details":[{"type":"reasoning.text","text":"hmm","signature":"s==","format":"anthropic-claude-v1","index":0}]}`, "stop",
		chatDelta(`{"reasoning":"h","reasoning_details":[{"type":"reasoning.text","text":"h","format":"anthropic-claude-v1","index":0}]}`),
		chatDelta(`{"reasoning":"mm","reasoning_details":[{"type":"reasoning.text","text":"mm","format":"anthropic-claude-v1","index":0}]}`),
		chatDelta(`{"reasoning_details":[{"type":"reasoning.text","signature":"s==","format":"anthropic-claude-v1","index":0}]}`), chatDelta(`{"content":"c"}`), chatFinished("stop"))
	check("a gateway's seal after its words", `{"content":"c","reasoning_content":"hmm","reasoning_details":[{"type":"reasoning.text","text":"hmm","signature":"s==","format":"anthropic-claude-v1","index":0}]}`, "stop",
		chatDelta(`{"reasoning_content":"h"}`), chatDelta(`{"reasoning_content":"mm"}`),
		chatDelta(`{"reasoning_details":[{"type":"reasoning.text","text":"hmm","signature":"s==","format":"anthropic-claude-v1","index":0}]}`), chatDelta(`{"content":"c"}`), chatFinished("stop"))
	check("citations", `{"content":"see","annotations":[{"type":"url_citation","url_citation":{"url":"https://x.example","title":"X","start_index":0,"end_index":3}}]}`, "stop",
		chatDelta(`{"content":"see"}`), chatDelta(`{"annotations":[{"type":"url_citation","url_citation":{"url":"https://x.example","title":"X","start_index":0,"end_index":3}}]}`), chatFinished("stop"))
	check("images", `{"content":"see","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}`, "stop",
		chatDelta(`{"content":"see"}`), chatDelta(`{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}`), chatFinished("stop"))
	check("audio", `{"audio":{"id":"au","data":"AAECAwQF","transcript":"hi you","expires_at":7}}`, "stop",
		chatDelta(`{"audio":{"id":"au","transcript":"hi"}}`), chatDelta(`{"audio":{"data":"AAE="}}`), chatDelta(`{"audio":{"data":"AgMEBQ==","transcript":" you"}}`),
		chatDelta(`{"audio":{"expires_at":7}}`), chatFinished("stop"))
	check("Gemini's endpoint", `{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"g=="}}}]}`, "stop",
		chatDelta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"g=="}}}]}`), chatFinished("stop"))
	check("all in one chunk", `{"content":"x"}`, "length", `{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":"x"},"finish_reason":"length"}]}`)
	check("a message at the end", `{"content":"x"}`, "stop", chatDelta(`{"content":"x"}`), `{"id":"chatcmpl-1","choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}`)
}

func TestChatStreamOddities(t *testing.T) {
	azure := hearChat(t, `{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[]}`,
		`{"id":"chatcmpl-1","model":"m","choices":[{"index":0,"finish_reason":null,"content_filter_results":{}}]}`,
		chatDelta(`{"content":"x"}`), chatFinished("content_filter"), "[DONE]")
	if azure.id != "chatcmpl-1" || azure.choices[0].Stop != StopFilter {
		t.Errorf("azure %+v", azure)
	}
	after := hearChat(t, chatDelta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}`), chatDelta(`{"content":"late"}`),
		chatDelta(`{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}`), chatDelta(`{"content":"r"}`), chatFinished("stop"))
	if p := after.choices[0].Parts; len(p) != 2 || p[0].Call.Args != "{}" || p[1].Text != "later" || after.choices[0].Stop != StopTools {
		t.Errorf("text between pieces of a call: %+v", p)
	}
	cut := hearChat(t, chatDelta(`{"content":"x"}`))
	if cut.ended || cut.stopped[0] {
		t.Error("a stream that broke off has an end")
	}
	bare := hearChat(t, chatDelta(`{"content":"x"}`), "[DONE]")
	if !bare.ended || bare.choices[0].Stop != StopUnknown {
		t.Errorf("no finish_reason: %+v", bare.choices)
	}
	groq := hearChat(t, chatDelta(`{"content":"x"}`), `{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":5,"completion_tokens":2}}}`, "[DONE]")
	if n, _ := groq.usage.Get(costs.Input); n != 5 {
		t.Errorf("groq %v", groq.usage)
	}
	two := hearChat(t, `{"id":"i","choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}]}`,
		`{"id":"i","choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{},"finish_reason":"length"}]}`, "[DONE]")
	if two.choices[0].Parts[0].Text != "a" || two.choices[1].Parts[0].Text != "b" || two.choices[1].Stop != StopLength {
		t.Errorf("two choices %+v", two.choices)
	}
	if f := hearChat(t, chatDelta(`{"content":"x"}`), `{"error":{"message":"overloaded","code":503}}`); !f.fault || f.ended {
		t.Error("an error in the stream")
	}
	if f := hearChat(t, `{"object":"error","message":"bad","code":400}`); !f.fault {
		t.Error("a flat error in the stream")
	}
	stop := hearChat(t, chatDelta(`{"content":"x"}`), `{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop","stop_reason":"END"}]}`)
	if c := stop.choices[0]; c.Stop != StopSequence || c.StopSequence != "END" {
		t.Errorf("stop sequence %+v", c)
	}
}

// joinChatDelta adds a delta to what has come, as OpenAI's Python SDK does.
func joinChatDelta(t rapid.TB, acc, delta map[string]any) {
	for k, v := range delta {
		old, there := acc[k]
		if !there || old == nil || k == "index" || k == "type" {
			acc[k] = v
			continue
		}
		switch v := v.(type) {
		case string:
			acc[k] = old.(string) + v
		case float64:
			acc[k] = v
		case map[string]any:
			joinChatDelta(t, old.(map[string]any), v)
		case []any:
			list := old.([]any)
			for _, x := range v {
				at := int(x.(map[string]any)["index"].(float64))
				if at < len(list) {
					joinChatDelta(t, list[at].(map[string]any), x.(map[string]any))
				} else {
					list = append(list, x)
				}
			}
			acc[k] = list
		}
	}
}

// accumulateChat rebuilds the messages of a chat client's stream.
func accumulateChat(t rapid.TB, sse []byte) (messages []map[string]any, finish []string, usage any) {
	t.Helper()
	text, ok := strings.CutSuffix(string(sse), "data: [DONE]\n\n")
	if !ok {
		t.Fatalf("no [DONE]: %s", sse)
	}
	for event := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Fatalf("event %q", event)
		}
		var c struct {
			ID, Object, Model *string
			Created           *int64
			Choices           []struct {
				Index        int
				Delta        map[string]any
				FinishReason *string `json:"finish_reason"`
			}
			Usage any
		}
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if c.ID == nil || c.Object == nil || c.Model == nil || c.Created == nil || c.Choices == nil {
			t.Fatalf("chunk %s", data)
		}
		if c.Usage != nil {
			usage = c.Usage
		}
		for _, x := range c.Choices {
			for len(messages) <= x.Index {
				messages, finish = append(messages, map[string]any{}), append(finish, "")
			}
			if len(messages[x.Index]) == 0 && x.Delta["role"] != "assistant" {
				t.Fatalf("the first delta has no role: %s", data)
			}
			joinChatDelta(t, messages[x.Index], x.Delta)
			if x.FinishReason != nil {
				finish[x.Index] = *x.FinishReason
			}
		}
	}
	return messages, finish, usage
}

// drawChatReply draws a reply of any dialect.
func drawChatReply(t *rapid.T) *Reply {
	word := rapid.StringN(0, 12, -1)
	r := &Reply{ID: rapid.SampledFrom([]string{"msg_1", "chatcmpl-2"}).Draw(t, "id"), Model: "m", Created: 7, HasUsage: true, From: Messages}
	r.Usage.Set(costs.Input, 4)
	r.Usage.Set(costs.Output, 5)
	for range rapid.IntRange(1, 2).Draw(t, "choices") {
		c := Candidate{Stop: StopReason(rapid.IntRange(int(StopEnd), int(StopFault)).Draw(t, "stop"))}
		for i := range rapid.IntRange(0, 5).Draw(t, "parts") {
			p := Part{Kind: rapid.SampledFrom([]Kind{Text, Thinking, Call, Refusal, Image}).Draw(t, "kind")}
			text := word.Draw(t, "text")
			switch p.Kind {
			case Thinking:
				p.Thought = &Thought{Text: text, From: rapid.SampledFrom([]API{Messages, Responses, Chat}).Draw(t, "from")}
				switch rapid.IntRange(0, 2).Draw(t, "seal") {
				case 1:
					p.Thought.Signature = "sig" + text
				case 2:
					p.Thought.Sealed = "enc" + text
				}
			case Call:
				p.Call = &ToolCall{ID: "call" + string(rune('a'+i)), Name: "f", Args: `{"a":` + string(appendQuoted(nil, text)) + `}`, Custom: rapid.Bool().Draw(t, "custom")}
				if rapid.Bool().Draw(t, "signed") {
					p.Call.Signature, p.Call.From = "s"+text, Generate
				}
			case Image:
				p.Media = &Media{MIME: "image/png", Data: "AAAA"}
			case Text:
				p.Text = text
				if text != "" && rapid.Bool().Draw(t, "cited") {
					p.Cites = []Citation{{URL: "https://x.example", Title: text}}
				}
			default:
				p.Text = text
			}
			if (p.Kind == Text || p.Kind == Refusal) && text == "" {
				p.Text = "x"
			}
			c.Parts = append(c.Parts, p)
		}
		r.Choices = append(r.Choices, c)
	}
	return r
}

// tellChat turns a reply into events, its texts cut anywhere.
func tellChat(t *rapid.T, r *Reply, emit func(*Event)) {
	emit(&Event{Kind: Begin, ID: r.ID, Model: r.Model, Created: r.Created})
	cut := func(s string, f func(string)) {
		runes := []rune(s)
		for len(runes) > 0 {
			n := rapid.IntRange(1, len(runes)).Draw(t, "cut")
			f(string(runes[:n]))
			runes = runes[n:]
		}
	}
	for i := range r.Choices {
		for j := range r.Choices[i].Parts {
			p := r.Choices[i].Parts[j]
			open := Part{Kind: p.Kind, From: p.From}
			e := Event{Choice: i, Index: j}
			if p.Call != nil {
				call := *p.Call
				call.Args, open.Call = "", &call
			}
			if p.Thought != nil {
				open.Thought = &Thought{From: p.Thought.From, ID: p.Thought.ID}
			}
			e.Kind, e.Part = Open, &open
			emit(&e)
			text := p.Text
			if p.Thought != nil {
				text = p.Thought.Text
			}
			cut(text, func(s string) { emit(&Event{Kind: TextDelta, Choice: i, Index: j, Text: s}) })
			if p.Call != nil {
				cut(p.Call.Args, func(s string) { emit(&Event{Kind: ArgsDelta, Choice: i, Index: j, Text: s}) })
			}
			if p.Thought != nil && sealed(p.Thought) {
				emit(&Event{Kind: SealDelta, Choice: i, Index: j, Part: &Part{Kind: Thinking, Thought: &Thought{Signature: p.Thought.Signature, Sealed: p.Thought.Sealed, From: p.Thought.From}}})
			}
			if p.Cites != nil {
				emit(&Event{Kind: CiteDelta, Choice: i, Index: j, Part: &Part{Kind: Text, Cites: p.Cites}})
			}
			e = Event{Kind: Close, Choice: i, Index: j}
			if p.Media != nil {
				e.Part = &p
			}
			emit(&e)
		}
		emit(&Event{Kind: Stop, Choice: i, Reason: r.Choices[i].Stop})
	}
	emit(&Event{Kind: Count, Usage: r.Usage})
	emit(&Event{Kind: End})
}

// The deltas of a stream, joined, are the whole reply, and an upstream's
// decoder reads the same from both.
func TestChatStreamLaw(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		reply := drawChatReply(rt)
		r := &Request{From: Chat, IncludeUsage: true}
		whole := chatCodec.EncodeReply(reply, r)
		var sse []byte
		enc := chatCodec.NewEncoder(r)
		tellChat(rt, reply, func(e *Event) { sse = enc.Append(sse, e) })

		var want struct {
			Choices []struct {
				Message map[string]any
				Finish  string `json:"finish_reason"`
			}
			Usage any
		}
		if err := json.Unmarshal(whole, &want); err != nil {
			rt.Fatalf("%v: %s", err, whole)
		}
		if _, err := mockllm.ReadStream(wire.Chat, sse); err != nil {
			rt.Fatalf("%v: %s", err, sse)
		}
		messages, finish, usage := accumulateChat(rt, sse)
		for i, c := range want.Choices {
			if calls, ok := messages[i]["tool_calls"].([]any); ok {
				for _, x := range calls {
					delete(x.(map[string]any), "index")
				}
			}
			if !reflect.DeepEqual(messages[i], c.Message) || finish[i] != c.Finish {
				rt.Fatalf("stream %v %s\nwhole  %v %s\n%s", messages[i], finish[i], c.Message, c.Finish, sse)
			}
		}
		if !reflect.DeepEqual(usage, want.Usage) {
			rt.Fatalf("usage %v, want %v", usage, want.Usage)
		}
	})
}

// A chat reply that goes through the form says the same afterwards.
func TestChatReplyRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := &Request{From: Chat}
		body := chatCodec.EncodeReply(drawChatReply(rt), r)
		first, err := chatCodec.DecodeReply(body)
		if err != nil {
			rt.Fatalf("%v: %s", err, body)
		}
		again := chatCodec.EncodeReply(first, r)
		second, err := chatCodec.DecodeReply(again)
		if err != nil || !reflect.DeepEqual(first, second) {
			rt.Fatalf("%v\nfirst  %s\nsecond %s", err, body, again)
		}
	})
}
