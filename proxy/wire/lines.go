package wire

import "bytes"

// Lines reads the results of a batch as they pass, in pieces of any size: a
// line for each request, with its reply two members deep (Anthropic's
// result.message, OpenAI's response.body). It holds no more than one line's
// Reading.
type Lines struct {
	reply Reply
	api   API
	each  func(*Reading)
}

// NewLines returns a reader that tells each line's reading, where it has usage.
// vendor is a price book's provider id; the reading is the reader's own.
func NewLines(api API, vendor string, each func(*Reading)) *Lines {
	l := &Lines{api: api, each: each}
	l.reply.Reset(api)
	l.reply.SetVendor(vendor, "")
	l.begin()
	return l
}

func (l *Lines) begin() {
	flavour := l.reply.facts.flavour
	l.reply.Reset(l.api)
	l.reply.facts.flavour, l.reply.facts.base = flavour, replyDepth
}

// replyDepth is how deep in a line the reply stands.
const replyDepth = 2

// Feed reads the next piece.
func (l *Lines) Feed(p []byte) {
	for {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		l.reply.Feed(line)
		if !ended {
			return
		}
		l.End()
		p = rest
	}
}

// End reads the last line, which need not have an end of its own.
func (l *Lines) End() {
	if r := l.reply.Reading(); r.Final {
		l.each(&r)
	}
	l.begin()
}
