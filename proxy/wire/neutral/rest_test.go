package neutral

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// ownValues are values of members that only one dialect has; the others are 1.
var ownValues = map[string]string{
	"modalities": `["text","audio"]`, "response_format": `{"type":"grammar","grammar":"x"}`, "text.format": `{"type":"grammar","grammar":"x"}`,
	"background": `true`, "conversation": `"conv_1"`, "prompt": `{"id":"p"}`, "include": `["file_search_call.results"]`, "truncation": `"auto"`,
	"inference_geo": `"us"`, "speed": `"fast"`, "safety_identifier": `"who"`, searchMember: `{}`, "stream_options": `{"include_obfuscation":false}`,
	"generationConfig.responseModalities": `["AUDIO"]`,
}

// ownBody is a request with such a member.
func ownBody(client API, name string) []byte {
	value := ownValues[name]
	if value == "" {
		value = `1`
	}
	more := `"` + name + `":` + value
	if object, member, ok := strings.Cut(name, "."); ok {
		more = `"` + object + `":{"` + member + `":` + value + `}`
	}
	return probe{more: more}.body(client)
}

// TestOwnMembers tries each member that only one dialect has, at every other:
// what is declared is what happens.
func TestOwnMembers(t *testing.T) {
	for _, client := range apis {
		for _, m := range ownMembers[client] {
			for _, target := range others(client) {
				tryOwnMember(t, client, target, m)
			}
		}
	}
}

func tryOwnMember(t *testing.T, client, target API, m ownMember) {
	t.Helper()
	r, err := byAPI(client).DecodeRequest(ownBody(client, m.name), "m", false)
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	r.Model = models[target]
	n := &Notes{}
	out, err := byAPI(target).EncodeRequest(r, n)
	between := client == Chat && target == Responses || client == Responses && target == Chat
	fate := m.fate
	if between && slices.Contains(openAIMembers, m.name) && m.fate == Dropped {
		fate = Carried
	}
	if m.name == "safety_identifier" && target == Generate { // which is told no end user
		fate, m.name = Dropped, "user"
	}
	refused, ok := errors.AsType[*CannotCarry](err)
	switch {
	case fate == Refused && (!ok || refused.Member != m.name),
		fate == Dropped && (err != nil || !reflect.DeepEqual(n.Dropped, []string{m.name})),
		fate <= Mapped && (err != nil || len(n.Dropped) > 0):
		t.Errorf("%s → %s: %s is to be %s: %v, dropped %v: %s", client, target, m.name, fateWords[fate], err, n.Dropped, out)
	}
}

// TestOwnMembersOfOldSpelling: Google takes names in either spelling, and so
// does what refuses them.
func TestOwnMembersOfOldSpelling(t *testing.T) {
	for _, more := range []string{`"cached_content":"c"`, `"generation_config":{"response_modalities":["AUDIO"]}`} {
		r := mustDecodeGenerate(t, probe{more: more}.body(Generate))
		r.Model = "gpt-4.1"
		if out, err := encodeChatRequest(r, &Notes{}); err == nil {
			t.Errorf("%s: %s", more, out)
		}
	}
}

// What asks for no more than every dialect does is neither refused nor named.
func TestOwnMembersOfNoWeight(t *testing.T) {
	check := func(client API, more string) {
		t.Helper()
		r, err := byAPI(client).DecodeRequest(probe{more: more}.body(client), "m", false)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range others(client) {
			r.Model = models[target]
			n := &Notes{}
			if out, err := byAPI(target).EncodeRequest(r, n); err != nil || len(n.Dropped) > 0 {
				t.Errorf("%s → %s: %s: %v, dropped %v: %s", client, target, more, err, n.Dropped, out)
			}
		}
	}
	check(Chat, `"modalities":["text"]`)
	check(Chat, `"web_search_options":null`)
	check(Messages, `"inference_geo":"global","speed":"standard"`)
	check(Generate, `"generationConfig":{"responseModalities":["TEXT"]}`)
}

// TestSearchIsCarried: a search that a vendor runs is the other vendor's, with
// the domains and the place that it is kept to.
func TestSearchIsCarried(t *testing.T) {
	check := func(client, target API, more, want string, dropped ...string) {
		t.Helper()
		r, err := byAPI(client).DecodeRequest(probe{more: more}.body(client), "m", false)
		if err != nil {
			t.Fatal(err)
		}
		r.Model = models[target]
		n := &Notes{}
		out, err := byAPI(target).EncodeRequest(r, n)
		if want == "" {
			if err == nil {
				t.Errorf("%s → %s: not refused: %s", client, target, out)
			}
			return
		}
		if err != nil || !strings.Contains(string(out), want) || !slices.Equal(n.Dropped, dropped) {
			t.Errorf("%s → %s: %v, dropped %v: %s", client, target, err, n.Dropped, out)
		}
	}
	const options = `"web_search_options":{"user_location":{"type":"approximate","approximate":{"country":"FR","city":"Paris"}}}`
	const place = `"user_location":{"type":"approximate","country":"FR","city":"Paris"}`
	check(Chat, Responses, options, `"tools":[{"type":"web_search",`+place+`}]`)
	check(Chat, Messages, options, `"tools":[{"type":"web_search_20250305","name":"web_search",`+place+`}]`)
	check(Chat, Generate, `"web_search_options":{}`, `"tools":[{"googleSearch":{}}]`)
	check(Chat, Generate, `"web_search_options":{},`+chatFuncs, "")
	const bounded = `"tools":[{"type":"web_search_20250305","name":"web_search","allowed_domains":["a.org"]}]`
	check(Messages, Responses, bounded, `"tools":[{"type":"web_search","filters":{"allowed_domains":["a.org"]}}]`)
	check(Messages, Generate, bounded, "")
	check(Messages, Responses, `"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3}]`, `"tools":[{"type":"web_search"}]`, "tools")
	check(Responses, Messages, `"tools":[{"type":"web_search","filters":{"allowed_domains":["a.org"]}}]`, `"tools":[{"type":"web_search_20250305","name":"web_search","allowed_domains":["a.org"]}]`)
	check(Generate, Messages, `"tools":[{"googleSearch":{}}]`, `"tools":[{"type":"web_search_20250305","name":"web_search"}]`)
}

// TestPicturesAreAskedFor: a chat client's wish for pictures is Gemini's.
func TestPicturesAreAskedFor(t *testing.T) {
	r, err := decodeChatRequest(probe{more: `"modalities":["image","text"]`}.body(Chat), "", false)
	if err != nil {
		t.Fatal(err)
	}
	r.Model = "gemini-2.5-flash-image"
	n := &Notes{}
	if out, err := encodeGenerate(r, n); err != nil || len(n.Dropped) > 0 || !strings.Contains(string(out), `"generationConfig":{"responseModalities":["TEXT","IMAGE"]}`) {
		t.Errorf("%v, dropped %v: %s", err, n.Dropped, out)
	}
}
