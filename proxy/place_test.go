package proxy

import "testing"

func TestPlaces(t *testing.T) {
	for host, want := range map[string]place{
		"api.openai.com":                             {},
		"eu.api.openai.com":                          {residency: "eu"},
		"US.API.OpenAI.com":                          {residency: "us"},
		"eu.api.openai.com.example.com":              {},
		"generativelanguage.googleapis.com":          {},
		"aiplatform.googleapis.com":                  {endpoint: "vertex", region: "global"},
		"europe-west4-aiplatform.googleapis.com":     {endpoint: "vertex", region: "europe-west4"},
		"bedrock-runtime.us-west-2.amazonaws.com":    {region: "us-west-2"},
		"bedrock-mantle.eu-central-1.api.aws":        {region: "eu-central-1"},
		"s3.us-west-2.amazonaws.com":                 {},
		"bedrock.example.com":                        {},
		"127.0.0.1":                                  {},
		"weird-aiplatform.googleapis.com.evil.local": {},
	} {
		if got := placeOf(host); got != want {
			t.Errorf("%s is at %+v, want %+v", host, got, want)
		}
	}
}
