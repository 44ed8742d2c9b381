package costs

import "testing"

// TestBug has the ways in which others have misread usage, a row each, by the
// project and the issue that told it. The usage objects of a row are those of
// one reply, in order.
func TestBug(t *testing.T) {
	const g16 = `{"promptTokenCount":262960,"cachedContentTokenCount":257955,"candidatesTokenCount":1744,"thoughtsTokenCount":0}`
	const grok = `{"prompt_tokens":10120,"completion_tokens":1499,"total_tokens":14428,"prompt_tokens_details":{"text_tokens":10120,"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":2809}}`
	const gpt5 = `{"prompt_tokens":9126,"completion_tokens":3197,"total_tokens":12323,"prompt_tokens_details":{"cached_tokens":4864}}`
	const claude = `{"input_tokens":3,"cache_creation_input_tokens":12304,"cache_read_input_tokens":700,"output_tokens":550}`
	const split = `{"input_tokens":5,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},"output_tokens":1}`
	const nova = `{"inputTokens":12,"outputTokens":40,"totalTokens":1052,"cacheReadInputTokens":1000,"cacheWriteInputTokens":0,"cacheDetails":[]}`
	const doubled = "BedrockCacheIsInsideThoughTheTotalDoubles_bifrost6942" // the total is wrong, and said to be
	for _, row := range []struct {
		name, vendor, api, model string
		want                     string
		in, out                  int64 // the vendor's totals
		usage                    []string
	}{
		// Cache arithmetic.
		{"GeminiCachedBilledTwice_litellm14849", "google", "generate", "", `{"input":5005,"input_cache_read":257955,"output":1744,"output_reasoning":0}`, 262960, 1744, []string{g16}},
		{"CachedAtFullRate_litellm6215", "openai", "chat", "", `{"input":4262,"input_cache_read":4864,"output":3197}`, 9126, 3197, []string{gpt5}},
		{"PromptSaidToExcludeCached_litellm15945", "openai", "chat", "", `{"input":4262,"input_cache_read":4864,"output":3197}`, 9126, 3197, []string{gpt5}},
		{"CachedCountedAsInput_bifrost904", "openai", "chat", "", `{"input":4262,"input_cache_read":4864,"output":3197}`, 9126, 3197, []string{gpt5}},
		{"DetailsAddedToTheirTotal_edutelligence892", "openai", "chat", "", `{"input":4262,"input_cache_read":4864,"output":3197}`, 9126, 3197, []string{gpt5}},
		{"WritesBilledAsInputAndWrite_litellm5443", "anthropic", "messages", "", `{"input":3,"input_cache_read":700,"input_cache_write":12304,"output":550}`, 13007, 550, []string{claude}},
		{"WritesBilledAsInputAndWrite_litellm9812", "anthropic", "messages", "", `{"input":3,"input_cache_read":700,"input_cache_write":12304,"output":550}`, 13007, 550, []string{claude}},
		{"TotalsWithoutWrites_litellm13207", "anthropic", "messages", "", `{"input":3,"input_cache_read":700,"input_cache_write":12304,"output":550}`, 13007, 550, []string{claude}},
		{"CacheTakenForFreshInput_agenta5711", "anthropic", "messages", "", `{"input":3,"input_cache_read":700,"input_cache_write":12304,"output":550}`, 13007, 550, []string{claude}},
		{"CacheTakenForFreshInput_conductor427", "anthropic", "messages", "", `{"input":3,"input_cache_read":700,"input_cache_write":12304,"output":550}`, 13007, 550, []string{claude}},
		{"CacheCountedTwice_langfuse10592", "anthropic", "messages", "", `{"input":3,"input_cache_read":700,"input_cache_write":12304,"output":550}`, 13007, 550, []string{claude}},
		{"HourWritesAtFiveMinuteRate_claudeobservability34", "anthropic", "messages", "", `{"input":5,"input_cache_write_5m":20,"input_cache_write_1h":10,"output":1}`, 35, 1, []string{split}},
		{"TextTokensHoldTheCached_litellm14874", "x-ai", "chat", "", `{"input":9992,"input_cache_read":128,"output":1499,"output_reasoning":2809}`, 10120, 4308, []string{grok}},
		{"TextTokensHoldTheCached_litellm19772", "x-ai", "chat", "", `{"input":9992,"input_cache_read":128,"output":1499,"output_reasoning":2809}`, 10120, 4308, []string{grok}},
		{"StreamedCachedDropped_langfuse13811", "openai", "chat", "", `{"input":4262,"input_cache_read":4864,"output":3197}`, 9126, 3197, []string{`{"prompt_tokens":9126,"completion_tokens":1}`, gpt5}},
		{"GeminiFlashCached_pi2148", "google", "generate", "", `{"input":3914,"input_cache_read":16298,"output":931}`, 20212, 931, []string{`{"promptTokenCount":20212,"cachedContentTokenCount":16298,"candidatesTokenCount":931}`}},
		{"BedrockCacheIsBeside_opencode38427", "aws", "converse", "", `{"input":12,"input_cache_read":1000,"input_cache_write":0,"output":40}`, 1012, 40, []string{nova}},
		{"BedrockCacheDropped_apisix14044", "aws", "converse", "", `{"input":12,"input_cache_read":1000,"input_cache_write":0,"output":40}`, 1012, 40, []string{nova}},
		{"BedrockCacheDropped_braintrust88", "aws", "", "", `{"input":12,"input_cache_read":1000,"input_cache_write":0,"output":40}`, 1012, 40, []string{nova}},
		{"BedrockCacheIsInsideForSome_opencode47354", "aws", "converse", "openai.gpt-5.6-luna", `{"input":491,"input_cache_read":151409,"output":150}`, 151900, 150, []string{`{"inputTokens":151900,"outputTokens":150,"totalTokens":152050,"cacheReadInputTokens":151409}`}},
		{doubled, "aws", "converse", "us.openai.gpt-5.6", `{"input":2,"input_cache_write":4993,"output":19}`, 4995, 19, []string{`{"inputTokens":4995,"outputTokens":19,"totalTokens":10007,"cacheWriteInputTokens":4993}`}},
		{"BedrockWholeReplyTellsTheRest_bifrost6942", "aws", "converse", "openai.gpt-5.6", `{"input":2,"input_cache_write":4993,"output":19}`, 4995, 19, []string{`{"inputTokens":2,"outputTokens":19,"totalTokens":5014,"cacheWriteInputTokens":4993}`}},
		{"OllamaPromptHoldsTheCached_stdapi252", "", "ollama", "", `{"input":16,"input_cache_read":10,"output":5}`, 26, 5, []string{`{"prompt_eval_count":26,"prompt_eval_cached_count":10,"eval_count":5}`}},

		// Reasoning and modality.
		{"GrokReasoningIsBeside_sub2api5771", "x-ai", "chat", "", `{"input":9992,"input_cache_read":128,"output":1499,"output_reasoning":2809}`, 10120, 4308, []string{grok}},
		{"GrokReasoningIsBeside_inspectai5528", "x-ai", "chat", "", `{"input":9992,"input_cache_read":128,"output":1499,"output_reasoning":2809}`, 10120, 4308, []string{grok}},
		{"GrokReasoningIsBeside_vercelai12425", "x-ai", "", "", `{"input":9992,"input_cache_read":128,"output":1499,"output_reasoning":2809}`, 10120, 4308, []string{grok}},
		{"GrokReasoningIsBeside_livebench503", "", "chat", "", `{"input":9992,"input_cache_read":128,"output":1499,"output_reasoning":2809}`, 10120, 4308, []string{grok}},
		{"GrokReasoningIsInside_promptfoo9507", "x-ai", "responses", "", `{"input":100,"output":20,"output_reasoning":40}`, 100, 60, []string{`{"input_tokens":100,"output_tokens":60,"output_tokens_details":{"reasoning_tokens":40},"total_tokens":160}`}},
		{"ThoughtsAndToolResultsMissing_raif470", "google", "generate", "", `{"input":100,"input_tool":40,"output":20,"output_reasoning":300}`, 140, 320, []string{`{"promptTokenCount":100,"candidatesTokenCount":20,"thoughtsTokenCount":300,"toolUsePromptTokenCount":40,"totalTokenCount":460}`}},
		{"ThinkingInTheTotalAlone_forum98760", "google", "chat", "", `{"input":758,"output":102,"output_reasoning":865}`, 758, 967, []string{`{"prompt_tokens":758,"completion_tokens":102,"total_tokens":1725}`}},
		{"ImageTokensAsText_litellm17410", "google", "chat", "", `{"input":10,"output":0,"output_reasoning":225,"output_image":1120}`, 10, 1345, []string{`{"prompt_tokens":10,"completion_tokens":1345,"completion_tokens_details":{"reasoning_tokens":225,"text_tokens":0,"image_tokens":1120}}`}},
		{"ImageTokensAsText_litellm17554", "google", "generate", "", `{"input":10,"output":0,"output_reasoning":225,"output_image":1120}`, 10, 1345, []string{`{"promptTokenCount":10,"candidatesTokenCount":1120,"thoughtsTokenCount":225,"totalTokenCount":1355,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1120}]}`}},
		{"ImageOutputWithoutDetails_litellm31142", "openai", "images", "", `{"input":23,"input_image":0,"output":0,"output_image":1056}`, 23, 1056, []string{`{"input_tokens":23,"input_tokens_details":{"text_tokens":23,"image_tokens":0},"output_tokens":1056}`}},
		{"ImageOutputWithoutDetails_litellm18541", "openai", "", "gpt-image-1.5", `{"input":23,"output":0,"output_image":1056}`, 23, 1056, []string{`{"input_tokens":23,"output_tokens":1056}`}},
		{"TextInputAsImage_litellm21902", "openai", "images", "", `{"input":10,"input_image":40,"output":44,"output_image":1056}`, 50, 1100, []string{`{"input_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens":1100,"output_tokens_details":{"image_tokens":1056,"text_tokens":44}}`}},

		// Streams.
		{"RunningUsageSummed_litellm14457", "anthropic", "messages", "", `{"input":5,"input_cache_write_5m":20,"input_cache_write_1h":10,"output":9}`, 35, 9, []string{split, `{"output_tokens":4}`, `{"output_tokens":9}`}},
		{"CacheLostInTheDelta_litellm30630", "anthropic", "messages", "", `{"input":5,"input_cache_write_5m":20,"input_cache_write_1h":10,"output":9}`, 35, 9, []string{split, `{"input_tokens":5,"cache_creation_input_tokens":30,"output_tokens":9}`}},
		{"RunningUsageSummed_litellm36008", "", "chat", "", `{"input":7,"output":3}`, 7, 3, []string{`{"prompt_tokens":7,"completion_tokens":1}`, `{"prompt_tokens":7,"completion_tokens":2}`, `{"prompt_tokens":7,"completion_tokens":3}`}},
		{"ZeroTakenForMissing_litellm37992", "openai", "chat", "", `{"input":5,"input_cache_read":0,"output":0}`, 5, 0, []string{`{"prompt_tokens":5,"completion_tokens":0,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0}}`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r Reading
			for _, usage := range row.usage {
				FlavourOf(row.vendor, row.api, []byte(usage)).For(row.model).Update(&r, []byte(usage))
			}
			in, _ := r.Usage.Input()
			out, _ := r.Usage.Output()
			if got := string(r.Usage.AppendJSON(nil)); got != row.want || in != row.in || out != row.out || r.Inconsistent != (row.name == doubled) {
				t.Errorf("%s\n got %s (%d in, %d out, inconsistent: %v)\nwant %s (%d in, %d out)", row.usage, got, in, out, r.Inconsistent, row.want, row.in, row.out)
			}
		})
	}
}

// The tier that served the request is what the reply says, and it is not lost
// where a later object doesn't repeat it.
func TestBugServedTier(t *testing.T) {
	check := func(name, vendor, api, tier, speed, geo string, usage ...string) {
		t.Run(name, func(t *testing.T) {
			f, r := FlavourOf(vendor, api, nil), Reading{}
			for _, u := range usage {
				f.Update(&r, []byte(u))
			}
			if r.Tier != tier || r.Speed != speed || r.Residency != geo {
				t.Errorf("%s: tier %q, speed %q, residency %q", usage, r.Tier, r.Speed, r.Residency)
			}
		})
	}
	check("AnthropicTierDropped_litellm30558", "anthropic", "messages", "priority", "fast", "us",
		`{"input_tokens":1,"output_tokens":1,"service_tier":"priority","inference_geo":"us","speed":"fast"}`, `{"output_tokens":9}`)
	check("VertexFlex_litellm37724", "google", "generate", "flex", "", "", `{"promptTokenCount":1,"trafficType":"ON_DEMAND_FLEX"}`)
	check("VertexProvisioned_litellm37724", "google", "generate", "provisioned", "", "", `{"promptTokenCount":1,"trafficType":"PROVISIONED_THROUGHPUT"}`)
	check("DeepInfraPriority_litellm38802", "deepinfra", "chat", "priority", "", "", `{"prompt_tokens":1,"service_tier":"priority"}`)
}
