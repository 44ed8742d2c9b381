package config

import (
	"encoding/json"
	"strings"
	"testing"

	"weir/internal/capability"
)

// What a file says of models, for all providers and for one.
func TestModels(t *testing.T) {
	c := parse(t, `
models:
  "qwen2.5-*": {tools: yes, vision: no, context: 32768}
  big: {context: 1M, max_output: 64k, schema: on, audio: false, video: unknown}
  gone: {context: unknown}
providers:
  gpu:
    kind: vllm
    base_url: http://10.0.0.5:8000
    models: {"llama-*": {vision: yes}, plain: }
  list: {kind: mock, models: [a, b]}
`)
	want := []capability.Said{
		{Glob: "qwen2.5-*", Context: 32768, Has: capability.Tools, Lacks: capability.Vision},
		{Glob: "big", Context: 1_000_000, MaxOutput: 64_000, Has: capability.Schema, Lacks: capability.Audio, Forget: capability.Video},
		{Glob: "gone", Context: capability.Unknown},
	}
	if len(c.Models) != 3 || c.Models[0] != want[0] || c.Models[1] != want[1] || c.Models[2] != want[2] {
		t.Errorf("models: %+v", c.Models)
	}
	gpu, list := c.Provider("gpu"), c.Provider("list")
	if strings.Join(gpu.Models, " ") != "llama-* plain" || len(gpu.Can) != 2 || gpu.Can[0] != (capability.Said{Glob: "llama-*", Has: capability.Vision}) {
		t.Errorf("gpu: %+v", gpu)
	}
	if strings.Join(list.Models, " ") != "a b" || list.Can != nil {
		t.Errorf("list: %+v", list)
	}
	b, err := json.Marshal(c.Redacted())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"models":{"big":{"audio":"no","context":1000000,"max_output":64000,"schema":"yes","video":"unknown"},"gone":{"context":"unknown"},"qwen2.5-*":{"context":32768,"tools":"yes","vision":"no"}}`,
		`"models":{"llama-*":{"vision":"yes"},"plain":{}}`, `"models":["a","b"]`,
	} {
		if !strings.Contains(string(b), part) {
			t.Errorf("shown without %s: %s", part, b)
		}
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	if c = parse(t, "models: {some: {}}\nproviders: {mock: }"); len(c.Warnings) != 1 || c.Warnings[0].Line != 1 || !strings.Contains(c.Warnings[0].What, `nothing is said of "some"`) {
		t.Errorf("warnings: %v", c.Warnings)
	}
}

func TestModelsProblems(t *testing.T) {
	check := func(text string, want ...string) {
		t.Helper()
		_, err := Parse("weir.yaml", []byte(text), nil)
		if err == nil || err.Error() != strings.Join(want, "\n") {
			t.Errorf("Parse(%q)\ngot  %v\nwant %s", text, err, strings.Join(want, "\n     "))
		}
	}
	check("models:\n  m: {visoin: yes}", `weir.yaml:2: models.m: unknown key "visoin" (did you mean "vision"?)`)
	check("models:\n  m:\n    tools: maybe\n    context: lots", `weir.yaml:3: models.m.tools: want yes, no or unknown, got "maybe"`, `weir.yaml:4: models.m.context: want a number of tokens like 32768, 128k or 1M, or unknown, got "lots"`)
	check("models: {m: {vision: unknow}}", `weir.yaml:1: models.m.vision: want yes, no or unknown, got "unknow" (did you mean "unknown"?)`)
	check("models: {m: {context: 0}}", `weir.yaml:1: models.m.context: want a number of tokens like 32768, 128k or 1M, or unknown, got "0"`)
	check("models: {m: {context: 99999999999M}}", `weir.yaml:1: models.m.context: want a number of tokens like 32768, 128k or 1M, or unknown, got "99999999999M"`)
	check("models:\n  m:\n    context: 10\n    max_output: 20", `weir.yaml:4: models.m.max_output: want at most the context's 10 tokens`)
	check("models: {'a[': {tools: yes}}", `weir.yaml:1: models: "a[" is not a name or glob`)
	check("models: [a]", `weir.yaml:1: models: want a mapping of names, got a list`)
	check("models:\n  m: {tools: yes}\n  m: {tools: no}", `weir.yaml:3: models: the key "m" is here twice, first in line 2`)
	check("providers:\n  p:\n    kind: mock\n    models: {m: {tols: yes}}", `weir.yaml:4: providers.p.models.m: unknown key "tols" (did you mean "tools"?)`)
	check("providers:\n  p:\n    kind: mock\n    models:\n      'a[': {}", `weir.yaml:5: providers.p.models: "a[" is not a name or glob`)
}

func TestModelsSchemaAgrees(t *testing.T) {
	s := compiled(t)
	check := func(text string, valid bool) {
		t.Helper()
		_, parsed := Parse("f", []byte(text), nil)
		seen := s.Validate(asJSON(t, text))
		if (parsed == nil) != valid || (seen == nil) != valid {
			t.Errorf("%s\nwant valid = %v\nParse: %v\nschema: %v", text, valid, parsed, seen)
		}
	}
	check("models: {'q*': {tools: yes, vision: 'no', context: 32768}, r: {context: 128k, max_output: unknown, audio: unknown}, s: }", true)
	check("providers: {m: {kind: mock, models: {a: {vision: yes}, b: }}}", true)
	check("models: {m: {tool: yes}}", false)
	check("models: {m: {tools: perhaps}}", false)
	check("models: {m: {context: many}}", false)
	check("providers: {m: {kind: mock, models: {a: {vison: yes}}}}", false)
}
