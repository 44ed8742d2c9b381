package mockllm

import (
	"math"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxInstance is how deep an instance of a schema that refers to itself goes
// before it holds only what is required.
const maxInstance = 6

// maxValues is how many values an instance has. What would be after them, or
// far deeper, is null, valid or not: a schema that wants more wants no end.
const maxValues = 20000

// instance makes a JSON value that is valid for a schema, of the usual
// keywords of JSON Schema and of Gemini's subset.
func instance(schema *node) raw {
	return (&maker{root: schema}).value(schema, "value", 0)
}

type maker struct {
	root *node
	made int // values
}

// resolve follows $ref and picks one branch of anyOf and oneOf.
func (m *maker) resolve(s *node) *node {
	for range 20 {
		if ref := s.get("$ref").text; ref != "" {
			s = m.pointer(ref)
			continue
		}
		branch := s.either("anyOf", "oneOf", "any_of")
		if branch.kind != array || len(branch.kids) == 0 {
			break
		}
		next := &branch.kids[0]
		for i := range branch.kids {
			if branch.kids[i].get("type").text != "null" {
				next = &branch.kids[i]
				break
			}
		}
		s = next
	}
	return s
}

func (m *maker) pointer(ref string) *node {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return &none
	}
	s := m.root
	for step := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if step != "" {
			s = s.get(strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
		}
	}
	return s
}

func (m *maker) value(s *node, name string, depth int) raw {
	if m.made++; m.made > maxValues || depth > 8*maxInstance {
		return raw("null")
	}
	s = m.resolve(s)
	if fixed := s.either("const", "default", "example"); fixed.kind != absent {
		return raw(fixed.raw)
	}
	if enum := s.get("enum"); len(enum.kids) > 0 {
		return raw(enum.kids[0].raw)
	}
	if all := s.get("allOf"); len(all.kids) > 0 {
		return m.object(m.merged(s, all), depth)
	}
	switch m.typeOf(s) {
	case "object":
		return m.object(s, depth)
	case "array":
		return m.array(s, name, depth)
	case "integer":
		return m.number(s, true)
	case "number":
		return m.number(s, false)
	case "boolean":
		return raw("true")
	case "null":
		return raw("null")
	}
	return appendString(nil, m.text(s, name))
}

func (m *maker) typeOf(s *node) string {
	t := s.get("type")
	for _, kind := range t.items() {
		if kind.text != "null" {
			return strings.ToLower(kind.text)
		}
	}
	switch {
	case t.kind == array, t.text == "null":
		return "null"
	case s.has("properties"):
		return "object"
	case s.has("items"):
		return "array"
	}
	return "string"
}

// merged is one object schema out of allOf's parts and what stands beside it.
func (m *maker) merged(s, all *node) *node {
	properties, required := node{kind: object, key: "properties"}, node{kind: array, key: "required"}
	for _, part := range append([]node{*s}, all.kids...) {
		p := m.resolve(&part)
		properties.kids = append(properties.kids, p.get("properties").kids...)
		required.kids = append(required.kids, p.get("required").kids...)
	}
	return &node{kind: object, kids: []node{properties, required}}
}

func (m *maker) object(s *node, depth int) raw {
	needed := func(name string) bool {
		for _, r := range s.get("required").items() {
			if r.text == name {
				return true
			}
		}
		return false
	}
	var kv []any
	properties := s.get("properties")
	for i := range properties.kids {
		p := &properties.kids[i]
		if depth < maxInstance || needed(p.key) && depth < 4*maxInstance {
			kv = append(kv, p.key, m.value(p, p.key, depth+1))
		}
	}
	return obj(kv...)
}

func (m *maker) array(s *node, name string, depth int) raw {
	n := max(s.either("minItems", "min_items").int(1), 0)
	if most := s.either("maxItems", "max_items").int(n); n > most {
		n = most
	}
	if depth >= maxInstance {
		n = max(s.get("minItems").int(0), 0)
	}
	var items []raw
	prefix := s.get("prefixItems").kids
	for i := range prefix {
		items = append(items, m.value(&prefix[i], name, depth+1))
	}
	for len(items) < n && m.made < maxValues {
		items = append(items, m.value(s.get("items"), name, depth+1))
	}
	return list(items...)
}

func (m *maker) number(s *node, whole bool) raw {
	v := 1.0
	low := s.get("minimum").float(math.Inf(-1))
	if x := s.get("exclusiveMinimum"); x.kind == number {
		low = x.float(0) + 1
	}
	high := s.get("maximum").float(math.Inf(1))
	if x := s.get("exclusiveMaximum"); x.kind == number {
		high = x.float(0) - 1
		if !whole && low > high {
			high = x.float(0)
			low = (s.get("exclusiveMinimum").float(s.get("minimum").float(high-1)) + high) / 2
			high = low
		}
	}
	v = min(max(v, low), high)
	if step := s.get("multipleOf").float(0); step > 0 {
		v = math.Ceil(v/step) * step
		if v > high {
			v = math.Floor(high/step) * step
		}
	}
	if whole {
		return strconv.AppendInt(nil, int64(math.Ceil(v)), 10)
	}
	return appendValue(nil, v)
}

var formats = map[string]string{
	"date-time": "2026-01-02T03:04:05Z", "date": "2026-01-02", "time": "03:04:05Z", "duration": "PT1H",
	"email": "someone@example.com", "hostname": "example.com", "uri": "https://example.com/", "url": "https://example.com/",
	"ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "uuid": "123e4567-e89b-42d3-a456-426614174000",
}

func (m *maker) text(s *node, name string) string {
	if f, ok := formats[s.get("format").text]; ok {
		return f
	}
	if pattern := s.get("pattern").text; pattern != "" {
		if re, err := syntax.Parse(pattern, syntax.Perl); err == nil {
			var b strings.Builder
			sample(&b, re)
			return b.String()
		}
	}
	for utf8.RuneCountInString(name) < s.get("minLength").int(0) {
		name += "x"
	}
	if most := s.get("maxLength").int(-1); most >= 0 && utf8.RuneCountInString(name) > most {
		name = string([]rune(name)[:most])
	}
	return name
}

// sample writes one string that a regular expression matches.
func sample(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			b.WriteRune(printable(re.Rune))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			sample(b, sub)
		}
	case syntax.OpPlus, syntax.OpAlternate:
		sample(b, re.Sub[0])
	case syntax.OpRepeat:
		for range min(re.Min, 1000) {
			sample(b, re.Sub[0])
		}
	}
}

// printable picks a rune of a class, a letter or a digit where there is one.
func printable(ranges []rune) rune {
	for i := 0; i < len(ranges); i += 2 {
		for _, r := range "a0A_-" {
			if ranges[i] <= r && r <= ranges[i+1] {
				return r
			}
		}
	}
	return ranges[0]
}
