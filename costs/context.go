package costs

import (
	"fmt"
	"strconv"
	"strings"
)

// contextKeys are the words that SetContext knows beside meters, with the
// dimension that they set.
var contextKeys = map[string]func(*Terms, string){
	"tier":                func(t *Terms, v string) { t.Tier = v },
	"service_tier":        func(t *Terms, v string) { t.Tier = v },
	"speed":               func(t *Terms, v string) { t.Speed = v },
	"residency":           func(t *Terms, v string) { t.Residency = v },
	"inference_geo":       func(t *Terms, v string) { t.Residency = v },
	"region":              func(t *Terms, v string) { t.Region = v },
	"search_context_size": func(t *Terms, v string) { t.SearchContextSize = v },
	"search_type":         func(t *Terms, v string) { t.SearchType = v },
	"endpoint":            func(t *Terms, v string) { t.Endpoint = v },
	"resolution":          func(t *Terms, v string) { t.Resolution = v },
	"served":              func(t *Terms, v string) { t.Served = v },
}

// ContextKeys are the names that SetContext takes, beside those of meters.
func ContextKeys() []string {
	return []string{
		"tier", "batch", "speed", "residency", "region", "search_context_size", "search_type", "endpoint", "resolution",
		"served", "gpu_hour", "gpu_seconds", "gpus",
	}
}

// Context says what decides a price beside the usage and the price of a
// GPU-hour, in SetContext's words: batch=true,search_context_size=high.
func (t *Terms) Context() string {
	b := make([]byte, 0, 64)
	word := func(name, value string) {
		if value == "" || strings.ContainsAny(value, ",=") {
			return
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, name...), '='), value...)
	}
	if t.Batch {
		word("batch", "true")
	}
	word("tier", t.Tier)
	word("speed", t.Speed)
	word("residency", t.Residency)
	word("region", t.Region)
	word("search_context_size", t.SearchContextSize)
	word("search_type", t.SearchType)
	word("endpoint", t.Endpoint)
	word("resolution", t.Resolution)
	if t.GPUs > 0 {
		word("gpus", strconv.FormatInt(t.GPUs, 10))
	}
	return string(b)
}

// ReadContext is the inverse of Context. What it does not know it passes over.
func (t *Terms) ReadContext(text string) {
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		if set := contextKeys[name]; set != nil {
			set(t, value)
		} else if name == "batch" {
			t.Batch = value == "true"
		} else if n, err := wholeNumber(value); name == "gpus" && err == nil {
			t.GPUs = n
		}
	}
}

// secondsOf are meters of time by the words for their seconds.
var secondsOf = map[string]Meter{"audio_seconds": AudioMicros, "seconds": AudioMicros, "audio_out_seconds": AudioOutMicros, "video_seconds": VideoMicros}

// vendorWords are meters by the vendors' words for them.
var vendorWords = map[string]Meter{
	"web_search_requests": WebSearches, "web_search_calls": WebSearches,
	"web_search_queries": SearchQueries, "grounding_queries": SearchQueries, "webSearchQueries": SearchQueries,
	"grounding_prompts": GroundedPrompts, "grounded_requests": GroundedPrompts,
	"file_search_calls": FileSearches, "code_interpreter_sessions": CodeSessions, "search_units": RerankUnits,
}

// SetContext sets, by a word, what decides a price and isn't in the usage that
// a vendor sends. A meter's name sets that meter: what came beside the usage
// object, such as the number of searches.
func (t *Terms) SetContext(u *Usage, key, value string) error {
	if set := contextKeys[key]; set != nil {
		set(t, value)
		return nil
	}
	switch key {
	case "batch":
		switch strings.ToLower(value) {
		case "true", "1", "yes":
			t.Batch = true
		case "false", "0", "no":
			t.Batch = false
		default:
			return fmt.Errorf("read batch: want true or false, got %q", value)
		}
		return nil
	case "gpu_hour":
		m, err := ParseUSD(value)
		if err == nil && m.Sign() <= 0 {
			err = errMoney
		}
		t.GPUHour = m
		return wrapContext(key, err)
	case "gpu_seconds":
		n, err := millionths(value)
		t.GPUMicros = n
		return wrapContext(key, err)
	case "gpus":
		n, err := wholeNumber(value)
		if err == nil && n < 1 {
			err = fmt.Errorf("want 1 or more, got %d", n)
		}
		t.GPUs = n
		return wrapContext(key, err)
	}
	if m, ok := secondsOf[key]; ok {
		n, err := millionths(value)
		u.Set(m, n)
		return wrapContext(key, err)
	}
	if m, ok := vendorWords[key]; ok {
		key = m.String()
	}
	m, err := ParseMeter(key)
	if err != nil {
		return fmt.Errorf("unknown context %q%s", clip(key), didYouMean(key, ContextKeys()))
	}
	n, err := wholeNumber(value)
	u.Set(m, n)
	return wrapContext(key, err)
}

func wrapContext(key string, err error) error {
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}

// millionths reads a decimal number of seconds as microseconds.
func millionths(s string) (int64, error) {
	m, err := ParseUSD(s)
	if err != nil || strings.Contains(s, "$") || m.Sign() < 0 {
		return 0, fmt.Errorf("want seconds like 1.2, got %q", clip(s))
	}
	nano, atto := m.Parts()
	if nano%1000 != 0 || atto != 0 {
		return 0, fmt.Errorf("finer than a microsecond: %q", clip(s))
	}
	return nano / 1000, nil
}

func wholeNumber(s string) (int64, error) {
	m, err := ParseUSD(s)
	if err != nil || strings.Contains(s, "$") || m.Sign() < 0 {
		return 0, fmt.Errorf("want a whole number, got %q", clip(s))
	}
	nano, atto := m.Parts()
	if nano%nanoUnits != 0 || atto != 0 {
		return 0, fmt.Errorf("want a whole number, got %q", clip(s))
	}
	return nano / nanoUnits, nil
}
