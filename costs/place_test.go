package costs

import "testing"

func TestPlaces(t *testing.T) {
	for host, want := range map[string]Terms{
		"api.openai.com":                             {},
		"eu.api.openai.com":                          {Residency: "eu"},
		"US.API.OpenAI.com":                          {Residency: "us"},
		"eu.api.openai.com.example.com":              {},
		"generativelanguage.googleapis.com":          {},
		"aiplatform.googleapis.com":                  {Endpoint: "vertex", Region: "global"},
		"europe-west4-aiplatform.googleapis.com":     {Endpoint: "vertex", Region: "europe-west4"},
		"bedrock-runtime.us-west-2.amazonaws.com":    {Region: "us-west-2"},
		"bedrock-mantle.eu-central-1.api.aws":        {Region: "eu-central-1"},
		"s3.us-west-2.amazonaws.com":                 {},
		"bedrock.example.com":                        {},
		"127.0.0.1":                                  {},
		"weird-aiplatform.googleapis.com.evil.local": {},
	} {
		var got Terms
		if got.Place(host); got != want {
			t.Errorf("%s is at %+v, want %+v", host, got, want)
		}
	}
	said := Terms{Residency: "us"}
	if said.Place("eu.api.openai.com"); said.Residency != "us" {
		t.Errorf("what is said: %+v", said)
	}
}

func TestServedTier(t *testing.T) {
	check := func(has, served, want string) {
		t.Helper()
		terms := Terms{Tier: has}
		if terms.Serve(served); terms.Tier != want {
			t.Errorf("%q served by %q is %q, want %q", has, served, terms.Tier, want)
		}
	}
	check("", "flex", "flex")
	check("", "default", "default")
	check("provisioned", "", "provisioned")
	check("provisioned", "default", "provisioned")
	check("provisioned", "Standard", "provisioned")
	check("provisioned", "priority", "priority")
}
