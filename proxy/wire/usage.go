package wire

import (
	"bytes"

	"weir/costs"
)

// ReadUsage turns a usage object of an API into leaf meters, where nobody
// knows whose it is. Members that are absent stay unknown; a zero is a zero.
func ReadUsage(api API, raw []byte) costs.Usage {
	return costs.FlavourOf("", api.String(), nil).Read(raw, costs.Usage{}).Usage
}

// usage takes a usage object. Later ones overwrite what they name.
func (f *facts) usage(raw []byte) {
	if raw == nil || len(bytes.Trim(raw, "{} \t\r\n")) == 0 {
		return
	}
	f.hasUsage = true
	r := f.read
	f.flavour.Update(&r.Reading, raw)
	r.HasUsage = true
	f.keepRaw(raw)
	if r.Tier != "" {
		r.ServiceTier = r.Tier
	}
}

// keepRaw keeps a usage object as it was written: the last one, or a list of
// the first and the last where they say a part each.
func (f *facts) keepRaw(raw []byte) {
	r := f.read
	switch {
	case len(r.RawUsage) == 0 || !f.flavour.InParts():
		r.RawUsage = append(r.RawUsage[:0], raw...)
		f.firstRaw = len(raw)
	case r.RawUsage[0] == '{':
		r.RawUsage = append(r.RawUsage, 0)
		copy(r.RawUsage[1:], r.RawUsage[:f.firstRaw])
		r.RawUsage[0] = '['
		fallthrough
	default:
		r.RawUsage = append(append(append(r.RawUsage[:1+f.firstRaw], ','), raw...), ']')
	}
}

// extras are what a reply consumed beside what its usage object counts, as
// far as its other members show it.
type extras struct {
	// OpenAI Responses: hosted tools. Streams tell each item when it is done,
	// and all of them in the last event: the larger count is right.
	items, done tools
	billed      int64 // web searches by tool_usage, which knows; -1: it has not come

	queries    int64 // Gemini: search queries that grounded the reply
	newQueries int64 // of the text being read; each may tell them all
	images     int64 // pictures that were made
	audio      int64 // microseconds of audio that was read
	requests   int64 // a batch: of which its usage is the sum

	prefill, decode int64 // microseconds that an engine worked (llama.cpp's timings)
}

// tools are the calls of hosted tools among a reply's output items.
type tools struct {
	web, file int64
	sessions  int64
	container [16]uint64 // hashes of the first sessions' names
}

// An item is an output item being read.
type item struct {
	kind, action []byte
	container    uint64
}

// add counts an item that is whole. Of a web search's actions only searches
// are billed; of a container all runs are one session.
func (t *tools) add(it *item) {
	switch string(it.kind) {
	case "web_search_call":
		if len(it.action) == 0 || string(it.action) == "search" {
			t.web++
		}
	case "file_search_call":
		t.file++
	case "code_interpreter_call":
		for _, known := range t.container[:min(t.sessions, int64(len(t.container)))] {
			if known == it.container && it.container != 0 {
				return
			}
		}
		if t.sessions < int64(len(t.container)) {
			t.container[t.sessions] = it.container
		}
		t.sessions++
	}
}

// hash is FNV-1a, to tell the containers of one reply apart.
func hash(text []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range text {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// more returns the extras, for adding to them.
func (f *facts) more() *extras {
	if f.extras == nil {
		f.extras = &extras{billed: -1}
	}
	return f.extras
}

// reset forgets what another reply has consumed.
func (e *extras) reset() {
	if e != nil {
		*e = extras{billed: -1}
	}
}

// itemDepth is how deep the members of an output item are; 0: the value being
// read is in none. Items are in a Responses object's output, and in the events
// that tell one of them.
func (f *facts) itemDepth(s *scanner) int {
	switch f.rootKey(s) {
	case keyItem:
		return 2
	case keyOutput:
		return 3
	case keyResponse:
		if len(s.stack) > f.base+1 && s.stack[f.base+1].key == keyOutput {
			return 4
		}
	}
	return 0
}

// itemMember takes a member of an output item.
func (f *facts) itemMember(s *scanner, below int, raw []byte) {
	switch k := s.key(); {
	case below == 0 && k == keyType:
		f.item.kind = appendShort(f.item.kind[:0], raw)
	case below == 0 && k == keyContainerID:
		f.item.container = hash(raw)
	case below == 1 && k == keyType && parentKey(s) == keyAction:
		f.item.action = appendShort(f.item.action[:0], raw)
	}
}

// endItem is at the end of an output item that is in a list.
func (f *facts) endItem() {
	switch string(f.item.kind) {
	case "web_search_call", "file_search_call", "code_interpreter_call":
		f.more().items.add(&f.item)
	}
	f.item.clear()
}

func (it *item) clear() { it.kind, it.action, it.container = it.kind[:0], it.action[:0], 0 }

// itemDone is at the event that tells an output item when it is done.
func (f *facts) itemDone() {
	switch string(f.item.kind) {
	case "web_search_call", "file_search_call", "code_interpreter_call":
		f.more().done.add(&f.item)
	}
}

// toolUsage takes tool_usage.web_search.num_requests of a Responses object:
// the searches that are billed.
func (f *facts) toolUsage(s *scanner, d int, raw []byte) {
	if parentKey(s) != keyWebSearch || s.stack[f.base+d-3].key != keyToolUsage {
		return
	}
	if n, ok := count(raw); ok {
		f.more().billed = n
	}
}

// duration takes the length of the audio that a verbose transcription tells,
// in seconds.
func (f *facts) duration(raw []byte) {
	if n, ok := costs.ParseMicros(raw); ok && f.api == Transcriptions {
		f.more().audio = n
	}
}

// consumed returns a reading with the extras among its usage. Pictures and
// audio count where no usage object tells their tokens.
func (f *facts) consumed(r Reading) Reading {
	e := f.extras
	if e == nil {
		return r
	}
	set := func(m costs.Meter, n int64) {
		if _, known := r.Usage.Get(m); !known && n > 0 {
			r.Usage.Set(m, n)
		}
	}
	web := max(e.items.web, e.done.web)
	if e.billed >= 0 {
		web = e.billed
	}
	set(costs.WebSearches, web)
	set(costs.FileSearches, max(e.items.file, e.done.file))
	set(costs.CodeSessions, max(e.items.sessions, e.done.sessions))
	if e.queries > 0 {
		m := costs.GroundingMeter(r.ServedModel)
		if m == costs.GroundedPrompts {
			set(m, 1)
		} else {
			set(m, e.queries)
		}
	}
	set(costs.GPUPrefillMicros, e.prefill)
	set(costs.GPUDecodeMicros, e.decode)
	if r.HasUsage {
		set(costs.Requests, e.requests)
	}
	_, in := r.Usage.Input()
	_, out := r.Usage.Output()
	if !in && !out && (e.images > 0 || e.audio > 0) {
		set(costs.Images, e.images)
		set(costs.AudioMicros, e.audio)
		r.HasUsage = true
	}
	return r
}
