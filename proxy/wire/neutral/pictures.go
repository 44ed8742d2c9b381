package neutral

import "github.com/go-json-experiment/json/jsontext"

// showing returns r with the pictures that a model has drawn for a client of
// Responses as parts of the model's turn, for a target that takes them there.
func (r *Request) showing() *Request {
	told := r
	for i := range r.Turns {
		for j := range r.Turns[i].Parts {
			p := &r.Turns[i].Parts[j]
			if p.Kind != Opaque || p.From != Responses || itemKind(p.Raw) != "image_generation_call" {
				continue
			}
			m := drawn(p.Raw)
			if m == nil {
				continue
			}
			if told == r {
				copied := *r
				copied.Turns = append([]Turn(nil), r.Turns...)
				told = &copied
			}
			parts := append([]Part(nil), told.Turns[i].Parts...)
			parts[j] = Part{Kind: Image, Media: m}
			told.Turns[i].Parts = parts
		}
	}
	return told
}

// drawn is the picture of an image_generation_call; nil: it has none.
func drawn(item jsontext.Value) *Media {
	var call struct {
		Result string `json:"result"`
		Format string `json:"output_format"`
	}
	if decode(item, &call) != nil || call.Result == "" {
		return nil
	}
	m := &Media{Data: call.Result}
	if call.Format != "" {
		m.MIME = "image/" + call.Format
	}
	return m
}
