package proxy

import (
	"fmt"
	"slices"
	"sync"

	"weir/internal/capability"
	"weir/internal/tokens"
	"weir/proxy/wire"
)

// A factBook says what a provider's models can do: by the configuration, else
// by what is known of their names.
type factBook struct {
	own, all []capability.Said // of this provider, and of every one

	mu    sync.Mutex // guards the following field
	known map[string]capability.Facts
}

func newFactBook(own, all []capability.Said) *factBook {
	return &factBook{own: own, all: all, known: make(map[string]capability.Facts)}
}

// maxFacts bounds the models remembered per provider.
const maxFacts = 4096

// of returns what is known of a model. A nil book knows nothing.
func (b *factBook) of(model string) capability.Facts {
	if b == nil {
		return capability.Facts{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f, ok := b.known[model]
	if !ok {
		if len(b.known) >= maxFacts {
			clear(b.known) // names come from clients where a route has a glob
		}
		f = capability.Resolve(model, b.own, b.all)
		b.known[model] = f
	}
	return f
}

// A demand is what a request asks of the model that is to serve it.
type demand struct {
	x      *Exchange
	set    capability.Set
	output int64 // tokens that the reply may have; 0: not said

	counted tokens.Encoding // by which input was counted
	input   int64
}

// demand is what the exchange asks of a model; a set of 0: nothing that we
// know of.
func (x *Exchange) demand() demand {
	d := demand{x: x, set: x.View.Needs, output: x.View.MaxOutput}
	switch x.Endpoint.API {
	case wire.Chat, wire.Responses, wire.Messages, wire.Generate, wire.StreamGenerate:
		d.set |= capability.Chat
	case wire.Completions:
		d.set |= capability.Completions
	case wire.Embeddings, wire.Embed, wire.BatchEmbed:
		d.set, d.output = capability.Embeddings, 0
	default:
		return demand{x: x}
	}
	if x.Endpoint.Stream {
		d.set |= capability.Streaming
	}
	return d
}

// A fit is how well a target suits a demand.
type fit int

const (
	unfit  fit = iota // surely not
	doubt             // its vendor has said no, and may have changed its mind: it is to say so itself
	fitted            // nothing is known against it
)

// A misfit is the first thing that a target cannot do.
type misfit struct {
	fit    fit
	target Target
	lack   capability.Set
	have   int64 // of a size: what there is, and what is asked for
	want   int64
}

// narrow takes the targets out of a plan that cannot serve the request; the
// weights of the others stay. Where none is left the request is refused before
// anything is sent.
func (st *State) narrow(x *Exchange, p *plan) error {
	d := x.demand()
	if d.set == 0 || x.Raw {
		return nil
	}
	best, worst, first := unfit, fitted, misfit{}
	for _, list := range [...][]Target{p.targets, p.fallbacks} {
		for _, t := range list {
			m := d.judge(t)
			if first.target.Provider == nil {
				first = m
			}
			best, worst = max(best, m.fit), min(worst, m.fit)
		}
	}
	switch best {
	case unfit:
		return first.refusal(x)
	case worst:
		return nil
	}
	below := func(t Target) bool { return d.judge(t).fit < best }
	p.targets, p.fallbacks = slices.DeleteFunc(p.targets, below), slices.DeleteFunc(p.fallbacks, below)
	return nil
}

// judge says whether a target can serve the demand. There is a doubt only
// where what is known against the target is not sure and the client's own bytes
// would reach it: the vendor's own refusal is better than a wrong one of ours.
// A window that we know of ourselves is sure to be full only by an exact count.
func (d *demand) judge(t Target) misfit {
	model := t.model(d.x.Model)
	f := t.Provider.facts.of(model)
	m := misfit{fit: fitted, target: t}
	lacks, sure := d.set&f.Lacks, f.Sure
	if lacks == 0 && f.Context == 0 && f.MaxOutput == 0 {
		return m
	}
	api, own := d.x.Endpoint.API, true
	if lacks != 0 {
		api, own = d.askedBy(t, model)
	}
	if api == wire.Messages && !own {
		lacks &^= capability.Schema // is told by an instruction there
	}
	if lacks&sure != 0 {
		lacks &= sure
	}
	switch {
	case lacks != 0:
		m.lack = lacks.First().Set
	case f.MaxOutput > 0 && d.output > f.MaxOutput:
		m.lack, m.have, m.want = capability.MaxOutput, f.MaxOutput, d.output
	case f.Context > 0:
		n, exact := d.leastInput(model, f.Context)
		if n <= f.Context {
			return m
		}
		m.lack, m.have, m.want = capability.Context, f.Context, n
		if _, own = d.askedBy(t, model); !exact {
			sure &^= capability.Context &^ f.Said
		}
	}
	switch {
	case m.lack == 0:
	case sure&m.lack == 0 && (own || m.lack == capability.MaxOutput):
		m.fit = doubt
	default:
		m.fit = unfit
	}
	return m
}

// askedBy says by which API the target would be asked, and whether that is the
// client's own.
func (d *demand) askedBy(t Target, model string) (api wire.API, own bool) {
	api, _ = t.Provider.askedBy(&d.x.Endpoint, model, 0)
	return api, api == d.x.Endpoint.API
}

// What a token is, at the least and at the most, in the bytes of a request.
const (
	// denseText: only numbers and the like have fewer bytes to a token.
	denseText = 3
	// looseText: no text in a request as a whole has more; an escape (\u00e9)
	// takes six bytes, and a token can be several characters.
	looseText = 16
)

// leastInput is how many tokens the request's texts are at the least, where
// that could be more than the window; 0: they may fit. Pictures and sounds, and
// what a model may never see, are not counted. exact says that the model's own
// vocabulary has counted them.
func (d *demand) leastInput(model string, window int64) (n int64, exact bool) {
	v := &d.x.View
	size := textSize(v)
	switch {
	case size-v.Aside <= window || v.Shrinks:
		return 0, false
	case d.set&capability.Chat == 0 && len(v.Texts) != 1: // each of several inputs has the window to itself
		return 0, false
	}
	if n, ok := d.count(model, window); ok {
		return n, true
	}
	return (size - v.Aside) / looseText, false
}

// count counts the texts by the model's own vocabulary, where that is public
// and they are not too long for it. The first of all such calls waits while the
// vocabulary is loaded, some tenths of a second.
func (d *demand) count(model string, window int64) (n int64, ok bool) {
	v := &d.x.View
	encoding, _, exact := tokens.For(model)
	body := d.x.Body.readable()
	if !exact || v.TextRest > 0 || body.file != nil || textSize(v)/denseText <= window {
		return 0, false
	}
	if d.counted != encoding {
		d.counted, d.input = encoding, -v.Aside // a token is one byte at the least
		v.EachText(body.data, func(text []byte) { d.input += encoding.Count(string(text)) })
	}
	return d.input, true
}

// refusal tells the client why no target can take its request.
func (m misfit) refusal(x *Exchange) *Error {
	p, model := m.target.Provider.Name, clip(m.target.model(x.Model))
	switch m.lack {
	case capability.Context:
		return &Error{Code: ContextExceeded, NoRetry: true, Param: inputMember(x), Msg: fmt.Sprintf(
			"%s Weir sent nothing: shorten the request, or give the route a target with a larger window. Where provider %q gives the model %q a larger one, say so in Weir's configuration: models: {%q: {context: …}}.",
			windowWords(x, m.have, m.want), p, model, model)}
	case capability.MaxOutput:
		return &Error{Code: NotCapable, NoRetry: true, Param: outputMember(x), Msg: fmt.Sprintf(
			"The model %q of provider %q gives at most %d tokens, and the request asks for up to %d. Weir sent nothing: ask for fewer, or give the route a target that gives more. Where this is not so, say it in Weir's configuration: models: {%q: {max_output: …}}.",
			model, p, m.have, m.want, model)}
	}
	member := m.lack.First()
	return &Error{Code: NotCapable, NoRetry: true, Param: askingMember(x, m.lack), Msg: fmt.Sprintf(
		"The model %q of provider %q does not %s, and the request asks for that. Weir sent nothing: ask for another model, or give the route a target that does. Where this is not so, say it in Weir's configuration: models: {%q: {%s: yes}}.",
		model, p, member.Does, model, member.Name)}
}

// windowWords say that a request is too long as the vendor of the client's
// dialect does, since clients look for its words.
func windowWords(x *Exchange, window, tokens int64) string {
	switch {
	case x.Endpoint.Dialect == wire.Anthropic:
		return fmt.Sprintf("prompt is too long: %d tokens > %d maximum.", tokens, window)
	case x.Endpoint.Dialect == wire.Gemini:
		return fmt.Sprintf("The input token count (%d) exceeds the maximum number of tokens allowed (%d).", tokens, window)
	case x.Endpoint.API == wire.Responses:
		return fmt.Sprintf("Your input exceeds the context window of this model: it has %d tokens or more, and the window %d.", tokens, window)
	}
	return fmt.Sprintf("This model's maximum context length is %d tokens. However, your messages resulted in %d tokens or more.", window, tokens)
}

// inputMember is the member that holds a request's input.
func inputMember(x *Exchange) string {
	switch x.Endpoint.API {
	case wire.Responses, wire.Embeddings:
		return "input"
	case wire.Generate, wire.StreamGenerate:
		return "contents"
	case wire.Completions:
		return "prompt"
	case wire.Embed:
		return "content"
	case wire.BatchEmbed:
		return "requests"
	}
	return "messages"
}

// outputMember is the member that bounds a request's output.
func outputMember(x *Exchange) string {
	switch x.Endpoint.API {
	case wire.Responses:
		return "max_output_tokens"
	case wire.Generate, wire.StreamGenerate:
		return "generationConfig.maxOutputTokens"
	}
	return "max_tokens"
}

// askingMember is the member by which a request asks for something.
func askingMember(x *Exchange, want capability.Set) string {
	gemini := x.Endpoint.Dialect == wire.Gemini
	switch want {
	case capability.Vision, capability.Audio, capability.Video, capability.Files:
		return inputMember(x)
	case capability.Tools:
		return "tools"
	case capability.Streaming:
		if gemini {
			return ""
		}
		return "stream"
	case capability.Schema:
		switch {
		case gemini:
			return "generationConfig.responseSchema"
		case x.Endpoint.API == wire.Responses:
			return "text.format"
		case x.Endpoint.API == wire.Messages:
			return "output_config.format"
		}
		return "response_format"
	case capability.ImageOutput, capability.AudioOutput:
		if gemini {
			return "generationConfig.responseModalities"
		}
		return "modalities"
	}
	return "model"
}

// tooLong is told of an upstream's refusal. Where that is for want of room in
// the model's window, another target may take the call whose window is known
// to be larger; others are not tried.
func (a *attempt) tooLong(f *failure, told *wire.Failure) {
	if !told.IsWindowFull() || a.x.Raw {
		return
	}
	f.elsewhere = a.c.keepLarger(a.target)
	f.outgrown = f.elsewhere
}

// keepLarger leaves only those targets to be tried whose window is larger than
// that of t, and reports whether there are any.
func (c *carrier) keepLarger(t Target) bool {
	window := func(t Target) int64 { return t.Provider.facts.of(t.model(c.x.Model)).Context }
	least := max(window(t), c.x.estimate)
	some := false
	for i, other := range c.plan.targets {
		larger := window(other) > least
		c.tried[i] = c.tried[i] || !larger
		some = some || !c.tried[i]
	}
	left := slices.DeleteFunc(c.plan.fallbacks[c.fellBack:], func(other Target) bool { return window(other) <= least })
	c.plan.fallbacks = c.plan.fallbacks[:c.fellBack+len(left)]
	return some || len(left) > 0
}
