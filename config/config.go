// Package config reads one YAML file into a Config: every key is optional,
// every problem of the file is reported at once with its line. One table
// (table.go) makes the reader, the redacted view and the JSON schema, so that
// they cannot drift apart.
package config

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/costs"
	"weir/internal/capability"
)

// A Config is a valid configuration, its defaults filled in.
type Config struct {
	File string            // where it was read from; "" = there is none
	Sum  [sha256.Size]byte // of the file's text

	Listen      string   // of the data plane, host:port
	Hosts       []string // further names that the data listener answers to
	TLS         TLS      // of the data listener
	Admin       Admin
	Auth        Auth
	Secret      Secret // HMAC pepper; "" = made once in DataDir
	DataDir     string // secrets made at first start, and the defaults of Store and Spool
	Store       string // a DSN, sqlite:PATH
	Redis       Secret // a URL, which may have a password; "" = none
	RedisPrefix string // "" = weir:
	Spool       Spool
	Keepalive   time.Duration // 0 = never
	MaxBody     int64         // bytes
	BodyTimeout time.Duration
	Drain       Drain
	Shutdown    time.Duration // how long calls under way may take to end at a stop
	Discover    bool          // providers were added from the environment
	Providers   []Provider    // in the order of the file, then of the environment
	Routes      []Route
	Limits      []Limit
	Alerts      Alerts
	Models      []capability.Said // what models can do, against what is known of their names
	Prices      Prices
	Capture     Capture
	Responses   Responses
	Telemetry   Telemetry
	Log         Log

	Warnings []Problem // what is allowed but hardly meant
}

// Auth is who may call.
type Auth string

// The authentication modes.
const (
	AuthOff         Auth = "off"
	AuthKeys        Auth = "keys"
	AuthPassthrough Auth = "passthrough"
)

// Admin configures the admin listener.
type Admin struct {
	Listen string
	Hosts  []string // further names that it answers to
	Token  Secret   // "" = made once in DataDir
}

// TLS names the files of a certificate. Both empty: plain HTTP.
type TLS struct{ Cert, Key string }

// Spool configures the durable queue in front of the store.
type Spool struct {
	Dir      string
	Max      int64  // bytes
	WhenFull string // refuse | serve
}

// Drain says how long a stream is read on after its client has gone. Zero: not at all.
type Drain struct {
	Time  time.Duration
	Bytes int64
}

// A Provider is an upstream account.
type Provider struct {
	Name        string
	Kind        string // a name of Kinds
	BaseURL     string // "" = the kind's own
	APIKey      Secret // "" = none
	APIVersion  string
	Deployments map[string]string // azure: model → deployment
	Models      []string          // names and globs that it is known to serve
	Can         []capability.Said // what they can do there; goes before Config.Models
	Headers     map[string]Secret // sent with every request
	APIs        []string          // that it is asked by; nil = those that its kind has
	PriceAs     string            // whose prices it has; "" = see PricedAs
	GPUHour     costs.Money       // what an hour of a GPU costs; 0 = not self-hosted
	PriceTerms  costs.Terms       // what else decides its prices: Region, Residency, Endpoint, Tier, GPUs
	From        string            // the environment variable that it was found by; "" = the file
}

// A Route maps a name or glob onto targets.
type Route struct {
	Model     string
	Targets   []Target
	Fallbacks []Target
	Retries   int
	Timeouts  Timeouts
	Lossy     bool // across dialects: leave out, and say, what would change the meaning
}

// A Target is a provider and the model asked of it.
type Target struct {
	Provider string
	Model    string // "" = the asked name
	Weight   int    // default 1; only the ratio counts
}

// Timeouts of a route. Zero: the data plane's defaults.
type Timeouts struct{ Connect, TTFT, Idle, Total, Room time.Duration }

// Capture says which bodies are kept, how much of each, and for how long.
type Capture struct {
	Bodies    bool
	MaxBytes  int64
	Retention time.Duration
}

// Responses says which replies of the Responses API Weir keeps for upstreams
// that keep none, and for how long. A request's own store goes before State.
type Responses struct {
	State     bool
	Retention time.Duration
}

// Telemetry configures traces. The zero Telemetry sends none.
type Telemetry struct {
	OTLP   string  // endpoint URL
	Sample float64 // share of new traces, 0 to 1
}

// Log configures Weir's own log.
type Log struct {
	Level  slog.Level
	Format string // json | text
}

// maxFile bounds a configuration file.
const maxFile = 4 << 20

// An Env looks a variable up, like os.LookupEnv.
type Env func(name string) (string, bool)

// Load reads a file; "" is the configuration without one. An error that
// comes from what the file says is Problems.
func Load(path string, env Env) (*Config, error) {
	if path == "" {
		return Parse("", nil, env)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return Parse(path, text, env)
}

// Parse reads the text of a file. name is for messages; "" means that there
// is no file, only an environment.
func Parse(name string, text []byte, env Env) (*Config, error) {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	d := &decoder{file: name, env: env, lines: map[any]int{}}
	c := &Config{
		File: name, Sum: sha256.Sum256(text), Listen: "127.0.0.1:8080", Admin: Admin{Listen: "127.0.0.1:8081"},
		Spool:     Spool{Max: 4 << 30, WhenFull: "refuse"},
		Keepalive: 15 * time.Second, MaxBody: 256 << 20, BodyTimeout: 5 * time.Minute,
		Shutdown:  30 * time.Second,
		Capture:   Capture{MaxBytes: 256 << 10, Retention: 30 * 24 * time.Hour},
		Responses: Responses{Retention: 30 * 24 * time.Hour},
		Telemetry: Telemetry{Sample: 1},
		Log:       Log{Format: "json"},
	}
	if root := d.parse(text); root != nil {
		table.read(d, root, c)
	}
	if d.nodes < maxNodes {
		c.complete(d)
		c.validate(d)
	}
	if len(d.problems) > 0 {
		return nil, d.problems.sorted()
	}
	c.Warnings = d.warnings.sorted()
	return c, nil
}

// complete fills in what follows from the rest of the file or from the
// environment.
func (c *Config) complete(d *decoder) {
	if c.DataDir == "" {
		c.DataDir = "data"
		if path, ok := strings.CutPrefix(c.Store, "sqlite:"); ok && path != "" {
			c.DataDir = filepath.Dir(path)
		}
	}
	if c.Store == "" {
		c.Store = "sqlite:" + filepath.Join(c.DataDir, "weir.db")
	}
	if c.Spool.Dir == "" {
		c.Spool.Dir = filepath.Join(c.DataDir, "spool")
	}
	fromEnv := func(name string) string { v, _ := d.env(name); return v }
	if c.Admin.Token == "" {
		c.Admin.Token = Secret(fromEnv("WEIR_ADMIN_TOKEN"))
	}
	if c.Secret == "" {
		c.Secret = Secret(fromEnv("WEIR_SECRET"))
	}
	if c.Telemetry.OTLP == "" && fromEnv("OTEL_SDK_DISABLED") != "true" && fromEnv("OTEL_TRACES_EXPORTER") != "none" {
		c.Telemetry.OTLP = fromEnv("OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	c.completeProviders(d)
}

// Provider returns the provider of that name, or nil.
func (c *Config) Provider(name string) *Provider {
	for i := range c.Providers {
		if c.Providers[i].Name == name {
			return &c.Providers[i]
		}
	}
	return nil
}

// Redacted returns the configuration as JSON-ready values under the file's
// own names. A secret shows as "(set)".
func (c *Config) Redacted() any { return table.show(*c) }
