package wire

// ModelList is the body of a dialect's list of models.
func ModelList(d Dialect, names []string) []byte {
	var b []byte
	switch d {
	case Gemini:
		b = append(b, `{"models":[`...)
	case Anthropic:
		b = append(b, `{"data":[`...)
	default:
		b = append(b, `{"object":"list","data":[`...)
	}
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendModel(b, d, name)
	}
	b = append(b, ']')
	if d == Anthropic {
		b = append(b, `,"has_more":false,"first_id":`...)
		b = appendEdge(b, names, 0)
		b = append(b, `,"last_id":`...)
		b = appendEdge(b, names, len(names)-1)
	}
	return append(b, '}')
}

// ModelObject is the body of a dialect's description of one model.
func ModelObject(d Dialect, name string) []byte { return appendModel(nil, d, name) }

// appendModel writes what the dialect's SDKs need of a model. When it was made
// is not known here: SDKs want a time, so it is the epoch.
func appendModel(b []byte, d Dialect, name string) []byte {
	switch d {
	case Gemini:
		b = append(b, `{"name":`...)
		b = appendQuoted(b, "models/"+name)
		b = append(b, `,"displayName":`...)
		b = appendQuoted(b, name)
		return append(b, `,"supportedGenerationMethods":["generateContent","countTokens","embedContent"]}`...)
	case Anthropic:
		b = append(b, `{"type":"model","id":`...)
		b = appendQuoted(b, name)
		b = append(b, `,"display_name":`...)
		b = appendQuoted(b, name)
		return append(b, `,"created_at":"1970-01-01T00:00:00Z"}`...)
	}
	b = append(b, `{"id":`...)
	b = appendQuoted(b, name)
	return append(b, `,"object":"model","created":0,"owned_by":"weir"}`...)
}

func appendEdge(b []byte, names []string, i int) []byte {
	if len(names) == 0 {
		return append(b, "null"...)
	}
	return appendQuoted(b, names[i])
}
