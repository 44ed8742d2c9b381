package app

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
)

// names are the hosts that a listener answers to. A browser can be made to
// send any name to a loopback address (DNS rebinding), so that a foreign one
// is refused.
type names struct {
	exact map[string]bool // lower case, without a port
	globs []string        // *.example.com, or * for all
	anyIP bool            // it listens on all interfaces: any address may be its own
}

// newNames returns the names of a listener at an address, host:port.
func newNames(addr string, configured []string) *names {
	n := &names{exact: map[string]bool{}}
	host, _, err := net.SplitHostPort(addr)
	if err != nil { // the configuration has been checked
		host = addr
	}
	ip := net.ParseIP(host)
	if host == "" || ip != nil && ip.IsUnspecified() {
		n.anyIP = true
	} else {
		n.exact[strings.ToLower(host)] = true
	}
	if n.anyIP || strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback() {
		for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
			n.exact[name] = true
		}
	}
	if own, err := os.Hostname(); err == nil && (ip == nil || !ip.IsLoopback()) {
		n.exact[strings.ToLower(own)] = true
	}
	for _, name := range configured {
		name = strings.ToLower(strings.Trim(name, "[]"))
		if strings.Contains(name, "*") {
			n.globs = append(n.globs, name)
		} else {
			n.exact[name] = true
		}
	}
	return n
}

// has reports whether a Host header, with or without a port, is one of the names.
func (n *names) has(hostport string) bool {
	host := hostname(hostport)
	if n.exact[host] {
		return true
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if n.exact[host] || n.anyIP && net.ParseIP(host) != nil {
		return true
	}
	for _, g := range n.globs {
		if ok, err := path.Match(g, host); g == "*" || err == nil && ok {
			return true
		}
	}
	return false
}

// all reports whether every name is taken.
func (n *names) all() bool {
	for _, g := range n.globs {
		if g == "*" {
			return true
		}
	}
	return false
}

// hostname is a Host header without its port and brackets.
func hostname(hostport string) string {
	if i := strings.LastIndexByte(hostport, ':'); i >= 0 && strings.IndexByte(hostport[i:], ']') < 0 && (hostport[0] == '[' || strings.IndexByte(hostport, ':') == i) {
		hostport = hostport[:i]
	}
	return strings.Trim(hostport, "[]")
}

// foreign says why a request must come from a web page that has no business
// here, or from under a foreign name; "" = it need not. own asks for the very
// same origin, host and port: pages on other ports of this machine are foreign.
func (n *names) foreign(r *http.Request, own bool) string {
	if !n.has(r.Host) {
		return "the name " + quote(r.Host)
	}
	// Pages cannot write Sec-Fetch-Site, and browsers that hide an Origin as
	// "null" still send it.
	site := r.Header.Get("Sec-Fetch-Site")
	if n.all() || site == "same-origin" {
		return ""
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		if site == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			return "a page of another site"
		}
		return ""
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !n.has(u.Host) || own && !strings.EqualFold(u.Host, r.Host) {
		return "the origin " + quote(origin)
	}
	return ""
}

// quote shows what a client sent, in bounds.
func quote(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r > '~' {
			return '?'
		}
		return r
	}, s) + `"`
}
