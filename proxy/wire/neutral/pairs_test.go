package neutral

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/costs"
	"weir/internal/mockllm"
	"weir/proxy/wire"
)

// models are names that each API's upstreams know; they think, and see.
var models = map[API]string{Chat: "gpt-4.1", Responses: "gpt-4.1", Messages: "claude-sonnet-4-5", Generate: "gemini-3-flash"}

// streams are the APIs of wire whose streams each codec writes.
var streams = map[API]wire.API{Chat: wire.Chat, Responses: wire.Responses, Messages: wire.Messages, Generate: wire.StreamGenerate}

// eachPair runs f for every two dialects.
func eachPair(t *testing.T, f func(t *testing.T, a, b *Codec)) {
	for _, a := range apis {
		for _, b := range apis {
			if a != b {
				t.Run(string(a)+"-"+string(b), func(t *testing.T) { f(t, byAPI(a), byAPI(b)) })
			}
		}
	}
}

// words draws a text that is neither empty nor white space alone.
func words(t *rapid.T, label string) string {
	return "w" + rapid.String().Draw(t, label) + "."
}

// object draws a JSON object, as arguments are.
func object(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{
		`{}`, `{"city":"Paris","n":1.0}`, `{"z":1e3,"a":{"list":[1,2,{"x":null}]}}`, `{"text":"é \"quoted\" \\ \n"}`, `{ "spaced" : true }`,
	}).Draw(t, label)
}

// drawTalk draws a conversation such as every dialect can say.
func drawTalk(t *rapid.T, from API) *Request {
	r := &Request{Model: models[from], From: from, MaxOutput: new(int64(500))}
	if rapid.Bool().Draw(t, "system") {
		r.Turns = append(r.Turns, Turn{Role: System, Parts: []Part{{Text: words(t, "instruction")}}})
	}
	calls := 0
	for range rapid.IntRange(1, 3).Draw(t, "rounds") {
		ask := Turn{Parts: []Part{{Text: words(t, "ask")}}}
		for range rapid.IntRange(0, 2).Draw(t, "pictures") {
			ask.Parts = append(ask.Parts, Part{Kind: Image, Media: &Media{MIME: "image/png", Data: png}}, Part{Text: words(t, "about")})
		}
		answer := Turn{Role: Assistant, Parts: []Part{{Text: words(t, "answer")}}}
		var results Turn
		for range rapid.IntRange(0, 3).Draw(t, "calls") {
			calls++
			id := fmt.Sprintf("call_%d", calls)
			answer.Parts = append(answer.Parts, Part{Kind: Call, Call: &ToolCall{ID: id, Name: "f", Args: object(t, "args")}})
			results.Parts = append(results.Parts, Part{Kind: Result, Result: &ToolResult{ID: id, Parts: []Part{{Text: words(t, "result")}}}})
		}
		r.Turns = append(r.Turns, ask, answer)
		if results.Parts != nil {
			r.Turns = append(r.Turns, results)
		}
	}
	r.Turns = append(r.Turns, Turn{Parts: []Part{{Text: words(t, "last")}}})
	r.Tools = []Tool{{Name: "f", Description: "does f", Schema: jsontext.Value(`{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number"}}}`)}}
	return r
}

// said lists what a conversation says, one line for each part.
func said(r *Request) (list []string) {
	for i := range r.Turns {
		speaker := [...]string{"user", "model", "system", "system"}[r.Turns[i].Role]
		for _, p := range r.Turns[i].Parts {
			switch p.Kind {
			case Text:
				list = append(list, speaker+": "+p.Text)
			case Image:
				list = append(list, speaker+" shows "+p.Media.MIME+" "+p.Media.Data)
			case Call:
				list = append(list, fmt.Sprintf("%s calls %s %s %s", speaker, p.Call.ID, p.Call.Name, p.Call.Args))
			case Result:
				list = append(list, fmt.Sprintf("%s answers %s: %s", speaker, p.Result.ID, resultText(p.Result)))
			default:
				list = append(list, fmt.Sprintf("%s: part of kind %d", speaker, p.Kind))
			}
		}
	}
	for _, tool := range r.Tools {
		list = append(list, fmt.Sprintf("tool %s %s %s", tool.Name, tool.Description, tool.Schema))
	}
	return list
}

// cross carries a request into a dialect and reads it there.
func cross(t failer, r *Request, to *Codec) *Request {
	told := *r
	told.Model = models[to.API]
	n := &Notes{}
	body, err := to.EncodeRequest(&told, n)
	if err != nil || len(n.Dropped) > 0 {
		t.Fatalf("%s → %s: %v, dropped %v: %s", r.From, to.API, err, n.Dropped, body)
	}
	again, _ := to.EncodeRequest(&told, &Notes{})
	if !bytes.Equal(body, again) {
		t.Fatalf("%s → %s: the same request makes other bytes:\n%s\n%s", r.From, to.API, body, again)
	}
	out, err := to.DecodeRequest(body, models[to.API], false)
	if err != nil {
		t.Fatalf("%s → %s: %v: %s", r.From, to.API, err, body)
	}
	return out
}

// TestPairsRequests: A → B → A keeps text, calls, ids, order, pictures and tools.
func TestPairsRequests(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Codec) {
		rapid.Check(t, func(t *rapid.T) {
			first := cross(t, drawTalk(t, a.API), a)
			there := cross(t, first, b)
			back := cross(t, there, a)
			want := said(first)
			for _, r := range []*Request{there, back} {
				if got := said(r); !slices.Equal(got, want) {
					t.Fatalf("\n got %q\nwant %q", got, want)
				}
			}
		})
	})
}

// TestPairsManyMembers: of very many unknown members some are named, in no
// more time than it takes to read them.
func TestPairsManyMembers(t *testing.T) {
	var more, parts strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&more, `,"x%d":1`, i)
		fmt.Fprintf(&parts, `,{"text":"a","y%d":1}`, i)
	}
	for _, client := range apis {
		body := bytes.TrimSuffix(probe{}.body(client), []byte("}"))
		body = append(append(body, more.String()...), '}')
		if client == Generate {
			body = bytes.Replace(body, []byte(`{"text":"give JSON"}`), []byte(`{"text":"give JSON"}`+parts.String()), 1)
		}
		r, err := byAPI(client).DecodeRequest(body, "m", false)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range apis {
			if n := (&Notes{}); target != client {
				if _, err := byAPI(target).EncodeRequest(r, n); err != nil || len(n.Dropped) != maxDropped+1 {
					t.Errorf("%s → %s: %v, %d noted", client, target, err, len(n.Dropped))
				}
			}
		}
	}
}

// drawAnswer draws a reply such as every dialect can say.
func drawAnswer(t *rapid.T, from, to API) *Reply {
	c := Candidate{Stop: rapid.SampledFrom([]StopReason{StopEnd, StopLength, StopFilter}).Draw(t, "stop")}
	if c.Stop == StopFilter && (from == Messages || to == Messages) {
		c.Stop = StopEnd // Anthropic has one word for it and for refusals
	}
	if rapid.Bool().Draw(t, "speaks") {
		c.Parts = append(c.Parts, Part{Text: words(t, "text")})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "calls") {
		c.Parts = append(c.Parts, Part{Kind: Call, Call: &ToolCall{ID: fmt.Sprintf("call_%d", i), Name: "f", Args: object(t, "args")}})
		c.Stop = StopTools
	}
	r := &Reply{ID: "abc", Model: "m", Created: 1, From: from, HasUsage: true, Choices: []Candidate{c}}
	r.Usage.Set(costs.Input, rapid.Int64Range(1, 1e6).Draw(t, "in"))
	r.Usage.Set(costs.Output, rapid.Int64Range(1, 1e6).Draw(t, "out"))
	return r
}

// tellAll tells a reply as a stream's events, its texts cut where cut says: up
// to how many bytes of n.
func tellAll(cut func(n int) int, r *Reply, emit func(*Event)) {
	emit(&Event{Kind: Begin, ID: r.ID, Model: r.Model, Created: r.Created})
	for choice := range r.Choices {
		c := &r.Choices[choice]
		for i := range c.Parts {
			p := &c.Parts[i]
			open, kind, text, seal := opened(p)
			emit(&Event{Kind: Open, Choice: choice, Index: i, Part: open})
			for text != "" {
				n := cut(len(text))
				for n < len(text) && text[n]&0xC0 == 0x80 { // no piece of JSON ends within a letter
					n++
				}
				emit(&Event{Kind: kind, Choice: choice, Index: i, Text: text[:n]})
				text = text[n:]
			}
			if seal {
				emit(&Event{Kind: SealDelta, Choice: choice, Index: i, Part: p})
			}
			emit(&Event{Kind: Close, Choice: choice, Index: i})
		}
		emit(&Event{Kind: Stop, Choice: choice, Reason: c.Stop})
	}
	emit(&Event{Kind: Count, Usage: r.Usage})
	emit(&Event{Kind: End})
}

// opened is a part as it opens, the kind of its deltas, their text, and whether
// a seal follows.
func opened(p *Part) (open *Part, kind EventKind, text string, seal bool) {
	c := *p
	c.Text = ""
	switch p.Kind {
	case Call:
		c.Call = &ToolCall{ID: p.Call.ID, Name: p.Call.Name, Signature: p.Call.Signature, From: p.Call.From}
		return &c, ArgsDelta, p.Call.Args, false
	case Thinking:
		c.Thought = &Thought{ID: p.Thought.ID, From: p.Thought.From, Summary: p.Thought.Summary}
		return &c, TextDelta, p.Thought.Text, true
	}
	return &c, TextDelta, p.Text, false
}

// TestPairsReplies: a reply of one dialect is the same in another, whole and
// as a stream, and that stream keeps to the dialect's grammar.
func TestPairsReplies(t *testing.T) {
	eachPair(t, func(t *testing.T, client, upstream *Codec) {
		asked := &Request{Model: "m", From: client.API, Stream: true, IncludeUsage: true}
		theirs := &Request{Model: "m", From: upstream.API, Stream: true, IncludeUsage: true}
		rapid.Check(t, func(rt *rapid.T) {
			reply := drawAnswer(rt, upstream.API, client.API)
			served, err := upstream.DecodeReply(upstream.EncodeReply(reply, theirs))
			if err != nil {
				rt.Fatal(err)
			}
			whole := client.EncodeReply(served, asked)
			got, err := client.DecodeReply(whole)
			if err != nil {
				rt.Fatal(err)
			}
			if g, w := plainly(got), plainly(reply); !reflect.DeepEqual(g, w) {
				rt.Fatalf("whole: %s\n got %+v\nwant %+v", whole, g, w)
			}
			var first, second []byte
			e := upstream.NewEncoder(theirs)
			tellAll(func(n int) int { return rapid.IntRange(1, n).Draw(rt, "cut") }, reply, func(ev *Event) { first = e.Append(first, ev) })
			second = through(rt, upstream, client, asked, first)
			if _, err := mockllm.ReadStream(streams[client.API], second); err != nil {
				rt.Fatalf("grammar: %v\n%s\n%s", err, first, second)
			}
			streamed := rebuildStream(rt, client, second)
			if g, w := plainly(streamed), plainly(reply); !reflect.DeepEqual(g, w) {
				rt.Fatalf("stream: %s\n got %+v\nwant %+v", second, g, w)
			}
		})
	})
}

// through carries a stream from an upstream's dialect into a client's.
func through(t failer, upstream, client *Codec, asked *Request, stream []byte) (out []byte) {
	t.Helper()
	events, err := mockllm.Events(stream)
	if err != nil {
		t.Fatalf("%v: %s", err, stream)
	}
	d, e := upstream.NewDecoder(), client.NewEncoder(asked)
	emit := func(ev *Event) { out = e.Append(out, ev) }
	for _, ev := range events {
		if err := d.Event(ev.Name, []byte(ev.Data), emit); err != nil {
			t.Fatalf("%v: %s", err, ev.Data)
		}
	}
	d.End(emit)
	return out
}

// TestPairsCut: a stream that is cut off before it has told why it stops never
// looks whole to the client, wherever it is cut.
func TestPairsCut(t *testing.T) {
	eachPair(t, func(t *testing.T, client, upstream *Codec) {
		reply := &Reply{ID: "abc", Model: "m", HasUsage: true, Choices: []Candidate{{Stop: StopTools, Parts: []Part{
			{Text: "some words"}, {Kind: Call, Call: &ToolCall{ID: "call_1", Name: "f", Args: `{"a":1}`}}, {Kind: Call, Call: &ToolCall{ID: "call_2", Name: "g"}},
		}}}}
		var stream []byte
		e := upstream.NewEncoder(&Request{Model: "m", From: upstream.API, Stream: true, IncludeUsage: true})
		tellAll(func(n int) int { return min(n, 4) }, reply, func(ev *Event) { stream = e.Append(stream, ev) })
		events, err := mockllm.Events(stream)
		if err != nil {
			t.Fatal(err)
		}
		for cut := range events {
			d, e, stopped := upstream.NewDecoder(), client.NewEncoder(&Request{Model: "m", From: client.API, Stream: true, IncludeUsage: true}), false
			var out []byte
			emit := func(ev *Event) {
				stopped = stopped || ev.Kind == Stop
				out = e.Append(out, ev)
			}
			for _, ev := range events[:cut] {
				if err := d.Event(ev.Name, []byte(ev.Data), emit); err != nil {
					t.Fatal(err)
				}
			}
			d.End(emit)
			if _, err := mockllm.ReadStream(streams[client.API], out); err == nil && !stopped {
				t.Errorf("cut after %d of %d events, and looks whole:\n%s", cut, len(events), out)
			}
		}
	})
}

// seals are a vendor's reasoning with its seal, and what must come back to it.
var seals = map[API]struct {
	thought Thought
	call    string // a call's own seal
	back    []string
}{
	Responses: {Thought{ID: "rs_abc", Text: "why", Summary: true, Sealed: "gAAA+/=", From: Responses}, "", []string{`"encrypted_content":"gAAA+/="`, `"id":"rs_abc"`}},
	Messages:  {Thought{Text: "why", Signature: "EqQB+/=", From: Messages}, "", []string{`"signature":"EqQB+/="`, `"thinking":"why"`}},
	Generate:  {Thought{Text: "why", Signature: "CiQB+/8=", From: Generate}, "Q2FsbA==", []string{`"thoughtSignature":"CiQB+/8="`, `"thoughtSignature":"Q2FsbA=="`}},
}

// TestPairsSeals: what a vendor has sealed comes back to it byte for byte, by
// way of a client of any other dialect; the stream has the same seals.
func TestPairsSeals(t *testing.T) {
	eachPair(t, func(t *testing.T, client, upstream *Codec) {
		s, ok := seals[upstream.API]
		if !ok {
			return // chat completions seal nothing
		}
		thought := s.thought
		reply := &Reply{ID: "abc", Model: "m", From: upstream.API, Choices: []Candidate{{Stop: StopTools, Parts: []Part{
			{Kind: Thinking, Thought: &thought},
			{Text: "I look"},
			{Kind: Call, Call: &ToolCall{ID: "call_1", Name: "f", Args: `{"a":1}`, Signature: s.call, From: upstream.API}},
		}}}}
		asked := &Request{Model: "m", From: client.API, Stream: true, IncludeUsage: true, Reasoning: Reasoning{Summary: "auto", Show: true, Sealed: true}}
		check := func(reply []byte) {
			t.Helper()
			r, err := client.DecodeRequest(nextTurn(t, client.API, reply), "m", false)
			if err != nil {
				t.Fatalf("%v: %s", err, reply)
			}
			r.Model = models[upstream.API]
			if upstream.API == Responses {
				r.Model = "gpt-5"
			}
			out, err := upstream.EncodeRequest(r, &Notes{})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range append([]string{`call_1"`}, s.back...) {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %s in %s\nof %s", want, out, reply)
				}
			}
			if strings.Contains(string(out), sealPrefix) || strings.Contains(string(out), callSeal) {
				t.Errorf("a wrapped seal has got out: %s", out)
			}
		}
		whole := client.EncodeReply(reply, asked)
		check(whole)
		var theirs []byte
		e := upstream.NewEncoder(&Request{From: upstream.API, Stream: true, Reasoning: asked.Reasoning})
		tellAll(func(n int) int { return min(n, 3) }, reply, func(ev *Event) { theirs = e.Append(theirs, ev) })
		stream := through(t, upstream, client, asked, theirs)
		for _, seal := range travelling.FindAllString(string(whole), -1) {
			if !strings.Contains(string(stream), seal) {
				t.Errorf("the stream lacks %s:\n%s\n%s", seal, stream, whole)
			}
		}
	})
}

// travelling are seals that are on their way.
var travelling = regexp.MustCompile(`weir-seal-1[^"]*|` + sealedHead + `[^"]*`)

// nextTurn is the request that a client makes of a reply: what the model said,
// and what the tool did.
func nextTurn(t *testing.T, api API, reply []byte) []byte {
	t.Helper()
	ask := probe{}.body(api)
	var in struct {
		Choices []struct {
			Message jsontext.Value `json:"message"`
		} `json:"choices"`
		Output     jsontext.Value `json:"output"`
		Content    jsontext.Value `json:"content"`
		Candidates []struct {
			Content jsontext.Value `json:"content"`
		} `json:"candidates"`
	}
	if err := decode(reply, &in); err != nil {
		t.Fatalf("%v: %s", err, reply)
	}
	var id, more string
	callID := func(path ...string) string {
		at := reply
		for _, name := range path {
			_, rest, ok := bytes.Cut(at, []byte(name))
			if !ok {
				t.Fatalf("no %s in %s", path, reply)
			}
			at = rest
		}
		text, _, _ := bytes.Cut(at, []byte(`"`))
		return string(text)
	}
	switch api {
	case Chat:
		id = callID(`"tool_calls":[`, `"id":"`)
		more = "," + string(in.Choices[0].Message) + `,{"role":"tool","tool_call_id":"` + id + `","content":"ok"}`
	case Responses:
		id = callID(`"call_id":"`)
		more = "," + strings.TrimSuffix(strings.TrimPrefix(string(in.Output), "["), "]") + `,{"type":"function_call_output","call_id":"` + id + `","output":"ok"}`
	case Messages:
		id = callID(`"tool_use","id":"`)
		more = `,{"role":"assistant","content":` + string(in.Content) + `},{"role":"user","content":[{"type":"tool_result","tool_use_id":"` + id + `","content":"ok"}]}`
	case Generate:
		more = "," + string(in.Candidates[0].Content) + `,{"role":"user","parts":[{"functionResponse":{"id":"call_1","name":"f","response":{"output":"ok"}}}]}`
	}
	end := bytes.LastIndexByte(ask, ']')
	body := append(append(slices.Clone(ask[:end]), more...), ask[end:]...)
	if api == Messages {
		body = bytes.Replace(body, []byte(`"max_tokens":64`), []byte(`"max_tokens":4096,"thinking":{"type":"enabled","budget_tokens":2000}`), 1)
	}
	return body
}

// FuzzPairs: no request and no stream of one dialect makes another's codec
// panic, or write what is no JSON.
func FuzzPairs(f *testing.F) {
	for i, api := range apis {
		for _, p := range probes[api] {
			f.Add(byte(i), p.body(api))
		}
		reply := &Reply{ID: "a", Choices: []Candidate{{Parts: []Part{{Text: "x"}, {Kind: Call, Call: &ToolCall{ID: "c", Name: "f", Args: "{}"}}}, Stop: StopTools}}}
		f.Add(byte(i), byAPI(api).EncodeReply(reply, &Request{From: api}))
	}
	others := []Tool{{Name: "f", Custom: true}, {Name: "shell", Raw: jsontext.Value(`{"type":"shell"}`), From: Responses}, {Name: "local_shell", Raw: jsontext.Value(`{"type":"local_shell"}`), From: Responses}}
	for i, name := range []string{"f", "shell", "local_shell"} {
		call := &ToolCall{ID: "c", Name: name, Args: `{"input":"x","commands":["ls"],"command":["ls"]}`}
		f.Add(byte(i), byAPI(apis[i]).EncodeReply(&Reply{ID: "a", Choices: []Candidate{{Parts: []Part{{Kind: Call, Call: call}}}}}, &Request{From: apis[i]}))
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		from := byAPI(apis[int(which)%len(apis)])
		r, err := from.DecodeRequest(body, "m", true)
		reply, replyErr := from.DecodeReply(body)
		for _, api := range apis {
			to := byAPI(api)
			if err == nil {
				told := *r
				told.Model = models[api]
				out, err := to.EncodeRequest(&told, &Notes{Lossy: true})
				if err == nil && !jsontext.Value(out).IsValid(lenient) {
					t.Fatalf("%s → %s: %s", from.API, api, out)
				}
			}
			if replyErr == nil {
				if out := to.EncodeReply(reply, &Request{From: api, Tools: others}); !jsontext.Value(out).IsValid(lenient) {
					t.Fatalf("reply %s → %s: %s", from.API, api, out)
				}
			}
			d, e := from.NewDecoder(), to.NewEncoder(&Request{From: api, Tools: others})
			var out []byte
			emit := func(ev *Event) { out = e.Append(out, ev) }
			for line := range bytes.Lines(body) {
				name, data, _ := bytes.Cut(line, []byte(" "))
				if d.Event(string(name), data, emit) != nil && d.Event("", line, emit) != nil {
					break
				}
			}
			d.End(emit)
		}
	})
}
