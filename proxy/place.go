package proxy

import "strings"

// A place is where an upstream runs, as far as its host says it: a part of
// what decides its prices.
type place struct{ residency, region, endpoint string }

// placeOf reads a host's name: OpenAI's by residency (eu.api.openai.com),
// Bedrock's by region, and Vertex's, which has a global one beside the regions.
func placeOf(host string) (p place) {
	switch label, rest, _ := strings.Cut(strings.ToLower(host), "."); {
	case rest == "api.openai.com":
		p.residency = label
	case rest == "googleapis.com" && label == "aiplatform":
		p.endpoint, p.region = "vertex", "global"
	case rest == "googleapis.com" && strings.HasSuffix(label, "-aiplatform"):
		p.endpoint, p.region = "vertex", strings.TrimSuffix(label, "-aiplatform")
	case strings.HasPrefix(label, "bedrock"):
		if region, ok := strings.CutSuffix(rest, ".amazonaws.com"); ok {
			p.region = region
		} else if region, ok := strings.CutSuffix(rest, ".api.aws"); ok {
			p.region = region
		}
	}
	return p
}
