package costs

import (
	"encoding/json"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"
)

type chargeCase struct {
	Name, Provider, Model, Work, Source string
	At                                  time.Time
	Context                             map[string]string
	Usage                               json.RawMessage
	USD                                 Money
}

// charge prices a case as `weir prices explain` does.
func (c *chargeCase) charge(t *testing.T, b *Book) Charge {
	t.Helper()
	terms := Terms{Provider: c.Provider, Model: c.Model, At: c.At}
	vendor, _ := b.ProviderID(c.Provider)
	reading := FlavourOf(vendor, "", c.Usage).For(c.Model).Read(c.Usage, Usage{})
	goldenContext(t, &terms, &reading.Usage, c.Context)
	return b.ChargeReading(&reading, terms)
}

// worked adds up a working: products of tokens and dollars a million, and
// "$x" in dollars.
func worked(t *testing.T, work string) *big.Rat {
	t.Helper()
	total := new(big.Rat)
	for _, term := range strings.Split(work, " + ") {
		product := big.NewRat(1, 1_000_000)
		if dollars, ok := strings.CutPrefix(term, "$"); ok {
			product, term = big.NewRat(1, 1), dollars
		}
		for _, f := range strings.Split(term, "*") {
			r, ok := new(big.Rat).SetString(f)
			if !ok {
				t.Fatalf("a working with %q", f)
			}
			product.Mul(product, r)
		}
		total.Add(total, product)
	}
	return total
}

func TestWorkedCharges(t *testing.T) {
	text, err := os.ReadFile("testdata/charges.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []chargeCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if work := worked(t, c.Work); work.Cmp(ratOf(c.USD)) != 0 {
			t.Errorf("%s: the working makes %s, want %s", c.Name, work.FloatString(18), c.USD)
		}
		got := c.charge(t, Builtin())
		if got.Status != Priced || got.List != c.USD {
			t.Errorf("%s: %s %s (%s), want %s\n%s", c.Name, got.Status, got.List, got.Why, c.USD, linesText(got))
		}
	}
}

// A size of search that the overlay's prices do not name is not guessed at by
// the vendored file's price for the request; the tokens' prices stand.
func TestUnknownSearchSize(t *testing.T) {
	check := func(own, size string, requests int64, want Status, list, atLeast string) {
		t.Helper()
		b := Builtin()
		if own != "" {
			var err error
			if b, err = NewBook(Sources{Own: []byte(own)}); err != nil {
				t.Fatal(err)
			}
		}
		var u Usage
		u.Set(Input, 1000)
		u.Set(Output, 500)
		if requests > 0 {
			u.Set(Requests, requests)
		}
		c := b.Charge(u, Terms{Provider: "perplexity", Model: "sonar-pro", SearchContextSize: size, At: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
		if c.Status != want || c.List != USD(list) || c.AtLeast != USD(atLeast) {
			t.Errorf("size %q, own %q: %s, %s, at least %s (%s)", size, own, c.Status, c.List, c.AtLeast, c.Why)
		}
		if want == Unpriced && c.Why != "no price for requests of perplexity/sonar-pro with search_context_size "+size {
			t.Errorf("why: %s", c.Why)
		}
	}
	for _, requests := range []int64{0, 1} {
		check("", "", requests, Priced, "0.0165", "0")
		check("", "HIGH", requests, Priced, "0.0245", "0")
		check("", "huge", requests, Unpriced, "0", "0.0105")
		check("providers: {perplexity: {models: [{id: sonar-pro, rows: [{prices: {requests: 7}}]}]}}", "huge", requests, Priced, "0.0175", "0")
		check("providers: {perplexity: {models: [{id: sonar-pro, rows: [{when: {search_context_size: huge}, prices: {requests: 20}}]}]}}", "huge", requests, Priced, "0.0305", "0")
	}
}
