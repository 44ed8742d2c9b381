package app

import (
	"slices"
	"testing"

	"weir/config"
	"weir/proxy"
)

// The configuration takes for a kind's apis what the data plane can ask it by.
func TestAPIsOfKinds(t *testing.T) {
	for _, kind := range config.Kinds() {
		for _, api := range config.APIs("mock") {
			_, err := proxy.APIs(proxy.ProviderSettings{Name: "p", Kind: kind, BaseURL: "http://127.0.0.1:1", APIs: []string{api}})
			if takes := slices.Contains(config.APIs(kind), api); takes != (err == nil) {
				t.Errorf("%s %s: the configuration says %v, the data plane %v", kind, api, takes, err)
			}
		}
	}
	want := []string{"chat", "responses?"}
	got := ProviderAPIs(&config.Provider{Name: "p", Kind: "vllm"})
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("vllm is asked by %q, want %q among them", got, name)
		}
	}
}
