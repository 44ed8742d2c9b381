package neutral

import (
	"bytes"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/proxy/wire"
)

// dataParts are all places that a dialect has for data, and some where it has
// none: D stands for it. before is what a conversation needs that ends with
// them, after closes it.
var dataParts = map[API]struct {
	before, after string
	parts         []string
}{
	Chat: {
		`{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"data\":\"D\"}"}}]},{"role":"tool","tool_call_id":"c1","content":"ok"},{"role":"user","content":[{"type":"text","text":"look"}`,
		`]}]}`,
		[]string{
			`{"type":"image_url","image_url":{"url":"data:image/png;base64,D","detail":"high"}}`,
			`{"type":"image_url","image_url":{"url":"data:;base64,D"},"cache_control":{"type":"ephemeral"}}`,
			`{"type":"image_url","image_url":"D"}`,
			`{"type":"image_url","image_url":{"url":"https://example.com/D"},"more":{"data":"D"}}`,
			`{"type":"input_audio","input_audio":{"data":"D","format":"mp3"}}`,
			`{"type":"file","file":{"file_data":"data:application/pdf;base64,D","filename":"a.pdf"}}`,
			`{"type":"file","file":{"file_data":"data:text/csv;base64,D","filename":"a.csv"}}`,
			`{"type":"file","file":{"file_data":"data:application/json;charset=utf-8;base64,D"}}`,
			`{"type":"file","file":{"file_data":"D","filename":"a.pdf"}}`,
			`{"type":"file","file":{"file_data":"D"}}`,
			`{"type":"video_url","video_url":{"url":"data:video/mp4;base64,D"}}`,
			`{"type":"odd","data":"D"}`,
		},
	},
	Responses: {
		`{"model":"m","input":[{"role":"user","content":"hi"},{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"data\":\"D\"}"},{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"ok"},{"type":"input_image","image_url":"data:image/png;base64,D"}]},{"role":"user","content":[{"type":"input_text","text":"look"}`,
		`]}]}`,
		[]string{
			`{"type":"input_image","image_url":"data:image/png;base64,D","detail":"low"}`,
			`{"type":"input_image","image_url":"data:;base64,D","prompt_cache_breakpoint":{"mode":"explicit"}}`,
			`{"type":"input_image","image_url":"D"}`,
			`{"type":"input_file","file_data":"data:application/pdf;base64,D","filename":"a.pdf"}`,
			`{"type":"input_file","file_data":"data:text/plain;base64,D","filename":"a.txt"}`,
			`{"type":"input_file","file_data":"D","filename":"a.pdf"}`,
			`{"type":"input_file","file_url":"https://example.com/a.pdf","file_data":"D"}`,
			`{"type":"input_audio","input_audio":{"data":"D","format":"wav"}}`,
			`{"type":"input_odd","data":"D"}`,
		},
	},
	Messages: {
		`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{"data":"D","n":[{"url":"D"}]}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"D"}}]}`,
		`]}]}`,
		[]string{
			`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"D"}}`,
			`{"type":"image","source":{"type":"base64","media_type":"","data":"D"},"more":1}`,
			`{"type":"image","source":{"type":"url","url":"data:image/png;base64,D"}}`,
			`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"D"},"title":"t","citations":{"enabled":true}}`,
			`{"type":"document","source":{"type":"text","media_type":"text/plain","data":"D"},"context":"c"}`,
			`{"type":"document","source":{"type":"content","content":[{"type":"text","text":"D"}]}}`,
			`{"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"D"}]}`,
			`{"type":"server_thing","data":"D"}`,
			`{"type":"redacted_thinking","data":"D"}`,
		},
	},
	Generate: {
		`{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{"data":"D"}}}]},{"role":"user","parts":[{"functionResponse":{"id":"c1","name":"f","response":{"output":"ok","data":"D"}}}`,
		`]}]}`,
		[]string{
			`{"inlineData":{"mimeType":"image/png","data":"D"}}`,
			`{"inlineData":{"data":"D","mimeType":"text/csv","displayName":"a.csv"}}`,
			`{"inline_data":{"mime_type":"application/pdf","data":"D"}}`,
			`{"inlineData":{"data":"D"},"thoughtSignature":"x"}`,
			`{"inlineData":{"data":"D","mimeType":"audio/wav"},"videoMetadata":{"data":"D"}}`,
			`{"inlineData":{"data":"D","mimeType":"video/mp4"}}`,
			`{"functionResponse":{"name":"f","response":{"a":1},"parts":[{"inlineData":{"mimeType":"image/png","data":"D"}}]}}`,
			`{"executableCode":{"data":"D"}}`,
			`{"text":"D"}`,
		},
	},
}

// carry is one translation, and what was noted of it.
func carry(from, to *Codec, body []byte, lossy bool, whole func(string) string) (string, []string, error) {
	r, err := from.DecodeRequest(body, "m", false)
	if err != nil {
		return "", nil, err
	}
	r.Model, r.Whole = models[to.API], whole
	n := &Notes{Lossy: lossy}
	out, err := to.EncodeRequest(r, n)
	if err == nil {
		err = n.Err()
	}
	return string(out), n.Dropped, err
}

// checkShrunk holds the law: a body that is carried without its data, and then
// has it put back, is the body carried plainly, byte for byte. Where not all of
// the data is in it, that is known.
func checkShrunk(t failer, from, to *Codec, body []byte, lossy bool) {
	t.Helper()
	v, err := wire.ReadView(wire.Chat, body)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	s, err := wire.Shrink(bytes.NewReader(body), int64(len(body)), v.Long, strings.Repeat("0f", wire.MarkSize/2))
	if err != nil {
		t.Fatalf("%v", err)
	}
	if s == nil {
		return
	}
	want, dropped, wantErr := carry(from, to, body, lossy, nil)
	short, notes, gotErr := carry(from, to, s.Body, lossy, s.Whole)
	if (wantErr == nil) != (gotErr == nil) || wantErr != nil && wantErr.Error() != gotErr.Error() {
		t.Fatalf("%s to %s: %v, plainly %v", from.API, to.API, gotErr, wantErr)
	}
	if wantErr != nil {
		return
	}
	if !slices.Equal(notes, dropped) {
		t.Fatalf("%s to %s: dropped %v, plainly %v", from.API, to.API, notes, dropped)
	}
	e := s.Expand([]byte(short))
	got, err := io.ReadAll(e.Reader())
	if err != nil || int64(len(got)) != e.Size() {
		t.Fatalf("%d bytes of %d: %v", len(got), e.Size(), err)
	}
	if e.Complete() && string(got) != want {
		t.Fatalf("%s to %s:\n%.3000s\nplainly\n%.3000s", from.API, to.API, got, want)
	}
	if bothGiven := bytes.Contains(body, []byte("file_url")); !e.Complete() && !lossy && len(dropped) == 0 && !bothGiven {
		t.Fatalf("%s to %s: data went missing and nothing is said of it: %.3000s", from.API, to.API, short)
	}
}

func TestShrunkIsCarriedAsPlain(t *testing.T) {
	for _, from := range apis {
		for _, to := range apis {
			t.Run(string(from)+" "+string(to), func(t *testing.T) {
				d := dataParts[from]
				rapid.Check(t, func(t *rapid.T) {
					body := d.before
					for range rapid.IntRange(0, 3).Draw(t, "parts") {
						body += "," + rapid.SampledFrom(d.parts).Draw(t, "part")
					}
					body += d.after
					for strings.Contains(body, `D`+`\"`) || strings.Contains(body, `D"`) {
						body = strings.Replace(body, `D`+`\"`, drawData(t)+`\"`, 1)
						body = strings.Replace(body, `D"`, drawData(t)+`"`, 1)
					}
					checkShrunk(t, byAPI(from), byAPI(to), []byte(body), rapid.Bool().Draw(t, "lossy"))
				})
			})
		}
	}
}

// drawData is base64 of a size around those that are cut out.
func drawData(t *rapid.T) string {
	head := rapid.SampledFrom([]string{"\x89PNG\r\n\x1a\n", "\xff\xd8\xff", "%PDF-1.7", "a,b\n1,2\n", `{"json":`}).Draw(t, "head")
	size := rapid.SampledFrom([]int{10, 2000, 3070, 3200, 6001, 9002, 40_000}).Draw(t, "size")
	return base64.StdEncoding.EncodeToString([]byte(head + strings.Repeat("xyz\x00", size/4)))
}
