package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A decoder walks the nodes of one file along the table and collects what is
// wrong with it.
type decoder struct {
	file     string
	env      Env         // nil: variables are not expanded
	path     []string    // of keys, to the node at hand
	lines    map[any]int // pointer to a field → the line it was written at
	nodes    int         // looked at so far, aliases counted each time
	problems Problems
	warnings Problems
}

// maxNodes bounds what aliases can blow a file up to.
const maxNodes = 500_000

// parse returns the file's root mapping, or nil where there is none.
func (d *decoder) parse(text []byte) *yaml.Node {
	if len(text) > maxFile {
		d.add(0, "", "the file is larger than %d MiB", maxFile>>20)
		return nil
	}
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	if !utf8.Valid(text) {
		d.add(0, "", "the file is not UTF-8 text")
		return nil
	}
	masked, taken := mask(string(text))
	if taken > 0 {
		d.add(taken, "", "the private characters U+E000 to U+E007 cannot stand in a configuration")
		return nil
	}
	dec := yaml.NewDecoder(strings.NewReader(masked))
	var doc, second yaml.Node
	if err := decode(dec, &doc); err != nil {
		if !errors.Is(err, io.EOF) {
			d.syntax(err)
		}
		return nil
	}
	switch err := decode(dec, &second); {
	case err == nil:
		line := second.Line
		if len(second.Content) > 0 {
			line = second.Content[0].Line
		}
		d.add(line, "", "a second document: want one per file")
	case !errors.Is(err, io.EOF):
		d.syntax(err)
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil
	}
	return doc.Content[0]
}

// decode is Decode, but for the parser's own panics: a file must not bring
// down a running server that looks at it for a reload.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("yaml: the parser gave up: %v", v)
		}
	}()
	return dec.Decode(n)
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

func (d *decoder) syntax(err error) {
	m := yamlLine.FindStringSubmatch(err.Error())
	line, err2 := strconv.Atoi(m[1])
	if err2 != nil && !strings.Contains(err.Error(), "anchor") { // of an unknown anchor it says no line, of the first line none either
		line = 1
	}
	d.add(line, "", "not YAML: %s", unmask(strings.TrimPrefix(err.Error(), m[0])))
}

// add notes a problem. hint may be "".
func (d *decoder) add(line int, hint, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if len(d.path) > 0 {
		what = strings.ReplaceAll(strings.Join(d.path, "."), ".[", "[") + ": " + what
	}
	d.note(Problem{d.file, line, what, hint})
}

// maxProblems bounds what one file can say is wrong with it.
const maxProblems = 100

func (d *decoder) note(p Problem) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, p)
	}
}

// in walks into a key or index.
func (d *decoder) in(step string, f func()) {
	d.path = append(d.path, step)
	f()
	d.path = d.path[:len(d.path)-1]
}

// resolve follows aliases and counts the node.
func (d *decoder) resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.nodes++; d.nodes == maxNodes {
		d.add(n.Line, "", "the aliases make more than %d values", maxNodes)
	}
	if d.nodes >= maxNodes {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line}
	}
	return n
}

// scalar returns a scalar's text, its variables expanded. A false ok has been
// reported; an empty text means the same as a key that isn't there.
func (d *decoder) scalar(n *yaml.Node, want string) (text string, ok bool) {
	n = d.resolve(n)
	if n.Kind != yaml.ScalarNode {
		d.add(n.Line, "", "want %s, got %s", want, kindName(n))
		return "", false
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.add(n.Line, "", "the tag %s: want a plain value", clip(n.Tag))
		return "", false
	}
	if isNull(n) {
		return "", true
	}
	if d.env == nil {
		return strings.TrimSpace(n.Value), true
	}
	text, err := expand(unmask(n.Value), d.env, 0)
	if err != nil {
		d.add(n.Line, "", "%s", err)
		return "", false
	}
	return strings.TrimSpace(text), true
}

// A pair is a key of a mapping and its value.
type pair struct {
	key   string
	line  int
	value *yaml.Node
}

// pairs returns a mapping's pairs in order, what is merged into it (<<) last.
// A false ok has been reported.
func (d *decoder) pairs(n *yaml.Node, want string) (out []pair, ok bool) {
	n = d.resolve(n)
	if isNull(n) {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		d.add(n.Line, "", "want %s, got %s", want, kindName(n))
		return nil, false
	}
	seen := map[string]int{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := d.resolve(n.Content[i])
		key := unmask(k.Value)
		switch {
		case k.Kind != yaml.ScalarNode:
			d.add(k.Line, "", "want a name as key, got %s", kindName(k))
		case k.Tag == "!!merge":
			merged = append(merged, n.Content[i+1])
		case seen[key] > 0:
			d.add(k.Line, "", "the key %q is here twice, first in line %d", clip(key), seen[key])
		default:
			seen[key] = k.Line
			out = append(out, pair{key, k.Line, n.Content[i+1]})
		}
	}
	for _, m := range merged {
		out = d.merge(out, seen, m)
	}
	return out, true
}

// merge adds the pairs of the mappings in n that are not seen yet.
func (d *decoder) merge(out []pair, seen map[string]int, n *yaml.Node) []pair {
	n = d.resolve(n)
	sources := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		sources = n.Content
	}
	for _, src := range sources {
		src = d.resolve(src)
		if src.Kind != yaml.MappingNode {
			d.add(src.Line, "", "<<: want a mapping, got %s", kindName(src))
			continue
		}
		for i := 0; i+1 < len(src.Content); i += 2 {
			k := d.resolve(src.Content[i])
			if key := unmask(k.Value); k.Kind == yaml.ScalarNode && seen[key] == 0 && k.Tag != "!!merge" {
				seen[key] = k.Line
				out = append(out, pair{key, k.Line, src.Content[i+1]})
			}
		}
	}
	return out
}

// maxSecretFile bounds a file that holds one secret.
const maxSecretFile = 64 << 10

// secretFile reads the secret that the key name_file points at.
func (d *decoder) secretFile(n *yaml.Node, name string, to *Secret) {
	path, ok := d.scalar(n, "a path")
	if !ok || path == "" {
		return
	}
	if *to != "" {
		d.add(n.Line, "", "%s is given too: want one of the two", name)
		return
	}
	d.lines[to] = n.Line
	f, err := os.Open(path)
	if err != nil {
		d.add(n.Line, "", "%s", err)
		return
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		d.add(n.Line, "", "%s", err)
		return
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		d.add(n.Line, "", "%s is empty", path)
		return
	}
	*to = Secret(text)
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(clip(unmask(n.Value)))
}
