package wire

import (
	"strings"
	"testing"

	"weir/internal/capability"
)

// What each API's requests ask of a model. The same things at another place,
// or in words of the user's own, ask for nothing.
func TestNeeds(t *testing.T) {
	check := func(api API, body string, want capability.Set) {
		t.Helper()
		v, err := ReadView(api, []byte(body))
		if err != nil || v.Needs != want {
			t.Errorf("%s: %v %v, want %v", body, v.Needs.Names(), err, want.Names())
		}
		cut, err := ScanView(api, &slow{strings.NewReader(body)})
		if err != nil || cut.Needs != want || cut.Shrinks != v.Shrinks || cut.Aside != v.Aside {
			t.Errorf("%s in pieces: %v %v, want %v", body, cut.Needs.Names(), err, want.Names())
		}
	}
	const tools, vision, audio, video, files, schema = capability.Tools, capability.Vision, capability.Audio, capability.Video, capability.Files, capability.Schema
	part := func(p string) string { return `{"messages":[{"role":"user","content":[` + p + `]}]}` }

	check(Chat, `{"model":"m","messages":[{"role":"user","content":"type image_url"}]}`, 0)
	check(Chat, part(`{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"json_schema"}`), vision)
	check(Chat, part(`{"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}}`), audio)
	check(Chat, part(`{"type":"video_url","video_url":{"url":"u"}}`), video)
	check(Chat, part(`{"file":{"file_id":"f"},"type":"file"}`), files)
	check(Chat, `{"tools":[{"type":"function","function":{"name":"image","parameters":{"type":"object","properties":{"a":{"type":"image_url"}}}}}]}`, tools)
	check(Chat, `{"tools":[{"type":"web_search"}],"functions":[]}`, 0)
	check(Chat, `{"tools":[]}`, 0)
	check(Chat, `{"tools":null,"response_format":null,"modalities":null}`, 0)
	check(Chat, `{"functions":[{"name":"f"}]}`, tools)
	check(Chat, `{"messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"type\":\"image_url\"}"}}]}]}`, tools)
	check(Chat, `{"messages":[{"role":"tool","tool_call_id":"c","content":"x"}]}`, tools)
	check(Chat, `{"response_format":{"type":"json_schema","json_schema":{}}}`, schema)
	check(Chat, `{"response_format":{"type":"json_object"}}`, 0)
	check(Chat, `{"modalities":["text","audio"],"audio":{"voice":"x","format":"wav"}}`, capability.AudioOutput)
	check(Chat, `{"modalities":["image"]}`, capability.ImageOutput)
	check(Chat, `{"metadata":{"type":"image_url","modalities":"audio"}}`, 0)

	check(Responses, `{"input":[{"role":"user","content":[{"type":"input_image","file_id":"f"},{"type":"input_file","file_id":"f"}]}]}`, vision|files)
	check(Responses, `{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}`, tools)
	check(Responses, `{"input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"u"}]}]}`, tools|vision)
	check(Responses, `{"input":"x","tools":[{"type":"web_search"},{"type":"custom","name":"f"}],"text":{"format":{"type":"json_schema"}}}`, tools|schema)
	check(Responses, `{"input":"x","tools":[{"type":"web_search"}],"text":{"format":{"type":"text"},"verbosity":"low"}}`, 0)

	check(Messages, part(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QQ=="}}`), vision)
	check(Messages, part(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"QQ=="}}`), files)
	check(Messages, part(`{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"}}`), 0)
	check(Messages, part(`{"source":{"type":"text","data":"x"},"type":"document"},{"type":"document","source":{"type":"url","url":"u"}}`), files)
	check(Messages, part(`{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"url","url":"u"}}]}`), tools|vision)
	check(Messages, part(`{"type":"tool_use","id":"t","name":"f","input":{"content":[{"type":"image"}],"source":{"type":"text"}}}`), tools)
	check(Messages, `{"tools":[{"name":"f","input_schema":{"type":"object"}}]}`, tools)
	check(Messages, `{"tools":[{"type":"custom","name":"f"},{"type":"web_search_20250305","name":"w"}]}`, tools)
	check(Messages, `{"tools":[{"type":"web_search_20250305","name":"w"}]}`, 0)
	check(Messages, `{"output_config":{"format":{"type":"json_schema","schema":{}}}}`, schema)
	check(Messages, `{"output_format":{"type":"json_schema","schema":{}}}`, schema)

	parts := func(p string) string { return `{"contents":[{"role":"user","parts":[` + p + `]}]}` }
	check(Generate, parts(`{"inlineData":{"mimeType":"image/png","data":"QQ=="}},{"fileData":{"mimeType":"VIDEO/mp4","fileUri":"u"}}`), vision|video)
	check(Generate, parts(`{"inline_data":{"mime_type":"audio/wav","data":"QQ=="}},{"inlineData":{"mimeType":"application/pdf","data":"QQ=="}}`), audio|files)
	check(Generate, parts(`{"inlineData":{"mimeType":"text/plain","data":"QQ=="}}`), 0)
	check(Generate, parts(`{"functionCall":{"name":"f","args":{"inlineData":{"mimeType":"image/png"}}}}`), tools)
	check(Generate, parts(`{"functionResponse":{"name":"f","response":{},"parts":[{"inlineData":{"mimeType":"image/png"}}]}}`), tools|vision)
	check(Generate, `{"tools":[{"functionDeclarations":[{"name":"f"}]}]}`, tools)
	check(Generate, `{"tools":[{"googleSearch":{}},{"functionDeclarations":[]}]}`, 0)
	check(Generate, `{"generationConfig":{"responseSchema":{"type":"OBJECT"},"responseModalities":["TEXT","IMAGE"]}}`, schema|capability.ImageOutput)
	check(Generate, `{"generation_config":{"response_json_schema":{},"response_modalities":["audio"]}}`, schema|capability.AudioOutput)
	check(Generate, `{"generationConfig":{"responseSchema":null,"responseMimeType":"application/json"}}`, 0)

	check(Embeddings, `{"input":["a","b"]}`, 0)
	check(Completions, `{"prompt":"type image_url"}`, 0)
	check(Chat, `[{"type":"image_url"}]`, 0)
}

// slow gives one byte at a time.
type slow struct{ r *strings.Reader }

func (s *slow) Read(p []byte) (int, error) { return s.r.Read(p[:1]) }

// What the upstream may cut, and what the model may never see.
func TestShrinksAndAside(t *testing.T) {
	check := func(api API, body string, shrinks bool, aside int64) {
		t.Helper()
		v, err := ReadView(api, []byte(body))
		if err != nil || v.Shrinks != shrinks || v.Aside != aside {
			t.Errorf("%s: %v %d %v", body, v.Shrinks, v.Aside, err)
		}
	}
	check(Responses, `{"truncation":"auto"}`, true, 0)
	check(Responses, `{"truncation":"disabled"}`, false, 0)
	check(Responses, `{"truncation":null,"context_management":null}`, false, 0)
	check(Messages, `{"context_management":{"edits":[]}}`, true, 0)
	check(Chat, `{"truncate_prompt_tokens":7}`, true, 0)
	check(Chat, `{"transforms":["middle-out"]}`, true, 0)
	check(Embeddings, `{"truncate":false}`, false, 0)
	check(Messages, `{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"abc","signature":"s"},{"type":"text","text":"d"}]}]}`, false, 3)
	check(Chat, `{"messages":[{"role":"assistant","content":"a","reasoning_content":"bcd"}],"tools":[{"type":"function","function":{"name":"ef","description":"ghi"}}]}`, false, 8)
	check(Responses, `{"input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"abcd"}]}]}`, false, 4)
}
