package neutral

import (
	"encoding/base64"
	"path"
	"strings"
)

// typesByName are the media types of the endings that files at an address have.
var typesByName = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
	".heic": "image/heic", ".heif": "image/heif", ".pdf": "application/pdf", ".txt": "text/plain", ".md": "text/markdown",
	".csv": "text/csv", ".html": "text/html", ".json": "application/json", ".mp3": "audio/mpeg", ".wav": "audio/wav",
	".ogg": "audio/ogg", ".flac": "audio/flac", ".aac": "audio/aac", ".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
}

// usualTypes are those of files about which nothing more is known.
var usualTypes = map[Kind]string{Image: "image/jpeg", Audio: "audio/mpeg", Video: "video/mp4", File: "application/pdf"}

// typeByName is the media type that an address or a file's name tells; "" = none.
func typeByName(name string) string {
	name, _, _ = strings.Cut(name, "?")
	return typesByName[strings.ToLower(path.Ext(name))]
}

// mimeOf is the type of a medium, which Gemini wants to know: as said, as the
// data begins, as the name ends, or the usual one of its kind.
func mimeOf(p *Part) string {
	m := p.Media
	if mime := mediaType(m); mime != "" && !strings.HasSuffix(mime, "/*") {
		return mime
	}
	if mime := typeByName(m.URL); mime != "" {
		return mime
	}
	if mime := typeByName(m.Name); mime != "" {
		return mime
	}
	return usualTypes[p.Kind]
}

func mediaKind(mime string) Kind {
	switch kind, _, _ := strings.Cut(mime, "/"); kind {
	case "image":
		return Image
	case "audio":
		return Audio
	case "video":
		return Video
	}
	return File
}

// isGoogleFile reports whether an address is a file at Google's Files API or
// in its storage, which nobody else can read.
func isGoogleFile(uri string) bool {
	return strings.HasPrefix(uri, "gs://") || strings.Contains(uri, "generativelanguage.googleapis.com/") && strings.Contains(uri, "/files/")
}

// isYouTube reports whether an address is a video that Gemini looks at itself.
func isYouTube(uri string) bool {
	return strings.HasPrefix(uri, "https://www.youtube.com/") || strings.HasPrefix(uri, "https://youtu.be/")
}

// media writes a picture, sound, video or document, with the members that
// follow it in the part.
func (w *generateWriter) media(p *Part, seal string) {
	m := p.Media
	if m.Detail != "" && m.Detail != "auto" {
		w.drop(FeatureImageDetail)
	}
	own := w.r.From == Generate
	switch {
	case m.FileID != "" && !own:
		w.refuse(FeatureFileIDs, "a file that another vendor keeps cannot be read by Gemini: send its content, or a URL")
		return
	case m.Data == "" && m.Text == "" && m.URL == "" && m.FileID == "":
		return
	}
	w.obj()
	switch {
	case m.Text != "":
		w.inline("text/plain", base64.StdEncoding.EncodeToString([]byte(w.r.whole(m.Text))), m)
	case m.Data != "":
		w.inline(mimeOf(p), m.Data, m)
	default:
		w.objKey("fileData")
		if own {
			w.strIf("mimeType", m.MIME)
			w.strIf("displayName", m.Name)
		} else if !isYouTube(m.URL) {
			w.strKey("mimeType", mimeOf(p))
		}
		w.strKey("fileUri", m.URL+m.FileID)
		w.endObj()
	}
	w.strIf("thoughtSignature", seal)
	w.extra(p)
	w.endObj()
}

func (w *generateWriter) inline(mime, data string, m *Media) {
	w.objKey("inlineData")
	w.strKey("mimeType", mime)
	w.strKey("data", data)
	if w.r.From == Generate {
		w.strIf("displayName", m.Name)
	}
	w.endObj()
}
