package mockllm

import (
	"slices"
	"strings"
)

// What Gemini takes in a request to embed, in both spellings.
var embedMembers = parseMembers(`model:s content:o taskType:s title:s outputDimensionality:i embedContentConfig:o`)

// maxBatch is how many requests one batch may have.
const maxBatch = 100

var taskTypes = []string{
	"TASK_TYPE_UNSPECIFIED", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY", "CLASSIFICATION",
	"CLUSTERING", "QUESTION_ANSWERING", "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY",
}

func checkEmbed(c *call) *fault { return c.checkEmbedRequest(&c.body, "", "EmbedContentRequest.") }

func checkBatchEmbed(c *call) *fault {
	for _, kid := range c.body.kids {
		if kid.key != "requests" && kid.key != "model" && !c.s.opts.Lax {
			return badArgument("Invalid JSON payload received. Unknown name \"%s\": Cannot find field.", kid.key)
		}
	}
	requests := c.body.get("requests").kids
	switch {
	case len(requests) == 0:
		return badArgument("* BatchEmbedContentsRequest.requests: requests is not specified\n")
	case len(requests) > maxBatch:
		return badArgument("* BatchEmbedContentsRequest.requests: at most %d requests can be in one batch\n", maxBatch)
	}
	for i := range requests {
		name := requests[i].get("model").text
		switch {
		case name == "":
			return badArgument("* BatchEmbedContentsRequest.requests[%d].model: model is not specified\n", i)
		case strings.TrimPrefix(name, "models/") != c.model && !c.s.opts.Lax:
			return badArgument("* BatchEmbedContentsRequest.requests[%d].model: unexpected model name, it must match the one of the batch\n", i)
		}
		if f := c.checkEmbedRequest(&requests[i], "requests", "BatchEmbedContentsRequest.requests."); f != nil {
			return f
		}
	}
	return nil
}

// checkEmbedRequest checks one request; at is where it stands.
func (c *call) checkEmbedRequest(n *node, at, name string) *fault {
	for _, kid := range n.kids {
		types, known := embedMembers.types[camel(kid.key)]
		switch {
		case !known && !c.s.opts.Lax:
			return badArgument("Invalid JSON payload received. Unknown name \"%s\" at '%s': Cannot find field.", kid.key, at)
		case known && kid.kind != null && !takes(types, &kid):
			return badArgument("Invalid value at '%s' (%s), %s", kid.key, types, kid.raw[:min(len(kid.raw), 80)])
		}
	}
	content := n.get("content")
	if content.kind != object || len(content.get("parts").kids) == 0 {
		return badArgument("* %scontent: content is not specified\n", name)
	}
	if f := c.checkContents([]node{*content}); f != nil {
		return f
	}
	if task := n.either("taskType", "task_type").text; task != "" && !slices.Contains(taskTypes, task) {
		return badArgument("Invalid value at '%stask_type' (type.googleapis.com/google.ai.generativelanguage.v1beta.TaskType), \"%s\"", at, task)
	}
	if d := n.either("outputDimensionality", "output_dimensionality"); d.kind == number && (d.int(0) < 1 || d.int(0) > 3072) {
		return badArgument("* %soutput_dimensionality: output_dimensionality must be between 1 and 3072\n", name)
	}
	return nil
}

func (c *call) embedding(request *node) raw {
	size := request.either("outputDimensionality", "output_dimensionality").int(768)
	return obj("values", floats(vector(textOf(request.in("content", "parts")), min(max(size, 1), 10000))))
}

func serveEmbed(c *call) *fault {
	c.json(c.beside(obj("embedding", c.embedding(&c.body), "usageMetadata", c.wholeUsage(func() raw {
		return obj("promptTokenCount", weigh(c.body.get("content")))
	}))))
	return nil
}

func serveBatchEmbed(c *call) *fault {
	requests := c.body.get("requests").kids
	all := make([]raw, len(requests))
	in := 0
	for i := range requests {
		all[i] = c.embedding(&requests[i])
		in += weigh(requests[i].get("content"))
	}
	c.json(c.beside(obj("embeddings", all, "usageMetadata", c.wholeUsage(func() raw { return obj("promptTokenCount", in) }))))
	return nil
}
