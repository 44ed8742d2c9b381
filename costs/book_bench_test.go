package costs

import (
	"testing"
	"time"
)

func BenchmarkLoadBook(b *testing.B) {
	for b.Loop() {
		book, err := NewBook(Sources{})
		if err != nil {
			b.Fatal(err)
		}
		book.load()
	}
}

func BenchmarkCompileOpenAI(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		book, _ := NewBook(Sources{})
		book.load()
		b.StartTimer()
		book.Warm("openai")
	}
}

func BenchmarkWarmAll(b *testing.B) {
	for b.Loop() {
		book, _ := NewBook(Sources{})
		book.Warm()
	}
}

// What the request path does with an ordinary chat completion.
func BenchmarkCharge(b *testing.B) {
	raw := []byte(`{"prompt_tokens":9126,"completion_tokens":3197,"total_tokens":12323,"prompt_tokens_details":{"cached_tokens":4864}}`)
	u := FlavourOf("openai", "chat", raw).Read(raw, Usage{}).Usage
	t := Terms{Provider: "openai", Model: "gpt-5.6-sol", Served: "gpt-5.6-sol-2026-07-01", Tier: "default", At: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}
	book := Builtin()
	b.ReportAllocs()
	for b.Loop() {
		if c := book.Charge(u, t); c.Status != Priced {
			b.Fatal(c.Why)
		}
	}
}
