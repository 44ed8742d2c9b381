package neutral

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestClaudeNames(t *testing.T) {
	check := func(model, family string, version int) {
		t.Helper()
		if c := claudeOf(model); c.family != family || c.version != version {
			t.Errorf("%s: %s %d, want %s %d", model, c.family, c.version, family, version)
		}
	}
	check("claude-3-haiku-20240307", "haiku", 30)
	check("claude-3-5-sonnet-20241022", "sonnet", 35)
	check("claude-3-7-sonnet-latest", "sonnet", 37)
	check("claude-sonnet-4-20250514", "sonnet", 40)
	check("claude-opus-4-1-20250805", "opus", 41)
	check("claude-haiku-4-5-20251001", "haiku", 45)
	check("claude-opus-4-6", "opus", 46)
	check("claude-opus-4.8", "opus", 48)
	check("claude-sonnet-5", "sonnet", 50)
	check("claude-opus-5-5", "opus", 55)
	check("claude-fable-5-1", "fable", 51)
	check("claude-mythos-preview", "mythos", 0)
	check("claude-mock-fast", "mock", 0)
	check("us.anthropic.claude-opus-4-6-v1:0", "opus", 46)
	check("anthropic.claude-3-5-sonnet-20241022-v2:0", "sonnet", 35)
	check("claude-sonnet-4@20250514", "sonnet", 40)
	check("anthropic/claude-haiku-4.5", "haiku", 45)
	check("claude-instant-1.2", "instant", 12)
	check("claude-2.1", "", 21)
	check("claude-", "", 0)
	check("kimi-k2", "", 0)
	check("", "", 0)
}

func TestMessagesThinking(t *testing.T) {
	check := func(model string, edit func(r *Request), thinking, config, maxTokens string, dropped ...string) {
		t.Helper()
		body, n := encodeMessages(t, foreign(func(r *Request) { r.Model = model; edit(r) }))
		if got := member(t, body, "thinking"); got != thinking {
			t.Errorf("%s: thinking %s, want %s", model, got, thinking)
		}
		if got := member(t, body, "output_config"); got != config {
			t.Errorf("%s: output_config %s, want %s", model, got, config)
		}
		if got := member(t, body, "max_tokens"); got != maxTokens {
			t.Errorf("%s: max_tokens %s, want %s", model, got, maxTokens)
		}
		if len(n.Dropped) != len(dropped) {
			t.Errorf("%s: dropped %q, want %q", model, n.Dropped, dropped)
		}
	}
	effort := func(word string) func(r *Request) { return func(r *Request) { r.Reasoning.Effort = word } }
	budget := func(n int64) func(r *Request) { return func(r *Request) { r.Reasoning.Budget = &n } }
	nothing := func(r *Request) {}
	limited := func(limit int64, edit func(r *Request)) func(r *Request) {
		return func(r *Request) { r.MaxOutput = &limit; edit(r) }
	}
	forced := func(edit func(r *Request)) func(r *Request) {
		return func(r *Request) { r.Tools, r.Choice.Mode = []Tool{{Name: "f"}}, Required; edit(r) }
	}
	const reasoning = "reasoning_effort"

	check("claude-3-haiku-20240307", nothing, "", "", "4096")
	check("claude-3-5-haiku-latest", effort("high"), "", "", "8192", reasoning)
	check("claude-sonnet-4-5", nothing, "", "", "8192")
	check("claude-sonnet-4-5", effort("none"), "", "", "8192")
	check("claude-sonnet-4-5", effort("low"), `{"type":"enabled","budget_tokens":1024}`, "", "8192")
	check("claude-sonnet-4-5", effort("medium"), `{"type":"enabled","budget_tokens":8192}`, "", "16384")
	check("claude-sonnet-4-5", limited(100, effort("high")), `{"type":"enabled","budget_tokens":24576}`, "", "24676")
	check("claude-sonnet-4-5", limited(32000, effort("high")), `{"type":"enabled","budget_tokens":24576}`, "", "32000")
	check("claude-opus-4-1", limited(20000, effort("high")), `{"type":"enabled","budget_tokens":16000}`, "", "32000")
	check("claude-sonnet-4-5", budget(10), `{"type":"enabled","budget_tokens":1024}`, "", "8192")
	check("claude-sonnet-4-5", budget(-1), `{"type":"enabled","budget_tokens":8192}`, "", "16384")
	check("claude-sonnet-4-5", budget(0), "", "", "8192")
	check("claude-sonnet-4-5", forced(effort("low")), "", "", "8192", reasoning)
	check("claude-opus-4-6", nothing, "", "", "8192")
	check("claude-opus-4-6", effort("minimal"), `{"type":"adaptive"}`, `{"effort":"low"}`, "32000")
	check("claude-opus-4-6", effort("xhigh"), `{"type":"adaptive"}`, `{"effort":"high"}`, "32000")
	check("claude-opus-4-8", effort("xhigh"), `{"type":"adaptive"}`, `{"effort":"xhigh"}`, "32000")
	check("claude-opus-4-8", limited(50, budget(31999)), `{"type":"adaptive"}`, `{"effort":"high"}`, "50")
	check("claude-opus-4-8", func(r *Request) { r.Reasoning = Reasoning{Effort: "low", Summary: "auto"} },
		`{"type":"adaptive","display":"summarized"}`, `{"effort":"low"}`, "32000")
	check("claude-sonnet-5", nothing, "", "", "32000")
	check("claude-sonnet-5", effort("none"), `{"type":"disabled"}`, "", "8192")
	check("claude-sonnet-5", forced(nothing), `{"type":"disabled"}`, "", "8192")
	check("claude-sonnet-5-5", effort("none"), `{"type":"between_tools"}`, "", "8192")
	check("claude-opus-5-5", effort("none"), "", `{"effort":"low"}`, "32000", reasoning)
	check("some-compatible-model", effort("low"), `{"type":"enabled","budget_tokens":1024}`, "", "8192")
}

// A model with a budget must see the thoughts that its last calls came from;
// another vendor's are no such.
func TestMessagesLostThoughts(t *testing.T) {
	check := func(model string, thought *Thought, thinking string) {
		t.Helper()
		body, _ := encodeMessages(t, foreign(func(r *Request) {
			r.Model, r.Reasoning.Effort = model, "low"
			said := []Part{{Kind: Call, Call: &ToolCall{ID: "a", Name: "f"}}}
			if thought != nil {
				said = append([]Part{{Kind: Thinking, Thought: thought}}, said...)
			}
			r.Turns = append(r.Turns, Turn{Role: Assistant, Parts: said}, Turn{Parts: []Part{{Kind: Result, Result: &ToolResult{ID: "a"}}}})
		}))
		if got := member(t, body, "thinking"); got != thinking {
			t.Errorf("%s, %v: thinking %s, want %s", model, thought, got, thinking)
		}
	}
	on := `{"type":"enabled","budget_tokens":1024}`
	check("claude-sonnet-4-5", nil, "")
	check("claude-sonnet-4-5", &Thought{Text: "x", Signature: "s", From: Generate}, "")
	check("claude-sonnet-4-5", &Thought{Text: "x", From: Messages}, "")
	check("claude-sonnet-4-5", &Thought{Text: "x", Signature: "s", From: Messages}, on)
	check("claude-sonnet-4-5", &Thought{Sealed: "s", From: Messages}, on)
	check("claude-opus-4-6", nil, `{"type":"adaptive"}`)
}

func TestMessagesSampling(t *testing.T) {
	check := func(model, temperature, topP, topK string, want ...string) {
		t.Helper()
		body, _ := encodeMessages(t, foreign(func(r *Request) {
			r.Model = model
			r.Temperature, r.TopP, r.TopK = jsontext.Value(temperature), jsontext.Value(topP), jsontext.Value(topK)
		}))
		for i, name := range []string{"temperature", "top_p", "top_k"} {
			if got := member(t, body, name); got != want[i] {
				t.Errorf("%s %s %s %s: %s = %s, want %s", model, temperature, topP, topK, name, got, want[i])
			}
		}
	}
	check("claude-3-7-sonnet-latest", "0.70", "0.5", "40", "0.70", "0.5", "40")
	check("claude-sonnet-4-5", "1.7", "", "", "1", "", "")
	check("claude-sonnet-4-5", "0", "0.5", "", "0", "", "")
	check("claude-sonnet-4-5", "", "0.5", "3", "", "0.5", "3")
	check("claude-opus-4-8", "1", "0.99", "3", "1", "", "")
	check("claude-opus-4-8", "", "0.99", "", "", "0.99", "")
	check("claude-opus-4-8", "0.3", "0.3", "", "", "", "")
}

func TestMessagesToolChoice(t *testing.T) {
	yes, no := true, false
	check := func(c Choice, parallel *bool, want string, tools int) {
		t.Helper()
		body, _ := encodeMessages(t, foreign(func(r *Request) {
			r.Choice, r.Parallel, r.Tools = c, parallel, []Tool{{Name: "a"}, {Name: "b"}, {Name: "c"}}
		}))
		if got := member(t, body, "tool_choice"); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
		var list []jsontext.Value
		if err := decode([]byte(member(t, body, "tools")), &list); err != nil || len(list) != tools {
			t.Errorf("%+v: %d tools, want %d", c, len(list), tools)
		}
	}
	check(Choice{}, nil, "", 3)
	check(Choice{}, &yes, "", 3)
	check(Choice{}, &no, `{"type":"auto","disable_parallel_tool_use":true}`, 3)
	check(Choice{Mode: SayAuto}, &yes, `{"type":"auto"}`, 3)
	check(Choice{Mode: Never}, &no, `{"type":"none"}`, 3)
	check(Choice{Mode: Required}, &no, `{"type":"any","disable_parallel_tool_use":true}`, 3)
	check(Choice{Mode: Only, Names: []string{"b"}}, nil, `{"type":"tool","name":"b"}`, 3)
	check(Choice{Mode: Only, Names: []string{"c", "a"}}, nil, `{"type":"any"}`, 2)
	body, _ := encodeMessages(t, foreign(func(r *Request) { r.Choice.Mode, r.Parallel = SayAuto, &no }))
	if got := member(t, body, "tool_choice"); got != "" {
		t.Errorf("a choice without tools: %s", got)
	}
}

func TestMessagesFormat(t *testing.T) {
	check := func(model string, f Format, system, config string) {
		t.Helper()
		body, _ := encodeMessages(t, foreign(func(r *Request) { r.Model, r.Format = model, f }))
		if got := member(t, body, "system"); got != system {
			t.Errorf("%s: system %s, want %s", model, got, system)
		}
		if got := member(t, body, "output_config"); got != config {
			t.Errorf("%s: output_config %s, want %s", model, got, config)
		}
	}
	schema := Format{Kind: JSONSchema, Name: "n", Schema: jsontext.Value(`{"type":"object","properties":{"z":{},"a":{}}}`)}
	check("claude-sonnet-4-5", Format{Kind: SayText}, "", "")
	check("claude-sonnet-4-5", schema, "", `{"format":{"type":"json_schema","schema":{"type":"object","properties":{"z":{},"a":{}}}}}`)
	check("claude-sonnet-4-0", schema, `"Answer with one JSON value that is valid by the following JSON Schema, and with nothing before or after it.\n{\"type\":\"object\",\"properties\":{\"z\":{},\"a\":{}}}"`, "")
	check("claude-sonnet-4-5", Format{Kind: JSONObject}, `"Answer with one JSON object, and with nothing before or after it."`, "")
}

func TestMessagesTools(t *testing.T) {
	yes := true
	check := func(tool Tool, want string) {
		t.Helper()
		body, _ := encodeMessages(t, foreign(func(r *Request) { r.Tools = []Tool{tool} }))
		if got := member(t, body, "tools"); got != "["+want+"]" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	check(Tool{Name: "f"}, `{"name":"f","input_schema":{"type":"object","properties":{}}}`)
	check(Tool{Name: "f", Description: "d", Schema: jsontext.Value(`{"properties":{"b":{},"a":{}}}`), Strict: &yes},
		`{"name":"f","description":"d","input_schema":{"type":"object","properties":{"b":{},"a":{}}},"strict":true}`)
	check(Tool{Name: "f", Schema: jsontext.Value(`{"b": 1.0, "type":"object"}`), Cache: jsontext.Value(`{"type":"ephemeral"}`)},
		`{"name":"f","input_schema":{"b": 1.0, "type":"object"},"cache_control":{"type":"ephemeral"}}`)
	check(Tool{Raw: jsontext.Value(`{"type":"web_search","search_context_size":"low"}`), From: Responses},
		`{"type":"web_search_20250305","name":"web_search"}`)
}
