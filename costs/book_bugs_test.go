package costs

import "testing"

// The bugs of other gateways that concern prices, tiers and identity, each by
// its number at the project that had it.

type bugCheck struct {
	provider, usage string
	terms           Terms
	want            string // "" is unpriced
}

func (c bugCheck) run(t *testing.T) Charge {
	t.Helper()
	c.terms.Provider = c.provider
	if c.terms.At.IsZero() {
		c.terms.At = someDay
	}
	vendor, _ := Builtin().ProviderID(c.provider)
	r := FlavourOf(vendor, "", []byte(c.usage)).For(c.terms.Model).Read([]byte(c.usage), Usage{})
	got := Builtin().ChargeReading(&r, c.terms)
	switch {
	case c.want == "" && got.Status != Unpriced:
		t.Errorf("%s/%s costs %s, want unpriced", c.provider, c.terms.Model, got.List)
	case c.want != "" && (got.Status == Unpriced || got.List != USD(c.want)):
		t.Errorf("%s/%s is %s %s (%s), want %s\n%s", c.provider, c.terms.Model, got.Status, got.List, got.Why, c.want, linesText(got))
	}
	return got
}

const chatUsage = `{"prompt_tokens":1000000,"completion_tokens":1000000}`

// Cache arithmetic: cached tokens are charged once, at their own rate.
func TestBugCachedAtFullRateLitellm6215(t *testing.T) {
	bugCheck{"openai", `{"prompt_tokens":1000,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":1000}}`, Terms{Model: "gpt-4o"}, "0.00125"}.run(t)
}

func TestBugHourWritesAtShortRateLangfuse34(t *testing.T) {
	bugCheck{"anthropic", `{"input_tokens":0,"cache_creation_input_tokens":1000,"cache_creation":{"ephemeral_1h_input_tokens":1000},"output_tokens":0}`, Terms{Model: "claude-opus-5"}, "0.01"}.run(t)
	// a model with a price for short writes alone leaves the long ones unpriced
	u := Usage{}
	u.Set(InputCacheWrite1h, 1000)
	b := ownBook(t, "providers: {p: {models: [{id: m, rows: [{prices: {input: 1, input_cache_write: 1.25, output: 2}}]}]}}")
	if c := b.Charge(u, Terms{Provider: "p", Model: "m"}); c.Status != Unpriced || len(c.Missing) != 1 || c.Missing[0] != InputCacheWrite1h {
		t.Errorf("hour writes without a price: %+v", c)
	}
}

func TestBugCustomPricesIgnoreCacheRatesLitellm27922(t *testing.T) {
	b := ownBook(t, "providers: {p: {models: [{id: m, rows: [{prices: {input: 10, input_cache_read: 1, output: 0}}]}]}}")
	u := used(1000, 0)
	u.Set(InputCacheRead, 1000)
	if c := b.Charge(u, Terms{Provider: "p", Model: "m"}); c.List != USD("0.011") {
		t.Errorf("own cache rates: %s, want 0.011", c.List)
	}
}

// Unknown is never zero: a count that cannot be read is not 0 tokens.
func TestBugUnreadableCountIsFree(t *testing.T) {
	for _, input := range []string{"null", "-100", "10.5", "1e30", "9223372036854775807", `"100"`, "true", "{}", "[]"} {
		c := bugCheck{"openai", `{"prompt_tokens":` + input + `,"completion_tokens":1000}`, Terms{Model: "gpt-5"}, ""}.run(t)
		if c.AtLeast != USD("0.01") || c.Why == "" {
			t.Errorf("prompt_tokens %s: at least %s, %q", input, c.AtLeast, c.Why)
		}
		bugCheck{"anthropic", `{"input_tokens":` + input + `,"output_tokens":1000}`, Terms{Model: "claude-opus-5"}, ""}.run(t)
	}
	bugCheck{"openai", `{"prompt_tokens":100,"completion_tokens":10.5}`, Terms{Model: "gpt-5"}, ""}.run(t)
	bugCheck{"openai", `{"completion_tokens":1000}`, Terms{Model: "gpt-5"}, ""}.run(t)
	bugCheck{"google", `{"promptTokenCount":-1,"candidatesTokenCount":1000}`, Terms{Model: "gemini-2.5-pro"}, ""}.run(t)
	// what is left out, or none, or a detail, is another matter
	bugCheck{"google", `{"candidatesTokenCount":1000}`, Terms{Model: "gemini-2.5-pro"}, "0.01"}.run(t)
	bugCheck{"openai", `{"prompt_tokens":1000,"completion_tokens":0}`, Terms{Model: "gpt-5"}, "0.00125"}.run(t)
	bugCheck{"openai", `{"prompt_tokens":1000,"completion_tokens":null}`, Terms{Model: "gpt-5"}, "0.00125"}.run(t)
	bugCheck{"openai", `{"prompt_tokens":1000,"total_tokens":1000}`, Terms{Model: "text-embedding-3-small"}, "0.00002"}.run(t)
	bugCheck{"openai", `{"prompt_tokens":1000,"completion_tokens":0,"prompt_tokens_details":null}`, Terms{Model: "gpt-5"}, "0.00125"}.run(t)
	bugCheck{"x-ai", `{"prompt_tokens":null,"completion_tokens":1,"cost_in_usd_ticks":5}`, Terms{Model: "grok-4.5"}, ""}.run(t) // its charge stands beside it
	r := FlavourOf("openai", "chat", nil).Read([]byte(`{"prompt_tokens":100,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":10.5}}`), Usage{})
	if !r.Inconsistent {
		t.Error("a count of 10.5 cached tokens goes unnoticed")
	}
}

// Modalities: a picture is not text.
func TestBugImageTokensAsTextLitellm17410(t *testing.T) {
	bugCheck{"google", `{"promptTokenCount":10,"candidatesTokenCount":1120,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1120}]}`, Terms{Model: "gemini-3-pro-image-preview"}, "0.13442"}.run(t)
}

// Tiers: any threshold of the data counts, and the whole request is repriced.
func TestBugOnlySomeThresholdsSurviveLitellm30135(t *testing.T) {
	bugCheck{"x-ai", `{"prompt_tokens":128000,"completion_tokens":1000,"total_tokens":129000}`, Terms{Model: "grok-4"}, "0.798"}.run(t)
	b := ownBook(t, "providers: {p: {models: [{id: m, rows: [{prices: {input: 1}}, {above: 12345, prices: {input: 3}}, {at_least: 777777, prices: {input: 5}}]}]}}")
	check := func(n int64, want string) {
		t.Helper()
		if c := b.Charge(used(n, 0), Terms{Provider: "p", Model: "m"}); c.List != USD(want) {
			t.Errorf("%d tokens cost %s, want %s", n, c.List, want)
		}
	}
	check(12345, "0.012345")
	check(12346, "0.037038")
	check(777776, "2.333328")
	check(777777, "3.888885")
}

func TestBugMarginalTiersMCPAudit54(t *testing.T) {
	bugCheck{"google", `{"promptTokenCount":300000,"candidatesTokenCount":1}`, Terms{Model: "gemini-2.5-pro"}, "0.750015"}.run(t)
}

func TestBugBatchAboveThresholdLitellm39861(t *testing.T) {
	bugCheck{"openai", `{"input_tokens":300000,"output_tokens":0}`, Terms{Model: "gpt-5.6-sol", Batch: true}, "1.2"}.run(t)
}

// Service tiers: the one served, for dated names, too.
func TestBugRequestedTierBeatsServedLitellm31837(t *testing.T) {
	bugCheck{"anthropic", `{"input_tokens":1000000,"output_tokens":0,"service_tier":"standard"}`, Terms{Model: "claude-sonnet-5", Tier: "batch"}, "2"}.run(t)
}

func TestBugDatedNamesLackPriorityLitellm37046(t *testing.T) {
	bugCheck{"openai", `{"input_tokens":1000,"output_tokens":0}`, Terms{Model: "gpt-5.6-sol-2026-07-01", Tier: "priority"}, "0.008"}.run(t)
	bugCheck{"openai", `{"prompt_tokens":1000,"completion_tokens":0}`, Terms{Model: "gpt-4o-2024-08-06", Tier: "priority"}, "0.00425"}.run(t)
}

func TestBugFlexChargedDoubleLitellm13810(t *testing.T) {
	bugCheck{"openai", chatUsage, Terms{Model: "o3", Tier: "flex"}, "5"}.run(t)
}

func TestBugUnknownTierIsNotStandard(t *testing.T) {
	bugCheck{"openai", chatUsage, Terms{Model: "gpt-3.5-turbo", Tier: "priority"}, ""}.run(t)
	bugCheck{"anthropic", chatUsage, Terms{Model: "claude-opus-5", Tier: "priority"}, ""}.run(t)
	bugCheck{"together", chatUsage, Terms{Model: "deepseek-ai/DeepSeek-V3", Batch: true}, ""}.run(t)
	bugCheck{"openai", chatUsage, Terms{Model: "gpt-4o", Tier: "default"}, "12.5"}.run(t)
}

// Identity.
func TestBugAzureReturnsBaseNameLitellm1810(t *testing.T) {
	bugCheck{"azure", chatUsage, Terms{Model: "gpt-4o", Served: "my-deployment"}, "12.5"}.run(t)
	bugCheck{"azure", chatUsage, Terms{Model: "my-deployment", Served: "gpt-4o-2024-08-06"}, "12.5"}.run(t)
	bugCheck{"azure", chatUsage, Terms{Model: "my-deployment"}, ""}.run(t)
}

func TestBugGlobalAndRegionalLitellm7004(t *testing.T) {
	bugCheck{"azure", chatUsage, Terms{Model: "gpt-4o", Region: "datazone"}, "13.75"}.run(t)
	bugCheck{"azure", chatUsage, Terms{Model: "gpt-4o", Region: "global"}, "12.5"}.run(t)
}

func TestBugModelRouterIsFreeLitellm40728(t *testing.T) {
	bugCheck{"azure", chatUsage, Terms{Model: "model-router", Served: "gpt-4.1-mini-2025-04-14"}, "2"}.run(t)
	bugCheck{"azure", chatUsage, Terms{Model: "model-router"}, ""}.run(t)
}

func TestBugTunedPricedAsItsBase(t *testing.T) {
	bugCheck{"openai", chatUsage, Terms{Model: "ft:gpt-5:acme::x", Served: "gpt-5"}, ""}.run(t)
	bugCheck{"openai", chatUsage, Terms{Model: "gpt-4o", Served: "ft:gpt-4o-2024-08-06:acme::x"}, "18.75"}.run(t)
}

func TestBugVariantPricedAsFastHelicone4893(t *testing.T) {
	bugCheck{"openrouter", chatUsage, Terms{Model: "anthropic/claude-opus-4.8-quick"}, ""}.run(t)
	bugCheck{"anthropic", chatUsage, Terms{Model: "claude-opus-4-8-quick-fast"}, ""}.run(t)
}

// Unknown and zero.
func TestBugUnknownModelAtSomeRateJcode1057(t *testing.T) {
	bugCheck{"anthropic", chatUsage, Terms{Model: "claude-opus-9"}, ""}.run(t)
	bugCheck{"openai", chatUsage, Terms{Model: "gpt-9"}, ""}.run(t)
}

func TestBugLocalModelsBilledHopeAgent489(t *testing.T) {
	bugCheck{"", chatUsage, Terms{Model: "gpt-4o"}, ""}.run(t)
	bugCheck{"local", chatUsage, Terms{Model: "llama-3.3-70b-versatile"}, ""}.run(t)
}

func TestBugSubstringMatchLDR439(t *testing.T) {
	bugCheck{"openai", chatUsage, Terms{Model: "my-gpt-4o"}, ""}.run(t)
	bugCheck{"openai", chatUsage, Terms{Model: "gpt-4o-but-not"}, ""}.run(t)
}

func TestBugFreeAndUnknownTokscale1201(t *testing.T) {
	if c := (bugCheck{"openrouter", chatUsage, Terms{Model: "qwen/qwq-32b:free"}, "0"}).run(t); c.Status != Free {
		t.Errorf("a free model is %s", c.Status)
	}
	if c := (bugCheck{"free", chatUsage, Terms{Model: "m"}, "0"}).run(t); c.Status != Free {
		t.Errorf("a provider that is free is %s", c.Status)
	}
	if c := (bugCheck{"azure", chatUsage, Terms{Model: "gpt-4o", Tier: "provisioned"}, "0"}).run(t); c.Status != Free || len(c.Lines) == 0 || len(c.Lines[0].Applied) == 0 {
		t.Errorf("prepaid units are %+v", c)
	}
	bugCheck{"github-copilot", chatUsage, Terms{Model: "gpt-4o-mini"}, ""}.run(t) // the file has it without a price
}

func TestBugZeroTokenPriceButAFeeLocalOperator541(t *testing.T) {
	b := ownBook(t, "providers: {p: {models: [{id: song, rows: [{prices: {input: 0, output: 0, requests: 0.10/1}}]}]}}")
	if c := b.Charge(used(100, 100), Terms{Provider: "p", Model: "song"}); c.Status != Priced || c.List != USD("0.1") {
		t.Errorf("a fee beside free tokens: %s %s, want 0.1", c.Status, c.List)
	}
}

func TestBugToolWithoutAPriceIsNotZero(t *testing.T) {
	b := ownBook(t, "providers: {p: {models: [{id: m, rows: [{prices: {input: 1, output: 1}}]}]}}")
	u := used(1_000_000, 0)
	u.Set(WebSearches, 2)
	c := b.Charge(u, Terms{Provider: "p", Model: "m"})
	if c.Status != Unpriced || c.AtLeast != USD("1") || len(c.Missing) != 1 || c.Missing[0] != WebSearches || !c.List.IsZero() {
		t.Errorf("searches without a price: %+v", c)
	}
}

// Anthropic tells runs of several models apart: each at its own prices.
func TestBugIterationsAtOneModel(t *testing.T) {
	bugCheck{"anthropic", `{"input_tokens":1000,"output_tokens":100,"iterations":[
		{"type":"message","input_tokens":1000,"output_tokens":100},
		{"type":"advisor_message","model":"claude-opus-5","input_tokens":1000,"output_tokens":100}]}`, Terms{Model: "claude-sonnet-5"}, "0.0105"}.run(t)
}

// What was scheduled and called off is never charged.
func TestBugScheduledRiseCalledOff(t *testing.T) {
	bugCheck{"anthropic", `{"input_tokens":1000000,"output_tokens":0}`, Terms{Model: "claude-sonnet-5", At: someDay.AddDate(1, 0, 0)}, "2"}.run(t)
}

// A usage that tells nothing of what was used is no free call.
func TestBugUsageMissingIsNotZeroNewAPI5235(t *testing.T) {
	var requests, zero Usage
	requests.Set(Requests, 1)
	zero.Set(Input, 0)
	check := func(name string, u Usage, want Status) {
		t.Helper()
		if c := Builtin().Charge(u, Terms{Provider: "openai", Model: "gpt-5", At: someDay}); c.Status != want || !c.List.IsZero() {
			t.Errorf("%s: %s %s, want %s", name, c.Status, c.List, want)
		}
	}
	check("nothing", Usage{}, Unpriced)
	check("that there was a request", requests, Unpriced)
	check("that no tokens were used", zero, Priced)
}
