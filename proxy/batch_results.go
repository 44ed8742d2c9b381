package proxy

import (
	"net/http"
	"strings"

	"weir/costs"
	"weir/proxy/wire"
)

// A results reads the results of a batch whose usage they alone tell: those of
// Anthropic's. Each request is charged by itself.
type results struct {
	lines *wire.Lines
	sum   wire.Reading
	n     int64
	bill  costs.Bill
	whole bool // all of them have passed
}

// readsResults reports whether the reply tells the usage of a batch that is
// awaited, a line for each request.
func (a *attempt) readsResults() bool {
	return a.api == wire.Batches && a.x.Endpoint.Dialect == wire.Anthropic && a.c.r.Method == http.MethodGet &&
		strings.HasSuffix(strings.TrimSuffix(a.c.r.URL.Path, "/"), "/results") && a.resp.StatusCode == http.StatusOK &&
		a.c.p.background.awaits(a.c.r.Context(), a.x.Endpoint.ID)
}

func (a *attempt) readResults() {
	b := new(results)
	b.lines = wire.NewLines(wire.Messages, a.target.Provider.priceAs, func(r *wire.Reading) {
		b.n++
		b.sum.Usage.Add(r.Usage)
		if b.sum.ServedModel == "" {
			b.sum.ServedModel = clip(r.ServedModel)
		}
		b.sum.Inconsistent = b.sum.Inconsistent || r.Inconsistent
		if book := a.x.state.Prices; book != nil {
			b.bill.Add(book.ChargeReading(&r.Reading, a.terms(r)))
		}
	})
	a.results = b
}

// end is called once all of the results have passed.
func (b *results) end() {
	b.lines.End()
	b.whole = true
}

// reading is what all of them used.
func (b *results) reading() wire.Reading {
	r := b.sum
	if r.HasUsage = b.whole && b.n > 0; !r.HasUsage {
		return wire.Reading{}
	}
	r.Final = true
	r.Usage.Set(costs.Requests, b.n)
	return r
}
