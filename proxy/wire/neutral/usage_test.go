package neutral

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"

	"weir/costs"
	"weir/proxy/wire"
)

// dialectUsage is how a dialect tells usage, and which meters it has names for.
type dialectUsage struct {
	api    wire.API
	append func([]byte, costs.Usage) []byte
	says   []costs.Meter
}

var dialectUsages = []dialectUsage{
	{wire.Chat, appendChatUsage, []costs.Meter{
		costs.Input, costs.InputCacheRead, costs.InputCacheWrite, costs.InputAudio, costs.InputImage,
		costs.Output, costs.OutputReasoning, costs.OutputAudio,
	}},
	{wire.Responses, appendResponsesUsage, []costs.Meter{
		costs.Input, costs.InputCacheRead, costs.InputCacheWrite, costs.Output, costs.OutputReasoning,
	}},
	{wire.Messages, appendMessagesUsage, []costs.Meter{
		costs.Input, costs.InputCacheRead, costs.InputCacheWrite, costs.InputCacheWrite5m, costs.InputCacheWrite1h,
		costs.Output, costs.OutputReasoning,
	}},
	{wire.Generate, appendGenerateUsage, []costs.Meter{
		costs.Input, costs.InputCacheRead, costs.InputAudio, costs.InputImage, costs.InputVideo,
		costs.InputCacheReadAudio, costs.InputCacheReadImage, costs.InputCacheReadVideo, costs.InputTool,
		costs.Output, costs.OutputReasoning, costs.OutputAudio, costs.OutputImage,
	}},
}

func drawUsage(t *rapid.T, from []costs.Meter) costs.Usage {
	var u costs.Usage
	for _, m := range from {
		if rapid.Bool().Draw(t, "knows "+m.String()) {
			u.Set(m, rapid.Int64Range(0, 1<<40).Draw(t, m.String()))
		}
	}
	return u
}

// What a dialect has a name for is read back as it was.
func TestUsageIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, d := range dialectUsages {
			u := drawUsage(t, d.says)
			text := d.append(nil, u)
			back := wire.ReadUsage(d.api, text)
			for _, m := range d.says {
				want, _ := u.Get(m)
				if got, _ := back.Get(m); got != want {
					t.Fatalf("%s: %v is %d, want %d, in %s", d.api, m, got, want, text)
				}
			}
		}
	})
}

// Whatever the meters, a dialect's totals are their sums, and the output is JSON.
func TestUsageSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := drawUsage(t, costs.Meters())
		in, _ := u.Input()
		out, _ := u.Output()
		for _, d := range dialectUsages {
			text := d.append([]byte(`{"usage":`), u)
			if !json.Valid(append(text, '}')) {
				t.Fatalf("%s: %s", d.api, text)
			}
			back := wire.ReadUsage(d.api, text[len(`{"usage":`):])
			gotIn, _ := back.Input()
			gotOut, _ := back.Output()
			if gotIn != in || gotOut != out {
				t.Fatalf("%s: %d and %d, want %d and %d, in %s", d.api, gotIn, gotOut, in, out, text)
			}
		}
	})
}

func TestUsageShapes(t *testing.T) {
	check := func(name string, got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	var nothing, some costs.Usage
	some.Set(costs.Input, 10)
	some.Set(costs.InputCacheRead, 4)
	some.Set(costs.InputCacheWrite5m, 3)
	some.Set(costs.InputCacheReadAudio, 2)
	some.Set(costs.InputTool, 1)
	some.Set(costs.Output, 7)
	some.Set(costs.OutputReasoning, 5)
	check("chat", appendChatUsage(nil, nothing), `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`)
	check("chat", appendChatUsage(nil, some), `{"prompt_tokens":20,"completion_tokens":12,"total_tokens":32,"prompt_tokens_details":{"cached_tokens":6,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":5}}`)
	check("responses", appendResponsesUsage(nil, nothing), `{"input_tokens":0,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":0}`)
	check("responses", appendResponsesUsage(nil, some), `{"input_tokens":20,"input_tokens_details":{"cached_tokens":6,"cache_write_tokens":3},"output_tokens":12,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":32}`)
	check("messages", appendMessagesUsage(nil, nothing), `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`)
	check("messages", appendMessagesUsage(nil, some), `{"input_tokens":11,"cache_creation_input_tokens":3,"cache_read_input_tokens":6,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":0},"output_tokens":12,"output_tokens_details":{"thinking_tokens":5}}`)
	check("generate", appendGenerateUsage(nil, nothing), `{"promptTokenCount":0,"totalTokenCount":0}`)
	check("generate", appendGenerateUsage(nil, some), `{"promptTokenCount":19,"cachedContentTokenCount":6,"candidatesTokenCount":7,"toolUsePromptTokenCount":1,"thoughtsTokenCount":5,"totalTokenCount":32,"promptTokensDetails":[{"modality":"TEXT","tokenCount":17},{"modality":"AUDIO","tokenCount":2}],"cacheTokensDetails":[{"modality":"TEXT","tokenCount":4},{"modality":"AUDIO","tokenCount":2}]}`)
}

// Counts that are too large make large sums and no negative ones.
func TestUsageDoesNotOverflow(t *testing.T) {
	var u costs.Usage
	for _, m := range costs.Meters() {
		u.Set(m, math.MaxInt64)
	}
	for _, d := range dialectUsages {
		for _, c := range d.append(nil, u) {
			if c == '-' {
				t.Fatalf("%s: %s", d.api, d.append(nil, u))
			}
		}
	}
}
