package neutral

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Responses that the gateway keeps itself, for upstreams that keep none: what
// was said stands in them as items of this API, as the client wrote and got it.

// InputItems is the input of a Responses request as a list of items: a text
// alone is a message of the user's.
func InputItems(body []byte) (jsontext.Value, error) {
	var m struct {
		Input rawValue `json:"input"`
	}
	if err := decode(body, &m); err != nil {
		return nil, err
	}
	switch v := jsontext.Value(m.Input); v.Kind() {
	case '[':
		return v.Clone(), nil
	case '"':
		w := jsonw{}
		w.arr()
		w.obj()
		w.strKey("type", "message")
		w.strKey("role", "user")
		w.rawKey("content", v)
		w.endObj()
		w.endArr()
		return w.b, nil
	}
	return jsontext.Value("[]"), nil
}

// OutputItems is the output of a response object.
func OutputItems(body []byte) (jsontext.Value, error) {
	var m struct {
		Output rawValue `json:"output"`
	}
	if err := decode(body, &m); err != nil {
		return nil, err
	}
	if v := jsontext.Value(m.Output); v.Kind() == '[' {
		return v.Clone(), nil
	}
	return jsontext.Value("[]"), nil
}

// FinalResponse is the response object of the last event of a Responses stream
// that has one; nil: none has.
func FinalResponse(data []byte) jsontext.Value {
	var m struct {
		Response rawValue `json:"response"`
	}
	if decode(data, &m) != nil {
		return nil
	}
	return m.Response.kept()
}

// ReadItems reads lists of items, one after the other, into turns without the
// ids that they had where they were kept.
func ReadItems(lists ...jsontext.Value) ([]Turn, error) {
	var in responsesInput
	for _, list := range lists {
		if err := eachElement(list, in.item); err != nil {
			return nil, err
		}
	}
	for i := range in.turns {
		in.turns[i].ID = ""
		for j := range in.turns[i].Parts {
			if c := in.turns[i].Parts[j].Call; c != nil {
				c.Item = ""
			}
		}
	}
	return in.turns, nil
}

// Continue puts earlier turns before the request's own. Its instructions stand
// before both: those of earlier requests are not inherited.
func (r *Request) Continue(earlier []Turn) {
	n := 0
	if len(r.Turns) > 0 && r.Turns[0].ID == instructionsID {
		n = 1
	}
	turns := make([]Turn, 0, len(r.Turns)+len(earlier))
	turns = append(append(turns, r.Turns[:n]...), earlier...)
	r.Turns = append(turns, r.Turns[n:]...)
}

// WithoutForeign are the turns without what only other vendors than that of an
// API know: their sealed thoughts, and their seals on calls.
func WithoutForeign(turns []Turn, own API) []Turn {
	out := make([]Turn, 0, len(turns))
	for _, t := range turns {
		parts := make([]Part, 0, len(t.Parts))
		for _, p := range t.Parts {
			switch {
			case p.Kind == Thinking && p.Thought.From != own:
				continue
			case p.Kind == Call && p.Call.Signature != "" && p.Call.From != own:
				call := *p.Call
				call.Signature, call.From = "", ""
				p.Call = &call
			}
			parts = append(parts, p)
		}
		if len(parts) > 0 || len(t.Parts) == 0 {
			t.Parts = parts
			out = append(out, t)
		}
	}
	return out
}

// A ListedItem is an item of a kept input, as GET …/input_items shows it.
type ListedItem struct {
	ID   string
	JSON jsontext.Value
}

// ListItems makes of a kept input's items what the API shows of them, in their
// order: each with an id, and with all that its type must have. stem is what
// the ids are made of where an item has none.
func ListItems(input jsontext.Value, stem string) ([]ListedItem, error) {
	var out []ListedItem
	err := eachElement(input, func(i int, raw jsontext.Value) error {
		kind, id := itemKind(raw), rawID(raw)
		if kind == "" {
			kind = "message"
		}
		if id == "" {
			id = listedPrefix(kind) + stem + "_in" + strconv.Itoa(i)
		}
		out = append(out, ListedItem{id, listedItem(raw, kind, id)})
		return nil
	})
	return out, err
}

func listedPrefix(kind string) string {
	switch kind {
	case "message":
		return "msg_"
	case "function_call", "function_call_output":
		return "fc_"
	case "custom_tool_call", "custom_tool_call_output":
		return "ctc_"
	case "reasoning":
		return "rs_"
	}
	return "item_"
}

func listedItem(raw jsontext.Value, kind, id string) jsontext.Value {
	var m struct {
		Role string `json:"role"`
	}
	_ = decode(raw, &m) // "" where there is none
	w := jsonw{b: make([]byte, 0, len(raw)+64)}
	w.obj()
	w.strKey("id", id)
	w.strKey("type", kind)
	status := kind != "message" && !strings.HasPrefix(kind, "function_") && !strings.HasPrefix(kind, "custom_")
	for _, one := range members(raw) {
		switch {
		case one.Name == "id", one.Name == "type", !given(one.Value):
			continue
		case one.Name == "status":
			status = true
		case one.Name == "content" && kind == "message":
			w.key("content")
			w.listedContent(one.Value, m.Role)
			continue
		}
		w.member(one)
	}
	if !status {
		w.strKey("status", "completed")
	}
	w.endObj()
	return w.b
}

// listedContent writes a message's content as a list of whole parts.
func (w *jsonw) listedContent(content jsontext.Value, role string) {
	kind := "input_text"
	if role == "assistant" {
		kind = "output_text"
	}
	w.arr()
	if text, ok := textOf(content); ok {
		if kind == "output_text" {
			w.outputText(text, nil, nil)
		} else {
			w.obj()
			w.strKey("type", kind)
			w.strKey("text", text)
			w.endObj()
		}
		w.endArr()
		return
	}
	if content.Kind() == '[' {
		_ = eachElement(content, func(_ int, part jsontext.Value) error { // valid: it was read before it was kept
			w.listedPart(part)
			return nil
		})
	}
	w.endArr()
}

// listedPart writes a part with the members that its type must have.
func (w *jsonw) listedPart(part jsontext.Value) {
	var must []Member
	switch itemKind(part) {
	case "input_image":
		must = []Member{{"detail", jsontext.Value(`"auto"`)}}
	case "output_text":
		must = []Member{{"annotations", jsontext.Value("[]")}, {"logprobs", jsontext.Value("[]")}}
	default:
		w.raw(part)
		return
	}
	w.obj()
	for _, m := range members(part) {
		if given(m.Value) {
			w.member(m)
			must = slices.DeleteFunc(must, func(o Member) bool { return o.Name == m.Name })
		}
	}
	w.members(must)
	w.endObj()
}

// referenceMark stands in every reference to an item.
const referenceMark = "item_reference"

// keptMark stands in the ids of the items of kept replies.
const keptMark = "_weir_"

// Marks are what a request's body may hold that Weir has written itself.
type Marks uint8

const (
	MarkSeal      Marks = 1 << iota // another vendor's seal
	MarkKept                        // an id of a kept reply's item
	MarkReference                   // a reference to an item
)

// MaxMark is more than the longest of the marks, in bytes: pieces of a body
// that overlap by it hide none.
const MaxMark = 64

// MarksIn looks for marks in a body, or in a piece of one.
func MarksIn(body []byte) (m Marks) {
	if HoldsSeals(body) {
		m |= MarkSeal
	}
	if bytes.Contains(body, []byte(keptMark)) {
		m |= MarkKept
	}
	if bytes.Contains(body, []byte(referenceMark)) {
		m |= MarkReference
	}
	return m
}

// References are the ids of the items that the turns refer to.
func References(turns []Turn) (ids []string) {
	for i := range turns {
		for j := range turns[i].Parts {
			if id, ok := turns[i].Parts[j].reference(); ok {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// reference is the id of the item that the part stands for.
func (p *Part) reference() (id string, ok bool) {
	if p.Kind != Opaque || p.From != Responses || itemKind(p.Raw) != referenceMark {
		return "", false
	}
	return rawID(p.Raw), true
}

// ResolveItems puts items in the place of references to them in a list, as far
// as find knows them.
func ResolveItems(list jsontext.Value, find func(id string) jsontext.Value) (jsontext.Value, error) {
	w := jsonw{b: make([]byte, 0, len(list))}
	w.arr()
	err := eachElement(list, func(_ int, item jsontext.Value) error {
		if itemKind(item) == referenceMark {
			if found := find(rawID(item)); found != nil {
				item = found
			}
		}
		w.raw(item)
		return nil
	})
	w.endArr()
	return w.b, err
}

// Resolve puts items in the place of the references to them. One that is not
// among the items stays.
func Resolve(turns []Turn, items map[string]jsontext.Value) ([]Turn, error) {
	out := make([]Turn, 0, len(turns))
	for _, t := range turns {
		parts := make([]Part, 0, len(t.Parts))
		for _, p := range t.Parts {
			id, ok := p.reference()
			item := items[id]
			if !ok || item == nil {
				parts = append(parts, p)
				continue
			}
			list := append(append([]byte{'['}, item...), ']')
			read, err := ReadItems(list)
			if err != nil {
				return nil, err
			}
			for i := range read {
				parts = append(parts, read[i].Parts...)
			}
		}
		t.Parts = parts
		out = append(out, t)
	}
	return out, nil
}

// ItemOf finds an item by its id in a response's output; nil: it is not there.
func ItemOf(output jsontext.Value, id string) (found jsontext.Value) {
	_ = eachElement(output, func(_ int, item jsontext.Value) error { // valid: we have written it
		if found == nil && rawID(item) == id {
			found = item.Clone()
		}
		return nil
	})
	return found
}
