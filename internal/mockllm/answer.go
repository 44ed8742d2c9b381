package mockllm

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// An ask is what a request wants of a model, whatever its dialect.
type ask struct {
	last     string // the text of the last turn of the user
	result   string // of the tools, where their results end the conversation
	answered bool   // they do
	tools    []tool
	choice   string // auto, none, any, or named
	named    string
	single   bool // one call at a time
	schema   *node
	jsonMode bool
	think    bool
	limit    int // tokens of output; 0 = none
	stops    []string
	prompt   int // tokens
}

type tool struct {
	name   string
	schema *node
	custom bool // takes free text
}

// An answer is what the model says, in pieces that are a token each.
type answer struct {
	thinking []string
	text     []string
	calls    []toolCall
	refusal  []string // in place of all else
	stop     stop
	sequence string // the stop sequence that was met
	in       int
	out      int // thinking included
	thought  int
}

type toolCall struct {
	tool
	args []string // pieces
}

type stop int

const (
	stopEnd stop = iota
	stopLength
	stopTool
	stopSequence
	stopRefusal
)

func (a *answer) said() string { return strings.Join(a.text, "") }

func (a *answer) thoughts() string { return strings.Join(a.thinking, "") }

func (t *toolCall) arguments() string { return strings.Join(t.args, "") }

// echoWords is how many words of a prompt are echoed.
const echoWords = 200

// respond is the model: deterministic, and in its way helpful. n is which of
// several choices this is.
func (c *call) respond(a *ask, n int) *answer {
	r := &answer{in: a.prompt}
	if c.b.InputTokens > 0 {
		r.in = c.b.InputTokens
	}
	if a.think {
		r.thinking = words("The user says: "+first(a.last, 20)+". An echo will do.", 0)
	}
	switch {
	case c.b.Refuse:
		r.refusal, r.stop = words("I can't help with that.", 0), stopRefusal
	case c.b.Silent:
	case c.wantsTool(a):
		r.calls = c.toolCalls(a)
		r.stop = stopTool
	case c.b.PieceBytes > 0:
		r.text = []string{strings.Repeat("A", c.b.PieceBytes)}
	case c.b.Text != "":
		r.text = words(c.b.Text, 0)
	case c.b.Words > 0:
		r.text = words("", c.b.Words)
	case a.schema != nil:
		r.text = fragments(string(instance(a.schema)), 12)
	case a.jsonMode:
		r.text = fragments(string(obj("you_said", first(a.last, echoWords))), 12)
	case a.answered:
		r.text = words("The tool said: "+a.result, 0)
	default:
		r.text = words("You said: "+first(a.last, echoWords), 0)
	}
	if n > 0 && r.text != nil {
		r.text = append(r.text, " (choice "+strconv.Itoa(n)+")")
	}
	c.bound(a, r)
	return r
}

// bound ends the answer at a stop sequence or at the limit, and counts it.
func (c *call) bound(a *ask, r *answer) {
	for _, s := range a.stops {
		if before, _, found := strings.Cut(r.said(), s); found && s != "" {
			r.text, r.stop, r.sequence = words(before, 0), stopSequence, s
		}
	}
	left := a.limit
	spend := func(pieces []string) []string {
		if a.limit > 0 && len(pieces) > left {
			pieces, r.stop = pieces[:left], stopLength
		}
		left -= len(pieces)
		r.out += len(pieces)
		return pieces
	}
	r.thinking = spend(r.thinking)
	r.thought = len(r.thinking)
	r.text = spend(r.text)
	r.refusal = spend(r.refusal)
	for i := range r.calls {
		r.calls[i].args = spend(r.calls[i].args)
	}
	if extra := c.b.ReasoningTokens; extra > 0 {
		r.out += extra - r.thought
		r.thought = extra
	}
}

func (c *call) wantsTool(a *ask) bool {
	switch {
	case len(a.tools) == 0 || a.choice == "none" || c.b.Tools == "none":
		return false
	case a.choice == "any" || a.choice == "named":
		return true
	}
	return !a.answered
}

// toolCalls picks the tools: the named one, else every one that the user's
// text names (all of them for "all"), else the first.
func (c *call) toolCalls(a *ask) []toolCall {
	var picked []tool
	for _, t := range a.tools {
		switch {
		case a.choice == "named" && t.name == a.named,
			a.choice != "named" && (c.b.Tools == "all" || strings.Contains(a.last, t.name)):
			picked = append(picked, t)
		}
	}
	if len(picked) == 0 {
		picked = a.tools[:1]
	}
	if a.single {
		picked = picked[:1]
	}
	calls := make([]toolCall, len(picked))
	for i, t := range picked {
		args := string(instance(t.schema))
		switch {
		case t.custom:
			args = "You said: " + first(a.last, echoWords)
		case c.b.Tools == "bad":
			args = `{"unfinished": [`
		case t.schema.kind == absent:
			args = "{}"
		}
		pieces := fragments(args, 8)
		switch {
		case c.b.PieceBytes > 0:
			pieces = []string{`{"data":"`, strings.Repeat("A", c.b.PieceBytes), `"}`}
		case c.b.ToolShape == "whole":
			pieces = []string{args}
		}
		calls[i] = toolCall{t, pieces}
	}
	return calls
}

const lorem = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua"

// loremWords have their leading space.
var loremWords = func() []string {
	out := strings.Fields(lorem)
	for i := range out {
		out[i] = " " + out[i]
	}
	return out
}()

// words cuts s into words that keep their leading space, or makes n of them.
func words(s string, n int) []string {
	if n > 0 {
		out := make([]string, n)
		for i := range out {
			out[i] = loremWords[i%len(loremWords)]
		}
		out[0] = out[0][1:]
		return out
	}
	out := make([]string, 0, strings.Count(s, " ")+1)
	for len(s) > 0 {
		i := strings.IndexByte(s[1:], ' ') + 1
		if i <= 0 {
			i = len(s)
		}
		out = append(out, s[:i])
		s = s[i:]
	}
	return out
}

// fragments cuts s into pieces of about size bytes, at characters' borders.
func fragments(s string, size int) []string {
	var out []string
	for len(s) > size {
		i := size
		for i < len(s) && s[i]&0xC0 == 0x80 {
			i++
		}
		out = append(out, s[:i])
		s = s[i:]
	}
	if s != "" {
		out = append(out, s)
	}
	return out
}

// first returns the first n words of s.
func first(s string, n int) string {
	for i := range len(s) {
		if s[i] == ' ' {
			if n--; n == 0 {
				return s[:i]
			}
		}
	}
	return s
}

// tokens is the mock's count of a text's tokens: a quarter of its bytes,
// rounded up.
func tokens(s string) int { return (len(s) + 3) / 4 }

// weigh counts the tokens of all strings in a value.
func weigh(n *node) int {
	if n.kind == text {
		return tokens(n.text)
	}
	sum := 0
	for i := range n.kids {
		sum += weigh(&n.kids[i])
	}
	return sum
}

// signature is what the mock signs its thoughts with; it takes none back that
// it has not made.
func signature(s string) string {
	h := newHasher("mock signature " + s)
	return base64.StdEncoding.EncodeToString([]byte(id("mock-signature-", uint64(h), 0) + id("", uint64(h), 1)))
}

// textOf joins the text of a content: a string, or a list of parts.
func textOf(n *node) string {
	if n.kind == text {
		return n.text
	}
	var out []string
	for _, part := range n.items() {
		if t := part.get("text"); t.kind == text {
			out = append(out, t.text)
		}
		if inner := part.get("content"); inner.kind != absent {
			out = append(out, textOf(inner))
		}
	}
	return strings.Join(out, "\n")
}
