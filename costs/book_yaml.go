package costs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Problem is what is wrong with a price file, and where.
type Problem struct {
	File string
	Line int
	What string
	Hint string // "" if there is no cure to tell
}

// String returns "file:line: what".
func (p Problem) String() string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.What)
	}
	return p.File + ": " + p.What
}

// Problems are all problems of a price file, by line.
type Problems []Problem

// Error returns one problem per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Bounds of a price file that somebody writes by hand.
const (
	maxLayerFile  = 8 << 20
	maxLayerNodes = 400_000
	maxProblems   = 50
)

// A yamlReader walks over a YAML document and collects problems.
type yamlReader struct {
	file     string
	problems Problems
}

func (y *yamlReader) bad(n *yaml.Node, format string, args ...any) {
	if len(y.problems) < maxProblems {
		y.problems = append(y.problems, Problem{File: y.file, Line: lineOf(n), What: fmt.Sprintf(format, args...)})
	}
}

func lineOf(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	return n.Line
}

// parseYAML parses a text into its document, and tells of a second one, which
// nobody would read. A parser that gives up must not end a running server.
func parseYAML(text []byte) (doc, second *yaml.Node, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the parser gave up: %v", v)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	doc, second = &yaml.Node{}, &yaml.Node{}
	if err = dec.Decode(doc); err == nil {
		err = dec.Decode(second)
	}
	if errors.Is(err, io.EOF) {
		return doc, nil, nil
	}
	return doc, second, err
}

// document parses a text into its root mapping; nil where there is none.
func (y *yamlReader) document(text []byte) *yaml.Node {
	if len(text) > maxLayerFile {
		y.bad(nil, "larger than %d bytes", maxLayerFile)
		return nil
	}
	doc, second, err := parseYAML(text)
	switch {
	case err != nil:
		line := 1 // of which the parser says none
		what := strings.TrimPrefix(err.Error(), "yaml: ")
		if _, scan := fmt.Sscanf(what, "line %d:", &line); scan == nil {
			_, what, _ = strings.Cut(what, ": ")
		} else if strings.Contains(what, "anchor") || strings.Contains(what, "control characters") {
			line = 0 // it may be any
		}
		y.bad(&yaml.Node{Line: line}, "%s", what)
		return nil
	case second != nil:
		y.bad(second, "a second document: want one")
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	if nodes := countNodes(doc, 0); nodes > maxLayerNodes {
		y.bad(nil, "too many values, aliases included")
		return nil
	}
	return doc.Content[0]
}

// countNodes counts with aliases followed, up to the bound.
func countNodes(n *yaml.Node, depth int) int {
	if depth > 64 {
		return maxLayerNodes + 1
	}
	if n.Kind == yaml.AliasNode {
		return countNodes(n.Alias, depth+1)
	}
	total := 1
	for _, c := range n.Content {
		if total += countNodes(c, depth+1); total > maxLayerNodes {
			break
		}
	}
	return total
}

func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// A field is a key of a mapping and what reads its value.
type field struct {
	name string
	read func(n *yaml.Node)
}

// fields reads a mapping of known keys.
func (y *yamlReader) fields(n *yaml.Node, what string, known []field) {
	seen := map[string]bool{}
	y.each(n, what, func(k, v *yaml.Node) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == k.Value })
		if i < 0 {
			names := make([]string, len(known))
			for i, f := range known {
				names[i] = f.name
			}
			y.bad(k, "unknown key %q in %s%s", clip(k.Value), what, didYouMean(k.Value, names))
			return
		}
		if seen[k.Value] {
			y.bad(k, "%s is there twice", k.Value)
			return
		}
		seen[k.Value] = true
		known[i].read(deref(v))
	})
}

// each calls f with a mapping's keys and values.
func (y *yamlReader) each(n *yaml.Node, what string, f func(k, v *yaml.Node)) {
	if n = deref(n); n.Kind != yaml.MappingNode {
		if n.Tag != "!!null" {
			y.bad(n, "%s: want a mapping of names to values", what)
		}
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i], deref(n.Content[i+1]))
	}
}

// items calls f with a list's items; a single value is a list of one.
func (y *yamlReader) items(n *yaml.Node, f func(v *yaml.Node)) {
	n = deref(n)
	if n.Kind != yaml.SequenceNode {
		if n.Tag != "!!null" {
			f(n)
		}
		return
	}
	for _, v := range n.Content {
		f(deref(v))
	}
}

func (y *yamlReader) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		y.bad(n, "want a text")
		return ""
	}
	return n.Value
}

func (y *yamlReader) texts(n *yaml.Node) (list []string) {
	y.items(n, func(v *yaml.Node) { list = append(list, y.text(v)) })
	return list
}

// globs are patterns of models' ids, in lower case.
func (y *yamlReader) globs(n *yaml.Node) (list []string) {
	y.items(n, func(v *yaml.Node) {
		s := strings.ToLower(y.text(v))
		if strings.Count(s, "*") > 4 {
			y.bad(v, "more than four * in %q", clip(s))
			return
		}
		list = append(list, s)
	})
	return list
}

func (y *yamlReader) flag(n *yaml.Node) bool {
	switch n.Value {
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
		return false
	}
	y.bad(n, "want true or false, got %q", clip(n.Value))
	return false
}

// instant reads a date, which begins at midnight UTC, or an exact time.
func (y *yamlReader) instant(n *yaml.Node) int64 {
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, n.Value); err == nil && t.Year() >= 1970 && t.Year() < 2200 {
			return t.UnixNano()
		}
	}
	y.bad(n, "want a date like 2026-11-25 or a time like 2026-08-16T16:00:00Z, got %q", clip(n.Value))
	return 0
}

func (y *yamlReader) meter(n *yaml.Node) (Meter, bool) {
	m, err := ParseMeter(n.Value)
	if err != nil {
		names := make([]string, 0, numMeters)
		for _, m := range Meters() {
			names = append(names, m.String())
		}
		y.bad(n, "unknown meter %q%s", clip(n.Value), didYouMean(n.Value, names))
	}
	return m, err == nil
}

// meterSets are words for several meters.
var meterSets = map[string]func(Meter) bool{
	"tokens": func(m Meter) bool { return m.Unit() == Tokens },
	"input":  Meter.IsInput,
	"output": Meter.IsOutput,
	"cache_reads": func(m Meter) bool {
		return m == InputCacheRead || m == InputCacheReadAudio || m == InputCacheReadImage || m == InputCacheReadVideo
	},
	"cache_writes": func(m Meter) bool {
		return m == InputCacheWrite || m == InputCacheWrite5m || m == InputCacheWrite1h || m == InputCacheWrite30m || m == InputCacheWrite12h
	},
	"all": func(Meter) bool { return true },
}

// meters reads a list of meters and of words for several; "input" and
// "output" alone are all tokens of that direction.
func (y *yamlReader) meters(n *yaml.Node) (set uint64) {
	y.items(n, func(v *yaml.Node) {
		if in := meterSets[v.Value]; in != nil {
			set |= metersIn(in)
			return
		}
		if m, ok := y.meter(v); ok {
			set |= 1 << m
		}
	})
	return set
}

func metersIn(in func(Meter) bool) (set uint64) {
	for _, m := range Meters() {
		if in(m) {
			set |= 1 << m
		}
	}
	return set
}

func (y *yamlReader) factor(n *yaml.Node) factor {
	f, err := parseFactor(n.Value)
	if err != nil {
		y.bad(n, "%s", err)
		return one
	}
	return f
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// didYouMean suggests the name that is the nearest to a word.
func didYouMean(word string, names []string) string {
	best, name := max(2, len(word)/3)+1, ""
	for _, n := range names {
		if d := edits(word, n); d < best {
			best, name = d, n
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", name)
}

// edits counts insertions, deletions and replacements between two words.
func edits(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+change)
		}
		last = row
	}
	return last[len(b)]
}
