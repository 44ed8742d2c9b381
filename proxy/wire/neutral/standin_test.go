package neutral

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"weir/internal/mockllm"
)

// TestStandInInput: a custom tool's input comes out of its stand-in's
// arguments byte for byte, wherever they are cut.
func TestStandInInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "input")
		args := customArgs(want)
		switch rapid.IntRange(0, 2).Draw(t, "spelling") {
		case 1: // with white space
			args = " {\n\"input\" : " + args[len(`{"input":`):len(args)-1] + "\n}"
		case 2: // in ASCII
			var b strings.Builder
			for _, u := range want {
				if u < 0x10000 {
					fmt.Fprintf(&b, `\u%04x`, u)
				} else {
					fmt.Fprintf(&b, `\u%04X\u%04x`, 0xD800+(u-0x10000)>>10, 0xDC00+(u-0x10000)&0x3FF)
				}
			}
			args = `{"input":"` + b.String() + `"}`
		}
		var d inputReader
		got := ""
		for rest := args; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			got += d.feed(rest[:n])
			rest = rest[n:]
		}
		if got += d.end(); got != want {
			t.Fatalf("%q: got %q, want %q", args, got, want)
		}
	})
}

// Arguments of other forms: what can be told of them.
func TestStandInInputOtherwise(t *testing.T) {
	check := func(args, want string) {
		t.Helper()
		for _, step := range []int{1, 2, len(args) + 1} {
			var d inputReader
			got := ""
			for i := 0; i < len(args); i += step {
				got += d.feed(args[i:min(i+step, len(args))])
			}
			if got += d.end(); got != want {
				t.Errorf("%s by %d: %q, want %q", args, step, got, want)
			}
		}
	}
	check("", "")
	check("{}", "")
	check(`{"patch":"x"}`, `{"patch":"x"}`)
	check(`{"note":1,"input":"x\n"}`, "x\n")
	check(`{"input":5}`, `{"input":5}`)
	check(`*** Begin Patch`, `*** Begin Patch`)
	check(`{"input":"cut o`, "cut o")
	check(`{"input":"\ud83d`, "\uFFFD")
	check(`{"input":"\ud83dx"}`, "\uFFFDx")
	check(`{"input":"a\/\b\f\t\r\"\\"}`, "a/\b\f\t\r\"\\")
	check(`{"input":"a","other":"b"}`, "a")
	check(`{"in put":"a"}`, `{"in put":"a"}`)
}

// FuzzStandInInput: a stream's input is the whole's, and nothing panics.
func FuzzStandInInput(f *testing.F) {
	f.Add(`{"input":"a\u00e9\n"}`, 3)
	f.Add(`{"input":"\ud83d\ude00"}`, 12)
	f.Add(`{"x":1}`, 2)
	f.Fuzz(func(t *testing.T, args string, cut int) {
		var whole, parts inputReader
		want := whole.feed(args) + whole.end()
		at := 0
		if cut > 0 {
			at = cut % (len(args) + 1)
		}
		got := parts.feed(args[:at])
		got += parts.feed(args[at:])
		if got += parts.end(); got != want {
			t.Errorf("%q cut at %d: %q, want %q", args, at, got, want)
		}
	})
}

const (
	chatPatch      = `"tools":[{"type":"custom","custom":{"name":"patch","description":"Patches.","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: WITNESS"}}}}],"tool_choice":{"type":"custom","custom":{"name":"patch"}}`
	responsesPatch = `"tools":[{"type":"custom","name":"patch","description":"Patches.","format":{"type":"grammar","syntax":"lark","definition":"start: WITNESS"}}],"tool_choice":{"type":"custom","name":"patch"}`
	patchText      = "*** Begin Patch\n+ \"é\" \\ \t<&>\n*** End Patch\n"
)

// customTalk is a conversation in which a custom tool was called and has answered.
func customTalk(t *testing.T, client API) *Request {
	t.Helper()
	quoted := string(appendQuoted(nil, patchText))
	p := map[API]probe{
		Chat:      {talk: user + `{"role":"assistant","tool_calls":[{"id":"c1","type":"custom","custom":{"name":"patch","input":` + quoted + `}}]},{"role":"tool","tool_call_id":"c1","content":"done"}`, more: chatPatch},
		Responses: {talk: user + `{"type":"custom_tool_call","call_id":"c1","name":"patch","input":` + quoted + `},{"type":"custom_tool_call_output","call_id":"c1","output":"done"}`, more: responsesPatch},
	}[client]
	r, err := byAPI(client).DecodeRequest(p.body(client), "m", false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStandInRequests: a custom tool is a function where there are functions
// only: its grammar is told, the choice is of it, and so are earlier calls.
func TestStandInRequests(t *testing.T) {
	for _, client := range []API{Chat, Responses} {
		for _, target := range apis {
			if target == client || target == Responses {
				continue
			}
			r := customTalk(t, client)
			r.Model = map[API]string{Chat: "qwen3", Messages: "claude-sonnet-4-5", Generate: "gemini-3-flash"}[target]
			n := &Notes{}
			out, err := byAPI(target).EncodeRequest(r, n)
			if err != nil || len(n.Dropped) > 0 {
				t.Fatalf("%s → %s: %v, dropped %v", client, target, err, n.Dropped)
			}
			back, err := byAPI(target).DecodeRequest(out, "m", false)
			if err != nil {
				t.Fatal(err)
			}
			at := fmt.Sprintf("%s → %s: %s", client, target, out)
			if f := back.Tools[0]; f.Custom || f.Name != "patch" || string(f.Schema) != customSchema || !strings.Contains(f.Description, "Patches.") || !strings.Contains(f.Description, "lark grammar:\nstart: WITNESS") {
				t.Errorf("tool %+v in %s", f, at)
			}
			if back.Choice.Mode != Only || !slices.Equal(back.Choice.Names, []string{"patch"}) {
				t.Errorf("choice %+v in %s", back.Choice, at)
			}
			call := back.Turns[len(back.Turns)-2].Parts[0].Call
			result := back.Turns[len(back.Turns)-1].Parts[0].Result
			var in inputReader
			if call == nil || call.Custom || in.feed(call.Args)+in.end() != patchText || result == nil || result.Custom || result.ID != call.ID {
				t.Errorf("call %+v, result %+v in %s", call, result, at)
			}
		}
	}
}

// Targets that have custom tools are told them as such.
func TestStandInNotNeeded(t *testing.T) {
	check := func(client, target API, model, want string) {
		t.Helper()
		r := customTalk(t, client)
		r.Model = model
		out, err := byAPI(target).EncodeRequest(r, &Notes{})
		if err != nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "no code fence") {
			t.Errorf("%s → %s: %v: %s", client, target, err, out)
		}
	}
	check(Chat, Responses, "gpt-5", `"type":"custom","name":"patch"`)
	check(Responses, Chat, "gpt-5", `"type":"custom","custom":{"name":"patch"`)
}

// TestStandInReplies: a call of the function is one of the custom tool again,
// its input byte for byte, in a stream as in a whole reply.
func TestStandInReplies(t *testing.T) {
	for _, client := range []API{Chat, Responses} {
		asked := customTalk(t, client)
		for _, upstream := range []API{Chat, Messages, Generate} {
			if upstream == client {
				continue
			}
			t.Run(string(client)+"-"+string(upstream), func(t *testing.T) {
				rapid.Check(t, func(rt *rapid.T) {
					text := rapid.SampledFrom([]string{patchText, "", "x", "\U0001F600"}).Draw(rt, "input")
					reply := &Reply{ID: "abc", Model: "m", Choices: []Candidate{{Stop: StopTools, Parts: []Part{
						{Text: "I patch"},
						{Kind: Call, Call: &ToolCall{ID: "call_1", Name: "patch", Args: customArgs(text)}},
						{Kind: Call, Call: &ToolCall{ID: "call_2", Name: "other", Args: `{"input":"kept"}`}},
					}}}}
					holdStandIns(rt, asked, byAPI(upstream), reply, func(got *Reply) {
						parts := got.Choices[0].Parts
						if len(parts) != 3 || got.Choices[0].Stop != StopTools {
							rt.Fatalf("%+v", got)
						}
						c, other := parts[1].Call, parts[2].Call
						if !c.Custom || c.Name != "patch" || c.Args != text || c.ID != "call_1" || other.Custom || other.Args != `{"input":"kept"}` {
							rt.Fatalf("%+v and %+v, want %q", c, other, text)
						}
					})
				})
			})
		}
	}
}

// holdStandIns carries a reply whole and streamed, and has both checked as the
// client reads them.
func holdStandIns(t *rapid.T, asked *Request, upstream *Codec, reply *Reply, check func(got *Reply)) {
	client := byAPI(asked.From)
	asked.Stream, asked.IncludeUsage = true, true
	theirs := &Request{Model: "m", From: upstream.API, Stream: true, IncludeUsage: true}
	served, err := upstream.DecodeReply(upstream.EncodeReply(reply, theirs))
	if err != nil {
		t.Fatal(err)
	}
	whole := client.EncodeReply(served, asked)
	got, err := client.DecodeReply(whole)
	if err != nil {
		t.Fatalf("%v: %s", err, whole)
	}
	check(got)
	var first []byte
	e := upstream.NewEncoder(theirs)
	tellAll(func(n int) int { return rapid.IntRange(1, n).Draw(t, "cut") }, reply, func(ev *Event) { first = e.Append(first, ev) })
	second := through(t, upstream, client, asked, first)
	if _, err := mockllm.ReadStream(streams[client.API], second); err != nil {
		t.Fatalf("grammar: %v\n%s", err, second)
	}
	check(rebuildStream(t, client, second))
}

// TestStandInCodexShells: Codex's shells and its patches, to a model of another
// vendor and back: the tool, earlier calls, and the reply.
func TestStandInCodexShells(t *testing.T) {
	body := probe{
		talk: user + `{"type":"local_shell_call","id":"lsh_1","call_id":"c1","status":"completed","action":{"type":"exec","command":["ls"],"env":{}}},` +
			`{"type":"local_shell_call_output","id":"lsh_1","output":"a.txt"},` +
			`{"type":"shell_call","call_id":"c2","action":{"commands":["pwd"],"timeout_ms":5}},` +
			`{"type":"shell_call_output","call_id":"c2","output":[{"stdout":"/x","stderr":"","outcome":{"type":"exit","exit_code":0}}]},` +
			`{"type":"apply_patch_call","call_id":"c3","status":"completed","operation":{"type":"delete_file","path":"a"}},` +
			`{"type":"apply_patch_call_output","call_id":"c3","status":"failed","output":"no a"}`,
		more: `"tools":[{"type":"local_shell"},{"type":"shell"},{"type":"apply_patch"}],"tool_choice":{"type":"apply_patch"}`,
	}.body(Responses)
	want := []string{
		"user: hi",
		`model calls c1 local_shell {"command":["ls"],"env":{}}`, "user answers c1: a.txt",
		`model calls c2 shell {"commands":["pwd"],"timeout_ms":5}`, `user answers c2: [{"stdout":"/x","stderr":"","outcome":{"type":"exit","exit_code":0}}]`,
		`model calls c3 apply_patch {"type":"delete_file","path":"a"}`, "user answers c3: no a",
	}
	for _, target := range []API{Chat, Messages, Generate} {
		r := mustDecodeResponses(t, body)
		r.Model = models[target]
		n := &Notes{}
		out, err := byAPI(target).EncodeRequest(r, n)
		if target == Chat && slices.Equal(n.Dropped, []string{FeatureToolFailed}) {
			n.Dropped = nil // tool messages have no mark for it
		}
		if err != nil || len(n.Dropped) > 0 {
			t.Fatalf("%s: %v, dropped %v: %s", target, err, n.Dropped, out)
		}
		back, err := byAPI(target).DecodeRequest(out, "m", false)
		if err != nil {
			t.Fatal(err)
		}
		back.Tools, r.Tools = nil, back.Tools
		if got := said(back); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", target, got, want)
		}
		if len(r.Tools) != 3 || back.Choice.Mode != Only || !slices.Equal(back.Choice.Names, []string{"apply_patch"}) {
			t.Errorf("%s: tools %+v, choice %+v", target, r.Tools, back.Choice)
		}
	}
}

// TestStandInCodexItems: calls of the stand-ins are OpenAI's items again.
func TestStandInCodexItems(t *testing.T) {
	asked := mustDecodeResponses(t, probe{more: `"tools":[{"type":"local_shell"},{"type":"shell","environment":{"type":"local"}},{"type":"apply_patch"}]`}.body(Responses))
	for _, upstream := range []API{Chat, Messages, Generate} {
		check := func(name, args, want string) {
			t.Helper()
			rapid.Check(t, func(rt *rapid.T) {
				reply := &Reply{ID: "abc", Model: "m", Choices: []Candidate{{Stop: StopTools, Parts: []Part{{Kind: Call, Call: &ToolCall{ID: "call_1", Name: name, Args: args}}}}}}
				holdStandIns(rt, asked, byAPI(upstream), reply, func(got *Reply) {
					if p := got.Choices[0].Parts; len(p) != 1 || p[0].Kind != Opaque || string(p[0].Raw) != want {
						rt.Fatalf("%s: got %+v %s\nwant %s", upstream, p, p[0].Raw, want)
					}
				})
			})
		}
		check("local_shell", `{"command":["bash","-lc","ls"],"working_directory":"/w","timeout_ms":900}`,
			`{"id":"lsh_call_1","type":"local_shell_call","status":"completed","call_id":"call_1","action":{"type":"exec","command":["bash","-lc","ls"],"env":{},"timeout_ms":900,"working_directory":"/w"}}`)
		check("local_shell", `{"command":"ls -l"}`,
			`{"id":"lsh_call_1","type":"local_shell_call","status":"completed","call_id":"call_1","action":{"type":"exec","command":["bash","-lc","ls -l"],"env":{}}}`)
		check("shell", `{"commands":["ls"],"timeout_ms":5}`,
			`{"id":"sh_call_1","type":"shell_call","status":"completed","call_id":"call_1","action":{"commands":["ls"],"timeout_ms":5,"max_output_length":null},"environment":{"type":"local"}}`)
		check("apply_patch", `{"type":"update_file","path":"a","diff":"@@\n-x\n+y\n"}`,
			`{"id":"apc_call_1","type":"apply_patch_call","status":"completed","call_id":"call_1","operation":{"type":"update_file","path":"a","diff":"@@\n-x\n+y\n"}}`)
	}
}

// A call that is not such as the tool takes stays a function's, so that the
// client can say so.
func TestStandInCodexWrongCall(t *testing.T) {
	for _, c := range []ToolCall{{Name: "local_shell", Args: `{"command":[]}`}, {Name: "shell", Args: `{"x":1}`}, {Name: "apply_patch", Args: `{"type":"move","path":"a"}`}} {
		if p := clientItem(&Part{Kind: Call, Call: &c}); p.Kind != Call {
			t.Errorf("%s %s is %s", c.Name, c.Args, p.Raw)
		}
	}
}

// TestStandInSeal: another vendor's seal on the call of a shell travels in the
// item, and goes back to the vendor.
func TestStandInSeal(t *testing.T) {
	p := clientItem(&Part{Kind: Call, Call: &ToolCall{ID: "c1", Name: "local_shell", Args: `{"command":["ls"]}`, Signature: "U2VhbA==", From: Generate}})
	r := mustDecodeResponses(t, probe{talk: user + string(p.Raw), more: `"tools":[{"type":"local_shell"}]`}.body(Responses))
	r.Model = "gemini-3-flash"
	out, err := encodeGenerate(r, &Notes{})
	if err != nil || !strings.Contains(string(out), `"thoughtSignature":"U2VhbA=="`) || !strings.Contains(string(out), `"id":"c1"`) {
		t.Errorf("%v: %s", err, out)
	}
}

// A shell of OpenAI's own containers, and tools that the client cannot run,
// are refused.
func TestStandInRefused(t *testing.T) {
	check := func(client API, tool string) {
		t.Helper()
		r, err := byAPI(client).DecodeRequest(probe{more: `"tools":[` + tool + `]`}.body(client), "m", false)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range apis {
			if target == client {
				continue
			}
			r.Model = models[target]
			if out, err := byAPI(target).EncodeRequest(r, &Notes{}); err == nil {
				t.Errorf("%s → %s: %s", client, target, out)
			}
		}
	}
	check(Responses, `{"type":"shell","environment":{"type":"container_auto"}}`)
	check(Responses, `{"type":"mcp","server_label":"x"}`)
	check(Responses, `{"type":"local_shell"},{"type":"function","name":"local_shell"}`)
	check(Messages, `{"type":"code_execution_20250825","name":"code_execution"}`)
	check(Messages, `{"type":"computer_20250124","name":"computer"}`)
}

// TestStandInClaudeCode: the tools of Anthropic's that Claude Code runs are
// functions with their documented arguments at other vendors' models, and
// calls of them are tool_use blocks of their names.
func TestStandInClaudeCode(t *testing.T) {
	body := probe{more: `"tools":[{"type":"bash_20250124","name":"bash","cache_control":{"type":"ephemeral"}},{"type":"text_editor_20250728","name":"str_replace_based_edit_tool"},{"type":"text_editor_20250124","name":"str_replace_editor"},{"type":"memory_20250818","name":"memory"}],"tool_choice":{"type":"tool","name":"bash"}`}.body(Messages)
	for _, target := range []API{Chat, Responses, Generate} {
		r, err := decodeMessagesRequest(body, "", false)
		if err != nil {
			t.Fatal(err)
		}
		r.Model = models[target]
		n := &Notes{}
		out, err := byAPI(target).EncodeRequest(r, n)
		if err != nil || !slices.Equal(n.Dropped, []string{memberName(Messages, FeatureCacheMarks)}) {
			t.Fatalf("%s: %v, dropped %v", target, err, n.Dropped)
		}
		back, err := byAPI(target).DecodeRequest(out, "m", false)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range back.Tools {
			names = append(names, f.Name)
			if !jsontext.Value(f.Schema).IsValid() || !strings.Contains(string(f.Schema), `"command"`) || f.Description == "" {
				t.Errorf("%s: %+v", target, f)
			}
		}
		if !slices.Equal(names, []string{"bash", "str_replace_based_edit_tool", "str_replace_editor", "memory"}) || back.Choice.Mode != Only {
			t.Errorf("%s: %q, %+v", target, names, back.Choice)
		}
		if undo := "undo_edit"; strings.Contains(string(back.Tools[1].Schema), undo) || !strings.Contains(string(back.Tools[2].Schema), undo) {
			t.Errorf("%s: only the older editor undoes", target)
		}
		reply := &Reply{ID: "a", Choices: []Candidate{{Stop: StopTools, Parts: []Part{{Kind: Call, Call: &ToolCall{ID: "toolu_1", Name: "bash", Args: `{"command":"ls"}`}}}}}}
		whole := encodeMessagesReply(reply, r)
		if !strings.Contains(string(whole), `{"type":"tool_use","id":"toolu_1","name":"bash","input":{"command":"ls"}}`) {
			t.Errorf("%s: %s", target, whole)
		}
	}
}
