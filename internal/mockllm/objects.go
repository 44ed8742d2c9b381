package mockllm

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A stored is an object that a request made: a file, a batch, a response, a
// cached content.
type stored struct {
	kind, id string
	body     raw    // the object as it is shown
	later    raw    // as it is shown from the second time on; nil = as before
	content  []byte // of a file, or a batch's results
	mime     string
	tokens   int // of a cached content
	shown    bool
}

func (s *stored) node() *node {
	n, err := parse(string(s.body))
	if err != nil {
		return &none
	}
	return &n
}

// What the objects may weigh, all together; the oldest go first.
const (
	maxObjects = 1000
	maxContent = 64 << 20
)

type objects struct {
	mu    sync.Mutex
	kept  []*stored // oldest first
	bytes int
}

func (o *objects) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept, o.bytes = nil, 0
}

func (o *objects) put(s *stored) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(s.kind, s.id)
	o.kept = append(o.kept, s)
	o.bytes += len(s.body) + len(s.content)
	for len(o.kept) > 1 && (len(o.kept) > maxObjects || o.bytes > maxContent) {
		o.drop(o.kept[0].kind, o.kept[0].id)
	}
}

func (o *objects) drop(kind, id string) bool {
	for i, s := range o.kept {
		if s.kind == kind && s.id == id {
			o.kept = slices.Delete(o.kept, i, i+1)
			o.bytes -= len(s.body) + len(s.content)
			return true
		}
	}
	return false
}

func (o *objects) remove(kind, id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.drop(kind, id)
}

func (o *objects) get(kind, id string) *stored {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.kept {
		if s.kind == kind && s.id == id {
			return s
		}
	}
	return nil
}

// show returns an object's JSON and moves it on to its later state.
func (o *objects) show(s *stored) raw {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.later != nil && s.shown {
		s.body, s.later = s.later, nil
	}
	s.shown = true
	return slices.Clone(s.body)
}

// update changes an object's JSON.
func (o *objects) update(s *stored, body raw) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.body, s.later = body, nil
}

// list returns the objects of a kind, newest first.
func (o *objects) list(kind string) []raw {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []raw{}
	for _, s := range slices.Backward(o.kept) {
		if s.kind == kind {
			out = append(out, slices.Clone(s.body))
		}
	}
	return out
}

// An objectVerb is what can be done with a kind of object.
type objectKind struct {
	kind   string
	create func(c *call) *fault
	list   func(c *call, kind string) *fault
	gone   func(id string) raw // the reply to DELETE; nil = it cannot be
	act    func(c *call, s *stored, verb string) *fault
	lost   func(c *call, id string) *fault
}

// serveObjects serves files, batches, stored responses and cached contents.
func serveObjects(c *call) *fault {
	k, rest := c.kindOfObject()
	id, verb, _ := strings.Cut(rest, "/")
	if id == "" {
		switch {
		case c.r.Method == http.MethodGet && k.list != nil:
			return k.list(c, k.kind)
		case c.r.Method == http.MethodPost && k.create != nil:
			return k.create(c)
		}
		return c.notAllowed()
	}
	if c.vendor == gemini {
		id, verb, _ = strings.Cut(id, ":")
	}
	s := c.s.objects.get(k.kind, id)
	switch {
	case s == nil:
		return k.lost(c, id)
	case verb != "":
		return k.act(c, s, verb)
	case c.r.Method == http.MethodDelete && k.gone != nil:
		c.s.objects.remove(k.kind, id)
		c.json(k.gone(id))
	case c.r.Method == http.MethodGet:
		c.json(c.s.objects.show(s))
	default:
		return k.act(c, s, strings.ToLower(c.r.Method))
	}
	return nil
}

func (c *call) kindOfObject() (*objectKind, string) {
	if rest, ok := strings.CutPrefix(c.rest, "messages/batches"); ok {
		return messageBatches, strings.TrimPrefix(rest, "/")
	}
	first, rest, _ := strings.Cut(c.rest, "/")
	switch {
	case c.vendor == gemini && first == "files":
		return geminiFiles, rest
	case c.vendor == gemini:
		return cachedContents, rest
	case c.vendor == anthropic:
		return anthropicFiles, rest
	case first == "files":
		return openAIFiles, rest
	case first == "batches":
		return openAIBatches, rest
	}
	return storedResponses, rest
}

func (c *call) notAllowed() *fault {
	f := c.vendor.usual(c, http.StatusMethodNotAllowed)
	f.msg = "Not allowed to " + c.r.Method + " on " + c.r.URL.Path + "."
	return &f
}

func lost(what string) func(c *call, id string) *fault {
	return func(c *call, id string) *fault {
		f := c.vendor.usual(c, http.StatusNotFound)
		f.code, f.msg = "", what+id
		if c.vendor == openAI {
			f.param = "id"
		}
		return &f
	}
}

// openAIList is OpenAI's and Anthropic's list of objects.
func openAIList(c *call, kind string) *fault {
	all := c.s.objects.list(kind)
	if n := intOr(c.r.URL.Query().Get("limit"), len(all)); n < len(all) {
		all = all[:n]
	}
	var first, last any
	if len(all) > 0 {
		first, last = firstID(all[0]), firstID(all[len(all)-1])
	}
	c.json(obj("object", when(c.vendor == openAI, "list"), "data", all, "has_more", false, "first_id", first, "last_id", last))
	return nil
}

func firstID(body raw) string {
	n, err := parse(string(body))
	if err != nil {
		return ""
	}
	return n.get("id").text
}

// Files.

var openAIFiles, anthropicFiles, geminiFiles, cachedContents, storedResponses *objectKind

func init() {
	openAIFiles = &objectKind{
		kind: "files", create: createOpenAIFile, list: openAIList, act: fileContent, lost: lost("No such File object: "),
		gone: func(id string) raw { return obj("id", id, "object", "file", "deleted", true) },
	}
	anthropicFiles = &objectKind{
		kind: "anthropic files", create: createAnthropicFile, list: openAIList, act: fileContent, lost: lost("File not found: "),
		gone: func(id string) raw { return obj("id", id, "type", "file_deleted") },
	}
	geminiFiles = &objectKind{
		kind: "gemini files", create: createGeminiFile, list: geminiList("files"), act: fileContent,
		lost: geminiLost, gone: func(string) raw { return raw("{}") },
	}
	cachedContents = &objectKind{
		kind: "cachedContents", create: createCachedContent, list: geminiList("cachedContents"), act: updateCachedContent,
		lost: geminiLost, gone: func(string) raw { return raw("{}") },
	}
	storedResponses = &objectKind{
		kind: "responses", act: actOnResponse,
		lost: func(_ *call, id string) *fault {
			return &fault{status: 404, typ: "invalid_request_error", msg: "Response with id '" + id + "' not found."}
		},
		gone: func(id string) raw { return obj("id", id, "object", "response", "deleted", true) },
	}
}

func createOpenAIFile(c *call) *fault {
	f := c.form.file("file")
	switch {
	case f == nil:
		return missingField("file")
	case c.form.fields["purpose"] == "":
		return missingField("purpose")
	}
	fileID := id("file-", f.hash, 0)
	body := obj("object", "file", "id", fileID, "purpose", c.form.fields["purpose"], "filename", f.name, "bytes", f.size,
		"created_at", c.created(), "status", "processed")
	c.s.objects.put(&stored{kind: "files", id: fileID, body: body, content: f.head, mime: "application/octet-stream"})
	c.json(body)
	return nil
}

func createAnthropicFile(c *call) *fault {
	f := c.form.file("file")
	if f == nil {
		return invalid("file: Field required")
	}
	fileID := id("file_01", f.hash, 0)
	body := obj("type", "file", "id", fileID, "filename", f.name, "mime_type", f.contentType, "size_bytes", f.size,
		"created_at", rfc3339(c.created()), "downloadable", true)
	c.s.objects.put(&stored{kind: "anthropic files", id: fileID, body: body, content: f.head, mime: f.contentType})
	c.json(body)
	return nil
}

// createGeminiFile speaks Google's resumable protocol, and takes bytes alone.
func createGeminiFile(c *call) *fault {
	command := c.r.Header.Get("X-Goog-Upload-Command")
	if command == "start" {
		about := c.body.get("file")
		mime := c.r.Header.Get("X-Goog-Upload-Header-Content-Type")
		upload := id("", c.hash, 0)
		c.s.objects.put(&stored{kind: "gemini uploads", id: upload, body: obj("displayName", about.either("displayName", "display_name").text, "name", about.get("name").text), mime: mime})
		h := c.o.w.Header()
		h.Set("X-Goog-Upload-URL", "http://"+c.r.Host+"/upload/v1beta/files?upload_id="+upload)
		h.Set("X-Goog-Upload-Status", "active")
		c.json(raw("{}"))
		return nil
	}
	if len(c.form.files) == 0 {
		return badArgument("No file has been sent.")
	}
	f := &c.form.files[0]
	mime, shown, name := mediaType(c.r), "", ""
	if up := c.s.objects.get("gemini uploads", c.r.URL.Query().Get("upload_id")); up != nil {
		mime, shown = up.mime, up.node().get("displayName").text
		name = strings.TrimPrefix(up.node().get("name").text, "files/")
	}
	if name == "" {
		name = strings.ToLower(id("", f.hash, 0))
	}
	now := rfc3339(c.created())
	body := obj("name", "files/"+name, "displayName", when(shown != "", shown), "mimeType", mime, "sizeBytes", itoa(f.size),
		"createTime", now, "updateTime", now, "expirationTime", rfc3339(c.created()+48*3600),
		"uri", "http://"+c.r.Host+"/v1beta/files/"+name, "state", "ACTIVE", "source", "UPLOADED")
	c.s.objects.put(&stored{kind: "gemini files", id: name, body: body, content: f.head, mime: mime})
	c.o.w.Header().Set("X-Goog-Upload-Status", "final")
	c.json(obj("file", body))
	return nil
}

func fileContent(c *call, s *stored, verb string) *fault {
	if verb != "content" && verb != "download" || c.r.Method != http.MethodGet {
		return c.notAllowed()
	}
	c.o.body(http.StatusOK, s.mime, s.content)
	return nil
}

func geminiList(name string) func(c *call, kind string) *fault {
	return func(c *call, kind string) *fault {
		c.json(obj(name, c.s.objects.list(kind)))
		return nil
	}
}

func geminiLost(*call, string) *fault {
	return &fault{status: 403, typ: "PERMISSION_DENIED", msg: "You do not have permission to access the object or it may not exist."}
}

func createCachedContent(c *call) *fault {
	if !c.body.has("model") {
		return badArgument("* CreateCachedContentRequest.model: model is not specified\n")
	}
	name := strings.ToLower(id("", c.hash, 0))
	n := weigh(c.body.get("contents")) + weigh(c.body.either("systemInstruction", "system_instruction")) + weigh(c.body.get("tools"))
	s := &stored{kind: "cachedContents", id: name, tokens: n}
	s.body = c.cachedContent(name, c.body.get("model").text, n)
	c.s.objects.put(s)
	c.json(s.body)
	return nil
}

func (c *call) cachedContent(name, model string, n int) raw {
	now, life := c.created(), 3600
	if ttl := strings.TrimSuffix(c.body.get("ttl").text, "s"); ttl != "" {
		life = intOr(ttl, life)
	}
	return obj("name", "cachedContents/"+name, "model", model, "displayName", c.body.either("displayName", "display_name").text,
		"createTime", rfc3339(now), "updateTime", rfc3339(now), "expireTime", rfc3339(now+int64(life)),
		"usageMetadata", obj("totalTokenCount", n))
}

func updateCachedContent(c *call, s *stored, verb string) *fault {
	if verb != "patch" {
		return c.notAllowed()
	}
	c.s.objects.update(s, c.cachedContent(s.id, s.node().get("model").text, s.tokens))
	c.json(c.s.objects.show(s))
	return nil
}

// inputItems lists what a stored response was asked with, all on one page.
func inputItems(s *stored, ascending bool) raw {
	input, err := parse(string(s.content))
	if err != nil { // there was none
		input = none
	}
	items := input.kids
	if input.kind == text {
		items = []node{{}}
		items[0].raw = string(obj("type", "message", "role", "user", "content", list(obj("type", "input_text", "text", input.text))))
	}
	var all []raw
	first, last := any(nil), any(nil)
	for i := range items {
		item := raw(items[i].raw)
		id := items[i].get("id").text
		if id == "" {
			id = s.id + "_in" + strconv.Itoa(i)
			item = raw(`{"id":"` + id + `",` + string(item[1:]))
		}
		if first == nil {
			first = id
		}
		last, all = id, append(all, item)
	}
	if !ascending {
		slices.Reverse(all)
		first, last = last, first
	}
	return obj("object", "list", "data", list(all...), "first_id", first, "last_id", last, "has_more", false)
}

func actOnResponse(c *call, s *stored, verb string) *fault {
	switch {
	case verb == "input_items" && c.r.Method == http.MethodGet:
		c.json(inputItems(s, c.r.URL.Query().Get("order") == "asc"))
	case verb == "cancel" && c.r.Method == http.MethodPost:
		if !s.node().get("background").isTrue() {
			return refuse("", "", "Cannot cancel a synchronous response.")
		}
		c.json(c.s.objects.show(s))
	default:
		return c.notAllowed()
	}
	return nil
}
