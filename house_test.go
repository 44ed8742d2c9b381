package weir_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	maxFileLines = 700
	maxFuncLines = 60
	maxTestLines = 120 // of a test, which is a list of checks
)

// TestSizes keeps files under 700 lines and functions under 60 (tests 120); a
// longer function says in its comment that it is long, and why.
func TestSizes(t *testing.T) {
	for name, text := range tracked(t, ".go") {
		if n := bytes.Count(text, []byte("\n")); n > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", name, n, maxFileLines)
		}
		set, file := parse(t, name, text)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines, limit := set.Position(f.End()).Line-set.Position(f.Pos()).Line+1, maxFuncLines
			if strings.HasSuffix(name, "_test.go") {
				limit = maxTestLines
			}
			if lines > limit && !strings.Contains(strings.ToLower(f.Doc.Text()), "long") {
				t.Errorf("%s: %s has %d lines, more than %d, and its comment does not say why it is long", set.Position(f.Pos()), f.Name.Name, lines, limit)
			}
		}
	}
}

// TestComments wants a comment on every exported name outside tests.
func TestComments(t *testing.T) {
	for name, text := range tracked(t, ".go") {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "tests/") {
			continue
		}
		set, file := parse(t, name, text)
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
					t.Errorf("%s: %s has no comment", set.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				uncommented(d, func(n *ast.Ident) { t.Errorf("%s: %s has no comment", set.Position(n.Pos()), n.Name) })
			}
		}
	}
}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	name, ok := receiver.(*ast.Ident)
	return ok && name.IsExported()
}

// uncommented reports the exported names of a declaration that neither it nor
// their own lines say anything of.
func uncommented(d *ast.GenDecl, report func(*ast.Ident)) {
	if d.Doc != nil {
		return
	}
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil {
				report(s.Name)
			}
		case *ast.ValueSpec:
			if s.Names[0].IsExported() && s.Doc == nil && s.Comment == nil {
				report(s.Names[0])
			}
		}
	}
}

// TestPureSource keeps clocks and goroutines out of the pure packages.
func TestPureSource(t *testing.T) {
	for name, text := range tracked(t, ".go") {
		if !isPure(filepath.ToSlash(filepath.Dir(name))) || strings.HasSuffix(name, "_test.go") {
			continue
		}
		set, file := parse(t, name, text)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a goroutine in a pure package", set.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && clock[n.Sel.Name] {
					t.Errorf("%s: time.%s in a pure package", set.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

var clock = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true,
	"Tick": true, "NewTimer": true, "NewTicker": true,
}

// TestNoMachine: nothing committed names the machine it was written on.
func TestNoMachine(t *testing.T) {
	var places []string
	for _, place := range []func() (string, error){os.Getwd, os.UserHomeDir} {
		if dir, err := place(); err == nil && strings.Count(dir, "/") > 0 && len(dir) > 4 {
			places = append(places, dir+"/")
		}
	}
	for _, dir := range []string{"home", "root", "Users"} {
		places = append(places, "/"+dir+"/")
	}
	for name, text := range tracked(t, "") {
		for _, place := range places {
			if i := bytes.Index(text, []byte(place)); i >= 0 && (i == 0 || !isPathByte(text[i-1])) {
				t.Errorf("%s names a place on one machine: %q", name, place)
			}
		}
	}
}

// isPathByte reports whether what follows the byte is the inside of a longer
// path or URL.
func isPathByte(c byte) bool {
	return c == '/' || c == '.' || c == '-' || c == '_' || c == '}' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// tracked returns the files that git has, or is about to have, whose names end in suffix.
func tracked(t *testing.T, suffix string) map[string][]byte {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Skipf("git ls-files: %v", err)
	}
	files := map[string][]byte{}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		if text, err := os.ReadFile(name); err == nil { // a deleted file is listed until it is committed
			files[name] = text
		}
	}
	if len(files) == 0 {
		t.Fatal("git ls-files named no file")
	}
	return files
}

func parse(t *testing.T, name string, text []byte) (*token.FileSet, *ast.File) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return set, file
}
