package costs

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A baseProvider is a provider of the vendored file, as genai-prices has it;
// its models are read when they are needed.
type baseProvider struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	APIPattern string         `json:"api_pattern"`
	Pages      []string       `json:"pricing_urls"`
	Fallback   []string       `json:"fallback_model_providers"`
	Models     jsontext.Value `json:"models"`
}

type baseModel struct {
	ID       string         `json:"id"`
	Match    jsontext.Value `json:"match"`
	Prices   jsontext.Value `json:"prices"`
	Comments string         `json:"price_comments"`
	Variants []baseVariant  `json:"price_variants"`
}

type baseSheet struct {
	Constraint *baseConstraint `json:"constraint"`
	Prices     basePrices      `json:"prices"`
}

type baseVariant struct {
	When       map[string]string `json:"when"`
	Constraint *baseConstraint   `json:"constraint"`
	Prices     basePrices        `json:"prices"`
}

type baseConstraint struct {
	StartDate string `json:"start_date"`
	StartTime string `json:"start_time"`
	EndTime   string `json:"end_time"`
}

// basePrices keeps numbers as they are written: they never become floats.
type basePrices map[string]jsontext.Value

type baseTiered struct {
	Base  jsontext.Value `json:"base"`
	Tiers []struct {
		Start int64          `json:"start"`
		Price jsontext.Value `json:"price"`
	} `json:"tiers"`
}

// A baseKey is a price key of the vendored file.
type baseKey struct {
	key    string
	meters []Meter
	per    int64
}

// baseMeters are the meters of the vendored file's price keys, with the count
// that their prices are for.
var baseMeters = []baseKey{
	{"input_mtok", []Meter{Input}, 1e6},
	{"cache_read_mtok", []Meter{InputCacheRead}, 1e6},
	{"cache_write_mtok", []Meter{InputCacheWrite}, 1e6},
	{"cache_write_5m_mtok", []Meter{InputCacheWrite5m}, 1e6},
	{"cache_write_1h_mtok", []Meter{InputCacheWrite1h}, 1e6},
	{"input_audio_mtok", []Meter{InputAudio}, 1e6},
	{"input_image_mtok", []Meter{InputImage}, 1e6},
	{"input_video_mtok", []Meter{InputVideo}, 1e6},
	{"cache_audio_read_mtok", []Meter{InputCacheReadAudio}, 1e6},
	{"cache_image_read_mtok", []Meter{InputCacheReadImage}, 1e6},
	{"cache_video_read_mtok", []Meter{InputCacheReadVideo}, 1e6},
	{"input_tool_mtok", []Meter{InputTool}, 1e6},
	{"input_audio_tool_mtok", []Meter{InputToolAudio}, 1e6},
	{"input_image_tool_mtok", []Meter{InputToolImage}, 1e6},
	{"input_video_tool_mtok", []Meter{InputToolVideo}, 1e6},
	{"output_mtok", []Meter{Output}, 1e6},
	{"output_reasoning_mtok", []Meter{OutputReasoning}, 1e6},
	{"output_citation_mtok", []Meter{OutputCitation}, 1e6},
	{"output_audio_mtok", []Meter{OutputAudio}, 1e6},
	{"output_image_mtok", []Meter{OutputImage}, 1e6},
	{"output_video_mtok", []Meter{OutputVideo}, 1e6},
	{"requests_kcount", []Meter{Requests}, 1e3},
	{"web_searches_kcount", []Meter{WebSearches}, 1e3},
	{"storage_searches_kcount", []Meter{FileSearches}, 1e3},
	{"input_text_messages_kcount", []Meter{TextMessages}, 1e3},
	{"input_document_kpages", []Meter{Pages}, 1e3},
	{"input_mchars", []Meter{Characters}, 1e6},
	{"audio_hours", []Meter{AudioMicros, AudioOutMicros}, 3_600_000_000},
	{"input_audio_hours", []Meter{AudioMicros}, 3_600_000_000},
	{"output_audio_hours", []Meter{AudioOutMicros}, 3_600_000_000},
}

// uncharged are price keys that no meter of ours counts; a model with one of
// them is priced without it.
var uncharged = map[string]bool{"input_annotated_document_kpages": true}

// baseDims are our dimensions for the vendored file's.
var baseDims = map[string]dim{
	"service_tier": dimTier, "processing": dimBatch, "speed": dimSpeed, "inference_geo": dimResidency, "search_type": dimSearchType, "route": dimEndpoint,
}

// parseBase reads a file of genai-prices up to its models.
func parseBase(text []byte) ([]baseProvider, error) {
	var list []baseProvider
	if err := unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	if len(list) == 0 {
		return nil, errors.New("read prices: no providers in it")
	}
	for i := range list {
		if list[i].ID == "" || list[i].Models.Kind() != '[' {
			return nil, fmt.Errorf("read prices: provider %d has no id or no models", i+1)
		}
	}
	return list, nil
}

// baseModels reads a provider's models. What it cannot read of one is a fault,
// and that one is left out: its calls are unpriced, not wrongly priced.
func (p *provider) baseModels() (models []*model) {
	if p.base.Models == nil {
		return nil
	}
	var list []baseModel
	if err := unmarshal(p.base.Models, &list); err != nil {
		p.faults = append(p.faults, p.id+": models: "+err.Error())
		return nil
	}
	for i := range list {
		m, err := p.baseModel(&list[i])
		if err != nil {
			p.faults = append(p.faults, fmt.Sprintf("%s/%s: %s", p.id, list[i].ID, err))
			continue
		}
		models = append(models, m)
	}
	return models
}

func (p *provider) baseModel(in *baseModel) (*model, error) {
	m := &model{id: in.ID}
	var err error
	if m.match, err = parseClause(in.Match); err != nil {
		return nil, err
	}
	sheets, err := in.sheets()
	if err != nil {
		return nil, err
	}
	for i, v := range in.Variants {
		r := row{order: i}
		for name, value := range v.When {
			d, ok := baseDims[name]
			if !ok {
				return nil, fmt.Errorf("a variant by %s", name)
			}
			if value = strings.ToLower(value); d == dimTier {
				value = p.tierName(value)
			} else if d == dimBatch {
				value = "true"
			}
			r.cond = append(r.cond, requirement{d, []string{value}})
		}
		r.dims = r.cond.dims()
		if len(v.Prices) == 0 && r.cond.standard() {
			continue
		}
		if err := p.addRows(m, r, v.Constraint, v.Prices); err != nil {
			return nil, err
		}
	}
	for i := len(sheets) - 1; i >= 0; i-- { // the last one that is in force counts
		r := row{sheet: i + 1, order: len(in.Variants) + len(sheets) - i}
		if err := p.addRows(m, r, sheets[i].Constraint, sheets[i].Prices); err != nil {
			return nil, err
		}
	}
	if strings.HasSuffix(in.ID, ":free") && len(m.rows) == 0 {
		m.rows = append(m.rows, zeroRow())
	}
	return m, nil
}

// standard reports whether a condition is that nothing special was asked for.
func (c condition) standard() bool {
	for i := range c {
		if !contains(c[i].values, "") {
			return false
		}
	}
	return true
}

// sheets are a model's price lists in the file's order.
func (in *baseModel) sheets() (sheets []baseSheet, err error) {
	if in.Prices.Kind() == '[' {
		err = unmarshal(in.Prices, &sheets)
		return sheets, err
	}
	sheets = make([]baseSheet, 1)
	return sheets, unmarshal(in.Prices, &sheets[0].Prices)
}

// zeroRow is that of a model which is sold for nothing by its name.
func zeroRow() row {
	r := row{span: always, above: -1, sheet: 1}
	for _, meter := range []Meter{Input, Output} {
		r.prices = append(r.prices, priced{meter: meter, rate: rate{per: 1e6}})
	}
	return r
}

// addRows adds a sheet's or a variant's rows: one for what always holds, and
// one for each threshold of the input's length, the higher before the lower.
func (p *provider) addRows(m *model, r row, c *baseConstraint, prices basePrices) error {
	if err := r.constrain(c); err != nil {
		return err
	}
	byStart := map[int64]*row{}
	var starts []int64
	at := func(start int64) *row {
		if byStart[start] == nil {
			byStart[start] = &row{}
			*byStart[start] = r
			byStart[start].above = start
			starts = append(starts, start)
		}
		return byStart[start]
	}
	at(-1)
	for key := range prices {
		if !isBaseKey(key) {
			return fmt.Errorf("unknown price %s", key)
		}
	}
	for _, k := range baseMeters {
		v, ok := prices[k.key]
		if !ok {
			continue
		}
		if err := k.read(v, func(start int64, usd Money) {
			for _, meter := range k.meters {
				meter = p.groundingMeter(m.id, meter)
				r := at(start)
				if old := r.price(meter); old != nil { // audio_hours, then input_audio_hours
					*old = priced{meter: meter, rate: rate{usd, k.per}}
					continue
				}
				r.prices = append(r.prices, priced{meter: meter, rate: rate{usd, k.per}})
			}
		}); err != nil {
			return fmt.Errorf("%s: %w", k.key, err)
		}
	}
	if len(r.cond) == 0 && len(prices) == 0 {
		return nil // says nothing: not that it is free
	}
	for i := range starts { // descending
		for j := i + 1; j < len(starts); j++ {
			if starts[j] > starts[i] {
				starts[i], starts[j] = starts[j], starts[i]
			}
		}
		m.rows = append(m.rows, *byStart[starts[i]])
	}
	return nil
}

func isBaseKey(key string) bool {
	for _, k := range baseMeters {
		if k.key == key {
			return true
		}
	}
	return uncharged[key]
}

// groundingMeter is what Google counts where the vendored file says searches:
// up to Gemini 2.5 a prompt that was grounded, then each query.
func (p *provider) groundingMeter(model string, m Meter) Meter {
	if m != WebSearches || p.id != "google" || !strings.HasPrefix(model, "gemini") {
		return m
	}
	return GroundingMeter(model)
}

// constrain sets when a row is in force. A date begins at midnight UTC.
func (r *row) constrain(c *baseConstraint) error {
	r.span = always
	switch {
	case c == nil:
	case c.StartDate != "":
		t, err := time.Parse(time.DateOnly, c.StartDate)
		if err != nil {
			return err
		}
		r.span.from = t.UnixNano()
	case c.StartTime != "" && c.EndTime != "":
		from, err := time.Parse("15:04:05Z07:00", c.StartTime)
		if err != nil {
			return err
		}
		to, err := time.Parse("15:04:05Z07:00", c.EndTime)
		if err != nil {
			return err
		}
		w := &window{zone: time.UTC, days: [7]bool{true, true, true, true, true, true, true}, name: c.StartTime + "-" + c.EndTime}
		w.hours = []hours{{secondOfDay(from), secondOfDay(to)}}
		r.during = w
	}
	return nil
}

func secondOfDay(t time.Time) int {
	t = t.UTC()
	return t.Hour()*3600 + t.Minute()*60 + t.Second()
}

// read calls yield with a price's thresholds and amounts.
func (k *baseKey) read(v jsontext.Value, yield func(start int64, usd Money)) error {
	if v.Kind() != '{' {
		usd, err := basePrice(v)
		if err == nil {
			yield(-1, usd)
		}
		return err
	}
	var t baseTiered
	if err := unmarshal(v, &t); err != nil {
		return err
	}
	usd, err := basePrice(t.Base)
	if err != nil {
		return err
	}
	yield(-1, usd)
	for _, tier := range t.Tiers {
		if usd, err = basePrice(tier.Price); err != nil {
			return err
		}
		if tier.Start < 0 {
			return fmt.Errorf("a tier from %d", tier.Start)
		}
		yield(tier.Start, usd)
	}
	return nil
}

func basePrice(v jsontext.Value) (Money, error) {
	usd, err := ParseUSD(string(bytes.TrimSpace(v)))
	if err == nil && usd.Sign() < 0 {
		err = errors.New("a negative price")
	}
	return usd, err
}

// maxClause bounds how deep clauses may nest.
const maxClause = 8

var clauseOps = map[string]matchOp{
	"equals": matchExact, "starts_with": matchPrefix, "ends_with": matchSuffix, "contains": matchContains, "regex": matchRegex, "or": matchAny, "and": matchAll,
}

func parseClause(v jsontext.Value) (matcher, error) { return parseClauseIn(v, 0) }

func parseClauseIn(v jsontext.Value, depth int) (matcher, error) {
	var in map[string]jsontext.Value
	if err := unmarshal(v, &in); err != nil {
		return matcher{}, err
	}
	if len(in) != 1 || depth > maxClause {
		return matcher{}, errors.New("a match that isn't one clause")
	}
	for name, value := range in {
		op, ok := clauseOps[name]
		if !ok {
			return matcher{}, fmt.Errorf("a match by %s", name)
		}
		if op == matchAny || op == matchAll {
			m := matcher{op: op}
			var list []jsontext.Value
			if err := unmarshal(value, &list); err != nil {
				return m, err
			}
			for _, v := range list {
				c, err := parseClauseIn(v, depth+1)
				if err != nil {
					return m, err
				}
				m.list = append(m.list, c)
			}
			return m, nil
		}
		var text string
		if err := unmarshal(value, &text); err != nil {
			return matcher{}, err
		}
		if op == matchRegex {
			return newRegex(text)
		}
		if text == "" {
			return matcher{}, errors.New("a match of nothing")
		}
		return matcher{op: op, text: strings.ToLower(text)}, nil
	}
	panic("unreachable")
}

// hostRule finds a provider by the URL of its API.
type hostRule struct {
	id   string
	re   *regexp.Regexp
	open bool // the pattern ends within a name: "https://api\\.moonshot\\."
}

// ProviderAt returns the id of the provider whose API a base URL is: by host,
// so that a private server is nobody's. A name without a domain is only looked
// up in the file of one's own, which has been read already.
func (b *Book) ProviderAt(baseURL string) (id string, ok bool) {
	baseURL = lower(baseURL)
	rules := b.ownHosts
	if inDomain(baseURL) {
		b.load()
		rules = b.hosts
	}
	for _, h := range rules {
		at := h.re.FindStringIndex(baseURL)
		if at == nil || at[0] != 0 {
			continue
		}
		rest := baseURL[at[1]:]
		if rest == "" || rest[0] == '/' || rest[0] == ':' || baseURL[at[1]-1] == '/' || h.open {
			return b.canonical(h.id), true
		}
	}
	return "", false
}

// inDomain reports whether a URL's host is a name in a domain, not an address
// nor a name of a local network.
func inDomain(baseURL string) bool {
	u, err := url.Parse(baseURL)
	if err != nil {
		return false
	}
	host := u.Hostname()
	_, err = netip.ParseAddr(host)
	return strings.Contains(host, ".") && err != nil
}
