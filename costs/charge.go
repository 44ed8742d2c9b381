package costs

import (
	"strings"
	"time"
)

// Terms are what decides a price beside the usage.
type Terms struct {
	// Provider is the price book's id of who bills, or an alias of it: openai,
	// anthropic, google, x-ai … "" and "local": nobody's rows apply. "free":
	// it is known to cost nothing.
	Provider string
	Model    string    // asked of the upstream
	Served   string    // what it says it served; it decides where the book knows it
	At       time.Time // when the attempt began

	Tier              string // that served it: standard, flex, priority, batch …; "" is standard
	Speed             string // "" or fast
	Residency         string // where it was to run: us, eu, global …
	Region            string // of a cloud's endpoint: us-east-1, regional, datazone …
	SearchContextSize string // low, medium, high
	SearchType        string
	Endpoint          string // which of a vendor's endpoints: vertex …
	Resolution        string // of a video: 720p …
	Batch             bool   // came by the vendor's batch API

	// Self-hosted: what a GPU-hour costs, how long the GPUs were busy with
	// the attempt, and how many of them there are. A GPUMicros of 0 goes by
	// the usage's own GPU meters; a GPUs of 0 is 1.
	GPUHour   Money
	GPUMicros int64
	GPUs      int64
}

// A Status says what a charge is worth.
type Status string

// The statuses. Unknown is never zero: an Unpriced charge has no amount.
const (
	Priced   Status = "priced"
	Free     Status = "free" // known to cost nothing
	Unpriced Status = "unpriced"
)

// A Charge is what an attempt cost.
type Charge struct {
	Status     Status
	List       Money   // by list prices; 0 unless Priced
	Contracted Money   // by the prices agreed with the vendor; List where there are none
	AtLeast    Money   // Unpriced: what the priced meters alone cost by list prices
	Lines      []Line  // by meter
	Missing    []Meter // meters that counted something and have no price
	Why        string  // Unpriced: the reason, for people
	Provider   string  // whose rows were used, "" if none
	Model      string  // the book's id of the model, "" if none
	Book       string  // the version of the price book
	Mean       bool    // of a sum of requests, some of which may have crossed a threshold that their mean did not, or the other way round
}

// A Line is one meter's part of a charge.
type Line struct {
	Meter      Meter     `json:"meter"`
	Quantity   int64     `json:"quantity"`              // as counted; microseconds where the meter counts time
	Billed     int64     `json:"billed"`                // as billed: more than Quantity where there is a minimum
	Unit       string    `json:"unit"`                  // that Price is for: "M tokens", "h"
	Price      Money     `json:"unit_usd"`              // list price of a unit, before Applied
	Amount     Money     `json:"usd"`                   // by list prices; rounded here only for showing
	Contracted Money     `json:"contracted_usd"`        // by agreed prices
	Row        string    `json:"row"`                   // id of the price row
	Contract   string    `json:"contract_row,omitzero"` // id of the row that Contracted goes by, where it is another one
	Applied    []Applied `json:"multipliers,omitzero"`  // in the order in which they were applied
}

// Applied is a multiplier of a line's price.
type Applied struct {
	Name       string `json:"name"`
	Factor     string `json:"factor"`
	Contracted bool   `json:"contracted,omitzero"` // of the contracted amount only: a discount
}

// Charge prices what an attempt used. It reads the clock of nobody and may be
// called concurrently. The row of each line is the most specific one that
// applies: what the user's file says before what Weir's overlay says before
// the vendored prices, a row with more conditions before one with fewer, a
// later one before an earlier.
func (b *Book) Charge(u Usage, t Terms) Charge {
	c := Charge{Status: Unpriced, Book: b.version}
	if !t.GPUHour.IsZero() {
		return b.chargeGPU(u, t, c)
	}
	if t.Provider == "free" {
		c.Status, c.Provider = Free, "free"
		return c
	}
	p := b.provider(t.Provider)
	if u.IsZero() {
		if m := p.freeOf(b, t); m != nil { // whatever it used
			c.Status, c.Provider, c.Model = Free, p.id, m.id
			return c
		}
		c.Why = "nothing is known of what it used"
		return c
	}
	if p == nil {
		c.Why = "no provider of the price book applies: see price_as"
		if !noProvider(t.Provider) {
			c.Why = "the price book has no provider " + t.Provider
		}
		return c
	}
	m := p.model(b, t)
	if m == nil {
		c.Why = "the price book has no model " + t.Model + " of " + p.id
		return c
	}
	c.Provider, c.Model = p.id, m.id
	e := evaluation{usage: u, book: b, provider: p, model: m, at: t.At.UnixNano()}
	e.context(t)
	c.Mean = e.mean()
	e.collect()
	e.price(&c)
	return c
}

// freeOf finds the model that the terms mean, if all that it does is known to
// cost nothing.
func (p *provider) freeOf(b *Book, t Terms) *model {
	if p == nil {
		return nil
	}
	m := p.model(b, t)
	if m == nil {
		return nil
	}
	e := evaluation{book: b, provider: p, model: m, at: t.At.UnixNano()}
	e.context(t)
	e.collect()
	known := false
	for _, r := range e.active {
		for i := range r.prices {
			switch token := r.prices[i].meter.Unit() == Tokens; {
			case !r.prices[i].rate.usd.IsZero() && (token || r.prices[i].meter == Requests):
				return nil
			case token:
				known = true
			}
		}
	}
	if !known {
		return nil
	}
	return m
}

// mean makes thresholds go by the mean request where the usage is a sum of
// several (Requests). It reports whether that is a guess: one of them alone
// may have been as long as all.
func (e *evaluation) mean() bool {
	n, _ := e.usage.Get(Requests)
	if n < 2 {
		return false
	}
	most := e.input
	e.input /= n
	for i := range e.model.rows {
		r := &e.model.rows[i]
		if r.above >= 0 && most > r.above && r.applies(&evaluation{at: e.at, dims: e.dims, input: most}) {
			return true
		}
	}
	return false
}

func noProvider(name string) bool { return name == "" || name == "local" || name == "none" }

// maxActive bounds the rows that are looked at for one charge without an allocation.
const maxActive = 48

// An evaluation is one charge being made.
type evaluation struct {
	usage    Usage
	book     *Book
	provider *provider
	model    *model
	at       int64 // Unix nanoseconds
	dims     [numDims]string
	input    int64 // tokens, as thresholds count them
	active   []*row
	room     [maxActive]*row
	settled  [numLayers]uint32 // by layer: a bit for each dimension that its rows decide
	answered uint32            // dimensions that some row or multiplier decides
	open     uint64            // meters whose price goes by a word that no row names
	openFor  dim

	total, contracted sum
}

// context puts the terms into one form.
func (e *evaluation) context(t Terms) {
	tier := e.provider.tierName(lower(t.Tier))
	batch := t.Batch
	if tier == "batch" {
		tier, batch = "", true
	}
	e.dims[dimTier] = tier
	if batch {
		e.dims[dimBatch] = "true"
	}
	if s := lower(t.Speed); s != "standard" {
		e.dims[dimSpeed] = s
	}
	e.dims[dimResidency], e.dims[dimRegion] = lower(t.Residency), lower(t.Region)
	e.dims[dimSearchContextSize], e.dims[dimSearchType] = lower(t.SearchContextSize), lower(t.SearchType)
	e.dims[dimEndpoint], e.dims[dimResolution] = lower(t.Endpoint), lower(t.Resolution)
	if t.Endpoint == "" {
		e.dims[dimEndpoint] = e.book.endpoints[lower(t.Provider)]
	}
	for m, n := range e.usage.All {
		if m.IsInput() && e.provider.uncounted&(1<<m) == 0 {
			e.input = plus(e.input, n)
		}
	}
}

func lower(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// collect finds the rows that apply now. Of a vendored model's sheets, which
// are whole price lists, only the latest counts.
func (e *evaluation) collect() {
	e.active = e.room[:0]
	sheet := 0
	for i := range e.model.rows {
		r := &e.model.rows[i]
		if !r.applies(e) {
			continue
		}
		if r.sheet > 0 {
			if sheet == 0 {
				sheet = r.sheet
			}
			if r.sheet != sheet {
				continue
			}
		}
		e.settled[r.layer] |= r.dims
		e.answered |= r.dims
		e.active = append(e.active, r)
	}
	e.leaveOpen()
}

// price makes the lines.
func (e *evaluation) price(c *Charge) {
	c.Lines = make([]Line, 0, e.usage.Len()+1)
	e.ground()
	counted := false
	for m, n := range e.usage.All {
		if n == 0 {
			continue
		}
		counted = true
		if !e.line(c, m, n) {
			c.Missing = append(c.Missing, m)
		}
	}
	if _, counted := e.usage.Get(Requests); !counted && !e.line(c, Requests, 1) && e.open&(1<<Requests) != 0 {
		c.Missing = append(c.Missing, Requests)
	}
	e.excuse(c)
	why := e.undecided()
	if len(c.Missing) > 0 {
		names := make([]string, len(c.Missing))
		for i, m := range c.Missing {
			names[i] = m.String()
		}
		why = "no price for " + strings.Join(names, ", ") + " of " + c.Provider + "/" + c.Model + e.openWord()
	}
	if why == "" && len(c.Lines) == 0 && (counted || !e.hasPrices()) {
		why = "no price of " + c.Provider + "/" + c.Model + " was in force for what it used"
	}
	list := e.total.money()
	if why != "" {
		c.Why, c.AtLeast = why, list
		return
	}
	c.Status, c.List, c.Contracted = Priced, list, e.contracted.money()
	if list.IsZero() && e.isFree(c) {
		c.Status = Free
	}
}

// ground counts Google's searches in what the model is billed by: a prompt
// that was grounded once, however many queries it took, or each query.
func (e *evaluation) ground() {
	const searches = 1<<WebSearches | 1<<SearchQueries
	if e.usage.known&searches == 0 {
		return
	}
	for m, n := range e.usage.All {
		switch {
		case m != WebSearches && m != SearchQueries || n == 0 || e.priced(m, false):
		case e.priced(GroundedPrompts, false):
			if _, counted := e.usage.Get(GroundedPrompts); !counted {
				e.usage.Set(GroundedPrompts, 1)
			}
			e.usage.Set(m, -1) // unknown: it is the other one now
		case m == WebSearches && e.priced(SearchQueries, false):
			old, _ := e.usage.Get(SearchQueries)
			e.usage.Set(SearchQueries, plus(old, n))
			e.usage.Set(m, -1) // unknown: it is the other one now
		}
	}
}

func (e *evaluation) hasPrices() bool {
	for _, r := range e.active {
		if len(r.prices) > 0 {
			return true
		}
	}
	return false
}

// isFree tells what is known to cost nothing from a priced call that used nothing.
func (e *evaluation) isFree(c *Charge) bool {
	for _, r := range e.active {
		for _, p := range r.prices {
			if !p.rate.usd.IsZero() && p.meter.Unit() == Tokens {
				return len(c.Lines) > 0 // multiplied by 0: paid for otherwise
			}
		}
	}
	return true
}

// sizes are meters that say again, or otherwise, what others count: where
// something was priced, one of them without a price is not missing.
const sizes = 1<<Requests | 1<<Images | 1<<ImagePixels | 1<<VideoPixels | 1<<AudioMicros | 1<<AudioOutMicros | 1<<VideoMicros |
	1<<Characters | 1<<Pages | 1<<RerankUnits | 1<<Classifications | 1<<TextMessages |
	1<<GPUPrefillMicros | 1<<GPUDecodeMicros | 1<<GPUMicros

// excuse takes out of the missing meters those that another one was billed for.
func (e *evaluation) excuse(c *Charge) {
	var billed uint64
	for i := range c.Lines {
		billed |= 1 << c.Lines[i].Meter
	}
	const grounding = 1<<GroundedPrompts | 1<<SearchQueries // Google bills one or the other
	left := c.Missing[:0]
	for _, m := range c.Missing {
		bit := uint64(1) << m
		switch {
		case bit&e.open != 0:
			left = append(left, m)
		case billed != 0 && bit&sizes != 0, bit&(1<<Requests|1<<GPUPrefillMicros|1<<GPUDecodeMicros|1<<GPUMicros) != 0:
		case bit&grounding != 0 && billed&grounding != 0:
		case bit&tokenMeters != 0 && billed&sizes&^(1<<Requests) != 0 && !e.pricesTokens():
			// billed by its length or its pages alone: the tokens are in that price
		default:
			left = append(left, m)
		}
	}
	c.Missing = left
	if len(left) == 0 {
		c.Missing = nil
	}
}

var tokenMeters = inputMeters | outputMeters

// pricesTokens reports whether any token of the model has a price.
func (e *evaluation) pricesTokens() bool {
	for _, r := range e.active {
		for i := range r.prices {
			if r.prices[i].meter.Unit() == Tokens {
				return true
			}
		}
	}
	return false
}

// undecided names a tier, a speed or a batch for which the book says nothing:
// the standard price would be a guess.
func (e *evaluation) undecided() string {
	for _, d := range []dim{dimTier, dimBatch, dimSpeed} {
		if e.dims[d] != "" && e.answered&(1<<d) == 0 {
			return "no price for " + dimNames[d] + " " + e.dims[d] + " of " + e.provider.id + "/" + e.model.id
		}
	}
	return ""
}

// line adds one meter's line, and reports whether it has a price.
func (e *evaluation) line(c *Charge, m Meter, n int64) bool {
	r, p := e.row(m, false)
	contract, agreed := e.row(m, true)
	if e.open&(1<<m) != 0 {
		r = nil
	}
	if r == nil {
		if contract == nil {
			return false
		}
		r, p = contract, agreed // a price that only a contract knows
	}
	l := Line{
		Meter: m, Quantity: n, Billed: max(n, r.minimum(m)), Row: p.id,
		Unit: p.unit, Price: p.rate.usd,
	}
	list := e.multiply(&l, r, p.rate.times(l.Billed))
	mine := list
	if contract != nil && contract != r {
		mine = e.multiply(&Line{Meter: m}, contract, agreed.rate.times(l.Billed))
		l.Contract = agreed.id
	}
	mine = e.discount(&l, mine)
	e.total.add(list)
	e.contracted.add(mine)
	l.Amount, l.Contracted = list.money(), mine.money()
	c.Lines = append(c.Lines, l)
	return true
}

// row finds the price of a meter: its own, or that of what it is a part of.
func (e *evaluation) row(m Meter, contract bool) (*row, *priced) {
	if r, p := e.own(m, contract); p != nil {
		return r, p
	}
	return e.wider(m, contract)
}

// wider finds the price of the most specific meter that holds m. Two that
// hold it, neither of them the other, leave it without a price.
func (e *evaluation) wider(m Meter, contract bool) (best *row, of *priced) {
	for _, w := range widerMeters[m] {
		if w == Input && (m == InputCacheWrite1h || m == InputCacheWrite12h) && e.priced(InputCacheWrite, contract) {
			return nil, nil // a longer life costs more than the short one
		}
		r, p := e.own(w, contract)
		if p == nil {
			continue
		}
		if of != nil && of.meter != p.meter {
			if w == Input || w == Output { // holds the other one, too
				return best, of
			}
			return nil, nil
		}
		best, of = r, p
	}
	return best, of
}

func (e *evaluation) priced(m Meter, contract bool) bool {
	_, p := e.own(m, contract)
	return p != nil
}

func (e *evaluation) own(m Meter, contract bool) (*row, *priced) {
	for _, r := range e.active {
		if r.contract == contract {
			if p := r.price(m); p != nil {
				return r, p
			}
		}
	}
	return nil, nil
}

// widerMeters are, by meter, those whose price it falls to, the most specific first.
var widerMeters = [numMeters][]Meter{
	InputCacheRead:      {Input},
	InputCacheWrite:     {Input},
	InputCacheWrite5m:   {InputCacheWrite, Input},
	InputCacheWrite30m:  {InputCacheWrite, Input},
	InputCacheWrite1h:   {Input},
	InputCacheWrite12h:  {Input},
	InputAudio:          {Input},
	InputImage:          {Input},
	InputVideo:          {Input},
	InputCacheReadAudio: {InputCacheRead, InputAudio, Input},
	InputCacheReadImage: {InputCacheRead, InputImage, Input},
	InputCacheReadVideo: {InputCacheRead, InputVideo, Input},
	InputTool:           {Input},
	InputToolAudio:      {InputTool, InputAudio, Input},
	InputToolImage:      {InputTool, InputImage, Input},
	InputToolVideo:      {InputTool, InputVideo, Input},
	OutputReasoning:     {Output},
	OutputAudio:         {Output},
	OutputImage:         {Output},
	OutputVideo:         {Output},
}

// multiply applies the multipliers of what no row of the price's own layer
// has decided, in their declared order, and names them in the line.
func (e *evaluation) multiply(l *Line, r *row, a amount) amount {
	for i := range e.provider.multipliers {
		x := &e.provider.multipliers[i]
		if r.flat || x.meters&(1<<l.Meter) == 0 || x.cond.dims()&e.settled[r.layer] != 0 || !x.applies(e) {
			continue
		}
		e.answered |= x.cond.dims()
		a = a.by(x.factor)
		l.Applied = append(l.Applied, x.applied)
	}
	return a
}

// discount applies what was agreed with the vendor: ceilings of a unit's
// price, then percentages, in their declared order.
func (e *evaluation) discount(l *Line, a amount) amount {
	for i := range e.provider.deals {
		d := &e.provider.deals[i]
		if d.meters&(1<<l.Meter) == 0 || !d.applies(e) {
			continue
		}
		if !d.isCeiling {
			a = a.by(d.factor)
			l.Applied = append(l.Applied, d.applied)
		} else if most := d.ceiling.times(l.Billed); most.less(a) {
			a = most
			l.Applied = append(l.Applied, d.applied)
		}
	}
	return a
}

// chargeGPU prices an attempt on own GPUs: their time, by the hour.
func (b *Book) chargeGPU(u Usage, t Terms, c Charge) Charge {
	c.Provider, c.Model = "local", t.Model
	hour := rate{t.GPUHour, 3_600_000_000}
	var total sum
	add := func(m Meter, n int64) {
		a := hour.times(n).by(factor{max(t.GPUs, 1), 1})
		total.add(a)
		l := Line{Meter: m, Quantity: n, Billed: n, Unit: "h", Price: hour.usd, Amount: a.money(), Contracted: a.money(), Row: "config:gpu_hour"}
		if t.GPUs > 1 {
			l.Applied = []Applied{{Name: "gpus", Factor: factor{t.GPUs, 1}.String()}}
		}
		c.Lines = append(c.Lines, l)
	}
	if t.GPUMicros > 0 {
		add(GPUMicros, t.GPUMicros)
	} else {
		for _, m := range []Meter{GPUPrefillMicros, GPUDecodeMicros, GPUMicros} {
			if n, ok := u.Get(m); ok {
				add(m, n)
			}
		}
	}
	if len(c.Lines) == 0 {
		c.Why = "the engine does not say how long the GPUs took"
		return c
	}
	c.Status, c.List = Priced, total.money()
	c.Contracted = c.List
	return c
}

// ChargeReading prices what a usage object says: the tier, the speed and the
// place that it says it was served with go before those of the terms, and runs
// of other models within the request are priced at their own. The vendor's own
// charge, where it says one, is in r and goes before this one.
func (b *Book) ChargeReading(r *Reading, t Terms) Charge {
	said := func(to *string, word string) {
		if word != "" {
			*to = word
		}
	}
	said(&t.Tier, r.Tier)
	said(&t.Speed, r.Speed)
	said(&t.Residency, r.Residency)
	said(&t.SearchContextSize, r.SearchContextSize)
	served := t.Served
	if served == "" {
		served = t.Model
	}
	if len(r.Iterations) == 0 {
		c := b.Charge(r.Usage, t)
		c.lack(r, t)
		return c
	}
	var whole Charge
	first := true
	for model, u := range r.Parts(served) {
		part := t
		if model != "" {
			part.Model, part.Served = model, ""
		}
		c := b.Charge(u, part)
		if first {
			whole, first = c, false
			continue
		}
		whole.join(c)
	}
	whole.lack(r, t)
	return whole
}

// lack makes a charge for a part of what was used unpriced: what the vendor
// says of a whole side could not be read.
func (c *Charge) lack(r *Reading, t Terms) {
	if c.Status != Priced || !t.GPUHour.IsZero() || !r.unread[0] && !r.unread[1] {
		return
	}
	side := "input"
	if r.unread[1] {
		side = "output"
	}
	c.AtLeast, c.Status, c.List, c.Contracted = c.List, Unpriced, Money{}, Money{}
	c.Why = "the usage object does not say how many tokens of " + side + " there were, in whole numbers"
}

// join adds another model's charge within the same request.
func (c *Charge) join(o Charge) {
	c.Lines = append(c.Lines, o.Lines...)
	c.Missing = append(c.Missing, o.Missing...)
	known := func(c *Charge) Money {
		if c.Status == Unpriced {
			return c.AtLeast
		}
		return c.List
	}
	if c.Status == Unpriced || o.Status == Unpriced {
		c.AtLeast = known(c).Add(known(&o))
		if c.Why == "" {
			c.Why = o.Why
		}
		c.Status, c.List, c.Contracted = Unpriced, Money{}, Money{}
		return
	}
	if o.Status == Priced {
		c.Status = Priced
	}
	c.List, c.Contracted = c.List.Add(o.List), c.Contracted.Add(o.Contracted)
	c.Mean = c.Mean || o.Mean
}

// GPUIdle prices the time in which own GPUs ran and served nobody: alive less
// busy, in microseconds, at a price for a GPU-hour. What is busy for longer
// than it lives, by clocks that differ, was not idle.
func GPUIdle(gpuHour Money, gpus, alive, busy int64) Line {
	n := max(alive-busy, 0)
	a := rate{gpuHour, 3_600_000_000}.times(n).by(factor{max(gpus, 1), 1})
	return Line{Meter: GPUMicros, Quantity: n, Billed: n, Unit: "h", Price: gpuHour, Amount: a.money(), Contracted: a.money(), Row: "config:gpu_hour"}
}
