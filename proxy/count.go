package proxy

import (
	"sync"
	"unicode/utf8"

	"weir/internal/tokens"
	"weir/proxy/wire"
)

// A counter counts tokens for requests and replies. Until a vocabulary is
// loaded it goes by bytes, so that no call waits for the loading.
type counter struct {
	c       *tokens.Counter
	loading sync.Map       // of the encodings that have been asked for
	workers sync.WaitGroup // the loaders under way
}

func newCounter(c *tokens.Counter) *counter {
	if c == nil {
		c = new(tokens.Counter)
	}
	return &counter{c: c}
}

// load begins to load a vocabulary, unless that has begun before.
func (c *counter) load(e tokens.Encoding) {
	if _, begun := c.loading.LoadOrStore(e, true); !begun {
		c.workers.Go(func() { tokens.Warm(e) })
	}
}

// What chat messages cost beside their text, by OpenAI's cookbook ("How to
// count tokens with tiktoken"): three for each message and one for its role,
// and three that begin the reply.
const (
	perMessage = 4
	perReply   = 3
)

// bytesPerToken is for what cannot be counted: English text in o200k.
const bytesPerToken = 4

// countInput counts the texts of a request. exact says that it is by the
// model's own vocabulary.
func (c *counter) countInput(model string, v *wire.View, body []byte) (n int64, exact bool) {
	encoding, _, _ := tokens.For(model)
	if !tokens.Loaded(encoding) {
		c.load(encoding)
		return (textSize(v)+bytesPerToken-1)/bytesPerToken + overhead(v), false
	}
	exact = true
	v.EachText(body, func(text []byte) {
		m, ok := c.c.CountBytes(model, text)
		n, exact = n+m, exact && ok
	})
	return n + overhead(v) + v.TextRest/bytesPerToken, exact && v.TextRest == 0
}

func overhead(v *wire.View) int64 {
	if v.Messages == 0 {
		return 0
	}
	return int64(v.Messages)*perMessage + perReply
}

// countOutput counts the text that a reply has said so far.
func (c *counter) countOutput(model string, r *wire.Reading) int64 {
	if len(r.Text) == 0 {
		return 0
	}
	n, _ := c.c.CountBytes(model, r.Text)
	return n
}

// inputCharacters is how many characters of text a request holds, at most
// where its body is too large to be looked through once more.
func (p *Proxy) inputCharacters(x *Exchange) (n int64) {
	if x.Body == nil || len(x.View.Texts) == 0 {
		return 0
	}
	body := x.Body.readable()
	if body.file != nil {
		return textSize(&x.View)
	}
	x.View.EachText(body.data, func(text []byte) { n += int64(utf8.RuneCount(text)) })
	return n + x.View.TextRest
}

// inputTokens is our own count of a request's input; 0: there is nothing to count.
func (p *Proxy) inputTokens(x *Exchange) int64 {
	if !x.exact && x.Body != nil {
		x.estimate, x.exact = p.estimate(x)
	}
	return x.estimate
}
