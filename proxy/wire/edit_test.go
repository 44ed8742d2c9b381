package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// isUnique reports whether no object has a member twice.
func isUnique(body []byte) bool {
	return jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true))
}

var wants = []Want{
	{},
	{Model: "other/model-1"},
	{Model: "q\"\\\né\u2028"},
	{IncludeUsage: true},
	{DropWeir: true},
	{Model: "x", IncludeUsage: true, DropWeir: true},
	{IncludeUsage: true, DropWeir: true},
}

// The law of edits: what is parsed afterwards differs from before by what was
// wanted and nothing else, every byte outside of the edits stays, and the same
// edits give the same bytes.
func checkEdits(t *testing.T, body []byte) {
	t.Helper()
	v, err := ReadView(Chat, body)
	if err != nil {
		return
	}
	for _, w := range wants {
		edits := v.Edits(w)
		out := Apply(nil, body, edits)
		if int64(len(out)) != EditedSize(int64(len(body)), edits) {
			t.Fatalf("%.300s: %d bytes, EditedSize says otherwise", body, len(out))
		}
		streamed, err := io.ReadAll(EditReader(bytes.NewReader(body), int64(len(body)), edits))
		if err != nil || !bytes.Equal(streamed, out) {
			t.Fatalf("%.300s: EditReader gives %.300q %v, Apply %.300q", body, streamed, err, out)
		}
		checkOutside(t, body, out, edits)
		if !accepts(out) {
			t.Fatalf("%.300s with %+v is no JSON: %.300s", body, w, out)
		}
		if isUnique(body) {
			checkIntended(t, body, out, w)
		}
	}
}

// checkOutside finds the untouched runs of the body in the result, in order
// and with nothing but the new bytes between.
func checkOutside(t *testing.T, body, out []byte, edits []Edit) {
	t.Helper()
	var at int64
	for _, e := range edits {
		if e.Span.Start < at || e.Span.End < e.Span.Start || e.Span.End > int64(len(body)) {
			t.Fatalf("%.300s: edits out of order: %v", body, edits)
		}
		for _, part := range [][]byte{body[at:e.Span.Start], e.New} {
			if !bytes.HasPrefix(out, part) {
				t.Fatalf("%.300s: bytes changed outside of %v", body, edits)
			}
			out = out[len(part):]
		}
		at = e.Span.End
	}
	if !bytes.Equal(out, body[at:]) {
		t.Fatalf("%.300s: the end changed", body)
	}
}

func checkIntended(t *testing.T, body, out []byte, w Want) {
	t.Helper()
	var before, after any
	decode := func(p []byte, to *any) {
		d := json.NewDecoder(bytes.NewReader(p))
		d.UseNumber()
		if err := d.Decode(to); err != nil {
			t.Fatalf("decode %.300s: %v", p, err)
		}
	}
	decode(body, &before)
	decode(out, &after)
	if root, ok := before.(map[string]any); ok {
		if _, ok := root["model"].(string); ok && w.Model != "" {
			root["model"] = w.Model
		}
		if w.DropWeir {
			delete(root, "weir")
		}
		if w.IncludeUsage {
			wantUsage(root)
		}
	}
	if !reflect.DeepEqual(before, after) {
		t.Fatalf("%.300s with %+v became %.300s", body, w, out)
	}
}

// wantUsage asks for usage in a decoded body, where that is not of a wrong type.
func wantUsage(root map[string]any) {
	switch o := root["stream_options"].(type) {
	case nil:
		root["stream_options"] = map[string]any{"include_usage": true}
	case map[string]any:
		if u := o["include_usage"]; u == nil || u == false {
			o["include_usage"] = true
		}
	}
}

var editSeeds = append([]string{
	`{"weir":{}}`, `{ "weir" : { "a" : [1,{"weir":2}] } }`, `{"weir":1,"a":2}`, `{"weir":1 , "a":2}`, `{"a":1,"weir":2,"b":3}`, "{\n  \"a\": 1,\n  \"weir\": {\"vars\": {}},\n  \"b\": 2\n}\n",
	`{"a":1,"weir":2}`, `{"a":1 , "weir":2 }`, `{"a":{"weir":1}}`, `{"we\u0069r":1,"a":2}`, `{"weir":1,"model":"m","stream_options":{"include_usage":false}}`,
	`{"model":"m","stream_options":{"include_obfuscation":false},"weir":[]}`, `{"stream_options":{ },"model":"m"}`, `{"stream_options":null,"weir":0}`, `{"stream_options":"x"}`,
	`{"stream_options":{"include_usage":null}}`, `{"stream_options":{"include_usage":"yes"}}`, `{"stream_options":{"include_usage":false,"include_usage":false}}`, `{"stream_options":{"x":{"include_usage":1}}}`,
	`{"big":12345678901234567890.123456789e-400,"html":"<&>","esc":"\/\u0041","model":"m"}`, "  { }  ", "\t{\"weir\":\r\n1\t}",
	`{"model":"m","weir":{"a":1}   }`, `{   "weir":{"a":1},   "model":"m"}`, `{"weir":"` + strings.Repeat("w", 70<<10) + `","model":"m"}`,
}, viewSeeds...)

func TestEditLaws(t *testing.T) {
	for _, s := range editSeeds {
		checkEdits(t, []byte(s))
	}
}

func FuzzEdits(f *testing.F) {
	for _, s := range editSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(checkEdits)
}

func TestEdits(t *testing.T) {
	check := func(body string, w Want, want string) {
		t.Helper()
		v := mustView(t, Chat, body)
		first := Apply(nil, []byte(body), v.Edits(w))
		if string(first) != want {
			t.Errorf("%s with %+v became %s, want %s", body, w, first, want)
		}
		for range 100 {
			v := mustView(t, Chat, body)
			if again := Apply(nil, []byte(body), v.Edits(w)); !bytes.Equal(again, first) {
				t.Fatalf("%s with %+v gives different bytes: %s", body, w, again)
			}
		}
	}
	check(`{"model":"a"}`, Want{Model: "b"}, `{"model":"b"}`)
	check(`{"model":"a"}`, Want{Model: "a"}, `{"model":"a"}`)
	check(`{"model":"\u0061"}`, Want{Model: "a"}, `{"model":"\u0061"}`)
	check(`{"model":1}`, Want{Model: "a"}, `{"model":1}`)
	check(`{ "z":1, "model" : "a" , "b":2.50 }`, Want{Model: "b"}, `{ "z":1, "model" : "b" , "b":2.50 }`)
	check(`{"a":1}`, Want{IncludeUsage: true}, `{"a":1,"stream_options":{"include_usage":true}}`)
	check("{\"a\":1\n}", Want{IncludeUsage: true}, "{\"a\":1,\"stream_options\":{\"include_usage\":true}\n}")
	check(`{}`, Want{IncludeUsage: true}, `{"stream_options":{"include_usage":true}}`)
	check(`{"stream_options":{"a":1}}`, Want{IncludeUsage: true}, `{"stream_options":{"a":1,"include_usage":true}}`)
	check(`{"stream_options":{"include_usage":true}}`, Want{IncludeUsage: true}, `{"stream_options":{"include_usage":true}}`)
	check(`{"stream_options":{"include_usage":"yes"}}`, Want{IncludeUsage: true}, `{"stream_options":{"include_usage":"yes"}}`)
	check(`{"stream_options":7}`, Want{IncludeUsage: true}, `{"stream_options":7}`)
	check(`{"weir":{"a":1}}`, Want{DropWeir: true}, `{}`)
	check(`{"weir":{"a":1}, "b":2}`, Want{DropWeir: true}, `{"b":2}`)
	check(`{"a":1, "weir":2, "b":3}`, Want{DropWeir: true}, `{"a":1, "b":3}`)
	check(`{"a":1, "weir":2 }`, Want{DropWeir: true}, `{"a":1 }`)
	check(`{"weir":1}`, Want{DropWeir: true, IncludeUsage: true}, `{"stream_options":{"include_usage":true}}`)
	check(`{"a":{"weir":1}}`, Want{DropWeir: true}, `{"a":{"weir":1}}`)
	check(`[{"weir":1}]`, Want{DropWeir: true, IncludeUsage: true, Model: "x"}, `[{"weir":1}]`)
}

func TestEditsOfMultipart(t *testing.T) {
	body := []byte("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n")
	_, span, err := MultipartModel(`multipart/form-data; boundary=b`, bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	got := Apply(nil, body, []Edit{{span, []byte("other")}})
	if want := bytes.Replace(body, []byte("whisper-1"), []byte("other"), 1); !bytes.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
