package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"weir/config"
	"weir/costs"
)

// maxPrices bounds a price file.
const maxPrices = 16 << 20

// BasePrices is where `weir prices update` keeps a newer price file.
func BasePrices(c *config.Config) string {
	return filepath.Join(c.DataDir, "prices", "genai-prices.json")
}

// LoadBook makes the price book of a configuration: Weir's own prices or the
// newer ones that were taken, and the file of one's own. What is wrong with
// that file, or with what the configuration says of prices, is
// config.Problems.
func LoadBook(c *config.Config) (*costs.Book, error) { return LoadBookWith(c, nil, nil, "") }

// LoadBookWith is LoadBook with another base, or another file of one's own,
// under its name; nil is the one that LoadBook takes.
func LoadBookWith(c *config.Config, base, own []byte, ownName string) (*costs.Book, error) {
	src := costs.Sources{Base: base, Own: own, OwnName: ownName}
	var err error
	if base == nil {
		if src.Base, err = readPrices(BasePrices(c)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if path := overrides(c); own == nil && path != "" {
		if src.Own, err = readPrices(path); err != nil {
			return nil, config.Problems{{File: c.File, What: "prices.overrides: " + err.Error()}}
		}
		src.OwnName = path
	}
	b, err := costs.NewBook(src)
	if err != nil && base == nil && src.Base != nil && !errors.As(err, new(costs.Problems)) {
		err = fmt.Errorf("%s: %w: weir prices update --vendored drops it", BasePrices(c), err)
	}
	if err != nil {
		return nil, bookProblems(err)
	}
	return b, checkPrices(c, b)
}

// overrides is the path of the price file of one's own: beside the
// configuration, or in the working directory as other paths are.
func overrides(c *config.Config) string {
	beside := c.OverridesPath()
	if beside == "" {
		return ""
	}
	if _, err := os.Stat(beside); err == nil || beside == c.Prices.Overrides {
		return beside
	}
	if _, err := os.Stat(c.Prices.Overrides); err == nil {
		return c.Prices.Overrides
	}
	return beside
}

func readPrices(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPrices+1))
	if err == nil && len(text) > maxPrices {
		err = fmt.Errorf("larger than %d bytes", maxPrices)
	}
	if err != nil {
		return nil, fmt.Errorf("read prices %s: %w", path, err)
	}
	return text, nil
}

// bookProblems turns a price file's problems into those of a configuration.
func bookProblems(err error) error {
	found, ok := errors.AsType[costs.Problems](err)
	if !ok {
		return err
	}
	return asConfig(found)
}

func asConfig(found costs.Problems) (list config.Problems) {
	for _, p := range found {
		list = append(list, config.Problem{File: p.File, Line: p.Line, What: p.What, Hint: p.Hint})
	}
	return list
}

// BookWarnings are what a price file says that means nothing to the book as it
// is now.
func BookWarnings(b *costs.Book) []config.Problem { return asConfig(b.Dangling()) }

// checkPrices looks the providers' price_as up.
func checkPrices(c *config.Config, b *costs.Book) error {
	var list config.Problems
	for _, p := range c.Providers {
		if p.PriceAs == "" || p.PriceAs == "none" || p.PriceAs == "local" || p.PriceAs == "free" {
			continue
		}
		if _, ok := b.ProviderID(p.PriceAs); !ok {
			list = append(list, config.Problem{
				File: c.File, What: fmt.Sprintf("providers.%s.price_as: the price book has no provider %q", p.Name, p.PriceAs),
				Hint: "see weir prices list, or price it in a file of your own (docs/prices.md)",
			})
		}
	}
	if len(list) > 0 {
		return list
	}
	return nil
}

// PricedAs is the price book's id of who bills for a provider's calls; ""
// where nobody's prices apply.
func PricedAs(p *config.Provider, b *costs.Book) string {
	as := p.PricedAs(b.ProviderAt)
	if p.PriceAs == "" || as == "free" {
		return as
	}
	id, _ := b.ProviderID(as) // "none" has none
	return id
}

// PriceTerms are what decides a provider's prices, as far as it is the same
// for all of its calls: whose prices they are, what its settings say, and
// where its host is.
func PriceTerms(p *config.Provider, b *costs.Book) costs.Terms {
	t := p.PriceTerms
	t.Provider, t.GPUHour = PricedAs(p, b), p.GPUHour
	if u, err := url.Parse(p.BaseURL); err == nil {
		t.Place(u.Hostname())
	}
	return t
}
