// Package tokens counts the tokens of texts. For models with a public
// vocabulary the count equals that of github.com/tiktoken-go/tokenizer, which
// is the oracle of the tests and the source of the ranks; the splitting and
// the merging of short pieces are our own, since a general regular expression
// costs a hundred times as much. For other models a substitute vocabulary and
// a factor give an estimate, and say so.
//
// The package is pure: vocabularies are compiled in and loaded at first use.
package tokens
