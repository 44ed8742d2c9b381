package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
)

// A kindInfo is what the configuration must know of a kind of provider; the
// data plane has a table of its own with the rest.
type kindInfo struct {
	dialect string // "" = all
	needs   bool   // a base_url
	keyless bool
	apis    string // that its setting apis may name, by words
}

const openAIs = "chat responses completions embeddings moderations images speech transcriptions rerank"

var kinds = map[string]kindInfo{
	"openai":    {dialect: "openai", apis: openAIs + " messages"},
	"azure":     {dialect: "openai", needs: true, apis: openAIs},
	"anthropic": {dialect: "anthropic", apis: "messages chat"},
	"gemini":    {dialect: "gemini", apis: "generate embeddings"},
	"ollama":    {dialect: "openai", keyless: true, apis: openAIs + " messages"},
	"vllm":      {dialect: "openai", keyless: true, apis: openAIs + " messages"},
	"mock":      {keyless: true, apis: openAIs + " messages generate"},
}

// apiNames are the APIs that a provider may be asked by.
var apiNames = strings.Fields(kinds["mock"].apis)

// APIs returns the names that the setting apis of a kind of provider may have.
func APIs(kind string) []string { return strings.Fields(kinds[kind].apis) }

var apiShape = word("an API", strings.Join(apiNames, "|"), nil, func(s string) (string, error) {
	if !slices.Contains(apiNames, s) {
		return "", fmt.Errorf("want one of %s, got %q%s", strings.Join(apiNames, ", "), clip(s), meant(s, apiNames))
	}
	return s, nil
}, func(s string) any { return s })

// laterKinds are known by name and refused by name.
var laterKinds = []string{"bedrock", "vertex", "sglang", "llamacpp", "tgi", "cohere"}

// Kinds returns the names of the kinds of provider, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Dialect returns the API that a kind speaks; "" is all of them.
func Dialect(kind string) string { return kinds[kind].dialect }

// HasKey reports whether a call could be made in the provider's own name: it
// has a key, or a header that may hold one, or needs none.
func (p *Provider) HasKey() bool {
	return p.APIKey != "" || len(p.Headers) > 0 || kinds[p.Kind].keyless
}

var kindShape = word("a kind", strings.Join(Kinds(), "|"), nil, asString, func(s string) any { return s })

// A vendor is a well-known provider: how it is found in an environment, and
// what a file need not say of it. The base URLs are those of the vendors' own
// documentation.
type vendor struct {
	name     string
	kind     string
	base     string   // "" = the kind's own
	keys     []string // variables of its key, the first that is set counts
	bases    []string // variables that move its base URL
	keyless  bool     // a variable of bases is enough to find it
	versions string   // variable of its API version
}

var vendors = []vendor{
	{name: "openai", kind: "openai", keys: []string{"OPENAI_API_KEY"}, bases: []string{"OPENAI_BASE_URL"}},
	{name: "anthropic", kind: "anthropic", keys: []string{"ANTHROPIC_API_KEY"}, bases: []string{"ANTHROPIC_BASE_URL"}},
	{name: "gemini", kind: "gemini", keys: []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"}, bases: []string{"GOOGLE_GEMINI_BASE_URL"}},
	{name: "azure", kind: "azure", keys: []string{"AZURE_OPENAI_API_KEY"}, bases: []string{"AZURE_OPENAI_ENDPOINT"}, versions: "OPENAI_API_VERSION"},
	{name: "groq", kind: "openai", base: "https://api.groq.com/openai/v1", keys: []string{"GROQ_API_KEY"}},
	{name: "mistral", kind: "openai", base: "https://api.mistral.ai/v1", keys: []string{"MISTRAL_API_KEY"}},
	{name: "deepseek", kind: "openai", base: "https://api.deepseek.com/v1", keys: []string{"DEEPSEEK_API_KEY"}},
	{name: "xai", kind: "openai", base: "https://api.x.ai/v1", keys: []string{"XAI_API_KEY"}},
	{name: "openrouter", kind: "openai", base: "https://openrouter.ai/api/v1", keys: []string{"OPENROUTER_API_KEY"}},
	{name: "together", kind: "openai", base: "https://api.together.xyz/v1", keys: []string{"TOGETHER_API_KEY"}},
	{name: "fireworks", kind: "openai", base: "https://api.fireworks.ai/inference/v1", keys: []string{"FIREWORKS_API_KEY"}},
	{name: "cerebras", kind: "openai", base: "https://api.cerebras.ai/v1", keys: []string{"CEREBRAS_API_KEY"}},
	{name: "perplexity", kind: "openai", base: "https://api.perplexity.ai", keys: []string{"PERPLEXITY_API_KEY"}},
	{name: "nvidia", kind: "openai", base: "https://integrate.api.nvidia.com/v1", keys: []string{"NVIDIA_API_KEY"}},
	{name: "ollama", kind: "ollama", bases: []string{"OLLAMA_HOST"}, keyless: true},
}

// byVendorName finds a vendor by what people call its account.
func byVendorName(name string) *vendor {
	if name == "claude" {
		name = "anthropic"
	}
	for i := range vendors {
		if vendors[i].name == name {
			return &vendors[i]
		}
	}
	return nil
}

// byKind finds the vendor whose own API a kind is.
func byKind(kind string) *vendor {
	if v := byVendorName(kind); v != nil && v.kind == kind && v.base == "" {
		return v
	}
	return nil
}

// Variables returns the environment variables that providers are found by.
func Variables() []string {
	var out []string
	for _, v := range vendors {
		out = append(out, v.keys...)
		if v.keyless {
			out = append(out, v.bases...)
		}
	}
	return out
}

// first returns the first variable that is set, and its value.
func (d *decoder) first(names []string) (name, value string) {
	for _, name := range names {
		if v, _ := d.env(name); strings.TrimSpace(v) != "" {
			return name, strings.TrimSpace(v)
		}
	}
	return "", ""
}

// completeProviders fills in what the well-known names leave out, and adds
// the providers of the environment.
func (c *Config) completeProviders(d *decoder) {
	for i := range c.Providers {
		c.Providers[i].fill(d, c.Auth)
	}
	if _, said := d.lines[&c.Discover]; !said {
		c.Discover = len(c.Providers) == 0
	}
	if !c.Discover {
		return
	}
	for _, v := range vendors {
		if p, ok := v.find(d, c); ok && c.Provider(p.Name) == nil {
			c.Providers = append(c.Providers, p)
		}
	}
}

// fill takes the kind, base URL and key of a well-known provider for what the
// file leaves out. A key from the environment goes to its vendor's own host
// only, and never where the clients bring theirs.
func (p *Provider) fill(d *decoder, auth Auth) {
	v := byVendorName(p.Name)
	if p.Kind == "" {
		if v == nil && kinds[p.Name] != (kindInfo{}) {
			p.Kind = p.Name
		}
		if v != nil {
			p.Kind = v.kind
			if p.BaseURL == "" {
				p.BaseURL = v.base
			}
		}
	}
	if v == nil || v.kind != p.Kind || v.base != p.BaseURL {
		v = byKind(p.Kind)
	}
	if _, said := d.lines[&p.APIKey]; said || v == nil || p.BaseURL != v.base || kinds[p.Kind].needs || auth == AuthPassthrough {
		return
	}
	_, value := d.first(v.keys)
	p.APIKey = Secret(value)
}

// find returns the vendor's provider if the environment has what it takes.
func (v *vendor) find(d *decoder, c *Config) (Provider, bool) {
	p := Provider{Name: v.name, Kind: v.kind, BaseURL: v.base}
	from, key := d.first(v.keys)
	moved, base := d.first(v.bases)
	if v.keyless {
		from = moved
	}
	if from == "" || kinds[v.kind].needs && base == "" {
		return p, false
	}
	p.From, p.APIKey = from, Secret(key)
	if v.versions != "" {
		_, p.APIVersion = d.first([]string{v.versions})
	}
	if base == "" {
		return p, true
	}
	if v.kind == "ollama" {
		base = ollamaBase(base)
	}
	if what := checkURL(base); what != "" {
		d.warn(nil, "", "%s: %s: %s is not used", moved, what, v.name)
		return p, false
	}
	if c.isSelf(base) { // set for SDKs that are to come to Weir
		if !kinds[v.kind].needs && !v.keyless {
			return p, true
		}
		return p, false
	}
	p.BaseURL = base
	return p, true
}

// ollamaBase turns what OLLAMA_HOST may be (host, host:port, URL; also the
// address that a server binds) into a base URL.
func ollamaBase(s string) string {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	host, port := u.Hostname(), u.Port()
	if port == "" && u.Scheme == "http" {
		port = "11434"
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	u.Host = host
	if port != "" {
		u.Host = net.JoinHostPort(host, port)
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/v1") + "/v1"
	return u.String()
}

// isSelf reports whether a URL is this Weir's own data listener, which would
// send every call around in a circle.
func (c *Config) isSelf(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || u.Port() != port {
		return false
	}
	return u.Hostname() == host || isLoopback(u.Hostname()) && (isLoopback(host) || isAny(host))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func isAny(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
