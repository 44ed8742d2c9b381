package mockllm

import (
	"errors"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Objects are JSON objects that a rule dictates, each as it is to be sent. In
// a file of rules they are an object or a list of them, as YAML or as JSON in
// a string; JSON is sent byte for byte, YAML with its members in their order
// and its numbers as they are written.
type Objects []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (o *Objects) UnmarshalYAML(n *yaml.Node) error {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	*o = nil
	for _, n := range list {
		text, err := jsonOf(n)
		if err != nil {
			return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %s", n.Line, err)}}
		}
		*o = append(*o, text)
	}
	if len(*o) == 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: an empty list: want an object or several", n.Line)}}
	}
	return nil
}

// jsonOf is the JSON text of an object.
func jsonOf(n *yaml.Node) (string, error) {
	text := n.Value
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		b, err := appendYAML(nil, n, 0)
		if err != nil {
			return "", err
		}
		text = string(b)
	}
	return text, checkObject(text)
}

// checkObject reports what is wrong with a text that is to be a JSON object.
func checkObject(text string) error {
	v, err := parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("%.60q is no JSON: %w", text, err)
	case v.kind != object:
		return fmt.Errorf("%.60q is no object", text)
	}
	return nil
}

// maxObject bounds an object that is written in YAML, whose aliases can make
// much of little.
const maxObject = 1 << 20

// appendYAML writes a YAML value as JSON.
func appendYAML(b raw, n *yaml.Node, depth int) (raw, error) {
	if depth > 100 {
		return nil, errors.New("it nests over 100 deep")
	}
	if len(b) > maxObject {
		return nil, fmt.Errorf("it is over %d bytes with its aliases", maxObject)
	}
	var err error
	switch n.Kind {
	case yaml.AliasNode:
		return appendYAML(b, n.Alias, depth+1)
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, kid := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendYAML(b, kid, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case yaml.MappingNode:
		b = append(b, '{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, n.Content[i].Value), ':')
			if b, err = appendYAML(b, n.Content[i+1], depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	switch n.Tag {
	case "!!null":
		return append(b, "null"...), nil
	case "!!bool":
		var v bool
		err := n.Decode(&v)
		return strconv.AppendBool(b, v), err
	case "!!int", "!!float":
		if v, err := parse(n.Value); err != nil || v.kind != number {
			return nil, fmt.Errorf("%s is no number of JSON's", n.Value)
		}
		return append(b, n.Value...), nil
	}
	return appendString(b, n.Value), nil
}

// replayed is the usage object that a rule dictates, of the nth place of a
// reply that tells one; -1 is its last. nil: none is dictated.
func (c *call) replayed(n int) raw {
	list := c.b.UsageJSON
	switch {
	case len(list) == 0:
		return nil
	case n < 0 || n >= len(list):
		n = len(list) - 1
	}
	return raw(list[n])
}

// usageOr is the usage at a reply's end: the dictated one, else the counted one.
func (c *call) usageOr(counted func() raw) raw {
	if r := c.replayed(-1); r != nil {
		return r
	}
	return counted()
}

// begunUsage is the dictated usage as a message_start tells it: the first of
// a list, or the object with an output of 1, which is what stands there before
// there is any.
func (c *call) begunUsage() raw {
	if len(c.b.UsageJSON) != 1 {
		return c.replayed(0)
	}
	whole, err := parse(c.b.UsageJSON[0])
	if err != nil { // it was set by a program: what is no JSON is sent as it is
		return raw(c.b.UsageJSON[0])
	}
	var kv []any
	for i := range whole.kids {
		switch kid := &whole.kids[i]; kid.key {
		case "output_tokens":
			kv = append(kv, kid.key, 1)
		case "output_tokens_details", "server_tool_use", "iterations":
		default:
			kv = append(kv, kid.key, raw(kid.raw))
		}
	}
	return obj(kv...)
}

// beside adds the members that a rule dictates to a reply, or to a stream's
// event that tells the usage. One that the reply has is replaced.
func (c *call) beside(reply raw) raw {
	if len(c.b.BesideUsage) == 0 {
		return reply
	}
	more, err := parse(c.b.BesideUsage[0])
	if err != nil || len(more.kids) == 0 {
		return reply
	}
	whole, err := parse(string(reply))
	if err != nil || whole.kind != object {
		return reply
	}
	var kv []any
	for i := range whole.kids {
		if kid := &whole.kids[i]; !more.has(kid.key) {
			kv = append(kv, kid.key, raw(kid.raw))
		}
	}
	for i := range more.kids {
		kv = append(kv, more.kids[i].key, raw(more.kids[i].raw))
	}
	return obj(kv...)
}
