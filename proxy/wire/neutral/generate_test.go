package neutral

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/internal/mockllm"
)

func mustDecodeGenerate(t testing.TB, body []byte) *Request {
	t.Helper()
	r, err := decodeGenerate(body, "gemini-3-pro", false)
	if err != nil {
		t.Fatalf("decode %.300s: %v", body, err)
	}
	return r
}

// keepsGenerate holds a body against the laws: what is encoded means the same,
// and makes the same bytes again.
func keepsGenerate(t testing.TB, body []byte) []byte {
	t.Helper()
	first := mustDecodeGenerate(t, body)
	n := &Notes{}
	out, err := encodeGenerate(first, n)
	if err != nil || len(n.Dropped) > 0 {
		t.Fatalf("encode %.300s: %v, dropped %v", body, err, n.Dropped)
	}
	again := mustDecodeGenerate(t, out)
	if !reflect.DeepEqual(first, again) {
		t.Fatalf("meaning changed:\n%s\n%s\n%+v\n%+v", body, out, first, again)
	}
	second, _ := encodeGenerate(again, &Notes{})
	if !bytes.Equal(out, second) {
		t.Fatalf("bytes differ:\n%s\n%s", out, second)
	}
	return out
}

func TestGenerateGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/generate/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no shapes: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out := jsontext.Value(keepsGenerate(t, body))
		if err := out.Indent(); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		holdGolden(t, strings.TrimSuffix(file, ".json")+".golden", append(out, '\n'))
	}
}

// TestGenerateGoldenOfOthers: what Claude Code and Codex ask, as Gemini is asked.
func TestGenerateGoldenOfOthers(t *testing.T) {
	for name, from := range map[string]*Codec{"messages/claude-code": messagesCodec, "responses/codex": responsesCodec} {
		body, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		r, err := from.DecodeRequest(body, "", false)
		if err != nil {
			t.Fatal(err)
		}
		r.Model = "gemini-3-pro"
		n := &Notes{Lossy: true} // search beside functions is refused
		out, err := encodeGenerate(r, n)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden := jsontext.Value(out)
		if err := golden.Indent(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden = append(golden, "\ndropped: "+strings.Join(n.Dropped, ", ")+"\n"...)
		holdGolden(t, "testdata/generate/of-"+filepath.Base(name)+".golden", golden)
	}
}

// geminiJSON draws small JSON objects.
func geminiJSON(t *rapid.T) string {
	return rapid.SampledFrom([]string{`{}`, `{"a":1.50,"b":[true,null]}`, `{"z":"\u00e9","a":{"b":""}}`, `{"output":"x"}`, `{"error":{"a":1}}`}).Draw(t, "json")
}

// drawContents draws a conversation as Gemini's clients write it.
func drawContents(t *rapid.T) string {
	var contents []string
	for range rapid.IntRange(1, 4).Draw(t, "turns") {
		model := rapid.Bool().Draw(t, "model")
		role := map[bool]string{true: "model", false: "user"}[model]
		var parts []string
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			parts = append(parts, drawGeminiPart(t, model))
		}
		contents = append(contents, fmt.Sprintf(`{"role":%q,"parts":[%s]}`, role, strings.Join(parts, ",")))
	}
	return "[" + strings.Join(contents, ",") + "]"
}

func drawGeminiPart(t *rapid.T, model bool) string {
	text := string(appendQuoted(nil, "x"+rapid.String().Draw(t, "text")))
	seal := rapid.SampledFrom([]string{"", `,"thoughtSignature":"c2ln"`, `,"thought_signature":"` + writeSignature(Messages, "s+/=") + `"`}).Draw(t, "seal")
	id := rapid.SampledFrom([]string{"", `"id":"c1",`}).Draw(t, "id")
	if model {
		return rapid.SampledFrom([]string{
			`{"text":` + text + seal + `}`,
			`{"text":` + text + `,"thought":true` + seal + `}`,
			`{"functionCall":{` + id + `"name":"f","args":` + geminiJSON(t) + `}` + seal + `}`,
			`{"executableCode":{"code":` + text + `,"language":"PYTHON"}}`,
		}).Draw(t, "part")
	}
	return rapid.SampledFrom([]string{
		`{"text":` + text + `}`,
		`{"inlineData":{"mimeType":"image/png","data":"aGk="}}`,
		`{"fileData":{"mimeType":"application/pdf","fileUri":"https://example.com/a.pdf"},"mediaResolution":{"level":"LOW"}}`,
		`{"functionResponse":{` + id + `"name":"f","response":` + geminiJSON(t) + `}}`,
		`{"functionResponse":{` + id + `"name":"f","response":{"output":` + text + `}}}`,
		`{"functionResponse":{` + id + `"name":"f","response":{"error":` + text + `}}}`,
	}).Draw(t, "part")
}

// foreignSeals are notes that a law over one dialect doesn't hold for.
func TestGenerateKeepsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(`{"contents":` + drawContents(t) + `}`)
		first, err := decodeGenerate(body, "gemini-3-pro", false)
		if err != nil {
			t.Fatalf("decode %s: %v", body, err)
		}
		out, _ := encodeGenerate(first, &Notes{})
		again, err := decodeGenerate(out, "gemini-3-pro", false)
		if err != nil {
			t.Fatalf("decode again %s: %v", out, err)
		}
		ownSeals(first)
		if !reflect.DeepEqual(first, again) {
			t.Fatalf("meaning changed:\n%s\n%s", body, out)
		}
	})
}

// ownSeals takes out what another vendor has sealed: that is not for Gemini.
func ownSeals(r *Request) {
	for i := range r.Turns {
		var kept []Part
		for _, p := range r.Turns[i].Parts {
			if p.Kind == Call && p.Call.From != Generate {
				p.Call.From, p.Call.Signature = "", ""
			}
			if p.Kind != Thinking || p.Thought.From == Generate {
				kept = append(kept, p)
			}
		}
		r.Turns[i].Parts = kept
	}
	var list []Turn
	for _, t := range r.Turns {
		if t.Parts != nil {
			list = append(list, t)
		}
	}
	r.Turns = list
}

// TestGenerateMatches: results without ids find their calls, with ids or not.
func TestGenerateMatches(t *testing.T) {
	check := func(calls, results string, want ...string) {
		t.Helper()
		r := mustDecodeGenerate(t, []byte(`{"contents":[{"role":"model","parts":[`+calls+`]},{"role":"user","parts":[`+results+`]}]}`))
		var got []string
		for _, p := range r.Turns[1].Parts {
			got = append(got, p.Result.ID)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", results, got, want)
		}
	}
	const f, g = `{"functionResponse":{"name":"f"}}`, `{"functionResponse":{"name":"g"}}`
	check(`{"functionCall":{"name":"f"}},{"functionCall":{"name":"g"}},{"functionCall":{"name":"f"}}`, f+","+f+","+g, "call_made_1", "call_made_3", "call_made_2")
	check(`{"functionCall":{"name":"f","id":"a"}},{"functionCall":{"name":"f","id":"b"}}`, f+","+f, "a", "b")
	check(`{"functionCall":{"name":"f","id":"a"}},{"functionCall":{"name":"f","id":"b"}}`, `{"functionResponse":{"name":"f","id":"a"}},`+f, "a", "b")
	check(`{"functionCall":{"name":"f","id":"a"}}`, g, "call_made_1")
}

func TestGenerateEncode(t *testing.T) {
	check := func(name string, r *Request, want string, dropped ...string) {
		t.Helper()
		n := &Notes{}
		out, err := encodeGenerate(r, n)
		if err != nil || string(out) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, out, want)
		}
		if !reflect.DeepEqual(n.Dropped, dropped) {
			t.Errorf("%s: dropped %v, want %v", name, n.Dropped, dropped)
		}
	}
	text := func(s string) []Part { return []Part{{Kind: Text, Text: s}} }
	say := func(more func(r *Request)) *Request {
		r := &Request{Model: "gemini-2.5-flash", From: Chat, Turns: []Turn{{Parts: text("hi")}}}
		more(r)
		return r
	}
	const hi = `"contents":[{"role":"user","parts":[{"text":"hi"}]}]`
	check("late system", say(func(r *Request) {
		r.Turns = []Turn{{Role: System, Parts: text("a")}, {Role: Developer, Parts: text("b")}, {Parts: text("hi")}, {Role: System, Parts: text("late")}}
	}), `{"systemInstruction":{"parts":[{"text":"a"},{"text":"b"}]},"contents":[{"role":"user","parts":[{"text":"hi"},{"text":"late"}]}]}`, memberName(Chat, FeatureLateSystem))
	check("only system", say(func(r *Request) { r.Turns = []Turn{{Role: System, Parts: text("hi")}} }), `{`+hi+`}`, memberName(Chat, FeatureLateSystem))
	check("nothing to send", say(func(r *Request) {
		r.Turns = append(r.Turns, Turn{Role: Assistant, Parts: []Part{{Kind: Text}}})
	}), `{`+hi+`}`)
	check("results first, named by their calls", say(func(r *Request) {
		r.Model = "gemini-3-flash"
		r.Turns = []Turn{
			{Role: Assistant, Parts: []Part{{Kind: Call, Call: &ToolCall{ID: "1", Name: "f", Args: `{"a": 1}`}}, {Kind: Call, Call: &ToolCall{ID: "2", Name: "g"}}}},
			{Parts: text("so?")},
			{Parts: []Part{{Kind: Result, Result: &ToolResult{ID: "2", Parts: text(`{"output":"x"}`)}}, {Kind: Result, Result: &ToolResult{ID: "1", Parts: text(`{"b":2}`), Failed: true}}}},
		}
	}), `{"contents":[{"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":{"a": 1}},"thoughtSignature":"skip_thought_signature_validator"},{"functionCall":{"id":"2","name":"g","args":{}}}]},`+
		`{"role":"user","parts":[{"functionResponse":{"id":"2","name":"g","response":{"output":"{\"output\":\"x\"}"}}},{"functionResponse":{"id":"1","name":"f","response":{"error":"{\"b\":2}"}}},{"text":"so?"}]}]}`)
	picture := func(model string) *Request {
		return say(func(r *Request) {
			r.Model = model
			r.Turns = []Turn{{Parts: []Part{{Kind: Result, Result: &ToolResult{ID: "1", Name: "f", Parts: append(text("ok"), Part{Kind: Image, Media: &Media{Data: "/9j/"}})}}}}}
		})
	}
	check("a picture in a result", picture("gemini-3-pro"), `{"contents":[{"role":"user","parts":[{"functionResponse":{"id":"1","name":"f","response":{"output":"ok"},"parts":[{"inlineData":{"mimeType":"image/jpeg","data":"/9j/"}}]}}]}]}`)
	check("and before Gemini 3", picture("gemini-2.5-pro"), `{"contents":[{"role":"user","parts":[{"functionResponse":{"id":"1","name":"f","response":{"output":"ok"}}},{"inlineData":{"mimeType":"image/jpeg","data":"/9j/"}}]}]}`)
	think := func(model string, t Reasoning) *Request {
		return say(func(r *Request) { r.Model, r.Reasoning = model, t })
	}
	config := func(s string) string { return `{` + hi + `,"generationConfig":{"thinkingConfig":{` + s + `}}}` }
	two := int64(2000)
	check("flash budget", think("gemini-2.5-flash", Reasoning{Effort: "max"}), config(`"thinkingBudget":24576`))
	check("pro never without", think("gemini-2.5-pro", Reasoning{Effort: "none"}), config(`"thinkingBudget":128`))
	check("flash without", think("gemini-2.5-flash", Reasoning{Off: true}), config(`"thinkingBudget":0`))
	check("level of a budget", think("gemini-3-flash", Reasoning{Budget: &two}), config(`"thinkingLevel":"low"`))
	check("pro has no minimal", think("gemini-3.1-pro", Reasoning{Effort: "none", Summary: "auto"}), config(`"includeThoughts":true,"thinkingLevel":"low"`))
	check("adaptive", think("gemini-3-flash", Reasoning{Adapt: true}), config(``))
	check("too old to think", think("gemini-2.0-flash", Reasoning{Effort: "low"}), `{`+hi+`}`, memberName(Chat, FeatureReasoning))
	search := Tool{Raw: jsontext.Value(`{"type":"web_search_20250305","name":"web_search"}`), From: Messages}
	check("search", say(func(r *Request) { r.Tools = []Tool{search} }), `{`+hi+`,"tools":[{"googleSearch":{}}]}`)
	if _, err := encodeGenerate(say(func(r *Request) { r.Tools = []Tool{search, {Name: "f"}} }), &Notes{}); err == nil {
		t.Error("a search beside functions is not refused")
	}
	check("files", say(func(r *Request) {
		r.Turns[0].Parts = []Part{
			{Kind: Image, Media: &Media{URL: "https://x/a.webp?w=1"}}, {Kind: File, Media: &Media{Text: "hello"}}, {Kind: Video, Media: &Media{URL: "https://youtu.be/x"}},
		}
	}), `{"contents":[{"role":"user","parts":[{"fileData":{"mimeType":"image/webp","fileUri":"https://x/a.webp?w=1"}},{"inlineData":{"mimeType":"text/plain","data":"aGVsbG8="}},{"fileData":{"fileUri":"https://youtu.be/x"}}]}]}`)
}

// TestGenerateStrict sends encoded requests to a server that is as strict as
// Google's, and reads what it answers.
func TestGenerateStrict(t *testing.T) {
	server := httptest.NewServer(mockllm.New(mockllm.Options{}))
	t.Cleanup(server.Close)
	ask := func(r *Request, verb string) []byte {
		t.Helper()
		body, err := encodeGenerate(r, &Notes{Lossy: true})
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest(http.MethodPost, server.URL+"/v1beta/models/gemini-3-flash:"+verb, bytes.NewReader(body))
		req.Header.Set("X-Goog-Api-Key", "key")
		return do(t, req, body)
	}
	tools := []Tool{{Name: "f", Schema: jsontext.Value(`{"type":"object","properties":{"city":{"type":"string"}}}`)}, {Name: "g"}}
	r := &Request{
		Model: "gemini-3-flash", From: Chat, Tools: tools, Choice: Choice{Mode: Required},
		Turns: []Turn{{Role: System, Parts: []Part{{Text: "x"}}}, {Parts: []Part{{Text: "Weather?"}}}}, Reasoning: Reasoning{Effort: "low", Summary: "auto"},
	}
	reply, err := decodeGenerateReply(ask(r, "generateContent"))
	if err != nil || len(reply.Choices) != 1 || reply.Choices[0].Stop != StopTools || !reply.HasUsage {
		t.Fatalf("%+v, %v", reply, err)
	}
	streamed := rebuildStream(t, generateCodec, ask(r, "streamGenerateContent?alt=sse"))
	for i := range streamed.Choices[0].Parts { // the mock's ids are new ones each time
		if a, b := streamed.Choices[0].Parts[i].Call, reply.Choices[0].Parts[i].Call; a != nil && b != nil {
			a.ID = b.ID
		}
	}
	sameReply(t, "mock stream", streamed, reply)
	turn := Turn{Role: Assistant, Parts: reply.Choices[0].Parts}
	answers := Turn{}
	for _, p := range turn.Parts {
		if p.Kind == Call {
			answers.Parts = append(answers.Parts, Part{Kind: Result, Result: &ToolResult{ID: p.Call.ID, Parts: []Part{{Text: "18"}}}})
		}
	}
	r.Turns, r.Choice = append(r.Turns, turn, answers), Choice{}
	reply, err = decodeGenerateReply(ask(r, "generateContent"))
	if err != nil || len(reply.Choices) != 1 || reply.Choices[0].Stop != StopEnd {
		t.Fatalf("%+v, %v", reply, err)
	}
	for _, file := range []string{"tool-loop", "schema"} {
		body, err := os.ReadFile("testdata/generate/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		r := mustDecodeGenerate(t, bytes.ReplaceAll(body, []byte("c2lnbmF0dXJl"), []byte(skipValidator)))
		ask(r, "generateContent")
	}
}

func do(t testing.TB, req *http.Request, body []byte) []byte {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s\n%s", res.StatusCode, out.String(), body)
	}
	return out.Bytes()
}

func TestGenerateReplies(t *testing.T) {
	check := func(body string, want Candidate) {
		t.Helper()
		r, err := decodeGenerateReply([]byte(body))
		if err != nil || len(r.Choices) == 0 || !reflect.DeepEqual(r.Choices[0], want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", body, err, r, want)
		}
	}
	check(`{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"responseId":"x"}`, Candidate{Stop: StopFilter, RawStop: "PROHIBITED_CONTENT"})
	check(`{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"x"}]}`, Candidate{Stop: StopFault, RawStop: "MALFORMED_FUNCTION_CALL"})
	check(`{"candidates":[{"content":{"parts":[{"functionCall":{"id":"1","name":"f"}}]},"finishReason":"STOP"}]}`,
		Candidate{Parts: []Part{{Kind: Call, Call: &ToolCall{ID: "1", Name: "f"}}}, Stop: StopTools, RawStop: "STOP"})
	check(`{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"u","title":"t"}}]}}]}`,
		Candidate{Parts: []Part{{Kind: Text, Text: "a", Cites: []Citation{{URL: "u", Title: "t"}}, From: Generate}}, Stop: StopEnd, RawStop: "STOP"})
	check(`{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-0.10}],"topCandidates":[{"candidates":[{"token":"b"}]}]}}]}`,
		Candidate{
			Parts: []Part{{Kind: Text, Text: "a"}}, Stop: StopEnd, RawStop: "STOP",
			Logprobs: jsontext.Value(`{"content":[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[{"token":"b","logprob":0,"bytes":[98]}]}],"refusal":null}`),
		})
}

// TestGenerateReplyKeeps: what Gemini's clients are told of Gemini's replies.
func TestGenerateReplyKeeps(t *testing.T) {
	const body = `{"candidates":[{"content":{"parts":[{"text":"hm","thought":true,"thoughtSignature":"cw=="},{"text":"a","thoughtSignature":"dA=="},` +
		`{"functionCall":{"id":"1","name":"f","args":{"x":1.0}},"thoughtSignature":"dQ=="},{"inlineData":{"mimeType":"image/png","data":"aGk="}}],"role":"model"},` +
		`"finishReason":"RECITATION","index":0,"groundingMetadata":{"groundingChunks":[{"web":{"uri":"u"}}]},` +
		`"logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-0.1}],"topCandidates":[{"candidates":[]}]}},` +
		`{"content":{"parts":[{"text":"b"}],"role":"model"},"finishReason":"MAX_TOKENS","index":1}],` +
		`"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":3,"thoughtsTokenCount":2,"totalTokenCount":10},"modelVersion":"m","responseId":"r"}`
	r, err := decodeGenerateReply([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if out := encodeGenerateReply(r, nil); string(out) != body {
		t.Errorf("got  %s\nwant %s", out, body)
	}
}

// TestGenerateChoices: several candidates whose pieces come in turns.
func TestGenerateChoices(t *testing.T) {
	chunk := func(i int, parts, more string) string {
		return fmt.Sprintf(`data: {"candidates":[{"content":{"parts":[%s],"role":"model"}%s,"index":%d}],"responseId":"r"}`+"\n\n", parts, more, i)
	}
	stream := chunk(0, `{"text":"a"}`, "") + chunk(1, `{"text":"b"}`, "") + chunk(0, `{"text":"c"}`, `,"finishReason":"STOP"`) +
		chunk(1, `{"functionCall":{"name":"f","args":{"x":1}}},{"functionCall":{"name":"f","args":{}}}`, `,"finishReason":"STOP"`)
	for _, client := range []*Codec{chatCodec, generateCodec} {
		out := through(t, generateCodec, client, &Request{From: client.API, Stream: true, N: 2}, []byte(stream))
		got := plainly(rebuildStream(t, client, out))
		if len(got) != 2 || got[0].Text != "ac" || got[0].Stop != StopEnd || got[1].Text != "b" || got[1].Stop != StopTools || len(got[1].Calls) != 2 || got[1].Calls[0].Args != `{"x":1}` {
			t.Errorf("%s: %+v\n%s", client.API, got, out)
		}
		if client.API == Chat && got[1].Calls[0].ID == got[1].Calls[1].ID {
			t.Errorf("two calls of one id: %s", out)
		}
	}
}

// TestGenerateStreamEnds: only a whole stream ends, and an error in it is told.
func TestGenerateStreamEnds(t *testing.T) {
	check := func(ends bool, status int, events ...string) {
		t.Helper()
		d, ended, got := generateCodec.NewDecoder(), false, 0
		emit := func(e *Event) {
			ended = ended || e.Kind == End
			if e.Kind == Fault {
				got = e.Failure.Status
			}
		}
		for _, e := range events {
			if err := d.Event("", []byte(e), emit); err != nil {
				t.Fatal(err)
			}
		}
		d.End(emit)
		if ended != ends || got != status {
			t.Errorf("%v: ended %v, status %d", events, ended, got)
		}
	}
	const piece, last = `{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}`, `{"candidates":[{"finishReason":"STOP"}]}`
	check(false, 0)
	check(false, 0, piece)
	check(true, 0, piece, last)
	check(true, 0, `{"promptFeedback":{"blockReason":"SAFETY"}}`)
	check(false, 0, `{"candidates":[{"index":1,"content":{"parts":[{"text":"a"}]}}]}`, last)
	check(false, 503, piece, `{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}`)
}

// TestGenerateSeals: what another vendor has sealed comes back from Gemini's
// clients byte for byte, in whichever alphabet they write it.
func TestGenerateSeals(t *testing.T) {
	check := func(th Thought) {
		t.Helper()
		reply := &Reply{Choices: []Candidate{{Parts: []Part{{Kind: Thinking, Thought: &th}, {Kind: Call, Call: &ToolCall{ID: "c", Name: "f", Args: "{}", Signature: "sig", From: th.From}}}, Stop: StopTools}}}
		out := string(encodeGenerateReply(reply, nil))
		for _, text := range []string{out, strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(out)} {
			var in geminiReply
			if err := decode([]byte(text), &in); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			p := partReader{ids: &callIDs{}}
			p.read(in.Candidates[0].Content.Parts)
			if len(p.parts) != 2 || !reflect.DeepEqual(p.parts[0].Thought, &th) || p.parts[1].Call.Signature != "sig" || p.parts[1].Call.From != th.From {
				t.Errorf("%+v: %s", th, out)
			}
		}
	}
	check(Thought{Text: "why", Signature: "a+/=~~~\xff", From: Messages})
	check(Thought{Sealed: "redacted", From: Messages})
	check(Thought{ID: "rs_1", Text: "sum", Sealed: "gAAA", From: Responses})
}

func FuzzGenerateRequest(f *testing.F) {
	files, _ := filepath.Glob("testdata/generate/*.json")
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"contents":[{"parts":[{"functionCall":{},"functionResponse":{}},{"thought":true}]}],"tools":[{}],"toolConfig":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decodeGenerate(body, "m", true)
		if err != nil {
			return
		}
		out, err := encodeGenerate(r, &Notes{Lossy: true})
		if err != nil || !jsontext.Value(out).IsValid(lenient) {
			t.Fatalf("%v: %s", err, out)
		}
		if _, err := decodeGenerate(out, "m", true); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
}

func FuzzGenerateStream(f *testing.F) {
	f.Add([]byte(`{"candidates":[{"content":{"parts":[{"text":"a","thought":true},{"text":"b","thoughtSignature":"x"},{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}],"usageMetadata":{}}`))
	f.Add([]byte(`{"candidates":[{"index":3,"content":{"parts":[{"inlineData":{}},{"executableCode":{}}]}}]}` + "\n" + `{"promptFeedback":{"blockReason":"OTHER"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, e := generateCodec.NewDecoder(), generateCodec.NewEncoder(&Request{})
		var out []byte
		emit := func(ev *Event) { out = e.Append(out, ev) }
		for line := range bytes.Lines(data) {
			if d.Event("", line, emit) != nil {
				return
			}
		}
		d.End(emit)
		if len(out) == 0 {
			return
		}
		if _, err := mockllm.Events(out); err != nil {
			t.Fatalf("%v: %q", err, out)
		}
	})
}
