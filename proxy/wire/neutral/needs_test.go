package neutral

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/internal/capability"
	"weir/proxy/wire"
)

// compared are the needs that the neutral form knows, too.
const compared = capability.Tools | capability.Vision | capability.Audio | capability.Video | capability.Files | capability.Schema

// needsOf are the needs of a request, by what its decoder has made of it.
func needsOf(r *Request) (s capability.Set) {
	for _, t := range r.Tools {
		if t.Raw == nil {
			s |= capability.Tools
		}
	}
	if r.Format.Kind == JSONSchema {
		s |= capability.Schema
	}
	var add func(parts []Part)
	add = func(parts []Part) {
		for _, p := range parts {
			switch p.Kind {
			case Image:
				s |= capability.Vision
			case Audio:
				s |= capability.Audio
			case Video:
				s |= capability.Video
			case File:
				if p.Media.Text == "" && (r.From != Generate || p.Media.MIME == "application/pdf") {
					s |= capability.Files
				}
			case Call:
				s |= capability.Tools
			case Result:
				s |= capability.Tools
				add(p.Result.Parts)
			}
		}
	}
	for _, t := range r.Turns {
		add(t.Parts)
	}
	return s
}

var needAPIs = map[API]wire.API{Chat: wire.Chat, Responses: wire.Responses, Messages: wire.Messages, Generate: wire.Generate}

// checkNeeds compares what the scan has found in a body with what the decoder
// makes of it.
func checkNeeds(t rapid.TB, api API, body []byte) {
	t.Helper()
	codec := For(needAPIs[api])
	r, err := codec.DecodeRequest(body, "m", false)
	if err != nil {
		return
	}
	v, err := wire.ReadView(needAPIs[api], body)
	if err != nil {
		return
	}
	if got, want := v.Needs&compared, needsOf(r); got != want {
		t.Errorf("%s: the scan finds %v, the decoder %v in %.3000s", api, got.Names(), want.Names(), body)
	}
}

// The scan of a body finds the needs that its decoder does: in what clients
// have sent, and in what we write ourselves.
func TestNeedsAreTheDecoders(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if api := API(filepath.Base(filepath.Dir(name))); strings.HasPrefix(strings.TrimSpace(string(body)), "{") {
			checkNeeds(t, api, body)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := drawConversation(rt)
		if rapid.Bool().Draw(rt, "schema") {
			r.Format = Format{Kind: JSONSchema, Name: "s", Schema: []byte(`{"type":"object"}`)}
		}
		if rapid.Bool().Draw(rt, "media") {
			kind := rapid.SampledFrom([]Kind{Image, Audio, Video, File}).Draw(rt, "kind")
			mime := map[Kind]string{Image: "image/png", Audio: "audio/wav", Video: "video/mp4", File: "application/pdf"}[kind]
			r.Turns = append(r.Turns, Turn{Role: User, Parts: []Part{{Kind: kind, Media: &Media{MIME: mime, Data: "QUJD", Name: "a.pdf"}}}})
		}
		for api := range needAPIs {
			told := *r
			told.Model = "claude-opus-4-5"
			body, err := For(needAPIs[api]).EncodeRequest(&told, &Notes{Lossy: true})
			if err == nil {
				checkNeeds(rt, api, body)
			}
		}
	})
}

// holdsOpaque reports whether the decoder has left a part as it is: what it
// holds may be pictures as well.
func holdsOpaque(r *Request) bool {
	for _, t := range r.Turns {
		for _, p := range t.Parts {
			if p.Kind == Opaque {
				return true
			}
		}
	}
	return false
}

func FuzzNeeds(f *testing.F) {
	apis := []API{Chat, Responses, Messages, Generate}
	for i, body := range []string{
		`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}],"tools":[{"type":"function","function":{"name":"f"}}],"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{}}}}`,
		`{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]},{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"u"}]}],"text":{"format":{"type":"json_schema","name":"s","schema":{}}}}`,
		`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"}},{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QQ=="}}]}]}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}`,
		`{"contents":[{"parts":[{"inlineData":{"mimeType":"video/mp4","data":"QQ=="}},{"functionCall":{"name":"f","args":{"mimeType":"image/png"}}}]}],"tools":[{"functionDeclarations":[{"name":"f"}]}],"generationConfig":{"responseJsonSchema":{}}}`,
	} {
		f.Add(uint8(i), []byte(body))
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		api := apis[int(which)%len(apis)]
		r, err := For(needAPIs[api]).DecodeRequest(body, "m", false)
		if err != nil || holdsOpaque(r) {
			return
		}
		v, err := wire.ReadView(needAPIs[api], body)
		if err != nil {
			return
		}
		// A need that isn't there could refuse a good request; one that is
		// written with escapes may be missed, and the upstream judges.
		if more := v.Needs & compared &^ needsOf(r); more != 0 {
			t.Errorf("%s: the scan finds %v in %q", api, more.Names(), body)
		}
	})
}
