package neutral

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// shapes returns the request bodies of testdata/messages.
func shapes(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "messages", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no shapes: %v", err)
	}
	bodies := map[string][]byte{}
	for _, file := range files {
		if bodies[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return bodies
}

// canonical is JSON with its members sorted and its white space gone.
func canonical(t testing.TB, body []byte) string {
	t.Helper()
	v := jsontext.Value(slices.Clone(body))
	if err := v.Canonicalize(jsontext.PreserveRawStrings(false)); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return string(v)
}

func decodeMessages(t testing.TB, body []byte) *Request {
	t.Helper()
	r, err := decodeMessagesRequest(body, "", false)
	if err != nil {
		t.Fatalf("decode %.200s: %v", body, err)
	}
	return r
}

func encodeMessages(t testing.TB, r *Request) ([]byte, *Notes) {
	t.Helper()
	n := &Notes{}
	body, err := encodeMessagesRequest(r, n)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	if !jsontext.Value(body).IsValid() {
		t.Fatalf("no JSON: %s", body)
	}
	return body, n
}

// What a client of the dialect says is all there when it goes back to it.
func TestMessagesKeepsAll(t *testing.T) {
	for name, body := range shapes(t) {
		r := decodeMessages(t, body)
		again, notes := encodeMessages(t, r)
		if len(notes.Dropped) > 0 {
			t.Errorf("%s: dropped %q", name, notes.Dropped)
		}
		// Said in another way, and the same: strings that stand for one block
		// of text, and an explicit type of custom.
		same := strings.NewReplacer(`,"type":"custom"`, "").Replace(canonical(t, body))
		if got := canonical(t, again); got != same {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, same)
		}
		if second := decodeMessages(t, again); !reflect.DeepEqual(r, second) {
			t.Errorf("%s: a second reading differs:\n%+v\n%+v", name, r, second)
		}
		for range 3 {
			if b, _ := encodeMessages(t, r); string(b) != string(again) {
				t.Errorf("%s: the bytes differ between runs", name)
			}
		}
	}
}

func TestMessagesDecode(t *testing.T) {
	r := decodeMessages(t, shapes(t)["claude-code.json"])
	check := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", what, got, want)
		}
	}
	check("turns", len(r.Turns), 4)
	check("system", r.Turns[0].Role, System)
	check("system text", r.Turns[0].Parts[1].Text, "cwd: /src\n<env>x & y</env>")
	check("cache", string(r.Turns[0].Parts[1].Cache), `{"type":"ephemeral","ttl":"1h"}`)
	said := r.Turns[2].Parts
	check("thought", *said[0].Thought, Thought{Text: "Look first.", Signature: "EqQBCkYIBxgCKkA+/=", From: Messages})
	check("sealed", *said[1].Thought, Thought{Sealed: "Emwx", From: Messages})
	check("call", *said[3].Call, ToolCall{ID: "toolu_01A", Name: "Bash", Args: `{"command":"go test ./...","timeout":120000.0}`})
	check("empty call", *said[4].Call, ToolCall{ID: "toolu_01B", Name: "Read", Args: `{}`})
	answers := r.Turns[3].Parts
	check("result", *answers[0].Result, ToolResult{ID: "toolu_01A", Parts: []Part{{Kind: Text, Text: "FAIL\texit 1"}}, Failed: true})
	check("picture", *answers[1].Result.Parts[1].Media, Media{MIME: "image/png", Data: "iVBORw0KGgo="})
	check("mark on a result", string(answers[1].Result.Cache), `{"type":"ephemeral"}`)
	check("tools", len(r.Tools), 3)
	check("function", r.Tools[0].Raw, jsontext.Value(nil))
	check("own tool", r.Tools[2].From, Messages)
	check("reasoning", r.Reasoning, Reasoning{Adapt: true, Effort: "high"})
	check("user", r.User, "user_1_account__session_2")
	names := []string{}
	for _, m := range r.Rest {
		names = append(names, m.Name)
	}
	check("rest", names, []string{"context_management", "messages.content.caller", "tools.eager_input_streaming"})
}

func TestMessagesDecodeErrors(t *testing.T) {
	check := func(body, member string) {
		t.Helper()
		_, err := decodeMessagesRequest([]byte(body), "", false)
		c, ok := errors.AsType[*CannotCarry](err)
		if !ok || c.Member != member {
			t.Errorf("%s: %v, want one at %s", body, err, member)
		}
	}
	check(`{"messages":{}}`, "messages")
	check(`{"messages":[{"role":"tool","content":"x"}]}`, "messages[0].role")
	check(`{"messages":[{"role":"user","content":7}]}`, "messages[0].content")
	check(`{"messages":[{"role":"user","content":["x"]}]}`, "messages[0].content[0]")
	check(`{"messages":[{"role":"user","content":[{"text":"x"}]}]}`, "messages[0].content[0].type")
	check(`{"messages":[{"role":"user","content":[{"type":"text","text":1}]}]}`, "messages[0].content[0].text")
	check(`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"}]}]}`, "messages[0].content[1].source")
	check(`{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":false}]}]}]}`,
		"messages[0].content[0].content[0].text")
	check(`{"messages":[{"role":"assistant","content":[{"type":"tool_use","input":"x"}]}]}`, "messages[0].content[0].input")
	check(`{"tools":7}`, "tools")
	check(`{"tools":[{"name":7}]}`, "tools[0].name")
	check(`{"tool_choice":{"type":"maybe"}}`, "tool_choice.type")
	check(`{"thinking":{"type":"enabled"}}`, "thinking.budget_tokens")
	check(`{"output_config":{"format":{"type":"xml"}}}`, "output_config.format")
	check(`{"max_tokens":"x"}`, "max_tokens")
	for _, body := range []string{``, `{`, `{"messages":[}`} {
		if _, err := decodeMessagesRequest([]byte(body), "", false); err == nil {
			t.Errorf("%s was taken", body)
		} else if _, ok := errors.AsType[*wire.SyntaxError](err); !ok {
			t.Errorf("%s: %v is no syntax error", body, err)
		}
	}
}

// foreign is a chat request with what a test adds to it.
func foreign(edit func(r *Request)) *Request {
	r := &Request{From: Chat, Model: "claude-sonnet-4-5", Turns: []Turn{{Parts: []Part{{Text: "hi"}}}}}
	edit(r)
	return r
}

// member is the value of a body's member at a path, "" where there is none.
func member(t testing.TB, body []byte, path ...string) string {
	t.Helper()
	v := jsontext.Value(body)
	for _, name := range path {
		var object map[string]jsontext.Value
		if json.Unmarshal(v, &object) != nil {
			return ""
		}
		v = object[name]
	}
	return string(v)
}

func TestMessagesTurns(t *testing.T) {
	check := func(turns []Turn, system, messages string, dropped ...string) {
		t.Helper()
		body, n := encodeMessages(t, foreign(func(r *Request) { r.Turns = turns }))
		if got := member(t, body, "system"); got != system {
			t.Errorf("system %s, want %s", got, system)
		}
		if got := member(t, body, "messages"); got != messages {
			t.Errorf("messages %s\nwant     %s", got, messages)
		}
		if !slices.Equal(n.Dropped, dropped) {
			t.Errorf("dropped %q, want %q", n.Dropped, dropped)
		}
	}
	say := func(role Role, texts ...string) Turn {
		turn := Turn{Role: role}
		for _, s := range texts {
			turn.Parts = append(turn.Parts, Part{Text: s})
		}
		return turn
	}
	call := func(id, name, args string) Part {
		return Part{Kind: Call, Call: &ToolCall{ID: id, Name: name, Args: args}}
	}
	result := func(id string, parts ...Part) Part {
		return Part{Kind: Result, Result: &ToolResult{ID: id, Parts: parts}}
	}
	check([]Turn{say(System, "a"), say(User, "b")}, `"a"`, `[{"role":"user","content":"b"}]`)
	check([]Turn{say(System, "a"), say(Developer, "b", " "), say(User, "c"), say(User, "d")},
		`[{"type":"text","text":"a"},{"type":"text","text":"b"}]`,
		`[{"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}]`)
	check([]Turn{say(System, "alone")}, "", `[{"role":"user","content":"alone"}]`, memberName(Chat, FeatureLateSystem))
	check([]Turn{say(System, "a"), say(System, "b")}, `"a"`, `[{"role":"user","content":"b"}]`, memberName(Chat, FeatureLateSystem))
	check([]Turn{say(User, "a"), say(Assistant, "b"), say(System, "c"), say(User, "d")}, "",
		`[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}]`,
		memberName(Chat, FeatureLateSystem))
	check([]Turn{
		say(User, "a"),
		{Role: Assistant, Parts: []Part{{Text: ""}, call("c1", "f", `{"x": 1.0}`), call("c.2", "g", "")}},
		{Parts: []Part{result("c1", Part{Text: "one"}), result("c.2")}},
		{Parts: []Part{{Text: "and"}, result("", Part{Kind: Image, Media: &Media{URL: "https://x/y.png"}}, Part{Text: "z"})}},
	}, "", `[{"role":"user","content":"a"},`+
		`{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{"x": 1.0}},{"type":"tool_use","id":"call-Yy4y","name":"g","input":{}}]},`+
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"one"},{"type":"tool_result","tool_use_id":"call-Yy4y"},`+
		`{"type":"tool_result","tool_use_id":"","content":[{"type":"image","source":{"type":"url","url":"https://x/y.png"}},{"type":"text","text":"z"}]},{"type":"text","text":"and"}]}]`)
	check([]Turn{say(User, "a"), {Role: Assistant, Parts: []Part{call("", "f", "{}"), call("", "g", "{}")}}, {Parts: []Part{result(""), result("")}}}, "",
		`[{"role":"user","content":"a"},`+
			`{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"f","input":{}},{"type":"tool_use","id":"call_2","name":"g","input":{}}]},`+
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1"},{"type":"tool_result","tool_use_id":"call_2"}]}]`)
	check([]Turn{say(User, "a"), {Role: Assistant, Parts: []Part{
		{Kind: Thinking, Thought: &Thought{Text: "x", Signature: "sig", From: Generate}},
		{Kind: Thinking, Thought: &Thought{Text: "y", Signature: "mine+/", From: Messages}},
		{Kind: Thinking, Thought: &Thought{Sealed: "dark", From: Messages}},
		{Text: "b"},
	}}}, "", `[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"y","signature":"mine+/"},`+
		`{"type":"redacted_thinking","data":"dark"},{"type":"text","text":"b"}]}]`, memberName(Chat, FeatureThoughts))
}

func TestMessagesMedia(t *testing.T) {
	check := func(p Part, want string) {
		t.Helper()
		body, _ := encodeMessages(t, foreign(func(r *Request) { r.Turns[0].Parts = []Part{p} }))
		if got := member(t, body, "messages"); got != `[{"role":"user","content":[`+want+`]}]` {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	check(Part{Kind: Image, Media: &Media{MIME: "image/jpg", Data: "AA=="}}, `{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AA=="}}`)
	check(Part{Kind: Image, Media: &Media{Data: "/9j/AA=="}}, `{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/AA=="}}`)
	check(Part{Kind: File, Media: &Media{MIME: "application/pdf", Data: "JVBERi0=", Name: "a.pdf"}},
		`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="},"title":"a.pdf"}`)
	check(Part{Kind: File, Media: &Media{MIME: "text/csv", Data: "YSxi", Name: "a.csv"}},
		`{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a,b"},"title":"a.csv"}`)
	check(Part{Kind: File, Media: &Media{Text: "words"}}, `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"words"}}`)
	check(Part{Kind: File, Media: &Media{URL: "https://x/y.pdf"}}, `{"type":"document","source":{"type":"url","url":"https://x/y.pdf"}}`)
	check(Part{Kind: File, Media: &Media{MIME: "image/webp", Data: "UklGR"}}, `{"type":"image","source":{"type":"base64","media_type":"image/webp","data":"UklGR"}}`)
}

// refusals are what would change the meaning. With lossy: allow they are
// noted, and the rest is sent.
func TestMessagesRefusals(t *testing.T) {
	n := int64(3)
	check := func(feature string, edit func(r *Request)) {
		t.Helper()
		r := foreign(edit)
		_, err := encodeMessagesRequest(r, &Notes{})
		c, ok := errors.AsType[*CannotCarry](err)
		if !ok || c.Member != memberName(Chat, feature) {
			t.Errorf("%s: %v, want a refusal of %s", feature, err, memberName(Chat, feature))
		}
		notes := &Notes{Lossy: true}
		body, err := encodeMessagesRequest(r, notes)
		if err != nil || !slices.Contains(notes.Dropped, memberName(Chat, feature)) || !jsontext.Value(body).IsValid() {
			t.Errorf("%s, lossy: %v, %q, %s", feature, err, notes.Dropped, body)
		}
	}
	part := func(p Part) func(r *Request) { return func(r *Request) { r.Turns[0].Parts = []Part{p, {Text: "x"}} } }
	check(FeatureAudio, part(Part{Kind: Audio, Media: &Media{Data: "AA"}}))
	check(FeatureVideo, part(Part{Kind: Video, Media: &Media{URL: "https://x"}}))
	check(FeatureFileIDs, part(Part{Kind: File, Media: &Media{FileID: "file-1"}}))
	check(FeatureFiles, part(Part{Kind: File, Media: &Media{MIME: "application/zip", Data: "AA"}}))
	check(FeatureVendorTools, part(Part{Kind: Opaque, Raw: jsontext.Value(`{}`), From: Responses}))
	check(FeatureVendorTools, func(r *Request) {
		r.Tools = []Tool{{Name: "x", Raw: jsontext.Value(`{"type":"code_interpreter"}`), From: Responses}}
	})
	check(FeatureTools, part(Part{Kind: Call, Call: &ToolCall{ID: "a", Name: "f", Args: `{"x":`}}))
	check(FeatureN, func(r *Request) { r.N = 2 })
	check(FeatureLogprobs, func(r *Request) { r.TopLogprobs = &n })
	check(FeaturePrevious, func(r *Request) { r.Previous = "resp_1" })
	check(FeatureStop, func(r *Request) { r.Stop = []string{"\n"} })
	check(FeatureChoice, func(r *Request) {
		r.Model, r.Tools, r.Choice = "claude-opus-5-5", []Tool{{Name: "f"}}, Choice{Mode: Required}
	})
}

func TestMessagesDropped(t *testing.T) {
	check := func(feature, model string, edit func(r *Request)) {
		t.Helper()
		_, n := encodeMessages(t, foreign(func(r *Request) { r.Model = model; edit(r) }))
		if !slices.Equal(n.Dropped, []string{memberName(Chat, feature)}) {
			t.Errorf("%s: dropped %q", feature, n.Dropped)
		}
	}
	one := jsontext.Value("1.5")
	yes := true
	const old, newer = "claude-sonnet-4-5", "claude-opus-4-8"
	check(FeatureSeed, old, func(r *Request) { r.Seed = one })
	check(FeatureFrequency, old, func(r *Request) { r.FrequencyPenalty = one })
	check(FeaturePresence, old, func(r *Request) { r.PresencePenalty = one })
	check(FeatureVerbosity, old, func(r *Request) { r.Verbosity = "low" })
	check(FeatureCacheKey, old, func(r *Request) { r.CacheKey = "k" })
	check(FeatureStore, old, func(r *Request) { r.Store = &yes })
	check(FeatureTier, old, func(r *Request) { r.ServiceTier = "flex" })
	check(FeatureMetadata, old, func(r *Request) { r.Metadata = map[string]string{"a": "b"} })
	check(FeatureName, old, func(r *Request) { r.Turns[0].Name = "bob" })
	check(FeatureImageDetail, old, func(r *Request) {
		r.Turns[0].Parts = []Part{{Kind: Image, Media: &Media{URL: "https://x", Detail: "low"}}}
	})
	check(FeatureTemperature, newer, func(r *Request) { r.Temperature = one })
	check(FeatureTopP, newer, func(r *Request) { r.TopP = jsontext.Value("0.5") })
	check(FeatureTopP, old, func(r *Request) { r.Temperature, r.TopP = jsontext.Value("0"), jsontext.Value("0.5") })
	check(FeatureTopK, newer, func(r *Request) { r.TopK = jsontext.Value("5") })
	check(FeatureTemperature, old, func(r *Request) { r.Temperature, r.Reasoning.Effort = jsontext.Value("0"), "low" })
	check(FeatureReasoning, "claude-3-5-haiku-latest", func(r *Request) { r.Reasoning.Effort = "low" })
	check(FeatureReasoning, "claude-opus-5-5", func(r *Request) { r.Reasoning.Effort = "none" })
	check(FeatureReasoning, old, func(r *Request) {
		r.Reasoning.Effort, r.Tools, r.Choice.Mode = "low", []Tool{{Name: "f"}}, Required
	})
	check(FeatureStrictTools, "claude-opus-4-0", func(r *Request) { r.Tools = []Tool{{Name: "f", Strict: &yes}} })
	mark := jsontext.Value(`{"type":"ephemeral"}`)
	check(FeatureCacheMarks, old, func(r *Request) {
		for range 5 {
			r.Turns[0].Parts = append(r.Turns[0].Parts, Part{Text: "x", Cache: mark})
		}
	})
}
