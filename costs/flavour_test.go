package costs

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// usageRow is a usage object as a vendor sends it, what its leaves are, and
// the vendor's own totals, which the leaves add up to.
type usageRow struct {
	Vendor, API, Note   string
	Provider            string // price book's id
	Usage               json.RawMessage
	Want                Usage
	TotalIn, TotalOut   int64
	UnknownIn, NoOutput bool
}

func readTestdata(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestRead(t *testing.T) {
	var rows []usageRow
	readTestdata(t, "usage.json", &rows)
	for _, row := range rows {
		r := FlavourOf(row.Provider, row.API, row.Usage).Read(row.Usage, Usage{})
		if r.Usage != row.Want {
			t.Errorf("%s (%s): %s\n got %s\nwant %s", row.Vendor, row.Note, row.Usage, r.Usage.AppendJSON(nil), row.Want.AppendJSON(nil))
		}
		in, hasIn := r.Usage.Input()
		out, hasOut := r.Usage.Output()
		if in != row.TotalIn || out != row.TotalOut || hasIn == row.UnknownIn || hasOut == row.NoOutput || r.Inconsistent {
			t.Errorf("%s (%s): sums %d %v and %d %v, want %d and %d; inconsistent: %v", row.Vendor, row.Note, in, hasIn, out, hasOut, row.TotalIn, row.TotalOut, r.Inconsistent)
		}
		if again := FlavourOf(row.Provider, row.API, nil).Read(row.Usage, Usage{}); again.Usage != r.Usage {
			t.Errorf("%s (%s): decided late it is %s", row.Vendor, row.Note, again.Usage.AppendJSON(nil))
		}
	}
}

// The provider's own charge is exact, whatever way JSON writes it.
func TestProvidersOwnCharge(t *testing.T) {
	check := func(provider, usage, want string) {
		t.Helper()
		r := FlavourOf(provider, "chat", nil).Read([]byte(usage), Usage{})
		if got := r.Charged.String(); r.HasCharge != (want != "") || r.HasCharge && got != want {
			t.Errorf("%s: %s, %v, want %s", usage, got, r.HasCharge, want)
		}
	}
	check("x-ai", `{"prompt_tokens":1,"cost_in_usd_ticks":232856000}`, "0.0232856")
	check("xai", `{"prompt_tokens":1,"cost_in_usd_ticks":1}`, "0.0000000001")
	check("xai", `{"prompt_tokens":1,"cost_in_usd_ticks":0}`, "0")
	check("xai", `{"prompt_tokens":1,"cost_in_usd_ticks":-5}`, "")
	check("deepinfra", `{"prompt_tokens":15,"estimated_cost":2.4e-06}`, "0.0000024")
	check("perplexity", `{"prompt_tokens":1,"cost":{"total_cost":0.816}}`, "0.816")
	check("perplexity", `{"prompt_tokens":1,"cost":{"total_cost":null}}`, "")
	check("openrouter", `{"prompt_tokens":1,"cost":0.95,"is_byok":false,"cost_details":{"upstream_inference_cost":19}}`, "0.95")
	check("openrouter", `{"prompt_tokens":1,"cost":0.05,"is_byok":true,"cost_details":{"upstream_inference_cost":1}}`, "1.05")
	check("openrouter", `{"prompt_tokens":1,"cost":0.05,"is_byok":true}`, "")
	check("openrouter", `{"prompt_tokens":1,"cost":0.00014150000000000002}`, "0.0001415")
	check("openrouter", `{"prompt_tokens":1,"cost":1.2345678901234567e-05}`, "0.000012345678901235")
	check("openrouter", `{"prompt_tokens":1,"cost":123.4}`, "123.4")
	check("openrouter", `{"prompt_tokens":1,"cost":-0.1}`, "")
	check("openrouter", `{"prompt_tokens":1,"cost":"0.1"}`, "")
	check("openrouter", `{"prompt_tokens":1,"cost":1e400}`, "")
	check("openai", `{"prompt_tokens":1}`, "")
	// A figure of anyone else may be credits, cents or a total of something else.
	for _, other := range []string{"", "openai", "local", "none", "a-private-server", "deepinfra", "perplexity", "x-ai"} {
		check(other, `{"prompt_tokens":1,"cost":12}`, "")
	}
	for _, other := range []string{"", "openai", "together", "openrouter"} {
		check(other, `{"prompt_tokens":1,"estimated_cost":0.3}`, "")
		check(other, `{"prompt_tokens":1,"cost":{"total_cost":0.8}}`, "")
		check(other, `{"prompt_tokens":1,"cost_in_usd_ticks":232856000}`, "")
	}
	check("OpenRouter", `{"prompt_tokens":1,"cost":0.95}`, "0.95")
}

// The golden cases' lines name what is billed; the leaves say the same.
func TestGoldenLeaves(t *testing.T) {
	var cases []struct {
		ID, Provider, Model string
		Usage               json.RawMessage
		Lines               []struct {
			Meter string
			Qty   int64
		}
	}
	readTestdata(t, "golden_costs.json", &cases)
	meters := map[string][]Meter{
		"input": {Input}, "input_text": {Input}, "cache_read": {InputCacheRead},
		"cache_write": {InputCacheWrite}, "cache_write_5m": {InputCacheWrite, InputCacheWrite5m}, "cache_write_1h": {InputCacheWrite1h},
		"output": {Output, OutputReasoning}, "output_text_reasoning": {OutputReasoning}, "output_image": {OutputImage},
	}
	for _, c := range cases {
		r := FlavourOf(c.Provider, "", c.Usage).For(c.Model).Read(c.Usage, Usage{})
		if r.Inconsistent {
			t.Errorf("%s: %s is inconsistent", c.ID, c.Usage)
		}
		for _, line := range c.Lines {
			sum := int64(0)
			for _, m := range meters[line.Meter] {
				n, _ := r.Usage.Get(m)
				sum += n
			}
			if sum != line.Qty {
				t.Errorf("%s: %s is %d of %s, want %d", c.ID, line.Meter, sum, r.Usage.AppendJSON(nil), line.Qty)
			}
		}
	}
}

// Of an object alone the members tell whose it is.
func TestFlavourOf(t *testing.T) {
	check := func(vendor, api, model, usage, want string) {
		t.Helper()
		if got := FlavourOf(vendor, api, []byte(usage)).For(model).String(); got != want {
			t.Errorf("%s of %s %s %s is %s, want %s", usage, vendor, api, model, got, want)
		}
	}
	check("openai", "chat", "", `{}`, "openai chat")
	check("openai", "", "", `{"prompt_tokens":1}`, "openai chat")
	check("OpenAI", "", "", `{"input_tokens":1,"output_tokens":1}`, "openai responses")
	check("openai", "", "gpt-image-1.5", `{"input_tokens":1,"output_tokens":1}`, "openai images")
	check("openai", "", "gpt-5", `{"input_tokens":1,"output_tokens":1}`, "openai responses")
	check("openai", "", "", `{"type":"duration","seconds":90}`, "audio by its length")
	check("google", "", "", `{"prompt_tokens":1}`, "google, openai-compatible")
	check("google", "embeddings", "", `{"promptTokenCount":1}`, "google generateContent")
	check("gemini", "chat", "", `{}`, "google, openai-compatible")
	check("anthropic", "", "", `{"input_tokens":1}`, "anthropic messages")
	check("anthropic", "", "", `{"prompt_tokens":1}`, "anthropic, openai-compatible")
	check("aws", "", "", `{"input_tokens":1,"cache_read_input_tokens":1}`, "anthropic messages")
	check("aws", "", "anthropic.claude-opus-5", `{"inputTokens":1}`, "bedrock converse")
	check("aws", "", "eu.openai.gpt-5.6-luna", `{"inputTokens":1}`, "bedrock converse, input with its cached tokens")
	check("xai", "", "", `{"prompt_tokens":1}`, "x-ai chat")
	check("cohere", "rerank", "", `{"billed_units":{"search_units":1}}`, "cohere billed units")
	check("cohere", "chat", "", `{"prompt_tokens":1}`, "openai-compatible")
	check("", "", "", `{"prompt_eval_count":1}`, "ollama")
	check("", "", "", `{"anything":1}`, "openai-compatible")
	check("", "", "", `nonsense`, "by members")
	if got := FlavourOf("", "rerank", nil).String(); got != "by members" {
		t.Errorf("a ranking of anyone is %s", got)
	}
}

// What is no number that can be counted is unknown, and never zero.
func TestReadNonsense(t *testing.T) {
	check := func(api, raw, want string, inconsistent bool) {
		t.Helper()
		r := FlavourOf("", api, nil).Read([]byte(raw), Usage{})
		if got := string(r.Usage.AppendJSON(nil)); got != want || r.Inconsistent != inconsistent {
			t.Errorf("%s = %s (inconsistent: %v), want %s", raw, got, r.Inconsistent, want)
		}
	}
	check("chat", `{"prompt_tokens":-1,"completion_tokens":1.5}`, `{}`, true)
	check("chat", `{"prompt_tokens":-0,"completion_tokens":2}`, `{"input":0,"output":2}`, false)
	check("chat", `{"prompt_tokens":12.0,"completion_tokens":1e2}`, `{"input":12,"output":100}`, false)
	check("chat", `{"prompt_tokens":1e-1,"completion_tokens":9007199254740993}`, `{}`, true)
	check("chat", `{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":9}}`, `{"input":0,"input_cache_read":5}`, true)
	check("chat", `{"prompt_tokens":5,"completion_tokens":5,"total_tokens":9}`, `{"input":5,"output":5}`, true)
	check("generate", `{"promptTokenCount":5,"candidatesTokenCount":5,"totalTokenCount":30}`, `{"input":5,"output":5}`, true)
	check("generate", `{"promptTokenCount":5,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":9}]}`, `{"input":0,"input_audio":5}`, true)
	check("generate", `{"promptTokenCount":5,"promptTokensDetails":[1,[2],{"modality":"AUDIO"},{"tokenCount":3}],"x":[[{"tokenCount":1}]]}`, `{"input":5}`, false)
	check("messages", `{"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":9}}`, `{"input_cache_write_5m":5}`, true)
	for _, raw := range []string{``, `null`, `[]`, `{`, `{"prompt_tokens":5`, `{"prompt_tokens":5}}`, `{"prompt_tokens":5,}`, `{"a":[}`, `{"a":"b}`, `{"a" 5}`, `{a:5}`, `{"prompt_tokens":}`} {
		check("chat", raw, `{}`, false)
	}
	check("chat", " \n{ \"prompt_tokens\" : 5 , \"a\\\"b\" : { \"x\" : [ \"}\" , { } ] } } ", `{"input":5}`, false)
}

// The vendor's own figures are kept, whatever the leaves come to.
func TestTotalsAreKept(t *testing.T) {
	r := FlavourOf("openai", "chat", nil).Read([]byte(`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":99}`), Usage{})
	if want := (Totals{Input: 10, Output: 5, Total: 99, HasInput: true, HasOutput: true, HasTotal: true}); r.Totals != want || !r.Inconsistent {
		t.Errorf("%+v, inconsistent: %v", r.Totals, r.Inconsistent)
	}
}

// Anthropic's iterations are usages at a model each. Compactions and advisors
// are in no top-level figure.
func TestIterations(t *testing.T) {
	type line struct {
		model string
		usage string
	}
	check := func(name, served, usage string, want ...line) {
		t.Helper()
		r := FlavourOf("anthropic", "messages", nil).Read([]byte(usage), Usage{})
		var got []line
		for model, u := range r.Parts(served) {
			got = append(got, line{model, string(u.AppendJSON(nil))})
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %v, want %v", name, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: part %d is %v, want %v", name, i, got[i], want[i])
			}
		}
	}
	check("none", "m", `{"input_tokens":5,"output_tokens":2}`, line{"", `{"input":5,"output":2}`})
	check("compaction", "m", `{"input_tokens":23000,"output_tokens":1000,"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500},{"type":"message","model":"m","input_tokens":23000,"output_tokens":1000}]}`,
		line{"", `{"input":23000,"output":1000}`}, line{"", `{"input":180000,"output":3500}`})
	check("advisor", "m", `{"input_tokens":412,"output_tokens":530,"server_tool_use":{"web_search_requests":2},"iterations":[{"type":"message","input_tokens":400,"output_tokens":500},{"type":"advisor_message","model":"claude-opus-5","input_tokens":823,"output_tokens":531,"cache_read_input_tokens":7},{"type":"message","input_tokens":12,"output_tokens":30}]}`,
		line{"", `{"input":412,"output":530,"web_searches":2}`}, line{"claude-opus-5", `{"input":823,"input_cache_read":7,"output":531}`})
	check("fallback, all in the figures", "b", `{"input_tokens":30,"output_tokens":12,"iterations":[{"type":"message","model":"a","input_tokens":10,"output_tokens":2},{"type":"fallback_message","model":"b","input_tokens":20,"output_tokens":10}]}`,
		line{"", `{"input":20,"output":10}`}, line{"a", `{"input":10,"output":2}`})
	check("fallback, the last in the figures", "b", `{"input_tokens":20,"output_tokens":10,"iterations":[{"type":"message","model":"a","input_tokens":10,"output_tokens":2},{"type":"fallback_message","model":"b","input_tokens":20,"output_tokens":10}]}`,
		line{"", `{"input":20,"output":10}`}, line{"a", `{"input":10,"output":2}`})
	check("figures that are no sum", "b", `{"input_tokens":5,"output_tokens":5,"iterations":[{"type":"message","model":"a","input_tokens":10,"output_tokens":2},{"type":"message","model":"b","input_tokens":20,"output_tokens":10}]}`,
		line{"", `{"input":5,"output":5}`})
	check("null", "m", `{"input_tokens":5,"output_tokens":2,"iterations":null}`, line{"", `{"input":5,"output":2}`})
	check("empty", "m", `{"input_tokens":5,"output_tokens":2,"iterations":[]}`, line{"", `{"input":5,"output":2}`})
}

func TestGroundingMeter(t *testing.T) {
	for model, want := range map[string]Meter{
		"gemini-2.5-pro": GroundedPrompts, "models/gemini-1.5-flash": GroundedPrompts, "gemini-3-flash-preview": SearchQueries,
		"gemini-3.8-flash": SearchQueries, "": SearchQueries, "gemini-": SearchQueries,
	} {
		if got := GroundingMeter(model); got != want {
			t.Errorf("%s: %v", model, got)
		}
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	f := FlavourOf("openai", "", nil)
	raw := []byte(`{"prompt_tokens":20,"completion_tokens":3,"total_tokens":23,"prompt_tokens_details":{"cached_tokens":1},"service_tier":"default"}`)
	var r Reading
	if n := testing.AllocsPerRun(50, func() { f.Update(&r, raw) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":1},"total_tokens":99,"cost":1e-5}`))
	f.Add([]byte(`{"promptTokenCount":5,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":4}],"cacheTokensDetails":[{"tokenCount":1}]}`))
	f.Add([]byte(`{"input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":2},"iterations":[{"type":"compaction","input_tokens":9},[1],{"iterations":[{}]}]}`))
	f.Add([]byte(`{"inputTokens":5,"cacheDetails":[{"ttl":"5m","inputTokens":3}],"totalTokens":8,"cacheWriteInputTokens":3}`))
	f.Add([]byte(`{"seconds":1.23456789e3,"cost_in_usd_ticks":5,"x":"\"}","y":[[[{"a":"]"}]]]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, row := range makers {
			r := FlavourOf(row.vendor, row.api, raw).Read(raw, Usage{})
			for m, n := range r.Usage.All {
				if n < 0 {
					t.Fatalf("%s: %v is %d", raw, m, n)
				}
			}
			if r.Charged.Sign() < 0 {
				t.Fatalf("%s: charged %v", raw, r.Charged)
			}
			for range r.Parts("m") {
			}
		}
	})
}

// The manual names every meter and every flavour.
func TestManualNamesEverything(t *testing.T) {
	page, err := os.ReadFile("../docs/costs.md")
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string) {
		t.Helper()
		if !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("docs/costs.md does not name %s", name)
		}
	}
	for _, m := range Meters() {
		has(m.String())
	}
	for v := range numVendors {
		for s := shapeByMembers + 1; s < numShapes; s++ {
			has(Flavour{v, s}.String())
		}
	}
}

// A list is the parts of one reply at Anthropic, and several requests elsewhere.
func TestReadList(t *testing.T) {
	check := func(vendor, api, raw, want string) {
		t.Helper()
		r := FlavourOf(vendor, api, nil).Read([]byte(raw), Usage{})
		if got := string(r.Usage.AppendJSON(nil)); got != want {
			t.Errorf("%s = %s, want %s", raw, got, want)
		}
	}
	check("anthropic", "messages", `[{"input_tokens":5,"output_tokens":1}, {"output_tokens":9}]`, `{"input":5,"output":9}`)
	check("google", "generate", `[{"promptTokenCount":100},{"promptTokenCount":50}]`, `{"input":150}`)
	check("openai", "embeddings", `[{"prompt_tokens":3,"total_tokens":3},null,[1],{"prompt_tokens":4,"total_tokens":4}`, `{"input":7}`)
	check("openai", "chat", `[`, `{}`)
	check("openai", "chat", `[]`, `{}`)
}
