package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"weir/proxy/wire"
)

// A Code names why Weir itself refused or failed a call: a stable word that
// clients, logs and metrics switch on.
type Code string

// The codes, each with the HTTP status it is sent with.
const (
	BadRequest         Code = "invalid_request"             // 400
	ContextExceeded    Code = "context_length_exceeded"     // 400, OpenAI's own word
	NotCapable         Code = "model_not_capable"           // 400
	PreviousNotFound   Code = "previous_response_not_found" // 400
	Unauthorized       Code = "invalid_api_key"             // 401
	Forbidden          Code = "permission_denied"           // 403
	NotFound           Code = "not_found"                   // 404
	ModelNotFound      Code = "model_not_found"             // 404
	BadMethod          Code = "method_not_allowed"          // 405
	SlowBody           Code = "request_timeout"             // 408
	RateLimited        Code = "rate_limit_exceeded"         // 429, OpenAI's own word
	BudgetSpent        Code = "insufficient_quota"          // 429, OpenAI's own word: a budget is spent, or cannot tell what the call costs
	CostExceeded       Code = "max_cost_exceeded"           // 400: x-weir-max-cost-usd
	BodyTooLarge       Code = "request_too_large"           // 413
	BadMediaType       Code = "unsupported_media_type"      // 415
	ClientGone         Code = "client_gone"                 // 499, never sent
	Internal           Code = "internal_error"              // 500
	NotInThisVersion   Code = "not_in_this_version"         // 501
	UpstreamFailed     Code = "upstream_unreachable"        // 502
	UpstreamInvalid    Code = "upstream_invalid"            // 502
	UpstreamTruncated  Code = "upstream_truncated"          // 502
	UpstreamError      Code = "upstream_error"              // 502: an error event in a stream
	RecorderFull       Code = "recorder_full"               // 503
	StoreDown          Code = "store_unavailable"           // 503
	ShuttingDown       Code = "shutting_down"               // 503
	UpstreamTimeout    Code = "upstream_timeout"            // 504
	CallTimeout        Code = "timeout"                     // 504
	KeyNotForThisModel Code = "model_not_allowed"           // 403
	NoProvider         Code = "no_provider"                 // 400
	AmbiguousProvider  Code = "provider_required"           // 400
	ForeignDialect     Code = "dialect_not_carried"         // 400
	NoProviderKey      Code = "provider_key_missing"        // 401
	ConflictingKeys    Code = "conflicting_credentials"     // 401
	ProviderRefusedKey Code = "provider_credential_fail"    // recorded only; the upstream's own reply passes
)

var codeStatus = map[Code]int{
	BadRequest: 400, ContextExceeded: 400, NotCapable: 400, PreviousNotFound: 400, StoreDown: 503, Unauthorized: 401, Forbidden: 403, NotFound: 404, ModelNotFound: 404,
	BadMethod: 405, SlowBody: 408, BodyTooLarge: 413, RateLimited: 429, BudgetSpent: 429, CostExceeded: 400, BadMediaType: 415, ClientGone: 499,
	Internal: 500, NotInThisVersion: 501, UpstreamFailed: 502, UpstreamInvalid: 502,
	UpstreamTruncated: 502, UpstreamError: 502, RecorderFull: 503, ShuttingDown: 503,
	UpstreamTimeout: 504, CallTimeout: 504, KeyNotForThisModel: 403, NoProvider: 400,
	AmbiguousProvider: 400, ForeignDialect: 400, NoProviderKey: 401, ConflictingKeys: 401,
}

// Status returns the HTTP status that the code is sent with; 500 for an unknown code.
func (c Code) Status() int {
	if s, ok := codeStatus[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// An Error is a refusal or failure of our own. Msg is safe to show to the
// client and tells it what to do; Err is for the log only.
type Error struct {
	Code       Code
	Msg        string
	Param      string        // the request member at fault, where there is one
	RetryAfter time.Duration // 0: say nothing
	NoRetry    bool          // tell SDKs that trying again is of no use
	Upstream   *wire.Failure // the upstream's own words, where it told the error in a stream
	Err        error
}

// Error returns the code, the message and the cause, for logs.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Msg, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Msg)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// status is the HTTP status that the error is sent with.
func (e *Error) status() int {
	if e.Upstream != nil && e.Upstream.Status >= 400 {
		return e.Upstream.Status
	}
	return e.Code.Status()
}

// class is the word that the error is recorded under: for what an upstream
// said itself, by its status.
func (e *Error) class() string {
	if e.Code == UpstreamError && e.Upstream != nil && e.Upstream.Status >= 400 {
		return statusClass(e.Upstream.Status)
	}
	return string(e.Code)
}

func (e *Error) failure(callID string) wire.Failure {
	if e.Upstream != nil {
		f := *e.Upstream
		f.Status, f.RequestID = e.status(), callID
		return f
	}
	return wire.Failure{
		Status: e.Code.Status(), Code: string(e.Code), Message: e.Msg,
		Param: e.Param, RequestID: callID,
	}
}

// asError finds the *Error in err, or wraps err as an internal one.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Internal, Msg: "Weir met an internal error. The call id names it in Weir's log.", Err: err}
}

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Msg: fmt.Sprintf(format, args...)}
}
