package config

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"weir/costs"
)

// Prices says where prices beside Weir's own come from.
type Prices struct {
	Overrides string // path of a price file, relative to the configuration's; "" = none
}

// parsePrice reads an amount of dollars that is not negative.
func parsePrice(s string) (costs.Money, error) {
	m, err := costs.ParseUSD(s)
	if err == nil && m.Sign() < 0 {
		err = errors.New("negative")
	}
	if err != nil {
		return m, fmt.Errorf("want dollars like $2.50, got %q", clip(s))
	}
	return m, nil
}

var dollars = word("an amount of dollars", `\$?\d+(\.\d+)?`, []any{schema{"type": "number", "minimum": 0}}, parsePrice,
	func(m costs.Money) any { return "$" + m.String() })

var pricesShape = object(
	key("overrides", "A price file of your own: prices of your models, agreed prices, discounts. See docs/prices.md.", text, func(p *Prices) *string { return &p.Overrides }),
)

// OverridesPath is where the price file of one's own is: beside the
// configuration file, unless its path is absolute; "" is none.
func (c *Config) OverridesPath() string {
	if c.Prices.Overrides == "" || filepath.IsAbs(c.Prices.Overrides) || c.File == "" {
		return c.Prices.Overrides
	}
	return filepath.Join(filepath.Dir(c.File), c.Prices.Overrides)
}

// kindPrices are the price book's providers of the kinds whose own API has no
// base_url.
var kindPrices = map[string]string{"openai": "openai", "anthropic": "anthropic", "gemini": "google", "azure": "azure", "mock": "free"}

// PricedAs returns whose prices a provider has: what price_as says, else by
// the host of its base_url, else, where there is none, by its kind. "" is
// nobody's: a private server is never priced by its models' names. at finds a
// price book's provider by a URL.
func (p *Provider) PricedAs(at func(baseURL string) (id string, ok bool)) string {
	switch {
	case p.PriceAs != "":
		return p.PriceAs
	case p.BaseURL == "":
		return kindPrices[p.Kind]
	}
	if u, err := url.Parse(p.BaseURL); err != nil || u.User != nil {
		return ""
	}
	if id, ok := at(p.BaseURL); ok {
		return id
	}
	return ""
}
