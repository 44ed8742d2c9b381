package app

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"weir/costs"
	"weir/ledger"
)

// The demo's past: two months of a small company's calls, so that its cost
// report has something to say. It has customers from one whale to a long tail,
// a move of the summaries to a cheaper model and a discount two weeks ago, a
// rise of one vendor's price, a guard model that moved from a host whose price
// nobody knows to a GPU of its own, a vendor's bad afternoon, an agent that ran
// away at night, replies that came too late and streams that were left. One
// seed makes it, so that it is the same for the same end.

const (
	pastDays      = 62 // two periods of a monthly report
	pastSeed      = 20261126
	pastCheaper   = 14 // days before the end, at which summaries moved and the discount began
	pastDearer    = 10 // days before the end, at which a vendor's price rose
	pastRack      = 21 // days before the end, at which the GPU came
	pastIncident  = 9  // days before the end: the vendor's bad afternoon
	pastRunaway   = 3  // days before the end: the night of the loop
	pastCallsADay = 800
)

// A workload is one feature of the company's product.
type workload struct {
	feature, provider, model, api string
	share                         float64 // of the calls
	input, output                 int     // median tokens
	cached, written, thought      float64 // shares of input, of input and of output
}

var pastWorkloads = []workload{
	{"assistant", "openai", "gpt-4o-mini", "chat", 0.40, 900, 260, 0.2, 0, 0},
	{"assistant", "openai", "gpt-4o", "chat", 0.10, 1100, 300, 0.2, 0, 0},
	{"summaries", "claude", "claude-sonnet-4-5", "messages", 0.12, 5200, 420, 0, 0, 0},
	{"agent", "claude", "claude-opus-4-5", "messages", 0.05, 14000, 700, 0.7, 0.15, 0},
	{"search", "openai", "text-embedding-3-small", "embeddings", 0.18, 480, 0, 0, 0, 0},
	{"reports", "gemini", "gemini-2.5-flash", "generate", 0.10, 7000, 900, 0, 0, 0.4},
	{"moderation", "backup", "house-guard-8b", "chat", 0.05, 350, 12, 0, 0, 0},
}

// pastCustomers are the whale first, then ever smaller ones.
var pastCustomers = []string{
	"northwind", "globex", "initech", "umbra", "hooli", "acme", "stark-bros", "wonka", "vandelay", "dunder", "soylent", "cyberdyne",
	"pied-piper", "aviato", "bluth", "sterling", "gekko", "oscorp", "tyrell", "wayne", "massive", "nakatomi", "virtucon", "prestige",
	"monarch", "duff", "krusty", "planet-express", "momcorp", "slurm", "buy-n-large", "octan", "abstergo", "aperture", "black-mesa", "weyland",
}

// pastOwners are the projects of the features, each with a key; others are the product's.
var pastOwners = map[string]string{"agent": "labs", "moderation": "platform", "search": "platform", "": "product"}

// A pastOwner is who a call of the past is of.
type pastOwner struct{ project, key string }

func ownerOf(feature string) string {
	if name, ok := pastOwners[feature]; ok {
		return name
	}
	return pastOwners[""]
}

// own says whose the calls are; owners are the projects by their names.
func own(calls []*ledger.Call, owners map[string]pastOwner) {
	for _, c := range calls {
		o := owners[ownerOf(c.Feature)]
		c.ProjectID, c.KeyID = o.project, o.key
	}
}

// A past makes calls. It is for one use.
type past struct {
	rng   *rand.Rand
	book  *costs.Book
	end   time.Time
	calls []*ledger.Call
}

// makePast returns the calls that ended before end, the oldest first.
func makePast(end time.Time, book *costs.Book) []*ledger.Call {
	p := &past{rng: rand.New(rand.NewPCG(pastSeed, 1)), book: book, end: end.UTC()}
	today := p.end.Truncate(24 * time.Hour)
	for ago := pastDays; ago >= 0; ago-- {
		p.day(today.AddDate(0, 0, -ago), ago)
	}
	p.runaway(today.AddDate(0, 0, -pastRunaway).Add(2 * time.Hour))
	p.calls = slices.DeleteFunc(p.calls, func(c *ledger.Call) bool { return !c.Start.Before(p.end) })
	slices.SortFunc(p.calls, func(a, b *ledger.Call) int { return strings.Compare(a.ID, b.ID) })
	return p.calls
}

// day makes a day's calls: fewer at weekends and at night, and more each week.
func (p *past) day(midnight time.Time, ago int) {
	n := pastCallsADay * (1 - 0.006*float64(ago))
	if d := midnight.Weekday(); d == time.Saturday || d == time.Sunday {
		n *= 0.35
	}
	for range int(n * (0.93 + 0.14*p.rng.Float64())) {
		hour := 13 + 3.6*p.rng.NormFloat64() // most work is done around one o'clock
		if hour < 0 || hour >= 24 {
			hour = 24 * p.rng.Float64()
		}
		p.call(midnight.Add(time.Duration(hour*float64(time.Hour))), ago)
	}
}

// call makes one call of some customer at some feature.
func (p *past) call(at time.Time, ago int) {
	w := p.workload()
	if w.feature == "summaries" && ago < pastCheaper {
		w.model = "claude-haiku-4-5"
	}
	if ago < pastRack && (w.feature == "moderation" || w.model == "gpt-4o-mini" && p.rng.IntN(2) == 0) {
		w.provider, w.model, w.cached = "rack", "qwen3-8b", 0
	}
	c := p.newCall(at, w)
	// The whale has a third; what is left goes down as the ranks go up.
	rank := 0
	if p.rng.Float64() > 0.33 {
		rank = min(1+int(p.rng.ExpFloat64()*6), len(pastCustomers)-1)
	}
	c.Customer = pastCustomers[rank]
	if w.feature == "moderation" { // is nobody's in particular
		c.Customer = ""
	} else if ago > 20 && rank > 28 { // they came later
		c.Customer = pastCustomers[rank-20]
	}
	u := p.usage(w, 1)
	if bad := ago == pastIncident && at.Hour() >= 14 && at.Hour() < 18 && w.provider == "openai"; bad && w.api == "chat" {
		p.attempt(c, w, costs.Usage{}, "", 500+3*p.rng.IntN(2))
		if p.rng.IntN(3) == 0 { // half an answer, then nothing
			u.Set(costs.Output, 1+int64(p.rng.IntN(w.output)))
			p.attempt(c, w, u, ledger.Estimated, 200)
			c.Attempts[1].ErrorClass = "upstream_truncated"
			c.Outcome, c.ErrorClass = ledger.Failed, "upstream_truncated"
			p.finish(c)
			return
		}
		w.provider = "backup"
	}
	if w.provider != "rack" && p.rng.IntN(30) == 0 { // it was read, and answered too late
		late := u
		late.Set(costs.Output, 0)
		p.attempt(c, w, late, ledger.Estimated, 504)
		c.Attempts[len(c.Attempts)-1].ErrorClass = "upstream_timeout"
	}
	source := ledger.FromProvider
	if c.Stream && p.rng.IntN(25) == 0 {
		c.Outcome, source = ledger.Aborted, ledger.Estimated
	}
	p.attempt(c, w, u, source, 200)
	p.finish(c)
}

func (p *past) workload() workload {
	x := p.rng.Float64()
	for _, w := range pastWorkloads {
		if x -= w.share; x < 0 {
			return w
		}
	}
	return pastWorkloads[0]
}

// usage draws what a call of a workload used, about so many times its median.
func (p *past) usage(w workload, times float64) (u costs.Usage) {
	draw := func(median int) int64 {
		return int64(float64(median) * times * (0.4 + p.rng.ExpFloat64()*0.8))
	}
	in := 1 + draw(w.input)
	read := int64(float64(in) * w.cached * p.rng.Float64())
	written := int64(float64(in-read) * w.written)
	if written > 0 {
		u.Set(costs.InputCacheWrite5m, written)
	}
	u.Set(costs.Input, in-read-written)
	if read > 0 {
		u.Set(costs.InputCacheRead, read)
	}
	if w.output > 0 {
		out := 1 + draw(w.output)
		thought := int64(float64(out) * w.thought)
		u.Set(costs.Output, out-thought)
		if thought > 0 {
			u.Set(costs.OutputReasoning, thought)
		}
		if w.provider == "rack" { // 5,000 tokens a second are read, 40 written
			u.Set(costs.GPUPrefillMicros, in*200)
			u.Set(costs.GPUDecodeMicros, out*25_000)
		}
	}
	return u
}

// runaway is one session of one customer's agent that calls itself all night,
// each time with all that it said before.
func (p *past) runaway(at time.Time) {
	w := pastWorkloads[3]
	for i := range 220 {
		c := p.newCall(at.Add(time.Duration(i)*40*time.Second), w)
		c.Customer, c.Session = "hooli", "sess_nightly_refactor"
		p.attempt(c, w, p.usage(w, 0.5+float64(i)/40), ledger.FromProvider, 200)
		p.finish(c)
	}
}

var pastAPIs = map[string]struct{ dialect, path string }{
	"chat": {"openai", "/v1/chat/completions"}, "embeddings": {"openai", "/v1/embeddings"}, "messages": {"anthropic", "/v1/messages"},
	"generate": {"gemini", "/v1beta/models/gemini-2.5-flash:generateContent"},
}

func (p *past) newCall(at time.Time, w workload) *ledger.Call {
	api := pastAPIs[w.api]
	c := &ledger.Call{
		ID: p.id(at), Start: at, Feature: w.feature, Dialect: api.dialect, API: w.api, Method: "POST", Path: api.path,
		AskedModel: w.model, Stream: (w.api == "chat" || w.api == "messages") && p.rng.IntN(2) == 0,
		Tags: map[string]string{"env": "production"}, UserAgent: "weir-demo/past", Outcome: ledger.OK,
		Queue: 200 * time.Microsecond, BytesIn: int64(4 * w.input), BytesOut: int64(4*w.output + 200),
	}
	c.Tags["team"] = ownerOf(w.feature)
	return c
}

// id is a call's id, which begins with its time.
func (p *past) id(at time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(at.UnixMilli())<<16)
	binary.BigEndian.PutUint16(b[6:], 0x7000|uint16(p.rng.IntN(1<<12)))
	binary.BigEndian.PutUint64(b[8:], 1<<63|p.rng.Uint64()>>2)
	return "call_" + hex.EncodeToString(b[:])
}

// rackHour is what an hour of the company's own GPU costs, in dollars.
const rackHour = "0.11"

// pastVendors are the price book's ids of the demo's providers.
var pastVendors = map[string]string{"openai": "openai", "backup": "openai", "claude": "anthropic", "gemini": "google"}

func (p *past) attempt(c *ledger.Call, w workload, u costs.Usage, source ledger.UsageSource, status int) {
	a := ledger.Attempt{
		N: len(c.Attempts) + 1, Provider: w.provider, Model: w.model, API: w.api, Start: time.Duration(len(c.Attempts)) * 300 * time.Millisecond,
		Total: time.Duration(300+p.rng.IntN(2500)) * time.Millisecond, Status: status, Usage: u, UsageSource: source,
	}
	if status >= 400 {
		a.ErrorClass = "upstream_error"
	} else {
		a.ServedModel = w.model
	}
	if source != "" {
		terms := costs.Terms{Provider: pastVendors[w.provider], Model: w.model, Served: w.model, At: c.Start}
		if w.provider == "rack" {
			terms.GPUHour = costs.USD(rackHour)
		}
		charge := p.book.Charge(u, terms)
		a.Charge = ledger.Settle(&charge, ledger.Amount{}, source)
	}
	c.Attempts = append(c.Attempts, a)
	c.Provider, c.Model, c.ServedModel, c.Status = w.provider, w.model, a.ServedModel, status
	c.Usage, c.UsageSource = u, source
}

func (p *past) finish(c *ledger.Call) {
	for i := range c.Attempts {
		c.Total += c.Attempts[i].Total
	}
	if c.Stream {
		c.TTFT = c.Total / 5
	}
	c.SumCosts()
	p.calls = append(p.calls, c)
}

// pastPrices is the price file of the company: what it has agreed with a
// vendor, what another one raised, and what its own model could be bought as.
func pastPrices(end time.Time) string {
	ago := func(days int) string {
		return end.UTC().Truncate(24*time.Hour).AddDate(0, 0, -days).Format(time.DateOnly)
	}
	return fmt.Sprintf(`# The demo's own prices.
providers:
  anthropic:
    discounts:
      - {name: framework contract, percent: 10%%, from: %s}
  google:
    models:
      - id: gemini-2.5-flash
        rows:
          - {from: %s, prices: {input: 0.40, output: 3.40}, note: what the vendor asks now}
equivalents:
  qwen3-8b: openai/gpt-4o-mini
`, ago(pastCheaper), ago(pastDearer))
}

// pastRevenue is what the customers paid in the report's time, the 30 days
// before end, as CSV: by their size, but for two that pay less than they cost.
func pastRevenue(end time.Time, calls []*ledger.Call) string {
	spent := map[string]costs.Money{}
	for _, c := range calls {
		if c.Start.Before(end.AddDate(0, 0, -30)) {
			continue
		}
		spent[c.Customer] = spent[c.Customer].Add(c.Cost.Money)
	}
	var b strings.Builder
	b.WriteString("customer,revenue\n")
	for i, name := range pastCustomers {
		cost, ok := spent[name]
		if !ok {
			continue
		}
		nano, _ := cost.Parts()
		dollars := nano * int64(3+i%4) / 1e9
		switch name {
		case "hooli", "umbra":
			dollars = nano / 2 / 1e9
		}
		fmt.Fprintf(&b, "%s,%d\n", name, dollars+1)
	}
	return b.String()
}
