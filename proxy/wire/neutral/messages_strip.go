package neutral

import (
	"bytes"
	"encoding/base64"
)

// A client of this dialect may have had turns from other vendors' models, by
// way of the gateway, and now speak to Anthropic's own again. Anthropic takes
// neither their seals nor citations without its own index. Such a request,
// which HoldsSeals tells, is to be decoded and encoded once, and loses them.

// HoldsSeals reports whether a request's body may hold seals that the gateway
// has wrapped, or citations that it has made: not even an upstream of the
// body's own dialect takes it then as it is.
func HoldsSeals(body []byte) bool {
	return bytes.Contains(body, []byte(sealPrefix)) || bytes.Contains(body, sealBase64) || bytes.Contains(body, madeIndex)
}

// sealBase64 is sealPrefix in base64, as it begins in Gemini's fields of bytes.
var sealBase64 = []byte(base64.StdEncoding.EncodeToString([]byte(sealPrefix)))

// madeIndex is what messagesCitation writes of another vendor's citation.
var madeIndex = []byte(`"encrypted_index":""`)

// stripSeals finds out whether there are other vendors' seals. Where the
// thoughts of the last calls are lost with them, a budget for new ones is, too.
func (w *messagesWriter) stripSeals() {
	for i := range w.r.Turns {
		for j := range w.r.Turns[i].Parts {
			p := &w.r.Turns[i].Parts[j]
			if foreignThought(p) {
				w.foreign = true
				w.drop(FeatureThoughts)
			}
			w.foreign = w.foreign || p.Kind == Call && p.Call.Signature != ""
			for k := range p.Cites {
				w.foreign = w.foreign || bytes.Contains(p.Cites[k].Raw, madeIndex)
			}
		}
	}
	if w.foreign && w.plan.kind == "enabled" && w.lacksThought() {
		w.plan.kind = ""
		w.drop(FeatureReasoning)
	}
}

func foreignThought(p *Part) bool { return p.Kind == Thinking && p.Thought.From != Messages }

// ownTurns are the turns without other vendors' thoughts, and without what
// stands for their citations.
func ownTurns(turns []Turn) []Turn {
	kept := make([]Turn, 0, len(turns))
	for _, t := range turns {
		parts := make([]Part, 0, len(t.Parts))
		for _, p := range t.Parts {
			if foreignThought(&p) {
				continue
			}
			var cites []Citation
			for _, c := range p.Cites {
				if !bytes.Contains(c.Raw, madeIndex) {
					cites = append(cites, c)
				}
			}
			p.Cites = cites
			parts = append(parts, p)
		}
		if len(parts) > 0 || len(t.Parts) == 0 {
			t.Parts = parts
			kept = append(kept, t)
		}
	}
	return kept
}
