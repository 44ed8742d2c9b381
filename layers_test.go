package weir_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// rooms says for each package which of ours it may import. A package that has
// no row is a new room: write a decision record, then its row.
var rooms = map[string][]string{
	// 0: pure.
	"costs":               nil,
	"costs/report":        {"costs"},
	"internal/tokens":     nil,
	"internal/capability": nil,
	// 1
	"proxy/wire":         pure,
	"proxy/wire/neutral": append([]string{"proxy/wire"}, pure...),
	"config":             {"costs", "internal/capability"},
	"internal/sqldb":     nil,
	"internal/mockllm":   {"proxy/wire"},
	"internal/redistest": nil,
	// 2: the domain's rooms, which never import each other.
	"ledger":            base,
	"alerts":            base,
	"limits":            base,
	"limits/limitstest": append([]string{"limits"}, base...),
	"embeddings":        base,
	"promptpipe":        base,
	"local":             base,
	"costs/vendors":     base,
	"migrations":        base,
	// 3: the engines. evals calls a running proxy as a client does.
	"proxy": domain,
	"evals": domain,
	// 4: the face.
	"console": append([]string{"evals"}, domain...),
	// 5: the wiring, then the programs, which nobody imports.
	"internal/app": faces,
	"cmd/weir":     append([]string{"internal/app"}, faces...),
	"bench":        append([]string{"internal/app"}, faces...),
	"tests/sdk":    append([]string{"internal/app"}, faces...),
	// It starts the program itself.
	"tests/overshoot": faces,
}

var (
	pure   = []string{"costs", "internal/tokens", "internal/capability"}
	base   = append([]string{"proxy/wire", "proxy/wire/neutral", "internal/sqldb", "internal/mockllm"}, pure...)
	domain = append([]string{"costs/report", "ledger", "limits", "alerts", "embeddings", "promptpipe", "local", "costs/vendors", "migrations"}, base...)
	// Only layer 5 reads the configuration.
	faces = append([]string{"proxy", "evals", "console", "config"}, domain...)
)

// banned are package names that say nothing of what is inside.
var banned = []string{"util", "utils", "common", "helper", "helpers", "model", "models", "type", "types", "service", "services"}

// TestLayers holds the imports of every package to the table of
// docs/ARCHITECTURE.md. Tests are free to boot what they need.
func TestLayers(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, "weir/")
		if p.Name != "main" && slices.Contains(banned, p.Name) {
			t.Errorf("%s: the package name %q says nothing of what is inside", room, p.Name)
		}
		if len(p.GoFiles) == 0 {
			continue // tests alone
		}
		if p.Doc == "" {
			t.Errorf("%s: no package comment", room)
		}
		allowed, known := rooms[room]
		if !known {
			t.Errorf("%s: not in the table of rooms", room)
			continue
		}
		for _, imported := range p.Imports {
			ours, ok := strings.CutPrefix(imported, "weir/")
			if ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s may not import %s", room, ours)
			}
		}
	}
}

// TestPureRooms keeps I/O out of the pure packages. Their clocks and
// goroutines are looked for in the source, by TestPureSource.
func TestPureRooms(t *testing.T) {
	io := []string{"os", "os/exec", "os/signal", "net", "database/sql", "log", "log/slog", "syscall", "runtime"}
	for _, p := range packages(t) {
		if !isPure(strings.TrimPrefix(p.ImportPath, "weir/")) {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(io, imported) {
				t.Errorf("%s is pure and may not import %s", p.ImportPath, imported)
			}
		}
	}
}

func isPure(room string) bool {
	return slices.Contains(pure, room) || strings.HasPrefix(room, "proxy/wire")
}

// A listed is what go list says of a package.
type listed struct {
	Name, ImportPath, Doc, Dir string
	GoFiles, Imports           []string
}

// packages lists the module's packages.
func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=Name,ImportPath,Doc,Dir,GoFiles,Imports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		all = append(all, p)
	}
	if !slices.ContainsFunc(all, func(p listed) bool { return path.Base(p.ImportPath) == "proxy" }) {
		t.Fatalf("go list found %d packages, and no proxy", len(all))
	}
	return all
}
