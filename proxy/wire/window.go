package wire

import "strings"

// windowCode is OpenAI's code for a request that is longer than its model's
// window. Clients and agents look for it, and for the words below.
const windowCode = "context_length_exceeded"

// windowWords are how vendors and engines say that a request is too long for
// the model, in lower case.
var windowWords = [...]string{
	"maximum context length",                // OpenAI, DeepSeek, vLLM, OpenRouter
	"exceeds the context window",            // OpenAI's Responses API
	"prompt is too long",                    // Anthropic
	"exceed context limit",                  // Anthropic: input and max_tokens together
	"exceeds the maximum number of tokens",  // Gemini
	"maximum prompt length",                 // xAI
	"too large for model with",              // Mistral
	"exceeds the available context size",    // llama.cpp
	"reduce the length of the messages",     // Groq
	"input is longer than the context size", // TGI and others
}

// IsWindowFull reports whether an upstream's error says that the request does
// not fit into its model's window.
func (f *Failure) IsWindowFull() bool {
	if f.Status != 400 && f.Status != 413 && f.Status != 422 {
		return false
	}
	if f.Code == windowCode || f.Type == windowCode || f.Type == "exceed_context_size_error" {
		return true
	}
	said := strings.ToLower(f.Message)
	for _, words := range windowWords {
		if strings.Contains(said, words) {
			return true
		}
	}
	return false
}

// InWindowWords says a failure for want of room in the words that the
// dialect's clients look for. The message that it had follows them.
func (f Failure) InWindowWords(d Dialect) Failure {
	var words string
	switch d {
	case Anthropic:
		words = "prompt is too long"
	case Gemini:
		words = "The input token count exceeds the maximum number of tokens allowed"
	default:
		f.Code = windowCode
		return f
	}
	f.Code = ""
	if !strings.Contains(strings.ToLower(f.Message), strings.ToLower(words)) {
		f.Message = words + ": " + f.Message
	}
	return f
}
