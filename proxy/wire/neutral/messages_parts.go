package neutral

import (
	"encoding/base64"
	"strconv"
	"strings"
)

func (w *messagesWriter) turns(turns []Turn) {
	w.arrKey("messages")
	for i := range turns {
		t := &turns[i]
		w.obj()
		switch t.Role {
		case Assistant:
			w.strKey("role", "assistant")
		case System, Developer:
			w.strKey("role", "system")
		default:
			w.strKey("role", "user")
		}
		w.key("content")
		switch {
		case len(t.Parts) == 0:
			w.str("")
		case isPlain(t.Parts):
			w.str(t.Parts[0].Text)
		default:
			w.arr()
			for j := range t.Parts {
				w.part(&t.Parts[j])
			}
			w.endArr()
		}
		w.members(members(t.Extra))
		w.endObj()
	}
	w.endArr()
}

// part writes a content block.
func (w *messagesWriter) part(p *Part) {
	if len(p.Raw) != 0 && p.From == Messages && !(p.Kind == Call && p.Call.Signature != "") {
		w.raw(p.Raw)
		return
	}
	switch p.Kind {
	case Text, Refusal:
		w.textBlock(p)
	case Image, File:
		w.media(p)
	case Call:
		w.call(p)
	case Result:
		w.result(p.Result)
	case Thinking:
		w.thinkingBlock(p.Thought)
	}
}

func (w *messagesWriter) textBlock(p *Part) {
	w.obj()
	w.strKey("type", "text")
	w.strKey("text", p.Text)
	if len(p.Cites) > 0 {
		if p.From == Messages {
			w.arrKey("citations")
			for i := range p.Cites {
				w.raw(p.Cites[i].Raw)
			}
			w.endArr()
		} else {
			w.drop(FeatureCitations)
		}
	}
	w.cache(p.Cache)
	w.endObj()
}

func (w *messagesWriter) call(p *Part) {
	c := p.Call
	w.obj()
	w.strKey("type", "tool_use")
	id := messagesID(c.ID)
	switch {
	case w.own:
		id = c.ID
	case id == "":
		w.calls++
		id = "call_" + strconv.Itoa(w.calls)
		w.waiting = append(w.waiting, id)
	}
	w.strKey("id", id)
	w.strKey("name", c.Name)
	w.key("input")
	if !c.Custom && strings.TrimSpace(c.Args) != "" && !isObject(c.Args) {
		w.refuse(FeatureTools, "the arguments of the call %s are not a JSON object", c.ID)
	}
	w.messagesInput(c)
	w.cache(p.Cache)
	w.endObj()
}

// messagesID is a call's id in the letters that Anthropic takes. Two ids
// never become one.
func messagesID(id string) string {
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return "call-" + base64.RawURLEncoding.EncodeToString([]byte(id))
		}
	}
	return id
}

func (w *messagesWriter) result(r *ToolResult) {
	id := messagesID(r.ID)
	switch {
	case w.own:
		id = r.ID
	case id == "" && len(w.waiting) > 0:
		id, w.waiting = w.waiting[0], w.waiting[1:]
	}
	w.obj()
	w.strKey("type", "tool_result")
	w.strKey("tool_use_id", id)
	parts := r.Parts
	if !w.own {
		parts = w.kept(parts, User)
	}
	switch {
	case len(parts) == 0:
	case isPlain(parts):
		w.strKey("content", parts[0].Text)
	default:
		w.arrKey("content")
		for i := range parts {
			w.part(&parts[i])
		}
		w.endArr()
	}
	if r.Failed {
		w.boolKey("is_error", true)
	}
	w.cache(r.Cache)
	w.endObj()
}
