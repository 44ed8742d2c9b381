package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every golden charge, to the last digit, by the command line.
func TestExplainGolden(t *testing.T) {
	t.Chdir(t.TempDir()) // no weir.yaml
	for _, name := range []string{"golden_costs.json", "charges.json"} {
		explainAll(t, name)
	}
}

func explainAll(t *testing.T, name string) {
	text, err := os.ReadFile(filepath.Join(goldenDir, name))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		ID, Name, Provider, Model, At string
		Context                       map[string]string
		Usage                         json.RawMessage
		Want                          string `json:"expected_usd"`
		USD                           string `json:"usd"`
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if err := os.WriteFile("usage.json", c.Usage, 0o600); err != nil {
			t.Fatal(err)
		}
		var context []string
		for k, v := range c.Context {
			context = append(context, k+"="+v)
		}
		slices.Sort(context)
		var out, errOut bytes.Buffer
		code := run([]string{
			"prices", "explain", "--provider", c.Provider, "--model", c.Model, "--at", c.At, "--usage", "usage.json",
			"--context", strings.Join(context, ","), "--json",
		}, &out, &errOut)
		var got struct {
			USD    string            `json:"usd"`
			Status string            `json:"status"`
			Lines  []json.RawMessage `json:"lines"`
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || code != 0 {
			t.Errorf("%s%s: exit %d, %v: %s", c.ID, c.Name, code, err, errOut.String())
			continue
		}
		if want := c.Want + c.USD; got.USD != want || got.Status != "priced" || len(got.Lines) == 0 {
			t.Errorf("%s%s: %s %s, want %s\n%s", c.ID, c.Name, got.Status, got.USD, want, out.String())
		}
	}
}

// goldenDir is absolute: the test leaves the package's directory.
var goldenDir = func() string {
	dir, err := filepath.Abs("../../costs/testdata")
	if err != nil {
		panic(err)
	}
	return dir
}()
