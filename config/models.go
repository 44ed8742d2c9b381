package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/internal/capability"
)

// saidShape is what may be said of models.
var saidShape = compact(object(append([]property[capability.Said]{
	key("context", "Tokens of the window: 32768, 128k (thousands) or 1M.", tokenCount, func(s *capability.Said) *int64 { return &s.Context }),
	key("max_output", "Tokens that a reply may have at most.", tokenCount, func(s *capability.Said) *int64 { return &s.MaxOutput }),
}, abilities()...)...))

// modelsShape is a mapping from names and globs to what is said of them.
var modelsShape = dict(saidShape, func(s *capability.Said) *string { return &s.Glob })

const unknownWord = "unknown"

var tokenCount = word("a number of tokens", `\d+ ?[kM]?|`+unknownWord, number, parseTokens, func(n int64) any {
	switch n {
	case 0:
		return nil
	case capability.Unknown:
		return unknownWord
	}
	return n
})

// parseTokens reads 32768, 128k and 1M, and unknown.
func parseTokens(s string) (int64, error) {
	if s == unknownWord {
		return capability.Unknown, nil
	}
	bad := fmt.Errorf("want a number of tokens like 32768, 128k or 1M, or unknown, got %q", clip(s))
	digits, unit := s, int64(1)
	if rest, ok := strings.CutSuffix(s, "k"); ok {
		digits, unit = rest, 1000
	} else if rest, ok := strings.CutSuffix(s, "M"); ok {
		digits, unit = rest, 1_000_000
	}
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || n < 1 || n > math.MaxInt32*1000/unit {
		return 0, bad
	}
	return n * unit, nil
}

// abilities are the keys of what a model can or cannot do.
func abilities() (list []property[capability.Said]) {
	for _, m := range capability.Members {
		is := ability(m.Set)
		list = append(list, property[capability.Said]{name: m.Name, doc: "Whether they " + m.Does + ".", read: is.read, show: is.show, schema: is.schema})
	}
	return list
}

// ability reads yes, no or unknown into the sets of a Said.
func ability(m capability.Set) shape[capability.Said] {
	words := word("yes, no or unknown", `on|off|true|false|yes|no|`+unknownWord, []any{schema{"type": "boolean"}}, func(s string) (string, error) {
		if s == unknownWord {
			return s, nil
		}
		on, err := parseSwitch(s)
		if err != nil {
			return "", fmt.Errorf("want yes, no or unknown, got %q%s", clip(s), meant(s, []string{"yes", "no", unknownWord}))
		}
		return showSwitch(on), nil
	}, func(s string) any { return s })
	return shape[capability.Said]{
		read: func(d *decoder, n *yaml.Node, to *capability.Said) {
			var said string
			words.read(d, n, &said)
			switch said {
			case showSwitch(true):
				to.Has |= m
			case showSwitch(false):
				to.Lacks |= m
			case unknownWord:
				to.Forget |= m
			}
		},
		show: func(s capability.Said) any {
			switch {
			case s.Has&m != 0:
				return "yes"
			case s.Lacks&m != 0:
				return "no"
			case s.Forget&m != 0:
				return unknownWord
			}
			return nil
		},
		schema: words.schema,
	}
}

// compact shows an object without what isn't said.
func compact[T any](s shape[T]) shape[T] {
	show := s.show
	s.show = func(v T) any {
		members := show(v).(map[string]any)
		for name, value := range members {
			if value == nil {
				delete(members, name)
			}
		}
		return members
	}
	return s
}

// providerModels are the names that a provider serves: a list, or a mapping
// that says of each what it can do there.
var providerModels = property[Provider]{
	name: "models",
	doc:  "Names and globs that it is known to serve, beside what it lists itself. As a mapping: with what each can do there, as under models of the file.",
	read: func(d *decoder, n *yaml.Node, p *Provider) {
		d.lines[&p.Models] = n.Line
		if at := d.resolve(n); at.Kind != yaml.MappingNode {
			list(text).read(d, n, &p.Models)
			return
		}
		modelsShape.read(d, n, &p.Can)
		p.Models = make([]string, len(p.Can))
		for i := range p.Can {
			p.Models[i] = p.Can[i].Glob
			d.lines[&p.Models[i]] = d.lines[&p.Can[i]]
		}
	},
	show: func(p Provider) any {
		if len(p.Can) > 0 {
			return modelsShape.show(p.Can)
		}
		return list(text).show(p.Models)
	},
	schema: schema{"anyOf": append(slices.Clone(list(text).schema["anyOf"].([]any)), modelsShape.schema)},
}

// validateSaid checks what the file says of models, and warns of what says nothing.
func (c *Config) validateSaid(d *decoder, where string, list []capability.Said) {
	for i := range list {
		s := &list[i]
		switch {
		case where == "models" && !isGlob(s.Glob): // a provider's names are checked with its list
			d.at(s, "", "%s: %q is not a name or glob", where, clip(s.Glob))
		case s.Context > 0 && s.MaxOutput > s.Context:
			d.at(&s.MaxOutput, "", "%s.%s.max_output: want at most the context's %d tokens", where, clip(s.Glob), s.Context)
		case where == "models" && *s == (capability.Said{Glob: s.Glob}):
			d.warn(s, "say what they can do: {tools: yes, vision: no, context: 32768}", "%s: nothing is said of %q", where, clip(s.Glob))
		}
	}
}
