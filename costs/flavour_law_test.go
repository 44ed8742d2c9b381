package costs

import (
	"encoding/json"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// A maker makes up what a request consumed and writes it as the vendor would.
type maker struct {
	t    *rapid.T
	want Usage
}

type object = map[string]any

// n makes up a count of a meter; 0: it consumed none of it.
func (m *maker) n(meter Meter) int64 {
	if rapid.IntRange(0, 3).Draw(m.t, meter.String()+" none") == 0 {
		return 0
	}
	n := rapid.Int64Range(0, 1_000_000).Draw(m.t, meter.String())
	if had, _ := m.want.Get(meter); n+had > 0 {
		m.want.Set(meter, n+had)
	}
	return n
}

func (m *maker) flip(what string) bool { return rapid.Bool().Draw(m.t, what) }

// openAI writes OpenAI's shape. beside: reasoning is not in the output's total.
func (m *maker) openAI(prompt, output, inDetails, outDetails string, beside bool) object {
	read, readAudio, readImage := m.n(InputCacheRead), m.n(InputCacheReadAudio), m.n(InputCacheReadImage)
	w30, w12, written := m.n(InputCacheWrite30m), m.n(InputCacheWrite12h), m.n(InputCacheWrite)
	audio, image := m.n(InputAudio), m.n(InputImage)
	in := m.n(Input) + read + readAudio + readImage + w30 + w12 + written + audio + image
	reasoning, outAudio, outImage := m.n(OutputReasoning), m.n(OutputAudio), m.n(OutputImage)
	out := m.n(Output) + outAudio + outImage
	total := in + out + reasoning
	if !beside {
		out += reasoning
	}
	return object{
		prompt: in, output: out, "total_tokens": total,
		inDetails: object{
			"cached_tokens": read + readAudio + readImage, "audio_tokens": audio + readAudio, "image_tokens": image + readImage,
			"cached_tokens_details":      object{"text_tokens": read, "audio_tokens": readAudio, "image_tokens": readImage},
			"cache_write_tokens":         w30 + w12 + written,
			"cache_write_tokens_details": object{"ttl_30m_tokens": w30, "ttl_12h_tokens": w12},
		},
		outDetails: object{"reasoning_tokens": reasoning, "audio_tokens": outAudio, "image_tokens": outImage},
	}
}

func (m *maker) chat(beside bool) object {
	return m.openAI("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details", beside)
}

// plain is a chat usage with a cache and reasoning and nothing else.
func (m *maker) plain() object {
	read, reasoning := m.n(InputCacheRead), m.n(OutputReasoning)
	in, out := m.n(Input)+read, m.n(Output)+reasoning
	return object{
		"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out,
		"prompt_tokens_details": object{"cached_tokens": read}, "completion_tokens_details": object{"reasoning_tokens": reasoning},
	}
}

func (m *maker) with(o object, more object) object {
	maps.Copy(o, more)
	return o
}

func modal(counts ...any) (list []object) {
	for i := 0; i < len(counts); i += 2 {
		list = append(list, object{"modality": counts[i], "tokenCount": counts[i+1]})
	}
	return list
}

func (m *maker) gemini(candidates, details string) object {
	read, readAudio, readImage, readVideo := m.n(InputCacheRead), m.n(InputCacheReadAudio), m.n(InputCacheReadImage), m.n(InputCacheReadVideo)
	audio, image, page, video := m.n(InputAudio), m.n(InputImage), m.n(InputImage), m.n(InputVideo)
	text := m.n(Input)
	cached := read + readAudio + readImage + readVideo
	prompt := text + audio + image + page + video + cached
	tool := []int64{m.n(InputTool), m.n(InputToolAudio), m.n(InputToolImage), m.n(InputToolVideo)}
	tools := tool[0] + tool[1] + tool[2] + tool[3]
	thoughts, out := m.n(OutputReasoning), []int64{m.n(Output), m.n(OutputAudio), m.n(OutputImage), m.n(OutputVideo)}
	made := out[0] + out[1] + out[2] + out[3]
	o := object{
		"promptTokenCount": prompt, "cachedContentTokenCount": cached, "totalTokenCount": prompt + tools + thoughts + made,
		candidates: made, "thoughtsTokenCount": thoughts, "toolUsePromptTokenCount": tools,
		"promptTokensDetails":        modal("TEXT", text+read, "AUDIO", audio+readAudio, "IMAGE", image+readImage, "DOCUMENT", page, "VIDEO", video+readVideo),
		"cacheTokensDetails":         modal("TEXT", read, "AUDIO", readAudio, "DOCUMENT", readImage, "VIDEO", readVideo),
		"toolUsePromptTokensDetails": modal("TEXT", tool[0], "AUDIO", tool[1], "IMAGE", tool[2], "VIDEO", tool[3]),
		details:                      modal("TEXT", out[0], "AUDIO", out[1], "IMAGE", out[2], "VIDEO", out[3]),
	}
	for _, count := range []string{"cachedContentTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount", candidates} {
		if o[count] == int64(0) && m.flip("without "+count) {
			delete(o, count) // Google leaves out what is 0
		}
	}
	return o
}

func (m *maker) bedrock(inside bool) object {
	read, w5, w1, written := m.n(InputCacheRead), m.n(InputCacheWrite5m), m.n(InputCacheWrite1h), m.n(InputCacheWrite)
	in, out := m.n(Input), m.n(Output)
	cache := read + w5 + w1 + written
	o := object{
		"inputTokens": in, "outputTokens": out, "totalTokens": in + out + cache,
		"cacheReadInputTokens": read, "cacheWriteInputTokens": w5 + w1 + written,
		"cacheDetails": []object{{"ttl": "1h", "inputTokens": w1}, {"ttl": "5m", "inputTokens": w5}},
	}
	if inside {
		o["inputTokens"] = in + cache
	}
	return o
}

func (m *maker) anthropic() object {
	w5, w1, written := m.n(InputCacheWrite5m), m.n(InputCacheWrite1h), m.n(InputCacheWrite)
	thinking := m.n(OutputReasoning)
	return object{
		"input_tokens": m.n(Input), "cache_read_input_tokens": m.n(InputCacheRead), "cache_creation_input_tokens": w5 + w1 + written,
		"cache_creation":        object{"ephemeral_5m_input_tokens": w5, "ephemeral_1h_input_tokens": w1},
		"output_tokens":         m.n(Output) + thinking,
		"output_tokens_details": object{"thinking_tokens": thinking},
		"server_tool_use":       object{"web_search_requests": m.n(WebSearches), "web_fetch_requests": m.n(WebFetches)},
		"service_tier":          "standard", "inference_geo": "us", "speed": "fast",
	}
}

// makers are every row of the table, by vendor and API; "" leaves the API to
// the members.
var makers = []struct {
	vendor, api string
	make        func(m *maker) object
}{
	{"openai", "chat", func(m *maker) object { return m.chat(false) }},
	{"openai", "", func(m *maker) object { return m.chat(false) }},
	{"openai", "responses", func(m *maker) object {
		return m.openAI("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details", false)
	}},
	{"openai", "realtime", func(m *maker) object {
		return m.openAI("input_tokens", "output_tokens", "input_token_details", "output_token_details", false)
	}},
	{"openai", "images", func(m *maker) object {
		text, image, made := m.n(Input), m.n(InputImage), m.n(OutputImage)
		return object{"input_tokens": text + image, "input_tokens_details": object{"text_tokens": text, "image_tokens": image}, "output_tokens": made, "total_tokens": text + image + made}
	}},
	{"openai", "", func(m *maker) object { // the same, by its members
		text, image, made := m.n(Input), m.n(InputImage), m.n(OutputImage)
		return object{"input_tokens": text + image, "input_tokens_details": object{"text_tokens": text, "image_tokens": image}, "output_tokens": made, "total_tokens": text + image + made}
	}},
	{"openai", "images", func(m *maker) object {
		text, image, said, made := m.n(Input), m.n(InputImage), m.n(Output), m.n(OutputImage)
		return object{"input_tokens": text + image, "input_tokens_details": object{"text_tokens": text, "image_tokens": image}, "output_tokens": said + made, "output_tokens_details": object{"text_tokens": said, "image_tokens": made}}
	}},
	{"openai", "transcriptions", func(m *maker) object {
		text, audio, out := m.n(Input), m.n(InputAudio), m.n(Output)
		return object{"type": "tokens", "input_tokens": text + audio, "input_token_details": object{"text_tokens": text, "audio_tokens": audio}, "output_tokens": out, "total_tokens": text + audio + out}
	}},
	{"openai", "transcriptions", func(m *maker) object {
		return object{"type": "duration", "seconds": json.Number(Money{lo: uint64(m.n(AudioMicros)) * 1e12}.String())}
	}},
	{"openai", "embeddings", func(m *maker) object {
		n := m.n(Input)
		return object{"prompt_tokens": n, "total_tokens": n}
	}},
	{"azure", "chat", func(m *maker) object { return m.chat(false) }},
	{"groq", "chat", func(m *maker) object {
		return m.with(m.plain(), object{"queue_time": 0.1, "prompt_time": 0.002, "total_time": 1.5})
	}},
	{"openrouter", "chat", func(m *maker) object {
		return m.with(m.chat(false), object{"cost": 0.95, "is_byok": false, "cost_details": object{"upstream_inference_cost": nil}})
	}},
	{"deepinfra", "chat", func(m *maker) object { return m.with(m.plain(), object{"estimated_cost": 0.1}) }},
	{"", "chat", func(m *maker) object { return m.plain() }}, // vLLM and the like
	{"local", "completions", func(m *maker) object { return m.plain() }},
	{"deepseek", "chat", func(m *maker) object {
		hit, miss, thought := m.n(InputCacheRead), m.n(Input), m.n(OutputReasoning)
		out := m.n(Output) + thought
		return object{
			"prompt_tokens": hit + miss, "prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": miss,
			"completion_tokens": out, "completion_tokens_details": object{"reasoning_tokens": thought}, "total_tokens": hit + miss + out,
		}
	}},
	{"mistral", "chat", func(m *maker) object {
		return m.with(m.plain(), object{"prompt_audio_seconds": m.n(AudioMicros) / 1e6})
	}},
	{"x-ai", "chat", func(m *maker) object { return m.chat(true) }},
	{"x-ai", "chat", func(m *maker) object { return m.chat(false) }},
	{"xai", "", func(m *maker) object { return m.chat(true) }},
	{"x-ai", "responses", func(m *maker) object {
		return m.with(m.openAI("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details", m.flip("beside")),
			object{"server_side_tool_usage_details": object{"web_search_calls": m.n(WebSearches), "x_search_calls": m.n(XSearches), "file_search_calls": m.n(FileSearches), "code_interpreter_calls": m.n(CodeRuns)}})
	}},
	{"perplexity", "chat", func(m *maker) object {
		in, out := m.n(Input), m.n(Output)
		m.want.Set(Requests, 1)
		return object{
			"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out, "citation_tokens": m.n(OutputCitation),
			"reasoning_tokens": m.n(OutputReasoning), "num_search_queries": m.n(WebSearches), "search_context_size": "low",
		}
	}},
	{"anthropic", "messages", (*maker).anthropic},
	{"anthropic", "", (*maker).anthropic},
	{"aws", "", (*maker).anthropic}, // InvokeModel
	{"anthropic", "chat", func(m *maker) object {
		read, in, out := m.n(InputCacheRead), m.n(Input), m.n(Output)
		o := object{"prompt_tokens": in + read, "completion_tokens": out, "cached_tokens": read, "total_tokens": in + read + out}
		if m.flip("beside") {
			o["prompt_tokens"] = in
		}
		return o
	}},
	{"google", "generate", func(m *maker) object { return m.gemini("candidatesTokenCount", "candidatesTokensDetails") }},
	{"google", "", func(m *maker) object { return m.gemini("responseTokenCount", "responseTokensDetails") }},
	{"google", "chat", func(m *maker) object {
		in, out, thought := m.n(Input), m.n(Output), m.n(OutputReasoning)
		return object{"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out + thought}
	}},
	{"google", "chat", func(m *maker) object { return m.chat(m.flip("beside")) }},
	{"aws", "converse", func(m *maker) object { return m.bedrock(false) }},
	{"aws", "", func(m *maker) object { return m.bedrock(true) }},
	{"", "ollama", func(m *maker) object {
		read := m.n(InputCacheRead)
		return object{
			"prompt_eval_count": m.n(Input) + read, "prompt_eval_cached_count": read, "eval_count": m.n(Output),
			"prompt_eval_duration": m.n(GPUPrefillMicros) * 1000, "eval_duration": m.n(GPUDecodeMicros) * 1000, "load_duration": m.n(GPUMicros) * 1000,
		}
	}},
	{"cohere", "", func(m *maker) object {
		return object{
			"billed_units": object{"input_tokens": m.n(Input), "output_tokens": m.n(Output), "search_units": m.n(RerankUnits), "classifications": m.n(Classifications)},
			"tokens":       object{"input_tokens": 7, "output_tokens": 8},
		}
	}},
	{"voyageai", "embeddings", func(m *maker) object {
		return object{"text_tokens": m.n(Input), "image_pixels": m.n(ImagePixels), "total_tokens": 5_000_000}
	}},
	{"mistral", "ocr", func(m *maker) object { return object{"pages_processed": m.n(Pages)} }},
}

// The law: the leaves that went into a vendor's usage come out of it, and
// their sums are the vendor's totals.
func TestLeavesComeBack(t *testing.T) {
	for _, row := range makers {
		rapid.Check(t, func(t *rapid.T) {
			m := &maker{t: t}
			o := row.make(m)
			raw, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			f := FlavourOf(row.vendor, row.api, raw)
			r := f.Read(raw, Usage{})
			if r.Inconsistent {
				t.Fatalf("%s: %s does not add up: %s", f, raw, r.Usage.AppendJSON(nil))
			}
			for _, meter := range Meters() {
				got, _ := r.Usage.Get(meter)
				want, _ := m.want.Get(meter)
				if meter == AudioMicros && row.vendor == "mistral" {
					want -= want % 1e6 // it tells whole seconds
				}
				if got != want {
					t.Fatalf("%s: %s reads as %s, want %s", f, raw, r.Usage.AppendJSON(nil), m.want.AppendJSON(nil))
				}
			}
			if again := f.Read(raw, r.Usage); again.Usage != r.Usage {
				t.Fatalf("%s: read twice it is %s", f, again.Usage.AppendJSON(nil))
			}
		})
	}
}

// Whatever figures a vendor sends, the leaves are not negative, and they add
// up to its totals or the reading says that they do not.
func TestNonsenseIsNeverNegative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := makers[rapid.IntRange(0, len(makers)-1).Draw(t, "row")]
		m := &maker{t: t}
		o := row.make(m)
		spoil(t, o)
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		r := FlavourOf(row.vendor, row.api, raw).Read(raw, Usage{})
		for meter, n := range r.Usage.All {
			if n < 0 {
				t.Fatalf("%s: %v is %d", raw, meter, n)
			}
		}
		in, hasIn := r.Usage.Input()
		out, hasOut := r.Usage.Output()
		if row.vendor == "perplexity" || row.vendor == "voyageai" || row.vendor == "cohere" || row.vendor == "mistral" || !r.Totals.HasTotal || !hasIn || !hasOut {
			return
		}
		if in+out != r.Totals.Total && !r.Inconsistent {
			t.Fatalf("%s: %d in and %d out, and that is said to be consistent", raw, in, out)
		}
	})
}

// spoil changes some figures at random.
func spoil(t *rapid.T, o object) {
	for _, k := range keysOf(o) {
		switch v := o[k].(type) {
		case int64:
			switch rapid.IntRange(0, 5).Draw(t, k) {
			case 0:
				o[k] = rapid.Int64Range(-10, 2_000_000).Draw(t, k+" is")
			case 1:
				delete(o, k)
			}
		case object:
			spoil(t, v)
		}
	}
}

func keysOf(o object) []string {
	var keys []string
	for k := range o {
		keys = append(keys, k)
	}
	// rapid wants the same order of draws in each run
	for i := range keys {
		for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
	return keys
}
