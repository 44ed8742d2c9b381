package mockllm

import (
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say how a Server behaves. The zero value answers everything well
// and keeps nothing.
type Options struct {
	// Rules are tried in order; see Rule.
	Rules []Rule
	// Default lies under every rule and magic word.
	Default Behaviour
	// Keys are the credentials that are taken; none = any, and none at all.
	Keys []string
	// Models are what the lists of models hold besides the mock's own.
	Models []string
	// Lax takes members of a body that the vendors do not know.
	Lax bool
	// Record is how many requests are kept for Requests, the newest; 0 = none.
	Record int
	// RecordBody is how many bytes of a body are kept; 0 = 64 MiB.
	RecordBody int
	// Clock is the time in bodies (created and the like); nil = a time that
	// follows from the request, so that equal requests get equal replies.
	Clock func() time.Time
	// Log takes a line per request; nil = none.
	Log *slog.Logger
}

// A Server is the fake upstream: an http.Handler for every dialect at once.
// It has no goroutine of its own and is safe for concurrent use.
type Server struct {
	opts    Options
	book    rulebook
	closed  chan struct{}
	once    sync.Once
	mu      sync.Mutex
	seen    map[string]int // requests by model, for magic words with a count
	kept    []Request
	aborts  []Abort
	total   int
	objects objects
	sockets map[net.Conn]bool
}

// New returns a Server.
func New(o Options) *Server {
	o.RecordBody = cmp.Or(o.RecordBody, 64<<20)
	s := &Server{opts: o, closed: make(chan struct{}), seen: map[string]int{}, sockets: map[net.Conn]bool{}}
	s.book.set(o.Rules)
	return s
}

// SetRules replaces the rules and begins their counts anew.
func (s *Server) SetRules(rules []Rule) { s.book.set(rules) }

// Close lets go of the requests that are made to hang, and of WebSockets.
func (s *Server) Close() {
	s.once.Do(func() { close(s.closed) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.sockets {
		_ = conn.Close()
	}
}

// maxNames bounds the models that are counted by name.
const maxNames = 10000

// count returns how many requests for a model have come, this one included.
func (s *Server) count(model string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) >= maxNames {
		clear(s.seen)
	}
	s.seen[model]++
	return s.seen[model]
}

// A call is one request and its reply.
type call struct {
	s      *Server
	r      *http.Request
	vendor *vendor
	api    *api
	azure  bool
	path   string // in the vendor's own form, without a host's prefix
	rest   string // of the path, after the API's
	model  string
	body   node
	size   int    // of the body, in bytes
	hash   uint64 // of the path and the body
	form   form
	tape   *tape
	quiet  bool // one of the mock's own, for a batch
	b      Behaviour
	o      out
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{s: s, r: r, b: s.opts.Default}
	c.o = out{c: c, w: w, rc: http.NewResponseController(w), b: &c.b}
	defer func() {
		switch p := recover(); p {
		case nil:
		case errEnd:
			c.o.finish()
		default:
			panic(p)
		}
		if s.opts.Log != nil {
			s.opts.Log.Info("mock", "method", r.Method, "path", r.URL.Path, "model", c.model, "events", c.o.events, "bytes", c.o.sent)
		}
	}()
	c.route()
	c.serve()
}

func (c *call) serve() {
	bad := c.read()
	c.s.record(c)
	if bad != nil {
		c.fail(*bad)
		return
	}
	c.behave()
	c.o.wait(c.b.Latency)
	if c.b.Hang == "request" {
		c.o.forever()
	}
	if c.b.Drop != "" {
		c.o.drop()
	}
	if f := c.admit(); f != nil {
		c.fail(*f)
		return
	}
	if c.scripted() {
		return
	}
	if f := c.strict(); f != nil {
		c.fail(*f)
		return
	}
	c.heads()
	if f := c.api.serve(c); f != nil {
		c.fail(*f)
	}
}

// behave finds out how this request is to be treated.
func (c *call) behave() {
	if strings.Contains(c.model, "mock") {
		word := magic(c.model, c.s.count(c.model))
		c.b.lay(&word)
	}
	if rule := c.s.book.find(c, c.wantsStream()); rule != nil {
		c.b.lay(rule)
	}
}

func (c *call) wantsStream() bool {
	return c.body.get("stream").isTrue() || strings.HasSuffix(c.rest, ":streamGenerateContent") || c.form.fields["stream"] == "true"
}

// streams reports whether the reply is a stream.
func (c *call) streams() bool {
	switch c.b.Mode {
	case "buffered":
		return false
	case "stream":
		return true
	}
	return c.wantsStream()
}

// scripted sends the reply that the behaviour dictates, if it dictates one.
func (c *call) scripted() bool {
	b := &c.b
	switch {
	case b.Body != nil:
		c.heads()
		c.o.body(cmp.Or(b.Status, http.StatusOK), "application/json", []byte(*b.Body))
	case b.Error != nil || b.Status >= 300:
		f := c.vendor.usual(c, cmp.Or(b.Status, http.StatusInternalServerError))
		if e := b.Error; e != nil {
			f.typ, f.code = cmp.Or(e.Type, f.typ), cmp.Or(e.Code, f.code)
			f.param, f.msg = cmp.Or(e.Param, f.param), cmp.Or(e.Message, f.msg)
		}
		c.fail(f)
	default:
		return false
	}
	return true
}

// heads sets the headers that the vendor sends with every reply.
func (c *call) heads() {
	c.vendor.heads(c, c.o.w.Header())
}

// json sends a whole JSON reply.
func (c *call) json(body raw) {
	c.o.body(http.StatusOK, c.vendor.jsonType, append(body, c.vendor.tail...))
}

// id makes an id that follows from the request.
func (c *call) id(prefix string, n int) string {
	return id(prefix, c.hash, n)
}

// letters are those of the vendors' ids.
const letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"

func id(prefix string, hash uint64, n int) string {
	b := make([]byte, 0, len(prefix)+24)
	b = append(b, prefix...)
	x := hash + uint64(n)*0x9E3779B97F4A7C15
	for range 24 {
		x ^= x >> 30 // splitmix64's steps: close seeds give distant ids
		x *= 0xBF58476D1CE4E5B9
		x ^= x >> 27
		b = append(b, letters[(x>>33)%uint64(len(letters))])
		x += 0x9E3779B97F4A7C15
	}
	return string(b)
}

// epoch is the time of replies that have no clock: 2026-01-01, plus what
// follows from the request, within a year.
const epoch = 1767225600

func (c *call) created() int64 {
	if c.s.opts.Clock != nil {
		return c.s.opts.Clock().Unix()
	}
	return epoch + int64(c.hash%(300*86400))
}

func rfc3339(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// A hasher is a CRC-64: fast over large bodies, the same in every run, and not
// to be trusted with more than ids.
type hasher uint64

var crcTable = crc64.MakeTable(crc64.ECMA)

func newHasher(s string) hasher {
	var h hasher
	_, _ = h.Write([]byte(s))
	return h
}

// Write never fails.
func (h *hasher) Write(p []byte) (int, error) {
	*h = hasher(crc64.Update(uint64(*h), crcTable, p))
	return len(p), nil
}

// read takes the body in.
func (c *call) read() *fault {
	h := newHasher(c.r.Method + " " + c.path)
	src := io.Reader(c.r.Body)
	if c.s.opts.Record > 0 && !c.quiet {
		c.tape = &tape{left: c.s.opts.RecordBody}
		src = io.TeeReader(src, c.tape)
	}
	if c.r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(src)
		if err != nil {
			return c.vendor.badJSON(c, err)
		}
		src = z
	}
	src = io.TeeReader(src, counter{&c.size, &h})
	err := c.take(src)
	c.hash = uint64(h)
	var f *fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		_, _ = io.Copy(io.Discard, src) // for the record, and for the client that writes before it reads
		return f
	case c.r.Context().Err() != nil:
		c.o.left()
		panic(http.ErrAbortHandler)
	}
	return &fault{status: http.StatusBadRequest, msg: fmt.Sprintf("The body could not be read: %v", err)}
}

type counter struct {
	n *int
	h *hasher
}

func (k counter) Write(p []byte) (int, error) {
	*k.n += len(p)
	return k.h.Write(p)
}

// take reads the body as what the API wants.
func (c *call) take(src io.Reader) error {
	switch c.api.body {
	case wantsJSON:
		return c.takeJSON(src)
	case wantsForm:
		return c.takeForm(src)
	case wantsEither:
		if strings.HasPrefix(c.r.Header.Get("Content-Type"), "multipart/") {
			return c.takeForm(src)
		}
		return c.takeJSON(src)
	case wantsObject:
		return c.takeObject(src)
	case wantsEcho:
		return c.form.raw(src, small)
	}
	_, err := io.Copy(io.Discard, src)
	return err
}

// small is up to which size a body is kept whole.
const small = 1 << 20

func (c *call) takeJSON(src io.Reader) error {
	if f := c.vendor.contentType(c); f != nil {
		return f
	}
	var body string
	if n := c.r.ContentLength; n >= 0 && n <= small && c.r.Header.Get("Content-Encoding") == "" {
		b := make([]byte, n)
		if _, err := io.ReadFull(src, b); err != nil {
			return err
		}
		body = string(b)
	} else {
		var b shrinker
		if _, err := io.Copy(&b, src); err != nil {
			return err
		}
		body = b.String()
	}
	var err error
	if c.body, err = parse(body); err != nil {
		return c.vendor.badJSON(c, err)
	}
	if c.model == "" {
		c.model = c.body.get("model").text
	}
	return nil
}
