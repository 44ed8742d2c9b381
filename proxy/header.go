package proxy

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// notForwarded are request headers that end at Weir: those of the connection
// (RFC 9110 §7.6.1), the client's secrets, and what would tell the upstream
// about the client's network.
var notForwarded = headerSet(
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Host", "Content-Length", "Expect", "Accept-Encoding",
	"Authorization", "X-Api-Key", "X-Goog-Api-Key", "Api-Key", "Cookie", "Cookie2",
	"Forwarded", "Via", "X-Real-Ip", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	"X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix", "Origin", "Referer",
)

// notReturned are reply headers that speak of the upstream's connection or
// host and would be wrong, or harmful, coming from Weir's.
var notReturned = headerSet(
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
	"Set-Cookie", "Set-Cookie2", "Alt-Svc", "Strict-Transport-Security", "Public-Key-Pins",
	"Clear-Site-Data", "Nel", "Report-To", "Reporting-Endpoints",
)

func headerSet(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	return set
}

// requestHeader is what goes upstream of a client's headers: all but those
// that end here. The values are shared with the client's, never written to.
func requestHeader(in http.Header) http.Header {
	out := make(http.Header, len(in)+2)
	for name, values := range in {
		if !notForwarded[name] && !strings.HasPrefix(name, "X-Weir-") {
			out[name] = values
		}
	}
	for _, list := range in["Connection"] { // what it names is of the connection too
		for name := range strings.SplitSeq(list, ",") {
			delete(out, textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)))
		}
	}
	out["Accept-Encoding"] = identity
	if out["User-Agent"] == nil {
		out["User-Agent"] = none // else the transport would add its own
	}
	return out
}

var (
	identity = []string{"identity"}
	none     = []string{""}
)

// copyReplyHeader puts an upstream's reply headers into ours.
func copyReplyHeader(dst, src http.Header) {
	for name, values := range src {
		if notReturned[name] || strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "X-Weir-") {
			continue
		}
		dst[name] = values
	}
	for _, list := range src["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			dst.Del(strings.TrimSpace(name))
		}
	}
	if _, ok := dst["Content-Type"]; !ok {
		dst["Content-Type"] = nil // else the server would guess one
	}
}

// mayHoldKey reports whether a query string could have a member "key", whose
// name may be escaped.
func mayHoldKey(query string) bool {
	return strings.Contains(query, "key") || strings.ContainsAny(query, "%+")
}

// query is the client's query string without the key, otherwise as it was
// written. What the provider's own URL fixes wins over the client's.
func query(client, fixed string) string {
	if client == "" {
		return fixed
	}
	if fixed == "" && !mayHoldKey(client) {
		return client
	}
	var kept []string
	if fixed != "" {
		kept = append(kept, fixed)
	}
	taken, err := url.ParseQuery(fixed)
	if err != nil {
		return fixed
	}
	for pair := range strings.SplitSeq(client, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if name != "key" && !taken.Has(name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
