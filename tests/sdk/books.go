package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// A row is what this test reads of a call in the ledger.
type row struct {
	ID          string           `json:"id"`
	Session     string           `json:"session"`
	KeyID       string           `json:"key_id"`
	API         string           `json:"api"`
	AskedModel  string           `json:"asked_model"`
	Provider    string           `json:"provider"`
	Status      int              `json:"status"`
	Outcome     string           `json:"outcome"`
	Usage       map[string]int64 `json:"usage"`
	UsageSource string           `json:"usage_source"`
}

// tokens are the sums over the leaf meters of each side.
func (r row) tokens() (in, out int64) {
	for meter, n := range r.Usage {
		if strings.HasPrefix(meter, "input") {
			in += n
		} else {
			out += n
		}
	}
	return in, out
}

// A ledger is what weir calls list says, by id and by session.
type ledger struct {
	byID      map[string][]row
	bySession map[string][]row
	closed    int // of the programs
}

// readLedger asks the weir binary for all calls of a configuration.
func readLedger(weir, config string) (ledger, error) {
	l := ledger{byID: map[string][]row{}, bySession: map[string][]row{}}
	cmd := exec.Command(weir, "calls", "list", "--config", config, "--json", "--limit", "100000")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return l, fmt.Errorf("weir calls list: %w\n%s", err, stderr.String())
	}
	var rows []row
	if err := json.Unmarshal(out, &rows); err != nil {
		return l, fmt.Errorf("read weir calls list: %w", err)
	}
	for _, r := range rows {
		if r.Session != "" && r.Outcome != "" {
			l.closed++
		}
		l.byID[r.ID] = append(l.byID[r.ID], r)
		l.bySession[r.Session] = append(l.bySession[r.Session], r)
	}
	return l, nil
}

// aborts reports whether the case's last call is left by the client.
func (l line) aborts() bool { return strings.HasSuffix(l.Case, "abort") }

// unmetered reports whether the case's answers carry no usage to compare.
func (l line) unmetered() bool {
	return l.Case == "count_tokens" || l.Case == "model_list" || l.Case == "bad_key"
}

// audit compares the ledger with what a case saw: one row per request, with
// its model, outcome and tokens; and for the key of a stranger none.
func (b ledger) audit(program string, l line, keyed bool) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if keyed && l.Case == "bad_key" {
		l.HTTP = nil
	}
	if l.Case == "timeout" {
		return b.abandoned(program, l)
	}
	if n := len(b.bySession[program+"/"+l.Case]); n != len(l.HTTP) {
		say("the ledger has %d rows for %d requests", n, len(l.HTTP))
	}
	reported := l.Usage
	for i, h := range l.HTTP {
		rows := b.byID[h.header("x-weir-call-id")]
		if len(rows) != 1 {
			say("call %d: x-weir-call-id %q has %d rows", i, h.header("x-weir-call-id"), len(rows))
			continue
		}
		r := rows[0]
		want := "ok"
		switch {
		case h.Status >= 400, strings.HasSuffix(l.Case, "truncated"), strings.HasSuffix(l.Case, "failing"):
			want = "error"
		case l.aborts() && i == len(l.HTTP)-1:
			want = "aborted"
			if _, out := r.tokens(); out == 0 || r.UsageSource != "partial" && r.UsageSource != "estimated" {
				say("%s: an aborted stream with %d output tokens, usage %q", r.ID, out, r.UsageSource)
			}
		}
		if keyed != (r.KeyID != "") {
			say("%s: key %q", r.ID, r.KeyID)
		}
		if r.Outcome != want || r.Status != h.Status {
			say("%s: outcome %q and status %d, want %q and %d", r.ID, r.Outcome, r.Status, want, h.Status)
		}
		if r.API == "responses_stored" && len(r.Usage) > 0 {
			say("%s: to read or delete a response has cost %v", r.ID, r.Usage)
		}
		if want != "ok" || l.unmetered() || r.API == "responses_stored" {
			continue
		}
		if len(reported) == 0 {
			say("%s: the SDK reported nothing for it", r.ID)
			continue
		}
		wrong = append(wrong, r.agrees(reported[0])...)
		reported = reported[1:]
	}
	if len(reported) > 0 {
		say("the SDK reported %d more answers than there were", len(reported))
	}
	return wrong
}

// abandoned checks the row of a call that its client left before any answer.
func (b ledger) abandoned(program string, l line) (wrong []string) {
	rows := b.bySession[program+"/"+l.Case]
	if len(rows) != 1 || rows[0].Outcome != "aborted" || rows[0].Status != 499 {
		return []string{"want one aborted row of status 499, got " + short(rows)}
	}
	return nil
}

// agrees compares a row with what the SDK reported of its call.
func (r row) agrees(c reportedCall) (wrong []string) {
	in, out := r.tokens()
	if r.AskedModel != c.Model {
		wrong = append(wrong, fmt.Sprintf("%s: model %q, asked was %q", r.ID, r.AskedModel, c.Model))
	}
	if r.UsageSource != "provider" && (c.In != nil || r.API != "embeddings") {
		wrong = append(wrong, fmt.Sprintf("%s: usage source %q", r.ID, r.UsageSource))
	}
	if c.In != nil && *c.In != in || c.Out != nil && *c.Out != out {
		wrong = append(wrong, fmt.Sprintf("%s: %d tokens in and %d out, the SDK reported %s", r.ID, in, out, short(c)))
	}
	return wrong
}
