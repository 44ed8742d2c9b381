package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A schema is a piece of JSON schema.
type schema map[string]any

// A shape is what a value of the file may be: how it is read into a T, how it
// is shown without its secrets, and the schema that says the same to editors.
type shape[T any] struct {
	read   func(d *decoder, n *yaml.Node, to *T)
	show   func(v T) any
	schema schema
}

// variablePattern matches a scalar whose value only Weir will know.
const variablePattern = `\$\{`

// word is a scalar that parse understands. pattern is a regular expression
// for editors; plain is what else JSON may have there (a number, a boolean).
func word[T any](want, pattern string, plain []any, parse func(string) (T, error), show func(T) any) shape[T] {
	either := []any{schema{"type": "string", "pattern": "^(?:" + pattern + ")?$|" + variablePattern}, schema{"type": "null"}}
	return shape[T]{
		read: func(d *decoder, n *yaml.Node, to *T) {
			s, ok := d.scalar(n, want)
			if s == "" {
				delete(d.lines, any(to)) // as if it weren't written
			}
			if !ok || s == "" {
				return
			}
			v, err := parse(s)
			if err != nil {
				d.add(n.Line, "", "%s", err)
				return
			}
			*to = v
		},
		show:   show,
		schema: schema{"anyOf": append(either, plain...)},
	}
}

var (
	asString = func(s string) (string, error) { return s, nil }
	number   = []any{schema{"type": "integer", "minimum": 0}}

	text     = word("a text", `[\s\S]*`, []any{schema{"type": "number"}, schema{"type": "boolean"}}, asString, func(s string) any { return s })
	duration = word("a duration", `0|(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w))+`, []any{schema{"const": 0}}, ParseDuration, func(v time.Duration) any { return showDuration(v) })
	size     = word("a size", `\d+ ?(|B|[kK]B|[MGT]B|[KMGT]iB)`, number, parseBytes, func(v int64) any { return showBytes(v) })
	whole    = word("a whole number", `\d+`, number, parseWhole, func(v int) any { return v })
	onOff    = word("on or off", `on|off|true|false|yes|no`, []any{schema{"type": "boolean"}}, parseSwitch, func(v bool) any { return showSwitch(v) })
	share    = word("a share", `\d*\.?\d+%?`, []any{schema{"type": "number", "minimum": 0, "maximum": 1}}, parseShare, func(v float64) any { return v })
	secret   = word("a text", `[\s\S]*`, []any{schema{"type": "number"}},
		func(s string) (Secret, error) { return Secret(s), nil }, func(v Secret) any { return v.String() })
)

// standing is a shape whose zero value stands for a default that is filled in
// elsewhere: it is shown as that.
func standing[T comparable](s shape[T], as string) shape[T] {
	show := s.show
	s.show = func(v T) any {
		var zero T
		if v == zero {
			return as
		}
		return show(v)
	}
	return s
}

// oneOf is one of a few words, each with the value that it stands for.
func oneOf[T comparable](words map[string]T) shape[T] {
	names := slices.Sorted(maps.Keys(words))
	s := word("one of "+strings.Join(names, ", "), strings.Join(names, "|"), nil, func(s string) (T, error) {
		v, ok := words[s]
		if off, err := parseSwitch(s); !ok && err == nil && !off { // YAML 1.1 writes off as false
			v, ok = words["off"]
		}
		if !ok {
			return v, fmt.Errorf("want one of %s, got %q%s", strings.Join(names, ", "), clip(s), meant(s, names))
		}
		return v, nil
	}, func(v T) any {
		for name, known := range words {
			if known == v {
				return name
			}
		}
		return ""
	})
	if slices.Contains(names, "off") { // which YAML 1.1 editors take for false
		s.schema["anyOf"] = append(s.schema["anyOf"].([]any), schema{"const": false})
	}
	return s
}

// chosen is one of a few words.
func chosen(words ...string) shape[string] {
	return word("one of "+strings.Join(words, ", "), strings.Join(words, "|"), nil, func(s string) (string, error) {
		if slices.Contains(words, s) {
			return s, nil
		}
		return "", fmt.Errorf("want one of %s, got %q%s", strings.Join(words, ", "), clip(s), meant(s, words))
	}, func(s string) any { return s })
}

// list is a sequence; one value alone is a list of one.
func list[T any](of shape[T]) shape[[]T] {
	return shape[[]T]{
		read: func(d *decoder, n *yaml.Node, to *[]T) {
			at := d.resolve(n)
			items := at.Content
			if at.Kind != yaml.SequenceNode {
				items = []*yaml.Node{at}
			}
			if isNull(at) {
				return
			}
			*to = make([]T, len(items)) // in full at once: lines are kept by pointer
			for i, item := range items {
				d.in("["+strconv.Itoa(i)+"]", func() {
					d.lines[&(*to)[i]] = item.Line
					of.read(d, item, &(*to)[i])
				})
			}
		},
		show: func(v []T) any {
			out := []any{}
			for _, item := range v {
				out = append(out, of.show(item))
			}
			return out
		},
		schema: schema{"anyOf": []any{schema{"type": "array", "items": of.schema}, of.schema}},
	}
}

// spare is room for the providers of the environment: lines are kept by
// pointer, so the list must stay where it is.
const spare = 32

// dict is a mapping with names of the user's own, kept in their order.
func dict[T any](of shape[T], name func(*T) *string) shape[[]T] {
	return shape[[]T]{
		read: func(d *decoder, n *yaml.Node, to *[]T) {
			pairs, _ := d.pairs(n, "a mapping of names")
			*to = make([]T, len(pairs), len(pairs)+spare)
			for i, p := range pairs {
				v := &(*to)[i]
				*name(v) = p.key
				d.lines[v] = p.line
				d.in(p.key, func() { of.read(d, p.value, v) })
			}
		},
		show: func(v []T) any {
			out := map[string]any{}
			for _, item := range v {
				out[*name(&item)] = of.show(item)
			}
			return out
		},
		schema: schema{"type": []string{"object", "null"}, "additionalProperties": schema{"anyOf": []any{of.schema, schema{"type": "null"}}}},
	}
}

// lookup is a mapping from names to scalars.
func lookup[V any](of shape[V]) shape[map[string]V] {
	return shape[map[string]V]{
		read: func(d *decoder, n *yaml.Node, to *map[string]V) {
			pairs, _ := d.pairs(n, "a mapping of names")
			*to = make(map[string]V, len(pairs))
			for _, p := range pairs {
				var v V
				d.in(p.key, func() { of.read(d, p.value, &v) })
				(*to)[p.key] = v
			}
		},
		show: func(v map[string]V) any {
			out := map[string]any{}
			for name, item := range v {
				out[name] = of.show(item)
			}
			return out
		},
		schema: schema{"type": []string{"object", "null"}, "additionalProperties": of.schema},
	}
}

// A property is one key of an object.
type property[T any] struct {
	name   string
	doc    string
	hidden bool // not part of what is shown
	absent bool // what it says is refused
	read   func(d *decoder, n *yaml.Node, to *T)
	show   func(v T) any
	schema schema
}

// key is a property that is kept in a field.
func key[T, V any](name, doc string, s shape[V], at func(*T) *V) property[T] {
	return property[T]{
		name: name, doc: doc, schema: s.schema,
		read: func(d *decoder, n *yaml.Node, to *T) {
			field := at(to)
			d.lines[field] = n.Line
			s.read(d, n, field)
		},
		show: func(v T) any { return s.show(*at(&v)) },
	}
}

// fileOf is the *_file variant of a secret.
func fileOf[T any](name string, at func(*T) *Secret) property[T] {
	return property[T]{
		name: name + "_file", doc: "The path of a file that holds " + name + ".", hidden: true, schema: text.schema,
		read: func(d *decoder, n *yaml.Node, to *T) {
			d.secretFile(n, name, at(to))
		},
	}
}

// absent is a key that a later version knows. Empty values do no harm.
func absent[T any](name string) property[T] {
	return refused[T](name, "not in this version", "")
}

// refused is a key that is none here, for a reason, and what to write in its
// place. Its text in the schema begins with Not, so that docs leave it out.
func refused[T any](name, why, hint string) property[T] {
	return property[T]{
		name: name, doc: strings.ToUpper(why[:1]) + why[1:] + ".", hidden: true, absent: true,
		schema: schema{"anyOf": []any{
			schema{"type": "null"},
			schema{"type": "string", "pattern": "^$|" + variablePattern},
			schema{"type": "array", "maxItems": 0},
			schema{"type": "object", "maxProperties": 0},
		}},
		read: func(d *decoder, n *yaml.Node, _ *T) {
			at := d.resolve(n)
			if at.Kind == yaml.ScalarNode {
				if s, ok := d.scalar(at, ""); !ok || s == "" {
					return
				}
			} else if len(at.Content) == 0 {
				return
			}
			d.add(n.Line, hint, "%s", why)
		},
	}
}

// object is a mapping with the names of its properties.
func object[T any](properties ...property[T]) shape[T] {
	names, known := make([]string, len(properties)), []string{}
	members := schema{}
	for i, p := range properties {
		names[i] = p.name
		if !p.absent {
			known = append(known, p.name)
		}
		members[p.name] = described(p.schema, p.doc)
	}
	return shape[T]{
		read: func(d *decoder, n *yaml.Node, to *T) {
			pairs, _ := d.pairs(n, "a mapping")
			slices.SortStableFunc(pairs, func(a, b pair) int { // so that x_file finds x read
				return cmp.Compare(btoi(strings.HasSuffix(a.key, "_file")), btoi(strings.HasSuffix(b.key, "_file")))
			})
			for _, p := range pairs {
				i := slices.Index(names, p.key)
				if i < 0 {
					hint := ""
					if nearest(p.key, names) == "" {
						hint = "known here: " + strings.Join(known, ", ")
					}
					d.add(p.line, hint, "unknown key %q%s", clip(p.key), meant(p.key, names))
					continue
				}
				d.in(p.key, func() { properties[i].read(d, p.value, to) })
			}
		},
		show: func(v T) any {
			out := map[string]any{}
			for _, p := range properties {
				if !p.hidden {
					out[p.name] = p.show(v)
				}
			}
			return out
		},
		schema: schema{"type": []string{"object", "null"}, "properties": members, "additionalProperties": false},
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// described puts a description on a copy of a schema.
func described(s schema, doc string) schema {
	out := maps.Clone(s)
	out["description"] = doc
	return out
}

// Schema returns the JSON schema (2020-12) of the file, for editors.
func Schema() []byte {
	s := maps.Clone(table.schema)
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Weir configuration"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil { // it is made of maps, lists and texts
		panic(err)
	}
	return append(b, '\n')
}
