package tokens

import "strings"

// An Encoding is a public vocabulary with its way of splitting text.
type Encoding string

// The encodings.
const (
	O200k  Encoding = "o200k_base"
	Cl100k Encoding = "cl100k_base"
)

// public maps the beginnings of model names to their vendors' published
// encodings (openai/tiktoken, model.py), longest first where one begins another.
var public = []struct {
	prefix   string
	encoding Encoding
}{
	{"gpt-4o", O200k}, {"gpt-4.1", O200k}, {"gpt-4.5", O200k}, {"gpt-5", O200k}, {"chatgpt-4o", O200k},
	{"codex-mini", O200k}, {"o1", O200k}, {"o3", O200k}, {"o4", O200k}, {"gpt-oss", O200k},
	{"gpt-4", Cl100k}, {"gpt-3.5", Cl100k}, {"gpt-35", Cl100k}, {"text-embedding-3", Cl100k}, {"text-embedding-ada", Cl100k},
}

// factors are for models whose vocabulary is not public: our count by a
// substitute times the factor, in hundredths. They err upwards a little, so
// that an estimate does not hide a cost. Anthropic's own guidance puts Claude
// at some 3.5 characters of English to a token where o200k takes about 4.2;
// Gemini's documentation says about 4. Where nothing is published the factor is 1.
var factors = []struct {
	prefix  string
	percent int64
}{
	{"claude", 120}, {"gemini", 105}, {"gemma", 105}, {"mistral", 115}, {"mixtral", 115}, {"codestral", 115},
	{"llama-2", 120}, {"llama2", 120},
}

// For returns the encoding that counts a model's tokens. exact says that it is
// the model's own; otherwise it is a substitute and percent the factor, in
// hundredths, to multiply by.
func For(model string) (e Encoding, percent int64, exact bool) {
	name := bare(model)
	for _, p := range public {
		if strings.HasPrefix(name, p.prefix) {
			return p.encoding, 100, true
		}
	}
	for _, f := range factors {
		if strings.HasPrefix(name, f.prefix) {
			return O200k, f.percent, false
		}
	}
	return O200k, 100, false
}

// bare takes away what is written around a model's name: the account or
// vendor before slashes, and what marks a fine-tuned one.
func bare(model string) string {
	if i := strings.LastIndexByte(model, '/'); i >= 0 {
		model = model[i+1:]
	}
	model = strings.TrimPrefix(model, "ft:")
	return strings.ToLower(model)
}
