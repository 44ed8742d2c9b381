package tokens

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tiktoken-go/tokenizer/codec"
)

var oracles = map[Encoding]*codec.Codec{O200k: codec.NewO200kBase(), Cl100k: codec.NewCl100kBase()}

// The count is the oracle's, whatever the text.
func sameAsOracle(t *testing.T, text string) {
	t.Helper()
	for e, oracle := range oracles {
		want, err := oracle.Count(text)
		if err != nil {
			t.Fatalf("oracle: %v", err)
		}
		if got := e.Count(text); got != int64(want) {
			t.Errorf("%s.Count(%.200q) = %d, want %d", e, text, got, want)
		}
	}
}

var samples = []string{
	"", " ", "  ", "\n", "\r\n\r\n", " \n \n  x", "a", "Hello, world!", "don't DON'T we'll I'VE they'Re 'S 'x",
	"func main() {\n\tfmt.Println(\"hi\")\n}\n", `{"a":[1,2.5e10,"x/y"],"b":null}`, "1234567 12 3", "http://example.com/a//b\n//x\n",
	"你好，世界。これはテストです", "naïve café Ünïcode ÀÉÎ", "👩‍👩‍👧 🇩🇪 emoji", "bad \xff\xfe utf\xc3", "éa combining e\u0301\u0301", "\u00a0\u2003x",
	"ſ 'ſ it'ſ K", "aBcDeF HTMLParser XMLHttpRequest", "٣٤٥٦ Ⅷ ½", "ǅ ʰʱ ªº ᴬ", "   trailing   ", "<|endoftext|>", "\x00\x01\x02", "a\u2028b\u0085c\u180ed\ufeff",
	strings.Repeat("a", 500), strings.Repeat(" ", 300), strings.Repeat("ab1 ", 100), strings.Repeat("=", 200), strings.Repeat("\n", 150) + "x",
	"𝒳𝒴 mathematical", "हिन्दी में", "ภาษาไทย", "العربية مع أرقام ١٢٣", "עברית", "한국어 텍스트", "I\u0307'S",
}

func TestCountIsTheOracles(t *testing.T) {
	for _, s := range samples {
		sameAsOracle(t, s)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			s := samples[r.IntN(len(samples))]
			if len(s) == 0 {
				continue
			}
			i := r.IntN(len(s))
			b.WriteString(s[i:min(len(s), i+1+r.IntN(12))])
		}
		sameAsOracle(t, b.String())
	}
	for range 3000 { // runes of every kind
		runes := make([]rune, 1+r.IntN(12))
		for i := range runes {
			runes[i] = rune(r.IntN([]int{128, 0x300, 0x3000, 0x20000}[r.IntN(4)]))
		}
		sameAsOracle(t, string(runes))
	}
}

func FuzzCount(f *testing.F) {
	for _, s := range samples {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) < 4096 {
			sameAsOracle(t, s)
		}
	})
}

func TestFor(t *testing.T) {
	check := func(model string, encoding Encoding, percent int64, exact bool) {
		t.Helper()
		e, p, ok := For(model)
		if e != encoding || p != percent || ok != exact {
			t.Errorf("For(%q) = %s, %d, %v; want %s, %d, %v", model, e, p, ok, encoding, percent, exact)
		}
	}
	exact := func(e Encoding, models ...string) {
		t.Helper()
		for _, m := range models {
			check(m, e, 100, true)
		}
	}
	exact(O200k, "gpt-4o", "gpt-4o-mini-2024-07-18", "chatgpt-4o-latest", "gpt-4.1", "gpt-4.1-nano-2025-04-14", "gpt-4.5-preview", "gpt-5", "gpt-5-mini", "gpt-5.1", "gpt-5.6-sol",
		"openai/gpt-5.1", "ft:gpt-4o-mini:org::abc", "ft:gpt-4.1-2025-04-14:acme", "o1", "o1-pro", "o3", "o3-mini", "o3-deep-research", "o4-mini", "O3-Mini", "gpt-oss-120b", "openai/gpt-oss-20b", "openai.gpt-oss-20b-1:0", "codex-mini-latest")
	exact(Cl100k, "gpt-4", "gpt-4-turbo", "gpt-4-0613", "gpt-4-32k", "gpt-3.5-turbo", "gpt-35-turbo-16k", "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002", "davinci-002", "babbage-002", "ft:gpt-3.5-turbo:org")
	guess := func(percent int64, models ...string) {
		t.Helper()
		for _, m := range models {
			check(m, O200k, percent, false)
		}
	}
	guess(100, "", "gpt-6-sol", "gpt-6.1-terra", "gpt-41", "gpt-50", "o100", "o4", "grok-4.20", "deepseek-v4-pro", "qwen3-32b", "Qwen/Qwen3-32B", "kimi-k2", "command-r", "my-deployment",
		"llama-3.3-70b", "llama3.2:3b", "meta-llama/Llama-4-Scout-17B", "us.meta.llama3-3-70b-instruct-v1:0", "smollm2:135m")
	guess(120, "claude-sonnet-4-5", "anthropic/claude-opus-5", "anthropic.claude-3-haiku-20240307-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-haiku-4-5@20251001", "llama-2-70b", "codellama-7b", "mixtral-8x7b")
	guess(105, "gemini-2.5-pro", "models/gemini-3-flash", "google/gemma-3-27b", "publishers/google/models/gemini-x")
	guess(115, "mistral-large-latest", "mistral.mistral-large-2402-v1:0", "codestral-latest", "ministral-8b", "magistral-medium")
}

// An estimate is the substitute's count times the factor, rounded up, and says
// that it is none of the model's own.
func TestCounter(t *testing.T) {
	var c Counter
	const text = "The quick brown fox jumps over the lazy dog."
	plain := O200k.Count(text)
	check := func(model string, want int64, exact bool) {
		t.Helper()
		if n, ok := c.Count(model, text); n != want || ok != exact {
			t.Errorf("Count for %q = %d, %v; want %d, %v", model, n, ok, want, exact)
		}
		if n, ok := c.CountBytes(model, []byte(text)); n != want || ok != exact {
			t.Errorf("CountBytes for %q = %d, %v", model, n, ok)
		}
	}
	check("gpt-4o", plain, true)
	check("gpt-4", Cl100k.Count(text), true)
	check("claude-sonnet-4-5", (plain*120+99)/100, false)
	check("llama-3.3-70b", plain, false)
	if n, ok := c.CountBytes("gpt-4o", nil); n != 0 || !ok {
		t.Errorf("nothing counts %d", n)
	}
	if got := Encoding("unknown").Count(text); got != plain {
		t.Errorf("an unknown encoding counts %d", got)
	}
}

// A long piece without a place to cut takes time in proportion, not squared.
func TestLongPieces(t *testing.T) {
	for _, s := range []string{strings.Repeat("a", 1<<20), strings.Repeat(" ", 1<<20), strings.Repeat("ab", 1<<18)} {
		if n := O200k.Count(s); n <= 0 {
			t.Errorf("Count of %d bytes = %d", len(s), n)
		}
	}
}

func TestCountAllocatesNothing(t *testing.T) {
	var c Counter
	text := []byte(strings.Repeat("The quick brown fox jumps over it. ", 40))
	c.CountBytes("gpt-4o", text)
	if n := testing.AllocsPerRun(20, func() { c.CountBytes("gpt-4o", text) }); n > 0 {
		t.Errorf("CountBytes allocates %v times", n)
	}
}

func BenchmarkCount1500(b *testing.B) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, and doesn't mind. ", 24)[:1500]
	Warm(O200k)
	b.Run("weir", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			O200k.Count(text)
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			_, _ = oracles[O200k].Count(text)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(codec.NewO200kBase, 199_998, splitO200k)
	}
}
