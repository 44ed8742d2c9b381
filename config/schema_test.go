package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write schema.json anew")

// TestSchemaIsCurrent: the committed copy is what the table says.
func TestSchemaIsCurrent(t *testing.T) {
	if *update {
		if err := os.WriteFile("schema.json", Schema(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, Schema()) {
		t.Error("config/schema.json is stale: go test ./config -run Schema -update")
	}
}

// compiled returns the schema, checked against the meta-schema.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("weir.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("weir.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is what an editor makes of a file.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	var v any
	masked, _ := mask(text)
	if err := yaml.Unmarshal([]byte(masked), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(unmask(string(b)))))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSchemaAgrees: what Parse takes the schema takes, and what it refuses by
// form the schema refuses.
func TestSchemaAgrees(t *testing.T) {
	s := compiled(t)
	check := func(text string, valid bool) {
		t.Helper()
		_, parsed := Parse("f", []byte(text), nil)
		seen := s.Validate(asJSON(t, text))
		if (parsed == nil) != valid || (seen == nil) != valid {
			t.Errorf("%s\nwant valid = %v\nParse: %v\nschema: %v", text, valid, parsed, seen)
		}
	}
	check(contractExample, true)
	check("auth: off\nlisten: 127.0.0.1:0\nkeepalive: 0", true)
	check("auth: false", true)
	check("providers: {m: {kind: mock, models: a}, n: {kind: vllm, models: [b, c]}}\nroutes: {model: x, targets: {provider: m}}", true)
	check("providers: {mock: }", true)
	check("max_body: 1000\ntelemetry: {sample: 5%}\nlog: {level: debug, format: text}\ncapture: {bodies: true}", true)
	check("cache: {}\nredis: ''\nlimits: []\nprices:", true)
	check("tls:\nadmin:\n  listen: localhost:1", true)
	check("secret: 12345", true)
	check("keepalive: ${K:-15s}\nmax_body: ${M:-}", true)
	check("cache: {exact: {ttl: 24h}}", false)
	check("redis: redis://x", true)
	check("limits: [{scope: key, requests_per_minute: 600, tokens_per_minute: 1M, concurrent: 50}, {scope: customer, input_tokens_per_day: 2.5k, burst: 9, action: warn}]", true)
	check("limits: {scope: key, usd_per_day: $0.50, usd_per_month: 25, zone: Europe/Berlin, soft: [50%, 80], strict: on, unpriced: $0.1, exposure: 1, on_store_failure: local, value: a}", true)
	check("limits: {scope: key, concurrent: 1, action: queue, queue: 5s}", true)
	check("limits: {scope: key, usd_per_day: 0}", false)
	check("limits: {scope: key, usd_per_day: -$1}", false)
	check("limits: {scope: key, usd_per_day: 1, soft: 101}", false)
	check("limits: {scope: key, requests_per_minute: -1}", false)
	check("limits: {scope: key, requests_per_minute: 0}", false)
	check("limits: {scope: everyone, concurrent: 1}", false)
	check("listn: x", false)
	check("keepalive: 15", false)
	check("keepalive: soon", false)
	check("max_body: -1", false)
	check("auth: nobody", false)
	check("providers: {a: {kind: opnai}}", false)
	check("providers: {a: {kind: vllm, gpu_hour: $2.50, base_url: 'http://a/v1'}, b: {kind: mock, price_as: x, gpu_hour: 2.5}}\nprices: {overrides: ./prices.yaml}", true)
	check("providers: {a: {kind: mock, gpu_hour: -1}}", false)
	check("prices: {override: ./prices.yaml}", false)
	check("routes: [{model: x, target: {}}]", false)
	check("capture: {bodies: maybe}", false)
	check("providers: [a]", false)
}

// TestExamples: every example of the repository is valid, and valid to editors.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	s := compiled(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(file, text, nil); err != nil {
			t.Error(err)
		}
		var v any
		if err := yaml.Unmarshal(text, &v); err != nil { // as any other parser reads it
			t.Errorf("%s: %v", file, err)
			continue
		}
		if err := s.Validate(asJSON(t, string(text))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
