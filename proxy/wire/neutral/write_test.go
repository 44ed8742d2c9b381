package neutral

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/proxy/wire"
)

func TestJSONWriter(t *testing.T) {
	w := jsonw{b: []byte("data: "), line: true}
	w.obj()
	w.strKey("a", "x\n\"\u2028\x01")
	w.strIf("none", "")
	w.arrKey("list")
	w.int(1)
	w.obj()
	w.endObj()
	w.null()
	w.str("s")
	w.endArr()
	w.rawKey("raw", []byte(" {\n \"b\" : 1.0 } "))
	w.strNull("n", "")
	w.stringsObj("m", map[string]string{"z": "1", "y,": "2"})
	w.members([]Member{{"odd \"name", jsontext.Value("[1, 2]")}})
	w.endObj()
	want := `data: {"a":"x\n\"\u2028\u0001","list":[1,{},null,"s"],"raw":{  "b" : 1.0 },"n":null,"m":{"y,":"2","z":"1"},"odd \"name":[1, 2]}`
	if string(w.b) != want {
		t.Errorf("got  %s\nwant %s", w.b, want)
	}
}

// A string that is written and read is the same string, but for what was not UTF-8.
func TestQuotedLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		var got string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := string([]rune(s)); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		if a, b := appendQuoted(nil, s), appendQuoted(nil, []byte(s)); string(a) != string(b) {
			t.Fatalf("%s as a string, %s as bytes", a, b)
		}
	})
}

func TestDecodeErrors(t *testing.T) {
	type inner struct {
		N int64 `json:"n"`
	}
	type outer struct {
		List []inner        `json:"list"`
		Rest jsontext.Value `json:",embed"`
	}
	check := func(body, want string) {
		t.Helper()
		var o outer
		err := decode([]byte(body), &o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	check(`{"list":[{"n":1},{"n":"secret"}]}`, "list[1].n: must be an integer")
	check(`{"list":{}}`, "list: must be an array")
	check(`[]`, "must be an object")
	check(`{"list":`, "invalid JSON at byte")
	check(``, "invalid JSON")
	err := decodeAt([]byte(`[{"n":true}]`), new([]inner), "messages[2].content")
	if c, ok := errors.AsType[*CannotCarry](err); !ok || c.Member != "messages[2].content[0].n" {
		t.Errorf("got %v", err)
	}
	if _, ok := errors.AsType[*wire.SyntaxError](decode([]byte(`{`), new(outer))); !ok {
		t.Error("a syntax error of another type")
	}
}

func TestMembers(t *testing.T) {
	var o struct {
		A    int64          `json:"a"`
		Rest jsontext.Value `json:",embed"`
	}
	if err := decode([]byte(`{"z":1e3,"a":1,"b\n":{"c": [] },"z":2}`), &o); err != nil {
		t.Fatal(err)
	}
	got := members(o.Rest)
	if len(got) != 3 || got[0].Name != "z" || string(got[0].Value) != "1e3" || got[1].Name != "b\n" || string(got[2].Value) != "2" {
		t.Errorf("got %q", got)
	}
	if members(nil) != nil || members(jsontext.Value("[1]")) != nil || members(jsontext.Value(`{}`)) != nil {
		t.Error("members of nothing")
	}
}
