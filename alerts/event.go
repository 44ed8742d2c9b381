// Package alerts tells operators what they should know of at once: budgets
// that run out, keys that run away, counts that cannot be kept. Each event is
// told once, over restarts and replicas: its id says what happened, and who
// inserts the id into the store tells of it, to every webhook at least once.
package alerts

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// A Kind says what happened.
type Kind string

// The kinds.
const (
	BudgetThreshold  Kind = "budget_threshold" // a soft threshold of a budget was passed
	BudgetReached    Kind = "budget_reached"   // all of a budget is spent
	BudgetRefused    Kind = "budget_refused"   // the first call of its period does not fit into a budget
	LimitThreshold   Kind = "limit_threshold"  // a soft threshold of a rate or of slots was passed
	RunawayLoop      Kind = "runaway_loop"     // a key asks the same again and again
	KeyPaused        Kind = "key_paused"       // and was paused for it
	LimiterDegraded  Kind = "limiter_degraded" // the store of the limits' counts fails
	LimiterRecovered Kind = "limiter_recovered"
	PriceDrift       Kind = "price_drift" // a provider charges other prices than the price book has
	Test             Kind = "test"        // weir alerts test
)

// Kinds are all kinds, in the order of their constants.
var Kinds = []Kind{BudgetThreshold, BudgetReached, BudgetRefused, LimitThreshold, RunawayLoop, KeyPaused, LimiterDegraded, LimiterRecovered, PriceDrift, Test}

// An Event is what is told. It has names and figures, and never a secret or
// what a call said. As JSON it is what webhooks get.
type Event struct {
	ID       string          `json:"id"` // the same however often it is told
	Kind     Kind            `json:"kind"`
	At       time.Time       `json:"at"`
	Text     string          `json:"text"` // all that matters, for people
	Project  *Named          `json:"project,omitzero"`
	Limit    *PassedLimit    `json:"limit,omitzero"`
	Forecast *BudgetForecast `json:"forecast,omitzero"` // of a budget
	Runaway  *Runaway        `json:"runaway,omitzero"`
	Drift    *Drift          `json:"drift,omitzero"`
	Why      string          `json:"why,omitzero"` // of a failure

	// Subject makes the kind a state: the same one is not told again while it
	// is the last that was told of the subject; a bad one is after an hour.
	Subject string `json:"-"`
}

// A Named is a project or key.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name,omitzero"`
}

// A PassedLimit is a limit of which an event tells. Amounts of the unit usd are
// exact dollars, all others whole numbers.
type PassedLimit struct {
	Name    string    `json:"name"` // "customer usd_per_month"
	Scope   string    `json:"scope"`
	Tag     string    `json:"tag,omitzero"`
	Value   string    `json:"value,omitzero"` // the key's id, the customer's name; empty: all calls
	Named   string    `json:"value_name,omitzero"`
	Measure string    `json:"measure"` // usd_per_month
	Action  string    `json:"action"`
	Instead string    `json:"downgrade_to,omitzero"`
	Unit    string    `json:"unit"` // usd, requests, tokens, input_tokens, output_tokens, concurrent
	Amount  string    `json:"amount"`
	Used    string    `json:"used"`
	Percent int       `json:"percent,omitzero"` // the threshold that was passed
	Asked   string    `json:"asked,omitzero"`   // what a call may cost that does not fit in
	Since   time.Time `json:"since,omitzero"`   // the begin of the period or window
	Until   time.Time `json:"until,omitzero"`   // of a budget: when it begins anew
	Zone    string    `json:"zone,omitzero"`    // that a budget's period begins in
	Period  string    `json:"period,omitzero"`  // of a budget: day, week, month

	amount, used int64 // of USD: billionths
}

// A Runaway is a key that asks the same again and again.
type Runaway struct {
	Key     Named  `json:"key"`
	Repeats int64  `json:"repeats"` // of one prompt
	Within  string `json:"within"`
	Spent   string `json:"usd"` // by them, as far as is known
	Action  string `json:"action"`
}

// A Drift is how far what a provider charges is from the price book, over a
// day's attempts of which both are known.
type Drift struct {
	Provider string `json:"provider"`
	Charged  string `json:"charged_usd"`
	Book     string `json:"book_usd"`
	Attempts int64  `json:"attempts"`
	Off      int64  `json:"off"` // of them: by more than 1 %

	charged, book int64
}

// NewID makes an event's id of what identifies it.
func NewID(kind Kind, parts ...string) string {
	sum := sha256.Sum256([]byte(string(kind) + "\x00" + strings.Join(parts, "\x00")))
	return "alert_" + hex.EncodeToString(sum[:16])
}

// A Passing is a limit that was passed, as who keeps the counts knows it.
type Passing struct {
	Limit        PassedLimit
	Project      string // the id of whose the value is; empty: of none, or of all
	Amount, Used int64  // of the unit usd: billionths of a dollar
	Refused      bool   // a call does not fit in; else a threshold was passed
	Asked        int64  // what that call may cost
	Window       time.Duration
}

// nearlyAll is the share of a budget, in percent, from which on a refusal
// means that it is used up, and not that one call is dear.
const nearlyAll = 90

// quiet is how often one threshold of a rate is told for one value at most:
// the counts of rates begin anew each minute.
const quiet = time.Hour

// NewPassing is the event of a limit that was passed. Of budgets each
// threshold is told once in a period, the first refusal, and the first one that
// means that it is used up; a budget of another amount is another one. Of rates it is told once an hour, or in a
// window that is longer.
func NewPassing(p *Passing, now time.Time) Event {
	l := p.Limit
	l.amount, l.used = p.Amount, p.Used
	l.Since, l.Until = l.Since.UTC(), l.Until.UTC()
	e := Event{Kind: LimitThreshold, At: now.UTC(), Limit: &l}
	mark := int64(l.Percent)
	show, begin := count, now.UTC().Truncate(max(quiet, p.Window))
	if l.Unit == USD {
		show, begin, e.Kind = Dollars, l.Since, BudgetThreshold
		if l.Percent >= 100 {
			e.Kind = BudgetReached
		}
		if p.Refused {
			e.Kind, l.Asked = BudgetRefused, Dollars(p.Asked)
			mark = min(scale(p.Used, 100, p.Amount), nearlyAll) / nearlyAll
		}
	}
	l.Amount, l.Used = show(p.Amount), show(p.Used)
	if p.Project != "" {
		e.Project = &Named{ID: p.Project}
	}
	e.ID = NewID(e.Kind, l.Name, l.Amount, p.Project, l.Value, strconv.FormatInt(begin.Unix(), 10), strconv.FormatInt(mark, 10))
	return e
}

// USD is the unit of budgets.
const USD = "usd"

// Budget returns what a budget has and what is used of it, in billionths of a
// dollar; 0 where the event tells of no budget, or was read from the store.
func (e *Event) Budget() (amount, used int64) {
	if e.Limit == nil || e.Limit.Unit != USD {
		return 0, 0
	}
	return e.Limit.amount, e.Limit.used
}

// NewRunaway is the event of a key that asks the same again and again, once an
// hour.
func NewRunaway(r Runaway, now time.Time) Event {
	r.Action = "alert"
	return Event{
		ID:   NewID(RunawayLoop, r.Key.ID, strconv.FormatInt(now.Truncate(quiet).Unix(), 10)),
		Kind: RunawayLoop, At: now.UTC(), Runaway: &r,
	}
}

// NewPause is the event of a key that was paused at a time for that.
func NewPause(r Runaway, paused time.Time) Event {
	r.Action = "pause"
	return Event{ID: NewID(KeyPaused, r.Key.ID, strconv.FormatInt(paused.UnixMicro(), 10)), Kind: KeyPaused, At: paused.UTC(), Runaway: &r}
}

// NewLimiter is the event of a store of counts that fails, or does no more.
// process tells the processes apart that see it.
func NewLimiter(failing bool, why, process string, now time.Time) Event {
	e := Event{Kind: LimiterRecovered, At: now.UTC(), Why: why, Subject: "limiter"}
	if failing {
		e.Kind = LimiterDegraded
	}
	e.ID = NewID(e.Kind, process, strconv.FormatInt(now.UnixNano(), 10))
	return e
}

// What a day's attempts have to come to before their prices are said to drift.
const driftLeast = 20 // attempts

// NewDrift is the event of a provider that charged other prices than the price
// book has, in billionths of a dollar, once a day. It returns nil where that is
// not so: the sums are within 1 %, or fewer than a tenth of the attempts are off.
func NewDrift(d Drift, charged, book int64, now time.Time) *Event {
	gap := max(charged-book, book-charged)
	if d.Attempts < driftLeast || d.Off*10 < d.Attempts || gap <= 0 || scale(gap, 100, max(book, 1)) < 1 {
		return nil
	}
	d.charged, d.book, d.Charged, d.Book = charged, book, Dollars(charged), Dollars(book)
	day := now.UTC().Truncate(24 * time.Hour)
	return &Event{ID: NewID(PriceDrift, d.Provider, strconv.FormatInt(day.Unix(), 10)), Kind: PriceDrift, At: now.UTC(), Drift: &d}
}

// NewTest is an event that says nothing.
func NewTest(now time.Time) Event {
	e := Event{ID: NewID(Test, strconv.FormatInt(now.UnixNano(), 10)), Kind: Test, At: now.UTC()}
	e.Text = e.Say()
	return e
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

// Dollars writes billionths of a dollar as dollars, exactly: "0.25".
func Dollars(nano int64) string {
	sign, n := "", uint64(nano)
	if nano < 0 {
		sign, n = "-", -n
	}
	text := sign + strconv.FormatUint(n/nanos, 10)
	if rest := n % nanos; rest != 0 {
		text += "." + strings.TrimRight(strconv.FormatUint(nanos+rest, 10)[1:], "0")
	}
	return text
}

const nanos = 1_000_000_000 // of a dollar
