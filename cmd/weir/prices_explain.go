package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"weir/costs"
	"weir/proxy/wire"
)

// maxUsage bounds a usage object, or the reply that it is in.
const maxUsage = 16 << 20

// An explanation is what a usage object costs, and why.
type explanation struct {
	ID         string        `json:"id"`             // provider/model
	USD        *costs.Money  `json:"usd"`            // the provider's own charge where it sends one, else the computed one; null: unknown
	Status     costs.Status  `json:"status"`         // priced, free, unpriced
	Basis      string        `json:"basis"`          // provider, computed, estimated, none
	List       *costs.Money  `json:"list_usd"`       // by list prices
	Contracted *costs.Money  `json:"contracted_usd"` // by agreed prices
	Charged    *costs.Money  `json:"charged_usd"`    // by the provider's own word
	Drift      *costs.Money  `json:"drift_usd"`      // charged less contracted
	AtLeast    *costs.Money  `json:"at_least_usd"`   // of an unpriced one: what is known of it
	Why        string        `json:"why,omitempty"`  // it is unpriced
	Missing    []costs.Meter `json:"missing"`        // meters without a price
	Lines      []costs.Line  `json:"lines"`
	Usage      costs.Usage   `json:"usage"`
	Consistent bool          `json:"usage_consistent"` // the meters add up to the vendor's totals
	Flavour    string        `json:"flavour"`          // how the usage object was read
	Provider   string        `json:"provider"`
	Model      string        `json:"model"`
	At         time.Time     `json:"at"`
	Equivalent *explanation  `json:"equivalent,omitempty"` // self-hosted: what the usage would cost to buy
	Book       string        `json:"book"`
}

// An explainFlags is what to explain.
type explainFlags struct {
	provider, model, at, usage, api, context string
	json                                     bool
}

func newPricesExplainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use: "explain", Short: "Show what a usage object costs, line by line", Args: noArgs,
		Long: "Show what a usage object costs, line by line: its meters, the price rows that apply at the time, and the exact sum.\n" +
			"--context says what the usage object doesn't: " + strings.Join(costs.ContextKeys(), ", ") + ", or a meter.\n" +
			"What has no price is told as such, with exit code 0: usd is null, status unpriced.",
		RunE: func(cmd *cobra.Command, _ []string) error { return explain(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.provider, "provider", "", "whose prices: a `PROVIDER` of the price book, or of the configuration")
	flags.StringVar(&f.model, "model", "", "the `MODEL`")
	flags.StringVar(&f.at, "at", "", "the prices of this `TIME`: 2026-08-21T00:00:00Z or a date. Default now")
	flags.StringVar(&f.usage, "usage", "", "the usage JSON as the vendor sends it, or the reply that it is in: a `FILE`, or - for stdin")
	flags.StringVar(&f.api, "api", "", "the `API` that it came by, where its members do not tell: chat, responses, messages, generate …")
	flags.StringVar(&f.context, "context", "", "`NAME=VALUE,…`: tier=flex,batch=true,residency=eu …")
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

func explain(cmd *cobra.Command, f *explainFlags) error {
	if f.provider == "" || f.model == "" || f.usage == "" {
		return usageError(cmd, "want --provider, --model and --usage")
	}
	if err := f.checkAPI(); err != nil {
		return err
	}
	at, err := time.Now().UTC(), error(nil)
	if f.at != "" {
		if at, err = parseInstant(f.at); err != nil {
			return &failure{code: 2, err: fmt.Errorf("read --at: %w", err)}
		}
	}
	raw, err := readUsage(cmd.InOrStdin(), f.usage)
	if err != nil {
		return &failure{code: 2, err: err}
	}
	book, terms, err := bookFor(cmd, f.provider)
	if err != nil {
		return err
	}
	terms.Model, terms.At = f.model, at
	vendor, _ := book.ProviderID(terms.Provider)
	reading, flavour := readReading(raw, vendor, f, &terms)
	if err := setContext(&terms, &reading, f.context); err != nil {
		return &failure{code: 2, err: fmt.Errorf("read --context: %w", err)}
	}
	e := newExplanation(book, &reading, terms)
	e.Flavour = flavour.String()
	if f.json {
		return printJSON(cmd.OutOrStdout(), e)
	}
	return e.print(cmd.OutOrStdout())
}

// checkAPI refuses a word of no API: usage read in another way is another sum.
func (f *explainFlags) checkAPI() error {
	known := slices.Compact(slices.Sorted(slices.Values(append(costs.APIs(), wire.APIs()...))))
	if f.api == "" || slices.Contains(known, f.api) {
		return nil
	}
	return &failure{code: 2, err: fmt.Errorf("read --api: unknown API %q", f.api), hint: "it is one of " + strings.Join(known, ", ")}
}

// parseInstant reads a date, which is midnight UTC, or an exact time.
func parseInstant(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil && t.Year() >= 1970 && t.Year() < 2200 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("want a time like 2026-08-21T00:00:00Z or a date, got %q", s)
}

func readUsage(stdin io.Reader, path string) ([]byte, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read usage: %w", err)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxUsage+1))
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) > maxUsage || !json.Valid(raw) || len(raw) == 0 || raw[0] != '{' && raw[0] != '[' {
		return nil, fmt.Errorf("read usage %s: want one JSON object, or the list of them that a call keeps", path)
	}
	return raw, nil
}

// readReading reads a usage object, or a whole reply as the data plane does:
// its model and tier are those that were served, and what its output shows of
// searches and sessions is used, too.
func readReading(raw []byte, vendor string, f *explainFlags, t *costs.Terms) (costs.Reading, costs.Flavour) {
	if api, ok := replyAPI(raw); ok {
		r := wire.NewReply(api)
		r.SetVendor(vendor, f.model)
		r.Feed(raw)
		if said := r.Reading(); said.HasUsage {
			t.Served = said.ServedModel
			t.Serve(said.ServiceTier)
			t.Batch = t.Batch || api == wire.Batches
			return said.Reading, costs.FlavourOf(vendor, api.String(), said.RawUsage).For(f.model)
		}
	}
	flavour := costs.FlavourOf(vendor, f.api, firstObject(raw)).For(f.model)
	return flavour.Read(raw, costs.Usage{}), flavour
}

// replyAPI tells by its members which API a whole reply is of; false where it
// is none.
func replyAPI(raw []byte) (wire.API, bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return 0, false
	}
	has := func(name string, first byte) bool { return len(m[name]) > 0 && m[name][0] == first }
	switch {
	case has("usageMetadata", '{'):
		return wire.Generate, true
	case !has("usage", '{'):
		return 0, false
	case string(m["object"]) == `"batch"`:
		return wire.Batches, true
	case has("output", '['):
		return wire.Responses, true
	case has("content", '['):
		return wire.Messages, true
	case has("choices", '['):
		return wire.Chat, true
	case has("embedding", '['), has("data", '[') && string(m["object"]) == `"list"`:
		return wire.Embeddings, true
	case has("data", '['):
		return wire.Images, true
	case has("text", '"'):
		return wire.Transcriptions, true
	}
	return wire.Chat, true
}

// firstObject is the one that tells how a list of usage objects, which is what
// a call keeps of some streams, was counted.
func firstObject(usage []byte) []byte {
	var list []json.RawMessage
	if usage[0] != '[' || json.Unmarshal(usage, &list) != nil || len(list) == 0 {
		return usage
	}
	return list[0]
}

func setContext(t *costs.Terms, r *costs.Reading, list string) error {
	for pair := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("want NAME=VALUE, got %q", pair)
		}
		if err := t.SetContext(&r.Usage, strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	return nil
}

func newExplanation(b *costs.Book, r *costs.Reading, t costs.Terms) *explanation {
	c := b.ChargeReading(r, t)
	e := explained(c, t)
	e.Usage, e.Consistent = r.Usage, !r.Inconsistent
	if r.HasCharge {
		e.Charged, e.USD, e.Basis = &r.Charged, &r.Charged, "provider"
		if c.Status == costs.Unpriced {
			e.Status = costs.Priced
		} else {
			drift := r.Charged.Sub(c.Contracted)
			e.Drift = &drift
		}
	}
	if c.Provider == "local" {
		if other, ok := b.Equivalent(r.Usage, t); ok {
			e.Equivalent = explained(other, t)
		}
	}
	return e
}

func explained(c costs.Charge, t costs.Terms) *explanation {
	e := &explanation{
		ID: t.Provider + "/" + t.Model, Status: c.Status, Basis: "computed", Why: c.Why, Missing: c.Missing, Lines: c.Lines,
		Consistent: true, Provider: c.Provider, Model: c.Model, At: t.At, Book: c.Book,
	}
	if e.Missing == nil {
		e.Missing = []costs.Meter{}
	}
	if e.Lines == nil {
		e.Lines = []costs.Line{}
	}
	if c.Status == costs.Unpriced {
		e.Basis, e.AtLeast = "none", &c.AtLeast
		return e
	}
	e.List, e.Contracted, e.USD = &c.List, &c.Contracted, &c.Contracted
	if c.Mean {
		e.Basis = "estimated"
	}
	return e
}

// print writes a table for people, and for pipes.
func (e *explanation) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "METER\tQUANTITY\tUSD\tPER\tMULTIPLIERS\tAMOUNT\tROW\n")
	for _, l := range e.Lines {
		var names []string
		for _, a := range l.Applied {
			names = append(names, a.Name+" "+a.Factor)
		}
		if len(names) == 0 {
			names = []string{"-"}
		}
		quantity := fmt.Sprint(l.Quantity)
		if l.Billed != l.Quantity {
			quantity += fmt.Sprintf(" (billed as %d)", l.Billed)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Meter, quantity, l.Price, l.Unit, strings.Join(names, ", "), l.Amount, l.Row)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	switch {
	case e.USD == nil:
		fmt.Fprintf(w, "unpriced: %s (what is priced of it: $%s)\n", e.Why, e.AtLeast)
	case e.Basis == "provider":
		fmt.Fprintf(w, "$%s, charged by the provider", e.USD)
		if e.Drift != nil {
			fmt.Fprintf(w, " (computed: $%s)", e.Contracted)
		}
		fmt.Fprintln(w)
	default:
		fmt.Fprintf(w, "$%s", e.USD)
		if *e.Contracted != *e.List {
			fmt.Fprintf(w, " as agreed (list: $%s)", e.List)
		}
		fmt.Fprintln(w)
	}
	if e.Equivalent != nil && e.Equivalent.USD != nil {
		fmt.Fprintf(w, "bought as %s/%s: $%s\n", e.Equivalent.Provider, e.Equivalent.Model, e.Equivalent.USD)
	}
	if e.Basis == "estimated" {
		fmt.Fprintln(w, "estimated: thresholds go by the mean of the requests, of which one alone may have crossed one")
	}
	if !e.Consistent {
		fmt.Fprintln(w, "usage_inconsistent: the meters do not add up to the vendor's totals")
	}
	_, err := fmt.Fprintf(w, "book: %s\n", e.Book)
	return err
}
