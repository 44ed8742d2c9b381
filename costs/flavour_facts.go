package costs

import (
	"bytes"
	"math/bits"
	"strings"
)

// A special is a leftover rule that the table can't say.
type special uint8

const (
	nothing     special = iota
	imageOutput         // what an image model puts out is pictures, where no detail says otherwise
	hitAndMiss          // DeepSeek's prompt is what hit the cache and what missed it
	audioBeside         // Mistral's audio tokens are in the total, and not among the prompt's
)

// apply changes what was found so that the table can read it.
func (f *found) apply(s special) {
	switch s {
	case imageOutput:
		f.imageOutput()
	case hitAndMiss:
		f.hitAndMiss()
	case audioBeside:
		f.audioBeside()
	}
}

var (
	nodePrompt     = pathNode("prompt_tokens")
	nodeHit        = pathNode("prompt_cache_hit_tokens")
	nodeMiss       = pathNode("prompt_cache_miss_tokens")
	nodeOutput     = pathNode("output_tokens")
	nodeImageOut   = pathNode("output_tokens_details.image_tokens")
	nodeTextOut    = pathNode("output_tokens_details.text_tokens")
	nodeAudioTime  = pathNode("prompt_audio_seconds")
	mistralDetails = pathsOf("prompt_tokens_details.audio_tokens|prompt_tokens_details.cached_tokens|num_cached_tokens")
)

func (f *found) imageOutput() {
	if f.is(nodeOutput) && !f.is(nodeImageOut) && !f.is(nodeTextOut) {
		f.count[nodeImageOut] = f.count[nodeOutput]
		f.set(nodeImageOut)
	}
}

func (f *found) hitAndMiss() {
	if !f.is(nodeHit) || !f.is(nodeMiss) {
		return
	}
	sum := f.count[nodeHit] + f.count[nodeMiss]
	if !f.is(nodePrompt) {
		f.count[nodePrompt] = sum
		f.set(nodePrompt)
	}
	f.bad = f.bad || f.count[nodePrompt] != sum
}

// audioBeside drops the details of audio that is billed by the second.
func (f *found) audioBeside() {
	if !f.is(nodeAudioTime) || f.count[nodeAudioTime] == 0 {
		return
	}
	for _, n := range mistralDetails {
		if n != nodeNone && f.is(n) && f.count[n] > f.count[nodePrompt] {
			f.clear(n)
		}
	}
}

// Words and charges of usage objects.
var (
	tierPaths      = []node{pathNode("service_tier"), pathNode("serviceTier")}
	nodeTraffic    = pathNode("trafficType")
	nodeSpeed      = pathNode("speed")
	nodeGeo        = pathNode("inference_geo")
	nodeSearchSize = pathNode("search_context_size")
	nodeType       = pathNode("type")
	nodeModel      = pathNode("model")
	_              = pathNode("iterations")

	nodeTicks     = pathNode("cost_in_usd_ticks")
	nodeEstimated = pathNode("estimated_cost")
	nodeTotalCost = pathNode("cost.total_cost")
	nodeCost      = pathNode("cost")
	nodeUpstream  = pathNode("cost_details.upstream_inference_cost")
	nodeByok      = pathNode("is_byok")
)

// trafficTiers are Google's traffic types by the words of its service tiers.
var trafficTiers = map[string]string{
	"ON_DEMAND": "standard", "ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority",
	"ON_DEMAND_OFFPEAK": "offpeak", "PROVISIONED_THROUGHPUT": "provisioned",
}

// facts reads what is no count.
func (v vendor) facts(o *found, out *Reading) {
	for _, n := range tierPaths {
		if w := o.word(n); len(w) > 0 && string(w) != "unspecified" {
			out.Tier = intern(w)
		}
	}
	if w := o.word(nodeTraffic); w != nil {
		if tier, ok := trafficTiers[string(w)]; ok {
			out.Tier = tier
		}
	}
	word := func(to *string, n node) {
		if w := o.word(n); len(w) > 0 {
			*to = intern(w)
		}
	}
	word(&out.Speed, nodeSpeed)
	word(&out.Residency, nodeGeo)
	word(&out.SearchContextSize, nodeSearchSize)
	if m, ok := v.charge(o); ok {
		out.Charged, out.HasCharge = m, true
	}
}

// charge is the vendor's own charge, of those that are known to send one in
// dollars. A member of that name means anything elsewhere: credits, cents.
func (v vendor) charge(o *found) (Money, bool) {
	switch v {
	case vendorXAI: // 10^10 ticks are a dollar
		ticks := o.count[nodeTicks]
		return MoneyOf(ticks/10, ticks%10*1e8), o.is(nodeTicks)
	case vendorDeepInfra:
		return dollars(o.word(nodeEstimated))
	case vendorPerplexity:
		return dollars(o.word(nodeTotalCost))
	case vendorOpenRouter:
		return openRouterCost(o)
	}
	return Money{}, false
}

// openRouterCost is in dollars. Under a key of the caller's own it is the fee
// alone, and what the upstream charges comes on top.
func openRouterCost(o *found) (Money, bool) {
	cost, ok := dollars(o.word(nodeCost))
	if ok && o.is(nodeByok) {
		upstream, known := dollars(o.word(nodeUpstream))
		return cost.Add(upstream), known
	}
	return cost, ok
}

// dollars reads an amount as JSON has it. A float's noise below 1e-18 dollars
// is rounded off. A negative amount is nobody's charge.
func dollars(raw []byte) (Money, bool) {
	mantissa, exp, ok := mantissaOf(raw)
	if exp += moneyDigits; !ok || exp > moneyDigits {
		return Money{}, false
	}
	if exp < 0 {
		units, ok := shift(mantissa, exp, true)
		return Money{lo: uint64(units)}, ok
	}
	unit := uint64(1)
	for range exp {
		unit *= 10
	}
	hi, lo := bits.Mul64(mantissa, unit)
	return Money{hi: int64(hi), lo: lo}, true
}

// maxWord bounds the words that are kept.
const maxWord = 64

// words are those that do not allocate.
var words = []string{
	"standard", "default", "priority", "batch", "flex", "scale", "fast", "auto", "on_demand", "ultrafast",
	"us", "eu", "global", "not_available", "low", "medium", "high",
	"message", "compaction", "advisor_message", "fallback_message",
}

func intern(w []byte) string {
	if len(w) == 0 || len(w) > maxWord || bytes.IndexByte(w, '\\') >= 0 {
		return ""
	}
	for _, known := range words {
		if string(w) == known {
			return known
		}
	}
	return string(w)
}

// maxIterations bounds the iterations that are told apart.
const maxIterations = 256

// iterations reads Anthropic's list of the runs that a request took.
func (f Flavour) iterations(o *found, out *Reading) {
	s := found{p: o.list, at: 1}
	rules := Flavour{f.vendor, shapeAnthropic}.rules()
	out.Iterations = out.Iterations[:0:0]
	for s.byte(']'); len(out.Iterations) < maxIterations; {
		s.space()
		start := s.at
		if !s.skip() {
			break
		}
		var it found
		var r Reading
		if it.read(o.list[start:s.at]) {
			rules.read(&it, &r)
			out.Iterations = append(out.Iterations, Iteration{Type: intern(it.word(nodeType)), Model: intern(it.word(nodeModel)), Usage: r.Usage})
			out.Inconsistent = out.Inconsistent || r.Inconsistent
		}
		if !s.byte(',') {
			break
		}
	}
	placeIterations(out)
}

// placeIterations says which iterations are not in the top-level figures:
// compactions and advisors never are. Of a request that fell back to another
// model they are all of the figures' parts, or the last one is all of them:
// the sums tell.
func placeIterations(out *Reading) {
	sum, last := Usage{}, -1
	for i := range out.Iterations {
		it := &out.Iterations[i]
		switch it.Type {
		case "compaction", "advisor_message":
			it.Beside = true
		default:
			sum.Add(it.Usage)
			last = i
		}
	}
	if last < 0 || sameTokens(sum, out.Usage) || !sameTokens(out.Iterations[last].Usage, out.Usage) {
		return
	}
	for i := range last {
		out.Iterations[i].Beside = true
	}
}

func sameTokens(a, b Usage) bool {
	aIn, _ := a.Input()
	bIn, _ := b.Input()
	aOut, _ := a.Output()
	bOut, _ := b.Output()
	return aIn == bIn && aOut == bOut
}

// GroundingMeter is what Google bills for a model's grounding in search: the
// grounded prompt up to Gemini 2.5, each search query from Gemini 3 on.
func GroundingMeter(model string) Meter {
	_, version, found := strings.Cut(model, "gemini-")
	if found && len(version) > 0 && (version[0] == '1' || version[0] == '2') {
		return GroundedPrompts
	}
	return SearchQueries
}
