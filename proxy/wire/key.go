package wire

// A key is a member name that some dialect gives a meaning to. keyNone is
// every other name.
type key uint8

// The names that have a meaning; keyNames has their spelling.
const (
	keyNone key = iota
	keyModel
	keyStream
	keyStreamOptions
	keyIncludeUsage
	keyMaxTokens
	keyMaxCompletionTokens
	keyMaxOutputTokens
	keyN
	keyBestOf
	keyUser
	keySafetyIdentifier
	keyMetadata
	keyUserID
	keyWeir
	keyServiceTier
	keyPreviousResponseID
	keyInputFileID
	keyMessages
	keyInput
	keyPrompt
	keySystem
	keyInstructions
	keyContents
	keySystemInstruction
	keySystemInstructionSnake
	keyGenerationConfig
	keyGenerationConfigSnake
	keyMaxOutputTokensCamel
	keyCandidateCount
	keyRequests
	keyContent
	keyText
	keyTools
	keyDocuments
	keyQuery
	keyType
	keyRole
	keyID
	keyToolCallID
	keyToolUseID
	keyCallID
	keyMediaType
	keyMimeType
	keyMimeTypeCamel
	keyFormat
	keyDetail
	keySignature
	keyEncryptedContent
	keyThoughtSignature
	keyData
	keyURL
	keyFileData
	keyImageURL
	keyFileURI
	keyFileURISnake
	keyB64JSON
	keyBytes
	keyChoices
	keyDelta
	keyReasoning
	keyReasoningContent
	keyRefusal
	keyArguments
	keyName
	keyFinishReason
	keyUsage
	keyError
	keyAudio
	keyResponse
	keyStatus
	keyIncompleteDetails
	keyReason
	keyItem
	keySequenceNumber
	keyMessage
	keyCode
	keyPartialJSON
	keyThinking
	keyStopReason
	keyContentBlock
	keyCandidates
	keyParts
	keyFinishReasonCamel
	keyUsageMetadata
	keyModelVersion
	keyResponseID
	keyOutput
	keyPromptFeedback
	keyBlockReason
	keyXGroq
	keyTranscript
	keyObfuscation
	keyObject
	keyFile
	keyModalities
	keyResponseModalities
	keyResponseModalitiesSnake
	keyTruncation
	keyContextManagement
	keyTransforms
	keyTruncate
	keyTruncatePromptTokens
	keySummary
	keyResponseSchema
	keyResponseSchemaSnake
	keyResponseJSONSchema
	keyResponseJSONSchemaSnake
	keyFunctionDeclarations
	keyFunctionDeclarationsSnake
	keyFunctions
	keyFunctionCall
	keyFunctionCallSnake
	keyFunctionResponse
	keyFunctionResponseSnake
	keyResponseFormat
	keyOutputFormat
	keyOutputConfig
	keySource
	keyToolCalls
	keyInlineData
	keyInlineDataSnake
	keyFileDataCamel
	keyMeta
	keyDuration
	keyContainerID
	keyAction
	keyToolUsage
	keyWebSearch
	keyNumRequests
	keyWebSearchQueries
	keyWebSearchOptions
	keySearchContextSize
	keySearchType
	keySpeed
	keyInferenceGeo
	keyTimings
	keyPromptMS
	keyPredictedMS
	keyRequestCounts
	keyCompleted
	keyProcessingStatus
	keyBackground
	numKeys
)

var keyNames = [numKeys]string{
	keyModel:                     "model",
	keyStream:                    "stream",
	keyStreamOptions:             "stream_options",
	keyIncludeUsage:              "include_usage",
	keyMaxTokens:                 "max_tokens",
	keyMaxCompletionTokens:       "max_completion_tokens",
	keyMaxOutputTokens:           "max_output_tokens",
	keyN:                         "n",
	keyBestOf:                    "best_of",
	keyUser:                      "user",
	keySafetyIdentifier:          "safety_identifier",
	keyMetadata:                  "metadata",
	keyUserID:                    "user_id",
	keyWeir:                      "weir",
	keyServiceTier:               "service_tier",
	keyPreviousResponseID:        "previous_response_id",
	keyInputFileID:               "input_file_id",
	keyMessages:                  "messages",
	keyInput:                     "input",
	keyPrompt:                    "prompt",
	keySystem:                    "system",
	keyInstructions:              "instructions",
	keyContents:                  "contents",
	keySystemInstruction:         "systemInstruction",
	keySystemInstructionSnake:    "system_instruction",
	keyGenerationConfig:          "generationConfig",
	keyGenerationConfigSnake:     "generation_config",
	keyMaxOutputTokensCamel:      "maxOutputTokens",
	keyCandidateCount:            "candidateCount",
	keyRequests:                  "requests",
	keyContent:                   "content",
	keyText:                      "text",
	keyTools:                     "tools",
	keyDocuments:                 "documents",
	keyQuery:                     "query",
	keyType:                      "type",
	keyRole:                      "role",
	keyID:                        "id",
	keyToolCallID:                "tool_call_id",
	keyToolUseID:                 "tool_use_id",
	keyCallID:                    "call_id",
	keyMediaType:                 "media_type",
	keyMimeType:                  "mime_type",
	keyMimeTypeCamel:             "mimeType",
	keyFormat:                    "format",
	keyDetail:                    "detail",
	keySignature:                 "signature",
	keyEncryptedContent:          "encrypted_content",
	keyThoughtSignature:          "thoughtSignature",
	keyData:                      "data",
	keyURL:                       "url",
	keyFileData:                  "file_data",
	keyImageURL:                  "image_url",
	keyFileURI:                   "fileUri",
	keyFileURISnake:              "file_uri",
	keyB64JSON:                   "b64_json",
	keyBytes:                     "bytes",
	keyChoices:                   "choices",
	keyDelta:                     "delta",
	keyReasoning:                 "reasoning",
	keyReasoningContent:          "reasoning_content",
	keyRefusal:                   "refusal",
	keyArguments:                 "arguments",
	keyName:                      "name",
	keyFinishReason:              "finish_reason",
	keyUsage:                     "usage",
	keyError:                     "error",
	keyAudio:                     "audio",
	keyResponse:                  "response",
	keyStatus:                    "status",
	keyIncompleteDetails:         "incomplete_details",
	keyReason:                    "reason",
	keyItem:                      "item",
	keySequenceNumber:            "sequence_number",
	keyMessage:                   "message",
	keyCode:                      "code",
	keyPartialJSON:               "partial_json",
	keyThinking:                  "thinking",
	keyStopReason:                "stop_reason",
	keyContentBlock:              "content_block",
	keyCandidates:                "candidates",
	keyParts:                     "parts",
	keyFinishReasonCamel:         "finishReason",
	keyUsageMetadata:             "usageMetadata",
	keyModelVersion:              "modelVersion",
	keyResponseID:                "responseId",
	keyOutput:                    "output",
	keyPromptFeedback:            "promptFeedback",
	keyBlockReason:               "blockReason",
	keyXGroq:                     "x_groq",
	keyTranscript:                "transcript",
	keyObject:                    "object",
	keyFile:                      "file",
	keyMeta:                      "meta",
	keyDuration:                  "duration",
	keyContainerID:               "container_id",
	keyAction:                    "action",
	keyToolUsage:                 "tool_usage",
	keyWebSearch:                 "web_search",
	keyNumRequests:               "num_requests",
	keyWebSearchQueries:          "webSearchQueries",
	keyWebSearchOptions:          "web_search_options",
	keySearchContextSize:         "search_context_size",
	keySearchType:                "search_type",
	keySpeed:                     "speed",
	keyInferenceGeo:              "inference_geo",
	keyTimings:                   "timings",
	keyPromptMS:                  "prompt_ms",
	keyPredictedMS:               "predicted_ms",
	keyRequestCounts:             "request_counts",
	keyCompleted:                 "completed",
	keyProcessingStatus:          "processing_status",
	keyBackground:                "background",
	keyObfuscation:               "obfuscation",
	keyModalities:                "modalities",
	keyResponseModalities:        "responseModalities",
	keyResponseModalitiesSnake:   "response_modalities",
	keyTruncation:                "truncation",
	keyContextManagement:         "context_management",
	keyTransforms:                "transforms",
	keyTruncate:                  "truncate",
	keyTruncatePromptTokens:      "truncate_prompt_tokens",
	keySummary:                   "summary",
	keyResponseSchema:            "responseSchema",
	keyResponseSchemaSnake:       "response_schema",
	keyResponseJSONSchema:        "responseJsonSchema",
	keyResponseJSONSchemaSnake:   "response_json_schema",
	keyFunctionDeclarations:      "functionDeclarations",
	keyFunctionDeclarationsSnake: "function_declarations",
	keyFunctions:                 "functions",
	keyFunctionCall:              "functionCall",
	keyFunctionCallSnake:         "function_call",
	keyFunctionResponse:          "functionResponse",
	keyFunctionResponseSnake:     "function_response",
	keyResponseFormat:            "response_format",
	keyOutputFormat:              "output_format",
	keyOutputConfig:              "output_config",
	keySource:                    "source",
	keyToolCalls:                 "tool_calls",
	keyInlineData:                "inlineData",
	keyInlineDataSnake:           "inline_data",
	keyFileDataCamel:             "fileData",
}

const keySlotCount = 512

// keySlots is an open-addressed table over keyNames, at most a third full.
var keySlots = func() (slots [keySlotCount]key) {
	for k := keyNone + 1; k < numKeys; k++ {
		i := keyHash(keyNames[k])
		for slots[i] != keyNone {
			i = (i + 1) % keySlotCount
		}
		slots[i] = k
	}
	return slots
}()

// keyHash tells names apart by their length and five of their bytes.
func keyHash[T string | []byte](name T) uint {
	n := len(name)
	h := uint(n)
	for _, c := range [...]byte{name[0], name[n/4], name[n/2], name[n-n/4-1], name[n-1]} {
		h = h*31 + uint(c)
	}
	return (h ^ h>>9) % keySlotCount
}

// lookupKey finds a name.
func lookupKey(name []byte) key {
	if len(name) == 0 {
		return keyNone
	}
	for i := keyHash(name); ; i = (i + 1) % keySlotCount {
		k := keySlots[i]
		if k == keyNone || keyNames[k] == string(name) {
			return k
		}
	}
}
