package neutral

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// embedShapes are requests as SDKs make them (openai 3.57 for Python and 6.49
// for Node, langchain-openai 1.7, google-genai 3.6, @ai-sdk/google), and what
// the other API's upstream answers.
var embedShapes = []struct {
	name        string
	from        *EmbedCodec
	body, reply string
}{
	{"openai", embeddingsCodec, `{"model":"m","input":"hello","encoding_format":"base64"}`, `{"embeddings":[{"values":[0.0054926,-0.25,1e-07]}],"usageMetadata":{"promptTokenCount":2}}`},
	{
		"openai-list", embeddingsCodec, `{"model":"m","input":["one","two \"words\"\n"],"user":"u-1","dimensions":3,"encoding_format":"float"}`,
		`{"embeddings":[{"values":[0.0054926,-0.25,1e-07]},{"values":[1,0,0]}]}`,
	},
	{"langchain", embeddingsCodec, `{"input":["one","two"],"model":"m","encoding_format":"base64","dimensions":3}`, `{"embeddings":[{"values":[0.1,0.2,0.3]},{"values":[0.4,0.5,0.6]}]}`},
	{
		"genai", embedContentCodec, `{"requests":[{"content":{"parts":[{"text":"one"}],"role":"user"},"taskType":"RETRIEVAL_DOCUMENT","title":"T","outputDimensionality":3,"model":"models/m"},{"content":{"parts":[{"text":"two"}],"role":"user"},"taskType":"RETRIEVAL_DOCUMENT","title":"T","outputDimensionality":3,"model":"models/m"}]}`,
		`{"object":"list","data":[{"object":"embedding","embedding":[0.1,0.2,0.3],"index":0},{"object":"embedding","embedding":"zczMPc3MTD6amZk+","index":1}],"model":"m-1","usage":{"prompt_tokens":2,"total_tokens":2}}`,
	},
	{
		"ai-sdk", embedContentCodec, `{"model":"models/m","content":{"parts":[{"text":"one"}]}}`,
		`{"id":"embd-1","object":"list","created":1,"model":"m","data":[{"index":0,"object":"embedding","embedding":[0.5]}],"usage":{"prompt_tokens":1,"total_tokens":1,"completion_tokens":0,"prompt_tokens_details":null}}`,
	},
}

func TestEmbedGolden(t *testing.T) {
	for _, s := range embedShapes {
		to := embeddingsCodec
		if s.from == to {
			to = embedContentCodec
		}
		r := mustDecodeEmbed(t, s.from, s.body, "m")
		n := &Notes{}
		var b bytes.Buffer
		told := *r
		told.Model = "up"
		fmt.Fprintf(&b, "asked %s\n%s\n\ntold %s\n%s\n", s.from.API, s.body, to.API, to.EncodeRequest(&told, r.Inputs, n))
		reply, err := to.DecodeReply([]byte(s.reply))
		if err != nil || n.Err() != nil {
			t.Fatal(err, n.Err())
		}
		back, err := s.from.EncodeReply(reply, r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\ndropped %v\n\nanswered\n%s\n\nas\n%s\n", n.Dropped, s.reply, back)
		holdGolden(t, "testdata/embeddings/"+s.name+".golden", b.Bytes())
	}
}

// BenchmarkEmbedRequest carries ten texts, together 1.5 KB: at most 50 µs.
func BenchmarkEmbedRequest(b *testing.B) {
	var texts []Input
	for range 10 {
		texts = append(texts, Input{Text: strings.Repeat("What is the weather? ", 7)})
	}
	for _, from := range embedCodecs() {
		for _, to := range embedCodecs() {
			if from == to {
				continue
			}
			body := from.EncodeRequest(&EmbedRequest{Model: "m", Inputs: texts, From: from.API}, texts, &Notes{})
			b.Run(string(from.API), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					r := mustDecodeEmbed(b, from, string(body), "m")
					to.EncodeRequest(r, r.Inputs, &Notes{})
				}
			})
		}
	}
}

// BenchmarkEmbedReply carries ten vectors of 1536 numbers from Gemini.
func BenchmarkEmbedReply(b *testing.B) {
	var v []byte
	for i := range 1536 {
		v = strconv.AppendFloat(append(v, ','), 1/float64(i+3), 'g', 9, 64)
	}
	v[0] = '['
	v = append(v, ']')
	body := []byte(`{"embeddings":[` + strings.Repeat(`,{"values":`+string(v)+`}`, 10)[1:] + `]}`)
	for name, packed := range map[string]bool{"numbers": false, "base64": true} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := embedContentCodec.DecodeReply(body)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := embeddingsCodec.EncodeReply(r, &EmbedRequest{Base64: packed}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
