package mockllm

import (
	"strconv"
	"strings"
)

// blockMembers are what the kinds of content blocks may have; other kinds
// pass.
var blockMembers = map[string]*members{
	"text":              parseMembers(`type:s text:s! cache_control:o citations:a`),
	"image":             parseMembers(`type:s source:o! cache_control:o`),
	"document":          parseMembers(`type:s source:o! cache_control:o citations:o context:s title:s`),
	"thinking":          parseMembers(`type:s thinking:s! signature:s!`),
	"redacted_thinking": parseMembers(`type:s data:s!`),
	"tool_use":          parseMembers(`type:s id:s! name:s! input:o! cache_control:o caller:o`),
	"tool_result":       parseMembers(`type:s tool_use_id:s! content:sa is_error:b cache_control:o`),
}

// maxMarks is how many blocks may have cache_control.
const maxMarks = 4

// checkMessages is what the API refuses beyond unknown members.
func checkMessages(c *call) *fault {
	b := &c.body
	if n := b.get("max_tokens"); n.kind == number && n.int(0) < 1 {
		return invalid("max_tokens: Input should be greater than or equal to 1")
	}
	if t := b.get("temperature"); t.kind == number && (t.float(0) < 0 || t.float(0) > 1) {
		return invalid("temperature: range: 0..1")
	}
	if len(b.get("messages").kids) == 0 {
		return invalid("messages: at least one message is required")
	}
	if n := marks(b); n > maxMarks {
		return invalid("A maximum of %d blocks with cache_control may be provided. Found %d.", maxMarks, n)
	}
	for _, check := range []func(*call) *fault{checkThinking, checkAnthropicTools, checkBlocks, checkTurns} {
		if f := check(c); f != nil {
			return f
		}
	}
	return nil
}

func marks(n *node) int {
	sum := 0
	for i := range n.kids {
		kid := &n.kids[i]
		switch {
		case kid.key == "cache_control" && kid.kind == object:
			sum++
		case kid.key != "input" && kid.key != "input_schema":
			sum += marks(kid)
		}
	}
	return sum
}

func thinks(b *node) bool {
	t := b.in("thinking", "type").text
	return t == "enabled" || t == "adaptive"
}

func checkThinking(c *call) *fault {
	b := &c.body
	t := b.get("thinking")
	if !b.has("thinking") {
		return nil
	}
	budget := t.get("budget_tokens").int(0)
	switch kind := t.get("type").text; {
	case kind == "disabled":
		return nil
	case kind == "adaptive":
	case kind != "enabled":
		return invalid("thinking: Input tag '%s' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'", kind)
	case !t.has("budget_tokens"):
		return invalid("thinking.enabled.budget_tokens: Field required")
	case budget < 1024:
		return invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
	case b.has("max_tokens") && b.get("max_tokens").int(0) <= budget:
		return invalid("`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size")
	}
	if b.has("temperature") && b.get("temperature").float(1) != 1 {
		return invalid("`temperature` may only be set to 1 when thinking is enabled. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking#important-considerations-when-using-extended-thinking")
	}
	if choice := b.in("tool_choice", "type").text; choice == "any" || choice == "tool" {
		return invalid("Thinking may not be enabled when tool_choice forces tool use.")
	}
	return nil
}

func checkAnthropicTools(c *call) *fault {
	tools := c.body.get("tools").kids
	for i := range tools {
		t, at := &tools[i], "tools."+strconv.Itoa(i)
		if kind := t.get("type").text; kind != "" && kind != "custom" {
			continue // the vendor's own tools
		}
		switch name := t.get("name"); {
		case name.kind == absent:
			return invalid("%s.custom.name: Field required", at)
		case !toolName.MatchString(name.text):
			return invalid("%s.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", at)
		case !t.has("input_schema"):
			return invalid("%s.custom.input_schema: Field required", at)
		case t.in("input_schema", "type").text != "object":
			return invalid("%s.custom.input_schema.type: Field required", at)
		}
	}
	choice := c.body.get("tool_choice")
	switch kind := choice.get("type").text; {
	case !c.body.has("tool_choice"), kind == "none":
	case kind != "auto" && kind != "any" && kind != "tool":
		return invalid("tool_choice: Input tag '%s' found using 'type' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'", kind)
	case len(tools) == 0:
		return invalid("tool_choice may only be specified while providing tools.")
	case kind == "tool" && !hasTool(tools, choice.get("name").text):
		return invalid("Tool '%s' not found in provided tools", choice.get("name").text)
	}
	return nil
}

func hasTool(tools []node, name string) bool {
	for i := range tools {
		if tools[i].get("name").text == name {
			return true
		}
	}
	return false
}

// checkBlocks checks the members of messages and of their blocks.
func checkBlocks(c *call) *fault {
	messages := c.body.get("messages").kids
	for i := range messages {
		m, at := &messages[i], "messages."+strconv.Itoa(i)
		for _, kid := range m.kids {
			if kid.key != "role" && kid.key != "content" && !c.s.opts.Lax {
				return invalid("%s.%s: Extra inputs are not permitted", at, kid.key)
			}
		}
		switch role := m.get("role"); {
		case role.kind == absent:
			return invalid("%s.role: Field required", at)
		case role.text == "user" || role.text == "assistant":
		default:
			return invalid("messages: Unexpected role \"%s\". The Messages API accepts a top-level `system` parameter, not \"%s\" as an input message role.", role.text, role.text)
		}
		content := m.get("content")
		switch {
		case content.kind == absent:
			return invalid("%s.content: Field required", at)
		case content.kind != text && content.kind != array:
			return invalid("%s.content: Input should be a valid list", at)
		case content.kind == text && content.text == "", content.kind == array && len(content.kids) == 0:
			if i+1 < len(messages) || m.get("role").text == "user" {
				return invalid("%s: all messages must have non-empty content except for the optional final assistant message", at)
			}
		}
		if content.kind != array {
			continue
		}
		for j := range content.kids {
			if f := c.checkBlock(&content.kids[j], at+".content."+strconv.Itoa(j)); f != nil {
				return f
			}
		}
	}
	return nil
}

func (c *call) checkBlock(b *node, at string) *fault {
	kind := b.get("type").text
	if kind == "" {
		return invalid("%s.type: Field required", at)
	}
	known := blockMembers[kind]
	if known == nil {
		return nil
	}
	for _, name := range known.required {
		if !b.has(name) {
			return invalid("%s.%s.%s: Field required", at, kind, name)
		}
	}
	for i := range b.kids {
		kid := &b.kids[i]
		switch types, ok := known.types[kid.key]; {
		case !ok && !c.s.opts.Lax:
			return invalid("%s.%s.%s: Extra inputs are not permitted", at, kind, kid.key)
		case ok && kid.kind != null && !takes(types, kid):
			return invalid("%s.%s.%s: Input should be a valid %s", at, kind, kid.key, pydantic[types])
		}
	}
	switch {
	case kind == "text" && strings.TrimSpace(b.get("text").text) == "":
		return invalid("messages: text content blocks must contain non-whitespace text")
	case kind == "thinking" && b.get("signature").text != signature(b.get("thinking").text):
		return invalid("%s: Invalid `signature` in `thinking` block", at)
	}
	return nil
}

// checkTurns holds tool calls against their results. Who speaks first is free,
// and so is their order: Anthropic has let go of both late in 2024
// (github.com/anthropics/anthropic-sdk-typescript/issues/622).
func checkTurns(c *call) *fault {
	messages := c.body.get("messages").kids
	open := map[string]bool{}
	order := []string{}
	for i := range messages {
		m := &messages[i]
		blocks := m.get("content").items()
		at := "messages." + strconv.Itoa(i)
		for j := range blocks {
			if blocks[j].get("type").text != "tool_result" {
				continue
			}
			callID := blocks[j].get("tool_use_id").text
			if !open[callID] || m.get("role").text != "user" {
				return invalid("%s.content.%d: unexpected `tool_use_id` found in `tool_result` blocks: %s. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", at, j, callID)
			}
			delete(open, callID)
		}
		for _, callID := range order {
			if open[callID] {
				return invalid("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", i-1, callID)
			}
		}
		order = order[:0]
		for j := range blocks {
			if blocks[j].get("type").text == "tool_use" {
				callID := blocks[j].get("id").text
				open[callID] = true
				order = append(order, callID)
			}
		}
	}
	last := &messages[len(messages)-1]
	if len(order) > 0 {
		return invalid("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", len(messages)-1, order[0])
	}
	if said := textOf(last.get("content")); last.get("role").text == "assistant" && strings.TrimRight(said, " \t\r\n") != said {
		return invalid("messages: final assistant content cannot end with trailing whitespace")
	}
	return nil
}
