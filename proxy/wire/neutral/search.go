package neutral

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// A webSearch is what a request says of the search that a vendor is to run.
type webSearch struct {
	allowed, blocked jsontext.Value // lists of domains
	location         jsontext.Value // {"type":"approximate","city":…}, as Anthropic and Responses write it
	others           bool           // settings that have no place in another dialect
}

// searchOf reads a search tool of Anthropic's, Google's or Responses'.
func searchOf(t *Tool) (s webSearch) {
	for _, m := range members(t.Raw) {
		switch v := orNil(m.Value); m.Name {
		case "type", "name", "cache_control":
		case "googleSearch", "google_search":
			s.others = s.others || len(members(v)) > 0
		case "allowed_domains":
			s.allowed = v
		case "blocked_domains":
			s.blocked = v
		case "user_location":
			s.location = v
		case "filters":
			s.filters(v)
		default:
			s.others = s.others || v != nil
		}
	}
	return s
}

func (s *webSearch) filters(v jsontext.Value) {
	for _, m := range members(v) {
		switch m.Name {
		case "allowed_domains":
			s.allowed = orNil(m.Value)
		case "blocked_domains":
			s.blocked = orNil(m.Value)
		default:
			s.others = true
		}
	}
}

// bounded reports whether only some of the web may be searched.
func (s *webSearch) bounded() bool { return s.allowed != nil || s.blocked != nil }

// searchMember is what asks for a search in chat completions.
const searchMember = "web_search_options"

// searching returns r with a search tool in the place of web_search_options,
// which only chat completions have. Without them it is r itself.
func (r *Request) searching() *Request {
	at := slices.IndexFunc(r.Rest, func(m Member) bool { return m.Name == searchMember && given(m.Value) })
	if r.From != Chat || at < 0 {
		return r
	}
	var o struct {
		Size     string `json:"search_context_size"`
		Location struct {
			Approximate jsontext.Value `json:"approximate"`
		} `json:"user_location"`
	}
	if decode(r.Rest[at].Value, &o) != nil {
		return r // refused as what it is
	}
	w := jsonw{}
	w.obj()
	w.strKey("type", "web_search")
	w.strIf("search_context_size", o.Size)
	if list := members(o.Location.Approximate); list != nil {
		w.objKey("user_location")
		w.strKey("type", "approximate")
		w.members(list)
		w.endObj()
	}
	w.endObj()
	told := *r
	told.Rest = slices.Delete(slices.Clone(r.Rest), at, at+1)
	told.Tools = append(slices.Clone(r.Tools), Tool{Name: "web_search", Raw: w.b, From: Responses})
	return &told
}
