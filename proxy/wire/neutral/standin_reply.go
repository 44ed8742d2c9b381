package neutral

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// standIns turns the calls that a model has made of stand-ins into those of
// the client's own tools: a custom tool's input as it comes, the items of
// OpenAI's shells and patches whole.
type standIns struct {
	tools []Tool
	open  map[[2]int]*openStandIn
}

// An openStandIn is a call whose arguments come.
type openStandIn struct {
	call  ToolCall
	input inputReader // of a custom tool
	args  []byte      // of any other
	fed   bool
}

// newStandIns is for a client that asked r; nil where it has no tools that
// need it.
func newStandIns(r *Request) *standIns {
	if r == nil {
		return nil
	}
	for i := range r.Tools {
		if t := &r.Tools[i]; t.Custom || t.From == Responses && t.clientTool() != nil {
			return &standIns{tools: r.Tools}
		}
	}
	return nil
}

// of is the tool that a call of a function is one of; nil: the function. Clients of
// Messages know all their tools as such.
func (s *standIns) of(c *ToolCall) *Tool {
	if s == nil || c == nil || c.Custom {
		return nil
	}
	t := standIn(s.tools, c.Name)
	if t == nil || !t.Custom && t.From != Responses {
		return nil
	}
	return t
}

// part is a reply's part for the client.
func (s *standIns) part(p *Part) *Part {
	if p.Kind != Call {
		return p
	}
	t := s.of(p.Call)
	if t == nil {
		return p
	}
	if !t.Custom {
		return clientItem(p)
	}
	var in inputReader
	call := *p.Call
	call.Custom, call.Args = true, in.feed(call.Args)+in.end()
	return &Part{Kind: Call, Call: &call}
}

// turn hands what an event is to the client to emit.
func (s *standIns) turn(ev *Event, emit func(*Event)) {
	if s == nil {
		emit(ev)
		return
	}
	at := [2]int{ev.Choice, ev.Index}
	if ev.Kind == Open && ev.Part != nil && ev.Part.Kind == Call {
		if s.opens(at, ev, emit) {
			return
		}
	}
	o := s.open[at]
	if o == nil || ev.Kind < TextDelta || ev.Kind > Close {
		emit(ev)
		return
	}
	switch {
	case ev.Kind == ArgsDelta:
		o.feed(ev, ev.Text, emit)
	case ev.Kind == SealDelta && ev.Part != nil && ev.Part.Call != nil:
		o.call.Signature, o.call.From = ev.Part.Call.Signature, ev.Part.Call.From
		if o.call.Custom {
			emit(ev)
		}
	case ev.Kind == Close:
		delete(s.open, at)
		if !o.fed && ev.Part != nil && ev.Part.Call != nil {
			o.feed(ev, ev.Part.Call.Args, emit)
		}
		o.close(ev, emit)
	}
}

// opens takes the start of a stand-in's call, and reports whether it is one.
func (s *standIns) opens(at [2]int, ev *Event, emit func(*Event)) bool {
	t := s.of(ev.Part.Call)
	if t == nil {
		return false
	}
	if s.open == nil {
		s.open = map[[2]int]*openStandIn{}
	}
	o := &openStandIn{call: *ev.Part.Call}
	o.call.Args, o.call.Custom = "", t.Custom
	s.open[at] = o
	if t.Custom {
		call := o.call
		emit(&Event{Kind: Open, Choice: ev.Choice, Index: ev.Index, Part: &Part{Kind: Call, Call: &call}})
	}
	return true
}

func (o *openStandIn) feed(ev *Event, args string, emit func(*Event)) {
	o.fed = o.fed || args != ""
	if !o.call.Custom {
		o.args = append(o.args, args...)
		return
	}
	if text := o.input.feed(args); text != "" {
		emit(&Event{Kind: ArgsDelta, Choice: ev.Choice, Index: ev.Index, Text: text})
	}
}

func (o *openStandIn) close(ev *Event, emit func(*Event)) {
	tell := func(kind EventKind, text string, p *Part) {
		emit(&Event{Kind: kind, Choice: ev.Choice, Index: ev.Index, Text: text, Part: p})
	}
	call := o.call
	if call.Custom {
		if text := o.input.end(); text != "" {
			tell(ArgsDelta, text, nil)
		}
		if ev.Part != nil && ev.Part.Call != nil && ev.Part.Call.Signature != "" {
			call.Signature, call.From = ev.Part.Call.Signature, ev.Part.Call.From
		}
		tell(Close, "", &Part{Kind: Call, Call: &call})
		return
	}
	call.Args = string(o.args)
	p := clientItem(&Part{Kind: Call, Call: &call})
	tell(Open, "", p)
	if p.Kind == Call {
		tell(ArgsDelta, call.Args, nil)
	}
	tell(Close, "", p)
}

// clientItem is a call of one of OpenAI's tools that clients run as that
// tool's item. A call whose arguments are not such as it takes stays what it
// is, so that the client can tell the model.
func clientItem(p *Part) *Part {
	c := p.Call
	w := jsonw{line: true}
	w.obj()
	switch c.Name {
	case "local_shell":
		if !w.localShell(c) {
			return p
		}
	case "shell":
		if !w.shell(c) {
			return p
		}
	case "apply_patch":
		var a struct {
			Type string `json:"type"`
			Path string `json:"path"`
			Diff string `json:"diff"`
		}
		if decode([]byte(c.Args), &a) != nil || a.Path == "" || a.Type != "delete_file" && a.Type != "create_file" && a.Type != "update_file" {
			return p
		}
		w.clientItem("apply_patch_call", "apc_", c)
		w.objKey("operation")
		w.strKey("type", a.Type)
		w.strKey("path", a.Path)
		if a.Type != "delete_file" {
			w.strKey("diff", a.Diff)
		}
		w.endObj()
	default:
		return p
	}
	w.endObj()
	return &Part{Kind: Opaque, Raw: w.b, From: Responses}
}

// clientItem writes what the items have in common.
func (w *jsonw) clientItem(kind, prefix string, c *ToolCall) {
	id := prefix + plainID(c.ID)
	w.strKey("id", id[:min(len(id), maxResponsesID)])
	w.strKey("type", kind)
	w.strKey("status", "completed")
	callID := c.ID
	if c.Signature != "" && c.From != Responses {
		callID = CallWithSeal(callID, c.From, c.Signature)
	}
	w.strKey("call_id", callID)
}

// shell writes a call of the shell; false where its arguments are none.
func (w *jsonw) shell(c *ToolCall) bool {
	var a struct {
		Commands []string       `json:"commands"`
		Timeout  jsontext.Value `json:"timeout_ms"`
		Length   jsontext.Value `json:"max_output_length"`
	}
	if decode([]byte(c.Args), &a) != nil || len(a.Commands) == 0 {
		return false
	}
	w.clientItem("shell_call", "sh_", c)
	w.objKey("action")
	w.strsKey("commands", a.Commands)
	w.numberOrNull("timeout_ms", a.Timeout)
	w.numberOrNull("max_output_length", a.Length)
	w.endObj()
	w.objKey("environment")
	w.strKey("type", "local")
	w.endObj()
	return true
}

func (w *jsonw) numberOrNull(name string, v jsontext.Value) {
	if v.Kind() != '0' {
		v = nil
	}
	w.rawKey(name, v)
}

// localShell writes a call of the local shell; false where its arguments are none.
func (w *jsonw) localShell(c *ToolCall) bool {
	var a struct {
		Command jsontext.Value `json:"command"`
		Env     jsontext.Value `json:"env"`
		Timeout jsontext.Value `json:"timeout_ms"`
		User    string         `json:"user"`
		Dir     string         `json:"working_directory"`
	}
	if decode([]byte(c.Args), &a) != nil {
		return false
	}
	var command []string
	if line, ok := textOf(a.Command); ok { // as a model may write it that knows other shells
		command = []string{"bash", "-lc", line}
	} else if decode(a.Command, &command) != nil || len(command) == 0 {
		return false
	}
	w.clientItem("local_shell_call", "lsh_", c)
	w.objKey("action")
	w.strKey("type", "exec")
	w.strsKey("command", command)
	if a.Env.Kind() != '{' {
		a.Env = jsontext.Value("{}")
	}
	w.rawKey("env", a.Env)
	if a.Timeout.Kind() == '0' {
		w.rawKey("timeout_ms", a.Timeout)
	}
	w.strIf("user", a.User)
	w.strIf("working_directory", a.Dir)
	w.endObj()
	return true
}

// An inputReader takes a custom tool's input out of the arguments of its
// stand-in, {"input":"…"}, as they come. Arguments of another form are the
// input themselves, but for {}.
type inputReader struct {
	phase inputPhase
	at    int    // of inputHead
	all   []byte // while it is not known to be of the form
	esc   []byte // an escape that is not whole
	high  rune   // the first half of a pair; 0: none
}

type inputPhase uint8

const (
	inHead inputPhase = iota
	inInput
	afterInput
	otherForm
)

// inputHead is how the arguments begin, but for white space.
const inputHead = `{"input":"`

// feed takes a piece of the arguments and returns what it tells of the input.
func (d *inputReader) feed(args string) string {
	var out []byte
	for i := 0; i < len(args) && d.phase != afterInput; i++ {
		switch d.phase {
		case inHead:
			d.head(args[i])
		case inInput:
			out = d.letter(out, args[i])
		default:
			d.all = append(d.all, args[i:]...)
			return string(out)
		}
	}
	return string(out)
}

func (d *inputReader) head(c byte) {
	d.all = append(d.all, c)
	inName := d.at > 1 && d.at < len(`{"input"`)
	switch {
	case !inName && (c == ' ' || c == '\n' || c == '\r' || c == '\t'):
	case c != inputHead[d.at]:
		d.phase = otherForm
	default:
		if d.at++; d.at == len(inputHead) {
			d.phase, d.all = inInput, nil
		}
	}
}

func (d *inputReader) letter(out []byte, c byte) []byte {
	if len(d.esc) == 0 && c != '\\' {
		out = d.flush(out)
		if c == '"' {
			d.phase = afterInput
			return out
		}
		return append(out, c)
	}
	d.esc = append(d.esc, c)
	switch {
	case len(d.esc) == 2 && c != 'u':
		out = append(d.flush(out), unescaped(c))
		d.esc = d.esc[:0]
	case len(d.esc) == len(`\u0000`):
		out = d.unit(out)
	}
	return out
}

// unescaped is what a letter behind a backslash stands for.
func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return c
}

// unit takes an escaped unit of UTF-16, of which two may make a letter.
func (d *inputReader) unit(out []byte) []byte {
	n, err := strconv.ParseUint(string(d.esc[2:]), 16, 16)
	d.esc = d.esc[:0]
	r := rune(n)
	if err != nil {
		r = utf8.RuneError
	}
	if d.high != 0 {
		if pair := utf16.DecodeRune(d.high, r); pair != utf8.RuneError {
			d.high = 0
			return utf8.AppendRune(out, pair)
		}
		out = d.flush(out)
	}
	if r >= 0xD800 && r < 0xDC00 {
		d.high = r
		return out
	}
	return utf8.AppendRune(out, r) // half a pair is U+FFFD
}

// flush ends a pair that stayed without its second half.
func (d *inputReader) flush(out []byte) []byte {
	if d.high == 0 {
		return out
	}
	d.high = 0
	return utf8.AppendRune(out, utf8.RuneError)
}

// end returns what was held back.
func (d *inputReader) end() string {
	switch d.phase {
	case inInput:
		return string(d.flush(nil))
	case afterInput:
		return ""
	}
	var o struct {
		Input rawValue       `json:"input"`
		Rest  jsontext.Value `json:",embed"`
	}
	if decode(d.all, &o) == nil {
		if text, ok := textOf(jsontext.Value(o.Input)); ok {
			return text
		}
		if len(o.Input) == 0 && len(members(o.Rest)) == 0 {
			return ""
		}
	}
	return string(d.all)
}
