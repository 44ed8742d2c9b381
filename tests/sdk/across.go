package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The SDKs of every vendor ask the models of every vendor: a provider of each
// kind, all at the one mock, speaks its own dialect only; a fourth is asked by
// Responses alone. What an SDK's user sees of a foreign model must be what the
// same scenario shows at the SDK's own vendor, but for what foreign says.

var vendors = []string{"openai", "anthropic", "gemini", "responses"}

// dialectPaths begin the paths that each vendor's models are asked by.
var dialectPaths = map[string]string{
	"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "gemini": "/v1beta/models/", "responses": "/v1/responses",
}

// acrossPrograms lists the programs of the scenarios; k.programs has their other cases.
func (k kits) acrossPrograms(only string) []program {
	all := []program{
		k.py("langchain-openai", "openai", "across_langchain.py"),
		k.py("google-genai", "gemini", "across_genai.py"),
		k.py("openai", "openai", "across_openai.py"),
		k.py("anthropic", "anthropic", "across_anthropic.py"),
		k.js("ai", "openai", "across_ai.mjs"),
		k.js("openai", "openai", "across_openai.mjs"),
		k.js("anthropic", "anthropic", "across_anthropic.mjs"),
		k.js("google-genai", "gemini", "across_genai.mjs"),
		{name: "go/openai", vendor: "openai", argv: []string{k.golang, "across-openai"}},
		{name: "go/anthropic", vendor: "anthropic", argv: []string{k.golang, "across-anthropic"}},
	}
	return slices.DeleteFunc(all, func(p program) bool { return !strings.Contains(p.name, only) })
}

// home is the vendor whose dialect a case speaks.
func (p program) home(name string) string {
	if strings.HasPrefix(name, "claude_") {
		return "anthropic"
	}
	return p.vendor
}

// A crossing is the run of all scenarios and what arrived upstream.
type crossing struct {
	lines map[string]map[string]line // by program and by target:case
	sent  map[string][]sent          // by program/target:case
}

// sent is a request as the upstream got it.
type sent struct {
	path, pictures string
	system         bool
	sealed         bool // with a vendor's own signature
}

// across runs the programs against all vendors' models.
func (s *suite) across(ctx context.Context, programs []program) error {
	if len(programs) == 0 {
		return nil
	}
	upstream, err := newRecorder(20000)
	if err != nil {
		return err
	}
	defer upstream.close()
	weir, config, err := s.gateway(ctx, "across", "off", upstream.base, providerKey)
	if err != nil {
		return err
	}
	defer weir.stop()
	began := time.Now()
	for i := range programs {
		programs[i].targets = vendors
	}
	lines, err := runAll(ctx, programs, server{weir.base, clientKey}, s.cases)
	if err != nil {
		return err
	}
	fmt.Printf("across: %d programs in %.1fs\n", len(programs), time.Since(began).Seconds())
	books, err := s.settled(config, lines)
	if err != nil {
		return err
	}
	run := crossing{lines: map[string]map[string]line{}, sent: arrived(upstream)}
	for _, to := range vendors {
		s.columns = append(s.columns, "to "+to)
	}
	for program, list := range lines {
		run.lines[program] = map[string]line{}
		for _, l := range list {
			run.lines[program][l.Case] = l
		}
	}
	for _, p := range programs {
		for _, l := range lines[p.name] {
			to, _, _ := strings.Cut(l.Case, ":")
			s.check("to "+to, p.name, l.Case, run.judge(p, l)...)
			s.check("to "+to, p.name, l.Case+" in the ledger", books.audit(p.name, l, false)...)
		}
	}
	return s.leftAlone(ctx, upstream, lines)
}

// leftAlone checks that each vendor's upstream has seen the clients leave that
// left: no stream is read to its end for nobody. It waits for longer than such
// a stream lasts (10 s), and only where one is not told of.
func (s *suite) leftAlone(ctx context.Context, upstream *recorder, lines map[string][]line) error {
	due := map[string]int{}
	by := ""
	for program, list := range lines {
		by = max(by, program)
		for _, l := range list {
			if to, name, _ := strings.Cut(l.Case, ":"); strings.HasSuffix(name, "abort") {
				due[to]++
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for to, n := range due {
		slow, got := models(to, "")["slow"], 0
		for {
			got = 0
			for _, a := range upstream.Aborted() {
				if a.Model == slow {
					got++
				}
			}
			if got >= n || ctx.Err() != nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		var wrong []string
		if got != n {
			wrong = append(wrong, fmt.Sprintf("%d of %d", got, n))
		}
		s.check("to "+to, by, "streams that were left are left upstream", wrong...)
	}
	return nil
}

var (
	caseTag   = regexp.MustCompile(`\[((?:python|node|go)/[^\]]+)\]`)
	aPicture  = regexp.MustCompile(`iVBORw0KGgo[A-Za-z0-9+/=]*`)
	aSeal     = regexp.MustCompile(`"(signature|thoughtSignature|encrypted_content)":\s?"[A-Za-z0-9+/=]{40,}"`)
	toolsSaid = regexp.MustCompile(`(?s)The tool said: .*`)
	toolWords = regexp.MustCompile(`sky-blue|at-noon`)
)

// wholeText begins what the mock says where it is asked for many words.
const wholeText = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod"

// arrived sorts what the upstream got by the case that the prompts name.
func arrived(upstream *recorder) map[string][]sent {
	all := map[string][]sent{}
	for _, r := range upstream.Requests() {
		tag := caseTag.FindSubmatch(r.Body)
		if tag == nil {
			continue
		}
		all[string(tag[1])] = append(all[string(tag[1])], sent{
			path:     r.Path,
			pictures: strings.Join(aPicture.FindAllString(string(r.Body), -1), " "),
			system:   strings.Contains(string(r.Body), "You are terse."),
			sealed:   aSeal.Match(r.Body),
		})
	}
	return all
}

// judge holds a case at one vendor's model to the same case at the SDK's own
// vendor's, and a stream to the whole reply.
func (x crossing) judge(p program, l line) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	to, name, _ := strings.Cut(l.Case, ":")
	home := p.home(name)
	if strings.HasPrefix(name, "embeddings") {
		return x.judgeEmbeddings(p, l)
	}
	if m, ok := l.Seen.(map[string]any); ok && m["raised"] != nil {
		return []string{fmt.Sprintf("raised %v", m["raised"])}
	}
	want, ok := x.lines[p.name][home+":"+name]
	if !ok {
		return []string{"there is no run at " + home}
	}
	seen := plainly(p, l)
	if !(to == "openai" && home == "anthropic" && strings.HasSuffix(name, "tool_image")) {
		diff(&wrong, "seen", plainly(p, want), seen) // else the picture comes in a turn of the user's, and is answered by a call
	}
	if strings.HasSuffix(name, "failing") && failed(want) && !failed(l) {
		say("an error within a stream is not told")
	}
	if whole, streamed := strings.CutSuffix(name, "_stream"); streamed {
		if whole, ok := x.lines[p.name][to+":"+whole]; ok {
			diff(&wrong, "streamed", plainly(p, whole), seen)
		}
	}
	wrong = append(wrong, thoughts(l, home, to)...)
	var got []int
	for _, h := range l.HTTP {
		got = append(got, h.Status)
		for member := range strings.SplitSeq(h.header("x-weir-dropped-params"), ", ") {
			if member != "" && !slices.Contains(left[[2]string{home, to}], member) && !lost(p, name, to, member) {
				say("left out: %s", member)
			}
		}
	}
	got = slices.Compact(got)
	if want := statuses(name); !slices.Equal(got, want) {
		say("statuses %v, want %v", got, want)
	}
	if slices.Contains(l.Gaps, 0) && strings.HasSuffix(name, "retry_429") && !slices.Contains(want.Gaps, 0) {
		say("it did not wait for retry-after")
	}
	for i, u := range l.Usage {
		if u.In != nil && *u.In <= 0 || u.Out != nil && *u.Out <= 0 {
			say("usage[%d]: %s", i, short(u))
		}
	}
	return append(wrong, x.upstream(p, l, home, to)...)
}

// left are the members that one vendor's clients say here and another's models cannot be told.
var left = map[[2]string][]string{
	{"openai", "gemini"}:       {"tools.strict", "input.encrypted_content"}, // Gemini seals its calls, not its thoughts
	{"anthropic", "openai"}:    {"tools.eager_input_streaming"},
	{"anthropic", "responses"}: {"tools.eager_input_streaming"},
	{"anthropic", "gemini"}:    {"tools.eager_input_streaming", "tool_choice.disable_parallel_tool_use"},
	{"gemini", "openai"}:       {"generationConfig.thinkingConfig.includeThoughts"},
}

// lost reports whether an SDK drops what chat completions tell beside a message's
// text and calls. Claude's own thinking is lost with it, so Claude must not think on after the results of tools.
func lost(p program, name, to, member string) bool {
	return (to == "anthropic" || to == "responses") && member == "reasoning_effort" && strings.HasPrefix(name, "thinking") &&
		slices.Contains([]string{"python/langchain-openai", "node/ai", "go/openai"}, p.name)
}

// failed reports whether the SDK has raised an error within a stream.
func failed(l line) bool {
	m, ok := l.Seen.(map[string]any)
	return ok && m["failed"] != nil
}

// isKept reports whether a case's conversation is kept by who serves it.
func isKept(name string) bool { return strings.HasSuffix(strings.TrimSuffix(name, "_stream"), "kept") }

// keeps reports whether a vendor keeps a Responses client's conversations itself.
func keeps(to, home string) bool { return home == "openai" && (to == home || to == "responses") }

// statuses are those of a case's exchanges, repeated ones once.
func statuses(name string) []int {
	switch {
	case strings.HasSuffix(name, "retry_429"):
		return []int{429, 200}
	case isKept(name): // what is deleted in the end is not found
		return []int{200, 404}
	case strings.Contains(name, "error_"):
		status, _ := strconv.Atoi(strings.TrimSuffix(name[strings.Index(name, "error_")+len("error_"):], "_stream"))
		return []int{status}
	}
	return []int{200}
}

// upstream checks what arrived: as many requests, in the vendor's dialect, with
// the system's words and the same pictures as at home.
func (x crossing) upstream(p program, l line, home, to string) (wrong []string) {
	_, name, _ := strings.Cut(l.Case, ":")
	got := x.sent[p.name+"/"+l.Case]
	due := len(l.HTTP)
	if isKept(name) { // only what holds the first words names its case: where the vendor keeps it the first turn, elsewhere all three
		if due = 3; keeps(to, home) {
			due = 1
		}
	}
	if len(got) != due {
		wrong = append(wrong, fmt.Sprintf("%d requests upstream for %d of the SDK", len(got), len(l.HTTP)))
	}
	for _, r := range got {
		if to != home && !strings.HasPrefix(r.path, dialectPaths[to]) {
			wrong = append(wrong, "asked upstream by "+r.path)
		}
		if !r.system {
			wrong = append(wrong, "the system prompt did not arrive")
		}
	}
	if len(got) == 0 {
		return wrong
	}
	last := got[len(got)-1]
	if strings.HasSuffix(name, "image") {
		if want := x.sent[p.name+"/"+home+":"+name]; len(want) != len(got) || last.pictures != want[len(got)-1].pictures || last.pictures == "" {
			wrong = append(wrong, fmt.Sprintf("pictures upstream %s, at home %s", last.pictures, short(want)))
		}
	}
	referred := strings.Contains(name, "referring") && keeps(to, home) // by its id alone
	if strings.Contains(name, "thinking") && to != "openai" && !referred && !last.sealed && !lost(p, name, to, "reasoning_effort") {
		wrong = append(wrong, "the vendor did not get its signatures back")
	}
	return wrong
}

// thoughts checks the thinking that a user is shown: what the model thought, where it
// was asked to. OpenAI's models show theirs to Responses only, and by chat Weir asks them;
// Gemini's, and OpenAI's by Responses, show theirs where a client asks to see them, which by chat none can.
func thoughts(l line, home, to string) (wrong []string) {
	_, name, _ := strings.Cut(l.Case, ":")
	asked := strings.Contains(name, "thinking") &&
		(strings.Contains(name, "responses_") && to == home || to != "openai" && (to == "anthropic" || home != "openai" || strings.Contains(name, "responses_")))
	for i, t := range turns(l.Seen) {
		thought, shown := t["thought"].(string)
		if shown && asked != strings.HasPrefix(thought, "The user says: ") {
			wrong = append(wrong, fmt.Sprintf("turn %d: thought %q", i, thought))
		}
	}
	return wrong
}

// turns are the model's turns in what a case shows; errors have none.
func turns(seen any) (list []map[string]any) {
	if one, ok := seen.(map[string]any); ok {
		seen = []any{one}
	}
	all, _ := seen.([]any)
	for _, t := range all {
		if m, ok := t.(map[string]any); ok && m["finish"] != nil {
			list = append(list, m)
		}
	}
	return list
}

// plainly is what a case shows without what may differ: the case's own name;
// the thoughts, which thoughts checks; how the results of tools are wrapped
// (Gemini's are objects, all others' are texts) and how many of them the mock
// repeats; an error's words, which are the vendor's; after how much text a
// stream of so many events is cut.
func plainly(p program, l line) any {
	b, err := json.Marshal(l.Seen)
	if err != nil {
		return err.Error()
	}
	var seen any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(b), p.name+"/"+l.Case, "CASE")), &seen); err != nil {
		return err.Error()
	}
	if m, ok := seen.(map[string]any); ok {
		switch {
		case strings.HasSuffix(l.Case, "abort"):
			text, _ := m["text"].([]any)
			return fmt.Sprintf("%d pieces", len(text))
		case strings.HasSuffix(l.Case, "failing"):
			return fmt.Sprintf("text before the error: %v", m["text"])
		case strings.HasSuffix(l.Case, "truncated"):
			text, _ := m["text"].(string)
			return fmt.Sprintf("begins well: %t, failed: %v", text != "" && strings.HasPrefix(wholeText, text), m["failed"])
		case m["error"] != nil:
			e := m["error"].(map[string]any)
			for _, words := range []map[string]any{m, e} {
				if text, ok := words["message"].(string); ok {
					words["message"] = text != ""
				}
			}
		}
	}
	for _, t := range turns(seen) {
		delete(t, "thought")
		if text, ok := t["text"].(string); ok {
			t["text"] = toolsSaid.ReplaceAllStringFunc(text, func(said string) string {
				words := slices.Sorted(slices.Values(toolWords.FindAllString(said, -1)))
				return "The tool said: " + strings.Join(slices.Compact(words), " ")
			})
		}
	}
	return seen
}

// targetModels are the models of each target, by purpose.
func (p program) targetModels() map[string]any {
	all := map[string]any{}
	for _, vendor := range p.targets {
		m := models(vendor, p.name)
		maps.Copy(m, map[string]any{
			"think":    map[string]string{"openai": "gpt-5-mini", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "responses": "o4-mini"}[vendor],
			"embed":    embedModels[vendor],
			"long":     m["chat"].(string) + "-mock-words-50",
			"failing":  m["chat"].(string) + "-mock-words-50-tps-100-failat-8",
			"prefixed": map[string]string{"openai": "openai/", "anthropic": "claude/", "gemini": "google/", "responses": "reasoner/"}[vendor] + m["chat"].(string),
		})
		all[vendor] = m
	}
	return all
}
