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
// Versions behind a point (gpt-5.1) share their family's encoding. What OpenAI
// has published nothing about (gpt-6 and later) is estimated.
var public = []struct {
	prefix   string
	encoding Encoding
}{
	{"gpt-4o", O200k},
	{"gpt-4.1", O200k},
	{"gpt-4.5", O200k},
	{"gpt-5", O200k},
	{"chatgpt-4o", O200k},
	{"codex-mini", O200k},
	{"o1", O200k},
	{"o3", O200k},
	{"o4-mini", O200k},
	{"gpt-oss", O200k},
	{"gpt-4", Cl100k},
	{"gpt-3.5", Cl100k},
	{"gpt-35", Cl100k},
	{"text-embedding-3", Cl100k},
	{"text-embedding-ada", Cl100k},
	{"davinci-002", Cl100k},
	{"babbage-002", Cl100k},
}

// factors are for models whose vocabulary is not public, or not here: our
// count by o200k_base as a substitute, times the factor in hundredths. They err
// upwards a little, so that an estimate does not hide a cost. Anthropic's own
// guidance puts Claude at some 3.5 characters of English to a token where o200k
// takes about 4.2; Gemini's documentation says about 4. Vocabularies of 32k
// tokens (Llama 2, the first Mistrals) take a fifth more, those of some 128k
// (Llama 3 and 4, DeepSeek, newer Mistrals) and 150k (Qwen, GLM, Kimi) about as
// many or a little more. Where nothing is known the factor is 1.
var factors = []struct {
	prefix  string
	percent int64
}{
	{"claude", 120},
	{"gemini", 105},
	{"gemma", 105},
	{"mistral", 115},
	{"mixtral", 120},
	{"ministral", 115},
	{"magistral", 115},
	{"devstral", 115},
	{"pixtral", 115},
	{"codestral", 115},
	{"llama-2", 120},
	{"llama2", 120},
	{"codellama", 120},
}

// For returns the encoding that counts a model's tokens. exact says that it is
// the model's own; otherwise it is a substitute and percent the factor, in
// hundredths, to multiply by.
func For(model string) (e Encoding, percent int64, exact bool) {
	name := bare(model)
	for _, p := range public {
		if isFamily(name, p.prefix) {
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

// isFamily reports whether a name is a family's, or goes on after it: o1-mini
// is of o1, o100 is not; gpt-4 goes on as gpt-4-turbo, and gpt-41 is another.
func isFamily(name, family string) bool {
	rest, ok := strings.CutPrefix(name, family)
	if !ok || rest == "" {
		return ok
	}
	last, next := family[len(family)-1], rest[0]
	return last < '0' || last > '9' || next < '0' || next > '9'
}

// bare takes away what is written around a model's name: the account or
// vendor before slashes (openai/…, accounts/x/models/…), the region and vendor
// before Bedrock's points (us.anthropic.…), and what marks a fine-tuned one.
func bare(model string) string {
	if i := strings.LastIndexByte(model, '/'); i >= 0 {
		model = model[i+1:]
	}
	model = strings.ToLower(strings.TrimPrefix(model, "ft:"))
	for {
		first, rest, ok := strings.Cut(model, ".")
		if !ok || !isVendor(first) {
			return model
		}
		model = rest
	}
}

// isVendor reports whether a word is one that Bedrock writes before a name.
func isVendor(word string) bool {
	switch word {
	case "us", "eu", "apac", "jp", "au", "ca", "global", "us-gov",
		"anthropic", "meta", "mistral", "amazon", "cohere", "deepseek", "openai", "qwen", "google":
		return true
	}
	return false
}
