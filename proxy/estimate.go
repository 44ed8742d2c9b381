package proxy

import (
	"cmp"
	"math"
	"strings"
	"time"

	"weir/costs"
	"weir/ledger"
	"weir/limits"
	"weir/proxy/wire"
)

// What a reply is expected to have, in tokens, where the request does not
// bound it and nothing is known of earlier ones, and at most: a request often
// allows far more than it gets.
const (
	outputFloor = 256
	outputCap   = 4096
	outputMost  = 32768 // of a model that nobody says a limit of

	outputBound = 1_000_000_000 // of what a request says that it allows
)

// unseenCost is what a call of an API without token counts (images, speech)
// is held at until a few have shown what they cost: 10 cents.
const unseenCost = limits.Dollar / 10

// An estimate is what one attempt of a call uses: expected, and at most.
type estimate struct{ expected, most limits.Use }

// estimateTokens is the attempt's estimate without its cost. The input is our
// count, with a tenth on top where that is a guess. The output is what 95 of
// 100 of the key's last replies by this model had, at least outputFloor, and
// never more than the request allows.
func (p *Proxy) estimateTokens(x *Exchange) (e estimate) {
	if !x.Endpoint.Metered {
		return e
	}
	e.expected.Input, e.most.Input = x.estimate, x.estimate
	if !x.exact {
		e.expected.Input += x.estimate / 10
		e.most.Input = e.expected.Input
	}
	choices, allowed := x.choices(), min(x.View.MaxOutput, outputBound)
	usual, _, known := p.habits.high(x.habitKey())
	switch {
	case known && allowed > 0:
		e.expected.Output = min(max(usual, outputFloor), allowed*choices)
	case known:
		e.expected.Output = max(usual, outputFloor)
	case allowed > 0:
		e.expected.Output = min(allowed, outputCap) * choices
	default:
		e.expected.Output = outputFloor * choices
	}
	e.most.Output = outputMost * choices
	if allowed > 0 {
		e.most.Output = allowed * choices
	}
	if !speaks(x.Endpoint.API) {
		e.expected.Output, e.most.Output = 0, 0
	}
	return e
}

// choices is how many replies the call asks for; vendors give up to 128.
func (x *Exchange) choices() int64 { return min(max(1, x.View.N), 128) }

// speaks reports whether the replies of an API have output tokens.
func speaks(api wire.API) bool {
	switch api {
	case wire.Chat, wire.Responses, wire.Messages, wire.Generate, wire.StreamGenerate, wire.Completions:
		return true
	}
	return false
}

// costsNothing reports whether no vendor bills an API.
func costsNothing(api wire.API) bool {
	switch api {
	case wire.CountTokens, wire.MessagesCount, wire.Models, wire.Files, wire.StoredResponses, wire.Moderations:
		return true
	}
	return false
}

// estimateAt is the estimate at a target, with its cost: at the highest price
// that may apply. Unpriced in it: the price is not known.
func (p *Proxy) estimateAt(x *Exchange, t Target) estimate {
	e := p.estimateTokens(x)
	model := t.Provider.upstreamModel(t.model(x.Model))
	switch api := x.Endpoint.API; {
	case t.Provider.priceAs == "free" || costsNothing(api):
	case speaks(api) || api == wire.Embeddings || api == wire.Embed || api == wire.BatchEmbed:
		p.priceTokens(x, t.Provider, model, &e)
	default:
		p.priceUnseen(x, t.Provider, model, &e)
	}
	return e
}

// priceTokens sets the cost of an estimate by its tokens.
func (p *Proxy) priceTokens(x *Exchange, at *Provider, model string, e *estimate) {
	var okay bool
	if e.expected.USD, okay = p.highest(x, at, model, &e.expected, costs.InputCacheWrite5m); !okay {
		e.expected.Unpriced, e.most.Unpriced = 1, 1
		return
	}
	if most := at.facts.of(model).MaxOutput; x.View.MaxOutput == 0 && most > 0 {
		e.most.Output = most * x.choices()
	}
	if e.most.USD, okay = p.highest(x, at, model, &e.most, costs.InputCacheWrite1h); !okay { // more than the price book can say
		e.most.USD = limits.MaxUSD
	}
	e.most.USD = max(e.most.USD, e.expected.USD)
}

// highest is the highest cost of a use: of the service tiers that may serve it
// and, where the vendor charges for writing to its cache, with all of the input
// written.
func (p *Proxy) highest(x *Exchange, at *Provider, model string, u *limits.Use, write costs.Meter) (usd int64, ok bool) {
	book := x.state.Prices
	if book == nil || !at.gpuHour.IsZero() {
		return 0, false
	}
	terms := [2]costs.Terms{p.termsOf(x, at, model)}
	terms[1] = terms[0]
	terms[1].Serve(x.View.ServiceTier)
	may := terms[:1]
	if terms[1].Tier != terms[0].Tier {
		may = terms[:]
	}
	for _, meter := range [...]costs.Meter{costs.Input, write} {
		var usage costs.Usage
		usage.Set(meter, u.Input)
		usage.Set(costs.Output, u.Output)
		for i := range may {
			c := book.Charge(usage, may[i])
			if c.Status == costs.Unpriced {
				continue // a vendor without such a meter, or a tier that the book does not know
			}
			ok, usd = true, max(usd, nano(c.Contracted))
		}
	}
	return usd, ok
}

// termsOf are what decides an attempt's price before it is made.
func (p *Proxy) termsOf(x *Exchange, at *Provider, model string) costs.Terms {
	t, asked := at.terms, &x.View.Priced
	t.Model, t.At, t.Speed, t.Residency = model, p.pricedAt(time.Now()).UTC(), asked.Speed, cmp.Or(asked.Residency, t.Residency)
	t.SearchContextSize, t.SearchType = asked.SearchContextSize, asked.SearchType
	return t
}

// priceUnseen sets the cost of an estimate that has no tokens by what such
// calls cost of late, where the price book knows the model.
func (p *Proxy) priceUnseen(x *Exchange, at *Provider, model string, e *estimate) {
	book := x.state.Prices
	if book == nil || !x.Endpoint.Metered && x.Endpoint.API != wire.Speech || !at.gpuHour.IsZero() || !knowsModel(book, p.termsOf(x, at, model)) {
		e.expected.Unpriced, e.most.Unpriced = 1, 1
		return
	}
	usd := int64(unseenCost)
	if _, usual, known := p.habits.high(x.habitKey()); known {
		usd = usual
	}
	e.expected.USD, e.most.USD = usd, usd
}

// knowsModel reports whether the book has prices of a model, whatever they are for.
func knowsModel(book *costs.Book, t costs.Terms) bool {
	var one costs.Usage
	one.Set(costs.Requests, 1)
	return book.Charge(one, t).Model != ""
}

// estimateOver is the estimate of a call that may go to several targets: the
// dearest of those whose price is known. What a fallback costs beyond it is
// paid for when it comes to that.
func (p *Proxy) estimateOver(x *Exchange, pl *plan) estimate {
	if e, priced := p.dearest(x, pl.targets); priced {
		return e
	}
	e, priced := p.dearest(x, pl.fallbacks)
	if !priced {
		e.expected.Unpriced, e.most.Unpriced = 1, 1
	}
	return e
}

// foreseen is the attempt that is about to be made, under a budget, at what was
// reserved for it: where the process dies the limits charge that, and the ledger
// says the same. nil: there is no budget, or the price is not known.
func (p *Proxy) foreseen(x *Exchange, pl *plan) []ledger.Attempt {
	if !x.state.money || len(pl.targets) == 0 {
		return nil
	}
	var e estimate
	if held := x.ceilings; held != nil && held.beat != nil {
		e.expected = held.expected
	}
	if e.expected.USD == 0 && e.expected.Unpriced == 0 { // only budgets that are decided on for each attempt
		e = p.estimateOver(x, pl)
	}
	if e.expected.USD == 0 || e.expected.Unpriced > 0 {
		return nil
	}
	t := pl.targets[0]
	a := ledger.Attempt{
		N: 1, Provider: t.Provider.Name, Model: clip(t.Provider.upstreamModel(t.model(x.Model))), UsageSource: ledger.Estimated,
		Charge: ledger.Charge{Cost: ledger.Known(costs.MoneyOf(e.expected.USD, 0)), CostSource: ledger.CostEstimated},
	}
	a.Computed = a.Cost
	a.Usage.Set(costs.Input, e.expected.Input)
	a.Usage.Set(costs.Output, e.expected.Output)
	return []ledger.Attempt{a}
}

// dearest is the highest estimate of some targets; false: no price is known.
func (p *Proxy) dearest(x *Exchange, targets []Target) (e estimate, priced bool) {
	e = p.estimateTokens(x)
	for _, t := range targets {
		at := p.estimateAt(x, t)
		if at.expected.Unpriced > 0 {
			continue
		}
		priced = true
		e.expected.USD, e.most.USD = max(e.expected.USD, at.expected.USD), max(e.most.USD, at.most.USD)
	}
	return e, priced
}

// maxCost reads what a client lets its call cost at most, in billionths of a
// dollar; 0: it does not say.
func maxCost(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	m, err := costs.ParseUSD(strings.TrimPrefix(strings.TrimSpace(text), "$"))
	if err != nil || m.Sign() <= 0 {
		return 0, &Error{Code: BadRequest, NoRetry: true, Msg: "The header x-weir-max-cost-usd must be an amount of dollars above 0, like 0.05."}
	}
	if n, _ := m.Parts(); n >= limits.MaxUSD {
		return math.MaxInt64, nil
	}
	n, _ := m.Parts() // down: a bound
	return max(1, n), nil
}

// overCost refuses an attempt that may make the call cost more than its client
// allows, together with the attempts before it.
func (x *Exchange) overCost(e *estimate) *Error {
	if x.maxCost == 0 {
		return nil
	}
	if e.expected.Unpriced > 0 {
		return &Error{Code: CostExceeded, NoRetry: true, Msg: "The price of this call is not known, so that it cannot be held under x-weir-max-cost-usd. Leave the header out, or tell Weir the price (docs/prices.md)."}
	}
	may := e.expected.USD
	if x.View.MaxOutput > 0 {
		may = e.most.USD
	}
	for i := range x.call.Attempts {
		may += nano(x.call.Attempts[i].Cost.Money)
	}
	if may <= x.maxCost {
		return nil
	}
	return &Error{Code: CostExceeded, NoRetry: true, Msg: "This call may cost $" + limits.Dollars(may) + ", and x-weir-max-cost-usd allows $" + limits.Dollars(x.maxCost) +
		". Lower the output limit, shorten the input, ask for a cheaper model, or allow more."}
}
