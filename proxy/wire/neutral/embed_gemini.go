package neutral

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/proxy/wire"
)

// The codec of Gemini's embedContent and batchEmbedContents (ai.google.dev/api/
// embeddings), in both spellings that Google takes. An upstream is always asked
// by batchEmbedContents, as Google's own SDKs do, if only for one.
var embedContentCodec = &EmbedCodec{
	API:           EmbedContent,
	DecodeRequest: decodeEmbedContent,
	EncodeRequest: encodeEmbedContent,
	DecodeReply:   decodeEmbedContentReply,
	EncodeReply:   encodeEmbedContentReply,
	Fields:        embedContentFields,
}

type embedContentBatch struct {
	Requests []embedContentRequest `json:"requests"`
	embedContentRequest
}

type embedContentRequest struct {
	Model   string         `json:"model"`
	Content *geminiContent `json:"content"`
	embedContentConfig
	// Config is where the members stand that newer models have added.
	Config *embedContentConfig `json:"embedContentConfig,case:ignore"`
	Rest   jsontext.Value      `json:",embed"`
}

type embedContentConfig struct {
	TaskType             string `json:"taskType,case:ignore"`
	Title                string `json:"title"`
	OutputDimensionality *int64 `json:"outputDimensionality,case:ignore"`
	AutoTruncate         *bool  `json:"autoTruncate,case:ignore"`
}

// decodeEmbedContent reads a client's body of either method.
func decodeEmbedContent(body []byte, model string) (*EmbedRequest, error) {
	var in embedContentBatch
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	r := &EmbedRequest{Model: model, From: EmbedContent}
	if in.Requests == nil {
		if err := readEmbedContent(r, &in.embedContentRequest, ""); err != nil {
			return nil, err
		}
		return r, nil
	}
	r.List = true
	if len(in.Requests) == 0 {
		return nil, &CannotCarry{"requests", "must not be empty"}
	}
	for i := range in.Requests {
		if err := readEmbedContent(r, &in.Requests[i], fmt.Sprintf("requests[%d].", i)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// readEmbedContent adds one request to r's inputs; at is where it stands.
func readEmbedContent(r *EmbedRequest, in *embedContentRequest, at string) error {
	if name := strings.TrimPrefix(in.Model, "models/"); name != "" && name != r.Model {
		return &CannotCarry{at + "model", "must be the model that the path names"}
	}
	if in.Content == nil {
		return &CannotCarry{at + "content", "must be given"}
	}
	config := in.embedContentConfig
	if in.Config != nil {
		config.fill(in.Config)
	}
	p := partReader{ids: &callIDs{}}
	p.read(in.Content.Parts)
	out := Input{Task: config.TaskType, Title: config.Title, Dimensions: config.OutputDimensionality}
	var texts []string
	for _, part := range p.parts {
		switch part.Kind {
		case Text:
			texts = append(texts, part.Text)
		case Image, Audio, Video, File:
			out.Media = append(out.Media, part)
		default:
			return &CannotCarry{at + "content.parts", "must be texts or media"}
		}
	}
	out.Text = strings.Join(texts, "\n")
	for _, name := range p.unknown {
		r.noteRest(at, Member{Name: name})
	}
	for _, m := range restOf(in.Rest) {
		r.noteRest(at, m)
	}
	if config.AutoTruncate != nil {
		r.noteRest(at, Member{Name: "autoTruncate"})
	}
	r.Inputs = append(r.Inputs, out)
	return nil
}

// noteRest keeps a member without a place, under the name of the first request
// that has it: a batch has the same ones in each.
func (r *EmbedRequest) noteRest(at string, m Member) {
	for _, have := range r.Rest {
		if _, name, _ := strings.Cut(have.Name, "]."); name == m.Name {
			return
		}
	}
	m.Name = at + m.Name
	r.Rest = append(r.Rest, m)
}

// fill takes over what c does not say itself.
func (c *embedContentConfig) fill(from *embedContentConfig) {
	if c.TaskType == "" {
		c.TaskType = from.TaskType
	}
	if c.Title == "" {
		c.Title = from.Title
	}
	if c.OutputDimensionality == nil {
		c.OutputDimensionality = from.OutputDimensionality
	}
	if c.AutoTruncate == nil {
		c.AutoTruncate = from.AutoTruncate
	}
}

// encodeEmbedContent writes a batchEmbedContents body.
func encodeEmbedContent(r *EmbedRequest, inputs []Input, n *Notes) []byte {
	size := 64
	for i := range inputs {
		size += len(inputs[i].Text) + len(r.Model) + 96
	}
	w := &jsonw{b: make([]byte, 0, size)}
	own := r.From == EmbedContent
	w.obj()
	w.arrKey("requests")
	for i := range inputs {
		in := &inputs[i]
		if in.Tokens != nil {
			n.insist(embedMember(r.From, FeatureTokenIDs), "token ids mean something to the model alone that they were made for: send texts (LangChain's OpenAIEmbeddings does with check_embedding_ctx_length=False)")
		}
		w.obj()
		w.strKey("model", "models/"+r.Model)
		w.objKey("content")
		w.arrKey("parts")
		embedParts(w, in, own)
		w.endArr()
		w.endObj()
		if task := taskType(r, in); task != "" {
			w.strKey("taskType", task)
		} else if in.Task != "" {
			n.Drop(embedMember(r.From, FeatureTask))
		}
		w.strIf("title", in.Title)
		w.intIf("outputDimensionality", in.Dimensions)
		w.endObj()
	}
	w.endArr()
	w.endObj()
	if r.User != "" {
		n.Drop(embedMember(r.From, FeatureUser))
	}
	if !own {
		noteEmbedRest(r, n)
	}
	return w.b
}

// embedParts writes a text and media that Gemini's own clients have sent.
func embedParts(w *jsonw, in *Input, own bool) {
	if in.Text != "" || len(in.Media) == 0 {
		w.obj()
		w.strKey("text", in.Text)
		w.endObj()
	}
	if !own {
		return // other dialects have no media here
	}
	g := &generateWriter{jsonw: *w, r: &Request{From: Generate}, n: &Notes{}, own: true}
	for i := range in.Media {
		g.media(&in.Media[i], "")
	}
	w.b = g.b
}

// taskTypes are Gemini's words for what Cohere, Voyage, NVIDIA and Jina call
// the type of an input.
var taskTypes = map[string]string{
	"query": "RETRIEVAL_QUERY", "search_query": "RETRIEVAL_QUERY", "retrieval.query": "RETRIEVAL_QUERY",
	"document": "RETRIEVAL_DOCUMENT", "search_document": "RETRIEVAL_DOCUMENT", "passage": "RETRIEVAL_DOCUMENT", "retrieval.passage": "RETRIEVAL_DOCUMENT",
	"classification": "CLASSIFICATION", "clustering": "CLUSTERING",
}

func taskType(r *EmbedRequest, in *Input) string {
	if r.From == EmbedContent {
		return in.Task
	}
	return taskTypes[strings.ToLower(in.Task)]
}

type embedContentValues struct {
	Values jsontext.Value `json:"values"`
}

// decodeEmbedContentReply reads a reply of either method.
func decodeEmbedContentReply(body []byte) (*EmbedReply, error) {
	var in struct {
		Embedding     *embedContentValues  `json:"embedding"`
		Embeddings    []embedContentValues `json:"embeddings"`
		UsageMetadata jsontext.Value       `json:"usageMetadata"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if in.Embedding != nil {
		in.Embeddings = append([]embedContentValues{*in.Embedding}, in.Embeddings...)
	}
	out := &EmbedReply{Vectors: make([]Vector, len(in.Embeddings))}
	for i, e := range in.Embeddings {
		if len(e.Values) == 0 {
			return nil, &CannotCarry{"embeddings", "is not one vector for each input"}
		}
		out.Vectors[i] = Vector(e.Values)
	}
	if given(in.UsageMetadata) {
		u := wire.ReadUsage(wire.BatchEmbed, in.UsageMetadata)
		_, known := u.Get(costs.Input)
		out.Usage, out.HasUsage = u, known
	}
	return out, nil
}

// encodeEmbedContentReply writes the reply of the method that was asked.
func encodeEmbedContentReply(reply *EmbedReply, r *EmbedRequest) ([]byte, error) {
	w := &jsonw{b: make([]byte, 0, replySize(reply))}
	w.obj()
	if r.List {
		w.arrKey("embeddings")
	} else {
		w.key("embedding")
	}
	for i, v := range reply.Vectors {
		if i > 0 {
			if !r.List {
				break
			}
			w.comma()
		}
		w.b = append(w.b, `{"values":`...)
		var err error
		if w.b, err = v.appendNumbers(w.b); err != nil {
			return nil, err
		}
		w.endObj()
	}
	if r.List {
		w.endArr()
	}
	if reply.HasUsage {
		w.objKey("usageMetadata")
		w.intKey("promptTokenCount", promptTokens(reply.Usage))
		w.endObj()
	}
	w.endObj()
	return w.b, nil
}
