package mockllm

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// A fault is an error to be told in the vendor's shape.
type fault struct {
	status                int
	typ, code, param, msg string
}

// Error makes a fault an error, so that readers can return it.
func (f *fault) Error() string { return f.msg }

// A vendor is what the APIs of one dialect share.
type vendor struct {
	name     string
	jsonType string
	tail     string // after a JSON reply
	// usual is what the vendor says with a status.
	usual func(c *call, status int) fault
	// write is an error's body.
	write func(c *call, f fault) raw
	// badJSON refuses a body, contentType a media type.
	badJSON     func(c *call, err error) *fault
	contentType func(c *call) *fault
	// heads sets the headers of every reply.
	heads func(c *call, h http.Header)
	// credentials are the request's, in all the forms that the vendor takes.
	credentials func(c *call) []string
	// unknown refuses a member that the API does not have.
	unknown func(name string) *fault
	// missing refuses a request without a member.
	missing func(name string) *fault
	// mistyped refuses a member of another type.
	mistyped func(name, want string, got *node) *fault
}

var openAI, anthropic, gemini *vendor

func init() {
	openAI = &vendor{
		name: "openai", jsonType: "application/json", tail: "\n",
		usual: usualOpenAI, write: writeOpenAI, heads: headsOpenAI, credentials: credentialsOpenAI,
		badJSON: func(*call, error) *fault {
			return &fault{status: 400, typ: "invalid_request_error", msg: "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"}
		},
		contentType: contentTypeOpenAI,
		unknown: func(name string) *fault {
			return &fault{status: 400, typ: "invalid_request_error", msg: "Unrecognized request argument supplied: " + name}
		},
		missing: func(name string) *fault {
			if name == "model" {
				return &fault{status: 400, typ: "invalid_request_error", msg: "you must provide a model parameter"}
			}
			return &fault{status: 400, typ: "invalid_request_error", code: "missing_required_parameter", param: name, msg: "Missing required parameter: '" + name + "'."}
		},
		mistyped: func(name, want string, got *node) *fault {
			return invalidType(name, want, got)
		},
	}
	anthropic = &vendor{
		name: "anthropic", jsonType: "application/json",
		usual: usualAnthropic, write: writeAnthropic, heads: headsAnthropic, credentials: credentialsAnthropic,
		badJSON: func(_ *call, err error) *fault {
			return invalid("The request body is not valid JSON: %v", err)
		},
		contentType: func(c *call) *fault {
			if mediaType(c.r) != "application/json" {
				return invalid("content-type: expected application/json")
			}
			return nil
		},
		unknown: func(name string) *fault { return invalid("%s: Extra inputs are not permitted", name) },
		missing: func(name string) *fault { return invalid("%s: Field required", name) },
		mistyped: func(name, want string, _ *node) *fault {
			return invalid("%s: Input should be a valid %s", name, pydantic[want])
		},
	}
	gemini = &vendor{
		name: "gemini", jsonType: "application/json; charset=UTF-8", tail: "\n",
		usual: usualGemini, write: writeGemini, heads: headsGemini, credentials: credentialsGemini,
		badJSON: func(_ *call, err error) *fault {
			return badArgument("Invalid JSON payload received. %v.", err)
		},
		contentType: func(*call) *fault { return nil },
		unknown: func(name string) *fault {
			return badArgument("Invalid JSON payload received. Unknown name \"%s\": Cannot find field.", name)
		},
		missing: func(name string) *fault {
			return badArgument("* GenerateContentRequest.%s: %s is not specified\n", name, name)
		},
		mistyped: func(name, want string, got *node) *fault {
			return badArgument("Invalid value at '%s' (%s), %s", name, want, got.raw[:min(len(got.raw), 80)])
		},
	}
}

// fail sends an error, in the way of a reply's.
func (c *call) fail(f fault) {
	c.heads()
	h := c.o.w.Header()
	if f.status == http.StatusTooManyRequests && c.b.Headers["Retry-After"] == "" && c.b.Headers["retry-after"] == "" && c.vendor != gemini && c.b.Status == 0 {
		h.Set("Retry-After", "1")
	}
	c.o.body(f.status, c.vendor.jsonType, append(c.vendor.write(c, f), c.vendor.tail...))
}

func mediaType(r *http.Request) string {
	t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// OpenAI.

func usualOpenAI(c *call, status int) fault {
	f := fault{status: status, typ: "invalid_request_error"}
	switch status {
	case 200:
		f.typ, f.msg = "server_error", "The server had an error while processing your request. Sorry about that!"
	case 400:
		f.msg = "The request is invalid."
	case 401:
		f.code, f.msg = "invalid_api_key", "Incorrect API key provided: "+masked(c)+". You can find your API key at https://platform.openai.com/account/api-keys."
	case 403:
		f.code, f.msg = "unsupported_country_region_territory", "Country, region, or territory not supported"
		f.typ = "request_forbidden"
	case 404:
		f.code, f.msg = "model_not_found", fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", c.model)
	case 429:
		f.typ, f.code = "requests", "rate_limit_exceeded"
		f.msg = fmt.Sprintf("Rate limit reached for %s in organization org-mock on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.", c.model)
	case 503:
		f.typ, f.msg = "server_error", "The engine is currently overloaded, please try again later"
	default:
		if status >= 500 {
			f.typ, f.msg = "server_error", "The server had an error while processing your request. Sorry about that!"
		} else {
			f.msg = http.StatusText(status)
		}
	}
	return f
}

// masked is the credential as the vendor shows it: not.
func masked(c *call) string {
	for _, k := range c.vendor.credentials(c) {
		return k[:min(len(k), 3)] + "***"
	}
	return "(none)"
}

func writeOpenAI(c *call, f fault) raw {
	if c.azure && f.status == 404 && f.code == "" {
		return obj("error", obj("code", "404", "message", f.msg))
	}
	if c.b.FlatErrors {
		return obj("object", "error", "message", f.msg, "type", "BadRequestError", "param", orNull(f.param != "", f.param), "code", f.status)
	}
	body := obj("message", f.msg, "type", cmp.Or(f.typ, "invalid_request_error"),
		"param", orNull(f.param != "", f.param), "code", orNull(f.code != "", f.code))
	return obj("error", body)
}

// invalidType is OpenAI's word on a value of another type.
func invalidType(name, want string, got *node) *fault {
	return &fault{
		status: 400, typ: "invalid_request_error", code: "invalid_type", param: name,
		msg: fmt.Sprintf("Invalid type for '%s': expected %s, but got %s instead.", name, english[want], english[typeName(got)]),
	}
}

// invalidValue is OpenAI's word on a value that is none of those it takes.
func invalidValue(name, got string, allowed ...string) *fault {
	quoted := make([]string, len(allowed))
	for i, a := range allowed {
		quoted[i] = "'" + a + "'"
	}
	last := len(quoted) - 1
	if last > 0 {
		quoted[last] = "and " + quoted[last]
	}
	return &fault{
		status: 400, typ: "invalid_request_error", code: "invalid_value", param: name,
		msg: fmt.Sprintf("Invalid value: '%s'. Supported values are: %s.", got, strings.Join(quoted, ", ")),
	}
}

func refuse(param, code, format string, args ...any) *fault {
	return &fault{status: 400, typ: "invalid_request_error", code: code, param: param, msg: fmt.Sprintf(format, args...)}
}

func contentTypeOpenAI(c *call) *fault {
	switch t := mediaType(c.r); t {
	case "application/json":
		return nil
	default:
		return &fault{status: 400, typ: "invalid_request_error", code: "unsupported_content_type", msg: fmt.Sprintf(
			"Unsupported content type: '%s'. This API method only accepts 'application/json' requests, but you specified the header 'Content-Type: %s'. Please try again with a supported content type.", t, t)}
	}
}

func headsOpenAI(c *call, h http.Header) {
	if c.azure {
		h.Set("apim-request-id", c.id("", 7))
		h.Set("x-ms-region", "Mock Central")
	} else {
		h.Set("openai-organization", "org-mock")
		h.Set("openai-processing-ms", "10")
		h.Set("openai-version", "2020-10-01")
	}
	h.Set("x-request-id", c.id("req_", 1))
	h.Set("x-ratelimit-limit-requests", "10000")
	h.Set("x-ratelimit-remaining-requests", "9999")
	h.Set("x-ratelimit-reset-requests", "6ms")
	h.Set("x-ratelimit-limit-tokens", "2000000")
	h.Set("x-ratelimit-remaining-tokens", "1999900")
	h.Set("x-ratelimit-reset-tokens", "3ms")
}

func bearer(r *http.Request) string {
	a := r.Header.Get("Authorization")
	if len(a) > 7 && strings.EqualFold(a[:7], "bearer ") {
		return strings.TrimSpace(a[7:])
	}
	return ""
}

func present(keys ...string) []string {
	out := keys[:0]
	for _, k := range keys {
		if k != "" {
			out = append(out, k)
		}
	}
	return out
}

func credentialsOpenAI(c *call) []string {
	if c.azure {
		return present(c.r.Header.Get("Api-Key"), bearer(c.r))
	}
	return present(bearer(c.r))
}

// Anthropic.

func invalid(format string, args ...any) *fault {
	return &fault{status: 400, typ: "invalid_request_error", msg: fmt.Sprintf(format, args...)}
}

func usualAnthropic(c *call, status int) fault {
	f := fault{status: status, typ: "invalid_request_error", msg: http.StatusText(status)}
	switch status {
	case 200:
		f.typ, f.msg = "api_error", "Internal server error"
	case 400:
		f.msg = "The request is invalid."
	case 401:
		f.typ, f.msg = "authentication_error", "invalid x-api-key"
	case 402:
		f.typ, f.msg = "billing_error", "Your credit balance is too low to access the Anthropic API."
	case 403:
		f.typ, f.msg = "permission_error", "Your API key does not have permission to use the specified resource."
	case 404:
		f.typ, f.msg = "not_found_error", "model: "+c.model
	case 413:
		f.typ, f.msg = "request_too_large", "Request exceeds the maximum size"
	case 429:
		f.typ, f.msg = "rate_limit_error", "This request would exceed your organization's rate limit of 50 requests per minute."
	case 504:
		f.typ, f.msg = "timeout_error", "The request timed out."
	case 529:
		f.typ, f.msg = "overloaded_error", "Overloaded"
	default:
		if status >= 500 {
			f.typ, f.msg = "api_error", "Internal server error"
		}
	}
	return f
}

func writeAnthropic(c *call, f fault) raw {
	return obj("type", "error", "error", obj("type", f.typ, "message", f.msg), "request_id", c.id("req_", 1))
}

func headsAnthropic(c *call, h http.Header) {
	h.Set("request-id", c.id("req_", 1))
	h.Set("anthropic-organization-id", "00000000-0000-4000-8000-000000000000")
	for _, kind := range []string{"requests", "tokens", "input-tokens", "output-tokens"} {
		name := "anthropic-ratelimit-" + kind
		h.Set(name+"-limit", "4000")
		h.Set(name+"-remaining", "3999")
		h.Set(name+"-reset", rfc3339(c.created()))
	}
}

func credentialsAnthropic(c *call) []string {
	return present(c.r.Header.Get("X-Api-Key"), bearer(c.r))
}

// Gemini.

func badArgument(format string, args ...any) *fault {
	return &fault{status: 400, typ: "INVALID_ARGUMENT", msg: fmt.Sprintf(format, args...)}
}

func usualGemini(c *call, status int) fault {
	f := fault{status: status, typ: "INVALID_ARGUMENT", msg: http.StatusText(status)}
	switch status {
	case 400:
		f.msg = "Request contains an invalid argument."
	case 401:
		f.typ, f.msg = "UNAUTHENTICATED", "Request had invalid authentication credentials."
	case 403:
		f.typ, f.msg = "PERMISSION_DENIED", "The caller does not have permission"
	case 404:
		f.typ = "NOT_FOUND"
		f.msg = fmt.Sprintf("models/%s is not found for API version v1beta, or is not supported for generateContent.", c.model)
	case 429:
		f.typ, f.msg = "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."
	case 503:
		f.typ, f.msg = "UNAVAILABLE", "The model is overloaded. Please try again later."
	case 504:
		f.typ, f.msg = "DEADLINE_EXCEEDED", "The request timed out."
	default:
		if status >= 500 || status == 200 {
			f.typ, f.msg = "INTERNAL", "An internal error has occurred."
		}
	}
	return f
}

func writeGemini(c *call, f fault) raw {
	code := f.status
	if code == http.StatusOK {
		code = http.StatusInternalServerError
	}
	body := obj("code", code, "message", f.msg, "status", f.typ, "details", when(f.code != "", list(
		obj("@type", "type.googleapis.com/google.rpc.ErrorInfo", "reason", f.code, "domain", "googleapis.com"))))
	if strings.HasSuffix(c.rest, ":streamGenerateContent") && c.r.URL.Query().Get("alt") != "sse" {
		return list(obj("error", body))
	}
	return obj("error", body)
}

func headsGemini(c *call, h http.Header) {
	h.Set("Vary", "Origin, X-Origin, Referer")
	h.Set("Server", "scaffolding on HTTPServer2")
	h.Set("Server-Timing", "gfet4t7; dur="+strconv.Itoa(int(c.hash%400)+100))
}

func credentialsGemini(c *call) []string {
	return present(c.r.Header.Get("X-Goog-Api-Key"), c.r.URL.Query().Get("key"), bearer(c.r))
}
