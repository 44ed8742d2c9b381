package neutral

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// wordBodies hold every member of apiWords, each with a word of its API's own.
var wordBodies = map[API]string{
	Chat: `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"give JSON"},
		{"type":"image_url","image_url":{"url":"data:image/png;base64,aa","detail":"low"}},{"type":"input_audio","input_audio":{"data":"aa","format":"wav"}}]},
		{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"x"}],
		"tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"g","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"a"}}}}],
		"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}},
		"modalities":["text"],"reasoning_effort":"low","reasoning":{"effort":"low"},"thinking":{"type":"enabled","budget_tokens":1024},"verbosity":"low","service_tier":"auto"}`,
	Responses: `{"model":"m","input":[{"type":"message","status":"completed","role":"user","content":[{"type":"input_text","text":"t"},{"type":"input_image","image_url":"data:image/png;base64,aa","detail":"low"}]},
		{"type":"function_call","status":"completed","call_id":"c","name":"f","arguments":"{}"},
		{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"t"},{"type":"input_image","image_url":"data:image/png;base64,aa","detail":"low"}]}],
		"tools":[{"type":"function","name":"f"},{"type":"custom","name":"g","format":{"type":"grammar","syntax":"lark","definition":"a"}}],
		"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]},"truncation":"disabled",
		"reasoning":{"effort":"low","summary":"auto","generate_summary":"auto"},"text":{"verbosity":"low"},"service_tier":"auto"}`,
	Messages: `{"model":"m","max_tokens":2000,"system":[{"type":"text","text":"s"}],"messages":[
		{"role":"user","content":[{"type":"text","text":"t"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aa"}}]},
		{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[{"type":"text","text":"x"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aa"}}]}]}],
		"tools":[{"name":"f","input_schema":{"type":"object"}}],"thinking":{"type":"enabled","budget_tokens":1024,"display":"summarized"},
		"output_config":{"effort":"low"},"service_tier":"auto"}`,
	Generate: `{"systemInstruction":{"role":"system","parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"t"}]}],
		"tools":[{"functionDeclarations":[{"name":"f"}]}],"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}},
		"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"}},"serviceTier":"standard"}`,
}

// carriedInto reads a body and writes it for a target: what was named, or the refusal.
func carriedInto(t *testing.T, from, to API, body string, lossy bool) (out string, named []string, refusal *CannotCarry) {
	t.Helper()
	r, err := byAPI(from).DecodeRequest([]byte(body), "m", false)
	if err == nil {
		told := *r
		told.Model, told.Target.Model = probeModel(to, FeatureReasoning), probeModel(to, FeatureReasoning)
		n := Notes{Lossy: lossy}
		var b []byte
		b, err = byAPI(to).EncodeRequest(&told, &n)
		out, named = string(b), n.Dropped
	}
	if err != nil && !errors.As(err, &refusal) {
		t.Fatalf("%s → %s: %v", from, to, err)
	}
	return out, named, refusal
}

var quoted = regexp.MustCompile(`"(\w+)"`)

// TestWrongWords: any word of a request that its API does not have is refused
// by the client's own name of the member, with the words that there are, or
// named where it only says how to answer; into no dialect does it pass in silence.
func TestWrongWords(t *testing.T) {
	for from, body := range wordBodies {
		tried := map[string]bool{}
		for _, at := range quoted.FindAllStringSubmatchIndex(body, -1) {
			bad := body[:at[2]] + "input_zz" + body[at[3]:]
			r, err := byAPI(from).DecodeRequest([]byte(bad), "m", false)
			if err != nil || len(r.wrong) == 0 || r.wrong[0].of == nil {
				continue // a name, a text, or a word that the decoder itself refuses
			}
			w := r.wrong[0]
			tried[w.of.path] = true
			for _, to := range apis {
				if to == from {
					continue
				}
				out, named, refusal := carriedInto(t, from, to, bad, false)
				switch {
				case w.of.fate == Refused && (refusal == nil || refusal.Member != w.member || !strings.Contains(refusal.Msg, w.of.list[0])):
					t.Errorf("%s → %s: %s: %v, %s", from, to, w.member, refusal, out)
				case w.of.fate == Refused:
					out, named, _ = carriedInto(t, from, to, bad, true)
				}
				if !strings.Contains(strings.Join(named, " "), w.member) {
					t.Errorf("%s → %s: %s is not in %q", from, to, w.member, named)
				}
				if w.of.clear != nil && strings.Contains(out, "input_zz") {
					t.Errorf("%s → %s: %s is sent on: %s", from, to, w.member, out)
				}
			}
		}
		for i := range apiWords[from] {
			if p := apiWords[from][i].path; !tried[p] {
				t.Errorf("%s: no probe of %s", from, p)
			}
		}
		if r, err := byAPI(from).DecodeRequest([]byte(body), "m", false); err != nil || len(r.wrong) > 0 {
			t.Errorf("%s: %v, %v", from, err, r.wrong)
		}
	}
}

// TestKnownWords: none of an API's own words is taken for a wrong one.
func TestKnownWords(t *testing.T) {
	for api, list := range apiWords {
		for i := range list {
			for _, word := range list[i].list {
				path := strings.Split(strings.ReplaceAll(list[i].path, "[]", ".[]"), ".")
				body := wrapWord(path, word)
				r := &Request{}
				w := wordReader{api: api, dec: jsontext.NewDecoder(strings.NewReader(body), lenient), r: r}
				w.value(wordTrees[api])
				if len(r.wrong) > 0 {
					t.Errorf("%s: %s: %v", api, body, r.wrong)
				}
				w = wordReader{api: api, dec: jsontext.NewDecoder(strings.NewReader(wrapWord(path, "zz")), lenient), r: r}
				if w.value(wordTrees[api]); len(r.wrong) != 1 {
					t.Errorf("%s: zz in %s is not found", api, body)
				}
			}
		}
	}
}

func wrapWord(path []string, word string) string {
	switch {
	case len(path) == 0:
		return `"` + word + `"`
	case path[0] == "[]":
		return "[" + wrapWord(path[1:], word) + "]"
	}
	return `{"` + path[0] + `":` + wrapWord(path[1:], word) + "}"
}

// TestWrongBesides: what no list of words tells is refused by its name, too.
func TestWrongBesides(t *testing.T) {
	for _, c := range []struct {
		from         API
		body, member string
	}{
		{Chat, `{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"zzz","function":{"name":"f"}}]}`, "tools[0].type"},
		{Chat, `{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"zzz","custom":{"name":"f"}}]}`, "tools[0].type"},
		{Chat, `{"model":"m","messages":[{"role":"user","content":[{"text":"x"}]}]}`, "messages[0].content[0].type"},
		{Chat, `{"model":"m","messages":[{"role":"user","content":[{"type":"zzz","image_url":{"url":"https://x/a.png"}}]}]}`, "messages[0].content[0].type"},
		{Chat, `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, "messages[0].content[0].image_url"},
		{Chat, `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x","image_url":{"url":"https://x/a.png"}}]}]}`, "messages[0].content[0].type"},
		{Chat, `{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":{"zz":1}}`, "tool_choice"},
		{Chat, `{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"function"}}`, "tool_choice"},
		{Chat, `{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":"zzz"}`, "tool_choice"},
		{Chat, `{"model":"m","messages":[{"role":"zzz","content":"x"}]}`, "messages[0].role"},
		{Chat, `{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"zzz"}}`, "response_format"},
		{Responses, `{"model":"m","input":[{"role":"zzz","content":"x"}]}`, "input[0].role"},
		{Responses, `{"model":"m","input":[{"type":"zzz","content":"x"}]}`, "input[0].type"},
		{Responses, `{"model":"m","input":"x","tool_choice":"zzz"}`, "tool_choice"},
		{Responses, `{"model":"m","input":"x","tool_choice":{"zz":1}}`, "tool_choice.type"},
		{Responses, `{"model":"m","input":"x","text":{"format":{"type":"zzz"}}}`, "text.format"},
		{Messages, `{"model":"m","max_tokens":9,"messages":[{"role":"zzz","content":"x"}]}`, "messages[0].role"},
		{Messages, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"zzz"}}`, "tool_choice.type"},
		{Generate, `{"contents":[{"role":"user"}]}`, "contents[0].parts"},
		{Generate, `{"contents":[{"role":"user","parts":[{"text":"x"}]},{"role":"model","parts":[]}]}`, "contents[1].parts"},
		{Generate, `{"contents":[{"role":"zzz","parts":[{"text":"x"}]}]}`, "contents[0].role"},
		{Generate, `{"contents":[{"parts":[{"text":"x"}]}],"tool_config":{"function_calling_config":{"mode":"zzz"}}}`, "tool_config.function_calling_config.mode"},
	} {
		for _, to := range apis {
			if to == c.from {
				continue
			}
			if out, _, refusal := carriedInto(t, c.from, to, c.body, false); refusal == nil || refusal.Member != c.member {
				t.Errorf("%s → %s: %s: %v, %s", c.from, to, c.body, refusal, out)
			}
		}
	}
}
