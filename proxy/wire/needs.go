package wire

import (
	"bytes"

	"weir/internal/capability"
)

// needs collects, while a body is scanned, what it asks of a model. It goes by
// the types and names that stand at their one place in each API, and decodes
// nothing.
type needs struct {
	found           capability.Set
	tools, builtIn  int // functions that the caller runs, and what is no such of an Anthropic list
	documents, text int // Anthropic document blocks, and those whose source is plain text
}

// set is what was found in the end.
func (n *needs) set() capability.Set {
	s := n.found
	if n.tools > n.builtIn {
		s |= capability.Tools
	}
	if n.documents > n.text {
		s |= capability.Files
	}
	return s
}

// maxWord bounds the words that needs are told by.
const maxWord = 64

// wantsWord reports whether a string's own text tells of a need.
func wantsWord(s *scanner) bool {
	switch s.key() {
	case keyType, keyMimeType, keyMimeTypeCamel, keyModalities, keyResponseModalities, keyResponseModalitiesSnake,
		keySearchContextSize, keySearchType:
		return true
	}
	return false
}

// need is told of every whole value below the root's own. raw is a string's
// text where wantsWord wished for it.
func (r *viewReader) need(s *scanner, kind valueKind, raw []byte) {
	d := s.depth()
	if kind != kindString && kind != kindObject && d != 2 || !r.asks(s.stack[0].key) {
		return
	}
	switch kind {
	case kindString:
		if len(raw) > 2 && wantsWord(s) {
			r.needWord(s, d, raw[1:len(raw)-1])
		} else if d == 3 && s.key() == keyToolCallID && s.stack[0].key == keyMessages {
			r.needs.found |= capability.Tools
		}
	case kindObject:
		r.needObject(s, d)
	}
	if d == 2 && kind != kindNull {
		r.needMember(s)
	}
}

// asks reports whether the API has the root member, so that it may tell of needs.
func (r *viewReader) asks(k key) bool {
	switch k {
	case keyTools:
		return true
	case keyMessages:
		return r.api == Chat || r.api == Messages
	case keyResponseFormat, keyModalities, keyFunctions:
		return r.api == Chat
	case keyInput, keyText:
		return r.api == Responses
	case keyOutputFormat, keyOutputConfig:
		return r.api == Messages
	case keyContents, keyGenerationConfig, keyGenerationConfigSnake:
		return r.isGemini()
	}
	return false
}

// needMember is told of a member of a root member, where its being there says enough.
func (r *viewReader) needMember(s *scanner) {
	switch s.stack[0].key {
	case keyGenerationConfig, keyGenerationConfigSnake:
		switch s.key() {
		case keyResponseSchema, keyResponseSchemaSnake, keyResponseJSONSchema, keyResponseJSONSchemaSnake:
			r.needs.found |= capability.Schema
		}
	}
}

// needObject is told of a whole object: one that lies in a list of tools, or
// one that is a call or a result.
func (r *viewReader) needObject(s *scanner, d int) {
	switch s.stack[0].key {
	case keyTools:
		switch {
		case d == 2 && r.api == Messages && s.stack[1].kind == kindArray:
			r.needs.tools++
		case d == 4 && r.isGemini() && s.stack[3].kind == kindArray && (s.stack[2].key == keyFunctionDeclarations || s.stack[2].key == keyFunctionDeclarationsSnake):
			r.needs.tools++
		}
	case keyFunctions:
		if d == 2 {
			r.needs.tools++
		}
	case keyContents:
		if d == 5 && s.stack[3].key == keyParts {
			switch s.key() {
			case keyFunctionCall, keyFunctionCallSnake, keyFunctionResponse, keyFunctionResponseSnake:
				r.needs.found |= capability.Tools
			}
		}
	}
}

func (r *viewReader) isGemini() bool { return r.api == Generate || r.api == StreamGenerate }

// needWord is told of a type, a media type or a modality.
func (r *viewReader) needWord(s *scanner, d int, word []byte) {
	n := &r.needs
	switch s.stack[0].key {
	case keyMessages:
		r.needBlock(s, d, word)
	case keyInput:
		r.needItem(s, d, word)
	case keyContents:
		if isInline(s, d) {
			n.found |= mediaNeed(word)
		}
	case keyTools:
		switch {
		case d != 3 || s.stack[1].kind != kindArray || s.key() != keyType || r.isGemini():
		case r.api == Messages && string(word) != "custom":
			n.builtIn++
		case r.api != Messages && (string(word) == "function" || string(word) == "custom"):
			n.tools++
		}
	case keyResponseFormat, keyOutputFormat:
		if d == 2 && s.key() == keyType && string(word) == "json_schema" {
			n.found |= capability.Schema
		}
	case keyText, keyOutputConfig:
		if d == 3 && s.stack[1].key == keyFormat && s.key() == keyType && string(word) == "json_schema" {
			n.found |= capability.Schema
		}
	case keyModalities:
		if d == 2 && s.stack[1].kind == kindArray {
			n.found |= outputNeed(word)
		}
	case keyGenerationConfig, keyGenerationConfigSnake:
		if d == 3 && s.stack[2].kind == kindArray {
			n.found |= outputNeed(word)
		}
	}
}

// needBlock is told of a word within messages: of a part of a message's
// content, of one within a tool's result, of a document's source, of a call.
func (r *viewReader) needBlock(s *scanner, d int, word []byte) {
	n := &r.needs
	switch {
	case s.key() != keyType || d < 5:
	case r.api != Messages:
		switch {
		case d == 5 && s.stack[2].key == keyContent:
			n.found |= partNeed(word)
		case d == 5 && s.stack[2].key == keyToolCalls:
			n.found |= capability.Tools
		}
	case s.stack[2].key != keyContent:
	case d == 5, d == 7 && s.stack[4].key == keyContent:
		n.found |= blockNeed(word)
		if string(word) == "document" {
			n.documents++
		}
	case d == 6 && s.stack[4].key == keySource, d == 8 && s.stack[4].key == keyContent && s.stack[6].key == keySource:
		if string(word) == "text" || string(word) == "content" {
			n.text++
		}
	}
}

// needItem is told of a word within a Responses input: of an item, or of a
// part of its content or output.
func (r *viewReader) needItem(s *scanner, d int, word []byte) {
	switch {
	case s.key() != keyType:
	case d == 3:
		switch string(word) {
		case "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output":
			r.needs.found |= capability.Tools
		}
	case d == 5 && (s.stack[2].key == keyContent || s.stack[2].key == keyOutput):
		r.needs.found |= partNeed(word)
	}
}

// partNeed is what a part of an OpenAI message asks of a model.
func partNeed(word []byte) capability.Set {
	switch string(word) {
	case "image_url", "input_image":
		return capability.Vision
	case "input_audio":
		return capability.Audio
	case "video_url":
		return capability.Video
	case "file", "input_file":
		return capability.Files
	}
	return 0
}

// blockNeed is what a block of an Anthropic message asks of a model. A
// document is counted apart, since it may be plain text.
func blockNeed(word []byte) capability.Set {
	switch string(word) {
	case "image":
		return capability.Vision
	case "tool_use", "tool_result":
		return capability.Tools
	}
	return 0
}

// isInline reports whether a media type is that of a part of Gemini's
// contents, or of a part of a function's response.
func isInline(s *scanner, d int) bool {
	at := d - 2 // the frame of the part
	switch s.key() {
	case keyMimeType, keyMimeTypeCamel:
	default:
		return false
	}
	if d != 6 && (d != 9 || s.stack[4].key != keyFunctionResponse && s.stack[4].key != keyFunctionResponseSnake) {
		return false
	}
	switch s.stack[at].key {
	case keyInlineData, keyInlineDataSnake, keyFileDataCamel, keyFileData:
		return s.stack[at-1].key == keyParts
	}
	return false
}

// mediaNeed is what a medium of a type asks of a model.
func mediaNeed(mime []byte) capability.Set {
	kind, _, _ := bytes.Cut(mime, []byte("/"))
	switch {
	case bytes.EqualFold(kind, []byte("image")):
		return capability.Vision
	case bytes.EqualFold(kind, []byte("audio")):
		return capability.Audio
	case bytes.EqualFold(kind, []byte("video")):
		return capability.Video
	case bytes.EqualFold(mime, []byte("application/pdf")):
		return capability.Files
	}
	return 0
}

// outputNeed is what a wished-for modality asks of a model.
func outputNeed(word []byte) capability.Set {
	switch {
	case bytes.EqualFold(word, []byte("image")):
		return capability.ImageOutput
	case bytes.EqualFold(word, []byte("audio")):
		return capability.AudioOutput
	}
	return 0
}
