package costs

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var someDay = time.Date(2026, 9, 23, 0, 0, 0, 0, time.UTC)

// used is a usage of so many input and output tokens.
func used(input, output int64) (u Usage) {
	u.Set(Input, input)
	u.Set(Output, output)
	return u
}

func ownBook(t *testing.T, text string) *Book {
	t.Helper()
	b, err := NewBook(Sources{OwnName: "prices.yaml", Own: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vendored file and the overlay are read whole: nothing of them is left out.
func TestVendoredPrices(t *testing.T) {
	b := Builtin()
	b.Warm()
	models := 0
	for _, id := range b.Providers() {
		p := b.providers[id]
		if len(p.faults) > 0 {
			t.Errorf("%s: %s", id, strings.Join(p.faults, "\n"))
		}
		models += len(p.models)
		for _, f := range p.fallback {
			if b.providers[f] == nil {
				t.Errorf("%s sells models of %s, whom the book doesn't know", id, f)
			}
		}
	}
	if models < 2000 {
		t.Errorf("%d models, want at least 2000", models)
	}
}

// An exact name of the vendored file means its own model, or one of Weir's that
// stands before it.
func TestExactNames(t *testing.T) {
	b := Builtin()
	for _, id := range b.Providers() {
		b.Warm(id)
		p := b.providers[id]
		for _, m := range p.models {
			m.match.exacts(func(name string) {
				got := p.find(b, name)
				if got == nil || got != m && !slices.ContainsFunc(p.models[:slices.Index(p.models, m)], func(o *model) bool { return o == got }) {
					t.Errorf("%s: %s means %v, want %s", id, name, got, m.id)
				}
			})
		}
	}
}

func TestRowIDsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	Builtin().Rows(RowQuery{At: someDay}, func(r PriceRow) bool {
		if seen[r.ID] && !strings.HasPrefix(r.ID, "base:") { // the vendored file has models twice
			t.Errorf("two rows are %s", r.ID)
		}
		seen[r.ID] = true
		return true
	})
}

func TestMatching(t *testing.T) {
	check := func(provider, name, want string) {
		t.Helper()
		got := Builtin().Charge(used(1000, 10), Terms{Provider: provider, Model: name, At: someDay})
		if got.Model != want {
			t.Errorf("%s/%s is priced as %q, want %q (%s)", provider, name, got.Model, want, got.Why)
		}
	}
	check("openai", "gpt-5.6-sol-2026-07-01", "gpt-5.6-sol") // the data has a pattern for its dates
	check("openai", "GPT-4o", "gpt-4o")
	check("openai", "openai/gpt-4o", "gpt-4o")
	check("openai", "gpt-4o-2031-01-01", "") // and none for these
	check("openai", "gpt-5-2031-01-01", "")
	check("openai", "gpt-4o-mini-2031", "")
	check("openai", "ft:gpt-5:acme::x", "")
	check("openai", "ft:gpt-4o-2024-08-06:acme::x", "ft:gpt-4o")
	check("openai", "ft:gpt-4.1-mini-2025-04-14:acme::x", "ft:gpt-4.1-mini")
	check("azure", "gpt-4o-mini-2024-07-18.ft-0123", "gpt-4o-mini-2024-07-18.ft-")
	check("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5")
	check("anthropic", "claude-haiku-4-5-20991231", "claude-haiku-4-5")
	check("anthropic", "claude-haiku-4-5-fast", "")
	check("anthropic", "claude-opus-4-10", "")
	check("anthropic", "claude-opus-4-1-20250805", "claude-opus-4-1")
	check("anthropic", "claude-opus-6", "")
	check("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-0")
	check("google", "gemini-2.0-flash-001", "gemini-2.0-flash")
	check("google", "gemini-2.0-flash-lite-001", "gemini-2.0-flash-lite")
	check("anthropic", "claude-opus-5-5-20260901", "claude-opus-5-5")
	check("google", "models/gemini-2.5-pro", "gemini-2.5-pro")
	check("google", "gemini-2.5-pro-preview-05-06", "gemini-2.5-pro")
	check("google", "gemini-2.5-pro-preview-tts", "gemini-2.5-pro-tts")
	check("google", "gemini-3.8-flash-tts", "gemini-3.8-flash-tts")
	check("google", "gemini-3.8-flash-nano", "")
	check("vertex_ai", "publishers/anthropic/models/claude-sonnet-4-5@20250929", "claude-sonnet-4-5")
	check("gemini", "gemini-2.5-flash-8b", "")
	check("gemini", "gemini-2.5-flash-lite-preview-06-17", "gemini-2.5-flash-lite")
	check("gemini", "gemini-live-2.5-flash-preview-native-audio-09-2025", "gemini-live-2.5-flash")
	check("gemini", "gemini-2.0-flash-exp-image-generation", "")
	check("gemini", "gemma-3-27b-it", "gemma-3")
	check("gemini", "gemini-1.5-flash-8b", "gemini-flash-1.5-8b")
	check("bedrock", "us.anthropic.claude-opus-4-6-v1:0", "regional.anthropic.claude-opus-4-6-v1:0")
	check("bedrock", "apac.anthropic.claude-sonnet-4-5-20250929-v1:0", "regional.anthropic.claude-sonnet-4-5-20250929-v1:0")
	check("bedrock", "global.anthropic.claude-opus-4-6-v1:0", "global.anthropic.claude-opus-4-6-v1:0")
	check("grok", "grok-4.5", "grok-4.5")
	check("openrouter", "openai/gpt-4o:nitro", "")
	check("nobody", "gpt-4o", "")
}

func TestProviderAt(t *testing.T) {
	check := func(url, want string) {
		t.Helper()
		if got, _ := Builtin().ProviderAt(url); got != want {
			t.Errorf("%s is %q, want %q", url, got, want)
		}
	}
	check("https://api.openai.com/v1", "openai")
	check("https://api.openai.com", "openai")
	check("https://api.openai.com.evil.example/v1", "")
	check("https://x.example/https://api.openai.com/v1", "")
	check("https://api.groq.com/openai/v1", "groq")
	check("https://API.DeepSeek.com/v1", "deepseek")
	check("https://acme.openai.azure.com", "azure")
	check("https://generativelanguage.googleapis.com", "google")
	check("https://us-east5-aiplatform.googleapis.com/v1", "google")
	check("https://bedrock-runtime.us-east-1.amazonaws.com", "aws")
	check("https://api.moonshot.ai/v1", "moonshotai")
	check("https://api.deepinfra.com/v1/openai", "deepinfra")
	check("http://127.0.0.1:8000/v1", "")
	check("http://gpt-4o.internal/v1", "")
}

// A regular expression of the vendored file may look ahead at its beginning.
func TestLookAhead(t *testing.T) {
	m, err := newRegex(`^(?!.*-tts(?:$|-))gemini`)
	if err != nil {
		t.Fatal(err)
	}
	if m.rank("gemini-2.5-pro") == 0 || m.rank("gemini-2.5-tts") != 0 || m.rank("x") != 0 {
		t.Error("^(?!…) does not exclude")
	}
	for _, bad := range []string{"(", "^(?!x", strings.Repeat("a", maxPattern+1), "a(?=b)"} {
		if _, err := newRegex(bad); err == nil {
			t.Errorf("newRegex(%.20q) has no error", bad)
		}
	}
}

// The layers: one's own before Weir's before the vendored file's.
func TestOwnPrices(t *testing.T) {
	b := ownBook(t, `
providers:
  openai:
    discounts:
      - {name: contract, percent: 10%, models: [gpt-5]}
      - {name: output deal, percent: 50, meters: [output], models: [gpt-5.1]}
    ceilings: [{name: cap, models: [gpt-5.2], prices: {input: 1}}]
    models:
      - id: gpt-4o
        rows: [{prices: {input: 2}}]
      - id: gpt-4.1
        rows: [{contract: true, prices: {input: 1.5}}]
      - id: gpt-4.1-mini
        rows: [{flat: true, prices: {input: 1, output: 1}}]
      - id: gpt-2031
        prefix: [gpt-2031-]
        rows:
          - {prices: {input: 1, output: 2}}
          - {from: 2026-10-01, prices: {input: 3, output: 4}}
          - {when: {tier: flex}, prices: {input: 0.1}}
          - {from: 2026-01-01, status: announced, prices: {output_audio: 9}}
  ours:
    aliases: [house]
    models: [{id: m, free: true}]
`)
	check := func(name string, u Usage, terms Terms, list, contracted string) {
		t.Helper()
		if terms.Provider == "" {
			terms.Provider = "openai"
		}
		if terms.At.IsZero() {
			terms.At = someDay
		}
		c := b.Charge(u, terms)
		if c.List.String() != list || c.Contracted.String() != contracted || c.Status == Unpriced {
			t.Errorf("%s: %s list %s, contracted %s (%s), want %s and %s", name, c.Status, c.List, c.Contracted, c.Why, list, contracted)
		}
	}
	million := used(1_000_000, 1_000_000)
	check("a discount", million, Terms{Model: "gpt-5"}, "11.25", "10.125")
	check("a discount of a meter", million, Terms{Model: "gpt-5.1"}, "11.25", "6.25")
	check("a ceiling", million, Terms{Model: "gpt-5.2"}, "15.75", "15")
	check("an own price of one meter", million, Terms{Model: "gpt-4o"}, "12", "12")
	check("an own price is multiplied, too", million, Terms{Model: "gpt-4o", Batch: true}, "6", "6")
	check("an agreed price", million, Terms{Model: "gpt-4.1"}, "10", "9.5")
	check("a flat price", million, Terms{Model: "gpt-4.1-mini", Tier: "priority"}, "2", "2")
	check("an own model", million, Terms{Model: "gpt-2031-05-05"}, "3", "3")
	check("an own model, later", million, Terms{Model: "gpt-2031", At: someDay.AddDate(0, 1, 0)}, "7", "7")
	check("an own condition beats a later row", used(1_000_000, 0), Terms{Model: "gpt-2031", Tier: "flex", At: someDay.AddDate(0, 1, 0)}, "0.1", "0.1")
	check("a free model", million, Terms{Provider: "house", Model: "m"}, "0", "0")
	if c := b.Charge(million, Terms{Provider: "ours", Model: "m"}); c.Status != Free {
		t.Errorf("a free model is %s, want free", c.Status)
	}
	var audio Usage
	audio.Set(OutputAudio, 1_000_000)
	check("an announced row is not charged", audio, Terms{Model: "gpt-2031"}, "2", "2")
	if v := b.Version(); !strings.HasPrefix(v, Builtin().Version()+"+own-") {
		t.Errorf("the version is %s", v)
	}
}

func TestBadPriceFiles(t *testing.T) {
	check := func(text string, want ...string) {
		t.Helper()
		_, err := NewBook(Sources{OwnName: "p", Own: []byte(text)})
		if err == nil {
			t.Errorf("%s\nhas no problem, want %q", text, want)
			return
		}
		if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %q\nwant %q", text, got, want)
		}
	}
	row := func(s string) string {
		return "providers:\n  a:\n    models:\n      - id: m\n        rows:\n          - " + s
	}
	check("providers: [", "p:1: did not find expected node content")
	check("providers: {a: [}", "p:1: did not find expected node content")
	check("currency: USD\n---\nproviders: {}", "p:2: a second document: want one")
	check("a: \x00", "p: control characters are not allowed")
	check(row("{prices: {input: 1}}\n      - {id: M, rows: [{prices: {input: 2}}]}"), "p:7: m is there twice: line 4 has it, too")
	check("x: 1", `p:1: unknown key "x" in the file`)
	check("provider: {}", `p:1: unknown key "provider" in the file (did you mean "providers"?)`)
	check("currency: EUR", `p:1: unknown currency "EUR": prices are in USD`)
	check("providers: {local: {}}", `p:1: a provider cannot be called "local", or is there twice`)
	check(row("{prices: {input: -1}}"), "p:6: price of input: a price cannot be negative: -1")
	check(row("{prices: {input: 1e-30}}"), `p:6: price of input: read "1e-30": finer than 1e-18 dollars`)
	check(row("{prices: {input: cheap}}"), `p:6: price of input: read "cheap": want an amount in dollars like 0.0379055 or $25`)
	check(row("{prices: {input: 1/h}}"), `p:6: price of input: input has no unit "h": want one of M, k, 1`)
	check(row("{prices: {inptu: 1}}"), `p:6: unknown meter "inptu" (did you mean "input"?)`, "p:6: a row without prices")
	check(row("{prices: {input: 1}, from: soon}"), `p:6: want a date like 2026-11-25 or a time like 2026-08-16T16:00:00Z, got "soon"`)
	check(row("{prices: {input: 1}, from: 2026-02-01, to: 2026-01-01}"), "p:6: a row that ends before it begins")
	check(row("{prices: {input: 1}, when: {teir: flex}}"), `p:6: unknown condition "teir" (did you mean "tier"?)`)
	check(row("{prices: {input: 1}, when: {during: night}}"), `p:6: no window "night" of provider a`)
	check(row("{prices: {input: 1}, status: maybe}"), `p:6: want active, superseded, announced or cancelled, got "maybe"`)
	check(row("{prices: {input: 1}}\n          - {prices: {input: 2}}"), "p:7: the price of input overlaps with the one of line 6")
	check(row("{prices: {input: 1}, to: 2026-03-01}\n          - {prices: {input: 2}, from: 2026-02-01}"), "p:7: the price of input overlaps with the one of line 6")
	check("providers: {a: {models: [{rows: []}]}}", "p:1: a model without an id")
	check("providers: {a: {models: [{id: m, regex: '('}]}}", "p:1: a pattern that cannot be read: error parsing regexp: missing closing ): `(`")
	check("providers: {a: {discounts: [{percent: 101%}]}}", `p:1: want a factor of 0 to 1000 with up to 9 digits, or 0% to 100%, got "101%"`)
	check("providers: {a: {discounts: [{models: [m]}]}}", "p:1: a discount wants a percent")
	check("providers: {a: {multipliers: [{factor: 2}]}}", "p:1: a multiplier wants a name, a factor and a when")
	check("a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]", "p: too many values, aliases included")
}

// What a charge says must add up: its lines make it, and a sum of usages costs
// the sum of what they cost where no threshold lies between.
func TestChargesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var u, v Usage
		for _, m := range []Meter{Input, InputCacheRead, InputCacheWrite, Output, OutputReasoning, WebSearches} {
			u.Set(m, rapid.Int64Range(0, 10_000).Draw(t, "u"))
			v.Set(m, rapid.Int64Range(0, 10_000).Draw(t, "v"))
		}
		terms := Terms{
			Provider: "openai", Model: rapid.SampledFrom([]string{"gpt-5.6-sol", "gpt-6-luna", "gpt-4o"}).Draw(t, "model"), At: someDay,
			Tier: rapid.SampledFrom([]string{"", "flex", "priority"}).Draw(t, "tier"), Residency: rapid.SampledFrom([]string{"", "eu"}).Draw(t, "residency"),
		}
		if terms.Model == "gpt-4o" {
			terms.Tier = ""
		}
		b := Builtin()
		a, c := b.Charge(u, terms), b.Charge(v, terms)
		both := u
		both.Add(v)
		if whole := b.Charge(both, terms); whole.List != a.List.Add(c.List) || whole.Status == Unpriced {
			t.Errorf("%s + %s is %s (%s)", a.List, c.List, whole.List, whole.Why)
		}
		var lines Money
		for _, l := range a.Lines {
			lines = lines.Add(l.Amount)
		}
		if lines != a.List {
			t.Errorf("the lines make %s, the charge is %s", lines, a.List)
		}
	})
}

func TestRounding(t *testing.T) {
	check := func(hour string, micros int64, want string) {
		t.Helper()
		c := Builtin().Charge(Usage{}, Terms{GPUHour: USD(hour), GPUMicros: micros})
		if c.List.String() != want {
			t.Errorf("%s an hour for %d µs is %s, want %s", hour, micros, c.List, want)
		}
	}
	check("1", 1_000_000, "0.000277777778")
	check("3.6", 1, "0.000000001")
	check("0.0000018", 1_000_000, "0.0000000005")
	check("0.00000000000009", 20_000_000, "0.0000000000000005") // ends within 18 digits: exact
	check("0.000000000045", 100_000_000, "0.00000000000125")
	check("0.000000000000000001", 7, "0")
	if idle := GPUIdle(USD("3.60"), 2, 10_000_000, 4_000_000); idle.Amount != USD("0.012") {
		t.Errorf("six idle seconds of two GPUs are %s, want 0.012", idle.Amount)
	}
	if idle := GPUIdle(USD("3.60"), 1, 1, 2); !idle.Amount.IsZero() {
		t.Errorf("busy for longer than it lived: %s, want 0", idle.Amount)
	}
}

// Only what has more than 18 digits is rounded; a half of the twelfth digit
// ends before that, so that it is kept.
func TestRoundedAtTheEnd(t *testing.T) {
	b := ownBook(t, "providers: {p: {models: [{id: a, rows: [{prices: {audio_us: 0.0000000018}}]}, {id: b, rows: [{prices: {audio_us: 0.0000000054}}]}]}}")
	check := func(model string, micros int64, want string) {
		t.Helper()
		var u Usage
		u.Set(AudioMicros, micros)
		if c := b.Charge(u, Terms{Provider: "p", Model: model}); c.List.String() != want {
			t.Errorf("%s: %s, want %s", model, c.List, want)
		}
	}
	// 1.8e-9 an hour is 5e-13 a second: it ends, and stays exact.
	check("a", 1_000_000, "0.0000000000005")
	check("b", 333_333_333, "0.0000000005")
}

// Nothing that was counted is lost: it has a line, or it is missing and the
// charge has no amount.
func TestNothingIsLost(t *testing.T) {
	b := Builtin()
	names := [][2]string{
		{"openai", "gpt-5.6-sol"},
		{"openai", "gpt-image-1.5"},
		{"openai", "whisper-1"},
		{"openai", "text-embedding-3-small"},
		{"anthropic", "claude-opus-5"},
		{"google", "gemini-2.5-pro"},
		{"google", "gemini-3.5-flash"},
		{"x-ai", "grok-4.5"},
		{"perplexity", "sonar"},
		{"groq", "whisper-large-v3"},
		{"mistral", "mistral-ocr-4-1"},
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "model")
		var u Usage
		for range rapid.IntRange(1, 6).Draw(t, "meters") {
			u.Set(rapid.SampledFrom(Meters()).Draw(t, "meter"), rapid.Int64Range(0, 1e9).Draw(t, "n"))
		}
		c := b.Charge(u, Terms{Provider: name[0], Model: name[1], At: someDay})
		var seen, billed uint64
		for _, l := range c.Lines {
			seen, billed = seen|1<<l.Meter, billed|1<<l.Meter
			if l.Row == "" || l.Quantity > l.Billed || l.Amount.Sign() < 0 {
				t.Errorf("a line of %s: %+v", name, l)
			}
		}
		for _, m := range c.Missing {
			seen |= 1 << m
		}
		if len(c.Missing) > 0 && c.Status != Unpriced || c.Status == Unpriced && (!c.List.IsZero() || !c.Contracted.IsZero()) {
			t.Errorf("%s: %s %s with %v missing", name, c.Status, c.List, c.Missing)
		}
		for m, n := range u.All {
			if n == 0 || seen&(1<<m) != 0 {
				continue
			}
			switch {
			case sizes&(1<<m) != 0: // says again what others count
			case tokenMeters&(1<<m) != 0 && billed&sizes != 0 && (strings.HasPrefix(name[1], "whisper") || strings.HasPrefix(name[1], "mistral-ocr")): // billed by length or pages alone
			case m == SearchQueries || m == WebSearches || m == GroundedPrompts: // Google bills one of them
				if billed&(1<<SearchQueries|1<<GroundedPrompts) == 0 {
					t.Errorf("%s: %s is neither billed nor missing", name, m)
				}
			default:
				t.Errorf("%s: %s is neither billed nor missing", name, m)
			}
		}
	})
}

// Each row of the overlay says where it is from and when it was looked up.
func TestOverlaySources(t *testing.T) {
	Builtin().Rows(RowQuery{At: someDay}, func(r PriceRow) bool {
		if strings.HasPrefix(r.ID, "weir:") && (!strings.HasPrefix(r.Source, "https://") || r.Checked == "") {
			t.Errorf("%s has no source or date: %q %q", r.ID, r.Source, r.Checked)
		}
		return true
	})
}
