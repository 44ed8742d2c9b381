package proxy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"weir/internal/mockllm"
	"weir/proxy/wire"
)

// Codex's tools that are no functions, at vendors that have functions only: a
// call, its result and the answer, in a stream and whole.
func TestCarriedToolsThatAreNoFunctions(t *testing.T) {
	g, mock := carryRig(t)
	for _, c := range []struct{ tool, kind, output string }{
		{`{"type":"custom","name":"apply_patch","description":"Patches.","format":{"type":"grammar","syntax":"lark","definition":"start: X"}}`, "custom_tool_call", "custom_tool_call_output"},
		{`{"type":"local_shell"}`, "local_shell_call", "function_call_output"}, // as Codex answers it
	} {
		for _, model := range []string{"claude-haiku-4-5", "gemini-2.5-flash"} {
			for _, stream := range []bool{false, true} {
				loopTool(t, g, mock, c.tool, c.kind, c.output, model, stream)
			}
		}
	}
}

func loopTool(t *testing.T, g *rig, mock *mockllm.Server, tool, kind, output, model string, stream bool) {
	t.Helper()
	const ask = `{"role":"user","content":"go on"}`
	head := fmt.Sprintf(`{"model":%q,"stream":%v,"tools":[%s],"input":[%s`, model, stream, tool, ask)
	resp, body := g.post("/v1/responses", head+"]}")
	at := fmt.Sprintf("%s, %s, stream %v: %d %s", kind, model, stream, resp.StatusCode, body)
	if stream {
		if _, err := mockllm.ReadStream(wire.Responses, []byte(body)); err != nil {
			t.Fatalf("%v in %s", err, at)
		}
		_, body, _ = strings.Cut(body, "event: response.completed\ndata: ")
		var last struct{ Response json.RawMessage }
		if err := json.NewDecoder(strings.NewReader(body)).Decode(&last); err != nil {
			t.Fatalf("%v in %s", err, at)
		}
		body = string(last.Response)
	}
	var r struct{ Output []json.RawMessage }
	if err := json.Unmarshal([]byte(body), &r); err != nil || resp.StatusCode != 200 || len(r.Output) == 0 {
		t.Fatalf("%v in %s", err, at)
	}
	item := r.Output[len(r.Output)-1]
	var call struct {
		Type, Input string
		CallID      string `json:"call_id"`
	}
	if err := json.Unmarshal(item, &call); err != nil || call.Type != kind || call.CallID == "" || strings.HasPrefix(call.Input, "{") || (kind == "custom_tool_call") != (call.Input != "") {
		t.Fatalf("%s in %s", item, at)
	}
	resp, body = g.post("/v1/responses", head+fmt.Sprintf(`,%s,{"type":%q,"call_id":%q,"output":"done"}]}`, item, output, call.CallID))
	if resp.StatusCode != 200 || !strings.Contains(body, "output_text") {
		seen := mock.Requests()
		t.Errorf("the answer to the result: %d %s\nupstream got %s", resp.StatusCode, body, seen[len(seen)-1].Body)
	}
}
