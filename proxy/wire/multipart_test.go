package wire

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"
)

const formType = "multipart/form-data; boundary=xyz"

func TestMultipartModel(t *testing.T) {
	check := func(contentType, head, model, errPart string) {
		t.Helper()
		got, span, err := MultipartModel(contentType, strings.NewReader(head), int64(len(head)))
		if got != model || (err != nil) != (errPart != "") || err != nil && !strings.Contains(err.Error(), errPart) {
			t.Errorf("%s %.200q = %q, %v; want %q, %q", contentType, head, got, err, model, errPart)
		}
		if model != "" && head[span.Start:span.End] != model {
			t.Errorf("%.200q: the model's place holds %q", head, head[span.Start:span.End])
		}
	}
	part := func(name, value string) string {
		return "--xyz\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	file := "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n" + strings.Repeat("\x00\r\n\r\n--xy", 10_000) + "\r\n"
	check(formType, part("model", "whisper-1")+file+"--xyz--\r\n", "whisper-1", "")
	check(formType, file+part("model", "whisper-1")+"--xyz--\r\n", "whisper-1", "")
	check(formType, file+part("language", "en")+part("model", "w")+part("x", "y")+"--xyz--", "w", "")
	check(formType, "preamble with --xyz in it\r\n"+part("model", "w")+"--xyz--", "w", "")
	check(formType, "--xyzz\r\nx\r\n"+part("model", "w")+"--xyz--", "w", "")
	check(formType, part("x", "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nno"), "", "")
	check(formType, part("x", "a --xyz b")+part("model", "w")+"--xyz--", "w", "")
	check(formType, part("x", "a\r\n--xyzzy b")+part("model", "w")+"--xyz--", "w", "")
	check(formType, part("x", "")+part("model", "w")+"--xyz--", "w", "")
	check(formType, part("model", "")+"--xyz--", "", "")
	check(formType, "--xyz \t\r\ncontent-disposition:form-data;name=model\r\n\r\nw\r\n--xyz--", "w", "")
	check(formType, "--xyz\r\nX: y\r\nContent-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain\r\n\r\nw\r\n--xyz--", "w", "")
	check(formType, "--xyz\r\n\r\nno header\r\n"+part("model", "w")+"--xyz--", "w", "")
	check(`multipart/form-data; boundary="xyz"`, part("model", "w")+"--xyz--", "w", "")
	check(`multipart/form-data; boundary="x y:z"`, strings.ReplaceAll(part("model", "w")+"--xyz--", "xyz", "x y:z"), "w", "")
	check(`Multipart/Form-Data; Boundary=xyz; charset=utf-8`, part("model", "w")+"--xyz--", "w", "")

	check(formType, "", "", "")
	check(formType, "--xyz", "", "")
	check(formType, "--xyz--\r\n"+part("model", "w")+"--xyz--", "", "")
	check(formType, part("x", "y")+"--xyz--\r\n"+part("model", "late")+"--xyz--", "", "")
	check(formType, "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ncut by the he", "", "")
	check(formType, part("Model", "w")+"--xyz--", "", "")
	check(formType, part("model\r\nX: y", "w")+"--xyz--", "", "")
	check(formType, part("a\\\"; name=model; x=\\\"", "w")+"--xyz--", "", "")
	check(formType, part("model", "a")+part("model", "b")+"--xyz--", "", "twice")
	check(formType, part("model", strings.Repeat("m", maxModelLen))+"--xyz--", strings.Repeat("m", maxModelLen), "")
	check(formType, part("model", strings.Repeat("m", maxModelLen+1))+"--xyz--", "", "too long")
	// A boundary across the edge of what is looked at in one piece.
	for n := formWindow - 200; n < formWindow+10; n++ {
		check(formType, part("file", strings.Repeat("f", n))+part("model", "w")+"--xyz--", "w", "")
	}
	check(formType, part("model", "a")+part("f", strings.Repeat("f", 3*formWindow))+part("model", "b")+"--xyz--", "", "twice")
	check(formType, "--xyz\r\nX: "+strings.Repeat("h", maxPartHeader), "", "header of a part")
	check(formType, part("model", "w\r\n--xyz"+strings.Repeat(" ", maxPadding)+"more"), "", "blanks")
	check("multipart/form-data", "", "", "boundary")
	check("multipart/form-data; boundary="+strings.Repeat("b", 71), "", "", "boundary")
	check("multipart/form-data; boundary=\"\"", "", "", "boundary")
	check("multipart/form-data; boundary", "", "", "parsed")
	check("", "", "", "parsed")
}

// What the standard library writes is read, whatever the values are.
func FuzzMultipartModel(f *testing.F) {
	f.Add("whisper-1", "file\r\n--x", "b", false)
	f.Add("", "", "a'()+_,-./:=?", true)
	f.Add("m\r\n\r\nm", strings.Repeat("--b\r\n", 50), "b", true)
	f.Fuzz(func(t *testing.T, model, file, boundary string, first bool) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		if w.SetBoundary(boundary) != nil || len(model) > maxModelLen || strings.Contains(model+file, boundary) {
			return
		}
		if first {
			_ = w.WriteField("model", model)
		}
		part, _ := w.CreateFormFile("file", "a.wav")
		_, _ = part.Write([]byte(file))
		if !first {
			_ = w.WriteField("model", model)
		}
		_ = w.Close()
		got, span, err := MultipartModel(w.FormDataContentType(), bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil || got != model || string(b.Bytes()[span.Start:span.End]) != model {
			t.Fatalf("%q gives %q, %v", b.Bytes(), got, err)
		}
		for n := range b.Len() { // a head that ends anywhere is no error
			if _, _, err := MultipartModel(w.FormDataContentType(), bytes.NewReader(b.Bytes()[:n]), int64(n)); err != nil {
				t.Fatalf("cut at %d: %v", n, err)
			}
			if n > 2000 {
				break
			}
		}
	})
}
