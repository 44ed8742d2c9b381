package neutral

import "strings"

// A claude is what the request's shape depends on in a model. Its facts are
// those of platform.claude.com's pages on thinking, effort and the models.
type claude struct {
	family       string // opus, sonnet, haiku …; "" = not one of Anthropic's
	version      int    // 45 is 4.5; 0 = its name says none
	maxOutput    int64  // tokens, thinking among them
	thinks       bool
	adapts       bool // takes thinking adaptive, and effort
	budgets      bool // takes thinking enabled with budget_tokens
	always       bool // does not take thinking disabled
	betweenTools bool // takes between_tools in its place
	onByDefault  bool // thinks where the request does not say
	samples      bool // takes temperature, top_p and top_k
	forced       bool // can be made to call a tool
	schemas      bool // has output_config.format
	efforts      []string
}

// claudeOf reads a model's name, in any cloud's spelling. What has a name
// without a version is taken for the last generation that took budgets: its
// requests are what compatible servers of others know.
func claudeOf(model string) claude {
	c := claude{thinks: true, budgets: true, samples: true, forced: true, maxOutput: 64_000}
	at := strings.Index(model, "claude-")
	if at < 0 {
		return c
	}
	c.family, c.version = claudeName(model[at+len("claude-"):])
	opus, v := c.family == "opus", c.version
	if v == 0 {
		c.schemas = true
		return c
	}
	top := c.family == "fable" || c.family == "mythos"
	switch {
	case v < 35:
		c.maxOutput = 4096
	case v < 37:
		c.maxOutput = 8192
	case opus && v < 45:
		c.maxOutput = 32_000
	case v >= 46:
		c.maxOutput = 128_000
	}
	c.thinks = v >= 37
	c.adapts = v >= 46
	c.budgets = v >= 37 && v <= 46
	c.samples = v <= 46
	c.schemas = v >= 45 || opus && v == 41
	c.onByDefault = v >= 50
	c.betweenTools = c.family == "sonnet" && v >= 55
	c.always = v >= 50 && (top || opus && v >= 55)
	c.forced = !(v >= 55 && (opus || c.family == "sonnet") || top && v >= 51)
	switch {
	case v >= 47:
		c.efforts = []string{"low", "medium", "high", "xhigh", "max"}
	case v == 46:
		c.efforts = []string{"low", "medium", "high", "max"}
	case opus && v == 45:
		c.efforts = []string{"low", "medium", "high"}
	}
	return c
}

// claudeName takes opus-4-5-20251101, 3-7-sonnet-latest, opus-4.6 or
// sonnet-4@20250514 apart.
func claudeName(name string) (family string, version int) {
	words := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("-.@:/", r) })
	digits := 0
	for _, word := range words {
		switch {
		case len(word) == 1 && word[0] >= '0' && word[0] <= '9' && digits < 2:
			version = version*10 + int(word[0]-'0')
			digits++
		case digits == 0 && family != "": // mythos-preview
			return family, 0
		case word[0] >= 'a' && word[0] <= 'z' && family == "":
			family = word
		default:
			digits = max(digits, 2) // a date, or a word behind: no more of the version
		}
	}
	if digits > 0 && version < 10 {
		version *= 10
	}
	return family, version
}

// A messagesPlan is how a request asks for thinking, and for how much output.
type messagesPlan struct {
	kind      string // of thinking: enabled, adaptive, disabled, between_tools; "" = left out
	budget    int64  // of enabled, in tokens
	display   string
	effort    string
	maxTokens *int64
}

func (p *messagesPlan) thinks() bool { return p.kind == "enabled" || p.kind == "adaptive" }

// ownPlan says again what a client of this dialect has said.
func ownPlan(r *Request) messagesPlan {
	p := messagesPlan{effort: r.Reasoning.Effort, maxTokens: r.MaxOutput}
	switch t := &r.Reasoning; {
	case t.Off && claudeOf(r.Model).betweenTools:
		p.kind = "between_tools"
	case t.Off:
		p.kind = "disabled"
	case t.Adapt:
		p.kind = "adaptive"
	case t.Budget != nil:
		p.kind, p.budget = "enabled", *t.Budget
	}
	if p.thinks() {
		switch {
		case !r.Reasoning.Show:
			p.display = "omitted"
		case r.Reasoning.Summary != "":
			p.display = "summarized"
		}
	}
	return p
}

// makePlan decides how the model is to think: newer ones as much as they like
// at an effort, older ones by a budget within max_tokens.
func (w *messagesWriter) makePlan() {
	r, m, p := w.r, &w.model, &w.plan
	t := &r.Reasoning
	forced := len(r.Tools) > 0 && m.forced && (r.Choice.Mode == Required || r.Choice.Mode == Only)
	switch {
	case !t.given():
		switch {
		case forced && m.onByDefault:
			p.turnOff(m)
		case m.onByDefault && (t.Show || t.Summary != ""):
			p.kind = "adaptive"
		}
	case t.off():
		if m.always {
			w.drop(FeatureReasoning)
			p.effort = "low"
		} else {
			p.turnOff(m)
		}
	case !m.thinks:
		w.drop(FeatureReasoning)
	case forced: // a model that thinks can't be made to call a tool
		w.drop(FeatureReasoning)
		p.turnOff(m)
	case m.adapts:
		p.kind, p.effort = "adaptive", nearestEffort(t.effort(), m.efforts...)
	case w.lacksThought():
		w.drop(FeatureReasoning)
	default:
		p.kind = "enabled"
		if n, ok := t.tokens(); ok {
			p.budget = max(n, minBudget)
		} else {
			p.budget, _ = effortTokens("medium")
		}
	}
	if p.kind == "adaptive" && (t.Show || t.Summary != "") {
		p.display = "summarized" // newer models show nothing unless asked
	}
	w.limit()
}

// minBudget is the least thinking budget that Anthropic takes, in tokens.
const minBudget = 1024

// turnOff leaves out what is off by itself.
func (p *messagesPlan) turnOff(m *claude) {
	switch {
	case !m.onByDefault:
	case m.betweenTools:
		p.kind = "between_tools"
	default:
		p.kind = "disabled"
	}
}

// limit sets max_tokens. A thinking budget is part of it: where the client's
// limit leaves no room for an answer, the limit is the answer's.
func (w *messagesWriter) limit() {
	m, p := &w.model, &w.plan
	limit := int64(defaultOutput)
	switch {
	case w.r.MaxOutput != nil:
		limit = *w.r.MaxOutput
	case m.maxOutput < defaultOutput:
		limit = defaultOutputOld
	case p.kind == "adaptive", m.onByDefault && p.kind == "":
		limit = defaultOutputAdaptive
	}
	if p.kind == "enabled" && limit <= p.budget {
		limit = max(limit, 1)
		if p.budget+limit > m.maxOutput {
			limit = min(limit, m.maxOutput/2)
			p.budget = max(minBudget, m.maxOutput-limit)
		}
		limit += p.budget
	}
	p.maxTokens = &limit
}

// lacksThought reports whether the last turn of the model calls tools and has
// lost the thoughts that it began with: a model with a budget must see them.
func (w *messagesWriter) lacksThought() bool {
	turns := w.r.Turns
	for len(turns) > 0 && turns[len(turns)-1].Role != Assistant {
		turns = turns[:len(turns)-1]
	}
	calls := false
	for i := len(turns) - 1; i >= 0 && turns[i].Role == Assistant; i-- {
		for j := range turns[i].Parts {
			p := &turns[i].Parts[j]
			if p.Kind == Thinking && p.Thought.From == Messages && p.Thought.Signature+p.Thought.Sealed != "" {
				return false
			}
			calls = calls || p.Kind == Call
		}
	}
	return calls
}

func (w *messagesWriter) thinking() {
	p := &w.plan
	if p.kind == "" {
		return
	}
	w.objKey("thinking")
	w.strKey("type", p.kind)
	if p.kind == "enabled" {
		w.intKey("budget_tokens", p.budget)
	}
	w.strIf("display", p.display)
	w.endObj()
}
