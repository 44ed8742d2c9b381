// Package ledger owns the record of what was asked, tried and used: calls,
// attempts, virtual keys and projects. A Recorder takes rows through a durable
// spool into the store; Queries read them back.
package ledger

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"weir/costs"
)

// Outcome says how a call ended.
type Outcome string

// The outcomes of a call.
const (
	// OK is a complete reply with a status below 400.
	OK Outcome = "ok"
	// Failed is an error reply, an upstream's or ours, or a stream that broke.
	Failed Outcome = "error"
	// Aborted means the client went away before the reply was whole.
	Aborted Outcome = "aborted"
	// Interrupted means the process died in mid-call; written by the replay of the spool.
	Interrupted Outcome = "interrupted"
)

// UsageSource says where the token counts come from. Empty means that nothing
// is known of the usage.
type UsageSource string

// The sources of usage, best first.
const (
	// FromProvider is the upstream's own final figure.
	FromProvider UsageSource = "provider"
	// Partial is the upstream's own figure, but not its last: the stream broke after it.
	Partial UsageSource = "partial"
	// Estimated is our own count of the text that passed.
	Estimated UsageSource = "estimated"
	// Unmetered marks a raw pass-through whose usage cannot be read.
	Unmetered UsageSource = "unmetered"
)

// IsCallID reports whether a text has the form of a call's id, be there such a
// call or not.
func IsCallID(s string) bool {
	digits, ok := strings.CutPrefix(s, "call_")
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

// A Call is one client request to Weir: the unit that users count.
// Empty strings and nil mean "not given". Times are UTC; durations count from Start.
type Call struct {
	ID    string    `json:"id"` // "call_" and 32 hex digits of a UUIDv7: sorts by time
	Start time.Time `json:"start"`

	ProjectID string            `json:"project_id,omitzero"`
	KeyID     string            `json:"key_id,omitzero"`
	Customer  string            `json:"customer,omitzero"`
	Feature   string            `json:"feature,omitzero"`
	Session   string            `json:"session,omitzero"`
	User      string            `json:"user,omitzero"`     // OpenAI user or safety_identifier, Anthropic metadata.user_id
	Tags      map[string]string `json:"tags,omitzero"`     // x-weir-tags over the key's defaults
	Metadata  map[string]string `json:"metadata,omitzero"` // the request's own metadata member
	UserAgent string            `json:"user_agent,omitzero"`
	TraceID   string            `json:"trace_id,omitzero"` // 32 hex digits

	Dialect    string `json:"dialect"`              // openai | anthropic | gemini
	API        string `json:"api"`                  // chat, responses, messages … ; raw
	Method     string `json:"method"`               // HTTP method
	Path       string `json:"path"`                 // without the query
	AskedModel string `json:"asked_model,omitzero"` // as the client wrote it
	Route      string `json:"route,omitzero"`       // the route's model pattern; empty: no route was needed
	Stream     bool   `json:"stream,omitzero"`

	Provider    string `json:"provider,omitzero"`     // whose reply the client got
	Model       string `json:"model,omitzero"`        // the model asked of that provider
	ServedModel string `json:"served_model,omitzero"` // the model that the provider says it served

	Status     int     `json:"status"`               // the HTTP status sent; 499: the client had gone before one was sent; 0: interrupted
	Outcome    Outcome `json:"outcome"`              // how it ended
	ErrorClass string  `json:"error_class,omitzero"` // a stable word: rate_limited, upstream_truncated …
	StopReason string  `json:"stop_reason,omitzero"` // as the upstream wrote it

	Usage       costs.Usage `json:"usage,omitzero"` // of the attempt that answered
	UsageSource UsageSource `json:"usage_source,omitzero"`

	Cost       Amount     `json:"cost_usd,omitzero"`    // of all attempts; unknown where that of one is
	CostSource CostSource `json:"cost_source,omitzero"` // the worst of the attempts'

	Queue    time.Duration `json:"queue_ns,omitzero"` // from the request's arrival to the first attempt
	TTFT     time.Duration `json:"ttft_ns,omitzero"`  // to the first content event; 0: none came
	Total    time.Duration `json:"total_ns"`          // to the reply's last byte
	BytesIn  int64         `json:"bytes_in"`          // request body
	BytesOut int64         `json:"bytes_out"`         // reply body

	Dropped  []string  `json:"dropped,omitzero"` // request members that were not carried upstream
	Attempts []Attempt `json:"attempts,omitzero"`

	AttemptCount int `json:"attempt_count,omitzero"` // set by queries, which may leave the attempts out
}

// An Attempt is one try at one upstream inside a call. Money is spent by attempts.
type Attempt struct {
	N        int           `json:"n"`        // 1, 2, …
	Provider string        `json:"provider"` // as configured
	Model    string        `json:"model,omitzero"`
	API      string        `json:"api,omitzero"` // that the upstream was asked by; RawUsage is in its words
	Start    time.Duration `json:"start_ns"`     // from the call's start
	TTFT     time.Duration `json:"ttft_ns,omitzero"`
	Total    time.Duration `json:"total_ns"`

	Status      int    `json:"status,omitzero"` // 0: no response came
	ErrorClass  string `json:"error_class,omitzero"`
	StopReason  string `json:"stop_reason,omitzero"`
	ServedModel string `json:"served_model,omitzero"`
	ServiceTier string `json:"service_tier,omitzero"` // the tier that the provider says it used
	RequestID   string `json:"request_id,omitzero"`   // the upstream's x-request-id or request-id

	Usage       costs.Usage `json:"usage,omitzero"`
	UsageSource UsageSource `json:"usage_source,omitzero"`
	RawUsage    RawJSON     `json:"raw_usage,omitzero"` // the usage JSON exactly as the provider sent it

	Inconsistent bool `json:"usage_inconsistent,omitzero"` // the usage does not add up to the provider's own totals
	Wasted       bool `json:"wasted,omitzero"`             // what it made reached no client whole
	Charge
	Adjustments []Adjustment `json:"adjustments,omitzero"` // the last one is in Charge; set by queries
}

// RawJSON is JSON text as it came. What is none after all is shown as a string.
type RawJSON []byte

// MarshalJSON returns the text itself.
func (r RawJSON) MarshalJSON() ([]byte, error) {
	switch {
	case len(r) == 0:
		return []byte("null"), nil
	case json.Valid(r):
		return r, nil
	}
	return json.Marshal(string(r))
}

// UnmarshalJSON keeps the text as it is.
func (r *RawJSON) UnmarshalJSON(text []byte) error {
	*r = append((*r)[:0], text...)
	return nil
}

// Bodies are what a call carried, kept only where capture is on.
type Bodies struct {
	CallID    string
	At        time.Time
	Request   []byte
	Response  []byte
	Truncated bool // cut at the capture limit
}

// MarshalJSON shows bodies as text, and in base64 where they are none.
func (b Bodies) MarshalJSON() ([]byte, error) {
	var out struct {
		CallID    string    `json:"call_id"`
		At        time.Time `json:"at"`
		Request   string    `json:"request,omitzero"`
		Response  string    `json:"response,omitzero"`
		Request64 []byte    `json:"request_base64,omitzero"`
		Reply64   []byte    `json:"response_base64,omitzero"`
		Truncated bool      `json:"truncated,omitzero"`
	}
	out.CallID, out.At, out.Truncated = b.CallID, b.At, b.Truncated
	if utf8.Valid(b.Request) {
		out.Request = string(b.Request)
	} else {
		out.Request64 = b.Request
	}
	if utf8.Valid(b.Response) {
		out.Response = string(b.Response)
	} else {
		out.Reply64 = b.Response
	}
	return json.Marshal(out)
}
