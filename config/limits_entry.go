package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// ParseLimit reads an entry of limits that does not stand in a file: a JSON
// object with the same keys, in which variables are not expanded. An error
// that comes from what the entry says is Problems.
func ParseLimit(entry []byte) (*Limit, error) {
	var members map[string]any
	d := json.NewDecoder(bytes.NewReader(entry))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		return nil, Problems{{What: "want one JSON object of a limit's keys", Hint: `{"scope": "customer", "usd_per_month": "$25"}`}}
	}
	node, err := nodeOf(members)
	if err != nil {
		return nil, Problems{{What: err.Error()}}
	}
	l := &Limit{}
	in := &decoder{lines: map[any]int{}}
	limitShape.read(in, node, l)
	if len(in.problems) == 0 {
		l.validate(in, "")
	}
	if len(in.problems) > 0 {
		return nil, in.problems
	}
	return l, nil
}

// nodeOf is a JSON value as the parser of files has it.
func nodeOf(v any) (*yaml.Node, error) {
	scalar := func(tag, text string) (*yaml.Node, error) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}, nil
	}
	switch v := v.(type) {
	case nil:
		return scalar("!!null", "null")
	case bool:
		return scalar("!!bool", fmt.Sprint(v))
	case json.Number:
		return scalar("!!float", v.String())
	case string:
		return scalar("!!str", v)
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			one, err := nodeOf(item)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, one)
		}
		return n, nil
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			one, err := nodeOf(v[name])
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, one)
		}
		return n, nil
	}
	return nil, fmt.Errorf("%T is no value of a limit", v)
}

// MarshalJSON writes the keys that were written, so that ParseLimit reads them.
func (l *Limit) MarshalJSON() ([]byte, error) { return json.Marshal(limitShape.show(*l)) }

// A Ceiling is one of the ceilings of an entry.
type Ceiling struct {
	Limit          // with this one amount
	Measure string // requests_per_minute, concurrent, usd_per_month …
}

// Ceilings are an entry's ceilings, one by one.
func (l *Limit) Ceilings() (out []Ceiling) {
	bare := *l
	bare.Rates, bare.Slots, bare.USD, bare.Burst = [len(rates)]int64{}, 0, [len(periods)]int64{}, 0
	bare.Zone, bare.Unpriced, bare.Exposure, bare.Strict = nil, 0, 0, false
	add := func(change func(c *Ceiling)) {
		c := Ceiling{Limit: bare}
		change(&c)
		c.Measure = c.measures()[0]
		out = append(out, c)
	}
	for i, n := range l.Rates {
		if n > 0 {
			add(func(c *Ceiling) {
				c.Rates[i], c.Burst, c.Strict = n, l.Burst, l.Strict && rates[i].Dimension != "requests"
			})
		}
	}
	if l.Slots > 0 {
		add(func(c *Ceiling) { c.Slots = l.Slots })
	}
	for i, n := range l.USD {
		if n > 0 {
			add(func(c *Ceiling) {
				c.USD[i], c.Zone, c.Unpriced, c.Exposure, c.Strict = n, l.Zone, l.Unpriced, l.Exposure, l.Strict
				if c.Soft == nil {
					c.Soft = []int{50, 80, 100}
				}
			})
		}
	}
	return out
}

// A LimitKey is a key of an entry of limits.
type LimitKey struct{ Name, Doc string }

// LimitKeys are the keys of an entry of limits.
func LimitKeys() (out []LimitKey) {
	for _, p := range limitProperties() {
		out = append(out, LimitKey{p.name, p.doc})
	}
	return out
}
