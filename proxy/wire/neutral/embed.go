package neutral

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/proxy/wire"
)

// The APIs that embeddings are carried between: OpenAI's /v1/embeddings, which
// vLLM, Ollama, llama.cpp and others have taken over, and Gemini's embedContent
// with batchEmbedContents.
const (
	Embeddings   API = "embeddings"
	EmbedContent API = "embedContent"
)

// An EmbedRequest is what a client asks of an embeddings model. Nil pointers,
// empty strings and nil slices mean "not given".
type EmbedRequest struct {
	Model  string
	Inputs []Input // in the client's order; never empty
	List   bool    // the client gave a list, if only of one
	Base64 bool    // the vectors are due as base64 of little-endian float32, not as numbers
	User   string  // an end user's id
	// Rest are the members that have no place above, in order; those of the
	// single requests of a batch are named requests[i].member.
	Rest []Member
	From API
}

// An Input is what one vector is made of: a text, or one of the others.
type Input struct {
	Text   string
	Tokens jsontext.Value // a list of token ids, as written
	Media  []Part         // pictures, sound, videos and documents beside the text
	// Task is what the vector is for, and Title of a document that is embedded,
	// as the request's dialect writes them.
	Task, Title string
	Dimensions  *int64
}

// An EmbedReply is the vectors of a request.
type EmbedReply struct {
	Model   string   // that served; "" = not said
	Vectors []Vector // one for each input, in their order
	Usage   costs.Usage
	// HasUsage: the upstream has said what it used. Without it Usage may be an
	// estimate, for dialects that have to say something.
	HasUsage bool
}

// An EmbedCodec is one API's way of asking for embeddings. Its functions are
// pure and may be called concurrently; none keeps its input.
type EmbedCodec struct {
	API API
	// DecodeRequest reads a client's body. model is the path's, where the API
	// has it there. Its error is a *wire.SyntaxError or a *CannotCarry.
	DecodeRequest func(body []byte, model string) (*EmbedRequest, error)
	// EncodeRequest writes a body that asks for some of r's inputs, all of the
	// same number of dimensions, and notes on n what it could not say.
	EncodeRequest func(r *EmbedRequest, inputs []Input, n *Notes) []byte
	// DecodeReply reads an upstream's reply, its vectors as they were written.
	DecodeReply func(body []byte) (*EmbedReply, error)
	// EncodeReply writes a reply for a client that asked r. Its error says what
	// vector cannot be written.
	EncodeReply func(reply *EmbedReply, r *EmbedRequest) ([]byte, error)
	// Fields declare what becomes of each feature; see Codec.
	Fields []Field
}

// ForEmbed returns the codec of one of wire's APIs; nil where it is none of embeddings.
func ForEmbed(api wire.API) *EmbedCodec {
	switch api {
	case wire.Embeddings:
		return embeddingsCodec
	case wire.Embed, wire.BatchEmbed:
		return embedContentCodec
	}
	return nil
}

// embedCodecs are the codecs in the order of the documentation.
func embedCodecs() []*EmbedCodec { return []*EmbedCodec{embeddingsCodec, embedContentCodec} }

// EmbedLimits bound one request to an embeddings API. 0: without a limit.
type EmbedLimits struct {
	Inputs int
	Tokens int64 // of all inputs together
}

// Split cuts n inputs into runs that keep within the limits, in order, and
// returns where each ends. weigh is an input's tokens, and joins reports
// whether an input may be asked for together with the one before it; nil: all may.
// One that is too large by itself is a run of its own: the upstream judges it.
func (l EmbedLimits) Split(n int, weigh func(i int) int64, joins func(i int) bool) (ends []int) {
	var inputs int
	var tokens int64
	for i := range n {
		t := weigh(i)
		switch {
		case inputs == 0:
		case l.Inputs > 0 && inputs == l.Inputs, l.Tokens > 0 && tokens+t > l.Tokens, joins != nil && !joins(i):
			ends = append(ends, i)
			inputs, tokens = 0, 0
		}
		inputs, tokens = inputs+1, tokens+t
	}
	return append(ends, n)
}

// Joins reports whether an input can be asked for together with the one before
// it, in an API that has one number of dimensions for all.
func (r *EmbedRequest) Joins(i int) bool {
	a, b := r.Inputs[i-1].Dimensions, r.Inputs[i].Dimensions
	return a == b || a != nil && b != nil && *a == *b
}

// Weigh estimates an input's tokens: by bytes, a little high for most texts, or
// exactly where it came as token ids.
func (in *Input) Weigh() int64 {
	if in.Tokens != nil {
		return int64(strings.Count(string(in.Tokens), ",")) + 1
	}
	return int64(len(in.Text)+WeighBytes-1) / WeighBytes
}

// WeighText is Weigh for an input as a client wrote it: a JSON string, or a
// list of token ids.
func WeighText(raw []byte) int64 {
	if len(raw) > 0 && raw[0] == '[' {
		return (&Input{Tokens: raw}).Weigh()
	}
	return int64(len(raw)+WeighBytes-1) / WeighBytes
}

// WeighBytes is the bytes of a token where requests are kept below a limit of
// tokens: less than most texts have, so that the limit holds.
const WeighBytes = 3
