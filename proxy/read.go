package proxy

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"weir/proxy/wire"
)

// read takes the request's body and looks at it: the model, whether it
// streams, who it is for. The bytes stay as they came.
func (p *Proxy) read(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request, x *Exchange) error {
		body, err := readBody(w, r, x.state)
		if err != nil {
			return err
		}
		x.Body = &sent{raw: body, encoding: r.Header.Get("Content-Encoding")}
		defer x.Body.close()
		x.call.BytesIn = body.size
		x.keepBody()
		err = p.look(r, x)
		x.describe()
		if err != nil {
			return err
		}
		if err := x.Caller.allows(x); err != nil {
			return err
		}
		if x.state.WatchPrompts {
			x.prompt = x.hashPrompt()
		}
		return next(w, r, x)
	}
}

// sent is a request body as it came and, where it was compressed, as it reads.
type sent struct {
	raw      *Body
	encoding string // of raw; "" = none
	plain    *Body  // raw decoded; nil where it was not needed
}

func (s *sent) close() {
	s.raw.close()
	s.plain.close()
}

// readable returns the body without its encoding.
func (s *sent) readable() *Body {
	if s.plain != nil {
		return s.plain
	}
	return s.raw
}

// look fills the view from the body, where its shape is known.
func (p *Proxy) look(r *http.Request, x *Exchange) error {
	e := &x.Endpoint
	x.Model = e.Model
	switch {
	case e.Multipart:
		return lookMultipart(r, x)
	case !e.JSON || x.Body.raw.size == 0 && !e.NeedsModel:
		return nil
	}
	if err := wantJSON(r); err != nil {
		return err
	}
	if enc := x.Body.encoding; enc != "" && !strings.EqualFold(enc, "identity") {
		plain, err := decode(x.Body.raw, enc, x.state.MaxBody)
		if err != nil {
			return err
		}
		x.Body.plain = plain
	}
	if err := readView(x); err != nil {
		return err
	}
	if x.View.Model != "" && e.Model == "" {
		x.Model = x.View.Model
	}
	if x.Model == "" && e.NeedsModel {
		return &Error{Code: BadRequest, Param: "model", Msg: "The request names no model. Set the member \"model\"."}
	}
	if x.View.Stream {
		e.Stream = true
	}
	x.expectsEvents = e.Stream && !x.Raw && (e.API != wire.StreamGenerate || r.URL.Query().Get("alt") == "sse")
	if textSize(&x.View) > countAtOnce {
		x.estimate = x.measure()
	} else {
		x.estimate, x.exact = p.estimate(x)
	}
	return nil
}

// mayRun reports whether a request without a model could make some model work.
func (x *Exchange) mayRun() bool {
	switch x.Endpoint.API {
	case wire.Models, wire.Files, wire.StoredResponses, wire.CachedContents, wire.Moderations:
		return false
	}
	return x.call.Method == http.MethodPost
}

// keepBody copies the request's start, where bodies are kept.
func (x *Exchange) keepBody() {
	if x.reply.keep == 0 {
		return
	}
	x.captured = append([]byte(nil), x.Body.raw.head(int(x.reply.keep))...)
	x.cutBody = x.Body.raw.size > int64(len(x.captured))
}

// wantJSON refuses a body that says it is something else. An absent content
// type passes, as it does at the vendors.
func wantJSON(r *http.Request) error {
	ct := r.Header.Get("Content-Type")
	if ct == "" || strings.HasPrefix(ct, "application/json") {
		return nil
	}
	if t, _, err := mime.ParseMediaType(ct); err == nil && (t == "application/json" || strings.HasSuffix(t, "+json")) {
		return nil
	}
	return refuse(BadMediaType, "The content type %q is not supported here. Send application/json.", clip(ct))
}

func readView(x *Exchange) error {
	body := x.Body.readable()
	var err error
	if body.file == nil {
		x.View, err = wire.ReadView(x.Endpoint.API, body.data)
	} else {
		r, _ := body.reader(nil)
		watched := &markReader{r: r}
		x.View, err = wire.ScanView(x.Endpoint.API, watched)
		x.marks, x.looked = watched.marks, true
	}
	if err == nil {
		return nil
	}
	if syntax, ok := errors.AsType[*wire.SyntaxError](err); ok {
		what := "is not valid JSON"
		if syntax.Unfit {
			what = "cannot be used"
		}
		return &Error{
			Code: BadRequest, NoRetry: true,
			Msg: fmt.Sprintf("The request body %s: %s at byte %d.", what, syntax.Msg, syntax.Offset),
		}
	}
	return &Error{Code: Internal, Msg: "Weir could not read the request body again.", Err: err}
}

func lookMultipart(r *http.Request, x *Exchange) error {
	ct := r.Header.Get("Content-Type")
	if !strings.HasPrefix(ct, "multipart/form-data") {
		if x.Endpoint.NeedsModel {
			return refuse(BadMediaType, "The content type %q is not supported here. Send multipart/form-data.", clip(ct))
		}
		return nil
	}
	model, span, err := wire.MultipartModel(ct, x.Body.raw, x.Body.raw.size)
	if err != nil {
		return refuse(BadRequest, "The multipart body could not be read: %v.", err)
	}
	x.Model, x.View.Model, x.View.ModelSpan = model, model, span
	if model == "" && x.Endpoint.NeedsModel {
		return &Error{Code: BadRequest, Param: "model", Msg: "The request names no model. Send the form field \"model\"."}
	}
	return nil
}

// countAtOnce is the size of texts up to which they are counted before the
// upstream is asked. Larger ones can take a second, so they are measured, and
// counted only where the upstream does not say what it used.
const countAtOnce = 64 << 10

// textSize is the bytes of a request's texts.
func textSize(v *wire.View) int64 {
	size := v.TextRest
	for _, s := range v.Texts {
		size += s.Len()
	}
	return size
}

// measure estimates the input's tokens by its bytes.
func (x *Exchange) measure() int64 {
	return x.View.TokenIDs + textSize(&x.View)/bytesPerToken
}

// estimate counts the input's tokens ourselves: exact for models with a public
// encoding, and by bytes for bodies too large to hold.
func (p *Proxy) estimate(x *Exchange) (n int64, exact bool) {
	given := x.View.TokenIDs // input that the client has cut into tokens already
	if len(x.View.Texts) == 0 {
		return given, given > 0
	}
	body := x.Body.readable()
	if body.file != nil {
		return x.measure(), false
	}
	n, exact = p.tokens.countInput(x.Model, &x.View, body.data)
	return given + n, exact
}
