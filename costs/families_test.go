package costs

import (
	"testing"
	"time"
)

// A family is a kind of mis-accounting that other gateways have had, with a
// row for each case: what a vendor's usage costs to the digit. The names are
// the projects' and their issues'.
type family []struct {
	name     string
	provider string
	model    string
	at       string // a day; "" is 2026-09-23
	usage    string
	context  string // as weir prices explain takes it
	want     string // in dollars; "" is unpriced
}

func (rows family) run(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			terms := Terms{Provider: row.provider, Model: row.model, At: day(t, row.at)}
			vendor, _ := Builtin().ProviderID(row.provider)
			r := FlavourOf(vendor, "", []byte(row.usage)).For(row.model).Read([]byte(row.usage), Usage{})
			terms.ReadContext(row.context)
			got := Builtin().ChargeReading(&r, terms)
			switch {
			case row.want == "" && got.Status != Unpriced, row.want == "" && !got.List.IsZero():
				t.Errorf("%s %s, want unpriced\n%s", got.Status, got.List, linesText(got))
			case row.want != "" && (got.Status == Unpriced || got.List != USD(row.want)):
				t.Errorf("%s %s (%s), want %s\n%s", got.Status, got.List, got.Why, row.want, linesText(got))
			}
		})
	}
}

func day(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		s = "2026-09-23"
	}
	at, err := time.Parse(time.DateOnly, s)
	if len(s) > len(time.DateOnly) {
		at, err = time.Parse(time.RFC3339, s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return at
}

const (
	gpt5Cached = `{"prompt_tokens":9126,"completion_tokens":3197,"prompt_tokens_details":{"cached_tokens":4864}}`
	sonnet37   = `{"input_tokens":3,"cache_creation_input_tokens":12304,"cache_read_input_tokens":0,"output_tokens":550}`
	grok420    = `{"prompt_tokens":10120,"completion_tokens":1499,"total_tokens":14428,"prompt_tokens_details":{"text_tokens":10120,"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":2809}}`
	novaCached = `{"inputTokens":1000,"outputTokens":100,"totalTokens":2100,"cacheReadInputTokens":1000}`
	million    = `{"prompt_tokens":1000000,"completion_tokens":0,"total_tokens":1000000}`
)

func TestBugFamilyCacheArithmetic(t *testing.T) {
	family{
		{"cached counted beside the prompt that it is in: litellm#14849", "google", "gemini-2.5-pro", "2025-09-24", `{"promptTokenCount":262960,"cachedContentTokenCount":257955,"candidatesTokenCount":1744,"thoughtsTokenCount":0}`, "", "0.10316125"},
		{"cached at the full rate: litellm#6215", "openai", "gpt-4o", "", `{"prompt_tokens":1000,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":1000}}`, "", "0.00125"},
		{"the prompt is said to be without its cached part: litellm#15945", "openai", "gpt-5", "2025-10-26", gpt5Cached, "", "0.0379055"},
		{"cached as input, five times: bifrost#904", "openai", "gpt-5", "2025-10-26", `{"prompt_tokens":10000,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":10000}}`, "", "0.00125"},
		{"details added to their total: edutelligence#892", "openai", "gpt-5", "2025-10-26", `{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":0,"text_tokens":1000},"completion_tokens_details":{"reasoning_tokens":60,"text_tokens":40}}`, "", "0.00225"},
		{"writes as input and as writes: litellm#9812", "anthropic", "claude-3-7-sonnet-20250219", "2025-04-08", sonnet37, "", "0.054399"},
		{"totals without the writes, which count for the threshold: litellm#13207", "anthropic", "claude-haiku-5-5", "2026-10-24", `{"input_tokens":1000,"cache_creation_input_tokens":99001,"cache_creation":{"ephemeral_5m_input_tokens":99001},"output_tokens":0}`, "", "0.062375625"},
		{"cached text counted again in text_tokens: litellm#19772", "x-ai", "grok-4.20", "2026-08-18", grok420, "", "0.0232856"},
		{"hour writes at the rate of short ones: langfuse/claude-observability-plugin#34", "anthropic", "claude-opus-5", "", `{"input_tokens":0,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":2000,"ephemeral_1h_input_tokens":1000},"output_tokens":0}`, "", "0.0225"},
		{"a tenth for every model's reads: langfuse#4590", "anthropic", "claude-opus-5-5", "", `{"input_tokens":0,"cache_read_input_tokens":1000000,"output_tokens":0}`, "", "0.2"},
		{"reads as fresh input, 6.6 times: agenta#5711", "anthropic", "claude-opus-5", "", `{"input_tokens":50,"cache_read_input_tokens":100000,"output_tokens":0}`, "", "0.05025"},
		{"reads as fresh input, $51 for $8: conductor#427", "anthropic", "claude-sonnet-5", "", `{"input_tokens":0,"cache_read_input_tokens":1000000,"output_tokens":0}`, "", "0.2"},
		{"Gemini's cached part: pi#2148", "google", "gemini-3-flash-preview", "2026-03-14", `{"promptTokenCount":20212,"cachedContentTokenCount":16298,"candidatesTokenCount":931}`, "", "0.0055649"},
		{"Bedrock's cache is beside: opencode#38427, apisix#14044, braintrust-sdk-java#88", "aws", "amazon.nova-pro-v1:0", "", novaCached, "", "0.00132"},
		{"writes before there was a price for them: OpenAI before 5.6", "openai", "gpt-5.5", "", `{"input_tokens":1000,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":400},"output_tokens":0}`, "", "0.005"},
	}.run(t)
}

func TestBugFamilyReasoningModality(t *testing.T) {
	family{
		{"reasoning is beside the completion: sub2api#5771, inspect_ai#5528, vercel/ai#12425, LiveBench#503", "x-ai", "grok-4.20", "2026-08-18", grok420, "", "0.0232856"},
		{"and inside of it where the total says so: promptfoo#9326, #9507", "x-ai", "grok-4.20", "2026-08-18", `{"prompt_tokens":100,"completion_tokens":60,"total_tokens":160,"completion_tokens_details":{"reasoning_tokens":40}}`, "", "0.000275"},
		{"thoughts and tools' results are missing: raif#470", "google", "gemini-2.5-pro", "", `{"promptTokenCount":100,"toolUsePromptTokenCount":40,"candidatesTokenCount":20,"thoughtsTokenCount":300,"totalTokenCount":460}`, "", "0.003375"},
		{"pictures made at the rate of text: litellm#17410, #17554", "google", "gemini-3-pro-image-preview", "2025-12-03", `{"prompt_tokens":10,"completion_tokens":1345,"completion_tokens_details":{"reasoning_tokens":225,"text_tokens":0,"image_tokens":1120}}`, "", "0.13712"},
		{"pictures made without details: litellm#31142, #18541", "openai", "gpt-image-1.5", "2026-01-01", `{"input_tokens":23,"input_tokens_details":{"text_tokens":23,"image_tokens":0},"output_tokens":1056}`, "", "0.033907"},
		{"text among pictures: litellm#21902", "openai", "gpt-image-1.5", "2026-01-01", `{"input_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens":1100,"output_tokens_details":{"image_tokens":1056,"text_tokens":44}}`, "", "0.034602"},
		{"per pixel, of a model that is billed by the token: litellm#13847, #17906", "openai", "gpt-image-1.5", "2026-01-01", `{"input_tokens":0,"output_tokens":1000,"output_tokens_details":{"image_tokens":1000,"text_tokens":0}}`, "images=1", "0.032"},
	}.run(t)
}

func TestBugFamilyTiers(t *testing.T) {
	family{
		{"the last token before 272,000: litellm#30135", "openai", "gpt-5.6-sol", "", `{"input_tokens":271999,"output_tokens":1000}`, "", "1.107996"},
		{"272,000, of those where it is long: litellm#30344", "openai", "gpt-5.6-sol", "", `{"input_tokens":272000,"output_tokens":1000}`, "", "2.206"},
		{"272,000, of those where it is not: langfuse's gt", "openai", "gpt-6-sol", "", `{"input_tokens":272000,"output_tokens":0}`, "", "0.544"},
		{"272,001 of them", "openai", "gpt-6-sol", "", `{"input_tokens":272001,"output_tokens":0}`, "", "1.088004"},
		{"200,000 is not above 200k: opik#6982, #7023", "google", "gemini-2.5-pro", "", `{"promptTokenCount":200000,"candidatesTokenCount":0}`, "", "0.25"},
		{"200,001 is", "google", "gemini-2.5-pro", "", `{"promptTokenCount":200001,"candidatesTokenCount":0}`, "", "0.5000025"},
		{"200,000 at xAI: inclusive", "x-ai", "grok-4.5", "", `{"prompt_tokens":200000,"completion_tokens":0,"total_tokens":200000}`, "", "0.8"},
		{"199,999 at xAI", "x-ai", "grok-4.5", "", `{"prompt_tokens":199999,"completion_tokens":0,"total_tokens":199999}`, "", "0.399998"},
		{"xAI below 128k", "x-ai", "grok-4", "", `{"prompt_tokens":127999,"completion_tokens":1000,"total_tokens":128999}`, "", "0.398997"},
		{"xAI at 128k", "x-ai", "grok-4", "", `{"prompt_tokens":128000,"completion_tokens":1000,"total_tokens":129000}`, "", "0.798"},
		{"xAI above 128k: litellm#15338, #14834", "x-ai", "grok-4-fast", "", `{"prompt_tokens":128001,"completion_tokens":1000,"total_tokens":129001}`, "", "0.0522004"},
		{"batch above the threshold: litellm#39861", "openai", "gpt-5.6-sol", "", `{"input_tokens":300000,"output_tokens":1000}`, "batch=true", "1.215"},
		{"fast above the threshold, where the tier's own price is that of the short band", "openai", "gpt-5.5", "2026-11-23", `{"input_tokens":272000,"output_tokens":1000}`, "tier=priority", "6.9125"},
		{"and just below it", "openai", "gpt-5.5", "2026-11-23", `{"input_tokens":271999,"output_tokens":1000}`, "tier=fast", "3.4749875"},
		{"in Europe, too", "openai", "gpt-5.4", "2026-11-23", `{"input_tokens":272000,"output_tokens":1000}`, "tier=priority,residency=eu", "3.0415"},
		{"fast above the threshold", "openai", "gpt-5.6-sol", "", `{"input_tokens":300000,"output_tokens":1000}`, "tier=priority", "4.86"},
		{"marginal tiers: mcp-audit#54, traceroost#128", "google", "gemini-2.5-pro", "", `{"promptTokenCount":300000,"candidatesTokenCount":1}`, "", "0.750015"},
		{"a tier that can never fire: Sonnet 4.5 at langfuse", "anthropic", "claude-sonnet-4-5", "2026-02-01", `{"input_tokens":1000,"cache_read_input_tokens":299000,"output_tokens":1000}`, "", "0.2079"},
		{"100,000 is the low band: claudit", "anthropic", "claude-haiku-5-5", "2026-10-24", `{"input_tokens":1000,"cache_read_input_tokens":99000,"cache_creation_input_tokens":0,"output_tokens":1000}`, "", "0.00159"},
		{"100,001 is the high one", "anthropic", "claude-haiku-5-5", "2026-10-24", `{"input_tokens":1001,"cache_read_input_tokens":99000,"cache_creation_input_tokens":0,"output_tokens":1000}`, "", "0.0079505"},
	}.run(t)
}

func TestBugFamilyServiceTier(t *testing.T) {
	family{
		{"flex at twice its price: litellm#13810", "openai", "gpt-5.6-sol", "", `{"input_tokens":1000,"output_tokens":100}`, "tier=flex", "0.003"},
		{"what was asked for beats what served: litellm#31837", "anthropic", "claude-sonnet-5", "", `{"input_tokens":1000000,"output_tokens":0,"service_tier":"standard"}`, "tier=batch", "2"},
		{"DeepSeek's old names are its new model", "deepseek", "deepseek-chat", "2026-11-23T12:00:00Z", `{"prompt_tokens":100000,"prompt_cache_hit_tokens":80000,"prompt_cache_miss_tokens":20000,"completion_tokens":5000}`, "", "0.00624"},
		{"and its peak hours", "deepseek", "deepseek-reasoner", "2026-11-23T02:00:00Z", `{"prompt_tokens":100000,"prompt_cache_hit_tokens":80000,"prompt_cache_miss_tokens":20000,"completion_tokens":5000}`, "", "0.01248"},
		{"which had another price before", "deepseek", "deepseek-reasoner", "2025-10-01", `{"prompt_tokens":100000,"prompt_cache_hit_tokens":80000,"prompt_cache_miss_tokens":20000,"completion_tokens":5000}`, "", "0.00994"},
		{"and another before that", "deepseek", "deepseek-reasoner", "2025-05-01T12:00:00Z", `{"prompt_tokens":100000,"prompt_cache_hit_tokens":80000,"prompt_cache_miss_tokens":20000,"completion_tokens":5000}`, "", "0.03315"},
		{"dated names lack the tier: litellm#37046", "openai", "gpt-5.6-sol-2026-07-01", "", `{"input_tokens":1000,"output_tokens":0}`, "tier=priority", "0.008"},
		{"reasoning at the standard rate: litellm#35925", "openai", "gpt-5.6-sol", "", `{"input_tokens":0,"output_tokens":1000,"output_tokens_details":{"reasoning_tokens":1000}}`, "tier=priority", "0.04"},
		{"Anthropic's batch dropped: litellm#22086, #30558", "anthropic", "claude-opus-5", "", `{"input_tokens":1000,"output_tokens":100,"service_tier":"batch"}`, "", "0.00375"},
		{"Anthropic's fast mode dropped: litellm#30558", "anthropic", "claude-opus-5", "", `{"input_tokens":1000,"output_tokens":100,"speed":"fast"}`, "", "0.015"},
		{"US residency dropped", "anthropic", "claude-opus-5", "", `{"input_tokens":1000,"output_tokens":100,"inference_geo":"us"}`, "", "0.00825"},
		{"Vertex's flex: litellm#37724", "google", "gemini-2.5-pro", "", `{"promptTokenCount":1000,"candidatesTokenCount":100,"trafficType":"ON_DEMAND_FLEX"}`, "", "0.001125"},
		{"Vertex's prepaid units: litellm#37724", "google", "gemini-2.5-pro", "", `{"promptTokenCount":1000,"candidatesTokenCount":100,"trafficType":"PROVISIONED_THROUGHPUT"}`, "", "0"},
		{"a tier that the book does not know is none of the known ones: litellm#37326", "openai", "gpt-4o", "", `{"input_tokens":1000,"output_tokens":100}`, "tier=ultrafast", ""},
		{"Bedrock's flex: litellm#21171", "aws", "amazon.nova-pro-v1:0", "", `{"inputTokens":1000,"outputTokens":100,"totalTokens":1100}`, "tier=flex", "0.00056"},
		{"Bedrock's priority: litellm#21171", "aws", "amazon.nova-pro-v1:0", "", `{"inputTokens":1000,"outputTokens":100,"totalTokens":1100}`, "tier=priority", "0.00196"},
		{"Bedrock's Claudes have no tiers", "aws", "global.anthropic.claude-opus-5", "", `{"inputTokens":1000,"outputTokens":100,"totalTokens":1100}`, "tier=flex", ""},
		{"Bedrock's reserved tier is prepaid", "aws", "global.anthropic.claude-opus-5", "", `{"inputTokens":1000,"outputTokens":100,"totalTokens":1100}`, "tier=reserved", "0"},
		{"the words for no tier", "openai", "gpt-5.6-sol", "", `{"input_tokens":1000,"output_tokens":100}`, "tier=default", "0.006"},
	}.run(t)
	var r Reading // DeepInfra says what it charged, for its tier, too
	usage := `{"prompt_tokens":1000,"completion_tokens":100,"service_tier":"priority","estimated_cost":0.00015}`
	if FlavourOf("deepinfra", "chat", nil).Update(&r, []byte(usage)); r.Tier != "priority" || r.Charged != USD("0.00015") {
		t.Errorf("litellm#38802: %+v", r)
	}
}

func TestBugFamilyIdentity(t *testing.T) {
	family{
		{"Azure says a base's name: litellm#1810, #1874, langchain#14912", "azure", "my-deployment", "", million, "served=gpt-4o-2024-08-06", "2.5"},
		{"a deployment that says nothing", "azure", "my-deployment", "", million, "", ""},
		{"global and regional: litellm#7004", "azure", "gpt-4o", "", million, "region=datazone", "2.75"},
		{"global is the list price", "azure", "gpt-4o", "", million, "region=global", "2.5"},
		{"OpenAI's regional hosts", "openai", "gpt-5.6-sol", "", `{"input_tokens":100000,"output_tokens":0}`, "residency=eu", "0.44"},
		{"a model of another vendor at Azure is not $0: litellm#41605", "azure", "no-such-model", "", million, "served=no-such-model-2026", ""},
		{"a router by what it served: litellm#40728", "azure", "model-router", "", million, "served=gpt-4.1-mini-2025-04-14", "0.4"},
		{"a router that says nothing: litellm#40728", "azure", "model-router", "", million, "", ""},
		{"the provider is who bills, whatever the model is called: litellm#38276", "together", "gpt-5.6-sol", "", million, "", ""},
		{"nobody's server is not its model's vendor: litellm#41780", "", "gpt-4o", "", million, "served=gpt-4o", ""},
		{"a variant is not another one: helicone#4893", "openrouter", "anthropic/claude-opus-4.8-quick", "", million, "", ""},
		{"Bedrock's regional profile is dearer than its global one", "aws", "us.anthropic.claude-opus-5", "", `{"inputTokens":1000000,"outputTokens":0,"totalTokens":1000000}`, "", "5.5"},
		{"and the global one is not", "aws", "global.anthropic.claude-opus-5", "", `{"inputTokens":1000000,"outputTokens":0,"totalTokens":1000000}`, "", "5"},
		{"a tuned model that is served under its base's name", "openai", "ft:gpt-5:acme::x", "", million, "served=gpt-5", ""},
	}.run(t)
}

func TestBugFamilyUnknownZero(t *testing.T) {
	family{
		{"unknown at some model's rate: eidan#203, quillo#80", "anthropic", "claude-opus-9", "", million, "", ""},
		{"unknown at $15 and $60: jcode#1057", "openai", "gpt-9", "", million, "", ""},
		{"a new model is $0 until the next release: claudit", "google", "gemini-9-pro", "", `{"promptTokenCount":1000,"candidatesTokenCount":10}`, "", ""},
		{"local models are billed: hope-agent#489", "local", "llama-3.3-70b-versatile", "", million, "", ""},
		{"an alias is taken for a model: obot#7558", "openai", "default", "", million, "", ""},
		{"a part of a name is taken for the name: LDR#439", "openai", "my-gpt-4o", "", million, "", ""},
		{"a name and more is taken for the name: LDR#439", "openai", "gpt-4o-but-not", "", million, "", ""},
		{"free is known to be: tokscale#1201", "openrouter", "qwen/qwq-32b:free", "", million, "", "0"},
		{"in a plan is not free: tokscale#1201, bike4mind#217", "github-copilot", "gpt-4o-mini", "", million, "", ""},
		{"nothing was said to be used: new-api#5235", "openai", "gpt-5", "", `{}`, "", ""},
		{"nothing was said to be used of what is free", "openai", "omni-moderation-latest", "", `{}`, "", "0"},
		{"nothing was used", "openai", "gpt-5", "", `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`, "", "0"},
	}.run(t)
	song := ownBook(t, "providers: {p: {models: [{id: song, rows: [{prices: {input: 0, output: 0, requests: 0.10/1}}]}]}}")
	if c := song.Charge(used(100, 100), Terms{Provider: "p", Model: "song"}); c.Status != Priced || c.List != USD("0.1") {
		t.Errorf("local-operator#541: %s %s", c.Status, c.List)
	}
	own := Builtin().Charge(used(100, 100), Terms{Provider: "local", Model: "m", GPUHour: USD("3.6")})
	if own.Status != Unpriced || own.Why == "" {
		t.Errorf("own GPUs whose time nobody says: %+v", own)
	}
}
