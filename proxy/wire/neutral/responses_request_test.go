package neutral

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/proxy/wire"
)

func mustDecodeResponses(t fataler, body []byte) *Request {
	t.Helper()
	r, err := decodeResponsesRequest(body, "", false)
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return r
}

// checkResponsesKept checks the law: what is written of a request reads as the
// request did, and is written again byte for byte.
func checkResponsesKept(t fataler, r *Request) []byte {
	t.Helper()
	var n Notes
	body, err := encodeResponsesRequest(r, &n)
	if err != nil || len(n.Dropped) > 0 {
		t.Fatalf("%v, dropped %q", err, n.Dropped)
	}
	back := mustDecodeResponses(t, body)
	if !reflect.DeepEqual(back, r) {
		t.Fatalf("%s reads as\n%+v\nwant\n%+v", body, back, r)
	}
	again, err := encodeResponsesRequest(back, &n)
	if err != nil || string(again) != string(body) {
		t.Fatalf("%v\n%s\nagain\n%s", err, body, again)
	}
	return body
}

func responsesShapes(t testing.TB) [][]byte {
	names, err := filepath.Glob("testdata/responses/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal("no testdata", err)
	}
	var bodies [][]byte
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func TestResponsesKeepsAll(t *testing.T) {
	for _, body := range responsesShapes(t) {
		out := checkResponsesKept(t, mustDecodeResponses(t, body))
		root := members(body)
		for _, m := range root {
			if !strings.Contains(string(out), `"`+m.Name+`":`) {
				t.Errorf("%s is lost in %s", m.Name, out)
			}
		}
	}
}

var responsesSnippets = []string{
	`{"role":"user","content":"hi"}`,
	`{"type":"message","role":"user","content":[]}`,
	`{"type":"message","id":"msg_u","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]}`,
	`{"role":"system","content":"be brief"}`,
	`{"role":"developer","content":[{"type":"input_text","text":"be brief"}]}`,
	`{"role":"assistant","content":"yes"}`,
	`{"type":"message","id":"msg_a","role":"assistant","status":"completed","content":[]}`,
	`{"type":"message","id":"msg_b","role":"assistant","phase":"final_answer","content":[{"type":"output_text","text":"x","annotations":[]}]}`,
	`{"type":"message","id":"msg_c","role":"assistant","content":[{"type":"refusal","refusal":"no"}]}`,
	`{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"abc="}`,
	`{"type":"reasoning","id":"rs_2","summary":[{"type":"summary_text","text":"s"}]}`,
	`{"type":"reasoning","id":"rs_3","summary":[],"content":[{"type":"reasoning_text","text":"raw"}]}`,
	`{"type":"reasoning","id":"rs_weir_4","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"weir-seal-1.messages.c3NpZw"}`,
	`{"type":"reasoning","id":"rs_weir_5","summary":[],"encrypted_content":"weir-seal-1.messages.c2VhbGVkOnxkYXRh"}`,
	`{"type":"reasoning","id":"rs_weir_6","summary":[{"type":"summary_text","text":"t"}]}`,
	`{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{\"a\": 1.0}"}`,
	`{"type":"function_call","call_id":"call_2__seal__weir-seal-1.generate.c2ln","name":"f","arguments":""}`,
	`{"type":"function_call","call_id":"call_3","name":"f","arguments":"{}","namespace":"n"}`,
	`{"type":"custom_tool_call","call_id":"call_4","name":"patch","input":"free"}`,
	`{"type":"function_call_output","call_id":"call_1","output":"ok"}`,
	`{"type":"function_call_output","call_id":"call_2__seal__weir-seal-1.generate.c2ln","output":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://x/y.png"}]}`,
	`{"type":"custom_tool_call_output","call_id":"call_4","output":[{"type":"input_file","file_data":"aGk=","filename":"a.txt"}]}`,
	`{"type":"web_search_call","id":"ws_1","status":"completed"}`,
	`{"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot"}}`,
	`{"type":"item_reference","id":"msg_9"}`,
	`{"type":"message","role":"user","content":[{"type":"input_audio","input_audio":{"data":"UklG","format":"wav"}}]}`,
	`{"type":"message","role":"user","content":[{"type":"input_text","text":"c","prompt_cache_breakpoint":{"mode":"explicit"}}]}`,
}

// Items in any order are kept. An empty "arguments" is written as {}, so the
// law holds from what is written first on.
func TestResponsesItemsLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(rapid.SampledFrom(responsesSnippets), 0, 9).Draw(t, "items")
		options := rapid.SliceOfDistinct(rapid.SampledFrom([]string{
			`"instructions":"be good"`, `"stream":true`, `"store":true`, `"background":true`, `"truncation":"auto"`, `"user":"u"`, `"safety_identifier":"s"`,
			`"tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true},{"type":"custom","name":"patch"},{"type":"file_search","vector_store_ids":["v"]}]`,
			`"tool_choice":{"type":"function","name":"f"}`, `"reasoning":{"effort":"high","mode":"pro"}`, `"text":{"format":{"type":"json_object"},"verbosity":"low"}`,
			`"include":["x","reasoning.encrypted_content"]`, `"temperature":0.70`, `"metadata":{"b":"1","a":"2"}`, `"unheard_of":{"b":1,"a":[]}`,
		}), func(s string) string { return s }).Draw(t, "options")
		body := `{"model":"m","input":[` + strings.Join(items, ",") + "]," + strings.Join(append(options, `"top_p":1`), ",") + "}"
		var n Notes
		first, err := encodeResponsesRequest(mustDecodeResponses(t, []byte(body)), &n)
		if err != nil {
			t.Fatal(err)
		}
		r := mustDecodeResponses(t, first)
		checkResponsesKept(t, r)
		if !strings.Contains(body, `"arguments":""`) && !reflect.DeepEqual(r, mustDecodeResponses(t, []byte(body))) {
			t.Fatalf("%s\nreads as\n%s", body, first)
		}
	})
}

func TestResponsesDecode(t *testing.T) {
	r := mustDecodeResponses(t, responsesShapes(t)[1])
	if got := r.Turns[0]; got.Role != System || got.ID != instructionsID {
		t.Errorf("the first turn is %+v", got)
	}
	var roles, kinds []string
	for _, turn := range r.Turns {
		roles = append(roles, responsesRoles[turn.Role])
		for _, p := range turn.Parts {
			kinds = append(kinds, string("tiavfCRTxo"[p.Kind]))
		}
	}
	if got := strings.Join(roles, " "); got != "system developer user user assistant user assistant" {
		t.Errorf("roles: %s", got)
	}
	if got := strings.Join(kinds, ""); got != "ttttiTtCCRRo" {
		t.Errorf("parts: %s", got)
	}
	thought := r.Turns[4].Parts[0].Thought
	if thought.Text != "**Looking**\n\nat the test" || thought.Sealed != "gAAAAABo+/sealed==" || thought.From != Responses || !thought.Summary {
		t.Errorf("thought: %+v", thought)
	}
	if call := r.Turns[4].Parts[2].Call; call.Args != `{"command":["go","test"],"timeout":1.0}` || call.ID != "call_1" {
		t.Errorf("call: %+v", call)
	}
	if !r.Reasoning.Sealed || r.Reasoning.Effort != "medium" || !r.Reasoning.Show || r.Verbosity != "low" || r.Choice.Mode != SayAuto {
		t.Errorf("%+v", r)
	}
}

func TestResponsesDecodeErrors(t *testing.T) {
	check := func(body, want string) {
		t.Helper()
		_, err := decodeResponsesRequest([]byte(body), "", false)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	check(`{"input":5}`, "input: must be a string or an array")
	check(`{"input":[5]}`, "input[0]: must be an object")
	check(`{"input":[{"role":"user","content":"a"},{"role":"robot","content":""}]}`, "input[1].role: must be user")
	check(`{"input":[{"role":"user","content":[{"type":"picture"}]}]}`, "input[0].content[0].type: must be input_text")
	check(`{"input":[{"role":"user","content":[{"type":"input_text","text":5}]}]}`, "input[0].content[0].text: must be a string")
	check(`{"input":[{"role":"user","content":{"a":1}}]}`, "input[0].content: must be")
	check(`{"input":[{"type":"function_call","name":5}]}`, "input[0].name: must be a string")
	check(`{"tools":{}}`, "tools: must be an array")
	check(`{"tools":[{"name":"f"}]}`, "tools[0].type: must be a string")
	check(`{"tools":[{"type":"function","name":1}]}`, "tools[0].name: must be a string")
	check(`{"tool_choice":"maybe"}`, "tool_choice: must be none")
	check(`{"text":{"format":{"type":"json_schema"}}}`, "text.format.schema: must be an object")
	check(`{"metadata":{"a":1}}`, "metadata.a: must be a string")
	check(`{"max_output_tokens":"5"}`, "max_output_tokens: must be an integer")
	for _, body := range []string{``, `{`, `{"input":[}`, "nonsense"} {
		if _, err := decodeResponsesRequest([]byte(body), "", false); err == nil {
			t.Errorf("%q is read", body)
		} else if _, ok := err.(*wire.SyntaxError); !ok {
			t.Errorf("%q: %T %v", body, err, err)
		}
	}
}

// TestResponsesForeign shows what requests of other dialects become.
func TestResponsesForeign(t *testing.T) {
	text := func(s string) []Part { return []Part{{Kind: Text, Text: s}} }
	n64 := func(n int64) *int64 { return &n }
	check := func(r Request, dropped string, wants ...string) {
		t.Helper()
		if r.Model == "" {
			r.Model = "gpt-5"
		}
		if r.From == "" {
			r.From = Chat
		}
		if r.Turns == nil {
			r.Turns = []Turn{{Parts: text("hi")}}
		}
		var n Notes
		body, err := encodeResponsesRequest(&r, &n)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(n.Dropped, ","); got != dropped {
			t.Errorf("dropped %s, want %s: %s", got, dropped, body)
		}
		for _, want := range wants {
			absent, no := strings.CutPrefix(want, "!")
			if strings.Contains(string(body), absent) == no {
				t.Errorf("%s: not %s", body, want)
			}
		}
		mustDecodeResponses(t, body)
	}
	check(Request{}, "", `{"model":"gpt-5","input":[{"type":"message","role":"user","content":"hi"}],"include":["reasoning.encrypted_content"],"store":false}`)
	check(Request{Model: "gpt-4o"}, "", "!include", `"store":false`)
	check(Request{Model: "gpt-4o", Reasoning: Reasoning{Budget: n64(5000)}, From: Messages}, memberName(Messages, FeatureReasoning), "!reasoning")
	check(Request{Reasoning: Reasoning{Budget: n64(5000), Show: true}, From: Messages}, "", `"reasoning":{"effort":"medium","summary":"auto"}`)
	check(Request{Model: "gpt-5.2", Reasoning: Reasoning{Off: true}, From: Messages}, "", `"reasoning":{"effort":"none"}`)
	check(Request{Model: "o3", Reasoning: Reasoning{Off: true}, From: Messages}, memberName(Messages, FeatureReasoning), `"reasoning":{"effort":"low"}`)
	check(Request{Temperature: jsontext.Value("0.5")}, "temperature", `!"temperature"`)
	check(Request{Model: "gpt-4o", Temperature: jsontext.Value("0.50")}, "", `"temperature":0.50`)
	check(Request{MaxOutput: n64(5)}, memberName(Chat, FeatureMaxOutput), `"max_output_tokens":16`)
	check(Request{Seed: jsontext.Value("1"), TopK: jsontext.Value("2")}, "top_k,seed")
	check(Request{Tools: []Tool{{Name: "f"}}, Choice: Choice{Mode: Only, Names: []string{"f"}}}, "", `"strict":false`, `"parameters":{"type":"object","properties":{}}`, `"tool_choice":{"type":"function","name":"f"}`)
	check(Request{Tools: []Tool{{Name: "c", Custom: true, Grammar: jsontext.Value(`{"type":"grammar","grammar":{"syntax":"lark","definition":"x"}}`)}}, Choice: Choice{Mode: Only, Names: []string{"c"}}}, "",
		`"format":{"type":"grammar","syntax":"lark","definition":"x"}`, `"tool_choice":{"type":"custom","name":"c"}`)
	check(Request{From: Messages, Tools: []Tool{{Name: "web_search", Raw: jsontext.Value(`{"type":"web_search_20250305","name":"web_search"}`), From: Messages}}}, "", `"tools":[{"type":"web_search"}]`)
	check(Request{Turns: []Turn{{Role: System, Parts: text("s")}, {Parts: text("u")}}}, "", `{"type":"message","role":"system","content":"s"}`)
	check(Request{From: Messages, Turns: []Turn{{Role: Assistant, Parts: []Part{
		{Kind: Thinking, Thought: &Thought{Text: "t", Signature: "s", From: Messages}},
		{Kind: Text, Text: "a"},
		{Kind: Call, Call: &ToolCall{ID: "toolu_1", Name: "f"}},
	}}, {Parts: []Part{
		{Kind: Result, Result: &ToolResult{ID: "toolu_1", Failed: true, Parts: []Part{{Kind: Text, Text: "r"}, {Kind: Image, Media: &Media{MIME: "image/png", Data: "aGk="}}}}},
		{Kind: Text, Text: "more"},
	}}}}, memberName(Messages, FeatureThoughts)+","+memberName(Messages, FeatureToolFailed),
		`[{"type":"message","role":"assistant","content":"a"},{"type":"function_call","call_id":"toolu_1","name":"f","arguments":"{}"},`+
			`{"type":"function_call_output","call_id":"toolu_1","output":[{"type":"input_text","text":"r"},{"type":"input_image","image_url":"data:image/png;base64,aGk=","detail":"auto"}]},`+
			`{"type":"message","role":"user","content":"more"}]`)
	check(Request{Turns: []Turn{{Role: Assistant, Parts: []Part{{Kind: Thinking, Thought: &Thought{ID: "rs_1", Text: "t", Sealed: "s", From: Responses}}}}}}, "",
		`{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"s"}`)
	long := strings.Repeat("x", 80)
	check(Request{Turns: []Turn{{Role: Assistant, Parts: []Part{{Kind: Call, Call: &ToolCall{ID: long, Name: "f", Args: " "}}}}, {Parts: []Part{{Kind: Result, Result: &ToolResult{ID: long}}}}}}, "",
		`"call_id":"`+responsesCallID(long)+`","name":"f","arguments":" "`, `"call_id":"`+responsesCallID(long)+`","output":""`)
	check(Request{From: Messages, Turns: []Turn{{Parts: []Part{{Kind: File, Media: &Media{Text: "words", Title: "T"}}, {Kind: File, Media: &Media{MIME: "application/pdf", Data: "aGk="}}}}}}, "",
		`{"type":"input_text","text":"T\n\nwords"}`, `{"type":"input_file","filename":"document.pdf","file_data":"data:application/pdf;base64,aGk="}`)
	check(Request{Format: Format{Kind: JSONObject}}, "", `"text":{"format":{"type":"json_object"}}`, `"role":"developer","content":"Answer with one JSON object."`)
	check(Request{ServiceTier: "standard", User: "u", Logprobs: true}, "", `"service_tier":"default"`, `"safety_identifier":"u"`, includeLogprobs)
	check(Request{Turns: []Turn{{Role: Assistant, Parts: []Part{{Kind: Text, Text: "a", From: Messages, Cites: []Citation{{URL: "https://x", Title: "t", Raw: jsontext.Value(`{"a":1}`)}}}}}}}, "",
		`"annotations":[{"type":"url_citation","url":"https://x","title":"t","start_index":0,"end_index":1}]`)
}

func TestResponsesRefusals(t *testing.T) {
	check := func(r Request, member string) {
		t.Helper()
		r.Model, r.From = "gpt-5", Chat
		var n Notes
		_, err := encodeResponsesRequest(&r, &n)
		if c, ok := err.(*CannotCarry); !ok || c.Member != member {
			t.Errorf("%v, want a refusal of %s", err, member)
		}
		lossy := Notes{Lossy: true}
		if body, err := encodeResponsesRequest(&r, &lossy); err != nil || !jsontext.Value(body).IsValid() || len(lossy.Dropped) == 0 {
			t.Errorf("lossy: %v, dropped %q, %s", err, lossy.Dropped, body)
		}
	}
	with := func(p Part) Request { return Request{Turns: []Turn{{Parts: []Part{p, {Kind: Text, Text: "x"}}}}} }
	check(Request{Stop: []string{"x"}}, memberName(Chat, FeatureStop))
	check(Request{N: 2}, memberName(Chat, FeatureN))
	check(with(Part{Kind: Audio, Media: &Media{Data: "aGk="}}), memberName(Chat, FeatureAudio))
	check(with(Part{Kind: Video, Media: &Media{Data: "aGk="}}), memberName(Chat, FeatureVideo))
	check(with(Part{Kind: Opaque, Raw: jsontext.Value(`{"type":"x"}`), From: Chat}), memberName(Chat, FeatureVendorTools))
	check(Request{Tools: []Tool{{Name: "bash", Raw: jsontext.Value(`{"type":"code_execution_20250825","name":"code_execution"}`), From: Messages}}}, memberName(Chat, FeatureVendorTools))
	check(Request{Choice: Choice{Raw: jsontext.Value(`{"type":"x"}`), From: Chat}}, memberName(Chat, FeatureChoice))
}

func FuzzResponsesRequest(f *testing.F) {
	for _, body := range responsesShapes(f) {
		f.Add(body)
	}
	for _, s := range responsesSnippets {
		f.Add([]byte(`{"model":"m","input":[` + s + `]}`))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decodeResponsesRequest(body, "", false)
		if err != nil {
			return
		}
		n := Notes{Lossy: true}
		first, err := encodeResponsesRequest(r, &n)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeResponsesRequest(first, "", false)
		if err != nil {
			t.Fatalf("%v in %s of %s", err, first, body)
		}
		if again, _ := encodeResponsesRequest(back, &n); string(again) != string(first) {
			t.Fatalf("%s\nbecomes %s\nthen    %s", body, first, again)
		}
		for _, c := range codecs {
			_, _ = c.EncodeRequest(r, &n)
		}
	})
}
