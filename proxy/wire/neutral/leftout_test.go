package neutral

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// TestLeftOut: what a client is not shown of a reply is named, the same of a
// stream and of a whole one; what it is shown is not.
func TestLeftOut(t *testing.T) {
	opaque := func(from API, raw string) Part { return Part{Kind: Opaque, From: from, Raw: jsontext.Value(raw)} }
	search := opaque(Messages, `{"type":"web_search_tool_result","tool_use_id":"s1","content":[]}`)
	item := opaque(Responses, `{"type":"web_search_call","id":"ws_1","status":"completed"}`)
	code := opaque(Generate, `{"executableCode":{"language":"PYTHON","code":"1"}}`)
	picture := Part{Kind: Image, Media: &Media{MIME: "image/png", Data: png}}
	sound := Part{Kind: Audio, Media: &Media{MIME: "audio/wav", Data: wav}}
	call := Part{Kind: Call, Call: &ToolCall{ID: "c", Name: "f"}}
	cited := Part{Text: "x", From: Responses, Cites: []Citation{{Raw: jsontext.Value(`{"type":"file_citation","file_id":"f"}`)}}}
	check := func(r *Request, parts []Part, want ...string) {
		t.Helper()
		reply := &Reply{ID: "a", Choices: []Candidate{{Parts: parts}}}
		var whole, stream LeftOut
		whole.Reply(reply, r)
		tellAll(func(n int) int { return n }, reply, func(e *Event) { stream.Event(e, r) })
		for i := range parts {
			if len(parts[i].Cites) > 0 {
				stream.Event(&Event{Kind: CiteDelta, Part: &parts[i]}, r)
			}
		}
		for name, got := range map[string][]string{"whole": whole.Names, "stream": stream.Names} {
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: %q, want %q", r.From, name, got, want)
			}
		}
		out := string(byAPI(r.From).EncodeReply(reply, r))
		for _, p := range parts {
			if p.Kind == Opaque && strings.Contains(out, string(p.Raw)) != (p.From == r.From) {
				t.Errorf("%s: %s in %s", r.From, p.Raw, out)
			}
		}
		if slices.ContainsFunc(parts, func(p Part) bool { return p.Kind == Image }) && strings.Contains(out, png) == slices.Contains(want, "reply.image") {
			t.Errorf("%s: the picture, in %s", r.From, out)
		}
	}
	words := Part{Text: "said"}
	check(&Request{From: Chat}, []Part{words, search, item, code, search}, "reply.web_search_tool_result", "reply.web_search_call", "reply.executableCode")
	check(&Request{From: Messages}, []Part{search, item}, "reply.web_search_call")
	check(&Request{From: Responses}, []Part{item})
	check(&Request{From: Generate}, []Part{code})
	check(&Request{From: Messages}, []Part{picture, sound}, "reply.image", "reply.audio")
	check(&Request{From: Responses}, []Part{picture, sound}, "reply.audio")
	check(&Request{From: Chat}, []Part{picture, sound})
	check(&Request{From: Generate}, []Part{picture, sound})
	check(&Request{From: Chat, Legacy: true}, []Part{call, call}, "reply.tool_calls")
	check(&Request{From: Chat}, []Part{call, call})
	check(&Request{From: Chat}, []Part{cited}, "reply.citations")
	check(&Request{From: Responses}, []Part{cited})
}
