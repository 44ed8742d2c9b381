package wire

// A key is a member name that some dialect gives a meaning to.
type key uint8

// The names, spelt as in JSON. keyNone is every other name.
const (
	keyNone                       key = iota
	keyModel                          // model
	keyStream                         // stream
	keyStreamOptions                  // stream_options
	keyIncludeUsage                   // include_usage
	keyMaxTokens                      // max_tokens
	keyMaxCompletionTokens            // max_completion_tokens
	keyMaxOutputTokens                // max_output_tokens
	keyN                              // n
	keyUser                           // user
	keySafetyIdentifier               // safety_identifier
	keyMetadata                       // metadata
	keyUserId                         // user_id
	keyWeir                           // weir
	keyServiceTier                    // service_tier
	keyPreviousResponseId             // previous_response_id
	keyInputFileId                    // input_file_id
	keyMessages                       // messages
	keyInput                          // input
	keyPrompt                         // prompt
	keySystem                         // system
	keyInstructions                   // instructions
	keyContents                       // contents
	keySystemInstruction              // systemInstruction
	keySystemInstructionSnake         // system_instruction
	keyGenerationConfig               // generationConfig
	keyGenerationConfigSnake          // generation_config
	keyMaxOutputTokensCamel           // maxOutputTokens
	keyCandidateCount                 // candidateCount
	keyRequests                       // requests
	keyContent                        // content
	keyText                           // text
	keyTools                          // tools
	keyDocuments                      // documents
	keyQuery                          // query
	keyType                           // type
	keyRole                           // role
	keyId                             // id
	keyToolCallId                     // tool_call_id
	keyToolUseId                      // tool_use_id
	keyCallId                         // call_id
	keyMediaType                      // media_type
	keyMimeType                       // mime_type
	keyMimeTypeCamel                  // mimeType
	keyFormat                         // format
	keyDetail                         // detail
	keySignature                      // signature
	keyEncryptedContent               // encrypted_content
	keyThoughtSignature               // thoughtSignature
	keyCacheControl                   // cache_control
	keyData                           // data
	keyUrl                            // url
	keyFileData                       // file_data
	keyImageUrl                       // image_url
	keyFileUri                        // fileUri
	keyFileUriSnake                   // file_uri
	keyB64Json                        // b64_json
	keyBytes                          // bytes
	keyChoices                        // choices
	keyDelta                          // delta
	keyReasoning                      // reasoning
	keyReasoningContent               // reasoning_content
	keyRefusal                        // refusal
	keyToolCalls                      // tool_calls
	keyFunctionCall                   // function_call
	keyFunction                       // function
	keyArguments                      // arguments
	keyName                           // name
	keyFinishReason                   // finish_reason
	keyUsage                          // usage
	keyError                          // error
	keyOutputText                     // output_text
	keyAudio                          // audio
	keyResponse                       // response
	keyStatus                         // status
	keyIncompleteDetails              // incomplete_details
	keyReason                         // reason
	keyItem                           // item
	keySequenceNumber                 // sequence_number
	keyMessage                        // message
	keyCode                           // code
	keyParam                          // param
	keyPartialJson                    // partial_json
	keyThinking                       // thinking
	keyStopReason                     // stop_reason
	keyContentBlock                   // content_block
	keyCandidates                     // candidates
	keyParts                          // parts
	keyFunctionCallCamel              // functionCall
	keyFinishReasonCamel              // finishReason
	keyUsageMetadata                  // usageMetadata
	keyModelVersion                   // modelVersion
	keyResponseId                     // responseId
	keyObject                         // object
	keyOutput                         // output
	keyResults                        // results
	keyEmbedding                      // embedding
	keyEmbeddings                     // embeddings
	keyPromptTokens                   // prompt_tokens
	keyCompletionTokens               // completion_tokens
	keyTotalTokens                    // total_tokens
	keyInputTokens                    // input_tokens
	keyOutputTokens                   // output_tokens
	keyPromptTokensDetails            // prompt_tokens_details
	keyCompletionTokensDetails        // completion_tokens_details
	keyInputTokensDetails             // input_tokens_details
	keyOutputTokensDetails            // output_tokens_details
	keyCachedTokens                   // cached_tokens
	keyCacheWriteTokens               // cache_write_tokens
	keyAudioTokens                    // audio_tokens
	keyImageTokens                    // image_tokens
	keyReasoningTokens                // reasoning_tokens
	keyTextTokens                     // text_tokens
	keyCacheCreationInputTokens       // cache_creation_input_tokens
	keyCacheReadInputTokens           // cache_read_input_tokens
	keyCacheCreation                  // cache_creation
	keyEphemeral5mInputTokens         // ephemeral_5m_input_tokens
	keyEphemeral1hInputTokens         // ephemeral_1h_input_tokens
	keyThinkingTokens                 // thinking_tokens
	keyPromptTokenCount               // promptTokenCount
	keyCandidatesTokenCount           // candidatesTokenCount
	keyThoughtsTokenCount             // thoughtsTokenCount
	keyCachedContentTokenCount        // cachedContentTokenCount
	keyToolUsePromptTokenCount        // toolUsePromptTokenCount
	keyTotalTokenCount                // totalTokenCount
	keyPromptTokensDetailsCamel       // promptTokensDetails
	keyCandidatesTokensDetails        // candidatesTokensDetails
	keyCacheTokensDetails             // cacheTokensDetails
	keyToolUsePromptTokensDetails     // toolUsePromptTokensDetails
	keyModality                       // modality
	keyTokenCount                     // tokenCount
	keyPromptFeedback                 // promptFeedback
	keyBlockReason                    // blockReason
	keyDetails                        // details
)

// lookupKey finds a name. The compiler turns the switch into a search by
// length and content, without an allocation. It is long: one row a name.
func lookupKey(name []byte) key {
	switch string(name) {
	case "model":
		return keyModel
	case "stream":
		return keyStream
	case "stream_options":
		return keyStreamOptions
	case "include_usage":
		return keyIncludeUsage
	case "max_tokens":
		return keyMaxTokens
	case "max_completion_tokens":
		return keyMaxCompletionTokens
	case "max_output_tokens":
		return keyMaxOutputTokens
	case "n":
		return keyN
	case "user":
		return keyUser
	case "safety_identifier":
		return keySafetyIdentifier
	case "metadata":
		return keyMetadata
	case "user_id":
		return keyUserId
	case "weir":
		return keyWeir
	case "service_tier":
		return keyServiceTier
	case "previous_response_id":
		return keyPreviousResponseId
	case "input_file_id":
		return keyInputFileId
	case "messages":
		return keyMessages
	case "input":
		return keyInput
	case "prompt":
		return keyPrompt
	case "system":
		return keySystem
	case "instructions":
		return keyInstructions
	case "contents":
		return keyContents
	case "systemInstruction":
		return keySystemInstruction
	case "system_instruction":
		return keySystemInstructionSnake
	case "generationConfig":
		return keyGenerationConfig
	case "generation_config":
		return keyGenerationConfigSnake
	case "maxOutputTokens":
		return keyMaxOutputTokensCamel
	case "candidateCount":
		return keyCandidateCount
	case "requests":
		return keyRequests
	case "content":
		return keyContent
	case "text":
		return keyText
	case "tools":
		return keyTools
	case "documents":
		return keyDocuments
	case "query":
		return keyQuery
	case "type":
		return keyType
	case "role":
		return keyRole
	case "id":
		return keyId
	case "tool_call_id":
		return keyToolCallId
	case "tool_use_id":
		return keyToolUseId
	case "call_id":
		return keyCallId
	case "media_type":
		return keyMediaType
	case "mime_type":
		return keyMimeType
	case "mimeType":
		return keyMimeTypeCamel
	case "format":
		return keyFormat
	case "detail":
		return keyDetail
	case "signature":
		return keySignature
	case "encrypted_content":
		return keyEncryptedContent
	case "thoughtSignature":
		return keyThoughtSignature
	case "cache_control":
		return keyCacheControl
	case "data":
		return keyData
	case "url":
		return keyUrl
	case "file_data":
		return keyFileData
	case "image_url":
		return keyImageUrl
	case "fileUri":
		return keyFileUri
	case "file_uri":
		return keyFileUriSnake
	case "b64_json":
		return keyB64Json
	case "bytes":
		return keyBytes
	case "choices":
		return keyChoices
	case "delta":
		return keyDelta
	case "reasoning":
		return keyReasoning
	case "reasoning_content":
		return keyReasoningContent
	case "refusal":
		return keyRefusal
	case "tool_calls":
		return keyToolCalls
	case "function_call":
		return keyFunctionCall
	case "function":
		return keyFunction
	case "arguments":
		return keyArguments
	case "name":
		return keyName
	case "finish_reason":
		return keyFinishReason
	case "usage":
		return keyUsage
	case "error":
		return keyError
	case "output_text":
		return keyOutputText
	case "audio":
		return keyAudio
	case "response":
		return keyResponse
	case "status":
		return keyStatus
	case "incomplete_details":
		return keyIncompleteDetails
	case "reason":
		return keyReason
	case "item":
		return keyItem
	case "sequence_number":
		return keySequenceNumber
	case "message":
		return keyMessage
	case "code":
		return keyCode
	case "param":
		return keyParam
	case "partial_json":
		return keyPartialJson
	case "thinking":
		return keyThinking
	case "stop_reason":
		return keyStopReason
	case "content_block":
		return keyContentBlock
	case "candidates":
		return keyCandidates
	case "parts":
		return keyParts
	case "functionCall":
		return keyFunctionCallCamel
	case "finishReason":
		return keyFinishReasonCamel
	case "usageMetadata":
		return keyUsageMetadata
	case "modelVersion":
		return keyModelVersion
	case "responseId":
		return keyResponseId
	case "object":
		return keyObject
	case "output":
		return keyOutput
	case "results":
		return keyResults
	case "embedding":
		return keyEmbedding
	case "embeddings":
		return keyEmbeddings
	case "prompt_tokens":
		return keyPromptTokens
	case "completion_tokens":
		return keyCompletionTokens
	case "total_tokens":
		return keyTotalTokens
	case "input_tokens":
		return keyInputTokens
	case "output_tokens":
		return keyOutputTokens
	case "prompt_tokens_details":
		return keyPromptTokensDetails
	case "completion_tokens_details":
		return keyCompletionTokensDetails
	case "input_tokens_details":
		return keyInputTokensDetails
	case "output_tokens_details":
		return keyOutputTokensDetails
	case "cached_tokens":
		return keyCachedTokens
	case "cache_write_tokens":
		return keyCacheWriteTokens
	case "audio_tokens":
		return keyAudioTokens
	case "image_tokens":
		return keyImageTokens
	case "reasoning_tokens":
		return keyReasoningTokens
	case "text_tokens":
		return keyTextTokens
	case "cache_creation_input_tokens":
		return keyCacheCreationInputTokens
	case "cache_read_input_tokens":
		return keyCacheReadInputTokens
	case "cache_creation":
		return keyCacheCreation
	case "ephemeral_5m_input_tokens":
		return keyEphemeral5mInputTokens
	case "ephemeral_1h_input_tokens":
		return keyEphemeral1hInputTokens
	case "thinking_tokens":
		return keyThinkingTokens
	case "promptTokenCount":
		return keyPromptTokenCount
	case "candidatesTokenCount":
		return keyCandidatesTokenCount
	case "thoughtsTokenCount":
		return keyThoughtsTokenCount
	case "cachedContentTokenCount":
		return keyCachedContentTokenCount
	case "toolUsePromptTokenCount":
		return keyToolUsePromptTokenCount
	case "totalTokenCount":
		return keyTotalTokenCount
	case "promptTokensDetails":
		return keyPromptTokensDetailsCamel
	case "candidatesTokensDetails":
		return keyCandidatesTokensDetails
	case "cacheTokensDetails":
		return keyCacheTokensDetails
	case "toolUsePromptTokensDetails":
		return keyToolUsePromptTokensDetails
	case "modality":
		return keyModality
	case "tokenCount":
		return keyTokenCount
	case "promptFeedback":
		return keyPromptFeedback
	case "blockReason":
		return keyBlockReason
	case "details":
		return keyDetails
	}
	return keyNone
}
