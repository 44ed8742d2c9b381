package costs

import "strings"

// A valueKind is how the value of a place is written.
type valueKind uint8

const (
	kindCount      valueKind = iota // a whole number
	kindSeconds                     // of seconds, kept as microseconds
	kindNanos                       // of nanoseconds, kept as microseconds
	kindDecimal                     // an amount of money, kept as written
	kindWord                        // a string
	kindFlag                        // true
	kindIterations                  // a list that is kept as written
)

// scale is the power of ten that makes the number what is kept.
func (k valueKind) scale() int {
	switch k {
	case kindSeconds:
		return 6
	case kindNanos:
		return -3
	}
	return 0
}

func (k valueKind) rounds() bool { return k == kindSeconds || k == kindNanos }

// pathKinds are the places that hold anything but a count.
var pathKinds = map[string]valueKind{
	"seconds":                              kindSeconds,
	"prompt_audio_seconds":                 kindSeconds,
	"billable_audio_seconds":               kindSeconds,
	"load_duration":                        kindNanos,
	"prompt_eval_duration":                 kindNanos,
	"eval_duration":                        kindNanos,
	"cost":                                 kindDecimal,
	"cost.total_cost":                      kindDecimal,
	"cost_details.upstream_inference_cost": kindDecimal,
	"estimated_cost":                       kindDecimal,
	"is_byok":                              kindFlag,
	"type":                                 kindWord,
	"model":                                kindWord,
	"service_tier":                         kindWord,
	"serviceTier":                          kindWord,
	"trafficType":                          kindWord,
	"speed":                                kindWord,
	"inference_geo":                        kindWord,
	"search_context_size":                  kindWord,
	"iterations":                           kindIterations,
}

// pathLists are the lists whose entries say what they count, and how much of
// it. The path "list[X]" is the sum of the entries that say X.
var pathLists = map[string]struct{ selector, count string }{
	"promptTokensDetails":        {"modality", "tokenCount"},
	"cacheTokensDetails":         {"modality", "tokenCount"},
	"candidatesTokensDetails":    {"modality", "tokenCount"},
	"responseTokensDetails":      {"modality", "tokenCount"},
	"toolUsePromptTokensDetails": {"modality", "tokenCount"},
	"cacheDetails":               {"ttl", "inputTokens"},
}

// maxTexts bounds the places with words and decimals.
const maxTexts = 16

type role uint8

const (
	roleNone     role = iota
	roleSelector      // says what an entry of a list counts
	roleCount         // says how much
)

// nodes are the places, by node.
var nodes [maxNodes]struct {
	kind    valueKind
	role    role
	list    bool
	text    uint8 // of a word or decimal: where found keeps it
	parent  node
	name    string
	entries []listEntry // of a list
}

type listEntry struct {
	selector string
	node     node
}

var numNodes, numTexts = nodeRoot + 1, uint8(0)

const childSlots = 1024

// children is an open-addressed table of the nodes by parent and name.
var children [childSlots]node

func childHash[T string | []byte](parent node, name T) uint {
	n := len(name)
	h := uint(parent)*131 + uint(n)
	for _, c := range [...]byte{name[0], name[n/4], name[n/2], name[n-n/4-1], name[n-1]} {
		h = h*31 + uint(c)
	}
	return (h ^ h>>9) % childSlots
}

// child is the place of a member; nodeNone where nobody reads it.
func child(parent node, name []byte) node {
	if len(name) == 0 {
		return nodeNone
	}
	for i := childHash(parent, name); ; i = (i + 1) % childSlots {
		n := children[i]
		if n == nodeNone || nodes[n].parent == parent && nodes[n].name == string(name) {
			return n
		}
	}
}

// newNode makes a place below another one, or returns the one that is there.
func newNode(parent node, name string) node {
	if n := child(parent, []byte(name)); n != nodeNone {
		return n
	}
	n := nextNode()
	nodes[n].parent, nodes[n].name = parent, name
	i := childHash(parent, name)
	for children[i] != nodeNone {
		i = (i + 1) % childSlots
	}
	children[i] = n
	return n
}

func nextNode() node {
	if numNodes == maxNodes {
		panic("costs: more places in usage objects than maxNodes")
	}
	numNodes++
	return numNodes - 1
}

// pathNode returns the place of a path such as "prompt_tokens_details.cached_tokens"
// or "promptTokensDetails[AUDIO]".
func pathNode(path string) node {
	name, selector, isList := strings.Cut(strings.TrimSuffix(path, "]"), "[")
	at := nodeRoot
	for part := range strings.SplitSeq(name, ".") {
		at = newNode(at, part)
	}
	if isList {
		return entryNode(at, name, selector)
	}
	k := pathKinds[path]
	if nodes[at].kind = k; (k == kindWord || k == kindDecimal) && nodes[at].text == 0 {
		if numTexts++; numTexts == maxTexts {
			panic("costs: more texts in usage objects than maxTexts")
		}
		nodes[at].text = numTexts
	}
	return at
}

// entryNode returns the place of the entries of a list that say one of some words.
func entryNode(list node, name, words string) node {
	said := pathLists[name]
	nodes[list].list = true
	n := newNode(list, said.selector)
	nodes[n].kind, nodes[n].role = kindWord, roleSelector
	nodes[newNode(list, said.count)].role = roleCount
	n = nodeNone
	for word := range strings.SplitSeq(words, ",") {
		n = addEntryNode(list, word, n)
	}
	return n
}

// addEntryNode returns the place of the entries that say word: the one that
// is there, else as, else a new one.
func addEntryNode(list node, word string, as node) node {
	for _, e := range nodes[list].entries {
		if e.selector == word {
			return e.node
		}
	}
	if as == nodeNone {
		as = nextNode() // no member leads there
	}
	nodes[list].entries = append(nodes[list].entries, listEntry{word, as})
	return as
}

// places are alternatives, in the order in which they are believed; the first
// nodeNone ends them.
type places [8]node

// pathsOf reads "a|b.c|d[X]".
func pathsOf(paths string) (p places) {
	if paths == "" {
		return p
	}
	i := 0
	for path := range strings.SplitSeq(paths, "|") {
		p[i] = pathNode(path)
		i++
	}
	return p
}
