package wire

import (
	"strconv"
)

// A Dialect is how one vendor's API speaks to its clients.
type Dialect interface {
	// Name is openai, anthropic or gemini.
	Name() string
	// Error is the JSON body of an error reply.
	Error(f Failure) []byte
	// StreamError is the event, or events, that tell a failure inside a
	// stream of the API, ended by a blank line.
	StreamError(api API, f Failure) []byte
	// Ping is what keeps a silent stream of the API alive; nil: nothing does.
	Ping(api API) []byte
}

// A Failure is an error to be told to a client.
type Failure struct {
	Status    int    // HTTP status that it has, or would have had
	Code      string // a stable word; "" = none
	Type      string // the vendor's class of error; "" = by the status
	Message   string
	Param     string // the request's member at fault; "" = none
	RequestID string // "" = left out
	Sequence  int64  // Responses streams: the sequence_number to use
}

// The dialects.
var (
	OpenAI    Dialect = openAI{}
	Anthropic Dialect = anthropic{}
	Gemini    Dialect = gemini{}
)

type openAI struct{}

func (openAI) Name() string { return "openai" }

// Error is {"error":{message,type,param,code}}; param and code are strings or null.
func (openAI) Error(f Failure) []byte {
	b := append([]byte(nil), `{"error":{"message":`...)
	b = appendQuoted(b, f.Message)
	b = append(b, `,"type":`...)
	b = appendQuoted(b, f.openAIType())
	b = append(b, `,"param":`...)
	b = appendOrNull(b, f.Param)
	b = append(b, `,"code":`...)
	b = appendOrNull(b, f.Code)
	return append(b, "}}"...)
}

// openAIType is as OpenAI writes it: a wrong key and an unknown model too are
// invalid_request_error, and told apart by their code.
func (f Failure) openAIType() string {
	switch {
	case f.Type != "":
		return f.Type
	case f.Status == 403:
		return "permission_error"
	case f.Status == 429:
		return "rate_limit_error"
	case f.Status >= 500:
		return "server_error"
	}
	return "invalid_request_error"
}

// StreamError is a data event with the error body, as OpenAI's clients look
// for an "error" member; a Responses stream has an event of its own.
func (d openAI) StreamError(api API, f Failure) []byte {
	if api != Responses {
		b := append([]byte("data: "), d.Error(f)...)
		return append(b, "\n\n"...)
	}
	b := append([]byte(nil), "event: error\ndata: {\"type\":\"error\",\"code\":"...)
	b = appendOrNull(b, f.Code)
	b = append(b, `,"message":`...)
	b = appendQuoted(b, f.Message)
	b = append(b, `,"param":`...)
	b = appendOrNull(b, f.Param)
	b = append(b, `,"sequence_number":`...)
	b = strconv.AppendInt(b, f.Sequence, 10)
	return append(b, "}\n\n"...)
}

func (openAI) Ping(API) []byte { return []byte(": ping\n\n") }

type anthropic struct{}

func (anthropic) Name() string { return "anthropic" }

// Error is {"type":"error","error":{type,message},"request_id"}.
func (anthropic) Error(f Failure) []byte {
	b := append([]byte(nil), `{"type":"error","error":{"type":`...)
	b = appendQuoted(b, f.anthropicType())
	b = append(b, `,"message":`...)
	b = appendQuoted(b, f.Message)
	b = append(b, '}')
	if f.RequestID != "" {
		b = append(b, `,"request_id":`...)
		b = appendQuoted(b, f.RequestID)
	}
	return append(b, '}')
}

// anthropicType follows docs.anthropic.com "Errors".
func (f Failure) anthropicType() string {
	if f.Type != "" {
		return f.Type
	}
	switch f.Status {
	case 401:
		return "authentication_error"
	case 402:
		return "billing_error"
	case 403:
		return "permission_error"
	case 404:
		return "not_found_error"
	case 413:
		return "request_too_large"
	case 429:
		return "rate_limit_error"
	case 408, 504:
		return "timeout_error"
	case 503, 529:
		return "overloaded_error"
	}
	if f.Status >= 500 {
		return "api_error"
	}
	return "invalid_request_error"
}

func (d anthropic) StreamError(_ API, f Failure) []byte {
	b := append([]byte("event: error\ndata: "), d.Error(f)...)
	return append(b, "\n\n"...)
}

func (anthropic) Ping(API) []byte { return []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n") }

type gemini struct{}

func (gemini) Name() string { return "gemini" }

// Error is google.rpc.Status as Google's APIs write it: {"error":{code,message,status}}.
func (gemini) Error(f Failure) []byte {
	b := append([]byte(nil), `{"error":{"code":`...)
	b = strconv.AppendInt(b, int64(f.Status), 10)
	b = append(b, `,"message":`...)
	b = appendQuoted(b, f.Message)
	b = append(b, `,"status":`...)
	b = appendQuoted(b, f.geminiStatus())
	if f.Code != "" {
		b = append(b, `,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":`...)
		b = appendQuoted(b, f.Code)
		b = append(b, `,"domain":"weir"}]`...)
	}
	return append(b, "}}"...)
}

// geminiStatus is the google.rpc.Code that belongs to an HTTP status.
func (f Failure) geminiStatus() string {
	if f.Type != "" {
		return f.Type
	}
	switch f.Status {
	case 401:
		return "UNAUTHENTICATED"
	case 403:
		return "PERMISSION_DENIED"
	case 404:
		return "NOT_FOUND"
	case 409:
		return "ABORTED"
	case 429:
		return "RESOURCE_EXHAUSTED"
	case 499:
		return "CANCELLED"
	case 501:
		return "UNIMPLEMENTED"
	case 502, 503, 529:
		return "UNAVAILABLE"
	case 408, 504:
		return "DEADLINE_EXCEEDED"
	}
	if f.Status >= 500 {
		return "INTERNAL"
	}
	return "INVALID_ARGUMENT"
}

func (d gemini) StreamError(_ API, f Failure) []byte {
	b := append([]byte("data: "), d.Error(f)...)
	return append(b, "\r\n\r\n"...)
}

// Ping is a blank line, which ends no event. A comment would be more usual,
// but google-genai for Python takes every line that is not data for JSON.
func (gemini) Ping(API) []byte { return []byte("\r\n") }

func appendOrNull(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendQuoted(b, s)
}
