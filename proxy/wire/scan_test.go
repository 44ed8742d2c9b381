package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// accepts is the oracle: a strict validator. A lone surrogate that is escaped
// passes, as it does with the parsers of Python and JavaScript, so invalid
// UTF-8 is looked for by itself.
func accepts(p []byte) bool {
	return utf8.Valid(p) && jsontext.Value(p).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// A reporter writes down all that a scanner says.
type reporter struct {
	b    strings.Builder
	keep int
}

func (r *reporter) begin(s *scanner, kind valueKind) int {
	fmt.Fprintf(&r.b, "<%c %d %d %q\n", kind, s.depth(), s.key(), s.name)
	return r.keep
}

func (r *reporter) end(s *scanner, kind valueKind, span Span, raw []byte) error {
	fmt.Fprintf(&r.b, ">%c %d %d %v %q\n", kind, s.depth(), s.key(), span, raw)
	return nil
}

// report is what a scanner says of a text that comes in pieces of the sizes.
func report(text []byte, keep int, size func() int) (string, error) {
	r := &reporter{keep: keep}
	s := scanner{v: r}
	for len(text) > 0 {
		n := min(max(size(), 1), len(text))
		piece := bytes.Clone(text[:n])
		err := s.feed(piece)
		clear(piece) // the scanner may not hold on to it
		if err != nil {
			return r.b.String(), err
		}
		text = text[n:]
	}
	return r.b.String(), s.close()
}

func whole1(n int) func() int { return func() int { return n } }

var scanSeeds = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `truex`, `0`, `-0`, `01`, `-`, `1.`, `1.5e+10`, `1e`, `1E-`, `.5`, `+1`, `1 2`,
	`""`, `"`, `"a`, `"\"`, `"\u12"`, `"\u00e9\ud83d\ude00\ud800"`, `"\x"`, "\"\n\"", "\"\x7f\"", "\"\xff\"", "\"\xc3\"", "\"\xc3\xa9\"", "\"\xed\xa0\x80\"",
	"\"é\U0001F600\"", "\xef\xbb\xbf{}", `[]`, `[`, `]`, `[1,]`, `[,1]`, `[1 2]`, `[[],{}]`, `{}`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`,
	`{"a":1,"a":2}`, `{"model":"gpt","stream":true,"x":[1.5,null,{"y":"z"}]}`, `{"mod\u0065l":"x"}`, " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", `{"":{"":""}}`, `[1]x`, "[1]\x00",
	`{"` + strings.Repeat("k", maxName) + `":1}`, `{"` + strings.Repeat("k", maxName+1) + `":1}`, `{"` + strings.Repeat(`\u006b`, maxName+1) + `":1}`,
	strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
	strings.Repeat(`{"a":`, maxDepth) + "1" + strings.Repeat("}", maxDepth), strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1),
	"1" + strings.Repeat("0", 5000), "-1e" + strings.Repeat("9", 500), `"` + strings.Repeat("a", 5000) + `\n"`,
}

// The law of the scanner: it accepts what the oracle does, and how the text is
// cut into pieces changes nothing of what it says.
func checkScan(t *testing.T, text []byte, seed uint64) {
	t.Helper()
	want, err := report(text, 40, whole1(len(text)))
	if (err == nil) != accepts(text) {
		t.Fatalf("scan %.200q: %v, the oracle accepts: %v", text, err, accepts(text))
	}
	if isJSON(text) != accepts(text) {
		t.Fatalf("isJSON(%.200q) = %v", text, isJSON(text))
	}
	r := rand.New(rand.NewPCG(seed, 1))
	sizes := []func() int{func() int { return 1 + r.IntN(9) }, func() int { return 1 + r.IntN(1+len(text)) }}
	if len(text) < 2000 {
		sizes = append(sizes, whole1(1))
	}
	for _, size := range sizes {
		got, cutErr := report(text, 40, size)
		if got != want || fmt.Sprint(cutErr) != fmt.Sprint(err) {
			t.Fatalf("scan %.200q in pieces:\n%.2000s%v\nwhole:\n%.2000s%v", text, got, cutErr, want, err)
		}
	}
}

func TestScan(t *testing.T) {
	for _, s := range scanSeeds {
		checkScan(t, []byte(s), 1)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 { // broken texts
		p := []byte(scanSeeds[r.IntN(len(scanSeeds))])
		if len(p) == 0 || len(p) > 200 {
			continue
		}
		for range 1 + r.IntN(2) {
			p[r.IntN(len(p))] = `{}[]",:\/u0e-. nt`[r.IntN(17)]
		}
		checkScan(t, p, r.Uint64())
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range scanSeeds {
		f.Add([]byte(s), uint64(1))
	}
	f.Fuzz(checkScan)
}

// Every way of cutting a text in two says the same.
func TestScanEveryCut(t *testing.T) {
	text := []byte(`{"model":"gé\ud83d\ude00\n","n":-12.50e+3,"x":[true,false,null,{"stream_options":{}}],"metadata":{"a\"b":"c"}} `)
	want, err := report(text, 40, whole1(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(text); i++ {
		first := true
		got, err := report(text, 40, func() int {
			defer func() { first = false }()
			if first {
				return i
			}
			return len(text)
		})
		if err != nil || got != want {
			t.Fatalf("cut at %d: %v\n%s", i, err, got)
		}
	}
}

// What nests deep is refused with its place, before it takes memory.
func TestScanDeep(t *testing.T) {
	for _, open := range []string{"[", `{"a":`} {
		_, err := report([]byte(strings.Repeat(open, 100_000)), 0, whole1(1<<20))
		syntax, ok := errors.AsType[*SyntaxError](err)
		if !ok || syntax.Offset != int64(maxDepth*len(open)) {
			t.Errorf("100k of %s: %v", open, err)
		}
	}
}

// A value that is kept and too long takes no more memory than was asked for.
func TestScanKeepsNoMoreThanAsked(t *testing.T) {
	r := &reporter{keep: 1000}
	s := scanner{v: r}
	piece := bytes.Repeat([]byte("a"), 64<<10)
	_ = s.feed([]byte(`{"model":"`))
	for range 50 {
		if err := s.feed(piece); err != nil {
			t.Fatal(err)
		}
	}
	if cap(s.kept) > 4000 || cap(s.name) > 1000 {
		t.Errorf("holds %d and %d bytes", cap(s.kept), cap(s.name))
	}
}

func TestKeys(t *testing.T) {
	for k := keyNone + 1; k < numKeys; k++ {
		if keyNames[k] == "" {
			t.Errorf("key %d has no name", k)
		} else if got := lookupKey([]byte(keyNames[k])); got != k {
			t.Errorf("lookupKey(%q) = %d, want %d", keyNames[k], got, k)
		}
		for _, other := range []string{keyNames[k] + "s", keyNames[k][1:], strings.ToUpper(keyNames[k])} {
			if got := lookupKey([]byte(other)); got != keyNone && keyNames[got] != other {
				t.Errorf("lookupKey(%q) = %q", other, keyNames[got])
			}
		}
	}
	if lookupKey(nil) != keyNone {
		t.Error("the empty name has a meaning")
	}
}

func TestUnquote(t *testing.T) {
	check := func(raw, want string) {
		t.Helper()
		if got := text([]byte(raw)); got != want {
			t.Errorf("text(%s) = %q, want %q", raw, got, want)
		}
	}
	check(`"a"`, "a")
	check(`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t")
	check(`"\u00e9\ud83d\ude00"`, "é😀")
	check(`"\ud800x\udc00\ud800\ud800"`, "\uFFFDx\uFFFD\uFFFD\uFFFD")
	check(`12`, "")
	check(``, "")
}

// A string that is quoted reads as what it was, but for what was no text.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a\"\\\n\r\t\x00\x1f\x7f", "é\u2028\u2029\u0085😀", "\xff\xc3", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := appendQuoted(nil, s)
		if !accepts(quoted) || bytes.ContainsAny(quoted, "\n\r\u0085\u2028\u2029") {
			t.Fatalf("appendQuoted(%q) = %q", s, quoted)
		}
		if got := text(quoted); got != string([]rune(s)) {
			t.Fatalf("%q came back as %q", s, got)
		}
	})
}
