package mockllm

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// parse takes what encoding/json takes, and reads the same strings. A text
// that is written again parses the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-2.5e+3,true,false,null,"x\u00e9\ud83d\ude00\n\"\\\/"]}`, `[]`, `{}`, `""`, ` 0 `, `01`, `1.`, `-`, `"\u12"`, `"\x"`,
		"\"\x01\"", `{"a":1,}`, `[1 2]`, `{"a" 1}`, `nul`, `"\ud800"`, `"abc`, "\"\xff\"", `[[[[]]]]`, `{"a":{"b":{"a":0}},"a":1}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parse(s)
		if ok := json.Valid([]byte(s)); ok != (err == nil) && strings.Count(s, "[")+strings.Count(s, "{") < maxDepth {
			t.Fatalf("parse(%q) = %v, encoding/json says %v", s, err, ok)
		}
		if err != nil || n.kind != text {
			return
		}
		again, err := parse(string(appendString(nil, n.text)))
		if err != nil || again.text != strings.ToValidUTF8(n.text, "\ufffd") && !strings.Contains(again.text, "\ufffd") {
			t.Fatalf("%q written is %q, %v", n.text, again.text, err)
		}
		var want string
		if err := json.Unmarshal([]byte(s), &want); err == nil && strings.ToValidUTF8(want, "") == strings.ToValidUTF8(n.text, "") && want == again.text {
			return
		} else if err == nil && !strings.Contains(want, "\ufffd") {
			t.Fatalf("%q is %q, want %q", s, n.text, want)
		}
	})
}

// Cut where one may, the shrinker's text stays JSON with the same short
// strings, and long ones keep their beginning.
func FuzzShrink(f *testing.F) {
	long := strings.Repeat(`é\u00e9\n"`[:9], keepString/4)
	f.Add(`{"a":"short","b":"`+long+`","c":["\\"]}`, 7)
	f.Add(`{"a":"`+strings.Repeat("x", keepString-1)+`\u1234yy"}`, 1000)
	f.Add(`["\"", "\\\"", "a"]`, 1)
	f.Fuzz(func(t *testing.T, s string, step int) {
		if !json.Valid([]byte(s)) {
			return
		}
		var w shrinker
		step = max(step%len(s), 1)
		for p := s; p != ""; {
			n := min(step, len(p))
			_, _ = w.Write([]byte(p[:n]))
			p = p[n:]
		}
		if !json.Valid([]byte(w.String())) || w.Len()+w.cut != len(s) {
			t.Fatalf("%d bytes in pieces of %d became %d and %d cut: no JSON", len(s), step, w.Len(), w.cut)
		}
		if len(s) < keepString && w.String() != s {
			t.Fatal("a short text changed")
		}
	})
}

// Instances are valid for their schemas, by a validator of JSON Schema.
func TestInstance(t *testing.T) {
	check := func(schema, want string) {
		t.Helper()
		n, err := parse(schema)
		if err != nil {
			t.Fatal(err)
		}
		got := string(instance(&n))
		if want != "" && got != want {
			t.Errorf("%s: got %s, want %s", schema, got, want)
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("s.json", doc); err != nil {
			t.Fatal(err)
		}
		compiled, err := c.Compile("s.json")
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(got))
		if err != nil {
			t.Fatalf("%s: %s: %v", schema, got, err)
		}
		if err := compiled.Validate(v); err != nil {
			t.Errorf("%s: %s: %v", schema, got, err)
		}
	}
	check(`{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}},"required":["z"]}`, `{"z":"z","a":1}`)
	check(`{"type":"string","enum":["b","a"]}`, `"b"`)
	check(`{"const":{"a":1.0}}`, `{"a":1.0}`)
	check(`{"type":["null","number"],"minimum":2.5}`, `2.5`)
	check(`{"type":"integer","exclusiveMinimum":3,"multipleOf":5}`, `5`)
	check(`{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.5}`, "")
	check(`{"type":"integer","maximum":-3}`, `-3`)
	check(`{"type":"array","items":{"type":"boolean"},"minItems":2}`, `[true,true]`)
	check(`{"type":"array","maxItems":0}`, `[]`)
	check(`{"type":"array","prefixItems":[{"type":"string"},{"type":"null"}]}`, `["value",null]`)
	check(`{"type":"string","minLength":9,"maxLength":10}`, `"valuexxxx"`)
	check(`{"type":"string","maxLength":2}`, `"va"`)
	check(`{"type":"string","pattern":"^[A-Z]{3}-\\d+(x|y)?$"}`, `"AAA-0"`)
	check(`{"anyOf":[{"type":"null"},{"type":"integer"}]}`, `1`)
	check(`{"$defs":{"n":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]},"v":{"type":"integer"}},"required":["v"]}},"$ref":"#/$defs/n"}`, "")
	check(`{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"integer"}}}]}`, `{"a":"a","b":1}`)
	check(`{"type":"object","properties":{"t":{"type":"array","items":{"type":"object","properties":{"k":{"enum":["x"]}},"required":["k"],"additionalProperties":false}}},"required":["t"],"additionalProperties":false}`, `{"t":[{"k":"x"}]}`)
	for format := range formats {
		if format != "url" {
			check(`{"type":"string","format":"`+format+`"}`, "")
		}
	}
	check(`{}`, "")
	check(`{"type":"object"}`, `{}`)
}

// A schema that has no end, or too far a one, makes an instance that has.
func TestInstanceEnds(t *testing.T) {
	deep := `{"type":"boolean"}`
	for range 8 {
		deep = `{"type":"array","minItems":1000,"items":` + deep + `}`
	}
	wide := `{"type":"object","properties":{`
	for i := range 20 {
		wide += `"p` + string(rune('a'+i)) + `":{"$ref":"#"},`
	}
	wide += `"z":{"$ref":"#"}},"required":["pa","pb","pc"]}`
	for _, schema := range []string{deep, wide, `{"$ref":"#"}`, `{"anyOf":[{"$ref":"#"}]}`, `{"type":"array","items":{"$ref":"#"},"minItems":2}`} {
		n, err := parse(schema)
		if err != nil {
			t.Fatal(err)
		}
		if got := instance(&n); len(got) > 1<<20 || !json.Valid(got) {
			t.Errorf("%.80s…: %d bytes", schema, len(got))
		}
	}
}

func TestMagic(t *testing.T) {
	check := func(model string, seen int, want func(b *Behaviour) bool) {
		t.Helper()
		if b := magic(model, seen); !want(&b) {
			t.Errorf("magic(%q, %d) = %+v", model, seen, b)
		}
	}
	check("mock-fast", 1, func(b *Behaviour) bool { return b.Status == 0 && b.Latency == 0 })
	check("mock-error-429", 9, func(b *Behaviour) bool { return b.Status == 429 })
	check("mock-error-500x2", 2, func(b *Behaviour) bool { return b.Status == 500 })
	check("mock-error-500x2", 3, func(b *Behaviour) bool { return b.Status == 0 })
	check("mock-hangx1", 1, func(b *Behaviour) bool { return b.Hang == "request" })
	check("mock-hangx1", 2, func(b *Behaviour) bool { return b.Hang == "" })
	check("x/mock-slow-1.5s+tps-50", 1, func(b *Behaviour) bool { return b.Latency == 1500e6 && b.TokensPerSecond == 50 })
	check("mock-error", 1, func(b *Behaviour) bool { return b.Status == 0 })
	check("mock-words-many-cut-5", 1, func(b *Behaviour) bool { return b.Words == 0 && *b.CutBytes == 5 })
}
