package mockllm_test

import (
	"fmt"
	"strings"
	"testing"

	"weir/internal/mockllm"
	"weir/proxy/wire"
)

// A way is an API with its requests: ask makes one, of a model and of what is
// added to the body.
type way struct {
	name string
	api  wire.API
	path func(model string) string
	body func(model, more string) string
	done string // how its stream ends
}

func fixed(path string) func(string) string { return func(string) string { return path } }

var ways = []way{
	{"chat", wire.Chat, fixed("/v1/chat/completions"), func(model, more string) string {
		return fmt.Sprintf(`{"model":%q,"stream":true,"messages":[{"role":"user","content":"Hello there"}]%s}`, model, more)
	}, "data: [DONE]\n\n"},
	{"completions", wire.Completions, fixed("/v1/completions"), func(model, more string) string {
		return fmt.Sprintf(`{"model":%q,"stream":true,"prompt":"Hello there"%s}`, model, more)
	}, "data: [DONE]\n\n"},
	{"responses", wire.Responses, fixed("/v1/responses"), func(model, more string) string {
		return fmt.Sprintf(`{"model":%q,"stream":true,"input":"Hello there"%s}`, model, more)
	}, "}}\n\n"},
	{"messages", wire.Messages, fixed("/v1/messages"), func(model, more string) string {
		return fmt.Sprintf(`{"model":%q,"max_tokens":4000,"stream":true,"messages":[{"role":"user","content":"Hello there"}]%s}`, model, more)
	}, "{\"type\":\"message_stop\"}\n\n"},
	{"generate", wire.StreamGenerate, func(model string) string {
		return "/v1beta/models/" + model + ":streamGenerateContent?alt=sse"
	}, func(_, more string) string {
		return `{"contents":[{"role":"user","parts":[{"text":"Hello there"}]}]` + more + `}`
	}, "}\r\n\r\n"},
}

func wayOf(name string) way {
	for _, w := range ways {
		if w.name == name {
			return w
		}
	}
	panic(name)
}

func (m *mock) ask(w way, model, more string) reply {
	m.t.Helper()
	return m.post(w.path(model), w.body(model, more))
}

const (
	said    = "You said: Hello there"
	thought = "The user says: Hello there. An echo will do."
)

// twoTools is a list of a tool and of another like it.
func twoTools(one string) string {
	return `,"tools":[` + one + `,` + strings.ReplaceAll(one, "get_weather", "get_time") + `]`
}

// says holds a stream against its grammar and against what it is to say.
func (m *mock) says(name, model, more string, want mockllm.Told) {
	m.t.Helper()
	w := wayOf(name)
	r := m.ask(w, model, more)
	got, err := mockllm.ReadStream(w.api, []byte(r.body))
	if err != nil {
		m.t.Errorf("%s %s %s: %v\n%s", name, model, more, err, r.body)
		return
	}
	if got.Text != want.Text || got.Stop != want.Stop || got.Reasoning != want.Reasoning || len(got.Calls) != len(want.Calls) {
		m.t.Errorf("%s %s %s: got %+v, want %+v", name, model, more, got, want)
	}
	for i, c := range want.Calls {
		if i < len(got.Calls) && (got.Calls[i].Name != c.Name || got.Calls[i].Arguments != c.Arguments) {
			m.t.Errorf("%s %s %s: call %d is %+v, want %+v", name, model, more, i, got.Calls[i], c)
		}
	}
}

var (
	oneCall  = []mockllm.ToldCall{{Name: "get_weather", Arguments: `{"city":"city"}`}}
	twoCalls = []mockllm.ToldCall{oneCall[0], {Name: "get_time", Arguments: `{"city":"city"}`}}
)

// Streams keep the grammar of their API, whatever they say.
func TestOpenAIStreams(t *testing.T) {
	m := start(t, mockllm.Options{})
	m.says("chat", "m", "", mockllm.Told{Text: said, Stop: "stop"})
	m.says("chat", "m", `,"stream_options":{"include_usage":true}`, mockllm.Told{Text: said, Stop: "stop"})
	m.says("chat", "m", `,"max_tokens":2`, mockllm.Told{Text: "You said:", Stop: "length"})
	m.says("chat", "m", `,"stop":["Hello"]`, mockllm.Told{Text: "You said: ", Stop: "stop"})
	m.says("chat", "m", `,"n":3`, mockllm.Told{Text: said, Stop: "stop"})
	m.says("chat", "mock-thinks", "", mockllm.Told{Text: said, Reasoning: thought, Stop: "stop"})
	m.says("chat", "m", twoTools(strings.ReplaceAll(weatherTool, `,"days":{"type":"integer","minimum":2}`, "")), mockllm.Told{Calls: oneCall, Stop: "tool_calls"})
	m.says("chat", "mock-alltools", twoTools(weatherTool), mockllm.Told{Calls: []mockllm.ToldCall{
		{Name: "get_weather", Arguments: `{"city":"city","days":2}`}, {Name: "get_time", Arguments: `{"city":"city","days":2}`},
	}, Stop: "tool_calls"})
	m.says("chat", "m", `,"response_format":{"type":"json_schema","json_schema":{"name":"p","strict":true,"schema":`+person+`}}`,
		mockllm.Told{Text: `{"name":"name","age":1}`, Stop: "stop"})
	m.says("completions", "m", "", mockllm.Told{Text: said, Stop: "stop"})
	m.says("completions", "mock-words-30", "", mockllm.Told{Text: "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et", Stop: "length"})
	m.says("responses", "m", "", mockllm.Told{Text: said, Stop: "completed"})
	m.says("responses", "m", `,"max_output_tokens":16`, mockllm.Told{Text: said, Stop: "completed"})
	m.says("responses", "mock-words-30", `,"max_output_tokens":16`, mockllm.Told{Text: "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et", Stop: "incomplete"})
	m.says("responses", "m", `,"reasoning":{"effort":"low","summary":"auto"}`, mockllm.Told{Text: said, Reasoning: thought, Stop: "completed"})
	m.says("responses", "m", `,"reasoning":{"effort":"low"},"include":["reasoning.encrypted_content"]`, mockllm.Told{Text: said, Stop: "completed"})
	m.says("responses", "m", twoTools(flatTool), mockllm.Told{Calls: oneCall, Stop: "completed"})
	m.says("responses", "mock-alltools", twoTools(flatTool), mockllm.Told{Calls: twoCalls, Stop: "completed"})
}

func TestOtherStreams(t *testing.T) {
	m := start(t, mockllm.Options{})
	m.says("messages", "m", "", mockllm.Told{Text: said, Stop: "end_turn"})
	m.says("messages", "m", `,"stop_sequences":["there"]`, mockllm.Told{Text: "You said: Hello ", Stop: "stop_sequence"})
	m.says("messages", "m", `,"thinking":{"type":"adaptive"}`, mockllm.Told{Text: said, Reasoning: thought, Stop: "end_turn"})
	m.says("messages", "mock-alltools", twoTools(claudeTool), mockllm.Told{Calls: twoCalls, Stop: "tool_use"})
	m.says("messages", "mock-alltools", twoTools(claudeTool)+`,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, mockllm.Told{Calls: oneCall, Stop: "tool_use"})
	m.says("generate", "m", "", mockllm.Told{Text: said, Stop: "STOP"})
	m.says("generate", "m", `,"generationConfig":{"maxOutputTokens":3}`, mockllm.Told{Text: "You said: Hello", Stop: "MAX_TOKENS"})
	m.says("generate", "m", `,"generationConfig":{"thinkingConfig":{"includeThoughts":true}}`, mockllm.Told{Text: said, Reasoning: thought, Stop: "STOP"})
	m.says("generate", "mock-alltools", twoTools(geminiTool), mockllm.Told{Calls: twoCalls, Stop: "STOP"})
	m.says("generate", "m", `,"generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"ok":{"type":"BOOLEAN"}}}}`,
		mockllm.Told{Text: `{"ok":true}`, Stop: "STOP"})
}

// The validators refuse streams that break the grammar: a line taken out, two
// events swapped, an event twice.
func TestGrammarRefuses(t *testing.T) {
	m := start(t, mockllm.Options{})
	for _, w := range ways {
		more := ""
		if w.name == "responses" {
			more = `,"reasoning":{"effort":"low","summary":"auto"}`
		}
		body := strings.ReplaceAll(m.ask(w, "m", more).body, "\r\n", "\n")
		events := strings.SplitAfter(strings.TrimSuffix(body, "\n\n"), "\n\n")
		check := func(what string, events []string) {
			t.Helper()
			if _, err := mockllm.ReadStream(w.api, []byte(strings.Join(events, "")+"\n\n")); err == nil {
				t.Errorf("%s: %s is taken", w.name, what)
			}
		}
		last := len(events) - 1
		check("a stream without its end", events[:last])
		check("an end that comes twice", append(events[:last:last], events[last]+"\n\n", events[last]))
		if w.name == "responses" || w.name == "messages" {
			check("a stream without its beginning", events[1:])
			check("a wrong event line", append([]string{"event: wrong\n" + strings.SplitAfterN(events[0], "\n", 2)[1]}, events[1:]...))
		}
		if w.name == "responses" {
			for i := range events {
				if i == 1 {
					continue // response.in_progress, which may be missing
				}
				check(fmt.Sprintf("a stream without event %d", i), append(events[:i:i], renumbered(events[i+1:])...))
			}
		}
		if w.name == "chat" {
			check("a first delta without role", events[1:])
		}
	}
}

// renumbered takes one from the sequence numbers, so that a gap doesn't show.
func renumbered(events []string) []string {
	out := make([]string, len(events))
	for i, e := range events {
		at := strings.Index(e, `"sequence_number":`) + len(`"sequence_number":`)
		var n int
		_, _ = fmt.Sscanf(e[at:], "%d", &n)
		out[i] = strings.Replace(e, fmt.Sprintf(`"sequence_number":%d,`, n), fmt.Sprintf(`"sequence_number":%d,`, n-1), 1)
	}
	return out
}

// A stream says what the plain reply says.
func TestStreamEqualsPlain(t *testing.T) {
	m := start(t, mockllm.Options{})
	for _, w := range ways {
		got, err := mockllm.ReadStream(w.api, []byte(m.ask(w, "m", "").body))
		if err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
		path := strings.Replace(w.path("m"), ":streamGenerateContent?alt=sse", ":generateContent", 1)
		plain := m.post(path, strings.Replace(w.body("m", ""), `"stream":true,`, "", 1))
		if plain.status != 200 || !strings.Contains(plain.body, got.Text) {
			t.Errorf("%s: the stream says %q, the reply %s", w.name, got.Text, plain.body)
		}
	}
}

func TestUsageShapes(t *testing.T) {
	m := start(t, mockllm.Options{})
	count := func(name, model, more, sub string, want int) {
		t.Helper()
		r := m.ask(wayOf(name), model, more)
		if got := strings.Count(r.body, sub); got != want {
			t.Errorf("%s %s %s: %q is there %d times, want %d\n%s", name, model, more, sub, got, want, r.body)
		}
	}
	const asked = `,"stream_options":{"include_usage":true}`
	count("chat", "m", "", `"usage"`, 0)
	count("chat", "m", asked, `"usage":null`, 6)
	count("chat", "m", asked, `"choices":[],"usage":{`, 1)
	count("chat", "mock-nousage", asked, `"usage"`, 0)
	count("chat", "mock-nullusage", "", `"usage":null`, 6)
	count("chat", "mock-finishusage", asked, `"finish_reason":"stop"}],"usage":{`, 1)
	count("chat", "mock-finishusage", asked, `"choices":[]`, 0)
	count("chat", "mock-everyusage", "", `"usage":{`, 6)
	count("chat", "mock-alwaysusage", "", `"choices":[],"usage":{`, 1)
	count("chat", "mock-cached-50", asked, `"prompt_tokens":50,"completion_tokens":4,"total_tokens":54,"prompt_tokens_details":{"cached_tokens":50`, 1)
	count("chat", "mock-reasoning-90", asked, `"completion_tokens":94`, 1)
	count("chat", "mock-reasoning-90", asked, `"reasoning_tokens":90`, 1)
	count("responses", "mock-nousage", "", `"usage":{`, 0)
	count("responses", "m", "", `"usage":{`, 1)
	count("messages", "mock-cached-50-cachewrite-7", "", `"cache_creation_input_tokens":7,"cache_read_input_tokens":50`, 2)
	count("messages", "mock-nousage", "", `"usage"`, 0)
	count("generate", "m", "", `"usageMetadata":{`, 5)
	count("generate", "mock-finishusage", "", `"usageMetadata":{`, 1)
	count("generate", "mock-nousage", "", `"usageMetadata"`, 0)
	count("generate", "mock-reasoning-90", "", `"thoughtsTokenCount":90`, 1)
}

// After the result of a tool the answer holds it.
func TestToolResults(t *testing.T) {
	m := start(t, mockllm.Options{})
	check := func(path, body string) {
		t.Helper()
		if r := m.post(path, body); r.status != 200 || !strings.Contains(r.body, "The tool said: 21 degrees") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	check("/v1/chat/completions", `{"model":"m","tools":[`+weatherTool+`],"messages":[{"role":"user","content":"a"},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"get_weather","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"21 degrees"}]}`)
	check("/v1/responses", `{"model":"m","tools":[`+flatTool+`],"input":[{"role":"user","content":"a"},
		{"type":"function_call","call_id":"c1","name":"get_weather","arguments":"{}"},
		{"type":"function_call_output","call_id":"c1","output":"21 degrees"}]}`)
	check("/v1/messages", `{"model":"m","max_tokens":99,"tools":[`+claudeTool+`],"messages":[{"role":"user","content":"a"},
		{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"get_weather","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"21 degrees"}]}]}]}`)
	check("/v1beta/models/m:generateContent", `{"tools":[`+geminiTool+`],"contents":[{"role":"user","parts":[{"text":"a"}]},
		{"role":"model","parts":[{"functionCall":{"name":"get_weather","args":{}}}]},
		{"role":"user","parts":[{"functionResponse":{"name":"get_weather","response":{"output":"21 degrees"}}}]}]}`)
}

// No beginning of a stream passes for a whole one.
func TestGrammarRefusesCuts(t *testing.T) {
	m := start(t, mockllm.Options{})
	for _, w := range ways {
		body := strings.ReplaceAll(m.ask(w, "m", "").body, "\r\n", "\n")
		for n := range body {
			if _, err := mockllm.ReadStream(w.api, []byte(body[:n])); err == nil {
				t.Errorf("%s: the first %d bytes of %d pass", w.name, n, len(body))
			}
		}
		if _, err := mockllm.ReadStream(w.api, []byte(body)); err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
	}
}
