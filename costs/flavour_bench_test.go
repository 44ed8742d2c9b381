package costs

import "testing"

func BenchmarkRead(b *testing.B) {
	run := func(name, vendor, api, usage string) {
		b.Run(name, func(b *testing.B) {
			f, raw := FlavourOf(vendor, api, nil), []byte(usage)
			b.ReportAllocs()
			for b.Loop() {
				r := f.Read(raw, Usage{})
				if r.Usage.IsZero() {
					b.Fatal("nothing was read")
				}
			}
		})
	}
	run("chat", "openai", "chat", `{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":256,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`)
	run("continuous", "", "chat", `{"prompt_tokens":7,"total_tokens":24,"completion_tokens":17}`)
	run("gemini", "google", "generate", `{"promptTokenCount":100,"candidatesTokenCount":20,"thoughtsTokenCount":300,"totalTokenCount":420,"promptTokensDetails":[{"modality":"TEXT","tokenCount":100}]}`)
	run("messages", "anthropic", "messages", `{"input_tokens":50,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":2000,"ephemeral_1h_input_tokens":1000},"cache_read_input_tokens":100000,"output_tokens":1500,"service_tier":"standard"}`)
}

func BenchmarkCopyUsage(b *testing.B) {
	u := full()
	var to Usage
	for b.Loop() {
		to = u
	}
	_ = to
}
