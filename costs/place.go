package costs

import "strings"

// Place fills in where an upstream runs, as far as its host's name says it and
// the terms don't: OpenAI's by residency (eu.api.openai.com), Bedrock's by
// region, and Vertex's, which has a global endpoint beside the regions.
func (t *Terms) Place(host string) {
	set := func(to *string, word string) {
		if *to == "" {
			*to = word
		}
	}
	switch label, rest, _ := strings.Cut(strings.ToLower(host), "."); {
	case rest == "api.openai.com":
		set(&t.Residency, label)
	case rest == "googleapis.com" && label == "aiplatform":
		set(&t.Endpoint, "vertex")
		set(&t.Region, "global")
	case rest == "googleapis.com" && strings.HasSuffix(label, "-aiplatform"):
		set(&t.Endpoint, "vertex")
		set(&t.Region, strings.TrimSuffix(label, "-aiplatform"))
	case strings.HasPrefix(label, "bedrock"):
		if region, ok := strings.CutSuffix(rest, ".amazonaws.com"); ok {
			set(&t.Region, region)
		} else if region, ok := strings.CutSuffix(rest, ".api.aws"); ok {
			set(&t.Region, region)
		}
	}
}

// Serve sets the tier that a reply says it was served by. The words for the
// standard one leave what the terms have: of prepaid units no reply tells.
func (t *Terms) Serve(tier string) {
	if _, standard := standardTiers[lower(tier)]; standard && t.Tier != "" || tier == "" {
		return
	}
	t.Tier = tier
}
