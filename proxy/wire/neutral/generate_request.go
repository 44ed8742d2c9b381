package neutral

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

type geminiRequest struct {
	Contents          []geminiContent   `json:"contents,omitzero"`
	SystemInstruction jsontext.Value    `json:"systemInstruction,omitzero,case:ignore"`
	Tools             []geminiTool      `json:"tools,omitzero"`
	ToolConfig        *geminiChoice     `json:"toolConfig,omitzero,case:ignore"`
	GenerationConfig  geminiConfig      `json:"generationConfig,omitzero,case:ignore"`
	Labels            map[string]string `json:"labels,omitzero"`
	ServiceTier       string            `json:"serviceTier,omitzero,case:ignore"`
	Rest              jsontext.Value    `json:",embed"`
}

type geminiTool struct {
	FunctionDeclarations []geminiFunction `json:"functionDeclarations,omitzero,case:ignore"`
	Rest                 jsontext.Value   `json:",embed"`
}

type geminiFunction struct {
	Name                 string         `json:"name"`
	Description          string         `json:"description,omitzero"`
	Parameters           jsontext.Value `json:"parameters,omitzero"`
	ParametersJSONSchema jsontext.Value `json:"parametersJsonSchema,omitzero,case:ignore"`
	Rest                 jsontext.Value `json:",embed"`
}

type geminiChoice struct {
	FunctionCallingConfig struct {
		Mode                 string         `json:"mode"`
		AllowedFunctionNames []string       `json:"allowedFunctionNames,case:ignore"`
		Rest                 jsontext.Value `json:",embed"`
	} `json:"functionCallingConfig,case:ignore"`
	Rest jsontext.Value `json:",embed"`
}

type geminiConfig struct {
	Temperature        jsontext.Value `json:"temperature,omitzero"`
	TopP               jsontext.Value `json:"topP,omitzero,case:ignore"`
	TopK               jsontext.Value `json:"topK,omitzero,case:ignore"`
	CandidateCount     int64          `json:"candidateCount,omitzero,case:ignore"`
	MaxOutputTokens    *int64         `json:"maxOutputTokens,omitzero,case:ignore"`
	StopSequences      []string       `json:"stopSequences,omitzero,case:ignore"`
	ResponseMIMEType   string         `json:"responseMimeType,omitzero,case:ignore"`
	ResponseSchema     jsontext.Value `json:"responseSchema,omitzero,case:ignore"`
	ResponseJSONSchema jsontext.Value `json:"responseJsonSchema,omitzero,case:ignore"`
	PresencePenalty    jsontext.Value `json:"presencePenalty,omitzero,case:ignore"`
	FrequencyPenalty   jsontext.Value `json:"frequencyPenalty,omitzero,case:ignore"`
	Seed               jsontext.Value `json:"seed,omitzero"`
	ResponseLogprobs   bool           `json:"responseLogprobs,omitzero,case:ignore"`
	Logprobs           *int64         `json:"logprobs,omitzero"`
	ThinkingConfig     *struct {
		IncludeThoughts bool           `json:"includeThoughts,case:ignore"`
		ThinkingBudget  *int64         `json:"thinkingBudget,case:ignore"`
		ThinkingLevel   string         `json:"thinkingLevel,case:ignore"`
		Rest            jsontext.Value `json:",embed"`
	} `json:"thinkingConfig,omitzero,case:ignore"`
	Rest jsontext.Value `json:",embed"`
}

// inConfig begins the names of members that stand in generationConfig.
const inConfig = "generationConfig."

// inToolConfig begins those that stand in toolConfig.
const inToolConfig = "toolConfig."

// decodeGenerate reads a client's generateContent body.
func decodeGenerate(body []byte, model string, stream bool) (*Request, error) {
	var in geminiRequest
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	r := &Request{Model: model, Stream: stream, From: Generate, Metadata: in.Labels, ServiceTier: strings.ToLower(in.ServiceTier), Rest: members(in.Rest)}
	if err := readInstruction(r, in.SystemInstruction); err != nil {
		return nil, err
	}
	ids := &callIDs{}
	for i, c := range in.Contents {
		if len(c.Parts) == 0 {
			r.wrongly(indexed("contents", i)+".parts", "must not be empty")
		}
		turn := Turn{Role: User}
		if c.Role == "model" {
			turn.Role = Assistant
		}
		p := partReader{ids: ids}
		p.read(c.Parts)
		turn.Parts = p.parts
		r.noteUnknown(p.unknown)
		r.noteWithin("contents.", c.Rest)
		r.Turns = append(r.Turns, turn)
	}
	for i := range in.Tools {
		readTools(r, &in.Tools[i])
	}
	readChoice(r, in.ToolConfig)
	readConfig(r, &in.GenerationConfig)
	return r, nil
}

// readInstruction reads the system's turn: a content, or text alone.
func readInstruction(r *Request, raw jsontext.Value) error {
	if !given(raw) {
		return nil
	}
	var c geminiContent
	if text, ok := textOf(raw); ok {
		c.Parts = []geminiPart{{Text: &text}}
	} else if err := decodeAt(raw, &c, "systemInstruction"); err != nil {
		return err
	}
	p := partReader{ids: &callIDs{}}
	for i := range c.Parts {
		if c.Parts[i].Text != nil {
			p.part(&c.Parts[i])
		}
	}
	for _, name := range p.unknown {
		r.noteUnknown([]string{strings.Replace(name, "contents.", "systemInstruction.", 1)})
	}
	r.noteWithin("systemInstruction.", c.Rest)
	if len(p.parts) > 0 {
		r.Turns = append(r.Turns, Turn{Role: System, Parts: p.parts})
	}
	return nil
}

// noteUnknown adds names of members that are kept elsewhere to the request's Rest.
func (r *Request) noteUnknown(names []string) {
	for _, name := range names {
		if len(r.Rest) > maxDropped { // no more of them are noted
			return
		}
		if !slices.ContainsFunc(r.Rest, func(m Member) bool { return m.Name == name }) {
			r.Rest = append(r.Rest, Member{Name: name})
		}
	}
}

// noteWithin adds the names of an inner object's members that have no place.
func (r *Request) noteWithin(at string, rest jsontext.Value) {
	for _, m := range members(rest) {
		r.noteUnknown([]string{at + m.Name})
	}
}

func readTools(r *Request, t *geminiTool) {
	for _, f := range t.FunctionDeclarations {
		schema := f.ParametersJSONSchema.Clone()
		if !given(schema) {
			schema = plainSchema(f.Parameters)
		}
		tool := Tool{Name: f.Name, Description: f.Description, Schema: schema}
		if list := members(f.Rest); len(list) > 0 {
			tool.Extra = f.Rest.Clone()
			for _, m := range list {
				r.noteUnknown([]string{"tools.functionDeclarations." + m.Name})
			}
		}
		r.Tools = append(r.Tools, tool)
	}
	if len(members(t.Rest)) > 0 {
		r.Tools = append(r.Tools, Tool{Raw: t.Rest.Clone(), From: Generate})
	}
}

// validated names a mode that only Gemini has.
const validated = inToolConfig + "functionCallingConfig.mode"

func readChoice(r *Request, c *geminiChoice) {
	if c == nil {
		return
	}
	for _, m := range members(c.Rest) {
		r.Rest = append(r.Rest, Member{Name: inToolConfig + m.Name, Value: m.Value})
	}
	f := &c.FunctionCallingConfig
	r.noteWithin(inToolConfig+"functionCallingConfig.", f.Rest)
	switch strings.ToUpper(f.Mode) {
	case "AUTO":
		r.Choice.Mode = SayAuto
	case "VALIDATED": // as AUTO, with calls that keep to their schemas
		r.Choice.Mode = SayAuto
		r.Choice.Names = f.AllowedFunctionNames
		r.Rest = append(r.Rest, Member{Name: validated, Value: jsontext.Value(`"VALIDATED"`)})
	case "NONE":
		r.Choice.Mode = Never
	case "ANY":
		r.Choice.Mode = Required
		if len(f.AllowedFunctionNames) > 0 {
			r.Choice = Choice{Mode: Only, Names: f.AllowedFunctionNames}
		}
	}
}

func readConfig(r *Request, c *geminiConfig) {
	r.Temperature, r.TopP, r.TopK = c.Temperature.Clone(), c.TopP.Clone(), c.TopK.Clone()
	r.PresencePenalty, r.FrequencyPenalty, r.Seed = c.PresencePenalty.Clone(), c.FrequencyPenalty.Clone(), c.Seed.Clone()
	r.N, r.MaxOutput, r.Stop = c.CandidateCount, c.MaxOutputTokens, c.StopSequences
	r.Logprobs, r.TopLogprobs = c.ResponseLogprobs, c.Logprobs
	switch schema := c.ResponseJSONSchema; {
	case given(schema):
		r.Format = Format{Kind: JSONSchema, Schema: schema.Clone()}
	case given(c.ResponseSchema):
		r.Format = Format{Kind: JSONSchema, Schema: plainSchema(c.ResponseSchema)}
	case c.ResponseMIMEType == "application/json":
		r.Format.Kind = JSONObject
	case c.ResponseMIMEType == "text/plain":
		r.Format.Kind = SayText
	case c.ResponseMIMEType != "":
		r.Rest = append(r.Rest, Member{Name: inConfig + "responseMimeType", Value: appendQuoted(nil, c.ResponseMIMEType)})
	}
	if t := c.ThinkingConfig; t != nil {
		if strings.EqualFold(t.ThinkingLevel, "THINKING_LEVEL_UNSPECIFIED") {
			t.ThinkingLevel = ""
		}
		r.noteWithin(inConfig+"thinkingConfig.", t.Rest)
		r.Reasoning = Reasoning{
			Effort: strings.ToLower(t.ThinkingLevel), Budget: t.ThinkingBudget, Show: t.IncludeThoughts,
			Off: t.ThinkingBudget != nil && *t.ThinkingBudget == 0,
		}
	}
	for _, m := range members(c.Rest) {
		r.Rest = append(r.Rest, Member{Name: inConfig + m.Name, Value: m.Value})
	}
}

// plainSchema turns Google's OpenAPI spelling of a schema into JSON Schema's:
// the names of types in lower case, nullable as a further type. Everything
// else, and the order, stays.
func plainSchema(schema jsontext.Value) jsontext.Value {
	if !given(schema) {
		return nil
	}
	return appendPlain(nil, schema, 0)
}

// maxSchemaDepth bounds the nesting of a schema that is rewritten.
const maxSchemaDepth = 200

func appendPlain(dst []byte, v jsontext.Value, depth int) []byte {
	w := jsonw{b: dst}
	switch {
	case depth > maxSchemaDepth:
		w.raw(v)
	case v.Kind() == '[':
		w.arr()
		for _, e := range elements(v) {
			w.b = appendPlain(w.b, e, depth+1)
		}
		w.endArr()
	case v.Kind() == '{':
		appendPlainObject(&w, members(v), depth)
	default:
		w.raw(v)
	}
	return w.b
}

// elements takes an array apart: nil for what is not one.
func elements(array jsontext.Value) []jsontext.Value {
	var list []jsontext.Value
	dec := jsontext.NewDecoder(bytes.NewReader(array), lenient)
	if _, err := dec.ReadToken(); err != nil {
		return nil
	}
	for k := dec.PeekKind(); k != ']' && k != 0; k = dec.PeekKind() {
		v, err := dec.ReadValue()
		if err != nil {
			return nil
		}
		list = append(list, v.Clone())
	}
	return list
}

func appendPlainObject(w *jsonw, list []Member, depth int) {
	nullable := false
	for _, m := range list {
		nullable = nullable || m.Name == "nullable" && string(m.Value) == "true"
	}
	w.obj()
	for _, m := range list {
		name, isText := textOf(m.Value)
		kind, known := schemaTypes[name]
		switch {
		case m.Name == "nullable" && (string(m.Value) == "true" || string(m.Value) == "false"):
			continue
		case m.Name == "type" && isText && known && nullable:
			w.key("type")
			w.arr()
			w.str(kind)
			w.str("null")
			w.endArr()
		case m.Name == "type" && isText && known:
			w.strKey("type", kind)
		case m.Name == "enum" || m.Name == "example" || m.Name == "default":
			w.member(m)
		default:
			w.comma()
			w.b = append(appendQuoted(w.b, m.Name), ':')
			w.b = appendPlain(w.b, m.Value, depth+1)
		}
	}
	w.endObj()
}

var schemaTypes = map[string]string{
	"STRING": "string", "NUMBER": "number", "INTEGER": "integer", "BOOLEAN": "boolean", "ARRAY": "array", "OBJECT": "object", "NULL": "null",
}

func itoa(n int) string { return strconv.Itoa(n) }
