package report

import (
	"cmp"
	"math/big"
	"slices"
	"strings"

	"weir/costs"
)

// A Part is what one model cost one group in one period.
type Part struct {
	Group  string // a customer, a feature …
	Model  string
	Calls  int64
	Tokens int64 // of all token meters
	Cost   costs.Money

	Unpriced int64 // attempts that are not in Cost
}

// A Mover is a group whose cost changed between two periods of one length, and
// why. The four causes add up to the change, to the last digit.
type Mover struct {
	Group         string      `json:"group"`
	Before        costs.Money `json:"before_usd"`
	Now           costs.Money `json:"now_usd"`
	Change        costs.Money `json:"change_usd"`
	Volume        costs.Money `json:"volume_usd"`          // more or fewer calls, each as dear as before
	TokensPerCall costs.Money `json:"tokens_per_call_usd"` // longer or shorter calls
	Mix           costs.Money `json:"model_mix_usd"`       // of the models that served them
	Price         costs.Money `json:"price_usd"`           // of a token: price rows, cache hits, tiers, tools
	New           bool        `json:"new"`                 // it was not there before
	Gone          bool        `json:"gone"`                // it is not there now
	Unpriced      [2]int64    `json:"unpriced_attempts"`   // attempts before and now that have no price: the change is not known whole
}

// Movers returns up to limit groups by the size of their change, the largest first.
func Movers(before, now []Part, limit int) []Mover {
	groups := map[string]*movement{}
	of := func(p Part) *movement {
		m := groups[p.Group]
		if m == nil {
			m = &movement{models: map[string]*[2]Part{}}
			groups[p.Group] = m
		}
		return m
	}
	for _, p := range before {
		of(p).add(0, p)
	}
	for _, p := range now {
		of(p).add(1, p)
	}
	var movers []Mover
	for name, m := range groups {
		if m.total[0].Cost != m.total[1].Cost {
			movers = append(movers, m.mover(name))
		}
	}
	slices.SortFunc(movers, func(a, b Mover) int {
		return cmp.Or(size(b.Change).Cmp(size(a.Change)), strings.Compare(a.Group, b.Group))
	})
	return movers[:min(limit, len(movers))]
}

func size(m costs.Money) costs.Money {
	if m.Sign() < 0 {
		return m.Neg()
	}
	return m
}

// A movement is one group's two periods, in all and by model.
type movement struct {
	total  [2]Part
	models map[string]*[2]Part
}

func (m *movement) add(period int, p Part) {
	if m.models[p.Model] == nil {
		m.models[p.Model] = new([2]Part)
	}
	for _, sum := range []*Part{&m.total[period], &m.models[p.Model][period]} {
		sum.Calls += p.Calls
		sum.Tokens += p.Tokens
		sum.Cost = sum.Cost.Add(p.Cost)
		sum.Unpriced += p.Unpriced
	}
}

// mover splits the change in order: calls, then tokens of a call, then which
// models, each at what it cost before; what is left is the price of a token.
func (m *movement) mover(name string) Mover {
	before, now := m.total[0], m.total[1]
	out := Mover{
		Group: name, Before: before.Cost, Now: now.Cost, Change: now.Cost.Sub(before.Cost),
		Unpriced: [2]int64{before.Unpriced, now.Unpriced},
		New:      before.Cost.IsZero() && before.Unpriced == 0, Gone: now.Cost.IsZero() && now.Unpriced == 0,
	}
	if before.Calls == 0 || now.Calls == 0 || before.Tokens == 0 || now.Tokens == 0 {
		out.Volume = out.Change // there is nothing to compare a call with
		return out
	}
	perToken := quo(rat(before.Cost), before.Tokens)
	perCall := big.NewRat(before.Tokens, before.Calls)
	moreCalls := new(big.Rat).SetInt64(now.Calls - before.Calls)
	out.Volume = picoMoney(mul(moreCalls, perCall, perToken))
	moreTokens := new(big.Rat).Sub(new(big.Rat).SetInt64(now.Tokens), mul(perCall, new(big.Rat).SetInt64(now.Calls)))
	out.TokensPerCall = picoMoney(mul(moreTokens, perToken))
	out.Mix = picoMoney(m.mix(perToken))
	out.Price = out.Change.Sub(out.Volume).Sub(out.TokensPerCall).Sub(out.Mix)
	return out
}

// mix is what now's tokens cost at the models' former prices, less what they
// cost at the former mean. A model that is new is taken at its price of now.
func (m *movement) mix(mean *big.Rat) *big.Rat {
	sum := new(big.Rat)
	for _, model := range m.models {
		price := model[0]
		if price.Tokens == 0 {
			price = model[1]
		}
		if price.Tokens == 0 {
			continue
		}
		dearer := new(big.Rat).Sub(quo(rat(price.Cost), price.Tokens), mean)
		sum.Add(sum, mul(dearer, new(big.Rat).SetInt64(model[1].Tokens)))
	}
	return sum
}

func mul(factors ...*big.Rat) *big.Rat {
	product := big.NewRat(1, 1)
	for _, f := range factors {
		product.Mul(product, f)
	}
	return product
}

func quo(r *big.Rat, n int64) *big.Rat { return new(big.Rat).Quo(r, new(big.Rat).SetInt64(n)) }

// Cause is the largest cause of the change, in words.
func (m Mover) Cause() string {
	switch {
	case m.Unpriced != [2]int64{}:
		return "not known whole: a part has no price"
	case m.New:
		return "new"
	case m.Gone:
		return "gone"
	}
	causes := []struct {
		amount     costs.Money
		more, less string
	}{
		{m.Volume, "more calls", "fewer calls"},
		{m.TokensPerCall, "more tokens a call", "fewer tokens a call"},
		{m.Mix, "dearer models", "cheaper models"},
		{m.Price, "a dearer token (price, tier or fewer cache hits)", "a cheaper token (price, tier or more cache hits)"},
	}
	largest := slices.MaxFunc(causes, func(a, b struct {
		amount     costs.Money
		more, less string
	},
	) int {
		return size(a.amount).Cmp(size(b.amount))
	})
	if largest.amount.Sign() < 0 {
		return largest.less
	}
	return largest.more
}
