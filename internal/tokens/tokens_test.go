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
	check("gpt-4o-mini-2024-07-18", O200k, 100, true)
	check("openai/gpt-5.1", O200k, 100, true)
	check("ft:gpt-4o-mini:org::abc", O200k, 100, true)
	check("gpt-4-turbo", Cl100k, 100, true)
	check("text-embedding-3-small", Cl100k, 100, true)
	check("claude-sonnet-4-5", O200k, 120, false)
	check("llama-3.3-70b", O200k, 100, false)
	check("", O200k, 100, false)
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
	b.Run("weir", func(b *testing.B) {
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
		load(codec.NewO200kBase(), 199_998, splitO200k)
	}
}
