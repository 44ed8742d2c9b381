package mockllm

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

// A form is a multipart body, read as it came by.
type form struct {
	fields map[string]string
	files  []formFile
}

// A formFile is a file of a form, or a whole body of another kind.
type formFile struct {
	field, name, contentType string
	size                     int
	hash                     uint64
	head                     []byte // up to keepFile bytes
}

const (
	keepField = 64 << 10
	keepFile  = 4 << 20
)

func (f *form) file(field string) *formFile {
	for i := range f.files {
		if f.files[i].field == field || f.files[i].field == field+"[]" {
			return &f.files[i]
		}
	}
	return nil
}

// take reads a file's bytes and keeps the first of them.
func (f *formFile) take(src io.Reader, keep int) error {
	h := newHasher(f.name)
	head := tape{left: keep}
	n, err := io.Copy(io.MultiWriter(&h, &head), src)
	f.size, f.hash, f.head = int(n), uint64(h), head.Bytes()
	return err
}

// raw takes the whole body as one file.
func (f *form) raw(src io.Reader, keep int) error {
	f.files = []formFile{{}}
	return f.files[0].take(src, keep)
}

func (c *call) takeForm(src io.Reader) error {
	kind, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return refuse("", "unsupported_content_type", "Unsupported content type: '%s'. This API method only accepts 'multipart/form-data' requests, but you specified the header 'Content-Type: %s'. Please try again with a supported content type.", kind, kind)
	}
	c.form.fields = map[string]string{}
	parts := multipart.NewReader(src, params["boundary"])
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return refuse("", "", "Could not parse multipart form: %v", err)
		}
		if err := c.form.part(part); err != nil {
			return refuse("", "", "Could not parse multipart form: %v", err)
		}
	}
	if c.model == "" {
		c.model = c.form.fields["model"]
	}
	return nil
}

func (f *form) part(p *multipart.Part) error {
	if p.FileName() == "" {
		value, err := io.ReadAll(io.LimitReader(p, keepField))
		f.fields[p.FormName()] = string(value)
		return err
	}
	file := formFile{field: p.FormName(), name: p.FileName(), contentType: p.Header.Get("Content-Type")}
	err := file.take(p, keepFile)
	f.files = append(f.files, file)
	return err
}

// takeObject reads a form, JSON, or bytes, by the content type.
func (c *call) takeObject(src io.Reader) error {
	switch kind := mediaType(c.r); {
	case c.r.Method == http.MethodGet || c.r.Method == http.MethodDelete || c.r.Method == http.MethodHead || c.r.ContentLength == 0:
		_, err := io.Copy(io.Discard, src)
		return err
	case kind == "multipart/form-data":
		return c.takeForm(src)
	case kind == "application/json" && !strings.Contains(c.r.Header.Get("X-Goog-Upload-Command"), "upload"):
		return c.takeJSON(src)
	}
	return c.form.raw(src, keepFile)
}

// missingField refuses a form without one.
func missingField(name string) *fault {
	return refuse(name, "missing_required_parameter", "Missing required parameter: '%s'.", name)
}

func checkImageForm(c *call) *fault {
	if c.form.fields == nil { // JSON
		if !c.body.has("prompt") {
			return missingField("prompt")
		}
		return nil
	}
	if c.form.file("image") == nil {
		return missingField("image")
	}
	if c.rest == "images/edits" && c.form.fields["prompt"] == "" {
		return missingField("prompt")
	}
	return nil
}

func checkAudioForm(c *call) *fault {
	if c.model == "" {
		return c.vendor.missing("model")
	}
	if c.form.file("file") == nil {
		return missingField("file")
	}
	return nil
}
