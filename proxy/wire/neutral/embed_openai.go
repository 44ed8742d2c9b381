package neutral

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/proxy/wire"
)

// The codec of OpenAI's embeddings API (platform.openai.com/docs/api-reference/
// embeddings), with the members that vLLM, Cohere's and Voyage's own have added.
// OpenAI's SDKs for Python and Node ask for base64 unless they are told not to.
var embeddingsCodec = &EmbedCodec{
	API:           Embeddings,
	DecodeRequest: decodeEmbeddings,
	EncodeRequest: encodeEmbeddings,
	DecodeReply:   decodeEmbeddingsReply,
	EncodeReply:   encodeEmbeddingsReply,
	Fields:        embeddingsFields,
}

type embeddingsRequest struct {
	Model          string         `json:"model"`
	Input          jsontext.Value `json:"input"`
	Dimensions     *int64         `json:"dimensions"`
	EncodingFormat string         `json:"encoding_format"`
	User           string         `json:"user"`
	InputType      string         `json:"input_type"`
	Rest           jsontext.Value `json:",embed"`
}

// decodeEmbeddings reads a client's embeddings body.
func decodeEmbeddings(body []byte, _ string) (*EmbedRequest, error) {
	var in embeddingsRequest
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	r := &EmbedRequest{Model: in.Model, User: in.User, Rest: restOf(in.Rest), From: Embeddings}
	switch in.EncodingFormat {
	case "", "float":
	case "base64":
		r.Base64 = true
	default:
		return nil, &CannotCarry{"encoding_format", "must be float or base64"}
	}
	if err := readInputs(r, in.Input); err != nil {
		return nil, err
	}
	for i := range r.Inputs {
		r.Inputs[i].Dimensions, r.Inputs[i].Task = in.Dimensions, in.InputType
	}
	return r, nil
}

// restOf is the members without a place but for Weir's own.
func restOf(rest jsontext.Value) []Member {
	return slices.DeleteFunc(members(rest), func(m Member) bool { return m.Name == "weir" })
}

// readInputs reads a text, a list of token ids, or a list of either.
func readInputs(r *EmbedRequest, raw jsontext.Value) error {
	if text, ok := textOf(raw); ok {
		r.Inputs = []Input{{Text: text}}
		return nil
	}
	var list []jsontext.Value
	if raw.Kind() != '[' || decode(raw, &list) != nil || len(list) == 0 {
		return &CannotCarry{"input", "must be a text, or a list of texts or of token ids, and not empty"}
	}
	if list[0].Kind() == '0' {
		r.Inputs = []Input{{Tokens: raw.Clone()}}
		return nil
	}
	r.List = true
	r.Inputs = make([]Input, len(list))
	for i, v := range list {
		switch text, ok := textOf(v); {
		case ok:
			r.Inputs[i].Text = text
		case v.Kind() == '[':
			r.Inputs[i].Tokens = v.Clone()
		default:
			return &CannotCarry{fmt.Sprintf("input[%d]", i), "must be a text or a list of token ids"}
		}
	}
	return nil
}

// encodeEmbeddings writes a body for an upstream that speaks OpenAI's API.
func encodeEmbeddings(r *EmbedRequest, inputs []Input, n *Notes) []byte {
	size := 64
	for i := range inputs {
		size += len(inputs[i].Text) + len(inputs[i].Tokens) + 8
	}
	w := &jsonw{b: make([]byte, 0, size)}
	w.obj()
	w.strKey("model", r.Model)
	w.key("input")
	if r.List || len(inputs) > 1 {
		w.arr()
	}
	for i := range inputs {
		embeddingsInput(w, r, &inputs[i], n)
	}
	if r.List || len(inputs) > 1 {
		w.endArr()
	}
	w.intIf("dimensions", inputs[0].Dimensions)
	if r.Base64 {
		w.strKey("encoding_format", "base64")
	}
	w.strIf("user", r.User)
	if own := r.From == Embeddings; own {
		w.strIf("input_type", inputs[0].Task)
		w.members(r.Rest)
	} else {
		noteEmbedRest(r, n)
	}
	w.endObj()
	return w.b
}

func embeddingsInput(w *jsonw, r *EmbedRequest, in *Input, n *Notes) {
	if len(in.Media) > 0 {
		refuse := n.insist // a vector of nothing would be a lie
		if in.Text != "" {
			refuse = n.Refuse
		}
		refuse(embedMember(r.From, FeatureMedia), "embeddings of this model's API are of text alone: leave the media out, or send the call to a model that takes them")
	}
	if r.From != Embeddings {
		if in.Task != "" {
			n.Drop(embedMember(r.From, FeatureTask))
		}
		if in.Title != "" {
			n.Drop(embedMember(r.From, FeatureTitle))
		}
	}
	if in.Tokens != nil {
		w.raw(in.Tokens)
		return
	}
	w.str(in.Text)
}

// decodeEmbeddingsReply reads the reply of an embeddings API. The vectors are
// in the order of their indexes, which the list usually is.
func decodeEmbeddingsReply(body []byte) (*EmbedReply, error) {
	var in struct {
		Data []struct {
			Index     *int           `json:"index"`
			Embedding jsontext.Value `json:"embedding"`
		} `json:"data"`
		Model string         `json:"model"`
		Usage jsontext.Value `json:"usage"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	out := &EmbedReply{Model: in.Model, Vectors: make([]Vector, len(in.Data))}
	for i, d := range in.Data {
		at := i
		if d.Index != nil {
			at = *d.Index
		}
		if at < 0 || at >= len(out.Vectors) || out.Vectors[at] != nil || len(d.Embedding) == 0 {
			return nil, &CannotCarry{"data", "is not one vector for each input"}
		}
		out.Vectors[at] = Vector(d.Embedding)
	}
	if given(in.Usage) {
		out.Usage, out.HasUsage = wire.ReadUsage(wire.Embeddings, in.Usage), true
	}
	return out, nil
}

// encodeEmbeddingsReply writes the reply for a client of OpenAI's API, which
// always has a usage.
func encodeEmbeddingsReply(reply *EmbedReply, r *EmbedRequest) ([]byte, error) {
	w := &jsonw{b: make([]byte, 0, replySize(reply))}
	w.obj()
	w.strKey("object", "list")
	w.arrKey("data")
	for i, v := range reply.Vectors {
		w.obj()
		w.strKey("object", "embedding")
		w.intKey("index", int64(i))
		w.key("embedding")
		var err error
		if r.Base64 {
			w.b, err = v.appendPacked(w.b)
		} else {
			w.b, err = v.appendNumbers(w.b)
		}
		if err != nil {
			return nil, err
		}
		w.endObj()
	}
	w.endArr()
	w.strKey("model", reply.Model)
	n := promptTokens(reply.Usage)
	w.objKey("usage")
	w.intKey("prompt_tokens", n)
	w.intKey("total_tokens", n)
	w.endObj()
	w.endObj()
	return w.b, nil
}

// replySize is the room for a reply that is written anew.
func replySize(reply *EmbedReply) int {
	n := 256
	for _, v := range reply.Vectors {
		n += len(v) + 64
	}
	return n
}

func promptTokens(u costs.Usage) int64 {
	n, _ := u.Input()
	return n
}
