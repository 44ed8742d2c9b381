package neutral

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// whole are requests with an object in every place that has a fixed set of members.
var wholeRequests = map[API]string{
	Chat: `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aa"}},
		{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,aa"}}]},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"c","content":"x"}],
		"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}},{"type":"custom","custom":{"name":"g"}}],
		"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},"reasoning":{"effort":"low"}}`,
	Responses: `{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"t"},{"type":"input_image","image_url":"data:image/png;base64,aa"}]},
		{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}],
		"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],"reasoning":{"effort":"low"},
		"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}}}`,
	Messages: `{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s"}],"messages":[
		{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aa"}}]},
		{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[{"type":"text","text":"x"}]}]}],
		"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"},
		"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},"thinking":{"type":"enabled","budget_tokens":2048}}`,
	Generate: `{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"t"},{"inlineData":{"mimeType":"image/png","data":"aa"}}]},
		{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},
		{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"r":1}}}]}],
		"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]}],
		"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}},"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}}`,
}

// places calls f with the body's text after each opening brace of an object
// that is the API's own, and not a client's (a schema, arguments, a result).
func places(t *testing.T, body string, f func(at int, path string)) {
	t.Helper()
	dec := jsontext.NewDecoder(strings.NewReader(body))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return
		}
		if tok.Kind() != '{' {
			continue
		}
		path := string(dec.StackPointer())
		free := false
		for _, name := range []string{"schema", "parameters", "input_schema", "parametersJsonSchema", "args", "response"} {
			free = free || strings.HasSuffix(path, "/"+name)
		}
		if !free && !(strings.HasSuffix(path, "/input") && strings.Contains(path, "/content/")) {
			f(int(dec.InputOffset()), path)
		}
	}
}

// TestUnknownMembersAreNamed: a member that Weir does not know is named
// wherever in a request it stands, to every other dialect.
func TestUnknownMembersAreNamed(t *testing.T) {
	const probe = "zz_unknown"
	for from, body := range wholeRequests {
		places(t, body, func(at int, path string) {
			r, err := byAPI(from).DecodeRequest([]byte(body[:at]+`"`+probe+`":1,`+body[at:]), "m", false)
			if strings.HasSuffix(body[:at+1], "{}") {
				r, err = byAPI(from).DecodeRequest([]byte(body[:at]+`"`+probe+`":1`+body[at:]), "m", false)
			}
			if err != nil {
				t.Errorf("%s%s: %v", from, path, err)
				return
			}
			for _, to := range apis {
				if to == from {
					continue
				}
				told := *r
				told.Target.Model = "m"
				n := Notes{Lossy: true}
				byAPI(to).EncodeRequest(&told, &n)
				if named := strings.Join(n.Dropped, " "); !strings.Contains(named, probe) && !strings.Contains(" "+named+" ", " tools ") { // an unknown tool is named whole
					t.Errorf("%s%s → %s: not named in %v", from, path, to, n.Dropped)
				}
			}
		})
	}
}
