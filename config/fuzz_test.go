package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzConfig: any text is either a valid configuration or Problems, each with
// its file; a valid one can be shown, never with a secret; and reading it
// twice gives the same.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		"", contractExample, "a: b: c", "&a [*a]", "routes: &r [*r]", "<<: {auth: off}", "secret: ${A:-${B:-${C:-x}}}",
		"secret: ${", "secret: '$${x}'", "providers:\n  a: &a {kind: mock}\n  b: *a", "? {a: b}\n: c", "auth: !!str off", "\uE000", "%YAML 1.1\n---\na", "-", "\t",
		"secret: " + strings.Repeat("${A:-", 100) + strings.Repeat("}", 100),
		strings.Repeat("[", 10_000), strings.Repeat("a: ", 2000), "#" + strings.Repeat("x", maxFile),
		"secret: CANARY\nadmin: {token: CANARY}\nproviders: {x: {kind: openai, api_key: CANARY, headers: {a: CANARY}}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		env := environ("A", "CANARY", "EMPTY", "")
		c, err := Parse("f", text, env)
		if err != nil {
			var ps Problems
			if !errors.As(err, &ps) || len(ps) == 0 || ps[0].File != "f" || ps[0].What == "" {
				t.Fatalf("an error that is no problem: %#v", err)
			}
			return
		}
		b, err := json.Marshal(c.Redacted())
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("f", text, env)
		if err != nil {
			t.Fatalf("valid at first, then %v", err)
		}
		if b2, err := json.Marshal(again.Redacted()); err != nil || string(b) != string(b2) {
			t.Fatalf("read twice:\n%s\n%s", b, b2)
		}
		if !strings.Contains(string(text), "listen") && c.Auth == AuthOff && c.Listen != "127.0.0.1:8080" {
			t.Fatalf("the default listener moved: %s", c.Listen)
		}
	})
}

// FuzzMask: hiding variables from the parser and showing them again changes
// nothing, keeps the lines, and leaves a text without variables as it is.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{"", "a: ${B}", "{a: ${B:-{c, d}}}", "$${x}", "${", "${a\n}", "${${${}}}", "a }", "${A:-#}\n${B:?[why]}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		masked, taken := mask(text)
		if taken > 0 || !utf8.ValidString(text) {
			return
		}
		if got := unmask(masked); got != text {
			t.Fatalf("%q came back as %q", text, got)
		}
		if strings.Count(masked, "\n") != strings.Count(text, "\n") || utf8.RuneCountInString(masked) != utf8.RuneCountInString(text) {
			t.Fatalf("%q moved: %q", text, masked)
		}
		if !strings.Contains(text, "${") && masked != text {
			t.Fatalf("%q has no variable and became %q", text, masked)
		}
	})
}
