package config

import "log/slog"

// A Secret prints as "(set)" whatever way it is printed, encoded or logged.
// string(s) is the only way to its value.
type Secret string

// String returns "(set)", or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(set)"
}

// GoString is String in quotes.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText keeps encoders from the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps logs from the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
