package console_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// spec reads the description.
func (d *desk) spec() (doc map[string]any, text string) {
	d.t.Helper()
	r := d.send("GET", "/api/v1/openapi.json", "", withToken)
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil || r.status != 200 {
		d.t.Fatalf("openapi.json: %d %v", r.status, err)
	}
	return doc, r.body
}

type operation struct{ id, method, path, pointer, status string }

// operations are those of a description: what makes things first, what ends
// them last.
func operations(doc map[string]any) []operation {
	var all []operation
	for path, methods := range doc["paths"].(map[string]any) {
		for method, op := range methods.(map[string]any) {
			o := op.(map[string]any)
			for status := range o["responses"].(map[string]any) {
				if status != "default" {
					pointer := "#/paths/" + strings.ReplaceAll(path, "/", "~1") + "/" + method + "/responses/" + status + "/content/application~1json/schema"
					all = append(all, operation{o["operationId"].(string), strings.ToUpper(method), path, pointer, status})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b operation) int {
		rank := func(o operation) int {
			switch o.id {
			case "createKey", "createProject":
				return 0
			case "revokeKey", "deleteKey":
				return 2
			}
			return 1
		}
		return rank(a) - rank(b)
	})
	return all
}

// Every operation of the description answers, with what its schema says; and
// no path that answers is without one.
func TestOpenAPI(t *testing.T) {
	d := open(t)
	ids := d.record(2)
	d.flush()
	doc, text := d.spec()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	root, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource("spec.json", root); err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{"createKey": `{"name":"k","tags":{"a":"b"}}`, "createProject": `{"name":"p"}`, "rotateKey": `{"grace":"1h"}`, "setLimit": `{"scope":"key"}`}
	all := operations(doc)
	if len(all) < 18 {
		t.Fatalf("%d operations", len(all))
	}
	for _, op := range all {
		path := strings.NewReplacer("{key}", "k", "{id}", ids[0], "{limit}", "a%20b%2Fc").Replace(op.path)
		headers := []string{withToken}
		body := bodies[op.id]
		if body != "" {
			headers = append(headers, "Content-Type: application/json")
		}
		r := d.send(op.method, "/api/v1"+path, body, headers...)
		if r.status < 200 || r.status > 299 || r.status != int(op.status[0]-'0')*100+int(op.status[2]-'0') {
			t.Errorf("%s: %d %s, want %s", op.id, r.status, r.body, op.status)
			continue
		}
		schema, err := compiler.Compile("spec.json" + op.pointer)
		if err != nil {
			t.Fatalf("%s: %v", op.id, err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %s\n%v", op.id, r.body, err)
		}
	}
}

// The contract's parts are in the description, or refused by name; nothing
// else is mounted.
func TestOpenAPIIsAll(t *testing.T) {
	d := open(t)
	doc, text := d.spec()
	paths := doc["paths"].(map[string]any)
	for _, part := range []string{"keys", "projects", "calls", "routes", "config"} {
		if paths["/"+part] == nil {
			t.Errorf("/%s is not described", part)
		}
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		for path, methods := range paths {
			_, described := methods.(map[string]any)[strings.ToLower(method)]
			r := d.send(method, "/api/v1"+strings.NewReplacer("{key}", "none", "{id}", "none", "{limit}", "none").Replace(path), "", withToken)
			if described == (r.status == 405) {
				t.Errorf("%s %s: %d, described: %v", method, path, r.status, described)
			}
		}
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(text, -1) {
		if doc["components"].(map[string]any)["schemas"].(map[string]any)[ref[1]] == nil {
			t.Errorf("the schema %s is missing", ref[1])
		}
	}
}
