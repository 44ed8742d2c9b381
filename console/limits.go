package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"weir/alerts"
)

// A Limits is what the console asks of the limits. Amounts are in the measure's
// own unit; of budgets that is a billionth of a dollar, and texts beside say
// them in dollars, exactly.
type Limits struct {
	Status   func(context.Context) ([]Limit, error)
	InEffect func() []Ceiling
	Budgets  func(context.Context) ([]Budget, error)
	Store    func() LimitStore // what keeps the counts
	// Set keeps an entry of the configuration's form, in JSON, and Unset takes
	// back one that was set, by its id. Both act at once.
	Set   func(ctx context.Context, actor string, entry []byte) ([]Ceiling, error)
	Unset func(ctx context.Context, actor, id string) (Ceiling, error)
}

// A Limit is how a ceiling stands for one value of its scope.
type Limit struct {
	ID        string        `json:"id"` // scope, measure, value and project
	Scope     string        `json:"scope"`
	Tag       string        `json:"tag,omitzero"`     // the tag's name
	Project   string        `json:"project,omitzero"` // the id of the one that the value is of; empty: of none
	Value     string        `json:"value,omitzero"`   // the key's id, the customer's name; empty: all calls
	Measure   string        `json:"measure"`
	Unit      string        `json:"unit"` // requests, tokens, input_tokens, output_tokens, concurrent, usd
	Limit     int64         `json:"limit"`
	Used      int64         `json:"used"`     // reservations included; above the limit: in debt
	Reserved  int64         `json:"reserved"` // by calls under way
	Remaining int64         `json:"remaining"`
	Reset     time.Duration `json:"reset"` // nanoseconds until nothing is used, if nothing comes; concurrent: 0
	Action    string        `json:"action"`

	// Of budgets.
	Since        time.Time `json:"since,omitzero"` // the begin of the period
	Until        time.Time `json:"until,omitzero"` // its end
	Zone         string    `json:"zone,omitzero"`  // that it begins in
	LimitUSD     string    `json:"limit_usd,omitzero"`
	UsedUSD      string    `json:"used_usd,omitzero"`
	ReservedUSD  string    `json:"reserved_usd,omitzero"`
	RemainingUSD string    `json:"remaining_usd,omitzero"`
}

// A Ceiling is a limit in effect.
type Ceiling struct {
	ID             string        `json:"id"`
	Scope          string        `json:"scope"`
	Tag            string        `json:"tag,omitzero"`
	Value          string        `json:"value,omitzero"` // the one that it is for; empty: each
	Measure        string        `json:"measure"`
	Limit          int64         `json:"limit"`
	LimitUSD       string        `json:"limit_usd,omitzero"`
	Zone           string        `json:"zone,omitzero"`
	Burst          int64         `json:"burst,omitzero"` // empty: as much as the limit
	Action         string        `json:"action"`
	Queue          time.Duration `json:"queue,omitzero"` // nanoseconds that a call waits for room
	DowngradeTo    string        `json:"downgrade_to,omitzero"`
	Strict         bool          `json:"strict,omitzero"`
	UnpricedUSD    string        `json:"unpriced_usd,omitzero"`
	Soft           []int         `json:"soft,omitzero"` // percents
	OnStoreFailure string        `json:"on_store_failure,omitzero"`
	ExposureUSD    string        `json:"exposure_usd,omitzero"`
	Source         string        `json:"source"` // config, set
	SetAt          time.Time     `json:"set_at,omitzero"`
	SetBy          string        `json:"set_by,omitzero"`
}

// A Budget is how a limit in dollars stands for one value, in its period.
type Budget struct {
	ID           string                 `json:"id"`
	Scope        string                 `json:"scope"`
	Tag          string                 `json:"tag,omitzero"`
	Project      string                 `json:"project,omitzero"`
	Value        string                 `json:"value,omitzero"`
	Measure      string                 `json:"measure"`
	Action       string                 `json:"action"`
	Period       string                 `json:"period"` // day, week, month
	Zone         string                 `json:"zone"`
	Since        time.Time              `json:"since"`
	Until        time.Time              `json:"until"`
	LimitUSD     string                 `json:"limit_usd"`
	SpentUSD     string                 `json:"spent_usd"`
	ReservedUSD  string                 `json:"reserved_usd"` // by calls under way
	RemainingUSD string                 `json:"remaining_usd"`
	Forecast     *alerts.BudgetForecast `json:"forecast,omitzero"` // at the period's own rate; nothing where nothing was spent or nothing is left
}

// A newLimit describes an entry of limits to those who make one: the keys of
// the configuration's.
type newLimit struct {
	Scope             string   `json:"scope"`
	Tag               string   `json:"tag,omitzero"`
	Value             string   `json:"value,omitzero"`
	RequestsPerMinute string   `json:"requests_per_minute,omitzero"`
	RequestsPerHour   string   `json:"requests_per_hour,omitzero"`
	RequestsPerDay    string   `json:"requests_per_day,omitzero"`
	TokensPerMinute   string   `json:"tokens_per_minute,omitzero"`
	TokensPerHour     string   `json:"tokens_per_hour,omitzero"`
	TokensPerDay      string   `json:"tokens_per_day,omitzero"`
	InputPerMinute    string   `json:"input_tokens_per_minute,omitzero"`
	InputPerHour      string   `json:"input_tokens_per_hour,omitzero"`
	InputPerDay       string   `json:"input_tokens_per_day,omitzero"`
	OutputPerMinute   string   `json:"output_tokens_per_minute,omitzero"`
	OutputPerHour     string   `json:"output_tokens_per_hour,omitzero"`
	OutputPerDay      string   `json:"output_tokens_per_day,omitzero"`
	Concurrent        string   `json:"concurrent,omitzero"`
	USDPerDay         string   `json:"usd_per_day,omitzero"`
	USDPerWeek        string   `json:"usd_per_week,omitzero"`
	USDPerMonth       string   `json:"usd_per_month,omitzero"`
	Zone              string   `json:"zone,omitzero"`
	Burst             string   `json:"burst,omitzero"`
	Action            string   `json:"action,omitzero"`
	Queue             string   `json:"queue,omitzero"`
	DowngradeTo       string   `json:"downgrade_to,omitzero"`
	Strict            bool     `json:"strict,omitzero"`
	Unpriced          string   `json:"unpriced,omitzero"`
	Soft              []string `json:"soft,omitzero"`
	OnStoreFailure    string   `json:"on_store_failure,omitzero"`
	Exposure          string   `json:"exposure,omitzero"`
}

// ErrConfigured says that a limit is the configuration's, which only its file
// can change.
var ErrConfigured = errors.New("it is the configuration's: take it out there, or set another amount in its place")

// Invalid is what a client has wrong, in a sentence for it.
func Invalid(message string) error { return &badRequest{message} }

func (c *Console) limitRoutes() []route {
	id := param{"limit", "path", "id of a limit that was set"}
	return []route{
		{http.MethodGet, "/limits", "listLimits", "How the limits stand that are in use", nil, nil, 200, Page[Limit]{}, c.listLimits},
		{http.MethodGet, "/limit-store", "showLimitStore", "What keeps the counts of limits, and how it works", nil, nil, 200, LimitStore{}, c.showLimitStore},
		{http.MethodPost, "/limits", "setLimit", "Set limits, in the place of those with the same scope, tag, value, measure and action; keys and words are those of the configuration's limits", nil, newLimit{}, 201, Page[Ceiling]{}, c.setLimit},
		{http.MethodGet, "/ceilings", "listCeilings", "The limits in effect, of the configuration and set", nil, nil, 200, Page[Ceiling]{}, c.listCeilings},
		{http.MethodDelete, "/limits/{limit}", "unsetLimit", "Take back a limit that was set", []param{id}, nil, 200, Ceiling{}, c.unsetLimit},
		{http.MethodGet, "/budgets", "listBudgets", "How the budgets stand, and when they will be used up", nil, nil, 200, Page[Budget]{}, c.listBudgets},
	}
}

func (c *Console) listLimits(w http.ResponseWriter, r *http.Request) {
	serveList(c, w, r, c.o.Limits.Status)
}

func (c *Console) listBudgets(w http.ResponseWriter, r *http.Request) {
	serveList(c, w, r, c.o.Limits.Budgets)
}

func (c *Console) listCeilings(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, Page[Ceiling]{Data: notNil(c.o.Limits.InEffect())})
}

func serveList[T any](c *Console, w http.ResponseWriter, r *http.Request, list func(context.Context) ([]T, error)) {
	ctx, cancel := deadline(r)
	defer cancel()
	rows, err := list(ctx)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	send(w, http.StatusOK, Page[T]{Data: notNil(rows)})
}

func (c *Console) setLimit(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	entry := json.RawMessage(`{}`)
	err := receive(w, r, &entry)
	var list []Ceiling
	if err == nil {
		list, err = c.o.Limits.Set(ctx, actor, entry)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	if len(list) == 1 {
		w.Header().Set("Location", base+"/limits/"+url.PathEscape(list[0].ID))
	}
	send(w, http.StatusCreated, Page[Ceiling]{Data: list})
}

func (c *Console) unsetLimit(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	err := receive(w, r, &struct{}{})
	var was Ceiling
	if err == nil {
		was, err = c.o.Limits.Unset(ctx, actor, r.PathValue("limit"))
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	send(w, http.StatusOK, was)
}
