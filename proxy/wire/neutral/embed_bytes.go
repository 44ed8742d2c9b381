package neutral

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// A Listing is where a list in a body stands, and each of its elements.
type Listing struct {
	List  wire.Span
	Items []wire.Span
}

// ListIn finds the list that the root object has under a name; of several the
// last. ok is false where there is none, or the body is no JSON.
func ListIn(body []byte, name string) (l Listing, ok bool) {
	err := eachMember(body, func(dec *jsontext.Decoder, member string) error {
		if member != name || dec.PeekKind() != '[' {
			return dec.SkipValue()
		}
		var err error
		l, err = readListing(dec)
		ok = err == nil
		return err
	})
	return l, ok && err == nil
}

func readListing(dec *jsontext.Decoder) (l Listing, err error) {
	if _, err = dec.ReadToken(); err != nil {
		return l, err
	}
	l.List.Start = dec.InputOffset() - 1
	for dec.PeekKind() != ']' {
		v, err := dec.ReadValue()
		if err != nil {
			return l, err
		}
		end := dec.InputOffset()
		l.Items = append(l.Items, wire.Span{Start: end - int64(len(v)), End: end})
	}
	if _, err = dec.ReadToken(); err != nil {
		return l, err
	}
	l.List.End = dec.InputOffset()
	return l, nil
}

// eachMember walks the root object: f reads or skips each member's value.
func eachMember(body []byte, f func(dec *jsontext.Decoder, name string) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenient)
	if err := walkObject(dec, f); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("more than an object")
	}
	return nil
}

func walkObject(dec *jsontext.Decoder, f func(dec *jsontext.Decoder, name string) error) error {
	if dec.PeekKind() != '{' {
		return errors.New("no object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := f(dec, name.String()); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// BatchModels are the edits that give each request of a batchEmbedContents body
// the model's name: Gemini wants it there as in the path.
func BatchModels(body []byte, model string) []wire.Edit {
	l, ok := ListIn(body, "requests")
	if !ok {
		return nil
	}
	resource := appendQuoted(nil, "models/"+model)
	var edits []wire.Edit
	for _, item := range l.Items {
		_ = eachMember(body[item.Start:item.End], func(dec *jsontext.Decoder, name string) error {
			v, err := dec.ReadValue()
			if err == nil && name == "model" && v.Kind() == '"' && !bytes.Equal(v, resource) {
				end := item.Start + dec.InputOffset()
				edits = append(edits, wire.Edit{Span: wire.Span{Start: end - int64(len(v)), End: end}, New: resource})
			}
			return err
		})
	}
	return edits
}

// PackEmbeddings puts base64 in the place of every vector of an embeddings
// reply that came as numbers, for a client that asked for base64 and decodes
// blindly; all other bytes stay. changed is false, and the reply to be passed
// as it is, where there is nothing to put right or a vector has no such form.
func PackEmbeddings(body []byte) (packed []byte, changed bool) {
	var edits []wire.Edit
	err := eachMember(body, func(dec *jsontext.Decoder, name string) error {
		if name != "data" || dec.PeekKind() != '[' {
			return dec.SkipValue()
		}
		if _, err := dec.ReadToken(); err != nil {
			return err
		}
		for dec.PeekKind() != ']' {
			if err := walkObject(dec, func(dec *jsontext.Decoder, name string) error {
				v, err := dec.ReadValue()
				if err != nil || name != "embedding" || v.Kind() != '[' {
					return err
				}
				end := dec.InputOffset()
				b64, err := Vector(v).appendPacked(nil)
				edits = append(edits, wire.Edit{Span: wire.Span{Start: end - int64(len(v)), End: end}, New: b64})
				return err
			}); err != nil {
				return err
			}
		}
		_, err := dec.ReadToken()
		return err
	})
	if err != nil || len(edits) == 0 {
		return body, false
	}
	return wire.Apply(make([]byte, 0, wire.EditedSize(int64(len(body)), edits)), body, edits), true
}

// HasFloats reports whether the first vector of an embeddings reply stands
// there as numbers. known is false where the head of the reply does not tell.
func HasFloats(head []byte) (floats, known bool) {
	name := []byte(`"embedding"`)
	for at := 0; ; {
		i := bytes.Index(head[at:], name)
		if i < 0 {
			return false, false
		}
		at += i + len(name)
		rest := bytes.TrimLeft(head[at:], " \t\r\n")
		if len(rest) == 0 || rest[0] != ':' { // the value of "object", or cut off
			continue
		}
		if rest = bytes.TrimLeft(rest[1:], " \t\r\n"); len(rest) == 0 {
			return false, false
		}
		return rest[0] == '[', true
	}
}

// WantsBase64 reports whether an embeddings request asks for base64.
func WantsBase64(body []byte) bool {
	wants := false // what comes before an error counts: the upstream may take it
	_ = eachMember(body, func(dec *jsontext.Decoder, name string) error {
		if name != "encoding_format" {
			return dec.SkipValue()
		}
		v, err := dec.ReadValue()
		wants = string(v) == `"base64"`
		return err
	})
	return wants
}
