package neutral

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A stand-in is a function that is offered to a model in the place of a tool
// of another kind which the client runs itself, and which the model's API has
// no word for: OpenAI's custom tools, whose input is free text, its shells and
// its apply_patch, and Anthropic's bash, text editor and memory. The calls that
// the model makes of it come back to the client as calls of its own tool.

// A clientTool is a tool that a vendor's API knows by its type and that its
// clients run.
type clientTool struct {
	from        API
	kind        string // its type, or what that begins with
	description string
	schema      string
}

// clientTools are those of OpenAI's Responses and Anthropic's Messages, with
// the arguments that the vendors document.
var clientTools = []clientTool{
	{
		Responses, "local_shell", "Runs one command on the user's machine and returns its output.",
		`{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},"description":"The program and its arguments, such as [\"bash\",\"-lc\",\"ls\"]."},"working_directory":{"type":"string"},"timeout_ms":{"type":"integer"},"env":{"type":"object","additionalProperties":{"type":"string"}},"user":{"type":"string"}},"required":["command"]}`,
	},
	{
		Responses, "shell", "Runs shell commands on the user's machine and returns what each has printed, and its exit code.",
		`{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"},"description":"Commands to run."},"timeout_ms":{"type":"integer"},"max_output_length":{"type":"integer","description":"How many characters of output to return."}},"required":["commands"]}`,
	},
	{
		Responses, "apply_patch", "Creates, updates or deletes one file of the user's. The diff is in the V4A format: lines that begin with @@, a space, + or -; of a new file each line begins with +.",
		`{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},"path":{"type":"string"},"diff":{"type":"string","description":"Of create_file and update_file."}},"required":["type","path"]}`,
	},
	{
		Messages, "bash_", "Runs a command in a bash session on the user's machine, which lasts from call to call, and returns what it has printed.",
		`{"type":"object","properties":{"command":{"type":"string","description":"The command to run; not with restart."},"restart":{"type":"boolean","description":"Begins the session anew."}}}`,
	},
	{
		Messages, "text_editor_202507", "Views, creates and edits files of the user's. " + editorWords,
		`{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string"},` + editorMembers + `},"required":["command","path"]}`,
	},
	{
		Messages, "text_editor_202504", "Views, creates and edits files of the user's. " + editorWordsOld,
		`{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string"},` + editorMembersOld + `},"required":["command","path"]}`,
	},
	{
		Messages, "text_editor_", "Views, creates and edits files of the user's; undo_edit takes a file's last edit back. " + editorWordsOld,
		`{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","undo_edit"]},"path":{"type":"string"},` + editorMembersOld + `},"required":["command","path"]}`,
	},
	{
		Messages, "memory_", "Keeps files below /memories from one conversation to the next; look there first. delete takes a path, rename an old_path and a new_path. " + editorWords,
		`{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string"},` + editorMembers + `,"old_path":{"type":"string"},"new_path":{"type":"string"}},"required":["command"]}`,
	},
}

// What the editors' commands take.
const (
	editorWords    = "view takes a view_range of first and last line, -1 for the end; create takes file_text; str_replace puts new_str in the place of old_str, which must be there once; insert puts insert_text after line insert_line, 0 for the start."
	editorWordsOld = "view takes a view_range of first and last line, -1 for the end; create takes file_text; str_replace puts new_str in the place of old_str, which must be there once; insert puts new_str after line insert_line, 0 for the start."

	editorMembersOld = `"view_range":{"type":"array","items":{"type":"integer"}},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"}`
	editorMembers    = editorMembersOld + `,"insert_text":{"type":"string"}`
)

// clientTool is what a tool of a vendor's own is, where its client runs it;
// nil: the vendor runs it, or it is no such tool.
func (t *Tool) clientTool() *clientTool {
	if t.Raw == nil {
		return nil
	}
	kind := itemKind(t.Raw)
	for i := range clientTools {
		c := &clientTools[i]
		if c.from != t.From || kind != c.kind && !(c.from == Messages && strings.HasPrefix(kind, c.kind)) {
			continue
		}
		if kind == "shell" && hosted(t.Raw) {
			return nil
		}
		return c
	}
	return nil
}

// hosted reports whether a shell is one in a container of OpenAI's.
func hosted(raw jsontext.Value) bool {
	var t struct {
		Environment struct {
			Type string `json:"type"`
		} `json:"environment"`
	}
	return decode(raw, &t) != nil || strings.HasPrefix(t.Environment.Type, "container")
}

// standIn finds the tool that a function of a name stands in for; nil: none.
// A function of that name that the client offers itself comes first.
func standIn(tools []Tool, name string) (found *Tool) {
	for i := range tools {
		switch t := &tools[i]; {
		case t.Name != name:
		case t.Raw == nil && !t.Custom:
			return nil
		case found == nil && (t.Custom || t.clientTool() != nil):
			found = t
		}
	}
	return found
}

// forTarget returns r with stand-ins for what a target of another dialect does
// not have. free says that it has custom tools. What needs none is r itself.
func (r *Request) forTarget(n *Notes, target API, free bool) *Request {
	if r.From != target {
		r.noteWrong(n) // before all else: what the client has to change comes first
	}
	if r.From != target && r.Legacy && r.Parallel == nil { // function_call has room for one
		told := *r
		told.Parallel = new(bool)
		r = &told
	}
	if r.From != target {
		r = r.wellSpoken().searching().knowingUser()
	}
	if r.From == target || !slices.ContainsFunc(r.Tools, func(t Tool) bool { return t.needsStandIn(free) }) && !r.calledOthers(free) {
		return r
	}
	told := *r
	told.Tools = make([]Tool, len(r.Tools))
	for i := range r.Tools {
		told.Tools[i] = r.Tools[i]
		if t := &r.Tools[i]; t.needsStandIn(free) && standIn(r.Tools, t.Name) == t {
			told.Tools[i] = t.function()
		}
	}
	told.Choice = r.Choice.among(told.Tools)
	told.Turns = make([]Turn, len(r.Turns))
	c := calledItems{free: free}
	for i := range r.Turns {
		told.Turns[i] = r.Turns[i]
		told.Turns[i].Parts = c.parts(r.Turns[i].Parts)
	}
	return &told
}

// knowingUser returns r with a chat client's safety_identifier as the end
// user's id, where it gives no other.
func (r *Request) knowingUser() *Request {
	at := slices.IndexFunc(r.Rest, func(m Member) bool { return m.Name == "safety_identifier" })
	if r.From != Chat || r.User != "" || at < 0 {
		return r
	}
	told := *r
	told.User, _ = textOf(r.Rest[at].Value)
	told.Rest = slices.Delete(slices.Clone(r.Rest), at, at+1)
	return &told
}

func (t *Tool) needsStandIn(free bool) bool { return t.Custom && !free || t.clientTool() != nil }

// calledOthers reports whether earlier turns hold calls that need it.
func (r *Request) calledOthers(free bool) bool {
	for i := range r.Turns {
		for j := range r.Turns[i].Parts {
			switch p := &r.Turns[i].Parts[j]; {
			case p.Kind == Call && p.Call.Custom && !free, p.Kind == Opaque && p.From == Responses && isClientItem(p.Raw):
				return true
			}
		}
	}
	return false
}

// isClientItem reports whether an item is a call of a tool that the client
// runs, or what that has said.
func isClientItem(raw jsontext.Value) bool {
	switch itemKind(raw) {
	case "local_shell_call", "shell_call", "apply_patch_call", "local_shell_call_output", "shell_call_output", "apply_patch_call_output":
		return true
	}
	return false
}

// function is the tool's stand-in.
func (t *Tool) function() Tool {
	f := Tool{Name: t.Name, Description: t.Description, Cache: t.Cache, From: t.From}
	if c := t.clientTool(); c != nil {
		f.Description, f.Schema = c.description, jsontext.Value(c.schema)
		return f
	}
	f.Description = strings.TrimSpace(t.Description + "\n\nThe argument input is the tool's whole input, as it is: no quotes and no code fence belong around it." + grammarWords(t.Grammar))
	f.Schema = jsontext.Value(customSchema)
	return f
}

// customSchema is what the stand-in of a custom tool takes.
const customSchema = `{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}`

// grammarWords tell a custom tool's grammar, in the form of either API.
func grammarWords(format jsontext.Value) string {
	type grammar struct {
		Syntax     string `json:"syntax"`
		Definition string `json:"definition"`
	}
	var f struct {
		grammar
		Nested grammar `json:"grammar"`
	}
	if !given(format) || decode(format, &f) != nil {
		return ""
	}
	g := f.grammar
	if g.Definition == "" {
		g = f.Nested
	}
	if g.Definition == "" {
		return ""
	}
	return " It must match this " + g.Syntax + " grammar:\n" + g.Definition
}

// among is the choice where it is, in OpenAI's words, of a tool that now is a function.
func (c *Choice) among(tools []Tool) Choice {
	if c.Raw == nil || c.From != Responses {
		return *c
	}
	type named struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}
	var o struct {
		named
		Mode  string  `json:"mode"`
		Tools []named `json:"tools"`
	}
	if decode(c.Raw, &o) != nil {
		return *c
	}
	list, out := o.Tools, Choice{Mode: SayAuto}
	if o.Type != "allowed_tools" {
		list = []named{o.named}
	}
	if o.Type != "allowed_tools" || o.Mode == "required" {
		out.Mode = Only
	}
	for _, n := range list {
		if n.Name == "" {
			n.Name = n.Type
		}
		if !slices.ContainsFunc(tools, func(t Tool) bool { return t.Raw == nil && t.Name == n.Name }) {
			return *c
		}
		out.Names = append(out.Names, n.Name)
	}
	return out
}

// calledItems turns the calls of earlier turns into those of stand-ins.
type calledItems struct {
	free bool
	ids  map[string]string // of calls, by the ids of their items
}

func (c *calledItems) parts(parts []Part) []Part {
	out := make([]Part, len(parts))
	for i := range parts {
		p := parts[i]
		switch {
		case p.Kind == Call && p.Call.Custom && !c.free:
			call := *p.Call
			call.Custom, call.Args = false, customArgs(call.Args)
			p.Call, p.Raw, p.From = &call, nil, ""
		case p.Kind == Result && p.Result.Custom && !c.free:
			result := *p.Result
			result.Custom = false
			p.Result, p.Raw, p.From = &result, nil, ""
		case p.Kind == Opaque && p.From == Responses && isClientItem(p.Raw):
			p = c.item(p)
		}
		out[i] = p
	}
	return out
}

// customArgs are the arguments of a stand-in with a custom tool's input.
func customArgs(input string) string {
	var w jsonw
	w.freeText(input)
	return string(w.b)
}

// freeText writes a custom tool's input, as its one argument.
func (w *jsonw) freeText(s string) {
	w.obj()
	w.strKey("input", s)
	w.endObj()
}

// item reads a call of one of OpenAI's tools that clients run, or its output.
func (c *calledItems) item(p Part) Part {
	var o struct {
		Type      string         `json:"type"`
		ID        string         `json:"id"`
		CallID    string         `json:"call_id"`
		Action    jsontext.Value `json:"action"`
		Operation jsontext.Value `json:"operation"`
		Output    jsontext.Value `json:"output"`
		Status    string         `json:"status"`
	}
	if decode(p.Raw, &o) != nil {
		return p
	}
	if o.CallID == "" { // the output of a local shell names the item
		o.CallID = o.ID
		if id, ok := c.ids[o.ID]; ok {
			o.CallID = id
		}
	}
	id, from, seal := SplitCall(Responses, o.CallID)
	name, isOutput := strings.CutSuffix(o.Type, "_call_output")
	if isOutput {
		text, ok := textOf(o.Output)
		if !ok && given(o.Output) {
			text = string(o.Output)
		}
		result := &ToolResult{ID: id, Name: name, Failed: o.Status == "failed"}
		if text != "" {
			result.Parts = []Part{{Kind: Text, Text: text}}
		}
		return Part{Kind: Result, Result: result}
	}
	if c.ids == nil {
		c.ids = map[string]string{}
	}
	c.ids[o.ID] = o.CallID
	call := &ToolCall{ID: id, From: from, Signature: seal, Name: strings.TrimSuffix(o.Type, "_call"), Args: string(o.Action)}
	switch o.Type {
	case "apply_patch_call":
		call.Args = string(o.Operation)
	case "local_shell_call", "shell_call":
		var w jsonw
		w.obj()
		for _, m := range members(o.Action) {
			if m.Name != "type" && given(m.Value) {
				w.member(m)
			}
		}
		w.endObj()
		call.Args = string(w.b)
	}
	return Part{Kind: Call, Call: call}
}

// What the declarations say of stand-ins.
const (
	customNote = "as a function with the one member input, whose calls are free text again in the reply"
	clientNote = "shells, apply_patch, bash, text editor and memory as functions with the arguments that the vendor documents, whose calls are the tool's own again in the reply; others are refused"
)
