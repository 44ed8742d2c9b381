package weir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"weir/internal/capability"
)

// TestModelsPage holds the table in docs/models.md to the data.
// go test . -run TestModelsPage -update writes it.
func TestModelsPage(t *testing.T) {
	const begin, end = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
	name := filepath.Join("docs", "models.md")
	text := read(t, name)
	head, rest, ok := strings.Cut(text, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s: the marks of the generated part are missing", name)
	}
	for _, m := range capability.Members {
		if !strings.Contains(head, "`"+m.Name+"`") {
			t.Errorf("%s does not explain %s", name, m.Name)
		}
	}
	want := head + begin + modelsTable() + end + tail
	if text == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what internal/capability says: go test . -run TestModelsPage -update", name)
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// modelsTable renders the table, a section for each vendor.
func modelsTable() string {
	var b strings.Builder
	vendor := ""
	size := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	for _, r := range capability.Table() {
		if r.Vendor != vendor {
			vendor = r.Vendor
			fmt.Fprintf(&b, "\n### %s\n\nRead on %s: %s\n\n| models | context | max_output | yes | no | |\n|---|---|---|---|---|---|\n", r.Vendor, r.Read, "<"+strings.Join(r.Sources, ">, <")+">")
		}
		moves := ""
		if r.Moves {
			moves = "moves"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", strings.Join(r.Models, "` `"), size(r.Facts.Context), size(r.Facts.MaxOutput),
			strings.Join(r.Facts.Has.Names(), ", "), strings.Join(r.Facts.Lacks.Names(), ", "), moves)
	}
	return b.String() + "\n"
}
