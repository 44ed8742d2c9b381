package neutral

// Homeward takes out of a request that goes to an upstream of the client's own
// dialect what other vendors' models have left in it by way of the gateway:
// their seals, on calls and on reasoning, which that upstream would refuse. What a
// chat server hands on of other vendors in its own way (OpenRouter) stays. The
// request's turns are copied where they change. Messages have more to lose than
// that, and lose it as they are written.
func Homeward(r *Request, n *Notes) {
	if r.From == Messages {
		return
	}
	foreign := func(p *Part) bool {
		switch {
		case p.Kind == Call:
			// Gemini alone seals calls. What looks like a seal of another's is forged, and the result's id would not have it.
			return p.Call.Signature != "" && (p.Call.From != r.From || r.From != Generate)
		case p.Kind == Thinking:
			return p.Thought.From != r.From && p.Thought.Format == ""
		}
		return false
	}
	turns := make([]Turn, 0, len(r.Turns))
	for _, t := range r.Turns {
		parts := make([]Part, 0, len(t.Parts))
		for _, p := range t.Parts {
			switch {
			case !foreign(&p):
			case p.Kind == Thinking:
				n.Drop(memberName(r.From, FeatureThoughts))
				continue
			default:
				call := *p.Call
				call.Signature, call.From = "", ""
				p.Call = &call
			}
			parts = append(parts, p)
		}
		if len(parts) > 0 || len(t.Parts) == 0 {
			t.Parts = parts
			turns = append(turns, t)
		}
	}
	r.Turns = turns
}
