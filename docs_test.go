package weir_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weir/config"
)

var update = flag.Bool("update", false, "write the generated part of docs/configuration.md anew")

// TestConfigurationPage holds the reference in docs/configuration.md to the
// table that reads the file. go test . -run TestConfigurationPage -update writes it.
func TestConfigurationPage(t *testing.T) {
	const begin, end = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
	name := filepath.Join("docs", "configuration.md")
	text := read(t, name)
	head, rest, ok := strings.Cut(text, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s: the marks of the generated part are missing", name)
	}
	want := head + begin + reference(t) + end + tail
	for _, word := range append(config.Kinds(), config.Variables()...) {
		if !strings.Contains(text, "`"+word+"`") {
			t.Errorf("%s does not name %s", name, word)
		}
	}
	if text == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what config/table.go says: go test . -run TestConfigurationPage -update", name)
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A described is a key of the configuration's JSON schema.
type described struct {
	Description string               `json:"description"`
	Properties  map[string]described `json:"properties"`
	Additional  json.RawMessage      `json:"additionalProperties"`
	AnyOf       []described          `json:"anyOf"`
	Items       *described           `json:"items"`
}

// reference renders the schema as one table for each mapping.
func reference(t *testing.T) string {
	var root described
	if err := json.Unmarshal(config.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	section(&b, "The file", "", root)
	return b.String()
}

func section(b *strings.Builder, title, path string, d described) {
	fmt.Fprintf(b, "\n### %s\n\n| key | meaning |\n|---|---|\n", title)
	names := slices.Sorted(maps.Keys(d.Properties))
	for _, name := range names {
		if p := d.Properties[name]; !strings.HasPrefix(p.Description, "Not ") {
			fmt.Fprintf(b, "| `%s` | %s |\n", name, strings.ReplaceAll(p.Description, "|", `\|`))
		}
	}
	for _, name := range names {
		below, suffix := inner(d.Properties[name])
		if len(below.Properties) > 0 {
			at := path + name + suffix
			section(b, "`"+at+"`", at+".", below)
		}
	}
}

// inner finds the mapping that a key holds: itself, its list's items or its
// dictionary's values.
func inner(d described) (below described, suffix string) {
	if len(d.Properties) > 0 {
		return d, ""
	}
	if d.Items != nil {
		below, suffix = inner(*d.Items)
		return below, "[]" + suffix
	}
	var values described
	if len(d.Additional) > 0 && json.Unmarshal(d.Additional, &values) == nil {
		if below, suffix = inner(values); len(below.Properties) > 0 {
			return below, ".NAME" + suffix
		}
	}
	for _, one := range d.AnyOf {
		if below, suffix = inner(one); len(below.Properties) > 0 {
			return below, suffix
		}
	}
	return described{}, ""
}

// TestExamples reads every configuration that the repository shows.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("examples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join("examples", "*", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, more...) {
		if _, err := config.Load(name, func(string) (string, bool) { return "", true }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, filepath.Join("docs", "configuration.md")), -1) {
		if _, err := config.Parse(fmt.Sprintf("block %d", i+1), []byte(block[1]), func(string) (string, bool) { return "", true }); err != nil {
			t.Errorf("docs/configuration.md: %v", err)
		}
	}
}

// TestHTTPPage: every code that a client can get is explained, with its status.
func TestHTTPPage(t *testing.T) {
	page := read(t, filepath.Join("docs", "http.md"))
	codes := regexp.MustCompile(`(?m)^\s+\w+\s+Code = "(\w+)"\s*// (\d+)?`).FindAllStringSubmatch(read(t, filepath.Join("proxy", "error.go")), -1)
	if len(codes) < 10 {
		t.Fatalf("found %d codes in proxy/error.go", len(codes))
	}
	for _, c := range codes {
		status := c[2]
		if status == "" {
			status = "—"
		}
		if row := "| `" + c[1] + "` | " + status + " |"; !strings.Contains(page, row) {
			t.Errorf("docs/http.md has no row %q", row)
		}
	}
}

// TestMetricsPage: every metric is explained, and no other.
func TestMetricsPage(t *testing.T) {
	page := read(t, filepath.Join("docs", "operations.md"))
	name := regexp.MustCompile(`(?:Name: |NewDesc\(|counter\(|gauge\(|seconds\()"(weir_[a-z_]+)"`)
	have := map[string]bool{}
	for file, text := range tracked(t, ".go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range name.FindAllSubmatch(text, -1) {
			have[string(m[1])] = true
		}
	}
	for m := range have {
		if !strings.Contains(page, "`"+m+"`") {
			t.Errorf("docs/operations.md does not name the metric %s", m)
		}
	}
	for _, m := range regexp.MustCompile("`(weir_[a-z_]+)`").FindAllStringSubmatch(page, -1) {
		if !have[m[1]] {
			t.Errorf("docs/operations.md names %s, which no code has", m[1])
		}
	}
}

// TestLinks follows the relative links between pages.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for name, text := range tracked(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), target)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
			}
		}
	}
}

// TestCommands: every command line of the pages, in a code span or a block, is
// one that the program has, with the flags that it has.
func TestCommands(t *testing.T) {
	weir := filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-o", weir, "./cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	help := map[string]string{}
	for name, text := range tracked(t, ".md") {
		for _, line := range commandLines(string(text)) {
			words := strings.Fields(line)
			n := 1
			for n < len(words) && verb.MatchString(words[n]) {
				n++
			}
			path := strings.Join(words[1:n], " ")
			if _, asked := help[path]; !asked {
				out, err := exec.Command(weir, append(strings.Fields(path), "--help")...).CombinedOutput()
				if err != nil || !strings.Contains(string(out), "weir "+path) {
					t.Errorf("%s: weir %s is not a command: %v", name, path, err)
				}
				help[path] = string(out)
			}
			for _, w := range words[n:] {
				flag, _, _ := strings.Cut(w, "=")
				if strings.HasPrefix(flag, "--") && flag != "--help" && !strings.Contains(help[path], flag) {
					t.Errorf("%s: weir %s has no flag %s", name, path, flag)
				}
			}
		}
	}
	if len(help) < 5 {
		t.Errorf("the pages name %d commands: is the pattern right?", len(help))
	}
}

var (
	verb    = regexp.MustCompile(`^[a-z]+$`)
	command = regexp.MustCompile("(?m)(?:`|^\\s*(?:\\$ )?)(?:\\./)?(weir [a-z][^`\n#|>&]*)")
)

// commandLines returns what begins with weir in code spans and, there only at
// the line's start, in code blocks.
func commandLines(page string) []string {
	var lines []string
	for i, part := range strings.Split(page, "```") {
		for _, m := range command.FindAllStringSubmatchIndex(part, -1) {
			if inSpan := part[m[0]] == '`'; inSpan == (i%2 == 0) {
				lines = append(lines, part[m[2]:m[3]])
			}
		}
	}
	return lines
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
