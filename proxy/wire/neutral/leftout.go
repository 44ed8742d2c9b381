package neutral

import "slices"

// LeftOut gathers what of a reply a client's dialect has no place for, such as
// the searches that a vendor has run or pictures for a client of Messages. It
// is by the upstream's own words, behind "reply.".
type LeftOut struct {
	Names []string
	calls bool // one has been told, of a client that reads one
}

// Event takes a stream's event on its way to a client that asked r.
func (l *LeftOut) Event(e *Event, r *Request) {
	switch {
	case e.Kind == Open && e.Part != nil:
		l.part(e.Part, r)
	case e.Kind == CiteDelta && e.Part != nil:
		l.cites(e.Part, r.From)
	}
	if e.Choice > 0 && (r.From == Messages || r.From == Responses) {
		l.add("choices")
	}
}

// Reply takes a whole one.
func (l *LeftOut) Reply(reply *Reply, r *Request) {
	for i := range reply.Choices {
		for j := range reply.Choices[i].Parts {
			p := &reply.Choices[i].Parts[j]
			l.part(p, r)
			l.cites(p, r.From)
		}
	}
	if len(reply.Choices) > 1 && (r.From == Messages || r.From == Responses) {
		l.add("choices")
	}
}

func (l *LeftOut) part(p *Part, r *Request) {
	switch p.Kind {
	case Opaque:
		if p.From != r.From {
			l.add(opaqueName(p))
		}
	case Image:
		if r.From == Messages {
			l.add("image")
		}
	case Audio:
		if r.From == Messages || r.From == Responses {
			l.add("audio")
		}
	case Video:
		if r.From != Generate {
			l.add("video")
		}
	case File:
		if r.From != Generate {
			l.add("file")
		}
	case Call:
		if r.From == Chat && r.Legacy {
			if l.calls {
				l.add("tool_calls")
			}
			l.calls = true
		}
	}
}

// cites notes another vendor's citations that name no address: of files and
// documents, whose places only the vendor knows.
func (l *LeftOut) cites(p *Part, client API) {
	if p.From == client || p.From == "" {
		return
	}
	if slices.ContainsFunc(p.Cites, func(c Citation) bool { return c.URL == "" }) && client != Messages {
		l.add("citations")
	}
}

func (l *LeftOut) add(name string) {
	name = "reply." + name
	if len(l.Names) < maxDropped && !slices.Contains(l.Names, name) {
		l.Names = append(l.Names, name)
	}
}

// opaqueName is what a part is that only its own dialect knows: the type of
// its block or item, or the member of Gemini's that holds it.
func opaqueName(p *Part) string {
	name := itemKind(p.Raw)
	if list := members(p.Raw); name == "" && len(list) > 0 {
		name = list[0].Name
	}
	if name = plainID(name); name == "" || len(name) > 64 {
		return "part"
	}
	return name
}
