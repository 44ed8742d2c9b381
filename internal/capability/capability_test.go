package capability

import (
	"math/bits"
	"strings"
	"testing"
	"time"
)

// The table is sane: every vendor has a source and a date, no row says both
// yes and no, none is hidden by an earlier one, and what talks has a window.
func TestTable(t *testing.T) {
	seen := map[string]string{}
	for _, v := range vendors {
		if v.name == "" || len(v.sources) == 0 || len(v.rows) == 0 {
			t.Errorf("vendor %+v: want a name, sources and rows", v.name)
		}
		if read, err := time.Parse(time.DateOnly, v.read); err != nil || read.Year() < 2026 {
			t.Errorf("%s: read on %q", v.name, v.read)
		}
		for _, s := range v.sources {
			if !strings.HasPrefix(s, "https://") {
				t.Errorf("%s: source %q", v.name, s)
			}
		}
		for _, r := range v.rows {
			if r.has&r.lacks != 0 {
				t.Errorf("%s: yes and no to %v", r.models, (r.has & r.lacks).Names())
			}
			if (r.has|r.lacks)&(Context|MaxOutput) != 0 {
				t.Errorf("%s: a size in the sets", r.models)
			}
			if r.has&(Chat|Completions) != 0 && r.context <= 0 || r.context < 0 || r.maxOutput < 0 || r.maxOutput > r.context {
				t.Errorf("%s: context %d, output %d", r.models, r.context, r.maxOutput)
			}
			for glob := range strings.FieldsSeq(r.models) {
				if before := seen[glob]; before != "" || strings.ToLower(glob) != glob {
					t.Errorf("%s: here twice, or not in lower case", glob)
				}
				seen[glob] = r.models
				for _, name := range []string{strings.ReplaceAll(glob, "*", ""), strings.ReplaceAll(glob, "*", "9")} {
					if first := find(name); first != r.models && Match(glob, name) {
						t.Errorf("%s: %q is taken by the earlier %q", glob, name, first)
					}
				}
			}
		}
	}
}

// find returns the models of the first row that matches.
func find(name string) string {
	for _, v := range vendors {
		for _, r := range v.rows {
			if r.matches(name) {
				return r.models
			}
		}
	}
	return ""
}

func TestKnown(t *testing.T) {
	check := func(model string, context int64, has, lacks Set, sure bool) {
		t.Helper()
		f := Known(model)
		if f.Context != context || f.Has&has != has || f.Lacks&lacks != lacks || (f.Sure != 0) != sure {
			t.Errorf("%s: %d has %v lacks %v sure %v", model, f.Context, f.Has.Names(), f.Lacks.Names(), f.Sure)
		}
	}
	check("gpt-3.5-turbo", 16385, Chat|Tools, Vision|Schema, true)
	check("ft:gpt-4o-mini-2024-07-18:org::id", 128000, Vision|Schema, Audio, false)
	check("openai/gpt-4o", 128000, Vision, Audio, false)
	check("gpt-4o-audio-preview-2024-12-17", 128000, Audio|AudioOutput, Vision, false)
	check("gpt-4o-2027-01-01", 0, 0, 0, false) // what nobody has documented is unknown
	check("us.anthropic.claude-haiku-4-5-20251001-v1:0", 200000, Vision|Tools, Audio, false)
	check("claude-sonnet-4@20250514", 1000000, Tools, Schema, false)
	check("claude-opus-4-1-20250805", 200000, Schema, Audio, true)
	check("models/gemini-2.5-pro", 1048576, Audio|Video|Files, ImageOutput, true)
	check("gemini-2.5-flash-image", 131072, ImageOutput, AudioOutput, false)
	check("gemini-2.5-flash-preview-tts", 32768, AudioOutput, Vision, false)
	check("meta-llama/Llama-3.3-70B-Instruct", 131072, Tools, Vision, false)
	check("llama-3.3-70b-versatile", 131072, Tools, Vision, true)
	check("llama3.1:8b", 131072, Tools, Vision, false)
	check("text-embedding-3-small", 8192, Embeddings, Chat, true)
	check("some-model", 0, 0, 0, false)
	check("", 0, 0, 0, false)
}

// What is said goes before what is known, member by member, the nearer list
// before the farther and the earlier glob before the later.
func TestResolve(t *testing.T) {
	near := []Said{{Glob: "gpt-3.5-turbo", Has: Vision}, {Glob: "gpt-*", Lacks: Vision | Tools, Context: 1000}}
	far := []Said{{Glob: "*", Context: 5, MaxOutput: 7, Forget: Schema | Audio}}
	f := Resolve("gpt-3.5-turbo", near, far)
	if f.Has&Vision == 0 || f.Lacks&Tools == 0 || f.Has&Tools != 0 || f.Context != 1000 || f.MaxOutput != 7 {
		t.Errorf("%+v", f)
	}
	if (f.Has|f.Lacks)&(Schema|Audio) != 0 || f.Lacks&Video == 0 || f.Has&f.Lacks != 0 {
		t.Errorf("%+v", f)
	}
	if f = Resolve("gpt-4", []Said{{Glob: "gpt-4", Context: Unknown}}); f.Context != 0 || f.MaxOutput != 8192 {
		t.Errorf("%+v", f)
	}
	if f = Resolve("mine", []Said{{Glob: "m*", Lacks: Tools}}); f.Lacks != Tools || f.Sure != Tools || f.Context != 0 {
		t.Errorf("%+v", f)
	}
	if f = Resolve("deepseek-chat", []Said{{Glob: "deepseek-*", Lacks: Vision}}); f.Sure != Vision || f.Context != 1048576 {
		t.Errorf("what the vendor changes is sure: %+v", f)
	}
}

func TestMembers(t *testing.T) {
	var all Set
	for _, m := range Members {
		if bits.OnesCount32(uint32(m.Set)) != 1 || all&m.Set != 0 || m.Name == "" || m.Does == "" {
			t.Errorf("member %+v", m)
		}
		all |= m.Set
	}
	if all != Context-1 {
		t.Errorf("members %b", all)
	}
	if m := (Vision | Tools).First(); m.Set != Tools {
		t.Errorf("first %+v", m)
	}
	if m := Set(0).First(); m.Set != 0 {
		t.Errorf("first %+v", m)
	}
}
