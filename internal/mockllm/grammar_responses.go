package mockllm

import (
	"errors"
	"fmt"
	"strings"
)

// responsesGrammar is as strict as the strictest client: every event is
// numbered, every item is added and done, every text is what its deltas said,
// and the last event holds it all.
type responsesGrammar struct {
	Told
	id     string
	next   int // the least sequence_number
	items  []*openItem
	output []string // the items that are done, as written
	over   string   // the event that ended the response
}

type openItem struct {
	id, kind string
	done     bool
	parts    map[string]string // what the deltas of a part have said, by its place
	closed   map[string]int    // how many of a part's done events have come
}

func (g *responsesGrammar) told() *Told { return &g.Told }
func (g *responsesGrammar) mark() error { return errMark }

func (g *responsesGrammar) end() error {
	if g.over == "" && g.Failure == "" {
		return errors.New("no response.completed, .incomplete or .failed")
	}
	return nil
}

func (g *responsesGrammar) event(name string, n *node) error {
	kind := n.get("type").text
	switch {
	case name != kind:
		return fmt.Errorf("the event line says %q, the type is %q", name, kind)
	case g.over != "":
		return errors.New("an event follows the end")
	case !n.get("sequence_number").isInt() || n.get("sequence_number").int(-1) < g.next:
		return fmt.Errorf("sequence_number is not %d", g.next)
	}
	g.next = n.get("sequence_number").int(0) + 1
	if kind == "error" {
		g.Failure = n.raw
		return nil
	}
	if g.id == "" && kind != "response.created" {
		return errors.New("response.created is not the first")
	}
	switch kind {
	case "response.created", "response.queued", "response.in_progress":
		return g.response(n.get("response"))
	case "response.completed", "response.incomplete", "response.failed":
		return g.ends(kind, n.get("response"))
	case "response.output_item.added", "response.output_item.done":
		return g.item(kind, n)
	}
	return g.within(kind, n)
}

func (g *responsesGrammar) response(r *node) error {
	if r.get("object").text != "response" || r.get("id").text == "" || r.get("model").text == "" || r.get("output").kind != array {
		return errors.New("the response lacks object, id, model or output")
	}
	if g.id != "" && g.id != r.get("id").text {
		return errors.New("the response's id changes")
	}
	g.id = r.get("id").text
	return nil
}

func (g *responsesGrammar) ends(kind string, r *node) error {
	if err := g.response(r); err != nil {
		return err
	}
	g.over = kind
	g.Stop = r.get("status").text
	if "response."+g.Stop != kind {
		return fmt.Errorf("the status is %q", g.Stop)
	}
	if u := r.get("usage"); u.kind == object {
		g.Usage = u.raw
	}
	if kind == "response.failed" {
		g.Failure = r.get("error").raw
		return nil
	}
	output := r.get("output").kids
	if len(output) != len(g.output) || len(g.items) != len(g.output) {
		return fmt.Errorf("%d items in the end, %d done, %d added", len(output), len(g.output), len(g.items))
	}
	for i := range output {
		if output[i].raw != g.output[i] {
			return fmt.Errorf("item %d is not what its output_item.done said", i)
		}
	}
	return nil
}

func (g *responsesGrammar) item(kind string, n *node) error {
	at, item := n.get("output_index").int(-1), n.get("item")
	id := item.get("id").text
	if kind == "response.output_item.added" {
		if at != len(g.items) || id == "" {
			return errors.New("an item is added out of order, or without id")
		}
		g.items = append(g.items, &openItem{id: id, kind: item.get("type").text, parts: map[string]string{}, closed: map[string]int{}})
		return nil
	}
	if at < 0 || at >= len(g.items) || g.items[at].done || g.items[at].id != id {
		return errors.New("an item is done that is not open")
	}
	for place := range g.items[at].parts {
		want := 2 // the text's and the part's
		if place == "/" {
			want = 1 // the arguments'
		}
		if g.items[at].closed[place] != want {
			return errors.New("an item is done before its parts are")
		}
	}
	g.items[at].done = true
	g.output = append(g.output, item.raw)
	switch item.get("type").text {
	case "message":
		g.Text += textOf(item.get("content"))
	case "reasoning":
		g.Reasoning += textOf(item.get("summary"))
	case "function_call", "custom_tool_call":
		args := item.either("arguments", "input").text
		if said, ok := g.items[at].parts["/"]; ok && said != args {
			return errors.New("the arguments are not what the deltas said")
		}
		g.Calls = append(g.Calls, ToldCall{ID: item.get("call_id").text, Name: item.get("name").text, Arguments: args})
	}
	return nil
}

// within reads the events of an open item: parts and deltas.
func (g *responsesGrammar) within(kind string, n *node) error {
	at := n.get("output_index")
	if !at.isInt() {
		return nil // an event of another sort
	}
	i := at.int(-1)
	if i < 0 || i >= len(g.items) || g.items[i].done || g.items[i].id != n.get("item_id").text {
		return errors.New("it belongs to no open item")
	}
	item := g.items[i]
	place := n.get("content_index").raw + "/" + n.get("summary_index").raw
	said, begun := item.parts[place]
	switch {
	case strings.HasSuffix(kind, "_part.added"):
		if begun {
			return errors.New("a part is added twice")
		}
		item.parts[place] = ""
	case strings.HasSuffix(kind, "_part.done"):
		if part := n.get("part"); part.get("text").text+part.get("refusal").text != said {
			return errors.New("the part is not what its deltas said")
		}
		item.closed[place]++
	case strings.HasSuffix(kind, ".delta"):
		if !begun && place != "/" {
			return errors.New("a delta of a part that was not added")
		}
		item.parts[place] = said + n.get("delta").text
	case strings.HasSuffix(kind, ".done"):
		if n.either("text", "arguments", "input", "refusal").text != said {
			return errors.New("the text is not what its deltas said")
		}
		item.parts[place] = said
		item.closed[place]++
	}
	return nil
}
