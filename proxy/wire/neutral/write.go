package neutral

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// A jsonw appends JSON to b. It sets commas by itself, from the last byte that
// stands there; members come out in the order of the calls, so that the same
// input always makes the same bytes. The zero jsonw is ready, and so is one
// whose b ends in white space, as after "data: ".
type jsonw struct {
	b []byte
	// line writes raw values on one line, as server-sent events need it.
	line bool
}

// comma parts a value or a member from what stands before it.
func (w *jsonw) comma() {
	if len(w.b) == 0 {
		return
	}
	switch w.b[len(w.b)-1] {
	case '{', '[', ':', ' ', '\n':
	default:
		w.b = append(w.b, ',')
	}
}

func (w *jsonw) obj()    { w.comma(); w.b = append(w.b, '{') }
func (w *jsonw) endObj() { w.b = append(w.b, '}') }
func (w *jsonw) arr()    { w.comma(); w.b = append(w.b, '[') }
func (w *jsonw) endArr() { w.b = append(w.b, ']') }

// key begins a member of our own names, which need no escapes.
func (w *jsonw) key(name string) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *jsonw) objKey(name string) { w.key(name); w.b = append(w.b, '{') }
func (w *jsonw) arrKey(name string) { w.key(name); w.b = append(w.b, '[') }

// Values: elements of an array, or the value after key.
func (w *jsonw) str(s string)  { w.comma(); w.b = appendQuoted(w.b, s) }
func (w *jsonw) int(n int64)   { w.comma(); w.b = strconv.AppendInt(w.b, n, 10) }
func (w *jsonw) null()         { w.comma(); w.b = append(w.b, "null"...) }
func (w *jsonw) empty()        { w.comma(); w.b = append(w.b, "{}"...) }
func (w *jsonw) lit(s string)  { w.comma(); w.b = append(w.b, s...) }
func (w *jsonw) text(s string) { w.obj(); w.strKey("type", "text"); w.strKey("text", s); w.endObj() }

// raw writes a JSON value as it was written; one that is not there is null.
func (w *jsonw) raw(v []byte) {
	v = bytes.TrimSpace(v)
	if len(v) == 0 {
		w.null()
		return
	}
	w.comma()
	at := len(w.b)
	w.b = append(w.b, v...)
	if !w.line {
		return
	}
	for i, c := range w.b[at:] { // line ends in JSON are white space: strings have none
		if c == '\n' || c == '\r' {
			w.b[at+i] = ' '
		}
	}
}

// dataURL writes base64 data as an address, without a copy of it in between.
func (w *jsonw) dataURL(mime, data string) {
	w.comma()
	w.b = append(w.b, `"data:`...)
	w.b = appendInner(w.b, mime)
	w.b = append(w.b, ";base64,"...)
	w.b = append(appendInner(w.b, data), '"')
}

// Members that are always written.
func (w *jsonw) strKey(name, s string)        { w.key(name); w.b = appendQuoted(w.b, s) }
func (w *jsonw) intKey(name string, n int64)  { w.key(name); w.b = strconv.AppendInt(w.b, n, 10) }
func (w *jsonw) boolKey(name string, v bool)  { w.key(name); w.b = strconv.AppendBool(w.b, v) }
func (w *jsonw) rawKey(name string, v []byte) { w.key(name); w.raw(v) }
func (w *jsonw) nullKey(name string)          { w.key(name); w.b = append(w.b, "null"...) }

// strNull writes a string, or null for an empty one.
func (w *jsonw) strNull(name, s string) {
	w.key(name)
	if s == "" {
		w.null()
		return
	}
	w.str(s)
}

// strsKey writes a list of strings, empty or not.
func (w *jsonw) strsKey(name string, list []string) {
	w.arrKey(name)
	for _, s := range list {
		w.str(s)
	}
	w.endArr()
}

// Members that are left out where they are empty.
func (w *jsonw) strIf(name, s string) {
	if s != "" {
		w.strKey(name, s)
	}
}

func (w *jsonw) intIf(name string, n *int64) {
	if n != nil {
		w.intKey(name, *n)
	}
}

func (w *jsonw) boolIf(name string, v *bool) {
	if v != nil {
		w.boolKey(name, *v)
	}
}

func (w *jsonw) rawIf(name string, v []byte) {
	if len(v) != 0 {
		w.rawKey(name, v)
	}
}

func (w *jsonw) strsIf(name string, list []string) {
	if len(list) != 0 {
		w.strsKey(name, list)
	}
}

// member writes a member whose name is not ours.
func (w *jsonw) member(m Member) {
	w.comma()
	w.b = append(appendQuoted(w.b, m.Name), ':')
	w.raw(m.Value)
}

func (w *jsonw) members(list []Member) {
	for _, m := range list {
		w.member(m)
	}
}

// stringsObj writes an object of strings, sorted by name. An empty one is left out.
func (w *jsonw) stringsObj(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	w.objKey(name)
	for _, k := range sortedKeys(m) {
		w.comma()
		w.b = append(appendQuoted(w.b, k), ':')
		w.str(m[k])
	}
	w.endObj()
}

// plainASCII says which bytes stand in a JSON string as they are.
var plainASCII = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendQuoted appends s as a JSON string with the fewest escapes. The line
// ends of Unicode are among them, for clients that part lines by them. What is
// not UTF-8 becomes U+FFFD.
func appendQuoted[S string | []byte](dst []byte, s S) []byte {
	return append(appendInner(append(dst, '"'), s), '"')
}

// appendInner appends s as the inside of a JSON string.
func appendInner[S string | []byte](dst []byte, s S) []byte {
	start := 0
	for i := 0; i < len(s); {
		if plainASCII[s[i]] {
			i++
			continue
		}
		if s[i] < utf8.RuneSelf {
			dst = appendEscape(append(dst, s[start:i]...), s[i])
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		if (r == utf8.RuneError && size == 1) || r == 0x85 || r == 0x2028 || r == 0x2029 {
			dst = appendUnicode(append(dst, s[start:i]...), r)
			start = i + size
		}
		i += size
	}
	return append(dst, s[start:]...)
}

const hexDigits = "0123456789abcdef"

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

func appendUnicode(dst []byte, r rune) []byte {
	if r == utf8.RuneError {
		return utf8.AppendRune(dst, r)
	}
	return append(dst, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// lenient reads JSON as vendors do: of members with the same name the last
// one counts, and what is not UTF-8 becomes U+FFFD.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// decode reads data into a struct with json tags. Unknown members are ignored,
// or kept where it has a field `Rest jsontext.Value` with the tag ",embed"
// (see members). Its error is a *wire.SyntaxError, or a *CannotCarry that names
// the member whose value has the wrong type.
func decode(data []byte, into any) error {
	err := json.Unmarshal(data, into, lenient)
	if err == nil {
		return nil
	}
	return decodeError(err)
}

// decodeAt is decode for a value within a body; at is its path there, such as
// messages[2].content.
func decodeAt(data []byte, into any, at string) error {
	err := decode(data, into)
	if c, ok := errors.AsType[*CannotCarry](err); ok {
		return &CannotCarry{Member: joinPath(at, c.Member), Msg: c.Msg}
	}
	return err
}

func decodeError(err error) error {
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &wire.SyntaxError{Offset: s.ByteOffset, Msg: "invalid JSON"}
	}
	s, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return &wire.SyntaxError{Msg: "invalid JSON"} // an empty body
	}
	if inner, ok := errors.AsType[*json.SemanticError](s.Err); ok && len(inner.JSONPointer) > len(s.JSONPointer) {
		s = inner
	}
	if c, ok := errors.AsType[*CannotCarry](s.Err); ok { // of a type's own method
		member := strings.TrimPrefix(strings.TrimPrefix(c.Member, s.JSONPointer.LastToken()), ".")
		return &CannotCarry{Member: joinPath(pointerPath(s.JSONPointer), member), Msg: c.Msg}
	}
	msg := "has a value of the wrong type"
	if want := typeName(s.GoType); want != "" {
		msg = "must be " + want
	}
	return &CannotCarry{Member: pointerPath(s.JSONPointer), Msg: msg}
}

// typeName says what a field takes, for messages.
func typeName(t reflect.Type) string {
	if t == nil {
		return ""
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint64:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return ""
}

// pointerPath writes a JSON pointer as clients write paths: /messages/0/role
// as messages[0].role.
func pointerPath(p jsontext.Pointer) string {
	path := ""
	for token := range p.Tokens() {
		if _, err := strconv.ParseUint(token, 10, 32); err == nil {
			token = "[" + token + "]"
		}
		path = joinPath(path, token)
	}
	return path
}

func joinPath(at, member string) string {
	if at == "" || member == "" || strings.HasPrefix(member, "[") {
		return at + member
	}
	return at + "." + member
}

// members takes an object apart, in its order: nil for what is not one. It
// shares no bytes with it.
func members(object jsontext.Value) []Member {
	if len(object) == 0 || object.Kind() != '{' {
		return nil
	}
	var list []Member
	dec := jsontext.NewDecoder(bytes.NewReader(object), lenient)
	if _, err := dec.ReadToken(); err != nil {
		return nil
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil
		}
		key := name.String()
		v, err := dec.ReadValue()
		if err != nil {
			return nil
		}
		list = append(list, Member{Name: key, Value: v.Clone()})
	}
	return list
}

// given reports whether a value is there and not null.
func given(v jsontext.Value) bool { return len(v) != 0 && v.Kind() != 'n' }

// isObject reports whether a text is one JSON object and nothing else.
func isObject(text string) bool {
	v := jsontext.Value(text)
	return v.Kind() == '{' && v.IsValid(lenient)
}

// textOf returns a JSON string's text, and false for any other value.
func textOf(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	var s string
	if json.Unmarshal(v, &s, lenient) != nil {
		return "", false
	}
	return s, true
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
