package mockllm

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A Behaviour is how the mock treats a request. The zero value answers at
// once and well. docs/mock.md has every member with an example.
type Behaviour struct {
	// Latency passes before anything is sent, the status included.
	Latency time.Duration `yaml:"latency"`
	// TTFT passes between the head of the reply and its first byte of body.
	TTFT time.Duration `yaml:"ttft"`
	// TokensPerSecond paces a stream's tokens; 0 = no pause.
	TokensPerSecond float64 `yaml:"tokens_per_second"`

	// Status is an HTTP status to fail with; 0 = none. 200 with an Error is a
	// success that holds nothing but an error.
	Status int `yaml:"status"`
	// Error is the error's body, in the dialect's shape; its zero members are
	// what the vendor says with that status.
	Error *ErrorBody `yaml:"error"`
	// Body is sent as it is in place of the reply; nil = the reply.
	Body        *string           `yaml:"body"`
	ContentType string            `yaml:"content_type"`
	Headers     map[string]string `yaml:"headers"`

	// Words is how many words the answer has; 0 = an echo.
	Words int `yaml:"words"`
	// Text is the answer.
	Text string `yaml:"text"`
	// Stop is the stop reason, in the dialect's own words.
	Stop string `yaml:"stop"`
	// Silent answers with no text at all, Refuse with the vendor's refusal.
	Silent bool `yaml:"silent"`
	Refuse bool `yaml:"refuse"`
	// PieceBytes is how long the answer's one piece is, or the arguments of
	// the tool that is called; 0 = pieces of usual length.
	PieceBytes int `yaml:"piece_bytes"`
	// Tools: none never calls one, all calls every one at once, bad calls with
	// arguments that are no JSON.
	Tools string `yaml:"tools"`
	// ToolShape is that of other servers' chats: whole (arguments in one
	// piece), zero (every call has index 0), empty (an empty list of calls
	// stands beside the text).
	ToolShape string `yaml:"tool_shape"`
	// ReasoningField names the member that holds an OpenAI-compatible server's
	// reasoning text: reasoning_content or reasoning. "" = no such text.
	ReasoningField string `yaml:"reasoning_field"`

	// Usage: none (left out), null, finish (on the chunk of the stop reason),
	// every (on every chunk), always (at the end, though not asked for).
	Usage           string `yaml:"usage"`
	CachedTokens    int    `yaml:"cached_tokens"`
	CacheWrite      int    `yaml:"cache_write_tokens"`
	ReasoningTokens int    `yaml:"reasoning_tokens"`
	InputTokens     int    `yaml:"input_tokens"` // 0 = counted
	ServiceTier     string `yaml:"service_tier"` // that the reply states
	ServedModel     string `yaml:"served_model"` // that the reply names; "" = the one that was asked for
	NoDetails       bool   `yaml:"no_details"`   // no parts of the counts: cached, thought, by modality

	// UsageJSON is the usage member as it is to be sent, in the vendor's own
	// form. Of several, each place of a stream that tells usage has the next
	// one, and its last place the last. Usage says where they come.
	UsageJSON Objects `yaml:"usage_json"`
	// BesideUsage are further members of the reply, or of the event that tells
	// its usage; they replace those of the same name.
	BesideUsage Objects `yaml:"beside_usage"`

	// CutBytes ends the body after so many bytes, CutEvents after so many
	// events, in the way of How: close (the connection, default), reset (it,
	// by RST), end (a clean end), hang (silence until the client leaves),
	// pings (nothing but pings until then).
	CutBytes  *int   `yaml:"cut_bytes"`
	CutEvents *int   `yaml:"cut_events"`
	How       string `yaml:"how"`
	// FailEvents sends an error event after so many events.
	FailEvents *int `yaml:"fail_events"`
	// Drop ends the connection without a reply: close, reset.
	Drop string `yaml:"drop"`
	// Hang: request (the request is not answered), head (the head of the reply
	// is, and nothing follows).
	Hang string `yaml:"hang"`

	// NoStreamOptions refuses stream_options, as some servers do.
	NoStreamOptions bool `yaml:"no_stream_options"`
	// FlatErrors are errors that stand in no error member, as old vLLM's.
	FlatErrors bool `yaml:"flat_errors"`
	// Floats are embeddings in numbers though base64 was asked for, as Ollama's.
	Floats bool `yaml:"floats"`
	// AsyncFilter adds Azure's chunks that have a choice without delta.
	AsyncFilter bool `yaml:"async_filter"`
	// Strange adds an event of an unknown type and a field of an unknown name
	// after the first event.
	Strange bool `yaml:"strange"`
	// NoDone leaves out the end mark of a stream, TwoDone sends it twice.
	NoDone  bool `yaml:"no_done"`
	TwoDone bool `yaml:"two_done"`
	// Mode: buffered answers a stream's request with JSON, stream a plain one
	// with events.
	Mode string `yaml:"mode"`

	// The bytes: Chunk bytes a write (0 = an event a write), Gzip, CRLF or CR
	// line ends, data on two lines, a comment before and an id in each event, a
	// byte order mark.
	Chunk    int  `yaml:"chunk"`
	Gzip     bool `yaml:"gzip"`
	CRLF     bool `yaml:"crlf"`
	CR       bool `yaml:"cr"`
	TwoLines bool `yaml:"two_lines"`
	Comments bool `yaml:"comments"`
	IDs      bool `yaml:"ids"`
	BOM      bool `yaml:"bom"`
}

// An ErrorBody is what an error says; what is "" is what the vendor says.
type ErrorBody struct {
	Type    string `yaml:"type"`
	Code    string `yaml:"code"`
	Param   string `yaml:"param"`
	Message string `yaml:"message"`
}

// lay puts what top sets over b.
func (b *Behaviour) lay(top *Behaviour) {
	under, over := reflect.ValueOf(b).Elem(), reflect.ValueOf(top).Elem()
	for i := range over.NumField() {
		if f := over.Field(i); !f.IsZero() {
			under.Field(i).Set(f)
		}
	}
}

// A spell is what one magic word does with its value.
type spell struct {
	value byte // n a number, d a duration, 0 none
	cast  func(b *Behaviour, n int, d time.Duration)
}

func say(set func(b *Behaviour)) spell {
	return spell{0, func(b *Behaviour, _ int, _ time.Duration) { set(b) }}
}

func count(set func(b *Behaviour, n int)) spell {
	return spell{'n', func(b *Behaviour, n int, _ time.Duration) { set(b, n) }}
}

func span(set func(b *Behaviour, d time.Duration)) spell {
	return spell{'d', func(b *Behaviour, _ int, d time.Duration) { set(b, d) }}
}

func cutAt(how string) spell {
	return count(func(b *Behaviour, n int) { b.CutEvents, b.How = &n, how })
}

func (b *Behaviour) header(name, value string) {
	if b.Headers == nil {
		b.Headers = map[string]string{}
	}
	b.Headers[name] = value
}

// spells are the magic words of a model's name.
var spells = map[string]spell{
	"slow":  span(func(b *Behaviour, d time.Duration) { b.Latency = d }),
	"ttft":  span(func(b *Behaviour, d time.Duration) { b.TTFT = d }),
	"tps":   count(func(b *Behaviour, n int) { b.TokensPerSecond = float64(n) }),
	"words": count(func(b *Behaviour, n int) { b.Words = n }),

	"error":  count(func(b *Behaviour, n int) { b.Status = n }),
	"failat": count(func(b *Behaviour, n int) { b.FailEvents = &n }),
	"bare":   say(func(b *Behaviour) { b.Status, b.Error = 200, &ErrorBody{} }),
	"retryafter": span(func(b *Behaviour, d time.Duration) {
		b.header("Retry-After", strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
	}),
	"html": say(func(b *Behaviour) {
		page := "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n"
		b.Body, b.ContentType = &page, "text/html; charset=utf-8"
	}),
	"empty": say(func(b *Behaviour) { b.Body = new(string) }),

	"cut":       count(func(b *Behaviour, n int) { b.CutBytes, b.How = &n, "close" }),
	"cutafter":  cutAt("close"),
	"reset":     cutAt("reset"),
	"endafter":  cutAt("end"),
	"stall":     cutAt("hang"),
	"pings":     cutAt("pings"),
	"drop":      say(func(b *Behaviour) { b.Drop = "close" }),
	"dropreset": say(func(b *Behaviour) { b.Drop = "reset" }),
	"hang":      say(func(b *Behaviour) { b.Hang = "request" }),
	"hanghead":  say(func(b *Behaviour) { b.Hang = "head" }),

	"nousage":     say(func(b *Behaviour) { b.Usage = "none" }),
	"nullusage":   say(func(b *Behaviour) { b.Usage = "null" }),
	"finishusage": say(func(b *Behaviour) { b.Usage = "finish" }),
	"everyusage":  say(func(b *Behaviour) { b.Usage = "every" }),
	"alwaysusage": say(func(b *Behaviour) { b.Usage = "always" }),
	"cached":      count(func(b *Behaviour, n int) { b.CachedTokens = n }),
	"cachewrite":  count(func(b *Behaviour, n int) { b.CacheWrite = n }),
	"reasoning":   count(func(b *Behaviour, n int) { b.ReasoningTokens = n }),
	"input":       count(func(b *Behaviour, n int) { b.InputTokens = n }),
	"thinks":      say(func(b *Behaviour) { b.ReasoningField = "reasoning_content" }),

	"nodetails": say(func(b *Behaviour) { b.NoDetails = true }),

	"silent":      say(func(b *Behaviour) { b.Silent = true }),
	"refuse":      say(func(b *Behaviour) { b.Refuse = true }),
	"piece":       count(func(b *Behaviour, n int) { b.PieceBytes = n }),
	"wholetools":  say(func(b *Behaviour) { b.ToolShape = "whole" }),
	"zeroindex":   say(func(b *Behaviour) { b.ToolShape = "zero" }),
	"emptytools":  say(func(b *Behaviour) { b.ToolShape = "empty" }),
	"flaterrors":  say(func(b *Behaviour) { b.FlatErrors = true }),
	"floats":      say(func(b *Behaviour) { b.Floats = true }),
	"asyncfilter": say(func(b *Behaviour) { b.AsyncFilter = true }),
	"strange":     say(func(b *Behaviour) { b.Strange = true }),

	"nostreamoptions": say(func(b *Behaviour) { b.NoStreamOptions = true }),
	"nodone":          say(func(b *Behaviour) { b.NoDone = true }),
	"twodone":         say(func(b *Behaviour) { b.TwoDone = true }),
	"notools":         say(func(b *Behaviour) { b.Tools = "none" }),
	"alltools":        say(func(b *Behaviour) { b.Tools = "all" }),
	"badtools":        say(func(b *Behaviour) { b.Tools = "bad" }),
	"buffered":        say(func(b *Behaviour) { b.Mode = "buffered" }),
	"streamed":        say(func(b *Behaviour) { b.Mode = "stream" }),
	"wrongtype":       say(func(b *Behaviour) { b.ContentType = "text/plain; charset=utf-8" }),

	"chunk":    count(func(b *Behaviour, n int) { b.Chunk = n }),
	"gzip":     say(func(b *Behaviour) { b.Gzip = true }),
	"crlf":     say(func(b *Behaviour) { b.CRLF = true }),
	"cr":       say(func(b *Behaviour) { b.CR = true }),
	"twolines": say(func(b *Behaviour) { b.TwoLines = true }),
	"comments": say(func(b *Behaviour) { b.Comments = true }),
	"ids":      say(func(b *Behaviour) { b.IDs = true }),
	"bom":      say(func(b *Behaviour) { b.BOM = true }),
}

// magic reads the words of a model's name that come after the word mock. seen is how
// many requests for that name have come, this one included. Words that it
// does not know are parts of the name.
func magic(model string, seen int) (b Behaviour) {
	i := strings.Index(model, "mock")
	if i < 0 || i > 0 && strings.IndexByte("-+/:._", model[i-1]) < 0 {
		return b
	}
	rest := model[i+len("mock"):]
	if rest != "" && rest[0] != '-' && rest[0] != '+' {
		return b
	}
	words := strings.FieldsFunc(rest, func(r rune) bool { return r == '-' || r == '+' })
	for i := 0; i < len(words); i++ {
		word, times := times(words[i])
		s, ok := spells[word]
		if !ok {
			continue
		}
		if s.value == 0 {
			if times == 0 || seen <= times {
				s.cast(&b, 0, 0)
			}
			continue
		}
		if i+1 == len(words) {
			break
		}
		if n, d, times, ok := value(s.value, words[i+1]); ok {
			i++
			if times == 0 || seen <= times {
				s.cast(&b, n, d)
			}
		}
	}
	return b
}

// times splits "500x2": the word, and for how many requests it holds; 0 = all.
func times(s string) (string, int) {
	i := strings.LastIndexByte(s, 'x')
	if i <= 0 {
		return s, 0
	}
	n, err := strconv.Atoi(s[i+1:])
	if err != nil || n <= 0 {
		return s, 0
	}
	return s[:i], n
}

func value(kind byte, s string) (n int, d time.Duration, t int, ok bool) {
	s, t = times(s)
	var err error
	if kind == 'd' {
		d, err = time.ParseDuration(s)
	} else {
		n, err = strconv.Atoi(s)
	}
	return n, d, t, err == nil && n >= 0 && d >= 0
}
