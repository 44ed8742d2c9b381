// Package mockllm is a scriptable fake upstream that speaks the dialects of
// OpenAI (and Azure), Anthropic and Gemini: the wire shapes of their replies
// and streams, what they refuse and in which words, and the faults that real
// servers have, at any byte. Equal requests get equal replies.
//
// A Server is an http.Handler:
//
//	mock := mockllm.New(mockllm.Options{Record: 100})
//	server := httptest.NewServer(mock)
//
// How it treats a request is said by rules (Options.Rules, ParseRules) and by
// magic words in the model's name, such as mock-slow-2s or mock-error-429x2.
// docs/mock.md is its manual. ReadStream holds a stream, of the mock's or of
// any other server, against the grammar of its API.
package mockllm
