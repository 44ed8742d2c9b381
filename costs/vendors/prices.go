// Package vendors talks to others about costs: it fetches price files.
package vendors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// PricesURL is where genai-prices publishes its newest data file.
const PricesURL = "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"

// Bounds of fetching a price file.
const (
	maxPrices   = 16 << 20
	fetchTime   = time.Minute
	maxRedirect = 5
)

// FetchPrices reads a price file from a URL: by HTTPS, or by plain HTTP from
// this machine.
func FetchPrices(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err == nil {
		err = checkURL(req.URL)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch prices: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirect {
			return errors.New("too many redirects")
		}
		return checkURL(r.URL)
	}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch prices: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch prices: %s answers %s", req.URL.Redacted(), resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPrices+1))
	if err == nil && len(text) > maxPrices {
		err = fmt.Errorf("larger than %d bytes", maxPrices)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch prices: %w", err)
	}
	return text, nil
}

// checkURL refuses what anybody on the way could change: prices are money.
func checkURL(u *url.URL) error {
	host := u.Hostname()
	ip := net.ParseIP(host)
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (host == "localhost" || ip != nil && ip.IsLoopback()):
		return nil
	}
	return fmt.Errorf("want an https URL, got %s", u.Redacted())
}
