package neutral

import (
	"encoding/base64"
	"strings"
)

// media writes an image or a document block.
func (w *messagesWriter) media(p *Part) {
	m := p.Media
	if m.FileID != "" && !w.own {
		w.refuse(FeatureFileIDs, "files of one vendor are not known to another; send the file itself")
		return
	}
	if m.Detail != "" && m.Detail != "auto" {
		w.drop(FeatureImageDetail)
	}
	mime := mediaType(m)
	if w.own {
		mime = m.MIME
	}
	image := p.Kind == Image || strings.HasPrefix(mime, "image/") && !w.own
	at := len(w.b)
	w.obj()
	if image {
		w.strKey("type", "image")
	} else {
		w.strKey("type", "document")
	}
	if !w.source(m, mime, image) {
		w.b = w.b[:at]
		w.refuse(FeatureFiles, "Anthropic models read PDF and text, not %s", mime)
		return
	}
	if !image {
		title := m.Title
		if title == "" && !w.own {
			title = m.Name
		}
		w.strIf("title", title)
		w.members(members(m.Extra))
	}
	w.cache(p.Cache)
	w.endObj()
}

// source writes where the medium is; false where this dialect can't.
func (w *messagesWriter) source(m *Media, mime string, image bool) bool {
	w.objKey("source")
	switch {
	case m.FileID != "":
		w.strKey("type", "file")
		w.strKey("file_id", m.FileID)
	case m.URL != "":
		w.strKey("type", "url")
		w.strKey("url", m.URL)
	case image || m.Data != "" && mime == "application/pdf" || m.Data != "" && w.own:
		w.strKey("type", "base64")
		w.strKey("media_type", mime)
		w.strKey("data", m.Data)
	case m.Data != "":
		text, ok := textData(mime, m.Data, w.r.whole)
		if !ok {
			return false
		}
		w.plain(text)
	default:
		w.plain(m.Text)
	}
	w.endObj()
	return true
}

func (w *messagesWriter) plain(text string) {
	w.strKey("type", "text")
	w.strKey("media_type", "text/plain")
	w.strKey("data", text)
}

// textData decodes a file that is text; whole gives all of its data.
func textData(mime, data string, whole func(string) string) (string, bool) {
	main, _, _ := strings.Cut(mime, ";")
	switch {
	case strings.HasPrefix(main, "text/"):
	case main == "application/json", main == "application/xml", main == "application/yaml", main == "application/javascript":
	default:
		return "", false
	}
	text, err := base64.StdEncoding.DecodeString(whole(data))
	return string(text), err == nil
}

// magic are the first base64 letters of the types that Anthropic takes.
var magic = []struct{ head, mime string }{
	{"iVBORw0KGgo", "image/png"},
	{"/9j/", "image/jpeg"},
	{"R0lGOD", "image/gif"},
	{"UklGR", "image/webp"},
	{"JVBERi0", "application/pdf"},
}

// mediaType is the type of inline data, as said, or as the data begins.
func mediaType(m *Media) string {
	switch m.MIME {
	case "", "image/*", "application/octet-stream":
	case "image/jpg":
		return "image/jpeg"
	default:
		return m.MIME
	}
	for _, k := range magic {
		if strings.HasPrefix(m.Data, k.head) {
			return k.mime
		}
	}
	return m.MIME
}
