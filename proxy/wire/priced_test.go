package wire

import "testing"

// What of a request decides its price is found at its own place, and only
// where it is a plain word.
func TestPriceWords(t *testing.T) {
	check := func(api API, body string, want PriceWords) {
		t.Helper()
		v, err := ReadView(api, []byte(body))
		if err != nil || v.Priced != want {
			t.Errorf("%s: %+v %v, want %+v", body, v.Priced, err, want)
		}
	}
	high := PriceWords{SearchContextSize: "high"}
	check(Chat, `{"model":"m","web_search_options":{"search_context_size":"high"}}`, high)
	check(Chat, `{"model":"m","web_search_options":{"search_type":"pro","search_context_size":"high","user_location":{"search_context_size":"low"}}}`,
		PriceWords{SearchContextSize: "high", SearchType: "pro"})
	check(Responses, `{"tools":[{"type":"function","name":"f"},{"type":"web_search","search_context_size":"high"}],"model":"m"}`, high)
	check(Responses, `{"tools":[{"type":"function","parameters":{"search_context_size":"high"}}]}`, PriceWords{})
	check(Responses, `{"tools":{"a":{"search_context_size":"high"}}}`, PriceWords{})
	check(Responses, `{"search_context_size":"high","metadata":{"search_context_size":"high"}}`, PriceWords{})
	check(Chat, `{"web_search_options":{"search_context_size":"a=b,c"}}`, PriceWords{})
	check(Chat, `{"web_search_options":{"search_context_size":null,"search_type":{"search_type":"x"}}}`, PriceWords{})
	check(Messages, `{"speed":"fast","inference_geo":"us"}`, PriceWords{Speed: "fast", Residency: "us"})
	check(Messages, `{"messages":[{"speed":"fast"}],"metadata":{"speed":"fast"},"speed":1}`, PriceWords{})
}

// An engine says beside its usage how long it worked.
func TestTimingsOfAnEngine(t *testing.T) {
	const more = `"usage":{"prompt_tokens":1,"completion_tokens":2},"timings":{"prompt_n":1,"prompt_ms":12.3456,"predicted_n":2,"predicted_ms":100,"predicted_per_second":20}`
	const want = `{"input":1,"output":2,"gpu_prefill_us":12346,"gpu_decode_us":100000}`
	r := NewReply(Chat)
	r.Feed([]byte(`{"id":"c","choices":[{"message":{"content":"x"},"finish_reason":"stop"}],` + more + `}`))
	if got := string(r.Reading().Usage.AppendJSON(nil)); got != want {
		t.Errorf("reply: %s", got)
	}
	r.Reset(Chat)
	r.Feed([]byte(`{"choices":[],"usage":{"prompt_tokens":1}}`))
	if got := string(r.Reading().Usage.AppendJSON(nil)); got != `{"input":1}` {
		t.Errorf("the next reply: %s", got)
	}
	s := NewStream(Chat, StreamOptions{})
	s.Feed([]byte("data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"id\":\"c\",\"choices\":[]," + more + "}\n\ndata: [DONE]\n\n"))
	if got := string(s.Reading().Usage.AppendJSON(nil)); got != want {
		t.Errorf("stream: %s", got)
	}
}

// A batch's usage is that of all its requests, once it has ended.
func TestUsageOfABatch(t *testing.T) {
	check := func(status string, pending bool) {
		t.Helper()
		r := NewReply(Batches)
		r.Feed([]byte(`{"id":"batch_1","status":"` + status + `","model":"gpt-5","usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":3,` +
			`"output_tokens_details":{"reasoning_tokens":1},"total_tokens":13},"request_counts":{"total":9,"completed":7,"failed":2}}`))
		got := r.Reading()
		if got.Pending != pending || got.ServedModel != "gpt-5" || got.StopReason != "" {
			t.Errorf("%s: %+v", status, got)
		}
		if u := string(got.Usage.AppendJSON(nil)); u != `{"input":6,"input_cache_read":4,"output":2,"output_reasoning":1,"requests":7}` {
			t.Errorf("%s: %s", status, u)
		}
	}
	for _, status := range []string{"validating", "in_progress", "finalizing", "cancelling"} {
		check(status, true)
	}
	for _, status := range []string{"completed", "failed", "expired", "cancelled"} {
		check(status, false)
	}
}
