package costs

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// unmarshal reads a part of the vendored file's form. Its errors are in the
// words of who has written it.
func unmarshal(text []byte, into any) error {
	err := json.Unmarshal(text, into)
	if s, ok := errors.AsType[*json.SemanticError](err); ok && s.GoType != nil && s.JSONKind != 0 {
		return fmt.Errorf("want %s, got %s%s", wantWord(s.GoType), kindWords[s.JSONKind], whereIn(s.JSONPointer))
	}
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("no JSON%s, byte %d: %w", whereIn(s.JSONPointer), s.ByteOffset, s.Err)
	}
	return err
}

func whereIn(p jsontext.Pointer) string {
	if p == "" {
		return ""
	}
	return " at " + clip(string(p))
}

var kindWords = map[jsontext.Kind]string{'n': "null", 'f': "false", 't': "true", '"': "a text", '0': "a number", '{': "an object", '[': "a list"}

func wantWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return "an object"
	case reflect.Bool:
		return "true or false"
	}
	return "a whole number"
}
