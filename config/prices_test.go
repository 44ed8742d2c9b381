package config

import "testing"

func TestPricedAs(t *testing.T) {
	at := func(baseURL string) (string, bool) { return "groq", baseURL == "https://api.groq.com/openai/v1" }
	check := func(p Provider, want string) {
		t.Helper()
		if got := p.PricedAs(at); got != want {
			t.Errorf("%+v is priced as %q, want %q", p, got, want)
		}
	}
	check(Provider{Kind: "openai"}, "openai")
	check(Provider{Kind: "gemini"}, "google")
	check(Provider{Kind: "openai", BaseURL: "https://api.groq.com/openai/v1"}, "groq")
	check(Provider{Kind: "openai", BaseURL: "http://127.0.0.1:9000/v1"}, "")
	check(Provider{Kind: "openai", BaseURL: "http://127.0.0.1:9000/v1", PriceAs: "openai"}, "openai")
	check(Provider{Kind: "vllm", BaseURL: "http://gpu:8000/v1"}, "")
	check(Provider{Kind: "ollama"}, "")
	check(Provider{Kind: "mock"}, "free")
}
