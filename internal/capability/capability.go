// Package capability says what models can do: which input they take, which
// output they give, and how much of either. Known is what the vendors document;
// a configuration may say otherwise. What nobody has said is unknown, which is
// never "no".
package capability

import (
	"path"
	"strings"
)

// A Set is a set of members: things that a model can or cannot do, or that a
// request wants of it.
type Set uint32

// The members. Context and MaxOutput are sizes and have a number beside them.
const (
	Chat          Set = 1 << iota // conversations: chat, responses, messages, generateContent
	Completions                   // the legacy text completions
	Embeddings                    // vectors
	Streaming                     // a reply in events
	Tools                         // functions that the caller runs
	ParallelTools                 // several calls in one turn
	Vision                        // pictures as input
	Audio                         // sound as input
	Video                         // moving pictures as input
	Files                         // documents (PDF) as input
	Schema                        // output that keeps to a JSON schema
	ImageOutput                   // pictures as output
	AudioOutput                   // sound as output
	Reasoning                     // thinks before it answers
	Context                       // tokens of the window
	MaxOutput                     // tokens of the reply
)

// A Member is one member of a Set, with its words.
type Member struct {
	Set  Set
	Name string // the key in a configuration
	Does string // what a model with it does, after "does not" too
}

// Members lists the members that are yes or no, in the order of the Set.
var Members = []Member{
	{Chat, "chat", "hold conversations"},
	{Completions, "completions", "answer legacy completions"},
	{Embeddings, "embeddings", "make embeddings"},
	{Streaming, "streaming", "stream"},
	{Tools, "tools", "call tools"},
	{ParallelTools, "parallel_tools", "call several tools at once"},
	{Vision, "vision", "take images"},
	{Audio, "audio", "take audio"},
	{Video, "video", "take video"},
	{Files, "files", "take files"},
	{Schema, "schema", "keep to a JSON schema"},
	{ImageOutput, "image_output", "make images"},
	{AudioOutput, "audio_output", "make audio"},
	{Reasoning, "reasoning", "reason"},
}

// First returns the first member of s, in their order; the zero Member where
// there is none.
func (s Set) First() Member {
	for _, m := range Members {
		if s&m.Set != 0 {
			return m
		}
	}
	return Member{}
}

// Names lists the members of s that are yes or no.
func (s Set) Names() (names []string) {
	for _, m := range Members {
		if s&m.Set != 0 {
			names = append(names, m.Name)
		}
	}
	return names
}

// Facts are what is known of one model. A member in neither Has nor Lacks is
// unknown, a size of 0 too.
type Facts struct {
	Context   int64 // tokens that fit into the window, by the largest that is documented
	MaxOutput int64 // tokens that a reply may have at most
	Has       Set
	Lacks     Set // never together with Has
	// Sure are the members that hold whatever the vendor does: said by the
	// configuration, or of a model that does not change any more. Of the others
	// the vendor may have thought better since. MaxOutput is only sure where the
	// configuration says it: some vendors refuse a higher limit, some lower it.
	Sure Set
	Said Set // by the configuration
}

// Unknown stands for a size that is said to be unknown.
const Unknown = -1

// A Said is what a configuration says of the models of a name or glob.
type Said struct {
	Glob      string
	Context   int64 // 0: nothing is said
	MaxOutput int64 // 0: nothing is said
	Has       Set
	Lacks     Set
	Forget    Set // is said to be unknown
}

// Resolve returns what is known of a model. For each member the first list
// that speaks of it counts, and in a list the first glob that does; what none
// speaks of is as the vendors document it.
func Resolve(model string, lists ...[]Said) Facts {
	var f Facts
	var done Set
	for _, list := range lists {
		for _, s := range list {
			if Match(s.Glob, model) {
				done |= f.take(s, done)
			}
		}
	}
	f.Sure, f.Said = done, done
	return f.over(Known(model), done)
}

// take adds what s says of members that are not done, and returns which.
func (f *Facts) take(s Said, done Set) (taken Set) {
	f.Has |= s.Has &^ done
	f.Lacks |= s.Lacks &^ done
	taken = s.Has | s.Lacks | s.Forget
	if s.Context != 0 && done&Context == 0 {
		f.Context, taken = max(s.Context, 0), taken|Context
	}
	if s.MaxOutput != 0 && done&MaxOutput == 0 {
		f.MaxOutput, taken = max(s.MaxOutput, 0), taken|MaxOutput
	}
	return taken
}

// over completes f with what is known of the members that are not done.
func (f Facts) over(known Facts, done Set) Facts {
	f.Has |= known.Has &^ done
	f.Lacks |= known.Lacks &^ done
	f.Sure |= known.Sure &^ done
	if done&Context == 0 {
		f.Context = known.Context
	}
	if done&MaxOutput == 0 {
		f.MaxOutput = known.MaxOutput
	}
	return f
}

// Known returns what the vendors document of a model; zero Facts where it is
// not in the table. Under a name that another host has given it the facts are
// not Sure: that host may serve it differently.
func Known(model string) Facts {
	name, renamed := bare(model)
	for _, v := range vendors {
		for _, r := range v.rows {
			if r.matches(name) {
				return r.facts(renamed)
			}
		}
	}
	return Facts{}
}

// A Row is one row of the table, for those who show it.
type Row struct {
	Vendor  string
	Read    string   // the date on which its pages were read
	Sources []string // their addresses
	Models  []string // names and globs
	Facts   Facts
	Moves   bool // its vendor may change the facts under the same names
}

// Table returns the rows, in their order.
func Table() (rows []Row) {
	for _, v := range vendors {
		for _, r := range v.rows {
			rows = append(rows, Row{
				Vendor: v.name, Read: v.read, Sources: v.sources, Models: strings.Fields(r.models), Facts: r.facts(false), Moves: r.moves,
			})
		}
	}
	return rows
}

// A vendor is a part of the table, with where it was read and when.
type vendor struct {
	name    string
	read    string // the date
	sources []string
	rows    []row // the first that matches counts
}

// A row is what is documented of some models.
type row struct {
	models    string // names and globs, by spaces
	context   int64
	maxOutput int64
	has       Set
	lacks     Set
	// moves: the name stands for what its vendor still changes (an alias, a
	// model that is being developed), so that a lack may be over by now.
	moves bool
}

func (r row) matches(name string) bool {
	for glob := range strings.FieldsSeq(r.models) {
		if Match(glob, name) {
			return true
		}
	}
	return false
}

func (r row) facts(renamed bool) Facts {
	f := Facts{Context: r.context, MaxOutput: r.maxOutput, Has: r.has, Lacks: r.lacks}
	if !r.moves && !renamed {
		f.Sure = r.has | r.lacks | Context
	}
	return f
}

// Match reports whether a name or glob names the model. A glob's * and ? do
// not stop at a slash, since model names have slashes.
func Match(glob, name string) bool {
	if glob == name || glob == "*" {
		return true
	}
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x01") }
	ok, err := path.Match(flat(glob), flat(name))
	return err == nil && ok
}

// bare takes away what is written around a model's name: accounts and vendors
// before slashes, Bedrock's regions and vendors before points, what marks and
// follows a fine-tuned one, Ollama's and OpenRouter's :tag. renamed says that
// something other than Google's own models/ was there.
func bare(model string) (name string, renamed bool) {
	name = strings.ToLower(strings.TrimPrefix(model, "models/"))
	given := name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	if rest, ok := strings.CutPrefix(name, "ft:"); ok { // OpenAI: ft:gpt-4o-mini-2024-07-18:org::id
		name, _, _ = strings.Cut(rest, ":")
		return name, true
	}
	for {
		first, rest, ok := strings.Cut(name, ".")
		if !ok || !isVendor(first) {
			break
		}
		name = rest
	}
	name, _, _ = strings.Cut(name, "@") // Vertex: claude-sonnet-4@20250514
	if n, _, ok := strings.Cut(name, ":"); ok {
		name = strings.TrimSuffix(n, "-v1")
	}
	return name, name != given
}

// isVendor reports whether a word is one that Bedrock writes before a name.
func isVendor(word string) bool {
	switch word {
	case "us", "eu", "apac", "jp", "au", "ca", "global", "us-gov",
		"anthropic", "meta", "mistral", "amazon", "cohere", "deepseek", "openai", "qwen", "google":
		return true
	}
	return false
}
