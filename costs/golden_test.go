package costs

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// goldenContext puts a case's context into terms, as `weir prices explain` does.
func goldenContext(t *testing.T, terms *Terms, u *Usage, context map[string]string) {
	t.Helper()
	for k, v := range context {
		if err := terms.SetContext(u, k, v); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGoldenCharges(t *testing.T) {
	text, err := os.ReadFile("testdata/golden_costs.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		ID, Provider, Model string
		At                  time.Time
		Context             map[string]string
		Usage               json.RawMessage
		Want                Money `json:"expected_usd"`
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		terms := Terms{Provider: c.Provider, Model: c.Model, At: c.At}
		vendor, _ := Builtin().ProviderID(c.Provider)
		reading := FlavourOf(vendor, "", c.Usage).For(c.Model).Read(c.Usage, Usage{})
		goldenContext(t, &terms, &reading.Usage, c.Context)
		got := Builtin().Charge(reading.Usage, terms)
		if got.Status != Priced || got.List != c.Want || got.Contracted != c.Want {
			t.Errorf("%s %s/%s: %s %s (%s), want %s\n%s", c.ID, c.Provider, c.Model, got.Status, got.List, got.Why, c.Want, linesText(got))
		}
		if reading.HasCharge && reading.Charged != c.Want {
			t.Errorf("%s: the vendor charged %s, want %s", c.ID, reading.Charged, c.Want)
		}
	}
}

func linesText(c Charge) string {
	b, _ := json.MarshalIndent(c.Lines, "", " ")
	return string(b)
}
