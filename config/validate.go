package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var urlShape = word("a URL", `https?://.+`, nil, func(s string) (string, error) {
	if what := checkURL(s); what != "" {
		return "", fmt.Errorf("%s", what)
	}
	return s, nil
}, func(s string) any { return s })

// checkURL says what is wrong with an upstream's URL, or "".
func checkURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "want a URL like https://host/v1"
	case u.User != nil:
		return "a URL must not carry a password: use api_key or headers"
	case u.RawQuery != "" || u.Fragment != "":
		return "want a URL without ? and #"
	}
	return ""
}

// at notes a problem with a field; from is a pointer to it, or to the nearest
// thing around it that was written.
func (d *decoder) at(from any, hint, format string, args ...any) {
	d.note(Problem{d.file, d.lines[from], fmt.Sprintf(format, args...), hint})
}

func (d *decoder) warn(from any, hint, format string, args ...any) {
	d.warnings = append(d.warnings, Problem{d.file, d.lines[from], fmt.Sprintf(format, args...), hint})
}

// validate checks what one value alone cannot show.
func (c *Config) validate(d *decoder) {
	c.validateListeners(d)
	c.validateStore(d)
	c.validateRedis(d)
	for i := range c.Providers {
		c.validateProvider(d, &c.Providers[i])
	}
	for i := range c.Routes {
		c.validateRoute(d, i)
	}
	c.validateSaid(d, "models", c.Models)
	c.validateLimits(d)
	c.validateAlerts(d)
	c.warnUnreachable(d)
	if len(c.Providers) == 0 {
		d.warn(&c.Providers, "set a provider's key in the environment ("+strings.Join(Variables()[:3], ", ")+" …) or name one under providers", "there are no providers")
	}
}

func (c *Config) validateListeners(d *decoder) {
	host := d.address("listen", &c.Listen, c.Listen)
	d.address("admin.listen", &c.Admin.Listen, c.Admin.Listen)
	if c.Listen == c.Admin.Listen && !strings.HasSuffix(c.Listen, ":0") {
		d.at(&c.Admin.Listen, "", "admin.listen: the data plane listens at %s too: want two addresses", c.Listen)
	}
	if c.Auth == "" {
		c.Auth = AuthOff
		if host != "" && !isLoopback(host) {
			d.at(&c.Listen, "write auth: keys, or auth: off to let anyone who reaches it spend your money",
				"listen: %s can be reached from other machines, and auth is not written", c.Listen)
		}
	}
	c.validateTLS(d)
	for _, hosts := range []*[]string{&c.Hosts, &c.Admin.Hosts} {
		for i, h := range *hosts {
			if h == "" || strings.ContainsAny(h, "/ :") && net.ParseIP(strings.Trim(h, "[]")) == nil {
				d.at(&(*hosts)[i], "", "hosts: want a name like weir.example.com, got %q", clip(h))
			}
		}
	}
}

func (c *Config) validateTLS(d *decoder) {
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		d.at(&c.TLS, "", "tls: want cert and key, or neither")
		return
	}
	if c.TLS.Cert == "" {
		return
	}
	if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
		d.at(&c.TLS, "", "tls: %s", err)
	}
}

// positive refuses a written 0 where it would not mean what one thinks.
func (d *decoder) positive(where string, fields ...*time.Duration) {
	for _, f := range fields {
		if _, said := d.lines[f]; said && *f == 0 {
			d.at(f, "leave the key out for the default; 10000h is as good as never", "%s: want more than 0", where)
		}
	}
}

// address checks a listener's address and returns its host; "0.0.0.0" for none.
func (d *decoder) address(name string, from any, addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		d.at(from, "", "%s: want host:port, got %q", name, clip(addr))
		return ""
	}
	if host == "" {
		return "0.0.0.0"
	}
	return host
}

// validateRedis says nothing of what is written: there may be a password in it.
func (c *Config) validateRedis(d *decoder) {
	if c.Redis != "" {
		u, err := url.Parse(string(c.Redis))
		host := err == nil && (u.Scheme == "redis" || u.Scheme == "rediss") && u.Hostname() != ""
		socket := err == nil && u.Scheme == "unix" && u.Path != ""
		if !host && !socket {
			d.at(&c.Redis, "in a password %2F is /, %40 is @, %3A is :", "redis: want redis://[user:password@]host:port, rediss://… or unix://path")
		}
	}
	if len(c.RedisPrefix) > 64 || strings.ContainsAny(c.RedisPrefix, "{} \t\n") {
		d.at(&c.RedisPrefix, "", "redis_prefix: want at most 64 bytes without braces and spaces")
	}
}

func (c *Config) validateStore(d *decoder) {
	scheme, rest, _ := strings.Cut(c.Store, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		d.at(&c.Store, "sqlite:./data/weir.db needs no server", "store: postgres: not in this version")
	case scheme != "sqlite" || rest == "":
		d.at(&c.Store, "", "store: want sqlite:PATH")
	case strings.ContainsAny(rest, "?#") || strings.HasPrefix(rest, "//") || rest == ":memory:":
		d.at(&c.Store, "", "store: want a plain path after sqlite:")
	}
	if c.Spool.Max < 16<<20 {
		d.at(&c.Spool.Max, "", "spool.max: want at least 16MiB")
	}
	if c.MaxBody < 1 {
		d.at(&c.MaxBody, "", "max_body: want at least one byte")
	}
	d.positive("body_timeout", &c.BodyTimeout)
	d.positive("responses.retention", &c.Responses.Retention)
	if st, err := os.Stat(c.DataDir); err == nil && !st.IsDir() {
		d.at(&c.DataDir, "", "data: %s is not a directory", c.DataDir)
	}
}

var providerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (c *Config) validateProvider(d *decoder, p *Provider) {
	where := "providers." + p.Name
	if !providerName.MatchString(p.Name) {
		d.at(p, "", "providers: the name %q: want letters, digits, dots, dashes", clip(p.Name))
		return
	}
	k, known := kinds[p.Kind]
	switch {
	case slices.Contains(laterKinds, p.Kind):
		d.at(&p.Kind, "an OpenAI-compatible server is kind: openai with its base_url", "%s.kind: %s: not in this version", where, p.Kind)
		return
	case p.Kind == "":
		d.at(p, "kinds: "+strings.Join(Kinds(), ", "), "%s: kind is missing", where)
		return
	case !known:
		d.at(&p.Kind, "kinds: "+strings.Join(Kinds(), ", "), "%s.kind: unknown kind %q%s", where, clip(p.Kind), meant(p.Kind, Kinds()))
		return
	case k.needs && p.BaseURL == "":
		d.at(p, "", "%s: kind %s needs a base_url", where, p.Kind)
	}
	if p.Kind != "azure" && (p.APIVersion != "" || len(p.Deployments) > 0) {
		d.at(p, "", "%s: api_version and deployments are for kind azure", where)
	}
	if p.APIKey != "" && !isHeaderValue(string(p.APIKey)) {
		d.at(&p.APIKey, "", "%s.api_key: holds a character that no header can", where)
	}
	for name, value := range p.Headers {
		if !headerName.MatchString(name) || !isHeaderValue(string(value)) {
			d.at(&p.Headers, "", "%s.headers: %q cannot be sent as a header", where, clip(name))
		}
	}
	for i, api := range p.APIs {
		if can := APIs(p.Kind); api != "" && !slices.Contains(can, api) {
			d.at(&p.APIs[i], p.Kind+" can be asked by "+strings.Join(can, ", "), "%s.apis: a provider of kind %s is never asked by %s", where, p.Kind, api)
		}
	}
	c.validateModels(d, where, p)
}

func (c *Config) validateModels(d *decoder, where string, p *Provider) {
	for i, m := range p.Models {
		if !isGlob(m) {
			d.at(&p.Models[i], "", "%s.models: %q is not a name or glob", where, clip(m))
		}
	}
	c.validateSaid(d, where+".models", p.Can)
	if p.BaseURL != "" && c.isSelf(p.BaseURL) && p.Kind != "mock" {
		d.at(&p.BaseURL, "", "%s.base_url: this is Weir's own address: calls would go in a circle", where)
	}
	if !p.HasKey() && c.Auth != AuthPassthrough {
		d.warn(p, "give it an api_key", "%s: it has no api_key, so calls to it are refused", where)
	}
	if strings.HasPrefix(p.BaseURL, "http://") && p.APIKey != "" && !isPrivateHost(p.BaseURL) {
		d.warn(&p.BaseURL, "use https", "%s.base_url: the key goes over the network in the clear", where)
	}
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func isHeaderValue(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}

// isPrivateHost reports whether a URL's host is this machine or a network of one's own.
func isPrivateHost(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return isLoopback(u.Hostname()) || ip != nil && (ip.IsPrivate() || ip.IsLinkLocalUnicast()) || ip == nil && !strings.Contains(u.Hostname(), ".")
}

func (c *Config) validateRoute(d *decoder, i int) {
	r := &c.Routes[i]
	where := "routes[" + strconv.Itoa(i) + "]"
	switch {
	case r.Model == "":
		d.at(r, "", "%s: model is missing", where)
	case !isGlob(r.Model):
		d.at(&r.Model, "", "%s.model: %q is not a name or glob", where, clip(r.Model))
	}
	if len(r.Targets) == 0 {
		d.at(r, "targets: [{provider: NAME, model: NAME}]", "%s: it has no targets", where)
	}
	if r.Retries > 10 {
		d.at(&r.Retries, "", "%s.retries: want at most 10", where)
	}
	d.positive(where+".timeouts", &r.Timeouts.Connect, &r.Timeouts.TTFT, &r.Timeouts.Idle, &r.Timeouts.Total)
	if room := &r.Timeouts.Room; d.lines[room] != 0 && *room == 0 {
		d.at(room, "1ms is as good as not to wait", "%s.timeouts.room: want more than 0", where)
	}
	c.validateTargets(d, where, r)
	c.warnDialects(d, where, r)
}

// warnUnreachable tells of routes that an earlier one takes everything from.
func (c *Config) warnUnreachable(d *decoder) {
	names := map[string]int{} // literal names and globs, to the route that has them
	var globs []int
	for i := range c.Routes {
		r := &c.Routes[i]
		j, taken := names[r.Model]
		for k := 0; !taken && k < len(globs); k++ {
			j, taken = globs[k], covers(c.Routes[globs[k]].Model, r.Model)
		}
		if taken {
			d.warn(r, "put the narrower route first", "routes[%d]: it is never reached: %q in line %d matches all that it does", i, c.Routes[j].Model, d.lines[&c.Routes[j].Model])
			continue
		}
		names[r.Model] = i
		if strings.ContainsAny(r.Model, `*?[`) {
			globs = append(globs, i)
		}
	}
}

func (c *Config) validateTargets(d *decoder, where string, r *Route) {
	type pair struct{ provider, model string }
	seen := map[pair]string{}
	total := 0
	each := func(list []Target, what string) {
		for i := range list {
			t := &list[i]
			here := fmt.Sprintf("%s.%s[%d]", where, what, i)
			if c.Provider(t.Provider) == nil {
				c.unknownProvider(d, here, t)
			}
			if before := seen[pair{t.Provider, t.Model}]; before != "" {
				d.at(t, "a failed target is tried again by retries", "%s: the same provider and model as %s", here, before)
			}
			seen[pair{t.Provider, t.Model}] = what + "[" + strconv.Itoa(i) + "]"
			if _, said := d.lines[&t.Weight]; !said {
				t.Weight = 1
			} else if what == "fallbacks" {
				d.at(&t.Weight, "", "%s.weight: fallbacks go in order, without weights", here)
			}
		}
	}
	each(r.Targets, "targets")
	each(r.Fallbacks, "fallbacks")
	for _, t := range r.Targets {
		total += min(t.Weight, 1)
	}
	if total == 0 && len(r.Targets) > 0 && len(d.problems) == 0 {
		d.at(&r.Targets, "", "%s.targets: all weights are 0", where)
	}
}

func (c *Config) unknownProvider(d *decoder, here string, t *Target) {
	if t.Provider == "" {
		d.at(t, "", "%s: provider is missing", here)
		return
	}
	var names []string
	for _, p := range c.Providers {
		names = append(names, p.Name)
	}
	hint := ""
	if v := byVendorName(t.Provider); v != nil && c.Discover {
		hint = "it would be found in the environment by " + strings.Join(append(slices.Clone(v.keys), v.bases...), " or ")
	}
	d.at(&t.Provider, hint, "%s.provider: unknown provider %q%s", here, clip(t.Provider), meant(t.Provider, names))
}

// warnDialects tells of targets that some of the route's callers reach with
// their conversations alone.
func (c *Config) warnDialects(d *decoder, where string, r *Route) {
	first := ""
	for _, t := range append(slices.Clone(r.Targets), r.Fallbacks...) {
		p := c.Provider(t.Provider)
		if p == nil || kinds[p.Kind].dialect == "" {
			continue
		}
		switch dialect := kinds[p.Kind].dialect; first {
		case "":
			first = dialect
		case dialect:
		default:
			d.warn(r, "docs/dialects.md says what is carried, mapped, dropped and refused", "%s: its targets speak %s and %s: conversations are carried from one to the other, other calls (embeddings, images, …) pass over it", where, first, dialect)
			return
		}
	}
}

// isGlob reports whether a text is a name or a well-formed glob of names.
func isGlob(s string) bool {
	_, err := path.Match(s, "")
	return s != "" && err == nil
}

// covers reports whether all names that b matches are surely matched by a.
func covers(a, b string) bool {
	if a == b || a == "*" {
		return true
	}
	if !strings.ContainsAny(b, `*?[\`) {
		flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x01") } // model names have slashes
		ok, err := path.Match(flat(a), flat(b))
		return err == nil && ok
	}
	prefix, star := strings.CutSuffix(a, "*")
	return star && !strings.ContainsAny(prefix, `*?[\`) && strings.HasPrefix(b, prefix)
}
