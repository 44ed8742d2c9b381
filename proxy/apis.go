package proxy

import (
	"fmt"
	"slices"
	"strings"

	"weir/proxy/wire"
	"weir/proxy/wire/neutral"
)

// An apiSet is a set of APIs.
type apiSet uint32

func of(list ...wire.API) (s apiSet) {
	for _, api := range list {
		s |= 1 << api
	}
	return s
}

func (s apiSet) has(api wire.API) bool { return s&of(api) != 0 }

// apiWords are what a provider can be asked by, in the words of its setting
// apis. Paths beside these (models, files, batches, …) go by the provider's kind.
var apiWords = []struct {
	name string
	apis apiSet
}{
	{"chat", of(wire.Chat)},
	{"responses", of(wire.Responses)},
	{"messages", of(wire.Messages, wire.MessagesCount)},
	{"generate", of(wire.Generate, wire.StreamGenerate, wire.CountTokens)},
	{"completions", of(wire.Completions)},
	{"embeddings", of(wire.Embeddings, wire.Embed, wire.BatchEmbed)},
	{"moderations", of(wire.Moderations)},
	{"images", of(wire.Images)},
	{"speech", of(wire.Speech)},
	{"transcriptions", of(wire.Transcriptions)},
	{"rerank", of(wire.Rerank)},
}

// worded are the APIs that there are words for.
var worded = func() (s apiSet) {
	for _, w := range apiWords {
		s |= w.apis
	}
	return s
}()

// openAIs are the APIs of OpenAI, and what its compatible servers have added.
const openAIs = apiSet(1<<wire.Chat | 1<<wire.Responses | 1<<wire.Completions | 1<<wire.Embeddings |
	1<<wire.Moderations | 1<<wire.Images | 1<<wire.Speech | 1<<wire.Transcriptions | 1<<wire.Rerank)

// messages are the APIs behind the word.
const messages = apiSet(1<<wire.Messages | 1<<wire.MessagesCount)

// setAPIs says by which APIs the provider is asked: those that the
// configuration names, else those that its kind is known to have.
func (p *Provider) setAPIs(names []string) error {
	if len(names) == 0 {
		p.asks = p.kind.can
		if p.kind.has != nil {
			p.asks, p.perhaps = p.kind.has(p)
		}
		return nil
	}
	for _, name := range names {
		i := slices.IndexFunc(apiWords, func(w struct {
			name string
			apis apiSet
		},
		) bool {
			return w.name == name
		})
		if i < 0 {
			return fmt.Errorf("apis: there is no API named %q", name)
		}
		can := apiWords[i].apis & p.kind.can
		if can == 0 {
			return fmt.Errorf("apis: kind %s is never asked by %s", p.kindName, name)
		}
		p.asks |= can
	}
	return nil
}

// compatible is what a server is taken to have that speaks OpenAI's API and is
// not OpenAI's: all of it, but that only some have the Responses API.
func compatible(*Provider) (surely, perhaps apiSet) {
	return openAIs &^ of(wire.Responses), of(wire.Responses)
}

// words are the names of a set of APIs, for people.
func (s apiSet) words() (out []string) {
	for _, w := range apiWords {
		if s&w.apis != 0 {
			out = append(out, w.name)
		}
	}
	return out
}

// APIs names the APIs by which a provider with these settings is asked. One
// that it has yet to be asked by to know ends in "?".
func APIs(s ProviderSettings) ([]string, error) {
	p, err := newProvider(s, nil)
	if err != nil {
		return nil, err
	}
	return p.apis(), nil
}

// APIs names the APIs by which each provider is asked, by what is known now.
func (p *Proxy) APIs() map[string][]string {
	out := make(map[string][]string)
	for _, provider := range p.state.Load().providers {
		out[provider.Name] = provider.apis()
	}
	return out
}

func (p *Provider) apis() []string {
	out := p.asks.words()
	for _, name := range (p.perhaps &^ p.traits.lacks()).words() {
		out = append(out, name+"?")
	}
	return out
}

// has reports whether a model of the provider can be asked by an API, as far
// as is known; without are APIs that it is known not to have.
func (p *Provider) has(api wire.API, model string, without apiSet) bool {
	return (p.asks|p.perhaps&^p.traits.lacks())&^without&^p.traits.modelLacks(model)&of(api) != 0
}

// askedBy is the API by which a request goes to a model of the provider. It is
// the client's own where the provider has that, so that the bytes pass; a
// conversation may be carried to another. ok is false where none will do.
// without are APIs that the provider has turned out not to have.
func (p *Provider) askedBy(e *wire.Endpoint, model string, without apiSet) (api wire.API, ok bool) {
	own := e.API
	if !worded.has(own) {
		return own, p.speaks(e.Dialect)
	}
	rule := ruleFor(own, model)
	if p.has(own, model, without) && !(rule.only && p.asks.has(rule.api)) {
		return own, true
	}
	if neutral.For(own) == nil {
		return p.embedsBy(own, model, without)
	}
	if rule.api != wire.Raw && p.asks.has(rule.api) && p.has(rule.api, model, without) {
		return rule.api, true
	}
	for _, known := range [...]apiSet{p.asks, ^apiSet(0)} { // what is sure goes first
		for _, api := range p.kind.carries(e.Stream) {
			if known.has(api) && p.has(api, model, without) {
				return api, true
			}
		}
	}
	return own, false
}

// carries are the APIs that conversations are carried to, the kind's own first.
func (k *kind) carries(stream bool) [4]wire.API {
	generate := wire.Generate
	if stream {
		generate = wire.StreamGenerate
	}
	switch k.dialect {
	case wire.Anthropic:
		return [...]wire.API{wire.Messages, wire.Chat, wire.Responses, generate}
	case wire.Gemini:
		return [...]wire.API{generate, wire.Chat, wire.Responses, wire.Messages}
	}
	return [...]wire.API{wire.Chat, wire.Responses, wire.Messages, generate}
}

// A modelRule says by which API a model of OpenAI's is asked.
type modelRule struct {
	prefix, within string // of its name
	api            wire.API
	only           bool // no other API has it; else it is only better: what is carried keeps its reasoning
}

// modelRules are looked through in order. They hold where a provider is known
// to have the API. Responses alone have the models of openai-python 3.57's
// ResponsesModel that its ChatModel lacks, and those that OpenAI answers "only
// supported in v1/responses" for (the codex and pro families); what reasons
// is better asked there, since chat completions neither show reasoning nor
// take it back (OpenAI, "Migrate to the Responses API").
var modelRules = []modelRule{
	{"o1-pro", "", wire.Responses, true},
	{"o3-pro", "", wire.Responses, true},
	{"o", "-deep-research", wire.Responses, true},
	{"computer-use-", "", wire.Responses, true},
	{"codex-", "", wire.Responses, true},
	{"gpt-", "-codex", wire.Responses, true},
	{"gpt-", "-pro", wire.Responses, true},
	{"gpt-", "-cyber", wire.Responses, true},
	{"gpt-", "rosalind", wire.Responses, true},
	{"gpt-daybreak-", "", wire.Responses, true},
	{"gpt-6.2-astra-law", "", wire.Responses, true},
	{"gpt-5", "-chat", wire.Raw, false}, // does not reason
	{"gpt-5", "", wire.Responses, false},
	{"gpt-6", "", wire.Responses, false},
	{"o1", "", wire.Responses, false},
	{"o3", "", wire.Responses, false},
	{"o4", "", wire.Responses, false},
}

// ruleFor is the rule for a conversation with a model; the zero rule leaves
// the choice open. Clients of Responses have asked by that API already.
func ruleFor(own wire.API, model string) modelRule {
	if own == wire.Responses || neutral.For(own) == nil {
		return modelRule{}
	}
	for _, r := range modelRules {
		if strings.HasPrefix(model, r.prefix) && strings.Contains(model, r.within) {
			return r
		}
	}
	return modelRule{}
}

// dialectOf is the dialect that a conversation's API belongs to.
func dialectOf(api wire.API) wire.Dialect {
	switch api {
	case wire.Messages:
		return wire.Anthropic
	case wire.Generate, wire.StreamGenerate, wire.Embed, wire.BatchEmbed:
		return wire.Gemini
	}
	return wire.OpenAI
}
