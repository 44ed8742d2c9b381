package neutral

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/costs"
	"weir/proxy/wire"
)

func mustDecodeEmbed(t failer, c *EmbedCodec, body, model string) *EmbedRequest {
	t.Helper()
	r, err := c.DecodeRequest([]byte(body), model)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return r
}

// What a client asks, as it comes to the other API.
func TestEmbedRequests(t *testing.T) {
	check := func(from, to *EmbedCodec, body, want string, dropped ...string) {
		t.Helper()
		r := mustDecodeEmbed(t, from, body, "e")
		var n Notes
		r.Model = "up"
		got := string(to.EncodeRequest(r, r.Inputs, &n))
		if err := n.Err(); err != nil || got != want || !slices.Equal(n.Dropped, dropped) {
			t.Errorf("%s\n got %s\nwant %s\ndropped %q, want %q; %v", body, got, want, n.Dropped, dropped, err)
		}
	}
	o, g := embeddingsCodec, embedContentCodec
	check(o, g, `{"model":"e","input":"hi"}`, `{"requests":[{"model":"models/up","content":{"parts":[{"text":"hi"}]}}]}`)
	check(o, g, `{"model":"e","input":["a","b\n"],"dimensions":8,"encoding_format":"base64","user":"u","weir":{}}`,
		`{"requests":[{"model":"models/up","content":{"parts":[{"text":"a"}]},"outputDimensionality":8},{"model":"models/up","content":{"parts":[{"text":"b\n"}]},"outputDimensionality":8}]}`, "user")
	check(o, g, `{"model":"e","input":"","input_type":"search_query","truncate_prompt_tokens":-1,"priority":1}`,
		`{"requests":[{"model":"models/up","content":{"parts":[{"text":""}]},"taskType":"RETRIEVAL_QUERY"}]}`, "truncate_prompt_tokens", "priority")
	check(o, g, `{"model":"e","input":"x","input_type":"image"}`, `{"requests":[{"model":"models/up","content":{"parts":[{"text":"x"}]}}]}`, "input_type")
	check(g, o, `{"content":{"parts":[{"text":"hi"}]}}`, `{"model":"up","input":"hi"}`)
	check(g, o, `{"requests":[{"model":"models/e","content":{"role":"user","parts":[{"text":"a"},{"text":"b"}]},"outputDimensionality":8}]}`, `{"model":"up","input":["a\nb"],"dimensions":8}`)
	check(g, o, `{"requests":[{"content":{"parts":[{"text":"a"}]},"task_type":"CLUSTERING","title":"T","output_dimensionality":8},{"content":{"parts":[{"text":"b"}]},"output_dimensionality":8,"odd":1}]}`,
		`{"model":"up","input":["a","b"],"dimensions":8}`, "taskType", "title", "requests[1].odd")
	check(g, o, `{"content":{"parts":[{"text":"a"}]},"embedContentConfig":{"taskType":"CLUSTERING","outputDimensionality":3,"autoTruncate":true}}`,
		`{"model":"up","input":"a","dimensions":3}`, "taskType", "autoTruncate")
	// Its own members go back as they came.
	check(o, o, `{"input":[[1,2],"x"],"model":"e","encoding_format":"base64","user":"u","input_type":"query","dimensions":2,"odd":{"a": 1}}`,
		`{"model":"up","input":[[1,2],"x"],"dimensions":2,"encoding_format":"base64","user":"u","input_type":"query","odd":{"a": 1}}`)
	check(o, o, `{"input":[1,2],"model":"e"}`, `{"model":"up","input":[1,2]}`)
	check(g, g, `{"content":{"parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"AA=="}}]},"taskType":"CLUSTERING","title":"T"}`,
		`{"requests":[{"model":"models/up","content":{"parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"AA=="}}]},"taskType":"CLUSTERING","title":"T"}]}`)
}

// What would change the meaning is refused, by the client's own name for it.
func TestEmbedRefusals(t *testing.T) {
	check := func(from, to *EmbedCodec, body, want string) {
		t.Helper()
		var n Notes
		r, err := from.DecodeRequest([]byte(body), "e")
		if err == nil {
			to.EncodeRequest(r, r.Inputs, &n)
			err = n.Err()
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
		if r == nil {
			return
		}
		n = Notes{Lossy: true}
		to.EncodeRequest(r, r.Inputs, &n)
		if hard := r.Inputs[0].Text == "" || strings.Contains(body, "[1]"); hard != (n.Err() != nil) || !hard && len(n.Dropped) == 0 {
			t.Errorf("%s, lossy: %v, %v", body, n.Err(), n.Dropped)
		}
	}
	o, g := embeddingsCodec, embedContentCodec
	check(o, g, `{"model":"e","input":[1,2,3]}`, "input: token ids mean")
	check(o, g, `{"model":"e","input":["a",[1]]}`, "input: token ids mean")
	check(o, g, `{"model":"e","input":"a","truncate_prompt_tokens":7}`, "truncate_prompt_tokens: ")
	check(o, g, `{"model":"e","input":"a","output_dtype":"int8"}`, "output_dtype: ")
	check(o, g, `{"model":"e","input":"a","encoding_format":"bytes"}`, "encoding_format: must be float or base64")
	check(o, g, `{"model":"e","input":[]}`, "input: must be")
	check(o, g, `{"model":"e"}`, "input: must be")
	check(o, g, `{"model":"e","input":[{"text":"a"}]}`, "input[0]: must be")
	check(o, g, `{"model":"e","input":"a","dimensions":"8"}`, "dimensions: must be an integer")
	check(o, g, `{"model":"e","input":`, "invalid JSON")
	check(g, o, `{"content":{"parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}`, "content.parts: embeddings of")
	check(g, o, `{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}`, "content.parts: embeddings of")
	check(g, o, `{"content":{"parts":[{"functionCall":{"name":"f"}}]}}`, "content.parts: must be")
	check(g, o, `{"requests":[{"model":"models/other","content":{"parts":[]}}]}`, "requests[0].model: must be")
	check(g, o, `{"requests":[{"content":{"parts":[{"text":"a"}]}},{}]}`, "requests[1].content: must be")
	check(g, o, `{"requests":[]}`, "requests: must not")
	check(g, o, `{}`, "content: must be")
}

// Replies, as the client of either API reads them.
func TestEmbedReplies(t *testing.T) {
	two := base64.StdEncoding.EncodeToString([]byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}) // 1, -2
	check := func(from, to *EmbedCodec, reply string, asked EmbedRequest, want string) {
		t.Helper()
		r, err := from.DecodeReply([]byte(reply))
		if err != nil {
			t.Fatalf("%v: %s", err, reply)
		}
		got, err := to.EncodeReply(r, &asked)
		if err != nil || string(got) != want {
			t.Errorf("%s\n got %s\nwant %s; %v", reply, got, want, err)
		}
	}
	o, g := embeddingsCodec, embedContentCodec
	batch := `{"embeddings":[{"values":[1, -2.0]},{"values":[ 1e-05,0.1000000001 ]}],"usageMetadata":{"promptTokenCount":7}}`
	check(g, o, batch, EmbedRequest{}, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1, -2.0]},{"object":"embedding","index":1,"embedding":[ 1e-05,0.1000000001 ]}],"model":"","usage":{"prompt_tokens":7,"total_tokens":7}}`)
	check(g, o, `{"embedding":{"values":[1,-2]}}`, EmbedRequest{Base64: true}, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"`+two+`"}],"model":"","usage":{"prompt_tokens":0,"total_tokens":0}}`)
	list := `{"object":"list","data":[{"index":1,"embedding":"` + two + `"},{"index":0,"embedding":[3]}],"model":"m","usage":{"prompt_tokens":4,"total_tokens":4}}`
	check(o, g, list, EmbedRequest{List: true}, `{"embeddings":[{"values":[3]},{"values":[1,-2]}],"usageMetadata":{"promptTokenCount":4}}`)
	check(o, g, `{"data":[{"embedding":[3]}]}`, EmbedRequest{}, `{"embedding":{"values":[3]}}`)
	check(o, o, list, EmbedRequest{Base64: true}, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AABAQA=="},{"object":"embedding","index":1,"embedding":"`+two+`"}],"model":"m","usage":{"prompt_tokens":4,"total_tokens":4}}`)

	bad := func(c *EmbedCodec, reply string) {
		t.Helper()
		r, err := c.DecodeReply([]byte(reply))
		for _, packed := range []bool{false, true} {
			if err == nil {
				_, err = embeddingsCodec.EncodeReply(r, &EmbedRequest{Base64: packed})
			}
		}
		if err == nil {
			t.Errorf("%s passes", reply)
		}
	}
	for _, v := range []string{`[]`, `[null]`, `["a"]`, `[[1]]`, `[1,]`, `[1e39]`, `{}`, `""`, `"AAA="`, `"AACAfw=="`, `"AADA/w=="`, `"????"`, `null`} {
		bad(o, `{"data":[{"index":0,"embedding":`+v+`}]}`)
		bad(g, `{"embeddings":[{"values":`+v+`}]}`)
	}
	bad(o, `{"data":[{"index":1,"embedding":[1]}]}`)
	bad(o, `{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`)
	bad(o, `[[1]]`)
}

// A float32 goes through base64 and through digits bit for bit, and any number
// becomes the nearest one.
func TestVectorLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOfN(rapid.Uint32(), 1, 40).Draw(t, "floats")
		var data []byte
		for _, b := range bits {
			if b&0x7f800000 == 0x7f800000 {
				b &^= 0x40000000 // no number: another one
			}
			data = binary.LittleEndian.AppendUint32(data, b)
		}
		packed := Vector(`"` + base64.StdEncoding.EncodeToString(data) + `"`)
		digits, err := packed.appendNumbers(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Vector(digits).appendPacked(nil)
		if err != nil || string(again) != string(packed) {
			t.Fatalf("%s became %s by %s: %v", packed, again, digits, err)
		}
		if Vector(digits).Len() != len(bits) || packed.Len() != len(bits) {
			t.Fatalf("%d floats, told %d and %d", len(bits), Vector(digits).Len(), packed.Len())
		}
		if !jsontext.Value(digits).IsValid() {
			t.Fatalf("no JSON: %s", digits)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-1e30, 1e30).Draw(t, "number")
		digits := strconv.FormatFloat(x, 'g', -1, 64)
		exact, _, err := big.ParseFloat(digits, 10, 500, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		nearest, _ := exact.Float32()
		packed, err := Vector("[" + digits + "]").appendPacked(nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := unpack(packed)
		if err != nil || math.Float32frombits(binary.LittleEndian.Uint32(data)) != nearest {
			t.Fatalf("%v became %s: %v", x, packed, err)
		}
	})
}

// Runs keep within their limits, lose nothing and are as long as they can be.
func TestEmbedSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Int64Range(1, 50), 1, 60).Draw(t, "weights")
		l := EmbedLimits{Inputs: rapid.IntRange(0, 9).Draw(t, "inputs"), Tokens: rapid.Int64Range(0, 99).Draw(t, "tokens")}
		ends := l.Split(len(weights), func(i int) int64 { return weights[i] }, nil)
		at := 0
		for k, end := range ends {
			var sum int64
			for _, w := range weights[at:end] {
				sum += w
			}
			n := end - at
			if n < 1 || l.Inputs > 0 && n > l.Inputs || l.Tokens > 0 && sum > l.Tokens && n > 1 {
				t.Fatalf("run %d of %v is %d..%d", k, ends, at, end)
			}
			if end < len(weights) && (l.Inputs == 0 || n < l.Inputs) && (l.Tokens == 0 || sum+weights[end] <= l.Tokens) {
				t.Fatalf("run %d of %v could be longer", k, ends)
			}
			at = end
		}
		if at != len(weights) {
			t.Fatalf("%v of %d", ends, len(weights))
		}
	})
	eight, nine := int64(8), int64(9)
	r := EmbedRequest{Inputs: []Input{{}, {Dimensions: &eight}, {Dimensions: &eight}, {Dimensions: &nine}}}
	if got := (EmbedLimits{}).Split(4, func(int) int64 { return 1 }, r.Joins); !slices.Equal(got, []int{1, 3, 4}) {
		t.Errorf("by dimensions: %v", got)
	}
	if a, b, c := (&Input{Text: "abcd"}).Weigh(), (&Input{Tokens: jsontext.Value("[1, 2,3]")}).Weigh(), WeighText([]byte("[1,2]")); a != 2 || b != 3 || c != 2 {
		t.Errorf("weights %d %d %d", a, b, c)
	}
}

func TestPackEmbeddings(t *testing.T) {
	check := func(body, want string) {
		t.Helper()
		got, changed := PackEmbeddings([]byte(body))
		if string(got) != want || changed != (body != want) {
			t.Errorf("%s\n got %s, %v\nwant %s", body, got, changed, want)
		}
	}
	check(`{ "object":"list" ,"data":[ {"embedding" : [1, 2.5],"index":0},{"object":"embedding","embedding":[3],"x":{"embedding":[1]}} ], "z":1}`,
		`{ "object":"list" ,"data":[ {"embedding" : "AACAPwAAIEA=","index":0},{"object":"embedding","embedding":"AABAQA==","x":{"embedding":[1]}} ], "z":1}`)
	for _, same := range []string{
		`{"data":[{"embedding":"AABAQA=="}]}`, `{"data":[{"embedding":[[1]]}]}`, `{"data":[{"embedding":[null]}]}`, `{"data":[{"embedding":[1e99]}]}`,
		`{"data":[{"embedding":[1]}]} 0`, `{"data":[]}`, `{"data":7}`, `[[1]]`, `{"data":[{"embedding":[1]}`, `{"error":{}}`, ``,
	} {
		check(same, same)
	}
	floats := func(head string, want, wantKnown bool) {
		t.Helper()
		if got, known := HasFloats([]byte(head)); got != want || known != wantKnown {
			t.Errorf("%s: %v, %v", head, got, known)
		}
	}
	floats(`{"data":[{"object":"embedding","embedding": [1`, true, true)
	floats(`{"data":[{"object":"embedding","embedding":"AA`, false, true)
	floats(`{"data":[{"object":"embedding"`, false, false)
	floats(`{"data":[{"embedding":`, false, false)
	wants := func(body string, want bool) {
		t.Helper()
		if got := WantsBase64([]byte(body)); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
	wants(`{"input":{"encoding_format":"base64"},"encoding_format":"base64"}`, true)
	wants(`{"input":"x","encoding_format":"float"}`, false)
	wants(`{"input":"x"}`, false)
}

func TestBatchModels(t *testing.T) {
	body := []byte(`{"requests":[{"model": "models/a","content":{"model":"models/a"}},{"content":{}},{"model":"models/b"}]}`)
	got := string(wire.Apply(nil, body, BatchModels(body, "b")))
	if want := `{"requests":[{"model": "models/b","content":{"model":"models/a"}},{"content":{}},{"model":"models/b"}]}`; got != want {
		t.Errorf("got %s", got)
	}
	if e := BatchModels([]byte(`{"requests":{}}`), "b"); e != nil {
		t.Errorf("%v", e)
	}
	l, ok := ListIn([]byte(` {"input":1,"x":[],"input":[ "a" ,[1,2]] }`), "input")
	if want := (Listing{wire.Span{Start: 27, End: 40}, []wire.Span{{Start: 29, End: 32}, {Start: 34, End: 39}}}); !ok || !reflect.DeepEqual(l, want) {
		t.Errorf("%v %v", l, ok)
	}
}

// drawEmbed is a request that both APIs can say.
func drawEmbed(t *rapid.T) *EmbedRequest {
	r := &EmbedRequest{Model: "m", List: rapid.Bool().Draw(t, "list")}
	n := 1
	if r.List {
		n = rapid.IntRange(1, 5).Draw(t, "inputs")
	}
	var dims *int64
	if rapid.Bool().Draw(t, "sized") {
		d := rapid.Int64Range(1, 3072).Draw(t, "dimensions")
		dims = &d
	}
	for range n {
		r.Inputs = append(r.Inputs, Input{Text: strings.ToValidUTF8(rapid.String().Draw(t, "text"), ""), Dimensions: dims})
	}
	return r
}

// drawVectors is a reply with n vectors.
func drawVectors(t *rapid.T, n int) *EmbedReply {
	reply := &EmbedReply{Model: "m", HasUsage: true}
	reply.Usage.Set(costs.Input, rapid.Int64Range(0, 1e9).Draw(t, "tokens"))
	for range n {
		floats := rapid.SliceOfN(rapid.Float32Range(-2, 2), 1, 9).Draw(t, "vector")
		v, _ := json.Marshal(floats)
		reply.Vectors = append(reply.Vectors, Vector(v))
	}
	return reply
}

// A → the other API → A keeps the inputs, their order and their dimensions; of
// its own a request keeps everything, and its bytes are stable.
func TestEmbedRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := drawEmbed(t)
		for _, c := range embedCodecs() {
			var n Notes
			asked.From = c.API
			body := c.EncodeRequest(asked, asked.Inputs, &n)
			r := mustDecodeEmbed(t, c, string(body), "m")
			r.List = asked.List // Gemini is always asked for a list
			if !reflect.DeepEqual(r, asked) || n.Err() != nil || n.Dropped != nil {
				t.Fatalf("%s: %+v became %+v by %s", c.API, asked, r, body)
			}
			if again := c.EncodeRequest(r, r.Inputs, &n); string(again) != string(body) {
				t.Fatalf("%s\nand %s", body, again)
			}
			for _, other := range embedCodecs() {
				there := other.EncodeRequest(r, r.Inputs, &n)
				back := mustDecodeEmbed(t, other, string(there), "m")
				if !reflect.DeepEqual(back.Inputs, asked.Inputs) {
					t.Fatalf("%s: %+v came back as %+v", there, asked.Inputs, back.Inputs)
				}
			}
		}
		reply := drawVectors(t, len(asked.Inputs))
		for _, c := range embedCodecs() {
			out, err := c.EncodeReply(reply, asked)
			if err != nil {
				t.Fatal(err)
			}
			back, err := c.DecodeReply(out)
			if err != nil {
				t.Fatal(err)
			}
			back.Model = "m"
			if !reflect.DeepEqual(back, reply) {
				t.Fatalf("%s: %+v became %+v", c.API, reply, back)
			}
		}
	})
}

func FuzzEmbedRequest(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","input":"a"}`, `{"model":"m","input":["a",[1,2]],"dimensions":3,"encoding_format":"base64"}`, `{"input":[1,2]}`,
		`{"content":{"parts":[{"text":"a"},{"inline_data":{"mime_type":"image/png","data":"AA=="}}]},"task_type":"X"}`,
		`{"requests":[{"model":"models/m","content":{"parts":[]},"outputDimensionality":7},{"content":{"parts":[{"text":"b"}]}}]}`, `{`, `[]`, `null`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, from := range embedCodecs() {
			r, err := from.DecodeRequest(body, "m")
			if err != nil {
				continue
			}
			if len(r.Inputs) == 0 {
				t.Fatalf("no inputs and no error")
			}
			for _, to := range embedCodecs() {
				out := to.EncodeRequest(r, r.Inputs, &Notes{Lossy: true})
				if !jsontext.Value(out).IsValid(lenient) {
					t.Fatalf("no JSON: %s", out)
				}
			}
		}
		ListIn(body, "input")
		BatchModels(body, "x")
		WantsBase64(body)
	})
}

func FuzzEmbedReply(f *testing.F) {
	for _, s := range []string{
		`{"data":[{"index":0,"embedding":[1,2.5e-3]}],"usage":{"prompt_tokens":1}}`, `{"data":[{"embedding":"AABAQA=="}]}`,
		`{"embedding":{"values":[1]}}`, `{"embeddings":[{"values":[1]},{"values":[2, 3]}],"usageMetadata":{"promptTokenCount":2}}`, `{"data":[{"embedding":[1,`, `[`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, from := range embedCodecs() {
			r, err := from.DecodeReply(body)
			if err != nil {
				continue
			}
			for _, to := range embedCodecs() {
				for _, packed := range []bool{false, true} {
					out, err := to.EncodeReply(r, &EmbedRequest{Base64: packed, List: true})
					if err == nil && !jsontext.Value(out).IsValid(lenient) {
						t.Fatalf("no JSON: %s", out)
					}
				}
			}
			for _, v := range r.Vectors {
				v.Len()
			}
		}
		if out, changed := PackEmbeddings(body); changed && !jsontext.Value(out).IsValid(lenient) {
			t.Fatalf("no JSON: %s", out)
		}
		HasFloats(body)
	})
}

// Each feature that a client has a word for meets the fate that the tables say.
func TestEmbedFates(t *testing.T) {
	probes := map[API]map[string]string{
		Embeddings: {
			FeatureTexts: `"input":"WITNESS"`, FeatureBatch: `"input":["a","WITNESS"]`, FeatureTokenIDs: `"input":[1]`,
			FeatureDimensions: `"input":"a","dimensions":77`, FeatureEncoding: `"input":"a","encoding_format":"base64"`, FeatureTask: `"input":"a","input_type":"query"`,
			FeatureTruncation: `"input":"a","truncate_prompt_tokens":5`, FeatureQuantum: `"input":"a","output_dtype":"int8"`, FeatureUser: `"input":"a","user":"u"`,
		},
		EmbedContent: {
			FeatureTexts: `"content":{"parts":[{"text":"WITNESS"}]}`, FeatureBatch: `"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"WITNESS"}]}}]`,
			FeatureMedia: `"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}`, FeatureDimensions: `"content":{"parts":[]},"outputDimensionality":77`,
			FeatureTask: `"content":{"parts":[]},"taskType":"CLUSTERING"`, FeatureTitle: `"content":{"parts":[]},"title":"t"`, FeatureTruncation: `"content":{"parts":[]},"autoTruncate":true`,
		},
	}
	witness := map[string]string{FeatureTexts: "WITNESS", FeatureBatch: "WITNESS", FeatureDimensions: "77", FeatureTask: "RETRIEVAL_QUERY"}
	for _, from := range embedCodecs() {
		for _, f := range from.Fields {
			probe := probes[from.API][f.Feature]
			if (probe == "") != (f.Member == "") {
				t.Errorf("%s, %s: probe %q for member %q", from.API, f.Feature, probe, f.Member)
			}
			for _, to := range embedCodecs() {
				if to == from || probe == "" {
					continue
				}
				var n Notes
				r := mustDecodeEmbed(t, from, fmt.Sprintf(`{"model":"m",%s}`, probe), "m")
				out := string(to.EncodeRequest(r, r.Inputs, &n))
				want := to.Fields[slices.IndexFunc(to.Fields, func(g Field) bool { return g.Feature == f.Feature })].Fate
				got := Carried
				switch {
				case n.refusal != nil && n.refusal.Member == f.Member:
					got = Refused
				case slices.Contains(n.Dropped, f.Member):
					got = Dropped
				case !strings.Contains(out, witness[f.Feature]):
					t.Errorf("%s, %s: lost in %s", from.API, f.Feature, out)
				}
				if got != want && !(got == Carried && want == Mapped) {
					t.Errorf("%s → %s, %s: %v, declared %v; %v %v", from.API, to.API, f.Feature, got, want, n.Dropped, n.refusal)
				}
			}
		}
	}
}
