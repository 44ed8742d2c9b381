package neutral

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// apis are the APIs in the order of the documentation.
var apis = []API{Chat, Responses, Messages, Generate}

// A probe is a small request that says one thing, as an API's client says it:
// its conversation, and the members beside it. What it says has the word
// WITNESS in it where it is text.
type probe struct{ talk, more string }

// body is the whole request.
func (p probe) body(api API) []byte {
	head := map[API]string{Chat: `{"model":"m","messages":[`, Responses: `{"model":"m","store":false,"input":[`, Messages: `{"model":"m","max_tokens":64,"messages":[`, Generate: `{"contents":[`}[api]
	talk, more := p.talk, p.more
	if talk == "" {
		talk = map[API]string{Generate: `{"role":"user","parts":[{"text":"give JSON"}]}`}[api]
	}
	if talk == "" {
		talk = `{"role":"user","content":"give JSON"}`
	}
	if more != "" {
		more = "," + more
	}
	return []byte(head + talk + "]" + more + "}")
}

// Parts of probes.
const (
	png  = `iVBORw0KGgo=`
	pdf  = `JVBERi0=`
	wav  = `UklGRg==`
	user = `{"role":"user","content":"hi"},`

	chatFuncs      = `"tools":[{"type":"function","function":{"name":"f","description":"WITNESS","parameters":{"type":"object","properties":{}}}},{"type":"function","function":{"name":"g"}},{"type":"function","function":{"name":"h"}}]`
	responsesFuncs = `"tools":[{"type":"function","name":"f","description":"WITNESS","parameters":{"type":"object","properties":{}}},{"type":"function","name":"g"},{"type":"function","name":"h"}]`
	messagesFuncs  = `"tools":[{"name":"f","description":"WITNESS","input_schema":{"type":"object"}},{"name":"g","input_schema":{"type":"object"}}]`
	generateFuncs  = `"tools":[{"functionDeclarations":[{"name":"f","description":"WITNESS"},{"name":"g"},{"name":"h"}]}]`
	schema         = `{"type":"object","properties":{"WITNESS":{"type":"string"}},"required":["WITNESS"],"additionalProperties":false}`
)

func userPart(part string) probe { return probe{talk: `{"role":"user","content":[` + part + `]}`} }
func geminiParts(part string) probe {
	return probe{talk: `{"role":"user","parts":[` + part + `]}`}
}

// probes are one for each feature that an API's clients have a word for.
var probes = map[API]map[string]probe{
	Chat: {
		FeatureSystem:       {talk: `{"role":"system","content":"WITNESS"},{"role":"user","content":"hi"}`},
		FeatureLateSystem:   {talk: user + `{"role":"assistant","content":"yo"},{"role":"system","content":"WITNESS"},{"role":"user","content":"go"}`},
		FeatureDeveloper:    {talk: `{"role":"developer","content":"WITNESS"},{"role":"user","content":"hi"}`},
		FeatureName:         {talk: `{"role":"user","name":"bob","content":"WITNESS"}`},
		FeatureImages:       userPart(`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + png + `"}}`),
		FeatureImageDetail:  userPart(`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + png + `","detail":"high"}}`),
		FeatureAudio:        userPart(`{"type":"input_audio","input_audio":{"data":"` + wav + `","format":"wav"}}`),
		FeatureVideo:        userPart(`{"type":"video_url","video_url":{"url":"data:video/mp4;base64,` + wav + `"}}`),
		FeatureFiles:        userPart(`{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,` + pdf + `"}}`),
		FeatureFileIDs:      userPart(`{"type":"text","text":"hi"},{"type":"file","file":{"file_id":"file-1"}}`),
		FeatureTools:        {more: chatFuncs},
		FeatureCustomTools:  {more: `"tools":[{"type":"custom","custom":{"name":"f","description":"WITNESS"}}]`},
		FeatureVendorTools:  {more: `"tools":[{"type":"code_runner"}]`},
		FeatureStrictTools:  {more: `"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{},"additionalProperties":false,"required":[]}}}]`},
		FeatureChoice:       {more: chatFuncs + `,"tool_choice":"required"`},
		FeatureChoiceOf:     {more: chatFuncs + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]}}`},
		FeatureParallel:     {more: chatFuncs + `,"parallel_tool_calls":false`},
		FeatureToolImages:   {talk: user + `{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:image/png;base64,` + png + `"}}]}`, more: chatFuncs},
		FeatureThoughts:     {talk: user + `{"role":"assistant","content":"yo","reasoning_content":"hm"},{"role":"user","content":"go"}`},
		FeatureReasoning:    {more: `"reasoning_effort":"high"`},
		FeatureSummary:      {more: `"reasoning":{"exclude":false}`},
		FeatureMaxOutput:    {more: `"max_completion_tokens":77`},
		FeatureTemperature:  {more: `"temperature":0.25`},
		FeatureTopP:         {more: `"top_p":0.25`},
		FeatureTopK:         {more: `"top_k":25`},
		FeatureFrequency:    {more: `"frequency_penalty":0.25`},
		FeaturePresence:     {more: `"presence_penalty":0.25`},
		FeatureSeed:         {more: `"seed":25`},
		FeatureStop:         {more: `"stop":["WITNESS"]`},
		FeatureN:            {more: `"n":2`},
		FeatureLogprobs:     {more: `"logprobs":true,"top_logprobs":2`},
		FeatureJSON:         {more: `"response_format":{"type":"json_object"}`},
		FeatureSchema:       {more: `"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":` + schema + `}}`},
		FeatureVerbosity:    {more: `"verbosity":"low"`},
		FeatureUser:         {more: `"user":"WITNESS"`},
		FeatureMetadata:     {more: `"metadata":{"a":"WITNESS"}`},
		FeatureTier:         {more: `"service_tier":"flex"`},
		FeatureCacheKey:     {more: `"prompt_cache_key":"WITNESS"`},
		FeatureCacheMarks:   userPart(`{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}`),
		FeatureAutoCache:    {more: `"cache_control":{"type":"ephemeral"}`},
		FeatureStore:        {more: `"store":true`},
		FeatureCitations:    {talk: user + `{"role":"assistant","content":"yo","annotations":[{"type":"url_citation","url_citation":{"url":"https://x","title":"WITNESS","start_index":0,"end_index":2}}]},{"role":"user","content":"go"}`},
		FeatureIncludeUsage: {more: `"stream":true,"stream_options":{"include_usage":true}`},
	},
	Responses: {
		FeatureSystem:      {more: `"instructions":"WITNESS"`},
		FeatureLateSystem:  {talk: user + `{"role":"assistant","content":"yo"},{"role":"system","content":"WITNESS"},{"role":"user","content":"go"}`},
		FeatureDeveloper:   {talk: `{"role":"developer","content":"WITNESS"},{"role":"user","content":"hi"}`},
		FeatureImages:      userPart(`{"type":"input_image","image_url":"data:image/png;base64,` + png + `"}`),
		FeatureImageDetail: userPart(`{"type":"input_image","image_url":"data:image/png;base64,` + png + `","detail":"high"}`),
		FeatureAudio:       userPart(`{"type":"input_audio","input_audio":{"data":"` + wav + `","format":"wav"}}`),
		FeatureFiles:       userPart(`{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,` + pdf + `"}`),
		FeatureFileIDs:     userPart(`{"type":"input_text","text":"hi"},{"type":"input_file","file_id":"file-1"}`),
		FeatureTools:       {more: responsesFuncs},
		FeatureCustomTools: {more: `"tools":[{"type":"custom","name":"f","description":"WITNESS"}]`},
		FeatureClientTools: {more: `"tools":[{"type":"local_shell"},{"type":"apply_patch"},{"type":"shell","environment":{"type":"local"}}]`},
		FeatureVendorTools: {more: `"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]`},
		FeatureStrictTools: {more: `"tools":[{"type":"function","name":"f","strict":true,"parameters":{"type":"object","properties":{},"additionalProperties":false,"required":[]}}]`},
		FeatureChoice:      {more: responsesFuncs + `,"tool_choice":"required"`},
		FeatureChoiceOf:    {more: responsesFuncs + `,"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]}`},
		FeatureParallel:    {more: responsesFuncs + `,"parallel_tool_calls":false`},
		FeatureToolImages:  {talk: user + `{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"see"},{"type":"input_image","image_url":"data:image/png;base64,` + png + `"}]}`, more: responsesFuncs},
		FeatureThoughts:    {talk: user + `{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},{"role":"assistant","content":"yo"},{"role":"user","content":"go"}`},
		FeatureReasoning:   {more: `"reasoning":{"effort":"high"}`},
		FeatureSummary:     {more: `"reasoning":{"summary":"auto"}`},
		FeatureMaxOutput:   {more: `"max_output_tokens":77`},
		FeatureTemperature: {more: `"temperature":0.25`},
		FeatureTopP:        {more: `"top_p":0.25`},
		FeatureLogprobs:    {more: `"include":["message.output_text.logprobs"],"top_logprobs":2`},
		FeatureJSON:        {more: `"text":{"format":{"type":"json_object"}}`},
		FeatureSchema:      {more: `"text":{"format":{"type":"json_schema","name":"s","schema":` + schema + `}}`},
		FeatureVerbosity:   {more: `"text":{"verbosity":"low"}`},
		FeatureUser:        {more: `"safety_identifier":"WITNESS"`},
		FeatureMetadata:    {more: `"metadata":{"a":"WITNESS"}`},
		FeatureTier:        {more: `"service_tier":"flex"`},
		FeatureCacheKey:    {more: `"prompt_cache_key":"WITNESS"`},
		FeatureCacheMarks:  userPart(`{"type":"input_text","text":"hi","prompt_cache_breakpoint":{"mode":"explicit"}}`),
		FeatureStore:       {more: `"store":true`},
		FeaturePrevious:    {more: `"previous_response_id":"resp_WITNESS"`},
		FeatureCitations:   {talk: user + `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"yo","annotations":[{"type":"url_citation","url":"https://x","title":"WITNESS","start_index":0,"end_index":2}]}]},{"role":"user","content":"go"}`},
	},
	Messages: {
		FeatureSystem:      {more: `"system":"WITNESS"`},
		FeatureLateSystem:  {talk: user + `{"role":"assistant","content":"yo"},{"role":"system","content":"WITNESS"},{"role":"user","content":"go"}`},
		FeatureImages:      userPart(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + png + `"}}`),
		FeatureFiles:       userPart(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"` + pdf + `"}}`),
		FeatureFileIDs:     userPart(`{"type":"text","text":"hi"},{"type":"document","source":{"type":"file","file_id":"file_1"}}`),
		FeatureTools:       {more: messagesFuncs},
		FeatureClientTools: {more: `"tools":[{"type":"bash_20250124","name":"bash"},{"type":"text_editor_20250728","name":"str_replace_based_edit_tool"},{"type":"memory_20250818","name":"memory"}]`},
		FeatureVendorTools: {more: `"tools":[{"type":"code_execution_20250825","name":"code_execution"}]`},
		FeatureStrictTools: {more: `"tools":[{"name":"f","strict":true,"input_schema":{"type":"object","properties":{},"additionalProperties":false,"required":[]}}]`},
		FeatureChoice:      {more: messagesFuncs + `,"tool_choice":{"type":"any"}`},
		FeatureParallel:    {more: messagesFuncs + `,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`},
		FeatureToolImages:  {talk: user + `{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"text","text":"see"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + png + `"}}]}]}`, more: messagesFuncs},
		FeatureToolFailed:  {talk: user + `{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","is_error":true,"content":"WITNESS"}]}`, more: messagesFuncs},
		FeatureThoughts:    {talk: user + `{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"text","text":"yo"}]},{"role":"user","content":"go"}`},
		FeatureReasoning:   {more: `"thinking":{"type":"enabled","budget_tokens":2000,"display":"omitted"}`},
		FeatureSummary:     {more: `"thinking":{"type":"adaptive","display":"summarized"}`},
		FeatureMaxOutput:   {},
		FeatureTemperature: {more: `"temperature":0.25`},
		FeatureTopP:        {more: `"top_p":0.25`},
		FeatureTopK:        {more: `"top_k":25`},
		FeatureStop:        {more: `"stop_sequences":["WITNESS"]`},
		FeatureSchema:      {more: `"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}`},
		FeatureUser:        {more: `"metadata":{"user_id":"WITNESS"}`},
		FeatureTier:        {more: `"service_tier":"standard_only"`},
		FeatureCacheMarks:  userPart(`{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}`),
		FeatureAutoCache:   {more: `"cache_control":{"type":"ephemeral"}`},
		FeatureCitations:   {talk: user + `{"role":"assistant","content":[{"type":"text","text":"yo","citations":[{"type":"web_search_result_location","url":"https://x","title":"WITNESS","cited_text":"q","encrypted_index":"e"}]}]},{"role":"user","content":"go"}`},
	},
	Generate: {
		FeatureSystem:      {more: `"systemInstruction":{"parts":[{"text":"WITNESS"}]}`},
		FeatureImages:      geminiParts(`{"inlineData":{"mimeType":"image/png","data":"` + png + `"}}`),
		FeatureAudio:       geminiParts(`{"inlineData":{"mimeType":"audio/wav","data":"` + wav + `"}}`),
		FeatureVideo:       geminiParts(`{"inlineData":{"mimeType":"video/mp4","data":"` + wav + `"}}`),
		FeatureFiles:       geminiParts(`{"inlineData":{"mimeType":"application/pdf","data":"` + pdf + `"}}`),
		FeatureFileIDs:     geminiParts(`{"text":"hi"},{"fileData":{"mimeType":"application/pdf","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/abc"}}`),
		FeatureTools:       {more: generateFuncs},
		FeatureVendorTools: {more: `"tools":[{"codeExecution":{}}]`},
		FeatureChoice:      {more: generateFuncs + `,"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}`},
		FeatureChoiceOf:    {more: generateFuncs + `,"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f","g"]}}`},
		FeatureToolImages:  {talk: `{"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"id":"c1","name":"f","response":{"output":"see"},"parts":[{"inlineData":{"mimeType":"image/png","data":"` + png + `"}}]}}]}`, more: generateFuncs},
		FeatureToolFailed:  {talk: `{"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"id":"c1","name":"f","response":{"error":"WITNESS"}}}]}`, more: generateFuncs},
		FeatureThoughts:    {talk: `{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"hm","thought":true},{"text":"yo"}]},{"role":"user","parts":[{"text":"go"}]}`},
		FeatureReasoning:   {more: `"generationConfig":{"thinkingConfig":{"thinkingBudget":2000}}`},
		FeatureSummary:     {more: `"generationConfig":{"thinkingConfig":{"includeThoughts":true}}`},
		FeatureMaxOutput:   {more: `"generationConfig":{"maxOutputTokens":77}`},
		FeatureTemperature: {more: `"generationConfig":{"temperature":0.25}`},
		FeatureTopP:        {more: `"generationConfig":{"topP":0.25}`},
		FeatureTopK:        {more: `"generationConfig":{"topK":25}`},
		FeatureFrequency:   {more: `"generationConfig":{"frequencyPenalty":0.25}`},
		FeaturePresence:    {more: `"generationConfig":{"presencePenalty":0.25}`},
		FeatureSeed:        {more: `"generationConfig":{"seed":25}`},
		FeatureStop:        {more: `"generationConfig":{"stopSequences":["WITNESS"]}`},
		FeatureN:           {more: `"generationConfig":{"candidateCount":2}`},
		FeatureLogprobs:    {more: `"generationConfig":{"responseLogprobs":true,"logprobs":2}`},
		FeatureJSON:        {more: `"generationConfig":{"responseMimeType":"application/json"}`},
		FeatureSchema:      {more: `"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":` + schema + `}`},
		FeatureMetadata:    {more: `"labels":{"a":"WITNESS"}`},
		FeatureTier:        {more: `"serviceTier":"flex"`},
	},
}

// probeModel is the model that a probe goes to: one whose rules do not hide
// what the feature's own fate is.
func probeModel(target API, feature string) string {
	thinks := feature == FeatureReasoning || feature == FeatureSummary || feature == FeatureVerbosity
	switch {
	case target == Messages && feature == FeatureSummary:
		return "claude-opus-5"
	case target == Messages:
		return "claude-sonnet-4-5"
	case target == Generate:
		return "gemini-2.5-flash"
	case target == Chat && feature == FeatureTopK:
		return "qwen3"
	case target == Chat && feature == FeatureVideo:
		return "qwen3"
	case thinks:
		return "gpt-5"
	}
	return "gpt-4.1"
}

// TestFields tries each declaration: every feature that a client can say, into
// every other dialect.
func TestFields(t *testing.T) {
	for _, client := range apis {
		declared := map[string]bool{}
		for _, f := range byAPI(client).Fields {
			declared[f.Feature] = true
			if _, ok := probes[client][f.Feature]; !ok && f.Member != "" {
				t.Errorf("%s clients have a word for %s, and there is no probe", client, f.Feature)
			}
		}
		for _, feature := range Features() {
			if !declared[feature] {
				t.Errorf("%s does not declare %s", client, feature)
			}
			p, ok := probes[client][feature]
			for _, target := range apis {
				if ok && target != client {
					tryField(t, client, target, feature, p)
				}
			}
		}
	}
}

func tryField(t *testing.T, client, target API, feature string, p probe) {
	t.Helper()
	if feature == FeatureTier && target == Messages {
		plain := map[bool]string{true: "standard", false: "default"}[client == Generate] // which is all that it can be told
		p.more = strings.Replace(p.more, "flex", plain, 1)
	}
	want := fieldOf(client, target, feature)
	at := string(client) + " → " + string(target) + ": " + feature
	encode := func(lossy bool) (string, *Notes, error) {
		t.Helper()
		r, err := byAPI(client).DecodeRequest(p.body(client), "m", false)
		if err != nil {
			t.Fatalf("%s: decode: %v", at, err)
		}
		r.Model = probeModel(target, feature)
		n := &Notes{Lossy: lossy}
		out, err := byAPI(target).EncodeRequest(r, n)
		if err == nil && !jsontext.Value(out).IsValid() {
			t.Errorf("%s: invalid JSON: %s", at, out)
		}
		return string(out), n, err
	}
	out, n, err := encode(false)
	named := []string{memberName(client, feature)}
	if want.Fate == Refused {
		c, ok := errors.AsType[*CannotCarry](err)
		if !ok || c.Member != named[0] {
			t.Errorf("%s is to be refused as %v, and was not: %v, %s", at, named, err, out)
			return
		}
		out, n, err = encode(true)
	}
	if want.Fate >= Dropped {
		if err != nil || !reflect.DeepEqual(n.Dropped, named) {
			t.Errorf("%s is to be dropped as %v, and was not: %v, dropped %v, %s", at, named, err, n.Dropped, out)
		}
		return
	}
	if err != nil || len(n.Dropped) > 0 {
		t.Errorf("%s is to be carried, and was not: %v, dropped %v, %s", at, err, n.Dropped, out)
	}
	if asked := string(p.body(client)); strings.Contains(asked, "WITNESS") && !strings.Contains(out, "WITNESS") {
		t.Errorf("%s: the words are lost: %s", at, out)
	}
	if key := keyOf(target, want); key != "" && !strings.Contains(out, `"`+key+`":`) && !strings.Contains(out, `:"`+key+`"`) {
		t.Errorf("%s: no %s in %s", at, key, out)
	}
}

// keyOf is the last name of the member that a feature is carried in; "" where
// it is in no member of its own.
func keyOf(target API, f Field) string {
	if slices.Contains(unseen[target], f.Feature) {
		return ""
	}
	return f.Member[strings.LastIndexByte(f.Member, '.')+1:]
}

// unseen are the features that are not in the member which a client of the
// dialect would use, as the declarations' notes say.
var unseen = map[API][]string{
	Chat:      {FeatureMaxOutput},
	Responses: {FeatureSystem},
	Messages:  {FeatureCustomTools},
}

// TestFieldsAreNotes: what is neither carried as it is nor known says why.
func TestFieldsAreNotes(t *testing.T) {
	for _, api := range apis {
		for _, f := range byAPI(api).Fields {
			if f.Fate != Carried && f.Note == "" {
				t.Errorf("%s does not say why %s is %v", api, f.Feature, fateWords[f.Fate])
			}
		}
	}
}
