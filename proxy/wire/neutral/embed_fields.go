package neutral

import (
	"bytes"
	"slices"
	"strings"
)

// The features of embeddings, as those of conversations in fields.go.
const (
	FeatureTexts      = "texts"
	FeatureBatch      = "several inputs"
	FeatureTokenIDs   = "token ids"
	FeatureMedia      = "pictures, sound, videos and documents"
	FeatureDimensions = "number of dimensions"
	FeatureEncoding   = "encoding of the vectors"
	FeatureTask       = "what the vectors are for"
	FeatureTitle      = "a document's title"
	FeatureTruncation = "cutting of long inputs"
	FeatureQuantum    = "other types of numbers"
)

// embedFeatures are in the order of the documentation's tables.
var embedFeatures = []string{
	FeatureTexts, FeatureBatch, FeatureTokenIDs, FeatureMedia, FeatureDimensions, FeatureEncoding,
	FeatureTask, FeatureTitle, FeatureTruncation, FeatureQuantum, FeatureUser,
}

var embeddingsFields = []Field{
	{FeatureTexts, "input", Mapped, "several text parts of one content are joined by line ends"},
	{FeatureBatch, "input", Carried, "in several requests where the upstream takes fewer at once, or where their dimensions differ"},
	{FeatureTokenIDs, "input", Carried, ""},
	{FeatureMedia, "", Refused, "OpenAI's API embeds text alone"},
	{FeatureDimensions, "dimensions", Carried, ""},
	{FeatureEncoding, "encoding_format", Mapped, "numbers as the upstream wrote them"},
	{FeatureTask, "input_type", Dropped, "the models make one kind of vector"},
	{FeatureTitle, "", Dropped, "the models know no titles"},
	{FeatureTruncation, "truncate_prompt_tokens", Dropped, "what is too long is the upstream's to refuse"},
	{FeatureQuantum, "output_dtype", Refused, ""},
	{FeatureUser, "user", Carried, ""},
}

var embedContentFields = []Field{
	{FeatureTexts, "content.parts.text", Carried, ""},
	{FeatureBatch, "requests", Carried, "in several requests of up to 100 inputs"},
	{FeatureTokenIDs, "", Refused, "they mean something to the model alone that they were made for"},
	{FeatureMedia, "content.parts", Carried, ""},
	{FeatureDimensions, "outputDimensionality", Carried, "gemini-embedding-001 normalises vectors of 3072 dimensions alone: shorter ones come as they are, and are yours to normalise where lengths count"},
	{FeatureEncoding, "", Mapped, "base64 is made of the numbers that Gemini wrote, each as the nearest float32"},
	{FeatureTask, "taskType", Mapped, "query and document (and Cohere's and NVIDIA's words for them), classification, clustering; others are dropped"},
	{FeatureTitle, "title", Carried, ""},
	{FeatureTruncation, "autoTruncate", Refused, "Gemini cuts at its own limit; -1, which asks for that, is dropped"},
	{FeatureQuantum, "", Refused, "Gemini's vectors are of float"},
	{FeatureUser, "", Dropped, "no end user's id"},
}

// embedMember is how the clients of an API write a feature of embeddings.
func embedMember(from API, feature string) string {
	fields := embeddingsFields
	if from == EmbedContent {
		fields = embedContentFields
	}
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Feature == feature })
	if i < 0 || fields[i].Member == "" {
		return feature
	}
	return fields[i].Member
}

// weightyVectors are the members of OpenAI-like embeddings requests that say
// what the vectors are, each with its values that ask for nothing special.
var weightyVectors = map[string][]string{
	"truncate_prompt_tokens": {"-1"},
	"output_dtype":           {`"float"`},
	"embed_dtype":            {`"float32"`},
	"endianness":             {`"native"`, `"little"`},
	"embedding_types":        {`["float"]`},
	"messages":               nil,
}

// noteEmbedRest notes or refuses the members that a foreign request has beside
// the known ones.
func noteEmbedRest(r *EmbedRequest, n *Notes) {
	for _, m := range r.Rest {
		usual, weighty := weightyVectors[m.Name]
		bare := string(bytes.TrimSpace(m.Value))
		switch {
		case r.From == Embeddings && weighty && !slices.Contains(usual, bare) && bare != "null":
			n.Refuse(m.Name, "this model's API has nothing like it; leave it out, or send the call to a model that has it")
		default:
			n.Drop(m.Name)
		}
	}
}

// insist refuses what not even a lossy route leaves out.
func (n *Notes) insist(member, why string, args ...any) {
	lossy := n.Lossy
	n.Lossy = false
	n.Refuse(member, why, args...)
	n.Lossy = lossy
}

// EmbedTables are the tables of docs/dialects.md for embeddings.
func EmbedTables() []byte {
	var b strings.Builder
	for _, client := range embedCodecs() {
		for _, target := range embedCodecs() {
			if client == target {
				continue
			}
			b.WriteString("\n### " + embedTitles[client.API] + " → " + embedTitles[target.API] + "\n\n")
			b.WriteString("| what | the client's member | fate | there | note |\n|---|---|---|---|---|\n")
			for _, feature := range embedFeatures {
				writeEmbedRow(&b, client, target, feature)
			}
		}
	}
	return []byte(b.String())
}

func writeEmbedRow(b *strings.Builder, client, target *EmbedCodec, feature string) {
	named := func(f Field) bool { return f.Feature == feature }
	from := client.Fields[slices.IndexFunc(client.Fields, named)]
	to := target.Fields[slices.IndexFunc(target.Fields, named)]
	if from.Member == "" {
		return
	}
	there := ""
	if to.Fate <= Mapped && to.Member != "" {
		there = "`" + to.Member + "`"
	}
	b.WriteString("| " + feature + " | `" + from.Member + "` | " + fateWords[to.Fate] + " | " + there + " | " + to.Note + " |\n")
}

var embedTitles = map[API]string{Embeddings: "embeddings", EmbedContent: "embedContent and batchEmbedContents"}
