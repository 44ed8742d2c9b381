package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"weir/costs"
	"weir/ledger"
)

// describe writes the OpenAPI document of the routes. Schemas come from the
// Go types, so that they say what is sent.
func describe(routes []route) []byte {
	s := schemas{}
	paths := map[string]map[string]any{}
	for _, r := range routes {
		if paths[r.path] == nil {
			paths[r.path] = map[string]any{}
		}
		paths[r.path][strings.ToLower(r.method)] = s.operation(r)
	}
	doc := map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "Weir admin API", "version": "1",
			"description": "Times are UTC. Durations are integers of nanoseconds. Lists come newest first; next, where there is one, is the before of the next page.",
		},
		"servers":  []any{map[string]any{"url": base}},
		"security": []any{map[string]any{"token": []any{}}, map[string]any{"cookie": []any{}}},
		"paths":    paths,
		"components": map[string]any{
			"schemas": s,
			"securitySchemes": map[string]any{
				"token":  map[string]any{"type": "http", "scheme": "bearer"},
				"cookie": map[string]any{"type": "apiKey", "in": "cookie", "name": cookieName},
			},
		},
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil { // it is made of maps and texts
		panic(fmt.Sprintf("console: the description cannot be written: %v", err))
	}
	return append(out, '\n')
}

// schemas are those that have a name.
type schemas map[string]any

func (s schemas) operation(r route) map[string]any {
	op := map[string]any{
		"operationId": r.id, "summary": r.summary,
		"responses": map[string]any{
			strconv.Itoa(r.status): map[string]any{"description": http.StatusText(r.status), "content": s.content(r.reply)},
			"default":              map[string]any{"description": "An error", "content": s.content(errorBody{})},
		},
	}
	var params []any
	for _, p := range r.params {
		one := map[string]any{"name": p.name, "in": p.in, "required": p.in == "path", "schema": map[string]any{"type": "string"}}
		if p.about != "" {
			one["description"] = p.about
		}
		if p.name == "tag" {
			one["schema"] = map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
		}
		params = append(params, one)
	}
	if params != nil {
		op["parameters"] = params
	}
	if r.body != nil {
		op["requestBody"] = map[string]any{"content": s.content(r.body)}
	}
	return op
}

func (s schemas) content(v any) map[string]any {
	return map[string]any{"application/json": map[string]any{"schema": s.of(reflect.TypeOf(v))}}
}

// names are the schemas' names where the Go type's own will not do.
var names = map[string]string{
	"ledgerKey": "Key", "madeKey": "KeyWithSecret", "newKey": "NewKey", "rotation": "Rotation", "newProject": "NewProject", "newLimit": "NewLimit",
	"shownCall": "CallWithBodies", "errorBody": "Error", "Told": "Alert", "Delivery": "AlertDelivery", "bodies": "Bodies", "Record": "CostRow",
}

func text(format string) map[string]any {
	t := map[string]any{"type": "string"}
	if format != "" {
		t["format"] = format
	}
	return t
}

// of is the schema of a type, by reference where it has a name.
func (s schemas) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return text("date-time")
	case reflect.TypeFor[ledger.RawJSON](), reflect.TypeFor[map[string]any]():
		return map[string]any{}
	case reflect.TypeFor[costs.Usage]():
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "integer"}}
	case reflect.TypeFor[costs.Money](), reflect.TypeFor[ledger.Amount](), reflect.TypeFor[costs.Meter]():
		return text("")
	case reflect.TypeFor[ledger.Bodies]():
		return s.of(reflect.TypeFor[bodies]())
	}
	switch t.Kind() {
	case reflect.Pointer:
		if t == reflect.TypeFor[*costs.Money]() { // what is not known
			return map[string]any{"type": []string{"string", "null"}}
		}
		return s.of(t.Elem())
	case reflect.String:
		return text("")
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return text("byte")
		}
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.object(t)
	}
	panic(fmt.Sprintf("console: no schema for %s", t))
}

func (s schemas) object(t reflect.Type) map[string]any {
	name := t.Name()
	if own, ok := names[name]; ok {
		name = own
	}
	if name == "" || strings.Contains(name, "[") { // a Page of something
		return s.fields(t)
	}
	if _, there := s[name]; !there {
		s[name] = nil // holds the place, should the type refer to itself
		s[name] = s.fields(t)
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

func (s schemas) fields(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	s.collect(t, properties, &required)
	out := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func (s schemas) collect(t reflect.Type, properties map[string]any, required *[]string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			s.collect(f.Type, properties, required)
		case name == "-" || !f.IsExported():
		default:
			properties[name] = s.of(f.Type)
			if options == "" {
				*required = append(*required, name)
			}
		}
	}
}

// bodies is how ledger.Bodies writes itself.
type bodies struct {
	CallID         string    `json:"call_id"`
	At             time.Time `json:"at"`
	Request        string    `json:"request,omitzero"`
	Response       string    `json:"response,omitzero"`
	RequestBase64  []byte    `json:"request_base64,omitzero"`
	ResponseBase64 []byte    `json:"response_base64,omitzero"`
	Truncated      bool      `json:"truncated,omitzero"`
}
