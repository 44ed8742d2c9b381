package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// pieces reads p in pieces of random sizes.
type pieces struct {
	p []byte
	r *rand.Rand
}

func (c *pieces) Read(dst []byte) (int, error) {
	if len(c.p) == 0 {
		return 0, io.EOF
	}
	n := copy(dst, c.p[:min(len(c.p), 1+c.r.IntN(40))])
	c.p = c.p[n:]
	return n, nil
}

var viewSeeds = []string{
	`{"model":"gpt-4o","messages":[{"role":"user","content":"hi \"there\""}],"stream":true,"weir":{"a":1}}`,
	`{"model":"gpt-4o","stream_options":{"include_usage":true},"max_tokens":100,"n":2,"user":"u1","metadata":{"a":"b","c\u0064":"e\n","n":1}}`,
	`{"messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:xyz","detail":"low"}}]}],"model":"a/b"}`,
	`{"model":"claude","system":"be\u0020brief","metadata":{"user_id":"u-7"},"max_tokens":1e3,"tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}]}`,
	`{"contents":[{"role":"user","parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"QUJD"}}]}],"generationConfig":{"maxOutputTokens":9,"candidateCount":2},"systemInstruction":{"parts":[{"text":"s"}]}}`,
	`{"input":[[1,2,3],[4]],"model":"e"}`, `{"input":[1,2,3],"model":"e"}`, `{"input":["a","b"],"model":"e","previous_response_id":"resp_1","service_tier":"flex"}`,
	`{ "weir" : {} , "model" : "m" }`, `{"model":"m", "weir":null}`, `{"weir":1}`, `{}`, `[]`, `[{"model":"x"}]`, `"model"`, ` {"model" :null,"stream":"true","max_tokens":-1,"n":2.5} `,
	`{"model":"a","model":"b"}`, `{"weir":1,"weir":2}`, `{"stream_options":null}`, `{"stream_options":{}}`, `{"stream_options":[]}`, `{"stream_options":{"include_usage":false,"x":1}}`,
	`{"mod\u0065l":"m\u0061"}`, `{"model":"` + strings.Repeat("m", maxModelLen-2) + `"}`, `{"model":"` + strings.Repeat("m", maxModelLen-1) + `"}`,
	`{"metadata":{"` + strings.Repeat("k", 6*maxName) + `":"v","` + strings.Repeat("k", 6*maxName+1) + `":"v"}}`, `{"user":"é` + strings.Repeat("u", 600) + `"}`,
	`{"model":"m","speed":"fast","inference_geo":"us","web_search_options":{"search_context_size":"high","search_type":"pro"},"tools":[{"search_context_size":"lo\u0077"}]}`,
	`{"max_tokens":9223372036854775807}`, `{"max_tokens":9223372036854775808}`, `{"max_tokens":12.0,"n":1E1}`,
	`{"messages":[{"content":"` + strings.Repeat("long ", 2000) + `"}],"model":"m"}`, `{"messages":` + strings.Repeat("[", 200) + `"deep"` + strings.Repeat("]", 200) + `}`,
}

// The laws of the view: a body read in pieces says what the whole one does,
// it is refused where the oracle refuses it, and it agrees with a decoder.
func checkView(t *testing.T, body []byte, seed uint64) {
	t.Helper()
	for _, api := range []API{Chat, Messages, Generate} {
		want, err := ReadView(api, body)
		r := rand.New(rand.NewPCG(seed, 2))
		for _, in := range []io.Reader{bytes.NewReader(body), &pieces{body, r}, iotest.DataErrReader(bytes.NewReader(body))} {
			got, cutErr := ScanView(api, in)
			if !reflect.DeepEqual(err, cutErr) || !reflect.DeepEqual(got, want) {
				t.Fatalf("view of %.300q in pieces: %+v %v\nwhole: %+v %v", body, got, cutErr, want, err)
			}
		}
		if err != nil {
			if accepts(body) && !strings.Contains(err.Error(), "twice") && !strings.Contains(err.Error(), "too long") {
				t.Fatalf("view of %.300q: %v", body, err)
			}
			continue
		}
		if !accepts(body) {
			t.Fatalf("view of %.300q: no error", body)
		}
		checkAgainstDecoder(t, api, body, &want)
	}
}

// checkAgainstDecoder compares a view with what encoding/json makes of a body.
func checkAgainstDecoder(t *testing.T, api API, body []byte, v *View) {
	t.Helper()
	var root map[string]any
	if json.Unmarshal(body, &root) != nil || hasTwice(body) {
		return // no object, or one that a decoder reads differently
	}
	str := func(m map[string]any, name string) string { s, _ := m[name].(string); return s }
	if want := str(root, "model"); v.Model != want {
		t.Errorf("%.300s: model %q, want %q", body, v.Model, want)
	}
	if want := root["stream"] == true; v.Stream != want {
		t.Errorf("%.300s: stream %v", body, v.Stream)
	}
	if o, _ := root["stream_options"].(map[string]any); v.IncludeUsage != (o["include_usage"] == true) {
		t.Errorf("%.300s: include usage %v", body, v.IncludeUsage)
	}
	meta, _ := root["metadata"].(map[string]any)
	for name, value := range v.Metadata {
		if meta[name] != value {
			t.Errorf("%.300s: metadata %q = %q, want %v", body, name, value, meta[name])
		}
	}
	if v.User != "" && v.User != str(root, "user") && v.User != str(root, "safety_identifier") && (api != Messages || v.User != str(meta, "user_id")) {
		t.Errorf("%.300s: user %q", body, v.User)
	}
	if !v.ModelSpan.Empty() {
		var s string
		if json.Unmarshal(body[v.ModelSpan.Start:v.ModelSpan.End], &s) != nil || s != v.Model {
			t.Errorf("%.300s: model's place %v", body, v.ModelSpan)
		}
	}
	all := map[string]bool{}
	eachString(root, func(s string) { all[s] = true })
	v.EachText(body, func(text []byte) {
		if !all[string(text)] {
			t.Errorf("%.300s: text %q is no string of the body", body, text)
		}
	})
}

// hasTwice reports whether some object has a member twice.
func hasTwice(body []byte) bool { return !isUnique(body) }

func eachString(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			eachString(e, f)
		}
	case map[string]any:
		for _, e := range v {
			eachString(e, f)
		}
	}
}

func TestViewLaws(t *testing.T) {
	for i, s := range viewSeeds {
		checkView(t, []byte(s), uint64(i))
	}
}

func FuzzView(f *testing.F) {
	for i, s := range viewSeeds {
		f.Add([]byte(s), uint64(i))
	}
	f.Fuzz(checkView)
}

func mustView(t *testing.T, api API, body string) View {
	t.Helper()
	v, err := ReadView(api, []byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

func TestView(t *testing.T) {
	check := func(api API, body, field string, got func(View) any, want any) {
		t.Helper()
		if g := got(mustView(t, api, body)); !reflect.DeepEqual(g, want) {
			t.Errorf("%s of %s = %v, want %v", field, body, g, want)
		}
	}
	maxOut := func(v View) any { return v.MaxOutput }
	check(Chat, `{"max_tokens":5,"max_completion_tokens":7}`, "max", maxOut, int64(7))
	check(Responses, `{"max_output_tokens":7}`, "max", maxOut, int64(7))
	check(Chat, `{"max_tokens":1e3}`, "max", maxOut, int64(1000))
	check(Chat, `{"max_tokens":-1}`, "max", maxOut, int64(0))
	check(Chat, `{"max_tokens":"7"}`, "max", maxOut, int64(0))
	check(Chat, `{"max_tokens":9223372036854775808}`, "max", maxOut, int64(0))
	check(Generate, `{"generationConfig":{"maxOutputTokens":7}}`, "max", maxOut, int64(7))
	check(Generate, `{"generation_config":{"max_output_tokens":7}}`, "max", maxOut, int64(7))
	n := func(v View) any { return v.N }
	check(Chat, `{"n":3}`, "n", n, int64(3))
	check(Completions, `{"best_of":5,"n":2}`, "n", n, int64(5))
	check(Generate, `{"generationConfig":{"candidateCount":2}}`, "n", n, int64(2))
	user := func(v View) any { return v.User }
	check(Chat, `{"user":"a"}`, "user", user, "a")
	check(Chat, `{"safety_identifier":"a"}`, "user", user, "a")
	check(Messages, `{"metadata":{"user_id":"a"}}`, "user", user, "a")
	check(Chat, `{"metadata":{"user_id":"a"}}`, "user", user, "")
	previous := func(v View) any { return v.Previous }
	check(Responses, `{"previous_response_id":"resp_1"}`, "previous", previous, "resp_1")
	check(Batches, `{"input_file_id":"file-1"}`, "previous", previous, "file-1")
	messages := func(v View) any { return v.Messages }
	check(Chat, `{"messages":[{},{},1]}`, "messages", messages, 2)
	check(Responses, `{"input":[{"content":[{}]}]}`, "messages", messages, 1)
	check(Generate, `{"contents":[{},{}]}`, "messages", messages, 2)
	ids := func(v View) any { return v.TokenIDs }
	check(Embeddings, `{"input":[1,2,3]}`, "ids", ids, int64(3))
	check(Embeddings, `{"input":[[1,2],[3]],"dimensions":4}`, "ids", ids, int64(3))
	check(Responses, `{"input":[{"x":1}]}`, "ids", ids, int64(0))
	media := func(v View) any { return v.Media }
	check(Chat, `{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:abc"}}]}]}`, "media", media, int64(8))
	tier := func(v View) any { return v.ServiceTier }
	check(Chat, `{"service_tier":"flex"}`, "tier", tier, "flex")
}

func TestViewTexts(t *testing.T) {
	check := func(api API, body string, want ...string) {
		t.Helper()
		v := mustView(t, api, body)
		var got []string
		v.EachText([]byte(body), func(p []byte) { got = append(got, string(p)) })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("texts of %s = %q, want %q", body, got, want)
		}
	}
	check(Chat, `{"model":"m","messages":[{"role":"user","content":"a\nb"},{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"d"}]}]}`, "a\nb", "d")
	check(Messages, `{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"u"}]}`, "s", "u")
	check(Responses, `{"instructions":"i","input":"q"}`, "i", "q")
	check(Responses, `{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"q"},{"type":"input_image","image_url":"data:x"}]}]}`, "q")
	check(Generate, `{"contents":[{"role":"user","parts":[{"text":"q"},{"fileData":{"fileUri":"u","mimeType":"m"}}]}]}`, "q")
	check(Embeddings, `{"input":["a","b"]}`, "a", "b")
	check(Completions, `{"prompt":"p","suffix":"s"}`, "p")
	check(Rerank, `{"query":"q","documents":["a",{"text":"b"}]}`, "q", "a", "b")
	check(Chat, `{"user":"u","metadata":{"a":"b"}}`)
}

// More texts than are listed are counted by their bytes.
func TestViewManyTexts(t *testing.T) {
	body := `{"input":["ab"` + strings.Repeat(`,"ab"`, maxTexts+9) + `]}`
	if v := mustView(t, Embeddings, body); len(v.Texts) != maxTexts || v.TextRest != 20 {
		t.Errorf("%d texts and %d bytes more", len(v.Texts), v.TextRest)
	}
}

func TestViewRefuses(t *testing.T) {
	check := func(body, msg string) {
		t.Helper()
		_, err := ReadView(Chat, []byte(body))
		syntax, ok := errors.AsType[*SyntaxError](err)
		if !ok || !strings.Contains(syntax.Msg, msg) {
			t.Errorf("%.80s: %v, want %q", body, err, msg)
		}
		for _, secret := range []string{"secret"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%.80s: the error shows content: %v", body, err)
			}
		}
	}
	check(``, "ends too early")
	check(`{"model":"secret`, "ends too early")
	check(`{"model":"a","model":"b"}`, "twice")
	check(`{"model":"a","mod\u0065l":"b"}`, "twice")
	check(`{"weir":{},"weir":{}}`, "twice")
	check(`{"max_tokens":1,"max_tokens":2}`, "twice")
	check(`{"stream":false,"x":1,"stream":true}`, "twice")
	check(`{"model":"`+strings.Repeat("m", maxModelLen)+`"}`, "too long")
	check("{\"model\":\"\xff\"}", "UTF-8")
	check("{\"model\":\"a\nb\"}", "control character")
	check(strings.Repeat(`{"a":`, 100_000), "too deep")
	check(`{'model':'secret'}`, "member's name")
	check(`{"model":"x"} secret`, "nothing more")
}

// A reader's own error comes out as it is.
func TestScanViewReaderError(t *testing.T) {
	broken := errors.New("broken")
	if _, err := ScanView(Chat, io.MultiReader(strings.NewReader(`{"a":`), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestViewMetadataIsBounded(t *testing.T) {
	body := `{"metadata":{` + strings.Repeat(`"k":"v",`, 3)
	for i := range 40 {
		body += `"` + strings.Repeat("x", i+1) + `":"v",`
	}
	body += `"long":"` + strings.Repeat("v", maxMetadataLen+1) + `","` + strings.Repeat("n", 1000) + `":"v"}}`
	v := mustView(t, Chat, body)
	if len(v.Metadata) != maxMetadata || v.Metadata["long"] != "" {
		t.Errorf("%d entries", len(v.Metadata))
	}
}

// Reading a body of 1.5 KB costs two allocations: the model and the texts. The
// least of some runs counts, since the race detector makes pools forget.
func TestReadViewAllocates(t *testing.T) {
	body := benchBody()
	least := 100.0
	for range 50 {
		least = min(least, testing.AllocsPerRun(1, func() { _, _ = ReadView(Chat, body) }))
	}
	if least > 2 {
		t.Errorf("ReadView allocates %v times", least)
	}
}

func benchBody() []byte {
	return []byte(`{"model":"gpt-4o","messages":[{"role":"user","content":"` + strings.Repeat("hello world ", 120) + `"}],"stream":true}`)
}

func BenchmarkReadView(b *testing.B) {
	body := benchBody()
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		_, _ = ReadView(Chat, body)
	}
}
