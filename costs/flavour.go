package costs

import (
	"maps"
	"slices"
)

// A Flavour is how one API of one vendor counts: which members of its usage
// object hold totals, what is part of them and what is beside, and which
// meters they are. flavour_table.go holds the rules. A Flavour is comparable
// and cheap to copy; the zero Flavour is decided by each object's members.
type Flavour struct {
	vendor vendor
	shape  shape
}

// FlavourOf returns the flavour of an API (a wire.API's word, or "realtime",
// "converse", "ollama", "ocr") of a vendor (a price book's provider id; "" is
// unknown). The members of raw, a usage object as the vendor sends it, decide
// where the API is "" or has several shapes; with a nil raw they decide at
// each Read.
func FlavourOf(vendor, api string, raw []byte) Flavour {
	f := Flavour{vendorOf(vendor), shapeOfAPI[api]}
	if f.shape != shapeByMembers || raw == nil {
		return f
	}
	var o found
	if o.read(raw) {
		f.shape = f.shapeOf(&o)
	}
	return f
}

// APIs are the words of the APIs whose usage objects have a shape of their own.
func APIs() []string { return slices.Sorted(maps.Keys(shapeOfAPI)) }

// For returns the flavour for one of the vendor's models, where a family of
// them counts differently from the rest.
func (f Flavour) For(model string) Flavour {
	for _, r := range familyRules {
		if r.vendor == f.vendor && (r.from == f.shape || f.shape == shapeByMembers) && r.matches(model) {
			f.shape = r.to
			break
		}
	}
	return f
}

// String is the flavour's name, such as "openai chat", for records and
// explanations.
func (f Flavour) String() string {
	if f.shape == shapeByMembers {
		return "by members"
	}
	return f.rules().name
}

// A Reading is what a usage object says.
type Reading struct {
	Usage Usage // the leaves. What the vendor counts beside its own figures (see Iterations) is not in it

	// As far as the usage says so, in the vendor's own words, but for
	// Google's traffic types, which are given the words of its tiers.
	Tier              string // that served the request: standard, flex, priority, batch …
	Speed             string // standard, fast
	Residency         string // where the inference ran: us, global …
	SearchContextSize string // low, medium, high

	Charged   Money // the provider's own charge, where HasCharge
	HasCharge bool

	Inconsistent bool // the leaves do not add up to the vendor's totals, or some count cannot be one
	Totals       Totals
	unread       [2]bool // the vendor's input, its output: not known, though there was some

	Iterations []Iteration // nil where the vendor tells none apart
}

// Totals are the vendor's own figures, kept as they were sent; those that
// were not are 0 with their Has… false. They may include or exclude cached
// tokens and reasoning, as the flavour has it.
type Totals struct {
	Input, Output, Total          int64
	HasInput, HasOutput, HasTotal bool
}

// An Iteration is one of several runs of models that a request took.
type Iteration struct {
	Type   string // message, compaction, advisor_message, fallback_message
	Model  string // "": the reply's
	Usage  Usage
	Beside bool // its tokens are not in the reading's Usage
}

// Read reads a usage object over what earlier ones of the same reply said,
// which counts where the vendor sends one reply's usage in several parts
// (Anthropic streams) and is replaced elsewhere. What is no usage object
// changes nothing.
func (f Flavour) Read(raw []byte, before Usage) Reading {
	r := Reading{Usage: before}
	f.Update(&r, raw)
	return r
}

// Update is Read over a whole earlier reading: what the object does not say
// stays as it was said. It reports whether raw is a usage object, allocates
// only for a list of iterations and for words that it does not know, and
// keeps nothing of raw.
//
// A list of usage objects is read, too: of the parts of one reply where the
// vendor sends it in parts, and of several requests, whose usage is added up,
// elsewhere.
func (f Flavour) Update(r *Reading, raw []byte) bool {
	if len(raw) > 0 && raw[0] == '[' {
		return f.updateList(r, raw)
	}
	var o found
	if !o.read(raw) {
		return false
	}
	if f.shape == shapeByMembers {
		f.shape = f.shapeOf(&o)
	}
	rules := f.rules()
	rules.read(&o, r)
	f.vendor.facts(&o, r)
	if o.list != nil {
		f.iterations(&o, r)
	}
	return true
}

func (f Flavour) updateList(r *Reading, raw []byte) (any bool) {
	s := found{p: raw, at: 1}
	for {
		s.space()
		start := s.at
		if !s.skip() {
			return any
		}
		before := r.Usage
		if part := raw[start:s.at]; part[0] == '{' && f.Update(r, part) {
			if !f.InParts() && any {
				r.Usage.Add(before)
			}
			any = true
		}
		if !s.byte(',') {
			return any
		}
	}
}

// InParts reports whether the vendor sends one reply's usage in several
// objects that each say a part of it.
func (f Flavour) InParts() bool { return f.shape != shapeByMembers && f.rules().merge }

// Parts calls yield with the usages that have to be charged at a model each,
// until it returns false; their sum is all that the request consumed. The
// first is the reply's own, with the model "". served is the model that the
// reply says it is from.
func (r *Reading) Parts(served string) func(yield func(model string, u Usage) bool) {
	return func(yield func(string, Usage) bool) {
		rest, apart := r.Usage, false
		for _, it := range r.Iterations {
			if !it.Beside && it.Model != "" && it.Model != served {
				if !rest.take(it.Usage) {
					rest, apart = r.Usage, true // they do not add up: the whole goes by the reply's model
					break
				}
			}
		}
		if !yield("", rest) {
			return
		}
		for _, it := range r.Iterations {
			if !it.Beside && (apart || it.Model == "" || it.Model == served) {
				continue
			}
			if !yield(it.Model, it.Usage) {
				return
			}
		}
	}
}

// take subtracts the other's counts, and reports false where u has not that much.
func (u *Usage) take(other Usage) bool {
	for m, n := range other.All {
		if u.n[m] < n {
			return false
		}
		u.n[m] -= n
	}
	return true
}
