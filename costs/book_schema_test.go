package costs

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(PricesSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("prices.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("prices.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asEditors reads YAML as editors do, which know no dates.
func asEditors(t *testing.T, text string) any {
	t.Helper()
	dates := regexp.MustCompile(`([:\[,] ?)(\d{4}-\d{2}-\d{2})([,\]}\s])`)
	for range 2 { // neighbours in a list share a comma
		text = dates.ReplaceAllString(text, `$1"$2"$3`)
	}
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What the reader takes is valid to editors, and what it refuses by its form is not.
func TestPricesSchema(t *testing.T) {
	s := compiledSchema(t)
	if err := s.Validate(asEditors(t, string(vendoredOverlay))); err != nil {
		t.Errorf("the overlay: %v", err)
	}
	check := func(text string, valid bool) {
		t.Helper()
		_, read := NewBook(Sources{Own: []byte(text)})
		seen := s.Validate(asEditors(t, text))
		if (read == nil) != valid || (seen == nil) != valid {
			t.Errorf("%s\nwant valid = %v\nread: %v\nschema: %v", text, valid, read, seen)
		}
	}
	check("providers: {a: {models: [{id: m, rows: [{prices: {input: $1.5, audio_us: 0.006/min}, from: 2026-01-01 }]}]}}", true)
	check("providers: {a: {discounts: [{percent: 12.5%}], ceilings: [{prices: {output: 1}}]}}", true)
	check("x: 1", false)
	check("currency: EUR", false)
	check("providers: {a: {modles: []}}", false)
	check("providers: {a: {models: [{rows: []}]}}", false)
	check("providers: {a: {models: [{id: m, rows: [{prices: {input: -1}}]}]}}", false)
	check("providers: {a: {models: [{id: m, rows: [{prices: {input: cheap}}]}]}}", false)
	check("providers: {a: {models: [{id: m, rows: [{prices: {input: 1}, status: maybe}]}]}}", false)
	check("providers: {a: {models: [{id: m, rows: [{prices: {input: 1}, when: {teir: flex}}]}]}}", false)
	check("providers: {a: {multipliers: [{factor: 2}]}}", false)
}

// The example of the manual is a price file.
func TestPricesPage(t *testing.T) {
	page, err := os.ReadFile("../docs/prices.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "```yaml\ncurrency:")
	if !ok {
		t.Fatal("docs/prices.md has no example that begins with currency:")
	}
	text, _, _ = strings.Cut("currency:"+text, "```")
	if _, err := NewBook(Sources{Own: []byte(text)}); err != nil {
		t.Error(err)
	}
	if err := compiledSchema(t).Validate(asEditors(t, text)); err != nil {
		t.Error(err)
	}
}
